"""The founding ceremony: n founders make a group key that none of them holds, and sign the charter that names it.

No dealer, no coordinator, all or nothing. Deterministic but for the randomness of its own deal, no I/O and no clock:
bytes in, actions out. The steps, numbered as the code refers to them:

0. All founders load the same draft; the session is a hash of its values.
1. **Deal.** Once started, a founder publishes its deal: commitments, proof of possession, and each founder's share
   sealed to that founder for this session, dealer and receiver.
2. **Check.** Every deal is checked as it comes: exactly `quorum` commitments, none the identity, a proof of possession,
   one share for each founder, and that its own share opens and lies on the committed polynomial.
3. **Certify.** With all n deals right, a founder writes the transcript (deals in member order) and signs its digest.
4. **Sign.** With all n certificates over the digest it has itself, it signs the charter with the result in it.
5. **Confirm.** With all n signatures it has entry 0, and publishes its hash, the ledger's id. Ed25519 lets a founder
   make two true signatures of one charter, which would give two entries 0; so nobody is done before all n founders
   have confirmed the same one.

Rules that hold in every step:
- A. Anything wrong with a founder's message is said in a signed complaint that names founder and check. Whoever knows a
  complaint says nothing new. The secrets of a failed session are worth nothing, so nothing is lost: the founders start
  again, with a draft that differs in at least its `founded_at_ms`.
- B. A founder is done exactly when n confirmations name the entry it has. Nothing that comes later changes that; and a
  founder that heard a complaint first is done all the same once it holds the n confirmations.
- C. State is a function of the *set* of messages, never of their order. Loss, repetition and restarts are harmless:
  founders exchange `messages()` until all are done, and `pending()` says who is missing.
- D. Two different messages of one kind by one founder are a contradiction; both are kept, as evidence. Signatures that
  differ under one body are not two messages.
- E. A founder never deals twice. Its deal is durable before it is sent, and everything that a restart needs is in it:
  even its own share is sealed to itself. A founder that lost its records exchanges messages *before* it starts, and
  takes up its own deal from the others.

Source: Joint-Feldman as in `ledger.threshold.dealing`; proofs of possession, sealed shares and the certificate all sign
follow BIP-ChillDKG and C2SP COCKTAIL-DKG. Steps 4 and 5 are ours.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from ledger import domains
from ledger.charter import Charter, parse_charter
from ledger.domains import PAYLOAD_TYPE
from ledger.ed25519 import is_ed25519_signature
from ledger.errors import Code, ConditionError, LedgerError
from ledger.positions import MemberIndex
from ledger.statements.dsse import Envelope, EnvelopeSignature, compute_keyid, encode_envelope, encode_pae
from ledger.threshold.dealing import (
    PublicPolynomial,
    combine_deals,
    combine_shares,
    make_deal,
    verify_deal_public,
    verify_share,
)
from ledger.threshold.polynomials import Randomness, SecretScalar
from ledger.threshold.transcripts import (
    SealedDeal,
    Transcript,
    compute_transcript_digest,
    encode_transcript,
)
from node.ceremony_messages import (
    Body,
    Certified,
    CharterSigned,
    Check,
    Complaint,
    Confirmed,
    Dealt,
    Kind,
    Message,
    parse_message,
    sign_message,
    verify_message,
)
from node.draft import Draft, build_charter_payload, compute_session, find_member
from node.keys import EncryptionKey, IdentityKey
from node.sealed_shares import open_share, seal_share


@dataclass(frozen=True, slots=True)
class Keep:
    """Make this message durable before any later action of the same list; `Ceremony` is given it again on restart."""

    message: bytes


@dataclass(frozen=True, slots=True)
class Send:
    """Send this message to all other founders; losing it is harmless."""

    message: bytes


@dataclass(frozen=True, slots=True)
class Failed:
    """The ceremony is over without a result. Tell the operator; go on exchanging messages, so that all learn why."""

    reason: str


@dataclass(frozen=True, slots=True)
class Founded:
    """The ceremony is over with a result, the same for all; `Ceremony.result` has it."""

    ledger_id: bytes


Action = Keep | Send | Failed | Founded


@dataclass(frozen=True, slots=True)
class Pending:
    """What the ceremony waits for, and from whom.

    Attributes:
        step: what is missing, as people say it.
        members: ids of the founders it is missing from, in order.
    """

    step: str
    members: tuple[str, ...]

    def __str__(self) -> str:
        """One readable sentence."""
        return f"waiting for {self.step} of {', '.join(self.members)}"


@dataclass(frozen=True, slots=True)
class FoundingResult:
    """What a founder has at the end.

    Attributes:
        member: its index.
        polynomial: group key, commitments, and every member's public share.
        share: its share of the group's secret.
        transcript: published with the charter; a member recovers its share from it.
        digest: SHA-256 of the transcript, for operators to compare.
        charter: entry 0, signed by all founders.
    """

    member: MemberIndex
    polynomial: PublicPolynomial
    share: SecretScalar
    transcript: bytes
    digest: bytes
    charter: Charter


@dataclass(frozen=True, slots=True)
class _Dealing:
    """What all n deals give."""

    polynomial: PublicPolynomial
    share: SecretScalar
    transcript: bytes
    digest: bytes
    payload: bytes


_STEPS: Final = {
    Kind.DEAL: "the deals",
    Kind.CERTIFY: "the certificates",
    Kind.CHARTER_SIGNATURE: "the charter signatures",
    Kind.CONFIRM: "the confirmations",
}


class Ceremony:
    """One founder's part in one ceremony; see the rules of this module."""

    def __init__(
        self,
        draft: Draft,
        *,
        identity: IdentityKey,
        encryption: EncryptionKey,
        randomness: Randomness,
        kept: Iterable[bytes] = (),
    ) -> None:
        """Take part in the founding of `draft`.

        Args:
            draft: what all founders loaded.
            identity: signs this founder's messages; says which founder this is.
            encryption: opens the shares sealed to it.
            randomness: for its own deal.
            kept: every message of a `Keep` of this session, in the order they were kept.

        Raises:
            ConditionError: the draft does not have these keys (`CONFIG`).
            LedgerError: a message in `kept` is none that could have been kept.
        """
        self.session: Final = compute_session(draft)
        self.member: Final = find_member(draft, identity.public_key)
        if draft.member(self.member).encryption != encryption.public_key:
            raise ConditionError(
                field=f"draft.members[{self.member}].encryption",
                found=draft.member(self.member).encryption.hex(),
                expected=f"this node's key, {encryption.public_key.hex()}",
                code=Code.CONFIG,
            )
        self._draft = draft
        self._identity = identity
        self._encryption = encryption
        self._randomness = randomness
        self._identities = [founder.identity for founder in draft.members]
        self._held: dict[tuple[Kind, MemberIndex], Message] = {}
        self._rivals: dict[tuple[Kind, MemberIndex], Message] = {}
        self._shares: dict[MemberIndex, SecretScalar] = {}
        self._wrong_deals: dict[MemberIndex, Check] = {}
        self._dealing: _Dealing | None = None
        self._charter: Charter | None = None
        self._is_started = False
        self._is_over = False
        self._reason_told: str | None = None
        for raw in kept:
            self._take(self._read(raw))

    def start(self) -> list[Action]:
        """Deal, unless that happened before a restart, and take every step that is due."""
        assert not self._is_started
        self._is_started = True
        actions: list[Action] = [Send(m.raw) for kind in Kind if (m := self._held.get((kind, self.member)))]
        if (Kind.DEAL, self.member) not in self._held and not self._complaints():  # rules A and E
            actions += self._say(self._deal())
        return actions + self._advance()

    def handle(self, raw: bytes) -> list[Action]:
        """Take a message of another founder, or one of its own that came back.

        Raises:
            LedgerError: this is no message of this ceremony; nothing has changed.
        """
        message = self._read(raw)
        if not self._take(message):
            return []
        return [Keep(raw), *self._advance()]

    def messages(self) -> list[bytes]:
        """Give every message held, for another founder to take what it lacks (rule C): first what others rest on."""
        held = [(kind, j) for kind in Kind for j in self._members()]
        return [said[key].raw for key in held for said in (self._held, self._rivals) if key in said]

    def pending(self) -> Pending | None:
        """Say what the ceremony waits for and from whom; None once it is over or failed."""
        if self._is_confirmed() or self._complaints():
            return None
        for kind, step in _STEPS.items():
            missing = tuple(self._name(j) for j in self._members() if (kind, j) not in self._held)
            if missing:
                return Pending(step=step, members=missing)
        return None

    def failure(self) -> str | None:
        """Say who is proven wrong, and who complained about whom; None while there is no complaint, or once founded.

        Who tells two founders two stories makes them complain about each other. Once both stories are here (rule D) it
        stands first, whatever anybody complained about before.
        """
        complaints = self._complaints()
        if not complaints or self._is_confirmed():  # rule B
            return None
        liars = dict.fromkeys(self._name(j) for _, j in sorted(self._rivals, key=lambda key: key[1]))
        lines = [f"{liar} is proven wrong: {Check.TWO_STORIES.meaning}" for liar in liars]
        lines += [
            f"{self._name(c.sender)} complains about {self._name(c.about)}: {c.check.meaning}" for c in complaints
        ]
        return "; ".join(lines)

    def digest(self) -> bytes | None:
        """Give the transcript's digest, for operators to compare, as soon as all deals are here and right."""
        dealing = self._combine()
        return None if dealing is None else dealing.digest

    def result(self) -> FoundingResult | None:
        """Give the result once all n founders confirmed it, and nothing before."""
        if self._dealing is None or self._charter is None or not self._is_confirmed():
            return None
        return FoundingResult(
            member=self.member,
            polynomial=self._dealing.polynomial,
            share=self._dealing.share,
            transcript=self._dealing.transcript,
            digest=self._dealing.digest,
            charter=self._charter,
        )

    # Taking messages

    def _read(self, raw: bytes) -> Message:
        message = parse_message(raw)
        verify_message(message, session=self.session, identities=self._identities)
        return message

    def _take(self, message: Message) -> bool:
        """Hold a verified message; False if it says nothing new."""
        key = (message.body.kind, message.body.sender)
        held = self._held.get(key)
        if held is None:
            self._held[key] = message
            if isinstance(message.body, Dealt):
                self._check_deal(message.body)
            return True
        if held.digest == message.digest or key in self._rivals or isinstance(message.body, Complaint):
            return False
        self._rivals[key] = message  # rule D
        return True

    def _check_deal(self, body: Dealt) -> None:
        """Step 2."""
        deal, dealer = body.deal(), body.sender
        try:
            verify_deal_public(deal, quorum=self._draft.quorum, session=self.session)
        except LedgerError:
            self._wrong_deals[dealer] = Check.DEAL
            return
        if len(body.shares) != len(self._identities):
            self._wrong_deals[dealer] = Check.SHARES_COUNT
            return
        try:
            box = body.shares[self.member - 1]
            share = open_share(box, session=self.session, dealer=dealer, member=self.member, key=self._encryption)
        except LedgerError:
            self._wrong_deals[dealer] = Check.SHARE_UNREADABLE
            return
        try:
            verify_share(deal, member=self.member, share=share)
        except LedgerError:
            self._wrong_deals[dealer] = Check.SHARE_WRONG
            return
        self._shares[dealer] = share

    # Speaking

    def _say(self, body: Body) -> list[Action]:
        message = sign_message(body, self._identity.sign)
        is_new = self._take(message)
        assert is_new
        return [Keep(message.raw), Send(message.raw)]

    def _deal(self) -> Dealt:
        """Step 1."""
        deal, shares = make_deal(
            dealer=self.member,
            quorum=self._draft.quorum,
            members_count=len(self._identities),
            session=self.session,
            randomness=self._randomness,
        )
        boxes = tuple(
            seal_share(
                share,
                session=self.session,
                dealer=self.member,
                member=MemberIndex(j),
                recipient=founder.encryption,
            )
            for j, (share, founder) in enumerate(zip(shares, self._draft.members, strict=True), start=1)
        )
        return Dealt(
            session=self.session.hex(),
            sender=self.member,
            commitments=deal.commitments,
            possession=deal.possession,
            shares=boxes,
        )

    def _advance(self) -> list[Action]:
        """Take every step that is due, and say so when the ceremony ends."""
        if not self._is_started:
            return []
        actions: list[Action] = []
        while (body := self._next_body()) is not None:
            actions += self._say(body)
        if self._charter is not None and self._is_confirmed():
            if not self._is_over:
                self._is_over = True
                actions.append(Founded(self._charter.ledger_id))
        elif (reason := self.failure()) is not None and reason != self._reason_told:
            self._reason_told = reason
            actions.append(Failed(reason))
        return actions

    def _next_body(self) -> Body | None:
        """Say what is due to be said now, if anything."""
        if self._complaints() or self._is_confirmed():  # rules A and B
            return None
        return self._find_complaint() or self._next_step()

    def _next_step(self) -> Body | None:
        session, me = self.session.hex(), self.member
        dealing = self._combine()
        if dealing is None:
            return None
        if (Kind.CERTIFY, me) not in self._held:  # step 3
            certificate = self._identity.sign(domains.CEREMONY + dealing.digest)
            return Certified(session=session, sender=me, digest=dealing.digest.hex(), signature=certificate)
        if (Kind.CHARTER_SIGNATURE, me) not in self._held and self._is_complete(Kind.CERTIFY):  # step 4
            signature = self._identity.sign(encode_pae(PAYLOAD_TYPE, dealing.payload))
            digest = hashlib.sha256(dealing.payload).hexdigest()
            return CharterSigned(session=session, sender=me, digest=digest, signature=signature)
        charter = self._assemble()
        if charter is not None and (Kind.CONFIRM, me) not in self._held:  # step 5
            return Confirmed(session=session, sender=me, digest=charter.fingerprint)
        return None

    def _find_complaint(self) -> Complaint | None:
        """Look for anything wrong, in order of member and step."""
        for j in self._members():
            for kind in _STEPS:
                message = self._held.get((kind, j))
                check = None if message is None else self._judge(message.body)
                if message is not None and check is not None:
                    return Complaint(
                        session=self.session.hex(),
                        sender=self.member,
                        about=j,
                        check=check,
                        message=message.digest.hex(),
                    )
        return None

    def _judge(self, body: Body) -> Check | None:
        if (body.kind, body.sender) in self._rivals:
            return Check.TWO_STORIES
        if isinstance(body, Dealt):
            return self._wrong_deals.get(body.sender)
        if isinstance(body, Complaint):
            return None
        return None if self._agrees(body) else Check.DISAGREES

    # What follows from the messages held

    def _members(self) -> list[MemberIndex]:
        return [MemberIndex(j) for j in range(1, len(self._identities) + 1)]

    def _name(self, member: MemberIndex) -> str:
        return self._draft.member(member).id

    def _complaints(self) -> list[Complaint]:
        held = (self._held.get((Kind.COMPLAINT, j)) for j in self._members())
        return [message.body for message in held if message is not None and isinstance(message.body, Complaint)]

    def _is_complete(self, kind: Kind) -> bool:
        """Say whether all n founders said this, and the same as this founder has."""
        said = [self._held.get((kind, j)) for j in self._members()]
        return all(m is not None and not isinstance(m.body, Dealt | Complaint) and self._agrees(m.body) for m in said)

    def _agrees(self, body: Certified | CharterSigned | Confirmed) -> bool:
        """Say whether a founder says the same as this one; what this one cannot judge yet, it does not hold against."""
        dealing = self._combine()
        if dealing is None:
            return True
        match body:
            case Certified():
                return body.digest == dealing.digest.hex()
            case CharterSigned():
                message = encode_pae(PAYLOAD_TYPE, dealing.payload)
                is_same = body.digest == hashlib.sha256(dealing.payload).hexdigest()
                return is_same and is_ed25519_signature(self._identities[body.sender - 1], body.signature, message)
            case Confirmed():
                charter = self._assemble()
                return charter is None or body.digest == charter.fingerprint

    def _is_confirmed(self) -> bool:
        """Rule B."""
        return self._assemble() is not None and self._is_complete(Kind.CONFIRM)

    def _combine(self) -> _Dealing | None:
        """Add up all n deals, once they are here and right."""
        if self._dealing is not None or len(self._shares) < len(self._identities):
            return self._dealing
        bodies = [self._held[Kind.DEAL, j].body for j in self._members()]
        sealed = tuple(SealedDeal(body.deal(), body.shares) for body in bodies if isinstance(body, Dealt))
        transcript = encode_transcript(
            Transcript(
                session=self.session,
                cosigners_ml_dsa=tuple(founder.cosigner_ml_dsa for founder in self._draft.members),
                deals=sealed,
            )
        )
        polynomial = combine_deals([part.deal for part in sealed])
        digest = compute_transcript_digest(transcript)
        self._dealing = _Dealing(
            polynomial=polynomial,
            share=combine_shares([self._shares[j] for j in self._members()]),
            transcript=transcript,
            digest=digest,
            payload=build_charter_payload(self._draft, polynomial, transcript_digest=digest),
        )
        return self._dealing

    def _assemble(self) -> Charter | None:
        """Make entry 0, once all n signatures are here and true."""
        if self._charter is not None or self._combine() is None or not self._is_complete(Kind.CHARTER_SIGNATURE):
            return self._charter
        dealing = self._combine()
        assert dealing is not None
        bodies = [self._held[Kind.CHARTER_SIGNATURE, j].body for j in self._members()]
        signatures = [
            EnvelopeSignature(compute_keyid(self._identities[body.sender - 1]), body.signature)
            for body in bodies
            if isinstance(body, CharterSigned)
        ]
        signatures.sort(key=lambda line: line.keyid)
        envelope = Envelope(payload=dealing.payload, signatures=tuple(signatures))
        self._charter = parse_charter(encode_envelope(envelope))
        return self._charter
