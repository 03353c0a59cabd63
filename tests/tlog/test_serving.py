"""The published folder over HTTP: a real server on loopback, a real client, and readers who try tricks."""

import asyncio
import gzip
import hashlib
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.blocks import encode_header_bundle
from ledger.errors import Code, ConditionError, FormatError
from ledger.positions import Millis
from node.metrics import CONTENT_TYPE, Metrics
from tests.node.ledger_in_memory import MemoryLedger, files_in, read_everything
from tlog.addresses import Address
from tlog.folder import Folder
from tlog.publisher import PARTIAL_KEPT, Publisher
from tlog.resources import parse_resource
from tlog.serving import READERS_MAX, make_app, make_metrics_app, parse_range, serve_http

LOOPBACK = Address("127.0.0.1", 0)
LIMIT_S = 30


@pytest.fixture(scope="module")
def ledger() -> MemoryLedger:
    return MemoryLedger(300)


@pytest.fixture(scope="module")
def root(ledger: MemoryLedger, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with full and partial tiles, whose older partial ones were removed after their day."""
    folder = tmp_path_factory.mktemp("public")
    publisher = Publisher(Folder(folder), ledger, ledger.identity())
    publisher.publish(ledger.snapshot(80), now=Millis(0))
    publisher.publish(ledger.snapshot(298), now=Millis(0))
    publisher.publish(ledger.snapshot(299), now=Millis(PARTIAL_KEPT + 1))
    assert not (folder / "tile/0/000.p").exists()
    return folder


@pytest.fixture
def executor() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(READERS_MAX) as threads:
        yield threads


@asynccontextmanager
async def client_of(root: Path, executor: ThreadPoolExecutor) -> AsyncIterator[httpx.AsyncClient]:
    async with (
        asyncio.timeout(LIMIT_S),
        serve_http(make_app(Folder(root), executor), LOOPBACK) as port,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers={"Accept-Encoding": "identity"}) as client,
    ):
        yield client


@pytest.fixture
async def client(root: Path, executor: ThreadPoolExecutor) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(root, executor) as client:
        yield client


async def test_every_published_file_is_served_as_it_is(client: httpx.AsyncClient, root: Path) -> None:
    for path, raw in files_in(root).items():
        answer = await client.get(path)
        assert (answer.status_code, answer.content) == (200, raw), path
        assert answer.headers["access-control-allow-origin"] == "*"


async def test_a_reader_who_believes_nothing_reads_the_ledger_over_http(client: httpx.AsyncClient, root: Path) -> None:
    fetched = {path: (await client.get(path)).content for path in files_in(root)}
    size, entries, headers = read_everything(fetched.get)
    assert (size, len(entries), len(headers)) == (898, 898, 300)


TYPES = {
    "checkpoint": ("text/plain; charset=utf-8", "public, max-age=2"),
    "cosignatures": ("text/plain; charset=utf-8", "public, max-age=2"),
    "archive/0": ("text/plain; charset=utf-8", "public, max-age=2"),
    "index.json": ("application/json", "public, max-age=2"),
    "schema/report.v1.json": ("application/schema+json", "public, max-age=2"),
    "charter": ("application/vnd.dsse.envelope.v1+json", "public, max-age=31536000, immutable"),
    "tile/0/000": ("application/octet-stream", "public, max-age=31536000, immutable"),
    "tile/1/000.p/3": ("application/octet-stream", "public, max-age=31536000, immutable"),
    "tile/entries/003.p/130": ("application/octet-stream", "public, max-age=31536000, immutable"),
    "headers/000": ("application/octet-stream", "public, max-age=31536000, immutable"),
}


async def test_type_and_caching_are_as_the_specification_asks(client: httpx.AsyncClient) -> None:
    for path, expected in TYPES.items():
        answer = await client.get(path)
        assert answer.status_code == 200, path
        assert (answer.headers["content-type"], answer.headers["cache-control"]) == expected, path


async def test_a_partial_that_is_gone_is_the_beginning_of_its_full_one(
    client: httpx.AsyncClient, ledger: MemoryLedger
) -> None:
    for width in (1, 77, 241, 255):
        hashes = b"".join(ledger.read_hash(0, number) for number in range(width))
        entries = b"".join(len(entry).to_bytes(2, "big") + entry for entry in ledger.all_entries[:width])
        for path, expected in (
            (f"tile/0/000.p/{width}", hashes),
            (f"tile/entries/000.p/{width}", entries),
            (f"headers/000.p/{width}", encode_header_bundle(ledger.headers[:width])),
        ):
            answer = await client.get(path)
            assert (answer.status_code, answer.content) == (200, expected), path
            assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"


async def test_a_partial_beyond_what_is_published_is_not_there(client: httpx.AsyncClient) -> None:
    assert (await client.get("tile/0/003.p/200")).status_code == 404
    assert (await client.get("tile/0/004")).status_code == 404


async def test_bundles_are_compressed_for_who_takes_that(client: httpx.AsyncClient) -> None:
    for path in ("tile/entries/000", "headers/000", "tile/entries/000.p/200"):
        plain = await client.get(path)
        packed = await client.get(path, headers={"Accept-Encoding": "br, gzip;q=0.5"})
        assert packed.headers["content-encoding"] == "gzip"
        assert packed.headers["vary"] == plain.headers["vary"] == "Accept-Encoding"
        assert packed.content == plain.content
        assert packed.headers["etag"] != plain.headers["etag"]
        assert int(packed.headers["content-length"]) == len(gzip.compress(plain.content, 5, mtime=0))
        refused = await client.get(path, headers={"Accept-Encoding": "gzip;q=0"})
        assert "content-encoding" not in refused.headers


async def test_hashes_and_checkpoints_are_never_compressed(client: httpx.AsyncClient) -> None:
    for path in ("tile/0/000", "checkpoint"):
        answer = await client.get(path, headers={"Accept-Encoding": "gzip"})
        assert "content-encoding" not in answer.headers


async def test_who_has_the_bytes_is_told_so(client: httpx.AsyncClient) -> None:
    first = await client.get("tile/entries/000")
    assert first.headers["etag"] == f'"{hashlib.sha256(first.content).hexdigest()[:32]}"'
    for tag in (first.headers["etag"], f'"other", W/{first.headers["etag"]}', "*"):
        again = await client.get("tile/entries/000", headers={"If-None-Match": tag})
        assert (again.status_code, again.content) == (304, b"")
        for name in ("cache-control", "etag", "vary"):
            assert again.headers[name] == first.headers[name]
    assert (await client.get("tile/entries/000", headers={"If-None-Match": '"other"'})).status_code == 200


async def test_a_tag_of_one_coding_says_nothing_of_the_other(client: httpx.AsyncClient) -> None:
    packed = {"Accept-Encoding": "gzip"}
    tags = [(await client.get("tile/entries/000", headers=coding)).headers["etag"] for coding in ({}, packed)]
    for tag, coding, status in (
        (tags[0], packed, 200),
        (tags[1], packed, 304),
        (tags[1], {}, 200),
    ):
        answer = await client.get("tile/entries/000", headers={"If-None-Match": tag, **coding})
        assert answer.status_code == status, (tag, coding)


async def test_who_wants_these_bytes_or_none_gets_none_of_others(client: httpx.AsyncClient) -> None:
    tag = (await client.get("tile/0/000")).headers["etag"]
    for condition, status in ((tag, 200), ("*", 200), (f'"x", {tag}', 200), ('"x"', 412), (f"W/{tag}", 412)):
        answer = await client.get("tile/0/000", headers={"If-Match": condition})
        assert answer.status_code == status, condition


async def test_a_range_is_served(client: httpx.AsyncClient) -> None:
    whole = (await client.get("tile/0/000")).content
    part = await client.get("tile/0/000", headers={"Range": "bytes=32-63"})
    assert (part.status_code, part.content) == (206, whole[32:64])
    assert part.headers["content-range"] == "bytes 32-63/8192"
    end = await client.get("tile/0/000", headers={"Range": "bytes=-32"})
    assert (end.status_code, end.content) == (206, whole[-32:])
    beyond = await client.get("tile/0/000", headers={"Range": "bytes=8192-"})
    assert (beyond.status_code, beyond.headers["content-range"]) == (416, "bytes */8192")
    packed = await client.get("tile/entries/000", headers={"Range": "bytes=0-9", "Accept-Encoding": "gzip"})
    assert (packed.status_code, len(packed.content)) == (206, 10)
    old = await client.get("tile/0/000", headers={"Range": "bytes=32-63", "If-Range": '"other"'})
    assert (old.status_code, old.content) == (200, whole)


async def test_nothing_can_be_written(client: httpx.AsyncClient) -> None:
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        answer = await client.request(method, "checkpoint", content=b"x")
        assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD, OPTIONS")


async def test_browsers_of_other_origins_may_ask(client: httpx.AsyncClient) -> None:
    answer = await client.options("checkpoint", headers={"Origin": "https://x.example"})
    assert answer.status_code == 204
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "Range" in answer.headers["access-control-allow-headers"]
    missing = await client.get("nothing")
    assert (missing.status_code, missing.headers["access-control-allow-origin"]) == (404, "*")
    assert missing.headers["cache-control"] == "no-store"


async def test_a_head_has_the_headers_alone(client: httpx.AsyncClient) -> None:
    answer = await client.head("tile/0/000")
    assert (answer.status_code, answer.content, answer.headers["content-length"]) == (200, b"", "8192")
    for path in ("checkpoint", "tile/0/000", "tile/entries/000", "headers/000.p/9", "tile/0/009"):
        for asked in ({}, {"Accept-Encoding": "gzip"}, {"If-None-Match": "*"}, {"If-Match": '"x"'}):
            head, whole = await client.head(path, headers=asked), await client.get(path, headers=asked)
            assert head.content == b""
            differing = {name for name in whole.headers if head.headers.get(name) != whole.headers[name]}
            assert (head.status_code, differing - {"date"}) == (whole.status_code, set()), (path, asked)
    ranged = await client.head("tile/0/000", headers={"Range": "bytes=0-31"})
    assert (ranged.status_code, ranged.headers["content-length"]) == (200, "8192")


TRICKS = [
    "/../secret",
    "/tile/../../secret",
    "/tile/0/../../checkpoint",
    "/./checkpoint",
    "//checkpoint",
    "/checkpoint/",
    "/%63heckpoint",
    "/tile%2f0%2f000",
    "/..%2fsecret",
    "/%2e%2e/secret",
    "/tile/0/000%00",
    "/.incoming/0",
    "/tile/0/000.p",
    "/tile/0/000.p/0",
    "/tile/0/000.p/256",
    "/tile/0/000.p/01",
    "/tile/0/00",
    "/tile/0/x000/001",
    "/tile/00/000",
    "/tile/0/000/",
    "/tile/data/000",
    "/archive/00",
    "/archive/-1",
    "/archive/0/../0",
    "/archive/" + "9" * 5_000,
    "/headers/0",
    "/Checkpoint",
    "/",
]


async def test_a_path_with_a_trick_is_not_there(root: Path, executor: ThreadPoolExecutor) -> None:
    (root.parent / "secret").write_text("secret")
    async with asyncio.timeout(LIMIT_S), serve_http(make_app(Folder(root), executor), LOOPBACK) as port:
        for target in ["/checkpoint", *TRICKS]:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(f"GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
            answer = await reader.read()
            writer.close()
            await writer.wait_closed()
            expected = b"200" if target == "/checkpoint" else b"404"
            assert answer.startswith(b"HTTP/1.1 " + expected), target
            assert b"secret" not in answer


@given(st.text(alphabet="tile/0x12.p%hdrsnac\\", max_size=30))
def test_a_path_that_is_read_is_spelled_as_it_is_written(path: str) -> None:
    try:
        resource = parse_resource(path)
    except FormatError:
        return
    assert resource.path == path
    assert not {"..", "", "."} & set(path.split("/"))


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("bytes=0-0", (0, 0)),
        ("bytes=5-", (5, 9)),
        ("bytes=-3", (7, 9)),
        ("bytes=-30", (0, 9)),
        ("bytes=0-99", (0, 9)),
        ("bytes=10-12", (10, 9)),
        ("bytes=-0", (10, 10)),
        ("bytes=3-2", None),
        ("bytes=0-1,3-4", None),
        ("bytes=-", None),
        ("bytes= 0-1", None),
        ("bytes=٤-", None),
        ("items=0-1", None),
        ("", None),
    ],
)
def test_ranges_are_read_as_the_rfc_says(header: str, expected: tuple[int, int] | None) -> None:
    assert parse_range(header, 10) == expected


async def test_a_damaged_full_bundle_is_not_cut(tmp_path: Path, executor: ThreadPoolExecutor) -> None:
    (tmp_path / "tile/entries").mkdir(parents=True)
    (tmp_path / "tile/entries/000").write_bytes(b"\xff")
    async with client_of(tmp_path, executor) as client:
        assert (await client.get("tile/entries/000.p/3")).status_code == 404


async def test_a_taken_port_is_named(root: Path, executor: ThreadPoolExecutor) -> None:
    async with asyncio.timeout(LIMIT_S), serve_http(make_app(Folder(root), executor), LOOPBACK) as port:
        with pytest.raises(ConditionError) as refused:
            async with serve_http(make_app(Folder(root), executor), Address("127.0.0.1", port)):
                pass
        assert refused.value.code is Code.PORT_TAKEN


async def test_an_error_inside_ends_the_server_and_comes_out_as_it_was(
    root: Path, executor: ThreadPoolExecutor
) -> None:
    with pytest.raises(ZeroDivisionError):
        async with asyncio.timeout(LIMIT_S), serve_http(make_app(Folder(root), executor), LOOPBACK) as port:
            raise ZeroDivisionError
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", port)


async def test_cancelling_ends_the_server(root: Path, executor: ThreadPoolExecutor) -> None:
    up = asyncio.Event()

    async def serve_for_ever() -> None:
        async with serve_http(make_app(Folder(root), executor), LOOPBACK):
            up.set()
            await asyncio.Event().wait()

    async with asyncio.timeout(LIMIT_S), asyncio.TaskGroup() as group:
        task = group.create_task(serve_for_ever())
        await up.wait()
        task.cancel()
    assert task.cancelled()


async def test_metrics_are_served_apart() -> None:
    metrics = Metrics()
    app = make_metrics_app(metrics.encode, CONTENT_TYPE)
    async with asyncio.timeout(LIMIT_S), serve_http(app, LOOPBACK) as port, httpx.AsyncClient() as client:
        answer = await client.get(f"http://127.0.0.1:{port}/metrics")
    assert answer.headers["content-type"] == CONTENT_TYPE
    assert "counterseal_height" in answer.text
