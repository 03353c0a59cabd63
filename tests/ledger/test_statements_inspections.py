"""Statements of inspections: what their parsers refuse beyond types, and what they call their subject."""

import hashlib
from typing import Any

import msgspec
import pytest

from ledger.errors import FormatError
from ledger.limits import CHALLENGED_UNITS_MAX, INSPECTORS_MAX
from ledger.positions import Interval, LeafIndex, Seconds
from ledger.positions import Sequence as SequenceNumber
from ledger.statements.inspections import (
    Challenge,
    FieldFinding,
    Finding,
    Grounds,
    Handed,
    Inspector,
    Inspectors,
    Named,
    Request,
    Response,
    encode_challenge,
    encode_finding,
    encode_inspectors,
    encode_response,
    parse_challenge,
    parse_finding,
    parse_inspectors,
    parse_response,
)
from ledger.statements.intoto import ZERO_HASH, Corrects
from tests.ledger.rulebook import Key

HEADER: dict[str, Any] = {  # Any: each of its own type
    "ledger": "11" * 32,
    "issuer": "avalon",
    "sequence": SequenceNumber(3),
    "previous": "22" * 32,
    "issued_at": Seconds(5),
    "corrects": None,
}


def make_inspector(name: str, **changes: Any) -> Inspector:
    made = Inspector(
        id=name,
        name=name.title(),
        signing_key=Key(name).public,
        encryption_key=hashlib.sha256(name.encode()).digest(),
        status="active",
    )
    return msgspec.structs.replace(made, **changes)


INSPECTORS = Inspectors(**HEADER, inspectors=(make_inspector("ada"), make_inspector("bo")))
REQUEST = Request(fields=("energy_wh", "runs"), records=(LeafIndex(1),), inventory=None, chips=(), recompute=None)
CHALLENGE = Challenge(
    **HEADER,
    challenge="c-1",
    lab="acme",
    cluster="a1",
    interval=Interval(4),
    request=REQUEST,
    grounds=Grounds(None, "a rumour"),
    inspectors=(Named("brittia", "ada"), Named("cockaigne", "ada")),
)
RESPONSE = Response(
    **HEADER,
    challenge="c-1",
    outcome="provided",
    handed="33" * 32,
    recipients=(Handed(nation="brittia", inspector="ada", ciphertext="44" * 32),),
)
FINDING = Finding(
    **HEADER,
    challenge="c-1",
    inspector="ada",
    conclusion="inconsistent",
    fields=(FieldFinding("energy_wh", "inconsistent"), FieldFinding("runs", "consistent")),
    grounds=("CHECK_FAILED", "FROZEN_RUN_GREW"),
    level=None,
    report="55" * 32,
)


def asked(**changes: Any) -> Challenge:
    return msgspec.structs.replace(CHALLENGE, request=msgspec.structs.replace(REQUEST, **changes))


def test_subjects_follow_from_the_predicates() -> None:
    inspectors = parse_inspectors(encode_inspectors(INSPECTORS)).subject
    keys = Key("ada").public + Key("bo").public
    assert (inspectors.name, inspectors.digest.sha256) == ("avalon", hashlib.sha256(keys).hexdigest())
    challenge = parse_challenge(encode_challenge(CHALLENGE)).subject
    request = hashlib.sha256(msgspec.json.encode(REQUEST)).hexdigest()
    assert (challenge.name, challenge.digest.sha256) == ("c-1", request)
    response = parse_response(encode_response(RESPONSE)).subject
    assert (response.name, response.digest.sha256) == ("c-1", "33" * 32)
    declined = msgspec.structs.replace(RESPONSE, outcome="declined", handed=None, recipients=())
    assert parse_response(encode_response(declined)).subject.digest.sha256 == ZERO_HASH
    finding = parse_finding(encode_finding(FINDING)).subject
    assert (finding.name, finding.digest.sha256) == ("c-1/avalon/ada", "55" * 32)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"inspectors": (make_inspector("ada"), make_inspector("ada"))}, "inspectors.signing_key"),
        ({"inspectors": (make_inspector("ada"), make_inspector("ada", signing_key=Key("x").public))}, "encryption_key"),
        (
            {
                "inspectors": (
                    make_inspector("ada"),
                    make_inspector("ada", signing_key=Key("x").public, encryption_key=bytes(32)),
                )
            },
            "inspectors.id",
        ),
        ({"inspectors": (make_inspector("ada", signing_key=bytes(32)),)}, "inspectors.signing_key"),
        ({"inspectors": tuple(make_inspector(f"i{n}") for n in range(INSPECTORS_MAX + 1))}, "statement"),
        ({"corrects": Corrects("00" * 32, "no")}, "corrects"),
    ],
)
def test_a_list_of_inspectors_with_a_key_or_an_active_name_twice_is_refused(changes: Any, field: str) -> None:
    with pytest.raises(FormatError) as caught:
        encode_inspectors(msgspec.structs.replace(INSPECTORS, **changes))
    assert caught.value.field.endswith(field)


