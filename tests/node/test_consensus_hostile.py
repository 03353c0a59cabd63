"""What one lying or slow member must not do to the others: mute them, starve finality, stop the ledger's clock."""

from ledger.blocks import SealedHeader
from ledger.limits import VIEWS_AHEAD_MAX
from ledger.positions import FIRST_EPOCH, MemberIndex, Millis, View
from node.consensus import messages as m
from node.consensus import votelog
from node.consensus.messages import TimerName, VoteKind
from tests.scenarios.stage import GENESIS, START_MS, Stage

HUGE = View(2**63 - 1)


def tell_view(stage: Stage, member: int, view: int) -> list[m.Action]:
    return stage.give(m.ViewTold(MemberIndex(member), FIRST_EPOCH, View(view)))


def test_a_lie_about_the_view_does_not_mute_a_member_for_ever() -> None:
    stage = Stage(is_lost=True)
    stage.give(m.Started(), at_ms=0)
    for member, view in ((1, 5), (3, HUGE), (4, 5)):
        tell_view(stage, member, view)
    status = stage.core.status()
    assert status.is_recovering, "a view that nobody can have reached answers nothing"
    assert sum(status.dropped.values()) == 1
    tell_view(stage, 3, 6)
    assert stage.core.status().muted_until_view == 8


def test_a_view_far_ahead_counts_once_it_was_proven_that_somebody_could_be_there() -> None:
    stage = Stage(is_lost=True)
    stage.give(m.Started(), at_ms=0)
    there = View(2 * VIEWS_AHEAD_MAX)
    for member in (1, 3, 4):
        tell_view(stage, member, there)
    assert stage.core.status().is_recovering
    stage.hear(stage.nullification(there - 1, [1, 3, 4]), source=3, at_ms=10)
    for member in (1, 3, 4):
        tell_view(stage, member, there)
    assert stage.core.status().muted_until_view == there + 2


def test_the_largest_barrier_that_answers_can_set_is_one_that_its_log_reads_back() -> None:
    stage = Stage(is_lost=True)
    stage.give(m.Started(), at_ms=0)
    for member in (1, 3, 4):
        tell_view(stage, member, 1 + VIEWS_AHEAD_MAX)
    log = votelog.read(stage.disk, ledger_id=GENESIS.ledger_id, member=MemberIndex(2))
    assert votelog.Barrier(FIRST_EPOCH, View(1 + VIEWS_AHEAD_MAX + 2)) in log.records


def give_up(stage: Stage, view: int) -> None:
    """Let the view end with a block that came too late for this member."""
    deadline = stage.now_ms + 100 * stage.idle_interval_ms
    nullify = stage.give(m.TimerFired(TimerName.LEADER, View(view)), at_ms=deadline)
    assert any(isinstance(action, m.Persist) for action in nullify)
    name, parent = f"late {view}", "genesis" if view == 1 else f"late {view - 1}"
    stage.block(name, view=view, parent=parent, time_ms=stage.now_ms)
    stage.hear(stage.proposal(name), source=stage.leader(view))
    stage.give(stage.executed(name))
    stage.hear(stage.notarization(name, [1, 2, 3]), source=3)


def test_a_member_whose_timers_are_too_short_for_it_learns_to_wait() -> None:
    """With one member that never finalizes, its FINALIZE is needed: it must not give up every view for ever."""
    stage = Stage(me=4)
    stage.give(m.Started(), at_ms=0)
    for view in range(1, 4):
        give_up(stage, view)
        assert stage.core.status().view == view + 1, "the view ended with a block"
    assert VoteKind.FINALIZE not in stage.core._ballot.get(View(3))
    assert stage.core.status().delta_ms == 8 * stage.delta_ms, "its ceiling"


def test_a_finalization_shortens_the_timers_again() -> None:
    stage = Stage(me=4)
    stage.give(m.Started(), at_ms=0)
    give_up(stage, 1)
    assert stage.core.status().delta_ms == 2 * stage.delta_ms
    stage.hear(stage.finalization("late 1"), source=3)
    assert stage.core.status().delta_ms == stage.delta_ms


def stage_ahead(*, by_ms: int, time_ms: int) -> tuple[Stage, list[m.Action]]:
    """Show member 3 a block of a time, when the newest final block's time is ahead of its clock."""
    stage = Stage(me=3)
    stage.block("P", view=1, time_ms=by_ms)
    stage.block("A", view=2, parent="P", time_ms=time_ms)
    stage.final = SealedHeader(stage.header("P"), stage.finalization("P").seal)
    stage.rebuild()
    stage.give(m.Started(), at_ms=0)
    return stage, stage.hear(stage.proposal("A"), source=2)


