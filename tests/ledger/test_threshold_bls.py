"""`ledger.threshold.bls` on both backends: published signatures, every quorum, every culprit."""

import hashlib
import itertools
import json
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger import domains
from ledger.errors import FormatError, LedgerError, PolicyError, SignatureError
from ledger.positions import MemberIndex
from ledger.threshold import bls
from ledger.threshold.group import ORDER, Backend, BackendName, backend, select_backend
from ledger.threshold.polynomials import SecretPolynomial, SecretScalar, compute_public_key, make_polynomial

VECTORS = json.loads((Path(__file__).parent.parent / "vectors" / "bls.json").read_text())["drand_quicknet"]
MESSAGE = b"counterseal test message"
SESSION = bytes(range(32))
BOTH: tuple[BackendName, ...] = ("arkworks", "pyecc")


@pytest.fixture(params=["arkworks", "pyecc"])
def running(request: pytest.FixtureRequest) -> Iterator[Backend]:
    if request.param == "pyecc":
        pytest.importorskip("py_ecc")
    select_backend(request.param)
    yield backend()
    select_backend("arkworks")


class Committee:
    """A dealt secret with everything public about it; the secret stays here, which no real committee has."""

    def __init__(self, count: int, quorum: int, seed: int = 0) -> None:
        self.polynomial: SecretPolynomial = make_polynomial(quorum, random.Random(seed).randbytes)
        self.members = [MemberIndex(j) for j in range(1, count + 1)]
        self.quorum = quorum
        self.group_key = compute_public_key(self.polynomial.coefficients[0])
        self.public_shares = {j: compute_public_key(self.polynomial.evaluate(j)) for j in self.members}

    def share(self, member: MemberIndex, message: bytes = MESSAGE) -> bytes:
        return bls.sign_share(self.polynomial.evaluate(member), message)

    def shares(self, members: list[MemberIndex] | None = None, message: bytes = MESSAGE) -> dict[MemberIndex, bytes]:
        return {j: self.share(j, message) for j in (self.members if members is None else members)}

    def seal(self, shares: dict[MemberIndex, bytes]) -> tuple[bytes | None, tuple[MemberIndex, ...]]:
        return bls.combine_and_verify(
            shares, MESSAGE, group_key=self.group_key, public_shares=self.public_shares, quorum=self.quorum
        )


@pytest.mark.parametrize("case", VECTORS["rounds"], ids=lambda case: str(case["round"]))
def test_rounds_of_the_drand_network_verify(running: Backend, case: dict[str, object]) -> None:
    number, signature = case["round"], case["signature"]
    assert isinstance(number, int)
    assert isinstance(signature, str)
    message = hashlib.sha256(number.to_bytes(8, "big")).digest()
    key, seal = bytes.fromhex(VECTORS["public_key"]), bytes.fromhex(signature)
    bls.verify_signature(key, message, seal)
    other = hashlib.sha256((number + 1).to_bytes(8, "big")).digest()
    assert not bls.is_signature(key, other, seal)


def test_each_backend_verifies_what_the_other_signed_and_both_sign_alike() -> None:
    pytest.importorskip("py_ecc")
    secret = SecretScalar(0x1234567890ABCDEF << 180)
    signatures, proofs = [], []
    for name in BOTH:
        select_backend(name)
        signatures.append(bls.sign_share(secret, MESSAGE))
        proofs.append(bls.prove_possession(secret, session=SESSION, member=MemberIndex(1)))
    assert signatures[0] == signatures[1]
    assert proofs[0] == proofs[1]
    for name in BOTH:
        select_backend(name)
        key = compute_public_key(secret)
        bls.verify_signature(key, MESSAGE, signatures[0])
        bls.verify_possession(key, proofs[0], session=SESSION, member=MemberIndex(1))
    select_backend("arkworks")


def test_a_quorum_makes_the_same_seal_on_both_backends(running: Backend) -> None:
    committee = Committee(4, 3)
    seal, culprits = committee.seal(committee.shares())
    assert seal == bls.sign_share(committee.polynomial.coefficients[0], MESSAGE)
    assert culprits == ()
    assert seal is not None
    assert not bls.is_signature(committee.group_key, MESSAGE, bls.combine(committee.shares(committee.members[:2])))


