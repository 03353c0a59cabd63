"""Notices: incidents, observations, measures; of all three, only an outage changes what the rules do.

1. An incident is about an interval that has begun and in which a cluster of the lab counts, and so do all it names.
2. An incident of category `outage` in a block before the interval's due date moves it for this lab, once, by
   `outage_extension_s`; grace and correction window follow (`ledger.rules.verdicts.compute_lab_deadlines`). A second
   outage, and one that comes at due or later, is recorded and moves nothing.
3. At the moved due date, and at the end of the moved grace, the agenda has the interval looked at again: the deadlines
   of the grid passed over this lab. Outages of the network move both as they move the grid's.
4. An observation is about somebody or something that is registered, or about the ledger. It moves no verdict. An issuer
   makes at most `OBSERVATIONS_PER_YEAR_MAX` in a sliding year.
5. A measure is against a registered lab, by any nation: also by one that did not register it. It moves no verdict.
"""

from collections.abc import Sequence
from typing import Final, assert_never

from ledger.agreement import YEAR_S
from ledger.encoding import encode_u64
from ledger.errors import Code, Rejection, reject
from ledger.limits import OBSERVATIONS_PER_YEAR_MAX
from ledger.positions import Interval, Millis
from ledger.rules.agenda import schedule
from ledger.rules.entries import Context, Kind
from ledger.rules.grid import compute_end_ms
from ledger.rules.inventories import check_begun, check_clusters
from ledger.rules.records.agenda import Event
from ledger.rules.records.filings import make_filing_name
from ledger.rules.records.foundation import FOUNDATION, NATIONS
from ledger.rules.records.notices import EXTENSIONS, OBSERVED, Extension, Observed
from ledger.rules.records.registry import CLUSTERS, LABS
from ledger.rules.state import State
from ledger.rules.verdicts import compute_active, compute_lab_deadlines, look_again
from ledger.statements.notices import (
    ENFORCEMENT,
    INCIDENT,
    OBSERVATION,
    OUTAGE,
    Enforcement,
    Incident,
    Observation,
    parse_enforcement,
    parse_incident,
    parse_observation,
)

OUTAGE_DUE: Final = "outage-due"
"""Topic of the agenda: the moved due date of the lab's interval that the event's name names, as filings are named."""

OUTAGE_GRACE: Final = "outage-grace"
"""Topic of the agenda: the end of its moved grace."""

_FIELD: Final = "statement.predicate"
_TIME_BYTES: Final = 8


def apply_incident(state: State, context: Context, incident: Incident) -> Rejection | None:
    """Record an incident, and what an outage gives. Believes that the header was checked."""
    rejection = (
        check_begun(state, context, incident.interval)
        or check_clusters(state, incident.issuer, incident.interval, incident.clusters, field=f"{_FIELD}.clusters")
        or _check_counts(state, incident)
    )
    if rejection is not None:
        return rejection
    if incident.category == OUTAGE:
        _extend(state, context, incident)
    return None


def apply_observation(state: State, context: Context, observation: Observation) -> Rejection | None:
    """Record an observation. Believes that the header was checked."""
    rejection = _check_subject(state, observation)
    if rejection is not None:
        return rejection
    issuer = observation.issuer.encode()
    before = OBSERVED.get(state, issuer)
    year_ago_ms = context.time_ms - YEAR_S * 1000
    times_ms = b"" if before is None else before.times_ms
    while times_ms and int.from_bytes(times_ms[:_TIME_BYTES], "big") <= year_ago_ms:
        times_ms = times_ms[_TIME_BYTES:]
    if len(times_ms) >= OBSERVATIONS_PER_YEAR_MAX * _TIME_BYTES:
        return reject(
            Code.YEAR_QUOTA_EXCEEDED,
            field=f"{_FIELD}.issuer",
            found=f"{len(times_ms) // _TIME_BYTES} observations of {observation.issuer} within a year",
            expected=f"fewer than {OBSERVATIONS_PER_YEAR_MAX}",
        )
    OBSERVED.put(state, Observed(times_ms + encode_u64(context.time_ms)), issuer)
    return None


