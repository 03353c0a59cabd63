"""State: layers, what a store gets, one spelling of every record, one digest."""

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.domains import STATE
from ledger.errors import FormatError
from ledger.positions import Interval, Sequence
from ledger.rules.grid import Grid
from ledger.rules.record import Record, encode_record
from ledger.rules.records.filings import FILINGS, Filing, make_filing_name
from ledger.rules.records.foundation import (
    FOUNDATION,
    ISSUERS,
    RECENT_MAX,
    Foundation,
    Issuer,
    advance_issuer,
    compute_last_leaf,
    find_recent,
)
from ledger.rules.records.registry import CLUSTERS, LabName
from ledger.rules.state import State, compute_state_digest

FILING = Filing(filed=1, is_contested=False, is_queued=True, latest=b"l" * 32, rows=b"r" * 35)
NAME = make_filing_name(7, Interval(9))


def make_root(**clusters: str) -> State:
    state = State()
    FOUNDATION.put(state, Foundation(b"\x01" * 32, Grid(1, 2, 3, 4, 5), ("cap",)))
    for cluster, lab in clusters.items():
        CLUSTERS.put(state, LabName(lab), cluster.encode())
    state.commit()
    return state


def owner(state: State, cluster: bytes) -> str | None:
    record = CLUSTERS.get(state, cluster)
    return None if record is None else record.lab


def test_a_fork_sees_its_parent_and_its_parent_does_not_see_it() -> None:
    root = make_root(a="acme")
    child = root.fork()
    CLUSTERS.put(child, LabName("beta"), b"a")
    CLUSTERS.put(child, LabName("beta"), b"b")
    grandchild = child.fork()
    CLUSTERS.put(grandchild, None, b"a")
    assert [owner(state, b"a") for state in (root, child, grandchild)] == ["acme", "beta", None]
    assert [owner(state, b"b") for state in (root, child, grandchild)] == [None, "beta", "beta"]


def test_two_forks_of_one_parent_do_not_meet() -> None:
    root = make_root()
    left, right = root.fork(), root.fork()
    CLUSTERS.put(left, LabName("left"), b"a")
    CLUSTERS.put(right, LabName("right"), b"a")
    assert (owner(left, b"a"), owner(right, b"a")) == ("left", "right")


def test_committing_blocks_in_order_leaves_one_root_and_the_same_digest() -> None:
    root = make_root(a="acme", b="acme")
    first = root.fork()
    CLUSTERS.put(first, None, b"a")
    FILINGS.put(first, FILING, NAME)
    second = first.fork()
    CLUSTERS.put(second, LabName("late"), b"c")
    before = compute_state_digest(second)
    first.commit()
    assert compute_state_digest(second) == before
    second.commit()
    assert compute_state_digest(second) == before
    assert second.changes() == []
    assert FILINGS.get(second, NAME) == FILING
    assert [owner(second, name) for name in (b"a", b"b", b"c")] == [None, "acme", "late"]


def test_a_block_cannot_become_final_before_its_parent() -> None:
    grandchild = make_root().fork().fork()
    with pytest.raises(AssertionError, match="after its parent"):
        grandchild.commit()


def test_a_dead_branch_is_not_read() -> None:
    root = make_root()
    final, dead = root.fork(), root.fork()
    final.commit()
    with pytest.raises(AssertionError, match="moved on"):
        owner(dead, b"a")


def test_changes_are_canonical_bytes_in_order_with_removals() -> None:
    fork = make_root(b="acme").fork()
    FILINGS.put(fork, FILING, NAME)
    CLUSTERS.put(fork, None, b"b")
    CLUSTERS.put(fork, LabName("x"), b"a")
    assert fork.changes() == [
        (b"Ia", b"\x91\xa1x"),
        (b"Ib", None),
        (b"J" + bytes([0, 0, 0, 7, 0, 0, 0, 9]), encode_record(FILING)),
    ]


def test_the_digest_is_over_a_tag_and_sorted_length_prefixed_items() -> None:
    state = make_root(b="acme").fork()
    CLUSTERS.put(state, LabName("x"), b"a")
    expected = STATE
    for key, value in state.items():
        expected += len(key).to_bytes(4, "big") + key + len(value).to_bytes(4, "big") + value
    assert [key for key, _ in state.items()] == [b"A", b"Ia", b"Ib"]
    assert compute_state_digest(state) == hashlib.sha256(expected).digest()


