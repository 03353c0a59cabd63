# ruff: noqa: N802  # methods of a service are named as the wire names them
"""Who takes part in the lab's tests: a lab with nothing but a key, and nodes that answer whatever a test wants."""

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc.aio
import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from lab.client import Client
from lab.nodes import Patience
from lab.pinned import PinnedLedger, pin_ledger
from ledger.domains import PAYLOAD_TYPE
from ledger.encoding import encode_base64
from ledger.errors import Code, ConditionError, LedgerError
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
from ledger.statements.reports import EMPTY_RECORDS_ROOT, LimitRespected, Records, Report, Row, encode_report
from node.services.refusals import refuse
from node.v1 import reading_pb2, reading_pb2_grpc, submission_pb2, submission_pb2_grpc
from tests.node.cluster import Cluster

QUICK = Patience(total_s=20, attempt_s=10, settle_s=0.3, wait_first_s=0.05, wait_max_s=0.2)
HASTY = Patience(total_s=1, attempt_s=0.5, settle_s=0.1, wait_first_s=0.05, wait_max_s=0.1)


class TestLab:
    """A lab's key and its statements, without vault or folder."""

    __test__ = False

    def __init__(self, lab_id: str) -> None:
        self.id = lab_id
        self.seed = hashlib.sha256(lab_id.encode()).digest()
        self._key = Ed25519PrivateKey.from_private_bytes(self.seed)
        self.public_key = self._key.public_key().public_bytes_raw()

    def sign(self, message: bytes) -> bytes:
        return self._key.sign(message)

    def registration(self, cluster: Cluster) -> bytes:
        body = {
            "lab": self.id,
            "name": "Lab",
            "keys": [{"key": encode_base64(self.public_key), "status": "active"}],
            "next_key_sha256": "00" * 32,
            "clusters": [{"id": f"{self.id}-c1", "facility": "hall", "country": "XX", "capacity": None}],
        }
        signed = cluster.nodes[0].nation.sign("registration", msgspec.json.encode(body))
        lines = [
            EnvelopeSignature(keyid=compute_keyid(signed.public_key), signature=signed.signature),
            EnvelopeSignature(
                keyid=compute_keyid(self.public_key), signature=self.sign(encode_pae(PAYLOAD_TYPE, signed.payload))
            ),
        ]
        lines.sort(key=lambda line: line.keyid)
        return encode_envelope(Envelope(payload=signed.payload, signatures=tuple(lines)))

    def report(
        self, ledger: PinnedLedger, interval: int, *, sequence: int = 0, previous: str = ZERO_HASH, band: int = 0
    ) -> bytes:
        row = Row(
            cluster=f"{self.id}-c1",
            digests=(),
            limits_respected=tuple(LimitRespected(limit.id, respected=True) for limit in ledger.charter.limits),
            band=band,
            records=Records(EMPTY_RECORDS_ROOT, 0),
            evidence=(),
        )
        report = Report(
            ledger=ledger.charter.fingerprint,
            issuer=self.id,
            sequence=SequenceNumber(sequence),
            previous=previous,
            issued_at=Seconds(0),
            corrects=None,
            interval=Interval(interval),
            rows=(row,),
        )
        return sign_envelope(encode_report(report), [(self.public_key, self.sign)])


def pin(cluster: Cluster) -> PinnedLedger:
    return pin_ledger(cluster.charter.entry, cluster.transcript, fingerprint=cluster.charter.ledger_id)


async def register(cluster: Cluster, client: Client, lab_id: str) -> TestLab:
    lab = TestLab(lab_id)
    await client.submit(lab.registration(cluster))
    return lab


async def first_interval_over(client: Client, lab: TestLab) -> int:
    """Wait until an interval in which the lab's cluster counts has ended in ledger time, and name it."""
    grid = client.ledger.charter.grid
    now_ms = (await client.get_position(lab.id)).time_ms
    interval = (now_ms // 1000 - grid.start) // grid.interval_s + 1
    end_ms = (grid.start + (interval + 1) * grid.interval_s) * 1000
    async with asyncio.timeout(20):
        while (await client.get_position(lab.id)).time_ms < end_ms:  # each answer comes over the wire: no busy wait
            pass
    return interval


# The generated servicers answer UNIMPLEMENTED to whatever a test gives no answer for; only their stubs are abstract.
_Submission: Any = submission_pb2_grpc.SubmissionServicer
_Reading: Any = reading_pb2_grpc.ReadingServicer


class Liar(_Submission, _Reading):  # type: ignore[misc]
    """A node that answers whatever a test wants, and counts how often it was asked."""

    def __init__(
        self,
        *,
        submit: Callable[[bytes], submission_pb2.SubmitResponse] | LedgerError | None = None,
        position: submission_pb2.GetPositionResponse | None = None,
        receipt: Callable[[bytes], reading_pb2.GetReceiptResponse] | None = None,
        charter: reading_pb2.GetCharterResponse | None = None,
    ) -> None:
        self._submit, self._position, self._receipt, self._charter = submit, position, receipt, charter
        self.asked = 0

    async def Submit(self, request: submission_pb2.SubmitRequest, context: Any) -> submission_pb2.SubmitResponse:
        self.asked += 1
        if isinstance(self._submit, LedgerError):
            await refuse(context, self._submit)
        assert callable(self._submit)
        return self._submit(request.entry)

    async def SubmitBatch(self, request_iterator: Any, _: Any) -> AsyncIterator[Any]:
        self.asked += 1
        async for request in request_iterator:
            assert callable(self._submit)
            yield submission_pb2.SubmitBatchResponse(tag=request.tag, accepted=self._submit(request.entry))

    async def GetPosition(self, _: Any, __: Any) -> submission_pb2.GetPositionResponse:
        self.asked += 1
        assert self._position is not None
        return self._position

    async def GetReceipt(self, request: reading_pb2.GetReceiptRequest, context: Any) -> reading_pb2.GetReceiptResponse:
        self.asked += 1
        if self._receipt is None:
            missing = ConditionError(field="entry", found="none", expected="one", code=Code.NOT_FOUND)
            await refuse(context, missing)
        return self._receipt(request.leaf_hash)

    async def GetCharter(self, _: Any, __: Any) -> reading_pb2.GetCharterResponse:
        self.asked += 1
        assert self._charter is not None
        return self._charter


@contextlib.asynccontextmanager
async def serve(liar: Liar, *, tls: grpc.ServerCredentials | None = None) -> AsyncIterator[str]:
    server = grpc.aio.server()
    submission_pb2_grpc.add_SubmissionServicer_to_server(liar, server)
    reading_pb2_grpc.add_ReadingServicer_to_server(liar, server)
    place = "127.0.0.1:0"
    port = server.add_insecure_port(place) if tls is None else server.add_secure_port(place, tls)
    await server.start()
    try:
        yield f"{'grpc' if tls is None else 'grpcs'}://127.0.0.1:{port}"
    finally:
        await server.stop(None)
