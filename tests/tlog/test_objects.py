"""An object store as a published folder: a real S3-compatible server, stores that cannot keep conditions, and races."""

import json
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import httpx
import obstore
import pytest
from obstore.store import MemoryStore

from ledger.errors import Code, ConditionError
from ledger.positions import Millis
from tests.node.ledger_in_memory import MemoryLedger, read_everything
from tests.tlog.crashing import CrashError, CrashingFiles
from tests.tlog.plain_store import KEY_ID, SECRET, PlainStore, running_plain_store, set_environment
from tlog import objects
from tlog import publisher as publishing
from tlog.objects import ObjectFiles
from tlog.opening import open_files, open_reader
from tlog.places import parse_place
from tlog.publisher import PARTIAL_KEPT, Files, Publisher
from tlog.reading import FolderFiles
from tlog.resources import parse_resource

NOW = Millis(10**12)
SIZE_MAX = 1 << 20


@pytest.fixture(scope="module")
def ledger() -> MemoryLedger:
    return MemoryLedger(100)


@pytest.fixture(autouse=True)
def few_schemas(monkeypatch: pytest.MonkeyPatch) -> None:
    """Thirty small files that are all written alike take longer than all that matters here."""
    monkeypatch.setattr(publishing, "PREDICATES", ["report"])


@pytest.fixture
def opened() -> Iterator[Callable[[str], ObjectFiles]]:
    """Opens stores, and closes them after the test."""
    made: list[ObjectFiles] = []

    def open_store(url: str, **more: MemoryStore) -> ObjectFiles:
        made.append(ObjectFiles(url, **more))
        return made[-1]

    yield open_store
    for files in made:
        files.close()


Opened = Callable[..., ObjectFiles]


def all_of(files: ObjectFiles) -> dict[str, bytes]:
    return {path: files.read(path, size_max=SIZE_MAX) or b"" for path in files.paths()}


def fetch_from(files: ObjectFiles) -> Callable[[str], bytes | None]:
    """What is there, listed and read once: a reader below asks for every width of a bundle of headers."""
    return all_of(files).get


def publisher_of(ledger: MemoryLedger, files: Files) -> Publisher:
    return Publisher(files, ledger, ledger.identity())


def test_a_stranger_reads_everything_back_from_the_store(ledger: MemoryLedger, bucket: str, opened: Opened) -> None:
    files = opened(bucket)
    publisher = publisher_of(ledger, files)
    for height in (0, 1, 85, 86, 99):
        publisher.publish(ledger.snapshot(height), now=NOW)
        size, entries, headers = read_everything(fetch_from(files))
        assert size == ledger.headers[height].header.tree_size
        assert (entries, headers) == (ledger.all_entries[:size], ledger.headers[: height + 1])
    assert files.is_conditional is True


def test_a_store_that_serves_directly_gives_the_headers_that_a_node_gives(
    ledger: MemoryLedger, bucket: str, opened: Opened, s3_url: str
) -> None:
    files = opened(bucket)
    publisher_of(ledger, files).publish(ledger.snapshot(99), now=NOW)
    policy = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "*"}
    name, _, prefix = bucket.removeprefix("s3://").partition("/")
    assert httpx.put(f"{s3_url}/{name}?policy", content=json.dumps({"Statement": [policy]})).is_success
    paths = list(files.paths())
    assert {"checkpoint", "charter", "tile/0/000", "tile/entries/001.p/42", "headers/000.p/100"} <= set(paths)
    for path in paths:
        answer = httpx.get(f"{s3_url}/{name}/{prefix}/{path}")
        expected = parse_resource(path)
        assert answer.status_code == 200
        assert answer.content == files.read(path, size_max=SIZE_MAX)
        assert answer.headers["content-type"] == expected.media_type, path
        assert answer.headers["cache-control"] == expected.caching, path
        assert "content-encoding" not in answer.headers


