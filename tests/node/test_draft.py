"""`node.draft`: public files and the draft, one session for one set of values, and a refusal for each wrong one."""

import hashlib
import json
import random
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger import domains
from ledger.charter import parse_charter_payload
from ledger.errors import Code, ConditionError, FormatError, LedgerError
from ledger.limits import DRAFT_BYTES_MAX
from ledger.threshold.dealing import PublicPolynomial
from ledger.threshold.polynomials import make_polynomial
from node.draft import (
    PUBLIC_FILE_BYTES_MAX,
    Draft,
    PublicFile,
    build_charter_payload,
    compute_session,
    encode_draft,
    encode_public_file,
    find_member,
    parse_draft,
    parse_public_file,
)
from tests.node.founders import RULES, Founder, make_draft, make_founders, write_member

FOUNDERS = make_founders(4)
DRAFT = make_draft(FOUNDERS)
TOML = encode_draft(DRAFT)
PUBLIC = FOUNDERS[0].public
PUBLIC_RAW = encode_public_file(PUBLIC)


def replaced(draft: Draft, **parts: Any) -> Draft:  # Any: whatever a test puts into a field
    return msgspec.structs.replace(draft, **parts)


def with_member(**parts: Any) -> Draft:  # Any: the same
    first, *rest = DRAFT.members
    return replaced(DRAFT, members=(msgspec.structs.replace(first, **parts), *rest))


def test_a_public_file_written_is_read_again() -> None:
    assert parse_public_file(PUBLIC_RAW) == PUBLIC


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{}",
        b"null",
        b"[" * 10_000,
        PUBLIC_RAW[:-1],
        PUBLIC_RAW + b"\n",
        PUBLIC_RAW.replace(b'"name"', b'"nome"'),
        PUBLIC_RAW.replace(b"  ", b" "),
        PUBLIC_RAW.replace(b"{", b'{"extra": 1,', 1),
        PUBLIC_RAW.replace(b'"n1"', b'"N1"', 1),
        PUBLIC_RAW.replace(b'"n1"', b'"n1","id":"n1"', 1),
        PUBLIC_RAW.replace(b":7301", b":99999"),
        PUBLIC_RAW.replace(b"https:", b"ftp:"),
        PUBLIC_RAW.replace(b"BEGIN CERTIFICATE", b"BEGIN PRIVATE KEY"),
        b"\xff" * (PUBLIC_FILE_BYTES_MAX + 1),
    ],
)
def test_another_public_file_is_refused(raw: bytes) -> None:
    assert raw != PUBLIC_RAW
    with pytest.raises(FormatError):
        parse_public_file(raw)


def test_a_draft_written_is_read_again() -> None:
    assert parse_draft(TOML) == DRAFT
    assert parse_draft(encode_draft(replaced(DRAFT, limits=(), accelerators=()))).limits == ()


def test_white_space_comments_and_order_make_no_other_session() -> None:
    members = "".join(write_member(founder.public) for founder in FOUNDERS)
    head = '# drafted by n1\nfounded_at_ms   = 1_767_225_600_000\nquorum = 3\norigin="counterseal.example/2026"\n'
    other = parse_draft((head + "title = 'A test'\n" + members + RULES).encode())
    assert compute_session(other) == compute_session(DRAFT)


@pytest.mark.parametrize(
    "other",
    [
        replaced(DRAFT, title="Another"),
        replaced(DRAFT, founded_at_ms=DRAFT.founded_at_ms + 1),
        replaced(DRAFT, members=tuple(reversed(DRAFT.members))),
        replaced(DRAFT, limits=()),
        replaced(DRAFT, grid=msgspec.structs.replace(DRAFT.grid, grace_s=1)),
        with_member(name="Another"),
        with_member(cosigner_ml_dsa=Founder(9).public.cosigner_ml_dsa),
        with_member(tls_certificate=PUBLIC.tls_certificate.replace("AAAA", "AAAB")),
    ],
)
def test_another_value_is_another_session(other: Draft) -> None:
    assert compute_session(other) != compute_session(DRAFT)


