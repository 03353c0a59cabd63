"""Stands before every call of a server: reads what is asked, holds a place for calls that stream, ends them in order.

Left to gRPC, a request that is no message, or a caller that leaves in the middle of an answer, would each put a
traceback into the log: anybody could fill the disk with them.
"""

import asyncio
import contextlib
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final, cast

import grpc
import grpc.aio
from google.protobuf.message import DecodeError

from ledger.errors import Code, ConditionError, FormatError, LedgerError
from node.services.refusals import refuse
from node.services.streams import StreamLimit, caller_of

if TYPE_CHECKING:  # generic for mypy alone
    _Handler = grpc.RpcMethodHandler[Any, Any] | None
_Context = grpc.aio.ServicerContext[Any, Any]  # message types differ from call to call
_Parse = Callable[[bytes], Any]  # the same
LEFT_S: Final = 30.0
END_S: Final = 1.0
_DRAINING: Final = ConditionError(
    field="node", found="draining", expected="another node, or this one later", code=Code.DRAINING
)


class Guard(grpc.aio.ServerInterceptor):
    """The interceptor of a server of ours."""

    def __init__(self, streams: StreamLimit | None = None) -> None:
        """Take the limit for streaming calls of every service, those of health and reflection too; None: no limit."""
        self._streams = streams
        self._open: set[asyncio.Task[Any]] = set()  # tasks of streaming calls
        self._is_ending = False

    # Why Any: an interceptor sees calls of every type.
    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable["_Handler"]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> "_Handler":
        """Wrap what handles a call."""
        handler = await continuation(handler_call_details)
        if handler is None:
            return None
        kind = "_".join(
            "stream" if many else "unary" for many in (handler.request_streaming, handler.response_streaming)
        )
        behaviour, parse = getattr(handler, kind), handler.request_deserializer
        assert parse is not None, "generated code always has one"
        wrapped = getattr(grpc, f"{kind}_rpc_method_handler")(
            self._guarded(behaviour, parse, takes_many=handler.request_streaming, is_stream="stream" in kind),
            response_serializer=handler.response_serializer,
        )
        return cast("_Handler", wrapped)

    def _guarded(self, behaviour: Any, parse: _Parse, *, takes_many: bool, is_stream: bool) -> Any:
        """Give a behaviour of the same form that takes bytes."""
        limit = self._streams if is_stream else None

        async def answer(request: Any, context: _Context) -> Any:
            async with self._in_order(context, is_stream=is_stream):
                with contextlib.nullcontext() if limit is None else limit.one(caller_of(context)):
                    asked = _read_each(request, parse) if takes_many else _read(request, parse)
                    return await behaviour(asked, context)

        async def generate(request: Any, context: _Context) -> AsyncIterator[Any]:
            async with self._in_order(context, is_stream=is_stream):
                with contextlib.nullcontext() if limit is None else limit.one(caller_of(context)):
                    asked = _read_each(request, parse) if takes_many else _read(request, parse)
                    async with contextlib.aclosing(behaviour(asked, context)) as responses:
                        async for response in responses:
                            yield response

        return generate if inspect.isasyncgenfunction(behaviour) else answer

    @contextlib.asynccontextmanager
    async def _in_order(self, context: _Context, *, is_stream: bool) -> AsyncIterator[None]:
        """Refuse a call for what is wrong with it; leave one whose caller is gone to gRPC, which is about to see it."""
        task = asyncio.current_task()
        assert task is not None
        if is_stream:
            self._open.add(task)
        try:
            yield
        except grpc.aio.InternalError:
            await asyncio.sleep(LEFT_S)
        except LedgerError as error:
            await refuse(context, error)
        except asyncio.CancelledError:
            if not self._is_ending:
                raise
            task.uncancel()
            await refuse(context, _DRAINING)
        finally:
            self._open.discard(task)

    async def end_streams(self) -> None:
        """End every streaming call with a word: they have no end of their own."""
        self._is_ending = True
        ending = list(self._open)
        for task in ending:
            task.cancel()
        if ending:
            await asyncio.wait(ending, timeout=END_S)


def _read(raw: bytes, parse: _Parse) -> Any:
    try:
        return parse(raw)
    except DecodeError:
        raise FormatError(field="request", found=f"{len(raw)} bytes", expected="a message of this call") from None


async def _read_each(raws: AsyncIterator[bytes], parse: _Parse) -> AsyncIterator[Any]:
    async for raw in raws:
        yield _read(raw, parse)
