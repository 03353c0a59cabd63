"""The example queries, run by DuckDB on an export of the golden year, against answers worked out without either."""

import itertools
import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from statistics import median_low
from typing import Any

import duckdb
import pytest

from devnet.year.cast import NATIONS
from ledger.merkle import leaf_hash
from ledger.positions import Height, LeafIndex
from ledger.statements.committee import APPROVAL, parse_approval
from ledger.statements.dsse import parse_envelope
from ledger.statements.intoto import find_kind
from ledger.statements.pauses import LAB_PLEDGE, PAUSE_ACCESSION, parse_lab_pledge, parse_pause_accession
from ledger.statements.reports import CORRECTION, REPORT, Report, parse_correction, parse_report
from ledger.statements.verdicts import VERDICT, Verdict, VerdictState, parse_verdict
from observer.copy import Copy, require_copy
from observer.export.exporting import export_home
from observer.subjects import read_subject
from tests.conftest import REPOSITORY
from tests.devnet.history import read_history
from tests.observer.exporting import copy_year, grow_copy
from tests.observer.fakeledger import FakeLedger

QUERIES = REPOSITORY / "examples" / "queries"
Row = tuple[Any, ...]


class Answers:
    """A copy, and the answers of its export."""

    def __init__(self, home: Path, folder: Path) -> None:
        self.home, self.folder = home, folder
        export_home(home, folder, range_width=256)
        self.connection = duckdb.connect()
        self.connection.execute(f"SET file_search_path = '{folder}'")

    def ask(self, name: str) -> list[Row]:
        rows: list[Row] = self.connection.execute((QUERIES / f"{name}.sql").read_text(encoding="utf-8")).fetchall()
        return rows

    def copy(self) -> Copy:
        return require_copy(self.home)

    def entries(self) -> list[bytes]:
        with self.copy() as copy:
            return list(copy.proven_entries([LeafIndex(index) for index in range(copy.tree.size)]))


@pytest.fixture(scope="module")
def year(tmp_path_factory: pytest.TempPathFactory) -> Answers:
    folder = tmp_path_factory.mktemp("year")
    return Answers(copy_year(read_history(), folder / "copy"), folder / "tables")


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Answers:
    """A ledger on which labs are late, miss several intervals in a row, and correct themselves."""
    folder = tmp_path_factory.mktemp("small")
    ledger = FakeLedger()
    for number in range(2):
        ledger.register(-50 + number, f"lab-{number}", [f"lab-{number}-a"])
    for interval in range(7):
        end = (interval + 1) * 100
        for number in range(2):
            if (interval, number) not in {(1, 0), (2, 0), (3, 0), (5, 0), (5, 1)}:
                ledger.file(end + 2, f"lab-{number}", interval, [f"lab-{number}-a"])
        ledger.block(end + 50)
        if interval == 5:
            ledger.file(end + 60, "lab-1", 5, ["lab-1-a"])
        if interval == 6:
            ledger.file(end + 61, "lab-1", 6, ["lab-1-a"])
    ledger.block(790)
    return Answers(grow_copy(ledger, folder / "copy"), folder / "tables")


def verdicts_of(entries: Iterable[bytes]) -> Iterator[tuple[int, Verdict]]:
    for index, entry in enumerate(entries):
        subject = read_subject(entry)
        if subject is not None and subject.kind == VERDICT:
            yield index, parse_verdict(entry)


def newest_of(entries: Iterable[bytes]) -> dict[tuple[str, str, int], Verdict]:
    return {(each.lab, each.cluster, each.interval): each for _, each in verdicts_of(entries)}


def declarations_of(entries: Iterable[bytes]) -> Iterator[tuple[int, Report]]:
    for index, entry in enumerate(entries):
        if not entry.startswith(b'{"_type"'):
            payload = parse_envelope(entry).payload
            match find_kind(payload):
                case kind if kind == REPORT:
                    yield index, parse_report(payload).predicate
                case kind if kind == CORRECTION:
                    yield index, parse_correction(payload).predicate


def times_of(copy: Copy) -> list[int]:
    """The block time of every entry, in milliseconds."""
    return [
        sealed.header.time_ms for sealed in copy.blocks(Height(0), 10_000) for _ in range(sealed.header.entry_count)
    ]


def test_every_query_begins_with_the_question_it_answers_and_runs(year: Answers) -> None:
    names = sorted(path.stem for path in QUERIES.glob("*.sql"))
    assert len(names) == 12
    for name in names:
        question, blank, *_ = (QUERIES / f"{name}.sql").read_text(encoding="utf-8").splitlines()
        assert question.startswith("-- ")
        assert question.endswith("?")
        assert blank.startswith(("--", "SELECT"))
        year.ask(name)


