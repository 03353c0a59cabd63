"""A run from its first word to its last: X6 from one statement of it to the next, and against its base model.

A lab speaks of a run several times, and commits each time to all that it came to. So the figures must grow from word to
word by what the run did, stand still while it is frozen, stay within a cap that never changes, and begin at what is in
the base model.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from ledger.crosschecks.comparisons import Comparison, Outcome, Place
from ledger.crosschecks.figures import RunFigures
from ledger.crosschecks.runs import RunStanding, compare_lineage, compare_run
from ledger.statements.runs import RunState


@dataclass(frozen=True, slots=True, kw_only=True)
class RunWord:
    """What a lab said of a run at one time; None for a figure that was not opened.

    Attributes:
        number: of the statement in the lab's chain.
        state: of the run.
        cap_pflop: the most that the run itself may come to.
        run_pflop: what it came to.
        cumulative_pflop: the same, with what is in the base model.
    """

    number: int
    state: RunState
    cap_pflop: int | None = None
    run_pflop: int | None = None
    cumulative_pflop: int | None = None


def compare_history(run: str, words: Sequence[RunWord], *, is_whole: bool) -> tuple[Comparison, ...]:
    """X6: what a lab said of a run, each time against the time before.

    Args:
        run: its id.
        words: in their order.
        is_whole: whether these are all words on it; if not, nobody knows that it stood still between two of them.
    """
    compared = [_compare_cap(run, word, first=words[0]) for word in words]
    for before, now in itertools.pairwise(words):
        compared += _compare_step(run, before, now, is_whole=is_whole)
    return tuple(compared)


def compare_base(run: str, word: RunWord, *, base: Sequence[RunWord] | None) -> Comparison:
    """X6: what is in a run's base model, by its own figures, against what was said of the base model's run.

    A base model is what that run came to at one of its checkpoints. A checkpoint of which no statement speaks lies
    between two that were told of: that is unusual. More than the base model ever came to, or nothing, fails.

    Args:
        run: its id.
        word: what is said of it.
        base: what was said of the base model's run, in its order; empty if nothing is known of it, None if there is no
            base model.
    """
    place, own = Place("X6", name_word(run, word)), word.run_pflop
    if own is None or word.cumulative_pflop is None:
        return place.skip("cumulative_pflop", "the base model's, plus the run's own", reason="not opened")
    known = _list_checkpoints(base or ())
    in_base, most = word.cumulative_pflop - own, max(known, default=None)
    if base is None:
        most = 0
    elif in_base in known:
        most = in_base
    elif most is not None and 0 < in_base < most:
        expected = f"one of {', '.join(map(str, known))}, as statements of the base model's run say"
        return place.state("base_pflop", in_base, expected, Outcome.UNUSUAL)
    elif most is not None and in_base > most and base[-1].state not in {"stopped", "completed"}:
        reason = "its run went on after the last word on it that was opened"
        return place.skip("base_pflop", f"at most {most}", found=in_base, reason=reason)
    return compare_lineage(place.subject, cumulative_pflop=word.cumulative_pflop, run_pflop=own, base_pflop=most)


def compare_reported(run: str, word: RunWord, *, reported_pflop: int | None) -> Comparison:
    """X6: what a run came to, against what reports filed before the word add up to for it.

    Args:
        run: its id.
        word: what is said of it.
        reported_pflop: of all rows that were opened, from reports that the word came after; None if none was.
    """
    place, expected = Place("X6", name_word(run, word)), "at least what the reports before it add up to"
    if reported_pflop is None:
        return place.skip("run_pflop", expected, reason="no rows of reports before it were opened")
    if word.run_pflop is None:
        return place.skip("run_pflop", f"{expected}, {reported_pflop}", reason="not opened")
    holds = word.run_pflop >= reported_pflop
    return place.compare("run_pflop", word.run_pflop, f"{expected}, {reported_pflop}", holds=holds)


def name_word(run: str, word: RunWord) -> str:
    """Say which statement of a run is meant."""
    return f"{run}, number {word.number}"


def _list_checkpoints(base: Sequence[RunWord]) -> list[int]:
    """What a base model's run had come to whenever it was told of; nothing trained is no model to begin with."""
    begun = [word.cumulative_pflop for word in base if word.state != "declared" and word.run_pflop]
    return [pflop for pflop in begun if pflop is not None]


def _compare_cap(run: str, word: RunWord, *, first: RunWord) -> Comparison:
    """What it came to against its cap, which is the one of the first word."""
    place = Place("X6", name_word(run, word))
    if word.cap_pflop is None or first.cap_pflop is None:
        return place.skip("cap_pflop", "the cap of its first statement, kept", reason="not opened")
    if word.cap_pflop != first.cap_pflop:
        return place.compare("cap_pflop", word.cap_pflop, f"{first.cap_pflop}, as in its first statement", holds=False)
    expected = f"at most its cap, {word.cap_pflop}"
    if word.run_pflop is None:
        return place.skip("run_pflop", expected, reason="not opened")
    return place.compare("run_pflop", word.run_pflop, expected, holds=word.run_pflop <= word.cap_pflop)


def _compare_step(run: str, before: RunWord, now: RunWord, *, is_whole: bool) -> tuple[Comparison, ...]:
    subject = name_word(run, now)
    place, expected = Place("X6", subject), "what it was before, plus what the run did since"
    if before.run_pflop is None or before.cumulative_pflop is None:
        reason, found = f"number {before.number} was not opened", now.cumulative_pflop
        return (place.skip("cumulative_pflop", expected, found="" if found is None else found, reason=reason),)
    if now.run_pflop is None or now.cumulative_pflop is None:
        return (place.skip("cumulative_pflop", expected, reason="not opened"),)
    done = now.run_pflop - before.run_pflop
    if done < 0:
        return (place.compare("run_pflop", now.run_pflop, f"at least {before.run_pflop}, as before", holds=False),)
    standing = RunStanding(previous_pflop=before.cumulative_pflop, is_frozen=is_whole and before.state == "frozen")
    return compare_run(subject, RunFigures(run, done, now.cumulative_pflop), standing=standing)
