"""Registrations, reports, corrections, verdicts: what each says, and what none of them may say."""

import hashlib
import json
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ledger import domains
from ledger.disclosure import check_disclosures, commit_fields
from ledger.errors import Code, FormatError
from ledger.limits import ENTRY_BYTES_MAX, INTEGER_MAX
from ledger.positions import Interval, Millis, Seconds, Sequence
from ledger.statements.computed import is_computed_entry
from ledger.statements.intoto import ZERO_HASH, Corrects, find_kind
from ledger.statements.registry import (
    Capacity,
    Cluster,
    LabKey,
    Registration,
    compute_next_key_commitment,
    encode_registration,
    parse_registration,
)
from ledger.statements.reports import (
    EMPTY_RECORDS_ROOT,
    HIDDEN_FIELD_NAMES,
    Evidence,
    HiddenFields,
    LimitRespected,
    Records,
    Report,
    Row,
    Run,
    Split,
    compute_band,
    compute_evidence_nonce,
    encode_correction,
    encode_hidden_fields,
    encode_report,
    parse_correction,
    parse_hidden_field,
    parse_hidden_fields,
    parse_report,
)
from ledger.statements.verdicts import (
    STATE_OF_REASON,
    STATES_BY_SEVERITY,
    Reason,
    Verdict,
    VerdictState,
    compute_worst_state,
    encode_verdict,
    parse_verdict,
)

LEDGER = "ab" * 32
LEAF = "cd" * 32
ROOT = "ef" * 32


def public_key(seed: int) -> bytes:
    return Ed25519PrivateKey.from_private_bytes(seed.to_bytes(32, "big")).public_key().public_bytes_raw()


def digest(number: int) -> str:
    return f"{number:042d}A"


REGISTRATION = Registration(
    ledger=LEDGER,
    issuer="france",
    sequence=Sequence(4),
    previous=LEAF,
    issued_at=Seconds(1_800_000_000),
    corrects=None,
    lab="acme",
    name="Acme Research SA",
    keys=(LabKey(public_key(1), "revoked"), LabKey(public_key(2), "active")),
    next_key_sha256=compute_next_key_commitment(public_key(3)),
    clusters=(
        Cluster(id="paris-1", facility="Saint-Denis", country="FR", capacity=None),
        Cluster(id="lyon-1", facility="Lyon", country="FR", capacity=(Capacity("h100", 4096),)),
    ),
)

EVIDENCE = Evidence(type="tdx-quote", layer="host", digest=ROOT, size=5006, nonce=LEAF)
ROW = Row(
    cluster="lyon-1",
    digests=(digest(1), digest(2)),
    limits_respected=(LimitRespected("run-cap", respected=True), LimitRespected("no-pretraining", respected=False)),
    band=23,
    records=Records(ROOT, 3),
    evidence=(EVIDENCE,),
)
IDLE_ROW = Row(
    cluster="paris-1",
    digests=(digest(3),),
    limits_respected=ROW.limits_respected,
    band=0,
    records=Records(EMPTY_RECORDS_ROOT, 0),
    evidence=(),
)
REPORT = Report(
    ledger=LEDGER,
    issuer="acme",
    sequence=Sequence(0),
    previous=ZERO_HASH,
    issued_at=Seconds(0),
    corrects=None,
    interval=Interval(12),
    rows=(ROW, IDLE_ROW),
)
CORRECTION = msgspec.structs.replace(REPORT, corrects=Corrects(LEAF, "meter read twice"))

VERDICT = Verdict(
    ledger=LEDGER,
    lab="acme",
    nation="france",
    cluster="lyon-1",
    interval=Interval(12),
    state=VerdictState.EXCEEDED,
    reasons=(Reason.FILED_AFTER_DUE, Reason.LIMIT_EXCEEDED_BY_DECLARATION),
    assurance="A0",
    report=LEAF,
    time_ms=Millis(1_800_000_000_123),
    supersedes=ZERO_HASH,
)

HIDDEN = HiddenFields(
    chip_seconds={"h100": 353_894_400, "b200": "9007199254740993"},
    busy_chip_seconds=1,
    split=Split(training=1, post_training=2, inference=3, evaluation=4, other=5, idle=6),
    training_pflop=10**9,
    largest_run_pflop=10**8,
    energy_wh=5,
    facility_energy_wh=6,
    utilisation_permille=1000,
    runs=(Run(run="r1", pflop=1, cumulative_pflop=2), Run(run="r2", pflop=0, cumulative_pflop=0)),
)


