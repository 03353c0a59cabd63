"""What was said beside reports and verdicts: pauses, runs, releases, challenges, misconduct, in order of the ledger.

A line an entry: when its block was sealed, who said it, what about, and the few words that decide. Texts of parties are
shown as they are, whatever they claim; whether they are right is said by verdicts, or by nobody.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from ledger.errors import FormatError
from ledger.positions import LeafIndex, Millis
from ledger.statements.committee import APPROVAL, PROPOSAL
from ledger.statements.computed import is_computed_entry
from ledger.statements.dsse import parse_envelope
from ledger.statements.inspections import CHALLENGE, FINDING, INSPECTORS, RESPONSE, WITHDRAWAL
from ledger.statements.inventories import TRANSFER
from ledger.statements.misconduct import MISCONDUCT
from ledger.statements.notices import ENFORCEMENT, INCIDENT, OBSERVATION
from ledger.statements.pauses import LAB_PLEDGE, PAUSE_ACCESSION, PAUSE_EVENT, PAUSE_FREEZE, PAUSE_PROPOSAL
from ledger.statements.runs import RELEASE_NOTICE, RELEASE_REVIEW, REVIEW_EVENT, RUN_DECISION, TRAINING_RUN
from observer.copy import Copy
from observer.subjects import read_subject
from observer.telling import format_time

LINES_SHOWN: Final = 20
LINES_READ_MAX: Final = 1_000
"""Of each kind, the newest."""

_RULES: Final = "the rules"

_DECIDING: Final[Mapping[str, tuple[str, ...]]] = {
    PROPOSAL: (),
    APPROVAL: ("approves",),
    PAUSE_PROPOSAL: (),
    PAUSE_ACCESSION: ("joins",),
    LAB_PLEDGE: (),
    PAUSE_FREEZE: (),
    PAUSE_EVENT: ("event", "interval", "nations"),
    TRAINING_RUN: ("state", "band"),
    RUN_DECISION: ("decision",),
    RELEASE_REVIEW: (),
    REVIEW_EVENT: ("event",),
    RELEASE_NOTICE: (),
    TRANSFER: ("direction", "counterparty", "reason"),
    INCIDENT: ("category", "severity"),
    OBSERVATION: ("category", "confidence", "text"),
    ENFORCEMENT: ("measure", "interval", "text"),
    INSPECTORS: (),
    CHALLENGE: ("lab", "cluster", "interval"),
    WITHDRAWAL: (),
    RESPONSE: ("outcome",),
    FINDING: ("conclusion", "grounds", "level"),
    MISCONDUCT: (),
}
"""The kinds that are told, and which fields of each stand beside its subject."""


class _Predicate(msgspec.Struct):
    predicate: dict[str, Any]  # of any kind: the entry was accepted by its own kind's parser


_PAYLOADS: Final = msgspec.json.Decoder(_Predicate)


@dataclass(frozen=True, slots=True)
class Line:
    """One entry of the chronicle.

    Attributes:
        index: of the entry.
        time_ms: of its block.
        kind: of the statement.
        issuer: who said it; the rules where nobody did.
        subject: what about.
        said: the fields that decide, by name; without those that are null or empty.
    """

    index: LeafIndex
    time_ms: Millis
    kind: str
    issuer: str
    subject: str
    said: Mapping[str, Any]  # of whatever types the kind has


def read_chronicle(copy: Copy) -> tuple[Line, ...]:
    """Read the newest lines out of a copy, oldest first.

    Raises:
        FormatError: a sealed entry is no statement; `observer.audit` says which rule let it pass.
        LedgerError: the copy on disk is not what was written.
    """
    indices = sorted(index for kind in _DECIDING for index in copy.all_subjects(kind)[-LINES_READ_MAX:])
    entries = copy.proven_entries(indices)
    return tuple(_read(copy, index, entry) for index, entry in zip(indices, entries, strict=True))


def encode_chronicle(lines: tuple[Line, ...]) -> list[dict[str, Any]]:
    """Give the lines as JSON has them; Any because their values are of several types."""
    return [
        {
            "index": line.index,
            "time_ms": line.time_ms,
            "kind": line.kind,
            "issuer": line.issuer,
            "subject": line.subject,
            "said": dict(line.said),
        }
        for line in lines
    ]


def render_chronicle(lines: tuple[Line, ...], *, shown: int = LINES_SHOWN) -> RenderableType:
    """Lay the newest lines out for a terminal."""
    if not lines:
        return Text("nothing was said beside reports")
    title = "what was said beside reports"
    if len(lines) > shown:
        title += f": the newest {shown} of {len(lines)}"
    table = Table(title=title, title_justify="left")
    for heading in ("entry", "sealed", "what", "by", "about", "says"):
        table.add_column(heading)
    for line in lines[-shown:]:
        said = ", ".join(f"{name} {_spell(value)}" for name, value in line.said.items())
        cells = (line.kind, line.issuer, line.subject, said)
        table.add_row(str(line.index), format_time(line.time_ms), *(Text(cell) for cell in cells))
    return table


def _read(copy: Copy, index: LeafIndex, entry: bytes) -> Line:
    subject = read_subject(entry)
    assert subject is not None, "the copy's index names only entries that have a subject"
    payload = entry if is_computed_entry(entry) else parse_envelope(entry).payload
    try:
        predicate = _PAYLOADS.decode(payload).predicate
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:  # a quorum that colludes can seal anything
        raise FormatError(field=f"entries[{index}]", found=str(error), expected="a statement") from None
    said = {name: predicate.get(name) for name in _DECIDING[subject.kind]}
    return Line(
        index=index,
        time_ms=copy.block_with_entry(index).header.time_ms,
        kind=subject.kind,
        issuer=str(predicate.get("issuer", _RULES)),
        subject=subject.name,
        said={name: value for name, value in said.items() if value not in (None, [], "")},
    )


def _spell(value: Any) -> str:  # any JSON value
    if isinstance(value, list):
        return " ".join(_spell(item) for item in value)
    if isinstance(value, dict):
        return " ".join(f"{name}={_spell(item)}" for name, item in value.items())
    return {True: "yes", False: "no"}.get(value, str(value)) if isinstance(value, bool) else str(value)
