"""What the core asks people to look at at once: each is a line in the log at its highest level."""

from typing import assert_never

import structlog

from node.consensus.messages import QuorumDisagrees, VoteForgotten


def sound_alarm(action: QuorumDisagrees | VoteForgotten) -> None:
    """Say what happened as loudly as a log can."""
    log = structlog.get_logger("consensus")
    match action:
        case QuorumDisagrees():
            log.critical(
                "a quorum accepted a block that this node's rules refuse; standing still",
                height=action.header.height,
                rejection=str(action.rejection),
            )
        case VoteForgotten():
            log.critical(
                "the vote log is an old one: it lacks a vote that this node signed; following only for now",
                kind=action.vote.kind.name,
                view=action.vote.view,
            )
        case _:
            assert_never(action)
