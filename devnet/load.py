"""Load for a network on this machine: many labs, their signed reports, and submitters that wait for receipts.

Reports are real: each is signed by its own lab's key, names the lab's entry before it, and is of the size that a report
on one cluster has (a row with 12 digests). They are signed beforehand, so that what is measured later is the nodes and
not the signing. A report may be filed once its interval is over; submitters wait for that.
"""

import asyncio
import hashlib
import itertools
import random
import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import grpc.aio
import msgspec

from devnet.network import Network, NodePlace
from lab.keys import SigningKey, compute_next_key_hash
from lab.reports import DIGESTS_PER_ROW
from ledger.charter import Charter
from ledger.domains import PAYLOAD_TYPE
from ledger.encoding import encode_base64, encode_base64url
from ledger.merkle import leaf_hash
from ledger.positions import Interval, Seconds
from ledger.positions import Sequence as SequenceNumber
from ledger.statements.dsse import (
    Envelope,
    EnvelopeSignature,
    compute_keyid,
    encode_envelope,
    encode_pae,
    sign_envelope,
)
from ledger.statements.intoto import ZERO_HASH
from ledger.statements.reports import LimitRespected, Records, Report, Row, encode_report
from node.v1 import operator_pb2, operator_pb2_grpc, submission_pb2, submission_pb2_grpc

REGISTERED_AT_ONCE: Final = 200  # of one nation, below what one issuer may have waiting
CALL_TIMEOUT_S: Final = 60.0
RUN_OUT_S: Final = 60.0
RECEIPTS_KEPT: Final = 100
FIRST: Final = SequenceNumber(0)


@dataclass(frozen=True, slots=True)
class LoadLab:
    """A lab with one cluster; its key follows from its number."""

    number: int

    @property
    def id(self) -> str:
        """Its id."""
        return f"lab-{self.number:05d}"

    @property
    def cluster(self) -> str:
        """Its cluster's id."""
        return f"{self.id}-cluster"

    def key(self, use: str = "current") -> SigningKey:
        """Its key of a use; guards nothing."""
        return SigningKey(hashlib.sha256(f"{self.id} {use}".encode()).digest())


@dataclass(frozen=True, slots=True)
class Planned:
    """A signed report, and when its interval is over."""

    entry: bytes
    not_before_s: int


@dataclass(frozen=True, slots=True)
class Plan:
    """What reports are signed about.

    Attributes:
        ledger: hex id.
        limits: of the charter.
        grid_start_s: where interval 0 begins.
        interval_s: how long each is.
        first: the first interval that every lab's cluster counts in.
        count: how many reports each lab files.
    """

    ledger: str
    limits: tuple[str, ...]
    grid_start_s: int
    interval_s: int
    first: Interval
    count: int


def make_plan(charter: Charter, *, first: Interval, count: int) -> Plan:
    """Plan reports for a charter."""
    limits = tuple(limit.id for limit in charter.limits)
    return Plan(charter.ledger_id.hex(), limits, charter.grid.start, charter.grid.interval_s, first, count)


# -- signing ---------------------------------------------------------------------------------------------------------


def sign_reports(
    lab: LoadLab, plan: Plan, *, previous: str = ZERO_HASH, sequence: SequenceNumber = FIRST
) -> list[Planned]:
    """Sign a lab's reports of all intervals in a plan, each after the one before it.

    Args:
        lab: whose.
        plan: which.
        previous: hex leaf hash of the lab's last entry, if it has one.
        sequence: what its next statement must carry.
    """
    key, draw = lab.key(), random.Random(lab.number)  # noqa: S311  # filler, not a secret
    planned = []
    for place in range(plan.count):
        interval = Interval(plan.first + place)
        over_s = plan.grid_start_s + (interval + 1) * plan.interval_s
        root = draw.randbytes(32).hex()
        row = Row(
            cluster=lab.cluster,
            digests=tuple(sorted(encode_base64url(draw.randbytes(32)) for _ in range(DIGESTS_PER_ROW))),
            limits_respected=tuple(LimitRespected(limit=limit, respected=True) for limit in plan.limits),
            band=22,
            records=Records(root=root, count=1_000),
            evidence=(),
        )
        report = Report(
            ledger=plan.ledger,
            issuer=lab.id,
            sequence=SequenceNumber(sequence + place),
            previous=previous,
            issued_at=Seconds(over_s),
            corrects=None,
            interval=interval,
            rows=(row,),
        )
        entry = sign_envelope(encode_report(report), [(key.public_key, key.sign)])
        previous = leaf_hash(entry).hex()
        planned.append(Planned(entry, over_s))
    return planned


