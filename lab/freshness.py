"""That salts are fresh: none twice in a statement, nor in all that the vault holds.

Salts of fields, records and accelerators are compared as they are. What decoys were made of is not kept, so digests are
compared too, as the ledger shows them: an equal digest in two statements tells every reader that their values are equal
or that neither hides anything. What both sides of a transfer know may be the other side's, and is left out. Of one
training run the very same digests may be said again: the rules ask for that while it is frozen.
"""

from lab.parts import read_said
from lab.stored import Stored, StoredReport, StoredStatement, list_salts, read_declaration
from ledger.errors import FormatError
from ledger.openings import SHARED
from ledger.statements.dsse import parse_envelope
from ledger.statements.runs import TRAINING_RUN


class Freshness:
    """The salts and digests of one statement, to be held against those of others; memory of one statement."""

    def __init__(self, stored: Stored) -> None:
        """Read a statement that was verified (`lab.stored.verify_stored`).

        Raises:
            FormatError: a salt occurs twice in it.
        """
        self._stored = stored
        self._salts: dict[bytes, str | None] = {}
        self._digests = frozenset(_list_digests(stored))  # none twice: the statement's own form forbids it
        for salt, disclosure in list_salts(stored):
            if salt in self._salts:
                raise _reused("salt", "the same statement")
            self._salts[salt] = disclosure

    def find_reuse(self, other: Stored) -> FormatError | None:
        """Say what this statement shares with another and must not; None if all is fresh."""
        may_repeat = _is_of_one_run(self._stored, other)
        for salt, disclosure in list_salts(other):
            if salt in self._salts and not (may_repeat and disclosure is not None and self._salts[salt] == disclosure):
                return _reused("salt", f"statement {other.leaf}")
        if not may_repeat and any(digest in self._digests for digest in _list_digests(other)):
            return _reused("digest", f"statement {other.leaf}")
        return None


def _list_digests(stored: Stored) -> list[str]:
    """Every digest that the statement shows, decoys among them."""
    if isinstance(stored, StoredReport):
        return [digest for row in read_declaration(stored.kind, stored.envelope).rows for digest in row.digests]
    parts = read_said(parse_envelope(stored.envelope).payload).parts
    return [digest for part in parts if part.name != SHARED for digest in part.digests]


def _is_of_one_run(stored: Stored, other: Stored) -> bool:
    """A frozen run is said again with the very digests of before, which shows that nothing changed."""
    return (
        isinstance(stored, StoredStatement)
        and isinstance(other, StoredStatement)
        and (stored.kind, other.kind) == (TRAINING_RUN, TRAINING_RUN)
        and stored.name == other.name
    )


def _reused(field: str, where: str) -> FormatError:
    return FormatError(
        field=field, found=f"one that was used in {where}", expected="fresh salts; do not trust this random source"
    )
