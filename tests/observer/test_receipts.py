"""`observer.receipts`: every statement of a lab with a receipt, so that a reader of the numbers misses none."""

import json
from pathlib import Path

import pytest

import counterseal
from counterseal import Exit
from ledger.errors import Code, ConditionError
from observer.copy import require_copy
from observer.offline import verify_file
from observer.receipts import find_statements, write_receipts
from observer.subjects import read_issuer
from tests.observer.fakeledger import FakeLedger, copy_of


def test_all_statements_of_a_lab_are_written_and_no_others(ledger: FakeLedger, tmp_path: Path) -> None:
    home, folder = copy_of(ledger, tmp_path / "copy"), tmp_path / "books"
    with require_copy(home) as copy:
        written = write_receipts(copy, "lab-0", folder)
        indices = find_statements(copy, "lab-0")
    said = [read_issuer(entry) for entry in ledger.entries]
    assert indices == [index for index, issuer in enumerate(said) if issuer is not None and issuer[0] == "lab-0"]
    found = [verify_file(path, fingerprint=ledger.fingerprint) for path in written]
    assert [each.receipt.index for each in found] == indices
    numbers = [read_issuer(each.receipt.entry) for each in found]
    assert numbers == [("lab-0", number) for number in range(len(indices))], "from 0 without a gap"
    assert written[0].name == "lab-0-000000-report.tlog-proof"
    assert {path.suffix for path in folder.iterdir()} == {".tlog-proof", ".entry"}


def test_a_party_that_never_spoke_is_not_found(ledger: FakeLedger, tmp_path: Path) -> None:
    with require_copy(copy_of(ledger, tmp_path / "copy")) as copy, pytest.raises(ConditionError) as caught:
        write_receipts(copy, "nobody", tmp_path / "books")
    assert caught.value.code is Code.NOT_FOUND
    assert not (tmp_path / "books").exists()


@pytest.mark.parametrize("entry", [b"", b"{}", b'{"payload":"e30="}', b"\xff" * 64, b'{"_type":1}'])
def test_what_nobody_signed_is_nobodys(entry: bytes) -> None:
    assert read_issuer(entry) is None


def test_the_command_says_how_many_it_wrote(
    ledger: FakeLedger, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home, folder = copy_of(ledger, tmp_path / "copy"), tmp_path / "books"
    words = ["observe", "receipts", "--home", str(home), "--lab", "lab-0", "-o", str(folder)]
    for more in ([], ["--json"]):
        with pytest.raises(SystemExit) as left:
            counterseal.main([*words, *more])
        assert left.value.code == Exit.DONE
        printed = capsys.readouterr().out
        count = len(json.loads(printed)["receipts"]) if more else int(printed.split()[0])
        assert count == len(list(folder.glob("*.tlog-proof")))
