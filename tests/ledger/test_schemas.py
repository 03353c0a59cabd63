"""Published schemas against what the parsers take: every drawn statement validates, every damaged one does not."""

import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from ledger.charter import CHARTER
from ledger.rules.apply import KINDS_OF_AGREEMENT
from ledger.schemas import PREDICATES, encode_schema, make_schema, schema_name
from ledger.statements.beacons import SAMPLE
from ledger.statements.dsse import parse_envelope
from ledger.statements.pauses import PAUSE_EVENT
from ledger.statements.verdicts import VERDICT
from tests.formats.draws import Draw
from tests.formats.formats import FORMATS

NAMES = {
    "charter": "charter",
    "charter:v2": "charter with an agreement",
    "registration": "registration",
    "report": "report",
    "correction": "correction",
    "misconduct": "statement of misconduct",
    "inventory": "inventory",
    "transfer": "transfer",
    "incident": "incident",
    "observation": "observation",
    "enforcement": "enforcement",
    "training-run": "training run",
    "run-decision": "decision on a run",
    "release-review": "release review",
    "review-event": "event of a review",
    "release-notice": "release notice",
    "proposal": "proposal",
    "approval": "approval",
    "pause-proposal": "proposal of a pause",
    "pause-accession": "accession to a pause",
    "lab-pledge": "pledge of a lab",
    "pause-freeze": "freeze of runs",
    "pause-event": "event of a pause",
    "beacon": "beacon",
    "sample": "sample entry",
    "sample-answer": "answer to a sample",
    "inspectors": "list of inspectors",
    "challenge": "challenge",
    "withdrawal": "withdrawal of a challenge",
    "response": "response to a challenge",
    "finding": "finding",
    "verdict": "verdict with remarks",
}
"""Where `tests.formats` draws statements of a kind."""


def draw_statement(kind: str, seed: int) -> Any:  # any JSON value
    raw = FORMATS[NAMES[kind]].make(Draw(f"schema {kind} {seed}"))
    payload = parse_envelope(raw).payload if raw.startswith(b'{"payload"') else raw
    return json.JSONDecoder().raw_decode(payload.decode())[0]  # some drawn values go on after the statement


def find_objects(part: Any) -> list[dict[str, Any]]:  # any JSON value
    inner = part.values() if isinstance(part, dict) else part if isinstance(part, list) else ()
    found = [each for value in inner for each in find_objects(value)]
    return [part, *found] if isinstance(part, dict) else found


def test_every_kind_has_a_schema_and_no_other() -> None:
    submitted = set(PREDICATES) - {CHARTER, "charter:v2", VERDICT, PAUSE_EVENT, SAMPLE}
    assert submitted == set(KINDS_OF_AGREEMENT)
    assert set(NAMES) == set(PREDICATES)


@pytest.mark.parametrize("kind", PREDICATES)
def test_statements_that_the_parsers_take_validate(kind: str) -> None:
    schema = make_schema(kind)
    Draft202012Validator.check_schema(schema)
    validator = Draft202012Validator(schema)
    for seed in range(8):
        assert list(validator.iter_errors(draw_statement(kind, seed))) == []


@pytest.mark.parametrize("kind", PREDICATES)
def test_a_field_more_a_field_less_and_another_type_are_refused(kind: str) -> None:
    validator = Draft202012Validator(make_schema(kind))
    tried = 0
    for place in range(len(find_objects(draw_statement(kind, 0)))):
        statement = draw_statement(kind, 0)
        found = find_objects(statement)[place]
        if "sha256" not in found and set(found) - {"_type"} and not validator.is_valid(add(statement, found)):
            tried += 1
    assert tried >= 2
    for name in ("_type", "subject", "predicateType", "predicate"):
        statement = draw_statement(kind, 0)
        del statement[name]
        assert not validator.is_valid(statement)
    statement = draw_statement(kind, 0)
    statement["predicate"]["ledger"] = statement["predicate"]["ledger"][:-1]
    assert not validator.is_valid(statement)


def add(statement: Any, found: dict[str, Any]) -> Any:  # JSON
    found["unknown-to-everybody"] = {"a": 1}
    return statement


@pytest.mark.parametrize("kind", PREDICATES)
def test_a_schema_has_a_name_of_its_own_and_no_pattern_of_python(kind: str) -> None:
    raw = encode_schema(kind).decode()
    assert r"\\A" not in raw
    assert r"\\Z" not in raw
    assert r"\\U" not in raw
    assert [other for other in PREDICATES if schema_name(other) == schema_name(kind)] == [kind]
