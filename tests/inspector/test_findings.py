"""`inspector.findings`: from a report to an entry that the rules of the ledger take, and nothing else is signed."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from inspector.entries import Ledger
from inspector.findings import Signed, check_signed, compose_body, countersign, encode_signed, parse_signed
from inspector.keys import InspectorKeys
from inspector.report import InspectionReport, compute_report_digest, encode_report
from ledger.domains import PAYLOAD_TYPE
from ledger.ed25519 import is_ed25519_signature
from ledger.errors import FormatError, LedgerError, PolicyError, SignatureError
from ledger.statements.dsse import encode_pae, parse_envelope, verify_envelope
from ledger.statements.inspections import Finding, encode_finding, parse_finding
from tests.inspector.dossiers import NATION, header, open_dossier, the_charter, the_keys
from tests.inspector.test_report import examine_dossier
from tests.ledger.rulebook import Key

replaced = msgspec.structs.replace
LEDGER = Ledger(the_charter(), is_pinned=True)


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> InspectionReport:
    return examine_dossier(open_dossier(tmp_path_factory.mktemp("finding"), records=()))


@pytest.fixture
def keys(tmp_path: Path) -> InspectorKeys:
    return the_keys(tmp_path)


def sign_as_nation(body: bytes, *, signer: str = NATION, **changes: Any) -> Signed:
    """What `counterseal nation find` does."""
    predicate = msgspec.convert(header(NATION) | msgspec.json.decode(body) | changes, Finding)
    payload = encode_finding(predicate)
    key = Key(signer)
    return Signed(payload=payload, signature=key.sign(encode_pae(PAYLOAD_TYPE, payload)), public_key=key.public)


def compose(report: InspectionReport, **said: Any) -> bytes:
    return compose_body(encode_report(report), report, **{"conclusion": "inconclusive", **said})


def check(signed: Signed, report: InspectionReport, keys: InspectorKeys) -> Finding:
    return check_signed(signed, report_raw=encode_report(report), report=report, keys=keys, ledger=LEDGER)


def test_a_finding_carries_both_signatures_and_the_digest_of_the_report(
    report: InspectionReport, keys: InspectorKeys
) -> None:
    body = compose(report, conclusion="consistent", level="A3")
    signed = parse_signed(encode_signed(sign_as_nation(body)))
    check(signed, report, keys)
    envelope = parse_envelope(countersign(signed, keys))
    signers = verify_envelope(
        envelope,
        public_keys=[the_charter().members[1].identity, keys.public.signing_key],
        is_signature=is_ed25519_signature,
    )
    assert len(signers) == 2
    finding = parse_finding(envelope.payload).predicate
    assert finding.report == compute_report_digest(encode_report(report))
    assert (finding.conclusion, finding.level, finding.challenge) == ("consistent", "A3", "c-1")
    assert {line.conclusion for line in finding.fields} == {"consistent"}


def test_fields_that_fail_or_were_not_opened_are_found_so(report: InspectionReport) -> None:
    failed = replaced(report.comparisons[0], check="X3", field="training_pflop", outcome="fails")
    bad = replaced(
        report,
        comparisons=(failed, *report.comparisons),
        missing=("fields.runs", "records.3"),
        result="inconsistent",
        fields={name: value for name, value in report.fields.items() if name != "runs"},
    )
    body = msgspec.json.decode(compose(bad, conclusion="inconsistent", grounds=["CHECK_FAILED"]))
    found = {line["field"]: line["conclusion"] for line in body["fields"]}
    assert (found["training_pflop"], found["runs"], found["energy_wh"]) == (
        "inconsistent",
        "inconclusive",
        "consistent",
    )
    assert not {"ledger", "issuer", "sequence", "previous"} & set(body)


@pytest.mark.parametrize(
    "said",
    [
        {"conclusion": "consistent"},
        {"conclusion": "inconclusive", "level": "A3"},
        {"conclusion": "consistent", "level": "A3", "grounds": ["CHECK_FAILED"]},
    ],
)
def test_levels_and_grounds_belong_to_their_conclusions(report: InspectionReport, said: dict[str, Any]) -> None:
    with pytest.raises(FormatError):
        compose(report, **said)


def test_nobody_finds_consistent_what_fails_in_the_report(report: InspectionReport) -> None:
    with pytest.raises(PolicyError):
        compose(replaced(report, result="inconsistent"), conclusion="consistent", level="A1")


@pytest.mark.parametrize(
    "changes",
    [
        {"ledger": "00" * 32},
        {"issuer": "avalon"},
        {"inspector": "bob"},
        {"challenge": "c-2"},
        {"report": "00" * 32},
        {"signer": "avalon"},
    ],
)
def test_nothing_else_than_ones_own_finding_is_countersigned(
    report: InspectionReport, keys: InspectorKeys, changes: dict[str, Any]
) -> None:
    with pytest.raises(PolicyError):
        check(sign_as_nation(compose(report), **changes), report, keys)


def test_what_the_nation_did_not_sign_is_not_countersigned(report: InspectionReport, keys: InspectorKeys) -> None:
    signed = sign_as_nation(compose(report))
    with pytest.raises(SignatureError):
        check(replaced(signed, signature=bytes(64)), report, keys)


@pytest.mark.parametrize(
    "raw", [b"", b"{}", b"[" * 10**5, b'{"payload":"","signature":"","public_key":""}', b"x" * 10**6]
)
def test_other_files_are_refused_in_a_sentence(raw: bytes) -> None:
    with pytest.raises(LedgerError):
        parse_signed(raw)
