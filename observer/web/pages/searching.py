"""Finding things by part of a name, by id, by number, by digest."""

import re
from collections.abc import Iterator
from itertools import islice
from typing import Final

from ledger.limits import HASH_BYTES
from ledger.positions import LeafIndex
from observer.web.answers.calendar import Hit, Search
from observer.web.pages.entries import describe_line
from observer.web.pages.proven import Shown, describe_head
from observer.web.parameters import Asked

HITS_MAX: Final = 50
_NUMBER: Final = re.compile(r"0|[1-9][0-9]{0,18}", re.ASCII)
_DIGEST: Final = re.compile(rf"[0-9a-f]{{{2 * HASH_BYTES}}}", re.ASCII)


def show_search(shown: Shown, asked: Asked) -> Search:
    """Find whatever is meant: numbers and digests first, then what is called so, then what begins so, then the rest.

    Raises:
        LedgerError: the copy on disk is not what was written.
    """
    wanted = asked.word("q").strip().casefold()
    exact, beginning, within = [], [], []
    for hit in _list_named(shown):
        names = (hit.id.casefold(), hit.title.casefold())
        if not wanted or not any(wanted in name for name in names):
            continue
        if wanted in names:
            exact.append(hit)
        elif any(name.startswith(wanted) for name in names):
            beginning.append(hit)
        else:
            within.append(hit)
    hits = [*islice(_find_exactly(shown, wanted), HITS_MAX), *exact, *beginning, *within]
    return Search(
        head=describe_head(shown.copy.head.header),
        q=asked.word("q"),
        hits=hits[:HITS_MAX],
        is_complete=len(hits) <= HITS_MAX,
    )


def _find_exactly(shown: Shown, wanted: str) -> Iterator[Hit]:
    copy = shown.copy
    if _NUMBER.fullmatch(wanted):
        number = int(wanted)
        if number < copy.tree.size:
            yield _describe_entry(shown, LeafIndex(number))
        if number <= copy.head.header.height:
            yield Hit(kind="block", id=str(number), title=f"block {number}", about="")
    if _DIGEST.fullmatch(wanted):
        index = copy.find_leaf(bytes.fromhex(wanted))
        if index is not None and copy.tree.read(0, index).hex() == wanted:
            yield _describe_entry(shown, index)
        if wanted == copy.charter.fingerprint:
            yield _describe_entry(shown, LeafIndex(0))


def _describe_entry(shown: Shown, index: LeafIndex) -> Hit:
    line = describe_line(shown, index)
    return Hit(kind="entry", id=str(index), title=line.subject, about=line.kind)


def _list_named(shown: Shown) -> Iterator[Hit]:
    for member in shown.copy.charter.members:
        yield Hit(kind="nation", id=member.id, title=member.name, about=member.node)
    register = shown.view.register
    for lab in register.labs.values():
        yield Hit(kind="lab", id=lab.id, title=lab.name, about=lab.nation)
    for pause in register.pauses.values():
        yield Hit(kind="pause", id=pause.proposal.pause, title=pause.proposal.terms.title, about=pause.proposal.issuer)
    for lab in register.labs.values():
        for cluster in lab.clusters.values():
            yield Hit(kind="cluster", id=cluster.id, title=cluster.facility, about=lab.id)
