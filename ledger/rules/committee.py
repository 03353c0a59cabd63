"""Decisions of the committee: what is proposed, who votes, when it is decided, and what follows.

1. A nation proposes under an id that was never used. It has at most `MOTIONS_OPEN_MAX` open proposals at a time.
2. To lift or extend a pause can be proposed once it is activated and as long as it is not over. An extension ends later
   than the pause does as things stand, by at most the charter's longest pause.
3. Each member says yes or no, with the digest of what it read, and may change that as long as the proposal is open.
   Who proposes has not voted by that.
4. A proposal is carried by the vote with which a quorum of the charter say yes; one that lifts a pause needs all
   members, if the charter says so. Then it is closed.
5. It lapses in the first block at or after the end of the voting window that begins with it. An outage moves that end.
6. What follows from it begins at the next boundary (`ledger.rules.pauses`), and never before. A vote on a pause that is
   over meanwhile is refused, and so is one that would carry more extensions of a pause than one boundary has room for.
   A resolution has no effect: it is on record that it was carried.
"""

from typing import Final, assert_never

import msgspec

from ledger.agreement import Agreement
from ledger.errors import Code, Rejection, reject
from ledger.positions import Interval, Millis
from ledger.rules.agenda import schedule
from ledger.rules.entries import Context, Kind
from ledger.rules.grid import compute_next_interval
from ledger.rules.pauses import check_extension, compute_intervals_max, find_open_pause, put_decision
from ledger.rules.records.agenda import Event
from ledger.rules.records.committee import MOTIONS, Motion, Outcome
from ledger.rules.records.foundation import FOUNDATION
from ledger.rules.records.pauses import Decision, Phase
from ledger.rules.records.tallies import NO_TALLY, TALLIES
from ledger.rules.state import State
from ledger.statements.committee import (
    APPROVAL,
    PROPOSAL,
    Approval,
    ExtendPause,
    LiftPause,
    Proposal,
    Resolution,
    compute_change_digest,
    parse_approval,
    parse_proposal,
)

LAPSE_TOPIC: Final = "proposal-lapse"

MOTIONS_OPEN_MAX: Final = 4

_FIELD: Final = "statement.predicate"
_NOTHING, _NO, _YES = range(3)


def apply_proposal(state: State, context: Context, proposal: Proposal) -> Rejection | None:
    """Open a proposal (rules 1 and 2). Believes that the header was checked."""
    name = proposal.proposal.encode()
    known = MOTIONS.get(state, name)
    if known is not None:
        return reject(
            Code.ID_TAKEN,
            field=f"{_FIELD}.proposal",
            found=proposal.proposal,
            expected=f"an id that no proposal had; entry {known.index} chose this one",
        )
    rejection = _check_change(state, proposal.change)
    if rejection is not None:
        return rejection
    tally = TALLIES.get(state, proposal.issuer.encode()) or NO_TALLY
    if tally.motions_open >= MOTIONS_OPEN_MAX:
        return reject(
            Code.TOO_MANY_OPEN,
            field=f"{_FIELD}.proposal",
            found=f"{tally.motions_open} open proposals of {proposal.issuer}",
            expected=f"fewer than {MOTIONS_OPEN_MAX}",
        )
    MOTIONS.put(state, _make_motion(state, context, proposal), name)
    _count(state, proposal.issuer, 1)
    window_ms = _get_agreement(state).decisions.voting_window_s * 1000
    schedule(
        state,
        at_ms=Millis(context.time_ms + window_ms),
        topic=LAPSE_TOPIC,
        name=name,
        since_ms=context.time_ms,
    )
    return None


