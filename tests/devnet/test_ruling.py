"""The benchmark of the rules: what it measures is a history that the rules made."""

from devnet.ruling import Cost, History, draw_costs, format_costs
from ledger.positions import Interval
from ledger.rules.records.registry import LABS
from ledger.rules.verdicts import Filed, get_filing


def test_a_history_holds_a_report_and_a_verdict_of_every_lab_for_every_interval() -> None:
    history = History(labs=3, clusters=2)
    history.go_on(4)
    assert history.entries == 1 + 4 * 3 * (1 + 2)
    cost = history.measure(2)
    assert cost.entries == 37
    assert history.entries == 37 + 2 * 3 * (1 + 2)
    lab = LABS.require(history.state, b"lab-00002")
    for number in range(6):
        filing = get_filing(history.state, lab, Interval(number))
        assert filing is not None
        assert filing.filed == Filed.ON_TIME
        assert not filing.is_queued
    assert get_filing(history.state, lab, Interval(6)) is None


def test_the_curve_of_costs_is_drawn_and_written_as_a_table() -> None:
    costs = [Cost(10, 90.0, 40.0, 30.0, 20.0), Cost(100, 91.0, 41.0, 31.0, 21.0)]
    assert draw_costs(costs).endswith("</svg>\n")
    assert draw_costs(costs).count("polyline") == 3
    assert format_costs(costs)[-1] == "| 100 | 41.0 | 31.0 | 91.0 | 21.0 |"
