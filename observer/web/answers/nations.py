"""Answers: the members of the committee and the newest blocks."""

from observer.web.answers.words import Answer, Count, Head, Rollup


class Nation(Answer, frozen=True, kw_only=True):
    """A member of the committee, and what the newest blocks and notes show of it.

    Attributes:
        index: its number in the committee, from 1.
        id: its name in statements.
        name: what people call it.
        node: name of its cosigning key.
        http: where it publishes.
        labs_count: labs that it registered.
        proposed_count: of the newest blocks (`recent_blocks_count`), how many it proposed.
        proposed_height: the newest block that it proposed, if any.
        proposed_ms: ledger time of that block.
        cosigned_height: the newest kept checkpoint that it cosigned, if any.
        cosigned_s: when it did, by its own clock, in Unix seconds.
        seen_ms: the later of `proposed_ms` and `cosigned_s`; null if neither is known.
        rollup: its labs' clusters in `interval`, and its own faults.
        faults: kinds of misconduct that were proven against it.
    """

    index: Count
    id: str
    name: str
    node: str
    http: str
    labs_count: Count
    proposed_count: Count
    proposed_height: Count | None
    proposed_ms: Count | None
    cosigned_height: Count | None
    cosigned_s: Count | None
    seen_ms: Count | None
    rollup: Rollup
    faults: list[str]


class SealedBlock(Answer, frozen=True, kw_only=True):
    """One of the newest blocks.

    Attributes:
        height: of the block.
        time_ms: its ledger time.
        view: the attempt in which it was agreed on.
        proposer: number of the member that proposed it; 0 for the first block.
        entries_count: how many entries it adds.
        is_sealed: whether it has a seal of its own; else it is final through a later one.
    """

    height: Count
    time_ms: Count
    view: Count
    proposer: Count
    entries_count: Count
    is_sealed: bool


class Nations(Answer, frozen=True, kw_only=True):
    """All members.

    Attributes:
        head: what it was read at.
        now_ms: this machine's clock.
        quorum: how many make a seal.
        interval: of the roll-ups; null if none was settled.
        recent_blocks_count: how many of the newest blocks `proposed_count` and the rate are taken from.
        seals_per_minute_tenths: over those, in tenths.
        nations: in the order of the charter.
        blocks: the newest, newest first.
    """

    head: Head
    now_ms: Count
    quorum: Count
    interval: Count | None
    recent_blocks_count: Count
    seals_per_minute_tenths: Count
    nations: list[Nation]
    blocks: list[SealedBlock]
