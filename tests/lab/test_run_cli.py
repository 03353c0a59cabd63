"""`counterseal lab run … | release …` against whole nodes: a run from its declaration to the release of a model."""

from pathlib import Path

import pytest

from counterseal import Exit
from tests.lab.desks import Desk, Done

WEIGHTS = "aa" * 32


@pytest.fixture
def desk(agreed_desk: Desk) -> Desk:
    return agreed_desk


def say(desk: Desk, *words: str | Path) -> Done:
    group, verb, name, *rest = words
    return desk.run(
        str(group), str(verb), name, "--home", desk.home, *rest, "--passphrase-file", desk.secret, "--yes", "--json"
    )


def declare(desk: Desk, run: str = "r-1", pflop: int = 500) -> Done:
    return say(
        desk, "run", "declare", run, "--kind", "pre-training", "--cluster", f"{desk.lab}-c1",
        "--estimate-pflop", str(pflop), "--cap-pflop", "900",
    )  # fmt: skip


def test_a_run_is_declared_frozen_goes_on_and_its_model_is_reviewed_and_released(desk: Desk) -> None:
    desk.register()
    desk.wait_over()
    declared = declare(desk)
    assert declared.code == 0, declared.err
    assert declared.json["public"]["cap_band"] == 17
    assert "900" not in declared.out
    for words in (
        ("start",),
        ("checkpoint", "--pflop", "40", "--checkpoint", WEIGHTS),
        ("freeze",),
        ("start",),
        ("complete", "--pflop", "450"),
    ):
        done = say(desk, "run", words[0], "r-1", *words[1:])
        assert done.code == 0, done.err
        assert done.json["filed"][0]["state"] == "sealed"
    evaluation = desk.folder / "evaluation"
    evaluation.write_text("fine")
    review = say(
        desk, "release", "review", "m-1", "--run", "r-1", "--digest", WEIGHTS, "--evaluation", evaluation,
        "--planned", "2027-01-01",
    )  # fmt: skip
    assert review.code == 0, review.err
    early = say(desk, "release", "supply", "m-1", "--note", "nobody asked")
    assert early.code == Exit.REJECTED
    assert desk("submit", "--give-up", "--json").json[0]["state"] == "refused"
    released = say(desk, "release", "notice", "m-1")
    assert released.code == 0, released.err
    assert released.json["public"]["digest"] == WEIGHTS


def test_what_the_vault_does_not_know_is_refused_before_anything_is_signed(desk: Desk) -> None:
    desk.register()
    assert say(desk, "run", "start", "r-9").code == Exit.REJECTED
    assert say(desk, "release", "notice", "m-9").code == Exit.REJECTED
    assert list((desk.home / "vault").glob("*.json")) == []


def test_a_run_over_its_cap_stops_and_the_override_is_kept(desk: Desk) -> None:
    desk.register()
    desk.wait_over()
    stopped = declare(desk, pflop=901)
    assert stopped.code == Exit.REFUTED
    assert "X6 r-1.own_pflop" in stopped.err
