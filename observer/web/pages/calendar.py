"""What falls due and when: windows of the grid, pauses, challenges and samples to answer, runs to decide on, votes."""

from collections.abc import Callable, Iterator
from typing import Final

from ledger.errors import Code, ConditionError
from ledger.limits import INTERVAL_MAX, SIZE_MAX
from ledger.positions import Interval
from ledger.rules.grid import compute_deadlines, compute_end_ms, compute_grid, compute_start_ms, extend_deadline
from observer.web.answers.calendar import Deadline, Deadlines
from observer.web.pages.pauses import find_covered
from observer.web.pages.proven import Shown, describe_head
from observer.web.parameters import Asked

DEADLINES_MAX: Final = 2_000
INTERVALS_SHOWN: Final = 4


def show_deadlines(shown: Shown, asked: Asked) -> Deadlines:
    """Make the calendar between two moments.

    Raises:
        ConditionError: the second is not after the first (`TOO_LARGE`).
    """
    head_ms, grid = shown.copy.head.header.time_ms, compute_grid(shown.copy.charter.predicate.grid)
    from_ms, until_ms = asked.number_or_none("from"), asked.number_or_none("until")
    from_ms = head_ms if from_ms is None else from_ms
    until_ms = min(SIZE_MAX, from_ms + INTERVALS_SHOWN * grid.interval_ms) if until_ms is None else until_ms
    if from_ms >= until_ms:
        expected = f"a moment after {from_ms}"
        raise ConditionError(field="until", found=until_ms, expected=expected, code=Code.TOO_LARGE)
    found = [
        *_find_windows(shown, from_ms, until_ms),
        *(each for each in _find_others(shown) if from_ms <= each.at_ms < until_ms),
    ]
    found.sort(key=lambda deadline: (deadline.at_ms, deadline.kind, deadline.about))
    return Deadlines(
        head=describe_head(shown.copy.head.header),
        from_ms=from_ms,
        until_ms=until_ms,
        deadlines=found[:DEADLINES_MAX],
        is_complete=len(found) <= DEADLINES_MAX,
    )


def _find_windows(shown: Shown, from_ms: int, until_ms: int) -> Iterator[Deadline]:
    """Give the ends of the grid's windows, of each kind one more than is shown at most.

    Of one kind they stand in the order of their intervals, whatever outages there were: so the first is found by
    halving.
    """
    grid, outages = compute_grid(shown.copy.charter.predicate.grid), shown.view.outages
    challenge_ms = shown.copy.charter.predicate.grid.challenge_window_s * 1000

    def challenges_end(interval: Interval) -> int:
        end_ms = compute_end_ms(grid, interval)
        return extend_deadline(end_ms + challenge_ms, since=end_ms, outages=outages)

    kinds: dict[str, Callable[[Interval], int]] = {
        "interval-ends": lambda interval: compute_end_ms(grid, interval),
        "reports-due": lambda interval: compute_deadlines(grid, interval, outages).due_ms,
        "grace-ends": lambda interval: compute_deadlines(grid, interval, outages).grace_ms,
        "corrections-end": lambda interval: compute_deadlines(grid, interval, outages).correction_ms,
        "challenges-end": challenges_end,
    }
    if shown.copy.charter.agreement is None:
        del kinds["challenges-end"]
    for kind, compute_ms in kinds.items():
        first = _find_first(compute_ms, from_ms)
        for number in range(first, min(first + DEADLINES_MAX + 1, INTERVAL_MAX + 1)):
            at_ms = compute_ms(Interval(number))
            if at_ms >= until_ms:
                break
            yield _make(shown, at_ms, kind, interval=number, about=f"interval {number}")


def _find_first(compute_ms: Callable[[Interval], int], from_ms: int) -> int:
    """Give the first interval whose moment is not before another; one more than there can be if there is none."""
    low, high = 0, INTERVAL_MAX + 1
    while low < high:
        middle = (low + high) // 2
        if compute_ms(Interval(middle)) < from_ms:
            low = middle + 1
        else:
            high = middle
    return low


def _find_others(shown: Shown) -> Iterator[Deadline]:
    """Give what pauses, challenges, samples, runs and proposals wait for, at whatever time."""
    agreement, register = shown.copy.charter.agreement, shown.view.register
    grid, outages = compute_grid(shown.copy.charter.predicate.grid), shown.view.outages
    for pause, record in register.pauses.items():
        terms = record.proposal.terms
        dates = {"pause-lapses": terms.lapses} if not record.events else {}
        covered = find_covered(record)
        if covered is not None:
            dates |= {"pause-begins": covered[0], "pause-ends": covered[1]}
        for kind, interval in dates.items():
            at_ms = compute_start_ms(grid, interval)
            yield _make(shown, at_ms, kind, interval=interval, id_=pause, about=terms.title, index=record.index)
    if agreement is None:
        return
    waiting = (
        ("response-due", register.challenges, agreement.challenges.response_window_s),
        ("sample-due", register.samples, 0),
        ("approval-ends", register.runs, agreement.runs.approval_window_s),
        ("vote-ends", register.proposals, agreement.decisions.voting_window_s),
    )
    for kind, dated, window_s in waiting:
        for name, each in dated.items():
            end_ms = each.time_ms + each.window_ms + window_s * 1000
            too_late_ms = extend_deadline(end_ms, since=each.time_ms, outages=outages)
            yield _make(shown, too_late_ms, kind, id_=name, about=each.about, index=each.index)


def _make(
    shown: Shown,
    at_ms: int,
    kind: str,
    *,
    about: str,
    interval: int | None = None,
    id_: str | None = None,
    index: int | None = None,
) -> Deadline:
    return Deadline(
        at_ms=at_ms,
        kind=kind,  # type: ignore[arg-type]  # one of the words above
        interval=interval,
        id=id_,
        about=about,
        index=index,
        is_past=at_ms <= shown.copy.head.header.time_ms,
    )