def test_a_block_of_its_parents_time_is_good_whatever_the_clock_says() -> None:
    """Else one founding time, or one block, too far ahead stops the ledger until that time has come."""
    stage, actions = stage_ahead(by_ms=3_600_000, time_ms=3_600_000)
    assert any(isinstance(action, m.ExecuteBlock) for action in actions)
    actions = stage.give(stage.executed("A"))
    assert [a.message.kind for a in actions if isinstance(a, m.Broadcast) and isinstance(a.message, m.Vote)] == [
        VoteKind.NOTARIZE
    ]


def test_a_block_of_a_later_time_still_waits_for_the_clock() -> None:
    _, actions = stage_ahead(by_ms=3_600_000, time_ms=3_600_001)
    assert [a.fault for a in actions if isinstance(a, m.PeerMisbehaved)] == [m.Fault.WRONG_PROPOSAL]


def builds(actions: list[m.Action]) -> list[m.BuildBlock]:
    return [action for action in actions if isinstance(action, m.BuildBlock)]


def test_what_comes_while_a_block_is_built_is_not_forgotten_with_the_answer_that_there_was_nothing() -> None:
    stage = Stage(me=1)
    stage.give(m.Started(), at_ms=0)
    assert builds(stage.give(m.EntriesPending(Millis(START_MS)), at_ms=1))
    assert not builds(stage.give(m.EntriesPending(Millis(START_MS)), at_ms=2)), "one build at a time"
    assert builds(stage.give(m.NothingToPropose(View(1)), at_ms=3)), "the second entry was not looked at"
    assert not builds(stage.give(m.NothingToPropose(View(1)), at_ms=4))


def test_a_leader_that_makes_ancestors_up_is_asked_for_proof_before_it_can_fill_the_memory() -> None:
    stage = Stage(me=2)
    stage.block("great-grandparent", view=1)
    stage.block("grandparent", view=2, parent="great-grandparent")
    stage.block("parent", view=3, parent="grandparent")
    stage.block("A", view=5, parent="parent")
    stage.give(m.Started(), at_ms=0)
    stage.hear(stage.nullification(4, [1, 3, 4]), source=3, at_ms=1)
    actions = stage.hear(stage.proposal("A"), source=1, at_ms=2)
    assert [a.digest for a in actions if isinstance(a, m.FetchBlock)] == [stage.header("parent").digest]
    parent = stage.blocks["parent"]
    actions = stage.give(m.BlockFetched(MemberIndex(1), parent.header, parent.entry_hashes), at_ms=3)
    assert [a.view for a in actions if isinstance(a, m.FetchCertificate) and a.kind is VoteKind.NOTARIZE] == [3]
    assert not [a for a in actions if isinstance(a, m.FetchBlock)]
    actions = stage.hear(stage.notarization("parent", [1, 3, 4]), source=1, at_ms=4)
    assert [a.digest for a in actions if isinstance(a, m.FetchBlock)] == [stage.header("grandparent").digest]


def test_a_store_older_than_the_vote_log_does_not_free_a_member_to_contradict_itself() -> None:
    """The log was compacted at a final view; then the store was moved aside, and the ledger is pulled anew."""
    stage = Stage(me=2)
    stage.block("A", view=1)
    stage.give(m.Started(), at_ms=0)
    nullify = stage.give(m.TimerFired(TimerName.LEADER, View(1)), at_ms=2_000)
    assert any(isinstance(action, m.Persist) for action in nullify)
    stage.disk = votelog.compact(
        stage.disk, ledger_id=GENESIS.ledger_id, member=MemberIndex(2), epoch=FIRST_EPOCH, final_view=View(1)
    )
    stage.rebuild()
    stage.give(m.Started(), at_ms=3_000)
    stage.hear(stage.proposal("A"), source=1, at_ms=3_001)
    said = [
        *stage.give(stage.executed("A"), at_ms=3_002),
        *stage.hear(stage.notarization("A", [1, 3, 4]), source=3, at_ms=3_003),
        *stage.give(m.TimerFired(TimerName.VIEW, View(1)), at_ms=4_000),
    ]
    assert not [action for action in said if isinstance(action, m.Persist)], "it said NULLIFY in view 1 before"
