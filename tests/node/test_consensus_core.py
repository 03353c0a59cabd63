"""The core's edges: hostile messages, questions it answers, the clock, what an operator sees, and two-sided safety.

The protocol's steps are told in tests/scenarios, the paper's sentences in tests/paper, runs with faults in
tests/simulation.
"""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger import domains
from ledger.blocks import SealedHeader, parse_header, seal_message
from ledger.positions import FIRST_EPOCH, Epoch, MemberIndex, Millis, View
from node.consensus import messages as m
from node.consensus import votelog
from node.consensus.messages import Fault, Misconduct, TimerName, VoteKind, compute_leader, compute_vote_message
from tests.scenarios.stage import GENESIS, ORIGIN, START_MS, Stage
from tests.simulation.keys import CheapKeys

NOTARIZE, NULLIFY, FINALIZE = VoteKind.NOTARIZE, VoteKind.NULLIFY, VoteKind.FINALIZE


def begin(*, me: int = 2) -> Stage:
    stage = Stage(me=me)
    stage.block("A", view=1)
    stage.block("B", view=2, parent="A", time_ms=30)
    stage.give(m.Started(), at_ms=0)
    return stage


def faults(actions: list[m.Action]) -> list[tuple[int, Fault]]:
    return [(action.member, action.fault) for action in actions if isinstance(action, m.PeerMisbehaved)]


def assert_a_stranger_can_check(evidence: m.EvidenceFound) -> None:
    """With nothing but the evidence and what the charter says: ledger id, name, members' keys."""
    for vote in evidence.votes:
        message = compute_vote_message(
            ledger_id=GENESIS.ledger_id,
            kind=vote.kind,
            epoch=vote.epoch,
            view=vote.view,
            digest=vote.digest,
            share=vote.share,
        )
        assert vote.member == evidence.member
        assert CheapKeys(vote.member, 3).is_vote_signature(vote.member, message, vote.signature)
    if evidence.misconduct is Misconduct.WRONG_SHARE:
        (vote,) = evidence.votes
        assert evidence.header is not None
        assert evidence.header.digest == vote.digest
        good = CheapKeys(vote.member, 3).make_share(seal_message(parse_header(evidence.header.raw), ORIGIN))
        assert vote.share != good
    else:
        one, other = evidence.votes
        assert one.view == other.view
        assert (one.kind, one.digest) != (other.kind, other.digest)


@pytest.mark.parametrize(("one", "other"), [(NOTARIZE, NOTARIZE), (FINALIZE, FINALIZE), (NULLIFY, FINALIZE)])
def test_evidence_holds_all_that_a_stranger_needs_to_check_it(one: VoteKind, other: VoteKind) -> None:
    stage = begin()
    stage.block("X", view=1, time_ms=3)
    stage.hear(stage.vote(one, 4, block="" if one is NULLIFY else "A", view=1), source=4, at_ms=5)
    actions = stage.hear(stage.vote(other, 4, block="X"), source=4, at_ms=6)
    (evidence,) = (action for action in actions if isinstance(action, m.EvidenceFound))
    assert_a_stranger_can_check(evidence)


def finalize_first(stage: Stage) -> None:
    stage.hear(stage.proposal("A"), source=1, at_ms=5)
    stage.give(stage.executed("A"), at_ms=10)
    stage.hear(stage.finalization("A"), source=3, at_ms=20)
    assert stage.core.status().final_height == 1


# --- bytes that are signed -------------------------------------------------------------------------------------------


def test_a_votes_message_is_the_documented_bytes() -> None:
    message = compute_vote_message(
        ledger_id=b"L" * 32, kind=FINALIZE, epoch=Epoch(2), view=View(258), digest=b"d" * 32, share=b"s" * 48
    )
    assert message == domains.VOTE + b"L" * 32 + b"\3" + bytes(7) + b"\2" + bytes(6) + b"\1\2" + b"d" * 32 + b"s" * 48
    nullify = compute_vote_message(
        ledger_id=b"L" * 32, kind=NULLIFY, epoch=Epoch(1), view=View(1), digest=m.NO_DIGEST, share=m.NO_SHARE
    )
    assert len(nullify) == len(message)
    assert nullify[-80:] == bytes(80)


