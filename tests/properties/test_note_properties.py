"""Notes, checkpoints and receipts against hostile bytes: refused, or read in one spelling; never another exception.

The mutations of a signed checkpoint show what a stranger can do to one: nothing but hide a line that is not the seal,
by changing its name or key ID so that nobody knows it any more. Whoever carries a note can leave a line out anyway;
the checkpoint and its seal stay what they were, and a reader who demands cosignatures counts fewer.
"""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ledger import policy
from ledger.checkpoints import Checkpoint, encode_checkpoint, parse_checkpoint, parse_cosignature, parse_seal_line
from ledger.errors import LedgerError
from ledger.limits import SIZE_MAX
from ledger.merkle import EMPTY_ROOT
from ledger.notes import (
    Note,
    SignatureLine,
    encode_note,
    encode_signature_line,
    encode_vkey,
    parse_note,
    parse_signature_line,
    parse_vkey,
)
from ledger.positions import LeafIndex, TreeSize
from ledger.receipts import Receipt, encode_receipt, parse_receipt, verify_receipt
from tests.ledger.sealing import SmallLedger

LEDGER = SmallLedger()
KEYS = LEDGER.keys
CHECKPOINT = LEDGER.checkpoint()
A = LEDGER.members[0]
NOTE = LEDGER.note(A.sign_log(CHECKPOINT), A.cosign(CHECKPOINT))
NOTE_RAW = encode_note(NOTE)
VERIFIED = policy.verify(NOTE, KEYS)
RECEIPT_RAW = encode_receipt(LEDGER.receipt(3, note=NOTE, extra=b"hint"))
VKEYS = [encode_vkey(key) for key in KEYS.known.values()]

names = st.text(
    st.characters(exclude_categories=("Cs", "Cc", "Zs", "Zl", "Zp"), exclude_characters="+"), min_size=1, max_size=20
)
lines = st.builds(SignatureLine, names, st.binary(min_size=4, max_size=4), st.binary(min_size=1, max_size=80))
texts = st.text(st.characters(codec="utf-8", exclude_characters=[chr(c) for c in range(32) if c != 10]))
notes = st.builds(
    lambda text, signatures: Note(text + "\n", tuple(signatures)),
    texts,
    st.lists(lines, min_size=1, max_size=5, unique=True),
)
checkpoints = st.builds(
    Checkpoint,
    names.filter(lambda name: not name.startswith(("cosignature/", "subtree/", "counterseal/"))),
    st.integers(1, SIZE_MAX).map(TreeSize),
    st.binary(min_size=32, max_size=32),
)
receipts = st.builds(
    lambda index, proof, note, extra: Receipt(LeafIndex(index), tuple(proof), note, extra),
    st.integers(0, SIZE_MAX),
    st.lists(st.binary(min_size=32, max_size=32), max_size=63),
    notes,
    st.none() | st.binary(min_size=1, max_size=100),
)


def mutations(raw: bytes) -> st.SearchStrategy[bytes]:
    """Cut, double, replace or insert somewhere."""
    position = st.integers(0, len(raw))
    return st.builds(
        lambda start, end, piece: raw[:start] + piece + raw[end:],
        position,
        position,
        st.binary(max_size=8) | st.just(raw),
    )


@given(notes)
def test_a_note_written_is_read_again(note: Note) -> None:
    assert parse_note(encode_note(note)) == note


@given(lines)
def test_a_signature_line_written_is_read_again(line: SignatureLine) -> None:
    assert parse_signature_line(encode_signature_line(line)) == line


@given(checkpoints)
@example(Checkpoint("o", TreeSize(0), EMPTY_ROOT))
def test_a_checkpoint_written_is_read_again(checkpoint: Checkpoint) -> None:
    assert parse_checkpoint(encode_checkpoint(checkpoint)) == checkpoint


@given(receipts)
def test_a_receipt_written_is_read_again(receipt: Receipt) -> None:
    assert parse_receipt(encode_receipt(receipt)) == receipt


@given(st.binary(max_size=400) | mutations(NOTE_RAW))
def test_any_bytes_are_no_note_or_have_one_spelling(raw: bytes) -> None:
    try:
        note = parse_note(raw)
    except LedgerError:
        return
    assert encode_note(note) == raw


@given(st.binary(max_size=400) | mutations(RECEIPT_RAW))
def test_any_bytes_are_no_receipt_or_have_one_spelling(raw: bytes) -> None:
    try:
        receipt = parse_receipt(raw)
    except LedgerError:
        return
    assert encode_receipt(receipt) == raw


