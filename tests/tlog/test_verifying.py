"""Checking a published ledger from end to end: whatever is changed, left out or put in is named, and nothing else."""

import random
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from obstore.store import MemoryStore

from ledger.blocks import SealedHeader, encode_header, encode_header_bundle
from ledger.checkpoints import parse_checkpoint, sign_cosignature_ed25519
from ledger.domains import NOTE_COSIGNATURE_ED25519
from ledger.errors import Code, ConditionError, LedgerError, PolicyError
from ledger.merkle import leaf_hash
from ledger.notes import compute_verifier_key, encode_note, parse_note
from ledger.positions import Millis, Seconds, TreeSize
from ledger.tiles import EMPTY_EDGE, bundle_path, encode_bundle, tile_path
from tests.ledger.rulebook import Key
from tests.node.ledger_in_memory import files_in
from tests.tlog.sealed_ledger import SealedLedger, publish_folder
from tlog import faults, verifying
from tlog import publisher as publishing
from tlog.faults import Problem
from tlog.objects import ObjectFiles
from tlog.opening import open_reader
from tlog.places import Kind, Place
from tlog.reading import FolderFiles
from tlog.verifying import Verification, verify_files

HEIGHTS = (64, 112, 160, 288, 300)  # partial ones stay beside full ones; the last has 601 entries, 301 headers


@pytest.fixture(scope="module", autouse=True)
def few_schemas() -> Iterator[None]:
    """Making the schemas of thirty kinds takes longer than all the rest."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (publishing, verifying):
            patch.setattr(module, "PREDICATES", ["report", "charter"])
        yield


@pytest.fixture(scope="module")
def ledger() -> SealedLedger:
    return SealedLedger()


@pytest.fixture(scope="module")
def published(ledger: SealedLedger, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Read by tests, changed by none."""
    return publish_folder(ledger, tmp_path_factory.mktemp("published"), *HEIGHTS)


@pytest.fixture
def folder(published: Path, tmp_path: Path) -> Path:
    """A copy that a test may damage."""
    return Path(shutil.copytree(published, tmp_path / "folder"))


def verify(ledger: SealedLedger, folder: Path, **more: object) -> Verification:
    opener = partial(open_reader, Place(Kind.FOLDER, str(folder), folder))
    return verify_files(opener, ledger.charter, **more)  # type: ignore[arg-type]


def faults_of(found: Verification) -> dict[str, Problem]:
    assert found.faults_count == len(found.faults)
    return {fault.path: fault.problem for fault in found.faults}


def test_a_whole_folder_is_whole(ledger: SealedLedger, published: Path) -> None:
    told: list[tuple[int, int]] = []
    found = verify(ledger, published, report=lambda done, total: told.append((done, total)))
    files = files_in(published)
    assert faults_of(found) == {}
    assert (found.entries_count, found.files_count) == (601, len(files))
    assert (found.ahead_count, found.is_listed) == (0, True)
    assert told[0] == (0, 5)
    assert told[-1] == (5, 5)
    assert {"tile/0/000.p/129", "tile/1/000.p/1", "tile/1/000.p/2", "headers/000.p/65", "archive/1"} <= set(files)


def flip(raw: bytes, draw: random.Random) -> bytes:
    """One bit, anywhere; but in the name of the software, which nobody vouches for."""
    start = raw.find(b'"software": "')
    free = range(start + 13, raw.index(b'"', start + 13)) if start >= 0 else range(0)
    at = draw.choice([place for place in range(len(raw)) if place not in free])
    return raw[:at] + bytes([raw[at] ^ 1 << draw.randrange(8)]) + raw[at + 1 :]


def test_one_flipped_bit_in_any_file_is_found_and_that_file_alone_is_named(ledger: SealedLedger, folder: Path) -> None:
    draw = random.Random(7)
    for path, raw in files_in(folder).items():
        (folder / path).write_bytes(flip(raw, draw))
        try:
            wrong = faults_of(verify(ledger, folder))
        except LedgerError:
            assert path == "checkpoint", path
        else:
            vouched = {each: problem for each, problem in wrong.items() if problem is not Problem.UNCHECKED}
            assert vouched == {path: Problem.WRONG}, path
            assert path in {"transcript", "headers/000", "headers/001.p/45"} or wrong == vouched
        (folder / path).write_bytes(raw)
    assert faults_of(verify(ledger, folder)) == {}


