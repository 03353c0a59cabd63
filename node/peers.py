"""Member-to-member streams: who is on the other end, what waits to be sent, what came in and was refused.

Rules of this file
1. A connection is believed only after mutual TLS named a member (`node.tls`) and `Greet` agreed on protocol version,
   ledger (or ceremony session) and member number.
2. Each member dials every other and sends on its own stream; what it receives comes on streams the others dialled. A
   broken stream is dialled again after a growing pause, which ends when the other side greets: then it is there.
   Messages lost with a stream are the protocol's to repeat.
3. What waits to be sent is bounded (`node.outbox`); nothing here waits for a slow peer.
4. What arrives is handed on one message at a time and awaited, so a flood is slowed at its own stream. Everything
   refused is counted by peer and reason, and has a price, as questions have (`node.pacing`). A member has a bounded
   number of calls open here.
5. Nothing that a peer says or does ends more than the call it says it in: a link reports, waits and dials again.
"""

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol, TypeVar

import grpc
import grpc.aio
import structlog
from google.protobuf.message import DecodeError, Message

from ledger.charter import Charter
from ledger.errors import Code, ConditionError, FormatError, LedgerError
from ledger.limits import MESSAGE_BYTES_MAX, SIZE_MAX
from ledger.positions import MemberIndex, Millis
from node.consensus.lanes import Lane
from node.greeting import PROTOCOL_VERSION, Greeting, verify_greeting
from node.outbox import Outbox, Urgency
from node.pacing import MemberPace
from node.services.refusals import read_refusal, refuse
from node.services.streams import StreamLimit
from node.tls import server_name
from node.v1 import peer_pb2, peer_pb2_grpc

REDIAL_FIRST_S: Final = 0.1
REDIAL_MAX_S: Final = 5.0
GREET_TIMEOUT_S: Final = 5.0
GREET_AGAIN_S: Final = 30.0
FETCH_TIMEOUT_S: Final = 30.0
CALLS_PER_MEMBER_MAX: Final = 32
SKEW_ALARM: Final = "clock skew alarm"
CHANNEL_OPTIONS: Final = (
    ("grpc.max_send_message_length", MESSAGE_BYTES_MAX),
    ("grpc.max_receive_message_length", MESSAGE_BYTES_MAX),
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2_000),
    ("grpc.use_local_subchannel_pool", 1),
)


