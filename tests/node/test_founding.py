"""`node.founding`: a ceremony among honest founders over a bad network, and each way in which one can go wrong."""

import dataclasses
import hashlib
import itertools
import random
from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger import domains
from ledger.charter import Charter, ledger_keys, parse_charter
from ledger.domains import PAYLOAD_TYPE
from ledger.encoding import encode_u64
from ledger.errors import Code, ConditionError, FormatError, LedgerError, PolicyError, ProofError, SignatureError
from ledger.positions import MemberIndex
from ledger.statements.dsse import encode_pae
from ledger.threshold import bls
from ledger.threshold.polynomials import SecretScalar, compute_public_key, encode_secret_scalar, make_polynomial
from ledger.threshold.transcripts import parse_transcript, verify_transcript
from node.ceremony_messages import (
    Body,
    Certified,
    CharterSigned,
    Check,
    Complaint,
    Confirmed,
    Dealt,
    Kind,
    parse_message,
    sign_message,
)
from node.draft import Draft, compute_session
from node.founding import Action, Ceremony, Failed, Founded, FoundingResult, Keep, Send
from node.keys import EncryptionKey, seal_box
from node.sealed_shares import open_share, recover_share
from tests.node.founders import Founder, make_draft, make_founders

FOUNDERS = make_founders(4)
DRAFT = make_draft(FOUNDERS)


class Seat:
    """A founder's node: the ceremony, and the disk that survives it."""

    def __init__(self, founder: Founder, draft: Draft) -> None:
        self.founder = founder
        self.draft = draft
        self.disk: list[bytes] = []
        self.told: list[Action] = []
        self.ceremony = self._open()

    def _open(self) -> Ceremony:
        return Ceremony(
            self.draft,
            identity=self.founder.identity,
            encryption=self.founder.encryption,
            randomness=random.Random(self.founder.number + 1000 * len(self.told)).randbytes,
            kept=self.disk,
        )

    def restart(self) -> None:
        self.ceremony = self._open()
        self.carry_out(self.ceremony.start())

    def carry_out(self, actions: list[Action]) -> list[bytes]:
        """Keep and tell what is to be kept and told; return what is to be sent."""
        self.told += actions
        self.disk += [action.message for action in actions if isinstance(action, Keep)]
        return [action.message for action in actions if isinstance(action, Send)]

    def start(self) -> list[bytes]:
        return self.carry_out(self.ceremony.start())

    def take(self, messages: list[bytes]) -> list[bytes]:
        return [sent for raw in messages for sent in self.carry_out(self.ceremony.handle(raw))]

    @property
    def result(self) -> FoundingResult:
        result = self.ceremony.result()
        assert result is not None
        return result

    def said(self, kind: type[Action]) -> list[Action]:
        return [action for action in self.told if isinstance(action, kind)]


def seat_all(founders: list[Founder] = FOUNDERS, draft: Draft = DRAFT) -> list[Seat]:
    return [Seat(founder, draft) for founder in founders]


def exchange(seats: list[Seat]) -> None:
    """Let founders exchange all they hold until nothing new is said."""
    while True:
        before = [seat.ceremony.messages() for seat in seats]
        for seat in seats:
            seat.take([raw for held in before for raw in held])
        if [seat.ceremony.messages() for seat in seats] == before:
            return


def found(founders: list[Founder] = FOUNDERS, draft: Draft = DRAFT) -> list[Seat]:
    seats = seat_all(founders, draft)
    for seat in seats:
        seat.start()
    exchange(seats)
    return seats


def assert_founded_alike(seats: list[Seat]) -> Charter:
    results = [seat.result for seat in seats]
    assert len({result.charter.entry for result in results}) == 1
    assert len({result.transcript for result in results}) == 1
    assert len({result.polynomial for result in results}) == 1
    assert all(seat.said(Founded) == [Founded(results[0].charter.ledger_id)] for seat in seats)
    for seat, result in zip(seats, results, strict=True):
        assert result.polynomial.public_share(result.member) == compute_public_key(result.share)
        assert seat.ceremony.pending() is None
        assert seat.ceremony.failure() is None
    return results[0].charter


def assert_failed(seats: list[Seat], *, complainer: str, about: str, check: Check) -> None:
    expected = f"{complainer} complains about {about}: {check.meaning}"
    for seat in seats:
        assert seat.ceremony.result() is None
        assert expected in (seat.ceremony.failure() or "")
        assert seat.said(Failed)
        assert not seat.said(Founded)


