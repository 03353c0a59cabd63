"""Proof that one member signed an older tree as its newest after it had signed a larger one: one file.

By C2SP tlog-cosignature an Ed25519 cosignature says: at this time, this is the largest tree of this ledger that I have
seen. So a member that signs a size at one time, and a smaller size at a later time, has contradicted itself. A
*rollback proof* is one JSON object in one encoding, its keys in this order and without spaces:

    {"format":"counterseal/rollback/v1","charter":"<base64 of entry 0>","member":"<node name>","before":"<note>",
     "after":"<note>"}

Each note has the seal and the cosignature of that member, and nothing else; `before` has the earlier time and the
larger tree. What it proves: that member's key made both cosignatures. What it does not prove is why: its node went
back to an older state, its key is used in two places, or its clock was set back by at least the time between the two.
It says nothing of the ledger: both trees may be, and mostly are, parts of one history. A node that merely serves an
older checkpoint than before signs nothing anew, and nothing about it can be proven.
"""

import hashlib
from dataclasses import dataclass
from typing import Final

import msgspec

from ledger import domains
from ledger.charter import Charter, Member, ledger_keys, parse_charter
from ledger.checkpoints import parse_cosignature
from ledger.errors import FormatError, LedgerError, PolicyError, ProofError
from ledger.limits import FORK_BYTES_MAX, SIGNATURE_BYTES
from ledger.notes import Note, VerifierKey, compute_verifier_key, encode_note, parse_note
from ledger.policy import VerifiedCheckpoint
from ledger.policy import verify as verify_note
from ledger.positions import Seconds


@dataclass(frozen=True, slots=True)
class Cosigned:
    """A checkpoint and the time at which the member signed that it knew of none larger."""

    checkpoint: VerifiedCheckpoint
    time_s: Seconds


@dataclass(frozen=True, slots=True)
class VerifiedRollback:
    """Two cosignatures of one member that contradict each other. Made by `verify_rollback` alone.

    Attributes:
        charter: signed by all its founders; the right one if its fingerprint is.
        member: whose cosignatures they are.
        before: the larger tree, at the earlier time.
        after: the smaller tree, at the later time.
    """

    charter: Charter
    member: Member
    before: Cosigned
    after: Cosigned


