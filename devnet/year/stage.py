"""Performing a script: every act gets its header and its signatures, and what comes of it is compared with the script.

A `Stage` is where that happens: a network of real nodes, or the rules alone. It says when a moment has come, hands
statements in, and knows who has said how much. Labs answer what inspection rounds draw from their inventories, wherever
a stage has them.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from devnet.year.acts import Act, Header, Moment, Said
from devnet.year.sampling import write_answer
from devnet.year.script import Script
from ledger.errors import Rejection
from ledger.merkle import leaf_hash
from ledger.positions import LeafIndex, Seconds
from ledger.positions import Sequence as SequenceNumber
from ledger.statements.beacons import Sample
from ledger.statements.dsse import sign_envelope

Signer = tuple[bytes, Callable[[bytes], bytes]]
"""A public key, and what signs with the key behind it."""


class Position(NamedTuple):
    """What an issuer's next statement carries."""

    sequence: SequenceNumber
    previous: str


@dataclass(frozen=True, slots=True)
class Spoken:
    """Something to be said: it becomes an entry when it is known where its speaker stands.

    Attributes:
        speaker: who issues it.
        write: makes the entry for a position.
        position: the position, if it is not the speaker's next.
        is_refused: whether the rules are expected to refuse it.
    """

    speaker: str
    write: Callable[[Position], bytes]
    position: Position | None
    is_refused: bool


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of it.

    Attributes:
        entry: as it was handed in.
        position: that it carries.
        index: where it stands; None if it was refused.
        rejection: why it was refused; None if it stands.
    """

    entry: bytes
    position: Position
    index: LeafIndex | None
    rejection: Rejection | None


class Stage(Protocol):
    """Where a story is performed."""

    @property
    def ledger(self) -> str:
        """Hex id of the ledger."""
        ...

    def find_signer(self, name: str) -> Signer:
        """The key of a nation, a lab or anybody else of the cast."""
        ...

    async def reach(self, moment: Moment) -> None:
        """Let ledger time pass until a moment."""
        ...

    async def find_samples(self) -> list[Sample]:
        """What the rules have drawn from inventories since this was asked last, as far as it is seen from here."""
        ...

    async def say(self, spoken: Sequence[Spoken]) -> list[Answer]:
        """Hand in what is said at one moment, in order for each speaker; an answer for each, in the order given."""
        ...


@dataclass(slots=True)
class Performance:
    """What came of a script.

    Attributes:
        said: acts with a name, those that were refused included.
        positions: what each of those carries.
        surprises: a sentence on each act that did not come out as written.
        refusals: codes of acts that were refused as written, by name.
    """

    said: dict[str, Said] = field(default_factory=dict)
    positions: dict[str, Position] = field(default_factory=dict)
    surprises: list[str] = field(default_factory=list)
    refusals: dict[str, Rejection] = field(default_factory=dict)


async def perform(
    script: Script, stage: Stage, *, tell: Callable[[Moment, Sequence[str]], None], end: Moment
) -> Performance:
    """Perform a script to its end.

    Args:
        script: for this stage's ledger.
        stage: where.
        tell: is given each moment at which something happens that the audience should know, and sentences on it.
        end: the moment at which it is over; nothing is said after it.
    """
    performance = Performance()
    for moment, acts in script.moments():
        if moment > end:
            break
        await stage.reach(moment)
        heard = [*acts, *[_answer(sample, moment) for sample in await stage.find_samples()]]
        answers = await stage.say([_prepare(act, stage, performance) for act in heard])
        for act, answer in zip(heard, answers, strict=True):
            _take(act, answer, performance)
        if sentences := [act.tells for act in acts if act.tells]:
            tell(moment, sentences)
    await stage.reach(end)
    return performance


def _answer(sample: Sample, moment: Moment) -> Act:
    """What the script cannot have written, since nobody knows beforehand what is drawn."""
    name = f"answer {sample.cluster} {sample.round}"
    return Act(moment, sample.lab, lambda header, _: write_answer(sample, header), name=name)


def _prepare(act: Act, stage: Stage, performance: Performance) -> Spoken:
    signers = [stage.find_signer(name) for name in (act.speaker, *act.cosigners)]
    said: Mapping[str, Said] = performance.said

    def write(position: Position) -> bytes:
        header = Header(
            ledger=stage.ledger,
            issuer=act.speaker,
            sequence=position.sequence,
            previous=position.previous,
            issued_at=Seconds(0),
            corrects=None,
        )
        return sign_envelope(act.write(header, said), signers)

    position = performance.positions[act.in_place_of] if act.in_place_of else None
    return Spoken(act.speaker, write, position, act.refused is not None)


def _take(act: Act, answer: Answer, performance: Performance) -> None:
    """Note what came of an act, and whether the script has it so."""
    code = None if answer.rejection is None else answer.rejection.code
    if act.name:
        performance.said[act.name] = Said(leaf_hash(answer.entry).hex(), answer.index)
        performance.positions[act.name] = answer.position
    if answer.rejection is not None and act.name:
        performance.refusals[act.name] = answer.rejection
    if code != act.refused:
        came = "it was taken" if answer.rejection is None else f"{answer.rejection}"
        performance.surprises.append(f"{act.speaker}, {act.name or act.tells or act.at}: {came}")
