"""The front door: the `counterseal` command mounts the rooms' own commands and holds nothing else.

A room is imported only when its command is asked for, so `--help` starts fast and a lab needs none of a node's
packages. Whatever a room raises becomes one readable sentence on stderr and an exit code (`docs/exit-codes.md`);
results go to stdout. Assertions are part of how the rooms guard themselves, so `python -O` is refused.
"""

import errno
import importlib
import sys
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Annotated, Final, Self

import typer

from ledger.errors import Code, ConditionError, LedgerError


class Exit(IntEnum):
    """Every exit code, with what it tells a script."""

    summary: str

    def __new__(cls, value: int, summary: str) -> Self:
        """Attach the one-line summary that the documentation prints."""
        member = int.__new__(cls, value)
        member._value_ = value
        member.summary = summary
        return member

    DONE = 0, "Done; for a check: it holds."
    REFUTED = (
        1,
        "The check was made and the answer is no (or input or output was closed midway).",
    )
    USAGE = 2, "The command line is wrong: an unknown command or option, or a value that is not of its type."
    MALFORMED = 3, "A file or an argument is not of the form it must have; nothing was checked or changed."
    REJECTED = 4, "The rules of the ledger refuse the statement; sending it again unchanged will not help."
    CONDITION = 5, "Something on this machine is not as it must be: configuration, passphrase, file, disk or port."
    UNAVAILABLE = 6, "A node or the network could not answer now; nothing is lost, try again later or elsewhere."
    INTERNAL = 70, "Our own mistake: please report it, with what `counterseal --traceback …` prints."
    INTERRUPTED = 130, "Interrupted by the user (Ctrl-C)."


@dataclass(frozen=True, slots=True)
class Room:
    """A room's command: where its typer app stands, which optional packages it needs, what it is for."""

    command: str
    module: str
    extra: str | None
    summary: str


ROOMS: Final = (
    Room("node", "node.cli", "node", "Run a nation's node: set it up, hold the ceremony, run it, see how it stands."),
    Room("charter", "node.charter_cli", "node", "Draft a charter from a preset, and read one in plain language."),
    Room("nation", "node.nation_cli", "node", "Make statements in a nation's name, signed by its running node."),
    Room("lab", "lab.cli", None, "Report for a lab: collect records, submit, keep receipts and what stays hidden."),
    Room("inspect", "inspector.cli", None, "Inspect for a nation: sample sizes, openings checked, findings signed."),
    Room("observe", "observer.cli", "observer", "Check everything yourself: sync, audit, see the verdicts."),
    Room("devnet", "devnet.cli", "node", "Run a whole network on this machine, to try things out."),
)
OBSERVER: Final = next(room for room in ROOMS if room.command == "observe")
VERIFY: Final = "verify"
VERIFY_SUMMARY: Final = "Verify a receipt, a certificate, evidence or a proof offline."
_OWN_PACKAGES: Final = frozenset({"counterseal", "devnet", "inspector", "lab", "ledger", "node", "observer", "tlog"})


_CODES: Final = {
    Exit.REFUTED: (Code.PROOF, Code.SIGNATURE, Code.POLICY, Code.NOT_MISCONDUCT),
    Exit.MALFORMED: (Code.FORMAT, Code.VERSION_MISMATCH),
    Exit.CONDITION: (
        Code.UNAUTHENTICATED,
        Code.CLOCK_AHEAD,
        Code.CONFIG,
        Code.PASSPHRASE,
        Code.KEY_FILE_DAMAGED,
        Code.STORE_DAMAGED,
        Code.DISK_FULL,
        Code.PORT_TAKEN,
    ),
    Exit.UNAVAILABLE: (
        Code.MEMPOOL_FULL,
        Code.QUOTA_EXCEEDED,
        Code.DRAINING,
        Code.NOT_FOUND,
        Code.NOT_READY,
        Code.TIMEOUT,
        Code.TOO_MANY_STREAMS,
        Code.UNREACHABLE,
    ),
}
"""What each exit code stands for; every other code is a refusal by the rules, of which there are the most."""

_EXITS: Final = {code: exit_ for exit_, codes in _CODES.items() for code in codes}


def exit_of(code: Code) -> Exit:
    """The exit code that stands for a condition."""
    return _EXITS.get(code, Exit.REJECTED)


def _leaves(error: BaseException) -> Iterator[BaseException]:
    """The errors inside nested groups, in order; a task group hides the one that matters."""
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _leaves(inner)
    else:
        yield error


