"""What a proof of a fork or of a rollback says to a person and to a program, and what it does not say."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from ledger.domains import FORK_FORMAT, ROLLBACK_FORMAT
from ledger.forks import Link, VerifiedFork, verify_fork
from ledger.limits import FORK_BYTES_MAX
from ledger.policy import VerifiedCheckpoint
from ledger.rollbacks import Cosigned, VerifiedRollback, verify_rollback
from observer.files import read_file
from observer.telling import format_time

Proof = VerifiedFork | VerifiedRollback

_LINKS: Final = {
    Link.NOTES: "the two notes alone show it",
    Link.TREE: "hashes that lead to the root of the second show what its tree begins with",
    Link.HEADERS: "headers of blocks, each bound by the one after it and the last by the seal, show where they part",
}
_FORK_LIMITS: Final = (
    "which of the two is the right one, which members it were beyond those named, or that any statement in either is "
    "false"
)
_ROLLBACK_LIMITS: Final = (
    "why: its node went back to an older state, its key is used in two places, or its clock was set back by at least "
    "{apart_s} s; and nothing against the ledger: both trees may be parts of one history"
)
_BEGINNINGS: Final[dict[bytes, Callable[..., Proof]]] = {
    f'{{"format":"{FORK_FORMAT}"'.encode(): verify_fork,
    f'{{"format":"{ROLLBACK_FORMAT}"'.encode(): verify_rollback,
}


def verify_proof(raw: bytes, *, fingerprint: bytes | None) -> Proof | None:
    """Check a proof of a fork or of a rollback; None for a file that begins as neither.

    Raises:
        LedgerError: as `verify_fork` and `verify_rollback`.
    """
    for beginning, verify in _BEGINNINGS.items():
        if raw.startswith(beginning):
            return verify(raw, charter_fingerprint=fingerprint)
    return None


def verify_proof_file(path: Path, *, fingerprint: bytes | None) -> Proof | None:
    """Check a file as `verify_proof`.

    Raises:
        ConditionError: it cannot be read (`CONFIG`).
        LedgerError: as `verify_proof`.
    """
    return verify_proof(read_file(path, size_max=FORK_BYTES_MAX, field="file"), fingerprint=fingerprint)


def describe_proof(proof: Proof, *, is_pinned: bool) -> list[str]:
    """Say in lines what is proven, by whom it was done, and what is not proven."""
    charter = proof.charter
    compared = (
        "the charter whose fingerprint you gave"
        if is_pinned
        else "not compared: compare it with one from somebody you trust, or give --charter-fingerprint"
    )
    head = [
        f"ledger     {charter.origin} ({charter.title})",
        f"charter    {charter.fingerprint}",
        f"           {compared}",
    ]
    if isinstance(proof, VerifiedRollback):
        return _describe_rollback(proof, head)
    return _describe_fork(proof, head)


def encode_proof(proof: Proof, *, is_pinned: bool) -> dict[str, Any]:
    """Give a proof as JSON has it; Any because its values are of several types."""
    charter = proof.charter
    about: dict[str, Any] = {
        "holds": True,
        "title": charter.title,
        "origin": charter.origin,
        "charter_fingerprint": charter.fingerprint,
        "fingerprint_compared": is_pinned,
    }
    if isinstance(proof, VerifiedRollback):
        return about | {
            "kind": "rollback",
            "member": proof.member.node,
            "nation": proof.member.id,
            "before": _encode_cosigned(proof.before),
            "after": _encode_cosigned(proof.after),
        }
    return about | {
        "kind": "fork",
        "link": proof.link.value,
        "field": proof.field,
        "found": proof.found,
        "expected": proof.expected,
        "older": None if proof.older is None else _encode_checkpoint(proof.older),
        "newer": _encode_checkpoint(proof.newer),
        "quorum": charter.quorum,
        "members_count": len(charter.members),
        "colluders_min": proof.colluders_min,
        "signers": list(proof.signers),
    }


def _describe_fork(proof: VerifiedFork, head: list[str]) -> list[str]:
    charter = proof.charter
    count, quorum = len(charter.members), charter.quorum
    older = "the charter's own block, height 0" if proof.older is None else _describe_checkpoint(proof.older)
    seals = "this seal was" if proof.older is None else "each of the two seals was"
    signers = (
        f"their own lines stand under both: {', '.join(proof.signers)}"
        if proof.signers
        else "no member's own line stands under both notes, so nobody is named by them"
    )
    if proof.older is None:
        who = f"{seals} made with the key shares of {quorum} of {count} members; an honest member makes none for it"
    else:
        who = (
            f"{seals} made with the key shares of {quorum} of {count} members; any two such groups share at least "
            f"{proof.colluders_min}, so at least {proof.colluders_min} members broke the rules, or somebody else has "
            "their keys"
        )
    return [
        "fork       proven: a quorum of this ledger sealed two histories that cannot both be true",
        *head,
        f"first      {older}",
        f"second     {_describe_checkpoint(proof.newer)}",
        f"breaks     {proof.field}: the second has {proof.found}; the first demands {proof.expected}",
        f"shown by   {_LINKS[proof.link]}",
        f"who        {who}",
        f"           {signers}",
        f"not shown  {_FORK_LIMITS}",
    ]


def _describe_rollback(proof: VerifiedRollback, head: list[str]) -> list[str]:
    member, before, after = proof.member, proof.before, proof.after
    return [
        "rollback   proven: one member signed an older tree as its newest, after it had signed a larger one",
        *head,
        f"member     {member.node} ({member.name})",
        f"before     {_describe_cosigned(before)}",
        f"after      {_describe_cosigned(after)}",
        f"who        the cosigning key of {member.node}, and no other, made both",
        f"not shown  {_ROLLBACK_LIMITS.format(apart_s=after.time_s - before.time_s)}",
    ]


def _describe_checkpoint(checkpoint: VerifiedCheckpoint) -> str:
    seal, tree = checkpoint.seal, checkpoint.checkpoint
    return (
        f"height {seal.height}, view {seal.view}, {tree.size} entries, sealed for {format_time(seal.time_ms)}, "
        f"block {seal.block_digest.hex()}"
    )


def _describe_cosigned(cosigned: Cosigned) -> str:
    tree = cosigned.checkpoint.checkpoint
    return f"{tree.size} entries, height {cosigned.checkpoint.seal.height}, cosigned at {cosigned.time_s} s"


def _encode_checkpoint(checkpoint: VerifiedCheckpoint) -> dict[str, Any]:
    seal, tree = checkpoint.seal, checkpoint.checkpoint
    return {
        "height": seal.height,
        "view": seal.view,
        "epoch": seal.epoch,
        "time_ms": seal.time_ms,
        "block": seal.block_digest.hex(),
        "tree_size": tree.size,
        "root": tree.root.hex(),
        "cosigners": list(checkpoint.cosigners),
    }


def _encode_cosigned(cosigned: Cosigned) -> dict[str, Any]:
    return _encode_checkpoint(cosigned.checkpoint) | {"cosigned_s": cosigned.time_s}
