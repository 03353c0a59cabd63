"""`lab.filing`: the vault says where the next statement stands; nodes can warn, but make nobody tell two stories."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio

from lab.classification import UseMapping
from lab.client import Client, connect
from lab.filing import find_place, hand_in_pending, submit_pending
from lab.home import Home, name_statement
from lab.keys import SigningKey
from lab.pinned import PinnedLedger
from lab.records import Collected
from lab.reporting import Choices, Place, sign_report
from lab.reports import Cluster as LabCluster
from lab.reports import Draft, build_report, compute_terms
from lab.stored import Progress, Stored
from lab.vault import Vault, draw_salt, open_vault
from ledger.checkpoints import Checkpoint, SealLine
from ledger.errors import Code, ConditionError, FormatError, ProofError
from ledger.policy import VerifiedCheckpoint
from ledger.positions import FIRST_EPOCH, Height, Interval, Millis, TreeSize, View
from ledger.positions import Sequence as SequenceNumber
from ledger.statements.intoto import ZERO_HASH
from node.v1 import submission_pb2
from tests.lab.actors import QUICK, Liar, TestLab, first_interval_over, pin, register, serve
from tests.node.cluster import Cluster, run_cluster

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def cluster(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Cluster]:
    async with run_cluster(tmp_path_factory.mktemp("cluster"), interval_s=1) as running:
        yield running


@pytest.fixture
def ledger(cluster: Cluster) -> PinnedLedger:
    return pin(cluster)


@pytest.fixture
def vault(tmp_path: Path) -> Iterator[Vault]:
    with open_vault(tmp_path / "vault") as opened:
        yield opened


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


@pytest_asyncio.fixture(loop_scope="module")
async def client(cluster: Cluster, ledger: PinnedLedger) -> AsyncIterator[Client]:
    async with connect(ledger, cluster.addresses, patience=QUICK) as opened:
        yield opened


def draft(ledger: PinnedLedger, lab: TestLab, interval: int, *, cluster_id: str | None = None) -> Draft:
    return build_report(
        Collected(()),
        terms=compute_terms(ledger.charter, Interval(interval)),
        clusters=[LabCluster(cluster_id or f"{lab.id}-c1", ("scheduler",), {"h100": 8})],
        mapping=UseMapping(),
        draw_salt=draw_salt,
    )


def key_of(lab: TestLab) -> SigningKey:
    return SigningKey(lab.seed)


def build(
    vault: Vault, ledger: PinnedLedger, lab: TestLab, interval: int, place: Place, *, cluster_id: str | None = None
) -> Stored:
    return sign_report(
        vault,
        draft(ledger, lab, interval, cluster_id=cluster_id),
        place,
        Choices(interval=Interval(interval)),
        ledger=ledger,
        lab=lab.id,
        key=key_of(lab),
        now_ms=Millis(0),
    )


FIRST = Place(SequenceNumber(0), ZERO_HASH)


def claim(ledger: PinnedLedger, next_sequence: int, previous: bytes) -> Liar:
    return Liar(
        position=submission_pb2.GetPositionResponse(
            ledger_id=ledger.charter.ledger_id, next_sequence=next_sequence, previous=previous
        )
    )


# --- where the next statement stands ---------------------------------------------------------------------------------


async def test_the_first_statement_needs_a_registration(vault: Vault, client: Client, cluster: Cluster) -> None:
    with pytest.raises(Exception, match="UNKNOWN_ISSUER"):
        await find_place(vault, client, lab="lab-f1")
    lab = await register(cluster, client, "lab-f1")
    assert await find_place(vault, client, lab=lab.id) == (FIRST, [])


async def test_the_next_statement_follows_the_vaults_last_one_whether_or_not_it_was_sent(
    vault: Vault, client: Client, cluster: Cluster, ledger: PinnedLedger, home: Home
) -> None:
    lab = await register(cluster, client, "lab-f2")
    interval = await first_interval_over(client, lab)
    stored = build(vault, ledger, lab, interval, FIRST)
    assert await find_place(vault, client, lab=lab.id) == (Place(SequenceNumber(1), stored.leaf), [])
    await submit_pending(home, vault, client)
    assert await find_place(vault, client, lab=lab.id) == (Place(SequenceNumber(1), stored.leaf), [])


async def test_without_any_node_the_vault_alone_says_where_the_next_statement_stands(
    vault: Vault, ledger: PinnedLedger
) -> None:
    lab = TestLab("lab-f3")
    stored = build(vault, ledger, lab, 5, FIRST)
    async with connect(ledger, ["grpc://127.0.0.1:1"], patience=QUICK) as alone:
        place, notes = await find_place(vault, alone, lab=lab.id)
    assert place == Place(SequenceNumber(1), stored.leaf)
    assert "unavailable" in notes[0]


async def test_one_node_that_claims_more_and_proves_nothing_is_noted_and_not_believed(
    vault: Vault, client: Client, cluster: Cluster, ledger: PinnedLedger
) -> None:
    lab = await register(cluster, client, "lab-f4")
    liar = claim(ledger, 7, b"\x01" * 32)
    async with serve(liar) as address, connect(ledger, [address, *cluster.addresses], patience=QUICK) as several:
        place, notes = await find_place(vault, several, lab=lab.id)
    assert place == FIRST
    assert notes == [f"{address} claims 7 statements of this lab and proves none"]


async def test_an_empty_vault_signs_nothing_where_one_node_proves_that_there_was_a_statement(
    vault: Vault, client: Client, cluster: Cluster, ledger: PinnedLedger
) -> None:
    lab = await register(cluster, client, "lab-f5")
    await client.submit(lab.report(ledger, await first_interval_over(client, lab)))
    forgetful = [claim(ledger, 0, bytes(32)) for _ in range(3)]
    async with (
        serve(forgetful[0]) as one,
        serve(forgetful[1]) as two,
        serve(forgetful[2]) as three,
        connect(ledger, [one, two, three, cluster.addresses[0]], patience=QUICK) as several,
    ):
        with pytest.raises(ConditionError) as caught:
            await find_place(vault, several, lab=lab.id)
    assert caught.value.code is Code.STORE_DAMAGED
    assert "restore the newest backup" in str(caught.value)


async def test_many_nodes_that_claim_more_are_a_reason_to_stop_even_without_proof(
    vault: Vault, client: Client, cluster: Cluster, ledger: PinnedLedger
) -> None:
    lab = await register(cluster, client, "lab-f6")
    async with (
        serve(claim(ledger, 7, b"\x01" * 32)) as one,
        serve(claim(ledger, 7, b"\x01" * 32)) as two,
        connect(ledger, [one, two, *cluster.addresses], patience=QUICK) as several,
    ):
        with pytest.raises(ConditionError, match="knows of 7"):
            await find_place(vault, several, lab=lab.id)


async def test_a_statement_that_was_given_up_and_sealed_after_all_is_taken_back(
    vault: Vault, client: Client, cluster: Cluster, ledger: PinnedLedger
) -> None:
    lab = await register(cluster, client, "lab-f7")
    stored = build(vault, ledger, lab, await first_interval_over(client, lab), FIRST)
    await client.submit(stored.envelope)
    vault.mark_refused(stored, "somebody believed a liar")
    place, _ = await find_place(vault, client, lab=lab.id)
    assert place == Place(SequenceNumber(1), stored.leaf)
    assert vault.read(stored.leaf).progress == Progress.SEALED


# --- sending ---------------------------------------------------------------------------------------------------------


async def test_two_stories_under_one_number_are_refused_by_the_vault(vault: Vault, ledger: PinnedLedger) -> None:
    lab = TestLab("lab-f8")
    build(vault, ledger, lab, 5, FIRST)
    with pytest.raises(Exception, match="EQUIVOCATION"):
        build(vault, ledger, lab, 6, FIRST)
    assert len(list(vault.read_all())) == 1


async def test_a_refused_statement_keeps_its_number_until_it_is_given_up_and_takes_its_successors_along(
    vault: Vault, client: Client, cluster: Cluster, ledger: PinnedLedger, home: Home
) -> None:
    lab = await register(cluster, client, "lab-f9")
    interval = await first_interval_over(client, lab)
    first = build(vault, ledger, lab, interval, FIRST, cluster_id="not-registered")
    second = build(vault, ledger, lab, interval + 1, Place(SequenceNumber(1), first.leaf))
    (kept,) = await submit_pending(home, vault, client, interval=Interval(interval))
    assert kept.refusal is not None
    assert kept.refusal.code is Code.UNKNOWN_CLUSTER
    assert kept.stored.progress == Progress.SUBMITTED, "a cluster might be registered by the time others are asked"
    (freed,) = await submit_pending(home, vault, client, interval=Interval(interval), is_given_up=True)
    assert freed.stored.progress == Progress.REFUSED
    assert vault.read(second.leaf).progress == Progress.REFUSED
    assert await find_place(vault, client, lab=lab.id) == (FIRST, [])
    again = build(vault, ledger, lab, interval, FIRST)
    (sealed,) = await submit_pending(home, vault, client)
    assert (sealed.stored.leaf, sealed.stored.progress) == (again.leaf, Progress.SEALED)


async def test_what_was_handed_in_is_marked_before_it_is_sent(
    vault: Vault, client: Client, cluster: Cluster, ledger: PinnedLedger, home: Home
) -> None:
    lab = await register(cluster, client, "lab-f10")
    stored = build(vault, ledger, lab, await first_interval_over(client, lab), FIRST)
    async with connect(ledger, ["grpc://127.0.0.1:1"], patience=replace(QUICK, total_s=0.5)) as nobody:
        with pytest.raises(ConditionError, match="UNREACHABLE"):
            await hand_in_pending(vault, nobody)
    assert vault.read(stored.leaf).progress == Progress.SUBMITTED, "a byte of it may have left"
    assert [one.leaf for one in await hand_in_pending(vault, client)] == [stored.leaf]
    (filed,) = await submit_pending(home, vault, client)
    assert home.receipt(name_statement(filed.stored)).exists()


async def test_an_interval_that_the_vault_does_not_have_is_not_there(home: Home, vault: Vault, client: Client) -> None:
    assert await submit_pending(home, vault, client) == []
    with pytest.raises(ConditionError) as caught:
        await submit_pending(home, vault, client, interval=Interval(3))
    assert caught.value.code is Code.NOT_FOUND


def make_checkpoint(height: int, root: bytes) -> VerifiedCheckpoint:
    checkpoint = Checkpoint("ledger.example/test", TreeSize(5), root)
    seal = SealLine(FIRST_EPOCH, View(height), Height(height), Millis(1000), root, bytes(48))
    return VerifiedCheckpoint(checkpoint, seal, (), ())


async def test_two_histories_are_told_apart_by_the_receipts_this_lab_holds() -> None:
    from lab.filing import _require_one_history

    before = make_checkpoint(3, b"\x01" * 32)
    _require_one_history(before, [before])
    _require_one_history(None, [before])
    with pytest.raises(ProofError, match="a quorum sealed two histories"):
        _require_one_history(before, [before, make_checkpoint(3, b"\x02" * 32)])


async def test_a_damaged_vault_is_not_sent(home: Home, vault: Vault, client: Client, ledger: PinnedLedger) -> None:
    build(vault, ledger, TestLab("lab-f11"), 5, FIRST)
    (path,) = home.vault.glob("*.json")
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(FormatError) as caught:
        await submit_pending(home, vault, client)
    assert caught.value.code is Code.STORE_DAMAGED
