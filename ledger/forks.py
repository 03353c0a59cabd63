"""Proof that a quorum sealed two histories: one file that anybody checks offline, with the charter alone.

A *fork proof* is one JSON object in one encoding, its keys in this order and without spaces; what is empty is left out:

    {"format":"counterseal/fork/v1","charter":"<base64 of entry 0>","older":"<note>","newer":"<note>",
     "prefix_root":"<base64>","tree":["<base64 hash>",…],"headers":["<base64 header>",…]}

`older` and `newer` are sealed checkpoints in ascending order of height, digest and text; `older` is left out where the
history of `newer` does not even begin with the charter. What makes them impossible beside each other is one of three:

1. *the notes alone*: `ledger.verify.find_contradiction`. Nothing else is in the file.
2. *the tree*: `tree` is a consistency proof that as many leaves as `older` has are, at the beginning of the tree of
   `newer`, a tree with `prefix_root`; and `older` has another root. Hashes that lead to a sealed root are in its tree.
3. *the headers*: a chain that ends with the very block of `newer` and reaches down to the height of `older`, or to the
   one above it, where it stands on another block. The seal binds the last header, and each the one before.

What it proves: each seal was made with the key shares of q members, so at least 2q - n of them, more than the f that
the ledger survives, broke the protocol's rules (or somebody else holds so many shares). Which ones, the seals do not
say; a member whose own line stands under both notes is named. What it does not prove: which of the two histories is the
right one, or that a statement in either is false.

The notes hold only lines of the charter's keys, so that every byte of the file matters.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

import msgspec

from ledger import domains, policy
from ledger.blocks import Header, genesis_header, parse_header, verify_header_chain
from ledger.charter import Charter, ledger_keys, parse_charter
from ledger.errors import FormatError, LedgerError, PolicyError, ProofError
from ledger.limits import FORK_BYTES_MAX, FORK_HEADERS_MAX, HASH_BYTES
from ledger.merkle import CONSISTENCY_HASHES_MAX, Hash, verify_consistency
from ledger.notes import Note, compute_verifier_key, encode_note, parse_note
from ledger.policy import LedgerKeys, VerifiedCheckpoint
from ledger.positions import TreeSize
from ledger.verify import Contradiction, find_contradiction


class Link(StrEnum):
    """What leads from one of two checkpoints to the other."""

    NOTES = "notes"
    TREE = "tree"
    HEADERS = "headers"


@dataclass(frozen=True, slots=True)
class Fork:
    """A fork proof as read: nobody has verified it yet.

    Attributes:
        charter: the bytes of entry 0.
        older: the checkpoint of the smaller height; None for the charter's own block.
        newer: the other one.
        prefix_root: what the tree of `newer` begins with; empty without `tree`.
        tree: consistency proof from `prefix_root` to the root of `newer`.
        headers: ascending, up to the block of `newer`.
    """

    charter: bytes
    older: Note | None
    newer: Note
    prefix_root: bytes = b""
    tree: tuple[Hash, ...] = ()
    headers: tuple[Header, ...] = ()


@dataclass(frozen=True, slots=True)
class VerifiedFork:
    """Two sealed histories of one ledger. Made by `verify_fork` alone.

    Attributes:
        charter: signed by all its founders; the right one if its fingerprint is.
        older: None for the charter's own block.
        newer: of the greater height, or the second of two at one height.
        link: what shows that they cannot both be.
        field: what cannot be.
        found: its value in the history of `newer`.
        expected: its value by `older`.
        signers: node names of members whose own lines stand under both notes: they saw and signed two histories.
    """

    charter: Charter
    older: VerifiedCheckpoint | None
    newer: VerifiedCheckpoint
    link: Link
    field: str
    found: str
    expected: str
    signers: tuple[str, ...]

    @property
    def colluders_min(self) -> int:
        """How many members at least broke the rules: any two quorums share that many."""
        return 2 * self.charter.quorum - len(self.charter.members)


class _ForkForm(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    format: str
    charter: bytes
    older: str = ""
    newer: str = ""
    prefix_root: bytes = b""
    tree: list[bytes] = []
    headers: list[bytes] = []


_ENCODER: Final = msgspec.json.Encoder()
_DECODER: Final = msgspec.json.Decoder(_ForkForm)


def encode_fork(fork: Fork) -> bytes:
    """Write a fork proof in its one encoding.

    Raises:
        FormatError: it has none; as `parse_fork`.
    """
    raw = _ENCODER.encode(
        _ForkForm(
            format=domains.FORK_FORMAT,
            charter=fork.charter,
            older="" if fork.older is None else encode_note(fork.older).decode("utf-8"),
            newer=encode_note(fork.newer).decode("utf-8"),
            prefix_root=fork.prefix_root,
            tree=list(fork.tree),
            headers=[header.raw for header in fork.headers],
        )
    )
    if parse_fork(raw) != fork:
        raise FormatError(field="fork", found=raw[:80], expected="a fork proof that its form can hold")
    return raw


def parse_fork(raw: bytes) -> Fork:
    """Read a fork proof from bytes of a stranger. Believes nothing but its form.

    Raises:
        FormatError: `fork`: too long, not of the form, or not its one encoding; `fork.format`: another version;
            `fork.<field>`: a part is not of its form.
    """
    if len(raw) > FORK_BYTES_MAX:
        raise FormatError(field="fork", found=f"{len(raw)} bytes", expected=f"at most {FORK_BYTES_MAX} bytes")
    try:
        form = _DECODER.decode(raw)
        again = _ENCODER.encode(form)
        notes = form.older.encode("utf-8"), form.newer.encode("utf-8")
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise FormatError(field="fork", found=str(error), expected="a fork proof") from None
    if form.format != domains.FORK_FORMAT:
        raise FormatError(field="fork.format", found=form.format, expected=domains.FORK_FORMAT)
    if again != raw:
        raise FormatError(field="fork", found="another spelling", expected="its one encoding")
    if len(form.headers) > FORK_HEADERS_MAX:
        raise FormatError(field="fork.headers", found=len(form.headers), expected=f"at most {FORK_HEADERS_MAX}")
    if len(form.tree) > CONSISTENCY_HASHES_MAX or any(len(each) != HASH_BYTES for each in form.tree):
        expected = f"at most {CONSISTENCY_HASHES_MAX} hashes of {HASH_BYTES} bytes"
        raise FormatError(field="fork.tree", found=f"{len(form.tree)} parts", expected=expected)
    if len(form.prefix_root) not in (0, HASH_BYTES):
        found = f"{len(form.prefix_root)} bytes"
        raise FormatError(field="fork.prefix_root", found=found, expected=f"{HASH_BYTES} bytes or none")
    if form.headers and (form.tree or form.prefix_root):
        raise FormatError(field="fork.headers", found="beside a tree", expected="either of them")
    return Fork(
        charter=form.charter,
        older=parse_part(notes[0], field="fork.older") if form.older else None,
        newer=parse_part(notes[1], field="fork.newer"),
        prefix_root=form.prefix_root,
        tree=tuple(Hash(each) for each in form.tree),
        headers=tuple(_parse_header(each, place) for place, each in enumerate(form.headers)),
    )


def verify_fork(raw: bytes, *, charter_fingerprint: bytes | None) -> VerifiedFork:
    """Check a fork proof offline, from nothing but the fingerprint of a charter.

    Args:
        raw: bytes of a stranger.
        charter_fingerprint: SHA-256 of entry 0, 32 bytes, from a source that is trusted. With None the charter in the
            file is taken as it is, and whoever reads the result must compare `charter.fingerprint`.

    Raises:
        FormatError, SignatureError: a part is not of its form, or not signed.
        PolicyError: `fork.charter`: another charter; `fork.older`, `fork.newer`: not sealed, or with lines of others.
        ProofError: `fork.<field>`: it does not show that the two cannot both be: no proof of anything.
    """
    fork = parse_fork(raw)
    fingerprint = hashlib.sha256(fork.charter).digest()
    if charter_fingerprint is not None and fingerprint != charter_fingerprint:
        raise PolicyError(field="fork.charter", found=fingerprint.hex(), expected=charter_fingerprint.hex())
    charter = parse_charter(fork.charter)
    keys = ledger_keys(charter)
    newer = verify_part(fork.newer, keys, field="fork.newer")
    older = None if fork.older is None else verify_part(fork.older, keys, field="fork.older")
    if older is not None and fork.older is not None and _rank(older, fork.older) >= _rank(newer, fork.newer):
        expected = "above the older one in height, digest, text"
        raise ProofError(field="fork.newer", found=f"height {newer.seal.height}", expected=expected)
    link, field, found, expected = _find_break(fork, older, newer, charter)
    both = () if fork.older is None else _find_signers(charter, keys, fork.older, fork.newer)
    return VerifiedFork(charter, older, newer, link, field, found, expected, both)


def prove_fork(
    charter: Charter,
    first: bytes | None,
    second: bytes,
    *,
    prefix_root: bytes = b"",
    tree: Sequence[Hash] = (),
    headers: Sequence[Header] = (),
) -> bytes:
    """Write the proof that two sealed checkpoints cannot both be, and check it as anybody will.

    Args:
        charter: of the ledger; believed.
        first: a sealed note; None for the charter's own block.
        second: another one; they are put in order here.
        prefix_root: with `tree`, of the one with the greater height.
        tree: consistency proof.
        headers: from the height of the lower one, or the one above it, up to the block of the other. They are left out
            where the notes alone are enough.

    Raises:
        LedgerError: as `verify_fork`: these do not prove a fork.
    """
    keys = ledger_keys(charter)
    newer, older = _keep_known(parse_note(second), keys), None
    if first is not None:
        older = _keep_known(parse_note(first), keys)
        checkpoints = policy.verify(older, keys), policy.verify(newer, keys)
        if _rank(checkpoints[0], older) > _rank(checkpoints[1], newer):
            older, newer = newer, older
        if find_contradiction(*checkpoints) is not None:
            prefix_root, tree, headers = b"", (), ()
    fork = Fork(charter.entry, older, newer, prefix_root, tuple(tree), tuple(headers))
    raw = encode_fork(fork)
    verify_fork(raw, charter_fingerprint=charter.ledger_id)
    return raw


def parse_part(raw: bytes, *, field: str) -> Note:
    """Read a note that stands in a proof, in its one encoding.

    Raises:
        FormatError: `field`…: not a note, or another spelling of one.
    """
    try:
        note = parse_note(raw)
    except FormatError as error:
        raise error.inside(field) from None
    if encode_note(note) != raw:
        raise FormatError(field=field, found="another spelling", expected="a note in its one encoding")
    return note


def verify_part(note: Note, keys: LedgerKeys, *, field: str) -> VerifiedCheckpoint:
    """Believe a checkpoint under which every line is by a key of the ledger, so that none is there unchecked.

    Raises:
        FormatError, SignatureError, PolicyError: `field`…: as `policy.verify`, or a line of somebody else.
    """
    for line in note.signatures:
        if (line.name, line.key_id) not in keys.known:
            found = f"{line.name}+{line.key_id.hex()}"
            raise PolicyError(field=f"{field}.signatures", found=found, expected="lines of the charter's keys only")
    try:
        return policy.verify(note, keys)
    except LedgerError as error:
        raise error.inside(field) from None


def _find_break(
    fork: Fork, older: VerifiedCheckpoint | None, newer: VerifiedCheckpoint, charter: Charter
) -> tuple[Link, str, str, str]:
    """Say what cannot be, by the one link that the proof has."""
    lower = _claim(older, charter)
    if older is not None:
        direct = find_contradiction(older, newer)
    elif newer.seal.height == lower.height and newer.seal.block_digest != lower.digest:
        expected = f"{lower.digest.hex()}, the charter's own block"
        direct = Contradiction(field="block", found=newer.seal.block_digest.hex(), expected=expected)
    else:
        direct = None
    if direct is not None:
        if fork.headers or fork.tree or fork.prefix_root:
            field = "headers" if fork.headers else "tree"
            raise ProofError(field=f"fork.{field}", found="some", expected="none: the notes contradict each other")
        return Link.NOTES, direct.field, direct.found, direct.expected
    if fork.headers:
        return Link.HEADERS, *_find_break_in_headers(fork.headers, lower, newer, charter)
    if fork.prefix_root:
        return Link.TREE, *_find_break_in_tree(fork, lower, newer)
    expected = "checkpoints that contradict each other, or a tree or headers that lead from one to the other"
    raise ProofError(field="fork.newer", found="nothing that contradicts the older one", expected=expected)


def _find_break_in_tree(fork: Fork, lower: "_Claim", newer: VerifiedCheckpoint) -> tuple[str, str, str]:
    try:
        verify_consistency(
            old_size=lower.size,
            new_size=newer.checkpoint.size,
            proof=fork.tree,
            old_root=Hash(fork.prefix_root),
            new_root=Hash(newer.checkpoint.root),
        )
    except ProofError as error:
        raise error.inside("fork.tree") from None
    if fork.prefix_root == lower.root:
        expected = "another root than the older one's: this tree continues it"
        raise ProofError(field="fork.prefix_root", found=lower.root.hex(), expected=expected)
    return "root", fork.prefix_root.hex(), f"{lower.root.hex()} of {lower.size} entries"


def _find_break_in_headers(
    headers: Sequence[Header], lower: "_Claim", newer: VerifiedCheckpoint, charter: Charter
) -> tuple[str, str, str]:
    first, last = headers[0], headers[-1]
    bound: tuple[tuple[str, object, object], ...] = (
        (f"[{len(headers) - 1}].digest", last.digest.hex(), newer.seal.block_digest.hex()),
        ("[0].ledger_id", first.ledger_id.hex(), charter.fingerprint),
    )
    for name, found, expected in bound:
        if found != expected:
            raise ProofError(field=f"fork.headers{name}", found=found, expected=str(expected))
    if first.height not in (lower.height, lower.height + 1):
        expected = f"{lower.height}, of the older checkpoint, or one above it"
        raise ProofError(field="fork.headers[0].height", found=first.height, expected=expected)
    try:
        verify_header_chain(headers)
    except ProofError as error:
        raise error.inside("fork.headers") from None
    for name, value, demanded in lower.compare(first):
        if value != demanded:
            return name, value, f"{demanded}, by the older checkpoint"
    expected = "a block that does not follow from the older checkpoint's: this history continues it"
    raise ProofError(field="fork.headers[0]", found=f"height {first.height}", expected=expected)


@dataclass(frozen=True, slots=True)
class _Claim:
    """What a quorum, or the charter, says of one block."""

    height: int
    digest: bytes
    epoch: int
    view: int
    time_ms: int
    size: TreeSize
    root: Hash

    def compare(self, header: Header) -> list[tuple[str, str, str]]:
        """Pair what a header says of this block, or as its child, with what it must say."""
        if header.height == self.height + 1:
            return [
                ("parent", header.parent.hex(), self.digest.hex()),
                ("first_index", str(header.first_index), str(self.size)),
            ]
        found = replace(_claim_of_header(header), digest=header.digest)
        names = ("digest", "epoch", "view", "time_ms", "size", "root")
        return [(name, _show(getattr(found, name)), _show(getattr(self, name))) for name in names]


def _claim(checkpoint: VerifiedCheckpoint | None, charter: Charter) -> _Claim:
    if checkpoint is None:
        return _claim_of_header(genesis_header(charter.entry, charter.founded_at_ms))
    seal, tree = checkpoint.seal, checkpoint.checkpoint
    return _Claim(seal.height, seal.block_digest, seal.epoch, seal.view, seal.time_ms, tree.size, Hash(tree.root))


def _claim_of_header(header: Header) -> _Claim:
    return _Claim(
        height=header.height,
        digest=header.digest,
        epoch=header.epoch,
        view=header.view,
        time_ms=header.time_ms,
        size=header.tree_size,
        root=Hash(header.root),
    )


def _show(value: object) -> str:
    return value.hex() if isinstance(value, bytes) else str(value)


def _rank(checkpoint: VerifiedCheckpoint, note: Note) -> tuple[int, bytes, str]:
    """The order in which two checkpoints stand in a proof."""
    return checkpoint.seal.height, checkpoint.seal.block_digest, note.text


def _keep_known(note: Note, keys: LedgerKeys) -> Note:
    lines = tuple(line for line in note.signatures if (line.name, line.key_id) in keys.known)
    return Note(text=note.text, signatures=lines)


def _find_signers(charter: Charter, keys: LedgerKeys, *notes: Note) -> tuple[str, ...]:
    """Name the members of whom a line stands under every one of these notes: a cosignature or a log line."""
    under = [{(line.name, line.key_id) for line in note.signatures} for note in notes]
    found = []
    for member in charter.members:
        own = (
            compute_verifier_key(member.node, domains.NOTE_COSIGNATURE_ED25519, member.cosigner),
            compute_verifier_key(keys.origin, domains.NOTE_ED25519, member.log),
        )
        names = {(key.name, key.key_id) for key in own}
        if all(names & lines for lines in under):
            found.append(member.node)
    return tuple(found)


def _parse_header(raw: bytes, place: int) -> Header:
    try:
        return parse_header(raw)
    except FormatError as error:
        raise error.inside(f"fork.headers[{place}]") from None
