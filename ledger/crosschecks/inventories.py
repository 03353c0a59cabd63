"""Books of accelerators: X7 for one cluster or lab, X8 for one transfer, X12 for the network. Counts are by model."""

from collections.abc import Mapping
from dataclasses import dataclass

from ledger.crosschecks.comparisons import Comparison, Place
from ledger.positions import Seconds
from ledger.statements.intoto import parse_quantity
from ledger.statements.inventories import SharedTerms, Transfer

Counts = Mapping[str, int]
"""Accelerators by model; a model that is missing counts as none."""


def compare_book(
    subject: str, *, before: Counts | None, received: Counts | None, sent: Counts | None, now: Counts | None
) -> tuple[Comparison, ...]:
    """X7: an inventory against the one before it, plus what came in, less what went out.

    Args:
        subject: the cluster or lab.
        before: the inventory at an earlier boundary; None if nobody opened it, and so for the others.
        received: what transfers brought since, chips built included.
        sent: what transfers took away since, chips retired or destroyed included.
        now: the inventory at the later boundary.
    """
    place = Place("X7", subject)
    parts = {"the inventory before": before, "what came in": received, "what went out": sent, "the inventory": now}
    if before is None or received is None or sent is None or now is None:
        unknown = ", ".join(name for name, counts in parts.items() if counts is None)
        return (place.skip("counts", "before, plus in, less out", reason=f"not known: {unknown}"),)
    compared = []
    for model in _list_models(before, received, sent, now):
        was, came, left = before.get(model, 0), received.get(model, 0), sent.get(model, 0)
        compared.append(_balance(place, model, now.get(model, 0), was + came - left, f"{was} + {came} - {left}"))
    return tuple(compared)


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferSide:
    """What one side says of a transfer.

    Attributes:
        lab: who says it.
        counterparty: of whom.
        counts: accelerators by model; None if not opened.
        root: hex root over the chips; empty if it says that nothing moved.
        match: what both sides' shared terms hash to; empty if it says that nothing moved, or is not looked at.
        sealed_at: ledger time of the statement; None for whoever knows only by when it was there.
    """

    lab: str
    counterparty: str
    counts: Counts | None
    root: str
    sealed_at: Seconds | None
    match: str = ""


def compare_transfer(
    subject: str, *, out: TransferSide | None, into: TransferSide | None, window_s: int, now: Seconds | None
) -> tuple[Comparison, ...]:
    """X8: the two sides of a transfer against each other.

    Args:
        subject: what people call the transfer.
        out: the side that sends; None if it said nothing yet.
        into: the side that receives; the same. One of the two has spoken.
        window_s: in which both must have spoken.
        now: ledger time; None for whoever does not know it.
    """
    place = Place("X8", subject)
    if out is None or into is None:
        return (_await_other_side(place, out, into, window_s=window_s, now=now),)
    return (
        place.compare("out.counterparty", out.counterparty, into.lab, holds=out.counterparty == into.lab),
        place.compare("in.counterparty", into.counterparty, out.lab, holds=into.counterparty == out.lab),
        *_compare_sides(place, out.counts, into.counts),
        place.compare("root", into.root, f"{out.root}, as the sender says", holds=into.root == out.root),
        *_compare_matches(place, out, into),
        _compare_times(place, out, into, window_s=window_s),
    )


def compare_terms(
    subject: str, transfer: Transfer, *, terms: SharedTerms | None, counts: Counts | None
) -> tuple[Comparison, ...]:
    """X8 on one side: what it says under its own salts, and the terms that its `match` is of, which both sides signed.

    Args:
        subject: what people call the transfer.
        transfer: what the side says; something moved, and there is another side.
        terms: as they were opened under its `match`; None if they were not.
        counts: accelerators by model, as opened under its own salts; None if they were not.
    """
    place, side = Place("X8", subject), f"{transfer.direction}.terms"
    if terms is None:
        return (place.skip(side, "what the side says", reason="the shared terms were not opened"),)
    names = f"{terms.transfer}, {terms.sender} to {terms.receiver}"
    says = f"{transfer.transfer}, {transfer.sender} to {transfer.receiver}"
    root = "" if transfer.shipment is None else transfer.shipment.chips_root
    agreed = read_terms(terms)
    compared = (
        place.compare(f"{side}.names", names, says, holds=names == says),
        place.compare(
            f"{side}.root", terms.chips_root, f"{root}, as it says in public", holds=terms.chips_root == root
        ),
    )
    if counts is None:
        reason = "not opened under its own salts"
        return (*compared, place.skip(f"{side}.counts", "its own", found=_show(agreed), reason=reason))
    is_same = {model: count for model, count in counts.items() if count} == agreed
    return (*compared, place.compare(f"{side}.counts", _show(agreed), f"{_show(counts)}, its own", holds=is_same))


