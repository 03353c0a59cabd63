"""One test a sentence of the paper, in our words, with its section.

Chan & Pass, Simplex Consensus: A Simple and Fast Consensus Protocol (IACR ePrint 2023/463; TCC 2023). What the paper
calls iteration, dummy block and notarized are a view, NULLIFY and notarized here. Where this protocol departs from the
paper, the departure is tested under that name at the end.
"""

from ledger.positions import FIRST_EPOCH, Millis, View
from node.consensus import messages as m
from node.consensus.messages import TimerName, VoteKind
from tests.scenarios.stage import START_MS, Stage

NOTARIZE, NULLIFY, FINALIZE = VoteKind.NOTARIZE, VoteKind.NULLIFY, VoteKind.FINALIZE


def said(actions: list[m.Action], kind: type[m.Message]) -> list[m.Message]:
    return [
        action.message for action in actions if isinstance(action, m.Broadcast) and isinstance(action.message, kind)
    ]


def votes(actions: list[m.Action]) -> list[VoteKind]:
    """Kinds of the votes said, a leader's own within its proposal included."""
    messages = [action.message for action in actions if isinstance(action, m.Broadcast)]
    cast = [message.vote if isinstance(message, m.Proposal) else message for message in messages]
    return [vote.kind for vote in cast if isinstance(vote, m.Vote)]


def timers(actions: list[m.Action]) -> dict[TimerName, int]:
    return {action.timer: action.at_ms - START_MS for action in actions if isinstance(action, m.SetTimer)}


def fire(stage: Stage, timer: TimerName, *, at_ms: int, view: int | None = None) -> list[m.Action]:
    return stage.give(m.TimerFired(timer, View(view) if view else stage.core.status().view), at_ms=at_ms)


def begin(*, me: int = 2, member_count: int = 4) -> Stage:
    stage = Stage(me=me, member_count=member_count)
    stage.give(m.Started(), at_ms=0)
    return stage


def notarize_first(stage: Stage, name: str = "A") -> list[m.Action]:
    """See view 1's block through to its notarization at 20 ms, having voted for it at 10 ms."""
    stage.block(name, view=1)
    stage.hear(stage.proposal(name), source=1, at_ms=5)
    stage.give(stage.executed(name), at_ms=10)
    return stage.hear(stage.vote(NOTARIZE, 3, block=name), source=3, at_ms=20)


# --- §2 Preliminaries and definitions --------------------------------------------------------------------------------


def test_section_2_a_quorum_is_n_minus_f_votes_of_different_members_and_nothing_less() -> None:
    stage = begin()
    stage.block("A", view=1)
    stage.hear(stage.vote(NOTARIZE, 1, block="A"), source=1)
    stage.hear(stage.vote(NOTARIZE, 1, block="A"), source=1)
    assert not said(stage.hear(stage.vote(NOTARIZE, 3, block="A"), source=3), m.Certificate)
    assert stage.core.status().view == 1
    assert said(stage.hear(stage.vote(NOTARIZE, 4, block="A"), source=4), m.Certificate)
    assert stage.core.status().view == 2


def test_section_2_votes_for_different_blocks_do_not_add_up() -> None:
    stage = begin()
    stage.block("A", view=1)
    stage.block("B", view=1, time_ms=1)
    for member, name in ((1, "A"), (3, "B"), (4, "A")):
        stage.hear(stage.vote(NOTARIZE, member, block=name), source=member)
    assert stage.core.status().view == 1


def test_section_2_the_leader_of_every_view_is_known_beforehand_and_members_take_turns() -> None:
    leaders = [m.compute_leader(View(view), epoch=FIRST_EPOCH, member_count=4) for view in range(1, 9)]
    assert leaders == [1, 2, 3, 4, 1, 2, 3, 4]


def test_section_2_a_parent_may_be_any_notarized_block_with_only_dummy_blocks_between() -> None:
    stage = begin(me=4)
    notarize_first(stage)
    stage.hear(stage.nullification(2, [1, 2, 3]), source=3, at_ms=30)
    stage.block("C", view=3, parent="A", time_ms=30)
    stage.hear(stage.proposal("C"), source=3, at_ms=40)
    assert votes(stage.give(stage.executed("C"), at_ms=50)) == [NOTARIZE]


