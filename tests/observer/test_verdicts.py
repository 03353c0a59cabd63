"""Verdicts asked for by lab, cluster and interval: what is found, what is refused, and how little is read."""

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

import counterseal
from ledger.errors import Code, ConditionError, FormatError, ProofError
from ledger.positions import Interval
from ledger.verify import CAVEAT
from observer.copy import FILE, Copy, require_copy
from observer.verdicts import (
    INTERVALS_ASKED_MAX,
    FoundVerdict,
    describe_verdicts,
    encode_verdicts,
    find_verdicts,
)
from tests.observer.fakeledger import FakeLedger, copy_of

HISTORY = 50_000


@pytest.fixture
def home(ledger: FakeLedger, tmp_path: Path) -> Path:
    return copy_of(ledger, tmp_path / "copy")


@pytest.fixture
def copy(home: Path) -> Iterator[Copy]:
    with require_copy(home) as copy:
        yield copy


def ask(copy: Copy, *, lab: str, cluster: str | None, first: int, last: int) -> list[FoundVerdict]:
    return find_verdicts(copy, lab=lab, cluster=cluster, first=Interval(first), last=Interval(last))


def test_one_verdict_is_the_newest_on_its_cluster_and_interval(ledger: FakeLedger, copy: Copy) -> None:
    for (lab, cluster, interval), said in ledger.verdicts.items():
        (found,) = ask(copy, lab=lab, cluster=cluster, first=interval, last=interval)
        assert found.verdict == said[-1]
        assert copy.entries(found.index, 1) == list(copy.proven_entries([found.index]))


def test_a_lab_is_found_with_all_its_clusters_over_a_range(ledger: FakeLedger, copy: Copy) -> None:
    for cluster in (None, "lab-0-b"):
        found = ask(copy, lab="lab-0", cluster=cluster, first=1, last=9)
        wanted = {
            key: said[-1]
            for key, said in ledger.verdicts.items()
            if key[0] == "lab-0" and key[2] >= 1 and cluster in {None, key[1]}
        }
        assert [each.verdict for each in found] == [wanted[key] for key in sorted(wanted)]


@pytest.mark.parametrize(
    ("lab", "cluster", "first", "last"),
    [("lab-9", None, 0, 3), ("lab-0", "lab-1-a", 0, 3), ("lab-0", None, 70, 75), ("lab", None, 0, 3)],
)
def test_what_nothing_was_said_of_is_not_found(
    copy: Copy, lab: str, cluster: str | None, first: int, last: int
) -> None:
    with pytest.raises(ConditionError) as refused:
        ask(copy, lab=lab, cluster=cluster, first=first, last=last)
    assert refused.value.code is Code.NOT_FOUND


@pytest.mark.parametrize(("first", "last"), [(1, 0), (0, INTERVALS_ASKED_MAX), (0, 2**31)])
def test_too_many_intervals_and_none_are_refused(copy: Copy, first: int, last: int) -> None:
    with pytest.raises(ConditionError) as refused:
        ask(copy, lab="lab-0", cluster=None, first=first, last=last)
    assert refused.value.code is Code.CONFIG


@pytest.mark.parametrize(("lab", "cluster"), [("lab-0/lab-0-a", None), ("", None), ("lab-0", "%"), ("lab-0", "A")])
def test_what_is_no_id_is_refused(copy: Copy, lab: str, cluster: str | None) -> None:
    with pytest.raises(FormatError):
        ask(copy, lab=lab, cluster=cluster, first=0, last=0)


def test_an_index_that_leads_to_another_verdict_is_refused(home: Path) -> None:
    with sqlite3.connect(home / FILE) as connection:
        connection.execute(
            "UPDATE subjects SET position = (SELECT position FROM subjects WHERE name = 'lab-1/lab-1-a/0')"
            " WHERE name = 'lab-0/lab-0-a/0'"
        )
    connection.close()
    with require_copy(home) as copy, pytest.raises(ProofError):
        ask(copy, lab="lab-0", cluster="lab-0-a", first=0, last=0)


def _count_steps(home: Path) -> int:
    """Steps of SQLite's machine that a whole lab over three intervals takes."""
    steps = 0

    def count() -> int:
        nonlocal steps
        steps += 1
        return 0

    with require_copy(home) as copy:
        copy._connection.set_progress_handler(count, 1)
        ask(copy, lab="lab-0", cluster=None, first=0, last=2)
        copy._connection.set_progress_handler(None, 1)
    return steps


def test_a_query_reads_no_more_when_a_thousand_times_as_much_was_said(home: Path) -> None:
    before = _count_steps(home)
    with sqlite3.connect(home / FILE) as connection:
        connection.executemany(
            "INSERT INTO subjects VALUES ('verdict', ?, ?)",
            (
                (name, 1_000_000 + number)
                for number in range(HISTORY)
                for name in (f"lab-0/lab-0-a/{1_000 + number}", f"lab-00/a/{number}", f"lab-1/lab-1-b/{1_000 + number}")
            ),
        )
    connection.close()
    assert _count_steps(home) == before


@pytest.mark.parametrize(
    ("query", "arguments", "plan"),
    [
        (
            "SELECT max(position) FROM subjects WHERE kind = ? AND name = ?",
            ("verdict", "a/b/1"),
            "SEARCH subjects USING PRIMARY KEY (kind=? AND name=?)",
        ),
        (
            "SELECT min(name) FROM subjects WHERE kind = ? AND name >= ?",
            ("verdict", "a/"),
            "SEARCH subjects USING PRIMARY KEY (kind=? AND name>?)",
        ),
    ],
)
def test_every_lookup_goes_down_the_primary_key(home: Path, query: str, arguments: tuple[str, str], plan: str) -> None:
    connection = sqlite3.connect(home / FILE)
    asked: list[str] = []
    with require_copy(home) as copy:
        copy._connection.set_trace_callback(asked.append)
        ask(copy, lab="lab-0", cluster=None, first=0, last=0)
    shape = query.partition(" WHERE")[0]
    assert any(each.startswith(shape) for each in asked), "the copy asks otherwise by now"
    steps = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {query}", arguments)]
    connection.close()
    assert [step for step in steps if "subjects" in step] == [plan]


def test_verdicts_are_told_in_lines_and_as_json(copy: Copy) -> None:
    found = ask(copy, lab="lab-0", cluster=None, first=2, last=2)
    lines = describe_verdicts(found)
    assert lines[0].startswith("lab-0-a interval 2: missing (A0): NOT_FILED_BY_GRACE; said ")
    assert lines[-1] == CAVEAT
    encoded = json.loads(json.dumps(encode_verdicts(found)))
    assert [each["cluster"] for each in encoded["verdicts"]] == ["lab-0-a", "lab-0-b"]
    assert encoded["caveat"] == CAVEAT


def run(*words: object) -> int:
    with pytest.raises(SystemExit) as left:
        counterseal.main([str(word) for word in words])
    return int(left.value.code or 0)


def test_the_command_shows_them(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("observe", "verdicts", "--home", home, "--lab", "lab-0", "--interval", 0)
    assert run(*words, "--until", 1, "--cluster", "lab-0-a") == 0
    out = capsys.readouterr().out.splitlines()
    assert [text.split(":")[0] for text in out[:2]] == ["lab-0-a interval 0", "lab-0-a interval 1"]
    assert run(*words, "--json") == 0
    assert len(json.loads(capsys.readouterr().out)["verdicts"]) == 2
