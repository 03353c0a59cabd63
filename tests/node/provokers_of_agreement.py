"""Entries that the rules of the agreement refuse: pauses, runs, reviews, inventories, transfers, notices, inspections.

The form of each is that of `tests.node.provokers`.
"""

from collections.abc import Mapping
from typing import Final

from ledger.beacons import compute_beacon_message
from ledger.errors import Code
from ledger.positions import BeaconRound
from ledger.rules.challenges import get_challenge
from ledger.statements.beacons import BEACON, SAMPLE_ANSWER
from ledger.statements.committee import APPROVAL, PROPOSAL, LiftPause
from ledger.statements.inspections import CHALLENGE, FINDING, INSPECTORS, RESPONSE, WITHDRAWAL
from ledger.statements.inventories import INVENTORY, TRANSFER
from ledger.statements.notices import ENFORCEMENT, INCIDENT, OBSERVATION
from ledger.statements.pauses import LAB_PLEDGE, PAUSE_ACCESSION, PAUSE_FREEZE, PAUSE_PROPOSAL
from ledger.statements.runs import RELEASE_NOTICE, RELEASE_REVIEW, REVIEW_EVENT, RUN_DECISION, TRAINING_RUN
from ledger.threshold import bls
from ledger.threshold.polynomials import SecretScalar
from tests.ledger.dockets import (
    make_enforcement,
    make_incident,
    make_inventory,
    make_observation,
    make_shipment,
    make_transfer,
)
from tests.ledger.inspecting import (
    make_beacon,
    make_challenge,
    make_finding,
    make_inspector,
    make_list,
    make_response,
    make_sample_answer,
    make_withdrawal,
    name_inspectors,
)
from tests.ledger.pausing import RESOLUTION, make_terms
from tests.ledger.rulebook import AGREEMENT, Key
from tests.ledger.training import decision, event, hand_in, make_digest, notice, training_run
from tests.node.counter import Counter
from tests.node.provokers import OF_INTERVAL_1, Provoker, after, half_forged, signed_again

A, B, C = "avalon", "brittia", "cockaigne"


# --- pauses and the committee ----------------------------------------------------------------------------------------


def propose(counter: Counter) -> None:
    counter.accept(110, counter.pause(A, terms=make_terms(first=4, count=2, lapses=8)))


def activate(counter: Counter) -> None:
    """Two nations join at once; the pause is activated at 200 and covers intervals 4 and 5."""
    propose(counter)
    for nation in (A, B):
        counter.accept(120, counter.accede(nation))
    counter.block(200)


def freeze_before_activation(counter: Counter) -> bytes:
    propose(counter)
    return counter.freeze("acme", "r1")


def accede_after_the_end(counter: Counter) -> bytes:
    activate(counter)
    counter.block(610)
    return counter.accede(C)


def accede_to_other_terms(counter: Counter) -> bytes:
    propose(counter)
    return counter.accede(B, terms="ab" * 32)


def leave_when_bound(counter: Counter) -> bytes:
    activate(counter)
    return counter.withdraw(B)


def pledge_twice(counter: Counter) -> bytes:
    propose(counter)
    counter.accept(120, counter.pledge("acme"))
    return counter.pledge("acme")


def propose_again(counter: Counter) -> bytes:
    propose(counter)
    return counter.pause(B)


def propose_once_too_often(counter: Counter) -> bytes:
    for number in range(4):
        counter.accept(110, counter.motion(A, RESOLUTION, f"m{number}"))
    return counter.motion(A, RESOLUTION, "m4")


def freeze_twice(counter: Counter) -> bytes:
    activate(counter)
    counter.accept(210, counter.freeze("acme", "r1"))
    return counter.freeze("acme", "r1")


def freeze_without_being_bound(counter: Counter) -> bytes:
    """The nation of `gamma` has not joined, and it has not pledged."""
    counter.register(110, "gamma", ["g1"], nation=C)
    activate(counter)
    return counter.freeze("gamma", "r1")


def vote_on_what_is_carried(counter: Counter) -> bytes:
    counter.decide(110, RESOLUTION)
    return counter.vote("dorado")