def test_leaders_take_turns_and_each_epoch_begins_with_another() -> None:
    assert [compute_leader(View(view), epoch=Epoch(1), member_count=3) for view in (1, 2, 3, 4)] == [1, 2, 3, 1]
    assert [compute_leader(View(view), epoch=Epoch(2), member_count=3) for view in (1, 2, 3, 4)] == [2, 3, 1, 2]


# --- hostile messages ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"vote": "member 3"}, "not the proposer's"),
        ({"vote": "nullify"}, "not the proposer's"),
        ({"vote": "block B"}, "not the proposer's"),
        ({"vote": "unsigned"}, "not signed"),
        ({"entry_hashes": ()}, "0 hashes for 1"),
        ({"entry_hashes": (b"h" * 32,)}, "entries digest"),
        ({"header": "proposer 3"}, "does not lead"),
        ({"header": "other ledger"}, "another ledger"),
    ],
)
def test_a_proposal_with_anything_wrong_is_dropped_and_its_sender_reported(
    change: dict[str, object], fault: str
) -> None:
    stage = begin()
    good = stage.proposal("A")
    header = good.header
    made = {
        "member 3": stage.vote(NOTARIZE, 3, block="A"),
        "nullify": stage.vote(NULLIFY, 1, view=1),
        "block B": stage.vote(NOTARIZE, 1, block="B"),
        "unsigned": replace(good.vote, signature=bytes(64)),
        "proposer 3": replace(header, proposer=MemberIndex(3)),
        "other ledger": replace(header, ledger_id=b"o" * 32),
    }
    wrong = replace(good, **{field: made.get(str(value), value) for field, value in change.items()})  # type: ignore[arg-type]  # several types
    (action,) = stage.hear(wrong, source=4, at_ms=5)
    assert isinstance(action, m.PeerMisbehaved)
    assert (action.member, action.fault) == (4, Fault.WRONG_PROPOSAL)
    assert fault in action.detail
    assert any(isinstance(action, m.ExecuteBlock) for action in stage.hear(good, source=1, at_ms=6)), "still the first"


def test_a_vote_must_come_from_its_member() -> None:
    stage = begin()
    assert faults(stage.hear(stage.vote(NULLIFY, 3, view=1), source=4)) == [(4, Fault.WRONG_SOURCE)]
    assert stage.core.status().votes[NULLIFY] == 0


def test_a_finalization_with_a_wrong_seal_or_of_another_ledger_is_refused() -> None:
    stage = begin()
    good = stage.finalization("A")
    other = replace(good, header=replace(good.header, ledger_id=b"o" * 32))
    for wrong in (replace(good, seal=bytes(48)), replace(good, seal=b"s" * 48), other):
        assert faults(stage.hear(wrong, source=3)) == [(3, Fault.WRONG_SEAL)]
    assert stage.core.status().view == 1


def test_messages_of_another_epoch_are_dropped_and_counted() -> None:
    stage = begin()
    vote = replace(stage.vote(NULLIFY, 3, view=1), epoch=Epoch(2))
    certificate = replace(stage.nullification(1, [1, 3, 4]), epoch=Epoch(2))
    final = stage.finalization("A")
    later = replace(final, header=replace(final.header, epoch=Epoch(2)))
    for message in (vote, certificate, later):
        assert stage.hear(message, source=3) == []
    assert sum(stage.core.status().dropped.values()) == 3


def test_votes_more_than_64_views_ahead_are_not_held() -> None:
    stage = begin()
    assert stage.hear(stage.vote(NULLIFY, 3, view=66), source=3) == []
    assert stage.core._tally.views() == []
    stage.hear(stage.vote(NULLIFY, 3, view=65), source=3)
    assert stage.core._tally.views() == [65]