def apply_enforcement(state: State, context: Context, enforcement: Enforcement) -> Rejection | None:
    """Record a measure. Believes that the header was checked."""
    del context
    if LABS.get(state, enforcement.lab.encode()) is None:
        return reject(
            Code.UNKNOWN_SUBJECT, field=f"{_FIELD}.lab", found=enforcement.lab, expected="the id of a registered lab"
        )
    return None


def on_outage_due(state: State, event: Event) -> Sequence[bytes]:
    """Rule 3: the first verdict of the interval, and when the second is due."""
    number, interval = _read_name(event.name)
    deadlines = compute_lab_deadlines(state, number, interval)
    grace_ms = FOUNDATION.require(state).grid.grace_ms
    at_ms = Millis(deadlines.due_ms + grace_ms)
    schedule(state, at_ms=at_ms, topic=OUTAGE_GRACE, name=event.name, since_ms=deadlines.due_ms)
    look_again(state, lab=number, interval=interval)
    return ()


def on_outage_grace(state: State, event: Event) -> Sequence[bytes]:
    """Rule 3: what is still not filed."""
    number, interval = _read_name(event.name)
    look_again(state, lab=number, interval=interval)
    return ()


def _read_name(name: bytes) -> tuple[int, Interval]:
    """Lab number and interval, as `make_filing_name` joined them."""
    return int.from_bytes(name[:4], "big"), Interval(int.from_bytes(name[4:], "big"))


def _check_counts(state: State, incident: Incident) -> Rejection | None:
    """Rule 1."""
    if compute_active(LABS.require(state, incident.issuer.encode()), incident.interval):
        return None
    return reject(
        Code.INTERVAL_BEFORE_REGISTRATION,
        field=f"{_FIELD}.interval",
        found=incident.interval,
        expected="an interval in which a cluster of this lab counts",
    )


def _extend(state: State, context: Context, incident: Incident) -> None:
    """Rule 2."""
    agreement = state.charter.agreement
    assert agreement is not None
    extension_ms = agreement.incidents.outage_extension_s * 1000
    number = LABS.require(state, incident.issuer.encode()).number
    name = make_filing_name(number, incident.interval)
    is_in_time = context.time_ms < compute_lab_deadlines(state, number, incident.interval).due_ms
    if not extension_ms or not is_in_time or EXTENSIONS.get(state, name) is not None:
        return
    EXTENSIONS.put(state, Extension(extension_ms, context.index), name)
    grid = FOUNDATION.require(state).grid
    end_ms = compute_end_ms(grid, incident.interval)
    at_ms = Millis(end_ms + grid.submit_window_ms + extension_ms)
    schedule(state, at_ms=at_ms, topic=OUTAGE_DUE, name=name, since_ms=end_ms)


def _check_subject(state: State, observation: Observation) -> Rejection | None:
    """Rule 4: whom or what it is about is registered."""
    if observation.name is None:
        return None
    name = observation.name.encode()
    match observation.about:
        case "lab":
            is_known = LABS.get(state, name) is not None
        case "cluster":
            is_known = CLUSTERS.get(state, name) is not None
        case "nation":
            is_known = NATIONS.get(state, name) is not None
        case "ledger":
            raise AssertionError(observation.name)  # the form has no name there
        case _:
            assert_never(observation.about)
    if is_known:
        return None
    return reject(
        Code.UNKNOWN_SUBJECT,
        field=f"{_FIELD}.name",
        found=observation.name,
        expected=f"the id of a registered {observation.about}, or the nation where it is",
    )


INCIDENT_KIND: Final = Kind(
    name=INCIDENT, is_for_nations=False, signature_count=1, parse=parse_incident, apply=apply_incident
)
OBSERVATION_KIND: Final = Kind(
    name=OBSERVATION, is_for_nations=None, signature_count=1, parse=parse_observation, apply=apply_observation
)
ENFORCEMENT_KIND: Final = Kind(
    name=ENFORCEMENT, is_for_nations=True, signature_count=1, parse=parse_enforcement, apply=apply_enforcement
)
