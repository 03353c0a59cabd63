"""Exports: what the copy says, row for row; nothing unverified; whole at every moment; whatever an entry holds."""

import base64
import gc
import hashlib
import json
import os
import random
import resource
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd  # type: ignore[import-untyped] # it brings no stubs
import polars as pl
import pyarrow as pa  # type: ignore[import-untyped] # it brings no stubs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet as pq

import counterseal
from ledger.domains import PREDICATE_PREFIX, STATEMENT_TYPE
from ledger.encoding import decode_base64url, decode_hashes, decode_hashes_base64url, decode_hex, encode_base64url
from ledger.errors import Code, ConditionError, FormatError, LedgerError, PolicyError
from ledger.merkle import leaf_hash
from ledger.positions import Height, LeafIndex, Millis
from ledger.schemas import PREDICATES
from ledger.statements.committee import APPROVAL, parse_approval
from ledger.statements.dsse import parse_envelope
from ledger.statements.intoto import ZERO_HASH, find_kind
from ledger.statements.pauses import LAB_PLEDGE, PAUSE_ACCESSION, parse_lab_pledge, parse_pause_accession
from ledger.statements.reports import CORRECTION, REPORT, parse_correction, parse_report
from ledger.statements.verdicts import VERDICT, parse_verdict
from observer.copy import FILE, Copy, require_copy
from observer.export import workers
from observer.export.dataset import MANIFEST, Dataset, open_dataset
from observer.export.exporting import ExportResult, export_home
from observer.export.jobs import BATCH_BYTES, BATCH_ENTRIES, PIECE_ENTRIES, _gather
from observer.export.parts import PartWriter
from observer.export.rows import Placed, make_rows
from observer.export.schema import TABLES, make_arrow_schema
from tests.conftest import REPOSITORY
from tests.devnet.history import read_history
from tests.ledger.rulebook import millis
from tests.observer.exporting import copy_year, grow_copy
from tests.observer.fakeledger import FakeLedger, copy_of

WIDTH = 256
Rows = list[dict[str, Any]]


def run(home: Path, folder: Path, **wishes: Any) -> ExportResult:
    return export_home(home, folder, **({"range_width": WIDTH} | wishes))


def read(folder: Path, table: str) -> Rows:
    """All rows of a table, by pyarrow."""
    rows: Rows = []
    for path in sorted((folder / table).glob("*.parquet")):
        rows += pq.read_table(path).to_pylist()
    return rows


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def inodes_of(folder: Path) -> dict[str, int]:
    return {str(path.relative_to(folder)): path.stat().st_ino for path in folder.rglob("*.parquet")}


def fill(ledger: FakeLedger, blocks: int, *, entries: int = 150) -> FakeLedger:
    """Blocks of entries that no rule has looked at."""
    for _ in range(blocks):
        at = ledger.height + 1
        ledger.extend(millis(at), [b"entry %d of block %d" % (number, at) for number in range(entries)])
    return ledger


