"""The public face: what anyone can check with a charter, or only its fingerprint, and no network.

- `verify_checkpoint`: a note is a checkpoint that a quorum sealed.
- `verify_receipt`: an entry stands on the ledger.
- `verify_history`: a newer checkpoint continues an older one.
- `find_contradiction`: two sealed checkpoints cannot both be true, which proves that a quorum lied.
- `verify_certificate`: a verdict stands on the ledger, everything needed in one file.
- `verify_misconduct`: a member signed votes that no honest member signs, everything needed in one file.

A *compliance certificate* is one JSON object in one encoding, its keys in this order and without spaces:

    {"format":"counterseal/certificate/v1","charter":"<base64 of entry 0>","entry":"<base64 of the verdict's entry>",
     "receipt":"<text of the receipt>","ml_dsa_keys":{"<node name>":"<base64>",…}}

`ml_dsa_keys` is left out when empty; its names are sorted. The charter in it is believed only as far as its fingerprint
is: without one given, the caller must show it to somebody who can compare.

What a certificate does not say: that the verdict still holds. A later one may supersede it; only the ledger up to today
tells. And a verdict speaks of what was declared: its assurance level belongs to it wherever it is shown.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import msgspec

from ledger import policy, receipts
from ledger.charter import Charter, Member, ledger_keys, parse_charter
from ledger.domains import CERTIFICATE_FORMAT
from ledger.errors import FormatError, PolicyError, ProofError, shorten
from ledger.limits import CERTIFICATE_BYTES_MAX
from ledger.merkle import Hash, verify_consistency
from ledger.notes import parse_note
from ledger.policy import LedgerKeys, VerifiedCheckpoint
from ledger.positions import MemberIndex, Millis
from ledger.receipts import Receipt, VerifiedReceipt, encode_receipt, parse_receipt
from ledger.rules.misconduct import verify_evidence
from ledger.statements.misconduct import Evidence, parse_evidence_file
from ledger.statements.verdicts import Verdict, parse_verdict

CAVEAT: Final = (
    "Counterseal proves who declared what, when, that nothing was later altered or removed, and that declarations obey "
    "the agreed arithmetic. It does not measure computation: a party that lies consistently within its registered "
    "chips, or computes on chips nobody registered, is not exposed by this ledger alone."
)
"""What no verdict shows; it is said wherever a verdict is."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """A compliance certificate as read: nobody has verified it yet.

    Attributes:
        charter: the bytes of entry 0.
        entry: the bytes of the verdict's entry.
        receipt: of that entry.
        ml_dsa_keys: cosigners' ML-DSA-44 keys by node name; the charter has their hashes.
    """

    charter: bytes
    entry: bytes
    receipt: Receipt
    ml_dsa_keys: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class VerifiedCertificate:
    """A verdict that stands on the ledger of this charter.

    Attributes:
        charter: signed by all its founders; the right one if its fingerprint is.
        verdict: what the rules said, with its assurance level.
        receipt: where the verdict stands, and the checkpoint that says so.
    """

    charter: Charter
    verdict: Verdict
    receipt: VerifiedReceipt

    @property
    def sealed_at_ms(self) -> Millis:
        """Time of the sealed block: the verdict stood on the ledger by then."""
        return self.receipt.checkpoint.seal.time_ms

    @property
    def cosigners(self) -> tuple[str, ...]:
        """Node names of the members that cosigned beside the seal."""
        return self.receipt.checkpoint.cosigners


@dataclass(frozen=True, slots=True)
class VerifiedMisconduct:
    """Votes that a member of this charter made, and no honest member makes.

    Attributes:
        charter: signed by all its founders; the right one if its fingerprint is.
        accused: whose votes they are.
        evidence: the votes.
    """

    charter: Charter
    accused: Member
    evidence: Evidence


@dataclass(frozen=True, slots=True)
class Contradiction:
    """Two sealed checkpoints of one ledger that no honest quorum can both have sealed: keep both notes as proof.

    Attributes:
        field: what cannot be: `block`, `root`, `size`, `time_ms`, `epoch` or `view`.
        found: its value in the block of the greater height, or in the second of two at one height.
        expected: what the other one demands.
    """

    field: str
    found: str
    expected: str


class _CertificateForm(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    format: str
    charter: bytes
    entry: bytes
    receipt: str
    ml_dsa_keys: dict[str, bytes] = {}


_ENCODER: Final = msgspec.json.Encoder(order="deterministic")
_DECODER: Final = msgspec.json.Decoder(_CertificateForm)


def verify_checkpoint(raw: bytes, *, keys: LedgerKeys, cosignatures_min: int = 0) -> VerifiedCheckpoint:
    """Read a note and believe it as a checkpoint of this ledger.

    Args:
        raw: bytes of a stranger.
        keys: of the ledger (`charter.ledger_keys`); believed.
        cosignatures_min: how many distinct members must have cosigned beside the seal.

    Raises:
        FormatError, SignatureError, PolicyError: as `notes.parse_note` and `policy.verify`.
    """
    return policy.verify(parse_note(raw), keys, cosignatures_min=cosignatures_min)


def verify_receipt(raw: bytes, *, entry: bytes, keys: LedgerKeys, cosignatures_min: int = 0) -> VerifiedReceipt:
    """Read a receipt and check that it proves this entry to stand on this ledger.

    Raises:
        FormatError, ProofError, SignatureError, PolicyError: as `receipts.parse_receipt` and `receipts.verify_receipt`.
    """
    return receipts.verify_receipt(parse_receipt(raw), entry=entry, keys=keys, cosignatures_min=cosignatures_min)


def find_contradiction(first: VerifiedCheckpoint, second: VerifiedCheckpoint) -> Contradiction | None:
    """Say what is impossible about two sealed checkpoints of one ledger, if anything is.

    There is one block at every height and a block has one height; from block to block size, time and epoch never fall,
    and views rise within an epoch; trees of one size have one root. Every honest member checked each of these before it
    sealed. That None comes back does not make one a continuation of the other: that takes `verify_history`.

    Args:
        first: as `verify_checkpoint` gave it.
        second: the same, under the same keys.
    """
    lower, higher = (first, second) if first.seal.height <= second.seal.height else (second, first)
    old, new = lower.seal, higher.seal
    if (old.height == new.height) != (old.block_digest == new.block_digest):
        found = f"{new.block_digest.hex()} at height {new.height}"
        return _contradict("block", found, f"one block a height: {old.block_digest.hex()} is at height {old.height}")
    if lower.checkpoint.size == higher.checkpoint.size and lower.checkpoint.root != higher.checkpoint.root:
        expected = f"{lower.checkpoint.root.hex()} of {lower.checkpoint.size} entries"
        return _contradict("root", higher.checkpoint.root.hex(), expected)
    falls = (
        ("size", lower.checkpoint.size, higher.checkpoint.size),
        ("time_ms", old.time_ms, new.time_ms),
        ("epoch", old.epoch, new.epoch),
        ("view", old.view if old.epoch == new.epoch else 0, new.view),
    )
    for name, before, after in falls:
        if after < before:
            return _contradict(name, after, f"at least {before}, as at height {old.height}")
        if old.height == new.height and after != before:
            return _contradict(name, after, f"{before}, as in the same block")
    if old.height < new.height and old.epoch == new.epoch and old.view == new.view:
        return _contradict("view", new.view, f"above {old.view}, as at height {old.height}")
    return None


def verify_history(*, older: VerifiedCheckpoint, newer: VerifiedCheckpoint, proof: Sequence[Hash]) -> None:
    """Check that `newer` continues `older`: the same ledger, nothing changed, nothing dropped.

    Args:
        older: the largest that this observer has verified; keep it where no server can reset it.
        newer: as `verify_checkpoint` gave it.
        proof: the consistency proof between their sizes, from anybody.

    Raises:
        PolicyError: `history.origin`: two ledgers; `history.height`: `newer` is older than what is known.
        ProofError: `history.<field>`: they contradict each other, so a quorum signed two histories (see
            `find_contradiction`; keep both notes); `proof…`: the proof does not lead from one to the other.
    """
    old, new = older.checkpoint, newer.checkpoint
    if old.origin != new.origin:
        raise PolicyError(field="history.origin", found=new.origin, expected=old.origin)
    if (contradiction := find_contradiction(older, newer)) is not None:
        raise ProofError(
            field=f"history.{contradiction.field}", found=contradiction.found, expected=contradiction.expected
        )
    if newer.seal.height < older.seal.height:
        expected = f"at least {older.seal.height}, which is known"
        raise PolicyError(field="history.height", found=newer.seal.height, expected=expected)
    verify_consistency(old_size=old.size, new_size=new.size, proof=proof, old_root=old.root, new_root=new.root)


def encode_certificate(certificate: Certificate) -> bytes:
    """Write a certificate in its one encoding.

    Raises:
        FormatError: it has none; as `parse_certificate`.
    """
    raw = _ENCODER.encode(
        _CertificateForm(
            format=CERTIFICATE_FORMAT,
            charter=certificate.charter,
            entry=certificate.entry,
            receipt=encode_receipt(certificate.receipt).decode("utf-8"),
            ml_dsa_keys=dict(certificate.ml_dsa_keys),
        )
    )
    if parse_certificate(raw) != certificate:
        raise FormatError(field="certificate", found=raw[:80], expected="a certificate that its form can hold")
    return raw


def parse_certificate(raw: bytes) -> Certificate:
    """Read a certificate from bytes of a stranger. Believes nothing but its form.

    Raises:
        FormatError: `certificate`: too long, not of the form, or not its one encoding; `certificate.format`: another
            version; `receipt…`, `note…`: as `parse_receipt`.
    """
    if len(raw) > CERTIFICATE_BYTES_MAX:
        expected = f"at most {CERTIFICATE_BYTES_MAX} bytes"
        raise FormatError(field="certificate", found=f"{len(raw)} bytes", expected=expected)
    try:
        form = _DECODER.decode(raw)
        receipt_raw = form.receipt.encode("utf-8")
        again = _ENCODER.encode(form)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise FormatError(field="certificate", found=str(error), expected="a compliance certificate") from None
    if form.format != CERTIFICATE_FORMAT:
        raise FormatError(field="certificate.format", found=form.format, expected=CERTIFICATE_FORMAT)
    if again != raw:
        raise FormatError(field="certificate", found="another spelling", expected="its one encoding")
    return Certificate(
        charter=form.charter, entry=form.entry, receipt=parse_receipt(receipt_raw), ml_dsa_keys=form.ml_dsa_keys
    )


def verify_certificate(
    raw: bytes, *, charter_fingerprint: bytes | None, cosignatures_min: int = 0
) -> VerifiedCertificate:
    """Check a certificate offline, from nothing but the fingerprint of a charter.

    1. It has its one encoding. 2. Every founder signed its charter, which is the one of the fingerprint. 3. The ML-DSA
    keys are those whose hashes the charter has. 4. The entry is a verdict, of this very ledger. 5. A quorum sealed the
    receipt's checkpoint, no known line under it is false, and the proof leads from the entry to its root. 6. The
    verdict is not from after the seal.

    Args:
        raw: bytes of a stranger.
        charter_fingerprint: SHA-256 of entry 0, 32 bytes, from a source that is trusted. With None the charter in the
            file is taken as it is, and whoever reads the result must compare `charter.fingerprint`.
        cosignatures_min: how many distinct members must have cosigned beside the seal.

    Raises:
        FormatError, ProofError, SignatureError: a part of it is not of the form, or not true.
        PolicyError: `certificate.charter`: another charter; `certificate.ml_dsa_keys`: a key of nobody;
            `certificate.entry…`: a verdict of another ledger, or of a later time; else as `policy.verify`.
    """
    certificate = parse_certificate(raw)
    fingerprint = hashlib.sha256(certificate.charter).digest()
    if charter_fingerprint is not None and fingerprint != charter_fingerprint:
        found, expected = fingerprint.hex(), charter_fingerprint.hex()
        raise PolicyError(field="certificate.charter", found=found, expected=expected)
    charter = parse_charter(certificate.charter)
    keys = ledger_keys(charter, _by_member(charter, certificate.ml_dsa_keys))
    verdict = parse_verdict(certificate.entry)
    if verdict.ledger != charter.fingerprint:
        raise PolicyError(field="certificate.entry.ledger", found=verdict.ledger, expected=charter.fingerprint)
    verified = receipts.verify_receipt(
        certificate.receipt, entry=certificate.entry, keys=keys, cosignatures_min=cosignatures_min
    )
    sealed_at_ms = verified.checkpoint.seal.time_ms
    if verdict.time_ms > sealed_at_ms:
        expected = f"at most {sealed_at_ms}, the time of the seal"
        raise PolicyError(field="certificate.entry.time_ms", found=verdict.time_ms, expected=expected)
    return VerifiedCertificate(charter=charter, verdict=verdict, receipt=verified)


def verify_misconduct(raw: bytes, *, charter_fingerprint: bytes | None) -> VerifiedMisconduct:
    """Check a file with evidence of misconduct offline, from nothing but the fingerprint of a charter.

    It does not say that the evidence stands on the ledger, nor need it: the votes prove by themselves what they prove.

    Args:
        raw: bytes of a stranger.
        charter_fingerprint: SHA-256 of entry 0, 32 bytes, from a source that is trusted. With None the charter in the
            file is taken as it is, and whoever reads the result must compare `charter.fingerprint`.

    Raises:
        FormatError: a part of it is not of its form.
        SignatureError, ProofError, PolicyError: `file.charter`: another charter; `evidence…`: as `verify_evidence`.
    """
    file = parse_evidence_file(raw)
    fingerprint = hashlib.sha256(file.charter).digest()
    if charter_fingerprint is not None and fingerprint != charter_fingerprint:
        raise PolicyError(field="file.charter", found=fingerprint.hex(), expected=charter_fingerprint.hex())
    charter = parse_charter(file.charter)
    accused = verify_evidence(file.evidence, charter=charter)
    return VerifiedMisconduct(charter=charter, accused=accused, evidence=file.evidence)


def _by_member(charter: Charter, keys: Mapping[str, bytes]) -> dict[MemberIndex, bytes]:
    """Give each key to the member of its name."""
    members = {member.node: member.index for member in charter.members}
    for name in keys:
        if name not in members:
            raise PolicyError(field="certificate.ml_dsa_keys", found=name, expected="node names of members")
    return {members[name]: key for name, key in keys.items()}


def _contradict(name: str, found: object, expected: str) -> Contradiction:
    return Contradiction(field=name, found=shorten(found), expected=expected)
