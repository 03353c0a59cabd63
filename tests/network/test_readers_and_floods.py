"""Callers that send too much, break off, or never read: memory stays bounded and the others notice nothing."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from devnet.network import Network, Waiting, wait_until
from ledger.limits import MESSAGE_BYTES_MAX, MIB
from node.v1 import reading_pb2, submission_pb2
from tests.network.conftest import BOREALIS, CIMBRIA, Running
from tests.network.hostile_http2 import HostileCaller
from tests.network.parties import Caller, calling, home_of, nation_of
from tests.node.answers import read_refusal

STREAMS = 10_000
CONNECTIONS = 20
STREAMS_MAX = 1_000  # public.streams_max of the nodes
FLOODED = BOREALIS
MEMORY_MAX = 160 * MIB  # what ten thousand streams may add


def memory_of(network: Network, number: int) -> int:
    """Resident bytes of a node's process."""
    pid = int((home_of(network, number).root / "pid").read_text())
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


@pytest.fixture(scope="module")
def address(running: Running) -> str:
    return running.network.nodes[FLOODED].public


@pytest.fixture
def caller(network: Network, address: str) -> Iterator[Caller]:
    with calling(address) as channel:
        yield Caller(channel)


def status_of(call: Callable[[], object]) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.RpcError) as caught:
        call()
    error: Any = caught.value  # a Call too, of which the stubs do not know
    return error.code(), error.details()


def test_a_message_over_the_limit_is_refused_and_the_next_is_taken(caller: Caller) -> None:
    code, _ = status_of(lambda: caller.submit(bytes(MESSAGE_BYTES_MAX + 1)))
    assert code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert caller.size() >= 1


def test_a_few_compressed_bytes_do_not_become_many(network: Network, address: str) -> None:
    before = memory_of(network, FLOODED)
    options = (("grpc.use_local_subchannel_pool", 1), ("grpc.max_send_message_length", -1))
    with grpc.insecure_channel(address, options=options, compression=grpc.Compression.Gzip) as channel:
        entry = bytes(32 * MIB)
        code, _ = status_of(lambda: Caller(channel).submit(entry))
    assert code in {grpc.StatusCode.UNIMPLEMENTED, grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.INTERNAL}
    assert memory_of(network, FLOODED) - before < 16 * MIB


@pytest.mark.parametrize("method", ["Submission/Submit", "Reading/GetCheckpoint", "Reading/GetReceipt"])
def test_a_request_that_is_no_message_is_refused(address: str, method: str) -> None:
    with calling(address) as channel:
        call: Any = channel.unary_unary(f"/node.v1.{method}", request_serializer=lambda raw: raw)
        with pytest.raises(grpc.RpcError) as caught:
            call(b"\xff\xff\xff", timeout=30)
    status, reason, told = read_refusal(caught.value)
    assert (status, reason, told["field"]) == (grpc.StatusCode.INVALID_ARGUMENT, "FORMAT", "request")


def test_a_stream_that_breaks_its_form_is_answered_up_to_there(address: str) -> None:
    good = submission_pb2.SubmitRequest(entry=b"{}", tag=1).SerializeToString()
    with calling(address) as channel:
        call: Any = channel.stream_stream(
            "/node.v1.Submission/SubmitBatch",
            request_serializer=lambda raw: raw,
            response_deserializer=submission_pb2.SubmitBatchResponse.FromString,
        )
        answers = call(iter([good, b"\xff\xff"]), timeout=30)
        assert next(answers).tag == 1
        with pytest.raises(grpc.RpcError) as caught:
            next(answers)
    assert read_refusal(caught.value)[1] == "FORMAT"


@pytest.mark.parametrize("number", [2**63 - 1, 2**63, 2**64 - 1])
def test_numbers_beyond_every_ledger_are_answered(caller: Caller, number: int) -> None:
    reading = caller.reading
    assert list(reading.GetEntries(reading_pb2.GetEntriesRequest(first_index=number, count=number), timeout=30)) == []
    assert list(reading.StreamBlocks(reading_pb2.StreamBlocksRequest(first_height=number), timeout=30)) == []
    for call in (
        lambda: reading.GetInclusionProof(reading_pb2.GetInclusionProofRequest(index=number, tree_size=1), timeout=30),
        lambda: reading.GetInclusionProof(reading_pb2.GetInclusionProofRequest(index=0, tree_size=number), timeout=30),
        lambda: reading.GetConsistencyProof(
            reading_pb2.GetConsistencyProofRequest(old_size=number, new_size=number), timeout=30
        ),
        lambda: reading.GetReceipt(reading_pb2.GetReceiptRequest(index=number), timeout=30),
        lambda: reading.GetReceipt(reading_pb2.GetReceiptRequest(leaf_hash=bytes(number % 5)), timeout=30),
        lambda: reading.GetVerdicts(
            reading_pb2.GetVerdictsRequest(lab="nobody", first_interval=number, count=number), timeout=30
        ),
    ):
        assert status_of(call)[0] is grpc.StatusCode.NOT_FOUND


