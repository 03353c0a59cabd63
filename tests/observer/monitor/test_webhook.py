"""Signed requests, over real sockets: what a receiver can check, and what a receiver can do to a monitor."""

import base64
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ledger.errors import Code, ConditionError, FormatError, LedgerError, PolicyError
from observer.monitor import webhook
from observer.monitor.alarms import encode_alarm
from observer.monitor.journal import Journal, Numbered
from observer.monitor.outlets import Filter
from observer.monitor.webhook import WebhookOutlet, encode_body, parse_secret, sign
from tests.observer.monitor.parts import Clock
from tests.observer.monitor.receivers import SECRET, certify, is_signed, make_one, receive, write_secret

NOW_MS = 1_900_000_000_000


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with Journal(tmp_path / "watch.sqlite") as opened:
        yield opened


def make_outlet(tmp_path: Path, url: str, *, secret: str = SECRET + "\n", ca_file: Path | None = None) -> WebhookOutlet:
    secret_file = write_secret(tmp_path / "secret", secret)
    return WebhookOutlet("webhook.office", Filter(), url, secret_file, ca_file, Clock(NOW_MS))


def post(outlet: WebhookOutlet, journal: Journal, number: int = 1, **fields: str) -> None:
    assert outlet.deliver(Numbered(number, make_one(number, **fields)), journal) == number  # type: ignore[arg-type]


def refusal(outlet: WebhookOutlet, journal: Journal) -> LedgerError:
    with pytest.raises(LedgerError) as refused:
        post(outlet, journal)
    return refused.value


