"""Fuzz targets of nodes, labs and observers: the wire, their files, what schedulers and servers give them."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType
from typing import Any, Final

import msgspec
from google.protobuf.message import DecodeError
from google.protobuf.message import Message as Protobuf

from lab.addresses import parse_address as parse_node_address
from lab.classification import parse_use_mapping
from lab.collectors.chips import parse_chip_list
from lab.collectors.slurm import parse_sacct
from lab.collectors.table import encode_table, parse_table
from lab.enrolment import Offer, parse_offer
from lab.pinned import parse_fingerprint
from lab.records import encode_record, parse_record
from lab.settings import encode_settings, parse_cluster, parse_settings
from lab.stored import verify_stored
from lab.transfer_terms import encode_terms_file, parse_terms_file
from lab.vault import Vault
from ledger.blocks import SealedHeader, encode_header_bundle, genesis_header, parse_header
from ledger.charter import parse_charter
from ledger.errors import ConditionError, FormatError, LedgerError
from ledger.loglists import LogEntry, encode_log_list, parse_log_list
from ledger.notes import encode_vkey
from ledger.positions import FIRST_EPOCH, Height, MemberIndex, Seconds, TreeSize
from ledger.threshold.transcripts import BOX_BYTES
from ledger.tiles import bundle_path, encode_bundle, headers_path
from ledger.witnessing import (
    Refused,
    decide,
    encode_add_checkpoint,
    encode_lines,
    encode_size,
    parse_add_checkpoint,
    parse_lines,
    parse_size,
    verify_submission,
)
from node.ceremony_messages import Certified, Check, Complaint, Confirmed, Dealt, sign_message, verify_message
from node.ceremony_messages import parse_message as parse_ceremony
from node.config import encode_default_config, parse_config
from node.consensus import votelog
from node.consensus.chain import Block
from node.consensus.messages import Finalization, Message, Proposal, VoteKind
from node.draft import compute_session, encode_draft, encode_public_file, parse_draft, parse_public_file
from node.keystore import Passphrase
from node.pulling import parse_cosignature
from node.snapshots import parse_snapshot
from node.tls import issue_certificate, verify_certificate
from node.v1 import peer_pb2
from node.wire import (
    encode_certificate,
    encode_finalization,
    encode_message,
    encode_proposal,
    encode_vote,
    parse_beacon_share,
    parse_certificate,
    parse_finalization,
    parse_hashes,
    parse_message,
    parse_proposal,
    parse_vote,
    require_envelope,
)
from observer.chain import begin, verify_run
from observer.offline import verify_file
from observer.static import StaticSource
from observer.subjects import read_subject
from tests.formats import entries, labs, members, trees
from tests.formats.draws import Draw
from tests.fuzz.target import Target, drawn, same, text_of
from tests.tlog.foreignlog import ForeignLog, checkpoint_of
from tlog.addresses import parse_address
from tlog.places import Kind, parse_place
from tlog.publisher import encode_index, parse_software
from tlog.reading import Files, FolderFiles
from tlog.resources import parse_resource
from tlog.serving import parse_range
from tlog.witness_address import parse_witness
from tlog.witness_key import WitnessKey

EXAMPLES: Final = Path(__file__).resolve().parents[2] / "examples"
NOW: Final = Seconds(1_700_000_000)
_LEDGER: Final = bytes(32)


def _decode(message: Protobuf, raw: bytes) -> Any:  # of the message's own type
    try:
        message.ParseFromString(raw)
    except DecodeError:
        raise FormatError(field="fuzz", found="other bytes", expected="a message") from None
    return message


# -- the wire between members -----------------------------------------------------------------------------------------


def _read_envelope(raw: bytes) -> None:
    """What a member's stream carries; what is understood can be said again and is understood as the same."""
    envelope = _decode(peer_pb2.PeerMessage(), raw)
    with contextlib.suppress(ConditionError):
        require_envelope(envelope, ledger_id=_LEDGER, epoch=FIRST_EPOCH)
    message = parse_message(envelope)
    if message is None:
        if envelope.HasField("cosignature"):
            parse_cosignature(envelope.cosignature)
        if envelope.HasField("beacon_share"):
            parse_beacon_share(envelope.beacon_share)
        return
    again = encode_message(message, ledger_id=_LEDGER, epoch=FIRST_EPOCH)
    envelope.epoch = FIRST_EPOCH
    assert parse_message(peer_pb2.PeerMessage.FromString(again)) == parse_message(envelope)


