"""This node's own votes: what it has said, what it may still say, and what must be on disk before it says it.

Holds rules a and b and step 9 of the protocol in `core.py`. A vote is made here or nowhere.
"""

from collections.abc import Iterable
from typing import Final, assert_never

from ledger.blocks import seal_message
from ledger.positions import MemberIndex, View
from node.consensus import votelog
from node.consensus.chain import Block, Execution, Node
from node.consensus.messages import (
    NO_DIGEST,
    NO_SHARE,
    Certificate,
    CoreConfig,
    Keys,
    Vote,
    VoteKind,
    compute_vote_message,
)

RECOVERY_MARGIN_VIEWS: Final = 2  # step 9


class Ballot:
    """Votes of this node in the views above the newest final one."""

    def __init__(self, config: CoreConfig, keys: Keys) -> None:
        self._config = config
        self._keys = keys
        self._votes: dict[View, dict[VoteKind, Vote]] = {}
        self._unpersisted: list[Certificate] = []
        self._told_views: dict[MemberIndex, View] = {}
        self._shown_view = View(0)  # highest of a vote that others showed and this node had forgotten
        self.is_recovering = False
        self.muted_until = View(0)

    def replay(self, record: Vote | votelog.Lost | votelog.Barrier) -> None:
        """Take in what the vote log says this node said."""
        match record:
            case Vote():
                self._votes.setdefault(record.view, {})[record.kind] = record
            case votelog.Lost():
                self.is_recovering = True
            case votelog.Barrier():
                self.is_recovering = False
                if record.epoch == self._config.epoch:
                    self.muted_until = max(self.muted_until, record.view)
            case _:
                assert_never(record)

    def get(self, view: View) -> dict[VoteKind, Vote]:
        """Give this node's votes of a view."""
        return self._votes.get(view, {})

    def views(self) -> list[View]:
        """List the views this node has voted in, lowest first."""
        return sorted(self._votes)

    def finalizes(self) -> list[Vote]:
        """List this node's FINALIZE votes of views that are not final, newest first."""
        kept = (self._votes[view].get(VoteKind.FINALIZE) for view in reversed(self.views()))
        return [vote for vote in kept if vote is not None]

    def may_cast(self, kind: VoteKind, view: View, *, current: View) -> bool:
        """Tell whether this vote may be made while in the view `current`."""
        said = self.get(view)
        if kind in said or self.is_recovering or view <= self.muted_until:  # rule a; step 9
            return False
        match kind:
            case VoteKind.NOTARIZE:
                return view == current
            case VoteKind.NULLIFY:
                return view == current and VoteKind.FINALIZE not in said  # rule b
            case VoteKind.FINALIZE:
                return view < current and VoteKind.NULLIFY not in said  # rule b
            case _:
                assert_never(kind)

    def cast(self, kind: VoteKind, view: View, node: Node | None, *, current: View) -> tuple[Vote, bytes]:
        """Make a vote.

        Args:
            kind: what it says.
            view: of which view.
            node: about which executed block; None for NULLIFY.
            current: the view this node is in.

        Returns:
            The vote, and what must be durable before it is sent: the block if it is not on disk yet, the certificates
            learned since the last vote, and the vote.
        """
        assert self.may_cast(kind, view, current=current)
        assert (node is None) == (kind is VoteKind.NULLIFY)
        records: list[votelog.Record] = [*self._unpersisted]
        digest, share = NO_DIGEST, NO_SHARE
        if node is not None:
            assert node.execution is Execution.VALID  # rule c
            header = node.block.header
            digest = header.digest
            if not node.is_persisted:
                node.is_persisted = True
                records.append(Block(header, node.block.entry_hashes))
            if kind is VoteKind.FINALIZE:
                share = self._keys.make_share(seal_message(header, self._config.origin))
        epoch = self._config.epoch
        message = compute_vote_message(
            ledger_id=self._config.ledger_id, kind=kind, epoch=epoch, view=view, digest=digest, share=share
        )
        vote = Vote(kind, epoch, view, digest, self._config.me, self._keys.sign_vote(message), share)
        self._unpersisted = []
        self._votes.setdefault(view, {})[kind] = vote
        return vote, b"".join(map(votelog.encode_record, [*records, vote]))

    def learned(self, certificate: Certificate) -> None:
        """Persist this certificate with the next vote: if all stop at once, somebody can still prove the views."""
        self._unpersisted.append(certificate)

    def find_forgotten(self, votes: Iterable[Vote], *, above: View) -> Vote | None:
        """Step 9: find a vote of this member, believed to be signed by it, that it does not know it cast."""
        floor = max(above, self.muted_until)
        for vote in votes:
            if vote.member == self._config.me and vote.view > floor and not self.is_recovering:
                known = self.get(vote.view).get(vote.kind)
                if known is None or known.digest != vote.digest:
                    return vote
        return None

    def lose(self, shown: Vote) -> bytes:
        """Step 9: recover as from a lost log, since this vote is not in it; gives what must be durable."""
        self.is_recovering, self._shown_view = True, max(self._shown_view, shown.view)
        self._told_views.clear()
        return votelog.encode_record(votelog.Lost())

    def take_view(self, member: MemberIndex, view: View) -> None:
        """Step 9: another member told its view."""
        self._told_views[member] = max(view, self._told_views.get(member, View(0)))

    def lift_recovery(self, *, current: View) -> bytes | None:
        """Step 9: once enough others have told their view, say up to where to be mute; gives what must be durable."""
        if not self.is_recovering or len(self._told_views) < min(self._config.quorum, self._config.member_count - 1):
            return None
        highest = max(current, self._shown_view, *self._told_views.values(), self.muted_until)
        self.is_recovering, self.muted_until = False, View(highest + RECOVERY_MARGIN_VIEWS)
        return votelog.encode_record(votelog.Barrier(epoch=self._config.epoch, view=self.muted_until))

    def prune(self, view: View) -> None:
        """Forget what concerns views up to this final one."""
        self._votes = {known: votes for known, votes in self._votes.items() if known > view}
        self._unpersisted = [certificate for certificate in self._unpersisted if certificate.view > view]
