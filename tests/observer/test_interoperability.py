"""A published ledger, its receipts and its policy, checked by software that nobody here wrote.

`examples/interoperability` links four libraries of the transparency-log world and nothing of ours. It is built once a
run; where there is no Go, or its modules cannot be fetched, these tests are skipped and say so.
"""

import asyncio
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from ledger.charter import ledger_keys
from ledger.policy import encode_ml_dsa_keys, encode_seal_key
from ledger.positions import Height, LeafIndex, Millis
from ledger.tiles import bundle_path, headers_path
from observer.copy import require_copy
from observer.proofs import encode_node_policy, prove_entry
from tests.ledger.rulebook import INTERVAL_S, NATIONS
from tests.observer.fakeledger import ORIGIN, QUORUM, FakeLedger, FinalLedger, copy_of
from tlog.addresses import Address
from tlog.folder import Folder
from tlog.publisher import Identity, Publisher, Snapshot
from tlog.serving import READERS_MAX, make_app, serve_http

ROOT = Path(__file__).resolve().parents[2]
BUILD_LIMIT_S = 300
LIMIT_S = 60
EARLY = 6  # a height under whose checkpoint is less than one full tile


@pytest.fixture(scope="session")
def tool(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program, built from its locked modules."""
    go = shutil.which("go")
    if go is None:
        pytest.skip("there is no Go on this machine")
    here = ROOT / "examples" / "interoperability"
    fetched = subprocess.run(
        [go, "mod", "download"], cwd=here, capture_output=True, text=True, check=False, timeout=BUILD_LIMIT_S
    )
    if fetched.returncode != 0:
        pytest.skip(f"its modules cannot be fetched: {fetched.stderr.strip()[:200]}")
    built = tmp_path_factory.mktemp("interoperability") / "check"
    words = [go, "build", "-mod=readonly", "-o", str(built), "."]
    done = subprocess.run(words, cwd=here, capture_output=True, text=True, check=False, timeout=BUILD_LIMIT_S)
    assert done.returncode == 0, done.stderr
    return built


@dataclass(frozen=True)
class Case:
    """A ledger published by the code that nodes publish with, and what its readers were given."""

    ledger: FakeLedger
    published: Path
    policy: Path
    keys: Path
    folder: Path
    tool: Path

    async def run(self, *words: str | Path) -> tuple[int, str]:
        process = await asyncio.create_subprocess_exec(
            str(self.tool), *map(str, words), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        out, err = await asyncio.wait_for(process.communicate(), LIMIT_S)
        assert process.returncode is not None
        return process.returncode, (out if process.returncode == 0 else out + err).decode()


@pytest.fixture(scope="module")
def case(tool: Path, tmp_path_factory: pytest.TempPathFactory) -> Case:
    folder = tmp_path_factory.mktemp("case")
    ledger = FakeLedger(snapshot_interval=0)
    labs = [f"lab-{number}" for number in range(3)]
    for lab in labs:
        ledger.register(-50, lab, [f"{lab}-{number:02}" for number in range(40)])
    for interval in range(5):
        for lab in labs:
            ledger.file((interval + 1) * INTERVAL_S + 1, lab, interval, [f"{lab}-{number:02}" for number in range(40)])
        ledger.block((interval + 1) * INTERVAL_S + 50)
    assert len(ledger.entries) > 2 * 256
    identity = Identity(
        charter=ledger.charter_entry,
        transcript=ledger.founders.transcript,
        origin=ORIGIN,
        ledger_id=ledger.fingerprint,
        software="test",
    )
    published = folder / "published"
    publisher = Publisher(Folder(published), FinalLedger(ledger), identity)
    for height in (EARLY, ledger.height):
        size = ledger.chain[height].header.tree_size
        cosigned = ledger.note(height, cosigners=len(NATIONS))
        snapshot = Snapshot(Height(height), size, checkpoint=ledger.note(height), cosignatures=cosigned)
        publisher.publish(snapshot, now=Millis(0))
    with require_copy(copy_of(ledger, folder / "copy")) as copy:
        (folder / "pause.policy").write_text(encode_node_policy(copy, url=None, nation=NATIONS[0]))
        (folder / "pause.vkeys").write_text(encode_ml_dsa_keys(copy.keys))
        (folder / "seal.vkey").write_text(encode_seal_key(copy.keys))
        for index in (0, 255, 256, len(ledger.entries) - 1):
            proven = prove_entry(copy, LeafIndex(index))
            (folder / f"{index}.tlog-proof").write_bytes(proven.raw)
            (folder / f"{index}.entry").write_bytes(proven.verified.entry)
    return Case(ledger, published, folder / "pause.policy", folder / "pause.vkeys", folder, tool)


def encode_vkey_of_another_group(case: Case) -> str:
    other = FakeLedger(seed=case.ledger.charter.founded_at_ms % 7 + 1)
    assert other.founders.polynomial.group_key != case.ledger.founders.polynomial.group_key
    return encode_seal_key(ledger_keys(other.charter))


@pytest.fixture
def executor() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(READERS_MAX) as threads:
        yield threads


@asynccontextmanager
async def serve(folder: Path, executor: ThreadPoolExecutor) -> AsyncIterator[str]:
    async with serve_http(make_app(Folder(folder), executor), Address("127.0.0.1", 0)) as port:
        yield f"http://127.0.0.1:{port}"


async def test_two_libraries_believe_a_checkpoint_that_a_quorum_cosigned(case: Case, tmp_path: Path) -> None:
    (tmp_path / "note").write_bytes(case.ledger.note(cosigners=QUORUM))
    size = len(case.ledger.entries)
    expected = f"checkpoint of {size} entries: {QUORUM + 1} lines verified by two libraries\n"
    assert await case.run("checkpoint", case.policy, tmp_path / "note") == (0, expected)


async def test_they_refuse_it_with_too_few_cosignatures_or_one_changed_byte(case: Case, tmp_path: Path) -> None:
    (tmp_path / "few").write_bytes(case.ledger.note(cosigners=QUORUM - 1))
    assert (await case.run("checkpoint", case.policy, tmp_path / "few"))[0] == 1
    raw = bytearray(case.ledger.note(cosigners=QUORUM))
    raw[raw.index(b"\n") + 1] ^= 1  # the first digit of the size
    (tmp_path / "changed").write_bytes(raw)
    assert (await case.run("checkpoint", case.policy, tmp_path / "changed"))[0] == 1


async def test_the_post_quantum_lines_of_an_archival_checkpoint_verify_elsewhere(case: Case, tmp_path: Path) -> None:
    (tmp_path / "archive").write_bytes(case.ledger.note(cosigners=len(NATIONS), has_ml_dsa=True))
    code, said = await case.run("archive", case.policy, case.keys, tmp_path / "archive")
    assert (code, said) == (0, f"archival checkpoint: {len(NATIONS)} ML-DSA-44 cosignatures verified\n")
    (tmp_path / "plain").write_bytes(case.ledger.note(cosigners=len(NATIONS)))
    assert (await case.run("archive", case.policy, case.keys, tmp_path / "plain"))[0] == 1


async def test_another_bls_library_believes_the_seal_and_no_other_text(case: Case, tmp_path: Path) -> None:
    note, key = case.ledger.note(cosigners=QUORUM), case.folder / "seal.vkey"
    (tmp_path / "note").write_bytes(note)
    size = len(case.ledger.entries)
    expected = f"the seal over {size} entries, of block {case.ledger.height}, is the group's\n"
    assert await case.run("seal", key, tmp_path / "note") == (0, expected)
    (tmp_path / "other").write_bytes(note.replace(f"\n{size}\n".encode(), f"\n{size + 1}\n".encode()))
    assert (await case.run("seal", key, tmp_path / "other"))[0] == 1
    (tmp_path / "other.vkey").write_text(encode_vkey_of_another_group(case))
    assert (await case.run("seal", tmp_path / "other.vkey", tmp_path / "note"))[0] == 1


@pytest.mark.parametrize("index", [0, 255, 256, -1])
async def test_two_libraries_believe_a_receipt_of_this_entry_alone(case: Case, index: int, tmp_path: Path) -> None:
    place = index % len(case.ledger.entries)
    proof, entry = case.folder / f"{place}.tlog-proof", case.folder / f"{place}.entry"
    code, said = await case.run("receipt", case.policy, proof, entry)
    assert code == 0, said
    assert said.startswith(f"entry {place} is under a checkpoint of ")
    (tmp_path / "other").write_bytes(entry.read_bytes() + b" ")
    assert (await case.run("receipt", case.policy, proof, tmp_path / "other"))[0] == 1


async def test_everything_a_node_serves_is_read_and_made_again_elsewhere(
    case: Case, executor: ThreadPoolExecutor
) -> None:
    size = len(case.ledger.entries)
    async with serve(case.published, executor) as url:
        code, said = await case.run("entries", case.policy, url)
        assert (code, said.partition(" entries ")[0]) == (0, str(size)), said
        expected = f"everything under a checkpoint of {size} entries is what its entries make\n"
        assert await case.run("fsck", case.policy, url) == (0, expected)


async def test_a_tree_that_grew_is_followed_elsewhere(case: Case, executor: ThreadPoolExecutor, tmp_path: Path) -> None:
    (tmp_path / "old").write_bytes(case.ledger.note(EARLY))
    old, new = case.ledger.chain[EARLY].header.tree_size, len(case.ledger.entries)
    async with serve(case.published, executor) as url:
        expected = f"the tree of {old} entries is the beginning of the tree of {new}\n"
        assert await case.run("consistent", case.policy, tmp_path / "old", url) == (0, expected)


@pytest.mark.parametrize("path", ["tile/0/000", "tile/0/001", "tile/1/000.p/2", bundle_path(0), bundle_path(1)])
async def test_one_changed_byte_anywhere_is_found_elsewhere(
    case: Case, path: str, executor: ThreadPoolExecutor, tmp_path: Path
) -> None:
    folder = tmp_path / "published"
    shutil.copytree(case.published, folder)
    raw = bytearray((folder / path).read_bytes())
    raw[len(raw) // 2] ^= 1
    (folder / path).write_bytes(raw)
    async with serve(folder, executor) as url:
        code, _ = await case.run("fsck", case.policy, url)
    assert code == 1


def test_headers_lie_where_no_client_of_tiles_looks() -> None:
    assert not headers_path(0).startswith("tile/")
