"""Inspections on the small ledger of the rules: beacons that its group signs, and what parties say of a challenge."""

import hashlib
from collections.abc import Sequence

import msgspec

from ledger.beacons import compute_beacon_message
from ledger.positions import BeaconRound, Interval, LeafIndex, MemberIndex, Seconds
from ledger.positions import Sequence as SequenceNumber
from ledger.sampling import Purpose
from ledger.statements.beacons import (
    SAMPLE,
    Beacon,
    Sample,
    SampleAnswer,
    encode_beacon,
    encode_sample_answer,
    parse_sample,
)
from ledger.statements.computed import find_computed_kind
from ledger.statements.dsse import sign_envelope
from ledger.statements.inspections import (
    Challenge,
    Conclusion,
    Finding,
    Ground,
    Grounds,
    Handed,
    Inspector,
    Inspectors,
    Level,
    Named,
    Outcome,
    Request,
    Response,
    Withdrawal,
    encode_challenge,
    encode_finding,
    encode_inspectors,
    encode_response,
    encode_withdrawal,
)
from ledger.statements.registry import KeyStatus
from ledger.threshold import bls
from ledger.threshold.polynomials import SecretScalar
from tests.ledger.rulebook import NATIONS, Key, Party, World


def make_header(world: World, issuer: Party) -> dict[str, object]:
    """The header of the issuer's next statement."""
    return {
        "ledger": world.ledger,
        "issuer": issuer.id,
        "sequence": SequenceNumber(issuer.sequence),
        "previous": issuer.previous,
        "issued_at": Seconds(0),
        "corrects": None,
    }


def sign_round(number: int, members: tuple[int, ...] = (1, 2, 3)) -> bytes:
    """The group's signature on a round: the small ledger's public polynomial is that of 1 + x + x²."""
    message = compute_beacon_message(BeaconRound(number))
    return bls.combine({MemberIndex(j): bls.sign_share(SecretScalar(1 + j + j * j), message) for j in members})


def make_beacon(world: World, number: int, *, nation: str = NATIONS[0], signature: bytes | None = None) -> bytes:
    """A beacon, signed by the group and posted by a nation."""
    issuer = world.nations[nation]
    made = Beacon(
        **make_header(world, issuer),  # type: ignore[arg-type]  # each of its own type
        round=BeaconRound(number),
        signature=sign_round(number) if signature is None else signature,
    )
    return sign_envelope(encode_beacon(made), [issuer.key.signer])


def make_list(world: World, nation: str, *lines: Inspector) -> bytes:
    """A nation's list of inspectors."""
    issuer = world.nations[nation]
    made = Inspectors(**make_header(world, issuer), inspectors=lines)  # type: ignore[arg-type]  # each of its own type
    return sign_envelope(encode_inspectors(made), [issuer.key.signer])


def make_inspector(nation: str, name: str, *, key: Key | None = None, status: KeyStatus = "active") -> Inspector:
    signing_key = (key or Key(f"{nation} {name}")).public
    return Inspector(
        id=name,
        name=name.title(),
        signing_key=signing_key,
        encryption_key=hashlib.sha256(signing_key).digest(),
        status=status,
    )


def name_inspectors(world: World, at: int, *names: str) -> None:
    """Let every nation name inspectors of these ids, each with a key made from nation and id."""
    for nation in NATIONS:
        world.accept(at, make_list(world, nation, *(make_inspector(nation, name) for name in names)))


REQUEST = Request(fields=("energy_wh",), records=(LeafIndex(0),), inventory=None, chips=(), recompute=None)
ASKED = (("brittia", "ada"), ("cockaigne", "ada"))


def make_challenge(
    world: World,
    challenge: str = "c-1",
    *,
    nation: str = "brittia",
    inspectors: Sequence[tuple[str, str]] = ASKED,
    interval: int = 1,
    **changes: object,
) -> bytes:
    """A challenge of `acme`, cluster `a1`."""
    issuer = world.nations[nation]
    made = Challenge(
        **make_header(world, issuer),  # type: ignore[arg-type]  # each of its own type
        challenge=challenge,
        lab="acme",
        cluster="a1",
        interval=Interval(interval),
        request=REQUEST,
        grounds=Grounds(None, "a rumour"),
        inspectors=tuple(Named(*pair) for pair in inspectors),
    )
    return sign_envelope(encode_challenge(msgspec.structs.replace(made, **changes)), [issuer.key.signer])


def make_withdrawal(world: World, challenge: str = "c-1", *, nation: str = "brittia") -> bytes:
    issuer = world.nations[nation]
    made = Withdrawal(**make_header(world, issuer), challenge=challenge, reason="a mistake")  # type: ignore[arg-type]  # each of its own type
    return sign_envelope(encode_withdrawal(made), [issuer.key.signer])


def make_response(
    world: World,
    challenge: str = "c-1",
    *,
    lab: str = "acme",
    outcome: Outcome = "provided",
    inspectors: Sequence[tuple[str, str]] = ASKED,
) -> bytes:
    issuer, is_provided = world.labs[lab], outcome == "provided"
    made = Response(
        **make_header(world, issuer),  # type: ignore[arg-type]  # each of its own type
        challenge=challenge,
        outcome=outcome,
        handed="ab" * 32 if is_provided else None,
        recipients=tuple(
            Handed(nation=nation, inspector=inspector, ciphertext="cd" * 32) for nation, inspector in inspectors
        )
        if is_provided
        else (),
    )
    return sign_envelope(encode_response(made), [issuer.key.signer])


def make_finding(
    world: World,
    nation: str,
    conclusion: Conclusion,
    *,
    challenge: str = "c-1",
    inspector: str = "ada",
    grounds: Sequence[Ground] = (),
    level: Level | None = None,
    signer: Key | None = None,
) -> bytes:
    """A finding, signed by the nation and, unless another `signer` is given, by the inspector."""
    issuer = world.nations[nation]
    made = Finding(
        **make_header(world, issuer),  # type: ignore[arg-type]  # each of its own type
        challenge=challenge,
        inspector=inspector,
        conclusion=conclusion,
        fields=(),
        grounds=tuple(grounds),
        level=level or ("A3" if conclusion == "consistent" else None),
        report="ef" * 32,
    )
    countersigner = signer or Key(f"{nation} {inspector}")
    return sign_envelope(encode_finding(made), [issuer.key.signer, countersigner.signer])


def make_sample_answer(
    world: World,
    number: int,
    opened_count: int,
    *,
    lab: str = "acme",
    cluster: str = "a1",
    openings: str = "ab" * 32,
) -> bytes:
    """A lab's answer to a round's sample."""
    issuer = world.labs[lab]
    made = SampleAnswer(
        **make_header(world, issuer),  # type: ignore[arg-type]  # each of its own type
        round=BeaconRound(number),
        purpose=Purpose.SPOT,
        cluster=cluster,
        openings=openings,
        opened_count=opened_count,
    )
    return sign_envelope(encode_sample_answer(made), [issuer.key.signer])


def find_samples(entries: Sequence[bytes]) -> list[Sample]:
    """The samples among computed entries, in their order."""
    return [parse_sample(entry) for entry in entries if find_computed_kind(entry) == SAMPLE]