def test_after_a_crash_at_any_step_the_store_is_whole_and_goes_on(
    ledger: MemoryLedger, make_bucket: Callable[[], str], opened: Opened
) -> None:
    first, second = ledger.snapshot(3), ledger.snapshot(90)
    undisturbed = opened(make_bucket())
    for snapshot in (first, second):
        publisher_of(ledger, undisturbed).publish(snapshot, now=NOW)
    expected = all_of(undisturbed)
    step, crashed = 0, True
    while crashed:
        files = opened(make_bucket())
        publisher = publisher_of(ledger, CrashingFiles(files, step=10**9))
        publisher.publish(first, now=NOW)
        publisher._files = CrashingFiles(files, step=step)
        try:
            publisher.publish(second, now=NOW)
            crashed = False
        except CrashError:
            size, entries, _ = read_everything(fetch_from(files))
            assert entries == ledger.all_entries[:size]
            publisher_of(ledger, files).publish(second, now=NOW)
        assert all_of(files) == expected
        step += 1
    assert step > 7


def test_a_publisher_that_crashes_at_each_write_in_turn_still_ends(ledger: MemoryLedger, opened: Opened) -> None:
    store = MemoryStore()
    files = opened("memory:///", store=store)
    attempts = 0
    while True:
        attempts += 1
        try:
            publisher_of(ledger, CrashingFiles(files, step=attempts)).publish(ledger.snapshot(99), now=NOW)
        except CrashError:
            continue
        break
    undisturbed = opened("memory:///", store=MemoryStore())
    publisher_of(ledger, undisturbed).publish(ledger.snapshot(99), now=NOW)
    assert all_of(files) == all_of(undisturbed)
    assert attempts > 9


PUBLISH = """
import sys
from ledger.positions import Millis
from tests.node.ledger_in_memory import MemoryLedger
from tlog.objects import ObjectFiles
from tlog.publisher import Publisher

ledger, files = MemoryLedger(30), ObjectFiles(sys.argv[1])
publisher = Publisher(files, ledger, ledger.identity())
for height in range(30):
    publisher.publish(ledger.snapshot(height), now=Millis(10**12))
    print(height, flush=True)
"""


