"""What waits for a member: bounded, in order, and what matters least goes first."""

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from node.outbox import OUTBOX_BYTES_MAX, OUTBOX_MESSAGES_MAX, Outbox, Urgency


async def take(outbox: Outbox, count: int) -> list[bytes]:
    taken: list[bytes] = []
    async for raw in outbox.stream():
        taken.append(raw)
        if len(taken) == count:
            break
    return taken


async def test_messages_of_all_kinds_leave_in_the_order_they_came() -> None:
    outbox = Outbox()
    for number in range(30):
        outbox.put(Urgency(number % 3), bytes([number]))
    assert await take(outbox, 30) == [bytes([number]) for number in range(30)]
    assert outbox.waiting_bytes == 0


async def test_when_full_the_oldest_vote_goes_then_the_oldest_gossip_then_the_oldest() -> None:
    outbox = Outbox()
    outbox.put(Urgency.CERTIFICATE, b"certificate")
    outbox.put(Urgency.GOSSIP, b"gossip")
    for number in range(OUTBOX_MESSAGES_MAX - 2):
        outbox.put(Urgency.VOTE, number.to_bytes(4, "big"))
    outbox.put(Urgency.CERTIFICATE, b"newer")
    assert (len(outbox), outbox.dropped) == (OUTBOX_MESSAGES_MAX, 1)
    taken = await take(outbox, 4)
    assert taken == [b"certificate", b"gossip", (1).to_bytes(4, "big"), (2).to_bytes(4, "big")]
    last = Outbox()
    for number in range(OUTBOX_MESSAGES_MAX + 5):
        last.put(Urgency.CERTIFICATE, number.to_bytes(4, "big"))
    assert await take(last, 1) == [(5).to_bytes(4, "big")]


async def test_a_member_that_never_reads_holds_no_more_than_the_bound() -> None:
    outbox = Outbox()
    for _ in range(100):
        outbox.put(Urgency.GOSSIP, bytes(1 << 20))
    assert outbox.waiting_bytes <= OUTBOX_BYTES_MAX
    assert outbox.dropped > 0


async def test_a_new_stream_takes_over_from_that_of_a_broken_connection() -> None:
    outbox = Outbox()
    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        old = group.create_task(take(outbox, 1))
        await asyncio.sleep(0)
        new = group.create_task(take(outbox, 1))
        await asyncio.sleep(0)
        outbox.put(Urgency.VOTE, b"for the new one")
    assert (old.result(), new.result()) == ([], [b"for the new one"])


async def test_after_its_end_the_rest_is_handed_out_and_nothing_is_added() -> None:
    outbox = Outbox()
    outbox.put(Urgency.GOSSIP, b"handed on")
    outbox.end()
    outbox.put(Urgency.GOSSIP, b"too late")
    async with asyncio.timeout(5):
        assert [raw async for raw in outbox.stream()] == [b"handed on"]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(Urgency), st.integers(0, 9 << 20)), max_size=60))
def test_bounds_hold_whatever_is_put(messages: list[tuple[Urgency, int]]) -> None:
    outbox = Outbox()
    zeros = bytes(8 << 20)
    for count, (urgency, size) in enumerate(messages, 1):
        outbox.put(urgency, zeros[: min(size, len(zeros))])
        assert outbox.waiting_bytes <= OUTBOX_BYTES_MAX
        assert len(outbox) + outbox.dropped == count
