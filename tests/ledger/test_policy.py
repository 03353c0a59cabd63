"""Which signatures make a checkpoint believed: only true ones, enough of them, of this ledger."""

import hashlib
from dataclasses import replace

import pytest

from ledger import domains, policy
from ledger.checkpoints import SealLine, encode_checkpoint, encode_seal_line, parse_seal_line
from ledger.errors import FormatError, LedgerError, PolicyError, SignatureError
from ledger.limits import MEMBERS_MAX
from ledger.notes import Note, SignatureLine, compute_verifier_key, encode_note, parse_note, parse_vkey
from ledger.policy import Cosigner, LedgerKeys, encode_policy
from ledger.positions import Epoch, Height, Millis, Seconds, View
from ledger.threshold import bls
from ledger.threshold.polynomials import SecretScalar
from tests.ledger.sealing import BLOCK, SmallLedger, TestMember

LEDGER = SmallLedger()
KEYS = LEDGER.keys
CHECKPOINT = LEDGER.checkpoint()
A, B, C, D = LEDGER.members
STRANGER = TestMember("stranger.example")
NAMES = tuple(member.name for member in LEDGER.members)


def test_a_sealed_checkpoint_is_believed() -> None:
    verified = policy.verify(LEDGER.note(), KEYS)
    assert verified.checkpoint == CHECKPOINT
    assert (verified.seal.height, verified.seal.time_ms, verified.seal.block_digest) == (7, 1_759_999_999_000, BLOCK)
    assert (verified.cosigners, verified.cosigners_ml_dsa) == ((), ())


def test_cosigners_are_counted_once_each_whatever_their_keys_and_named_in_charter_order() -> None:
    note = LEDGER.cosigned_note()
    backwards = Note(note.text, note.signatures[::-1])
    for each in (note, backwards):
        verified = policy.verify(each, KEYS, cosignatures_min=3)
        assert verified.cosigners == NAMES[:3]
        assert verified.cosigners_ml_dsa == NAMES[1:3]
        with pytest.raises(PolicyError) as caught:
            policy.verify(each, KEYS, cosignatures_min=4)
        assert caught.value.field == "note.signatures"


def test_a_reader_without_the_ml_dsa_keys_ignores_those_lines() -> None:
    keys = replace(KEYS, cosigners=tuple(replace(cosigner, ml_dsa=None) for cosigner in KEYS.cosigners))
    verified = policy.verify(LEDGER.cosigned_note(), keys)
    assert (verified.cosigners, verified.cosigners_ml_dsa) == (NAMES[:2], ())


def test_without_a_seal_nothing_else_is_enough() -> None:
    lines = tuple(member.cosign(CHECKPOINT) for member in LEDGER.members)
    with pytest.raises(PolicyError) as caught:
        policy.verify(Note(encode_checkpoint(CHECKPOINT), (A.sign_log(CHECKPOINT), *lines)), KEYS)
    assert (caught.value.field, caught.value.found) == ("note.signatures", "no seal line")


def test_lines_of_strangers_are_ignored_whatever_they_say() -> None:
    empty = SignatureLine(STRANGER.name, bytes(4), b"?")
    verified = policy.verify(LEDGER.note(STRANGER.cosign(CHECKPOINT), STRANGER.sign_log(CHECKPOINT), empty), KEYS)
    assert verified.cosigners == ()


def test_a_known_key_under_another_name_and_a_known_name_with_another_key_are_strangers() -> None:
    line = A.cosign(CHECKPOINT)
    renamed = replace(line, name=STRANGER.name)
    other_id = replace(line, key_id=bytes(4))
    assert policy.verify(LEDGER.note(renamed, other_id), KEYS).cosigners == ()


def test_a_member_cannot_lend_its_key_id_to_a_strangers_signature() -> None:
    forged = replace(STRANGER.cosign(CHECKPOINT), name=A.name, key_id=A.cosign(CHECKPOINT).key_id)
    with pytest.raises(SignatureError):
        policy.verify(LEDGER.note(forged), KEYS)


@pytest.mark.parametrize("at", range(6))
def test_one_known_line_that_is_false_condemns_the_whole_note(at: int) -> None:
    note = LEDGER.cosigned_note()
    lines = list(note.signatures)
    changed = bytearray(lines[at].signature)
    changed[-1] ^= 1
    lines[at] = replace(lines[at], signature=bytes(changed))
    with pytest.raises(LedgerError):
        policy.verify(Note(note.text, tuple(lines)), KEYS)