@pytest.mark.parametrize("secret", [1, 2, ORDER - 1, (1 << 254) - 1, 1 << 254])
def test_splitting_the_secret_changes_nothing_in_the_signature(secret: int) -> None:
    group = backend()
    expected = group.g1_mul(group.hash_to_g1(MESSAGE, domains.BLS_SIGNATURE_DST), secret)
    assert bls.sign_share(SecretScalar(secret), MESSAGE) == group.encode_g1(expected)


def test_the_split_differs_with_message_and_secret() -> None:
    cases = [(SecretScalar(s), m, d) for s in (1, 2) for m in (b"a", b"b") for d in (b"d", b"e")]
    masks = {bls._derive_mask(secret, message, dst).value for secret, message, dst in cases}
    assert len(masks) == len(cases)
    assert all(mask.bit_length() > 128 for mask in masks)


@pytest.mark.parametrize("count", range(1, 8))
def test_every_quorum_gives_the_same_seal_and_fewer_never_verify(count: int) -> None:
    quorum = count - (count - 1) // 3
    committee = Committee(count, quorum, seed=count)
    shares = committee.shares()
    expected = bls.sign_share(committee.polynomial.coefficients[0], MESSAGE)
    bls.verify_signature(committee.group_key, MESSAGE, expected)
    for size in range(1, count + 1):
        for chosen in itertools.combinations(committee.members, size):
            combined = bls.combine({member: shares[member] for member in chosen})
            assert (combined == expected) == (size >= quorum)
    for chosen in itertools.combinations(committee.members, quorum):
        assert committee.seal({member: shares[member] for member in chosen}) == (expected, ())


def test_a_seal_is_made_in_whatever_order_shares_came() -> None:
    committee = Committee(4, 3)
    shares = committee.shares()
    assert len({committee.seal(dict(order)) for order in itertools.permutations(shares.items())}) == 1


def test_fewer_shares_than_the_quorum_are_not_combined() -> None:
    committee = Committee(4, 3)
    with pytest.raises(PolicyError) as caught:
        committee.seal(committee.shares(committee.members[:2]))
    assert caught.value.field == "shares"


def test_a_share_of_nobody_in_the_committee_is_refused() -> None:
    committee = Committee(4, 3)
    for stranger in (0, 5, 999):
        with pytest.raises(PolicyError):
            committee.seal(committee.shares() | {MemberIndex(stranger): committee.share(committee.members[0])})


@pytest.mark.parametrize(
    "wrong",
    [b"", b"\xc0" + bytes(47), b"\xff" * 48, bytes(48), b"\x80" + bytes(46) + b"\x04", b"\x80" * 47],
    ids=["empty", "identity", "odd-identity", "zeros", "no-point", "short"],
)
def test_a_share_that_is_no_point_names_its_member_and_the_seal_is_made_without_it(wrong: bytes) -> None:
    committee = Committee(4, 3)
    expected, _ = committee.seal(committee.shares())
    assert committee.seal(committee.shares() | {MemberIndex(2): wrong}) == (expected, (2,))


def test_a_share_over_another_message_names_its_member() -> None:
    committee = Committee(4, 3)
    expected, _ = committee.seal(committee.shares())
    shares = committee.shares() | {MemberIndex(1): committee.share(MemberIndex(1), b"another")}
    assert committee.seal(shares) == (expected, (1,))


def test_swapped_shares_name_both_members() -> None:
    committee = Committee(7, 5)
    expected, _ = committee.seal(committee.shares())
    shares = committee.shares()
    shares[MemberIndex(1)], shares[MemberIndex(2)] = shares[MemberIndex(2)], shares[MemberIndex(1)]
    assert committee.seal(shares) == (expected, (1, 2))


def test_too_many_wrong_shares_leave_no_seal_but_every_name() -> None:
    committee = Committee(4, 3)
    wrong = {j: committee.share(j, b"another") for j in committee.members[:2]}
    assert committee.seal(committee.shares() | wrong) == (None, (1, 2))


def test_a_wrong_share_beyond_the_first_quorum_is_not_looked_at() -> None:
    """Verification is lazy: the seal is verified once, and what was not needed was not judged."""
    committee = Committee(4, 3)
    seal, culprits = committee.seal(committee.shares() | {MemberIndex(4): b"\xff" * 48})
    assert seal is not None
    assert culprits == ()


