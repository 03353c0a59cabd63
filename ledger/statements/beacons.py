"""Beacons on the ledger: the group's signature of an inspection round, posted by whichever nation is first.

What the signature is over, and what it is good for: `ledger.beacons`.
Subject: `round/<round>`, with the round's random number: the SHA-256 of the signature.
"""

from typing import Annotated, Final

from msgspec import Meta

from ledger.beacons import compute_randomness
from ledger.limits import INTEGER_MAX, SEAL_BYTES
from ledger.positions import BeaconRound
from ledger.statements.intoto import (
    PredicateHeader,
    Statement,
    StatementForm,
    Subject,
    make_subject,
    require_no_correction,
)

BEACON: Final = "beacon"

RoundNumber = Annotated[BeaconRound, Meta(ge=0, le=INTEGER_MAX)]


class Beacon(PredicateHeader, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a nation posts of a round.

    Attributes:
        round: its number on the charter's grid.
        signature: the group's over `ledger.beacons.compute_beacon_message`, 48 bytes.
    """

    round: RoundNumber
    signature: Annotated[bytes, Meta(min_length=SEAL_BYTES, max_length=SEAL_BYTES)]


def encode_beacon(beacon: Beacon) -> bytes:
    """Write the payload that the nation signs.

    Raises:
        FormatError: a value that `parse_beacon` would refuse.
    """
    return _FORM.encode(beacon)


def parse_beacon(payload: bytes) -> Statement[Beacon]:
    """Read a beacon. Whether the group signed it is for `ledger.beacons.verify_beacon`.

    Raises:
        FormatError: not a beacon in its one encoding.
    """
    return _FORM.parse(payload)


def _check(beacon: Beacon) -> Subject:
    require_no_correction(beacon)
    return make_subject(f"round/{beacon.round}", compute_randomness(beacon.signature).hex())


_FORM: Final = StatementForm(BEACON, Beacon, check=_check)
