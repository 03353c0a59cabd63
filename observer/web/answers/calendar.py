"""Answers: what was found, and what is to come."""

from typing import Literal

from observer.web.answers.words import Answer, Count, Head


class Hit(Answer, frozen=True, kw_only=True):
    """Something that was found.

    Attributes:
        kind: what it is.
        id: a lab's, cluster's, nation's or pause's id; an entry's index or a block's height in decimal.
        title: what people call it.
        about: the lab of a cluster, the nation of a lab, the kind of an entry.
    """

    kind: Literal["entry", "block", "lab", "cluster", "nation", "pause"]
    id: str
    title: str
    about: str


class Search(Answer, frozen=True, kw_only=True):
    """What was found, best first; `is_complete` is false if there was more."""

    head: Head
    q: str
    hits: list[Hit]
    is_complete: bool


class Deadline(Answer, frozen=True, kw_only=True):
    """One date.

    Attributes:
        at_ms: the first moment that is too late, or at which something begins or ends.
        kind: `interval-ends`: from here on it may be reported. `reports-due`; `grace-ends`: what is not filed is
            missing. `corrections-end`: no longer free. `challenges-end`: the interval can be challenged no more.
            `pause-lapses`, `pause-begins`, `pause-ends`. `response-due`: a lab's answer to a challenge. `sample-due`:
            its answer to a sample. `approval-ends`: from here on the nation's silence says of a declared run what the
            charter lets it say. `vote-ends`: of a proposal.
        interval: which; null where it is about none.
        id: of the pause, challenge, sample, run or proposal; null for an interval.
        about: in words: a title, a lab and cluster.
        index: of the entry it goes back to; null for an interval's.
        is_past: whether it was over at the head's time.
    """

    at_ms: Count
    kind: Literal[
        "interval-ends",
        "reports-due",
        "grace-ends",
        "corrections-end",
        "challenges-end",
        "pause-lapses",
        "pause-begins",
        "pause-ends",
        "response-due",
        "sample-due",
        "approval-ends",
        "vote-ends",
    ]
    interval: Count | None
    id: str | None
    about: str
    index: Count | None
    is_past: bool


class Deadlines(Answer, frozen=True, kw_only=True):
    """The calendar, by time.

    Network outages so far are counted in; what an outage of its own gives one lab more is not.

    Attributes:
        head: what it was read at.
        from_ms: the first moment shown.
        until_ms: the first one not shown.
        deadlines: at most 2000, the earliest.
        is_complete: false if there were more.
    """

    head: Head
    from_ms: Count
    until_ms: Count
    deadlines: list[Deadline]
    is_complete: bool
