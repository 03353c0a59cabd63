"""What binds a lab now, found through the rules' state by its key: pauses in an interval, and a challenge to answer.

An answer costs a lookup in the state and one in the store for each entry, however long the ledger is.
"""

from collections.abc import Callable
from dataclasses import dataclass

from ledger.errors import Code, ConditionError
from ledger.limits import INTERVAL_MAX
from ledger.positions import Interval, LeafIndex
from ledger.rules.challenges import get_challenge
from ledger.rules.inspections import find_inspector
from ledger.rules.records.pauses import PAUSES
from ledger.rules.records.registry import LABS
from ledger.rules.state import State
from ledger.rules.undertakings import compute_binding
from node.store import Store


@dataclass(frozen=True, slots=True)
class SaidEntry:
    """An entry and where it stands."""

    index: LeafIndex
    entry: bytes


@dataclass(frozen=True, slots=True)
class SaidChallenge:
    """A challenge as it stands.

    Attributes:
        said: its entry.
        report: leaf hash of the declaration it is about.
        inspectors: nation, id and encryption key of each whom it names; no key if revoked since. None once it is
            closed.
    """

    said: SaidEntry
    report: bytes
    inspectors: tuple[tuple[str, str, bytes], ...]


class StandingQuestions:
    """Answers from the newest final state."""

    def __init__(self, state: Callable[[], State], store: Store) -> None:
        """Bind to what gives the state after the newest final block, and to where the entries are."""
        self._state, self._store = state, store

    def read_pauses(self, *, lab: str, interval: int, pause: str) -> tuple[SaidEntry, ...]:
        """Find the proposals of the pauses that bind a lab in an interval, or of one pause.

        Args:
            lab: id of the lab; not looked at with `pause`.
            interval: which.
            pause: id of the one pause; empty for those that bind.

        Raises:
            ConditionError: `NOT_FOUND`: no such lab, no such interval, no such pause. `NOT_READY`: a proposal is in
                the part of the history that this node does not hold.
        """
        state = self._state()
        if not pause:
            if LABS.get(state, lab.encode()) is None:
                raise _missing("lab", lab, "a lab that a nation registered")
            if interval > INTERVAL_MAX:
                raise _missing("interval", interval, f"at most {INTERVAL_MAX}")
            if state.charter.agreement is None:
                return ()
            bound = [PAUSES.require(state, each.encode()) for each in compute_binding(state, lab, Interval(interval))]
            return tuple(self._read(each.index) for each in bound)
        known = PAUSES.get(state, pause.encode())
        if known is None:
            raise _missing("pause", pause, "a pause that a nation proposed")
        return (self._read(known.index),)

    def read_challenge(self, challenge: str) -> SaidChallenge:
        """Find a challenge, and the keys of the inspectors whom it names.

        Raises:
            ConditionError: `NOT_FOUND`: no such challenge. `NOT_READY`: it is in the part of the history that this
                node does not hold.
        """
        state = self._state()
        raised = get_challenge(state, challenge)
        if raised is None:
            raise _missing("challenge", challenge, "a challenge that a nation raised")
        found = [(nation, name, find_inspector(state, nation, name)) for nation, name in raised.inspectors]
        inspectors = tuple((nation, name, b"" if each is None else each.encryption_key) for nation, name, each in found)
        return SaidChallenge(self._read(raised.index), raised.report, inspectors)

    def _read(self, index: LeafIndex) -> SaidEntry:
        entries = self._store.entries(index, 1)
        if not entries:
            expected = "a node that holds the whole history"
            raise ConditionError(field="index", found=index, expected=expected, code=Code.NOT_READY)
        return SaidEntry(index, entries[0])


def _missing(field: str, found: object, expected: str) -> ConditionError:
    return ConditionError(field=field, found=found, expected=expected, code=Code.NOT_FOUND)
