"""What a lab hands to inspectors beside what a challenge asks: its books, and what its runs came to.

A challenge asks for one row and one inventory. Whether books balance, whether both sides of a transfer say the same and
whether a run's total is what its reports add up to takes more, and a challenger can only ask for that in words. What is
handed over is no more than these comparisons need: numbers of accelerators, terms of transfers, operations of a run,
and of the rows it is in its figures, all chip-seconds and their split. Never serial numbers, programs or settings.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from lab.stored import Progress, StoredStatement, read_hidden
from lab.training_runs import SaidRun, read_runs, require_run
from lab.vault import Vault
from ledger.limits import INTERVAL_MAX
from ledger.openings import OpenedPart
from ledger.positions import Interval
from ledger.statements.dsse import parse_envelope
from ledger.statements.inventories import INVENTORY, TERMS_NAME, TRANSFER, HiddenInventory, HiddenTransfer
from ledger.statements.runs import RUN_QUANTITIES, TRAINING_RUN, parse_training_run

BOOK_FIELDS: Final = (*HiddenInventory.__struct_fields__, *HiddenTransfer.__struct_fields__, TERMS_NAME)
ROW_FIELDS: Final = ("runs", "chip_seconds", "split")
LAST: Final = Interval(INTERVAL_MAX)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What is handed over of its own accord.

    Attributes:
        since: numbers of inventories as of this interval or later, and of transfers in it or later; None for none.
        until: the last of these intervals.
        runs: ids of runs; the lab's own runs that they come of are with them.
    """

    since: Interval | None = None
    until: Interval = LAST
    runs: Sequence[str] = ()


NOTHING: Final = Shown()


def collect_parts(vault: Vault, ledger: str, shown: Shown) -> tuple[OpenedPart, ...]:
    """Take from the vault what opens these parts of the lab's statements, in the order of the file.

    Raises:
        ConditionError: a run that the lab never spoke of (`UNKNOWN_RUN`).
    """
    parts = [*_collect_books(vault, ledger, shown), *_collect_runs(vault, ledger, shown.runs)]
    return tuple(sorted(parts, key=lambda part: (part.leaf, part.part)))


def describe_parts(parts: Sequence[OpenedPart], shown: Shown) -> tuple[str, ...]:
    """Say to a person what is handed over that nobody's challenge can ask for."""
    if not parts:
        return ()
    what = []
    if shown.since is not None:
        until = "on" if shown.until == LAST else f"to {shown.until}"
        what.append(f"the numbers in inventories and transfers from interval {shown.since} {until}")
    if shown.runs:
        what.append(f"what {', '.join(shown.runs)} came to, by its statements and by rows of reports")
    said = len({part.leaf for part in parts})
    return (f"hands over beside that {' and '.join(what)}: parts of {said} statements",)


def _collect_books(vault: Vault, ledger: str, shown: Shown) -> Iterator[OpenedPart]:
    if shown.since is None:
        return
    for kind in (INVENTORY, TRANSFER):
        for stored in _list_sealed(vault, ledger, kind):
            if stored.interval is not None and shown.since <= stored.interval <= shown.until:
                yield from _open_fields(stored, BOOK_FIELDS)


def _collect_runs(vault: Vault, ledger: str, runs: Sequence[str]) -> Iterator[OpenedPart]:
    wanted = _follow(read_runs(vault, ledger), [require_run(vault, ledger, run).last.run for run in runs])
    if not wanted:
        return
    for stored in _list_sealed(vault, ledger, TRAINING_RUN):
        if parse_training_run(parse_envelope(stored.envelope).payload).predicate.run in wanted:
            yield from _open_fields(stored, RUN_QUANTITIES)
    for report in vault.read_reports(ledger):
        for row in report.rows if report.progress == Progress.SEALED else ():
            if any(run.run in wanted for run in read_hidden(row).runs):
                texts = tuple(row.disclosures[name] for name in ROW_FIELDS)
                yield OpenedPart(leaf=report.leaf, part=row.cluster, disclosures=texts)


def _follow(runs: Mapping[str, SaidRun], wanted: Sequence[str]) -> frozenset[str]:
    """These runs, and the lab's own that they come of."""
    found: list[str] = []
    waiting = list(wanted)
    while waiting:
        run = waiting.pop()
        if run in found or run not in runs:
            continue
        found.append(run)
        last = runs[run].last
        if last.base_model is not None and last.base_model.lab == last.issuer:
            waiting.append(last.base_model.run)
    return frozenset(found)


def _list_sealed(vault: Vault, ledger: str, kind: str) -> Iterator[StoredStatement]:
    """What stands on the ledger: inspectors hold openings against nothing else."""
    yield from (stored for stored in vault.read_statements(ledger, kind) if stored.progress == Progress.SEALED)


def _open_fields(stored: StoredStatement, fields: Sequence[str]) -> Iterator[OpenedPart]:
    for opening in stored.openings:
        texts = tuple(text for name, text in opening.disclosures.items() if name in fields)
        if texts:
            yield OpenedPart(leaf=stored.leaf, part=opening.part, disclosures=texts)
