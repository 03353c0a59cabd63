"""Checkpoints and what is signed over them: the seal, cosignatures, the log line.

A checkpoint is three lines, each ended by a newline: origin, tree size in decimal, base64 of the root. It is the text
of a signed note (`ledger.notes`), under which stand

- the seal line, type `0xff` and our identifier, by the quorum: position of the block, its digest, the seal;
- cosignatures by members, Ed25519 (`0x04`) or ML-DSA-44 (`0x06`): a time in seconds and a signature;
- log lines by members, plain Ed25519 over the text (`0x01`), for clients that know nothing else.

Here are the forms and the exact bytes that are signed. Whether a signature is true: `ledger.policy`.
Source: C2SP tlog-checkpoint, tlog-cosignature; the seal line and its message are ours.
"""

from dataclasses import dataclass
from typing import Final

from ledger import domains
from ledger.encoding import decode_base64, decode_decimal, decode_u64, encode_base64, encode_u64, require_bytes
from ledger.errors import FormatError
from ledger.limits import HASH_BYTES, ORIGIN_BYTES_MAX, SEAL_BYTES, SIZE_MAX
from ledger.merkle import EMPTY_ROOT
from ledger.notes import SignatureLine, Signer, VerifierKey, require_key_name
from ledger.positions import Epoch, Height, Millis, Seconds, TreeSize, View

_U64_BYTES: Final = 8
_SEAL_LINE_BYTES: Final = 4 * _U64_BYTES + HASH_BYTES + SEAL_BYTES

assert ORIGIN_BYTES_MAX <= 0xFF  # its length is one byte in the ML-DSA message


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A tree, by name, size and root; nobody has verified it yet."""

    origin: str
    size: TreeSize
    root: bytes


@dataclass(frozen=True, slots=True)
class SealLine:
    """The block whose checkpoint was sealed, and the seal: a BLS signature that nobody has verified yet."""

    epoch: Epoch
    view: View
    height: Height
    time_ms: Millis
    block_digest: bytes
    seal: bytes


@dataclass(frozen=True, slots=True)
class Cosignature:
    """One member's word that it saw the checkpoint at that time; nobody has verified it yet."""

    time_s: Seconds
    signature: bytes


def encode_checkpoint(checkpoint: Checkpoint) -> str:
    """Write the three lines.

    Raises:
        FormatError: the checkpoint has no such form; as `parse_checkpoint`.
    """
    text = f"{checkpoint.origin}\n{checkpoint.size}\n{encode_base64(checkpoint.root)}\n"
    if parse_checkpoint(text) != checkpoint:
        raise FormatError(field="checkpoint", found=text, expected="origin, size and root that their lines can hold")
    return text


def parse_checkpoint(text: str) -> Checkpoint:
    """Read the three lines; extension lines are refused.

    Raises:
        FormatError: `checkpoint`: not three lines, each ended; `checkpoint.origin`; `checkpoint.size`;
            `checkpoint.root`: not 32 bytes, or not the root of the empty tree at size 0.
    """
    lines = text.split("\n", maxsplit=4)
    if len(lines) != 4 or lines[3]:
        raise FormatError(field="checkpoint", found=text, expected="origin, size and root, each ended by a newline")
    origin = require_origin(lines[0], field="checkpoint.origin")
    size = TreeSize(decode_decimal(lines[1], field="checkpoint.size"))
    root = decode_base64(lines[2], field="checkpoint.root", size=HASH_BYTES)
    if size == 0 and root != EMPTY_ROOT:
        raise FormatError(field="checkpoint.root", found=lines[2], expected="the root of the empty tree at size 0")
    return Checkpoint(origin=origin, size=size, root=root)


def require_origin(origin: str, *, field: str) -> str:
    """Return `origin` if a ledger may have it: a key name that no other signed message begins with.

    Raises:
        FormatError: `field`: not a key name, or reserved.
    """
    require_key_name(origin, field=field)
    if origin.startswith(domains.RESERVED_ORIGIN_PREFIXES):
        raise FormatError(field=field, found=origin, expected="an origin that does not begin with a reserved word")
    return origin


def compute_seal_message(
    checkpoint: Checkpoint, *, epoch: Epoch, view: View, height: Height, time_ms: Millis, block_digest: bytes
) -> bytes:
    """Write what a quorum seals: the block's position, time and digest, and the checkpoint after it."""
    assert len(block_digest) == HASH_BYTES
    position = f"epoch {epoch}\nview {view}\nheight {height}\ntime {time_ms}\nblock {encode_base64(block_digest)}\n"
    return domains.SEAL + (position + encode_checkpoint(checkpoint)).encode("utf-8")


def encode_seal_line(seal: SealLine) -> bytes:
    """Write the signature bytes of a seal line."""
    assert len(seal.block_digest) == HASH_BYTES
    assert len(seal.seal) == SEAL_BYTES
    numbers = (seal.epoch, seal.view, seal.height, seal.time_ms)
    return b"".join(encode_u64(number) for number in numbers) + seal.block_digest + seal.seal


