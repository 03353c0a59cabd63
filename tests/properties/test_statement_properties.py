"""Statements, envelopes and disclosures under bytes that nobody planned for.

For every parser: any bytes give a value or a `LedgerError`, and whatever is accepted is what its own value encodes to.
"""

import hashlib
import json
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import example, given
from hypothesis import strategies as st

from ledger.charter import parse_charter, parse_charter_payload
from ledger.disclosure import (
    Disclosure,
    RecordsTree,
    check_disclosures,
    commit_fields,
    commit_records,
    compute_digest,
    encode_disclosure,
    parse_disclosure,
    verify_record,
)
from ledger.encoding import encode_base64url
from ledger.errors import LedgerError
from ledger.limits import BAND_MAX, INTEGER_MAX, INTERVAL_MAX, SIZE_MAX, TIME_S_MAX
from ledger.positions import Interval, LeafIndex, Millis, Seconds, Sequence
from ledger.statements.dsse import encode_envelope, parse_envelope, sign_envelope
from ledger.statements.intoto import Corrects, encode_quantity, find_kind
from ledger.statements.registry import (
    Capacity,
    Cluster,
    LabKey,
    Registration,
    encode_registration,
    parse_registration,
)
from ledger.statements.reports import (
    EMPTY_RECORDS_ROOT,
    Evidence,
    HiddenFields,
    LimitRespected,
    Records,
    Report,
    Row,
    Run,
    Split,
    encode_correction,
    encode_hidden_fields,
    encode_report,
    parse_correction,
    parse_hidden_field,
    parse_hidden_fields,
    parse_report,
)
from ledger.statements.verdicts import Reason, Verdict, VerdictState, encode_verdict, parse_verdict

identifiers = st.from_regex(r"[a-z0-9-]{1,64}", fullmatch=True)
hashes = st.binary(min_size=32, max_size=32).map(bytes.hex)
counts = st.integers(0, INTEGER_MAX)
quantities = st.one_of(st.integers(0, INTEGER_MAX), st.integers(INTEGER_MAX + 1, SIZE_MAX)).map(encode_quantity)
# Letters, marks, digits, punctuation and plain spaces of any script; what is refused has its own tests.
letters = st.characters(categories=["L", "N", "P", "Sc"], include_characters=' "\\/<>&', max_codepoint=0x2FFFF)
names = st.text(letters.filter(lambda c: not 0xF900 <= ord(c) <= 0xFFFF), min_size=1, max_size=40)
digests = st.binary(min_size=32, max_size=32).map(encode_base64url)
keys = st.binary(min_size=32, max_size=32).map(
    lambda seed: Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()
)


def header(corrects: st.SearchStrategy[Corrects | None]) -> dict[str, st.SearchStrategy[Any]]:  # Any: fields
    return {
        "ledger": hashes,
        "issuer": identifiers,
        "sequence": counts.map(Sequence),
        "previous": hashes,
        "issued_at": st.integers(0, TIME_S_MAX).map(Seconds),
        "corrects": corrects,
    }


evidence = st.builds(Evidence, type=identifiers, layer=identifiers, digest=hashes, size=counts, nonce=hashes)
records = st.one_of(
    st.just(Records(EMPTY_RECORDS_ROOT, 0)), st.builds(Records, root=hashes, count=st.integers(1, INTEGER_MAX))
)
promises = st.lists(
    st.builds(LimitRespected, limit=identifiers, respected=st.booleans()), max_size=3, unique_by=lambda p: p.limit
)


@st.composite
def rows(draw: st.DrawFn) -> tuple[Row, ...]:
    clusters = sorted(draw(st.sets(identifiers, min_size=1, max_size=4)))
    hidden = draw(st.lists(digests, unique=True, min_size=len(clusters), max_size=12))
    return tuple(
        Row(
            cluster=cluster,
            digests=tuple(sorted(hidden[number :: len(clusters)])),
            limits_respected=tuple(draw(promises)),
            band=draw(st.integers(0, BAND_MAX)),
            records=draw(records),
            evidence=tuple(draw(st.lists(evidence, max_size=2))),
        )
        for number, cluster in enumerate(clusters)
    )


