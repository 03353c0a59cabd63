"""Receipts: what proves an entry, in one spelling, and nothing that proves less."""

from dataclasses import replace

import pytest

from ledger.encoding import encode_base64
from ledger.errors import FormatError, PolicyError, ProofError, SignatureError
from ledger.limits import ENTRY_BYTES_MAX, PROOF_HASHES_MAX, RECEIPT_BYTES_MAX, RECEIPT_EXTRA_BYTES_MAX, SIZE_MAX
from ledger.merkle import leaf_hash, node_hash
from ledger.notes import encode_note
from ledger.positions import LeafIndex
from ledger.receipts import Receipt, encode_receipt, parse_receipt, verify_receipt
from ledger.threshold.polynomials import SecretScalar
from tests.ledger.sealing import SmallLedger

LEDGER = SmallLedger()
KEYS = LEDGER.keys
NOTE = encode_note(LEDGER.note())
HASH = encode_base64(bytes(32))


@pytest.mark.parametrize("index", range(5))
@pytest.mark.parametrize("extra", [None, b"a hint", bytes(RECEIPT_EXTRA_BYTES_MAX)])
def test_every_entry_has_a_receipt_that_is_read_again_and_believed(index: int, extra: bytes | None) -> None:
    receipt = LEDGER.receipt(index, extra=extra)
    raw = encode_receipt(receipt)
    assert parse_receipt(raw) == receipt
    verified = verify_receipt(parse_receipt(raw), entry=LEDGER.entries[index], keys=KEYS)
    assert (verified.index, verified.entry, verified.leaf) == (index, LEDGER.entries[index], leaf_hash(verified.entry))
    assert verified.checkpoint.checkpoint == LEDGER.checkpoint()


def test_the_form_is_that_of_tlog_proof() -> None:
    receipt = LEDGER.receipt(4, extra=b"extra information")
    (sibling,) = receipt.proof
    assert encode_receipt(receipt) == (
        b"c2sp.org/tlog-proof@v1\n"
        b"extra ZXh0cmEgaW5mb3JtYXRpb24=\n"
        b"index 4\n" + encode_base64(sibling).encode() + b"\n\n" + NOTE
    )


def test_the_only_entry_of_a_ledger_needs_no_hashes() -> None:
    alone = replace(LEDGER, entries=(b"one",))
    raw = encode_receipt(alone.receipt(0))
    assert raw.startswith(b"c2sp.org/tlog-proof@v1\nindex 0\n\ncounterseal.example/2026\n1\n")
    assert verify_receipt(parse_receipt(raw), entry=b"one", keys=KEYS).index == 0


@pytest.mark.parametrize(
    ("head", "field"),
    [
        ("wrong-header\nindex 0\n", "receipt.header"),
        ("C2SP.org/tlog-proof@v1\nindex 0\n", "receipt.header"),
        ("c2sp.org/tlog-proof@v1\r\nindex 0\n", "receipt.header"),
        ("c2sp.org/tlog-proof@v1\nextra !!notbase64!!\nindex 0\n", "receipt.extra"),
        ("c2sp.org/tlog-proof@v1\nextra \nindex 0\n", "receipt.extra"),
        (f"c2sp.org/tlog-proof@v1\nextra {'A' * 70_000}\nindex 0\n", "receipt"),
        (f"c2sp.org/tlog-proof@v1\nextra {'A' * 44_000}\nindex 0\n", "receipt.extra"),
        ("c2sp.org/tlog-proof@v1\nextra AAAA\nextra AAAA\nindex 0\n", "receipt.index"),
        ("c2sp.org/tlog-proof@v1\nindex 0\nextra AAAA\n", "receipt.proof"),
        ("c2sp.org/tlog-proof@v1\n", "receipt.index"),
        (f"c2sp.org/tlog-proof@v1\n{HASH}\n", "receipt.index"),
        ("c2sp.org/tlog-proof@v1\nindex notanumber\n", "receipt.index"),
        ("c2sp.org/tlog-proof@v1\nindex -5\n", "receipt.index"),
        ("c2sp.org/tlog-proof@v1\nindex 00\n", "receipt.index"),
        ("c2sp.org/tlog-proof@v1\nindex  0\n", "receipt.index"),
        ("c2sp.org/tlog-proof@v1\nindex 0 \n", "receipt.index"),
        (f"c2sp.org/tlog-proof@v1\nindex {SIZE_MAX + 1}\n", "receipt.index"),
        ("c2sp.org/tlog-proof@v1\nindex 0\n!!notbase64!!\n", "receipt.proof"),
        (f"c2sp.org/tlog-proof@v1\nindex 0\n{encode_base64(bytes(64))}\n", "receipt.proof"),
        (f"c2sp.org/tlog-proof@v1\nindex 0\n{HASH} \n", "receipt.proof"),
        (f"c2sp.org/tlog-proof@v1\nindex 0\n{'a' * 65 * 1024}\n", "receipt.proof"),
        ("c2sp.org/tlog-proof@v1\nindex 0\n" + f"{HASH}\n" * (PROOF_HASHES_MAX + 1), "receipt.proof"),
        ("c2sp.org/tlog-proof@v1\nindex 0\n" + f"{HASH}\n" * 5000, "receipt"),
        ("c2sp.org/tlog-proof@v1\nindex \u0660\n", "receipt"),
    ],
)
def test_receipts_of_another_form_are_refused(head: str, field: str) -> None:
    with pytest.raises(FormatError) as caught:
        parse_receipt(head.encode() + b"\n" + NOTE)
    assert caught.value.field == field


