"""Proofs of two histories: made from real threshold keys, checked with the charter alone, and never of one history."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ledger.blocks import Header
from ledger.encoding import encode_base64
from ledger.errors import FormatError, LedgerError, PolicyError, ProofError, SignatureError
from ledger.forks import Link, VerifiedFork, encode_fork, parse_fork, prove_fork, verify_fork
from ledger.limits import FORK_BYTES_MAX
from ledger.merkle import Hash, compute_root, leaf_hash, prove_consistency
from ledger.positions import TreeSize
from tests.ledger.rulebook import NATIONS
from tests.observer.conftest import make_ledger
from tests.observer.fakeledger import QUORUM, FakeLedger
from tests.observer.forking import fork


def headers_of(ledger: FakeLedger, first: int, last: int) -> list[Header]:
    return [sealed.header for sealed in ledger.chain[first : last + 1]]


def tree_of(ledger: FakeLedger, old_size: int, height: int) -> tuple[Hash, list[Hash]]:
    """What the tree at a height begins with, and the proof that it does."""
    size = ledger.chain[height].header.tree_size
    leaves = [leaf_hash(entry) for entry in ledger.entries[:size]]

    def read(level: int, index: int) -> Hash:
        return compute_root(leaves[index << level : (index + 1) << level])

    proof = prove_consistency(old_size=TreeSize(old_size), new_size=size, read=read)
    return compute_root(leaves[:old_size]), proof


@pytest.fixture(scope="module")
def ledger() -> FakeLedger:
    return make_ledger()


def verify(ledger: FakeLedger, raw: bytes) -> VerifiedFork:
    return verify_fork(raw, charter_fingerprint=ledger.fingerprint)


def prove_by_notes(ledger: FakeLedger) -> bytes:
    return prove_fork(ledger.charter, ledger.note(6, cosigners=2), fork(ledger, 6).note(cosigners=3))


def prove_by_tree(ledger: FakeLedger) -> bytes:
    other = fork(ledger, 6, later=40)
    root, tree = tree_of(other, ledger.chain[7].header.tree_size, other.height)
    return prove_fork(ledger.charter, ledger.note(7), other.note(), prefix_root=root, tree=tree)


def prove_by_headers(ledger: FakeLedger) -> bytes:
    other = fork(ledger, 7, later=7)
    return prove_fork(ledger.charter, ledger.note(7), other.note(), headers=headers_of(other, 8, 14))


def prove_by_headers_from_the_same_height(ledger: FakeLedger) -> bytes:
    other = fork(ledger, 7, later=7)
    return prove_fork(ledger.charter, ledger.note(7), other.note(), headers=headers_of(other, 7, 14))


PROOFS: dict[str, tuple[Callable[[FakeLedger], bytes], Link, str]] = {
    "two blocks at one height": (prove_by_notes, Link.NOTES, "block"),
    "a tree that begins otherwise": (prove_by_tree, Link.TREE, "root"),
    "a block that stands on another": (prove_by_headers, Link.HEADERS, "parent"),
    "an ancestor that is another": (prove_by_headers_from_the_same_height, Link.HEADERS, "digest"),
}


@pytest.mark.parametrize("name", PROOFS)
def test_a_colluding_quorum_is_proven_with_the_charter_alone(ledger: FakeLedger, name: str) -> None:
    make, link, field = PROOFS[name]
    raw = make(ledger)
    proven = verify(ledger, raw)
    assert (proven.link, proven.field) == (link, field)
    assert proven.charter.ledger_id == ledger.fingerprint
    assert proven.colluders_min == 2 * QUORUM - len(NATIONS)
    assert encode_fork(parse_fork(raw)) == raw
    assert verify_fork(raw, charter_fingerprint=None) == proven


def test_both_orders_make_one_proof(ledger: FakeLedger) -> None:
    other = fork(ledger, 6)
    assert prove_fork(ledger.charter, ledger.note(6), other.note()) == prove_fork(
        ledger.charter, other.note(), ledger.note(6)
    )


def test_members_that_cosigned_both_histories_are_named(ledger: FakeLedger) -> None:
    proven = verify(ledger, prove_by_notes(ledger))
    assert proven.signers == tuple(f"{nation}.example/node" for nation in NATIONS[:2])


def test_a_log_line_under_both_names_its_member(ledger: FakeLedger) -> None:
    proven = verify(ledger, prove_fork(ledger.charter, ledger.note(6), fork(ledger, 6).note()))
    assert proven.signers == (f"{NATIONS[0]}.example/node",)


def test_the_same_entries_in_another_block_are_proven_by_headers_though_the_tree_is_the_same(
    ledger: FakeLedger,
) -> None:
    other = fork(ledger, 7, later=3, has_same_entries=True)
    older = ledger.note(7)
    root, tree = tree_of(other, ledger.chain[7].header.tree_size, other.height)
    with pytest.raises(ProofError, match=r"fork\.prefix_root"):
        prove_fork(ledger.charter, older, other.note(), prefix_root=root, tree=tree)
    raw = prove_fork(ledger.charter, older, other.note(), headers=headers_of(other, 8, other.height))
    assert verify(ledger, raw).field == "parent"


def test_a_tree_as_large_as_a_power_of_two_is_proven_to_begin_otherwise(ledger: FakeLedger) -> None:
    """There a consistency proof has no hash of the old tree: the file has it."""
    height = next(h for h in range(1, ledger.height) if ledger.chain[h].header.tree_size.bit_count() == 1)
    if not ledger.chain[height].seal:
        pytest.skip("that block has no seal in this ledger")
    other = fork(ledger, height, later=30)
    root, tree = tree_of(other, ledger.chain[height].header.tree_size, other.height)
    raw = prove_fork(ledger.charter, ledger.note(height), other.note(), prefix_root=root, tree=tree)
    assert verify(ledger, raw).link is Link.TREE


def test_a_history_that_does_not_begin_with_the_charter_is_proven_from_the_charter(ledger: FakeLedger) -> None:
    """Nobody seals the charter's own block: the charter itself says what it is."""
    other = FakeLedger(seed=0, snapshot_interval=0)
    other.entries[0] = b"another beginning"
    other.frontier = other.frontier.__class__(TreeSize(0), ()).append(leaf_hash(other.entries[0]))
    other.extend(ledger.chain[1].header.time_ms, [b"one"])
    other.extend(ledger.chain[1].header.time_ms, [b"two"])
    root, tree = tree_of(other, 1, 2)
    raw = prove_fork(ledger.charter, None, other.note(2), prefix_root=root, tree=tree)
    proven = verify(ledger, raw)
    assert (proven.older, proven.link, proven.field) == (None, Link.TREE, "root")
    assert proven.signers == ()


