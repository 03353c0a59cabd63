"""The statements a nation makes with its own key: body in, header and signature added.

A registration, of a lab that asks for it, whose envelope becomes complete with the lab's own signature; and
statements of misconduct and beacons, which the node makes by itself.
"""

from collections.abc import Callable

import msgspec

from ledger.domains import PAYLOAD_TYPE
from ledger.errors import Code, FormatError
from ledger.limits import ENTRY_BYTES_MAX
from ledger.positions import BeaconRound, Millis, Seconds, Sequence
from ledger.statements.beacons import Beacon, encode_beacon
from ledger.statements.dsse import encode_pae, sign_envelope
from ledger.statements.misconduct import Evidence, MisconductReport, encode_misconduct
from ledger.statements.registry import Registration, encode_registration
from node.admission import Admission
from node.keys import IdentityKey
from node.v1 import operator_pb2


class Nation:
    """Signs in the nation's name; `position` comes from what is final and what waits."""

    def __init__(
        self, member_id: str, identity: IdentityKey, admission: Admission, clock: Callable[[], Millis]
    ) -> None:
        self._id, self._identity, self._admission, self._clock = member_id, identity, admission, clock
        self._place_given: Sequence | None = None

    def sign(self, kind: str, body: bytes) -> operator_pb2.SignStatementResponse:
        """Complete a predicate's body with this nation's header, and sign it.

        Raises:
            LedgerError: an unknown kind, or a body that is not of the kind's form.
        """
        if kind != "registration":
            raise FormatError(field="kind", found=kind, expected="registration", code=Code.UNKNOWN_KIND)
        header = self._make_header()
        predicate = _read_object(body)
        if not header.keys().isdisjoint(predicate):
            named = ", ".join(name for name in header if name in predicate)
            raise FormatError(field="body", found=named, expected="a body alone; the header is added here")
        payload = encode_registration(_convert(header | predicate))
        signature = self._identity.sign(encode_pae(PAYLOAD_TYPE, payload))
        self._place_given = self._admission.position(self._id).next_sequence
        return operator_pb2.SignStatementResponse(
            payload=payload, signature=signature, public_key=self._identity.public_key
        )

    def has_statement_out(self) -> bool:
        """Say whether a statement was signed for a lab to hand in, and its place in this nation's chain is still free.

        What the node says by itself meanwhile takes that place, and the lab's statement is refused.
        """
        return self._place_given == self._admission.position(self._id).next_sequence

    def accuse(self, evidence: Evidence) -> bytes:
        """Make the whole entry that shows evidence of a member's misconduct.

        Raises:
            LedgerError: the evidence has no form that the rules would read.
        """
        report = msgspec.convert(self._make_header() | {"evidence": evidence}, MisconductReport)
        return sign_envelope(encode_misconduct(report), [(self._identity.public_key, self._identity.sign)])

    def post_beacon(self, beacon_round: BeaconRound, signature: bytes) -> bytes:
        """Make the whole entry that tells the ledger a round's beacon.

        Raises:
            LedgerError: the nation is not known here.
        """
        beacon = msgspec.convert(self._make_header() | {"round": beacon_round, "signature": signature}, Beacon)
        return sign_envelope(encode_beacon(beacon), [(self._identity.public_key, self._identity.sign)])

    def _make_header(self) -> dict[str, object]:
        """The first fields of this nation's next statement."""
        position = self._admission.position(self._id)
        return {
            "ledger": position.ledger_id.hex(),
            "issuer": self._id,
            "sequence": position.next_sequence,
            "previous": position.previous.hex(),
            "issued_at": Seconds(self._clock() // 1000),
            "corrects": None,
        }


def _read_object(body: bytes) -> dict[str, object]:
    if len(body) > ENTRY_BYTES_MAX:
        raise FormatError(
            field="body", found=f"{len(body)} bytes", expected=f"at most {ENTRY_BYTES_MAX}", code=Code.TOO_LARGE
        )
    try:
        return msgspec.json.decode(body, type=dict[str, object])
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise FormatError(field="body", found=str(error) or type(error).__name__, expected="a JSON object") from None


def _convert(predicate: dict[str, object]) -> Registration:
    try:
        return msgspec.convert(predicate, Registration)
    except msgspec.ValidationError as error:
        raise FormatError(field="registration", found=str(error), expected="a registration's fields") from None
