"""The chronicle and how nations stand, of a ledger whose charter has an agreement: audited, told, and inert."""

import base64
import io
import json
import random
from pathlib import Path

import pytest
from rich.console import Console

from ledger.errors import FormatError
from observer.audit import audit
from observer.board import encode_board, make_board, render_board
from observer.copy import require_copy
from tests.ledger.dockets import make_enforcement, make_observation
from tests.ledger.rulebook import AGREEMENT, NATIONS, due
from tests.ledger.training import training_run
from tests.observer.fakeledger import FakeLedger, copy_of

HOSTILE = "<b>[red]x[/red]</b>"


@pytest.fixture(scope="module")
def ledger() -> FakeLedger:
    ledger = FakeLedger(agreement=AGREEMENT)
    ledger.register(-50, "acme", ["a1"], nation=NATIONS[0])
    ledger.register(-40, "cogs", ["c1"], nation=NATIONS[1])
    ledger.file(110, "acme", 0, ["a1"])
    ledger.accept(120, make_observation(ledger, NATIONS[1], text=HOSTILE))
    ledger.accept(125, training_run(ledger, "declared", lab="acme", clusters=("a1",)))
    ledger.accept(130, make_enforcement(ledger, NATIONS[2], "cogs"))
    for at in (due(0), due(0) + 30, due(0) + 31):
        ledger.block(at)
    return ledger


def draw(raw: object) -> str:
    out = io.StringIO()
    Console(file=out, width=220).print(raw)
    return out.getvalue()


def test_a_ledger_with_an_agreement_is_audited_from_entry_0(ledger: FakeLedger, tmp_path: Path) -> None:
    with require_copy(copy_of(ledger, tmp_path / "copy"), fingerprint=ledger.fingerprint) as copy:
        report = audit(copy, draw=random.Random(1).randbytes, workers_count=0)
        assert report.states == {"compliant (A0)": 1, "missing (A0)": 1}


def test_what_was_said_beside_reports_is_told_in_order_with_who_said_it(ledger: FakeLedger, tmp_path: Path) -> None:
    with require_copy(copy_of(ledger, tmp_path / "copy"), fingerprint=ledger.fingerprint) as copy:
        board = make_board(copy, now_ms=copy.head.header.time_ms)
        told = [(line.kind, line.issuer, dict(line.said)) for line in board.chronicle]
        assert told == [
            ("observation", NATIONS[1], {"category": "equivocation", "confidence": "moderate", "text": HOSTILE}),
            ("training-run", "acme", {"state": "declared", "band": 20}),
            ("enforcement", NATIONS[2], {"measure": "warning", "interval": 3, "text": "for reports"}),
        ]
        indices = [line.index for line in board.chronicle]
        assert indices == sorted(indices)
        text = draw(render_board(board))
        assert HOSTILE in text  # markup of a stranger is text
        assert json.loads(json.dumps(encode_board(board)))["chronicle"][1]["said"]["state"] == "declared"


def test_nations_stand_by_their_labs(ledger: FakeLedger, tmp_path: Path) -> None:
    with require_copy(copy_of(ledger, tmp_path / "copy"), fingerprint=ledger.fingerprint) as copy:
        standing = make_board(copy, now_ms=copy.head.header.time_ms).standing
        assert [standing.nations[nation].worst for nation in NATIONS] == ["compliant", "missing", None]


def test_a_sealed_entry_that_is_no_statement_of_its_kind_is_refused_in_words(tmp_path: Path) -> None:
    ledger = FakeLedger(seed=6)
    subject = {"name": "lab-0", "digest": {"sha256": "00" * 32}}
    payload = {"subject": [subject], "predicateType": "urn:counterseal:observation:v1", "predicate": []}
    encoded = base64.b64encode(json.dumps(payload).encode()).decode()
    envelope = json.loads(ledger.charter_entry) | {"payload": encoded}
    ledger.extend(ledger.chain[-1].header.time_ms, [json.dumps(envelope, separators=(",", ":")).encode()])
    with require_copy(copy_of(ledger, tmp_path / "copy")) as copy, pytest.raises(FormatError, match=r"entries\[1\]"):
        make_board(copy, now_ms=copy.head.header.time_ms)
