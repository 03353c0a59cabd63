"""The agreement: what nations agreed on beyond the grid and the limits, as a part of the charter from its version 2 on.

Everything here is a number or one of a few words, since the rules read it; what nations mean by it in prose stands
elsewhere. Each section belongs to one subject of the rules (`ledger.rules`), and no rule has such a number of its own.

Units: PFLOP are 10**15 operations; windows are seconds of ledger time; shares are permille.
"""

from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from ledger.errors import FormatError
from ledger.limits import COUNT_PER_YEAR_MAX, INSPECTORS_MAX, MEMBERS_MAX, WINDOW_S_MAX
from ledger.positions import Seconds
from ledger.statements.intoto import Quantity, parse_quantity

Window = Annotated[Seconds, Meta(ge=0, le=WINDOW_S_MAX)]
WindowNotEmpty = Annotated[Seconds, Meta(ge=1, le=WINDOW_S_MAX)]
Permille = Annotated[int, Meta(ge=1, le=1000)]

YEAR_S: Final = 365 * 86_400
"""The year of quotas: it slides, and has no leap days."""


class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A subject of the agreement."""


class Runs(Section, frozen=True, kw_only=True):
    """Training runs.

    Attributes:
        declare_pflop: a run whose estimate or total reaches it is declared before it starts.
        approve_pflop: one that reaches this starts only once approved; at least `declare_pflop`.
        prohibit_pflop: no run may reach this; null where nothing is prohibited outright.
        post_training_declare_pflop: as `declare_pflop`, for post-training, counted without the base model's own. From
            there on its total, base model included, is held against the other two as well; below it against none.
        approval_window_s: how long nations have to approve or refuse a declared run.
        silence: what it means if by then the nation has said nothing.
    """

    declare_pflop: Quantity
    approve_pflop: Quantity
    prohibit_pflop: Quantity | None = None
    post_training_declare_pflop: Quantity
    approval_window_s: Window
    silence: Literal["approves", "refuses"]


class Reviews(Section, frozen=True, kw_only=True):
    """Reviews before the release of a model.

    Attributes:
        required_pflop: a model with so many operations in it is reviewed before it is released.
        window_s: the clock of a review; it stands still while the nation waits for information.
        extension_s: by how much one extension lengthens it.
        extensions_max: how often a nation may extend it.
        is_binding: whether a release against the outcome, or without one, is a breach; else it is only told.
        silence: what it means if the clock runs out without an outcome.
    """

    required_pflop: Quantity
    window_s: WindowNotEmpty
    extension_s: Window
    extensions_max: Annotated[int, Meta(ge=0, le=100)]
    is_binding: bool
    silence: Literal["clears", "blocks"]


class Inventories(Section, frozen=True, kw_only=True):
    """Inventories and transfers of accelerators.

    Attributes:
        pair_window_s: how long the other side of a transfer has to say the same; then both have a difference.
    """

    pair_window_s: WindowNotEmpty


class Challenges(Section, frozen=True, kw_only=True):
    """Challenges, responses and findings.

    Attributes:
        per_year_max: how many challenges a nation may raise in a sliding year.
        response_window_s: how long a lab has to respond; after it, its interval is unverifiable.
        missing_after_s: how long after that the interval counts as missing.
        finding_window_s: how long inspectors have to find after a response; after it the challenge is dropped.
        inspectors_min: how many inspectors' findings must agree.
        nations_min: of how many nations other than the lab's own.
    """

    per_year_max: Annotated[int, Meta(ge=0, le=COUNT_PER_YEAR_MAX)]
    response_window_s: WindowNotEmpty
    missing_after_s: WindowNotEmpty
    finding_window_s: WindowNotEmpty
    inspectors_min: Annotated[int, Meta(ge=1, le=INSPECTORS_MAX)]
    nations_min: Annotated[int, Meta(ge=1, le=MEMBERS_MAX)]


class Inspections(Section, frozen=True, kw_only=True):
    """Random samples.

    Attributes:
        round_s: the length P of an inspection round; it divides the interval. Round r opens at start + r·P.
        bad_permille: a cluster with so large a share of accelerators that are not as declared is to be found out.
        confidence_permille: how surely, over one interval.
        answer_window_s: how long a lab has to open what was drawn.
    """

    round_s: WindowNotEmpty
    bad_permille: Permille
    confidence_permille: Annotated[int, Meta(ge=1, le=999)]
    answer_window_s: WindowNotEmpty


class Pauses(Section, frozen=True, kw_only=True):
    """Pauses.

    Attributes:
        notice_s: from when the conditions of a pause hold until it may begin, at a grid boundary.
        lift: who must agree before a pause is lifted ahead of its time.
        duration_max_s: the longest pause one proposal may ask for; it can be extended.
    """

    notice_s: Window
    lift: Literal["quorum", "all"]
    duration_max_s: WindowNotEmpty


class Decisions(Section, frozen=True, kw_only=True):
    """Proposals on which nations vote.

    Attributes:
        voting_window_s: how long a proposal is open; after it, it lapses.
    """

    voting_window_s: WindowNotEmpty


class Incidents(Section, frozen=True, kw_only=True):
    """Incidents that labs tell of.

    Attributes:
        outage_extension_s: by how much an outage told before due moves an interval's due date, once.
    """

    outage_extension_s: Window


class Agreement(Section, frozen=True, kw_only=True):
    """All sections, and how long labs keep what opens their reports.

    Attributes:
        retention_s: how long after an interval's end salts, records and evidence are kept; at least the challenge
            window.
    """

    runs: Runs
    reviews: Reviews
    inventories: Inventories
    challenges: Challenges
    inspections: Inspections
    pauses: Pauses
    decisions: Decisions
    incidents: Incidents
    retention_s: Window


def check_agreement(agreement: Agreement, *, interval_s: int, challenge_window_s: int, field: str) -> None:
    """Check what types cannot say.

    Args:
        agreement: as parsed.
        interval_s: length of the grid's interval.
        challenge_window_s: of the grid.
        field: name of the agreement in errors.

    Raises:
        FormatError: a section contradicts itself, another, or the grid.
    """
    runs = agreement.runs
    declare = parse_quantity(runs.declare_pflop, field=f"{field}.runs.declare_pflop")
    approve = parse_quantity(runs.approve_pflop, field=f"{field}.runs.approve_pflop")
    parse_quantity(runs.post_training_declare_pflop, field=f"{field}.runs.post_training_declare_pflop")
    parse_quantity(agreement.reviews.required_pflop, field=f"{field}.reviews.required_pflop")
    if approve < declare:
        raise FormatError(field=f"{field}.runs.approve_pflop", found=approve, expected=f"at least {declare}")
    if runs.prohibit_pflop is not None:
        prohibit = parse_quantity(runs.prohibit_pflop, field=f"{field}.runs.prohibit_pflop")
        if prohibit < approve:
            raise FormatError(field=f"{field}.runs.prohibit_pflop", found=prohibit, expected=f"at least {approve}")
    round_s = agreement.inspections.round_s
    if interval_s % round_s:
        raise FormatError(
            field=f"{field}.inspections.round_s", found=round_s, expected=f"a divisor of the interval, {interval_s} s"
        )
    challenges = agreement.challenges
    if challenges.nations_min > challenges.inspectors_min:
        raise FormatError(
            field=f"{field}.challenges.nations_min",
            found=challenges.nations_min,
            expected=f"at most inspectors_min, {challenges.inspectors_min}",
        )
    if agreement.retention_s < challenge_window_s:
        raise FormatError(
            field=f"{field}.retention_s",
            found=agreement.retention_s,
            expected=f"at least the challenge window, {challenge_window_s} s",
        )