@pytest.fixture(scope="module")
def year(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A copy of the golden year, and its export."""
    folder = tmp_path_factory.mktemp("year")
    home = copy_year(read_history(), folder / "copy")
    run(home, folder / "tables", has_entry_bytes=True)
    return home, folder / "tables"


@pytest.fixture(scope="module")
def long_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of 1 051 entries in 7 blocks, not to be changed."""
    return grow_copy(fill(FakeLedger(), 7), tmp_path_factory.mktemp("long"))


# --- row for row -----------------------------------------------------------------------------------------------------


def tell(copy: Copy) -> dict[str, Rows]:
    """The same tables, made of what the copy says by the ledger's own parsers, one value at a time."""
    told: dict[str, Rows] = {table: [] for table in TABLES}
    members = {member.index: member.id for member in copy.charter.members}
    for sealed in copy.blocks(Height(0), 100_000):
        header = sealed.header
        time = millis_of(header.time_ms)
        told["seals"].append(
            {
                "height": header.height,
                "epoch": header.epoch,
                "view_number": header.view,
                "block_time": time,
                "proposer_index": header.proposer,
                "proposer": members.get(header.proposer),
                "first_index": header.first_index,
                "entry_count": header.entry_count,
                "tree_size": header.tree_size,
                "root": header.root,
                "block_digest": header.digest,
                "parent": header.parent,
                "entries_digest": header.entries_digest,
                "state_digest": header.state_digest or None,
                "seal": sealed.seal or None,
            }
        )
        for index in range(header.first_index, header.tree_size):
            (entry,) = copy.proven_entries([LeafIndex(index)])
            place = {
                "entry_index": index,
                "height": header.height,
                "block_time": time,
                "leaf_hash": leaf_hash(entry),
            }
            tell_entry(told, entry, place)
    return told


def millis_of(time_ms: int) -> Any:
    return pd.Timestamp(time_ms, unit="ms", tz="UTC").to_pydatetime()


def tell_entry(told: dict[str, Rows], entry: bytes, place: dict[str, Any]) -> None:
    is_computed = entry.startswith(b'{"_type"')
    payload = entry if is_computed else parse_envelope(entry).payload
    statement = json.loads(payload)
    predicate = statement["predicate"]
    kind = statement["predicateType"].removeprefix(PREDICATE_PREFIX).removesuffix(":v1")
    assert is_computed or kind == find_kind(payload)
    said = {
        "sequence": predicate.get("sequence"),
        "issued_at": None if is_computed else millis_of(predicate["issued_at"] * 1000),
    }
    header = {
        "kind": kind,
        "issuer": predicate.get("issuer"),
        **said,
        "subject": statement["subject"][0]["name"],
        "is_computed": is_computed,
    }
    told["entries"].append(place | header | {"size_bytes": len(entry), "entry": entry})
    if kind in {REPORT, CORRECTION}:
        report = (parse_report if kind == REPORT else parse_correction)(payload).predicate
        told["reports"] += [
            place
            | {"kind": kind, "lab": report.issuer}
            | said
            | {
                "interval_index": report.interval,
                "row_index": number,
                "row_count": len(report.rows),
                "cluster": row.cluster,
                "band": row.band,
                "records_root": bytes.fromhex(row.records.root),
                "records_count": row.records.count,
                "limits_respected": [
                    {"limit_id": line.limit, "is_respected": line.respected} for line in row.limits_respected
                ],
                "digests": [decode_base64url(each, field="digest") for each in row.digests],
                "evidence": [
                    {
                        "type": each.type,
                        "layer": each.layer,
                        "digest": bytes.fromhex(each.digest),
                        "size_bytes": each.size,
                        "nonce": bytes.fromhex(each.nonce),
                    }
                    for each in row.evidence
                ],
                "corrects": None if report.corrects is None else bytes.fromhex(report.corrects.leaf),
                "corrects_reason": None if report.corrects is None else report.corrects.reason,
            }
            for number, row in enumerate(report.rows)
        ]
        return
    if kind == VERDICT:
        verdict = parse_verdict(entry)
        told["verdicts"].append(
            place
            | {
                "lab": verdict.lab,
                "nation": verdict.nation,
                "cluster": verdict.cluster,
                "interval_index": verdict.interval,
                "state": verdict.state.value,
                "assurance": verdict.assurance,
                "reasons": [reason.value for reason in verdict.reasons],
                "report_leaf": None if verdict.report == ZERO_HASH else bytes.fromhex(verdict.report),
                "supersedes": None if verdict.supersedes == ZERO_HASH else bytes.fromhex(verdict.supersedes),
            }
        )
        return
    told["statements"].append(place | header | {"payload": payload.decode(), "entry": None})
    told["votes"] += [place | {"kind": kind} | said | vote for vote in tell_votes(kind, payload)]


def tell_votes(kind: str, payload: bytes) -> Iterator[dict[str, Any]]:
    condition = None
    if kind == APPROVAL:
        approval = parse_approval(payload).predicate
        voter, matter_kind, matter, digest = approval.issuer, "proposal", approval.proposal, approval.change
        answer = "yes" if approval.approves else "no"
    elif kind == PAUSE_ACCESSION:
        accession = parse_pause_accession(payload).predicate
        voter, matter_kind, matter, digest = accession.issuer, "pause", accession.pause, accession.terms
        condition = accession.joins
        answer = "withdraws" if condition is None else "joins"
    elif kind == LAB_PLEDGE:
        pledge = parse_lab_pledge(payload).predicate
        voter, matter_kind, matter, digest = pledge.issuer, "pause", pledge.pause, pledge.terms
        answer = "pledges"
    else:
        return
    yield {
        "voter": voter,
        "matter_kind": matter_kind,
        "matter": matter,
        "answer": answer,
        "content_digest": bytes.fromhex(digest),
        "condition_nations": None if condition is None else list(condition.nations),
        "condition_nations_min": None if condition is None else condition.nations_min,
        "condition_lapses": None if condition is None else condition.lapses,
    }


def test_every_row_is_what_the_copy_says_by_the_ledgers_own_parsers(
    year: tuple[Path, Path], ledger: FakeLedger, tmp_path: Path
) -> None:
    small = copy_of(ledger, tmp_path / "copy")
    run(small, tmp_path / "tables", has_entry_bytes=True)
    for home, folder in (year, (small, tmp_path / "tables")):
        with require_copy(home) as copy:
            told = tell(copy)
        for table in TABLES:
            assert read(folder, table) == told[table], table
        assert all(told[table] for table in ("entries", "reports", "verdicts", "statements", "seals"))
    assert len(read(year[1], "votes")) == 8
    assert any(row["state_digest"] for row in read(tmp_path / "tables", "seals"))


def test_every_known_kind_is_in_a_table_without_its_bytes(year: tuple[Path, Path]) -> None:
    kinds = {row["kind"] for row in read(year[1], "entries")}
    assert len(kinds) > 20
    assert kinds <= set(PREDICATES)
    assert not [row for row in read(year[1], "statements") if row["entry"] is not None]


@pytest.mark.parametrize("table", TABLES)
def test_pandas_polars_and_duckdb_read_the_same_rows(year: tuple[Path, Path], table: str) -> None:
    pattern = str(year[1] / table / "*.parquet")
    expected = read(year[1], table)
    first = TABLES[table].columns[0].name
    by_polars = pl.scan_parquet(pattern).collect()
    assert by_polars.to_dicts() == expected
    by_pandas = pd.read_parquet(year[1] / table)
    assert list(by_pandas.columns) == [column.name for column in TABLES[table].columns]
    assert list(by_pandas[first]) == [row[first] for row in expected]
    assert str(by_pandas["block_time"].dtype) == "datetime64[ms, UTC]"
    assert [time.to_pydatetime() for time in by_pandas["block_time"]] == [row["block_time"] for row in expected]
    connection = duckdb.connect()
    names = ", ".join(column.name for column in TABLES[table].columns)  # unquoted: no name is a word of SQL
    rows = connection.execute(f"SELECT {names} FROM '{pattern}' ORDER BY {first}").fetchall()
    assert rows == [tuple(row.values()) for row in expected]


@pytest.mark.parametrize("table", TABLES)
def test_files_have_the_types_and_nulls_that_the_schema_states(year: tuple[Path, Path], table: str) -> None:
    for path in (year[1] / table).glob("*.parquet"):
        found = pq.read_schema(path)
        assert found.remove_metadata() == make_arrow_schema(TABLES[table], {}).remove_metadata()
        assert [field.nullable for field in found] == [column.is_nullable for column in TABLES[table].columns]
        metadata = pq.ParquetFile(path).metadata
        assert {metadata.row_group(n).num_rows > 0 for n in range(metadata.num_row_groups)} <= {True}


def test_no_column_has_a_type_that_a_cluster_engine_cannot_read() -> None:
    """Spark knows no unsigned integers as such, no times but in UTC, and fixed binaries since 3.4."""
    plain = {pa.int64(), pa.int32(), pa.string(), pa.bool_(), pa.binary(), pa.binary(32), pa.binary(48)}
    for table in TABLES.values():
        for column in table.columns:
            kind = column.type.value_type if pa.types.is_list(column.type) else column.type
            kinds = {field.type for field in kind} if pa.types.is_struct(kind) else {kind}
            assert kinds <= plain | {pa.timestamp("ms", tz="UTC")}, column.name


def test_a_file_says_of_which_ledger_it_is_and_under_which_sealed_head(year: tuple[Path, Path]) -> None:
    home, folder = year
    with require_copy(home) as copy:
        header, seal, charter = copy.head.header, copy.head.seal, copy.charter
    for path in folder.rglob("*.parquet"):
        said = {key.decode(): value.decode() for key, value in pq.read_schema(path).metadata.items()}
        assert said["counterseal.ledger"] == charter.fingerprint
        assert said["counterseal.origin"] == charter.origin
        assert said["counterseal.table"] == path.parent.name
        assert said["counterseal.head_root"] == header.root.hex()
        assert said["counterseal.head_block"] == header.digest.hex()
        assert said["counterseal.head_seal"] == seal.hex()
        assert said["counterseal.first"] == str(int(path.stem))


def test_manifest_lists_every_file_with_its_rows_and_digest(year: tuple[Path, Path]) -> None:
    home, folder = year
    manifest = json.loads((folder / MANIFEST).read_bytes())
    with require_copy(home) as copy:
        assert manifest["head"]["root"] == copy.head.header.root.hex()
        assert manifest["tables"]["entries"]["complete_to"] == copy.tree.size == manifest["head"]["tree_size"]
        assert manifest["tables"]["seals"]["complete_to"] == copy.head.header.height + 1
    listed = set()
    for table, line in manifest["tables"].items():
        assert line["rows"] == len(read(folder, table))
        for file in line["files"]:
            path = folder / table / f"{file['first']:012d}.parquet"
            assert hashlib.sha256(path.read_bytes()).hexdigest() == file["sha256"]
            assert path.stat().st_size == file["size_bytes"]
            listed.add(path)
    assert listed == set(folder.rglob("*.parquet"))


# --- again and again -------------------------------------------------------------------------------------------------


def test_an_export_again_adds_what_is_new_and_leaves_full_ranges_alone(tmp_path: Path) -> None:
    ledger = fill(FakeLedger(), 3)
    home = grow_copy(ledger, tmp_path / "copy")
    run(home, tmp_path / "tables")
    before = inodes_of(tmp_path / "tables")
    grow_copy(fill(ledger, 4), home)
    result = run(home, tmp_path / "tables")
    after = inodes_of(tmp_path / "tables")
    kept = {name for name, inode in before.items() if after[name] == inode}
    assert kept == {f"{table}/000000000000.parquet" for table in TABLES if table != "seals"}
    assert result.files_count == len(after) - len(kept)
    run(home, tmp_path / "at once")
    for table in TABLES:
        assert read(tmp_path / "tables", table) == read(tmp_path / "at once", table)
    assert [row["entry_index"] for row in read(tmp_path / "tables", "entries")] == list(range(1_051))


def test_with_nothing_new_no_byte_changes(year: tuple[Path, Path]) -> None:
    home, folder = year
    before, inodes = files_of(folder), inodes_of(folder)
    assert run(home, folder).files_count == 0
    assert files_of(folder) == before
    assert inodes_of(folder) == inodes


def test_a_file_that_is_gone_or_cut_short_is_written_again(long_home: Path, tmp_path: Path) -> None:
    folder = tmp_path / "tables"
    run(long_home, folder)
    expected = {table: read(folder, table) for table in TABLES}
    (folder / "entries" / "000000000256.parquet").unlink()
    os.truncate(folder / "statements" / "000000000512.parquet", 100)
    assert run(long_home, folder).files_count == 2
    assert {table: read(folder, table) for table in TABLES} == expected


def test_a_reader_of_a_glob_never_sees_a_row_twice_or_a_gap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = fill(FakeLedger(), 2)
    folder = tmp_path / "tables"
    seen: list[int] = []

    def look() -> None:
        for table in ("entries", "seals"):
            first = TABLES[table].columns[0].name
            rows = [row[first] for row in read(folder, table)]
            assert rows == list(range(len(rows))), "twice, or a gap"
            if table == "entries":
                seen.append(len(rows))

    rename = Path.replace

    def replace(self: Path, target: Path) -> Path:
        look()
        moved = rename(self, target)
        look()
        return moved

    monkeypatch.setattr(Path, "replace", replace)
    home = grow_copy(ledger, tmp_path / "copy")
    run(home, folder, tables=["entries", "seals"])
    grow_copy(fill(ledger, 3), home)
    run(home, folder)
    assert seen == sorted(seen)
    assert {0, 256, 301, 512, 751} <= set(seen)


def test_tables_can_be_chosen_and_others_added_later(long_home: Path, tmp_path: Path) -> None:
    result = run(long_home, tmp_path, tables=["seals", "entries"])
    assert list(result.manifest.tables) == ["entries", "seals"]
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_dir()) == ["entries", "seals"]
    before = inodes_of(tmp_path)
    assert list(run(long_home, tmp_path).manifest.tables) == ["entries", "seals"]
    assert list(run(long_home, tmp_path, tables=["votes"]).manifest.tables) == ["entries", "votes", "seals"]
    assert before.items() <= inodes_of(tmp_path).items()
    with pytest.raises(ConditionError, match=r"found ballots; expected some of entries, reports"):
        run(long_home, tmp_path, tables=["ballots"])


