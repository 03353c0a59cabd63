"""What the lab's commands share: its folder opened, a person asked, a statement shown, signed, kept and sent.

A command that makes a statement is a function that says what is to be said; `filed` turns it into one that does the
rest, with the same options and in the same order everywhere: show, ask, sign, keep, send, print the receipt's place.
"""

import functools
import inspect
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, ParamSpec, TypeVar

import typer

from lab import display
from lab.advice import advise
from lab.arguments import HomeOption, JsonOption, PassphraseOption, TimeoutOption, read_pairs
from lab.crosschecks import require_sane
from lab.enrolment import choose_key, read_enrolled
from lab.files import write_atomically
from lab.home import Home, name_statement, read_ledger, read_settings
from lab.keys import open_keys
from lab.passphrases import find_passphrase
from lab.pinned import PinnedLedger
from lab.preparing import Prepared, require_nothing_waiting, sign_prepared
from lab.preview import show_prepared, view_prepared
from lab.settings import Settings
from lab.stored import Stored
from lab.vault import Vault, open_vault
from ledger.errors import Code, ConditionError, LedgerError
from ledger.positions import Interval, Millis

P = ParamSpec("P")
R = TypeVar("R")


def advised(command: Callable[P, R]) -> Callable[P, R]:
    """Say what to do next beside every error."""

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except LedgerError as error:
            raise advise(error) from error

    return run


