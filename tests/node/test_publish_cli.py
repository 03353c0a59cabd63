"""What an operator reads of published places."""

from node.cli import describe_place
from node.v1 import operator_pb2

NAME = "s3://bucket/ledger"


def test_a_place_that_is_kept_up_is_one_short_line() -> None:
    assert (
        describe_place(operator_pb2.PublishedPlace(name=NAME, tree_size=7), now_ms=0) == f"published: {NAME}, 7 entries"
    )


def test_a_place_that_fails_says_since_when_and_why() -> None:
    place = operator_pb2.PublishedPlace(name=NAME, tree_size=0, problem="it is down", since_ms=1_000)
    expected = f"published: {NAME}, nothing yet since the start; fails since 41 s: it is down"
    assert describe_place(place, now_ms=42_000) == expected