def describe(error: BaseException) -> tuple[str, Exit]:
    """One sentence for a person and one number for a script."""
    leaves = list(_leaves(error))
    for leaf in leaves:
        if isinstance(leaf, LedgerError):
            return str(leaf), exit_of(leaf.code)
    for leaf in leaves:
        if isinstance(leaf, KeyboardInterrupt):
            return "interrupted", Exit.INTERRUPTED
        if isinstance(leaf, OSError):
            return _describe_os_error(leaf), Exit.CONDITION
    first = leaves[0]
    frames = traceback.extract_tb(first.__traceback__)
    place = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return (
        f"our own mistake: {type(first).__name__}{place}; run `counterseal --traceback …` and report it",
        Exit.INTERNAL,
    )


def _describe_os_error(error: OSError) -> str:
    code = {
        errno.ENOSPC: Code.DISK_FULL,
        errno.EDQUOT: Code.DISK_FULL,
        errno.EADDRINUSE: Code.PORT_TAKEN,
    }.get(error.errno or 0)
    subject = f"{error.filename}: " if error.filename else ""
    reason = error.strerror or type(error).__name__
    return f"{subject}{reason} [{code}]" if code else f"{subject}{reason}"


def load_room(room: Room) -> typer.Typer:
    """Import a room's commands.

    Raises:
        ConditionError: the room, or a package that it needs, is not installed.
    """
    try:
        app = importlib.import_module(room.module).app
    except ModuleNotFoundError as error:
        missing = error.name or room.module
        if missing not in {room.module, room.module.partition(".")[0]}:
            raise _missing_package(room, error) from error
        expected = f"an installation with the module {room.module}"
        raise ConditionError(
            field=f"counterseal {room.command}", found=f"no module {missing}", expected=expected, code=Code.CONFIG
        ) from error
    assert isinstance(app, typer.Typer)
    return app


def _missing_package(room: Room, error: ModuleNotFoundError) -> Exception:
    """Say which packages to install; a module of ours that is missing is our own mistake."""
    missing = error.name or room.module
    if missing.partition(".")[0] in _OWN_PACKAGES:
        return error
    wanted = f"counterseal[{room.extra}]" if room.extra else "counterseal"
    return ConditionError(
        field=f"counterseal {room.command}",
        found=f"no module {missing}",
        expected=f"its packages: pip install '{wanted}'",
        code=Code.CONFIG,
    )


def build_app(wanted: str | None) -> typer.Typer:
    """The command tree, with the one room filled in that `wanted` names and only a line for each other."""
    app = typer.Typer(
        name="counterseal",
        help="Attest, agree on and verify how AI compute is used.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_options)
    for room in ROOMS:
        inner = load_room(room) if room.command == wanted else typer.Typer()
        app.add_typer(inner, name=room.command, help=room.summary)
    if wanted == VERIFY:
        app.registered_commands += [c for c in load_room(OBSERVER).registered_commands if _is_verify(c)]
    else:
        app.command(VERIFY, help=VERIFY_SUMMARY)(lambda: None)
    return app


def _is_verify(command: typer.models.CommandInfo) -> bool:
    return VERIFY in {command.name, getattr(command.callback, "__name__", None)}


def _print_version(*, asked: bool) -> None:
    if asked:
        from importlib import metadata  # noqa: PLC0415 - 20 ms that only this option needs

        typer.echo(f"counterseal {metadata.version('counterseal')}")
        raise typer.Exit


def _options(
    *,
    version: Annotated[
        bool,
        typer.Option(
            "--version", is_eager=True, callback=lambda value: _print_version(asked=value), help="Show the version."
        ),
    ] = False,
    show_traceback: Annotated[
        bool, typer.Option("--traceback", help="On a mistake of ours, print where it happened, for a report.")
    ] = False,
) -> None:
    """Options that stand before the command."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and leave with a documented exit code; never shows a traceback unless asked."""
    if not __debug__:
        typer.echo("counterseal: python -O removes the assertions that guard the ledger; run it without -O", err=True)
        sys.exit(Exit.USAGE)
    words = list(sys.argv[1:] if arguments is None else arguments)
    wanted = next((word for word in words if not word.startswith("-")), None)
    try:
        build_app(wanted)(args=words, prog_name="counterseal")
    except Exception as error:  # noqa: BLE001 - the outermost edge: everything becomes a sentence and a number
        room = next((room for room in ROOMS if room.command == wanted), None)
        if room is not None and isinstance(error, ModuleNotFoundError):  # a command imports when it runs
            error = _missing_package(room, error)
        sentence, code = describe(error)
        if "--traceback" in words[: words.index(wanted) if wanted else None]:
            traceback.print_exception(error)
        typer.echo(f"counterseal: {sentence}", err=True)
        sys.exit(code)


if __name__ == "__main__":
    main()
