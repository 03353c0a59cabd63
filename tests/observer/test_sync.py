"""Sync: what is verified is kept, what is not is refused under its source's name; nothing is believed on first use."""

import random
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from ledger.blocks import NO_SEAL, SealedHeader, encode_header, parse_header_bundle, seal_message
from ledger.errors import Code, ConditionError, FormatError, LedgerError, PolicyError, ProofError, SignatureError
from ledger.notes import parse_note
from ledger.positions import Height, MemberIndex, Millis, TreeSize
from observer import sync as syncing
from observer.agreement import Relation
from observer.copy import FILE, open_copy, require_copy
from observer.evidence import list_evidence
from observer.served import ServedBlock, Source, blame, make_block
from observer.sync import Outcome, Progress, conclude, describe_sync, encode_sync, open_or_found, sync, sync_home
from tests.conftest import REPOSITORY
from tests.ledger.rulebook import NATIONS
from tests.observer.conftest import make_ledger
from tests.observer.fakeledger import ORIGIN, FakeLedger, LedgerSource
from tests.observer.forking import fork

draw = random.Random(7).randbytes


def follow(home: Path, *sources: Source, fingerprint: bytes | None = None) -> list[Outcome]:
    with open_or_found(home, sources, fingerprint=fingerprint) as copy:
        return sync(copy, sources, draw=draw)


def followed(home: Path, ledger: FakeLedger, height: int | None = None) -> Path:
    """A copy of the ledger as it was at a height."""
    conclude(follow(home, LedgerSource(ledger, height=height), fingerprint=ledger.fingerprint))
    return home


def height_of(home: Path) -> int:
    with require_copy(home) as copy:
        return copy.head.header.height


class LyingSource(LedgerSource):
    """Serves blocks changed by `lie`."""

    def __init__(self, ledger: FakeLedger, lie: Callable[[ServedBlock], ServedBlock]) -> None:
        super().__init__(ledger)
        self.lie = lie

    def block(self, height: int) -> ServedBlock:
        return self.lie(super().block(height))


# --- what is true is kept --------------------------------------------------------------------------------------------


def test_a_ledger_is_copied_from_its_fingerprint_alone(ledger: FakeLedger, tmp_path: Path) -> None:
    outcomes = follow(tmp_path, LedgerSource(ledger), fingerprint=ledger.fingerprint)
    height = Height(ledger.height)
    assert outcomes == [Outcome("fake", ledger.height, len(ledger.entries) - 1, None, Relation.AHEAD, height)]
    with require_copy(tmp_path) as copy:
        assert copy.entries(0, 10_000) == ledger.entries  # type: ignore[arg-type]
        assert copy.head == ledger.chain[-1]
        assert copy.position.frontier == ledger.frontier
        assert copy.blocks(Height(0), 100) == ledger.chain
        assert copy.transcript == ledger.founders.transcript
        assert copy.notes() == [(ledger.height, ledger.note(cosigners=len(NATIONS)))]


def test_a_sync_goes_on_where_the_copy_ends(ledger: FakeLedger, tmp_path: Path) -> None:
    followed(tmp_path, ledger, 5)
    source = LedgerSource(ledger)
    assert [o.blocks_count for o in follow(tmp_path, source)] == [ledger.height - 5]
    assert source.asked_from == [6]
    height = Height(ledger.height)
    assert follow(tmp_path, LedgerSource(ledger)) == [Outcome("fake", 0, 0, None, Relation.SAME, height)]


