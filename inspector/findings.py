"""A finding: from a report to the body that the nation signs first, and from there to the entry with both signatures.

1. The inspector makes the body: what is concluded, why, and the SHA-256 of the report.
2. The nation adds its header and signs; what comes back is payload, signature and public key, in one file.
3. The inspector countersigns only if the payload is a finding of their nation in their name, of the ledger of the
   charter, about the challenge of the report, with that report's SHA-256, and truly signed by the nation.
4. Both signatures stand in one envelope, which is submitted before the nation says anything else: it has that place.

An inspector speaks once a challenge, and what was said is not changed.
"""

from collections.abc import Sequence
from typing import Annotated, Final

import msgspec

from inspector.entries import Ledger
from inspector.keys import InspectorKeys
from inspector.report import InspectionReport, compute_report_digest
from ledger.domains import PAYLOAD_TYPE
from ledger.ed25519 import is_ed25519_signature
from ledger.encoding import encode_base64
from ledger.errors import Code, FormatError, PolicyError, SignatureError
from ledger.limits import ENTRY_BYTES_MAX, KIB
from ledger.positions import Seconds
from ledger.positions import Sequence as SequenceNumber
from ledger.statements.dsse import Envelope, EnvelopeSignature, compute_keyid, encode_envelope, encode_pae
from ledger.statements.inspections import (
    Conclusion,
    FieldFinding,
    Finding,
    Ground,
    Level,
    encode_finding,
    parse_finding,
)
from ledger.statements.intoto import ZERO_HASH

SIGNED_BYTES_MAX: Final = 2 * ENTRY_BYTES_MAX + KIB

_HEADER: Final = ("ledger", "issuer", "sequence", "previous", "issued_at", "corrects")


