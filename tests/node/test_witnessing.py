"""A node and witnesses: it asks external ones, publishes what they cosigned, is held up by none; and is one itself."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from devnet.network import find_free_ports
from ledger import domains
from ledger.charter import ledger_keys, parse_charter
from ledger.errors import Code, ConditionError
from ledger.loglists import LogEntry, encode_log_list
from ledger.notes import Note, SignatureLine, compute_verifier_key, encode_vkey, parse_note
from ledger.policy import verify
from ledger.positions import LeafIndex, MemberIndex, Seconds, TreeSize
from ledger.receipts import parse_receipt
from ledger.witnessing import parse_add_checkpoint
from node import witnessing
from node.beginning import found_store
from node.config import WitnessSettings, parse_config
from node.cosigning import Notary, NoteSigners
from node.daemon import read_clock
from node.home import WITNESS_FOLDER, Home
from node.keystore import Keystore, Passphrase
from node.metrics import Metrics
from node.proving import Prover
from node.setup import MemberProfile, init_member
from node.store import StoredBlock
from node.votefile import VoteFile
from node.witnessing import Witnesses, init_node_witness, open_node_witness
from tests.node.alone import make_node
from tests.node.cluster import until
from tests.node.conftest import found_committee
from tests.node.ledger_on_disk import DiskLedger
from tests.tlog.foreignlog import CHEAP, NOW, ForeignLog, make_witness, open_made
from tlog.addresses import Address
from tlog.publisher import WITNESSED
from tlog.serving import serve_http
from tlog.witness import Witness
from tlog.witness_client import Outcome
from tlog.witness_serving import make_witness_app

LOOPBACK = Address("127.0.0.1", 0)
LIMIT_S = 30
FAST_MS = 100
PASSPHRASE = Passphrase.parse("correct horse")


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[DiskLedger]:
    made = DiskLedger(tmp_path)
    grow(made, 0, 3)
    yield made
    made.store.close()


def grow(ledger: DiskLedger, first: int, count: int) -> None:
    nation = ledger.nations[0]
    for number in range(first, first + count):
        ledger.grow([nation.note(nation.register(f"lab-{number}"))])


def newest(ledger: DiskLedger) -> StoredBlock:
    block = ledger.store.newest_sealed()
    assert block is not None
    return block


class Asking:
    """A node's part that asks, with the notary it reads from."""

    def __init__(self, ledger: DiskLedger, *lines: str, own: Witness | None = None) -> None:
        charter, founder = ledger.charter, ledger.committee.founders[0]
        signers = NoteSigners(
            log=founder.log.sign, cosigner=founder.cosigner.sign, cosigner_ml_dsa=founder.cosigner.sign_ml_dsa
        )
        self.ledger = ledger
        self.notary = Notary(charter, MemberIndex(1), {}, signers, ledger.store)
        self.cosigned_count = 0
        self.witnesses = Witnesses(
            charter,
            ledger.store,
            self.notary,
            settings_of(*lines),
            own,
            clock=ledger.clock,
            on_cosigned=self.on_cosigned,
        )

    def on_cosigned(self) -> None:
        self.cosigned_count += 1

    def note(self, block: StoredBlock | None = None, *, is_archival: bool = False) -> Note:
        return self.notary.compute_note(block or newest(self.ledger), is_archival=is_archival, is_whole=True)

    def counted(self, name: str = "w.example") -> dict[str, int]:
        prefix = f"witness {name} "
        counters = self.witnesses.counters().items()
        return {key.removeprefix(prefix): count for key, count in counters if key.startswith(prefix)}

    async def wait_for(self, size: int) -> None:
        """Wait until some witness has cosigned a tree."""
        await until(lambda: bool(self.witnesses.lines(TreeSize(size))))

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with asyncio.timeout(LIMIT_S), asyncio.TaskGroup() as group:
            task = group.create_task(self.witnesses.run())
            yield
            task.cancel()


def vkey_of(name: str) -> str:
    """The key of a witness that is never heard of."""
    public = ForeignLog(name).private.public_key().public_bytes_raw()
    return encode_vkey(compute_verifier_key(f"{name}.example", domains.NOTE_COSIGNATURE_ED25519, public))


def settings_of(*lines: str) -> WitnessSettings:
    text = "\n".join(("[witness]", f"ask_interval_min_ms = {FAST_MS}", *lines))
    return parse_config(text.encode(), folder=Path("/srv")).witness


def asked(*witnesses: tuple[str, str]) -> str:
    inner = ", ".join(f'"{url}" = "{vkey}"' for url, vkey in witnesses)
    return f"ask = {{ {inner} }}"


