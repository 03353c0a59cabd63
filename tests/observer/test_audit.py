"""Audit: the rules run again over every byte, and one changed byte anywhere in the copy is found."""

import random
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from ledger.blocks import NO_SEAL, SealedHeader
from ledger.charter import parse_charter
from ledger.errors import Code, ConditionError, LedgerError, PolicyError, ProofError
from ledger.positions import Millis
from ledger.rules.apply import open_block
from ledger.verify import CAVEAT
from observer import audit as auditing
from observer.audit import AuditReport, audit_home, describe_audit, encode_audit
from observer.chain import verify_seals
from observer.copy import FILE, require_copy
from tests.ledger.rulebook import INTERVAL_S, NATIONS, NO_PARENT, SUBMIT_S, make_row, millis
from tests.observer.conftest import make_ledger
from tests.observer.fakeledger import FakeLedger, copy_of, die

draw = random.Random(9).randbytes


def check(home: Path, *, workers_count: int = 0) -> AuditReport:
    return audit_home(home, fingerprint=None, draw=draw, workers_count=workers_count)


def change(home: Path, query: str, *arguments: object) -> None:
    """Change the copy behind our back."""
    connection = sqlite3.connect(home / FILE)
    assert connection.execute(query, arguments).rowcount > 0
    connection.commit()
    connection.close()


def flip(raw: bytes, at: int) -> bytes:
    changed = bytearray(raw)
    changed[at] ^= 1
    return bytes(changed)


# --- what holds ------------------------------------------------------------------------------------------------------


def test_an_honest_ledger_holds_from_entry_0_to_its_end(ledger: FakeLedger, tmp_path: Path) -> None:
    report = check(copy_of(ledger, tmp_path))
    verdicts = [verdict for said in ledger.verdicts.values() for verdict in said]
    assert report.head == ledger.chain[-1].header
    assert report.entries_count == len(ledger.entries)
    assert report.verdicts_count == len(verdicts)
    assert report.seals_count == sum(sealed.seal != NO_SEAL for sealed in ledger.chain)
    assert report.cosignatures_count == len(NATIONS)
    assert report.has_transcript
    newest = [f"{said[-1].state} ({said[-1].assurance})" for said in ledger.verdicts.values()]
    assert report.states == {state: newest.count(state) for state in sorted(set(newest))}
    assert {"compliant (A0)", "missing (A0)"} <= set(report.states)


def test_an_audit_is_remembered_for_the_very_chain_it_was_of(ledger: FakeLedger, tmp_path: Path) -> None:
    with require_copy(copy_of(ledger, tmp_path)) as copy:
        assert copy.audited_height() is None
    check(tmp_path)
    with require_copy(tmp_path) as copy:
        assert copy.audited_height() == ledger.height
    change(tmp_path, "UPDATE meta SET value = ? WHERE key = 'audited'", make_ledger(seed=1).chain[5].header.raw)
    with require_copy(tmp_path) as copy:
        assert copy.audited_height() is None


@pytest.mark.parametrize("workers_count", [1, 2])
def test_other_processes_find_the_same(
    ledger: FakeLedger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers_count: int
) -> None:
    monkeypatch.setattr(auditing, "POOL_WORK_MIN", 1)
    monkeypatch.setattr(auditing, "WINDOW_BLOCKS", 2)
    home = copy_of(ledger, tmp_path)
    assert check(home, workers_count=workers_count) == check(home)
    change(home, "UPDATE blocks SET seal = ? WHERE height = 6", ledger.chain[5].seal)
    with pytest.raises(LedgerError, match=r"blocks\[6\]\.seal"):
        check(home, workers_count=workers_count)


