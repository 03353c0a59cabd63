"""Every kind of alarm: its name, how bad it is, and what it says; the table in the documentation is made from this.

A kind has one severity for good, so that a filter by severity means the same tomorrow. Names are stable: receivers
route by them. Where alarms of a kind come from is said by their group.
"""

from enum import IntEnum, StrEnum
from typing import Final, Self


class Severity(IntEnum):
    """How soon a person should look; ordered."""

    INFO = 0
    NOTICE = 1
    WARNING = 2
    CRITICAL = 3

    @property
    def word(self) -> str:
        """As it is written everywhere."""
        return self.name.lower()


SEVERITIES: Final = {severity.word: severity for severity in Severity}


class Group(StrEnum):
    """Where alarms come from, and with it how often the same matter can make one.

    Attributes:
        ENTRY: an entry of the sealed ledger: once.
        EVIDENCE: a proof that this observer holds: once.
        DEADLINE: something open, and its time runs out: once for each time at which it ends.
        CONDITION: something that lasts: once when it began, once when it is over.
        ACCOUNT: what this monitor did or did not do itself: once.
    """

    ENTRY = "entry"
    EVIDENCE = "evidence"
    DEADLINE = "deadline"
    CONDITION = "condition"
    ACCOUNT = "account"


class Kind(StrEnum):
    """Every kind of alarm."""

    group: Group
    severity: Severity
    meaning: str

    def __new__(cls, value: str, group: Group, severity: Severity, meaning: str) -> Self:
        """Attach where it comes from, how bad it is, and the line that the documentation prints."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.group, member.severity, member.meaning = group, severity, meaning
        return member

    # What was proven of a quorum or of a member.
    FORK_PROVEN = (
        "fork-proven",
        Group.EVIDENCE,
        Severity.CRITICAL,
        "a quorum signed two histories; the proof is a file",
    )
    FORK_DECIDED = "fork-decided", Group.EVIDENCE, Severity.NOTICE, "somebody here decided how to go on after a fork"
    MEMBER_WENT_BACK = (
        "member-went-back",
        Group.EVIDENCE,
        Severity.CRITICAL,
        "a member signed an older tree as its newest; the proof is a file",
    )
    # What the rules said of labs.
    VERDICT_PENDING = "verdict-pending", Group.ENTRY, Severity.NOTICE, "a report is overdue, and grace still runs"
    VERDICT_LATE = "verdict-late", Group.ENTRY, Severity.NOTICE, "a report came late"
    VERDICT_MISSING = (
        "verdict-missing",
        Group.ENTRY,
        Severity.WARNING,
        "a report, or an answer to a challenge, is missing",
    )
    VERDICT_UNVERIFIABLE = (
        "verdict-unverifiable",
        Group.ENTRY,
        Severity.WARNING,
        "a cluster's interval cannot be verified",
    )
    VERDICT_CONTESTED = "verdict-contested", Group.ENTRY, Severity.WARNING, "a cluster's interval is contested"
    VERDICT_EXCEEDED = "verdict-exceeded", Group.ENTRY, Severity.CRITICAL, "a limit was exceeded"
    VERDICT_COMPLIANT = "verdict-compliant", Group.ENTRY, Severity.INFO, "a worse verdict was superseded by compliant"
    # Members and rules.
    MISCONDUCT = "misconduct", Group.ENTRY, Severity.CRITICAL, "a member signed what no honest member signs"
    REGISTRATION = "registration", Group.ENTRY, Severity.NOTICE, "a lab, its keys or its clusters were registered"
    INSPECTORS = "inspectors", Group.ENTRY, Severity.INFO, "a nation named its inspectors"
    PROPOSAL = "proposal", Group.ENTRY, Severity.NOTICE, "a nation asks the committee to decide"
    APPROVAL = "approval", Group.ENTRY, Severity.INFO, "a nation voted"
    PROPOSAL_CARRIED = "proposal-carried", Group.ENTRY, Severity.WARNING, "enough nations voted yes: it is decided"
    # Pauses.
    PAUSE_PROPOSAL = "pause-proposal", Group.ENTRY, Severity.NOTICE, "a nation proposed a pause"
    PAUSE_ACCESSION = "pause-accession", Group.ENTRY, Severity.INFO, "a nation joins a pause, or takes that back"
    LAB_PLEDGE = "lab-pledge", Group.ENTRY, Severity.INFO, "a lab pledged to keep to a pause"
    PAUSE_FREEZE = "pause-freeze", Group.ENTRY, Severity.INFO, "a lab said which runs it froze"
    PAUSE_ACTIVATED = "pause-activated", Group.ENTRY, Severity.WARNING, "a pause was activated"
    PAUSE_JOINED = "pause-joined", Group.ENTRY, Severity.NOTICE, "more nations are bound by a pause"
    PAUSE_EXTENDED = "pause-extended", Group.ENTRY, Severity.WARNING, "a pause lasts longer"
    PAUSE_LIFTED = "pause-lifted", Group.ENTRY, Severity.WARNING, "a pause was lifted before its time"
    PAUSE_EXPIRED = "pause-expired", Group.ENTRY, Severity.WARNING, "a pause came to its end"
    PAUSE_LAPSED = "pause-lapsed", Group.ENTRY, Severity.NOTICE, "a pause lapsed before it was activated"
    # Runs, releases, notices, inspections.
    TRAINING_RUN = "training-run", Group.ENTRY, Severity.INFO, "a lab told of a training run"
    RUN_DECISION = "run-decision", Group.ENTRY, Severity.NOTICE, "a nation approved or refused a run"
    RELEASE_REVIEW = "release-review", Group.ENTRY, Severity.NOTICE, "a lab handed a model in for review"
    REVIEW_EVENT = "review-event", Group.ENTRY, Severity.INFO, "a step of a review"
    RELEASE_NOTICE = "release-notice", Group.ENTRY, Severity.NOTICE, "a lab released a model"
    CORRECTION = "correction", Group.ENTRY, Severity.INFO, "a lab corrected a report"
    TRANSFER = "transfer", Group.ENTRY, Severity.INFO, "a lab told of accelerators that move"
    INCIDENT = "incident", Group.ENTRY, Severity.WARNING, "a lab told of an incident"
    OBSERVATION = "observation", Group.ENTRY, Severity.NOTICE, "a nation or a lab noticed something of another"
    ENFORCEMENT = "enforcement", Group.ENTRY, Severity.WARNING, "a nation took a measure against a lab, or lifted one"
    CHALLENGE = "challenge", Group.ENTRY, Severity.WARNING, "a nation challenged a lab's declaration"
    WITHDRAWAL = "withdrawal", Group.ENTRY, Severity.NOTICE, "a challenge was withdrawn"
    RESPONSE = "response", Group.ENTRY, Severity.NOTICE, "a lab answered a challenge"
    FINDING = "finding", Group.ENTRY, Severity.NOTICE, "an inspector found something consistent, or not enough"
    FINDING_INCONSISTENT = (
        "finding-inconsistent",
        Group.ENTRY,
        Severity.CRITICAL,
        "an inspector found a declaration inconsistent",
    )
    # Entries that should not be there.
    ENTRY_MALFORMED = (
        "entry-malformed",
        Group.ENTRY,
        Severity.CRITICAL,
        "a sealed entry is not of its kind's form: a quorum sealed what the rules refuse; audit the copy",
    )
    ENTRY_UNKNOWN = (
        "entry-unknown",
        Group.ENTRY,
        Severity.WARNING,
        "a sealed entry of a kind that this release does not know: update it, then audit the copy",
    )
    # Deadlines.
    REPORT_DUE = "report-due", Group.DEADLINE, Severity.INFO, "a lab has not reported, and its report falls due"
    RUN_DECISION_DUE = (
        "run-decision-due",
        Group.DEADLINE,
        Severity.NOTICE,
        "a nation has not decided about a declared run, and silence will",
    )
    REVIEW_DUE = (
        "review-due",
        Group.DEADLINE,
        Severity.NOTICE,
        "the clock of a review runs out, and silence will decide",
    )
    VOTE_DUE = "vote-due", Group.DEADLINE, Severity.NOTICE, "a proposal lapses if it is not carried"
    RESPONSE_DUE = "response-due", Group.DEADLINE, Severity.WARNING, "a lab has not answered a challenge"
    FINDING_DUE = "finding-due", Group.DEADLINE, Severity.NOTICE, "a challenge lapses if inspectors do not agree"
    SAMPLE_DUE = "sample-due", Group.DEADLINE, Severity.INFO, "a lab has not opened what a sample drew"
    PAUSE_BEGINS = "pause-begins", Group.DEADLINE, Severity.NOTICE, "an activated pause begins to bind"
    PAUSE_ENDS = "pause-ends", Group.DEADLINE, Severity.WARNING, "a pause comes to its end"
    PAUSE_LAPSES = "pause-lapses", Group.DEADLINE, Severity.NOTICE, "a pause lapses if it is not activated"
    # What lasts.
    NETWORK_BLIND = "network-blind", Group.CONDITION, Severity.CRITICAL, "nobody can tell how the network stands"
    NETWORK_BREACHED = "network-breached", Group.CONDITION, Severity.CRITICAL, "a newest verdict is exceeded"
    NETWORK_STRAINED = (
        "network-strained",
        Group.CONDITION,
        Severity.WARNING,
        "a newest verdict is late, unverifiable, contested or missing",
    )
    HEAD_OLD = "head-old", Group.CONDITION, Severity.WARNING, "the newest sealed block is old"
    NATION_BEHIND = "nation-behind", Group.CONDITION, Severity.WARNING, "a nation has not cosigned for long"
    SOURCE_UNREACHABLE = "source-unreachable", Group.CONDITION, Severity.WARNING, "a source does not answer"
    SOURCE_BEHIND = "source-behind", Group.CONDITION, Severity.WARNING, "a source is behind, or shows less than before"
    SOURCE_WRONG = (
        "source-wrong",
        Group.CONDITION,
        Severity.CRITICAL,
        "what a source serves is no sealed part of this ledger, or contradicts it",
    )
    OUTLET_FAILING = "outlet-failing", Group.CONDITION, Severity.WARNING, "an outlet of this monitor takes no alarms"
    ALARMS_LEFT_OFF = (
        "alarms-left-off",
        Group.ACCOUNT,
        Severity.WARNING,
        "an outlet works again, and was never given some alarms; `counterseal observe alarms` lists them all",
    )
    WATCH_FAILING = (
        "watch-failing",
        Group.CONDITION,
        Severity.CRITICAL,
        "this monitor cannot look: its disk, its copy or its journal is not as it must be",
    )


KINDS: Final = {kind.value: kind for kind in Kind}
