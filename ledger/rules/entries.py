"""One entry on its way through the rules: read once, its signatures checked once, its statement parsed once.

A node meets the same entry three times: when it is handed in, when it is proposed, when the block is executed.
`PreparedEntry` keeps what does not depend on any state: the envelope, the hashes, which key made which signature, the
typed statement. What depends on a state is asked anew each time.

Order of belief: envelope → signatures by keys that the state knows → payload as a typed statement → header → what the
kind demands. Nothing of a payload is read before somebody who is registered has signed it.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from ledger.errors import Code, FormatError, LedgerError, Rejection, SignatureError, reject
from ledger.merkle import leaf_hash
from ledger.positions import LeafIndex, Millis
from ledger.rules.records.foundation import Issuer
from ledger.rules.records.registry import KEYS, KeyHolder
from ledger.rules.state import State
from ledger.statements.computed import is_computed_entry
from ledger.statements.dsse import Envelope, SignatureCheck, encode_pae, parse_envelope, verify_envelope
from ledger.statements.intoto import PredicateHeader, Statement, find_kind


class PreparedEntry:
    """An entry's bytes and what follows from them alone. Made by `prepare_entry`; belongs to one thread.

    Attributes:
        raw: the entry.
        leaf_hash: its hash as a leaf.
        envelope: as parsed; its signatures are not verified by being here.
        payload_digest: SHA-256 of the payload: two envelopes of one statement have the same.
    """

    __slots__ = ("_is_signed", "_kind", "_statement", "envelope", "leaf_hash", "payload_digest", "raw")

    def __init__(self, raw: bytes, envelope: Envelope) -> None:
        """Hash; `prepare_entry` parses."""
        self.raw: Final = raw
        self.envelope: Final = envelope
        self.leaf_hash: Final = leaf_hash(raw)
        self.payload_digest: Final = hashlib.sha256(envelope.payload).digest()
        self._is_signed: dict[tuple[bytes, bytes], bool] = {}
        self._kind: str | None = None
        self._statement: Statement[Any] | None = None  # of any kind: `parse_as` is asked with one kind's parser only

    def is_signed_by(self, public_key: bytes, signature: bytes, is_signature: SignatureCheck) -> bool:
        """Say whether `signature` is this key's over this entry's payload; the answer is remembered."""
        known = self._is_signed.get((public_key, signature))
        if known is None:
            message = encode_pae(self.envelope.payload_type, self.envelope.payload)
            known = self._is_signed[public_key, signature] = is_signature(public_key, signature, message)
        return known

    def find_kind(self) -> str:
        """Which kind of statement the payload claims to be; remembered.

        Raises:
            FormatError: it does not begin as a statement of ours does.
        """
        if self._kind is None:
            self._kind = find_kind(self.envelope.payload)
        return self._kind

    def parse_as(self, parse: Callable[[bytes], Statement[Any]]) -> Statement[Any]:
        """The statement, by the parser of its own kind; remembered.

        Raises:
            FormatError: not a statement of that kind.
        """
        if self._statement is None:
            self._statement = parse(self.envelope.payload)
        return self._statement


def prepare_entry(entry: bytes) -> PreparedEntry:
    """Read the envelope of an entry that a party signed.

    Raises:
        FormatError: too large, or not an envelope in its one encoding; `COMPUTED_ONLY`: it is of the kind that the
            rules make and nobody signs.
    """
    if is_computed_entry(entry):
        raise FormatError(
            field="entry",
            found="a statement without envelope",
            expected="a signed envelope",
            code=Code.COMPUTED_ONLY,
        )
    return PreparedEntry(entry, parse_envelope(entry))


@dataclass(frozen=True, slots=True)
class Context:
    """What a kind's rules are told beside the statement.

    Attributes:
        time_ms: time of the block.
        index: ledger index the entry gets.
        entry: the entry; its issuer's signature is verified.
        issuer_key: the key of the issuer's that made it.
        is_signature: the check of one signature.
    """

    time_ms: Millis
    index: LeafIndex
    entry: PreparedEntry
    issuer_key: bytes
    is_signature: SignatureCheck

    def verify_signers(self, public_keys: Sequence[bytes]) -> tuple[bytes, ...]:
        """Check that exactly these keys, or some of them, signed the entry, and return those.

        Raises:
            SignatureError: a signature does not verify, or is by another key.
        """
        return verify_envelope(
            self.entry.envelope,
            public_keys=public_keys,
            is_signature=lambda key, signature, _: self.entry.is_signed_by(key, signature, self.is_signature),
        )


@dataclass(frozen=True, slots=True)
class Kind:
    """What the rules know of one kind of statement. A later kind is one more of these.

    Attributes:
        name: as in `urn:counterseal:<name>:v1`.
        is_for_nations: whether nations issue it; False: labs do; None: whoever is registered.
        signature_count: how many signatures its envelope holds, the issuer's included; no more, so that nobody can
            strip or add one and make another entry of the same statement.
        parse: payload to statement.
        apply: checks, and changes the state only if nothing is wrong.
    """

    name: str
    is_for_nations: bool | None
    signature_count: int
    # The predicate's type belongs to `parse` and `apply` of the same kind; the dispatch does not look inside.
    parse: Callable[[bytes], Statement[Any]]
    apply: Callable[[State, Context, Any], Rejection | None]


@dataclass(frozen=True, slots=True)
class Authentic:
    """An entry that its issuer signed, for a given state: what the header says can be believed.

    Attributes:
        entry: the entry.
        kind: its kind's rules.
        header: the whole predicate, of which the dispatch reads the header.
        issuer: where the issuer stands.
        issuer_key: the issuer's key that signed.
    """

    entry: PreparedEntry
    kind: Kind
    header: PredicateHeader
    issuer: Issuer
    issuer_key: bytes


def verify_known_signatures(state: State, entry: PreparedEntry, is_signature: SignatureCheck) -> tuple[bytes, ...]:
    """Check every signature whose key the state knows, and return those keys; at least one.

    A key id only finds the key. Lines by keys that nobody registered are left to the kind (a lab's first key).

    Raises:
        SignatureError: none is by a registered key (`WRONG_KEY`), or one by such a key does not verify.
    """
    signers: list[bytes] = []
    for line in entry.envelope.signatures:
        holder: KeyHolder | None = KEYS.get(state, bytes.fromhex(line.keyid))
        if holder is None:
            continue
        if not entry.is_signed_by(holder.public_key, line.signature, is_signature):
            raise SignatureError(
                field="entry.signatures.sig", found=f"key id {line.keyid}", expected="a signature over the payload"
            )
        signers.append(holder.public_key)
    if not signers:
        raise SignatureError(
            field="entry.signatures.keyid",
            found=entry.envelope.signatures[0].keyid,
            expected="a registered key; a nation must register a lab before the lab can file",
            code=Code.WRONG_KEY,
        )
    return tuple(signers)


def reject_error(error: LedgerError) -> Rejection:
    """The same four parts, as the value that the rules answer with."""
    return reject(error.code, field=error.field, found=error.found, expected=error.expected)
