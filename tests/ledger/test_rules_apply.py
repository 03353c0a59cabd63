"""One entry and one block: signatures, headers, order, and that a refusal changes nothing."""

import json
from collections.abc import Callable

import pytest

from ledger.ed25519 import is_ed25519_signature
from ledger.errors import Code, FormatError, Rejection, SignatureError
from ledger.limits import BLOCK_BYTES_MAX, BLOCK_ENTRIES_MAX
from ledger.merkle import leaf_hash
from ledger.positions import LeafIndex
from ledger.rules.apply import (
    KINDS,
    Applied,
    admission_header,
    apply_block,
    apply_entry,
    check_submission,
    compute_due_entries,
    found,
    next_deadline_ms,
    open_block,
)
from ledger.rules.entries import prepare_entry
from ledger.rules.records.foundation import RECENT_MAX
from ledger.rules.state import State, compute_state_digest
from ledger.statements.dsse import parse_envelope, sign_envelope
from ledger.statements.intoto import ZERO_HASH
from tests.ledger.rulebook import CHARTER_ENTRY, NO_PARENT, Key, World, due, grace, make_charter_entry, millis


@pytest.fixture
def world() -> World:
    made = World()
    made.register(10, "acme", ["a1", "a2"])
    return made


def resign(entry: bytes, key: Key, change: Callable[[dict[str, object]], None]) -> bytes:
    """The entry with its statement changed and signed again."""
    statement = json.loads(parse_envelope(entry).payload)
    change(statement)
    return sign_envelope(json.dumps(statement, separators=(",", ":")).encode(), [key.signer])


# --- founding --------------------------------------------------------------------------------------------------------


def test_a_ledger_is_founded_by_a_charter_that_all_founders_signed() -> None:
    assert compute_state_digest(found(CHARTER_ENTRY)) == compute_state_digest(found(CHARTER_ENTRY))
    assert compute_state_digest(found(CHARTER_ENTRY)) != compute_state_digest(found(make_charter_entry(limits=["x"])))
    with pytest.raises(FormatError):
        found(b"{}")
    with pytest.raises(SignatureError):
        found(CHARTER_ENTRY, is_signature=lambda *_: False)


def test_nothing_is_due_before_there_is_a_lab() -> None:
    world = World()
    assert next_deadline_ms(world.state) is None
    assert world.block(10_000) == []


# --- signatures ------------------------------------------------------------------------------------------------------


def test_garbage_is_refused_with_a_format_code(world: World) -> None:
    for garbage in (b"", b"{}", b"\xff" * 40, b"[" * 60_000, world.report("acme", 1, ["a1"])[:-1]):
        assert world.refuse(20, garbage).code == Code.FORMAT
    assert world.refuse(20, b" " * 70_000).code == Code.TOO_LARGE


def test_a_payload_is_not_read_before_somebody_registered_signed_it(world: World) -> None:
    nonsense = sign_envelope(b"not even JSON", [Key("stranger").signer])
    assert world.refuse(20, nonsense).code == Code.WRONG_KEY
    nonsense = sign_envelope(b"not even JSON", [Key("acme").signer])
    assert world.refuse(20, nonsense).code == Code.FORMAT


def test_every_changed_byte_of_an_entry_is_refused(world: World) -> None:
    world.block(200)
    entry = world.report("acme", 1, ["a1", "a2"])
    fork, _ = open_block(world.state, time_ms=millis(250), parent=NO_PARENT)
    for place in range(len(entry)):
        changed = entry[:place] + bytes([entry[place] ^ 1]) + entry[place + 1 :]
        outcome = apply_entry(fork.fork(), changed, time_ms=millis(250), index=LeafIndex(9))
        assert isinstance(outcome, Rejection), (place, changed)


def test_a_signature_over_other_bytes_is_refused(world: World) -> None:
    entry = world.report("acme", 1, ["a1"])
    outcome = apply_entry(
        world.state.fork(), entry, time_ms=millis(250), index=LeafIndex(9), is_signature=lambda *_: False
    )
    assert isinstance(outcome, Rejection)
    assert (outcome.code, outcome.field) == (Code.SIGNATURE, "entry.signatures.sig")