class _RollbackForm(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    format: str
    charter: bytes
    member: str
    before: str
    after: str


_ENCODER: Final = msgspec.json.Encoder()
_DECODER: Final = msgspec.json.Decoder(_RollbackForm)
_LINES: Final = 2


def is_rollback(*, before_s: Seconds, before_size: int, after_s: Seconds, after_size: int) -> bool:
    """Say whether one member cannot rightly have signed both: the later time has the smaller tree."""
    return before_s < after_s and before_size > after_size


def read_cosigned_times(note: Note, charter: Charter) -> dict[str, Seconds]:
    """Give the times of Ed25519 cosignatures under a note that was verified, by the members' node names."""
    times: dict[str, Seconds] = {}
    for member in charter.members:
        key = _cosigner_key(member)
        for line in note.signatures:
            if (line.name, line.key_id) == (key.name, key.key_id):
                times[member.node] = parse_cosignature(line.signature, signature_bytes=SIGNATURE_BYTES).time_s
    return times


def prove_rollback(charter: Charter, node: str, before: bytes, after: bytes) -> bytes:
    """Write the proof that a member signed these two, and check it as anybody will.

    Args:
        charter: of the ledger; believed.
        node: the member's node name.
        before: a note with the seal and the member's cosignature, of the larger tree.
        after: another, of the smaller tree.

    Raises:
        LedgerError: as `verify_rollback`: these do not prove a rollback.
    """
    member = _require_member(charter, node)
    form = _RollbackForm(
        format=domains.ROLLBACK_FORMAT,
        charter=charter.entry,
        member=node,
        before=_keep_lines(before, charter, member),
        after=_keep_lines(after, charter, member),
    )
    raw = _ENCODER.encode(form)
    verify_rollback(raw, charter_fingerprint=charter.ledger_id)
    return raw


def verify_rollback(raw: bytes, *, charter_fingerprint: bytes | None) -> VerifiedRollback:
    """Check a rollback proof offline, from nothing but the fingerprint of a charter.

    Args:
        raw: bytes of a stranger.
        charter_fingerprint: SHA-256 of entry 0, 32 bytes, from a source that is trusted. With None the charter in the
            file is taken as it is, and whoever reads the result must compare `charter.fingerprint`.

    Raises:
        FormatError, SignatureError: a part is not of its form, or not signed.
        PolicyError: `rollback.charter`: another charter; `rollback.member`: nobody; `rollback.before`,
            `rollback.after`: not sealed, or other lines than the seal and the member's.
        ProofError: `rollback.after`: the two do not contradict each other.
    """
    form = _parse(raw)
    fingerprint = hashlib.sha256(form.charter).digest()
    if charter_fingerprint is not None and fingerprint != charter_fingerprint:
        raise PolicyError(field="rollback.charter", found=fingerprint.hex(), expected=charter_fingerprint.hex())
    charter = parse_charter(form.charter)
    member = _require_member(charter, form.member)
    before = _verify_part(form.before, charter, member, field="rollback.before")
    after = _verify_part(form.after, charter, member, field="rollback.after")
    sizes = before.checkpoint.checkpoint.size, after.checkpoint.checkpoint.size
    if not is_rollback(before_s=before.time_s, before_size=sizes[0], after_s=after.time_s, after_size=sizes[1]):
        expected = f"a smaller tree than {sizes[0]} entries at a later time than {before.time_s}"
        raise ProofError(field="rollback.after", found=f"{sizes[1]} entries at {after.time_s}", expected=expected)
    return VerifiedRollback(charter=charter, member=member, before=before, after=after)


def _parse(raw: bytes) -> _RollbackForm:
    if len(raw) > FORK_BYTES_MAX:
        raise FormatError(field="rollback", found=f"{len(raw)} bytes", expected=f"at most {FORK_BYTES_MAX} bytes")
    try:
        form = _DECODER.decode(raw)
        again = _ENCODER.encode(form)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise FormatError(field="rollback", found=str(error), expected="a rollback proof") from None
    if form.format != domains.ROLLBACK_FORMAT:
        raise FormatError(field="rollback.format", found=form.format, expected=domains.ROLLBACK_FORMAT)
    if again != raw:
        raise FormatError(field="rollback", found="another spelling", expected="its one encoding")
    return form


def _verify_part(text: str, charter: Charter, member: Member, *, field: str) -> Cosigned:
    try:
        raw = text.encode("utf-8")
        note = parse_note(raw)
        checkpoint = verify_note(note, ledger_keys(charter))
    except UnicodeError:
        raise FormatError(field=field, found=text, expected="a note") from None
    except LedgerError as error:
        raise error.inside(field) from None
    if encode_note(note) != raw:
        raise FormatError(field=field, found="another spelling", expected="a note in its one encoding")
    key = _cosigner_key(member)
    times = read_cosigned_times(note, charter)
    if checkpoint.cosigners != (member.node,) or len(note.signatures) != _LINES or member.node not in times:
        expected = f"the seal and the cosignature of {key.name}+{key.key_id.hex()} alone"
        raise PolicyError(field=f"{field}.signatures", found=f"{len(note.signatures)} lines", expected=expected)
    return Cosigned(checkpoint=checkpoint, time_s=times[member.node])


def _keep_lines(raw: bytes, charter: Charter, member: Member) -> str:
    note = parse_note(raw)
    seal = compute_verifier_key(charter.origin, domains.NOTE_SEAL, charter.group_key)
    kept = {(key.name, key.key_id) for key in (seal, _cosigner_key(member))}
    lines = tuple(line for line in note.signatures if (line.name, line.key_id) in kept)
    return encode_note(Note(text=note.text, signatures=lines)).decode("utf-8")


def _cosigner_key(member: Member) -> VerifierKey:
    return compute_verifier_key(member.node, domains.NOTE_COSIGNATURE_ED25519, member.cosigner)


def _require_member(charter: Charter, node: str) -> Member:
    for member in charter.members:
        if member.node == node:
            return member
    raise PolicyError(field="rollback.member", found=node, expected="the node name of a member")
