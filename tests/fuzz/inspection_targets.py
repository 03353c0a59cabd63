"""Fuzz targets of inspections: beacons, samples, challenges and what is said about them."""

from collections.abc import Callable
from typing import Any

from ledger.statements.beacons import encode_beacon, parse_beacon
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
}