def test_a_block_that_was_not_asked_for_is_dropped() -> None:
    stage = begin()
    block = stage.blocks["A"]
    assert stage.give(m.BlockFetched(MemberIndex(3), block.header, block.entry_hashes)) == []
    assert stage.core.get_block(block.header.digest) is None


def test_a_fetched_block_with_another_hash_list_is_refused_and_asked_for_again() -> None:
    stage = begin()
    stage.hear(stage.notarization("A", [1, 3, 4]), source=3, at_ms=10)
    block = stage.blocks["A"]
    assert faults(stage.give(m.BlockFetched(MemberIndex(3), block.header, (b"h" * 32,)))) == [(3, Fault.WRONG_BLOCK)]
    again = stage.give(m.TimerFired(TimerName.REPEAT, View(2)), at_ms=110)
    assert [action.member for action in again if isinstance(action, m.FetchBlock)] == [3]


def test_a_wrong_share_is_dropped_reported_and_evidence_and_the_seal_made_from_the_others() -> None:
    stage = begin()
    stage.hear(stage.proposal("A"), source=1, at_ms=5)
    stage.give(stage.executed("A"), at_ms=10)
    stage.hear(stage.notarization("A", [1, 3, 4]), source=3, at_ms=20)
    honest = stage.vote(FINALIZE, 3, block="A")
    message = compute_vote_message(
        ledger_id=GENESIS.ledger_id,
        kind=FINALIZE,
        epoch=FIRST_EPOCH,
        view=View(1),
        digest=honest.digest,
        share=b"s" * 48,
    )
    cheat = replace(honest, share=b"s" * 48, signature=stage.keys._signature(3, message))
    stage.hear(cheat, source=3, at_ms=30)
    actions = stage.hear(stage.vote(FINALIZE, 1, block="A"), source=1, at_ms=31)
    assert faults(actions) == [(3, Fault.WRONG_SHARE)]
    (evidence,) = (action for action in actions if isinstance(action, m.EvidenceFound))
    assert (evidence.misconduct, evidence.votes, evidence.header) == (
        Misconduct.WRONG_SHARE,
        (cheat,),
        stage.header("A"),
    )
    assert_a_stranger_can_check(evidence)
    assert not any(isinstance(action, m.Finalized) for action in actions)
    actions = stage.hear(stage.vote(FINALIZE, 4, block="A"), source=4, at_ms=32)
    assert any(isinstance(action, m.Finalized) for action in actions)


# --- questions, clock, operator --------------------------------------------------------------------------------------


def test_the_core_answers_for_blocks_and_certificates_it_holds() -> None:
    stage = begin()
    stage.hear(stage.proposal("A"), source=1, at_ms=5)
    nullification = stage.nullification(1, [1, 3, 4])
    stage.hear(nullification, source=3, at_ms=6)
    assert stage.core.get_block(stage.header("A").digest) == stage.blocks["A"]
    assert stage.core.get_certificate(NULLIFY, View(1)) == nullification
    assert stage.core.get_certificate(NOTARIZE, View(1)) == nullification, "either kind ends a view"
    assert stage.core.get_certificate(NOTARIZE, View(2)) is None
    assert stage.core.newest_finalization() is None
    stage.hear(stage.finalization("B"), source=3, at_ms=7)
    assert stage.core.newest_finalization() == stage.finalization("B")


def test_a_core_resumes_above_the_newest_final_view_of_the_store() -> None:
    stage = begin()
    stage.final = SealedHeader(stage.header("B"), stage.finalization("B").seal)
    stage.rebuild()
    stage.give(m.Started(), at_ms=50)
    status = stage.core.status()
    assert (status.view, status.final_height, status.leader) == (3, 2, 3)
    assert stage.core.newest_finalization() == stage.finalization("B")


