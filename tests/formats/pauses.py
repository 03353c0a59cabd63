"""Formats of pauses and of the committee's decisions: statements, events, and what of them stands in a state."""

import json
from collections.abc import Callable
from typing import Any

from ledger.disclosure import compute_decoy
from ledger.limits import BAND_MAX, INTEGER_MAX, INTERVAL_MAX, MEMBERS_MAX, PAUSE_ID_CHARACTERS_MAX, SIZE_MAX
from ledger.positions import Interval, LeafIndex, Millis
from ledger.rules.records.capacity import CAPACITIES, Capacity, make_cluster_name, make_nation_name
from ledger.rules.records.committee import MOTIONS, Motion
from ledger.rules.records.pauses import (
    COMMITMENTS,
    FROZEN_RUNS,
    PAUSES,
    UNDERTAKINGS,
    Commitment,
    Decision,
    Freeze,
    FrozenRun,
    Joined,
    Pause,
    Undertakings,
    make_pair_name,
    make_place_name,
)
from ledger.rules.records.tallies import TALLIES, Tally
from ledger.rules.state import State
from ledger.statements.committee import (
    Approval,
    ExtendPause,
    LiftPause,
    Proposal,
    Resolution,
    encode_approval,
    encode_proposal,
    parse_approval,
    parse_proposal,
)
from ledger.statements.intoto import Statement, encode_quantity
from ledger.statements.pauses import (
    Activation,
    Cap,
    Condition,
    HiddenRunState,
    InFlightRun,
    LabPledge,
    PauseAccession,
    PauseEvent,
    PauseFreeze,
    PauseProposal,
    PauseStep,
    Terms,
    encode_hidden_run_state,
    encode_lab_pledge,
    encode_pause_accession,
    encode_pause_event,
    encode_pause_freeze,
    encode_pause_proposal,
    parse_hidden_run_state,
    parse_lab_pledge,
    parse_pause_accession,
    parse_pause_event,
    parse_pause_freeze,
    parse_pause_proposal,
)
from tests.formats.draws import Draw
from tests.formats.entries import distinct, header


def pause_id(draw: Draw) -> str:
    return draw.identifier()[:PAUSE_ID_CHARACTERS_MAX]


def interval(draw: Draw) -> Interval:
    return Interval(draw.number(INTERVAL_MAX))


def _write(
    draw: Draw,
    kind: Callable[..., Any],  # each kind's own predicate
    encode: Callable[[Any], bytes],
    parse: Callable[[bytes], Statement[Any]],
    **fields: object,
) -> bytes:
    made = kind(**header(draw), **fields)
    raw = encode(made)
    assert parse(raw).predicate == made
    return raw


def proposal(draw: Draw) -> bytes:
    changes = (
        LiftPause(pause=pause_id(draw)),
        ExtendPause(pause=pause_id(draw), until=Interval(1 + draw.number(INTERVAL_MAX - 1))),
        Resolution(text=draw.text(), digest=draw.hex32()),
    )
    fields = {"proposal": draw.identifier(), "change": draw.pick(changes)}
    return _write(draw, Proposal, encode_proposal, parse_proposal, **fields)


def approval(draw: Draw) -> bytes:
    fields = {"proposal": draw.identifier(), "change": draw.hex32(), "approves": draw.flag()}
    return _write(draw, Approval, encode_approval, parse_approval, **fields)


def pause_proposal(draw: Draw) -> bytes:
    terms = Terms(
        title=draw.text(),
        scope=tuple(
            Cap(quantity=quantity, maximum=encode_quantity(draw.number(SIZE_MAX)))
            for quantity in ("energy_wh_per_interval", "training_pflop_per_run")[: 1 + draw.below(2)]
        ),
        first_interval=interval(draw),
        interval_count=1 + draw.number(INTERVAL_MAX - 1),
        lapses=interval(draw),
        activation=Activation(
            nations_min=draw.between(1, MEMBERS_MAX),
            nations=tuple(distinct(draw, 0, 3)),
            capacity_permille_min=draw.between(0, 1000),
        ),
        lift=draw.text(),
    )
    return _write(draw, PauseProposal, encode_pause_proposal, parse_pause_proposal, pause=pause_id(draw), terms=terms)


def pause_accession(draw: Draw) -> bytes:
    condition = Condition(
        nations=tuple(distinct(draw, 0, 3)), nations_min=draw.between(0, MEMBERS_MAX), lapses=interval(draw)
    )
    fields = {"pause": pause_id(draw), "terms": draw.hex32(), "joins": condition if draw.flag() else None}
    return _write(draw, PauseAccession, encode_pause_accession, parse_pause_accession, **fields)


