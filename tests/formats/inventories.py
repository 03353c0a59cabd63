"""Formats of what labs say of their accelerators, and of what parties tell everybody."""

import json
from collections.abc import Mapping
from typing import get_args

from ledger.disclosure import JsonValue, compute_decoy, compute_digest
from ledger.encoding import encode_u64
from ledger.limits import INTERVAL_MAX
from ledger.positions import Interval, LeafIndex
from ledger.rules.records.filings import make_filing_name
from ledger.rules.records.inventories import (
    DIFFERENCES,
    INVENTORIES,
    OPENED_COUNTS,
    TRANSFERS,
    ClusterDifferences,
    ClusterInventories,
    ClusterInventory,
    Differences,
    OpenedCount,
    OpenTransfer,
    Side,
    make_transfer_name,
)
from ledger.rules.records.notices import EXTENSIONS, OBSERVED, Extension, Observed
from ledger.rules.state import State
from ledger.rules.tables import TABLES
from ledger.statements.intoto import Corrects
from ledger.statements.inventories import (
    EMPTY_CHIPS_ROOT,
    Chips,
    Direction,
    HiddenInventory,
    HiddenTransfer,
    Inventory,
    InventoryRow,
    Method,
    SharedTerms,
    Shipment,
    Transfer,
    TransferReason,
    encode_hidden_inventory,
    encode_hidden_transfer,
    encode_inventory,
    encode_terms,
    encode_transfer,
    parse_inventory,
    parse_terms,
    parse_transfer,
)
from ledger.statements.notices import (
    About,
    Confidence,
    Enforcement,
    HiddenIncident,
    Incident,
    IncidentCategory,
    Measure,
    Observation,
    ObservationCategory,
    Severity,
    encode_enforcement,
    encode_hidden_incident,
    encode_incident,
    encode_observation,
    parse_enforcement,
    parse_incident,
    parse_observation,
)
from tests.formats.draws import Draw
from tests.formats.entries import distinct, header, quantity


def digests(draw: Draw) -> tuple[str, ...]:
    """Salted digests in ascending order."""
    return tuple(sorted(dict.fromkeys(compute_decoy(draw.digest()) for _ in range(draw.below(5)))))


def interval(draw: Draw, most: int = INTERVAL_MAX) -> Interval:
    return Interval(draw.number(most))


def inventory(draw: Draw) -> bytes:
    methods: tuple[Method, ...] = get_args(Method)
    rows = [
        InventoryRow(
            cluster=cluster,
            digests=digests(draw),
            chips=Chips(EMPTY_CHIPS_ROOT, 0) if draw.flag() else Chips(draw.hex32(), 1 + draw.number(2**53 - 1)),
            method=draw.pick(methods),
        )
        for cluster in distinct(draw, 1, 3)
    ]
    made = Inventory(**header(draw), interval=interval(draw), rows=tuple(rows))  # type: ignore[arg-type]  # each of its own type
    raw = encode_inventory(made)
    assert parse_inventory(raw).predicate == made
    return raw


def transfer(draw: Draw) -> bytes:
    directions: tuple[Direction, ...] = get_args(Direction)
    reasons: tuple[TransferReason, ...] = get_args(TransferReason)
    counterparty = draw.identifier() if draw.below(4) else None
    corrects = Corrects(draw.hex32(), draw.text()) if draw.flag() else None
    is_something = corrects is None or draw.flag()
    match = compute_decoy(draw.digest()) if counterparty is not None else None
    made = Transfer(
        **(header(draw) | {"corrects": corrects}),  # type: ignore[arg-type]  # each of its own type
        transfer=draw.identifier(),
        direction=draw.pick(directions),
        counterparty=counterparty,
        reason=draw.pick(reasons),
        interval=interval(draw),
        clusters=tuple(distinct(draw, 0, 3)),
        shipment=Shipment(digests=digests(draw), chips_root=draw.hex32(), match=match) if is_something else None,
    )
    raw = encode_transfer(made)
    assert parse_transfer(raw).predicate == made
    return raw


def terms(draw: Draw) -> bytes:
    """Shared terms as both sides write them, and the `match` that follows."""
    made = SharedTerms(
        transfer=draw.identifier(),
        sender=draw.identifier(),
        receiver=draw.identifier(),
        chips_root=draw.hex32(),
        model=draw.identifier(),
        count=quantity(draw),
    )
    text = encode_terms(made, salt=draw.some_raw(16, 32))
    assert parse_terms(text) == made
    return f"{text}\n{compute_digest(text)}\n".encode()


def _write(values: Mapping[str, JsonValue]) -> bytes:
    return json.dumps(values, ensure_ascii=False, separators=(",", ":")).encode()


