"""Links of a simulated node: real bytes over the simulated network, in the place of `node.peers`.

Messages may be lost, late, repeated, out of order or garbled, each for itself. An answer to a question comes whole, or
as its beginning with a broken link after it, or not at all, which the asker learns after a while, as with real links.
Not simulated: TLS, dialling, flow control, and what an outbox drops when a peer is slow.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Final

from google.protobuf.message import DecodeError

from ledger.errors import Code, ConditionError, FormatError, LedgerError
from ledger.positions import MemberIndex
from node.outbox import Urgency
from node.peers import FETCH_TIMEOUT_S, PeerState
from node.v1 import peer_pb2

if TYPE_CHECKING:
    from tests.simulation.nodes.member import NodeMember

BROKEN_MIN_MS: Final = 100
BROKEN_MAX_MS: Final = 1_500
DIAL_EVERY_S: Final = 0.25

Answer = bytes | LedgerError | None
"""A part of an answer, why there is no more, or the end."""


class SimulatedLink:
    """One other member, as `node.links.Link`."""

    def __init__(self, me: "NodeMember", other: "NodeMember") -> None:
        self._me, self._other, self._boot = me, other, me.boot
        self.state = PeerState(member=other.index, id=other.name, address=other.name)

    def is_open(self) -> bool:
        """Say whether a connection would stand."""
        one, other, network = self._me.index, self._other.index, self._me.network
        return self._other.is_up and network.is_open(one, other) and network.is_open(other, one)

    async def fetch(self, request: peer_pb2.FetchRequest) -> AsyncGenerator[peer_pb2.FetchResponse]:
        if not self.state.connected:
            raise self._unreachable("no connection")
        answers: asyncio.Queue[Answer] = asyncio.Queue()
        self._ask(request.SerializeToString(), answers.put_nowait)
        late = self._unreachable("no answer")
        timer = asyncio.get_running_loop().call_later(FETCH_TIMEOUT_S, answers.put_nowait, late)
        try:
            while (answer := await answers.get()) is not None:
                if isinstance(answer, LedgerError):
                    raise answer
                yield _parse(answer)
        finally:
            timer.cancel()

    def _unreachable(self, found: str) -> ConditionError:
        return ConditionError(field=self.state.id, found=found, expected="an answer", code=Code.UNREACHABLE)

    def _ask(self, raw: bytes, put: Callable[[Answer], None]) -> None:
        me, other = self._me, self._other

        def take(answers: list[bytes], end: LedgerError | None, is_garbled: bool) -> None:
            if me.is_running(self._boot):
                for part in answers:
                    put(me.network.draw_garbled(other.index, part) if is_garbled else part)
                put(end)

        def respond(answers: list[bytes], end: LedgerError | None) -> None:
            if (
                answers
                and me.network.weather.drop_percent
                and me.chance.randrange(100) < me.network.weather.drop_percent
            ):
                answers, end = answers[: me.chance.randrange(len(answers))], self._unreachable("a broken link")
            if not me.network.carry(other.index, me.index, partial(take, answers, end)):
                self._break(put)

        def arrive(is_garbled: bool) -> None:
            if other.is_up:
                question = me.network.draw_garbled(me.index, raw) if is_garbled else raw
                other.process.serve(me.index, question, respond)
            else:
                self._break(put)

        if not me.network.carry(me.index, other.index, arrive):
            self._break(put)

    def _break(self, put: Callable[[Answer], None]) -> None:
        me, boot = self._me, self._boot
        broken = self._unreachable("a broken link")
        after_ms = me.chance.randint(BROKEN_MIN_MS, BROKEN_MAX_MS)
        me.world.after(after_ms, lambda: put(broken) if me.is_running(boot) else None)


class SimulatedLinks:
    """All other members, as `node.links.Links`."""

    def __init__(self, me: "NodeMember", others: Mapping[MemberIndex, "NodeMember"]) -> None:
        self._me, self._others = me, others
        self.links = {index: SimulatedLink(me, other) for index, other in others.items()}

    def connected(self) -> list[MemberIndex]:
        return [member for member, link in self.links.items() if link.state.connected]

    def send(self, member: MemberIndex, urgency: Urgency, raw: bytes) -> None:
        other, me = self._others[member], self._me

        def arrive(is_garbled: bool) -> None:
            if other.is_up:
                other.process.hear(me.index, me.network.draw_garbled(me.index, raw) if is_garbled else raw)

        me.network.carry(me.index, member, arrive)

    def broadcast(self, urgency: Urgency, raw: bytes) -> None:
        for member in self.links:
            self.send(member, urgency, raw)

    async def keep(self, group: asyncio.TaskGroup, on_connected: Callable[[MemberIndex], "object"]) -> None:
        """Look again and again who can be reached; whoever is reached anew is told of."""
        while True:
            for member, link in self.links.items():
                was, link.state.connected = link.state.connected, link.is_open()
                if link.state.connected and not was:
                    on_connected(member)
            await asyncio.sleep(DIAL_EVERY_S)


def _parse(raw: bytes) -> peer_pb2.FetchResponse:
    try:
        return peer_pb2.FetchResponse.FromString(raw)
    except DecodeError:
        raise FormatError(field="answer", found="bytes of no form", expected="a FetchResponse") from None