class Signed(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the nation gives back: a finding that it signed, not yet countersigned."""

    payload: Annotated[bytes, msgspec.Meta(min_length=1, max_length=ENTRY_BYTES_MAX)]
    signature: Annotated[bytes, msgspec.Meta(min_length=64, max_length=64)]
    public_key: Annotated[bytes, msgspec.Meta(min_length=32, max_length=32)]


_SIGNED: Final = msgspec.json.Decoder(Signed)


def compose_body(
    raw: bytes,
    report: InspectionReport,
    *,
    conclusion: Conclusion,
    grounds: Sequence[Ground] = (),
    level: Level | None = None,
) -> bytes:
    """Write what the nation is to sign, without its header.

    Args:
        raw: the report's bytes.
        report: the same, read.
        conclusion: of all together.
        grounds: why it is inconsistent.
        level: how far the declaration was checked, if it is consistent.

    Raises:
        PolicyError: *consistent*, against a report in which something fails; or the report is on a sample, which
            nobody finds upon until a challenge names it as its grounds.
        FormatError: grounds or a level that do not belong to the conclusion.
    """
    if report.challenge is None:
        expected = "a report on a challenge, such as one that names this sample as its grounds"
        raise PolicyError(field="report.challenge", found=report.about, expected=expected)
    if conclusion == "consistent" and report.result == "inconsistent":
        expected = "another conclusion: something fails in the report"
        raise PolicyError(field="finding.conclusion", found=conclusion, expected=expected)
    finding = Finding(
        ledger=report.ledger,
        issuer=report.nation,
        sequence=SequenceNumber(0),
        previous=ZERO_HASH,
        issued_at=Seconds(0),
        corrects=None,
        challenge=report.challenge,
        inspector=report.inspector,
        conclusion=conclusion,
        fields=_list_fields(report),
        grounds=tuple(sorted(dict.fromkeys(grounds))),
        level=level,
        report=compute_report_digest(raw),
    )
    encode_finding(finding)
    body = {name: value for name, value in msgspec.structs.asdict(finding).items() if name not in _HEADER}
    return msgspec.json.format(msgspec.json.encode(body), indent=2) + b"\n"


def encode_signed(signed: Signed) -> bytes:
    """Write the file that the nation gives back."""
    parts = {name: encode_base64(getattr(signed, name)) for name in Signed.__struct_fields__}
    return msgspec.json.format(msgspec.json.encode(parts), indent=2) + b"\n"


def parse_signed(raw: bytes) -> Signed:
    """Read what the nation gave back.

    Raises:
        FormatError: not of the form.
    """
    if len(raw) > SIGNED_BYTES_MAX:
        raise FormatError(field="signed", found=f"{len(raw)} bytes", expected=f"at most {SIGNED_BYTES_MAX} bytes")
    try:
        return _SIGNED.decode(raw)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        expected = "the file with payload, signature and public key that the nation wrote"
        raise FormatError(field="signed", found=str(error), expected=expected) from None


def check_signed(
    signed: Signed, *, report_raw: bytes, report: InspectionReport, keys: InspectorKeys, ledger: Ledger
) -> Finding:
    """Check that what the nation signed is a finding that this inspector can stand by: rule 3.

    Args:
        signed: from the nation.
        report_raw: the inspector's own report, as bytes.
        report: the same, read.
        keys: of the inspector.
        ledger: believed.

    Raises:
        FormatError: not a finding.
        PolicyError: of another ledger, nation, inspector, challenge or report.
        SignatureError: the nation did not sign it.
    """
    finding = parse_finding(signed.payload).predicate
    charter = ledger.charter
    member = charter.find_member(keys.nation)
    pairs = (
        ("ledger", finding.ledger, charter.fingerprint, Code.WRONG_LEDGER),
        ("issuer", finding.issuer, keys.nation, Code.WRONG_ISSUER),
        ("inspector", finding.inspector, keys.public.id, Code.WRONG_ISSUER),
        ("challenge", finding.challenge, report.about, None),
        ("report", finding.report, compute_report_digest(report_raw), None),
    )
    for name, found, expected, code in pairs:
        if found != expected:
            raise PolicyError(field=f"finding.{name}", found=found, expected=expected, code=code)
    if member is None or member.identity != signed.public_key:
        expected = f"the identity key of {keys.nation} in the charter"
        raise PolicyError(field="signed.public_key", found=signed.public_key.hex(), expected=expected)
    if not is_ed25519_signature(signed.public_key, signed.signature, encode_pae(PAYLOAD_TYPE, signed.payload)):
        expected = f"one by {keys.nation}"
        raise SignatureError(field="signed.signature", found="one that does not verify", expected=expected)
    return finding


def countersign(signed: Signed, keys: InspectorKeys) -> bytes:
    """Put the nation's and the inspector's signature into one envelope. Only for what `check_signed` let pass."""
    message = encode_pae(PAYLOAD_TYPE, signed.payload)
    lines = [
        EnvelopeSignature(compute_keyid(signed.public_key), signed.signature),
        EnvelopeSignature(compute_keyid(keys.public.signing_key), keys.sign(message)),
    ]
    lines.sort(key=lambda line: line.keyid)
    return encode_envelope(Envelope(payload=signed.payload, signatures=tuple(lines)))


def describe_finding(finding: Finding, report: InspectionReport) -> list[str]:
    """Say a finding in lines, for whoever signs it."""
    lines = [
        f"challenge   {finding.challenge}: {report.lab}, {report.cluster}, interval {report.interval}",
        f"conclusion  {finding.conclusion}",
        *(f"ground      {ground}" for ground in finding.grounds),
        *(f"field       {line.field}: {line.conclusion}" for line in finding.fields),
        f"report      SHA-256 {finding.report}, whose arithmetic says {report.result}",
    ]
    if finding.level is not None:
        lines.insert(2, f"level       {finding.level}")
    return lines


def _list_fields(report: InspectionReport) -> tuple[FieldFinding, ...]:
    """What was found of each field: inconsistent if a comparison of it fails, inconclusive if it was not opened."""
    failed = [one.field for one in report.comparisons if one.outcome == "fails" and one.subject == report.cluster]
    conclusions: dict[str, Conclusion] = {}
    for opened in report.fields:
        is_failed = any(opened in field.split(".") for field in failed)
        conclusions[opened] = "inconsistent" if is_failed else "consistent"
    for missing in report.missing:
        part, _, name = missing.partition(".")
        if part == "fields":
            conclusions[name] = "inconclusive"
    listed = [{"field": name, "conclusion": conclusions[name]} for name in sorted(conclusions)]
    return msgspec.convert(listed, tuple[FieldFinding, ...])
