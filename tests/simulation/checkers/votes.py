"""No honest member ever signs a conflicting pair, across restarts; and it signs with nobody's number but its own."""

from node.consensus.messages import Message, Proposal, Vote, VoteKind
from tests.simulation.checkers.checker import Checker, require


class Votes(Checker):
    """Remembers every vote of every honest member, as no restart makes it forget."""

    def __init__(self) -> None:
        self._said: dict[tuple[int, int, VoteKind], bytes] = {}

    def on_said(self, member: int, message: Message) -> None:
        if isinstance(message, Proposal):
            vote = message.vote
        elif isinstance(message, Vote):
            vote = message
        else:
            return
        require(vote.member == member, f"member {member} votes for member {vote.member}")
        view, said = vote.view, self._said
        known = said.get((member, view, vote.kind))
        if known == vote.digest:
            return
        require(known is None, f"member {member} said two things of view {view}: {vote.kind.name}")
        said[member, view, vote.kind] = vote.digest
        both = (member, view, VoteKind.NULLIFY) in said and (member, view, VoteKind.FINALIZE) in said
        require(not both, f"member {member} contradicts itself in view {view}: NULLIFY and FINALIZE")
