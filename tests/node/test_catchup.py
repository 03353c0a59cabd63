"""Catching up from members that tell the truth, lie, break off or never end."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from ledger.blocks import NO_SEAL, Header, seal_message
from ledger.errors import Code, ConditionError
from ledger.positions import FIRST_EPOCH, MemberIndex
from node import catchup
from node.catchup import CatchUp
from node.execute import ExecutedBlock
from node.mempool import Mempool, MempoolLimits
from node.peers import Peers, PeerState
from node.pulling import Puller
from node.v1 import peer_pb2
from node.votekeys import VoteKeys
from tests.node.ledger_on_disk import DiskLedger

HONEST, LIAR = MemberIndex(2), MemberIndex(3)
BLOCKS = 12

Serve = Callable[[peer_pb2.FinalBlocks], Iterator[peer_pb2.FinalBlock]]


class Link:
    """The far end of a link, in memory: serves final blocks as it likes."""

    def __init__(self, member: MemberIndex, serve: Serve) -> None:
        self.state = PeerState(member=member, id=f"member-{member}", address="in memory", connected=True)
        self._serve = serve
        self.asked = 0

    async def fetch(self, request: peer_pb2.FetchRequest) -> AsyncGenerator[peer_pb2.FetchResponse]:
        self.asked += 1
        for block in self._serve(request.final_blocks):
            await asyncio.sleep(0)
            yield peer_pb2.FetchResponse(final_block=block)


class Follower:
    """A ledger that lags behind another one of the same committee."""

    def __init__(self, root: Path, ahead: DiskLedger) -> None:
        root.mkdir()
        self.ledger = DiskLedger(root, committee=ahead.committee)
        self.commits: list[int] = []
        self.is_disk_full = False

    async def commit(self, run: Sequence[tuple[ExecutedBlock, bytes]]) -> None:
        if self.is_disk_full:
            raise ConditionError(field="disk", found="full", expected="room", code=Code.DISK_FULL)
        assert run[-1][1] != NO_SEAL, "a run of final blocks ends with a sealed one"
        self.ledger.store.commit([self.ledger.commit_of(block, seal) for block, seal in run])
        for block, _ in run:
            self.ledger.branches.finalize(block)
        self.commits.append(len(run))

    async def catch_up(self, target: Header, seal: bytes, links: dict[MemberIndex, Link], first: MemberIndex) -> None:
        peers = cast(Peers, SimpleNamespace(links=links, connected=lambda: list(links)))
        charter, founder = self.ledger.charter, self.ledger.committee.founders[0]
        work = CatchUp(
            self.ledger.branches,
            Mempool(MempoolLimits(bytes_max=1 << 20, entries_max=100, entries_per_issuer_max=100)),
            peers,
            Puller(peers, FIRST_EPOCH),
            keys=VoteKeys(charter, founder.identity, founder.share),
            seal_message=lambda header: seal_message(header, charter.origin),
            snapshot_interval=0,
        )
        async with asyncio.timeout(20):
            await work.run(self.commit, target=target, seal=seal, first=first)


@pytest.fixture
def ahead(tmp_path: Path) -> Iterator[DiskLedger]:
    made = DiskLedger(tmp_path, members=4)
    nation = made.nations[0]
    for number in range(BLOCKS):
        block = made.build([nation.note(nation.register(f"lab-{number}"))])
        made.commit(block, is_sealed=number % 3 == 2)
    yield made
    made.store.close()


@pytest.fixture
async def follower(tmp_path: Path, ahead: DiskLedger) -> AsyncIterator[Follower]:
    made = Follower(tmp_path / "behind", ahead)
    yield made
    made.ledger.store.check()
    made.ledger.store.close()


def blocks_of(ledger: DiskLedger, asked: peer_pb2.FinalBlocks) -> Iterator[peer_pb2.FinalBlock]:
    """Serve as an honest member does."""
    for stored in ledger.store.blocks(asked.first_height, asked.count):  # type: ignore[arg-type]  # as from the wire
        header = stored.header
        entries = ledger.store.entries(header.first_index, header.entry_count)
        yield peer_pb2.FinalBlock(header=header.raw, seal=stored.seal, entries=entries)


def target_of(ledger: DiskLedger) -> tuple[Header, bytes]:
    tip = ledger.store.tip()
    assert tip is not None
    return tip.header, tip.seal


def honest(ledger: DiskLedger) -> Serve:
    return lambda asked: blocks_of(ledger, asked)


def fake_chain(ledger: DiskLedger, root: Path) -> DiskLedger:
    """Another history of the same committee, without a single seal."""
    other = DiskLedger(root, committee=ledger.committee)
    other.now_ms += 7
    for _ in range(BLOCKS):
        other.commit(other.build(), is_sealed=False)
    return other


async def test_a_follower_ends_with_the_same_ledger(follower: Follower, ahead: DiskLedger) -> None:
    header, seal = target_of(ahead)
    await follower.catch_up(header, seal, {HONEST: Link(HONEST, honest(ahead))}, HONEST)
    assert follower.ledger.branches.final.header == header
    assert dict(follower.ledger.store.state_items()) == dict(ahead.store.state_items())


async def test_what_was_right_before_a_member_broke_off_is_kept(follower: Follower, ahead: DiskLedger) -> None:
    def breaks_off(asked: peer_pb2.FinalBlocks) -> Iterator[peer_pb2.FinalBlock]:
        for number, block in enumerate(blocks_of(ahead, asked)):
            if number == 4:
                raise ConditionError(field="member", found="gone", expected="more", code=Code.UNREACHABLE)
            yield block

    header, seal = target_of(ahead)
    links = {LIAR: Link(LIAR, breaks_off), HONEST: Link(HONEST, honest(ahead))}
    await follower.catch_up(header, seal, links, LIAR)
    assert follower.commits[0] == 3, "up to the newest seal before the break"
    assert follower.ledger.branches.final.header == header
    assert links[LIAR].state.refused == {}


def changed(ledger: DiskLedger, change: Callable[[peer_pb2.FinalBlock], None], *, at: int) -> Serve:
    def serve(asked: peer_pb2.FinalBlocks) -> Iterator[peer_pb2.FinalBlock]:
        for number, block in enumerate(blocks_of(ledger, asked)):
            if number == at:
                change(block)
            yield block

    return serve


def set_field(name: str, value: bytes) -> Callable[[peer_pb2.FinalBlock], None]:
    return lambda block: setattr(block, name, value)


LIES: dict[str, Callable[[DiskLedger], Serve]] = {
    "a header that is none": lambda ledger: changed(ledger, set_field("header", b"\xff"), at=1),
    "a seal of the wrong length": lambda ledger: changed(ledger, set_field("seal", b"\x01"), at=1),
    "a seal that fails": lambda ledger: changed(ledger, set_field("seal", bytes(48)), at=1),
    "an entry too many": lambda ledger: changed(ledger, lambda block: block.entries.append(b"{}"), at=1),
    "no entries": lambda ledger: changed(ledger, lambda block: block.ClearField("entries"), at=1),
    "far too many entries": lambda ledger: changed(ledger, lambda block: block.entries.extend([b""] * 10_001), at=1),
    "the same block again": lambda ledger: lambda asked: iter([*blocks_of(ledger, asked)][:1] * 5),
    "blocks out of order": lambda ledger: lambda asked: iter([*blocks_of(ledger, asked)][::-1]),
}


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES.keys())
async def test_who_lies_is_counted_and_left(
    follower: Follower, ahead: DiskLedger, lie: Callable[[DiskLedger], Serve]
) -> None:
    header, seal = target_of(ahead)
    links = {LIAR: Link(LIAR, lie(ahead)), HONEST: Link(HONEST, honest(ahead))}
    await follower.catch_up(header, seal, links, LIAR)
    assert follower.ledger.branches.final.header == header
    assert links[LIAR].state.refused.total() == 1
    assert links[HONEST].state.refused == {}


async def test_another_history_is_not_committed(follower: Follower, ahead: DiskLedger, tmp_path: Path) -> None:
    (tmp_path / "fake").mkdir()
    other = fake_chain(ahead, tmp_path / "fake")
    header, seal = target_of(ahead)
    links = {LIAR: Link(LIAR, honest(other)), HONEST: Link(HONEST, honest(ahead))}
    await follower.catch_up(header, seal, links, LIAR)
    assert follower.ledger.branches.final.header == header
    other.store.close()


async def test_a_history_without_seals_is_held_only_so_far(
    follower: Follower, ahead: DiskLedger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catchup, "UNSEALED_BLOCKS_MAX", 5)
    (tmp_path / "fake").mkdir()
    other = fake_chain(ahead, tmp_path / "fake")
    header, seal = target_of(ahead)
    served = 0

    def endless(asked: peer_pb2.FinalBlocks) -> Iterator[peer_pb2.FinalBlock]:
        nonlocal served
        for block in blocks_of(other, asked):
            served += 1
            yield block

    links = {LIAR: Link(LIAR, endless), HONEST: Link(HONEST, honest(ahead))}
    await follower.catch_up(header, seal, links, LIAR)
    assert served == 6
    other.store.close()


async def test_much_is_committed_in_pieces(
    follower: Follower, ahead: DiskLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catchup, "BYTES_PER_COMMIT_MAX", 1_000)
    header, seal = target_of(ahead)
    await follower.catch_up(header, seal, {HONEST: Link(HONEST, honest(ahead))}, HONEST)
    assert follower.commits == [3] * (BLOCKS // 3)


async def test_a_disk_that_refuses_is_no_fault_of_the_member(follower: Follower, ahead: DiskLedger) -> None:
    follower.is_disk_full = True
    header, seal = target_of(ahead)
    links = {HONEST: Link(HONEST, honest(ahead))}
    with pytest.raises(ConditionError) as caught:
        await follower.catch_up(header, seal, links, HONEST)
    assert caught.value.code is Code.DISK_FULL
    assert links[HONEST].state.refused == {}
    assert links[HONEST].asked == 1


async def test_cancelled_midway_it_leaves_whole_blocks(follower: Follower, ahead: DiskLedger) -> None:
    header, seal = target_of(ahead)
    stuck = asyncio.Event()

    class Stuck(Link):
        async def fetch(self, request: peer_pb2.FetchRequest) -> AsyncGenerator[peer_pb2.FetchResponse]:
            async for response in super().fetch(request):
                yield response
                if response.final_block.seal and not stuck.is_set():
                    stuck.set()
                    await asyncio.Event().wait()

    task = asyncio.get_running_loop().create_task(
        follower.catch_up(header, seal, {HONEST: Stuck(HONEST, honest(ahead))}, HONEST)
    )
    async with asyncio.timeout(20):
        await stuck.wait()
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    assert follower.ledger.branches.final.header.height in {0, 3}
    await follower.catch_up(header, seal, {HONEST: Link(HONEST, honest(ahead))}, HONEST)
    assert follower.ledger.branches.final.header == header