def test_a_signature_is_that_of_the_specification() -> None:
    """The example that the libraries of Standard Webhooks are tested with."""
    secret = parse_secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", field="secret")
    signed = sign(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", b'{"test": 2432232314}')
    assert signed == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_a_receiver_gets_what_it_needs_to_check_and_to_sort(tmp_path: Path, journal: Journal) -> None:
    with receive() as receiver:
        outlet = make_outlet(tmp_path, receiver.url)
        outlet.prepare(journal)
        post(outlet, journal, text="“<b>” \\ é")
    (posted,) = receiver.posted
    alarm = make_one(1, text="“<b>” \\ é")
    assert is_signed(posted)
    assert (posted.id, posted.headers["webhook-timestamp"]) == (alarm.id, str(NOW_MS // 1000))
    assert posted.headers["content-type"] == "application/json"
    assert posted.json() == {
        "type": "alarm.observation",
        "timestamp": "1970-01-01T00:00:01Z",
        "data": encode_alarm(alarm),
    }


def test_a_request_that_somebody_changed_is_not_signed(tmp_path: Path, journal: Journal) -> None:
    with receive() as receiver:
        post(make_outlet(tmp_path, receiver.url), journal)
    (posted,) = receiver.posted
    posted.body = posted.body.replace(b"acme", b"cogs")
    assert not is_signed(posted)


def test_an_alarm_is_the_same_at_every_attempt_but_for_its_time(tmp_path: Path, journal: Journal) -> None:
    with receive() as receiver:
        receiver.answer = lambda number, _: 503 if number == 1 else 200
        outlet = make_outlet(tmp_path, receiver.url)
        assert refusal(outlet, journal).code is Code.UNREACHABLE
        outlet.clock.now_ms += 5_000  # type: ignore[attr-defined]
        post(outlet, journal)
    first, second = receiver.posted
    assert (first.id, first.body) == (second.id, second.body)
    assert int(second.headers["webhook-timestamp"]) - int(first.headers["webhook-timestamp"]) == 5
    assert all(is_signed(posted) for posted in receiver.posted)


@pytest.mark.parametrize("status", [400, 413, 422])
def test_a_receiver_that_refuses_this_alarm_is_told_from_one_that_takes_none(
    tmp_path: Path, journal: Journal, status: int
) -> None:
    with receive() as receiver:
        receiver.answer = lambda *_: status
        assert isinstance(refusal(make_outlet(tmp_path, receiver.url), journal), PolicyError)


@pytest.mark.parametrize("status", [301, 307, 401, 404, 408, 410, 429, 500, 502])
def test_other_answers_keep_the_alarm_waiting_and_nothing_is_followed(
    tmp_path: Path, journal: Journal, status: int
) -> None:
    with receive() as receiver:
        receiver.answer = lambda *_: status
        assert isinstance(refusal(make_outlet(tmp_path, receiver.url), journal), ConditionError)
    assert [posted.path for posted in receiver.posted] == ["/hook"]


def test_two_secrets_sign_while_one_is_replaced_and_the_file_is_read_each_time(
    tmp_path: Path, journal: Journal
) -> None:
    other = "whsec_" + base64.b64encode(b"n" * 64).decode()
    with receive() as receiver:
        outlet = make_outlet(tmp_path, receiver.url, secret=f"{SECRET}\n{other}\n")
        post(outlet, journal)
        outlet.secret_file.write_text(other)
        post(outlet, journal)
    both, new = receiver.posted
    assert is_signed(both)
    assert is_signed(both, other)
    assert not is_signed(new)
    assert is_signed(new, other)


@pytest.mark.parametrize(
    "text",
    [
        *("", "\n", "whsec_", "whsec_AAAA", SECRET.removeprefix("whsec_"), SECRET + "=", f"{SECRET}\n\n{SECRET}"),
        *("x" * 5000, f"{SECRET}\n" * 5, "whsec_" + base64.b64encode(b"k" * 65).decode()),
    ],
)
def test_a_secret_that_is_none_is_refused_before_watching_begins_and_never_quoted(
    tmp_path: Path, journal: Journal, text: str
) -> None:
    outlet = make_outlet(tmp_path, "http://127.0.0.1:1/", secret=text)
    with pytest.raises(FormatError) as refused:
        outlet.prepare(journal)
    assert base64.b64encode(b"k" * 30).decode()[:20] not in str(refused.value)


def test_a_secret_that_others_may_read_is_refused(tmp_path: Path, journal: Journal) -> None:
    outlet = make_outlet(tmp_path, "http://127.0.0.1:1/")
    outlet.secret_file.chmod(0o640)
    with pytest.raises(ConditionError) as refused:
        outlet.prepare(journal)
    assert refused.value.code is Code.CONFIG
    assert "0640" in str(refused.value)


def test_a_receiver_is_reached_over_tls_under_the_authority_that_is_set_and_no_other(
    tmp_path: Path, journal: Journal
) -> None:
    ours = certify(tmp_path)
    with receive(ours.context) as receiver:
        post(make_outlet(tmp_path, receiver.url, ca_file=ours.ca_file), journal)
        (tmp_path / "other").mkdir()
        for ca_file in (None, certify(tmp_path / "other").ca_file):
            error = refusal(make_outlet(tmp_path, receiver.url, ca_file=ca_file), journal)
            assert error.code is Code.UNREACHABLE
            assert "CERTIFICATE_VERIFY_FAILED" in str(error)
    assert len(receiver.posted) == 1


def test_certificates_that_are_none_are_refused_before_watching_begins(tmp_path: Path, journal: Journal) -> None:
    (tmp_path / "ca.pem").write_text("none")
    for ca_file in (tmp_path / "ca.pem", tmp_path / "absent.pem"):
        with pytest.raises(ConditionError) as refused:
            make_outlet(tmp_path, "https://127.0.0.1:1/", ca_file=ca_file).prepare(journal)
        assert refused.value.code is Code.CONFIG


@contextmanager
def answer_raw(pieces: Iterator[bytes]) -> Iterator[str]:
    """A server that answers whoever comes with these bytes, as long as they are taken."""
    listening = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        connection, _ = listening.accept()
        with connection:
            try:
                for piece in pieces:
                    connection.sendall(piece)
            except OSError:
                return

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/"
    finally:
        thread.join(timeout=60)
        listening.close()
        assert not thread.is_alive()


def repeat(first: bytes, piece: bytes, pause: threading.Event | None = None) -> Iterator[bytes]:
    yield first
    while True:
        yield piece
        if pause is not None:
            pause.wait(0.02)


def test_an_answer_that_never_ends_is_not_read(tmp_path: Path, journal: Journal) -> None:
    endless = repeat(b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n", b"x" * 65_536)
    with answer_raw(endless) as url:
        post(make_outlet(tmp_path, url), journal)


@pytest.mark.parametrize("drip", [b"x", b"x-more: y\r\n"])
def test_an_answer_that_drips_is_given_up(
    tmp_path: Path, journal: Journal, monkeypatch: pytest.MonkeyPatch, drip: bytes
) -> None:
    monkeypatch.setattr(webhook, "ATTEMPT_TIMEOUT_S", 0.3)
    with answer_raw(repeat(b"HTTP/1.1 200 OK\r\n", drip, threading.Event())) as url:
        error = refusal(make_outlet(tmp_path, url), journal)
    assert error.code in {Code.TIMEOUT, Code.UNREACHABLE}


def test_an_answer_that_is_no_http_keeps_the_alarm_waiting(tmp_path: Path, journal: Journal) -> None:
    with answer_raw(iter([b"SSH-2.0-none\r\n\r\n"])) as url:
        assert refusal(make_outlet(tmp_path, url), journal).code is Code.UNREACHABLE


def test_nobody_there_keeps_the_alarm_waiting(tmp_path: Path, journal: Journal) -> None:
    assert refusal(make_outlet(tmp_path, "http://127.0.0.1:1/"), journal).code is Code.UNREACHABLE


def test_a_body_is_the_same_bytes_every_time() -> None:
    assert encode_body(make_one(1)) == encode_body(make_one(1))
