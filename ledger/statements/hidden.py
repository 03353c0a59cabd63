"""Fields that a statement commits to and does not show: their salted digests, as `ledger.disclosure` makes them."""

import re
from collections.abc import Sequence
from typing import Annotated, Final

from msgspec import Meta

from ledger.errors import FormatError
from ledger.statements.intoto import require_unique

FieldDigest = Annotated[str, Meta(min_length=43, max_length=43)]
"""Canonical base64url of 32 bytes, without padding; `check_digests` looks at the characters of all at once."""

_DIGESTS: Final = re.compile(r"(?:[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048])*\Z")


def check_digests(digests: Sequence[str], *, field: str) -> None:
    """Check that every digest, of 43 characters each, is canonical base64url, and none stands twice.

    Raises:
        FormatError: the list, or the first digest that is repeated.
    """
    if not _DIGESTS.match("".join(digests)):
        raise FormatError(field=field, found="other characters", expected="canonical base64url of 32 bytes")
    require_unique(digests, field=field)
