"""The charter: signed by all founders, consistent in itself, and everything that follows from it."""

import base64
import hashlib
import json
from dataclasses import dataclass
from itertools import count
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from py_arkworks_bls12381 import G2Point

from ledger.charter import (
    Accelerator,
    Charter,
    ConsensusParameters,
    Grid,
    Limit,
    Member,
    compute_outage_threshold_s,
    compute_quorum,
    encode_charter_payload,
    ledger_keys,
    parse_charter,
    parse_charter_payload,
)
from ledger.errors import Code, FormatError, LedgerError, PolicyError, SignatureError
from ledger.limits import ENTRY_BYTES_MAX, INTEGER_MAX
from ledger.positions import MemberIndex, Millis, Seconds
from ledger.rules.grid import compute_grid, compute_outage_threshold_ms
from ledger.statements.dsse import Signer, parse_envelope, sign_envelope
from ledger.statements.intoto import find_kind
from ledger.threshold import bls
from ledger.threshold.polynomials import SecretPolynomial, SecretScalar, compute_public_key


def make_signer(seed: str) -> tuple[bytes, Signer]:
    key = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(seed.encode()).digest())
    return key.public_key().public_bytes_raw(), key.sign


def public_key(seed: str) -> bytes:
    return make_signer(seed)[0]


def make_member(index: int) -> Member:
    name = f"n{index}"
    return Member(
        index=MemberIndex(index),
        id=name,
        name=f"Nation {index}",
        node=f"{name}.counterseal.example",
        identity=public_key(f"identity {index}"),
        cosigner=public_key(f"cosigner {index}"),
        cosigner_ml_dsa_sha256=hashlib.sha256(make_ml_dsa_key(index)).hexdigest(),
        log=public_key(f"log {index}"),
        encryption=hashlib.sha256(b"encryption %d" % index).digest(),
        peer=f"{name}.counterseal.example:7000",
        public=f"{name}.counterseal.example:7001",
        http=f"https://{name}.counterseal.example",
    )


def make_ml_dsa_key(index: int) -> bytes:
    return hashlib.shake_256(b"ml-dsa %d" % index).digest(1312)


def make_polynomial(quorum: int) -> SecretPolynomial:
    return SecretPolynomial(tuple(SecretScalar(7 + 13 * k) for k in range(quorum)))


@dataclass(frozen=True)
class Founding:
    """All arguments of a charter, and who signs it."""

    arguments: dict[str, Any]  # Any: arguments of `encode_charter_payload`
    signers: list[tuple[bytes, Signer]]

    def payload(self, **changes: Any) -> bytes:
        return encode_charter_payload(**(self.arguments | changes))

    def entry(self, payload: bytes | None = None) -> bytes:
        return sign_envelope(self.payload() if payload is None else payload, self.signers)


def make_founding(members_count: int) -> Founding:
    polynomial = make_polynomial(compute_quorum(members_count))
    commitments = [compute_public_key(coefficient) for coefficient in polynomial.coefficients]
    day = 86_400
    arguments = {
        "origin": "counterseal.example/2026",
        "title": "A pause, verified",
        "members": [make_member(index) for index in range(1, members_count + 1)],
        "grid": Grid(
            start=Seconds(1_790_000_000),
            interval_s=Seconds(day),
            submit_window_s=Seconds(2 * day),
            grace_s=Seconds(3 * day),
            correction_window_s=Seconds(14 * day),
            challenge_window_s=Seconds(365 * day),
        ),
        "limits": [Limit(id="run-cap", quantity="training_pflop_per_run", maximum=10**9, note="10^24 operations")],
        "accelerators": [Accelerator(model="h100", peak_gflops=989_400, tdp_w=700, idle_w=70)],
        "consensus": ConsensusParameters(
            delta_ms=Millis(500), delta_max_ms=Millis(8000), idle_interval_ms=Millis(30_000), snapshot_interval=1000
        ),
        "group_key": commitments[0],
        "commitments": commitments,
        "transcript": hashlib.sha256(b"transcript").hexdigest(),
        "founded_at_ms": Millis(1_789_999_999_999),
    }
    signers = [make_signer(f"identity {index}") for index in range(1, members_count + 1)]
    return Founding(arguments, signers)


FOUNDING = make_founding(4)
ENTRY = FOUNDING.entry()
CHARTER = parse_charter(ENTRY)