def test_calls_that_break_off_give_their_places_back(network: Network, address: str) -> None:
    for _ in range(3):
        with HostileCaller(address) as cut:
            for _ in range(STREAMS_MAX):
                stream = cut.open("/node.v1.Submission/SubmitBatch", None)
                cut.send_part(stream, b"\0\0\0\1\0half of a mess")
            cut.look()
    with calling(address) as channel:
        wait_until(lambda: is_streaming(Caller(channel)), Waiting("a place", 60))


def test_ten_thousand_open_streams_are_bounded_and_the_others_unaffected(network: Network, address: str) -> None:
    """A caller opens them with a window of zero and reads nothing; others submit, read and are sealed meanwhile."""
    before = memory_of(network, FLOODED)
    request = reading_pb2.StreamBlocksRequest(first_height=0, follow=True).SerializeToString()
    with ExitStack() as stack:
        flood = [stack.enter_context(HostileCaller(address)) for _ in range(CONNECTIONS)]
        for number in range(STREAMS):
            flood[number % CONNECTIONS].open("/node.v1.Reading/StreamBlocks", request)
        with calling(address) as channel:
            caller = Caller(channel)
            nation = caller.take_place(nation_of(network, FLOODED))
            began = caller.size()
            taken = caller.submit(nation.note(nation.register("lab-in-a-flood")), timeout_s=60)
            assert taken.sealed
            assert caller.size() > began
            wait_until(lambda: is_streaming(caller), Waiting("a place for another address", 60))
        for each in flood:
            each.look()
        with calling(network.nodes[CIMBRIA].public) as channel:
            assert Caller(channel).size() > began
        grown = memory_of(network, FLOODED) - before
        assert grown < MEMORY_MAX, f"{grown // MIB} MiB"
        assert sum(1 for each in flood if not each.is_closed_by_server) > 0
    with calling(address) as channel:
        wait_until(lambda: is_streaming(Caller(channel)), Waiting("a place for a reader that reads", 60))


def is_streaming(caller: Caller) -> bool:
    """Say whether there is a place for a stream of blocks."""
    call = caller.reading.StreamBlocks(reading_pb2.StreamBlocksRequest(first_height=0, follow=True), timeout=30)
    try:
        return bool(next(iter(call)).header)
    except grpc.RpcError:
        return False
    finally:
        call.cancel()


def test_health_and_reflection_are_the_standard_ones(network: Network, address: str) -> None:
    with calling(address) as channel:
        health: Any = health_pb2_grpc.HealthStub(channel)  # whose stubs lack its methods
        for name in ("", "node.v1.Submission", "node.v1.Reading"):
            answer = health.Check(health_pb2.HealthCheckRequest(service=name), timeout=30)
            assert answer.status == health_pb2.HealthCheckResponse.SERVING
        unknown = health_pb2.HealthCheckRequest(service="node.v1.Peer")
        assert status_of(lambda: health.Check(unknown, timeout=30))[0] is grpc.StatusCode.NOT_FOUND
        asked = reflection_pb2.ServerReflectionRequest(list_services="")
        stub: Any = reflection_pb2_grpc.ServerReflectionStub(channel)
        listed = next(iter(stub.ServerReflectionInfo(iter([asked]), timeout=30)))
        names = [service.name for service in listed.list_services_response.service]
    assert {"node.v1.Submission", "node.v1.Reading", "grpc.health.v1.Health"} <= {*names}
    assert not any("Peer" in name or "Operator" in name for name in names)


def test_a_half_closed_caller_does_not_hold_a_batch_open(caller: Caller) -> None:
    began = time.monotonic()
    answers = list(caller.submission.SubmitBatch(iter([submission_pb2.SubmitRequest(entry=b"{}", tag=9)]), timeout=20))
    assert [answer.tag for answer in answers] == [9]
    assert time.monotonic() - began < 20
