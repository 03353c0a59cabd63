"""The node's part in the beacon: when a share leaves it, what it makes of the others', and who tells the ledger."""

import random
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from ledger.beacons import compute_beacon_message, verify_beacon
from ledger.errors import Code, FormatError
from ledger.positions import BeaconRound, MemberIndex
from ledger.rules.beacons import find_open_rounds
from node.beacon import ROUNDS_AT_ONCE
from node.beacon_shares import BeaconFault
from node.consensus.lanes import Lane
from node.v1 import peer_pb2
from node.wire import encode_beacon_share
from tests.node.beacons import MEMBERS, REPEAT_S, ROUND_S, TURN_S, Chain, make_chain
from tests.node.cluster import set_up
from tests.node.test_daemon import Lab, register
from tests.node.test_driver import closing
from tests.simulation.attackers.attacker import STREAM

FIRST, SECOND, THIRD, LAST = MEMBERS
ZERO, ONE = BeaconRound(0), BeaconRound(1)


@pytest.fixture
async def chain(tmp_path: Path) -> AsyncIterator[Chain]:
    made = make_chain(tmp_path)
    yield made
    made.close()


async def open_round(chain: Chain, number: int) -> None:
    """Have a round opened by one block, and everybody learn of it with the next."""
    await chain.grow(number * ROUND_S)
    await chain.grow(number * ROUND_S + 0.1)


def id_of(chain: Chain, member: MemberIndex) -> str:
    return chain.nodes[0].charter.member(member).id


async def test_no_share_leaves_before_the_block_that_opened_the_round_is_final(chain: Chain) -> None:
    assert await chain.work() == [None] * 4, "no timer runs"
    await chain.grow(0)  # the trigger, final: it cannot name itself
    await chain.work()
    node = chain.node(FIRST)
    child = chain.build(FIRST, 0.1)
    assert find_open_rounds(child.state) == range(1)
    assert node.branches.add(child, parent=node.branches.final)
    await chain.work()
    assert chain.said == [], "the round is open in a block that is not final"
    await chain.grow(0.1)
    await chain.work()
    assert [(member, beacon_round) for member, beacon_round, _ in chain.said] == [(member, ZERO) for member in MEMBERS]


async def test_a_round_gets_the_groups_signature_from_the_member_whose_turn_it_is(chain: Chain) -> None:
    for number in range(3):
        await open_round(chain, number)
        await chain.work()
        chain.deliver()
        await chain.work()
        poster = MEMBERS[number % 4]
        assert chain.waiting() == [(id_of(chain, poster), number)]
        await chain.grow(number * ROUND_S + 0.2, by=poster)
        issuer, posted = chain.posted()[-1]
        assert (issuer, posted.round) == (id_of(chain, poster), number)
        verify_beacon(posted.round, posted.signature, group_key=chain.nodes[0].charter.group_key)
        assert await chain.work() == [None] * 4
        assert chain.node(FIRST).branches.final.header.tree_size > 1


async def test_fewer_than_a_quorum_make_none_and_everybody_sees_whom_it_waits_for(chain: Chain) -> None:
    await open_round(chain, 0)
    await chain.work(FIRST, SECOND)
    chain.deliver()
    await chain.work(FIRST, SECOND)
    assert chain.waiting() == []
    status = chain.parts[FIRST].describe()
    assert (status.drawn, status.open, status.shares, status.is_made) == (0, 1, 2, False)
    assert list(status.missing) == [id_of(chain, THIRD), id_of(chain, LAST)]
    node = chain.node(FIRST)
    chain.parts[FIRST].measure(node.metrics)
    encoded = node.metrics.encode().decode()
    assert "counterseal_beacon_rounds_open 1.0" in encoded
    assert f'counterseal_beacon_share_missing{{member="{id_of(chain, LAST)}"}} 1.0' in encoded
    assert f'counterseal_beacon_share_missing{{member="{id_of(chain, SECOND)}"}} 0.0' in encoded


async def test_shares_are_said_again_while_the_round_is_open_and_not_after(chain: Chain) -> None:
    await open_round(chain, 0)
    [wait_s, *_] = await chain.work()
    assert wait_s == pytest.approx(REPEAT_S)
    first = list(chain.said)
    chain.said.clear()
    await chain.work()
    assert chain.said == [], "not sooner than in a while"
    chain.now_s += REPEAT_S + 0.001
    await chain.work()
    assert chain.said == first, "the same shares, whenever they are made"
    chain.deliver()
    await chain.work()
    await chain.grow(0.2)
    chain.now_s += 10 * REPEAT_S
    await chain.work()
    assert chain.said == []


