"""A pause: proposed, joined by three nations each of which waits for another, in force, and lifted by a decision.

Runs in flight are frozen. One lab whose nation does not join pledges, and is bound with the others.
"""

from collections.abc import Mapping
from typing import Final

from devnet.year.acts import Act, Chapter, Header, Moment, Said, Write
from devnet.year.books import Book
from devnet.year.cast import AURELIA, BOREALIS, CIMBRIA, DACIA, HALCYON, KESTREL, MARTEN, LabRole
from devnet.year.chapters.training import make_weights, say_run
from devnet.year.terms import LIMITS
from ledger.positions import Interval
from ledger.statements.committee import (
    Approval,
    LiftPause,
    Proposal,
    compute_change_digest,
    encode_approval,
    encode_proposal,
)
from ledger.statements.pauses import (
    Activation,
    Cap,
    Condition,
    InFlightRun,
    LabPledge,
    PauseAccession,
    PauseFreeze,
    PauseProposal,
    Terms,
    compute_terms_digest,
    encode_lab_pledge,
    encode_pause_accession,
    encode_pause_freeze,
    encode_pause_proposal,
    make_limit_id,
)
from ledger.statements.reports import compute_band

PAUSE: Final = "stillness"
MOTION: Final = "end-of-stillness"
ACTIVATED: Final = 7
BEGINS: Final = 9
ENDS: Final = 15  # the first interval that it does not cover, since it is lifted
PLANNED_COUNT: Final = 12
CAP_PFLOP: Final = 10**9

JOINED: Final = (AURELIA, BOREALIS, CIMBRIA)
PLEDGED: Final = MARTEN
FROZEN: Final = (HALCYON, KESTREL)
GREW: Final = KESTREL
GREW_IN: Final = 11

_WAITS_FOR: Final = {AURELIA: BOREALIS, BOREALIS: CIMBRIA, CIMBRIA: AURELIA}


def is_bound(lab: LabRole) -> bool:
    """Say whether the pause binds a lab."""
    return lab.nation in JOINED or lab == PLEDGED


def find_promises(lab: LabRole, interval: int) -> tuple[str, ...]:
    """The limits that a lab's report on an interval of the story must promise."""
    limits = tuple(limit.id for limit in LIMITS)
    return (*limits, make_limit_id(PAUSE)) if is_bound(lab) and BEGINS <= interval < ENDS else limits


def make_terms(base: Interval) -> Terms:
    """What the pause asks."""
    return Terms(
        title="No large run for half a year",
        scope=(Cap(quantity="training_pflop_per_run", maximum=CAP_PFLOP),),
        first_interval=Interval(base + BEGINS),
        interval_count=PLANNED_COUNT,
        lapses=Interval(base + BEGINS),
        activation=Activation(nations_min=3, nations=(), capacity_permille_min=800),
        lift="When an evaluation exists on which the members agree.",
    )


def write_pause(base: Interval, books: Mapping[str, Mapping[int, Book]]) -> Chapter:
    """All of it; arguments as of `devnet.year.chapters.reporting.write_reports`."""
    terms = make_terms(base)
    proposes = Act(
        Moment(5, 350),
        AURELIA,
        lambda header, _: encode_pause_proposal(PauseProposal(**header, pause=PAUSE, terms=terms)),
        tells=f"Aurelia proposes a pause of {PLANNED_COUNT} fortnights on runs above 10^24 operations",
    )
    accedes = [
        Act(
            Moment(6, 350),
            nation,
            _accede(base, terms, other),
            tells=f"{nation.capitalize()} joins if {other.capitalize()} does",
        )
        for nation, other in _WAITS_FOR.items()
    ]
    pledges = Act(
        Moment(8, 350),
        PLEDGED.id,
        lambda header, _: encode_lab_pledge(LabPledge(**header, pause=PAUSE, terms=compute_terms_digest(terms))),
        tells=f"{PLEDGED.name} pledges to keep it, though {DACIA.capitalize()} has not joined",
    )
    freezes = [act for lab in FROZEN for act in _freeze(terms, lab, books[lab.id])]
    return Chapter("the pause", (proposes, *accedes, pledges, *freezes, *_grow(books), *_lift(), *_go_on(books)))


