"""`lab.client`: many nodes, some of them stopped, slow or lying; every receipt is verified before it is believed."""

import datetime as dt
import ipaddress
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
import pytest_asyncio
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from devnet.network import find_free_ports
from lab.addresses import parse_address
from lab.client import Client, Position, Settled, connect, fetch_ledger
from lab.nodes import NodesError, NodesRefusedError
from lab.pinned import PinnedLedger
from ledger.errors import Code, ConditionError, FormatError, PolicyError
from ledger.merkle import leaf_hash
from ledger.statements.intoto import ZERO_HASH
from ledger.verify import verify_receipt
from node.v1 import reading_pb2, submission_pb2
from tests.lab.actors import HASTY, QUICK, Liar, TestLab, first_interval_over, pin, register, serve
from tests.node.cluster import Cluster, run_cluster

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def cluster(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Cluster]:
    """Four nodes with intervals of one second, shared by the tests that stop none."""
    async with run_cluster(tmp_path_factory.mktemp("cluster"), interval_s=1) as running:
        yield running


@pytest.fixture
def ledger(cluster: Cluster) -> PinnedLedger:
    return pin(cluster)


# --- honest nodes ----------------------------------------------------------------------------------------------------


async def test_the_ledger_is_fetched_by_its_fingerprint(cluster: Cluster) -> None:
    fetched = await fetch_ledger(cluster.addresses, fingerprint=cluster.charter.fingerprint.upper(), patience=QUICK)
    assert fetched.charter.entry == cluster.charter.entry
    assert fetched.transcript == cluster.transcript
    assert all(cosigner.ml_dsa is not None for cosigner in fetched.keys.cosigners)


async def test_the_ledger_of_another_fingerprint_is_refused_by_every_node(cluster: Cluster) -> None:
    with pytest.raises(NodesError) as caught:
        await fetch_ledger(cluster.addresses, fingerprint="00" * 32, patience=HASTY)
    assert caught.value.code is Code.WRONG_LEDGER
    assert [str(address) for address in caught.value.said] == cluster.addresses
    assert cluster.charter.fingerprint in str(caught.value)


async def test_a_submitted_statement_comes_back_with_a_receipt_that_verifies_offline(
    cluster: Cluster, ledger: PinnedLedger
) -> None:
    entry = TestLab("lab-one").registration(cluster)
    async with connect(ledger, cluster.addresses, patience=QUICK) as client:
        sealed = await client.submit(entry)
        again = await client.submit(entry)
        fetched = await client.fetch_receipt(leaf_hash(entry))
    verified = verify_receipt(sealed.receipt, entry=entry, keys=ledger.keys)
    assert (verified.index, verified.leaf) == (sealed.index, sealed.leaf)
    assert (again.index, again.was_known) == (sealed.index, True)
    assert fetched.index == sealed.index


async def test_the_example_in_the_documentation_submits(cluster: Cluster) -> None:
    document = (Path(__file__).resolve().parents[2] / "docs" / "labs.md").read_text(encoding="utf-8")  # noqa: ASYNC240
    (block,) = re.findall(r"```python\n(.*?)```", document, re.DOTALL)
    names: dict[str, Any] = {}
    exec(block, names)
    names["NODES"] = cluster.addresses
    entry = TestLab("lab-of-the-documentation").registration(cluster)
    assert await names["submit"](entry, cluster.charter.fingerprint) > 0


async def test_another_node_gives_the_same_index_for_the_same_bytes(cluster: Cluster, ledger: PinnedLedger) -> None:
    entry = TestLab("lab-two").registration(cluster)
    indices = []
    for address in cluster.addresses:
        async with connect(ledger, [address], patience=QUICK) as client:
            indices.append((await client.submit(entry)).index)
    assert len(set(indices)) == 1


