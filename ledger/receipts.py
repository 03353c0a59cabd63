"""Receipts: what proves, offline and for decades, that an entry stands on a sealed ledger.

    c2sp.org/tlog-proof@v1
    extra <base64>                  (optional; nobody vouches for it)
    index <decimal>
    <base64 hash>                   (from the leaf's sibling up)

    <checkpoint with seal and cosignatures>

The entry itself is not in the file: it lies beside it, and its own bytes are what is checked.
Invariant: a receipt has one spelling, `encode_receipt(parse_receipt(raw)) == raw`.
Source: C2SP tlog-proof.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ledger import policy
from ledger.domains import RECEIPT_HEADER
from ledger.encoding import decode_base64, decode_decimal, encode_base64
from ledger.errors import FormatError
from ledger.limits import ENTRY_BYTES_MAX, HASH_BYTES, PROOF_HASHES_MAX, RECEIPT_BYTES_MAX, RECEIPT_EXTRA_BYTES_MAX
from ledger.merkle import Hash, leaf_hash, verify_inclusion
from ledger.notes import Note, encode_note, parse_note
from ledger.policy import LedgerKeys, VerifiedCheckpoint
from ledger.positions import LeafIndex

_EXTRA: Final = "extra "
_INDEX: Final = "index "
_HEAD_LINES_MAX: Final = 3 + PROOF_HASHES_MAX
_HEAD_BYTES_MAX: Final = 2 * RECEIPT_EXTRA_BYTES_MAX + 64 * _HEAD_LINES_MAX


@dataclass(frozen=True, slots=True)
class Receipt:
    """A receipt as read: nobody has verified it yet.

    Attributes:
        index: where the entry is said to stand.
        proof: hashes of the inclusion proof, from the leaf's sibling up.
        note: the checkpoint with its lines.
        extra: a hint for readers, such as the path of a record; never authenticated.
    """

    index: LeafIndex
    proof: tuple[Hash, ...]
    note: Note
    extra: bytes | None = None


@dataclass(frozen=True, slots=True)
class VerifiedReceipt:
    """An entry that stands at `index` of a sealed ledger.

    Attributes:
        entry: the bytes whose leaf hash was proven; nothing else in a receipt is.
    """

    index: LeafIndex
    entry: bytes
    leaf: Hash
    checkpoint: VerifiedCheckpoint


def encode_receipt(receipt: Receipt) -> bytes:
    """Write a receipt in its one spelling.

    Raises:
        FormatError: it has none; the same conditions as in `parse_receipt`.
    """
    raw = join_receipt(index=receipt.index, proof=receipt.proof, note=encode_note(receipt.note), extra=receipt.extra)
    if parse_receipt(raw) != receipt:
        raise FormatError(field="receipt", found=raw[:80], expected="a receipt that its lines can hold")
    return raw


def join_receipt(*, index: LeafIndex, proof: Sequence[Hash], note: bytes, extra: bytes | None = None) -> bytes:
    """Write a receipt over a note that is encoded already: what a node does for every entry of a block.

    Args:
        index: of the entry.
        proof: believed to be an inclusion proof, of at most 63 hashes of 32 bytes.
        note: believed to come from `encode_note`.
        extra: at least a byte, if given.
    """
    lines = [RECEIPT_HEADER]
    if extra is not None:
        lines.append(_EXTRA + encode_base64(extra))
    lines.append(f"{_INDEX}{index}")
    lines.extend(encode_base64(sibling) for sibling in proof)
    return "\n".join(lines).encode("ascii") + b"\n\n" + note


def parse_receipt(raw: bytes) -> Receipt:
    """Read a receipt from bytes of a stranger.

    Raises:
        FormatError: `receipt`: too long, or no empty line after the proof; `receipt.header`, `receipt.extra`,
            `receipt.index`, `receipt.proof`; `note…`: as `parse_note`.
    """
    if len(raw) > RECEIPT_BYTES_MAX:
        raise FormatError(field="receipt", found=f"{len(raw)} bytes", expected=f"at most {RECEIPT_BYTES_MAX} bytes")
    end = raw.find(b"\n\n", 0, _HEAD_BYTES_MAX)
    if end < 0:
        raise FormatError(field="receipt", found=raw[:80], expected="a proof, an empty line and a checkpoint")
    index, proof, extra = _parse_head(raw[:end])
    return Receipt(index=index, proof=proof, note=parse_note(raw[end + 2 :]), extra=extra)


def verify_receipt(receipt: Receipt, *, entry: bytes, keys: LedgerKeys, cosignatures_min: int = 0) -> VerifiedReceipt:
    """Check that `entry` stands where the receipt says, on the ledger that `keys` seal.

    Args:
        receipt: as parsed.
        entry: the exact bytes that were submitted.
        keys: of the ledger, from a charter that the caller believes.
        cosignatures_min: how many distinct members must have cosigned beside the seal.

    Raises:
        FormatError: `entry`: longer than any entry.
        ProofError: the hashes do not lead from the entry to the sealed root.
        SignatureError, PolicyError: as `policy.verify`.
    """
    if len(entry) > ENTRY_BYTES_MAX:
        raise FormatError(field="entry", found=f"{len(entry)} bytes", expected=f"at most {ENTRY_BYTES_MAX} bytes")
    verified = policy.verify(receipt.note, keys, cosignatures_min=cosignatures_min)
    leaf = leaf_hash(entry)
    verify_inclusion(
        leaf=leaf,
        index=receipt.index,
        size=verified.checkpoint.size,
        proof=receipt.proof,
        root=verified.checkpoint.root,
    )
    return VerifiedReceipt(index=receipt.index, entry=entry, leaf=leaf, checkpoint=verified)


def _parse_head(raw: bytes) -> tuple[LeafIndex, tuple[Hash, ...], bytes | None]:
    """Read the lines before the empty one."""
    try:
        lines = raw.decode("ascii").split("\n", maxsplit=_HEAD_LINES_MAX)
    except UnicodeDecodeError as error:
        raise FormatError(field="receipt", found=f"byte {error.start}: {error.reason}", expected="ASCII") from None
    if lines[0] != RECEIPT_HEADER:
        raise FormatError(field="receipt.header", found=lines[0], expected=RECEIPT_HEADER)
    extra, rest = None, lines[1:]
    if rest and rest[0].startswith(_EXTRA):
        extra = decode_base64(rest[0].removeprefix(_EXTRA), field="receipt.extra", size_max=RECEIPT_EXTRA_BYTES_MAX)
        if not extra:
            raise FormatError(field="receipt.extra", found="nothing", expected="at least one byte, or no such line")
        rest = rest[1:]
    if not rest or not rest[0].startswith(_INDEX):
        raise FormatError(field="receipt.index", found=rest[0] if rest else "nothing", expected="a line `index <n>`")
    index = LeafIndex(decode_decimal(rest[0].removeprefix(_INDEX), field="receipt.index"))
    if len(rest) - 1 > PROOF_HASHES_MAX:
        raise FormatError(field="receipt.proof", found="more hashes", expected=f"at most {PROOF_HASHES_MAX}")
    proof = tuple(decode_base64(line, field="receipt.proof", size=HASH_BYTES) for line in rest[1:])
    return index, proof, extra
