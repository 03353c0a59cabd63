"""A node that ails: a clock that is wrong, a disk that is slow. Both are set from outside while it runs.

    python -m devnet.chaos.ailing CONTROL -m counterseal node run …

runs what follows as Python would, in a process whose wall clock is offset and in which every fsync, fdatasync and
SQLite COMMIT takes longer, as a page of memory shared through the file CONTROL says. The node's own code is untouched
and has no such setting. What is offset is `time.time_ns`: a node takes all its times from there. TLS keeps the clock of
the machine, and so does `time.time`: gRPC makes deadlines of it that its C code holds against the machine's.
"""

import functools
import mmap
import os
import runpy
import sqlite3
import struct
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

_LAYOUT: Final = struct.Struct("<qq")
_OFFSET_AT: Final = 0
_DELAY_AT: Final = 8


class Ailments:
    """The shared page, as seen from either side."""

    def __init__(self, path: Path) -> None:
        """Open a page; made, with nothing wrong, if there is none."""
        if not path.exists():
            path.write_bytes(bytes(_LAYOUT.size))
        with path.open("r+b") as file:
            self._page = mmap.mmap(file.fileno(), _LAYOUT.size)

    @property
    def clock_offset_ms(self) -> int:
        """By how much the wall clock is ahead."""
        return self._read(_OFFSET_AT)

    @clock_offset_ms.setter
    def clock_offset_ms(self, offset_ms: int) -> None:
        struct.pack_into("<q", self._page, _OFFSET_AT, offset_ms)

    @property
    def disk_delay_ms(self) -> int:
        """How much longer it takes until something is on disk."""
        return self._read(_DELAY_AT)

    @disk_delay_ms.setter
    def disk_delay_ms(self, delay_ms: int) -> None:
        struct.pack_into("<q", self._page, _DELAY_AT, delay_ms)

    def _read(self, at: int) -> int:
        value: int = struct.unpack_from("<q", self._page, at)[0]
        return value

    def wait_for_disk(self) -> None:
        """Be as slow as the disk is."""
        time.sleep(self.disk_delay_ms / 1000)


def afflict(ailments: Ailments) -> None:
    """Let this process ail from now on."""
    true_ns = time.time_ns

    def time_ns() -> int:
        return true_ns() + ailments.clock_offset_ms * 1_000_000

    time.time_ns = time_ns
    os.fsync = _slowed(os.fsync, ailments)  # type: ignore[assignment]  # everybody gives the descriptor by position
    os.fdatasync = _slowed(os.fdatasync, ailments)  # type: ignore[assignment]  # the same

    class SlowConnection(sqlite3.Connection):
        def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:  # Any: as sqlite3 types them
            if sql == "COMMIT":
                ailments.wait_for_disk()
            return super().execute(sql, *parameters)

    sqlite3.connect = functools.partial(sqlite3.connect, factory=SlowConnection)  # type: ignore[assignment]


def _slowed(sync: Callable[[Any], None], ailments: Ailments) -> Callable[[Any], None]:
    """Any: a descriptor or what has one."""

    def slow(descriptor: Any) -> None:
        ailments.wait_for_disk()
        sync(descriptor)

    return slow


def main() -> None:
    """Ail, then run the module that the command line names."""
    _, control, dash_m, module, *words = sys.argv
    assert dash_m == "-m"
    afflict(Ailments(Path(control)))
    sys.argv = [module, *words]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
