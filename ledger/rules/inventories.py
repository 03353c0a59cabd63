"""Inventories and transfers: what a sample can be drawn from, and when two labs tell one story.

Inventories:
1. An inventory is as of the beginning of an interval that has begun, and not of an earlier one than the cluster's last:
   nothing is back-dated. Another one of the same interval takes the place of the last. Its clusters count in the
   interval.
2. An inspection round draws from the newest inventory that stood on the ledger in the block that opened the round, or
   before (`get_inventory`). What comes later, and so could know the round's beacon, counts from the next round on.
3. What a round can still draw from is kept, at most `INVENTORIES_KEPT_MAX` a cluster; a round's inventory is known for
   `INVENTORY_ROUNDS_KEPT` rounds after its beacon. An inventory that would be one more is refused: an older one is not
   forgotten for it, or a lab could choose between them after the beacon is known.

Transfers between two labs, or within one:
4. A transfer is known by its id, sender and receiver. Each side speaks once, and may correct what it said; what is not
   said means that nothing moved, and can be said too: a side takes its word back, or denies the other's.
5. The sides *agree* if chip roots and matches are equal, in whichever order and intervals they spoke. Once both have
   spoken and agree, neither can correct any more.
6. From the first word on, the other side has `pair_window_s`. If they do not agree when the window ends, both have a
   `TRANSFER_DIFFERENCE` in the interval in which it ends: on the clusters that they named, or on all if they named
   none or said nothing. Once they agree it is dropped.
7. An id is free again when the sides agree and the window is over. A lab may have been the first to speak of at most
   `OPEN_TRANSFERS_MAX` transfers that are not free, so nobody can heap up differences on others. Differences of one
   interval are counted, so that many of them are one remark a cluster and no more.
8. The first word is about an interval that has begun and ended no longer ago than the window; a later one, about any
   that has begun, since an answer is better late than never.

Transfers to and from those who are no labs of this ledger have no other side. They are held to rule 8, and their
clusters count; nothing is kept of them, so what a correction of one names is for readers to look at. What is hidden is
never read here, and books that do not balance are found by those to whom they are opened.
"""

from collections.abc import Sequence
from typing import Final

import msgspec

from ledger.encoding import decode_hex
from ledger.errors import Code, Rejection, reject
from ledger.limits import HASH_BYTES, INVENTORIES_KEPT_MAX, INVENTORY_ROUNDS_KEPT, OPEN_TRANSFERS_MAX
from ledger.positions import Interval, LeafIndex, Millis
from ledger.rules.agenda import schedule
from ledger.rules.entries import Context, Kind
from ledger.rules.grid import compute_end_ms, compute_start_ms
from ledger.rules.records.agenda import Event
from ledger.rules.records.filings import make_filing_name
from ledger.rules.records.foundation import FOUNDATION
from ledger.rules.records.inventories import (
    DIFFERENCES,
    INVENTORIES,
    OPENED_COUNTS,
    TRANSFERS,
    ClusterDifferences,
    ClusterInventories,
    ClusterInventory,
    Differences,
    OpenedCount,
    OpenTransfer,
    Side,
    make_transfer_name,
)
from ledger.rules.records.registry import LABS
from ledger.rules.records.rounds import ROUNDS, Rounds
from ledger.rules.remarks import add_remarks, drop_remark
from ledger.rules.state import State
from ledger.rules.verdicts import compute_active
from ledger.statements.inventories import (
    INVENTORY,
    TRANSFER,
    Inventory,
    InventoryRow,
    Shipment,
    Transfer,
    parse_inventory,
    parse_transfer,
)
from ledger.statements.verdicts import Reason

TRANSFER_WINDOW: Final = "transfer-window"
"""Topic of the agenda: the window of the transfer with the event's name ends."""

_FIELD: Final = "statement.predicate"
_NO_INVENTORIES: Final = ClusterInventories(())
_NO_ROUNDS: Final = Rounds(0, 0, 0)
_NOTHING_MOVED: Final = b""


