"""What a node answers about verdicts: the newest of each, as much as fits, and as little read as one lookup takes."""

import asyncio
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any, cast

import grpc
import pytest

from ledger.errors import Code, ConditionError
from ledger.limits import SIZE_MAX
from ledger.positions import Interval, LeafIndex
from ledger.rules.records.filings import FILINGS, Filing, make_filing_name
from ledger.statements.computed import is_computed_entry
from ledger.statements.verdicts import VerdictState, parse_verdict
from node import verdicts
from node.cosigning import Notary
from node.proving import Prover
from node.services.reading import ReadingServicer
from node.services.streams import WriteBudget
from node.tip import Tip
from node.v1 import reading_pb2
from node.verdicts import INTERVALS_PER_ANSWER_MAX, Said, VerdictReader
from tests.ledger.rulebook import Key
from tests.node.ledger_on_disk import DiskLedger
from tests.node.statements import Issuer

START_MS, INTERVAL_MS = 1_700_000_000_000, 3_600_000
FIRST, INTERVALS = 1, 3
LAB = "acme"


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DiskLedger]:
    """A lab with one cluster that reported for its first interval late, for the next in time, and then no more."""
    ledger = DiskLedger(tmp_path_factory.mktemp("node"))
    lab = Issuer(LAB, ledger.charter.ledger_id.hex(), Key(LAB).signer)
    ledger.commit(ledger.build([ledger.nations[0].register(LAB)]), is_sealed=False)
    for number in range(1, 14):  # half an interval each
        ledger.now_ms = START_MS + number * INTERVAL_MS // 2
        entries = [lab.note(lab.report(interval)) for interval in (FIRST, FIRST + 1) if number == 7]
        ledger.commit(ledger.build(entries), is_sealed=False)
    yield ledger
    ledger.store.close()


def reader_of(ledger: DiskLedger) -> VerdictReader:
    prover = Prover(ledger.store, cast("Notary", SimpleNamespace()))
    return VerdictReader(lambda: ledger.branches.final.state, ledger.store, prover)


def ask(ledger: DiskLedger, *, lab: str = LAB, cluster: str = "", first: int = FIRST, count: int = 1) -> Said:
    return reader_of(ledger).read(lab=lab, cluster=cluster, first=first, count=count)


def test_the_newest_verdict_on_each_interval_is_found_with_its_place(ledger: DiskLedger) -> None:
    every = ledger.store.entries(LeafIndex(0), 1_000)
    newest = {parse_verdict(entry).interval: place for place, entry in enumerate(every) if is_computed_entry(entry)}
    said = ask(ledger, count=INTERVALS)
    assert list(said.verdicts) == [
        (newest[Interval(k)], every[newest[Interval(k)]]) for k in range(FIRST, FIRST + INTERVALS)
    ]
    states = [parse_verdict(entry).state for _, entry in said.verdicts]
    assert states == [VerdictState.LATE, VerdictState.COMPLIANT, VerdictState.MISSING]
    assert said.next_interval == FIRST + INTERVALS
    assert ask(ledger, cluster="acme-c1", first=2).verdicts == said.verdicts[1:2]


def test_nothing_is_said_of_an_interval_that_is_not_due(ledger: DiskLedger) -> None:
    assert ask(ledger, first=INTERVALS + 20, count=2) == Said((), INTERVALS + 22)


@pytest.mark.parametrize(("lab", "cluster"), [("nobody", ""), ("", ""), (LAB, "nowhere"), ("\N{SNOWMAN}" * 99, "")])
def test_who_is_not_registered_is_not_found(ledger: DiskLedger, lab: str, cluster: str) -> None:
    with pytest.raises(ConditionError) as refused:
        ask(ledger, lab=lab, cluster=cluster)
    assert refused.value.code is Code.NOT_FOUND


def test_an_answer_is_bounded_and_says_where_to_go_on(ledger: DiskLedger, monkeypatch: pytest.MonkeyPatch) -> None:
    assert ask(ledger, count=SIZE_MAX).next_interval == FIRST + INTERVALS_PER_ANSWER_MAX
    assert ask(ledger, first=SIZE_MAX, count=SIZE_MAX) == Said((), SIZE_MAX)
    monkeypatch.setattr(verdicts, "VERDICTS_PER_ANSWER_MAX", 2)
    said = ask(ledger, count=9)
    assert (len(said.verdicts), said.next_interval) == (2, 3)


def _count_steps(ledger: DiskLedger) -> int:
    """Steps of SQLite's machine that one question takes."""
    steps = 0

    def count() -> int:
        nonlocal steps
        steps += 1
        return 0

    ledger.store._reader.set_progress_handler(count, 1)
    assert len(ask(ledger, count=INTERVALS).verdicts) == INTERVALS
    ledger.store._reader.set_progress_handler(None, 1)
    return steps


def test_a_question_reads_no_more_after_a_longer_history(ledger: DiskLedger) -> None:
    before = _count_steps(ledger)
    ledger.store._writer.execute("BEGIN")
    ledger.store._writer.executemany(
        "INSERT INTO entries VALUES (?, ?, ?, x'00')",
        ((1_000 + number, number.to_bytes(32, "big"), number.to_bytes(32, "big")) for number in range(20_000)),
    )
    ledger.store._writer.execute("COMMIT")
    state = ledger.branches.final.state
    for number in range(20_000):
        filing = Filing(1, is_contested=False, is_queued=False, latest=bytes(32), rows=bytes(35))
        FILINGS.put(state, filing, make_filing_name(0, Interval(1_000 + number)))
    state.commit()
    assert _count_steps(ledger) == before


def test_the_service_answers_and_refuses_with_a_code(ledger: DiskLedger) -> None:
    class RefusedError(Exception):
        pass

    class Context:
        async def abort(self, code: grpc.StatusCode, *_: object, **__: object) -> None:
            raise RefusedError(code)

    unused: Any = SimpleNamespace()  # what this call does not touch
    prover = Prover(ledger.store, cast("Notary", SimpleNamespace()))
    servicer = ReadingServicer(
        lambda: ledger.branches.final.state,
        ledger.store,
        prover,
        unused,
        Tip(None),
        budget=WriteBudget(1_000),
        quorum=1,
    )
    context = cast("grpc.aio.ServicerContext[Any, Any]", Context())
    call: Callable[..., Any] = servicer.GetVerdicts
    answer = asyncio.run(call(reading_pb2.GetVerdictsRequest(lab=LAB, first_interval=2), context))
    assert [parse_verdict(said.entry).interval for said in answer.verdicts] == [2]
    assert answer.next_interval == 3
    with pytest.raises(RefusedError) as refused:
        asyncio.run(call(reading_pb2.GetVerdictsRequest(lab="nobody"), context))
    assert refused.value.args == (grpc.StatusCode.NOT_FOUND,)
