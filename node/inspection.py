"""What is on a node's disk, part by part: right, missing or damaged, each with one sentence.

Nothing is changed, but that opening a database of version 1 makes it one of today (`node.schema`).

The parts are looked at in an order in which each can rest on those before it: the keys say who this is; charter and
transcript, found in any of four places and held against those keys, say which ledger; then what belongs to it.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Final

from ledger.charter import Charter, parse_charter
from ledger.checkpoints import parse_checkpoint
from ledger.errors import Code, ConditionError, LedgerError
from ledger.limits import BUNDLE_BYTES_MAX, ENTRY_BYTES_MAX, NOTE_BYTES_MAX, TRANSCRIPT_BYTES_MAX
from ledger.notes import parse_note
from ledger.positions import FIRST_EPOCH, Height, LeafIndex, MemberIndex, Seconds, TreeSize
from ledger.rules.state import State
from ledger.threshold.polynomials import Randomness
from ledger.tiles import compute_tile, tile_path, tiles_for_size
from node.ceremony import MessageLog
from node.consensus import votelog
from node.consensus.messages import Vote
from node.draft import compute_session
from node.founding import Ceremony, Keep
from node.home import Home, members_of_charter, read_file
from node.keystore import Keystore, MemberKeys, Passphrase
from node.preflight import believed, read_transcript
from node.reexecution import Report, check_begun, reexecute
from node.store import Store
from node.tls import read_tls_key
from tlog.publisher import CHARTER, CHECKPOINT, TRANSCRIPT

ASIDE: Final = "aside"
# Something else to be mended first: nothing is said of what was written, and nothing of it may be thrown away.
_NO_DAMAGE: Final = (Code.PASSPHRASE, Code.DISK_FULL, Code.NOT_READY, Code.VERSION_MISMATCH)


class Part(StrEnum):
    """What a node's folder is made of."""

    KEYS = "keys"
    TLS = "TLS key"
    DRAFT = "draft"
    CEREMONY = "ceremony"
    CERTIFICATES = "certificates"
    LEDGER = "charter"
    SHARE = "share"
    VOTES = "vote log"
    STORE = "database"
    FOLDER = "published folder"


class Condition(StrEnum):
    """How a part is."""

    RIGHT = "right"
    MISSING = "missing"
    DAMAGED = "damaged"
    UNSEEN = "not looked at"


@dataclass(frozen=True, slots=True)
class Finding:
    """How one part is, in a sentence."""

    part: Part
    condition: Condition
    words: str


@dataclass(slots=True)
class Inspection:
    """What was found, and what the findings rest on.

    Attributes:
        findings: one for each part, in order.
        keys: this member's, if they can be read.
        charter: of the ledger that was founded here, if it is known.
        member: this node's number in it.
        transcript: of its ceremony.
    """

    findings: dict[Part, Finding] = field(default_factory=dict)
    keys: MemberKeys | None = None
    charter: Charter | None = None
    member: MemberIndex | None = None
    transcript: bytes = b""

    def add(self, part: Part, condition: Condition, words: str = "") -> None:
        """Note how a part is."""
        self.findings[part] = Finding(part, condition, words)

    def condition(self, part: Part) -> Condition:
        """Say how a part is."""
        return self.findings[part].condition

    def wrong(self) -> list[Finding]:
        """List what is missing or damaged."""
        return [each for each in self.findings.values() if each.condition in {Condition.MISSING, Condition.DAMAGED}]


