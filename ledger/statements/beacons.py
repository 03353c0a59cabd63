"""Beacons and samples: a round's random number, what the rules draw with it, and a lab's answer.

A *beacon* is the group's signature of an inspection round, posted by whichever nation is first. What it is over, and
what it is good for: `ledger.beacons`. Subject: `round/<round>`, with the round's random number, the SHA-256 of the
signature.

A *sample* is computed by the rules and signed by nobody but the seal: which units of one cluster a round draws. The
seed and the indices are those of `ledger.sampling`; `ledger.rules.samples` computes them, and anybody else can.

A *sample answer* is the lab's: the digest of what opens all units drawn. The openings go to inspectors, encrypted and
outside the ledger, as after a challenge.

Subject of both: `<lab>/<cluster>/<round>/<purpose>`, with the seed, or with the digest of the openings.
"""

from typing import Annotated, Final

import msgspec
from msgspec import Meta

from ledger.beacons import compute_randomness
from ledger.limits import INTEGER_MAX, INTERVAL_MAX, SAMPLE_COUNT_MAX, SAMPLE_INDICES_LISTED_MAX, SEAL_BYTES, SIZE_MAX
from ledger.positions import BeaconRound, Interval, LeafIndex, Millis
from ledger.sampling import Purpose
from ledger.statements.computed import ComputedForm
from ledger.statements.intoto import (
    Count,
    Hex32,
    Identifier,
    PredicateHeader,
    Statement,
    StatementForm,
    Subject,
    make_subject,
    require_no_correction,
)

BEACON: Final = "beacon"
SAMPLE: Final = "sample"
SAMPLE_ANSWER: Final = "sample-answer"

RoundNumber = Annotated[BeaconRound, Meta(ge=0, le=INTEGER_MAX)]


class Beacon(PredicateHeader, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a nation posts of a round.

    Attributes:
        round: its number on the charter's grid.
        signature: the group's over `ledger.beacons.compute_beacon_message`, 48 bytes.
    """

    round: RoundNumber
    signature: Annotated[bytes, Meta(min_length=SEAL_BYTES, max_length=SEAL_BYTES)]


class Sample(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a round draws from one cluster.

    Attributes:
        ledger: hex id of the ledger.
        round: whose beacon drew.
        purpose: what is drawn from.
        lab: whose cluster.
        cluster: which.
        interval: in which the round opened.
        block: hex digest of the block that opened the round, which is in the seed.
        inventory: hex leaf hash of the entry that fixed the units.
        population: how many units there are.
        count: how many are drawn.
        seed: hex, 32 bytes.
        indices: of the units, in the order of drawing; empty if they are more than `SAMPLE_INDICES_LISTED_MAX`.
        time_ms: time of the block that opens with it.
        answer_by_ms: the first moment that is too late for the answer, if no outage moves it.
    """

    ledger: Hex32
    round: RoundNumber
    purpose: Purpose
    lab: Identifier
    cluster: Identifier
    interval: Annotated[Interval, Meta(ge=0, le=INTERVAL_MAX)]
    block: Hex32
    inventory: Hex32
    population: Annotated[int, Meta(ge=1, le=INTEGER_MAX)]
    count: Annotated[int, Meta(ge=1, le=SAMPLE_COUNT_MAX)]
    seed: Hex32
    indices: Annotated[
        tuple[Annotated[LeafIndex, Meta(ge=0, le=INTEGER_MAX)], ...], Meta(max_length=SAMPLE_INDICES_LISTED_MAX)
    ]
    time_ms: Annotated[Millis, Meta(ge=0, le=SIZE_MAX)]
    answer_by_ms: Annotated[Millis, Meta(ge=0, le=SIZE_MAX)]


class SampleAnswer(PredicateHeader, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a lab says to a sample.

    Attributes:
        round: of the sample.
        purpose: of the sample.
        cluster: of the sample.
        openings: SHA-256 of what opens all units, as it was handed over, before encryption.
        opened_count: how many units it opens; fewer than were drawn if the lab cannot open some.
    """

    round: RoundNumber
    purpose: Purpose
    cluster: Identifier
    openings: Hex32
    opened_count: Count


def encode_beacon(beacon: Beacon) -> bytes:
    """Write the payload that the nation signs.

    Raises:
        FormatError: a value that `parse_beacon` would refuse.
    """
    return _BEACON.encode(beacon)


def parse_beacon(payload: bytes) -> Statement[Beacon]:
    """Read a beacon. Whether the group signed it is for `ledger.beacons.verify_beacon`.

    Raises:
        FormatError: not a beacon in its one encoding.
    """
    return _BEACON.parse(payload)


def encode_sample(sample: Sample) -> bytes:
    """Write the entry; the same value gives the same bytes everywhere."""
    return _SAMPLE.encode(sample)


def parse_sample(entry: bytes) -> Sample:
    """Read an entry of a sample. That the rules drew it is for `ledger.rules.samples.recompute_sample`.

    Raises:
        FormatError: not a sample in its one encoding, or its subject contradicts it.
    """
    return _SAMPLE.parse(entry)


def encode_sample_answer(answer: SampleAnswer) -> bytes:
    """Write the payload that the lab signs.

    Raises:
        FormatError: a value that `parse_sample_answer` would refuse.
    """
    return _SAMPLE_ANSWER.encode(answer)


def parse_sample_answer(payload: bytes) -> Statement[SampleAnswer]:
    """Read an answer to a sample.

    Raises:
        FormatError: not one in its one encoding.
    """
    return _SAMPLE_ANSWER.parse(payload)


def _check_sample(sample: Sample) -> Subject:
    return make_subject(f"{sample.lab}/{sample.cluster}/{sample.round}/{sample.purpose}", sample.seed)


def _check_sample_answer(answer: SampleAnswer) -> Subject:
    require_no_correction(answer)
    return make_subject(f"{answer.issuer}/{answer.cluster}/{answer.round}/{answer.purpose}", answer.openings)


def _check_beacon(beacon: Beacon) -> Subject:
    require_no_correction(beacon)
    return make_subject(f"round/{beacon.round}", compute_randomness(beacon.signature).hex())


_BEACON: Final = StatementForm(BEACON, Beacon, check=_check_beacon)
_SAMPLE: Final = ComputedForm(SAMPLE, Sample, check=_check_sample)
_SAMPLE_ANSWER: Final = StatementForm(SAMPLE_ANSWER, SampleAnswer, check=_check_sample_answer)