intervals = st.integers(0, INTERVAL_MAX).map(Interval)
reports = st.builds(Report, **header(st.none()), interval=intervals, rows=rows())
corrections = st.builds(
    Report, **header(st.builds(Corrects, leaf=hashes, reason=names)), interval=intervals, rows=rows()
)
capacities = st.lists(
    st.builds(Capacity, model=identifiers, count=counts), max_size=3, unique_by=lambda c: c.model
).map(tuple)
clusters = st.builds(
    Cluster,
    id=identifiers,
    facility=names,
    country=st.from_regex(r"[A-Z]{2}", fullmatch=True),
    capacity=st.one_of(st.none(), capacities),
)


@st.composite
def lab_keys(draw: st.DrawFn) -> tuple[LabKey, ...]:
    found = draw(st.lists(keys, min_size=1, max_size=4, unique=True))
    active = draw(st.integers(0, len(found) - 1))
    return tuple(LabKey(key, "active" if place == active else "revoked") for place, key in enumerate(found))


registrations = st.builds(
    Registration,
    **header(st.none()),
    lab=identifiers,
    name=names,
    keys=lab_keys(),
    next_key_sha256=hashes,
    clusters=st.lists(clusters, max_size=4, unique_by=lambda c: c.id).map(tuple),
)
verdicts = st.builds(
    Verdict,
    ledger=hashes,
    lab=identifiers,
    nation=identifiers,
    cluster=identifiers,
    interval=intervals,
    state=st.sampled_from(VerdictState),
    reasons=st.sets(st.sampled_from(Reason)).map(lambda found: tuple(sorted(found))),
    assurance=st.sampled_from(["A0", "A1", "A2", "A3", "A4"]),
    report=hashes,
    time_ms=st.integers(0, SIZE_MAX).map(Millis),
    supersedes=hashes,
)
runs = st.builds(Run, run=identifiers, pflop=quantities, cumulative_pflop=quantities)
split = st.builds(Split, **dict.fromkeys(Split.__struct_fields__, quantities))
plain = ("busy_chip_seconds", "training_pflop", "largest_run_pflop", "energy_wh", "facility_energy_wh")
hidden_fields = st.builds(
    HiddenFields,
    **dict.fromkeys(plain, quantities),
    chip_seconds=st.dictionaries(identifiers, quantities, max_size=3),
    split=split,
    utilisation_permille=st.integers(0, 1000),
    runs=st.lists(runs, max_size=3, unique_by=lambda run: run.run).map(tuple),
)
values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-INTEGER_MAX, INTEGER_MAX), names),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(names, inner, max_size=3)),
    max_leaves=6,
)
salts = st.binary(min_size=16, max_size=24)

SIGNER = Ed25519PrivateKey.from_private_bytes(bytes(31) + b"\x01")
SIGNERS = [(SIGNER.public_key().public_bytes_raw(), SIGNER.sign)]


@given(reports)
def test_report_reads_back(report: Report) -> None:
    payload = encode_report(report)
    assert parse_report(payload).predicate == report
    assert find_kind(payload) == "report"


@given(corrections)
def test_correction_reads_back(correction: Report) -> None:
    assert parse_correction(encode_correction(correction)).predicate == correction


@given(registrations)
def test_registration_reads_back(registration: Registration) -> None:
    assert parse_registration(encode_registration(registration)).predicate == registration


@given(verdicts)
def test_verdict_reads_back(verdict: Verdict) -> None:
    assert parse_verdict(encode_verdict(verdict)) == verdict


@given(hidden_fields)
def test_hidden_fields_read_back_together_and_alone(hidden: HiddenFields) -> None:
    encoded = encode_hidden_fields(hidden)
    assert parse_hidden_fields(encoded) == hidden
    for name, value in encoded.items():
        assert parse_hidden_field(name, value) == getattr(hidden, name)


