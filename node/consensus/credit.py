"""Whom this node still listens to: what is false costs it work, so who says false things is heard less and less.

A message that fails its check has cost a check or, if it was a certificate, up to q of them. A few such faults are
forgiven, since bits flip. From then on each fault brings a pause in which nothing of that member is taken in, twice as
long as the one before; each minute without a fault takes one off. So false messages of one member cost a bounded
number of checks a minute whatever it sends, and who never says a false thing never pays. Nothing here bears on safety,
nor on liveness: who pays has shown itself faulty, and the protocol gets on without f of these.
"""

from dataclasses import dataclass
from typing import Final

from ledger.positions import MemberIndex, Millis
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
    has_lied_about_share: bool = False


class Credit:
    """The faults of every member that has any."""

    def __init__(self) -> None:
        self._accounts: dict[MemberIndex, _Account] = {}

    def charge(self, member: MemberIndex, fault: Fault, now: Millis) -> None:
        """Note a fault that cost this node work."""
        if fault in FREE:
            return
        account = self._accounts.setdefault(member, _Account(last_ms=now, until_ms=now))
        account.has_lied_about_share |= fault is Fault.WRONG_SHARE
        forgiven = (now - account.last_ms) // FORGIVEN_EVERY_MS
        account.faults = min(max(account.faults - forgiven, 0) + 1, FREE_FAULTS + 1 + DOUBLINGS_MAX)
        account.last_ms = now
        if account.faults > FREE_FAULTS:
            pause_ms = PAUSE_MIN_MS << (account.faults - FREE_FAULTS - 1)
            account.until_ms = Millis(now + min(pause_ms, PAUSE_MAX_MS))

    def is_heard(self, member: MemberIndex, now: Millis) -> bool:
        """Tell whether what this member sends is taken in now."""
        account = self._accounts.get(member)
        return account is None or now >= account.until_ms

    def has_lied_about_share(self, member: MemberIndex) -> bool:
        """Tell whether this member's seal shares are checked one by one before they are combined with others'."""
        account = self._accounts.get(member)
        return account is not None and account.has_lied_about_share

    def set_back(self, by_ms: int) -> None:
        """Keep durations right when the clock was set back."""
        for account in self._accounts.values():
            account.last_ms = Millis(account.last_ms - by_ms)
            account.until_ms = Millis(account.until_ms - by_ms)