def test_a_clock_set_back_only_moves_the_timers_back() -> None:
    stage = begin()
    actions = stage.give(m.EntriesPending(None), at_ms=-50_000)
    (timer,) = [action for action in actions if isinstance(action, m.SetTimer)]
    assert timer == m.SetTimer(TimerName.LEADER, View(1), Millis(START_MS - 50_000 + 1_200))
    nullify = stage.give(m.TimerFired(TimerName.LEADER, View(1)), at_ms=-50_000 + 1_200)
    assert any(isinstance(action, m.Persist) for action in nullify)


def test_a_timer_that_fires_too_early_is_set_again() -> None:
    stage = begin()
    (timer,) = stage.give(m.TimerFired(TimerName.LEADER, View(1)), at_ms=700)
    assert timer == m.SetTimer(TimerName.LEADER, View(1), Millis(START_MS + 1_200))


def test_a_member_that_lost_its_log_does_not_tell_its_view() -> None:
    stage = Stage(is_lost=True)
    stage.give(m.Started(), at_ms=0)
    assert stage.core.view_to_tell() is None
    for member in (1, 3, 4):
        stage.give(m.ViewTold(MemberIndex(member), FIRST_EPOCH, View(7)))
    assert stage.core.view_to_tell() == 9
    assert stage.core.status().muted_until_view == 9
    assert begin().core.view_to_tell() == 1


def test_answers_of_oneself_and_of_other_epochs_do_not_lift_recovery() -> None:
    stage = Stage(is_lost=True)
    stage.give(m.Started(), at_ms=0)
    for member, epoch in ((1, 1), (2, 1), (3, 2), (4, 1)):
        stage.give(m.ViewTold(MemberIndex(member), Epoch(epoch), View(7)))
    assert stage.core.status().is_recovering


def test_a_member_that_lost_its_log_does_not_lead_either() -> None:
    stage = Stage(me=1, is_lost=True)
    stage.give(m.Started(), at_ms=0)
    assert not [a for a in stage.give(m.EntriesPending(Millis(START_MS))) if isinstance(a, m.BuildBlock)]


def test_a_block_built_for_a_view_that_is_over_is_not_proposed() -> None:
    stage = begin(me=1)
    stage.give(m.EntriesPending(Millis(START_MS)), at_ms=1)
    stage.hear(stage.nullification(1, [2, 3, 4]), source=3, at_ms=5)
    block = stage.blocks["A"]
    assert stage.give(m.BlockBuilt(View(1), block.header, block.entry_hashes), at_ms=6) == []


def test_a_leader_that_gave_its_view_up_does_not_propose_in_it() -> None:
    stage = begin(me=1)
    stage.give(m.EntriesPending(Millis(START_MS)), at_ms=1)
    stage.give(m.TimerFired(TimerName.LEADER, View(1)), at_ms=1_500)
    block = stage.blocks["A"]
    actions = stage.give(m.BlockBuilt(View(1), block.header, block.entry_hashes), at_ms=1_501)
    assert not any(isinstance(action, m.Broadcast | m.Persist) for action in actions)


def test_a_finalization_against_the_final_chain_is_the_loudest_alarm_and_changes_nothing() -> None:
    stage = begin()
    stage.block("X", view=1, time_ms=7)
    stage.block("Y", view=3, parent="X", time_ms=40)
    finalize_first(stage)
    stage.hear(stage.proposal("Y"), source=3, at_ms=50)
    actions = stage.hear(stage.finalization("Y"), source=3, at_ms=60)
    assert [type(action) for action in actions if isinstance(action, m.QuorumDisagrees | m.Finalized)] == [
        m.QuorumDisagrees
    ]
    assert stage.core.status().final_height == 1


