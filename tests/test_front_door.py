"""The front door: lazy, readable, with an exit code that means something."""

import errno
import subprocess
import sys
from pathlib import Path

import pytest
import typer

import counterseal
from counterseal import Exit, describe, exit_of
from ledger.errors import Code, ConditionError, FormatError, ProofError

ROOT = Path(__file__).resolve().parent.parent


def run_python(*arguments: str, flags: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *flags, *arguments], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )


@pytest.fixture
def rooms(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two rooms made for the test: one that answers, one that fails in every way asked for."""
    (tmp_path / "fine_room.py").write_text(
        "import typer\n"
        "app = typer.Typer()\n"
        "@app.command()\n"
        "def verify(file: str) -> None:\n"
        "    typer.echo(f'holds: {file}')\n"
        "@app.command()\n"
        "def board() -> None:\n"
        "    typer.echo('board')\n"
    )
    (tmp_path / "failing_room.py").write_text(
        "import asyncio, typer\n"
        "from ledger.errors import ProofError, ConditionError, Code\n"
        "app = typer.Typer()\n"
        "@app.command()\n"
        "def proof() -> None:\n"
        "    raise ProofError(field='proof.root', found='aa', expected='bb')\n"
        "@app.command()\n"
        "def group() -> None:\n"
        "    async def fail() -> None:\n"
        "        raise ConditionError(field='peer', found='x', expected='y', code=Code.UNREACHABLE)\n"
        "    async def run() -> None:\n"
        "        async with asyncio.TaskGroup() as tasks:\n"
        "            tasks.create_task(fail())\n"
        "    asyncio.run(run())\n"
        "@app.command()\n"
        "def mistake() -> None:\n"
        "    {}['passphrase-1234']\n"
        "@app.command()\n"
        "def needs() -> None:\n"
        "    import a_package_nobody_installed\n"
    )
    (tmp_path / "needy_room.py").write_text("import a_package_nobody_installed\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(
        counterseal,
        "ROOMS",
        (
            counterseal.Room("failing", "failing_room", "observer", "fails"),
            counterseal.Room("needy", "needy_room", "node", "needs"),
            counterseal.Room("absent", "absent_room", None, "is not there"),
        ),
    )
    monkeypatch.setattr(counterseal, "OBSERVER", counterseal.Room("fine", "fine_room", None, "answers"))
    return tmp_path


def leave(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as left:
        counterseal.main(arguments)
    printed = capsys.readouterr()
    assert isinstance(left.value.code, int)
    return left.value.code, printed.out, printed.err


def test_help_names_every_room_and_imports_none() -> None:
    program = (
        "import sys, counterseal\n"
        "try: counterseal.main(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'grpc', 'google.protobuf', 'cryptography', 'msgspec', 'httpx', 'structlog', 'starlette', 'asyncio'}\n"
        "heavy |= {'node', 'lab', 'observer', 'devnet', 'pydantic', 'sqlite3'}\n"
        "print('IMPORTED', sorted(heavy & set(sys.modules)))\n"
    )
    done = run_python("-c", program)
    assert "IMPORTED []" in done.stdout
    for room in counterseal.ROOMS:
        assert room.command in done.stdout


def test_optimized_python_is_refused() -> None:
    done = run_python("counterseal.py", "--help", flags=("-O",))
    assert done.returncode == Exit.USAGE
    assert "without -O" in done.stderr
    assert done.stdout == ""


def test_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert leave(capsys, "--version") == (0, "counterseal 0.1.0\n", "")


@pytest.mark.usefixtures("rooms")
def test_an_error_of_a_room_becomes_a_sentence_and_its_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = leave(capsys, "failing", "proof")
    assert (code, out) == (Exit.REFUTED, "")
    assert err == "counterseal: proof.root: found aa; expected bb [PROOF]\n"


@pytest.mark.usefixtures("rooms")
def test_an_error_inside_a_task_group_is_found(capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = leave(capsys, "failing", "group")
    assert code == Exit.UNAVAILABLE
    assert "UNREACHABLE" in err


@pytest.mark.usefixtures("rooms")
def test_our_own_mistake_shows_neither_traceback_nor_values(capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = leave(capsys, "failing", "mistake")
    assert code == Exit.INTERNAL
    assert "KeyError at failing_room.py:17" in err
    assert "Traceback" not in err
    assert "passphrase-1234" not in err


@pytest.mark.usefixtures("rooms")
def test_a_traceback_is_shown_when_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = leave(capsys, "--traceback", "failing", "mistake")
    assert code == Exit.INTERNAL
    assert "Traceback" in err


@pytest.mark.usefixtures("rooms")
def test_verify_at_the_front_door_is_the_observers(capsys: pytest.CaptureFixture[str]) -> None:
    assert leave(capsys, "verify", "a.tlog-proof") == (0, "holds: a.tlog-proof\n", "")


@pytest.mark.usefixtures("rooms")
def test_only_verify_comes_from_the_observers_room(capsys: pytest.CaptureFixture[str]) -> None:
    code, _, _ = leave(capsys, "board")
    assert code == Exit.USAGE


@pytest.mark.usefixtures("rooms")
def test_missing_packages_name_the_extra_to_install(capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = leave(capsys, "needy")
    assert code == Exit.CONDITION
    assert "pip install 'counterseal[node]'" in err


@pytest.mark.usefixtures("rooms")
def test_packages_that_only_a_command_needs_name_the_extra_too(capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = leave(capsys, "failing", "needs")
    assert code == Exit.CONDITION
    assert "no module a_package_nobody_installed; expected its packages: pip install 'counterseal[observer]'" in err


@pytest.mark.usefixtures("rooms")
def test_a_room_that_is_not_installed_does_not_break_the_others(capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = leave(capsys, "absent")
    assert code == Exit.CONDITION
    assert "absent_room" in err
    assert leave(capsys, "failing", "--help")[0] == 0


@pytest.mark.usefixtures("rooms")
def test_an_unknown_command_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert leave(capsys, "failed")[0] == Exit.USAGE


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (FormatError(field="f", found="x", expected="y"), (Exit.MALFORMED, "f: found x")),
        (ExceptionGroup("g", [ValueError(), ProofError(field="p", found="x", expected="y")]), (Exit.REFUTED, "p:")),
        (ConditionError(field="c", found="x", expected="y", code=Code.CONFIG), (Exit.CONDITION, "[CONFIG]")),
        (OSError(errno.ENOSPC, "No space left on device", "store.db"), (Exit.CONDITION, "store.db: No space")),
        (OSError(errno.EADDRINUSE, "Address already in use"), (Exit.CONDITION, "[PORT_TAKEN]")),
        (KeyboardInterrupt(), (Exit.INTERRUPTED, "interrupted")),
        (RuntimeError("secret"), (Exit.INTERNAL, "our own mistake: RuntimeError")),
    ],
)
def test_each_error_has_its_exit_code(error: BaseException, expected: tuple[Exit, str]) -> None:
    sentence, code = describe(error)
    assert code is expected[0]
    assert expected[1] in sentence
    assert "secret" not in sentence


def test_every_code_has_an_exit_code_that_is_no_success() -> None:
    assert all(exit_of(code) not in {Exit.DONE, Exit.USAGE, Exit.INTERNAL, Exit.INTERRUPTED} for code in Code)


def test_rooms_that_are_there_have_an_app() -> None:
    for room in counterseal.ROOMS:
        if (ROOT / room.module.replace(".", "/")).with_suffix(".py").exists():
            assert isinstance(counterseal.load_room(room), typer.Typer)
