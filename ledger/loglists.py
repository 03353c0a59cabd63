"""The list of logs that a witness is configured for, in the form in which the public witness network hands them out.

    logs/v0

    vkey log.example+3c9b9e0f+AVSj…
    origin none
    qpd 86400
    bastion none
    contact sysadmin (at) log.example

One `vkey` line begins a log; the others may be left out, and may come in any order. `origin none`, or no such line,
means that the log's origin is the name of its key, as is recommended. `qpd` is how many times a day the witness lets
the log grow; `bastion` and `contact` are for others and for people. Empty lines and lines that begin with `#` are
ignored. Entries of one origin are one log with several keys, any of which may sign, and their `qpd` add up: so stand
the members of a Counterseal ledger, each with the log key of its node.

A line that is not understood refuses the whole list, by its number: a witness that passed over a log would look as if
it were configured for it. Source: log-list format of the witness network (transparency-dev/witness-network).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from ledger.checkpoints import require_origin
from ledger.domains import NOTE_SEAL, RESERVED_ORIGIN_PREFIXES
from ledger.encoding import decode_decimal
from ledger.errors import FormatError, LedgerError
from ledger.limits import MIB, ORIGIN_BYTES_MAX
from ledger.notes import VerifierKey, encode_vkey, parse_vkey
from ledger.policy import KnownKeys
from ledger.threshold.group import backend

LOG_LIST_BYTES_MAX: Final = 4 * MIB
LOG_ENTRIES_MAX: Final = 10_000
QPD_DEFAULT: Final = 86_400
QPD_MAX: Final = 86_400_000

_HEADER: Final = "logs/v0"
_NONE: Final = "none"
_WORDS: Final = ("vkey", "origin", "qpd", "bastion", "contact")


@dataclass(frozen=True, slots=True)
class WitnessedLog:
    """A log that a witness is configured for.

    Attributes:
        origin: its name.
        known: its keys, any of which may sign, by name and key ID.
        growths_per_day_max: how often a day it may grow here.
    """

    origin: str
    known: KnownKeys
    growths_per_day_max: int


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One entry of a list: a key of a log."""

    key: VerifierKey
    origin: str
    qpd: int = QPD_DEFAULT


def parse_log_list(raw: bytes) -> Mapping[str, WitnessedLog]:
    """Read a list; gives the logs by origin.

    Raises:
        FormatError: `logs`: too long, not UTF-8, no header; `logs line <n>`: not understood, or a key twice for a log.
    """
    if len(raw) > LOG_LIST_BYTES_MAX:
        raise FormatError(field="logs", found=f"{len(raw)} bytes", expected=f"at most {LOG_LIST_BYTES_MAX} bytes")
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise FormatError(field="logs", found=f"byte {error.start}: {error.reason}", expected="UTF-8") from None
    known: dict[str, dict[tuple[str, bytes], VerifierKey]] = {}
    budgets: dict[str, int] = {}
    for number, entry in _read_entries(text):
        keys = known.setdefault(entry.origin, {})
        name = (entry.key.name, entry.key.key_id)
        if name in keys:
            raise _fault(number, encode_vkey(entry.key), "each key once for a log")
        keys[name] = entry.key
        budgets[entry.origin] = min(budgets.get(entry.origin, 0) + entry.qpd, QPD_MAX)
    return MappingProxyType(
        {origin: WitnessedLog(origin, MappingProxyType(keys), budgets[origin]) for origin, keys in known.items()}
    )


def encode_log_list(entries: Sequence[LogEntry]) -> str:
    """Write a list.

    Raises:
        FormatError: an entry has no such form; as `parse_log_list`.
    """
    lines = [_HEADER, ""]
    for entry in entries:
        origin = _NONE if entry.origin == entry.key.name else entry.origin
        lines += [f"vkey {encode_vkey(entry.key)}", f"origin {origin}", f"qpd {entry.qpd}", ""]
    text = "\n".join(lines)
    read = parse_log_list(text.encode("utf-8", "surrogatepass"))
    assert list(read) == list(dict.fromkeys(entry.origin for entry in entries))
    return text


def _read_entries(text: str) -> Iterator[tuple[int, LogEntry]]:
    """Give each entry with the number of its first line."""
    lines = ((number, line) for number, line in enumerate(text.split("\n"), 1) if line and not line.startswith("#"))
    number, header = next(lines, (1, ""))
    if header != _HEADER:
        raise _fault(number, header, f"`{_HEADER}`")
    first, fields, count = 0, dict[str, str](), 0
    for number, line in lines:
        word, _, value = line.partition(" ")
        if word not in _WORDS or not value:
            raise _fault(number, line, "one of " + ", ".join(_WORDS) + " and a value")
        if word == "vkey":
            if fields:
                yield first, _make_entry(first, fields)
            first, fields, count = number, {}, count + 1
            if count > LOG_ENTRIES_MAX:
                raise _fault(number, f"{count} entries", f"at most {LOG_ENTRIES_MAX}")
        elif not fields:
            raise _fault(number, line, "a vkey first")
        elif word in fields:
            raise _fault(number, line, f"`{word}` once for an entry")
        fields[word] = value
    if fields:
        yield first, _make_entry(first, fields)


def _make_entry(number: int, fields: Mapping[str, str]) -> LogEntry:
    try:
        key = parse_vkey(fields["vkey"])
        if key.type_bytes == NOTE_SEAL:
            backend().decode_g2(key.public_key, field="vkey.key")
        named = fields.get("origin", _NONE)
        origin = require_origin(key.name, field="origin") if named == _NONE else _require_foreign_origin(named)
        qpd = decode_decimal(fields.get("qpd", str(QPD_DEFAULT)), field="qpd", maximum=QPD_MAX)
    except LedgerError as error:
        raise error.inside(f"logs line {number}") from None
    return LogEntry(key=key, origin=origin, qpd=qpd)


def _require_foreign_origin(origin: str) -> str:
    """Let any line be an origin, as the specification does, but for those that other signed messages begin with."""
    is_bounded = len(origin.encode("utf-8")) <= ORIGIN_BYTES_MAX
    if not is_bounded or not origin.isprintable() or origin.startswith(RESERVED_ORIGIN_PREFIXES):
        expected = f"at most {ORIGIN_BYTES_MAX} printable bytes that do not begin with a reserved word"
        raise FormatError(field="origin", found=origin, expected=expected)
    return origin


def _fault(number: int, found: str, expected: str) -> FormatError:
    return FormatError(field=f"logs line {number}", found=found, expected=expected)
