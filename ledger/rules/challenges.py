"""Challenges: a nation asks a lab to open something, the lab answers, inspectors say what they found.

    raised ──► open ──response──► provided ──findings agree──► consistent, inconsistent, inconclusive
                │ silence                  └──window ends────► lapsed
                ├──► overdue ──silence───► missing
                └──► declined, salts-lost, withdrawn           (from overdue too)

A challenge:
1. has an id that no challenge had before, and is the only one that the nation has open on this cluster's interval;
2. is about a declaration: of a registered lab of another nation, for an interval whose challenge window, counted from
   the interval's end, is not over, and of a cluster that counts in it. What was declared last is what is challenged;
3. names inspectors who are active and not of the lab's nation, enough for findings to count; what grounds it, if it
   names an entry, is on the ledger already;
4. is one of at most `per_year_max` that the nation raised within a sliding year, whatever became of them;
5. puts `CHALLENGE_OPEN` on the cluster's interval until it is closed.

A response:
6. is the lab's, once, while nothing has been answered. If it is not there when `response_window_s` are over, the
   interval is `RESPONSE_OVERDUE`; if it is not there `missing_after_s` later, `RESPONSE_MISSING` takes that one's place
   for good, and the challenge is closed: what comes then is refused;
7. that provides goes to exactly the inspectors named; one that declines, or says that the salts are lost, closes the
   challenge and leaves `DISCLOSURE_DECLINED` or `SALTS_LOST` behind. With any response the interval is not overdue.

A finding:
8. follows a response, is one a named inspector, who is still active, and carries two signatures: the nation's and the
   inspector's own;
9. counts once findings of at least `inspectors_min` inspectors of at least `nations_min` nations have one conclusion.
   `inconsistent` leaves `FOUND_INCONSISTENT` behind, and every ground that as many of them give; `inconclusive` leaves
   `FOUND_INCONCLUSIVE`; `consistent` gives the declaration that was challenged the lowest level they name. Then the
   challenge is closed. A later correction takes none of this back.
10. If findings do not come to that when `finding_window_s` are over, the challenge lapses and leaves nothing behind.

A challenger withdraws:
11. only what has not been answered: after that inspectors have seen something, and what they found is theirs to say.

Windows move with outages (`ledger.rules.agenda`). Records of closed challenges stay, and their number is bounded by
the quotas; what inspectors said is not kept in them.
"""

from collections.abc import Sequence
from typing import Final, Literal, cast

import msgspec

from ledger.agreement import YEAR_S, Challenges
from ledger.errors import Code, LedgerError, Rejection, reject
from ledger.positions import Millis
from ledger.rules.agenda import schedule
from ledger.rules.entries import Context, Kind
from ledger.rules.grid import compute_end_ms, extend_deadline
from ledger.rules.inspections import find_inspector
from ledger.rules.records.agenda import Event
from ledger.rules.records.filings import Filing
from ledger.rules.records.foundation import CLOCK, FOUNDATION
from ledger.rules.records.inspections import (
    CHALLENGES,
    OPEN_CHALLENGES,
    RAISED_COUNTS,
    RAISED_TIMES,
    ChallengeName,
    Found,
    RaisedAt,
    RaisedChallenge,
    RaisedCount,
    Stage,
    make_open_name,
    make_raised_name,
)
from ledger.rules.records.registry import LABS, Lab
from ledger.rules.remarks import add_remark, assure, drop_remark
from ledger.rules.state import State
from ledger.rules.verdicts import Filed, compute_active, get_filing
from ledger.statements.inspections import (
    CHALLENGE,
    FINDING,
    RESPONSE,
    WITHDRAWAL,
    Challenge,
    Finding,
    Response,
    Withdrawal,
    parse_challenge,
    parse_finding,
    parse_response,
    parse_withdrawal,
)
from ledger.statements.verdicts import Reason

CHALLENGE_RESPONSE: Final = "challenge-response"
CHALLENGE_MISSING: Final = "challenge-missing"
CHALLENGE_FINDING: Final = "challenge-finding"
"""Topics of the agenda: a window of the challenge with the event's name ends."""