def test_registration_reads_back_and_is_about_the_lab_and_its_first_active_key() -> None:
    statement = parse_registration(encode_registration(REGISTRATION))
    assert statement.predicate == REGISTRATION
    assert statement.kind == "registration"
    assert statement.subject.name == "acme"
    assert statement.subject.digest.sha256 == hashlib.sha256(public_key(2)).hexdigest()
    assert statement.predicate.active_keys() == (public_key(2),)


def test_registration_is_spelt_in_the_documented_order() -> None:
    predicate = json.loads(encode_registration(REGISTRATION))["predicate"]
    header = ["ledger", "issuer", "sequence", "previous", "issued_at", "corrects"]
    assert list(predicate) == [*header, "lab", "name", "keys", "next_key_sha256", "clusters"]
    assert list(predicate["keys"][0]) == ["key", "status"]
    assert list(predicate["clusters"][1]) == ["id", "facility", "country", "capacity"]
    assert predicate["clusters"][0]["capacity"] is None
    assert predicate["clusters"][1]["capacity"] == [{"model": "h100", "count": 4096}]


def test_next_key_is_committed_to_under_a_tag() -> None:
    assert compute_next_key_commitment(b"k" * 32) == hashlib.sha256(domains.NEXT_KEY + b"k" * 32).hexdigest()


@pytest.mark.parametrize(
    ("what", "changes"),
    [
        ("no key", {"keys": ()}),
        ("no active key", {"keys": (LabKey(public_key(1), "revoked"),)}),
        ("a key twice", {"keys": (LabKey(public_key(1), "active"), LabKey(public_key(1), "revoked"))}),
        ("a key of small order", {"keys": (LabKey(bytes(32), "active"),)}),
        ("a key that is not reduced", {"keys": (LabKey(b"\xff" * 32, "active"),)}),
        ("a short key", {"keys": (LabKey(public_key(1)[:31], "active"),)}),
        ("an unknown status", {"keys": (LabKey(public_key(1), "asleep"),)}),  # type: ignore[arg-type]
        ("17 keys", {"keys": tuple(LabKey(public_key(seed), "active") for seed in range(1, 18))}),
        ("a cluster twice", {"clusters": REGISTRATION.clusters[:1] * 2}),
        ("a country in lower case", {"clusters": (Cluster("c", "f", "fr", None),)}),
        ("a country of three letters", {"clusters": (Cluster("c", "f", "FRA", None),)}),
        ("a facility without a name", {"clusters": (Cluster("c", "", "FR", None),)}),
        ("a model twice", {"clusters": (Cluster("c", "f", "FR", (Capacity("h100", 1), Capacity("h100", 2))),)}),
        ("a negative count", {"clusters": (Cluster("c", "f", "FR", (Capacity("h100", -1),)),)}),
        ("a name with a line feed", {"name": "Acme\nInc"}),
        ("no name", {"name": ""}),
        ("a lab id with a capital", {"lab": "Acme"}),
        ("a correction", {"corrects": Corrects(LEAF, "typo")}),
        ("a commitment that is no hash", {"next_key_sha256": "ab"}),
    ],
)
def test_registration_that_contradicts_itself_is_refused(what: str, changes: dict[str, Any]) -> None:  # Any: fields
    with pytest.raises(FormatError):
        encode_registration(msgspec.structs.replace(REGISTRATION, **changes))


def test_report_reads_back_and_is_about_its_interval_and_roots() -> None:
    statement = parse_report(encode_report(REPORT))
    assert statement.predicate == REPORT
    assert statement.subject.name == "acme/12"
    roots = bytes.fromhex(ROOT) + hashlib.sha256(b"").digest()
    assert statement.subject.digest.sha256 == hashlib.sha256(roots).hexdigest()


def test_report_is_spelt_in_the_documented_order() -> None:
    predicate = json.loads(encode_report(REPORT))["predicate"]
    assert list(predicate)[6:] == ["interval", "rows"]
    row = predicate["rows"][0]
    assert list(row) == ["cluster", "digests", "limits_respected", "band", "records", "evidence"]
    assert row["limits_respected"][1] == {"limit": "no-pretraining", "respected": False}
    assert list(row["records"]) == ["root", "count"]
    assert list(row["evidence"][0]) == ["type", "layer", "digest", "size", "nonce"]