def _envelopes() -> list[bytes]:
    draw = Draw("fuzz")
    header = trees.header(draw, 7)
    said: list[Message] = [
        *(members.make_vote(draw, kind) for kind in VoteKind),
        members.make_certificate(draw),
        Proposal(header, draw.some(draw.digest, 1, 3), members.make_vote(draw, VoteKind.NOTARIZE)),
        Finalization(header, draw.raw(48)),
    ]
    cosignature = peer_pb2.Cosignature(tree_size=9, root=bytes(32), line=bytes(76))
    others = [
        peer_pb2.PeerMessage(ledger_id=_LEDGER, epoch=1, gossip=peer_pb2.Gossip(entries=[b"{}"])),
        peer_pb2.PeerMessage(ledger_id=_LEDGER, epoch=1, cosignature=cosignature),
        peer_pb2.PeerMessage(ledger_id=_LEDGER, epoch=1, beacon_share=peer_pb2.BeaconShare(round=7, share=bytes(48))),
    ]
    raws = [encode_message(message, ledger_id=_LEDGER, epoch=FIRST_EPOCH) for message in said]
    return raws + [other.SerializeToString() for other in others]


def _read_answer(raw: bytes) -> None:
    """What a member that was asked gives."""
    answer = _decode(peer_pb2.FetchResponse(), raw)
    match answer.WhichOneof("what"):
        case "block":
            header = parse_header(answer.block.header)
            same(header.raw, answer.block.header)
            parse_hashes(answer.block)
            proposal = parse_proposal(answer.block, epoch=FIRST_EPOCH)
            answer.DiscardUnknownFields()  # what a later release says beside it is not kept
            assert encode_proposal(proposal).SerializeToString() == answer.block.SerializeToString()
        case "certificate":
            certificate = parse_certificate(answer.certificate, epoch=FIRST_EPOCH)
            assert parse_certificate(encode_certificate(certificate), epoch=FIRST_EPOCH) == certificate
            for vote in certificate.votes:
                assert parse_vote(encode_vote(vote), epoch=FIRST_EPOCH) == vote
        case "finalization":
            finalization = parse_finalization(answer.finalization)
            assert parse_finalization(encode_finalization(finalization)) == finalization
        case "final_block":
            parse_header(answer.final_block.header)
        case "cosignature":
            parse_cosignature(answer.cosignature)
        case _:
            raise FormatError(field="fuzz", found="nothing", expected="an answer")


def _answers() -> list[bytes]:
    draw = Draw("fuzz")
    header = trees.header(draw, 7)
    vote = members.make_vote(draw, VoteKind.NOTARIZE)
    proposal = encode_proposal(Proposal(header, (), vote))
    finalization = encode_finalization(Finalization(header, draw.raw(48)))
    answers = [
        peer_pb2.FetchResponse(block=proposal),
        peer_pb2.FetchResponse(certificate=encode_certificate(members.make_certificate(draw))),
        peer_pb2.FetchResponse(finalization=finalization),
        peer_pb2.FetchResponse(final_block=peer_pb2.FinalBlock(header=header.raw, entries=[b"{}"])),
        peer_pb2.FetchResponse(cosignature=peer_pb2.Cosignature(tree_size=1)),
    ]
    return [answer.SerializeToString() for answer in answers]


# -- a nation's ceremony and files ------------------------------------------------------------------------------------


def _read_ceremony(raw: bytes) -> None:
    message = parse_ceremony(raw)
    same(message.raw, raw)
    with contextlib.suppress(LedgerError):
        verify_message(message, session=bytes(32), identities=[bytes(32)] * 4)


def _ceremony_messages() -> list[bytes]:
    draw = Draw("fuzz")
    signer = draw.signer()
    bodies = (
        Certified(draw.hex32(), MemberIndex(1), digest=draw.hex32(), signature=draw.raw(64)),
        Confirmed(draw.hex32(), MemberIndex(2), digest=draw.hex32()),
        Complaint(draw.hex32(), MemberIndex(3), about=MemberIndex(1), check=draw.pick(tuple(Check)), message="ab" * 32),
        Dealt(
            session=draw.hex32(),
            sender=MemberIndex(1),
            commitments=(draw.raw(96),),
            possession=draw.raw(48),
            shares=(draw.raw(BOX_BYTES),),
        ),
    )
    return [sign_message(body, signer.sign).raw for body in bodies]