def test_the_key_that_signed_must_be_the_issuers_own(world: World) -> None:
    world.register(20, "beta", ["b1"])
    assert world.refuse(250, world.report("acme", 1, ["a1"], key=Key("beta"))).code == Code.WRONG_KEY
    assert world.refuse(250, world.report("acme", 1, ["a1"], key=Key("avalon"))).code == Code.WRONG_KEY


def test_a_report_with_two_signatures_is_refused(world: World) -> None:
    payload = parse_envelope(world.report("acme", 1, ["a1"])).payload
    entry = sign_envelope(payload, [Key("acme").signer, Key("avalon").signer])
    assert world.refuse(250, entry).code == Code.INVALID_FIELD


def test_a_prepared_entry_is_verified_once_and_accepted_wherever_bytes_are(world: World) -> None:
    asked: list[bytes] = []

    def count(public_key: bytes, signature: bytes, message: bytes) -> bool:
        asked.append(public_key)
        return is_ed25519_signature(public_key, signature, message)

    entry = prepare_entry(world.report("acme", 1, ["a1", "a2"]))
    time_ms, state = millis(250), world.state
    assert not isinstance(admission_header(state, entry, is_signature=count), Rejection)
    assert check_submission(state, entry, now_ms=time_ms, is_signature=count) is None
    after = apply_block(
        state, [entry], time_ms=millis(249), first_index=LeafIndex(9), is_signature=count, parent=NO_PARENT
    )
    assert isinstance(after, State)
    assert asked == [Key("acme").public]
    assert entry.leaf_hash == leaf_hash(entry.raw)


# --- kinds and headers -----------------------------------------------------------------------------------------------


def test_a_computed_statement_cannot_be_submitted(world: World) -> None:
    world.block(due(1))
    verdict = world.blocks[-1][1][0]
    assert world.refuse(due(1), verdict).code == Code.COMPUTED_ONLY
    entry = sign_envelope(verdict, [Key("acme").signer])
    assert world.refuse(due(1), entry).code == Code.FORMAT  # keys sorted: not how signed statements are spelt
    wrapped = resign(
        world.report("acme", 1, ["a1"]), Key("acme"), lambda s: s.update(predicateType="urn:counterseal:verdict:v1")
    )
    assert world.refuse(due(1), wrapped).code == Code.COMPUTED_ONLY


def test_a_second_charter_and_unknown_kinds_are_refused(world: World) -> None:
    assert world.refuse(20, CHARTER_ENTRY).code == Code.COMPUTED_ONLY
    entry = resign(
        world.report("acme", 1, ["a1"]), Key("acme"), lambda s: s.update(predicateType="urn:counterseal:pledge:v1")
    )
    assert world.refuse(250, entry).code == Code.UNKNOWN_KIND
    assert "pledge" not in KINDS


def test_another_ledger_is_refused(world: World) -> None:
    entry = world.report("acme", 1, ["a1"], ledger="11" * 32)
    refused = world.refuse(250, entry)
    assert (refused.code, refused.expected) == (Code.WRONG_LEDGER, world.ledger)


def test_an_issuer_that_nobody_registered_is_refused(world: World) -> None:
    entry = world.report("acme", 1, ["a1"], issuer="ghost")
    assert world.refuse(250, entry).code == Code.UNKNOWN_ISSUER


def test_a_nation_cannot_file_reports(world: World) -> None:
    entry = world.report("acme", 1, ["a1"], key=Key("avalon"), issuer="avalon", sequence=1)
    assert world.refuse(250, entry).code == Code.WRONG_ISSUER


def test_the_sequence_is_the_last_plus_one(world: World) -> None:
    refused = world.refuse(250, world.report("acme", 1, ["a1"], sequence=1))
    assert (refused.code, refused.found, refused.expected) == (Code.WRONG_SEQUENCE, "1", "exactly 0")


def test_previous_is_the_leaf_hash_of_the_last_entry(world: World) -> None:
    assert world.refuse(250, world.report("acme", 1, ["a1"], previous="11" * 32)).code == Code.WRONG_PREVIOUS
    leaf = world.file(250, "acme", 1, ["a1", "a2"])
    refused = world.refuse(350, world.report("acme", 2, ["a1"], previous=ZERO_HASH))
    assert (refused.code, refused.expected) == (Code.WRONG_PREVIOUS, leaf)


