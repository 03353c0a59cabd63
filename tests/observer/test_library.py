"""The library: what it promises is there, its examples run, and nothing unproven leaves it."""

import base64
import inspect
import json
import re
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

import observer
from ledger.errors import Code, ConditionError, ProofError
from ledger.merkle import leaf_hash
from observer import Entry, LedgerError, audit_copy, open_observer, sync_copy, verify_certificate
from observer.copy import FILE
from tests.observer.fakeledger import FakeLedger, copy_of

ROOT = Path(__file__).resolve().parents[2]
LIMIT_S = 60


@pytest.fixture
def home(ledger: FakeLedger, tmp_path: Path) -> Path:
    return copy_of(ledger, tmp_path / "copy")


def run_example(name: str, *words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(ROOT / "examples" / "library" / name), *map(str, words)],
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
        timeout=LIMIT_S,
    )


def test_every_name_of_the_library_is_there_and_documented() -> None:
    page = (ROOT / "docs" / "library.md").read_text(encoding="utf-8")
    for name in observer.__all__:
        assert getattr(observer, name) is not None
        assert re.search(rf"`{name}\b", page), f"{name} is not in docs/library.md"
    for name, member in inspect.getmembers(observer.Observer):
        if not name.startswith("_") and name != "close":
            assert inspect.getdoc(member)
            assert re.search(rf"`{name}\b", page), f"Observer.{name} is not in docs/library.md"
    with pytest.raises(AttributeError, match="no attribute 'anything'"):
        _ = observer.anything


def test_a_name_costs_nothing_before_it_is_used() -> None:
    program = "import observer, sys; print(sorted({'grpc', 'httpx', 'sqlite3', 'observer.sync'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_entries_are_what_the_ledger_holds(ledger: FakeLedger, home: Path) -> None:
    with open_observer(home, fingerprint=ledger.fingerprint.hex()) as mine:
        assert len(mine) == len(ledger.entries)
        assert mine.height == ledger.height
        found = list(mine.entries())
        assert [entry.raw for entry in found] == ledger.entries
        assert [entry.leaf for entry in found] == [leaf_hash(entry) for entry in ledger.entries]
        assert [mine.entry(entry.index) for entry in found] == found
        assert found[0].kind == "charter"
        reports = list(mine.entries(kinds=("report",), issuer="lab-0"))
        assert reports == [entry for entry in found if (entry.kind, entry.issuer) == ("report", "lab-0")]
        assert reports[0].subject == "lab-0/0"
        assert reports[0].statement["predicate"]["interval"] == 0
        verdict = next(entry for entry in found if entry.kind == "verdict")
        assert verdict.issuer is None
        assert json.loads(verdict.raw) == verdict.statement
        assert [entry.index for entry in mine.entries(first=5)] == list(range(5, len(ledger.entries)))


def test_verdicts_receipts_and_certificates_are_those_of_the_commands(ledger: FakeLedger, home: Path) -> None:
    with open_observer(home) as mine:
        found = mine.verdicts("lab-0", first=0, last=3)
        assert {one.verdict.interval for one in found} == {0, 1, 2, 3}
        assert mine.verdicts("lab-0", first=1, cluster="lab-0-a")[0].verdict.cluster == "lab-0-a"
        assert mine.receipt(found[0].index).verified.entry == mine.entry(found[0].index).raw
        raw = mine.certificate("lab-0", "lab-0-a", 1)
        assert verify_certificate(raw, charter_fingerprint=ledger.fingerprint).verdict.interval == 1
        assert mine.board(now_ms=mine.sealed_at_ms).verdicts
        assert mine.charter.fingerprint == ledger.fingerprint.hex()


@pytest.mark.parametrize("index", [-1, 10**9])
def test_an_entry_that_is_not_there_is_not_made_up(home: Path, index: int) -> None:
    with open_observer(home) as mine:
        for ask in (mine.entry, mine.receipt):
            with pytest.raises(ConditionError) as caught:
                ask(index)
            assert caught.value.code is Code.NOT_FOUND


def test_a_copy_that_somebody_edited_gives_nothing(home: Path) -> None:
    with sqlite3.connect(home / FILE) as store:
        store.execute("UPDATE entries SET entry = ? WHERE position = 3", (b"{}",))
    store.close()
    with open_observer(home) as mine, pytest.raises(ProofError):
        list(mine.entries())
    with pytest.raises(LedgerError):
        audit_copy(home, workers_count=0)


def test_a_ledger_is_followed_and_audited(ledger: FakeLedger, tmp_path: Path) -> None:
    published = str(ledger.publish(tmp_path / "published"))
    result = sync_copy(tmp_path / "copy", published, fingerprint=ledger.fingerprint.hex())
    assert [outcome.error for outcome in result.outcomes] == [None]
    report = audit_copy(tmp_path / "copy", workers_count=0)
    assert report.entries_count == len(ledger.entries)


def test_the_examples_run(ledger: FakeLedger, tmp_path: Path) -> None:
    published, home = ledger.publish(tmp_path / "published"), tmp_path / "copy"
    followed = run_example("follow.py", home, ledger.fingerprint.hex(), published)
    assert (followed.returncode, followed.stderr) == (0, "")
    assert followed.stdout.splitlines()[0] == f"{published}: as it should be"
    astray = run_example("follow.py", home, ledger.fingerprint.hex(), tmp_path / "nowhere")
    assert astray.returncode != 0
    late = run_example("late.py", home)
    assert (late.returncode, late.stderr) == (0, "")
    assert {line.partition(":")[0] for line in late.stdout.splitlines()} == {"lab-0", "lab-1"}
    handed = run_example("hand_on.py", home, tmp_path / "handed")
    assert (handed.returncode, handed.stderr) == (0, "")
    assert sorted(path.name for path in (tmp_path / "handed").iterdir()) == [
        f"{lab}.{end}" for lab in ("lab-0", "lab-1") for end in ("entry", "tlog-proof")
    ]
    assert len(handed.stdout.splitlines()) == 2


def test_an_entry_says_what_it_is() -> None:
    assert set(Entry.__slots__) == {"index", "leaf", "raw", "kind", "subject", "issuer", "statement"}


@pytest.mark.parametrize(
    "payload", [b"[1]", b"7", b'{"subject":[],"predicate":{}}', b'{"subject":[{"name":1}],"predicate":[]}']
)
def test_a_sealed_entry_that_is_no_statement_is_refused_in_words(payload: bytes, tmp_path: Path) -> None:
    ledger = FakeLedger(seed=5)
    envelope = json.loads(ledger.charter_entry) | {"payload": base64.b64encode(payload).decode()}
    ledger.extend(ledger.chain[-1].header.time_ms, [json.dumps(envelope, separators=(",", ":")).encode()])
    with open_observer(copy_of(ledger, tmp_path / "copy")) as mine:
        assert mine.entry(0).kind.startswith("charter")
        with pytest.raises(LedgerError):
            mine.entry(1)
