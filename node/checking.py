"""Signature checks in a process of their own, so that catching up uses a second core and leaves the event loop free.

Python's one thread at a time would make threads useless here: OpenSSL's Ed25519 check keeps the interpreter's lock. The
helper is this module run as a program, at a low priority: frames of tasks in, a byte for each task out. It holds
nothing and decides nothing: only its yes is taken, nobody waits for it, and what it did not say yes to in time is
checked on the spot. When its input ends, because this node ended in whatever way, it ends.
"""

import asyncio
import contextlib
import os
import struct
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Sequence
from typing import BinaryIO, Final

import structlog

from ledger.ed25519 import PUBLIC_KEY_BYTES, is_ed25519_signature
from ledger.limits import SIGNATURE_BYTES

SignatureTask = tuple[bytes, bytes, bytes]
"""Public key, signature, message."""

LOW_PRIORITY: Final = 5
_COUNT: Final = struct.Struct(">I")
_TASK: Final = struct.Struct(f">{PUBLIC_KEY_BYTES}s{SIGNATURE_BYTES}sI")


class SignatureChecker:
    """The near end of a helper."""

    def __init__(self, process: Process | None) -> None:
        self._process = process
        self._turn = asyncio.Lock()

    async def check(self, tasks: Sequence[SignatureTask]) -> bytes:
        """Give a byte for each task, 1 for a true signature; none at all if the helper is gone."""
        if not tasks:
            return b""
        parts = [_COUNT.pack(len(tasks))]
        for public_key, signature, message in tasks:
            parts += (_TASK.pack(public_key, signature, len(message)), message)
        async with self._turn:
            if self._process is None:
                return b""
            process, self._process = self._process, None  # who leaves in the middle of an answer ends it for all
            assert process.stdin is not None
            assert process.stdout is not None
            try:
                process.stdin.write(b"".join(parts))
                await process.stdin.drain()
                answers = await process.stdout.readexactly(len(tasks))
            except (OSError, asyncio.IncompleteReadError):
                structlog.get_logger("catchup").warning("signature helper ended; checking without it")
                return b""
            self._process = process
            return answers


@contextlib.asynccontextmanager
async def open_checker() -> AsyncIterator[SignatureChecker]:
    """Run a helper until the block ends."""
    try:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "node.checking", stdin=PIPE, stdout=PIPE, stderr=DEVNULL
        )
    except OSError:  # no room for another process: it goes without
        yield SignatureChecker(None)
        return
    try:
        yield SignatureChecker(process)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def serve(source: BinaryIO, sink: BinaryIO) -> None:
    """Answer frames until the input ends."""
    while len(head := source.read(_COUNT.size)) == _COUNT.size:
        answers = bytearray()
        for _ in range(_COUNT.unpack(head)[0]):
            public_key, signature, size = _TASK.unpack(source.read(_TASK.size))
            answers.append(is_ed25519_signature(public_key, signature, source.read(size)))
        sink.write(answers)
        sink.flush()


if __name__ == "__main__":
    os.nice(LOW_PRIORITY)
    serve(sys.stdin.buffer, sys.stdout.buffer)
