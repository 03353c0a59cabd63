"""Answers: the first thing somebody sees."""

from typing import Literal

from observer.web.answers.words import Answer, Count, Head, Hex, Rollup, State


class NetworkReason(Answer, frozen=True, kw_only=True):
    """Why the network stands as it does.

    Attributes:
        code: stable, such as `FORK_PROVEN`, `NOTHING_FINALIZED`, `QUORUM_LOST`, `CLOCK_BEHIND`, `EXCEEDED`.
        said: one sentence.
    """

    code: str
    said: str


class Network(Answer, frozen=True, kw_only=True):
    """How the network stands for this observer, in one word.

    Attributes:
        state: the word; `blind` outweighs every other.
        reasons: every reason there is, the deciding ones first.
        undecided_forks: names of the folders with proofs of two histories about which nobody has decided.
        forks_count: proofs of two histories, also those about which somebody has decided.
        rollbacks: names of the folders with proofs that a member went back.
    """

    state: Literal["holding", "strained", "breached", "blind"]
    reasons: list[NetworkReason]
    undecided_forks: list[str]
    forks_count: Count
    rollbacks: list[str]


class Counts(Answer, frozen=True, kw_only=True):
    """How much there is.

    Attributes:
        nations: members of the committee.
        labs: registered.
        clusters: registered.
        verdicts: newest verdicts, one for each cluster's interval.
        verdicts_by_state: the same, by state.
        pauses_active: pauses that are activated and not over.
        misconduct: statements of misconduct.
        incidents: that labs told of.
        enforcements: measures of nations.
    """

    nations: Count
    labs: Count
    clusters: Count
    verdicts: Count
    verdicts_by_state: dict[State, Count]
    pauses_active: Count
    misconduct: Count
    incidents: Count
    enforcements: Count


class Overview(Answer, frozen=True, kw_only=True):
    """The first thing somebody sees.

    Attributes:
        head: what it was read at.
        now_ms: this machine's clock, by which `network` was judged.
        title: the charter's.
        origin: the ledger's name in checkpoints.
        charter_fingerprint: SHA-256 of entry 0: what the copy is pinned to.
        quorum: how many members make a seal.
        audited_height: up to where an audit executed every rule again and found all to hold; null if there was none.
        seals_per_minute_tenths: sealed blocks a minute over the newest blocks, in tenths.
        network: the one word.
        interval: the newest interval of which something else than `pending` was said; null if there is none.
        interval_now: the interval that runs at the head's time; null before the grid begins.
        capacity: `interval` added up over the whole network.
        counts: how much there is.
        caveat: what no verdict shows; to be shown wherever a verdict is.
    """

    head: Head
    now_ms: Count
    title: str
    origin: str
    charter_fingerprint: Hex
    quorum: Count
    audited_height: Count | None
    seals_per_minute_tenths: Count
    network: Network
    interval: Count | None
    interval_now: Count | None
    capacity: Rollup
    counts: Counts
    caveat: str
