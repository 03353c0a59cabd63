"""Formats of what members keep and say: votes, the vote log, the ceremony, key files, settings, wire messages."""

import hashlib
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from ledger.blocks import encode_header
from ledger.charter import compute_quorum
from ledger.limits import INTEGER_MAX, MEMBERS_MAX, SEAL_BYTES, TIME_S_MAX
from ledger.merkle import compute_root
from ledger.positions import (
    FIRST_EPOCH,
    BeaconRound,
    Epoch,
    Height,
    LeafIndex,
    MemberIndex,
    Millis,
    Seconds,
    TreeSize,
    View,
)
from ledger.rules.records.foundation import NATIONS, Nation
from ledger.rules.state import State, compute_state_digest
from ledger.sealedfile import Cost, decrypt_file, encrypt_file
from ledger.threshold.dealing import make_deal
from ledger.threshold.transcripts import (
    BOX_BYTES,
    SealedDeal,
    Transcript,
    encode_transcript,
    parse_transcript,
)
from ledger.v1 import block_pb2
from node.ceremony_messages import (
    Certified,
    CharterSigned,
    Check,
    Complaint,
    Confirmed,
    Dealt,
    parse_message,
    sign_message,
)
from node.consensus import votelog
from node.consensus.chain import Block
from node.consensus.messages import (
    NO_DIGEST,
    NO_SHARE,
    Certificate,
    Finalization,
    Message,
    Proposal,
    Vote,
    VoteKind,
    compute_vote_message,
)
from node.draft import Draft, PublicFile, compute_session, encode_draft, encode_public_file, parse_public_file
from node.keys import ShareKey
from node.keystore import Keystore, Passphrase
from node.snapshots import encode_snapshot, parse_snapshot
from node.store import Store
from node.tls import compute_voucher_message
from node.v1 import operator_pb2, peer_pb2, reading_pb2, submission_pb2
from node.wire import encode_beacon_share, encode_message, parse_beacon_share
from node.wire import parse_message as parse_wire
from tests.formats import entries, trees
from tests.formats.draws import Draw

COST = Cost(memory_kib=8, passes=1, lanes=1)


def make_vote(draw: Draw, kind: VoteKind, view: View | None = None, digest: bytes | None = None) -> Vote:
    return Vote(
        kind=kind,
        epoch=FIRST_EPOCH,
        view=View(draw.number()) if view is None else view,
        digest=NO_DIGEST if kind is VoteKind.NULLIFY else digest or draw.digest(),
        member=MemberIndex(draw.between(1, MEMBERS_MAX)),
        signature=draw.raw(64),
        share=draw.raw(48) if kind is VoteKind.FINALIZE else NO_SHARE,
    )


def make_certificate(draw: Draw) -> Certificate:
    kind, view = draw.pick((VoteKind.NOTARIZE, VoteKind.NULLIFY)), View(draw.number())
    digest = NO_DIGEST if kind is VoteKind.NULLIFY else draw.digest()
    votes = draw.some(lambda: make_vote(draw, kind, view, digest), 1, 4)
    return Certificate(kind=kind, epoch=FIRST_EPOCH, view=view, digest=digest, votes=votes)


def vote_message(draw: Draw) -> bytes:
    """What a vote's signature is over."""
    vote = make_vote(draw, draw.pick(tuple(VoteKind)))
    return compute_vote_message(
        ledger_id=draw.digest(), kind=vote.kind, epoch=vote.epoch, view=vote.view, digest=vote.digest, share=vote.share
    )


def vote_log(draw: Draw) -> bytes:
    """A whole log with a record of every kind."""
    ledger_id, member = draw.digest(), MemberIndex(draw.between(1, MEMBERS_MAX))
    block = Block(trees.header(draw, 1 + draw.below(99)), draw.some(draw.digest, 0, 3))
    barrier = votelog.Barrier(Epoch(1 + draw.below(9)), View(draw.number()))
    votes = [make_vote(draw, kind) for kind in VoteKind]
    records: Sequence[votelog.Record] = [barrier, *votes, make_certificate(draw), block]
    begun = votelog.create(ledger_id=ledger_id, member=member, is_lost=draw.flag())
    raw = begun + b"".join(votelog.encode_record(record) for record in records)
    read = votelog.read(raw, ledger_id=ledger_id, member=member)
    assert list(read.records[-len(records) :]) == records
    return raw


