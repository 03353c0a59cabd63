"""The vote log: what was written is read; what was torn is dropped; what is damaged is never passed over."""

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.blocks import compute_entries_digest, encode_header
from ledger.errors import Code, ConditionError
from ledger.positions import Epoch, Height, LeafIndex, MemberIndex, Millis, TreeSize, View
from node.consensus import votelog
from node.consensus.chain import Block
from node.consensus.messages import NO_DIGEST, NO_SHARE, Certificate, Vote, VoteKind
from node.consensus.votelog import Barrier, Lost, Record, Start

LEDGER = b"\x07" * 32
ME = MemberIndex(3)
START = votelog.create(ledger_id=LEDGER, member=ME, is_lost=False)

NUMBERS = st.integers(min_value=1, max_value=2**63 - 1)
DIGESTS = st.binary(min_size=32, max_size=32)
SIGNATURES = st.binary(min_size=64, max_size=64)
MEMBERS = st.integers(min_value=1, max_value=200).map(MemberIndex)


@st.composite
def votes(draw: st.DrawFn) -> Vote:
    kind = draw(st.sampled_from(VoteKind))
    return Vote(
        kind=kind,
        epoch=Epoch(draw(NUMBERS)),
        view=View(draw(NUMBERS)),
        digest=NO_DIGEST if kind is VoteKind.NULLIFY else draw(DIGESTS),
        member=draw(MEMBERS),
        signature=draw(SIGNATURES),
        share=draw(st.binary(min_size=48, max_size=48)) if kind is VoteKind.FINALIZE else NO_SHARE,
    )


@st.composite
def certificates(draw: st.DrawFn) -> Certificate:
    kind = draw(st.sampled_from((VoteKind.NOTARIZE, VoteKind.NULLIFY)))
    epoch, view = Epoch(draw(NUMBERS)), View(draw(NUMBERS))
    digest = NO_DIGEST if kind is VoteKind.NULLIFY else draw(DIGESTS)
    signed = draw(st.lists(st.tuples(MEMBERS, SIGNATURES), min_size=1, max_size=5))
    cast = tuple(Vote(kind, epoch, view, digest, member, signature) for member, signature in signed)
    return Certificate(kind, epoch, view, digest, cast)


@st.composite
def block_records(draw: st.DrawFn) -> Block:
    leaves = tuple(draw(st.lists(DIGESTS, max_size=3)))
    header = encode_header(
        ledger_id=LEDGER,
        epoch=Epoch(1),
        view=View(draw(NUMBERS)),
        height=Height(draw(NUMBERS)),
        parent=draw(DIGESTS.filter(any)),
        time_ms=Millis(5),
        proposer=draw(MEMBERS),
        first_index=LeafIndex(1),
        tree_size=TreeSize(1 + len(leaves)),
        root=draw(DIGESTS),
        entries_digest=compute_entries_digest(leaves),
    )
    return Block(header, leaves)


BARRIERS = st.builds(Barrier, epoch=NUMBERS.map(Epoch), view=NUMBERS.map(View))
RECORDS: st.SearchStrategy[Record] = st.one_of(votes(), certificates(), block_records(), BARRIERS, st.builds(Lost))


def write(records: list[Record]) -> bytes:
    return START + b"".join(map(votelog.encode_record, records))


def read(raw: bytes) -> votelog.LogContents:
    return votelog.read(raw, ledger_id=LEDGER, member=ME)


@given(st.lists(RECORDS, max_size=6))
def test_what_was_written_is_read(records: list[Record]) -> None:
    raw = write(records)
    contents = read(raw)
    assert contents.records == tuple(records)
    assert contents.intact_bytes == len(raw)
    assert write(list(contents.records)) == raw


@given(records=st.lists(RECORDS, min_size=1, max_size=3), cut=st.integers(min_value=1), zeros=st.integers(0, 40))
def test_a_torn_last_record_is_dropped_and_all_before_it_kept(records: list[Record], cut: int, zeros: int) -> None:
    whole = write(records[:-1])
    last = votelog.encode_record(records[-1])
    torn = last[: cut % len(last)]
    contents = read(whole + torn)
    assert contents.records == tuple(records[:-1])
    assert contents.intact_bytes == len(whole)
    assert read(whole + b"\0" * zeros).records == tuple(records[:-1])


def test_a_record_whose_last_part_is_zero_filled_was_torn() -> None:
    whole, last = write([Lost()]), votelog.encode_record(Barrier(Epoch(1), View(2**60 + 1)))
    for kept in range(len(last) - 16):
        assert read(whole + last[:kept] + bytes(len(last) - kept)).records == (Lost(),), kept


