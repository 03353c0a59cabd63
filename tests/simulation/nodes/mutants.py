"""The driver and what is around it with one protection switched off at a time: what the level of whole nodes catches.

Each of these lives outside the core, so no run of cores alone could miss it. How a mutant is made and hunted:
`tests.simulation.hunting`.
"""

import contextlib
import os
from collections.abc import AsyncIterator, Sequence
from functools import partial
from typing import Any, Final

from ledger.blocks import Header
from ledger.errors import ConditionError, Rejection
from ledger.merkle import Frontier, Hash
from ledger.positions import BeaconRound, MemberIndex
from ledger.rules.beacons import find_open_rounds
from ledger.rules.entries import PreparedEntry
from node import catchup as catchup_module
from node import driver as driver_module
from node import execute as execute_module
from node import failpoints, gathering
from node.beacon import Beacon
from node.branches import Branches
from node.catchup import CatchUp
from node.consensus import messages as m
from node.consensus import votelog
from node.driver import Driver
from node.execute import ExecutedBlock, execute_block
from node.pulling import Puller
from node.store import BlockCommit, Store
from node.v1 import peer_pb2
from node.votefile import VoteFile
from tests.simulation.hunting import Mutant, Patch, mutated

_Mutant = partial(Mutant, level="nodes")


def _nothing(*_: object, **__: object) -> None:
    """Stand for a step left out."""


async def _nothing_later(*_: object, **__: object) -> None:
    """Stand for a step left out that would have been waited for."""


# --- the vote log -----------------------------------------------------------------------------------------------------


def _append_unsynced(self: VoteFile, records: Sequence[bytes]) -> None:
    failpoints.reach("votes.before-write")
    assert self._file is not None
    os.write(self._file, b"".join(records))


def _replace_unnamed(self: VoteFile, content: bytes) -> None:
    aside = self._path.with_suffix(".new")
    file = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    os.write(file, content)
    os.fsync(file)
    failpoints.reach("votes.aside")
    aside.rename(self._path)
    failpoints.reach("votes.renamed")
    self._close_file()
    self._file = file


def _begin_anew(self: VoteFile, reason: str) -> None:
    del reason
    self._replace(votelog.create(ledger_id=self._ledger_id, member=self._member, is_lost=False))


async def _carry_out_hastily(self: Driver, actions: Sequence[m.Action]) -> None:
    records = [action.record for action in actions if isinstance(action, m.Persist)]
    for action in actions:
        if not isinstance(action, m.Persist):
            await self._carry_out_one(action)
    if records:
        await self._on_disk(self._parts.votefile.append, records)


_on_disk = Driver._on_disk


async def _on_disk_or_not(self: Driver, function: Any, *arguments: object) -> None:  # whatever the driver writes with
    with contextlib.suppress(ConditionError):
        await _on_disk(self, function, *arguments)
    while not self._disk_failures.empty():
        self._disk_failures.get_nowait()


# --- the store --------------------------------------------------------------------------------------------------------


def _commit_in_parts(self: Store, blocks: Sequence[BlockCommit]) -> None:
    for block in blocks:
        failpoints.reach("block.before")
        self._insert_block(block)
        failpoints.reach("block.after")


_commit = Driver.commit


async def _commit_told_before(self: Driver, run: Sequence[tuple[ExecutedBlock, bytes]]) -> None:
    self._parts.admission.on_final([block for block, _ in run])
    await _commit(self, run)


# --- executing --------------------------------------------------------------------------------------------------------


def _believe_root(
    parent: ExecutedBlock, header: Header, entries: Sequence[PreparedEntry | bytes], *, snapshot_interval: int
) -> ExecutedBlock | Rejection:
    with mutated(((Frontier, "root", lambda _: header.root),)):
        return execute_block(parent, header, entries, snapshot_interval=snapshot_interval)


def _believe_state_digest(
    parent: ExecutedBlock, header: Header, entries: Sequence[PreparedEntry | bytes], *, snapshot_interval: int
) -> ExecutedBlock | Rejection:
    with mutated(((execute_module, "_state_digest", lambda *_: header.state_digest),)):
        return execute_block(parent, header, entries, snapshot_interval=snapshot_interval)


def _executing(execute: Any) -> tuple[Patch, ...]:  # in the place of `execute_block`
    return ((driver_module, "execute_block", execute), (catchup_module, "execute_block", execute))


def _no_leaves(self: Branches, block: ExecutedBlock) -> set[Hash]:
    del self, block
    return set()


# --- what other members serve -----------------------------------------------------------------------------------------


