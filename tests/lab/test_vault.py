"""`lab.vault`: what was sent can always be opened, is sent again byte for byte, and is never told twice differently."""

import itertools
import stat
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from lab import vault as vault_module
from lab.classification import parse_use_mapping
from lab.records import Bounds, Job, merge_jobs
from lab.reports import Cluster, Draft, History, Terms, build_report, compose_report
from lab.stored import Progress, StoredReport, compute_leaf, open_record, read_hidden, verify_stored
from lab.vault import Vault, draw_salt, open_vault
from ledger.charter import Accelerator
from ledger.disclosure import RecordsRoot, verify_record
from ledger.errors import Code, ConditionError, FormatError, LedgerError, PolicyError, ProofError
from ledger.positions import Interval, LeafIndex, Seconds
from ledger.positions import Sequence as SequenceNumber
from ledger.statements.dsse import parse_envelope, sign_envelope
from ledger.statements.intoto import Corrects
from ledger.statements.reports import parse_report

KEY = Ed25519PrivateKey.from_private_bytes(b"\x05" * 32)
LEDGER, OTHER_LEDGER = "11" * 32, "22" * 32
H100 = Accelerator(model="h100", peak_gflops=1_000_000, tdp_w=700, idle_w=70)
MAPPING = parse_use_mapping(b'[[rule]]\nuse = "training"\nutilisation_permille = 500\n')

_NUMBERS = itertools.count(1)


def fresh_salt(size: int) -> bytes:
    return next(_NUMBERS).to_bytes(size, "big")


def draft_of(
    interval: int = 0, *, gpus: int = 8, salts: Callable[[int], bytes] = fresh_salt, history: History | None = None
) -> Draft:
    start = Seconds(100 * interval)
    jobs = [
        Job(
            "hall",
            f"{interval}-{number}",
            "COMPLETED",
            start,
            Seconds(start + 10 * number),
            {"h100": gpus},
            1,
            1,
            name="big",
        )
        for number in (1, 2, 3)
    ]
    return build_report(
        merge_jobs(jobs),
        terms=Terms(Interval(interval), Bounds(start, Seconds(start + 100)), {"h100": H100}, ()),
        clusters=[Cluster("hall-1", ("hall",), {"h100": 64})],
        mapping=MAPPING,
        draw_salt=salts,
        history=history,
    )


def sign(
    draft: Draft, *, sequence: int = 0, ledger: str = LEDGER, lab: str = "lab-a", corrects: str | None = None
) -> bytes:
    payload = compose_report(
        draft,
        ledger=ledger,
        lab=lab,
        sequence=SequenceNumber(sequence),
        previous="00" * 32,
        issued_at=Seconds(0),
        corrects=None if corrects is None else Corrects(corrects, "a correction"),
    )
    return sign_envelope(payload, [(KEY.public_key().public_bytes_raw(), KEY.sign)])


def add(
    vault: Vault, interval: int = 0, *, sequence: int | None = None, **changes: Any
) -> StoredReport:  # Any: of sign
    draft = draft_of(interval)
    return vault.add(draft, sign(draft, sequence=interval if sequence is None else sequence, **changes))


@pytest.fixture
def vault(tmp_path: Path) -> Iterator[Vault]:
    with open_vault(tmp_path / "vault") as opened:
        yield opened


def test_what_was_added_is_on_disk_whole_and_for_its_owner_alone(vault: Vault, tmp_path: Path) -> None:
    stored = add(vault)
    (path,) = (tmp_path / "vault").glob("*.json")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert list(Vault(tmp_path / "vault").read_all()) == [stored]
    verify_stored(stored)


def test_the_vault_opens_every_field_and_every_record_of_what_was_signed(vault: Vault) -> None:
    stored = add(vault)
    (row,) = parse_report(parse_envelope(stored.envelope).payload).predicate.rows
    (opening,) = stored.rows
    assert read_hidden(opening).busy_chip_seconds == 8 * (10 + 20 + 30)
    root = RecordsRoot(bytes.fromhex(row.records.root), row.records.count)
    for number, record in enumerate(opening.records):
        verify_record(root, record.encode(), open_record(opening, LeafIndex(number)))
    with pytest.raises(ProofError):
        verify_record(root, opening.records[0].encode(), open_record(opening, LeafIndex(1)))


