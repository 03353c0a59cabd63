"""Who may ask the page, how, what it says of a copy that is being read, was changed, or grew; and a real server."""

import asyncio
import contextlib
import gzip
import hashlib
import random
import re
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path

import httpx
import pytest

from devnet.network import find_free_ports
from ledger.blocks import parse_header_bundle
from ledger.errors import Code, ConditionError, FormatError
from ledger.notes import parse_note
from ledger.policy import verify as verify_note
from ledger.positions import Height, LeafIndex, Millis
from ledger.statements.verdicts import parse_verdict
from ledger.tiles import EMPTY_EDGE, bundle_path, encode_bundle, headers_path, parse_bundle, tile_path
from ledger.verify import parse_certificate
from observer.copy import FILE, Copy, require_copy
from observer.heads import read_clock
from observer.sync import conclude, sync
from observer.web import guard
from observer.web.serving import Settings, choose_hosts, make_settings, run_server, serve
from tests.conftest import REPOSITORY
from tests.ledger.rulebook import due
from tests.observer.fakeledger import FakeLedger, LedgerSource, copy_of
from tests.observer.webstory import Site, StoryLedger, tell_story
from tlog.addresses import Address

API = "/api/v1/"
EVERY_PATH = (
    "overview",
    "heatmap",
    "labs/acme",
    "nations",
    "pauses",
    "entries",
    "entries/3",
    "entries/3/proof",
    "entries/3/receipt",
    "entries/3/bytes",
    "blocks/3",
    "certificates/acme/a1/0",
    "search?q=acme",
    "deadlines",
    "notices",
    "trust",
    "charter",
)


@pytest.fixture(scope="module")
def ledger() -> StoryLedger:
    return tell_story()


@pytest.fixture(scope="module")
def site(ledger: StoryLedger, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with Site(copy_of(ledger, tmp_path_factory.mktemp("page") / "copy")) as site:
        yield site


def edit(home: Path, statement: str, *values: object) -> None:
    """What somebody does who can write to the disk."""
    with contextlib.closing(sqlite3.connect(home / FILE)) as connection, connection:
        connection.execute(statement, values)


# --- who may ask, and how --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    ["/", "/static/none.js", "/nothing", API, f"{API}nothing", f"{API}overview", f"{API}overview?x=1", "/a%2fb"],
)
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "OPTIONS"])
def test_every_answer_has_the_headers_that_keep_a_browser_safe(site: Site, path: str, method: str) -> None:
    answer = site.ask(path, method=method, Origin="https://evil.example")
    for name, value in guard.HEADERS.items():
        assert answer.headers.get_list(name) == [value]
    assert not any(name.startswith("access-control") for name in answer.headers)
    assert "set-cookie" not in answer.headers
    if method in ("POST", "OPTIONS"):
        assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")
    if method == "HEAD":
        assert answer.content == b""
    elif answer.status_code >= 400 and not path.startswith("/ledger"):
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.headers["cache-control"] == "no-store"


def test_the_policy_lets_no_page_of_ours_load_or_send_anything_elsewhere() -> None:
    directives = dict(part.strip().split(" ", 1) for part in guard.POLICY.split(";"))
    assert directives["default-src"] == "'none'"
    allowed = {word for value in directives.values() for word in value.split()}
    assert allowed == {"'none'", "'self'", "data:"}  # nothing inline, nothing evaluated, no other host
    assert directives["frame-ancestors"] == directives["form-action"] == directives["base-uri"] == "'none'"


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "", "localhost:x"]
)
def test_a_name_that_was_made_to_point_here_is_refused(site: Site, host: str) -> None:
    answer = site.ask(API + "overview", Host=host)
    assert (answer.status_code, answer.json()["field"]) == (421, "Host")
    assert "network" not in answer.text


@pytest.mark.parametrize("host", ["localhost", "localhost:8480", "127.0.0.1:1", "[::1]:8480", "LOCALHOST"])
def test_names_of_this_machine_are_answered(site: Site, host: str) -> None:
    assert site.ask(API + "overview", Host=host).status_code == 200


def test_hosts_are_chosen_by_where_the_server_listens() -> None:
    for own in ("127.0.0.1", "127.0.0.2", "localhost"):
        chosen = choose_hosts(Address(own, 1), ["page.example"])
        assert chosen is not None
        assert {own, "page.example", "localhost"} <= {*chosen}
    assert "[::1]" in (choose_hosts(Address("::1", 1), ()) or ())
    assert choose_hosts(Address("0.0.0.0", 1), ()) is None
    assert choose_hosts(Address("0.0.0.0", 1), ["page.example"]) == ("page.example",)


