"""The options that the lab's commands share, and how their values are read."""

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

import typer

from lab.amounts import Energy
from lab.reporting import find_last_over, require_over
from ledger.charter import Charter
from ledger.encoding import decode_decimal
from ledger.errors import FormatError
from ledger.limits import INTEGER_MAX, INTERVAL_MAX
from ledger.positions import Interval, Millis
from ledger.rules.grid import compute_grid
from ledger.sealedfile import DEFAULT_COST, Cost

HomeOption = Annotated[Path, typer.Option("--home", help="The lab's folder.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
TimeoutOption = Annotated[float, typer.Option("--timeout", min=1, max=86_400, help="How long to try, in seconds.")]
PassphraseOption = Annotated[
    Path | None,
    typer.Option(
        "--passphrase-file",
        envvar="COUNTERSEAL_PASSPHRASE_FILE",
        help="A file with the passphrase on one line, mode 0600; else you are asked.",
    ),
]
MemoryOption = Annotated[
    int, typer.Option("--argon2-memory-kib", min=32, help="Memory that a guess of the passphrase costs.")
]
PassesOption = Annotated[int, typer.Option("--argon2-passes", min=1, help="Passes over that memory.")]
IntervalOption = Annotated[
    int | None, typer.Option("--interval", min=0, max=INTERVAL_MAX, help="Number of the interval.")
]
OverrideOption = Annotated[list[str] | None, typer.Option(help="check=reason: accept a failed hard check.")]
ShowHiddenOption = Annotated[bool, typer.Option("--show-hidden", help="With --json: hidden values too.")]
ExportOption = Annotated[
    list[Path], typer.Option("--from", exists=True, dir_okay=False, help="Export of the accounting; repeatable.")
]
CSV_SUFFIX: Final = ".csv"


class ExportFormat(StrEnum):
    """What an export is."""

    SLURM = "slurm"
    CSV = "csv"


FormOption = Annotated[ExportFormat | None, typer.Option("--format", help="Of the exports; else by their names.")]
MappingOption = Annotated[
    Path | None, typer.Option(exists=True, dir_okay=False, help="Which job was what; docs/collectors.md.")
]
ReportedOption = Annotated[list[str] | None, typer.Option(help="Only this registered cluster; repeatable.")]
EnergyOption = Annotated[list[str] | None, typer.Option(help="Meter reading: cluster=Wh:facility-Wh.")]
PromiseOption = Annotated[list[str] | None, typer.Option(help="limit=true or =false, for what no record shows.")]
ShiftOption = Annotated[int, typer.Option(help="Seconds added to every time, to replay an old export.")]


def make_cost(memory_kib: int, passes: int) -> Cost:
    """What a guess of the passphrase costs."""
    return Cost(memory_kib=memory_kib, passes=passes, lanes=DEFAULT_COST.lanes)


def choose_interval(
    charter: Charter, *, interval: int | None, last: bool, corrects: int | None, reason: str, now_ms: Millis
) -> Interval:
    """Read which interval is meant; exactly one of the three says it.

    Raises:
        BadParameter: none does, or several; a correction without a reason, or a reason without a correction.
        RejectedError: the interval is not over.
    """
    grid = compute_grid(charter.grid)
    named = [number for number in (interval, corrects) if number is not None]
    if len(named) + last != 1:
        raise typer.BadParameter("give one of --interval K, --last and --corrects K")
    if (corrects is None) != (reason == ""):
        raise typer.BadParameter("--corrects K and --reason TEXT belong together")
    if last:
        return find_last_over(grid, now_ms=now_ms)
    require_over(grid, Interval(named[0]), now_ms=now_ms)
    return Interval(named[0])


def guess_format(exports: Sequence[Path]) -> ExportFormat:
    """Take an export for a table if it is called so.

    Raises:
        BadParameter: some are called so and others are not.
    """
    tables = [path.suffix.lower() == CSV_SUFFIX for path in exports]
    if any(tables) != all(tables):
        raise typer.BadParameter("give exports of one format at a time, or say which with --format")
    return ExportFormat.CSV if all(tables) else ExportFormat.SLURM


def read_pairs(texts: Sequence[str], *, field: str, expected: str) -> dict[str, str]:
    """Read `name=value` options.

    Raises:
        FormatError: one is not of the form, or a name is given twice.
    """
    pairs: dict[str, str] = {}
    for text in texts:
        name, _, value = text.partition("=")
        if not name or not value or name in pairs:
            raise FormatError(field=field, found=text, expected=f"{expected}, each name once")
        pairs[name] = value
    return pairs


def read_energy(texts: Sequence[str]) -> dict[str, Energy]:
    """Read meter readings, `cluster=Wh:facility-Wh`.

    Raises:
        FormatError: another form.
    """
    readings = {}
    for cluster, value in read_pairs(texts, field="energy", expected="cluster=Wh:facility-Wh").items():
        accelerators, _, facility = value.partition(":")
        readings[cluster] = Energy(
            accelerators_wh=decode_decimal(accelerators, field="energy", maximum=INTEGER_MAX),
            facility_wh=decode_decimal(facility, field="energy", maximum=INTEGER_MAX),
        )
    return readings


def read_promises(texts: Sequence[str]) -> dict[str, bool]:
    """Read promises, `limit=true` or `limit=false`.

    Raises:
        FormatError: another form.
    """
    pairs = read_pairs(texts, field="promise", expected="limit=true or limit=false")
    for limit, value in pairs.items():
        if value not in {"true", "false"}:
            raise FormatError(field=f"promise {limit}", found=value, expected="true or false")
    return {limit: value == "true" for limit, value in pairs.items()}
