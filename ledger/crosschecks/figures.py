"""The figures of a row as whole numbers, as far as they are known: all to the lab, the opened ones to others."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ledger.statements.intoto import parse_quantity
from ledger.statements.reports import HIDDEN_FIELD_NAMES, HiddenFields, Run, Split, parse_hidden_field


@dataclass(frozen=True, slots=True)
class RunFigures:
    """A training run: PFLOP spent in the interval, and since it began."""

    run: str
    pflop: int
    cumulative_pflop: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """The hidden fields of a row (`ledger.statements.reports.HiddenFields`); None for one that was not opened."""

    chip_seconds: Mapping[str, int] | None = None
    busy_chip_seconds: int | None = None
    split: Mapping[str, int] | None = None
    training_pflop: int | None = None
    largest_run_pflop: int | None = None
    energy_wh: int | None = None
    facility_energy_wh: int | None = None
    utilisation_permille: int | None = None
    runs: tuple[RunFigures, ...] | None = None


def read_fields(hidden: HiddenFields) -> Figures:
    """Take all fields of a row.

    Raises:
        FormatError: a quantity in a spelling that no report has.
    """
    return _read({name: getattr(hidden, name) for name in HIDDEN_FIELD_NAMES})


def read_opened_fields(opened: Mapping[str, object]) -> Figures:
    """Take the fields that were opened.

    Args:
        opened: JSON value by name, as `ledger.disclosure.check_disclosures` brought it.

    Raises:
        FormatError: not a field of a row, of another type, or out of bounds.
    """
    return _read({name: parse_hidden_field(name, value) for name, value in opened.items()})


def _read(typed: Mapping[str, object]) -> Figures:
    values: dict[str, Any] = {name: _read_value(value) for name, value in typed.items()}  # Any: fields of several types
    return Figures(**values)


def _read_value(value: object) -> object:
    match value:
        case dict():
            return {model: _read_quantity(quantity) for model, quantity in value.items()}
        case Split():
            return {name: _read_quantity(getattr(value, name)) for name in Split.__struct_fields__}
        case tuple():
            return tuple(_read_run(run) for run in value)
        case _:
            return _read_quantity(value)


def _read_run(run: Run) -> RunFigures:
    return RunFigures(run.run, _read_quantity(run.pflop), _read_quantity(run.cumulative_pflop))


def _read_quantity(quantity: object) -> int:
    assert isinstance(quantity, int | str)
    return parse_quantity(quantity, field="hidden")
