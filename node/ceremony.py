"""Drives a founding ceremony (`node.founding`) over the members' mutual TLS, and keeps what a restart needs.

Founders give each other, pairwise and again and again, what the other has not shown that it holds, until all hold all:
so lost calls, late founders and restarts need no special care. What a founder has shown counts as long as a connection
lasts, and its own messages come first: one that lost its records must learn of its deal before it makes another. A
message is on disk before it is sent or used. When the result is there, share and store are written in this order, the
store last, so that a half-written founding is simply taken up again.

The vote log is begun earlier: right before this founder's own confirmation is kept, and at no other moment. Nobody
votes before it holds all confirmations, its own among them; so where that is held, votes may have been cast, and a vote
log that is not there was lost. This holds for a node that kept its ceremony's messages and lost all else, and for one
that lost its disk but for its keys and has its messages back from the others.
"""

import asyncio
import contextlib
import os
import secrets
from collections.abc import AsyncGenerator, Callable, Container, Iterable, Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog

from ledger.errors import Code, ConditionError, FormatError, LedgerError, SignatureError
from ledger.limits import CEREMONY_MESSAGE_BYTES_MAX, MESSAGE_BYTES_MAX
from ledger.positions import FIRST_EPOCH, MemberIndex, Seconds
from node import failpoints, founding
from node.beginning import found_store
from node.ceremony_messages import Confirmed, Dealt, parse_message
from node.config import Config
from node.consensus.lanes import Lane
from node.draft import Draft, compute_session
from node.founding import Ceremony, FoundingResult
from node.greeting import Greeting
from node.home import Home, members_of_draft
from node.keys import ShareKey
from node.keystore import Keystore, MemberKeys, Passphrase
from node.peers import PeerAddress, Peers, PeerServicer
from node.ports import make_peer_server
from node.tls import (
    TlsKey,
    make_channel_credentials,
    make_identifier,
    make_server_credentials,
    server_name,
)
from node.v1 import peer_pb2
from node.votefile import VoteFile

EXCHANGE_EVERY_S: Final = 0.5
STOP_GRACE_S: Final = 1.0
GIVEN_BYTES_MAX: Final = MESSAGE_BYTES_MAX // 2
_LENGTH_BYTES: Final = 4

Report = Callable[[str], None]


class MessageLog:
    """The messages of one session on disk: each with its length before it, synced; a torn last one is dropped."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> list[bytes]:
        """Return the messages kept, oldest first.

        Raises:
            ConditionError: `STORE_DAMAGED`.
        """
        with _disk_errors(self._path):
            raw = self._path.read_bytes() if self._path.exists() else b""
            messages: list[bytes] = []
            position = 0
            while position + _LENGTH_BYTES <= len(raw):
                length = int.from_bytes(raw[position : position + _LENGTH_BYTES], "big")
                end = position + _LENGTH_BYTES + length
                if length > CEREMONY_MESSAGE_BYTES_MAX:
                    raise self._damaged(f"a message of {length} bytes at {position}")
                if end > len(raw):
                    break
                messages.append(raw[position + _LENGTH_BYTES : end])
                position = end
            if position < len(raw):
                os.truncate(self._path, position)
        return messages

    @contextlib.contextmanager
    def believed(self) -> Iterator[None]:
        """Say of which file a message is that cannot have been kept.

        Raises:
            ConditionError: `STORE_DAMAGED`.
        """
        try:
            yield
        except (FormatError, SignatureError) as error:
            raise self._damaged(str(error)) from error

    def _damaged(self, found: str) -> ConditionError:
        return ConditionError(
            field=str(self._path),
            found=found,
            expected="messages as written; remove the file, and the other founders give them back",
            code=Code.STORE_DAMAGED,
        )

    def append(self, message: bytes) -> None:
        """Keep one message, durably.

        Raises:
            ConditionError: the disk refuses; the ceremony must stop, for what it says next may not be kept.
        """
        assert len(message) <= CEREMONY_MESSAGE_BYTES_MAX
        with _disk_errors(self._path):
            self._path.parent.mkdir(mode=0o700, exist_ok=True)
            raw = len(message).to_bytes(_LENGTH_BYTES, "big") + message
            with self._path.open("ab") as file:
                failpoints.reach("ceremony.torn", failpoints.Torn(file.fileno(), raw))
                file.write(raw)
                file.flush()
                failpoints.reach("ceremony.written")
                os.fsync(file.fileno())
        failpoints.reach("ceremony.kept")


@contextlib.contextmanager
def _disk_errors(path: Path) -> Iterator[None]:
    """Turn the system's words into ours."""
    try:
        yield
    except OSError as error:
        raise ConditionError(
            field=str(path), found=os.strerror(error.errno or 0), expected="a writable disk", code=Code.DISK_FULL
        ) from error


