"""`node.standing_questions`: what binds a lab is found with its place, and what is not there is said so."""

from dataclasses import dataclass
from typing import cast

import pytest

from ledger.errors import Code, ConditionError
from ledger.positions import LeafIndex
from ledger.statements.dsse import parse_envelope
from ledger.statements.inspections import parse_challenge
from ledger.statements.pauses import parse_pause_proposal
from node.standing_questions import StandingQuestions
from node.store import Store
from tests.ledger.inspecting import make_challenge, name_inspectors
from tests.ledger.pausing import A, B, PauseWorld
from tests.ledger.rulebook import AGREED_ENTRY, CHARTER_ENTRY, World

LAB = "acme"


@dataclass
class Shelf:
    """The entries of a ledger."""

    every: list[bytes]

    def entries(self, index: LeafIndex, count: int) -> list[bytes]:
        return self.every[index : index + count]


def ask(world: World, *, kept: bool = True) -> StandingQuestions:
    every = [b"entry 0", *(entry for _, block in world.blocks for entry in block)]
    return StandingQuestions(lambda: world.state, cast("Store", Shelf(every if kept else [])))


@pytest.fixture
def paused() -> PauseWorld:
    world = PauseWorld()
    world.register(1, LAB, ["a1"], nation=A)
    world.activate(nations=(A, B))
    return world


def test_pauses_that_bind_a_lab_are_found_by_their_proposals(paused: PauseWorld) -> None:
    questions = ask(paused)
    assert questions.read_pauses(lab=LAB, interval=2, pause="") == ()
    (said,) = questions.read_pauses(lab=LAB, interval=3, pause="")
    assert parse_pause_proposal(parse_envelope(said.entry).payload).predicate.pause == "p"


def test_a_pause_is_found_by_its_id_before_it_binds_anybody(paused: PauseWorld) -> None:
    paused.accept(160, paused.pause(B, "later"))
    (said,) = ask(paused).read_pauses(lab="", interval=0, pause="later")
    proposal = parse_pause_proposal(parse_envelope(said.entry).payload).predicate
    assert (proposal.pause, proposal.issuer) == ("later", B)


@pytest.mark.parametrize(
    ("lab", "interval", "pause"), [("nobody", 0, ""), (LAB, 2**32, ""), (LAB, 0, "p-9"), ("", 0, "")]
)
def test_what_nobody_registered_or_proposed_is_not_found(
    paused: PauseWorld, lab: str, interval: int, pause: str
) -> None:
    with pytest.raises(ConditionError) as caught:
        ask(paused).read_pauses(lab=lab, interval=interval, pause=pause)
    assert caught.value.code is Code.NOT_FOUND


def test_a_node_without_the_whole_history_says_so(paused: PauseWorld) -> None:
    with pytest.raises(ConditionError) as caught:
        ask(paused, kept=False).read_pauses(lab="", interval=0, pause="p")
    assert caught.value.code is Code.NOT_READY


def test_without_an_agreement_nothing_binds_beside_the_limits() -> None:
    world = World(CHARTER_ENTRY)
    world.register(1, LAB, ["a1"])
    assert ask(world).read_pauses(lab=LAB, interval=0, pause="") == ()
    with pytest.raises(ConditionError):
        ask(world).read_challenge("c-1")


def test_a_challenge_comes_with_the_declaration_it_is_about_and_the_keys_of_its_inspectors() -> None:
    world = World(AGREED_ENTRY)
    world.register(1, LAB, ["a1"])
    name_inspectors(world, 2, "ada")
    leaf = world.file(210, LAB, 1, ["a1"])
    world.accept(220, make_challenge(world))
    said = ask(world).read_challenge("c-1")
    challenge = parse_challenge(parse_envelope(said.said.entry).payload).predicate
    assert challenge.challenge == "c-1"
    assert said.report.hex() == leaf
    assert [(nation, name) for nation, name, _ in said.inspectors] == [
        (each.nation, each.inspector) for each in challenge.inspectors
    ]
    assert all(len(key) == 32 for _, _, key in said.inspectors)
    with pytest.raises(ConditionError) as caught:
        ask(world).read_challenge("c-9")
    assert caught.value.code is Code.NOT_FOUND
