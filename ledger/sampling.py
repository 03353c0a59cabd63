"""Which units an inspection looks at: a seed from the beacon, indices without bias, a nonce for each.

    seed = SHA-256(SAMPLE || SHA-256(beacon signature 48) || block digest 32 || ledger id 32 || round u64
                   || lp(purpose) || lp(lab) || lp(cluster) || inventory leaf hash 32 || population u64)
    word c = first 8 bytes of SHA-256(seed || c u64), c = 0, 1, …
    nonce of unit i = SHA-256(SAMPLE_NONCE || seed || i u64)

The tags are in `ledger.domains`; lp is the length as u16 and the text. Words from 2**64 - (2**64 mod population) on are
skipped, so that every index is equally likely; of the others the index is the word mod the population, and one that was
drawn before is skipped.

What a sample rests on: the inventory was final in the block whose digest is in the seed, or before, and nobody knew the
beacon's signature before that block. This module believes both. Anybody with the same inputs draws the same units.
A unit without an answer, with a wrong leaf or with another's serial number is a failed unit: there is no drawing again.
"""

import hashlib
from collections.abc import Iterable, Iterator
from enum import StrEnum
from itertools import count as count_up
from typing import Final

from ledger.domains import SAMPLE, SAMPLE_NONCE
from ledger.encoding import encode_u64, require_bytes
from ledger.errors import FormatError
from ledger.limits import HASH_BYTES, IDENTIFIER_CHARACTERS_MAX, SAMPLE_COUNT_MAX, SAMPLE_DRAWN_MAX, SEAL_BYTES, U64_MAX
from ledger.positions import BeaconRound, LeafIndex

_WORDS: Final = 2**64


class Purpose(StrEnum):
    """What is drawn from.

    - SPOT: chips of an inventory, in a round inside the interval.
    - AUDIT: chips, in the first round after grace, so that reports are fixed first.
    - RECORDS: records of a report, in the same round.
    - FLOOR: rack positions of a declared site, against chips that are on no list.
    """

    SPOT = "spot"
    AUDIT = "audit"
    RECORDS = "records"
    FLOOR = "floor"


def compute_seed(
    *,
    signature: bytes,
    block_digest: bytes,
    ledger_id: bytes,
    beacon_round: BeaconRound,
    purpose: Purpose,
    lab: str,
    cluster: str,
    inventory_leaf: bytes,
    population: int,
) -> bytes:
    """Compute the seed of one sample, 32 bytes.

    Args:
        signature: the group's signature on the round's beacon message, 48 bytes, verified: this function believes it.
        block_digest: of the round's trigger, the first sealed block at or after the round's time.
        ledger_id: hash of entry 0.
        beacon_round: number of the round.
        purpose: what is drawn from.
        lab: id of the lab.
        cluster: id of the cluster.
        inventory_leaf: leaf hash of the entry that fixed the root and the population (an inventory or a report).
        population: how many units there are, from that entry.

    Raises:
        FormatError: a hash or the signature of another length, an id too long, a number that is no u64.
    """
    for name, number in (("beacon_round", int(beacon_round)), ("population", population)):
        if not 0 <= number <= U64_MAX:
            raise FormatError(field=f"sample.{name}", found=number, expected="from 0 to 2**64 - 1")
    require_bytes(signature, field="sample.signature", size=SEAL_BYTES)
    parts = (
        hashlib.sha256(signature).digest(),
        require_bytes(block_digest, field="sample.block_digest", size=HASH_BYTES),
        require_bytes(ledger_id, field="sample.ledger_id", size=HASH_BYTES),
        encode_u64(beacon_round),
        _prefix_length(purpose, field="sample.purpose"),
        _prefix_length(lab, field="sample.lab"),
        _prefix_length(cluster, field="sample.cluster"),
        require_bytes(inventory_leaf, field="sample.inventory_leaf", size=HASH_BYTES),
        encode_u64(population),
    )
    return hashlib.sha256(SAMPLE + b"".join(parts)).digest()


def draw_indices(seed: bytes, *, population: int, count: int) -> tuple[LeafIndex, ...]:
    """Draw distinct indices below `population`, in the order of drawing; all of them, in order, if `count` is as many.

    Args:
        seed: of `compute_seed`, with the same population.
        population: how many units there are, from 0 to 2**64 - 1.
        count: how many are wanted.

    Raises:
        FormatError: a seed that is not 32 bytes, a negative number, or more indices than `SAMPLE_DRAWN_MAX`, or than
            `SAMPLE_COUNT_MAX` if they are all there are.

    >>> draw_indices(bytes(32), population=3, count=5)
    (0, 1, 2)
    >>> draw_indices(bytes(32), population=0, count=5)
    ()
    """
    require_bytes(seed, field="sample.seed", size=HASH_BYTES)
    if not 0 <= population <= U64_MAX:
        raise FormatError(field="sample.population", found=population, expected="from 0 to 2**64 - 1")
    most = SAMPLE_COUNT_MAX if count >= population else SAMPLE_DRAWN_MAX
    if count < 0 or min(count, population) > most:
        raise FormatError(field="sample.count", found=count, expected=f"from 0 to {most}")
    return pick_indices(_draw_words(seed), population=population, count=count)


def pick_indices(words: Iterable[int], *, population: int, count: int) -> tuple[LeafIndex, ...]:
    """Turn words of 64 uniform bits into distinct indices, each equally likely.

    Args:
        words: as many as it takes.
        population: below 2**64.
        count: how many are wanted; all, in order, if there are no more.
    """
    if count >= population:
        return tuple(LeafIndex(index) for index in range(population))
    bound = _WORDS - _WORDS % population
    drawn: dict[LeafIndex, None] = {}
    wanted = iter(words)
    while len(drawn) < count:
        word = next(wanted)
        if word < bound:
            drawn.setdefault(LeafIndex(word % population))
    return tuple(drawn)


def compute_sample_nonce(seed: bytes, index: LeafIndex) -> bytes:
    """Compute what a quote of the drawn unit must be bound to, so that no quote is ready before the draw.

    Raises:
        FormatError: a seed that is not 32 bytes.
    """
    require_bytes(seed, field="sample.seed", size=HASH_BYTES)
    return hashlib.sha256(SAMPLE_NONCE + seed + encode_u64(index)).digest()


def _draw_words(seed: bytes) -> Iterator[int]:
    seeded = hashlib.sha256(seed)
    for number in count_up():
        hashed = seeded.copy()
        hashed.update(number.to_bytes(8, "big"))
        yield int.from_bytes(hashed.digest()[:8], "big")


def _prefix_length(text: str, *, field: str) -> bytes:
    if len(text) > IDENTIFIER_CHARACTERS_MAX or not text.isascii():
        raise FormatError(field=field, found=text, expected=f"at most {IDENTIFIER_CHARACTERS_MAX} ASCII characters")
    return len(text).to_bytes(2, "big") + text.encode("ascii")
