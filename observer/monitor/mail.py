"""Alarms as e-mail, one each, over SMTP with TLS.

The Message-ID is made of the alarm's id and the sender's domain, and the date is when the alarm was found: a mail that
is sent again after a crash is the same mail, which mail systems may and often do show once. Subject and body come from
an alarm, which holds printable characters alone, and are set through `email`, which writes no header with a line break.

Source: RFC 5322; RFC 5321; RFC 3207 (STARTTLS); RFC 8314 §3 (implicit TLS); RFC 3834 §5 (Auto-Submitted).
"""

import contextlib
import smtplib
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime
from pathlib import Path
from typing import Final

import structlog

from ledger.errors import Code, ConditionError, FormatError, PolicyError
from observer.monitor.alarms import Alarm
from observer.monitor.journal import Journal, Numbered
from observer.monitor.outlets import Filter, read_secret_lines
from observer.monitor.webhook import make_tls_context
from observer.telling import format_time
from tlog.addresses import Address

COMMAND_TIMEOUT_S: Final = 30.0
ATTEMPT_TIMEOUT_S: Final = 90.0
_READY: Final = 220
_REFUSED_FROM: Final = 500


@dataclass(frozen=True, slots=True)
class MailOutlet:
    """An `Outlet` that sends mail.

    Attributes:
        name: of the outlet.
        filter: which alarms.
        server: where to hand mails in.
        security: `starttls`, `tls`, or `none`, which is for a server on this machine.
        sender: address it is sent from.
        recipients: addresses it is sent to.
        credentials_file: user and password on a line each; None to give none.
        ca_file: certificates in PEM to believe instead of the system's.
    """

    name: str
    filter: Filter
    server: Address
    security: str
    sender: str
    recipients: tuple[str, ...]
    credentials_file: Path | None
    ca_file: Path | None

    def prepare(self, journal: Journal) -> None:
        """Read credentials and certificates once.

        Raises:
            LedgerError: they are not as they must be.
        """
        del journal
        self._read_credentials()
        make_tls_context(self.ca_file, field=self.name)

    def deliver(self, first: Numbered, journal: Journal) -> int:
        """Send an alarm.

        Raises:
            ConditionError: the server does not answer, or takes nothing now.
            PolicyError: it refuses this mail for good.
        """
        del journal
        message = make_message(first.alarm, sender=self.sender, recipients=self.recipients)
        credentials = self._read_credentials()
        try:
            with self._connect() as server:
                if credentials is not None:
                    server.login(*credentials)
                refused = server.send_message(message, from_addr=self.sender, to_addrs=list(self.recipients))
        except smtplib.SMTPDataError as error:
            self._refuse(error, is_final=error.smtp_code >= _REFUSED_FROM)
        except (OSError, smtplib.SMTPException) as error:
            self._refuse(error, is_final=False)
        else:
            for recipient in refused:
                structlog.get_logger("watch").error("recipient refused", outlet=self.name, recipient=recipient)
        return first.number

    def _refuse(self, error: Exception, *, is_final: bool) -> None:
        """Raise what the server said; an answer to a login may repeat what was sent, so it is not quoted."""
        found = f"{type(error).__name__}: {error}"
        if isinstance(error, smtplib.SMTPAuthenticationError):
            found = f"{type(error).__name__}: status {error.smtp_code}"
        if is_final:
            raise PolicyError(field=self.name, found=found, expected="a server that takes this mail") from error
        code = Code.TIMEOUT if isinstance(error, TimeoutError) else Code.UNREACHABLE
        raise ConditionError(field=self.name, found=found, expected="a server that takes mail", code=code) from error

    def _read_credentials(self) -> tuple[str, str] | None:
        if self.credentials_file is None:
            return None
        lines = read_secret_lines(self.credentials_file, field=self.name)
        if len(lines) != 2:
            expected = "two lines: user, password"
            raise FormatError(
                field=f"{self.name}: {self.credentials_file}", found=f"{len(lines)} lines", expected=expected
            )
        return lines[0], lines[1]

    @contextlib.contextmanager
    def _connect(self) -> Iterator[smtplib.SMTP]:
        """Connect, with TLS as it is set; after `ATTEMPT_TIMEOUT_S` the connection is cut, whatever drips from it."""
        context = make_tls_context(self.ca_file, field=self.name)
        host, port, own = self.server.host, self.server.port, self.sender.rpartition("@")[2]
        server = (
            smtplib.SMTP_SSL(local_hostname=own, timeout=COMMAND_TIMEOUT_S, context=context)
            if self.security == "tls"
            else smtplib.SMTP(local_hostname=own, timeout=COMMAND_TIMEOUT_S)
        )
        server._host = host  # type: ignore[attr-defined]  # noqa: SLF001 - whom TLS checks; only a host given above sets it
        cut = threading.Timer(ATTEMPT_TIMEOUT_S, _cut, [server])
        cut.daemon = True
        cut.start()
        try:
            with server:
                status, banner = server.connect(host, port)
                if status != _READY:
                    raise smtplib.SMTPConnectError(status, banner)
                if self.security == "starttls":
                    server.starttls(context=context)
                yield server
        finally:
            cut.cancel()


def _cut(server: smtplib.SMTP) -> None:
    if server.sock is not None:
        with contextlib.suppress(OSError):  # it has just ended by itself
            server.sock.shutdown(socket.SHUT_RDWR)


def make_message(alarm: Alarm, *, sender: str, recipients: tuple[str, ...]) -> EmailMessage:
    """Write the mail of an alarm; the same one every time."""
    message = EmailMessage()
    message["Message-ID"] = f"<{alarm.id}@{sender.rpartition('@')[2]}>"
    message["Date"] = format_datetime(datetime.fromtimestamp(alarm.seen_ms // 1000, tz=UTC))
    message["From"] = sender
    message["To"] = ", ".join(recipients)
    message["Subject"] = f"[{alarm.kind.severity.word}] {alarm.title}"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content("\n".join(describe_alarm(alarm)) + "\n")
    return message


def describe_alarm(alarm: Alarm) -> list[str]:
    """Say an alarm in lines, for a person."""
    named = {
        "kind": f"{alarm.kind}, {alarm.kind.severity.word}, {alarm.phase}",
        "means": alarm.kind.meaning,
        "about": alarm.subject,
        "lab": alarm.lab,
        "nation": alarm.nation,
        "entry": alarm.index,
        "proof": None if alarm.proof is None else f"evidence/{alarm.proof}",
        "ledger": alarm.ledger,
        "ledger time": None if alarm.ledger_ms is None else format_time(alarm.ledger_ms),
        "seen": format_time(alarm.seen_ms),
        "id": alarm.id,
    }
    return [alarm.text, "", *(f"{name}: {value}" for name, value in named.items() if value is not None)]
