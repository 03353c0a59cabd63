"""Roll-ups: one tally that takes verdicts as they come, against adding everything up from nothing, in any order."""

import random

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from ledger.positions import Interval, Millis
from ledger.rollups import Rollup, Tally, Weight, Word
from ledger.statements.verdicts import STATES_BY_SEVERITY, Verdict, VerdictState

GFLOPS = {"c1": 700, "c2": 299, "c3": 1}
HASH = "00" * 32


def make_verdict(nation: str, cluster: str, interval: int, state: VerdictState, level: str = "A0") -> Verdict:
    verdict = Verdict(
        ledger=HASH,
        lab="acme",
        nation=nation,
        cluster=cluster,
        interval=Interval(interval),
        state=state,
        reasons=(),
        assurance="A0",
        report=HASH,
        time_ms=Millis(0),
        supersedes=HASH,
    )
    return msgspec.structs.replace(verdict, assurance=level)


VERDICTS = st.lists(
    st.builds(
        make_verdict,
        st.sampled_from(("avalon", "brittia")),
        st.sampled_from(("c1", "c2", "c3", "unregistered")),
        st.integers(0, 2),
        st.sampled_from(STATES_BY_SEVERITY),
        st.sampled_from(("A0", "A1", "A3")),
    ),
    max_size=30,
)


def add_up(verdicts: list[Verdict], interval: int, nation: str | None) -> Rollup:
    """The other implementation: newest first, whatever was seen is passed over, each state counted by itself."""
    seen: set[tuple[str, str, int]] = set()
    newest: list[Verdict] = []
    for verdict in reversed(verdicts):
        place = (verdict.lab, verdict.cluster, verdict.interval)
        if place not in seen:
            seen.add(place)
            newest.append(verdict)
    counted = [each for each in newest if each.interval == interval and nation in {None, each.nation}]
    weights: dict[Word, Weight] = {}
    for state in STATES_BY_SEVERITY[::-1]:
        for level in ("A0", "A1", "A3"):
            of_it = [each for each in counted if (each.state, each.assurance) == (state, level)]
            if of_it:
                weights[Word(state, level)] = Weight(len(of_it), sum(GFLOPS.get(e.cluster, 0) for e in of_it))
    return Rollup(
        worst=next(iter(weights)).state if weights else None,
        weights=weights,
        least_assurance=min(each.assurance for each in counted) if counted else None,
        unweighed_count=sum(each.cluster not in GFLOPS for each in counted),
    )


@given(VERDICTS)
def test_a_tally_is_what_adding_everything_up_from_nothing_gives(verdicts: list[Verdict]) -> None:
    tally = Tally(GFLOPS)
    for count, verdict in enumerate(verdicts, 1):
        tally.add(verdict)
        for nation in (None, "avalon", "brittia"):
            found = tally.roll_up(interval=verdict.interval, nation=nation)
            expected = add_up(verdicts[:count], verdict.interval, nation)
            assert (found, list(found.weights)) == (expected, list(expected.weights))


@given(VERDICTS, st.randoms(use_true_random=False))
def test_the_order_of_places_makes_no_difference(verdicts: list[Verdict], draw: random.Random) -> None:
    newest = {(each.lab, each.cluster, each.interval): each for each in verdicts}
    shuffled = list(newest.values())
    draw.shuffle(shuffled)
    tally, other = Tally(GFLOPS), Tally(GFLOPS)
    for verdict in verdicts:
        tally.add(verdict)
    for verdict in shuffled:
        other.add(verdict)
    for interval in (0, 1, 2):
        assert tally.roll_up(interval=Interval(interval)) == other.roll_up(interval=Interval(interval))


def test_shares_are_of_registered_capacity_and_small_clusters_weigh_little() -> None:
    tally = Tally(GFLOPS)
    tally.add(make_verdict("avalon", "c1", 0, VerdictState.COMPLIANT))
    tally.add(make_verdict("avalon", "c2", 0, VerdictState.LATE))
    tally.add(make_verdict("avalon", "c3", 0, VerdictState.EXCEEDED))
    tally.add(make_verdict("avalon", "unregistered", 0, VerdictState.MISSING))
    found = tally.roll_up(interval=Interval(0), nation="avalon")
    assert found.worst == VerdictState.EXCEEDED
    shares = [found.share_permille(Word(state, "A0")) for state in STATES_BY_SEVERITY]
    assert shares == [700, 0, 299, 0, 0, 0, 1]
    assert (found.registered_gflops, found.unweighed_count) == (1000, 1)
    assert [word.state for word in found.weights] == ["exceeded", "missing", "late", "compliant"]


def test_a_nation_stands_no_better_than_its_own_duties() -> None:
    tally = Tally({})
    tally.add(make_verdict("avalon", "c1", 0, VerdictState.COMPLIANT))
    assert tally.roll_up(interval=Interval(0), nation="avalon").worst == VerdictState.COMPLIANT
    duties = (VerdictState.LATE, VerdictState.EXCEEDED)
    assert tally.roll_up(interval=Interval(0), nation="avalon", duties=duties).worst == VerdictState.EXCEEDED
    assert tally.roll_up(interval=Interval(9), nation="avalon").worst is None
    assert tally.roll_up(interval=Interval(0)).share_permille(Word(VerdictState.COMPLIANT, "A0")) == 0
    assert tally.intervals() == [0]