# --- what is no proof ------------------------------------------------------------------------------------------------


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_no_proof_can_be_made_of_one_history(ledger: FakeLedger, data: st.DataObject) -> None:
    """Any two seals of an honest ledger, with every link that leads from one to the other."""
    heights = [height for height, sealed in enumerate(ledger.chain) if sealed.seal]
    first, second = data.draw(st.sampled_from(heights)), data.draw(st.sampled_from(heights))
    low, high = sorted((first, second))
    size = ledger.chain[low].header.tree_size
    kind = data.draw(st.sampled_from(("notes", "tree", "headers", "headers above", "charter")))
    root, tree = tree_of(ledger, size, high)
    notes = ledger.note(first, cosigners=data.draw(st.integers(0, 3))), ledger.note(second)
    links: dict[str, dict[str, Any]] = {
        "notes": {},
        "tree": {"prefix_root": root, "tree": tree},
        "headers": {"headers": headers_of(ledger, low, high)},
        "headers above": {"headers": headers_of(ledger, low + 1, high)},
        "charter": {"headers": headers_of(ledger, 0, second)},
    }
    with pytest.raises(ProofError):
        prove_fork(ledger.charter, None if kind == "charter" else notes[0], notes[1], **links[kind])


def test_a_lie_about_the_root_a_tree_begins_with_is_refused(ledger: FakeLedger) -> None:
    size = ledger.chain[5].header.tree_size
    _, tree = tree_of(ledger, size, 10)
    with pytest.raises(ProofError, match=r"fork\.tree: proof\."):
        prove_fork(ledger.charter, ledger.note(5), ledger.note(10), prefix_root=bytes(32), tree=tree)