async def test_a_member_that_starts_again_makes_the_same_share_and_needs_nothing_from_disk(chain: Chain) -> None:
    await open_round(chain, 0)
    await chain.work()
    said = list(chain.said)
    chain.said.clear()
    for member in MEMBERS:
        chain.start(member)
    await chain.work()
    assert chain.said == said


async def test_where_nobody_posts_in_its_turn_the_next_member_does_one_turn_later(chain: Chain) -> None:
    await open_round(chain, 0)
    await chain.work()
    chain.deliver()
    others = [SECOND, THIRD, LAST]
    assert await chain.work(*others) == [pytest.approx(REPEAT_S)] * 3
    assert chain.waiting() == []
    chain.now_s += TURN_S + 0.001
    await chain.work(*others)
    assert chain.waiting() == [(id_of(chain, SECOND), 0)]
    chain.now_s += TURN_S + 0.001
    await chain.work(SECOND)
    assert (len(chain.node(SECOND).mempool), chain.node(SECOND).admission.refused) == (1, {}), "it waits already"
    await chain.grow(0.2, by=SECOND)
    await chain.work()
    assert chain.waiting() == [], "the others see it on the ledger"


async def test_a_node_that_takes_no_statements_tries_once_a_turn_and_says_so(chain: Chain) -> None:
    await open_round(chain, 0)
    await chain.work()
    chain.deliver()
    admission = chain.node(FIRST).admission
    admission.is_draining = True
    with capture_logs() as logs:
        for _ in range(3):
            await chain.work(FIRST)
    assert [line["event"] for line in logs if line["log_level"] == "warning"] == ["beacon not taken in"]
    admission.is_draining = False
    chain.now_s += TURN_S + 0.001
    await chain.work(FIRST)
    assert chain.waiting() == [(id_of(chain, FIRST), 0)]


async def test_what_members_say_to_a_node_that_has_just_started_is_held(chain: Chain) -> None:
    await open_round(chain, 9)
    for number in (0, 4, 8):
        await chain.work()
        chain.deliver()
        await chain.work()
        await chain.grow(9 * ROUND_S + 1 + number / 10, by=MEMBERS[number % 4])
    await open_round(chain, 10)
    await chain.work()
    part = chain.start(FIRST)
    chain.deliver(to=[FIRST])
    assert part.describe().drawn == 10
    assert part.describe().shares == 3, "of the others: its own is still to be made"


async def test_a_nation_whose_statement_a_lab_is_still_to_hand_in_lets_the_others_post_first(chain: Chain) -> None:
    node = chain.node(FIRST)
    registration = register(node, Lab("lab-a"))
    await open_round(chain, 0)
    await chain.work()
    chain.deliver()
    await chain.work()
    assert chain.waiting() == []
    chain.now_s += TURN_S + 0.001
    await chain.work()
    assert chain.waiting() == [(id_of(chain, SECOND), 0)]
    await chain.grow(0.2, by=SECOND)
    node.admission.admit(registration)
    await chain.grow(0.3, by=FIRST)
    assert (chain.posted()[0][0], len(node.mempool)) == (id_of(chain, SECOND), 0)
    await open_round(chain, 4)
    await chain.work()
    chain.deliver()
    for _ in range(2):
        await chain.work(FIRST)
        chain.now_s += 3 * TURN_S + 0.001
    assert chain.waiting()[0] == (id_of(chain, FIRST), 1), "in its turn again, the last of four"


async def test_two_that_post_at_once_do_no_harm(chain: Chain) -> None:
    await open_round(chain, 0)
    await chain.work()
    chain.deliver()
    chain.now_s += 1
    for _ in range(2):  # the first makes them, the second is much later
        await chain.work()
        chain.now_s += 10 * TURN_S
    assert len(chain.waiting()) == 4
    for member in MEMBERS:
        await chain.grow(1.0, by=member)
    assert [posted.round for _, posted in chain.posted()] == [0]
    assert chain.waiting() == []
    await open_round(chain, 1)
    await chain.work()
    chain.deliver()
    await chain.work()
    await chain.grow(ROUND_S + 0.2, by=SECOND)
    assert [posted.round for _, posted in chain.posted()] == [0, 1], "who was refused goes on at its place"


