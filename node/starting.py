"""What is done about the history before a node is made: begin from a member's snapshot, or put an audited one in place.

A snapshot is taken only where the settings say so, by a node that holds nothing but its founding, if it is far ahead.
Nothing of it is believed before the group's seal over its header was verified; then its bytes must hash to what that
header says (`node.snapshots`). One member is asked after another; who serves something else is counted and left. What
is held of an answer is bounded, and a member that drips is left for another.
"""

import asyncio
import contextlib
from pathlib import Path
from typing import Final

import structlog

from ledger.blocks import NO_SEAL, SealedHeader, seal_message
from ledger.charter import Charter, parse_charter
from ledger.errors import Code, ConditionError, LedgerError, ProofError
from ledger.limits import MIB
from ledger.positions import FIRST_EPOCH, GENESIS_HEIGHT, Height, LeafIndex, MemberIndex
from ledger.rules.state import State
from node.catchup import SealKeys
from node.config import Config
from node.daemon import TlsIdentity
from node.greeting import Greeting
from node.history import History
from node.home import HISTORY_FILE, STORE_FILE
from node.links import Links
from node.peers import Peers, find_addresses
from node.preflight import MemberKeys, believed
from node.pulling import PATIENCE_FIRST_S, Puller, next_patience_s
from node.snapshots import Snapshot, parse_snapshot
from node.sources import Sources
from node.store import Store
from node.tls import make_channel_credentials
from node.votekeys import VoteKeys

AHEAD_MIN: Final = 1_000
"""Blocks that a snapshot must be ahead: fewer are executed sooner than a restart is made."""
SEEK_S: Final = 15.0
PAUSE_S: Final = 0.1
CALL_BYTES_MIN: Final = 4 * MIB
"""What a call must bring, unless it brings the rest: who gives less in all that time is left."""


class SnapshotSeeker:
    """Finds a snapshot that holds."""

    def __init__(self, charter: Charter, links: Links, puller: Puller, keys: SealKeys) -> None:
        self._charter, self._puller, self._keys = charter, puller, keys
        self._sources = Sources(links)
        self._log = structlog.get_logger("catchup")

    async def seek(self, *, seek_s: float) -> tuple[Snapshot, bytes] | None:
        """Ask one member after another; gives a verified snapshot with its block's seal, or None in the end.

        Args:
            seek_s: after which no further member is asked.
        """
        loop = asyncio.get_running_loop()
        until_s, patience_s = loop.time() + seek_s, PATIENCE_FIRST_S
        while loop.time() < until_s:
            for member in self._sources.available():
                try:
                    found = await self._pull(member, patience_s)
                except LedgerError as problem:
                    self._sources.leave(member, problem)
                else:
                    return found
                if loop.time() >= until_s:
                    break
            patience_s = next_patience_s(patience_s, has_gained=False)
            await asyncio.sleep(PAUSE_S)
        return None

    async def _pull(self, member: MemberIndex, patience_s: float) -> tuple[Snapshot, bytes]:
        """Take the newest snapshot that one member has.

        Raises:
            LedgerError: it has none, is too slow, or serves something else.
        """
        async with contextlib.aclosing(self._puller.snapshot(member, Height(0), 0, patience_s=patience_s)) as parts:
            offer = await anext(parts, None)
        if offer is None or offer.height < AHEAD_MIN:
            found = "no snapshot" if offer is None else f"one of block {offer.height}"
            raise _lacking(member, found, f"one of block {AHEAD_MIN} or later")
        sealed = await self._sealed_header(member, Height(offer.height), patience_s)
        raw = bytearray(offer.raw)
        while len(raw) < offer.size:
            begun = len(raw)
            answers = self._puller.snapshot(member, sealed.header.height, begun, patience_s=patience_s)
            with contextlib.suppress(ConditionError):  # a call that ends in the midst of it is gone on with
                async with contextlib.aclosing(answers) as parts:
                    async for part in parts:
                        if (part.height, part.size) != (offer.height, offer.size):
                            found = f"{part.size} bytes of block {part.height}"
                            raise ProofError(field="snapshot", found=found, expected="the one that was offered")
                        raw += part.raw
            if len(raw) < min(begun + CALL_BYTES_MIN, offer.size):
                raise _lacking(member, f"{len(raw) - begun} bytes", f"{CALL_BYTES_MIN} in one call")
        snapshot = parse_snapshot(bytes(raw))
        if snapshot.header != sealed.header:
            raise ProofError(
                field="snapshot.header", found=snapshot.header.digest.hex(), expected=sealed.header.digest.hex()
            )
        State.restore(snapshot.items, charter=self._charter)
        return snapshot, sealed.seal

    async def _sealed_header(self, member: MemberIndex, height: Height, patience_s: float) -> SealedHeader:
        """Get the header of a block with its seal, and verify it.

        Raises:
            ProofError: of another block or ledger, without a seal, or with one that fails.
        """
        async with contextlib.aclosing(self._puller.final_headers(member, height, 1, patience_s=patience_s)) as headers:
            sealed = await anext(headers, None)
        if sealed is None:
            raise _lacking(member, "no header", f"that of block {height}")
        header = sealed.header
        if header.height != height or header.ledger_id != self._charter.ledger_id:
            raise ProofError(field="header", found=f"block {header.height}", expected=f"block {height} of this ledger")
        message = seal_message(header, self._charter.origin)
        if sealed.seal == NO_SEAL or not self._keys.is_seal(message, sealed.seal):
            raise ProofError(field="seal", found="none, or one that fails", expected="a valid seal")
        return sealed


