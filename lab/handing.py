"""What goes to inspectors: a file encrypted to each of them, under a name that says whose it is."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from ledger.errors import FormatError
from ledger.openings import compute_openings_context

FILE_SUFFIX: Final = ".openings.hpke"

Keys = Mapping[tuple[str, str], bytes]
"""X25519 key of each inspector, by nation and id."""


def encrypt_to_each(raw: bytes, keys: Keys, *, ledger_id: bytes, subject: str) -> dict[tuple[str, str], bytes]:
    """Encrypt to every inspector: HPKE, base mode, with an ephemeral key from the operating system (RFC 9180 §6.1).

    Args:
        raw: what is handed over.
        keys: of the inspectors.
        ledger_id: hash of entry 0.
        subject: id of the challenge, or name of the sample, that it answers.

    Raises:
        FormatError: a key of small order.
    """
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey  # noqa: PLC0415 - only this needs it
    from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite  # noqa: PLC0415

    suite = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.CHACHA20_POLY1305)
    sealed = {}
    for (nation, inspector), key in keys.items():
        context = compute_openings_context(ledger_id=ledger_id, challenge=subject, nation=nation, inspector=inspector)
        try:
            sealed[nation, inspector] = suite.encrypt(raw, X25519PublicKey.from_public_bytes(key), info=context)
        except ValueError:  # a point of small order: anybody could open what is encrypted to it
            expected = "an X25519 key of full order"
            raise FormatError(field=f"key {nation}/{inspector}", found=key.hex(), expected=expected) from None
    return sealed


def name_files(folder: Path, subject: str, boxes: Mapping[str, bytes]) -> dict[Path, bytes]:
    """Give each inspector's file a name in a folder; boxes by `nation/inspector`."""
    stem = subject.replace("/", "_")
    return {folder / f"{stem}_{name.replace('/', '_')}{FILE_SUFFIX}": raw for name, raw in boxes.items()}
