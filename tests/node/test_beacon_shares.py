"""Shares of beacons to come: how many are held of whom, and what it costs to send false ones."""

from hypothesis import given
from hypothesis import strategies as st

from ledger.positions import BeaconRound, MemberIndex, Millis
from node.beacon_shares import ROUNDS_HELD, BeaconFault, BeaconShares
from node.consensus.credit import FREE_FAULTS, PAUSE_MAX_MS
from node.consensus.lanes import Lane
from tests.simulation.attackers.attacker import STREAM

OTHER = Lane(STREAM + 1)
ONE, TWO = MemberIndex(1), MemberIndex(2)
NOW = Millis(1_000)


def share(number: int) -> bytes:
    return bytes([number]) * 48


@given(
    st.lists(st.tuples(st.integers(1, 4), st.integers(0, 2**53), st.integers(0, 2)), max_size=60), st.integers(0, 30)
)
def test_held_is_one_share_a_member_and_round_of_the_next_few_rounds_whatever_is_sent(
    sent: list[tuple[int, int, int]], first: int
) -> None:
    shares = BeaconShares(BeaconRound(first))
    told: dict[tuple[int, int], bytes] = {}
    for member, number, content in [*sent, *((member, number % 40, content) for member, number, content in sent)]:
        shares.add(MemberIndex(member), STREAM, BeaconRound(number), share(content), now=NOW)
        told.setdefault((member, number), share(content))
    rounds = [number for number in range(100) if shares.of(BeaconRound(number))]
    assert all(first <= number < first + ROUNDS_HELD for number in rounds)
    for number in rounds:
        for member, held in shares.of(BeaconRound(number)).items():
            assert held == told[member, number], "the first that it sent"
    assert sum(len(ways) for held in shares._rounds.values() for ways in held.values()) <= 4 * ROUNDS_HELD


def test_what_has_its_beacon_is_forgotten_and_what_comes_next_is_taken() -> None:
    shares = BeaconShares(BeaconRound(0))
    for number in (0, 1, ROUNDS_HELD - 1, ROUNDS_HELD):
        assert shares.add(ONE, STREAM, BeaconRound(number), share(number), now=NOW) is None
    shares.begin_at(BeaconRound(1))
    held = {number: dict(shares.of(BeaconRound(number))) for number in range(ROUNDS_HELD + 1)}
    assert {number: of_round for number, of_round in held.items() if of_round} == {
        1: {ONE: share(1)},
        ROUNDS_HELD - 1: {ONE: share(ROUNDS_HELD - 1)},
    }
    assert shares.add(ONE, STREAM, BeaconRound(0), share(9), now=NOW) is None, "late, and no fault"
    shares.add(ONE, STREAM, BeaconRound(ROUNDS_HELD), share(8), now=NOW)
    assert shares.of(BeaconRound(ROUNDS_HELD)) == {ONE: share(8)}


def test_a_share_found_wrong_is_forgotten_but_not_the_one_that_came_in_its_place() -> None:
    shares = BeaconShares(BeaconRound(0))
    shares.add(ONE, STREAM, BeaconRound(0), share(1), now=NOW)
    shares.drop(ONE, BeaconRound(0), share(2), now=NOW)
    assert shares.of(BeaconRound(0)) == {ONE: share(1)}
    shares.drop(ONE, BeaconRound(0), share(1), now=NOW)
    assert shares.of(BeaconRound(0)) == {}
    assert shares.add(ONE, STREAM, BeaconRound(0), share(2), now=NOW) is None
    assert shares.of(BeaconRound(0)) == {ONE: share(2)}
    shares.begin_at(BeaconRound(3))
    shares.drop(ONE, BeaconRound(0), share(2), now=NOW)


def test_each_stream_of_a_member_has_its_own_share_and_the_first_counts_until_it_is_found_wrong() -> None:
    shares = BeaconShares(BeaconRound(0))
    assert shares.add(ONE, OTHER, BeaconRound(0), share(2), now=NOW) is None
    assert shares.add(ONE, STREAM, BeaconRound(0), share(1), now=NOW) is None
    assert shares.of(BeaconRound(0)) == {ONE: share(2)}
    shares.drop(ONE, BeaconRound(0), share(2), now=NOW)
    assert shares.of(BeaconRound(0)) == {ONE: share(1)}


def test_who_sends_false_ones_is_heard_less_and_less_and_nobody_else_is() -> None:
    shares = BeaconShares(BeaconRound(0))
    shares.add(ONE, STREAM, BeaconRound(0), share(0), now=NOW)
    answers = [shares.add(ONE, STREAM, BeaconRound(0), share(number), now=NOW) for number in range(1, FREE_FAULTS + 3)]
    assert answers == [BeaconFault.TWO_BEACON_SHARES] * (FREE_FAULTS + 1) + [BeaconFault.BEACON_SHARE_HELD_BACK]
    assert shares.add(ONE, STREAM, BeaconRound(1), share(1), now=NOW) is BeaconFault.BEACON_SHARE_HELD_BACK
    assert shares.add(TWO, STREAM, BeaconRound(1), share(1), now=NOW) is None
    assert shares.add(ONE, OTHER, BeaconRound(1), share(1), now=NOW) is None, "nor its own other stream"
    later = Millis(NOW + PAUSE_MAX_MS)
    assert shares.add(ONE, STREAM, BeaconRound(1), share(1), now=later) is None
