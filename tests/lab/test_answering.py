"""`lab.answering`: what is opened is what the beacon drew, of the inventory it drew from, for inspectors elsewhere."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from lab.answering import (
    DrawnSample,
    choose_recipients,
    collect_sample_openings,
    prepare_answer,
    read_files,
    restore_answer,
)
from lab.collectors.chips import ListedChip
from lab.inventories import prepare_inventory
from lab.parts import OPENINGS
from lab.preparing import Prepared
from lab.stored import StoredStatement, verify_stored
from lab.vault import Vault, open_vault
from ledger.beacons import compute_beacon_message
from ledger.chips import ChipsRoot, verify_chip
from ledger.errors import Code, ConditionError, FormatError, LedgerError, PolicyError, ProofError, RejectedError
from ledger.openings import compute_handed, compute_openings_context, parse_sample_openings
from ledger.positions import BeaconRound, Interval, LeafIndex, Millis, Seconds
from ledger.positions import Sequence as SequenceNumber
from ledger.receipts import encode_receipt
from ledger.rules.records.inspections import Drawn
from ledger.rules.samples import make_sample
from ledger.statements.beacons import Beacon, encode_beacon, encode_sample, parse_sample_answer
from ledger.statements.dsse import parse_envelope, sign_envelope
from ledger.statements.inspections import Inspectors, encode_inspectors
from ledger.statements.intoto import ZERO_HASH
from ledger.statements.inventories import parse_inventory
from ledger.threshold import bls
from ledger.threshold.polynomials import SecretScalar
from tests.lab.vaults import LAB, file, make_ledger, make_settings
from tests.ledger.inspecting import make_inspector
from tests.ledger.rulebook import Key
from tests.ledger.sealing import SmallLedger

LEDGER = make_ledger()
SETTINGS = make_settings(LEDGER, "hall-1", "hall-2")
SECRET = SecretScalar(1)
ROUND, COUNT = 6, 40
SUITE = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.CHACHA20_POLY1305)
PRIVATE = {("brittia", "ada"): X25519PrivateKey.generate(), ("cockaigne", "bo"): X25519PrivateKey.generate()}
KEYS = {pair: key.public_key().public_bytes_raw() for pair, key in PRIVATE.items()}


@pytest.fixture
def vault(tmp_path: Path) -> Iterator[Vault]:
    with open_vault(tmp_path / "vault") as opened:
        yield opened


@pytest.fixture
def inventory(vault: Vault) -> StoredStatement:
    chips = [ListedChip("hall-1", "h100", f"S{number}", "") for number in range(COUNT)]
    prepared = prepare_inventory(vault, chips, ledger=LEDGER, settings=SETTINGS, interval=Interval(1), method="book")
    return file(vault, prepared, LEDGER)


def header(issuer: str, sequence: int = 1) -> dict[str, Any]:
    return {
        "ledger": LEDGER.charter.fingerprint,
        "issuer": issuer,
        "sequence": SequenceNumber(sequence),
        "previous": ZERO_HASH,
        "issued_at": Seconds(0),
        "corrects": None,
    }


def make_beacon(number: int = ROUND) -> bytes:
    signature = bls.sign_share(SECRET, compute_beacon_message(BeaconRound(number)))
    made = Beacon(**header("brittia"), round=BeaconRound(number), signature=signature)
    return sign_envelope(encode_beacon(made), [Key("brittia").signer])


def draw(listed: StoredStatement, /, **changes: Any) -> DrawnSample:
    """What the rules would draw, or with something of it changed."""
    sample = make_sample(
        LEDGER.charter,
        Drawn(bls.sign_share(SECRET, compute_beacon_message(BeaconRound(ROUND))), b"\x07" * 32, LeafIndex(0)),
        beacon_round=BeaconRound(ROUND),
        lab=LAB,
        cluster="hall-1",
        inventory_leaf=bytes.fromhex(listed.leaf),
        population=COUNT,
        time_ms=Millis(1_000_000),
    )
    changed = msgspec.structs.replace(sample, **changes)
    return DrawnSample(encode_sample(changed), changed, make_beacon())


def answer(vault: Vault, drawn: DrawnSample, folder: Path, **changes: Any) -> Prepared:
    given = {"recipients": KEYS, "folder": folder, "now_ms": drawn.sample.answer_by_ms - 1, "lab": LAB, **changes}
    return prepare_answer(vault, drawn, ledger=LEDGER, **given)


def test_all_that_was_drawn_is_opened_under_the_inventory_root_to_each_inspector_alone(
    vault: Vault, inventory: StoredStatement, tmp_path: Path
) -> None:
    drawn = draw(inventory)
    prepared = answer(vault, drawn, tmp_path)
    stored = file(vault, prepared, LEDGER)
    verify_stored(stored)
    said = parse_sample_answer(parse_envelope(stored.envelope).payload).predicate
    (row,) = parse_inventory(parse_envelope(inventory.envelope).payload).predicate.rows
    assert (said.round, said.cluster, said.opened_count) == (ROUND, "hall-1", drawn.sample.count)
    for (nation, inspector), key in PRIVATE.items():
        box = prepared.files[tmp_path / f"hall-1_{ROUND}_spot_{nation}_{inspector}.openings.hpke"]
        context = compute_openings_context(
            ledger_id=LEDGER.charter.ledger_id, challenge=f"hall-1/{ROUND}/spot", nation=nation, inspector=inspector
        )
        raw = SUITE.decrypt(box, key, info=context)
        assert compute_handed(raw) == said.openings
        opened = parse_sample_openings(raw)
        assert [chip.index for chip in opened.chips] == sorted(drawn.sample.indices)
        for chip in opened.chips:
            verify_chip(ChipsRoot(bytes.fromhex(row.chips.root), COUNT), chip.chip(), chip.opening())
            assert chip.serial == f"S{chip.index}"


@pytest.mark.parametrize(
    ("changes", "error", "named"),
    [
        ({"indices": tuple(LeafIndex(index) for index in range(7))}, ProofError, "sample.indices"),
        ({"seed": "00" * 32}, ProofError, "sample.seed"),
        ({"population": 39}, ProofError, "sample.population"),
        ({"block": "08" * 32}, ProofError, "sample.seed"),
        ({"cluster": "hall-2"}, ProofError, "sample.inventory"),
        ({"lab": "lab-b"}, RejectedError, "sample.lab"),
        ({"inventory": "77" * 32}, ConditionError, "vault.inventory"),
    ],
)
def test_a_sample_that_does_not_follow_is_not_answered(  # noqa: PLR0917 - a table
    vault: Vault,
    inventory: StoredStatement,
    tmp_path: Path,
    changes: dict[str, Any],
    error: type[LedgerError],
    named: str,
) -> None:
    with pytest.raises(error) as caught:
        answer(vault, draw(inventory, **changes), tmp_path)
    assert caught.value.field == named


def test_of_a_sample_that_lists_no_positions_the_seed_says_all(vault: Vault, inventory: StoredStatement) -> None:
    drawn = draw(inventory)
    opened = collect_sample_openings(vault, drawn, ledger=LEDGER, lab=LAB)
    assert [chip.index for chip in opened.chips] == sorted(drawn.sample.indices)
    assert len(opened.chips) == drawn.sample.count


def test_salts_that_are_lost_are_said_before_anything_is_signed(tmp_path: Path, inventory: StoredStatement) -> None:
    with open_vault(tmp_path / "empty") as empty, pytest.raises(ConditionError) as caught:
        answer(empty, draw(inventory), tmp_path)
    assert caught.value.code is Code.NOT_FOUND
    assert "SAMPLE_UNANSWERED" in str(caught.value)
    assert "salts" in str(caught.value)


def test_when_the_window_is_over_only_a_person_tries_all_the_same(
    vault: Vault, inventory: StoredStatement, tmp_path: Path
) -> None:
    drawn = draw(inventory)
    over = {"now_ms": drawn.sample.answer_by_ms}
    with pytest.raises(PolicyError) as caught:
        answer(vault, drawn, tmp_path, **over)
    assert caught.value.code is Code.NOT_AWAITED
    assert "SAMPLE_UNANSWERED stays" in str(caught.value)
    assert answer(vault, drawn, tmp_path, **over, is_late=True).statement.issuer == LAB


def test_a_sample_is_answered_once_and_the_same_file_can_be_sent_again(
    vault: Vault, inventory: StoredStatement, tmp_path: Path
) -> None:
    drawn = draw(inventory)
    with pytest.raises(ConditionError):
        restore_answer(vault, drawn, ledger=LEDGER, recipients=KEYS, folder=tmp_path)
    stored = file(vault, answer(vault, drawn, tmp_path), LEDGER)
    with pytest.raises(PolicyError) as caught:
        answer(vault, drawn, tmp_path)
    assert caught.value.code is Code.NOT_AWAITED
    only = {("brittia", "ada"): KEYS["brittia", "ada"]}
    written = restore_answer(vault, drawn, ledger=LEDGER, recipients=only, folder=tmp_path)
    context = compute_openings_context(
        ledger_id=LEDGER.charter.ledger_id, challenge=drawn.name, nation="brittia", inspector="ada"
    )
    (box,) = written.values()
    assert SUITE.decrypt(box, PRIVATE["brittia", "ada"], info=context) == stored.texts[OPENINGS]
    changed = msgspec.structs.replace(stored, texts={OPENINGS: b"{}"})
    with pytest.raises(ProofError):
        verify_stored(changed)


def test_a_key_that_hides_nothing_is_refused(vault: Vault, inventory: StoredStatement, tmp_path: Path) -> None:
    with pytest.raises(FormatError):
        answer(vault, draw(inventory), tmp_path, recipients={("brittia", "ada"): bytes(32)})


def test_it_goes_to_inspectors_of_other_nations_all_of_them_or_those_who_are_named() -> None:
    listed = {("avalon", "al"): b"\x01" * 32, ("brittia", "ada"): b"\x02" * 32, ("brittia", "eve"): b"\x03" * 32}
    nobody: list[tuple[str, str]] = []
    everybody = choose_recipients(listed, named=nobody, given={}, nation="avalon")
    assert list(everybody) == [("brittia", "ada"), ("brittia", "eve")]
    assert list(choose_recipients(listed, named=[("brittia", "eve")], given={}, nation="avalon")) == [
        ("brittia", "eve")
    ]
    told = {("brittia", "ada"): b"\x09" * 32}
    assert choose_recipients(listed, named=nobody, given=told, nation="avalon") == told
    with pytest.raises(PolicyError):
        choose_recipients(listed, named=[("avalon", "al")], given={}, nation="avalon")
    with pytest.raises(ConditionError):
        choose_recipients(listed, named=[("brittia", "bo")], given={}, nation="avalon")
    with pytest.raises(ConditionError):
        choose_recipients({}, named=nobody, given={}, nation="avalon")


# --- from files ------------------------------------------------------------------------------------------------------


def make_list(sequence: int, *, status: Any = "active", nation: str = "brittia") -> bytes:
    made = Inspectors(**header(nation, sequence), inspectors=(make_inspector(nation, "ada", status=status),))
    return sign_envelope(encode_inspectors(made), [Key(nation).signer])


def shelve(folder: Path, **entries: bytes) -> dict[str, Path]:
    """Write what `counterseal observe receipt` writes."""
    small = SmallLedger((LEDGER.charter.entry, *entries.values()), origin=LEDGER.charter.origin, secret=SECRET)
    paths = {}
    for index, (name, entry) in enumerate(entries.items(), start=1):
        paths[name] = folder / f"{name}.tlog-proof"
        paths[name].write_bytes(encode_receipt(small.receipt(index)))
        paths[name].with_suffix(".entry").write_bytes(entry)
    return paths


def test_sample_beacon_and_inspectors_are_read_in_any_order_and_the_newest_list_counts(
    inventory: StoredStatement, tmp_path: Path
) -> None:
    drawn = draw(inventory)
    files = {"sample": drawn.entry, "beacon": drawn.beacon, "old": make_list(1), "new": make_list(2, status="revoked")}
    paths = shelve(tmp_path, **files, other=make_list(1, nation="cockaigne"))
    read = read_files([*paths.values()][::-1], ledger=LEDGER)
    assert read.drawn() == drawn
    assert list(read.inspectors) == [("cockaigne", "ada")]


def test_files_that_are_missing_doubled_changed_or_of_another_kind_are_refused(
    inventory: StoredStatement, tmp_path: Path
) -> None:
    drawn = draw(inventory)
    paths = shelve(
        tmp_path, sample=drawn.entry, beacon=drawn.beacon, again=make_beacon(7), inventory=inventory.envelope
    )
    for names in (["sample"], ["beacon"], [], ["sample", "beacon", "again"]):
        with pytest.raises(ConditionError) as caught:
            read_files([paths[name] for name in names], ledger=LEDGER).drawn()
        assert caught.value.code is Code.CONFIG
    with pytest.raises(FormatError):
        read_files(list(paths.values())[::3], ledger=LEDGER)
    paths["sample"].with_suffix(".entry").write_bytes(drawn.entry + b" ")
    with pytest.raises(LedgerError):
        read_files([paths["sample"], paths["beacon"]], ledger=LEDGER)
