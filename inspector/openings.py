"""What a lab handed over: decrypted, and every part of it held against what stands on the ledger.

1. The ciphertext is the one that the response names for this inspector, and opens with this inspector's key.
2. Its SHA-256 is the response's `handed`; its bytes are of the form, and about what was challenged.
3. Each field opens a digest of the row, is a field that rows have, of its type, and none is opened twice.
4. Each record stands under the row's root, each accelerator under the root of the cluster's row in the inventory.
5. What was asked for and is not there is named; so is what is there and was not asked for.
6. Parts of other statements of the lab, which no challenge can ask for, open what they name (`inspector.parts`).

Up to 1 a mistake may be anybody's, and is raised. From 2 on it is the lab's, whose signed response has the digest of
these very bytes: it becomes a comparison that fails, and the rest is looked at all the same. Only what held is handed
on to be examined.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from inspector.books import Books
from inspector.entries import Ledger, Sealed
from inspector.keys import InspectorKeys
from inspector.parts import CHECK, FAULTS_NAMED_MAX, Values, check_parts
from ledger.chips import ChipsRoot, verify_chip
from ledger.crosschecks.comparisons import Comparison, Outcome, Place, name_some
from ledger.disclosure import JsonValue, RecordsRoot, check_disclosures, verify_record
from ledger.errors import Code, ConditionError, FormatError, LedgerError, PolicyError, ProofError
from ledger.limits import OPENINGS_BYTES_MAX
from ledger.openings import (
    OpenedChip,
    OpenedRecord,
    Openings,
    compute_handed,
    compute_openings_context,
    parse_openings,
)
from ledger.positions import LeafIndex
from ledger.statements.inspections import Challenge, Named, Response
from ledger.statements.inventories import Inventory, InventoryRow
from ledger.statements.registry import Registration
from ledger.statements.reports import Report, Row, parse_hidden_field

BOX_BYTES_MORE: Final = 48
"""By how much an HPKE box is longer than what is in it: the encapsulated key and the tag."""

BUNDLE_BYTES_MAX: Final = OPENINGS_BYTES_MAX + BOX_BYTES_MORE


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A challenge, what the lab answered, and the declarations that it is about.

    Attributes:
        ledger: on which all of them stand.
        challenge: what was asked.
        response: what was answered.
        report: the report or correction whose row is opened.
        inventory: the inventory whose accelerators are opened.
        registration: of the lab, with its public capacity.
        books: statements of this lab and of others, which parts of the openings are held against.
    """

    ledger: Ledger
    challenge: Sealed[Challenge]
    response: Sealed[Response]
    report: Sealed[Report] | None = None
    inventory: Sealed[Inventory] | None = None
    registration: Sealed[Registration] | None = None
    books: Books = field(default_factory=Books)

    @property
    def row(self) -> Row | None:
        """The cluster's row of the report."""
        if self.report is None:
            return None
        cluster = self.challenge.predicate.cluster
        return next((row for row in self.report.predicate.rows if row.cluster == cluster), None)

    @property
    def inventory_row(self) -> InventoryRow | None:
        """The cluster's row of the inventory."""
        if self.inventory is None:
            return None
        cluster = self.challenge.predicate.cluster
        return next((row for row in self.inventory.predicate.rows if row.cluster == cluster), None)


@dataclass(frozen=True, slots=True)
class Bundle:
    """What was decrypted.

    Attributes:
        plain: the bytes.
        ciphertext: hex SHA-256 of what they came in, which the response names.
    """

    plain: bytes = field(repr=False)
    ciphertext: str


@dataclass(slots=True)
class Opened:
    """What held, and what was compared to find out.

    Attributes:
        comparisons: in the order of the rules above.
        values: JSON value of each field by name.
        records: bytes of each record by position.
        chips: each accelerator.
        missing: what was asked for and is not here, by name.
        parts: JSON values of other statements of the lab, by hex leaf hash and part.
    """

    comparisons: list[Comparison] = field(default_factory=list)
    values: dict[str, JsonValue] = field(default_factory=dict)
    records: dict[LeafIndex, bytes] = field(default_factory=dict)
    chips: list[OpenedChip] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    parts: dict[tuple[str, str], Values] = field(default_factory=dict)


