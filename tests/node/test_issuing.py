"""What the nation says through its own node: every kind that the rules let it issue, and what becomes of it."""

import json
from pathlib import Path
from typing import Any

import pytest

from ledger.errors import Code, LedgerError, RejectedError, reject
from ledger.merkle import leaf_hash
from ledger.receipts import parse_receipt
from ledger.rules.records.committee import MOTIONS, Outcome
from ledger.statements.committee import Resolution, compute_change_digest, parse_proposal
from ledger.statements.dsse import parse_envelope
from node.issuing import ISSUED_REMEMBERED
from node.presets import PRESETS, make_agreement
from node.v1 import operator_pb2
from tests.node.alone import Alone, run_alone

CHANGE = Resolution(text="We meet again.", digest="ab" * 32)
PROPOSAL = {"proposal": "meet", "change": {"kind": "resolution", "text": CHANGE.text, "digest": CHANGE.digest}}
APPROVAL = {"proposal": "meet", "change": compute_change_digest(CHANGE), "approves": True}
WAIT_S = 15.0
AGREEMENT = make_agreement(PRESETS["miri"], interval_s=3600, challenge_window_s=86_400)


async def issue(
    alone: Alone, kind: str, body: dict[str, Any], *, wait_s: float = WAIT_S
) -> operator_pb2.StatementOutcome:
    return await alone.node.issuing.issue(kind, json.dumps(body).encode(), wait_s=wait_s)


async def refusal(alone: Alone, kind: str, body: dict[str, Any]) -> LedgerError:
    with pytest.raises(LedgerError) as refused:
        await issue(alone, kind, body)
    return refused.value


async def test_a_proposal_is_signed_handed_in_and_proven_and_an_approval_after_it_carries_it(tmp_path: Path) -> None:
    async with run_alone(tmp_path, agreement=AGREEMENT) as alone:
        said = await issue(alone, "proposal", PROPOSAL)
        assert (said.sealed, said.index) == (True, 1)
        assert said.leaf_hash == leaf_hash(said.entry)
        assert parse_receipt(said.receipt.encode()).index == said.index
        predicate = parse_proposal(parse_envelope(said.entry).payload).predicate
        assert (predicate.issuer, predicate.sequence, predicate.change) == (alone.nation.id, 0, CHANGE)
        await issue(alone, "approval", APPROVAL)
        motion = MOTIONS.require(alone.node.branches.final.state, b"meet")
        assert motion.outcome == Outcome.CARRIED


async def test_who_does_not_wait_is_told_the_leaf_hash_and_finds_what_became_of_it(tmp_path: Path) -> None:
    async with run_alone(tmp_path, agreement=AGREEMENT) as alone:
        said = await issue(alone, "proposal", PROPOSAL, wait_s=0)
        assert (said.sealed, said.receipt) == (False, "")
        assert alone.node.issuing.find(said.leaf_hash).entry == said.entry
        await alone.node.admission.wait_sealed(said.leaf_hash)
        found = alone.node.issuing.find(said.leaf_hash)
        assert (found.sealed, found.index, found.entry) == (True, 1, said.entry)


async def test_what_was_never_handed_in_is_not_found(tmp_path: Path) -> None:
    async with run_alone(tmp_path) as alone:
        with pytest.raises(LedgerError) as refused:
            alone.node.issuing.find(bytes(32))
        assert refused.value.code is Code.NOT_FOUND


async def test_a_refusal_by_the_rules_keeps_its_code_and_takes_no_place(tmp_path: Path) -> None:
    async with run_alone(tmp_path, agreement=AGREEMENT) as alone:
        await issue(alone, "proposal", PROPOSAL)
        assert (await refusal(alone, "proposal", PROPOSAL)).code is Code.ID_TAKEN
        assert (await refusal(alone, "approval", APPROVAL | {"change": "00" * 32})).code is Code.TERMS_MISMATCH
        assert (await refusal(alone, "approval", APPROVAL | {"proposal": "another"})).code is Code.UNKNOWN_PROPOSAL
        assert alone.node.admission.position(alone.nation.id).next_sequence == 1


@pytest.mark.parametrize(
    ("kind", "body", "code"),
    [
        ("report", {}, Code.UNKNOWN_KIND),
        ("verdict", {}, Code.UNKNOWN_KIND),
        ("wish", {}, Code.UNKNOWN_KIND),
        ("proposal", {}, Code.FORMAT),
        ("proposal", PROPOSAL | {"issuer": "somebody"}, Code.FORMAT),
        ("proposal", PROPOSAL | {"more": 1}, Code.FORMAT),
        ("proposal", PROPOSAL | {"proposal": "Not An Id"}, Code.FORMAT),
    ],
)
async def test_what_a_nation_cannot_say_is_refused_before_it_is_signed(
    kind: str, body: dict[str, Any], code: Code, tmp_path: Path
) -> None:
    async with run_alone(tmp_path, agreement=AGREEMENT) as alone:
        assert (await refusal(alone, kind, body)).code is code
        assert len(alone.node.mempool) == 0


async def test_a_kind_that_somebody_else_signs_too_is_not_handed_in(tmp_path: Path) -> None:
    async with run_alone(tmp_path, agreement=AGREEMENT) as alone:
        entry = alone.nation.register("acme")
        body = json.loads(parse_envelope(entry).payload)["predicate"]
        header = {"ledger", "issuer", "sequence", "previous", "issued_at", "corrects"}
        bare = {name: value for name, value in body.items() if name not in header}
        assert (await refusal(alone, "registration", bare)).code is Code.COUNTERSIGNATURE_MISSING
        signed = alone.node.nation.sign("registration", json.dumps(bare).encode())
        assert json.loads(signed.payload)["predicate"]["lab"] == "acme"


async def test_a_ledger_without_agreement_lets_a_nation_say_as_little_as_its_rules_know(tmp_path: Path) -> None:
    async with run_alone(tmp_path) as alone:
        assert (await refusal(alone, "proposal", PROPOSAL)).code is Code.UNKNOWN_KIND


async def test_why_a_statement_was_dropped_after_all_is_remembered_of_the_last_ones(tmp_path: Path) -> None:
    async with run_alone(tmp_path, agreement=AGREEMENT) as alone:
        said = await issue(alone, "proposal", PROPOSAL, wait_s=0)
        prepared = alone.node.mempool.of_issuer(alone.nation.id)[0].prepared
        rejection = reject(Code.ID_TAKEN, field="here", found="meet", expected="another id")
        alone.node.admission.on_refused([(prepared, rejection)])
        with pytest.raises(RejectedError) as refused:
            alone.node.issuing.find(said.leaf_hash)
        assert refused.value.code is Code.ID_TAKEN
        for number in range(ISSUED_REMEMBERED):
            alone.node.issuing._issued[number.to_bytes(32, "big")] = None
        assert len(alone.node.issuing._issued) > ISSUED_REMEMBERED
        await issue(alone, "proposal", PROPOSAL | {"proposal": "later"}, wait_s=0)
        assert len(alone.node.issuing._issued) == ISSUED_REMEMBERED
