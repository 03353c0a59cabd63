"""Which signatures make a checkpoint believed: from a `Note`, which anyone can write, to a `VerifiedCheckpoint`.

1. The note's text is a checkpoint of the ledger's own origin.
2. A line is known if its name *and* key ID are those of a configured key. Unknown lines are ignored, whoever made them.
3. Every known line must verify; one that does not condemns the whole note, as do two lines by one key.
4. There must be a seal line. The seal is the quorum's word and the only signature that is enough alone.
5. If the caller wants cosignatures, that many distinct members must have cosigned, with either kind of key.
   Their times are not judged: freshness is the affair of a caller who has a clock.
6. Log lines are checked and count for nothing: they are one member's word for clients that know no better.

A `VerifiedCheckpoint` is made by `verify` alone; functions that need belief ask for one.
Source: C2SP signed-note ("Signatures"), tlog-cosignature, tlog-policy.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from ledger import domains, ed25519, ml_dsa
from ledger.checkpoints import (
    Checkpoint,
    SealLine,
    compute_cosignature_message_ed25519,
    compute_cosignature_message_ml_dsa,
    compute_seal_message,
    parse_checkpoint,
    parse_cosignature,
    parse_seal_line,
    require_origin,
)
from ledger.errors import FormatError, PolicyError, SignatureError
from ledger.limits import MEMBERS_MAX, SIGNATURE_BYTES
from ledger.notes import Note, SignatureLine, VerifierKey, compute_verifier_key, encode_vkey
from ledger.threshold import bls
from ledger.threshold.group import backend

POLICY_GROUP: Final = "nations"
_POLICY_WORDS: Final = (POLICY_GROUP, "none", "any", "all")  # only `none` is reserved; the others would confuse readers

KnownKeys = Mapping[tuple[str, bytes], VerifierKey]
"""Configured keys by name and key ID."""


@dataclass(frozen=True, slots=True)
class Cosigner:
    """One member as a cosigner.

    Attributes:
        name: the member's node name, which is the name of its keys.
        ed25519: public key of its frequent cosignatures.
        ml_dsa: public key of its archival cosignatures, if the reader has it (the charter holds only its hash).
    """

    name: str
    ed25519: bytes
    ml_dsa: bytes | None = None


@dataclass(frozen=True, slots=True)
class LedgerKeys:
    """All keys of one ledger, checked when it is made; what `verify` believes.

    Attributes:
        origin: name of the ledger and of its seal and log keys.
        group_key: 96 bytes; verifies every seal.
        quorum: how many members make a seal; here only a figure for `encode_policy` and for callers.
        cosigners: the members in charter order.
        log_keys: the members' Ed25519 log keys.
        known: every key of the ledger by name and key ID; computed.

    Raises:
        FormatError: `keys.*`: a name or key that is not of the form, weak, or used twice; more than one key under one
            name and key ID; a quorum that the members cannot make.
    """

    origin: str
    group_key: bytes
    quorum: int
    cosigners: tuple[Cosigner, ...]
    log_keys: tuple[bytes, ...] = ()
    known: KnownKeys = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Check everything once, so that nobody has to again."""
        require_origin(self.origin, field="keys.origin")
        if len(self.cosigners) > MEMBERS_MAX:
            raise FormatError(field="keys.cosigners", found=len(self.cosigners), expected=f"at most {MEMBERS_MAX}")
        if not 1 <= self.quorum <= len(self.cosigners):
            raise FormatError(field="keys.quorum", found=self.quorum, expected=f"1 to {len(self.cosigners)}")
        backend().decode_g2(self.group_key, field="keys.group_key")
        names = [cosigner.name for cosigner in self.cosigners]
        if len(frozenset(names)) != len(names):
            raise FormatError(field="keys.cosigners", found="a name twice", expected="a name of its own for each")
        object.__setattr__(self, "known", _compute_known(self))


@dataclass(frozen=True, slots=True)
class VerifiedCheckpoint:
    """A checkpoint whose seal is true and of whose known lines none is false.

    Attributes:
        checkpoint: what was sealed.
        seal: the block it belongs to, and the seal.
        cosigners: names of the members that cosigned it with either kind of key, in charter order.
        cosigners_ml_dsa: those of them who did so with ML-DSA-44.
    """

    checkpoint: Checkpoint
    seal: SealLine
    cosigners: tuple[str, ...]
    cosigners_ml_dsa: tuple[str, ...]


