"""The one word for the whole network, on top of the board: what `ledger.network` says of this observer's own copy."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from rich.console import RenderableType
from rich.panel import Panel
from rich.text import Text

from ledger.errors import PolicyError
from ledger.network import NetworkReport, NetworkState, judge_network
from ledger.positions import Millis
from ledger.statements.verdicts import VerdictState
from observer.copy import Copy
from observer.evidence import list_evidence, list_undecided
from observer.heads import HEADS_FILE, open_heads

_STYLES: Final = {
    NetworkState.HOLDING: "cyan",  # no green here either
    NetworkState.STRAINED: "yellow",
    NetworkState.BREACHED: "bold red",
    NetworkState.BLIND: "bold reverse red",
}


@dataclass(frozen=True, slots=True)
class Outlook:
    """How the network stands for this observer.

    Attributes:
        report: the word and its reasons.
        forks_count: proofs of a fork, also those about which somebody has decided.
        undecided: names of the folders with proofs of a fork about which nobody has decided.
        rollbacks: names of the folders with proofs that a member went back.
    """

    report: NetworkReport
    forks_count: int
    undecided: tuple[str, ...]
    rollbacks: tuple[str, ...]


def judge(copy: Copy, states: Sequence[VerdictState], *, now_ms: Millis) -> Outlook:
    """Judge the network by a copy, the heads and evidence beside it, and a clock.

    Args:
        copy: of the ledger.
        states: of the newest verdicts in it.
        now_ms: by this machine's clock.
    """
    home = copy.path.parent
    asked_ms = None
    if (home / HEADS_FILE).exists():
        with open_heads(home, copy.charter) as heads:
            asked_ms = heads.asked_ms()
    undecided = tuple(folder.name for folder in list_undecided(home))
    report = judge_network(
        copy.charter,
        head_ms=copy.head.header.time_ms,
        asked_ms=asked_ms,
        now_ms=now_ms,
        forks_count=len(undecided),
        states=states,
    )
    forks_count = len(list_evidence(home, "contradiction"))
    return Outlook(report, forks_count, undecided, tuple(folder.name for folder in list_evidence(home, "rollback")))


def require_sight(outlook: Outlook) -> None:
    """Refuse a network that nobody can vouch for, or whose rules are broken, for scripts that watch it.

    Raises:
        PolicyError: `network`: it is blind or breached.
    """
    state, reasons = outlook.report.state, outlook.report.reasons
    if state in (NetworkState.BLIND, NetworkState.BREACHED):
        found = f"{state}: {'; '.join(sentence for _, sentence in reasons)}"
        raise PolicyError(field="network", found=found, expected="holding or strained")


def encode_outlook(outlook: Outlook) -> dict[str, Any]:
    """Give an outlook as JSON has it; Any because its values are of several types."""
    return {
        "state": outlook.report.state.value,
        "reasons": [{"code": reason.value, "said": sentence} for reason, sentence in outlook.report.reasons],
        "undecided_forks": list(outlook.undecided),
        "rollbacks": list(outlook.rollbacks),
    }


def render_outlook(outlook: Outlook) -> RenderableType:
    """Lay the word and its reasons out for a terminal."""
    state = outlook.report.state
    text = Text(state.value, style=_STYLES[state])
    for _, sentence in outlook.report.reasons:
        text.append(f"\n{sentence}", style="default")
    for name in outlook.undecided:
        text.append(f"\nproof that a quorum signed two histories: evidence/{name}", style="bold red")
    for name in outlook.rollbacks:
        text.append(f"\nproof that a member signed an older tree as its newest: evidence/{name}", style="yellow")
    return Panel(text, title="the network", border_style=_STYLES[state])
