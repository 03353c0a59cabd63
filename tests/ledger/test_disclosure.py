"""Disclosures and records: known answers, what cannot be opened, and what cannot be hidden."""

import hashlib
import json

import pytest

from ledger.disclosure import (
    RESERVED_NAMES,
    Disclosure,
    JsonValue,
    RecordLeaf,
    RecordOpening,
    RecordsRoot,
    RecordsTree,
    check_disclosures,
    commit_fields,
    commit_records,
    compute_decoy,
    compute_digest,
    encode_disclosure,
    parse_disclosure,
    prove_record,
    verify_record,
)
from ledger.encoding import encode_base64url
from ledger.errors import FormatError, LedgerError, ProofError
from ledger.merkle import EMPTY_ROOT, leaf_hash, node_hash
from ledger.positions import LeafIndex

# RFC 9901 §4.2.1 and §4.2.3.
RFC_DISCLOSURE = "WyJfMjZiYzRMVC1hYzZxMktJNmNCVzVlcyIsICJmYW1pbHlfbmFtZSIsICJNw7ZiaXVzIl0"
RFC_DIGEST = "X9yH0Ajrdm1Oij4tWso9UzzKJvPoDxwmuEcO3XAdRC0"
# RFC 9901 §4.2.1: other spellings of the same array, each with its own disclosure.
RFC_SPELLINGS = (
    "WyJfMjZiYzRMVC1hYzZxMktJNmNCVzVlcyIsImZhbWlseV9uYW1lIiwiTcO2Yml1cyJd",
    "WyJfMjZiYzRMVC1hYzZxMktJNmNCVzVlcyIsICJmYW1pbHlfbmFtZSIsICJNXHUwMGY2Yml1cyJd",
)
SALT = bytes(range(16))
SALTS = [hashlib.sha256(b"%d" % number).digest()[:16] for number in range(40)]
RECORDS = [b"job,%d" % number for number in range(21)]


def disclose(text: str | bytes) -> str:
    """Encode any JSON text as a disclosure."""
    return encode_base64url(text if isinstance(text, bytes) else text.encode())


def with_value(value: str) -> str:
    return disclose(f'["{encode_base64url(SALT)}","name",{value}]')


def test_disclosure_of_the_rfc_reads_and_digests_as_it_says() -> None:
    disclosure = parse_disclosure(RFC_DISCLOSURE)
    assert (disclosure.name, disclosure.value) == ("family_name", "Möbius")
    assert encode_base64url(disclosure.salt) == "_26bc4LT-ac6q2KI6cBW5es"
    assert compute_digest(RFC_DISCLOSURE) == RFC_DIGEST


def test_other_spellings_of_the_rfc_read_the_same_and_digest_otherwise() -> None:
    for text in RFC_SPELLINGS:
        assert parse_disclosure(text) == parse_disclosure(RFC_DISCLOSURE)
        assert compute_digest(text) != RFC_DIGEST


def test_encoding_has_no_spaces_and_reads_back() -> None:
    assert encode_disclosure(parse_disclosure(RFC_DISCLOSURE)) == RFC_SPELLINGS[0]


@pytest.mark.parametrize(
    "value",
    [
        0,
        -1,
        2**53,
        "",
        "ü€😀",
        True,
        None,
        [],
        {},
        [1, [2, [3, [4, [5, [6]]]]]],
        {"a": {"b": [None, False]}},
        ["x"] * 4096,
    ],
)
def test_every_json_value_reads_back(value: JsonValue) -> None:
    disclosure = Disclosure(SALT, "name", value)
    assert parse_disclosure(encode_disclosure(disclosure)) == disclosure