def test_after_a_crash_the_very_same_bytes_are_sent_again(vault: Vault, tmp_path: Path) -> None:
    built = add(vault)
    vault.mark_submitted(add(vault, 1))
    vault.mark_sealed(add(vault, 2), b"receipt")
    reopened = Vault(tmp_path / "vault")
    waiting = reopened.read_pending(LEDGER)
    assert [(one.sequence, one.progress) for one in waiting] == [(0, Progress.BUILT), (1, Progress.SUBMITTED)]
    assert waiting[0].envelope == built.envelope
    assert reopened.read_pending(OTHER_LEDGER) == ()


def test_adding_the_same_statement_again_changes_nothing(vault: Vault) -> None:
    draft = draft_of()
    envelope = sign(draft)
    sealed = vault.mark_sealed(vault.add(draft, envelope), b"receipt")
    assert vault.add(draft, envelope) == sealed
    assert len(list(vault.read_all())) == 1


def test_nothing_is_kept_unless_it_is_durable(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise ConditionError(field="file", found="full", expected="space", code=Code.DISK_FULL)

    monkeypatch.setattr(vault_module, "write_atomically", refuse)
    with pytest.raises(ConditionError):
        add(vault)
    assert list(vault.read_all()) == []


def test_a_second_story_under_one_sequence_number_is_refused(vault: Vault) -> None:
    add(vault)
    with pytest.raises(PolicyError) as caught:
        add(vault, 1, sequence=0)
    assert caught.value.code is Code.EQUIVOCATION
    add(vault, 1, sequence=0, ledger=OTHER_LEDGER)


def test_a_second_report_of_an_interval_is_refused_but_a_correction_is_not(vault: Vault) -> None:
    first = add(vault)
    with pytest.raises(PolicyError) as caught:
        add(vault, 0, sequence=1)
    assert caught.value.code is Code.INTERVAL_ALREADY_REPORTED
    correction = add(vault, 0, sequence=1, corrects=first.leaf)
    assert vault.find_latest(LEDGER, Interval(0)) == correction
    assert vault.find_latest(LEDGER, Interval(1)) is None


def test_what_the_rules_refused_frees_its_sequence_number_and_is_not_sent_again(vault: Vault) -> None:
    refused = vault.mark_refused(add(vault), "WRONG_PREVIOUS")
    assert vault.read_pending(LEDGER) == ()
    assert vault.find_last(LEDGER) is None
    second = add(vault, 0)
    with pytest.raises(PolicyError) as caught:
        vault.mark_submitted(refused)
    assert caught.value.code is Code.EQUIVOCATION
    assert vault.find_last(LEDGER) == second


def test_what_is_sealed_stays_sealed(vault: Vault) -> None:
    stored = add(vault)
    sealed = vault.mark_sealed(vault.mark_submitted(stored), b"receipt")
    assert (sealed.progress, sealed.receipt) == (Progress.SEALED, b"receipt")
    assert vault.mark_submitted(stored) == sealed
    assert vault.mark_refused(stored, "late answer") == sealed


def test_the_last_statement_is_the_one_the_next_follows(vault: Vault) -> None:
    assert vault.find_last(LEDGER) is None
    add(vault, 0)
    last = add(vault, 1)
    assert vault.find_last(LEDGER) == last


def test_history_counts_each_interval_once_with_its_latest_correction(vault: Vault) -> None:
    first = add(vault, 0)
    draft = draft_of(0, gpus=16)
    vault.add(draft, sign(draft, sequence=1, corrects=first.leaf))
    second = draft_of(1, gpus=4)
    vault.add(second, sign(second, sequence=2))
    assert vault.read_history(LEDGER, Interval(0)) == History()
    assert vault.read_history(LEDGER, Interval(1)).runs == {("hall-1", "big"): 480}
    history = vault.read_history(LEDGER, Interval(2))
    assert history.runs == {("hall-1", "big"): 480 + 120}
    assert history.before["hall-1"].training_pflop == 120
    assert vault.read_history(LEDGER, Interval(3)).before == {}
    assert vault.read_history(OTHER_LEDGER, Interval(2)) == History()
    third = draft_of(2, history=history)
    assert third.rows[0].hidden.runs[0].cumulative_pflop == 480 + 120 + 240


def test_a_salt_used_in_another_statement_is_refused(vault: Vault) -> None:
    numbers = itertools.count(10**6)
    draft = draft_of(0, salts=lambda size: next(numbers).to_bytes(size, "big"))
    vault.add(draft, sign(draft))
    numbers = itertools.count(10**6 + 14)  # a restored snapshot: the source gives some of the same numbers again
    again = draft_of(1, salts=lambda size: next(numbers).to_bytes(size, "big"))
    with pytest.raises(FormatError, match="salt") as caught:
        vault.add(again, sign(again, sequence=1))
    assert "was used in statement" in caught.value.found
    assert len(list(vault.read_all())) == 1


def test_a_salt_used_twice_in_one_statement_is_refused(vault: Vault) -> None:
    numbers = itertools.count(2 * 10**6)
    values = [next(numbers).to_bytes(16, "big") for _ in range(14)]
    source = iter([*values, values[-1]])  # the last two records share a salt
    draft = draft_of(salts=lambda _: next(source))
    with pytest.raises(FormatError, match="salt"):
        vault.add(draft, sign(draft))


def test_salts_come_from_a_source_that_gives_what_was_asked_for() -> None:
    assert len(draw_salt(16)) == 16
    assert draw_salt(16) != draw_salt(16)
    for broken in (lambda _: b"short", bytes, lambda size: b"\x01" * (size + 1)):
        with pytest.raises(ConditionError):
            draw_salt(16, source=broken)


def test_a_draft_that_does_not_open_the_envelope_is_refused(vault: Vault) -> None:
    draft, other = draft_of(0), draft_of(0)
    with pytest.raises(ProofError):
        vault.add(other, sign(draft))
    (row,) = draft.rows
    for broken in (
        replace(row, records=row.records[::-1]),
        replace(row, records=row.records[:-1]),
        replace(row, record_salts=row.record_salts[::-1]),
        replace(row, record_salts=row.record_salts[:-1]),
        replace(row, disclosures=dict(list(row.disclosures.items())[1:])),
        replace(row, disclosures=dict(zip(row.disclosures, list(row.disclosures.values())[::-1], strict=True))),
    ):
        with pytest.raises(LedgerError):
            vault.add(replace(draft, rows=(broken,)), sign(draft))
    assert list(vault.read_all()) == []


def test_an_envelope_that_is_no_report_is_refused(vault: Vault) -> None:
    draft = draft_of()
    payload = parse_envelope(sign(draft)).payload.replace(b"counterseal:report:", b"counterseal:rumour:")
    with pytest.raises(FormatError):
        vault.add(draft, sign_envelope(payload, [(KEY.public_key().public_bytes_raw(), KEY.sign)]))


def test_a_damaged_file_is_called_damaged(vault: Vault, tmp_path: Path) -> None:
    stored = add(vault)
    (path,) = (tmp_path / "vault").glob("*.json")
    whole = path.read_bytes()
    wrong_leaf = msgspec.json.encode(msgspec.structs.replace(stored, leaf="00" * 32))
    for damaged in (whole[:-1], b"", b"{}", whole.replace(b'"version":1', b'"version":2'), wrong_leaf):
        path.write_bytes(damaged)
        with pytest.raises(FormatError) as caught:
            list(vault.read_all())
        assert caught.value.code is Code.STORE_DAMAGED


def test_a_changed_secret_in_the_file_is_found_by_verification(vault: Vault) -> None:
    stored = add(vault)
    (row,) = stored.rows
    changed = msgspec.structs.replace(row, records=(row.records[0].replace("COMPLETED", "CANCELLED"), *row.records[1:]))
    with pytest.raises(FormatError, match="records"):
        verify_stored(msgspec.structs.replace(stored, rows=(changed,)))
    with pytest.raises(FormatError, match="clusters"):
        verify_stored(msgspec.structs.replace(stored, rows=()))
    with pytest.raises(FormatError, match="own names"):
        verify_stored(msgspec.structs.replace(stored, sequence=9))


def test_two_processes_cannot_open_one_vault(tmp_path: Path) -> None:
    with open_vault(tmp_path), pytest.raises(ConditionError, match="another process"), open_vault(tmp_path):
        pytest.fail("the second one was let in")
    with open_vault(tmp_path):
        pass


def test_a_statement_nobody_added_is_not_found(vault: Vault) -> None:
    with pytest.raises(ConditionError) as caught:
        vault.read(compute_leaf(b"nothing"))
    assert caught.value.code is Code.NOT_FOUND


def test_overrides_findings_and_a_replay_are_kept(vault: Vault) -> None:
    draft = replace(draft_of(), overrides={"X11": "a reason"}, shift_s=-5)
    stored = vault.add(draft, sign(draft))
    assert vault.read(stored.leaf) == stored
    assert (stored.overrides, stored.shift_s) == ({"X11": "a reason"}, -5)
    assert any("X4 hall-1" in finding for finding in stored.findings)
