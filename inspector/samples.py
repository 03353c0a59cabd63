"""A sample drawn again, from nothing but the entries that anybody can fetch: the sample, its beacon, the inventory.

The group's signature in the beacon is checked, the seed and the indices are computed as the rules compute them, and
every field of the sample is held against that. Which block opened the round stands in the sealed sample and is believed
here; that it is the first one past the round's time is seen by whoever has the chain of headers, in an audit.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from inspector.entries import Ledger, read_sealed
from ledger.beacons import verify_beacon
from ledger.chips import ChipsRoot
from ledger.crosschecks.comparisons import Comparison, Outcome, Place
from ledger.errors import Code, ConditionError, FormatError, PolicyError
from ledger.positions import LeafIndex
from ledger.receipts import VerifiedReceipt
from ledger.rules.records.inspections import Drawn
from ledger.rules.samples import make_sample
from ledger.sampling import draw_indices
from ledger.statements.beacons import BEACON, SAMPLE, Beacon, Sample, parse_beacon, parse_sample
from ledger.statements.computed import find_computed_kind, is_computed_entry
from ledger.statements.dsse import parse_envelope
from ledger.statements.intoto import find_kind
from ledger.statements.inventories import INVENTORY, Inventory, parse_inventory

CHECK: Final = "SAMPLE"
_ROLES: Final = (SAMPLE, BEACON, INVENTORY)


@dataclass(frozen=True, slots=True)
class Redrawn:
    """A sample as it follows from the rest.

    Attributes:
        sample: as it stands on the ledger.
        comparisons: of each of its fields with what follows.
        indices: of all units that the seed draws, in the order of drawing.
        root: over the units, and their number, as the inventory says.
        receipts: of sample, beacon and inventory, by kind.
    """

    sample: Sample
    comparisons: tuple[Comparison, ...]
    indices: tuple[LeafIndex, ...]
    root: ChipsRoot
    receipts: Mapping[str, VerifiedReceipt]

    @property
    def follows(self) -> bool:
        """Whether every field is as it follows."""
        return all(one.outcome == Outcome.HOLDS for one in self.comparisons)

    def encode(self) -> dict[str, object]:
        """Give it as JSON has it."""
        sample = self.sample
        return {
            "follows": self.follows,
            "round": sample.round,
            "purpose": sample.purpose.value,
            "lab": sample.lab,
            "cluster": sample.cluster,
            "population": sample.population,
            "seed": sample.seed,
            "indices": list(self.indices),
            "differences": [str(one) for one in self.comparisons if one.outcome != Outcome.HOLDS],
        }

    def describe(self) -> list[str]:
        """Say it in lines."""
        sample = self.sample
        of = f"round {sample.round}, {sample.lab}, {sample.cluster}"
        if not self.follows:
            return [f"does not follow: {of}", *(str(one) for one in self.comparisons if one.outcome != Outcome.HOLDS)]
        return [
            f"follows: {of}: the group signed the round, and its beacon draws these of {sample.population} units",
            f"seed     {sample.seed}",
            f"indices  {' '.join(str(index) for index in self.indices)}",
        ]


def redraw_sample(paths: Sequence[Path], ledger: Ledger) -> Redrawn:
    """Read the entries, in whatever order they are named, and draw again.

    Args:
        paths: receipts of a sample, of its beacon and of its inventory, each entry beside its receipt.
        ledger: on which they stand.

    Raises:
        LedgerError: an entry does not stand there, or the group did not sign the beacon.
        ConditionError: one of the three is missing, or named twice.
        PolicyError: the beacon is of another round, or the inventory another than the sample names.
    """
    receipts = _read_roles(paths, ledger)
    sample = parse_sample(receipts[SAMPLE].entry)
    beacon = parse_beacon(parse_envelope(receipts[BEACON].entry).payload).predicate
    inventory = parse_inventory(parse_envelope(receipts[INVENTORY].entry).payload).predicate
    _require_related(sample, beacon, receipts[INVENTORY])
    charter = ledger.charter
    if charter.agreement is None:
        raise PolicyError(field="charter.agreement", found=None, expected="an agreement: without one nothing is drawn")
    verify_beacon(sample.round, beacon.signature, group_key=charter.group_key)
    root = _find_root(inventory, sample.cluster)
    expected = make_sample(
        charter,
        Drawn(beacon.signature, bytes.fromhex(sample.block), receipts[BEACON].index),
        beacon_round=sample.round,
        lab=inventory.issuer,
        cluster=sample.cluster,
        inventory_leaf=receipts[INVENTORY].leaf,
        population=root.count,
        time_ms=sample.time_ms,
    )
    place = Place(CHECK, sample.cluster)
    comparisons = tuple(
        place.compare(name, getattr(sample, name), f"{getattr(expected, name)}", holds=is_same)
        for name in Sample.__struct_fields__
        for is_same in [getattr(sample, name) == getattr(expected, name)]
    )
    indices = draw_indices(bytes.fromhex(expected.seed), population=root.count, count=expected.count)
    return Redrawn(sample, comparisons, indices, root, receipts)


def _read_roles(paths: Sequence[Path], ledger: Ledger) -> dict[str, VerifiedReceipt]:
    receipts: dict[str, VerifiedReceipt] = {}
    for path in paths:
        receipt = read_sealed(path, ledger)
        is_computed = is_computed_entry(receipt.entry)
        kind = find_computed_kind(receipt.entry) if is_computed else find_kind(parse_envelope(receipt.entry).payload)
        if kind not in _ROLES:
            raise FormatError(field=str(path), found=str(kind), expected=f"one of {', '.join(_ROLES)}")
        if kind in receipts:
            found = f"another {kind}"
            raise ConditionError(field=str(path), found=found, expected="one of each kind", code=Code.CONFIG)
        receipts[kind] = receipt
    missing = [role for role in _ROLES if role not in receipts]
    if missing:
        found, expected = f"no {' and no '.join(missing)}", f"a receipt of each: {', '.join(_ROLES)}"
        raise ConditionError(field="files", found=found, expected=expected, code=Code.CONFIG)
    return receipts


def _require_related(sample: Sample, beacon: Beacon, inventory: VerifiedReceipt) -> None:
    if beacon.round != sample.round:
        raise PolicyError(field="beacon.round", found=beacon.round, expected=f"{sample.round}, as in the sample")
    if inventory.leaf.hex() != sample.inventory:
        found, expected = inventory.leaf.hex(), f"{sample.inventory}, which the sample names"
        raise PolicyError(field="inventory", found=found, expected=expected)


def _find_root(inventory: Inventory, cluster: str) -> ChipsRoot:
    for row in inventory.rows:
        if row.cluster == cluster and row.chips.count:
            return ChipsRoot(bytes.fromhex(row.chips.root), row.chips.count)
    raise PolicyError(field="inventory.rows", found="no units", expected=f"units of {cluster}, as in the sample")