_FIELD: Final = "statement.predicate"
_NONE_RAISED: Final = RaisedCount(0)
_REASONS_OF_OUTCOMES: Final = {"declined": Reason.DISCLOSURE_DECLINED, "salts-lost": Reason.SALTS_LOST}


def get_challenge(state: State, challenge: str) -> RaisedChallenge | None:
    """What became of a challenge; None if none of this id was raised."""
    raised: RaisedChallenge | None = CHALLENGES.get(state, challenge.encode())
    return raised


def apply_challenge(state: State, context: Context, challenge: Challenge) -> Rejection | None:
    """Raise a challenge. Believes that the header was checked."""
    lab = LABS.get(state, challenge.lab.encode())
    filing = None if lab is None else get_filing(state, lab, challenge.interval)
    rejection = (
        _check_name(state, challenge)
        or _check_target(challenge, lab)
        or _check_interval(state, context, challenge, filing)
        or _check_inspectors(state, challenge, lab)
        or _check_grounds(context, challenge)
        or _check_quota(state, context, challenge)
    )
    if rejection is not None:
        return rejection
    assert filing is not None
    raised = RaisedChallenge(
        nation=challenge.issuer,
        lab=challenge.lab,
        cluster=challenge.cluster,
        interval=challenge.interval,
        report=filing.latest,
        index=context.index,
        stage="open",
        inspectors=tuple((each.nation, each.inspector) for each in challenge.inspectors),
        findings=(),
    )
    name = challenge.challenge.encode()
    CHALLENGES.put(state, raised, name)
    OPEN_CHALLENGES.put(state, ChallengeName(challenge.challenge), _make_open_name(raised))
    _count_raised(state, context, challenge.issuer)
    _remark(state, raised, Reason.CHALLENGE_OPEN)
    _schedule(state, CHALLENGE_RESPONSE, name, since_ms=context.time_ms, window_s=_terms(state).response_window_s)
    return None


def apply_withdrawal(state: State, _context: Context, withdrawal: Withdrawal) -> Rejection | None:
    """Withdraw a challenge. Believes that the header was checked."""
    raised = get_challenge(state, withdrawal.challenge)
    if raised is None:
        return _reject_unknown(withdrawal.challenge)
    if raised.nation != withdrawal.issuer:
        return _reject_issuer(withdrawal.issuer, expected=f"{raised.nation}, which raised it")
    if raised.stage not in ("open", "overdue"):
        return _reject_stage(raised, expected="a challenge that nobody has answered")
    _drop(state, raised, Reason.RESPONSE_OVERDUE)
    _close(state, withdrawal.challenge, raised, "withdrawn")
    return None


def apply_response(state: State, context: Context, response: Response) -> Rejection | None:
    """Answer a challenge. Believes that the header was checked."""
    raised = get_challenge(state, response.challenge)
    if raised is None:
        return _reject_unknown(response.challenge)
    if raised.lab != response.issuer:
        return _reject_issuer(response.issuer, expected=f"{raised.lab}, which was asked")
    if raised.stage not in ("open", "overdue"):
        return _reject_stage(raised, expected="a challenge that waits for a response")
    recipients = tuple((each.nation, each.inspector) for each in response.recipients)
    if response.outcome == "provided" and recipients != raised.inspectors:
        return reject(
            Code.INVALID_FIELD,
            field=f"{_FIELD}.recipients",
            found=", ".join(map("/".join, recipients)),
            expected=f"exactly those whom the challenge names: {', '.join(map('/'.join, raised.inspectors))}",
        )
    _drop(state, raised, Reason.RESPONSE_OVERDUE)
    if response.outcome != "provided":
        _remark(state, raised, _REASONS_OF_OUTCOMES[response.outcome], context)
        _close(state, response.challenge, raised, response.outcome)
        return None
    name = response.challenge.encode()
    CHALLENGES.put(state, msgspec.structs.replace(raised, stage="provided"), name)
    _schedule(state, CHALLENGE_FINDING, name, since_ms=context.time_ms, window_s=_terms(state).finding_window_s)
    return None


