"""Cosignatures in memory: bounded, and no member decides which checkpoints the others' are kept of."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger.checkpoints import parse_cosignature
from ledger.positions import Height, MemberIndex, Seconds
from node import cosigning
from node.cosigning import Cosignature, Notary, NoteSigners
from node.store import StoredBlock
from tests.node.ledger_on_disk import DiskLedger

OLD_COUNT = 4
KEPT = 3


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[DiskLedger]:
    made = DiskLedger(tmp_path, members=4)
    for number in range(OLD_COUNT + KEPT):
        nation = made.nations[0]
        made.grow([nation.note(nation.register(f"lab-{number}"))])
    yield made
    made.store.close()


def notary_of(ledger: DiskLedger, index: int) -> Notary:
    founder = ledger.committee.founders[index - 1]
    signers = NoteSigners(
        log=founder.log.sign, cosigner=founder.cosigner.sign, cosigner_ml_dsa=founder.cosigner.sign_ml_dsa
    )
    return Notary(ledger.charter, MemberIndex(index), {}, signers, ledger.store)


def blocks(ledger: DiskLedger) -> list[StoredBlock]:
    """The sealed blocks, oldest first."""
    return [block for block in ledger.store.blocks(Height(1), 100) if block.seal]


def cosign(ledger: DiskLedger, index: int, block: StoredBlock) -> Cosignature:
    notary = notary_of(ledger, index)
    notary._last_second = -1
    (line, *_), _ = notary.on_final(block, now_s=Seconds(5))
    return line


def take(notary: Notary, index: int, cosignature: Cosignature) -> None:
    kind, blob = notary.verify(MemberIndex(index), cosignature)
    notary.keep(MemberIndex(index), cosignature, kind, blob)


def test_a_member_that_cosigns_old_checkpoints_again_pushes_no_newer_one_out(
    ledger: DiskLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cosigning, "CHECKPOINTS_REMEMBERED", KEPT)
    notary, sealed = notary_of(ledger, 1), blocks(ledger)
    for index in (2, 3, 4):
        take(notary, index, cosign(ledger, index, sealed[-1]))
    for old in sealed[:OLD_COUNT]:
        take(notary, 2, cosign(ledger, 2, old))
    assert notary.newest_cosigned(3) == sealed[-1]
    assert notary.newest_cosigned(1) == sealed[-1]
    assert len(notary._recent) <= KEPT


def test_the_newest_cosigned_checkpoint_is_the_one_of_the_largest_tree_in_whatever_order_lines_come(
    ledger: DiskLedger,
) -> None:
    notary, sealed = notary_of(ledger, 1), blocks(ledger)
    for block in (sealed[2], sealed[0], sealed[1]):
        take(notary, 2, cosign(ledger, 2, block))
    assert notary.newest_cosigned(1) == sealed[2]


def test_a_clock_that_is_set_back_makes_no_node_look_as_if_it_had_gone_back(ledger: DiskLedger) -> None:
    notary, sealed = notary_of(ledger, 1), blocks(ledger)
    times = []
    for block, now_s in zip(sealed[-3:], (100, 40, 101), strict=True):
        notary._last_second = -1
        notary.on_final(block, now_s=Seconds(now_s))
        times.append(
            parse_cosignature(notary._recent[block.header.tree_size][MemberIndex(1)], signature_bytes=64).time_s
        )
    assert times == [100, 100, 101]
