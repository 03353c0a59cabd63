"""Words that all answers of the page's API share, and the answers about the page itself.

Conventions of every answer, from whose type the OpenAPI description is made:

- Times are Unix milliseconds of ledger time (`_ms`), or seconds where a format has them (`_s`). Nothing is a float.
- Hashes, keys, seals and digests are lower-case hex; bytes that a browser hashes or checks itself are base64 with
  padding (`_base64`), exactly as they stand on the ledger.
- Amounts that may exceed 2**53 are decimal strings (`_gflops`).
- Every answer has `head`: the sealed block that it was read at. Answers of one head belong together.
- Text that parties wrote (names, titles, sentences, whole statements) is theirs: it may hold anything, markup too, and
  is to be shown as text.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from ledger.limits import SIZE_MAX

Count = Annotated[int, Meta(ge=0, le=SIZE_MAX)]
Hex = Annotated[str, Meta(pattern=r"\A(?:[0-9a-f]{2})*\Z")]
Base64 = Annotated[str, Meta(pattern=r"\A[A-Za-z0-9+/]*={0,2}\Z")]
Decimal = Annotated[str, Meta(pattern=r"\A(?:0|[1-9][0-9]*)\Z")]
State = Literal["pending", "compliant", "late", "unverifiable", "contested", "missing", "exceeded"]
"""What the rules say of a cluster's interval; never shown without its assurance level."""
Assurance = Literal["A0", "A1", "A2", "A3", "A4"]
"""How far a declaration was checked. A0: it rests on what the lab declared; nothing else was checked."""


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """Anything that the API answers."""


class Head(Answer, frozen=True, kw_only=True):
    """The sealed block up to which the copy reaches.

    Attributes:
        height: of the block.
        tree_size: how many entries the ledger has after it.
        root: of the tree after it.
        block: the block's digest.
        time_ms: ledger time of the block.
    """

    height: Count
    tree_size: Count
    root: Hex
    block: Hex
    time_ms: Count


class Weight(Answer, frozen=True, kw_only=True):
    """Of how much of the registered capacity one thing is said.

    Attributes:
        state: what is said.
        assurance: with which level.
        clusters_count: of how many clusters.
        gflops: their registered peak capacity, a decimal string of GFLOP/s.
        share_permille: of all registered capacity among these clusters, rounded down.
    """

    state: State
    assurance: Assurance
    clusters_count: Count
    gflops: Decimal
    share_permille: Annotated[int, Meta(ge=0, le=1000)]


class Rollup(Answer, frozen=True, kw_only=True):
    """The verdicts on many clusters in one interval, added up by registered capacity.

    Attributes:
        worst: the worst state among them, a nation's own proven misconduct included; null if there is nothing to tell.
        least_assurance: the lowest level among them; null if there is none.
        registered_gflops: all capacity these clusters registered, a decimal string of GFLOP/s.
        unweighed_clusters_count: clusters that registered none in public.
        states: the worst first.
    """

    worst: State | None
    least_assurance: Assurance | None
    registered_gflops: Decimal
    unweighed_clusters_count: Count
    states: list[Weight]


class Status(Answer, frozen=True, kw_only=True):
    """Whether the copy can be shown yet; answered while it is being read, too.

    Attributes:
        state: `reading`: it is being read and checked for the first time, and everything else answers 503 till that is
            done. `ready`. `refused`: what is on disk is not what was written, as `problem` says, and everything else
            answers 500.
        checked_entries_count: how many entries were compared with the sealed root so far.
        entries_count: of how many.
        head: null while nothing could be read.
        sources: addresses this server follows in the background; none if another process does.
        followed_ms: when they were last asked, by this machine's clock; null if never.
        follow_problem: what went wrong then; null if nothing did.
        problem: what was found, in a sentence: why it was refused, or that there is no copy yet; else null.
        version: of this program.
    """

    state: Literal["reading", "ready", "refused"]
    checked_entries_count: Count
    entries_count: Count
    head: Head | None
    sources: list[str]
    followed_ms: Count | None
    follow_problem: str | None
    problem: str | None
    version: str


class Problem(Answer, frozen=True, kw_only=True):
    """What went wrong (RFC 9457), with the four parts of our errors.

    Attributes:
        type: a URN that names the code.
        title: the code's meaning.
        status: of HTTP, again.
        detail: one sentence.
        code: stable, see docs/errors.md; or `INTERNAL` for a mistake of ours.
        field: which part is wrong.
        found: what stood there.
        expected: what would be right.
    """

    type: str
    title: str
    status: Annotated[int, Meta(ge=400, le=599)]
    detail: str
    code: str
    field: str
    found: str
    expected: str