def apply_finding(state: State, context: Context, finding: Finding) -> Rejection | None:
    """Record what an inspector found. Believes that the header was checked."""
    raised = get_challenge(state, finding.challenge)
    if raised is None:
        return _reject_unknown(finding.challenge)
    if raised.stage != "provided":
        return _reject_stage(raised, expected="a challenge of which something was handed over and nothing found")
    rejection = _check_finder(state, context, finding, raised)
    if rejection is not None:
        return rejection
    found = Found(finding.issuer, finding.inspector, finding.conclusion, finding.grounds, finding.level or "")
    raised = msgspec.structs.replace(raised, findings=(*raised.findings, found))
    agreeing = [each for each in raised.findings if each.conclusion == finding.conclusion]
    if not _is_enough(_terms(state), agreeing):
        CHALLENGES.put(state, raised, finding.challenge.encode())
        return None
    match finding.conclusion:
        case "inconsistent":
            for reason in _find_reasons(_terms(state), agreeing):
                _remark(state, raised, reason, context)
        case "inconclusive":
            _remark(state, raised, Reason.FOUND_INCONCLUSIVE, context)
        case "consistent":
            _assure(state, raised, context, level=min(each.level for each in agreeing))
    _close(state, finding.challenge, raised, finding.conclusion)
    return None


def on_challenge_response(state: State, event: Event) -> Sequence[bytes]:
    """Rule 6: the response is overdue."""
    raised = CHALLENGES.require(state, event.name)
    if raised.stage == "open":
        CHALLENGES.put(state, msgspec.structs.replace(raised, stage="overdue"), event.name)
        _remark(state, raised, Reason.RESPONSE_OVERDUE)
        _schedule(state, CHALLENGE_MISSING, event.name, since_ms=event.at_ms, window_s=_terms(state).missing_after_s)
    return ()


def on_challenge_missing(state: State, event: Event) -> Sequence[bytes]:
    """Rule 6: the response is missing."""
    raised = CHALLENGES.require(state, event.name)
    if raised.stage == "overdue":
        _drop(state, raised, Reason.RESPONSE_OVERDUE)
        _remark(state, raised, Reason.RESPONSE_MISSING)
        _close(state, event.name.decode("ascii"), raised, "missing")
    return ()


def on_challenge_finding(state: State, event: Event) -> Sequence[bytes]:
    """Rule 10."""
    raised = CHALLENGES.require(state, event.name)
    if raised.stage == "provided":
        _close(state, event.name.decode("ascii"), raised, "lapsed")
    return ()


def _terms(state: State) -> Challenges:
    agreement = state.charter.agreement
    assert agreement is not None
    return agreement.challenges


def _make_open_name(raised: RaisedChallenge) -> bytes:
    return make_open_name(raised.nation, raised.cluster, raised.interval)


def _schedule(state: State, topic: str, name: bytes, *, since_ms: Millis, window_s: int) -> None:
    schedule(state, at_ms=Millis(since_ms + window_s * 1000), topic=topic, name=name, since_ms=since_ms)


def _remark(state: State, raised: RaisedChallenge, reason: Reason, context: Context | None = None) -> None:
    """Put a reason up that goes back to the challenge, or to the entry of the context."""
    add_remark(
        state,
        lab=raised.lab,
        interval=raised.interval,
        reason=reason,
        source=raised.index if context is None else context.index,
        cluster=raised.cluster,
    )


def _drop(state: State, raised: RaisedChallenge, reason: Reason) -> None:
    drop_remark(state, lab=raised.lab, interval=raised.interval, reason=reason, source=raised.index)


def _close(state: State, challenge: str, raised: RaisedChallenge, stage: Stage) -> None:
    """Rule 5: it is open no longer."""
    closed = msgspec.structs.replace(raised, stage=stage, inspectors=(), findings=())
    CHALLENGES.put(state, closed, challenge.encode())
    OPEN_CHALLENGES.put(state, None, _make_open_name(raised))
    _drop(state, raised, Reason.CHALLENGE_OPEN)


def _check_name(state: State, challenge: Challenge) -> Rejection | None:
    """Rule 1."""
    if get_challenge(state, challenge.challenge) is not None:
        return reject(
            Code.CHALLENGE_KNOWN,
            field=f"{_FIELD}.challenge",
            found=challenge.challenge,
            expected="an id that no challenge has had",
        )
    waiting = OPEN_CHALLENGES.get(state, make_open_name(challenge.issuer, challenge.cluster, challenge.interval))
    if waiting is not None:
        return reject(
            Code.CHALLENGE_KNOWN,
            field=f"{_FIELD}.interval",
            found=f"{challenge.cluster} in interval {challenge.interval}",
            expected=f"one of which {challenge.issuer} has no challenge open; it has {waiting.challenge}",
        )
    return None


