"""What long-lived calls and slow readers may hold: places and memory, half of either for one caller at most."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, cast

import grpc.aio
import pytest

from ledger.errors import Code, ConditionError
from node.services.streams import SMALL_BYTES_MAX, StreamLimit, WriteBudget, caller_of

LARGE = 4 * SMALL_BYTES_MAX


class Call:
    """The two things a budget asks of a call: who calls, and to take a message when its reader does."""

    def __init__(self, peer: str = "ipv4:192.0.2.1:5000") -> None:
        self._peer = peer
        self.reads = asyncio.Event()
        self.written: list[object] = []

    def peer(self) -> str:
        return self._peer

    async def write(self, message: object) -> None:
        await self.reads.wait()
        self.written.append(message)

    @property
    def context(self) -> "grpc.aio.ServicerContext[Any, Any]":
        return cast("grpc.aio.ServicerContext[Any, Any]", self)


async def send(budget: WriteBudget, call: Call, size: int, *, size_max: int | None = None) -> None:
    async with budget.room(call.context, size_max or size) as room:
        await room.write(b"message", size=size)


async def settle() -> None:
    """Let every task come as far as it can."""
    for _ in range(50):
        await asyncio.sleep(0)


@pytest.mark.parametrize(
    ("peer", "caller"),
    [("ipv4:192.0.2.7:51234", "ipv4:192.0.2.7"), ("ipv6:%5B2001:db8::1%5D:443", "ipv6:%5B2001:db8::1%5D")],
)
def test_a_caller_is_an_address_without_its_port(peer: str, caller: str) -> None:
    assert caller_of(Call(peer).context) == caller


def test_the_one_call_too_many_is_refused_and_places_come_back() -> None:
    limit = StreamLimit(4)
    with limit.one("a"), limit.one("a"):
        with pytest.raises(ConditionError) as caught, limit.one("a"):
            raise AssertionError("half of all is enough for one")
        assert caught.value.code is Code.TOO_MANY_STREAMS
        assert "a" in caught.value.field
        with limit.one("b"), limit.one("b"):
            with pytest.raises(ConditionError) as full, limit.one("c"):
                raise AssertionError("there is no fifth place")
            assert full.value.found == "4 open"
    assert limit.open == 0
    assert not limit._callers
    with pytest.raises(RuntimeError), limit.one("a"):
        raise RuntimeError
    assert limit.open == 0


def test_one_place_is_still_a_place() -> None:
    with StreamLimit(1).one("a"):
        pass


@pytest.fixture
async def budget() -> AsyncIterator[WriteBudget]:
    made = WriteBudget(4 * LARGE)
    yield made
    assert made.held_bytes == 0
    assert not made._callers


async def test_slow_readers_hold_no_more_than_the_budget_and_one_caller_half_of_it(budget: WriteBudget) -> None:
    slow = [Call() for _ in range(6)]
    other = Call("ipv4:192.0.2.2:1")
    other.reads.set()
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        for call in slow:
            group.create_task(send(budget, call, LARGE))
        await settle()
        assert budget.held_bytes == 2 * LARGE
        await send(budget, other, LARGE)
        for call in slow:
            call.reads.set()
    assert all(call.written for call in [*slow, other])


async def test_room_for_the_largest_message_is_given_back_once_its_size_is_known(budget: WriteBudget) -> None:
    call = Call()
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        group.create_task(send(budget, call, 10, size_max=2 * LARGE))
        await settle()
        assert budget.held_bytes == 10
        call.reads.set()


async def test_small_messages_need_no_room(budget: WriteBudget) -> None:
    slow, small = Call(), Call()
    small.reads.set()
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        group.create_task(send(budget, slow, 2 * LARGE))
        await settle()
        await send(budget, small, SMALL_BYTES_MAX)
        slow.reads.set()


async def test_a_message_larger_than_all_goes_alone(budget: WriteBudget) -> None:
    call = Call()
    call.reads.set()
    async with asyncio.timeout(10):
        await send(budget, call, 100 * LARGE)


async def test_a_reader_that_takes_nothing_is_left() -> None:
    budget = WriteBudget(4 * LARGE, timeout_s=0.0)
    with pytest.raises(ConditionError) as caught:
        await send(budget, Call(), LARGE)
    assert caught.value.code is Code.TIMEOUT
    assert budget.held_bytes == 0


async def test_who_leaves_while_waiting_for_room_holds_nothing(budget: WriteBudget) -> None:
    slow = Call()
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        group.create_task(send(budget, slow, 2 * LARGE))
        waiting = group.create_task(send(budget, Call(), LARGE))
        await settle()
        waiting.cancel()
        await settle()
        assert budget.held_bytes == 2 * LARGE
        slow.reads.set()
