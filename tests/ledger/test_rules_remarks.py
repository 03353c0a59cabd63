"""Remarks: reasons and levels beside a declaration, when they are said and when they are taken back."""

from typing import Literal

import pytest

import ledger.rules.remarks
from ledger.positions import Interval, LeafIndex
from ledger.rules.apply import get_kinds
from ledger.rules.records.filings import make_filing_name
from ledger.rules.records.remarks import REMARKS
from ledger.rules.remarks import add_remark, add_remarks, assure, drop_remark
from ledger.statements.verdicts import Reason
from tests.ledger.rulebook import AGREED_ENTRY, CHARTER_ENTRY, World, due, grace


@pytest.fixture
def world() -> World:
    world = World(AGREED_ENTRY)
    world.register(10, "acme", ["a1", "a2"])
    return world


def put_up(world: World, reason: Reason, source: int, *, cluster: str = "") -> None:
    """As the rules of a statement would, and commit."""
    add_remark(world.state, lab="acme", interval=Interval(1), reason=reason, source=LeafIndex(source), cluster=cluster)
    world.state.commit()


def take_down(world: World, reason: Reason, source: int) -> None:
    drop_remark(world.state, lab="acme", interval=Interval(1), reason=reason, source=LeafIndex(source))
    world.state.commit()


def test_a_reason_from_before_due_is_in_the_first_verdict_of_its_cluster_alone(world: World) -> None:
    world.file(210, "acme", 1, ["a1", "a2"])
    put_up(world, Reason.CHALLENGE_OPEN, 7, cluster="a1")
    world.block(due(1))
    assert world.said("acme", "a1", 1) == [("contested", ["CHALLENGE_OPEN"])]
    assert world.said("acme", "a2", 1) == [("compliant", [])]


def test_a_reason_after_due_makes_a_new_verdict_and_its_end_another(world: World) -> None:
    world.file(210, "acme", 1, ["a1", "a2"])
    world.block(due(1))
    put_up(world, Reason.FOUND_INCONSISTENT, 7)
    put_up(world, Reason.FOUND_INCONSISTENT, 8)
    world.block(due(1) + 1)
    take_down(world, Reason.FOUND_INCONSISTENT, 7)
    world.block(due(1) + 2)
    assert world.said("acme", "a1", 1) == [("compliant", []), ("exceeded", ["FOUND_INCONSISTENT"])]
    take_down(world, Reason.FOUND_INCONSISTENT, 8)
    world.block(due(1) + 3)
    assert world.said("acme", "a1", 1)[2:] == [("compliant", [])]
    newest, before = world.verdicts["acme", "a1", 1][-1], world.verdicts["acme", "a1", 1][-2]
    assert newest.supersedes != before.supersedes


def test_a_reason_can_be_taken_down_from_one_cluster_alone(world: World) -> None:
    world.file(210, "acme", 1, ["a1", "a2"])
    for cluster in ("a1", "a2"):
        put_up(world, Reason.TRANSFER_DIFFERENCE, 7, cluster=cluster)
    drop_remark(
        world.state,
        lab="acme",
        interval=Interval(1),
        reason=Reason.TRANSFER_DIFFERENCE,
        source=LeafIndex(7),
        clusters=("a2",),
    )
    world.state.commit()
    world.block(due(1))
    assert world.said("acme", "a1", 1) == [("contested", ["TRANSFER_DIFFERENCE"])]
    assert world.said("acme", "a2", 1) == [("compliant", [])]


def test_reasons_of_the_filing_and_remarks_stand_together_and_the_worst_decides(world: World) -> None:
    put_up(world, Reason.CHALLENGE_OPEN, 7)
    world.block(due(1))
    world.block(grace(1))
    assert world.said("acme", "a1", 1) == [
        ("contested", ["CHALLENGE_OPEN", "NOT_FILED_BY_DUE"]),
        ("missing", ["CHALLENGE_OPEN", "NOT_FILED_BY_GRACE"]),
    ]


def test_what_is_heaped_up_crowds_out_nothing_new(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger.rules.remarks, "REMARKS_PER_INTERVAL_MAX", 3)
    world.file(210, "acme", 1, ["a1", "a2"])
    for source in range(7, 12):
        put_up(world, Reason.CHALLENGE_OPEN, source, cluster="a1")
    for cluster in ("a1", "a2"):
        put_up(world, Reason.FOUND_INCONSISTENT, 20, cluster=cluster)
        put_up(world, Reason.FOUND_INCONSISTENT, 21, cluster=cluster)
    sources = [each.source for each in REMARKS.require(world.state, make_filing_name(0, Interval(1))).remarks]
    assert sources == [7, 8, 9, 20, 20]
    world.block(due(1))
    assert world.said("acme", "a1", 1) == [("exceeded", ["CHALLENGE_OPEN", "FOUND_INCONSISTENT"])]
    assert world.said("acme", "a2", 1) == [("exceeded", ["FOUND_INCONSISTENT"])]


def test_several_clusters_at_once_are_as_one_after_another() -> None:
    """With the same reason of other sources there before, and of this one on one of them."""
    clusters = ["a3", "", "a1", "a2"]
    found = []
    for at_once in (True, False):
        world = World(AGREED_ENTRY)
        world.register(10, "acme", ["a1", "a2", "a3"])
        put_up(world, Reason.RUN_UNDECLARED, 6, cluster="a1")
        put_up(world, Reason.RUN_UNDECLARED, 7, cluster="a2")
        for each in [clusters] if at_once else [[cluster] for cluster in clusters]:
            add_remarks(
                world.state,
                lab="acme",
                interval=Interval(1),
                reason=Reason.RUN_UNDECLARED,
                source=LeafIndex(7),
                clusters=each,
            )
        found.append(REMARKS.require(world.state, make_filing_name(0, Interval(1))))
    assert found[0] == found[1]
    assert [(each.cluster, each.source) for each in found[0].remarks] == [
        ("a1", 6),
        ("a2", 7),
        ("a3", 7),
        ("", 7),
        ("a1", 7),
    ]


def test_what_is_said_once_is_not_said_again_of_another_source(world: World) -> None:
    put_up(world, Reason.RUN_UNDECLARED, 6, cluster="a1")
    add_remarks(
        world.state,
        lab="acme",
        interval=Interval(1),
        reason=Reason.RUN_UNDECLARED,
        source=LeafIndex(7),
        clusters=("a1", "a2"),
        is_once=True,
    )
    remarks = REMARKS.require(world.state, make_filing_name(0, Interval(1))).remarks
    assert [(each.cluster, each.source) for each in remarks] == [("a1", 6), ("a2", 7)]


def test_a_level_speaks_of_one_declaration_and_ends_with_its_correction(world: World) -> None:
    leaf = world.file(210, "acme", 1, ["a1", "a2"])
    world.block(due(1))
    levels: tuple[Literal["A1", "A3"], ...] = ("A3", "A1")
    for level in levels:
        assure(
            world.state,
            lab="acme",
            interval=Interval(1),
            cluster="a1",
            level=level,
            report=bytes.fromhex(leaf),
            source=LeafIndex(9),
        )
    world.state.commit()
    world.block(due(1) + 1)
    world.file(due(1) + 2, "acme", 1, ["a1", "a2"])
    world.block(due(1) + 3)
    assert [verdict.assurance for verdict in world.verdicts["acme", "a1", 1]] == ["A0", "A3", "A0"]


def test_without_an_agreement_the_rules_know_no_later_kind() -> None:
    assert list(get_kinds(World(CHARTER_ENTRY).state)) == ["registration", "report", "correction", "misconduct"]
