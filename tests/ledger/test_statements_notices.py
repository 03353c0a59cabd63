"""Incidents, observations, measures: their one spelling, and what contradicts itself."""

import hashlib
from typing import Any

import msgspec
import pytest

from ledger.disclosure import compute_decoy
from ledger.errors import FormatError
from ledger.positions import Interval, Seconds, Sequence
from ledger.statements.intoto import ZERO_HASH, Corrects, find_kind
from ledger.statements.notices import (
    ENFORCEMENT,
    INCIDENT,
    OBSERVATION,
    Enforcement,
    HiddenIncident,
    Incident,
    Observation,
    encode_enforcement,
    encode_hidden_incident,
    encode_incident,
    encode_observation,
    parse_enforcement,
    parse_hidden_incident,
    parse_incident,
    parse_observation,
)

LEDGER, LEAF = "ab" * 32, "cd" * 32
DIGEST = compute_decoy(bytes(16))
HEADER: dict[str, Any] = {  # each of its own type
    "ledger": LEDGER,
    "issuer": "acme",
    "sequence": Sequence(0),
    "previous": ZERO_HASH,
    "issued_at": Seconds(0),
    "corrects": None,
}
OUTAGE = Incident(
    **HEADER,
    category="outage",
    severity="critical",
    interval=Interval(7),
    clusters=("a1", "a2"),
    digests=(DIGEST,),
    text_sha256=LEAF,
)
SEEN = Observation(
    **HEADER, about="lab", name="beta", category="site", confidence="high", digest=LEAF, text="a hall with cooling"
)
FINED = Enforcement(**HEADER, lab="beta", measure="fine", interval=Interval(7), until=Interval(9), text="Überfällig")
CORRECTION = {"corrects": Corrects(LEAF, "a slip")}


def test_notices_read_back_and_say_what_they_are_about() -> None:
    incident, observation, measure = encode_incident(OUTAGE), encode_observation(SEEN), encode_enforcement(FINED)
    assert [find_kind(raw) for raw in (incident, observation, measure)] == [INCIDENT, OBSERVATION, ENFORCEMENT]
    assert parse_incident(incident).predicate == OUTAGE
    assert parse_observation(observation).predicate == SEEN
    assert parse_enforcement(measure).predicate == FINED
    subjects = [
        parse_incident(incident).subject,
        parse_observation(observation).subject,
        parse_enforcement(measure).subject,
    ]
    assert [subject.name for subject in subjects] == ["acme/7/outage", "lab/beta", "beta/7/fine"]
    assert subjects[2].digest.sha256 == hashlib.sha256("Überfällig".encode()).hexdigest()


def test_notices_are_spelt_in_the_documented_order() -> None:
    assert encode_incident(OUTAGE).endswith(
        b'"category":"outage","severity":"critical","interval":7,"clusters":["a1","a2"],"digests":["%b"],'
        b'"text_sha256":"%b"}}' % (DIGEST.encode(), LEAF.encode())
    )
    assert encode_observation(SEEN).endswith(
        b'"about":"lab","name":"beta","category":"site","confidence":"high","digest":"%b",'
        b'"text":"a hall with cooling"}}' % LEAF.encode()
    )
    assert encode_enforcement(FINED).endswith(
        '"lab":"beta","measure":"fine","interval":7,"until":9,"text":"Überfällig"}}'.encode()
    )


def test_an_observation_of_the_ledger_names_it() -> None:
    seen = msgspec.structs.replace(SEEN, about="ledger", name=None)
    assert parse_observation(encode_observation(seen)).subject.name == f"ledger/{LEDGER}"


@pytest.mark.parametrize(
    ("field", "changes"),
    [
        ("corrects", CORRECTION),
        ("clusters", {"clusters": ("a2", "a1")}),
        ("clusters", {"clusters": ("a1", "a1")}),
        ("digests", {"digests": (DIGEST, DIGEST)}),
        ("digests", {"digests": ("!" * 43,)}),
    ],
)
def test_an_incident_that_contradicts_itself_is_refused(field: str, changes: dict[str, Any]) -> None:
    with pytest.raises(FormatError) as caught:
        encode_incident(msgspec.structs.replace(OUTAGE, **changes))
    assert caught.value.field == f"statement.predicate.{field}"


@pytest.mark.parametrize(
    ("field", "changes"), [("corrects", CORRECTION), ("name", {"name": None}), ("name", {"about": "ledger"})]
)
def test_an_observation_that_contradicts_itself_is_refused(field: str, changes: dict[str, Any]) -> None:
    with pytest.raises(FormatError) as caught:
        encode_observation(msgspec.structs.replace(SEEN, **changes))
    assert caught.value.field == f"statement.predicate.{field}"


@pytest.mark.parametrize(
    ("field", "changes"),
    [("corrects", CORRECTION), ("until", {"until": 7}), ("until", {"until": 6}), ("until", {"measure": "lifted"})],
)
def test_a_measure_that_contradicts_itself_is_refused(field: str, changes: dict[str, Any]) -> None:
    with pytest.raises(FormatError) as caught:
        encode_enforcement(msgspec.structs.replace(FINED, **changes))
    assert caught.value.field == f"statement.predicate.{field}"


@pytest.mark.parametrize("word", ["category", "severity"])
def test_words_that_are_on_no_list_are_refused(word: str) -> None:
    with pytest.raises(FormatError):
        encode_incident(msgspec.structs.replace(OUTAGE, **{word: "strange"}))


def test_a_text_is_bounded() -> None:
    for at_most, refused in (("a" * 512, "a" * 513),):
        encode_observation(msgspec.structs.replace(SEEN, text=at_most))
        encode_enforcement(msgspec.structs.replace(FINED, text=at_most))
        with pytest.raises(FormatError):
            encode_observation(msgspec.structs.replace(SEEN, text=refused))
        with pytest.raises(FormatError):
            encode_enforcement(msgspec.structs.replace(FINED, text=refused))


def test_hidden_fields_of_an_incident_read_back_and_others_are_refused() -> None:
    hidden = HiddenIncident(cause="a transformer", chips_affected=str(2**60))
    assert parse_hidden_incident(encode_hidden_incident(hidden)) == hidden
    for values in ({}, {"cause": "x"}, {"cause": "x", "chips_affected": -1}, {"cause": 1, "chips_affected": 1}):
        with pytest.raises(FormatError):
            parse_hidden_incident(values)
