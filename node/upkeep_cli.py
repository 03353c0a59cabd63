"""`counterseal node check` and `node repair`: what is on a stopped node's disk, and how it is made whole."""

import secrets
import sys
from pathlib import Path

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from ledger.errors import Code, ConditionError
from ledger.positions import Seconds
from node.config import open_config
from node.daemon import read_clock
from node.home import Home
from node.inspection import Condition, Inspection, Inspector
from node.keystore import Keystore, Passphrase
from node.repair import Repair

err = Console(stderr=True, soft_wrap=True, highlight=False)
_COLOURS = {Condition.RIGHT: "green", Condition.UNSEEN: "dim", Condition.MISSING: "red", Condition.DAMAGED: "red"}


def check_folder(home: Path, passphrase: Passphrase) -> None:
    """Look through everything and say how it is.

    Raises:
        ConditionError: `STORE_DAMAGED`: something is missing or damaged.
    """
    place = Home(home)
    with place.alone():
        found = _inspect(place, passphrase)
    _show(found)
    wrong = found.wrong()
    if wrong:
        raise ConditionError(
            field=str(home),
            found="; ".join(f"{each.part} {each.condition}" for each in wrong),
            expected="a whole folder; `counterseal node repair` says what can be done",
            code=Code.STORE_DAMAGED,
        )


def repair_folder(home: Path, passphrase: Passphrase, *, yes: bool) -> None:
    """Say what is wrong and what would be done about it; do it when told to.

    Raises:
        ConditionError: `STORE_DAMAGED`: nothing was done, or something is left that people must mend.
    """
    place, folder = Home(home), open_config(Home(home).config).publish.folder
    with place.alone():
        found = _inspect(place, passphrase)
        _show(found)
        keystore = Keystore(place.keys, randomness=secrets.token_bytes)
        repair = Repair(place, folder, found, keystore, passphrase, now=read_clock())
        steps, by_hand = repair.plan(), repair.by_hand()
        if not found.wrong():
            err.print("Nothing is wrong: nothing was changed.")
            return
        if steps:
            err.print(f"To do, in this order; what is replaced is kept in {repair.aside}:")
            for number, step in enumerate(steps, 1):
                err.print(f"  {number}. {step.words}.")
        for finding, words in by_hand:
            err.print(f"  By hand: {finding.part} {finding.condition}: {words}.")
        if steps and not yes and not _is_agreed():
            raise ConditionError(
                field=str(home), found="no consent", expected="--yes, or `y` at a terminal; nothing was changed"
            )
        for number, step in enumerate(steps, 1):
            step.act()
            err.print(f"Done: {number}.")
    if by_hand:
        raise ConditionError(
            field=str(home),
            found="; ".join(f"{finding.part} {finding.condition}" for finding, _ in by_hand),
            expected="what stands above under `By hand`",
            code=Code.STORE_DAMAGED,
        )
    err.print("Repaired. Start the node; `counterseal node status` shows how it catches up.")


def _is_agreed() -> bool:
    return sys.stdin.isatty() and typer.confirm("Do this?", err=True)


def _inspect(place: Home, passphrase: Passphrase) -> Inspection:
    columns = (TextColumn("database, executed again"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    inspector = Inspector(place, open_config(place.config).publish.folder, passphrase, randomness=secrets.token_bytes)
    with Progress(*columns, console=err, disable=not err.is_terminal, transient=True) as bar:
        task = bar.add_task("blocks", total=None)
        return inspector.inspect(
            now=Seconds(read_clock() // 1000),
            report=lambda done, total: bar.update(task, completed=done, total=total),
        )


def _show(found: Inspection) -> None:
    for each in found.findings.values():
        words = f"{each.condition}: {each.words}" if each.words else each.condition.value
        err.print(f"{each.part:<17} [{_COLOURS[each.condition]}]{words}[/]")
