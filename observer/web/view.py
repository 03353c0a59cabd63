"""What a copy says, gathered so that every page is answered in milliseconds however long the ledger is.

It is fed block by block, from the charter's on, and only with entries that were compared with the sealed root
(`Copy.proven_entries`). It checks the chain of headers itself: each names its parent, and the last one is the block
whose seal the copy verified. So nothing in it rests on what merely lies on disk.

A few bytes are kept for an entry or block (arrays of numbers), a few hundred for a lab, cluster or pause; statements
are not kept but read again when they are shown. It belongs to one thread. It lives in memory only: a file of it could
be compared with nothing but what it was made of, which is all the work that it would save.
"""

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import Final

import msgspec

from ledger.blocks import Header, SealedHeader, genesis_header, verify_child
from ledger.charter import Charter
from ledger.errors import FormatError, ProofError
from ledger.positions import Height, LeafIndex, Millis
from ledger.rules.grid import Outage, compute_grid, is_outage
from ledger.statements.computed import is_computed_entry
from ledger.statements.verdicts import VERDICT, parse_verdict
from observer.subjects import read_subject
from observer.web.matrix import Matrix
from observer.web.register import Register

UNKNOWN: Final = "unknown"
KINDS_MAX: Final = 255
"""More kinds than that no release knows; a quorum that makes some up fills no memory."""


class _Issued(msgspec.Struct):
    issuer: str = ""


class _Predicate(msgspec.Struct):
    predicate: _Issued


class _Envelope(msgspec.Struct):
    payload: bytes


_ENVELOPE: Final = msgspec.json.Decoder(_Envelope)
_PREDICATE: Final = msgspec.json.Decoder(_Predicate)


class EntryLine(msgspec.Struct, frozen=True):
    """What an entry is, in a line; `issuer` is None for what the rules made and for what cannot be read."""

    kind: str
    issuer: str | None
    subject: str


def read_line(entry: bytes) -> EntryLine:
    """Say what an entry is; it is whatever parties or a quorum put on the ledger."""
    subject = read_subject(entry)
    if subject is None:
        return EntryLine(UNKNOWN, None, "")
    if is_computed_entry(entry):
        return EntryLine(subject.kind, None, subject.name)
    try:
        issuer = _PREDICATE.decode(_ENVELOPE.decode(entry).payload).predicate.issuer
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        issuer = ""
    return EntryLine(subject.kind, issuer or None, subject.name)


