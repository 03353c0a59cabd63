"""A dossier in tests: a lab that reports from a real scheduler's export, a nation that asks, entries with receipts.

The ledger is as small as can be: a charter whose group key the tests hold, and one sealed checkpoint over all entries.
"""

import hashlib
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any, Final

import msgspec
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from inspector.entries import Ledger, Sealed
from inspector.keys import InspectorKeys, create_keys
from inspector.openings import Case
from lab.classification import parse_use_mapping
from lab.collectors.slurm import GpuModels, parse_sacct
from lab.records import shift_collected
from lab.reports import Cluster, Draft, DraftRow, build_report, compose_report, compute_terms
from lab.vault import open_vault
from ledger.beacons import compute_beacon_message
from ledger.charter import Accelerator, Charter, ledger_keys, parse_charter
from ledger.chips import Chip, ChipsTree
from ledger.disclosure import RecordsTree, commit_fields
from ledger.domains import OPENINGS_FORMAT
from ledger.openings import (
    OpenedChip,
    OpenedRecord,
    Openings,
    compute_handed,
    compute_openings_context,
)
from ledger.positions import BeaconRound, Interval, LeafIndex, Millis, Seconds
from ledger.positions import Sequence as SequenceNumber
from ledger.receipts import encode_receipt, verify_receipt
from ledger.rules.records.inspections import Drawn
from ledger.rules.samples import make_sample
from ledger.sealedfile import Cost
from ledger.statements.beacons import Beacon, encode_beacon, encode_sample
from ledger.statements.dsse import parse_envelope, sign_envelope
from ledger.statements.inspections import (
    Challenge,
    Grounds,
    Handed,
    Named,
    Request,
    Response,
    encode_challenge,
    encode_response,
    parse_challenge,
    parse_response,
)
from ledger.statements.intoto import ZERO_HASH, parse_quantity
from ledger.statements.inventories import Chips, Inventory, InventoryRow, encode_inventory, parse_inventory
from ledger.statements.registry import Capacity, LabKey, Registration, encode_registration, parse_registration
from ledger.statements.registry import Cluster as RegisteredCluster
from ledger.statements.reports import (
    HIDDEN_FIELD_NAMES,
    HiddenFields,
    compute_band,
    encode_hidden_fields,
    parse_report,
)
from ledger.threshold import bls
from ledger.threshold.polynomials import SecretScalar
from tests.ledger.rulebook import AGREEMENT, NATIONS, START_S, Key, make_charter_entry
from tests.ledger.sealing import SmallLedger

EXAMPLES: Final = Path(__file__).resolve().parents[2] / "examples"
LAB, CLUSTER, NATION, INSPECTOR = "aurora-lab", "aurora", "brittia", "ada"
H100: Final = Accelerator(model="h100", peak_gflops=989_400, tdp_w=700, idle_w=70)
CHIP_COUNT: Final = 16
ALL_FIELDS: Final = tuple(sorted(HIDDEN_FIELD_NAMES))
CHEAP: Final = Cost(memory_kib=32, passes=1, lanes=4)
PASSPHRASE: Final = "a passphrase"
SECRET: Final = SecretScalar(1)
"""Of the group: its key in the charter of the tests is the generator."""

CHIPS: Final = tuple(Chip("h100", f"GPU-{number:04}") for number in range(CHIP_COUNT))
Change = Callable[[HiddenFields], HiddenFields]
_SUITE: Final = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.CHACHA20_POLY1305)


@cache
def the_charter() -> Charter:
    return parse_charter(make_charter_entry(agreement=AGREEMENT, accelerators=(H100,)))


@cache
def the_keys(folder: Path) -> InspectorKeys:
    return create_keys(
        folder / "home" / "inspector.keys",
        PASSPHRASE,
        nation=NATION,
        inspector=INSPECTOR,
        name="Ada",
        cost=CHEAP,
    )


def header(issuer: str) -> dict[str, Any]:
    """Of no chain: whoever reads a receipt believes the rules for that."""
    return {
        "ledger": the_charter().fingerprint,
        "issuer": issuer,
        "sequence": SequenceNumber(1),
        "previous": ZERO_HASH,
        "issued_at": Seconds(0),
        "corrects": None,
    }


