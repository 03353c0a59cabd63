"""What is known after a prefix of entries: records under byte keys, as layers that fork cheaply.

A `State` is a root that holds every record, or a layer of changes on a parent. Blocks that are not final yet are such
layers; when a block is final its layer is folded into the root (`commit`), so chains of layers stay short. Records are
immutable: a rule puts a new one in the place of an old one.

Canonical bytes: a record is a MessagePack array of its fields in order, which msgspec writes in the shortest form; a
key is one letter for the table and the name within it. `State.restore` refuses any other spelling, so equal states
have equal bytes, and `compute_state_digest` is one hash for all members.

Records of (lab, interval) are the many; the root keeps those as bytes, packed (`ledger.rules.packing`), and reads them
when asked (`Table.is_packed`). What is packed has a name of eight bytes.

Beside the records stands the charter itself, for rules that need more of it than was made a record. It never changes,
and the ledger id among the records names it, so it is not hashed again with them.

Later kinds of statements add their records and a `Table` here; nothing else in this file changes.
"""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

import msgspec

from ledger.charter import Charter
from ledger.domains import STATE
from ledger.errors import FormatError
from ledger.limits import HASH_BYTES
from ledger.positions import Interval, LeafIndex, Millis, Sequence
from ledger.rules.grid import Grid, Outage
from ledger.rules.packing import RootRecords

RECENT_MAX: Final = 8
"""How many of an issuer's last statements are remembered, to tell a duplicate from a second story."""

_RECENT_BYTES: Final = 2 * HASH_BYTES


class Record(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, gc=False):
    """What stands under a key. Kinds of records are subclasses, one a table."""


class Foundation(Record, frozen=True):
    """What the charter fixes and the rules ask for: ledger id, grid, and the ids of the limits in force."""

    ledger_id: bytes
    grid: Grid
    limits: tuple[str, ...]


class Clock(Record, frozen=True):
    """Time of the newest block, and the outages so far."""

    time_ms: Millis
    outages: tuple[Outage, ...]


class Issuer(Record, frozen=True):
    """Where a nation or lab stands.

    Attributes:
        is_nation: else it is a lab.
        next_sequence: what its next statement must carry.
        recent: its last statements, oldest first: leaf hash and SHA-256 of the payload of each.
    """

    is_nation: bool
    next_sequence: Sequence
    recent: bytes


class Nation(Record, frozen=True):
    """A member: the key that signs its statements."""

    identity: bytes


class RegisteredKey(Record, frozen=True):
    """A lab's key, and the ledger index that revoked it."""

    public_key: bytes
    revoked_by: LeafIndex | None


class RegisteredCluster(Record, frozen=True):
    """A lab's cluster, and the first interval it must be reported in."""

    id: str
    first_interval: Interval


class Lab(Record, frozen=True):
    """A lab as registered.

    Attributes:
        number: labs are counted from 0 in the order of their registration.
        nation: id of the member that registered it.
        keys: all it ever had.
        next_key: commitment to the key that will follow, 32 bytes.
        clusters: in ascending order of their ids.
    """

    number: int
    nation: str
    keys: tuple[RegisteredKey, ...]
    next_key: bytes
    clusters: tuple[RegisteredCluster, ...]


class KeyHolder(Record, frozen=True):
    """The public key behind a key id."""

    public_key: bytes


class LabName(Record, frozen=True):
    """The id of a lab, under its number or under one of its clusters."""

    lab: str


class Filing(Record, frozen=True):
    """What a lab filed for an interval and what was said of it; `ledger.rules.verdicts` packs the rows.

    Attributes:
        filed: when the report came, a `verdicts.Filed`; 0 if it has not.
        is_contested: a correction came after the correction window.
        is_queued: the next block opens with what changed here.
        latest: leaf hash of the latest report or correction; empty if there is none.
        rows: a fixed-width piece per cluster that counts in this interval, in ascending order of their ids.
    """

    filed: int
    is_contested: bool
    is_queued: bool
    latest: bytes
    rows: bytes


class Fault(Record, frozen=True):
    """A misconduct that was proven against a member, and the entry that first did."""

    misconduct: str
    index: LeafIndex


class Standing(Record, frozen=True):
    """What was proven against a member, each kind of misconduct once, in the order of the ledger."""

    faults: tuple[Fault, ...]


class Cursor(Record, frozen=True):
    """How far a deadline has been served: every lab of earlier intervals, and labs below `lab` of `interval`."""

    interval: Interval
    lab: int


class Progress(Record, frozen=True):
    """How far verdicts have been computed, and what waits: changes `queue_start` up to `queue_end`."""

    lab_count: int
    due: Cursor
    grace: Cursor
    queue_start: int
    queue_end: int


class Change(Record, frozen=True):
    """A (lab, interval) whose verdicts changed after due."""

    lab: int
    interval: Interval


RecordT = TypeVar("RecordT", bound=Record)