async def test_many_rounds_opened_at_once_are_answered_in_order_a_few_at_a_time(chain: Chain) -> None:
    await open_round(chain, 9)
    for number in range(0, 10, ROUNDS_AT_ONCE):
        await chain.work()
        in_hand = range(number, min(number + ROUNDS_AT_ONCE, 10))
        assert [beacon_round for member, beacon_round, _ in chain.said if member == FIRST] == list(in_hand)
        chain.deliver()
        await chain.work()
        poster = MEMBERS[number % 4]
        assert chain.waiting() == [(id_of(chain, poster), each) for each in in_hand]
        await chain.grow(9 * ROUND_S + 1 + number, by=poster)
    assert [posted.round for _, posted in chain.posted()] == list(range(10))
    await chain.work(FIRST)
    part = chain.parts[FIRST]
    kept = [each for kept in (part._own, part._say_s, part._made, part._posted) for each in kept]
    assert min(kept, default=10) >= 10, "nothing of what is through"


async def test_a_wrong_share_is_named_when_it_matters_and_the_right_one_counts_after_it(chain: Chain) -> None:
    await open_round(chain, 0)
    await chain.work()
    right = {member: share for member, _, share in chain.said}
    part = chain.parts[FIRST]
    part.take(SECOND, STREAM, ZERO, right[LAST])
    part.take(THIRD, STREAM, ZERO, right[THIRD])
    assert chain.faults == [], "not looked at alone before there is a quorum"
    await chain.work(FIRST)
    assert chain.faults == [(FIRST, SECOND, BeaconFault.WRONG_BEACON_SHARE)]
    assert chain.waiting() == []
    assert id_of(chain, SECOND) in part.describe().missing
    part.take(SECOND, STREAM, ZERO, right[SECOND])
    await chain.work(FIRST)
    assert chain.waiting() == [(id_of(chain, FIRST), 0)]


async def test_a_wrong_share_beside_a_quorum_of_right_ones_delays_nothing(chain: Chain) -> None:
    await open_round(chain, 0)
    await chain.work()
    right = {member: share for member, _, share in chain.said}
    part = chain.parts[FIRST]
    for member, share in ((SECOND, right[LAST]), (THIRD, right[THIRD]), (LAST, right[LAST])):
        part.take(member, STREAM, ZERO, share)
    await chain.work(FIRST)
    assert chain.faults == [(FIRST, SECOND, BeaconFault.WRONG_BEACON_SHARE)]
    assert chain.waiting() == [(id_of(chain, FIRST), 0)]


async def test_a_share_that_is_no_point_is_a_wrong_one(chain: Chain) -> None:
    await open_round(chain, 0)
    await chain.work(FIRST, THIRD)
    chain.deliver(to=[FIRST])
    chain.parts[FIRST].take(SECOND, STREAM, ZERO, bytes(48))
    await chain.work(FIRST)
    assert chain.faults == [(FIRST, SECOND, BeaconFault.WRONG_BEACON_SHARE)]


async def test_a_second_different_share_of_a_round_is_refused_and_counted(chain: Chain) -> None:
    await open_round(chain, 0)
    await chain.work()
    right = {member: share for member, _, share in chain.said}
    part = chain.parts[FIRST]
    part.take(SECOND, STREAM, ZERO, right[SECOND])
    part.take(SECOND, STREAM, ZERO, right[SECOND])
    assert chain.faults == []
    part.take(SECOND, STREAM, ZERO, right[THIRD])
    assert chain.faults == [(FIRST, SECOND, BeaconFault.TWO_BEACON_SHARES)]
    part.take(THIRD, STREAM, ZERO, right[THIRD])
    await chain.work(FIRST)
    assert chain.waiting() == [(id_of(chain, FIRST), 0)]


async def test_a_share_that_a_thief_of_its_tls_key_sent_first_does_not_keep_the_members_own_out(chain: Chain) -> None:
    await open_round(chain, 0)
    await chain.work()
    right = {member: share for member, _, share in chain.said}
    part = chain.parts[FIRST]
    part.take(SECOND, Lane(STREAM + 1), ZERO, right[LAST])
    part.take(SECOND, STREAM, ZERO, right[SECOND])
    part.take(THIRD, STREAM, ZERO, right[THIRD])
    await chain.work(FIRST)
    assert chain.faults == [(FIRST, SECOND, BeaconFault.WRONG_BEACON_SHARE)]
    assert chain.waiting() == [(id_of(chain, FIRST), 0)]


