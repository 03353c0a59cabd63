"""`ledger.openings`: what a lab hands over is read one way only, and is bound to whom it is for."""

import hashlib
from collections.abc import Callable
from itertools import combinations
from typing import Any

import msgspec
import pytest

from ledger.agreement import Inspections
from ledger.chips import Chip, ChipsTree, verify_chip
from ledger.disclosure import (
    Disclosure,
    RecordsTree,
    check_disclosures,
    compute_digest,
    encode_disclosure,
    verify_record,
)
from ledger.domains import OPENINGS_FORMAT, OPENINGS_PARTS_FORMAT, SAMPLE_OPENINGS_FORMAT
from ledger.errors import Code, FormatError
from ledger.limits import OPENINGS_BYTES_MAX
from ledger.openings import (
    SHARED,
    OpenedChip,
    OpenedPart,
    OpenedRecord,
    Openings,
    SampleOpenings,
    compute_handed,
    compute_openings_context,
    encode_openings,
    encode_sample_openings,
    name_sample,
    parse_openings,
    parse_sample_openings,
)
from ledger.positions import BeaconRound, Interval, LeafIndex, Seconds
from ledger.rules.samples import compute_round_count
from ledger.sampling import Purpose

FIELD = encode_disclosure(Disclosure(b"\x01" * 16, "energy_wh", 5))
OTHER_FIELD = encode_disclosure(Disclosure(b"\x02" * 16, "training_pflop", 7))
RECORDS = RecordsTree([b"first", b"second", b"third"], [bytes([n]) * 16 for n in range(3)])
CHIPS = ChipsTree([Chip("h100", f"S{n}") for n in range(5)], [bytes([n + 10]) * 32 for n in range(5)])


def record(index: int, text: bytes) -> OpenedRecord:
    opening = RECORDS.open_record(LeafIndex(index))
    return OpenedRecord(index=opening.index, salt=opening.salt, record=text, path=opening.proof)


def chip(index: int) -> OpenedChip:
    opening = CHIPS.open_chip(LeafIndex(index))
    return OpenedChip(index=opening.index, salt=opening.salt, model="h100", serial=f"S{index}", path=opening.proof)


WHOLE = Openings(
    format=OPENINGS_FORMAT,
    ledger="11" * 32,
    challenge="c-1",
    lab="lab-a",
    cluster="c1",
    interval=Interval(7),
    report="22" * 32,
    inventory="33" * 32,
    disclosures=(FIELD, OTHER_FIELD),
    records=(record(0, b"first"), record(2, b"third")),
    chips=(chip(1), chip(4)),
)

PART = OpenedPart(leaf="44" * 32, part="", disclosures=(FIELD,))
SHARED_PART = OpenedPart(leaf="44" * 32, part=SHARED, disclosures=(OTHER_FIELD,))


DRAWN = SampleOpenings(
    format=SAMPLE_OPENINGS_FORMAT,
    ledger="11" * 32,
    round=BeaconRound(5),
    purpose=Purpose.SPOT,
    lab="lab-a",
    cluster="c1",
    sample="22" * 32,
    inventory="33" * 32,
    chips=(chip(1), chip(4)),
)


def test_what_was_read_opens_what_the_lab_committed_to() -> None:
    read = parse_openings(encode_openings(WHOLE))
    assert read == WHOLE
    names = [
        one.name for one in check_disclosures([compute_digest(FIELD), compute_digest(OTHER_FIELD)], read.disclosures)
    ]
    assert names == ["energy_wh", "training_pflop"]
    for opened in read.records:
        verify_record(RECORDS.root(), opened.record, opened.opening())
    for one in read.chips:
        verify_chip(CHIPS.root(), one.chip(), one.opening())


MORE = msgspec.structs.replace(WHOLE, format=OPENINGS_PARTS_FORMAT, parts=(PART, SHARED_PART))


def test_parts_of_other_statements_are_read_as_they_were_written_and_need_version_2() -> None:
    raw = encode_openings(MORE)
    assert parse_openings(raw) == MORE
    assert raw.startswith(b'{"format":"counterseal/openings/v2"')
    assert b'"parts"' not in encode_openings(WHOLE), "version 1 is written as ever"
    with pytest.raises(FormatError):
        parse_openings(encode_openings(WHOLE).replace(b"openings/v1", b"openings/v2"))
    with pytest.raises(FormatError):
        parse_openings(encode_openings(WHOLE)[:-1] + b',"parts":[]}')
    with pytest.raises(FormatError):
        parse_openings(raw.replace(b"openings/v2", b"openings/v1"))


@pytest.mark.parametrize(
    "parts",
    [
        (SHARED_PART, PART),
        (PART, PART),
        (msgspec.structs.replace(PART, disclosures=()),),
        (msgspec.structs.replace(PART, disclosures=(FIELD, FIELD)),),
        (msgspec.structs.replace(PART, part="Not An Id"),),
        (msgspec.structs.replace(PART, leaf="44"),),
    ],
)
def test_parts_out_of_order_repeated_or_empty_are_refused(parts: tuple[OpenedPart, ...]) -> None:
    with pytest.raises(FormatError):
        encode_openings(msgspec.structs.replace(MORE, parts=parts))


