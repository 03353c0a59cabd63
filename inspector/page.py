"""A report as one page for a person: no script, nothing loaded from anywhere, every text of a stranger escaped.

What the lab chose reaches the page as text between tags and nowhere else: never as a tag, an attribute, a link or a
style. Characters that no screen shows, or that turn the direction of writing, are written as escapes.
"""

import html
import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Final

from inspector.balance_report import BalanceReport
from inspector.report import Basis, Examined, InspectionReport, Result, name_compared
from ledger.crosschecks.comparisons import name_some
from ledger.verify import CAVEAT

_VALUE_CHARACTERS_MAX: Final = 20_000
_OUTCOMES: Final = (
    ("fails", "What fails", "It cannot be true together with the rest."),
    ("unusual", "What is unusual", "Not impossible, and rare enough that a person should look."),
    ("not-comparable", "What could not be compared", "Something that the check needs was not opened or is not known."),
    ("holds", "What holds", "The numbers fit each other; that does not make them true."),
)
_RESULTS: Final = {
    "consistent": "All that was asked for was opened, and nothing that was compared contradicts it.",
    "incomplete": "Nothing that was compared fails, and something that was asked for, or is needed, was not opened.",
    "inconsistent": "Something that was compared cannot be true.",
}
_STYLE: Final = """
:root{color-scheme:light dark}
body{font:16px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.5rem;margin-bottom:.2rem}h2{font-size:1.15rem;margin:2rem 0 .3rem}
p{margin:.3rem 0}.small{opacity:.75;font-size:.875rem}
table{border-collapse:collapse;width:100%;font-size:.9rem}
th,td{text-align:left;vertical-align:top;padding:.3rem .6rem;border-bottom:1px solid #8886;overflow-wrap:anywhere}
th,td:first-child{white-space:nowrap}th{font-weight:600}
table.compared{table-layout:fixed}.compared th:nth-child(1){width:5.5rem}.compared th:nth-child(2){width:28%}
.compared th:nth-child(3){width:30%}
td.code,dd.code{font-family:ui-monospace,monospace;font-size:.85rem}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.1rem 1rem;font-size:.9rem}dt{opacity:.75}
dd{margin:0;overflow-wrap:anywhere}
.result{border-left:.4rem solid;padding:.5rem 1rem;margin:1rem 0}.result b{text-transform:uppercase}
.consistent{border-color:#2a7d46}.incomplete{border-color:#b07d00}.inconsistent{border-color:#b3261e}
@media print{body{max-width:none;margin:0}h2{break-after:avoid}tr{break-inside:avoid}}
"""


def render_page(report: InspectionReport, *, digest: str) -> str:
    """Write the page.

    Args:
        report: as it is in the file.
        digest: hex SHA-256 of that file, by which a finding names it.
    """
    title = f"Inspection {report.about}: {report.lab}, {report.cluster}, interval {report.interval}"
    middle = [
        *_render_missing(report.missing),
        *_render_outcomes(report.comparisons, report.cluster),
        _render_values(report),
        _render_chips(report),
        _render_parts(report),
        _render_entries(report.entries),
    ]
    return _render_document(title, report.result, _render_head(report, digest), middle)


def render_balance_page(report: BalanceReport, *, digest: str) -> str:
    """Write the page of a report on several labs together.

    Args:
        report: as it is in the file.
        digest: hex SHA-256 of that file.
    """
    rows = (
        ("charter", _name_charter(report.ledger, is_pinned=report.is_pinned)),
        *((f"{one.lab}, {one.challenge}", f"report with SHA-256 {one.digest}") for one in report.reports),
        ("this report", f"SHA-256 {digest}"),
    )
    middle = [
        *_render_missing(report.missing),
        *_render_outcomes(report.comparisons, ""),
        _render_entries(report.entries),
    ]
    return _render_document(f"Balance of {name_some(report.labs)}", report.result, _render_list(rows), middle)


def _render_document(title: str, result: Result, head: str, middle: Sequence[str]) -> str:
    parts = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8">',
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">",
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{_text(title)}</title><style>{_STYLE}</style></head><body>",
        f"<h1>{_text(title)}</h1>",
        '<p class="small">Holds values that a lab opened to an inspector. Not for the public.</p>',
        f'<div class="result {result}"><b>{result}</b> {_RESULTS[result]}</div>',
        head,
        *middle,
        f'<p class="small">{_text(CAVEAT)}</p>',
        "</body></html>",
    ]
    return "\n".join(part for part in parts if part) + "\n"