def edited(edit: dict[str, Any]) -> bytes:  # Any: JSON
    """Edit the predicate as a forger would, without our encoder, and let all founders sign it."""
    statement = json.loads(FOUNDING.payload())
    statement["predicate"] |= edit
    payload = json.dumps(statement, separators=(",", ":"), ensure_ascii=False).encode()
    return FOUNDING.entry(payload)


def member_edited(place: int, **changes: Any) -> list[Member]:  # Any: fields
    members: list[Member] = list(FOUNDING.arguments["members"])
    members[place - 1] = msgspec.structs.replace(members[place - 1], **changes)
    return members


def test_charter_gives_back_what_was_founded() -> None:
    assert find_kind(parse_envelope(ENTRY).payload) == "charter"
    assert CHARTER.entry == ENTRY
    assert CHARTER.ledger_id == hashlib.sha256(ENTRY).digest()
    assert CHARTER.fingerprint == hashlib.sha256(ENTRY).hexdigest()
    assert CHARTER.quorum == 3
    for name in ("origin", "title", "grid", "consensus", "group_key", "founded_at_ms"):
        assert getattr(CHARTER, name) == FOUNDING.arguments[name]
    for name in ("members", "limits", "accelerators", "commitments"):
        assert list(getattr(CHARTER, name)) == FOUNDING.arguments[name]


def test_charter_is_spelt_in_the_documented_order() -> None:
    statement = json.loads(FOUNDING.payload())
    predicate = statement["predicate"]
    header = ["ledger", "issuer", "sequence", "previous", "issued_at", "corrects"]
    body = ["origin", "title", "members", "quorum", "grid", "limits", "accelerators", "consensus"]
    assert list(predicate) == [*header, *body, "group_key", "commitments", "transcript", "founded_at_ms"]
    keys = ["identity", "cosigner", "cosigner_ml_dsa_sha256", "log", "encryption"]
    assert list(predicate["members"][0]) == ["index", "id", "name", "node", *keys, "peer", "public", "http"]
    windows = ["submit_window_s", "grace_s", "correction_window_s", "challenge_window_s"]
    assert list(predicate["grid"]) == ["start", "interval_s", *windows]
    assert list(predicate["limits"][0]) == ["id", "quantity", "maximum", "note"]
    assert list(predicate["accelerators"][0]) == ["model", "peak_gflops", "tdp_w", "idle_w"]
    assert list(predicate["consensus"]) == ["delta_ms", "delta_max_ms", "idle_interval_ms", "snapshot_interval"]
    assert [predicate[name] for name in header] == ["00" * 32, "charter", 0, "00" * 32, 1_789_999_999, None]
    assert predicate["group_key"] == base64.b64encode(CHARTER.group_key).decode()
    subject = {"name": CHARTER.origin, "digest": {"sha256": hashlib.sha256(CHARTER.group_key).hexdigest()}}
    assert statement["subject"] == [subject]


def test_same_founding_gives_the_same_bytes_in_any_order_of_signing() -> None:
    assert sign_envelope(FOUNDING.payload(), FOUNDING.signers[::-1]) == ENTRY


def test_charter_of_one_member_is_possible() -> None:
    charter = parse_charter(make_founding(1).entry())
    assert charter.quorum == 1
    assert charter.public_share(MemberIndex(1)) == charter.group_key


def test_charter_of_sixty_nations_fits_an_entry() -> None:
    founding = make_founding(60)
    entry = founding.entry()
    assert len(entry) <= ENTRY_BYTES_MAX
    assert parse_charter(entry).quorum == 41


@pytest.mark.parametrize(
    ("members_count", "quorum"),
    [(1, 1), (2, 2), (3, 3), (4, 3), (5, 4), (6, 5), (7, 5), (10, 7), (100, 67), (200, 134)],
)
def test_quorum_leaves_out_fewer_than_a_third(members_count: int, quorum: int) -> None:
    assert compute_quorum(members_count) == quorum
    faulty = members_count - quorum
    assert 3 * faulty < members_count
    assert 2 * quorum - members_count > faulty  # two quorums share a member that is not faulty


def test_members_are_found_by_number_and_by_id() -> None:
    for index in range(1, 5):
        member = CHARTER.member(MemberIndex(index))
        assert member.index == index
        assert CHARTER.find_member(f"n{index}") is member
    assert CHARTER.find_member("atlantis") is None
    for index in (-1, 0, 5):
        with pytest.raises(PolicyError):
            CHARTER.member(MemberIndex(index))
        with pytest.raises(PolicyError):
            CHARTER.public_share(MemberIndex(index))


