"""`lab.freshness`: a random source that repeats itself is noticed before anything is signed twice under one salt."""

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lab import inventories, preparing
from lab.collectors.chips import ListedChip
from lab.freshness import Freshness
from lab.inventories import prepare_inventory
from lab.notices import Happened, prepare_incident
from lab.preparing import Prepared
from lab.reports import DIGESTS_PER_ROW
from lab.stored import list_salts
from lab.training_runs import Plan, Step, prepare_opening, prepare_step
from lab.vault import Vault, open_vault
from ledger.disclosure import RECORD_SALT_BYTES
from ledger.errors import FormatError
from ledger.limits import CHIP_SALT_BYTES, SALT_BYTES_MIN
from ledger.positions import Interval
from ledger.statements.notices import HiddenIncident
from ledger.statements.reports import HIDDEN_FIELD_NAMES
from tests.lab.test_vault import add, draft_of, fresh_salt, sign
from tests.lab.vaults import LAB, file, make_ledger, make_settings

LEDGER = make_ledger()
SETTINGS = make_settings(LEDGER, "c1", "c2")
PLAN = Plan(kind="pre-training", base=None, estimate_pflop=5000, cap_pflop=9000, code="01" * 32, config="02" * 32)

Source = Callable[[int], bytes]
Maker = Callable[[Vault, int], Prepared]


@pytest.fixture
def vault(tmp_path: Path) -> Iterator[Vault]:
    with open_vault(tmp_path / "vault") as opened:
        yield opened


def repeating(*, first: int = 0, count: int = 10**6) -> Source:
    """A source of fresh salts, but for `count` of them from the `first` on, which every such source gives."""
    places = itertools.count()

    def draw(size: int) -> bytes:
        place = next(places)
        return (1 << 60 | place).to_bytes(size, "big") if first <= place < first + count else fresh_salt(size)

    return draw


def incident(_vault: Vault, number: int) -> Prepared:
    happened = Happened(
        category="theft", severity="serious", interval=Interval(number), clusters=(), account=b"gone", cause="a thief",
        chips_affected=3,
    )  # fmt: skip
    return prepare_incident(LEDGER, LAB, happened)


def inventory(vault: Vault, number: int) -> Prepared:
    chips = [ListedChip(cluster, "h100", f"{cluster}-1", "") for cluster in ("c1", "c2")]
    return prepare_inventory(
        vault, chips, ledger=LEDGER, settings=SETTINGS, interval=Interval(number), method="book", empty=()
    )


def run(vault: Vault, number: int) -> Prepared:
    step = Step(run=f"r-{number}", state="declared", clusters=["c1"])
    return prepare_opening(vault, step, PLAN, ledger=LEDGER, lab=LAB)


@pytest.mark.parametrize("make", [incident, inventory, run])
def test_two_statements_of_a_kind_under_the_same_salts_are_not_both_kept(
    vault: Vault, monkeypatch: pytest.MonkeyPatch, make: Maker
) -> None:
    for number in (1, 2):
        monkeypatch.setattr(preparing, "draw_salt", repeating())
        prepared = make(vault, number)
        if number == 1:
            file(vault, prepared, LEDGER)
            continue
        with pytest.raises(FormatError, match="was used in statement") as caught:
            file(vault, prepared, LEDGER)
        assert caught.value.field == "salt"
    assert len(list(vault.read_all())) == 1


def test_accelerators_of_two_inventories_do_not_share_a_salt(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in (1, 2):
        monkeypatch.setattr(inventories, "draw_salt", repeating(first=1, count=1))
        prepared = inventory(vault, number)
        if number == 1:
            file(vault, prepared, LEDGER)
            continue
        with pytest.raises(FormatError, match="was used in statement") as caught:
            file(vault, prepared, LEDGER)
        assert caught.value.field == "salt"


def test_a_report_and_another_kind_do_not_share_a_salt(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    draft = draft_of(0, salts=repeating())
    vault.add(draft, sign(draft, ledger=LEDGER.charter.fingerprint, lab=LAB))
    monkeypatch.setattr(preparing, "draw_salt", repeating())
    with pytest.raises(FormatError, match="was used in statement"):
        file(vault, incident(vault, 1), LEDGER)


def test_decoys_of_two_reports_are_not_the_same(vault: Vault) -> None:
    """What decoys were made of is kept nowhere; but equal digests would stand on the ledger for all to see."""
    first, count = len(HIDDEN_FIELD_NAMES), DIGESTS_PER_ROW - len(HIDDEN_FIELD_NAMES)
    draft = draft_of(0, salts=repeating(first=first, count=count))
    vault.add(draft, sign(draft))
    again = draft_of(1, salts=repeating(first=first, count=count))
    with pytest.raises(FormatError, match="was used in statement") as caught:
        vault.add(again, sign(again, sequence=1))
    assert caught.value.field == "digest"
    assert len(list(vault.read_all())) == 1


def test_decoys_of_another_kind_are_not_the_same_either(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in (1, 2):
        monkeypatch.setattr(preparing, "draw_salt", repeating(first=len(HiddenIncident.__struct_fields__)))
        prepared = incident(vault, number)
        if number == 1:
            file(vault, prepared, LEDGER)
            continue
        with pytest.raises(FormatError, match="was used in statement") as caught:
            file(vault, prepared, LEDGER)
        assert caught.value.field == "digest"


def test_two_rows_of_one_statement_do_not_share_a_decoy(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = itertools.count()
    per_row = preparing.DIGESTS_PER_PART

    def draw(size: int) -> bytes:
        """The last decoy of each row is one and the same."""
        return (1 << 60).to_bytes(size, "big") if next(drawn) % per_row == per_row - 1 else fresh_salt(size)

    monkeypatch.setattr(preparing, "draw_salt", draw)
    with pytest.raises(FormatError, match="each value once"):
        file(vault, inventory(vault, 1), LEDGER)
    assert list(vault.read_all()) == []


def test_of_one_run_the_same_may_be_said_again_and_of_another_not(vault: Vault) -> None:
    file(vault, run(vault, 1), LEDGER)
    for state, pflop in (("started", 70), ("frozen", 80)):
        step = Step(run="r-1", state=state, pflop=pflop, checkpoint="aa" * 32)  # type: ignore[arg-type]  # of literals
        file(vault, prepare_step(vault, step, ledger=LEDGER, lab=LAB), LEDGER)
    again = file(vault, prepare_step(vault, Step(run="r-1", state="started"), ledger=LEDGER, lab=LAB), LEDGER)
    other = file(vault, run(vault, 2), LEDGER)
    assert Freshness(again).find_reuse(other) is None
    frozen = vault.read_statements(LEDGER.charter.fingerprint, "training-run")[-3]
    assert Freshness(again).find_reuse(frozen) is None
    report = add(vault, 0, sequence=9)
    assert Freshness(report).find_reuse(report) is not None


def test_every_salt_that_is_drawn_is_long_enough(vault: Vault) -> None:
    assert min(SALT_BYTES_MIN, RECORD_SALT_BYTES, CHIP_SALT_BYTES) >= 16
    report = add(vault, 0)
    listed = file(vault, inventory(vault, 1), LEDGER)
    salts = [salt for stored in (report, listed) for salt, _ in list_salts(stored)]
    assert min(len(salt) for salt in salts) >= 16
    assert len(frozenset(salts)) == len(salts)
