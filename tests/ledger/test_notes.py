"""Signed notes: what others wrote is read, one spelling only, and nothing of another form."""

import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ledger import domains
from ledger.ed25519 import is_ed25519_signature
from ledger.encoding import decode_base64
from ledger.errors import FormatError
from ledger.limits import NOTE_BYTES_MAX, NOTE_LINES_MAX
from ledger.notes import (
    Note,
    SignatureLine,
    compute_verifier_key,
    encode_note,
    encode_signature_line,
    encode_vkey,
    parse_note,
    parse_signature_line,
    parse_vkey,
    sign_note_ed25519,
)

# Any: JSON of a known form, whose fields each test reads.
VECTORS: dict[str, Any] = json.loads((Path(__file__).parent.parent / "vectors" / "notes.json").read_text("utf-8"))
PETER: dict[str, str] = VECTORS["notes"][1]
ENOCH: dict[str, str] = VECTORS["notes"][2]
PETER_LINE = f"\u2014 PeterNeumann {PETER['blob']}\n"
ENOCH_LINE = f"\u2014 EnochRoot {ENOCH['blob']}\n"
TEXT = PETER["text"]


@pytest.mark.parametrize("vector", VECTORS["notes"], ids=lambda vector: vector["source"])
def test_notes_of_others_verify(vector: dict[str, str]) -> None:
    key = parse_vkey(vector["vkey"])
    raw = f"{vector['text']}\n\u2014 {key.name} {vector['blob']}\n".encode()
    note = parse_note(raw)
    (line,) = note.signatures
    assert (note.text, line.name, line.key_id) == (vector["text"], key.name, key.key_id)
    assert is_ed25519_signature(key.public_key, line.signature, note.text.encode())
    assert encode_note(note) == raw


def test_signing_gives_the_line_of_the_go_documentation() -> None:
    key = parse_vkey(PETER["vkey"])
    secret = decode_base64(PETER["secret"].split("+", 4)[4], field="secret")
    assert secret[:1] == domains.NOTE_ED25519
    signer = Ed25519PrivateKey.from_private_bytes(secret[1:])
    line = sign_note_ed25519(TEXT, key=key, sign=signer.sign)
    assert encode_signature_line(line) + "\n" == PETER_LINE


@pytest.mark.parametrize("vector", VECTORS["vkeys_valid"], ids=lambda vector: vector["vkey"][:20])
def test_verifier_keys_of_others_are_read_and_written_again(vector: dict[str, str]) -> None:
    key = parse_vkey(vector["vkey"])
    assert key.type_bytes.hex() == vector["type"]
    assert encode_vkey(key) == vector["vkey"]


@pytest.mark.parametrize("vector", VECTORS["vkeys_refused"], ids=lambda vector: vector["why"])
def test_verifier_keys_that_others_refuse_are_refused(vector: dict[str, str]) -> None:
    with pytest.raises(FormatError) as caught:
        parse_vkey(vector["vkey"])
    assert caught.value.field.startswith("vkey")


def test_every_substring_of_a_verifier_key_is_refused() -> None:
    vkey = PETER["vkey"]
    for start in range(len(vkey)):
        for end in range(start + 1, len(vkey) + 1):
            if (start, end) != (0, len(vkey)):
                with pytest.raises(FormatError):
                    parse_vkey(vkey[start:end])


@pytest.mark.parametrize("vector", [PETER, *VECTORS["vkeys_valid"]], ids=lambda vector: vector["vkey"][:20])
def test_every_change_of_a_character_of_a_verifier_key_is_refused(vector: dict[str, str]) -> None:
    vkey = vector["vkey"]
    for at, character in enumerate(vkey):
        for other in {chr(ord(character) + 1), chr(ord(character) ^ 0x20), "+", "A", "\n"} - {character}:
            with pytest.raises(FormatError):
                parse_vkey(vkey[:at] + other + vkey[at + 1 :])


def test_a_verifier_key_longer_than_any_is_refused_before_it_is_decoded() -> None:
    with pytest.raises(FormatError) as caught:
        parse_vkey("x" * 255 + "+00000000+" + "A" * 1757)
    assert caught.value.field == "vkey"


@pytest.mark.parametrize("type_bytes", [b"", b"\x00", b"\x02", b"\x03", b"\x05", b"\xff", b"\xffother", b"\x01\x01"])
def test_keys_of_types_this_ledger_does_not_know_are_refused(type_bytes: bytes) -> None:
    with pytest.raises(FormatError) as caught:
        compute_verifier_key("name", type_bytes, bytes(32))
    assert caught.value.field == "vkey.type"


def test_a_weak_key_is_refused_when_it_is_configured() -> None:
    with pytest.raises(FormatError) as caught:
        compute_verifier_key("name", domains.NOTE_ED25519, b"\x01" + bytes(31))
    assert caught.value.field == "vkey.key"


