"""A run of entries made into rows of every table that has entries.

A statement whose hashes turn out not to be spelled as hashes is treated as one that cannot be read: it leaves its table
for the table of statements, and nobody else's row is touched by it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import pyarrow as pa  # type: ignore[import-untyped] # it brings no stubs

from ledger.errors import FormatError
from ledger.limits import HASH_BYTES
from ledger.statements.computed import is_computed_entry
from ledger.statements.intoto import ZERO_HASH
from observer.export.arrays import (
    Array,
    make_binaries,
    make_digest_lists,
    make_evidence_lists,
    make_hashes,
    make_hashes_or_null,
    make_limit_lists,
)
from observer.export.schema import ENTRIES, REPORTS, STATEMENTS, TABLES, VERDICTS, VOTES
from observer.export.statements import (
    AccessionStatement,
    ApprovalStatement,
    CorrectionStatement,
    OtherStatement,
    PledgeStatement,
    ReadStatement,
    ReportStatement,
    VerdictStatement,
    VoteStatement,
    read_other,
    read_statement,
)

Columns = dict[str, Array]
"""Of one table, by name."""

Numbered = Sequence[tuple[int, ReadStatement]]
"""Statements, each with its place among the entries that are made into rows."""

_TIME: Final = pa.timestamp("ms", tz="UTC")
_VOTES: Final = (ApprovalStatement, AccessionStatement, PledgeStatement)
_REPORTS: Final = (ReportStatement, CorrectionStatement)


@dataclass(frozen=True, slots=True)
class Placed:
    """Verified entries and where they stand, all lists of one length.

    Attributes:
        first: index of the first.
        entries: their bytes.
        leaves: their leaf hashes, one after the other.
        heights: of the blocks that added them.
        times_ms: of those blocks.
    """

    first: int
    entries: Sequence[bytes]
    leaves: bytes
    heights: Sequence[int]
    times_ms: Sequence[int]


def make_rows(placed: Placed, *, tables: Sequence[str], has_entry_bytes: bool) -> dict[str, pa.Table]:
    """Make the rows of each table.

    Args:
        placed: verified entries.
        tables: which are wanted.
        has_entry_bytes: whether the table of entries holds their bytes.
    """
    computed = [is_computed_entry(entry) for entry in placed.entries]
    statements = [
        read_statement(entry, is_computed=is_computed)
        for entry, is_computed in zip(placed.entries, computed, strict=True)
    ]
    batch = _Batch(placed, pa.array(computed, pa.bool_()), tables, has_entry_bytes=has_entry_bytes)
    try:
        return batch.make(statements)
    except FormatError:
        return batch.make(
            [
                statement if _is_spelled(statement) else read_other(entry)
                for statement, entry in zip(statements, placed.entries, strict=True)
            ]
        )


def _is_spelled(statement: ReadStatement) -> bool:
    """Say whether every hash of a statement that becomes a column is spelled as one."""
    try:
        for kinds, make in _MAKERS.values():
            if isinstance(statement, kinds):
                make([(0, statement)])
    except FormatError:
        return False
    return True


class _Batch:
    """Entries whose rows are made, and what all rows say of where they stand."""

    def __init__(self, placed: Placed, is_computed: Array, tables: Sequence[str], *, has_entry_bytes: bool) -> None:
        count = len(placed.entries)
        self._placed, self._is_computed, self._tables = placed, is_computed, tables
        self._kept: Sequence[bytes | None] = placed.entries if has_entry_bytes else [None] * count
        self._place: Columns = {
            "entry_index": pa.array(range(placed.first, placed.first + count), pa.int64()),
            "height": pa.array(placed.heights, pa.int64()),
            "block_time": pa.array(placed.times_ms, pa.int64()).cast(_TIME),
            "leaf_hash": make_binaries(placed.leaves, size=HASH_BYTES),
        }

    def make(self, statements: Sequence[ReadStatement]) -> dict[str, pa.Table]:
        """Make the rows of every table that is wanted.

        Raises:
            FormatError: a statement's hash is not spelled as one.
        """
        by_type: dict[type, list[int]] = {}
        for at, statement in enumerate(statements):
            by_type.setdefault(type(statement), []).append(at)
        made: dict[str, pa.Table] = {}
        if ENTRIES in self._tables:
            sizes = pa.array([len(entry) for entry in self._placed.entries], pa.int32())
            columns = self._place | _make_header(statements) | {"is_computed": self._is_computed, "size_bytes": sizes}
            made[ENTRIES] = _order(ENTRIES, columns | {"entry": pa.array(self._kept, pa.binary())})
        for table in self._tables:
            if table in _MAKERS:
                kinds, make = _MAKERS[table]
                picked = sorted(at for kind in kinds for at in by_type.get(kind, ()))
                rows, columns = make([(at, statements[at]) for at in picked])
                made[table] = _order(table, columns | self._take(rows))
        if STATEMENTS in self._tables:
            picked = sorted(at for kind in (OtherStatement, *_VOTES) for at in by_type.get(kind, ()))
            others = [_read_again(statements[at], self._placed.entries[at]) for at in picked]
            columns = _make_header(others) | {"is_computed": self._is_computed.take(pa.array(picked, pa.int64()))}
            columns["payload"] = _make_texts([each.payload for each in others])
            columns["entry"] = pa.array([each.entry for each in others], pa.binary())
            made[STATEMENTS] = _order(STATEMENTS, columns | self._take(picked))
        return made

    def _take(self, rows: Sequence[int]) -> Columns:
        """Where the entries stand that rows were made of."""
        taken = pa.array(rows, pa.int64())
        return {name: array.take(taken) for name, array in self._place.items()}


def _order(table: str, columns: Columns) -> pa.Table:
    """Put columns in their order; one too many, or one with a null that may have none, is our own mistake."""
    wanted = TABLES[table].columns
    assert columns.keys() == {column.name for column in wanted}
    for column in wanted:
        assert column.is_nullable or columns[column.name].null_count == 0, f"{table}.{column.name}"
    fields = [pa.field(column.name, column.type, nullable=column.is_nullable) for column in wanted]
    return pa.Table.from_arrays([columns[column.name] for column in wanted], schema=pa.schema(fields))


def _make_times(seconds: Sequence[int | None]) -> Array:
    return pa.array([None if each is None else each * 1000 for each in seconds], pa.int64()).cast(_TIME)


def _make_texts(texts: Sequence[str | None]) -> Array:
    return pa.array(texts, pa.string())


def _make_header(statements: Sequence[ReadStatement]) -> Columns:
    said = [statement.predicate for statement in statements]
    return {
        "kind": _make_texts([statement.kind for statement in statements]),
        "issuer": _make_texts([each.issuer for each in said]),
        "sequence": pa.array([each.sequence for each in said], pa.int64()),
        "issued_at": _make_times([each.issued_at for each in said]),
        "subject": _make_texts([statement.subject[0].name for statement in statements]),
    }


def _read_again(statement: ReadStatement, entry: bytes) -> OtherStatement:
    """Give the statement with its payload; votes are here too, with the JSON that was signed."""
    return statement if isinstance(statement, OtherStatement) else read_other(entry, is_read=True)


def _make_reports(numbered: Numbered) -> tuple[list[int], Columns]:
    lines = [
        (at, each, number, row)
        for at, each in numbered
        if isinstance(each, _REPORTS)
        for number, row in enumerate(each.predicate.rows)
    ]
    said = [each.predicate for _, each, _, _ in lines]
    rows = [row for _, _, _, row in lines]
    corrects = [each.corrects for each in said]
    return [at for at, _, _, _ in lines], {
        "kind": _make_texts([each.kind for _, each, _, _ in lines]),
        "lab": _make_texts([each.issuer for each in said]),
        "sequence": pa.array([each.sequence for each in said], pa.int64()),
        "issued_at": _make_times([each.issued_at for each in said]),
        "interval_index": pa.array([each.interval for each in said], pa.int64()),
        "row_index": pa.array([number for _, _, number, _ in lines], pa.int32()),
        "row_count": pa.array([len(each.rows) for each in said], pa.int32()),
        "cluster": _make_texts([row.cluster for row in rows]),
        "band": pa.array([row.band for row in rows], pa.int32()),
        "records_root": make_hashes([row.records.root for row in rows], field="rows.records.root"),
        "records_count": pa.array([row.records.count for row in rows], pa.int64()),
        "limits_respected": make_limit_lists([row.limits_respected for row in rows]),
        "digests": make_digest_lists([row.digests for row in rows], field="rows.digests"),
        "evidence": make_evidence_lists([row.evidence for row in rows], field="rows.evidence"),
        "corrects": make_hashes_or_null(
            [None if each is None else each.leaf for each in corrects], field="corrects.leaf"
        ),
        "corrects_reason": _make_texts([None if each is None else each.reason for each in corrects]),
    }


def _make_verdicts(numbered: Numbered) -> tuple[list[int], Columns]:
    picked = [(at, each.predicate) for at, each in numbered if isinstance(each, VerdictStatement)]
    said = [each for _, each in picked]
    reasons = [each.reasons for each in said]
    return [at for at, _ in picked], {
        "lab": _make_texts([each.lab for each in said]),
        "nation": _make_texts([each.nation for each in said]),
        "cluster": _make_texts([each.cluster for each in said]),
        "interval_index": pa.array([each.interval for each in said], pa.int64()),
        "state": _make_texts([each.state for each in said]),
        "assurance": _make_texts([each.assurance for each in said]),
        "reasons": pa.array(reasons, pa.list_(pa.field("element", pa.string(), nullable=False))),
        "report_leaf": make_hashes_or_null([_or_none(each.report) for each in said], field="report"),
        "supersedes": make_hashes_or_null([_or_none(each.supersedes) for each in said], field="supersedes"),
    }


def _or_none(leaf: str) -> str | None:
    return None if leaf == ZERO_HASH else leaf


def _make_votes(numbered: Numbered) -> tuple[list[int], Columns]:
    picked = [(at, each) for at, each in numbered if isinstance(each, _VOTES)]
    votes = [each for _, each in picked]
    told = [_tell_vote(vote) for vote in votes]
    conditions = [vote.predicate.joins if isinstance(vote, AccessionStatement) else None for vote in votes]
    return [at for at, _ in picked], {
        "kind": _make_texts([vote.kind for vote in votes]),
        "voter": _make_texts([vote.predicate.issuer for vote in votes]),
        "sequence": pa.array([vote.predicate.sequence for vote in votes], pa.int64()),
        "issued_at": _make_times([vote.predicate.issued_at for vote in votes]),
        "matter_kind": _make_texts([each.matter_kind for each in told]),
        "matter": _make_texts([each.matter for each in told]),
        "answer": _make_texts([each.answer for each in told]),
        "content_digest": make_hashes([each.content for each in told], field="content"),
        "condition_nations": pa.array(
            [None if each is None else each.nations for each in conditions],
            pa.list_(pa.field("element", pa.string(), nullable=False)),
        ),
        "condition_nations_min": pa.array(
            [None if each is None else each.nations_min for each in conditions], pa.int32()
        ),
        "condition_lapses": pa.array([None if each is None else each.lapses for each in conditions], pa.int64()),
    }


@dataclass(frozen=True, slots=True)
class _Vote:
    matter_kind: str
    matter: str
    answer: str
    content: str


def _tell_vote(vote: VoteStatement) -> _Vote:
    match vote:
        case ApprovalStatement(predicate=said):
            return _Vote("proposal", said.proposal, "yes" if said.approves else "no", said.change)
        case AccessionStatement(predicate=said):
            return _Vote("pause", said.pause, "withdraws" if said.joins is None else "joins", said.terms)
        case PledgeStatement(predicate=said):
            return _Vote("pause", said.pause, "pledges", said.terms)


_MAKERS: Final[dict[str, tuple[tuple[type, ...], Callable[[Numbered], tuple[list[int], Columns]]]]] = {
    REPORTS: (_REPORTS, _make_reports),
    VERDICTS: ((VerdictStatement,), _make_verdicts),
    VOTES: (_VOTES, _make_votes),
}
"""By table: of which statements it is, and what makes its rows, with the place of the entry that each is of."""