def test_bytes_are_kept_where_asked_for_and_not_mixed(long_home: Path, tmp_path: Path) -> None:
    run(long_home, tmp_path, has_entry_bytes=True)
    assert read(tmp_path, "entries")[1]["entry"] == b"entry 0 of block 1"
    run(long_home, tmp_path)
    with pytest.raises(ConditionError, match="--rebuild"):
        run(long_home, tmp_path, has_entry_bytes=False)
    run(long_home, tmp_path, has_entry_bytes=False, is_rebuild=True)
    assert {row["entry"] for row in read(tmp_path, "entries")} == {None}


def test_a_rebuild_takes_away_what_an_export_wrote_and_nothing_else(
    long_home: Path, ledger: FakeLedger, tmp_path: Path
) -> None:
    folder = tmp_path / "tables"
    run(long_home, folder)
    (folder / "notes.txt").write_text("mine")
    (folder / "entries" / "mine.parquet").write_bytes(b"mine")
    run(copy_of(ledger, tmp_path / "copy"), folder, is_rebuild=True)
    assert (folder / "notes.txt").read_text() == "mine"
    assert (folder / "entries" / "mine.parquet").read_bytes() == b"mine"
    assert sorted(path.name for path in (folder / "entries").iterdir()) == ["000000000000.parquet", "mine.parquet"]


