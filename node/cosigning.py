"""The notes this node serves: checkpoint, seal, its own log line, and what members cosigned.

Rules of this file
1. Nothing is signed but a checkpoint whose block is final, sealed and durably stored (the driver calls `on_final` after
   the commit), so a crash cannot make this node sign two trees of one size.
2. All members cosign the same checkpoints, chosen by block time alone: with Ed25519 the first sealed one in each
   second, with ML-DSA-44 also the first sealed one at or after each boundary of the grid (the *archival* one).
3. A cosignature from another member is kept only if it verifies over a checkpoint this node itself holds.
4. Times of this node's cosignatures never fall while it runs, though its clock be set back: an earlier time over a
   larger tree would read as if the node had gone back (`ledger.rollbacks`).
5. Lines of external witnesses (`node.witnessing`) stand behind the members', and go first where there is no room. They
   are no word of this ledger's: readers who do not know their keys pass over them.

Source: C2SP tlog-cosignature, signed-note. Ordinary cosignatures live in memory, a bounded number of checkpoints;
archival ones are stored for good.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from ledger import domains
from ledger.blocks import Header, checkpoint_of
from ledger.charter import Charter, Member
from ledger.checkpoints import (
    Checkpoint,
    SealLine,
    compute_cosignature_message_ed25519,
    compute_cosignature_message_ml_dsa,
    encode_checkpoint,
    encode_cosignature,
    encode_seal_line,
    parse_cosignature,
)
from ledger.ed25519 import is_ed25519_signature
from ledger.errors import Code, ConditionError, SignatureError
from ledger.limits import NOTE_LINES_MAX, NOTE_LINES_PUBLISHED_MAX
from ledger.ml_dsa import is_ml_dsa_signature
from ledger.notes import Note, SignatureLine, VerifierKey, compute_verifier_key, sign_note_ed25519
from ledger.positions import Interval, MemberIndex, Millis, Seconds, TreeSize
from node.store import Store, StoredBlock

CHECKPOINTS_REMEMBERED: Final = 128
INTERVALS_ASKED_MAX: Final = 16
ED25519: Final = domains.NOTE_COSIGNATURE_ED25519[0]
ML_DSA_44: Final = domains.NOTE_COSIGNATURE_ML_DSA_44[0]
_SIGNATURE_BYTES: Final = {ED25519: 64, ML_DSA_44: 2420}
Signer = Callable[[bytes], bytes]


@dataclass(frozen=True, slots=True)
class NoteSigners:
    """What this node signs notes with; each is the `sign` of a key held by the keystore."""

    log: Signer
    cosigner: Signer
    cosigner_ml_dsa: Signer


@dataclass(frozen=True, slots=True)
class Cosignature:
    """One member's line over the checkpoint of one tree, on its way between members."""

    size: TreeSize
    root: bytes
    line: bytes


