"""Answers: pauses from their proposal to where they stand."""

from typing import Annotated, Literal

from msgspec import Meta

from observer.web.answers.words import Answer, Count, Decimal, Head, Hex


class Cap(Answer, frozen=True, kw_only=True):
    """What no lab that a pause binds may exceed: `maximum` is a decimal string in the unit of `quantity`."""

    quantity: str
    maximum: Decimal


class Accession(Answer, frozen=True, kw_only=True):
    """A nation's newest word on joining.

    Attributes:
        nation: its id.
        index: of the entry.
        time_ms: of its block.
        joins: false if it took back what it said before.
        nations: on condition that all of these join too.
        nations_min: and that so many join in all; 0 where that does not matter.
        lapses: the interval at whose beginning it counts for the last time; null with `joins` false.
        is_bound: whether the nation has joined, by the rules.
    """

    nation: str
    index: Count
    time_ms: Count
    joins: bool
    nations: list[str]
    nations_min: Count
    lapses: Count | None
    is_bound: bool


class PauseEvent(Answer, frozen=True, kw_only=True):
    """What the rules said of a pause.

    Attributes:
        index: of the entry.
        time_ms: of the block that opens with it.
        event: what came.
        interval: the first in which it holds.
        until: the first interval that the pause does not cover, as known from here on; null if it lapsed.
        nations: all that have joined.
        pledges_count: how many labs have pledged.
        cause: index of the entry it goes back to.
    """

    index: Count
    time_ms: Count
    event: Literal["activated", "joined", "extended", "lifted", "expired", "lapsed"]
    interval: Count
    until: Count | None
    nations: list[str]
    pledges_count: Count
    cause: Count


class Said(Answer, frozen=True, kw_only=True):
    """That a party said something: who, in which entry, when."""

    issuer: str
    index: Count
    time_ms: Count


class Pause(Answer, frozen=True, kw_only=True):
    """A pause, from its proposal to where it stands.

    Attributes:
        id: of the pause.
        title: what people call it.
        proposer: id of the nation.
        index: of the proposal's entry.
        proposed_ms: of its block.
        terms: SHA-256 of its terms.
        scope: the caps.
        first_interval: it begins with this interval or a later one.
        interval_count: how many it lasts.
        lapses: the interval at whose beginning it is activated at the latest.
        nations_min: how many nations must join for it to be activated.
        nations_required: who must be among them.
        capacity_permille_min: and what share of registered capacity must be theirs; 0 where that is not asked.
        lift: in the proposer's words, when it should be lifted.
        phase: `proposed`, `activated` (it has begun or will), or how it ended.
        start: the first interval it covers; null unless it was activated.
        end: the first interval it no longer covers, as known now; null unless it was activated.
        start_ms: when `start` begins.
        end_ms: when `end` begins.
        nations: that have joined.
        accessions: the newest of each nation.
        pledges: of labs.
        freezes: statements of labs on the runs they had in flight.
        events: what the rules said, oldest first.
    """

    id: str
    title: str
    proposer: str
    index: Count
    proposed_ms: Count
    terms: Hex
    scope: list[Cap]
    first_interval: Count
    interval_count: Count
    lapses: Count
    nations_min: Count
    nations_required: list[str]
    capacity_permille_min: Annotated[int, Meta(ge=0, le=1000)]
    lift: str
    phase: Literal["proposed", "activated", "lifted", "expired", "lapsed"]
    start: Count | None
    end: Count | None
    start_ms: Count | None
    end_ms: Count | None
    nations: list[str]
    accessions: list[Accession]
    pledges: list[Said]
    freezes: list[Said]
    events: list[PauseEvent]


class Pauses(Answer, frozen=True, kw_only=True):
    """Pauses, the newest proposal first.

    Attributes:
        head: what it was read at.
        interval_now: the interval that runs at the head's time; null before the grid begins.
        pauses: of them.
        pauses_count: how many there are in all.
    """

    head: Head
    interval_now: Count | None
    pauses: list[Pause]
    pauses_count: Count