def vote_on_another_change(counter: Counter) -> bytes:
    counter.accept(110, counter.motion(A, RESOLUTION))
    return counter.vote(B, change="ab" * 32)


def lift_before_activation(counter: Counter) -> bytes:
    propose(counter)
    return counter.motion(A, LiftPause(pause="p"))


PAUSING: Final[Mapping[str, tuple[Code, Provoker]]] = {
    "a pause nobody proposed": (Code.UNKNOWN_PAUSE, lambda counter: counter.accede(A, "nothing")),
    "a pause by a lab": (Code.WRONG_ISSUER, lambda counter: counter.pause("acme")),
    "a pledge by a nation": (Code.WRONG_ISSUER, lambda counter: counter.pledge(A)),
    "a pause too soon": (Code.INVALID_FIELD, lambda counter: counter.pause(A, terms=make_terms(first=1))),
    "a pause of a known id": (Code.ID_TAKEN, propose_again),
    "a freeze before the pause": (Code.PAUSE_CLOSED, freeze_before_activation),
    "an accession to what is over": (Code.PAUSE_CLOSED, accede_after_the_end),
    "a motion to lift what is not activated": (Code.PAUSE_CLOSED, lift_before_activation),
    "other terms": (Code.TERMS_MISMATCH, accede_to_other_terms),
    "another change": (Code.TERMS_MISMATCH, vote_on_another_change),
    "a withdrawal of who is bound": (Code.ALREADY_BOUND, leave_when_bound),
    "a second pledge": (Code.ALREADY_BOUND, pledge_twice),
    "a run frozen before": (Code.FREEZE_KNOWN, freeze_twice),
    "a freeze of a lab that is not bound": (Code.WRONG_ISSUER, freeze_without_being_bound),
    "a fifth motion": (Code.TOO_MANY_OPEN, propose_once_too_often),
    "a vote on nothing": (Code.UNKNOWN_PROPOSAL, lambda counter: counter.vote(A, "nothing")),
    "a vote on what is carried": (Code.PROPOSAL_CLOSED, vote_on_what_is_carried),
}


# --- runs and reviews ------------------------------------------------------------------------------------------------


def start(counter: Counter, **changes: object) -> None:
    counter.accept(120, training_run(counter, "declared", **changes))
    counter.accept(120, training_run(counter, "started", **changes))


def end_twice(counter: Counter) -> bytes:
    start(counter)
    counter.accept(130, training_run(counter, "completed"))
    return training_run(counter, "stopped")


def decide_after_the_start(counter: Counter) -> bytes:
    start(counter)
    return decision(counter, "approved")


def decide_for_another_nation(counter: Counter) -> bytes:
    counter.accept(120, training_run(counter, "declared"))
    return decision(counter, "approved", nation=B)


def thaw_with_other_digests(counter: Counter) -> bytes:
    start(counter)
    counter.accept(130, training_run(counter, "frozen"))
    return training_run(counter, "started", digests=(make_digest("other"),))


def do_less(counter: Counter) -> bytes:
    start(counter)
    return training_run(counter, "completed", band=0)


def hand_in_twice(counter: Counter) -> bytes:
    start(counter)
    counter.accept(130, hand_in(counter))
    return hand_in(counter)


def clear_twice(counter: Counter) -> bytes:
    start(counter)
    counter.accept(130, hand_in(counter))
    counter.accept(140, event(counter, "cleared"))
    return event(counter, "blocked")


def clear_by_another_nation(counter: Counter) -> bytes:
    start(counter)
    counter.accept(130, hand_in(counter))
    return event(counter, "cleared", issuer=B)


def release_twice(counter: Counter) -> bytes:
    start(counter)
    counter.accept(130, notice(counter))
    return notice(counter)


