"""What is open on the ledger: a fold over its entries, without executing the rules.

Only what has a window is kept: declared runs, reviews, proposals, challenges, samples, pauses; until when each is open
is said by `observer.monitor.deadlines`. A matter is taken out when its answer is sealed. That what is sealed obeys the
rules is for `observer.audit` to say, so an entry that answers nothing known is passed over here.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from ledger.charter import Charter
from ledger.positions import Interval, LeafIndex, Millis
from ledger.rules.grid import (
    compute_grid,
    compute_next_interval,
)
from ledger.statements.beacons import SAMPLE, SAMPLE_ANSWER, Sample, SampleAnswer
from ledger.statements.committee import APPROVAL, PROPOSAL, Approval, LiftPause, Proposal
from ledger.statements.inspections import (
    CHALLENGE,
    FINDING,
    RESPONSE,
    WITHDRAWAL,
    Challenge,
    Finding,
    Response,
    Withdrawal,
)
from ledger.statements.notices import INCIDENT, OUTAGE, Incident
from ledger.statements.pauses import PAUSE_EVENT, PAUSE_PROPOSAL, PauseEvent, PauseProposal, PauseStep
from ledger.statements.registry import REGISTRATION, Registration
from ledger.statements.runs import (
    RELEASE_NOTICE,
    RELEASE_REVIEW,
    REVIEW_EVENT,
    RUN_DECISION,
    TRAINING_RUN,
    EventName,
    ReleaseNotice,
    ReleaseReview,
    ReviewEvent,
    RunDecision,
    TrainingRun,
)
from observer.monitor.readings import Reading
from observer.monitor.words import say_change

KINDS: Final = (
    *(REGISTRATION, INCIDENT, TRAINING_RUN, RUN_DECISION, RELEASE_REVIEW, REVIEW_EVENT, RELEASE_NOTICE),
    *(PROPOSAL, APPROVAL, CHALLENGE, WITHDRAWAL, RESPONSE, FINDING, SAMPLE, SAMPLE_ANSWER, PAUSE_PROPOSAL, PAUSE_EVENT),
)
"""What the docket is made of."""


@dataclass(frozen=True, slots=True)
class Carried:
    """A proposal that was decided with the vote just taken in."""

    id: str
    proposer: str
    words: str


@dataclass(slots=True)
class Open:
    """What was said that is open, with the entry that opened it."""

    said: Any  # the predicate of the kind that each table holds
    opened_ms: Millis
    index: LeafIndex


@dataclass(slots=True)
class Vote(Open):
    """A proposal, and what each nation said of it last."""

    yes: dict[str, bool] = field(default_factory=dict)


@dataclass(slots=True)
class OpenReview(Open):
    """A review, and its steps so far."""

    steps: list[tuple[Millis, EventName]] = field(default_factory=list)


@dataclass(slots=True)
class RaisedChallenge(Open):
    """A challenge: since when it is answered, and who found what."""

    answered_ms: Millis | None = None
    found: dict[str, dict[tuple[str, str], None]] = field(default_factory=dict)


@dataclass(slots=True)
class OpenPause(Open):
    """A pause that is not over, and where it stands; the event has the interval in which it begins."""

    event: PauseEvent | None = None


class Docket:
    """What is open after the entries that were taken in; they come in the order of the ledger."""

    def __init__(self, charter: Charter) -> None:
        """Begin with nothing but the charter."""
        self.ledger: Final = charter.fingerprint
        self.charter: Final = charter
        self.grid: Final = compute_grid(charter.grid)
        self._members: Final = {member.id for member in charter.members}
        self.labs: dict[str, tuple[str, Interval]] = {}  # nation, and the first interval that counts
        self.outages_told: dict[tuple[str, Interval], Millis] = {}
        self.runs: dict[tuple[str, str], Open] = {}
        self.reviews: dict[tuple[str, str], OpenReview] = {}
        self.votes: dict[str, Vote] = {}
        self.challenges: dict[str, RaisedChallenge] = {}
        self.samples: dict[str, Open] = {}
        self.pauses: dict[str, OpenPause] = {}
        self._takers: Final[dict[type[msgspec.Struct], Callable[[Any, Open, str], Carried | None]]] = {
            Registration: self._take_registration,
            Incident: self._take_incident,
            TrainingRun: self._take_run,
            RunDecision: self._take_decision,
            ReleaseReview: self._take_review,
            ReviewEvent: self._take_review_event,
            ReleaseNotice: self._take_release,
            Proposal: self._take_proposal,
            Approval: self._take_approval,
            Challenge: self._take_challenge,
            Withdrawal: self._take_withdrawal,
            Response: self._take_response,
            Finding: self._take_finding,
            Sample: self._take_sample,
            SampleAnswer: self._take_sample_answer,
            PauseProposal: self._take_pause,
            PauseEvent: self._take_pause_event,
        }

    def nation_of(self, name: str) -> str | None:
        """Name the nation that a lab was registered by, or itself for a nation; None for anybody else."""
        if name in self._members:
            return name
        lab = self.labs.get(name)
        return None if lab is None else lab[0]

    def take(self, reading: Reading) -> Carried | None:
        """Take an entry in; gives the proposal that it decided, if it did."""
        take = None if reading.predicate is None else self._takers.get(type(reading.predicate))
        if take is None:
            return None
        return take(reading.predicate, Open(reading.predicate, reading.time_ms, reading.index), reading.subject)

    # -- taking in ----------------------------------------------------------------------------------------------------

    def _take_registration(self, said: Registration, at: Open, _: str) -> None:
        first = compute_next_interval(self.grid, at.opened_ms)
        self.labs[said.lab] = (said.issuer, self.labs[said.lab][1] if said.lab in self.labs else first)

    def _take_incident(self, said: Incident, at: Open, _: str) -> None:
        if said.category == OUTAGE:
            self.outages_told.setdefault((said.issuer, said.interval), at.opened_ms)

    def _take_run(self, said: TrainingRun, at: Open, _: str) -> None:
        if said.state == "declared":
            self.runs.setdefault((said.issuer, said.run), at)
        else:
            self.runs.pop((said.issuer, said.run), None)

    def _take_decision(self, said: RunDecision, _at: Open, _: str) -> None:
        self.runs.pop((said.lab, said.run), None)

    def _take_review(self, said: ReleaseReview, at: Open, _: str) -> None:
        self.reviews.setdefault((said.issuer, said.model), OpenReview(said, at.opened_ms, at.index))

    def _take_review_event(self, said: ReviewEvent, at: Open, _: str) -> None:
        review = self.reviews.get((said.lab, said.model))
        if review is not None and said.event in ("cleared", "blocked"):
            del self.reviews[said.lab, said.model]
        elif review is not None:
            review.steps.append((at.opened_ms, said.event))

    def _take_release(self, said: ReleaseNotice, _at: Open, _: str) -> None:
        self.reviews.pop((said.issuer, said.model), None)

    def _take_proposal(self, said: Proposal, at: Open, _: str) -> None:
        self.votes.setdefault(said.proposal, Vote(said, at.opened_ms, at.index))

    def _take_approval(self, said: Approval, _at: Open, _: str) -> Carried | None:
        vote = self.votes.get(said.proposal)
        if vote is None:
            return None
        vote.yes[said.issuer] = said.approves
        if sum(vote.yes.values()) < self.count_votes_needed(vote.said):
            return None
        del self.votes[said.proposal]
        return Carried(said.proposal, vote.said.issuer, say_change(vote.said))

    def count_votes_needed(self, said: Proposal) -> int:
        """Say how many members must vote yes."""
        agreement = self.charter.agreement
        needs_all = agreement is not None and agreement.pauses.lift == "all" and isinstance(said.change, LiftPause)
        return len(self._members) if needs_all else self.charter.quorum

    def _take_challenge(self, said: Challenge, at: Open, _: str) -> None:
        self.challenges.setdefault(said.challenge, RaisedChallenge(said, at.opened_ms, at.index))

    def _take_withdrawal(self, said: Withdrawal, _at: Open, _: str) -> None:
        self.challenges.pop(said.challenge, None)

    def _take_response(self, said: Response, at: Open, _: str) -> None:
        raised = self.challenges.get(said.challenge)
        if raised is not None and said.outcome == "provided":
            raised.answered_ms = at.opened_ms
        else:
            self.challenges.pop(said.challenge, None)

    def _take_finding(self, said: Finding, _at: Open, _: str) -> None:
        raised, agreement = self.challenges.get(said.challenge), self.charter.agreement
        if raised is None or agreement is None:
            return
        agreeing = raised.found.setdefault(said.conclusion, {})
        agreeing[said.issuer, said.inspector] = None
        terms, nations = agreement.challenges, {nation for nation, _ in agreeing}
        if len(agreeing) >= terms.inspectors_min and len(nations) >= terms.nations_min:
            del self.challenges[said.challenge]

    def _take_sample(self, _said: Sample, at: Open, subject: str) -> None:
        self.samples[subject] = at
        passed = [name for name, other in self.samples.items() if other.said.answer_by_ms < at.opened_ms]
        for name in passed if len(passed) > len(self.samples) // 2 else ():
            del self.samples[name]

    def _take_sample_answer(self, _said: SampleAnswer, _at: Open, subject: str) -> None:
        self.samples.pop(subject, None)

    def _take_pause(self, said: PauseProposal, at: Open, _: str) -> None:
        self.pauses.setdefault(said.pause, OpenPause(said, at.opened_ms, at.index))

    def _take_pause_event(self, said: PauseEvent, _at: Open, _: str) -> None:
        pause = self.pauses.get(said.pause)
        if pause is None:
            return
        if said.event in (PauseStep.LIFTED, PauseStep.EXPIRED, PauseStep.LAPSED):
            del self.pauses[said.pause]
        elif pause.event is None or said.event is not PauseStep.ACTIVATED:
            first = said.interval if pause.event is None else pause.event.interval
            pause.event = msgspec.structs.replace(said, interval=first)