PARTIAL = ("tile/0/000", "tile/0/001", "tile/entries/000", "tile/entries/001", "headers/000", "tile/1/000")
EARLIER = {"tile/0/002.p/65", "tile/entries/002.p/65", "headers/001.p/33"}


def test_every_file_that_is_gone_is_named_unless_it_may_go(ledger: SealedLedger, folder: Path) -> None:
    may_go = ("archive/", *(f"{each}.p/" for each in PARTIAL))
    gone = []
    for path, raw in files_in(folder).items():
        (folder / path).unlink()
        if path == "checkpoint":
            with pytest.raises(ConditionError, match="NOT_FOUND"):
                verify(ledger, folder)
        else:
            wrong = faults_of(verify(ledger, folder))
            is_earlier = (path.startswith(may_go) and path != "tile/1/000.p/2") or path in EARLIER
            vouched = {each: problem for each, problem in wrong.items() if problem is not Problem.UNCHECKED}
            assert vouched == ({} if is_earlier else {path: Problem.MISSING}), path
            gone.append(path)
        (folder / path).write_bytes(raw)
    assert {"tile/0/000", "tile/1/000.p/2", "tile/0/002.p/89", "tile/entries/002.p/89", "headers/000"} <= set(gone)


def test_a_partial_one_that_is_gone_is_right_if_the_full_one_is_there(
    ledger: SealedLedger, tmp_path: Path, published: Path
) -> None:
    """The folder is ahead of its checkpoint, as one is that a publisher is at work on."""
    publish_folder(ledger, tmp_path, 112)
    whole = files_in(published)
    for path in ("tile/0/000", "tile/entries/000", "headers/000", "tile/1/000.p/2"):
        (tmp_path / path).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / path).write_bytes(whole[path])
    for path in ("tile/0/000.p/225", "tile/entries/000.p/225", "headers/000.p/113"):
        (tmp_path / path).unlink()
    found = verify(ledger, tmp_path)
    assert (faults_of(found), found.ahead_count, found.entries_count) == ({}, 4, 225)


@pytest.mark.parametrize(
    "path", ["robots.txt", "tile/0/003.txt", "tile/0/000.p/0", "tile/entries/1", "schema/x.json", "Charter"]
)
def test_a_file_with_a_name_of_nothing_is_extra(ledger: SealedLedger, folder: Path, path: str) -> None:
    (folder / path).parent.mkdir(exist_ok=True, parents=True)
    (folder / path).write_bytes(b"x")
    assert faults_of(verify(ledger, folder)) == {path: Problem.EXTRA}


def test_what_a_writer_has_not_finished_is_passed_over(ledger: SealedLedger, folder: Path) -> None:
    (folder / ".incoming/7").write_bytes(b"half")
    assert faults_of(verify(ledger, folder)) == {}


def test_files_of_a_later_checkpoint_are_ahead_and_not_wrong(ledger: SealedLedger, folder: Path) -> None:
    shutil.copytree(folder, folder.parent / "later")
    publish_folder(ledger, folder.parent / "earlier", 64)
    (folder / "checkpoint").write_bytes((folder.parent / "earlier/checkpoint").read_bytes())
    found = verify(ledger, folder)
    assert faults_of(found) == {}
    assert (found.checkpoint.checkpoint.size, found.entries_count) == (129, 129)
    assert found.ahead_count > 10


# --- wrong in the same way everywhere: nothing but the root can tell -------------------------------------------------