def test_the_same_statement_again_is_a_duplicate_and_another_one_is_two_stories(world: World) -> None:
    entry = world.report("acme", 1, ["a1", "a2"])
    world.file(250, "acme", 1, ["a1", "a2"])
    assert world.refuse(260, entry).code == Code.DUPLICATE
    other = world.report("acme", 1, ["a1"], sequence=0, previous=ZERO_HASH)
    refused = world.refuse(260, other)
    assert refused.code == Code.EQUIVOCATION
    assert leaf_hash(entry).hex()[:16] in refused.expected


def test_one_statement_in_two_envelopes_enters_once(world: World) -> None:
    keys = [(Key("acme"), "active"), (Key("acme spare"), "active")]
    world.accept(20, world.registration("acme", keys=keys, signer=Key("acme")))  # type: ignore[arg-type]
    other_envelope = world.report("acme", 1, ["a1", "a2"], key=Key("acme spare"))
    first_leaf = world.file(250, "acme", 1, ["a1", "a2"])
    assert leaf_hash(other_envelope).hex() != first_leaf
    assert world.refuse(260, other_envelope).code == Code.DUPLICATE


def test_a_second_story_is_only_told_from_what_is_remembered(world: World) -> None:
    first = world.report("acme", 1, ["a1"], sequence=0)
    world.file(200, "acme", 1, ["a1", "a2"])
    for number in range(RECENT_MAX):
        world.file(201 + number, "acme", 1, ["a1", "a2"])
    assert world.refuse(220, first).code == Code.WRONG_SEQUENCE


# --- blocks ----------------------------------------------------------------------------------------------------------


def test_a_block_leaves_its_parents_state_as_it_was(world: World) -> None:
    before = compute_state_digest(world.state)
    entries = [world.report("acme", 1, ["a1", "a2"])]
    after = apply_block(world.state, entries, time_ms=millis(200), first_index=LeafIndex(world.size), parent=NO_PARENT)
    assert isinstance(after, State)
    assert compute_state_digest(world.state) == before != compute_state_digest(after)


def test_a_block_with_one_entry_refused_is_refused_with_its_place(world: World) -> None:
    good, bad = world.report("acme", 1, ["a1", "a2"]), world.report("acme", 2, ["a1"], sequence=7)
    outcome = apply_block(
        world.state, [good, bad], time_ms=millis(200), first_index=LeafIndex(world.size), parent=NO_PARENT
    )
    assert isinstance(outcome, Rejection)
    assert (outcome.code, outcome.field) == (Code.WRONG_SEQUENCE, "entries[1].statement.predicate.sequence")


def test_a_block_is_not_older_than_its_parent(world: World) -> None:
    world.block(50)
    outcome = apply_block(world.state, [], time_ms=millis(49), first_index=LeafIndex(world.size), parent=NO_PARENT)
    assert isinstance(outcome, Rejection)
    assert outcome.field == "block.time_ms"


def test_computed_entries_are_demanded_first_and_exactly(world: World) -> None:
    report = world.report("acme", 1, ["a1", "a2"])
    at, first_index = millis(due(1)), LeafIndex(world.size)
    opening = compute_due_entries(world.state, time_ms=at, parent=NO_PARENT)
    assert len(opening) == 2

    def execute(*entries: bytes) -> State | Rejection:
        return apply_block(world.state, entries, time_ms=at, first_index=first_index, parent=NO_PARENT)

    assert isinstance(execute(*opening, report), State)
    tampered = opening[0].replace(b'"pending"', b'"missing"')
    assert tampered != opening[0]
    for wrong in (
        [],
        [report],
        opening[:1],
        [opening[0], report, opening[1]],
        [opening[1], opening[0], report],
        [tampered, opening[1]],
        [*opening, opening[1]],
        [*opening, tampered],
        [report, *opening],
        [opening[0][:-1], opening[1]],
    ):
        assert isinstance(execute(*wrong), Rejection), wrong


def test_computed_entries_before_their_time_are_refused(world: World) -> None:
    opening = compute_due_entries(world.state, time_ms=millis(due(1)), parent=NO_PARENT)
    outcome = apply_block(
        world.state, opening, time_ms=millis(due(1) - 1), first_index=LeafIndex(world.size), parent=NO_PARENT
    )
    assert isinstance(outcome, Rejection)
    assert outcome.code == Code.COMPUTED_ONLY


