"""Values of formats that came with charters that have an agreement: the agreement, its charter, and its records."""

from typing import get_args

from ledger.agreement import (
    Agreement,
    Challenges,
    Decisions,
    Incidents,
    Inspections,
    Inventories,
    Pauses,
    Reviews,
    Runs,
)
from ledger.charter import encode_charter_payload, parse_charter_payload
from ledger.positions import Interval, LeafIndex, Millis, Seconds
from ledger.rules.record import Record, Table, encode_record
from ledger.rules.records.agenda import AGENDA, AGENDA_SIZE, AgendaSize, Event
from ledger.rules.records.remarks import REMARKS, Assured, Remark, Remarks, Said
from ledger.rules.records.rounds import ROUNDS, TRIGGERS, Rounds, Trigger
from ledger.statements.intoto import encode_quantity
from ledger.statements.verdicts import (
    STATES_BY_SEVERITY,
    Assurance,
    Reason,
    Verdict,
    encode_verdict,
    parse_verdict,
)
from ledger.threshold.polynomials import compute_public_key
from tests.formats import entries
from tests.formats.draws import Draw


def _window(draw: Draw) -> Seconds:
    return Seconds(1 + draw.below(10**7))


def make_agreement(draw: Draw, *, interval_s: int, challenge_window_s: int) -> Agreement:
    declare = 1 + draw.below(10**9)
    approve = declare + draw.below(10**9)
    inspectors = draw.between(1, 9)
    return Agreement(
        runs=Runs(
            declare_pflop=encode_quantity(declare),
            approve_pflop=encode_quantity(approve),
            prohibit_pflop=encode_quantity(approve + draw.below(10**9)) if draw.flag() else None,
            post_training_declare_pflop=encode_quantity(draw.number()),
            approval_window_s=_window(draw),
            silence="approves" if draw.flag() else "refuses",
        ),
        reviews=Reviews(
            required_pflop=encode_quantity(draw.number()),
            window_s=_window(draw),
            extension_s=_window(draw),
            extensions_max=draw.below(9),
            is_binding=draw.flag(),
            silence="clears" if draw.flag() else "blocks",
        ),
        inventories=Inventories(pair_window_s=_window(draw)),
        challenges=Challenges(
            per_year_max=draw.below(99),
            response_window_s=_window(draw),
            missing_after_s=_window(draw),
            finding_window_s=_window(draw),
            inspectors_min=inspectors,
            nations_min=draw.between(1, inspectors),
        ),
        inspections=Inspections(
            round_s=Seconds(next(count for count in range(24, 0, -1) if interval_s % count == 0)),
            bad_permille=draw.between(1, 1000),
            confidence_permille=draw.between(1, 999),
            answer_window_s=_window(draw),
        ),
        pauses=Pauses(notice_s=_window(draw), lift="quorum" if draw.flag() else "all", duration_max_s=_window(draw)),
        decisions=Decisions(voting_window_s=_window(draw)),
        incidents=Incidents(outage_extension_s=_window(draw)),
        retention_s=Seconds(challenge_window_s + draw.below(10**6)),
    )


def charter(draw: Draw) -> bytes:
    """The payload of a charter with an agreement, for one founder."""
    grid, consensus, limits, accelerators = entries.terms(draw)
    identity = draw.signer()
    commitments = [compute_public_key(draw.scalar())]
    agreement = make_agreement(draw, interval_s=grid.interval_s, challenge_window_s=grid.challenge_window_s)
    payload = encode_charter_payload(
        origin=draw.key_name(),
        title=draw.text(),
        members=[entries.make_member(draw, 1, identity)],
        grid=grid,
        limits=limits,
        accelerators=accelerators,
        consensus=consensus,
        group_key=commitments[0],
        commitments=commitments,
        transcript=draw.hex32(),
        founded_at_ms=Millis(draw.below(2**40)),
        agreement=agreement,
    )
    assert getattr(parse_charter_payload(payload).predicate, "agreement", None) == agreement
    return payload


def verdict(draw: Draw) -> bytes:
    """A verdict with reasons that no filing gives by itself."""
    levels: tuple[Assurance, ...] = get_args(Assurance)
    made = Verdict(
        ledger=draw.hex32(),
        lab=draw.identifier(),
        nation=draw.identifier(),
        cluster=draw.identifier(),
        interval=Interval(draw.below(2**32)),
        state=draw.pick(STATES_BY_SEVERITY),
        reasons=tuple(reason for reason in sorted(Reason) if draw.flag()),
        assurance=draw.pick(levels),
        report=draw.hex32(),
        time_ms=Millis(draw.number()),
        supersedes=draw.hex32(),
    )
    raw = encode_verdict(made)
    assert parse_verdict(raw) == made
    return raw


def records(draw: Draw) -> bytes:
    """One record of each table that later rules share."""

    def written(table: Table[Record], record: Record) -> bytes:
        raw = encode_record(record)
        assert table.decode(raw) == record
        return table.letter + raw

    due = Millis(draw.number(2**50))
    reason = draw.pick(tuple(Reason)).value
    made: list[tuple[Table[Record], Record]] = [
        # A table of one kind of record stands for a table of records, as in `ledger.rules.tables`.
        (AGENDA, Event(Millis(due + draw.below(99)), draw.below(99), due, due, draw.identifier(), draw.digest())),  # type: ignore[list-item]
        (AGENDA_SIZE, AgendaSize(draw.below(99), draw.number(2**50))),  # type: ignore[list-item]
        (
            REMARKS,  # type: ignore[list-item]
            Remarks(
                draw.some(lambda: Remark(draw.identifier(), reason, LeafIndex(draw.number(2**50))), 0, 3),
                draw.some(lambda: Assured(draw.identifier(), "A3", draw.digest(), LeafIndex(draw.below(99))), 0, 3),
                draw.some(lambda: Said(draw.identifier(), (reason,), "A1"), 0, 3),
            ),
        ),
        (ROUNDS, Rounds(draw.number(2**50), draw.number(2**50), draw.number(2**50))),  # type: ignore[list-item]
        (TRIGGERS, Trigger(draw.number(2**50), draw.digest())),  # type: ignore[list-item]
    ]
    return b"".join(written(table, record) for table, record in made)
