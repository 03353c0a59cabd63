"""Formats of what a lab keeps: its records, its vault and its keys."""

import base64
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

from lab import keys
from lab.records import Record, Use, encode_record
from lab.stored import Progress, StoredReport, StoredRow, compute_leaf
from lab.vault import Vault
from ledger.limits import TIME_S_MAX
from tests.formats import entries
from tests.formats.draws import Draw
from tests.formats.members import COST


def record(draw: Draw) -> bytes:
    """What is hashed under a row's records root."""
    return encode_record(
        Record(
            cluster=draw.text(),
            job=draw.identifier(),
            attempt=draw.below(9),
            partition=draw.text(0),
            state=draw.text(),
            start=draw.number(TIME_S_MAX),
            end=draw.number(TIME_S_MAX),
            continued=draw.flag(),
            continues=draw.flag(),
            busy_s=draw.number(TIME_S_MAX),
            gpus={model: draw.between(1, 99) for model in reversed(entries.distinct(draw, 0, 3))},
            nodes=draw.number(2**53),
            cpus=draw.number(2**53),
            use=draw.pick(tuple(Use)),
            run=draw.identifier() if draw.flag() else None,
            utilisation_permille=draw.below(1001),
        )
    )


def vault_file(draw: Draw) -> bytes:
    """A statement as the vault holds it, under its name."""
    kinds: tuple[Literal["report", "correction"], ...] = ("report", "correction")
    envelope = entries.envelope(draw)
    stored = StoredReport(
        progress=draw.pick(tuple(Progress)),
        ledger=draw.hex32(),
        lab=draw.identifier(),
        kind=draw.pick(kinds),
        interval=draw.number(2**32 - 1),
        sequence=draw.number(10**12 - 1),
        leaf=compute_leaf(envelope),
        envelope=envelope,
        rows=draw.some(
            lambda: StoredRow(
                cluster=draw.identifier(),
                disclosures={draw.identifier(): base64.urlsafe_b64encode(draw.raw(9)).decode()},
                records=draw.some(draw.text, 0, 3),
                record_salts=draw.raw(16 * draw.below(4)),
            ),
            0,
            2,
        ),
        findings=draw.some(draw.text, 0, 2),
        notes=draw.some(draw.text, 0, 2),
        overrides={draw.identifier(): draw.text()},
        shift_s=draw.number(10**9),
        receipt=draw.some_raw(0, 50) if draw.flag() else None,
        refusal=draw.text() if draw.flag() else None,
    )
    with TemporaryDirectory() as folder:
        vault = Vault(Path(folder))
        vault._write(stored)
        assert list(vault.read_all()) == [stored]
        (file,) = Path(folder).iterdir()
        return file.name.encode() + b"\n" + file.read_bytes()


def key_file(draw: Draw) -> bytes:
    """A lab's keys before and after a rotation."""
    passphrase = draw.text()
    with TemporaryDirectory() as folder:
        path = Path(folder) / "lab.key"
        keys.create_keys(path, passphrase, randomness=draw.raw, cost=COST)
        before = path.read_bytes()
        keys.rotate_keys(path, passphrase, randomness=draw.raw, cost=COST)
        return before + path.read_bytes()