def counted(tag: str) -> Callable[[int], bytes]:
    """Salts that differ, the same in every run."""
    numbers = itertools.count()
    return lambda size: hashlib.shake_128(f"{tag} {next(numbers)}".encode()).digest(size)


def recommit(draft: Draft, change: Change, *, salts: str) -> Draft:
    """Let the lab lie: other hidden fields, committed to as if they were true, over the same records."""
    (line,) = draft.rows
    hidden, draw = change(line.hidden), counted(salts)
    values = encode_hidden_fields(hidden)
    committed = commit_fields(values, salts=[draw(16) for _ in values], decoys=[draw(16) for _ in range(3)])
    band = compute_band(parse_quantity(hidden.training_pflop, field="hidden"))
    row = msgspec.structs.replace(line.row, digests=committed.digests, band=band)
    return replace(draft, rows=(replace(line, row=row, hidden=hidden, disclosures=dict(committed.disclosures)),))


@dataclass(frozen=True)
class Reported:
    """A report as the lab keeps it."""

    entry: bytes
    row: DraftRow
    interval: Interval


def make_reports(folder: Path, *, change: Change | None = None, intervals: Sequence[int] = (1, 2)) -> list[Reported]:
    """Report the export of a real Slurm in consecutive intervals; `change` lies in the last of them."""
    raw = (EXAMPLES / "slurm" / "aurora-22.05.json").read_bytes()
    collected = parse_sacct([raw], models=GpuModels({"h100": "h100"}, None))
    first = min(job.start for job in collected.jobs)
    collected = shift_collected(collected, START_S + 100 - first)
    mapping, made = parse_use_mapping((EXAMPLES / "mapping.toml").read_bytes()), []
    with open_vault(folder / "vault") as vault:
        for number, interval in enumerate(intervals):
            draft = build_report(
                collected,
                terms=compute_terms(the_charter(), Interval(interval)),
                clusters=[Cluster(CLUSTER, ("aurora",), {"h100": CHIP_COUNT}, {"h100": CHIP_COUNT})],
                mapping=mapping,
                draw_salt=counted(f"report {interval}"),
                history=vault.read_history(the_charter().fingerprint, Interval(interval)),
                promises={"cap": True, "post": True},
            )
            if change is not None and interval == intervals[-1]:
                draft = recommit(draft, change, salts="lie")
            payload = compose_report(
                draft,
                ledger=the_charter().fingerprint,
                lab=LAB,
                sequence=SequenceNumber(number + 1),
                previous=ZERO_HASH,
                issued_at=Seconds(0),
            )
            entry = sign_envelope(payload, [Key(LAB).signer])
            vault.add(draft, entry)
            made.append(Reported(entry, draft.rows[0], Interval(interval)))
    return made


def make_registration(*, capacity: int = CHIP_COUNT, lab: str = LAB) -> bytes:
    registered = Registration(
        **header(NATIONS[0]),
        lab=lab,
        name="Aurora",
        keys=(LabKey(Key(lab).public, "active"),),
        next_key_sha256="00" * 32,
        clusters=(RegisteredCluster(CLUSTER, "Hall 1", "AV", (Capacity("h100", capacity),)),),
    )
    return sign_envelope(encode_registration(registered), [Key(NATIONS[0]).signer, Key(lab).signer])


def chips_tree(chips: Sequence[Chip] = CHIPS) -> ChipsTree:
    draw = counted("chips")
    return ChipsTree(chips, [draw(32) for _ in chips])


def make_inventory(chips: Sequence[Chip] = CHIPS) -> bytes:
    root = chips_tree(chips).root()
    row = InventoryRow(cluster=CLUSTER, digests=(), chips=Chips(root.root.hex(), root.count), method="physical")
    inventory = Inventory(**header(LAB), interval=Interval(1), rows=(row,))
    return sign_envelope(encode_inventory(inventory), [Key(LAB).signer])


def make_request(**changes: Any) -> Request:
    nothing = Request(fields=(), records=(), inventory=None, chips=(), recompute=None)
    return msgspec.structs.replace(nothing, **changes)


