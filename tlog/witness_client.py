"""One question to one witness over HTTP: may it take long, lie, or send without end, the answer is bounded and judged.

Nothing a witness does is an error here: `ask` gives what became of the question, with the cosignature only if it
verified under the configured key. Redirects are not followed, since the address that was configured is the witness's;
content codings are not undone, since none was asked for. The whole exchange has `ASK_S`.
Source: C2SP tlog-witness ("add-checkpoint").
"""

import asyncio
import logging
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import httpx

from ledger.errors import FormatError, LedgerError, shorten
from ledger.limits import WITNESS_ANSWER_BYTES_MAX, WITNESS_SENT_BYTES_MAX
from ledger.notes import SignatureLine
from ledger.positions import Seconds, TreeSize
from ledger.witnessing import (
    SIZE_MEDIA_TYPE,
    AddCheckpoint,
    Status,
    encode_add_checkpoint,
    parse_lines,
    parse_size,
    verify_cosignature,
)
from tlog.witness_address import WitnessAddress

ASK_S: Final = 20.0

_REDIRECTS: Final = range(300, 400)
_SERVER_ERRORS: Final = range(500, 600)


class Outcome(StrEnum):
    """What became of a question."""

    COSIGNED = "cosigned"
    CONFLICT = "conflict"
    MALFORMED = "request-malformed"
    SIGNATURE_REFUSED = "signature-refused"
    UNKNOWN_LOG = "log-unknown"
    PROOF_REFUSED = "proof-refused"
    TOO_LARGE = "request-too-large"
    TOO_MANY = "too-many-requests"
    UNAVAILABLE = "unavailable"
    REDIRECTED = "redirected"
    UNREACHABLE = "unreachable"
    TIMEOUT = "timeout"
    AHEAD = "ahead"  # it holds a larger tree than whoever asks: `ask` never says so
    WRONG_ANSWER = "wrong-answer"


_OUTCOMES: Final = {
    Status.MALFORMED: Outcome.MALFORMED,
    Status.SIGNATURE_REFUSED: Outcome.SIGNATURE_REFUSED,
    Status.UNKNOWN_LOG: Outcome.UNKNOWN_LOG,
    Status.PROOF_REFUSED: Outcome.PROOF_REFUSED,
    Status.TOO_LARGE: Outcome.TOO_LARGE,
    Status.TOO_MANY: Outcome.TOO_MANY,
}


@dataclass(frozen=True, slots=True)
class WitnessAnswer:
    """What became of a question.

    Attributes:
        outcome: in one word.
        words: what was found, for people.
        line: with `COSIGNED`, the witness's verified line.
        held: with `CONFLICT`, the size of the newest tree that it says it cosigned.
    """

    outcome: Outcome
    words: str = ""
    line: SignatureLine | None = None
    held: TreeSize | None = None


def open_client() -> httpx.AsyncClient:
    """Make the client that `ask` needs; it keeps connections, and is given back with `aclose`."""
    logging.getLogger("httpx").setLevel(logging.WARNING)  # a line for each question would fill the journal
    limits = httpx.Limits(max_connections=64, max_keepalive_connections=16)
    headers = {"Accept-Encoding": "identity"}
    return httpx.AsyncClient(follow_redirects=False, limits=limits, timeout=ASK_S, trust_env=False, headers=headers)


async def ask(
    client: httpx.AsyncClient, witness: WitnessAddress, request: AddCheckpoint, *, now_s: Seconds
) -> WitnessAnswer:
    """Ask a witness to cosign the request's checkpoint.

    Args:
        client: from `open_client`.
        witness: whom.
        request: what is sent.
        now_s: the time, to judge that of the cosignature.
    """
    body = encode_add_checkpoint(request)
    assert len(body) <= WITNESS_SENT_BYTES_MAX
    try:
        async with asyncio.timeout(ASK_S):
            status, media_type, raw = await _post(client, f"{witness.url}/add-checkpoint", body)
        if status == Status.COSIGNED:
            text = request.note.text
            return WitnessAnswer(
                Outcome.COSIGNED, line=verify_cosignature(parse_lines(raw), key=witness.key, text=text, now_s=now_s)
            )
        return _judge(status, media_type, raw)
    except (TimeoutError, httpx.TimeoutException):
        return WitnessAnswer(Outcome.TIMEOUT, f"no whole answer within {ASK_S:.0f} s")
    except (httpx.RemoteProtocolError, LedgerError) as error:
        return WitnessAnswer(Outcome.WRONG_ANSWER, shorten(str(error) or type(error).__name__))
    except (httpx.HTTPError, httpx.InvalidURL, OSError, UnicodeError) as error:  # also TLS, and names that are none
        return WitnessAnswer(Outcome.UNREACHABLE, shorten(f"{type(error).__name__}: {error}"))


async def _post(client: httpx.AsyncClient, url: str, body: bytes) -> tuple[int, str, bytes]:
    """Send a body, and read the answer no further than its bound."""
    headers = {"Content-Type": "text/plain; charset=utf-8"}
    async with client.stream("POST", url, content=body, headers=headers) as response:
        raw = bytearray()
        async for piece in response.aiter_raw():
            raw += piece
            if len(raw) > WITNESS_ANSWER_BYTES_MAX:
                raise FormatError(field="answer", found="more", expected=f"at most {WITNESS_ANSWER_BYTES_MAX} bytes")
        return response.status_code, response.headers.get("content-type", ""), bytes(raw)


def _judge(status: int, media_type: str, raw: bytes) -> WitnessAnswer:
    """Say what an answer means that does not cosign.

    Raises:
        FormatError: a conflict without a size.
    """
    words = shorten(raw.decode("utf-8", "replace").strip() or f"HTTP status {status}")
    if status == Status.CONFLICT:
        if media_type.partition(";")[0].strip().lower() != SIZE_MEDIA_TYPE:
            return WitnessAnswer(Outcome.PROOF_REFUSED, words)  # version 1.0.0: the same size under another root
        held = parse_size(raw)
        return WitnessAnswer(Outcome.CONFLICT, f"it holds size {held}", held=held)
    if status in _REDIRECTS:
        return WitnessAnswer(Outcome.REDIRECTED, f"HTTP status {status}; redirects are not followed")
    if status in _SERVER_ERRORS:
        return WitnessAnswer(Outcome.UNAVAILABLE, words)
    outcome = next((outcome for known, outcome in _OUTCOMES.items() if known == status), Outcome.WRONG_ANSWER)
    return WitnessAnswer(outcome, words)