def _lacking(member: MemberIndex, found: str, expected: str) -> ConditionError:
    return ConditionError(field=f"member {member}", found=found, expected=expected, code=Code.UNREACHABLE)


async def prepare_history(config: Config, keys: MemberKeys, tls: TlsIdentity, *, session_id: bytes) -> None:
    """Do what can be done about the history while no node works on it.

    Raises:
        ConditionError: the disk refuses, or a database is damaged.
    """
    path, history_path = config.node.home / STORE_FILE, config.node.home / HISTORY_FILE
    store = Store(path)
    try:
        store.check()
        with believed(path):
            charter = parse_charter(b"".join(store.entries(LeafIndex(0), 1)))
        if store.base is not None:
            await _finish_audit(store, charter, history_path)
        elif config.catchup.from_snapshot and store.require_tip().header.height == GENESIS_HEIGHT:
            greeting = Greeting(ledger_id=charter.ledger_id, session_id=session_id, member=keys.share.member)
            peers = Peers(
                find_addresses(charter, config.peer.addresses, me=keys.share.member),
                make_channel_credentials(tls.own, list(tls.members.values())),
                lambda: greeting,
                _ask_nothing,
                skew_alarm_ms=config.clock.skew_alarm_ms,
            )
            await _begin(store, charter, peers, VoteKeys(charter, keys.identity, keys.share))
    finally:
        store.close()


async def _finish_audit(store: Store, charter: Charter, history_path: Path) -> None:
    history = History(history_path, store, charter)
    try:
        if history.height >= history.base.header.height:
            await history.follow()
            history.take_place()
    finally:
        history.close()


async def _begin(store: Store, charter: Charter, peers: Peers, keys: VoteKeys) -> None:
    log = structlog.get_logger("catchup")
    seeker = SnapshotSeeker(charter, peers, Puller(peers, FIRST_EPOCH), keys)
    async with asyncio.TaskGroup() as group:
        links = group.create_task(peers.run(), name="peers")
        found = await seeker.seek(seek_s=SEEK_S)
        links.cancel()
    if found is None:
        log.warning("no member has a snapshot to begin from; executing everything from entry 0")
        return
    snapshot, seal = found
    store.begin_at(snapshot, seal)
    log.warning("begun from a snapshot; its history is audited meanwhile", height=snapshot.header.height)


async def _ask_nothing(member: MemberIndex) -> None:
    """Stand in where a link that comes up is asked for nothing."""
