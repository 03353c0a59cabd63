"""The charter: the founding document, entry 0, and everything it fixes.

Who the members are and by which keys they are known, how many of them are a quorum, the grid of reporting intervals,
the limits a lab must promise to respect, the accelerators whose figures count, the pace of the consensus, and the group
key with its public polynomial, from which every member's public share follows. Signed by all founders with their
identity keys. SHA-256 of the entry is the ledger's id and, in hex, its fingerprint.

`parse_charter` believes nothing but its own checks: a `Charter` exists only if every founder signed these very bytes.
That these founders are the right ones is what a reader learns elsewhere, by comparing the fingerprint.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from ledger.agreement import Agreement, check_agreement
from ledger.checkpoints import require_origin
from ledger.ed25519 import is_ed25519_signature, require_strong_public_key
from ledger.errors import Code, FormatError, PolicyError
from ledger.limits import (
    ADDRESS_CHARACTERS_MAX,
    CONSENSUS_DELAY_MAX_MS,
    LIST_ITEMS_MAX,
    MEMBERS_MAX,
    MEMBERS_MIN,
    MODELS_MAX,
    SIZE_MAX,
    TIME_S_MAX,
    WINDOW_S_MAX,
)
from ledger.policy import POLICY_GROUP, Cosigner, LedgerKeys
from ledger.positions import MemberIndex, Millis, Seconds
from ledger.positions import Sequence as SequenceNumber
from ledger.statements.dsse import Envelope, SignatureCheck, parse_envelope, verify_envelope
from ledger.statements.intoto import (
    ZERO_HASH,
    Count,
    Hex32,
    Identifier,
    Name,
    PredicateHeader,
    PublicKey,
    Quantity,
    QuantityName,
    Statement,
    StatementForm,
    Subject,
    Text,
    find_kind,
    make_kind_name,
    make_subject,
    parse_quantity,
    require_no_correction,
    require_unique,
)
from ledger.threshold.group import G2_BYTES
from ledger.threshold.polynomials import decode_commitments, evaluate_commitments

CHARTER: Final = "charter"

_HOST: Final = r"(?:[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?|\[[0-9a-f:.]{2,45}\])"
_PORT: Final = r":(?:[1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])"
_POLICY_WORDS: Final = (POLICY_GROUP, "none", "any", "all")

KeyName = Annotated[str, Meta(pattern=rf"\A[!-*,-~]{{1,{ADDRESS_CHARACTERS_MAX}}}\Z")]
"""Visible ASCII without `+`, at most 255: narrower than C2SP signed-note, so that no two names look alike."""

Address = Annotated[str, Meta(max_length=ADDRESS_CHARACTERS_MAX, pattern=rf"\A{_HOST}{_PORT}\Z")]
BaseUrl = Annotated[
    str,
    Meta(max_length=ADDRESS_CHARACTERS_MAX, pattern=rf"\Ahttps?://{_HOST}(?:{_PORT})?(?:/[A-Za-z0-9._~-]+)*\Z"),
]
"""Without a slash at its end."""

GroupElement = Annotated[bytes, Meta(min_length=G2_BYTES, max_length=G2_BYTES)]
Window = Annotated[Seconds, Meta(ge=0, le=WINDOW_S_MAX)]
WindowNotEmpty = Annotated[Seconds, Meta(ge=1, le=WINDOW_S_MAX)]
Delay = Annotated[Millis, Meta(ge=1, le=CONSENSUS_DELAY_MAX_MS)]


class Member(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A nation of the committee.

    Attributes:
        index: its number, from 1.
        id: its name in statements.
        name: what people call it.
        node: name of its cosigning and log keys in signed notes; a URL without its scheme.
        identity: Ed25519 key of votes, statements and ceremony messages.
        cosigner: Ed25519 key of cosignatures.
        cosigner_ml_dsa_sha256: hex SHA-256 of its ML-DSA-44 key; the key itself stands in the ceremony's transcript.
        log: Ed25519 key of the plain log line.
        encryption: X25519 key that shares are sealed to.
        peer: host and port that other members connect to.
        public: host and port of its gRPC services.
        http: base of its static files.
    """

    index: Annotated[MemberIndex, Meta(ge=1, le=MEMBERS_MAX)]
    id: Identifier
    name: Name
    node: KeyName
    identity: PublicKey
    cosigner: PublicKey
    cosigner_ml_dsa_sha256: Hex32
    log: PublicKey
    encryption: PublicKey
    peer: Address
    public: Address
    http: BaseUrl