def resign(raw: bytes, founder: Founder, change: Callable[[Body], Body]) -> bytes:
    """Say something else in a founder's name, with its key."""
    return sign_message(change(parse_message(raw).body), founder.identity.sign).raw


def change_deal(raw: bytes, founder: Founder, **parts: object) -> bytes:
    return resign(raw, founder, lambda body: msgspec.structs.replace(body, **parts))


def deal_of(raw: bytes) -> Dealt:
    body = parse_message(raw).body
    assert isinstance(body, Dealt)
    return body


# A ceremony among honest founders


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5])
def test_founders_agree_on_one_charter_and_their_shares_make_its_seal(count: int) -> None:
    founders = make_founders(count)
    draft = make_draft(founders)
    seats = found(founders, draft)
    charter = assert_founded_alike(seats)
    assert parse_charter(charter.entry) == charter
    shares = {seat.result.member: bls.sign_share(seat.result.share, b"m") for seat in seats}
    seals = {bls.combine(dict(chosen)) for chosen in itertools.combinations(shares.items(), charter.quorum)}
    assert len(seals) == 1
    bls.verify_signature(charter.group_key, b"m", seals.pop())


def test_the_transcript_is_what_the_charter_names_and_gives_its_polynomial_and_keys() -> None:
    seats = found()
    result = seats[0].result
    assert hashlib.sha256(result.transcript).hexdigest() == result.charter.predicate.transcript
    assert hashlib.sha256(result.transcript).digest() == result.digest
    transcript = parse_transcript(result.transcript)
    assert verify_transcript(transcript, quorum=3).commitments == result.charter.commitments
    assert transcript.session == compute_session(DRAFT)
    keys = {MemberIndex(j): key for j, key in enumerate(transcript.cosigners_ml_dsa, start=1)}
    assert ledger_keys(result.charter, keys).cosigners[3].ml_dsa == FOUNDERS[3].cosigner.ml_dsa_public_key


def test_each_founder_certified_the_transcript_for_everybody_to_check() -> None:
    seats = found()
    certified = [m.body for raw in seats[0].disk if isinstance((m := parse_message(raw)).body, Certified)]
    assert len(certified) == 4
    assert {body.digest for body in certified} == {seats[0].result.digest.hex()}
    assert seats[0].ceremony.digest() == seats[0].result.digest


@settings(max_examples=8)
@given(st.randoms(use_true_random=False))
def test_loss_repetition_reordering_and_restarts_change_nothing(chance: random.Random) -> None:
    seats = seat_all()
    waiting = list(range(4))
    chance.shuffle(waiting)
    flying: list[tuple[int, bytes]] = []
    for _ in range(60):
        if waiting and chance.random() < 0.3:
            sender = waiting.pop()
            flying += [(to, raw) for raw in seats[sender].start() for to in range(4)]
        if flying:
            to, raw = flying[chance.randrange(len(flying))]
            for _ in range(chance.randrange(3)):  # lost, delivered, delivered twice
                flying += [(other, sent) for sent in seats[to].take([raw]) for other in range(4)]
            flying.remove((to, raw))
        if chance.random() < 0.1:
            unlucky = chance.randrange(4)
            if unlucky not in waiting:
                seats[unlucky].restart()
    for late in waiting:
        seats[late].start()
    exchange(seats)
    ids = {seat.result.charter.ledger_id for seat in seats}
    assert len(ids) == 1
    assert len({seat.result.transcript for seat in seats}) == 1
    assert all(len([r for r in seat.disk if isinstance(parse_message(r).body, Dealt)]) == 4 for seat in seats)


def test_a_message_is_kept_before_it_is_sent() -> None:
    for seat in found():
        kept: set[bytes] = set()
        for action in seat.told:
            if isinstance(action, Keep):
                kept.add(action.message)
            if isinstance(action, Send):
                assert action.message in kept


def test_a_founder_restarted_after_each_message_deals_once_and_ends_alike() -> None:
    seats = seat_all()
    for seat in seats:
        seat.start()
    deals = {seat.disk[0] for seat in seats}
    for _ in range(4):
        before = [seat.ceremony.messages() for seat in seats]
        for seat in seats:
            for raw in [raw for held in before for raw in held]:
                if raw not in seat.disk:
                    seat.take([raw])
                    seat.restart()
    assert {seat.disk[0] for seat in seats} == deals
    assert len({seat.result.charter.ledger_id for seat in seats}) == 1