def test_accelerators_are_found_by_model() -> None:
    accelerator = CHARTER.find_accelerator("h100")
    assert accelerator is not None
    assert accelerator.peak_gflops == 989_400
    assert CHARTER.find_accelerator("abacus") is None


def test_public_share_verifies_what_the_member_signs() -> None:
    polynomial = make_polynomial(3)
    for index in range(1, 5):
        secret = polynomial.evaluate(MemberIndex(index))
        assert CHARTER.public_share(MemberIndex(index)) == compute_public_key(secret)
        bls.verify_signature(CHARTER.public_share(MemberIndex(index)), b"m", bls.sign_share(secret, b"m"))


def test_any_changed_byte_is_refused() -> None:
    entry = make_founding(1).entry()
    for position in range(0, len(entry), 3):
        mutated = bytearray(entry)
        mutated[position] ^= 1
        with pytest.raises(LedgerError):
            parse_charter(bytes(mutated))


def test_founder_who_has_not_signed_is_named() -> None:
    for missing in range(4):
        signers = [signer for number, signer in enumerate(FOUNDING.signers) if number != missing]
        with pytest.raises(PolicyError) as caught:
            parse_charter(sign_envelope(FOUNDING.payload(), signers))
        assert caught.value.code == Code.COUNTERSIGNATURE_MISSING
        assert f"n{missing + 1}" in caught.value.found


def test_stranger_among_the_signers_is_refused() -> None:
    with pytest.raises(SignatureError):
        parse_charter(sign_envelope(FOUNDING.payload(), [*FOUNDING.signers, make_signer("stranger")]))


def test_signature_over_another_charter_is_refused() -> None:
    other = FOUNDING.payload(title="Another title")
    first, _ = FOUNDING.signers[0]
    by_keyid = {line.keyid: line.signature for line in parse_envelope(FOUNDING.entry(other)).signatures}
    signers = [(first, lambda _: by_keyid[hashlib.sha256(first).hexdigest()]), *FOUNDING.signers[1:]]
    with pytest.raises(SignatureError):
        parse_charter(sign_envelope(FOUNDING.payload(), signers))


ML_DSA_1 = CHARTER.members[0].cosigner_ml_dsa_sha256
GRID: Grid = FOUNDING.arguments["grid"]
CONSENSUS: ConsensusParameters = FOUNDING.arguments["consensus"]
SHORT_GRID = msgspec.structs.replace(GRID, interval_s=10, submit_window_s=9, grace_s=1)  # 30 s, as long as it is idle
LIMIT: Limit = FOUNDING.arguments["limits"][0]
ACCELERATOR: Accelerator = FOUNDING.arguments["accelerators"][0]
COMMITMENTS: list[bytes] = FOUNDING.arguments["commitments"]
ENCODED_COMMITMENTS = [base64.b64encode(commitment).decode() for commitment in COMMITMENTS]
OUTSIDE_SUBGROUP = b"\x80" + bytes(94) + b"\x02"  # x = 2: on the curve, as the test below shows


