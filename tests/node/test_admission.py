"""What a node takes in: refusals with their codes, nothing kept of what is refused, and nobody left waiting."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ledger.errors import Code, LedgerError, RejectedError, reject
from ledger.limits import ENTRY_BYTES_MAX
from ledger.merkle import leaf_hash
from ledger.positions import Millis
from ledger.rules.entries import prepare_entry
from ledger.statements.dsse import parse_envelope, sign_envelope
from ledger.statements.registry import KeyStatus
from node.admission import Admission
from node.mempool import Mempool, MempoolLimits
from tests.ledger.rulebook import Key
from tests.node.ledger_on_disk import FOUNDED_MS, DiskLedger
from tests.node.statements import Issuer

INTERVAL_S = 3600
LAB = "lab-a"


class Desk:
    """Admission on a ledger with one lab, registered in interval 0, at a time within interval 2."""

    def __init__(self, root: Path) -> None:
        self.ledger = DiskLedger(root, members=4)
        self.nation, self.other = self.ledger.nations[:2]
        self.final(self.nation.note(self.nation.register(LAB)))
        key = Key(LAB)
        self.lab = Issuer(LAB, self.nation.ledger, key.signer)
        self.ledger.now_ms = FOUNDED_MS + 2_500 * INTERVAL_S
        self.final()
        limits = MempoolLimits(bytes_max=1 << 24, entries_max=1000, entries_per_issuer_max=10)
        self.mempool = Mempool(limits)
        self.admission = Admission(self.mempool, self.ledger.branches, self.ledger.store, self.ledger.clock)

    def final(self, *entries: bytes) -> None:
        block = self.ledger.grow(entries)
        if hasattr(self, "admission"):
            self.admission.on_final([block])

    def refusal(self, entry: bytes) -> LedgerError:
        before = (list(self.mempool), self.mempool.bytes, self.ledger.store.candidate_count())
        with pytest.raises(LedgerError) as caught:
            self.admission.admit(entry)
        assert (list(self.mempool), self.mempool.bytes, self.ledger.store.candidate_count()) == before
        assert caught.value.field
        assert caught.value.expected
        return caught.value


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path)
    yield made
    made.ledger.store.close()


def renamed(desk: Desk, kind: str) -> bytes:
    """A report that says it is of another kind."""
    payload = parse_envelope(desk.lab.report(1)).payload
    payload = payload.replace(b"urn:counterseal:report:", f"urn:counterseal:{kind}:".encode())
    return sign_envelope(payload, [desk.lab.signer])


def forged(desk: Desk) -> bytes:
    return desk.lab.report(1, signer=(desk.lab.signer[0], lambda _message: bytes(64)))


def by_nobody(desk: Desk) -> bytes:
    return Issuer("nobody", desk.lab.ledger, desk.lab.signer).report(1)


def without_lab(desk: Desk) -> bytes:
    return desk.nation.register("lab-b", signers=[desk.nation.signer])


def another_first(desk: Desk) -> bytes:
    return desk.nation.register("lab-b", sequence=0, previous="00" * 32)


REFUSED: dict[str, tuple[Code, Callable[[Desk], bytes]]] = {
    "no envelope": (Code.FORMAT, lambda _: b"{}"),
    "empty": (Code.FORMAT, lambda _: b""),
    "nothing readable": (Code.FORMAT, lambda _: bytes(range(256))),
    "too large": (Code.TOO_LARGE, lambda _: bytes(ENTRY_BYTES_MAX + 1)),
    "another ledger": (Code.WRONG_LEDGER, lambda desk: desk.lab.report(1, ledger="ab" * 32)),
    "a later sequence": (Code.WRONG_SEQUENCE, lambda desk: desk.lab.report(1, sequence=5)),
    "another previous": (Code.WRONG_PREVIOUS, lambda desk: desk.lab.report(1, previous="ab" * 32)),
    "an interval not over": (Code.INTERVAL_NOT_OVER, lambda desk: desk.lab.report(2)),
    "an interval before registration": (Code.INTERVAL_BEFORE_REGISTRATION, lambda desk: desk.lab.report(0)),
    "an unknown lab": (Code.UNKNOWN_ISSUER, by_nobody),
    "another's key": (Code.WRONG_KEY, lambda desk: desk.lab.report(1, signer=Key("thief").signer)),
    "a signature that fails": (Code.SIGNATURE, forged),
    "no countersignature": (Code.COUNTERSIGNATURE_MISSING, without_lab),
    "another nation's lab": (Code.ALREADY_REGISTERED, lambda desk: desk.other.register(LAB)),
    "an earlier place told otherwise": (Code.EQUIVOCATION, another_first),
    "what the rules compute": (
        Code.COMPUTED_ONLY,
        lambda desk: renamed(desk, "verdict"),
    ),
    "an unknown kind": (Code.UNKNOWN_KIND, lambda desk: renamed(desk, "wish")),
}


@pytest.mark.parametrize(("code", "make"), REFUSED.values(), ids=REFUSED.keys())
def test_what_is_refused_leaves_no_trace_and_says_why(desk: Desk, code: Code, make: Callable[[Desk], bytes]) -> None:
    error = desk.refusal(make(desk))
    assert error.code is code
    assert desk.admission.refused == {code: 1}
    assert desk.admission.admitted_count == 0


def test_a_revoked_key_signs_nothing_more(desk: Desk) -> None:
    old, new, third = Key(LAB), Key(f"{LAB} next"), Key("third")
    keys: list[tuple[Key, KeyStatus]] = [(old, "revoked"), (new, "active")]
    signers = [desk.nation.signer, new.signer]
    desk.final(desk.nation.register(LAB, keys=keys, signers=signers, next_key_sha256=third.commitment))
    assert desk.refusal(desk.lab.report(1)).code is Code.KEY_REVOKED
    desk.admission.admit(desk.lab.report(1, signer=new.signer))


def test_the_same_bytes_again_are_answered_with_where_they_stand(desk: Desk) -> None:
    entry = desk.lab.report(1)
    assert not desk.admission.admit(entry).known
    again = desk.admission.admit(entry)
    assert (again.known, again.index) == (True, None)
    desk.final(entry)
    sealed = desk.admission.admit(entry)
    assert sealed.known
    assert sealed.index == desk.ledger.store.index_of_leaf(leaf_hash(entry))
    desk.admission.is_draining = True
    assert desk.admission.admit(entry) == sealed


def test_a_chain_of_one_issuer_waits_in_order_and_a_second_story_is_refused(desk: Desk) -> None:
    first = desk.other.note(desk.other.register("lab-b"))
    second = desk.other.note(desk.other.register("lab-c"))
    desk.admission.admit(first)
    desk.admission.admit(second)
    twin = Issuer(desk.other.id, desk.other.ledger, desk.other.signer, 1, leaf_hash(first).hex())
    assert desk.refusal(twin.register("lab-d")).code is Code.EQUIVOCATION
    position = desk.admission.position(desk.other.id)
    assert (position.next_sequence, position.previous.hex(), position.sealed_sequence) == (2, desk.other.previous, 0)


@pytest.mark.parametrize(
    ("code", "waits"),
    [(Code.INTERVAL_NOT_OVER, True), (Code.INTERVAL_NOT_BEGUN, True), (Code.INTERVAL_ALREADY_REPORTED, False)],
)
def test_what_came_a_moment_too_early_waits_and_what_is_wrong_does_not(desk: Desk, code: Code, *, waits: bool) -> None:
    prepared = prepare_entry(desk.lab.report(1))
    desk.admission.admit(prepared.raw)
    desk.admission.on_refused([(prepared, reject(code, field="interval", found=1, expected="another time"))])
    assert desk.admission.is_waiting(prepared.leaf_hash) is waits


def test_one_issuer_fills_no_more_than_its_quota(desk: Desk) -> None:
    for number in range(10):
        desk.admission.admit(desk.other.note(desk.other.register(f"lab-{number}")))
    assert desk.refusal(desk.other.register("lab-10")).code is Code.QUOTA_EXCEEDED
    desk.admission.admit(desk.lab.report(1))


def test_a_draining_node_takes_nothing_new(desk: Desk) -> None:
    desk.admission.is_draining = True
    assert desk.refusal(desk.lab.report(1)).code is Code.DRAINING


async def test_who_waits_is_told_the_index_or_why_there_will_be_none(desk: Desk) -> None:
    sealed, overtaken = desk.other.register("lab-b"), desk.other.register("lab-c")
    elsewhere = Admission(
        Mempool(MempoolLimits(1 << 20, 10, 10)), desk.ledger.branches, desk.ledger.store, desk.ledger.clock
    )
    elsewhere.admit(overtaken)
    desk.admission.admit(sealed)
    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        waits = group.create_task(desk.admission.wait_sealed(leaf_hash(sealed)))
        loses = group.create_task(refused_wait(elsewhere, overtaken))
        settled = group.create_task(desk.admission.wait_settled())
        await asyncio.sleep(0)
        desk.final(sealed)
        elsewhere.on_final([desk.ledger.branches.final])
    assert waits.result() == desk.ledger.store.index_of_leaf(leaf_hash(sealed))
    assert loses.result().code is Code.EQUIVOCATION
    assert settled.done()
    assert len(desk.mempool) == 0


async def refused_wait(admission: Admission, entry: bytes) -> RejectedError:
    with pytest.raises(RejectedError) as caught:
        await admission.wait_sealed(leaf_hash(entry))
    return caught.value


async def test_who_gives_up_waiting_leaves_nothing_that_outlives_the_entry(desk: Desk) -> None:
    entry = desk.other.register("lab-b")
    desk.admission.admit(entry)
    for _ in range(3):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await desk.admission.wait_sealed(leaf_hash(entry))
    assert len(desk.admission._waiting) == 1
    desk.final(entry)
    assert desk.admission._waiting == {}


def test_a_clock_behind_the_newest_block_does_not_refuse_what_is_due(desk: Desk) -> None:
    desk.ledger.now_ms = FOUNDED_MS
    desk.admission.admit(desk.lab.report(1))
    assert desk.ledger.clock() == Millis(FOUNDED_MS)
