"""Checkpoints and what is signed over them: what others wrote and signed, and one spelling of everything."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey

from ledger import domains
from ledger.checkpoints import (
    Checkpoint,
    SealLine,
    compute_cosignature_message_ed25519,
    compute_cosignature_message_ml_dsa,
    compute_seal_message,
    encode_checkpoint,
    encode_cosignature,
    encode_seal_line,
    make_seal_signature,
    parse_checkpoint,
    parse_cosignature,
    parse_seal_line,
    sign_cosignature_ed25519,
    sign_cosignature_ml_dsa,
)
from ledger.ed25519 import is_ed25519_signature
from ledger.encoding import decode_base64, encode_base64, encode_u64
from ledger.errors import FormatError
from ledger.limits import SIZE_MAX
from ledger.merkle import EMPTY_ROOT, compute_root, leaf_hash
from ledger.ml_dsa import SIGNATURE_BYTES as ML_DSA_SIGNATURE_BYTES
from ledger.ml_dsa import is_ml_dsa_signature
from ledger.notes import (
    compute_verifier_key,
    encode_signature_line,
    encode_vkey,
    parse_note,
    parse_vkey,
    sign_note_ed25519,
)
from ledger.positions import Epoch, Height, Millis, Seconds, TreeSize, View

# Any: JSON of a known form, whose fields each test reads.
VECTORS: dict[str, Any] = json.loads((Path(__file__).parent.parent / "vectors" / "checkpoints.json").read_text("utf-8"))
NOTES: dict[str, Any] = json.loads((Path(__file__).parent.parent / "vectors" / "notes.json").read_text("utf-8"))
TESSERA = VECTORS["tessera"]
SIGSUM = VECTORS["sigsum"]
OURS = VECTORS["counterseal"]

ROOT = encode_base64(bytes(range(32)))
ORIGIN = "counterseal.example/2026"
CHECKPOINT = Checkpoint(ORIGIN, TreeSize(5), bytes(range(32)))
SEAL = SealLine(Epoch(1), View(9), Height(7), Millis(1_760_000_000_123), b"\x11" * 32, b"\x22" * 48)


def note_of(text: str, name: str, blob: str) -> bytes:
    return f"{text}\n\u2014 {name} {blob}\n".encode()


@pytest.mark.parametrize("vector", TESSERA["checkpoints"], ids=lambda vector: f"size {vector['size']}")
def test_checkpoints_of_tessera_are_read_verified_and_their_roots_computed(vector: dict[str, Any]) -> None:
    key = parse_vkey(TESSERA["vkey"])
    raw = note_of(f"{TESSERA['origin']}\n{vector['size']}\n{vector['root']}\n", key.name, vector["blob"])
    note = parse_note(raw)
    checkpoint = parse_checkpoint(note.text)
    leaves = [leaf_hash(word.encode()) for word in TESSERA["leaves"][: vector["size"]]]
    assert checkpoint == Checkpoint(TESSERA["origin"], TreeSize(len(leaves)), compute_root(leaves))
    assert encode_checkpoint(checkpoint) == note.text
    (line,) = note.signatures
    assert line.key_id == key.key_id
    assert is_ed25519_signature(key.public_key, line.signature, note.text.encode())


def test_the_checkpoint_of_sigsum_is_signed_again_byte_for_byte() -> None:
    signer = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(SIGSUM["secret"]))
    key = compute_verifier_key(SIGSUM["origin"], domains.NOTE_ED25519, bytes.fromhex(SIGSUM["public_key"]))
    assert key.key_id.hex() == SIGSUM["key_id"]
    root = decode_base64(SIGSUM["root"], field="root")
    text = encode_checkpoint(Checkpoint(SIGSUM["origin"], TreeSize(SIGSUM["size"]), root))
    line = sign_note_ed25519(text, key=key, sign=signer.sign)
    assert encode_base64(line.key_id + line.signature) == SIGSUM["blob"]


def test_the_first_version_of_the_sigsum_checkpoint_is_by_an_unknown_key() -> None:
    key = compute_verifier_key(SIGSUM["origin"], domains.NOTE_ED25519, bytes.fromhex(SIGSUM["public_key"]))
    wrong = decode_base64(SIGSUM["blob_with_wrong_key_id"], field="blob")
    right = decode_base64(SIGSUM["blob"], field="blob")
    assert wrong[4:] == right[4:]
    assert wrong[:4] != key.key_id == right[:4]


def our_checkpoint() -> Checkpoint:
    root = compute_root([leaf_hash(word.encode()) for word in OURS["leaves"]])
    assert encode_base64(root) == OURS["root"]
    return Checkpoint(OURS["origin"], TreeSize(len(OURS["leaves"])), root)


def seed(of: str) -> bytes:
    return hashlib.sha256(of.encode()).digest()


def test_the_log_line_is_the_one_that_go_verified() -> None:
    signer = Ed25519PrivateKey.from_private_bytes(seed(OURS["log"]["seed_of"]))
    key = compute_verifier_key(OURS["origin"], domains.NOTE_ED25519, signer.public_key().public_bytes_raw())
    assert encode_vkey(key) == OURS["log"]["vkey"]
    line = sign_note_ed25519(encode_checkpoint(our_checkpoint()), key=key, sign=signer.sign)
    assert encode_signature_line(line) == f"\u2014 {OURS['origin']} {OURS['log']['blob']}"


def test_the_ed25519_cosignature_is_the_one_that_go_verified() -> None:
    vector, time_s = OURS["ed25519"], Seconds(OURS["time_s"])
    signer = Ed25519PrivateKey.from_private_bytes(seed(vector["seed_of"]))
    public_key = signer.public_key().public_bytes_raw()
    key = compute_verifier_key(vector["seed_of"], domains.NOTE_COSIGNATURE_ED25519, public_key)
    assert encode_vkey(key) == vector["vkey"]
    message = compute_cosignature_message_ed25519(encode_checkpoint(our_checkpoint()), time_s)
    assert hashlib.sha256(message).hexdigest() == vector["message_sha256"]
    line = sign_cosignature_ed25519(our_checkpoint(), key=key, time_s=time_s, sign=signer.sign)
    assert encode_signature_line(line) == f"\u2014 {key.name} {vector['blob']}"


def test_the_ml_dsa_cosignature_signs_the_bytes_that_go_verified() -> None:
    vector, time_s = OURS["ml_dsa"], Seconds(OURS["time_s"])
    signer = MLDSA44PrivateKey.from_seed_bytes(seed(vector["seed_of"]))
    public_key = signer.public_key().public_bytes_raw()
    assert hashlib.sha256(public_key).hexdigest() == vector["public_key_sha256"]
    key = compute_verifier_key(OURS["ed25519"]["seed_of"], domains.NOTE_COSIGNATURE_ML_DSA_44, public_key)
    assert key.key_id.hex() == vector["key_id"]
    assert parse_vkey(encode_vkey(key)) == key
    message = compute_cosignature_message_ml_dsa(key.name, time_s, our_checkpoint())
    assert message.hex() == vector["message"]
    line = sign_cosignature_ml_dsa(our_checkpoint(), key=key, time_s=time_s, sign=signer.sign)
    cosignature = parse_cosignature(line.signature, signature_bytes=ML_DSA_SIGNATURE_BYTES)
    assert (line.key_id, cosignature.time_s) == (key.key_id, time_s)
    assert is_ml_dsa_signature(public_key, cosignature.signature, message)


def test_the_time_of_a_foreign_cosignature_is_read_big_endian() -> None:
    vector = NOTES["cosignature_time"]
    blob = decode_base64(vector["blob"], field="blob")
    assert parse_cosignature(blob[4:], signature_bytes=64).time_s == vector["time_s"]
    with pytest.raises(FormatError):
        parse_cosignature(decode_base64(vector["wrong_type_blob"], field="blob")[4:], signature_bytes=64)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        f"{ORIGIN}\n5\n{ROOT}",
        f"{ORIGIN}\n5\n{ROOT}\nextension\n",
        f"{ORIGIN}\n5\n{ROOT}\n\n",
        f"\n5\n{ROOT}\n",
        f"{ORIGIN}\n\n{ROOT}\n",
        f"{ORIGIN}\n05\n{ROOT}\n",
        f"{ORIGIN}\n+5\n{ROOT}\n",
        f"{ORIGIN}\n-5\n{ROOT}\n",
        f"{ORIGIN}\n 5\n{ROOT}\n",
        f"{ORIGIN}\n5_0\n{ROOT}\n",
        f"{ORIGIN}\n5.0\n{ROOT}\n",
        f"{ORIGIN}\n0x5\n{ROOT}\n",
        f"{ORIGIN}\n\u0665\n{ROOT}\n",
        f"{ORIGIN}\n{SIZE_MAX + 1}\n{ROOT}\n",
        f"{ORIGIN}\n{'9' * 5000}\n{ROOT}\n",
        f"{ORIGIN}\r\n5\r\n{ROOT}\r\n",
        f"{ORIGIN} \n5\n{ROOT}\n",
        f"counter seal\n5\n{ROOT}\n",
        f"counter+seal\n5\n{ROOT}\n",
        f"{'x' * 256}\n5\n{ROOT}\n",
        f"cosignature/v1\n5\n{ROOT}\n",
        f"subtree/v1\n5\n{ROOT}\n",
        f"counterseal/seal/v1\n5\n{ROOT}\n",
        f"{ORIGIN}\n5\n{ROOT[:-1]}\n",
        f"{ORIGIN}\n5\n{ROOT[:-2]}9=\n",
        f"{ORIGIN}\n5\n{encode_base64(bytes(31))}\n",
        f"{ORIGIN}\n5\n{encode_base64(bytes(33))}\n",
        f"{ORIGIN}\n0\n{ROOT}\n",
    ],
)
def test_texts_of_another_form_are_refused(text: str) -> None:
    with pytest.raises(FormatError) as caught:
        parse_checkpoint(text)
    assert caught.value.field.startswith("checkpoint")


@pytest.mark.parametrize("size", [0, 1, SIZE_MAX])
def test_sizes_up_to_the_largest_are_read_and_written(size: int) -> None:
    checkpoint = Checkpoint(ORIGIN, TreeSize(size), EMPTY_ROOT)
    assert parse_checkpoint(encode_checkpoint(checkpoint)) == checkpoint


@pytest.mark.parametrize(
    "checkpoint",
    [
        Checkpoint("", TreeSize(5), bytes(32)),
        Checkpoint("a\nb", TreeSize(5), bytes(32)),
        Checkpoint("subtree/x", TreeSize(5), bytes(32)),
        Checkpoint(ORIGIN, TreeSize(-1), bytes(32)),
        Checkpoint(ORIGIN, TreeSize(SIZE_MAX + 1), bytes(32)),
        Checkpoint(ORIGIN, TreeSize(5), bytes(31)),
        Checkpoint(ORIGIN, TreeSize(0), bytes(32)),
    ],
)
def test_checkpoints_that_could_not_be_read_again_are_not_written(checkpoint: Checkpoint) -> None:
    with pytest.raises(FormatError):
        encode_checkpoint(checkpoint)


def test_the_seal_message_is_this_text() -> None:
    message = compute_seal_message(
        CHECKPOINT,
        epoch=SEAL.epoch,
        view=SEAL.view,
        height=SEAL.height,
        time_ms=SEAL.time_ms,
        block_digest=SEAL.block_digest,
    )
    assert message.decode() == (
        "counterseal/seal/v1\n"
        "epoch 1\n"
        "view 9\n"
        "height 7\n"
        "time 1760000000123\n"
        "block ERERERERERERERERERERERERERERERERERERERERERE=\n"
        "counterseal.example/2026\n"
        "5\n"
        "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n"
    )


def test_the_seal_line_is_these_bytes() -> None:
    raw = encode_seal_line(SEAL)
    assert raw.hex() == ("00000000000000010000000000000009000000000000000700000199c82cc07b" + "11" * 32 + "22" * 48)
    assert parse_seal_line(raw) == SEAL


def test_a_seal_signature_stands_under_the_origin_and_the_group_key() -> None:
    key = compute_verifier_key(ORIGIN, domains.NOTE_SEAL, b"\x33" * 96)
    line = make_seal_signature(SEAL, key=key)
    identified = ORIGIN.encode() + b"\n" + b"\xffcounterseal/seal/v1" + b"\x33" * 96
    assert (line.name, line.key_id) == (ORIGIN, hashlib.sha256(identified).digest()[:4])
    assert parse_seal_line(line.signature) == SEAL


@pytest.mark.parametrize("at", range(4))
def test_seal_lines_with_a_number_out_of_range_are_refused(at: int) -> None:
    raw = encode_seal_line(SEAL)
    number = encode_u64(SIZE_MAX + 1)
    with pytest.raises(FormatError) as caught:
        parse_seal_line(raw[: 8 * at] + number + raw[8 * (at + 1) :])
    assert caught.value.field == f"seal.{('epoch', 'view', 'height', 'time_ms')[at]}"


def test_seal_lines_of_epoch_zero_or_another_length_are_refused() -> None:
    raw = encode_seal_line(SEAL)
    for wrong in (bytes(8) + raw[8:], raw[:-1], raw + b"\0", b""):
        with pytest.raises(FormatError):
            parse_seal_line(wrong)


def test_cosignatures_of_another_length_or_time_are_refused() -> None:
    raw = encode_cosignature(Seconds(SIZE_MAX), bytes(64))
    assert parse_cosignature(raw, signature_bytes=64).time_s == SIZE_MAX
    for wrong in (raw[:-1], raw + b"\0", b"", b"\x80" + raw[1:]):
        with pytest.raises(FormatError):
            parse_cosignature(wrong, signature_bytes=64)
