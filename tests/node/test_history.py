"""A database that begins from a snapshot, what is refused of those who serve one, and the audit of what was before."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from ledger.blocks import NO_SEAL, Header
from ledger.errors import Code, ConditionError, reject
from ledger.merkle import leaf_hash
from ledger.positions import FIRST_EPOCH, Height, LeafIndex, MemberIndex, TreeSize
from ledger.rules.state import State
from node import starting
from node.beginning import found_store
from node.branches import Branches
from node.cosigning import Notary
from node.execute import ExecutedBlock, execute_block
from node.history import History
from node.links import Links
from node.peers import Peers, PeerState
from node.proving import Prover
from node.publication import Snapshots
from node.pulling import Puller
from node.serving import MemberServing
from node.snapshots import SnapshotFolder, encode_snapshot, parse_snapshot
from node.starting import SnapshotSeeker
from node.store import Store
from node.tip import Tip
from node.v1 import peer_pb2
from node.votekeys import VoteKeys
from tests.node.conftest import found_committee
from tests.node.ledger_on_disk import DiskLedger

HONEST, LIAR = MemberIndex(2), MemberIndex(3)
BASE, TIP = 8, 11

Change = Callable[[peer_pb2.FetchRequest, peer_pb2.FetchResponse], None]


@dataclass
class Source:
    """A member in memory that serves what a node would, unless it changes an answer on its way."""

    state: PeerState
    serving: MemberServing
    change: Change

    async def fetch(self, request: peer_pb2.FetchRequest) -> AsyncGenerator[peer_pb2.FetchResponse]:
        answers = self.serving._final_blocks(request.final_blocks)
        if request.HasField("snapshot"):
            answers = self.serving._snapshot(request.snapshot)
        for answer in answers:
            await asyncio.sleep(0)
            self.change(request, answer)
            yield answer


@pytest.fixture(scope="module")
def ahead(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DiskLedger]:
    """One that all tests read and none changes."""
    tmp_path = tmp_path_factory.mktemp("ahead")
    committee = found_committee([(3 * i + 1, 3 * i + 2, 3 * i + 3) for i in range(4)], snapshot_interval=4)
    made = DiskLedger(tmp_path, committee=committee, snapshot_interval=4)
    folder = SnapshotFolder(tmp_path / "snapshots")
    nation = made.nations[0]
    for number in range(TIP):
        labs = [f"lab-{number}-{k}" for k in range(40)]  # so that the right edge has more than one level
        block = made.grow([nation.note(nation.register(lab)) for lab in labs])
        if block.header.height == BASE:
            folder.keep(Height(BASE), encode_snapshot(block.header, block.state, made.store.read_hash))
    yield made
    made.store.close()


def source(ahead: DiskLedger, member: MemberIndex, change: Change) -> Source:
    nothing = cast(Store, None)
    serving = MemberServing(
        greeting=nothing,  # type: ignore[arg-type]  # only what reads the database is asked
        driver=nothing,  # type: ignore[arg-type]
        admission=nothing,  # type: ignore[arg-type]
        mempool=nothing,  # type: ignore[arg-type]
        store=ahead.store,
        notary=nothing,  # type: ignore[arg-type]
        found=nothing,  # type: ignore[arg-type]
        epoch=FIRST_EPOCH,
        snapshots=SnapshotFolder(ahead.path.parent / "snapshots"),
    )
    state = PeerState(member=member, id=f"member-{member}", address="in memory", connected=True)
    return Source(state, serving, change)


def tell_the_truth(request: peer_pb2.FetchRequest, answer: peer_pb2.FetchResponse) -> None:
    """Change nothing."""


def links_of(*sources: Source) -> Links:
    links = {each.state.member: each for each in sources}
    return cast(Peers, SimpleNamespace(links=links, connected=lambda: list(links)))


def keys_of(ahead: DiskLedger) -> VoteKeys:
    founder = ahead.committee.founders[0]
    return VoteKeys(ahead.charter, founder.identity, founder.share)


def begin(ahead: DiskLedger, root: Path) -> Store:
    """Begin a database from the snapshot."""
    root.mkdir(exist_ok=True)
    found_store(root / "ledger.sqlite", ahead.committee.entry, ahead.committee.transcript)
    store = Store(root / "ledger.sqlite")
    block = ahead.store.require_block(Height(BASE))
    raw = SnapshotFolder(ahead.path.parent / "snapshots").read(Height(BASE), 0, 1 << 30)
    store.begin_at(parse_snapshot(raw), block.seal)
    return store


def follow_live(ahead: DiskLedger, store: Store) -> None:
    """Commit the rest, as a node that votes does."""
    tip = store.require_tip().header
    state = State.restore(store.state_items(), charter=ahead.charter)
    behind = DiskLedger.__new__(DiskLedger)
    behind.branches = Branches(ExecutedBlock(tip, (), (), state, store.frontier(tip.tree_size)))
    for block in ahead.store.blocks(Height(tip.height + 1), 100):
        entries = ahead.store.entries(LeafIndex(block.header.first_index), block.header.entry_count)
        outcome = execute_block(behind.branches.final, block.header, entries, snapshot_interval=4)
        assert isinstance(outcome, ExecutedBlock)
        store.commit([behind.commit_of(outcome, block.seal)])
        behind.branches.finalize(outcome)


# --- the database ----------------------------------------------------------------------------------------------------


def test_a_database_begun_from_a_snapshot_goes_on_as_the_others_do(ahead: DiskLedger, tmp_path: Path) -> None:
    store = begin(ahead, tmp_path / "late")
    store.check(with_indexes=True)
    follow_live(ahead, store)
    store.close()
    again = Store(tmp_path / "late" / "ledger.sqlite")
    again.check(with_indexes=True)
    assert again.base == ahead.store.require_block(Height(BASE))
    assert dict(again.state_items()) == dict(ahead.store.state_items())
    tip = ahead.store.require_tip()
    assert again.require_tip() == tip
    own, whole = (Prover(store, cast(Notary, None)) for store in (again, ahead.store))
    first = ahead.store.require_block(Height(BASE)).header.tree_size
    for index in range(first, tip.header.tree_size, 13):
        size = TreeSize(min(index + 50, tip.header.tree_size))
        assert own.inclusion(LeafIndex(index), size) == whole.inclusion(LeafIndex(index), size)
        assert own.consistency(TreeSize(index), size) == whole.consistency(TreeSize(index), size)
    assert again.entries(LeafIndex(0), 1) == [ahead.committee.entry]
    again.close()


def test_what_is_before_the_snapshot_is_refused_and_not_answered_wrongly(ahead: DiskLedger, tmp_path: Path) -> None:
    store = begin(ahead, tmp_path / "late")
    follow_live(ahead, store)
    prover = Prover(store, cast(Notary, None))
    first = ahead.store.require_block(Height(BASE)).header.tree_size
    last = LeafIndex(first - 1)
    asked: list[Callable[[], object]] = [
        lambda: store.entries(last, 5),
        lambda: store.entries(LeafIndex(0), 2),
        lambda: store.leaves(last, 1),
        lambda: store.blocks(Height(BASE), 1),
        lambda: store.blocks(Height(0), 1),
        lambda: prover.receipt(last),
        lambda: prover.receipt(LeafIndex(0)),
        lambda: prover.inclusion(last, prover.newest_size()),
        lambda: prover.consistency(TreeSize(first - 1), prover.newest_size()),
        lambda: prover.find(leaf=bytes(32)),
    ]
    for ask in asked:
        with pytest.raises(ConditionError, match=f"began from block {BASE}, and still audits") as problem:
            ask()
        assert problem.value.code is Code.NOT_READY
    served = source(ahead, HONEST, tell_the_truth).serving
    served._store = store
    for headers_only in (True, False):
        for height, count in ((1, 0), (BASE, 0), (BASE + 1, TIP - BASE)):
            wanted = peer_pb2.FinalBlocks(first_height=height, count=100, headers_only=headers_only)
            answers = list(served._final_blocks(wanted))
            assert bool(answers) == bool(count)
    snapshots = Snapshots.__new__(Snapshots)
    snapshots._store = store
    assert snapshots.take() is None
    store.close()


# --- the start -------------------------------------------------------------------------------------------------------


def change_a_byte(request: peer_pb2.FetchRequest, answer: peer_pb2.FetchResponse) -> None:
    if request.HasField("snapshot"):
        raw = bytearray(answer.snapshot.raw)
        raw[-1] ^= 1
        answer.snapshot.raw = bytes(raw)


def change_the_edge(request: peer_pb2.FetchRequest, answer: peer_pb2.FetchResponse) -> None:
    if request.HasField("snapshot"):
        raw = bytearray(answer.snapshot.raw)
        at = raw.index(b"counterseal/snapshot/v1\n") + 24
        raw[at + 2 + int.from_bytes(raw[at : at + 2], "big")] ^= 1
        answer.snapshot.raw = bytes(raw)


def leave_out_the_seal(request: peer_pb2.FetchRequest, answer: peer_pb2.FetchResponse) -> None:
    if not request.HasField("snapshot"):
        answer.headers.headers[0].seal = NO_SEAL


def seal_wrongly(request: peer_pb2.FetchRequest, answer: peer_pb2.FetchResponse) -> None:
    if not request.HasField("snapshot"):
        answer.headers.headers[0].seal = bytes(48)


def claim_more(request: peer_pb2.FetchRequest, answer: peer_pb2.FetchResponse) -> None:
    """Serve on and on: the size is never reached, and what comes is not what was asked for."""
    if request.HasField("snapshot"):
        answer.snapshot.size = 1 << 40
        answer.snapshot.offset = 0


def claim_another_height(request: peer_pb2.FetchRequest, answer: peer_pb2.FetchResponse) -> None:
    if request.HasField("snapshot"):
        answer.snapshot.height = BASE + 1


def drip(request: peer_pb2.FetchRequest, answer: peer_pb2.FetchResponse) -> None:
    if request.HasField("snapshot"):
        answer.snapshot.raw = answer.snapshot.raw[:1]


LIES = [change_a_byte, change_the_edge, leave_out_the_seal, seal_wrongly, claim_more, claim_another_height, drip]


@pytest.mark.parametrize("lie", LIES)
async def test_who_serves_a_snapshot_that_does_not_hold_is_counted_and_left(
    ahead: DiskLedger, monkeypatch: pytest.MonkeyPatch, lie: Change
) -> None:
    monkeypatch.setattr(starting, "AHEAD_MIN", 1)
    liar, honest = source(ahead, LIAR, lie), source(ahead, HONEST, tell_the_truth)
    links = links_of(liar, honest)
    seeker = SnapshotSeeker(ahead.charter, links, Puller(links, FIRST_EPOCH), keys_of(ahead))
    async with asyncio.timeout(20):
        found = await seeker.seek(seek_s=10)
    assert found is not None
    assert found[0].header == ahead.store.require_block(Height(BASE)).header
    assert liar.state.refused.total() == (lie is not drip), "to be slow is no fault"
    assert not honest.state.refused


async def test_without_a_snapshot_far_enough_ahead_there_is_none(ahead: DiskLedger) -> None:
    links = links_of(source(ahead, HONEST, tell_the_truth))
    seeker = SnapshotSeeker(ahead.charter, links, Puller(links, FIRST_EPOCH), keys_of(ahead))
    assert await seeker.seek(seek_s=0.01) is None


# --- the audit -------------------------------------------------------------------------------------------------------


async def audit(ahead: DiskLedger, history: History, live: Store) -> None:
    """Run until the history has reached the live database."""
    links = links_of(source(ahead, HONEST, tell_the_truth))
    tip = Tip(live.require_tip().header)
    tip.close()

    def make_notary(store: Store) -> Notary:
        return cast(Notary, SimpleNamespace(is_archival=lambda _: None))

    async with asyncio.timeout(20):
        await history.run(links, Puller(links, FIRST_EPOCH), keys_of(ahead), tip, make_notary)


async def test_the_history_is_audited_goes_on_after_a_stop_and_takes_its_place(
    ahead: DiskLedger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("node.catchup.BLOCKS_PER_COMMIT_MAX", 2)
    live = begin(ahead, tmp_path / "late")
    path = tmp_path / "late" / "history.sqlite"
    history = History(path, live, ahead.charter)
    reached: list[int] = []
    commit = history.store.commit

    def stop_half_way(blocks: object) -> None:
        if history.store.require_tip().header.height >= BASE // 2:
            raise ConditionError(field="disk", found="pulled out", expected="a disk", code=Code.DISK_FULL)
        commit(blocks)  # type: ignore[arg-type]  # as it came
        reached.append(history.store.require_tip().header.height)

    history.store.commit = stop_half_way  # type: ignore[method-assign]
    with pytest.raises(ConditionError, match="pulled out"):
        await audit(ahead, history, live)
    history.close()
    assert reached == [2, 4]
    follow_live(ahead, live)
    history = History(path, live, ahead.charter)
    assert history.height == BASE // 2, "it goes on from what was committed"
    await audit(ahead, history, live)
    assert history.height == TIP
    entry = ahead.store.entries(LeafIndex(1), 1)[0]
    live.put_candidates(Height(TIP + 1), [(leaf_hash(entry), entry)])
    kept = live.candidates()
    history.take_place()
    assert not path.exists()
    whole = Store(live.path)
    whole.check(with_indexes=True)
    assert whole.base is None
    assert whole.candidates() == kept
    assert dict(whole.state_items()) == dict(ahead.store.state_items())
    assert whole.blocks(Height(0), 100) == ahead.store.blocks(Height(0), 100)
    whole.close()


async def test_a_history_that_the_rules_refuse_ends_the_node_for_good(
    ahead: DiskLedger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A quorum sealed a block whose state this node's rules make otherwise."""
    live = begin(ahead, tmp_path / "late")
    path = tmp_path / "late" / "history.sqlite"
    history = History(path, live, ahead.charter)

    def refuse_the_fifth(parent: ExecutedBlock, header: Header, *arguments: object, **named: object) -> object:
        if header.height == 5:
            return reject(Code.INVALID_FIELD, field="header.state_digest", found="another", expected="this one")
        return execute_block(parent, header, *arguments, **named)  # type: ignore[arg-type]  # as they came

    monkeypatch.setattr("node.catchup.execute_block", refuse_the_fifth)
    with pytest.raises(ConditionError, match=r"block 5: .*state_digest") as problem:
        await audit(ahead, history, live)
    assert problem.value.code is Code.VERSION_MISMATCH
    history.close()
    monkeypatch.undo()
    with pytest.raises(ConditionError, match=r"block 5: .*state_digest"):
        History(path, live, ahead.charter)
    live.close()


async def test_a_state_that_differs_from_the_history_never_takes_its_place(ahead: DiskLedger, tmp_path: Path) -> None:
    live = begin(ahead, tmp_path / "late")
    history = History(tmp_path / "late" / "history.sqlite", live, ahead.charter)
    await audit(ahead, history, live)
    key = min(dict(history.store.state_items()))
    with history.store._transaction("meta"):
        history.store._change_state([(key, None)])
    with pytest.raises(ConditionError, match="another state"):
        history.take_place()
    again = Store(live.path)
    assert again.base is not None
    again.close()