def sign_all(labs: Sequence[LoadLab], plan: Plan) -> list[list[Planned]]:
    """Sign the reports of many labs, on every core."""
    with ProcessPoolExecutor() as pool:
        return list(pool.map(sign_reports, labs, itertools.repeat(plan), chunksize=16))


def interleave(chains: Iterable[Sequence[Planned]]) -> Iterator[Planned]:
    """Give the first report of every lab, then the second of every lab, and so on."""
    return itertools.chain.from_iterable(zip(*chains, strict=True))


# -- registering -----------------------------------------------------------------------------------------------------


async def register_labs(network: Network, labs: Sequence[LoadLab]) -> None:
    """Have the nations register labs, in turn; returns when all are sealed."""
    count = len(network.nodes)
    async with asyncio.TaskGroup() as group:
        for number, place in enumerate(network.nodes):
            group.create_task(_register_at(place, labs[number::count]))


async def _register_at(place: NodePlace, labs: Sequence[LoadLab]) -> None:
    socket = Path(place.home) / "operator.sock"
    async with grpc.aio.insecure_channel(f"unix:{socket}") as own, grpc.aio.insecure_channel(place.public) as public:
        operator = operator_pb2_grpc.OperatorStub(own)
        submission = submission_pb2_grpc.SubmissionStub(public)
        for count, lab in enumerate(labs, start=1):
            request = operator_pb2.SignStatementRequest(kind="registration", body=_encode_registration(lab))
            entry = _countersign(lab, await operator.SignStatement(request, timeout=CALL_TIMEOUT_S))
            is_last = count % REGISTERED_AT_ONCE == 0 or count == len(labs)
            submit = submission_pb2.SubmitRequest(entry=entry, wait=is_last)
            await submission.Submit(submit, timeout=CALL_TIMEOUT_S)


def _encode_registration(lab: LoadLab) -> bytes:
    body = {
        "lab": lab.id,
        "name": lab.id,
        "keys": [{"key": encode_base64(lab.key().public_key), "status": "active"}],
        "next_key_sha256": compute_next_key_hash(lab.key("next").public_key),
        "clusters": [{"id": lab.cluster, "facility": "hall", "country": "XX", "capacity": None}],
    }
    return msgspec.json.encode(body)


def _countersign(lab: LoadLab, signed: operator_pb2.SignStatementResponse) -> bytes:
    key = lab.key()
    own = key.sign(encode_pae(PAYLOAD_TYPE, signed.payload))
    lines = [
        EnvelopeSignature(keyid=compute_keyid(signed.public_key), signature=signed.signature),
        EnvelopeSignature(keyid=compute_keyid(key.public_key), signature=own),
    ]
    lines.sort(key=lambda line: line.keyid)
    return encode_envelope(Envelope(payload=signed.payload, signatures=tuple(lines)))


# -- submitting ------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Answers:
    """What submitters got.

    Attributes:
        latencies_s: from when a report was to be sent until its receipt was here.
        refused: how many were refused, by code.
        receipts: the last few, with their entries.
    """

    latencies_s: list[float] = field(default_factory=list)
    refused: Counter[str] = field(default_factory=Counter)
    receipts: deque[tuple[bytes, bytes]] = field(default_factory=lambda: deque(maxlen=RECEIPTS_KEPT))

    def take(self, entry: bytes, response: submission_pb2.SubmitResponse, *, sent_s: float) -> None:
        """Note one receipt."""
        assert response.receipt
        self.latencies_s.append(time.perf_counter() - sent_s)
        self.receipts.append((entry, response.receipt.encode()))


