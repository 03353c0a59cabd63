"""Votes as members sign them: what a vote can say, the bytes its signature is over, and which pairs are misconduct.

A member's vote is its word to the other members; two that exclude each other are proof against it that anybody can
check with the charter alone. So what is signed stands here, where rules and observers find it; what members do with
votes is `node.consensus`.
Source: Chan & Pass, Simplex Consensus (IACR ePrint 2023/463) §2, with explicit votes to nullify.
"""

from enum import IntEnum, StrEnum
from typing import Final

from ledger import domains
from ledger.encoding import encode_u64
from ledger.limits import HASH_BYTES, SEAL_BYTES
from ledger.positions import Epoch, View

NO_DIGEST: Final = b""
NO_SHARE: Final = b""


class VoteKind(IntEnum):
    """What a vote says of its view; the number is the byte that is signed and sent."""

    NOTARIZE = 1
    NULLIFY = 2
    FINALIZE = 3


class Misconduct(StrEnum):
    """Pairs of votes, or a vote, that no honest member makes: anyone can check them against the charter's keys."""

    DOUBLE_NOTARIZE = "DOUBLE_NOTARIZE"
    DOUBLE_FINALIZE = "DOUBLE_FINALIZE"
    NULLIFY_AND_FINALIZE = "NULLIFY_AND_FINALIZE"
    WRONG_SHARE = "WRONG_SHARE"


def compute_vote_message(
    *, ledger_id: bytes, kind: VoteKind, epoch: Epoch, view: View, digest: bytes, share: bytes
) -> bytes:
    """Give the bytes a vote's signature is over; a digest or share that the vote lacks stands as zeros."""
    return b"".join(
        (
            domains.VOTE,
            ledger_id,
            bytes((kind,)),
            encode_u64(epoch),
            encode_u64(view),
            digest or bytes(HASH_BYTES),
            share or bytes(SEAL_BYTES),
        )
    )
