"""`ledger.beacons`: one number a round, whoever makes it, and nothing else passes for it."""

import hashlib

import pytest

from ledger.beacons import compute_beacon_message, compute_randomness, verify_beacon
from ledger.errors import FormatError, SignatureError
from ledger.limits import SEAL_BYTES
from ledger.positions import BeaconRound, MemberIndex
from ledger.threshold import bls
from ledger.threshold.dealing import combine_deals, combine_shares, make_deal
from ledger.threshold.polynomials import SecretScalar

COUNT, QUORUM = 4, 3


def make_group() -> tuple[bytes, dict[int, SecretScalar]]:
    """A group of four that dealt to each other, as founders do: its key, and each member's share."""
    stream = (hashlib.sha512(b"beacon %d" % number).digest() for number in range(99))
    made = [
        make_deal(
            dealer=MemberIndex(dealer),
            quorum=QUORUM,
            members_count=COUNT,
            session=bytes(32),
            randomness=lambda count: next(stream)[:count],
        )
        for dealer in range(1, COUNT + 1)
    ]
    shares = {j: combine_shares([given[j - 1] for _, given in made]) for j in range(1, COUNT + 1)}
    return combine_deals([deal for deal, _ in made]).group_key, shares


GROUP_KEY, SHARES = make_group()


def sign(number: int, *members: int) -> bytes:
    message = compute_beacon_message(BeaconRound(number))
    return bls.combine({MemberIndex(j): bls.sign_share(SHARES[j], message) for j in members})


def test_the_message_is_a_tag_and_the_round_and_nothing_that_somebody_could_choose() -> None:
    assert compute_beacon_message(BeaconRound(0)) == b"counterseal/beacon/v1\nround 0\n"
    assert compute_beacon_message(BeaconRound(1234567)) == b"counterseal/beacon/v1\nround 1234567\n"


def test_every_quorum_makes_the_same_number() -> None:
    made = {sign(7, *members) for members in ((1, 2, 3), (1, 2, 4), (1, 3, 4), (2, 3, 4), (1, 2, 3, 4))}
    [signature] = made
    verify_beacon(BeaconRound(7), signature, group_key=GROUP_KEY)
    assert compute_randomness(signature) == hashlib.sha256(signature).digest()
    assert compute_randomness(signature) != compute_randomness(sign(8, 1, 2, 3))


def test_fewer_than_a_quorum_make_nothing_that_verifies() -> None:
    with pytest.raises(SignatureError):
        verify_beacon(BeaconRound(7), sign(7, 1, 2), group_key=GROUP_KEY)


def test_another_round_another_group_and_other_bytes_are_refused_by_name() -> None:
    signature = sign(7, 1, 2, 3)
    for number, given, key in (
        (8, signature, GROUP_KEY),
        (70, signature, GROUP_KEY),
        (7, bls.sign_share(SHARES[1], compute_beacon_message(BeaconRound(7))), GROUP_KEY),
        (7, signature, make_other_key()),
    ):
        with pytest.raises(SignatureError) as caught:
            verify_beacon(BeaconRound(number), given, group_key=key, field="here")
        assert caught.value.field == "here"
    for raw in (bytes(SEAL_BYTES), b"\xc0" + bytes(SEAL_BYTES - 1), signature[:-1]):
        with pytest.raises(FormatError):
            verify_beacon(BeaconRound(7), raw, group_key=GROUP_KEY)


def make_other_key() -> bytes:
    deal, _ = make_deal(
        dealer=MemberIndex(1), quorum=1, members_count=1, session=bytes(32), randomness=lambda count: b"\7" * count
    )
    return deal.commitments[0]