# --- §2.1 The protocol, step by step ---------------------------------------------------------------------------------


def test_section_2_1_entering_a_view_starts_a_timer_that_leads_to_a_vote_for_the_dummy_block() -> None:
    stage = begin(me=3)
    actions = stage.hear(stage.nullification(1, [1, 2, 4]), source=4, at_ms=100)
    deadline_ms = timers(actions)[TimerName.LEADER]
    assert deadline_ms == 100 + 2 * stage.delta_ms
    assert votes(fire(stage, TimerName.LEADER, at_ms=deadline_ms)) == [NULLIFY]


def test_section_2_1_the_timer_covers_three_delta_when_a_proposal_has_come() -> None:
    stage = begin()
    stage.block("A", view=1)
    actions = stage.hear(stage.proposal("A"), source=1, at_ms=50)
    assert timers(actions) == {TimerName.VIEW: 50 + 3 * stage.delta_ms}
    assert votes(fire(stage, TimerName.VIEW, at_ms=50 + 3 * stage.delta_ms)) == [NULLIFY]


def test_section_2_1_the_timer_of_a_view_that_ended_does_nothing() -> None:
    stage = begin()
    notarize_first(stage)
    assert votes(fire(stage, TimerName.LEADER, at_ms=5_000, view=1)) == []
    assert votes(fire(stage, TimerName.VIEW, at_ms=5_000, view=1)) == []


def test_section_2_1_the_leader_proposes_one_block_extending_a_notarized_one_and_votes_for_it() -> None:
    stage = begin()
    notarize_first(stage)
    built = stage.give(m.EntriesPending(Millis(START_MS + 30)), at_ms=30)
    assert [action.parent for action in built if isinstance(action, m.BuildBlock)] == [stage.header("A")]
    block = stage.block("B", view=2, parent="A", time_ms=30)
    answer = m.BlockBuilt(block.header.view, block.header, block.entry_hashes)
    assert votes(stage.give(answer, at_ms=31)) == [NOTARIZE]
    assert stage.give(m.EntriesPending(Millis(START_MS + 32)), at_ms=32) == []
    assert votes(stage.give(answer, at_ms=33)) == []


def test_section_2_1_only_the_first_proposal_of_the_leader_is_voted_for() -> None:
    stage = begin()
    stage.block("A", view=1)
    stage.block("B", view=1, time_ms=1)
    stage.hear(stage.proposal("B"), source=1, at_ms=5)
    stage.hear(stage.proposal("A"), source=1, at_ms=6)
    assert stage.give(stage.executed("A"), at_ms=7) == []
    assert votes(stage.give(stage.executed("B"), at_ms=8)) == [NOTARIZE]


def test_section_2_1_a_proposal_by_anyone_but_the_leader_is_not_voted_for() -> None:
    stage = begin()
    block = stage.block("A", view=1)
    forged = m.Proposal(block.header, block.entry_hashes, stage.vote(NOTARIZE, 3, block="A"))
    actions = stage.hear(forged, source=3, at_ms=5)
    assert [type(action) for action in actions] == [m.PeerMisbehaved]


def test_section_2_1_a_proposal_is_voted_for_only_when_its_parent_is_notarized() -> None:
    stage = begin(me=4)
    stage.block("A", view=1)
    stage.block("B", view=2, parent="A")
    stage.hear(stage.proposal("A"), source=1, at_ms=5)
    stage.hear(stage.nullification(1, [1, 2, 3]), source=3, at_ms=6)
    asked = stage.hear(stage.proposal("B"), source=2, at_ms=7)
    assert [stage.describe(action) for action in asked if isinstance(action, m.FetchCertificate)] == [
        "ask 2 whether view 1 ended with NOTARIZE"
    ]
    stage.hear(stage.notarization("A", [1, 2, 3]), source=2, at_ms=8)
    stage.give(stage.executed("A"), at_ms=9)
    assert votes(stage.give(stage.executed("B"), at_ms=10)) == [NOTARIZE]


