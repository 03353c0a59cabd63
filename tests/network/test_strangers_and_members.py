"""Who may speak to a node as a member: mutual TLS with pinned identities, and even then nothing is taken on trust."""

import hashlib
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import grpc
import pytest

from devnet.network import Network, Waiting, wait_until
from ledger.errors import Code
from ledger.positions import MemberIndex, Seconds
from node.consensus.messages import Fault
from node.daemon import read_clock
from node.greeting import PROTOCOL_VERSION
from node.home import members_of_charter
from node.keys import IdentityKey
from node.operating import OperatorClient
from node.peers import CALLS_PER_MEMBER_MAX
from node.tls import TlsKey, issue_certificate, read_tls_key, server_name
from node.v1 import peer_pb2, peer_pb2_grpc
from tests.network.conftest import AURELIA, BOREALIS, height_of, wait_for_height
from tests.network.parties import charter_of, home_of
from tests.node.answers import read_refusal

ASKED, LYING = AURELIA, BOREALIS
U64_MAX = 2**64 - 1
LIES = 100


@contextmanager
def dialling(network: Network, key: TlsKey | None) -> Iterator[grpc.Channel]:
    """A channel to a node's port for members, with a certificate of one's own or none."""
    place = network.nodes[ASKED]
    roots = (home_of(network, LYING).peers / f"{place.id}.pem").read_bytes()
    credentials = (
        grpc.ssl_channel_credentials(roots)
        if key is None
        else grpc.ssl_channel_credentials(roots, key.private_key, key.certificate)
    )
    options = (("grpc.ssl_target_name_override", server_name(place.id)), ("grpc.use_local_subchannel_pool", 1))
    with grpc.secure_channel(place.peer, credentials, options=options) as channel:
        yield channel


@pytest.fixture
def as_member(network: Network) -> Iterator[grpc.Channel]:
    """A channel of a member's own, as the node itself would open it."""
    with dialling(network, read_tls_key(home_of(network, LYING).tls)) as channel:
        yield channel


def greeting(network: Network, **changes: Any) -> peer_pb2.GreetRequest:  # fields of every type
    right: dict[str, Any] = {
        "protocol_version": PROTOCOL_VERSION,
        "ledger_id": charter_of(network).ledger_id,
        "member": LYING + 1,
        "time_ms": read_clock(),
    }
    return peer_pb2.GreetRequest(**(right | changes))


def status_of(call: Callable[[], object]) -> tuple[grpc.StatusCode, str]:
    """Status and reason of a call that must be refused."""
    with pytest.raises(grpc.RpcError) as caught:
        call()
    status, reason, _ = read_refusal(caught.value)
    return status, reason