def test_shares_that_cancel_are_no_signature() -> None:
    group = backend()
    share = bls.sign_share(SecretScalar(5), MESSAGE)
    point = group.decode_g1(share, field="share")
    # Lagrange factors of members 1 and 2 at zero are 2 and -1
    doubled = group.encode_g1(group.g1_mul(point, 2))
    with pytest.raises(FormatError, match="identity"):
        bls.combine({MemberIndex(1): share, MemberIndex(2): doubled})


@pytest.mark.parametrize("index", [0, -1, 201])
def test_an_index_that_is_no_members_is_not_combined(index: int) -> None:
    with pytest.raises(PolicyError):
        bls.combine({MemberIndex(index): bls.sign_share(SecretScalar(5), MESSAGE)})
    with pytest.raises(PolicyError):
        bls.combine({})


def test_a_signature_verifies_only_for_its_key_message_and_bytes(running: Backend) -> None:
    secret = SecretScalar(77)
    key, signature = compute_public_key(secret), bls.sign_share(secret, MESSAGE)
    bls.verify_signature(key, MESSAGE, signature)
    with pytest.raises(SignatureError) as caught:
        bls.verify_signature(key, MESSAGE + b"!", signature, field="seal")
    assert caught.value.field == "seal"
    assert not bls.is_signature(compute_public_key(SecretScalar(78)), MESSAGE, signature)
    negated = running.encode_g1(running.g1_negate(running.decode_g1(signature, field="s")))
    assert not bls.is_signature(key, MESSAGE, negated)
    assert not bls.is_signature(b"\xc0" + bytes(95), MESSAGE, signature)
    with pytest.raises(FormatError) as refused:
        bls.verify_signature(b"\xc0" + bytes(95), MESSAGE, signature)
    assert refused.value.field == "public_key"


