"""From exports and a lab's folder to a signed statement in the vault; nothing here speaks to anybody.

1. Which interval: one that is over by this machine's clock (`require_over`), or the last such one.
2. Which clusters: those in the settings that are registered and may count in the interval (`draft_report`).
3. Where in the lab's chain of statements: `Place`, which `lab.filing.find_place` decides.
4. Signed, and into the vault with all that opens it (`sign_report`). Only then may it be sent.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Final, Literal

from lab.amounts import Energy
from lab.classification import UseMapping
from lab.collectors.slurm import GpuModels, parse_sacct
from lab.collectors.table import parse_table
from lab.enrolment import Enrolled, find_first_intervals
from lab.keys import SigningKey
from lab.pinned import PinnedLedger
from lab.promises import PauseLimit
from lab.records import Collected
from lab.reports import Cluster, Draft, build_report, compose_report, compute_terms
from lab.settings import Settings
from lab.stored import Progress, Stored, StoredReport
from lab.vault import Vault, draw_salt
from ledger.errors import Code, ConditionError, PolicyError, RejectedError, reject
from ledger.positions import Interval, Millis, Seconds
from ledger.positions import Sequence as SequenceNumber
from ledger.rules.grid import Grid, compute_end_ms
from ledger.statements.dsse import sign_envelope
from ledger.statements.intoto import Corrects

Format = Literal["slurm", "csv"]
DURATION_UNITS: Final = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))


@dataclass(frozen=True, slots=True)
class Place:
    """Where a statement stands in the lab's chain.

    Attributes:
        sequence: its number.
        previous: hex leaf hash of the one before; zeros for the first.
    """

    sequence: SequenceNumber
    previous: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """What a person decides about one report.

    Attributes:
        interval: which.
        reason: why it corrects the latest statement of that interval; None for a report.
        clusters: ids of the clusters to report; none for all that count.
        mapping: what jobs were.
        energy: meter readings by cluster id.
        promises: `respected` by limit id, where it cannot be computed.
        overrides: reason by name of a failed hard check.
    """

    interval: Interval
    reason: str | None = None
    clusters: tuple[str, ...] = ()
    mapping: UseMapping = field(default_factory=UseMapping)
    energy: Mapping[str, Energy] = field(default_factory=dict)
    promises: Mapping[str, bool] = field(default_factory=dict)
    overrides: Mapping[str, str] = field(default_factory=dict)


def find_last_over(grid: Grid, *, now_ms: Millis) -> Interval:
    """Give the last interval that is over.

    Raises:
        RejectedError: none is yet (`INTERVAL_NOT_OVER`).
    """
    last = (now_ms - grid.start_ms) // grid.interval_ms - 1
    require_over(grid, Interval(max(last, 0)), now_ms=now_ms)
    return Interval(last)


def require_over(grid: Grid, interval: Interval, *, now_ms: Millis) -> None:
    """Refuse to report what may still change.

    Raises:
        RejectedError: the interval is not over (`INTERVAL_NOT_OVER`); it says when it will be.
    """
    end_ms = compute_end_ms(grid, interval)
    if now_ms < end_ms:
        left = describe_duration((end_ms - now_ms + 999) // 1000)
        raise RejectedError(
            reject(
                Code.INTERVAL_NOT_OVER,
                field="interval",
                found=f"{interval}, which ends at {describe_time(end_ms)}, in {left}",
                expected="one that is over",
            )
        )


def describe_time(time_ms: int) -> str:
    """Write a time in UTC, to the second.

    >>> describe_time(1795447970000)
    '2026-11-23T15:32:50Z'
    """
    return datetime.fromtimestamp(time_ms // 1000, tz=UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def describe_duration(seconds: int) -> str:
    """Write a duration in its two largest units.

    >>> describe_duration(93_784), describe_duration(61), describe_duration(0)
    ('1 d 2 h', '1 min 1 s', '0 s')
    """
    parts = []
    for unit_s, name in DURATION_UNITS:
        count, seconds = divmod(seconds, unit_s)
        if count:
            parts.append(f"{count} {name}")
    return " ".join(parts[:2]) or "0 s"


def collect(exports: Sequence[bytes], *, form: Format, settings: Settings) -> Collected:
    """Read exports of the lab's accounting.

    Raises:
        FormatError: not of the form; the message names the job or the line.
    """
    if form == "csv":
        return parse_table(exports)
    slurm = settings.slurm
    return parse_sacct(exports, models=GpuModels(slurm.models, slurm.default_model or None))


def draft_report(
    vault: Vault,
    collected: Collected,
    choices: Choices,
    *,
    settings: Settings,
    ledger: PinnedLedger,
    enrolled: Sequence[Enrolled],
    pauses: tuple[PauseLimit, ...] = (),
) -> Draft:
    """Make the report of one interval; nothing is kept.

    Args:
        vault: of the lab.
        collected: what a collector brought.
        choices: of a person.
        settings: of the lab.
        ledger: pinned.
        enrolled: what the lab is registered with.
        pauses: that bind the lab in the interval (`lab.pauses.find_binding`).

    Raises:
        ConditionError: nothing to correct, a cluster that is not in the settings, a promise missing.
        PolicyError: the interval is reported already, or a hard check failed.
        RejectedError: no cluster of the lab counts in the interval.
    """
    charter = ledger.charter
    _require_open(vault, choices, ledger=charter.fingerprint)
    chosen, notes = _choose_clusters(choices, settings, find_first_intervals(ledger, enrolled))
    excluded = {
        name for cluster in settings.clusters if cluster.id not in chosen for name in cluster.reported().schedulers
    }
    jobs = tuple(job for job in collected.jobs if job.cluster not in excluded)
    if len(jobs) < len(collected.jobs):
        notes.append(f"{len(collected.jobs) - len(jobs)} jobs on clusters without a row were left out")
    draft = build_report(
        replace(collected, jobs=jobs),
        terms=compute_terms(charter, choices.interval, pauses),
        clusters=list(chosen.values()),
        mapping=choices.mapping,
        draw_salt=draw_salt,
        history=vault.read_history(charter.fingerprint, choices.interval),
        energy=choices.energy,
        promises=choices.promises,
        overrides=choices.overrides,
    )
    return replace(draft, notes=(*draft.notes, *notes))


def sign_report(
    vault: Vault,
    draft: Draft,
    place: Place,
    choices: Choices,
    *,
    ledger: PinnedLedger,
    lab: str,
    key: SigningKey,
    now_ms: Millis,
) -> StoredReport:
    """Sign a draft and keep it with all that opens it; durable when this returns.

    Raises:
        PolicyError: another statement has this sequence number or reports this interval: two stories are not told.
        ConditionError: nothing to correct, or the disk is full.
    """
    fingerprint = ledger.charter.fingerprint
    corrects = None
    if choices.reason is not None:
        corrects = Corrects(_find_corrected(vault, fingerprint, draft.interval).leaf, choices.reason)
    payload = compose_report(
        draft,
        ledger=fingerprint,
        lab=lab,
        sequence=place.sequence,
        previous=place.previous,
        issued_at=Seconds(now_ms // 1000),
        corrects=corrects,
    )
    return vault.add(draft, sign_envelope(payload, [(key.public_key, key.sign)]))


def find_sealed(vault: Vault, ledger: PinnedLedger, interval: Interval) -> StoredReport:
    """Give the latest sealed statement of an interval.

    Raises:
        ConditionError: there is none (`NOT_FOUND`).
    """
    found = None
    for stored in vault.read_all():
        of_interval = (stored.ledger, stored.interval) == (ledger.charter.fingerprint, interval)
        if of_interval and isinstance(stored, StoredReport):
            found = stored if stored.progress == Progress.SEALED else found
    if found is None:
        raise ConditionError(
            field="interval", found=interval, expected="one with a report in the vault", code=Code.NOT_FOUND
        )
    return found


def find_numbered(vault: Vault, ledger: PinnedLedger, number: SequenceNumber) -> Stored:
    """Give the sealed statement of a number, of whatever kind.

    Raises:
        ConditionError: there is none (`NOT_FOUND`).
    """
    for stored in vault.read_all():
        is_named = (stored.ledger, stored.sequence) == (ledger.charter.fingerprint, number)
        if is_named and stored.progress == Progress.SEALED:
            return stored
    raise ConditionError(
        field="number", found=number, expected="that of a sealed statement in the vault", code=Code.NOT_FOUND
    )


def _require_open(vault: Vault, choices: Choices, *, ledger: str) -> None:
    """One report for an interval; a correction for one that is reported."""
    if choices.reason is not None:
        _find_corrected(vault, ledger, choices.interval)
        return
    known = vault.find_latest(ledger, choices.interval)
    if known is not None:
        raise PolicyError(
            field="interval",
            found=f"{choices.interval}, whose {known.kind} is {known.progress}",
            expected="one without a report, or a correction",
            code=Code.INTERVAL_ALREADY_REPORTED,
        )


def _find_corrected(vault: Vault, ledger: str, interval: Interval) -> StoredReport:
    known = vault.find_latest(ledger, interval)
    if known is None:
        raise ConditionError(
            field="corrects",
            found=f"interval {interval}",
            expected="a report in the vault",
            code=Code.NOTHING_TO_CORRECT,
        )
    return known


def _choose_clusters(
    choices: Choices, settings: Settings, first_intervals: Mapping[str, Interval]
) -> tuple[dict[str, Cluster], list[str]]:
    """Give the clusters that get a row, and what a person should know about the others."""
    known = {cluster.id: cluster.reported() for cluster in settings.clusters}
    for cluster_id in choices.clusters:
        if cluster_id not in known:
            raise ConditionError(
                field="cluster", found=cluster_id, expected=f"one of {', '.join(known)} in lab.toml", code=Code.CONFIG
            )
    notes = [
        f"cluster {name} is registered but not in lab.toml: no row" for name in first_intervals if name not in known
    ]
    chosen: dict[str, Cluster] = {}
    for cluster_id, cluster in known.items():
        first = first_intervals.get(cluster_id)
        if choices.clusters and cluster_id not in choices.clusters:
            notes.append(f"cluster {cluster_id} was left out as asked: its row will be missing")
        elif first is None:
            notes.append(f"cluster {cluster_id} is not registered: no row; register it through the nation")
        elif choices.interval < first:
            notes.append(f"cluster {cluster_id} counts from interval {first} at the earliest: no row")
        else:
            chosen[cluster_id] = cluster
    if not chosen:
        raise RejectedError(
            reject(
                Code.INTERVAL_BEFORE_REGISTRATION,
                field="interval",
                found=choices.interval,
                expected=f"one in which a cluster of this lab counts; {'; '.join(notes) or 'none is in lab.toml'}",
            )
        )
    return chosen, notes