@dataclass(frozen=True, slots=True)
class CeremonyParts:
    """What a ceremony is held with."""

    home: Home
    config: Config
    draft: Draft
    keys: MemberKeys
    tls: TlsKey
    now: Seconds


class CeremonyHost:
    """A `node.peers.PeerHandler` while founding, and afterwards the memory that answers stragglers."""

    def __init__(self, parts: CeremonyParts, report: Report) -> None:
        """Take up the ceremony of this draft where the messages on disk left it.

        Raises:
            LedgerError: the draft does not have this node's keys.
        """
        self._parts, self._report = parts, report
        self._log = MessageLog(parts.home.ceremony / f"{compute_session(parts.draft).hex()}.log")
        kept = self._log.read()
        self._seen = set(kept)  # only asked for membership
        with self._log.believed():
            self.ceremony = Ceremony(
                parts.draft,
                identity=parts.keys.identity,
                encryption=parts.keys.encryption,
                randomness=secrets.token_bytes,
                kept=kept,
            )
        self._news = asyncio.Event()
        self._senders: dict[bytes, MemberIndex] = {}
        self._shown: dict[MemberIndex, set[bytes]] = {}  # what each has shown that it holds; only asked for membership
        self._journal = structlog.get_logger("ceremony")
        self._disk_problem: ConditionError | None = None
        self._told: dict[MemberIndex, str] = {}
        self.has_lost_records = False  # its own deal came back from others: it was here before, and may have voted

    # -- the peer handler --------------------------------------------------------------------------------------------

    def on_greeted(self, member: MemberIndex) -> None:
        """Forget what a founder showed over an earlier connection: it may have lost what it held."""
        self._shown.pop(member, None)

    def greeting(self) -> Greeting:
        """Say which ceremony this node is in."""
        return Greeting(ledger_id=b"", session_id=self.ceremony.session, member=self.ceremony.member)

    def height(self) -> int:
        """Return 0: there is no ledger yet."""
        return 0

    async def on_message(self, member: MemberIndex, lane: Lane, message: peer_pb2.PeerMessage) -> bool:
        """Refuse what belongs to a ledger; a member that has it already sends it again later."""
        del member, lane, message
        raise ConditionError(field="message", found="founding", expected="a founded node", code=Code.NOT_READY)

    async def on_fetch(
        self, member: MemberIndex, request: peer_pb2.FetchRequest
    ) -> AsyncGenerator[peer_pb2.FetchResponse]:
        """Give nothing: there is no ledger yet."""
        del member, request
        nothing: tuple[peer_pb2.FetchResponse, ...] = ()
        for response in nothing:
            yield response

    async def on_found(self, member: MemberIndex, request: peer_pb2.FoundRequest) -> list[bytes]:
        """Take another founder's messages and give all that are held here.

        Raises:
            ConditionError: another session's.
        """
        if request.session_id != self.ceremony.session:
            raise ConditionError(
                field="session_id",
                found=request.session_id.hex(),
                expected=f"{self.ceremony.session.hex()}: do all founders have the same draft?",
                code=Code.WRONG_LEDGER,
            )
        self._take(member, request.messages)
        # Once there is a ledger, new connections are greeted elsewhere: whoever still asks gets everything.
        shown = self._shown.get(member, set()) if self.ceremony.result() is None else set[bytes]()
        return self._choose(member, shown)

    def _sender_of(self, message: bytes) -> MemberIndex:
        if message not in self._senders:
            self._senders[message] = parse_message(message).body.sender
        return self._senders[message]

    def _choose(self, member: MemberIndex, shown: Container[bytes]) -> list[bytes]:
        """Give messages that a founder has not shown that it holds, its own first, as many as fit one call."""
        lacking: list[bytes] = []
        size = 0
        for message in sorted(self.ceremony.messages(), key=lambda held: self._sender_of(held) != member):
            if message in shown:
                continue
            size += len(message)
            if size > GIVEN_BYTES_MAX:
                break
            lacking.append(message)
        return lacking

    def _take(self, member: MemberIndex, messages: Sequence[bytes]) -> None:
        for message in messages:
            if message in self._seen:
                continue
            try:
                actions = self.ceremony.handle(message)
            except LedgerError as error:
                self._journal.warning("ceremony message refused", source=member, problem=str(error))
            else:
                self._carry_out(actions, received=message)
        shown = self._shown.setdefault(member, set())
        before = len(shown)
        shown.update(message for message in messages if message in self._seen)
        if len(shown) > before:
            self._news.set()

    def _are_all_done(self, peers: Peers) -> bool:
        """Say whether every other founder has shown that it holds all that is held here."""
        held = self.ceremony.messages()
        return all(self._shown.get(member, set()).issuperset(held) for member in peers.links)

    def _begin_votes(self, message: bytes) -> None:
        """Begin the vote log before this founder's confirmation is kept: whatever log is there, no vote is in it."""
        body = parse_message(message).body
        if isinstance(body, Confirmed) and body.sender == self.ceremony.member and not self.has_lost_records:
            votes = VoteFile(self._parts.home.votes, ledger_id=bytes.fromhex(body.digest), member=body.sender)
            votes.create()
            votes.close()

    def _carry_out(self, actions: Iterable[founding.Action], *, received: bytes = b"") -> None:
        for action in actions:
            match action:
                case founding.Keep():
                    try:
                        if action.message != received:  # said now, for the first time
                            self._begin_votes(action.message)
                        self._log.append(action.message)
                    except ConditionError as error:
                        self._disk_problem = error
                        self._news.set()
                        raise
                    self._seen.add(action.message)
                case founding.Send():
                    self._news.set()
                case founding.Failed():
                    self._report(f"ceremony failed: {action.reason}")
                case founding.Founded():
                    self._news.set()

    # -- holding it --------------------------------------------------------------------------------------------------

    async def hold(self, *, linger_s: float) -> FoundingResult:
        """Hold the ceremony until this founder has the result and, for at most `linger_s`, all others have it too.

        Raises:
            ConditionError: the ceremony failed (`POLICY`), or the port is taken.
        """
        parts = self._parts
        certificates = parts.home.read_certificates(members_of_draft(parts.draft), parts.now)
        others = {index: certificate for index, certificate in certificates.items() if index != self.ceremony.member}
        trusted = list(certificates.values())  # its own too: a founder that is alone must trust somebody
        credentials = make_channel_credentials(parts.tls, trusted)
        moved = parts.config.peer.addresses
        addresses = [
            PeerAddress(
                member=index,
                id=member.id,
                address=str(moved.get(member.id, member.peer)),
                server_name=server_name(member.id),
            )
            for index, member in ((index, parts.draft.member(index)) for index in others)
        ]
        peers = Peers(
            addresses, credentials, self.greeting, self._on_connected, skew_alarm_ms=parts.config.clock.skew_alarm_ms
        )
        servicer = PeerServicer(
            self, {index: link.state for index, link in peers.links.items()}, make_identifier(others)
        )
        server = make_peer_server(servicer, str(parts.config.peer.listen), make_server_credentials(parts.tls, trusted))
        async with AsyncExitStack() as stack:
            await server.start()
            stack.push_async_callback(server.stop, STOP_GRACE_S)
            async with asyncio.TaskGroup() as group:
                dialling = group.create_task(peers.run(), name="peers")
                await self._take_up(peers)
                self._carry_out(self.ceremony.start())
                result = await self._until_done(peers)
                await self._linger(peers, linger_s)
                dialling.cancel()
        return result

    async def _on_connected(self, member: MemberIndex) -> None:
        self.on_greeted(member)
        self._news.set()

    async def _take_up(self, peers: Peers) -> None:
        """Rule E of `node.founding`: hear the others before dealing, for this node may have dealt and lost its records.

        Ends once its own deal is here, or when every other founder was heard and none has it.
        """
        if self._has_dealt():
            return
        told: list[str] = []
        while not self._has_dealt():
            silent = [link.state.id for member, link in peers.links.items() if member not in self._shown]
            if not silent:
                return
            if silent != told:
                told = silent
                self._report(f"waiting to reach {', '.join(silent)}")
            await self._exchange(peers)
            await self._pause()
        self.has_lost_records = True
        self._report("this node dealt before and lost its records; they came back from the others")

    def _has_dealt(self) -> bool:
        bodies = (parse_message(message).body for message in self.ceremony.messages())
        return any(isinstance(body, Dealt) and body.sender == self.ceremony.member for body in bodies)

    async def _until_done(self, peers: Peers) -> FoundingResult:
        told = ""
        while True:
            result = self.ceremony.result()
            if result is not None:
                await self._exchange(peers)
                return result
            failure = self.ceremony.failure()
            if failure is not None:
                await self._exchange(peers)  # all should learn why
                raise ConditionError(
                    field="ceremony",
                    found=failure,
                    expected="no complaint; start again with a new founded_at_ms in the draft",
                    code=Code.POLICY,
                )
            pending = str(self.ceremony.pending() or "")
            if pending and pending != told:
                told = pending
                self._report(pending)
            await self._exchange(peers)
            await self._pause()

    async def _linger(self, peers: Peers, linger_s: float) -> None:
        """Go on answering until every other founder has shown that it is done."""
        try:
            async with asyncio.timeout(linger_s):
                while not self._are_all_done(peers):
                    await self._exchange(peers)
                    await self._pause()
                await self._exchange(peers)  # so that the others see it of this one too
        except TimeoutError:
            self._journal.info("not all founders are done yet; those who are go on answering them")

    async def _exchange(self, peers: Peers) -> None:
        """Give every founder what is held here and take what it holds; a silent one keeps nobody waiting.

        Raises:
            ConditionError: the disk refused to keep something.
        """
        async with asyncio.TaskGroup() as group:
            for member in peers.connected():
                group.create_task(self._exchange_with(peers, member))
        if self._disk_problem is not None:
            raise self._disk_problem
        for member, link in peers.links.items():
            is_refusal = link.state.last_code not in {None, Code.UNREACHABLE}
            if is_refusal and self._told.get(member) != link.state.last_error:
                self._told[member] = link.state.last_error
                self._report(link.state.last_error)

    async def _exchange_with(self, peers: Peers, member: MemberIndex) -> None:
        given = self._choose(member, self._shown.get(member, set()))
        try:
            answer = await peers.links[member].found(self.ceremony.session, given)
        except LedgerError as error:
            self._journal.info("founder did not answer", member=member, problem=str(error))
            return
        self._shown.setdefault(member, set()).update(given)
        with contextlib.suppress(ConditionError):  # of the disk: kept, and raised by whoever waits
            self._take(member, answer)

    async def _pause(self) -> None:
        """Wait for news, or a while: what was lost is exchanged again."""
        try:
            async with asyncio.timeout(EXCHANGE_EVERY_S):
                await self._news.wait()
        except TimeoutError:
            return
        self._news.clear()


def write_result(home: Home, result: FoundingResult, keystore: Keystore, passphrase: Passphrase) -> None:
    """Make a ceremony's result this node's own: the share, and last the store. Safe to repeat.

    The vote log was begun with the confirmation; one that is missing now is begun as lost by `VoteFile.load`.

    Args:
        home: this node's.
        result: of the ceremony.
        keystore: where the share goes.
        passphrase: that encrypts it.

    Raises:
        ConditionError: the disk refuses.
    """
    failpoints.reach("founding.log")
    keystore.write_share(ShareKey(result.share, epoch=FIRST_EPOCH, member=result.member), passphrase)
    failpoints.reach("founding.share")
    found_store(home.store, result.charter.entry, result.transcript)


assert CEREMONY_MESSAGE_BYTES_MAX <= GIVEN_BYTES_MAX
