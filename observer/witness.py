"""An observer's witness: a folder with a key, a memory and a list of logs, served until it is told to stop.

witness.key       the key, encrypted (`tlog.witness_key`)
witness.sqlite    what was cosigned (`tlog.witness_store`): belongs to the key, and is never put back from a copy
logs              the list of logs it is configured for (`ledger.loglists`), unless another file is named

Anybody can run one, for Counterseal ledgers and for any log whose checkpoints are of C2SP's form. It believes no log:
it sees that each only grows, remembers before it signs, and keeps the proof if one signed two trees of one size.
"""

import asyncio
import signal
import sys
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import structlog

from ledger import domains
from ledger.encoding import encode_base64
from ledger.errors import Code, ConditionError
from ledger.limits import KIB
from ledger.loglists import LogEntry, WitnessedLog, encode_log_list
from ledger.notes import Note, compute_verifier_key, encode_note, encode_vkey
from ledger.policy import LedgerKeys
from ledger.positions import Seconds
from observer.files import read_file
from tlog.addresses import Address
from tlog.serving import serve_http
from tlog.witness import open_witness
from tlog.witness_serving import make_witness_app
from tlog.witness_store import STORE_FILE, WitnessStore

LOGS_FILE: Final = "logs"
PASSPHRASE_BYTES_MAX: Final = 4 * KIB
_OTHERS_MASK: Final = 0o077


def read_passphrase_file(path: Path) -> str:
    """Read a passphrase from the one line of a file that only its owner can read.

    Raises:
        ConditionError: others can read it (`CONFIG`), or it is not one line (`PASSPHRASE`).
        FormatError: it is too long.
    """
    raw = read_file(path, size_max=PASSPHRASE_BYTES_MAX, field="passphrase file")
    mode = path.stat().st_mode & 0o777
    if mode & _OTHERS_MASK:
        expected = "mode 0600 or 0400: a secret"
        raise ConditionError(field=str(path), found=f"mode {mode:04o}", expected=expected, code=Code.CONFIG)
    try:
        text = raw.decode("utf-8").removesuffix("\n")
    except UnicodeDecodeError:
        text = ""
    if not text or "\n" in text:
        expected = "the passphrase on one line of UTF-8"
        raise ConditionError(field=str(path), found="something else", expected=expected, code=Code.PASSPHRASE)
    return text


async def serve(
    folder: Path,
    passphrase: bytes,
    logs: Mapping[str, WitnessedLog],
    listen: Address,
    *,
    on_up: Callable[[str, int], None],
) -> None:
    """Serve a witness until SIGTERM or Ctrl-C; requests that were begun are answered first.

    Args:
        folder: of key and memory.
        passphrase: from `sealedfile.encode_passphrase`.
        logs: what it is configured for.
        listen: where; port 0 takes a free one.
        on_up: is told the witness's verifier key and the port.

    Raises:
        ConditionError: `PASSPHRASE`, `KEY_FILE_DAMAGED`, `STORE_DAMAGED`, `PORT_TAKEN`.
    """
    stopping, loop = asyncio.Event(), asyncio.get_running_loop()
    witness = open_witness(folder, passphrase, logs)
    _open_log()
    try:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stopping.set)
        with ThreadPoolExecutor(max_workers=1, thread_name_prefix="witness") as thread:
            async with serve_http(make_witness_app(witness, thread, _read_clock), listen) as port:
                on_up(witness.vkey, port)
                await stopping.wait()
    finally:
        witness.close()


def make_log_list(keys: LedgerKeys, *, has_seal: bool) -> str:
    """Write a ledger as entries of a log list: a log key of each member, or the one key that verifies seals.

    With log keys, the word of any one member lets the witness follow, and any one member can mislead it; with the seal
    it follows the quorum alone, but whoever submits must send the seal line.
    """
    kind, raws = (domains.NOTE_SEAL, (keys.group_key,)) if has_seal else (domains.NOTE_ED25519, keys.log_keys)
    listed = [compute_verifier_key(keys.origin, kind, raw) for raw in raws]
    return encode_log_list([LogEntry(key=key, origin=keys.origin) for key in listed])


def encode_state(folder: Path) -> dict[str, Any]:  # values of a JSON object are of several types
    """Write what a witness remembers as a JSON object; no passphrase is needed.

    Raises:
        ConditionError: `STORE_DAMAGED`.
    """
    with WitnessStore(folder / STORE_FILE) as store:
        heads, forks = store.heads(), store.forks()
        return {
            "vkey": encode_vkey(store.key),
            "logs": [
                {
                    "origin": origin,
                    "size": held.checkpoint.size,
                    "root": encode_base64(held.checkpoint.root),
                    "cosigned_at_s": held.time_s,
                }
                for origin, held in heads.items()
            ],
            "forks": [
                {
                    "origin": fork.origin,
                    "seen_at_s": fork.seen_s,
                    "cosigned": _decode(fork.cosigned),
                    "other": _decode(fork.other),
                }
                for fork in forks
            ],
        }


def describe_state(state: Mapping[str, Any]) -> list[str]:
    """Say the same in lines for people."""
    lines = [state["vkey"]]
    lines += [f"{log['origin']}: size {log['size']}, cosigned {_tell(log['cosigned_at_s'])}" for log in state["logs"]]
    lines += [
        f"{fork['origin']} signed two trees of one size; seen {_tell(fork['seen_at_s'])}; both notes: --json"
        for fork in state["forks"]
    ]
    return lines


def _decode(note: Note) -> str:
    return encode_note(note).decode("utf-8")


def _tell(time_s: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(time_s))


def _read_clock() -> Seconds:
    return Seconds(time.time_ns() // 1_000_000_000)


def _open_log() -> None:
    """Say what the operator must know on stderr, a line of JSON each: stdout is for results."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