@given(st.one_of(reports.map(encode_report), registrations.map(encode_registration)))
def test_standard_json_writers_give_the_same_bytes(payload: bytes) -> None:
    assert json.dumps(json.loads(payload), separators=(",", ":"), ensure_ascii=False).encode() == payload


@given(st.one_of(reports.map(encode_report), registrations.map(encode_registration)))
def test_envelope_reads_back(payload: bytes) -> None:
    entry = sign_envelope(payload, SIGNERS)
    envelope = parse_envelope(entry)
    assert envelope.payload == payload
    assert encode_envelope(envelope) == entry


@given(salts, names, values)
def test_disclosure_reads_back(salt: bytes, name: str, value: Any) -> None:  # Any: JSON
    disclosure = Disclosure(salt, name, value)
    assert parse_disclosure(encode_disclosure(disclosure)) == disclosure


@given(st.dictionaries(names, values, min_size=1, max_size=5), st.integers(0, 4), st.data())
def test_any_subset_of_fields_opens_and_nothing_else(fields: dict[str, Any], decoys: int, draw: st.DataObject) -> None:
    drawn = [hashlib.sha256(b"%d" % number).digest() for number in range(len(fields) + decoys)]
    committed = commit_fields(fields, salts=drawn[: len(fields)], decoys=drawn[len(fields) :])
    assert len(committed.digests) == len(fields) + decoys
    chosen = sorted(draw.draw(st.sets(st.sampled_from(sorted(fields)))))
    opened = check_disclosures(committed.digests, [committed.disclosures[name] for name in chosen])
    assert {disclosure.name: disclosure.value for disclosure in opened} == {name: fields[name] for name in chosen}


@given(st.lists(st.binary(max_size=20), min_size=1, max_size=20), st.data())
def test_any_record_opens_and_no_changed_one(contents: list[bytes], draw: st.DataObject) -> None:
    record_salts = [hashlib.sha256(b"%d" % number).digest()[:16] for number in range(len(contents))]
    tree = RecordsTree(contents, record_salts)
    assert tree.root() == commit_records(contents, record_salts)
    index = LeafIndex(draw.draw(st.integers(0, len(contents) - 1)))
    verify_record(tree.root(), contents[index], tree.open_record(index))
    other = draw.draw(st.binary(max_size=20).filter(lambda record: record != contents[index]))
    with pytest.raises(LedgerError):
        verify_record(tree.root(), other, tree.open_record(index))


def encode_parsed_charter(payload: bytes) -> bytes:
    """The charter's payload has no public encoder from its predicate; its parser compares by itself."""
    parse_charter_payload(payload)
    return payload


PARSERS: dict[str, Callable[[bytes], bytes]] = {
    "envelope": lambda raw: encode_envelope(parse_envelope(raw)),
    "registration": lambda raw: encode_registration(parse_registration(raw).predicate),
    "report": lambda raw: encode_report(parse_report(raw).predicate),
    "correction": lambda raw: encode_correction(parse_correction(raw).predicate),
    "verdict": lambda raw: encode_verdict(parse_verdict(raw)),
    "charter payload": encode_parsed_charter,
    "charter": lambda raw: parse_charter(raw).entry,
    "kind": lambda raw: raw if find_kind(raw) else b"",
}

SPECIAL = [
    *(b"", b"null", b"{}", b"[]", b"\xef\xbb\xbf{}", b"\xff\xfe", b"\0", b"{" * 65_535, b"[" * 65_535),
    *(b'{"a":' * 10_000, b'{"_type":[{"a":' * 4_000),
    *(b'{"_type":' + b"[" * 60_000, b'{"payload":' + b"[" * 60_000, b'{"payload":"' + b"=" * 60_000, b'"' * 65_535),
    *(b" " * 65_536, b'{"_type":"\\ud800"}', b'{"_type":1e999}', b'{"_type":' + b"9" * 60_000 + b"}", b'{"_type":NaN}'),
]  # fmt: skip