def test_a_state_comes_back_from_its_store() -> None:
    state = make_root(a="acme").fork()
    FILINGS.put(state, FILING, NAME)
    back = State.restore(state.items(), charter=None)
    assert compute_state_digest(back) == compute_state_digest(state)
    assert FILINGS.get(back, NAME) == FILING
    assert owner(back, b"a") == "acme"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (b"", b"\x91\xa1x"),
        (b"?a", b"\x91\xa1x"),
        (b"Ia", b""),
        (b"Ia", b"\x91\xa1x\x00"),
        (b"Ia", b"\x91\xd9\x01x"),  # the same text in a longer form
        (b"Ia", b"\x92\xa1x\xa1y"),  # a field too many
        (b"Ia", b"\x90"),
        (b"Ia", b"\x81\xa3lab\xa1x"),
        (b"Ia", b"\x91\x01"),
        (b"Ia", b"\x91\xa1\xff"),
        (b"Ia", b"\x91" * 5_000),
        (b"A", b"\x91\xa1x"),
    ],
)
def test_a_store_that_was_tampered_with_is_refused(key: bytes, value: bytes) -> None:
    items = [*make_root().items(), (key, value)]
    with pytest.raises(FormatError):
        State.restore(items, charter=None)


def test_a_key_twice_or_no_foundation_is_refused() -> None:
    items = list(make_root(a="acme").items())
    with pytest.raises(FormatError):
        State.restore([*items, items[-1]], charter=None)
    with pytest.raises(FormatError, match="foundation"):
        State.restore(items[1:], charter=None)


def test_an_issuer_remembers_its_last_statements_and_no_more() -> None:
    issuer = Issuer(is_nation=True, next_sequence=Sequence(0), recent=b"")
    assert compute_last_leaf(issuer) == bytes(32)
    assert find_recent(issuer, Sequence(0)) is None
    for number in range(RECENT_MAX + 2):
        issuer = advance_issuer(issuer, leaf=bytes([number]) * 32, payload_digest=bytes([100 + number]) * 32)
    last = RECENT_MAX + 1
    assert issuer.next_sequence == last + 1
    assert compute_last_leaf(issuer) == bytes([last]) * 32
    assert find_recent(issuer, Sequence(1)) is None
    for number in range(2, last + 1):
        assert find_recent(issuer, Sequence(number)) == (bytes([number]) * 32, bytes([100 + number]) * 32)
    assert find_recent(issuer, Sequence(last + 1)) is None


def test_a_record_of_another_table_is_our_own_mistake() -> None:
    state = make_root()
    record: Record = LabName("x")
    state.put(b"Dx", record)
    with pytest.raises(AssertionError):
        ISSUERS.get(state, b"x")


CHANGED = st.lists(st.tuples(st.booleans(), st.integers(0, 20), st.integers(0, 2)), max_size=12)


@settings(deadline=None)
@given(st.lists(CHANGED, max_size=4), st.lists(CHANGED, max_size=3))
def test_layers_over_a_root_show_what_one_dictionary_would(
    final: list[list[tuple[bool, int, int]]], waiting: list[list[tuple[bool, int, int]]]
) -> None:
    state, plain = State(), dict[bytes, bytes]()
    for number, changed in enumerate([*final, *waiting]):
        state = state.fork()
        for is_filing, name, rows in changed:
            letter, key = (b"J", make_filing_name(0, Interval(name))) if is_filing else (b"I", b"%d" % name)
            record = Filing(1, False, False, b"", b"r" * 35 * rows) if is_filing else LabName("acme" * rows)
            state.put(letter + key, record if rows else None)
            plain.pop(letter + key, None)
            if rows:
                plain[letter + key] = encode_record(record)
        if number < len(final):
            state.commit()
    assert list(state.items()) == sorted(plain.items())


def test_a_table_is_walked_in_order_through_all_layers() -> None:
    root = make_root(b="acme", a="acme", c="acme")
    block = root.fork()
    CLUSTERS.put(block, None, b"b")
    CLUSTERS.put(block, LabName("beta"), b"c")
    CLUSTERS.put(block, LabName("beta"), b"aa")
    assert [(name, record.lab) for name, record in CLUSTERS.walk(block)] == [
        (b"a", "acme"),
        (b"aa", "beta"),
        (b"c", "beta"),
    ]
    assert [name for name, _ in CLUSTERS.walk(root)] == [b"a", b"b", b"c"]
