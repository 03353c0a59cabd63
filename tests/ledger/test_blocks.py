"""Headers: one spelling each, every field in range, every mutation refused or another block."""

import hashlib
from typing import TypedDict

import pytest
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st

from ledger import blocks
from ledger.blocks import Header, SealedHeader, encode_header, parse_header
from ledger.errors import FormatError, LedgerError, ProofError
from ledger.limits import BLOCK_ENTRIES_MAX, HEADER_BYTES_MAX, MEMBERS_MAX, SIZE_MAX
from ledger.positions import Epoch, Height, LeafIndex, MemberIndex, Millis, TreeSize, View
from ledger.v1.block_pb2 import BlockHeader


class Fields(TypedDict):
    ledger_id: bytes
    epoch: Epoch
    view: View
    height: Height
    parent: bytes
    time_ms: Millis
    proposer: MemberIndex
    first_index: LeafIndex
    tree_size: TreeSize
    root: bytes
    entries_digest: bytes
    state_digest: bytes


def fields() -> Fields:
    return Fields(
        ledger_id=b"\x01" * 32,
        epoch=Epoch(1),
        view=View(9),
        height=Height(7),
        parent=b"\x02" * 32,
        time_ms=Millis(1_700_000_000_000),
        proposer=MemberIndex(3),
        first_index=LeafIndex(41),
        tree_size=TreeSize(43),
        root=b"\x03" * 32,
        entries_digest=b"\x04" * 32,
        state_digest=b"",
    )


HASHES = st.binary(min_size=32, max_size=32)
SIZES = st.integers(min_value=1, max_value=SIZE_MAX)


@st.composite
def headers(draw: st.DrawFn) -> Header:
    first_index = draw(st.integers(min_value=1, max_value=SIZE_MAX - BLOCK_ENTRIES_MAX))
    return encode_header(
        ledger_id=draw(HASHES),
        epoch=Epoch(draw(SIZES)),
        view=View(draw(SIZES)),
        height=Height(draw(SIZES)),
        parent=draw(HASHES.filter(any)),
        time_ms=Millis(draw(st.integers(min_value=0, max_value=SIZE_MAX))),
        proposer=MemberIndex(draw(st.integers(min_value=1, max_value=MEMBERS_MAX))),
        first_index=LeafIndex(first_index),
        tree_size=TreeSize(first_index + draw(st.integers(min_value=0, max_value=BLOCK_ENTRIES_MAX))),
        root=draw(HASHES),
        entries_digest=draw(HASHES),
        state_digest=draw(st.one_of(st.just(b""), HASHES)),
    )


def test_header_bytes_are_the_documented_protobuf() -> None:
    """Field numbers, order and widths, spelled out once by hand."""
    expected = (
        b"\x0a\x20" + b"\x01" * 32 + b"\x10\x01" + b"\x18\x09" + b"\x20\x07" + b"\x2a\x20" + b"\x02" * 32
        + b"\x30\x80\xd0\x95\xff\xbc\x31" + b"\x38\x03" + b"\x40\x29" + b"\x48\x2b"
        + b"\x52\x20" + b"\x03" * 32 + b"\x5a\x20" + b"\x04" * 32
    )  # fmt: skip
    header = encode_header(**fields())
    assert header.raw == expected
    assert header.digest == hashlib.sha256(b"counterseal/block/v1\n" + expected).digest()
    assert header.entry_count == 2


@given(headers())
def test_headers_round_trip_through_their_bytes(header: Header) -> None:
    assert parse_header(header.raw) == header
    assert len(header.raw) <= HEADER_BYTES_MAX


@given(header=headers(), where=st.integers(min_value=0), flip=st.integers(min_value=1, max_value=255))
def test_a_changed_byte_is_refused_or_names_another_block(header: Header, where: int, flip: int) -> None:
    raw = bytearray(header.raw)
    raw[where % len(raw)] ^= flip
    try:
        changed = parse_header(bytes(raw))
    except FormatError:
        return
    assert changed.raw == bytes(raw)
    assert changed != header
    assert changed.digest != header.digest


@given(st.binary(max_size=400))
def test_arbitrary_bytes_raise_nothing_but_format_errors(raw: bytes) -> None:
    try:
        parsed = parse_header(raw)
    except FormatError:
        return
    assert parsed.raw == raw


