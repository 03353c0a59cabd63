"""A lab's list of accelerators as an inventory, ready to be signed: numbers by model hidden, a root over all chips."""

from collections.abc import Mapping, Sequence

from lab.books import read_inventories, read_transfers
from lab.collectors.chips import ListedChip
from lab.pinned import PinnedLedger
from lab.preparing import Hidden, Prepared, begin, hide, require_agreement
from lab.settings import Settings
from lab.stored import Opening, StoredChip
from lab.vault import Vault, draw_salt
from ledger.charter import Charter
from ledger.chips import Chip, ChipsTree
from ledger.crosschecks.books import examine_books
from ledger.crosschecks.comparisons import Outcome
from ledger.errors import Code, ConditionError, PolicyError
from ledger.limits import CHIP_SALT_BYTES
from ledger.positions import Interval
from ledger.statements.intoto import encode_quantity
from ledger.statements.inventories import (
    Chips,
    HiddenInventory,
    Inventory,
    InventoryRow,
    Method,
    encode_hidden_inventory,
    encode_inventory,
)


def prepare_inventory(
    vault: Vault,
    chips: Sequence[ListedChip],
    *,
    ledger: PinnedLedger,
    settings: Settings,
    interval: Interval,
    method: Method,
    empty: Sequence[str] = (),
) -> Prepared:
    """Make the inventory of the clusters in a list, and hold it against the last ones (X7).

    Args:
        vault: with the last inventories, and the transfers since.
        chips: in the order of the tree.
        ledger: pinned.
        settings: of the lab; its clusters are those that can have accelerators.
        interval: as of whose beginning.
        method: how they were counted.
        empty: clusters that have none.

    Raises:
        RejectedError: the ledger takes reports alone.
        ConditionError: no cluster, or one that is not in lab.toml (`CONFIG`).
        PolicyError: a model that the charter's annex does not have.
        FormatError: an accelerator of another form.
    """
    require_agreement(ledger)
    charter = ledger.charter
    by_cluster: dict[str, list[ListedChip]] = {cluster: [] for cluster in empty}
    for chip in chips:
        by_cluster.setdefault(chip.cluster, []).append(chip)
    _require_known(by_cluster, settings)
    require_models([chip.model for chip in chips], charter)
    rows, openings = [], []
    counts: dict[str, dict[str, int]] = {}
    for cluster in sorted(by_cluster):
        counts[cluster] = count_models(by_cluster[cluster])
        row, opening = _commit(cluster, by_cluster[cluster], counts[cluster], method)
        rows.append(row)
        openings.append(opening)
    compared = examine_books(
        counts,
        interval,
        lab=settings.lab.id,
        before=read_inventories(vault, charter.fingerprint, before=interval),
        transfers=[moved.movement for moved in read_transfers(vault, charter.fingerprint)],
    )
    inventory = Inventory(**begin(ledger, settings.lab.id), interval=interval, rows=tuple(rows))
    return Prepared(
        statement=inventory,
        encode=encode_inventory,
        openings=tuple(openings),
        findings=tuple(one for one in compared if one.outcome in {Outcome.FAILS, Outcome.UNUSUAL}),
        notes=(
            *(str(one) for one in compared if one.outcome == Outcome.NOT_COMPARABLE),
            *_compare_settings(counts, settings),
        ),
    )


def count_models(chips: Sequence[ListedChip]) -> dict[str, int]:
    """Count accelerators by model, in order of the models' names."""
    counts: dict[str, int] = {}
    for chip in sorted(chips, key=lambda chip: chip.model):
        counts[chip.model] = counts.get(chip.model, 0) + 1
    return counts


def salt_chips(chips: Sequence[ListedChip]) -> tuple[StoredChip, ...]:
    """Put every accelerator under a fresh salt."""
    return tuple(StoredChip(chip.model, chip.serial, draw_salt(CHIP_SALT_BYTES), chip.rack) for chip in chips)


def compute_root(chips: Sequence[StoredChip]) -> str:
    """Hex root over accelerators in their order."""
    tree = ChipsTree((Chip(chip.model, chip.serial) for chip in chips), (chip.salt for chip in chips))
    return tree.root().root.hex()


def require_models(models: Sequence[str], charter: Charter) -> None:
    """Refuse a model that the annex does not have: nobody could say what it can do.

    Raises:
        PolicyError: the first of them.
    """
    known = [line.model for line in charter.accelerators]
    for model in models:
        if model not in known:
            expected = f"a model of the charter's annex: {', '.join(known) or 'it has none'}"
            raise PolicyError(field="chips.model", found=model, expected=expected)


def _commit(
    cluster: str, chips: Sequence[ListedChip], counts: Mapping[str, int], method: Method
) -> tuple[InventoryRow, Opening]:
    fields = HiddenInventory(chip_counts={model: encode_quantity(count) for model, count in counts.items()})
    hidden: Hidden = hide(encode_hidden_inventory(fields), part=cluster)
    salted = salt_chips(chips)
    row = InventoryRow(
        cluster=cluster, digests=hidden.digests, chips=Chips(compute_root(salted), len(salted)), method=method
    )
    return row, Opening(part=cluster, disclosures=hidden.opening.disclosures, chips=salted)


def _require_known(clusters: Mapping[str, object], settings: Settings) -> None:
    known = [cluster.id for cluster in settings.clusters]
    if not clusters:
        found, expected = "none", "accelerators, or clusters that have none (--empty)"
        raise ConditionError(field="cluster", found=found, expected=expected, code=Code.CONFIG)
    for cluster in clusters:
        if cluster not in known:
            expected = f"one of {', '.join(known)} in lab.toml"
            raise ConditionError(field="cluster", found=cluster, expected=expected, code=Code.CONFIG)


def _compare_settings(counts: Mapping[str, Mapping[str, int]], settings: Settings) -> list[str]:
    """Say where the list and lab.toml, by which reports are checked, disagree."""
    notes = []
    for cluster in settings.clusters:
        listed = counts.get(cluster.id)
        if listed is not None and cluster.chips and dict(cluster.chips) != dict(listed):
            said = ", ".join(f"{count} {model}" for model, count in cluster.chips.items())
            notes.append(f"lab.toml says that cluster {cluster.id} has {said}: reports are checked against that")
    missing = [cluster.id for cluster in settings.clusters if cluster.id not in counts]
    if missing:
        notes.append(f"not in this inventory, and as their last one says: {', '.join(missing)}")
    return notes
