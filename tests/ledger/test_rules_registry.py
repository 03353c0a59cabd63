"""Registrations: who may file for what, with which keys, from when."""

import pytest

from ledger.errors import Code
from ledger.limits import CLUSTERS_PER_LAB_MAX
from ledger.rules.records.registry import LABS
from ledger.rules.registry import KEYS_PER_LAB_MAX
from ledger.statements.dsse import parse_envelope, sign_envelope
from ledger.statements.registry import KeyStatus
from tests.ledger.rulebook import NATIONS, Key, World


@pytest.fixture
def world() -> World:
    made = World()
    made.register(10, "acme", ["a1", "a2"])
    return made


def test_a_lab_may_file_once_it_is_registered(world: World) -> None:
    assert LABS.require(world.state, b"acme").number == 0
    world.file(200, "acme", 1, ["a1", "a2"])


@pytest.mark.parametrize("name", ["avalon", "brittia", "charter"])
def test_a_lab_cannot_take_the_name_of_a_member_or_of_the_charter(world: World, name: str) -> None:
    refused = world.refuse(20, world.registration(name, keys=[(Key("fresh"), "active")]))
    assert (refused.code, refused.field) == (Code.ALREADY_REGISTERED, "statement.predicate.lab")


def test_another_nation_cannot_take_a_lab_over(world: World) -> None:
    entry = world.registration("acme", nation=NATIONS[1])
    assert world.refuse(20, entry).code == Code.ALREADY_REGISTERED


def test_a_cluster_belongs_to_one_lab(world: World) -> None:
    refused = world.refuse(20, world.registration("beta", ["b1", "a2"]))
    assert (refused.code, refused.found) == (Code.ALREADY_REGISTERED, "a2")


def test_a_lab_cannot_have_more_clusters_than_a_report_can_hold(world: World) -> None:
    names = [f"x{number}" for number in range(CLUSTERS_PER_LAB_MAX - 1)]
    assert world.refuse(20, world.registration("acme", names)).code == Code.TOO_LARGE
    world.accept(20, world.registration("acme", names[1:]))


def test_the_keys_a_lab_ever_had_are_bounded_but_those_it_has_can_always_be_revoked(world: World) -> None:
    """Else a nation and a lab make every later registration of the lab as costly as they like, for everybody."""
    active: KeyStatus = "active"
    lab, old, rest = "acme", (Key("acme"), active), KEYS_PER_LAB_MAX - 1
    for start in range(0, rest, 15):
        fresh = [(Key(f"acme {number}"), active) for number in range(start, min(start + 15, rest))]
        world.accept(20, world.registration(lab, keys=[old, *fresh]))
    refused = world.refuse(20, world.registration(lab, keys=[old, (Key("one more"), active)]))
    assert (refused.code, refused.field) == (Code.TOO_LARGE, "statement.predicate.keys")
    world.accept(20, world.registration(lab, keys=[old]))


def test_a_registration_needs_the_lab_beside_the_nation(world: World) -> None:
    alone = world.registration("beta", ["b1"])
    payload = payload_of(alone)
    only_nation = sign_envelope(payload, [Key("avalon").signer])
    assert world.refuse(20, only_nation).code == Code.COUNTERSIGNATURE_MISSING
    stranger = sign_envelope(payload, [Key("avalon").signer, Key("stranger").signer])
    assert world.refuse(20, stranger).code == Code.COUNTERSIGNATURE_MISSING
    only_lab = sign_envelope(payload, [Key("beta").signer])
    assert world.refuse(20, only_lab).code == Code.WRONG_KEY
    another_nation = sign_envelope(payload, [Key("brittia").signer, Key("beta").signer])
    assert world.refuse(20, another_nation).code == Code.WRONG_KEY


def test_nobody_can_add_a_signature_to_make_another_entry_of_the_statement(world: World) -> None:
    payload = payload_of(world.registration("beta", ["b1"]))
    three = sign_envelope(payload, [Key("avalon").signer, Key("beta").signer, Key("brittia").signer])
    refused = world.refuse(20, three)
    assert (refused.code, refused.field) == (Code.INVALID_FIELD, "entry.signatures")


