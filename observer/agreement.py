"""Whether what one source shows can be true beside the copy, and beside every head that was ever seen.

1. A sealed head is kept (`observer.heads`) before anything else is done with it.
2. At a height the copy has, the head must name the copy's block. Above it, it must not contradict the copy's newest
   block, and the blocks that lead to it must stand on that block; where none are served, its tree must contain ours.
3. What contradicts becomes one portable proof (`ledger.forks`), kept in the folder `evidence` before anything is said.
4. A head that was ahead when it was seen is held against the chain once that reaches it, whoever served its blocks.
5. A head that contradicts another one that was seen, while the copy has reached neither, is proven to; but the source
   is followed all the same, since which of the two is wrong nobody knows yet.
6. A member that cosigned a smaller tree at a later time is proven to have (`ledger.rollbacks`); a head that is only
   older than what the copy has, or than what this source showed before, proves nothing and is never said to.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Final, NoReturn, Protocol

from ledger.blocks import HEADERS_PER_BUNDLE, NO_SEAL, Header, SealedHeader, checkpoint_of, encode_header_bundle
from ledger.errors import ConditionError, LedgerError, ProofError
from ledger.forks import prove_fork
from ledger.limits import FORK_HEADERS_MAX
from ledger.merkle import Frontier, Hash, prove_consistency
from ledger.notes import encode_note, parse_note
from ledger.policy import VerifiedCheckpoint
from ledger.policy import verify as verify_note
from ledger.positions import GENESIS_HEIGHT, Height, Millis, TreeSize
from ledger.rollbacks import prove_rollback
from ledger.tiles import TileReader
from ledger.verify import find_contradiction
from observer.chain import make_note
from observer.copy import Copy
from observer.evidence import PROOF, find_undecided, keep_evidence
from observer.heads import Heads, Rollback, SeenHead, compute_key

UNSEALED_BLOCKS_MAX: Final = 4_096
"""How many blocks without a seal may stand between two with one."""
RUN_BLOCKS: Final = 256

Clock = Callable[[], Millis]

assert UNSEALED_BLOCKS_MAX + RUN_BLOCKS < FORK_HEADERS_MAX


class Relation(StrEnum):
    """How the newest head that a source shows stands to everything that was seen."""

    SAME = "same"
    AHEAD = "ahead"
    BEHIND = "behind"
    STALE = "stale"
    CONTRADICTS = "contradicts"
    WRONG = "wrong"
    UNREACHABLE = "unreachable"


class Tiles(Protocol):
    """Where hash tiles can be read."""

    def read_tile(self, path: str) -> bytes | None:
        """Read a tile by its path; None where it is not served."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """One source beside one copy.

    Attributes:
        copy: what is believed.
        heads: every head that was seen.
        source: the name of who shows something.
        clock: of this machine.
        proven: folders of the proofs of two histories that were written; filled here.
        unsure: contradictions between this source and others that the copy says nothing about; filled here.
        rolled_back: of every member proven to have gone back, in words; filled here.
    """

    copy: Copy
    heads: Heads
    source: str
    clock: Clock
    proven: list[Path] = field(default_factory=list)
    unsure: list[ProofError] = field(default_factory=list)
    rolled_back: list[str] = field(default_factory=list)

    def see(self, raw: bytes) -> VerifiedCheckpoint:
        """Believe a note and keep it (1 of this module), and look at other heads (5) and at who cosigned it (6).

        Raises:
            LedgerError: as `policy.verify`; or the disk refuses.
        """
        checkpoint = verify_note(parse_note(raw), self.copy.keys)
        key = self.heads.keep(raw, checkpoint, source=self.source, seen_ms=self.clock())
        for other in self.heads.neighbours(checkpoint):
            self._hold_against(raw, checkpoint, other)
        for rollback in self.heads.find_rollbacks(key):
            self._keep_rollback(rollback)
        return checkpoint

    def _keep_rollback(self, rollback: Rollback) -> None:
        """Write the proof that a member went back: one for each tree that it went back behind."""
        proof = prove_rollback(self.copy.charter, rollback.member, rollback.before, rollback.after)
        before = verify_note(parse_note(rollback.before), self.copy.keys)
        folder = keep_evidence(
            self.copy.path.parent,
            "rollback",
            source=self.source,
            said=f"{rollback.member} cosigned a smaller tree at a later time",
            height=before.seal.height,
            ours=rollback.before,
            theirs=rollback.after,
            proof=proof,
            seen_ms=self.clock(),
            incident=rollback.member.encode("utf-8") + before.seal.block_digest,
        )
        self.rolled_back.append(f"{rollback.member} cosigned a smaller tree at a later time: {folder / PROOF}")

    def _hold_against(self, raw: bytes, theirs: VerifiedCheckpoint, other: SeenHead) -> None:
        contradiction = find_contradiction(verify_note(parse_note(other.note), self.copy.keys), theirs)
        if contradiction is None or theirs.seal.height <= self.copy.head.header.height:
            return
        try:
            self.refuse(
                raw,
                [],
                height=theirs.seal.height,
                field=contradiction.field,
                found=contradiction.found,
                expected=f"{contradiction.expected}, which {', '.join(other.sources)} showed",
                beside=other.note,
            )
        except ProofError as error:
            self.unsure.append(error)
        for key in (other.key, compute_key(parse_note(raw).text, theirs.seal)):
            self.heads.mark(key, is_settled=False)

    def require_agreement(self, raw: bytes, theirs: VerifiedCheckpoint) -> None:
        """Refuse a sealed checkpoint that cannot be true beside this copy.

        Raises:
            ProofError: `checkpoint.<field>`; the proof was kept.
        """
        try:
            self._require_agreement(raw, theirs)
        except ProofError:
            self.heads.mark(compute_key(parse_note(raw).text, theirs.seal), is_settled=False)
            raise

    def _require_agreement(self, raw: bytes, theirs: VerifiedCheckpoint) -> None:
        head = self.copy.head
        height = theirs.seal.height
        if height <= head.header.height:
            self._require_same_block(raw, theirs, self.copy.block(height).header)
        elif head.seal != NO_SEAL:
            ours = make_note(head, self.copy.charter)
            contradiction = find_contradiction(verify_note(ours, self.copy.keys), theirs)
            if contradiction is not None:
                field, found, expected = contradiction.field, contradiction.found, contradiction.expected
                self.refuse(raw, [head], height=height, field=field, found=found, expected=expected)

    def _require_same_block(self, raw: bytes, theirs: VerifiedCheckpoint, header: Header) -> None:
        """Refuse a checkpoint that names another block, or another tree, than ours of that height."""
        if is_of_block(theirs, header, origin=self.copy.charter.origin):
            return
        ours = self._find_sealed(header.height)
        self.refuse(
            raw,
            ours,
            height=header.height,
            field="block",
            found=f"block {theirs.seal.block_digest.hex()}, root {theirs.checkpoint.root.hex()}",
            expected=f"block {header.digest.hex()}, root {header.root.hex()}, which this copy has",
            our_headers=ours,
        )

    def require_not_behind(self, raw: bytes, theirs: VerifiedCheckpoint) -> None:
        """Refuse a checkpoint that is older than what is known; it proves nothing, but its notes are kept.

        Raises:
            ConditionError: `checkpoint.height` (`NOT_READY`).
        """
        known, height = self.copy.head.header.height, theirs.seal.height
        if height >= known:
            return
        expected = f"at least {known}, which this copy has"
        shown = self.heads.highest_of(self.source)
        if shown is not None and shown > height:
            expected = f"{expected} (it showed height {shown} before: stale, which proves nothing against it)"
        folder = keep_evidence(
            self.copy.path.parent,
            "behind",
            source=self.source,
            said=f"height {height}; {expected}",
            height=height,
            ours=encode_note(make_note(self.copy.head, self.copy.charter)),
            theirs=raw,
            seen_ms=self.clock(),
        )
        raise ConditionError(field="checkpoint.height", found=height, expected=f"{expected}; both notes: {folder}")

    def require_tree(self, raw: bytes, theirs: VerifiedCheckpoint, tiles: Tiles) -> None:
        """Refuse a checkpoint ahead of the copy whose tree does not contain ours: for a source that serves no blocks.

        Raises:
            ProofError: `checkpoint.root`; the proof was kept. Or the tiles are not of that tree.
            ConditionError: tiles are not served either.
        """
        head = self.copy.head
        size, new_size = head.header.tree_size, theirs.checkpoint.size
        if theirs.seal.height <= head.header.height or size >= new_size:
            return
        reader = TileReader(size=new_size, root=Hash(theirs.checkpoint.root), fetch=tiles.read_tile)
        prefix_root = _compute_prefix_root(reader, size)
        if prefix_root == head.header.root:
            return
        self.refuse(
            raw,
            [head],
            height=theirs.seal.height,
            field="root",
            found=f"{prefix_root.hex()} of the first {size} entries",
            expected=f"{head.header.root.hex()}, which this copy has",
            prefix_root=prefix_root,
            tree=prove_consistency(old_size=size, new_size=new_size, read=reader.read),
        )

    def settle(self, head: SeenHead) -> None:
        """Hold a head that was seen earlier against the chain, which has reached its height.

        Raises:
            ProofError: `checkpoint.block`; the proof was kept.
        """
        checkpoint = verify_note(parse_note(head.note), self.copy.keys)
        self.require_agreement(head.note, checkpoint)
        self.heads.mark(head.key, is_settled=True)

    def refuse(
        self,
        theirs: bytes,
        ours: Sequence[SealedHeader],
        *,
        height: Height,
        field: str,
        found: str,
        expected: str,
        our_headers: Sequence[SealedHeader] = (),
        their_headers: Sequence[SealedHeader] = (),
        prefix_root: bytes = b"",
        tree: Sequence[Hash] = (),
        beside: bytes = b"",
    ) -> NoReturn:
        """Write the proof and what it was made of, then refuse.

        While one by the same source waits for a person's decision no second is written: a source that goes on showing
        another history proves no more by every head of it, and must not fill the disk.

        Args:
            theirs: the note that was refused.
            ours: blocks of this copy, the last of them sealed, or the charter's own; none with `beside`.
            height: of the block where the two part.
            field: what does not fit.
            found: its value by `theirs`.
            expected: its value by this copy.
            our_headers: from the height of `theirs` up to our sealed block, where ours is the higher one.
            their_headers: from above our sealed block up to theirs, where theirs is.
            prefix_root: what their tree begins with.
            tree: the proof that it does.
            beside: a note that was seen elsewhere and stands for ours.

        Raises:
            ProofError: always.
        """
        folder = find_undecided(self.copy.path.parent, self.source)
        if folder is None:
            said = f"{field}: found {found}; expected {expected}"
            headers = [] if height == GENESIS_HEIGHT else [each.header for each in their_headers or our_headers]
            folder = self._keep(
                theirs,
                ours,
                height=height,
                said=said,
                their_headers=their_headers,
                prefix_root=prefix_root,
                tree=tree,
                headers=headers,
                beside=beside,
            )
        self.proven.append(folder)
        proof = folder / PROOF
        expected = f"{expected}; a quorum signed two histories: {proof if proof.exists() else folder}"
        raise ProofError(field=f"checkpoint.{field}", found=found, expected=expected)

    def _keep(
        self,
        theirs: bytes,
        ours: Sequence[SealedHeader],
        *,
        height: Height,
        said: str,
        their_headers: Sequence[SealedHeader],
        prefix_root: bytes,
        tree: Sequence[Hash],
        headers: Sequence[Header],
        beside: bytes,
    ) -> Path:
        note = beside
        if ours and ours[-1].seal != NO_SEAL:
            note = encode_note(make_note(ours[-1], self.copy.charter))
        try:
            proof = prove_fork(
                self.copy.charter, note or None, theirs, prefix_root=prefix_root, tree=tree, headers=headers
            )
        except LedgerError:  # the two notes are kept all the same, and a person can look
            proof = b""
        return keep_evidence(
            self.copy.path.parent,
            "contradiction",
            source=self.source,
            said=said,
            height=height,
            ours=note,
            theirs=theirs,
            headers={
                name: encode_header_bundle(each[:HEADERS_PER_BUNDLE])
                for name, each in (("ours", ours), ("theirs", their_headers))
                if each
            },
            proof=proof,
            seen_ms=self.clock(),
        )

    def _find_sealed(self, height: Height) -> list[SealedHeader]:
        """Give our blocks from a height up to the first sealed one, whose seal makes them all final."""
        return take_to_seal(self.copy.blocks(height, UNSEALED_BLOCKS_MAX + RUN_BLOCKS))


def is_of_block(checkpoint: VerifiedCheckpoint, header: Header, *, origin: str) -> bool:
    """Say whether a sealed checkpoint is the one of this very block."""
    is_same_tree = checkpoint.checkpoint == checkpoint_of(header, origin)
    return is_same_tree and checkpoint.seal.block_digest == header.digest


def take_to_seal(headers: Sequence[SealedHeader]) -> list[SealedHeader]:
    """Give headers up to and including the first that has a seal; only the charter's own block has none above it."""
    for place, sealed in enumerate(headers, start=1):
        if sealed.seal != NO_SEAL:
            return list(headers[:place])
    return list(headers[:1])


def _compute_prefix_root(reader: TileReader, size: TreeSize) -> Hash:
    """Give the root of the first entries of a larger tree, as its tiles have it."""
    hashes, start = [], 0
    for level in reversed(range(size.bit_length())):
        if size >> level & 1:
            hashes.append(reader.read(level, start >> level))
            start += 1 << level
    return Frontier(size, tuple(hashes)).root()
