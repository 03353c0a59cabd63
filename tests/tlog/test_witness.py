"""A witness and its memory: every answer, what a crash leaves, and that all it ever cosigned is one history."""

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from structlog.testing import capture_logs

from ledger.errors import Code, ConditionError, FormatError
from ledger.loglists import WitnessedLog
from ledger.notes import Note, encode_note, encode_vkey, parse_note
from ledger.positions import Seconds
from ledger.witnessing import (
    SIZE_MEDIA_TYPE,
    Status,
    encode_add_checkpoint,
    parse_add_checkpoint,
    parse_lines,
    parse_size,
    verify_cosignature,
)
from tests.tlog.foreignlog import (
    CHEAP,
    NAME,
    NOW,
    PASSPHRASE,
    Branch,
    ForeignLog,
    make_witness,
    open_made,
    seed_source,
    time_of,
)
from tlog.witness import CLOCK_BEHIND_MAX_S, DAY_S, Reply, Witness, compute_origin_hash, init_witness, open_witness
from tlog.witness_key import KEY_FILE, open_witness_key
from tlog.witness_store import FORKS_MAX, STORE_FILE, WitnessStore

LOG, OTHER = ForeignLog(), ForeignLog("other.example")
HONEST, FORK = Branch(), Branch("fork", 3)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    make_witness(tmp_path / "w")
    return tmp_path / "w"


@pytest.fixture
def witness(folder: Path) -> Iterator[Witness]:
    made = open_made(folder, LOG.listed(), OTHER.listed())
    yield made
    made.close()


def add(witness: Witness, old: int, size: int, branch: Branch = HONEST, *, now: int = NOW) -> Reply:
    return witness.add_checkpoint(LOG.body(old, size, branch), now_s=Seconds(now))


# -- answers ----------------------------------------------------------------------------------------------------------


def test_what_it_cosigns_verifies_under_its_key_and_is_what_others_read_of_it(witness: Witness, folder: Path) -> None:
    reply = add(witness, 0, 5)
    key = open_witness_key(folder / KEY_FILE, PASSPHRASE).verifier
    assert (reply.status, reply.media_type, witness.vkey) == (200, "text/plain; charset=utf-8", encode_vkey(key))
    line = verify_cosignature(parse_lines(reply.body), key=key, text=LOG.text(5), now_s=NOW)
    raw = witness.read_checkpoint(compute_origin_hash(LOG.origin))
    assert raw is not None
    assert parse_note(raw) == Note(LOG.text(5), (*LOG.sign(LOG.text(5)).signatures, line))


def test_a_conflict_says_the_size_and_nothing_else(witness: Witness) -> None:
    add(witness, 0, 5)
    reply = add(witness, 3, 9)
    assert (reply.status, reply.media_type, reply.body) == (409, SIZE_MEDIA_TYPE, b"5\n")


def test_every_other_refusal_says_why_in_one_line(witness: Witness) -> None:
    add(witness, 0, 5)
    unknown = ForeignLog("nobody.example").body(0, 5)
    refused = {
        400: b"nonsense",
        403: LOG.body(5, 9).replace(b"\n9\n", b"\n8\n", 1),
        404: unknown,
        422: LOG.body(5, 9, proof=[]),
    }
    for status, raw in refused.items():
        reply = witness.add_checkpoint(raw, now_s=NOW)
        assert (reply.status, reply.body.count(b"\n")) == (status, 1)
    assert witness.answered == dict.fromkeys((200, 400, 403, 404, 422), 1)


def test_logs_do_not_touch_each_other(witness: Witness) -> None:
    assert add(witness, 0, 5).status == 200
    assert witness.add_checkpoint(OTHER.body(0, 2), now_s=NOW).status == 200
    assert add(witness, 5, 9).status == 200
    assert witness.add_checkpoint(OTHER.body(2, 3), now_s=NOW).status == 200


