"""An alarm: one thing that somebody must be told, as a value with a name that is the same whenever it is found again.

Invariants
1. The id follows from the ledger, the kind, the subject, the phase and the *place*: an entry's index, a folder of
   evidence, the moment a deadline ends, the moment a condition began. So the same matter cannot become two alarms, and
   receivers who saw an id have seen the matter.
2. Title and text are one line of printable characters each, and bounded, whatever parties wrote: no control, format or
   bidirectional character, no line break. So they are inert in a mail's header, a terminal and a feed; what a format
   itself gives a meaning to is escaped by who writes that format.
"""

import dataclasses
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from ledger.errors import Code, ConditionError
from ledger.positions import LeafIndex, Millis
from observer.monitor.kinds import KINDS, Kind

TITLE_CHARACTERS_MAX: Final = 200
TEXT_CHARACTERS_MAX: Final = 2_000
SUBJECT_CHARACTERS_MAX: Final = 300
ID_HEX: Final = 32


class Phase(StrEnum):
    """Whether something happened, began to last, or is over."""

    EVENT = "event"
    RAISED = "raised"
    CLEARED = "cleared"


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """What somebody must be told.

    Attributes:
        id: `<kind>-<32 hexadecimal digits>`; see 1 of this module.
        kind: what sort of thing; how bad follows from it.
        phase: of a condition, whether it began or is over; else `event`.
        ledger: fingerprint of the ledger's charter.
        subject: what about, as the ledger names it, or the source, the outlet, the folder.
        title: in a few words.
        text: in a sentence or more.
        lab: id of the lab it is about, if it is about one.
        nation: id of the nation whose lab that is, or which it is about.
        index: of the entry that shows it.
        proof: name of the folder of evidence.
        ledger_ms: when, by the time of a block; of a deadline, when it ends.
        seen_ms: when it was found, by this machine's clock; no part of the id.
    """

    id: str
    kind: Kind
    phase: Phase
    ledger: str
    subject: str
    title: str
    text: str
    lab: str | None = None
    nation: str | None = None
    index: LeafIndex | None = None
    proof: str | None = None
    ledger_ms: Millis | None = None
    seen_ms: Millis


def make_alarm(
    ledger: str,
    kind: Kind,
    subject: str,
    *,
    place: str,
    title: str,
    text: str,
    seen_ms: Millis,
    phase: Phase = Phase.EVENT,
    lab: str | None = None,
    nation: str | None = None,
    index: LeafIndex | None = None,
    proof: str | None = None,
    ledger_ms: Millis | None = None,
) -> Alarm:
    """Make an alarm: its id, and its words inert.

    Args:
        ledger: fingerprint of the ledger's charter.
        kind: what sort of thing.
        subject: what about.
        place: what tells it from others of this kind about this subject.
        title: may hold words of strangers, as `text`.
        text: the same at more length.
        seen_ms: by this machine's clock.
        phase: of a condition.
        lab: that it is about.
        nation: that it is about.
        index: of the entry that shows it.
        proof: name of the folder of evidence.
        ledger_ms: when, by the time of a block.
    """
    is_over = phase is Phase.CLEARED
    return Alarm(
        id=compute_alarm_id(ledger, kind, subject, phase=phase, place=place),
        kind=kind,
        phase=phase,
        ledger=ledger,
        subject=make_inert(subject, SUBJECT_CHARACTERS_MAX),
        title=make_inert(f"over: {title}" if is_over else title, TITLE_CHARACTERS_MAX),
        text=make_inert(text, TEXT_CHARACTERS_MAX),
        lab=lab,
        nation=nation,
        index=index,
        proof=proof,
        ledger_ms=ledger_ms,
        seen_ms=seen_ms,
    )


def compute_alarm_id(ledger: str, kind: Kind, subject: str, *, phase: Phase, place: str) -> str:
    """Name an alarm by what it is about, and by nothing else."""
    named = json.dumps([ledger, kind.value, subject, phase.value, place], ensure_ascii=True, separators=(",", ":"))
    return f"{kind.value}-{hashlib.sha256(named.encode('ascii')).hexdigest()[:ID_HEX]}"


def make_inert(text: str, characters_max: int) -> str:
    r"""Write what is not printable as escapes, and cut what is too long.

    >>> make_inert("acme\r\nBcc: all\x1b[2J", 80)
    'acme\\r\\nBcc: all\\x1b[2J'
    """
    safe = "".join(each if each.isprintable() else _escape(each) for each in text[: characters_max + 1])
    return safe if len(safe) <= characters_max else f"{safe[: characters_max - 1]}…"


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


def list_names(names: Sequence[str], *, shown_max: int) -> str:
    """List names, and say how many were left out.

    >>> list_names(["a", "b", "c"], shown_max=2)
    'a, b and 1 more'
    """
    more = len(names) - shown_max
    return ", ".join(names[:shown_max]) + (f" and {more} more" if more > 0 else "")


def encode_alarm(alarm: Alarm) -> dict[str, Any]:
    """Give an alarm as JSON has it; Any because its values are of several types."""
    values = dataclasses.asdict(alarm)
    return {
        "id": alarm.id,
        "kind": alarm.kind.value,
        "severity": alarm.kind.severity.word,
        **{name: value for name, value in values.items() if name not in ("id", "kind")},
    }


def decode_alarm(text: str, *, field: str) -> Alarm:
    """Read an alarm that `encode_alarm` wrote, from this machine's own journal.

    Raises:
        ConditionError: `STORE_DAMAGED`: it is not what was written.
    """
    try:
        values = json.loads(text)
        values.pop("severity")
        return Alarm(**(values | {"kind": KINDS[values["kind"]], "phase": Phase(values["phase"])}))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ConditionError(
            field=field, found=f"{type(error).__name__}: {error}", expected="an alarm", code=Code.STORE_DAMAGED
        ) from error
