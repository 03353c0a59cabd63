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
from ledger.threshold import bls
from ledger.threshold.polynomials import SecretScalar
from node import catchup, gathering, pulling
from node.catchup import CatchUp, OpenChecker
from node.checking import SignatureChecker, open_checker
from node.execute import ExecutedBlock
from node.keys import IdentityKey
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

    def __init__(self, member: MemberIndex, serve: Serve, *, is_old: bool = False) -> None:
        self.state = PeerState(member=member, id=f"member-{member}", address="in memory", connected=True)
        self._serve = serve
        self._is_old = is_old
        self.asked = 0
        self.blocks_served = 0

    async def fetch(self, request: peer_pb2.FetchRequest) -> AsyncGenerator[peer_pb2.FetchResponse]:
        self.asked += 1
        asked = request.final_blocks
        if self._is_old:  # it was built before there was such a field
            asked.ClearField("headers_only")
        for block in self._serve(asked):
            await asyncio.sleep(0)
            if asked.headers_only:
                sealed = peer_pb2.Finalization(header=block.header, seal=block.seal)
                yield peer_pb2.FetchResponse(headers=peer_pb2.HeaderBatch(headers=[sealed]))
            else:
                self.blocks_served += 1
                yield peer_pb2.FetchResponse(final_block=block)


class Follower:
    """A ledger that lags behind another one of the same committee."""

    def __init__(self, root: Path, ahead: DiskLedger) -> None:
        root.mkdir()
        self.ledger = DiskLedger(root, committee=ahead.committee)
        self.commits: list[int] = []
        self.is_disk_full = False
        self.open_checker: OpenChecker | None = None

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
            open_checker=self.open_checker,
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


async def test_a_member_that_answers_with_whole_blocks_as_older_nodes_do_is_understood(
    follower: Follower, ahead: DiskLedger
) -> None:
    header, seal = target_of(ahead)
    await follower.catch_up(header, seal, {HONEST: Link(HONEST, honest(ahead), is_old=True)}, HONEST)
    assert follower.ledger.branches.final.header == header


async def test_several_members_serve_at_once(
    follower: Follower, ahead: DiskLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gathering, "PIECE_BLOCKS_MAX", 2)
    header, seal = target_of(ahead)
    links = {MemberIndex(n): Link(MemberIndex(n), honest(ahead)) for n in (2, 3, 4)}
    await follower.catch_up(header, seal, links, HONEST)
    assert follower.ledger.branches.final.header == header
    assert sum(link.blocks_served for link in links.values()) == BLOCKS, "no block is asked for twice"
    assert all(link.blocks_served for link in links.values())


async def test_a_member_that_drips_is_overtaken(
    follower: Follower, ahead: DiskLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gathering, "PIECE_BLOCKS_MAX", 2)
    monkeypatch.setattr(gathering, "OVERTAKEN_AFTER_S", 0.05)
    monkeypatch.setattr(gathering, "LOOK_AGAIN_S", 0.01)

    class Drip(Link):
        async def fetch(self, request: peer_pb2.FetchRequest) -> AsyncGenerator[peer_pb2.FetchResponse]:
            async for response in super().fetch(request):
                if not request.final_blocks.headers_only:
                    await asyncio.Event().wait()
                yield response

    header, seal = target_of(ahead)
    links = {LIAR: Drip(LIAR, honest(ahead)), HONEST: Link(HONEST, honest(ahead))}
    async with asyncio.timeout(pulling.PATIENCE_FIRST_S):
        await follower.catch_up(header, seal, links, LIAR)
    assert follower.ledger.branches.final.header == header
    assert links[LIAR].state.refused == {}, "to be slow is no fault"


def changed(ledger: DiskLedger, change: Callable[[peer_pb2.FinalBlock], None], *, at: int) -> Serve:
    """Serve right headers, and one wrong body."""

    def serve(asked: peer_pb2.FinalBlocks) -> Iterator[peer_pb2.FinalBlock]:
        for number, block in enumerate(blocks_of(ledger, asked)):
            if number == at and not asked.headers_only:
                change(block)
            yield block

    return serve


