"""What a source serves, before anybody has checked it, and what every kind of source offers.

A source is a stranger. Its bytes are bounded before they are read, its headers have the one spelling that
`ledger.blocks` accepts, and that is all that is known of them here; `observer.chain` says what may be believed.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Protocol

from ledger.blocks import Header
from ledger.errors import FormatError, LedgerError, ProofError, RejectedError
from ledger.limits import BLOCK_BYTES_MAX, SEAL_BYTES
from ledger.positions import Height, TreeSize

READ_TIMEOUT_S: Final = 30.0
FILE_TIMEOUT_S: Final = 120.0
"""How long one file or one call may take in all, however slowly it drips."""


@dataclass(frozen=True, slots=True)
class ServedBlock:
    """A block as a source gave it.

    Attributes:
        header: well-formed; whether it follows from anything is not known.
        seal: 48 bytes that nobody verified, or none.
        entries: as many as the header says, at most `BLOCK_BYTES_MAX` together; whether they are its entries is not
            known.
    """

    header: Header
    seal: bytes
    entries: tuple[bytes, ...]


class Source(Protocol):
    """Where a ledger can be read. Everything it gives is unbelieved; everything it raises is a `LedgerError`."""

    @property
    def name(self) -> str:
        """The URL it was opened with."""

    def read_charter(self) -> bytes:
        """Read entry 0."""

    def read_transcript(self) -> bytes:
        """Read the transcript of the founding ceremony; empty where it is not served."""

    def read_checkpoints(self) -> list[bytes]:
        """Read the newest checkpoint, and behind it another with more cosignatures where there is one."""

    def read_blocks(self, *, first: Height, last: Height, size: TreeSize) -> Iterator[ServedBlock]:
        """Read blocks from a height to another, in order; it may break off, and says nothing when it does.

        Args:
            first: height of the first block wanted.
            last: height of the last one, which the source's own checkpoint named.
            size: tree size after the last one, from the same checkpoint.
        """

    def read_tile(self, path: str) -> bytes | None:
        """Read a tile of hashes by its path; None where tiles are not served."""

    def close(self) -> None:
        """Give connections back."""


def make_block(header: Header, seal: bytes, entries: tuple[bytes, ...]) -> ServedBlock:
    """Bound what was read for one block.

    Raises:
        FormatError: a seal of another length, or entries above the block limit.
        ProofError: not as many entries as the header says.
    """
    field = f"blocks[{header.height}]"
    if seal and len(seal) != SEAL_BYTES:
        raise FormatError(field=f"{field}.seal", found=f"{len(seal)} bytes", expected=f"{SEAL_BYTES} bytes or none")
    if len(entries) != header.entry_count:
        raise ProofError(field=f"{field}.entries", found=len(entries), expected=f"{header.entry_count}, as its header")
    size_bytes = sum(len(entry) for entry in entries)
    if size_bytes > BLOCK_BYTES_MAX:
        raise FormatError(
            field=f"{field}.entries", found=f"{size_bytes} bytes", expected=f"at most {BLOCK_BYTES_MAX} bytes"
        )
    return ServedBlock(header=header, seal=seal, entries=entries)


def blame(source: str, error: LedgerError) -> LedgerError:
    """Give the same error with the source's name before the field, so that a reader knows who served it."""
    assert not isinstance(error, RejectedError), "a source does not answer with the rules' refusals"
    kind = type(error)
    return kind(field=f"{source}: {error.field}", found=error.found, expected=error.expected, code=error.code)
