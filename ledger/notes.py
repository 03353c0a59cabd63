"""Signed notes: a text, an empty line, signature lines; and the keys that make and check such lines.

    If you think cryptography is the answer to your problem,
    then you don't know what your problem is.

    — PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=

The text ends in a newline and is parted from the signatures by the *last* empty line. What a line signs depends on the
type of its key; the key ID in front of the signature is a hint of 32 bits and never decides anything.

Invariant: a note has one spelling, `encode_note(parse_note(raw)) == raw`. Stricter than the specification: no line
occurs twice, and names are at most 255 bytes without control characters.
Nothing here believes a signature; that is `ledger.policy`.
Source: C2SP signed-note; types of keys also C2SP tlog-cosignature and, for the seal, our own `domains.NOTE_SEAL`.
"""

import hashlib
import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from ledger import domains, ed25519, ml_dsa
from ledger.encoding import decode_base64, decode_hex, encode_base64
from ledger.errors import FormatError
from ledger.limits import GROUP_KEY_BYTES, KEY_NAME_BYTES_MAX, NOTE_BYTES_MAX, NOTE_LINES_MAX

Signer = Callable[[bytes], bytes]
"""Makes a signature over a message, with a key that only its owner sees."""

KEY_ID_BYTES: Final = 4

_EM_DASH: Final = "\u2014"
_CONTROL: Final = re.compile(r"[\x00-\x09\x0b-\x1f]")
_KEY_BYTES: Final = {
    domains.NOTE_ED25519: ed25519.PUBLIC_KEY_BYTES,
    domains.NOTE_COSIGNATURE_ED25519: ed25519.PUBLIC_KEY_BYTES,
    domains.NOTE_COSIGNATURE_ML_DSA_44: ml_dsa.PUBLIC_KEY_BYTES,
    domains.NOTE_SEAL: GROUP_KEY_BYTES,
}
_VKEY_CHARACTERS_MAX: Final = KEY_NAME_BYTES_MAX + 10 + 4 * ((1 + ml_dsa.PUBLIC_KEY_BYTES + 2) // 3)


@dataclass(frozen=True, slots=True)
class SignatureLine:
    """One line under a note, as it was read: nobody has verified it yet.

    Attributes:
        name: who claims to have signed.
        key_id: which of that name's keys, as a hint.
        signature: what follows the key ID; its form depends on the type of the key.
    """

    name: str
    key_id: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class Note:
    """A text, newline at its end included, and at least one signature line; nobody has verified any yet."""

    text: str
    signatures: tuple[SignatureLine, ...]


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """A public key under a name; made by `compute_verifier_key` or `parse_vkey`, which check it."""

    name: str
    key_id: bytes
    type_bytes: bytes
    public_key: bytes


def parse_note(raw: bytes) -> Note:
    """Read a note from bytes of a stranger.

    Raises:
        FormatError: `note`: too long, not UTF-8, a control character, or no signatures; `note.signatures`: not ended,
            too many, or one twice; `note.signature.*`: a line that is not of the form.
    """
    if len(raw) > NOTE_BYTES_MAX:
        raise FormatError(field="note", found=f"{len(raw)} bytes", expected=f"at most {NOTE_BYTES_MAX} bytes")
    try:
        whole = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise FormatError(field="note", found=f"byte {error.start}: {error.reason}", expected="UTF-8") from None
    if control := _CONTROL.search(whole):
        raise FormatError(field="note", found=control[0], expected="no control character but newlines")
    end = whole.rfind("\n\n")
    if end < 0:
        raise FormatError(field="note", found=whole, expected="a text, an empty line and signatures")
    return Note(text=whole[: end + 1], signatures=_parse_signatures(whole[end + 2 :]))


def encode_note(note: Note) -> bytes:
    """Write a note in its one spelling.

    Raises:
        FormatError: the note has none; as `parse_note`, or the text does not end in a newline.
    """
    lines = "".join(encode_signature_line(line) + "\n" for line in note.signatures)
    raw = f"{note.text}\n{lines}".encode("utf-8", "surrogatepass")  # parsing refuses surrogates, with a field
    if parse_note(raw) != note:
        raise FormatError(
            field="note", found=note.text, expected="a text that ends in a newline, and key IDs of 4 bytes"
        )
    return raw


def parse_signature_line(line: str) -> SignatureLine:
    """Read one signature line, without its newline.

    Raises:
        FormatError: `note.signature`: no em dash, name and blob; `note.signature.name`; `note.signature.blob`: not
            canonical base64, or shorter than a key ID and one byte.
    """
    dash, _, rest = line.partition(" ")
    name, space, blob = rest.partition(" ")
    if dash != _EM_DASH or not space:
        raise FormatError(field="note.signature", found=line, expected="em dash, space, key name, space, base64")
    require_key_name(name, field="note.signature.name")
    raw = decode_base64(blob, field="note.signature.blob", size_max=NOTE_BYTES_MAX)
    if len(raw) <= KEY_ID_BYTES:
        raise FormatError(field="note.signature.blob", found=blob, expected="a key ID and a signature")
    return SignatureLine(name=name, key_id=raw[:KEY_ID_BYTES], signature=raw[KEY_ID_BYTES:])


def encode_signature_line(line: SignatureLine) -> str:
    """Write one signature line, without its newline."""
    return f"{_EM_DASH} {line.name} {encode_base64(line.key_id + line.signature)}"


def require_key_name(name: str, *, field: str) -> str:
    """Return `name` if a key may have it: 1 to 255 bytes of UTF-8 without white space, `+` or control characters.

    Raises:
        FormatError: `field`: it may not.
    """
    try:
        size = len(name.encode("utf-8"))
    except UnicodeEncodeError:
        raise FormatError(field=field, found=name, expected="a name that UTF-8 can write") from None
    if not 0 < size <= KEY_NAME_BYTES_MAX:
        raise FormatError(field=field, found=f"{size} bytes", expected=f"a name of 1 to {KEY_NAME_BYTES_MAX} bytes")
    if any(character == "+" or character.isspace() or unicodedata.category(character) == "Cc" for character in name):
        raise FormatError(field=field, found=name, expected="a name without white space, `+` or control characters")
    return name


def compute_key_id(name: str, type_bytes: bytes, public_key: bytes) -> bytes:
    """First four bytes of SHA-256 over name, newline, type and key."""
    return hashlib.sha256(name.encode("utf-8") + b"\n" + type_bytes + public_key).digest()[:KEY_ID_BYTES]


def compute_verifier_key(name: str, type_bytes: bytes, public_key: bytes) -> VerifierKey:
    """Put a public key under a name.

    A seal key is checked for its length alone: whether it is a point is for `ledger.threshold.bls` to say.

    Args:
        name: who signs with it.
        type_bytes: one of the `NOTE_*` of `ledger.domains`.
        public_key: as many bytes as the type demands.

    Raises:
        FormatError: `vkey.name`, `vkey.type`, or `vkey.key`: of the wrong length or a weak Ed25519 key.
    """
    require_key_name(name, field="vkey.name")
    size = _KEY_BYTES.get(type_bytes)
    if size is None:
        raise FormatError(field="vkey.type", found=type_bytes.hex(), expected="a type of key that this ledger knows")
    if len(public_key) != size:
        raise FormatError(field="vkey.key", found=f"{len(public_key)} bytes", expected=f"{size} bytes")
    if size == ed25519.PUBLIC_KEY_BYTES:
        ed25519.require_strong_public_key(public_key, "vkey.key")
    key_id = compute_key_id(name, type_bytes, public_key)
    return VerifierKey(name=name, key_id=key_id, type_bytes=type_bytes, public_key=public_key)


def parse_vkey(text: str) -> VerifierKey:
    """Read a verifier key, `<name>+<hex key ID>+<base64(type || public key)>`.

    Raises:
        FormatError: `vkey`: not three parts, or too long; `vkey.id`: not that of name and key; else as
            `compute_verifier_key`.
    """
    if len(text) > _VKEY_CHARACTERS_MAX:
        raise FormatError(field="vkey", found=f"{len(text)} characters", expected=f"at most {_VKEY_CHARACTERS_MAX}")
    name, plus, rest = text.partition("+")
    id_text, second_plus, blob = rest.partition("+")  # base64 may hold more of them
    if not plus or not second_plus:
        raise FormatError(field="vkey", found=text, expected="<name>+<key ID>+<base64>")
    raw = decode_base64(blob, field="vkey.key")
    type_bytes = next((known for known in _KEY_BYTES if raw.startswith(known)), raw[:1])
    key = compute_verifier_key(name, type_bytes, raw[len(type_bytes) :])
    if decode_hex(id_text, field="vkey.id", size=KEY_ID_BYTES) != key.key_id:
        raise FormatError(field="vkey.id", found=id_text, expected=key.key_id.hex())
    return key


def encode_vkey(key: VerifierKey) -> str:
    """Write a verifier key as text."""
    return f"{key.name}+{key.key_id.hex()}+{encode_base64(key.type_bytes + key.public_key)}"


def sign_note_ed25519(text: str, *, key: VerifierKey, sign: Signer) -> SignatureLine:
    """Sign the text itself, as plain note clients expect it."""
    assert key.type_bytes == domains.NOTE_ED25519
    return SignatureLine(name=key.name, key_id=key.key_id, signature=sign(text.encode("utf-8")))


def _parse_signatures(block: str) -> tuple[SignatureLine, ...]:
    """Read what follows the empty line: bounded, every line ended, none twice."""
    if not block.endswith("\n"):
        raise FormatError(
            field="note.signatures", found=block[-80:], expected="signature lines, each ended by a newline"
        )
    count = block.count("\n")
    if count > NOTE_LINES_MAX:
        raise FormatError(field="note.signatures", found=f"{count} lines", expected=f"at most {NOTE_LINES_MAX}")
    lines = tuple(parse_signature_line(line) for line in block[:-1].split("\n"))
    if len(frozenset(lines)) != len(lines):
        raise FormatError(field="note.signatures", found="a line twice", expected="no line twice")
    return lines