def test_a_process_that_is_killed_leaves_a_store_that_the_next_one_goes_on_with(
    ledger: MemoryLedger, bucket: str, opened: Opened
) -> None:
    root = Path(__file__).resolve().parents[2]
    with subprocess.Popen(
        [sys.executable, "-c", PUBLISH, bucket], cwd=root, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if int(line) == 5:
                process.kill()
    files = opened(bucket)
    size, entries, _ = read_everything(fetch_from(files))
    assert (size >= 16, entries) == (True, ledger.all_entries[:size])
    publisher_of(ledger, files).publish(ledger.snapshot(99), now=NOW)
    assert read_everything(fetch_from(files))[1] == ledger.all_entries


def test_two_publishers_that_race_leave_what_one_would_have(
    ledger: MemoryLedger, make_bucket: Callable[[], str], opened: Opened
) -> None:
    url = make_bucket()
    refusals: list[ConditionError] = []

    def run(files: ObjectFiles, heights: Sequence[int]) -> None:
        publisher = publisher_of(ledger, files)
        for height in heights:
            try:
                publisher.publish(ledger.snapshot(height), now=NOW)
            except ConditionError as error:
                refusals.append(error)

    threads = [threading.Thread(target=run, args=(opened(url), range(begin, 40, 3))) for begin in (0, 1, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {error.code for error in refusals} <= {Code.NOT_READY}
    files = opened(url)
    publisher_of(ledger, files).publish(ledger.snapshot(39), now=NOW)
    assert read_everything(fetch_from(files))[1] == ledger.all_entries[: ledger.snapshot(39).size]


@pytest.mark.parametrize("has_server", [False, True])
def test_a_checkpoint_never_goes_back_over_one_that_another_publisher_wrote_meanwhile(
    ledger: MemoryLedger, opened: Opened, request: pytest.FixtureRequest, *, has_server: bool
) -> None:
    more = {} if has_server else {"store": MemoryStore()}
    url = request.getfixturevalue("bucket") if has_server else "memory:///"
    ours, theirs = opened(url, **more), opened(url, **more)
    publisher_of(ledger, ours).publish(ledger.snapshot(3), now=NOW)

    class Overtaken(CrashingFiles):
        """Another publisher is done between our last look at the checkpoint and our write."""

        def replace(self, path: str, raw: bytes) -> None:
            if path == "checkpoint":
                publisher_of(ledger, theirs).publish(ledger.snapshot(9), now=NOW)
            self.inner.replace(path, raw)

    with pytest.raises(ConditionError) as refused:
        publisher_of(ledger, Overtaken(ours, step=10**9)).publish(ledger.snapshot(5), now=NOW)
    assert refused.value.code is Code.NOT_READY
    assert read_everything(fetch_from(theirs))[0] == ledger.snapshot(9).size


def test_an_answer_that_was_lost_is_no_race(opened: Opened) -> None:
    store = MemoryStore()
    ours, other = opened("memory:///", store=store), opened("memory:///", store=store)
    assert ours.read("checkpoint", size_max=9) is None
    other.replace("checkpoint", b"new")  # as a first request of ours whose answer never came
    ours.replace("checkpoint", b"new")
    assert ours.read("checkpoint", size_max=9) == b"new"


def test_partial_tiles_go_a_day_after_the_full_one_is_there(ledger: MemoryLedger, bucket: str, opened: Opened) -> None:
    files = opened(bucket)
    publisher = publisher_of(ledger, files)
    publisher.publish(ledger.snapshot(80), now=NOW)
    publisher.publish(ledger.snapshot(90), now=NOW)
    found = dict(files.partials())
    assert sorted(found) == ["tile/0/000.p", "tile/entries/000.p"]
    assert "tile/0/000.p/241" in files.paths("tile/0")
    again = publisher_of(ledger, files)  # as after a restart: the time is the store's
    written = max(found.values())
    again.publish(ledger.snapshot(91), now=Millis(min(found.values()) + PARTIAL_KEPT - 1))
    assert "tile/0/000.p/241" in files.paths("tile/0")
    again.publish(ledger.snapshot(92), now=Millis(written + PARTIAL_KEPT))
    assert [path for path in files.paths() if path.startswith(("tile/0/000.p", "tile/entries/000.p"))] == []
    assert read_everything(fetch_from(files))[0] == ledger.snapshot(92).size


def test_reading_is_bounded(bucket: str, opened: Opened) -> None:
    files = opened(bucket)
    files.create("charter", bytes(100_000))
    assert files.read("charter", size_max=99) == bytes(100)
    assert files.read("charter", size_max=100_000) == bytes(100_000)
    assert files.read("nothing", size_max=9) is None
    files.create("transcript", b"")
    assert files.read("transcript", size_max=9) == b""


# --- stores that keep no conditions ----------------------------------------------------------------------------------


@pytest.fixture(params=["refuses conditions", "ignores conditions"])
def plain_store(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[type[PlainStore]]:
    monkeypatch.setattr(objects, "RETRIES_MAX", 0)
    with running_plain_store(PlainStore, monkeypatch) as store:
        store.refuses = request.param == "refuses conditions"
        yield store


def test_a_store_without_conditions_is_found_out_and_written_to_with_a_look_before(
    plain_store: type[PlainStore], opened: Opened
) -> None:
    files = opened("s3://bucket/ledger")
    assert files.create("charter", b"ours")
    assert files.is_conditional is False
    assert not files.create("charter", b"other")
    assert files.read("charter", size_max=9) == b"ours"
    assert files.read("checkpoint", size_max=9) is None
    for text in (b"one", b"two"):
        files.replace("checkpoint", text)
        assert files.read("checkpoint", size_max=9) == text
    assert set(plain_store.objects) == {"/bucket/ledger/charter", "/bucket/ledger/checkpoint"}


def test_another_ledgers_charter_is_safe_in_a_store_without_conditions(
    plain_store: type[PlainStore], opened: Opened
) -> None:
    plain_store.objects["/bucket/ledger/charter"] = b"another ledger's"
    assert not opened("s3://bucket/ledger").create("charter", b"ours")
    assert plain_store.objects["/bucket/ledger/charter"] == b"another ledger's"
    assert plain_store.puts == []


# --- when it does not work -------------------------------------------------------------------------------------------


def failure_of(act: Callable[[], object]) -> ConditionError:
    with pytest.raises(ConditionError) as refused:
        act()
    for secret in (SECRET, KEY_ID):
        assert secret not in str(refused.value)
        assert secret not in str(refused.value.__context__ if refused.value.__cause__ else "")
    return refused.value


def test_a_bucket_that_is_not_there_is_named(bucket: str, opened: Opened) -> None:
    files = opened("s3://no-such-bucket/ledger")
    for act in (lambda: files.create("charter", b"x"), lambda: files.read("charter", size_max=9)):
        error = failure_of(act)
        assert (error.code, error.field) == (Code.UNREACHABLE, "s3://no-such-bucket/ledger/charter")
        assert error.found == "404 Not Found (NoSuchBucket)"


def test_a_store_that_is_down_is_named(monkeypatch: pytest.MonkeyPatch, opened: Opened) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        set_environment(monkeypatch, f"http://127.0.0.1:{taken.getsockname()[1]}")
    monkeypatch.setattr(objects, "RETRIES_MAX", 1)
    error = failure_of(lambda: opened("s3://bucket/x").read("checkpoint", size_max=9))
    assert (error.code, error.field) == (Code.UNREACHABLE, "s3://bucket/x/checkpoint")


@pytest.fixture
def silent_store(monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """It takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        set_environment(monkeypatch, f"http://127.0.0.1:{listening.getsockname()[1]}")
        yield listening


def test_a_store_that_says_nothing_is_given_up(
    silent_store: socket.socket, monkeypatch: pytest.MonkeyPatch, opened: Opened
) -> None:
    monkeypatch.setattr(objects, "REQUEST_S", 0.2)
    error = failure_of(lambda: opened("s3://bucket/x").create("charter", b"x"))
    assert error.code is Code.TIMEOUT


def test_closing_ends_a_request_that_is_under_way(silent_store: socket.socket, opened: Opened) -> None:
    files = opened("s3://bucket/x")
    failures: list[ConditionError] = []
    thread = threading.Thread(target=lambda: failures.append(failure_of(lambda: files.read("checkpoint", size_max=9))))
    thread.start()
    connection, _ = silent_store.accept()  # it is under way
    files.close()
    thread.join()
    connection.close()
    assert [error.code for error in failures] == [Code.DRAINING]
    assert failure_of(lambda: files.exists("checkpoint")).code is Code.DRAINING


def test_wrong_credentials_are_named_and_not_printed(monkeypatch: pytest.MonkeyPatch, opened: Opened) -> None:
    class Refusing(PlainStore):
        def do_GET(self) -> None:  # noqa: N802
            self._answer(
                403,
                f"<Error><Code>InvalidAccessKeyId</Code><AWSAccessKeyId>{KEY_ID}</AWSAccessKeyId>"
                f"<StringToSign>{SECRET}</StringToSign></Error>".encode(),
            )

    with running_plain_store(Refusing, monkeypatch):
        error = failure_of(lambda: opened("s3://bucket/x").read("checkpoint", size_max=9))
    assert error.code is Code.UNAUTHENTICATED
    assert error.found == "403 Forbidden (InvalidAccessKeyId)"


def test_what_a_kind_of_store_needs_and_the_environment_lacks_is_named() -> None:
    error = failure_of(lambda: ObjectFiles("az://container/x"))
    assert (error.code, error.field) == (Code.CONFIG, "az://container/x")
    assert "Account must be specified" in error.found


def test_a_panic_of_the_client_is_an_error_as_any_other(opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    panic = type("PanicException", (BaseException,), {})

    async def fail(*_: object) -> None:
        raise panic

    monkeypatch.setattr(obstore, "head_async", fail)
    error = failure_of(lambda: opened("memory:///", store=MemoryStore()).exists("charter"))
    assert (error.code, "panic" in error.found) == (Code.UNREACHABLE, True)


def test_a_store_that_stops_keeping_conditions_is_looked_at_before_each_write(
    plain_store: type[PlainStore], opened: Opened
) -> None:
    files = opened("s3://bucket/ledger")
    files.is_conditional = True  # as it was before the store was changed
    plain_store.refuses = True
    plain_store.objects["/bucket/ledger/charter"] = b"another ledger's"
    assert not files.create("charter", b"ours")
    assert plain_store.puts == []


def test_a_place_is_opened_by_its_name(bucket: str, tmp_path: Path) -> None:
    for name in (bucket, str(tmp_path), tmp_path.as_uri()):
        place = parse_place(name, field="x")
        files = open_files(place)
        assert files.create("charter", b"x") == (name != tmp_path.as_uri()), "the last two are one place"
        reader = open_reader(place)
        assert isinstance(reader, FolderFiles | ObjectFiles)
        assert list(reader.paths()) == ["charter"]
        assert reader.read("charter", size_max=9) == b"x"
        for opened_place in (files, reader):
            if isinstance(opened_place, ObjectFiles):
                opened_place.close()
    with pytest.raises(ConditionError, match="takes nothing"):
        open_files(parse_place("http://127.0.0.1/", field="x"))
