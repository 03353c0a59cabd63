"""How every `counterseal nation` command speaks: a body, the words for it, a question, the node signs, what came of it.

Words go to stderr, since they are for the person who is asked; what came of it goes to stdout, for a script.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
import typer
from rich.console import Console
from rich.markup import escape

from ledger.encoding import encode_base64
from ledger.errors import Code, ConditionError, FormatError
from ledger.limits import ENTRY_BYTES_MAX
from ledger.positions import Seconds
from ledger.positions import Sequence as SequenceNumber
from ledger.statements.intoto import ZERO_HASH, PredicateHeader
from ledger.vocabulary import read_predicate
from node.config import open_config
from node.home import Home, read_file, write_file
from node.operating import OperatorClient
from node.standing import Standing, read_standing
from node.v1 import operator_pb2

CHARTER_FILE: Final = "charter.entry"
ENTRY_SUFFIX: Final = ".entry"
WAIT_S: Final = 30.0

HomeOption = Annotated[Path, typer.Option("--home", help="The node's folder.")]
YesOption = Annotated[bool, typer.Option("--yes", help="Sign without asking; for scripts.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
WaitOption = Annotated[
    float, typer.Option("--wait", min=0, max=3600, help="Seconds to wait for the seal; 0 only hands it in.")
]
ReceiptOption = Annotated[
    Path | None,
    typer.Option("--receipt", help="Where the receipt is written, with the entry and the charter beside it."),
]
FileOption = Annotated[
    Path | None, typer.Option("--file", help="A JSON file with the whole body, in place of the other options.")
]
OutputOption = Annotated[Path, typer.Option("--output", "-o", help="Where what this nation signed is written.")]

err = Console(stderr=True, soft_wrap=True, highlight=False)
Describe = Callable[[Any, Standing], Sequence[str]]
"""Says in words what a predicate of one kind means; the kind and its predicate go together, hence Any."""


@dataclass(frozen=True, slots=True)
class Manner:
    """How a command was asked to speak; the options that all of them have."""

    yes: bool = False
    as_json: bool = False
    wait_s: float = WAIT_S
    receipt: Path | None = None


class Speaker:
    """One nation's running node, and where the nation stands."""

    def __init__(self, home: Path) -> None:
        """Ask the node.

        Raises:
            ConditionError: it does not run.
        """
        self.client = OperatorClient(open_config(Home(home).config).operator.socket)
        self.standing: Standing = read_standing(self.client.matters())

    def say(self, kind: str, body: Mapping[str, object], describe: Describe, manner: Manner) -> None:
        """Show what will be signed, ask, have it signed and handed in, and tell what came of it.

        Raises:
            LedgerError: the body is not of its form, or the rules refuse it. `TIMEOUT`: it is not sealed yet.
        """
        raw = self._show(kind, body, describe)
        if not manner.yes:
            typer.confirm("Sign and hand in?", abort=True, err=True)
        outcome = self.client.issue(kind, raw, wait_s=manner.wait_s)
        report_outcome(outcome, self.standing, manner, kind=kind)
        if manner.wait_s and not outcome.sealed:
            raise ConditionError(
                field=f"statement {outcome.leaf_hash.hex()}",
                found="handed in, and not sealed so far",
                expected="a seal; `counterseal nation statement` with this leaf hash says what becomes of it",
                code=Code.TIMEOUT,
            )

    def offer(self, kind: str, body: Mapping[str, object], describe: Describe, output: Path, *, yes: bool) -> None:
        """Show what will be signed, ask, have it signed, and write it for who completes and submits it.

        Raises:
            LedgerError: the body is not of its form, or the disk refuses.
        """
        raw = self._show(kind, body, describe)
        if not yes:
            typer.confirm("Sign?", abort=True, err=True)
        signed = self.client.sign(kind, raw)
        parts = {"payload": signed.payload, "signature": signed.signature, "public_key": signed.public_key}
        text = json.dumps({name: encode_base64(part) for name, part in parts.items()}, indent=2)
        write_file(output, text.encode() + b"\n")

    def _show(self, kind: str, body: Mapping[str, object], describe: Describe) -> bytes:
        predicate = read_predicate(kind, _make_header(self.standing) | dict(body))
        raw = msgspec.json.encode(body)
        err.print(f"{self.standing.nation} will sign, as {_article(kind)}:")
        for sentence in describe(predicate, self.standing):
            err.print(f"  {escape(sentence)}")
        err.print_json(raw.decode())
        if self.standing.matters.statement_out:
            err.print(
                "A statement signed before waits for another party; this takes its place, and it must be signed anew."
            )
        return raw


