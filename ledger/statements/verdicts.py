"""Verdicts as entries: what the rules say of one lab, cluster and interval.

No party signs a verdict; the seal does (`ledger.statements.computed`).
Subject: `<lab>/<cluster>/<interval>`, with the leaf hash of the report judged, or zeros where there is none.
What makes a state is said by `ledger.rules`; a state is never shown without its assurance level.
"""

from collections.abc import Iterable
from enum import StrEnum
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from ledger.limits import INTERVAL_MAX, SIZE_MAX
from ledger.positions import Interval, Millis
from ledger.statements.computed import ComputedForm
from ledger.statements.intoto import Hex32, Identifier, Subject, make_subject, require_ascending

VERDICT: Final = "verdict"


class VerdictState(StrEnum):
    """The state of a lab's cluster in an interval."""

    PENDING = "pending"
    COMPLIANT = "compliant"
    LATE = "late"
    UNVERIFIABLE = "unverifiable"
    CONTESTED = "contested"
    MISSING = "missing"
    EXCEEDED = "exceeded"


STATES_BY_SEVERITY: Final = (
    VerdictState.COMPLIANT,
    VerdictState.PENDING,
    VerdictState.LATE,
    VerdictState.UNVERIFIABLE,
    VerdictState.CONTESTED,
    VerdictState.MISSING,
    VerdictState.EXCEEDED,
)
"""From best to worst. The worst that any reason calls for is the state."""


class Reason(StrEnum):
    """Why a state is not `compliant`. After the first seven: only on ledgers whose charter has an agreement."""

    NOT_FILED_BY_DUE = "NOT_FILED_BY_DUE"
    NOT_FILED_BY_GRACE = "NOT_FILED_BY_GRACE"
    FILED_AFTER_DUE = "FILED_AFTER_DUE"
    FILED_AFTER_GRACE = "FILED_AFTER_GRACE"
    ROW_MISSING = "ROW_MISSING"
    CORRECTED_AFTER_WINDOW = "CORRECTED_AFTER_WINDOW"
    LIMIT_EXCEEDED_BY_DECLARATION = "LIMIT_EXCEEDED_BY_DECLARATION"
    DISCLOSURE_DECLINED = "DISCLOSURE_DECLINED"
    SALTS_LOST = "SALTS_LOST"
    FOUND_INCONCLUSIVE = "FOUND_INCONCLUSIVE"
    RESPONSE_OVERDUE = "RESPONSE_OVERDUE"
    SAMPLE_UNANSWERED = "SAMPLE_UNANSWERED"
    CHALLENGE_OPEN = "CHALLENGE_OPEN"
    TRANSFER_DIFFERENCE = "TRANSFER_DIFFERENCE"
    INVENTORY_DIFFERENCE = "INVENTORY_DIFFERENCE"
    CHECK_FAILED = "CHECK_FAILED"
    RESPONSE_MISSING = "RESPONSE_MISSING"
    FOUND_INCONSISTENT = "FOUND_INCONSISTENT"
    RUN_UNDECLARED = "RUN_UNDECLARED"
    RUN_UNAPPROVED = "RUN_UNAPPROVED"
    RUN_OVER_CAP = "RUN_OVER_CAP"
    RUN_PROHIBITED = "RUN_PROHIBITED"
    FROZEN_RUN_GREW = "FROZEN_RUN_GREW"
    RELEASED_UNREVIEWED = "RELEASED_UNREVIEWED"
    PAUSE_LIMIT_EXCEEDED = "PAUSE_LIMIT_EXCEEDED"


REASONS_OF_FILINGS: Final = (
    Reason.CORRECTED_AFTER_WINDOW,
    Reason.FILED_AFTER_DUE,
    Reason.FILED_AFTER_GRACE,
    Reason.LIMIT_EXCEEDED_BY_DECLARATION,
    Reason.NOT_FILED_BY_DUE,
    Reason.NOT_FILED_BY_GRACE,
    Reason.ROW_MISSING,
)
"""Those that follow from what the lab itself filed, and when. Their places are bits in kept records."""

