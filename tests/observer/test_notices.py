"""`observer.notices`: what anybody can see and no verdict tells; and nothing of what is as it must be."""

import json
from pathlib import Path

import msgspec
import pytest

import counterseal
from counterseal import Exit
from observer.copy import require_copy
from observer.notices import Notices, find_notices
from tests.ledger.dockets import make_inventory
from tests.ledger.rulebook import AGREEMENT, NATIONS, make_row
from tests.ledger.training import OTHER_WEIGHTS, WEIGHTS, training_run
from tests.observer.fakeledger import FakeLedger, copy_of


def digest(number: int) -> str:
    """Canonical base64url of 32 bytes."""
    return f"{number:0>42}A"


def speak(ledger: FakeLedger, at: int, state: str, run: str, *numbers: int, lab: str = "acme", **more: object) -> None:
    cluster = {"acme": "a1", "cogs": "c1"}[lab]
    digests = tuple(map(digest, numbers))
    entry = training_run(ledger, state, lab=lab, run=run, clusters=(cluster,), digests=digests, **more)  # type: ignore[arg-type]  # of tests
    ledger.accept(at, entry)


@pytest.fixture(scope="module")
def ledger() -> FakeLedger:
    ledger = FakeLedger(agreement=AGREEMENT)
    ledger.register(-50, "acme", ["a1", "a2"], nation=NATIONS[0])
    ledger.register(-40, "cogs", ["c1"], nation=NATIONS[1])
    ledger.accept(10, make_inventory(ledger, "acme", 0, {"a1": 5}))
    speak(ledger, 20, "started", "r-1", 1, 2)
    speak(ledger, 21, "frozen", "r-1", 3, 4, checkpoint=WEIGHTS)
    speak(ledger, 22, "frozen", "r-1", 3, 4, checkpoint=WEIGHTS)
    speak(ledger, 23, "started", "r-1", 3, 4, checkpoint=WEIGHTS)
    speak(ledger, 24, "started", "r-1", 5, 6, checkpoint=OTHER_WEIGHTS)
    return ledger


def look(ledger: FakeLedger, home: Path) -> Notices:
    with require_copy(copy_of(ledger, home), fingerprint=ledger.fingerprint) as copy:
        return find_notices(copy)


def test_what_is_as_it_must_be_is_not_told_and_who_files_no_inventory_is(ledger: FakeLedger, tmp_path: Path) -> None:
    found = look(ledger, tmp_path / "copy")
    assert found.repeated == (), "a frozen run is spoken of with the very digests of before"
    assert found.unsampled == (("acme", "a2"), ("cogs", "c1"))
    assert found.describe()[0] == "acme, a2: no inventory, so no sample is drawn from it"


def test_a_ledger_without_an_agreement_draws_no_samples_and_tells_nothing_of_it(tmp_path: Path) -> None:
    ledger = FakeLedger()
    ledger.register(-50, "acme", ["a1"], nation=NATIONS[0])
    found = look(ledger, tmp_path / "copy")
    assert found.describe() == ["nothing that the verdicts do not tell"]


def test_digests_that_stand_twice_are_told_with_every_place(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ledger = FakeLedger(agreement=AGREEMENT)
    ledger.register(-50, "acme", ["a1"], nation=NATIONS[0])
    ledger.register(-40, "cogs", ["c1"], nation=NATIONS[1])
    speak(ledger, 20, "started", "r-1", 1, 2)
    speak(ledger, 21, "started", "r-2", 1, 2, 3)
    speak(ledger, 22, "started", "r-1", 4, 5)
    speak(ledger, 23, "started", "r-1", 4, 6)
    speak(ledger, 24, "started", "r-3", 6, lab="cogs")
    ledger.file(110, "acme", 0, [msgspec.structs.replace(make_row("a1"), digests=(digest(1), digest(7)))])
    found = look(ledger, tmp_path / "copy")
    told = [(each.count, [name for _, name in each.entries]) for each in found.repeated]
    assert sorted(told) == [
        (1, ["training-run acme/r-1", "training-run acme/r-1"]),
        (1, ["training-run acme/r-1", "training-run acme/r-2"]),
        (1, ["training-run acme/r-1", "training-run acme/r-2", "report acme/0"]),
        (1, ["training-run acme/r-1", "training-run cogs/r-3"]),
    ]
    assert all(list(each.entries) == sorted(each.entries) for each in found.repeated)

    for more in ([], ["--json"]):
        with pytest.raises(SystemExit) as left:
            counterseal.main(["observe", "notices", "--home", str(tmp_path / "copy"), *more])
        assert left.value.code == Exit.DONE
        printed = capsys.readouterr().out
        if more:
            assert len(json.loads(printed)["repeated"]) == 4
        else:
            assert "a salt was used twice, or a digest copied" in printed