def take_file(file: Path | None, given: Mapping[str, object]) -> dict[str, object] | None:
    """Read a whole body from a file; None if there is no file.

    Raises:
        BadParameter: an option beside the file.
        LedgerError: it cannot be read, or holds no JSON object.
    """
    if file is None:
        return None
    others = [name for name, value in given.items() if value]
    if others:
        raise typer.BadParameter(f"it holds the whole body: leave out {', '.join(others)}", param_hint="--file")
    raw = read_file(file, size_max=ENTRY_BYTES_MAX)
    try:
        return msgspec.json.decode(raw, type=dict[str, object])
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise FormatError(field=str(file), found=str(error), expected="a JSON object") from None


def require(given: Mapping[str, object]) -> None:
    """Refuse a command without what it needs.

    Raises:
        BadParameter: something is missing.
    """
    missing = [name for name, value in given.items() if value is None]
    if missing:
        raise typer.BadParameter(f"also needed: {', '.join(missing)}; or everything by --file")


def report_outcome(
    outcome: operator_pb2.StatementOutcome, standing: Standing, manner: Manner, *, kind: str | None = None
) -> None:
    """Tell what came of a statement, and write its receipt where one was asked for.

    Raises:
        ConditionError: the disk refuses, or the charter of another ledger lies where the receipt is to be.
    """
    leaf, receipt = outcome.leaf_hash.hex(), None
    if outcome.sealed and manner.receipt is not None:
        receipt = str(_write_receipt(outcome, standing, manner.receipt))
    if manner.as_json:
        index = outcome.index if outcome.sealed else None
        told = {"kind": kind, "leaf": leaf, "sealed": outcome.sealed, "index": index, "receipt": receipt}
        typer.echo(json.dumps({name: value for name, value in told.items() if name != "kind" or kind}, indent=2))
        return
    err.print(f"Sealed as entry {outcome.index}." if outcome.sealed else "Handed in; it waits for a block.")
    if receipt is not None:
        err.print(f"Receipt: {escape(receipt)}")
    typer.echo(leaf)


def print_lines(lines: Sequence[str], nothing: str) -> None:
    """Print a list for people; what there is not goes to stderr."""
    for line in lines:
        typer.echo(line)
    if not lines:
        err.print(nothing)


def _write_receipt(outcome: operator_pb2.StatementOutcome, standing: Standing, path: Path) -> Path:
    charter, entry = path.with_name(CHARTER_FILE), standing.charter.entry
    if charter.exists() and read_file(charter, size_max=ENTRY_BYTES_MAX) != entry:
        raise ConditionError(
            field=str(charter),
            found="another charter",
            expected="a folder of its own for each ledger",
            code=Code.CONFIG,
        )
    write_file(charter, entry)
    write_file(path.with_suffix(ENTRY_SUFFIX), outcome.entry)
    write_file(path, outcome.receipt.encode())
    return path


def _make_header(standing: Standing) -> dict[str, object]:
    """A header in the place of the one that the node will make, so that the body can be read as what it is."""
    header = PredicateHeader(
        ledger=standing.charter.fingerprint,
        issuer=standing.nation,
        sequence=SequenceNumber(0),
        previous=ZERO_HASH,
        issued_at=Seconds(0),
        corrects=None,
    )
    return msgspec.structs.asdict(header)


def _article(kind: str) -> str:
    return f"{'an' if kind[0] in 'aeiou' else 'a'} {kind}"
