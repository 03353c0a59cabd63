"""`lab.nodes`: whom to ask next, how long to wait, whom to believe; in a time of the test's own."""

from collections.abc import Sequence
from typing import Any

import grpc.aio
import pytest
from google.protobuf import any_pb2, duration_pb2
from google.rpc import error_details_pb2, status_pb2  # type: ignore[import-untyped]  # ships no stubs
from hypothesis import given
from hypothesis import strategies as st

from lab.addresses import parse_address
from lab.nodes import Nodes, NodesError, NodesRefusedError, Patience
from lab.refusals import DETAILS_TRAILER, Remedy, find_remedy, read_refusal, read_status
from ledger.errors import Code, ConditionError, FormatError, LedgerError, ProofError, RejectedError, reject

# --- time, without spending any --------------------------------------------------------------------------------------


class Time:
    """A clock that moves only when somebody sleeps or a node is asked."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def problem(code: Code) -> LedgerError:
    return ConditionError(field="f", found="x", expected="y", code=code)


async def ask(
    answers: Sequence[LedgerError | str], *, patience: Patience, time: Time, nodes: int = 1
) -> tuple[str, list[str]]:
    """Ask nodes that give these answers one after another, whichever is asked; the last is given for ever."""
    asked: list[str] = []

    async def question(_: grpc.aio.Channel, node: Any, __: float) -> str:
        asked.append(node.target)
        answer = answers[min(len(asked), len(answers)) - 1]
        if isinstance(answer, LedgerError):
            raise answer
        return answer

    addresses = [parse_address(f"grpc://127.0.0.1:{port}") for port in range(1, nodes + 1)]
    async with Nodes(addresses, patience=patience, draw=lambda: 1.0, clock=time, sleep=time.sleep) as opened:
        return await opened.ask(question), asked


async def test_waits_double_up_to_their_limit() -> None:
    time = Time()
    patience = Patience(total_s=100, wait_first_s=1, wait_max_s=4)
    answer, _ = await ask([*[problem(Code.UNREACHABLE)] * 5, "done"], patience=patience, time=time)
    assert answer == "done"
    assert time.slept == [1, 2, 4, 4, 4]


def test_jitter_takes_at_most_half_of_a_wait() -> None:
    patience = Patience(wait_first_s=1, wait_max_s=4)
    assert [patience.wait_s(number, draw=0.0) for number in (0, 1, 2, 500)] == [0.5, 1, 2, 2]
    assert patience.wait_s(0, draw=0.5) == 0.75


async def test_asking_ends_when_patience_does_and_says_what_was_said_last() -> None:
    time = Time()
    with pytest.raises(NodesError) as caught:
        await ask(
            [problem(Code.DRAINING), problem(Code.TIMEOUT)],
            patience=Patience(total_s=10, wait_first_s=1, wait_max_s=1),
            time=time,
        )
    assert time.now < 10
    assert caught.value.code is Code.TIMEOUT


async def test_a_refusal_that_time_may_change_is_asked_about_again_for_a_while() -> None:
    time = Time()
    patience = Patience(total_s=100, settle_s=3, wait_first_s=1, wait_max_s=1)
    behind = problem(Code.WRONG_SEQUENCE)
    answer, _ = await ask([behind, behind, "caught up"], patience=patience, time=time)
    assert answer == "caught up"
    with pytest.raises(NodesRefusedError) as caught:
        await ask([behind], patience=patience, time=time)
    assert caught.value.code is Code.WRONG_SEQUENCE
    assert time.slept == [1, 1, 1, 1, 1]


async def test_a_final_refusal_is_believed_once_every_node_was_asked() -> None:
    time = Time()
    final = RejectedError(reject(Code.KEY_REVOKED, field="f", found="x", expected="y"))
    with pytest.raises(NodesRefusedError) as caught:
        await ask([final], patience=Patience(), time=time, nodes=3)
    assert (caught.value.opinions, time.slept) == (3, [])
    answer, asked = await ask([final, final, "taken"], patience=Patience(), time=time, nodes=3)
    assert (answer, len(asked)) == ("taken", 3)


async def test_a_node_that_lied_is_not_asked_in_later_rounds() -> None:
    time = Time()
    lie = ProofError(field="p", found="x", expected="y")
    busy = problem(Code.MEMPOOL_FULL)
    patience = Patience(total_s=100, wait_first_s=1)
    answer, asked = await ask([lie, busy, busy, "taken"], patience=patience, time=time, nodes=2)
    assert answer == "taken"
    assert asked == ["127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:2", "127.0.0.1:2"]


@pytest.mark.parametrize(("asked_ms", "times"), [(4_000, [0, 4, 8]), (10**9, [0, 60])])
async def test_a_wait_that_a_node_asks_for_is_kept_but_not_for_ever(asked_ms: int, times: list[float]) -> None:
    time = Time()
    moments: list[float] = []

    async def question(_: grpc.aio.Channel, __: Any, ___: float) -> str:
        moments.append(time.now)
        raise failed_call("MEMPOOL_FULL", retry_after_ms=asked_ms)

    patience = Patience(total_s=times[-1] + 2, wait_first_s=0.5, wait_max_s=0.5)
    address = parse_address("grpc://127.0.0.1:1")
    async with Nodes([address], patience=patience, clock=time, sleep=time.sleep) as nodes:
        with pytest.raises(NodesError) as caught:
            await nodes.ask(question)
    assert moments == times
    assert caught.value.code is Code.MEMPOOL_FULL


# --- what a failed call says -----------------------------------------------------------------------------------------


def failed_call(
    reason: str, *, retry_after_ms: int = 0, domain: str = "counterseal", found: str = "x"
) -> grpc.aio.AioRpcError:
    """The error that gRPC raises for a refusal with these details."""
    retry = duration_pb2.Duration()
    retry.FromMilliseconds(retry_after_ms)
    details = [any_pb2.Any(), any_pb2.Any()]
    metadata = {"field": "f", "found": found, "expected": "y"}
    details[0].Pack(error_details_pb2.ErrorInfo(reason=reason, domain=domain, metadata=metadata))
    details[1].Pack(error_details_pb2.RetryInfo(retry_delay=retry))
    return bare_call(status_pb2.Status(code=9, details=details).SerializeToString())


def bare_call(trailer: bytes | None) -> grpc.aio.AioRpcError:
    trailers = grpc.aio.Metadata() if trailer is None else grpc.aio.Metadata((DETAILS_TRAILER, trailer))
    code = grpc.StatusCode.FAILED_PRECONDITION
    return grpc.aio.AioRpcError(code, grpc.aio.Metadata(), trailers, details="proxy says no")


def test_the_details_of_a_refusal_become_the_same_error_again() -> None:
    refused = read_status(failed_call("WRONG_SEQUENCE", retry_after_ms=1500))
    assert isinstance(refused.error, RejectedError)
    assert str(refused.error) == "f: found x; expected y [WRONG_SEQUENCE]"
    assert refused.retry_after_s == 1.5
    assert isinstance(read_status(failed_call("DRAINING")).error, ConditionError)


def test_what_a_stranger_writes_into_a_refusal_is_bounded_and_shows_no_control_character() -> None:
    error = read_status(failed_call("FORMAT", found="\x1b[2J" + "a" * 5000)).error
    assert "\x1b" not in str(error)
    assert len(str(error)) < 500


@pytest.mark.parametrize(
    ("call", "code"),
    [
        (failed_call("NO_SUCH_CODE"), Code.VERSION_MISMATCH),
        (failed_call("WRONG_SEQUENCE", domain="elsewhere.example"), Code.UNREACHABLE),
        (bare_call(None), Code.UNREACHABLE),
        (bare_call(b"\xff\xff\xff"), Code.UNREACHABLE),
        (bare_call(b""), Code.UNREACHABLE),
    ],
)
def test_an_answer_without_our_details_is_no_refusal_by_the_rules(call: grpc.aio.AioRpcError, code: Code) -> None:
    error = read_status(call).error
    assert isinstance(error, ConditionError)
    assert error.code is code


def test_every_code_has_a_remedy_and_what_others_can_mend_is_no_rejection() -> None:
    for code in Code:
        error = read_refusal(code, field="f", found="x", expected="y").error
        assert error.code is code
        assert isinstance(error, ConditionError) == (find_remedy(code) is Remedy.ELSEWHERE)


@given(st.binary(max_size=200))
def test_no_trailer_of_a_stranger_breaks_the_reading_of_a_refusal(trailer: bytes) -> None:
    assert isinstance(read_status(bare_call(trailer)).error, LedgerError)
    assert isinstance(read_status(bare_call(b"\x1a" + bytes([len(trailer) % 128]) + trailer)).error, LedgerError)


# --- addresses -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["grpc://node.example:7302", "grpcs://[::1]:443", "grpc://127.0.0.1:1"])
def test_an_address_is_written_as_it_was_read(text: str) -> None:
    assert str(parse_address(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "node:7302",
        "http://node:7302",
        "grpc://node",
        "grpc://node:",
        "grpc://no de:1",
        "grpc://a:1/x",
        "grpc://a:1\n",
    ],
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(FormatError, match="grpc://host:port"):
        parse_address(text)


def test_a_client_needs_a_node() -> None:
    with pytest.raises(ConditionError, match="nodes"):
        Nodes([])