def verify(note: Note, keys: LedgerKeys, *, cosignatures_min: int = 0) -> VerifiedCheckpoint:
    """Believe a checkpoint, or say why not.

    Args:
        note: as parsed.
        keys: of this ledger; believed.
        cosignatures_min: how many distinct members must have cosigned it.

    Raises:
        FormatError: the text is no checkpoint, or a known line is not of its form.
        SignatureError: `note.signature`: a known line does not verify.
        PolicyError: `checkpoint.origin`: another ledger; `note.signatures`: no seal, two lines by one key, or too few
            cosigners.
    """
    checkpoint = parse_checkpoint(note.text)
    if checkpoint.origin != keys.origin:
        raise PolicyError(field="checkpoint.origin", found=checkpoint.origin, expected=keys.origin)
    lines = verify_lines(note, keys.known, checkpoint)
    seals = [parse_seal_line(line.signature) for line, key in lines if key.type_bytes == domains.NOTE_SEAL]
    if not seals:
        raise PolicyError(field="note.signatures", found="no seal line", expected="a seal by the group key")
    with_ed25519 = {key.name for _, key in lines if key.type_bytes == domains.NOTE_COSIGNATURE_ED25519}
    with_ml_dsa = {key.name for _, key in lines if key.type_bytes == domains.NOTE_COSIGNATURE_ML_DSA_44}
    cosigners = tuple(member.name for member in keys.cosigners if member.name in with_ed25519 | with_ml_dsa)
    if len(cosigners) < cosignatures_min:
        found, expected = f"{len(cosigners)} cosigners", f"at least {cosignatures_min}"
        raise PolicyError(field="note.signatures", found=found, expected=expected)
    return VerifiedCheckpoint(
        checkpoint=checkpoint,
        seal=seals[0],
        cosigners=cosigners,
        cosigners_ml_dsa=tuple(name for name in cosigners if name in with_ml_dsa),
    )


def verify_lines(note: Note, known: KnownKeys, checkpoint: Checkpoint) -> list[tuple[SignatureLine, VerifierKey]]:
    """Give the lines by known keys, each of which verifies; there may be none.

    Args:
        note: as parsed.
        known: keys to verify with; believed.
        checkpoint: what the note's text says.

    Raises:
        FormatError: a known line is not of its form.
        SignatureError: `note.signature`: a known line does not verify.
        PolicyError: `note.signatures`: two lines by one key.
    """
    lines = _select_known(note, known)
    for line, key in lines:
        _verify_line(line, key, note.text, checkpoint)
    return lines


def keep_known(note: Note, keys: LedgerKeys) -> Note:
    """Give a note that `verify` believes, without the lines that it ignores."""
    lines = tuple(line for line in note.signatures if (line.name, line.key_id) in keys.known)
    return Note(text=note.text, signatures=lines)


def encode_policy(keys: LedgerKeys, *, url: str | None = None, log_keys: Sequence[bytes] | None = None) -> str:
    """Write the ledger's keys as a policy file for other people's tools: one log key, and a quorum of cosigners.

    Plain clients cannot check the seal; with this file they demand the Ed25519 cosignatures of as many members.

    Args:
        keys: of the ledger; each log key becomes a `log` line, each member a `witness` line under its node name.
        url: prefix under which tiles are served, if one is to be named.
        log_keys: some of the ledger's; default: all. The form means that a line by any of them will do, and there are
            readers that demand one by each: they need the one key of the node whose files they read.

    Raises:
        FormatError: `policy.url`: white space or not ASCII; `policy.witness`: a node name that is a word of the form.
    """
    if url is not None and not (url.isascii() and url.isprintable() and " " not in url and url):
        raise FormatError(field="policy.url", found=url, expected="printable ASCII without spaces")
    names = [cosigner.name for cosigner in keys.cosigners]
    for word in _POLICY_WORDS:
        if word in names:
            raise FormatError(field="policy.witness", found=word, expected="a name that is no word of the policy form")
    suffix = "" if url is None else f" {url}"
    named = keys.log_keys if log_keys is None else log_keys
    assert set(named) <= set(keys.log_keys)
    listed = (compute_verifier_key(keys.origin, domains.NOTE_ED25519, raw) for raw in named)
    lines = [f"log {encode_vkey(key)}{suffix}" for key in listed]
    for cosigner in keys.cosigners:
        key = compute_verifier_key(cosigner.name, domains.NOTE_COSIGNATURE_ED25519, cosigner.ed25519)
        lines.append(f"witness {cosigner.name} {encode_vkey(key)}")
    lines.append(f"group {POLICY_GROUP} {keys.quorum} {' '.join(names)}")
    lines.append(f"quorum {POLICY_GROUP}")
    return "".join(line + "\n" for line in lines)


