"""Answers: verdicts of clusters by interval, and labs."""

from observer.web.answers.words import Answer, Assurance, Count, Decimal, Head, Hex, State


class Cell(Answer, frozen=True, kw_only=True):
    """The newest verdict on one cluster's interval.

    Attributes:
        state: what the rules say.
        assurance: with which level.
        index: of the verdict's entry.
    """

    state: State
    assurance: Assurance
    index: Count


class HeatmapRow(Answer, frozen=True, kw_only=True):
    """One cluster.

    Attributes:
        nation: id of the nation that registered the lab.
        lab: its id.
        cluster: its id.
        gflops: registered peak capacity, a decimal string of GFLOP/s; "0" where none was registered in public.
        cells: one for each interval from `first` to `last`, in order; null where nothing was said.
    """

    nation: str
    lab: str
    cluster: str
    gflops: Decimal
    cells: list[Cell | None]


class Heatmap(Answer, frozen=True, kw_only=True):
    """Verdicts by cluster and interval.

    Attributes:
        head: what it was read at.
        first: the first interval shown; null where no verdict was ever given.
        last: the last one.
        oldest: the oldest interval of any verdict; null where there is none.
        newest: the newest.
        starts_ms: when each interval from `first` to `last` begins, in order.
        interval_ms: how long each is.
        rows: by nation, lab and cluster, from `offset` on.
        rows_count: how many rows there are in all for what was asked.
        offset: how many were left out before these.
    """

    head: Head
    first: Count | None
    last: Count | None
    oldest: Count | None
    newest: Count | None
    starts_ms: list[Count]
    interval_ms: Count
    rows: list[HeatmapRow]
    rows_count: Count
    offset: Count


class VerdictLine(Answer, frozen=True, kw_only=True):
    """A verdict in full, read from its entry and compared with the sealed root.

    Attributes:
        index: of its entry.
        cluster: where.
        interval: when.
        state: what the rules say.
        assurance: how far the declaration was checked.
        reasons: why the state is not `compliant`: codes.
        report: leaf hash of the report that was judged; zeros where there is none.
        report_index: where that report stands; null where there is none.
        time_ms: of the block that opens with the verdict.
    """

    index: Count
    cluster: str
    interval: Count
    state: State
    assurance: Assurance
    reasons: list[str]
    report: Hex
    report_index: Count | None
    time_ms: Count


class Capacity(Answer, frozen=True, kw_only=True):
    """Accelerators of one model, as registered: `model` is an id of the charter's annex, or of none in it."""

    model: str
    count: Count


class Cluster(Answer, frozen=True, kw_only=True):
    """A cluster as it was registered.

    Attributes:
        id: of the cluster.
        facility: what people call the place.
        country: ISO 3166-1 alpha-2.
        capacity: null where the lab does not make it public.
        gflops: registered peak, a decimal string of GFLOP/s.
    """

    id: str
    facility: str
    country: str
    capacity: list[Capacity] | None
    gflops: Decimal


class Lab(Answer, frozen=True, kw_only=True):
    """One lab.

    Attributes:
        head: what it was read at.
        id: of the lab.
        name: what people call it.
        nation: id of who registered it.
        registration: index of the newest registration.
        keys: hex Ed25519 keys that may sign for it now.
        clusters: all that were ever registered, by id.
        gflops: of all of them, a decimal string of GFLOP/s.
        statements_count: how many it has signed.
        first: the first interval of `verdicts`; null where none was ever given.
        last: the last one.
        verdicts: the newest on each cluster from `first` to `last`, by cluster and interval.
        pauses: ids of the pauses it pledged to.
        caveat: what no verdict shows.
    """

    head: Head
    id: str
    name: str
    nation: str
    registration: Count
    keys: list[Hex]
    clusters: list[Cluster]
    gflops: Decimal
    statements_count: Count
    first: Count | None
    last: Count | None
    verdicts: list[VerdictLine]
    pauses: list[str]
    caveat: str