def forge(folder: Path, entries: list[bytes], size: TreeSize) -> None:
    """Tiles and bundles that agree with each other up to their own root."""
    _, tiles = EMPTY_EDGE.extend(leaf_hash(entry) for entry in entries[:size])
    for tile, raw in tiles.items():
        (folder / tile_path(tile)).write_bytes(raw)
        if tile.level == 0:
            start = tile.index * 256
            bundle = encode_bundle(entries[start : start + tile.width])
            (folder / bundle_path(tile.index, tile.width)).write_bytes(bundle)


@pytest.mark.parametrize("index", [0, 300, 600])
def test_another_entry_with_tiles_to_match_is_found(ledger: SealedLedger, folder: Path, index: int) -> None:
    entries = list(ledger.entries)
    entries[index] = b"forged"
    forge(folder, entries, TreeSize(601))
    wrong = faults_of(verify(ledger, folder))
    width = 256 if index < 512 else 89
    assert wrong[bundle_path(index // 256, width)] in {Problem.WRONG, Problem.UNCHECKED}
    assert "tile/1/000.p/2" in wrong or index == 600


def test_one_wrong_tile_above_does_not_hide_what_is_below(ledger: SealedLedger, folder: Path) -> None:
    upper, below = folder / "tile/1/000.p/2", folder / "tile/entries/000"
    upper.write_bytes(bytes(64))
    below.write_bytes(encode_bundle([b"forged", *ledger.entries[1:256]]))
    assert faults_of(verify(ledger, folder)) == {"tile/1/000.p/2": Problem.WRONG, "tile/entries/000": Problem.WRONG}


def test_headers_that_a_quorum_did_not_seal_are_found(ledger: SealedLedger, folder: Path) -> None:
    other = SealedLedger(300, seed=1)
    (folder / "headers/001.p/45").write_bytes(encode_header_bundle(other.chain[256:301]))
    assert faults_of(verify(ledger, folder))["headers/001.p/45"] is Problem.WRONG


def test_a_tail_of_headers_without_a_seal_is_held_against_the_next_bundle(ledger: SealedLedger, folder: Path) -> None:
    """The last header of the first bundle has no seal of its own: only what follows vouches for it."""
    bundle = list(ledger.chain[:256])
    assert bundle[-1].seal == b""
    last = bundle[-1].header
    names = ("ledger_id", "epoch", "view", "height", "parent", "proposer", "first_index", "tree_size", "root")
    copied = {name: getattr(last, name) for name in (*names, "entries_digest", "state_digest")}
    bundle[-1] = SealedHeader(encode_header(**copied, time_ms=Millis(last.time_ms + 1)), b"")
    (folder / "headers/000").write_bytes(encode_header_bundle(bundle))
    wrong = faults_of(verify(ledger, folder))
    assert {path for path, problem in wrong.items() if problem is Problem.WRONG} == {"headers/000"}


# --- whom to believe -------------------------------------------------------------------------------------------------


def test_another_ledger_is_not_believed(ledger: SealedLedger, tmp_path: Path) -> None:
    other = SealedLedger(3, seed=5)
    publish_folder(other, tmp_path, 3)
    with pytest.raises(LedgerError):
        verify(ledger, tmp_path)


def test_a_line_by_nobody_that_is_known_is_refused_and_a_witness_is_known_by_its_key(
    ledger: SealedLedger, folder: Path
) -> None:
    note = parse_note((folder / "checkpoint").read_bytes())
    key = compute_verifier_key("witness.example", NOTE_COSIGNATURE_ED25519, Key("witness").public)
    line = sign_cosignature_ed25519(parse_checkpoint(note.text), key=key, time_s=Seconds(1), sign=Key("witness").sign)
    (folder / "checkpoint").write_bytes(encode_note(type(note)(note.text, (*note.signatures, line))))
    with pytest.raises(PolicyError, match=r"witness\.example"):
        verify(ledger, folder)
    assert faults_of(verify(ledger, folder, witnesses=[key])) == {}
    wrong = type(line)(line.name, line.key_id, line.signature[:-1] + bytes([line.signature[-1] ^ 1]))
    (folder / "checkpoint").write_bytes(encode_note(type(note)(note.text, (*note.signatures, wrong))))
    with pytest.raises(LedgerError, match=r"witness\.example"):
        verify(ledger, folder, witnesses=[key])


# --- where it is read from -------------------------------------------------------------------------------------------


def test_other_processes_find_the_same(ledger: SealedLedger, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verifying, "IN_OTHERS_MIN", 0)
    (folder / "tile/entries/001").write_bytes(b"\0")
    (folder / "headers/000.p/65").write_bytes(b"\0")
    alone, together = verify(ledger, folder), verify(ledger, folder, workers_count=2)
    assert together == alone
    assert set(faults_of(alone)) == {"tile/entries/001", "headers/000.p/65"}


class Failing(FolderFiles):
    """A folder of which some files cannot be read."""

    def __init__(self, folder: Path, unreadable: Callable[[str], bool]) -> None:
        super().__init__(folder)
        self._unreadable = unreadable

    def read(self, path: str, *, size_max: int) -> bytes | None:
        if self._unreadable(path):
            raise ConditionError(field=path, found="a bad block", expected="a file", code=Code.UNREACHABLE)
        return super().read(path, size_max=size_max)


def test_a_file_that_cannot_be_read_is_named_and_the_rest_is_looked_at(ledger: SealedLedger, published: Path) -> None:
    found = verify_files(lambda: Failing(published, lambda path: path == "tile/entries/001"), ledger.charter)
    assert faults_of(found) == {"tile/entries/001": Problem.UNREADABLE}


def test_a_place_that_fails_altogether_is_given_up(
    ledger: SealedLedger, published: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(faults, "UNREADABLE_MAX", 4)
    asked: list[str] = []

    def fail(path: str) -> bool:
        asked.append(path)
        return path not in {"charter", "transcript", "checkpoint"}

    with pytest.raises(ConditionError, match="bad block") as refused:
        verify_files(lambda: Failing(published, fail), ledger.charter, is_remote=True)
    assert refused.value.code is Code.UNREACHABLE
    assert len(asked) < len(files_in(published)) / 2


def test_a_file_larger_than_it_may_be_is_wrong_and_not_read_on(ledger: SealedLedger, folder: Path) -> None:
    with (folder / "tile/0/000").open("ab") as file:
        file.truncate(1 << 30)
    assert faults_of(verify(ledger, folder)) == {"tile/0/000": Problem.WRONG}


def test_over_http_all_that_must_be_there_is_checked(
    ledger: SealedLedger, folder: Path, serve: Callable[[Path], str]
) -> None:
    url = serve(folder)
    opener = partial(open_reader, Place(Kind.WEB, url))
    found = verify_files(opener, ledger.charter, is_remote=True)
    assert (faults_of(found), found.is_listed, found.entries_count) == ({}, False, 601)
    (folder / "archive/1").write_bytes(b"x")
    (folder / "tile/entries/001").write_bytes(b"x")
    (folder / "tile/1/000.p/1").write_bytes(b"nobody can ask for what nobody lists")
    wrong = faults_of(verify_files(opener, ledger.charter, is_remote=True))
    assert set(wrong) == {"archive/1", "tile/entries/001"}


def test_an_object_store_is_checked_as_a_folder_is(ledger: SealedLedger, folder: Path) -> None:
    store = MemoryStore()
    files = ObjectFiles("memory:///", store=store)
    ledger.publish_to(files, *HEIGHTS)
    opener = partial(ObjectFiles, "memory:///", store=store)
    found = verify_files(opener, ledger.charter, is_remote=True)
    assert (faults_of(found), found.files_count) == ({}, len(files_in(folder)))
    for path in ("tile/entries/001", "tile/0/000.p/129", "notes.txt"):
        files._put(path, b"x", "overwrite")
    wrong = faults_of(verify_files(opener, ledger.charter, is_remote=True))
    assert wrong == {
        "tile/entries/001": Problem.WRONG,
        "tile/0/000.p/129": Problem.WRONG,
        "notes.txt": Problem.EXTRA,
    }
    files.close()
