"""What the entries of one block give cause to say: a pure function of the block and of what was open before it.

1. Blocks are taken one by one, in order, whole; so how a history was split into syncs changes no alarm.
2. Verdicts of one block on one lab, interval and state are one alarm that lists the clusters: a lab with two hundred
   clusters that files nothing is one matter. A first verdict of `compliant` is none; a state never stands without its
   assurance level.
3. Reports, inventories, beacons, samples and their answers are routine, and no alarms; what follows from them is.
4. Every other entry is an alarm of its own, in the words of its statement. What parties write is quoted, whatever it
   claims; whether it is right is said by verdicts, or by nobody.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from ledger.positions import Millis
from ledger.statements.beacons import BEACON, SAMPLE, SAMPLE_ANSWER
from ledger.statements.intoto import ZERO_HASH
from ledger.statements.inventories import INVENTORY
from ledger.statements.misconduct import MisconductReport
from ledger.statements.reports import REPORT
from ledger.statements.verdicts import Verdict, VerdictState
from observer.monitor.alarms import Alarm, list_names, make_alarm
from observer.monitor.docket import Docket
from observer.monitor.kinds import Kind
from observer.monitor.readings import Reading
from observer.monitor.words import NAMES_SHOWN_MAX, Said, say

ROUTINE: Final = (REPORT, INVENTORY, BEACON, SAMPLE, SAMPLE_ANSWER)

_STATES: Final[Mapping[VerdictState, tuple[Kind, str]]] = {
    VerdictState.PENDING: (Kind.VERDICT_PENDING, "report overdue"),
    VerdictState.COMPLIANT: (Kind.VERDICT_COMPLIANT, "compliant now"),
    VerdictState.LATE: (Kind.VERDICT_LATE, "report late"),
    VerdictState.UNVERIFIABLE: (Kind.VERDICT_UNVERIFIABLE, "unverifiable"),
    VerdictState.CONTESTED: (Kind.VERDICT_CONTESTED, "contested"),
    VerdictState.MISSING: (Kind.VERDICT_MISSING, "missing"),
    VerdictState.EXCEEDED: (Kind.VERDICT_EXCEEDED, "limit exceeded"),
}
assert set(_STATES) == set(VerdictState)


def tell_block(readings: Sequence[Reading], docket: Docket, *, seen_ms: Millis) -> list[Alarm]:
    """Make the alarms of one block, and take its entries into the docket.

    Args:
        readings: all entries of the block, in order.
        docket: what was open before the block; after it, what is open then.
        seen_ms: by this machine's clock.
    """
    alarms = _tell_verdicts(readings, docket, seen_ms)
    for reading in readings:
        if reading.predicate is None:
            alarms.append(_tell_fault(reading, docket, seen_ms))
        elif not isinstance(reading.predicate, Verdict) and reading.kind not in ROUTINE:
            alarms.append(_tell(reading, reading.predicate, docket, seen_ms))
        carried = docket.take(reading)
        if carried is not None:
            title = f"decided: {carried.words}"
            text = f"Proposal {carried.id} of {carried.proposer} is carried: {carried.words}."
            alarms.append(
                _make(reading, docket, (Kind.PROPOSAL_CARRIED, title, text), about=carried.proposer, seen_ms=seen_ms)
            )
    return alarms


def _tell_verdicts(readings: Sequence[Reading], docket: Docket, seen_ms: Millis) -> list[Alarm]:
    groups: dict[tuple[str, int, VerdictState], list[tuple[Reading, Verdict]]] = {}
    for reading in readings:
        verdict = reading.predicate
        if isinstance(verdict, Verdict) and not _is_first_and_fine(verdict):
            groups.setdefault((verdict.lab, verdict.interval, verdict.state), []).append((reading, verdict))
    alarms = []
    for (lab, interval, state), found in groups.items():
        kind, words = _STATES[state]
        first, verdict = found[0]
        assurances = ", ".join(sorted({each.assurance for _, each in found}))
        listed = list_names([_name_cluster(each) for _, each in found], shown_max=NAMES_SHOWN_MAX)
        before = "" if verdict.supersedes == ZERO_HASH else " This supersedes an earlier verdict."
        text = (
            f"{verdict.nation}: verdict {state} ({assurances}) on {listed}.{before} The first is entry {first.index}."
        )
        alarms.append(
            make_alarm(
                docket.ledger,
                kind,
                f"{lab}/{interval}",
                place=str(first.index),
                title=f"{lab}, interval {interval}: {words} ({assurances})",
                text=text,
                lab=lab,
                nation=verdict.nation,
                index=first.index,
                ledger_ms=first.time_ms,
                seen_ms=seen_ms,
            )
        )
    return alarms


def _name_cluster(verdict: Verdict) -> str:
    return f"{verdict.cluster} ({', '.join(verdict.reasons)})" if verdict.reasons else verdict.cluster


def _is_first_and_fine(verdict: Verdict) -> bool:
    return verdict.state is VerdictState.COMPLIANT and verdict.supersedes == ZERO_HASH


def _tell_fault(reading: Reading, docket: Docket, seen_ms: Millis) -> Alarm:
    if reading.kind:
        said = (Kind.ENTRY_MALFORMED, f"sealed entry {reading.index} is no {reading.kind}", f"{reading.fault}.")
    else:
        said = (Kind.ENTRY_UNKNOWN, f"sealed entry {reading.index} is of no known kind", f"It is of {reading.fault}.")
    return _make(reading, docket, said, about="", seen_ms=seen_ms)


def _tell(reading: Reading, predicate: msgspec.Struct, docket: Docket, seen_ms: Millis) -> Alarm:
    said = say(predicate)
    issuer = getattr(predicate, "issuer", "")
    accused = predicate.evidence.accused if isinstance(predicate, MisconductReport) else ""
    return _make(reading, docket, said, about=accused or getattr(predicate, "lab", "") or issuer, seen_ms=seen_ms)


def _make(reading: Reading, docket: Docket, said: Said, *, about: str, seen_ms: Millis) -> Alarm:
    kind, title, text = said
    nation = docket.nation_of(about)
    return make_alarm(
        docket.ledger,
        kind,
        reading.subject,
        place=str(reading.index),
        title=title,
        text=f"{text} Entry {reading.index}.",
        lab=about if nation is not None and nation != about else None,
        nation=nation,
        index=reading.index,
        ledger_ms=reading.time_ms,
        seen_ms=seen_ms,
    )