@pytest.mark.parametrize("at", range(6))
def test_a_known_line_of_the_wrong_length_condemns_the_whole_note(at: int) -> None:
    note = LEDGER.cosigned_note()
    raw = note.signatures[at].signature
    for wrong in (raw[:-1], raw + b"\0", b"\0" + raw, raw[:1]):
        lines = list(note.signatures)
        lines[at] = replace(lines[at], signature=wrong)
        with pytest.raises((FormatError, SignatureError)):
            policy.verify(Note(note.text, tuple(lines)), KEYS)


@pytest.mark.parametrize("at", range(6))
def test_lines_over_another_checkpoint_of_the_same_ledger_are_refused(at: int) -> None:
    other = replace(LEDGER, entries=(b"another", b"history", b"of", b"equal", b"size")).cosigned_note()
    lines = list(LEDGER.cosigned_note().signatures)
    lines[at] = other.signatures[at]
    with pytest.raises(SignatureError):
        policy.verify(Note(encode_checkpoint(CHECKPOINT), tuple(lines)), KEYS)


def test_two_different_lines_by_one_key_are_refused() -> None:
    later = A.cosign(CHECKPOINT, Seconds(1_760_000_001))
    for lines in ((A.cosign(CHECKPOINT), later), (LEDGER.seal(CHECKPOINT, height=Height(8)),)):
        with pytest.raises(PolicyError) as caught:
            policy.verify(LEDGER.note(*lines), KEYS)
        assert caught.value.found == "two lines by one key"


def test_the_time_of_a_cosignature_is_signed() -> None:
    line = A.cosign(CHECKPOINT)
    moved = replace(line, signature=(1_760_000_001).to_bytes(8, "big") + line.signature[8:])
    with pytest.raises(SignatureError):
        policy.verify(LEDGER.note(moved), KEYS)


@pytest.mark.parametrize(
    "change",
    [
        {"epoch": Epoch(2)},
        {"view": View(10)},
        {"height": Height(8)},
        {"time_ms": Millis(1)},
        {"block_digest": bytes(32)},
    ],
)
def test_everything_in_the_seal_line_is_sealed(change: dict[str, object]) -> None:
    line = LEDGER.seal(CHECKPOINT)
    seal = parse_seal_line(line.signature)
    values = {name: getattr(seal, name) for name in SealLine.__dataclass_fields__} | change
    moved = replace(line, signature=encode_seal_line(SealLine(**values)))
    with pytest.raises(SignatureError) as caught:
        policy.verify(Note(encode_checkpoint(CHECKPOINT), (moved,)), KEYS)
    assert caught.value.field == "seal"


def test_a_checkpoint_of_another_ledger_is_refused_however_well_sealed() -> None:
    other = replace(LEDGER, origin="counterseal.example/2027")
    with pytest.raises(PolicyError) as caught:
        policy.verify(other.note(), KEYS)
    assert caught.value.field == "checkpoint.origin"


def test_the_seal_of_another_group_under_our_origin_is_no_seal() -> None:
    other = replace(LEDGER, secret=SecretScalar(5))
    with pytest.raises(PolicyError):
        policy.verify(other.note(), KEYS)


def test_the_identity_is_no_seal() -> None:
    line = LEDGER.seal(CHECKPOINT)
    for infinity in (b"\xc0" + bytes(47), b"\xe0" + bytes(47), bytes(48), b"\xff" * 48):
        note = Note(encode_checkpoint(CHECKPOINT), (replace(line, signature=line.signature[:-48] + infinity),))
        with pytest.raises(FormatError):
            policy.verify(note, KEYS)


def test_a_text_that_is_no_checkpoint_is_refused_even_if_every_line_is_true() -> None:
    text = encode_checkpoint(CHECKPOINT) + "extension\n"
    key = compute_verifier_key(LEDGER.origin, domains.NOTE_ED25519, A.log.public_key().public_bytes_raw())
    with pytest.raises(FormatError):
        policy.verify(Note(text, (SignatureLine(key.name, key.key_id, A.log.sign(text.encode())),)), KEYS)


def test_a_vote_share_of_one_member_is_no_seal() -> None:
    line = LEDGER.seal(CHECKPOINT)
    share = bls.sign_share(SecretScalar(77), b"counterseal/seal/v1\n")
    note = Note(encode_checkpoint(CHECKPOINT), (replace(line, signature=line.signature[:-48] + share),))
    with pytest.raises(SignatureError):
        policy.verify(note, KEYS)


