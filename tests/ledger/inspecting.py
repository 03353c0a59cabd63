"""Inspections on the small ledger of the rules: beacons that its group signs."""

from ledger.beacons import compute_beacon_message
from ledger.positions import BeaconRound, MemberIndex, Seconds
from ledger.positions import Sequence as SequenceNumber
from ledger.statements.beacons import Beacon, encode_beacon
from ledger.statements.dsse import sign_envelope
from ledger.threshold import bls
from ledger.threshold.polynomials import SecretScalar
from tests.ledger.rulebook import NATIONS, Party, World


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
