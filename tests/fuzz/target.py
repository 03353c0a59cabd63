"""What a fuzz target is: how bytes are read, what must hold of what was read, from which bytes to begin."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ledger.errors import FormatError, LedgerError
from tests.formats.draws import Draw


@dataclass(frozen=True)
class Target:
    """One parser, or several that read the same bytes.

    Attributes:
        read: reads bytes; raises a `LedgerError` for those that are not of the form, and nothing else for any; where
            the form has one encoding it asserts that writing what was read gives the bytes again.
        seeds: bytes of the form, from which a fuzzer begins.
        parsers: which functions it is for, as `module.name`.
        size_max: longest bytes to try.
    """

    read: Callable[[bytes], object]
    seeds: Callable[[], Sequence[bytes]]
    parsers: tuple[str, ...]
    size_max: int = 4_096

    def run(self, raw: bytes) -> bool:
        """Read bytes as a stranger's; says whether they were of the form."""
        try:
            self.read(raw)
        except LedgerError as error:
            told = str(error)
        else:
            return True
        assert told.isprintable(), "what is told of bad bytes must not carry them into a terminal or a log"
        return False


def drawn(make: Callable[[Draw], bytes], count: int = 4) -> Callable[[], list[bytes]]:
    """Seeds from the maker of a format's values."""
    return lambda: [make(Draw(f"fuzz {number}")) for number in range(count)]


def same(made: bytes | str, raw: bytes | str) -> None:
    """What was read must be written as it came."""
    assert made == raw, "another spelling was taken"


def text_of(raw: bytes) -> str:
    """Bytes as the text that a parser of text is given."""
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        raise FormatError(field="fuzz", found="other bytes", expected="text") from None
