"""Notes of an observer: about an entry of its own copy, and such that a registered party can issue them as they are."""

import hashlib
import json
from pathlib import Path

import pytest

import counterseal
from counterseal import Exit
from ledger.errors import Code, FormatError
from ledger.limits import TEXT_CHARACTERS_MAX
from ledger.merkle import leaf_hash
from ledger.positions import LeafIndex
from ledger.statements.notices import OBSERVATION, parse_observation
from ledger.vocabulary import encode_predicate
from observer.copy import Copy, require_copy
from observer.noting import HEADER, make_note
from tests.observer.fakeledger import FakeLedger, copy_of

SAID: dict[str, object] = {
    "about": "lab",
    "name": "acme",
    "category": "evidence",
    "confidence": "moderate",
    "text": "The band is one lower than the interval before.",
}


@pytest.fixture
def copy(ledger: FakeLedger, tmp_path: Path) -> Copy:
    return require_copy(copy_of(ledger, tmp_path / "copy"))


def note_words(home: Path, output: Path, *more: str) -> list[str]:
    options = ["--category", "evidence", "--confidence", "low", "--text", "Look at this."]
    return ["observe", "note", "ledger", "--home", str(home), "-o", str(output), *options, *more]


def test_a_note_names_the_entry_and_a_nation_can_issue_it_as_it_is(copy: Copy) -> None:
    note = make_note(copy, LeafIndex(1), SAID)
    entry = copy.tree.read_entry(LeafIndex(1))
    assert note["digest"] == hashlib.sha256(entry).hexdigest()
    assert note["text"].startswith(f"Entry 1, leaf hash {leaf_hash(entry).hex()}: The band")
    header: dict[str, object] = {"ledger": "00" * 32, "issuer": "avalon", "sequence": 0, "previous": "00" * 32}
    header |= {"issued_at": 0, "corrects": None}
    assert sorted(header) == sorted(HEADER)
    assert parse_observation(encode_predicate(OBSERVATION, header | note)).predicate.name == "acme"


@pytest.mark.parametrize(
    "change",
    [
        {"about": "weather"},
        {"about": "ledger"},
        {"name": None},
        {"category": "gossip"},
        {"confidence": "certain"},
        {"text": "two\nlines"},
        {"text": "x" * TEXT_CHARACTERS_MAX},
    ],
)
def test_a_note_that_nobody_could_issue_is_refused(change: dict[str, object], copy: Copy) -> None:
    with pytest.raises(FormatError):
        make_note(copy, LeafIndex(1), SAID | change)


def test_the_command_writes_the_note_and_the_entry_beside_it(
    copy: Copy, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "note.json"
    with pytest.raises(SystemExit) as left:
        counterseal.main(note_words(copy.path.parent, output, "--index", "1"))
    assert left.value.code == Exit.DONE, capsys.readouterr().err
    note = json.loads(output.read_text())
    assert (note["about"], note["name"]) == ("ledger", None)
    assert hashlib.sha256(output.with_suffix(".entry").read_bytes()).hexdigest() == note["digest"]


def test_an_entry_that_the_copy_does_not_have_is_named(
    copy: Copy, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as left:
        counterseal.main(note_words(copy.path.parent, tmp_path / "note.json", "--index", "1000000"))
    assert left.value.code == Exit.UNAVAILABLE
    assert Code.NOT_FOUND in capsys.readouterr().err
