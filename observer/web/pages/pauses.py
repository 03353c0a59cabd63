"""The page of pauses: from each proposal over who joined to how it stands."""

from ledger.charter import Charter
from ledger.positions import Interval
from ledger.rules.grid import compute_grid, compute_start_ms
from ledger.statements.intoto import parse_quantity
from ledger.statements.pauses import Cap as CapOfTerms
from observer.web.answers.pauses import Accession, Cap, Pause, PauseEvent, Pauses, Said
from observer.web.pages.overview import compute_interval_now
from observer.web.pages.proven import Shown, describe_head
from observer.web.parameters import Asked
from observer.web.register import ACTIVE_STEPS, PauseRecord, Spoken
from observer.web.view import View


def show_pauses(shown: Shown, asked: Asked) -> Pauses:
    """Make a page of pauses, the newest proposal first."""
    records = list(shown.view.register.pauses.values())
    offset = asked.number("offset")
    chosen = records[::-1][offset : offset + asked.number("limit")]
    return Pauses(
        head=describe_head(shown.copy.head.header),
        interval_now=compute_interval_now(shown.copy),
        pauses=[_describe(record, shown.view, shown.copy.charter) for record in chosen],
        pauses_count=len(records),
    )


def find_covered(record: PauseRecord) -> tuple[Interval, Interval] | None:
    """Give the first interval that a pause covers, and the first that it no longer does; None if it covers none."""
    starts = [event.interval for _, event in record.events if event.event in ACTIVE_STEPS]
    end = record.events[-1][1].until if record.events else None
    return (starts[0], end) if starts and end is not None else None


def _describe(record: PauseRecord, view: View, charter: Charter) -> Pause:
    grid, terms = compute_grid(charter.predicate.grid), record.proposal.terms
    covered = find_covered(record)
    last = record.events[-1][1] if record.events else None
    nations = () if last is None else last.nations
    phase = "proposed" if last is None else "activated" if record.is_active else last.event.value
    return Pause(
        id=record.proposal.pause,
        title=terms.title,
        proposer=record.proposal.issuer,
        index=record.index,
        proposed_ms=view.time_of_entry(record.index),
        terms=record.terms,
        scope=[_describe_cap(cap) for cap in terms.scope],
        first_interval=terms.first_interval,
        interval_count=terms.interval_count,
        lapses=terms.lapses,
        nations_min=terms.activation.nations_min,
        nations_required=list(terms.activation.nations),
        capacity_permille_min=terms.activation.capacity_permille_min,
        lift=terms.lift,
        phase=phase,  # type: ignore[arg-type]  # the steps that end a pause, by value
        start=None if covered is None else covered[0],
        end=None if covered is None else covered[1],
        start_ms=None if covered is None else compute_start_ms(grid, covered[0]),
        end_ms=None if covered is None else compute_start_ms(grid, covered[1]),
        nations=list(nations),
        accessions=[
            _describe_accession(spoken, view, is_bound=nation in nations)
            for nation, spoken in sorted(record.accessions.items())
        ],
        pledges=[_describe_spoken(spoken, view) for spoken in record.pledges],
        freezes=[_describe_spoken(spoken, view) for spoken in record.freezes],
        events=[
            PauseEvent(
                index=index,
                time_ms=event.time_ms,
                event=event.event.value,
                interval=event.interval,
                until=event.until,
                nations=list(event.nations),
                pledges_count=event.pledge_count,
                cause=event.cause,
            )
            for index, event in record.events
        ],
    )


def _describe_cap(cap: CapOfTerms) -> Cap:
    return Cap(quantity=cap.quantity, maximum=str(parse_quantity(cap.maximum, field="maximum")))


def _describe_accession(spoken: Spoken, view: View, *, is_bound: bool) -> Accession:
    joins = spoken.joins
    return Accession(
        nation=spoken.issuer,
        index=spoken.index,
        time_ms=view.time_of_entry(spoken.index),
        joins=joins is not None,
        nations=[] if joins is None else list(joins.nations),
        nations_min=0 if joins is None else joins.nations_min,
        lapses=None if joins is None else joins.lapses,
        is_bound=is_bound,
    )


def _describe_spoken(spoken: Spoken, view: View) -> Said:
    return Said(issuer=spoken.issuer, index=spoken.index, time_ms=view.time_of_entry(spoken.index))
