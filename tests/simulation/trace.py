"""What happened, in words and as one digest by which two runs of one plan are compared."""

import hashlib
from collections import deque

from node.consensus import messages as m

HEX_SHOWN = 8


class Trace:
    """Takes every action of every member, and what was done to them; the last lines are kept if anybody will read."""

    def __init__(self, *, kept: int = 0) -> None:
        self._digest = hashlib.sha256()
        self.lines: deque[str] = deque(maxlen=kept)
        self.is_read = kept > 0

    def note(self, now_ms: int, who: str, what: str) -> None:
        """Add a line that counts."""
        line = f"{now_ms:>7} {who:<3} {what}"
        self._digest.update(line.encode())
        if self.is_read:
            self.lines.append(line)

    def tell(self, now_ms: int, who: str, what: str) -> None:
        """Add a line for a reader alone."""
        if self.is_read:
            self.lines.append(f"{now_ms:>7} {who:<3} {what}")

    def digest(self) -> str:
        """Give the digest of all that counted so far."""
        return self._digest.hexdigest()


def _short(raw: bytes) -> str:
    return raw[: HEX_SHOWN // 2].hex()


def describe_message(message: m.Message) -> str:
    """Say what a message says, in a few words."""
    match message:
        case m.Vote():
            of = f" of {_short(message.digest)}" if message.digest else ""
            return f"{message.kind.name} {message.view}{of} by {message.member} {_short(message.signature)}"
        case m.Proposal(header=header):
            return (
                f"PROPOSE {header.view}: {_short(header.digest)} height {header.height}, {header.entry_count} entries"
            )
        case m.Certificate():
            name = "NOTARIZATION" if message.kind is m.VoteKind.NOTARIZE else "NULLIFICATION"
            return f"{name} {message.view} {_short(message.digest)} by {[vote.member for vote in message.votes]}"
        case m.Finalization(header=header):
            return f"FINALIZATION {header.view}: {_short(header.digest)} height {header.height} {_short(message.seal)}"


def describe_action(action: m.Action) -> str:  # noqa: C901, PLR0911, PLR0912  # a case an action
    """Say what a core wants done."""
    match action:
        case m.Persist():
            return f"persists {len(action.record)} bytes ending {action.record[-4:].hex()}"
        case m.Broadcast():
            return f"says {describe_message(action.message)}"
        case m.Send():
            return f"says to {action.member} {describe_message(action.message)}"
        case m.SetTimer():
            return f"sets {action.timer.name} {action.view} to {action.at_ms}"
        case m.BuildBlock():
            return f"builds for {action.view} on {_short(action.parent.digest)} height {action.parent.height}"
        case m.ExecuteBlock():
            return f"executes {_short(action.header.digest)} of {action.header.view} from {action.source}"
        case m.FetchBlock():
            return f"asks {action.member} for block {_short(action.digest)}"
        case m.FetchCertificate():
            return f"asks {action.member} for {action.kind.name} {action.view}"
        case m.FetchViews():
            return "asks all for their views"
        case m.FetchFinalBlocks():
            return f"catches up from {action.from_height} to {action.target.height} with {action.member}"
        case m.Finalized():
            return "makes final " + ", ".join(
                f"{block.header.height} {_short(block.header.digest)}" for block in action.blocks
            )
        case m.EvidenceFound():
            return f"has evidence of {action.misconduct} by {action.member}"
        case m.PeerMisbehaved():
            return f"complains of {action.member}: {action.fault} {action.detail}"
        case m.VoteForgotten():
            return f"is shown its own {describe_message(action.vote)}, which its log does not hold"
        case m.QuorumDisagrees():
            return f"cannot follow a quorum: {action.rejection}"


def describe_event(event: m.Event) -> str:  # noqa: PLR0911  # a case an event
    """Say what a core is told."""
    match event:
        case m.MessageReceived():
            return f"hears from {event.source} {describe_message(event.message)}"
        case m.TimerFired():
            return f"sees {event.timer.name} {event.view} fire"
        case m.BlockBuilt():
            return f"has built {_short(event.header.digest)} with {event.header.entry_count} entries"
        case m.BlockExecuted():
            return f"has executed {_short(event.digest)}: {event.rejection or 'valid'}"
        case m.BlockFetched():
            return f"is given block {_short(event.header.digest)} by {event.source}"
        case m.CertificateFetched():
            return f"is given {describe_message(event.certificate)} by {event.source}"
        case m.CaughtUp():
            return f"has caught up to {event.header.height}"
        case m.ViewTold():
            return f"is told view {event.view} by {event.member}"
        case _:
            return f"is told {event}"