def test_section_2_1_a_proposal_over_a_view_without_dummy_block_is_not_voted_for() -> None:
    stage = begin(me=4)
    stage.block("B", view=3)
    stage.hear(stage.nullification(2, [1, 2, 3]), source=3, at_ms=6)
    asked = stage.hear(stage.proposal("B"), source=3, at_ms=7)
    assert not [action for action in asked if isinstance(action, m.ExecuteBlock)]
    assert "ask 3 whether view 1 ended with NULLIFY" in [stage.describe(action) for action in asked]


def test_section_2_1_a_member_votes_only_in_the_view_it_is_in() -> None:
    stage = begin(me=4)
    notarize_first(stage)
    stage.block("A3", view=3, parent="A", time_ms=30)
    assert not [a for a in stage.hear(stage.proposal("A3"), source=3) if not isinstance(a, m.SetTimer)]
    actions = stage.hear(stage.nullification(2, [1, 2, 3]), source=2, at_ms=40)
    assert [stage.describe(a) for a in actions if isinstance(a, m.ExecuteBlock)] == ["execute A3, from 3"]


def test_section_2_1_a_notarized_view_is_left_at_once_and_its_notarization_passed_on_to_all() -> None:
    stage = begin()
    actions = notarize_first(stage)
    assert [stage.describe_message(message) for message in said(actions, m.Certificate)] == ["notarization A"]
    assert stage.core.status().view == 2


def test_section_2_1_a_dummy_block_ends_a_view_just_as_well() -> None:
    stage = begin()
    stage.hear(stage.vote(NULLIFY, 1, view=1), source=1)
    stage.hear(stage.vote(NULLIFY, 3, view=1), source=3)
    actions = stage.hear(stage.vote(NULLIFY, 4, view=1), source=4)
    assert [stage.describe_message(message) for message in said(actions, m.Certificate)] == ["nullification 1"]
    assert stage.core.status().view == 2


def test_section_2_1_leaving_a_notarized_view_before_its_timer_fired_means_a_finalize_vote() -> None:
    assert votes(notarize_first(begin())) == [FINALIZE]


def test_section_2_1_no_finalize_vote_once_the_timer_has_fired() -> None:
    stage = begin()
    stage.block("A", view=1)
    stage.hear(stage.proposal("A"), source=1, at_ms=5)
    stage.give(stage.executed("A"), at_ms=10)
    assert votes(fire(stage, TimerName.VIEW, at_ms=305)) == [NULLIFY]
    assert votes(stage.hear(stage.vote(NOTARIZE, 3, block="A"), source=3, at_ms=310)) == []
    assert stage.core.status().view == 2


def test_section_2_1_no_vote_for_the_dummy_block_once_a_finalize_vote_was_cast() -> None:
    stage = begin()
    assert votes(notarize_first(stage)) == [FINALIZE]
    stage.rebuild()
    stage.give(m.Started())
    for timer in TimerName:
        assert NULLIFY not in votes(fire(stage, timer, at_ms=9_000, view=1))


def test_section_2_1_a_quorum_of_finalize_votes_makes_a_block_and_all_before_it_final_in_order() -> None:
    stage = begin(me=4)
    notarize_first(stage)
    stage.block("B", view=2, parent="A", time_ms=30)
    stage.hear(stage.proposal("B"), source=2, at_ms=30)
    stage.give(stage.executed("B"), at_ms=31)
    stage.hear(stage.vote(NOTARIZE, 3, block="B"), source=3, at_ms=40)
    stage.hear(stage.vote(FINALIZE, 2, block="B"), source=2, at_ms=50)
    actions = stage.hear(stage.vote(FINALIZE, 3, block="B"), source=3, at_ms=51)
    assert [stage.describe(action) for action in actions if isinstance(action, m.Finalized)] == ["final A, B sealed"]


def test_section_2_1_finalize_votes_count_however_late_they_come() -> None:
    stage = begin()
    notarize_first(stage)
    stage.hear(stage.nullification(40, [1, 3, 4]), source=3, at_ms=30)
    stage.hear(stage.vote(FINALIZE, 3, block="A"), source=3, at_ms=40)
    actions = stage.hear(stage.vote(FINALIZE, 4, block="A"), source=4, at_ms=41)
    assert any(isinstance(action, m.Finalized) for action in actions)


# --- §3 Consistency and liveness, as far as one member shows them ----------------------------------------------------


