"""What founders agree on before the ceremony: each member's public file, and the draft of the charter.

`public.json` is what a member sends to the others: its name, addresses, public keys and TLS certificate. `charter.toml`
is drafted by one founder and loaded by all: everything the charter will say but what the ceremony makes (group key,
public polynomial, digest of the transcript), with the public files of all members in the order of their index.

The session id of the ceremony is a hash of the draft's *values*, so white space, comments and the order of keys in the
TOML file make no difference and every other difference does. Whether a draft is one that a charter can be made of is
asked of the charter itself, at load: nobody finds out at the end of a ceremony.
Source of the format: TOML 1.0; the meaning of each field: `ledger.charter`.
"""

import hashlib
import tomllib
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from ledger import domains
from ledger.agreement import Agreement
from ledger.charter import (
    Accelerator,
    Address,
    BaseUrl,
    ConsensusParameters,
    Grid,
    KeyName,
    Limit,
    Member,
    compute_quorum,
    encode_charter_payload,
)
from ledger.errors import Code, ConditionError, FormatError
from ledger.limits import DRAFT_BYTES_MAX, HASH_BYTES, KIB, MEMBERS_MAX, SIGNATURE_BYTES, SIZE_MAX
from ledger.ml_dsa import PUBLIC_KEY_BYTES as ML_DSA_PUBLIC_KEY_BYTES
from ledger.positions import MemberIndex, Millis
from ledger.statements.dsse import Envelope, EnvelopeSignature, compute_keyid, encode_envelope
from ledger.statements.intoto import Identifier, Name, PublicKey
from ledger.threshold.dealing import PublicPolynomial
from ledger.threshold.group import backend
from node.keys import require_encryption_key

PUBLIC_FILE_BYTES_MAX: Final = 16 * KIB
CERTIFICATE_CHARACTERS_MAX: Final = 8 * KIB

Certificate = Annotated[
    str,
    Meta(
        max_length=CERTIFICATE_CHARACTERS_MAX,
        pattern=r"\A-----BEGIN CERTIFICATE-----\n[A-Za-z0-9+/=\n]+-----END CERTIFICATE-----\n\Z",
    ),
]
"""One certificate in PEM; what it certifies is for `node.tls` to check, which needs to know the time."""


class PublicFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a member shows of itself.

    Attributes:
        id: its name in statements.
        name: what people call it.
        node: name of its cosigning and log keys in signed notes; a URL without its scheme.
        identity: Ed25519 key of votes, statements and ceremony messages.
        cosigner: Ed25519 key of cosignatures.
        cosigner_ml_dsa: ML-DSA-44 key of cosignatures, 1 312 bytes.
        log: Ed25519 key of the plain log line.
        encryption: X25519 key that shares are sealed to.
        peer: host and port that other members connect to.
        public: host and port of its gRPC services.
        http: base of its static files.
        tls_certificate: the certificate it shows to other members, with its identity key's voucher inside.
    """

    id: Identifier
    name: Name
    node: KeyName
    identity: PublicKey
    cosigner: PublicKey
    cosigner_ml_dsa: Annotated[bytes, Meta(min_length=ML_DSA_PUBLIC_KEY_BYTES, max_length=ML_DSA_PUBLIC_KEY_BYTES)]
    log: PublicKey
    encryption: PublicKey
    peer: Address
    public: Address
    http: BaseUrl
    tls_certificate: Certificate


class Draft(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A charter without what the ceremony makes.

    Attributes:
        origin: name of the ledger in checkpoints.
        title: what people call it.
        quorum: how many members seal; it must be what `ledger.charter.compute_quorum` gives, and stands here so that
            everybody reads it before agreeing.
        founded_at_ms: the time of the genesis block.
        grid: the reporting intervals.
        consensus: the pace of the consensus.
        limits: what reports promise to respect.
        accelerators: the figures that count.
        agreement: by which pauses, runs, reviews and inspections are judged; without one the ledger knows only reports.
        members: the founders; the first has index 1.
    """

    origin: KeyName
    title: Name
    quorum: Annotated[int, Meta(ge=1, le=MEMBERS_MAX)]
    founded_at_ms: Annotated[Millis, Meta(ge=0, le=SIZE_MAX)]
    grid: Grid
    consensus: ConsensusParameters
    limits: tuple[Limit, ...] = ()
    accelerators: tuple[Accelerator, ...] = ()
    agreement: Agreement | None = None
    members: Annotated[tuple[PublicFile, ...], Meta(min_length=1, max_length=MEMBERS_MAX)]

    def member(self, index: MemberIndex) -> PublicFile:
        """Give the founder with this index."""
        assert 1 <= index <= len(self.members)
        return self.members[index - 1]


def encode_public_file(public: PublicFile) -> bytes:
    """Write `public.json`: indented, since people look at it, with a newline at its end."""
    return msgspec.json.format(msgspec.json.encode(public), indent=2) + b"\n"


def parse_public_file(raw: bytes) -> PublicFile:
    """Read a member's public file.

    Raises:
        FormatError: too large, not of this form, or not as `encode_public_file` writes it.
    """
    if len(raw) > PUBLIC_FILE_BYTES_MAX:
        raise FormatError(field="public", found=f"{len(raw)} bytes", expected=f"at most {PUBLIC_FILE_BYTES_MAX} bytes")
    try:
        public = msgspec.json.decode(raw, type=PublicFile)
    except (msgspec.MsgspecError, ValueError) as error:
        raise FormatError(field="public", found=str(error), expected="a member's public file") from None
    if encode_public_file(public) != raw:
        raise FormatError(field="public", found="another spelling", expected="the file as `init` wrote it")
    return public