def make_challenge(request: Request, *, interval: int = 2, **changes: Any) -> bytes:
    made = Challenge(
        **header(NATION),
        challenge="c-1",
        lab=LAB,
        cluster=CLUSTER,
        interval=Interval(interval),
        request=request,
        grounds=Grounds(None, "a rumour"),
        inspectors=(Named(NATION, INSPECTOR), Named("cockaigne", INSPECTOR)),
    )
    return sign_envelope(encode_challenge(msgspec.structs.replace(made, **changes)), [Key(NATION).signer])


def open_records(row: DraftRow, indices: Sequence[int]) -> tuple[OpenedRecord, ...]:
    tree = RecordsTree(row.records, row.record_salts)
    made = []
    for index in indices:
        opening = tree.open_record(LeafIndex(index))
        made.append(OpenedRecord(index=opening.index, salt=opening.salt, record=row.records[index], path=opening.proof))
    return tuple(made)


def open_chips(indices: Sequence[int], chips: Sequence[Chip] = CHIPS) -> tuple[OpenedChip, ...]:
    tree = chips_tree(chips)
    made = []
    for index in indices:
        opening = tree.open_chip(LeafIndex(index))
        chip = chips[index]
        made.append(
            OpenedChip(index=opening.index, salt=opening.salt, model=chip.model, serial=chip.serial, path=opening.proof)
        )
    return tuple(made)


def leaf_of(entry: bytes) -> str:
    return hashlib.sha256(b"\x00" + entry).hexdigest()


def answer(request: Request, reported: Reported, *, inventory: bytes | None = None) -> Openings:
    """What an honest lab hands over."""
    opens_row = bool(request.fields or request.records)
    return Openings(
        format=OPENINGS_FORMAT,
        ledger=the_charter().fingerprint,
        challenge="c-1",
        lab=LAB,
        cluster=CLUSTER,
        interval=reported.interval,
        report=leaf_of(reported.entry) if opens_row else None,
        inventory=leaf_of(inventory) if inventory and request.chips else None,
        disclosures=tuple(reported.row.disclosures[name] for name in request.fields),
        records=open_records(reported.row, request.records),
        chips=open_chips(request.chips) if request.chips else (),
    )


def encrypt(plain: bytes, keys: InspectorKeys, **changes: Any) -> bytes:
    """As a lab does it, or with something of the context changed."""
    context = {"challenge": "c-1", "nation": NATION, "inspector": INSPECTOR, **changes}
    info = compute_openings_context(ledger_id=the_charter().ledger_id, **context)
    return _SUITE.encrypt(plain, X25519PublicKey.from_public_bytes(keys.public.encryption_key), info=info)


def make_response(plain: bytes, box: bytes, **changes: Any) -> bytes:
    made = Response(
        **header(LAB),
        challenge="c-1",
        outcome="provided",
        handed=compute_handed(plain),
        recipients=(Handed(nation=NATION, inspector=INSPECTOR, ciphertext=hashlib.sha256(box).hexdigest()),),
    )
    return sign_envelope(encode_response(msgspec.structs.replace(made, **changes)), [Key(LAB).signer])


def make_beacon(number: int) -> bytes:
    made = Beacon(
        **header(NATION),
        round=BeaconRound(number),
        signature=bls.sign_share(SECRET, compute_beacon_message(BeaconRound(number))),
    )
    return sign_envelope(encode_beacon(made), [Key(NATION).signer])


def draw_sample(inventory: bytes, number: int, **changes: Any) -> bytes:
    """The sample that the rules would make."""
    signature = bls.sign_share(SECRET, compute_beacon_message(BeaconRound(number)))
    sample = make_sample(
        the_charter(),
        Drawn(signature, b"\x07" * 32, LeafIndex(0)),
        beacon_round=BeaconRound(number),
        lab=LAB,
        cluster=CLUSTER,
        inventory_leaf=bytes.fromhex(leaf_of(inventory)),
        population=CHIP_COUNT,
        time_ms=Millis((START_S + 200) * 1000),
    )
    return encode_sample(msgspec.structs.replace(sample, **changes))


