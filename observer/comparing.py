"""Hold several sources against each other, and say of each how it stands; and take in a proof that somebody else has.

Comparing is following (`observer.sync`): every block of every source up to its newest head is held against one chain,
so two sources that agree with the copy agree with each other. What cannot be followed is held against it by its tree.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from ledger.errors import FormatError, ProofError
from ledger.forks import VerifiedFork
from ledger.limits import FORK_BYTES_MAX
from ledger.positions import Height, Millis
from observer.agreement import Relation
from observer.copy import Copy
from observer.evidence import keep_evidence
from observer.explaining import verify_proof
from observer.files import read_file
from observer.sync import Outcome, SyncResult

_SAID: Final = {
    Relation.SAME: "the same history, the same newest block",
    Relation.AHEAD: "the same history, and it was ahead of your copy",
    Relation.BEHIND: "the same history, but behind",
    Relation.STALE: "stale: the same history, but an older head than it showed before, which proves nothing against it",
    Relation.CONTRADICTS: "CONTRADICTS: a quorum signed two histories; the proof is a file",
    Relation.WRONG: "wrong: what it serves is no sealed part of this ledger, which proves nothing against the nations",
    Relation.UNREACHABLE: "did not answer, or not with all that is needed",
}


def describe_comparison(result: SyncResult) -> list[str]:
    """Say in lines how each source stands to all the others."""
    header = result.head.header
    lines = [f"compared up to height {header.height}, {header.tree_size} entries, by your copy of {result.fingerprint}"]
    for outcome in result.outcomes:
        shown = "" if outcome.height is None else f" (it shows height {outcome.height})"
        lines.append(f"{outcome.source}: {_SAID[outcome.relation]}{shown}")
        if outcome.error is not None:
            lines.append(f"  {outcome.error}")
        lines += [f"  {said}" for said in outcome.rolled_back]
    lines.append(_conclude(result.outcomes))
    return lines


def _conclude(outcomes: Sequence[Outcome]) -> str:
    if any(outcome.relation is Relation.CONTRADICTS for outcome in outcomes):
        return "the sources do not show one history: the network is blind until somebody decides"
    agreeing = sum(outcome.relation in _AGREEING for outcome in outcomes)
    return f"{agreeing} of {len(outcomes)} sources show one history; no contradiction"


_AGREEING: Final = (Relation.SAME, Relation.AHEAD, Relation.BEHIND, Relation.STALE)


def require_one_history(outcomes: Sequence[Outcome]) -> None:
    """Refuse sources that do not show one history, and members that went back: the first, once all were shown.

    Raises:
        ProofError: `sources` or `members`.
    """
    for outcome in outcomes:
        if outcome.relation is Relation.CONTRADICTS and outcome.error is not None:
            raise outcome.error
    rolled_back = [said for outcome in outcomes for said in outcome.rolled_back]
    if rolled_back:
        raise ProofError(field="members", found="; ".join(rolled_back), expected="each to sign ever larger trees")


def take_in(copy: Copy, path: Path, *, now_ms: Millis) -> Path:
    """Keep a fork proof that somebody else has, as if this observer had seen it: the network is blind from then on.

    Args:
        copy: of the ledger it must be about.
        path: of the proof.
        now_ms: by this machine's clock.

    Returns:
        The folder of evidence.

    Raises:
        LedgerError: it is no proof of a fork of this very ledger.
    """
    raw = read_file(path, size_max=FORK_BYTES_MAX, field="file")
    proof = verify_proof(raw, fingerprint=copy.charter.ledger_id)
    if not isinstance(proof, VerifiedFork):
        raise FormatError(field="file", found=str(path), expected="a proof of a fork")
    return keep_evidence(
        copy.path.parent,
        "contradiction",
        source=str(path),
        said=f"{proof.field}: found {proof.found}; expected {proof.expected}",
        height=Height(proof.newer.seal.height),
        ours=b"",
        theirs=raw,
        proof=raw,
        seen_ms=now_ms,
    )