def test_a_lab_cannot_issue_registrations(world: World) -> None:
    entry = world.registration("beta", issuer="acme", signer=Key("acme"), keys=[(Key("acme"), "active")])
    assert world.refuse(20, entry).code == Code.WRONG_ISSUER


def test_a_lab_cannot_use_the_key_of_its_nation(world: World) -> None:
    entry = world.registration("beta", keys=[(Key("beta"), "active"), (Key("avalon"), "active")])
    assert world.refuse(20, entry).code == Code.INVALID_FIELD


def test_rotation_to_the_committed_key_needs_no_old_key(world: World) -> None:
    new = Key("acme next")
    world.accept(20, world.registration("acme", keys=[(new, "active")], next_key=Key("acme third")))
    assert world.refuse(200, world.report("acme", 1, ["a1", "a2"])).code == Code.KEY_REVOKED
    world.labs["acme"].key = new
    world.file(200, "acme", 1, ["a1", "a2"])


def test_revocation_counts_from_its_ledger_index(world: World) -> None:
    entry = world.registration(
        "acme", keys=[(Key("acme next"), "active"), (Key("acme"), "revoked")], next_key=Key("acme third")
    )
    index = world.size
    world.accept(20, entry)
    revoked = world.refuse(200, world.report("acme", 1, ["a1"]))
    assert (revoked.code, revoked.field) == (Code.KEY_REVOKED, "entry.signatures.keyid")
    assert LABS.require(world.state, b"acme").keys[0].revoked_by == index


def test_a_new_key_without_commitment_needs_the_old_one(world: World) -> None:
    other = Key("acme other")
    alone = world.registration("acme", keys=[(other, "active")], next_key=Key("third"))
    assert world.refuse(20, alone).code == Code.COUNTERSIGNATURE_MISSING
    with_old = world.registration("acme", keys=[(other, "active")], signer=Key("acme"), next_key=Key("third"))
    world.accept(20, with_old)
    world.labs["acme"].key = other
    world.file(200, "acme", 1, ["a1", "a2"])


def test_the_committed_key_cannot_bring_others_along(world: World) -> None:
    keys = [(Key("acme next"), "active"), (Key("acme other"), "active")]
    entry = world.registration("acme", keys=keys, next_key=Key("third"))  # type: ignore[arg-type]
    assert world.refuse(20, entry).code == Code.COUNTERSIGNATURE_MISSING


def test_a_revoked_key_never_comes_back(world: World) -> None:
    world.accept(20, world.registration("acme", keys=[(Key("acme next"), "active")], next_key=Key("third")))
    back = world.registration(
        "acme", keys=[(Key("acme next"), "active"), (Key("acme"), "active")], next_key=Key("third")
    )
    assert world.refuse(30, back).code == Code.KEY_REVOKED
    signed_by_it = world.registration(
        "acme", keys=[(Key("acme next"), "active")], signer=Key("acme"), next_key=Key("third")
    )
    assert world.refuse(30, signed_by_it).code == Code.COUNTERSIGNATURE_MISSING


def test_a_key_that_the_lab_never_had_cannot_be_revoked(world: World) -> None:
    entry = world.registration("acme", keys=[(Key("acme"), "active"), (Key("ghost"), "revoked")])
    assert world.refuse(20, entry).code == Code.INVALID_FIELD


def test_the_next_key_must_not_have_been_shown(world: World) -> None:
    entry = world.registration("acme", keys=[(Key("acme"), "active")], next_key=Key("acme"))
    assert world.refuse(20, entry).code == Code.INVALID_FIELD


def test_a_later_registration_adds_clusters_and_takes_none_away(world: World) -> None:
    world.accept(320, world.registration("acme", ["a0"]))
    clusters = [(cluster.id, cluster.first_interval) for cluster in LABS.require(world.state, b"acme").clusters]
    assert clusters == [("a0", 4), ("a1", 1), ("a2", 1)]


def test_two_labs_may_be_registered_by_two_nations(world: World) -> None:
    world.register(20, "beta", ["b1"], nation=NATIONS[1])
    assert LABS.require(world.state, b"beta").nation == NATIONS[1]
    assert LABS.require(world.state, b"beta").number == 1


def payload_of(entry: bytes) -> bytes:
    """The payload of an entry, to sign it otherwise."""
    return parse_envelope(entry).payload