def wire_messages(draw: Draw) -> bytes:
    """What members say to each other in the protocol, in its envelope."""
    header = trees.header(draw, 1 + draw.below(99))
    said: list[Message] = [
        *(make_vote(draw, kind) for kind in VoteKind),
        make_certificate(draw),
        Proposal(header, draw.some(draw.digest, 0, 3), make_vote(draw, VoteKind.NOTARIZE)),
        Finalization(header, draw.raw(48)),
    ]
    raws = [encode_message(message, ledger_id=draw.digest(), epoch=FIRST_EPOCH) for message in said]
    assert [parse_wire(peer_pb2.PeerMessage.FromString(raw)) for raw in raws] == said
    return b"".join(raws)


def beacon_share(draw: Draw) -> bytes:
    """A member's share of a round's beacon, in the same envelope."""
    beacon_round, share = BeaconRound(draw.number(INTEGER_MAX)), draw.raw(SEAL_BYTES)
    raw = encode_beacon_share(beacon_round, share, ledger_id=draw.digest(), epoch=FIRST_EPOCH)
    assert parse_beacon_share(peer_pb2.PeerMessage.FromString(raw).beacon_share) == (beacon_round, share)
    return raw


def _describe(field: FieldDescriptor) -> str:
    kind = field.message_type or field.enum_type
    name = kind.full_name if kind else field.type
    within = f" in {field.containing_oneof.name}" if field.containing_oneof else ""
    return f"{field.number} {field.name} {name}{' repeated' if field.is_repeated else ''}{within}"


def _walk(message: Descriptor) -> list[str]:
    lines = [message.full_name, *(f"  {_describe(field)}" for field in sorted(message.fields, key=lambda f: f.number))]
    return lines + [line for inner in message.nested_types for line in _walk(inner)]


def describe_protocol(module: ModuleType) -> bytes:
    """Name each message with its fields, numbers and types, and each call."""
    file = module.DESCRIPTOR
    lines = [line for message in file.message_types_by_name.values() for line in _walk(message)]
    for service in file.services_by_name.values():
        for method in service.methods:
            stream = (method.client_streaming, method.server_streaming)
            lines.append(f"{method.full_name} {method.input_type.full_name} {method.output_type.full_name} {stream}")
    return "\n".join(lines).encode()


def protocols(_: Draw) -> bytes:
    """What is kept and what is spoken in protobuf."""
    modules = (block_pb2, peer_pb2, reading_pb2, submission_pb2, operator_pb2)
    return b"\n\n".join(describe_protocol(module) for module in modules)


def public_member(draw: Draw, index: int) -> PublicFile:
    return PublicFile(
        id=f"{draw.identifier()}{index}",
        name=draw.text(),
        node=f"{draw.key_name()}{index}",
        identity=draw.signer().public_key,
        cosigner=draw.signer().public_key,
        cosigner_ml_dsa=draw.raw(1312),
        log=draw.signer().public_key,
        encryption=b"\x09" + draw.raw(31),
        peer=f"a.example:{index}",
        public=f"b.example:{draw.between(1, 65535)}",
        http="http://c.example:8080/ledger",
        tls_certificate=f"-----BEGIN CERTIFICATE-----\n{'Q' * draw.between(4, 64)}==\n-----END CERTIFICATE-----\n",
    )


def public_file(draw: Draw) -> bytes:
    made = public_member(draw, 1)
    raw = encode_public_file(made)
    assert parse_public_file(raw) == made
    return raw


def draft(draw: Draw) -> bytes:
    """`charter.toml`, and the session that follows from it."""
    grid, consensus, limits, accelerators = entries.terms(draw)
    members = tuple(public_member(draw, index) for index in range(1, draw.between(1, 4) + 1))
    made = Draft(
        origin=draw.key_name(),
        title=draw.text(),
        quorum=compute_quorum(len(members)),
        founded_at_ms=Millis(draw.number(TIME_S_MAX * 1000)),
        grid=grid,
        consensus=consensus,
        limits=limits,
        accelerators=accelerators,
        members=members,
    )
    return encode_draft(made) + compute_session(made)


def deal(draw: Draw) -> bytes:
    """Commitments, proof of possession and shares of a deal."""
    members_count = draw.between(1, 4)
    made, shares = make_deal(
        dealer=MemberIndex(draw.between(1, members_count)),
        quorum=compute_quorum(members_count),
        members_count=members_count,
        session=draw.digest(),
        randomness=draw.raw,
    )
    secrets = b"".join(share.value.to_bytes(32, "big") for share in shares)
    return b"".join(made.commitments) + made.possession + secrets


