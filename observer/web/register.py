"""Who and what was registered, proposed and asked, gathered from statements: labs, pauses, challenges, votes.

What is kept of a statement is what the pages need; whatever else it says is read from its entry when it is shown. The
rules executed none of this again: that a statement was allowed is what the quorum's seal says, and `observer.audit`
checks. One that is not of its kind's form tells nothing here.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from ledger.charter import Accelerator
from ledger.errors import FormatError
from ledger.positions import LeafIndex, Millis
from ledger.rules.capacity import compute_gflops
from ledger.statements.beacons import SAMPLE, SAMPLE_ANSWER, parse_sample, parse_sample_answer
from ledger.statements.committee import PROPOSAL, ExtendPause, LiftPause, Resolution, parse_proposal
from ledger.statements.dsse import parse_envelope
from ledger.statements.inspections import (
    CHALLENGE,
    RESPONSE,
    WITHDRAWAL,
    parse_challenge,
    parse_response,
    parse_withdrawal,
)
from ledger.statements.misconduct import MISCONDUCT, parse_misconduct
from ledger.statements.pauses import (
    LAB_PLEDGE,
    PAUSE_ACCESSION,
    PAUSE_EVENT,
    PAUSE_FREEZE,
    PAUSE_PROPOSAL,
    Condition,
    PauseEvent,
    PauseProposal,
    PauseStep,
    parse_lab_pledge,
    parse_pause_accession,
    parse_pause_event,
    parse_pause_freeze,
    parse_pause_proposal,
)
from ledger.statements.registry import REGISTRATION, Cluster, parse_registration
from ledger.statements.runs import RUN_DECISION, TRAINING_RUN, parse_run_decision, parse_training_run

ACTIVE_STEPS: Final = (PauseStep.ACTIVATED, PauseStep.JOINED, PauseStep.EXTENDED)


@dataclass(slots=True)
class LabRecord:
    """A lab as its registrations say, the newest first.

    Attributes:
        registration: index of the newest.
        clusters: all that were ever registered, by id, each as it was last.
        pauses: ids of those it pledged to.
    """

    id: str
    name: str
    nation: str
    registration: LeafIndex
    keys: tuple[bytes, ...]
    clusters: dict[str, Cluster] = field(default_factory=dict)
    pauses: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Spoken:
    """That somebody said something, and where."""

    issuer: str
    index: LeafIndex
    joins: Condition | None = None


@dataclass(slots=True)
class PauseRecord:
    """A pause: its proposal, and everything that was said of it."""

    index: LeafIndex
    proposal: PauseProposal
    terms: str
    accessions: dict[str, Spoken] = field(default_factory=dict)
    pledges: list[Spoken] = field(default_factory=list)
    freezes: list[Spoken] = field(default_factory=list)
    events: list[tuple[LeafIndex, PauseEvent]] = field(default_factory=list)

    @property
    def is_active(self) -> bool:
        """Whether it was activated and is not over."""
        return bool(self.events) and self.events[-1][1].event in ACTIVE_STEPS


@dataclass(frozen=True, slots=True)
class Dated:
    """Something that waits from the time of its block on: a challenge, a sample, a proposal to vote on, a run.

    Attributes:
        index: of the entry.
        time_ms: of its block.
        about: in words.
        window_ms: how long it waits, where the entry itself says so.
    """

    index: LeafIndex
    time_ms: Millis
    about: str
    window_ms: int = 0


class Register:
    """Everything that was gathered.

    Attributes:
        labs: by id.
        gflops: registered peak of every cluster, by id, as last said.
        pauses: by id, in the order of their proposals.
        challenges: that nobody has answered or withdrawn, by id.
        proposals: for the committee to vote on, by id.
        samples: that the lab has not answered, by round, purpose, lab and cluster.
        runs: that a lab declared and no nation has decided about, by lab and id.
        faults: kinds of misconduct proven against each nation, by its id.
        malformed_count: statements that are not of their kind's form.
    """

    def __init__(self, accelerators: tuple[Accelerator, ...]) -> None:
        self._accelerators = accelerators
        self.labs: dict[str, LabRecord] = {}
        self.gflops: dict[str, int] = {}
        self.pauses: dict[str, PauseRecord] = {}
        self.challenges: dict[str, Dated] = {}
        self.proposals: dict[str, Dated] = {}
        self.samples: dict[str, Dated] = {}
        self.runs: dict[str, Dated] = {}
        self.faults: dict[str, list[str]] = {}
        self.malformed_count = 0
        self._takers: Mapping[str, Callable[[LeafIndex, Millis, bytes], None]] = {
            REGISTRATION: self._take_registration,
            PAUSE_PROPOSAL: self._take_pause,
            PAUSE_ACCESSION: self._take_accession,
            LAB_PLEDGE: self._take_pledge,
            PAUSE_FREEZE: self._take_freeze,
            CHALLENGE: self._take_challenge,
            RESPONSE: self._take_response,
            WITHDRAWAL: self._take_withdrawal,
            PROPOSAL: self._take_proposal,
            SAMPLE_ANSWER: self._take_answer,
            TRAINING_RUN: self._take_run,
            RUN_DECISION: self._take_decision,
            MISCONDUCT: self._take_misconduct,
        }

    def take(self, kind: str, index: LeafIndex, time_ms: Millis, entry: bytes) -> None:
        """Take a statement, of whatever kind, in the order of the ledger."""
        try:
            if kind == PAUSE_EVENT:
                self._take_event(index, entry)
            elif kind == SAMPLE:
                self._take_sample(index, entry)
            elif kind in self._takers:
                self._takers[kind](index, time_ms, parse_envelope(entry).payload)
        except FormatError:
            self.malformed_count += 1

    def _take_registration(self, index: LeafIndex, _time_ms: Millis, payload: bytes) -> None:
        said = parse_registration(payload).predicate
        record = self.labs.get(said.lab)
        if record is None:
            record = LabRecord(said.lab, said.name, said.issuer, index, said.active_keys())
            self.labs[said.lab] = record
        record.name, record.nation, record.registration, record.keys = said.name, said.issuer, index, said.active_keys()
        for cluster in said.clusters:
            record.clusters[cluster.id] = cluster
            self.gflops[cluster.id] = compute_gflops(cluster, self._accelerators)

    def _take_pause(self, index: LeafIndex, _time_ms: Millis, payload: bytes) -> None:
        statement = parse_pause_proposal(payload)
        record = PauseRecord(index, statement.predicate, statement.subject.digest.sha256)
        self.pauses.setdefault(statement.predicate.pause, record)

    def _take_accession(self, index: LeafIndex, _time_ms: Millis, payload: bytes) -> None:
        said = parse_pause_accession(payload).predicate
        if said.pause in self.pauses:
            self.pauses[said.pause].accessions[said.issuer] = Spoken(said.issuer, index, said.joins)

    def _take_pledge(self, index: LeafIndex, _time_ms: Millis, payload: bytes) -> None:
        said = parse_lab_pledge(payload).predicate
        if said.pause in self.pauses:
            self.pauses[said.pause].pledges.append(Spoken(said.issuer, index))
            if said.issuer in self.labs:
                self.labs[said.issuer].pauses.append(said.pause)

    def _take_freeze(self, index: LeafIndex, _time_ms: Millis, payload: bytes) -> None:
        said = parse_pause_freeze(payload).predicate
        if said.pause in self.pauses:
            self.pauses[said.pause].freezes.append(Spoken(said.issuer, index))

    def _take_event(self, index: LeafIndex, entry: bytes) -> None:
        said = parse_pause_event(entry)
        if said.pause in self.pauses:
            self.pauses[said.pause].events.append((index, said))

    def _take_challenge(self, index: LeafIndex, time_ms: Millis, payload: bytes) -> None:
        said = parse_challenge(payload).predicate
        about = f"{said.lab}/{said.cluster}, interval {said.interval}"
        self.challenges[said.challenge] = Dated(index, time_ms, about)

    def _take_response(self, _index: LeafIndex, _time_ms: Millis, payload: bytes) -> None:
        self.challenges.pop(parse_response(payload).predicate.challenge, None)

    def _take_withdrawal(self, _index: LeafIndex, _time_ms: Millis, payload: bytes) -> None:
        self.challenges.pop(parse_withdrawal(payload).predicate.challenge, None)

    def _take_sample(self, index: LeafIndex, entry: bytes) -> None:
        said = parse_sample(entry)
        about = f"{said.lab}/{said.cluster}, round {said.round}"
        dated = Dated(index, said.time_ms, about, max(0, said.answer_by_ms - said.time_ms))
        self.samples[_name_sample(said.round, said.purpose, said.lab, said.cluster)] = dated

    def _take_answer(self, _index: LeafIndex, _time_ms: Millis, payload: bytes) -> None:
        said = parse_sample_answer(payload).predicate
        self.samples.pop(_name_sample(said.round, said.purpose, said.issuer, said.cluster), None)

    def _take_run(self, index: LeafIndex, time_ms: Millis, payload: bytes) -> None:
        said = parse_training_run(payload).predicate
        name = f"{said.issuer}/{said.run}"
        if said.state == "declared":
            self.runs.setdefault(name, Dated(index, time_ms, f"{said.issuer}, run {said.run}"))
        else:
            self.runs.pop(name, None)

    def _take_decision(self, _index: LeafIndex, _time_ms: Millis, payload: bytes) -> None:
        said = parse_run_decision(payload).predicate
        self.runs.pop(f"{said.lab}/{said.run}", None)

    def _take_proposal(self, index: LeafIndex, time_ms: Millis, payload: bytes) -> None:
        said = parse_proposal(payload).predicate
        self.proposals[said.proposal] = Dated(index, time_ms, _describe_change(said.change))

    def _take_misconduct(self, _index: LeafIndex, _time_ms: Millis, payload: bytes) -> None:
        evidence = parse_misconduct(payload).predicate.evidence
        self.faults.setdefault(evidence.accused, []).append(evidence.misconduct)


def _name_sample(beacon_round: int, purpose: str, lab: str, cluster: str) -> str:
    return f"{beacon_round}/{purpose}/{lab}/{cluster}"


def _describe_change(change: LiftPause | ExtendPause | Resolution) -> str:
    match change:
        case LiftPause(pause=pause):
            return f"lift the pause {pause}"
        case ExtendPause(pause=pause, until=until):
            return f"extend the pause {pause} until interval {until}"
        case Resolution(text=text):
            return text