def require_case(case: Case) -> None:
    """Check that the entries belong together.

    Raises:
        PolicyError: the response is to another challenge or of another lab; a declaration is another lab's, of another
            interval, or without the cluster; the inventory is another than that which is asked about; or
            the lab handed nothing over.
    """
    asked, answered = case.challenge.predicate, case.response.predicate
    pairs = [
        ("response.challenge", answered.challenge, asked.challenge),
        ("response.issuer", answered.issuer, asked.lab),
    ]
    if case.report is not None:
        pairs.append(("report.issuer", case.report.predicate.issuer, asked.lab))
        pairs.append(("report.interval", str(case.report.predicate.interval), str(asked.interval)))
        pairs.append(("report.rows", asked.cluster if case.row else "no row of it", asked.cluster))
    if case.inventory is not None:
        pairs.append(("inventory.issuer", case.inventory.predicate.issuer, asked.lab))
        pairs.append(("inventory", case.inventory.leaf, asked.request.inventory or "none"))
        pairs.append(("inventory.rows", asked.cluster if case.inventory_row else "no row of it", asked.cluster))
    if case.registration is not None:
        pairs.append(("registration.lab", case.registration.predicate.lab, asked.lab))
    for name, found, expected in pairs:
        if found != expected:
            raise PolicyError(field=name, found=found, expected=f"{expected}, as in the challenge")
    if answered.outcome != "provided":
        expected = "provided: the lab handed nothing over that could be opened"
        raise PolicyError(field="response.outcome", found=answered.outcome, expected=expected)


def open_bundle(raw: bytes, case: Case, keys: InspectorKeys) -> Bundle:
    """Decrypt what this inspector was sent: rule 1.

    Args:
        raw: the encapsulated key and the ciphertext, of at most `BUNDLE_BYTES_MAX` bytes.
        case: which entries it belongs to; they passed `require_case`.
        keys: of the inspector.

    Raises:
        PolicyError: the challenge does not name this inspector, or the response says nothing was sent to them.
        ProofError: another ciphertext than the response names, or it does not open.
        FormatError: too large.
    """
    if len(raw) > BUNDLE_BYTES_MAX:
        found, expected = f"{len(raw)} bytes", f"at most {BUNDLE_BYTES_MAX} bytes"
        raise FormatError(field="bundle", found=found, expected=expected, code=Code.TOO_LARGE)
    asked, me = case.challenge.predicate, (keys.nation, keys.public.id)
    name = "/".join(me)
    if Named(*me) not in asked.inspectors:
        raise PolicyError(field="challenge.inspectors", found="others alone", expected=f"{name}, whose keys these are")
    recipients = {(each.nation, each.inspector): each.ciphertext for each in case.response.predicate.recipients}
    if me not in recipients:
        raise PolicyError(field="response.recipients", found="others alone", expected=f"{name}, whose keys these are")
    found = hashlib.sha256(raw).hexdigest()
    if found != recipients[me]:
        raise ProofError(field="bundle", found=found, expected=f"{recipients[me]}, which the response names for {name}")
    context = compute_openings_context(
        ledger_id=case.ledger.charter.ledger_id, challenge=asked.challenge, nation=me[0], inspector=me[1]
    )
    return Bundle(keys.open(raw, context=context), found)


def check_openings(plain: bytes, case: Case) -> Opened:
    """Hold what was decrypted against the ledger: rules 2 to 6.

    Args:
        plain: as `open_bundle` gave it.
        case: the entries; they passed `require_case`.

    Raises:
        ConditionError: it opens an entry that is not in the case, which must be fetched first (`CONFIG`).
    """
    opened, asked = Opened(), case.challenge.predicate
    place = Place(CHECK, asked.cluster)
    handed, found = case.response.predicate.handed or "", compute_handed(plain)
    opened.comparisons.append(
        place.compare("handed", found, f"{handed}, which the response names", holds=found == handed)
    )
    try:
        openings = parse_openings(plain)
    except LedgerError as error:
        opened.comparisons.append(place.state(error.field, error.found, error.expected, Outcome.FAILS))
        _name_missing(opened, case)
        return opened
    pairs = (
        ("ledger", openings.ledger, case.ledger.charter.fingerprint),
        ("challenge", openings.challenge, asked.challenge),
        ("lab", openings.lab, asked.lab),
        ("cluster", openings.cluster, asked.cluster),
        ("interval", openings.interval, asked.interval),
    )
    opened.comparisons += [place.compare(name, is_, str(must), holds=is_ == must) for name, is_, must in pairs]
    _check_row(opened, openings, case)
    _check_chips(opened, openings, case)
    _check_parts(opened, openings, case)
    _name_missing(opened, case)
    return opened


def _check_parts(opened: Opened, openings: Openings, case: Case) -> None:
    """Rule 6."""
    absent = list(dict.fromkeys(part.leaf for part in openings.parts if part.leaf not in case.books.by_leaf))
    if absent:
        found = f"{len(absent)} entries that the openings name are not in the books: {name_some(absent)}"
        expected = f"all of them; `counterseal observe receipts --lab {openings.lab}` writes them"
        raise ConditionError(field="books", found=found, expected=expected, code=Code.CONFIG)
    compared, opened.parts = check_parts(openings.parts, case.books, lab=case.challenge.predicate.lab)
    opened.comparisons += compared


