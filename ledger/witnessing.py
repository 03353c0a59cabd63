"""The witness protocol as bytes and decisions: what a log asks of a witness, whether it may cosign, what it answers.

    old 20852014                              size of the tree that the witness is believed to hold
    <base64 hash>                             consistency proof from there on, at most 63 lines
                                              an empty line
    <checkpoint: a signed note>

The first of these that applies is the answer:

| status | when |
|---|---|
| 400 | not of this form, or larger than a witness takes (413) |
| 404 | nobody configured the origin |
| 403 | no line by a configured key of the origin, or such a line does not verify |
| 400 | the old size is above the checkpoint's |
| 409 | the old size is not that of the newest tree cosigned; the body is that size |
| 422 | the proof does not lead from the one tree to the other; the same size, or size 0, is under another root |
| 200 | cosignature lines; the new tree is remembered first |

Version 1.0.0 of the specification answers the same size under another root with 409; here it is 422, as in later ones.
Nothing here remembers or signs: that check and memory are one step is for `tlog.witness_store` to see to. Checkpoints
of foreign logs may have extension lines, and origins that no ledger of ours would have: `parse_head` reads them.
Source: C2SP tlog-witness, tlog-checkpoint, tlog-cosignature.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from types import MappingProxyType
from typing import Final

from ledger import domains
from ledger.checkpoints import Checkpoint, parse_cosignature
from ledger.encoding import decode_base64, decode_decimal, encode_base64
from ledger.errors import FormatError, LedgerError, PolicyError, ProofError
from ledger.limits import (
    HASH_BYTES,
    ORIGIN_BYTES_MAX,
    PROOF_HASHES_MAX,
    SIGNATURE_BYTES,
    WITNESS_ANSWER_BYTES_MAX,
    WITNESS_REQUEST_BYTES_MAX,
)
from ledger.merkle import EMPTY_ROOT, Hash, verify_consistency
from ledger.notes import (
    Note,
    SignatureLine,
    VerifierKey,
    encode_note,
    encode_signature_line,
    parse_note,
    parse_signature_line,
)
from ledger.policy import KnownKeys, verify_lines
from ledger.positions import Seconds, TreeSize

SIZE_MEDIA_TYPE: Final = "text/x.tlog.size"
CLOCK_AHEAD_MAX_S: Final = 60
"""How far ahead of the reader's clock a witness may date its cosignature: one of the far future would stay fresh."""

ANSWER_LINES_MAX: Final = 16

_OLD: Final = "old "
_SIGNS_WHOLE_TEXT: Final = (domains.NOTE_ED25519, domains.NOTE_COSIGNATURE_ED25519)
_SIZE: Final = re.compile(rb"[0-9]{1,19}\n\Z")


class Status(IntEnum):
    """What a witness answers, as HTTP status."""

    COSIGNED = 200
    MALFORMED = 400
    SIGNATURE_REFUSED = 403
    UNKNOWN_LOG = 404
    CONFLICT = 409
    TOO_LARGE = 413
    PROOF_REFUSED = 422
    TOO_MANY = 429
    UNAVAILABLE = 503


@dataclass(frozen=True, slots=True)
class AddCheckpoint:
    """One request, as it was read; nobody has verified anything of it yet."""

    old_size: TreeSize
    proof: tuple[Hash, ...]
    note: Note


@dataclass(frozen=True, slots=True)
class Head:
    """A checkpoint as any log may write it.

    Attributes:
        checkpoint: origin, size and root; the root of size 0 was not looked at.
        is_extended: whether lines follow these three.
    """

    checkpoint: Checkpoint
    is_extended: bool


@dataclass(frozen=True, slots=True)
class Refused:
    """Why a witness does not cosign.

    Attributes:
        status: what it answers.
        words: one line for people.
        held: with `CONFLICT`, the size of the newest tree it cosigned.
    """

    status: Status
    words: str
    held: TreeSize | None = None


