"""Pauses: from a proposal over accessions that depend on each other to a pause in force, and to its end.

What parties say (times are those of blocks; *the next boundary* is the first one after the block's time):
1. A nation proposes a pause under an id that was never used and is no limit of the charter. Nations that its terms name
   are members. It begins not before the first boundary after the notice of the charter, counted from now; it lasts at
   most `duration_max_s`; it lapses, and begins, at most that long after the next boundary. A nation has at most
   `PAUSES_OPEN_MAX` of its pauses at a time that are not over.
2. A nation accedes, on a condition, or takes that back, until the pause binds it. From then on it can do neither. Its
   newest accession counts. It counts at boundaries, from the next one on until and with the one at which it lapses.
3. A lab pledges, without condition and for good, as long as the pause is not over.
4. Both repeat the digest of the terms, and have room for one more undertaking (`ledger.rules.undertakings`).

What follows, at every boundary, in the first block at or after it, before the statements of that block:
5. Before it is activated: the greatest fixed point of the accessions that count (`ledger.rules.accessions`) says who
   would join. If they are as many as the terms ask, with all whom they name, and with such a share of the capacity
   (`ledger.rules.capacity`; where nobody registered any, no share is enough), the pause is *activated*: they have
   joined, and nobody can leave. It begins with `first_interval`, or with the first boundary at or after the end of the
   notice, counted from this one, whichever is later, and lasts as long as its terms say. If not, and this is the
   boundary at which it lapses, it has *lapsed*.
6. Once it is activated, in this order: what the committee decided since the last boundary (`ledger.rules.committee`),
   in the order of decisions: it is *lifted*, and ends here; or *extended*, if its new end is later. If it ends here, it
   has *expired*. If nations acceded since the last boundary: the fixed point over them and those who have joined, whose
   conditions no longer matter; who is new has *joined*, and is bound from here, or from the beginning of the pause if
   that is still to come.
7. Each of these words is an event, a computed entry. A pause that is lifted, has expired or lapsed is over for good.

Boundaries are dates that parties chose: an outage moves none. When the first block after it comes, each boundary that
went by is served in turn, with what was on the ledger before; so who is bound, and from when, follows from what could
be read when the boundary came. What happens at a boundary changes no interval before it.

If so much falls due at one boundary that a pause waits for the next block, what is said meanwhile counts from the next
boundary all the same; an accession that is replaced or taken back meanwhile does not count at the one that waits.

A boundary looks at nothing but pauses that are not over, at accessions of those only if new ones came or capacity is
asked for; a pause that cannot be activated at one boundary can by no lapse be activated at the next. So of the
boundaries of a silence only the first ones and the last one of a pause are looked at, however many there are.
"""

from typing import Final

import msgspec

from ledger.agreement import Pauses
from ledger.errors import Code, Rejection, reject
from ledger.positions import Interval, LeafIndex, Millis
from ledger.rules.accessions import compute_joined
from ledger.rules.agenda import schedule
from ledger.rules.capacity import compute_share
from ledger.rules.entries import Context, Kind
from ledger.rules.grid import Grid, compute_next_interval, compute_start_ms
from ledger.rules.records.agenda import Event
from ledger.rules.records.foundation import CLOCK, FOUNDATION, NATIONS
from ledger.rules.records.pauses import (
    COMMITMENTS,
    PAUSES,
    Commitment,
    Decision,
    Joined,
    Pause,
    Phase,
    make_pair_name,
)
from ledger.rules.records.tallies import NO_TALLY, TALLIES
from ledger.rules.state import State
from ledger.rules.undertakings import (
    UNDERTAKINGS_MAX,
    find_joined_since,
    list_open_undertakings,
    put_undertakings,
)
from ledger.statements.pauses import (
    LAB_PLEDGE,
    PAUSE_ACCESSION,
    PAUSE_PROPOSAL,
    LabPledge,
    PauseAccession,
    PauseEvent,
    PauseProposal,
    PauseStep,
    compute_terms_digest,
    encode_pause_event,
    make_limit_id,
    parse_lab_pledge,
    parse_pause_accession,
    parse_pause_proposal,
)

PAUSE_TOPIC: Final = "pause"

PAUSES_OPEN_MAX: Final = 4

EXTENSIONS_WAITING_MAX: Final = 8
"""Of one pause, for one boundary: each is an event that names all who joined, and the block must hold them."""

