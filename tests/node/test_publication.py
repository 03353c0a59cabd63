"""Keeping the published folder up: the newest checkpoint, after any break, and never over another ledger's."""

import asyncio
import errno
import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger.checkpoints import parse_checkpoint
from ledger.errors import Code, ConditionError
from ledger.notes import parse_note
from node.config import parse_config
from node.cosigning import Notary, NoteSigners
from node.publication import Publication, Snapshots
from node.witnessing import Witnesses
from tests.node.cluster import until
from tests.node.conftest import found_committee
from tests.node.ledger_in_memory import fetch_from, read_everything
from tests.node.ledger_on_disk import DiskLedger
from tlog.folder import Folder
from tlog.publisher import Identity, Publisher


class Press:
    """A ledger, and what publishes it into a folder."""

    def __init__(self, root: Path, ledger: DiskLedger) -> None:
        self.ledger, self.folder = ledger, root / "public"
        charter, founder = ledger.charter, ledger.committee.founders[0]
        signers = NoteSigners(
            log=founder.log.sign, cosigner=founder.cosigner.sign, cosigner_ml_dsa=founder.cosigner.sign_ml_dsa
        )
        pairs = zip(charter.members, ledger.committee.founders, strict=True)
        ml_dsa = {member.index: keys.cosigner.ml_dsa_public_key for member, keys in pairs}
        notary = Notary(charter, founder.share.member, ml_dsa, signers, ledger.store)
        identity = Identity(
            charter=charter.entry,
            transcript=ledger.committee.transcript,
            origin=charter.origin,
            ledger_id=charter.ledger_id,
            software="test",
        )
        publisher = Publisher(Folder(self.folder), ledger.store, identity)
        settings = parse_config(b"", folder=root).witness
        witnesses = Witnesses(
            charter, ledger.store, notary, settings, None, clock=ledger.clock, on_cosigned=lambda: None
        )
        snapshots = Snapshots(ledger.store, notary, find_witnessed=witnesses.find_witnessed)
        self.publication = Publication(publisher, snapshots, interval_min_ms=0, clock=ledger.clock)

    async def publish(self) -> int:
        """Publish what is final, and give the size of the checkpoint that is there afterwards."""
        wanted = self.ledger.branches.final.header.tree_size
        async with asyncio.timeout(20), asyncio.TaskGroup() as group:
            task = group.create_task(self.publication.run())
            self.publication.wake()
            await until(lambda: self.publication.published_size >= wanted or task.done())
            task.cancel()
        return self.size()

    def size(self) -> int:
        return parse_checkpoint(parse_note((self.folder / "checkpoint").read_bytes()).text).size


@pytest.fixture
def press(tmp_path: Path) -> Iterator[Press]:
    ledger = DiskLedger(tmp_path)
    nation = ledger.nations[0]
    for number in range(3):
        ledger.grow([nation.note(nation.register(f"lab-{number}"))])
    made = Press(tmp_path, ledger)
    yield made
    made.ledger.store.close()


async def test_a_stranger_reads_all_that_is_sealed_from_the_folder(press: Press) -> None:
    assert await press.publish() == 4
    size, entries, headers = read_everything(fetch_from(press.folder))
    assert (size, len(entries), len(headers)) == (4, 4, 4)
    nation = press.ledger.nations[0]
    press.ledger.grow([nation.note(nation.register("lab-later"))])
    again = Press(press.folder.parent, press.ledger)  # as after a restart
    assert await again.publish() == 5
    assert read_everything(fetch_from(press.folder))[0] == 5


async def test_what_is_not_sealed_is_not_published(press: Press) -> None:
    await press.publish()
    block = press.ledger.build([press.ledger.nations[0].register("lab-x")])
    press.ledger.commit(block, is_sealed=False)
    snapshot = press.publication._snapshots.take()
    assert snapshot is not None
    assert snapshot.size == 4


async def test_another_ledgers_folder_is_left_alone(press: Press, tmp_path: Path) -> None:
    await press.publish()
    before = (press.folder / "checkpoint").read_bytes()
    (tmp_path / "other").mkdir()
    other = DiskLedger(tmp_path / "other", committee=found_committee([(1, 2, 3)], seed=hash_of("another")))
    other.grow()
    stranger = Press(tmp_path, other)
    with pytest.raises(ExceptionGroup) as caught:
        await stranger.publish()
    assert caught.value.subgroup(ConditionError) is not None
    assert (press.folder / "checkpoint").read_bytes() == before
    other.store.close()


def hash_of(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")


async def test_a_disk_that_refuses_ends_it_and_the_next_one_goes_on(
    press: Press, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: Path, *arguments: object, **more: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(self))

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(ExceptionGroup) as caught:
        await press.publish()
    monkeypatch.undo()
    error = caught.value.exceptions[0]
    assert isinstance(error, ConditionError)
    assert error.code is Code.DISK_FULL
    again = Press(press.folder.parent, press.ledger)
    assert await again.publish() == 4
    assert read_everything(fetch_from(press.folder))[0] == 4
