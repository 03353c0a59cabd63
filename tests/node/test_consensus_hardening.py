"""What a member may cost that says false things, and what shows a node that its vote log is an old one."""

from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.blocks import seal_message
from ledger.limits import MEMBERS_MAX
from ledger.positions import MemberIndex, Millis, View
from node.consensus import core as core_module
from node.consensus import messages as m
from node.consensus import votelog
from node.consensus.chain import Block
from node.consensus.credit import FORGIVEN_EVERY_MS, FREE_FAULTS, PAUSE_MAX_MS, PAUSE_MIN_MS, Credit
from node.consensus.lanes import ANSWERS, SIGNED, Lane
from node.consensus.messages import Fault, Misconduct, TimerName, VoteKind
from node.consensus.tally import Added
from tests.scenarios.stage import GENESIS, ORIGIN, STREAM, Stage

NOTARIZE, NULLIFY, FINALIZE = VoteKind.NOTARIZE, VoteKind.NULLIFY, VoteKind.FINALIZE
LIAR = MemberIndex(3)
THIEF = Lane(2)


def begin(*, me: int = 2, member_count: int = 4) -> Stage:
    stage = Stage(me=me, member_count=member_count)
    stage.block("A", view=1)
    stage.block("X", view=1, time_ms=3)
    stage.give(m.Started(), at_ms=0)
    return stage


def faults(actions: list[m.Action]) -> list[Fault]:
    return [action.fault for action in actions if isinstance(action, m.PeerMisbehaved)]


def said(actions: list[m.Action]) -> list[m.Message]:
    return [action.message for action in actions if isinstance(action, m.Broadcast)]


# --- an old vote log -------------------------------------------------------------------------------------------------


def put_old_log_back(stage: Stage) -> None:
    """Let member 2 vote NOTARIZE for A, then bring it up with the log of before that."""
    old = stage.disk
    stage.hear(stage.proposal("A"), source=1, at_ms=5)
    assert any(isinstance(action, m.Persist) for action in stage.give(stage.executed("A"), at_ms=6))
    stage.disk = old
    stage.rebuild()
    stage.give(m.Started(), at_ms=100)


@pytest.mark.parametrize("shown", ["certificate", "fetched certificate", "vote"])
def test_a_vote_of_its_own_that_the_log_does_not_hold_stops_a_member_from_voting_at_once(shown: str) -> None:
    stage = begin()
    put_old_log_back(stage)
    certificate = stage.notarization("A", [1, 2, 3])
    actions = {
        "certificate": lambda: stage.hear(certificate, source=3, at_ms=110),
        "fetched certificate": lambda: stage.give(m.CertificateFetched(LIAR, certificate), at_ms=110),
        "vote": lambda: stage.hear(stage.vote(NOTARIZE, 2, block="A"), source=3, at_ms=110),
    }[shown]()
    (forgotten,) = (action for action in actions if isinstance(action, m.VoteForgotten))
    assert (forgotten.vote.kind, forgotten.vote.view, forgotten.vote.member) == (NOTARIZE, 1, 2)
    first = next(action for action in actions if isinstance(action, m.Persist | m.VoteForgotten | m.Broadcast))
    assert isinstance(first, m.Persist), "durable before it is said"
    assert any(isinstance(action, m.FetchViews) for action in actions)
    log = votelog.read(stage.disk, ledger_id=GENESIS.ledger_id, member=MemberIndex(2)).records
    assert votelog.is_recovering(log), "also after a restart"
    later = [
        *stage.give(m.TimerFired(TimerName.LEADER, View(1)), at_ms=9_000),
        *stage.hear(stage.proposal("A"), source=1, at_ms=9_001),
        *stage.give(stage.executed("A"), at_ms=9_002),
    ]
    assert not [one for one in said(later) if isinstance(one, m.Vote)]
    assert stage.core.status().is_recovering


