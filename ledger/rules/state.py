"""What is known after a prefix of entries: records under byte keys, as layers that fork cheaply.

A `State` is a root that holds every record, or a layer of changes on a parent. Blocks that are not final yet are such
layers; when a block is final its layer is folded into the root (`commit`), so chains of layers stay short. Records are
immutable: a rule puts a new one in the place of an old one.

`State.restore` refuses any but the canonical bytes of `ledger.rules.record`, so equal states have equal bytes, and
`compute_state_digest` is one hash for all members. Records of (lab, interval) are the many; the root keeps those as
bytes, packed (`ledger.rules.packing`), and reads them when asked (`Table.is_packed`). Their names have eight bytes.

Beside the records stands the charter itself, for rules that need more of it than was made a record. It never changes,
and the ledger id among the records names it, so it is not hashed again with them.
"""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from ledger.charter import Charter
from ledger.domains import STATE
from ledger.errors import FormatError
from ledger.rules.packing import RootRecords
from ledger.rules.record import Record, encode_record
from ledger.rules.records.foundation import FOUNDATION, Foundation
from ledger.rules.tables import TABLES

_PACKED: Final = [letter for letter, table in TABLES.items() if table.is_packed]
_NOTHING: Final = object()


@dataclass(slots=True)
class _Layer:
    """Changes on a parent; or a root, which holds all records in `base` until its successor takes them over."""

    parent: "_Layer | None" = None
    changes: dict[bytes, Record | None] = field(default_factory=dict)
    base: RootRecords[Record] | None = None

    def require_base(self) -> RootRecords[Record]:
        """The records of a root that is still one."""
        assert self.base is not None, "this state's root has moved on"
        return self.base


class State:
    """Records after a prefix of the ledger: a root, or changes on a parent.

    A state and its forks belong to one thread. Reading a state whose root has moved on to one of its siblings
    (`commit`) is our own mistake and an assertion.
    """

    __slots__ = ("_charter", "_layer")

    def __init__(self, charter: Charter | None = None) -> None:
        """Make an empty root; `fork`, `restore` and `apply.found` make the others."""
        self._charter = charter
        self._layer = _Layer(base=RootRecords(_PACKED))

    @property
    def charter(self) -> Charter:
        """The charter of the ledger whose state this is."""
        assert self._charter is not None, "nothing is executed on records without their charter"
        return self._charter

    @classmethod
    def restore(cls, items: Iterable[tuple[bytes, bytes]], *, charter: Charter | None) -> "State":
        """Make a root from what a store kept.

        Args:
            items: every (key, value) that `changes` gave since the founding and that was not removed since.
            charter: of the ledger; None where the records are only looked at, and nothing is executed on them.

        Raises:
            FormatError: unknown table, a key twice, a value that is not canonical, no foundation, or that of another
                charter.
        """
        base: RootRecords[Record] = RootRecords(_PACKED)
        for key, value in items:
            table = TABLES.get(key[0]) if key else None
            if table is None or key in base:
                raise FormatError(field="state.key", found=key.hex(), expected="a key of a known table, once")
            record = table.decode(value)
            base[bytes(key)] = bytes(value) if table.is_packed else record
        state = cls(charter)
        state._layer.base = base
        foundation: Foundation | None = FOUNDATION.get(state)
        if foundation is None:
            raise FormatError(field="state", found="no foundation", expected="the records of a founded ledger")
        if charter is not None and foundation.ledger_id != charter.ledger_id:
            raise FormatError(field="state", found=foundation.ledger_id.hex(), expected=charter.fingerprint)
        return state

    def fork(self) -> "State":
        """A layer on this state; what is put there leaves this one as it is."""
        fork = State.__new__(State)
        fork._charter, fork._layer = self._charter, _Layer(parent=self._layer)  # noqa: SLF001  # its own constructor
        return fork

    def get(self, key: bytes) -> Record | None:
        """The record under a key, or None."""
        layer = self._layer
        while True:
            record = layer.changes.get(key, _NOTHING)
            if record is not _NOTHING:
                return record  # type: ignore[return-value]  # the dictionary holds records and None
            if layer.parent is None:
                break
            layer = layer.parent
        stored = layer.require_base().find(key)
        return TABLES[key[0]].unpack(stored) if isinstance(stored, bytes) else stored

    def put(self, key: bytes, record: Record | None) -> None:
        """Set the record under a key in this layer; None removes it."""
        self._layer.changes[key] = record

    def changes(self) -> list[tuple[bytes, bytes | None]]:
        """What this layer changed, as (key, canonical bytes or None) in ascending order, for a store."""
        changes = self._layer.changes
        return [(key, None if record is None else encode_record(record)) for key, record in sorted(changes.items())]

    def commit(self) -> None:
        """Fold this layer into the root and become the root: its block is final.

        The parent must be the root; it and its other forks must not be used again.
        """
        layer = self._layer
        root = layer if layer.parent is None else layer.parent
        assert root.parent is None, "a block becomes final after its parent"
        assert root is layer or not root.changes, "the root's own changes were not committed"
        base = root.require_base()
        for key, record in layer.changes.items():
            if record is None:
                base.pop(key, None)
            else:
                base[key] = encode_record(record) if TABLES[key[0]].is_packed else record
        root.base = None
        layer.parent, layer.base, layer.changes = None, base, {}

    def items(self) -> Iterator[tuple[bytes, bytes]]:
        """Every key and canonical value, in ascending order of keys."""
        base, changes = self._join_layers()
        for key, value in _overlay(base.walk(), changes):
            yield key, value if isinstance(value, bytes) else encode_record(value)

    def walk(self, letter: bytes) -> Iterator[tuple[bytes, Record]]:
        """Every key and record of one table that is not packed, in ascending order of keys.

        It looks at every key of such a table: for people who ask now and then, never for a rule.
        """
        base, changes = self._join_layers()
        mine = {key: record for key, record in changes.items() if key.startswith(letter)}
        for key, record in _overlay(base.walk_plain(letter[0]), mine):
            assert not isinstance(record, bytes)
            yield key, record

    def _join_layers(self) -> tuple[RootRecords[Record], dict[bytes, Record | None]]:
        """The root's records, and what the layers above it changed."""
        layers = [self._layer]
        while (parent := layers[-1].parent) is not None:
            layers.append(parent)
        changes: dict[bytes, Record | None] = {}
        for layer in reversed(layers):
            changes.update(layer.changes)
        return layers[-1].require_base(), changes


def _overlay(
    stored: Iterator[tuple[bytes, Record | bytes]], changes: dict[bytes, Record | None]
) -> Iterator[tuple[bytes, Record | bytes]]:
    """What is stored with what was changed since, in ascending order of keys as `stored` is."""
    changed = sorted(changes)
    place = 0
    for key, value in stored:
        while place < len(changed) and changed[place] < key:
            yield from _present(changed[place], changes)
            place += 1
        if place < len(changed) and changed[place] == key:
            continue  # it follows in its new form, as what is changed before the next key
        yield key, value
    for key in changed[place:]:
        yield from _present(key, changes)


def _present(key: bytes, changes: dict[bytes, Record | None]) -> Iterator[tuple[bytes, Record]]:
    record = changes[key]
    if record is not None:
        yield key, record


def compute_state_digest(state: State) -> bytes:
    """SHA-256 over a tag and every key and value in ascending order of keys, each with its length as u32 before it."""
    digest = hashlib.sha256(STATE)
    for key, value in state.items():
        digest.update(b"%b%b%b%b" % (len(key).to_bytes(4, "big"), key, len(value).to_bytes(4, "big"), value))
    return digest.digest()
