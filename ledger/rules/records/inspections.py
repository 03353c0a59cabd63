"""Beacons and samples that are still of use, who inspects for each nation, and what became of each challenge."""

from typing import Final, Literal

from ledger.positions import Interval, LeafIndex, Millis
from ledger.rules.record import Record, Table

Stage = Literal[
    "open",
    "overdue",
    "provided",
    "withdrawn",
    "declined",
    "salts-lost",
    "missing",
    "lapsed",
    "consistent",
    "inconsistent",
    "inconclusive",
]
"""How far a challenge is. The first three wait for something; the others are how it ended."""


class Drawn(Record, frozen=True):
    """A round's beacon, and what the seed of its samples depends on beside it.

    Attributes:
        signature: the group's, 48 bytes.
        block: digest of the round's trigger, 32 bytes.
        index: of the entry that holds the beacon.
    """

    signature: bytes
    block: bytes
    index: LeafIndex


class Sampling(Record, frozen=True):
    """How far rounds have been drawn: all before `next_round`, and in that one a part of the labs.

    Attributes:
        next_round: the first that is not drawn to its end.
        lab: number of the lab that is next in it.
        cluster: how many of that lab's clusters have been looked at.
        is_scheduled: whether the agenda holds an event that goes on.
    """

    next_round: int
    lab: int
    cluster: int
    is_scheduled: bool


class OpenSample(Record, frozen=True):
    """A sample that waits for its answer.

    Attributes:
        lab: whose.
        cluster: of which cluster.
        interval: in which the round opened.
        count: how many units were drawn.
        index: of the entry that holds the round's beacon.
    """

    lab: str
    cluster: str
    interval: Interval
    count: int
    index: LeafIndex


class RegisteredInspector(Record, frozen=True):
    """An inspector, and the ledger index that revoked them."""

    id: str
    signing_key: bytes
    encryption_key: bytes
    revoked_by: LeafIndex | None


class NationInspectors(Record, frozen=True):
    """All inspectors that a nation ever named, in the order they were named."""

    inspectors: tuple[RegisteredInspector, ...]


class InspectorKey(Record, frozen=True):
    """Whose a signing key is, for good."""

    nation: str
    inspector: str


class Found(Record, frozen=True):
    """What one inspector found; `ledger.statements.inspections.Finding` in short."""

    nation: str
    inspector: str
    conclusion: str
    grounds: tuple[str, ...]
    level: str


class RaisedChallenge(Record, frozen=True):
    """A challenge, open or closed.

    Attributes:
        nation: id of the challenger.
        lab: id of the lab.
        cluster: about which cluster.
        interval: about when.
        report: leaf hash of the declaration that was the latest when it was raised, 32 bytes.
        index: of its entry.
        stage: how far it is.
        inspectors: nation and id of each to whom the lab is to hand what is asked; empty once it is closed.
        findings: in the order they came; empty once it is closed.
    """

    nation: str
    lab: str
    cluster: str
    interval: Interval
    report: bytes
    index: LeafIndex
    stage: Stage
    inspectors: tuple[tuple[str, str], ...]
    findings: tuple[Found, ...]


class ChallengeName(Record, frozen=True):
    """The id of a challenge."""

    challenge: str


class RaisedCount(Record, frozen=True):
    """How many challenges a nation ever raised."""

    count: int


class RaisedAt(Record, frozen=True):
    """When a nation raised one of its last challenges."""

    time_ms: Millis


BEACONS: Final = Table(b"j", Drawn)  # by round, 8 bytes
SAMPLING: Final = Table(b"k", Sampling)
SAMPLES: Final = Table(b"l", OpenSample)  # by round, purpose and cluster
INSPECTORS: Final = Table(b"m", NationInspectors)  # by nation
INSPECTOR_KEYS: Final = Table(b"n", InspectorKey)  # by SHA-256 of the signing key
CHALLENGES: Final = Table(b"o", RaisedChallenge)  # by id
OPEN_CHALLENGES: Final = Table(b"p", ChallengeName)  # by nation, cluster and interval
RAISED_COUNTS: Final = Table(b"s", RaisedCount)  # by nation
RAISED_TIMES: Final = Table(b"t", RaisedAt)  # by nation, and the count at that time modulo the quota


def make_sample_name(round_number: int, purpose: str, cluster: str) -> bytes:
    """Name of a round's sample of a cluster."""
    return f"{round_number}/{purpose}/{cluster}".encode("ascii")


def make_open_name(nation: str, cluster: str, interval: Interval) -> bytes:
    """Name of the challenge that a nation has open on a cluster's interval; no id holds a slash."""
    return f"{nation}/{cluster}/{interval}".encode("ascii")


def make_raised_name(nation: str, place: int) -> bytes:
    """Name of the time at one of the places that a nation's quota has."""
    return f"{nation}/{place}".encode("ascii")