def test_it_recovers_above_the_votes_it_was_shown_once_others_have_told_their_views() -> None:
    stage = begin()
    put_old_log_back(stage)
    stage.hear(stage.vote(NOTARIZE, 2, block="A"), source=3, at_ms=110)
    for member in (1, 3, 4):
        stage.give(m.ViewTold(MemberIndex(member), GENESIS.epoch, View(0)), at_ms=120)
    status = stage.core.status()
    assert not status.is_recovering
    assert status.muted_until_view == 1 + 2
    log = votelog.read(stage.disk, ledger_id=GENESIS.ledger_id, member=MemberIndex(2)).records
    assert not votelog.is_recovering(log)


def test_its_own_block_shown_to_a_leader_that_forgot_it_stops_it_too() -> None:
    stage = begin(me=1)
    actions = stage.hear(stage.proposal("A"), source=4, at_ms=5)
    assert [action.vote.view for action in actions if isinstance(action, m.VoteForgotten)] == [1]


def test_what_it_remembers_or_has_recovered_from_or_was_forged_is_no_sign_of_an_old_log() -> None:
    stage = begin()
    stage.hear(stage.proposal("A"), source=1, at_ms=5)
    stage.give(stage.executed("A"), at_ms=6)
    remembered = stage.hear(stage.notarization("A", [1, 2, 3]), source=3, at_ms=7)
    forged = replace(stage.vote(NULLIFY, 2, view=2), signature=bytes(64))
    told = [*remembered, *stage.hear(forged, source=3, at_ms=8)]
    stage = Stage(is_lost=True)
    stage.block("A", view=1)
    stage.give(m.Started(), at_ms=0)
    told += stage.hear(stage.vote(NOTARIZE, 2, block="A"), source=3, at_ms=1)
    for member in (1, 3, 4):
        stage.give(m.ViewTold(MemberIndex(member), GENESIS.epoch, View(1)), at_ms=2)
    told += stage.hear(stage.notarization("A", [1, 2, 3]), source=3, at_ms=3)
    assert not [action for action in told if isinstance(action, m.VoteForgotten)]


# --- who lies is heard less ------------------------------------------------------------------------------------------


def test_a_member_that_sends_false_certificates_costs_a_bounded_number_of_checks() -> None:
    stage = begin(member_count=200)
    votes = stage.nullification(7, list(range(1, stage.quorum + 1))).votes
    wrong = m.Certificate(NULLIFY, GENESIS.epoch, View(7), m.NO_DIGEST, (*votes[:-1], replace(votes[0], member=LIAR)))
    wrong = replace(wrong, votes=(*votes[:-1], replace(votes[-1], signature=bytes(64))))
    found = [fault for at_ms in range(0, 60_000, 20) for fault in faults(stage.hear(wrong, source=LIAR, at_ms=at_ms))]
    assert len(found) == 3_000, "each is counted"
    looked_at = found.count(Fault.WRONG_CERTIFICATE)
    assert looked_at <= FREE_FAULTS + 11
    assert stage.keys.verifications <= looked_at * stage.quorum
    assert found.count(Fault.HELD_BACK) == len(found) - looked_at


def test_others_are_heard_while_a_liar_is_not() -> None:
    stage = begin()
    for at_ms in range(20):
        stage.hear(replace(stage.finalization("A"), seal=bytes(48)), source=LIAR, at_ms=at_ms)
    assert faults(stage.hear(stage.vote(NULLIFY, 3, view=1), source=LIAR, at_ms=21)) == [Fault.HELD_BACK]
    actions = stage.hear(stage.finalization("A"), source=4, at_ms=22)
    assert stage.finalization("A") in said(actions)


def pour_lies(stage: Stage, *, lane: Lane, at_ms: int) -> None:
    """Send false seals until nothing that comes this way is heard."""
    false = replace(stage.finalization("A"), seal=bytes(48))
    heard = (stage.hear(false, source=LIAR, lane=lane, at_ms=at_ms) for _ in range(20))
    assert [fault for actions in heard for fault in faults(actions)][-1] is Fault.HELD_BACK


