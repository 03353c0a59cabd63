"""Running the project's own command as a user would, and reading what it prints."""

import asyncio
import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ledger.errors import ConditionError


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a command printed and how it ended."""

    words: tuple[str, ...]
    code: int
    out: str
    err: str

    @property
    def shown(self) -> str:
        """The command as one types it."""
        return " ".join(("counterseal", *self.words))

    def parsed(self) -> Any:  # what a command prints with --json differs from command to command
        """Read what `--json` printed."""
        return json.loads(self.out)


async def counterseal(*words: str, environment: Mapping[str, str] | None = None) -> Outcome:
    """Run `counterseal` with these words in a process of its own.

    Args:
        words: the command line.
        environment: variables in place of this process's own of the same name.
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "counterseal",
        *words,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=dict(os.environ) | dict(environment or {}),  # noqa: TID251  # a child runs where this process does
    )
    out, err = await process.communicate()
    return Outcome(words=words, code=process.returncode or 0, out=out.decode(), err=err.decode())


async def must(*words: str, environment: Mapping[str, str] | None = None) -> Outcome:
    """Run a command that has to succeed.

    Raises:
        ConditionError: it did not; with what it said.
    """
    outcome = await counterseal(*words, environment=environment)
    if outcome.code != 0:
        last = (outcome.err.strip().splitlines() or ["nothing"])[-1]
        raise ConditionError(field=outcome.shown, found=f"exit code {outcome.code}: {last}", expected="exit code 0")
    return outcome
