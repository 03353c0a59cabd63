"""What observers see of a member that was caught: on the board, in an audit, and in a file that somebody sent them."""

import hashlib
import json
import random
from collections.abc import Callable
from pathlib import Path

import pytest

import counterseal
from counterseal import Exit
from ledger.errors import ProofError
from ledger.statements.misconduct import EvidenceFile, encode_evidence_file
from ledger.votes import Misconduct
from observer.audit import audit_home
from tests.ledger.faults import TRUE_EVIDENCE, Member, accuse, make_evidence
from tests.ledger.rulebook import CHARTER_ENTRY, NATIONS, millis
from tests.observer.fakeledger import FakeLedger, copy_of

ACCUSER, ACCUSED = NATIONS[0], NATIONS[1]
draw = random.Random(12).randbytes


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Run a command through the front door; gives exit code, stdout and stderr."""

    def run(*words: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as left:
            counterseal.main([str(word) for word in words])
        printed = capsys.readouterr()
        assert isinstance(left.value.code, int)
        return left.value.code, printed.out, printed.err

    return run


def make_ledger(*, is_true: bool = True) -> FakeLedger:
    """A ledger with one statement of misconduct, which the rules accept, or which a quorum sealed all the same."""
    ledger = FakeLedger()
    ledger.register(-50, "lab-0", ["lab-0-a"])
    liar = Member(ACCUSED if is_true else ACCUSER, ledger_id=ledger.fingerprint)
    evidence = make_evidence(Misconduct.DOUBLE_NOTARIZE, [liar.notarize("a"), liar.notarize("b")])
    entry = accuse(evidence, ledger.nations[ACCUSER], ledger=ledger.fingerprint.hex())
    if is_true:
        ledger.accept(-40, entry)
    else:
        ledger.extend(millis(-40), [entry])
    return ledger


def test_the_board_and_an_audit_show_who_is_faulted_and_since_which_entry(
    tmp_path: Path, command: Callable[..., tuple[int, str, str]]
) -> None:
    home = copy_of(make_ledger(), tmp_path)
    code, out, _ = command("observe", "board", "--home", home, "--json")
    nations = {nation["id"]: nation for nation in json.loads(out)["nations"]}
    assert code == 0
    assert nations[ACCUSED]["is_faulted"]
    assert nations[ACCUSED]["faults"] == [{"misconduct": "DOUBLE_NOTARIZE", "view": 7, "index": 2}]
    assert [nation for nation, line in nations.items() if line["is_faulted"]] == [ACCUSED]

    code, out, _ = command("observe", "board", "--home", home)
    assert (code, "faulted" in out) == (0, True)
    code, out, _ = command("observe", "audit", "--home", home, "--workers", 0)
    assert (code, f"{ACCUSED}: DOUBLE_NOTARIZE (entry 2)" in out) == (0, True)
    code, out, _ = command("observe", "audit", "--home", home, "--workers", 0, "--json")
    assert json.loads(out)["faulted"] == [{"member": ACCUSED, "misconduct": "DOUBLE_NOTARIZE", "index": 2}]


def test_evidence_that_is_none_is_believed_by_nobody_because_a_quorum_sealed_it(
    tmp_path: Path, command: Callable[..., tuple[int, str, str]]
) -> None:
    home = copy_of(make_ledger(is_true=False), tmp_path)
    code, _, err = command("observe", "board", "--home", home)
    assert (code, "evidence.votes[0].signature" in err) == (Exit.REFUTED, True)
    with pytest.raises(ProofError, match=r"blocks\[2\].entries\[0\].statement.predicate.evidence.votes\[0\].signature"):
        audit_home(home, fingerprint=None, draw=draw, workers_count=0)


@pytest.mark.parametrize("misconduct", list(Misconduct))
def test_a_file_explains_itself_in_sentences(
    misconduct: Misconduct, tmp_path: Path, command: Callable[..., tuple[int, str, str]]
) -> None:
    evidence = TRUE_EVIDENCE[misconduct]
    path = tmp_path / "evidence.json"
    path.write_bytes(encode_evidence_file(EvidenceFile(charter=CHARTER_ENTRY, evidence=evidence)))
    code, out, _ = command("verify", path)
    assert code == 0
    assert f"{ACCUSED} ({ACCUSED.title()}) signed what no honest member signs: {misconduct}" in out
    assert "view 7 of epoch 1" in out
    assert "not compared" in out
    for vote in evidence.votes:
        assert vote.digest is None or vote.digest in out
    code, out, _ = command("verify", path, "--json")
    shown = json.loads(out)
    assert (code, shown["member"], shown["misconduct"], shown["view"]) == (0, ACCUSED, misconduct, 7)


def test_the_charter_is_compared_and_a_flipped_byte_names_its_field(
    tmp_path: Path, command: Callable[..., tuple[int, str, str]]
) -> None:
    raw = encode_evidence_file(EvidenceFile(charter=CHARTER_ENTRY, evidence=TRUE_EVIDENCE[Misconduct.DOUBLE_NOTARIZE]))
    path, charter = tmp_path / "evidence.json", tmp_path / "charter.entry"
    path.write_bytes(raw)
    charter.write_bytes(CHARTER_ENTRY)
    fingerprint = hashlib.sha256(CHARTER_ENTRY).hexdigest()
    code, out, _ = command("verify", path, "--charter-fingerprint", fingerprint, "--charter", charter)
    assert (code, "whose fingerprint you gave" in out) == (0, True)
    code, out, err = command("verify", path, "--charter-fingerprint", "00" * 32)
    assert (code, out, "file.charter" in err) == (Exit.REFUTED, "", True)
    charter.write_bytes(FakeLedger().charter_entry)
    assert command("verify", path, "--charter", charter)[0] == Exit.REFUTED
    for old, new, field, expected in (
        (b'"view":7', b'"view":8', "evidence.votes[0].signature", Exit.REFUTED),
        (
            ACCUSED.encode() + b'","misconduct',
            NATIONS[2].encode() + b'","misconduct',
            "evidence.votes[0]",
            Exit.REFUTED,
        ),
        (b'"accused":"', b'"accused":"x', "evidence.accused", Exit.REFUTED),
        (b'"kind":"NOTARIZE"', b'"kind":"FINALIZE"', "evidence.votes.kind", Exit.MALFORMED),
        (b'"view":7', b'"view": 7', "file", Exit.MALFORMED),
    ):
        path.write_bytes(raw.replace(old, new, 1))
        code, out, err = command("verify", path)
        assert (code, out, field in err) == (expected, "", True), err