_FIELD: Final = "statement.predicate"


def find_open_pause(state: State, pause_id: str, *, field: str, terms: str | None = None) -> Pause | Rejection:
    """Give a pause that is not over, or why there is none.

    Args:
        state: to look into.
        pause_id: which.
        field: name of the id's place in refusals.
        terms: hex digest that the speaker read; None if it names none.
    """
    pause = PAUSES.get(state, pause_id.encode())
    if pause is None:
        return reject(Code.UNKNOWN_PAUSE, field=field, found=pause_id, expected="a pause that was proposed")
    if terms is not None and terms != pause.terms.hex():
        return reject(Code.TERMS_MISMATCH, field=f"{_FIELD}.terms", found=terms, expected=pause.terms.hex())
    if pause.phase == Phase.OVER:
        return reject(Code.PAUSE_CLOSED, field=field, found=f"{pause_id}, which is over", expected="one that is not")
    return pause


def compute_intervals_max(state: State) -> int:
    """How many intervals a pause may last by the charter."""
    return _get_rules(state).duration_max_s * 1000 // FOUNDATION.require(state).grid.interval_ms


def check_extension(state: State, pause_id: str, *, field: str) -> Rejection | None:
    """Refuse one more extension of a pause for the next boundary than a block has room for. The pause is known."""
    decisions = PAUSES.require(state, pause_id.encode()).decisions
    count = sum(decision.until > 0 for decision in decisions)
    if count < EXTENSIONS_WAITING_MAX:
        return None
    return reject(
        Code.TOO_MANY_OPEN,
        field=field,
        found=f"{count} extensions of {pause_id} that carried and wait for the next boundary",
        expected=f"fewer than {EXTENSIONS_WAITING_MAX}: vote again after it",
    )


def put_decision(state: State, pause_id: str, decision: Decision) -> None:
    """Keep a decision of the committee until the boundary that puts it into effect. The pause is not over."""
    pause = PAUSES.require(state, pause_id.encode())
    changed = msgspec.structs.replace(pause, decisions=(*pause.decisions, decision))
    PAUSES.put(state, changed, pause_id.encode())


def apply_proposal(state: State, context: Context, proposal: PauseProposal) -> Rejection | None:
    """Put a pause up for others to join (rule 1). Believes that the header was checked."""
    tally = TALLIES.get(state, proposal.issuer.encode()) or NO_TALLY
    rejection = _check_id(state, proposal.pause) or _check_terms(state, context.time_ms, proposal)
    if rejection is not None:
        return rejection
    if tally.pauses_open >= PAUSES_OPEN_MAX:
        return reject(
            Code.TOO_MANY_OPEN,
            field=f"{_FIELD}.pause",
            found=f"{tally.pauses_open} pauses of {proposal.issuer} that are not over",
            expected=f"fewer than {PAUSES_OPEN_MAX}",
        )
    terms, grid = proposal.terms, FOUNDATION.require(state).grid
    pause = Pause(
        proposer=proposal.issuer,
        index=context.index,
        terms=bytes.fromhex(compute_terms_digest(terms)),
        first_interval=terms.first_interval,
        interval_count=terms.interval_count,
        lapses=terms.lapses,
        nations_min=terms.activation.nations_min,
        nations=terms.activation.nations,
        capacity_permille_min=terms.activation.capacity_permille_min,
        phase=Phase.PROPOSED,
        newest=Interval(0),
        start=Interval(0),
        end=Interval(0),
        joined=(),
        pledge_count=0,
        decisions=(),
    )
    PAUSES.put(state, pause, proposal.pause.encode())
    counted = msgspec.structs.replace(tally, pauses_open=tally.pauses_open + 1)
    TALLIES.put(state, counted, proposal.issuer.encode())
    _schedule_boundary(state, proposal.pause, compute_next_interval(grid, context.time_ms))
    return None


