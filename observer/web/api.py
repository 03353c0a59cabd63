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
| `search?q=` | labs, clusters, nations, pauses; an entry by index or leaf hash; a block by height or digest |
| `deadlines?from=&until=` | what falls due between two moments |
| `notices?kind=&before=&limit=` | misconduct, incidents, observations, measures; what this observer found |
| `trust` | charter, fingerprint, group key, members' keys, the seal of the newest block |
| `charter` | the charter's exact bytes: a file |
| `openapi.json` | this, as OpenAPI 3.1 |

All are read with GET or HEAD and change nothing. Errors are problems of RFC 9457 (`answers.words.Problem`).
"""

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
from observer.web.answers.words import Answer, Status
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
    Number,
    Parameter,
    Word,
)

PREFIX: Final = "/api/v1/"
RECEIPT_TYPE: Final = "text/plain; charset=utf-8"
BYTES_TYPE: Final = "application/octet-stream"
JSON_TYPE: Final = "application/json"
ENTRY_TYPE: Final = "application/octet-stream"  # never shown by a browser: what parties wrote stands in it


@dataclass(frozen=True, slots=True)
class Route:
    """Something that can be asked for.

    Attributes:
        name: of the operation.
        path: below `PREFIX`, with the names of its parameters in braces.
        summary: what is answered.
        answer: its type; None for a file.
        in_path: parameters in the path, in its order.
        in_query: parameters behind the question mark.
        media_type: of the answer.
    """

    name: str
    path: str
    summary: str
    answer: type[Answer] | None
    in_path: tuple[Parameter, ...] = ()
    in_query: tuple[Parameter, ...] = ()
    media_type: str = JSON_TYPE


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

ROUTES: Final = (
    Route("status", "status", "Whether the copy was read and checked, and how far", Status),
    Route("overview", "overview", "The network's one word, capacity by verdict, how much there is", Overview),
    Route(
        "heatmap",
        "heatmap",
        "Verdicts by cluster and interval, at most 64 intervals; default: the newest 16",
        Heatmap,
        in_query=(FIRST, LAST, NATION, LAB, OFFSET, _limit(500, 100)),
    ),
    Route(
        "lab",
        "labs/{lab}",
        "A lab, its clusters, and the verdicts on them in full, of at most 64 intervals; default: the newest 8",
        Lab,
        in_path=(LAB,),
        in_query=(FIRST, LAST),
    ),
    Route("nations", "nations", "The members of the committee and the newest blocks", Nations),
    Route("pauses", "pauses", "Pauses, the newest first", Pauses, in_query=(OFFSET, _limit(100, 20))),
    Route(
        "entries",
        "entries",
        "Entries, newest first",
        Entries,
        in_query=(KIND, ISSUER, BEFORE, _limit(200, 50)),
    ),
    Route("entry", "entries/{index}", "One entry", Entry, in_path=(INDEX,)),
    Route("proof", "entries/{index}/proof", "What proves that an entry stands here, raw", Proof, in_path=(INDEX,)),
    Route(
        "receipt",
        "entries/{index}/receipt",
        "The entry's receipt, a C2SP tlog-proof",
        None,
        in_path=(INDEX,),
        media_type=RECEIPT_TYPE,
    ),
    Route("bytes", "entries/{index}/bytes", "The entry's exact bytes", None, in_path=(INDEX,), media_type=ENTRY_TYPE),
    Route("block", "blocks/{height}", "One block", Block, in_path=(HEIGHT,)),
    Route(
        "certificate",
        "certificates/{lab}/{cluster}/{interval}",
        "A certificate of the newest verdict on a cluster's interval",
        None,
        in_path=(LAB, CLUSTER, INTERVAL),
    ),
    Route("search", "search", "Find labs, clusters, nations, pauses, entries and blocks", Search, in_query=(QUERY,)),
    Route("deadlines", "deadlines", "What falls due between two moments", Deadlines, in_query=(FROM, UNTIL)),
    Route(
        "notices",
        "notices",
        "Misconduct, incidents, observations and measures, newest first; and what this observer found",
        Notices,
        in_query=(NOTICE_KIND, BEFORE, _limit(200, 50)),
    ),
    Route("trust", "trust", "Charter, fingerprint, and every key", Trust),
    Route("charter", "charter", "The charter's exact bytes", None, media_type=ENTRY_TYPE),
)
