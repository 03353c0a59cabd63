"""What no rule judges and anybody can see: digests that stand twice, and clusters that no sample is drawn from.

- A salted digest hides its value only under a fresh salt. One that stands in two statements shows that a salt was used
  twice, so that values can be compared, or that a digest was copied from somebody who can open it. The very digests of
  a frozen run, said again while it stands still, are as they must be.
- Samples are drawn from inventories. A cluster of which its lab filed none is never asked to show anything, and gets no
  reason for it in its verdicts: the rules of charters as they stand have none.

A notice moves nothing and accuses nobody: it is a ground to ask. Nothing is believed here but the sealed tree.
"""

import contextlib
import itertools
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from ledger.positions import LeafIndex
from ledger.statements.dsse import parse_envelope
from ledger.statements.inventories import INVENTORY, TRANSFER, parse_inventory, parse_transfer
from ledger.statements.notices import INCIDENT, parse_incident
from ledger.statements.pauses import PAUSE_FREEZE, parse_pause_freeze
from ledger.statements.registry import REGISTRATION, parse_registration
from ledger.statements.reports import CORRECTION, REPORT, parse_correction, parse_report
from ledger.statements.runs import RELEASE_REVIEW, TRAINING_RUN, parse_release_review, parse_training_run
from observer.copy import Copy
from observer.subjects import read_subject

NOTICES_MAX: Final = 1_000
PLACES_MAX: Final = 16


@dataclass(frozen=True, slots=True)
class Repeated:
    """Digests that stand in several entries.

    Attributes:
        entries: where, with kind and subject of each; at most the first `PLACES_MAX`.
        count: how many digests they have in common.
    """

    entries: tuple[tuple[LeafIndex, str], ...]
    count: int


@dataclass(frozen=True, slots=True)
class Notices:
    """What is to be told.

    Attributes:
        repeated: at most `NOTICES_MAX`.
        unsampled: lab and cluster of each that counts and has no inventory; none on a ledger that draws no samples.
    """

    repeated: tuple[Repeated, ...]
    unsampled: tuple[tuple[str, str], ...]

    def describe(self) -> list[str]:
        """Say it in lines."""
        lines = [
            f"{each.count} digests stand in several statements: "
            + ", ".join(f"entry {index} ({name})" for index, name in each.entries)
            + ": a salt was used twice, or a digest copied"
            for each in self.repeated
        ]
        lines += [f"{lab}, {cluster}: no inventory, so no sample is drawn from it" for lab, cluster in self.unsampled]
        return lines or ["nothing that the verdicts do not tell"]

    def encode(self) -> dict[str, Any]:
        """Give the same for machines."""
        return {
            "repeated": [
                {"digests": each.count, "entries": [{"index": index, "about": name} for index, name in each.entries]}
                for each in self.repeated
            ],
            "unsampled": [{"lab": lab, "cluster": cluster} for lab, cluster in self.unsampled],
        }


def find_notices(copy: Copy) -> Notices:
    """Look through all statements of a copy. Digests are sorted on disk, in a file that is gone afterwards.

    Raises:
        LedgerError: the copy on disk is not what was written.
    """
    return Notices(tuple(_find_repeated(copy)), tuple(_find_unsampled(copy)))


def _find_repeated(copy: Copy) -> Iterator[Repeated]:
    with contextlib.closing(sqlite3.connect("")) as sorting:  # the name of a temporary file that SQLite removes
        sorting.execute("CREATE TABLE seen (digest TEXT NOT NULL, position INTEGER NOT NULL)")
        for index, digests in _list_digests(copy):
            sorting.executemany("INSERT INTO seen VALUES (?, ?)", ((digest, index) for digest in digests))
        sorting.execute("CREATE INDEX by_digest ON seen (digest, position)")
        rows = sorting.execute(
            "SELECT digest, position FROM seen WHERE digest IN "
            "(SELECT digest FROM seen GROUP BY digest HAVING count(*) > 1) ORDER BY digest, position"
        )
        counts: dict[tuple[int, ...], int] = {}
        for _, group in itertools.groupby(rows, key=lambda row: row[0]):
            places = tuple(position for _, position in itertools.islice(group, PLACES_MAX))
            if places in counts or len(counts) < NOTICES_MAX:
                counts[places] = counts.get(places, 0) + 1
    for places in sorted(counts):
        indices = [LeafIndex(place) for place in places]
        yield Repeated(tuple((index, _name(copy, index)) for index in indices), counts[places])


def _list_digests(copy: Copy) -> Iterator[tuple[LeafIndex, Sequence[str]]]:
    """Digests of every statement that has some, in the order of the ledger."""
    indices = sorted(index for kind in _READERS for index in copy.all_subjects(kind))
    frozen: dict[tuple[str, str], Sequence[str]] = {}
    for index, entry in zip(indices, copy.proven_entries(indices), strict=True):
        subject, payload = read_subject(entry), parse_envelope(entry).payload
        assert subject is not None, "found by its kind"
        digests = _READERS[subject.kind](payload)
        if subject.kind == TRAINING_RUN:
            run = parse_training_run(payload).predicate
            stood = frozen.pop((run.issuer, run.run), None)
            if run.state == "frozen":
                frozen[run.issuer, run.run] = digests
            if stood == digests:
                continue
        yield index, digests


def _read_inventory(payload: bytes) -> Sequence[str]:
    return [digest for row in parse_inventory(payload).predicate.rows for digest in row.digests]


def _read_transfer(payload: bytes) -> Sequence[str]:
    """Its own digests; what is under the salt that both sides know stands on both sides."""
    shipment = parse_transfer(payload).predicate.shipment
    return () if shipment is None else shipment.digests


def _read_report(payload: bytes) -> Sequence[str]:
    return [digest for row in parse_report(payload).predicate.rows for digest in row.digests]


def _read_correction(payload: bytes) -> Sequence[str]:
    return [digest for row in parse_correction(payload).predicate.rows for digest in row.digests]


def _read_freeze(payload: bytes) -> Sequence[str]:
    return [digest for run in parse_pause_freeze(payload).predicate.runs for digest in run.digests]


_READERS: Final[Mapping[str, Callable[[bytes], Sequence[str]]]] = {
    INVENTORY: _read_inventory,
    TRANSFER: _read_transfer,
    REPORT: _read_report,
    CORRECTION: _read_correction,
    TRAINING_RUN: lambda payload: parse_training_run(payload).predicate.digests,
    RELEASE_REVIEW: lambda payload: parse_release_review(payload).predicate.digests,
    INCIDENT: lambda payload: parse_incident(payload).predicate.digests,
    PAUSE_FREEZE: _read_freeze,
}


def _find_unsampled(copy: Copy) -> Iterator[tuple[str, str]]:
    if copy.charter.agreement is None:
        return
    counted: set[tuple[str, str]] = set()
    for entry in copy.proven_entries(copy.all_subjects(INVENTORY)):
        inventory = parse_inventory(parse_envelope(entry).payload).predicate
        counted |= {(inventory.issuer, row.cluster) for row in inventory.rows}
    for entry in copy.proven_entries(copy.newest_subjects(REGISTRATION)):
        registered = parse_registration(parse_envelope(entry).payload).predicate
        for cluster in registered.clusters:
            if (registered.lab, cluster.id) not in counted:
                yield registered.lab, cluster.id


def _name(copy: Copy, index: LeafIndex) -> str:
    subject = read_subject(copy.tree.read_entry(index))
    return "unknown" if subject is None else f"{subject.kind} {subject.name}"