def test_what_a_member_says_on_its_own_stream_counts_while_a_thief_pours_out_lies_in_its_name() -> None:
    stage = begin()
    stage.hear(stage.proposal("A"), source=1, at_ms=1)
    stage.give(stage.executed("A"), at_ms=2)
    pour_lies(stage, lane=THIEF, at_ms=3)
    actions = stage.hear(stage.vote(NOTARIZE, 3, block="A"), source=LIAR, at_ms=4)
    assert faults(actions) == []
    assert stage.notarization("A", [1, 2, 3]) in said(actions), "the vote was the one that was missing"
    stage.block("C", view=3, parent="A")
    stage.hear(stage.nullification(2, [1, 3, 4]), source=4, at_ms=5)
    actions = stage.hear(stage.proposal("C"), source=LIAR, at_ms=6)
    assert any(isinstance(action, m.ExecuteBlock) for action in actions), "it leads its view"
    assert faults(stage.hear(stage.vote(NULLIFY, 3, view=3), source=LIAR, lane=THIEF, at_ms=7)) == [Fault.HELD_BACK]


@pytest.mark.parametrize("lane", [STREAM, THIEF])
def test_what_a_member_was_asked_for_is_taken_whatever_is_said_in_its_name(lane: Lane) -> None:
    stage = begin()
    stage.hear(stage.notarization("A", [1, 3, 4]), source=4, at_ms=1)
    pour_lies(stage, lane=lane, at_ms=2)
    block = stage.blocks["A"]
    actions = stage.give(m.BlockFetched(LIAR, block.header, block.entry_hashes), at_ms=3)
    assert faults(actions) == []
    assert any(isinstance(action, m.ExecuteBlock) for action in actions)
    assert faults(stage.give(m.CertificateFetched(LIAR, stage.nullification(2, [1, 3, 4])), at_ms=4)) == []
    assert stage.core.get_certificate(NULLIFY, View(2)) is not None


def test_who_answers_falsely_is_asked_in_vain_for_a_while_and_heard_where_it_speaks() -> None:
    stage = begin()
    certificate = stage.nullification(7, [1, 3, 4])
    false = replace(certificate, votes=(*certificate.votes[:2], replace(certificate.votes[2], signature=bytes(64))))
    found = [fault for _ in range(20) for fault in faults(stage.give(m.CertificateFetched(LIAR, false), at_ms=1))]
    assert found[-1] is Fault.HELD_BACK
    assert faults(stage.hear(certificate, source=LIAR, at_ms=2)) == []
    assert stage.core.get_certificate(NULLIFY, View(7)) == certificate


def test_a_wrong_share_counts_against_all_that_its_member_says() -> None:
    credit = Credit()
    for _ in range(FREE_FAULTS + 1):
        assert credit.is_heard(LIAR, THIEF, Millis(0))
        credit.charge(LIAR, SIGNED, Fault.WRONG_SHARE, Millis(0))
    for lane in (ANSWERS, STREAM, THIEF):
        assert not credit.is_heard(LIAR, lane, Millis(PAUSE_MIN_MS - 1))
        assert credit.is_heard(LIAR, lane, Millis(PAUSE_MIN_MS))
    assert credit.has_lied_about_share(LIAR)
    assert not credit.has_lied_about_share(MemberIndex(4))


def test_what_a_thief_says_does_not_make_its_victims_shares_suspect() -> None:
    stage = begin()
    pour_lies(stage, lane=THIEF, at_ms=1)
    assert not stage.core.credit.has_lied_about_share(LIAR)


def test_a_leader_whose_blocks_this_node_refuses_is_heard_all_the_same() -> None:
    """Clocks differ; and a quorum may yet accept what this node does not."""
    stage = Stage(me=2)
    stage.give(m.Started(), at_ms=0)
    for view in range(1, 40, 4):
        stage.block("early", view=view, time_ms=stage.now_ms + 3_600_000)
        assert Fault.HELD_BACK not in faults(stage.hear(stage.proposal("early"), source=1, at_ms=stage.now_ms + 1))
        for skipped in range(view, view + 4):
            stage.hear(stage.nullification(skipped, [1, 3, 4]), source=4)