async def test_position_follows_what_was_sealed(cluster: Cluster, ledger: PinnedLedger) -> None:
    async with connect(ledger, cluster.addresses, patience=QUICK) as client:
        with pytest.raises(NodesRefusedError) as unknown:
            await client.get_position("lab-three")
        lab = await register(cluster, client, "lab-three")
        assert (await client.get_position(lab.id)).previous == ZERO_HASH
        interval = await first_interval_over(client, lab)
        entry = lab.report(ledger, interval)
        sealed = await client.submit(entry)
        position = await client.get_position(lab.id)
    assert unknown.value.code is Code.UNKNOWN_ISSUER
    assert (position.next_sequence, position.sealed_sequence) == (1, 1)
    assert position.previous == sealed.leaf.hex() == leaf_hash(entry).hex()


async def test_positions_of_all_nodes_stand_beside_each_other(cluster: Cluster, ledger: PinnedLedger) -> None:
    dead = f"grpc://127.0.0.1:{find_free_ports(1)[0]}"
    async with connect(ledger, [*cluster.addresses, dead], patience=QUICK) as client:
        await register(cluster, client, "lab-four")
        positions = await client.get_positions("lab-four")
    assert [str(address) for address in positions] == [*cluster.addresses, dead]
    unreachable = positions[parse_address(dead)]
    assert isinstance(unreachable, ConditionError)
    assert unreachable.code is Code.UNREACHABLE
    assert any(isinstance(position, Position) for position in positions.values())


async def test_many_statements_of_one_lab_are_sealed_in_their_order_over_one_stream(
    cluster: Cluster, ledger: PinnedLedger
) -> None:
    async with connect(ledger, cluster.addresses, patience=QUICK) as client:
        lab = await register(cluster, client, "lab-five")
        first = await first_interval_over(client, lab)
        await first_interval_over(client, lab)
        entries, previous = [], ZERO_HASH
        for sequence in range(3):
            entries.append(lab.report(ledger, first, sequence=sequence, previous=previous, band=sequence))
            previous = leaf_hash(entries[-1]).hex()
        told: list[bytes] = []
        settled = await client.submit_many(entries, on_settled=lambda one: told.append(one.entry))
    assert [one.entry for one in settled] == entries
    assert sorted(told) == sorted(entries)
    assert settled[0].sealed is not None
    assert settled[0].sealed.entry == entries[0]
    refusals = [one.refusal for one in settled[1:]]  # the interval is reported; and what names that one is void too
    assert [refusal.code for refusal in refusals if refusal] == [
        Code.INTERVAL_ALREADY_REPORTED,
        Code.WRONG_SEQUENCE,
    ]
    assert all(refusal.opinions == 4 for refusal in refusals if refusal)


async def test_many_registrations_are_settled_each_with_its_own_receipt(cluster: Cluster, ledger: PinnedLedger) -> None:
    async with connect(ledger, cluster.addresses, patience=QUICK) as client:
        lab = await register(cluster, client, "lab-six")
        interval = await first_interval_over(client, lab)
        report = lab.report(ledger, interval)
        settled = await client.submit_many([report, TestLab("lab-six").report(ledger, interval + 3600)])
        assert await client.submit_many([]) == []
        with pytest.raises(FormatError, match="each once"):
            await client.submit_many([report, report])
    assert settled[0].sealed is not None
    assert verify_receipt(settled[0].sealed.receipt, entry=report, keys=ledger.keys).index == settled[0].sealed.index
    assert settled[1].refusal is not None
    assert settled[1].refusal.code is Code.EQUIVOCATION  # sequence 0 again


async def test_the_rules_refusal_names_field_found_and_expected_and_how_many_say_so(
    cluster: Cluster, ledger: PinnedLedger
) -> None:
    async with connect(ledger, cluster.addresses, patience=QUICK) as client:
        lab = await register(cluster, client, "lab-seven")
        with pytest.raises(NodesRefusedError) as caught:
            await client.submit(lab.report(ledger, 10**6))
    assert caught.value.code is Code.INTERVAL_NOT_OVER
    assert caught.value.field == "statement.predicate.interval"
    assert (caught.value.opinions, caught.value.asked) == (4, 4)


