"""For every code of the rules, entries that are refused with it: by a node's counter, after the history each needs.

Each maker is given a counter on which `acme` of avalon (clusters a1, a2) and `beta` of brittia (b1) are registered and
interval 1 has begun. It submits what must come before, moves the time as it likes, and gives the entry that is refused
at the time it left. Families that came with the agreement are in `tests.node.provokers_of_agreement`.
"""

import hashlib
from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from ledger.blocks import seal_message
from ledger.errors import Code
from ledger.limits import ENTRY_BYTES_MAX
from ledger.statements.computed import find_computed_kind
from ledger.statements.dsse import parse_envelope, sign_envelope
from ledger.statements.misconduct import MISCONDUCT, Evidence
from ledger.statements.pauses import PAUSE_EVENT
from ledger.statements.registry import REGISTRATION, KeyStatus
from ledger.statements.reports import CORRECTION, REPORT
from ledger.statements.verdicts import VERDICT, VerdictState, encode_verdict, parse_verdict
from ledger.threshold import bls
from ledger.threshold.polynomials import SecretScalar
from ledger.votes import Misconduct, VoteKind
from tests.ledger.dockets import make_observation
from tests.ledger.faults import Member, accuse, make_evidence, make_header
from tests.ledger.rulebook import Key, make_row
from tests.node.counter import Counter

Provoker = Callable[[Counter], bytes]

OF_INTERVAL_1: Final = 210
"""Interval 1 is over."""


def named(entry: bytes, kind: str, signer: Key) -> bytes:
    """The same payload under the name of another kind."""
    payload = parse_envelope(entry).payload
    old = payload.split(b"urn:counterseal:")[1].split(b":")[0]
    payload = payload.replace(b"urn:counterseal:%s:" % old, b"urn:counterseal:%s:" % kind.encode())
    return sign_envelope(payload, [signer.signer])


def signed_again(entry: bytes, *signers: Key) -> bytes:
    """The same payload under other signatures."""
    return sign_envelope(parse_envelope(entry).payload, [signer.signer for signer in signers])


def forged(entry: bytes, signer: Key) -> bytes:
    return sign_envelope(parse_envelope(entry).payload, [(signer.public, lambda _message: bytes(64))])


def report(counter: Counter, interval: int = 1, *, key: Key | None = None, **changes: object) -> bytes:
    return counter.report("acme", interval, ["a1", "a2"], key=key, **changes)


def after(at: int, make: Provoker) -> Provoker:
    """Make an entry once the time has come."""

    def make_then(counter: Counter) -> bytes:
        counter.block(at)
        return make(counter)

    return make_then


def by_nobody(counter: Counter) -> bytes:
    return report(counter, issuer="nobody")


def by_a_nation(counter: Counter) -> bytes:
    """A report that a nation makes of itself."""
    counter.labs["avalon"] = counter.nations["avalon"]
    return counter.report("avalon", 1, ["a1"])


def by_another_nation(counter: Counter) -> bytes:
    return counter.registration("acme", ["a3"], nation="brittia")


def with_a_cluster_of_another(counter: Counter) -> bytes:
    return counter.registration("gamma", ["b1"])


def rotate(counter: Counter) -> None:
    """Let `acme` put its next key in the place of its first."""
    keys: list[tuple[Key, KeyStatus]] = [(Key("acme"), "revoked"), (Key("acme next"), "active")]
    counter.accept(120, counter.registration("acme", keys=keys, signer=Key("acme next"), next_key=Key("third")))


def by_a_revoked_key(counter: Counter) -> bytes:
    rotate(counter)
    return make_observation(counter, "acme")


def with_a_revoked_key_again(counter: Counter) -> bytes:
    rotate(counter)
    keys: list[tuple[Key, KeyStatus]] = [(Key("acme"), "active"), (Key("acme next"), "active")]
    return counter.registration("acme", keys=keys, signer=Key("acme next"), next_key=Key("fourth"))


def without_the_lab(counter: Counter) -> bytes:
    return signed_again(counter.registration("gamma"), Key("avalon"))


def countersigned_by_another(counter: Counter) -> bytes:
    return counter.registration("gamma", signer=Key("stranger"))


def half_forged(entry: bytes, signer: Key, countersigner: Key) -> bytes:
    """The first signature is right, the other only says whose it is."""
    lines = [signer.signer, (countersigner.public, lambda _message: bytes(64))]
    return sign_envelope(parse_envelope(entry).payload, lines)


def with_a_key_not_committed_to(counter: Counter) -> bytes:
    keys: list[tuple[Key, KeyStatus]] = [(Key("acme"), "active"), (Key("sudden"), "active")]
    return counter.registration("acme", keys=keys, signer=Key("sudden"))


def in_another_place(counter: Counter) -> bytes:
    counter.accept(120, make_observation(counter, "acme"))
    return make_observation(counter, "acme", sequence=0, previous="00" * 32, text="something else")


