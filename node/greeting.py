"""What two members must agree on before anything else between them is believed."""

from dataclasses import dataclass
from typing import Final

from ledger.errors import Code, ConditionError
from ledger.positions import MemberIndex
from node.v1 import peer_pb2

PROTOCOL_VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class Greeting:
    """What this side says of itself."""

    ledger_id: bytes
    session_id: bytes
    member: MemberIndex


def verify_greeting(
    theirs: peer_pb2.GreetRequest | peer_pb2.GreetResponse, *, mine: Greeting, member: MemberIndex
) -> None:
    """Check that the other side speaks this protocol, of this ledger, as the member its certificate names.

    Raises:
        ConditionError: `VERSION_MISMATCH`, `WRONG_LEDGER`, `UNAUTHENTICATED`.
    """
    if theirs.protocol_version != PROTOCOL_VERSION:
        raise ConditionError(
            field="greeting.protocol_version",
            found=theirs.protocol_version,
            expected=str(PROTOCOL_VERSION),
            code=Code.VERSION_MISMATCH,
        )
    # A founder that has the charter already still answers those that are finishing the ceremony, and the reverse.
    same_session = mine.session_id != b"" and theirs.session_id == mine.session_id
    if theirs.ledger_id == mine.ledger_id == b"" and not same_session:
        raise ConditionError(
            field="greeting.session_id",
            found=theirs.session_id.hex() or "none",
            expected=f"{mine.session_id.hex()[:16]}…: do all founders have the same draft?",
            code=Code.WRONG_LEDGER,
        )
    if theirs.ledger_id != mine.ledger_id and not (same_session and b"" in (theirs.ledger_id, mine.ledger_id)):
        raise ConditionError(
            field="greeting.ledger_id",
            found=theirs.ledger_id.hex() or "none",
            expected=mine.ledger_id.hex() or "none: still founding",
            code=Code.WRONG_LEDGER,
        )
    if theirs.member != member:
        raise ConditionError(
            field="greeting.member", found=theirs.member, expected=str(member), code=Code.UNAUTHENTICATED
        )