async def test_an_archival_receipt_has_post_quantum_cosignatures_of_a_quorum(
    cluster: Cluster, ledger: PinnedLedger
) -> None:
    quorum = ledger.charter.quorum
    async with connect(ledger, cluster.addresses, patience=QUICK) as client:
        sealed = await client.submit(TestLab("lab-eight").registration(cluster))
        archival = await client.fetch_receipt(sealed.leaf, archival=True, cosigners_ml_dsa_min=quorum)
    assert archival.index == sealed.index
    assert len(archival.checkpoint.cosigners_ml_dsa) >= quorum
    assert verify_receipt(archival.receipt, entry=sealed.entry, keys=ledger.keys).index == sealed.index


async def test_a_statement_that_was_handed_in_without_waiting_is_sealed_later(
    cluster: Cluster, ledger: PinnedLedger
) -> None:
    entry = TestLab("lab-nine").registration(cluster)
    async with connect(ledger, cluster.addresses, patience=QUICK) as client:
        node = await client.hand_in(entry)
        sealed = await client.fetch_receipt(leaf_hash(entry))
    assert str(node) in cluster.addresses
    assert sealed.entry == entry


async def test_an_error_of_the_caller_is_no_fault_of_a_node(cluster: Cluster, ledger: PinnedLedger) -> None:
    full = ConditionError(field="disk", found="no space", expected="space", code=Code.DISK_FULL)

    def tell(_: Settled) -> None:
        raise full

    async with connect(ledger, cluster.addresses, patience=QUICK) as client:
        entry = TestLab("lab-ten").registration(cluster)
        with pytest.raises(ConditionError) as caught:
            await client.submit_many([entry], on_settled=tell)
    assert caught.value is full


# --- nodes that are down ---------------------------------------------------------------------------------------------


async def test_when_a_node_stops_the_next_one_is_asked(tmp_path: Path) -> None:
    async with run_cluster(tmp_path) as own:
        first, second = TestLab("lab-x"), TestLab("lab-y")
        async with connect(pin(own), own.addresses, patience=QUICK) as client:
            before = await client.submit(first.registration(own))
            answered = own.addresses.index(str(before.node))
            await own.stop(answered)
            after = await client.submit(registration_elsewhere(own, second, stopped=answered))
            known = await client.submit(before.entry)
    assert after.node != before.node
    assert after.index > before.index
    assert (known.index, known.was_known) == (before.index, True)


def registration_elsewhere(own: Cluster, lab: TestLab, *, stopped: int) -> bytes:
    """Let another nation than the stopped one register a lab."""
    others = [number for number in range(len(own.nodes)) if number != stopped]
    nodes, tasks = [own.nodes[number] for number in others], [own.tasks[number] for number in others]
    return lab.registration(Cluster(own.charter, own.transcript, own.make, nodes, tasks))


async def test_nobody_reachable_names_every_node_and_why(ledger: PinnedLedger) -> None:
    dead = [f"grpc://127.0.0.1:{port}" for port in find_free_ports(2)]
    async with connect(ledger, dead, patience=HASTY) as client:
        with pytest.raises(NodesError) as caught:
            await client.submit(b"{}")
    assert caught.value.code is Code.UNREACHABLE
    assert all(f"{address} (unavailable: " in str(caught.value) for address in dead)


