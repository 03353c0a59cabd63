"""`ledger.crosschecks.inventories`: books balance per model, two sides say the same, nothing appears on the way."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from ledger.crosschecks.comparisons import Comparison, Outcome
from ledger.crosschecks.inventories import (
    TransferSide,
    compare_book,
    compare_shipments,
    compare_stock,
    compare_terms,
    compare_transfer,
)
from ledger.positions import Interval, Seconds
from ledger.positions import Sequence as Number
from ledger.statements.inventories import SharedTerms, Shipment, Transfer

counts = st.dictionaries(st.sampled_from(["a100", "h100", "tpu-v4"]), st.integers(0, 10**6))
Counts = dict[str, int]


def list_failed(compared: tuple[Comparison, ...]) -> list[str]:
    return [found.field for found in compared if found.outcome != Outcome.HOLDS]


def add(*parts: Counts) -> Counts:
    return {model: sum(part.get(model, 0) for part in parts) for part in parts for model in part}


# --- X7 --------------------------------------------------------------------------------------------------------------


@given(counts, counts, counts)
def test_a_book_that_balances_holds_for_every_model(kept: Counts, received: Counts, sent: Counts) -> None:
    before, now = add(kept, sent), add(kept, received)
    compared = compare_book("hall-1", before=before, received=received, sent=sent, now=now)
    assert list_failed(compared) == []
    assert [found.field for found in compared] == [f"counts.{model}" for model in sorted({*now, *sent})]


@given(counts, counts, counts, st.sampled_from(["a100", "h100", "tpu-v4"]), st.integers(0, 3))
def test_one_chip_more_or_less_in_any_part_fails_for_its_model(
    kept: Counts, received: Counts, sent: Counts, model: str, part: int
) -> None:
    parts = [add(kept, sent), received, sent, add(kept, received)]
    parts[part] = add(parts[part], {model: 1})
    before, received, sent, now = parts
    compared = compare_book("hall-1", before=before, received=received, sent=sent, now=now)
    assert list_failed(compared) == [f"counts.{model}"]


def test_a_book_says_what_it_added_up() -> None:
    (found,) = compare_book("hall-1", before={"h100": 8}, received={"h100": 2}, sent={"h100": 3}, now={"h100": 9})
    assert str(found) == "X7 hall-1 counts.h100: found 9; expected 7 = 8 + 2 - 3"


def test_more_sent_than_there_was_fails() -> None:
    assert list_failed(compare_book("c", before={}, received={}, sent={"h100": 1}, now={})) == ["counts.h100"]


@pytest.mark.parametrize("unknown", ["before", "received", "sent", "now"])
def test_a_book_with_an_unopened_part_is_not_compared(unknown: str) -> None:
    known: dict[str, Counts | None] = {"before": {"h100": 1}, "received": {}, "sent": {}, "now": {"h100": 1}}
    known[unknown] = None
    (found,) = compare_book("hall-1", **known)
    assert found.outcome == Outcome.NOT_COMPARABLE
    assert found.reason.startswith("not known: ")


# --- X8 --------------------------------------------------------------------------------------------------------------

WINDOW_S = 14 * 86_400
OUT = TransferSide(lab="lab-a", counterparty="lab-b", counts={"h100": 8}, root="ab" * 32, sealed_at=Seconds(1_000))
INTO = TransferSide(lab="lab-b", counterparty="lab-a", counts={"h100": 8}, root="ab" * 32, sealed_at=Seconds(5_000))


def check_transfer(out: TransferSide | None, into: TransferSide | None, *, now: int = 9_000) -> list[str]:
    compared = compare_transfer("a to b", out=out, into=into, window_s=WINDOW_S, now=Seconds(now))
    assert all(found.check == "X8" for found in compared)
    return [found.field for found in compared if found.outcome == Outcome.FAILS]


def test_two_sides_that_say_the_same_hold_in_every_part() -> None:
    assert check_transfer(OUT, INTO) == []
    assert len(compare_transfer("t", out=OUT, into=INTO, window_s=WINDOW_S, now=Seconds(9_000))) == 5


@pytest.mark.parametrize(
    ("out", "into", "fields"),
    [
        (replace(OUT, counterparty="lab-c"), INTO, ["out.counterparty"]),
        (OUT, replace(INTO, counterparty="lab-c"), ["in.counterparty"]),
        (OUT, replace(INTO, lab="lab-c"), ["out.counterparty"]),
        (OUT, replace(INTO, counts={"h100": 7}), ["counts.h100"]),
        (OUT, replace(INTO, counts={"h100": 8, "a100": 1}), ["counts.a100"]),
        (OUT, replace(INTO, counts={}), ["counts.h100"]),
        (OUT, replace(INTO, root="ac" * 32), ["root"]),
        (OUT, replace(INTO, sealed_at=Seconds(1_001 + WINDOW_S)), ["sealed_at"]),
        (replace(OUT, sealed_at=Seconds(5_001 + WINDOW_S)), INTO, ["sealed_at"]),
        (OUT, replace(INTO, sealed_at=Seconds(1_000 + WINDOW_S)), []),
        (OUT, replace(INTO, counts={"h100": 8, "a100": 0}), []),
    ],
)
def test_each_difference_between_two_sides_is_named(out: TransferSide, into: TransferSide, fields: list[str]) -> None:
    assert check_transfer(out, into) == fields


def test_a_side_that_is_silent_fails_when_the_window_has_closed_and_not_before() -> None:
    for out, into, missing, start in ((OUT, None, "in", 1_000), (None, INTO, "out", 5_000)):
        assert check_transfer(out, into, now=start + WINDOW_S) == []
        assert check_transfer(out, into, now=start + WINDOW_S + 1) == [missing]
    (waiting,) = compare_transfer("t", out=OUT, into=None, window_s=WINDOW_S, now=Seconds(2_000))
    assert (waiting.outcome, waiting.reason) == (Outcome.NOT_COMPARABLE, "the window is open")


def test_hidden_counts_are_not_compared_and_the_rest_is() -> None:
    compared = compare_transfer(
        "t", out=replace(OUT, counts=None), into=replace(INTO, root="00" * 32), window_s=WINDOW_S, now=Seconds(9_000)
    )
    outcomes = {found.field: found.outcome for found in compared}
    assert outcomes["counts"] == Outcome.NOT_COMPARABLE
    assert outcomes["root"] == Outcome.FAILS


def test_who_knows_no_times_compares_all_but_them() -> None:
    out, into = replace(OUT, sealed_at=None), replace(INTO, sealed_at=None)
    compared = compare_transfer("t", out=out, into=into, window_s=WINDOW_S, now=None)
    assert [found.field for found in compared if found.outcome == Outcome.NOT_COMPARABLE] == ["sealed_at"]
    (waiting,) = compare_transfer("t", out=out, into=None, window_s=WINDOW_S, now=Seconds(10**9))
    assert (waiting.outcome, waiting.reason) == (Outcome.NOT_COMPARABLE, "the other side's word is not here")


@pytest.mark.parametrize(("mine", "theirs", "fails"), [("m", "m", False), ("m", "n", True), ("m", "", True)])
def test_terms_that_are_not_the_same_are_named_by_their_hashes(mine: str, theirs: str, *, fails: bool) -> None:
    out, into = replace(OUT, match=mine), replace(INTO, match=theirs)
    assert check_transfer(out, into) == (["match"] if fails else [])


TERMS = SharedTerms(transfer="t-1", sender="lab-a", receiver="lab-b", chips_root="ab" * 32, model="h100", count=8)
SAID = Transfer(
    ledger="11" * 32, issuer="lab-b", sequence=Number(3), previous="22" * 32, issued_at=Seconds(0), corrects=None,
    transfer="t-1", direction="in", counterparty="lab-a", reason="sale", interval=Interval(1), clusters=(),
    shipment=Shipment(digests=(), chips_root="ab" * 32, match="m" * 43),
)  # fmt: skip


@pytest.mark.parametrize(
    ("terms", "counts", "fields"),
    [
        (TERMS, {"h100": 8}, []),
        (TERMS, {"h100": 7}, ["in.terms.counts"]),
        (TERMS, {"a100": 8}, ["in.terms.counts"]),
        (structs.replace(TERMS, transfer="t-2"), {"h100": 8}, ["in.terms.names"]),
        (structs.replace(TERMS, sender="lab-c"), {"h100": 8}, ["in.terms.names"]),
        (structs.replace(TERMS, chips_root="ac" * 32), {"h100": 8}, ["in.terms.root"]),
        (structs.replace(TERMS, count=0), {"h100": 0}, []),
        (TERMS, None, []),
        (None, {"h100": 8}, []),
    ],
)
def test_what_a_side_says_alone_is_what_both_signed(
    terms: SharedTerms | None, counts: Counts | None, fields: list[str]
) -> None:
    compared = compare_terms("t", SAID, terms=terms, counts=counts)
    assert [found.field for found in compared if found.outcome == Outcome.FAILS] == fields
    is_known = terms is not None and counts is not None
    assert any(found.outcome == Outcome.NOT_COMPARABLE for found in compared) == (not is_known)


# --- X12 -------------------------------------------------------------------------------------------------------------


@given(counts, counts, st.sampled_from(["a100", "h100", "tpu-v4"]))
def test_what_is_sent_arrives_or_travels(received: Counts, travels: Counts, model: str) -> None:
    sent = add(received, travels)
    assert list_failed(compare_shipments("all", sent=sent, received=received, in_transit=travels)) == []
    more = add(received, {model: 1})
    assert list_failed(compare_shipments("all", sent=sent, received=more, in_transit=travels)) == [f"received.{model}"]
    more = add(sent, {model: 1})
    assert list_failed(compare_shipments("all", sent=more, received=received, in_transit=travels)) == [
        f"received.{model}"
    ]


@given(counts, counts, counts, st.sampled_from(["a100", "h100", "tpu-v4"]))
def test_no_chip_appears_in_the_network_or_vanishes_from_it(
    kept: Counts, built: Counts, retired: Counts, model: str
) -> None:
    before, now = add(kept, retired), add(kept, built)
    assert list_failed(compare_stock("all", before=before, built=built, retired=retired, now=now)) == []
    more = add(now, {model: 1})
    assert list_failed(compare_stock("all", before=before, built=built, retired=retired, now=more)) == [
        f"counts.{model}"
    ]


def test_shipments_that_are_not_all_opened_are_not_compared() -> None:
    (flow,) = compare_shipments("all", sent={"h100": 1}, received=None, in_transit={})
    (stock,) = compare_stock("all", before=None, built={}, retired={}, now={"h100": 1})
    assert flow.outcome == stock.outcome == Outcome.NOT_COMPARABLE
    assert (flow.check, stock.check) == ("X12", "X12")
    assert flow.reason
    assert stock.reason