def listed(ledger: DiskLedger, *, has_seal: bool = False) -> str:
    keys = ledger_keys(ledger.charter)
    kind, raws = (domains.NOTE_SEAL, (keys.group_key,)) if has_seal else (domains.NOTE_ED25519, keys.log_keys)
    made = [compute_verifier_key(keys.origin, kind, raw) for raw in raws]
    return encode_log_list([LogEntry(key, keys.origin) for key in made])


@contextlib.asynccontextmanager
async def served(folder: Path, *lists: str, clock: Callable[[], int]) -> AsyncIterator[tuple[str, str, Witness]]:
    """Serve a new witness; gives its address, its key, and itself."""
    make_witness(folder, f"{folder.name}.example")
    witness = open_made(folder, *lists)
    with ThreadPoolExecutor(1) as thread:
        app = make_witness_app(witness, thread, lambda: Seconds(clock() // 1000))
        async with serve_http(app, LOOPBACK) as port:
            yield f"http://127.0.0.1:{port}", witness.vkey, witness
    witness.close()


# -- asking -----------------------------------------------------------------------------------------------------------


async def test_what_an_external_witness_cosigned_stands_in_the_note_and_follows_the_ledger(
    ledger: DiskLedger, tmp_path: Path
) -> None:
    async with served(tmp_path / "w", listed(ledger), clock=ledger.clock) as (url, vkey, _):
        asking = Asking(ledger, asked((url, vkey)))
        async with asking.running():
            for size in (4, 6):
                await asking.wait_for(size)
                note = asking.note()
                assert [line.name for line in note.signatures][-1] == "w.example"
                verify(note, ledger_keys(ledger.charter))  # whoever knows this ledger alone passes over the line
                assert asking.witnesses.find_witnessed() == newest(ledger)
                grow(ledger, size, 2)
    assert asking.cosigned_count >= 2
    assert asking.counted() == {"cosigned": asking.cosigned_count}


async def test_a_witness_is_sent_the_log_line_alone_and_the_seal_where_it_is_wanted(ledger: DiskLedger) -> None:
    for lines, count in (((), 1), (("send_seal = true",), 2)):
        sent: asyncio.Queue[bytes] = asyncio.Queue()

        async def take(
            reader: asyncio.StreamReader, writer: asyncio.StreamWriter, sent: asyncio.Queue[bytes] = sent
        ) -> None:
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
            sent.put_nowait(await reader.readexactly(length))
            writer.close()

        server = await asyncio.start_server(take, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        asking = Asking(ledger, asked((url, vkey_of("w1"))), *lines)
        async with asking.running():
            request = parse_add_checkpoint(await sent.get())
        server.close()
        assert request.note.signatures == asking.note().signatures[:count]
        assert (request.old_size, request.proof) == (0, ())


async def test_a_witness_that_demands_the_seal_gets_it(ledger: DiskLedger, tmp_path: Path) -> None:
    async with served(tmp_path / "w", listed(ledger, has_seal=True), clock=ledger.clock) as (url, vkey, _):
        without, with_seal = (Asking(ledger, asked((url, vkey)), *more) for more in ((), ("send_seal = true",)))
        async with without.running():
            await until(lambda: "signature-refused" in without.counted())
        async with with_seal.running():
            await until(lambda: "cosigned" in with_seal.counted())


async def test_a_node_that_restarts_learns_from_the_witness_what_it_holds(ledger: DiskLedger, tmp_path: Path) -> None:
    async with served(tmp_path / "w", listed(ledger), clock=ledger.clock) as (url, vkey, witness):
        for size in (4, 6):
            asking = Asking(ledger, asked((url, vkey)))
            async with asking.running():
                await asking.wait_for(size)
            assert asking.counted() == {"cosigned": 1}
            grow(ledger, size, 2)
        assert {status.value: count for status, count in witness.answered.items()} == {200: 2, 409: 1}


async def test_bad_witnesses_hold_up_nothing_and_are_counted(ledger: DiskLedger, tmp_path: Path) -> None:
    """One is silent, one is not there, one does not know the log, one lies; the good one is asked as ever."""

    async def be_silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async def lie(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nlies\n")
        writer.close()

    silent, liar = [await asyncio.start_server(each, "127.0.0.1", 0) for each in (be_silent, lie)]
    places = [f"http://127.0.0.1:{each.sockets[0].getsockname()[1]}" for each in (silent, liar)]
    async with (
        served(tmp_path / "w", listed(ledger), clock=ledger.clock) as (url, vkey, _),
        served(tmp_path / "ignorant", ForeignLog().listed(), clock=ledger.clock) as (ignorant, _, _),
    ):
        witnesses = [
            (places[0], vkey_of("silent")),
            (places[1], vkey_of("liar")),
            ("http://127.0.0.1:1", vkey_of("gone")),
            (ignorant, vkey_of("ignorant")),
            (url, vkey),
        ]
        asking = Asking(ledger, asked(*witnesses))
        async with asking.running():
            for size in (4, 5, 6):
                await asking.wait_for(size)
                grow(ledger, size, 1)
            await until(lambda: bool(asking.counted("gone.example") and asking.counted("ignorant.example")))
            await until(lambda: bool(asking.counted("liar.example")))
    for server in (silent, liar):
        server.close()
    assert list(asking.counted("gone.example")) == ["unreachable"]
    assert list(asking.counted("ignorant.example")) == ["log-unknown"]
    assert list(asking.counted("liar.example")) == ["wrong-answer"]
    assert asking.counted("silent.example") == {}
    metrics = Metrics()
    asking.witnesses.measure(metrics)
    text = metrics.encode().decode()
    assert 'counterseal_witness_tree_size{witness="w.example"} 6.0' in text
    assert 'counterseal_witness_answers_total{outcome="log-unknown",witness="ignorant.example"}' in text


async def test_a_witness_that_saw_another_history_refuses_and_the_operator_is_told(
    ledger: DiskLedger, tmp_path: Path
) -> None:
    """As after a restored back-up of the whole network, or a fork: the witness holds another tree of this size."""
    other_root = tmp_path / "other"
    other_root.mkdir()
    other = DiskLedger(other_root, committee=ledger.committee)
    nation = other.nations[0]
    for number in range(3):
        other.grow([nation.note(nation.register(f"other-{number}"))])
    async with served(tmp_path / "w", listed(ledger), clock=ledger.clock) as (url, vkey, _):
        first = Asking(other, asked((url, vkey)))
        async with first.running():
            await until(lambda: "cosigned" in first.counted())
        asking = Asking(ledger, asked((url, vkey)))
        async with asking.running():
            await until(lambda: "proof-refused" in asking.counted())
    assert asking.note().signatures == asking.note().signatures[:2]
    other.store.close()


async def test_a_node_that_lost_its_ledger_waits_until_it_has_as_much_as_the_witness(
    ledger: DiskLedger, tmp_path: Path
) -> None:
    behind_root = tmp_path / "behind"
    behind_root.mkdir()
    behind = DiskLedger(behind_root, committee=ledger.committee)
    async with served(tmp_path / "w", listed(ledger), clock=ledger.clock) as (url, vkey, _):
        first = Asking(ledger, asked((url, vkey)))
        async with first.running():
            await until(lambda: "cosigned" in first.counted())
        grow(behind, 0, 1)
        asking = Asking(behind, asked((url, vkey)))
        async with asking.running():
            await until(lambda: "ahead" in asking.counted())
            assert set(asking.counted()) == {Outcome.AHEAD}
    behind.store.close()


async def test_a_witness_that_lied_about_its_size_is_asked_again(ledger: DiskLedger) -> None:
    told: list[bytes] = []

    async def lie_once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        told.append(b"%d\n" % (0 if told else 2**62))
        head = f"HTTP/1.1 409 Conflict\r\nContent-Type: text/x.tlog.size\r\nContent-Length: {len(told[-1])}\r\n\r\n"
        writer.write(head.encode() + told[-1])
        writer.close()

    server = await asyncio.start_server(lie_once, "127.0.0.1", 0)
    asking = Asking(ledger, asked((f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", vkey_of("liar"))))
    async with asking.running():
        await until(lambda: set(asking.counted("liar.example")) == {"ahead", "conflict"})
    server.close()


async def test_where_nothing_grows_a_witness_is_asked_again_for_a_fresh_time(
    ledger: DiskLedger, tmp_path: Path
) -> None:
    async with served(tmp_path / "w", listed(ledger), clock=ledger.clock) as (url, vkey, _):
        asking = Asking(ledger, asked((url, vkey)))
        async with asking.running():
            await asking.wait_for(4)
            first = asking.witnesses.lines(TreeSize(4))
            ledger.now_ms += witnessing.REFRESH_S * 1000
            await until(lambda: asking.witnesses.lines(TreeSize(4)) != first)
    assert asking.counted() == {"cosigned": 2}


async def test_a_node_with_nobody_to_ask_asks_nobody(ledger: DiskLedger) -> None:
    asking = Asking(ledger)
    async with asking.running():
        pass
    assert asking.witnesses.find_witnessed() is None
    assert asking.witnesses.counters() == {}


# -- what is published ------------------------------------------------------------------------------------------------


async def test_readers_who_count_witnesses_find_a_checkpoint_that_most_cosigned(
    ledger: DiskLedger, tmp_path: Path
) -> None:
    """One of two goes: the checkpoint that both cosigned stays until newer ones have pushed it out."""
    async with served(tmp_path / "w", listed(ledger), clock=ledger.clock) as (url, vkey, _):
        async with served(tmp_path / "v", listed(ledger), clock=ledger.clock) as (second, second_vkey, _):
            asking = Asking(ledger, asked((url, vkey), (second, second_vkey)))
            async with asking.running():
                await until(lambda: len(asking.witnesses.lines(TreeSize(4))) == 2)
        async with asking.running():
            found = []
            for size in range(4, 4 + witnessing.TREES_KEPT):
                grow(ledger, size, 1)
                await asking.wait_for(size + 1)
                block = asking.witnesses.find_witnessed()
                found.append(0 if block is None else block.header.tree_size)
    assert found == [4] * (witnessing.TREES_KEPT - 1) + [4 + witnessing.TREES_KEPT]


def test_witnesses_stand_behind_the_members_and_go_first_where_there_is_no_room(ledger: DiskLedger) -> None:
    asking = Asking(ledger)
    lines = [make_line(number) for number in range(20)]
    asking.notary.on_final(newest(ledger), now_s=Seconds(5))
    before = asking.note().signatures
    asking.notary.witness_lines = lambda size: lines if size == 4 else ()
    assert len(before) == 2
    assert asking.note().signatures == (*before, *lines)
    assert asking.notary.compute_note(newest(ledger)).signatures == (*before, *lines[:14])
    assert asking.note(is_archival=True).signatures == before  # they are not kept, so that it would change again


def make_line(number: int) -> SignatureLine:
    return SignatureLine(f"witness-{number}.example", bytes(4), bytes(72))


def test_receipts_made_after_a_witness_cosigned_carry_its_line(ledger: DiskLedger) -> None:
    asking = Asking(ledger)
    prover = Prover(ledger.store, asking.notary)
    assert len(parse_receipt(prover.receipt(LeafIndex(3))).note.signatures) == 2
    asking.notary.witness_lines = lambda size: [make_line(1)] if size == 4 else ()
    assert len(parse_receipt(prover.receipt(LeafIndex(3))).note.signatures) == 3


def test_a_key_of_this_ledger_is_no_external_witness(ledger: DiskLedger) -> None:
    """Two lines by one key would have every reader refuse the whole note."""
    member = ledger.charter.members[0]
    for name in (member.node, "another.example"):
        key = compute_verifier_key(name, domains.NOTE_COSIGNATURE_ED25519, member.cosigner)
        with pytest.raises(ConditionError, match="none of this ledger's") as refused:
            Asking(ledger, asked(("https://w.example", encode_vkey(key))))
        assert refused.value.code is Code.CONFIG


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ('ask = "https://w.example"', "a table such as"),
        (asked(("w.example", vkey_of("a"))), "http(s)://host"),
        (asked(("https://w.example", "none")), "<name>+<key ID>"),
        (
            asked(("https://w.example", vkey_of("a")), ("https://v.example", vkey_of("a"))),
            "a name and a key of its own",
        ),
        ('ask = { "https://w.example" = 5 }', "text in quotes"),
        (asked(*((f"https://w{n}.example", vkey_of(f"w{n}")) for n in range(33))), "at most 32"),
        ("ask_interval_min_ms = 5", "a whole number of ms"),
        ("send_seal = 1", "true or false"),
    ],
)
def test_a_wrong_setting_is_named(line: str, expected: str) -> None:
    with pytest.raises(ConditionError) as refused:
        parse_config(f"[witness]\n{line}\n".encode(), folder=Path("/srv"))
    assert refused.value.code is Code.CONFIG
    assert expected in str(refused.value)
    assert "witness" in str(refused.value)


# -- being one --------------------------------------------------------------------------------------------------------


@pytest.fixture
def home(tmp_path: Path) -> Home:
    place = Home(tmp_path / "node")
    profile = MemberProfile(
        id="aa", name="Aa", node="aa.example/node", peer="a.example:1", public="a.example:2", http="http://a.example"
    )
    init_member(place, profile, PASSPHRASE, settings={}, now=Seconds(1_760_000_000), cost=CHEAP)
    return place


def test_a_node_witnesses_with_a_key_that_is_none_of_its_others(home: Home, ledger: DiskLedger) -> None:
    key = init_node_witness(home, PASSPHRASE, cost=CHEAP)
    assert key.name == "aa.example/node/witness"
    keys = Keystore(home.keys, randomness=bytes).open(PASSPHRASE)
    others = (keys.identity.public_key, keys.cosigner.public_key, keys.log.public_key)
    assert key.public_key not in others
    with pytest.raises(ConditionError, match="never overwritten"):
        init_node_witness(home, PASSPHRASE, cost=CHEAP)
    (home.root / "logs").write_text(ForeignLog().listed())
    witness = open_node_witness(home, home.root / "logs", ledger.charter, PASSPHRASE)
    assert witness is not None
    assert (witness.vkey, witness.origins) == (encode_vkey(key), (ForeignLog().origin,))
    witness.close()


def test_a_node_is_no_witness_unless_a_list_says_so_and_never_of_its_own_ledger(home: Home, ledger: DiskLedger) -> None:
    assert open_node_witness(home, None, ledger.charter, PASSPHRASE) is None
    (home.root / "logs").write_text(listed(ledger))
    with pytest.raises(ConditionError, match="members cosign their own ledger already"):
        open_node_witness(home, home.root / "logs", ledger.charter, PASSPHRASE)
    (home.root / "logs").write_text(ForeignLog().listed())
    with pytest.raises(ConditionError, match="the key of a witness"):
        open_node_witness(home, home.root / "logs", ledger.charter, PASSPHRASE)
    with pytest.raises(ConditionError, match="the list of logs"):
        open_node_witness(home, home.root / "absent", ledger.charter, PASSPHRASE)


# -- the whole node ---------------------------------------------------------------------------------------------------


async def test_a_node_publishes_what_a_witness_cosigned_and_is_one_for_others(tmp_path: Path) -> None:
    """A ledger of one member, its node whole: published files, witness, metrics and status over their own ports."""
    ports = find_free_ports(4)
    committee = found_committee([(ports[0], ports[1], ports[2])], idle_interval_ms=100, delta_ms=50)
    charter = parse_charter(committee.entry)
    found_store(tmp_path / "ledger.sqlite", committee.entry, committee.transcript)
    VoteFile(tmp_path / "votes.log", ledger_id=charter.ledger_id, member=MemberIndex(1)).create()
    make_witness(tmp_path / WITNESS_FOLDER, "node-1.example/witness")
    own, log = open_made(tmp_path / WITNESS_FOLDER, ForeignLog().listed()), ForeignLog()
    keys = encode_log_list(
        [LogEntry(compute_verifier_key(charter.origin, domains.NOTE_ED25519, charter.members[0].log), charter.origin)]
    )
    async with (
        asyncio.timeout(LIMIT_S),
        served(tmp_path / "w", keys, clock=read_clock) as (url, vkey, _),
        httpx.AsyncClient() as client,
    ):
        text = f"""
[peer]
listen = "127.0.0.1:{ports[0]}"
[public]
listen = "127.0.0.1:{ports[1]}"
[http]
listen = "127.0.0.1:{ports[2]}"
metrics_listen = "127.0.0.1:{ports[3]}"
[publish]
interval_min_ms = 50
[witness]
ask_interval_min_ms = {FAST_MS}
{asked((url, vkey))}
"""
        node = make_node(tmp_path, committee, read_clock, text=text, witness=own)
        running = asyncio.create_task(node.run())
        base = f"http://127.0.0.1:{ports[2]}"
        note = None
        while note is None:
            await asyncio.sleep(0.05)
            with contextlib.suppress(httpx.TransportError):
                answer = await client.get(f"{base}/{WITNESSED}")
                note = parse_note(answer.content) if answer.status_code == 200 else None
        assert note.signatures[-1].name == "w.example"
        assert verify(note, ledger_keys(charter)).checkpoint.size == 1
        assert (await client.get(f"{base}/witness/vkey")).text == f"{own.vkey}\n"
        assert (await client.post(f"{base}/witness/add-checkpoint", content=log.body(0, 5))).status_code == 200
        metrics = (await client.get(f"http://127.0.0.1:{ports[3]}/metrics")).text
        assert 'counterseal_witnessed_total{status="200"} 1.0' in metrics
        counters = {counter.name: counter.value for counter in node.status().counters}
        assert (counters["witness w.example cosigned"], counters["witnessed for others 200"]) == (1, 1)
        node.stop()
        await running
    again = open_made(tmp_path / WITNESS_FOLDER, log.listed())
    assert again.add_checkpoint(log.body(0, 5), now_s=NOW).status == 409
    again.close()
