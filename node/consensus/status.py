"""What an operator sees of the core."""

from collections.abc import Mapping
from dataclasses import dataclass

from ledger.positions import Epoch, Height, MemberIndex, Millis, View
from node.consensus.messages import VoteKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """Where this member stands in the protocol.

    Attributes:
        is_recovering: the vote log was lost and too few members have told their view: this node casts no vote at all.
        muted_until_view: no vote in views up to this one (0: never lost the log).
        is_catching_up: final blocks are being pulled.
        notarized_view: view of the highest notarized block known; its digest in `notarized_digest`.
        votes: how many members' votes of each kind were seen in the current view.
        dropped: messages not taken in, by reason.
    """

    epoch: Epoch
    view: View
    leader: MemberIndex
    delta_ms: Millis
    final_height: Height
    final_view: View
    notarized_view: View
    notarized_digest: bytes
    is_recovering: bool
    muted_until_view: View
    is_catching_up: bool
    votes: Mapping[VoteKind, int]
    dropped: Mapping[str, int]