TRAINING: Final[Mapping[str, tuple[Code, Provoker]]] = {
    "a run nobody knows": (Code.UNKNOWN_RUN, lambda counter: training_run(counter, "frozen")),
    "a decision on a run nobody knows": (Code.UNKNOWN_RUN, lambda counter: decision(counter, "approved")),
    "a model of a run nobody knows": (Code.UNKNOWN_RUN, hand_in),
    "a run that has ended": (Code.RUN_STATE, end_twice),
    "a decision after the start": (Code.RUN_STATE, decide_after_the_start),
    "a decision of another nation": (Code.WRONG_ISSUER, decide_for_another_nation),
    "a frozen run with other digests": (Code.RUN_FROZEN, thaw_with_other_digests),
    "a run that did less": (Code.BAND_FALLS, do_less),
    "a run with more in it than its own": (
        Code.LINEAGE,
        lambda counter: training_run(counter, "started", band=22, run_band=20),
    ),
    "a run on another lab's cluster": (
        Code.UNKNOWN_CLUSTER,
        lambda counter: training_run(counter, "declared", clusters=("b1",)),
    ),
    "a step of no review": (Code.UNKNOWN_REVIEW, lambda counter: event(counter, "cleared")),
    "a model handed in twice": (Code.REVIEW_STATE, hand_in_twice),
    "a review with an outcome": (Code.REVIEW_STATE, clear_twice),
    "a model released twice": (Code.REVIEW_STATE, release_twice),
    "a review cleared by another nation": (Code.WRONG_ISSUER, clear_by_another_nation),
}


# --- inventories, transfers, notices ---------------------------------------------------------------------------------


def count_backwards(counter: Counter) -> bytes:
    counter.accept(210, make_inventory(counter, "acme", 2, {"a1": 5}))
    return make_inventory(counter, "acme", 1, {"a1": 5})


def ship_long_ago(counter: Counter) -> bytes:
    counter.block(380)
    return make_transfer(counter, "acme", "out", "beta", make_shipment(3), interval=1)


def ship_twice(counter: Counter) -> bytes:
    counter.accept(210, make_transfer(counter, "acme", "out", "beta", make_shipment(3)))
    return make_transfer(counter, "acme", "out", "beta", make_shipment(3))


def ship_what_is_settled(counter: Counter) -> bytes:
    leaf = counter.accept(210, make_transfer(counter, "acme", "out", "beta", make_shipment(3))).leaf_hash
    counter.accept(210, make_transfer(counter, "beta", "in", "acme", make_shipment(3)))
    return make_transfer(counter, "acme", "out", "beta", make_shipment(4), corrects=leaf.hex())


def deny_what_nobody_said(counter: Counter) -> bytes:
    counter.block(210)
    return make_transfer(counter, "acme", "out", "beta", None)


def ship_to_nobody(counter: Counter) -> bytes:
    counter.block(210)
    return make_transfer(counter, "acme", "out", "nobody", make_shipment(3))


BOOKS: Final[Mapping[str, tuple[Code, Provoker]]] = {
    "an inventory of another's cluster": (
        Code.UNKNOWN_CLUSTER,
        lambda counter: make_inventory(counter, "acme", 1, {"b1": 5}),
    ),
    "an inventory of what is to come": (
        Code.INTERVAL_NOT_BEGUN,
        lambda counter: make_inventory(counter, "acme", 5, {"a1": 5}),
    ),
    "an inventory before the last": (Code.INTERVAL_TOO_OLD, count_backwards),
    "a transfer long ago": (Code.INTERVAL_TOO_OLD, ship_long_ago),
    "a transfer said twice": (Code.TRANSFER_KNOWN, ship_twice),
    "a transfer both agree on": (Code.TRANSFER_SETTLED, ship_what_is_settled),
    "a denial of nothing": (Code.NOTHING_TO_CORRECT, deny_what_nobody_said),
    "a transfer to nobody": (Code.UNKNOWN_SUBJECT, ship_to_nobody),
    "an incident before registration": (
        Code.INTERVAL_BEFORE_REGISTRATION,
        lambda counter: make_incident(counter, "acme", 0),
    ),
    "an observation of nobody": (
        Code.UNKNOWN_SUBJECT,
        lambda counter: make_observation(counter, "acme", about="lab", name="nobody"),
    ),
    "a measure against nobody": (Code.UNKNOWN_SUBJECT, lambda counter: make_enforcement(counter, A, "nobody")),
}