def test_every_flipped_bit_of_a_signature_is_refused() -> None:
    secret = SecretScalar(77)
    key, signature = compute_public_key(secret), bls.sign_share(secret, MESSAGE)
    for bit in range(48 * 8):
        flipped = bytearray(signature)
        flipped[bit // 8] ^= 1 << bit % 8
        assert not bls.is_signature(key, MESSAGE, bytes(flipped))


@settings(max_examples=50)
@given(st.binary(max_size=200), st.binary(max_size=200))
def test_hostile_bytes_raise_nothing_but_ledger_errors(key: bytes, signature: bytes) -> None:
    assert not bls.is_signature(key, MESSAGE, signature)
    with pytest.raises(LedgerError):
        bls.verify_possession(key, signature, session=SESSION, member=MemberIndex(1))
    with pytest.raises(LedgerError):
        bls.combine({MemberIndex(1): signature})


def test_a_proof_of_possession_holds_for_its_key_session_and_member_only(running: Backend) -> None:
    secret, member = SecretScalar(77), MemberIndex(3)
    key, proof = compute_public_key(secret), bls.prove_possession(secret, session=SESSION, member=member)
    bls.verify_possession(key, proof, session=SESSION, member=member)
    for other in (
        {"public_key": compute_public_key(SecretScalar(78)), "session": SESSION, "member": member},
        {"public_key": key, "session": bytes(32), "member": member},
        {"public_key": key, "session": SESSION, "member": MemberIndex(4)},
    ):
        with pytest.raises(SignatureError):
            bls.verify_possession(proof=proof, **other)  # type: ignore[arg-type]


def test_a_signature_is_no_proof_of_possession_and_the_reverse() -> None:
    secret, member = SecretScalar(77), MemberIndex(3)
    key = compute_public_key(secret)
    message = SESSION + (3).to_bytes(8, "big") + key
    with pytest.raises(SignatureError):
        bls.verify_possession(key, bls.sign_share(secret, message), session=SESSION, member=member)
    assert not bls.is_signature(key, message, bls.prove_possession(secret, session=SESSION, member=member))


def test_a_rogue_key_has_no_proof_of_possession() -> None:
    """An attacker who announces `own - victim` would own the sum of both keys; it cannot prove to hold it."""
    group = backend()
    victim, own = SecretScalar(1001), SecretScalar(77)
    rogue_point = group.g2_msm([group.g2_generator(), group.g2_generator()], [own.value, ORDER - victim.value])
    rogue = group.encode_g2(rogue_point)
    total = group.encode_g2(group.g2_msm([group.decode_g2(compute_public_key(victim), field="k"), rogue_point], [1, 1]))
    forged = bls.sign_share(own, MESSAGE)
    assert bls.is_signature(total, MESSAGE, forged)  # the attack is real: the attacker alone signs for both
    for proof in (
        bls.prove_possession(own, session=SESSION, member=MemberIndex(2)),
        bls.prove_possession(victim, session=SESSION, member=MemberIndex(1)),
        forged,
    ):
        with pytest.raises(SignatureError):
            bls.verify_possession(rogue, proof, session=SESSION, member=MemberIndex(2))


def batch(count: int) -> list[tuple[bytes, bytes]]:
    messages = [b"message %d" % number for number in range(count)]
    return [(message, bls.sign_share(SecretScalar(77), message)) for message in messages]


def weights(count: int, seed: int = 5) -> bytes:
    return random.Random(seed).randbytes(bls.BATCH_WEIGHT_BYTES * count)


def test_a_batch_of_right_signatures_is_accepted(running: Backend) -> None:
    key = compute_public_key(SecretScalar(77))
    bls.verify_signatures_batch(key, batch(3), randomness=weights(3))
    bls.verify_signatures_batch(key, [], randomness=b"")


@pytest.mark.parametrize("wrong", [0, 4, 8])
def test_a_batch_names_the_first_wrong_signature(wrong: int) -> None:
    signed = batch(9)
    signed[wrong] = (signed[wrong][0], signed[wrong - 1][1])
    signed[8] = (b"another message", signed[8][1])
    with pytest.raises(SignatureError) as refused:
        bls.verify_signatures_batch(
            compute_public_key(SecretScalar(77)), signed, randomness=weights(9), field="blocks.seal"
        )
    assert refused.value.field == f"blocks.seal[{wrong}]"


def test_a_batch_is_refused_under_another_key_and_with_what_is_no_point() -> None:
    key, signed = compute_public_key(SecretScalar(77)), batch(3)
    with pytest.raises(SignatureError):
        bls.verify_signatures_batch(compute_public_key(SecretScalar(78)), signed, randomness=weights(3))
    for raw in (b"", bytes(48), b"\xc0" + bytes(47), signed[1][1][:-1] + bytes([signed[1][1][-1] ^ 1])):
        with pytest.raises(LedgerError) as refused:
            bls.verify_signatures_batch(key, [signed[0], (signed[1][0], raw), signed[2]], randomness=weights(3))
        assert refused.value.field == "signatures[1]"


def test_wrong_signatures_that_make_up_for_each_other_are_found_because_weights_differ() -> None:
    group, key = backend(), compute_public_key(SecretScalar(77))
    (first, one), (second, two) = batch(2)
    shift = group.hash_to_g1(b"any point", b"dst")
    moved = [
        (first, group.encode_g1(group.g1_add(group.decode_g1(one, field="one"), shift))),
        (second, group.encode_g1(group.g1_add(group.decode_g1(two, field="two"), group.g1_negate(shift)))),
    ]
    bls.verify_signatures_batch(key, moved, randomness=b"same for everyone"[:16] * 2)  # the attack is real
    with pytest.raises(SignatureError) as refused:
        bls.verify_signatures_batch(key, moved, randomness=weights(2))
    assert refused.value.field == "signatures[0]"


def test_a_batch_wants_a_weight_for_each_signature() -> None:
    with pytest.raises(AssertionError):
        bls.verify_signatures_batch(compute_public_key(SecretScalar(77)), batch(2), randomness=weights(1))


def test_a_zero_secret_signs_nothing() -> None:
    with pytest.raises(AssertionError):
        bls.sign_share(SecretScalar(0), MESSAGE)


def test_what_is_remembered_of_one_backend_is_not_used_by_the_other() -> None:
    pytest.importorskip("py_ecc")
    secret = SecretScalar(99)
    for _ in range(2):
        for name in BOTH:
            select_backend(name)
            bls.verify_signature(compute_public_key(secret), MESSAGE, bls.sign_share(secret, MESSAGE))
    select_backend("arkworks")
