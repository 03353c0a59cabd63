"""A sample and its answer in tests: what a beacon drew, and what a lab handed over of it, honest or not."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import msgspec

from inspector.answers import AnswerCase
from inspector.entries import read_statement
from inspector.keys import InspectorKeys
from inspector.samples import redraw_sample
from ledger.chips import Chip
from ledger.domains import SAMPLE_OPENINGS_FORMAT
from ledger.openings import SampleOpenings, compute_handed
from ledger.positions import BeaconRound
from ledger.sampling import Purpose
from ledger.statements.beacons import Sample, SampleAnswer, encode_sample_answer, parse_sample, parse_sample_answer
from ledger.statements.dsse import sign_envelope
from tests.inspector.dossiers import (
    CHIPS,
    CLUSTER,
    LAB,
    Shelf,
    draw_sample,
    encrypt,
    header,
    leaf_of,
    make_beacon,
    make_inventory,
    open_chips,
    the_charter,
    the_keys,
)
from tests.ledger.rulebook import Key

ROUND: Final = 6
NAME: Final = f"{CLUSTER}/{ROUND}/spot"
NAMES: Final = ("sample", "beacon", "inventory")
Mutate = Callable[[SampleOpenings], SampleOpenings]


def make_answer(plain: bytes, sample: Sample, **changes: Any) -> bytes:
    made = SampleAnswer(
        **header(LAB),
        round=BeaconRound(ROUND),
        purpose=Purpose.SPOT,
        cluster=CLUSTER,
        openings=compute_handed(plain),
        opened_count=sample.count,
    )
    return sign_envelope(encode_sample_answer(msgspec.structs.replace(made, **changes)), [Key(LAB).signer])


@dataclass(frozen=True)
class Answered:
    """A sample from the draw to what was handed over."""

    shelf: Shelf
    keys: InspectorKeys
    openings: SampleOpenings
    plain: bytes
    box: bytes

    @cached_property
    def case(self) -> AnswerCase:
        ledger = self.shelf.ledger
        return AnswerCase(
            ledger=ledger,
            redrawn=redraw_sample([self.shelf.path(name) for name in NAMES], ledger),
            answer=read_statement(self.shelf.path("answer"), ledger, parse_sample_answer),
        )


def answer_sample(
    folder: Path,
    *,
    chips: Sequence[Chip] = CHIPS,
    mutate: Mutate = lambda openings: openings,
    spoil: Callable[[bytes], bytes] = lambda plain: plain,
    sampled: dict[str, Any] | None = None,
    **said: Any,
) -> Answered:
    """Draw and answer; `sampled` changes the sample, `said` the lab's answer."""
    keys, inventory = the_keys(folder), make_inventory(chips)
    entry = draw_sample(inventory, ROUND, **(sampled or {}))
    drawn = parse_sample(draw_sample(inventory, ROUND))
    openings = mutate(
        SampleOpenings(
            format=SAMPLE_OPENINGS_FORMAT,
            ledger=the_charter().fingerprint,
            round=BeaconRound(ROUND),
            purpose=Purpose.SPOT,
            lab=LAB,
            cluster=CLUSTER,
            sample=leaf_of(entry),
            inventory=leaf_of(inventory),
            chips=open_chips(sorted(drawn.indices), chips),
        )
    )
    plain = spoil(msgspec.json.encode(openings))
    box = encrypt(plain, keys, challenge=NAME)
    shelf = Shelf(folder / "shelf").put(
        inventory=inventory, beacon=make_beacon(ROUND), sample=entry, answer=make_answer(plain, drawn, **said)
    )
    return Answered(shelf.write(), keys, openings, plain, box)