def test_a_stranger_with_a_certificate_of_another_ledger_is_not_let_in(network: Network) -> None:
    identity = IdentityKey(hashlib.sha256(b"the same member id in another ledger").digest())
    name = network.nodes[LYING].id
    key = issue_certificate(member_id=name, sign=identity.sign, now=Seconds(read_clock() // 1000))
    for stranger in (key, None):
        with dialling(network, stranger) as channel:
            stub = peer_pb2_grpc.PeerStub(channel)
            status, _ = status_of(lambda: stub.Greet(greeting(network), timeout=30))  # noqa: B023  # called at once
            assert status is grpc.StatusCode.UNAVAILABLE


def test_a_caller_without_tls_is_not_let_in(network: Network) -> None:
    with grpc.insecure_channel(network.nodes[ASKED].peer) as channel:
        status, _ = status_of(lambda: peer_pb2_grpc.PeerStub(channel).Greet(greeting(network), timeout=30))
        assert status is grpc.StatusCode.UNAVAILABLE


def test_a_member_is_let_in_and_is_told_what_does_not_fit(network: Network, as_member: grpc.Channel) -> None:
    stub = peer_pb2_grpc.PeerStub(as_member)
    answer = stub.Greet(greeting(network), timeout=30)
    assert (answer.member, answer.ledger_id) == (ASKED + 1, charter_of(network).ledger_id)
    for changes, code in (
        ({"protocol_version": PROTOCOL_VERSION + 1}, Code.VERSION_MISMATCH),
        ({"ledger_id": bytes(32)}, Code.WRONG_LEDGER),
        ({"ledger_id": b""}, Code.WRONG_LEDGER),
        ({"member": 3}, Code.UNAUTHENTICATED),
    ):
        status, reason = status_of(lambda: stub.Greet(greeting(network, **changes), timeout=30))  # noqa: B023  # at once
        assert reason == code
        assert status in {grpc.StatusCode.FAILED_PRECONDITION, grpc.StatusCode.UNAUTHENTICATED}
    client = OperatorClient(home_of(network, ASKED).root / "operator.sock")
    peer = next(peer for peer in client.peers().peers if peer.member == LYING + 1)
    refused = {counter.name: counter.value for counter in peer.refused}
    assert {Code.VERSION_MISMATCH, Code.WRONG_LEDGER, Code.UNAUTHENTICATED} <= refused.keys()


def deliver(channel: grpc.Channel, messages: Iterable[bytes]) -> peer_pb2.DeliverResponse:
    """Send bytes as a member's stream."""
    call: Callable[..., peer_pb2.DeliverResponse] = channel.stream_unary(
        "/node.v1.Peer/Deliver",
        request_serializer=lambda raw: raw,
        response_deserializer=peer_pb2.DeliverResponse.FromString,
    )
    return call(iter(messages), timeout=60)


def hostile_messages(network: Network) -> list[bytes]:
    """Envelopes that are well-formed and say nothing that can be so."""
    ledger = charter_of(network).ledger_id
    vote = peer_pb2.Vote(kind=1, view=U64_MAX, digest=bytes(32), member=LYING + 1, signature=bytes(64))
    bodies: list[dict[str, Any]] = [
        {"vote": vote},
        {"vote": peer_pb2.Vote(kind=99, view=1)},
        {"vote": peer_pb2.Vote(kind=2, view=1, member=LYING + 1, signature=bytes(64))},
        {"vote": peer_pb2.Vote(kind=2, view=1, member=ASKED + 1, signature=bytes(64))},
        {"vote": peer_pb2.Vote(kind=3, view=2**40, digest=bytes(32), member=2, signature=bytes(64), share=bytes(48))},
        {"proposal": peer_pb2.Proposal(header=b"\xff" * 100, vote=vote)},
        {"proposal": peer_pb2.Proposal(entry_hashes=[bytes(32)] * 20_000)},
        {"certificate": peer_pb2.Certificate(kind=2, view=1, votes=[vote] * 3_000)},
        {"certificate": peer_pb2.Certificate(kind=1, view=2**62, digest=bytes(32), votes=[vote] * 3)},
        {"finalization": peer_pb2.Finalization(header=b"", seal=bytes(48))},
        {"gossip": peer_pb2.Gossip(entries=[b""] * 10_001)},
        {"gossip": peer_pb2.Gossip(entries=[bytes(70_000)] * 10)},
        {"cosignature": peer_pb2.Cosignature(tree_size=U64_MAX, root=bytes(32), line=bytes(70))},
        {"cosignature": peer_pb2.Cosignature(tree_size=1, root=bytes(5), line=b"")},
        {},
    ]
    envelopes = [peer_pb2.PeerMessage(ledger_id=ledger, epoch=1, **body) for body in bodies]
    envelopes += [
        peer_pb2.PeerMessage(ledger_id=bytes(32), epoch=1, vote=vote),
        peer_pb2.PeerMessage(ledger_id=ledger, epoch=U64_MAX, vote=vote),
    ]
    return [envelope.SerializeToString() for envelope in envelopes]


def test_what_a_member_sends_that_cannot_be_is_counted_and_ends_nothing(
    network: Network, as_member: grpc.Channel
) -> None:
    messages = hostile_messages(network)
    answer = deliver(as_member, messages * 20)
    assert answer.accepted + answer.refused == 20 * len(messages)
    assert answer.refused >= 20 * (len(messages) - 5)
    refused = status_of(lambda: deliver(as_member, [b"\xff\xff\xff no message at all"]))
    assert refused == (grpc.StatusCode.INVALID_ARGUMENT, Code.FORMAT)
    height = height_of(network, ASKED)
    wait_for_height(network, ASKED, height + 2)


def test_lies_in_a_members_name_do_not_silence_what_its_own_node_says(
    network: Network, as_member: grpc.Channel
) -> None:
    votes = [peer_pb2.Vote(kind=2, view=2**40, member=number, signature=bytes(64)) for number in (1, 2, 3)]
    lie = peer_pb2.PeerMessage(
        ledger_id=charter_of(network).ledger_id,
        epoch=1,
        certificate=peer_pb2.Certificate(kind=2, view=2**40, votes=votes),
    )
    before = lies_counted(network)
    assert deliver(as_member, [lie.SerializeToString()] * LIES).accepted < LIES
    height = height_of(network, ASKED)
    wait_for_height(network, ASKED, height + 2 * len(network.nodes))
    counted = lies_counted(network) - before
    assert counted[Fault.HELD_BACK] > LIES / 2
    assert counted.total() == LIES, "and nothing that the true node has said meanwhile"


def lies_counted(network: Network) -> Counter[str]:
    """What the asked node did not believe of the liar, or did not look at."""
    client = OperatorClient(home_of(network, ASKED).root / "operator.sock")
    peer = next(peer for peer in client.peers().peers if peer.member == LYING + 1)
    return Counter({counter.name: counter.value for counter in peer.refused if counter.name in set(Fault)})


def test_questions_without_an_answer_get_none(network: Network, as_member: grpc.Channel) -> None:
    stub = peer_pb2_grpc.PeerStub(as_member)
    for asked in (
        {"entries": peer_pb2.EntriesByHash(leaf_hashes=[bytes(32), b"", bytes(31)] * 1_000)},
        {"block": peer_pb2.BlockByDigest(digest=bytes(32))},
        {"block": peer_pb2.BlockByDigest(digest=b"short")},
        {"final_blocks": peer_pb2.FinalBlocks(first_height=U64_MAX, count=U64_MAX)},
        {"certificate": peer_pb2.CertificateOf(kind=99, view=1)},
        {"cosignatures": peer_pb2.CosignaturesOf(interval=U64_MAX)},
        {},
    ):
        request = peer_pb2.FetchRequest(**asked)
        answers = list(stub.Fetch(request, timeout=20))
        assert all(not answer.entries.entries for answer in answers)
        assert len(answers) <= 1
    everything = peer_pb2.FetchRequest(final_blocks=peer_pb2.FinalBlocks(first_height=0, count=U64_MAX))
    assert len(list(stub.Fetch(everything, timeout=20))) >= height_of(network, ASKED)
    status, reason = status_of(lambda: stub.Found(peer_pb2.FoundRequest(session_id=b"no", messages=[b"x"]), timeout=30))
    assert (status, reason) == (grpc.StatusCode.FAILED_PRECONDITION, Code.WRONG_LEDGER)


def test_one_member_holds_a_bounded_number_of_calls(network: Network, as_member: grpc.Channel) -> None:
    held = [open_stream(as_member) for _ in range(CALLS_PER_MEMBER_MAX)]
    try:
        status, reason = status_of(lambda: deliver(as_member, hostile_messages(network)[:1]))
        assert (status, reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, Code.TOO_MANY_STREAMS)
    finally:
        for call in held:
            call.cancel()
    wait_until(lambda: is_delivered(as_member, hostile_messages(network)[:1]), Waiting("a place", 60))


def open_stream(channel: grpc.Channel) -> Any:  # a call of gRPC's own type
    """Begin a stream that says nothing and stays."""
    ended = threading.Event()

    def requests() -> Iterator[bytes]:
        yield from ()
        ended.wait(20)

    call: Any = channel.stream_unary("/node.v1.Peer/Deliver", request_serializer=lambda raw: raw).future(requests())
    call.add_done_callback(lambda _: ended.set())
    return call


def is_delivered(channel: grpc.Channel, messages: list[bytes]) -> bool:
    try:
        deliver(channel, messages)
    except grpc.RpcError:
        return False
    return True


def test_the_pinned_identities_are_those_of_the_charter(network: Network) -> None:
    members = members_of_charter(charter_of(network))
    now = Seconds(read_clock() // 1000)
    shown = home_of(network, ASKED).read_certificates(members, now)
    assert list(shown) == [MemberIndex(number) for number in range(1, 5)]
