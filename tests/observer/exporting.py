"""Copies to export: of the golden year, with every kind of statement, and of blocks with whatever a test puts in."""

from pathlib import Path

from ledger.blocks import NO_SEAL, encode_header, genesis_header, seal_message
from ledger.blocks import compute_entries_digest as digest_entries
from ledger.charter import parse_charter
from ledger.merkle import EMPTY_FRONTIER, leaf_hash
from ledger.positions import Epoch, Height, LeafIndex, MemberIndex, Millis, View
from ledger.threshold import bls
from ledger.threshold.polynomials import SecretScalar
from observer.chain import VerifiedBlock
from observer.copy import found_copy, open_copy
from tests.devnet.history import Line
from tests.observer.fakeledger import FakeLedger

SECRET = SecretScalar(1)
"""The rehearsal's group key is the generator."""


def copy_year(history: list[Line], home: Path) -> Path:
    """A copy of the golden history, every fifth block without a seal of its own."""
    charter = parse_charter(history[0]["charter"].encode())
    parent = genesis_header(charter.entry, charter.founded_at_ms)
    frontier = EMPTY_FRONTIER.append(leaf_hash(charter.entry))
    lines = [line for line in history if "time_ms" in line]
    blocks = []
    for number, line in enumerate(lines, start=1):
        entries = tuple(text.encode() for text in (*line["computed"], *line["submitted"]))
        leaves = tuple(leaf_hash(entry) for entry in entries)
        frontier = frontier.extend(leaves)
        header = encode_header(
            ledger_id=charter.ledger_id,
            epoch=Epoch(1),
            view=View(2 * number),
            height=Height(number),
            parent=parent.digest,
            time_ms=Millis(line["time_ms"]),
            proposer=MemberIndex(number % len(charter.members) + 1),
            first_index=LeafIndex(parent.tree_size),
            tree_size=frontier.size,
            root=frontier.root(),
            entries_digest=digest_entries(leaves),
        )
        is_sealed = number % 5 != 0 or number == len(lines)
        seal = bls.sign_share(SECRET, seal_message(header, charter.origin)) if is_sealed else NO_SEAL
        blocks.append(VerifiedBlock(header, seal, entries, leaves))
        parent = header
    with found_copy(home, charter) as copy:
        copy.append(blocks)
    return home


def grow_copy(ledger: FakeLedger, home: Path) -> Path:
    """Bring a copy up to a ledger's end, whatever its entries are."""
    copy = open_copy(home) or found_copy(home, ledger.charter)
    with copy:
        blocks = []
        for height in range(copy.head.header.height + 1, ledger.height + 1):
            entries = tuple(ledger.entries_of(height))
            sealed = ledger.chain[height]
            blocks.append(VerifiedBlock(sealed.header, sealed.seal, entries, tuple(map(leaf_hash, entries))))
        if blocks:
            copy.append(blocks)
    return home