def with_cosigner(**change: object) -> LedgerKeys:
    first = KEYS.cosigners[0]
    values: dict[str, object] = {"name": first.name, "ed25519": first.ed25519, "ml_dsa": first.ml_dsa}
    cosigner = Cosigner(**(values | change))  # type: ignore[arg-type]  # each test gives one wrong value
    return replace(KEYS, cosigners=(cosigner, *KEYS.cosigners[1:]))


@pytest.mark.parametrize(
    "make",
    [
        lambda: replace(KEYS, origin="subtree/v1"),
        lambda: replace(KEYS, origin="two words"),
        lambda: replace(KEYS, group_key=KEYS.group_key[:-1]),
        lambda: replace(KEYS, group_key=b"\xc0" + bytes(95)),
        lambda: replace(KEYS, quorum=0),
        lambda: replace(KEYS, quorum=5),
        lambda: replace(KEYS, cosigners=(), quorum=1),
        lambda: replace(KEYS, cosigners=KEYS.cosigners * (MEMBERS_MAX // 4 + 1)),
        lambda: replace(KEYS, log_keys=(b"\x01" + bytes(31),)),
        lambda: replace(KEYS, log_keys=(KEYS.log_keys[0], KEYS.log_keys[0])),
        lambda: replace(KEYS, log_keys=(KEYS.cosigners[0].ed25519,)),
        lambda: with_cosigner(name=KEYS.cosigners[1].name),
        lambda: with_cosigner(name="two words"),
        lambda: with_cosigner(ed25519=KEYS.cosigners[1].ed25519),
        lambda: with_cosigner(ed25519=bytes(32)),
        lambda: with_cosigner(ml_dsa=KEYS.cosigners[1].ml_dsa),
        lambda: with_cosigner(ml_dsa=bytes(1311)),
    ],
)
def test_keys_that_are_weak_malformed_or_used_twice_are_refused_when_configured(make: object) -> None:
    assert callable(make)
    with pytest.raises(FormatError):
        make()


def test_two_keys_with_one_name_and_key_id_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def collide(name: str, type_bytes: bytes, public_key: bytes) -> bytes:  # 32 bits can be ground; a test need not
        return hashlib.sha256(name.encode()).digest()[:4]

    monkeypatch.setattr("ledger.notes.compute_key_id", collide)
    with pytest.raises(FormatError) as caught:
        replace(KEYS, quorum=3)
    assert caught.value.found == "two keys under one name and key ID"


def test_the_policy_file_names_logs_witnesses_and_the_quorum() -> None:
    lines = encode_policy(KEYS, url="https://counterseal.example/2026").splitlines()
    logs = [line.split(" ") for line in lines[:4]]
    witnesses = [line.split(" ") for line in lines[4:8]]
    assert [(word, url) for word, _, url in logs] == [("log", "https://counterseal.example/2026")] * 4
    assert tuple(parse_vkey(vkey).public_key for _, vkey, _ in logs) == KEYS.log_keys
    assert {parse_vkey(vkey).name for _, vkey, _ in logs} == {KEYS.origin}
    for (word, name, vkey), cosigner in zip(witnesses, KEYS.cosigners, strict=True):
        key = parse_vkey(vkey)
        assert (word, name, key.name, key.public_key) == ("witness", cosigner.name, cosigner.name, cosigner.ed25519)
        assert key.type_bytes == domains.NOTE_COSIGNATURE_ED25519
    assert lines[8:] == [f"group nations 3 {' '.join(NAMES)}", "quorum nations"]


def test_a_policy_file_without_an_address_has_none() -> None:
    assert all(len(line.split(" ")) == 2 for line in encode_policy(KEYS).splitlines() if line.startswith("log "))


@pytest.mark.parametrize("url", ["", "two words", "https://example/\n", "https://b\u00fccher.example"])
def test_a_policy_file_takes_no_address_that_would_break_its_lines(url: str) -> None:
    with pytest.raises(FormatError) as caught:
        encode_policy(KEYS, url=url)
    assert caught.value.field == "policy.url"


@pytest.mark.parametrize("name", ["nations", "none", "any", "all"])
def test_a_policy_file_takes_no_member_whose_name_is_a_word_of_its_form(name: str) -> None:
    with pytest.raises(FormatError) as caught:
        encode_policy(with_cosigner(name=name))
    assert caught.value.field == "policy.witness"


def test_a_note_survives_writing_and_reading() -> None:
    note = LEDGER.cosigned_note()
    assert policy.verify(parse_note(encode_note(note)), KEYS) == policy.verify(note, KEYS)
    assert D.name not in policy.verify(note, KEYS).cosigners
    assert C.name in policy.verify(note, KEYS).cosigners
    assert B.name in policy.verify(note, KEYS).cosigners_ml_dsa
