"""A witness: what it is configured for, what it remembers, the key it cosigns with; and the answer to every request.

The order of one decision
1. What needs no memory: form, log, signature (`ledger.witnessing.verify_submission`).
2. In one transaction with the memory: the old size, the proof, the budget of the day; then the cosignature is made and
   remembered. It leaves this file only after that is durable.
3. A checkpoint that is known already is cosigned again with the present time, which says that no larger one came
   since. Within the same second the line is given that was made, and nothing is written: whoever repeats a request,
   as anybody can who saw it, costs no disk.
4. Times never fall for a log. If the clock is behind what was signed by more than `CLOCK_BEHIND_MAX_S`, nothing is
   signed until somebody has looked.
5. A log that signed two trees of one size is caught, whatever else its request asked for: both notes are kept.

Source: C2SP tlog-witness.
"""

import hashlib
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog

from ledger import sealedfile
from ledger.checkpoints import Checkpoint
from ledger.errors import Code, ConditionError, FormatError
from ledger.loglists import LOG_LIST_BYTES_MAX, WitnessedLog, parse_log_list
from ledger.notes import Note, SignatureLine, VerifierKey, encode_note, encode_vkey
from ledger.positions import Seconds
from ledger.witnessing import (
    SIZE_MEDIA_TYPE,
    AddCheckpoint,
    Refused,
    Status,
    decide,
    encode_lines,
    encode_size,
    is_fork,
    parse_add_checkpoint,
    parse_head,
    refuse_malformed,
    verify_submission,
)
from tlog.publisher import pass_by
from tlog.witness_key import (
    KEY_FILE,
    RandomSource,
    WitnessKey,
    disk_conditions,
    make_witness_key,
    open_witness_key,
    require_no_key,
    write_witness_key,
)
from tlog.witness_store import STORE_FILE, Fork, Held, WitnessStore, found_witness_store

TEXT: Final = "text/plain; charset=utf-8"
CLOCK_BEHIND_MAX_S: Final = 60
DAY_S: Final = 86_400


@dataclass(frozen=True, slots=True)
class Reply:
    """What goes back over HTTP."""

    status: Status
    body: bytes
    media_type: str = TEXT


class Witness:
    """One witness; any thread may ask, one is answered at a time."""

    def __init__(self, store: WitnessStore, key: WitnessKey, logs: Mapping[str, WitnessedLog]) -> None:
        """Join key, memory and configuration.

        Raises:
            ConditionError: the memory is another key's (`STORE_DAMAGED`), or a log has the witness's key (`CONFIG`).
        """
        if store.key != key.verifier:
            found, expected = encode_vkey(store.key), f"the memory of {encode_vkey(key.verifier)}"
            raise ConditionError(field=str(store.path), found=found, expected=expected, code=Code.STORE_DAMAGED)
        own = (key.verifier.name, key.verifier.key_id)
        for log in logs.values():
            if own in log.known:
                expected = "logs that sign with keys of their own"
                raise ConditionError(
                    field=log.origin, found=encode_vkey(key.verifier), expected=expected, code=Code.CONFIG
                )
        self._store, self._key, self._logs = store, key, logs
        self._origins = {compute_origin_hash(origin): origin for origin in logs}
        self._lock = threading.Lock()
        self._log = structlog.get_logger("witness")
        self._problem = ""
        self.answered: dict[Status, int] = {}

    @property
    def vkey(self) -> str:
        """The witness's verifier key, as others configure it."""
        return encode_vkey(self._key.verifier)

    @property
    def origins(self) -> tuple[str, ...]:
        """The logs it is configured for."""
        return tuple(self._logs)

    def close(self) -> None:
        """Close the memory."""
        with self._lock:
            self._store.close()

    def add_checkpoint(self, raw: bytes, *, now_s: Seconds) -> Reply:
        """Answer a request; a disk that refuses is answered too, and said to the operator.

        Args:
            raw: its body.
            now_s: the time.
        """
        with self._lock:
            try:
                answer = self._answer(raw, now_s)
            except ConditionError as error:
                if str(error) != self._problem:  # once: whoever asks again must not fill the disk with it
                    self._log.error("nothing can be cosigned", problem=str(error))
                self._problem = str(error)
                answer = Refused(Status.UNAVAILABLE, "this witness cannot cosign now")
            reply = _make_reply(answer)
            self.answered[reply.status] = self.answered.get(reply.status, 0) + 1
            return reply

    def read_checkpoint(self, origin_hash: str) -> bytes | None:
        """Return the newest checkpoint cosigned of a log, with its lines and ours; None if there is none.

        Raises:
            ConditionError: `STORE_DAMAGED`, or the disk refuses.
        """
        origin = self._origins.get(origin_hash)
        if origin is None:
            return None
        with self._lock:
            held = self._store.head(origin)
        return None if held is None else encode_note(held.note)

    def _answer(self, raw: bytes, now_s: Seconds) -> SignatureLine | Refused:
        try:
            request = parse_add_checkpoint(raw)
        except FormatError as error:
            return refuse_malformed(error)
        log = self._logs.get(parse_head(request.note.text).checkpoint.origin)
        checkpoint = verify_submission(request, None if log is None else log.known)
        if isinstance(checkpoint, Refused):
            return checkpoint
        assert log is not None
        with self._store.deciding():
            return self._decide(request, checkpoint, log, now_s)

    def _decide(
        self, request: AddCheckpoint, checkpoint: Checkpoint, log: WitnessedLog, now_s: Seconds
    ) -> SignatureLine | Refused:
        held = self._store.head(log.origin)
        latest = None if held is None else held.checkpoint
        if held is not None and is_fork(checkpoint, latest):
            other = _only_lines_of_log(request.note, log)
            if self._store.put_fork(Fork(log.origin, held.note, other, now_s)):
                self._log.critical("a log signed two trees of one size", origin=log.origin, size=checkpoint.size)
        refused = decide(request, checkpoint, latest)
        if refused is not None:
            return refused
        time_s = now_s if held is None else max(now_s, held.time_s)
        if time_s > now_s + CLOCK_BEHIND_MAX_S:
            expected = f"at least {time_s} s, at which it cosigned; set the clock"
            raise ConditionError(
                field="this machine's clock", found="an earlier time", expected=expected, code=Code.CLOCK_AHEAD
            )
        is_grown = latest is None or checkpoint.size > latest.size
        day, growths = _count_growth(held, now_s, is_grown=is_grown)
        if growths > log.growths_per_day_max:
            return Refused(Status.TOO_MANY, f"the log may grow {log.growths_per_day_max} times a day here")
        if held is not None and (held.note.text, held.time_s) == (request.note.text, time_s):
            return _line_of(held.note, self._key.verifier)
        line = self._key.cosign(request.note.text, time_s=time_s)
        lines = _only_lines_of_log(request.note, log).signatures
        self._store.put_head(Note(request.note.text, (*lines, line)), day=day, growths=growths)
        return line


