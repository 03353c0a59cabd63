"""Answering a sample: the units that a beacon drew are drawn again, and opened from the very inventory it drew from.

1. Sample, beacon and lists of inspectors are proven by their receipts. What the sample says is held against what
   follows from beacon and inventory; the units are those that the seed draws, whatever the sample lists.
2. The inventory is the vault's own copy of the one that the sample names. Units are drawn once: what the vault cannot
   open stays unopened.
3. The file goes to inspectors of other nations, by keys that their nations put on the ledger or gave to a person. That
   no later list took a key back, no receipt tells.
4. The vault has the file before the answer that names its digest is signed. What each inspector was sent is not kept:
   the same file is encrypted again if it is asked for again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lab.files import read_bounded
from lab.handing import Keys, encrypt_to_each, name_files
from lab.parts import OPENINGS, name_recipient
from lab.pinned import PinnedLedger
from lab.preparing import Prepared, begin, require_agreement
from lab.stored import StoredStatement, find_opening, open_chips
from lab.vault import Vault
from ledger import domains
from ledger.chips import ChipsRoot, verify_chip
from ledger.errors import Code, ConditionError, FormatError, PolicyError, RejectedError, reject
from ledger.limits import ENTRY_BYTES_MAX, RECEIPT_BYTES_MAX
from ledger.merkle import leaf_hash
from ledger.openings import OpenedChip, SampleOpenings, compute_handed, encode_sample_openings, name_sample
from ledger.positions import LeafIndex, Millis
from ledger.rules.samples import redraw_indices
from ledger.statements.beacons import (
    BEACON,
    SAMPLE,
    SAMPLE_ANSWER,
    Sample,
    SampleAnswer,
    encode_sample_answer,
    parse_sample,
)
from ledger.statements.computed import find_computed_kind, is_computed_entry
from ledger.statements.dsse import parse_envelope
from ledger.statements.inspections import INSPECTORS, Inspectors, parse_inspectors
from ledger.statements.intoto import find_kind
from ledger.statements.inventories import parse_inventory
from ledger.verify import verify_receipt


@dataclass(frozen=True, slots=True)
class DrawnSample:
    """A sample that is to be answered, from entries that stand on the ledger.

    Attributes:
        entry: of the sample.
        sample: what it says.
        beacon: the entry with the round's beacon.
    """

    entry: bytes
    sample: Sample
    beacon: bytes

    @property
    def name(self) -> str:
        """What a ciphertext is bound to."""
        return name_drawn(self.sample)


@dataclass(frozen=True, slots=True)
class Handy:
    """What a person has as files.

    Attributes:
        sample: entry of a sample; None if there is none.
        beacon: entry of a beacon; None if there is none.
        inspectors: X25519 key of each active inspector whom a nation's list names, by nation and id.
    """

    sample: bytes | None
    beacon: bytes | None
    inspectors: Keys

    def drawn(self) -> DrawnSample:
        """Give the sample.

        Raises:
            ConditionError: there is no sample, or no beacon (`CONFIG`).
        """
        if self.sample is None or self.beacon is None:
            found = f"no {BEACON if self.beacon is None else SAMPLE}"
            expected = f"a receipt of each: {SAMPLE}, {BEACON}; or of neither, and the nodes are asked"
            raise ConditionError(field="files", found=found, expected=expected, code=Code.CONFIG)
        return DrawnSample(self.sample, parse_sample(self.sample), self.beacon)


def read_files(paths: Sequence[Path], *, ledger: PinnedLedger) -> Handy:
    """Read receipts, in any order, each entry beside its receipt, as `counterseal observe receipt` writes them.

    Args:
        paths: receipts of a sample, of its round's beacon, and of nations' lists of inspectors.
        ledger: on which they must stand.

    Raises:
        ConditionError: a file is missing (`NOT_FOUND`), or a sample or a beacon is there twice (`CONFIG`).
        LedgerError: an entry does not stand on the ledger, or is of another kind.
    """
    found: dict[str, bytes] = {}
    lists: dict[str, Inspectors] = {}
    for path in paths:
        entry = _read_sealed(path, ledger)
        kind = find_computed_kind(entry) if is_computed_entry(entry) else find_kind(parse_envelope(entry).payload)
        if kind == INSPECTORS:
            named = parse_inspectors(parse_envelope(entry).payload).predicate
            if named.issuer not in lists or lists[named.issuer].sequence < named.sequence:
                lists[named.issuer] = named
        elif kind not in {SAMPLE, BEACON}:
            expected = f"{SAMPLE}, {BEACON} or {INSPECTORS}"
            raise FormatError(field=str(path), found=str(kind), expected=expected)
        elif kind in found:
            raise ConditionError(field=str(path), found=f"another {kind}", expected="one", code=Code.CONFIG)
        else:
            found[kind] = entry
    keys = {(nation, each.id): each.encryption_key for nation in sorted(lists) for each in lists[nation].active()}
    return Handy(found.get(SAMPLE), found.get(BEACON), keys)


def name_drawn(sample: Sample) -> str:
    """Name a sample of a lab, `<cluster>/<round>/<purpose>`."""
    return name_sample(cluster=sample.cluster, beacon_round=sample.round, purpose=sample.purpose)


def choose_recipients(listed: Keys, *, named: Sequence[tuple[str, str]], given: Keys, nation: str | None) -> Keys:
    """Say to whom an answer goes: those who are named, or else all of other nations.

    Args:
        listed: as nations put them on the ledger.
        named: whom a person chose; none for all who are listed.
        given: keys that a person has from the nations; they are believed instead of listed ones.
        nation: of the lab, whose own inspectors are nobody else's; None if it is not known.

    Raises:
        PolicyError: somebody of the lab's own nation is named.
        ConditionError: somebody is named who has no key, or there is nobody (`CONFIG`).
    """
    keys = {**listed, **given}
    for pair in (*named, *given):
        if pair[0] == nation:
            raise PolicyError(
                field="to", found="/".join(pair), expected=f"an inspector of another nation than {nation}"
            )
        if pair not in keys:
            expected = "somebody in a nation's list of inspectors (its receipt), or with a key (--key)"
            raise ConditionError(field="to", found="/".join(pair), expected=expected, code=Code.CONFIG)
    chosen = [*dict.fromkeys((*named, *given))] or [pair for pair in keys if pair[0] != nation]
    if not chosen:
        expected = "inspectors of other nations: receipts of their nations' lists, or --key"
        raise ConditionError(field="to", found="nobody", expected=expected, code=Code.CONFIG)
    return {pair: keys[pair] for pair in sorted(chosen)}


def collect_sample_openings(vault: Vault, drawn: DrawnSample, *, ledger: PinnedLedger, lab: str) -> SampleOpenings:
    """Draw again, and take from the vault what opens the units.

    Raises:
        RejectedError: the sample is of another lab's cluster.
        ConditionError: the vault does not have the inventory (`NOT_FOUND`).
        ProofError, SignatureError: the sample does not follow from beacon and inventory, or what the vault has of a
            unit does not open it.
    """
    sample = drawn.sample
    if sample.lab != lab:
        raise RejectedError(
            reject(Code.WRONG_ISSUER, field="sample.lab", found=sample.lab, expected=f"this lab, {lab}")
        )
    inventory = _find_inventory(vault, sample)
    indices = redraw_indices(sample, charter=ledger.charter, beacon=drawn.beacon, inventory=inventory.envelope)
    return SampleOpenings(
        format=domains.SAMPLE_OPENINGS_FORMAT,
        ledger=ledger.charter.fingerprint,
        round=sample.round,
        purpose=sample.purpose,
        lab=lab,
        cluster=sample.cluster,
        sample=leaf_hash(drawn.entry).hex(),
        inventory=inventory.leaf,
        chips=_open(inventory, sample, sorted(indices)),
    )


def prepare_answer(
    vault: Vault,
    drawn: DrawnSample,
    *,
    ledger: PinnedLedger,
    lab: str,
    recipients: Keys,
    folder: Path,
    now_ms: Millis,
    is_late: bool = False,
) -> Prepared:
    """Answer a sample.

    Args:
        vault: with the inventory that the sample names.
        drawn: the sample.
        ledger: pinned.
        lab: id of the lab.
        recipients: as `choose_recipients` gave them.
        folder: where the file for each inspector is written.
        now_ms: by this machine's clock.
        is_late: leave it to the rules whether the window is over.

    Raises:
        RejectedError: the ledger takes reports alone, or the sample is of another lab's cluster.
        PolicyError: the lab has answered it, or its window is over (`NOT_AWAITED`).
        ConditionError: the vault lacks the inventory (`NOT_FOUND`).
        ProofError, SignatureError: as `collect_sample_openings`.
        FormatError: more than one file can hold, or a key that hides nothing.
    """
    require_agreement(ledger)
    sample = drawn.sample
    answered = _find_answer(vault, ledger, drawn)
    if answered is not None:
        found = f"{drawn.name}, which number {answered.sequence} answers"
        expected = "one that was not answered; `counterseal lab answer-again` writes its files again"
        raise PolicyError(field="sample", found=found, expected=expected, code=Code.NOT_AWAITED)
    raw = encode_sample_openings(collect_sample_openings(vault, drawn, ledger=ledger, lab=lab))
    if now_ms >= sample.answer_by_ms and not is_late:
        raise PolicyError(
            field="sample.answer_by_ms",
            found=f"{now_ms - sample.answer_by_ms} ms after its end",
            expected="an answer before: a later one is refused, and SAMPLE_UNANSWERED stays on the interval for good;"
            " --late tries all the same, since an outage of the network moves the end",
            code=Code.NOT_AWAITED,
        )
    answer = SampleAnswer(
        **begin(ledger, lab),
        round=sample.round,
        purpose=sample.purpose,
        cluster=sample.cluster,
        openings=compute_handed(raw),
        opened_count=sample.count,
    )
    to = ", ".join(map("/".join, recipients))
    return Prepared(
        statement=answer,
        encode=encode_sample_answer,
        texts={OPENINGS: raw},
        notes=(
            f"round {sample.round} drew {sample.count} of {sample.population} units of cluster {sample.cluster}",
            f"interval {sample.interval} depends on the answer, which opens all of them to {to}",
            "send each file that is written to the inspector whose name it has",
        ),
        files=_encrypt(raw, drawn, recipients, ledger=ledger, folder=folder),
    )


def restore_answer(
    vault: Vault, drawn: DrawnSample, *, ledger: PinnedLedger, recipients: Keys, folder: Path
) -> Mapping[Path, bytes]:
    """Encrypt what was handed over once more, for whoever is to have it.

    Raises:
        ConditionError: this lab has not answered the sample (`NOT_FOUND`).
        FormatError: a key that hides nothing.
    """
    answered = _find_answer(vault, ledger, drawn)
    if answered is None:
        expected = "a sample that this lab answered, in the vault"
        raise ConditionError(field="sample", found=drawn.name, expected=expected, code=Code.NOT_FOUND)
    return _encrypt(answered.texts[OPENINGS], drawn, recipients, ledger=ledger, folder=folder)


def _encrypt(raw: bytes, drawn: DrawnSample, keys: Keys, *, ledger: PinnedLedger, folder: Path) -> dict[Path, bytes]:
    boxes = encrypt_to_each(raw, keys, ledger_id=ledger.charter.ledger_id, subject=drawn.name)
    return name_files(folder, drawn.name, {name_recipient(*pair): box for pair, box in boxes.items()})


def list_answers(vault: Vault, ledger: PinnedLedger) -> dict[str, StoredStatement]:
    """Give the lab's answers to samples by the samples' names."""
    statements = vault.read_statements(ledger.charter.fingerprint, SAMPLE_ANSWER)
    return {stored.name.partition("/")[2]: stored for stored in statements}


def _find_answer(vault: Vault, ledger: PinnedLedger, drawn: DrawnSample) -> StoredStatement | None:
    return list_answers(vault, ledger).get(drawn.name)


def _find_inventory(vault: Vault, sample: Sample) -> StoredStatement:
    try:
        stored = vault.read(sample.inventory)
    except ConditionError:
        stored = None
    if isinstance(stored, StoredStatement):
        return stored
    raise ConditionError(
        field="vault.inventory",
        found=f"nothing that opens {sample.inventory}",
        expected="the newest backup restored: without that inventory's salts nothing can be opened, nothing is drawn in"
        f" its place, and interval {sample.interval} of cluster {sample.cluster} stays SAMPLE_UNANSWERED",
        code=Code.NOT_FOUND,
    )


def _open(inventory: StoredStatement, sample: Sample, indices: Sequence[LeafIndex]) -> tuple[OpenedChip, ...]:
    rows = parse_inventory(parse_envelope(inventory.envelope).payload).predicate.rows
    root = next(
        ChipsRoot(bytes.fromhex(row.chips.root), row.chips.count) for row in rows if row.cluster == sample.cluster
    )
    opened = []
    for chip, opening in open_chips(find_opening(inventory, sample.cluster), indices):
        verify_chip(root, chip, opening)
        opened.append(
            OpenedChip(index=opening.index, salt=opening.salt, model=chip.model, serial=chip.serial, path=opening.proof)
        )
    return tuple(opened)


def _read_sealed(path: Path, ledger: PinnedLedger) -> bytes:
    raw = read_bounded(path, bytes_max=RECEIPT_BYTES_MAX)
    entry = read_bounded(path.with_suffix(".entry"), bytes_max=ENTRY_BYTES_MAX)
    return verify_receipt(raw, entry=entry, keys=ledger.keys).entry