# --- beacons, samples, inspectors, challenges ------------------------------------------------------------------------


def post_again(counter: Counter) -> bytes:
    counter.accept(110, make_beacon(counter, 0))
    return make_beacon(counter, 0, nation=B)


def sign_by_another_group(counter: Counter) -> bytes:
    """What the group of another ledger says of the same round."""
    signature = bls.sign_share(SecretScalar(7), compute_beacon_message(BeaconRound(0)))
    return make_beacon(counter, 0, signature=signature)


def name_a_revoked_inspector(counter: Counter) -> bytes:
    counter.accept(120, make_list(counter, B, make_inspector(B, "ada")))
    counter.accept(130, make_list(counter, B))
    return make_list(counter, B, make_inspector(B, "ada"))


def prepare_challenge(counter: Counter) -> None:
    """File interval 1 and name inspectors."""
    counter.file(OF_INTERVAL_1, "acme", 1, ["a1", "a2"])
    name_inspectors(counter, OF_INTERVAL_1, "ada")


def prepare_findings(counter: Counter) -> None:
    prepare_challenge(counter)
    counter.accept(220, make_challenge(counter))
    counter.accept(230, make_response(counter))


def challenge_with_nobody(counter: Counter) -> bytes:
    counter.file(OF_INTERVAL_1, "acme", 1, ["a1", "a2"])
    return make_challenge(counter)


def challenge_twice(counter: Counter) -> bytes:
    prepare_challenge(counter)
    counter.accept(220, make_challenge(counter))
    return make_challenge(counter, "c-2")


def challenge_by_its_own_nation(counter: Counter) -> bytes:
    prepare_challenge(counter)
    return make_challenge(counter, nation=A)


def challenge_once_too_often(counter: Counter) -> bytes:
    prepare_challenge(counter)
    for number in range(AGREEMENT.challenges.per_year_max):
        counter.accept(220, make_challenge(counter, f"c-{number}"))
        counter.accept(220, make_withdrawal(counter, f"c-{number}"))
    return make_challenge(counter, "c-last")


def withdraw_for_another(counter: Counter) -> bytes:
    prepare_challenge(counter)
    counter.accept(220, make_challenge(counter))
    return make_withdrawal(counter, nation=C)


def answer_for_another(counter: Counter) -> bytes:
    prepare_challenge(counter)
    counter.accept(220, make_challenge(counter))
    return make_response(counter, lab="beta")


def answer_twice(counter: Counter) -> bytes:
    prepare_findings(counter)
    assert get_challenge(counter.state, "c-1") is not None
    return make_response(counter)


def find_twice(counter: Counter) -> bytes:
    prepare_findings(counter)
    counter.accept(240, make_finding(counter, B, "consistent"))
    return make_finding(counter, B, "inconclusive")


def find_with_another_key(counter: Counter) -> bytes:
    prepare_findings(counter)
    return make_finding(counter, B, "consistent", signer=Key("brittia bo"))


def find_with_another_nations_inspector(counter: Counter) -> bytes:
    prepare_findings(counter)
    return make_finding(counter, B, "consistent", signer=Key("cockaigne ada"))


def find_with_a_forged_word(counter: Counter) -> bytes:
    prepare_findings(counter)
    return half_forged(make_finding(counter, B, "consistent"), Key(B), Key("brittia ada"))


def find_without_the_inspector(counter: Counter) -> bytes:
    prepare_findings(counter)
    return signed_again(make_finding(counter, B, "consistent"), Key(B))


def find_when_revoked(counter: Counter) -> bytes:
    prepare_findings(counter)
    counter.accept(240, make_list(counter, B))
    return make_finding(counter, B, "consistent")


def list_key_of_a_lab(counter: Counter) -> bytes:
    return make_list(counter, B, make_inspector(B, "ada", key=Key("acme")))


