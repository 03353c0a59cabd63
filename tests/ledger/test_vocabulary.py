"""The vocabulary: every kind that can be submitted is written by its own form, from the fields of its schema."""

import pytest

from ledger.errors import Code, FormatError
from ledger.rules.apply import KINDS_OF_AGREEMENT
from ledger.statements.dsse import parse_envelope
from ledger.vocabulary import ENCODERS, encode_predicate
from tests.formats.draws import Draw
from tests.formats.formats import FORMATS
from tests.ledger.test_schemas import NAMES, draw_statement


def test_every_kind_that_can_be_submitted_can_be_written_and_no_other() -> None:
    assert sorted(ENCODERS) == sorted(KINDS_OF_AGREEMENT)


@pytest.mark.parametrize("kind", sorted(ENCODERS))
def test_the_fields_of_a_drawn_statement_are_written_as_its_payload(kind: str) -> None:
    raw = FORMATS[NAMES[kind]].make(Draw(f"schema {kind} 7"))
    payload = parse_envelope(raw).payload if raw.startswith(b'{"payload"') else raw
    written = encode_predicate(kind, draw_statement(kind, 7)["predicate"])
    assert payload.startswith(written)  # some drawn values go on after the statement


@pytest.mark.parametrize("kind", sorted(ENCODERS))
def test_a_field_too_few_or_too_many_is_named(kind: str) -> None:
    fields = draw_statement(kind, 8)["predicate"]
    for name in fields:
        with pytest.raises(FormatError, match=name):
            encode_predicate(kind, {other: value for other, value in fields.items() if other != name})
    with pytest.raises(FormatError, match="extra"):
        encode_predicate(kind, fields | {"extra": 1})


@pytest.mark.parametrize("kind", ["verdict", "pause-event", "charter", "charter:v2", "", "wish"])
def test_what_no_party_signs_is_an_unknown_kind(kind: str) -> None:
    with pytest.raises(FormatError) as refused:
        encode_predicate(kind, {})
    assert refused.value.code is Code.UNKNOWN_KIND