def transcript(draw: Draw) -> bytes:
    count = draw.between(1, 4)
    deals = []
    for dealer in range(1, count + 1):
        made, _ = make_deal(
            dealer=MemberIndex(dealer),
            quorum=compute_quorum(count),
            members_count=count,
            session=draw.digest(),
            randomness=draw.raw,
        )
        deals.append(SealedDeal(made, tuple(draw.raw(BOX_BYTES) for _ in range(count))))
    whole = Transcript(draw.digest(), tuple(draw.raw(1312) for _ in range(count)), tuple(deals))
    raw = encode_transcript(whole)
    assert parse_transcript(raw) == whole
    return raw


def ceremony_messages(draw: Draw) -> bytes:
    session, sender, signer = draw.hex32(), MemberIndex(draw.between(1, MEMBERS_MAX)), draw.signer()
    bodies = (
        Dealt(
            session=session,
            sender=sender,
            commitments=draw.some(lambda: draw.raw(96), 1, 3),
            possession=draw.raw(48),
            shares=draw.some(lambda: draw.raw(BOX_BYTES), 1, 3),
        ),
        Complaint(session, sender, about=MemberIndex(1), check=draw.pick(tuple(Check)), message=draw.hex32()),
        Certified(session, sender, digest=draw.hex32(), signature=draw.raw(64)),
        CharterSigned(session, sender, digest=draw.hex32(), signature=draw.raw(64)),
        Confirmed(session, sender, digest=draw.hex32()),
    )
    messages = [sign_message(body, signer.sign) for body in bodies]
    assert [parse_message(message.raw) for message in messages] == messages
    return b"".join(message.raw for message in messages)


def key_file(draw: Draw) -> bytes:
    """A secret under a passphrase; the cost of stretching stands in the file and is small here."""
    secret, passphrase, purpose = draw.some_raw(0, 80), draw.text().encode(), draw.identifier()
    raw = encrypt_file(secret, passphrase=passphrase, purpose=purpose, salt=draw.raw(16), nonce=draw.raw(12), cost=COST)
    assert decrypt_file(raw, passphrase=passphrase, purpose=purpose) == secret
    return raw


def keystore(draw: Draw) -> bytes:
    """All key files of a member, with one share."""
    passphrase = Passphrase.parse(draw.text())
    with TemporaryDirectory() as folder:
        store = Keystore(Path(folder) / "keys", randomness=draw.raw, cost=COST)
        store.create(passphrase)
        share = ShareKey(draw.scalar(), epoch=Epoch(1 + draw.below(9)), member=MemberIndex(draw.between(1, 9)))
        store.write_share(share, passphrase)
        files = sorted((Path(folder) / "keys").iterdir())
        return b"".join(file.name.encode() + b"\n" + file.read_bytes() for file in files)


def voucher_message(draw: Draw) -> bytes:
    """What an identity key signs for a TLS key."""
    return compute_voucher_message(
        member_id=draw.identifier(), spki_hash=hashlib.sha256(draw.digest()).digest(), not_after=Seconds(draw.number())
    )


def describe_database(path: Path) -> bytes:
    """Name tables, indices and version of a database."""
    with closing(sqlite3.connect(path)) as opened:
        made = opened.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY name").fetchall()
        pragmas = [opened.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version")]
    return "\n".join([*(" ".join(text.split()) for (text,) in made), *map(str, pragmas)]).encode()


def snapshot(draw: Draw) -> bytes:
    """A state and a tree's right edge, under a header that names both."""
    state = State(None)
    for _ in range(1 + draw.below(4)):
        NATIONS.put(state, Nation(draw.digest()), draw.identifier().encode())
    leaves = [draw.digest() for _ in range(2 + draw.below(700))]
    header = encode_header(
        ledger_id=draw.digest(),
        epoch=Epoch(1),
        view=View(7),
        height=Height(4),
        parent=draw.digest(),
        time_ms=Millis(draw.number(2**53)),
        proposer=MemberIndex(2),
        first_index=LeafIndex(1),
        tree_size=TreeSize(len(leaves)),
        root=compute_root(leaves),
        entries_digest=draw.digest(),
        state_digest=compute_state_digest(state),
    )
    raw = encode_snapshot(header, state, lambda level, at: compute_root(leaves[at << level : (at + 1) << level]))
    parsed = parse_snapshot(raw)
    assert (parsed.header, parsed.items) == (header, tuple(state.items()))
    return raw


def store_schema(_: Draw) -> bytes:
    """A node's database."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "ledger.sqlite"
        Store(path).close()
        return describe_database(path)
