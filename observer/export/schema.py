"""The tables that are exported: every column with its type, unit and meaning, in one place.

The files are written with these types, `docs/data.md` is made from these words, and both change together. A change that
a reader could notice (a column renamed, another type, another meaning) raises `SCHEMA_VERSION`; a column may be added
at the end without.

Invariants
1. Integers only, no floating point. Nothing on the ledger is above 2**63 - 1 (`ledger.limits.SIZE_MAX`), so `int64`
   holds it, and no reader has to know unsigned types.
2. A column is nullable exactly if some row may have nothing there; the meaning says when.
3. Times are milliseconds in UTC. Hashes are binaries of fixed size, but inside lists, where pandas reads none, plain
   ones. Text is plain text; that Parquet writes repeated text once is its own affair, and no reader sees another type
   for it.
4. The first column orders a table; no column's name is a word that SQL has taken.

Source: https://parquet.apache.org/docs/file-format/types/logicaltypes/.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import pyarrow as pa  # type: ignore[import-untyped] # it brings no stubs

from ledger.limits import HASH_BYTES, SEAL_BYTES

SCHEMA_VERSION: Final = 1

ENTRIES: Final = "entries"
REPORTS: Final = "reports"
VERDICTS: Final = "verdicts"
VOTES: Final = "votes"
STATEMENTS: Final = "statements"
SEALS: Final = "seals"

_COUNT: Final = pa.int64()
_SMALL: Final = pa.int32()
_TIME: Final = pa.timestamp("ms", tz="UTC")
_HASH: Final = pa.binary(HASH_BYTES)
_SEAL: Final = pa.binary(SEAL_BYTES)
_TEXT: Final = pa.string()
_FLAG: Final = pa.bool_()
_BYTES: Final = pa.binary()

LIMIT: Final = pa.struct([pa.field("limit_id", _TEXT, nullable=False), pa.field("is_respected", _FLAG, nullable=False)])
EVIDENCE: Final = pa.struct(
    [
        pa.field("type", _TEXT, nullable=False),
        pa.field("layer", _TEXT, nullable=False),
        pa.field("digest", _BYTES, nullable=False),
        pa.field("size_bytes", _COUNT, nullable=False),
        pa.field("nonce", _BYTES, nullable=False),
    ]
)


def _list_of(element: pa.DataType) -> pa.DataType:
    return pa.list_(pa.field("element", element, nullable=False))


@dataclass(frozen=True, slots=True)
class Column:
    """One column.

    Attributes:
        name: as readers write it.
        type: of a value that is there.
        meaning: in a sentence; it begins with the unit where there is one.
        is_nullable: whether some row may have nothing there.
    """

    name: str
    type: pa.DataType
    meaning: str
    is_nullable: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """One table.

    Attributes:
        name: also of its folder.
        rows: what a row stands for.
        columns: in their order.
        is_by_height: whether its files are ranges of block heights; else of entry indices.
    """

    name: str
    rows: str
    columns: tuple[Column, ...]
    is_by_height: bool = False


_PLACE: Final = (
    Column("entry_index", _COUNT, "position of the entry on the ledger, from 0; it never changes"),
    Column("height", _COUNT, "height of the block that added it"),
    Column("block_time", _TIME, "time of that block; the ledger's time, which all rules go by"),
    Column("leaf_hash", _HASH, "RFC 6962 leaf hash of the entry: what other statements name it by"),
)
_SAID: Final = (
    Column("sequence", _COUNT, "the issuer's own count of its statements, from 0"),
    Column("issued_at", _TIME, "what the issuer's clock said, to the second; its word, which no rule uses"),
)
_HEADER: Final = (
    Column(
        "kind",
        _TEXT,
        "kind of statement, such as `report`; from version 2 on with the version, `charter:v2`; the whole"
        " `predicateType` where it is none of Counterseal's; null where the entry is no statement that can be read",
        is_nullable=True,
    ),
    Column(
        "issuer",
        _TEXT,
        "id of the nation or lab that says it; null where the rules made it, or it cannot be read",
        is_nullable=True,
    ),
    *(Column(each.name, each.type, f"{each.meaning}; null like `issuer`", is_nullable=True) for each in _SAID),
    Column("subject", _TEXT, "name of what it is about, such as `lab/interval`; null like `kind`", is_nullable=True),
    Column("is_computed", _FLAG, "true where the rules made it, so that nobody signed it but the seal"),
)

TABLES: Final[Mapping[str, Table]] = {
    table.name: table
    for table in (
        Table(
            ENTRIES,
            "each entry of the ledger, whatever it is",
            (
                *_PLACE,
                *_HEADER,
                Column("size_bytes", _SMALL, "bytes; size of the entry"),
                Column(
                    "entry",
                    _BYTES,
                    "the very bytes that were hashed; null unless the export was made with `--raw`",
                    is_nullable=True,
                ),
            ),
        ),
        Table(
            REPORTS,
            "each row of a report or correction: one cluster of one lab in one interval",
            (
                *_PLACE,
                Column("kind", _TEXT, "`report`, or `correction` of an earlier one"),
                Column("lab", _TEXT, "id of the lab that says it"),
                *_SAID,
                Column("interval_index", _COUNT, "number of the interval on the charter's grid, from 0"),
                Column("row_index", _SMALL, "place of the row in its statement, from 0"),
                Column("row_count", _SMALL, "how many rows the statement has"),
                Column("cluster", _TEXT, "id of the cluster"),
                Column(
                    "band",
                    _SMALL,
                    "decade of the training operations: 24 means at least 10^24 and less than 10^25; 0 means none",
                ),
                Column("records_root", _HASH, "Merkle root over the records behind the row, which the lab keeps"),
                Column("records_count", _COUNT, "how many records those are"),
                Column(
                    "limits_respected", _list_of(LIMIT), "the lab's promise on each limit, in the order of the charter"
                ),
                Column(
                    "digests",
                    _list_of(_BYTES),
                    "salted SHA-256 of every hidden field, among decoys, in ascending order of their base64url",
                ),
                Column("evidence", _list_of(EVIDENCE), "what is attached: type, layer, SHA-256, bytes, nonce"),
                Column("corrects", _HASH, "leaf hash of the entry it corrects; null in a report", is_nullable=True),
                Column("corrects_reason", _TEXT, "why, in the lab's words; null in a report", is_nullable=True),
            ),
        ),
        Table(
            VERDICTS,
            "each verdict, superseded ones included",
            (
                *_PLACE,
                Column("lab", _TEXT, "id of the lab"),
                Column("nation", _TEXT, "id of the nation that registered it"),
                Column("cluster", _TEXT, "id of the cluster"),
                Column("interval_index", _COUNT, "number of the interval on the charter's grid, from 0"),
                Column("state", _TEXT, "the worst state that any reason calls for; never show it without `assurance`"),
                Column("assurance", _TEXT, "how far the declaration was checked, `A0` to `A4`; `A0`: it was declared"),
                Column("reasons", _list_of(_TEXT), "every reason, in ascending order; empty for `compliant`"),
                Column(
                    "report_leaf", _HASH, "leaf hash of the report or correction judged; null if none", is_nullable=True
                ),
                Column(
                    "supersedes",
                    _HASH,
                    "leaf hash of the verdict it replaces; null for the first on that cluster and interval",
                    is_nullable=True,
                ),
            ),
        ),
        Table(
            VOTES,
            "each word of a nation or lab on what others decide with it: `approval`, `pause-accession`, `lab-pledge`",
            (
                *_PLACE,
                Column("kind", _TEXT, "kind of the statement"),
                Column("voter", _TEXT, "id of the nation; of the lab for a `lab-pledge`"),
                *_SAID,
                Column("matter_kind", _TEXT, "`proposal` or `pause`"),
                Column("matter", _TEXT, "id of the proposal or pause"),
                Column(
                    "answer",
                    _TEXT,
                    "`yes` or `no` to a proposal; `joins` or `withdraws` of an accession; `pledges`."
                    " Until the matter is decided the voter's newest word counts",
                ),
                Column("content_digest", _HASH, "SHA-256 of the change or terms as the voter read them"),
                Column(
                    "condition_nations",
                    _list_of(_TEXT),
                    "nations that must join too; null unless `joins`",
                    is_nullable=True,
                ),
                Column(
                    "condition_nations_min",
                    _SMALL,
                    "how many nations must join in all, 0 for any; null unless `joins`",
                    is_nullable=True,
                ),
                Column(
                    "condition_lapses",
                    _COUNT,
                    "number of the interval at whose beginning it counts for the last time; null unless `joins`",
                    is_nullable=True,
                ),
            ),
        ),
        Table(
            STATEMENTS,
            "each entry that is in neither `reports` nor `verdicts`, so that nothing is lost",
            (
                *_PLACE,
                *_HEADER,
                Column(
                    "payload",
                    _TEXT,
                    "the statement as JSON text, as it was signed: `$.predicate` holds its fields; null where it is no"
                    " JSON in UTF-8",
                    is_nullable=True,
                ),
                Column(
                    "entry",
                    _BYTES,
                    "the very bytes of the entry, where the release that wrote the file does not know the kind or"
                    " cannot read the statement; else null",
                    is_nullable=True,
                ),
            ),
        ),
        Table(
            SEALS,
            "each block, from the charter's own on",
            (
                Column("height", _COUNT, "position in the chain, from 0"),
                Column("epoch", _COUNT, "number of the committee, from 1"),
                Column("view_number", _COUNT, "view in which it was notarized; gaps are attempts that failed"),
                Column("block_time", _TIME, "the ledger's time"),
                Column("proposer_index", _SMALL, "number of the member that proposed it; 0 for the first block"),
                Column("proposer", _TEXT, "id of that nation; null for the first block", is_nullable=True),
                Column("first_index", _COUNT, "index of the first entry that it adds, if it adds any"),
                Column("entry_count", _SMALL, "how many entries it adds"),
                Column("tree_size", _COUNT, "how many entries the ledger has after it"),
                Column("root", _HASH, "root of the Merkle tree after it"),
                Column("block_digest", _HASH, "its name: SHA-256 over a tag and the header"),
                Column("parent", _HASH, "name of the block before it; zeros for the first"),
                Column("entries_digest", _HASH, "SHA-256 over the leaf hashes of its entries"),
                Column(
                    "state_digest",
                    _HASH,
                    "digest of the rules' state; null where the charter wants none",
                    is_nullable=True,
                ),
                Column(
                    "seal",
                    _SEAL,
                    "the quorum's one BLS signature; null where it is final through a later block's",
                    is_nullable=True,
                ),
            ),
            is_by_height=True,
        ),
    )
}
"""By name, in the order in which they are shown."""

_TYPE_NAMES: Final[Mapping[pa.DataType, str]] = {
    _COUNT: "int64",
    _SMALL: "int32",
    _TIME: "time",
    _HASH: "32 bytes",
    _SEAL: "48 bytes",
    _TEXT: "text",
    _FLAG: "boolean",
    _BYTES: "bytes",
    _list_of(LIMIT): "list of {limit_id, is_respected}",
    _list_of(EVIDENCE): "list of {type, layer, digest, size_bytes, nonce}",
    _list_of(_BYTES): "list of bytes",
    _list_of(_TEXT): "list of text",
}


def make_arrow_schema(table: Table, metadata: Mapping[str, str]) -> pa.Schema:
    """Give the types a table's file is written with.

    Args:
        table: which.
        metadata: what the file says of itself; each column says its meaning.
    """
    fields = [
        pa.field(column.name, column.type, nullable=column.is_nullable, metadata={"meaning": column.meaning})
        for column in table.columns
    ]
    return pa.schema(fields, metadata=dict(metadata))


def describe_columns(table: Table) -> list[tuple[str, str, str]]:
    """Give name, type and meaning of each column, for people; a type with `?` may be null."""
    return [
        (f"`{column.name}`", _TYPE_NAMES[column.type] + ("?" if column.is_nullable else ""), column.meaning)
        for column in table.columns
    ]