# --- refusals --------------------------------------------------------------------------------------------------------


def test_another_ledger_an_older_copy_and_another_history_are_refused(tmp_path: Path) -> None:
    ledger = fill(FakeLedger(), 3)
    home = grow_copy(ledger, tmp_path / "copy")
    shutil.copytree(home, tmp_path / "older")
    grow_copy(fill(ledger, 1), home)
    folder = tmp_path / "tables"
    run(home, folder)
    before = files_of(folder)
    with pytest.raises(ConditionError, match="sync first"):
        run(tmp_path / "older", folder)
    other = grow_copy(fill(FakeLedger(seed=1), 5), tmp_path / "other")
    with pytest.raises(PolicyError, match="another ledger needs another folder"):
        run(other, folder)
    forked = FakeLedger()
    for _ in range(5):
        forked.extend(millis(forked.height), [b"another history"])
    with pytest.raises(PolicyError, match="as in the copy"):
        run(grow_copy(forked, tmp_path / "forked"), folder)
    assert files_of(folder) == before


def test_two_exports_at_once_are_one_too_many(long_home: Path, tmp_path: Path) -> None:
    with open_dataset(tmp_path), pytest.raises(ConditionError, match="another export at work") as refused:
        run(long_home, tmp_path)
    assert refused.value.code is Code.NOT_READY
    run(long_home, tmp_path)


def test_a_folder_with_something_else_in_it_is_left_alone(long_home: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    for is_rebuild in (False, True):
        with pytest.raises(ConditionError, match=r"thesis\.tex"):
            run(long_home, tmp_path, is_rebuild=is_rebuild)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]
    (tmp_path / "file").write_text("")
    with pytest.raises(ConditionError) as refused:
        run(long_home, tmp_path / "file")
    assert refused.value.code is Code.CONFIG


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda manifest: manifest | {"schema_version": 2}, Code.VERSION_MISMATCH),
        (lambda manifest: manifest | {"more": 1}, Code.FORMAT),
        (lambda manifest: manifest | {"range_width": 100}, Code.FORMAT),
        (
            lambda manifest: manifest | {"tables": {"../entries": {"complete_to": 0, "rows": 0, "files": []}}},
            Code.FORMAT,
        ),
        (lambda _: [], Code.FORMAT),
    ],
)
def test_a_manifest_that_is_none_is_refused_until_all_is_written_anew(
    long_home: Path, tmp_path: Path, change: Callable[[Any], Any], code: Code
) -> None:
    run(long_home, tmp_path)
    path = tmp_path / MANIFEST
    path.write_text(json.dumps(change(json.loads(path.read_bytes()))))
    with pytest.raises(LedgerError, match="--rebuild") as refused:
        run(long_home, tmp_path)
    assert refused.value.code is code
    run(long_home, tmp_path, is_rebuild=True)


