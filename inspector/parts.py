"""Parts of other statements that a lab handed over beside what was asked: held against their digests, and read.

1. The statement is the challenged lab's, stands on the ledger, and has the part.
2. Each disclosure opens a digest of the part, and is a field that such parts have, of its type. None is opened twice.

What does not hold is the lab's mistake, whose signed response has the digest of what it handed over: it becomes a
comparison that fails, and is left out of what follows.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias

import msgspec

from inspector.books import Books, Filed
from ledger.crosschecks.comparisons import Comparison, Outcome, Place
from ledger.crosschecks.figures import Figures, read_opened_fields
from ledger.crosschecks.inventories import Counts
from ledger.disclosure import JsonValue, check_disclosures
from ledger.errors import FormatError, LedgerError, ProofError
from ledger.openings import SHARED, WHOLE, OpenedPart
from ledger.statements.intoto import parse_quantity
from ledger.statements.inventories import (
    INVENTORY,
    TERMS_NAME,
    TRANSFER,
    SharedTerms,
    parse_hidden_inventory,
    parse_hidden_transfer,
    parse_terms,
)
from ledger.statements.reports import CORRECTION, REPORT, parse_hidden_field
from ledger.statements.runs import TRAINING_RUN, parse_run_field

CHECK: Final = "OPENING"

FAULTS_NAMED_MAX: Final = 100
"""Of what does not open; the others are counted."""

Values: TypeAlias = Mapping[str, JsonValue]
"""JSON value of each opened field, by name."""


@dataclass(frozen=True, slots=True)
class Known:
    """What was opened of statements, by hex leaf hash and part: by this lab, and by others to the same inspector.

    What another report says was opened is that report's word: a value that such a statement does not have is refused.
    """

    values: Mapping[tuple[str, str], Values] = field(default_factory=dict)

    def list_chip_counts(self, leaf: str, cluster: str) -> Counts | None:
        """Accelerators by model in a cluster's row of an inventory; None if not opened."""
        values = self.values.get((leaf, cluster))
        if values is None:
            return None
        counts = parse_hidden_inventory(values).chip_counts
        return {model: parse_quantity(count, field="chip_counts") for model, count in counts.items()}

    def list_moved(self, leaf: str) -> Counts | None:
        """Accelerators by model in a transfer, under the side's own salts; None if not opened."""
        values = self.values.get((leaf, WHOLE))
        if values is None or not {"model", "count"} <= values.keys():
            return None
        hidden = parse_hidden_transfer(values)
        return {hidden.model: parse_quantity(hidden.count, field="count")}

    def find_terms(self, leaf: str) -> SharedTerms | None:
        """The terms that a side of a transfer shares with the other; None if not opened."""
        values = self.values.get((leaf, SHARED))
        return None if values is None else _read_terms(values.get(TERMS_NAME))

    def find_run_figure(self, leaf: str, name: str) -> int | None:
        """A figure of a statement of a run; None if not opened."""
        value = self.values.get((leaf, WHOLE), {}).get(name)
        typed = None if value is None else parse_run_field(name, value)
        assert typed is None or isinstance(typed, int | str)
        return None if typed is None else parse_quantity(typed, field=name)

    def find_row(self, leaf: str, cluster: str) -> Figures | None:
        """The fields of a row of a report; None if none was opened."""
        values = self.values.get((leaf, cluster))
        return None if values is None else read_opened_fields(values)


def know(opened: Iterable[Mapping[tuple[str, str], Values]]) -> Known:
    """Put together what several labs opened, or one lab several times.

    A field that was opened twice is the same: both were held against one digest.
    """
    together: dict[tuple[str, str], dict[str, JsonValue]] = {}
    for parts in opened:
        for name, values in parts.items():
            together.setdefault(name, {}).update(values)
    return Known(together)


def check_parts(
    parts: Iterable[OpenedPart], books: Books, *, lab: str
) -> tuple[list[Comparison], dict[tuple[str, str], Values]]:
    """Hold parts against the statements that they open: rules 1 and 2.

    Args:
        parts: as they were handed over, all of statements that are in the books.
        books: statements that stand on the ledger.
        lab: who handed them over.
    """
    compared: list[Comparison] = []
    faults: list[Comparison] = []
    values: dict[tuple[str, str], Values] = {}
    for part in parts:
        filed = books.by_leaf[part.leaf]
        place, name = Place(CHECK, f"{filed.kind} {part.leaf}"), part.part or "fields"
        if filed.issuer != lab or part.part not in filed.parts:
            found, expected = f"{filed.issuer}, {part.part or 'as a whole'}", f"a part of a statement of {lab}"
            faults.append(place.state(name, found, expected, Outcome.FAILS))
            continue
        opened = _open_part(part, filed, place, faults)
        if opened:
            values[part.leaf, part.part] = opened
            found = ", ".join(opened)
            compared.append(place.compare(name, found, "fields that digests of the statement open", holds=True))
    if len(faults) > FAULTS_NAMED_MAX:
        found, expected = f"{len(faults) - FAULTS_NAMED_MAX} more that do not open", "none"
        faults[FAULTS_NAMED_MAX:] = [Place(CHECK, lab).state("parts", found, expected, Outcome.FAILS)]
    return [*compared, *faults], values


def read_field(kind: str, part: str, name: str, value: object) -> None:
    """Check that a part of a kind of statement has a field of this name, and that the value is of its type.

    Raises:
        FormatError: it has not, or it is not.
    """
    match kind, name:
        case ("inventory", "chip_counts"):
            parse_hidden_inventory({name: value})
        case ("transfer", "model" | "count") if part == WHOLE:
            parse_hidden_transfer({"model": "any", "count": 0} | {name: value})
        case ("transfer", "transfer") if part == SHARED:
            _read_terms(value)
        case ("training-run", _):
            parse_run_field(name, value)
        case ("report" | "correction", _):
            parse_hidden_field(name, value)
        case _:
            raise FormatError(field="hidden", found=name, expected=f"a hidden field of a {kind}")


assert (INVENTORY, TRANSFER, TRAINING_RUN) == ("inventory", "transfer", "training-run")
assert (REPORT, CORRECTION, TERMS_NAME) == ("report", "correction", "transfer")


def _open_part(part: OpenedPart, filed: Filed, place: Place, faults: list[Comparison]) -> dict[str, JsonValue]:
    opened: dict[str, JsonValue] = {}
    for number, text in enumerate(part.disclosures):
        name = f"{part.part or 'fields'}.{number}"
        try:
            (disclosure,) = check_disclosures(filed.parts[part.part], (text,))
            name = f"{part.part or 'fields'}.{disclosure.name}"
            if part.part == SHARED and filed.kind == TRANSFER:
                parse_terms(text)
            read_field(filed.kind, part.part, disclosure.name, disclosure.value)
            if disclosure.name in opened:
                raise ProofError(field="disclosure", found="opened before", expected="each field once")
        except LedgerError as error:
            found = f"{error.field}: {error.found}"
            faults.append(place.state(name, found, error.expected, Outcome.FAILS))
            continue
        opened[disclosure.name] = disclosure.value
    return opened


def _read_terms(value: object) -> SharedTerms:
    try:
        terms = msgspec.convert(value, SharedTerms)
    except (msgspec.ValidationError, RecursionError) as error:
        raise FormatError(field="hidden.transfer", found=str(error), expected="the terms of a transfer") from None
    parse_quantity(terms.count, field="hidden.transfer.count")
    return terms
