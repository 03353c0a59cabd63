"""`counterseal lab pledge | freeze | report` under a pause, against whole nodes."""

import time

import pytest

from counterseal import Exit
from ledger.positions import Interval
from ledger.statements.pauses import Activation, Cap, Condition, Terms, compute_terms_digest
from tests.lab.desks import INTERVAL_S, Desk, Done, Network

PAUSE, WEIGHTS = "p-1", "aa" * 32


@pytest.fixture
def desk(agreed_desk: Desk) -> Desk:
    return agreed_desk


def interval_of(network: Network, time_ms: int) -> int:
    return (time_ms // 1000 - network.charter.grid.start) // INTERVAL_S


@pytest.fixture(scope="module")
def activated(agreed_network: Network) -> Network:
    """A pause that the first nation has joined, and that binds its labs."""
    network = agreed_network
    now = interval_of(network, time.time_ns() // 1_000_000)  # of the ledger, whose first blocks are of its beginning
    terms = Terms(
        title="A pause",
        scope=(
            Cap(quantity="energy_wh_per_interval", maximum=10**9),
            Cap(quantity="training_pflop_per_run", maximum=5),
        ),
        first_interval=Interval(now + 4),
        interval_count=5000,
        lapses=Interval(now + 1000),
        activation=Activation(nations_min=1, nations=(), capacity_permille_min=0),
        lift="Some day.",
    )
    network.say(0, "pause-proposal", {"pause": PAUSE, "terms": terms})
    joins = Condition(nations=(), nations_min=0, lapses=Interval(now + 1000))
    network.say(0, "pause-accession", {"pause": PAUSE, "terms": compute_terms_digest(terms), "joins": joins})
    while interval_of(network, network.time_ms()) < now + 7:  # each answer comes over the wire: no busy wait
        pass
    return network


def sign(desk: Desk, *words: str) -> Done:
    command, *rest = words
    return desk(command, *rest, "--passphrase-file", desk.secret, "--yes", "--json")


@pytest.mark.usefixtures("activated")
def test_a_report_promises_what_the_pause_asks_as_far_as_it_can_be_computed(desk: Desk) -> None:
    desk.register()
    interval = desk.wait_over()
    built = desk.build(interval, "--json")
    assert built.code == 0, built.err
    (row,) = built.json["rows"]
    assert row["public"]["limits_respected"] == {"run-cap": True, f"pause-{PAUSE}": True}
    sent = desk("submit", "--json")
    assert [line["state"] for line in sent.json] == ["sealed"]


@pytest.mark.usefixtures("activated")
def test_a_false_promise_about_a_pause_stops_before_it_is_signed(desk: Desk) -> None:
    desk.register()
    interval = desk.wait_over()
    stopped = desk.build(interval, "--promise", f"pause-{PAUSE}=false")
    assert stopped.code == Exit.REFUTED
    assert "energy_wh_per_interval, training_pflop_per_run" in stopped.err


@pytest.mark.usefixtures("activated")
def test_a_pledge_shows_what_the_pause_asks_and_names_its_terms(desk: Desk) -> None:
    desk.register()
    shown = desk("pledge", PAUSE, "--dry-run")
    assert "training_pflop_per_run at most 5" in shown.err
    done = sign(desk, "pledge", PAUSE)
    assert done.code == 0, done.err
    assert done.json["filed"][0]["state"] == "sealed"
    unknown = sign(desk, "pledge", "p-9", "--timeout", "2")
    assert unknown.code == Exit.UNAVAILABLE


@pytest.mark.usefixtures("activated")
def test_a_run_in_flight_is_frozen_where_it_stands(desk: Desk) -> None:
    desk.register()
    desk.wait_over()

    def run(verb: str, *words: str) -> Done:
        return desk.run(
            "run", verb, "r-1", "--home", desk.home, *words, "--passphrase-file", desk.secret, "--yes", "--json"
        )

    run(
        "declare", "--kind", "pre-training", "--cluster", f"{desk.lab}-c1", "--estimate-pflop", "500",
        "--cap-pflop", "900",
    )  # fmt: skip
    early = sign(desk, "freeze", PAUSE, "--run", "r-1=1000")
    assert early.code == Exit.CONDITION
    assert run("start", "--pflop", "30", "--checkpoint", WEIGHTS).code == 0
    done = sign(desk, "freeze", PAUSE, "--run", "r-1=1000")
    assert (done.json["public"]["runs"][0]["band"], done.json["public"]["runs"][0]["checkpoint"]) == (16, WEIGHTS)
    assert set(done.json["hidden"]["r-1"]) == {"run_pflop", "cumulative_pflop", "checkpoint_bytes"}
    # By now the first interval in which the lab was bound is over: what is frozen so late is refused, and said so.
    assert done.code == Exit.REJECTED
    assert done.json["filed"][0]["refusal"]["code"] != "UNKNOWN_RUN"
