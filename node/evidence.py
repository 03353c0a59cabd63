"""Evidence of members' misconduct: kept as files, and put on the ledger by one member or another.

1. What the core finds is checked as the rules will check it, and written to a file of its own before anything else is
   done with it: `evidence/<accused>-<misconduct>-<epoch>-<view>.json` in the node's folder, which explains itself to
   anybody (`counterseal verify`). Files are never removed; of each member and kind of misconduct there are at most
   `KEPT_PER_KIND_MAX`, since the first is enough.
2. One statement is enough for a member and kind, and every member that has evidence could make it. So they take turns,
   the member after the accused first: each waits a turn longer than the one before it, looks whether the ledger has
   the fault by then, and only if not signs in its nation's name. Two that speak at once do no harm: the rules refuse
   the second.
3. It is tried again until the ledger has it, after a restart too: the files are read when the node starts.
4. A member never accuses itself; it keeps the evidence, for its operator to look into.
"""

import asyncio
import contextlib
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog

from ledger.charter import Charter
from ledger.errors import ConditionError, LedgerError
from ledger.limits import EVIDENCE_FILE_BYTES_MAX
from ledger.merkle import Hash
from ledger.positions import LeafIndex, MemberIndex
from ledger.rules.misconduct import get_faults, verify_evidence
from ledger.rules.state import State
from ledger.statements.misconduct import (
    NAMES_OF_VOTES,
    Evidence,
    EvidenceFile,
    SignedVote,
    encode_evidence_file,
    parse_evidence_file,
)
from ledger.votes import Misconduct
from node.admission import Admission
from node.consensus.messages import EvidenceFound, Vote
from node.home import read_file, write_file
from node.nation import Nation
from node.v1 import operator_pb2

KEPT_PER_KIND_MAX: Final = 4
TURN_S: Final = 5.0
TURNS_MAX: Final = 24
"""How many turns the last of many members waits: longer than that nobody need be waited for."""

RETRY_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Kept:
    """Evidence that is on this disk.

    Attributes:
        evidence: as the rules will accept it.
        path: of its file.
    """

    evidence: Evidence
    path: Path


def make_evidence(found: EvidenceFound, *, charter: Charter) -> Evidence:
    """Write what the core found in the one form that proves it to others."""
    header = found.header if found.misconduct is Misconduct.WRONG_SHARE else None
    votes = sorted(found.votes, key=lambda vote: vote.digest)  # NULLIFY has none, and stands first
    return Evidence(
        accused=charter.member(found.member).id,
        misconduct=found.misconduct,
        epoch=votes[0].epoch,
        view=votes[0].view,
        votes=tuple(_sign(vote) for vote in votes),
        header=None if header is None else header.raw,
    )


def _sign(vote: Vote) -> SignedVote:
    return SignedVote(
        kind=NAMES_OF_VOTES[vote.kind],
        digest=vote.digest.hex() or None,
        share=vote.share or None,
        signature=vote.signature,
    )


class EvidenceFolder:
    """The files of one node."""

    def __init__(self, path: Path, charter: Charter) -> None:
        self._path, self._charter = path, charter
        self._log = structlog.get_logger("evidence")

    def read(self) -> list[Kept]:
        """Read what was kept, in the order of names; what is no evidence on this ledger is told and left alone."""
        kept = []
        for path in sorted(self._path.glob("*.json")):
            try:
                file = parse_evidence_file(read_file(path, size_max=EVIDENCE_FILE_BYTES_MAX))
                verify_evidence(file.evidence, charter=self._charter)
            except LedgerError as error:
                self._log.warning("no evidence on this ledger", file=str(path), problem=str(error))
            else:
                kept.append(Kept(file.evidence, path))
        return kept

    def place_of(self, evidence: Evidence) -> Path:
        """Name its file."""
        name = f"{evidence.accused}-{evidence.misconduct}-{evidence.epoch}-{evidence.view}.json"
        return self._path / name

    def encode(self, evidence: Evidence) -> bytes:
        """Check evidence as the rules will, and give the bytes of its file.

        Raises:
            LedgerError: it is none.
        """
        raw = encode_evidence_file(EvidenceFile(charter=self._charter.entry, evidence=evidence))
        verify_evidence(evidence, charter=self._charter)
        return raw

    def write(self, path: Path, raw: bytes) -> None:
        """Write a file, durably.

        Raises:
            ConditionError: the disk refuses.
        """
        with contextlib.suppress(OSError):  # `write_file` says what is the matter
            self._path.mkdir(exist_ok=True)
        write_file(path, raw)


