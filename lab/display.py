"""What the commands show: one plain structure for each, printed as JSON for machines or as tables for people.

JSON never holds a hidden value unless asked for: it ends up in logs. Tables show them, since a person must see what
will be public and what stays before it is sent.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from lab.enrolment import Enrolled
from lab.reporting import describe_time
from lab.reports import Draft, DraftRow
from lab.stored import Progress, Stored, StoredReport, StoredStatement
from ledger.disclosure import compute_digest
from ledger.errors import LedgerError
from ledger.positions import Interval, Millis
from ledger.receipts import parse_receipt
from ledger.rules.grid import Grid, compute_deadlines, compute_end_ms
from ledger.statements.registry import Registration
from ledger.statements.reports import encode_hidden_fields

View = dict[str, object]

WIDTH_WITHOUT_TERMINAL: Final = 140
MISSING_MAX: Final = 1_000
"""How many of the newest intervals are looked at for one without a report."""


def make_console(*, stderr: bool = False) -> Console:
    """Open a console that is wide enough where nobody looks at it."""
    console = Console(stderr=stderr, highlight=False, soft_wrap=False)
    return console if console.is_terminal else Console(stderr=stderr, highlight=False, width=WIDTH_WITHOUT_TERMINAL)


def print_json(view: object) -> None:
    """Print one JSON document."""
    print(json.dumps(view, indent=2, ensure_ascii=False))  # noqa: T201 - the result of a command


def view_draft(draft: Draft, stored: Stored | None, *, with_hidden: bool) -> View:
    """A report as it was made: each row's public part, and the names and digests of what is hidden."""
    return {
        "interval": draft.interval,
        "state": None if stored is None else str(stored.progress),
        "kind": None if stored is None else stored.kind,
        "sequence": None if stored is None else stored.sequence,
        "leaf": None if stored is None else stored.leaf,
        "rows": [_view_row(line, with_hidden=with_hidden) for line in draft.rows],
        "findings": [str(finding) for finding in draft.findings],
        "notes": list(draft.notes),
        "overrides": dict(draft.overrides),
        "shift_s": draft.shift_s,
    }


def _view_row(line: DraftRow, *, with_hidden: bool) -> View:
    row, values = line.row, encode_hidden_fields(line.hidden)
    hidden: dict[str, View] = {
        name: {"digest": compute_digest(text)} | ({"value": values[name]} if with_hidden else {})
        for name, text in line.disclosures.items()
    }
    return {
        "public": {
            "cluster": row.cluster,
            "band": row.band,
            "limits_respected": {limit.limit: limit.respected for limit in row.limits_respected},
            "records": {"root": row.records.root, "count": row.records.count},
            "evidence": len(row.evidence),
            "digests": len(row.digests),
        },
        "hidden": hidden,
    }


def show_draft(console: Console, draft: Draft) -> None:
    """Show for each row what everybody will see, and what stays here."""
    for line in draft.rows:
        row, values = line.row, encode_hidden_fields(line.hidden)
        public = make_table(
            f"interval {draft.interval}, cluster {row.cluster}: PUBLIC", ["field", "what everybody sees"]
        )
        public.add_row(
            *make_cells("band", f"10^{row.band} to 10^{row.band + 1} FLOP of training" if row.band else "no training")
        )
        for limit in row.limits_respected:
            public.add_row(*make_cells(f"limit {limit.limit}", "respected" if limit.respected else "NOT respected"))
        public.add_row(*make_cells("records", f"{row.records.count} under root {row.records.root}"))
        fields = len(line.disclosures)
        public.add_row(
            *make_cells("digests", f"{len(row.digests)}: of {fields} fields and {len(row.digests) - fields} decoys")
        )
        console.print(public)
        hidden = make_table(
            f"interval {draft.interval}, cluster {row.cluster}: HIDDEN, only the digest is public",
            ["field", "value, which stays here", "digest"],
        )
        for name, text in line.disclosures.items():
            hidden.add_row(*make_cells(name, json.dumps(values[name], separators=(", ", ": ")), compute_digest(text)))
        console.print(hidden)


