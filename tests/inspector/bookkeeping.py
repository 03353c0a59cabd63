"""Two labs in tests that keep books and train, honestly or not, and hand what they are asked for to an inspector.

Everything is said and kept by the labs' own code, and so is the answer: only lies are put in by hand.
"""

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Final

import msgspec
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from inspector.keys import InspectorKeys
from lab.classification import parse_use_mapping
from lab.collectors.chips import ListedChip
from lab.collectors.slurm import GpuModels, parse_sacct
from lab.inventories import prepare_inventory
from lab.keys import SigningKey
from lab.pinned import PinnedLedger
from lab.preparing import Prepared, hide, sign_prepared
from lab.records import shift_collected
from lab.reporting import Place
from lab.reports import Cluster, build_report, compose_report, compute_terms
from lab.responding import Raised, prepare_response
from lab.settings import ClusterTable, LabTable, LedgerTable, Settings
from lab.showing import NOTHING, Shown
from lab.stored import Stored
from lab.training_runs import Plan, Step, prepare_opening, prepare_step
from lab.transfer_terms import parse_terms_file
from lab.transfers import Side, prepare_denial, prepare_received, prepare_sent
from lab.vault import Vault, open_vault
from ledger.charter import ledger_keys
from ledger.disclosure import parse_disclosure
from ledger.positions import Interval, Millis, Seconds
from ledger.positions import Sequence as SequenceNumber
from ledger.receipts import encode_receipt
from ledger.statements.dsse import parse_envelope, sign_envelope
from ledger.statements.inspections import parse_challenge
from ledger.statements.inventories import HiddenTransfer, Transfer, encode_hidden_transfer
from ledger.statements.runs import RunFields, TrainingRun, encode_run_fields
from ledger.threshold.polynomials import SecretScalar
from tests.inspector.dossiers import EXAMPLES, NATION, counted, make_challenge, make_request, the_charter, the_keys
from tests.ledger.rulebook import START_S
from tests.ledger.sealing import SmallLedger

SENDER, RECEIVER = "aurora-lab", "borealis-lab"
CLUSTERS: Final = {SENDER: "aurora", RECEIVER: "borealis"}
WEIGHTS: Final = "aa" * 32
PLAN: Final = Plan(
    kind="pre-training", base=None, estimate_pflop=10**7, cap_pflop=10**9, code="01" * 32, config="02" * 32
)
STRANGER: Final = X25519PrivateKey.generate().public_key().public_bytes_raw()
Lie = Callable[[Prepared], Prepared]


def honest(prepared: Prepared) -> Prepared:
    return prepared


@cache
def pinned() -> PinnedLedger:
    return PinnedLedger(charter=the_charter(), transcript=b"", keys=ledger_keys(the_charter()))


def chips(first: int, count: int) -> list[ListedChip]:
    return [ListedChip("", "h100", f"GPU-{number:04}", "") for number in range(first, first + count)]


