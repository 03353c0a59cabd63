"""Alarms as signed HTTP requests, one each, as the Standard Webhooks specification has them.

    webhook-id         the alarm's id: the same at every attempt, so that a receiver takes an alarm once
    webhook-timestamp  Unix seconds of the attempt
    webhook-signature  for each secret `v1,` and the base64 of HMAC-SHA256 over `<id>.<timestamp>.<body>`

Secrets stand in a file, one a line, each `whsec_` and base64 of 24 to 64 bytes; while one is replaced both are there,
and both sign. The file is read at every attempt. Nothing is followed: a redirect would take an alarm to who knows
whom. Of the answer only the status is read, and all of it has `ATTEMPT_TIMEOUT_S`, however slowly it drips.

Source: Standard Webhooks 1.0; RFC 2104; RFC 9110 §15.
"""

import asyncio
import base64
import hmac
import json
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import httpx

from ledger.encoding import decode_base64
from ledger.errors import Code, ConditionError, FormatError, PolicyError
from ledger.positions import Millis
from observer.monitor.alarms import Alarm, encode_alarm
from observer.monitor.journal import Journal, Numbered
from observer.monitor.outlets import Filter, read_secret_lines

ATTEMPT_TIMEOUT_S: Final = 30.0
SECRET_PREFIX: Final = "whsec_"  # noqa: S105  # what every secret begins with
SECRET_BYTES_MIN: Final = 24
SECRET_BYTES_MAX: Final = 64
SECRETS_MAX: Final = 4

_REFUSALS: Final = (400, 406, 409, 411, 412, 413, 414, 415, 422, 431)
"""What says that this alarm, and not every one, is refused; all else may be mended by waiting, or by an operator."""


@dataclass(frozen=True, slots=True)
class WebhookOutlet:
    """An `Outlet` that posts.

    Attributes:
        name: of the outlet.
        filter: which alarms.
        url: where to.
        secret_file: with the secrets.
        ca_file: certificates in PEM to believe instead of the system's.
        clock: of this machine.
    """

    name: str
    filter: Filter
    url: str
    secret_file: Path
    ca_file: Path | None
    clock: Callable[[], Millis]

    def prepare(self, journal: Journal) -> None:
        """Read the secrets and the certificates once.

        Raises:
            LedgerError: they are not as they must be.
        """
        del journal
        self._read_secrets()
        make_tls_context(self.ca_file, field=self.name)

    def deliver(self, first: Numbered, journal: Journal) -> int:
        """Post an alarm.

        Raises:
            ConditionError: no answer in time, or one that says "not now", or "not here".
            PolicyError: an answer that refuses this alarm.
        """
        del journal
        body = encode_body(first.alarm)
        timestamp = str(self.clock() // 1000)
        signatures = (sign(secret, first.alarm.id, timestamp, body) for secret in self._read_secrets())
        headers = {
            "content-type": "application/json",
            "user-agent": "counterseal",
            "webhook-id": first.alarm.id,
            "webhook-timestamp": timestamp,
            "webhook-signature": " ".join(signatures),
        }
        self._judge(asyncio.run(self._post(body, headers)))
        return first.number

    def _read_secrets(self) -> Sequence[bytes]:
        lines = read_secret_lines(self.secret_file, field=self.name)
        if len(lines) > SECRETS_MAX:
            found, expected = f"{len(lines)} secrets", f"at most {SECRETS_MAX}"
            raise FormatError(field=f"{self.name}: {self.secret_file}", found=found, expected=expected)
        return [parse_secret(line, field=f"{self.name}: {self.secret_file}") for line in lines]

    async def _post(self, body: bytes, headers: dict[str, str]) -> int:
        """Give the status of the answer; a loop of its own ends every attempt, whatever the other side does."""
        is_encrypted = self.url.startswith("https:")  # else it is this machine, and certificates take long to read
        context = make_tls_context(self.ca_file, field=self.name) if is_encrypted else False
        try:
            async with (
                asyncio.timeout(ATTEMPT_TIMEOUT_S),
                httpx.AsyncClient(verify=context, trust_env=False, timeout=ATTEMPT_TIMEOUT_S) as client,
                client.stream("POST", self.url, content=body, headers=headers) as response,
            ):
                return response.status_code
        except (TimeoutError, httpx.TimeoutException) as error:
            found, expected = "no answer in time", f"one within {ATTEMPT_TIMEOUT_S:.0f} s"
            raise ConditionError(field=self.name, found=found, expected=expected, code=Code.TIMEOUT) from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            found = f"{type(error).__name__}: {error}"
            raise ConditionError(field=self.name, found=found, expected="an answer", code=Code.UNREACHABLE) from error

    def _judge(self, status: int) -> None:
        if httpx.codes.is_success(status):
            return
        found, expected = f"HTTP status {status}", "2xx"
        if status in _REFUSALS:
            raise PolicyError(field=self.name, found=found, expected=expected)
        raise ConditionError(field=self.name, found=found, expected=expected, code=Code.UNREACHABLE)


def encode_body(alarm: Alarm) -> bytes:
    """Write what is posted: type, time and the alarm; the same bytes at every attempt.

    Source: Standard Webhooks 1.0, "Payload structure".
    """
    seen = datetime.fromtimestamp(alarm.seen_ms // 1000, tz=UTC)
    body = {
        "type": f"alarm.{alarm.kind.value.replace('-', '_')}",
        "timestamp": f"{seen:%Y-%m-%dT%H:%M:%SZ}",
        "data": encode_alarm(alarm),
    }
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode("utf-8")


def sign(secret: bytes, message_id: str, timestamp: str, body: bytes) -> str:
    """Sign one attempt; one item of `webhook-signature`.

    >>> sign(b"secret", "m", "1", b"{}")
    'v1,JF6NGCkoKSuLqYWpcgqDSZzwpiy7/gAgJdt2WoY4jq0='
    """
    message = f"{message_id}.{timestamp}.".encode() + body
    return f"v1,{base64.b64encode(hmac.digest(secret, message, 'sha256')).decode('ascii')}"


def parse_secret(line: str, *, field: str) -> bytes:
    """Read a secret.

    Raises:
        FormatError: not one; what stands there is in no message.
    """
    expected = f"{SECRET_PREFIX} and base64 of {SECRET_BYTES_MIN} to {SECRET_BYTES_MAX} bytes"
    try:
        secret = decode_base64(line.removeprefix(SECRET_PREFIX), field=field)
    except FormatError:
        raise FormatError(field=field, found="something else", expected=expected) from None
    if not line.startswith(SECRET_PREFIX) or not SECRET_BYTES_MIN <= len(secret) <= SECRET_BYTES_MAX:
        raise FormatError(field=field, found=f"{len(secret)} bytes", expected=expected)
    return secret


def make_tls_context(ca_file: Path | None, *, field: str) -> ssl.SSLContext:
    """Make what checks the other side's certificate: by the system's authorities, or by those of a file alone.

    Raises:
        ConditionError: `CONFIG`: the file is not there, or holds no certificates.
    """
    try:
        return ssl.create_default_context(cafile=None if ca_file is None else str(ca_file))
    except OSError as error:
        found = f"{ca_file}: {error.strerror or error}"
        raise ConditionError(field=field, found=found, expected="certificates in PEM", code=Code.CONFIG) from error
