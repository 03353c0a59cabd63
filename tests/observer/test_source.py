"""Sources over real sockets and folders: the same copy from each, bounded answers, errors that name what is wrong."""

import asyncio
import gzip
import http.server
import random
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from ledger.errors import Code, ConditionError, FormatError, LedgerError, ProofError
from ledger.positions import Height, Millis, TreeSize
from ledger.tiles import bundle_path, encode_bundle, headers_path
from node.v1 import reading_pb2, reading_pb2_grpc
from observer import source as sources
from observer import static
from observer.agreement import Relation
from observer.copy import require_copy
from observer.source import open_source
from observer.static import StaticSource
from observer.sync import Outcome, conclude, open_or_found, sync, sync_home
from tests.ledger.rulebook import INTERVAL_S, START_S
from tests.observer.conftest import Context, Reading
from tests.observer.fakeledger import ORIGIN, FakeLedger, FinalLedger
from tlog import reading
from tlog.folder import Folder
from tlog.publisher import Identity, Publisher, Snapshot
from tlog.reading import FolderFiles, HttpFiles

draw = random.Random(5).randbytes
ServeGrpc = Callable[[reading_pb2_grpc.ReadingServicer], str]
ServeHttp = Callable[[Path], str]


def follow(home: Path, url: str, ledger: FakeLedger) -> Outcome:
    return sync_home(home, [url], fingerprint=ledger.fingerprint, draw=draw).outcomes[0]


def assert_whole(home: Path, ledger: FakeLedger) -> None:
    with require_copy(home) as copy:
        assert copy.entries(0, 1 << 20) == ledger.entries  # type: ignore[arg-type]
        assert copy.blocks(Height(0), 1 << 20) == ledger.chain


# --- the same from everywhere ----------------------------------------------------------------------------------------


def test_a_ledger_is_followed_over_grpc(ledger: FakeLedger, tmp_path: Path, serve_grpc: ServeGrpc) -> None:
    url = serve_grpc(Reading(ledger))
    conclude([follow(tmp_path, url, ledger)])
    assert_whole(tmp_path, ledger)
    assert follow(tmp_path, url, ledger) == Outcome(url, 0, 0, None, Relation.SAME, Height(ledger.height))


def test_a_ledger_is_followed_over_http(ledger: FakeLedger, tmp_path: Path, serve_http: ServeHttp) -> None:
    url = serve_http(ledger.publish(tmp_path / "published"))
    conclude([follow(tmp_path / "copy", f"{url}/", ledger)])
    assert_whole(tmp_path / "copy", ledger)


@pytest.mark.parametrize("form", ["{}", "file://{}"])
def test_a_ledger_is_followed_from_a_folder(ledger: FakeLedger, tmp_path: Path, form: str) -> None:
    published = ledger.publish(tmp_path / "publ ished")
    url = form.format(str(published).replace(" ", "%20") if "file" in form else published)
    conclude([follow(tmp_path / "copy", url, ledger)])
    assert_whole(tmp_path / "copy", ledger)


def test_a_copy_goes_on_from_another_kind_of_source(
    ledger: FakeLedger, tmp_path: Path, serve_grpc: ServeGrpc, serve_http: ServeHttp
) -> None:
    reading = Reading(ledger)
    reading.height = 5
    grpc_url = serve_grpc(reading)
    http_url = serve_http(ledger.publish(tmp_path / "published"))
    result = sync_home(tmp_path / "copy", [grpc_url, http_url], fingerprint=ledger.fingerprint, draw=draw)
    assert [outcome.blocks_count for outcome in result.outcomes] == [5, ledger.height - 5]
    assert_whole(tmp_path / "copy", ledger)


@pytest.fixture(scope="module")
def long_ledger() -> FakeLedger:
    """More than one bundle of entries and one of headers."""
    ledger = FakeLedger(snapshot_interval=0, without_seal=[height for height in range(10, 300) if height % 30])
    labs = [f"lab-{number}" for number in range(3)]
    for lab in labs:
        ledger.register(-50, lab, [f"{lab}-{number:02}" for number in range(40)])
    for interval in range(3):
        for lab in labs:
            ledger.file((interval + 1) * INTERVAL_S + 1, lab, interval, [f"{lab}-{number:02}" for number in range(40)])
        ledger.block((interval + 1) * INTERVAL_S + 50)
    while ledger.height < 300:
        ledger.extend(ledger.chain[-1].header.time_ms, [])
    assert len(ledger.entries) > 256
    assert ledger.chain[-1].header.time_ms > START_S
    return ledger