def test_a_rebuild_from_a_copy_that_is_no_good_takes_nothing_away(long_home: Path, tmp_path: Path) -> None:
    run(long_home, tmp_path / "tables")
    before = files_of(tmp_path / "tables")
    shutil.copytree(long_home, tmp_path / "copy")
    with sqlite3.connect(tmp_path / "copy" / FILE) as connection:
        connection.execute(EDITS["a header"])
    connection.close()
    with pytest.raises(LedgerError):
        run(tmp_path / "copy", tmp_path / "tables", is_rebuild=True)
    assert files_of(tmp_path / "tables") == before


EDITS = {
    "an entry": "UPDATE entries SET entry = x'00' WHERE position = 700",
    "an entry and its leaf hash": "UPDATE entries SET entry = x'00', leaf = randomblob(32) WHERE position = 700",
    "an entry of the last, partial tile": "UPDATE entries SET entry = x'00' WHERE position = 1040",
    "an entry that is gone": "DELETE FROM entries WHERE position = 700",
    "the last entry, gone": "DELETE FROM entries WHERE position = 1050",
    "an entry that is no bytes": "UPDATE entries SET entry = 'text' WHERE position = 700",
    "two entries that changed places": (
        "UPDATE entries SET position = CASE position WHEN -1 THEN 701 ELSE -1 END WHERE position = 700;"
        "UPDATE entries SET position = 700 WHERE position = 701; UPDATE entries SET position = 701 WHERE position = -1"
    ),
    "a tile above": "UPDATE tiles SET hashes = randomblob(length(hashes)) WHERE level = 1",
    "a header": "UPDATE blocks SET header = (SELECT header FROM blocks WHERE height = 4) WHERE height = 5",
    "a header that is none": "UPDATE blocks SET header = x'00' WHERE height = 5",
    "a header that is gone": "DELETE FROM blocks WHERE height = 5",
    "a seal": "UPDATE blocks SET seal = (SELECT seal FROM blocks WHERE height = 4) WHERE height = 5",
    "the index of blocks": "UPDATE blocks SET tree_size = 100000 WHERE height IN (4, 5, 6)",
    "the index of blocks, the other way": "UPDATE blocks SET tree_size = 0 WHERE height IN (4, 5, 6)",
}


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
def test_a_copy_that_somebody_edited_is_refused_and_not_exported(long_home: Path, tmp_path: Path, edit: str) -> None:
    home = tmp_path / "copy"
    shutil.copytree(long_home, home)
    with sqlite3.connect(home / FILE) as connection:
        connection.executescript(edit)
    connection.close()
    with require_copy(long_home) as copy:
        entries, blocks = copy.entries(LeafIndex(0), 2_000), copy.blocks(Height(0), 100)
    with pytest.raises(LedgerError) as refused:
        run(home, tmp_path / "tables")
    assert gc.isenabled()
    assert refused.value.code in {Code.PROOF, Code.SIGNATURE, Code.STORE_DAMAGED, Code.FORMAT, Code.NOT_FOUND}
    for row in read(tmp_path / "tables", "entries"):  # ranges before it
        assert row["leaf_hash"] == leaf_hash(entries[row["entry_index"]])
    for row in read(tmp_path / "tables", "seals"):
        assert row["block_digest"] == blocks[row["height"]].header.digest


# --- killed ----------------------------------------------------------------------------------------------------------


class Steps:
    """Every step of an export after which something on disk is another; at one of them it ends."""

    OWNERS = (
        (PartWriter, "write"),
        (PartWriter, "close"),
        (Path, "replace"),
        (Path, "unlink"),
        (Dataset, "publish"),
        (Dataset, "write_manifest"),
    )

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.count = 0
        self.end: int | None = None
        for owner, name in self.OWNERS:
            patch.setattr(owner, name, self.around(getattr(owner, name)))

    def around(self, whole: Callable[..., Any]) -> Callable[..., Any]:
        def act(*args: Any, **named: Any) -> Any:
            self.stand()
            made = whole(*args, **named)
            self.stand()
            return made

        return act

    def stand(self) -> None:
        self.count += 1
        if self.end is not None and self.count >= self.end:
            raise KeyboardInterrupt


def test_an_export_that_ends_at_any_step_leaves_whole_files_and_the_next_completes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = grow_copy(fill(FakeLedger(), 3), tmp_path / "copy")
    tables = ["entries", "seals"]
    run(home, tmp_path / "undisturbed", tables=tables)
    expected = files_of(tmp_path / "undisturbed")
    steps = Steps(monkeypatch)
    run(home, tmp_path / "counted", tables=tables)
    count = steps.count
    assert count > 30
    for end in range(1, count + 1, 2):
        folder = tmp_path / f"{end}"
        steps.count, steps.end = 0, end
        with pytest.raises(KeyboardInterrupt):
            run(home, folder, tables=tables)
        steps.end = None
        for table in tables:
            first = TABLES[table].columns[0].name
            rows = [row[first] for row in read(folder, table)]
            assert rows == list(range(len(rows)))
        run(home, folder, tables=tables)
        assert files_of(folder) == expected


VICTIM = """
import pathlib, sys
from observer.export import dataset
from observer.export.exporting import export_home
home, folder = sys.argv[1:]

def stand(*args, **named):
    print("here", flush=True)
    sys.stdin.read()  # until it is killed

dataset.Dataset.write_manifest = stand
export_home(pathlib.Path(home), pathlib.Path(folder), range_width=256)
"""