@pytest.mark.parametrize(
    "query",
    [
        "overview?x=1",
        "heatmap?first=1&first=2",
        "heatmap?first=-1",
        "heatmap?first=01",
        "heatmap?first=1_0",
        "heatmap?first=+1",
        "heatmap?first=1.0",
        "heatmap?first=%D9%A4",
        "heatmap?first=",
        "heatmap?first=99999999999999999999999",
        "heatmap?limit=0",
        "heatmap?limit=501",
        "heatmap?lab=ACME",
        "heatmap?lab=../x",
        "heatmap?" + "&".join(f"x{number}=1" for number in range(40)),
        "entries?kind=%FF",
        "search",
        "search?q=",
        "search?q=%00",
        "search?q=" + 129 * "a",
        "notices?kind=report",
        "blocks/007",
        "entries/9223372036854775808",
        "labs/ACME",
        "status?x",
        "openapi.json?x=1",
    ],
)
def test_parameters_out_of_their_form_or_bounds_are_refused_by_name(site: Site, query: str) -> None:
    status, code, field = site.problem(query)
    assert status == 400
    assert code in ("FORMAT", "CONFIG")
    assert field in ("query", *re.findall(r"[?&](\w+)=", query), "height", "index", "lab", "q")


def test_a_long_query_is_refused_before_it_is_read(site: Site) -> None:
    assert site.problem("search?q=" + 3000 * "a")[0] == 414


@pytest.mark.parametrize(
    "path",
    [
        "/static/../app.py",
        "/static/%2e%2e/app.py",
        "/static//app.js",
        "/static/./index.html",
        "/static/..%5capp.py",
        "//etc/passwd",
        "/ledger/../../copy.sqlite",
        "/ledger/tile/0/%30%30%30",
        "/ledger/tile/0/x001/../000",
        "/ledger/copy.sqlite",
        "/static/index.html/",
        "/api/v1/overview/",
        "/API/v1/overview",
        "/static/\u00e4.js",
    ],
)
async def test_paths_lead_nowhere_but_where_they_say(site: Site, path: str) -> None:
    """As a client would send it that does not tidy paths up."""
    sent: list[dict[str, object]] = []

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, object]) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", b"localhost")],
        "server": ("127.0.0.1", 80),
        "client": ("127.0.0.1", 1),
    }
    await site.app(scope, receive, send)  # type: ignore[arg-type]  # plain dictionaries, as servers send them
    assert sent[0]["status"] == 404


def test_only_the_pages_own_files_are_served(tmp_path: Path, site: Site) -> None:
    for name in ("package.json", "app.py", "__init__.py", "../cli.py"):
        assert site.ask(f"/static/{name}").status_code == 404


def test_nothing_that_a_party_wrote_is_ever_sent_as_something_a_browser_runs(site: Site) -> None:
    """Scripts are in names, titles and texts; each answer with one is JSON, or a file to be kept."""
    seen = 0
    for path in EVERY_PATH:
        answer = site.ask(API + path)
        kind = answer.headers["content-type"]
        assert kind in ("application/json", "application/octet-stream", "text/plain; charset=utf-8"), path
        if kind != "application/json" or path.startswith("certificates"):
            assert answer.headers["content-disposition"].startswith("attachment; "), path
        seen += "<script>" in answer.text
    assert seen >= 5
    found = site.ask(API + "search?q=%3Cscript%3Ealert(1)")
    assert found.json()["q"] == "<script>alert(1)"
    refused = site.ask(API + "labs/<script>")
    assert refused.headers["content-type"] == "application/problem+json"


# --- tags, compression -----------------------------------------------------------------------------------------------


def test_an_answer_that_a_browser_has_is_not_sent_again(site: Site) -> None:
    answer = site.ask(API + "heatmap")
    again = site.ask(API + "heatmap", If_None_Match=answer.headers["etag"])
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == answer.headers["etag"]
    assert site.ask(API + "heatmap?limit=1", If_None_Match=answer.headers["etag"]).status_code == 200