def test_a_block_has_limits(world: World) -> None:
    for entries in ([b"x"] * (BLOCK_ENTRIES_MAX + 1), [b"x" * 2**16] * (BLOCK_BYTES_MAX // 2**16 + 1)):
        outcome = apply_block(
            world.state, entries, time_ms=millis(20), first_index=LeafIndex(world.size), parent=NO_PARENT
        )
        assert isinstance(outcome, Rejection)
        assert outcome.code == Code.TOO_LARGE


def test_the_next_deadline_tells_when_a_block_is_needed(world: World) -> None:
    assert next_deadline_ms(world.state) == millis(due(1))
    world.block(due(1) - 1)
    world.block(due(1))
    assert next_deadline_ms(world.state) == millis(grace(1))
    world.block(grace(1) - 1)
    world.file(grace(1) - 1, "acme", 1, ["a1", "a2"])
    assert next_deadline_ms(world.state) == millis(grace(1) - 1), "late verdicts wait for the very next block"
    assert len(world.block(grace(1) - 1)) == 2
    world.block(grace(1))
    assert next_deadline_ms(world.state) == millis(due(2))


# --- admission -------------------------------------------------------------------------------------------------------


def test_admission_judges_by_the_callers_time_but_never_an_earlier_one(world: World) -> None:
    entry = world.report("acme", 1, ["a1", "a2"])
    early = check_submission(world.state, entry, now_ms=millis(199))
    assert early is not None
    assert early.code == Code.INTERVAL_NOT_OVER
    assert check_submission(world.state, entry, now_ms=millis(200)) is None
    world.block(200)
    assert check_submission(world.state, entry, now_ms=millis(0)) is None


def test_admission_takes_a_chain_of_waiting_entries(world: World) -> None:
    first = world.report("acme", 1, ["a1", "a2"])
    second = world.report("acme", 2, ["a1"], sequence=1, previous=leaf_hash(first).hex())
    third = world.report("acme", 3, ["a1"], sequence=2, previous=leaf_hash(second).hex())
    now = millis(450)
    alone = check_submission(world.state, third, now_ms=now)
    assert alone is not None
    assert alone.code == Code.WRONG_SEQUENCE
    assert check_submission(world.state, third, now_ms=now, pending=[first, prepare_entry(second)]) is None
    again = check_submission(world.state, second, now_ms=now, pending=[first, second])
    assert again is not None
    assert again.code == Code.DUPLICATE


def test_a_gap_is_let_through_only_if_told(world: World) -> None:
    ahead = world.report("acme", 9, ["zz"], sequence=5)
    refused = check_submission(world.state, ahead, now_ms=millis(20))
    assert refused is not None
    assert refused.code == Code.WRONG_SEQUENCE
    assert check_submission(world.state, ahead, now_ms=millis(20), allows_gap=True) is None
    forged = world.report("acme", 9, ["zz"], sequence=5, key=Key("stranger"))
    assert check_submission(world.state, forged, now_ms=millis(20), allows_gap=True) is not None
    behind = world.report("acme", 9, ["zz"], sequence=0)
    assert check_submission(world.state, behind, now_ms=millis(20), allows_gap=True) is not None


def test_an_admission_header_says_where_an_entry_belongs(world: World) -> None:
    entry = world.report("acme", 9, ["zz"], sequence=5, previous="11" * 32)
    header = admission_header(world.state, entry)
    assert not isinstance(header, Rejection)
    assert (header.issuer, header.sequence, header.kind, header.next_sequence) == ("acme", 5, "report", 0)
    assert (header.previous, header.leaf_hash) == (b"\x11" * 32, leaf_hash(entry))
    assert isinstance(admission_header(world.state, world.report("acme", 1, ["a1"], key=Key("x"))), Rejection)


def test_what_was_applied_is_told(world: World) -> None:
    entry = world.report("acme", 1, ["a1", "a2"])
    assert world.accept(200, entry) == Applied("report", "acme", 0, leaf_hash(entry))  # type: ignore[arg-type]