def test_of_a_log_that_nobody_asked_about_there_is_nothing_to_read(witness: Witness) -> None:
    assert witness.read_checkpoint(compute_origin_hash(LOG.origin)) is None
    assert witness.read_checkpoint(compute_origin_hash("nobody.example")) is None
    assert witness.read_checkpoint("") is None


def test_lines_that_nobody_verified_are_not_handed_on(witness: Witness) -> None:
    text = LOG.text(5)
    request = LOG.request(0, 5)
    junk = ForeignLog("junk.example").sign(text).signatures
    body = encode_add_checkpoint(parse_add_checkpoint(LOG.body(0, 5)))
    assert witness.add_checkpoint(body + encode_note(Note("x\n", junk)).partition(b"\n\n")[2], now_s=NOW).status == 200
    raw = witness.read_checkpoint(compute_origin_hash(LOG.origin))
    assert raw is not None
    assert parse_note(raw).signatures[:-1] == request.note.signatures


def test_the_same_again_is_cosigned_with_the_present_time(witness: Witness) -> None:
    times = [time_of(add(witness, old, 5, now=now).body) for old, now in ((0, NOW), (5, NOW), (5, NOW + 7))]
    assert times == [NOW, NOW, NOW + 7]


def test_whoever_repeats_a_request_within_a_second_costs_no_disk(witness: Witness, folder: Path) -> None:
    first = add(witness, 0, 5)
    wal = folder / f"{STORE_FILE}-wal"
    before = wal.read_bytes()
    assert [add(witness, 5, 5).body for _ in range(3)] == [first.body] * 3
    assert add(witness, 0, 5).status == 409
    assert wal.read_bytes() == before
    add(witness, 5, 5, now=NOW + 1)
    assert wal.read_bytes() != before  # or the comparison says nothing


# -- time and budgets -------------------------------------------------------------------------------------------------


def test_times_never_fall_though_the_clock_be_set_back(witness: Witness) -> None:
    add(witness, 0, 5)
    assert time_of(add(witness, 5, 6, now=NOW - CLOCK_BEHIND_MAX_S).body) == NOW


def test_nothing_is_cosigned_while_the_clock_is_far_behind_what_was_signed(witness: Witness) -> None:
    add(witness, 0, 5)
    with capture_logs() as said:
        replies = [add(witness, 5, 6, now=NOW - CLOCK_BEHIND_MAX_S - late) for late in (1, 2, 3)]
    assert [reply.status for reply in replies] == [503] * 3
    assert len(said) == 1
    assert not any(b"clock" in reply.body for reply in replies)  # that is for the operator
    assert add(witness, 5, 6).status == 200


