"""What each kind of statement says, as a person reads it: kind of alarm, title, text. Pure.

Words of parties are quoted as they are, whatever they claim; `observer.monitor.alarms` makes them inert.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from ledger.statements.committee import Approval, ExtendPause, LiftPause, Proposal
from ledger.statements.inspections import Challenge, Finding, Inspectors, Response, Withdrawal
from ledger.statements.inventories import Transfer
from ledger.statements.misconduct import MisconductReport
from ledger.statements.notices import Enforcement, Incident, Observation
from ledger.statements.pauses import LabPledge, PauseAccession, PauseEvent, PauseFreeze, PauseProposal
from ledger.statements.registry import Registration
from ledger.statements.reports import Report
from ledger.statements.runs import ReleaseNotice, ReleaseReview, ReviewEvent, RunDecision, TrainingRun
from observer.monitor.alarms import list_names
from observer.monitor.kinds import Kind

NAMES_SHOWN_MAX: Final = 10

Said = tuple[Kind, str, str]
"""Kind, title, text."""


def say(predicate: msgspec.Struct) -> Said:
    """Say what a statement says, of any kind that is told on its own."""
    return _WORDS[type(predicate)](predicate)


def _say_misconduct(said: MisconductReport) -> Said:
    evidence = said.evidence
    text = f"{said.issuer} shows votes that {evidence.accused} signed: {evidence.misconduct}, in view {evidence.view}."
    return Kind.MISCONDUCT, f"{evidence.accused} is accused with proof: {evidence.misconduct}", text


def _say_registration(said: Registration) -> Said:
    active, revoked = len(said.active_keys()), len(said.keys) - len(said.active_keys())
    clusters = list_names([cluster.id for cluster in said.clusters], shown_max=NAMES_SHOWN_MAX)
    text = (
        f"Lab {said.lab} ({said.name}): {active} active keys, {revoked} revoked; clusters: {clusters or 'none named'}."
    )
    return Kind.REGISTRATION, f"{said.issuer} registers lab {said.lab}", text


def _say_inspectors(said: Inspectors) -> Said:
    names = list_names([each.id for each in said.active()], shown_max=NAMES_SHOWN_MAX)
    return Kind.INSPECTORS, f"{said.issuer} names its inspectors", f"Active from now on: {names or 'none'}."


def _say_proposal(said: Proposal) -> Said:
    return (
        Kind.PROPOSAL,
        f"{said.issuer} proposes: {say_change(said)}",
        f"Proposal {said.proposal}: {say_change(said)}.",
    )


def say_change(said: Proposal) -> str:
    """Say what is proposed."""
    change = said.change
    if isinstance(change, LiftPause):
        return f"lift pause {change.pause}"
    if isinstance(change, ExtendPause):
        return f"extend pause {change.pause} until interval {change.until}"
    return f"resolution “{change.text}”"


def _say_approval(said: Approval) -> Said:
    word = "yes" if said.approves else "no"
    return Kind.APPROVAL, f"{said.issuer} says {word} to proposal {said.proposal}", f"{said.issuer} voted {word}."


def _say_pause_proposal(said: PauseProposal) -> Said:
    terms = said.terms
    caps = list_names([f"{cap.quantity} {cap.maximum}" for cap in terms.scope], shown_max=NAMES_SHOWN_MAX)
    text = (
        f"Pause {said.pause}, “{terms.title}”: from interval {terms.first_interval} for {terms.interval_count}"
        f" intervals, if at least {terms.activation.nations_min} nations join before interval {terms.lapses};"
        f" at most: {caps}."
    )
    return Kind.PAUSE_PROPOSAL, f"{said.issuer} proposes pause {said.pause}", text


def _say_accession(said: PauseAccession) -> Said:
    joins = said.joins
    if joins is None:
        return Kind.PAUSE_ACCESSION, f"{said.issuer} takes back that it joins pause {said.pause}", "It does not join."
    conditions = [f"if {', '.join(joins.nations)} join"] if joins.nations else []
    conditions += [f"if {joins.nations_min} join"] if joins.nations_min else []
    text = f"It joins{' ' + ' and '.join(conditions) if conditions else ''}, until interval {joins.lapses} begins."
    return Kind.PAUSE_ACCESSION, f"{said.issuer} joins pause {said.pause}", text


def _say_pledge(said: LabPledge) -> Said:
    return Kind.LAB_PLEDGE, f"{said.issuer} pledges to keep to pause {said.pause}", "Whatever its nation does."


def _say_freeze(said: PauseFreeze) -> Said:
    runs = list_names([run.run for run in said.runs], shown_max=NAMES_SHOWN_MAX)
    return Kind.PAUSE_FREEZE, f"{said.issuer} froze {len(said.runs)} runs under pause {said.pause}", f"Runs: {runs}."


def _say_pause_event(said: PauseEvent) -> Said:
    nations = list_names(said.nations, shown_max=NAMES_SHOWN_MAX)
    until = "" if said.until is None else f" until interval {said.until}"
    text = f"From interval {said.interval}{until}; joined: {nations or 'nobody'}; pledges of labs: {said.pledge_count}."
    return Kind[f"PAUSE_{said.event.name}"], f"pause {said.pause}: {said.event}", text


def _say_run(said: TrainingRun) -> Said:
    clusters = list_names(said.clusters, shown_max=NAMES_SHOWN_MAX)
    text = f"{said.kind}, band {said.band}, cap {said.cap_band}, on {clusters}."
    return Kind.TRAINING_RUN, f"{said.issuer}: run {said.run} {said.state}", text


def _say_decision(said: RunDecision) -> Said:
    return Kind.RUN_DECISION, f"{said.issuer}: run {said.run} of {said.lab} {said.decision}", _quote(said.note)


def _say_review(said: ReleaseReview) -> Said:
    runs = list_names(said.runs, shown_max=NAMES_SHOWN_MAX)
    return Kind.RELEASE_REVIEW, f"{said.issuer} hands in model {said.model}", f"It comes of runs {runs}."


def _say_review_event(said: ReviewEvent) -> Said:
    return Kind.REVIEW_EVENT, f"review of model {said.model} of {said.lab}: {said.event}", _quote(said.note)


def _say_release(said: ReleaseNotice) -> Said:
    runs = list_names(said.runs, shown_max=NAMES_SHOWN_MAX)
    return Kind.RELEASE_NOTICE, f"{said.issuer} released model {said.model}", f"It comes of runs {runs}."


def _say_correction(said: Report) -> Said:
    reason = "" if said.corrects is None else said.corrects.reason
    return Kind.CORRECTION, f"{said.issuer} corrects its report for interval {said.interval}", _quote(reason)


def _say_transfer(said: Transfer) -> Said:
    other = said.counterparty or "somebody who is no lab here"
    way = f"to {other}" if said.direction == "out" else f"from {other}"
    what = "nothing moved" if said.shipment is None else f"accelerators moved {way}"
    return (
        Kind.TRANSFER,
        f"{said.issuer}: {what}",
        f"Transfer {said.transfer}, {said.reason}, interval {said.interval}.",
    )


def _say_incident(said: Incident) -> Said:
    where = list_names(said.clusters, shown_max=NAMES_SHOWN_MAX) or "all of it"
    text = f"Interval {said.interval}, {where}."
    return Kind.INCIDENT, f"{said.issuer} tells of an incident: {said.category}, {said.severity}", text


def _say_observation(said: Observation) -> Said:
    about = f"{said.about} {said.name}" if said.name else "the ledger"
    return Kind.OBSERVATION, f"{said.issuer} noticed of {about}: {said.category} ({said.confidence})", _quote(said.text)


def _say_enforcement(said: Enforcement) -> Said:
    return Kind.ENFORCEMENT, f"{said.issuer}: {said.measure} against {said.lab}", _quote(said.text)


def _say_challenge(said: Challenge) -> Said:
    title = f"{said.issuer} challenges {said.lab}: {said.cluster}, interval {said.interval}"
    return Kind.CHALLENGE, title, f"Challenge {said.challenge}. {_quote(said.grounds.text)}"


def _say_withdrawal(said: Withdrawal) -> Said:
    return Kind.WITHDRAWAL, f"{said.issuer} withdraws challenge {said.challenge}", _quote(said.reason)


def _say_response(said: Response) -> Said:
    return (
        Kind.RESPONSE,
        f"{said.issuer} answers challenge {said.challenge}: {said.outcome}",
        "To its inspectors alone.",
    )


def _say_finding(said: Finding) -> Said:
    kind = Kind.FINDING_INCONSISTENT if said.conclusion == "inconsistent" else Kind.FINDING
    grounds = f" Grounds: {', '.join(said.grounds)}." if said.grounds else ""
    level = f" Level {said.level}." if said.level else ""
    text = f"Inspector {said.inspector} of {said.issuer}.{grounds}{level}"
    return kind, f"challenge {said.challenge}: found {said.conclusion}", text


def _quote(text: str) -> str:
    return f"It says: “{text}”." if text else "It says nothing more."


# Any: each takes the predicate of its own kind.
_WORDS: Final[Mapping[type[msgspec.Struct], Callable[[Any], Said]]] = {
    MisconductReport: _say_misconduct,
    Registration: _say_registration,
    Inspectors: _say_inspectors,
    Proposal: _say_proposal,
    Approval: _say_approval,
    PauseProposal: _say_pause_proposal,
    PauseAccession: _say_accession,
    LabPledge: _say_pledge,
    PauseFreeze: _say_freeze,
    PauseEvent: _say_pause_event,
    TrainingRun: _say_run,
    RunDecision: _say_decision,
    ReleaseReview: _say_review,
    ReviewEvent: _say_review_event,
    ReleaseNotice: _say_release,
    Report: _say_correction,
    Transfer: _say_transfer,
    Incident: _say_incident,
    Observation: _say_observation,
    Enforcement: _say_enforcement,
    Challenge: _say_challenge,
    Withdrawal: _say_withdrawal,
    Response: _say_response,
    Finding: _say_finding,
}
