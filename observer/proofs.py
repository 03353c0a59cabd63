"""What an observer hands on: receipts and certificates that verify offline, and a policy for other people's tools.

Everything is made from the observer's own verified copy: the path through its own tiles, the checkpoint from a note it
believed. What is written is verified first, as a stranger would, so nothing leaves that would be refused.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ledger.blocks import checkpoint_of
from ledger.encoding import decode_hex
from ledger.errors import Code, ConditionError, ProofError
from ledger.limits import ENTRY_BYTES_MAX, HASH_BYTES
from ledger.merkle import prove_inclusion
from ledger.notes import Note, parse_note
from ledger.policy import VerifiedCheckpoint, encode_policy
from ledger.policy import verify as verify_note
from ledger.positions import Interval, LeafIndex
from ledger.receipts import Receipt, VerifiedReceipt, encode_receipt
from ledger.statements.reports import CORRECTION, REPORT
from ledger.statements.verdicts import VERDICT
from ledger.tiles import TileReader
from ledger.verify import (
    Certificate,
    VerifiedCertificate,
    encode_certificate,
    verify_certificate,
    verify_receipt,
)
from observer.chain import make_note
from observer.copy import Copy
from observer.files import read_file, write_file
from observer.offline import CHARTER_FILE, ENTRY_SUFFIX

RECEIPT_SUFFIX: Final = ".tlog-proof"


@dataclass(frozen=True, slots=True)
class ProvenEntry:
    """An entry with a receipt that was verified as a stranger would.

    Attributes:
        receipt: what was made.
        raw: its file.
        verified: what it proves.
    """

    receipt: Receipt
    raw: bytes
    verified: VerifiedReceipt


def find_entry(
    copy: Copy,
    *,
    index: int | None = None,
    leaf: str | None = None,
    lab: str | None = None,
    interval: int | None = None,
) -> LeafIndex:
    """Find an entry by exactly one of: its index; its leaf hash in hex; the lab and interval it was filed for.

    By lab and interval the newest is found: the latest correction, or else the report.

    Raises:
        ConditionError: not exactly one way was given (`CONFIG`), or there is no such entry (`NOT_FOUND`).
        FormatError: `leaf` is no hash.
    """
    by_lab = lab is not None and interval is not None
    if (index is not None) + (leaf is not None) + by_lab != 1 or (lab is None) != (interval is None):
        expected = "exactly one of --index, --leaf, or --lab with --interval"
        raise ConditionError(field="receipt", found="another choice", expected=expected, code=Code.CONFIG)
    found: LeafIndex | None = None
    if index is not None:
        found = LeafIndex(index) if 0 <= index < copy.tree.size else None
    elif leaf is not None:
        found = copy.find_leaf(decode_hex(leaf, field="leaf", size=HASH_BYTES))
    else:
        found = copy.find_newest((REPORT, CORRECTION), f"{lab}/{interval}")
    if found is None:
        wanted = index if index is not None else leaf if leaf is not None else f"lab {lab}, interval {interval}"
        expected = f"an entry among the {copy.tree.size} of this copy; sync first if it is newer"
        raise ConditionError(field="entry", found=wanted, expected=expected, code=Code.NOT_FOUND)
    return found


def find_verdict(copy: Copy, *, lab: str, cluster: str, interval: Interval) -> LeafIndex:
    """Find the newest verdict on a cluster's interval.

    Raises:
        ConditionError: there is none (`NOT_FOUND`).
    """
    name = f"{lab}/{cluster}/{interval}"
    found = copy.find_newest((VERDICT,), name)
    if found is None:
        expected = "a cluster and interval with a verdict in this copy; see the board, or sync first"
        raise ConditionError(field="verdict", found=name, expected=expected, code=Code.NOT_FOUND)
    return found


def prove_entry(copy: Copy, index: LeafIndex) -> ProvenEntry:
    """Make the receipt of an entry.

    Its checkpoint is the newest kept note over the entry that a quorum cosigned; where there is none the newest over
    it; and where none was kept yet, the seal of the copy's newest block alone, which is enough.

    Raises:
        LedgerError: the copy on disk is not what was written.
    """
    (proven,) = prove_entries(copy, [index])
    return proven


def prove_entries(copy: Copy, indices: Sequence[LeafIndex]) -> Iterator[ProvenEntry]:
    """Make the receipts of entries, under the one checkpoint that `prove_entry` takes for the last of them.

    Args:
        copy: with all of them.
        indices: ascending.

    Raises:
        LedgerError: the copy on disk is not what was written.
    """
    if not indices:
        return
    note, checkpoint = _choose_note(copy, indices[-1])
    size, root = checkpoint.checkpoint.size, checkpoint.checkpoint.root
    tree = copy.tree if size == copy.tree.size else TileReader(size=size, root=root, fetch=copy.read_path)
    for index, entry in zip(indices, copy.proven_entries(indices), strict=True):
        proof = prove_inclusion(index=index, size=size, read=tree.read)
        receipt = Receipt(index=index, proof=tuple(proof), note=note)
        raw = encode_receipt(receipt)
        yield ProvenEntry(receipt, raw, verify_receipt(raw, entry=entry, keys=copy.keys))


def _choose_note(copy: Copy, index: LeafIndex) -> tuple[Note, VerifiedCheckpoint]:
    """Give the best note over an entry, believed again now."""
    best: tuple[Note, VerifiedCheckpoint] | None = None
    for height, raw in copy.notes():
        note = parse_note(raw)
        checkpoint = verify_note(note, copy.keys)
        header = copy.block(height).header
        if checkpoint.checkpoint != checkpoint_of(header, copy.charter.origin):
            raise ProofError(field=f"{copy.path}: notes[{height}]", found="another tree", expected="that of its block")
        if checkpoint.checkpoint.size <= index:
            break
        if best is None:
            best = note, checkpoint
        if len(checkpoint.cosigners) >= copy.keys.quorum:
            return note, checkpoint
    if best is not None:
        return best
    note = make_note(copy.head, copy.charter)
    return note, verify_note(note, copy.keys)


def write_receipt(proven: ProvenEntry, copy: Copy, output: Path) -> list[Path]:
    """Write a receipt, the entry and the charter beside it.

    Returns:
        The files written.

    Raises:
        ConditionError: the charter of another ledger lies there already (`CONFIG`).
    """
    charter = output.with_name(CHARTER_FILE)
    if charter.exists() and read_file(charter, size_max=ENTRY_BYTES_MAX, field="charter") != copy.charter.entry:
        expected = "a folder of its own for each ledger"
        raise ConditionError(field=str(charter), found="another charter", expected=expected, code=Code.CONFIG)
    entry = output.with_suffix(ENTRY_SUFFIX)
    write_file(charter, copy.charter.entry)
    write_file(entry, proven.verified.entry)
    write_file(output, proven.raw)
    return [output, entry, charter]


def encode_node_policy(copy: Copy, *, url: str | None, nation: str | None) -> str:
    """Write the ledger's policy file, with every member's log key or with one member's alone.

    Raises:
        ConditionError: no member has that id (`NOT_FOUND`).
        FormatError: as `ledger.policy.encode_policy`.
    """
    if nation is None:
        return encode_policy(copy.keys, url=url)
    named = [member.log for member in copy.charter.members if member.id == nation]
    if not named:
        expected = f"one of {', '.join(member.id for member in copy.charter.members)}"
        raise ConditionError(field="node", found=nation, expected=expected, code=Code.NOT_FOUND)
    return encode_policy(copy.keys, url=url, log_keys=named)


def certify(copy: Copy, *, lab: str, cluster: str, interval: Interval) -> tuple[bytes, VerifiedCertificate]:
    """Make the certificate of the newest verdict on a cluster's interval, verified as a stranger would.

    Raises:
        ConditionError: there is no verdict yet (`NOT_FOUND`).
        LedgerError: the copy on disk is not what was written.
    """
    proven = prove_entry(copy, find_verdict(copy, lab=lab, cluster=cluster, interval=interval))
    post_quantum = proven.verified.checkpoint.cosigners_ml_dsa
    signers = [member for member in copy.charter.members if member.node in post_quantum]
    keys = {member.node: copy.ml_dsa_keys[member.index] for member in signers}
    raw = encode_certificate(
        Certificate(
            charter=copy.charter.entry,
            entry=proven.verified.entry,
            receipt=proven.receipt,
            ml_dsa_keys=keys,
        )
    )
    verified = verify_certificate(raw, charter_fingerprint=copy.charter.ledger_id)
    verdict = verified.verdict
    if (verdict.lab, verdict.cluster, verdict.interval) != (lab, cluster, interval):
        found = f"{verdict.lab}/{verdict.cluster}/{verdict.interval}"
        raise ProofError(field=f"{copy.path}: subjects", found=found, expected=f"{lab}/{cluster}/{interval}")
    return raw, verified