def hidden_inventory(draw: Draw) -> bytes:
    """The values of the hidden fields as JSON, in their order; so the next two."""
    counts = {model: quantity(draw) for model in distinct(draw, 0, 3)}
    return _write(encode_hidden_inventory(HiddenInventory(chip_counts=counts)))


def hidden_transfer(draw: Draw) -> bytes:
    return _write(encode_hidden_transfer(HiddenTransfer(model=draw.identifier(), count=quantity(draw))))


def hidden_incident(draw: Draw) -> bytes:
    return _write(encode_hidden_incident(HiddenIncident(cause=draw.text(0), chips_affected=quantity(draw))))


def incident(draw: Draw) -> bytes:
    categories: tuple[IncidentCategory, ...] = get_args(IncidentCategory)
    severities: tuple[Severity, ...] = get_args(Severity)
    made = Incident(
        **header(draw),  # type: ignore[arg-type]  # each of its own type
        category=draw.pick(categories),
        severity=draw.pick(severities),
        interval=interval(draw),
        clusters=tuple(distinct(draw, 0, 3)),
        digests=digests(draw),
        text_sha256=draw.hex32(),
    )
    raw = encode_incident(made)
    assert parse_incident(raw).predicate == made
    return raw


def observation(draw: Draw) -> bytes:
    abouts: tuple[About, ...] = get_args(About)
    categories: tuple[ObservationCategory, ...] = get_args(ObservationCategory)
    levels: tuple[Confidence, ...] = get_args(Confidence)
    about = draw.pick(abouts)
    made = Observation(
        **header(draw),  # type: ignore[arg-type]  # each of its own type
        about=about,
        name=None if about == "ledger" else draw.identifier(),
        category=draw.pick(categories),
        confidence=draw.pick(levels),
        digest=draw.hex32(),
        text=draw.text(0),
    )
    raw = encode_observation(made)
    assert parse_observation(raw).predicate == made
    return raw


def enforcement(draw: Draw) -> bytes:
    measures: tuple[Measure, ...] = get_args(Measure)
    measure, begins = draw.pick(measures), interval(draw, INTERVAL_MAX - 1_000)
    has_end = measure != "lifted" and draw.flag()
    made = Enforcement(
        **header(draw),  # type: ignore[arg-type]  # each of its own type
        lab=draw.identifier(),
        measure=measure,
        interval=begins,
        until=Interval(begins + draw.between(1, 1_000)) if has_end else None,
        text=draw.text(0),
    )
    raw = encode_enforcement(made)
    assert parse_enforcement(raw).predicate == made
    return raw


def _side(draw: Draw) -> Side | None:
    terms = draw.digest() + compute_decoy(draw.digest()).encode("ascii")
    if draw.below(4) == 0:
        return None
    return Side(draw.digest(), terms if draw.flag() else b"", tuple(distinct(draw, 0, 3)))


def records(draw: Draw) -> bytes:
    """What stands in a state of inventories, transfers, outages and observations."""
    kept = draw.some(
        lambda: ClusterInventory(
            first_round=draw.number(),
            interval=interval(draw),
            leaf=draw.digest(),
            root=draw.digest(),
            count=draw.number(2**53),
            method=draw.pick(get_args(Method)),
        ),
        1,
        3,
    )
    lab, other = draw.identifier(), draw.identifier()
    transfer = OpenTransfer(
        sender=lab,
        receiver=other,
        opened_by=lab,
        index=LeafIndex(draw.number()),
        out=_side(draw),
        into=_side(draw),
        interval=interval(draw) if draw.flag() else None,
    )
    lines = tuple(ClusterDifferences(cluster, draw.between(1, 9)) for cluster in ("", *distinct(draw, 0, 3)))
    times_ms = b"".join(encode_u64(draw.number()) for _ in range(draw.between(1, 4)))
    filing = make_filing_name(draw.below(99), interval(draw))
    state = State()
    INVENTORIES.put(state, ClusterInventories(kept), draw.identifier().encode())
    TRANSFERS.put(state, transfer, make_transfer_name(draw.identifier(), sender=lab, receiver=other))
    OPENED_COUNTS.put(state, OpenedCount(draw.between(1, 256)), lab.encode())
    DIFFERENCES.put(state, Differences(LeafIndex(draw.number()), lines), filing)
    EXTENSIONS.put(state, Extension(draw.number(), LeafIndex(draw.number())), filing)
    OBSERVED.put(state, Observed(times_ms), lab.encode())
    written = b""
    for key, value in state.changes():
        assert value is not None
        TABLES[key[0]].decode(value)
        written += key + b"\n" + value + b"\n"
    return written