def by_both_keys(counter: Counter) -> bytes:
    """One statement under the signature of one of the lab's keys, and again under that of the other."""
    keys: list[tuple[Key, KeyStatus]] = [(Key("acme"), "active"), (Key("acme next"), "active")]
    counter.accept(120, counter.registration("acme", keys=keys, signer=Key("acme"), next_key=Key("third")))
    first = make_observation(counter, "acme")
    counter.accept(130, first)
    return signed_again(first, Key("acme next"))


def of_a_known_interval(counter: Counter) -> bytes:
    counter.file(OF_INTERVAL_1, "acme", 1, ["a1", "a2"])
    return report(counter)


def correcting_nothing(counter: Counter) -> bytes:
    counter.block(OF_INTERVAL_1)
    return counter.correction("acme", 1, ["a1", "a2"])


def correcting_another(counter: Counter) -> bytes:
    counter.file(OF_INTERVAL_1, "acme", 1, ["a1", "a2"])
    return counter.correction("acme", 1, ["a1", "a2"], leaf="ab" * 32)


def with_a_promise_less(counter: Counter) -> bytes:
    counter.block(OF_INTERVAL_1)
    return counter.report("acme", 1, [make_row("a1", respects=(True,), limits=("cap",))])


def with_the_nations_key(counter: Counter) -> bytes:
    keys: list[tuple[Key, KeyStatus]] = [(Key("gamma"), "active"), (Key("avalon"), "active")]
    return counter.registration("gamma", keys=keys)


def signed_once_too_often(counter: Counter) -> bytes:
    counter.block(OF_INTERVAL_1)
    return signed_again(report(counter), Key("acme"), Key("beta"))


def a_kinder_verdict(counter: Counter) -> bytes:
    """One in the form of those that the rules compute, which nobody signs."""
    computed = next(entry for entry in counter.computed if find_computed_kind(entry) == VERDICT)
    return encode_verdict(msgspec.structs.replace(parse_verdict(computed), state=VerdictState.COMPLIANT, reasons=()))


def liar(counter: Counter, *, epoch: int = 1) -> Member:
    return Member("brittia", ledger_id=bytes.fromhex(counter.ledger), epoch=epoch)


def charge(counter: Counter, evidence: Evidence) -> bytes:
    return accuse(evidence, counter.nations["avalon"], ledger=counter.ledger)


def double_vote(counter: Counter, *, view: int = 7, **changes: object) -> Evidence:
    made = make_evidence(
        Misconduct.DOUBLE_NOTARIZE, [liar(counter).notarize(block, view=view) for block in "ab"], view=view
    )
    return msgspec.structs.replace(made, **changes)


def proven_twice(counter: Counter) -> bytes:
    counter.accept(120, charge(counter, double_vote(counter)))
    return charge(counter, double_vote(counter, view=9))


def of_another_epoch(counter: Counter) -> bytes:
    votes = [liar(counter, epoch=2).notarize(block) for block in "ab"]
    return charge(counter, make_evidence(Misconduct.DOUBLE_NOTARIZE, votes, epoch=2))


def of_votes_of_another_epoch(counter: Counter) -> bytes:
    votes = [liar(counter, epoch=2).notarize(block) for block in "ab"]
    return charge(counter, make_evidence(Misconduct.DOUBLE_NOTARIZE, votes))


def of_votes_on_another_ledger(counter: Counter) -> bytes:
    votes = [Member("brittia", ledger_id=bytes(32)).notarize(block) for block in "ab"]
    return charge(counter, make_evidence(Misconduct.DOUBLE_NOTARIZE, votes))


def share_evidence(counter: Counter, ledger_id: bytes, secret: int) -> bytes:
    """A vote to finalize a block of some ledger, with somebody's share."""
    header = make_header("a", ledger_id=ledger_id)
    share = bls.sign_share(
        SecretScalar(1 + secret + secret * secret), seal_message(header, counter.state.charter.origin)
    )
    vote = liar(counter).vote(VoteKind.FINALIZE, header.digest, share)
    return charge(counter, make_evidence(Misconduct.WRONG_SHARE, [vote], header=header.raw))


def of_the_right_share(counter: Counter) -> bytes:
    return share_evidence(counter, bytes.fromhex(counter.ledger), 2)


def of_a_block_of_another_ledger(counter: Counter) -> bytes:
    return share_evidence(counter, hashlib.sha256(b"another").digest(), 3)


