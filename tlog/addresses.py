"""Where a listener is: `host:port`, or `[v6]:port`."""

from dataclasses import dataclass
from typing import Final

from ledger.errors import Code, ConditionError

PORT_MAX: Final = 65_535
HOST_CHARACTERS_MAX: Final = 253  # RFC 1035 §2.3.4, as text


@dataclass(frozen=True, slots=True)
class Address:
    """A host name or IP address, and a port."""

    host: str
    port: int

    def __str__(self) -> str:
        """Text that gRPC and people read; an IPv6 address in brackets."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_address(text: str, *, field: str) -> Address:
    """Read `host:port` or `[v6]:port`.

    Raises:
        ConditionError: `CONFIG`: no host, no port, a port that is none.
    """
    host, colon, port = text.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        colon = ""
    is_number = port.isascii() and port.isdigit() and len(port) <= 5
    if "[" in host or "]" in host:  # brackets within brackets: written again it would be another address
        colon = ""
    if not colon or not 0 < len(host) <= HOST_CHARACTERS_MAX or not is_number or int(port) > PORT_MAX:
        raise ConditionError(
            field=field,
            found=text,
            expected='host and port, such as "0.0.0.0:7301" or "[::]:7301"',
            code=Code.CONFIG,
        )
    return Address(host=host, port=int(port))
