"""Where a nation stands: what its node says is open, with the charter, for words that people read before they sign.

The node is believed: it is the nation's own, reached over its own socket. Only digests are compared once more, since
the nation signs them for the words that it is shown.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar

import msgspec

from ledger.agreement import Agreement
from ledger.charter import Charter, parse_charter
from ledger.errors import Code, ConditionError, FormatError, ProofError
from ledger.explanation import format_duration
from ledger.positions import Interval, Millis
from ledger.rules.grid import compute_grid, compute_next_interval, compute_start_ms
from ledger.statements.committee import Change, ExtendPause, LiftPause, Resolution, compute_change_digest
from ledger.statements.pauses import Terms, compute_terms_digest
from node.v1 import operator_pb2

_WordsT = TypeVar("_WordsT")


@dataclass(frozen=True, slots=True)
class Standing:
    """What is open for a nation, by the charter, at a time of the ledger.

    Attributes:
        charter: of the ledger.
        matters: the node's answer.
    """

    charter: Charter
    matters: operator_pb2.ListOpenResponse

    @property
    def nation(self) -> str:
        """Id of the nation."""
        return self.matters.member_id

    @property
    def agreement(self) -> Agreement:
        """What nations agreed on beside reports.

        Raises:
            FormatError: `UNKNOWN_KIND`: this charter has nothing of it.
        """
        agreement = self.charter.agreement
        if agreement is None:
            raise FormatError(
                field="charter",
                found="no agreement",
                expected="a charter with an agreement: the rules of this ledger know only reports",
                code=Code.UNKNOWN_KIND,
            )
        return agreement

    @property
    def next_interval(self) -> Interval:
        """The one that begins at the next boundary: from there on what is said now can count."""
        return compute_next_interval(compute_grid(self.charter.grid), Millis(self.matters.time_ms))

    def compute_start_ms(self, interval: int) -> Millis:
        """When an interval begins."""
        return compute_start_ms(compute_grid(self.charter.grid), Interval(interval))

    def say_interval(self, interval: int) -> str:
        """Name an interval and when it begins."""
        return f"interval {interval} ({say_time(self.compute_start_ms(interval))})"

    def say_length(self, count: int) -> str:
        """Say how long so many intervals are."""
        words = f"{count} interval{'s' if count != 1 else ''}"
        return f"{words} ({format_duration(count * self.charter.grid.interval_s)})"

    def say_until(self, time_ms: int) -> str:
        """Say a deadline, and how long it is until then."""
        left_s = max(0, time_ms - self.matters.time_ms) // 1000
        return f"{say_time(time_ms)}, in {format_duration(left_s)}" if left_s else f"{say_time(time_ms)}, now"

    def require_pause(self, pause_id: str) -> operator_pb2.OpenPause:
        """Find a pause that is not over.

        Raises:
            ConditionError: `UNKNOWN_PAUSE`.
        """
        for pause in self.matters.pauses:
            if pause.pause == pause_id:
                return pause
        raise _unknown("pause", pause_id, [each.pause for each in self.matters.pauses], Code.UNKNOWN_PAUSE)

    def require_proposal(self, proposal_id: str) -> operator_pb2.OpenProposal:
        """Find a proposal that is open.

        Raises:
            ConditionError: `UNKNOWN_PROPOSAL`.
        """
        for proposal in self.matters.proposals:
            if proposal.proposal == proposal_id:
                return proposal
        known = [each.proposal for each in self.matters.proposals]
        raise _unknown("proposal", proposal_id, known, Code.UNKNOWN_PROPOSAL)

    def require_run(self, lab: str, run_id: str) -> operator_pb2.OpenRun:
        """Find a run of a lab of this nation that has not ended.

        Raises:
            ConditionError: `UNKNOWN_RUN`.
        """
        for run in self.matters.runs:
            if (run.lab, run.run) == (lab, run_id):
                return run
        known = [f"{each.lab} {each.run}" for each in self.matters.runs]
        raise _unknown("run", f"{lab} {run_id}", known, Code.UNKNOWN_RUN)

    def require_review(self, lab: str, model: str) -> operator_pb2.OpenReview:
        """Find a review, not cleared, of a lab of this nation.

        Raises:
            ConditionError: `UNKNOWN_REVIEW`.
        """
        for review in self.matters.reviews:
            if (review.lab, review.model) == (lab, model):
                return review
        known = [f"{each.lab} {each.model}" for each in self.matters.reviews]
        raise _unknown("review", f"{lab} {model}", known, Code.UNKNOWN_REVIEW)


def read_standing(matters: operator_pb2.ListOpenResponse) -> Standing:
    """Take a node's answer.

    Raises:
        LedgerError: the charter in it is none.
    """
    return Standing(parse_charter(matters.charter), matters)


def read_terms(pause: operator_pb2.OpenPause) -> Terms:
    """The terms of a pause, which have the digest that the nation signs.

    Raises:
        ConditionError: `NOT_READY`: the node does not hold the entry.
        ProofError: they are others.
    """
    terms = _read_words(pause.body, Terms, field=f"pause {pause.pause}")
    _compare(compute_terms_digest(terms), pause.terms, field=f"pause {pause.pause}")
    return terms


def read_change(proposal: operator_pb2.OpenProposal) -> LiftPause | ExtendPause | Resolution:
    """The change that is proposed, which has the digest that the nation signs.

    Raises:
        ConditionError: `NOT_READY`: the node does not hold the entry.
        ProofError: it is another.
    """
    kinds = LiftPause | ExtendPause | Resolution
    change: LiftPause | ExtendPause | Resolution
    change = _read_words(proposal.body, kinds, field=f"proposal {proposal.proposal}")  # type: ignore[arg-type]
    assert isinstance(change, Change)
    _compare(compute_change_digest(change), proposal.change, field=f"proposal {proposal.proposal}")
    return change


def say_time(time_ms: int) -> str:
    """Write a time in UTC, to the second where it is not a whole minute.

    >>> say_time(1_799_798_400_000), say_time(1_799_798_401_500)
    ('2027-01-13T00:00Z', '2027-01-13T00:00:01Z')
    """
    moment = datetime.fromtimestamp(time_ms // 1000, tz=UTC)
    return moment.strftime("%Y-%m-%dT%H:%MZ" if moment.second == 0 else "%Y-%m-%dT%H:%M:%SZ")


def _read_words(body: bytes, words: type[_WordsT], *, field: str) -> _WordsT:
    if not body:
        raise ConditionError(
            field=field,
            found="an entry that this node does not hold yet",
            expected="the whole history: it began from a snapshot, and still audits what is before",
        )
    try:
        return msgspec.json.decode(body, type=words)
    except (msgspec.MsgspecError, UnicodeError) as error:
        raise FormatError(field=field, found=str(error), expected="what was proposed") from None


def _compare(found: str, expected: bytes, *, field: str) -> None:
    if found != expected.hex():
        raise ProofError(field=field, found=found, expected=f"the digest that the ledger has, {expected.hex()}")


def _unknown(sort: str, found: str, known: list[str], code: Code) -> ConditionError:
    listed = ", ".join(known[:8]) + (", …" if len(known) > 8 else "")
    return ConditionError(field=sort, found=found, expected=f"one that is open: {listed or 'there is none'}", code=code)
