"""What must stand on the ledger when the year is over: every verdict with its reasons, and what became of the pause.

All of it is read from entries, as whoever keeps an audited copy has them. What is not named here must be compliant and
without a reason: a cheat that is caught at somebody else's expense would not be caught.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from devnet.year.cast import BOREALIS, LABS
from devnet.year.chapters.equivocating import EQUIVOCATOR, OTHER
from devnet.year.chapters.equivocating import INTERVAL as EQUIVOCATED
from devnet.year.chapters.inspecting import TRUTH
from devnet.year.chapters.lending import BORROWER, DIFFERENCE_IN, LENDER, LISTED_IN
from devnet.year.chapters.pause import ACTIVATED, BEGINS, ENDS, GREW, GREW_IN, JOINED, PAUSE, PLANNED_COUNT
from devnet.year.chapters.reporting import FORGOTTEN, LATE, UNDERSTATED, name_report
from devnet.year.chapters.training import RELEASED, RELEASED_IN, SEEN_IN, UNDECLARED
from devnet.year.script import LAST_REPORTED
from devnet.year.stage import Performance
from devnet.year.terms import ANSWER_INTERVALS
from ledger.positions import Interval
from ledger.statements.beacons import SAMPLE, SAMPLE_ANSWER, Sample, parse_sample, parse_sample_answer
from ledger.statements.computed import find_computed_kind, is_computed_entry
from ledger.statements.dsse import parse_envelope
from ledger.statements.intoto import find_kind
from ledger.statements.pauses import PAUSE_EVENT, PauseEvent, PauseStep, parse_pause_event
from ledger.statements.verdicts import VERDICT, Reason, Verdict, VerdictState, compute_worst_state, parse_verdict


@dataclass(frozen=True, slots=True)
class Expected:
    """The last word on one lab's interval.

    Attributes:
        lab: whose.
        interval: of the story.
        reasons: all of them, sorted; none for compliant.
        assurance: the level.
        because: what happened, for readers.
    """

    lab: str
    interval: int
    reasons: tuple[Reason, ...]
    because: str
    assurance: str = "A0"

    @property
    def state(self) -> VerdictState:
        """What the reasons call for."""
        return compute_worst_state(self.reasons)


_LENT: Final = (Reason.FOUND_INCONSISTENT, Reason.INVENTORY_DIFFERENCE, Reason.TRANSFER_DIFFERENCE)

EXPECTED: Final = (
    Expected(*FORGOTTEN, (Reason.NOT_FILED_BY_GRACE,), "did not report"),
    Expected(*LATE, (Reason.FILED_AFTER_DUE,), "reported late"),
    Expected(UNDECLARED.id, SEEN_IN, (Reason.RUN_UNDECLARED,), "ran what it had not declared"),
    Expected(RELEASED.id, RELEASED_IN, (Reason.RELEASED_UNREVIEWED,), "released a model before its review ended"),
    Expected(GREW.id, GREW_IN, (Reason.FROZEN_RUN_GREW,), "let a frozen run grow"),
    Expected(LENDER.id, DIFFERENCE_IN, _LENT, "lists what it lent"),
    Expected(BORROWER.id, DIFFERENCE_IN, _LENT, "lists what it was lent"),
    Expected(*UNDERSTATED, (Reason.CHECK_FAILED, Reason.FOUND_INCONSISTENT), "reported a tenth"),
    Expected(TRUTH.lab.id, TRUTH.interval, (), "was inspected, and had told the truth", "A3"),
    Expected(EQUIVOCATOR.id, EQUIVOCATED, (Reason.DISCLOSURE_DECLINED,), "signed two reports and opened neither"),
)
"""All last words that are not compliant and A0."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A sentence, whether it held, and what was found."""

    sentence: str
    holds: bool
    detail: str = ""


class Account:
    """The rules' words on a ledger in its own order, and which samples were answered."""

    def __init__(self, entries: Iterable[bytes]) -> None:
        """Read all computed entries out of a ledger's.

        Args:
            entries: all of the ledger, or those after its charter.
        """
        self.verdicts: dict[tuple[str, int], list[Verdict]] = {}
        self.events: list[PauseEvent] = []
        self.samples: list[Sample] = []
        self.answered: dict[tuple[str, int], bool] = {}
        for entry in entries:
            if is_computed_entry(entry):
                self._read_computed(entry)
                continue
            payload = parse_envelope(entry).payload
            if find_kind(payload) == SAMPLE_ANSWER:
                answer = parse_sample_answer(payload).predicate
                self.answered[answer.cluster, answer.round] = True

    def _read_computed(self, entry: bytes) -> None:
        match find_computed_kind(entry):
            case kind if kind == VERDICT:
                verdict = parse_verdict(entry)
                self.verdicts.setdefault((verdict.lab, verdict.interval), []).append(verdict)
            case kind if kind == PAUSE_EVENT:
                self.events.append(parse_pause_event(entry))
            case kind if kind == SAMPLE:
                self.samples.append(parse_sample(entry))
            case _:
                pass


