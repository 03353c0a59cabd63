"""Samples: what each round's beacon draws from each cluster, and what a lab that does not answer gets for it.

1. A round draws once its beacon is on the ledger, from every cluster that counts in the interval in which the round
   opened and had an inventory with units in it when the round opened (`ledger.rules.inventories.get_inventory`).
2. It draws as many units as make sure, over all rounds of an interval together, that a cluster with `bad_permille` of
   its units bad is found out with `confidence_permille` (`compute_round_count`).
3. Which units: `ledger.sampling`, from the beacon, the block that opened the round, and the inventory. Everybody draws
   the same (`recompute_sample`).
4. Samples open the blocks after the beacon's, at most `SAMPLES_PER_BLOCK_MAX` each: a cursor walks the rounds in order,
   in each of them the labs in the order of their registration, and their clusters by id. While `ROUNDS_BEHIND_MAX`
   rounds wait to be drawn, no beacon is taken.
5. The lab answers within `answer_window_s`, which outages move. If it does not, or if it opens fewer units than were
   drawn, the cluster's interval is `SAMPLE_UNANSWERED`, for good: what comes later is refused. Units that can be opened
   only after a while could have been brought from elsewhere meanwhile, and nothing is drawn in their place.

What the openings show is for inspectors, in a challenge that names the sample as its grounds.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from ledger.agreement import Inspections
from ledger.beacons import verify_beacon
from ledger.blocks import Header
from ledger.charter import Charter
from ledger.errors import Code, ProofError, Rejection, reject
from ledger.limits import SAMPLE_DRAWS_MAX, SAMPLE_INDICES_LISTED_MAX
from ledger.merkle import leaf_hash
from ledger.positions import BeaconRound, Interval, LeafIndex, Millis
from ledger.rules.agenda import schedule
from ledger.rules.entries import Context, Kind
from ledger.rules.inventories import get_inventory
from ledger.rules.records.agenda import Event
from ledger.rules.records.filings import PROGRESS
from ledger.rules.records.foundation import CLOCK
from ledger.rules.records.inspections import (
    BEACONS,
    SAMPLES,
    SAMPLING,
    Drawn,
    OpenSample,
    Sampling,
    make_sample_name,
)
from ledger.rules.records.registry import LAB_NUMBERS, LABS, make_number_name
from ledger.rules.records.rounds import make_round_name
from ledger.rules.remarks import add_remarks
from ledger.rules.rounds import compute_first_round, get_rounds
from ledger.rules.state import State
from ledger.rules.verdicts import compute_active
from ledger.sample_sizes import compute_sample_size
from ledger.sampling import Purpose, compute_seed, draw_indices
from ledger.statements.beacons import (
    SAMPLE_ANSWER,
    Sample,
    SampleAnswer,
    encode_sample,
    parse_beacon,
    parse_sample,
    parse_sample_answer,
)
from ledger.statements.dsse import parse_envelope
from ledger.statements.inventories import parse_inventory
from ledger.statements.verdicts import Reason

SAMPLE_WALK: Final = "sample-walk"
SAMPLE_WINDOW: Final = "sample-window"
"""Topics of the agenda: rounds wait to be drawn; the window of the sample with the event's name ends."""

SAMPLES_PER_BLOCK_MAX: Final = 100
SAMPLE_VISITS_PER_BLOCK_MAX: Final = 2_000
"""How many labs and clusters a block may look at, those with nothing to draw from included."""

ROUNDS_BEHIND_MAX: Final = 64

COUNTED_EXACTLY_MAX: Final = 100_000
"""Of larger populations a sample is as large as if units were put back: a few per cent more, and found at once."""

_FIELD: Final = "statement.predicate"


def get_sampling(state: State) -> Sampling:
    """How far rounds have been drawn."""
    return SAMPLING.get(state) or Sampling(compute_first_round(state), 0, 0, is_scheduled=False)


def wake_sampling(state: State, *, time_ms: Millis) -> None:
    """Let the next block draw, since there is one more beacon."""
    sampling = get_sampling(state)
    if not sampling.is_scheduled:
        _pause(state, sampling, at_ms=time_ms)