def test_a_restart_after_the_end_gives_the_same_result_from_what_was_kept() -> None:
    seats = found()
    before = seats[2].result
    seats[2].restart()
    assert seats[2].result == before


def test_a_restarted_founder_sends_again_what_it_said() -> None:
    seat = seat_all()[0]
    sent = seat.start()
    assert len(sent) == 1
    seat.told.clear()
    seat.restart()
    assert [action.message for action in seat.said(Send)] == sent  # type: ignore[union-attr]


def test_a_founder_that_lost_its_records_takes_up_its_deal_from_the_others() -> None:
    seats = seat_all()
    for seat in seats:
        seat.start()
    (deal,) = seats[0].ceremony.messages()
    seats[1].take([deal])
    lost = Seat(FOUNDERS[0], DRAFT)
    lost.take(seats[1].ceremony.messages())  # before it starts
    seats[0] = lost
    assert lost.start() == [deal]
    exchange(seats)
    assert_founded_alike(seats)


def test_a_late_founder_holds_nobody_up_but_itself_and_is_named_meanwhile() -> None:
    seats = seat_all()
    for seat in seats[:3]:
        seat.start()
    exchange(seats[:3])
    assert str(seats[0].ceremony.pending()) == "waiting for the deals of n4"
    seats[3].start()
    assert str(seats[3].ceremony.pending()) == "waiting for the deals of n1, n2, n3"
    exchange(seats)
    assert_founded_alike(seats)


def test_each_wait_says_for_what_and_for_whom() -> None:
    seats = seat_all()
    sentences = [str(seats[0].ceremony.pending())]
    for seat in seats:
        seat.start()
    for _ in range(4):
        for seat in seats[:3]:
            seat.take([raw for other in seats[:3] for raw in other.ceremony.messages()])
        sentences.append(str(seats[0].ceremony.pending()))
        seats[0].take(seats[3].ceremony.messages())
        seats[3].take(seats[0].ceremony.messages())
        exchange(seats[:3])
    assert sentences == [
        "waiting for the deals of n1, n2, n3, n4",
        "waiting for the deals of n4",
        "waiting for the certificates of n4",
        "waiting for the charter signatures of n4",
        "waiting for the confirmations of n4",
    ]
    exchange(seats)
    assert_founded_alike(seats)


def test_two_ceremonies_at_once_do_not_touch_each_other() -> None:
    other = make_draft(FOUNDERS, founded_at_ms=DRAFT.founded_at_ms + 1)
    first, second = seat_all(), seat_all(draft=other)
    for seat in (*first, *second):
        seat.start()
    for seat in first:
        for raw in second[1].ceremony.messages():
            with pytest.raises(PolicyError) as caught:
                seat.ceremony.handle(raw)
            assert caught.value.code is Code.WRONG_LEDGER
    exchange(first)
    exchange(second)
    assert assert_founded_alike(first).ledger_id != assert_founded_alike(second).ledger_id


def test_a_replayed_message_of_an_earlier_session_is_refused_whatever_it_says() -> None:
    earlier = found(draft=make_draft(FOUNDERS, founded_at_ms=1))
    seat = seat_all()[0]
    seat.start()
    before = seat.ceremony.messages()
    for raw in earlier[0].ceremony.messages():
        with pytest.raises(PolicyError):
            seat.ceremony.handle(raw)
        # and with the session's name changed, the signature is wrong
        renamed = raw.replace(compute_session(earlier[0].draft).hex().encode(), compute_session(DRAFT).hex().encode())
        with pytest.raises(SignatureError):
            seat.ceremony.handle(renamed)
    assert seat.ceremony.messages() == before


def test_deals_of_an_earlier_session_signed_again_for_this_one_are_complained_about() -> None:
    """A dealer that reuses its polynomial: possession and boxes are bound to the session."""
    earlier = seat_all(draft=make_draft(FOUNDERS, founded_at_ms=1))
    raw = change_deal(earlier[1].start()[0], FOUNDERS[1], session=compute_session(DRAFT).hex())
    seats = seat_all()
    seats[0].start()
    seats[0].take([raw])
    assert_failed(seats[:1], complainer="n1", about="n2", check=Check.DEAL)