def self_signed() -> tuple[bytes, bytes]:
    """A certificate for 127.0.0.1 and its key, in PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "node")])
    now = dt.datetime.now(tz=dt.UTC)
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return certificate.public_bytes(Encoding.PEM), pem


async def test_a_node_with_tls_is_reached_under_its_authority_and_no_other(ledger: PinnedLedger) -> None:
    certificate, key = self_signed()
    position = submission_pb2.GetPositionResponse(ledger_id=ledger.charter.ledger_id, previous=bytes(32))
    tls = grpc.ssl_server_credentials([(key, certificate)])
    async with serve(Liar(position=position), tls=tls) as address:
        async with connect(ledger, [address], patience=QUICK, root_certificates=certificate) as client:
            assert (await client.get_position("lab-a")).next_sequence == 0
        other, _ = self_signed()
        async with connect(ledger, [address], patience=HASTY, root_certificates=other) as client:
            with pytest.raises(NodesError) as caught:
                await client.get_position("lab-a")
    assert caught.value.code is Code.UNREACHABLE


# --- nodes that lie --------------------------------------------------------------------------------------------------


async def test_a_forged_receipt_is_refused_and_another_node_is_asked(cluster: Cluster, ledger: PinnedLedger) -> None:
    async with connect(ledger, cluster.addresses, patience=QUICK) as client:
        other = await client.submit(TestLab("lab-forge-0").registration(cluster))
    entry = TestLab("lab-forge-1").registration(cluster)

    def forge(submitted: bytes) -> submission_pb2.SubmitResponse:
        """A true receipt, of another entry."""
        return submission_pb2.SubmitResponse(
            leaf_hash=leaf_hash(submitted), sealed=True, index=other.index, receipt=other.receipt.decode()
        )

    liar = Liar(submit=forge)
    async with serve(liar) as address, connect(ledger, [address, *cluster.addresses], patience=QUICK) as client:
        sealed = await client.submit(entry)
        again = await client.submit(entry)
    assert str(sealed.node) in cluster.addresses
    assert verify_receipt(sealed.receipt, entry=entry, keys=ledger.keys).index == sealed.index == again.index
    assert liar.asked == 1, "whoever lied once is not asked again"


async def test_a_forged_receipt_in_a_stream_is_refused_and_the_rest_goes_elsewhere(
    cluster: Cluster, ledger: PinnedLedger
) -> None:
    async with connect(ledger, cluster.addresses, patience=QUICK) as client:
        other = await client.submit(TestLab("lab-forge-2").registration(cluster))
    entry = TestLab("lab-forge-3").registration(cluster)
    liar = Liar(
        submit=lambda submitted: submission_pb2.SubmitResponse(
            leaf_hash=leaf_hash(submitted), sealed=True, receipt=other.receipt.decode()
        )
    )
    async with serve(liar) as address, connect(ledger, [address, *cluster.addresses], patience=QUICK) as client:
        settled = await client.submit_many([entry, other.entry])
    assert [one.sealed and one.sealed.entry for one in settled] == [entry, other.entry]
    assert [one.sealed and one.sealed.index == other.index for one in settled] == [False, True]


async def test_with_forged_receipts_only_nothing_is_believed(cluster: Cluster, ledger: PinnedLedger) -> None:
    async with connect(ledger, cluster.addresses, patience=QUICK) as client:
        other = await client.submit(TestLab("lab-forge-4").registration(cluster))
    liar = Liar(
        submit=lambda submitted: submission_pb2.SubmitResponse(
            leaf_hash=leaf_hash(submitted), sealed=True, receipt=other.receipt.decode()
        ),
        receipt=lambda _: reading_pb2.GetReceiptResponse(receipt=other.receipt.decode(), entry=entry),
    )
    entry = TestLab("lab-forge-5").registration(cluster)
    async with serve(liar) as address:
        async with connect(ledger, [address], patience=QUICK) as client:
            with pytest.raises(NodesError) as submitted:
                await client.submit(entry)
        async with connect(ledger, [address], patience=QUICK) as client:
            with pytest.raises(NodesError) as fetched:
                await client.fetch_receipt(leaf_hash(entry))
        async with connect(ledger, [address], patience=QUICK) as client:
            with pytest.raises(NodesError) as another:
                await client.fetch_receipt(bytes(32))
    assert submitted.value.code is fetched.value.code is Code.PROOF
    assert another.value.code is Code.FORMAT


@pytest.mark.parametrize(
    "answer",
    [
        submission_pb2.SubmitResponse(leaf_hash=bytes(32), sealed=True),
        submission_pb2.SubmitResponse(sealed=True, receipt="c2sp.org/tlog-proof@v1\n"),
        submission_pb2.SubmitResponse(),
    ],
)
async def test_an_answer_about_another_statement_is_not_believed(
    cluster: Cluster, ledger: PinnedLedger, answer: submission_pb2.SubmitResponse
) -> None:
    async with serve(Liar(submit=lambda _: answer)) as address, connect(ledger, [address], patience=HASTY) as client:
        for ask in (Client.submit, Client.hand_in):
            with pytest.raises(NodesError):
                await ask(client, b"{}")


@pytest.mark.parametrize("code", [Code.UNKNOWN_ISSUER, Code.INVALID_FIELD])
async def test_one_node_alone_cannot_refuse_what_the_others_accept(
    cluster: Cluster, ledger: PinnedLedger, code: Code
) -> None:
    refusal = ConditionError(field="f", found="x", expected="y", code=code)
    entry = TestLab(f"lab-refused-{code.lower().replace('_', '-')}").registration(cluster)
    liar = Liar(submit=refusal)
    async with serve(liar) as address, connect(ledger, [address, *cluster.addresses], patience=QUICK) as client:
        sealed = await client.submit(entry)
    assert liar.asked == 1
    assert sealed.entry == entry


async def test_a_node_of_another_ledger_is_not_asked_again(cluster: Cluster, ledger: PinnedLedger) -> None:
    foreign = submission_pb2.GetPositionResponse(ledger_id=bytes(32), previous=bytes(32))
    liar = Liar(position=foreign)
    async with serve(liar) as address:
        async with connect(ledger, [address, *cluster.addresses], patience=QUICK) as client:
            await register(cluster, client, "lab-foreign")
            positions = await client.get_positions("lab-foreign")
            assert len(await client.get_positions("lab-foreign")) == 4
        async with connect(ledger, [address], patience=QUICK) as client:
            with pytest.raises(NodesError) as caught:
                await client.get_position("lab-foreign")
    error = positions[parse_address(address)]
    assert isinstance(error, PolicyError)
    assert error.code is caught.value.code is Code.WRONG_LEDGER


@pytest.mark.parametrize(
    "claim",
    [
        {"previous": bytes(31)},
        {"previous": bytes([1]) * 32},
        {"previous": bytes(32), "next_sequence": 1},
        {"previous": bytes([1]) * 32, "next_sequence": 2**63},
        {"previous": bytes([1]) * 32, "next_sequence": 1, "sealed_sequence": 2},
        {"previous": bytes(32), "time_ms": 2**63},
    ],
)
async def test_a_position_that_cannot_be_is_refused(ledger: PinnedLedger, claim: dict[str, Any]) -> None:
    position = submission_pb2.GetPositionResponse(ledger_id=ledger.charter.ledger_id, **claim)
    async with serve(Liar(position=position)) as address, connect(ledger, [address], patience=HASTY) as client:
        with pytest.raises(NodesError) as caught:
            await client.get_position("lab-a")
    assert caught.value.code is Code.FORMAT


async def test_a_forged_charter_or_transcript_is_passed_over(cluster: Cluster) -> None:
    charter, transcript = cluster.charter.entry, cluster.transcript
    forged_charter = Liar(charter=reading_pb2.GetCharterResponse(entry=charter[:-1] + b" ", transcript=transcript))
    forged_transcript = Liar(charter=reading_pb2.GetCharterResponse(entry=charter, transcript=transcript[:-1] + b" "))
    async with serve(forged_charter) as one, serve(forged_transcript) as two:
        fetched = await fetch_ledger(
            [one, two, *cluster.addresses], fingerprint=cluster.charter.fingerprint, patience=QUICK
        )
    assert (forged_charter.asked, forged_transcript.asked) == (1, 1)
    assert fetched.transcript == transcript
