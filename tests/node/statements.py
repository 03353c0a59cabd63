"""Statements of a test's own making: by nations and labs whose keys are here, right or wrong as a test wants them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import msgspec

from ledger.merkle import leaf_hash
from ledger.positions import Interval, Seconds
from ledger.positions import Sequence as SequenceNumber
from ledger.statements.dsse import sign_envelope
from ledger.statements.intoto import ZERO_HASH
from ledger.statements.registry import Cluster, KeyStatus, LabKey, Registration, encode_registration
from ledger.statements.reports import Report, encode_report
from tests.ledger.rulebook import Key, make_row

Signer = tuple[bytes, Callable[[bytes], bytes]]
LIMIT = "run-cap"


@dataclass
class Issuer:
    """A nation or a lab, and where it stands by its own count."""

    id: str
    ledger: str
    signer: Signer
    sequence: int = 0
    previous: str = field(default=ZERO_HASH)

    def note(self, entry: bytes) -> bytes:
        """Move on after a statement that was taken."""
        self.sequence += 1
        self.previous = leaf_hash(entry).hex()
        return entry

    def register(
        self,
        lab: str,
        *,
        keys: Sequence[tuple[Key, KeyStatus]] = (),
        signers: Sequence[Signer] | None = None,
        filler: int = 0,
        **changes: object,
    ) -> bytes:
        """Make a registration of a lab, or of its new keys."""
        listed = keys or ((Key(lab), "active"),)
        predicate = Registration(
            ledger=self.ledger,
            issuer=self.id,
            sequence=SequenceNumber(self.sequence),
            previous=self.previous,
            issued_at=Seconds(filler),
            corrects=None,
            lab=lab,
            name=lab,
            keys=tuple(LabKey(key.public, status) for key, status in listed),
            next_key_sha256=Key(f"{lab} next").commitment,
            clusters=(Cluster(f"{lab}-c1", "Hall 1", "NO", None),),
        )
        payload = encode_registration(msgspec.structs.replace(predicate, **changes))
        return sign_envelope(payload, signers or [self.signer, listed[0][0].signer])

    def report(self, interval: int, *, signer: Signer | None = None, **changes: object) -> bytes:
        """Make a lab's report on its one cluster."""
        predicate = Report(
            ledger=self.ledger,
            issuer=self.id,
            sequence=SequenceNumber(self.sequence),
            previous=self.previous,
            issued_at=Seconds(0),
            corrects=None,
            interval=Interval(interval),
            rows=(make_row(f"{self.id}-c1", respects=(True,), limits=(LIMIT,)),),
        )
        return sign_envelope(encode_report(msgspec.structs.replace(predicate, **changes)), [signer or self.signer])