def _check_target(challenge: Challenge, lab: Lab | None) -> Rejection | None:
    """Rule 2: whose, and which cluster."""
    if lab is None:
        return reject(
            Code.UNKNOWN_SUBJECT, field=f"{_FIELD}.lab", found=challenge.lab, expected="a lab that is registered"
        )
    if lab.nation == challenge.issuer:
        return _reject_issuer(challenge.issuer, expected=f"a nation other than that of {challenge.lab}")
    active = compute_active(lab, challenge.interval)
    if challenge.cluster not in active:
        return reject(
            Code.UNKNOWN_CLUSTER,
            field=f"{_FIELD}.cluster",
            found=challenge.cluster,
            expected=f"one of {len(active)} clusters of {challenge.lab} that count in interval {challenge.interval}",
        )
    return None


def _check_interval(state: State, context: Context, challenge: Challenge, filing: Filing | None) -> Rejection | None:
    """Rule 2: when."""
    if filing is None or filing.filed == Filed.NOT_YET:
        return reject(
            Code.NOTHING_TO_CHALLENGE,
            field=f"{_FIELD}.interval",
            found=challenge.interval,
            expected=f"an interval for which {challenge.lab} has filed a report",
        )
    end_ms = compute_end_ms(FOUNDATION.require(state).grid, challenge.interval)
    window_ms = state.charter.predicate.grid.challenge_window_s * 1000
    too_late_ms = extend_deadline(end_ms + window_ms, since=end_ms, outages=CLOCK.require(state).outages)
    if context.time_ms < too_late_ms:
        return None
    return reject(
        Code.NOTHING_TO_CHALLENGE,
        field=f"{_FIELD}.interval",
        found=f"{challenge.interval} at {context.time_ms} ms",
        expected=f"a block time before {too_late_ms} ms, the end of its challenge window",
    )


def _check_inspectors(state: State, challenge: Challenge, lab: Lab | None) -> Rejection | None:
    """Rule 3: who."""
    terms = _terms(state)
    for each in challenge.inspectors:
        is_own = lab is not None and each.nation == lab.nation
        if is_own or find_inspector(state, each.nation, each.inspector) is None:
            return reject(
                Code.UNKNOWN_SUBJECT,
                field=f"{_FIELD}.inspectors",
                found=f"{each.nation}/{each.inspector}",
                expected="an active inspector of a nation other than the lab's",
            )
    nation_count = len(dict.fromkeys(each.nation for each in challenge.inspectors))
    if len(challenge.inspectors) >= terms.inspectors_min and nation_count >= terms.nations_min:
        return None
    return reject(
        Code.INVALID_FIELD,
        field=f"{_FIELD}.inspectors",
        found=f"{len(challenge.inspectors)} of {nation_count} nations",
        expected=f"at least {terms.inspectors_min} of at least {terms.nations_min} nations",
    )


def _check_grounds(context: Context, challenge: Challenge) -> Rejection | None:
    """Rule 3: why."""
    entry = challenge.grounds.entry
    if entry is None or entry < context.index:
        return None
    return reject(
        Code.INVALID_FIELD, field=f"{_FIELD}.grounds.entry", found=entry, expected="the index of an earlier entry"
    )


def _check_quota(state: State, context: Context, challenge: Challenge) -> Rejection | None:
    """Rule 4: the place that this one would take holds the time of the challenge that was raised `maximum` before."""
    maximum = _terms(state).per_year_max
    count = (RAISED_COUNTS.get(state, challenge.issuer.encode()) or _NONE_RAISED).count
    oldest = RAISED_TIMES.get(state, make_raised_name(challenge.issuer, count % maximum)) if maximum else None
    if maximum and (oldest is None or context.time_ms - oldest.time_ms >= YEAR_S * 1000):
        return None
    return reject(
        Code.YEAR_QUOTA_EXCEEDED,
        field=f"{_FIELD}.issuer",
        found=f"{maximum} challenges of {challenge.issuer} within a year, and one more",
        expected=f"at most {maximum}",
    )