def list_remarks(draft: Draft) -> list[str]:
    """What a person should read before sending."""
    overridden = [f"override {check}: {reason}" for check, reason in draft.overrides.items()]
    return [*(f"check {finding}" for finding in draft.findings), *draft.notes, *overridden]


def view_registration(registration: Registration, *, leaf: str | None, index: int | None) -> View:
    """A registration, and where it stands if it is sealed."""
    return {
        "lab": registration.lab,
        "name": registration.name,
        "nation": registration.issuer,
        "sequence": registration.sequence,
        "keys": [{"key": line.key.hex(), "status": line.status} for line in registration.keys],
        "next_key_sha256": registration.next_key_sha256,
        "clusters": [
            {
                "id": cluster.id,
                "facility": cluster.facility,
                "country": cluster.country,
                "capacity": None if cluster.capacity is None else {c.model: c.count for c in cluster.capacity},
            }
            for cluster in registration.clusters
        ],
        "leaf": leaf,
        "index": index,
    }


def show_registration(console: Console, registration: Registration) -> None:
    """Show what the lab is about to put its name to."""
    table = make_table(f"registration of {registration.lab} by {registration.issuer}", ["field", "value"])
    table.add_row(*make_cells("name", registration.name))
    for line in registration.keys:
        table.add_row(*make_cells(f"key, {line.status}", line.key.hex()))
    table.add_row(*make_cells("hash of the next key", registration.next_key_sha256))
    for cluster in registration.clusters:
        chips = "not public" if cluster.capacity is None else _list(f"{c.count} {c.model}" for c in cluster.capacity)
        table.add_row(*make_cells(f"cluster {cluster.id}", f"{cluster.facility}, {cluster.country}; chips: {chips}"))
    console.print(table)


def describe_filed(stored: Stored, *, index: int | None, receipt: Path | None, refusal: LedgerError | None) -> str:
    """What became of a submitted statement, in one line."""
    about = f"of interval {stored.interval}" if isinstance(stored, StoredReport) else stored.name
    what = f"{stored.kind} {about}, number {stored.sequence}"
    if index is not None:
        return f"{what}: sealed at index {index}, receipt {receipt}"
    if refusal is None:
        return f"{what}: handed in"
    if stored.progress == Progress.REFUSED:
        return f"{what}: refused, its number is free"
    return f"{what}: refused, but it keeps its number: time or other nodes may decide otherwise (--give-up frees it)"


def view_filed(stored: Stored, *, index: int | None, receipt: Path | None, refusal: LedgerError | None) -> View:
    """What became of a submitted statement."""
    return {
        "interval": stored.interval,
        "kind": stored.kind,
        "name": None if isinstance(stored, StoredReport) else stored.name,
        "sequence": stored.sequence,
        "leaf": stored.leaf,
        "state": str(stored.progress),
        "index": index,
        "receipt": None if receipt is None else str(receipt),
        "refusal": None if refusal is None else {"code": str(refusal.code), "text": str(refusal)},
    }


def view_status(
    statements: Iterable[Stored], *, grid: Grid, enrolled: Sequence[Enrolled], first: Interval | None, now_ms: Millis
) -> View:
    """Every statement of the vault, and the intervals since the first that have none."""
    lines, others = [], []
    for stored in statements:
        if isinstance(stored, StoredReport):
            lines.append(_view_report(stored, grid))
        else:
            others.append(_view_statement(stored))
    reported = {line["interval"] for line in lines if line["state"] != str(Progress.REFUSED)}
    over = (now_ms - grid.start_ms) // grid.interval_ms
    missing = range(over if first is None else max(first, over - MISSING_MAX), over)
    lines += [_view_missing(Interval(k), grid, now_ms) for k in missing if k not in reported]
    lines.sort(key=lambda line: (str(line["interval"]).zfill(20), str(line["sequence"] or 0).zfill(20)))
    return {
        "registrations": [
            {
                "sequence": line.registration.sequence,
                "state": "sent" if line.receipt is None else "sealed",
                "index": None if line.receipt is None else parse_receipt(line.receipt).index,
            }
            for line in enrolled
        ],
        "running": {"interval": over, "ends": describe_time(compute_end_ms(grid, Interval(over)))}
        if over >= 0
        else None,
        "intervals": lines,
        "statements": others,
    }