@dataclass
class Lab:
    """A lab with its vault; `entries` is the ledger that all of them share."""

    id: str
    vault: Vault
    entries: list[bytes]
    folder: Path

    @property
    def cluster(self) -> str:
        return CLUSTERS[self.id]

    @property
    def settings(self) -> Settings:
        return Settings(
            lab=LabTable(id=self.id, name=self.id),
            ledger=LedgerTable(fingerprint=the_charter().fingerprint, nodes=("grpc://127.0.0.1:1",)),
            clusters=(ClusterTable(id=self.cluster, facility="Hall", country="AV"),),
        )

    @property
    def key(self) -> SigningKey:
        return SigningKey(self.id.encode().ljust(32, b"-"))

    def place(self) -> Place:
        last = self.vault.find_last(the_charter().fingerprint)
        return (
            Place(SequenceNumber(0), "00" * 32) if last is None else Place(SequenceNumber(last.sequence + 1), last.leaf)
        )

    def file(self, prepared: Prepared) -> Stored:
        stored = sign_prepared(self.vault, prepared, self.place(), key=self.key, now_ms=Millis(0), overrides={})
        return self._seal(stored)

    def _seal(self, stored: Stored) -> Stored:
        self.entries.append(stored.envelope)
        return self.vault.mark_sealed(stored, b"a receipt")

    def count(self, interval: int, *listed: ListedChip) -> Stored:
        return self.file(
            prepare_inventory(
                self.vault,
                [replace(chip, cluster=self.cluster) for chip in listed],
                ledger=pinned(), settings=self.settings, interval=Interval(interval), method="book",
                empty=() if listed else (self.cluster,),
            )
        )  # fmt: skip

    def side(self, transfer: str, interval: int, *, incoming: bool, other: str | None) -> Side:
        return Side(
            transfer=transfer, direction="in" if incoming else "out", counterparty=other, reason="sale",
            interval=Interval(interval), clusters=(self.cluster,), why="",
        )  # fmt: skip

    def send(self, to: "Lab", interval: int, *moved: ListedChip, transfer: str = "t-1", lie: Lie = honest) -> Path:
        """Say what leaves; gives the terms for the other lab."""
        terms = self.folder / f"{self.id}-{transfer}.json"
        prepared = prepare_sent(
            self.vault, self.side(transfer, interval, incoming=False, other=to.id), moved,
            ledger=pinned(), lab=self.id, terms=terms,
        )  # fmt: skip
        terms.write_bytes(prepared.files[terms])
        self.file(lie(prepared))
        return terms

    def receive(self, terms: Path, interval: int, *, lie: Lie = honest) -> Stored:
        file = parse_terms_file(terms.read_bytes())
        shared = file.shared()
        side = self.side(shared.transfer, interval, incoming=True, other=shared.sender)
        return self.file(lie(prepare_received(self.vault, side, file, ledger=pinned(), lab=self.id)))

    def deny(self, transfer: str, interval: int, *, incoming: bool, other: str, why: str = "") -> Stored:
        side = replace(self.side(transfer, interval, incoming=incoming, other=other), why=why)
        return self.file(prepare_denial(self.vault, side, ledger=pinned(), lab=self.id))

    def build(self, interval: int, *made: ListedChip, transfer: str = "built") -> Stored:
        side = replace(self.side(transfer, interval, incoming=True, other=None), reason="build")
        return self.file(prepare_sent(self.vault, side, made, ledger=pinned(), lab=self.id, terms=None))

    def report(self, interval: int) -> Stored:
        """Report what a real scheduler says."""
        raw = (EXAMPLES / "slurm" / "aurora-22.05.json").read_bytes()
        collected = parse_sacct([raw], models=GpuModels({"h100": "h100"}, None))
        collected = shift_collected(collected, START_S + 100 - min(job.start for job in collected.jobs))
        draft = build_report(
            collected,
            terms=compute_terms(the_charter(), Interval(interval)),
            clusters=[Cluster(self.cluster, ("aurora",), {"h100": 16}, None)],
            mapping=parse_use_mapping((EXAMPLES / "mapping.toml").read_bytes()),
            draw_salt=counted(f"{self.id} {interval}"),
            history=self.vault.read_history(the_charter().fingerprint, Interval(interval)),
            promises={"cap": True, "post": True},
        )
        place = self.place()
        payload = compose_report(
            draft,
            ledger=the_charter().fingerprint, lab=self.id, sequence=place.sequence, previous=place.previous,
            issued_at=Seconds(0),
        )  # fmt: skip
        return self._seal(self.vault.add(draft, sign_envelope(payload, [(self.key.public_key, self.key.sign)])))

    def open_run(self, run: str, plan: Plan = PLAN, *, lie: Lie = honest) -> Stored:
        step = Step(run=run, state="started", clusters=[self.cluster], pflop=0)
        return self.file(lie(prepare_opening(self.vault, step, plan, ledger=pinned(), lab=self.id)))

    def step(self, run: str, state: str, *, pflop: int | None = None, lie: Lie = honest) -> Stored:
        step = Step(run=run, state=state, pflop=pflop, checkpoint=WEIGHTS)  # type: ignore[arg-type]  # of tests
        return self.file(lie(prepare_step(self.vault, step, ledger=pinned(), lab=self.id)))

    def answer(
        self,
        keys: InspectorKeys,
        report: Stored,
        *,
        challenge: str,
        shown: Shown = NOTHING,
        fields: Sequence[str] = ("training_pflop",),
    ) -> "Answered":
        """Be challenged on a report, and answer."""
        interval = report.interval
        assert interval is not None
        asked = make_challenge(
            make_request(fields=tuple(fields)), interval=interval,
            challenge=challenge, lab=self.id, cluster=self.cluster,
        )  # fmt: skip
        self.entries.append(asked)
        predicate = parse_challenge(parse_envelope(asked).payload).predicate
        readers = {(NATION, "ada"): keys.public.encryption_key, ("cockaigne", "ada"): STRANGER}
        handed = self.folder / "handed"
        prepared = prepare_response(
            self.vault, Raised(predicate, report.leaf, readers),
            ledger=pinned(), lab=self.id, outcome="provided", folder=handed, shown=shown,
        )  # fmt: skip
        response = self.file(prepared)
        box = next(raw for path, raw in prepared.files.items() if NATION in path.name)
        (self.folder / f"{challenge}.box").write_bytes(box)
        return Answered(challenge, self, asked, report.envelope, response.envelope, self.folder / f"{challenge}.box")


