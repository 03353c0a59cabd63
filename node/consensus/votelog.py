"""The vote log: what must be on disk before a vote leaves this node, and how it is read back.

A log is a file of frames, each written by one append and fdatasync before anything it says is sent:

    length u32 | check 4 | payload | check 16

The first check is over the length, the second over length and payload (SHA-256 of `domains.VOTE_LOG` and these,
truncated). A crash can leave the *last* frame cut short or zero-filled: it was never durable, so nothing it says was
sent, and `read` drops it. Anything else that is wrong is damage, and a node whose log is damaged does not know what it
has said: it starts a new log with `create(is_lost=True)` and recovers (core.py, step 9).

Payloads, all integers big-endian, a kind byte first:

    1 START        ledger id 32 | member u16 | version u16        first record of every log
    2 LOST                                                        votes before this record are not known
    3 BARRIER      epoch u64 | view u64                           never vote in this epoch up to this view
    4 VOTE         kind u8 | epoch u64 | view u64 | member u16 | digest 32 | share 48 | signature 64
    5 CERTIFICATE  kind u8 | epoch u64 | view u64 | digest 32 | (member u16 | signature 64) times q
    6 BLOCK        header length u16 | header | entry hashes, 32 bytes each

Pruning: nothing at or below a *committed* final view is ever needed again, since a restarted node begins above the
newest final view of its store; a BARRIER says so, should the store ever be an older one. The driver calls `compact` now
and then, writes the result to another file, syncs it, renames it over the log and syncs the folder; between two events,
so no frame is lost in between.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final, assert_never

from ledger import domains
from ledger.blocks import parse_header
from ledger.encoding import decode_u64, encode_u64
from ledger.errors import Code, ConditionError, LedgerError
from ledger.limits import (
    BLOCK_ENTRIES_MAX,
    HASH_BYTES,
    HEADER_BYTES_MAX,
    MEMBERS_MAX,
    SEAL_BYTES,
    SIGNATURE_BYTES,
    SIZE_MAX,
)
from ledger.positions import Epoch, MemberIndex, View
from node.consensus.chain import Block
from node.consensus.messages import NO_DIGEST, NO_SHARE, Certificate, Vote, VoteKind

VERSION: Final = 1
_LENGTH_CHECK_BYTES: Final = 4
_HEAD_BYTES: Final = 4 + _LENGTH_CHECK_BYTES
_CHECK_BYTES: Final = 16
_VOTE_BYTES: Final = 1 + 8 + 8 + 2 + HASH_BYTES + SEAL_BYTES + SIGNATURE_BYTES
_CERTIFIED_BYTES: Final = 2 + SIGNATURE_BYTES
_PAYLOAD_BYTES_MAX: Final = 1 + 2 + HEADER_BYTES_MAX + BLOCK_ENTRIES_MAX * HASH_BYTES
assert 1 + 17 + HASH_BYTES + MEMBERS_MAX * _CERTIFIED_BYTES <= _PAYLOAD_BYTES_MAX

_START, _LOST, _BARRIER, _VOTE, _CERTIFICATE, _BLOCK = range(1, 7)


@dataclass(frozen=True, slots=True)
class Start:
    """Whose log this is."""

    ledger_id: bytes
    member: MemberIndex


@dataclass(frozen=True, slots=True)
class Lost:
    """What was voted before this record is not known."""


@dataclass(frozen=True, slots=True)
class Barrier:
    """Never vote in this epoch in a view up to this one; answers a `Lost` before it."""

    epoch: Epoch
    view: View


Record = Start | Lost | Barrier | Vote | Certificate | Block


@dataclass(frozen=True, slots=True)
class LogContents:
    """What a log says.

    Attributes:
        records: all but the `Start`, in the order written.
        intact_bytes: length of the file's good part; truncate the file to it before appending.
    """

    records: tuple[Record, ...]
    intact_bytes: int


def encode_record(record: Record) -> bytes:
    """Give the frame of one record, to be appended as it is."""
    payload = _encode_payload(record)
    assert 0 < len(payload) <= _PAYLOAD_BYTES_MAX
    length = len(payload).to_bytes(4, "big")
    return b"".join((length, _check(length)[:_LENGTH_CHECK_BYTES], payload, _check(length + payload)))


def create(*, ledger_id: bytes, member: MemberIndex, is_lost: bool) -> bytes:
    """Give a new log's first bytes, to be written to another file, synced and renamed into place.

    Args:
        ledger_id: the ledger's.
        member: this member's index.
        is_lost: False once, when the node joins the ledger; True whenever a log that once was is missing or damaged.
    """
    start = encode_record(Start(ledger_id=ledger_id, member=member))
    return start + encode_record(Lost()) if is_lost else start


def read(raw: bytes, *, ledger_id: bytes, member: MemberIndex) -> LogContents:
    """Read a log back; a last frame that was cut short is dropped.

    Raises:
        ConditionError: STORE_DAMAGED: anything else is wrong, or it is another member's or ledger's log.
    """
    records: list[Record] = []
    position = 0
    while position < len(raw):
        payload = _read_payload(raw, position)
        if payload is None:
            break
        records.append(_parse_payload(payload, position))
        position += _HEAD_BYTES + len(payload) + _CHECK_BYTES
    if not records or records[0] != Start(ledger_id=ledger_id, member=member):
        raise _damaged(0, "no start record of this member and ledger")
    if any(isinstance(record, Start) for record in records[1:]):
        raise _damaged(0, "a second start record")
    return LogContents(records=tuple(records[1:]), intact_bytes=position)


def compact(raw: bytes, *, ledger_id: bytes, member: MemberIndex, epoch: Epoch, final_view: View) -> bytes:
    """Give a shorter log that says the same of every view above the final one, and to be mute up to there.

    The barrier takes the place of the votes that are dropped: with a store that is older than the log (pulled anew, or
    from a backup) this node would else be free to vote again where it has voted.

    Args:
        raw: the log as it is.
        ledger_id: the ledger's.
        member: this member's index.
        epoch: of the newest committed final header.
        final_view: its view.

    Raises:
        ConditionError: STORE_DAMAGED, as `read`.
    """
    records = read(raw, ledger_id=ledger_id, member=member).records
    kept: list[Record] = []
    for record in records:
        if _is_above(record, epoch=epoch, view=final_view):
            kept.append(record)
        elif isinstance(record, Barrier):  # answered every loss before it, and the floor says more than it
            kept = [other for other in kept if not isinstance(other, Lost)]
    floor = [Barrier(epoch=epoch, view=final_view)] if len(kept) < len(records) else []
    return create(ledger_id=ledger_id, member=member, is_lost=False) + b"".join(map(encode_record, [*floor, *kept]))


def is_recovering(records: Iterable[Record]) -> bool:
    """Tell whether votes were lost and no barrier has been set since."""
    lost = False
    for record in records:
        lost = isinstance(record, Lost) or (lost and not isinstance(record, Barrier))
    return lost


def _is_above(record: Record, *, epoch: Epoch, view: View) -> bool:
    match record:
        case Start():
            return False  # `compact` writes its own
        case Lost():
            return True  # until a barrier answers it
        case Barrier():
            return (record.epoch, record.view) > (epoch, view)  # answers the Lost before it
        case Block(header=header):
            return (header.epoch, header.view) > (epoch, view)
        case Vote() | Certificate():
            return (record.epoch, record.view) > (epoch, view)
        case _:
            assert_never(record)


def _check(raw: bytes) -> bytes:
    return hashlib.sha256(domains.VOTE_LOG + raw).digest()[:_CHECK_BYTES]


def _damaged(position: int, found: str) -> ConditionError:
    return ConditionError(
        field=f"votelog[{position}]", found=found, expected="records as written", code=Code.STORE_DAMAGED
    )


def _read_payload(raw: bytes, position: int) -> bytes | None:
    """Give the payload of the frame here, or None if the frame was cut short by a crash.

    Cut short means: the file ends before the frame does, or from somewhere in its last check or its head on there is
    nothing but zeros (a file system that had grown the file but not yet written it).
    """
    rest = len(raw) - position
    head = raw[position : position + _HEAD_BYTES]
    if rest < _HEAD_BYTES or not any(memoryview(raw)[position + _HEAD_BYTES - 1 :]):
        return None
    length = int.from_bytes(head[:4], "big")
    if head[4:] != _check(head[:4])[:_LENGTH_CHECK_BYTES] or not 0 < length <= _PAYLOAD_BYTES_MAX:
        raise _damaged(position, "a length that fails its check")
    end = _HEAD_BYTES + length + _CHECK_BYTES
    if rest < end:
        if _holds_frame(raw[position + 1 :]):
            raise _damaged(position, "a record cut short, and another one after it")
        return None
    body_end = position + _HEAD_BYTES + length
    payload = raw[position + _HEAD_BYTES : body_end]
    check = raw[body_end : position + end]
    if check != _check(head[:4] + payload):
        if not any(check) and not any(memoryview(raw)[body_end:]):
            return None
        raise _damaged(position, "a record that fails its check")
    return payload


def _holds_frame(raw: bytes) -> bool:
    """Tell whether a whole frame begins anywhere in these bytes."""
    for start in range(len(raw) - _HEAD_BYTES - _CHECK_BYTES):
        length = int.from_bytes(raw[start : start + 4], "big")
        end = start + _HEAD_BYTES + length
        if 0 < length <= _PAYLOAD_BYTES_MAX and end + _CHECK_BYTES <= len(raw):
            head, payload = raw[start : start + 4], raw[start + _HEAD_BYTES : end]
            is_head = raw[start + 4 : start + _HEAD_BYTES] == _check(head)[:_LENGTH_CHECK_BYTES]
            if is_head and raw[end : end + _CHECK_BYTES] == _check(head + payload):
                return True
    return False


def _encode_payload(record: Record) -> bytes:
    match record:
        case Start():
            return b"".join(
                (bytes((_START,)), record.ledger_id, record.member.to_bytes(2, "big"), VERSION.to_bytes(2, "big"))
            )
        case Lost():
            return bytes((_LOST,))
        case Barrier():
            return bytes((_BARRIER,)) + encode_u64(record.epoch) + encode_u64(record.view)
        case Vote():
            digest, share = record.digest or bytes(HASH_BYTES), record.share or bytes(SEAL_BYTES)
            head = bytes((_VOTE, record.kind)) + encode_u64(record.epoch) + encode_u64(record.view)
            return head + record.member.to_bytes(2, "big") + digest + share + record.signature
        case Certificate():
            head = bytes((_CERTIFICATE, record.kind)) + encode_u64(record.epoch) + encode_u64(record.view)
            votes = b"".join(vote.member.to_bytes(2, "big") + vote.signature for vote in record.votes)
            return head + (record.digest or bytes(HASH_BYTES)) + votes
        case Block():
            raw = record.header.raw
            return bytes((_BLOCK,)) + len(raw).to_bytes(2, "big") + raw + b"".join(record.entry_hashes)
        case _:
            assert_never(record)


def _parse_payload(payload: bytes, position: int) -> Record:
    """Read a payload whose check held; that it is well-formed is checked all the same."""
    try:
        record = _PARSERS[payload[0]](payload[1:])
        if _encode_payload(record) == payload:
            return record
    except (LedgerError, LookupError, ValueError):
        pass
    raise _damaged(position, "a record of no known form")


def _parse_start(body: bytes) -> Start:
    if int.from_bytes(body[34:], "big") != VERSION:
        raise _damaged(0, "another version of the log")
    return Start(ledger_id=body[:32], member=MemberIndex(int.from_bytes(body[32:34], "big")))


def _parse_barrier(body: bytes) -> Barrier:
    return Barrier(
        epoch=Epoch(decode_u64(body[:8], field="epoch", maximum=SIZE_MAX)),
        view=View(decode_u64(body[8:], field="view", maximum=SIZE_MAX)),
    )


def _parse_round(body: bytes) -> tuple[VoteKind, Epoch, View]:
    kind = VoteKind(body[0])
    barrier = _parse_barrier(body[1:17])
    return kind, barrier.epoch, barrier.view


def _parse_vote(body: bytes) -> Vote:
    kind, epoch, view = _parse_round(body)
    digest, share, signature = body[19:51], body[51:99], body[99:]
    return Vote(
        kind=kind,
        epoch=epoch,
        view=view,
        digest=NO_DIGEST if kind is VoteKind.NULLIFY else digest,
        member=MemberIndex(int.from_bytes(body[17:19], "big")),
        signature=signature,
        share=share if kind is VoteKind.FINALIZE else NO_SHARE,
    )


def _parse_certificate(body: bytes) -> Certificate:
    kind, epoch, view = _parse_round(body)
    digest = NO_DIGEST if kind is VoteKind.NULLIFY else body[17:49]
    votes = tuple(
        Vote(
            kind=kind,
            epoch=epoch,
            view=view,
            digest=digest,
            member=MemberIndex(int.from_bytes(body[start : start + 2], "big")),
            signature=body[start + 2 : start + _CERTIFIED_BYTES],
        )
        for start in range(49, len(body), _CERTIFIED_BYTES)
    )
    return Certificate(kind=kind, epoch=epoch, view=view, digest=digest, votes=votes)


def _parse_block(body: bytes) -> Block:
    header_end = 2 + int.from_bytes(body[:2], "big")
    hashes = tuple(body[start : start + HASH_BYTES] for start in range(header_end, len(body), HASH_BYTES))
    return Block(header=parse_header(body[2:header_end]), entry_hashes=hashes)


_PARSERS: Final[Mapping[int, Callable[[bytes], Record]]] = {
    _START: _parse_start,
    _LOST: lambda _: Lost(),
    _BARRIER: _parse_barrier,
    _VOTE: _parse_vote,
    _CERTIFICATE: _parse_certificate,
    _BLOCK: _parse_block,
}