def parse_seal_line(raw: bytes) -> SealLine:
    """Read the signature bytes of a seal line.

    Raises:
        FormatError: `seal`: not 112 bytes; `seal.<field>`: above 2⁶³ - 1, or epoch 0.
    """
    require_bytes(raw, field="seal", size=_SEAL_LINE_BYTES)
    names = ("epoch", "view", "height", "time_ms")
    epoch, view, height, time_ms = (
        decode_u64(raw[_U64_BYTES * i : _U64_BYTES * (i + 1)], field=f"seal.{name}", maximum=SIZE_MAX)
        for i, name in enumerate(names)
    )
    if epoch == 0:
        raise FormatError(field="seal.epoch", found=epoch, expected="at least 1")
    digest_at, seal_at = 4 * _U64_BYTES, 4 * _U64_BYTES + HASH_BYTES
    return SealLine(
        epoch=Epoch(epoch),
        view=View(view),
        height=Height(height),
        time_ms=Millis(time_ms),
        block_digest=raw[digest_at:seal_at],
        seal=raw[seal_at:],
    )


def compute_cosignature_message_ed25519(note_text: str, time_s: Seconds) -> bytes:
    """Write what a type `0x04` line signs: the time and the whole note text."""
    return domains.COSIGNATURE_ED25519 + f"time {time_s}\n{note_text}".encode()


def compute_cosignature_message_ml_dsa(name: str, time_s: Seconds, checkpoint: Checkpoint) -> bytes:
    """Write what a type `0x06` line signs over a checkpoint, which is the subtree from 0 to its size.

    Args:
        name: the cosigner's key name, at most 255 bytes.
        time_s: when it was made; 0 says nothing about freshness.
        checkpoint: what `parse_checkpoint` gave, so that its origin is at most 255 bytes too.
    """
    cosigner, origin = name.encode("utf-8"), checkpoint.origin.encode("utf-8")
    assert len(checkpoint.root) == HASH_BYTES
    return b"".join(
        (
            domains.COSIGNATURE_ML_DSA_44,
            len(cosigner).to_bytes(1, "big") + cosigner,
            encode_u64(time_s),
            len(origin).to_bytes(1, "big") + origin,
            encode_u64(0),
            encode_u64(checkpoint.size),
            checkpoint.root,
        )
    )


def encode_cosignature(time_s: Seconds, signature: bytes) -> bytes:
    """Write the signature bytes of a cosignature line: the time in front of the signature."""
    assert 0 <= time_s <= SIZE_MAX
    return encode_u64(time_s) + signature


def parse_cosignature(raw: bytes, *, signature_bytes: int) -> Cosignature:
    """Read the signature bytes of a cosignature line.

    Args:
        raw: what stood behind the key ID.
        signature_bytes: 64 for a key of type `0x04`, 2420 for one of type `0x06`.

    Raises:
        FormatError: `cosignature`: of another length; `cosignature.time`: above 2⁶³ - 1.
    """
    require_bytes(raw, field="cosignature", size=_U64_BYTES + signature_bytes)
    time_s = decode_u64(raw[:_U64_BYTES], field="cosignature.time", maximum=SIZE_MAX)
    return Cosignature(time_s=Seconds(time_s), signature=raw[_U64_BYTES:])


def make_seal_signature(seal: SealLine, *, key: VerifierKey) -> SignatureLine:
    """Make the line that carries a seal; `key` is the group key under the origin's name."""
    assert key.type_bytes == domains.NOTE_SEAL
    return SignatureLine(name=key.name, key_id=key.key_id, signature=encode_seal_line(seal))


def sign_cosignature_ed25519(
    checkpoint: Checkpoint, *, key: VerifierKey, time_s: Seconds, sign: Signer
) -> SignatureLine:
    """Cosign a checkpoint whose seal was verified, with Ed25519; `time_s` is now."""
    assert key.type_bytes == domains.NOTE_COSIGNATURE_ED25519
    signature = sign(compute_cosignature_message_ed25519(encode_checkpoint(checkpoint), time_s))
    return SignatureLine(name=key.name, key_id=key.key_id, signature=encode_cosignature(time_s, signature))


def sign_cosignature_ml_dsa(
    checkpoint: Checkpoint, *, key: VerifierKey, time_s: Seconds, sign: Signer
) -> SignatureLine:
    """Cosign a checkpoint whose seal was verified, with ML-DSA-44; `time_s` is now."""
    assert key.type_bytes == domains.NOTE_COSIGNATURE_ML_DSA_44
    signature = sign(compute_cosignature_message_ml_dsa(key.name, time_s, checkpoint))
    return SignatureLine(name=key.name, key_id=key.key_id, signature=encode_cosignature(time_s, signature))
