"""Labs and nations hand statements in here and wait for their receipts."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any, Final

import grpc.aio

from ledger.errors import Code, ConditionError, LedgerError
from ledger.positions import LeafIndex
from node.admission import Admission
from node.proving import Prover
from node.services.refusals import RETRY_AFTER_MS, refuse
from node.services.streams import StreamLimit, caller_of
from node.v1 import submission_pb2, submission_pb2_grpc

BATCH_IN_FLIGHT_MAX: Final = 256
_Context = grpc.aio.ServicerContext[Any, Any]  # message types differ from call to call


class SubmissionServicer(submission_pb2_grpc.SubmissionServicer):
    """Translates between the wire and `Admission`."""

    def __init__(self, admission: Admission, prover: Prover, waiting: StreamLimit, *, wait_max_s: float) -> None:
        self._admission, self._prover, self._waiting, self._wait_max_s = admission, prover, waiting, wait_max_s

    async def Submit(  # noqa: N802
        self, request: submission_pb2.SubmitRequest, context: _Context
    ) -> submission_pb2.SubmitResponse:
        """Admit one statement; with `wait`, answer with its receipt."""
        try:
            await self._admission.turns.take(caller_of(context))
            if not request.wait:
                return self._admit(request.entry)
            with self._waiting.one(caller_of(context)):
                return await self._settle(self._admit(request.entry), context)
        except LedgerError as error:
            await refuse(context, error)

    async def SubmitBatch(  # type: ignore[override]  # noqa: N802  # the reader-writer form: answers come out of order
        self, request_iterator: AsyncIterator[submission_pb2.SubmitRequest], context: _Context
    ) -> None:
        """Admit many; each is answered when it is settled, at most `BATCH_IN_FLIGHT_MAX` open at a time."""
        room, writing = asyncio.Semaphore(BATCH_IN_FLIGHT_MAX), asyncio.Lock()
        problem: LedgerError | None = None
        async with asyncio.TaskGroup() as group:
            try:
                async for request in request_iterator:
                    await room.acquire()
                    await self._admission.turns.take(caller_of(context))
                    answer = self._admit_or_refuse(request)
                    # The task gets the answer alone: what waits must not hold the entries.
                    group.create_task(self._answer(answer, context, room, writing, is_waiting=request.wait))
            except LedgerError as error:  # a request that is none; what came before it is settled first
                problem = error
        if problem is not None:
            raise problem

    def _admit_or_refuse(self, request: submission_pb2.SubmitRequest) -> submission_pb2.SubmitBatchResponse:
        answer = submission_pb2.SubmitBatchResponse(tag=request.tag)
        try:
            answer.accepted.CopyFrom(self._admit(request.entry))
        except LedgerError as error:
            answer.refused.CopyFrom(_encode_refusal(error))
        return answer

    async def _answer(
        self,
        answer: submission_pb2.SubmitBatchResponse,
        context: _Context,
        room: asyncio.Semaphore,
        writing: asyncio.Lock,
        *,
        is_waiting: bool,
    ) -> None:
        """Settle one statement of a stream and answer; `writing` because a call takes one write at a time."""
        if is_waiting and answer.HasField("accepted"):
            try:
                answer.accepted.CopyFrom(await self._settle(answer.accepted, context))
            except LedgerError as error:
                answer.refused.CopyFrom(_encode_refusal(error))
        async with writing:
            with contextlib.suppress(grpc.aio.InternalError):  # the caller is gone; gRPC is about to notice
                await context.write(answer)
        room.release()

    def _admit(self, entry: bytes) -> submission_pb2.SubmitResponse:
        admitted = self._admission.admit(entry)
        response = submission_pb2.SubmitResponse(leaf_hash=admitted.leaf, duplicate=admitted.known)
        if admitted.index is not None:
            response.sealed, response.index = True, admitted.index
        return response

    async def _settle(
        self, response: submission_pb2.SubmitResponse, context: _Context
    ) -> submission_pb2.SubmitResponse:
        """Wait until an admitted entry is sealed, and add its receipt."""
        if not response.sealed:
            response.index = await self._sealed(response.leaf_hash, context.time_remaining())
            response.sealed = True
        await self._admission.turns.take(caller_of(context))
        response.receipt = self._prover.receipt(LeafIndex(response.index)).decode()
        return response

    async def _sealed(self, leaf: bytes, time_remaining_s: float | None) -> LeafIndex:
        """Wait until an admitted entry is sealed, a little less long than the caller will."""
        remaining_s = self._wait_max_s if time_remaining_s is None else time_remaining_s - 0.1
        limit = min(self._wait_max_s, max(0.0, remaining_s))
        try:
            async with asyncio.timeout(limit):
                return await self._admission.wait_sealed(leaf)
        except TimeoutError:
            raise ConditionError(
                field="deadline", found=f"not sealed within {limit:.1f} s", expected="more time", code=Code.TIMEOUT
            ) from None

    async def GetPosition(  # noqa: N802
        self, request: submission_pb2.GetPositionRequest, context: _Context
    ) -> submission_pb2.GetPositionResponse:
        """Say what an issuer's next statement must carry."""
        try:
            position = self._admission.position(request.issuer)
        except LedgerError as error:
            await refuse(context, error)
        return submission_pb2.GetPositionResponse(
            ledger_id=position.ledger_id,
            next_sequence=position.next_sequence,
            previous=position.previous,
            sealed_sequence=position.sealed_sequence,
            time_ms=position.time_ms,
            latest_root=position.root,
        )


def _encode_refusal(error: LedgerError) -> submission_pb2.Refusal:
    return submission_pb2.Refusal(
        code=error.code,
        field=error.field,
        found=error.found,
        expected=error.expected,
        retry_after_ms=RETRY_AFTER_MS.get(error.code, 0),
    )