def apply_accession(state: State, context: Context, accession: PauseAccession) -> Rejection | None:
    """Let a nation join on its condition, or take that back (rule 2). Believes that the header was checked."""
    nation, pause_id = accession.issuer, accession.pause
    pause = find_open_pause(state, pause_id, field=f"{_FIELD}.pause", terms=accession.terms)
    if isinstance(pause, Rejection):
        return pause
    if find_joined_since(pause, nation) is not None:
        return reject(
            Code.ALREADY_BOUND, field=f"{_FIELD}.joins", found=f"{nation} has joined", expected="nothing more"
        )
    name = make_pair_name(pause_id, nation)
    since = compute_next_interval(FOUNDATION.require(state).grid, context.time_ms)
    undertaken = list_open_undertakings(state, nation)
    others = tuple(other for other in undertaken if other != pause_id)
    if accession.joins is None:
        if COMMITMENTS.get(state, name) is None:
            return reject(
                Code.INVALID_FIELD, field=f"{_FIELD}.joins", found="null", expected="a condition: nothing to take back"
            )
        COMMITMENTS.put(state, None, name)
        put_undertakings(state, nation, others, since=since)
        return None
    joins = accession.joins
    rejection = (
        _check_nations(state, joins.nations, joins.nations_min, field=f"{_FIELD}.joins")
        or _check_interval(joins.lapses, least=since, most=None, field=f"{_FIELD}.joins.lapses")
        or _check_room(others, nation)
    )
    if rejection is not None:
        return rejection
    COMMITMENTS.put(state, Commitment(since, context.index, joins.nations, joins.nations_min, joins.lapses), name)
    if pause_id not in undertaken:
        put_undertakings(state, nation, (*others, pause_id), since=since)
    PAUSES.put(state, msgspec.structs.replace(pause, newest=since), pause_id.encode())
    return None


def apply_pledge(state: State, context: Context, pledge: LabPledge) -> Rejection | None:
    """Let a lab bind itself (rule 3). Believes that the header was checked."""
    lab, pause_id = pledge.issuer, pledge.pause
    pause = find_open_pause(state, pause_id, field=f"{_FIELD}.pause", terms=pledge.terms)
    if isinstance(pause, Rejection):
        return pause
    name = make_pair_name(pause_id, lab)
    if COMMITMENTS.get(state, name) is not None:
        return reject(Code.ALREADY_BOUND, field=f"{_FIELD}.pause", found=f"{lab} has pledged", expected="nothing more")
    undertaken = list_open_undertakings(state, lab)
    rejection = _check_room(undertaken, lab)
    if rejection is not None:
        return rejection
    since = compute_next_interval(FOUNDATION.require(state).grid, context.time_ms)
    COMMITMENTS.put(state, Commitment(since, context.index), name)
    put_undertakings(state, lab, (*undertaken, pause_id), since=since)
    PAUSES.put(state, msgspec.structs.replace(pause, pledge_count=pause.pledge_count + 1), pause_id.encode())
    return None


def serve_boundaries(state: State, event: Event) -> list[bytes]:
    """Look at a pause at each boundary that has come since the last look (rules 5 to 7), and give the events."""
    pause_id, grid, entries = event.name.decode(), FOUNDATION.require(state).grid, list[bytes]()
    boundary = compute_next_interval(grid, Millis(event.due_ms - 1))
    following = compute_next_interval(grid, CLOCK.require(state).time_ms)
    while boundary < following:
        pause = PAUSES.require(state, event.name)
        if pause.phase == Phase.PROPOSED:
            entries += _try_to_activate(state, pause_id, pause, boundary)
        else:
            entries += _continue(state, pause_id, pause, boundary)
        pause = PAUSES.require(state, event.name)
        if pause.phase == Phase.OVER:
            return entries
        boundary = _find_next_boundary(pause, boundary)
    _schedule_boundary(state, pause_id, following)
    return entries


def _find_next_boundary(pause: Pause, boundary: Interval) -> Interval:
    """The next boundary at which something may come of a pause of which nothing more is said."""
    if pause.newest > boundary or any(decision.since > boundary for decision in pause.decisions):
        return Interval(boundary + 1)
    last = pause.lapses if pause.phase == Phase.PROPOSED else pause.end
    return Interval(max(boundary + 1, last))