def now_ms() -> Millis:
    """Read this machine's clock."""
    return Millis(time.time_ns() // 1_000_000)


def say(text: str) -> None:
    """Tell a person something that is no result."""
    typer.echo(text, err=True)


def ask_passphrase(file: Path | None, *, is_new: bool = False) -> str:
    """Take the passphrase from a file, or ask for it where somebody can be asked."""

    def prompt() -> str:
        answer: str = typer.prompt("Passphrase", hide_input=True, confirmation_prompt=is_new, err=True)
        return answer

    return find_passphrase(file, prompt=prompt if sys.stdin.isatty() else None)


def open_folder(folder: Path) -> tuple[Home, Settings, PinnedLedger]:
    """Read the lab's settings, and the ledger that they pin."""
    home = Home(folder)
    settings = read_settings(home)
    return home, settings, read_ledger(home, settings)


@dataclass(frozen=True, slots=True)
class Desk:
    """What a command that makes a statement has before it.

    Attributes:
        home: the lab's folder.
        settings: of the lab.
        ledger: pinned.
        vault: open, and locked.
        now_ms: by this machine's clock.
        timeout_s: how long to try to reach nodes.
    """

    home: Home
    settings: Settings
    ledger: PinnedLedger
    vault: Vault
    now_ms: Millis
    timeout_s: float


Make = Callable[[Desk], Prepared]
"""What a command says is to be signed, once it has the desk."""


@dataclass(frozen=True, slots=True)
class Manner:
    """How a person wants a statement filed: the options that all such commands have."""

    folder: HomeOption
    override: Annotated[list[str] | None, typer.Option(help="check=reason: accept a failed hard check.")] = None
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the statement; sign and keep nothing.")] = False
    yes: Annotated[bool, typer.Option("--yes", help="Sign and send without asking; for scripts.")] = False
    no_wait: Annotated[bool, typer.Option("--no-wait", help="Hand in and leave; `lab submit` fetches receipts.")] = (
        False
    )
    show_hidden: Annotated[bool, typer.Option("--show-hidden", help="With --json: hidden values too.")] = False
    passphrase_file: PassphraseOption = None
    timeout: TimeoutOption = 120
    as_json: JsonOption = False


_MANNER: Final = tuple(inspect.signature(Manner).parameters.values())


def filed(command: Callable[..., Make]) -> Callable[..., None]:
    """Turn a command that says what is to be signed into one that files it; it gets the options of `Manner` too.

    The command is called first, without the vault; what it returns gets the desk, and prepares the statement.
    """

    def run(**given: Any) -> None:  # what typer read, of the types that the two signatures say
        manner = Manner(**{each.name: given.pop(each.name) for each in _MANNER})
        try:
            _file(command(**given), manner)
        except LedgerError as error:
            raise advise(error) from error

    own = [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in inspect.signature(command).parameters.values()]
    shared = [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in _MANNER]
    run.__name__, run.__doc__, run.__module__ = command.__name__, command.__doc__, command.__module__
    run.__annotations__ = {each.name: each.annotation for each in (*own, *shared)}
    setattr(run, "__signature__", inspect.Signature([*own, *shared]))  # noqa: B010 - what inspect looks for
    return run


def send(
    desk: Desk,
    views: list[display.View],
    *,
    interval: Interval | None = None,
    no_wait: bool,
    give_up: bool = False,
    as_json: bool = False,
) -> LedgerError | None:
    """Send what has no receipt, and tell of each statement as it is settled.

    Args:
        desk: of the command.
        views: gets a line for each statement, also if sending ends with an error.
        interval: only the statements of this interval, and those before them in the chain; None for all.
        no_wait: do not wait for the seals.
        give_up: believe any refusal, and free the number.
        as_json: print nothing; the caller prints the views.

    Returns:
        The first refusal.
    """
    from lab.online import Online  # noqa: PLC0415 - loads gRPC

    online = Online(desk.home, desk.settings, desk.ledger, timeout_s=desk.timeout_s)
    problem: LedgerError | None = None

    def show(stored: Stored, index: int | None, refusal: LedgerError | None) -> None:
        receipt = desk.home.receipt(name_statement(stored)) if index is not None else None
        views.append(display.view_filed(stored, index=index, receipt=receipt, refusal=refusal))
        if not as_json:
            typer.echo(display.describe_filed(stored, index=index, receipt=receipt, refusal=refusal))

    if no_wait:
        for stored in online.hand_in(desk.vault, interval=interval):
            show(stored, None, None)
    else:
        for one in online.submit(desk.vault, interval=interval, is_given_up=give_up):
            show(one.stored, one.index, one.refusal)
            problem = problem or one.refusal
    return problem


def _file(make: Make, manner: Manner) -> None:
    home, settings, ledger = open_folder(manner.folder)
    overrides = read_pairs(manner.override or (), field="override", expected="check=reason")
    with open_vault(home.vault) as vault:
        desk = Desk(home, settings, ledger, vault, now_ms(), manner.timeout)
        prepared = make(desk)
        require_nothing_waiting(vault, prepared)
        for remark in (*(f"check {finding}" for finding in prepared.findings), *prepared.notes):
            say(f"note: {remark}")
        if not manner.as_json:
            show_prepared(display.make_console(), prepared)
        require_sane(prepared.findings, overrides)
        views: list[display.View] = []
        try:
            problem = None if manner.dry_run else _sign_and_send(desk, prepared, manner, overrides, views)
        finally:
            if manner.as_json:
                view = view_prepared(prepared, with_hidden=manner.show_hidden)
                display.print_json({**view, "overrides": overrides, "filed": views})
    if problem is not None:
        raise problem


def _sign_and_send(
    desk: Desk, prepared: Prepared, manner: Manner, overrides: dict[str, str], views: list[display.View]
) -> LedgerError | None:
    if not manner.yes:
        if not sys.stdin.isatty():
            found, expected = "nobody to ask", "--yes, or somebody at a terminal; --dry-run only shows it"
            raise ConditionError(field="signature", found=found, expected=expected, code=Code.CONFIG)
        typer.confirm("Sign and send?", abort=True, err=True)
    _sign(desk, prepared, manner, overrides)
    return send(desk, views, no_wait=manner.no_wait, as_json=manner.as_json)


def _sign(desk: Desk, prepared: Prepared, manner: Manner, overrides: dict[str, str]) -> None:
    from lab.online import Online  # noqa: PLC0415 - loads gRPC

    key = choose_key(
        open_keys(desk.home.keys, ask_passphrase(manner.passphrase_file)), read_enrolled(desk.home.registrations)
    )
    place, notes = Online(desk.home, desk.settings, desk.ledger, timeout_s=desk.timeout_s).find_place(desk.vault)
    for note in notes:
        say(f"note: {note}")
    sign_prepared(desk.vault, prepared, place, key=key, now_ms=desk.now_ms, overrides=overrides)
    for path, raw in prepared.files.items():
        write_atomically(path, raw)
        say(f"wrote {path}")
