"""A place to publish into that stops at a chosen write, as a machine does that loses its power."""

from collections.abc import Sequence
from pathlib import Path

from ledger.positions import Millis
from tlog.publisher import Files


class CrashError(Exception):
    """The machine stops here."""


class CrashingFiles:
    """A place whose writes stop at a chosen step, before it, or after half of it where there is room for halves."""

    def __init__(self, inner: Files, *, step: int, half: Path | None = None) -> None:
        self.inner, self.left, self.half = inner, step, half
        self.log: list[str] = []

    def _count(self, path: str) -> None:
        self.log.append(path)
        if self.left == 0:
            if self.half is not None:
                self.half.write_bytes(b"half a file")
            raise CrashError(path)
        self.left -= 1

    def read(self, path: str, *, size_max: int) -> bytes | None:
        return self.inner.read(path, size_max=size_max)

    def exists(self, path: str) -> bool:
        return self.inner.exists(path)

    def create(self, path: str, raw: bytes) -> bool:
        self._count(path)
        return self.inner.create(path, raw)

    def replace(self, path: str, raw: bytes) -> None:
        self._count(path)
        self.inner.replace(path, raw)

    def sync(self) -> None:
        self._count("(sync)")
        self.inner.sync()

    def partials(self) -> Sequence[tuple[str, Millis]]:
        return self.inner.partials()

    def remove_folder(self, path: str) -> None:
        self._count(f"(remove) {path}")
        self.inner.remove_folder(path)
