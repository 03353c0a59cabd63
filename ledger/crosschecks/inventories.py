"""Books of accelerators: X7 for one cluster or lab, X8 for one transfer, X12 for the network. Counts are by model."""

from collections.abc import Mapping
from dataclasses import dataclass

from ledger.crosschecks.comparisons import Comparison, Place
from ledger.positions import Seconds

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
        root: hex root over the chips.
        sealed_at: ledger time of the statement.
    """

    lab: str
    counterparty: str
    counts: Counts | None
    root: str
    sealed_at: Seconds


def compare_transfer(
    subject: str, *, out: TransferSide | None, into: TransferSide | None, window_s: int, now: Seconds
) -> tuple[Comparison, ...]:
    """X8: the two sides of a transfer against each other.

    Args:
        subject: what people call the transfer.
        out: the side that sends; None if it said nothing yet.
        into: the side that receives; the same. One of the two has spoken.
        window_s: in which both must have spoken.
        now: ledger time.
    """
    place = Place("X8", subject)
    if out is None or into is None:
        return (_await_other_side(place, out, into, window_s=window_s, now=now),)
    apart_s = abs(out.sealed_at - into.sealed_at)
    return (
        place.compare("out.counterparty", out.counterparty, into.lab, holds=out.counterparty == into.lab),
        place.compare("in.counterparty", into.counterparty, out.lab, holds=into.counterparty == out.lab),
        *_compare_sides(place, out.counts, into.counts),
        place.compare("root", into.root, f"{out.root}, as the sender says", holds=into.root == out.root),
        place.compare("sealed_at", f"{apart_s} s apart", f"at most {window_s} s apart", holds=apart_s <= window_s),
    )


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
    place: Place, out: TransferSide | None, into: TransferSide | None, *, window_s: int, now: Seconds
) -> Comparison:
    side = out or into
    assert side is not None, "a transfer of which nobody spoke"
    missing = "in" if into is None else "out"
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


def _balance(
    place: Place, model: str, found: int, expected: int, explained: str, *, field: str = "counts"
) -> Comparison:
    return place.compare(f"{field}.{model}", found, f"{expected} = {explained}", holds=found == expected)


def _list_models(*counts: Counts) -> list[str]:
    return sorted({model for each in counts for model in each})
