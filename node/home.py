"""A node's folder: which file is where, and how the files of the others' come in.

node.toml              settings
public.json            what this member shows of itself, to be sent to the founder who drafts
keys/                  encrypted keys (`node.keystore`)
tls/                   this node's TLS key and certificate
charter.toml           the draft all founders loaded
peers/<id>.pem         certificates of the members, as drafted; replace one to accept a member's new certificate
ceremony/<session>.log the messages of a ceremony
ledger.sqlite          the ledger (`node.store`)
history.sqlite         what was before the snapshot that the node began from, until it was audited (`node.history`)
evidence/              proofs of members' misconduct (`node.evidence`), one file each, for anybody to verify
witness/               key and memory with which this node witnesses foreign logs (`node.witnessing`), if it does
votes.log              the vote log (`node.votefile`); votes.lock keeps a second process out
public/                what is published
"""

import contextlib
import fcntl
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from ledger.charter import Charter
from ledger.errors import Code, ConditionError, LedgerError
from ledger.limits import DRAFT_BYTES_MAX
from ledger.positions import MemberIndex, Seconds
from node import failpoints
from node.draft import Draft, parse_draft
from node.tls import CERTIFICATE_BYTES_MAX, MemberCertificate, verify_certificate

STORE_FILE: Final = "ledger.sqlite"
HISTORY_FILE: Final = "history.sqlite"
VOTES_FILE: Final = "votes.log"
LOCK_FILE: Final = "node.lock"
EVIDENCE_FOLDER: Final = "evidence"
SNAPSHOTS_FOLDER: Final = "snapshots"
WITNESS_FOLDER: Final = "witness"


class Home:
    """Paths below one folder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.config = root / "node.toml"
        self.public_file = root / "public.json"
        self.keys = root / "keys"
        self.tls = root / "tls"
        self.draft = root / "charter.toml"
        self.peers = root / "peers"
        self.ceremony = root / "ceremony"
        self.store = root / STORE_FILE
        self.history = root / HISTORY_FILE
        self.votes = root / VOTES_FILE

    @property
    def is_founded(self) -> bool:
        """Say whether the ledger was begun here; the store is the last thing a ceremony writes."""
        return self.store.exists()

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Keep other processes from working in this folder while the context lasts, or until this one ends.

        Raises:
            ConditionError: `NOT_READY`: another one does; `CONFIG`: there is no such folder.
        """
        path = self.root / LOCK_FILE
        try:
            held = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            is_there = self.root.is_dir()
            raise ConditionError(
                field=str(path),
                found=os.strerror(error.errno or 0),
                expected="a writable disk" if is_there else "a folder of a node",
                code=Code.DISK_FULL if is_there else Code.CONFIG,
            ) from error
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield
        except BlockingIOError:
            raise ConditionError(
                field=str(self.root), found="another process at work here", expected="one node for this folder"
            ) from None
        finally:
            os.close(held)

    def read_draft(self) -> Draft:
        """Read the draft.

        Raises:
            LedgerError: missing, or wrong.
        """
        return parse_draft(read_file(self.draft, size_max=DRAFT_BYTES_MAX))

    def take_draft(self, source: Path) -> Draft:
        """Take over a draft and its members' certificates; the same one again keeps certificates that came since.

        Raises:
            LedgerError: it is wrong, or another draft is here already.
        """
        raw = read_file(source, size_max=DRAFT_BYTES_MAX)
        draft = parse_draft(raw)
        is_known = self.draft.exists() and parse_draft(self.draft.read_bytes()) == draft
        if self.draft.exists() and not is_known and self.is_founded:
            raise ConditionError(
                field=str(self.draft),
                found="another draft, already founded",
                expected="the same draft, or another home",
            )
        write_file(self.draft, raw)
        self.peers.mkdir(mode=0o700, exist_ok=True)
        for member in draft.members:
            certificate = self.peers / f"{member.id}.pem"
            if not (is_known and certificate.exists()):
                write_file(certificate, member.tls_certificate.encode())
        return draft

    def read_certificates(
        self, members: Mapping[MemberIndex, tuple[str, bytes]], now: Seconds
    ) -> dict[MemberIndex, MemberCertificate]:
        """Read and verify the members' TLS certificates.

        Args:
            members: id and identity key of each, believed.
            now: to refuse what has expired.

        Raises:
            LedgerError: one is missing, or not vouched for by the member's identity key.
        """
        return {
            index: self._read_certificate(member_id, identity, now) for index, (member_id, identity) in members.items()
        }

    def _read_certificate(self, member_id: str, identity: bytes, now: Seconds) -> MemberCertificate:
        path = self.peers / f"{member_id}.pem"
        raw = read_file(path, size_max=CERTIFICATE_BYTES_MAX)
        try:
            return verify_certificate(raw, member_id=member_id, identity=identity, now=now)
        except LedgerError as error:
            raise error.inside(path) from error

    def find_certificates(
        self, members: Mapping[MemberIndex, tuple[str, bytes]], *, me: MemberIndex, now: Seconds
    ) -> tuple[dict[MemberIndex, MemberCertificate], dict[MemberIndex, LedgerError]]:
        """Read the members' TLS certificates as far as they are right, and say what is wrong with the others.

        A running network must not depend on every member's certificate: one that is missing, expired or wrong keeps
        its own member out and nobody else.

        Raises:
            LedgerError: this node's own is wrong.
        """
        right: dict[MemberIndex, MemberCertificate] = {}
        wrong: dict[MemberIndex, LedgerError] = {}
        for index, member in members.items():
            try:
                right |= self.read_certificates({index: member}, now)
            except LedgerError as error:
                if index == me:
                    raise
                wrong[index] = error
        return right, wrong


def members_of_draft(draft: Draft) -> dict[MemberIndex, tuple[str, bytes]]:
    """Give id and identity key of each founder."""
    return {MemberIndex(i): (member.id, member.identity) for i, member in enumerate(draft.members, 1)}


def members_of_charter(charter: Charter) -> dict[MemberIndex, tuple[str, bytes]]:
    """Give id and identity key of each member."""
    return {member.index: (member.id, member.identity) for member in charter.members}


def read_file(path: Path, *, size_max: int) -> bytes:
    """Read a file an operator named.

    Raises:
        ConditionError: it is missing, unreadable or too large.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(size_max + 1)
    except OSError as error:
        raise ConditionError(
            field=str(path), found=os.strerror(error.errno or 0), expected="a readable file", code=Code.CONFIG
        ) from error
    if len(raw) > size_max:
        raise ConditionError(
            field=str(path), found="a larger file", expected=f"at most {size_max} bytes", code=Code.CONFIG
        )
    return raw


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def write_file(path: Path, raw: bytes) -> None:
    """Make a file hold exactly these bytes, durably, or leave it as it was.

    Raises:
        ConditionError: the disk refuses.
    """
    aside = path.with_name(path.name + ".new")
    try:
        with aside.open("wb") as file:
            failpoints.reach("file.torn", failpoints.Torn(file.fileno(), raw))
            file.write(raw)
            file.flush()
            os.fsync(file.fileno())
        failpoints.reach("file.aside")
        aside.rename(path)
        failpoints.reach("file.renamed")
        sync_folder(path.parent)
    except OSError as error:
        raise ConditionError(
            field=str(path), found=os.strerror(error.errno or 0), expected="a writable disk", code=Code.DISK_FULL
        ) from error
