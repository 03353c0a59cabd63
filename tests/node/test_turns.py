"""Work in turns: order is kept, a round is bounded, and what cannot wait comes through between."""

import asyncio
import itertools

from node.turns import Turns


async def test_turns_are_given_in_the_order_they_were_asked_for() -> None:
    turns, done = Turns(3), list[int]()

    async def work(number: int) -> None:
        await turns.take()
        done.append(number)

    async with asyncio.TaskGroup() as group:
        for number in range(20):
            group.create_task(work(number))
    assert done == list(range(20))


async def test_a_round_of_the_event_loop_holds_no_more_turns_than_allowed() -> None:
    turns, done, seen = Turns(3), list[int](), list[int]()
    loop, is_over = asyncio.get_running_loop(), asyncio.Event()

    def look() -> None:
        seen.append(len(done))
        if len(done) < 30:
            loop.call_soon(look)
        else:
            is_over.set()

    async def work(number: int) -> None:
        await turns.take()
        done.append(number)

    async with asyncio.TaskGroup() as group:
        for number in range(30):
            group.create_task(work(number))
        loop.call_soon(look)
    await is_over.wait()
    steps = [after - before for before, after in itertools.pairwise(seen)]
    assert max(steps) <= 3
    assert len(seen) >= 10


async def test_whoever_leaves_while_waiting_holds_nobody_up() -> None:
    turns, done = Turns(1), list[int]()

    async def work(number: int) -> None:
        await turns.take()
        done.append(number)

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(work(number)) for number in range(10)]
        await asyncio.sleep(0)
        for task in tasks[3:7]:
            task.cancel()
    assert done == [0, 1, 2, 7, 8, 9]


async def test_who_asks_for_hundreds_waits_behind_itself_alone() -> None:
    turns, order = Turns(1), list[str]()

    async def work(caller: str) -> None:
        await turns.take(caller)
        order.append(caller)

    async with asyncio.TaskGroup() as group:
        for _ in range(100):
            group.create_task(work("flood"))
        group.create_task(work("honest"))
        group.create_task(work("other"))
    assert len(order) == 102
    assert max(order.index("honest"), order.index("other")) <= 4
