"""What is open: pauses and proposals that nations decide on, and what this nation's labs wait for, with every deadline.

Read from the newest final state when the nation asks, so it is as true as the ledger and costs nothing in between. The
words of a pause or a change stand in its entry, not in the state; where this node does not hold that entry (it began
from a snapshot) they are left out, and their digest stays.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Final

import msgspec

from ledger.positions import LeafIndex, MemberIndex, Millis
from ledger.rules.challenges import CHALLENGE_FINDING, CHALLENGE_MISSING, CHALLENGE_RESPONSE
from ledger.rules.committee import LAPSE_TOPIC, compute_votes_needed
from ledger.rules.grid import extend_deadline
from ledger.rules.records.agenda import AGENDA
from ledger.rules.records.committee import MOTIONS, Motion, Outcome
from ledger.rules.records.foundation import CLOCK
from ledger.rules.records.inspections import CHALLENGES, Stage
from ledger.rules.records.pauses import COMMITMENTS, PAUSES, Pause, Phase, make_pair_name
from ledger.rules.records.registry import LAB_NUMBERS, LABS
from ledger.rules.records.runs import REVIEWS, RUNS, Review, Run
from ledger.rules.reviews import compute_end_ms, compute_review
from ledger.rules.runs import compute_approval_end_ms, compute_stage, get_agreement
from ledger.rules.state import State
from ledger.rules.thresholds import may_need_approval
from ledger.rules.undertakings import find_joined_since
from ledger.statements.committee import PROPOSAL, parse_proposal
from ledger.statements.dsse import parse_envelope
from ledger.statements.intoto import find_kind
from ledger.statements.pauses import PAUSE_PROPOSAL, parse_pause_proposal
from node.nation import Nation
from node.store import Store
from node.v1 import operator_pb2

MATTERS_MAX: Final = 2_000
"""The longest list of one sort in an answer; those whose time ends first come first."""

ReadEntry = Callable[[LeafIndex], bytes | None]
"""The entry at an index that is final; None if it lies in the part of the history that is not here."""

_NUMBER_BYTES: Final = 4
_NO, _YES = 1, 2
_CHALLENGE_TOPICS: Final[Mapping[Stage, str]] = {
    "open": CHALLENGE_RESPONSE,
    "overdue": CHALLENGE_MISSING,
    "provided": CHALLENGE_FINDING,
}
_ENDED: Final = ("stopped", "completed")
_ENCODER: Final = msgspec.json.Encoder()


class MatterReader:
    """Answers from the newest final state of a running node."""

    def __init__(self, state: Callable[[], State], store: Store, nation: Nation, *, me: MemberIndex) -> None:
        """Bind.

        Args:
            state: gives the state after the newest final block.
            store: where entries are.
            nation: knows whether a statement of its own waits for another party.
            me: the member whose labs count.
        """
        self._state, self._store, self._nation, self._me = state, store, nation, me

    def read(self) -> operator_pb2.ListOpenResponse:
        """Find everything that is open.

        Raises:
            ConditionError: `STORE_DAMAGED`.
        """
        answer = list_matters(self._state(), self._find_entry, me=self._me)
        answer.statement_out = self._nation.has_statement_out()
        return answer

    def _find_entry(self, index: LeafIndex) -> bytes | None:
        base = self._store.base
        if base is not None and index < base.header.tree_size:
            return None
        return self._store.entries(index, 1)[0]


def list_matters(state: State, read_entry: ReadEntry, *, me: MemberIndex) -> operator_pb2.ListOpenResponse:
    """Find everything that is open.

    Args:
        state: after the newest final block.
        read_entry: gives the entry at an index.
        me: the member whose labs count.

    Raises:
        ConditionError: as `read_entry`.
    """
    time_ms = CLOCK.require(state).time_ms
    nation = state.charter.member(me).id
    answer = operator_pb2.ListOpenResponse(member_id=nation, charter=state.charter.entry, time_ms=time_ms)
    if state.charter.agreement is None:
        return answer
    pauses = [
        _tell_pause(state, read_entry, name.decode(), pause)
        for name, pause in PAUSES.walk(state)
        if pause.phase != Phase.OVER
    ]
    pauses.sort(key=lambda pause: pause.end if pause.activated else pause.lapses)
    runs = _list_runs(state, nation, time_ms)
    reviews = _list_reviews(state, nation, time_ms)
    ends_ms = _find_ends(state)
    proposals = _list_proposals(state, read_entry, ends_ms)
    challenges = _list_challenges(state, nation, ends_ms)
    runs.sort(key=lambda run: (not run.decide_by_ms, run.decide_by_ms))
    reviews.sort(key=lambda review: (not review.ends_ms, review.ends_ms))
    answer.pauses.extend(pauses[:MATTERS_MAX])
    answer.proposals.extend(proposals[:MATTERS_MAX])
    answer.runs.extend(runs[:MATTERS_MAX])
    answer.reviews.extend(reviews[:MATTERS_MAX])
    answer.challenges.extend(challenges[:MATTERS_MAX])
    lists = (pauses, proposals, runs, reviews, challenges)
    answer.left_off = sum(max(0, len(each) - MATTERS_MAX) for each in lists)
    return answer


def _tell_pause(state: State, read_entry: ReadEntry, pause_id: str, pause: Pause) -> operator_pb2.OpenPause:
    is_activated = pause.phase == Phase.ACTIVATED
    return operator_pb2.OpenPause(
        pause=pause_id,
        proposer=pause.proposer,
        index=pause.index,
        terms=pause.terms,
        body=_read_body(read_entry, pause.index),
        activated=is_activated,
        start=pause.start if is_activated else 0,
        end=pause.end if is_activated else 0,
        lapses=pause.lapses,
        accessions=_list_accessions(state, pause_id, pause),
        pledge_count=pause.pledge_count,
    )


def _list_accessions(state: State, pause_id: str, pause: Pause) -> Iterable[operator_pb2.OpenAccession]:
    for member in state.charter.members:
        joined = find_joined_since(pause, member.id)
        said = COMMITMENTS.get(state, make_pair_name(pause_id, member.id))
        if joined is not None:
            yield operator_pb2.OpenAccession(nation=member.id, joined=True, since=joined)
        elif said is not None:
            yield operator_pb2.OpenAccession(
                nation=member.id,
                since=said.since,
                nations=said.nations,
                nations_min=said.nations_min,
                lapses=said.lapses,
            )


def _find_ends(state: State) -> dict[tuple[str, bytes], Millis]:
    """When each window that is told here ends, by topic and name of its event, after the outages so far."""
    outages = CLOCK.require(state).outages
    return {
        (event.topic, event.name): Millis(extend_deadline(event.due_ms, since=event.since_ms, outages=outages))
        for _, event in AGENDA.walk(state)
        if event.topic in (LAPSE_TOPIC, *_CHALLENGE_TOPICS.values())
    }


def _list_proposals(
    state: State, read_entry: ReadEntry, ends_ms: Mapping[tuple[str, bytes], Millis]
) -> list[operator_pb2.OpenProposal]:
    proposals = [
        _tell_proposal(state, read_entry, name.decode(), motion, ends_ms[LAPSE_TOPIC, name])
        for name, motion in MOTIONS.walk(state)
        if motion.outcome == Outcome.OPEN
    ]
    return sorted(proposals, key=lambda proposal: proposal.closes_ms)


def _tell_proposal(
    state: State, read_entry: ReadEntry, proposal_id: str, motion: Motion, closes_ms: Millis
) -> operator_pb2.OpenProposal:
    votes = list(zip((member.id for member in state.charter.members), motion.votes, strict=True))
    return operator_pb2.OpenProposal(
        proposal=proposal_id,
        proposer=motion.proposer,
        index=motion.index,
        change=motion.digest,
        body=_read_body(read_entry, motion.index),
        yes=[member for member, vote in votes if vote == _YES],
        no=[member for member, vote in votes if vote == _NO],
        needed=compute_votes_needed(state, motion.kind),
        closes_ms=closes_ms,
    )


def _read_body(read_entry: ReadEntry, index: LeafIndex) -> bytes:
    """The terms of a pause or the change of a proposal, as JSON; empty if the entry is not here."""
    entry = read_entry(index)
    if entry is None:
        return b""
    payload = parse_envelope(entry).payload
    kind = find_kind(payload)
    if kind == PAUSE_PROPOSAL:
        return _ENCODER.encode(parse_pause_proposal(payload).predicate.terms)
    assert kind == PROPOSAL, "the state names the entry that proposed"
    return _ENCODER.encode(parse_proposal(payload).predicate.change)


def _list_runs(state: State, nation: str, time_ms: Millis) -> list[operator_pb2.OpenRun]:
    found = []
    for name, run in RUNS.walk(state):
        lab = _find_own_lab(state, nation, name)
        if lab is not None and run.stage not in _ENDED:
            found.append(_tell_run(state, lab, name[_NUMBER_BYTES:].decode(), run, time_ms))
    return found


def _tell_run(state: State, lab: str, run_id: str, run: Run, time_ms: Millis) -> operator_pb2.OpenRun:
    stage = compute_stage(state, run, time_ms=time_ms)
    is_awaited = stage == "declared" and may_need_approval(get_agreement(state).runs, run)
    return operator_pb2.OpenRun(
        lab=lab,
        run=run_id,
        state=stage,
        declaration=run.leaf,
        index=run.opened_by,
        declared=run.is_declared,
        decide_by_ms=compute_approval_end_ms(state, run) if is_awaited else 0,
        band=max(run.band, run.estimate_band),
        cap_band=run.cap_band,
    )


def _list_reviews(state: State, nation: str, time_ms: Millis) -> list[operator_pb2.OpenReview]:
    found = []
    for name, review in REVIEWS.walk(state):
        lab = _find_own_lab(state, nation, name)
        now = compute_review(state, review, time_ms=time_ms)
        if lab is not None and now.released_by is None and now.stage in ("running", "waiting", "blocked"):
            found.append(_tell_review(state, lab, name[_NUMBER_BYTES:].decode(), now))
    return found


def _tell_review(state: State, lab: str, model: str, now: Review) -> operator_pb2.OpenReview:
    return operator_pb2.OpenReview(
        lab=lab,
        model=model,
        stage=now.stage,
        review=now.leaf,
        ends_ms=compute_end_ms(state, now) if now.stage == "running" else 0,
        remaining_ms=now.remaining_ms,
        acknowledged=now.is_acknowledged,
        extensions=now.extension_count,
        planned_at=now.planned_at,
    )


def _list_challenges(
    state: State, nation: str, ends_ms: Mapping[tuple[str, bytes], Millis]
) -> list[operator_pb2.OpenChallenge]:
    found = []
    for name, raised in CHALLENGES.walk(state):
        topic = _CHALLENGE_TOPICS.get(raised.stage)
        lab_nation = LABS.require(state, raised.lab.encode()).nation
        said = [(each.nation, each.inspector) for each in raised.findings]
        own = [inspector for inspector in raised.inspectors if inspector[0] == nation]
        if topic is None or not (own or nation in (raised.nation, lab_nation)):
            continue
        told = operator_pb2.OpenChallenge(
            challenge=name.decode(),
            nation=raised.nation,
            lab=raised.lab,
            lab_nation=lab_nation,
            cluster=raised.cluster,
            interval=raised.interval,
            stage=raised.stage,
            until_ms=ends_ms[topic, name],
            inspectors=[inspector[1] for inspector in own if inspector not in said],
        )
        found.append(told)
    return sorted(found, key=lambda challenge: challenge.until_ms)


def _find_own_lab(state: State, nation: str, name: bytes) -> str | None:
    """The lab whose run or model has this name, if this nation registered it."""
    lab = LAB_NUMBERS.require(state, name[:_NUMBER_BYTES]).lab
    return lab if LABS.require(state, lab.encode()).nation == nation else None