async def _entries_unhashed(
    self: Puller, member: MemberIndex, wanted: Sequence[Hash], found: dict[Hash, bytes], *, patience_s: float
) -> None:
    request = peer_pb2.FetchRequest(entries=peer_pb2.EntriesByHash(leaf_hashes=wanted))
    answers: AsyncIterator[peer_pb2.FetchResponse] = self._answers(member, request, patience_s=patience_s)
    async for response in answers:
        found |= zip(wanted, response.entries.entries, strict=False)
        return


# --- the beacon -------------------------------------------------------------------------------------------------------


def _open_rounds_executed(self: Beacon) -> tuple[BeaconRound, list[BeaconRound]]:
    branches = self._admission._branches
    newest = max((branches.final, *branches._live.values()), key=lambda block: block.header.height)
    return _as_rounds(find_open_rounds(newest.state))


def _open_rounds_and_the_next(self: Beacon) -> tuple[BeaconRound, list[BeaconRound]]:
    rounds = find_open_rounds(self._state())
    return _as_rounds(range(rounds.start, rounds.stop + 1))


def _as_rounds(rounds: range) -> tuple[BeaconRound, list[BeaconRound]]:
    return BeaconRound(rounds.start), [BeaconRound(number) for number in rounds]


NODE_MUTANTS: Final[dict[str, Mutant]] = {
    "vote-file-not-synced": _Mutant(
        "e: what is appended to the vote log is synced", ((VoteFile, "append", _append_unsynced),), "storm"
    ),
    "vote-file-name-not-synced": _Mutant(
        "e: a vote log put in the place of another stays there",
        ((VoteFile, "_replace", _replace_unnamed),),
        "storm",
        is_quick=False,
    ),
    "votes-sent-before-written": _Mutant(
        "e: the driver writes what must be kept before it carries out what follows",
        ((Driver, "_carry_out", _carry_out_hastily),),
        "storm",
    ),
    "lost-vote-file-begun-anew": _Mutant(
        "9: a vote log that is missing or damaged is lost, and not empty",
        ((VoteFile, "_lose", _begin_anew),),
        "lost-vote-log",
        is_quick=False,
    ),
    "disk-failures-passed-over": _Mutant(
        "a node that cannot write stops", ((Driver, "_on_disk", _on_disk_or_not),), "anything", is_quick=False
    ),
    "candidates-not-stored": _Mutant(
        "e: the driver stores a block's entries before the core may vote for it",
        ((Store, "put_candidates", _nothing),),
        "rain",
    ),
    "block-in-parts": _Mutant(
        "a final block, its entries, tree and state are one transaction",
        ((Store, "commit", _commit_in_parts),),
        "storm",
        is_quick=False,
    ),
    "receipts-before-commit": _Mutant(
        "who waits for a receipt is told after the commit",
        ((Driver, "commit", _commit_told_before),),
        "slow-disks",
        is_quick=False,
    ),
    "root-believed": _Mutant(
        "3: a header's root follows from its entries", _executing(_believe_root), "wrong-reckoner"
    ),
    "state-digest-believed": _Mutant(
        "3: a header's digest is of the state that the rules give", _executing(_believe_state_digest), "wrong-digester"
    ),
    "entries-offered-again": _Mutant(
        "2: what stands on the branch already is not put into a block again",
        ((Branches, "leaves_above_final", _no_leaves),),
        "rain",
        behind="the rules refuse it on the state of that branch, so it is left out while the block is built",
        is_quick=False,
    ),
    "pulled-entries-not-hashed": _Mutant(
        "3: entries pulled for a block are those it names",
        ((Puller, "_entries_from", _entries_unhashed),),
        "liar-when-asked",
        is_quick=False,
    ),
    "bodies-not-held-against-headers": _Mutant(
        "7: what is caught up with is what the proven headers name",
        ((gathering, "_require_body", _nothing),),
        "fed-by-a-liar",
        is_quick=False,
    ),
    "seals-of-headers-not-verified": _Mutant(
        "7: every seal that is caught up with is verified",
        ((CatchUp, "_verify_seals", _nothing_later),),
        "fed-by-a-liar",
    ),
    "headers-not-chained": _Mutant(
        "7: headers that are caught up with follow each other",
        ((catchup_module, "verify_child", _nothing),),
        "fed-by-a-liar",
        is_quick=False,
    ),
    "beacon-before-finality": _Mutant(
        "a share of a beacon is made in the state after a final block",
        ((Beacon, "_open_rounds", _open_rounds_executed),),
        "rain",
        is_quick=False,
    ),
    "beacon-before-its-round": _Mutant(
        "a share of a beacon is made of rounds that are open",
        ((Beacon, "_open_rounds", _open_rounds_and_the_next),),
        "rain",
    ),
}