def test_a_sync_that_breaks_off_keeps_what_was_verified_and_is_gone_on_with(
    ledger: FakeLedger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(syncing, "RUN_BLOCKS", 2)

    class Stopped(LedgerSource):
        def read_blocks(self, *, first: Height, last: Height, size: TreeSize) -> Iterator[ServedBlock]:
            for block in super().read_blocks(first=first, last=last, size=size):
                if block.header.height == 7:
                    raise ConditionError(field="blocks[7]", found="x", expected="y", code=Code.UNREACHABLE)
                yield block

    outcome = follow(tmp_path, Stopped(ledger), fingerprint=ledger.fingerprint)[0]
    assert (outcome.is_lie, outcome.blocks_count) == (False, 5)
    assert height_of(tmp_path) == 5
    source = LedgerSource(ledger)
    conclude(follow(tmp_path, source))
    assert source.asked_from == [6]
    assert height_of(tmp_path) == ledger.height


def test_a_run_is_written_only_up_to_a_sealed_block(
    ledger: FakeLedger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(syncing, "RUN_BLOCKS", 1)
    seen: list[Progress] = []
    source = LedgerSource(ledger)
    with open_or_found(tmp_path, [source], fingerprint=ledger.fingerprint) as copy:
        sync(copy, [source], draw=draw, progress=seen.append)
    unsealed = {3, 4, 8}
    assert [at.height for at in seen] == [h for h in range(1, ledger.height + 1) if h not in unsealed]
    assert {at.target for at in seen} == {ledger.height}
    assert seen[-1].size == len(ledger.entries)


def test_a_process_that_is_killed_while_writing_leaves_the_earlier_copy(ledger: FakeLedger, tmp_path: Path) -> None:
    home, published = followed(tmp_path / "copy", ledger, 5), ledger.publish(tmp_path / "published")
    program = (
        "import os, secrets, sys, pathlib, observer.copy, observer.sync\n"
        "observer.copy.read_subject = lambda entry: os._exit(9)\n"  # in the middle of the transaction
        "home, source = sys.argv[1:]\n"
        "observer.sync.sync_home(pathlib.Path(home), [source], fingerprint=None, draw=secrets.token_bytes)\n"
    )
    words = [sys.executable, "-c", program, str(home), str(published)]
    assert subprocess.run(words, cwd=REPOSITORY, check=False, timeout=60).returncode == 9
    assert height_of(home) == 5
    followed(home, ledger)
    assert height_of(home) == ledger.height


def test_a_copy_whose_founding_was_killed_is_founded_again(ledger: FakeLedger, tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / FILE)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.close()
    assert open_copy(tmp_path) is None
    followed(tmp_path, ledger)
    assert height_of(tmp_path) == ledger.height


def test_the_checkpoints_seal_stands_for_a_last_block_served_before_it_was_known(
    ledger: FakeLedger, tmp_path: Path
) -> None:
    def forget(block: ServedBlock) -> ServedBlock:
        return replace(block, seal=NO_SEAL) if block.header.height == ledger.height else block

    conclude(follow(tmp_path, LyingSource(ledger, forget), fingerprint=ledger.fingerprint))
    with require_copy(tmp_path) as copy:
        assert copy.head == ledger.chain[-1]


def test_a_copy_without_a_transcript_learns_it_later(ledger: FakeLedger, tmp_path: Path) -> None:
    silent = LedgerSource(ledger)
    silent.transcript = b""
    conclude(follow(tmp_path, silent, fingerprint=ledger.fingerprint))
    with require_copy(tmp_path) as copy:
        assert copy.ml_dsa_keys == {}
    followed(tmp_path, ledger)
    with require_copy(tmp_path) as copy:
        assert len(copy.ml_dsa_keys) == len(NATIONS)


# --- whom to believe at first ----------------------------------------------------------------------------------------


def test_nothing_is_trusted_on_first_use(ledger: FakeLedger, tmp_path: Path) -> None:
    with pytest.raises(ConditionError) as refused:
        follow(tmp_path, LedgerSource(ledger))
    assert refused.value.code is Code.CONFIG
    assert "not from the source" in refused.value.expected
    assert open_copy(tmp_path) is None


def test_another_ledgers_charter_is_refused_and_nothing_is_made(ledger: FakeLedger, tmp_path: Path) -> None:
    other = make_ledger(seed=1)
    with pytest.raises(PolicyError) as refused:
        follow(tmp_path, LedgerSource(other, name="other"), fingerprint=ledger.fingerprint)
    assert refused.value.field == "other: charter"
    assert open_copy(tmp_path) is None


def test_a_changed_charter_is_another_one(ledger: FakeLedger, tmp_path: Path) -> None:
    source = LedgerSource(ledger)
    source.charter = ledger.charter_entry[:-3] + b"A" + ledger.charter_entry[-2:]
    with pytest.raises(PolicyError):
        follow(tmp_path, source, fingerprint=ledger.fingerprint)


def test_a_source_that_has_the_charter_makes_up_for_one_that_has_not(ledger: FakeLedger, tmp_path: Path) -> None:
    other = make_ledger(seed=1)
    outcomes = follow(tmp_path, LedgerSource(other, name="other"), LedgerSource(ledger), fingerprint=ledger.fingerprint)
    assert [outcome.is_lie for outcome in outcomes] == [True, False]
    assert height_of(tmp_path) == ledger.height
    with pytest.raises(LedgerError, match=r"^other: "):
        conclude(outcomes)


def test_a_copy_stays_with_the_charter_it_is_pinned_to(ledger: FakeLedger, tmp_path: Path) -> None:
    followed(tmp_path, ledger, 5)
    other = FakeLedger(seed=1)
    with pytest.raises(PolicyError) as refused:
        follow(tmp_path, LedgerSource(ledger), fingerprint=other.fingerprint)
    assert ledger.fingerprint.hex() in refused.value.found
    other.grow(1)
    outcome = follow(tmp_path, LedgerSource(other))[0]
    assert outcome.is_lie
    assert height_of(tmp_path) == 5


def test_another_transcript_is_refused(ledger: FakeLedger, tmp_path: Path) -> None:
    source = LedgerSource(ledger)
    source.transcript = FakeLedger(seed=1).founders.transcript
    outcome = follow(tmp_path, source, fingerprint=ledger.fingerprint)[0]
    assert isinstance(outcome.error, PolicyError)
    assert outcome.error.field == "fake: transcript"


# --- sources that lie ------------------------------------------------------------------------------------------------


def swap_entries(block: ServedBlock) -> ServedBlock:
    return replace(block, entries=block.entries[::-1]) if len(block.entries) > 1 else block


def flip_entry(block: ServedBlock) -> ServedBlock:
    if block.header.height != 6:
        return block
    changed = bytearray(block.entries[0])
    changed[50] ^= 1
    return replace(block, entries=(bytes(changed), *block.entries[1:]))


def drop_entry(block: ServedBlock) -> ServedBlock:
    return replace(block, entries=block.entries[1:]) if block.header.height == 6 else block


def flip_seal(block: ServedBlock) -> ServedBlock:
    if block.header.height != 6:
        return block
    return replace(block, seal=block.seal[:-1] + bytes([block.seal[-1] ^ 1]))


def change_header(block: ServedBlock, **changes: object) -> ServedBlock:
    fields = {
        name: getattr(block.header, name)
        for name in (
            "ledger_id", "epoch", "view", "height", "parent", "time_ms", "proposer", "first_index", "tree_size",
            "root", "entries_digest", "state_digest",
        )
    }  # fmt: skip
    return replace(block, header=encode_header(**fields | changes))


def age(block: ServedBlock) -> ServedBlock:
    """A header that differs in its time alone, under the true seal of the block it pretends to be."""
    return change_header(block, time_ms=block.header.time_ms + 1) if block.header.height == 6 else block


def age_last(block: ServedBlock) -> ServedBlock:
    return change_header(block, time_ms=block.header.time_ms + 1) if block.header.height == 12 else block


def claim_root(block: ServedBlock) -> ServedBlock:
    return change_header(block, root=bytes(32)) if block.header.height == 6 else block


def claim_proposer(block: ServedBlock) -> ServedBlock:
    return change_header(block, proposer=MemberIndex(len(NATIONS) + 1)) if block.header.height == 6 else block


@pytest.mark.parametrize(
    ("lie", "error", "field"),
    [
        (swap_entries, ProofError, "entries"),
        (flip_entry, ProofError, "blocks[6].entries"),
        (drop_entry, ProofError, "blocks[6].entries"),
        (flip_seal, LedgerError, "blocks[6].seal"),
        (age, ProofError, "blocks[7].header.parent"),
        (age_last, SignatureError, "blocks[12].seal"),
        (claim_root, ProofError, "blocks[6].root"),
        (claim_proposer, ProofError, "blocks[6].proposer"),
    ],
)
def test_a_lie_about_a_block_is_refused_and_nothing_of_its_run_is_kept(
    ledger: FakeLedger,
    tmp_path: Path,
    lie: Callable[[ServedBlock], ServedBlock],
    error: type[LedgerError],
    field: str,
) -> None:
    followed(tmp_path, ledger, 1)
    outcome = follow(tmp_path, LyingSource(ledger, lie))[0]
    assert isinstance(outcome.error, error)
    assert outcome.is_lie
    assert outcome.error.field.startswith("fake: ")
    assert field in outcome.error.field
    assert height_of(tmp_path) == 1
    with pytest.raises(LedgerError):
        conclude([outcome])
    followed(tmp_path, ledger)
    assert height_of(tmp_path) == ledger.height


@pytest.mark.parametrize("place", [0, 1])
def test_a_seal_swapped_for_another_blocks_is_refused(ledger: FakeLedger, tmp_path: Path, place: int) -> None:
    seals = (ledger.chain[5].seal, ledger.chain[7].seal)
    outcome = follow(
        tmp_path,
        LyingSource(ledger, lambda block: replace(block, seal=seals[place]) if block.header.height == 6 else block),
        fingerprint=ledger.fingerprint,
    )[0]
    assert isinstance(outcome.error, SignatureError)


@pytest.mark.parametrize("order", [lambda h: h + 1, lambda h: max(1, h - 1), lambda h: 2 if h == 1 else 1])
def test_blocks_in_another_order_are_refused(ledger: FakeLedger, tmp_path: Path, order: Callable[[int], int]) -> None:
    class Shuffled(LedgerSource):
        def block(self, height: int) -> ServedBlock:
            return super().block(min(order(height), self.height))

    outcome = follow(tmp_path, Shuffled(ledger), fingerprint=ledger.fingerprint)[0]
    assert outcome.is_lie
    assert height_of(tmp_path) == 0


def test_a_source_that_ends_too_early_is_named(ledger: FakeLedger, tmp_path: Path) -> None:
    class Short(LedgerSource):
        def read_blocks(self, *, first: Height, last: Height, size: TreeSize) -> Iterator[ServedBlock]:
            return super().read_blocks(first=first, last=Height(last - 3), size=size)

    outcome = follow(tmp_path, Short(ledger), fingerprint=ledger.fingerprint)[0]
    assert isinstance(outcome.error, ConditionError)
    assert f"blocks[{ledger.height - 2}]" in outcome.error.field
    assert height_of(tmp_path) == 0


def test_a_source_that_never_ends_is_left(ledger: FakeLedger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(syncing, "UNSEALED_BLOCKS_MAX", 8)
    asked: list[int] = []

    class Endless(LedgerSource):
        def read_blocks(self, *, first: Height, last: Height, size: TreeSize) -> Iterator[ServedBlock]:
            del first, last, size
            while True:
                asked.append(1)
                block = replace(self.block(1), seal=NO_SEAL)
                yield change_header(block, height=Height(len(asked)))

    outcome = follow(tmp_path, Endless(ledger), fingerprint=ledger.fingerprint)[0]
    assert isinstance(outcome.error, PolicyError)
    assert len(asked) == 9
    assert height_of(tmp_path) == 0


def test_a_source_that_says_more_than_was_asked_is_not_listened_to(ledger: FakeLedger, tmp_path: Path) -> None:
    class Talkative(LedgerSource):
        def read_blocks(self, *, first: Height, last: Height, size: TreeSize) -> Iterator[ServedBlock]:
            yield from super().read_blocks(first=first, last=last, size=size)
            raise AssertionError

    conclude(follow(tmp_path, Talkative(ledger), fingerprint=ledger.fingerprint))


@pytest.mark.parametrize(
    "change",
    [
        lambda raw: raw[:-10],
        lambda raw: raw.replace(b"observer.example/test\n", b"observer.example/tess\n", 1),
        lambda raw: raw.replace(b"\n29\n", b"\n28\n", 1),
        lambda _: b"",
        lambda raw: raw[:40] + bytes([raw[40] ^ 1]) + raw[41:],
        lambda raw: b"\n".join(line for line in raw.split(b"\n") if b"observer.example/test " not in line),
    ],
)
def test_a_changed_checkpoint_is_refused(ledger: FakeLedger, tmp_path: Path, change: Callable[[bytes], bytes]) -> None:
    source = LedgerSource(ledger)
    assert b"\n29\n" in source.notes[0]
    source.notes = [change(source.notes[0])]
    outcome = follow(tmp_path, source, fingerprint=ledger.fingerprint)[0]
    assert outcome.is_lie
    assert height_of(tmp_path) == 0
    with require_copy(tmp_path) as copy:
        assert copy.notes() == []


def test_one_good_source_is_enough_though_another_is_unreachable(ledger: FakeLedger, tmp_path: Path) -> None:
    class Silent(LedgerSource):
        def read_checkpoints(self) -> list[bytes]:
            raise ConditionError(field="checkpoint", found="x", expected="y", code=Code.UNREACHABLE)

    outcomes = follow(tmp_path, Silent(ledger, name="silent"), LedgerSource(ledger), fingerprint=ledger.fingerprint)
    assert [outcome.error is None for outcome in outcomes] == [False, True]
    conclude(outcomes)
    with pytest.raises(ConditionError, match=r"^silent: "):
        conclude(outcomes[:1])


# --- another history -------------------------------------------------------------------------------------------------


def test_a_second_history_at_a_known_height_is_refused_and_both_notes_are_kept(
    ledger: FakeLedger, tmp_path: Path
) -> None:
    followed(tmp_path, ledger)
    other = fork(ledger, 6)
    outcome = follow(tmp_path, LedgerSource(other, name="forked"))[0]
    assert isinstance(outcome.error, ProofError)
    assert outcome.error.field == "forked: checkpoint.block"
    (folder,) = list_evidence(tmp_path, "contradiction")
    assert str(folder) in outcome.error.expected
    assert (folder / "theirs.note").read_bytes() == other.note(6)
    ours = parse_note((folder / "ours.note").read_bytes())
    assert ours.text == parse_note(ledger.note(6)).text
    with require_copy(tmp_path) as copy:
        assert copy.head == ledger.chain[-1]
        assert [height for height, _ in copy.notes()] == [ledger.height]


def test_a_second_history_that_is_longer_is_refused_where_it_parts(ledger: FakeLedger, tmp_path: Path) -> None:
    """Neither note contradicts the other by itself: the headers between show that theirs stands on another block."""
    followed(tmp_path, ledger, 7)
    other = fork(ledger, 6, later=6)
    other.chain[8] = SealedHeader(other.chain[8].header, NO_SEAL)
    outcome = follow(tmp_path, LedgerSource(other))[0]
    assert outcome.error is not None
    assert outcome.error.field == "fake: checkpoint.parent"
    assert height_of(tmp_path) == 7
    (folder,) = list_evidence(tmp_path, "contradiction")
    assert parse_header_bundle((folder / "ours.headers").read_bytes()) == [ledger.chain[7]]
    assert parse_header_bundle((folder / "theirs.headers").read_bytes()) == other.chain[8:10]
    assert parse_note((folder / "theirs.note").read_bytes()).text == parse_note(other.note(9)).text


def test_a_block_that_stands_on_nothing_and_that_nobody_sealed_is_no_evidence(
    ledger: FakeLedger, tmp_path: Path
) -> None:
    followed(tmp_path, ledger, 5)
    lie = LyingSource(
        ledger, lambda block: change_header(block, parent=bytes(31) + b"x") if block.header.height == 6 else block
    )
    outcome = follow(tmp_path, lie)[0]
    assert outcome.error is not None
    assert "blocks[6].header.parent" in outcome.error.field
    assert list_evidence(tmp_path, "contradiction") == []


def test_a_second_history_below_an_unsealed_block_is_shown_with_the_headers_up_to_our_seal(
    ledger: FakeLedger, tmp_path: Path
) -> None:
    followed(tmp_path, ledger)
    other = fork(ledger, 3)
    assert other.height == 3
    other.chain[3] = SealedHeader(
        other.chain[3].header, other.founders.seal(seal_message(other.chain[3].header, ORIGIN))
    )
    outcome = follow(tmp_path, LedgerSource(other))[0]
    assert outcome.is_lie
    (folder,) = list_evidence(tmp_path, "contradiction")
    assert parse_header_bundle((folder / "ours.headers").read_bytes()) == ledger.chain[3:6]


def test_a_checkpoint_that_falls_behind_in_size_is_a_contradiction(ledger: FakeLedger, tmp_path: Path) -> None:
    followed(tmp_path, ledger)
    other = fork(ledger, 2, later=ledger.height)
    assert other.height > ledger.height
    assert len(other.entries) < len(ledger.entries)
    outcome = follow(tmp_path, LedgerSource(other))[0]
    assert outcome.error is not None
    assert outcome.error.field == "fake: checkpoint.size"
    assert len(list_evidence(tmp_path, "contradiction")) == 1
    assert follow(tmp_path, LedgerSource(other))[0].is_lie
    assert len(list_evidence(tmp_path, "contradiction")) == 1  # the same two notes


def test_a_checkpoint_over_another_sealed_block_than_those_served_is_a_contradiction(
    ledger: FakeLedger, tmp_path: Path
) -> None:
    followed(tmp_path, ledger, 2)
    other = fork(ledger, 6)
    source = LedgerSource(ledger, height=6)
    source.notes = [other.note(6)]
    outcome = follow(tmp_path, source)[0]
    assert outcome.error is not None
    assert outcome.error.field == "fake: checkpoint.block"
    assert len(list_evidence(tmp_path, "contradiction")) == 1
    assert height_of(tmp_path) == 2


def test_an_older_checkpoint_is_refused_and_both_notes_are_kept(ledger: FakeLedger, tmp_path: Path) -> None:
    followed(tmp_path, ledger)
    outcome = follow(tmp_path, LedgerSource(ledger, height=6, name="stale"))[0]
    assert isinstance(outcome.error, ConditionError)
    assert outcome.error.code is Code.NOT_READY
    assert not outcome.is_lie
    (folder,) = list_evidence(tmp_path, "behind")
    assert (folder / "theirs.note").read_bytes() == ledger.note(6)
    assert parse_note((folder / "ours.note").read_bytes()).text == parse_note(ledger.note()).text
    assert list_evidence(tmp_path, "contradiction") == []
    with require_copy(tmp_path) as copy:
        assert [height for height, _ in copy.notes()] == [ledger.height]


def test_notes_of_older_checkpoints_are_kept_up_to_a_number(
    ledger: FakeLedger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("observer.evidence.BEHIND_KEPT_MAX", 2)
    followed(tmp_path, ledger)
    for height in (1, 2, 5, 6):
        follow(tmp_path, LedgerSource(ledger, height=height))
    assert len(list_evidence(tmp_path, "behind")) == 2


# --- notes -----------------------------------------------------------------------------------------------------------


def test_a_note_gives_way_only_to_one_with_more_cosigners(ledger: FakeLedger, tmp_path: Path) -> None:
    def sync_with(cosigners: int) -> bytes:
        source = LedgerSource(ledger)
        source.notes = [ledger.note(cosigners=cosigners)]
        conclude(follow(tmp_path, source, fingerprint=ledger.fingerprint))
        with require_copy(tmp_path) as copy:
            return copy.notes()[0][1]

    assert sync_with(1) == ledger.note(cosigners=1)
    assert sync_with(3) == ledger.note(cosigners=3)
    assert sync_with(2) == ledger.note(cosigners=3)


def test_only_the_newest_notes_are_kept(ledger: FakeLedger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("observer.copy.NOTES_KEPT", 2)
    for height in (1, 2, 5, 6):
        followed(tmp_path, ledger, height)
    with require_copy(tmp_path) as copy:
        assert [height for height, _ in copy.notes()] == [6, 5]


def test_a_note_ahead_of_what_was_fetched_is_left_for_the_next_time(ledger: FakeLedger, tmp_path: Path) -> None:
    source = LedgerSource(ledger, height=5)
    source.notes = [ledger.note(5), ledger.note(7, cosigners=3)]
    conclude(follow(tmp_path, source, fingerprint=ledger.fingerprint))
    with require_copy(tmp_path) as copy:
        assert [height for height, _ in copy.notes()] == [5]


# --- what is said ----------------------------------------------------------------------------------------------------


def test_a_result_names_every_source_and_what_came_of_it(ledger: FakeLedger, tmp_path: Path) -> None:
    published, absent = ledger.publish(tmp_path / "published"), tmp_path / "empty"
    absent.mkdir()
    result = sync_home(tmp_path / "copy", [str(published), str(absent)], fingerprint=ledger.fingerprint, draw=draw)
    encoded = encode_sync(result)
    assert encoded["charter_fingerprint"] == ledger.fingerprint.hex()
    assert [source["code"] for source in encoded["sources"]] == [None, "NOT_FOUND"]
    lines = describe_sync(result, now_ms=Millis(ledger.chain[-1].header.time_ms + 61_000))
    assert lines[0].startswith(f"{published}: {ledger.height} blocks with {len(ledger.entries) - 1} entries")
    assert "[NOT_FOUND]" in lines[1]
    assert "61 s ago" in lines[2]


def test_an_error_keeps_its_code_when_its_source_is_named() -> None:
    error = ConditionError(field="checkpoint", found="x", expected="y", code=Code.TIMEOUT)
    named = blame("grpc://a:1", error)
    assert (type(named), named.code, named.field) == (ConditionError, Code.TIMEOUT, "grpc://a:1: checkpoint")


def test_what_a_source_serves_for_a_block_is_bounded(ledger: FakeLedger, monkeypatch: pytest.MonkeyPatch) -> None:
    header = ledger.chain[6].header
    entries = tuple(ledger.entries_of(6))
    assert make_block(header, b"", entries).entries == entries
    with pytest.raises(FormatError, match="seal"):
        make_block(header, bytes(47), entries)
    with pytest.raises(ProofError, match="entries"):
        make_block(header, b"", (*entries, b"x"))
    monkeypatch.setattr("observer.served.BLOCK_BYTES_MAX", 10)
    with pytest.raises(FormatError, match="at most 10 bytes"):
        make_block(header, b"", entries)


def test_two_syncs_of_one_copy_do_not_mix(ledger: FakeLedger, tmp_path: Path) -> None:
    followed(tmp_path, ledger, 5)
    first, second = require_copy(tmp_path), require_copy(tmp_path)
    conclude(sync(first, [LedgerSource(ledger)], draw=draw))
    with pytest.raises(ConditionError, match="no other process"):
        sync(second, [LedgerSource(ledger)], draw=draw)
    first.close()
    second.close()
    assert height_of(tmp_path) == ledger.height


def test_a_folder_that_is_not_there_costs_only_its_own_answer(ledger: FakeLedger, tmp_path: Path) -> None:
    published, missing = str(ledger.publish(tmp_path / "published")), str(tmp_path / "missing")
    draw = random.Random(3).randbytes
    result = sync_home(tmp_path / "copy", [missing, published], fingerprint=ledger.fingerprint, draw=draw)
    assert result.head == ledger.chain[-1]
    told = {outcome.source: outcome.error and outcome.error.code for outcome in result.outcomes}
    assert told == {published: None, missing: Code.UNREACHABLE}
    conclude(result.outcomes)  # it did not lie, and another could be followed
    with pytest.raises(ConditionError, match="missing"):
        sync_home(tmp_path / "copy", [missing], fingerprint=None, draw=draw)