@dataclass
class Shelf:
    """Entries of one ledger, as files with receipts."""

    folder: Path
    entries: dict[str, bytes] = field(default_factory=dict)

    def put(self, **entries: bytes | None) -> "Shelf":
        self.entries |= {name: entry for name, entry in entries.items() if entry is not None}
        return self

    @property
    def ledger(self) -> Ledger:
        return Ledger(the_charter(), is_pinned=True)

    @property
    def _small(self) -> SmallLedger:
        listed = (the_charter().entry, *self.entries.values())
        return SmallLedger(listed, origin=the_charter().origin, secret=SECRET)

    def seal(self, name: str, predicate: Any) -> Sealed[Any]:
        index = list(self.entries).index(name) + 1
        receipt = self._small.receipt(index)
        return Sealed(predicate, verify_receipt(receipt, entry=self.entries[name], keys=ledger_keys(the_charter())))

    def write(self) -> "Shelf":
        """Write what `counterseal observe receipt` writes."""
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "charter.entry").write_bytes(the_charter().entry)
        small = self._small
        for index, (name, entry) in enumerate(self.entries.items(), start=1):
            (self.folder / f"{name}.entry").write_bytes(entry)
            self.path(name).write_bytes(encode_receipt(small.receipt(index)))
        return self

    def path(self, name: str) -> Path:
        return self.folder / f"{name}.tlog-proof"


@dataclass
class Dossier:
    """One challenge from the question to what was handed over.

    Attributes:
        shelf: the entries.
        keys: of the inspector.
        request: what was asked.
        openings: as they were handed over.
        plain: their bytes, or whatever the lab sent in their place.
        box: the same, encrypted.
    """

    shelf: Shelf
    keys: InspectorKeys
    request: Request
    openings: Openings
    plain: bytes
    box: bytes

    def case(self, *, with_registration: bool = True) -> Case:
        entries = self.shelf.entries
        registration = parse_registration(parse_envelope(entries["registration"]).payload).predicate
        inventory = parse_inventory(parse_envelope(entries["inventory"]).payload).predicate
        return Case(
            ledger=self.shelf.ledger,
            challenge=self.shelf.seal(
                "challenge", parse_challenge(parse_envelope(entries["challenge"]).payload).predicate
            ),
            response=self.shelf.seal("response", parse_response(parse_envelope(entries["response"]).payload).predicate),
            report=self.shelf.seal("report", parse_report(parse_envelope(entries["report"]).payload).predicate),
            inventory=self.shelf.seal("inventory", inventory) if self.request.chips else None,
            registration=self.shelf.seal("registration", registration) if with_registration else None,
        )


def open_dossier(
    folder: Path,
    *,
    change: Change | None = None,
    fields: Sequence[str] = ALL_FIELDS,
    records: Sequence[int] | None = None,
    chips: Sequence[int] = (),
    mutate: Callable[[Openings], Openings] = lambda openings: openings,
    spoil: Callable[[bytes], bytes] = lambda plain: plain,
    intervals: Sequence[int] = (1, 2),
    capacity: int = CHIP_COUNT,
) -> Dossier:
    """Report, ask, and hand over; records: positions that are asked for, all of them by default."""
    keys = the_keys(folder)
    reported = make_reports(folder, change=change, intervals=intervals)[-1]
    inventory = make_inventory()
    wanted = range(len(reported.row.records)) if records is None else records
    request = make_request(
        fields=tuple(fields),
        records=tuple(LeafIndex(index) for index in wanted),
        inventory=leaf_of(inventory) if chips else None,
        chips=tuple(LeafIndex(index) for index in chips),
    )
    openings = mutate(answer(request, reported, inventory=inventory))
    plain = spoil(msgspec.json.encode(openings))
    box = encrypt(plain, keys)
    shelf = Shelf(folder / "shelf").put(
        registration=make_registration(capacity=capacity),
        inventory=inventory,
        report=reported.entry,
        challenge=make_challenge(request, interval=intervals[-1]),
        response=make_response(plain, box),
    )
    return Dossier(shelf, keys, request, openings, plain, box)
