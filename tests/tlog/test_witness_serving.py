"""A witness over real HTTP: its answers byte for byte, its bounds, the client that asks it, and witnesses that lie."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import FormatError
from ledger.limits import WITNESS_REQUEST_BYTES_MAX
from ledger.notes import encode_vkey, parse_note
from ledger.positions import Seconds
from ledger.witnessing import encode_lines
from tests.tlog.foreignlog import NOW, Branch, ForeignLog, make_witness, open_made, seed
from tlog import witness_client, witness_serving
from tlog.addresses import Address
from tlog.folder import Folder
from tlog.serving import make_app, serve_http
from tlog.witness import Witness, compute_origin_hash
from tlog.witness_address import WitnessAddress, parse_witness
from tlog.witness_client import Outcome, WitnessAnswer, ask, open_client
from tlog.witness_key import WitnessKey
from tlog.witness_serving import make_witness_app

LOOPBACK = Address("127.0.0.1", 0)
LIMIT_S = 30
LOG = ForeignLog()


@contextlib.asynccontextmanager
async def served(folder: Path) -> AsyncIterator[tuple[Witness, str]]:
    """Serve a new witness; gives it and its submission prefix."""
    make_witness(folder)
    witness = open_made(folder, LOG.listed())
    with ThreadPoolExecutor(1) as thread:
        async with (
            asyncio.timeout(LIMIT_S),
            serve_http(make_witness_app(witness, thread, lambda: NOW), LOOPBACK) as port,
        ):
            yield witness, f"http://127.0.0.1:{port}"
    witness.close()


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with served(tmp_path / "w") as (_, url), httpx.AsyncClient(base_url=url) as made:
        yield made


async def add(client: httpx.AsyncClient, raw: bytes) -> tuple[int, str, bytes]:
    answer = await client.post("/add-checkpoint", content=raw)
    return answer.status_code, answer.headers["content-type"], answer.content


# -- the server -------------------------------------------------------------------------------------------------------


async def test_status_type_and_body_are_those_of_the_specification(client: httpx.AsyncClient) -> None:
    text = "text/plain; charset=utf-8"
    status, media_type, body = await add(client, LOG.body(0, 5))
    assert (status, media_type) == (200, text)
    assert body.startswith("\u2014 witness.example/w1 ".encode())
    assert body.endswith(b"\n")
    assert await add(client, LOG.body(3, 9)) == (409, "text/x.tlog.size", b"5\n")
    others = {
        400: b"old",
        403: LOG.body(5, 9).replace(b"\n9\n", b"\n8\n", 1),
        404: ForeignLog("nobody.example").body(0, 5),
        422: LOG.body(5, 9, proof=[]),
    }
    for expected, raw in others.items():
        status, media_type, _ = await add(client, raw)
        assert (status, media_type) == (expected, text)


async def test_the_key_and_the_newest_checkpoint_can_be_read_from_anywhere(client: httpx.AsyncClient) -> None:
    path = f"/{compute_origin_hash(LOG.origin)}/checkpoint"
    assert (await client.get(path)).status_code == 404
    _, _, cosigned = await add(client, LOG.body(0, 5))
    answer = await client.get(path)
    assert answer.headers["access-control-allow-origin"] == "*"
    assert parse_note(answer.content).text == LOG.text(5)
    assert answer.content.endswith(cosigned)
    vkey = await client.get("/vkey")
    assert vkey.headers["access-control-allow-origin"] == "*"
    assert vkey.text.startswith("witness.example/w1+")


async def test_what_is_not_offered_is_not_answered(client: httpx.AsyncClient) -> None:
    assert (await client.get("/add-checkpoint")).status_code == 405
    assert (await client.put("/add-checkpoint", content=b"")).status_code == 405
    for path in ("/", "/sign-subtree", "/../witness.key", "/%2e%2e/checkpoint", "/x/checkpoint"):
        assert (await client.get(path)).status_code == 404


async def test_a_body_that_is_too_large_is_not_read_to_its_end(client: httpx.AsyncClient) -> None:
    sent = 0

    async def pieces() -> AsyncIterator[bytes]:
        nonlocal sent
        while True:
            sent += 4096
            yield bytes(4096)

    with contextlib.suppress(httpx.TransportError):  # the connection may be gone before the answer was read
        answer = await client.post("/add-checkpoint", content=pieces())
        assert (answer.status_code, answer.headers["connection"]) == (413, "close")
    assert sent > WITNESS_REQUEST_BYTES_MAX
    assert (await add(client, LOG.body(0, 5)))[0] == 200  # the witness is none the worse
    assert (await add(client, LOG.body(5, 5) + bytes(WITNESS_REQUEST_BYTES_MAX)))[0] == 413


async def test_a_body_that_does_not_come_is_not_waited_for(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(witness_serving, "BODY_S", 0.05)
    reader, writer = await asyncio.open_connection(client.base_url.host, client.base_url.port)
    writer.write(b"POST /add-checkpoint HTTP/1.1\r\nHost: x\r\nContent-Length: 500\r\n\r\nold 0\n")
    raw = await reader.read()  # to the end: it is closed
    assert raw.startswith(b"HTTP/1.1 408 ")
    writer.close()


async def test_whoever_comes_while_too_many_wait_is_asked_to_come_again(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(witness_serving, "WAITING_MAX", 0)
    answer = await client.post("/add-checkpoint", content=LOG.body(0, 5))
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")


async def test_requests_at_once_over_the_wire_have_one_winner(client: httpx.AsyncClient) -> None:
    answers = await asyncio.gather(*(add(client, LOG.body(0, size)) for size in range(1, 13)))
    assert sorted(status for status, _, _ in answers) == [200] + [409] * 11
    assert len({body for status, _, body in answers if status == 409}) == 1


async def test_a_witness_stands_beside_a_published_folder(tmp_path: Path) -> None:
    make_witness(tmp_path / "w")
    witness = open_made(tmp_path / "w", LOG.listed())
    (tmp_path / "public").mkdir()
    with ThreadPoolExecutor(1) as thread:
        inner = make_witness_app(witness, thread, lambda: NOW)
        app = make_app(Folder(tmp_path / "public"), thread, witness=inner)
        async with serve_http(app, LOOPBACK) as port, httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
            assert (await client.get("/witness/vkey")).text == f"{witness.vkey}\n"
            assert (await client.post("/witness/add-checkpoint", content=LOG.body(0, 5))).status_code == 200
            assert (await client.get("/checkpoint")).status_code == 404
            assert (await client.post("/checkpoint", content=b"")).status_code == 405
            assert (await client.get("/witness")).status_code == 404
    witness.close()


# -- the client against it --------------------------------------------------------------------------------------------


async def test_the_client_gets_a_cosignature_it_verified_and_every_refusal_by_its_name(tmp_path: Path) -> None:
    async with served(tmp_path / "w") as (witness, url), open_client() as client:
        address = parse_witness(url + "/", witness.vkey)
        assert (await ask(client, address, LOG.request(2, 5), now_s=NOW)).held == 0
        first = await ask(client, address, LOG.request(0, 5), now_s=NOW)
        assert (first.outcome, first.line is None) == (Outcome.COSIGNED, False)
        conflict = await ask(client, address, LOG.request(0, 9), now_s=NOW)
        assert (conflict.outcome, conflict.held) == (Outcome.CONFLICT, 5)
        stranger, mute = ForeignLog("nobody.example"), ForeignLog("second.example", key_name=LOG.origin)
        unsigned = LOG.request(5, 9)
        others = {
            Outcome.UNKNOWN_LOG: stranger.request(0, 5),
            Outcome.PROOF_REFUSED: LOG.request(5, 9, proof=[]),
            Outcome.MALFORMED: LOG.request(9, 5, proof=[]),
            Outcome.SIGNATURE_REFUSED: type(unsigned)(unsigned.old_size, unsigned.proof, mute.sign(unsigned.note.text)),
        }
        for outcome, request in others.items():
            assert (await ask(client, address, request, now_s=NOW)).outcome is outcome


async def test_an_answer_by_another_key_than_the_configured_is_no_cosignature(tmp_path: Path) -> None:
    async with served(tmp_path / "w") as (_, url), open_client() as client:
        other = WitnessAddress(url, WitnessKey("witness.example/w1", seed("another")).verifier)
        answer = await ask(client, other, LOG.request(0, 5), now_s=NOW)
        assert (answer.outcome, answer.line) == (Outcome.WRONG_ANSWER, None)


async def test_a_cosignature_of_the_future_is_none(tmp_path: Path) -> None:
    async with served(tmp_path / "w") as (witness, url), open_client() as client:
        address = parse_witness(url, witness.vkey)
        answer = await ask(client, address, LOG.request(0, 5), now_s=Seconds(NOW - 3600))
        assert (answer.outcome, answer.line) == (Outcome.WRONG_ANSWER, None)


# -- the client against witnesses that lie ----------------------------------------------------------------------------


KEY = WitnessKey("witness.example/w1", seed("hostile"))
Answering = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def ask_hostile(answering: Answering) -> WitnessAnswer:
    """Ask a server that answers every connection as it likes."""
    connected: list[asyncio.Task[None]] = []

    async def connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        connected.append(task)
        with contextlib.suppress(ConnectionError, asyncio.CancelledError):
            await reader.readuntil(b"\r\n\r\n")
            await answering(reader, writer)
        writer.close()

    server = await asyncio.start_server(connection, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    address = WitnessAddress(f"http://127.0.0.1:{port}", KEY.verifier)
    async with asyncio.timeout(LIMIT_S), open_client() as client:
        answer = await ask(client, address, LOG.request(0, 5), now_s=NOW)
    for task in connected:
        task.cancel()
    server.close()
    await asyncio.gather(*connected, return_exceptions=True)
    return answer


def sending(*pieces: bytes) -> Answering:
    async def answering(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        del reader
        for piece in pieces:
            writer.write(piece)
            await writer.drain()

    return answering


def without_end(start: bytes, piece: bytes, pause_s: float = 0) -> Answering:
    async def answering(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        del reader
        writer.write(start)
        while True:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(pause_s)

    return answering


def whole(status: str, body: bytes, *headers: str) -> Answering:
    head = "".join(f"{line}\r\n" for line in (f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, ""))
    return sending(head.encode() + body)


OK = b"HTTP/1.1 200 OK\r\n\r\n"
LINE = encode_lines([KEY.cosign(LOG.text(5), time_s=NOW)])
LIES: dict[str, tuple[Answering, Outcome]] = {
    "the truth": (whole("200 OK", LINE), Outcome.COSIGNED),
    "a line over another tree": (
        whole("200 OK", encode_lines([KEY.cosign(LOG.text(6), time_s=NOW)])),
        Outcome.WRONG_ANSWER,
    ),
    "a line without a time": (
        whole("200 OK", encode_lines([KEY.cosign(LOG.text(5), time_s=Seconds(0))])),
        Outcome.WRONG_ANSWER,
    ),
    "nothing": (whole("200 OK", b""), Outcome.WRONG_ANSWER),
    "no lines": (whole("200 OK", b"<html>\n"), Outcome.WRONG_ANSWER),
    "a body without end": (without_end(OK, b"x" * 1024), Outcome.WRONG_ANSWER),
    "a header without end": (without_end(b"HTTP/1.1 200 OK\r\nx: ", b"x" * 1024), Outcome.WRONG_ANSWER),
    "headers without end": (without_end(b"HTTP/1.1 200 OK\r\n", b"x: y\r\n" * 100), Outcome.WRONG_ANSWER),
    "no HTTP": (sending(b"SSH-2.0-x\r\n"), Outcome.WRONG_ANSWER),
    "a hang-up": (sending(), Outcome.WRONG_ANSWER),
    "a redirect": (whole("307 Temporary Redirect", b"", "Location: http://127.0.0.1:1/"), Outcome.REDIRECTED),
    "a redirect to itself": (whole("308 Permanent Redirect", b"", "Location: /"), Outcome.REDIRECTED),
    "a conflict of huge size": (
        whole("409 Conflict", b"9" * 40 + b"\n", "Content-Type: text/x.tlog.size"),
        Outcome.WRONG_ANSWER,
    ),
    "a conflict without a size": (whole("409 Conflict", b"", "Content-Type: text/x.tlog.size"), Outcome.WRONG_ANSWER),
    "a conflict of roots, as in version 1.0.0": (whole("409 Conflict", b"", ""), Outcome.PROOF_REFUSED),
    "a size with parameters": (
        whole("409 Conflict", b"7\n", "Content-Type: Text/X.tlog.size; charset=utf-8"),
        Outcome.CONFLICT,
    ),
    "a compressed bomb": (whole("200 OK", b"\x1f\x8b" + bytes(99), "Content-Encoding: gzip"), Outcome.WRONG_ANSWER),
    "a refusal of the size": (whole("413 Payload Too Large", b""), Outcome.TOO_LARGE),
    "a refusal for today": (whole("429 Too Many Requests", b""), Outcome.TOO_MANY),
    "trouble": (whole("503 Service Unavailable", b"\x1b[2Jtry again"), Outcome.UNAVAILABLE),
    "a teapot": (whole("418 I'm a teapot", b""), Outcome.WRONG_ANSWER),
    "success of another kind": (whole("201 Created", LINE), Outcome.WRONG_ANSWER),
}


@pytest.mark.parametrize("lie", LIES)
async def test_whatever_a_witness_answers_is_bounded_and_called_by_its_name(lie: str) -> None:
    answering, outcome = LIES[lie]
    answer = await ask_hostile(answering)
    assert answer.outcome is outcome, answer.words
    assert (answer.line is not None) is (outcome is Outcome.COSIGNED)
    assert answer.words.isprintable()
    assert len(answer.words) < 500


@pytest.mark.parametrize("start", [b"", OK], ids=["silence", "drops"])
async def test_a_witness_that_takes_its_time_is_left(start: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(witness_client, "ASK_S", 0.1)
    answer = await ask_hostile(without_end(start, b"x" if start else b"", 0.01))
    assert answer.outcome is Outcome.TIMEOUT


async def test_a_witness_that_is_not_there_is_unreachable() -> None:
    async with open_client() as client:
        for url in ("http://127.0.0.1:1", "https://127.0.0.1:1", "http://[::1]:1"):
            answer = await ask(client, WitnessAddress(url, KEY.verifier), LOG.request(0, 5), now_s=NOW)
            assert answer.outcome is Outcome.UNREACHABLE


# -- how a witness is configured --------------------------------------------------------------------------------------


VKEY = encode_vkey(KEY.verifier)


def test_an_address_is_a_url_and_a_key() -> None:
    for url in ("https://w.example", "https://w.example/a/b/", "http://[::1]:8080/w"):
        address = parse_witness(url, VKEY)
        assert (address.url, address.key) == (url.rstrip("/"), KEY.verifier)


@pytest.mark.parametrize(
    "url",
    [
        "w.example",
        "ftp://w.example",
        "https://",
        "https://a@w.example",
        "https://w.example?x",
        "https://w.example#x",
        "https://w.example:0",
        "https://w.example:99999",
        "https://w example",
        "https://w.example/\n",
        "https://w\u00e4.example",
        "https://[::1",
        "https://w.example/" + "x" * 2000,
    ],
)
def test_what_is_no_url_of_a_witness_is_refused(url: str) -> None:
    with pytest.raises(FormatError, match=r"witness\.url"):
        parse_witness(url, VKEY)


def test_a_key_of_another_type_is_refused() -> None:
    with pytest.raises(FormatError, match=r"witness\.vkey"):
        parse_witness("https://w.example", encode_vkey(LOG.key))


@given(st.from_regex(r"https?://[!-~]{0,20}", fullmatch=True))
def test_whatever_is_taken_for_a_url_can_be_asked_with_or_is_refused_by_name(url: str) -> None:
    """The client has rules of its own for URLs; what it refuses then is `unreachable`, never an error of ours."""
    with contextlib.suppress(FormatError, httpx.InvalidURL):
        assert httpx.URL(parse_witness(url, VKEY).url + "/add-checkpoint").scheme in url


def test_the_branches_of_these_tests_part_where_they_say() -> None:
    fork = Branch("fork", 3)
    assert fork.root(3) == Branch().root(3)
    assert fork.root(4) != Branch().root(4)
