"""A charter in plain language: what was agreed, sentence by sentence, for who must sign it and for who judges it.

Every number of the charter that a rule reads is in some sentence, and no sentence says what no rule does. The charter's
bytes decide; this explains.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from ledger.agreement import Agreement
from ledger.charter import Accelerator, ConsensusParameters, Grid, Limit
from ledger.statements.intoto import parse_quantity

UTILISATION_PERMILLE: Final = 400
"""What large clusters reach in training, for reckoning how fast one could cross a threshold."""

INTERVAL_SHARE: Final = 2
"""An interval is at most so small a part of that time: half, or a run could begin and cross between two reports."""

_OPERATIONS_PER_PFLOP: Final = 10**15
_GFLOP_PER_PFLOP: Final = 10**6
_UNITS: Final = ((86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second"))


class Heading(NamedTuple):
    """A subject, and what was agreed about it."""

    title: str
    sentences: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Agreed:
    """What a charter, or the draft of one, says; group key and members' keys left out.

    Attributes:
        title: what people call the ledger.
        origin: its name in checkpoints.
        members: names of the nations, in order.
        quorum: how many of them seal.
        grid: the reporting intervals.
        limits: what reports promise.
        accelerators: whose figures count.
        consensus: the pace.
        agreement: the rest, if there is one.
    """

    title: str
    origin: str
    members: Sequence[str]
    quorum: int
    grid: Grid
    limits: Sequence[Limit]
    accelerators: Sequence[Accelerator]
    consensus: ConsensusParameters
    agreement: Agreement | None


def explain(agreed: Agreed) -> tuple[Heading, ...]:
    """Say in sentences what was agreed, in the order in which a reader asks."""
    headings = [_explain_members(agreed), _explain_reports(agreed.grid), _explain_limits(agreed)]
    if agreed.agreement is not None:
        headings += _explain_agreement(agreed.agreement, agreed.grid)
    headings.append(_explain_limitations(agreed.agreement))
    return tuple(headings)


def compute_crossing_s(*, accelerator: Accelerator, count: int, threshold_pflop: int) -> int:
    """In how many seconds so many accelerators could cross a threshold at `UTILISATION_PERMILLE`, rounded down.

    >>> h100 = Accelerator(model="h100", peak_gflops=989_400, tdp_w=700, idle_w=70)
    >>> compute_crossing_s(accelerator=h100, count=10_000, threshold_pflop=10**9) // 3600
    70
    """
    assert count > 0
    return threshold_pflop * _GFLOP_PER_PFLOP * 1000 // (count * accelerator.peak_gflops * UTILISATION_PERMILLE)


def find_interval_warning(grid: Grid, *, accelerator: Accelerator, count: int, threshold_pflop: int) -> str | None:
    """Warn of an interval so long that a cluster could cross a threshold in one or two of them unseen."""
    crossing_s = compute_crossing_s(accelerator=accelerator, count=count, threshold_pflop=threshold_pflop)
    if grid.interval_s * INTERVAL_SHARE <= crossing_s:
        return None
    return (
        f"{count} {accelerator.model} at {UTILISATION_PERMILLE // 10} % reach {format_operations(threshold_pflop)} in"
        f" {format_duration(crossing_s)}: an interval of {format_duration(grid.interval_s)} is too long for that, take"
        f" at most {format_duration(max(1, crossing_s // INTERVAL_SHARE))}"
    )


def format_duration(seconds: int) -> str:
    """Spell a time in the two largest units that it fills.

    >>> format_duration(86_400), format_duration(252_678), format_duration(90), format_duration(0)
    ('1 day', '2 days 22 hours', '1 minute 30 seconds', 'no time')
    """
    parts: list[str] = []
    rest = seconds
    for unit_s, name in _UNITS:
        count, rest = divmod(rest, unit_s)
        if count:
            parts.append(f"{count} {name}{'s' if count > 1 else ''}")
        elif parts:
            break
        if len(parts) == 2:
            break
    return " ".join(parts) or "no time"


def format_operations(pflop: int) -> str:
    """Spell a number of PFLOP in operations, exactly.

    >>> format_operations(10**9), format_operations(25 * 10**8), format_operations(0)
    ('10^24 operations', '2.5·10^24 operations', 'no operations')
    """
    if pflop == 0:
        return "no operations"
    digits = str(pflop * _OPERATIONS_PER_PFLOP)
    exponent, mantissa = len(digits) - 1, digits.rstrip("0")
    if mantissa == "1":
        return f"10^{exponent} operations"
    return f"{mantissa[0]}{'.' if len(mantissa) > 1 else ''}{mantissa[1:]}·10^{exponent} operations"


def _explain_members(agreed: Agreed) -> Heading:
    count, faulty = len(agreed.members), len(agreed.members) - agreed.quorum
    idle = format_duration(agreed.consensus.idle_interval_ms // 1000)
    return Heading(
        "Who agrees, and how the ledger is kept",
        (
            f"{agreed.title} ({agreed.origin}) is kept by {count} nations: {', '.join(agreed.members)}.",
            (
                f"{agreed.quorum} of them together seal every block; no fewer can write, change or leave out"
                f" anything, and up to {faulty} may fail or cheat without doing harm."
            ),
            f"An idle ledger seals an empty block about every {idle}; silence is visible to everybody.",
        ),
    )


def _explain_reports(grid: Grid) -> Heading:
    return Heading(
        "Reports",
        (
            (
                f"Time is cut into intervals of {format_duration(grid.interval_s)}. For each, every lab says"
                " what every one of its registered clusters did, also if that was nothing."
            ),
            (
                f"A report is due {format_duration(grid.submit_window_s)} after its interval ends; until"
                f" {format_duration(grid.grace_s)} after that it is late, then the interval counts as missing,"
                " and stays so on record."
            ),
            (
                f"For {format_duration(grid.correction_window_s)} after due a lab may correct freely; a later"
                " correction can add to what stands against it, not take from it."
            ),
            f"For {format_duration(grid.challenge_window_s)} after due an interval may be challenged.",
        ),
    )


def _explain_limits(agreed: Agreed) -> Heading:
    lines = [
        f"Every row promises `{limit.id}`: {limit.quantity} at most"
        f" {_format_maximum(limit)}{f' ({limit.note})' if limit.note else ''}."
        for limit in agreed.limits
    ]
    models = ", ".join(f"{each.model} {each.peak_gflops // 1000} TFLOP/s" for each in agreed.accelerators)
    counted = f"What an accelerator can do is taken from this list, never from a report: {models}." if models else ""
    none = "No limit was agreed: reports tell, and promise nothing."
    return Heading("Limits", tuple(line for line in (*(lines or [none]), counted) if line))


def _format_maximum(limit: Limit) -> str:
    maximum = parse_quantity(limit.maximum, field=f"limit {limit.id}")
    return format_operations(maximum) if "pflop" in limit.quantity else f"{maximum}"


def _explain_agreement(agreement: Agreement, grid: Grid) -> list[Heading]:
    return [
        _explain_runs(agreement),
        _explain_reviews(agreement),
        _explain_pauses(agreement),
        _explain_inspections(agreement, grid),
        _explain_challenges(agreement),
        Heading(
            "Accelerators that move, incidents, what is kept",
            (
                (
                    "A lab that gives accelerators away and the one that takes them both say so, within"
                    f" {format_duration(agreement.inventories.pair_window_s)}; what does not match is held"
                    " against both until it does."
                ),
                (
                    "An outage that a lab tells of before its report is due moves that date once, by"
                    f" {format_duration(agreement.incidents.outage_extension_s)}."
                ),
                (
                    f"Labs keep whatever opens a report for {format_duration(agreement.retention_s)} after its"
                    " interval ends; what they can no longer open counts as unverifiable."
                ),
            ),
        ),
    ]


def _explain_runs(agreement: Agreement) -> Heading:
    runs = agreement.runs
    declare, approve, post = (
        format_operations(parse_quantity(each, field="agreement.runs"))
        for each in (runs.declare_pflop, runs.approve_pflop, runs.post_training_declare_pflop)
    )
    sentences = [
        (
            f"A training run of {declare} or more is declared before it starts; further training of a finished"
            f" model from {post} on."
        ),
        (
            f"From {approve} on it starts only once its nation approved. Silence for"
            f" {format_duration(runs.approval_window_s)} {runs.silence}."
        ),
    ]
    if runs.prohibit_pflop is not None:
        prohibit = format_operations(parse_quantity(runs.prohibit_pflop, field="agreement.runs.prohibit_pflop"))
        sentences.append(f"No run may reach {prohibit}.")
    sentences.append(
        "A run counts what its base model took before it; further training below its own threshold does not count."
    )
    return Heading("Training runs", tuple(sentences))


def _explain_reviews(agreement: Agreement) -> Heading:
    reviews = agreement.reviews
    required = format_operations(parse_quantity(reviews.required_pflop, field="agreement.reviews.required_pflop"))
    extensions = (
        f" The nation may lengthen it {_format_times(reviews.extensions_max)},"
        f" by {format_duration(reviews.extension_s)}."
        if reviews.extensions_max
        else ""
    )
    return Heading(
        "Before a release",
        (
            (
                f"A model with {required} or more in it is reviewed before it is released. The review lasts"
                f" {format_duration(reviews.window_s)}; the clock stands still while the nation waits for information."
                f"{extensions}"
            ),
            f"If the clock runs out without an outcome, that {reviews.silence} the release.",
            "A release without clearance is a breach."
            if reviews.is_binding
            else "A release without clearance is told to everybody, and is no breach: the review is voluntary.",
        ),
    )


def _explain_pauses(agreement: Agreement) -> Heading:
    pauses = agreement.pauses
    lift = "a quorum" if pauses.lift == "quorum" else "all nations"
    return Heading(
        "Pauses",
        (
            (
                "A nation proposes a pause with its scope, beginning, length and the condition under which it"
                " holds. Others join, each under conditions of its own; the largest group whose conditions hold"
                " together counts."
            ),
            (
                f"It begins at the boundary of an interval, at least {format_duration(pauses.notice_s)} after"
                f" its conditions hold, and lasts at most {format_duration(pauses.duration_max_s)} unless it is"
                " extended."
            ),
            (
                f"Before its time it is lifted only by {lift}. Proposals are open for"
                f" {format_duration(agreement.decisions.voting_window_s)}."
            ),
            "A run that was frozen and grows is a breach.",
        ),
    )


def _explain_inspections(agreement: Agreement, grid: Grid) -> Heading:
    inspections = agreement.inspections
    rounds = grid.interval_s // inspections.round_s
    return Heading(
        "Random inspections",
        (
            (
                f"{rounds} times an interval, every {format_duration(inspections.round_s)}, accelerators are"
                " drawn from each cluster's inventory by randomness that nobody can know before the inventory"
                " is fixed, or steer."
            ),
            (
                f"So many are drawn that a cluster in which {_format_permille(inspections.bad_permille)} are not"
                " as declared is found out within an interval with a chance of"
                f" {_format_permille(inspections.confidence_permille)}."
            ),
            f"The lab opens what was drawn within {format_duration(inspections.answer_window_s)}.",
        ),
    )


def _explain_challenges(agreement: Agreement) -> Heading:
    challenges = agreement.challenges
    return Heading(
        "Challenges",
        (
            (
                f"A nation may challenge {_format_times(challenges.per_year_max)} a year. The lab opens what is asked,"
                f" to inspectors alone, within {format_duration(challenges.response_window_s)}; silence makes the"
                f" interval unverifiable, and {format_duration(challenges.missing_after_s)} later missing."
            ),
            (
                f"Findings count once {challenges.inspectors_min} inspectors of {challenges.nations_min} nations"
                " other than the lab's agree. If they have not after"
                f" {format_duration(challenges.finding_window_s)}, the challenge is dropped."
            ),
        ),
    )


def _explain_limitations(agreement: Agreement | None) -> Heading:
    sentences = [
        (
            "Nobody here measures computation. What a lab says is public in outline, fixed for ever, and obeys this"
            " arithmetic; whether it is true is found out by inspection, or not at all."
        ),
        "Compute that nobody registered does not show.",
    ]
    if agreement is None:
        sentences.append(
            "Nothing was agreed about training runs, releases, pauses and inspections: this ledger knows only reports."
        )
    return Heading("What this cannot do", tuple(sentences))


def _format_permille(permille: int) -> str:
    whole, tenths = divmod(permille, 10)
    return f"{whole}.{tenths} %" if tenths else f"{whole} %"


def _format_times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"