@pytest.mark.parametrize(
    ("what", "rows"),
    [
        ("no row", ()),
        ("rows out of order", (IDLE_ROW, ROW)),
        ("a cluster twice", (ROW, ROW)),
        ("digests out of order", (msgspec.structs.replace(ROW, digests=ROW.digests[::-1]),)),
        ("a digest twice in a row", (msgspec.structs.replace(ROW, digests=ROW.digests[:1] * 2),)),
        ("a digest twice in two rows", (ROW, msgspec.structs.replace(IDLE_ROW, digests=ROW.digests[:1]))),
        ("a digest that is not canonical", (msgspec.structs.replace(ROW, digests=("A" * 42 + "B",)),)),
        ("a digest with padding", (msgspec.structs.replace(ROW, digests=("A" * 43 + "=",)),)),
        ("a digest in the other alphabet", (msgspec.structs.replace(ROW, digests=("+" * 42 + "A",)),)),
        ("a limit twice", (msgspec.structs.replace(ROW, limits_respected=ROW.limits_respected[:1] * 2),)),
        ("a negative band", (msgspec.structs.replace(ROW, band=-1),)),
        ("a band above 40", (msgspec.structs.replace(ROW, band=41),)),
        ("records without a root", (msgspec.structs.replace(ROW, records=Records(EMPTY_RECORDS_ROOT, 3)),)),
        ("a root without records", (msgspec.structs.replace(ROW, records=Records(ROOT, 0)),)),
        ("a root that is no hex", (msgspec.structs.replace(ROW, records=Records("xyz", 1)),)),
        ("65 pieces of evidence", (msgspec.structs.replace(ROW, evidence=(EVIDENCE,) * 65),)),
    ],
)
def test_report_that_contradicts_itself_is_refused(what: str, rows: tuple[Row, ...]) -> None:
    with pytest.raises(FormatError):
        encode_report(msgspec.structs.replace(REPORT, rows=rows))


def test_interval_is_bounded() -> None:
    for interval in (-1, 2**32, 2**64):
        with pytest.raises(FormatError):
            encode_report(msgspec.structs.replace(REPORT, interval=Interval(interval)))


def test_list_of_4097_rows_is_refused() -> None:
    rows = tuple(
        Row(cluster=f"{number:04d}", digests=(), limits_respected=(), band=0, records=IDLE_ROW.records, evidence=())
        for number in range(4097)
    )
    with pytest.raises(FormatError):
        encode_report(msgspec.structs.replace(REPORT, rows=rows))


def test_report_of_a_large_lab_fits_an_entry() -> None:
    rows = tuple(
        msgspec.structs.replace(
            ROW,
            cluster=f"cluster-{number:03d}",
            digests=tuple(digest(number * 16 + field) for field in range(16)),
        )
        for number in range(24)
    )
    payload = encode_report(msgspec.structs.replace(REPORT, rows=rows))
    assert len(payload) * 4 // 3 + 300 < ENTRY_BYTES_MAX


def test_correction_says_what_it_corrects_and_a_report_does_not() -> None:
    statement = parse_correction(encode_correction(CORRECTION))
    assert statement.predicate == CORRECTION
    assert statement.kind == "correction"
    with pytest.raises(FormatError):
        encode_correction(REPORT)
    with pytest.raises(FormatError):
        encode_report(CORRECTION)
    with pytest.raises(FormatError):
        parse_report(encode_correction(CORRECTION))
    with pytest.raises(FormatError):
        parse_correction(encode_report(REPORT))


def test_evidence_nonce_binds_everything_it_is_made_of() -> None:
    def nonce(**changes: Any) -> bytes:  # Any: any of the arguments
        arguments: dict[str, Any] = {"ledger": LEDGER, "lab": "acme", "interval": Interval(12)}
        arguments |= {"previous": LEAF, "latest_root": b"r" * 32}
        return compute_evidence_nonce(**(arguments | changes))

    tag = b"counter" + b"seal/evidence/v1\n"
    parts = bytes.fromhex(LEDGER), b"acme", (12).to_bytes(8, "big"), bytes.fromhex(LEAF), b"r" * 32
    assert nonce() == hashlib.sha256(tag + b"".join(parts)).digest()
    changed = {
        nonce(),
        nonce(ledger=LEAF),
        nonce(lab="acmf"),
        nonce(interval=Interval(13)),
        nonce(previous=LEDGER),
        nonce(latest_root=b"s" * 32),
    }
    assert len(changed) == 6


