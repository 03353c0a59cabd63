"""What a campaign found, and the tables that show it."""

import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from devnet.chaos.schedule import Kind


@dataclass(slots=True)
class Findings:
    """Everything that is told at the end.

    Attributes:
        seed: of the schedule.
        ground: where the nodes stood.
        nodes: how many.
        minutes: from the first phase to the last calm.
        phases: how many there were.
        overwhelmed: how many of them hit more members than are tolerated.
        counts: how often each kind happened, a member at a time.
        seconds: how long in all, a member at a time.
        carried: what the ground says it did.
        waits_s: how long labs waited for each receipt.
        unanswered: how often nobody could answer a lab in time, by code.
        heights: of the nodes at the end.
        sizes: entries of the nodes at the end.
        audited: entries that were audited, of all nodes together.
        longest_gap_s: longest time without a block although a quorum was there.
        recoveries_s: after each phase, how long until every node voted and had every block; and whether more than f
            had been hit.
        memory_mib: the most any node was seen to take.
        busy_percent: of this machine's processors, by everything that ran on it.
        violations: what contradicts what is promised.
    """

    seed: int
    ground: str
    nodes: int
    minutes: float = 0.0
    phases: int = 0
    overwhelmed: int = 0
    counts: Counter[Kind] = field(default_factory=Counter)
    seconds: Counter[Kind] = field(default_factory=Counter)
    carried: str = ""
    waits_s: Sequence[float] = ()
    unanswered: Counter[str] = field(default_factory=Counter)
    heights: Sequence[int] = ()
    sizes: Sequence[int] = ()
    audited: int = 0
    longest_gap_s: float = 0.0
    recoveries_s: list[tuple[float, bool]] = field(default_factory=list)
    memory_mib: float = 0.0
    busy_percent: float = 0.0
    violations: list[str] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        """Say whether everything promised held, and whether there was anything to hold."""
        return not self.violations and bool(self.waits_s) and bool(self.counts)


def show(findings: Findings, console: Console) -> None:
    """Print the tables."""
    happened = Table("fault", "times", "seconds", title=f"What happened, seed {findings.seed}")
    for kind in Kind:
        happened.add_row(kind, str(findings.counts[kind]), str(findings.seconds[kind] or ""))
    console.print(happened)
    found = Table("", "found", title="What came of it")
    for name, text in _rows(findings):
        found.add_row(name, escape(text))
    console.print(found)
    for violation in findings.violations:
        console.print(f"[red]✗[/] {escape(violation)}", highlight=False, soft_wrap=True)
    verdict = "[green]✓ everything held[/]" if findings.holds else "[red]✗ not everything held[/]"
    console.print(verdict)


def _rows(findings: Findings) -> list[tuple[str, str]]:
    calm = [seconds for seconds, was_overwhelming in findings.recoveries_s if not was_overwhelming]
    after = [seconds for seconds, was_overwhelming in findings.recoveries_s if was_overwhelming]
    unanswered = ", ".join(f"{count} {code}" for code, count in findings.unanswered.most_common()) or "none"
    return [
        ("network", f"{findings.nodes} nodes; {findings.ground}"),
        ("time", f"{findings.minutes:.1f} minutes, {findings.phases} phases, {findings.overwhelmed} of more than f"),
        ("carried", findings.carried),
        ("acknowledged to labs", f"{len(findings.waits_s)} statements; all receipts checked against all nodes"),
        ("a receipt took", _show_s(findings.waits_s)),
        ("labs without an answer in time", unanswered),
        ("heights, entries", f"{_show_span(findings.heights)}, {_show_span(findings.sizes)}"),
        ("audited from entry 0", f"{findings.audited} entries, all nodes together"),
        ("longest time without a block", f"{findings.longest_gap_s:.1f} s, while a quorum was there"),
        ("all level again, after at most f", _show_s(calm)),
        ("all level again, after more than f", _show_s(after)),
        ("memory of a node", f"at most {findings.memory_mib:.0f} MiB"),
        ("this machine", f"{findings.busy_percent:.0f} % busy"),
        ("violations", str(len(findings.violations))),
    ]


def _show_s(values: Sequence[float]) -> str:
    if not values:
        return "none"
    return f"{statistics.median(values):.1f} s in the middle, at most {max(values):.1f} s"


def _show_span(values: Sequence[int]) -> str:
    low, high = min(values, default=0), max(values, default=0)
    return str(high) if low == high else f"{low} to {high}"