def changed_header(ledger: DiskLedger, change: Callable[[peer_pb2.FinalBlock], None], *, at: int) -> Serve:
    """Serve a wrong header, or a wrong seal beside it."""

    def serve(asked: peer_pb2.FinalBlocks) -> Iterator[peer_pb2.FinalBlock]:
        for number, block in enumerate(blocks_of(ledger, asked)):
            if number == at and asked.headers_only:
                change(block)
            yield block

    return serve


def set_field(name: str, value: bytes) -> Callable[[peer_pb2.FinalBlock], None]:
    return lambda block: setattr(block, name, value)


def foreign_seal(block: peer_pb2.FinalBlock) -> None:
    """Give a point of the curve that is the group's signature of nothing here."""
    block.seal = bls.sign_share(SecretScalar(7), b"another message")


LIES: dict[str, Callable[[DiskLedger], Serve]] = {
    "a header that is none": lambda ledger: changed_header(ledger, set_field("header", b"\xff"), at=1),
    "a header that does not follow": lambda ledger: lambda asked: iter([*blocks_of(ledger, asked)][1:]),
    "a seal of the wrong length": lambda ledger: changed_header(ledger, set_field("seal", b"\x01"), at=1),
    "a seal that is no point": lambda ledger: changed_header(ledger, set_field("seal", bytes(48)), at=1),
    "a seal that fails": lambda ledger: changed_header(ledger, foreign_seal, at=1),
    "a seal of the wrong length with a body": lambda ledger: changed(ledger, set_field("seal", b"\x01"), at=1),
    "a body under a header that is none": lambda ledger: changed(ledger, set_field("header", b"\xff"), at=1),
    "an entry too many": lambda ledger: changed(ledger, lambda block: block.entries.append(b"{}"), at=1),
    "another entry": lambda ledger: changed(ledger, lambda block: block.entries.__setitem__(0, b"{}"), at=1),
    "no entries": lambda ledger: changed(ledger, lambda block: block.ClearField("entries"), at=1),
    "far too many entries": lambda ledger: changed(ledger, lambda block: block.entries.extend([b""] * 10_001), at=1),
    "the same block again": lambda ledger: lambda asked: iter([*blocks_of(ledger, asked)][:1] * 5),
    "blocks out of order": lambda ledger: lambda asked: iter([*blocks_of(ledger, asked)][::-1]),
    "other bodies than asked for": lambda ledger: (
        lambda asked: blocks_of(ledger, asked) if asked.headers_only else iter([*blocks_of(ledger, asked)][::-1])
    ),
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
    assert links[LIAR].blocks_served == 0, "no body is asked for below a header that nothing proves"
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
    assert links[HONEST].blocks_served <= BLOCKS


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


@contextlib.asynccontextmanager
async def a_dead_helper() -> AsyncIterator[SignatureChecker]:
    async with open_checker() as checker:
        assert checker._process is not None
        checker._process.kill()
        await checker._process.wait()
        yield checker


@pytest.mark.parametrize("helper", [open_checker, a_dead_helper])
async def test_signatures_are_checked_ahead_by_a_helper_and_without_it_if_it_dies(
    follower: Follower, ahead: DiskLedger, monkeypatch: pytest.MonkeyPatch, helper: OpenChecker
) -> None:
    monkeypatch.setattr(catchup, "CHECKED_AHEAD_MIN", 1)
    follower.open_checker = helper
    header, seal = target_of(ahead)
    await follower.catch_up(header, seal, {HONEST: Link(HONEST, honest(ahead))}, HONEST)
    assert follower.ledger.branches.final.header == header


async def test_a_helper_tells_true_signatures_from_others_in_order() -> None:
    key = IdentityKey(bytes(range(32)))
    right = (key.public_key, key.sign(b"message"), b"message")
    wrong = (key.public_key, key.sign(b"message"), b"another")
    async with asyncio.timeout(20), open_checker() as checker:
        assert await checker.check([right, wrong, right]) == b"\1\0\1"
        assert await checker.check([]) == b""
        assert await checker.check([wrong] * 2_000) == bytes(2_000)
