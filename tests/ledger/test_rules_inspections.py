"""Inspectors of nations: whose key is whose, and that what was revoked stays so."""

import msgspec
import pytest

import ledger.rules.inspections
from ledger.errors import Code
from ledger.rules.inspections import find_inspector, get_inspectors
from tests.ledger.inspecting import make_inspector, make_list, name_inspectors
from tests.ledger.rulebook import AGREED_ENTRY, CHARTER_ENTRY, Key, World


@pytest.fixture
def world() -> World:
    world = World(AGREED_ENTRY)
    world.register(10, "acme", ["a1"])
    return world


def test_a_list_takes_the_place_of_the_one_before(world: World) -> None:
    world.accept(20, make_list(world, "brittia", make_inspector("brittia", "ada"), make_inspector("brittia", "bo")))
    before = find_inspector(world.state, "brittia", "bo")
    assert before is not None
    index = world.size
    world.accept(30, make_list(world, "brittia", make_inspector("brittia", "ada"), make_inspector("brittia", "cy")))
    assert [(each.id, each.revoked_by) for each in get_inspectors(world.state, "brittia")] == [
        ("ada", None),
        ("bo", index),
        ("cy", None),
    ]
    assert find_inspector(world.state, "brittia", "bo") is None
    assert find_inspector(world.state, "cockaigne", "ada") is None


def test_an_empty_list_revokes_all(world: World) -> None:
    world.accept(20, make_list(world, "brittia", make_inspector("brittia", "ada")))
    world.accept(30, make_list(world, "brittia"))
    assert find_inspector(world.state, "brittia", "ada") is None


def test_a_revoked_key_never_comes_back_and_may_be_listed_as_revoked(world: World) -> None:
    active = make_inspector("brittia", "ada")
    revoked = make_inspector("brittia", "ada", status="revoked")
    world.accept(20, make_list(world, "brittia", active))
    world.accept(30, make_list(world, "brittia", revoked))
    world.accept(40, make_list(world, "brittia", revoked))
    assert world.refuse(50, make_list(world, "brittia", active)).code == Code.KEY_REVOKED
    successor = make_inspector("brittia", "ada", key=Key("another"))
    world.accept(50, make_list(world, "brittia", successor))
    found = find_inspector(world.state, "brittia", "ada")
    assert found is not None
    assert found.signing_key == Key("another").public


def test_an_encryption_key_may_change_and_a_name_may_not(world: World) -> None:
    world.accept(20, make_list(world, "brittia", make_inspector("brittia", "ada")))
    key = Key("brittia ada")
    changed = make_inspector("brittia", "ada", key=key)
    world.accept(30, make_list(world, "brittia", msgspec.structs.replace(changed, encryption_key=b"\7" * 32)))
    found = find_inspector(world.state, "brittia", "ada")
    assert found is not None
    assert found.encryption_key == b"\7" * 32
    renamed = world.refuse(40, make_list(world, "brittia", make_inspector("brittia", "bo", key=key)))
    assert (renamed.code, renamed.field) == (Code.INVALID_FIELD, "statement.predicate.inspectors.id")


@pytest.mark.parametrize("key", [Key("acme"), Key("brittia"), Key("cockaigne"), Key("cockaigne ada")])
def test_a_key_of_somebody_else_is_no_inspectors(world: World, key: Key) -> None:
    name_inspectors(world, 20, "ada")
    refused = world.refuse(30, make_list(world, "brittia", make_inspector("brittia", "bo", key=key)))
    assert (refused.code, refused.field) == (Code.ALREADY_REGISTERED, "statement.predicate.inspectors.signing_key")


def test_a_key_stays_its_inspectors_after_it_is_revoked(world: World) -> None:
    world.accept(20, make_list(world, "brittia", make_inspector("brittia", "ada")))
    world.accept(30, make_list(world, "brittia"))
    taken = make_inspector("cockaigne", "ada", key=Key("brittia ada"))
    assert world.refuse(40, make_list(world, "cockaigne", taken)).code == Code.ALREADY_REGISTERED


def test_nobody_is_revoked_who_was_never_named(world: World) -> None:
    line = make_inspector("brittia", "ada", status="revoked")
    assert world.refuse(20, make_list(world, "brittia", line)).code == Code.INVALID_FIELD


def test_all_that_a_nation_ever_named_are_bounded(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger.rules.inspections, "INSPECTORS_PER_NATION_MAX", 3)
    world.accept(20, make_list(world, "brittia", make_inspector("brittia", "ada"), make_inspector("brittia", "bo")))
    world.accept(30, make_list(world, "brittia", make_inspector("brittia", "cy")))
    assert world.refuse(40, make_list(world, "brittia", make_inspector("brittia", "di"))).code == Code.TOO_LARGE
    world.accept(40, make_list(world, "brittia", make_inspector("brittia", "cy")))


def test_labs_name_no_inspectors_and_a_ledger_without_agreement_knows_none(world: World) -> None:
    world.nations["acme"] = world.labs["acme"]
    assert world.refuse(20, make_list(world, "acme", make_inspector("acme", "ada"))).code == Code.WRONG_ISSUER
    plain = World(CHARTER_ENTRY)
    assert plain.refuse(20, make_list(plain, "brittia", make_inspector("brittia", "ada"))).code == Code.UNKNOWN_KIND