class View:
    """Everything that was gathered up to a block.

    Attributes:
        header: of the newest block that was taken; None before the first.
        matrix: the newest verdicts.
        register: labs, pauses, and what waits.
        outages: of the network, as the rules count them.
        proposed: the newest block that each member proposed, by its number.
    """

    def __init__(self, charter: Charter) -> None:
        self._charter = charter
        self._grid = compute_grid(charter.predicate.grid)
        self.header: Header | None = None
        self.matrix = Matrix()
        self.register = Register(charter.accelerators)
        self.outages: list[Outage] = []
        self.proposed: dict[int, Height] = {}
        self._sizes, self._times_ms = array("Q"), array("Q")
        self._numbers: dict[str, int] = {UNKNOWN: 0}
        self._by_kind: list[array[int]] = [array("Q")]
        self._by_issuer: dict[str, array[int]] = {}

    @property
    def entries_count(self) -> int:
        """How many entries were taken."""
        return 0 if self.header is None else self.header.tree_size

    @property
    def blocks_count(self) -> int:
        """How many blocks were taken: the height of the next."""
        return len(self._sizes)

    def take(self, sealed: SealedHeader, entries: Sequence[bytes]) -> None:
        """Take the next block.

        Args:
            sealed: as it lies in the copy; its place in the chain is checked here.
            entries: its entries, compared with the sealed root.

        Raises:
            ProofError: it does not follow from the one before, or has other entries; nothing was taken.
        """
        header = sealed.header
        if self.header is None:
            if header != genesis_header(self._charter.entry, self._charter.founded_at_ms):
                found, expected = header.digest.hex(), "the block that the charter makes"
                raise ProofError(field="blocks[0]", found=found, expected=expected)
        else:
            verify_child(header, parent=self.header)
        if len(entries) != header.entry_count:
            field = f"blocks[{header.height}].tree_size"
            raise ProofError(
                field=field, found=header.tree_size, expected="a size that the sealed tree has entries for"
            )
        previous_ms = header.time_ms if self.header is None else self.header.time_ms
        if is_outage(self._grid, previous_ms=previous_ms, time_ms=header.time_ms):
            self.outages.append(Outage(previous_ms, header.time_ms))
        self._sizes.append(header.tree_size)
        self._times_ms.append(header.time_ms)
        self.proposed[header.proposer] = header.height
        self.header = header
        for index, entry in enumerate(entries, start=header.first_index):
            self._take_entry(LeafIndex(index), header.time_ms, entry)

    def _take_entry(self, index: LeafIndex, time_ms: Millis, entry: bytes) -> None:
        line = read_line(entry)
        number = self._numbers.get(line.kind)
        if number is None and len(self._numbers) < KINDS_MAX:
            number = self._numbers[line.kind] = len(self._by_kind)
            self._by_kind.append(array("Q"))
        self._by_kind[number or 0].append(index)
        if line.issuer is not None:
            self._by_issuer.setdefault(line.issuer, array("Q")).append(index)
        if line.kind == VERDICT:
            try:
                self.matrix.put(index, parse_verdict(entry))
            except FormatError:
                self.register.malformed_count += 1
        else:
            self.register.take(line.kind, index, time_ms, entry)

    # -- where things stand -------------------------------------------------------------------------------------------

    def height_of(self, index: LeafIndex) -> Height:
        """Give the height of the block that added an entry."""
        return Height(bisect_right(self._sizes, index))

    def time_of(self, height: Height) -> Millis:
        """Give a block's time."""
        return Millis(self._times_ms[height])

    def time_of_entry(self, index: LeafIndex) -> Millis:
        """Give the time of the block that added an entry."""
        return self.time_of(self.height_of(index))

    def first_since(self, time_ms: int) -> Height:
        """Give the first block at or after a time; one more than there are if there is none."""
        return Height(bisect_left(self._times_ms, max(0, time_ms)))

    def kinds(self) -> dict[str, int]:
        """Say how many entries of each kind there are."""
        return {kind: len(self._by_kind[number]) for kind, number in self._numbers.items() if self._by_kind[number]}

    def count_of(self, issuer: str) -> int:
        """Say how many statements somebody signed."""
        return len(self._by_issuer.get(issuer, ()))

    def find(
        self, *, kinds: Sequence[str] | None, issuer: str | None, before: int | None, limit: int
    ) -> tuple[list[LeafIndex], int]:
        """Find entries, newest first.

        Args:
            kinds: of one of these; None for any.
            issuer: signed by whom; None for anybody.
            before: only those of a smaller index; None for all.
            limit: how many at most.

        Returns:
            Their indices, and how many there are in all whatever `before` and `limit`.
        """
        end = self.entries_count if before is None else min(before, self.entries_count)
        if kinds is None and issuer is None:
            return [LeafIndex(index) for index in range(end - 1, max(-1, end - 1 - limit), -1)], self.entries_count
        arrays = [self._by_kind[self._numbers[kind]] for kind in dict.fromkeys(kinds or ()) if kind in self._numbers]
        if issuer is None:
            newest: list[int] = []
            for each in arrays:
                place = bisect_left(each, end)
                newest += each[max(0, place - limit) : place]
            return [LeafIndex(index) for index in sorted(newest, reverse=True)[:limit]], sum(map(len, arrays))
        signed = self._by_issuer.get(issuer, array("Q"))
        if kinds is not None:
            signed = array("Q", sorted(index for each in arrays for index in _intersect(each, signed)))
        place = bisect_left(signed, end)
        return [LeafIndex(index) for index in reversed(signed[max(0, place - limit) : place])], len(signed)


def _intersect(first: "array[int]", second: "array[int]") -> list[int]:
    """Give what is in both ascending lists, looking each of the shorter one up in the longer one."""
    shorter, longer = (first, second) if len(first) <= len(second) else (second, first)
    found = []
    for index in shorter:
        place = bisect_left(longer, index)
        if place < len(longer) and longer[place] == index:
            found.append(index)
    return found