@pytest.mark.parametrize(
    ("what", "text"),
    [
        ("a float", with_value("1.0")),
        ("an exponent", with_value("1e3")),
        ("negative zero", with_value("-0")),
        ("above 2**53", with_value(str(2**53 + 1))),
        ("below -2**53", with_value(str(-(2**53) - 1))),
        ("a huge integer", with_value("9" * 100_000)),
        ("NaN", with_value("NaN")),
        ("Infinity", with_value("Infinity")),
        ("-Infinity", with_value("-Infinity")),
        ("half a surrogate pair", with_value('"\\ud800"')),
        ("half a surrogate pair as a name", with_value('{"\\udc00":1}')),
        ("NUL", with_value('"\\u0000"')),
        ("a raw control character", with_value('"\x01"')),
        ("a name twice in an object", with_value('{"a":1,"b":2,"a":1}')),
        ("a name twice, escaped", with_value('{"a":1,"\\u0061":1}')),
        ("nesting 9", with_value("[" * 8 + "]" * 8)),
        ("nesting 9 of objects", with_value('{"a":' * 8 + "1" + "}" * 8)),
        ("very deep nesting", with_value("[" * 100_000)),
        ("4097 items", with_value("[" + ",".join(["1"] * 4097) + "]")),
        ("4097 names", with_value("{" + ",".join(f'"{number}":1' for number in range(4097)) + "}")),
        ("text without an end", disclose('["' + '\\"' * 90_000)),
        ("two elements", disclose(f'["{encode_base64url(SALT)}","name"]')),
        ("four elements", disclose(f'["{encode_base64url(SALT)}","name",1,2]')),
        ("an object", disclose('{"a":1}')),
        ("a salt of 15 bytes", disclose(f'["{encode_base64url(SALT[:15])}","name",1]')),
        ("a salt that is a number", disclose('[1,"name",1]')),
        ("a salt that is not base64url", disclose('["++++++++++++++++++++++","name",1]')),
        ("a name that is a number", disclose(f'["{encode_base64url(SALT)}",1,1]')),
        ("an empty name", disclose(f'["{encode_base64url(SALT)}","",1]')),
        ("a byte order mark", disclose(b"\xef\xbb\xbf" + b'["%b","name",1]' % encode_base64url(SALT).encode())),
        ("UTF-16", disclose(f'["{encode_base64url(SALT)}","name",1]'.encode("utf-16"))),
        ("invalid UTF-8", disclose(b'["%b","name","\xff"]' % encode_base64url(SALT).encode())),
        ("something behind", disclose(f'["{encode_base64url(SALT)}","name",1] 2')),
        ("padding", RFC_DISCLOSURE + "="),
        ("another spelling of base64url", RFC_DISCLOSURE[:-1] + "1"),
        ("standard base64", RFC_DISCLOSURE + "++"),
        ("not ASCII", RFC_DISCLOSURE + "é"),
        ("nothing", ""),
        ("too long", with_value('"' + "x" * 200_000 + '"')),
    ],
)
def test_disclosure_that_readers_could_take_differently_is_refused(what: str, text: str) -> None:
    with pytest.raises(FormatError):
        parse_disclosure(text)


@pytest.mark.parametrize("name", RESERVED_NAMES)
def test_names_of_the_construction_are_refused_at_any_depth(name: str) -> None:
    for value in (json.dumps({name: 1}), json.dumps([{"a": {name: []}}])):
        with pytest.raises(FormatError):
            parse_disclosure(with_value(value))
    with pytest.raises(FormatError):
        encode_disclosure(Disclosure(SALT, name, 1))


def test_value_that_would_read_back_otherwise_is_not_encoded() -> None:
    for value in ((1, 2), {1: 2}, 1.5, float("nan"), b"raw", {"a": {1}}):
        with pytest.raises(FormatError):
            encode_disclosure(Disclosure(SALT, "name", value))  # type: ignore[arg-type]


def test_fields_commit_to_sorted_digests_among_decoys() -> None:
    values: dict[str, JsonValue] = {"energy_wh": 5, "runs": [], "split": {"idle": 1}}
    committed = commit_fields(values, salts=SALTS[:3], decoys=SALTS[3:5])
    assert len(committed.digests) == 5
    assert list(committed.digests) == sorted(committed.digests)
    assert compute_decoy(SALTS[3]) in committed.digests
    opened = check_disclosures(committed.digests, list(committed.disclosures.values()))
    assert {disclosure.name: disclosure.value for disclosure in opened} == values


def test_what_is_hidden_does_not_show_in_a_repr() -> None:
    committed = commit_fields({"energy_wh": 12345}, salts=SALTS[:1])
    assert committed.digests[0] in repr(committed)
    assert committed.disclosures["energy_wh"] not in repr(committed)


def test_one_field_opens_without_the_others() -> None:
    committed = commit_fields({"a": 1, "b": 2}, salts=SALTS[:2])
    (opened,) = check_disclosures(committed.digests, [committed.disclosures["b"]])
    assert (opened.name, opened.value) == ("b", 2)


def test_same_value_under_another_salt_has_another_digest() -> None:
    first = commit_fields({"a": 1}, salts=SALTS[:1])
    second = commit_fields({"a": 1}, salts=SALTS[1:2])
    assert first.digests != second.digests


def test_salt_used_twice_is_refused() -> None:
    with pytest.raises(FormatError):
        commit_fields({"a": 1, "b": 2}, salts=[SALT, SALT])
    with pytest.raises(FormatError):
        commit_fields({"a": 1}, salts=[SALT], decoys=[SALT])