def test_the_session_is_a_hash_of_the_values_as_sorted_json() -> None:
    values = msgspec.to_builtins(DRAFT, builtin_types=())
    assert values.pop("agreement") is None
    canonical = json.dumps(values, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    assert compute_session(DRAFT) == hashlib.sha256(domains.CEREMONY_SESSION + canonical).digest()


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        (replaced(DRAFT, quorum=2), "quorum"),
        (replaced(DRAFT, quorum=4), "quorum"),
        (replaced(DRAFT, origin="cosignature/v1"), "origin"),
        (replaced(DRAFT, members=(*DRAFT.members, DRAFT.members[0]), quorum=4), "members"),
        (replaced(DRAFT, limits=DRAFT.limits * 2), "limits"),
        (replaced(DRAFT, consensus=msgspec.structs.replace(DRAFT.consensus, delta_max_ms=1)), "delta_max_ms"),
        (with_member(identity=bytes(32)), "identity"),
        (with_member(identity=DRAFT.members[1].identity), "keys"),
        (with_member(encryption=DRAFT.members[1].encryption), "keys"),
        (with_member(cosigner=DRAFT.members[0].identity), "keys"),
        (with_member(cosigner_ml_dsa=DRAFT.members[1].cosigner_ml_dsa), "cosigner_ml_dsa_sha256"),
        (with_member(encryption=bytes(32)), "members[1].encryption"),
        (with_member(node=DRAFT.members[1].node), "node"),
        (with_member(id=DRAFT.members[1].id), "id"),
        (with_member(peer=DRAFT.members[1].peer), "peer"),
    ],
)
def test_a_draft_that_no_charter_can_be_made_of_is_refused_and_named(wrong: Draft, named: str) -> None:
    with pytest.raises(FormatError) as caught:
        encode_draft(wrong)
    assert named in caught.value.field


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("title =", "titel ="),
        ("quorum = 3", "quorum = 3.0"),
        ("quorum = 3", 'quorum = "3"'),
        ("quorum = 3", "quorum = true"),
        ("quorum = 3", "quorum = 3\nquorum = 3"),
        ("quorum = 3\n", ""),
        ("start = 1767225600", "start = 2026-01-01T00:00:00Z"),
        ("interval_s = 86400", "interval_s = 0"),
        ("[grid]", "[gird]"),
        ("[grid]", "[grid]\nextra = 1"),
        ('id = "n1"', 'id = "n1"\nindex = 1'),
        ('peer = "n1.example:7301"', 'peer = "n1.example"'),
    ],
)
def test_another_form_of_a_draft_is_refused(old: str, new: str) -> None:
    assert old in TOML.decode()
    with pytest.raises(FormatError):
        parse_draft(TOML.decode().replace(old, new, 1).encode())


@pytest.mark.parametrize("raw", [b"", b"\xff", b"[[[", b"a" * (DRAFT_BYTES_MAX + 1), b"x = " + b"[" * 5000])
def test_hostile_drafts_are_refused(raw: bytes) -> None:
    with pytest.raises(FormatError):
        parse_draft(raw)


@given(st.binary(max_size=200), st.integers(0, len(PUBLIC_RAW)), st.integers(0, len(TOML)))
def test_hostile_bytes_raise_nothing_but_ledger_errors(raw: bytes, at: int, toml_at: int) -> None:
    for parse, whole, cut in ((parse_public_file, PUBLIC_RAW, at), (parse_draft, TOML, toml_at)):
        try:
            parse(whole[:cut] + raw + whole[cut + len(raw) :])
        except LedgerError:
            continue


def test_a_charter_of_sixty_nations_fits_and_one_of_a_hundred_is_refused_at_load() -> None:
    founders = make_founders(100)
    assert len(make_draft(founders[:60]).members) == 60
    with pytest.raises(FormatError, match="65535"):
        make_draft(founders)


def test_the_charter_says_what_the_draft_says() -> None:
    polynomial = PublicPolynomial(make_polynomial(3, random.Random(1).randbytes).commit())
    payload = build_charter_payload(DRAFT, polynomial, transcript_digest=b"\x07" * 32)
    assert payload == build_charter_payload(DRAFT, polynomial, transcript_digest=b"\x07" * 32)
    charter = parse_charter_payload(payload).predicate
    assert (charter.origin, charter.title, charter.quorum) == (DRAFT.origin, DRAFT.title, DRAFT.quorum)
    assert (charter.grid, charter.consensus, charter.limits) == (DRAFT.grid, DRAFT.consensus, DRAFT.limits)
    assert (charter.accelerators, charter.founded_at_ms) == (DRAFT.accelerators, DRAFT.founded_at_ms)
    assert (charter.commitments, charter.group_key) == (polynomial.commitments, polynomial.group_key)
    assert charter.transcript == "07" * 32
    shared = [name for name in PublicFile.__struct_fields__ if name in charter.members[0].__struct_fields__]
    assert len(shared) == 10
    for index, (member, public) in enumerate(zip(charter.members, DRAFT.members, strict=True), start=1):
        assert member.index == index
        assert all(getattr(member, name) == getattr(public, name) for name in shared)


def test_a_member_finds_itself_and_a_stranger_does_not() -> None:
    assert find_member(DRAFT, FOUNDERS[2].identity.public_key) == 3
    with pytest.raises(ConditionError) as caught:
        find_member(DRAFT, Founder(9).identity.public_key)
    assert caught.value.code is Code.CONFIG