def test_a_log_grows_as_often_a_day_as_its_budget_allows_and_may_be_cosigned_again(folder: Path) -> None:
    witness = open_made(folder, LOG.listed(qpd=3))
    midnight = (NOW // DAY_S + 1) * DAY_S
    assert [add(witness, size - 1, size).status for size in (1, 2, 3, 4)] == [200, 200, 200, 429]
    assert add(witness, 3, 3).status == 200
    assert add(witness, 3, 4, now=midnight - 1).status == 429
    assert add(witness, 3, 4, now=midnight).status == 200
    witness.close()


# -- forks ------------------------------------------------------------------------------------------------------------


def forks_of(folder: Path) -> list[tuple[str, str]]:
    with WitnessStore(folder / STORE_FILE) as store:
        return [(fork.cosigned.text, fork.other.text) for fork in store.forks()]


@pytest.mark.parametrize(("old", "status"), [(5, 422), (4, 409)])
def test_a_log_that_signed_two_trees_of_one_size_is_caught_whatever_it_asked_for(
    witness: Witness, folder: Path, old: int, status: int
) -> None:
    add(witness, 0, 5)
    with capture_logs() as said:
        for _ in range(2):
            assert add(witness, old, 5, FORK).status == status
    assert forks_of(folder) == [(LOG.text(5), LOG.text(5, FORK))]
    assert [line["log_level"] for line in said] == ["critical"]  # once, however often it is repeated


def test_a_bad_proof_is_no_fork(witness: Witness, folder: Path) -> None:
    add(witness, 0, 5)
    assert add(witness, 5, 9, FORK).status == 422
    assert forks_of(folder) == []


def test_what_is_kept_of_forks_is_bounded(witness: Witness, folder: Path) -> None:
    add(witness, 0, 5)
    for number in range(FORKS_MAX + 3):
        add(witness, 5, 5, Branch(f"fork {number}", 3))
    assert len(forks_of(folder)) == FORKS_MAX


# -- key and memory ---------------------------------------------------------------------------------------------------


def test_a_witness_remembers_when_it_is_opened_again(folder: Path) -> None:
    for old, size in ((0, 5), (5, 9)):
        witness = open_made(folder, LOG.listed())
        assert add(witness, old, size).status == 200
        assert add(witness, old, size).status == 409
        witness.close()


def test_a_memory_without_its_key_is_not_written_over(folder: Path) -> None:
    """It may hold the proof that a log forked."""
    (folder / KEY_FILE).unlink()
    with pytest.raises(ConditionError, match="an empty folder"):
        make_witness(folder)
    assert not (folder / KEY_FILE).exists()


def test_the_key_is_for_its_owner_alone_encrypted_and_never_written_over(folder: Path) -> None:
    path = folder / KEY_FILE
    assert path.stat().st_mode & 0o777 == 0o600
    before = path.read_bytes()
    with pytest.raises(ConditionError, match="never overwritten"):
        make_witness(folder)
    assert path.read_bytes() == before
    with pytest.raises(ConditionError) as refused:
        open_witness_key(path, b"another")
    assert refused.value.code is Code.PASSPHRASE
    key = open_witness_key(path, PASSPHRASE)
    assert key.secret_bytes() not in before
    assert key.secret_bytes().hex() not in repr(key)
    assert sorted(each.name for each in folder.iterdir()) == [KEY_FILE, STORE_FILE]


def test_a_name_that_no_key_may_have_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="name"):
        init_witness(tmp_path / "w", "a b", PASSPHRASE, randomness=seed_source("x"), cost=CHEAP)
    assert not (tmp_path / "w").exists()


def test_a_damaged_key_file_is_refused(folder: Path) -> None:
    path = folder / KEY_FILE
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(FormatError) as refused:
        open_witness_key(path, PASSPHRASE)
    assert refused.value.code is Code.KEY_FILE_DAMAGED
    path.unlink()
    with pytest.raises(ConditionError) as missing:
        open_witness_key(path, PASSPHRASE)
    assert missing.value.code is Code.KEY_FILE_DAMAGED


def test_a_lost_memory_does_not_look_like_a_witness_that_has_seen_nothing(folder: Path) -> None:
    (folder / STORE_FILE).unlink()
    with pytest.raises(ConditionError, match="give this witness and its key up") as refused:
        open_made(folder, LOG.listed())
    assert refused.value.code is Code.STORE_DAMAGED
    assert not (folder / STORE_FILE).exists()


def test_the_memory_of_another_key_is_refused(folder: Path, tmp_path: Path) -> None:
    make_witness(tmp_path / "another")
    (tmp_path / "another" / STORE_FILE).replace(folder / STORE_FILE)
    with pytest.raises(ConditionError, match="the memory of") as refused:
        open_made(folder, LOG.listed())
    assert refused.value.code is Code.STORE_DAMAGED


def test_a_log_that_has_the_witnesss_own_key_is_refused(folder: Path) -> None:
    key = open_witness_key(folder / KEY_FILE, PASSPHRASE).verifier
    known = MappingProxyType({(key.name, key.key_id): key})
    with pytest.raises(ConditionError) as refused:
        open_witness(folder, PASSPHRASE, {LOG.origin: WitnessedLog(LOG.origin, known, 5)})
    assert refused.value.code is Code.CONFIG