class Accuser:
    """Keeps evidence and sees to it that the ledger has it."""

    def __init__(
        self,
        folder: EvidenceFolder,
        charter: Charter,
        me: MemberIndex,
        nation: Nation,
        admission: Admission,
        *,
        state: Callable[[], State],
        disk: Executor,
        turn_s: float = TURN_S,
    ) -> None:
        """Take up what was kept before; `state` gives that of the newest final block."""
        self._folder, self._charter, self._me = folder, charter, me
        self._nation, self._admission, self._state = nation, admission, state
        self._disk, self._turn_s = disk, turn_s
        self._kept: dict[tuple[str, Misconduct], list[Kept]] = {}
        self._due_s: dict[tuple[str, Misconduct], float] = {}
        self._said: dict[tuple[str, Misconduct], Hash] = {}
        self._woken = asyncio.Event()
        self._log = structlog.get_logger("evidence")
        for kept in folder.read():
            self._hold(kept)

    def _hold(self, kept: Kept) -> None:
        self._kept.setdefault((kept.evidence.accused, kept.evidence.misconduct), []).append(kept)

    def kept(self) -> list[Kept]:
        """List what is on this disk."""
        return [kept for several in self._kept.values() for kept in several]

    def describe(self) -> list[operator_pb2.Misconduct]:
        """Say what is proven, on the ledger or by files here, in the order of members and kinds."""
        pairs = [(member.id, misconduct) for member in self._charter.members for misconduct in Misconduct]
        lines = (self._describe(*pair) for pair in pairs)
        return [line for line in lines if line.on_ledger or line.file]

    def _describe(self, member_id: str, misconduct: Misconduct) -> operator_pb2.Misconduct:
        index = self.find_entry(member_id, misconduct)
        line = operator_pb2.Misconduct(member=member_id, kind=misconduct, on_ledger=index is not None, index=index or 0)
        for kept in self._kept.get((member_id, misconduct), [])[:1]:
            line.file, line.epoch, line.view = str(kept.path), kept.evidence.epoch, kept.evidence.view
        return line

    def find_entry(self, accused: str, misconduct: Misconduct) -> LeafIndex | None:
        """Say which entry of the ledger proves this misconduct, if one does."""
        faults = get_faults(self._state(), accused)
        return next((fault.index for fault in faults if fault.misconduct == misconduct), None)

    async def keep(self, found: EvidenceFound) -> None:
        """Write down what the core found. A disk that refuses loses the file and not what is in it, while this runs."""
        evidence = make_evidence(found, charter=self._charter)
        path = self._folder.place_of(evidence)
        known = self._kept.get((evidence.accused, evidence.misconduct), [])
        if len(known) >= KEPT_PER_KIND_MAX or any(kept.path == path for kept in known):
            return
        try:
            raw = self._folder.encode(evidence)
        except LedgerError as error:
            self._log.critical("what was found proves nothing to others", problem=str(error))
            return
        try:
            await asyncio.get_running_loop().run_in_executor(self._disk, self._folder.write, path, raw)
        except ConditionError as error:
            self._log.critical("evidence was not kept", file=str(path), problem=str(error))
        else:
            self._log.critical("evidence kept", file=str(path))
        self._hold(Kept(evidence, path))
        self._woken.set()

    async def run(self) -> None:
        """Take this member's turns, until cancelled."""
        while True:
            self._woken.clear()
            wait_s = self._take_turns(asyncio.get_running_loop().time())
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._woken.wait()

    def _take_turns(self, now_s: float) -> float | None:
        """Accuse where it is this member's turn, and say in how many seconds the next one comes; None for never."""
        next_s: list[float] = []
        for key, several in self._kept.items():
            accused, misconduct = key
            if accused == self._charter.member(self._me).id or self.find_entry(accused, misconduct) is not None:
                continue
            due_s = self._due_s.setdefault(key, now_s + self._turn_s * self._count_turns(accused))
            if due_s <= now_s:
                self._accuse(key, several[0].evidence)
                due_s = self._due_s[key] = now_s + RETRY_S
            next_s.append(due_s - now_s)
        return min(next_s, default=None)

    def _count_turns(self, accused: str) -> int:
        """How many members have their turn before this one."""
        member = self._charter.find_member(accused)
        assert member is not None, "evidence was verified when it came"
        return min((self._me - member.index - 1) % len(self._charter.members), TURNS_MAX)

    def _accuse(self, key: tuple[str, Misconduct], evidence: Evidence) -> None:
        if self._admission.is_waiting(self._said.get(key, b"")):
            return
        try:
            self._said[key] = self._admission.admit(self._nation.accuse(evidence)).leaf
        except LedgerError as error:
            self._log.warning("accusation not taken in", accused=evidence.accused, problem=str(error))
        else:
            self._log.warning("accused", accused=evidence.accused, misconduct=evidence.misconduct)