def test_headers_of_which_one_is_missing_are_refused(ledger: FakeLedger) -> None:
    other = fork(ledger, 7, later=7)
    headers = headers_of(other, 8, 14)
    for wrong in (headers[:-1], headers[1:], [headers[0], headers[2]]):
        with pytest.raises(ProofError, match=r"fork\.headers"):
            prove_fork(ledger.charter, ledger.note(7), other.note(), headers=wrong)


def test_a_seal_by_fewer_than_a_quorum_proves_nothing(ledger: FakeLedger) -> None:
    """A real seal over one block, put over another."""
    other = fork(ledger, 6)
    other.chain[6] = other.chain[6].__class__(other.chain[6].header, ledger.chain[6].seal)
    with pytest.raises(SignatureError):
        prove_fork(ledger.charter, ledger.note(6), other.note())


def test_a_proof_of_another_ledger_is_refused(ledger: FakeLedger) -> None:
    raw = prove_by_notes(ledger)
    with pytest.raises(PolicyError, match=r"fork\.charter"):
        verify_fork(raw, charter_fingerprint=bytes(32))
    form = json.loads(raw)
    form["charter"] = encode_base64(FakeLedger(seed=3).charter_entry)
    with pytest.raises(LedgerError):
        verify_fork(json.dumps(form, separators=(",", ":"), ensure_ascii=False).encode(), charter_fingerprint=None)


def test_notes_hold_only_lines_of_the_charters_keys(ledger: FakeLedger) -> None:
    """A stranger's line is dropped when a proof is written, and refused when one is read."""
    raw = prove_by_notes(ledger)
    form = json.loads(raw)
    stranger = "— stranger.example AAAAAAAA\n"
    other = fork(ledger, 6)
    assert (
        stranger
        not in json.loads(prove_fork(ledger.charter, ledger.note(6), other.note() + stranger.encode()))["newer"]
    )
    form["newer"] += stranger
    with pytest.raises(PolicyError, match=r"fork\.newer\.signatures"):
        verify(ledger, json.dumps(form, separators=(",", ":"), ensure_ascii=False).encode())


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (lambda form: form | {"format": "counterseal" + "/fork/v2"}, "fork.format"),
        (lambda form: form | {"extra": 1}, "fork"),
        (lambda form: form | {"tree": []}, "fork"),
        (lambda form: form | {"tree": ["AAAA"]}, "fork.tree"),
        (lambda form: form | {"prefix_root": "AAAA"}, "fork.prefix_root"),
        (lambda form: form | {"headers": ["AAAA"]}, "fork.headers[0]: header"),
        (lambda form: form | {"newer": ""}, "fork"),
        (lambda form: form | {"older": form["newer"], "newer": form["older"]}, "fork.newer"),
        (lambda form: form | {"older": form["newer"]}, "fork.newer"),
        (lambda form: form | {"newer": form["newer"].replace("\n\n", "\n")}, "fork.newer: note"),
        (lambda form: dict(sorted(form.items())), "fork"),
        (lambda form: form | {"prefix_root": encode_base64(bytes(32))}, "fork.tree"),
    ],
)
def test_a_file_that_is_not_of_the_form_is_refused_by_its_field(
    ledger: FakeLedger, change: Callable[[dict[str, object]], dict[str, object]], field: str
) -> None:
    form = change(json.loads(prove_by_notes(ledger)))
    with pytest.raises(LedgerError) as refused:
        verify(ledger, json.dumps(form, separators=(",", ":"), ensure_ascii=False).encode())
    assert refused.value.field == field


def test_a_file_too_large_is_refused_unread() -> None:
    with pytest.raises(FormatError, match="at most"):
        parse_fork(b" " * (FORK_BYTES_MAX + 1))


@pytest.mark.parametrize("name", PROOFS)
def test_every_changed_byte_of_a_proof_is_refused_naming_a_field(ledger: FakeLedger, name: str) -> None:
    """One bit of bytes all over the file: under the charter's fingerprint nothing else passes."""
    raw = PROOFS[name][0](ledger)
    start = raw.index(b'"older"')
    places = [*range(0, start, 997), *range(start, len(raw), 29)]
    for at in places:
        changed = bytearray(raw)
        changed[at] ^= 1
        with pytest.raises(LedgerError) as refused:
            verify(ledger, bytes(changed))
        assert refused.value.field.startswith(("fork", "charter"))
