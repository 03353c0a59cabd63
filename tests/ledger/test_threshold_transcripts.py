"""`ledger.threshold.transcripts`: one spelling, and nothing but what the ceremony's deals say."""

import dataclasses
import json
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.errors import FormatError, LedgerError, SignatureError
from ledger.limits import TRANSCRIPT_BYTES_MAX
from ledger.positions import MemberIndex
from ledger.threshold.dealing import combine_deals, make_deal
from ledger.threshold.transcripts import (
    BOX_BYTES,
    SealedDeal,
    Transcript,
    compute_transcript_digest,
    encode_transcript,
    parse_transcript,
    verify_transcript,
)

SESSION = bytes(range(32))
COUNT, QUORUM = 4, 3


def make_transcript() -> Transcript:
    deals = []
    for i in range(1, COUNT + 1):
        deal, _ = make_deal(
            dealer=MemberIndex(i),
            quorum=QUORUM,
            members_count=COUNT,
            session=SESSION,
            randomness=random.Random(i).randbytes,
        )
        deals.append(SealedDeal(deal=deal, boxes=tuple(bytes([i, j]) * (BOX_BYTES // 2) for j in range(COUNT))))
    return Transcript(session=SESSION, cosigners_ml_dsa=(b"k" * 1312,) * COUNT, deals=tuple(deals))


TRANSCRIPT = make_transcript()
RAW = encode_transcript(TRANSCRIPT)


def write(wire: object) -> bytes:
    return json.dumps(wire, separators=(",", ":")).encode()


def test_what_is_written_is_read_again() -> None:
    assert parse_transcript(RAW) == TRANSCRIPT
    assert TRANSCRIPT.members_count == COUNT


def test_a_transcript_gives_the_public_polynomial_of_its_deals() -> None:
    assert verify_transcript(TRANSCRIPT, quorum=QUORUM) == combine_deals([sealed.deal for sealed in TRANSCRIPT.deals])


def test_a_transcript_of_another_quorum_or_session_is_refused() -> None:
    with pytest.raises(FormatError):
        verify_transcript(TRANSCRIPT, quorum=QUORUM - 1)
    with pytest.raises(SignatureError):
        verify_transcript(dataclasses.replace(TRANSCRIPT, session=bytes(32)), quorum=QUORUM)


def test_deals_in_another_order_are_another_transcript_and_do_not_verify() -> None:
    first, second, *rest = json.loads(RAW)["deals"]
    wire = json.loads(RAW) | {"deals": [second, first, *rest]}
    swapped = write(wire)
    assert compute_transcript_digest(swapped) != compute_transcript_digest(RAW)
    with pytest.raises(SignatureError):
        verify_transcript(parse_transcript(swapped), quorum=QUORUM)


WIRE = json.loads(RAW)
FIRST = WIRE["deals"][0]


@pytest.mark.parametrize(
    "part",
    [
        {"extra": 1},
        {"session": WIRE["session"].upper()},
        {"session": WIRE["session"][:-2]},
        {"session": None},
        {"deals": WIRE["deals"][:-1]},
        {"deals": [], "cosigners_ml_dsa": []},
        {"cosigners_ml_dsa": WIRE["cosigners_ml_dsa"] * 2},
        {"cosigners_ml_dsa": ["AAAA", *WIRE["cosigners_ml_dsa"][1:]]},
    ],
)
def test_another_form_is_refused(part: dict[str, object]) -> None:
    with pytest.raises(FormatError):
        parse_transcript(write(WIRE | part))


@pytest.mark.parametrize(
    "part",
    [
        {"extra": 1},
        {"commitments": []},
        {"commitments": ["AAAA"]},
        {"commitments": FIRST["commitments"] * 2},
        {"possession": "AAAA"},
        {"possession": FIRST["possession"] + "="},
        {"shares": FIRST["shares"][:-1]},
        {"shares": ["AAAA"] * COUNT},
    ],
)
def test_another_form_of_a_deal_is_refused(part: dict[str, object]) -> None:
    with pytest.raises(FormatError):
        parse_transcript(write(WIRE | {"deals": [FIRST | part, *WIRE["deals"][1:]]}))


def test_fields_in_another_order_or_missing_are_refused() -> None:
    for names in (("session", "deals", "cosigners_ml_dsa"), ("session", "cosigners_ml_dsa"), ()):
        with pytest.raises(FormatError):
            parse_transcript(write({name: WIRE[name] for name in names}))


@pytest.mark.parametrize(
    "raw",
    [b"", b"{}", b"null", b"[" * 100_000, RAW + b"\n", b" " + RAW, RAW.replace(b":", b": ", 1), b'"\xff"', RAW[:-1]],
)
def test_another_spelling_is_refused(raw: bytes) -> None:
    with pytest.raises(FormatError):
        parse_transcript(raw)


def test_a_transcript_over_the_limit_is_refused_before_it_is_decoded() -> None:
    with pytest.raises(FormatError, match="at most"):
        parse_transcript(b"\xff" * (TRANSCRIPT_BYTES_MAX + 1))


@settings(max_examples=60)
@given(position=st.integers(0, len(RAW) - 1), replacement=st.integers(0, 255))
def test_every_changed_byte_is_refused_or_changes_the_digest(position: int, replacement: int) -> None:
    changed = RAW[:position] + bytes([replacement]) + RAW[position + 1 :]
    try:
        parsed = parse_transcript(changed)
    except LedgerError:
        return
    assert encode_transcript(parsed) == changed
    assert (compute_transcript_digest(changed) == compute_transcript_digest(RAW)) == (changed == RAW)


@given(st.binary(max_size=300))
def test_hostile_bytes_raise_nothing_but_ledger_errors(raw: bytes) -> None:
    with pytest.raises(LedgerError):
        parse_transcript(raw)
