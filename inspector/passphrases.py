"""Where the passphrase of an inspector's keys comes from: a file that only its owner can read, or a person."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

from inspector.files import read_file
from ledger.errors import Code, ConditionError

PASSPHRASE_BYTES_MAX: Final = 1_024
_OTHERS: Final = 0o077


def find_passphrase(file: Path | None, *, prompt: Callable[[], str] | None) -> str:
    """Read the passphrase.

    Args:
        file: with the passphrase on its one line.
        prompt: asks a person, if there is one.

    Raises:
        ConditionError: nowhere, or not one line (`PASSPHRASE`); a file that others can read (`CONFIG`).
    """
    if file is not None:
        return _read(file)
    if prompt is None:
        raise ConditionError(
            field="passphrase", found="no file and no terminal", expected="one of them", code=Code.PASSPHRASE
        )
    return prompt()


def _read(path: Path) -> str:
    raw = read_file(path, bytes_max=PASSPHRASE_BYTES_MAX, field="passphrase")
    mode = path.stat().st_mode & 0o777
    if mode & _OTHERS:
        raise ConditionError(
            field=str(path), found=f"mode {mode:04o}", expected="mode 0600 or 0400: a secret", code=Code.CONFIG
        )
    try:
        text = raw.decode("utf-8").removesuffix("\n")
    except UnicodeDecodeError:
        text = "\n"
    if not text or "\n" in text:
        raise ConditionError(
            field=str(path), found="something else", expected="the passphrase on one line", code=Code.PASSPHRASE
        )
    return text