@pytest.mark.parametrize(
    "raw", [b"", b"c2sp.org/tlog-proof@v1\nindex 0\n", b"c2sp.org/tlog-proof@v1\nindex 0\n" + NOTE]
)
def test_receipts_without_their_empty_line_or_checkpoint_are_refused(raw: bytes) -> None:
    with pytest.raises(FormatError):
        parse_receipt(raw)


def test_a_receipt_above_its_limit_is_refused_before_it_is_read() -> None:
    with pytest.raises(FormatError, match="at most"):
        parse_receipt(bytes(RECEIPT_BYTES_MAX + 1))


@pytest.mark.parametrize(
    "change",
    [
        {"index": LeafIndex(-1)},
        {"index": LeafIndex(SIZE_MAX + 1)},
        {"proof": (bytes(31),)},
        {"proof": (bytes(32),) * (PROOF_HASHES_MAX + 1)},
        {"extra": b""},
        {"extra": bytes(RECEIPT_EXTRA_BYTES_MAX + 1)},
    ],
)
def test_receipts_that_could_not_be_read_again_are_not_written(change: dict[str, object]) -> None:
    values: dict[str, object] = {"index": LeafIndex(0), "proof": (), "note": LEDGER.note(), "extra": None}
    with pytest.raises(FormatError):
        encode_receipt(Receipt(**(values | change)))  # type: ignore[arg-type]  # one wrong value each


@pytest.mark.parametrize("entry", [b"", b"five", b"four\n", b"\x00four"])
def test_a_receipt_proves_no_other_entry(entry: bytes) -> None:
    with pytest.raises(ProofError):
        verify_receipt(LEDGER.receipt(3), entry=entry, keys=KEYS)


@pytest.mark.parametrize("index", [0, 1, 2, 4, 5, SIZE_MAX])
def test_a_receipt_proves_no_other_index(index: int) -> None:
    with pytest.raises(ProofError):
        verify_receipt(replace(LEDGER.receipt(3), index=LeafIndex(index)), entry=b"four", keys=KEYS)


def test_a_receipt_with_hashes_missing_added_or_swapped_is_refused() -> None:
    receipt = LEDGER.receipt(3)
    first, second, third = receipt.proof
    for proof in (
        (),
        (first, second),
        (first, second, third, third),
        (second, first, third),
        (bytes(32), second, third),
    ):
        with pytest.raises(ProofError):
            verify_receipt(replace(receipt, proof=proof), entry=b"four", keys=KEYS)


def test_an_inner_node_does_not_pass_for_an_entry() -> None:
    left, right = leaf_hash(b"three"), leaf_hash(b"four")
    receipt = replace(LEDGER.receipt(3), index=LeafIndex(1), proof=LEDGER.receipt(3).proof[1:])
    assert node_hash(left, right) != leaf_hash(left + right)
    with pytest.raises(ProofError):
        verify_receipt(receipt, entry=left + right, keys=KEYS)


def test_a_receipt_under_the_seal_of_another_group_is_refused() -> None:
    forged = replace(LEDGER, secret=SecretScalar(5), entries=(b"one", b"two", b"three", b"forged", b"five"))
    with pytest.raises(PolicyError):
        verify_receipt(forged.receipt(3), entry=b"forged", keys=KEYS)


def test_a_receipt_under_a_false_seal_is_refused_before_its_proof_is_looked_at() -> None:
    forged = replace(LEDGER, entries=(b"one", b"two", b"three", b"forged", b"five"))
    note = replace(forged.note(), signatures=LEDGER.note().signatures)
    with pytest.raises(SignatureError):
        verify_receipt(forged.receipt(3, note=note), entry=b"forged", keys=KEYS)


def test_cosignatures_are_demanded_when_asked_for() -> None:
    receipt = LEDGER.receipt(3, note=LEDGER.cosigned_note())
    assert len(verify_receipt(receipt, entry=b"four", keys=KEYS, cosignatures_min=3).checkpoint.cosigners) == 3
    with pytest.raises(PolicyError):
        verify_receipt(receipt, entry=b"four", keys=KEYS, cosignatures_min=4)


def test_an_entry_above_the_limit_is_refused() -> None:
    with pytest.raises(FormatError) as caught:
        verify_receipt(LEDGER.receipt(3), entry=bytes(ENTRY_BYTES_MAX + 1), keys=KEYS)
    assert caught.value.field == "entry"