STATE_OF_REASON: Final = {
    Reason.NOT_FILED_BY_DUE: VerdictState.PENDING,
    Reason.NOT_FILED_BY_GRACE: VerdictState.MISSING,
    Reason.FILED_AFTER_DUE: VerdictState.LATE,
    Reason.FILED_AFTER_GRACE: VerdictState.LATE,
    Reason.ROW_MISSING: VerdictState.UNVERIFIABLE,
    Reason.CORRECTED_AFTER_WINDOW: VerdictState.CONTESTED,
    Reason.LIMIT_EXCEEDED_BY_DECLARATION: VerdictState.EXCEEDED,
    Reason.DISCLOSURE_DECLINED: VerdictState.UNVERIFIABLE,
    Reason.SALTS_LOST: VerdictState.UNVERIFIABLE,
    Reason.FOUND_INCONCLUSIVE: VerdictState.UNVERIFIABLE,
    Reason.RESPONSE_OVERDUE: VerdictState.UNVERIFIABLE,
    Reason.SAMPLE_UNANSWERED: VerdictState.UNVERIFIABLE,
    Reason.CHALLENGE_OPEN: VerdictState.CONTESTED,
    Reason.TRANSFER_DIFFERENCE: VerdictState.CONTESTED,
    Reason.INVENTORY_DIFFERENCE: VerdictState.CONTESTED,
    Reason.CHECK_FAILED: VerdictState.CONTESTED,
    Reason.RESPONSE_MISSING: VerdictState.MISSING,
    Reason.FOUND_INCONSISTENT: VerdictState.EXCEEDED,
    Reason.RUN_UNDECLARED: VerdictState.EXCEEDED,
    Reason.RUN_UNAPPROVED: VerdictState.EXCEEDED,
    Reason.RUN_OVER_CAP: VerdictState.EXCEEDED,
    Reason.RUN_PROHIBITED: VerdictState.EXCEEDED,
    Reason.FROZEN_RUN_GREW: VerdictState.EXCEEDED,
    Reason.RELEASED_UNREVIEWED: VerdictState.EXCEEDED,
    Reason.PAUSE_LIMIT_EXCEEDED: VerdictState.EXCEEDED,
}

Assurance = Literal["A0", "A1", "A2", "A3", "A4"]


class Verdict(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the rules say.

    Attributes:
        ledger: hex id of the ledger.
        lab: whose.
        nation: who registered it.
        cluster: where.
        interval: when.
        state: the worst state any reason calls for.
        reasons: every reason, sorted.
        assurance: how far the declaration was checked.
        report: hex leaf hash of the latest report or correction; zeros where there is none.
        time_ms: time of the block that opens with it.
        supersedes: hex leaf hash of the verdict entry it replaces; zeros for the first.
    """

    ledger: Hex32
    lab: Identifier
    nation: Identifier
    cluster: Identifier
    interval: Annotated[Interval, Meta(ge=0, le=INTERVAL_MAX)]
    state: VerdictState
    reasons: Annotated[tuple[Reason, ...], Meta(max_length=len(Reason))]
    assurance: Assurance
    report: Hex32
    time_ms: Annotated[Millis, Meta(ge=0, le=SIZE_MAX)]
    supersedes: Hex32


def compute_worst_state(reasons: Iterable[Reason]) -> VerdictState:
    """Give the state that these reasons call for; without any, `compliant`."""
    states = [STATE_OF_REASON[reason] for reason in reasons]
    return max(states, key=STATES_BY_SEVERITY.index, default=VerdictState.COMPLIANT)


def encode_verdict(verdict: Verdict) -> bytes:
    """Write the entry; the same value gives the same bytes everywhere."""
    return _FORM.encode(verdict)


def parse_verdict(entry: bytes) -> Verdict:
    """Read a verdict entry. That the rules called for it is for `ledger.rules` to say, by computing it again.

    Raises:
        FormatError: not a verdict in its one encoding, or its subject contradicts it.
    """
    verdict = _FORM.parse(entry)
    require_ascending(verdict.reasons, field="entry.predicate.reasons")
    return verdict


def _check(verdict: Verdict) -> Subject:
    return make_subject(f"{verdict.lab}/{verdict.cluster}/{verdict.interval}", verdict.report)


_FORM: Final = ComputedForm(VERDICT, Verdict, check=_check)
