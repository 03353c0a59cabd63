"""What was said of a lab, a cluster, an interval: the newest verdicts, found by their names in an index of the copy.

Each lookup is a few steps down one index, and one bundle of entries is read for what it found: how long the ledger is
does not matter. What was found is compared with the sealed root before it is shown. That nothing newer is missing from
the index is what `observer.audit` checks, and nothing here.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from ledger.errors import Code, ConditionError, FormatError, ProofError
from ledger.positions import Interval, LeafIndex
from ledger.statements.verdicts import VERDICT, Verdict, parse_verdict
from ledger.verify import CAVEAT
from observer.copy import Copy
from observer.telling import encode_verdict, format_time

INTERVALS_ASKED_MAX: Final = 400
"""A year of days, and some."""

_IDENTIFIER: Final = re.compile(r"[a-z0-9-]+", re.ASCII)
_AFTER_SLASH: Final = "0"  # the character after "/": what begins with a name and this comes after all that is below it


@dataclass(frozen=True, slots=True)
class FoundVerdict:
    """A verdict, and where its entry stands."""

    index: LeafIndex
    verdict: Verdict


def find_verdicts(copy: Copy, *, lab: str, cluster: str | None, first: Interval, last: Interval) -> list[FoundVerdict]:
    """Find the newest verdict on each cluster of a lab in each of some intervals, by cluster and interval.

    Args:
        copy: to look in.
        lab: whose.
        cluster: one of its clusters; None for all that have ever been judged.
        first: the first interval.
        last: the last one.

    Raises:
        ConditionError: nothing was found (`NOT_FOUND`), or too much was asked for, or nothing (`CONFIG`).
        FormatError: an id that none can be.
        LedgerError: the copy on disk is not what was written.
    """
    for name, given in (("lab", lab), ("cluster", cluster)):
        if given is not None and not _IDENTIFIER.fullmatch(given):
            raise FormatError(field=name, found=given, expected="an id of lower-case letters, digits and hyphens")
    count = last - first + 1
    if not 0 < count <= INTERVALS_ASKED_MAX:
        expected = f"from 1 to {INTERVALS_ASKED_MAX} intervals at once"
        raise ConditionError(field="interval", found=f"{first} to {last}", expected=expected, code=Code.CONFIG)
    names = {
        f"{lab}/{each}/{interval}": (each, Interval(interval))
        for each in (_find_clusters(copy, lab) if cluster is None else (cluster,))
        for interval in range(first, last + 1)
    }
    places = ((copy.find_newest((VERDICT,), name), wanted) for name, wanted in names.items())
    there = sorted((index, wanted) for index, wanted in places if index is not None)
    if not there:
        found = f"{lab}{f'/{cluster}' if cluster else ''}, intervals {first} to {last}"
        expected = "a lab, cluster and interval with a verdict in this copy; see the board, or sync first"
        raise ConditionError(field="verdict", found=found, expected=expected, code=Code.NOT_FOUND)
    verdicts = []
    entries = copy.proven_entries([index for index, _ in there])
    for (index, (wanted, interval)), entry in zip(there, entries, strict=True):
        verdict = parse_verdict(entry)
        if (verdict.lab, verdict.cluster, verdict.interval) != (lab, wanted, interval):
            expected = f"{lab}/{wanted}/{interval}"
            raise ProofError(field=f"{copy.path}: subjects", found=f"entry {index}", expected=expected)
        verdicts.append(FoundVerdict(index, verdict))
    return sorted(verdicts, key=lambda found: (found.verdict.cluster, found.verdict.interval))


def _find_clusters(copy: Copy, lab: str) -> Iterator[str]:
    """Give every cluster of a lab that was judged, skipping in the index from each to the next."""
    start = f"{lab}/"
    name = copy.find_subject(VERDICT, start)
    while name is not None and name.startswith(f"{lab}/"):
        cluster = name.split("/", 2)[1]
        yield cluster
        name = copy.find_subject(VERDICT, f"{lab}/{cluster}{_AFTER_SLASH}")


def encode_verdicts(found: list[FoundVerdict]) -> dict[str, Any]:
    """Give them as JSON has them; Any because its values are of several types."""
    verdicts = [{"index": each.index, **encode_verdict(each.verdict)} for each in found]
    return {"verdicts": verdicts, "caveat": CAVEAT}


def describe_verdicts(found: list[FoundVerdict]) -> list[str]:
    """Say each in a line: where and when, state with its assurance, why, since when, and in which entry."""
    lines = []
    for each in found:
        verdict = each.verdict
        reasons = f": {', '.join(verdict.reasons)}" if verdict.reasons else ""
        lines.append(
            f"{verdict.cluster} interval {verdict.interval}: {verdict.state} ({verdict.assurance}){reasons};"
            f" said {format_time(verdict.time_ms)} in entry {each.index}"
        )
    return [*lines, CAVEAT]