class Inspector:
    """Looks through one folder, which no node works in meanwhile."""

    def __init__(self, home: Home, folder: Path, passphrase: Passphrase, *, randomness: Randomness) -> None:
        """Look at a node's home and its published folder; randomness is never drawn, for nothing is made."""
        self._home, self._folder, self._passphrase = home, folder, passphrase
        self._keystore = Keystore(home.keys, randomness=randomness)
        self._randomness = randomness
        self._found = Inspection()

    def inspect(self, *, now: Seconds, report: Report) -> Inspection:
        """Look at everything.

        Raises:
            ConditionError: `PASSPHRASE`, `DISK_FULL`, `NOT_READY`, `VERSION_MISMATCH`: what is in the way of looking.
        """
        self._look(Part.KEYS, self._open_keys)
        self._look(Part.TLS, lambda: self._note(read_tls_key(self._home.tls), ""))
        self._look(Part.DRAFT, lambda: self._note(self._home.read_draft(), ""))
        if self._home.ceremony.exists() and any(self._home.ceremony.iterdir()):
            self._look(Part.CEREMONY, self._read_ceremony)
        else:
            self._found.add(Part.CEREMONY, Condition.UNSEEN, "no messages here; the other members have them")
        self._find_ledger()
        if self._found.charter is None:
            for part in (Part.CERTIFICATES, Part.SHARE, Part.VOTES, Part.STORE, Part.FOLDER):
                self._found.add(part, Condition.UNSEEN, "it is not known which ledger this is")
            return self._found
        charter = self._found.charter
        self._look(Part.CERTIFICATES, lambda: self._read_certificates(charter, now))
        self._look(Part.SHARE, lambda: self._open_share(charter))
        self._look(Part.VOTES, lambda: self._read_votes(charter))
        self._look(Part.STORE, lambda: self._read_store(report))
        self._look(Part.FOLDER, self._read_folder)
        return self._found

    def _look(self, part: Part, read: Callable[[], str]) -> None:
        try:
            words = read()
        except LedgerError as error:
            if error.code in _NO_DAMAGE:
                raise
            is_missing = error.code is Code.NOT_FOUND or "no such file" in error.found.lower()
            self._found.add(
                part, Condition.MISSING if is_missing else Condition.DAMAGED, f"{error.field}: {error.found}"
            )
        else:
            self._found.add(part, Condition.RIGHT, words)

    @staticmethod
    def _note(read: object, words: str) -> str:
        del read
        return words

    def _open_keys(self) -> str:
        self._found.keys = self._keystore.open(self._passphrase)
        return ""

    def _read_ceremony(self) -> str:
        """Take up the ceremony from its messages; without its draft or the keys they mean nothing."""
        keys = self._found.keys
        if keys is None or self._found.condition(Part.DRAFT) is not Condition.RIGHT:
            raise _missing("ceremony", "no keys or no draft to read it with")
        draft = self._home.read_draft()
        log = MessageLog(self._home.ceremony / f"{compute_session(draft).hex()}.log")
        kept = log.read()
        with log.believed():
            ceremony = Ceremony(
                draft, identity=keys.identity, encryption=keys.encryption, randomness=self._randomness, kept=kept
            )
        is_all_said = not any(isinstance(action, Keep) for action in ceremony.start())
        result = ceremony.result()
        if result is None or not is_all_said:  # what is due is said by the node itself, never here
            return f"{len(kept)} messages, not done"
        self._take(result.charter.entry, result.transcript)
        return f"{len(kept)} messages, done"

    def _find_ledger(self) -> None:
        """Look for charter and transcript where they may be: ceremony, database, published folder, kept aside."""
        for entry, transcript in self._places():
            if self._found.charter is None:
                self._take(entry, transcript)
        charter = self._found.charter
        if charter is None:
            self._found.add(Part.LEDGER, Condition.MISSING, "no ledger was founded here, or nothing of it is left")
        else:
            self._found.add(Part.LEDGER, Condition.RIGHT, f"{charter.origin}, {charter.fingerprint}")

    def _places(self) -> Iterator[tuple[bytes, bytes]]:
        for folder in (self._folder, *sorted((self._home.root / ASIDE).glob("*"), reverse=True)):
            try:
                yield (
                    read_file(folder / CHARTER, size_max=ENTRY_BYTES_MAX),
                    read_file(folder / TRANSCRIPT, size_max=TRANSCRIPT_BYTES_MAX),
                )
            except LedgerError:
                continue
        if self._home.store.exists():
            try:
                store = Store(self._home.store)
                try:
                    yield b"".join(store.entries(LeafIndex(0), 1)), store.meta("transcript") or b""
                finally:
                    store.close()
            except LedgerError:
                return

    def _take(self, entry: bytes, transcript: bytes) -> None:
        """Believe a charter that this member's own identity key signed, as every founder's did, and its transcript."""
        keys = self._found.keys
        if keys is None:
            return
        try:
            charter = parse_charter(entry)
            read_transcript(charter, transcript)
        except LedgerError:
            return
        mine = [member.index for member in charter.members if member.identity == keys.identity.public_key]
        if mine:
            self._found.charter, self._found.member, self._found.transcript = charter, mine[0], transcript

    @property
    def _me(self) -> MemberIndex:
        assert self._found.member is not None
        return self._found.member

    def _read_certificates(self, charter: Charter, now: Seconds) -> str:
        right, wrong = self._home.find_certificates(members_of_charter(charter), me=self._me, now=now)
        for index, problem in wrong.items():
            raise problem.inside(charter.member(index).id)
        return f"of {len(right)} members"

    def _open_share(self, charter: Charter) -> str:
        share = self._keystore.open_share(FIRST_EPOCH, self._passphrase)
        if share.member != self._me or share.public_share != charter.public_share(self._me):
            raise ConditionError(
                field="share", found="another one", expected="this member's", code=Code.KEY_FILE_DAMAGED
            )
        return ""

    def _read_votes(self, charter: Charter) -> str:
        try:
            raw = self._home.votes.read_bytes()
        except FileNotFoundError:
            raise _missing(str(self._home.votes), "No such file") from None
        contents = votelog.read(raw, ledger_id=charter.ledger_id, member=self._me)
        votes = [record for record in contents.records if isinstance(record, Vote)]
        torn = len(raw) - contents.intact_bytes
        words = f"{len(votes)} votes, up to view {max((vote.view for vote in votes), default=0)}"
        words += f"; a last record of {torn} bytes was cut short and said nothing" if torn else ""
        return words + ("; begun anew as lost" if votelog.is_recovering(contents.records) else "")

    def _read_store(self, report: Report) -> str:
        if not self._home.store.exists():
            raise _missing(str(self._home.store), "No such file")
        store = Store(self._home.store)
        try:
            if store.base is not None:
                return self._read_begun(store, store.base.header.height, report)
            header = reexecute(store, report).header
            with believed(store.path):
                State.restore(store.state_items(), charter=self._found.charter)
        finally:
            store.close()
        return f"height {header.height}, {header.tree_size} entries, executed again from entry 0"

    def _read_begun(self, store: Store, begun_at: Height, report: Report) -> str:
        """Look at a database that began from a snapshot, and at the history that is audited beside it."""
        height = check_begun(store, report)
        words = f"height {height}, begun from the snapshot of block {begun_at}, every seal verified from there on"
        if not self._home.history.exists():
            return f"{words}; its history is not audited yet"
        history = Store(self._home.history)
        try:
            audited = reexecute(history, report).header.height
        finally:
            history.close()
        return f"{words}; history executed again from entry 0 to block {audited}"

    def _read_folder(self) -> str:
        if self._found.condition(Part.STORE) is not Condition.RIGHT or not (self._folder / CHECKPOINT).exists():
            return "written again when the node runs"
        store = Store(self._home.store)
        try:
            if store.base is not None:
                return "not compared: the history that it shows is still audited"
            return self._compare_folder(store)
        finally:
            store.close()

    def _compare_folder(self, store: Store) -> str:
        """Hold the tiles against the database; bundles are made of the same entries in the same call."""
        note = parse_note(read_file(self._folder / CHECKPOINT, size_max=NOTE_BYTES_MAX))
        size = parse_checkpoint(note.text).size
        if size > store.require_tip().header.tree_size:
            return f"{size} entries, more than the database has"
        for tile in tiles_for_size(TreeSize(0), size):
            raw = read_file(self._folder / tile_path(tile), size_max=BUNDLE_BYTES_MAX)
            if raw != compute_tile(tile, read=store.read_hash):
                raise ConditionError(
                    field=tile_path(tile), found="other bytes", expected="the ledger's", code=Code.STORE_DAMAGED
                )
        return f"{size} entries"


def _missing(field: str, found: str) -> ConditionError:
    return ConditionError(field=field, found=found, expected="what was written", code=Code.NOT_FOUND)
