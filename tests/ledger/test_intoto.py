"""Statements of every kind: one encoding, bounded, and nothing that two readers could take differently."""

import json

import msgspec
import pytest

from ledger.charter import CharterPredicate
from ledger.errors import Code, FormatError
from ledger.limits import ENTRY_BYTES_MAX, INTEGER_MAX, NESTING_MAX, SIZE_MAX
from ledger.positions import Interval, Seconds, Sequence
from ledger.statements.intoto import (
    ZERO_HASH,
    Corrects,
    PredicateHeader,
    Statement,
    StatementForm,
    Subject,
    Text,
    encode_quantity,
    find_kind,
    make_subject,
    parse_quantity,
)
from ledger.statements.registry import Registration
from ledger.statements.reports import EMPTY_RECORDS_ROOT, Records, Report, Row, encode_report, parse_report
from ledger.statements.verdicts import Verdict

REPORT = Report(
    ledger="ab" * 32,
    issuer="acme-lab",
    sequence=Sequence(7),
    previous="cd" * 32,
    issued_at=Seconds(1_800_000_000),
    corrects=None,
    interval=Interval(3),
    rows=(
        Row(cluster="c1", digests=(), limits_respected=(), band=0, records=Records(EMPTY_RECORDS_ROOT, 0), evidence=()),
    ),
)
PAYLOAD = encode_report(REPORT)
SUBJECT_END = b'"}}],"predicateType"'
TWO_SUBJECTS = PAYLOAD.replace(SUBJECT_END, b'"}},{"name":"x","digest":{"sha256":"' + b"00" * 32 + SUBJECT_END)
LEAVES = (
    msgspec.inspect.IntType,
    msgspec.inspect.StrType,
    msgspec.inspect.BytesType,
    msgspec.inspect.BoolType,
    msgspec.inspect.NoneType,
    msgspec.inspect.LiteralType,
    msgspec.inspect.EnumType,
)