async def test_shares_of_a_round_that_is_not_open_here_wait_and_make_nothing_until_it_is(chain: Chain) -> None:
    """A member that is behind the others hears all their shares first."""
    others = [SECOND, THIRD, LAST]
    for at_s in (0, 0.1):
        await chain.grow(at_s, by=SECOND, all_follow=False)
    for member in others:
        await chain.follow(member)
    await chain.work()
    assert {member for member, _, _ in chain.said} == set(others)
    chain.deliver()
    await chain.work(FIRST)
    assert (chain.said, chain.waiting()) == ([], [])
    await chain.follow(FIRST)
    await chain.work(FIRST)
    assert [member for member, _, _ in chain.said] == [FIRST]
    assert chain.waiting() == [(id_of(chain, FIRST), 0)]


async def test_a_node_whose_charter_has_no_agreement_takes_no_part(tmp_path: Path) -> None:
    with closing(set_up(tmp_path)[2](0)) as node:
        assert node.beacon is None
        assert not node.status().HasField("beacon")
        raw = encode_beacon_share(ZERO, bytes(48), ledger_id=node.charter.ledger_id, epoch=node.keys.share.epoch)
        with pytest.raises(FormatError) as caught:
            await node.serving.on_message(SECOND, STREAM, peer_pb2.PeerMessage.FromString(raw))
        assert caught.value.code is Code.FORMAT


async def test_a_member_takes_shares_off_the_wire_and_counts_what_is_wrong_with_them(chain: Chain) -> None:
    await open_round(chain, 0)
    node = chain.node(FIRST)
    assert node.beacon is not None

    async def hear(number: int, share: bytes) -> None:
        raw = encode_beacon_share(
            BeaconRound(number), share, ledger_id=node.charter.ledger_id, epoch=node.keys.share.epoch
        )
        await node.serving.on_message(SECOND, STREAM, peer_pb2.PeerMessage.FromString(raw))

    for number, share in ((0, bytes(47)), (0, b""), (2**53 + 1, bytes(48)), (2**64 - 1, bytes(48))):
        with pytest.raises(FormatError):
            await hear(number, share)
    await hear(2**53, bytes(48))  # too far ahead to be kept, and no fault
    share = node._vote_keys.make_share(compute_beacon_message(ZERO))
    await hear(0, share)
    await hear(0, bytes(48))
    refused = node.peers.links[SECOND].state.refused
    assert refused == {BeaconFault.TWO_BEACON_SHARES: 1}
    assert node.status().beacon.shares == 1


@pytest.mark.parametrize("seed", range(6))
async def test_through_losses_lags_and_restarts_every_round_has_one_beacon(chain: Chain, seed: int) -> None:
    """Every share that leaves is held against the chain by `Chain`; at the end all is healed and every round drawn."""
    draw = random.Random(seed)
    at_s, liar = 0.0, LAST
    for _ in range(60):
        match draw.randrange(6):
            case 0 | 1:
                at_s += draw.choice((0.1, 1, ROUND_S, 3 * ROUND_S))
                chain.now_s += 1
                await chain.grow(at_s, by=draw.choice(MEMBERS), all_follow=False)
            case 2:
                await chain.follow(draw.choice(MEMBERS), blocks_max=draw.randrange(1, 4))
            case 3:
                chain.start(draw.choice(MEMBERS))
            case 4:
                chain.now_s += draw.choice((0.1, REPEAT_S, TURN_S))
                chain.deliver(to=draw.sample(MEMBERS, draw.randrange(5)))
                beacon_round = find_open_rounds(chain.node(FIRST).branches.final.state).start
                wrong = chain.node(FIRST)._vote_keys.make_share(compute_beacon_message(BeaconRound(beacon_round)))
                chain.parts[draw.choice(MEMBERS[:3])].take(liar, STREAM, BeaconRound(beacon_round), wrong)
            case _:
                await chain.work(draw.choice(MEMBERS))
    while chain.parts[FIRST].describe().open or len(chain.posted()) <= at_s // ROUND_S:
        chain.now_s += 60 * TURN_S  # until whoever was not heard any more is heard again
        for member in MEMBERS:
            await chain.follow(member)
        await chain.work()
        chain.deliver()
        await chain.work()
        at_s += 0.01
        await chain.grow(at_s, by=draw.choice(MEMBERS))
    rounds = [posted.round for _, posted in chain.posted()]
    assert rounds == list(range(int(at_s) // ROUND_S + 1))
    key = chain.nodes[0].charter.group_key
    for _, posted in chain.posted():
        verify_beacon(posted.round, posted.signature, group_key=key)
    assert {accused for _, accused, _ in chain.faults} <= {liar}
