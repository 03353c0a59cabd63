"""The routes of the page's API: what can be asked for, with which parameters, and what is answered.

| below `/api/v1/` | answers |
|---|---|
| `status` | whether the copy was read and checked, and how far |
| `overview` | the network's one word, capacity by verdict, how much there is |
| `heatmap?first=&last=&nation=&lab=&offset=&limit=` | verdicts by cluster and interval, a page of clusters |
| `labs/{lab}?first=&last=` | a lab, its clusters, and the verdicts on them in full |
| `nations` | members: what they proposed and cosigned, how their labs stand; the newest blocks |
| `pauses?offset=&limit=` | pauses, from proposal to end |
| `entries?kind=&issuer=&before=&limit=` | entries, newest first |
| `entries/{index}` | one entry |
| `entries/{index}/proof` | its inclusion proof, seal and cosignatures, raw, for the browser to check |
| `entries/{index}/receipt` | the same as a C2SP tlog-proof: a file for `counterseal verify` |
| `entries/{index}/bytes` | the entry's exact bytes: the file that belongs to the receipt |
| `blocks/{height}` | one block: header, seal |
| `certificates/{lab}/{cluster}/{interval}` | a certificate of the newest verdict: a file for `counterseal verify` |
| `search?q=` | labs, clusters, nations, pauses; an entry by index or leaf hash; a block by height |
| `deadlines?from=&until=` | what falls due between two moments |
| `notices?kind=&before=&limit=` | misconduct, incidents, observations, measures; what this observer found |
| `trust` | charter, fingerprint, group key, members' keys, the seal of the newest block |
| `charter` | the charter's exact bytes: a file |
| `openapi.json` | this, as OpenAPI 3.1 |

All are read with GET or HEAD and change nothing. Errors are problems of RFC 9457 (`answers.words.Problem`).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from observer.web.answers.calendar import Deadlines, Search
from observer.web.answers.entries import Block, Entries, Entry, Proof
from observer.web.answers.nations import Nations
from observer.web.answers.notices import Notices
from observer.web.answers.overview import Overview
from observer.web.answers.pauses import Pauses
from observer.web.answers.trust import Trust
from observer.web.answers.verdicts import Heatmap, Lab
from observer.web.answers.words import Answer
from observer.web.pages.calendar import show_deadlines
from observer.web.pages.entries import (
    give_bytes,
    give_certificate,
    give_charter,
    give_receipt,
    show_block,
    show_entries,
    show_entry,
    show_proof,
)
from observer.web.pages.notices import show_notices
from observer.web.pages.overview import show_nations, show_overview
from observer.web.pages.pauses import show_pauses
from observer.web.pages.proven import Shown
from observer.web.pages.searching import show_search
from observer.web.pages.trust import show_trust
from observer.web.pages.verdicts import show_heatmap, show_lab
from observer.web.parameters import (
    BEFORE,
    CLUSTER,
    FIRST,
    HEIGHT,
    INDEX,
    INTERVAL,
    LAB,
    LAST,
    NATION,
    Asked,
    Number,
    Parameter,
    Word,
)

PREFIX: Final = "/api/v1/"
RECEIPT_TYPE: Final = "text/plain; charset=utf-8"
BYTES_TYPE: Final = "application/octet-stream"
JSON_TYPE: Final = "application/json"


Show = Callable[[Shown, Asked], Answer]
Give = Callable[[Shown, Asked], tuple[bytes, str]]


@dataclass(frozen=True, slots=True)
class Page:
    """Something that is answered as JSON.

    Attributes:
        name: of the operation.
        path: below `PREFIX`, with the names of its parameters in braces.
        summary: what is answered.
        answer: its type.
        show: makes it.
        in_path: parameters in the path, in its order.
        in_query: parameters behind the question mark.
        is_timely: whether it depends on more than the copy: the clock, what lies beside it.
    """

    name: str
    path: str
    summary: str
    answer: type[Answer]
    show: Show
    in_path: tuple[Parameter, ...] = ()
    in_query: tuple[Parameter, ...] = ()
    is_timely: bool = False


@dataclass(frozen=True, slots=True)
class Download:
    """Something that is answered as a file, which a browser keeps and never shows.

    Attributes:
        name: of the operation.
        path: below `PREFIX`, with the names of its parameters in braces.
        summary: what is answered.
        media_type: of the file.
        give: makes it, and its name.
        in_path: parameters in the path, in its order.
    """

    name: str
    path: str
    summary: str
    media_type: str
    give: Give
    in_path: tuple[Parameter, ...] = ()


Route = Page | Download


def _limit(maximum: int, default: int) -> Number:
    return Number(name="limit", summary="how many at most", minimum=1, maximum=maximum, default=default)


OFFSET: Final = Number(name="offset", summary="how many to leave out", maximum=10_000_000, default=0)
KIND: Final = Word(name="kind", summary="a kind of statement, such as report")
ISSUER: Final = Word(name="issuer", summary="id of who signed")
NOTICE_KIND: Final = Word(
    name="kind", summary="a kind of notice", pattern="(?:misconduct|incident|observation|enforcement)"
)
QUERY: Final = Word(
    name="q",
    summary="part of a name or id, an index, a height, or 64 hex digits of a digest",
    pattern=r"[^\u0000-\u001f\u007f]{1,128}",
    characters_max=128,
    is_required=True,
)
FROM: Final = Number(name="from", summary="the first moment, Unix ms; default: the head's time")
UNTIL: Final = Number(name="until", summary="the first moment not to show, Unix ms; default: four intervals later")

STATUS: Final = "status"
STATUS_SUMMARY: Final = "Whether the copy was read and checked, and how far; answered at any time"

ROUTES: Final[tuple[Route, ...]] = (
    Page(
        "overview",
        "overview",
        "The network's one word, capacity by verdict, how much there is",
        Overview,
        show_overview,
        is_timely=True,
    ),
    Page(
        "heatmap",
        "heatmap",
        "Verdicts by cluster and interval, at most 64 intervals; default: the newest 16",
        Heatmap,
        show_heatmap,
        in_query=(FIRST, LAST, NATION, LAB, OFFSET, _limit(500, 100)),
    ),
    Page(
        "lab",
        "labs/{lab}",
        "A lab, its clusters, and the verdicts on them in full, of at most 64 intervals; default: the newest 8",
        Lab,
        show_lab,
        in_path=(LAB,),
        in_query=(FIRST, LAST),
    ),
    Page(
        "nations",
        "nations",
        "The members of the committee and the newest blocks",
        Nations,
        show_nations,
        is_timely=True,
    ),
    Page("pauses", "pauses", "Pauses, the newest first", Pauses, show_pauses, in_query=(OFFSET, _limit(100, 20))),
    Page(
        "entries",
        "entries",
        "Entries, newest first",
        Entries,
        show_entries,
        in_query=(KIND, ISSUER, BEFORE, _limit(200, 50)),
    ),
    Page("entry", "entries/{index}", "One entry", Entry, show_entry, in_path=(INDEX,)),
    Page("proof", "entries/{index}/proof", "All that proves an entry, raw", Proof, show_proof, in_path=(INDEX,)),
    Download(
        "receipt",
        "entries/{index}/receipt",
        "The entry's receipt, a C2SP tlog-proof",
        RECEIPT_TYPE,
        give_receipt,
        in_path=(INDEX,),
    ),
    Download("bytes", "entries/{index}/bytes", "The entry's exact bytes", BYTES_TYPE, give_bytes, in_path=(INDEX,)),
    Page("block", "blocks/{height}", "One block", Block, show_block, in_path=(HEIGHT,)),
    Download(
        "certificate",
        "certificates/{lab}/{cluster}/{interval}",
        "A certificate of the newest verdict on a cluster's interval",
        JSON_TYPE,
        give_certificate,
        in_path=(LAB, CLUSTER, INTERVAL),
    ),
    Page(
        "search",
        "search",
        "Find labs, clusters, nations, pauses, entries and blocks",
        Search,
        show_search,
        in_query=(QUERY,),
    ),
    Page(
        "deadlines",
        "deadlines",
        "What falls due between two moments",
        Deadlines,
        show_deadlines,
        in_query=(FROM, UNTIL),
    ),
    Page(
        "notices",
        "notices",
        "Misconduct, incidents, observations and measures, newest first; and what this observer found",
        Notices,
        show_notices,
        in_query=(NOTICE_KIND, BEFORE, _limit(200, 50)),
        is_timely=True,
    ),
    Page("trust", "trust", "Charter, fingerprint, and every key", Trust, show_trust),
    Download("charter", "charter", "The charter's exact bytes", BYTES_TYPE, give_charter),
)