class Note(PredicateHeader, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A kind of statement made for these tests: one text."""

    text: Text


def subject_of(note: Note) -> Subject:
    return make_subject(note.issuer, ZERO_HASH)


NOTE_FORM = StatementForm("note", Note, check=subject_of)


def note(text: str) -> Note:
    return Note(**{name: getattr(REPORT, name) for name in PredicateHeader.__struct_fields__}, text=text)


def replaced(old: str, new: str) -> bytes:
    assert PAYLOAD.count(old.encode()) == 1, old
    return PAYLOAD.replace(old.encode(), new.encode())


def test_statement_is_spelt_as_documented() -> None:
    digest = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    subject_digest = "5df6e0e2761359d30a8275058e299fcc0381534545f55cf43e41983f5d4c9456"
    assert PAYLOAD.decode() == (
        '{"_type":"https://in-toto.io/Statement/v1",'
        f'"subject":[{{"name":"acme-lab/3","digest":{{"sha256":"{subject_digest}"}}}}],'
        '"predicateType":"urn:counterseal:report:v1",'
        f'"predicate":{{"ledger":"{"ab" * 32}","issuer":"acme-lab","sequence":7,"previous":"{"cd" * 32}",'
        '"issued_at":1800000000,"corrects":null,"interval":3,"rows":[{"cluster":"c1","digests":[],"limits_respected":[],'
        f'"band":0,"records":{{"root":"{digest}","count":0}},"evidence":[]}}]}}}}'
    )


def test_other_tools_write_the_same_encoding() -> None:
    assert json.dumps(json.loads(PAYLOAD), separators=(",", ":"), ensure_ascii=False).encode() == PAYLOAD
    text = NOTE_FORM.encode(note('Zürich — "q" \\ / 日本 😀'))
    assert json.dumps(json.loads(text), separators=(",", ":"), ensure_ascii=False).encode() == text


def test_parsed_statement_encodes_to_the_same_bytes_and_back() -> None:
    statement = parse_report(PAYLOAD)
    assert statement == Statement("report", statement.subject, REPORT)
    assert encode_report(statement.predicate) == PAYLOAD


def test_kind_is_found_without_reading_the_rest() -> None:
    assert find_kind(PAYLOAD) == "report"
    assert find_kind(NOTE_FORM.encode(note("x"))) == "note"
    assert find_kind(PAYLOAD[:-1]) == "report"
    assert find_kind(PAYLOAD.replace(b"report:v1", b"report:v2")) == "report:v2"


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"{}",
        b" " + PAYLOAD,
        b"\xef\xbb\xbf" + PAYLOAD,
        replaced("Statement/v1", "Statement/v0"),
        replaced('"urn:counterseal:', '"urn:somebody:'),
        replaced("report:v1", "report:v0"),
        replaced("report:v1", "report:v10"),
        replaced("report:v1", "re port:v1"),
        replaced('"subject":', '"subject": '),
        b'{"_type":"https://in-toto.io/Statement/v1","subject":[{"name":"' + b'\\"' * 60_000,
        b"[" * ENTRY_BYTES_MAX,
    ],
)
def test_what_is_no_statement_has_no_kind(payload: bytes) -> None:
    with pytest.raises(FormatError):
        find_kind(payload)


def test_kind_in_the_name_of_a_subject_is_not_the_kind() -> None:
    name = 'x","digest":{"sha256":"' + "00" * 32 + '"}}],"predicateType":"urn:counterseal:report:v1","predicate":{'
    form = StatementForm("note", Note, check=lambda _: make_subject(name, ZERO_HASH))
    assert find_kind(form.encode(note("x"))) == "note"


def test_statement_of_another_kind_is_refused() -> None:
    with pytest.raises(FormatError):
        parse_report(NOTE_FORM.encode(note("x")))
    with pytest.raises(FormatError):
        NOTE_FORM.parse(PAYLOAD)
    with pytest.raises(FormatError):
        parse_report(replaced("report:v1", "correction:v1"))


@pytest.mark.parametrize(
    ("what", "payload"),
    [
        ("another type of statement", replaced("Statement/v1", "Statement/v0")),
        ("a space", replaced('"sequence":', '"sequence": ')),
        ("a space at the end", PAYLOAD + b" "),
        ("a line feed at the end", PAYLOAD + b"\n"),
        ("a byte order mark", b"\xef\xbb\xbf" + PAYLOAD),
        ("something behind", PAYLOAD + PAYLOAD),
        ("a key twice", replaced('"sequence":7', '"sequence":7,"sequence":7')),
        ("a key twice with another value", replaced('"sequence":7', '"sequence":6,"sequence":7')),
        ("a key twice at the top", PAYLOAD[:-1] + b',"predicateType":"urn:counterseal:report:v1"}'),
        ("an unknown key", replaced('"sequence":7', '"sequence":7,"extra":1')),
        ("an unknown key at the top", PAYLOAD[:-1] + b',"extra":1}'),
        ("an unknown key, deep", PAYLOAD[:-1] + b',"extra":' + b"[" * 60_000),
        ("a missing key", replaced('"corrects":null,', "")),
        ("keys in another order", replaced('"sequence":7,', "").replace(b'"corrects":', b'"sequence":7,"corrects":')),
        ("an escaped key", replaced('"sequence"', '"\\u0073equence"')),
        ("an escaped letter", replaced('"issuer":"acme-lab"', '"issuer":"\\u0061cme-lab"')),
        ("a float", replaced('"sequence":7', '"sequence":7.0')),
        ("a float with a fraction", replaced('"sequence":7', '"sequence":7.5')),
        ("an exponent", replaced('"sequence":7', '"sequence":7e0')),
        ("negative zero", replaced('"sequence":7', '"sequence":-0')),
        ("a leading zero", replaced('"sequence":7', '"sequence":07')),
        ("a plus sign", replaced('"sequence":7', '"sequence":+7')),
        ("a negative number", replaced('"sequence":7', '"sequence":-7')),
        ("a boolean for a number", replaced('"sequence":7', '"sequence":true')),
        ("text for a number", replaced('"sequence":7', '"sequence":"7"')),
        ("null for a number", replaced('"sequence":7', '"sequence":null')),
        ("above 2**53", replaced('"sequence":7', f'"sequence":{INTEGER_MAX + 1}')),
        ("above 2**64", replaced('"sequence":7', f'"sequence":{2**64}')),
        ("a huge integer", replaced('"sequence":7', '"sequence":' + "9" * 60_000)),
        ("NaN", replaced('"sequence":7', '"sequence":NaN')),
        ("Infinity", replaced('"sequence":7', '"sequence":Infinity')),
        ("a number for text", replaced('"issuer":"acme-lab"', '"issuer":1')),
        ("an id in upper case", replaced('"issuer":"acme-lab"', '"issuer":"Acme-lab"')),
        ("an id with a line feed", replaced('"issuer":"acme-lab"', '"issuer":"acme-lab\\n"')),
        ("an empty id", replaced('"issuer":"acme-lab"', '"issuer":""')),
        ("an id of 65", replaced('"issuer":"acme-lab"', f'"issuer":"{"a" * 65}"')),
        ("hex in upper case", replaced("ab" * 32, "AB" * 32)),
        ("hex too short", replaced("ab" * 32, "ab" * 31)),
        ("hex too long", replaced("ab" * 32, "ab" * 33)),
        ("other subject name", replaced('"name":"acme-lab/3"', '"name":"acme-lab/4"')),
        ("two subjects", TWO_SUBJECTS),
        ("nesting 9", replaced('"evidence":[]', '"evidence":' + "[" * 4 + "]" * 4)),
        ("very deep nesting", replaced('"evidence":[]', '"evidence":' + "[" * 60_000)),
        ("invalid UTF-8", PAYLOAD.replace(b"acme-lab", b"acme-la\xff")),
        ("overlong UTF-8", PAYLOAD.replace(b"acme-lab", b"acme-la\xc0\xa2")),
        ("null", b"null"),
        ("a list", b"[]"),
        ("nothing", b""),
        ("too large", b"[" * (ENTRY_BYTES_MAX + 1)),
    ],
)  # fmt: skip
def test_second_spelling_or_value_out_of_bounds_is_refused(what: str, payload: bytes) -> None:
    assert payload != PAYLOAD, what
    with pytest.raises(FormatError):
        parse_report(payload)


@pytest.mark.parametrize(
    "text",
    [
        *[
            "\0",
            "\n",
            "\t",
            "\x1f",
            "\x7f",
            "\x80",
            "\u00a0",
            "\u00ad",
            "\u061c",
            "\u200b",
            "\u200e",
            "\u2028",
            "\u202e",
        ],
        *["\u2066", "\u3000", "\ufeff", "\ufffe", "\uffff", "\ue000", "\U000e0001", "\U0010ffff", "a\n", "x" * 513],
    ],
)
def test_text_that_shows_other_than_it_is_is_refused(text: str) -> None:
    with pytest.raises(FormatError):
        NOTE_FORM.encode(note(text))


@pytest.mark.parametrize("escape", ["\\ud800", "\\udc00", "\\ud83d", "\\u0000", "\\n", "\\/", "\\u00e9", "\x00", "\n"])
def test_escape_or_half_character_in_text_is_refused(escape: str) -> None:
    with pytest.raises(FormatError):
        NOTE_FORM.parse(NOTE_FORM.encode(note("@@")).replace(b"@@", escape.encode()))


@pytest.mark.parametrize("text", ["", "x" * 512, "Zürich", "日本", "😀", "a b", '"\\/', "\u0301", "עברית"])
def test_text_in_any_script_is_kept(text: str) -> None:
    assert NOTE_FORM.parse(NOTE_FORM.encode(note(text))).predicate.text == text


def test_lone_surrogate_cannot_be_encoded() -> None:
    with pytest.raises(FormatError):
        NOTE_FORM.encode(note("\ud800"))


def test_statement_above_the_limit_is_refused_by_size_alone() -> None:
    with pytest.raises(FormatError) as caught:
        parse_report(PAYLOAD + b" " * ENTRY_BYTES_MAX)
    assert caught.value.code == Code.TOO_LARGE


def test_correction_names_a_leaf_and_a_reason() -> None:
    for corrects in (Corrects("ab" * 32, ""), Corrects("ab" * 32, "x" * 513), Corrects("zz" * 32, "typo")):
        with pytest.raises(FormatError):
            NOTE_FORM.encode(msgspec.structs.replace(note("x"), corrects=corrects))
    kept = msgspec.structs.replace(note("x"), corrects=Corrects("ab" * 32, "typo"))
    assert NOTE_FORM.parse(NOTE_FORM.encode(kept)).predicate == kept


def test_each_number_has_one_spelling() -> None:
    for number in (0, 1, INTEGER_MAX, INTEGER_MAX + 1, SIZE_MAX):
        assert parse_quantity(encode_quantity(number), field="x") == number
    assert encode_quantity(INTEGER_MAX) == INTEGER_MAX
    assert encode_quantity(INTEGER_MAX + 1) == "9007199254740993"
    wrong: list[int | str] = [
        -1,
        INTEGER_MAX + 1,
        True,
        "0",
        "7",
        str(INTEGER_MAX),
        str(SIZE_MAX + 1),
        "1e20",
        "",
        "٤" * 17,
    ]
    wrong += [
        "09007199254740993",
        " 9007199254740993",
        "9007199254740993\n",
        "9_007_199_254_740_993",
        "-9007199254740993",
    ]
    for spelling in wrong:
        with pytest.raises(FormatError):
            parse_quantity(spelling, field="x")


def compute_depth(node: msgspec.inspect.Type) -> int:
    """How deep JSON of a type can nest."""
    match node:
        case msgspec.inspect.StructType(fields=fields):
            return 1 + max(compute_depth(field.type) for field in fields)
        case msgspec.inspect.VarTupleType(item_type=item):
            return 1 + compute_depth(item)
        case msgspec.inspect.UnionType(types=types):
            return max(compute_depth(item) for item in types)
        case _:
            assert isinstance(node, LEAVES), node
            return 0


def require_bound(node: msgspec.inspect.Type, path: str) -> None:
    """Fail where a value of a type could be of any size."""
    match node:
        case msgspec.inspect.StructType(fields=fields):
            for field in fields:
                require_bound(field.type, f"{path}.{field.name}")
        case msgspec.inspect.VarTupleType(item_type=item, max_length=maximum):
            assert maximum is not None, path
            require_bound(item, path)
        case msgspec.inspect.UnionType(types=types):
            for item in types:
                require_bound(item, path)
        case msgspec.inspect.StrType(pattern=None, min_length=43, max_length=43):
            assert path.endswith(".digests"), path  # looked at all together, for speed
        case msgspec.inspect.StrType(pattern=pattern, max_length=maximum):
            assert pattern is not None, path
            assert pattern.startswith(r"\A"), path
            assert pattern.endswith(r"\Z"), path
            assert maximum is not None or pattern.endswith(r"}\Z"), (path, pattern)
        case msgspec.inspect.BytesType(max_length=maximum):
            assert maximum is not None, path
        case msgspec.inspect.IntType(ge=minimum, le=maximum):
            assert None not in (minimum, maximum), path
        case _:
            assert isinstance(node, LEAVES), path


KINDS = (CharterPredicate, Registration, Report, Verdict)


def test_types_of_statements_nest_no_deeper_than_the_limit() -> None:
    depths = {kind: 1 + compute_depth(msgspec.inspect.type_info(kind)) for kind in KINDS}
    assert depths == {CharterPredicate: 4, Registration: 6, Report: 6, Verdict: 3}
    assert max(depths.values()) <= NESTING_MAX


@pytest.mark.parametrize("kind", KINDS)
def test_every_list_text_and_number_of_a_statement_has_a_maximum(kind: type) -> None:
    require_bound(msgspec.inspect.type_info(kind), kind.__name__)
