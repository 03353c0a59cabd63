"""A stock nginx over a published folder, with the configuration that we give to operators."""

import contextlib
import os
import random
import shutil
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import httpx
import pytest

from devnet.network import Waiting, find_free_ports, wait_until
from observer.sync import conclude, sync_home
from tests.node.ledger_in_memory import files_in
from tests.tlog.sealed_ledger import SealedLedger, publish_folder
from tlog.opening import open_reader
from tlog.places import Kind, Place
from tlog.resources import parse_resource
from tlog.verifying import verify_files

NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "nginx.conf"

MAIN = """
{user}
daemon off;
pid {folder}/pid;
error_log {folder}/errors;
worker_processes 1;
events {{ worker_connections 64; }}
http {{
    access_log off;
    {paths}
    include {folder}/server.conf;
}}
"""

pytestmark = pytest.mark.skipif(NGINX is None, reason="nginx is not installed (scripts/system-packages)")


@pytest.fixture(scope="module")
def ledger() -> SealedLedger:
    return SealedLedger()


@pytest.fixture(scope="module")
def published(ledger: SealedLedger, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return publish_folder(ledger, tmp_path_factory.mktemp("published"), 64, 300)


@contextlib.contextmanager
def running_nginx(folder: Path, root: Path) -> Iterator[str]:
    """Run nginx with the example, of which only the two lines that an operator changes are changed."""
    assert NGINX is not None
    port = find_free_ports(1)[0]
    text = EXAMPLE.read_text(encoding="utf-8")
    for line, ours in (("listen 80;", f"listen 127.0.0.1:{port};"), ("/var/lib/counterseal/node/public;", f"{root};")):
        assert text.count(line) == 1
        text = text.replace(line, ours)
    (folder / "server.conf").write_text(text)
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    paths = " ".join(f"{kind}_temp_path {folder}/{kind};" for kind in kinds)
    user = "user root;" if os.getuid() == 0 else ""  # else its workers could not read what this user alone may read
    (folder / "nginx.conf").write_text(MAIN.format(user=user, folder=folder, paths=paths))
    command = [NGINX, "-c", str(folder / "nginx.conf"), "-p", str(folder), "-e", str(folder / "errors")]
    with subprocess.Popen(command) as process:
        try:
            wait_until(lambda: process.poll() is not None or _answers(port), Waiting("nginx", 30))
            assert process.poll() is None, (folder / "errors").read_text()
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


def _answers(port: int) -> bool:
    with contextlib.suppress(httpx.TransportError):
        return httpx.get(f"http://127.0.0.1:{port}/nothing").status_code == 404
    return False


@pytest.fixture(scope="module")
def url(published: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running_nginx(tmp_path_factory.mktemp("nginx"), published) as address:
        yield address


def test_an_observer_follows_the_ledger_through_nginx(ledger: SealedLedger, url: str, tmp_path: Path) -> None:
    result = sync_home(tmp_path, [url], fingerprint=ledger.fingerprint, draw=random.Random(5).randbytes)
    conclude(result.outcomes)
    assert (result.head.header.height, result.head.header.tree_size) == (300, 601)


def test_the_whole_ledger_is_whole_through_nginx(ledger: SealedLedger, url: str) -> None:
    found = verify_files(partial(open_reader, Place(Kind.WEB, url)), ledger.charter, is_remote=True)
    assert (found.faults, found.entries_count) == ((), 601)


def test_every_file_has_the_headers_that_a_node_gives(url: str, published: Path) -> None:
    with httpx.Client(base_url=url) as client:
        for path, raw in files_in(published).items():
            check_headers(client, path, raw)


def check_headers(client: httpx.Client, path: str, raw: bytes) -> None:
    answer = client.get(path, headers={"Accept-Encoding": "identity"})
    expected = parse_resource(path)
    assert (answer.status_code, answer.content) == (200, raw), path
    assert answer.headers["content-type"] == expected.media_type, path
    assert answer.headers["cache-control"] == expected.caching, path
    assert answer.headers["access-control-allow-origin"] == "*", path
    assert answer.headers["x-content-type-options"] == "nosniff", path
    packed = client.get(path, headers={"Accept-Encoding": "gzip"})
    is_packed = packed.headers.get("content-encoding") == "gzip"
    assert is_packed == (expected.is_compressed and len(raw) >= 1_024), path
    assert packed.content == raw


def test_who_has_the_bytes_is_told_so_and_a_part_is_given(url: str) -> None:
    whole = httpx.get(f"{url}/tile/0/000", headers={"Accept-Encoding": "identity"})
    again = httpx.get(f"{url}/tile/0/000", headers={"If-None-Match": whole.headers["etag"]})
    assert (again.status_code, again.headers["cache-control"]) == (304, whole.headers["cache-control"])
    part = httpx.get(f"{url}/tile/0/000", headers={"Range": "bytes=32-63"})
    assert (part.status_code, part.content) == (206, whole.content[32:64])
    assert part.headers["cache-control"] == whole.headers["cache-control"]
    head = httpx.head(f"{url}/tile/0/000")
    assert (head.status_code, head.headers["content-length"], head.content) == (200, "8192", b"")


@pytest.mark.parametrize(
    "path",
    ["nothing", "tile/0/009", "tile/0/000.p/7", "tile/0/", "tile", ".incoming/", "schema/", "../server.conf", ""],
)
def test_what_is_not_published_is_not_there_and_not_kept(url: str, path: str) -> None:
    answer = httpx.get(f"{url}/{path}")
    assert answer.status_code == 404
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["access-control-allow-origin"] == "*"


def test_nothing_can_be_written_and_browsers_may_ask(url: str) -> None:
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        assert httpx.request(method, f"{url}/checkpoint", content=b"x").status_code == 405
    asked = httpx.options(f"{url}/checkpoint", headers={"Origin": "https://x.example"})
    assert asked.status_code == 204
    assert "Range" in asked.headers["access-control-allow-headers"]


def test_a_new_checkpoint_is_served_at_once(ledger: SealedLedger, tmp_path: Path) -> None:
    (tmp_path / "nginx").mkdir()
    folder = publish_folder(ledger, tmp_path / "published", 64)
    with running_nginx(tmp_path / "nginx", folder) as address:
        for height in (112, 300):
            publish_folder(ledger, folder, height)
            assert httpx.get(f"{address}/checkpoint").content == ledger.snapshot(height).checkpoint