def test_short_salt_is_refused() -> None:
    with pytest.raises(FormatError):
        commit_fields({"a": 1}, salts=[SALT[:15]])
    with pytest.raises(FormatError):
        compute_decoy(SALT[:15])


def test_disclosure_that_was_not_committed_is_refused() -> None:
    committed = commit_fields({"a": 1}, salts=SALTS[:1])
    with pytest.raises(ProofError):
        check_disclosures(committed.digests, [encode_disclosure(Disclosure(SALTS[0], "a", 2))])
    with pytest.raises(ProofError):
        check_disclosures([], list(committed.disclosures.values()))


def test_name_disclosed_twice_is_refused() -> None:
    texts = [encode_disclosure(Disclosure(salt, "a", 1)) for salt in SALTS[:2]]
    digests = sorted(compute_digest(text) for text in texts)
    with pytest.raises(FormatError):
        check_disclosures(digests, texts)
    with pytest.raises(FormatError):
        check_disclosures(digests, texts[:1] * 2)


def test_digest_listed_twice_is_refused() -> None:
    committed = commit_fields({"a": 1}, salts=SALTS[:1])
    with pytest.raises(FormatError):
        check_disclosures(committed.digests * 2, [])


def test_leaf_of_a_record_is_position_salt_and_hash() -> None:
    leaf = RecordLeaf(LeafIndex(258), SALT, hashlib.sha256(b"job").digest())
    assert leaf.encode() == bytes.fromhex("0000000000000102") + SALT + hashlib.sha256(b"job").digest()


def test_root_over_two_records_is_the_hash_of_both_leaves() -> None:
    leaves = [
        leaf_hash(number.to_bytes(8, "big") + SALTS[number] + hashlib.sha256(RECORDS[number]).digest())
        for number in range(2)
    ]
    assert commit_records(RECORDS[:2], SALTS[:2]) == RecordsRoot(node_hash(*leaves), 2)


def test_no_records_have_the_empty_root() -> None:
    assert commit_records([], []) == RecordsRoot(EMPTY_ROOT, 0)
    assert RecordsTree([], []).root() == RecordsRoot(EMPTY_ROOT, 0)


@pytest.mark.parametrize("count", [1, 2, 3, 4, 7, 8, 9, 21])
def test_every_record_opens_and_only_as_itself(count: int) -> None:
    records, salts = RECORDS[:count], SALTS[:count]
    root = commit_records(records, salts)
    assert RecordsTree(records, salts).root() == root
    for number in range(count):
        opening = prove_record(records, salts, LeafIndex(number))
        verify_record(root, records[number], opening)
        for other in range(count):
            if other != number:
                with pytest.raises(ProofError):
                    verify_record(root, records[other], opening)
                with pytest.raises(ProofError):
                    verify_record(root, records[number], RecordOpening(LeafIndex(other), opening.salt, opening.proof))


def test_changed_opening_is_refused() -> None:
    root = commit_records(RECORDS, SALTS[:21])
    opening = prove_record(RECORDS, SALTS[:21], LeafIndex(5))
    flipped = bytes([opening.proof[0][0] ^ 1]) + opening.proof[0][1:]
    for wrong in (
        RecordOpening(opening.index, SALTS[6], opening.proof),
        RecordOpening(opening.index, opening.salt[:15], opening.proof),
        RecordOpening(opening.index, opening.salt, opening.proof[:-1]),
        RecordOpening(opening.index, opening.salt, (*opening.proof, opening.proof[0])),
        RecordOpening(opening.index, opening.salt, (flipped, *opening.proof[1:])),
        RecordOpening(LeafIndex(21), opening.salt, opening.proof),
        RecordOpening(LeafIndex(-1), opening.salt, opening.proof),
    ):
        with pytest.raises(LedgerError):
            verify_record(root, RECORDS[5], wrong)
    with pytest.raises(ProofError):
        verify_record(RecordsRoot(root.root, 20), RECORDS[5], RecordOpening(LeafIndex(20), opening.salt, opening.proof))
    with pytest.raises(ProofError):
        verify_record(RecordsRoot(EMPTY_ROOT, 0), RECORDS[5], opening)


def test_record_that_is_not_there_cannot_be_opened() -> None:
    for index in (-1, 21):
        with pytest.raises(ProofError):
            prove_record(RECORDS, SALTS[:21], LeafIndex(index))


def test_salts_must_match_records_one_to_one() -> None:
    for records, salts in ((RECORDS[:2], SALTS[:1]), (RECORDS[:1], SALTS[:2]), (RECORDS[:1], [b"short"])):
        with pytest.raises(FormatError):
            commit_records(records, salts)
        with pytest.raises(FormatError):
            RecordsTree(records, salts)