def apply_approval(state: State, context: Context, approval: Approval) -> Rejection | None:
    """Record a vote, and decide if it is the last one needed (rules 3, 4). Believes that the header was checked."""
    name, field = approval.proposal.encode(), f"{_FIELD}.proposal"
    motion = MOTIONS.get(state, name)
    if motion is None:
        return reject(Code.UNKNOWN_PROPOSAL, field=field, found=approval.proposal, expected="one that was proposed")
    if motion.outcome != Outcome.OPEN:
        found = f"{approval.proposal}, which {'was carried' if motion.outcome == Outcome.CARRIED else 'has lapsed'}"
        return reject(Code.PROPOSAL_CLOSED, field=field, found=found, expected="one that is open")
    if approval.change != motion.digest.hex():
        return reject(
            Code.TERMS_MISMATCH, field=f"{_FIELD}.change", found=approval.change, expected=motion.digest.hex()
        )
    if motion.pause:
        pause = find_open_pause(state, motion.pause, field=field)
        if isinstance(pause, Rejection):
            return pause
    place = [member.id for member in state.charter.members].index(approval.issuer)
    votes = bytearray(motion.votes)
    votes[place] = _YES if approval.approves else _NO
    motion = msgspec.structs.replace(motion, votes=bytes(votes))
    if votes.count(_YES) >= compute_votes_needed(state, motion.kind):
        rejection = check_extension(state, motion.pause, field=f"{_FIELD}.approves") if motion.until else None
        if rejection is not None:
            return rejection
        motion = msgspec.structs.replace(motion, outcome=Outcome.CARRIED, decided_by=context.index)
        _count(state, motion.proposer, -1)
        if motion.pause:
            since = compute_next_interval(FOUNDATION.require(state).grid, context.time_ms)
            put_decision(state, motion.pause, Decision(motion.until, motion.index, since))
    MOTIONS.put(state, motion, name)
    return None


def let_lapse(state: State, event: Event) -> list[bytes]:
    """Close a proposal whose window has ended, if nothing was decided (rule 5)."""
    motion = MOTIONS.require(state, event.name)
    if motion.outcome == Outcome.OPEN:
        MOTIONS.put(state, msgspec.structs.replace(motion, outcome=Outcome.LAPSED), event.name)
        _count(state, motion.proposer, -1)
    return []


def compute_votes_needed(state: State, kind: str) -> int:
    """How many members must say yes to a change of this kind."""
    if kind == _LIFT and _get_agreement(state).pauses.lift == "all":
        return len(state.charter.members)
    return state.charter.quorum


def _check_change(state: State, change: LiftPause | ExtendPause | Resolution) -> Rejection | None:
    """Rule 2."""
    if isinstance(change, Resolution):
        return None
    field = f"{_FIELD}.change"
    pause = find_open_pause(state, change.pause, field=f"{field}.pause")
    if isinstance(pause, Rejection):
        return pause
    if pause.phase == Phase.PROPOSED:
        found = f"{change.pause}, which is not activated"
        return reject(Code.PAUSE_CLOSED, field=f"{field}.pause", found=found, expected="one that is")
    if isinstance(change, ExtendPause):
        latest = pause.end + compute_intervals_max(state)
        if not pause.end < change.until <= latest:
            return reject(
                Code.INVALID_FIELD,
                field=f"{field}.until",
                found=change.until,
                expected=f"from {pause.end + 1} to {latest}",
            )
    return None


def _make_motion(state: State, context: Context, proposal: Proposal) -> Motion:
    pause, until = "", Interval(0)
    match proposal.change:
        case LiftPause():
            pause = proposal.change.pause
        case ExtendPause():
            pause, until = proposal.change.pause, proposal.change.until
        case Resolution():
            pass
        case _:
            assert_never(proposal.change)
    return Motion(
        proposer=proposal.issuer,
        index=context.index,
        digest=bytes.fromhex(compute_change_digest(proposal.change)),
        kind=str(proposal.change.__struct_config__.tag),
        pause=pause,
        until=until,
        votes=bytes([_NOTHING]) * len(state.charter.members),
        outcome=Outcome.OPEN,
        decided_by=None,
    )


def _count(state: State, nation: str, change: int) -> None:
    tally = TALLIES.get(state, nation.encode()) or NO_TALLY
    counted = msgspec.structs.replace(tally, motions_open=tally.motions_open + change)
    TALLIES.put(state, counted, nation.encode())


def _get_agreement(state: State) -> Agreement:
    agreement = state.charter.agreement
    assert agreement is not None, "only ledgers with an agreement know proposals"
    return agreement


_LIFT: Final = str(LiftPause.__struct_config__.tag)

PROPOSAL_KIND: Final = Kind(
    name=PROPOSAL, is_for_nations=True, signature_count=1, parse=parse_proposal, apply=apply_proposal
)
APPROVAL_KIND: Final = Kind(
    name=APPROVAL, is_for_nations=True, signature_count=1, parse=parse_approval, apply=apply_approval
)
