"""The public face: what a stranger can check with a charter's fingerprint alone, and everything that must not pass."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from ledger import policy
from ledger.charter import (
    ConsensusParameters,
    Grid,
    Limit,
    Member,
    encode_charter_payload,
    ledger_keys,
    parse_charter,
)
from ledger.checkpoints import Checkpoint
from ledger.encoding import encode_base64
from ledger.errors import FormatError, LedgerError, PolicyError, ProofError
from ledger.limits import CERTIFICATE_BYTES_MAX
from ledger.merkle import compute_root, leaf_hash, prove_consistency
from ledger.notes import Note, SignatureLine, encode_note
from ledger.policy import VerifiedCheckpoint
from ledger.positions import Epoch, Height, Interval, MemberIndex, Millis, Seconds, TreeSize, View
from ledger.receipts import encode_receipt
from ledger.statements.dsse import sign_envelope
from ledger.statements.intoto import ZERO_HASH
from ledger.statements.verdicts import Verdict, VerdictState, encode_verdict
from ledger.threshold.polynomials import SecretScalar, compute_public_key
from ledger.verify import (
    Certificate,
    VerifiedCertificate,
    encode_certificate,
    find_contradiction,
    parse_certificate,
    verify_certificate,
    verify_checkpoint,
    verify_history,
    verify_receipt,
)
from tests.ledger.sealing import TIME_MS, SmallLedger, seed


def ed25519(of: str) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(seed(of))


def make_charter(ledger: SmallLedger) -> bytes:
    members = [
        Member(
            index=MemberIndex(index),
            id=f"nation-{index}",
            name=f"Nation {index}",
            node=member.name,
            identity=ed25519(f"{member.name} identity").public_key().public_bytes_raw(),
            cosigner=member.cosigner.public_key().public_bytes_raw(),
            cosigner_ml_dsa_sha256=hashlib.sha256(member.cosigner_ml_dsa.public_key().public_bytes_raw()).hexdigest(),
            log=member.log.public_key().public_bytes_raw(),
            encryption=seed(f"{member.name} encryption"),
            peer=f"{member.name}:7000",
            public=f"{member.name}:7001",
            http=f"https://{member.name}",
        )
        for index, member in enumerate(ledger.members, start=1)
    ]
    days = 86_400
    payload = encode_charter_payload(
        origin=ledger.origin,
        title="Test ledger",
        members=members,
        grid=Grid(
            start=Seconds(1_759_000_000),
            interval_s=Seconds(days),
            submit_window_s=Seconds(2 * days),
            grace_s=Seconds(3 * days),
            correction_window_s=Seconds(14 * days),
            challenge_window_s=Seconds(365 * days),
        ),
        limits=[Limit(id="cap", quantity="training_pflop_per_run", maximum=10**9, note="")],
        accelerators=[],
        consensus=ConsensusParameters(
            delta_ms=Millis(500), delta_max_ms=Millis(5000), idle_interval_ms=Millis(1000), snapshot_interval=0
        ),
        group_key=ledger.group_key,
        commitments=[ledger.group_key, *(compute_public_key(SecretScalar(number)) for number in (2, 3))],
        transcript=ZERO_HASH,
        founded_at_ms=Millis(1_758_999_000_000),
    )
    identities = [ed25519(f"{member.name} identity") for member in ledger.members]
    return sign_envelope(payload, [(key.public_key().public_bytes_raw(), key.sign) for key in identities])


CHARTER_ENTRY = make_charter(SmallLedger())
CHARTER = parse_charter(CHARTER_ENTRY)
FINGERPRINT = hashlib.sha256(CHARTER_ENTRY).digest()


def make_verdict(ledger: str = CHARTER.fingerprint, time_ms: int = TIME_MS) -> bytes:
    return encode_verdict(
        Verdict(
            ledger=ledger,
            lab="acme",
            nation="nation-1",
            cluster="north",
            interval=Interval(3),
            state=VerdictState.COMPLIANT,
            reasons=(),
            assurance="A0",
            report="ab" * 32,
            time_ms=Millis(time_ms),
            supersedes=ZERO_HASH,
        )
    )


VERDICT_ENTRY = make_verdict()
LEDGER = SmallLedger(entries=(CHARTER_ENTRY, b"registration", b"report", VERDICT_ENTRY, b"later"))
KEYS = ledger_keys(CHARTER)
ML_DSA_KEYS = {member.name: member.cosigner_ml_dsa.public_key().public_bytes_raw() for member in LEDGER.members}
CERTIFICATE = Certificate(CHARTER_ENTRY, VERDICT_ENTRY, LEDGER.receipt(3, note=LEDGER.cosigned_note()), ML_DSA_KEYS)
RAW = encode_certificate(CERTIFICATE)


def certify(entry: bytes, *, ledger: SmallLedger | None = None, charter: bytes = CHARTER_ENTRY) -> bytes:
    """Give the certificate of a ledger whose only later entry is this one."""
    small = replace(ledger or SmallLedger(), entries=(charter, entry))
    return encode_certificate(Certificate(charter, entry, small.receipt(1)))


# --- checkpoint and receipt ------------------------------------------------------------------------------------------


def test_a_checkpoint_is_believed_from_its_bytes_and_the_charter() -> None:
    verified = verify_checkpoint(encode_note(LEDGER.cosigned_note()), keys=KEYS, cosignatures_min=2)
    assert verified.checkpoint == LEDGER.checkpoint()
    with pytest.raises(PolicyError):
        verify_checkpoint(encode_note(LEDGER.cosigned_note()), keys=KEYS, cosignatures_min=3)


def test_a_receipt_is_believed_from_its_bytes_and_the_charter() -> None:
    raw = encode_receipt(LEDGER.receipt(2))
    assert verify_receipt(raw, entry=b"report", keys=KEYS).index == 2
    with pytest.raises(ProofError):
        verify_receipt(raw, entry=b"another report", keys=KEYS)


# --- certificate -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fingerprint", [FINGERPRINT, None])
def test_a_certificate_says_which_verdict_was_sealed_when_and_who_cosigned(fingerprint: bytes | None) -> None:
    verified = verify_certificate(RAW, charter_fingerprint=fingerprint, cosignatures_min=3)
    assert (verified.verdict.state, verified.verdict.assurance) == ("compliant", "A0")
    assert (verified.verdict.lab, verified.verdict.cluster, verified.verdict.interval) == ("acme", "north", 3)
    assert (verified.receipt.index, verified.receipt.entry) == (3, VERDICT_ENTRY)
    assert verified.sealed_at_ms == TIME_MS
    assert verified.cosigners == tuple(member.name for member in LEDGER.members[:3])
    assert verified.receipt.checkpoint.cosigners_ml_dsa == verified.cosigners[1:]
    assert verified.charter.fingerprint == FINGERPRINT.hex()


def test_a_certificate_is_this_json() -> None:
    fields = json.loads(RAW)
    assert list(fields) == ["format", "charter", "entry", "receipt", "ml_dsa_keys"]
    assert fields["format"] == "counterseal/certificate/v1"
    assert fields["charter"] == encode_base64(CHARTER_ENTRY)
    assert fields["entry"] == encode_base64(VERDICT_ENTRY)
    assert fields["receipt"].encode() == encode_receipt(CERTIFICATE.receipt)
    assert list(fields["ml_dsa_keys"]) == sorted(ML_DSA_KEYS)
    assert json.dumps(fields, separators=(",", ":"), ensure_ascii=False).encode() == RAW


def test_a_certificate_without_ml_dsa_keys_has_no_such_field_and_counts_fewer_cosigners() -> None:
    raw = encode_certificate(replace(CERTIFICATE, ml_dsa_keys={}))
    assert list(json.loads(raw)) == ["format", "charter", "entry", "receipt"]
    verified = verify_certificate(raw, charter_fingerprint=FINGERPRINT)
    assert verified.cosigners == tuple(member.name for member in LEDGER.members[:2])
    assert verified.receipt.checkpoint.cosigners_ml_dsa == ()


def test_more_cosigners_than_there_are_can_be_demanded_in_vain() -> None:
    with pytest.raises(PolicyError):
        verify_certificate(RAW, charter_fingerprint=FINGERPRINT, cosignatures_min=4)


@pytest.mark.parametrize("fingerprint", [bytes(32), b"", FINGERPRINT[:31]])
def test_a_certificate_under_another_charter_is_refused(fingerprint: bytes) -> None:
    with pytest.raises(PolicyError) as caught:
        verify_certificate(RAW, charter_fingerprint=fingerprint)
    assert caught.value.field == "certificate.charter"


def respell(change: Callable[[dict[str, object]], object]) -> bytes:
    fields = json.loads(RAW)
    return json.dumps(change(fields), separators=(",", ":"), ensure_ascii=False).encode()


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        RAW + b"\n",
        b" " + RAW,
        b"\xef\xbb\xbf" + RAW,
        RAW.replace(b",", b", ", 1),
        RAW.replace(b'"format"', b'"\\u0066ormat"', 1),
        RAW.replace(b'{"format"', b'{"format":"x","format"', 1),
        RAW.replace(b'{"format"', b'{"unknown":1,"format"', 1),
        RAW.replace("\u2014".encode(), b"\\u2014", 1),
        RAW.replace("\u2014".encode(), b"\\ud800", 1),
        RAW.replace("\u2014".encode(), b"\xff", 1),
        RAW.replace(b"certificate/v1", b"certificate/v2", 1),
        RAW.replace(b'","entry"', b'=","entry"', 1),
        b"[" * 100_000,
        b'{"format":' * 10_000,
        respell(lambda fields: dict(reversed(fields.items()))),
        respell(lambda fields: fields | {"ml_dsa_keys": {}}),
        respell(lambda fields: fields | {"ml_dsa_keys": None}),
        respell(lambda fields: fields | {"ml_dsa_keys": {"b": "AAAA", "a": "AAAA"}}),
        respell(lambda fields: fields | {"receipt": 5}),
        respell(lambda fields: fields | {"receipt": ""}),
        respell(lambda fields: {name: value for name, value in fields.items() if name != "entry"}),
    ],
)
def test_certificates_of_another_form_or_spelling_are_refused(raw: bytes) -> None:
    with pytest.raises(FormatError):
        verify_certificate(raw, charter_fingerprint=None)


def test_a_certificate_above_its_limit_is_refused_before_it_is_read() -> None:
    with pytest.raises(FormatError, match="at most"):
        parse_certificate(b'"' * (CERTIFICATE_BYTES_MAX + 1))


def test_the_verdict_of_another_ledger_is_refused_although_it_stands_on_this_one() -> None:
    with pytest.raises(PolicyError) as caught:
        verify_certificate(certify(make_verdict(ledger="00" * 32)), charter_fingerprint=FINGERPRINT)
    assert caught.value.field == "certificate.entry.ledger"


def test_a_verdict_from_after_its_own_seal_is_refused() -> None:
    assert isinstance(verify_certificate(certify(VERDICT_ENTRY), charter_fingerprint=FINGERPRINT), VerifiedCertificate)
    with pytest.raises(PolicyError) as caught:
        verify_certificate(certify(make_verdict(time_ms=TIME_MS + 1)), charter_fingerprint=FINGERPRINT)
    assert caught.value.field == "certificate.entry.time_ms"


def test_an_entry_that_is_no_verdict_makes_no_certificate() -> None:
    with pytest.raises(FormatError):
        verify_certificate(certify(CHARTER_ENTRY), charter_fingerprint=FINGERPRINT)


def test_a_verdict_that_is_not_on_the_ledger_is_refused() -> None:
    better = make_verdict(time_ms=TIME_MS - 1)
    raw = encode_certificate(replace(CERTIFICATE, entry=better))
    with pytest.raises(ProofError):
        verify_certificate(raw, charter_fingerprint=FINGERPRINT)


def test_a_certificate_sealed_by_another_group_is_refused_even_under_its_own_origin() -> None:
    forger = SmallLedger(secret=SecretScalar(5))
    with pytest.raises(PolicyError):
        verify_certificate(certify(VERDICT_ENTRY, ledger=forger), charter_fingerprint=FINGERPRINT)


def test_a_charter_with_one_founders_signature_missing_is_refused_even_without_a_fingerprint() -> None:
    fields = json.loads(CHARTER_ENTRY)
    fields["signatures"] = fields["signatures"][1:]
    entry = json.dumps(fields, separators=(",", ":")).encode()
    with pytest.raises(PolicyError):
        verify_certificate(
            certify(make_verdict(hashlib.sha256(entry).hexdigest()), charter=entry), charter_fingerprint=None
        )


@pytest.mark.parametrize(
    ("ml_dsa_keys", "error"),
    [
        ({"stranger.example": bytes(1312)}, PolicyError),
        ({"nation-a.example": bytes(1312)}, FormatError),
        ({"nation-a.example": ML_DSA_KEYS["nation-b.example"]}, FormatError),
        ({"nation-a.example": b""}, FormatError),
    ],
)
def test_ml_dsa_keys_that_the_charter_does_not_have_are_refused(
    ml_dsa_keys: dict[str, bytes], error: type[LedgerError]
) -> None:
    raw = encode_certificate(replace(CERTIFICATE, ml_dsa_keys=ml_dsa_keys))
    with pytest.raises(error):
        verify_certificate(raw, charter_fingerprint=FINGERPRINT)


def test_a_certificate_that_would_exceed_its_limit_is_not_written() -> None:
    with pytest.raises(FormatError):
        encode_certificate(replace(CERTIFICATE, charter=bytes(CERTIFICATE_BYTES_MAX)))


@given(at=st.integers(0, len(RAW) - 1), flip=st.integers(1, 255))
def test_no_change_of_a_byte_makes_a_certificate_say_something_else(at: int, flip: int) -> None:
    changed = RAW[:at] + bytes([RAW[at] ^ flip]) + RAW[at + 1 :]
    try:
        verified = verify_certificate(changed, charter_fingerprint=FINGERPRINT)
    except LedgerError:
        return
    original = verify_certificate(RAW, charter_fingerprint=FINGERPRINT)
    assert (verified.charter, verified.verdict) == (original.charter, original.verdict)
    assert (verified.receipt.index, verified.receipt.entry) == (original.receipt.index, original.receipt.entry)
    assert (verified.receipt.checkpoint.checkpoint, verified.sealed_at_ms) == (LEDGER.checkpoint(), TIME_MS)
    assert frozenset(verified.cosigners) <= frozenset(original.cosigners)  # a line may have become a stranger's


@given(st.binary(max_size=300))
def test_any_bytes_are_no_certificate(raw: bytes) -> None:
    with pytest.raises(LedgerError):
        parse_certificate(raw)


# --- history ---------------------------------------------------------------------------------------------------------


def sealed(
    size: int,
    *,
    height: int,
    view: int | None = None,
    time_ms: int | None = None,
    epoch: int = 1,
    entries: Sequence[bytes] = LEDGER.entries,
    block: bytes | None = None,
) -> VerifiedCheckpoint:
    """Seal a tree of so many entries as the block of this height, with everything else as an honest chain has it."""
    line = replace(LEDGER, entries=entries)
    checkpoint = line.checkpoint(size)
    signature = line.seal(
        checkpoint,
        epoch=Epoch(epoch),
        view=View(2 * height if view is None else view),
        height=Height(height),
        time_ms=Millis(TIME_MS + height if time_ms is None else time_ms),
        block=hashlib.sha256(b"%d" % height).digest() if block is None else block,
    )
    return believe(checkpoint, signature)


def believe(checkpoint: Checkpoint, *lines: SignatureLine) -> VerifiedCheckpoint:
    text = f"{checkpoint.origin}\n{checkpoint.size}\n{encode_base64(checkpoint.root)}\n"
    return policy.verify(Note(text, lines), KEYS)


def consistency(old: int, new: int, entries: Sequence[bytes] = LEDGER.entries) -> list[bytes]:
    leaves = [leaf_hash(entry) for entry in entries]

    def read(level: int, at: int) -> bytes:
        return compute_root(leaves[at << level : (at + 1) << level])

    return prove_consistency(old_size=TreeSize(old), new_size=TreeSize(new), read=read)


OTHER = (CHARTER_ENTRY, b"registration", b"another report", VERDICT_ENTRY, b"later")


@pytest.mark.parametrize("old", range(1, 6))
def test_an_observer_follows_a_ledger_that_grows(old: int) -> None:
    for new in range(old, 6):
        older, newer = sealed(old, height=old), sealed(new, height=new + 1)
        assert find_contradiction(older, newer) is None
        verify_history(older=older, newer=newer, proof=consistency(old, new) if new > old else ())


def test_the_same_checkpoint_is_its_own_continuation() -> None:
    verify_history(older=sealed(4, height=7), newer=sealed(4, height=7), proof=())


def test_another_epoch_may_begin_at_view_one() -> None:
    older, newer = sealed(3, height=7), sealed(5, height=8, epoch=2, view=1)
    verify_history(older=older, newer=newer, proof=consistency(3, 5))


@pytest.mark.parametrize(
    ("first", "second", "field"),
    [
        (sealed(4, height=7), sealed(4, height=7, block=bytes(32)), "block"),
        (sealed(4, height=7), sealed(4, height=8, block=hashlib.sha256(b"7").digest()), "block"),
        (sealed(4, height=7), sealed(4, height=7, entries=OTHER), "root"),
        (sealed(4, height=7), sealed(4, height=9, entries=OTHER), "root"),
        (sealed(4, height=7), sealed(3, height=8), "size"),
        (sealed(4, height=7), sealed(5, height=7), "size"),
        (sealed(5, height=7), sealed(4, height=7), "size"),
        (sealed(4, height=7), sealed(5, height=8, time_ms=TIME_MS + 6), "time_ms"),
        (sealed(4, height=7), sealed(4, height=7, time_ms=TIME_MS + 8), "time_ms"),
        (sealed(4, height=7, epoch=2), sealed(5, height=8, epoch=1), "epoch"),
        (sealed(4, height=7, epoch=1), sealed(4, height=7, epoch=2), "epoch"),
        (sealed(4, height=7, view=20), sealed(5, height=8, view=19), "view"),
        (sealed(4, height=7, view=20), sealed(5, height=8, view=20), "view"),
        (sealed(4, height=7, view=20), sealed(4, height=7, view=21), "view"),
    ],
)
def test_two_sealed_checkpoints_that_cannot_both_be_true_are_found_out_in_either_order(
    first: VerifiedCheckpoint, second: VerifiedCheckpoint, field: str
) -> None:
    for older, newer in ((first, second), (second, first)):
        contradiction = find_contradiction(older, newer)
        assert contradiction is not None
        assert contradiction.field == field
        with pytest.raises(ProofError) as caught:
            verify_history(older=older, newer=newer, proof=())
        assert caught.value.field == f"history.{field}"


def test_a_server_that_goes_back_in_time_is_caught_but_has_not_lied() -> None:
    older, newer = sealed(5, height=8), sealed(4, height=7)
    assert find_contradiction(older, newer) is None
    with pytest.raises(PolicyError) as caught:
        verify_history(older=older, newer=newer, proof=())
    assert caught.value.field == "history.height"


def test_a_rewritten_history_has_no_proof() -> None:
    older, newer = sealed(3, height=7), sealed(5, height=8, entries=OTHER)
    for proof in (consistency(3, 5), consistency(3, 5, OTHER), [], [bytes(32)]):
        with pytest.raises(ProofError) as caught:
            verify_history(older=older, newer=newer, proof=proof)
        assert caught.value.field.startswith("proof")


def test_two_ledgers_have_no_common_history() -> None:
    newer = sealed(5, height=8)
    other = replace(newer, checkpoint=replace(newer.checkpoint, origin="another.example/ledger"))
    with pytest.raises(PolicyError) as caught:
        verify_history(older=newer, newer=other, proof=())
    assert caught.value.field == "history.origin"