class Table(Generic[RecordT]):
    """One kind of record: its letter, its type, its canonical bytes."""

    def __init__(self, letter: bytes, record: type[RecordT], *, is_packed: bool = False) -> None:
        """Bind a letter to a type.

        Args:
            letter: first byte of every key; no two tables share one.
            record: what stands there.
            is_packed: whether the root keeps packed bytes instead of objects: for the many that are seldom read, under
                names of eight bytes.
        """
        self.letter = letter
        self._record = record
        self._decoder = msgspec.msgpack.Decoder(record)
        self.is_packed = is_packed

    def get(self, state: "State", name: bytes = b"") -> RecordT | None:
        """The record of this name, or None."""
        record = state.get(self.letter + name)
        assert record is None or isinstance(record, self._record)
        return record

    def require(self, state: "State", name: bytes = b"") -> RecordT:
        """The record of this name, of which we know that it exists."""
        record = self.get(state, name)
        assert record is not None, (self.letter, name)
        return record

    def put(self, state: "State", record: RecordT | None, name: bytes = b"") -> None:
        """Set the record of this name, or remove it."""
        state.put(self.letter + name, record)

    def decode(self, raw: bytes) -> RecordT:
        """Read canonical bytes.

        Raises:
            FormatError: not a record of this table, or another spelling of one.
        """
        try:
            record = self._decoder.decode(raw)
        except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
            raise FormatError(field="state.value", found=str(error), expected=self._record.__name__) from None
        if encode_record(record) != raw:
            raise FormatError(field="state.value", found="another spelling", expected="the record's one encoding")
        return record

    def unpack(self, raw: bytes) -> RecordT:
        """Read bytes that this process packed itself."""
        return self._decoder.decode(raw)


FOUNDATION: Final = Table(b"A", Foundation)
CLOCK: Final = Table(b"B", Clock)
PROGRESS: Final = Table(b"C", Progress)
ISSUERS: Final = Table(b"D", Issuer)  # by id
NATIONS: Final = Table(b"E", Nation)  # by id
LABS: Final = Table(b"F", Lab)  # by id
LAB_NUMBERS: Final = Table(b"G", LabName)  # by number
KEYS: Final = Table(b"H", KeyHolder)  # by key id, 32 bytes
CLUSTERS: Final = Table(b"I", LabName)  # by id: whose it is
FILINGS: Final = Table(b"J", Filing, is_packed=True)  # by lab number and interval
CHANGES: Final = Table(b"K", Change)  # by place in the queue
STANDINGS: Final = Table(b"L", Standing)  # by id of the member; who is not here is not faulted

_TABLES: Final[dict[int, Table[Record]]] = {
    # A table of one kind of record stands for a table of records: get and decode return what the type says.
    table.letter[0]: table  # type: ignore[misc]
    for table in (
        FOUNDATION, CLOCK, PROGRESS, ISSUERS, NATIONS, LABS, LAB_NUMBERS, KEYS, CLUSTERS, FILINGS, CHANGES,
        STANDINGS,
    )
}  # fmt: skip
_PACKED: Final = [letter for letter, table in _TABLES.items() if table.is_packed]
_ENCODER: Final = msgspec.msgpack.Encoder()
_NOTHING: Final = object()


def encode_record(record: Record) -> bytes:
    """The canonical bytes of a record."""
    return _ENCODER.encode(record)


def make_number_name(number: int) -> bytes:
    """Name of a record that is found by a number: 4 bytes, so that byte order is numeric order."""
    return number.to_bytes(4, "big")


def make_filing_name(lab: int, interval: Interval) -> bytes:
    """Name of the filing of a lab for an interval."""
    return (lab << 32 | interval).to_bytes(8, "big")


def make_queue_name(place: int) -> bytes:
    """Name of a change in the queue."""
    return place.to_bytes(8, "big")


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
            table = _TABLES.get(key[0]) if key else None
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
        return _TABLES[key[0]].unpack(stored) if isinstance(stored, bytes) else stored

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
                base[key] = encode_record(record) if _TABLES[key[0]].is_packed else record
        root.base = None
        layer.parent, layer.base, layer.changes = None, base, {}

    def items(self) -> Iterator[tuple[bytes, bytes]]:
        """Every key and canonical value, in ascending order of keys."""
        layers = [self._layer]
        while (parent := layers[-1].parent) is not None:
            layers.append(parent)
        changes: dict[bytes, Record | None] = {}
        for layer in reversed(layers):
            changes.update(layer.changes)
        for key, value in _overlay(layers[-1].require_base().walk(), changes):
            yield key, value if isinstance(value, bytes) else encode_record(value)


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


def compute_last_leaf(issuer: Issuer) -> bytes:
    """Leaf hash of the issuer's last entry; zeros if it has none."""
    return issuer.recent[-_RECENT_BYTES:][:HASH_BYTES] or bytes(HASH_BYTES)


def find_recent(issuer: Issuer, sequence: Sequence) -> tuple[bytes, bytes] | None:
    """Leaf hash and payload digest of the issuer's statement of this sequence, if it is still remembered."""
    start = len(issuer.recent) - (issuer.next_sequence - sequence) * _RECENT_BYTES
    if start < 0 or sequence >= issuer.next_sequence:
        return None
    piece = issuer.recent[start : start + _RECENT_BYTES]
    return piece[:HASH_BYTES], piece[HASH_BYTES:]


def advance_issuer(issuer: Issuer, *, leaf: bytes, payload_digest: bytes) -> Issuer:
    """The issuer after one more statement."""
    recent = (issuer.recent + leaf + payload_digest)[-RECENT_MAX * _RECENT_BYTES :]
    return Issuer(issuer.is_nation, Sequence(issuer.next_sequence + 1), recent)
