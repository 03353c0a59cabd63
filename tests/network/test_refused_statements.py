"""Statements that must not be taken: refused with code, field, found and expected, and nothing of them is kept."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import grpc
import pytest

from devnet.network import Network, Waiting, wait_until
from ledger.errors import Code
from ledger.limits import ENTRY_BYTES_MAX
from ledger.merkle import leaf_hash
from ledger.statements.registry import KeyStatus
from node.v1 import submission_pb2
from tests.ledger.rulebook import Key
from tests.network.conftest import AURELIA, BOREALIS, Running
from tests.network.parties import Caller, calling, nation_of
from tests.node.statements import Issuer

LAB, REVOKED = "refused-lab", "revoked-lab"


@dataclass
class Counter:
    """A node's counter: a lab and a nation that stand before it, and what the ledger held when all were registered."""

    network: Network
    caller: Caller
    nation: Issuer
    lab: Issuer
    revoked: Issuer
    interval: int

    def size_everywhere(self) -> list[int]:
        answers = [self.network.status(number) for number in range(4)]
        assert all(answer is not None and answer.mempool_entries == 0 for answer in answers)
        return [answer.tree_size for answer in answers if answer is not None]


def wait_for_size(network: Network, number: int, size: int) -> None:
    def is_there() -> bool:
        status = network.status(number)
        return status is not None and status.tree_size >= size

    wait_until(is_there, Waiting(f"{size} entries at node {number}", 20))


def lab_of(nation: Issuer, name: str) -> Issuer:
    return Issuer(name, nation.ledger, Key(name).signer)


@pytest.fixture(scope="module")
def counter(running: Running) -> Iterator[Counter]:
    network = running.network
    with calling(network.nodes[AURELIA].public) as channel:
        caller = Caller(channel)
        nation = caller.take_place(nation_of(network, AURELIA))
        for name in (LAB, REVOKED):
            caller.submit(nation.note(nation.register(name)))
        new, third = Key(f"{REVOKED} next"), Key("third")
        keys: list[tuple[Key, KeyStatus]] = [(Key(REVOKED), "revoked"), (new, "active")]
        signers = [nation.signer, new.signer]
        taken = caller.submit(
            nation.note(nation.register(REVOKED, keys=keys, signers=signers, next_key_sha256=third.commitment))
        )
        for number in range(4):
            wait_for_size(network, number, taken.index + 1)
        newest_over = 1  # the grid began two and a half intervals ago
        yield Counter(network, caller, nation, lab_of(nation, LAB), lab_of(nation, REVOKED), newest_over)


def forged(counter: Counter) -> bytes:
    public_key, _ = counter.lab.signer
    return counter.lab.report(counter.interval, signer=(public_key, lambda _message: bytes(64)))


def unsigned_by_lab(counter: Counter) -> bytes:
    return counter.nation.register("third-lab", signers=[counter.nation.signer])


REFUSED: dict[str, tuple[Code, grpc.StatusCode, str, Callable[[Counter], bytes]]] = {
    "malformed": (Code.FORMAT, grpc.StatusCode.INVALID_ARGUMENT, "entry", lambda _: b"\xff\x00 no envelope"),
    "oversized": (Code.TOO_LARGE, grpc.StatusCode.INVALID_ARGUMENT, "entry", lambda _: bytes(ENTRY_BYTES_MAX + 1)),
    "wrongly signed": (Code.SIGNATURE, grpc.StatusCode.INVALID_ARGUMENT, "signatures", forged),
    "signed by a stranger": (
        Code.WRONG_KEY,
        grpc.StatusCode.PERMISSION_DENIED,
        "signatures",
        lambda counter: counter.lab.report(counter.interval, signer=Key("stranger").signer),
    ),
    "of another ledger": (
        Code.WRONG_LEDGER,
        grpc.StatusCode.FAILED_PRECONDITION,
        "ledger",
        lambda counter: counter.lab.report(counter.interval, ledger="00" * 32),
    ),
    "out of sequence": (
        Code.WRONG_SEQUENCE,
        grpc.StatusCode.FAILED_PRECONDITION,
        "sequence",
        lambda counter: counter.lab.report(counter.interval, sequence=7),
    ),
    "on an interval not over": (
        Code.INTERVAL_NOT_OVER,
        grpc.StatusCode.FAILED_PRECONDITION,
        "interval",
        lambda counter: counter.lab.report(counter.interval + 1),
    ),
    "by an unknown lab": (
        Code.UNKNOWN_ISSUER,
        grpc.StatusCode.FAILED_PRECONDITION,
        "issuer",
        lambda counter: Issuer("unheard-of", counter.nation.ledger, counter.lab.signer).report(0),
    ),
    "by an unknown lab with a key of its own": (
        Code.WRONG_KEY,
        grpc.StatusCode.PERMISSION_DENIED,
        "signatures",
        lambda counter: lab_of(counter.nation, "unheard-of").report(0),
    ),
    "by a revoked key": (
        Code.KEY_REVOKED,
        grpc.StatusCode.PERMISSION_DENIED,
        "signatures",
        lambda counter: counter.revoked.report(counter.interval),
    ),
    "without the lab's consent": (
        Code.COUNTERSIGNATURE_MISSING,
        grpc.StatusCode.PERMISSION_DENIED,
        "signatures",
        unsigned_by_lab,
    ),
    "a second story": (
        Code.EQUIVOCATION,
        grpc.StatusCode.ALREADY_EXISTS,
        "sequence",
        lambda counter: counter.nation.register("third-lab", sequence=counter.nation.sequence - 1),
    ),
}


@pytest.mark.parametrize(("code", "status", "field", "make"), REFUSED.values(), ids=REFUSED.keys())
def test_a_statement_is_refused(
    counter: Counter, code: Code, status: grpc.StatusCode, field: str, make: Callable[[Counter], bytes]
) -> None:
    before = counter.size_everywhere()
    entry = make(counter)
    found_status, reason, told = counter.caller.refusal(entry)
    assert (reason, found_status) == (code, status)
    assert field in told["field"]
    assert set(told) == {"field", "found", "expected"}
    assert told["found"]
    assert told["expected"]
    assert counter.size_everywhere() == before


def test_the_same_statement_again_is_answered_with_its_first_receipt(counter: Counter) -> None:
    nation = counter.caller.take_place(counter.nation)
    entry = nation.note(nation.register("lab-twice"))
    first = counter.caller.submit(entry)
    with calling(counter.network.nodes[BOREALIS].public) as channel:
        again = Caller(channel).submit(entry)
    assert (first.duplicate, again.duplicate) == (False, True)
    assert (again.index, again.leaf_hash) == (first.index, leaf_hash(entry))
    assert counter.caller.size() == first.index + 1


def test_a_stream_answers_each_statement_by_its_own_tag(counter: Counter) -> None:
    nation = counter.caller.take_place(counter.nation)
    good = nation.note(nation.register("lab-streamed"))
    sent = [b"\xff", good, forged(counter)]
    requests = [submission_pb2.SubmitRequest(entry=entry, wait=True, tag=tag) for tag, entry in enumerate(sent)]
    answers = {answer.tag: answer for answer in counter.caller.submission.SubmitBatch(iter(requests), timeout=30)}
    assert answers[0].refused.code == Code.FORMAT
    assert answers[1].accepted.sealed
    assert answers[1].accepted.receipt
    assert (answers[2].refused.code, answers[2].refused.field) == (Code.SIGNATURE, answers[2].refused.field)
    assert answers[2].refused.expected