def test_a_field_may_be_opened_in_two_statements_that_commit_to_it_alike() -> None:
    """A frozen run is spoken of with the very digests of before."""
    again = msgspec.structs.replace(PART, leaf="55" * 32)
    encode_openings(msgspec.structs.replace(MORE, parts=(PART, again)))


def test_what_was_handed_over_is_named_by_the_hash_of_its_bytes() -> None:
    raw = encode_openings(WHOLE)
    assert compute_handed(raw) == hashlib.sha256(raw).hexdigest()


@pytest.mark.parametrize(
    "changed",
    [
        {"format": OPENINGS_PARTS_FORMAT},
        {"parts": (PART,)},
        {"disclosures": (FIELD, FIELD)},
        {"records": (record(2, b"third"), record(0, b"first"))},
        {"records": (record(0, b"first"), record(0, b"first"))},
        {"chips": (chip(4), chip(1))},
        {"report": None},
        {"inventory": None},
        {"disclosures": (), "records": ()},
        {"chips": ()},
        {"interval": -1},
        {"challenge": "Not An Id"},
    ],
)
def test_what_is_out_of_order_repeated_or_named_without_need_is_refused(changed: dict[str, Any]) -> None:
    with pytest.raises(FormatError):
        encode_openings(msgspec.structs.replace(WHOLE, **changed))


@pytest.mark.parametrize(
    "respell",
    [
        lambda raw: raw.replace(b'":', b'": ', 1),
        lambda raw: raw + b" ",
        lambda raw: raw.replace(b"{", b'{"more":1,', 1),
        lambda raw: raw.replace(b'"lab":"lab-a"', b'"lab":"lab-a","lab":"lab-a"'),
        lambda raw: raw.replace(b"lab-a", b"lab\\u002da"),
    ],
)
def test_another_spelling_of_the_same_is_refused(respell: Callable[[bytes], bytes]) -> None:
    raw = encode_openings(WHOLE)
    assert respell(raw) != raw
    with pytest.raises(FormatError):
        parse_openings(respell(raw))


def test_a_file_that_is_too_large_is_not_read_at_all() -> None:
    with pytest.raises(FormatError) as caught:
        parse_openings(b" " * (OPENINGS_BYTES_MAX + 1))
    assert caught.value.code == Code.TOO_LARGE


def test_no_two_recipients_share_what_binds_a_ciphertext() -> None:
    contexts = [
        compute_openings_context(ledger_id=ledger * 32, challenge=challenge, nation=nation, inspector=inspector)
        for ledger in (b"\x01", b"\x02")
        for challenge, nation, inspector in (
            ("c", "n", "i"),
            ("c", "ni", ""),
            ("cn", "", "i"),
            ("", "cn", "i"),
            ("c", "n", "j"),
        )
    ]
    assert all(one != other for one, other in combinations(contexts, 2))


def test_what_answers_a_sample_is_read_as_it_was_written_and_is_no_answer_to_a_challenge() -> None:
    raw = encode_sample_openings(DRAWN)
    assert parse_sample_openings(raw) == DRAWN
    for one in DRAWN.chips:
        verify_chip(CHIPS.root(), one.chip(), one.opening())
    with pytest.raises(FormatError):
        parse_openings(raw)
    with pytest.raises(FormatError):
        parse_sample_openings(encode_openings(WHOLE))
    with pytest.raises(FormatError):
        parse_sample_openings(raw + b" ")


@pytest.mark.parametrize(
    "changed",
    [
        {"format": OPENINGS_FORMAT},
        {"chips": (chip(4), chip(1))},
        {"chips": (chip(1), chip(1))},
        {"round": -1},
        {"sample": "22"},
        {"cluster": "Not An Id"},
    ],
)
def test_an_answer_to_a_sample_out_of_order_or_of_another_form_is_refused(changed: dict[str, Any]) -> None:
    with pytest.raises(FormatError):
        encode_sample_openings(msgspec.structs.replace(DRAWN, **changed))


def test_no_challenge_has_the_name_of_a_sample() -> None:
    name = name_sample(cluster="c1", beacon_round=BeaconRound(5), purpose=Purpose.SPOT)
    assert name == "c1/5/spot"
    with pytest.raises(FormatError):
        encode_openings(msgspec.structs.replace(WHOLE, challenge=name))


def test_the_largest_sample_that_a_charter_can_ask_for_fits_one_file() -> None:
    terms = Inspections(round_s=Seconds(3600), bad_permille=1, confidence_permille=999, answer_window_s=Seconds(60))
    count = compute_round_count(10**7, terms=terms, interval_s=3600)
    longest = OpenedChip(
        index=LeafIndex(0), salt=b"\xff" * 32, model="a" * 64, serial="~" * 128, path=(b"\xff" * 32,) * 24
    )
    chips = tuple(msgspec.structs.replace(longest, index=LeafIndex(10**7 - count + at)) for at in range(count))
    raw = encode_sample_openings(msgspec.structs.replace(DRAWN, chips=chips))
    assert (count, len(parse_sample_openings(raw).chips)) == (6905, count)