def test_a_seal_key_carries_its_whole_type_and_is_read_again() -> None:
    key = compute_verifier_key("counterseal.example/2026", domains.NOTE_SEAL, bytes(range(96)))
    text = encode_vkey(key)
    assert decode_base64(text.split("+", 2)[2], field="key") == domains.NOTE_SEAL + bytes(range(96))
    assert parse_vkey(text) == key


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        TEXT.encode(),
        f"{TEXT}\n".encode(),
        f"{TEXT}\n{PETER_LINE[:-1]}".encode(),
        f"\x01{TEXT}\n{PETER_LINE}".encode(),
        b"\xff" + f"{TEXT}\n{PETER_LINE}".encode(),
        f"{TEXT}\n\u2014 Bad Name {PETER['blob']}\n".encode(),
        f"{TEXT}\n{PETER_LINE}Unexpected line.\n".encode(),
        f"{TEXT}\n{PETER_LINE}\n".encode(),
        f"{TEXT}\n{PETER_LINE}".replace("\n", "\r\n").encode(),
        f"{TEXT}\n{PETER_LINE}".encode("utf-16"),
        f"{TEXT}\n- PeterNeumann {PETER['blob']}\n".encode(),
        f"{TEXT}\n\u2014 PeterNeumann\n".encode(),
        f"{TEXT}\n\u2014  PeterNeumann {PETER['blob']}\n".encode(),
        f"{TEXT}\n\u2014 PeterNeumann  {PETER['blob']}\n".encode(),
        f"{TEXT}\n\u2014 PeterNeumann {PETER['blob']} \n".encode(),
        f"{TEXT}\n\u2014 Peter+Neumann {PETER['blob']}\n".encode(),
        f"{TEXT}\n\u2014 Peter\u00a0Neumann {PETER['blob']}\n".encode(),
        f"{TEXT}\n\u2014 Peter\x7f {PETER['blob']}\n".encode(),
        f"{TEXT}\n\u2014 {'x' * 256} {PETER['blob']}\n".encode(),
        f"{TEXT}\n\u2014  {PETER['blob']}\n".encode(),
        f"{TEXT}\n\u2014 PeterNeumann x08goA==\n".encode()[:-2] + b"=\n",
        f"{TEXT}\n\u2014 PeterNeumann x08gow==\n".encode(),  # a key ID and no signature
        f"{TEXT}\n\u2014 PeterNeumann x08go/Z=\n".encode(),  # bits after the last byte
        f"{TEXT}\n\u2014 PeterNeumann x08go_ZJ\n".encode(),  # the other alphabet
        f"{TEXT}\n{PETER_LINE}{ENOCH_LINE}{PETER_LINE}".encode(),
    ],
)
def test_notes_of_another_form_are_refused(raw: bytes) -> None:
    with pytest.raises(FormatError) as caught:
        parse_note(raw)
    assert caught.value.field.startswith("note")


def test_a_text_may_hold_empty_lines_and_ends_at_the_last() -> None:
    note = parse_note(f"one\n\ntwo\n\n{PETER_LINE}".encode())
    assert note.text == "one\n\ntwo\n"


def test_a_note_may_have_1024_lines_and_not_one_more() -> None:
    lines = [f"\u2014 name{number} AAAAAAA=\n" for number in range(NOTE_LINES_MAX + 1)]
    assert len(parse_note(f"text\n\n{''.join(lines[1:])}".encode()).signatures) == NOTE_LINES_MAX
    with pytest.raises(FormatError) as caught:
        parse_note(f"text\n\n{''.join(lines)}".encode())
    assert caught.value.field == "note.signatures"


def test_a_note_above_a_mebibyte_is_refused_before_it_is_read() -> None:
    raw = f"\n{PETER_LINE}".encode()
    padding = NOTE_BYTES_MAX - len(raw)
    assert parse_note(b"x" * (padding - 1) + b"\n" + raw).signatures
    with pytest.raises(FormatError, match="at most"):
        parse_note(b"\xff" * (NOTE_BYTES_MAX + 1))


@pytest.mark.parametrize(
    "note",
    [
        Note("no newline", (SignatureLine("n", bytes(4), b"s"),)),
        Note("", (SignatureLine("n", bytes(4), b"s"),)),
        Note("text\n", ()),
        Note("text\r\n", (SignatureLine("n", bytes(4), b"s"),)),
        Note("\ud800\n", (SignatureLine("n", bytes(4), b"s"),)),
        Note("text\n", (SignatureLine("n", bytes(3), b"s"),)),
        Note("text\n", (SignatureLine("n", bytes(3), b"ss"),)),
        Note("text\n", (SignatureLine("n m", bytes(4), b"s"),)),
        Note("text\n", (SignatureLine("n\ud800", bytes(4), b"s"),)),
        Note("text\n", (SignatureLine("n", bytes(4), b"s"), SignatureLine("n", bytes(4), b"s"))),
    ],
)
def test_notes_that_could_not_be_read_again_are_not_written(note: Note) -> None:
    with pytest.raises(FormatError):
        encode_note(note)


def test_a_signature_line_is_read_and_written_alone() -> None:
    line = parse_signature_line(PETER_LINE[:-1])
    assert encode_signature_line(line) + "\n" == PETER_LINE
    with pytest.raises(FormatError):
        parse_signature_line(PETER_LINE)