def _accede(base: Interval, terms: Terms, other: str) -> Write:
    condition = Condition(nations=(other,), nations_min=0, lapses=Interval(base + BEGINS))

    def write(header: Header, _: Mapping[str, Said]) -> bytes:
        digest = compute_terms_digest(terms)
        return encode_pause_accession(PauseAccession(**header, pause=PAUSE, terms=digest, joins=condition))

    return write


def _freeze(terms: Terms, lab: LabRole, books: Mapping[int, Book]) -> tuple[Act, Act]:
    done, at = books[BEGINS].before, Moment(BEGINS, 350)
    standing = InFlightRun(run=lab.run, checkpoint=make_weights(lab, done), band=compute_band(done), digests=())

    def write(header: Header, _: Mapping[str, Said]) -> bytes:
        digest = compute_terms_digest(terms)
        return encode_pause_freeze(PauseFreeze(**header, pause=PAUSE, terms=digest, runs=(standing,)))

    stands = f"{lab.name} freezes {lab.run} where it stands, at 10^{compute_band(done)} operations and more"
    return Act(at, lab.id, write, tells=stands), Act(at, lab.id, say_run(lab, "frozen", done=done))


def _grow(books: Mapping[str, Mapping[int, Book]]) -> tuple[Act, Act]:
    """A frozen run shows weights that nobody froze, and is stopped after the pause."""
    done = books[GREW.id][BEGINS].before
    grown = done + GREW.fact.share_pflop(0)
    tells = f"{GREW.name} says {GREW.run} is frozen, and names weights that it did not have when it froze"
    return (
        Act(Moment(GREW_IN, 350), GREW.id, say_run(GREW, "frozen", done=grown), tells=tells),
        Act(
            Moment(ENDS + 1, 350), GREW.id, say_run(GREW, "stopped", done=grown), tells=f"{GREW.name} stops {GREW.run}"
        ),
    )


def _lift() -> tuple[Act, ...]:
    change = LiftPause(pause=PAUSE)
    proposes = Act(
        Moment(ENDS - 1, 350),
        BOREALIS,
        lambda header, _: encode_proposal(Proposal(**header, proposal=MOTION, change=change)),
        tells="Borealis proposes to lift the pause",
    )
    votes = [_vote(nation, change, approves=nation != AURELIA) for nation in (AURELIA, BOREALIS, CIMBRIA, DACIA)]
    return proposes, *votes


def _vote(nation: str, change: LiftPause, *, approves: bool) -> Act:
    def write(header: Header, _: Mapping[str, Said]) -> bytes:
        digest = compute_change_digest(change)
        return encode_approval(Approval(**header, proposal=MOTION, change=digest, approves=approves))

    # Three say yes, and the last of them closes the vote: who says no must have spoken before.
    word, permille = ("yes", 550) if approves else ("no", 450)
    return Act(Moment(ENDS - 1, permille), nation, write, tells=f"{nation.capitalize()} says {word}")


def _go_on(books: Mapping[str, Mapping[int, Book]]) -> tuple[Act, Act]:
    """The run that stood still goes on where it stood, and is completed."""
    lab, at = HALCYON, ENDS + 1
    done, total = books[lab.id][at].before, lab.fact.pflop
    return (
        Act(Moment(at, 350), lab.id, say_run(lab, "started", done=done), tells=f"{lab.name} goes on with {lab.run}"),
        Act(
            Moment(at + 2, 350), lab.id, say_run(lab, "completed", done=total), tells=f"{lab.name} completes {lab.run}"
        ),
    )