def test_keys_that_are_not_in_the_draft_take_no_part() -> None:
    stranger = Founder(9)
    with pytest.raises(ConditionError) as caught:
        Seat(stranger, DRAFT)
    assert caught.value.code is Code.CONFIG
    mixed = Founder(1)
    mixed.encryption = stranger.encryption
    with pytest.raises(ConditionError) as refused:
        Seat(mixed, DRAFT)
    assert refused.value.field == "draft.members[1].encryption"


# Dealers that cheat


def corrupt_share(body: Dealt, receiver: int, plaintext: bytes) -> tuple[bytes, ...]:
    context = (
        domains.CEREMONY_SHARE
        + bytes.fromhex(body.session)
        + encode_u64(body.sender)
        + encode_u64(MemberIndex(receiver))
    )
    box = seal_box(plaintext, recipient=FOUNDERS[receiver - 1].encryption.public_key, context=context)
    return (*body.shares[: receiver - 1], box, *body.shares[receiver:])


OTHER_COMMITMENTS = make_polynomial(3, random.Random(5).randbytes).commit()


@pytest.mark.parametrize(
    ("parts", "check"),
    [
        (lambda deal: {"commitments": deal.commitments[:2]}, Check.DEAL),
        (lambda deal: {"commitments": (*deal.commitments, OTHER_COMMITMENTS[0])}, Check.DEAL),
        (lambda deal: {"commitments": (b"\xc0" + bytes(95), *deal.commitments[1:])}, Check.DEAL),
        (lambda deal: {"commitments": (*deal.commitments[:2], b"\xc0" + bytes(95))}, Check.DEAL),
        (lambda deal: {"commitments": (*deal.commitments[:2], b"\xff" * 96)}, Check.DEAL),
        (lambda deal: {"commitments": (*deal.commitments[:2], b"\x80" + bytes(94) + b"\x02")}, Check.DEAL),
        (lambda deal: {"commitments": (OTHER_COMMITMENTS[0], *deal.commitments[1:])}, Check.DEAL),
        (lambda _: {"possession": b"\xc0" + bytes(47)}, Check.DEAL),
        (lambda deal: {"shares": deal.shares[:3]}, Check.SHARES_COUNT),
        (lambda deal: {"shares": deal.shares * 2}, Check.SHARES_COUNT),
        (lambda deal: {"shares": (deal.shares[1], deal.shares[0], *deal.shares[2:])}, Check.SHARE_UNREADABLE),
        (lambda deal: {"shares": (bytes(80), *deal.shares[1:])}, Check.SHARE_UNREADABLE),
        (lambda deal: {"shares": corrupt_share(deal, 1, bytes(32))}, Check.SHARE_UNREADABLE),
        (lambda deal: {"shares": corrupt_share(deal, 1, b"\xff" * 32)}, Check.SHARE_UNREADABLE),
        (lambda deal: {"shares": corrupt_share(deal, 1, b"\x01" * 32)}, Check.SHARE_WRONG),
        (lambda deal: {"commitments": (*deal.commitments[:2], OTHER_COMMITMENTS[2])}, Check.SHARE_WRONG),
    ],
)
def test_a_wrong_deal_ends_the_ceremony_for_everyone_with_both_names(
    parts: Callable[[Dealt], dict[str, object]], check: Check
) -> None:
    seats = seat_all()
    for seat in seats[:3]:
        seat.start()
    honest = Seat(FOUNDERS[3], DRAFT).start()[0]
    wrong = change_deal(honest, FOUNDERS[3], **parts(deal_of(honest)))
    seats[0].take([wrong])
    exchange(seats[:3])
    assert_failed(seats[:3], complainer="n1", about="n4", check=check)
    assert all(seat.ceremony.pending() is None for seat in seats[:3])


def test_a_share_wrong_for_one_founder_only_ends_it_for_all() -> None:
    seats = seat_all()
    for seat in seats[:3]:
        seat.start()
    honest = Seat(FOUNDERS[3], DRAFT).start()[0]
    wrong = change_deal(honest, FOUNDERS[3], shares=corrupt_share(deal_of(honest), 3, b"\x01" * 32))
    for seat in seats[:3]:
        seat.take([wrong])
    assert seats[0].ceremony.failure() is None  # founders 1 and 2 see nothing wrong by themselves
    exchange(seats[:3])
    assert_failed(seats[:3], complainer="n3", about="n4", check=Check.SHARE_WRONG)