def test_bundles_of_entries_and_headers_are_read_in_turn(long_ledger: FakeLedger, tmp_path: Path) -> None:
    published = long_ledger.publish(tmp_path / "published")
    conclude([follow(tmp_path / "copy", str(published), long_ledger)])
    assert_whole(tmp_path / "copy", long_ledger)


def test_a_partial_bundle_that_is_gone_is_read_from_the_full_one(long_ledger: FakeLedger, tmp_path: Path) -> None:
    """A reader holds an older checkpoint than the files that are left."""
    published = long_ledger.publish(tmp_path / "published")
    height = 5
    assert long_ledger.chain[height].header.tree_size < 256
    (published / "checkpoint").write_bytes(long_ledger.note(height))
    (published / "cosignatures").write_bytes(long_ledger.note(height, cosigners=2))
    outcome = follow(tmp_path / "copy", str(published), long_ledger)
    count = long_ledger.chain[height].header.tree_size - 1
    assert outcome == Outcome(str(published), height, count, None, Relation.AHEAD, Height(height))
    long_ledger.publish(published)
    conclude([follow(tmp_path / "copy", str(published), long_ledger)])
    assert_whole(tmp_path / "copy", long_ledger)


def test_what_a_node_publishes_is_what_an_observer_reads(long_ledger: FakeLedger, tmp_path: Path) -> None:
    folder, home = tmp_path / "published", tmp_path / "copy"
    identity = Identity(
        charter=long_ledger.charter_entry,
        transcript=long_ledger.founders.transcript,
        origin=ORIGIN,
        ledger_id=long_ledger.fingerprint,
        software="test",
    )
    publisher = Publisher(Folder(folder), FinalLedger(long_ledger), identity)
    for height in (1, 5, 6, 240, long_ledger.height):
        size = long_ledger.chain[height].header.tree_size
        cosigned = long_ledger.note(height, cosigners=3)
        snapshot = Snapshot(Height(height), size, checkpoint=long_ledger.note(height), cosignatures=cosigned)
        publisher.publish(snapshot, now=Millis(0))
        conclude([follow(home, str(folder), long_ledger)])
        with require_copy(home) as copy:
            assert copy.head == long_ledger.chain[height]
            assert copy.notes()[0] == (height, cosigned)
    assert_whole(home, long_ledger)


def test_a_compressed_bundle_is_read(ledger: FakeLedger, tmp_path: Path) -> None:
    published = ledger.publish(tmp_path / "published")

    class Compressing(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            raw = gzip.compress((published / self.path[1:]).read_bytes())
            self.send_response(200)
            self.send_header("Content-Encoding", "gzip")
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    with serving(Compressing) as url:
        conclude([follow(tmp_path / "copy", url, ledger)])
    assert_whole(tmp_path / "copy", ledger)


class serving:  # noqa: N801 - used as a statement
    """A handler behind a real port, for the length of a block."""

    def __init__(self, handler: type[http.server.BaseHTTPRequestHandler]) -> None:
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))

    def __enter__(self) -> str:
        self.thread.start()
        return f"http://127.0.0.1:{self.server.server_port}"

    def __exit__(self, *exc: object) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


# --- URLs ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    ["grpc://host", "grpc://:1", "grpc://host:1/path", "grpcs://", "ftp://host/", "http://", "http://host/?q=1",
     "grpc://host:99999", "https://host/#x", "grpc://[::1"],
)  # fmt: skip
def test_a_url_of_no_known_kind_is_refused(url: str) -> None:
    with pytest.raises(FormatError, match=r"^source: "):
        open_source(url)


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConditionError) as refused:
        open_source(str(tmp_path / "nowhere"))
    assert refused.value.code is Code.UNREACHABLE


@pytest.mark.parametrize(
    "url", ["grpc://127.0.0.1:1", "grpcs://127.0.0.1:1", "http://127.0.0.1:1", "https://127.0.0.1:1/x"]
)
def test_an_address_where_nobody_listens_is_named(
    url: str, ledger: FakeLedger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "READ_TIMEOUT_S", 5.0)
    with pytest.raises(ConditionError) as refused:
        follow(tmp_path, url, ledger)
    assert refused.value.code in {Code.UNREACHABLE, Code.TIMEOUT}
    assert refused.value.field == f"{url}: charter"


# --- answers that are no use -----------------------------------------------------------------------------------------


