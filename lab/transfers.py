"""Accelerators that leave a lab or arrive: the lab's own side of a transfer, ready to be signed."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lab.books import find_transfer
from lab.collectors.chips import ListedChip
from lab.inventories import compute_root, count_models, require_models, salt_chips
from lab.pinned import PinnedLedger
from lab.preparing import Prepared, begin, hide, require_agreement
from lab.stored import Opening, StoredChip, find_opening
from lab.transfer_terms import TermsChip, TermsFile, encode_terms_file
from lab.vault import Vault, draw_salt
from ledger.disclosure import compute_digest
from ledger.errors import Code, ConditionError, FormatError, PolicyError
from ledger.openings import SHARED
from ledger.positions import Interval
from ledger.statements.intoto import Corrects, encode_quantity
from ledger.statements.inventories import (
    TERMS_NAME,
    Direction,
    HiddenTransfer,
    SharedTerms,
    Shipment,
    Transfer,
    TransferReason,
    encode_hidden_transfer,
    encode_terms,
    encode_transfer,
)

TERMS_SALT_BYTES: Final = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """What a person says of this lab's side of a transfer.

    Attributes:
        transfer: its id.
        direction: whether it leaves or arrives.
        counterparty: the other lab; None for everybody outside the ledger.
        reason: why.
        interval: in which.
        clusters: where from or where to; none if the lab does not say.
        why: why this takes the place of the lab's earlier word; empty for a first one.
    """

    transfer: str
    direction: Direction
    counterparty: str | None
    reason: TransferReason
    interval: Interval
    clusters: Sequence[str]
    why: str = ""


def prepare_sent(
    vault: Vault, side: Side, chips: Sequence[ListedChip], *, ledger: PinnedLedger, lab: str, terms: Path | None
) -> Prepared:
    """Say what leaves, and draw up the terms for the other side.

    Args:
        vault: of the lab.
        side: what is said of it; also what arrives from outside the ledger, where no other side draws up terms.
        chips: what moves: of one model, at least one.
        ledger: pinned.
        lab: id of the lab.
        terms: where the file for the other side is written; None exactly if there is no other side.

    Raises:
        RejectedError: the ledger takes reports alone.
        PolicyError: a model that the annex does not have, or the lab has spoken of this transfer.
        ConditionError: a correction of nothing (`NOTHING_TO_CORRECT`), or terms without another side (`CONFIG`).
        FormatError: no accelerator, several models, or a value that a transfer cannot have.
    """
    require_agreement(ledger)
    require_models([chip.model for chip in chips], ledger.charter)
    models = count_models(chips)
    if len(models) != 1:
        raise FormatError(field="chips.model", found=", ".join(models) or "none", expected="one model a transfer")
    if (terms is None) != (side.counterparty is None):
        expected = "a place for the terms exactly where another lab is to confirm them (--terms)"
        raise ConditionError(field="terms", found=terms, expected=expected, code=Code.CONFIG)
    salted = salt_chips(chips)
    shared = None
    if side.counterparty is not None:
        shared = encode_terms(_agree(side, salted, lab=lab), salt=draw_salt(TERMS_SALT_BYTES))
    prepared = _prepare(vault, side, salted, shared, ledger=ledger, lab=lab)
    if terms is None or shared is None:
        return prepared
    return Prepared(
        statement=prepared.statement,
        encode=prepared.encode,
        openings=prepared.openings,
        notes=(f"hand {terms} to {side.counterparty} in private: it opens what both of you say",),
        files={terms: write_terms(shared, side.reason, salted)},
    )


def prepare_received(vault: Vault, side: Side, file: TermsFile, *, ledger: PinnedLedger, lab: str) -> Prepared:
    """Say what arrived, by the terms of the sender.

    Raises:
        RejectedError: the ledger takes reports alone.
        PolicyError: the terms are for another lab, a model that the annex does not have, or the lab has spoken of it.
        ConditionError: a correction of nothing (`NOTHING_TO_CORRECT`).
        FormatError: a value that a transfer cannot have.
    """
    require_agreement(ledger)
    terms = file.shared()
    if terms.receiver != lab:
        raise PolicyError(field="terms.receiver", found=terms.receiver, expected=f"this lab, {lab}")
    require_models([terms.model], ledger.charter)
    return _prepare(vault, side, file.stored(), file.terms, ledger=ledger, lab=lab)


def prepare_denial(vault: Vault, side: Side, *, ledger: PinnedLedger, lab: str) -> Prepared:
    """Say that nothing moved: take the lab's own word back, or deny what another says.

    Raises:
        RejectedError: the ledger takes reports alone.
        PolicyError: the lab has spoken of it, and no reason is given why that is taken back.
        ConditionError: a correction of nothing (`NOTHING_TO_CORRECT`).
        FormatError: a denial of what nobody can have said.
    """
    require_agreement(ledger)
    return Prepared(statement=_compose(vault, side, None, ledger=ledger, lab=lab), encode=encode_transfer)


def restore_terms(vault: Vault, *, ledger: PinnedLedger, transfer: str, counterparty: str) -> bytes:
    """Write the file for the other side once more, from the vault.

    Raises:
        ConditionError: the lab sent nothing of this id to it (`NOT_FOUND`).
    """
    fingerprint = ledger.charter.fingerprint
    moved = find_transfer(vault, fingerprint, transfer=transfer, direction="out", counterparty=counterparty)
    if moved is None or moved.transfer.shipment is None:
        expected = f"a transfer to {counterparty} in the vault"
        raise ConditionError(field="transfer", found=transfer, expected=expected, code=Code.NOT_FOUND)
    opening = find_opening(moved.stored, SHARED)
    return write_terms(opening.disclosures[TERMS_NAME], moved.transfer.reason, opening.chips)


def write_terms(shared: str, reason: TransferReason, chips: Sequence[StoredChip]) -> bytes:
    """Write the file for the other side."""
    lines = tuple(TermsChip(model=chip.model, serial=chip.serial, salt=chip.salt) for chip in chips)
    return encode_terms_file(TermsFile(terms=shared, reason=reason, chips=lines))


def _agree(side: Side, chips: Sequence[StoredChip], *, lab: str) -> SharedTerms:
    assert side.counterparty is not None
    return SharedTerms(
        transfer=side.transfer,
        sender=lab,
        receiver=side.counterparty,
        chips_root=compute_root(chips),
        model=chips[0].model,
        count=encode_quantity(len(chips)),
    )


def _prepare(
    vault: Vault, side: Side, chips: Sequence[StoredChip], shared: str | None, *, ledger: PinnedLedger, lab: str
) -> Prepared:
    fields = HiddenTransfer(model=chips[0].model, count=encode_quantity(len(chips)))
    hidden = hide(encode_hidden_transfer(fields))
    shipment = Shipment(
        digests=hidden.digests,
        chips_root=compute_root(chips),
        match=None if shared is None else compute_digest(shared),
    )
    both = Opening(part=SHARED, disclosures={} if shared is None else {TERMS_NAME: shared}, chips=tuple(chips))
    return Prepared(
        statement=_compose(vault, side, shipment, ledger=ledger, lab=lab),
        encode=encode_transfer,
        openings=(hidden.opening, both),
    )


def _compose(vault: Vault, side: Side, shipment: Shipment | None, *, ledger: PinnedLedger, lab: str) -> Transfer:
    header = begin(ledger, lab) | {"corrects": _correct(vault, side, ledger)}
    return Transfer(
        **header,
        transfer=side.transfer,
        direction=side.direction,
        counterparty=side.counterparty,
        reason=side.reason,
        interval=side.interval,
        clusters=tuple(sorted(side.clusters)),
        shipment=shipment,
    )


def _correct(vault: Vault, side: Side, ledger: PinnedLedger) -> Corrects | None:
    """Each side speaks once, and then corrects itself with a reason."""
    known = find_transfer(
        vault,
        ledger.charter.fingerprint,
        transfer=side.transfer,
        direction=side.direction,
        counterparty=side.counterparty,
    )
    if known is None and side.why:
        expected = "an earlier word of this lab on it, in the vault"
        raise ConditionError(field="transfer", found=side.transfer, expected=expected, code=Code.NOTHING_TO_CORRECT)
    if known is None:
        return None
    if not side.why:
        found = f"{side.transfer}, of which number {known.stored.sequence} speaks"
        expected = "another id, or a reason why that is corrected (--why)"
        raise PolicyError(field="transfer", found=found, expected=expected, code=Code.TRANSFER_KNOWN)
    return Corrects(known.stored.leaf, side.why)
