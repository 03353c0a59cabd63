"""A small ledger on which pauses are proposed, joined and lifted: what parties say, and what the rules say of it."""

import hashlib
from collections.abc import Callable, Sequence
from typing import Any, Literal

import msgspec

from ledger.agreement import Agreement, Decisions, Pauses
from ledger.charter import Accelerator
from ledger.errors import Rejection
from ledger.positions import Interval, Seconds
from ledger.positions import Sequence as SequenceNumber
from ledger.rules.apply import Applied
from ledger.statements.committee import (
    Approval,
    ExtendPause,
    LiftPause,
    Proposal,
    Resolution,
    compute_change_digest,
    encode_approval,
    encode_proposal,
)
from ledger.statements.computed import find_computed_kind
from ledger.statements.dsse import sign_envelope
from ledger.statements.pauses import (
    PAUSE_EVENT,
    Activation,
    Cap,
    Condition,
    InFlightRun,
    LabPledge,
    PauseAccession,
    PauseEvent,
    PauseFreeze,
    PauseProposal,
    Terms,
    compute_terms_digest,
    encode_lab_pledge,
    encode_pause_accession,
    encode_pause_freeze,
    encode_pause_proposal,
    parse_pause_event,
)
from tests.ledger.rulebook import AGREEMENT, INTERVAL_S, Party, World, make_charter_entry

MEMBERS = ("avalon", "brittia", "cockaigne", "dorado")
"""Four nations: three are a quorum, and not all."""

A, B, C, D = MEMBERS
NOTICE_S = 50
WINDOW_S = 200
INTERVALS_MAX = 100

Change = LiftPause | ExtendPause | Resolution
RESOLUTION = Resolution(text="We meet again.", digest=hashlib.sha256(b"minutes").hexdigest())


def boundary(interval: int) -> int:
    """When an interval begins, as blocks are timed in tests."""
    return interval * INTERVAL_S


def make_terms(
    *,
    first: int = 3,
    count: int = 4,
    lapses: int = 8,
    nations_min: int = 2,
    nations: Sequence[str] = (),
    permille: int = 0,
) -> Terms:
    return Terms(
        title="A pause",
        scope=(Cap(quantity="training_pflop_per_run", maximum=10**9),),
        first_interval=Interval(first),
        interval_count=count,
        lapses=Interval(lapses),
        activation=Activation(nations_min=nations_min, nations=tuple(nations), capacity_permille_min=permille),
        lift="When an agreed evaluation exists.",
    )


def make_agreement(*, lift: Literal["quorum", "all"] = "quorum", notice_s: int = NOTICE_S) -> Agreement:
    return msgspec.structs.replace(
        AGREEMENT,
        pauses=Pauses(notice_s=Seconds(notice_s), lift=lift, duration_max_s=Seconds(INTERVALS_MAX * INTERVAL_S)),
        decisions=Decisions(voting_window_s=Seconds(WINDOW_S)),
    )


def make_entry(
    *, lift: Literal["quorum", "all"] = "quorum", notice_s: int = NOTICE_S, accelerators: Sequence[Accelerator] = ()
) -> bytes:
    agreement = make_agreement(lift=lift, notice_s=notice_s)
    return make_charter_entry(agreement=agreement, nations=MEMBERS, accelerators=accelerators)


PAUSE_ENTRY = make_entry()