def test_a_process_that_is_killed_is_no_longer_at_work_and_the_next_export_completes_it(
    long_home: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "tables"
    words = [sys.executable, "-c", VICTIM, str(long_home), str(folder)]
    with subprocess.Popen(words, cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as victim:
        assert victim.stdout is not None
        assert victim.stdout.readline() == b"here\n"
        with pytest.raises(ConditionError, match="another export at work"):
            run(long_home, folder)
        victim.kill()
    assert victim.returncode == -9
    assert len(read(folder, "entries")) == 1_051, "all files are in place, and nobody was told"
    assert not (folder / MANIFEST).exists()
    run(long_home, folder)
    run(long_home, tmp_path / "undisturbed")
    assert files_of(folder) == files_of(tmp_path / "undisturbed")


def test_what_a_killed_export_left_is_removed_even_where_nothing_takes_its_place(
    long_home: Path, tmp_path: Path
) -> None:
    run(long_home, tmp_path, tables=["entries"])
    (tmp_path / "votes").mkdir()
    (tmp_path / "votes" / "000000000000.parquet").write_bytes(b"half")
    (tmp_path / "entries" / "000000065536.parquet").write_bytes(b"half")
    (tmp_path / ".writing").mkdir()
    (tmp_path / ".writing" / "entries-000000000000.part").write_bytes(b"half")
    (tmp_path / f".{MANIFEST}.4711").write_bytes(b"half")
    run(long_home, tmp_path)
    assert sorted(files_of(tmp_path)) == [
        ".lock",
        *(f"entries/{first:012d}.parquet" for first in range(0, 1_051, 256)),
        MANIFEST,
    ]


def test_a_disk_that_takes_no_more_is_said(tmp_path: Path) -> None:
    entries = [random.Random(number).randbytes(1_000) for number in range(100)]
    placed = Placed(0, entries, b"".join(map(leaf_hash, entries)), [0] * 100, [0] * 100)
    rows = make_rows(placed, tables=["entries"], has_entry_bytes=True)["entries"]
    path = tmp_path / "part"
    writer = PartWriter(path, "entries", metadata={})
    writer.write(rows)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))
    try:
        with pytest.raises(ConditionError) as refused:
            writer.close()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        writer.abandon()
    assert refused.value.code is Code.DISK_FULL
    assert str(path) in str(refused.value)


# --- other processes -------------------------------------------------------------------------------------------------


