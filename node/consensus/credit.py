"""Whom this node still listens to: what is false costs it work, so who says false things is heard less and less.

A message that fails its check has cost a check or, if it was a certificate, up to q of them. A few such faults are
forgiven, since bits flip. From then on each fault brings a pause in which nothing that comes the same way is taken in,
twice as long as the one before; each minute without a fault takes one off. So false messages of one member cost a
bounded number of checks a minute whatever it sends, and who never says a false thing never pays.

Each of a member's streams has its own account, and so have its answers to this node's questions: who stole a member's
TLS key can pour out falsehoods in its name, but what the true node says beside them is heard. What was signed with the
member's identity key, as a wrong share is, is the member's own word, and held against it whichever way it came.
The edge may ask first (`is_heard`), and spare itself and the core what would not be looked at.

Nothing here bears on safety, nor on liveness: who pays has shown itself faulty, and the protocol gets on without f of
these.
"""

from dataclasses import dataclass
from typing import Final

from ledger.positions import MemberIndex, Millis
from node.consensus.lanes import SIGNED, Lane
from node.consensus.messages import Fault

FREE_FAULTS: Final = 3
PAUSE_MIN_MS: Final = 100
PAUSE_MAX_MS: Final = 60_000
FORGIVEN_EVERY_MS: Final = 60_000  # one fault
DOUBLINGS_MAX: Final = (PAUSE_MAX_MS // PAUSE_MIN_MS).bit_length()
assert PAUSE_MIN_MS << DOUBLINGS_MAX >= PAUSE_MAX_MS
FREE: Final = frozenset({Fault.HELD_BACK})  # cost this node nothing


@dataclass(slots=True)
class _Account:
    last_ms: Millis
    until_ms: Millis
    faults: int = 0


class Credit:
    """The faults of every member that has any, by the way they came."""

    def __init__(self) -> None:
        self._accounts: dict[tuple[MemberIndex, Lane], _Account] = {}

    def charge(self, member: MemberIndex, lane: Lane, fault: Fault, now: Millis) -> None:
        """Note a fault that cost this node work; `SIGNED` if the member's own signature proves it."""
        if fault in FREE:
            return
        account = self._accounts.setdefault((member, lane), _Account(last_ms=now, until_ms=now))
        forgiven = (now - account.last_ms) // FORGIVEN_EVERY_MS
        account.faults = min(max(account.faults - forgiven, 0) + 1, FREE_FAULTS + 1 + DOUBLINGS_MAX)
        account.last_ms = now
        if account.faults > FREE_FAULTS:
            pause_ms = PAUSE_MIN_MS << (account.faults - FREE_FAULTS - 1)
            account.until_ms = Millis(now + min(pause_ms, PAUSE_MAX_MS))

    def is_heard(self, member: MemberIndex, lane: Lane, now: Millis) -> bool:
        """Tell whether what this member sends this way is taken in now."""
        accounts = (self._accounts.get((member, way)) for way in (SIGNED, lane))
        return all(account is None or now >= account.until_ms for account in accounts)

    def has_lied_about_share(self, member: MemberIndex) -> bool:
        """Tell whether this member's seal shares are checked one by one before they are combined with others'."""
        return (member, SIGNED) in self._accounts

    def set_back(self, by_ms: int) -> None:
        """Keep durations right when the clock was set back."""
        for account in self._accounts.values():
            account.last_ms = Millis(account.last_ms - by_ms)
            account.until_ms = Millis(account.until_ms - by_ms)