def test_a_node_that_does_not_answer_in_time_is_left(
    ledger: FakeLedger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "READ_TIMEOUT_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        with pytest.raises(ConditionError) as refused:
            follow(tmp_path, f"grpc://127.0.0.1:{silent.getsockname()[1]}", ledger)
        assert refused.value.code in {Code.TIMEOUT, Code.UNREACHABLE}


def test_a_web_server_that_does_not_answer_in_time_is_left(
    ledger: FakeLedger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "READ_TIMEOUT_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        with pytest.raises(ConditionError) as refused:
            follow(tmp_path, f"http://127.0.0.1:{silent.getsockname()[1]}", ledger)
        assert refused.value.code is Code.TIMEOUT


def test_a_file_that_never_ends_is_read_no_further_than_it_may_be() -> None:
    sent: list[int] = []

    class Endless(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            try:
                while True:
                    self.wfile.write(bytes(1 << 16))
                    sent.append(1 << 16)
            except OSError:
                return

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    with serving(Endless) as url:
        files = HttpFiles(url)
        with pytest.raises(FormatError, match="at most 100000 bytes"):
            files.read("charter", size_max=100_000)
        files.close()
    assert sum(sent) < 64 * (1 << 20)


def test_a_file_that_drips_is_left_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "FILE_TIMEOUT_S", -1.0)

    class Plain(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "4")
            self.end_headers()
            self.wfile.write(b"drip")

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    with serving(Plain) as url:
        files = HttpFiles(url)
        with pytest.raises(ConditionError) as refused:
            files.read("charter", size_max=100)
        files.close()
    assert refused.value.code is Code.TIMEOUT


@pytest.mark.parametrize(
    ("status", "expected"), [(404, None), (410, None), (500, Code.UNREACHABLE), (301, Code.UNREACHABLE)]
)
def test_a_web_servers_refusal_is_told_apart_from_a_file_that_is_not_there(status: int, expected: Code | None) -> None:
    class Refusing(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.send_header("Location", "http://elsewhere.example/")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    with serving(Refusing) as url:
        files = HttpFiles(url)
        if expected is None:
            assert files.read("charter", size_max=100) is None
        else:
            with pytest.raises(ConditionError) as refused:
                files.read("charter", size_max=100)
            assert refused.value.code is expected
        files.close()


def test_a_folders_file_is_read_no_further_than_it_may_be(tmp_path: Path) -> None:
    (tmp_path / "charter").write_bytes(bytes(101))
    files = FolderFiles(tmp_path)
    assert files.read("charter", size_max=101) == bytes(101)
    with pytest.raises(FormatError):
        files.read("charter", size_max=100)
    assert files.read("nothing", size_max=100) is None
    assert files.read("charter/below", size_max=100) is None
    with pytest.raises(ConditionError):
        FolderFiles(tmp_path.parent).read(tmp_path.name, size_max=100)


def test_a_message_larger_than_any_may_be_is_refused(
    ledger: FakeLedger, tmp_path: Path, serve_grpc: ServeGrpc, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "_RECEIVE_BYTES_MAX", 1 << 20)
    reading = Reading(ledger)
    reading.extra_bytes = bytes(1 << 20)
    with pytest.raises(FormatError) as refused:
        follow(tmp_path, serve_grpc(reading), ledger)
    assert "charter" in refused.value.field


def test_a_service_that_is_none_is_named(ledger: FakeLedger, tmp_path: Path, serve_grpc: ServeGrpc) -> None:
    class Unready(Reading):
        async def GetCheckpoint(self, request: object, context: object) -> object:  # type: ignore[override]  # noqa: N802
            del request, context
            raise RuntimeError

    outcome = follow(tmp_path, serve_grpc(Unready(ledger)), ledger)
    assert isinstance(outcome.error, ConditionError)
    assert "UNKNOWN" in outcome.error.found


def test_a_stream_that_ends_early_is_named(ledger: FakeLedger, tmp_path: Path, serve_grpc: ServeGrpc) -> None:
    reading = Reading(ledger)
    reading.stream_ends_at = 7
    outcome = follow(tmp_path, serve_grpc(reading), ledger)
    assert isinstance(outcome.error, ConditionError)
    assert "blocks[8]" in outcome.error.field


def test_a_stream_that_runs_out_of_time_after_progress_is_opened_again(
    ledger: FakeLedger, serve_grpc: ServeGrpc, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each stream sends one block and then nothing; every block comes, and each once."""
    monkeypatch.setattr(sources, "FILE_TIMEOUT_S", 0.3)
    opened: list[int] = []

    class Halting(Reading):
        async def StreamBlocks(  # noqa: N802
            self, request: reading_pb2.StreamBlocksRequest, context: Context
        ) -> AsyncIterator[reading_pb2.StreamBlocksResponse]:
            opened.append(request.first_height)
            async for block in super().StreamBlocks(request, context):
                yield block
                if len(opened) < 3:
                    await asyncio.Event().wait()  # until the caller's deadline ends the call

    source = open_source(serve_grpc(Halting(ledger)))
    blocks = list(source.read_blocks(first=Height(1), last=Height(ledger.height), size=TreeSize(0)))
    source.close()
    assert [block.header for block in blocks] == [sealed.header for sealed in ledger.chain[1:]]
    assert opened == [1, 2, 3]


# --- static files that lie -------------------------------------------------------------------------------------------


def flip_file(path: Path, at: int) -> None:
    raw = bytearray(path.read_bytes())
    raw[at] ^= 1
    path.write_bytes(raw)


def published_files(ledger: FakeLedger) -> Iterator[str]:
    yield from ("checkpoint", "cosignatures", "transcript")
    yield headers_path(0, ledger.height + 1)
    yield bundle_path(0, len(ledger.entries))


def test_one_changed_byte_in_any_published_file_is_refused(ledger: FakeLedger, tmp_path: Path) -> None:
    chance = random.Random(3)
    for name in published_files(ledger):
        for number in range(4):
            published = ledger.publish(tmp_path / f"{name.replace('/', '-')}-{number}")
            flip_file(published / name, chance.randrange((published / name).stat().st_size))
            home = published.with_name(published.name + "-copy")
            try:
                error = follow(home, str(published), ledger).error
            except LedgerError as refusal:
                error = refusal
            if error is None:  # an unknown key's line may say anything, and the charter's own block needs no header
                assert_whole(home, ledger)
                assert name.startswith(("headers", "tile", "checkpoint", "cosignatures"))
            else:
                assert error.field.startswith(f"{published}: ")


@pytest.mark.parametrize("cut", [0, 1, -1])
@pytest.mark.parametrize("kind", ["headers", "entries"])
def test_a_bundle_cut_short_or_too_long_is_refused(ledger: FakeLedger, tmp_path: Path, kind: str, cut: int) -> None:
    published = ledger.publish(tmp_path / "published")
    name = headers_path(0, ledger.height + 1) if kind == "headers" else bundle_path(0, len(ledger.entries))
    raw = (published / name).read_bytes()
    (published / name).write_bytes(raw[:cut] if cut <= 0 else raw + raw[-90:])
    outcome = follow(tmp_path / "copy", str(published), ledger)
    assert outcome.is_lie
    with require_copy(tmp_path / "copy") as copy:
        assert copy.head.header.height == 0


def test_headers_that_promise_entries_beyond_the_checkpoint_are_refused(ledger: FakeLedger, tmp_path: Path) -> None:
    published = ledger.publish(tmp_path)
    source = StaticSource("files", FolderFiles(published))
    (published / bundle_path(0, 10)).write_bytes(encode_bundle(ledger.entries[:10]))
    with pytest.raises(ProofError, match="tree_size"):
        list(source.read_blocks(first=Height(1), last=Height(ledger.height), size=TreeSize(10)))


def test_entries_of_one_block_are_bounded_while_they_are_read(
    ledger: FakeLedger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(static, "BLOCK_BYTES_MAX", 100)
    source = StaticSource("files", FolderFiles(ledger.publish(tmp_path)))
    with pytest.raises(FormatError, match="at most 100"):
        list(source.read_blocks(first=Height(1), last=Height(ledger.height), size=TreeSize(len(ledger.entries))))


def test_a_missing_file_is_named(ledger: FakeLedger, tmp_path: Path) -> None:
    for name in ("charter", "checkpoint", headers_path(0, ledger.height + 1), bundle_path(0, len(ledger.entries))):
        published = ledger.publish(tmp_path / name.replace("/", "-"))
        (published / name).unlink()
        source = StaticSource("files", FolderFiles(published))
        try:
            with open_or_found(published / "copy", [source], fingerprint=ledger.fingerprint) as copy:
                error = sync(copy, [source], draw=draw)[0].error
        except LedgerError as refusal:
            error = refusal
        assert error is not None
        assert error.code is Code.NOT_FOUND
        assert error.field.startswith("files: ")


def test_cosignatures_need_not_be_served(ledger: FakeLedger, tmp_path: Path) -> None:
    published = ledger.publish(tmp_path / "published")
    (published / "cosignatures").unlink()
    (published / "transcript").unlink()
    conclude([follow(tmp_path / "copy", str(published), ledger)])
    with require_copy(tmp_path / "copy") as copy:
        assert [raw for _, raw in copy.notes()] == [ledger.note()]


@pytest.mark.parametrize("scheme", ["http", "https", "grpc", "grpcs", "ftp"])
def test_a_password_in_a_url_is_refused_and_not_shown(scheme: str) -> None:
    with pytest.raises(FormatError, match="without a name or password") as refused:
        open_source(f"{scheme}://user:secret@node.example:77:x/")
    assert "secret" not in str(refused.value)