@pytest.mark.parametrize(
    ("pflop", "band"), [(0, 0), (1, 15), (9, 15), (10, 16), (10**9 - 1, 23), (10**9, 24), (10**11, 26)]
)
def test_band_is_the_decade_of_operations(pflop: int, band: int) -> None:
    assert compute_band(pflop) == band


def test_hidden_fields_become_one_value_each_and_read_back() -> None:
    values = encode_hidden_fields(HIDDEN)
    assert list(values) == list(HIDDEN_FIELD_NAMES)
    assert values["runs"] == [
        {"run": "r1", "pflop": 1, "cumulative_pflop": 2},
        {"run": "r2", "pflop": 0, "cumulative_pflop": 0},
    ]
    assert parse_hidden_fields(values) == HIDDEN
    for name, value in values.items():
        assert parse_hidden_field(name, value) == getattr(HIDDEN, name)


def test_hidden_fields_survive_commitment_and_disclosure() -> None:
    salts = [bytes([number]) * 16 for number in range(len(HIDDEN_FIELD_NAMES))]
    committed = commit_fields(encode_hidden_fields(HIDDEN), salts=salts)
    encode_report(msgspec.structs.replace(REPORT, rows=(msgspec.structs.replace(ROW, digests=committed.digests),)))
    opened = check_disclosures(committed.digests, list(committed.disclosures.values()))
    assert parse_hidden_fields({disclosure.name: disclosure.value for disclosure in opened}) == HIDDEN


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("chip_seconds", {"H100": 1}),
        ("chip_seconds", {"h100": -1}),
        ("chip_seconds", {"h100": INTEGER_MAX + 1}),
        ("chip_seconds", {"h100": str(INTEGER_MAX)}),
        ("chip_seconds", [1]),
        ("chip_seconds", {f"m{number}": 1 for number in range(257)}),
        ("busy_chip_seconds", True),
        ("busy_chip_seconds", 1.0),
        ("busy_chip_seconds", None),
        ("busy_chip_seconds", "1"),
        ("split", {"training": 1}),
        ("split", encode_hidden_fields(HIDDEN)["split"] | {"extra": 1}),  # type: ignore[operator]
        ("split", encode_hidden_fields(HIDDEN)["split"] | {"idle": str(INTEGER_MAX)}),  # type: ignore[operator]
        ("training_pflop", "1e9"),
        ("training_pflop", str(INTEGER_MAX)),
        ("utilisation_permille", 1001),
        ("utilisation_permille", -1),
        ("runs", [{"run": "r1", "pflop": 1}]),
        ("runs", [{"run": "r1", "pflop": 1, "cumulative_pflop": str(INTEGER_MAX)}]),
        ("runs", [{"run": "r1", "pflop": str(INTEGER_MAX), "cumulative_pflop": 7}]),
        ("runs", [{"run": "r1", "pflop": 1, "cumulative_pflop": 1}] * 2),
        ("runs", [{"run": f"r{number}", "pflop": 1, "cumulative_pflop": 1} for number in range(4097)]),
        ("energy", 1),
        ("energy", None),
    ],
)
def test_hidden_field_out_of_its_type_is_refused_alone_and_among_all(name: str, value: object) -> None:
    with pytest.raises(FormatError):
        parse_hidden_field(name, value)
    with pytest.raises(FormatError):
        parse_hidden_fields({**encode_hidden_fields(HIDDEN), name: value})


def test_hidden_fields_out_of_bounds_are_not_encoded() -> None:
    for changes in ({"energy_wh": INTEGER_MAX + 1}, {"utilisation_permille": 1001}, {"runs": HIDDEN.runs[:1] * 2}):
        with pytest.raises(FormatError):
            encode_hidden_fields(msgspec.structs.replace(HIDDEN, **changes))


def test_missing_hidden_field_is_refused() -> None:
    for name in HIDDEN_FIELD_NAMES:
        values = encode_hidden_fields(HIDDEN)
        del values[name]
        with pytest.raises(FormatError):
            parse_hidden_fields(values)


