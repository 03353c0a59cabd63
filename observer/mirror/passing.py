"""What a mirror passes on: what stands in its copy, compared again on the way out, and not one word of its own.

1. Entries and hashes are read through the copy's tree, so each was compared with the newest sealed root. Headers and
   seals are checked again, from what is published already up to a sealed checkpoint, before any of them is written. A
   disk that rots under the copy makes the mirror stop, and not lie.
2. A checkpoint is one that a source showed: its text, and its lines in their order and spelling, of which every one was
   verified under the charter's keys. A line by any other key was verified by nobody, so it is left out: whoever reads a
   mirror must not think that it stands for what strangers wrote there, and no stranger may publish through it.
3. `checkpoint` has at most 16 lines, and never an ML-DSA-44 one, as a node's has. `cosignatures` is the newest that any
   member cosigned.
4. A mirror has no key and signs nothing. In `index.json` it says that a mirror wrote the folder; what else is in the
   folder are the ledger's own bytes, and the schemas of this program's version.
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Final

from ledger import domains
from ledger.blocks import HEADERS_PER_BUNDLE, SealedHeader, verify_header_chain
from ledger.errors import Code, ConditionError, LedgerError
from ledger.limits import NOTE_LINES_PUBLISHED_MAX, TILE_WIDTH
from ledger.merkle import Hash
from ledger.notes import Note, encode_note, parse_note
from ledger.policy import LedgerKeys, VerifiedCheckpoint, keep_known
from ledger.policy import verify as verify_note
from ledger.positions import Height, Interval, LeafIndex
from observer.agreement import is_of_block
from observer.chain import Draw, verify_seals
from observer.copy import Copy
from tlog.publisher import Identity, Snapshot

IS_MIRROR: Final = "a mirror: it signs nothing"
SOFTWARE: Final = f"counterseal {version('counterseal')}, {IS_MIRROR}"


@dataclass(frozen=True, slots=True)
class BelievedNote:
    """A note every line of which was verified; made by `believe` alone.

    Attributes:
        note: without the lines by unknown keys.
        checkpoint: what it says.
    """

    note: Note
    checkpoint: VerifiedCheckpoint


def believe(raw: bytes, keys: LedgerKeys) -> BelievedNote:
    """Verify a note and drop what nobody verified (2 of this module).

    Raises:
        LedgerError: as `parse_note` and `policy.verify`.
    """
    note = parse_note(raw)
    checkpoint = verify_note(note, keys)
    return BelievedNote(keep_known(note, keys), checkpoint)


def shorten_note(note: Note, keys: LedgerKeys) -> Note:
    """Give a believed note with at most 16 lines (3 of this module): the seal, a log line, then cosignatures."""
    types = {line: keys.known[line.name, line.key_id].type_bytes for line in note.signatures}
    lines = [line for line in note.signatures if types[line] != domains.NOTE_COSIGNATURE_ML_DSA_44]
    if len(lines) > NOTE_LINES_PUBLISHED_MAX:
        wanted = (domains.NOTE_ED25519, domains.NOTE_SEAL)
        first = [next(line for line in lines if types[line] == kind) for kind in wanted if kind in types.values()]
        cosigned = [line for line in lines if types[line] == domains.NOTE_COSIGNATURE_ED25519]
        lines = (first + cosigned)[:NOTE_LINES_PUBLISHED_MAX]
    return Note(text=note.text, signatures=tuple(lines))


class CopyLedger:
    """The `Ledger` of `tlog.publisher` over a copy (1 of this module)."""

    def __init__(self, copy: Copy) -> None:
        """Read from a copy, which may grow meanwhile."""
        self._copy = copy

    def entries(self, first: LeafIndex, count: int) -> Sequence[bytes]:
        """Return the entries of one bundle, each compared with the sealed root."""
        assert first % TILE_WIDTH == 0
        with damage(self._copy):
            return self._copy.tree.read_bundle(first // TILE_WIDTH)[:count]

    def read_hash(self, level: int, number: int) -> Hash:
        """Return the root of a perfect subtree, compared with the sealed root."""
        with damage(self._copy):
            return self._copy.tree.read(level, number)

    def blocks(self, first: Height, count: int) -> Sequence[SealedHeader]:
        """Return blocks, which `require_intact_headers` has looked at."""
        return self._copy.blocks(first, count)


def require_intact_headers(
    copy: Copy,
    checkpoint: VerifiedCheckpoint,
    *,
    first: Height,
    draw: Draw,
    require_going_on: Callable[[], None] = lambda: None,
) -> None:
    """Check headers and seals on disk from a height up to a sealed checkpoint; may be told to stop between bundles.

    Raises:
        ConditionError: `STORE_DAMAGED`: what lies there is not what was verified.
    """
    last = checkpoint.seal.height
    with damage(copy):
        parent = None if first == 0 else copy.block(Height(first - 1)).header
        for height in range(first, last + 1, HEADERS_PER_BUNDLE):
            require_going_on()
            blocks = copy.blocks(Height(height), min(HEADERS_PER_BUNDLE, last + 1 - height))
            verify_header_chain([block.header for block in blocks], parent=parent)
            verify_seals(blocks, charter=copy.charter, draw=draw)
            parent = blocks[-1].header if blocks else parent
        require_of_chain(copy, checkpoint)
        if parent is None or parent.digest != checkpoint.seal.block_digest:
            found = "no header" if parent is None else parent.digest.hex()
            raise damaged(copy, f"blocks[{last}]", found, checkpoint.seal.block_digest.hex())


def require_of_chain(copy: Copy, checkpoint: VerifiedCheckpoint) -> None:
    """Refuse a sealed checkpoint that is not of the copy's own block of that height.

    Raises:
        ConditionError: `STORE_DAMAGED`: it stood in this copy, where it was believed once.
    """
    header = copy.block(checkpoint.seal.height).header
    if not is_of_block(checkpoint, header, origin=copy.charter.origin):
        raise damaged(copy, f"notes[{header.height}]", checkpoint.seal.block_digest.hex(), header.digest.hex())


def make_identity(copy: Copy) -> Identity:
    """Name the ledger.

    Raises:
        ConditionError: `NOT_READY`: no source has served the ceremony's transcript, which belongs to a whole mirror.
    """
    if not copy.transcript:
        expected = "the ceremony's transcript, which a mirror passes on: name a source that serves it"
        raise ConditionError(field="transcript", found="none", expected=expected, code=Code.NOT_READY)
    return Identity(
        charter=copy.charter.entry,
        transcript=copy.transcript,
        origin=copy.charter.origin,
        ledger_id=copy.charter.ledger_id,
        software=SOFTWARE,
    )


def read_newest(copy: Copy, *, cosigners_min: int) -> BelievedNote | None:
    """Read the newest note in the copy with at least so many cosigners, and believe it again.

    Raises:
        ConditionError: `STORE_DAMAGED`: it is not what was kept.
    """
    kept = copy.newest_note(cosigners_min=cosigners_min)
    if kept is None:
        return None
    with damage(copy):
        believed = believe(kept[1], copy.keys)
        require_of_chain(copy, believed.checkpoint)
    return believed


def make_snapshot(
    newest: BelievedNote, cosigned: BelievedNote, keys: LedgerKeys, archives: Mapping[Interval, bytes]
) -> Snapshot:
    """Say what is to be published: the newest note, the newest cosigned one, and archival ones."""
    return Snapshot(
        height=newest.checkpoint.seal.height,
        size=newest.checkpoint.checkpoint.size,
        checkpoint=encode_note(shorten_note(newest.note, keys)),
        cosignatures=encode_note(cosigned.note),
        archives=archives,
    )


@contextlib.contextmanager
def damage(copy: Copy) -> Iterator[None]:
    """Say of what was verified once and no longer holds that the copy is damaged."""
    try:
        yield
    except LedgerError as error:
        if isinstance(error, ConditionError) and error.code is not Code.NOT_FOUND:
            raise
        raise damaged(copy, error.field, error.found, error.expected) from error


def damaged(copy: Copy, field: str, found: object, expected: str) -> ConditionError:
    """Make the refusal of a copy that is not what it was."""
    expected = f"{expected}; sync into another folder, and look at this disk"
    return ConditionError(field=f"{copy.path}: {field}", found=found, expected=expected, code=Code.STORE_DAMAGED)
