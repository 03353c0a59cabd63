"""A damaged folder is looked through and mended by commands; what was voted is never forgotten on the way."""

import asyncio
import contextlib
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import counterseal
from counterseal import Exit
from ledger.positions import FIRST_EPOCH
from node.consensus import votelog
from node.daemon import read_charter
from node.founding import FoundingResult
from node.home import Home
from node.store import Store
from node.votefile import VoteFile
from tests.node.test_ceremony import PASSPHRASE, hold_all, host_of, keystore_of, make_homes, read_votes, write

SAID = votelog.Barrier(FIRST_EPOCH, 7)  # type: ignore[arg-type]  # a view; stands for anything that was written


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, FoundingResult]:
    """A member that was founded with another, and has written to its vote log."""
    root = tmp_path_factory.mktemp("original")
    homes = make_homes(root / "founders", 2)

    async def hold() -> list[FoundingResult]:
        return await hold_all([host_of(home) for home in homes])

    home, result = homes[0], asyncio.run(hold())[0]
    write(home, result)
    votes = VoteFile(home.votes, ledger_id=result.charter.ledger_id, member=result.member)
    votes.load()
    votes.append([votelog.encode_record(SAID)])
    votes.close()
    (root / "passphrase").write_bytes(PASSPHRASE.stretched_from + b"\n")
    (root / "passphrase").chmod(0o600)
    return root, result


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder with a short name: the operator's socket stands in the home, and sockets bear no long ones."""
    with tempfile.TemporaryDirectory(prefix="repair-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


@pytest.fixture
def founded(original: tuple[Path, FoundingResult], place: Path) -> tuple[Home, FoundingResult]:
    root, result = original
    copy = place / "copy"
    shutil.copytree(root, copy)
    return Home(copy / "founders" / "n0"), result


def run(home: Home, *words: str) -> int:
    command = ["node", *words, "--home", str(home.root), "--passphrase-file", str(home.root.parents[1] / "passphrase")]
    with pytest.raises(SystemExit) as left:
        counterseal.main(command)
    assert isinstance(left.value.code, int)
    return left.value.code


def is_whole(home: Home, result: FoundingResult) -> bool:
    assert read_charter(home.store).entry == result.charter.entry
    share = keystore_of(home).open_share(FIRST_EPOCH, PASSPHRASE)
    assert share.secret_scalar() == result.share
    return run(home, "check") == Exit.DONE


def flip(path: Path) -> None:
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 0x10
    path.write_bytes(raw)


Damage = Callable[[Home], object]
LOSSES: dict[str, Damage] = {
    "database": lambda home: home.store.unlink(),
    "vote log": lambda home: home.votes.unlink(),
    "share": lambda home: (home.keys / "share-1.key").unlink(),
    "ceremony": lambda home: shutil.rmtree(home.ceremony),
}


@pytest.mark.parametrize(
    "lost",
    [
        ("database",),
        ("vote log",),
        ("share",),
        ("database", "vote log"),
        ("database", "vote log", "share"),
        ("vote log", "share", "ceremony"),
        ("database", "ceremony"),
        ("database", "vote log", "share", "ceremony"),
    ],
    ids=" and ".join,
)
def test_whatever_is_lost_the_node_never_begins_as_if_it_had_not_voted(
    founded: tuple[Home, FoundingResult], lost: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    home, result = founded
    for name in lost:
        LOSSES[name](home)
    is_known = not {"database", "ceremony"} <= set(lost)
    code = run(home, "repair", "--yes")
    told = capsys.readouterr().err
    if not is_known:  # nothing is left that says which ledger: the others know
        assert code == Exit.CONDITION
        assert "run with --draft" in told
        assert not home.store.exists()
        assert home.votes.exists() == ("vote log" not in lost)
        return
    assert code == Exit.DONE, told
    assert is_whole(home, result)
    assert read_votes(home, result) == ((votelog.Lost(),) if "vote log" in lost else (SAID,))


DAMAGES: dict[str, Damage] = {
    "database": lambda home: flip(home.store),
    "cut database": lambda home: home.store.write_bytes(home.store.read_bytes()[:9000]),
    "empty database": lambda home: home.store.write_bytes(b""),
    "vote log": lambda home: flip(home.votes),
    "empty vote log": lambda home: home.votes.write_bytes(b""),
    "share": lambda home: flip(home.keys / "share-1.key"),
    "ceremony": lambda home: flip(next(home.ceremony.iterdir())),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_what_is_damaged_is_named_kept_aside_and_made_again(
    founded: tuple[Home, FoundingResult], damage: Damage, capsys: pytest.CaptureFixture[str]
) -> None:
    home, result = founded
    damage(home)
    assert run(home, "check") == Exit.CONDITION
    before = contents(home)
    assert "damaged" in capsys.readouterr().err
    assert run(home, "repair") == Exit.UNAVAILABLE, "nobody agreed"
    assert "nothing was changed" in capsys.readouterr().err
    assert contents(home) == before
    assert run(home, "repair", "--yes") == Exit.DONE
    told = capsys.readouterr()
    assert "Traceback" not in told.out + told.err
    run(home, "check")
    assert "damaged" not in capsys.readouterr().err
    aside = [path for path in (home.root / "aside").rglob("*") if path.is_file()]
    assert any(path.read_bytes() in before.values() for path in aside)
    lost = (votelog.Lost(),) if "vote log" in damage_name(damage) else (SAID,)
    assert read_votes(home, result) == lost


def contents(home: Home) -> dict[Path, bytes]:
    files = (path for path in home.root.rglob("*") if path.is_file())
    return {path: path.read_bytes() for path in files if not path.name.endswith(("-wal", "-shm"))}


def damage_name(damage: Damage) -> str:
    return next(name for name, each in DAMAGES.items() if each is damage)


def test_a_repair_that_broke_off_after_the_database_was_moved_is_taken_up_again(
    founded: tuple[Home, FoundingResult], monkeypatch: pytest.MonkeyPatch
) -> None:
    home, result = founded
    shutil.rmtree(home.ceremony)
    (home.root / "public").mkdir(exist_ok=True)
    store = Store(home.store)
    store._writer.execute("UPDATE state SET value = x'00'")
    store.close()

    def break_off(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("node.repair.found_store", break_off)
    assert run(home, "repair", "--yes") != Exit.DONE
    assert not home.store.exists()
    monkeypatch.undo()
    assert run(home, "repair", "--yes") == Exit.DONE
    assert read_charter(home.store).entry == result.charter.entry
    assert read_votes(home, result) == (SAID,)


def test_lost_keys_are_said_to_be_beyond_repair_and_nothing_is_touched(
    founded: tuple[Home, FoundingResult], capsys: pytest.CaptureFixture[str]
) -> None:
    home, _ = founded
    (home.keys / "identity.key").unlink()
    home.votes.unlink()
    assert run(home, "repair", "--yes") == Exit.CONDITION
    assert "no way back" in capsys.readouterr().err
    assert not home.votes.exists()


def test_repair_is_kept_out_while_the_node_runs(founded: tuple[Home, FoundingResult]) -> None:
    home, _ = founded
    with home.alone():
        assert run(home, "repair", "--yes") == Exit.UNAVAILABLE


@pytest.fixture
def small_disk(place: Path) -> Iterator[Path]:
    """A disk of its own, of 3 MB, where the machine lets us have one."""
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", place], check=False).returncode:
        pytest.skip("this machine lets nobody here mount a disk")
    yield place
    subprocess.run(["umount", "-l", place], check=True)


def fill(disk: Path) -> None:
    with contextlib.suppress(OSError), (disk / "filler").open("wb", buffering=0) as file:
        while file.write(bytes(4096)):
            pass


def make_read_only(disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)


@pytest.mark.parametrize("trouble", [fill, make_read_only])
@pytest.mark.parametrize("command", [["run"], ["check"], ["repair", "--yes"]], ids=" ".join)
def test_a_disk_that_takes_nothing_is_named_and_no_damage_is_seen_in_what_it_holds(
    original: tuple[Path, FoundingResult],
    small_disk: Path,
    trouble: Callable[[Path], None],
    command: list[str],
) -> None:
    root, _ = original
    shutil.copytree(root, small_disk / "copy")
    home = Home(small_disk / "copy" / "founders" / "n0")
    before = contents(home)
    trouble(small_disk)
    words = [sys.executable, "-m", "counterseal", "node", *command, "--home", str(home.root)]
    words += ["--passphrase-file", str(small_disk / "copy" / "passphrase")]
    done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == Exit.CONDITION, done.stderr
    assert "[DISK_FULL]" in done.stderr
    assert "damaged" not in done.stderr
    assert "Traceback" not in done.stderr
    kept = contents(home)
    assert {path: kept[path] for path in before} == before
