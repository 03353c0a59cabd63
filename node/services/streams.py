"""How many long-lived calls one node serves at a time."""

import contextlib
from collections.abc import Iterator

from ledger.errors import Code, ConditionError


class StreamLimit:
    """Counts open streams; the one too many is refused instead of slowing the others."""

    def __init__(self, maximum: int) -> None:
        self._maximum = maximum
        self.open = 0

    @contextlib.contextmanager
    def one(self) -> Iterator[None]:
        """Hold a place while a stream is open.

        Raises:
            ConditionError: `TOO_MANY_STREAMS`.
        """
        if self.open >= self._maximum:
            raise ConditionError(
                field="streams",
                found=f"{self.open} open",
                expected=f"fewer than {self._maximum}",
                code=Code.TOO_MANY_STREAMS,
            )
        self.open += 1
        try:
            yield
        finally:
            self.open -= 1
