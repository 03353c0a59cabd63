"""Where a node is: `grpc://host:port`, or `grpcs://host:port` for TLS."""

import re
from dataclasses import dataclass
from typing import Final

from ledger.errors import FormatError
from ledger.limits import ADDRESS_CHARACTERS_MAX

_ADDRESS: Final = re.compile(r"(grpcs?)://((?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]):[0-9]{1,5})\Z", re.ASCII)


@dataclass(frozen=True, slots=True)
class NodeAddress:
    """Where a node's public services are."""

    target: str
    is_tls: bool

    def __str__(self) -> str:
        """Write it as it is configured."""
        return f"{'grpcs' if self.is_tls else 'grpc'}://{self.target}"


def parse_address(text: str) -> NodeAddress:
    """Read `grpc://host:port`, or `grpcs://host:port` for TLS.

    Raises:
        FormatError: another form.
    """
    match = _ADDRESS.match(text) if len(text) <= ADDRESS_CHARACTERS_MAX else None
    if match is None:
        raise FormatError(field="node", found=text, expected="grpc://host:port, or grpcs://host:port for TLS")
    return NodeAddress(target=match[2], is_tls=match[1] == "grpcs")
