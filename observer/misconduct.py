"""Evidence of a member's misconduct told in plain sentences: who said what, and why no member may."""

from collections.abc import Sequence
from typing import Any, Final

from ledger.statements.misconduct import Evidence, SignedVote
from ledger.verify import VerifiedMisconduct
from ledger.votes import Misconduct

_WHY: Final = {
    Misconduct.DOUBLE_NOTARIZE: "a member may notarize one block in a view; with two it helps two histories along",
    Misconduct.DOUBLE_FINALIZE: "a member may finalize one block in a view; with two it helps to seal two histories",
    Misconduct.NULLIFY_AND_FINALIZE: (
        "who finalizes a block says that its view stands, who nullifies that it does not; with both, a sealed block"
        " could be passed over"
    ),
    Misconduct.WRONG_SHARE: (
        "the right share of a seal follows from the block and the member's key alone; a wrong one can only spoil the"
        " seal"
    ),
}
_VERBS: Final = {"NOTARIZE": "notarizes", "NULLIFY": "nullifies the view", "FINALIZE": "finalizes"}
_LIMITS: Final = (
    "why: software made to lie, a stolen key, two nodes that run with one member's keys, or an old vote log put back;"
    " and nothing of what labs declared"
)


def describe_misconduct(verified: VerifiedMisconduct, head: Sequence[str]) -> list[str]:
    """Say in lines who did what, what was checked, and what it does not show; `head` names the ledger."""
    accused, evidence = verified.accused, verified.evidence
    return [
        f"misconduct proven: {accused.id} ({accused.name}) signed what no honest member signs: {evidence.misconduct}",
        *head,
        f"when       view {evidence.view} of epoch {evidence.epoch}",
        *(f"vote {place}     {_describe_vote(vote)}" for place, vote in enumerate(evidence.votes, start=1)),
        *_describe_share(evidence),
        f"signed     each by the identity key of {accused.id} in the charter, {accused.identity.hex()}",
        f"why        {_WHY[evidence.misconduct]}",
        f"not shown  {_LIMITS}",
    ]


def _describe_vote(vote: SignedVote) -> str:
    block = "" if vote.digest is None else f" block {vote.digest}"
    return f"{_VERBS[vote.kind]}{block}"


def _describe_share(evidence: Evidence) -> list[str]:
    if evidence.header is None:
        return []
    header = evidence.parse_header()
    return [f"share      does not verify as this member's over that block, of height {header.height}"]


def encode_misconduct(verified: VerifiedMisconduct) -> dict[str, Any]:
    """Give it as JSON has it, but for the ledger; Any because its values are of several types."""
    accused, evidence = verified.accused, verified.evidence
    return {
        "kind": "misconduct",
        "member": accused.id,
        "member_index": accused.index,
        "misconduct": evidence.misconduct.value,
        "epoch": evidence.epoch,
        "view": evidence.view,
        "votes": [{"kind": vote.kind, "digest": vote.digest} for vote in evidence.votes],
    }