@dataclass(slots=True)
class PeerState:
    """What is known of one other member's connection, for operators and for choosing whom to ask."""

    member: MemberIndex
    id: str
    address: str
    connected: bool = False
    last_heard_ms: int = 0
    clock_skew_ms: int = 0
    height: int = 0
    last_error: str = ""
    last_code: Code | None = None
    refused: Counter[str] = field(default_factory=Counter)
    greeted: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when it greets this node; cleared when this node dials it."""


@dataclass(frozen=True, slots=True)
class PeerAddress:
    """Where a member listens for members, and the name its TLS certificate carries."""

    member: MemberIndex
    id: str
    address: str
    server_name: str


def find_addresses(charter: Charter, moved: Mapping[str, object], *, me: MemberIndex) -> list[PeerAddress]:
    """Say where the other members listen: as in the charter, unless the settings know better."""
    return [
        PeerAddress(
            member=member.index,
            id=member.id,
            address=str(moved.get(member.id, member.peer)),
            server_name=server_name(member.id),
        )
        for member in charter.members
        if member.index != me
    ]


class PeerHandler(Protocol):
    """What the node does with what members send."""

    def greeting(self) -> Greeting:
        """Say who this node is now."""

    def height(self) -> int:
        """Return the newest final height."""

    def on_greeted(self, member: MemberIndex) -> None:
        """Learn that a member connected anew, and that it is the one it should be."""

    async def on_message(self, member: MemberIndex, lane: Lane, message: peer_pb2.PeerMessage) -> bool:
        """Take one message of one of the member's streams; False if it was not looked at.

        Raise a LedgerError to have it counted as refused.
        """

    def on_fetch(self, member: MemberIndex, request: peer_pb2.FetchRequest) -> AsyncGenerator[peer_pb2.FetchResponse]:
        """Answer what a member lacks."""

    async def on_found(self, member: MemberIndex, request: peer_pb2.FoundRequest) -> list[bytes]:
        """Take ceremony messages, return those held."""


class PeerLink:
    """The dialled side of one peer: greets, then sends what the outbox holds, and pulls what the node lacks."""

    def __init__(
        self,
        address: PeerAddress,
        credentials: grpc.ChannelCredentials,
        greeting: Callable[[], Greeting],
        on_connected: Callable[[MemberIndex], Awaitable[None]],
        *,
        skew_alarm_ms: int,
    ) -> None:
        self.state = PeerState(member=address.member, id=address.id, address=address.address)
        self.outbox = Outbox()
        self._address = address
        self._credentials = credentials
        self._greeting = greeting
        self._on_connected = on_connected
        self._skew_alarm_ms = skew_alarm_ms
        self._channel: grpc.aio.Channel | None = None
        self._is_finishing = False
        self._ended = asyncio.Event()
        self._log = structlog.get_logger("peers")

    async def run(self) -> None:
        """Keep the link up until cancelled or finished."""
        pause = REDIAL_FIRST_S
        try:
            while not self._is_finishing:
                began = time.monotonic()
                self.state.greeted.clear()
                await self._connect()
                pause = REDIAL_FIRST_S if time.monotonic() - began > REDIAL_MAX_S else pause
                if not self._is_finishing:
                    await self._pause(pause)
                pause = min(2 * pause, REDIAL_MAX_S)
        finally:
            self._ended.set()

    async def _pause(self, pause_s: float) -> None:
        """Wait before dialling again; greetings, however many, make this no shorter than the first pause."""
        await asyncio.sleep(REDIAL_FIRST_S)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(pause_s - REDIAL_FIRST_S):
                await self.state.greeted.wait()

    async def finish(self) -> None:
        """Return once the member has taken all that waits for it; nothing is sent after that."""
        self._is_finishing = True
        self.outbox.end()
        if self.state.connected:
            await self._ended.wait()

    async def _connect(self) -> None:
        """Dial once and send until the link breaks; why it broke stands in the state afterwards."""
        options = (*CHANNEL_OPTIONS, ("grpc.ssl_target_name_override", self._address.server_name))
        try:
            async with grpc.aio.secure_channel(self._address.address, self._credentials, options=options) as channel:
                with self._call_errors():
                    await self._greet(channel)
                    self._channel, self.state.connected = channel, True
                    self._tell(None)
                    await self._use(channel)
        except LedgerError as error:
            self._tell(error)
        finally:
            self._channel, self.state.connected = None, False

    async def _use(self, channel: grpc.aio.Channel) -> None:
        """Send what the outbox holds; beside it ask for what was missed, and compare clocks now and then."""
        deliver = channel.stream_unary(
            "/node.v1.Peer/Deliver",
            request_serializer=_as_it_is,
            response_deserializer=_as_it_is,
        )
        async with asyncio.TaskGroup() as group:
            beside = [group.create_task(self._ask_what_was_missed()), group.create_task(self._greet_again(channel))]
            try:
                with self._call_errors():
                    await deliver(self.outbox.stream(), wait_for_ready=False)
                if not self._is_finishing:
                    raise self._unreachable("the end of its stream", expected="one that stays")
            except LedgerError as error:
                self._tell(error)
            finally:
                for task in beside:
                    task.cancel()

    async def _ask_what_was_missed(self) -> None:
        try:
            await self._on_connected(self._address.member)
        except LedgerError as error:
            self._log.warning("member gave no good answer", member=self.state.id, problem=str(error))

    async def _greet_again(self, channel: grpc.aio.Channel) -> None:
        """Clocks drift and blocks come while a link is up."""
        while True:
            await asyncio.sleep(GREET_AGAIN_S)
            try:
                with self._call_errors():
                    await self._greet(channel)
            except LedgerError as error:
                self._log.warning("member did not greet again", member=self.state.id, problem=str(error))

    def _tell(self, error: LedgerError | None) -> None:
        """Keep why the link is down, and write it whenever that changes."""
        state, problem = self.state, "" if error is None else str(error)
        if error is None:
            self._log.info("link is up", member=state.id, clock_skew_ms=state.clock_skew_ms)
        elif problem != state.last_error:
            self._log.warning("link is down", member=state.id, address=state.address, problem=problem)
        state.last_error, state.last_code = problem, None if error is None else error.code

    async def _greet(self, channel: grpc.aio.Channel) -> None:
        mine = self._greeting()
        sent_ms = _wall_ms()
        call = channel.unary_unary(
            "/node.v1.Peer/Greet",
            request_serializer=peer_pb2.GreetRequest.SerializeToString,
            response_deserializer=_as_it_is,
        )
        raw: bytes = await call(
            peer_pb2.GreetRequest(
                protocol_version=PROTOCOL_VERSION,
                ledger_id=mine.ledger_id,
                session_id=mine.session_id,
                member=mine.member,
                time_ms=sent_ms,
            ),
            timeout=GREET_TIMEOUT_S,
        )
        answer = _parse_answer(peer_pb2.GreetResponse(), raw)
        verify_greeting(answer, mine=mine, member=self._address.member)
        received_ms = _wall_ms()
        self.state.clock_skew_ms = min(answer.time_ms, SIZE_MAX) - (sent_ms + received_ms) // 2
        self.state.height = min(answer.height, SIZE_MAX)
        self.state.last_heard_ms = received_ms
        if abs(self.state.clock_skew_ms) > self._skew_alarm_ms:
            self.state.refused[SKEW_ALARM] += 1
            self._log.warning("clocks differ", member=self.state.id, skew_ms=self.state.clock_skew_ms)

    @contextlib.contextmanager
    def _call_errors(self) -> Iterator[None]:
        """Turn what gRPC says of a call into our words; a call that ends with its channel is no cancellation of ours.

        Raises:
            ConditionError: `UNREACHABLE`, or the code that the member refused with.
        """
        try:
            yield
        except grpc.aio.AioRpcError as error:
            refusal = read_refusal(error, who=f"member {self.state.id}")
            found = f"{error.code().name}: {error.details()}"
            raise refusal or self._unreachable(found, expected="an answer") from error
        except (grpc.aio.BaseError, asyncio.CancelledError) as error:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            raise self._unreachable("the connection closed", expected="an answer") from error

    def _unreachable(self, found: str, *, expected: str) -> ConditionError:
        return ConditionError(field=f"member {self.state.id}", found=found, expected=expected, code=Code.UNREACHABLE)

    def _require_channel(self) -> grpc.aio.Channel:
        if self._channel is None:
            raise self._unreachable("no connection", expected="one")
        return self._channel

    async def fetch(self, request: peer_pb2.FetchRequest) -> AsyncGenerator[peer_pb2.FetchResponse]:
        """Pull what this node lacks; close the generator if you do not read it to its end.

        Raises:
            ConditionError: `UNREACHABLE`, now or in the middle.
            FormatError: an answer that is no message.
        """
        fetch = self._require_channel().unary_stream(
            "/node.v1.Peer/Fetch",
            request_serializer=peer_pb2.FetchRequest.SerializeToString,
            response_deserializer=_as_it_is,
        )
        with self._call_errors():
            call = fetch(request, timeout=FETCH_TIMEOUT_S)
            try:
                async for raw in call:
                    yield _parse_answer(peer_pb2.FetchResponse(), raw)
            finally:
                call.cancel()

    async def found(self, session_id: bytes, messages: list[bytes]) -> list[bytes]:
        """Exchange ceremony messages; what the other side holds comes back.

        Raises:
            ConditionError: `UNREACHABLE`.
            FormatError: an answer that is no message.
        """
        call = self._require_channel().unary_unary(
            "/node.v1.Peer/Found",
            request_serializer=peer_pb2.FoundRequest.SerializeToString,
            response_deserializer=_as_it_is,
        )
        request = peer_pb2.FoundRequest(session_id=session_id, messages=messages)
        with self._call_errors():
            raw: bytes = await call(request, timeout=FETCH_TIMEOUT_S)
        return list(_parse_answer(peer_pb2.FoundResponse(), raw).messages)


class Peers:
    """All links of this node."""

    def __init__(
        self,
        addresses: list[PeerAddress],
        credentials: grpc.ChannelCredentials,
        greeting: Callable[[], Greeting],
        on_connected: Callable[[MemberIndex], Awaitable[None]],
        *,
        skew_alarm_ms: int,
    ) -> None:
        self.links: Mapping[MemberIndex, PeerLink] = {
            address.member: PeerLink(address, credentials, greeting, on_connected, skew_alarm_ms=skew_alarm_ms)
            for address in addresses
        }

    async def run(self) -> None:
        """Keep every link up until cancelled or finished; a member that is alone has none, and waits."""
        if not self.links:
            await asyncio.Event().wait()
        async with asyncio.TaskGroup() as group:
            for link in self.links.values():
                group.create_task(link.run(), name=f"peer {link.state.id}")

    def send(self, member: MemberIndex, urgency: Urgency, raw: bytes) -> None:
        """Put one message into one outbox; a member that is not there never gets it."""
        self.links[member].outbox.put(urgency, raw)

    def broadcast(self, urgency: Urgency, raw: bytes) -> None:
        """Put one message into every outbox."""
        for link in self.links.values():
            link.outbox.put(urgency, raw)

    def connected(self) -> list[MemberIndex]:
        """Return who answers now."""
        return [member for member, link in self.links.items() if link.state.connected]


class PeerServicer(peer_pb2_grpc.PeerServicer):
    """The dialled-to side: identifies the caller from TLS, then hands on."""

    def __init__(
        self,
        handler: PeerHandler,
        states: Mapping[MemberIndex, PeerState],
        identify: Callable[[Mapping[str, Any]], MemberIndex | None],
    ) -> None:
        """Take the function that names a member from a TLS auth context (of gRPC's own loose type, hence Any)."""
        self._handler = handler
        self._states = states
        self._identify = identify
        self._calls = {member: StreamLimit(CALLS_PER_MEMBER_MAX) for member in states}
        self._paces = {member: MemberPace() for member in states}

    async def _caller(self, context: "_Context") -> MemberIndex:
        member = self._identify(context.auth_context())
        if member is None or member not in self._states:
            problem = ConditionError(
                field="peer certificate",
                found="a certificate no member vouches for",
                expected="a member's own",
                code=Code.UNAUTHENTICATED,
            )
            await refuse(context, problem)
        return member

    @contextlib.asynccontextmanager
    async def _place(self, member: MemberIndex, context: "_Context") -> AsyncIterator[None]:
        """Hold one of the member's places while a call lasts; what is refused in it is counted, and ends it."""
        try:
            with self._calls[member].one():
                yield
        except LedgerError as error:
            self._states[member].refused[error.code] += 1
            await refuse(context, error)

    async def Greet(self, request: peer_pb2.GreetRequest, context: "_Context") -> peer_pb2.GreetResponse:  # noqa: N802
        """Compare versions, ledgers and clocks."""
        member = await self._caller(context)
        mine = self._handler.greeting()
        try:
            verify_greeting(request, mine=mine, member=member)
        except LedgerError as error:
            self._states[member].refused[error.code] += 1
            await refuse(context, error)
        self._states[member].greeted.set()
        self._handler.on_greeted(member)
        return peer_pb2.GreetResponse(
            protocol_version=PROTOCOL_VERSION,
            ledger_id=mine.ledger_id,
            session_id=mine.session_id,
            member=mine.member,
            time_ms=_wall_ms(),
            height=self._handler.height(),
        )

    async def Deliver(  # noqa: N802
        self, request_iterator: AsyncIterator[peer_pb2.PeerMessage], context: "_Context"
    ) -> peer_pb2.DeliverResponse:
        """Take a member's messages one at a time."""
        member = await self._caller(context)
        state = self._states[member]
        accepted = refused = 0
        async with self._place(member, context):
            with self._paces[member].lane() as (lane, pace):
                async for message in request_iterator:
                    state.last_heard_ms = _wall_ms()
                    await pace.pay(1)  # also for what is well-formed and of no use
                    try:
                        is_taken = await self._handler.on_message(member, lane, message)
                    except LedgerError as error:
                        state.refused[error.code] += 1
                        is_taken = False
                    accepted, refused = accepted + is_taken, refused + (not is_taken)
                    if not is_taken:
                        await self._paces[member].refused.pay(1)
        return peer_pb2.DeliverResponse(accepted=accepted, refused=refused)

    async def Fetch(  # noqa: N802
        self, request: peer_pb2.FetchRequest, context: "_Context"
    ) -> AsyncIterator[peer_pb2.FetchResponse]:
        """Stream what a member lacks."""
        member = await self._caller(context)
        pace = self._paces[member]
        async with self._place(member, context):
            await pace.pay_question(request.ByteSize())
            async with contextlib.aclosing(self._handler.on_fetch(member, request)) as answers:
                async for response in answers:
                    yield response
                    await pace.pay_answer(response.ByteSize())

    async def Found(self, request: peer_pb2.FoundRequest, context: "_Context") -> peer_pb2.FoundResponse:  # noqa: N802
        """Exchange ceremony messages."""
        member = await self._caller(context)
        async with self._place(member, context):
            return peer_pb2.FoundResponse(messages=await self._handler.on_found(member, request))


_Context = grpc.aio.ServicerContext[Any, Any]  # message types differ from call to call
_AnswerT = TypeVar("_AnswerT", bound=Message)


def _as_it_is(raw: bytes) -> bytes:
    """Pass bytes on: a message serialized once for all peers, or an answer for `_parse_answer`."""
    return raw


def _parse_answer(answer: _AnswerT, raw: bytes) -> _AnswerT:
    """Read an answer. Left to gRPC, one that is no message would come out as None and end whoever looks into it.

    Raises:
        FormatError: no such message.
    """
    try:
        answer.ParseFromString(raw)
    except DecodeError:
        expected = f"a {answer.DESCRIPTOR.full_name}"
        raise FormatError(field="answer", found=f"{len(raw)} bytes of no form", expected=expected) from None
    return answer


def _wall_ms() -> Millis:
    """Read this machine's clock."""
    return Millis(time.time_ns() // 1_000_000)
