"""Misconduct: which votes prove a member's fault, and what stands against it from then on.

Evidence counts by itself: it is checked here against the charter alone, whoever shows it. A member is *faulted* for
every kind of misconduct once, from the entry that first proved it, for good; a second proof of the same kind is
refused, so what one member can bring onto the ledger, and what others can bring about it, is bounded. Nothing else
follows: who is removed for it is a decision of nations, and a lab's verdicts do not depend on it.

No honest member can be faulted, since
1. every vote must carry the member's signature over this ledger's id, the epoch, the view, kind, digest and share:
   votes of different ledgers, epochs or views do not count together, and nobody but the member makes one;
2. an honest member never signs the pairs of `KINDS_OF_VOTES` (`node.consensus.ballot`, across restarts). What it may
   say together is no such pair: NOTARIZE and NULLIFY, NOTARIZE and FINALIZE, or the same vote once more, with another
   signature or another share over the same block;
3. the right share over a block is one point, which anybody can check with the member's public share from the charter's
   public polynomial. An honest member makes no other, in whichever view it votes for the block.

Two different *statements* under one sequence number are no misconduct here: a party that was refused one signs another
under the same number, and does nothing wrong. The ledger takes only one of them.
"""

from functools import lru_cache
from typing import Final

from ledger.blocks import seal_message
from ledger.charter import Charter, Member
from ledger.ed25519 import is_ed25519_signature
from ledger.errors import Code, LedgerError, PolicyError, ProofError, Rejection, SignatureError, reject
from ledger.limits import MEMBERS_MAX
from ledger.positions import FIRST_EPOCH, MemberIndex
from ledger.rules.entries import Context, Kind
from ledger.rules.records.standings import STANDINGS, Fault, Standing
from ledger.rules.state import State
from ledger.statements.dsse import SignatureCheck
from ledger.statements.misconduct import MISCONDUCT, Evidence, MisconductReport, parse_misconduct
from ledger.threshold import bls
from ledger.threshold.polynomials import evaluate_commitments
from ledger.votes import Misconduct, compute_vote_message

_FIELD: Final = "statement.predicate"
_NO_STANDING: Final = Standing(())


def verify_evidence(
    evidence: Evidence, *, charter: Charter, is_signature: SignatureCheck = is_ed25519_signature
) -> Member:
    """Check that the accused is a member, made these votes, and that they are misconduct; return the member.

    Args:
        evidence: as parsed.
        charter: of the ledger; believed.
        is_signature: the check of one signature.

    Raises:
        PolicyError: `evidence.accused`, `evidence.epoch`: not of this committee; `evidence.votes[0].share`: it is the
            right one (`NOT_MISCONDUCT`).
        SignatureError: `evidence.votes[i].signature`: not the accused's.
        ProofError: `evidence.header.ledger_id`: a block of another ledger.
    """
    member = charter.find_member(evidence.accused)
    if member is None:
        raise PolicyError(
            field="evidence.accused",
            found=evidence.accused,
            expected="a member of the charter",
            code=Code.INVALID_FIELD,
        )
    if evidence.epoch != FIRST_EPOCH:
        raise PolicyError(
            field="evidence.epoch",
            found=evidence.epoch,
            expected=f"{FIRST_EPOCH}: the founders are the only committee this ledger has had",
            code=Code.INVALID_FIELD,
        )
    for place, vote in enumerate(evidence.votes):
        message = compute_vote_message(
            ledger_id=charter.ledger_id,
            kind=vote.vote_kind,
            epoch=evidence.epoch,
            view=evidence.view,
            digest=vote.digest_bytes,
            share=vote.share_bytes,
        )
        if not is_signature(member.identity, vote.signature, message):
            raise SignatureError(
                field=f"evidence.votes[{place}].signature",
                found=vote.signature.hex(),
                expected=f"one by {member.id} over this vote on this ledger",
            )
    if evidence.misconduct is Misconduct.WRONG_SHARE:
        _verify_wrong_share(evidence, charter, member)
    return member


def _verify_wrong_share(evidence: Evidence, charter: Charter, member: Member) -> None:
    header = evidence.parse_header()
    if header.ledger_id != charter.ledger_id:
        raise ProofError(
            field="evidence.header.ledger_id", found=header.ledger_id.hex(), expected=charter.ledger_id.hex()
        )
    message = seal_message(header, charter.origin)
    if bls.is_signature(
        _compute_public_share(charter.commitments, member.index), message, evidence.votes[0].share_bytes
    ):
        raise PolicyError(
            field="evidence.votes[0].share",
            found=f"the right share of {member.id} over this block",
            expected="one that does not verify",
            code=Code.NOT_MISCONDUCT,
        )


@lru_cache(maxsize=MEMBERS_MAX)
def _compute_public_share(commitments: tuple[bytes, ...], member: MemberIndex) -> bytes:
    """Remembered: a large committee's takes a hundred times as long as checking the share."""
    return evaluate_commitments(commitments, member, field="charter.commitments")


def apply_misconduct(state: State, context: Context, report: MisconductReport) -> Rejection | None:
    """Hold a proven misconduct against its member. Believes that the header was checked."""
    evidence = report.evidence
    name = evidence.accused.encode()
    standing = STANDINGS.get(state, name) or _NO_STANDING
    for fault in standing.faults:
        if fault.misconduct == evidence.misconduct:
            return reject(
                Code.MISCONDUCT_KNOWN,
                field=f"{_FIELD}.evidence.misconduct",
                found=f"{evidence.misconduct} of {evidence.accused} again",
                expected=f"nothing more: entry {fault.index} has proven it",
            )
    try:
        verify_evidence(evidence, charter=state.charter, is_signature=context.is_signature)
    except LedgerError as error:
        return reject(error.code, field=f"{_FIELD}.{error.field}", found=error.found, expected=error.expected)
    STANDINGS.put(state, Standing((*standing.faults, Fault(evidence.misconduct, context.index))), name)
    return None


def get_faults(state: State, member_id: str) -> tuple[Fault, ...]:
    """What was proven against a member, in the order of the ledger; nothing if it is not faulted."""
    standing: Standing | None = STANDINGS.get(state, member_id.encode())
    return () if standing is None else standing.faults


MISCONDUCT_KIND: Final = Kind(
    name=MISCONDUCT, is_for_nations=None, signature_count=1, parse=parse_misconduct, apply=apply_misconduct
)