def test_other_processes_write_the_same_files_and_one_that_is_killed_costs_nothing(
    long_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(long_home, tmp_path / "alone")
    helped: list[list[Any] | None] = []
    receive = workers._Worker.receive

    def note(self: workers._Worker) -> list[Any] | None:
        if len(helped) == 2:
            self._process.kill()
            self._process.join()
        helped.append(receive(self))
        return helped[-1]

    monkeypatch.setattr(workers._Worker, "receive", note)
    run(long_home, tmp_path / "together", workers_count=1)
    assert files_of(tmp_path / "together") == files_of(tmp_path / "alone")
    assert [parts is not None for parts in helped] == [True, True, False]


def test_what_another_process_refuses_is_refused(long_home: Path, tmp_path: Path) -> None:
    home = tmp_path / "copy"
    shutil.copytree(long_home, home)
    with sqlite3.connect(home / FILE) as connection:
        connection.execute(EDITS["an entry"])
    connection.close()
    with pytest.raises(LedgerError) as alone:
        run(home, tmp_path / "alone")
    with pytest.raises(type(alone.value)) as together:
        run(home, tmp_path / "together", workers_count=1)
    assert (str(together.value), together.value.code) == (str(alone.value), alone.value.code)


# --- whatever stands there -------------------------------------------------------------------------------------------


def envelope(payload: bytes) -> bytes:
    raw = {"payload": base64.b64encode(payload).decode(), "payloadType": "application/vnd.in-toto+json"}
    signature = {"keyid": "00" * 32, "sig": base64.b64encode(bytes(64)).decode()}
    return json.dumps(raw | {"signatures": [signature]}, separators=(",", ":")).encode()


def statement(kind: str, predicate: object, *, name: str = "x") -> bytes:
    subject = [{"name": name, "digest": {"sha256": "00" * 32}}]
    kinds = {"predicateType": kind, "predicate": predicate}
    return json.dumps({"_type": STATEMENT_TYPE, "subject": subject} | kinds, separators=(",", ":")).encode()


HEADER = {"ledger": "00" * 32, "issuer": "lab", "sequence": 1, "previous": "00" * 32, "issued_at": 5, "corrects": None}
ROW = {
    "cluster": "c",
    "digests": [encode_base64url(bytes(32))],
    "limits_respected": [],
    "band": 1,
    "records": {"root": "ab" * 32, "count": 1},
    "evidence": [],
}
SAID_VERDICT = {
    "lab": "lab",
    "nation": "n",
    "cluster": "c",
    "interval": 1,
    "state": "compliant",
    "reasons": [],
    "assurance": "A0",
    "report": ZERO_HASH,
    "time_ms": 1,
    "supersedes": ZERO_HASH,
}


def make_report(kind: str = "urn:counterseal:report:v1", *, row: dict[str, Any] | None = None, **changes: Any) -> bytes:
    return statement(kind, HEADER | {"interval": 3, "rows": [ROW | (row or {})]} | changes)


HOSTILE = {
    "nothing": b"",
    "bytes": bytes(range(256)),
    "no envelope": b"{}",
    "an envelope of nothing": envelope(b""),
    "an envelope of bytes that are no text": envelope(b"\xff\xfe"),
    "an envelope of text that is no JSON": envelope(b"=cmd|' /C calc'!A0"),
    "an envelope of a number": envelope(b"17"),
    "an envelope of deep JSON": envelope(b"[" * 20_000 + b"]" * 20_000),
    "a bare statement of deep JSON": b'{"_type":' + b"[" * 30_000,
    "a lone surrogate": envelope(make_report().replace(b'"cluster":"c"', b'"cluster":"\\ud800"')),
    "a nought in a text": envelope(make_report().replace(b'"cluster":"c"', b'"cluster":"\\u0000"')),
    "bytes in a text that are none": envelope(make_report().replace(b'"cluster":"c"', b'"cluster":"\xff"')),
    "a newer version": envelope(make_report("urn:counterseal:report:v2")),
    "a kind nobody knows": envelope(make_report("urn:counterseal:rumour:v1")),
    "a kind without a version": envelope(make_report("urn:counterseal:report")),
    "a version that none can be": envelope(make_report("urn:counterseal:report:v01")),
    "a statement of somebody else": envelope(make_report("https://slsa.dev/provenance/v1")),
    "a report with a row too few": envelope(make_report(rows=[])),
    "a report with a number too large": envelope(make_report(interval=2**70)),
    "a report with a negative number": envelope(make_report(sequence=-1)),
    "a report with a digest of other characters": envelope(make_report(row={"digests": ["+" * 43]})),
    "a report with a digest that is not canonical": envelope(make_report(row={"digests": ["A" * 42 + "B"]})),
    "a report with a root in capitals": envelope(make_report(row={"records": {"root": "AB" * 32, "count": 1}})),
    "a report with a root of spaces": envelope(make_report(row={"records": {"root": " " * 64, "count": 1}})),
    "a report from the end of time": envelope(make_report(issued_at=2**60)),
    "a header of other types": envelope(statement("urn:counterseal:sample-answer:v1", {"issuer": 7})),
    "two subjects": envelope(make_report("urn:counterseal:incident:v1").replace(b'"subject":[', b'"subject":[{},')),
    "a verdict that somebody signed": envelope(statement("urn:counterseal:verdict:v1", SAID_VERDICT)),
    "a report that nobody signed": make_report(),
    "a verdict with another hash": statement("urn:counterseal:verdict:v1", SAID_VERDICT | {"report": "zz" * 32}),
    "an approval with a digest that is none": envelope(
        statement("urn:counterseal:approval:v1", HEADER | {"proposal": "p", "change": "-" * 64, "approves": True})
    ),
    "as long as may be": b"{" + b"x" * 65_534,
}
TABLED = {"a nought in a text"}
"""Of those, the ones that are reports all the same, as far as columns can tell."""


def test_nothing_an_entry_holds_breaks_an_export_or_its_readers(tmp_path: Path) -> None:
    ledger = FakeLedger()
    honest = envelope(make_report())
    for entry in HOSTILE.values():
        ledger.extend(Millis(millis(ledger.height)), [honest, entry])
    home = grow_copy(ledger, tmp_path / "copy")
    run(home, tmp_path / "tables")
    entries = {row["leaf_hash"]: row for row in read(tmp_path / "tables", "entries")}
    statements = {row["leaf_hash"]: row for row in read(tmp_path / "tables", "statements")}
    reports = [row["leaf_hash"] for row in read(tmp_path / "tables", "reports")]
    assert reports.count(leaf_hash(honest)) == len(HOSTILE), "an honest report was lost with a neighbour"
    assert read(tmp_path / "tables", "verdicts") == []
    assert read(tmp_path / "tables", "votes") == []
    for name, entry in HOSTILE.items():
        leaf = leaf_hash(entry)
        assert entries[leaf]["size_bytes"] == len(entry), name
        assert (leaf in reports) == (name in TABLED), name
        if leaf not in reports:
            row = statements[leaf]
            assert row["kind"] == entries[leaf]["kind"]
            assert row["entry"] == entry or row["kind"] in {"sample-answer", "incident"}, name
            assert row["payload"] is None or json.loads(row["payload"]) is not None
    kinds = {name: entries[leaf_hash(entry)]["kind"] for name, entry in HOSTILE.items()}
    assert kinds["a newer version"] == "report:v2"
    assert kinds["a kind nobody knows"] == "rumour"
    assert kinds["a statement of somebody else"] == "https://slsa.dev/provenance/v1"
    assert kinds["a header of other types"] == "sample-answer"
    assert kinds["a kind without a version"] == "urn:counterseal:report"
    assert kinds["a version that none can be"] == "urn:counterseal:report:v01"
    assert kinds["bytes"] is None
    pattern = str(tmp_path / "tables" / "statements" / "*.parquet")
    assert pl.read_parquet(pattern).height == len(statements)
    rows = (
        duckdb.connect().execute(f"SELECT * FROM '{pattern}' WHERE payload IS NULL OR json_valid(payload)").fetchall()
    )
    assert len(rows) == len(statements)


@given(st.lists(st.binary(max_size=80) | st.builds(envelope, st.binary(max_size=80)), min_size=1, max_size=4))
@settings(max_examples=25)
def test_any_bytes_become_rows(entries: list[bytes]) -> None:
    count = len(entries)
    leaves = b"".join(leaf_hash(entry) for entry in entries)
    made = make_rows(Placed(0, entries, leaves, [0] * count, [0] * count), tables=list(TABLES), has_entry_bytes=True)
    assert made["entries"].column("entry").to_pylist() == entries
    assert made["statements"].column("entry").to_pylist() == entries


@given(st.lists(st.integers(0, 65_535) | st.just(65_535), min_size=1, max_size=700))
def test_what_is_held_at_once_is_bounded_whatever_the_entries_are(sizes: list[int]) -> None:
    blank = memoryview(bytes(65_535))
    entries: list[Any] = [blank[:size] for size in sizes]
    leaves = [index.to_bytes(32, "big") for index in range(len(sizes))]
    numbers = list(range(len(sizes)))
    bundles = (
        Placed(
            at, entries[at : at + 256], b"".join(leaves[at : at + 256]), numbers[at : at + 256], numbers[at : at + 256]
        )
        for at in range(0, len(sizes), 256)
    )
    batches = list(_gather(bundles))
    for batch in batches:
        assert sum(map(len, batch.entries)) < BATCH_BYTES + PIECE_ENTRIES * 65_535
        assert len(batch.entries) < BATCH_ENTRIES + PIECE_ENTRIES
    assert [batch.first for batch in batches] == [batch.heights[0] for batch in batches]
    assert [number for batch in batches for number in batch.heights] == numbers
    assert [number for batch in batches for number in batch.times_ms] == numbers
    assert [len(entry) for batch in batches for entry in batch.entries] == sizes
    assert b"".join(batch.leaves for batch in batches) == b"".join(leaves)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4) | st.sampled_from([ZERO_HASH, "A" * 43, "zz" * 32]),
    lambda inner: st.lists(inner, max_size=2),
    max_leaves=3,
)