def test_every_line_of_code_on_the_page_runs_in_the_folder_of_an_export(
    year: Answers, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = (REPOSITORY / "docs" / "data.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```(sql|python)\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    assert Counter(language for language, _ in blocks) == {"sql": 3, "python": 2}
    monkeypatch.chdir(year.folder)
    for language, text in blocks:
        if language == "sql":
            assert duckdb.connect().execute(text).fetchall()
        else:
            exec(compile(text, "data.md", "exec"), {})


def test_capacity_by_state_is_what_the_golden_roll_ups_say(year: Answers) -> None:
    lines = [line for line in read_history() if line.get("nation") in NATIONS]
    expected = {
        (line["nation"], line["interval"], state, level): (clusters, gflops)
        for line in lines
        for state, level, clusters, gflops in line["words"]
    }
    rows = year.ask("capacity_by_state")
    assert {row[:4]: row[4:6] for row in rows} == expected
    whole: Counter[tuple[str, int]] = Counter()
    for nation, interval, _, _, _, gflops, _ in rows:
        whole[nation, interval] += gflops
    assert all(row[6] == row[5] * 1000 // whole[row[0], row[1]] for row in rows)
    assert len({row[2] for row in rows}) > 4


def test_late_filings_are_counted_as_verdicts_counted_by_hand(small: Answers, year: Answers) -> None:
    for answers in (small, year):
        entries = answers.entries()
        expected = []
        ever: defaultdict[tuple[str, str], set[int]] = defaultdict(set)
        for _, verdict in verdicts_of(entries):
            if verdict.state is VerdictState.MISSING:
                ever[verdict.lab, verdict.cluster].add(verdict.interval)
        newest = newest_of(entries)
        for lab, cluster in sorted({key[:2] for key in newest}):
            said = [each for key, each in newest.items() if key[:2] == (lab, cluster)]
            states = Counter(each.state for each in said)
            late, missing = states[VerdictState.LATE], states[VerdictState.MISSING]
            least = min(each.assurance for each in said)
            expected.append((lab, cluster, len(said), late, missing, len(ever[lab, cluster]), least))
        expected.sort(key=lambda row: (-row[3] - row[4], row[0], row[1]))
        assert answers.ask("late_filings") == expected
    assert small.ask("late_filings")[0][3:6] == (0, 4, 4)


def test_longest_gap_is_the_one_that_was_made(small: Answers) -> None:
    assert small.ask("longest_gaps") == [
        ("lab-0", "lab-0-a", 3, 1, 3, "A0"),
        ("lab-0", "lab-0-a", 1, 5, 5, "A0"),
    ]


def test_falling_bands_are_those_of_consecutive_declarations(year: Answers) -> None:
    newest: dict[tuple[str, str], dict[int, tuple[int, int]]] = defaultdict(dict)
    for index, said in declarations_of(year.entries()):
        for row in said.rows:
            newest[said.issuer, row.cluster][said.interval] = (row.band, index)
    expected = []
    for (lab, cluster), by_interval in newest.items():
        intervals = sorted(by_interval)
        for before, after in itertools.pairwise(intervals):
            if by_interval[after][0] < by_interval[before][0]:
                expected.append((lab, cluster, before, by_interval[before][0], after, *by_interval[after]))
    expected.sort(key=lambda row: (row[5] - row[3], row[0], row[1], row[4]))
    assert year.ask("falling_bands") == expected
    assert len(expected) > 5


def test_time_to_a_seal_is_that_of_the_next_sealed_block(year: Answers) -> None:
    with year.copy() as copy:
        blocks = copy.blocks(Height(0), 10_000)
    waits: defaultdict[str, list[int]] = defaultdict(list)
    delays: defaultdict[str, list[int]] = defaultdict(list)
    entries = year.entries()
    for at, block in enumerate(blocks):
        sealed_ms = next(each.header.time_ms for each in blocks[at:] if each.seal)
        for index in range(block.header.first_index, block.header.tree_size):
            subject = read_subject(entries[index])
            kind = subject.kind if subject is not None else "charter:v2"
            waits[kind].append(sealed_ms - block.header.time_ms)
            if not entries[index].startswith(b'{"_type"'):
                issued_s = declared_time(entries[index])
                delays[kind].append(block.header.time_ms - issued_s * 1000)
    rows = {row[0]: row[1:] for row in year.ask("time_to_seal")}
    assert rows == {
        kind: (len(each), median_low(delays[kind]) if delays[kind] else None, median_low(each), max(each))
        for kind, each in waits.items()
    }
    assert max(row[3] for row in rows.values()) > 0


def declared_time(entry: bytes) -> int:
    predicate = json.loads(parse_envelope(entry).payload)["predicate"]
    return int(predicate["issued_at"])


def test_words_of_nations_are_their_newest_on_each_matter(year: Answers) -> None:
    expected: dict[tuple[str, str, str], Row] = {}
    with year.copy() as copy:
        times = times_of(copy)
    for index, entry in enumerate(year.entries()):
        if entry.startswith(b'{"_type"'):
            continue
        payload = parse_envelope(entry).payload
        kind = find_kind(payload)
        if kind == APPROVAL:
            vote = parse_approval(payload).predicate
            answer = "yes" if vote.approves else "no"
            key = ("proposal", vote.proposal, vote.issuer)
            expected[key] = (kind, answer, times[index], vote.change, None, None)
        elif kind == PAUSE_ACCESSION:
            joined = parse_pause_accession(payload).predicate
            condition = joined.joins
            key = ("pause", joined.pause, joined.issuer)
            expected[key] = (
                kind,
                "withdraws" if condition is None else "joins",
                times[index],
                joined.terms,
                None if condition is None else list(condition.nations),
                None if condition is None else condition.nations_min,
            )
        elif kind == LAB_PLEDGE:
            pledge = parse_lab_pledge(payload).predicate
            key = ("pause", pledge.pause, pledge.issuer)
            expected[key] = (kind, "pledges", times[index], pledge.terms, None, None)
    rows = year.ask("words_of_nations")
    assert rows == [(*key, *expected[key]) for key in sorted(expected)]
    assert {row[4] for row in rows} == {"yes", "no", "joins", "pledges"}


def test_verdicts_changed_by_inspection_are_those_with_a_finding_that_the_one_before_lacks(year: Answers) -> None:
    entries = year.entries()
    by_leaf = {leaf_hash(entries[index]).hex(): each for index, each in verdicts_of(entries)}

    def found(verdict: Verdict) -> list[str]:
        return [reason for reason in verdict.reasons if reason.startswith("FOUND_")]

    expected = [
        (
            *(each.lab, each.cluster, each.interval),
            *(before.state, before.assurance, each.state, each.assurance),
            *(found(each), each.time_ms, index),
        )
        for index, each in verdicts_of(entries)
        if found(each) and not found(before := by_leaf[each.supersedes])
    ]
    assert year.ask("changed_by_inspection") == expected
    assert len(expected) == 3


def test_history_of_verdicts_has_all_that_were_superseded(year: Answers) -> None:
    said: defaultdict[tuple[str, str, int], list[tuple[str, int]]] = defaultdict(list)
    for index, each in verdicts_of(year.entries()):
        said[each.lab, each.cluster, each.interval].append((f"{each.state} {each.assurance}", index))
    expected = [
        (*key, [word for word, _ in words], [index for _, index in words])
        for key, words in sorted(said.items())
        if len(words) > 1
    ]
    assert year.ask("history_of_verdicts") == expected
    assert len(expected) == 7


def test_corrections_name_what_they_correct(small: Answers) -> None:
    with small.copy() as copy:
        times = times_of(copy)
        expected = [
            (said.issuer, said.interval, index, there, times[index] - times[there], said.corrects.reason)
            for index, said in declarations_of(small.entries())
            if said.corrects is not None and (there := copy.find_leaf(bytes.fromhex(said.corrects.leaf))) is not None
        ]
    assert small.ask("corrections") == expected
    assert [row[:2] for row in expected] == [("lab-1", 6)]


def test_proposers_are_counted_with_attempts_that_failed(year: Answers) -> None:
    with year.copy() as copy:
        headers = [sealed.header for sealed in copy.blocks(Height(1), 10_000)]
        names = {member.index: member.id for member in copy.charter.members}
    blocks: Counter[str] = Counter()
    entries: Counter[str] = Counter()
    for header in headers:
        blocks[names[header.proposer]] += 1
        entries[names[header.proposer]] += header.entry_count
    failed = len(set(range(1, headers[-1].view + 1)) - {header.view for header in headers})
    expected = [(name, blocks[name], entries[name], failed) for name in blocks]
    expected.sort(key=lambda row: (-row[1], row[0]))
    assert year.ask("proposers") == expected
    assert failed == len(headers)


def test_citation_names_ledger_and_sealed_head(year: Answers) -> None:
    with year.copy() as copy:
        header = copy.head.header
        expected = (copy.charter.fingerprint, copy.charter.origin, header.height, header.tree_size, header.root.hex())
    assert year.ask("citation") == [expected]


def test_all_statements_of_the_year_were_read(year: Answers) -> None:
    assert year.ask("unread_statements") == []