@given(st.text(max_size=200) | mutations(NOTE.text.encode()).map(lambda raw: raw.decode("utf-8", "surrogateescape")))
def test_any_text_is_no_checkpoint_or_has_one_spelling(text: str) -> None:
    try:
        checkpoint = parse_checkpoint(text)
    except LedgerError:
        return
    assert encode_checkpoint(checkpoint) == text


@given(
    st.text(max_size=200)
    | st.sampled_from(VKEYS).flatmap(
        lambda key: mutations(key.encode()).map(lambda raw: raw.decode("utf-8", "replace"))
    )
)
def test_any_text_is_no_verifier_key_or_has_one_spelling(text: str) -> None:
    try:
        key = parse_vkey(text)
    except LedgerError:
        return
    assert encode_vkey(key) == text


@given(st.binary(max_size=200) | st.binary(min_size=112, max_size=112))
def test_any_bytes_are_no_seal_line_or_cosignature_or_are_read(raw: bytes) -> None:
    for parse in (parse_seal_line, lambda raw: parse_cosignature(raw, signature_bytes=64)):
        try:
            parse(raw)
        except LedgerError:
            continue
        assert len(raw) in (72, 112)


def hideable(raw: bytes) -> set[int]:
    """Where a change makes a line unknown: names and key IDs of the log line and the cosignature."""
    places: set[int] = set()
    for line in (A.sign_log(CHECKPOINT), A.cosign(CHECKPOINT)):
        text = encode_signature_line(line).encode()
        start, end = raw.index(text) + len("\u2014 ".encode()), raw.index(text) + len(text)
        blob = raw.index(b" ", start) + 1
        assert blob < end
        places.update(range(start, blob + 6))  # six characters of base64 hold the four bytes of the key ID
    return places


@pytest.mark.parametrize("flip", [0x01, 0x20])
def test_every_change_of_a_byte_of_a_signed_checkpoint_is_refused_or_hides_a_line_that_is_not_the_seal(
    flip: int,
) -> None:
    places = hideable(NOTE_RAW)
    hidden = 0
    for at in range(len(NOTE_RAW)):
        changed = NOTE_RAW[:at] + bytes([NOTE_RAW[at] ^ flip]) + NOTE_RAW[at + 1 :]
        try:
            verified = policy.verify(parse_note(changed), KEYS)
        except LedgerError:
            continue
        assert at in places
        assert (verified.checkpoint, verified.seal) == (VERIFIED.checkpoint, VERIFIED.seal)
        assert verified.cosigners in ((), VERIFIED.cosigners)
        with pytest.raises(LedgerError):
            policy.verify(parse_note(changed), KEYS, cosignatures_min=len(verified.cosigners) + 1)
        hidden += 1
    assert hidden > 0  # the case the docstring argues does occur


@pytest.mark.parametrize("flip", [0x01, 0x20])
def test_every_change_of_a_byte_of_a_receipt_is_refused_or_changes_nothing_that_was_proven(flip: int) -> None:
    note_at = RECEIPT_RAW.index(NOTE_RAW)
    places = {note_at + at for at in hideable(NOTE_RAW)}
    extra_at = RECEIPT_RAW.index(b"extra ") + len("extra ")
    places.update(range(extra_at, RECEIPT_RAW.index(b"\n", extra_at)))
    before = verify_receipt(parse_receipt(RECEIPT_RAW), entry=b"four", keys=KEYS)
    for at in range(len(RECEIPT_RAW)):
        changed = RECEIPT_RAW[:at] + bytes([RECEIPT_RAW[at] ^ flip]) + RECEIPT_RAW[at + 1 :]
        try:
            verified = verify_receipt(parse_receipt(changed), entry=b"four", keys=KEYS)
        except LedgerError:
            continue
        assert at in places
        assert (verified.index, verified.entry, verified.leaf) == (before.index, before.entry, before.leaf)
        assert verified.checkpoint.checkpoint == before.checkpoint.checkpoint
        assert verified.checkpoint.seal == before.checkpoint.seal


@given(mutations(NOTE_RAW))
def test_no_mutation_of_a_signed_checkpoint_makes_another_one_believed(raw: bytes) -> None:
    try:
        verified = policy.verify(parse_note(raw), KEYS)
    except LedgerError:
        return
    assert (verified.checkpoint, verified.seal) == (VERIFIED.checkpoint, VERIFIED.seal)
    assert verified.cosigners in ((), VERIFIED.cosigners)