def _render_outcomes(comparisons: Sequence[Examined], cluster: str) -> Iterable[str]:
    for outcome, heading, meaning in _OUTCOMES:
        yield _render_comparisons(heading, meaning, [one for one in comparisons if one.outcome == outcome], cluster)


def _render_head(report: InspectionReport, digest: str) -> str:
    rows = (
        ("inspector", f"{report.inspector} of {report.nation}"),
        ("charter", _name_charter(report.ledger, is_pinned=report.is_pinned)),
        ("handed over", report.handed),
        ("encrypted as", report.ciphertext),
        ("records opened", f"{report.records.opened} of {report.records.of}"),
        ("accelerators opened", str(len(report.chips))),
        ("this report", f"SHA-256 {digest}"),
    )
    return _render_list(rows)


def _name_charter(fingerprint: str, *, is_pinned: bool) -> str:
    compared = "compared with one from elsewhere" if is_pinned else "NOT compared with one from elsewhere"
    return f"{fingerprint} ({compared})"


def _render_list(rows: Sequence[tuple[str, str]]) -> str:
    lines = (f'<dt>{_text(name)}</dt><dd class="code">{_text(value)}</dd>' for name, value in rows)
    return "<dl>" + "".join(lines) + "</dl>"


def _render_missing(missing: Sequence[str]) -> Iterable[str]:
    if missing:
        yield "<h2>Asked for or needed, and not opened</h2>"
        yield f"<p>{_text(_list_some(missing))}</p>"


def _list_some(names: Sequence[str], *, most: int = 200) -> str:
    more = len(names) - most
    return ", ".join(names[:most]) + (f", and {more} more" if more > 0 else "")


def _render_comparisons(heading: str, meaning: str, comparisons: Sequence[Examined], cluster: str) -> str:
    if not comparisons:
        return ""
    lines = [(one.check, name_compared(one, cluster), one.found, _join_expected(one)) for one in comparisons]
    table = _render_table(("check", "what", "found", "expected"), lines, kind="compared")
    return f'<h2>{heading} ({len(comparisons)})</h2><p class="small">{meaning}</p>{table}'


def _join_expected(one: Examined) -> str:
    return f"{one.expected}: {one.reason}" if one.reason else one.expected


def _render_values(report: InspectionReport) -> str:
    if not report.fields:
        return ""
    lines = [(name, _render_value(value)) for name, value in report.fields.items()]
    return "<h2>Fields as opened</h2>" + _render_table(("field", "value"), lines)


def _render_value(value: object) -> str:
    text = json.dumps(value, ensure_ascii=True)
    return text if len(text) <= _VALUE_CHARACTERS_MAX else f"{text[:_VALUE_CHARACTERS_MAX]}…"


def _render_chips(report: InspectionReport) -> str:
    if not report.chips:
        return ""
    lines = [(str(chip.index), chip.model, chip.serial) for chip in report.chips]
    return "<h2>Accelerators as opened</h2>" + _render_table(("position", "model", "serial number"), lines)


def _render_parts(report: InspectionReport) -> str:
    if not report.parts:
        return ""
    lines = [
        (part.kind, part.leaf, f"{part.part}.{name}" if part.part else name, _render_value(value))
        for part in report.parts
        for name, value in part.values.items()
    ]
    return "<h2>Other statements as opened</h2>" + _render_table(("statement", "leaf hash", "field", "value"), lines)


def _render_entries(entries: Sequence[Basis]) -> str:
    lines = [(one.role, str(one.index), one.leaf, _render_time(one.sealed_ms)) for one in entries]
    return "<h2>What it rests on</h2>" + _render_table(("entry", "index", "leaf hash", "sealed by"), lines)


def _render_table(heads: Sequence[str], lines: Sequence[Sequence[str]], *, kind: str = "plain") -> str:
    head = "".join(f"<th>{name}</th>" for name in heads)
    body = "".join(
        "<tr>" + "".join(f'<td class="code">{_text(cell)}</td>' for cell in line) + "</tr>" for line in lines
    )
    return f'<table class="{kind}"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'


def _render_time(time_ms: int) -> str:
    try:
        return datetime.fromtimestamp(time_ms // 1000, tz=UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (ValueError, OverflowError, OSError):
        return f"{time_ms} ms"


def _text(text: str) -> str:
    """Escape for a place between tags; what cannot be printed is written as an escape first."""
    shown = text if text.isprintable() else text.encode("unicode_escape").decode("ascii")
    return html.escape(shown, quote=True)
