"""What the driver and those who pull need of other members: links that `node.peers` makes of sockets.

Whoever gives these three things can stand in the network's place: the simulator runs whole nodes on virtual time so.
"""

from collections.abc import AsyncGenerator, Mapping
from typing import Protocol

from ledger.positions import MemberIndex
from node.outbox import Urgency
from node.peers import PeerState
from node.v1 import peer_pb2


class Link(Protocol):
    """One other member."""

    @property
    def state(self) -> PeerState:
        """Say what is known of the connection."""

    def fetch(self, request: peer_pb2.FetchRequest) -> AsyncGenerator[peer_pb2.FetchResponse]:
        """Pull what this node lacks; close the generator if you do not read it to its end.

        Raises:
            ConditionError: `UNREACHABLE`, now or in the middle.
            FormatError: an answer that is no message.
        """


class Links(Protocol):
    """All other members."""

    @property
    def links(self) -> Mapping[MemberIndex, Link]:
        """Give each other member's link."""

    def send(self, member: MemberIndex, urgency: Urgency, raw: bytes) -> None:
        """Put one message on its way to one member; it may never arrive."""

    def broadcast(self, urgency: Urgency, raw: bytes) -> None:
        """Put one message on its way to every member; it may arrive anywhere or nowhere."""

    def connected(self) -> list[MemberIndex]:
        """Return who answers now."""
