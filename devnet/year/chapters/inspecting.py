"""Challenges, responses and findings: a lie is found out, a report is found true, lent accelerators are found twice.

What is handed over is made and checked as on a real ledger (`devnet.year.inquest`). It is not encrypted on its way,
since there is no way here; the digests of ciphertexts are stand-ins.
"""

import hashlib
from collections.abc import Callable, Mapping
from typing import Final

from devnet.year.acts import Act, Chapter, Header, Moment, Said, Write
from devnet.year.books import Book
from devnet.year.cast import AURELIA, BOREALIS, CIMBRIA, DACIA, HALCYON, LANTERN, NATIONS, make_encryption_key, make_key
from devnet.year.chapters.lending import (
    BORROWER,
    DIFFERENCE_IN,
    LENDER,
    LENT_COUNT,
    make_chips_tree,
    name_inventory,
)
from devnet.year.chapters.pause import find_promises
from devnet.year.chapters.reporting import UNDERSTATED, name_report
from devnet.year.inquest import Inquest, find_failures, inspect_account, inspect_chips, open_account, open_chips
from ledger.crosschecks.comparisons import Comparison
from ledger.openings import Openings, compute_handed, compute_openings_context, encode_openings
from ledger.positions import Interval, LeafIndex
from ledger.statements.inspections import (
    Challenge,
    Finding,
    Ground,
    Grounds,
    Handed,
    Inspector,
    Inspectors,
    Named,
    Request,
    Response,
    encode_challenge,
    encode_finding,
    encode_inspectors,
    encode_response,
)

_HandOver = Callable[[Header, Mapping[str, Said]], Openings]
_Inspect = Callable[[Header, Mapping[str, Said]], list[Comparison]]

INSPECTOR: Final = "first"

LIE: Final = Inquest("lantern-fortnight-4", AURELIA, LANTERN, UNDERSTATED[1], (AURELIA, BOREALIS))
TRUTH: Final = Inquest("halcyon-fortnight-5", DACIA, HALCYON, 5, (BOREALIS, DACIA))
TWICE: Final = tuple(
    Inquest(
        f"{lab.id}-accelerators",
        AURELIA,
        lab,
        DIFFERENCE_IN,
        (AURELIA, CIMBRIA),
        tuple(range(lab.fact.chips_count - LENT_COUNT - 8, lab.fact.chips_count)),
    )
    for lab in (LENDER, BORROWER)
)


def write_inspections(base: Interval, books: Mapping[str, Mapping[int, Book]]) -> Chapter:
    """Four challenges; arguments as of `devnet.year.chapters.reporting.write_reports`."""
    return Chapter(
        "inspections",
        (
            *(_name_inspector(nation) for nation in NATIONS),
            *_inspect_lent(base),
            *_inspect_reported(base, LIE, books[LIE.lab.id][LIE.interval], raised=Moment(9, 550), is_understated=True),
            *_inspect_reported(base, TRUTH, books[TRUTH.lab.id][TRUTH.interval], raised=Moment(10, 550)),
        ),
    )


def write_challenge(base: Interval, inquest: Inquest, *, because: str, grounds: str = "") -> Write:
    """Raise a challenge.

    Args:
        base: interval of the ledger that is interval 0 of the story.
        inquest: what is asked.
        because: a sentence.
        grounds: name of the act that made the challenger ask, if there is one.
    """

    def write(header: Header, said: Mapping[str, Said]) -> bytes:
        request = Request(
            fields=inquest.fields,  # type: ignore[arg-type]  # names of fields, each a literal
            records=() if inquest.chips else tuple(LeafIndex(index) for index in range(4)),
            inventory=said[name_inventory(inquest.lab)].leaf if inquest.chips else None,
            chips=tuple(LeafIndex(index) for index in inquest.chips),
            recompute=None,
        )
        return encode_challenge(
            Challenge(
                **header,
                challenge=inquest.id,
                lab=inquest.lab.id,
                cluster=inquest.lab.cluster,
                interval=Interval(base + inquest.interval),
                request=request,
                grounds=Grounds(said[grounds].index if grounds else None, because),
                inspectors=tuple(Named(nation, INSPECTOR) for nation in inquest.inspectors),
            )
        )

    return write


def _name_inspector(nation: str) -> Act:
    key = _inspector_key(nation)
    named = Inspector(
        id=INSPECTOR,
        name=f"An inspector of {nation.capitalize()}",
        signing_key=make_key(key).public_key,
        encryption_key=make_encryption_key(key),
        status="active",
    )

    def write(header: Header, _: Mapping[str, Said]) -> bytes:
        return encode_inspectors(Inspectors(**header, inspectors=(named,)))

    return Act(Moment(1, 350), nation, write, tells=f"{nation.capitalize()} names an inspector")