def test_section_3_a_member_never_votes_for_two_blocks_of_one_view_even_across_a_restart() -> None:
    stage = begin()
    stage.block("A", view=1)
    stage.block("B", view=1, time_ms=1)
    stage.hear(stage.proposal("A"), source=1, at_ms=5)
    assert votes(stage.give(stage.executed("A"), at_ms=10)) == [NOTARIZE]
    stage.rebuild()
    stage.give(m.Started())
    stage.hear(stage.proposal("B"), source=1, at_ms=20)
    assert votes(stage.give(stage.executed("B"), at_ms=21)) == []


def test_section_3_every_vote_is_durable_before_it_is_said() -> None:
    stage = begin()
    actions = notarize_first(stage)
    voted = next(i for i, a in enumerate(actions) if isinstance(a, m.Broadcast) and isinstance(a.message, m.Vote))
    assert isinstance(actions[voted - 1], m.Persist)


def test_section_3_an_honest_leaders_block_is_final_after_three_message_delays() -> None:
    """Proposal, NOTARIZE, FINALIZE: what this member needs to hear, and nothing else, each at once acted upon."""
    stage = begin()
    notarize_first(stage)
    stage.hear(stage.vote(FINALIZE, 1, block="A"), source=1, at_ms=30)
    actions = stage.hear(stage.vote(FINALIZE, 3, block="A"), source=3, at_ms=30)
    assert any(isinstance(action, m.Finalized) for action in actions)


def test_section_3_a_member_behind_catches_up_with_one_certificate_however_many_views_it_missed() -> None:
    stage = begin()
    stage.hear(stage.nullification(500, [1, 3, 4]), source=3)
    assert stage.core.status().view == 501


# --- Departures from the paper ---------------------------------------------------------------------------------------


def test_departure_the_leader_waits_while_there_is_nothing_to_say() -> None:
    stage = begin(me=1)
    assert timers(stage.give(m.EntriesPending(None), at_ms=1)) == {}
    actions = fire(stage, TimerName.PROPOSE, at_ms=stage.idle_interval_ms)
    assert [action.may_be_empty for action in actions if isinstance(action, m.BuildBlock)] == [True]


def test_departure_the_timer_allows_for_that_wait_unless_entries_are_pending() -> None:
    stage = Stage(me=2)
    started = timers(stage.give(m.Started(), at_ms=0))
    assert started[TimerName.LEADER] == stage.idle_interval_ms + 2 * stage.delta_ms
    told = timers(stage.give(m.EntriesPending(Millis(START_MS)), at_ms=0))
    assert told[TimerName.LEADER] == 3 * stage.delta_ms


def test_departure_no_finalize_vote_in_a_view_whose_leader_was_seen_to_equivocate() -> None:
    stage = begin()
    stage.block("B", view=1, time_ms=1)
    stage.block("A", view=1)
    stage.hear(stage.proposal("A"), source=1, at_ms=5)
    stage.give(stage.executed("A"), at_ms=10)
    stage.hear(stage.vote(NOTARIZE, 1, block="B"), source=1, at_ms=12)
    assert votes(stage.hear(stage.vote(NOTARIZE, 3, block="A"), source=3, at_ms=20)) == []


def test_departure_delta_doubles_with_consecutive_nullified_views_and_decays_with_final_blocks() -> None:
    stage = begin()
    for view in range(1, 9):
        stage.hear(stage.nullification(view, [1, 3, 4]), source=3, at_ms=view)
    assert stage.core.status().delta_ms == 8 * stage.delta_ms
    stage.block("A", view=9)
    stage.hear(stage.proposal("A"), source=1, at_ms=100)
    stage.give(stage.executed("A"), at_ms=101)
    stage.hear(stage.finalization("A"), source=3, at_ms=102)
    assert stage.core.status().delta_ms == 4 * stage.delta_ms


def test_departure_a_leader_silent_in_its_last_two_turns_gets_half_the_time() -> None:
    stage = begin()
    waits = {}
    for view in range(1, 10):
        actions = stage.hear(stage.nullification(view, [1, 3, 4]), source=3, at_ms=view)
        waits[view + 1] = (timers(actions)[TimerName.LEADER] - view) / stage.core.status().delta_ms
    assert (waits[5], waits[9]) == (2, 1)