@given(header=headers(), cut=st.integers(min_value=0))
def test_truncated_headers_are_refused_or_contradict_a_field_length(header: Header, cut: int) -> None:
    with pytest.raises(FormatError):
        parse_header(header.raw[: cut % (len(header.raw) - 34)])


def test_a_padded_varint_is_refused() -> None:
    raw = encode_header(**fields()).raw
    padded = raw.replace(b"\x18\x09\x20\x07", b"\x18\x89\x00\x20\x07")
    assert BlockHeader.FromString(padded) == BlockHeader.FromString(raw), "protobuf itself takes it"
    with pytest.raises(FormatError, match="one encoding"):
        parse_header(padded)


@pytest.mark.parametrize(
    "suffix",
    [
        pytest.param(b"\x68\x01", id="unknown varint field 13"),
        pytest.param(b"\xa2\x06\x01x", id="unknown bytes field 100"),
        pytest.param(b"\x18\x09", id="field 3 twice"),
        pytest.param(b"\x62\x00", id="explicit empty state digest"),
    ],
)
def test_another_spelling_of_the_same_fields_is_refused(suffix: bytes) -> None:
    raw = encode_header(**fields()).raw + suffix
    BlockHeader.FromString(raw)
    with pytest.raises(FormatError, match="one encoding"):
        parse_header(raw)


def test_fields_in_another_order_are_refused() -> None:
    raw = encode_header(**fields()).raw
    reordered = raw.replace(b"\x18\x09\x20\x07", b"\x20\x07\x18\x09")
    assert reordered != raw
    with pytest.raises(FormatError, match="one encoding"):
        parse_header(reordered)


def test_headers_above_the_size_limit_are_refused_before_decoding() -> None:
    with pytest.raises(FormatError, match="1 to 1024 bytes"):
        parse_header(b"\xff" * (HEADER_BYTES_MAX + 1))
    with pytest.raises(FormatError, match="1 to 1024 bytes"):
        parse_header(b"")
    with pytest.raises(DecodeError):
        BlockHeader.FromString(b"\xff" * 20)
    with pytest.raises(FormatError, match="protobuf"):
        parse_header(b"\xff" * 20)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("ledger_id", b"\x01" * 31),
        ("parent", b"\x01" * 33),
        ("root", b""),
        ("entries_digest", b"\x01" * 16),
        ("state_digest", b"\x01"),
        ("epoch", 0),
        ("epoch", SIZE_MAX + 1),
        ("view", SIZE_MAX + 1),
        ("height", SIZE_MAX + 1),
        ("time_ms", SIZE_MAX + 1),
        ("proposer", MEMBERS_MAX + 1),
        ("first_index", 44),
        ("tree_size", 40),
        ("tree_size", 41 + BLOCK_ENTRIES_MAX + 1),
        ("view", 0),
        ("proposer", 0),
        ("parent", bytes(32)),
    ],
)
def test_a_field_out_of_range_is_refused_by_name_when_read_and_when_made(field: str, value: object) -> None:
    wrong = {**fields(), field: value}
    expected = "header.(tree_size|first_index)" if field == "first_index" else f"header.{field}"
    with pytest.raises(FormatError, match=expected):
        encode_header(**wrong)  # type: ignore[arg-type]  # the wrong value is the point
    raw = BlockHeader(**wrong).SerializeToString(deterministic=True)  # type: ignore[arg-type]  # same
    with pytest.raises(FormatError, match=expected):
        parse_header(raw)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("view", 1),
        ("proposer", 1),
        ("parent", b"\x01" * 32),
        ("first_index", 1),
        ("epoch", 2),
        ("tree_size", 2),
        ("tree_size", 0),
    ],
)
def test_a_genesis_header_has_no_view_proposer_or_parent(field: str, value: object) -> None:
    genesis = blocks.genesis_header(b"charter", Millis(5))
    message = BlockHeader.FromString(genesis.raw)
    setattr(message, field, value)
    with pytest.raises(FormatError, match="header"):
        parse_header(message.SerializeToString(deterministic=True))


def test_genesis_is_the_tree_of_the_charter_alone() -> None:
    header = blocks.genesis_header(b"charter", Millis(5))
    leaf = hashlib.sha256(b"\x00charter").digest()
    assert parse_header(header.raw) == header
    assert header.ledger_id == hashlib.sha256(b"charter").digest()
    assert (header.root, header.entries_digest) == (leaf, hashlib.sha256(leaf).digest())
    assert (header.epoch, header.view, header.height, header.tree_size, header.time_ms) == (1, 0, 0, 1, 5)