def _try_to_activate(state: State, pause_id: str, pause: Pause, boundary: Interval) -> list[bytes]:
    """Rule 5."""
    if pause.newest >= boundary or pause.capacity_permille_min:
        conditions = _find_conditions(state, pause_id, pause, boundary)
        nations = compute_joined(conditions)
        if _is_enough(state, pause, nations):
            grid = FOUNDATION.require(state).grid
            start = max(pause.first_interval, _compute_after_notice(state, grid, compute_start_ms(grid, boundary)))
            activated = msgspec.structs.replace(
                pause,
                phase=Phase.ACTIVATED,
                start=start,
                end=Interval(start + pause.interval_count),
                joined=tuple(Joined(nation, start) for nation in nations),
            )
            PAUSES.put(state, activated, pause_id.encode())
            cause = max(conditions[nation].index for nation in nations)
            return [_tell(state, pause_id, activated, PauseStep.ACTIVATED, start, cause=cause)]
    if boundary < pause.lapses:
        return []
    return [_end(state, pause_id, pause, PauseStep.LAPSED, boundary, cause=pause.index)]


def _continue(state: State, pause_id: str, pause: Pause, boundary: Interval) -> list[bytes]:
    """Rule 6."""
    entries: list[bytes] = []
    due = [decision for decision in pause.decisions if decision.since <= boundary]
    for decision in due:
        if not decision.until:
            return [*entries, _end(state, pause_id, pause, PauseStep.LIFTED, boundary, cause=decision.cause)]
        if decision.until > pause.end:
            pause = msgspec.structs.replace(pause, end=decision.until)
            entries.append(_tell(state, pause_id, pause, PauseStep.EXTENDED, boundary, cause=decision.cause))
    if pause.end <= boundary:
        return [*entries, _end(state, pause_id, pause, PauseStep.EXPIRED, boundary, cause=pause.index)]
    if due:
        pause = msgspec.structs.replace(pause, decisions=pause.decisions[len(due) :])
        PAUSES.put(state, pause, pause_id.encode())
    if pause.newest >= boundary:
        known = {joined.nation for joined in pause.joined}
        conditions = _find_conditions(state, pause_id, pause, boundary)
        since = max(pause.start, boundary)
        new = [Joined(nation, since) for nation in compute_joined(conditions) if nation not in known]
        joined = tuple(sorted([*pause.joined, *new], key=lambda each: each.nation))
        pause = msgspec.structs.replace(pause, joined=joined)
        if new:
            PAUSES.put(state, pause, pause_id.encode())
            cause = max(conditions[each.nation].index for each in new)
            entries.append(_tell(state, pause_id, pause, PauseStep.JOINED, since, cause=cause))
    return entries


def _find_conditions(state: State, pause_id: str, pause: Pause, boundary: Interval) -> dict[str, Commitment]:
    """The accessions that count at a boundary; who has joined already does so without condition."""
    conditions: dict[str, Commitment] = {
        joined.nation: Commitment(joined.since, pause.index) for joined in pause.joined
    }
    for member in state.charter.members:
        commitment = COMMITMENTS.get(state, make_pair_name(pause_id, member.id))
        if commitment is not None and commitment.since <= boundary <= commitment.lapses:
            conditions.setdefault(member.id, commitment)
    return conditions


def _is_enough(state: State, pause: Pause, nations: tuple[str, ...]) -> bool:
    """Whether the terms are met if these join."""
    if len(nations) < pause.nations_min or any(nation not in nations for nation in pause.nations):
        return False
    if not pause.capacity_permille_min:
        return True
    share = compute_share(state, nations)
    return share.whole_gflops > 0 and share.part_gflops * 1000 >= share.whole_gflops * pause.capacity_permille_min


def _end(state: State, pause_id: str, pause: Pause, step: PauseStep, boundary: Interval, *, cause: LeafIndex) -> bytes:
    """Let a pause be over from a boundary on."""
    end = boundary if pause.phase == Phase.ACTIVATED else pause.end
    over = msgspec.structs.replace(pause, phase=Phase.OVER, end=end, decisions=())
    PAUSES.put(state, over, pause_id.encode())
    tally = TALLIES.require(state, pause.proposer.encode())
    counted = msgspec.structs.replace(tally, pauses_open=tally.pauses_open - 1)
    TALLIES.put(state, counted, pause.proposer.encode())
    return _tell(state, pause_id, over, step, boundary, cause=cause)


def _tell(state: State, pause_id: str, pause: Pause, step: PauseStep, interval: Interval, *, cause: LeafIndex) -> bytes:
    event = PauseEvent(
        ledger=state.charter.fingerprint,
        pause=pause_id,
        terms=pause.terms.hex(),
        event=step,
        interval=interval,
        until=None if step is PauseStep.LAPSED else pause.end,
        nations=tuple(joined.nation for joined in pause.joined),
        pledge_count=pause.pledge_count,
        cause=cause,
        time_ms=CLOCK.require(state).time_ms,
    )
    return encode_pause_event(event)