def _read_public_file(raw: bytes) -> None:
    same(encode_public_file(parse_public_file(raw)), raw)


def _read_draft(raw: bytes) -> None:
    draft = parse_draft(raw)
    assert parse_draft(encode_draft(draft)) == draft
    compute_session(draft)


def _drafts() -> list[bytes]:
    return [members.draft(Draw(f"fuzz {number}"))[:-32] for number in range(3)]


def _read_config(raw: bytes) -> None:
    config = parse_config(raw, folder=Path("/"))
    assert parse_address(str(config.public.listen), field="fuzz") == config.public.listen


def _toml(*more: bytes) -> list[bytes]:
    """Files that TOML readers stumble over."""
    return [*more, b"a = " + b"9" * 5_000, b"a = [" * 2_000, b"a = 2024-99-99", b"a.b.c = 1\na = {b = 1}", b"\xff"]


def _configs() -> list[bytes]:
    return _toml(
        encode_default_config().encode(),
        b'[peer]\nlisten = "[::1]:1"\naddresses = { aa = "b:1" }\n',
        b"[limits]\ndrain_max_ms = " + b"9" * 5_000,
    )


def _read_address(raw: bytes) -> None:
    address = parse_address(text_of(raw), field="fuzz")
    assert parse_address(str(address), field="fuzz") == address


def _read_place(raw: bytes) -> None:
    """A store or a web server is called what it was called, and no part of a name before its host is let through."""
    place = parse_place(text_of(raw), field="fuzz")
    if place.kind is not Kind.FOLDER:
        assert parse_place(place.name, field="fuzz") == place
        assert "@" not in place.name.partition("://")[2].partition("/")[0]


def _read_index(raw: bytes) -> None:
    """Who wrote it can be written again; all else in it is compared with what it must be."""
    software = parse_software(raw)
    assert parse_software(encode_index("a.example/b", bytes(32), software=software)) == software


def _read_passphrase(raw: bytes) -> None:
    assert text_of(raw)[:12] not in repr(Passphrase.parse(text_of(raw) or "x")) or len(raw) < 13


def _read_vote_log(raw: bytes) -> None:
    contents = votelog.read(raw, ledger_id=_LEDGER, member=MemberIndex(1))
    assert votelog.read(raw[: contents.intact_bytes], ledger_id=_LEDGER, member=MemberIndex(1)) == contents


def _read_vote_record(raw: bytes) -> None:
    """A record in a frame whose checks hold, as nobody could come by it but through a fault of ours."""
    record = votelog._parse_payload(raw, 0)
    same(votelog._encode_payload(record), raw)
    if not isinstance(record, votelog.Start):
        log = votelog.create(ledger_id=_LEDGER, member=MemberIndex(1), is_lost=False) + votelog.encode_record(record)
        assert votelog.read(log, ledger_id=_LEDGER, member=MemberIndex(1)).records == (record,)


def _vote_records() -> list[bytes]:
    draw = Draw("fuzz")
    votes = [members.make_vote(draw, kind) for kind in VoteKind]
    block = Block(trees.header(draw, 3), draw.some(draw.digest, 1, 3))
    barrier = votelog.Barrier(FIRST_EPOCH, votes[0].view)
    records: list[votelog.Record] = [*votes, block, barrier, members.make_certificate(draw)]
    return [votelog._encode_payload(each) for each in records]


def _vote_logs() -> list[bytes]:
    begun = [votelog.create(ledger_id=_LEDGER, member=MemberIndex(1), is_lost=lost) for lost in (False, True)]
    frames = [len(raw).to_bytes(4, "big") for raw in _vote_records()]
    return [*begun, begun[0] + bytes(40), begun[0] + frames[0], begun[0] + begun[1]]


def _read_tls(raw: bytes) -> None:
    verify_certificate(raw, member_id="fuzz", identity=Draw("fuzz").signer().public_key, now=NOW)


def _certificates() -> list[bytes]:
    signer = Draw("fuzz").signer()
    return [issue_certificate(member_id=name, sign=signer.sign, now=NOW).certificate for name in ("fuzz", "other")]


def _read_resource(raw: bytes) -> None:
    """What is published lies in the folder, under the very path that was asked for."""
    text = text_of(raw)
    resource = parse_resource(text)
    same(resource.path, text)
    assert not {"..", "", "."} & {*resource.path.split("/")}
    assert not Path(resource.path).is_absolute()