class PauseWorld(World):
    """A ledger of four nations with makers of what is said about pauses; each maker gives the entry."""

    def __init__(self, charter_entry: bytes = PAUSE_ENTRY) -> None:
        super().__init__(charter_entry)
        self.terms: dict[str, Terms] = {}
        self.motions: dict[str, Change] = {}
        self.seen = 0

    def sign(self, party: str, encode: Callable[[Any], bytes], kind: Callable[..., Any], **fields: object) -> bytes:
        """A statement of whichever kind, with the header that comes next."""
        issuer: Party = self.nations.get(party) or self.labs[party]
        header = {
            "ledger": self.ledger,
            "issuer": party,
            "sequence": SequenceNumber(issuer.sequence),
            "previous": issuer.previous,
            "issued_at": Seconds(0),
            "corrects": None,
        }
        return sign_envelope(encode(kind(**(header | fields))), [issuer.key.signer])

    def pause(self, nation: str, pause: str = "p", terms: Terms | None = None) -> bytes:
        self.terms[pause] = terms or make_terms()
        return self.sign(nation, encode_pause_proposal, PauseProposal, pause=pause, terms=self.terms[pause])

    def digest(self, pause: str) -> str:
        return compute_terms_digest(self.terms.get(pause) or make_terms())

    def accede(
        self,
        nation: str,
        pause: str = "p",
        *,
        nations: Sequence[str] = (),
        nations_min: int = 0,
        lapses: int = 1_000,
        **changes: object,
    ) -> bytes:
        joins = Condition(nations=tuple(nations), nations_min=nations_min, lapses=Interval(lapses))
        fields = {"pause": pause, "terms": self.digest(pause), "joins": joins} | changes
        return self.sign(nation, encode_pause_accession, PauseAccession, **fields)

    def withdraw(self, nation: str, pause: str = "p") -> bytes:
        return self.accede(nation, pause, joins=None)

    def pledge(self, lab: str, pause: str = "p", **changes: object) -> bytes:
        fields = {"pause": pause, "terms": self.digest(pause)} | changes
        return self.sign(lab, encode_lab_pledge, LabPledge, **fields)

    def freeze(self, lab: str, *runs: str, pause: str = "p", **changes: object) -> bytes:
        listed = tuple(
            InFlightRun(run=run, checkpoint=hashlib.sha256(run.encode()).hexdigest(), band=22, digests=())
            for run in runs
        )
        fields = {"pause": pause, "terms": self.digest(pause), "runs": listed} | changes
        return self.sign(lab, encode_pause_freeze, PauseFreeze, **fields)

    def motion(self, nation: str, change: Change, proposal: str = "m") -> bytes:
        self.motions[proposal] = change
        return self.sign(nation, encode_proposal, Proposal, proposal=proposal, change=change)

    def vote(self, nation: str, proposal: str = "m", *, approves: bool = True, **changes: object) -> bytes:
        digest = compute_change_digest(self.motions.get(proposal, RESOLUTION))
        fields = {"proposal": proposal, "change": digest, "approves": approves} | changes
        return self.sign(nation, encode_approval, Approval, **fields)

    def decide(self, at: int, change: Change, proposal: str = "m", *, voters: Sequence[str] = MEMBERS[:3]) -> int:
        """Propose and carry; gives the index of the proposal."""
        index = self.size_after_opening(at)
        self.accept(at, self.motion(MEMBERS[0], change, proposal))
        for voter in voters:
            self.accept(at, self.vote(voter, proposal))
        return index

    def size_after_opening(self, at: int) -> int:
        """The index that an entry gets which is accepted next, in a block of its own."""
        self.block(at)
        return self.size

    def activate(self, pause: str = "p", terms: Terms | None = None, *, nations: Sequence[str] = (A, B)) -> None:
        """A pause that these join without condition: proposed in interval 0, activated at the beginning of 1."""
        self.accept(10, self.pause(A, pause, terms))
        for nation in nations:
            self.accept(20, self.accede(nation, pause))
        self.block(boundary(1))

    def events(self) -> list[PauseEvent]:
        """All that the rules have said of pauses."""
        return [parse_pause_event(entry) for entry in self.computed if find_computed_kind(entry) == PAUSE_EVENT]

    def story(self) -> list[tuple[str, str, int, int | None]]:
        """All events: pause, what came, from which interval on, until which one."""
        return [(each.pause, str(each.event), each.interval, each.until) for each in self.events()]

    def new_story(self) -> list[tuple[str, str, int, int | None]]:
        """Those that were not asked for before."""
        story = self.story()
        new, self.seen = story[self.seen :], len(story)
        return new


def code_of(outcome: Rejection | Applied) -> tuple[str, str]:
    """Code and field of a refusal, without what every field begins with."""
    assert isinstance(outcome, Rejection), outcome
    return str(outcome.code), outcome.field.removeprefix("statement.predicate.")