def lab_pledge(draw: Draw) -> bytes:
    fields = {"pause": pause_id(draw), "terms": draw.hex32()}
    return _write(draw, LabPledge, encode_lab_pledge, parse_lab_pledge, **fields)


def pause_freeze(draw: Draw) -> bytes:
    runs = tuple(
        InFlightRun(
            run=run,
            checkpoint=draw.hex32(),
            band=draw.between(0, BAND_MAX),
            digests=tuple(sorted(dict.fromkeys(compute_decoy(draw.digest()) for _ in range(draw.below(4))))),
        )
        for run in distinct(draw, 1, 4)
    )
    fields = {"pause": pause_id(draw), "terms": draw.hex32(), "runs": runs}
    return _write(draw, PauseFreeze, encode_pause_freeze, parse_pause_freeze, **fields)


def hidden_run_state(draw: Draw) -> bytes:
    hidden = HiddenRunState(
        run_pflop=encode_quantity(draw.number(SIZE_MAX)),
        cumulative_pflop=encode_quantity(draw.number(SIZE_MAX)),
        checkpoint_bytes=encode_quantity(draw.number(SIZE_MAX)),
    )
    values = encode_hidden_run_state(hidden)
    assert parse_hidden_run_state(values) == hidden
    return json.dumps(values, separators=(",", ":")).encode()


def pause_event(draw: Draw) -> bytes:
    made = PauseEvent(
        ledger=draw.hex32(),
        pause=pause_id(draw),
        terms=draw.hex32(),
        event=draw.pick(tuple(PauseStep)),
        interval=interval(draw),
        until=interval(draw) if draw.flag() else None,
        nations=tuple(distinct(draw, 0, 4)),
        pledge_count=draw.number(INTEGER_MAX),
        cause=LeafIndex(1 + draw.number(INTEGER_MAX - 1)),
        time_ms=Millis(draw.number()),
    )
    raw = encode_pause_event(made)
    assert parse_pause_event(raw) == made
    return raw


def make_state(draw: Draw) -> State:
    """A record of every table that these subjects have."""
    state, pause, party = State(), pause_id(draw), draw.identifier()
    motion = Motion(
        proposer=draw.identifier(),
        index=LeafIndex(draw.number()),
        digest=draw.digest(),
        kind=draw.pick(("lift-pause", "extend-pause", "resolution")),
        pause=pause,
        until=interval(draw),
        votes=draw.some_raw(1, 5),
        outcome=draw.below(3),
        decided_by=LeafIndex(draw.number()) if draw.flag() else None,
    )
    MOTIONS.put(state, motion, draw.identifier().encode())
    TALLIES.put(state, Tally(draw.below(9), draw.below(9), draw.below(9), draw.below(9)), party.encode())
    kept = Pause(
        proposer=draw.identifier(),
        index=LeafIndex(draw.number()),
        terms=draw.digest(),
        first_interval=interval(draw),
        interval_count=draw.below(99),
        lapses=interval(draw),
        nations_min=draw.below(9),
        nations=tuple(distinct(draw, 0, 3)),
        capacity_permille_min=draw.below(1001),
        phase=draw.below(3),
        newest=interval(draw),
        start=interval(draw),
        end=interval(draw),
        joined=draw.some(lambda: Joined(draw.identifier(), interval(draw)), 0, 3),
        pledge_count=draw.below(9),
        decisions=draw.some(lambda: Decision(interval(draw), LeafIndex(draw.number()), interval(draw)), 0, 2),
    )
    PAUSES.put(state, kept, pause.encode())
    commitment = Commitment(
        interval(draw), LeafIndex(draw.number()), tuple(distinct(draw, 0, 3)), draw.below(9), interval(draw)
    )
    COMMITMENTS.put(state, commitment, make_pair_name(pause, party))
    undertakings = Undertakings(interval(draw), tuple(distinct(draw, 0, 4)))
    UNDERTAKINGS.put(state, undertakings, make_place_name(party, draw.below(2**32)))
    freezes = draw.some(lambda: Freeze(pause_id(draw), draw.digest(), draw.below(41), LeafIndex(draw.number())), 0, 2)
    FROZEN_RUNS.put(state, FrozenRun(freezes), make_pair_name(party, draw.identifier()))
    CAPACITIES.put(state, Capacity(str(draw.number())), make_cluster_name(draw.identifier()))
    CAPACITIES.put(state, Capacity(str(draw.number() * draw.number())), make_nation_name(draw.identifier()))
    return state


def pause_records(draw: Draw) -> bytes:
    """Each key and each value."""
    return b"".join(b"%b\n%b\n" % item for item in make_state(draw).items())
