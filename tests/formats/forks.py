"""Formats of what observers keep and hand on about two histories."""

import sqlite3
import tempfile
from pathlib import Path

from ledger.charter import parse_charter
from ledger.forks import Fork, encode_fork, parse_fork
from ledger.notes import Note, SignatureLine
from observer.heads import HEADS_FILE, open_heads
from tests.formats import entries, trees
from tests.formats.draws import Draw


def _note(draw: Draw) -> Note:
    """A note of the right form, signed by nobody."""
    lines = [SignatureLine(draw.key_name(), draw.raw(4), draw.raw(72)) for _ in range(1 + draw.below(3))]
    return Note(text=f"{draw.key_name()}\n{draw.number()}\n", signatures=tuple(lines))


def fork_proof(draw: Draw) -> bytes:
    """A proof of a fork by each kind of link."""
    kind = draw.below(3)
    made = Fork(
        charter=entries.charter(draw),
        older=None if draw.below(4) == 0 else _note(draw),
        newer=_note(draw),
        prefix_root=draw.digest() if kind == 1 else b"",
        tree=tuple(draw.digest() for _ in range(draw.below(9))) if kind == 1 else (),
        headers=tuple(trees.header(draw, 1 + draw.below(99)) for _ in range(1 + draw.below(5))) if kind == 2 else (),
    )
    raw = encode_fork(made)
    assert parse_fork(raw) == made
    return raw


def heads_schema(draw: Draw) -> bytes:
    """What SQLite says of the tables of an observer's heads."""
    with tempfile.TemporaryDirectory() as folder:
        charter = parse_charter(entries.charter(draw))
        open_heads(Path(folder), charter).close()
        connection = sqlite3.connect(Path(folder, HEADS_FILE))
        rows = connection.execute("SELECT sql FROM sqlite_master WHERE type = 'table' ORDER BY name").fetchall()
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        connection.close()
    return "\n".join([str(version), *(row[0] for row in rows)]).encode()