def _inspect_reported(
    base: Interval, inquest: Inquest, book: Book, *, raised: Moment, is_understated: bool = False
) -> list[Act]:
    """A challenge to a report: raised, answered a fortnight later, found another fortnight later."""
    lab, figures = inquest.lab, book.understated if is_understated else book.figures
    row = book.row(figures, promises=find_promises(lab, inquest.interval))
    report = name_report(lab, inquest.interval)

    def hand_over(header: Header, said: Mapping[str, Said]) -> Openings:
        return open_account(inquest, book, figures, ledger=header["ledger"], base=base, report=said[report].leaf)

    def inspect(header: Header, said: Mapping[str, Said]) -> list[Comparison]:
        return inspect_account(row, hand_over(header, said), lab)

    asks = f"{inquest.challenger.capitalize()} asks {lab.name} to open fortnight {inquest.interval} to inspectors"
    challenge = write_challenge(base, inquest, because="what the site drew does not look like what was reported")
    return [
        Act(raised, inquest.challenger, challenge, tells=asks),
        _respond(inquest, hand_over, Moment(raised.interval + 1, 350)),
        *(
            _find(inquest, nation, inspect, Moment(raised.interval + 2, 350), ground="CHECK_FAILED")
            for nation in inquest.inspectors
        ),
    ]


def _inspect_lent(base: Interval) -> list[Act]:
    """Two challenges on the same ground: both inventories are opened where one says that it was lent something."""

    def hand_over(inquest: Inquest) -> _HandOver:
        def make(header: Header, said: Mapping[str, Said]) -> Openings:
            inventory = said[name_inventory(inquest.lab)].leaf
            return open_chips(inquest, ledger=header["ledger"], base=base, inventory=inventory)

        return make

    def inspect(header: Header, said: Mapping[str, Said]) -> list[Comparison]:
        roots = {inquest.lab.id: make_chips_tree(inquest.lab).root() for inquest in TWICE}
        return inspect_chips(roots, {inquest.lab.id: hand_over(inquest)(header, said) for inquest in TWICE})

    acts = []
    for inquest in TWICE:
        because = "one side of a transfer is missing"
        asks = f"{inquest.challenger.capitalize()} asks {inquest.lab.name} to open {len(inquest.chips)} accelerators"
        challenge = write_challenge(base, inquest, because=because, grounds="transfer")
        acts += [
            Act(Moment(8, 550), inquest.challenger, challenge, tells=asks),
            _respond(inquest, hand_over(inquest), Moment(9, 350)),
        ]
        acts += [
            _find(inquest, nation, inspect, Moment(10, 350), ground="INVENTORY_DIFFERENCE")
            for nation in inquest.inspectors
        ]
    return acts


def _respond(inquest: Inquest, hand_over: _HandOver, at: Moment) -> Act:
    def write(header: Header, said: Mapping[str, Said]) -> bytes:
        raw = encode_openings(hand_over(header, said))
        recipients = tuple(
            Handed(nation=nation, inspector=INSPECTOR, ciphertext=_stand_in(header["ledger"], inquest, nation, raw))
            for nation in inquest.inspectors
        )
        return encode_response(
            Response(
                **header,
                challenge=inquest.id,
                outcome="provided",
                handed=compute_handed(raw),
                recipients=recipients,
            )
        )

    return Act(at, inquest.lab.id, write, tells=f"{inquest.lab.name} hands over what was asked")


def _find(inquest: Inquest, nation: str, inspect: _Inspect, at: Moment, *, ground: Ground) -> Act:
    """What an inspector finds follows from the comparisons, and from nothing else."""

    def write(header: Header, said: Mapping[str, Said]) -> bytes:
        compared = inspect(header, said)
        failures = find_failures(compared)
        report = "\n".join(f"{each.outcome}: {each}" for each in compared)
        return encode_finding(
            Finding(
                **header,
                challenge=inquest.id,
                inspector=INSPECTOR,
                conclusion="inconsistent" if failures else "consistent",
                fields=(),
                grounds=(ground,) if failures else (),
                level=None if failures else "A3",
                report=hashlib.sha256(report.encode()).hexdigest(),
            )
        )

    tells = f"{nation.capitalize()}'s inspector says what it found at {inquest.lab.name}"
    return Act(at, nation, write, tells=tells, cosigners=(_inspector_key(nation),))


def _stand_in(ledger: str, inquest: Inquest, nation: str, raw: bytes) -> str:
    context = compute_openings_context(
        ledger_id=bytes.fromhex(ledger), challenge=inquest.id, nation=nation, inspector=INSPECTOR
    )
    return hashlib.sha256(context + raw).hexdigest()


def _inspector_key(nation: str) -> str:
    return f"{nation} inspector"