@pytest.mark.parametrize("parser", PARSERS)
@given(raw=st.binary(max_size=300))
def test_any_bytes_give_a_value_or_an_error_of_ours(parser: str, raw: bytes) -> None:
    try:
        encoded = PARSERS[parser](raw)
    except LedgerError:
        return
    assert encoded == raw


@pytest.mark.parametrize("parser", PARSERS)
@pytest.mark.parametrize("raw", SPECIAL, ids=lambda raw: raw[:12].hex())
def test_bytes_made_to_hurt_are_refused(parser: str, raw: bytes) -> None:
    with pytest.raises(LedgerError):
        PARSERS[parser](raw)


@given(st.text(max_size=200))
@example("")
def test_any_text_gives_a_disclosure_or_an_error_of_ours(text: str) -> None:
    for candidate in (text, encode_base64url(text.encode("utf-8", "surrogatepass"))):
        try:
            disclosure = parse_disclosure(candidate)
        except LedgerError:
            continue
        assert parse_disclosure(encode_disclosure(disclosure)) == disclosure


@st.composite
def near_misses(draw: st.DrawFn, originals: st.SearchStrategy[bytes]) -> bytes:
    """Something that was valid before a few bytes were cut out, put in or changed."""
    raw = bytearray(draw(originals))
    for _ in range(draw(st.integers(1, 3))):
        position = draw(st.integers(0, len(raw) - 1))
        match draw(st.integers(0, 3)):
            case 0:
                raw[position] ^= 1 << draw(st.integers(0, 7))
            case 1:
                del raw[position : position + draw(st.integers(1, 20))]
            case 2:
                raw[position:position] = draw(
                    st.sampled_from([b" ", b"0", b"-", b"\\u0061", b'"', b",", b"[]", b"1.0", b"e1"])
                )
            case _:
                raw[position:position] = raw[position : position + draw(st.integers(1, 60))]
        if not raw:
            break
    return bytes(raw)


@pytest.mark.parametrize(
    ("parser", "originals"),
    [
        ("report", reports.map(encode_report)),
        ("correction", corrections.map(encode_correction)),
        ("registration", registrations.map(encode_registration)),
        ("verdict", verdicts.map(encode_verdict)),
        ("envelope", reports.map(lambda report: sign_envelope(encode_report(report), SIGNERS))),
    ],
)
@given(draw=st.data())
def test_near_miss_is_refused_or_is_the_one_spelling_of_another_value(
    parser: str, originals: st.SearchStrategy[bytes], draw: st.DataObject
) -> None:
    raw = draw.draw(near_misses(originals))
    try:
        encoded = PARSERS[parser](raw)
    except LedgerError:
        return
    assert encoded == raw


@given(st.lists(st.binary(min_size=1, max_size=40), min_size=2, max_size=2, unique=True))
def test_different_disclosures_have_different_digests(texts: list[bytes]) -> None:
    first, second = (encode_base64url(text) for text in texts)
    assert compute_digest(first) != compute_digest(second)


json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=8), inner, max_size=3)),
    max_leaves=5,
)


@given(reports, st.data())
def test_value_of_another_type_in_any_place_is_refused_or_read_as_it_stands(
    report: Report, draw: st.DataObject
) -> None:
    statement = json.loads(encode_report(report))
    place: Any = statement  # Any: JSON, walked at random
    while True:
        key = draw.draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
        inner = place[key]
        if not isinstance(inner, (dict, list)) or not inner or draw.draw(st.booleans()):
            break
        place = inner
    place[key] = draw.draw(json_values)
    raw = json.dumps(statement, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "surrogatepass")
    try:
        encoded = PARSERS["report"](raw)
    except LedgerError:
        return
    assert encoded == raw
