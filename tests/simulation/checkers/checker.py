"""What every checker is: told of all that honest members say and do, it raises when it must never have happened."""

from collections.abc import Sequence

from ledger.blocks import Header
from node.consensus.messages import FinalBlock, Message


class ViolationError(AssertionError):
    """Something that the protocol promises never to happen has happened."""


class Checker:
    """One invariant. Only what honest members do is told; every method may be left out."""

    def on_said(self, member: int, message: Message) -> None:
        """Learn that an honest member sends a message to somebody."""

    def on_final(self, member: int, block: FinalBlock, entries: Sequence[bytes]) -> None:
        """Learn that an honest member has committed a block."""

    def on_started(self, member: int, tip: Header) -> None:
        """Learn that a member has come up again, and which block its disk ends with."""

    def on_acknowledged(self, member: int, leaf: bytes, index: int) -> None:
        """Learn that a member has said that an entry is sealed at an index."""

    def on_accused(self, accuser: int, accused: int, what: str, *, is_evidence: bool) -> None:
        """Learn that an honest member says of another that it did wrong."""


def require(condition: object, what: str) -> None:
    """Raise a violation unless something holds."""
    if not condition:
        raise ViolationError(what)