def test_a_revoked_inspector_may_have_the_name_of_its_successor() -> None:
    before = make_inspector("ada", status="revoked")
    after = make_inspector("ada", signing_key=Key("x").public, encryption_key=bytes(32))
    made = msgspec.structs.replace(INSPECTORS, inspectors=(before, after))
    assert parse_inspectors(encode_inspectors(made)).predicate.active() == (after,)


@pytest.mark.parametrize(
    ("challenge", "field"),
    [
        (asked(fields=("runs", "energy_wh")), "request.fields"),
        (asked(fields=("runs", "runs")), "request.fields"),
        (asked(fields=("salary",)), "statement"),
        (asked(records=(LeafIndex(2), LeafIndex(1))), "request.records"),
        (asked(records=tuple(map(LeafIndex, range(CHALLENGED_UNITS_MAX + 1)))), "statement"),
        (asked(chips=(LeafIndex(1),)), "request.inventory"),
        (asked(inventory="00" * 32), "request.inventory"),
        (asked(inventory="00" * 32, chips=(LeafIndex(1), LeafIndex(1))), "request.chips"),
        (asked(fields=(), records=()), "request"),
        (msgspec.structs.replace(CHALLENGE, inspectors=CHALLENGE.inspectors[::-1]), "inspectors"),
        (msgspec.structs.replace(CHALLENGE, inspectors=()), "statement"),
        (msgspec.structs.replace(CHALLENGE, grounds=Grounds(None, "")), "statement"),
        (msgspec.structs.replace(CHALLENGE, corrects=Corrects("00" * 32, "no")), "corrects"),
    ],
)
def test_a_challenge_asks_for_something_each_thing_once_and_in_order(challenge: Challenge, field: str) -> None:
    with pytest.raises(FormatError) as caught:
        encode_challenge(challenge)
    assert caught.value.field.endswith(field)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"handed": None}, "handed"),
        ({"recipients": ()}, "recipients"),
        ({"outcome": "declined"}, "handed"),
        ({"outcome": "salts-lost", "handed": None}, "recipients"),
        ({"outcome": "perhaps"}, "statement"),
        ({"recipients": RESPONSE.recipients * 2}, "recipients"),
        ({"corrects": Corrects("00" * 32, "no")}, "corrects"),
    ],
)
def test_a_response_has_digests_exactly_if_something_was_handed_over(changes: Any, field: str) -> None:
    with pytest.raises(FormatError) as caught:
        encode_response(msgspec.structs.replace(RESPONSE, **changes))
    assert caught.value.field.endswith(field)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"level": "A3"}, "level"),
        ({"conclusion": "consistent", "grounds": ()}, "level"),
        ({"conclusion": "consistent", "level": "A3"}, "grounds"),
        ({"conclusion": "consistent", "grounds": (), "level": "A2"}, "statement"),
        ({"conclusion": "inconclusive"}, "grounds"),
        ({"grounds": ("FROZEN_RUN_GREW", "CHECK_FAILED")}, "grounds"),
        ({"grounds": ("NOT_FILED_BY_DUE",)}, "statement"),
        ({"fields": FINDING.fields[::-1]}, "fields"),
        ({"fields": (FieldFinding("salary", "consistent"),)}, "statement"),  # type: ignore[arg-type]  # that is the point
        ({"corrects": Corrects("00" * 32, "no")}, "corrects"),
    ],
)
def test_a_finding_says_what_belongs_to_its_conclusion_and_nothing_else(changes: Any, field: str) -> None:
    with pytest.raises(FormatError) as caught:
        encode_finding(msgspec.structs.replace(FINDING, **changes))
    assert caught.value.field.endswith(field)