EDITS = {
    "an older size": "UPDATE heads SET note = CAST(replace(CAST(note AS TEXT), '\n5\n', '\n4\n') AS BLOB)",
    "no cosignature": "UPDATE heads SET note = substr(note, 1, length(note) - 128)",
    "no note": "UPDATE heads SET note = x''",
    "text for bytes": "UPDATE heads SET note = CAST(note AS TEXT)",
    "another log's": "UPDATE heads SET origin = 'other.example'",
    "no number": "UPDATE heads SET growths = 'many'",
    "no key": "UPDATE meta SET value = 'none'",
    "no meta": "DELETE FROM meta",
}


@pytest.mark.parametrize("query", EDITS.values(), ids=EDITS)
def test_a_memory_that_somebody_edited_is_refused(folder: Path, query: str) -> None:
    witness = open_made(folder, LOG.listed())
    add(witness, 0, 5)
    witness.close()
    with sqlite3.connect(folder / STORE_FILE) as connection:
        assert connection.execute(query).rowcount == 1
    connection.close()
    with pytest.raises(ConditionError) as refused:
        open_made(folder, LOG.listed())
    assert refused.value.code is Code.STORE_DAMAGED


def test_a_file_that_is_no_database_is_refused(folder: Path) -> None:
    (folder / STORE_FILE).write_bytes(b"nonsense" * 1000)
    with pytest.raises(ConditionError) as refused:
        open_made(folder, LOG.listed())
    assert refused.value.code is Code.STORE_DAMAGED


def test_a_memory_of_a_later_release_is_refused(folder: Path) -> None:
    with sqlite3.connect(folder / STORE_FILE) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(ConditionError) as refused:
        open_made(folder, LOG.listed())
    assert refused.value.code is Code.VERSION_MISMATCH


