"""The observer's library: follow a ledger, check it, ask it, from a program of your own.

    from observer import open_observer, sync_copy

    sync_copy("pause", "https://node.example/ledger", fingerprint="64 hex digits from somebody you trust")
    with open_observer("pause") as observer:
        for found in observer.verdicts("lab-0", first=0, last=6):
            print(found.verdict.cluster, found.verdict.interval, found.verdict.state)

What is asked is read from your own copy, each time compared with its sealed root: whatever these functions return was
under a seal of the charter's quorum, and what was changed on disk is refused. Whether it also follows from the rules is
what `audit_copy` says. Everything raised is a `LedgerError`, with field, found, expected and a code that never changes
its meaning (`docs/errors.md`). An `Observer` belongs to one thread.
"""

import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, Self

import msgspec

from ledger.charter import Charter
from ledger.encoding import decode_hex
from ledger.errors import Code, ConditionError, FormatError
from ledger.limits import HASH_BYTES
from ledger.merkle import leaf_hash
from ledger.positions import Height, Interval, LeafIndex, Millis
from ledger.statements.computed import find_computed_kind, is_computed_entry
from ledger.statements.dsse import parse_envelope
from ledger.statements.intoto import find_kind
from observer.audit import AuditReport, audit_home
from observer.board import Board, make_board
from observer.copy import Copy, require_copy
from observer.proofs import ProvenEntry, certify, prove_entry
from observer.sync import SyncResult, sync_home
from observer.verdicts import FoundVerdict, find_verdicts

_RUN: Final = 256


class _Subject(msgspec.Struct):
    name: str


class _Predicate(msgspec.Struct):
    issuer: str | None = None


class _Shape(msgspec.Struct):
    """What every statement has; whoever uses one checks the rest."""

    subject: Annotated[tuple[_Subject, ...], msgspec.Meta(min_length=1)]
    predicate: _Predicate


