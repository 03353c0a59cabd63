"""Jobs of an interval to a report: public rows, and what stays hidden with the lab.

Steps, in this order; nothing here signs, sends or writes a file:

1. keep the jobs that held resources in the interval, cut to it, with the use their mapping gives them (`Record`);
2. add up chip-seconds per model and use; operations are chip-seconds x peak x assumed utilisation, added up exactly in
   GFLOP and rounded up to PFLOP once, at the end;
3. say of each limit of the charter whether it was respected: computed where the quantity is one we know, promised by
   the lab otherwise;
4. run the cross-checks; a failed hard one stops here unless the lab overrides it by name and with a reason;
5. commit: a salted digest for each hidden field, decoys, and a root over the salted records.

What is "training" here: the uses in `TRAINING_USES` (pre- and post-training). `training_pflop`, the band and `runs`
cover both; a run's cumulative figure is per cluster, what that cluster spent on the run in all intervals so far.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from lab.amounts import Energy, add_up_records, compute_fields
from lab.classification import UseMapping, classify_job
from lab.crosschecks import EXPORT, examine_row, require_sane
from lab.promises import PauseLimit, decide_limits
from lab.records import Bounds, Collected, Job, Record, clip_job, encode_record, overlaps
from ledger.charter import Accelerator, Charter, Limit
from ledger.crosschecks.comparisons import Comparison, Place
from ledger.disclosure import RECORD_SALT_BYTES, commit_fields, commit_records
from ledger.errors import Code, PolicyError
from ledger.limits import SALT_BYTES_MIN
from ledger.positions import Interval, Seconds
from ledger.positions import Sequence as SequenceNumber
from ledger.statements.intoto import Corrects, parse_quantity
from ledger.statements.reports import (
    Evidence,
    HiddenFields,
    LimitRespected,
    Records,
    Report,
    Row,
    compute_band,
    encode_correction,
    encode_hidden_fields,
    encode_report,
)

DIGESTS_PER_ROW: Final = 12
"""Fields and decoys together: more fields one day will not show."""

DrawSalt = Callable[[int], bytes]
"""Gives that many fresh random bytes; `lab.vault.draw_salt` is the one for real reports."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """A registered cluster as the lab knows it.

    Attributes:
        id: its registered id.
        schedulers: what the accounting calls it, usually one name.
        chips: installed accelerators by model of the charter.
        capacity: chips by model as registered in public; None if the registration keeps them private.
    """

    id: str
    schedulers: tuple[str, ...]
    chips: Mapping[str, int]
    capacity: Mapping[str, int] | None = None


@dataclass(frozen=True, slots=True)
class History:
    """What earlier reports said; `lab.vault.Vault.read_history` brings it.

    Attributes:
        runs: PFLOP of each run on each cluster in all earlier intervals, by (cluster, run).
        before: hidden fields of each cluster one interval earlier.
    """

    runs: Mapping[tuple[str, str], int] = field(default_factory=dict)
    before: Mapping[str, HiddenFields] = field(default_factory=dict)

    def of_cluster(self, cluster: str) -> dict[str, int]:
        """PFLOP of each run on one cluster."""
        return {run: pflop for (where, run), pflop in self.runs.items() if where == cluster}


@dataclass(frozen=True, slots=True)
class Terms:
    """What the charter fixes for a report.

    Attributes:
        interval: which one.
        bounds: its times.
        accelerators: the annex, by model.
        limits: what every row promises to respect, in the charter's order.
        pauses: that bind the lab, which every row promises to respect too, in ascending order of ids.
    """

    interval: Interval
    bounds: Bounds
    accelerators: Mapping[str, Accelerator]
    limits: tuple[Limit, ...]
    pauses: tuple[PauseLimit, ...] = ()


@dataclass(frozen=True, slots=True)
class DraftRow:
    """A row and all that opens it.

    Attributes:
        row: the public part.
        hidden: the fields behind its digests.
        disclosures: encoded disclosure of each field, by name.
        records: bytes of each record, in the order of the tree.
        record_salts: 16 bytes for each.
    """

    row: Row
    hidden: HiddenFields
    disclosures: Mapping[str, str]
    records: tuple[bytes, ...]
    record_salts: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Draft:
    """A report ready to be signed, once the vault has it.

    Attributes:
        interval: what it is about.
        rows: in order of cluster id.
        findings: cross-checks that are unusual, or that failed and were overridden.
        notes: other things a person should read.
        overrides: reason by check, as the lab gave them.
        shift_s: not 0 only for a replay (`lab.records.shift_collected`).
    """

    interval: Interval
    rows: tuple[DraftRow, ...]
    findings: tuple[Comparison, ...]
    notes: tuple[str, ...]
    overrides: Mapping[str, str]
    shift_s: int


def compute_terms(charter: Charter, interval: Interval, pauses: tuple[PauseLimit, ...] = ()) -> Terms:
    """Take from the charter, and the pauses that bind the lab, what a report about an interval needs."""
    start = Seconds(charter.grid.start + interval * charter.grid.interval_s)
    return Terms(
        interval=interval,
        bounds=Bounds(start, Seconds(start + charter.grid.interval_s)),
        accelerators={line.model: line for line in charter.accelerators},
        limits=charter.limits,
        pauses=pauses,
    )


def build_report(
    collected: Collected,
    *,
    terms: Terms,
    clusters: Sequence[Cluster],
    mapping: UseMapping,
    draw_salt: DrawSalt,
    history: History | None = None,
    energy: Mapping[str, Energy] | None = None,
    evidence: Mapping[str, tuple[Evidence, ...]] | None = None,
    promises: Mapping[str, bool] | None = None,
    overrides: Mapping[str, str] | None = None,
) -> Draft:
    """Make the report of one interval.

    Args:
        collected: what a collector brought.
        terms: of the charter, for the interval.
        clusters: every cluster active in the interval; each gets a row, also if nothing ran.
        mapping: what jobs were.
        draw_salt: source of fresh salts.
        history: what earlier reports said, for cumulative figures and comparisons.
        energy: meter readings by cluster id; a cluster without is estimated, which is noted.
        evidence: by cluster id.
        promises: `respected` by limit id, for limits whose quantity is not one of `KNOWN_QUANTITIES`.
        overrides: reason by name of a hard check that may fail.

    Raises:
        PolicyError: a hard check failed, a job is on a cluster or a model nobody knows.
        ConditionError: a limit needs a promise.
    """
    history = history or History()
    records, notes, findings = _select_records(collected, terms.bounds, clusters, mapping)
    ordered = sorted(clusters, key=lambda cluster: cluster.id)
    hidden: dict[str, HiddenFields] = {}
    for cluster in ordered:
        measured = (energy or {}).get(cluster.id)
        hidden[cluster.id], failed = _compute_row(cluster, records[cluster.id], terms, history, measured)
        findings += failed
    decided = decide_limits(
        hidden, limits=terms.limits, pauses=terms.pauses, runs_before=history.runs, promises=promises or {}
    )
    findings += decided.findings
    require_sane(findings, overrides or {})
    rows = tuple(
        _commit_row(
            cluster.id,
            hidden[cluster.id],
            records[cluster.id],
            respected=decided.respected[cluster.id],
            evidence=(evidence or {}).get(cluster.id, ()),
            draw_salt=draw_salt,
        )
        for cluster in ordered
    )
    return Draft(terms.interval, rows, tuple(findings), tuple(notes), dict(overrides or {}), collected.shift_s)


def compose_report(
    draft: Draft,
    *,
    ledger: str,
    lab: str,
    sequence: SequenceNumber,
    previous: str,
    issued_at: Seconds,
    corrects: Corrects | None = None,
) -> bytes:
    """Write the payload to sign: a report, or with `corrects` a correction.

    Args:
        draft: the rows.
        ledger: hex id of the ledger.
        lab: the issuer.
        sequence: the lab's next sequence number.
        previous: hex leaf hash of its last entry.
        issued_at: what its clock says; information only.
        corrects: which entry it corrects, and why.
    """
    report = Report(
        ledger=ledger,
        issuer=lab,
        sequence=sequence,
        previous=previous,
        issued_at=issued_at,
        corrects=corrects,
        interval=draft.interval,
        rows=tuple(line.row for line in draft.rows),
    )
    return encode_report(report) if corrects is None else encode_correction(report)


class _Selected(NamedTuple):
    records: dict[str, list[Record]]
    notes: list[str]
    findings: list[Comparison]


def _select_records(
    collected: Collected, bounds: Bounds, clusters: Sequence[Cluster], mapping: UseMapping
) -> _Selected:
    """Give each cluster its records of the interval, in order of start and job, and say what is odd about them."""
    ids = {name: cluster.id for cluster in clusters for name in cluster.schedulers}
    selected = _Selected({cluster.id: [] for cluster in clusters}, list(collected.notes), [])
    unmatched = 0
    for job in collected.jobs:
        if not overlaps(job, bounds):
            continue
        cluster = ids.get(job.cluster)
        if cluster is None:
            raise PolicyError(
                field=f"job {job.job}.cluster",
                found=job.cluster,
                expected=f"a cluster in the lab's configuration: {', '.join(sorted(ids))}",
                code=Code.UNKNOWN_CLUSTER,
            )
        kind = classify_job(job, mapping)
        unmatched += kind.is_default and bool(job.gpus)
        _examine_end(job, bounds, cluster, selected)
        selected.records[cluster].append(
            clip_job(job, bounds, use=kind.use, run=kind.run, utilisation_permille=kind.utilisation_permille)
        )
    for kept in selected.records.values():
        kept.sort(key=lambda record: (record.start, record.cluster, record.job, record.attempt))
    if unmatched:
        selected.notes.append(
            f"{unmatched} jobs with GPUs matched no rule of the mapping and count as {mapping.default.use}"
        )
    return selected


def _examine_end(job: Job, bounds: Bounds, cluster: str, selected: _Selected) -> None:
    """An export can only speak of the time before it was made; a job without end shows when that was."""
    if job.end is not None or job.seen_until is None or job.seen_until >= bounds.end:
        return
    if job.seen_until <= bounds.start:
        expected = "an export made after the interval's end; this one was made before the interval began"
        found = f"last seen at {job.seen_until}"
        selected.findings.append(Place(EXPORT, cluster).compare(f"job {job.job}", found, expected, holds=False))
    else:
        selected.notes.append(
            f"job {job.job} still ran when the export was made at {job.seen_until}, before the interval's end, and is "
            "counted to the end; export again after the interval"
        )


def _compute_row(
    cluster: Cluster, records: Sequence[Record], terms: Terms, history: History, measured: Energy | None
) -> tuple[HiddenFields, tuple[Comparison, ...]]:
    """Compute the fields of a row, and which checks they fail."""
    totals = add_up_records(records, terms.accelerators)
    runs_before = history.of_cluster(cluster.id)
    hidden = compute_fields(
        totals,
        chips=cluster.chips,
        length_s=terms.bounds.length_s,
        accelerators=terms.accelerators,
        runs_before=runs_before,
        energy=measured,
    )
    findings = examine_row(
        cluster.id,
        hidden,
        totals,
        interval_s=terms.bounds.length_s,
        accelerators=terms.accelerators,
        installed=cluster.chips,
        capacity=cluster.capacity,
        runs_before=runs_before,
        before=history.before.get(cluster.id),
        is_energy_measured=measured is not None,
    )
    return hidden, findings


def _commit_row(
    cluster: str,
    hidden: HiddenFields,
    records: Sequence[Record],
    *,
    respected: tuple[LimitRespected, ...],
    evidence: tuple[Evidence, ...],
    draw_salt: DrawSalt,
) -> DraftRow:
    """Hide the fields behind salted digests and the records under a root."""
    values = encode_hidden_fields(hidden)
    salts = [draw_salt(SALT_BYTES_MIN) for _ in values]
    decoys = [draw_salt(SALT_BYTES_MIN) for _ in range(DIGESTS_PER_ROW - len(values))]
    fields = commit_fields(values, salts=salts, decoys=decoys)
    encoded = tuple(encode_record(record) for record in records)
    record_salts = tuple(draw_salt(RECORD_SALT_BYTES) for _ in encoded)
    root = commit_records(encoded, record_salts)
    row = Row(
        cluster=cluster,
        digests=fields.digests,
        limits_respected=respected,
        band=compute_band(_read(hidden.training_pflop)),
        records=Records(root.root.hex(), root.count),
        evidence=evidence,
    )
    return DraftRow(row, hidden, dict(fields.disclosures), encoded, record_salts)


def _read(quantity: int | str) -> int:
    return parse_quantity(quantity, field="hidden")
