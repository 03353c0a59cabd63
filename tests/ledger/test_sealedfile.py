"""`ledger.sealedfile`: what was encrypted comes back, and each failure has its own name."""

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger import domains
from ledger.errors import Code, ConditionError, FormatError, LedgerError
from ledger.sealedfile import (
    DEFAULT_COST,
    FILE_BYTES_MAX,
    LANES_MAX,
    MEMORY_KIB_MAX,
    PASSES_MAX,
    PLAINTEXT_BYTES_MAX,
    Cost,
    decrypt_file,
    encode_passphrase,
    encrypt_file,
)

CHEAP = Cost(memory_kib=8, passes=1, lanes=1)
PASSPHRASE = encode_passphrase("correct horse")
SALT = bytes(range(16))
NONCE = bytes(range(12))


def write(plaintext: bytes = b"secret", purpose: str = "test-key") -> bytes:
    return encrypt_file(plaintext, passphrase=PASSPHRASE, purpose=purpose, salt=SALT, nonce=NONCE, cost=CHEAP)


def rehash(body: bytes) -> bytes:
    return body + hashlib.sha256(body).digest()


@settings(max_examples=30, deadline=None)
@given(plaintext=st.binary(max_size=300))
def test_what_was_encrypted_comes_back(plaintext: bytes) -> None:
    assert decrypt_file(write(plaintext), passphrase=PASSPHRASE, purpose="test-key") == plaintext


def test_the_largest_secret_fits_the_largest_file() -> None:
    raw = write(bytes(PLAINTEXT_BYTES_MAX), purpose="p" * 64)
    assert len(raw) == FILE_BYTES_MAX
    assert decrypt_file(raw, passphrase=PASSPHRASE, purpose="p" * 64) == bytes(PLAINTEXT_BYTES_MAX)


def test_the_default_cost_is_the_second_recommendation_of_rfc_9106() -> None:
    assert Cost(memory_kib=65536, passes=3, lanes=4) == DEFAULT_COST


def test_the_format_is_pinned_by_a_known_answer() -> None:
    assert hashlib.sha256(write()).hexdigest() == "a6af44a678b6cdeca7e1ed7713a76727b742c2f6635454a236034e9c1a47cc4c"


def test_a_wrong_passphrase_is_called_a_wrong_passphrase() -> None:
    with pytest.raises(ConditionError) as caught:
        decrypt_file(write(), passphrase=encode_passphrase("wrong horse"), purpose="test-key")
    assert caught.value.code is Code.PASSPHRASE


@pytest.mark.parametrize("bit", [0, 3, 7])
def test_every_flipped_bit_is_called_damage_and_never_a_wrong_passphrase(bit: int) -> None:
    raw = write()
    for position in range(len(raw)):
        changed = raw[:position] + bytes([raw[position] ^ (1 << bit)]) + raw[position + 1 :]
        with pytest.raises(FormatError) as caught:
            decrypt_file(changed, passphrase=PASSPHRASE, purpose="test-key")
        assert caught.value.code is Code.KEY_FILE_DAMAGED


def test_every_truncation_and_extension_is_called_damage() -> None:
    raw = write()
    for changed in [raw[:length] for length in range(len(raw))] + [raw + b"\x00"]:
        with pytest.raises(FormatError) as caught:
            decrypt_file(changed, passphrase=PASSPHRASE, purpose="test-key")
        assert caught.value.code is Code.KEY_FILE_DAMAGED


def test_a_change_under_a_repaired_hash_still_does_not_open() -> None:
    body = write()[:-32]
    for position in range(len(domains.KEYSTORE), len(body)):
        changed = rehash(body[:position] + bytes([body[position] ^ 1]) + body[position + 1 :])
        with pytest.raises(LedgerError):
            decrypt_file(changed, passphrase=PASSPHRASE, purpose="test-key")


def test_a_changed_ciphertext_under_a_repaired_hash_is_called_damage() -> None:
    body = write()[:-32]
    with pytest.raises(FormatError) as caught:
        decrypt_file(rehash(body[:-1] + bytes([body[-1] ^ 1])), passphrase=PASSPHRASE, purpose="test-key")
    assert caught.value.code is Code.KEY_FILE_DAMAGED
    assert caught.value.field == "keyfile.ciphertext"


@pytest.mark.parametrize(
    "cost",
    [
        Cost(memory_kib=MEMORY_KIB_MAX + 1, passes=1, lanes=1),
        Cost(memory_kib=8, passes=PASSES_MAX + 1, lanes=1),
        Cost(memory_kib=2**20, passes=1, lanes=LANES_MAX + 1),
        Cost(memory_kib=7, passes=1, lanes=1),
        Cost(memory_kib=8, passes=0, lanes=1),
        Cost(memory_kib=8, passes=1, lanes=0),
    ],
)
def test_a_cost_out_of_bounds_is_refused_before_it_is_spent(cost: Cost) -> None:
    raw = write()
    at = len(domains.KEYSTORE) + 1 + len("test-key")
    spelled = b"".join(number.to_bytes(4, "big") for number in (cost.memory_kib, cost.passes, cost.lanes))
    with pytest.raises(FormatError) as caught:
        decrypt_file(rehash(raw[:at] + spelled + raw[at + 12 : -32]), passphrase=PASSPHRASE, purpose="test-key")
    assert caught.value.field == "keyfile.cost"


def test_a_file_for_another_purpose_is_refused() -> None:
    with pytest.raises(FormatError) as caught:
        decrypt_file(write(purpose="log-key"), passphrase=PASSPHRASE, purpose="test-key")
    assert caught.value.field == "keyfile.purpose"


@settings(max_examples=100, deadline=None)
@given(tail=st.binary(max_size=200))
def test_hostile_bytes_raise_only_ledger_errors(tail: bytes) -> None:
    for raw in (tail, domains.KEYSTORE + tail, rehash(domains.KEYSTORE + tail)):
        with pytest.raises(LedgerError):
            decrypt_file(raw, passphrase=PASSPHRASE, purpose="test-key")


def test_two_spellings_of_one_typed_passphrase_are_one_passphrase() -> None:
    assert encode_passphrase("Zu\u0308rich") == encode_passphrase("Z\u00fcrich")


def test_an_empty_passphrase_is_refused() -> None:
    with pytest.raises(ConditionError) as caught:
        encode_passphrase("")
    assert caught.value.code is Code.PASSPHRASE


def test_a_passphrase_that_is_no_text_is_refused_and_no_part_of_it_shown() -> None:
    with pytest.raises(ConditionError) as caught:
        encode_passphrase("secret \udcff")
    assert caught.value.code is Code.PASSPHRASE
    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__
