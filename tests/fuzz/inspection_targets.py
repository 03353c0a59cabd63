"""Fuzz targets of inspections: beacons, samples, challenges and what is said about them."""

from collections.abc import Callable
from typing import Any

from ledger.statements.beacons import (
    encode_beacon,
    encode_sample,
    encode_sample_answer,
    parse_beacon,
    parse_sample,
    parse_sample_answer,
)
from ledger.statements.inspections import (
    encode_challenge,
    encode_finding,
    encode_inspectors,
    encode_response,
    encode_withdrawal,
    parse_challenge,
    parse_finding,
    parse_inspectors,
    parse_response,
    parse_withdrawal,
)
from tests.formats import inspections
from tests.formats.draws import Draw
from tests.fuzz.target import Target, drawn, same


def _payload(
    parse: Callable[[bytes], Any],  # each kind's own statement
    encode: Callable[[Any], bytes],
    make: Callable[[Draw], bytes],
) -> Target:
    """Target for the payload of one kind of statement."""
    return Target(
        lambda raw: same(encode(parse(raw).predicate), raw), drawn(make), (f"{parse.__module__}.{parse.__name__}",)
    )


TARGETS: dict[str, Target] = {
    "beacon": _payload(parse_beacon, encode_beacon, inspections.beacon),
    "sample": Target(
        lambda raw: same(encode_sample(parse_sample(raw)), raw),
        drawn(inspections.sample_entry),
        ("ledger.statements.beacons.parse_sample",),
    ),
    "sample answer": _payload(parse_sample_answer, encode_sample_answer, inspections.sample_answer),
    "inspectors": _payload(parse_inspectors, encode_inspectors, inspections.inspectors),
    "challenge": _payload(parse_challenge, encode_challenge, inspections.challenge),
    "withdrawal": _payload(parse_withdrawal, encode_withdrawal, inspections.withdrawal),
    "response": _payload(parse_response, encode_response, inspections.response),
    "finding": _payload(parse_finding, encode_finding, inspections.finding),
}