@given(records=st.lists(RECORDS, min_size=1, max_size=3), where=st.integers(min_value=0), flip=st.integers(1, 255))
def test_any_changed_byte_is_damage_and_never_a_shorter_log(records: list[Record], where: int, flip: int) -> None:
    raw = bytearray(write(records))
    raw[where % len(raw)] ^= flip
    with pytest.raises(ConditionError) as caught:
        read(bytes(raw))
    assert caught.value.code is Code.STORE_DAMAGED


@given(records=st.lists(RECORDS, min_size=2, max_size=3), cut=st.integers(min_value=1))
def test_a_record_torn_in_the_middle_of_the_log_is_damage(records: list[Record], cut: int) -> None:
    frames = [votelog.encode_record(record) for record in records]
    short = frames[0][: -(1 + cut % (len(frames[0]) - 1))]
    with pytest.raises(ConditionError):
        read(START + short + b"".join(frames[1:]))


@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_damage_or_dropped(raw: bytes) -> None:
    try:
        contents = read(START + raw)
    except ConditionError:
        return
    assert contents.records == ()


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(b"", id="empty"),
        pytest.param(START[:-1], id="torn start"),
        pytest.param(votelog.create(ledger_id=LEDGER, member=MemberIndex(4), is_lost=False), id="another member's"),
        pytest.param(votelog.create(ledger_id=b"\x08" * 32, member=ME, is_lost=False), id="another ledger's"),
        pytest.param(votelog.encode_record(Lost()), id="no start"),
        pytest.param(START + START, id="two starts"),
        pytest.param(votelog.encode_record(Start(LEDGER, ME)).replace(b"\0\1", b"\0\2"), id="changed start"),
    ],
)
def test_a_log_that_does_not_begin_as_this_members_is_damage(raw: bytes) -> None:
    with pytest.raises(ConditionError):
        read(raw)


def frame(payload: bytes) -> bytes:
    length = len(payload).to_bytes(4, "big")
    return length + votelog._check(length)[:4] + payload + votelog._check(length + payload)


@pytest.mark.parametrize(
    "payload", [b"\x07", b"\x04short", b"\x02more", b"\x03" + b"\xff" * 16, b"\x04\x09" + bytes(162)]
)
def test_a_record_with_right_checks_and_no_known_form_is_damage(payload: bytes) -> None:
    with pytest.raises(ConditionError, match="no known form"):
        read(START + frame(payload))


def test_a_log_of_another_version_is_refused() -> None:
    with pytest.raises(ConditionError):
        read(frame(b"\x01" + LEDGER + b"\0\3\0\2"))


def muted_until(records: Iterable[Record]) -> int:
    return max((r.view for r in records if isinstance(r, Barrier) and r.epoch == 1), default=0)


@given(records=st.lists(RECORDS, max_size=8), final_view=NUMBERS)
def test_a_compacted_log_says_the_same_of_every_view_above_the_final_one(
    records: list[Record], final_view: int
) -> None:
    def above(kept: tuple[Record, ...]) -> list[Record]:
        voted = [r for r in kept if isinstance(r, Vote | Certificate) and (r.epoch, r.view) > (1, final_view)]
        built = [r for r in kept if isinstance(r, Block) and r.header.view > final_view]
        return [*voted, *built]

    raw = write(records)
    short = votelog.compact(raw, ledger_id=LEDGER, member=ME, epoch=Epoch(1), final_view=View(final_view))
    contents = read(short)
    assert above(contents.records) == above(tuple(records))
    assert len(short) <= len(raw)
    assert votelog.is_recovering(contents.records) == votelog.is_recovering(records)
    assert muted_until(contents.records) >= muted_until(records)
    again = votelog.compact(short, ledger_id=LEDGER, member=ME, epoch=Epoch(1), final_view=View(final_view))
    assert again == short, "barriers do not pile up"


def test_a_compacted_log_drops_what_is_final_and_forbids_to_say_it_again() -> None:
    vote = Vote(VoteKind.NULLIFY, Epoch(1), View(5), NO_DIGEST, ME, bytes(64))
    raw = write([vote])
    floor = START + votelog.encode_record(Barrier(Epoch(1), View(5)))
    assert votelog.compact(raw, ledger_id=LEDGER, member=ME, epoch=Epoch(1), final_view=View(5)) == floor
    assert votelog.compact(raw, ledger_id=LEDGER, member=ME, epoch=Epoch(1), final_view=View(4)) == raw


def test_a_lost_log_says_so_until_a_barrier_is_set() -> None:
    lost = votelog.create(ledger_id=LEDGER, member=ME, is_lost=True)
    assert votelog.is_recovering(read(lost).records)
    lifted = lost + votelog.encode_record(Barrier(Epoch(1), View(9)))
    assert not votelog.is_recovering(read(lifted).records)
    assert votelog.is_recovering(read(lifted + votelog.encode_record(Lost())).records)
    assert not votelog.is_recovering(read(START).records)