def test_the_work_of_a_happy_block_verifies_each_vote_once() -> None:
    stage = begin(me=3)
    before = stage.keys.verifications
    stage.hear(stage.proposal("A"), source=1, at_ms=5)
    stage.give(stage.executed("A"), at_ms=10)
    for member in (2, 4):
        stage.hear(stage.vote(NOTARIZE, member, block="A"), source=member, at_ms=20)
    for source in (1, 2, 4):
        stage.hear(stage.notarization("A", [1, 2, 3]), source=source, at_ms=21)
        stage.hear(stage.vote(FINALIZE, source, block="A"), source=source, at_ms=30)
    assert stage.keys.verifications - before <= 3 * (stage.member_count - 1)
    assert stage.core.status().final_height == 1


# --- any order of anything -------------------------------------------------------------------------------------------

MEMBERS = st.sampled_from([1, 3, 4])
NAMES = st.sampled_from(["A", "A2", "B", "B2", "C"])
VIEWS = st.integers(min_value=1, max_value=4)


def make_events(stage: Stage) -> st.SearchStrategy[tuple[str, int, str, int]]:
    kinds = ["proposal", "notarize", "finalize", "nullify", "notarization", "nullification", "executed", "refused"]
    kinds += ["finalization", "timer", "restart", "pending", "fetched"]
    return st.tuples(st.sampled_from(kinds), MEMBERS, NAMES, VIEWS)


def play(stage: Stage, kind: str, member: int, name: str, view: int) -> list[m.Action]:  # noqa: C901, PLR0911
    block = stage.blocks[name]
    match kind:
        case "proposal":
            return stage.hear(stage.proposal(name), source=member)
        case "notarize" | "finalize":
            return stage.hear(stage.vote(VoteKind[kind.upper()], member, block=name), source=member)
        case "nullify":
            return stage.hear(stage.vote(NULLIFY, member, view=view), source=member)
        case "notarization":
            return stage.hear(stage.notarization(name, [1, 3, 4]), source=member)
        case "nullification":
            return stage.hear(stage.nullification(view, [1, 3, 4]), source=member)
        case "finalization":
            return stage.hear(stage.finalization(name), source=member)
        case "executed" | "refused":
            return stage.give(stage.executed(name, is_valid=kind == "executed"))
        case "fetched":
            return stage.give(m.BlockFetched(MemberIndex(member), block.header, block.entry_hashes))
        case "timer":
            timers = list(TimerName)
            return stage.give(m.TimerFired(timers[view - 1], stage.core.status().view), at_ms=stage.now_ms + 400)
        case "pending":
            return stage.give(m.EntriesPending(Millis(START_MS)))
        case _:
            stage.rebuild()
            return stage.give(m.Started())


@settings(max_examples=150)
@given(st.data())
def test_no_order_of_messages_and_restarts_makes_a_member_contradict_itself(data: st.DataObject) -> None:
    """Even if all others conspire: what this member says is never misconduct, and is on disk before it is said."""
    stage = begin()
    stage.block("A2", view=1, time_ms=1)
    stage.block("B2", view=3, parent="A2", time_ms=31)
    stage.block("C", view=4, parent="B", time_ms=60)
    said: dict[tuple[int, VoteKind], bytes] = {}
    for event in data.draw(st.lists(make_events(stage), min_size=5, max_size=40)):
        durable = b""
        for action in play(stage, *event):
            if isinstance(action, m.Persist):
                durable += action.record
            if isinstance(action, m.Broadcast | m.Send):
                vote = action.message.vote if isinstance(action.message, m.Proposal) else action.message
                if isinstance(vote, m.Vote) and vote.member == stage.me:
                    assert said.setdefault((vote.view, vote.kind), vote.digest) == vote.digest
                    assert not {(vote.view, NULLIFY), (vote.view, FINALIZE)} <= said.keys()
                    assert votelog.encode_record(vote) in stage.disk
        assert stage.disk.endswith(durable)


def test_equal_seals_bind_equal_headers() -> None:
    stage = begin()
    assert seal_message(stage.header("A"), ORIGIN) != seal_message(stage.header("B"), ORIGIN)
