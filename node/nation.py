"""The statements a nation makes with its own key: body in, header and signature added.

Every kind that the rules of this ledger let a nation issue. One signature completes most of them; the envelope of a
registration also needs the lab's, and is completed there. Statements of misconduct and beacons are made by the node
itself.
"""

from collections.abc import Callable, Mapping

import msgspec

from ledger.domains import PAYLOAD_TYPE
from ledger.errors import Code, FormatError
from ledger.limits import ENTRY_BYTES_MAX
from ledger.positions import BeaconRound, Millis, Seconds, Sequence
from ledger.rules.entries import Kind
from ledger.statements.beacons import Beacon, encode_beacon
from ledger.statements.dsse import encode_pae, sign_envelope
from ledger.statements.misconduct import Evidence, MisconductReport, encode_misconduct
from ledger.vocabulary import encode_predicate
from node.admission import Admission
from node.keys import IdentityKey
from node.v1 import operator_pb2


class Nation:
    """Signs in the nation's name; `position` comes from what is final and what waits."""

    def __init__(
        self,
        member_id: str,
        identity: IdentityKey,
        admission: Admission,
        kinds: Mapping[str, Kind],
        clock: Callable[[], Millis],
    ) -> None:
        """Bind.

        Args:
            member_id: of the nation.
            identity: its key.
            admission: knows where the nation stands.
            kinds: what the rules of this ledger know.
            clock: for `issued_at`.
        """
        self._id, self._identity, self._admission, self._clock = member_id, identity, admission, clock
        self._place_given: Sequence | None = None
        self._kinds = {name: kind for name, kind in kinds.items() if kind.is_for_nations is not False}

    def sign(self, kind: str, body: bytes) -> operator_pb2.SignStatementResponse:
        """Complete a predicate's body with this nation's header, and sign it.

        Raises:
            LedgerError: an unknown kind, or a body that is not of the kind's form.
        """
        payload = self._make_payload(kind, body)
        signature = self._identity.sign(encode_pae(PAYLOAD_TYPE, payload))
        self._place_given = self._admission.position(self._id).next_sequence
        return operator_pb2.SignStatementResponse(
            payload=payload, signature=signature, public_key=self._identity.public_key
        )

    def make_entry(self, kind: str, body: bytes) -> bytes:
        """Make the whole entry of a statement that this nation alone signs.

        Raises:
            LedgerError: as `sign`; `COUNTERSIGNATURE_MISSING` of a kind that somebody else signs too.
        """
        payload = self._make_payload(kind, body)
        count = self._kinds[kind].signature_count
        if count != 1:
            raise FormatError(
                field="kind",
                found=f"{kind}, which {count} parties sign",
                expected="a kind that the nation alone signs; this one is signed here and completed by the other",
                code=Code.COUNTERSIGNATURE_MISSING,
            )
        return sign_envelope(payload, [(self._identity.public_key, self._identity.sign)])

    def _make_payload(self, kind: str, body: bytes) -> bytes:
        if kind not in self._kinds:
            raise FormatError(
                field="kind", found=kind, expected=f"one of {', '.join(self._kinds)}", code=Code.UNKNOWN_KIND
            )
        header = self._make_header()
        predicate = _read_object(body)
        if not header.keys().isdisjoint(predicate):
            named = ", ".join(name for name in header if name in predicate)
            raise FormatError(field="body", found=named, expected="a body alone; the header is added here")
        return encode_predicate(kind, header | predicate)

    def has_statement_out(self) -> bool:
        """Say whether a statement was signed for another party to hand in, and its place in this chain is still free.

        What the node says by itself meanwhile takes that place, and the other's statement is refused.
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