async def submit_steadily(
    places: Sequence[NodePlace], reports: Iterable[Planned], *, per_second: float, seconds: float
) -> Answers:
    """Submit single reports at even distances, to the nodes in turn, and wait for each one's receipt.

    A report's time counts from when it was to be sent, so a stall of the nodes is not hidden by a sender that waits.
    """
    answers = Answers()
    async with _channels(places) as stubs, asyncio.TaskGroup() as group:
        begin_s = time.perf_counter()
        for number, report in enumerate(itertools.islice(reports, int(per_second * seconds))):
            sent_s = begin_s + number / per_second
            await asyncio.sleep(max(0.0, sent_s - time.perf_counter()))
            await _wait_until_over(report)
            group.create_task(_submit_one(stubs[number % len(stubs)], report.entry, answers, sent_s=sent_s))
    return answers


async def submit_one_by_one(
    places: Sequence[NodePlace], reports: Iterable[Planned], *, count: int, pause_s: Callable[[], float]
) -> Answers:
    """Submit a report to an idle network, wait for its receipt and then a while, and again."""
    answers = Answers()
    async with _channels(places) as stubs:
        for number, report in enumerate(itertools.islice(reports, count)):
            await _wait_until_over(report)
            await asyncio.sleep(pause_s())
            await _submit_one(stubs[number % len(stubs)], report.entry, answers, sent_s=time.perf_counter())
    return answers


async def submit_all(
    places: Sequence[NodePlace], queues: Sequence[Iterator[Planned]], *, in_flight: int, until: Callable[[], bool]
) -> Answers:
    """Stream reports to every node, as many as it takes with a number of them unanswered at a time.

    Args:
        places: the nodes.
        queues: what each is handed, in order; those of one lab go to one node.
        in_flight: how many may be unanswered at a node.
        until: asked before each report; True ends the streams, and what is under way is waited for.
    """
    answers = Answers()
    async with _channels(places) as stubs, asyncio.TaskGroup() as group:
        for stub, queue in zip(stubs, queues, strict=True):
            group.create_task(_stream(stub, queue, answers, in_flight=in_flight, until=until))
    return answers


async def _stream(
    stub: "submission_pb2_grpc.SubmissionAsyncStub",
    queue: Iterator[Planned],
    answers: Answers,
    *,
    in_flight: int,
    until: Callable[[], bool],
) -> None:
    call = stub.SubmitBatch()
    room = asyncio.Semaphore(in_flight)
    sent: dict[int, tuple[bytes, float]] = {}

    async def read() -> None:
        async for answer in call:
            entry, sent_s = sent.pop(answer.tag)
            room.release()
            if answer.HasField("refused"):
                answers.refused[answer.refused.code] += 1
            else:
                answers.take(entry, answer.accepted, sent_s=sent_s)

    async with asyncio.TaskGroup() as group:
        reader = group.create_task(read())
        for tag, report in enumerate(queue):
            await _wait_until_over(report)
            await room.acquire()
            if until():
                break
            sent[tag] = report.entry, time.perf_counter()
            await call.write(submission_pb2.SubmitRequest(entry=report.entry, wait=True, tag=tag))
        await call.done_writing()
        async with asyncio.timeout(RUN_OUT_S):
            await reader


async def _submit_one(
    stub: "submission_pb2_grpc.SubmissionAsyncStub", entry: bytes, answers: Answers, *, sent_s: float
) -> None:
    try:
        response = await stub.Submit(submission_pb2.SubmitRequest(entry=entry, wait=True), timeout=CALL_TIMEOUT_S)
    except grpc.aio.AioRpcError as error:
        answers.refused[error.details() or error.code().name] += 1
    else:
        answers.take(entry, response, sent_s=sent_s)


async def _wait_until_over(report: Planned) -> None:
    await asyncio.sleep(max(0.0, report.not_before_s - time.time_ns() / 1e9))


@asynccontextmanager
async def _channels(places: Sequence[NodePlace]) -> "AsyncIterator[list[submission_pb2_grpc.SubmissionAsyncStub]]":
    async with AsyncExitStack() as stack:
        opened = [await stack.enter_async_context(grpc.aio.insecure_channel(place.public)) for place in places]
        yield [submission_pb2_grpc.SubmissionStub(channel) for channel in opened]