def test_every_decision_is_synced_before_it_is_told(folder: Path) -> None:
    """What a power failure would leave cannot be tried here; what SQLite is told to do can be read."""
    with WitnessStore(folder / STORE_FILE) as store:
        modes = [store._connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous")]
    assert modes == ["wal", 2]


def test_a_disk_that_refuses_is_answered_and_nothing_is_forgotten_or_signed(folder: Path) -> None:
    witness = open_made(folder, LOG.listed())
    add(witness, 0, 5)
    witness._store._connection.execute("PRAGMA query_only = ON")  # as a disk that has become read-only
    assert add(witness, 5, 9).status == 503
    witness._store._connection.execute("PRAGMA query_only = OFF")
    reply = add(witness, 0, 9)
    assert (reply.status, parse_size(reply.body)) == (409, 5)
    witness.close()


# -- at once ----------------------------------------------------------------------------------------------------------


def test_of_requests_from_one_size_at_once_exactly_one_wins(folder: Path) -> None:
    """Two openings of one memory, as two processes would have them, and several threads in each."""
    witnesses = [open_made(folder, LOG.listed()) for _ in range(2)]
    with ThreadPoolExecutor(8) as threads:
        for old in range(0, 40, 10):
            bodies = [LOG.body(old, old + 1 + number) for number in range(8)]
            asked = [
                threads.submit(witnesses[number % 2].add_checkpoint, body, now_s=NOW)
                for number, body in enumerate(bodies)
            ]
            replies = [each.result() for each in asked]
            assert sorted(reply.status for reply in replies) == [200] + [409] * 7
            won = next(old + 1 + number for number, reply in enumerate(replies) if reply.status == 200)
            assert [parse_size(reply.body) for reply in replies if reply.status == 409] == [won] * 7
            assert add(witnesses[0], won, old + 10).status == 200
    for witness in witnesses:
        witness.close()


@pytest.mark.parametrize("point", ["witness.begun", "witness.written", "witness.durable"])
def test_a_witness_killed_at_any_point_of_a_decision_never_signs_two_trees_of_one_size(
    folder: Path, point: str
) -> None:
    """It dies while it cosigns size 9; then whoever comes with another tree of size 9 learns what it remembers."""
    witness = open_made(folder, LOG.listed())
    add(witness, 0, 5)
    witness.close()
    (folder / "body").write_bytes(LOG.body(5, 9))
    (folder / "logs").write_text(LOG.listed())
    victim = subprocess.run(
        [sys.executable, "-m", "tests.tlog.witness_victim", folder, point], capture_output=True, check=False
    )
    assert (victim.returncode, victim.stdout) == (-9, b""), victim.stderr
    witness = open_made(folder, LOG.listed())
    is_durable = point == "witness.durable"
    reply = add(witness, 5, 9, Branch("fork", 5))
    assert reply.status == (409 if is_durable else 200)
    assert add(witness, 9, 9).status == (200 if is_durable else 422)
    witness.close()


# -- any sequence of requests -----------------------------------------------------------------------------------------


BRANCHES = [Branch(), Branch("fork at 3", 3), Branch("fork at 6", 6)]


class AnySequence(RuleBasedStateMachine):
    """Whoever asks what, in whatever order, across restarts and a clock that is turned: it cosigns one history."""

    def __init__(self) -> None:
        super().__init__()
        self._folder = TemporaryDirectory()
        self.root = Path(self._folder.name) / "w"
        self.cosigned: list[tuple[int, bytes, int]] = []
        self.now = int(NOW)

    @initialize()
    def begin(self) -> None:
        make_witness(self.root)
        self.witness = open_made(self.root, LOG.listed())

    def teardown(self) -> None:
        self.witness.close()
        self._folder.cleanup()

    def held(self) -> int:
        return self.cosigned[-1][0] if self.cosigned else 0

    def take(self, raw: bytes, branch: Branch, size: int) -> Reply:
        reply = self.witness.add_checkpoint(raw, now_s=Seconds(self.now))
        if reply.status == Status.COSIGNED:
            self.cosigned.append((size, branch.root(size), time_of(reply.body)))
        elif reply.status == Status.CONFLICT:
            assert parse_size(reply.body) == self.held()
        return reply

    @rule(branch=st.sampled_from(BRANCHES), more=st.integers(0, 4))
    def grow(self, branch: Branch, more: int) -> None:
        """As an honest log would, or one that shows another history: from the size held, with the right proof."""
        size = self.held() + more
        reply = self.take(LOG.body(self.held(), size, branch), branch, size)
        extends = not self.cosigned or self.cosigned[-1][:2] == (self.held(), branch.root(self.held()))
        assert (reply.status == Status.COSIGNED) is extends

    @rule(branch=st.sampled_from(BRANCHES), old=st.integers(0, 12), size=st.integers(0, 12), shown=st.integers(0, 12))
    def ask(self, branch: Branch, old: int, size: int, shown: int) -> None:
        """Anything, with the proof from another size."""
        self.take(LOG.body(old, size, branch, proof=branch.prove(shown, size)), branch, size)

    @rule()
    def restart(self) -> None:
        self.witness.close()
        self.witness = open_made(self.root, LOG.listed())

    @rule(step=st.integers(-CLOCK_BEHIND_MAX_S, 100))
    def turn_the_clock(self, step: int) -> None:
        newest = self.cosigned[-1][2] if self.cosigned else 0
        self.now = max(self.now + step, newest - CLOCK_BEHIND_MAX_S)

    @invariant()
    def is_one_history(self) -> None:
        for (size, root, time_s), (next_size, next_root, next_time_s) in zip(
            self.cosigned, self.cosigned[1:], strict=False
        ):
            assert size <= next_size
            assert time_s <= next_time_s
            assert any((each.root(size), each.root(next_size)) == (root, next_root) for each in BRANCHES)


TestAnySequence = AnySequence.TestCase
TestAnySequence.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)


def test_what_it_remembers_can_be_read_beside_it_without_a_passphrase(folder: Path) -> None:
    witness = open_made(folder, LOG.listed())
    add(witness, 0, 5)
    with WitnessStore(folder / STORE_FILE) as store:
        (held,) = store.heads().values()
        assert (held.checkpoint.size, held.time_s, held.growths, store.key.name) == (5, NOW, 1, NAME)
    witness.close()