def check_claims(base: Interval, entries: Iterable[bytes], performance: Performance) -> list[Claim]:
    """Hold a ledger against the story.

    Args:
        base: interval of the ledger that is interval 0 of the story.
        entries: all of the ledger's.
        performance: what came of the script.
    """
    account = Account(entries)
    surprises = performance.surprises
    return [
        Claim("every statement was taken, or refused, as the script has it", not surprises, "; ".join(surprises)),
        *(_check_verdict(account, base, expected) for expected in EXPECTED),
        _check_late_history(account, base),
        _check_lie(account, base),
        _check_samples(account, base),
        _check_equivocation(performance),
        *_check_pause(account, base),
        _check_others(account, base),
    ]


def _check_verdict(account: Account, base: Interval, expected: Expected) -> Claim:
    said = account.verdicts.get((expected.lab, base + expected.interval), [])
    reasons = ", ".join(expected.reasons) or "no reason"
    sentence = (
        f"{expected.lab.capitalize()} {expected.because}: fortnight {expected.interval} is "
        f"{expected.state} {expected.assurance}, {reasons}"
    )
    return Claim(sentence, bool(said) and _is_as(said[-1], expected), _describe(said[-1:]))


def _is_as(verdict: Verdict, expected: Expected) -> bool:
    return (verdict.state, verdict.reasons, verdict.assurance) == (
        expected.state,
        expected.reasons,
        expected.assurance,
    )


def _check_late_history(account: Account, base: Interval) -> Claim:
    """What was once said stays: before `missing` there was `pending`, and before `late` too."""
    lab, interval = FORGOTTEN
    states = [verdict.state for verdict in account.verdicts.get((lab, base + interval), [])]
    held = states == [VerdictState.PENDING, VerdictState.MISSING]
    return Claim(
        f"{lab.capitalize()}'s fortnight {interval} was pending before it was missing", held, " → ".join(states)
    )


def _check_lie(account: Account, base: Interval) -> Claim:
    lab, interval = UNDERSTATED
    first = account.verdicts.get((lab, base + interval), [])[:1]
    held = bool(first) and first[0].state == VerdictState.COMPLIANT
    return Claim(f"{lab.capitalize()}'s lie about fortnight {interval} was compliant at first", held, _describe(first))


def _check_samples(account: Account, base: Interval) -> Claim:
    """Those of the last rounds may wait for an answer still: their windows are longer than what is left of the year."""
    first, sure = base + LISTED_IN + 1, base + LAST_REPORTED - ANSWER_INTERVALS
    drawn = {(sample.lab, sample.interval) for sample in account.samples}
    due = [sample for sample in account.samples if sample.interval < sure]
    missing = [f"{lab.id} {k}" for lab in (LENDER, BORROWER) for k in range(first, sure) if (lab.id, k) not in drawn]
    missing += [f"{each.cluster} {each.round}" for each in due if (each.cluster, each.round) not in account.answered]
    sentence = f"beacons drew {len(account.samples)} samples from two inventories, and labs opened what was due"
    return Claim(sentence, bool(due) and not missing, ", ".join(missing))


def _check_equivocation(performance: Performance) -> Claim:
    """The refusal names the entry that stands under the number."""
    refusal, kept = performance.refusals.get(OTHER), performance.said.get(name_report(EQUIVOCATOR, EQUIVOCATED))
    held = refusal is not None and kept is not None and kept.leaf in refusal.expected
    detail = "it was not refused" if refusal is None else refusal.expected
    return Claim(f"{EQUIVOCATOR.name}'s second report is refused, and the refusal names the first", held, detail)


def _check_pause(account: Account, base: Interval) -> tuple[Claim, ...]:
    events = {event.event: event for event in account.events if event.pause == PAUSE}
    activated, lifted = events.get(PauseStep.ACTIVATED), events.get(PauseStep.LIFTED)
    nations = tuple(sorted(JOINED))
    joined = activated is not None and activated.nations == nations and activated.interval == base + BEGINS
    began = None if activated is None else activated.time_ms
    ended = lifted is not None and lifted.interval == base + ENDS
    planned = activated is not None and activated.until == base + BEGINS + PLANNED_COUNT
    return (
        Claim(
            f"A if B, B if C, C if A: at fortnight {ACTIVATED} all three join, and the pause begins with {BEGINS}",
            joined,
            "not activated" if activated is None else f"{', '.join(activated.nations)}, at {began} ms",
        ),
        Claim(
            f"{BOREALIS.capitalize()}'s proposal is carried, and ends the pause before its time, at fortnight {ENDS}",
            ended and planned,
            "not lifted" if lifted is None else f"lifted with interval {lifted.interval}",
        ),
    )


def _check_others(account: Account, base: Interval) -> Claim:
    named = {(expected.lab, expected.interval) for expected in EXPECTED}
    wrong: list[str] = []
    count = 0
    for lab in LABS:
        for interval in range(1, LAST_REPORTED + 1):
            said = account.verdicts.get((lab.id, base + interval), [])
            if (lab.id, interval) in named:
                continue
            count += 1
            if not said or said[-1].state != VerdictState.COMPLIANT or said[-1].reasons:
                wrong.append(f"{lab.id} {interval}: {_describe(said[-1:])}")
    return Claim(f"the other {count} last words are compliant, without a reason", not wrong, "; ".join(wrong))


def _describe(verdicts: Sequence[Verdict]) -> str:
    if not verdicts:
        return "no verdict"
    verdict = verdicts[0]
    return " ".join((verdict.state, verdict.assurance, *verdict.reasons))