def test_entries_digest_covers_order_and_nothing_at_all() -> None:
    a, b = b"a" * 32, b"b" * 32
    assert blocks.compute_entries_digest([]) == hashlib.sha256().digest()
    assert blocks.compute_entries_digest([a, b]) == hashlib.sha256(a + b).digest()
    assert blocks.compute_entries_digest([a, b]) != blocks.compute_entries_digest([b, a])


def test_seal_message_names_the_round_the_block_and_the_checkpoint() -> None:
    header = encode_header(**fields())
    message = blocks.seal_message(header, "example.org/log").decode()
    assert message.startswith(
        "counterseal/seal/v1\nepoch 1\nview 9\nheight 7\ntime 1700000000000\nblock "
    )  # fmt: skip
    assert message.splitlines()[-3:] == ["example.org/log", "43", "AwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwM="]
    checkpoint = blocks.checkpoint_of(header, "example.org/log")
    assert (checkpoint.origin, checkpoint.size, checkpoint.root) == ("example.org/log", 43, header.root)


@given(
    st.lists(
        st.tuples(headers(), st.one_of(st.just(b""), st.binary(min_size=48, max_size=48).filter(any))),
        min_size=1,
        max_size=4,
    )
)
def test_header_bundles_round_trip(pairs: list[tuple[Header, bytes]]) -> None:
    sealed = [SealedHeader(header=header, seal=seal) for header, seal in pairs]
    assert blocks.parse_header_bundle(blocks.encode_header_bundle(sealed)) == sealed


@given(st.binary(max_size=600))
def test_arbitrary_bundles_raise_nothing_but_format_errors(raw: bytes) -> None:
    try:
        sealed = blocks.parse_header_bundle(raw)
    except FormatError:
        return
    assert blocks.encode_header_bundle(sealed) == raw


def test_truncated_bundles_are_refused() -> None:
    raw = blocks.encode_header_bundle([SealedHeader(header=encode_header(**fields()), seal=b"s" * 48)])
    for cut in range(len(raw)):
        with pytest.raises(FormatError):
            blocks.parse_header_bundle(raw[:cut])


def test_a_bundle_of_257_headers_is_refused() -> None:
    one = blocks.encode_header_bundle([SealedHeader(header=encode_header(**fields()), seal=b"")])
    assert len(blocks.parse_header_bundle(one * 256)) == 256
    with pytest.raises(FormatError, match="at most 256"):
        blocks.parse_header_bundle(one * 257)


def child_of(parent: Header, /, **changes: object) -> Header:
    linked = {
        **fields(),
        "ledger_id": parent.ledger_id,
        "view": parent.view + 1,
        "height": parent.height + 1,
        "parent": parent.digest,
        "time_ms": parent.time_ms,
        "first_index": parent.tree_size,
        "tree_size": parent.tree_size + 1,
    }
    return encode_header(**(linked | changes))  # type: ignore[arg-type]  # a mixture of field types


def test_a_chain_of_children_from_genesis_is_accepted() -> None:
    chain = [blocks.genesis_header(b"charter", Millis(5))]
    for _ in range(3):
        chain.append(child_of(chain[-1]))
    blocks.verify_header_chain(chain)
    blocks.verify_header_chain(chain[1:], parent=chain[0])


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("ledger_id", b"\x09" * 32),
        ("parent", b"\x09" * 32),
        ("height", 9),
        ("first_index", 42),
        ("time_ms", 1_699_999_999_999),
        ("view", 9),
        ("view", 8),
    ],
)
def test_a_child_that_contradicts_its_parent_is_refused_by_field(field: str, value: object) -> None:
    parent = encode_header(**fields())
    with pytest.raises(ProofError, match=f"header.{field}"):
        blocks.verify_header_chain([parent, child_of(parent, **{field: value})])


def test_a_child_may_restart_the_views_in_a_later_epoch() -> None:
    parent = encode_header(**fields())
    blocks.verify_child(child_of(parent, epoch=Epoch(2), view=View(1)), parent=parent)


def test_every_refusal_is_a_ledger_error_with_a_field() -> None:
    with pytest.raises(LedgerError) as caught:
        parse_header(b"\x00")
    assert caught.value.field == "header"
