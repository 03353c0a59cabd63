"""Which samples wait for a lab: found among the newest entries that a node has, and proven one by one.

What is found stands on the ledger. What is not found may be older than the entries that were looked through, or a node
was silent about it: each node in the settings is a second opinion, and so is an observer's copy.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from lab.answering import DrawnSample, name_drawn
from lab.client import Client
from ledger.errors import Code, ConditionError, LedgerError
from ledger.merkle import leaf_hash
from ledger.positions import Millis
from ledger.statements.beacons import BEACON, SAMPLE, Sample, parse_beacon, parse_sample
from ledger.statements.computed import find_computed_kind, is_computed_entry
from ledger.statements.dsse import parse_envelope
from ledger.statements.intoto import find_kind

LOOKED_THROUGH_MAX: Final = 10_000
"""Newest entries that are asked for; a sample that is further back has its window behind it, or is given as a file."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which sample is looked for.

    Attributes:
        lab: whose.
        answered: names of those that are not (`lab.answering.name_drawn`).
        cluster: of which cluster; None for any.
        beacon_round: of which round; None for any.
    """

    lab: str
    answered: frozenset[str]
    cluster: str | None = None
    beacon_round: int | None = None

    def fits(self, sample: Sample) -> bool:
        """Say whether a sample is one of these."""
        return (
            sample.lab == self.lab
            and self.cluster in {None, sample.cluster}
            and self.beacon_round in {None, sample.round}
            and name_drawn(sample) not in self.answered
        )


async def find_drawn(client: Client, wanted: Wanted, *, now_ms: Millis) -> DrawnSample:
    """Give the sample that must be answered first, with its beacon, both proven.

    Args:
        client: connected.
        wanted: which samples count.
        now_ms: by this machine's clock; samples whose window is over come last.

    Raises:
        ConditionError: there is none (`NOT_READY`), or its beacon is further back (`CONFIG`).
        NodesError: nobody could answer in time.
    """
    entries = await client.read_newest(LOOKED_THROUGH_MAX)
    found = [(entry, sample) for entry, sample in _find_samples(entries) if wanted.fits(sample)]
    if not found:
        said, expected = "none that waits for this lab", f"a sample among the newest {LOOKED_THROUGH_MAX} entries"
        raise ConditionError(field="sample", found=said, expected=expected, code=Code.NOT_READY)
    entry, sample = min(found, key=lambda each: (each[1].answer_by_ms <= now_ms, each[1].answer_by_ms, each[0]))
    beacon = next((each for each in entries if _is_beacon_of(each, sample)), None)
    if beacon is None:
        said, expected = f"none of round {sample.round}", "receipts of the sample and of its beacon, as files"
        raise ConditionError(field="beacon", found=said, expected=expected, code=Code.CONFIG)
    proven = [(await client.fetch_receipt(leaf_hash(each))).entry for each in (entry, beacon)]
    return DrawnSample(proven[0], sample, proven[1])


def _find_samples(entries: Sequence[bytes]) -> Iterator[tuple[bytes, Sample]]:
    for entry in entries:
        try:
            if is_computed_entry(entry) and find_computed_kind(entry) == SAMPLE:
                yield entry, parse_sample(entry)
        except LedgerError:
            continue  # whatever a node made up


def _is_beacon_of(entry: bytes, sample: Sample) -> bool:
    try:
        if is_computed_entry(entry):
            return False
        payload = parse_envelope(entry).payload
        return find_kind(payload) == BEACON and parse_beacon(payload).predicate.round == sample.round
    except LedgerError:
        return False
