"""Mail, handed to a real server: with TLS, the same mail every time, and no header that anybody else wrote."""

import email
import email.policy
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from devnet.network import find_free_ports
from ledger.errors import Code, ConditionError, FormatError, LedgerError, PolicyError
from observer.monitor import mail
from observer.monitor.alarms import Alarm
from observer.monitor.journal import Journal, Numbered
from observer.monitor.mail import MailOutlet, make_message
from observer.monitor.outlets import Filter
from tests.observer.monitor.receivers import Certified, certify, make_one, write_secret
from tests.observer.monitor.test_webhook import answer_raw, repeat
from tlog.addresses import Address

USER, PASSWORD = "watcher", "a secret of mail"


@dataclass
class Server:
    """A mail server that keeps what it is handed."""

    port: int = 0
    mails: list[EmailMessage] = field(default_factory=list)
    envelopes: list[Envelope] = field(default_factory=list)
    was_encrypted: list[bool] = field(default_factory=list)
    answer: str = "250 taken"
    refuses: str = ""

    async def handle_RCPT(  # noqa: N802 - the name that aiosmtpd calls
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address == self.refuses:
            return "550 nobody here"
        envelope.rcpt_tos.append(address)
        return "250 known"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        raw = envelope.content
        assert isinstance(raw, bytes)
        self.mails.append(email.message_from_bytes(raw, policy=email.policy.default))
        self.envelopes.append(envelope)
        self.was_encrypted.append(session.ssl is not None)
        return self.answer


class _TlsController(Controller):
    """Implicit TLS."""

    def __init__(self, handler: Server, context: ssl.SSLContext, **options: Any) -> None:  # any option of aiosmtpd
        super().__init__(handler, ssl_context=context, **options)


Serve = Callable[..., Server]


@pytest.fixture
def certified(tmp_path: Path) -> Certified:
    return certify(tmp_path)


@pytest.fixture
def serve(certified: Certified) -> Iterator[Serve]:
    """Start a mail server; `tls` as in the settings, `login` if it wants one."""
    running: list[Controller] = []

    def login(_server: SMTP, session: Session, _envelope: Envelope, _mechanism: str, given: object) -> AuthResult:
        assert isinstance(given, LoginPassword)
        is_right = (given.login, given.password) == (USER.encode(), PASSWORD.encode())
        return AuthResult(success=is_right, handled=False)

    def start(security: str = "starttls", *, wants_login: bool = False) -> Server:
        server = Server(port=find_free_ports(1)[0])
        options: dict[str, Any] = {"hostname": "127.0.0.1", "port": server.port}
        if wants_login:
            options |= {"authenticator": login, "auth_required": True, "auth_require_tls": security == "starttls"}
        if security == "starttls":
            options |= {"tls_context": certified.context, "require_starttls": True}
        controller = (
            _TlsController(server, certified.context, **options) if security == "tls" else Controller(server, **options)
        )
        controller.start()
        running.append(controller)
        return server

    yield start
    for controller in running:
        controller.stop()


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with Journal(tmp_path / "watch.sqlite") as opened:
        yield opened


def make_outlet(
    server: Server,
    security: str = "starttls",
    *,
    ca_file: Path | None = None,
    credentials_file: Path | None = None,
    recipients: tuple[str, ...] = ("office@observer.example", "night@observer.example"),
) -> MailOutlet:
    return MailOutlet(
        name="mail.office",
        filter=Filter(),
        server=Address("127.0.0.1", server.port),
        security=security,
        sender="monitor@observer.example",
        recipients=recipients,
        credentials_file=credentials_file,
        ca_file=ca_file,
    )


def send(outlet: MailOutlet, journal: Journal, alarm: Alarm | None = None) -> None:
    assert outlet.deliver(Numbered(7, alarm or make_one(1)), journal) == 7


def refusal(outlet: MailOutlet, journal: Journal) -> LedgerError:
    with pytest.raises(LedgerError) as refused:
        send(outlet, journal)
    return refused.value


def test_a_mail_says_what_the_alarm_says_and_whom_it_is_from(
    serve: Serve, certified: Certified, journal: Journal
) -> None:
    server = serve()
    outlet = make_outlet(server, ca_file=certified.ca_file)
    outlet.prepare(journal)
    send(outlet, journal)
    (got,), (envelope,) = server.mails, server.envelopes
    alarm = make_one(1)
    assert got["subject"] == "[notice] noticed"
    assert got["message-id"] == f"<{alarm.id}@observer.example>"
    assert (got["from"], got["to"]) == ("monitor@observer.example", "office@observer.example, night@observer.example")
    assert envelope.rcpt_tos == ["office@observer.example", "night@observer.example"]
    assert got["date"] == "Thu, 01 Jan 1970 00:00:01 +0000"
    assert got["auto-submitted"] == "auto-generated"
    body = got.get_content().replace("\r\n", "\n")
    assert body.startswith("It says: “x”.\n")
    assert f"id: {alarm.id}" in body
    assert "entry: 1" in body
    assert server.was_encrypted == [True]


def test_a_mail_that_is_sent_again_is_the_same_mail(serve: Serve, certified: Certified, journal: Journal) -> None:
    server = serve()
    for _ in range(2):
        send(make_outlet(server, ca_file=certified.ca_file), journal)
    first, second = (envelope.content for envelope in server.envelopes)
    assert first == second


@pytest.mark.filterwarnings("ignore:Requiring AUTH while not")  # the server does not count implicit TLS as TLS
@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_a_password_is_given_over_tls_alone(
    serve: Serve, certified: Certified, journal: Journal, tmp_path: Path, security: str
) -> None:
    server = serve(security, wants_login=True)
    credentials = write_secret(tmp_path / "credentials", f"{USER}\n{PASSWORD}\n")
    send(make_outlet(server, security, ca_file=certified.ca_file, credentials_file=credentials), journal)
    assert len(server.mails) == 1
    credentials.write_text(f"{USER}\nanother secret\n")
    error = refusal(make_outlet(server, security, ca_file=certified.ca_file, credentials_file=credentials), journal)
    assert isinstance(error, ConditionError)
    assert "secret" not in str(error)


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_a_server_under_another_authority_gets_nothing(
    serve: Serve, journal: Journal, tmp_path: Path, security: str
) -> None:
    server = serve(security)
    (tmp_path / "other").mkdir()
    for ca_file in (None, certify(tmp_path / "other").ca_file):
        assert refusal(make_outlet(server, security, ca_file=ca_file), journal).code is Code.UNREACHABLE
    assert server.mails == []


def test_a_server_without_starttls_gets_nothing(serve: Serve, certified: Certified, journal: Journal) -> None:
    server = serve("none")
    assert isinstance(refusal(make_outlet(server, ca_file=certified.ca_file), journal), ConditionError)
    assert server.mails == []
    send(make_outlet(server, "none"), journal)
    assert len(server.mails) == 1


@pytest.mark.parametrize(
    ("answer", "kind"), [("451 later", ConditionError), ("452 full", ConditionError), ("554 spam", PolicyError)]
)
def test_a_mail_refused_for_good_is_told_from_one_refused_for_now(
    serve: Serve, certified: Certified, journal: Journal, answer: str, kind: type[LedgerError]
) -> None:
    server = serve()
    server.answer = answer
    assert isinstance(refusal(make_outlet(server, ca_file=certified.ca_file), journal), kind)


def test_one_recipient_who_is_refused_keeps_nobody_else_from_the_mail(
    serve: Serve, certified: Certified, journal: Journal
) -> None:
    server = serve()
    server.refuses = "night@observer.example"
    send(make_outlet(server, ca_file=certified.ca_file), journal)
    assert [envelope.rcpt_tos for envelope in server.envelopes] == [["office@observer.example"]]
    alone = make_outlet(server, ca_file=certified.ca_file, recipients=("night@observer.example",))
    assert isinstance(refusal(alone, journal), ConditionError)


HOSTILE = "x\r\nBcc: all@evil.example\r\n\r\n.\r\nMAIL FROM:<a@b>\u2028\x00\x1b[2J"


def test_words_of_strangers_make_no_header_and_no_command(serve: Serve, certified: Certified, journal: Journal) -> None:
    server = serve()
    alarm = make_one(1, title=HOSTILE, text=HOSTILE + "\n.\n" + "long " * 400)
    send(make_outlet(server, ca_file=certified.ca_file), journal, alarm)
    (got,), (envelope,) = server.mails, server.envelopes
    assert got["bcc"] is None
    assert got["subject"] == f"[notice] {alarm.title}"
    assert "\\r\\nBcc" in got["subject"]
    assert envelope.rcpt_tos == ["office@observer.example", "night@observer.example"]
    assert got.get_content().startswith(alarm.text)


def test_a_message_is_of_lines_that_every_mail_system_takes() -> None:
    message = make_message(
        make_one(1, title="é" * 190, text="ü" * 1_900), sender="m@o.example", recipients=("a@b.example",)
    )
    assert all(len(line) <= 998 and line.isascii() for line in message.as_bytes().decode().splitlines())


@pytest.mark.parametrize("text", ["", "user\n", "user\npassword\nmore\n", "user\n\n"])
def test_credentials_that_are_none_are_refused_before_watching_begins(
    tmp_path: Path, journal: Journal, text: str
) -> None:
    outlet = make_outlet(Server(port=1), credentials_file=write_secret(tmp_path / "credentials", text))
    with pytest.raises(FormatError):
        outlet.prepare(journal)


@pytest.mark.parametrize("banner", [b"220 hello\r\n", b"220-hello\r\n"])
def test_a_server_that_drips_is_cut_off(
    certified: Certified, journal: Journal, monkeypatch: pytest.MonkeyPatch, banner: bytes
) -> None:
    monkeypatch.setattr(mail, "ATTEMPT_TIMEOUT_S", 0.3)
    with answer_raw(repeat(banner, b"220-more\r\n", threading.Event())) as url:
        server = Server(port=int(url.rstrip("/").rpartition(":")[2]))
        error = refusal(make_outlet(server, ca_file=certified.ca_file), journal)
    assert isinstance(error, ConditionError)