def init_witness(
    folder: Path, name: str, passphrase: bytes, *, randomness: RandomSource, cost: sealedfile.Cost
) -> VerifierKey:
    """Make a new witness's key and the memory that belongs to it.

    Args:
        folder: of both; it is made.
        name: of the key: a schema-less URL.
        passphrase: from `sealedfile.encode_passphrase`.
        randomness: gives that many random bytes.
        cost: of a guess of the passphrase.

    Raises:
        ConditionError: there is a key already (`CONFIG`), or the disk refuses.
        FormatError: `name`: not a key name.
    """
    key = make_witness_key(name, randomness=randomness)
    with disk_conditions(folder):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        require_no_key(folder / KEY_FILE)
    found_witness_store(folder / STORE_FILE, key.verifier)  # first: a key is never without its memory
    write_witness_key(folder / KEY_FILE, key, passphrase, randomness=randomness, cost=cost)
    return key.verifier


def open_witness(
    folder: Path, passphrase: bytes, logs: Mapping[str, WitnessedLog], *, reach: Callable[[str], None] = pass_by
) -> Witness:
    """Open a witness that `init_witness` made; `reach` is told where a crash could leave something half done.

    Raises:
        ConditionError: `PASSPHRASE`, `KEY_FILE_DAMAGED`, `STORE_DAMAGED`; nothing is begun anew.
        FormatError: `KEY_FILE_DAMAGED`.
    """
    key = open_witness_key(folder / KEY_FILE, passphrase)
    store = WitnessStore(folder / STORE_FILE, reach=reach)
    try:
        return Witness(store, key, logs)
    except BaseException:
        store.close()
        raise


def read_log_list(path: Path) -> Mapping[str, WitnessedLog]:
    """Read the list of logs a witness is configured for.

    Raises:
        ConditionError: no such file, or the disk refuses (`CONFIG`).
        FormatError: not a list; the line is named.
    """
    if not path.exists():
        raise ConditionError(
            field=str(path), found="no such file", expected="the list of logs to witness", code=Code.CONFIG
        )
    with disk_conditions(path), path.open("rb") as file:
        raw = file.read(LOG_LIST_BYTES_MAX + 1)
    try:
        return parse_log_list(raw)
    except FormatError as error:
        raise error.inside(path) from None


def compute_origin_hash(origin: str) -> str:
    """Name a log in a path: hex SHA-256 of its origin (C2SP tlog-witness, monitoring)."""
    return hashlib.sha256(origin.encode("utf-8")).hexdigest()


def _make_reply(answer: SignatureLine | Refused) -> Reply:
    if isinstance(answer, SignatureLine):
        return Reply(Status.COSIGNED, encode_lines([answer]))
    if answer.held is not None:
        return Reply(answer.status, encode_size(answer.held), SIZE_MEDIA_TYPE)
    return Reply(answer.status, f"{answer.words}\n".encode())


def _count_growth(held: Held | None, now_s: Seconds, *, is_grown: bool) -> tuple[int, int]:
    """Give the day, and how often the log has grown on it with this request."""
    today = now_s // DAY_S
    before = held.growths if held is not None and held.day == today else 0
    return today, before + is_grown


def _only_lines_of_log(note: Note, log: WitnessedLog) -> Note:
    """Leave out lines that nobody verified."""
    return Note(note.text, tuple(line for line in note.signatures if (line.name, line.key_id) in log.known))


def _line_of(note: Note, key: VerifierKey) -> SignatureLine:
    return next(line for line in note.signatures if (line.name, line.key_id) == (key.name, key.key_id))