def _check_row(opened: Opened, openings: Openings, case: Case) -> None:
    """Rules 3 and 4 of fields and records."""
    if openings.report is None:
        return
    row = case.row
    if case.report is None or row is None or case.report.leaf != openings.report:
        raise _missing_entry("report", openings.report, None if case.report is None else case.report.leaf)
    place = Place(CHECK, row.cluster)
    for number, text in enumerate(openings.disclosures):
        opened.comparisons.append(_check_disclosure(opened, text, row, number=number, place=place))
    root = RecordsRoot(bytes.fromhex(row.records.root), row.records.count)

    def check(record: OpenedRecord) -> None:
        verify_record(root, record.record, record.opening())
        opened.records[record.index] = record.record

    opened.comparisons += check_units("records", openings.records, check, of=root.count, place=place)


def _check_disclosure(opened: Opened, text: str, row: Row, *, number: int, place: Place) -> Comparison:
    name = f"disclosures.{number}"
    try:
        (disclosure,) = check_disclosures(row.digests, (text,))
        name = f"fields.{disclosure.name}"
        parse_hidden_field(disclosure.name, disclosure.value)
    except LedgerError as error:
        return place.state(name, f"{error.field}: {error.found}", error.expected, Outcome.FAILS)
    if disclosure.name in opened.values:
        return place.compare(name, "opened before", "each field once", holds=False)
    opened.values[disclosure.name] = disclosure.value
    return place.compare(name, "opens a digest of the row", "a field of the row", holds=True)


def _check_chips(opened: Opened, openings: Openings, case: Case) -> None:
    """Rule 4 of accelerators, and that the inventory is the one that was asked about."""
    if openings.inventory is None:
        return
    row, asked = case.inventory_row, case.challenge.predicate.request.inventory
    place = Place(CHECK, case.challenge.predicate.cluster)
    is_asked, otherwise = openings.inventory == asked, Outcome.FAILS if asked else Outcome.UNUSUAL
    expected = f"{asked}, as asked" if asked else "none: no accelerators were asked for"
    opened.comparisons.append(
        place.compare("inventory", openings.inventory, expected, holds=is_asked, otherwise=otherwise)
    )
    if not is_asked:
        return
    if case.inventory is None or row is None:
        raise _missing_entry("inventory", openings.inventory, None)
    root = ChipsRoot(bytes.fromhex(row.chips.root), row.chips.count)

    def check(chip: OpenedChip) -> None:
        verify_chip(root, chip.chip(), chip.opening())
        opened.chips.append(chip)

    opened.comparisons += check_units("chips", openings.chips, check, of=root.count, place=place)


def check_units(
    name: str,
    units: Sequence[OpenedRecord] | Sequence[OpenedChip],
    check: Callable[..., None],  # a record's or a chip's
    *,
    of: int,
    place: Place,
) -> list[Comparison]:
    """Hold each record or accelerator against its root; those that do not open are named up to a bound.

    Args:
        name: records or chips.
        units: as they were handed over.
        check: raises for one that does not open, and keeps one that does.
        of: how many there are under the root.
        place: of the comparisons.
    """
    faults: list[Comparison] = []
    fault_count = 0
    for unit in units:
        try:
            check(unit)
        except LedgerError as error:
            fault_count += 1
            if fault_count <= FAULTS_NAMED_MAX:
                found = f"{error.field}: {error.found}"
                faults.append(place.state(f"{name}.{unit.index}", found, error.expected, Outcome.FAILS))
    if units:
        found = f"{len(units) - fault_count} of {len(units)} open"
        expected = f"all of them, among the {of} under the root"
        faults.append(place.compare(name, found, expected, holds=not fault_count))
    return faults


def _name_missing(opened: Opened, case: Case) -> None:
    """Rule 5."""
    request, place = case.challenge.predicate.request, Place(CHECK, case.challenge.predicate.cluster)
    parts = (
        ("fields", list[str](request.fields), list(opened.values)),
        ("records", [str(index) for index in request.records], [str(index) for index in opened.records]),
        ("chips", [str(index) for index in request.chips], [str(chip.index) for chip in opened.chips]),
    )
    for name, wanted, there in parts:
        asked_for, is_there = frozenset(wanted), frozenset(there)
        opened.missing += [f"{name}.{one}" for one in wanted if one not in is_there]
        unasked = [one for one in there if one not in asked_for]
        if unasked:
            found = f"{len(unasked)} that nobody asked for: {name_some(unasked)}"
            opened.comparisons.append(place.state(name, found, "what was asked for", Outcome.UNUSUAL))
    for one in opened.missing[:FAULTS_NAMED_MAX]:
        opened.comparisons.append(place.skip(one, "what was asked for", reason="asked for and not opened"))
    if len(opened.missing) > FAULTS_NAMED_MAX:
        reason = f"{len(opened.missing) - FAULTS_NAMED_MAX} more were asked for and not opened"
        opened.comparisons.append(place.skip("others", "what was asked for", reason=reason))


def _missing_entry(role: str, leaf: str, given: str | None) -> ConditionError:
    expected = f"the entry that the openings name; `counterseal observe receipt --leaf {leaf}` writes it"
    return ConditionError(field=role, found="none" if given is None else given, expected=expected, code=Code.CONFIG)