def get_inventory(state: State, cluster: str, *, inspection_round: int | None = None) -> ClusterInventory | None:
    """The inventory that a round draws from; None if the cluster had none when the round opened, or it was long ago.

    Args:
        state: of a ledger whose charter has an agreement.
        cluster: its id.
        inspection_round: which; None for the newest inventory, whatever rounds there are.
    """
    kept = (INVENTORIES.get(state, cluster.encode()) or _NO_INVENTORIES).inventories
    counting = [each for each in kept if inspection_round is None or each.first_round <= inspection_round]
    return counting[-1] if counting else None


def apply_inventory(state: State, context: Context, inventory: Inventory) -> Rejection | None:
    """Record a lab's inventory. Believes that the header was checked."""
    clusters = [row.cluster for row in inventory.rows]
    rejection = (
        check_begun(state, context, inventory.interval)
        or check_clusters(state, inventory.issuer, inventory.interval, clusters, field=f"{_FIELD}.rows.cluster")
        or _check_last(state, inventory)
    )
    if rejection is not None:
        return rejection
    kept = [_keep_inventory(state, context, inventory.interval, row) for row in inventory.rows]
    if max(len(each.inventories) for each in kept) > INVENTORIES_KEPT_MAX:
        return reject(
            Code.TOO_MANY_OPEN,
            field=f"{_FIELD}.rows",
            found=f"{INVENTORIES_KEPT_MAX + 1} inventories of a cluster that rounds may draw from",
            expected=f"at most {INVENTORIES_KEPT_MAX}",
        )
    for row, each in zip(inventory.rows, kept, strict=True):
        INVENTORIES.put(state, each, row.cluster.encode())
    return None


def apply_transfer(state: State, context: Context, transfer: Transfer) -> Rejection | None:
    """Record one side's word on a transfer. Believes that the header was checked."""
    rejection = check_begun(state, context, transfer.interval) or check_clusters(
        state, transfer.issuer, transfer.interval, transfer.clusters, field=f"{_FIELD}.clusters"
    )
    if rejection is not None:
        return rejection
    sender, receiver = transfer.sender, transfer.receiver
    if sender is None or receiver is None:
        return _check_window(state, context, transfer) if transfer.corrects is None else None
    if transfer.counterparty is not None and LABS.get(state, transfer.counterparty.encode()) is None:
        return reject(
            Code.UNKNOWN_SUBJECT,
            field=f"{_FIELD}.counterparty",
            found=transfer.counterparty,
            expected="a registered lab, or null for everybody else",
        )
    name = make_transfer_name(transfer.transfer, sender=sender, receiver=receiver)
    before: OpenTransfer | None = TRANSFERS.get(state, name)
    is_out = transfer.direction == "out"
    rejection = _check_word(before, transfer, is_out=is_out) or (
        _check_opening(state, context, transfer) if before is None else None
    )
    if rejection is not None:
        return rejection
    side = Side(context.entry.leaf_hash, _compute_terms(transfer.shipment), transfer.clusters)
    if before is None:
        _open_transfer(
            state, context, name, OpenTransfer(sender, receiver, transfer.issuer, context.index, None, None, None)
        )
        before = TRANSFERS.require(state, name)
    after = msgspec.structs.replace(before, **{"out" if is_out else "into": side})
    _change_transfer(state, name, before, after)
    return None