def read_terms(terms: SharedTerms) -> Counts:
    """Give accelerators by model, as terms of a transfer say."""
    count = parse_quantity(terms.count, field="terms.count")
    return {terms.model: count} if count else {}


def compare_shipments(
    subject: str, *, sent: Counts | None, received: Counts | None, in_transit: Counts | None
) -> tuple[Comparison, ...]:
    """X12: all that labs sent to each other against all that arrived, network-wide.

    Args:
        subject: the network, or the part of it that is looked at.
        sent: by all transfers out to another party of the ledger; None if not all are opened.
        received: by all transfers in; the same.
        in_transit: sent, not yet received, and still within the window.
    """
    place = Place("X12", subject)
    if sent is None or received is None or in_transit is None:
        reason = "not all transfers are opened"
        return (place.skip("received", "all that was sent, less what is in transit", reason=reason),)
    compared = []
    for model in _list_models(sent, received, in_transit):
        out, travels = sent.get(model, 0), in_transit.get(model, 0)
        compared.append(
            _balance(place, model, received.get(model, 0), out - travels, f"{out} - {travels}", field="received")
        )
    return tuple(compared)


def compare_stock(
    subject: str, *, before: Counts | None, built: Counts | None, retired: Counts | None, now: Counts | None
) -> tuple[Comparison, ...]:
    """X12: all chips of the network against those before, plus the built, less the retired and destroyed ones.

    Args:
        subject: the network, or the part of it that is looked at.
        before: all inventories and what was in transit at an earlier boundary; None if not all are opened.
        built: what entered the network since.
        retired: what left it since.
        now: all inventories and what is in transit at the later boundary.
    """
    place = Place("X12", subject)
    if before is None or built is None or retired is None or now is None:
        reason = "not all inventories and transfers are opened"
        return (place.skip("counts", "before, plus built, less retired", reason=reason),)
    compared = []
    for model in _list_models(before, built, retired, now):
        was, entered, left = before.get(model, 0), built.get(model, 0), retired.get(model, 0)
        compared.append(_balance(place, model, now.get(model, 0), was + entered - left, f"{was} + {entered} - {left}"))
    return tuple(compared)


def _await_other_side(
    place: Place, out: TransferSide | None, into: TransferSide | None, *, window_s: int, now: Seconds | None
) -> Comparison:
    side = out or into
    assert side is not None, "a transfer of which nobody spoke"
    missing = "in" if into is None else "out"
    if side.sealed_at is None or now is None:
        expected = f"{side.counterparty} to confirm what {side.lab} said"
        return place.skip(missing, expected, found="nothing", reason="the other side's word is not here")
    due = side.sealed_at + window_s
    expected = f"{side.counterparty} to confirm what {side.lab} said, by {due}"
    if now <= due:
        return place.skip(missing, expected, found="nothing", reason="the window is open")
    return place.compare(missing, "nothing", expected, holds=False)


def _compare_sides(place: Place, out: Counts | None, into: Counts | None) -> tuple[Comparison, ...]:
    if out is None or into is None:
        unopened = " and ".join(side for side, counts in (("out", out), ("in", into)) if counts is None)
        return (place.skip("counts", "equal counts", reason=f"not opened: {unopened}"),)
    compared = []
    for model in _list_models(out, into):
        came, left = into.get(model, 0), out.get(model, 0)
        compared.append(place.compare(f"counts.{model}", came, f"{left}, as the sender says", holds=came == left))
    return tuple(compared)


def _compare_matches(place: Place, out: TransferSide, into: TransferSide) -> tuple[Comparison, ...]:
    if not out.match and not into.match:
        return ()
    expected = f"{out.match or 'none'}, as the sender says"
    return (place.compare("match", into.match or "none", expected, holds=into.match == out.match),)


def _compare_times(place: Place, out: TransferSide, into: TransferSide, *, window_s: int) -> Comparison:
    expected = f"at most {window_s} s apart"
    if out.sealed_at is None or into.sealed_at is None:
        return place.skip("sealed_at", expected, reason="a receipt tells by when, not when; the rules look at that")
    apart_s = abs(out.sealed_at - into.sealed_at)
    return place.compare("sealed_at", f"{apart_s} s apart", expected, holds=apart_s <= window_s)


def _show(counts: Counts) -> str:
    return ", ".join(f"{count} {model}" for model, count in sorted(counts.items()) if count) or "none"


def _balance(
    place: Place, model: str, found: int, expected: int, explained: str, *, field: str = "counts"
) -> Comparison:
    return place.compare(f"{field}.{model}", found, f"{expected} = {explained}", holds=found == expected)


def _list_models(*counts: Counts) -> list[str]:
    return sorted({model for each in counts for model in each})
