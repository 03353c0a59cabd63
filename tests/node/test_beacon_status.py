"""What an operator reads of the beacon: what was drawn, what waits, and for whom."""

from node.beacon_status import describe_beacon, encode_beacon_status
from node.v1 import operator_pb2


def status(**beacon: object) -> operator_pb2.GetStatusResponse:
    made = operator_pb2.BeaconStatus(**beacon)  # type: ignore[arg-type]  # fields of every type
    return operator_pb2.GetStatusResponse(quorum=3, block_time_ms=1_000_340_000, beacon=made)


def test_before_any_round_and_between_rounds_nothing_waits() -> None:
    assert describe_beacon(status()) == "beacon: none yet; no round waits"
    assert describe_beacon(status(drawn=8)) == "beacon: newest of round 7; no round waits"
    assert encode_beacon_status(status().beacon)["newest"] is None
    assert encode_beacon_status(status(drawn=8).beacon) == {
        "newest": 7,
        "open": 0,
        "opened_at": None,
        "shares": 0,
        "missing": [],
        "is_made": False,
    }


def test_a_ledger_that_begins_with_a_later_round_has_no_beacon_before_its_first() -> None:
    begun = status(drawn=41, first=41)
    assert describe_beacon(begun) == "beacon: none yet; no round waits"
    assert encode_beacon_status(begun.beacon)["newest"] is None
    waiting = status(drawn=41, first=41, open=1, opened_at_s=1_000_300, shares=1, missing=["dacia"])
    assert describe_beacon(waiting).startswith("beacon: none yet; round 41 waits since 40 s")
    assert describe_beacon(status(drawn=42, first=41)) == "beacon: newest of round 41; no round waits"


def test_a_round_that_waits_says_since_when_and_for_whom() -> None:
    waiting = status(drawn=8, open=2, opened_at_s=1_000_000, shares=2, missing=["cimbria", "dacia"])
    assert describe_beacon(waiting) == (
        "beacon: newest of round 7; 2 rounds wait, from 8 on since 340 s: 2 of 3 shares, none from cimbria, dacia"
    )
    assert encode_beacon_status(waiting.beacon)["missing"] == ["cimbria", "dacia"]


def test_a_beacon_that_is_made_waits_for_the_ledger_and_for_nobody() -> None:
    made = status(open=1, opened_at_s=1_000_330, shares=3, missing=["dacia"], is_made=True)
    assert describe_beacon(made) == "beacon: none yet; round 0 waits since 10 s: made, not in a block yet"
