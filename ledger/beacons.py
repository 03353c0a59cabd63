r"""The beacon: for every inspection round one number that nobody can know beforehand and nobody can choose.

    message = BEACON || "round " decimal "\n"            randomness = SHA-256(the group's signature on it, 48 bytes)

A BLS signature on a fixed message is one point, whichever quorum makes it: who posts it, who joins last and who stays
away change nothing. So the message holds the round's number alone: a height, a time or an epoch could be hurried or
delayed to choose between two values, and the key belongs to one charter already.

What it rests on: fewer than a quorum's shares say nothing about the signature, and honest members sign a round only
once the block that opened it is final (`ledger.rules.beacons.find_open_rounds`). Whoever holds a quorum of shares
knows all rounds for ever.
"""

import hashlib

from ledger.domains import BEACON
from ledger.positions import BeaconRound
from ledger.threshold import bls


def compute_beacon_message(beacon_round: BeaconRound) -> bytes:
    r"""Give the bytes that shares of a round's beacon are made over, by `ledger.threshold.bls.sign_share`.

    >>> compute_beacon_message(BeaconRound(7)).endswith(b"/v1\nround 7\n")
    True
    """
    assert beacon_round >= 0
    return BEACON + b"round %d\n" % beacon_round


def verify_beacon(
    beacon_round: BeaconRound, signature: bytes, *, group_key: bytes, field: str = "beacon.signature"
) -> None:
    """Check that the group signed the round.

    Args:
        beacon_round: which.
        signature: 48 bytes.
        group_key: 96 bytes, of the charter: this function believes it.
        field: name of the signature in errors.

    Raises:
        FormatError: `field` is no point in its one spelling.
        SignatureError: `field`: it is not the group's over this round.
    """
    bls.verify_signature(group_key, compute_beacon_message(beacon_round), signature, field=field)


def compute_randomness(signature: bytes) -> bytes:
    """Give a round's random number, 32 bytes, from its signature, which the caller has verified."""
    return hashlib.sha256(signature).digest()