def test_a_complaint_names_the_message_it_is_about() -> None:
    seats = seat_all()
    seats[0].start()
    honest = Seat(FOUNDERS[3], DRAFT).start()[0]
    wrong = change_deal(honest, FOUNDERS[3], shares=deal_of(honest).shares[:3])
    seats[0].take([wrong])
    complaint = parse_message(seats[0].disk[-1]).body
    assert isinstance(complaint, Complaint)
    assert complaint.message == hashlib.sha256(wrong[:-64]).hexdigest()


def test_a_founder_that_knows_a_complaint_does_not_deal_or_certify() -> None:
    complaint = Complaint(
        session=compute_session(DRAFT).hex(),
        sender=MemberIndex(2),
        about=MemberIndex(3),
        check=Check.SHARE_WRONG,
        message="00" * 32,
    )
    raw = sign_message(complaint, FOUNDERS[1].identity.sign).raw
    seats = seat_all()
    seats[0].take([raw])
    assert seats[0].start() == []
    for seat in seats[1:]:
        seat.start()
    seats[3].take([raw])
    exchange(seats)
    assert not [raw for raw in seats[3].disk if isinstance(parse_message(raw).body, Certified)]
    assert_failed(seats, complainer="n2", about="n3", check=Check.SHARE_WRONG)


def test_a_dealer_that_shows_two_deals_is_found_out_whoever_saw_which() -> None:
    seats = seat_all()
    for seat in seats[:3]:
        seat.start()
    first = Seat(FOUNDERS[3], DRAFT).start()[0]
    twin = Seat(FOUNDERS[3], DRAFT)
    twin.told.append(Failed(""))  # another state of its randomness
    twin.ceremony = twin._open()
    second = twin.start()[0]
    assert first != second
    seats[0].take([first])
    seats[1].take([second])
    exchange(seats[:3])
    for seat in seats[:3]:
        assert seat.ceremony.result() is None
        assert "about n4: it signed two different messages" in (seat.ceremony.failure() or "")
        assert {first, second} <= set(seat.ceremony.messages())  # the evidence is with everyone


def test_a_dealer_that_shows_two_deals_cannot_put_the_blame_on_who_believed_it() -> None:
    """Two honest founders certify what each was shown, and then contradict each other: both must learn who did that."""
    seats = seat_all()
    deals = [seat.start()[0] for seat in seats[:3]]
    first = Seat(FOUNDERS[3], DRAFT).start()[0]
    twin = Seat(FOUNDERS[3], DRAFT)
    twin.told.append(Failed(""))  # another state of its randomness
    twin.ceremony = twin._open()
    second = twin.start()[0]
    certified = seats[0].take([*deals[1:], first])
    seats[1].take([deals[0], deals[2], second])
    seats[1].take(certified)  # before the deal it rests on, as a cheat would send it on
    assert "n2 complains about n1" in (seats[1].ceremony.failure() or "")
    exchange(seats[:3])
    for seat in seats[:3]:
        failure = seat.ceremony.failure() or ""
        assert failure.startswith("n4 is proven wrong: it signed two different messages")
        assert failure == seat.said(Failed)[-1].reason  # type: ignore[union-attr]  # what the operator read last


def test_a_founder_hears_what_a_message_rests_on_before_the_message() -> None:
    kinds = [parse_message(raw).body.kind for raw in found()[0].ceremony.messages()]
    assert kinds == sorted(kinds, key=list(Kind).index)
    assert len(kinds) == 4 * len(FOUNDERS)


def test_a_founder_that_dealt_again_after_losing_its_records_is_named_by_itself_too() -> None:
    seats = seat_all()
    for seat in seats:
        seat.start()
    seats[1].take(seats[0].ceremony.messages())
    lost = Seat(FOUNDERS[0], DRAFT)
    lost.told.append(Failed(""))
    lost.ceremony = lost._open()
    lost.start()  # without listening first
    lost.take(seats[1].ceremony.messages())
    assert "n1 complains about n1: it signed two different messages" in (lost.ceremony.failure() or "")


