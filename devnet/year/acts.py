"""What a story is made of: moments, and who says what at each of them. Nothing here knows of a network.

A moment is an interval of the story and a part of it in permille; interval 0 of the story is some interval of the
ledger's grid, and only whoever performs it knows which. Acts of one speaker at one moment are in order; those of
different speakers are not, so that what answers another comes at a later moment.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple, TypedDict

from ledger.errors import Code
from ledger.positions import LeafIndex, Seconds
from ledger.positions import Sequence as SequenceNumber
from ledger.statements.intoto import Corrects


class Moment(NamedTuple):
    """A part of an interval of the story, from its beginning, in permille."""

    interval: int
    permille: int


class Header(TypedDict):
    """The first fields of every predicate (`ledger.statements.intoto.PredicateHeader`)."""

    ledger: str
    issuer: str
    sequence: SequenceNumber
    previous: str
    issued_at: Seconds
    corrects: Corrects | None


@dataclass(frozen=True, slots=True)
class Said:
    """A statement of the story.

    Attributes:
        leaf: hex leaf hash of its entry.
        index: where it stands; None if it was refused, and is known to those alone whom it was shown.
    """

    leaf: str
    index: LeafIndex | None


Write = Callable[[Header, Mapping[str, Said]], bytes]
"""Writes a payload, given its header and what acts with a name have said so far."""


@dataclass(frozen=True, slots=True)
class Act:
    """Somebody says something.

    Attributes:
        at: when.
        speaker: nation or lab that issues it.
        write: what.
        tells: what the audience is told; empty for what happens every fortnight.
        name: by which later acts refer to it.
        cosigners: who signs beside the speaker, in order.
        in_place_of: name of an act whose number it takes once more.
        refused: why the rules refuse it; None if they take it.
    """

    at: Moment
    speaker: str
    write: Write
    tells: str = ""
    name: str = ""
    cosigners: tuple[str, ...] = ()
    in_place_of: str = ""
    refused: Code | None = None


@dataclass(frozen=True, slots=True)
class Chapter:
    """Acts that belong together, under a title."""

    title: str
    acts: tuple[Act, ...]