def test_processes_that_die_are_done_without(
    ledger: FakeLedger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(auditing, "POOL_WORK_MIN", 1)
    monkeypatch.setattr(auditing, "WINDOW_BLOCKS", 2)
    monkeypatch.setattr(auditing, "check_signatures", die)
    home = copy_of(ledger, tmp_path)
    assert check(home, workers_count=1) == check(home)


@pytest.mark.parametrize("window", [1, 3, 256])
def test_how_blocks_are_taken_together_makes_no_difference(
    ledger: FakeLedger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, window: int
) -> None:
    home = copy_of(ledger, tmp_path)
    expected = check(home)
    seen: list[tuple[int, int]] = []
    monkeypatch.setattr(auditing, "WINDOW_ENTRIES", window)
    report = audit_home(
        home, fingerprint=None, draw=draw, workers_count=0, progress=lambda at, total: seen.append((at, total))
    )
    assert report == expected
    assert seen == sorted(seen)
    assert seen[-1] == (len(ledger.entries), len(ledger.entries))


def test_a_report_says_what_was_checked_and_what_it_does_not_show(ledger: FakeLedger, tmp_path: Path) -> None:
    report = check(copy_of(ledger, tmp_path))
    lines = describe_audit(report, elapsed_ms=Millis(1500))
    assert lines[0].endswith(ledger.fingerprint.hex())
    assert "1.5 s" in lines[1]
    assert "(A0)" in lines[2]
    assert lines[-1] == CAVEAT
    encoded = encode_audit(report, elapsed_ms=Millis(1500))
    assert encoded["caveat"] == CAVEAT
    assert encoded["states"] == report.states


# --- one changed byte ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("index", range(29))
def test_one_changed_byte_in_any_entry_is_found(ledger: FakeLedger, tmp_path: Path, index: int) -> None:
    home = copy_of(ledger, tmp_path)
    entry = ledger.entries[index]
    at = random.Random(index).randrange(len(entry))
    change(home, "UPDATE entries SET entry = ? WHERE position = ?", flip(entry, at), index)
    with pytest.raises(LedgerError):
        check(home)


@pytest.mark.parametrize(
    ("height", "part"),
    [*((height, "header") for height in (0, 1, 3, 6, 12)), *((height, "seal") for height in (1, 3, 6, 12))],
)
def test_one_changed_byte_in_any_header_or_seal_is_found(
    ledger: FakeLedger, tmp_path: Path, height: int, part: str
) -> None:
    home = copy_of(ledger, tmp_path)
    raw = ledger.chain[height].header.raw if part == "header" else ledger.chain[height].seal
    changed = flip(raw, random.Random(height).randrange(len(raw))) if raw else ledger.chain[6].seal
    change(home, f"UPDATE blocks SET {part} = ? WHERE height = ?", changed, height)
    with pytest.raises(LedgerError):
        check(home)


def test_a_changed_note_is_found(ledger: FakeLedger, tmp_path: Path) -> None:
    home = copy_of(ledger, tmp_path)
    change(home, "UPDATE notes SET note = ?", flip(ledger.note(cosigners=3), -20))
    with pytest.raises(ProofError, match="notes"):
        check(home)


def test_a_note_of_another_block_is_found(ledger: FakeLedger, tmp_path: Path) -> None:
    home = copy_of(ledger, tmp_path)
    change(home, "UPDATE notes SET note = ?", ledger.note(6))
    with pytest.raises(ProofError, match="notes"):
        check(home)


def test_a_changed_transcript_is_found(ledger: FakeLedger, tmp_path: Path) -> None:
    home = copy_of(ledger, tmp_path)
    change(home, "UPDATE meta SET value = ? WHERE key = 'transcript'", flip(ledger.founders.transcript, 40))
    with pytest.raises(PolicyError, match="transcript"):
        check(home)


@pytest.mark.parametrize(
    "query",
    [
        "DELETE FROM entries WHERE position = 7",
        "DELETE FROM blocks WHERE height = 7",
        "DELETE FROM blocks WHERE height = 12",
        "DELETE FROM blocks",
        "DELETE FROM entries",
        "UPDATE entries SET entry = 'text' WHERE position = 7",
        "UPDATE blocks SET header = 7",
        "UPDATE tiles SET hashes = zeroblob(length(hashes))",
        "DELETE FROM tiles",
        "DELETE FROM subjects WHERE kind = 'verdict'",
        "UPDATE subjects SET position = position - 1 WHERE kind = 'verdict' AND position > 8",
        "UPDATE meta SET value = zeroblob(32) WHERE key = 'charter'",
        "DELETE FROM meta WHERE key = 'charter'",
    ],
)
def test_a_copy_with_something_missing_or_moved_is_refused(ledger: FakeLedger, tmp_path: Path, query: str) -> None:
    home = copy_of(ledger, tmp_path)
    change(home, query)
    with pytest.raises(LedgerError):
        check(home)


def test_a_file_that_is_no_database_is_named(ledger: FakeLedger, tmp_path: Path) -> None:
    home = copy_of(ledger, tmp_path)
    (home / FILE).write_bytes(b"not a database at all" * 400)
    for suffix in ("-wal", "-shm"):
        (home / f"{FILE}{suffix}").unlink(missing_ok=True)
    with pytest.raises(ConditionError) as refused:
        check(home)
    assert refused.value.code is Code.STORE_DAMAGED


def test_a_copy_of_a_later_version_is_left_alone(ledger: FakeLedger, tmp_path: Path) -> None:
    home = copy_of(ledger, tmp_path)
    connection = sqlite3.connect(home / FILE)
    connection.execute("PRAGMA user_version = 9")
    connection.close()
    with pytest.raises(ConditionError) as refused:
        check(home)
    assert refused.value.code is Code.VERSION_MISMATCH


def test_another_fingerprint_is_refused(ledger: FakeLedger, tmp_path: Path) -> None:
    home = copy_of(ledger, tmp_path)
    with pytest.raises(PolicyError):
        audit_home(home, fingerprint=bytes(32), draw=draw, workers_count=0)
    audit_home(home, fingerprint=ledger.fingerprint, draw=draw, workers_count=0)


def test_without_a_copy_there_is_nothing_to_audit(tmp_path: Path) -> None:
    with pytest.raises(ConditionError) as refused:
        check(tmp_path)
    assert refused.value.code is Code.NOT_FOUND


# --- a quorum that lies ----------------------------------------------------------------------------------------------
# Everything below is sealed by the true group key: sync has no reason to refuse it, and the audit has.


def sealed_and_wrong(build: Callable[[FakeLedger], None], home: Path) -> Path:
    ledger = FakeLedger(snapshot_interval=0)
    ledger.grow(1)
    build(ledger)
    return copy_of(ledger, home)


def test_a_forged_signature_that_a_quorum_sealed_is_found(tmp_path: Path) -> None:
    def build(ledger: FakeLedger) -> None:
        entry = ledger.report("lab-0", 1, [make_row("lab-0-a"), make_row("lab-0-b")])
        signature = entry.index(b'"sig":"') + 7
        other = ledger.report("lab-0", 1, [make_row("lab-0-a")])
        stolen = other[other.index(b'"sig":"') + 7 :][:88]
        ledger.extend(millis(2 * INTERVAL_S + 5), [entry[:signature] + stolen + entry[signature + 88 :]])

    with pytest.raises(ProofError, match="SIGNATURE"):
        check(sealed_and_wrong(build, tmp_path))


def test_a_report_by_nobody_that_a_quorum_sealed_is_found(tmp_path: Path) -> None:
    with pytest.raises(ProofError, match=r"blocks\[\d+\]\.entries\[0\]"):
        check(sealed_and_wrong(lambda ledger: ledger.extend(millis(INTERVAL_S + 90), [b"nonsense"]), tmp_path))


def test_a_verdict_that_a_quorum_left_out_is_found(tmp_path: Path) -> None:
    def build(ledger: FakeLedger) -> None:
        ledger.extend(millis(2 * INTERVAL_S + SUBMIT_S), [])

    with pytest.raises(ProofError, match="the computed entry with leaf hash"):
        check(sealed_and_wrong(build, tmp_path))


def test_a_verdict_that_a_quorum_improved_is_found(tmp_path: Path) -> None:
    def build(ledger: FakeLedger) -> None:
        time_ms = millis(2 * INTERVAL_S + SUBMIT_S)
        opening = open_block(ledger.state, time_ms=time_ms, parent=NO_PARENT)[1]
        assert any(b'"pending"' in entry for entry in opening)
        ledger.extend(time_ms, [entry.replace(b'"pending"', b'"compliant"') for entry in opening])

    with pytest.raises(ProofError, match="the computed entry with leaf hash"):
        check(sealed_and_wrong(build, tmp_path))


def test_a_verdict_that_a_quorum_invented_is_found(tmp_path: Path) -> None:
    def build(ledger: FakeLedger) -> None:
        verdict = next(entry for entry in ledger.entries if b'"compliant"' in entry)
        ledger.extend(millis(INTERVAL_S + 90), [verdict])

    with pytest.raises(ProofError, match="COMPUTED_ONLY"):
        check(sealed_and_wrong(build, tmp_path))


def test_a_false_state_digest_that_a_quorum_sealed_is_found(tmp_path: Path) -> None:
    ledger = FakeLedger(snapshot_interval=2)
    ledger.snapshot_interval = 3
    ledger.grow(1)
    with pytest.raises(ProofError, match="state_digest"):
        check(copy_of(ledger, tmp_path))


def test_a_time_that_falls_is_found_at_sync_already(tmp_path: Path) -> None:
    ledger = FakeLedger(snapshot_interval=0)
    ledger.grow(1)
    ledger.extend(Millis(ledger.chain[-1].header.time_ms - 1), [])
    with pytest.raises(ProofError, match="time_ms"):
        copy_of(ledger, tmp_path)


def test_seals_are_checked_one_by_one_to_name_the_false_one(ledger: FakeLedger) -> None:
    sealed = [each for each in ledger.chain if each.seal != NO_SEAL]
    parsed = parse_charter(ledger.charter_entry)
    verify_seals(ledger.chain, charter=parsed, draw=draw)
    swapped = [*sealed[:2], SealedHeader(sealed[2].header, sealed[3].seal), *sealed[3:]]
    with pytest.raises(LedgerError, match=rf"blocks\[{sealed[2].header.height}\]\.seal"):
        verify_seals(swapped, charter=parsed, draw=draw)