def _check_id(state: State, pause_id: str) -> Rejection | None:
    limit_id = make_limit_id(pause_id)
    if PAUSES.get(state, pause_id.encode()) is None and limit_id not in FOUNDATION.require(state).limits:
        return None
    return reject(
        Code.ID_TAKEN,
        field=f"{_FIELD}.pause",
        found=pause_id,
        expected=f"an id that no pause had, and {limit_id} no limit of the charter",
    )


def _check_terms(state: State, time_ms: Millis, proposal: PauseProposal) -> Rejection | None:
    terms, grid = proposal.terms, FOUNDATION.require(state).grid
    field, intervals_max = f"{_FIELD}.terms", compute_intervals_max(state)
    if terms.interval_count > intervals_max:
        return reject(
            Code.INVALID_FIELD,
            field=f"{field}.interval_count",
            found=terms.interval_count,
            expected=f"at most {intervals_max} intervals, which are duration_max_s of the charter",
        )
    following = compute_next_interval(grid, time_ms)
    earliest = compute_next_interval(grid, Millis(time_ms + _get_rules(state).notice_s * 1000))
    return (
        _check_nations(state, terms.activation.nations, terms.activation.nations_min, field=f"{field}.activation")
        or _check_interval(
            terms.first_interval, least=earliest, most=earliest + intervals_max, field=f"{field}.first_interval"
        )
        or _check_interval(terms.lapses, least=following, most=following + intervals_max, field=f"{field}.lapses")
    )


def _check_nations(state: State, nations: tuple[str, ...], nations_min: int, *, field: str) -> Rejection | None:
    members_count = len(state.charter.members)
    for nation in nations:
        if NATIONS.get(state, nation.encode()) is None:
            return reject(
                Code.INVALID_FIELD, field=f"{field}.nations", found=nation, expected="a member of the charter"
            )
    if nations_min > members_count:
        return reject(
            Code.INVALID_FIELD, field=f"{field}.nations_min", found=nations_min, expected=f"at most {members_count}"
        )
    return None


def _check_interval(interval: Interval, *, least: int, most: int | None, field: str) -> Rejection | None:
    if least <= interval and (most is None or interval <= most):
        return None
    expected = f"at least {least}" if most is None else f"from {least} to {most}"
    return reject(Code.INVALID_FIELD, field=field, found=interval, expected=expected)


def _check_room(undertaken: tuple[str, ...], party: str) -> Rejection | None:
    if len(undertaken) < UNDERTAKINGS_MAX:
        return None
    return reject(
        Code.TOO_MANY_OPEN,
        field=f"{_FIELD}.pause",
        found=f"{len(undertaken)} pauses that {party} undertook and that are not over",
        expected=f"fewer than {UNDERTAKINGS_MAX}",
    )


def _compute_after_notice(state: State, grid: Grid, time_ms: Millis) -> Interval:
    """The interval that begins at the first boundary at or after the end of the notice."""
    return compute_next_interval(grid, Millis(time_ms + _get_rules(state).notice_s * 1000 - 1))


def _get_rules(state: State) -> Pauses:
    agreement = state.charter.agreement
    assert agreement is not None, "only ledgers with an agreement know pauses"
    return agreement.pauses


def _schedule_boundary(state: State, pause_id: str, interval: Interval) -> None:
    at_ms = compute_start_ms(FOUNDATION.require(state).grid, interval)
    schedule(state, at_ms=at_ms, topic=PAUSE_TOPIC, name=pause_id.encode())


PAUSE_PROPOSAL_KIND: Final = Kind(
    name=PAUSE_PROPOSAL, is_for_nations=True, signature_count=1, parse=parse_pause_proposal, apply=apply_proposal
)
PAUSE_ACCESSION_KIND: Final = Kind(
    name=PAUSE_ACCESSION, is_for_nations=True, signature_count=1, parse=parse_pause_accession, apply=apply_accession
)
LAB_PLEDGE_KIND: Final = Kind(
    name=LAB_PLEDGE, is_for_nations=False, signature_count=1, parse=parse_lab_pledge, apply=apply_pledge
)