def on_transfer_window(state: State, event: Event) -> Sequence[bytes]:
    """Rule 6, once the window has ended: a difference, unless the sides agree."""
    before = TRANSFERS.require(state, event.name)
    grid = FOUNDATION.require(state).grid
    interval = Interval(max(0, (event.at_ms - grid.start_ms) // grid.interval_ms))
    _change_transfer(state, event.name, before, msgspec.structs.replace(before, interval=interval))
    return ()


def check_begun(state: State, context: Context, interval: Interval) -> Rejection | None:
    """Refuse what is said of an interval that has not begun."""
    start_ms = compute_start_ms(FOUNDATION.require(state).grid, interval)
    if context.time_ms >= start_ms:
        return None
    return reject(
        Code.INTERVAL_NOT_BEGUN,
        field=f"{_FIELD}.interval",
        found=f"{interval} at {context.time_ms} ms",
        expected=f"a block time of at least {start_ms} ms",
    )


def check_clusters(
    state: State, lab_id: str, interval: Interval, clusters: Sequence[str], *, field: str
) -> Rejection | None:
    """Refuse clusters that are not the lab's, or do not count in the interval."""
    active = compute_active(LABS.require(state, lab_id.encode()), interval)
    for cluster in clusters:
        if cluster not in active:
            return reject(
                Code.UNKNOWN_CLUSTER,
                field=field,
                found=cluster,
                expected=f"one of {len(active)} clusters of {lab_id} that count in interval {interval}",
            )
    return None


def _check_last(state: State, inventory: Inventory) -> Rejection | None:
    """Rule 1: not before the last."""
    for row in inventory.rows:
        last = get_inventory(state, row.cluster)
        if last is not None and inventory.interval < last.interval:
            return reject(
                Code.INTERVAL_TOO_OLD,
                field=f"{_FIELD}.interval",
                found=inventory.interval,
                expected=f"at least {last.interval}, of which {row.cluster} has an inventory",
            )
    return None


def _keep_inventory(state: State, context: Context, interval: Interval, row: InventoryRow) -> ClusterInventories:
    """What is kept of a cluster with one more: one a round, and of those before the oldest round the newest."""
    rounds = ROUNDS.get(state) or _NO_ROUNDS
    new = ClusterInventory(
        first_round=rounds.next_unopened,
        interval=interval,
        leaf=context.entry.leaf_hash,
        root=bytes.fromhex(row.chips.root),
        count=row.chips.count,
        method=row.method,
    )
    kept = (INVENTORIES.get(state, row.cluster.encode()) or _NO_INVENTORIES).inventories
    counting = [*(each for each in kept if each.first_round < new.first_round), new]
    oldest_round = rounds.next_unanswered - INVENTORY_ROUNDS_KEPT
    start = sum(each.first_round <= oldest_round for each in counting[1:])
    return ClusterInventories(tuple(counting[start:]))


def _compute_terms(shipment: Shipment | None) -> bytes:
    """What must be equal on both sides."""
    if shipment is None or shipment.match is None:
        return _NOTHING_MOVED
    return bytes.fromhex(shipment.chips_root) + shipment.match.encode("ascii")


def _is_agreed(transfer: OpenTransfer) -> bool:
    """What is not said means that nothing moved."""
    sent = _NOTHING_MOVED if transfer.out is None else transfer.out.terms
    arrived = _NOTHING_MOVED if transfer.into is None else transfer.into.terms
    return sent == arrived


def _is_settled(transfer: OpenTransfer) -> bool:
    """Rule 5: a side that is silent can still speak, whatever the other took back."""
    return transfer.out is not None and transfer.into is not None and _is_agreed(transfer)


def _check_word(before: OpenTransfer | None, transfer: Transfer, *, is_out: bool) -> Rejection | None:
    """Rules 4 and 5."""
    if before is not None and _is_settled(before):
        return reject(
            Code.TRANSFER_SETTLED,
            field=f"{_FIELD}.transfer",
            found=transfer.transfer,
            expected="an id that is free: both sides agree on this transfer",
        )
    mine = None if before is None else before.out if is_out else before.into
    if transfer.corrects is None:
        if mine is not None:
            return reject(
                Code.TRANSFER_KNOWN,
                field=f"{_FIELD}.transfer",
                found=transfer.transfer,
                expected=f"a correction of {mine.leaf.hex()}",
            )
        if before is None and transfer.shipment is None:
            return reject(
                Code.NOTHING_TO_CORRECT,
                field=f"{_FIELD}.shipment",
                found="null",
                expected="what moved: the other side has said nothing that could be denied",
            )
        return None
    corrected = decode_hex(transfer.corrects.leaf, field="corrects.leaf", size=HASH_BYTES)
    if mine is not None and corrected == mine.leaf:
        return None
    return reject(
        Code.NOTHING_TO_CORRECT,
        field=f"{_FIELD}.corrects.leaf",
        found=transfer.corrects.leaf,
        expected="null: this side has said nothing of this transfer" if mine is None else mine.leaf.hex(),
    )


def _check_opening(state: State, context: Context, transfer: Transfer) -> Rejection | None:
    """Rules 7 and 8."""
    opened = OPENED_COUNTS.get(state, transfer.issuer.encode())
    if opened is not None and opened.count >= OPEN_TRANSFERS_MAX:
        return reject(
            Code.TOO_MANY_OPEN,
            field=f"{_FIELD}.transfer",
            found=f"{opened.count} transfers that {transfer.issuer} was the first to speak of",
            expected=f"fewer than {OPEN_TRANSFERS_MAX}",
        )
    return _check_window(state, context, transfer)


def _check_window(state: State, context: Context, transfer: Transfer) -> Rejection | None:
    """Rule 8."""
    too_late_ms = compute_end_ms(FOUNDATION.require(state).grid, transfer.interval) + _get_window_ms(state)
    if context.time_ms < too_late_ms:
        return None
    return reject(
        Code.INTERVAL_TOO_OLD,
        field=f"{_FIELD}.interval",
        found=f"{transfer.interval} at {context.time_ms} ms",
        expected=f"a block time before {too_late_ms} ms",
    )


def _get_window_ms(state: State) -> int:
    agreement = state.charter.agreement
    assert agreement is not None
    return agreement.inventories.pair_window_s * 1000


def _open_transfer(state: State, context: Context, name: bytes, transfer: OpenTransfer) -> None:
    """Begin the window of a transfer of which nobody had spoken."""
    at_ms = Millis(context.time_ms + _get_window_ms(state))
    schedule(state, at_ms=at_ms, topic=TRANSFER_WINDOW, name=name, since_ms=context.time_ms)
    _count_opened(state, transfer.opened_by, by=1)
    TRANSFERS.put(state, transfer, name)


def _change_transfer(state: State, name: bytes, before: OpenTransfer, after: OpenTransfer) -> None:
    """Put a transfer in the place of what it was, with the differences that follow; forget it once it is free."""
    if before.interval is not None:
        _count_differences(state, before, before.interval, by=-1)
    if after.interval is not None and _is_agreed(after):
        _count_opened(state, after.opened_by, by=-1)
        TRANSFERS.put(state, None, name)
        return
    if after.interval is not None:
        _count_differences(state, after, after.interval, by=1)
    TRANSFERS.put(state, after, name)


def _count_opened(state: State, lab: str, *, by: int) -> None:
    opened = OPENED_COUNTS.get(state, lab.encode())
    count = by + (0 if opened is None else opened.count)
    OPENED_COUNTS.put(state, OpenedCount(count) if count else None, lab.encode())


def _count_differences(state: State, transfer: OpenTransfer, interval: Interval, *, by: int) -> None:
    """Rule 6: a difference more or less, for both labs."""
    for lab, side in ((transfer.sender, transfer.out), (transfer.receiver, transfer.into)):
        clusters = ("",) if side is None or not side.clusters else side.clusters
        _count_lines(state, lab, interval, clusters, by=by, source=transfer.index)


def _count_lines(
    state: State, lab: str, interval: Interval, clusters: Sequence[str], *, by: int, source: LeafIndex
) -> None:
    """Count a lab's differences of an interval, and keep one remark for each cluster that has some."""
    name = make_filing_name(LABS.require(state, lab.encode()).number, interval)
    before = DIFFERENCES.get(state, name)
    counts = {} if before is None else {line.cluster: line.count for line in before.lines}
    first = source if before is None else before.source
    reason = Reason.TRANSFER_DIFFERENCE
    for cluster in clusters:
        counts[cluster] = counts.get(cluster, 0) + by
    if by > 0:
        begun = [cluster for cluster in clusters if counts[cluster] == by]
        add_remarks(state, lab=lab, interval=interval, reason=reason, source=first, clusters=begun)
    else:
        ended = [cluster for cluster in clusters if counts[cluster] == 0]
        drop_remark(state, lab=lab, interval=interval, reason=reason, source=first, clusters=ended)
    lines = tuple(ClusterDifferences(cluster, counts[cluster]) for cluster in sorted(counts) if counts[cluster])
    DIFFERENCES.put(state, Differences(first, lines) if lines else None, name)


INVENTORY_KIND: Final = Kind(
    name=INVENTORY, is_for_nations=False, signature_count=1, parse=parse_inventory, apply=apply_inventory
)
TRANSFER_KIND: Final = Kind(
    name=TRANSFER, is_for_nations=False, signature_count=1, parse=parse_transfer, apply=apply_transfer
)