def test_faults_are_forgiven_with_time_and_pauses_are_bounded() -> None:
    credit = Credit()
    for _ in range(100):
        credit.charge(LIAR, STREAM, Fault.WRONG_SEAL, Millis(0))
    assert not credit.is_heard(LIAR, STREAM, Millis(PAUSE_MAX_MS - 1))
    assert credit.is_heard(LIAR, STREAM, Millis(PAUSE_MAX_MS))
    later = Millis(100 * FORGIVEN_EVERY_MS)
    for _ in range(FREE_FAULTS):
        credit.charge(LIAR, STREAM, Fault.WRONG_SEAL, later)
        assert credit.is_heard(LIAR, STREAM, later)
    credit.charge(LIAR, STREAM, Fault.WRONG_SEAL, later)
    assert not credit.is_heard(LIAR, STREAM, later)
    assert credit.is_heard(LIAR, STREAM, Millis(later + PAUSE_MIN_MS))


@given(st.lists(st.integers(0, 1_000), max_size=300))
def test_a_liar_is_looked_at_a_bounded_number_of_times_whatever_its_rhythm(steps: list[int]) -> None:
    credit, now, looked_at = Credit(), 0, 0
    for step in steps:
        now += step
        if credit.is_heard(LIAR, STREAM, Millis(now)):
            looked_at += 1
            credit.charge(LIAR, STREAM, Fault.WRONG_SIGNATURE, Millis(now))
    assert looked_at <= FREE_FAULTS + 11 + 2 * (now // FORGIVEN_EVERY_MS)
    assert credit.is_heard(MemberIndex(4), STREAM, Millis(now))


def test_a_clock_that_was_set_back_prolongs_no_pause() -> None:
    stage = begin()
    for _ in range(FREE_FAULTS + 1):
        stage.hear(replace(stage.finalization("A"), seal=bytes(48)), source=LIAR, at_ms=50_000)
    assert faults(stage.hear(stage.vote(NULLIFY, 3, view=1), source=LIAR, at_ms=0)) == [Fault.HELD_BACK]
    assert faults(stage.hear(stage.vote(NULLIFY, 3, view=1), source=LIAR, at_ms=PAUSE_MIN_MS)) == []


# --- shares of who lied ----------------------------------------------------------------------------------------------


def cheat(stage: Stage, member: int, block: str) -> m.Vote:
    """Make a FINALIZE with a wrong share, rightly signed."""
    honest, share = stage.vote(FINALIZE, member, block=block), b"s" * 48
    message = m.compute_vote_message(
        ledger_id=GENESIS.ledger_id,
        kind=FINALIZE,
        epoch=honest.epoch,
        view=honest.view,
        digest=honest.digest,
        share=share,
    )
    return replace(honest, share=share, signature=stage.keys._signature(member, message))


def test_the_shares_of_who_sent_a_wrong_one_are_checked_alone_from_then_on() -> None:
    stage = Stage(me=7, member_count=7)
    stage.block("A", view=1)
    stage.block("B", view=2, parent="A")
    stage.give(m.Started(), at_ms=0)
    combined: list[list[int]] = []
    combine = stage.keys.combine

    def look(shares: Mapping[MemberIndex, bytes], message: bytes) -> tuple[bytes | None, tuple[MemberIndex, ...]]:
        combined.append(list(shares))
        return combine(shares, message)

    stage.keys.combine = look  # type: ignore[method-assign]  # to see what is combined
    for name in ("A", "B"):
        stage.hear(stage.proposal(name), source=stage.leader(stage.header(name).view))
        stage.give(stage.executed(name))
        stage.hear(stage.notarization(name, [1, 3, 4, 5, 6]), source=3)
        stage.hear(cheat(stage, 3, name), source=3)
        for member in (4, 5, 6):
            stage.hear(stage.vote(FINALIZE, member, block=name), source=member)
        actions = stage.hear(stage.vote(FINALIZE, 1, block=name), source=1)
        assert any(isinstance(action, m.Finalized) for action in actions)
    assert combined == [[3, 4, 5, 6, 7], [1, 4, 5, 6, 7], [1, 4, 5, 6, 7]], "spoiled once, never again"


def test_a_good_share_of_who_lied_counts_and_is_checked_once() -> None:
    stage = begin()
    stage.core.credit.charge(LIAR, SIGNED, Fault.WRONG_SHARE, Millis(0))
    good = stage.vote(FINALIZE, 3, block="A")
    message = seal_message(stage.header("A"), ORIGIN)
    votes = {MemberIndex(3): good}
    for _ in range(2):
        stage.core._check_suspect_shares(stage.header("A"), votes, message)
    assert list(votes) == [3]
    assert stage.core._tally.is_checked(good)


# --- nothing is checked in vain --------------------------------------------------------------------------------------


def test_who_contradicts_itself_again_and_again_costs_two_checks_a_view() -> None:
    stage = begin()
    first, second = stage.vote(NOTARIZE, 3, block="A"), stage.vote(NOTARIZE, 3, block="X")
    assert stage.core._tally.add_vote(first) is Added.NEW
    assert stage.core._tally.add_vote(second) is Added.CONFLICTING
    checks = stage.keys.verifications
    for number in range(100):
        more = replace(second, digest=number.to_bytes(32, "big"))
        assert stage.core._tally.add_vote(more) is Added.SURPLUS
    assert stage.keys.verifications == checks


def test_a_block_of_a_leader_that_contradicted_itself_is_not_taken_on_an_unchecked_vote() -> None:
    stage = begin()
    stage.block("Y", view=1, time_ms=5)
    for name in ("A", "X"):
        stage.hear(stage.vote(NOTARIZE, 1, block=name), source=1, at_ms=1)
    forged = stage.proposal("Y")
    stage.hear(replace(forged, vote=replace(forged.vote, signature=bytes(64))), source=4, at_ms=2)
    assert stage.core.get_block(stage.header("Y").digest) is None
    actions = stage.hear(stage.proposal("A"), source=1, at_ms=3)
    assert any(isinstance(action, m.ExecuteBlock) for action in actions), "the block it voted for first is"


def test_a_proposal_repeated_is_not_read_again_but_its_vote_counts_after_a_restart(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    read: list[Block] = []
    monkeypatch.setattr(core_module, "find_block_fault", read.append)
    stage = begin()
    for at_ms in range(1, 50):
        stage.hear(stage.proposal("A"), source=1, at_ms=at_ms)
    assert len(read) == 1
    stage.give(stage.executed("A"), at_ms=60)
    stage.rebuild()
    stage.give(m.Started(), at_ms=100)
    assert stage.core.status().votes[NOTARIZE] == 1
    stage.hear(stage.proposal("A"), source=1, at_ms=110)
    assert stage.core.status().votes[NOTARIZE] == 2


def test_a_vote_repeated_with_another_signature_is_not_checked_again() -> None:
    stage = begin()
    vote = stage.vote(NULLIFY, 3, view=1)
    assert stage.core._tally.add_vote(vote) is Added.NEW
    checks = stage.keys.verifications
    assert stage.core._tally.add_vote(replace(vote, signature=b"o" * 64)) is Added.REPEATED
    assert stage.keys.verifications == checks


# --- a quorum that contradicts itself --------------------------------------------------------------------------------


def test_a_second_notarization_of_a_view_is_evidence_against_all_who_made_both() -> None:
    stage = begin()
    stage.hear(stage.notarization("A", [1, 3, 4]), source=3, at_ms=1)
    actions = stage.hear(stage.notarization("X", [1, 3, 4]), source=4, at_ms=2)
    evidence = [action for action in actions if isinstance(action, m.EvidenceFound)]
    assert {(one.member, one.misconduct) for one in evidence} == {(i, Misconduct.DOUBLE_NOTARIZE) for i in (1, 3, 4)}
    held = stage.core.get_certificate(NOTARIZE, View(1))
    assert held is not None
    assert held.digest == stage.header("A").digest


def test_a_seal_on_what_this_node_refuses_is_said_loudly_without_a_notarization_too() -> None:
    stage = begin()
    stage.hear(stage.proposal("A"), source=1, at_ms=1)
    stage.give(stage.executed("A", is_valid=False), at_ms=2)
    actions = stage.hear(stage.finalization("A"), source=3, at_ms=3)
    assert [action.header for action in actions if isinstance(action, m.QuorumDisagrees)] == [stage.header("A")]


def test_the_largest_committee_has_a_price_too() -> None:
    credit = Credit()
    for member in range(1, MEMBERS_MAX + 1):
        credit.charge(MemberIndex(member), STREAM, Fault.WRONG_SOURCE, Millis(5))
    assert len(credit._accounts) == MEMBERS_MAX