def test_answers_are_compressed_for_whoever_takes_that(site: Site) -> None:
    plain = site.ask(API + "trust")
    packed = site.ask(API + "trust", Accept_Encoding="gzip")
    assert packed.headers["content-encoding"] == "gzip"
    assert packed.content == plain.content  # the client unpacks it
    assert int(packed.headers["content-length"]) < len(plain.content) * 2 // 3
    assert packed.headers["etag"] != plain.headers["etag"]
    assert gzip.decompress(gzip.compress(plain.content)) == plain.content
    head = site.ask(API + "trust", method="HEAD")
    assert (head.content, head.headers["content-length"]) == (b"", str(len(plain.content)))


def test_answers_are_kept_within_bounds_and_timely_ones_for_a_moment(
    ledger: StoryLedger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("observer.web.desk.KEPT_BYTES_MAX", 4_000)
    with Site(copy_of(ledger, tmp_path / "copy")) as site:
        clock = iter(range(0, 10**9, 400))
        site.desk._clock = lambda: Millis(ledger.chain[-1].header.time_ms + next(clock))
        times = [site.get("overview")["now_ms"] for _ in range(9)]
        assert times == sorted(times)
        assert 1 < len({*times}) < 9
        for index in range(10):
            site.get(f"entries/{index}")
            site.get(f"entries/{index}")
        kept = site.desk._kept
        assert sum(len(each.body.raw) for each in kept.values()) == site.desk._kept_bytes <= 4_000
        site.get("trust")  # longer than all that may be kept
        assert site.desk._kept_bytes <= 4_000


# --- the ledger's files ----------------------------------------------------------------------------------------------


def test_the_ledgers_files_are_those_that_a_node_publishes(ledger: StoryLedger, site: Site) -> None:
    size = len(ledger.entries)
    _, tiles = EMPTY_EDGE.extend(hashlib.sha256(b"\0" + entry).digest() for entry in ledger.entries)
    for tile, raw in tiles.items():
        assert site.ask(f"/ledger/{tile_path(tile)}").content == raw
    assert site.ask(f"/ledger/{bundle_path(0, size)}").content == encode_bundle(ledger.entries)
    assert parse_bundle(site.ask(f"/ledger/{bundle_path(0, 3)}").content, count=3) == ledger.entries[:3]
    headers = site.ask(f"/ledger/{headers_path(0, ledger.height + 1)}").content
    assert parse_header_bundle(headers) == ledger.chain
    assert site.ask("/ledger/charter").content == ledger.charter_entry
    assert site.ask("/ledger/transcript").content == ledger.founders.transcript
    with require_copy(site.reading._home) as copy:
        note = verify_note(parse_note(site.ask("/ledger/checkpoint").content), copy.keys)
    assert note.seal.height == ledger.height
    for path in (
        bundle_path(0, size + 1),
        bundle_path(1, 1),
        headers_path(0),
        "tile/1/000.p/7",
        "archive/3",
        "index.json",
    ):
        assert site.ask(f"/ledger/{path}").status_code == 404


# --- a copy that is read, changed, replaced, extended ----------------------------------------------------------------


def test_before_the_copy_is_read_every_page_says_how_far_it_is(
    ledger: StoryLedger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Site(copy_of(ledger, tmp_path / "copy")) as site:
        monkeypatch.setattr("observer.web.reading.STEP_BLOCKS", 1)
        site.readers.submit(site.reading.close).result()
        site.reading._view = None
        answer = site.ask(API + "overview")
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        assert (answer.json()["code"], answer.json()["found"]) == (
            "NOT_READY",
            f"1 of {len(ledger.entries)} entries read and checked",
        )
        site.readers.submit(site.reading.advance).result()
        assert f" of {len(ledger.entries)} entries" in site.ask(API + "trust").json()["found"]
        assert site.ask("/ledger/checkpoint").status_code == 503
        status = site.get("status")
        assert (status["state"], status["entries_count"]) == ("reading", len(ledger.entries))
        assert 0 < status["checked_entries_count"] < len(ledger.entries)
        site.advance()
        status = site.get("status")
        assert (status["state"], status["checked_entries_count"]) == ("ready", len(ledger.entries))


def test_a_copy_that_is_not_there_yet_is_waited_for(ledger: StoryLedger, tmp_path: Path) -> None:
    home = tmp_path / "copy"
    with Site(home) as site:
        status = site.get("status")
        assert (status["state"], status["head"]) == ("reading", None)
        assert "observe sync" in status["problem"]
        assert site.problem("overview")[:2] == (503, "NOT_READY")
        copy_of(ledger, home)
        site.advance()
        assert site.get("status")["state"] == "ready"


EDITS = {
    "an entry": "UPDATE entries SET entry = replace(entry, 'a', 'b') WHERE position = 9",
    "an entry is gone": "DELETE FROM entries WHERE position = 9",
    "an entry moved": "UPDATE entries SET entry = (SELECT entry FROM entries WHERE position = 8) WHERE position = 9",
    "a tile": "UPDATE tiles SET hashes = zeroblob(length(hashes))",
    "a header": "UPDATE blocks SET header = (SELECT header FROM blocks WHERE height = 6) WHERE height = 5",
    "a header is gone": "DELETE FROM blocks WHERE height = 5",
    "the newest seal": "UPDATE blocks SET seal = (SELECT min(seal) FROM blocks WHERE height < 3 AND height > 0)",
    "the pinned charter": "UPDATE meta SET value = zeroblob(32) WHERE key = 'charter'",
    "no database": "",
}


@pytest.mark.parametrize("what", EDITS)
def test_a_copy_that_was_changed_on_disk_is_refused_on_every_page(
    ledger: StoryLedger, tmp_path: Path, what: str
) -> None:
    home = copy_of(ledger, tmp_path / "copy")
    if EDITS[what]:
        edit(home, EDITS[what])
    else:
        (home / FILE).write_bytes(b"no database" * 1000)
    with Site(home) as site:
        status = site.get("status")
        assert status["state"] == "refused"
        assert status["problem"].startswith("copy")  # the folder's name, without where on this machine it is
        for path in EVERY_PATH:
            answer = site.ask(API + path)
            assert answer.status_code == 500, path
            assert answer.json()["code"] in ("PROOF", "SIGNATURE", "POLICY", "FORMAT", "STORE_DAMAGED"), path
            assert str(tmp_path) not in answer.text
        (home / FILE).write_bytes(ledger.copied[1] if ledger.copied else b"")  # put right again: shown again
        site.advance()
        assert site.get("status")["state"] == "ready"
        site.get("overview")


def test_what_is_changed_after_it_was_read_is_refused_where_it_is_shown(ledger: StoryLedger, tmp_path: Path) -> None:
    home = copy_of(ledger, tmp_path / "copy")
    with Site(home) as site:
        site.get("entries/9")
        edit(home, "UPDATE entries SET entry = replace(entry, 'a', 'b') WHERE position = 9")
        site.advance()
        for path in ("entries/9", "entries/9/proof", "entries/9/bytes", "entries?limit=200"):
            status, code, _ = site.problem(path)
            assert (status, code) in ((500, "PROOF"), (500, "STORE_DAMAGED")), path
        assert site.get("entries/1")["index"] == 1
        edit(home, "INSERT INTO subjects VALUES ('verdict', 'acme/a1/0', ?)", len(ledger.entries) - 1)
        site.advance()
        assert site.problem("certificates/acme/a1/0")[0] == 500


def grow(ledger: FakeLedger, home: Path, *, to: int | None = None) -> None:
    """What another process does: sync."""
    with require_copy(home) as copy:
        conclude(sync(copy, [LedgerSource(ledger, height=to)], draw=random.Random(3).randbytes))


def test_what_another_process_adds_is_shown_and_not_before(tmp_path: Path) -> None:
    ledger = FakeLedger()
    ledger.grow(2)
    home = copy_of(ledger, tmp_path / "copy")
    with Site(home) as site:
        before = site.get("heatmap")
        tag = site.ask(API + "heatmap").headers["etag"]
        for lab in ("lab-0", "lab-1"):
            ledger.file(3 * 100 + 5, lab, 2, [f"{lab}-a", f"{lab}-b"])
        ledger.block(due(2))
        grow(ledger, home)
        assert site.get("heatmap") == before  # it is kept until somebody looks
        assert site.get("pauses")["head"]["height"] == ledger.height  # whoever asks for what is not kept does
        after = site.get("heatmap")
        assert after["head"]["height"] == ledger.height
        assert (before["newest"], after["newest"]) == (1, 2)
        assert site.ask(API + "heatmap", If_None_Match=tag).status_code == 200
        with Site(home) as fresh:  # fed at once or bit by bit: the same
            for path in ("heatmap", "entries?limit=200", "pauses", "labs/lab-0", "deadlines", "trust"):
                assert site.get(path) == fresh.get(path), path


def test_an_answer_is_made_of_one_state_of_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process adds the report and the verdict that take an older one's place, in the middle of an answer."""
    ledger = FakeLedger()
    ledger.grow(3)  # the second lab has not filed for interval 1
    home = copy_of(ledger, tmp_path / "copy")
    find = Copy.find_newest

    def find_after_others_wrote(self: Copy, kinds: Sequence[str], name: str) -> LeafIndex | None:
        if self.head.header.height < ledger.height:
            grow(ledger, home)
        return find(self, kinds, name)

    with Site(home) as site:
        before = site.ask(API + "certificates/lab-1/lab-1-a/1").content
        ledger.file(due(2) + 1, "lab-1", 1, ["lab-1-a", "lab-1-b"])
        ledger.block(due(2) + 2)
        monkeypatch.setattr(Copy, "find_newest", find_after_others_wrote)
        site.desk._kept.clear()
        during = site.ask(API + "certificates/lab-1/lab-1-a/1").content
        site.advance()
        after = site.ask(API + "certificates/lab-1/lab-1-a/1").content
    verdicts = [parse_verdict(parse_certificate(raw).entry) for raw in (before, during, after)]
    assert [verdict.state.value for verdict in verdicts] == ["missing", "missing", "late"]


def test_an_older_copy_in_the_place_of_a_newer_is_read_anew_and_another_ledger_is_refused(tmp_path: Path) -> None:
    ledger = FakeLedger()
    ledger.grow(2)
    home = tmp_path / "copy"
    older = copy_of(ledger, tmp_path / "older")
    ledger.block(due(2))
    copy_of(ledger, home)
    with Site(home) as site:
        newest = site.get("overview")["head"]["height"]
        (older / FILE).replace(home / FILE)
        site.advance()
        assert site.get("overview")["head"]["height"] == newest - 1
        other = FakeLedger(seed=5)
        other.grow(1)
        (copy_of(other, tmp_path / "other") / FILE).replace(home / FILE)
        site.advance()
        assert site.get("status")["state"] == "refused"
        assert site.problem("overview")[:2] == (500, "POLICY")
        assert other.fingerprint.hex() in site.get("status")["problem"]


def test_a_database_that_is_locked_for_a_while_does_not_take_what_was_checked_away(
    ledger: StoryLedger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = copy_of(ledger, tmp_path / "copy")
    with Site(home) as site:

        def locked(self: object) -> bool:
            raise ConditionError(field="copy", found="database is locked", expected="none", code=Code.CONFIG)

        monkeypatch.setattr("observer.copy.Copy.refresh", locked)
        site.advance()
        assert site.get("overview")["head"]["height"] == ledger.height

    def busy(home: Path, *, fingerprint: bytes | None) -> None:
        raise ConditionError(field=str(home), found="database is locked", expected="none", code=Code.CONFIG)

    monkeypatch.undo()
    monkeypatch.setattr("observer.web.reading.open_copy", busy)
    with Site(home) as site:  # nothing was checked before
        assert site.problem("overview")[:2] == (503, "CONFIG")
        monkeypatch.undo()
        site.advance()
        site.get("overview")


def test_copies_are_refreshed_as_carefully_as_opened(tmp_path: Path) -> None:
    ledger = FakeLedger()
    ledger.grow(1)
    home = copy_of(ledger, tmp_path / "copy")
    with require_copy(home) as copy:
        assert not copy.refresh()
        head = copy.head
        ledger.block(due(1))
        grow(ledger, home)
        assert copy.refresh()
        assert copy.head.header.height == head.header.height + 1
        assert copy.tree.size == len(ledger.entries)
        assert copy.tree.read_entry(LeafIndex(len(ledger.entries) - 1)) == ledger.entries[-1]
        newest = Height(ledger.height)
        edit(home, "UPDATE blocks SET seal = (SELECT seal FROM blocks WHERE height = 1) WHERE height = ?", newest)
        with pytest.raises(ValueError, match="seal"):
            copy.refresh()
        assert copy.head.header.height == newest


# --- a real server ---------------------------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def served(
    home: Path, *, fingerprint: bytes | None = None, sources: Sequence[str] = (), every_s: int = 1
) -> AsyncIterator[str]:
    """The page over a real port, in this process."""
    settings = Settings(
        home=home,
        fingerprint=fingerprint,
        listen=Address("127.0.0.1", 0),
        sources=sources,
        every_s=every_s,
        version="0",
    )
    stop, ports = asyncio.Event(), asyncio.Queue[int]()
    async with asyncio.TaskGroup() as group:
        running = group.create_task(
            serve(settings, clock=read_clock, draw=random.Random(1).randbytes, stop=stop, on_port=ports.put_nowait)
        )
        port = await ports.get()
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            stop.set()
            await running


async def ready(client: httpx.AsyncClient, is_ready: Callable[[dict[str, object]], bool]) -> dict[str, object]:
    """Ask for the status until it is as wanted."""
    while True:
        status: dict[str, object] = (await client.get(API + "status")).json()
        if is_ready(status):
            return status
        await asyncio.sleep(0.02)


async def test_many_who_ask_at_once_over_many_connections_are_all_answered(ledger: StoryLedger, tmp_path: Path) -> None:
    home = copy_of(ledger, tmp_path / "copy")
    limits = httpx.Limits(max_connections=120)
    async with served(home) as url, httpx.AsyncClient(base_url=url, limits=limits, timeout=60) as client:
        await ready(client, lambda status: status["state"] == "ready")
        paths = [EVERY_PATH[number % len(EVERY_PATH)] for number in range(240)]
        answers = await asyncio.gather(*(client.get(API + path) for path in paths))
        assert {answer.status_code for answer in answers} == {200}
        for path in ("heatmap", "entries/3"):
            bodies = {answer.content for answer, asked in zip(answers, paths, strict=True) if asked == path}
            assert len(bodies) == 1
        page = await client.get("/")
        assert page.headers["content-type"] == "text/html; charset=utf-8"


async def test_more_who_wait_than_may_are_asked_to_come_again(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("observer.web.desk.WAITING_MAX", 2)
    transport = httpx.ASGITransport(site.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        answers = await asyncio.gather(*(client.get(f"{API}overview") for _ in range(20)))
    assert {answer.status_code for answer in answers} == {200, 503}
    refused = next(answer for answer in answers if answer.status_code == 503)
    assert (refused.json()["code"], refused.headers["retry-after"]) == ("TOO_MANY_STREAMS", "1")


async def test_a_server_that_follows_makes_its_copy_and_shows_what_its_sources_do(tmp_path: Path) -> None:
    ledger = FakeLedger()
    ledger.grow(1)
    folder = ledger.publish(tmp_path / "published")
    sources = (str(folder), f"http://127.0.0.1:{find_free_ports(1)[0]}/ledger")
    home = tmp_path / "copy"
    async with (
        served(home, fingerprint=ledger.fingerprint, sources=sources) as url,
        httpx.AsyncClient(base_url=url) as client,
    ):
        first = await ready(client, lambda status: status["state"] == "ready")
        assert first["sources"] == list(sources)
        ledger.block(due(1))
        ledger.publish(folder)

        def has_grown(status: dict[str, object]) -> bool:
            return status["entries_count"] == len(ledger.entries) and status["state"] == "ready"

        status = await ready(client, has_grown)
        assert "UNREACHABLE" in str(status["follow_problem"])  # of the second source, which takes nothing away
        assert (await client.get(API + "overview")).json()["head"]["height"] == ledger.height


def test_the_command_serves_until_it_is_told_to_stop(ledger: StoryLedger, tmp_path: Path) -> None:
    home = copy_of(ledger, tmp_path / "copy")
    command = [sys.executable, "-m", "counterseal", "observe", "serve", "--home", str(home), "--listen", "127.0.0.1:0"]
    with subprocess.Popen(command, cwd=REPOSITORY, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        found = re.search(r"http://127\.0\.0\.1:(\d+)/", process.stderr.readline())
        assert found is not None
        with socket.create_connection(("127.0.0.1", int(found[1]))) as connection:
            connection.sendall(b"GET /static/..%2f..%2fcli.py HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            answer = b"".join(iter(lambda: connection.recv(65_536), b""))
        assert answer.startswith(b"HTTP/1.1 404 ")
        assert b"content-security-policy: default-src 'none'" in answer
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 0


def test_the_command_names_what_is_wrong_with_its_settings(tmp_path: Path) -> None:
    def settings(*, listen: str = "127.0.0.1:0", fingerprint: str | None = None) -> Settings:
        return make_settings(home=tmp_path, listen=listen, sources=(), every_s=1, fingerprint=fingerprint, hosts=())

    with pytest.raises(ConditionError, match=r"observe sync.*NOT_FOUND"):
        run_server(settings())
    with pytest.raises(ConditionError, match="--listen"):
        settings(listen="8480")
    with pytest.raises(FormatError, match="charter-fingerprint"):
        settings(fingerprint="ab")