class Notary:
    """Signs and collects the lines under checkpoints."""

    def __init__(
        self,
        charter: Charter,
        me: MemberIndex,
        ml_dsa_keys: dict[MemberIndex, bytes],
        signers: NoteSigners,
        store: Store,
    ) -> None:
        self._charter, self._me, self._signers, self._store = charter, me, signers, store
        self.me = me
        self._origin = charter.origin
        member = charter.member(me)
        self._log_key = compute_verifier_key(charter.origin, domains.NOTE_ED25519, member.log)
        self._seal_key = compute_verifier_key(charter.origin, domains.NOTE_SEAL, charter.group_key)
        self._keys: dict[tuple[MemberIndex, int], VerifierKey] = {}
        for other in charter.members:
            self._keys[other.index, ED25519] = _cosigner_key(other)
            if other.index in ml_dsa_keys:
                self._keys[other.index, ML_DSA_44] = compute_verifier_key(
                    other.node, domains.NOTE_COSIGNATURE_ML_DSA_44, ml_dsa_keys[other.index]
                )
        self._recent: dict[TreeSize, dict[MemberIndex, bytes]] = {}
        self._newest_time_s = Seconds(0)
        self.witness_lines: Callable[[TreeSize], Sequence[SignatureLine]] = lambda size: ()  # noqa: ARG005 - of a tree
        tip = store.newest_sealed()
        self._last_second = -1 if tip is None else tip.header.time_ms // 1000
        self._last_boundary = self._boundary(Millis(0) if tip is None else tip.header.time_ms)

    # -- signing -----------------------------------------------------------------------------------------------------

    def is_archival(self, header: Header) -> Interval | None:
        """Return the interval whose archival checkpoint this sealed block is, if it is the first after a boundary."""
        boundary = self._boundary(header.time_ms)
        return Interval(boundary) if boundary > self._last_boundary and boundary >= 0 else None

    def on_final(self, block: StoredBlock, *, now_s: Seconds) -> tuple[list[Cosignature], Interval | None]:
        """Cosign a stored, sealed block if rule 2 chooses it; returns the lines to send and the archival interval."""
        header = block.header
        interval = self.is_archival(header)
        second = header.time_ms // 1000
        if second <= self._last_second and interval is None:
            return [], None
        self._last_second = max(second, self._last_second)
        self._last_boundary = max(self._boundary(header.time_ms), self._last_boundary)
        now_s = self._newest_time_s = max(now_s, self._newest_time_s)  # rule 4
        checkpoint = checkpoint_of(header, self._origin)
        text = encode_checkpoint(checkpoint)
        message = compute_cosignature_message_ed25519(text, now_s)
        lines = [self._line(ED25519, encode_cosignature(now_s, self._signers.cosigner(message)))]
        if interval is not None and (self._me, ML_DSA_44) in self._keys:
            name = self._charter.member(self._me).node
            message = compute_cosignature_message_ml_dsa(name, now_s, checkpoint)
            lines.append(self._line(ML_DSA_44, encode_cosignature(now_s, self._signers.cosigner_ml_dsa(message))))
        own = [Cosignature(size=header.tree_size, root=header.root, line=line) for line in lines]
        self._remember(header.tree_size, self._me, lines[0][4:])
        return own, interval

    def _line(self, kind: int, blob: bytes) -> bytes:
        return self._keys[self._me, kind].key_id + blob

    def _boundary(self, time_ms: Millis) -> int:
        grid = self._charter.grid
        return (time_ms // 1000 - grid.start) // grid.interval_s

    # -- collecting --------------------------------------------------------------------------------------------------

    def verify(self, member: MemberIndex, cosignature: Cosignature) -> tuple[int, bytes]:
        """Check a member's line over a checkpoint this node holds; returns its type byte and the part after the key id.

        Raises:
            ConditionError: `NOT_FOUND`, no sealed block of that size here (yet).
            SignatureError: another root, an unknown key, or a signature that fails.
        """
        block = self._store.sealed_with_size(cosignature.size)
        if block is None:
            raise ConditionError(
                field="cosignature.tree_size", found=cosignature.size, expected="a sealed tree", code=Code.NOT_FOUND
            )
        if block.header.root != cosignature.root:
            raise SignatureError(
                field="cosignature.root", found=cosignature.root.hex(), expected=block.header.root.hex()
            )
        checkpoint = checkpoint_of(block.header, self._origin)
        for kind in (ED25519, ML_DSA_44):
            key = self._keys.get((member, kind))
            if key is not None and cosignature.line[:4] == key.key_id:
                self._verify_line(kind, key, cosignature.line[4:], checkpoint)
                return kind, cosignature.line[4:]
        raise SignatureError(
            field="cosignature.line", found=cosignature.line[:4].hex(), expected=f"a key of member {member}"
        )

    @staticmethod
    def _verify_line(kind: int, key: VerifierKey, blob: bytes, checkpoint: Checkpoint) -> None:
        parsed = parse_cosignature(blob, signature_bytes=_SIGNATURE_BYTES[kind])
        time_s, signature = parsed.time_s, parsed.signature
        if kind == ED25519:
            message = compute_cosignature_message_ed25519(encode_checkpoint(checkpoint), time_s)
            valid = is_ed25519_signature(key.public_key, signature, message)
        else:
            message = compute_cosignature_message_ml_dsa(key.name, time_s, checkpoint)
            valid = is_ml_dsa_signature(key.public_key, signature, message)
        if not valid:
            raise SignatureError(
                field="cosignature.line", found="a signature that fails", expected=f"one by {key.name}"
            )

    def is_kept(self, member: MemberIndex, cosignature: Cosignature) -> bool:
        """Say whether a line by the same key over the same tree is kept for good: checking it again changes nothing."""
        stored = self._store.cosignatures(cosignature.size)
        kinds = [kind for other, kind, _ in stored if other == member]
        return any(self._keys[member, kind].key_id == cosignature.line[:4] for kind in kinds)

    def keep(self, member: MemberIndex, cosignature: Cosignature, kind: int, blob: bytes) -> None:
        """Remember a verified Ed25519 line; archival ones are stored by the caller too."""
        if kind == ED25519:
            self._remember(cosignature.size, member, blob)

    def _remember(self, size: TreeSize, member: MemberIndex, blob: bytes) -> None:
        """Keep the lines of the largest trees: whoever cosigns old ones again pushes no newer one out."""
        self._recent.setdefault(size, {})[member] = blob
        if len(self._recent) > CHECKPOINTS_REMEMBERED:
            del self._recent[min(self._recent)]

    def own_archival(self, interval: Interval) -> list[Cosignature]:
        """Return this member's own lines over the archival checkpoint of an interval."""
        height = self._store.archive_height(interval)
        block = None if height is None else self._store.block_at(height)
        if block is None:
            return []
        header = block.header
        return [
            Cosignature(size=header.tree_size, root=header.root, line=self._line(kind, blob))
            for member, kind, blob in self._store.cosignatures(header.tree_size)
            if member == self._me
        ]

    def intervals_lacking(self, member: MemberIndex) -> list[Interval]:
        """Name recent archival checkpoints that a member has not cosigned, as far as this node knows."""
        recent = self._store.archives(Interval(max(0, self._last_boundary - INTERVALS_ASKED_MAX)))
        lacking: list[Interval] = []
        for interval, height in recent:
            block = self._store.require_block(height)
            lines = self._store.cosignatures(block.header.tree_size)
            if not any(other == member for other, _, _ in lines):
                lacking.append(interval)
        return lacking

    # -- serving -----------------------------------------------------------------------------------------------------

    def compute_note(self, block: StoredBlock, *, is_archival: bool = False, is_whole: bool = False) -> Note:
        """Make the note of a sealed block: log line, seal, Ed25519 cosignatures by member, then those of witnesses.

        Args:
            block: final and sealed.
            is_archival: add the ML-DSA-44 cosignatures, 2.4 kB each, and leave out witnesses', which are not kept.
            is_whole: leave out no line; else at most 16 stand in it, which every client must accept.
        """
        assert block.seal
        header = block.header
        text = encode_checkpoint(checkpoint_of(header, self._origin))
        lines = [
            sign_note_ed25519(text, key=self._log_key, sign=self._signers.log),
            self._seal_line(header, block.seal),
        ]
        stored = self._store.cosignatures(header.tree_size)
        recent = self._recent.get(header.tree_size, {})
        by_member = {member: line for member, kind, line in stored if kind == ED25519} | recent
        lines += [self._signature_line(member, ED25519, by_member[member]) for member in sorted(by_member)]
        if is_archival:
            lines += [self._signature_line(member, kind, line) for member, kind, line in stored if kind == ML_DSA_44]
        else:
            lines += self.witness_lines(header.tree_size)
        lines_max = NOTE_LINES_MAX if is_archival or is_whole else NOTE_LINES_PUBLISHED_MAX
        return Note(text=text, signatures=tuple(lines[:lines_max]))

    def cosigners_count(self, size: TreeSize) -> int:
        """Return how many Ed25519 lines are remembered for a tree: a note has changed only if this has."""
        return len(self._recent.get(size, ())) + len(self.witness_lines(size))

    def newest_cosigned(self, quorum: int) -> StoredBlock | None:
        """Return the newest sealed block that at least `quorum` members cosigned, as far as remembered."""
        for size in sorted(self._recent, reverse=True):
            if len(self._recent[size]) >= quorum:
                return self._store.sealed_with_size(size)
        return None

    def _seal_line(self, header: Header, seal: bytes) -> SignatureLine:
        line = SealLine(
            epoch=header.epoch,
            view=header.view,
            height=header.height,
            time_ms=header.time_ms,
            block_digest=header.digest,
            seal=seal,
        )
        key = self._seal_key
        return SignatureLine(name=key.name, key_id=key.key_id, signature=encode_seal_line(line))

    def _signature_line(self, member: MemberIndex, kind: int, blob: bytes) -> SignatureLine:
        key = self._keys[member, kind]
        return SignatureLine(name=key.name, key_id=key.key_id, signature=blob)


def _cosigner_key(member: Member) -> VerifierKey:
    return compute_verifier_key(member.node, domains.NOTE_COSIGNATURE_ED25519, member.cosigner)