@pytest.mark.parametrize(
    ("what", "changes"),
    [
        ("no member", {"members": []}),
        ("two members with one id", {"members": member_edited(2, id="n1")}),
        ("a member called charter", {"members": member_edited(2, id="charter")}),
        ("a member numbered 0", {"members": member_edited(1, index=0)}),
        ("a number twice", {"members": member_edited(2, index=1)}),
        ("a number left out", {"members": member_edited(4, index=5)}),
        ("members out of order", {"members": FOUNDING.arguments["members"][::-1]}),
        ("two members with one node name", {"members": member_edited(2, node="n1.counterseal.example")}),
        ("a node named as the origin", {"members": member_edited(2, node="counterseal.example/2026")}),
        ("a node named as a word of policies", {"members": member_edited(2, node="none")}),
        ("a node name with a space", {"members": member_edited(2, node="n2 example")}),
        ("a node name with a plus", {"members": member_edited(2, node="n2+example")}),
        ("a node name that is not ASCII", {"members": member_edited(2, node="nß.example")}),
        ("a node name of 256", {"members": member_edited(2, node="n" * 256)}),
        ("an identity twice", {"members": member_edited(2, identity=public_key("identity 1"))}),
        ("an identity that is a cosigner", {"members": member_edited(2, cosigner=public_key("identity 2"))}),
        ("a log key that is another's cosigner", {"members": member_edited(2, log=public_key("cosigner 3"))}),
        ("an ML-DSA key twice", {"members": member_edited(2, cosigner_ml_dsa_sha256=ML_DSA_1)}),
        ("a weak identity", {"members": member_edited(2, identity=bytes(32))}),
        ("a weak cosigner", {"members": member_edited(2, cosigner=b"\x01" + bytes(31))}),
        ("a weak log key", {"members": member_edited(2, log=b"\xff" * 32)}),
        ("a short key", {"members": member_edited(2, encryption=bytes(31))}),
        ("a peer twice", {"members": member_edited(2, peer="n1.counterseal.example:7000")}),
        ("an address without a port", {"members": member_edited(2, peer="n2.example")}),
        ("port 0", {"members": member_edited(2, peer="n2.example:0")}),
        ("port 65536", {"members": member_edited(2, public="n2.example:65536")}),
        ("port 65536 of a base", {"members": member_edited(2, http="https://n2.example:65536")}),
        ("an address with a scheme", {"members": member_edited(2, public="https://n2.example:1")}),
        ("a base without a scheme", {"members": member_edited(2, http="n2.example")}),
        ("a base of another scheme", {"members": member_edited(2, http="ftp://n2.example")}),
        ("a base that ends in a slash", {"members": member_edited(2, http="https://n2.example/")}),
        ("a base with a query", {"members": member_edited(2, http="https://n2.example/?a")}),
        ("a base with a user", {"members": member_edited(2, http="https://a@n2.example")}),
        ("a reserved origin", {"origin": "cosignature/x"}),
        ("another reserved origin", {"origin": "subtree/x"}),
        ("an origin of ours", {"origin": "counter" + "seal/x"}),
        ("an origin with a space", {"origin": "a b"}),
        ("an origin with a line feed", {"origin": "a\n"}),
        ("an origin with a plus", {"origin": "a+b"}),
        ("no origin", {"origin": ""}),
        ("an origin of 256", {"origin": "a" * 256}),
        ("no title", {"title": ""}),
        ("an empty interval", {"grid": msgspec.structs.replace(GRID, interval_s=0)}),
        ("no time to submit", {"grid": msgspec.structs.replace(GRID, submit_window_s=0)}),
        ("negative grace", {"grid": msgspec.structs.replace(GRID, grace_s=-1)}),
        ("an interval of a century", {"grid": msgspec.structs.replace(GRID, interval_s=100 * 366 * 86_400)}),
        ("a start beyond the year 9999", {"grid": msgspec.structs.replace(GRID, start=253_402_300_800)}),
        ("a limit twice", {"limits": [LIMIT, LIMIT]}),
        ("a limit in two spellings", {"limits": [msgspec.structs.replace(LIMIT, maximum=str(INTEGER_MAX))]}),
        ("a limit on a quantity with a space", {"limits": [msgspec.structs.replace(LIMIT, quantity="a b")]}),
        ("a model twice", {"accelerators": [ACCELERATOR, ACCELERATOR]}),
        ("an idle power above the peak", {"accelerators": [msgspec.structs.replace(ACCELERATOR, idle_w=701)]}),
        ("an accelerator that cannot count", {"accelerators": [msgspec.structs.replace(ACCELERATOR, peak_gflops=0)]}),
        ("no delay", {"consensus": msgspec.structs.replace(CONSENSUS, delta_ms=0)}),
        ("a delay above its maximum", {"consensus": msgspec.structs.replace(CONSENSUS, delta_max_ms=499)}),
        ("an idle network that looks like an outage", {"grid": SHORT_GRID}),
        ("a commitment too few", {"commitments": COMMITMENTS[:-1]}),
        ("a commitment too many", {"commitments": [*COMMITMENTS, COMMITMENTS[1]]}),
        ("another constant term", {"commitments": [COMMITMENTS[1], *COMMITMENTS[1:]]}),
        ("a group key that is not the constant term", {"group_key": COMMITMENTS[1]}),
        ("the identity as a commitment", {"commitments": [*COMMITMENTS[:-1], b"\xc0" + bytes(95)]}),
        ("a commitment that is no point", {"commitments": [*COMMITMENTS[:-1], b"\xff" * 96]}),
        ("a commitment outside the subgroup", {"commitments": [*COMMITMENTS[:-1], OUTSIDE_SUBGROUP]}),
        ("a short commitment", {"commitments": [*COMMITMENTS[:-1], COMMITMENTS[-1][:95]]}),
        ("a transcript that is no hash", {"transcript": "ab"}),
        ("a founding before time", {"founded_at_ms": -1}),
    ],
)  # fmt: skip
def test_charter_that_contradicts_itself_is_refused(what: str, changes: dict[str, Any]) -> None:  # Any: arguments
    with pytest.raises(FormatError):
        FOUNDING.payload(**changes)


