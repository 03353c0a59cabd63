"""From an inventory to the answer of what a beacon drew from it: in time it leaves nothing, too late it stays."""

import hashlib

import msgspec
import pytest

from ledger.charter import parse_charter
from ledger.chips import Chip, ChipsRoot, ChipsTree, verify_chip
from ledger.domains import SAMPLE_OPENINGS_FORMAT
from ledger.errors import Code, ProofError
from ledger.merkle import leaf_hash
from ledger.openings import (
    OpenedChip,
    SampleOpenings,
    compute_handed,
    encode_sample_openings,
    parse_sample_openings,
)
from ledger.positions import LeafIndex
from ledger.rules.beacons import find_open_rounds
from ledger.rules.samples import redraw_indices
from ledger.statements.beacons import SAMPLE, parse_sample
from ledger.statements.computed import find_computed_kind
from ledger.statements.dsse import parse_envelope, sign_envelope
from ledger.statements.inventories import Chips, encode_inventory, parse_inventory
from ledger.statements.verdicts import Reason
from tests.ledger.dockets import make_inventory
from tests.ledger.inspecting import make_beacon, make_sample_answer
from tests.ledger.rulebook import AGREED_ENTRY, World, due

CHARTER = parse_charter(AGREED_ENTRY)
COUNT, ROUND, DRAWN, WINDOW = 50, 5, 126, 60
CHIPS = [Chip("h100", f"S{number}") for number in range(COUNT)]
TREE = ChipsTree(CHIPS, [hashlib.sha256(b"%d" % number).digest() for number in range(COUNT)])


class Drawn:
    """`acme` lists its accelerators, and the beacon of a round draws from them."""

    def __init__(self) -> None:
        self.world = World(AGREED_ENTRY)
        self.world.register(10, "acme", ["a1"])
        for number in self.open_rounds(105):
            self.world.accept(105, make_beacon(self.world, number))
        self.inventory = self._list()
        self.world.accept(106, self.inventory)
        assert self.open_rounds(125) == [ROUND]
        self.beacon = make_beacon(self.world, ROUND)
        self.world.accept(125, self.beacon)
        before = len(self.world.computed)
        self.world.block(DRAWN)
        [self.entry] = [each for each in self.world.computed[before:] if find_computed_kind(each) == SAMPLE]

    def open_rounds(self, at: int) -> list[int]:
        self.world.block(at)
        self.world.block(at)
        return list(find_open_rounds(self.world.state))

    def _list(self) -> bytes:
        bare = parse_inventory(parse_envelope(make_inventory(self.world, "acme", 1, {"a1": COUNT})).payload).predicate
        row = msgspec.structs.replace(bare.rows[0], chips=Chips(TREE.root().root.hex(), COUNT))
        listed = msgspec.structs.replace(bare, rows=(row,))
        return sign_envelope(encode_inventory(listed), [self.world.labs["acme"].key.signer])

    def redraw(self) -> tuple[LeafIndex, ...]:
        sample = parse_sample(self.entry)
        return redraw_indices(sample, charter=CHARTER, beacon=self.beacon, inventory=self.inventory)

    def open(self) -> bytes:
        """What the lab hands over, of what it drew again itself."""
        chips = []
        for index in sorted(self.redraw()):
            opening = TREE.open_chip(index)
            chip = CHIPS[index]
            chips.append(
                OpenedChip(index=index, salt=opening.salt, model=chip.model, serial=chip.serial, path=opening.proof)
            )
        sample = parse_sample(self.entry)
        return encode_sample_openings(
            SampleOpenings(
                format=SAMPLE_OPENINGS_FORMAT, ledger=sample.ledger, round=sample.round, purpose=sample.purpose,
                lab="acme", cluster="a1", sample=leaf_hash(self.entry).hex(), inventory=sample.inventory,
                chips=tuple(chips),
            )
        )  # fmt: skip

    def answer(self, raw: bytes) -> bytes:
        count = len(parse_sample_openings(raw).chips)
        return make_sample_answer(self.world, ROUND, count, openings=compute_handed(raw))

    def say(self) -> list[Reason]:
        """The reasons in the verdict on the interval."""
        self.world.file(210, "acme", 1, ["a1"])
        self.world.block(due(1))
        return list(self.world.verdicts["acme", "a1", 1][-1].reasons)


@pytest.fixture
def drawn() -> Drawn:
    return Drawn()


def test_what_is_opened_in_time_is_what_anybody_draws_again_and_leaves_no_reason(drawn: Drawn) -> None:
    raw = drawn.open()
    drawn.world.accept(DRAWN + WINDOW - 1, drawn.answer(raw))
    opened = parse_sample_openings(raw)
    assert sorted(drawn.redraw()) == [chip.index for chip in opened.chips] == sorted(parse_sample(drawn.entry).indices)
    row = parse_inventory(parse_envelope(drawn.inventory).payload).predicate.rows[0]
    for chip in opened.chips:
        verify_chip(ChipsRoot(bytes.fromhex(row.chips.root), row.chips.count), chip.chip(), chip.opening())
    assert Reason.SAMPLE_UNANSWERED not in drawn.say()


def test_what_is_opened_too_late_is_refused_and_the_reason_stays(drawn: Drawn) -> None:
    late = drawn.world.refuse(DRAWN + WINDOW, drawn.answer(drawn.open()))
    assert late.code == Code.NOT_AWAITED
    assert Reason.SAMPLE_UNANSWERED in drawn.say()


@pytest.mark.parametrize(
    "changes", [{"indices": (LeafIndex(0),)}, {"seed": "00" * 32}, {"block": "00" * 32}, {"cluster": "a2"}]
)
def test_a_sample_with_anything_else_in_it_is_not_drawn_again(drawn: Drawn, changes: dict[str, object]) -> None:
    changed = msgspec.structs.replace(parse_sample(drawn.entry), **changes)
    with pytest.raises(ProofError):
        redraw_indices(changed, charter=CHARTER, beacon=drawn.beacon, inventory=drawn.inventory)