INSPECTING: Final[Mapping[str, tuple[Code, Provoker]]] = {
    "a beacon again": (Code.BEACON_KNOWN, post_again),
    "a beacon of a round to come": (Code.ROUND_NOT_OPEN, lambda counter: make_beacon(counter, 9)),
    "a beacon of another group": (Code.SIGNATURE, sign_by_another_group),
    "an answer to no sample": (Code.NOT_AWAITED, lambda counter: make_sample_answer(counter, 0, 0)),
    "an inspector with a lab's key": (Code.ALREADY_REGISTERED, list_key_of_a_lab),
    "an inspector who was revoked": (Code.KEY_REVOKED, name_a_revoked_inspector),
    "a challenge of nothing": (
        Code.NOTHING_TO_CHALLENGE,
        after(OF_INTERVAL_1, make_challenge),
    ),
    "a challenge by nobody's inspectors": (Code.UNKNOWN_SUBJECT, challenge_with_nobody),
    "a challenge open already": (Code.CHALLENGE_KNOWN, challenge_twice),
    "a challenge by the lab's own nation": (Code.WRONG_ISSUER, challenge_by_its_own_nation),
    "a challenge more than a year has": (Code.YEAR_QUOTA_EXCEEDED, challenge_once_too_often),
    "a withdrawal by another nation": (Code.WRONG_ISSUER, withdraw_for_another),
    "a response of another lab": (Code.WRONG_ISSUER, answer_for_another),
    "a second response": (Code.NOT_AWAITED, answer_twice),
    "a second finding": (Code.FINDING_KNOWN, find_twice),
    "a finding signed by a stranger": (Code.COUNTERSIGNATURE_MISSING, find_with_another_key),
    "a finding signed by another nation's inspector": (
        Code.COUNTERSIGNATURE_MISSING,
        find_with_another_nations_inspector,
    ),
    "a finding with the forged word of its inspector": (Code.COUNTERSIGNATURE_MISSING, find_with_a_forged_word),
    "a finding without its inspector": (Code.COUNTERSIGNATURE_MISSING, find_without_the_inspector),
    "a finding of a revoked inspector": (Code.UNKNOWN_SUBJECT, find_when_revoked),
}

LATER_KINDS: Final[Mapping[str, tuple[Code, Provoker]]] = {**PAUSING, **TRAINING, **BOOKS, **INSPECTING}
"""All of them."""

ONE_OF_EACH: Final[Mapping[str, Provoker]] = {
    PROPOSAL: lambda counter: counter.motion(A, RESOLUTION),
    APPROVAL: lambda counter: counter.vote(A),
    PAUSE_PROPOSAL: lambda counter: counter.pause(A),
    PAUSE_ACCESSION: lambda counter: counter.accede(A),
    LAB_PLEDGE: lambda counter: counter.pledge("acme"),
    PAUSE_FREEZE: lambda counter: counter.freeze("acme", "r1"),
    INVENTORY: lambda counter: make_inventory(counter, "acme", 1, {"a1": 5}),
    TRANSFER: lambda counter: make_transfer(counter, "acme", "out", "beta", make_shipment(3)),
    INCIDENT: lambda counter: make_incident(counter, "acme", 1),
    OBSERVATION: lambda counter: make_observation(counter, "acme"),
    ENFORCEMENT: lambda counter: make_enforcement(counter, A, "acme"),
    TRAINING_RUN: lambda counter: training_run(counter, "declared"),
    RUN_DECISION: lambda counter: decision(counter, "approved"),
    RELEASE_REVIEW: hand_in,
    REVIEW_EVENT: lambda counter: event(counter, "cleared"),
    RELEASE_NOTICE: notice,
    BEACON: lambda counter: make_beacon(counter, 0),
    SAMPLE_ANSWER: lambda counter: make_sample_answer(counter, 0, 0),
    INSPECTORS: lambda counter: make_list(counter, A, make_inspector(A, "ada")),
    CHALLENGE: make_challenge,
    WITHDRAWAL: make_withdrawal,
    RESPONSE: make_response,
    FINDING: lambda counter: make_finding(counter, B, "consistent"),
}
"""A statement of every kind that came with the agreement, well formed and signed."""
