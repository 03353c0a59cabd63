"""What lasts: raised once when it has lasted, cleared once when it is over. A pure step from one look to the next.

Rules
1. What is seen at every look without a look in between at which it was fine, for at least its patience, is raised.
2. What is raised is cleared when every look for at least `clear_ms` found it fine. So what flickers is one alarm.
3. A look that cannot tell (a source that does not answer says nothing of what it would show) changes nothing.
4. What is not looked for any more, as a source that was taken out of the settings, counts as fine.
5. An alarm that says it is over is of the same kind and severity as the one that it ends, and names the same moment.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from ledger.positions import Millis
from observer.monitor.alarms import Alarm, Phase, make_alarm
from observer.monitor.kinds import Kind

Key = tuple[Kind, str]
"""Kind and subject."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """What one look says of one condition.

    Attributes:
        kind: of the condition.
        subject: whose.
        words: what is the matter; empty if it is fine; None if this look cannot tell.
        patience_ms: how long it must last to be raised.
        nation: that it is about.
    """

    kind: Kind
    subject: str
    words: str | None
    patience_ms: int = 0
    nation: str | None = None


@dataclass(frozen=True, slots=True)
class Lasting:
    """A condition between looks.

    Attributes:
        since_ms: since when it lasts.
        raised_ms: when it was raised; None if it has not lasted yet.
        fine_ms: of one that is raised, since when it is fine; None while it lasts.
    """

    since_ms: Millis
    raised_ms: Millis | None = None
    fine_ms: Millis | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """What came of a look: the conditions that go on, and what is to be told."""

    lasting: Mapping[Key, Lasting]
    alarms: tuple[Alarm, ...]


def step(
    lasting: Mapping[Key, Lasting],
    sightings: Sequence[Sighting],
    *,
    ledger: str,
    judged: Sequence[Kind],
    now_ms: Millis,
    clear_ms: int,
) -> Step:
    """Take a look's sightings.

    Args:
        lasting: as the look before left it.
        sightings: one for each condition at most.
        ledger: fingerprint of the ledger's charter.
        judged: kinds of which this look names everything that it looks for.
        now_ms: by this machine's clock.
        clear_ms: how long something must be fine to be over.
    """
    seen = {(sighting.kind, sighting.subject): sighting for sighting in sightings}
    for kind, subject in lasting:
        if kind in judged and (kind, subject) not in seen:
            seen[kind, subject] = Sighting(kind, subject, "")
    after, alarms = dict(lasting), []
    for key, sighting in seen.items():
        if sighting.words is None:
            continue
        state, phase = _step(after.get(key), sighting, now_ms=now_ms, clear_ms=clear_ms)
        if phase is not None:
            raised_ms = (state or after[key]).raised_ms
            alarms.append(_tell(sighting, phase, ledger=ledger, raised_ms=raised_ms, now_ms=now_ms))
        after.pop(key, None)
        if state is not None:
            after[key] = state
    return Step(after, tuple(alarms))


def _step(
    state: Lasting | None, sighting: Sighting, *, now_ms: Millis, clear_ms: int
) -> tuple[Lasting | None, Phase | None]:
    if sighting.words:
        state = replace(state, fine_ms=None) if state is not None else Lasting(now_ms)
        if state.raised_ms is None and now_ms - state.since_ms >= sighting.patience_ms:
            return replace(state, raised_ms=now_ms), Phase.RAISED
        return state, None
    if state is None or state.raised_ms is None:
        return None, None
    fine_ms = now_ms if state.fine_ms is None else state.fine_ms
    if now_ms - fine_ms >= clear_ms:
        return None, Phase.CLEARED
    return replace(state, fine_ms=fine_ms), None


def _tell(sighting: Sighting, phase: Phase, *, ledger: str, raised_ms: Millis | None, now_ms: Millis) -> Alarm:
    is_over = phase is Phase.CLEARED
    return make_alarm(
        ledger,
        sighting.kind,
        sighting.subject,
        place=str(raised_ms),
        phase=phase,
        title=f"{sighting.subject}: {sighting.kind.meaning}",
        text="It is fine again." if is_over else f"{sighting.words}",
        nation=sighting.nation,
        seen_ms=now_ms,
    )