def test_two_signatures_under_one_body_are_one_message() -> None:
    seats = seat_all()
    deal = seats[0].start()[0]
    seats[1].take([deal])
    assert seats[1].take([deal]) == []
    message = parse_message(deal)
    assert seats[1].ceremony._take(dataclasses.replace(message, raw=message.raw[:-64] + bytes(64))) is False
    assert seats[1].ceremony.failure() is None


# The later steps


def cheat_after_deals(body_of: Callable[[Ceremony], Body], *, honest_steps: int) -> list[Seat]:
    """Run the ceremony with founder 4 honest for some steps, then let it say something else instead."""
    seats = seat_all()
    for seat in seats:
        seat.start()
    for _ in range(honest_steps):
        before = [seat.ceremony.messages() for seat in seats]
        for seat in seats:
            seat.take([raw for held in before for raw in held])
    cheat = sign_message(body_of(seats[3].ceremony), FOUNDERS[3].identity.sign).raw
    kind = type(parse_message(cheat).body)
    for seat in seats[:3]:
        honest = [raw for raw in seats[3].ceremony.messages() if not isinstance(parse_message(raw).body, kind)]
        seat.take([raw for raw in honest if not isinstance(parse_message(raw).body, Complaint)])
        seat.take([cheat])
    exchange(seats[:3])
    return seats


def test_a_certificate_over_another_transcript_ends_the_ceremony() -> None:
    def lie(ceremony: Ceremony) -> Body:
        signature = FOUNDERS[3].identity.sign(domains.CEREMONY + bytes(32))
        return Certified(session=ceremony.session.hex(), sender=MemberIndex(4), digest="00" * 32, signature=signature)

    assert_failed(cheat_after_deals(lie, honest_steps=0)[:3], complainer="n1", about="n4", check=Check.DISAGREES)


def test_a_certificate_that_is_not_signed_is_refused_and_leaves_the_founder_waited_for() -> None:
    seats = seat_all()
    for seat in seats:
        seat.start()
    body = Certified(
        session=seats[0].ceremony.session.hex(), sender=MemberIndex(4), digest="00" * 32, signature=bytes(64)
    )
    with pytest.raises(SignatureError) as caught:
        seats[0].ceremony.handle(sign_message(body, FOUNDERS[3].identity.sign).raw)
    assert caught.value.field == "message.certificate"


def test_a_charter_signature_that_is_none_ends_the_ceremony() -> None:
    def lie(ceremony: Ceremony) -> Body:
        dealing = ceremony._combine()
        assert dealing is not None
        digest = hashlib.sha256(dealing.payload).hexdigest()
        return CharterSigned(
            session=ceremony.session.hex(), sender=MemberIndex(4), digest=digest, signature=b"\x01" * 64
        )

    assert_failed(cheat_after_deals(lie, honest_steps=1)[:3], complainer="n1", about="n4", check=Check.DISAGREES)


def test_a_signature_of_another_charter_ends_the_ceremony() -> None:
    def lie(ceremony: Ceremony) -> Body:
        payload = b"another charter"
        signature = FOUNDERS[3].identity.sign(encode_pae(PAYLOAD_TYPE, payload))
        digest = hashlib.sha256(payload).hexdigest()
        return CharterSigned(session=ceremony.session.hex(), sender=MemberIndex(4), digest=digest, signature=signature)

    assert_failed(cheat_after_deals(lie, honest_steps=1)[:3], complainer="n1", about="n4", check=Check.DISAGREES)


def test_a_confirmation_of_another_entry_ends_the_ceremony() -> None:
    def lie(ceremony: Ceremony) -> Body:
        return Confirmed(session=ceremony.session.hex(), sender=MemberIndex(4), digest="00" * 32)

    assert_failed(cheat_after_deals(lie, honest_steps=2)[:3], complainer="n1", about="n4", check=Check.DISAGREES)


