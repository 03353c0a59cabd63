"""Where an external witness is and which key it has, as whoever asks it configures both. Nothing here connects."""

from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from ledger import domains
from ledger.errors import FormatError
from ledger.notes import VerifierKey, parse_vkey

URL_CHARACTERS_MAX: Final = 1_024


@dataclass(frozen=True, slots=True)
class WitnessAddress:
    """A witness as it is configured.

    Attributes:
        url: its submission prefix, without a slash at the end.
        key: its Ed25519 cosignature key; believed.
    """

    url: str
    key: VerifierKey


def parse_witness(url: str, vkey: str) -> WitnessAddress:
    """Read how a witness is configured.

    Raises:
        FormatError: `witness.url`: not an http(s) URL that a path can follow; `witness.vkey`: a key of another type
            than Ed25519 cosignatures; else as `parse_vkey`.
    """
    expected = "http(s)://host[:port][/prefix], printable ASCII, without user, query and fragment"
    is_plain = url.isascii() and url.isprintable() and " " not in url and len(url) <= URL_CHARACTERS_MAX
    try:
        parts = urlsplit(url)
        is_whole = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_whole = False
    if not is_plain or not is_whole or not frozenset("@?#\\").isdisjoint(url):
        raise FormatError(field="witness.url", found=url, expected=expected)
    key = parse_vkey(vkey)
    if key.type_bytes != domains.NOTE_COSIGNATURE_ED25519:
        found, expected = f"a key of type {key.type_bytes.hex()}", "one of type 04: Ed25519 cosignatures"
        raise FormatError(field="witness.vkey", found=found, expected=expected)
    return WitnessAddress(url=url.rstrip("/"), key=key)