_SHAPE: Final = msgspec.json.Decoder(_Shape)
_DECODER: Final = msgspec.json.Decoder()


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of the ledger, compared with a sealed root.

    Attributes:
        index: where it stands, from 0.
        leaf: its leaf hash, 32 bytes.
        raw: its bytes.
        kind: such as `report`; later versions by name and version, such as `charter:v2`.
        subject: what it is about, such as `lab-0/3` for a report.
        issuer: who signed it; None where the rules made it.
        statement: its in-toto statement, as JSON has it. Figures that a lab hides are digests.
    """

    index: LeafIndex
    leaf: bytes
    raw: bytes
    kind: str
    subject: str
    issuer: str | None
    statement: Mapping[str, Any]  # JSON is of any type


def sync_copy(home: str | Path, *sources: str, fingerprint: str | None = None) -> SyncResult:
    """Bring the copy in a folder up to date from sources named by URL; make it first if there is none.

    Args:
        home: folder of the copy; belongs to one ledger for good.
        sources: nodes, mirrors, object stores behind HTTP, or folders; several, since any one can keep news from you.
        fingerprint: SHA-256 of the charter in hex; needed the first time.

    Returns:
        The newest sealed block, and for each source how it stands to it; `outcome.error` says what was wrong.

    Raises:
        LedgerError: no source could be used for a first copy, or the copy is not what was written. What is wrong with
            one source of an existing copy is in the result and raises nothing.
    """
    return sync_home(Path(home), sources, fingerprint=_parse_fingerprint(fingerprint), draw=secrets.token_bytes)


def audit_copy(home: str | Path, *, fingerprint: str | None = None, workers_count: int = 1) -> AuditReport:
    """Execute every rule from entry 0 and compare each signature, seal, root and verdict of a copy.

    Args:
        home: folder of the copy.
        fingerprint: as `sync_copy`; None to take the one that the copy is pinned to.
        workers_count: processes that check signatures beside this one; 0 for none.

    Raises:
        LedgerError: something does not hold; the field says where.
    """
    return audit_home(
        Path(home), fingerprint=_parse_fingerprint(fingerprint), draw=secrets.token_bytes, workers_count=workers_count
    )


def open_observer(home: str | Path, *, fingerprint: str | None = None) -> "Observer":
    """Open the copy in a folder, to be asked; use it in a `with` block.

    Raises:
        ConditionError: there is none yet (`NOT_FOUND`), or it is damaged.
        PolicyError: it is pinned to another charter than `fingerprint`.
    """
    return Observer(require_copy(Path(home), fingerprint=_parse_fingerprint(fingerprint)))


class Observer:
    """One observer's copy of a ledger, and what can be asked of it; made by `open_observer`."""

    def __init__(self, copy: Copy) -> None:
        """Ask a copy, which this closes in the end."""
        self._copy: Final = copy

    def __enter__(self) -> Self:
        """Use it, and close it whatever happens."""
        return self

    def __exit__(self, *exc: object) -> None:
        """Close."""
        self.close()

    def close(self) -> None:
        """Close the copy."""
        self._copy.close()

    @property
    def charter(self) -> Charter:
        """What the ledger was founded with: members, keys, grid, limits, agreement."""
        return self._copy.charter

    @property
    def height(self) -> Height:
        """Height of the newest sealed block of the copy."""
        return self._copy.head.header.height

    @property
    def sealed_at_ms(self) -> Millis:
        """When that was sealed, in Unix milliseconds of ledger time."""
        return self._copy.head.header.time_ms

    def __len__(self) -> int:
        """How many entries are under it."""
        return int(self._copy.tree.size)

    def entry(self, index: int) -> Entry:
        """Read an entry by its index.

        Raises:
            ConditionError: there is none (`NOT_FOUND`), or the copy is damaged.
            ProofError: what is on disk is not under the seal.
        """
        if not 0 <= index < len(self):
            expected = f"an index below {len(self)}"
            raise ConditionError(field="index", found=index, expected=expected, code=Code.NOT_FOUND)
        return _read(LeafIndex(index), self._copy.tree.read_entry(LeafIndex(index)))

    def entries(
        self, *, first: int = 0, kinds: Sequence[str] | None = None, issuer: str | None = None
    ) -> Iterator[Entry]:
        """Read entries in ledger order, in memory that does not grow.

        Args:
            first: index to begin at.
            kinds: only these, such as `("report", "correction")`; None for all.
            issuer: only what this party signed; None for all.

        Raises:
            LedgerError: as `entry`.
        """
        for start in range(max(first, 0), len(self), _RUN):
            indices = [LeafIndex(index) for index in range(start, min(start + _RUN, len(self)))]
            for index, raw in zip(indices, self._copy.proven_entries(indices), strict=True):
                entry = _read(index, raw)
                if (kinds is None or entry.kind in kinds) and (issuer is None or entry.issuer == issuer):
                    yield entry

    def verdicts(
        self, lab: str, *, first: int, last: int | None = None, cluster: str | None = None
    ) -> list[FoundVerdict]:
        """Find the newest verdicts on a lab's clusters, by an index: no scan.

        Args:
            lab: id of the lab.
            first: number of an interval.
            last: the last one; None for `first` alone.
            cluster: one cluster; None for all.

        Raises:
            ConditionError: there is none (`NOT_FOUND`), or too much was asked for (`CONFIG`).
            FormatError: an id that none can be.
        """
        end = first if last is None else last
        return find_verdicts(self._copy, lab=lab, cluster=cluster, first=Interval(first), last=Interval(end))

    def board(self, *, now_ms: int | None = None) -> Board:
        """See how the network, its nations and every lab stand; the clock decides what is stale.

        Args:
            now_ms: Unix milliseconds; None for this machine's clock.
        """
        return make_board(self._copy, now_ms=Millis(time.time_ns() // 1_000_000 if now_ms is None else now_ms))

    def receipt(self, index: int) -> ProvenEntry:
        """Make the receipt of an entry; `raw` is a C2SP tlog-proof that anyone verifies offline."""
        self.entry(index)
        return prove_entry(self._copy, LeafIndex(index))

    def certificate(self, lab: str, cluster: str, interval: int) -> bytes:
        """Make the certificate of the newest verdict on a cluster's interval: one file, verifiable offline.

        Raises:
            ConditionError: there is no verdict yet (`NOT_FOUND`).
        """
        raw, _ = certify(self._copy, lab=lab, cluster=cluster, interval=Interval(interval))
        return raw


def _parse_fingerprint(text: str | None) -> bytes | None:
    return None if text is None else decode_hex(text, field="fingerprint", size=HASH_BYTES)


def _read(index: LeafIndex, raw: bytes) -> Entry:
    """Read an entry just far enough to hand it on; a quorum that colludes can seal one that is no statement."""
    is_computed = is_computed_entry(raw)
    payload = raw if is_computed else parse_envelope(raw).payload
    try:
        shape, statement = _SHAPE.decode(payload), _DECODER.decode(payload)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise FormatError(field=f"entries[{index}]", found=str(error), expected="a statement") from None
    return Entry(
        index=index,
        leaf=leaf_hash(raw),
        raw=raw,
        kind=find_computed_kind(raw) if is_computed else find_kind(payload),
        subject=shape.subject[0].name,
        issuer=None if is_computed else shape.predicate.issuer,
        statement=statement,
    )