def parse_add_checkpoint(raw: bytes) -> AddCheckpoint:
    """Read the body of a request.

    Raises:
        FormatError: `request`: too long, no empty line, not ASCII before it; `request.old`; `request.proof`: more than
            63 lines, or one that is no hash; `note…` and `checkpoint…`, as `parse_note` and `parse_head`.
    """
    if len(raw) > WITNESS_REQUEST_BYTES_MAX:
        found, expected = f"{len(raw)} bytes", f"at most {WITNESS_REQUEST_BYTES_MAX} bytes"
        raise FormatError(field="request", found=found, expected=expected)
    before, empty, behind = raw.partition(b"\n\n")
    if not empty or not before.isascii():
        raise FormatError(field="request", found=before, expected="an old size, a proof, an empty line, a checkpoint")
    old, *hashes = before.decode("ascii").split("\n")
    if not old.startswith(_OLD):
        raise FormatError(field="request.old", found=old, expected="`old`, a space and a size")
    if len(hashes) > PROOF_HASHES_MAX:
        raise FormatError(field="request.proof", found=f"{len(hashes)} lines", expected=f"at most {PROOF_HASHES_MAX}")
    note = parse_note(behind)
    parse_head(note.text)
    return AddCheckpoint(
        old_size=TreeSize(decode_decimal(old.removeprefix(_OLD), field="request.old")),
        proof=tuple(decode_base64(line, field="request.proof", size=HASH_BYTES) for line in hashes),
        note=note,
    )


def encode_add_checkpoint(request: AddCheckpoint) -> bytes:
    """Write the body of a request.

    Raises:
        FormatError: it has no such form; as `parse_add_checkpoint`.
    """
    lines = [f"{_OLD}{request.old_size}", *(encode_base64(sibling) for sibling in request.proof), "", ""]
    raw = "\n".join(lines).encode("ascii") + encode_note(request.note)
    if parse_add_checkpoint(raw) != request:
        raise FormatError(field="request", found=request.note.text, expected="what can be read again")
    return raw


def parse_head(text: str) -> Head:
    """Read the text of a note as the checkpoint of any log.

    Raises:
        FormatError: `checkpoint`: fewer than three lines, or an empty one; `checkpoint.origin`: longer than 255 bytes;
            `checkpoint.size`; `checkpoint.root`.
    """
    lines = text.removesuffix("\n").split("\n")
    if not text.endswith("\n") or len(lines) < 3 or not all(lines):
        raise FormatError(field="checkpoint", found=text, expected="origin, size, root, each line ended and none empty")
    origin, size, root, *extensions = lines
    if len(origin.encode("utf-8", "surrogatepass")) > ORIGIN_BYTES_MAX:
        raise FormatError(field="checkpoint.origin", found=origin, expected=f"at most {ORIGIN_BYTES_MAX} bytes")
    checkpoint = Checkpoint(
        origin=origin,
        size=TreeSize(decode_decimal(size, field="checkpoint.size")),
        root=decode_base64(root, field="checkpoint.root", size=HASH_BYTES),
    )
    return Head(checkpoint=checkpoint, is_extended=bool(extensions))


def refuse_malformed(error: FormatError) -> Refused:
    """Say why a request is not read.

    A signature that is no base64, or not in its one spelling, is one that does not verify, as other witnesses say too
    (the conformance script of litewitness changes the bits behind the last byte of one, and expects 403).
    """
    is_signature = error.field == "note.signature.blob"
    return Refused(Status.SIGNATURE_REFUSED if is_signature else Status.MALFORMED, str(error))


def verify_submission(request: AddCheckpoint, known: KnownKeys | None) -> Checkpoint | Refused:
    """Decide what needs no memory: whether the log is known, signed this, and asks for a growth.

    Args:
        request: as parsed.
        known: the keys configured for the origin that the checkpoint names; None if there are none.
    """
    head = parse_head(request.note.text)
    checkpoint = head.checkpoint
    if known is None:
        return Refused(Status.UNKNOWN_LOG, "this witness is not configured for the log")
    if head.is_extended:  # seals and ML-DSA-44 lines do not sign these lines, so anybody could have written them
        known = {name: key for name, key in known.items() if key.type_bytes in _SIGNS_WHOLE_TEXT}
    try:
        if not verify_lines(request.note, known, checkpoint):
            return Refused(Status.SIGNATURE_REFUSED, "no signature by a key that is configured for the log")
    except LedgerError as error:
        return Refused(Status.SIGNATURE_REFUSED, str(error))
    if request.old_size > checkpoint.size:
        return Refused(Status.MALFORMED, f"old size {request.old_size} is above the checkpoint's {checkpoint.size}")
    return checkpoint


def decide(request: AddCheckpoint, checkpoint: Checkpoint, latest: Checkpoint | None) -> Refused | None:
    """Decide what depends on the newest checkpoint cosigned for this origin; None if this one may be cosigned.

    Args:
        request: whose checkpoint `verify_submission` gave.
        checkpoint: that one, believed to be the log's own.
        latest: what the witness remembers, None if it has cosigned nothing of this log.
    """
    held = TreeSize(0) if latest is None else latest.size
    if request.old_size != held:
        return Refused(Status.CONFLICT, f"the newest tree cosigned has size {held}", held=held)
    try:
        _verify_growth(request, checkpoint, EMPTY_ROOT if latest is None else latest.root)
    except ProofError as error:
        return Refused(Status.PROOF_REFUSED, str(error))
    return None


