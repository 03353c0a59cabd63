"""How the network stands as a whole, in one word: holding, strained, breached or blind. A pure function.

The first that applies, from the worst down:

- *blind*: nobody can tell. A fork was proven and no person has decided about it; or nothing was finalized for two
  intervals; or sources answered, and had nothing new to show for longer than a network with a quorum is silent. A
  ledger that stands still must not look good, whatever its verdicts say, so this one outweighs the others.
- *breached*: some newest verdict is `exceeded`.
- *strained*: some newest verdict is `late`, `unverifiable`, `contested` or `missing`.
- *holding*: none of these.

The word speaks of what was declared and sealed, as verdicts do; every reason is kept, also where a worse one decides.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from ledger.charter import Charter
from ledger.positions import Millis
from ledger.statements.verdicts import VerdictState

BLIND_INTERVALS: Final = 2
SILENCE_IDLE_INTERVALS: Final = 30
SILENCE_MIN_MS: Final = Millis(120_000)
"""An idle network seals an empty block every idle interval; so many missed, and for so long, is no hiccup."""


class NetworkState(StrEnum):
    """The one word."""

    HOLDING = "holding"
    STRAINED = "strained"
    BREACHED = "breached"
    BLIND = "blind"


class NetworkReason(StrEnum):
    """Why; stable, for programs."""

    FORK_PROVEN = "FORK_PROVEN"
    NOTHING_FINALIZED = "NOTHING_FINALIZED"
    QUORUM_LOST = "QUORUM_LOST"
    CLOCK_BEHIND = "CLOCK_BEHIND"
    EXCEEDED = "EXCEEDED"
    NOT_COMPLIANT = "NOT_COMPLIANT"


@dataclass(frozen=True, slots=True)
class NetworkReport:
    """The word, and every reason there is with a sentence for each, the deciding ones first."""

    state: NetworkState
    reasons: tuple[tuple[NetworkReason, str], ...]


def judge_network(
    charter: Charter,
    *,
    head_ms: Millis,
    asked_ms: Millis | None,
    now_ms: Millis,
    forks_count: int,
    states: Sequence[VerdictState],
) -> NetworkReport:
    """Judge the network by a ledger, what was seen of it, and a clock.

    Args:
        charter: its interval and idle interval.
        head_ms: block time of the newest sealed block that is known.
        asked_ms: when a source last answered by this clock, if any ever did.
        now_ms: by the clock of whoever judges.
        forks_count: proofs that a quorum sealed two histories about which nobody has decided yet.
        states: of the newest verdict on every cluster's interval.
    """
    found: list[tuple[NetworkState, NetworkReason, str]] = []
    for reason, sentence in _find_blindness(charter, head_ms, asked_ms, now_ms, forks_count):
        found.append((NetworkState.BLIND, reason, sentence))
    exceeded = states.count(VerdictState.EXCEEDED)
    if exceeded:
        found.append((NetworkState.BREACHED, NetworkReason.EXCEEDED, f"{exceeded} verdicts are exceeded"))
    fine = (VerdictState.COMPLIANT, VerdictState.PENDING, VerdictState.EXCEEDED)
    counts = {state: states.count(state) for state in VerdictState if state not in fine and state in states}
    if counts:
        said = ", ".join(f"{count} {state}" for state, count in counts.items())
        found.append((NetworkState.STRAINED, NetworkReason.NOT_COMPLIANT, f"verdicts: {said}"))
    state = found[0][0] if found else NetworkState.HOLDING
    return NetworkReport(state=state, reasons=tuple((reason, sentence) for _, reason, sentence in found))


def _find_blindness(
    charter: Charter, head_ms: Millis, asked_ms: Millis | None, now_ms: Millis, forks_count: int
) -> list[tuple[NetworkReason, str]]:
    found = []
    if forks_count:
        sentence = f"a quorum sealed two histories: {forks_count} proven and not decided about"
        found.append((NetworkReason.FORK_PROVEN, sentence))
    interval_ms = charter.predicate.grid.interval_s * 1000
    if now_ms - head_ms >= BLIND_INTERVALS * interval_ms:
        sentence = f"nothing finalized for {(now_ms - head_ms) // 1000} s, {BLIND_INTERVALS} intervals or more"
        found.append((NetworkReason.NOTHING_FINALIZED, sentence))
    silence_ms = max(SILENCE_MIN_MS, SILENCE_IDLE_INTERVALS * charter.predicate.consensus.idle_interval_ms)
    if asked_ms is not None and asked_ms - head_ms >= silence_ms:
        sentence = f"no quorum: sources answered, and showed nothing sealed for {(asked_ms - head_ms) // 1000} s"
        found.append((NetworkReason.QUORUM_LOST, sentence))
    if head_ms - now_ms >= interval_ms:
        sentence = f"this clock is {(head_ms - now_ms) // 1000} s behind the newest block: how old it is cannot be told"
        found.append((NetworkReason.CLOCK_BEHIND, sentence))
    return found
