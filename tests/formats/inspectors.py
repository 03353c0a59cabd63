"""Formats of what an inspector keeps: keys, the report of an examination, what the nation signed."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, get_args

import msgspec

from inspector import keys
from inspector.findings import Signed, encode_signed, parse_signed
from inspector.report import (
    Basis,
    ChipOpened,
    Examined,
    InspectionReport,
    OutcomeName,
    RecordsOpened,
    Result,
    encode_report,
    parse_report,
)
from ledger.domains import INSPECTION_REPORT_FORMAT, SAMPLE_REPORT_FORMAT
from ledger.limits import INTEGER_MAX, INTERVAL_MAX
from ledger.positions import Interval, LeafIndex, Millis
from tests.formats.draws import Draw
from tests.formats.members import COST

_OUTCOMES: Final[tuple[OutcomeName, ...]] = get_args(OutcomeName)
_RESULTS: Final[tuple[Result, ...]] = get_args(Result)


def sample_report(draw: Draw) -> bytes:
    """The same of the answer to a sample."""
    made = parse_report(report(draw))
    about = {"challenge": None, "sample": f"{made.cluster}/{draw.number(INTEGER_MAX)}/spot"}
    raw = encode_report(msgspec.structs.replace(made, format=SAMPLE_REPORT_FORMAT, **about))
    assert parse_report(raw).sample == about["sample"]
    return raw


def report(draw: Draw) -> bytes:
    """What an inspector's tool found out."""
    fields: dict[str, object] = {"energy_wh": draw.number(INTEGER_MAX)} if draw.flag() else {}
    if draw.flag():
        fields["runs"] = [{"run": draw.identifier(), "pflop": draw.number(9), "cumulative_pflop": draw.number(99)}]
    made = InspectionReport(
        format=INSPECTION_REPORT_FORMAT,
        ledger=draw.hex32(),
        is_pinned=draw.flag(),
        challenge=draw.identifier(),
        lab=draw.identifier(),
        cluster=draw.identifier(),
        interval=Interval(draw.number(INTERVAL_MAX)),
        nation=draw.identifier(),
        inspector=draw.identifier(),
        entries=(
            Basis(
                role="challenge",
                index=LeafIndex(draw.number(INTEGER_MAX)),
                leaf=draw.hex32(),
                sealed_ms=Millis(draw.number()),
            ),
        ),
        handed=draw.hex32(),
        ciphertext=draw.hex32(),
        result=draw.pick(_RESULTS),
        missing=draw.some(draw.text, 0, 3),
        fields=fields,
        records=RecordsOpened(opened=draw.below(4_096), of=draw.number(INTEGER_MAX)),
        chips=draw.some(
            lambda: ChipOpened(index=LeafIndex(draw.number(INTEGER_MAX)), model=draw.identifier(), serial=draw.hex32()),
            0,
            3,
        ),
        comparisons=draw.some(
            lambda: Examined(
                check=f"X{draw.below(15)}",
                subject=draw.identifier(),
                field=draw.text(),
                found=draw.text(0),
                expected=draw.text(),
                outcome=draw.pick(_OUTCOMES),
                reason=draw.text(0),
            ),
            0,
            3,
        ),
    )
    raw = encode_report(made)
    assert parse_report(raw) == made
    return raw


def signed(draw: Draw) -> bytes:
    """A finding that the nation signed."""
    made = Signed(payload=draw.raw(1 + draw.below(60)), signature=draw.raw(64), public_key=draw.digest())
    raw = encode_signed(made)
    assert parse_signed(raw) == made
    return raw


def key_file(draw: Draw) -> bytes:
    """An inspector's keys, and the file for the nation."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "inspector.keys"
        made = keys.create_keys(
            path,
            draw.text(),
            nation=draw.identifier(),
            inspector=draw.identifier(),
            name=draw.text(),
            randomness=draw.raw,
            cost=COST,
        )
        return path.read_bytes() + keys.encode_public(made.public)