@lru_cache(maxsize=4_096)
def compute_round_count(population: int, *, terms: Inspections, interval_s: int) -> int:
    """How many units one round draws.

    All rounds of an interval draw alike and each from all units, so the chance that none of them draws a bad one is
    that of one round, to the power of their number.

    Args:
        population: how many units there are, at least one.
        terms: of the agreement.
        interval_s: length of the grid's interval.

    >>> terms = Inspections(round_s=3600, bad_permille=10, confidence_permille=950, answer_window_s=60)
    >>> [compute_round_count(population, terms=terms, interval_s=86_400) for population in (10, 10_000, 10**9)]
    [2, 13, 13]
    """
    draws = min(interval_s // terms.round_s, SAMPLE_DRAWS_MAX)
    if population > COUNTED_EXACTLY_MAX:
        return -(-_compute_draws_with_return(terms) // draws)
    return compute_sample_size(
        population=population,
        bad_count=-(-population * terms.bad_permille // 1000),
        confidence_permille=terms.confidence_permille,
        draws=draws,
    )


def recompute_sample(
    entry: bytes,
    *,
    charter: Charter,
    beacon: bytes,
    inventory: bytes,
    trigger: Header,
    parent: Header,
) -> tuple[LeafIndex, ...]:
    """Draw a sample again from what stands on the ledger, and return the positions of all its units.

    Args:
        entry: of the sample.
        charter: of the ledger; believed.
        beacon: the entry with the round's beacon; its group signature is checked here.
        inventory: the entry whose leaf hash the sample names; that it was the cluster's newest is not checked.
        trigger: header of the block that opened the round; that it is final is not checked.
        parent: header of the block before.

    Raises:
        FormatError: an entry is of another kind.
        SignatureError: `beacon.signature` is not the group's.
        ProofError: `sample.…`: something is not as it follows from the rest; `trigger`: not the first block of its
            round.
    """
    sample = parse_sample(entry)
    terms, grid = charter.agreement, charter.predicate.grid
    if terms is None:
        raise ProofError(field="charter.agreement", found=None, expected="an agreement: without one nothing is drawn")
    opened_ms = (grid.start + sample.round * terms.inspections.round_s) * 1000
    if not (parent.digest == trigger.parent and parent.time_ms < opened_ms <= trigger.time_ms):
        raise ProofError(
            field="trigger", found=trigger.digest.hex(), expected=f"the first block from {opened_ms} ms on"
        )
    return redraw_indices(sample, charter=charter, beacon=beacon, inventory=inventory, block=trigger.digest)


def redraw_indices(
    sample: Sample, *, charter: Charter, beacon: bytes, inventory: bytes, block: bytes | None = None
) -> tuple[LeafIndex, ...]:
    """Draw a sample again as `recompute_sample` does, without headers: for who believes which block opened the round.

    Args:
        sample: as it stands on the ledger.
        charter: of the ledger; believed.
        beacon: the entry with the round's beacon; its group signature is checked here.
        inventory: the entry whose leaf hash the sample names.
        block: digest of the block that opened the round; None for the one that the sample names.

    Raises:
        FormatError: an entry is of another kind.
        SignatureError: `beacon.signature` is not the group's.
        ProofError: `sample.…`: something is not as it follows from the rest; or nothing is drawn on this ledger.
    """
    if charter.agreement is None:
        raise ProofError(field="charter.agreement", found=None, expected="an agreement: without one nothing is drawn")
    drawn = parse_beacon(parse_envelope(beacon).payload).predicate
    listed = parse_inventory(parse_envelope(inventory).payload).predicate
    verify_beacon(sample.round, drawn.signature, group_key=charter.group_key)
    population = next((row.chips.count for row in listed.rows if row.cluster == sample.cluster), 0)
    if not population:
        raise ProofError(field="sample.inventory", found=sample.inventory, expected="one with units of the cluster")
    expected = make_sample(
        charter,
        Drawn(drawn.signature, bytes.fromhex(sample.block) if block is None else block, LeafIndex(0)),
        beacon_round=sample.round,
        lab=listed.issuer,
        cluster=sample.cluster,
        inventory_leaf=leaf_hash(inventory),
        population=population,
        time_ms=sample.time_ms,
    )
    for name in Sample.__struct_fields__:
        if getattr(sample, name) != getattr(expected, name):
            raise ProofError(
                field=f"sample.{name}", found=getattr(sample, name), expected=repr(getattr(expected, name))
            )
    return draw_indices(bytes.fromhex(sample.seed), population=population, count=sample.count)


def make_sample(
    charter: Charter,
    drawn: Drawn,
    *,
    beacon_round: BeaconRound,
    lab: str,
    cluster: str,
    inventory_leaf: bytes,
    population: int,
    time_ms: Millis,
) -> Sample:
    """Draw one cluster's sample.

    Args:
        charter: with an agreement.
        drawn: the round's beacon, and the digest of its trigger.
        beacon_round: which round.
        lab: whose cluster.
        cluster: which.
        inventory_leaf: leaf hash of the entry of the inventory.
        population: how many units it has, at least one.
        time_ms: of the block that opens with it.
    """
    agreement, grid = charter.agreement, charter.predicate.grid
    assert agreement is not None
    terms = agreement.inspections
    seed = compute_seed(
        signature=drawn.signature,
        block_digest=drawn.block,
        ledger_id=charter.ledger_id,
        beacon_round=beacon_round,
        purpose=Purpose.SPOT,
        lab=lab,
        cluster=cluster,
        inventory_leaf=inventory_leaf,
        population=population,
    )
    count = min(population, compute_round_count(population, terms=terms, interval_s=grid.interval_s))
    is_listed = count <= SAMPLE_INDICES_LISTED_MAX
    return Sample(
        ledger=charter.ledger_id.hex(),
        round=beacon_round,
        purpose=Purpose.SPOT,
        lab=lab,
        cluster=cluster,
        interval=_compute_interval(charter, beacon_round),
        block=drawn.block.hex(),
        inventory=inventory_leaf.hex(),
        population=population,
        count=count,
        seed=seed.hex(),
        indices=draw_indices(seed, population=population, count=count) if is_listed else (),
        time_ms=time_ms,
        answer_by_ms=Millis(time_ms + terms.answer_window_s * 1000),
    )


def on_sample_walk(state: State, _event: Event) -> Sequence[bytes]:
    """Rule 4: draw as much as a block may, and leave the rest to the next."""
    entries: list[bytes] = []
    sampling, visit_count = get_sampling(state), 0
    lab_count = PROGRESS.require(state).lab_count
    while sampling.next_round < get_rounds(state).next_unanswered:
        if sampling.lab == lab_count:
            sampling = Sampling(sampling.next_round + 1, 0, 0, is_scheduled=True)
            continue
        lab_id = LAB_NUMBERS.require(state, make_number_name(sampling.lab)).lab
        clusters = _find_clusters(state, lab_id, sampling.next_round)
        visit_count += 1
        for place in range(sampling.cluster, len(clusters)):
            if len(entries) == SAMPLES_PER_BLOCK_MAX or visit_count >= SAMPLE_VISITS_PER_BLOCK_MAX:
                return _go_on_later(
                    state, Sampling(sampling.next_round, sampling.lab, place, is_scheduled=True), entries
                )
            visit_count += 1
            entries += _draw(state, sampling.next_round, lab_id, clusters[place])
        sampling = Sampling(sampling.next_round, sampling.lab + 1, 0, is_scheduled=True)
        if visit_count >= SAMPLE_VISITS_PER_BLOCK_MAX:
            return _go_on_later(state, sampling, entries)
    SAMPLING.put(state, Sampling(sampling.next_round, sampling.lab, sampling.cluster, is_scheduled=False))
    return entries


def _go_on_later(state: State, sampling: Sampling, entries: list[bytes]) -> list[bytes]:
    """Leave the rest to the next block of a later time, and give what was drawn in this one."""
    _pause(state, sampling, at_ms=Millis(CLOCK.require(state).time_ms + 1))
    return entries


def on_sample_window(state: State, event: Event) -> Sequence[bytes]:
    """Rule 5: there is no answer."""
    sample = SAMPLES.get(state, event.name)
    if sample is not None:
        SAMPLES.put(state, None, event.name)
        _remark(state, sample, source=sample.index)
    return ()


def apply_sample_answer(state: State, context: Context, answer: SampleAnswer) -> Rejection | None:
    """Take a lab's answer to a sample. Believes that the header was checked."""
    name = make_sample_name(answer.round, answer.purpose, answer.cluster)
    sample = SAMPLES.get(state, name)
    if sample is None:
        return reject(
            Code.NOT_AWAITED,
            field=f"{_FIELD}.round",
            found=f"round {answer.round}, {answer.purpose}, {answer.cluster}",
            expected="a sample that is not answered, and whose window is not over",
        )
    if sample.lab != answer.issuer:
        return reject(
            Code.WRONG_ISSUER,
            field=f"{_FIELD}.issuer",
            found=answer.issuer,
            expected=f"{sample.lab}, whose cluster it is",
        )
    if answer.opened_count > sample.count:
        return reject(
            Code.INVALID_FIELD,
            field=f"{_FIELD}.opened_count",
            found=answer.opened_count,
            expected=f"at most {sample.count}, which were drawn",
        )
    SAMPLES.put(state, None, name)
    if answer.opened_count < sample.count:
        _remark(state, sample, source=context.index)
    return None


def _pause(state: State, sampling: Sampling, *, at_ms: Millis) -> None:
    """Go on with the first block that has reached this time."""
    SAMPLING.put(state, Sampling(sampling.next_round, sampling.lab, sampling.cluster, is_scheduled=True))
    schedule(state, at_ms=at_ms, topic=SAMPLE_WALK, name=b"")


def _find_clusters(state: State, lab_id: str, round_number: int) -> list[str]:
    """Those of rule 1, inventories aside. They are settled, since the round's interval has begun."""
    return compute_active(LABS.require(state, lab_id.encode()), _compute_interval(state.charter, round_number))


def _compute_interval(charter: Charter, round_number: int) -> Interval:
    """The interval in which a round opens: rounds divide it."""
    agreement, grid = charter.agreement, charter.predicate.grid
    assert agreement is not None
    return Interval(round_number * agreement.inspections.round_s // grid.interval_s)


def _draw(state: State, round_number: int, lab_id: str, cluster: str) -> list[bytes]:
    """The entry of a round's sample of one cluster; nothing if there is nothing to draw from."""
    inventory = get_inventory(state, cluster, inspection_round=round_number)
    if inventory is None or inventory.count == 0:
        return []
    drawn: Drawn = BEACONS.require(state, make_round_name(round_number))
    sample = make_sample(
        state.charter,
        drawn,
        beacon_round=BeaconRound(round_number),
        lab=lab_id,
        cluster=cluster,
        inventory_leaf=inventory.leaf,
        population=inventory.count,
        time_ms=CLOCK.require(state).time_ms,
    )
    name = make_sample_name(sample.round, sample.purpose, cluster)
    SAMPLES.put(state, OpenSample(lab_id, cluster, sample.interval, sample.count, drawn.index), name)
    schedule(state, at_ms=sample.answer_by_ms, topic=SAMPLE_WINDOW, name=name, since_ms=sample.time_ms)
    return [encode_sample(sample)]


def _remark(state: State, sample: OpenSample, *, source: LeafIndex) -> None:
    """Rule 5; once a cluster and interval, since it is never taken down."""
    add_remarks(
        state,
        lab=sample.lab,
        interval=sample.interval,
        reason=Reason.SAMPLE_UNANSWERED,
        source=source,
        clusters=(sample.cluster,),
        is_once=True,
    )


@lru_cache(maxsize=16)
def _compute_draws_with_return(terms: Inspections) -> int:
    """The smallest n with (1 - bad)ⁿ ≤ 1 - confidence; without return none is more likely to miss."""
    good, miss = 1000 - terms.bad_permille, 1000 - terms.confidence_permille
    missed, all_ways, count = good, 1000, 1
    while missed * 1000 > miss * all_ways:
        missed, all_ways, count = missed * good, all_ways * 1000, count + 1
    return count


SAMPLE_ANSWER_KIND: Final = Kind(
    name=SAMPLE_ANSWER, is_for_nations=False, signature_count=1, parse=parse_sample_answer, apply=apply_sample_answer
)