FIRST_KINDS: Final[Mapping[str, tuple[Code, Provoker]]] = {
    "no envelope": (Code.FORMAT, lambda _: b"\xff\x00"),
    "an envelope of nothing": (Code.FORMAT, lambda _: sign_envelope(b"{}", [Key("avalon").signer])),
    "an entry too large": (Code.TOO_LARGE, lambda _: bytes(ENTRY_BYTES_MAX + 1)),
    "a signature that fails": (Code.SIGNATURE, lambda counter: forged(report(counter), Key("acme"))),
    "a report of another ledger": (
        Code.WRONG_LEDGER,
        after(OF_INTERVAL_1, lambda counter: report(counter, ledger="ab" * 32)),
    ),
    "a kind that nobody knows": (Code.UNKNOWN_KIND, lambda counter: named(report(counter), "wish", Key("acme"))),
    "a verdict that was never computed": (Code.COMPUTED_ONLY, after(300, a_kinder_verdict)),
    "a verdict that a lab signs": (Code.COMPUTED_ONLY, lambda counter: named(report(counter), "verdict", Key("acme"))),
    "a charter again": (Code.COMPUTED_ONLY, lambda counter: named(report(counter), "charter", Key("acme"))),
    "an event of a pause that a lab signs": (
        Code.COMPUTED_ONLY,
        lambda counter: named(report(counter), PAUSE_EVENT, Key("acme")),
    ),
    "an issuer nobody registered": (Code.UNKNOWN_ISSUER, by_nobody),
    "a report of a nation": (Code.WRONG_ISSUER, by_a_nation),
    "a key of a stranger": (Code.WRONG_KEY, lambda counter: report(counter, key=Key("stranger"))),
    "a key of another lab": (Code.WRONG_KEY, lambda counter: report(counter, key=Key("beta"))),
    "a key of the lab's nation": (Code.WRONG_KEY, lambda counter: report(counter, key=Key("avalon"))),
    "a revoked key": (Code.KEY_REVOKED, by_a_revoked_key),
    "a revoked key that comes back": (Code.KEY_REVOKED, with_a_revoked_key_again),
    "a registration without the lab": (Code.COUNTERSIGNATURE_MISSING, without_the_lab),
    "a registration countersigned by a stranger": (Code.COUNTERSIGNATURE_MISSING, countersigned_by_another),
    "a registration with the forged word of a new lab": (
        Code.COUNTERSIGNATURE_MISSING,
        lambda counter: half_forged(counter.registration("gamma"), Key("avalon"), Key("gamma")),
    ),
    "a registration with the forged word of a known lab": (
        Code.SIGNATURE,
        lambda counter: half_forged(counter.registration("acme", ["a3"]), Key("avalon"), Key("acme")),
    ),
    "a new key that the lab had not committed to": (Code.COUNTERSIGNATURE_MISSING, with_a_key_not_committed_to),
    "a sequence ahead": (Code.WRONG_SEQUENCE, lambda counter: make_observation(counter, "acme", sequence=5)),
    "another previous": (Code.WRONG_PREVIOUS, lambda counter: make_observation(counter, "acme", previous="ab" * 32)),
    "a second story": (Code.EQUIVOCATION, in_another_place),
    "the same statement under another signature": (Code.DUPLICATE, by_both_keys),
    "an interval not over": (Code.INTERVAL_NOT_OVER, report),
    "an interval before registration": (Code.INTERVAL_BEFORE_REGISTRATION, lambda counter: report(counter, 0)),
    "an interval reported before": (Code.INTERVAL_ALREADY_REPORTED, of_a_known_interval),
    "a correction of nothing": (Code.NOTHING_TO_CORRECT, correcting_nothing),
    "a correction of another report": (Code.NOTHING_TO_CORRECT, correcting_another),
    "a row of another lab's cluster": (
        Code.UNKNOWN_CLUSTER,
        after(OF_INTERVAL_1, lambda counter: counter.report("acme", 1, ["b1"])),
    ),
    "a promise left out": (Code.LIMIT_PROMISE_MISMATCH, with_a_promise_less),
    "a lab of another nation": (Code.ALREADY_REGISTERED, by_another_nation),
    "a lab with a nation's name": (Code.ALREADY_REGISTERED, lambda counter: counter.registration("brittia")),
    "a cluster of another lab": (Code.ALREADY_REGISTERED, with_a_cluster_of_another),
    "a lab with its nation's key": (Code.INVALID_FIELD, with_the_nations_key),
    "a signature too many": (Code.INVALID_FIELD, signed_once_too_often),
    "a fault proven before": (Code.MISCONDUCT_KNOWN, proven_twice),
    "the right share": (Code.NOT_MISCONDUCT, of_the_right_share),
    "a share over a block of another ledger": (Code.PROOF, of_a_block_of_another_ledger),
    "misconduct of another epoch": (Code.INVALID_FIELD, of_another_epoch),
    "votes of another epoch": (Code.SIGNATURE, of_votes_of_another_epoch),
    "votes on another ledger": (Code.SIGNATURE, of_votes_on_another_ledger),
}
"""Statements of every ledger: registrations, reports, corrections, misconduct; and the header that all have."""

ONE_OF_EACH_FIRST: Final[Mapping[str, Provoker]] = {
    REGISTRATION: lambda counter: counter.registration("gamma"),
    REPORT: report,
    CORRECTION: lambda counter: counter.correction("acme", 1, ["a1", "a2"]),
    MISCONDUCT: lambda counter: charge(counter, double_vote(counter)),
}
"""A statement of every kind that a ledger without agreement knows, well formed and signed."""