def _read_range(raw: bytes) -> None:
    text, _, size = text_of(raw).partition("/")
    length = int(size) if size.isascii() and size.isdigit() and len(size) < 10 else 100
    span = parse_range(text, length)
    if span is not None:
        first, last = span
        assert first >= 0
        assert last < length or first >= length


# -- labs -------------------------------------------------------------------------------------------------------------


def _read_table(raw: bytes) -> None:
    jobs = parse_table([raw]).jobs
    assert parse_table([encode_table(jobs)]).jobs == jobs


def _read_chip_list(raw: bytes) -> None:
    """With a column of clusters, or without."""
    with contextlib.suppress(FormatError):
        parse_chip_list(raw, with_clusters=False)
        return
    parse_chip_list(raw, with_clusters=True)


def _read_sacct(raw: bytes) -> None:
    parse_sacct([raw])
    parse_sacct([raw, raw])


def _sacct_exports() -> list[bytes]:
    """One job of each of the examples, so that the fuzzer sees a whole one."""
    small = []
    for path in sorted((EXAMPLES / "slurm").glob("*.json")):
        export = msgspec.json.decode(path.read_bytes())
        small.append(msgspec.json.encode({"jobs": export["jobs"][:1]}))
    return small


def _read_settings(raw: bytes) -> None:
    settings = parse_settings(raw)
    assert parse_settings(encode_settings(settings)) == settings


def _settings() -> list[bytes]:
    document = (EXAMPLES.parent / "docs" / "labs.md").read_text(encoding="utf-8")
    block = document.partition("```toml\n")[2].partition("```")[0]
    return _toml(block.encode())


def _mappings() -> list[bytes]:
    return _toml((EXAMPLES / "mapping.toml").read_bytes())


def _read_vault(raw: bytes) -> None:
    with TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as folder:
        (Path(folder) / "0-fuzz.json").write_bytes(raw)
        for stored in Vault(Path(folder)).read_all():
            verify_stored(stored)


def _vault_files() -> list[bytes]:
    makers = (labs.vault_file, labs.statement_file)
    return [make(Draw(f"fuzz {number}")).partition(b"\n")[2] for make in makers for number in range(4)]


def _offers() -> list[bytes]:
    return [msgspec.json.encode(Offer(payload=b"{}", public_key=bytes(32), signature=bytes(64)))]


def _read_node_address(raw: bytes) -> None:
    same(str(parse_node_address(text_of(raw))), raw.decode())


# -- observers --------------------------------------------------------------------------------------------------------


