"""Who talks to a network of real nodes in these tests: nations by their keys, labs, and their calls."""

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path

import grpc

from devnet.network import Network
from ledger.charter import Charter, ConsensusParameters, Grid, Limit
from ledger.positions import Millis, Seconds
from node.daemon import read_charter
from node.home import Home
from node.keystore import Keystore, MemberKeys, Passphrase
from node.setup import Terms
from node.v1 import reading_pb2, reading_pb2_grpc, submission_pb2, submission_pb2_grpc
from tests.node.answers import read_refusal
from tests.node.statements import LIMIT, Issuer

INTERVAL_S = 100_000
PASSPHRASE = "for a devnet only"


def make_terms() -> Terms:
    """A grid that began long ago, and a pace that two busy cores keep."""
    return Terms(
        origin="ledger.example/network",
        title="Network",
        grid=Grid(
            start=Seconds(time.time_ns() // 1_000_000_000 - 5 * INTERVAL_S // 2),
            interval_s=Seconds(INTERVAL_S),
            submit_window_s=Seconds(INTERVAL_S),
            grace_s=Seconds(INTERVAL_S),
            correction_window_s=Seconds(INTERVAL_S),
            challenge_window_s=Seconds(INTERVAL_S),
        ),
        consensus=ConsensusParameters(
            delta_ms=Millis(300), delta_max_ms=Millis(3000), idle_interval_ms=Millis(500), snapshot_interval=0
        ),
        limits=(Limit(id=LIMIT, quantity="training_pflop_per_run", maximum=10**9, note="test"),),
    )


def home_of(network: Network, number: int) -> Home:
    return Home(Path(network.nodes[number].home))


def keys_of(network: Network, number: int) -> MemberKeys:
    """Open a member's own keys."""
    keystore = Keystore(home_of(network, number).keys, randomness=bytes)
    return keystore.open(Passphrase.parse(PASSPHRASE))


def charter_of(network: Network, number: int = 0) -> Charter:
    return read_charter(home_of(network, number).store)


@contextlib.contextmanager
def calling(address: str) -> Iterator[grpc.Channel]:
    """A channel of its own to a node's public address."""
    with grpc.insecure_channel(address, options=(("grpc.use_local_subchannel_pool", 1),)) as channel:
        yield channel


class Caller:
    """A lab or an observer with one channel to one node."""

    def __init__(self, channel: grpc.Channel) -> None:
        self.submission = submission_pb2_grpc.SubmissionStub(channel)
        self.reading = reading_pb2_grpc.ReadingStub(channel)

    def submit(self, entry: bytes, *, wait: bool = True, timeout_s: float = 20.0) -> submission_pb2.SubmitResponse:
        return self.submission.Submit(submission_pb2.SubmitRequest(entry=entry, wait=wait), timeout=timeout_s)

    def refusal(self, entry: bytes) -> tuple[grpc.StatusCode, str, dict[str, str]]:
        """Submit what must be refused; gives status, code and metadata of the refusal."""
        try:
            self.submit(entry)
        except grpc.RpcError as error:
            return read_refusal(error)
        raise AssertionError("taken")

    def take_place(self, issuer: Issuer) -> Issuer:
        """Let an issuer stand where the node says it stands."""
        position = self.submission.GetPosition(submission_pb2.GetPositionRequest(issuer=issuer.id), timeout=30)
        issuer.sequence, issuer.previous = position.next_sequence, position.previous.hex()
        return issuer

    def checkpoint(self) -> str:
        return self.reading.GetCheckpoint(reading_pb2.GetCheckpointRequest(), timeout=30).note

    def size(self) -> int:
        """How many entries are sealed."""
        return int(self.checkpoint().split("\n")[1])


def nation_of(network: Network, number: int) -> Issuer:
    """A nation with its identity key, at its beginning."""
    keys = keys_of(network, number)
    place = network.nodes[number]
    ledger = charter_of(network).ledger_id.hex()
    return Issuer(place.id, ledger, (keys.identity.public_key, keys.identity.sign))