def _view_report(stored: StoredReport, grid: Grid) -> View:
    index = None if stored.receipt is None else parse_receipt(stored.receipt).index
    return {
        **_view_interval(Interval(stored.interval), grid),
        "state": str(stored.progress),
        "kind": stored.kind,
        "sequence": stored.sequence,
        "leaf": stored.leaf,
        "index": index,
        "refusal": stored.refusal,
    }


def _view_statement(stored: StoredStatement) -> View:
    return {
        "kind": stored.kind,
        "name": stored.name,
        "sequence": stored.sequence,
        "leaf": stored.leaf,
        "state": str(stored.progress),
        "index": None if stored.receipt is None else parse_receipt(stored.receipt).index,
        "refusal": stored.refusal,
    }


def _view_missing(interval: Interval, grid: Grid, now_ms: Millis) -> View:
    deadlines = compute_deadlines(grid, interval)
    state = "to report" if now_ms < deadlines.due_ms else "late" if now_ms < deadlines.grace_ms else "missing"
    nothing = dict.fromkeys(("kind", "sequence", "leaf", "index", "refusal"))
    return {**_view_interval(interval, grid), "state": state, **nothing}


def _view_interval(interval: Interval, grid: Grid) -> View:
    deadlines = compute_deadlines(grid, interval)
    return {
        "interval": interval,
        "ended": describe_time(compute_end_ms(grid, interval)),
        "due": describe_time(deadlines.due_ms),
        "grace": describe_time(deadlines.grace_ms),
    }


def show_status(console: Console, view: Mapping[str, object], *, rows_max: int) -> None:
    """Show the newest lines of a status."""
    lines, registrations, running = view["intervals"], view["registrations"], view["running"]
    assert isinstance(lines, list)
    assert isinstance(registrations, list)
    where = _list(f"entry {line['index']}" if line["index"] is not None else "sent" for line in registrations)
    console.print(Text(f"registrations: {where}"))
    if isinstance(running, dict):
        console.print(Text(f"running: interval {running['interval']}, ends {running['ends']}"))
    if len(lines) > rows_max:
        console.print(f"({len(lines) - rows_max} older lines are not shown; --rows shows more)")
    table = make_table("statements", ["interval", "ended", "due", "grace until", "statement", "state", "index, or why"])
    for line in lines[-rows_max:]:
        statement = "" if line["sequence"] is None else f"{line['kind']}, number {line['sequence']}"
        why = line["refusal"] if line["index"] is None else line["index"]
        cells = (line["interval"], line["ended"], line["due"], line["grace"], statement, line["state"], why)
        table.add_row(*make_cells(*("" if cell is None else cell for cell in cells)))
    console.print(table)
    _show_others(console, view["statements"], rows_max=rows_max)


def _show_others(console: Console, lines: object, *, rows_max: int) -> None:
    assert isinstance(lines, list)
    if lines:
        table = make_table("other statements", ["statement", "about", "state", "index, or why"])
        for line in lines[-rows_max:]:
            why = line["refusal"] if line["index"] is None else line["index"]
            table.add_row(
                *make_cells(f"{line['kind']}, number {line['sequence']}", line["name"], line["state"], why or "")
            )
        console.print(table)


def make_table(title: str, columns: Sequence[str]) -> Table:
    """Begin a table with a title."""
    table = Table(title=Text(title), title_justify="left", expand=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def make_cells(*values: object) -> list[Text]:
    """Text without markup: names are other people's."""
    return [Text(str(value)) for value in values]


def _list(parts: Iterable[str]) -> str:
    return ", ".join(parts) or "none"