def test_verdict_is_the_statement_alone_with_sorted_keys() -> None:
    entry = encode_verdict(VERDICT)
    assert entry.decode() == (
        '{"_type":"https://in-toto.io/Statement/v1",'
        f'"predicate":{{"assurance":"A0","cluster":"lyon-1","interval":12,"lab":"acme","ledger":"{LEDGER}",'
        '"nation":"france","reasons":["FILED_AFTER_DUE","LIMIT_EXCEEDED_BY_DECLARATION"],'
        f'"report":"{LEAF}","state":"exceeded","supersedes":"{ZERO_HASH}","time_ms":1800000000123}},'
        '"predicateType":"urn:counterseal:verdict:v1",'
        f'"subject":[{{"digest":{{"sha256":"{LEAF}"}},"name":"acme/lyon-1/12"}}]}}'
    )
    assert json.dumps(json.loads(entry), sort_keys=True, separators=(",", ":")).encode() == entry
    assert parse_verdict(entry) == VERDICT


def test_computed_entries_are_told_from_signed_ones() -> None:
    assert is_computed_entry(encode_verdict(VERDICT))
    assert not is_computed_entry(b'{"payload":"e30=","payloadType":"application/vnd.in-toto+json","signatures":[]}')


def test_changed_verdict_is_refused_or_another_verdict() -> None:
    entry = encode_verdict(VERDICT)
    read_otherwise = 0
    for position in range(len(entry)):
        mutated = bytearray(entry)
        mutated[position] ^= 1
        try:
            verdict = parse_verdict(bytes(mutated))
        except FormatError:
            continue
        assert verdict != VERDICT
        assert encode_verdict(verdict) == mutated
        read_otherwise += 1
    assert read_otherwise > 0  # hashes and numbers are free: the rules compute them again


@pytest.mark.parametrize(
    ("what", "changes"),
    [
        ("reasons out of order", {"reasons": VERDICT.reasons[::-1]}),
        ("a reason twice", {"reasons": VERDICT.reasons[:1] * 2}),
        ("an unknown reason", {"reasons": ("BAD_LUCK",)}),
        ("an unknown state", {"state": "fine"}),
        ("an unknown assurance", {"assurance": "A5"}),
        ("a lab id with a slash", {"lab": "a/b"}),
    ],
)
def test_verdict_of_another_vocabulary_is_refused(what: str, changes: dict[str, Any]) -> None:  # Any: fields
    entry = encode_verdict(msgspec.structs.replace(VERDICT, **changes))
    with pytest.raises(FormatError):
        parse_verdict(entry)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"state":', b'"state": '),
        (b'"_type"', b' "_type"'),
        (b'"name":"acme/lyon-1/12"', b'"name":"acme/lyon-1/13"'),
        (b"verdict:v1", b"verdict:v2"),
        (b"Statement/v1", b"Statement/v0"),
        (b'"interval":12', b'"interval":12.0'),
        (b'"interval":12', b'"interval":12,"extra":1'),
        (b'"interval":12', b'"interval":12,"interval":12'),
        (b'"A0"', b'"A\\u0030"'),
    ],
)
def test_second_spelling_of_a_verdict_is_refused(old: bytes, new: bytes) -> None:
    entry = encode_verdict(VERDICT)
    assert old in entry
    with pytest.raises(FormatError):
        parse_verdict(entry.replace(old, new))


def test_verdict_above_the_limit_is_refused_by_size_alone() -> None:
    with pytest.raises(FormatError) as caught:
        parse_verdict(b" " * (ENTRY_BYTES_MAX + 1))
    assert caught.value.code == Code.TOO_LARGE


def test_worst_reason_wins_and_none_is_compliant() -> None:
    assert compute_worst_state([]) == VerdictState.COMPLIANT
    assert compute_worst_state(VERDICT.reasons) == VerdictState.EXCEEDED
    assert compute_worst_state([Reason.ROW_MISSING, Reason.FILED_AFTER_DUE]) == VerdictState.UNVERIFIABLE
    assert compute_worst_state(list(Reason)) == VerdictState.EXCEEDED
    assert list(STATE_OF_REASON) == list(Reason)
    assert sorted(STATES_BY_SEVERITY) == sorted(VerdictState)


def test_kinds_are_those_of_their_predicate_types() -> None:
    found = [
        find_kind(raw)
        for raw in (encode_registration(REGISTRATION), encode_report(REPORT), encode_correction(CORRECTION))
    ]
    assert found == ["registration", "report", "correction"]