def sign_with_another_nonce(founder: Founder, message: bytes) -> bytes:
    """Make a second true Ed25519 signature (RFC 8032 §5.1.6 with a nonce that is not derived from the message)."""
    p, order = 2**255 - 19, 2**252 + 27742317777372353535851937790883648493
    d = -121665 * pow(121666, -1, p) % p
    y = 4 * pow(5, -1, p) % p
    x = pow((y * y - 1) * pow(d * y * y + 1, -1, p), (p + 3) // 8, p)
    x = x if x * x % p == (y * y - 1) * pow(d * y * y + 1, -1, p) % p else x * pow(2, (p - 1) // 4, p) % p
    base = (x if x % 2 == 0 else p - x, y)

    def add(a: tuple[int, int], b: tuple[int, int]) -> tuple[int, int]:
        product = d * a[0] * b[0] * a[1] * b[1]
        return (
            (a[0] * b[1] + b[0] * a[1]) * pow(1 + product, -1, p) % p,
            (a[1] * b[1] + a[0] * b[0]) * pow(1 - product, -1, p) % p,
        )

    def multiply(scalar: int) -> tuple[int, int]:
        total, power = (0, 1), base
        while scalar:
            total = add(total, power) if scalar & 1 else total
            power, scalar = add(power, power), scalar >> 1
        return total

    expanded = bytearray(hashlib.sha512(founder.identity.secret_bytes()).digest()[:32])
    expanded[0] &= 248
    expanded[31] = expanded[31] & 127 | 64
    nonce = 123456789
    point = multiply(nonce)
    commitment = (point[1] | (point[0] & 1) << 255).to_bytes(32, "little")
    challenge = int.from_bytes(hashlib.sha512(commitment + founder.identity.public_key + message).digest(), "little")
    response = (nonce + challenge * int.from_bytes(expanded, "little")) % order
    return commitment + response.to_bytes(32, "little")


def test_a_founder_with_two_true_signatures_cannot_split_the_founding() -> None:
    """Two signatures of one charter make two entries 0: nobody is done with either until all confirm the same."""
    seats = seat_all()
    for seat in seats:
        seat.start()
    before = [seat.ceremony.messages() for seat in seats]
    for seat in seats[:3]:
        seat.take([raw for held in before for raw in held])
    seats[3].take([raw for held in before for raw in held])
    for seat in seats[:3]:
        seat.take([raw for other in seats for raw in other.ceremony.messages()])
    exchange(seats[:3])
    dealing = seats[0].ceremony._combine()
    assert dealing is not None
    message = encode_pae(PAYLOAD_TYPE, dealing.payload)
    signatures = (FOUNDERS[3].identity.sign(message), sign_with_another_nonce(FOUNDERS[3], message))
    said = [
        sign_message(
            CharterSigned(
                session=seats[0].ceremony.session.hex(),
                sender=MemberIndex(4),
                digest=hashlib.sha256(dealing.payload).hexdigest(),
                signature=signature,
            ),
            FOUNDERS[3].identity.sign,
        ).raw
        for signature in signatures
    ]
    seats[0].take([said[0]])
    seats[1].take([said[1]])
    entries = {seat.ceremony._assemble() for seat in seats[:2]}
    assert len(entries) == 2
    assert None not in entries  # both are true charters, and differ
    assert all(seat.ceremony.result() is None for seat in seats)
    exchange(seats[:3])
    assert all(seat.ceremony.result() is None for seat in seats)
    assert all("about n4: it signed two" in (seat.ceremony.failure() or "") for seat in seats[:3])


def test_who_heard_a_complaint_is_done_all_the_same_with_all_confirmations() -> None:
    """A founder that confirms and then complains cannot leave some with a ledger and some without."""
    seats = seat_all()
    for seat in seats:
        seat.start()
    complaint = Complaint(
        session=compute_session(DRAFT).hex(),
        sender=MemberIndex(4),
        about=MemberIndex(1),
        check=Check.SHARE_WRONG,
        message="00" * 32,
    )
    raw = sign_message(complaint, FOUNDERS[3].identity.sign).raw
    for _ in range(3):
        before = [seat.ceremony.messages() for seat in seats]
        for seat in seats:
            seat.take([message for held in before for message in held])
    seats[0].take([raw])  # all have confirmed, and founder 1 has not heard the others' confirmations
    assert seats[0].said(Failed)
    assert seats[0].ceremony.failure() is not None
    exchange(seats)
    assert all(seat.said(Founded) for seat in seats)
    assert len({seat.result.charter.ledger_id for seat in seats}) == 1
    assert all(seat.ceremony.failure() is None for seat in seats)


# Hostile bytes


def test_only_founders_speak_and_only_for_themselves() -> None:
    seats = seat_all()
    deal = seats[1].start()[0]
    stranger = Founder(9)
    for wrong, error in (
        (deal[:-64] + bytes(64), SignatureError),
        (resign(deal, stranger, lambda body: body), SignatureError),
        (resign(deal, FOUNDERS[1], lambda b: msgspec.structs.replace(b, sender=3)), SignatureError),
        (resign(deal, FOUNDERS[1], lambda b: msgspec.structs.replace(b, sender=5)), PolicyError),
    ):
        with pytest.raises(error):
            seats[0].ceremony.handle(wrong)
    assert seats[0].ceremony.messages() == []


def test_another_spelling_of_a_message_is_refused_even_if_signed() -> None:
    seat = seat_all()[0]
    said = Seat(FOUNDERS[1], DRAFT).start()[0][:-64]
    sign = FOUNDERS[1].identity.sign
    for other in (
        said + b" ",
        said.replace(b":", b": ", 1),
        said.replace(b'"kind":"deal"', b'"kind":"deal","kind":"deal"'),
        said.replace(b'"kind":"deal",', b"")[:-1] + b',"kind":"deal"}',
        said[:-1] + b',"extra":1}',
        said.replace(b'"deal"', b'"deel"'),
        said.replace(b'"sender":2', b'"sender":2.0'),
        said.replace(b'"sender":2', b'"sender":0'),
        said.replace(b'"sender":2', b'"sender":"2"'),
    ):
        assert other != said
        with pytest.raises(FormatError):
            seat.ceremony.handle(other + sign(domains.CEREMONY_MESSAGE + other))


@settings(max_examples=60)
@given(st.binary(max_size=300), st.integers(0, 7000))
def test_hostile_bytes_raise_nothing_but_ledger_errors_and_change_nothing(raw: bytes, at: int) -> None:
    with pytest.raises(LedgerError):
        LISTENER.ceremony.handle(raw)
    changed = DEAL_OF_TWO[:at] + raw + DEAL_OF_TWO[at + len(raw) :]
    if changed != DEAL_OF_TWO:
        with pytest.raises(LedgerError):
            LISTENER.ceremony.handle(changed)
    assert LISTENER.ceremony.messages() == []


LISTENER = Seat(FOUNDERS[0], DRAFT)
DEAL_OF_TWO = Seat(FOUNDERS[1], DRAFT).start()[0]


# After the ceremony


def test_a_member_that_kept_only_its_identity_and_encryption_keys_recovers_its_share() -> None:
    seats = found()
    for seat in seats:
        recovered = recover_share(
            seats[0].result.transcript,
            charter=seats[0].result.charter,
            member=seat.result.member,
            encryption=EncryptionKey(seat.founder.encryption.secret_bytes()),
        )
        assert recovered == seat.result.share


def test_a_share_is_not_recovered_with_another_key_index_or_transcript() -> None:
    result = found()[0].result
    other = found(draft=make_draft(FOUNDERS, founded_at_ms=1))[0].result
    key = FOUNDERS[0].encryption
    one, two = MemberIndex(1), MemberIndex(2)
    for transcript, member, error in (
        (result.transcript, two, ProofError),
        (other.transcript, one, ProofError),
        (result.transcript + b"\n", one, ProofError),
        (result.transcript, MemberIndex(5), PolicyError),
        (result.transcript, MemberIndex(0), PolicyError),
    ):
        with pytest.raises(error):
            recover_share(transcript, charter=result.charter, member=member, encryption=key)


def test_a_box_opens_only_for_its_session_dealer_and_receiver() -> None:
    body = deal_of(DEAL_OF_TWO)
    session = compute_session(DRAFT)
    one, two = MemberIndex(1), MemberIndex(2)
    key = FOUNDERS[0].encryption
    assert open_share(body.shares[0], session=session, dealer=two, member=one, key=key).value
    for other_session, dealer, member in ((bytes(32), two, one), (session, one, one), (session, two, two)):
        with pytest.raises(ProofError):
            open_share(body.shares[0], session=other_session, dealer=dealer, member=member, key=key)


def test_no_secret_shows_in_a_repr_of_the_ceremony_or_its_result() -> None:
    seat = found()[0]
    share: SecretScalar = seat.result.share
    text = f"{seat.result!r}{seat.ceremony!r}{seat.told!r}{vars(seat.ceremony)!r}"
    for secret in (
        str(share.value),
        f"{share.value:x}",
        encode_secret_scalar(share).hex(),
        repr(encode_secret_scalar(share)),
    ):
        assert secret not in text
    for held in seat.ceremony._shares.values():
        assert str(held.value) not in text
