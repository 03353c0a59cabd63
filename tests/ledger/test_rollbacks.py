"""Proofs that a member went back: two of its cosignatures, the later over the smaller tree, and nothing else."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ledger import domains
from ledger.blocks import checkpoint_of
from ledger.checkpoints import sign_cosignature_ed25519
from ledger.errors import FormatError, LedgerError, PolicyError, ProofError
from ledger.limits import FORK_BYTES_MAX
from ledger.notes import Note, compute_verifier_key, encode_note, parse_note
from ledger.positions import Seconds
from ledger.rollbacks import prove_rollback, read_cosigned_times, verify_rollback
from tests.ledger.rulebook import NATIONS, Key
from tests.observer.conftest import make_ledger
from tests.observer.fakeledger import ORIGIN, FakeLedger

MEMBER = f"{NATIONS[1]}.example/node"


@pytest.fixture(scope="module")
def ledger() -> FakeLedger:
    return make_ledger()


def cosigned(ledger: FakeLedger, height: int, *times: int, nation: str = NATIONS[1]) -> bytes:
    """The note of a block with a member's cosignature of each of these times."""
    note = parse_note(ledger.note(height))
    key = Key(f"{nation} cosigner")
    verifier = compute_verifier_key(f"{nation}.example/node", domains.NOTE_COSIGNATURE_ED25519, key.public)
    checkpoint = checkpoint_of(ledger.chain[height].header, ORIGIN)
    lines = [
        sign_cosignature_ed25519(checkpoint, key=verifier, time_s=Seconds(time_s), sign=key.sign) for time_s in times
    ]
    return encode_note(Note(note.text, (*note.signatures, *lines)))


def prove(ledger: FakeLedger) -> bytes:
    return prove_rollback(ledger.charter, MEMBER, cosigned(ledger, 9, 1000), cosigned(ledger, 5, 2000))


def test_a_member_that_signed_an_older_tree_later_is_proven_to_have(ledger: FakeLedger) -> None:
    proven = verify_rollback(prove(ledger), charter_fingerprint=ledger.fingerprint)
    assert proven.member.node == MEMBER
    assert (proven.before.time_s, proven.after.time_s) == (1000, 2000)
    assert proven.before.checkpoint.checkpoint.size > proven.after.checkpoint.checkpoint.size
    assert read_cosigned_times(parse_note(cosigned(ledger, 9, 7)), ledger.charter) == {MEMBER: 7}


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_no_proof_can_be_made_of_a_member_that_only_went_forward(ledger: FakeLedger, data: st.DataObject) -> None:
    heights = [height for height, sealed in enumerate(ledger.chain) if sealed.seal]
    low, high = sorted((data.draw(st.sampled_from(heights)), data.draw(st.sampled_from(heights))))
    early = data.draw(st.integers(0, 10))
    late = early + data.draw(st.integers(0, 10))
    pair = cosigned(ledger, low, early), cosigned(ledger, high, late)
    for before, after in (pair, pair[::-1]):
        with pytest.raises(ProofError, match=r"rollback\.after"):
            prove_rollback(ledger.charter, MEMBER, before, after)


def test_two_members_cosignatures_prove_nothing_about_either(ledger: FakeLedger) -> None:
    with pytest.raises(PolicyError, match=r"rollback\.after\.signatures"):
        prove_rollback(ledger.charter, MEMBER, cosigned(ledger, 9, 1), cosigned(ledger, 5, 2, nation=NATIONS[0]))
    with pytest.raises(PolicyError, match=r"rollback\.member"):
        prove_rollback(ledger.charter, "nobody.example/node", cosigned(ledger, 9, 1), cosigned(ledger, 5, 2))


def test_only_the_seal_and_the_members_line_stand_in_it(ledger: FakeLedger) -> None:
    form = json.loads(prove(ledger))
    form["after"] = cosigned(ledger, 5, 2000).decode()
    with pytest.raises(PolicyError, match="alone"):
        verify_rollback(encode(form), charter_fingerprint=None)


def encode(form: dict[str, object]) -> bytes:
    return json.dumps(form, separators=(",", ":"), ensure_ascii=False).encode()


def test_another_spelling_version_or_ledger_is_refused(ledger: FakeLedger) -> None:
    form = json.loads(prove(ledger))
    assert encode(form) == prove(ledger)
    for changed in (form | {"format": "x"}, form | {"more": 1}, dict(sorted(form.items()))):
        with pytest.raises(FormatError, match="rollback"):
            verify_rollback(encode(changed), charter_fingerprint=None)
    with pytest.raises(FormatError, match="at most"):
        verify_rollback(b" " * (FORK_BYTES_MAX + 1), charter_fingerprint=None)
    with pytest.raises(PolicyError, match=r"rollback\.charter"):
        verify_rollback(prove(ledger), charter_fingerprint=bytes(32))


def test_every_changed_byte_is_refused_naming_a_field(ledger: FakeLedger) -> None:
    raw = prove(ledger)
    start = raw.index(b'"member"')
    for at in [*range(0, start, 997), *range(start, len(raw), 17)]:
        changed = bytearray(raw)
        changed[at] ^= 1
        with pytest.raises(LedgerError) as refused:
            verify_rollback(bytes(changed), charter_fingerprint=ledger.fingerprint)
        assert refused.value.field.startswith(("rollback", "charter"))
