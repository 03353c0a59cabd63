"""The ledger a lab reports to, pinned by its charter's fingerprint: whatever a node says is held against this.

The fingerprint comes from a person who compared it; charter and transcript come from any node or disk. The transcript
carries the members' ML-DSA-44 keys, with which archival receipts are checked; it is the one that the charter names.
"""

import hashlib
from dataclasses import dataclass

from ledger.charter import Charter, ledger_keys, parse_charter
from ledger.encoding import decode_hex
from ledger.errors import Code, FormatError, PolicyError
from ledger.limits import HASH_BYTES
from ledger.policy import LedgerKeys
from ledger.threshold.transcripts import compute_transcript_digest, parse_transcript


@dataclass(frozen=True, slots=True)
class PinnedLedger:
    """A ledger whose charter has the fingerprint that was asked for. Made by `pin_ledger` alone.

    Attributes:
        charter: signed by all founders.
        transcript: of the ceremony, as published.
        keys: by which checkpoints of this ledger are believed, ML-DSA keys included.
    """

    charter: Charter
    transcript: bytes
    keys: LedgerKeys


def parse_fingerprint(text: str) -> bytes:
    """Read a charter's fingerprint as people write it: 64 hexadecimal digits, in either case, spaces allowed.

    Raises:
        FormatError: something else.
    """
    joined = "".join(text.split()).lower()
    return decode_hex(joined, field="charter fingerprint", size=HASH_BYTES)


def pin_ledger(entry: bytes, transcript: bytes, *, fingerprint: bytes) -> PinnedLedger:
    """Believe a charter because it has the fingerprint, and a transcript because the charter names it.

    Args:
        entry: entry 0, from a stranger.
        transcript: of the ceremony, from a stranger.
        fingerprint: SHA-256 of entry 0, from a source that is trusted.

    Raises:
        PolicyError: the charter of another ledger (`WRONG_LEDGER`).
        LedgerError: not a charter, not signed by every founder, or another transcript.
    """
    found = hashlib.sha256(entry).digest()
    if found != fingerprint:
        raise PolicyError(
            field="charter fingerprint", found=found.hex(), expected=fingerprint.hex(), code=Code.WRONG_LEDGER
        )
    charter = parse_charter(entry)
    digest = compute_transcript_digest(transcript).hex()
    if digest != charter.predicate.transcript:
        raise FormatError(field="transcript", found=digest, expected=f"SHA-256 {charter.predicate.transcript}")
    cosigners = parse_transcript(transcript).cosigners_ml_dsa
    if len(cosigners) != len(charter.members):
        raise FormatError(field="transcript", found=f"{len(cosigners)} keys", expected="one of each member")
    ml_dsa_keys = dict(zip((member.index for member in charter.members), cosigners, strict=True))
    return PinnedLedger(charter=charter, transcript=transcript, keys=ledger_keys(charter, ml_dsa_keys))