@dataclass
class Answered:
    """A challenge, its response, and what reached the inspector."""

    challenge: str
    lab: Lab
    asked: bytes
    report: bytes
    response: bytes
    box: Path


@dataclass
class World:
    """Two labs, an inspector, one ledger."""

    folder: Path
    keys: InspectorKeys
    sender: Lab
    receiver: Lab
    entries: list[bytes] = field(default_factory=list)

    def write(self, labs: Sequence[Lab] | None = None, *, without: Sequence[bytes] = ()) -> Path:
        """Write receipts as `counterseal observe receipts` does, those of each lab in a folder of its own."""
        ledger = SmallLedger((the_charter().entry, *self.entries), origin=the_charter().origin, secret=SecretScalar(1))
        shutil.rmtree(self.folder / "books", ignore_errors=True)
        for lab in labs or (self.sender, self.receiver):
            folder = self.folder / "books" / lab.id
            folder.mkdir(parents=True)
            for stored in lab.vault.read_all():
                if stored.envelope in self.entries and stored.envelope not in without:
                    self._write(ledger, stored.envelope, folder / f"{stored.sequence:06}.tlog-proof")
        (self.folder / "charter.entry").write_bytes(the_charter().entry)
        return self.folder / "books"

    def receipt(self, name: str, entry: bytes) -> Path:
        ledger = SmallLedger((the_charter().entry, *self.entries), origin=the_charter().origin, secret=SecretScalar(1))
        path = self.folder / f"{name}.tlog-proof"
        self._write(ledger, entry, path)
        return path

    def _write(self, ledger: SmallLedger, entry: bytes, path: Path) -> None:
        index = self.entries.index(entry) + 1
        path.write_bytes(encode_receipt(ledger.receipt(index)))
        path.with_suffix(".entry").write_bytes(entry)


@contextmanager
def open_world(folder: Path) -> Iterator[World]:
    entries: list[bytes] = []
    with ExitStack() as stack:
        labs = [Lab(lab, stack.enter_context(open_vault(folder / lab)), entries, folder) for lab in (SENDER, RECEIVER)]
        yield World(folder, the_keys(folder), labs[0], labs[1], entries)


def miscount(count: int) -> Lie:
    """Let a side commit to another number under its own salts than in the terms that both sign."""

    def lie(prepared: Prepared) -> Prepared:
        assert isinstance(prepared.statement, Transfer)
        assert prepared.statement.shipment is not None
        hidden = hide(encode_hidden_transfer(HiddenTransfer(model="h100", count=count)))
        shipment = msgspec.structs.replace(prepared.statement.shipment, digests=hidden.digests)
        statement = msgspec.structs.replace(prepared.statement, shipment=shipment)
        return replace(prepared, statement=statement, openings=(hidden.opening, *prepared.openings[1:]))

    return lie


def misstate(**changes: int) -> Lie:
    """Let a lab commit to other figures of a run, with the bands that it has."""

    def lie(prepared: Prepared) -> Prepared:
        assert isinstance(prepared.statement, TrainingRun)
        (opening,) = prepared.openings
        values = {name: parse_disclosure(text).value for name, text in opening.disclosures.items()}
        fields = msgspec.convert(values | changes, RunFields)
        hidden = hide(encode_run_fields(fields))
        statement = msgspec.structs.replace(prepared.statement, digests=hidden.digests)
        return replace(prepared, statement=statement, openings=(hidden.opening,))

    return lie