def encode_seal_key(keys: LedgerKeys) -> str:
    """Write the group's key, as a vkey in a line of its own: with it a BLS library checks the seal itself."""
    return f"{encode_vkey(compute_verifier_key(keys.origin, domains.NOTE_SEAL, keys.group_key))}\n"


def encode_ml_dsa_keys(keys: LedgerKeys) -> str:
    """Write the members' ML-DSA-44 keys, a vkey a line: a policy has no place for them.

    Other people's tools check the lines of archival checkpoints with them. Members whose key is not known are left out.
    """
    listed = (
        compute_verifier_key(cosigner.name, domains.NOTE_COSIGNATURE_ML_DSA_44, cosigner.ml_dsa)
        for cosigner in keys.cosigners
        if cosigner.ml_dsa is not None
    )
    return "".join(f"{encode_vkey(key)}\n" for key in listed)


def _compute_known(keys: LedgerKeys) -> KnownKeys:
    """List every key of the ledger, each usable for one thing, and no two that a line could confuse."""
    listed = [compute_verifier_key(keys.origin, domains.NOTE_SEAL, keys.group_key)]
    listed.extend(compute_verifier_key(keys.origin, domains.NOTE_ED25519, raw) for raw in keys.log_keys)
    for cosigner in keys.cosigners:
        listed.append(compute_verifier_key(cosigner.name, domains.NOTE_COSIGNATURE_ED25519, cosigner.ed25519))
        if cosigner.ml_dsa is not None:
            listed.append(compute_verifier_key(cosigner.name, domains.NOTE_COSIGNATURE_ML_DSA_44, cosigner.ml_dsa))
    if len(frozenset(key.public_key for key in listed)) != len(listed):
        raise FormatError(field="keys", found="a public key twice", expected="a key of its own for each use")
    known = {(key.name, key.key_id): key for key in listed}
    if len(known) != len(listed):
        raise FormatError(field="keys", found="two keys under one name and key ID", expected="distinct key IDs")
    return MappingProxyType(known)


def _select_known(note: Note, known: KnownKeys) -> list[tuple[SignatureLine, VerifierKey]]:
    """Give the lines by configured keys, at most one a key."""
    lines = [(line, known[line.name, line.key_id]) for line in note.signatures if (line.name, line.key_id) in known]
    if len(frozenset((key.name, key.key_id) for _, key in lines)) != len(lines):
        raise PolicyError(field="note.signatures", found="two lines by one key", expected="one line a key")
    return lines


def _verify_line(line: SignatureLine, key: VerifierKey, text: str, checkpoint: Checkpoint) -> None:
    """Check one known line by the type of its key."""
    match key.type_bytes:
        case domains.NOTE_SEAL:
            _verify_seal(line, key, checkpoint)
            return
        case domains.NOTE_ED25519:
            valid = ed25519.is_ed25519_signature(key.public_key, line.signature, text.encode("utf-8"))
        case domains.NOTE_COSIGNATURE_ED25519:
            cosignature = parse_cosignature(line.signature, signature_bytes=SIGNATURE_BYTES)
            message = compute_cosignature_message_ed25519(text, cosignature.time_s)
            valid = ed25519.is_ed25519_signature(key.public_key, cosignature.signature, message)
        case domains.NOTE_COSIGNATURE_ML_DSA_44:
            cosignature = parse_cosignature(line.signature, signature_bytes=ml_dsa.SIGNATURE_BYTES)
            message = compute_cosignature_message_ml_dsa(key.name, cosignature.time_s, checkpoint)
            valid = ml_dsa.is_ml_dsa_signature(key.public_key, cosignature.signature, message)
        case _:
            raise AssertionError(key.type_bytes)  # `compute_verifier_key` makes no other
    if not valid:
        expected = f"a signature by {key.name}+{key.key_id.hex()}"
        raise SignatureError(field="note.signature", found="one that does not verify", expected=expected)


def _verify_seal(line: SignatureLine, key: VerifierKey, checkpoint: Checkpoint) -> None:
    """Check the seal under the group key, over the block's position and the checkpoint."""
    seal = parse_seal_line(line.signature)
    message = compute_seal_message(
        checkpoint,
        epoch=seal.epoch,
        view=seal.view,
        height=seal.height,
        time_ms=seal.time_ms,
        block_digest=seal.block_digest,
    )
    bls.verify_signature(key.public_key, message, seal.seal, field="seal")