@pytest.mark.parametrize("address", ["[::1]:1", "10.0.0.1:65535", "localhost:7000", "a-b.example:80"])
def test_addresses_of_every_kind_are_kept(address: str) -> None:
    members = member_edited(1, peer=address, public=address, http=f"http://{address}/prefix/x")
    assert parse_charter_payload(FOUNDING.payload(members=members)).predicate.members[0].peer == address


@pytest.mark.parametrize(
    ("what", "edit"),
    [
        ("a quorum too small", {"quorum": 2}),
        ("a quorum too large", {"quorum": 4}),
        ("a quorum too small, with commitments to match", {"quorum": 2, "commitments": ENCODED_COMMITMENTS[:2]}),
        ("a ledger", {"ledger": "ab" * 32}),
        ("an issuer", {"issuer": "n1"}),
        ("a sequence", {"sequence": 1}),
        ("a previous entry", {"previous": "ab" * 32}),
        ("another time", {"issued_at": 1_790_000_000}),
        ("a correction", {"corrects": {"leaf": "ab" * 32, "reason": "typo"}}),
        ("an unknown field", {"extra": 1}),
        ("another group key than the subject's", {"group_key": base64.b64encode(COMMITMENTS[1]).decode()}),
        ("url-safe base64", {"group_key": base64.urlsafe_b64encode(COMMITMENTS[0]).decode()}),
        ("base64 with a line feed", {"group_key": base64.b64encode(COMMITMENTS[0]).decode() + "\n"}),
    ],
)
def test_charter_that_all_founders_signed_is_still_checked(what: str, edit: dict[str, Any]) -> None:  # Any: JSON
    if what == "url-safe base64":
        assert edit["group_key"] != base64.b64encode(COMMITMENTS[0]).decode()
    with pytest.raises(FormatError):
        parse_charter(edited(edit))


def test_unedited_charter_passes_the_way_edited_ones_go() -> None:
    assert edited({}) == ENTRY


def test_point_outside_the_subgroup_is_on_the_curve() -> None:
    point = G2Point.from_compressed_bytes_unchecked(OUTSIDE_SUBGROUP)  # raises if it is not
    assert not point.is_in_subgroup()


def test_keys_of_the_ledger_follow_from_the_charter() -> None:
    keys = ledger_keys(CHARTER)
    assert (keys.origin, keys.group_key, keys.quorum) == (CHARTER.origin, CHARTER.group_key, 3)
    assert [(cosigner.name, cosigner.ed25519, cosigner.ml_dsa) for cosigner in keys.cosigners] == [
        (member.node, member.cosigner, None) for member in CHARTER.members
    ]
    assert keys.log_keys == tuple(member.log for member in CHARTER.members)


def test_ml_dsa_keys_are_taken_only_if_the_charter_has_their_hash() -> None:
    given = {MemberIndex(index): make_ml_dsa_key(index) for index in (1, 3)}
    keys = ledger_keys(CHARTER, given)
    assert [cosigner.ml_dsa for cosigner in keys.cosigners] == [make_ml_dsa_key(1), None, make_ml_dsa_key(3), None]
    with pytest.raises(FormatError):
        ledger_keys(CHARTER, {MemberIndex(2): make_ml_dsa_key(1)})
    with pytest.raises(PolicyError):
        ledger_keys(CHARTER, {MemberIndex(5): make_ml_dsa_key(5)})


def test_signature_check_can_be_replaced_and_is_asked_once_a_founder() -> None:
    calls = count()

    def is_signature(_key: bytes, _signature: bytes, _message: bytes) -> bool:
        return next(calls) < 4

    assert isinstance(parse_charter(ENTRY, is_signature=is_signature), Charter)
    assert next(calls) == 4


def test_the_silence_of_an_outage_is_the_same_for_the_charter_and_for_the_rules() -> None:
    for grid in (GRID, SHORT_GRID):
        assert compute_outage_threshold_ms(compute_grid(grid)) == 1000 * compute_outage_threshold_s(grid)


def test_a_network_may_be_idle_for_any_time_that_is_no_outage() -> None:
    consensus = msgspec.structs.replace(CONSENSUS, idle_interval_ms=29_999)
    assert FOUNDING.payload(grid=SHORT_GRID, consensus=consensus)
