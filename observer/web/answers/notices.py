"""Answers: what parties said of each other, and what this observer found itself."""

from typing import Literal

from observer.web.answers.words import Answer, Count, Head


class Notice(Answer, frozen=True, kw_only=True):
    """Misconduct that was proven, an incident, an observation, or a measure.

    Attributes:
        index: of the entry.
        kind: which of them.
        issuer: who said it.
        time_ms: of its block.
        about: whom or what it is about.
        headline: the deciding word: a kind of misconduct, a category, a measure.
        level: severity of an incident, confidence of an observation; null for the others.
        interval: when it was or from when it holds; null where none is named.
        until: the first interval a measure no longer holds in; null where none is named.
        text: what the issuer wrote; null where the account is not on the ledger.
    """

    index: Count
    kind: Literal["misconduct", "incident", "observation", "enforcement"]
    issuer: str
    time_ms: Count
    about: str
    headline: str
    level: str | None
    interval: Count | None
    until: Count | None
    text: str | None


class Evidence(Answer, frozen=True, kw_only=True):
    """A finding of this observer's own, which lies in a folder beside the copy and not on the ledger.

    Attributes:
        name: of the folder.
        kind: `contradiction`: a quorum sealed two histories. `rollback`: a member went back.
        said: in a sentence.
        source: who showed it.
        height: of the block it is about.
        seen_ms: when it was seen, by this machine's clock.
        is_decided: whether a person has decided about it.
    """

    name: str
    kind: Literal["contradiction", "rollback"]
    said: str
    source: str
    height: Count
    seen_ms: Count
    is_decided: bool


class Notices(Answer, frozen=True, kw_only=True):
    """A page of notices, newest first.

    Attributes:
        head: what it was read at.
        notices: of the page.
        notices_count: how many there are in all of what was asked for.
        before: ask for the next page with this; null if there is none.
        evidence: of this observer's own; on every page, at most 100.
    """

    head: Head
    notices: list[Notice]
    notices_count: Count
    before: Count | None
    evidence: list[Evidence]
