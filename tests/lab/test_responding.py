"""`lab.responding`: what is opened is what was asked, for those who were named, and can be handed over again."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from lab.collectors.chips import ListedChip
from lab.inventories import prepare_inventory
from lab.parts import OPENINGS
from lab.preparing import Prepared
from lab.responding import Raised, collect_openings, prepare_response, restore_files
from lab.stored import StoredReport, StoredStatement, verify_stored
from lab.vault import Vault, open_vault
from ledger.chips import ChipsRoot, verify_chip
from ledger.disclosure import RecordsRoot, check_disclosures, verify_record
from ledger.errors import Code, ConditionError, FormatError, LedgerError, PolicyError, ProofError, RejectedError
from ledger.openings import compute_handed, compute_openings_context, parse_openings
from ledger.positions import Interval, LeafIndex, Seconds
from ledger.positions import Sequence as SequenceNumber
from ledger.statements.dsse import parse_envelope
from ledger.statements.inspections import Challenge, Grounds, Named, Outcome, Request, parse_response
from ledger.statements.inventories import parse_inventory
from ledger.statements.reports import parse_report
from tests.lab.test_vault import draft_of, sign
from tests.lab.vaults import LAB, file, make_ledger, make_settings

LEDGER = make_ledger()
SETTINGS = make_settings(LEDGER, "hall-1")
SUITE = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.CHACHA20_POLY1305)
INSPECTORS = {("brittia", "ada"): X25519PrivateKey.generate(), ("cockaigne", "bo"): X25519PrivateKey.generate()}


@pytest.fixture
def vault(tmp_path: Path) -> Iterator[Vault]:
    with open_vault(tmp_path / "vault") as opened:
        yield opened


@pytest.fixture
def report(vault: Vault) -> StoredReport:
    draft = draft_of(1)
    return vault.add(draft, sign(draft, ledger=LEDGER.charter.fingerprint, lab=LAB))


@pytest.fixture
def inventory(vault: Vault, report: StoredReport) -> StoredStatement:
    assert report.sequence == 0
    chips = [ListedChip("hall-1", "h100", f"S{number}", "") for number in range(7)]
    prepared = prepare_inventory(vault, chips, ledger=LEDGER, settings=SETTINGS, interval=Interval(1), method="book")
    return file(vault, prepared, LEDGER)


def challenge(report: str, request: Request, **changes: Any) -> Raised:
    asked = Challenge(
        ledger=LEDGER.charter.fingerprint, issuer="brittia", sequence=SequenceNumber(0),
        previous="00" * 32, issued_at=Seconds(0), corrects=None,
        challenge="c-1", lab=LAB, cluster="hall-1", interval=Interval(1), request=request,
        grounds=Grounds(None, "a rumour"), inspectors=tuple(Named(*pair) for pair in INSPECTORS),
    )  # fmt: skip
    keys = {pair: key.public_key().public_bytes_raw() for pair, key in INSPECTORS.items()}
    return Raised(msgspec.structs.replace(asked, **changes), report, keys)


def ask(**changes: Any) -> Request:
    nothing = Request(fields=(), records=(), inventory=None, chips=(), recompute=None)
    return msgspec.structs.replace(nothing, **changes)


def answer(vault: Vault, raised: Raised, folder: Path | None, outcome: Outcome = "provided") -> Prepared:
    return prepare_response(vault, raised, ledger=LEDGER, lab=LAB, outcome=outcome, folder=folder)


def test_each_inspector_alone_opens_what_was_asked_and_it_is_what_was_committed_to(
    vault: Vault, report: StoredReport, inventory: StoredStatement, tmp_path: Path
) -> None:
    request = ask(
        fields=("busy_chip_seconds", "energy_wh"), records=(LeafIndex(0), LeafIndex(2)), inventory=inventory.leaf,
        chips=(LeafIndex(1), LeafIndex(6)),
    )  # fmt: skip
    prepared = answer(vault, challenge(report.leaf, request), tmp_path)
    stored = file(vault, prepared, LEDGER)
    verify_stored(stored)
    response = parse_response(parse_envelope(stored.envelope).payload).predicate
    (row,) = parse_report(parse_envelope(report.envelope).payload).predicate.rows
    (listed,) = parse_inventory(parse_envelope(inventory.envelope).payload).predicate.rows
    for line, (pair, key) in zip(response.recipients, INSPECTORS.items(), strict=True):
        box = prepared.files[tmp_path / f"c-1_{pair[0]}_{pair[1]}.openings.hpke"]
        assert (line.nation, line.inspector, line.ciphertext) == (*pair, compute_handed(box))
        context = compute_openings_context(
            ledger_id=LEDGER.charter.ledger_id, challenge="c-1", nation=pair[0], inspector=pair[1]
        )
        raw = SUITE.decrypt(box, key, info=context)
        assert compute_handed(raw) == response.handed
        opened = parse_openings(raw)
        fields = {each.name: each.value for each in check_disclosures(row.digests, opened.disclosures)}
        assert (sorted(fields), fields["busy_chip_seconds"]) == (["busy_chip_seconds", "energy_wh"], 480)
        for record in opened.records:
            root = RecordsRoot(bytes.fromhex(row.records.root), row.records.count)
            verify_record(root, record.record, record.opening())
        for chip in opened.chips:
            verify_chip(ChipsRoot(bytes.fromhex(listed.chips.root), 7), chip.chip(), chip.opening())
        assert [chip.serial for chip in opened.chips] == ["S1", "S6"]
        for other in INSPECTORS.values():
            if other is not key:
                with pytest.raises(InvalidTag):
                    SUITE.decrypt(box, other, info=context)


def test_what_was_handed_over_is_in_the_vault_and_can_be_written_again(
    vault: Vault, report: StoredReport, tmp_path: Path
) -> None:
    prepared = answer(vault, challenge(report.leaf, ask(fields=("energy_wh",))), tmp_path)
    with pytest.raises(ConditionError):
        restore_files(vault, ledger=LEDGER, challenge="c-1", folder=tmp_path)
    stored = file(vault, prepared, LEDGER)
    assert restore_files(vault, ledger=LEDGER, challenge="c-1", folder=tmp_path) == prepared.files
    changed = msgspec.structs.replace(stored, texts={**stored.texts, OPENINGS: b"{}"})
    with pytest.raises(ProofError):
        verify_stored(changed)


@pytest.mark.parametrize("outcome", ["declined", "salts-lost"])
def test_a_lab_that_declines_or_lost_its_salts_hands_over_nothing(
    vault: Vault, report: StoredReport, outcome: Outcome
) -> None:
    prepared = answer(vault, challenge(report.leaf, ask(fields=("energy_wh",))), None, outcome)
    assert (dict(prepared.files), dict(prepared.texts)) == ({}, {})
    verify_stored(file(vault, prepared, LEDGER))


def test_a_challenge_is_answered_once(vault: Vault, report: StoredReport, tmp_path: Path) -> None:
    raised = challenge(report.leaf, ask(fields=("energy_wh",)))
    file(vault, answer(vault, raised, None, "declined"), LEDGER)
    with pytest.raises(PolicyError) as caught:
        answer(vault, raised, tmp_path)
    assert caught.value.code is Code.NOT_AWAITED


@pytest.mark.parametrize(
    ("request_", "changes", "error", "code"),
    [
        (ask(records=(LeafIndex(3),)), {}, ProofError, Code.PROOF),
        (ask(inventory="77" * 32, chips=(LeafIndex(0),)), {}, ConditionError, Code.NOT_FOUND),
        (ask(fields=("energy_wh",)), {"interval": Interval(2)}, ConditionError, Code.NOT_FOUND),
        (ask(fields=("energy_wh",)), {"cluster": "hall-2"}, ConditionError, Code.NOT_FOUND),
        (ask(fields=("energy_wh",)), {"lab": "lab-b"}, RejectedError, Code.WRONG_ISSUER),
    ],
)
def test_what_the_vault_does_not_have_is_said_before_anything_is_signed(  # noqa: PLR0917 - a table
    vault: Vault,
    report: StoredReport,
    tmp_path: Path,
    request_: Request,
    changes: dict[str, Any],
    error: type[LedgerError],
    code: Code,
) -> None:
    with pytest.raises(error) as caught:
        answer(vault, challenge(report.leaf, request_, **changes), tmp_path)
    assert caught.value.code is code


def test_an_inventory_is_not_opened_as_a_report(vault: Vault, inventory: StoredStatement) -> None:
    with pytest.raises(ConditionError):
        collect_openings(vault, challenge(inventory.leaf, ask(fields=("energy_wh",))), ledger=LEDGER)


def test_a_key_that_hides_nothing_is_refused(vault: Vault, report: StoredReport, tmp_path: Path) -> None:
    raised = challenge(report.leaf, ask(fields=("energy_wh",)))
    weak = Raised(raised.challenge, raised.report, {**raised.keys, ("brittia", "ada"): bytes(32)})
    with pytest.raises(FormatError):
        answer(vault, weak, tmp_path)


def test_a_folder_belongs_to_what_is_handed_over_alone(vault: Vault, report: StoredReport, tmp_path: Path) -> None:
    raised = challenge(report.leaf, ask(fields=("energy_wh",)))
    wrong: list[tuple[Outcome, Path | None]] = [("provided", None), ("declined", tmp_path)]
    for outcome, folder in wrong:
        with pytest.raises(ConditionError):
            answer(vault, raised, folder, outcome)