class Grid(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The reporting intervals: interval k is [start + k·interval_s, start + (k+1)·interval_s), in Unix seconds.

    Attributes:
        start: when interval 0 begins.
        interval_s: how long each is.
        submit_window_s: from the end of an interval until its report is due.
        grace_s: from due until a report counts as missing.
        correction_window_s: how long corrections are free.
        challenge_window_s: how long an interval may be challenged.
    """

    start: Annotated[Seconds, Meta(ge=0, le=TIME_S_MAX)]
    interval_s: WindowNotEmpty
    submit_window_s: WindowNotEmpty
    grace_s: Window
    correction_window_s: Window
    challenge_window_s: Window


class Limit(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A rule that every row of a report promises to respect."""

    id: Identifier
    quantity: QuantityName
    maximum: Quantity
    note: Text


class Accelerator(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The figures of a model that count, whatever a statement says."""

    model: Identifier
    peak_gflops: Annotated[int, Meta(ge=1, le=2**53)]
    tdp_w: Count
    idle_w: Count


class ConsensusParameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The pace of the consensus.

    Attributes:
        delta_ms: time a message takes, at first.
        delta_max_ms: what it may grow to.
        idle_interval_ms: how often a block is made although nothing waits.
        snapshot_interval: blocks between state digests; 0 for none.
    """

    delta_ms: Delay
    delta_max_ms: Delay
    idle_interval_ms: Delay
    snapshot_interval: Count


class CharterPredicate(PredicateHeader, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the founders sign, in this order."""

    origin: KeyName
    title: Name
    members: Annotated[tuple[Member, ...], Meta(min_length=MEMBERS_MIN, max_length=MEMBERS_MAX)]
    quorum: Annotated[int, Meta(ge=1, le=MEMBERS_MAX)]
    grid: Grid
    limits: Annotated[tuple[Limit, ...], Meta(max_length=LIST_ITEMS_MAX)]
    accelerators: Annotated[tuple[Accelerator, ...], Meta(max_length=MODELS_MAX)]
    consensus: ConsensusParameters
    group_key: GroupElement
    commitments: Annotated[tuple[GroupElement, ...], Meta(min_length=1, max_length=MEMBERS_MAX)]
    transcript: Hex32
    founded_at_ms: Annotated[Millis, Meta(ge=0, le=SIZE_MAX)]


class CharterPredicateV2(CharterPredicate, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What founders sign since version 2: all of version 1, and the agreement."""

    agreement: Agreement


@dataclass(frozen=True, slots=True)
class Charter:
    """A charter that all its founders signed. Made by `parse_charter` alone.

    Attributes:
        entry: the bytes of entry 0.
        ledger_id: SHA-256 of them.
        predicate: what they say.
    """

    entry: bytes
    ledger_id: bytes
    predicate: CharterPredicate

    @property
    def fingerprint(self) -> str:
        """The ledger's id in hex, as statements name it and people compare it."""
        return self.ledger_id.hex()

    @property
    def origin(self) -> str:
        """Name of the ledger in checkpoints."""
        return self.predicate.origin

    @property
    def title(self) -> str:
        """What people call the ledger."""
        return self.predicate.title

    @property
    def members(self) -> tuple[Member, ...]:
        """The founding committee, in order of index."""
        return self.predicate.members

    @property
    def quorum(self) -> int:
        """How many members make a quorum."""
        return self.predicate.quorum

    @property
    def grid(self) -> Grid:
        """The reporting intervals."""
        return self.predicate.grid

    @property
    def limits(self) -> tuple[Limit, ...]:
        """The limits that reports promise to respect, in the order they must name them."""
        return self.predicate.limits

    @property
    def accelerators(self) -> tuple[Accelerator, ...]:
        """The accelerator annex."""
        return self.predicate.accelerators

    @property
    def agreement(self) -> Agreement | None:
        """What was agreed beyond limits, by which newer kinds of statements are judged; None in a version 1 charter."""
        return self.predicate.agreement if isinstance(self.predicate, CharterPredicateV2) else None

    @property
    def consensus(self) -> ConsensusParameters:
        """The pace of the consensus."""
        return self.predicate.consensus

    @property
    def group_key(self) -> bytes:
        """The key that verifies every seal, 96 bytes of G2."""
        return self.predicate.group_key

    @property
    def commitments(self) -> tuple[bytes, ...]:
        """The public polynomial, constant term (the group key) first."""
        return self.predicate.commitments

    @property
    def founded_at_ms(self) -> Millis:
        """When the ceremony ended; the time of the genesis block."""
        return self.predicate.founded_at_ms

    def member(self, index: MemberIndex) -> Member:
        """Give a member by its number.

        Raises:
            PolicyError: no member has it.
        """
        if not 1 <= index <= len(self.members):
            raise PolicyError(field="member", found=index, expected=f"a member's index, from 1 to {len(self.members)}")
        return self.members[index - 1]

    def find_member(self, member_id: str) -> Member | None:
        """Give a member by its id, if there is one."""
        return next((member for member in self.members if member.id == member_id), None)

    def find_accelerator(self, model: str) -> Accelerator | None:
        """Give the figures of an accelerator model, if the annex has them."""
        return next((line for line in self.accelerators if line.model == model), None)

    def public_share(self, index: MemberIndex) -> bytes:
        """Compute the key that verifies a member's seal shares: the public polynomial at its index, 96 bytes.

        Raises:
            PolicyError: no member has the index.
        """
        self.member(index)
        return evaluate_commitments(self.commitments, index, field="charter.commitments")


def compute_outage_threshold_s(grid: Grid) -> int:
    """The shortest silence that holds the whole course of an interval, from its start to the end of its grace.

    One interval more than that course, since a silence may begin anywhere within an interval.
    """
    return 2 * grid.interval_s + grid.submit_window_s + grid.grace_s


def compute_quorum(members_count: int) -> int:
    """How many members are a quorum: n - f, where f = (n-1) div 3 members may be faulty.

    >>> [compute_quorum(n) for n in (1, 2, 3, 4, 7, 10, 60)]
    [1, 2, 3, 3, 5, 7, 41]
    """
    return members_count - (members_count - 1) // 3


def encode_charter_payload(
    *,
    origin: str,
    title: str,
    members: Sequence[Member],
    grid: Grid,
    limits: Sequence[Limit],
    accelerators: Sequence[Accelerator],
    consensus: ConsensusParameters,
    group_key: bytes,
    commitments: Sequence[bytes],
    transcript: str,
    founded_at_ms: Millis,
    agreement: Agreement | None = None,
) -> bytes:
    """Write the payload that every founder signs: the same values give the same bytes.

    With an agreement it is a charter of version 2, without one of version 1.

    Raises:
        FormatError: a value that `parse_charter` would refuse.
    """
    predicate = CharterPredicate(
        ledger=ZERO_HASH,
        issuer=CHARTER,
        sequence=SequenceNumber(0),
        previous=ZERO_HASH,
        issued_at=Seconds(founded_at_ms // 1000),
        corrects=None,
        origin=origin,
        title=title,
        members=tuple(members),
        quorum=compute_quorum(len(members)),
        grid=grid,
        limits=tuple(limits),
        accelerators=tuple(accelerators),
        consensus=consensus,
        group_key=group_key,
        commitments=tuple(commitments),
        transcript=transcript,
        founded_at_ms=founded_at_ms,
    )
    if agreement is None:
        return _FORM.encode(predicate)
    return _FORM_V2.encode(CharterPredicateV2(**msgspec.structs.asdict(predicate), agreement=agreement))


def parse_charter_payload(payload: bytes) -> Statement[CharterPredicate] | Statement[CharterPredicateV2]:
    """Read what founders are asked to sign, or have signed. Believes nothing of it but its form.

    Raises:
        FormatError: not a charter in its one encoding, or one that contradicts itself.
    """
    if find_kind(payload) == make_kind_name(CHARTER, 2):
        return _FORM_V2.parse(payload)
    return _FORM.parse(payload)


def parse_charter(entry: bytes, *, is_signature: SignatureCheck = is_ed25519_signature) -> Charter:
    """Read entry 0 and check that every founder signed it.

    Raises:
        FormatError: not an envelope, or not a charter.
        SignatureError: a signature is wrong, or by somebody else.
        PolicyError: a founder has not signed.
    """
    envelope: Envelope = parse_envelope(entry)
    predicate = parse_charter_payload(envelope.payload).predicate
    identities = [member.identity for member in predicate.members]
    signed = verify_envelope(envelope, public_keys=identities, is_signature=is_signature)
    for member in predicate.members:
        if member.identity not in signed:
            raise PolicyError(
                field="charter.signatures",
                found=f"none of {member.id}",
                expected="a signature of every founder",
                code=Code.COUNTERSIGNATURE_MISSING,
            )
    return Charter(entry=entry, ledger_id=hashlib.sha256(entry).digest(), predicate=predicate)


def ledger_keys(charter: Charter, ml_dsa_keys: Mapping[MemberIndex, bytes] | None = None) -> LedgerKeys:
    """Give the keys by which checkpoints of this ledger are believed.

    Args:
        charter: believed; compare its fingerprint with one you trust.
        ml_dsa_keys: members' ML-DSA-44 keys, as the ceremony's transcript has them, for those who check archival
            cosignatures. Each is compared with its hash in the charter.

    Raises:
        PolicyError: a key for nobody.
        FormatError: a key that is not the one whose hash the charter has.
    """
    given = dict(ml_dsa_keys or {})
    for index, key in given.items():
        expected = charter.member(index).cosigner_ml_dsa_sha256
        if hashlib.sha256(key).hexdigest() != expected:
            raise FormatError(
                field=f"ml_dsa_keys[{index}]", found=f"{len(key)} bytes of another key", expected=f"SHA-256 {expected}"
            )
    return LedgerKeys(
        origin=charter.origin,
        group_key=charter.group_key,
        quorum=charter.quorum,
        cosigners=tuple(
            Cosigner(name=member.node, ed25519=member.cosigner, ml_dsa=given.get(member.index))
            for member in charter.members
        ),
        log_keys=tuple(member.log for member in charter.members),
    )


_FIELD: Final = "charter"


def _check(charter: CharterPredicate) -> Subject:
    require_no_correction(charter)
    _check_header(charter)
    require_origin(charter.origin, field=f"{_FIELD}.origin")
    _check_members(charter)
    require_unique([limit.id for limit in charter.limits], field=f"{_FIELD}.limits.id")
    for limit in charter.limits:
        parse_quantity(limit.maximum, field=f"{_FIELD}.limits.maximum")
    require_unique([line.model for line in charter.accelerators], field=f"{_FIELD}.accelerators.model")
    for line in charter.accelerators:
        if line.idle_w > line.tdp_w:
            raise FormatError(
                field=f"{_FIELD}.accelerators.idle_w", found=line.idle_w, expected=f"at most its tdp_w, {line.tdp_w}"
            )
    if charter.consensus.delta_max_ms < charter.consensus.delta_ms:
        raise FormatError(
            field=f"{_FIELD}.consensus.delta_max_ms",
            found=charter.consensus.delta_max_ms,
            expected=f"at least delta_ms, {charter.consensus.delta_ms}",
        )
    _check_idleness(charter)
    _check_group(charter)
    return make_subject(charter.origin, hashlib.sha256(charter.group_key).hexdigest())


def _check_idleness(charter: CharterPredicate) -> None:
    """A network that has nothing to say must not look as if it were out, which would move every deadline for ever."""
    silence_ms = 1000 * compute_outage_threshold_s(charter.grid)
    if charter.consensus.idle_interval_ms >= silence_ms:
        raise FormatError(
            field=f"{_FIELD}.consensus.idle_interval_ms",
            found=charter.consensus.idle_interval_ms,
            expected=f"less than {silence_ms}, the silence that counts as an outage on this grid",
        )


def _check_header(charter: CharterPredicate) -> None:
    """The charter has nobody before it: no ledger, no issuer of a name, no previous entry."""
    found = (charter.ledger, charter.issuer, charter.sequence, charter.previous)
    expected = (ZERO_HASH, CHARTER, 0, ZERO_HASH)
    for name, value, right in zip(("ledger", "issuer", "sequence", "previous"), found, expected, strict=True):
        if value != right:
            raise FormatError(field=f"{_FIELD}.{name}", found=value, expected=repr(right))
    if charter.issued_at != charter.founded_at_ms // 1000:
        raise FormatError(field=f"{_FIELD}.issued_at", found=charter.issued_at, expected="the second of founded_at_ms")


def _check_members(charter: CharterPredicate) -> None:
    members, field = charter.members, f"{_FIELD}.members"
    for expected, member in enumerate(members, start=1):
        if member.index != expected:
            raise FormatError(field=f"{field}.index", found=member.index, expected=f"{expected}, as 1 to n in order")
        if member.id == CHARTER:
            raise FormatError(field=f"{field}.id", found=member.id, expected="a name that is not the charter's own")
        require_strong_public_key(member.identity, f"{field}.identity")
        require_strong_public_key(member.cosigner, f"{field}.cosigner")
        require_strong_public_key(member.log, f"{field}.log")
        if member.node in _POLICY_WORDS:
            raise FormatError(field=f"{field}.node", found=member.node, expected="no word of C2SP tlog-policy")
    require_unique([member.id for member in members], field=f"{field}.id")
    require_unique([charter.origin, *(member.node for member in members)], field=f"{field}.node")
    keys = [key.hex() for m in members for key in (m.identity, m.cosigner, m.log, m.encryption)]
    require_unique(keys, field=f"{field} keys")
    require_unique([member.cosigner_ml_dsa_sha256 for member in members], field=f"{field}.cosigner_ml_dsa_sha256")
    require_unique([member.peer for member in members], field=f"{field}.peer")
    quorum = compute_quorum(len(members))
    if charter.quorum != quorum:
        raise FormatError(field=f"{_FIELD}.quorum", found=charter.quorum, expected=f"{quorum} of {len(members)}")


def _check_group(charter: CharterPredicate) -> None:
    """The public polynomial has exactly one coefficient per member of a quorum, and begins with the group key."""
    if len(charter.commitments) != charter.quorum:
        raise FormatError(
            field=f"{_FIELD}.commitments",
            found=f"{len(charter.commitments)} commitments",
            expected=f"exactly the quorum, {charter.quorum}",
        )
    if charter.commitments[0] != charter.group_key:
        raise FormatError(
            field=f"{_FIELD}.commitments", found="another constant term", expected="the group key as constant term"
        )
    decode_commitments(charter.commitments, field=f"{_FIELD}.commitments")


def _check_v2(charter: CharterPredicateV2) -> Subject:
    grid = charter.grid
    check_agreement(
        charter.agreement,
        interval_s=grid.interval_s,
        challenge_window_s=grid.challenge_window_s,
        field=f"{_FIELD}.agreement",
    )
    return _check(charter)


_FORM: Final = StatementForm(CHARTER, CharterPredicate, check=_check)
_FORM_V2: Final = StatementForm(CHARTER, CharterPredicateV2, check=_check_v2, version=2)