def parse_draft(raw: bytes) -> Draft:
    """Read `charter.toml`, and check that a charter can be made of it.

    Raises:
        FormatError: too large, not TOML, a field missing, unknown or wrong; the message names it.
    """
    if len(raw) > DRAFT_BYTES_MAX:
        raise FormatError(field="draft", found=f"{len(raw)} bytes", expected=f"at most {DRAFT_BYTES_MAX} bytes")
    try:
        table = tomllib.loads(raw.decode("utf-8"))
        draft = msgspec.convert(table, Draft, builtin_types=())
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise FormatError(field="draft", found=str(error), expected="a draft of a charter") from None
    _check(draft)
    return draft


def encode_draft(draft: Draft) -> bytes:
    """Write `charter.toml`.

    Raises:
        FormatError: `parse_draft` would not read it.
    """
    table: Mapping[str, Any] = msgspec.to_builtins(draft, builtin_types=())  # Any: what TOML holds, written below
    raw = "\n".join(_write_toml(table)).encode() + b"\n"
    if parse_draft(raw) != draft:
        raise FormatError(
            field="draft", found="values that TOML cannot hold", expected="values that read back the same"
        )
    return raw


def compute_session(draft: Draft) -> bytes:
    """Compute the session id of the ceremony that founds this draft: a hash of all its values, 32 bytes."""
    table: dict[str, Any] = msgspec.to_builtins(draft)  # Any: whatever JSON holds
    if draft.agreement is None:  # such drafts have the session they had before there were agreements
        del table["agreement"]
    return hashlib.sha256(domains.CEREMONY_SESSION + msgspec.json.encode(table, order="sorted")).digest()


def build_charter_payload(draft: Draft, polynomial: PublicPolynomial, *, transcript_digest: bytes) -> bytes:
    """Write the charter that the founders sign; the same draft and result give the same bytes.

    Raises:
        FormatError: the charter's own rules refuse it; never for a draft that `parse_draft` read.
    """
    members = [
        Member(
            index=MemberIndex(index),
            id=public.id,
            name=public.name,
            node=public.node,
            identity=public.identity,
            cosigner=public.cosigner,
            cosigner_ml_dsa_sha256=hashlib.sha256(public.cosigner_ml_dsa).hexdigest(),
            log=public.log,
            encryption=public.encryption,
            peer=public.peer,
            public=public.public,
            http=public.http,
        )
        for index, public in enumerate(draft.members, start=1)
    ]
    return encode_charter_payload(
        origin=draft.origin,
        title=draft.title,
        members=members,
        grid=draft.grid,
        limits=draft.limits,
        accelerators=draft.accelerators,
        consensus=draft.consensus,
        group_key=polynomial.group_key,
        commitments=polynomial.commitments,
        transcript=transcript_digest.hex(),
        founded_at_ms=draft.founded_at_ms,
        agreement=draft.agreement,
    )


def find_member(draft: Draft, identity: bytes) -> MemberIndex:
    """Give the index of the founder with this identity key.

    Raises:
        ConditionError: none has it (`CONFIG`): this node is not in the draft, or its public file was changed.
    """
    for index, public in enumerate(draft.members, start=1):
        if public.identity == identity:
            return MemberIndex(index)
    raise ConditionError(
        field="draft.members",
        found=f"no member with the identity {identity.hex()}",
        expected="this node's public file among the members",
        code=Code.CONFIG,
    )


def _check(draft: Draft) -> None:
    quorum = compute_quorum(len(draft.members))
    if draft.quorum != quorum:
        raise FormatError(
            field="draft.quorum", found=draft.quorum, expected=f"{quorum} of {len(draft.members)} members"
        )
    for index, public in enumerate(draft.members, start=1):
        require_encryption_key(public.encryption, field=f"draft.members[{index}].encryption")
    # The charter with a polynomial, digest and signatures of the right sizes: all its rules, and the size of the entry.
    group = backend()
    point = group.encode_g2(group.g2_generator())
    payload = build_charter_payload(draft, PublicPolynomial((point,) * quorum), transcript_digest=bytes(HASH_BYTES))
    keyids = sorted(compute_keyid(public.identity) for public in draft.members)
    signatures = tuple(EnvelopeSignature(keyid, bytes(SIGNATURE_BYTES)) for keyid in keyids)
    try:
        encode_envelope(Envelope(payload=payload, signatures=signatures))
    except FormatError as error:
        raise FormatError(field="draft", found=error.found, expected=f"a charter of {error.expected}") from None


def _write_toml(table: Mapping[str, Any], *, inside: str = "") -> Iterator[str]:
    """Write plain values first, then tables, then arrays of tables, as TOML demands; what is null is left out.

    Any: see `encode_draft`.
    """
    for key, value in table.items():
        if isinstance(value, int | str):
            yield _write_line(key, value)
    for key, value in table.items():
        if isinstance(value, dict):
            yield from ("", f"[{inside}{key}]", *_write_toml(value, inside=f"{inside}{key}."))
    for key, value in table.items():
        if isinstance(value, tuple | list):
            for row in value:
                yield from ("", f"[[{key}]]", *(_write_line(name, item) for name, item in row.items()))


def _write_line(key: str, value: int | str) -> str:
    """A JSON string is a TOML basic string, for the characters that charters may hold."""
    return f"{key} = {msgspec.json.encode(value).decode()}"