def is_fork(checkpoint: Checkpoint, latest: Checkpoint | None) -> bool:
    """Say whether the log signed two trees of one size: both notes together prove it, whatever else was asked."""
    return latest is not None and checkpoint.size == latest.size and checkpoint.root != latest.root


def encode_size(size: TreeSize) -> bytes:
    """Write the body of a conflict."""
    return b"%d\n" % size


def parse_size(raw: bytes) -> TreeSize:
    """Read the body of a conflict.

    Raises:
        FormatError: `answer.size`: not a size and a newline.
    """
    if not _SIZE.match(raw):
        raise FormatError(field="answer.size", found=raw, expected="a size in decimal and a newline")
    return TreeSize(decode_decimal(raw[:-1].decode("ascii"), field="answer.size"))


def encode_lines(lines: Sequence[SignatureLine]) -> bytes:
    """Write the body of an answer that cosigns."""
    return "".join(encode_signature_line(line) + "\n" for line in lines).encode("utf-8")


def parse_lines(raw: bytes) -> tuple[SignatureLine, ...]:
    """Read the body of an answer that cosigns; nothing of it is verified.

    Raises:
        FormatError: `answer`: too long, not UTF-8, not ended, or more lines than a witness has keys; else as
            `parse_signature_line`.
    """
    if len(raw) > WITNESS_ANSWER_BYTES_MAX or raw.count(b"\n") > ANSWER_LINES_MAX:
        expected = f"at most {WITNESS_ANSWER_BYTES_MAX} bytes and {ANSWER_LINES_MAX} lines"
        raise FormatError(field="answer", found=f"{len(raw)} bytes", expected=expected)
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise FormatError(field="answer", found=f"byte {error.start}: {error.reason}", expected="UTF-8") from None
    if not text.endswith("\n"):
        raise FormatError(field="answer", found=text[-80:], expected="signature lines, each ended by a newline")
    return tuple(parse_signature_line(line) for line in text[:-1].split("\n"))


def verify_cosignature(lines: Sequence[SignatureLine], *, key: VerifierKey, text: str, now_s: Seconds) -> SignatureLine:
    """Find the one line by a witness's Ed25519 key among those it answered with, and verify it; others are ignored.

    Args:
        lines: as parsed.
        key: of the witness, type `0x04`; believed.
        text: of the checkpoint that was sent.
        now_s: the reader's time.

    Raises:
        PolicyError: `answer`: no line by this key, or two; `answer.time`: 0, or of the future.
        SignatureError, FormatError: the line does not verify, or is not of its form.
    """
    assert key.type_bytes == domains.NOTE_COSIGNATURE_ED25519
    known = MappingProxyType({(key.name, key.key_id): key})
    found = verify_lines(Note(text=text, signatures=tuple(lines)), known, parse_head(text).checkpoint)
    if not found:
        expected = f"a line by {key.name}+{key.key_id.hex()}"
        raise PolicyError(field="answer", found="no line by the witness's key", expected=expected)
    line = found[0][0]
    time_s = parse_cosignature(line.signature, signature_bytes=SIGNATURE_BYTES).time_s
    if not 0 < time_s <= now_s + CLOCK_AHEAD_MAX_S:
        expected = f"above 0, at most {CLOCK_AHEAD_MAX_S} s after {now_s}"
        raise PolicyError(field="answer.time", found=time_s, expected=expected)
    return line


def _verify_growth(request: AddCheckpoint, checkpoint: Checkpoint, root: Hash) -> None:
    """Check the proof; growth from the empty tree, which every tree grows out of, needs none and may have none."""
    if checkpoint.size == 0 and checkpoint.root != EMPTY_ROOT:
        found, expected = encode_base64(checkpoint.root), "the root of the empty tree at size 0"
        raise ProofError(field="checkpoint.root", found=found, expected=expected)
    if request.old_size == 0:
        if request.proof:
            raise ProofError(field="proof.length", found=len(request.proof), expected="no hashes from size 0 on")
        return
    verify_consistency(
        old_size=request.old_size,
        new_size=checkpoint.size,
        proof=request.proof,
        old_root=root,
        new_root=checkpoint.root,
    )
