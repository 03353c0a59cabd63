"""Deadlines that approach: until when what is open is open, with the charter's windows and the outages so far.

1. A window is what the rules compute: moved by outages of the network (`ledger.rules.grid`), found again in the copy by
   bisection, and by a lab's own outage. Pauses begin and end at boundaries, which nothing moves.
2. A deadline approaches from `lead_ms` before it on, but not before the last quarter of its window: what has just been
   opened is no alarm, however short its window is.
3. It is held against this machine's clock, since an operator who is told by a ledger that stands still is told nothing.
   One that passed while nobody looked is none any more: what follows from it is on the ledger.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from ledger.positions import Height, Interval, LeafIndex, Millis
from ledger.rules.grid import (
    Grid,
    Outage,
    compute_deadlines,
    compute_end_ms,
    compute_next_interval,
    compute_outage_threshold_ms,
    compute_start_ms,
    extend_deadline,
)
from ledger.rules.thresholds import compute_most_pflop
from ledger.statements.intoto import parse_quantity
from observer.copy import Copy
from observer.monitor.alarms import Alarm, make_alarm
from observer.monitor.docket import Docket, Open
from observer.monitor.kinds import Kind
from observer.monitor.words import say_change
from observer.telling import format_time

INTERVALS_BACK_MAX: Final = 400
"""How many intervals back a report may still be open because of outages."""

LAST_PART: Final = 4
"""A deadline does not approach before the last part of its window: one of so many."""


@dataclass(frozen=True, slots=True)
class Deadline:
    """Something open.

    Attributes:
        kind: of the alarm it may become.
        subject: what it is called.
        words: whose turn it is to do what.
        opened_ms: since when it is open.
        ends_ms: the first moment that is too late; of a pause, when it begins or ends.
        about: id of the lab or nation whose turn it is; empty for nobody's in particular.
        index: of the entry that opened it; None where none did.
    """

    kind: Kind
    subject: str
    words: str
    opened_ms: Millis
    ends_ms: Millis
    about: str
    index: LeafIndex | None


def list_open(
    docket: Docket, *, outages: Sequence[Outage], now_ms: Millis, is_reported: Callable[[str, Interval], bool]
) -> list[Deadline]:
    """List everything whose time has not come by a clock, in the order in which it comes.

    Args:
        docket: what is open.
        outages: of the network, since the oldest that is open.
        now_ms: by the clock that deadlines are held against.
        is_reported: whether a lab has reported an interval.
    """
    found = [
        *_list_reports(docket, outages, now_ms, is_reported),
        *_list_runs(docket, outages),
        *_list_reviews(docket, outages),
        *_list_votes(docket, outages),
        *_list_challenges(docket, outages, now_ms),
        *_list_samples(docket, outages),
        *_list_pauses(docket, now_ms),
    ]
    still = (each for each in found if each.ends_ms > now_ms)
    return sorted(still, key=lambda each: (each.ends_ms, each.kind, each.subject))


def find_oldest_ms(docket: Docket, now_ms: Millis) -> Millis:
    """Say since when outages may have moved what is open."""
    opened = [
        at.opened_ms
        for table in (docket.runs, docket.reviews, docket.votes, docket.challenges, docket.samples)
        for at in table.values()
    ]
    first = now_ms - INTERVALS_BACK_MAX * docket.grid.interval_ms
    return Millis(min([first, *opened]))


def _list_reports(
    docket: Docket, outages: Sequence[Outage], now_ms: Millis, is_reported: Callable[[str, Interval], bool]
) -> Iterator[Deadline]:
    """Reports of intervals that have ended; a deadline is computed once for all labs."""
    agreement, newest = docket.charter.agreement, compute_next_interval(docket.grid, now_ms) - 2
    extension_ms = 0 if agreement is None else agreement.incidents.outage_extension_s * 1000
    for interval in map(Interval, range(newest, max(0, newest - INTERVALS_BACK_MAX) - 1, -1)):
        due_ms = compute_deadlines(docket.grid, interval, outages).due_ms
        later_ms = compute_deadlines(docket.grid, interval, outages, extension_ms=extension_ms).due_ms
        if later_ms <= now_ms:
            return  # deadlines are in the order of their intervals
        for lab, (_, first) in sorted(docket.labs.items()):
            told_ms = docket.outages_told.get((lab, interval))
            ends_ms = due_ms if told_ms is None or told_ms >= due_ms else later_ms
            if interval >= first and ends_ms > now_ms and not is_reported(lab, interval):
                opened_ms = compute_end_ms(docket.grid, interval)
                words = f"{lab} has not reported interval {interval}"
                yield Deadline(Kind.REPORT_DUE, f"{lab}/{interval}", words, opened_ms, ends_ms, lab, None)


def _list_runs(docket: Docket, outages: Sequence[Outage]) -> Iterator[Deadline]:
    if docket.charter.agreement is None:
        return
    terms = docket.charter.agreement.runs
    for (lab, run), at in docket.runs.items():
        least = parse_quantity(terms.post_training_declare_pflop, field="post_training_declare_pflop")
        is_small = at.said.kind == "post-training" and compute_most_pflop(at.said.run_band) < least
        approve = parse_quantity(terms.approve_pflop, field="approve_pflop")
        if not is_small and compute_most_pflop(at.said.band) >= approve:
            words = f"nobody has decided about run {run} of {lab}; silence {terms.silence}"
            yield _end(
                Kind.RUN_DECISION_DUE,
                f"{lab}/{run}",
                words,
                at,
                window_s=terms.approval_window_s,
                outages=outages,
                about=lab,
            )


def _list_reviews(docket: Docket, outages: Sequence[Outage]) -> Iterator[Deadline]:
    if docket.charter.agreement is None:
        return
    terms = docket.charter.agreement.reviews
    for (lab, model), review in docket.reviews.items():
        since_ms, left_ms, runs = review.opened_ms, terms.window_s * 1000, True
        for time_ms, step in review.steps:
            if step == "extended":
                left_ms += terms.extension_s * 1000
            elif step == "info-requested" and runs:
                before = [outage for outage in outages if outage.end_ms <= time_ms]
                left_ms = extend_deadline(since_ms + left_ms, since=since_ms, outages=before) - time_ms
                runs = False
            elif step == "info-supplied" and not runs:
                since_ms, runs = time_ms, True
        if runs:
            ends_ms = Millis(extend_deadline(since_ms + left_ms, since=since_ms, outages=outages))
            words = f"the review of model {model} of {lab} has no outcome; silence {terms.silence}"
            name = f"{lab}/{model}"
            yield Deadline(Kind.REVIEW_DUE, name, words, since_ms, ends_ms, lab, review.index)


def _list_votes(docket: Docket, outages: Sequence[Outage]) -> Iterator[Deadline]:
    if docket.charter.agreement is None:
        return
    window_s = docket.charter.agreement.decisions.voting_window_s
    for name, vote in docket.votes.items():
        yes, needed = sum(vote.yes.values()), docket.count_votes_needed(vote.said)
        words = f"proposal {name} has {yes} of {needed} votes: {say_change(vote.said)}"
        yield _end(
            Kind.VOTE_DUE, f"proposal/{name}", words, vote, window_s=window_s, outages=outages, about=vote.said.issuer
        )


def _list_challenges(docket: Docket, outages: Sequence[Outage], now_ms: Millis) -> Iterator[Deadline]:
    if docket.charter.agreement is None:
        return
    terms = docket.charter.agreement.challenges
    for name, raised in docket.challenges.items():
        lab = raised.said.lab
        if raised.answered_ms is not None:
            words = f"inspectors have not agreed on challenge {name} of {lab}"
            at = Open(raised.said, raised.answered_ms, raised.index)
            yield _end(
                Kind.FINDING_DUE,
                name,
                words,
                at,
                window_s=terms.finding_window_s,
                outages=outages,
                about=raised.said.issuer,
            )
            continue
        words = f"{lab} has not answered challenge {name}"
        first = _end(
            Kind.RESPONSE_DUE, name, words, raised, window_s=terms.response_window_s, outages=outages, about=lab
        )
        if first.ends_ms > now_ms:
            yield first
        else:
            overdue = Open(raised.said, first.ends_ms, raised.index)
            words = f"{words}, which is overdue"
            yield _end(
                Kind.RESPONSE_DUE, name, words, overdue, window_s=terms.missing_after_s, outages=outages, about=lab
            )


def _list_samples(docket: Docket, outages: Sequence[Outage]) -> Iterator[Deadline]:
    for name, at in docket.samples.items():
        ends_ms = Millis(extend_deadline(at.said.answer_by_ms, since=at.opened_ms, outages=outages))
        words = f"{at.said.lab} has not opened what round {at.said.round} drew from {at.said.cluster}"
        yield Deadline(Kind.SAMPLE_DUE, name, words, at.opened_ms, ends_ms, at.said.lab, at.index)


def _list_pauses(docket: Docket, now_ms: Millis) -> Iterator[Deadline]:
    for name, pause in docket.pauses.items():
        about, subject = pause.said.issuer, f"pause/{name}"
        lapses_ms = compute_start_ms(docket.grid, pause.said.terms.lapses)
        lapses = Deadline(
            Kind.PAUSE_LAPSES,
            subject,
            f"pause {name} is not activated",
            pause.opened_ms,
            lapses_ms,
            about,
            pause.index,
        )
        event = pause.event
        if event is None:
            yield lapses
            continue
        begins_ms = compute_start_ms(docket.grid, event.interval)
        words = f"pause {name} begins with interval {event.interval}"
        begins = replace(lapses, kind=Kind.PAUSE_BEGINS, words=words, opened_ms=pause.opened_ms, ends_ms=begins_ms)
        if begins_ms > now_ms:
            yield begins
        if event.until is not None:
            ends_ms = compute_start_ms(docket.grid, event.until)
            words = f"pause {name} ends before interval {event.until}"
            yield replace(begins, kind=Kind.PAUSE_ENDS, words=words, opened_ms=begins_ms, ends_ms=ends_ms)


def _end(
    kind: Kind, subject: str, words: str, at: Open, *, window_s: int, outages: Sequence[Outage], about: str
) -> Deadline:
    """A window that opened with an entry and that outages move."""
    ends_ms = Millis(extend_deadline(at.opened_ms + window_s * 1000, since=at.opened_ms, outages=outages))
    return Deadline(kind, subject, words, at.opened_ms, ends_ms, about, at.index)


def tell_approaching(docket: Docket, deadlines: Sequence[Deadline], *, now_ms: Millis, lead_ms: int) -> list[Alarm]:
    """Make the alarms of deadlines that approach by a clock.

    Args:
        docket: names the ledger, and the nation of each lab.
        deadlines: as `list_open` gives them.
        now_ms: by this machine's clock.
        lead_ms: how long before a deadline it is told.
    """
    return [
        make_alarm(
            docket.ledger,
            each.kind,
            each.subject,
            place=str(each.ends_ms),
            title=f"{each.words}: {format_time(each.ends_ms)}",
            text=f"{each.words[:1].upper()}{each.words[1:]}. The time for it ends {format_time(each.ends_ms)}.",
            lab=each.about if each.about in docket.labs else None,
            nation=docket.nation_of(each.about),
            index=each.index,
            ledger_ms=each.ends_ms,
            seen_ms=now_ms,
        )
        for each in deadlines
        if each.ends_ms - min(lead_ms, (each.ends_ms - each.opened_ms) // LAST_PART) <= now_ms < each.ends_ms
    ]


def find_block(copy: Copy, *, since_ms: Millis) -> Height:
    """Find the last block before a time by bisection, or the first of all."""
    low, high = 0, int(copy.head.header.height)
    while low + 1 < high:
        middle = (low + high) // 2
        low, high = (middle, high) if _time_of(copy, middle) < since_ms else (low, middle)
    return Height(low)


def find_outages(copy: Copy, grid: Grid, *, after: Height) -> list[Outage]:
    """Find the silences after a block that were too long, by bisection: few of the blocks are read.

    Args:
        copy: whose blocks are looked at; their times only rise.
        grid: says how long is too long.
        after: the block from which on it is looked.
    """
    found, longest_ms, head = [], compute_outage_threshold_ms(grid), copy.head.header
    waiting = [(int(after), _time_of(copy, after), int(head.height), head.time_ms)]
    while waiting:
        first, first_ms, last, last_ms = waiting.pop()
        if last_ms - first_ms <= longest_ms:
            continue
        if last - first == 1:
            found.append(Outage(first_ms, last_ms))
            continue
        middle = (first + last) // 2
        middle_ms = _time_of(copy, middle)
        waiting += [(middle, middle_ms, last, last_ms), (first, first_ms, middle, middle_ms)]
    return found


def _time_of(copy: Copy, height: int) -> Millis:
    return copy.block(Height(height)).header.time_ms