@given(st.data())
@settings(max_examples=60)
def test_a_report_with_any_value_in_the_place_of_another_is_a_row_or_a_statement(data: st.DataObject) -> None:
    where = data.draw(st.sampled_from([*HEADER, *ROW, "interval", "rows"]))
    value = data.draw(VALUES)
    changes: dict[str, Any] = {"row": {where: value}} if where in ROW else {where: value}
    changed = envelope(make_report(**changes))
    entries = [envelope(make_report()), changed]
    leaves = b"".join(map(leaf_hash, entries))
    made = make_rows(Placed(0, entries, leaves, [0, 0], [0, 0]), tables=list(TABLES), has_entry_bytes=False)
    places = made["reports"].column("entry_index").to_pylist()
    assert places[0] == 0
    assert (1 in places) == (made["statements"].column("entry_index").to_pylist() == [])
    for table in made.values():
        table.validate(full=True)


@given(st.lists(st.binary(min_size=32, max_size=32), max_size=5), st.data())
def test_many_hashes_are_decoded_as_each_alone(hashes: list[bytes], data: st.DataObject) -> None:
    for encode, many, one in (
        (bytes.hex, decode_hashes, lambda text: decode_hex(text, field="x", size=32)),
        (encode_base64url, decode_hashes_base64url, lambda text: decode_base64url(text, field="x", size=32)),
    ):
        texts = [encode(each) for each in hashes]
        assert many(texts, field="x") == b"".join(hashes)
        if texts:
            at = data.draw(st.integers(0, len(texts) - 1))
            place = data.draw(st.integers(0, len(texts[at]) - 1))
            character = data.draw(st.sampled_from(" AaZzGg+/=-_0\n\u0660"))
            texts[at] = texts[at][:place] + character + texts[at][place + data.draw(st.integers(0, 1)) :]
            try:
                expected: bytes | None = b"".join(map(one, texts))
            except FormatError:
                expected = None
            if expected is None:
                with pytest.raises(FormatError):
                    many(texts, field="x")
            else:
                assert many(texts, field="x") == expected


# --- the command -----------------------------------------------------------------------------------------------------


def command(*words: object) -> int:
    with pytest.raises(SystemExit) as left:
        counterseal.main([str(word) for word in ("observe", "export", *words)])
    return int(left.value.code or 0)


def test_the_command_exports_and_says_what_is_there(
    long_home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "tables"
    assert command("--home", long_home, "--to", folder, "--tables", "entries, seals") == 0
    told = capsys.readouterr().out
    assert f"exported   {folder}: 2 files written" in told
    assert "1051 entries, 8 seals" in told
    assert command("--home", long_home, "--to", folder, "--json") == 0
    result = json.loads(capsys.readouterr().out)
    assert result["tables"]["entries"] == {"complete_to": 1_051, "rows": 1_051, "rows_written": 0}
    assert command("--home", long_home, "--to", folder, "--tables", "entrys") == 5
    assert "expected some of entries" in capsys.readouterr().err
    assert command("--home", tmp_path / "nowhere", "--to", folder) == 6


def test_the_command_says_that_nothing_is_new(
    long_home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("--home", long_home, "--to", tmp_path, "--raw") == 0
    assert command("--home", long_home, "--to", tmp_path) == 0
    assert "nothing new: no file was written" in capsys.readouterr().out
    assert command("--home", long_home, "--to", tmp_path, "--no-raw", "--rebuild", "--workers", 0) == 0


def test_the_observers_commands_start_without_the_packages_of_an_export() -> None:
    program = "import sys, observer.cli; print([name for name in ('pyarrow', 'pandas') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], cwd=REPOSITORY, check=True, capture_output=True, text=True)
    assert done.stdout == "[]\n"