def _count_raised(state: State, context: Context, nation: str) -> None:
    count = (RAISED_COUNTS.get(state, nation.encode()) or _NONE_RAISED).count
    place = make_raised_name(nation, count % _terms(state).per_year_max)
    RAISED_TIMES.put(state, RaisedAt(context.time_ms), place)
    RAISED_COUNTS.put(state, RaisedCount(count + 1), nation.encode())


def _check_finder(state: State, context: Context, finding: Finding, raised: RaisedChallenge) -> Rejection | None:
    """Rule 8."""
    inspector = find_inspector(state, finding.issuer, finding.inspector)
    if inspector is None or (finding.issuer, finding.inspector) not in raised.inspectors:
        return reject(
            Code.UNKNOWN_SUBJECT,
            field=f"{_FIELD}.inspector",
            found=f"{finding.issuer}/{finding.inspector}",
            expected=f"an active one of {', '.join(map('/'.join, raised.inspectors))}",
        )
    if any((each.nation, each.inspector) == (finding.issuer, finding.inspector) for each in raised.findings):
        return reject(
            Code.FINDING_KNOWN,
            field=f"{_FIELD}.inspector",
            found=f"{finding.inspector} again",
            expected="an inspector who has not said yet what they found",
        )
    try:
        signed = context.verify_signers((context.issuer_key, inspector.signing_key))
    except LedgerError as error:
        return reject(
            Code.COUNTERSIGNATURE_MISSING,
            field="entry.signatures",
            found=error.found,
            expected="a signature by the inspector's own key beside the nation's",
        )
    assert inspector.signing_key in signed, "of two signatures, each by another key, one is not the nation's"
    return None


def _is_enough(terms: Challenges, findings: Sequence[Found]) -> bool:
    """Rule 9: no inspector is among them twice."""
    nation_count = len(dict.fromkeys(each.nation for each in findings))
    return len(findings) >= terms.inspectors_min and nation_count >= terms.nations_min


def _find_reasons(terms: Challenges, findings: Sequence[Found]) -> list[Reason]:
    """Rule 9: that it is inconsistent, and the grounds that enough of the findings give."""
    given = sorted({ground for each in findings for ground in each.grounds})
    agreed = [ground for ground in given if _is_enough(terms, [each for each in findings if ground in each.grounds])]
    return [Reason(reason) for reason in dict.fromkeys([Reason.FOUND_INCONSISTENT.value, *agreed])]


def _assure(state: State, raised: RaisedChallenge, context: Context, *, level: str) -> None:
    assure(
        state,
        lab=raised.lab,
        interval=raised.interval,
        cluster=raised.cluster,
        level=cast(Literal["A1", "A3", "A4"], level),  # a consistent finding has one of these
        report=raised.report,
        source=context.index,
    )


def _reject_unknown(challenge: str) -> Rejection:
    return reject(
        Code.UNKNOWN_SUBJECT, field=f"{_FIELD}.challenge", found=challenge, expected="a challenge that was raised"
    )


def _reject_issuer(issuer: str, *, expected: str) -> Rejection:
    return reject(Code.WRONG_ISSUER, field=f"{_FIELD}.issuer", found=issuer, expected=expected)


def _reject_stage(raised: RaisedChallenge, *, expected: str) -> Rejection:
    return reject(Code.NOT_AWAITED, field=f"{_FIELD}.challenge", found=raised.stage, expected=expected)


CHALLENGE_KIND: Final = Kind(
    name=CHALLENGE, is_for_nations=True, signature_count=1, parse=parse_challenge, apply=apply_challenge
)
WITHDRAWAL_KIND: Final = Kind(
    name=WITHDRAWAL, is_for_nations=True, signature_count=1, parse=parse_withdrawal, apply=apply_withdrawal
)
RESPONSE_KIND: Final = Kind(
    name=RESPONSE, is_for_nations=False, signature_count=1, parse=parse_response, apply=apply_response
)
FINDING_KIND: Final = Kind(
    name=FINDING, is_for_nations=True, signature_count=2, parse=parse_finding, apply=apply_finding
)