class _Served:
    """A published folder of which the fuzzer writes one file: asked for that, or for any, it is what comes."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = files

    def read(self, path: str, *, size_max: int) -> bytes | None:
        raw = self.files.get(path)
        if raw is not None and len(raw) > size_max:
            raise FormatError(field=path, found="more", expected="less")
        return raw

    def close(self) -> None:
        pass


def _first_headers(charter: bytes) -> bytes:
    header = genesis_header(charter, parse_charter(charter).founded_at_ms)
    return encode_header_bundle([SealedHeader(header, b"")])


def _folder(raw: bytes) -> Files:
    """The first byte says which file it is that follows."""
    charter = entries.charter(Draw("fuzz 1"))
    files = {
        bundle_path(0, 1): encode_bundle([charter]),
        headers_path(0, 1): _first_headers(charter),
        "charter": charter,
        "checkpoint": trees.note(Draw("fuzz")),
    }
    names = sorted(files)
    files[names[(raw[0] if raw else 0) % len(names)]] = raw[1:]
    return _Served(files)


def _read_served(raw: bytes) -> None:
    source = StaticSource("fuzz", _folder(raw))
    source.read_transcript()
    source.read_checkpoints()
    charter = parse_charter(source.read_charter())
    blocks = list(source.read_blocks(first=Height(0), last=Height(0), size=TreeSize(1)))
    position, _ = begin(charter)
    verify_run(position, blocks, charter=charter, draw=bytes)


def _served() -> list[bytes]:
    charter = entries.charter(Draw("fuzz 1"))
    contents = (encode_bundle([charter]), _first_headers(charter), trees.note(Draw("fuzz")), charter)
    return [bytes((which,)) + each for each in contents for which in range(4)]


@contextlib.contextmanager
def _files(raw: bytes) -> Iterator[Path]:
    with TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as folder:
        path = Path(folder) / "fuzz.receipt"
        path.write_bytes(raw)
        path.with_suffix(".entry").write_bytes(b"{}")
        path.with_name("charter.entry").write_bytes(entries.charter(Draw("fuzz 1")))
        yield path


def _read_any_file(raw: bytes) -> None:
    """What `counterseal verify` is given."""
    with _files(raw) as path:
        assert FolderFiles(path.parent).read(path.name, size_max=1 << 20) == raw
        verify_file(path)


def _any_files() -> list[bytes]:
    return [*drawn(trees.receipt, 2)(), *drawn(trees.certificate, 1)(), b"{}"]


def _read_subject(raw: bytes) -> None:
    if read_subject(raw) is None:
        raise FormatError(field="fuzz", found="no subject", expected="one")


def _read_fingerprint(raw: bytes) -> None:
    """Fingerprints in any case and with spaces, as people write them."""
    same(parse_fingerprint(parse_fingerprint(text_of(raw)).hex()), parse_fingerprint(text_of(raw)))


def _read_snapshot(raw: bytes) -> None:
    """The state ends a snapshot, record by record."""
    snapshot = parse_snapshot(raw)
    state = b"".join(len(part).to_bytes(4, "big") + part for item in snapshot.items for part in item)
    same(raw[len(raw) - len(state) :], state)


# -- witnesses --------------------------------------------------------------------------------------------------------


def _read_request(raw: bytes) -> None:
    """What a log asks of a witness: read as it came, and answered by one that knows the log, whatever it is."""
    log = ForeignLog()
    known = MappingProxyType({(log.key.name, log.key.key_id): log.key})
    request = parse_add_checkpoint(raw)
    same(encode_add_checkpoint(request), raw)
    checkpoint = verify_submission(request, known)
    if not isinstance(checkpoint, Refused):
        decide(request, checkpoint, checkpoint_of(log, 5))


def _requests() -> list[bytes]:
    return [ForeignLog().body(old, size) for old, size in ((0, 5), (5, 9), (5, 5), (3, 4))]


def _read_lines(raw: bytes) -> None:
    """What a witness answers; the size of a conflict among it."""
    with contextlib.suppress(FormatError):
        same(encode_size(parse_size(raw)), raw)
    same(encode_lines(parse_lines(raw)), raw)


def _lines() -> list[bytes]:
    line = WitnessKey("w.example", bytes(32)).cosign(ForeignLog().text(5), time_s=Seconds(1))
    return [encode_lines([line]), encode_lines([line] * 3), b"12\n"]


def _read_log_list(raw: bytes) -> None:
    logs = parse_log_list(raw)
    entries = [LogEntry(key, log.origin) for log in logs.values() for key in log.known.values()]
    assert list(parse_log_list(encode_log_list(entries).encode())) == list(logs)


def _read_witness(raw: bytes) -> None:
    """The address of a witness, an empty line, its key."""
    url, _, vkey = text_of(raw).partition("\n")
    address = parse_witness(url, vkey)
    assert parse_witness(address.url, encode_vkey(address.key)) == address


def _witnesses() -> list[bytes]:
    vkey = encode_vkey(WitnessKey("w.example", bytes(32)).verifier)
    return [f"https://w.example:8443/prefix\n{vkey}".encode(), f"http://[::1]\n{vkey}".encode()]


TARGETS: dict[str, Target] = {
    "snapshot": Target(_read_snapshot, drawn(members.snapshot), ("node.snapshots.parse_snapshot",), 16_384),
    "peer message": Target(
        _read_envelope,
        _envelopes,
        ("node.wire.parse_message", "node.wire.parse_beacon_share", "node.pulling.parse_cosignature"),
        8_192,
    ),
    "peer answer": Target(
        _read_answer,
        _answers,
        tuple(f"node.wire.parse_{name}" for name in ("vote", "proposal", "hashes", "certificate", "finalization")),
        8_192,
    ),
    "ceremony message": Target(_read_ceremony, _ceremony_messages, ("node.ceremony_messages.parse_message",)),
    "public file": Target(_read_public_file, drawn(members.public_file), ("node.draft.parse_public_file",)),
    "draft": Target(_read_draft, _drafts, ("node.draft.parse_draft",), 16_384),
    "node settings": Target(_read_config, _configs, ("node.config.parse_config",), 16_384),
    "address": Target(_read_address, lambda: [b"a:1", b"[::1]:65535"], ("tlog.addresses.parse_address",), 300),
    "place": Target(
        _read_place,
        lambda: [b"s3://bucket/a", b"http://host:1/a", b"file:///a%20b", b"az://container", b"gs://b/a", b"a/b"],
        ("tlog.places.parse_place",),
        300,
    ),
    "index of a published folder": Target(
        _read_index,
        lambda: [encode_index("a.example/b", bytes(32), software="counterseal 1")],
        ("tlog.publisher.parse_software",),
        2_048,
    ),
    "passphrase": Target(
        _read_passphrase, lambda: [b"correct horse battery"], ("node.keystore.Passphrase.parse",), 300
    ),
    "vote log": Target(_read_vote_log, _vote_logs, ("node.consensus.votelog.read",)),
    "vote log record": Target(_read_vote_record, _vote_records, ("node.consensus.votelog._parse_payload",)),
    "TLS certificate": Target(_read_tls, _certificates, ("node.tls.verify_certificate",)),
    "published path": Target(
        _read_resource,
        lambda: [b"checkpoint", b"archive/12", b"tile/0/x001/000.p/8", b"tile/entries/000", b"headers/000"],
        ("tlog.resources.parse_resource",),
        128,
    ),
    "range header": Target(
        _read_range,
        lambda: [b"bytes=0-9", b"bytes=-5/3", b"bytes=7-/7", b"bytes=0-0/0"],
        ("tlog.serving.parse_range",),
        64,
    ),
    "sacct export": Target(_read_sacct, _sacct_exports, ("lab.collectors.slurm.parse_sacct",), 8_192),
    "job table": Target(
        _read_table,
        lambda: [path.read_bytes()[:900].rpartition(b"\n")[0] for path in sorted((EXAMPLES / "table").glob("*.csv"))],
        ("lab.collectors.table.parse_table",),
    ),
    "lab settings": Target(_read_settings, _settings, ("lab.settings.parse_settings",), 16_384),
    "use mapping": Target(parse_use_mapping, _mappings, ("lab.classification.parse_use_mapping",), 16_384),
    "cluster argument": Target(
        lambda raw: parse_cluster(text_of(raw)),
        lambda: [b"c1:Hall 1:DE:h100=1024,a100=8"],
        ("lab.settings.parse_cluster",),
    ),
    "chip list": Target(
        _read_chip_list,
        lambda: [b"cluster,model,serial,rack\nc1,h100,S1,r 1\nc1,h100,S2,\n", b"model,serial\na100,S1\n"],
        ("lab.collectors.chips.parse_chip_list",),
    ),
    "terms of a transfer": Target(
        lambda raw: parse_terms_file(encode_terms_file(parse_terms_file(raw))),
        drawn(labs.terms_file),
        ("lab.transfer_terms.parse_terms_file",),
    ),
    "job record": Target(
        lambda raw: same(encode_record(parse_record(raw)), raw), drawn(labs.record), ("lab.records.parse_record",)
    ),
    "vault file": Target(
        _read_vault,
        _vault_files,
        ("lab.stored.read_stored", "lab.stored.verify_stored"),
        16_384,
    ),
    "registration offer": Target(parse_offer, _offers, ("lab.enrolment.parse_offer",)),
    "fingerprint": Target(_read_fingerprint, lambda: [b"ab" * 32, b"AB " * 32], ("lab.pinned.parse_fingerprint",), 200),
    "node address": Target(
        _read_node_address, lambda: [b"grpc://a:1", b"grpcs://[::1]:2"], ("lab.addresses.parse_address",), 300
    ),
    "served ledger": Target(_read_served, _served, ("observer.static.StaticSource.read_blocks",), 8_192),
    "any file": Target(_read_any_file, _any_files, ("observer.offline.verify_file",), 32_768),
    "subject": Target(
        _read_subject, lambda: [*drawn(entries.verdict, 2)(), b"{}"], ("observer.subjects.read_subject",)
    ),
    "request to a witness": Target(
        _read_request,
        _requests,
        ("ledger.witnessing.parse_add_checkpoint", "ledger.witnessing.parse_head"),
    ),
    "answer of a witness": Target(
        _read_lines, _lines, ("ledger.witnessing.parse_lines", "ledger.witnessing.parse_size"), 1_024
    ),
    "list of logs": Target(
        _read_log_list, lambda: [ForeignLog().listed().encode(), b"logs/v0\n"], ("ledger.loglists.parse_log_list",)
    ),
    "external witness": Target(_read_witness, _witnesses, ("tlog.witness_address.parse_witness",), 512),
}
