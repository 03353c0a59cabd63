"""What survives a crash: the vote log as bytes, the store of final blocks, the entries stored before a vote."""

from dataclasses import dataclass, field

from ledger.blocks import Header, SealedHeader
from node.consensus.messages import FinalBlock


@dataclass
class Disk:
    """One member's disk. Whatever is not in here is gone after a crash."""

    genesis: SealedHeader
    vote_log: bytes = b""
    is_log_lost: bool = False
    has_old_log: bool = False
    saved_log: bytes = b""
    final: list[FinalBlock] = field(default_factory=list)
    entries: dict[bytes, bytes] = field(default_factory=dict)

    def append(self, record: bytes) -> None:
        """Append and sync."""
        self.vote_log += record

    def newest(self) -> SealedHeader:
        """The newest committed header, with its seal."""
        return SealedHeader(self.final[-1].header, self.final[-1].seal) if self.final else self.genesis

    def header_at(self, height: int) -> Header:
        return self.genesis.header if height == 0 else self.final[height - 1].header
