"""A mirror publishes what it verified: all of it, to the byte, and not a byte that somebody made up."""

import contextlib
import json
import os
import re
import secrets
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from ledger.blocks import encode_header_bundle
from ledger.charter import ledger_keys
from ledger.errors import Code, ConditionError, FormatError, LedgerError, PolicyError
from ledger.limits import NOTE_LINES_PUBLISHED_MAX
from ledger.notes import Note, encode_note, parse_note
from ledger.policy import verify as verify_note
from node.v1 import reading_pb2_grpc
from observer.agreement import Relation
from observer.copy import FILE, require_copy
from observer.mirror import patience, targets
from observer.mirror.passing import SOFTWARE, shorten_note
from observer.mirror.rounds import Round, _Asked
from observer.mirror.targets import find_folder, open_target, require_plain_url
from observer.mirror.telling import Teller
from observer.sync import Outcome, sync_home
from tests.ledger.rulebook import NATIONS
from tests.node.ledger_in_memory import files_in, read_everything
from tests.observer.conftest import Reading, make_ledger
from tests.observer.fakeledger import FakeLedger
from tests.observer.forking import fork
from tests.observer.mirroring import (
    HEIGHTS,
    Answer,
    archival_height,
    make_long_ledger,
    mirror,
    publish,
    send,
    send_bomb,
    send_endlessly,
    serving,
)

BUNDLE, LAST_BUNDLE, HEADERS = "tile/entries/001", "tile/entries/004.p/27", "headers/000"


@pytest.fixture(scope="session")
def long_ledger() -> FakeLedger:
    return make_long_ledger()


@pytest.fixture(scope="session")
def published(long_ledger: FakeLedger, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What an honest node serves; no test may change it."""
    return publish(long_ledger, tmp_path_factory.mktemp("node"), archives=8)


@pytest.fixture(autouse=True)
def on_a_quick_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """What survives a loss of power is the affair of the tests of the folder; here it would only take time."""
    monkeypatch.setattr(os, "fsync", lambda _: None)


def refusal(place: Path, *sources: str, fingerprint: bytes | None, target: str | None = None) -> LedgerError:
    """Mirror once; gives what it ends with."""
    with pytest.raises(LedgerError) as refused:
        mirror(place, *sources, fingerprint=fingerprint, target=target)
    return refused.value


def said_by(error: LedgerError) -> list[dict[str, Any]]:
    return [event for note in error.__notes__ for event in json.loads(note)]


def differing(mirrored: Path, node: Path) -> list[str]:
    """Names of a node's files that a mirror has otherwise, or not at all."""
    there = files_in(mirrored)
    return [path for path, raw in files_in(node).items() if there.get(path) != raw]


# --- what is true is passed on ---------------------------------------------------------------------------------------


def test_a_mirror_has_every_file_of_a_node_to_the_byte_and_says_that_it_is_a_mirror(
    long_ledger: FakeLedger, published: Path, tmp_path: Path
) -> None:
    with serving(published) as node:
        said = mirror(tmp_path, node.url, fingerprint=long_ledger.fingerprint)
    # `checkpoint` has more lines than the node's own: the cosigned note of the same block was shown as well
    assert differing(tmp_path / "mirror", published) == ["checkpoint"]
    files = files_in(tmp_path / "mirror")
    assert files["checkpoint"] == files["cosignatures"] == long_ledger.note(cosigners=3)
    assert json.loads(files["index.json"])["software"] == SOFTWARE
    assert "signs nothing" in SOFTWARE
    assert [(event["event"], event.get("standing")) for event in said] == [("source", "followed"), ("published", None)]
    assert said[1]["archives"] == list(range(8))
    assert said[1]["tree_size"] == len(long_ledger.entries)


def test_an_observer_of_a_mirror_of_a_mirror_has_the_head_of_the_node(
    long_ledger: FakeLedger, published: Path, tmp_path: Path
) -> None:
    fingerprint = long_ledger.fingerprint
    with serving(published) as node:
        mirror(tmp_path / "first", node.url, fingerprint=fingerprint)
    with serving(tmp_path / "first/mirror") as first:
        mirror(tmp_path / "second", first.url, fingerprint=fingerprint)
    assert files_in(tmp_path / "second/mirror") == files_in(tmp_path / "first/mirror")
    with serving(tmp_path / "second/mirror") as second:
        result = sync_home(tmp_path / "copy", [second.url], fingerprint=fingerprint, draw=secrets.token_bytes)
    assert result.head == long_ledger.chain[-1]


def test_what_a_mirror_serves_is_read_by_somebody_who_believes_nothing(
    long_ledger: FakeLedger, published: Path, tmp_path: Path
) -> None:
    mirror(tmp_path, str(published), fingerprint=long_ledger.fingerprint)
    with serving(tmp_path / "mirror") as served, httpx.Client(base_url=served.url) as client:
        fetched = {path: client.get(path).content for path in files_in(tmp_path / "mirror")}
        size, entries, headers = read_everything(fetched.get)
    assert (size, entries, headers) == (len(long_ledger.entries), long_ledger.entries, long_ledger.chain)


def test_a_mirror_of_a_nodes_service_publishes_files(
    long_ledger: FakeLedger, tmp_path: Path, serve_grpc: Callable[[reading_pb2_grpc.ReadingServicer], str]
) -> None:
    url = serve_grpc(Reading(long_ledger))
    mirror(tmp_path, url, fingerprint=long_ledger.fingerprint)
    node = long_ledger.publish(tmp_path / "node")
    assert differing(tmp_path / "mirror", node) == ["checkpoint"]


def test_a_mirror_goes_on_where_it_stopped_and_asks_for_nothing_twice(
    long_ledger: FakeLedger, published: Path, tmp_path: Path
) -> None:
    early = publish(long_ledger, tmp_path / "early", 290, archives=1)
    mirror(tmp_path, str(early), fingerprint=long_ledger.fingerprint)
    old = files_in(tmp_path / "mirror")
    with serving(published) as node:
        mirror(tmp_path, node.url, fingerprint=None)
        asked = list(node.asked)
        again = mirror(tmp_path, node.url, fingerprint=None)
    assert HEADERS not in asked
    assert BUNDLE not in asked
    new = files_in(tmp_path / "mirror")
    assert {path for path in old if new.get(path) != old[path]} == {"checkpoint", "cosignatures"}
    assert [event["event"] for event in again] == ["source"], "nothing is new"


def test_a_place_that_was_lost_is_published_again_from_the_copy(
    long_ledger: FakeLedger, published: Path, tmp_path: Path
) -> None:
    mirror(tmp_path, str(published), fingerprint=long_ledger.fingerprint)
    before = files_in(tmp_path / "mirror")
    (tmp_path / "mirror").rename(tmp_path / "lost")
    mirror(tmp_path, str(published), fingerprint=None)
    assert files_in(tmp_path / "mirror") == before


# --- lines -----------------------------------------------------------------------------------------------------------


def add_line(raw: bytes, name: str = "stranger.example") -> bytes:
    note = parse_note(raw)
    line = note.signatures[0].__class__(name=name, key_id=b"mine", signature=bytes(64))
    return encode_note(Note(note.text, (line, *note.signatures)))


def test_a_strangers_line_is_not_passed_on_and_the_others_are_in_their_order(
    long_ledger: FakeLedger, published: Path, tmp_path: Path
) -> None:
    note, archive = long_ledger.note(cosigners=3), (published / "archive/1").read_bytes()
    lies = {path: send(add_line(note)) for path in ("checkpoint", "cosignatures")}
    with serving(published, {**lies, "archive/1": send(add_line(archive))}) as node:
        mirror(tmp_path, node.url, fingerprint=long_ledger.fingerprint)
    files = files_in(tmp_path / "mirror")
    assert (files["checkpoint"], files["cosignatures"], files["archive/1"]) == (note, note, archive)


def test_lines_of_strangers_take_no_room_in_the_copy(long_ledger: FakeLedger, published: Path, tmp_path: Path) -> None:
    note = long_ledger.note(cosigners=3)
    crowded = note
    for number in range(100):
        crowded = add_line(crowded, f"stranger-{number}.example")
    with serving(published, {"cosignatures": send(crowded)}) as node:
        sync_home(tmp_path / "home", [node.url], fingerprint=long_ledger.fingerprint, draw=secrets.token_bytes)
    with require_copy(tmp_path / "home") as copy:
        assert copy.notes() == [(HEIGHTS, note)]


def test_a_short_note_keeps_the_seal_however_its_lines_are_ordered(long_ledger: FakeLedger) -> None:
    keys = ledger_keys(long_ledger.charter)
    note = parse_note(long_ledger.note(cosigners=3))
    log, seal, *cosigned = note.signatures
    many = [log.__class__(each.name, each.key_id, bytes([n]) * 72) for n in range(20) for each in cosigned[:1]]
    short = shorten_note(Note(note.text, (*many, log, seal)), keys)
    assert len(short.signatures) == NOTE_LINES_PUBLISHED_MAX
    assert short.signatures[:2] == (log, seal)
    assert shorten_note(note, keys) == note


def test_archival_lines_stay_out_of_the_checkpoint(long_ledger: FakeLedger, published: Path, tmp_path: Path) -> None:
    whole = send(long_ledger.note(cosigners=3, has_ml_dsa=True))
    with serving(published, {"checkpoint": whole, "cosignatures": whole}) as node:
        mirror(tmp_path, node.url, fingerprint=long_ledger.fingerprint)
    with require_copy(tmp_path / "home") as copy:
        shown = verify_note(parse_note((tmp_path / "mirror/checkpoint").read_bytes()), copy.keys)
    assert len(shown.cosigners) == len(NATIONS)
    assert shown.cosigners_ml_dsa == ()


# --- archival checkpoints --------------------------------------------------------------------------------------------


def flip(raw: bytes, at: int) -> bytes:
    return raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :]


def test_another_intervals_archival_checkpoint_is_refused_and_named(
    long_ledger: FakeLedger, published: Path, tmp_path: Path
) -> None:
    with serving(published, {"archive/1": send((published / "archive/2").read_bytes())}) as node:
        error = refusal(tmp_path, node.url, fingerprint=long_ledger.fingerprint)
        assert (error.code, error.field) == (Code.PROOF, f"{node.url}: archive/1")
    assert not (tmp_path / "mirror/archive/1").exists()
    assert (tmp_path / "mirror/archive/0").exists()
    assert (tmp_path / "mirror/checkpoint").exists()
    mirror(tmp_path, str(published), fingerprint=None)
    assert differing(tmp_path / "mirror", published) == ["checkpoint"]


def test_a_false_post_quantum_line_condemns_the_note(long_ledger: FakeLedger, published: Path, tmp_path: Path) -> None:
    raw = long_ledger.note(archival_height(1), cosigners=3, has_ml_dsa=True)
    note = parse_note(raw)
    last = note.signatures[-1]
    false = last.__class__(last.name, last.key_id, flip(last.signature, 100))
    with serving(published, {"archive/1": send(encode_note(Note(note.text, (*note.signatures[:-1], false))))}) as node:
        error = refusal(tmp_path, node.url, fingerprint=long_ledger.fingerprint)
        assert (error.code, error.field) == (Code.SIGNATURE, f"{node.url}: archive/1: note.signature")
    assert not (tmp_path / "mirror/archive/1").exists()


def test_an_archival_checkpoint_gains_lines_and_never_loses_any(
    long_ledger: FakeLedger, published: Path, tmp_path: Path
) -> None:
    height = archival_height(7)
    fewer, more = (long_ledger.note(height, cosigners=count, has_ml_dsa=True) for count in (1, 2))
    with serving(published) as node:
        for offered, expected in ((fewer, fewer), (more, more), (fewer, more), (long_ledger.note(height), more)):
            node.answers["archive/7"] = send(offered)
            mirror(tmp_path, node.url, fingerprint=long_ledger.fingerprint)
            assert (tmp_path / "mirror/archive/7").read_bytes() == expected


# --- lies ------------------------------------------------------------------------------------------------------------


def lies(ledger: FakeLedger, published: Path) -> dict[str, tuple[dict[str, Answer], Code]]:
    """Every kind of wrong answer, with the code it is refused with."""
    bundle, headers = (published / BUNDLE).read_bytes(), (published / HEADERS).read_bytes()
    other = make_ledger(seed=1)
    return {
        "a flipped bit in a bundle": ({BUNDLE: send(flip(bundle, 1000))}, Code.PROOF),
        "a truncated bundle": ({BUNDLE: send(bundle[:-10])}, Code.FORMAT),
        "a bundle in another's place": ({BUNDLE: send((published / "tile/entries/002").read_bytes())}, Code.PROOF),
        "an endless bundle": ({BUNDLE: send_endlessly}, Code.FORMAT),
        "an endless checkpoint": ({"checkpoint": send_endlessly}, Code.FORMAT),
        "a gzip bomb": ({BUNDLE: send_bomb}, Code.FORMAT),
        "a gzip bomb for a checkpoint": ({"checkpoint": send_bomb}, Code.FORMAT),
        "what is no gzip": ({BUNDLE: send(bundle, Content_Encoding="gzip")}, Code.FORMAT),
        "a coding nobody asked for": ({BUNDLE: send(bundle, Content_Encoding="br")}, Code.FORMAT),
        "a flipped bit in a seal": ({HEADERS: send(flip(headers, headers.find(ledger.chain[10].seal)))}, Code.FORMAT),
        "a header less": ({HEADERS: send(encode_header_bundle(ledger.chain[:255]))}, Code.PROOF),
        "another ledger's checkpoint": ({"checkpoint": send(other.note())}, Code.POLICY),
        "another ceremony's transcript": ({"transcript": send(other.founders.transcript)}, Code.POLICY),
        "a checkpoint without a seal": (
            {"checkpoint": send(encode_note(Note((note := parse_note(ledger.note())).text, note.signatures[:1])))},
            Code.POLICY,
        ),
    }


def test_every_kind_of_lie_is_named_and_nothing_of_it_is_published(
    long_ledger: FakeLedger, published: Path, tmp_path: Path
) -> None:
    for number, (kind, (answers, code)) in enumerate(lies(long_ledger, published).items()):
        place = tmp_path / str(number)
        with serving(published, answers) as liar, serving(published) as honest:
            error = refusal(place, liar.url, honest.url, fingerprint=long_ledger.fingerprint)
        assert error.field.startswith(f"{liar.url}: "), kind
        assert error.code is code, (kind, str(error))
        standings = [(event["standing"], event["is_lie"]) for event in said_by(error) if event["event"] == "source"]
        assert standings == [("wrong", True), ("followed", False)], kind
        assert differing(place / "mirror", published) == ["checkpoint"], kind


def test_a_liar_fills_no_disk_however_often_it_is_asked(
    long_ledger: FakeLedger, published: Path, tmp_path: Path
) -> None:
    bundle = (published / "tile/entries/000").read_bytes()
    with serving(published, {"tile/entries/000": send(flip(bundle, -1 + len(bundle)))}) as liar:
        sizes = []
        for _ in range(3):
            refusal(tmp_path, liar.url, fingerprint=long_ledger.fingerprint)
            kept = [path for path in (tmp_path / "home").rglob("*") if path.is_file()]
            sizes.append((len(kept), sum(path.stat().st_size for path in kept)))
    assert sizes[1:] == [sizes[1]] * 2
    assert files_in(tmp_path / "mirror") == {}


def test_an_answer_that_breaks_off_or_leads_elsewhere_is_no_lie_and_no_answer(
    long_ledger: FakeLedger, published: Path, tmp_path: Path
) -> None:
    bundle = (published / BUNDLE).read_bytes()

    def redirect(handler: Any) -> None:
        handler.send_response(302)
        handler.send_header("Location", (published / BUNDLE).as_uri())
        handler.end_headers()

    for number, answer in enumerate((send(bundle[:9], Content_Length=str(len(bundle))), redirect)):
        with serving(published, {BUNDLE: answer}) as node:
            error = refusal(tmp_path / str(number), node.url, fingerprint=long_ledger.fingerprint)
        assert (error.code, error.field) == (Code.UNREACHABLE, f"{node.url}: {BUNDLE}")


def test_a_stale_checkpoint_is_told_and_what_is_published_stays(
    long_ledger: FakeLedger, published: Path, tmp_path: Path
) -> None:
    stale = send(long_ledger.note(300, cosigners=3))
    with serving(published) as first, serving(published) as second:
        mirror(tmp_path, first.url, second.url, fingerprint=long_ledger.fingerprint)
        before = files_in(tmp_path / "mirror")
        second.answers |= {"checkpoint": stale, "cosignatures": stale}
        said = mirror(tmp_path, first.url, second.url, fingerprint=None)
    assert [(event["standing"], event["is_lie"]) for event in said] == [("followed", False), ("stale", False)]
    assert files_in(tmp_path / "mirror") == before


def test_a_source_that_lags_by_moments_is_followed_all_the_same(
    long_ledger: FakeLedger, published: Path, tmp_path: Path
) -> None:
    late = publish(long_ledger, tmp_path / "late", HEIGHTS - 10, archives=0)
    said = mirror(tmp_path, str(published), str(late), fingerprint=long_ledger.fingerprint)
    assert [event["standing"] for event in said if event["event"] == "source"] == ["followed", "followed"]


def test_two_histories_are_proven_and_the_mirror_keeps_to_its_own(ledger: FakeLedger, tmp_path: Path) -> None:
    first = publish(ledger, tmp_path / "first", archives=0)
    second = publish(fork(ledger, 6, later=6), tmp_path / "second", archives=0)
    mirror(tmp_path, str(first), fingerprint=ledger.fingerprint)
    before = files_in(tmp_path / "mirror")
    error = refusal(tmp_path, str(second), str(first), fingerprint=None)
    assert error.code is Code.PROOF
    assert "two histories" in error.expected
    events = said_by(error)
    assert [each["standing"] for each in events if each["event"] == "source"] == ["contradicts", "followed"]
    assert {each["event"] for each in events} == {"source", "rolled-back"}
    assert files_in(tmp_path / "mirror") == before


# --- slow sources ----------------------------------------------------------------------------------------------------


def test_a_source_that_drips_stops_nobody_and_is_asked_nothing_more_until_it_answers(
    long_ledger: FakeLedger, published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "LOOK_S", 0.3)
    monkeypatch.setattr(patience, "ANSWER_S", 0.3)
    with serving(published) as slow, serving(published) as honest:
        slow.answers = {"*": slow.drip}
        said = mirror(tmp_path, slow.url, honest.url, fingerprint=long_ledger.fingerprint)
        asked = list(slow.asked)
    assert [(event["standing"], event["code"]) for event in said if event["event"] == "source"] == [
        ("unreachable", Code.TIMEOUT),
        ("followed", None),
    ]
    assert differing(tmp_path / "mirror", published) == ["checkpoint"]
    assert len(asked) == 1


def test_a_source_that_drips_in_the_middle_costs_what_it_had_begun(
    long_ledger: FakeLedger, published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "ANSWER_S", 0.5)
    with serving(published) as slow, serving(published) as honest:
        slow.answers = {LAST_BUNDLE: slow.drip}
        said = mirror(tmp_path, slow.url, honest.url, fingerprint=long_ledger.fingerprint)
    assert [event["code"] for event in said if event["event"] == "source"] == [Code.TIMEOUT, None]
    assert differing(tmp_path / "mirror", published) == ["checkpoint"]


def test_a_turn_that_ends_before_the_source_does_is_followed_by_another(
    long_ledger: FakeLedger, published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "TURN_S", -1.0)  # every turn is over after its first batch
    monkeypatch.setattr(patience, "BATCH_BLOCKS", 260)
    said = mirror(tmp_path, str(published), fingerprint=long_ledger.fingerprint)
    assert said[-1]["event"] == "published"
    assert said[-1]["height"] == HEIGHTS
    assert [path for path in differing(tmp_path / "mirror", published) if "archive" not in path] == ["checkpoint"]


def test_a_source_that_fails_rests_longer_each_time_and_not_for_ever() -> None:
    failed = Outcome("s", 0, 0, ConditionError(field="x", found="y", expected="z", code=Code.UNREACHABLE))
    asked = _Asked.__new__(_Asked)
    asked.failures_count = asked.rests = 0
    rests = []
    for _ in range(8):
        asked.note(failed)
        rests.append(asked.rests)
    assert rests == [1, 2, 4, 8, 16, 32, 32, 32]


# --- what is said ----------------------------------------------------------------------------------------------------


def test_a_lie_is_told_once_for_each_change_and_not_in_each_round() -> None:
    said: list[str] = []
    teller = Teller(said.append, as_json=False, clock=lambda: 0)  # type: ignore[arg-type,return-value]

    def tell(error: LedgerError | None, relation: Relation) -> None:
        teller.tell(Round((Outcome("liar", 0, 0, error, relation),), None, is_cut=False))

    for height in range(3):
        tell(PolicyError(field="liar: checkpoint", found=f"height {height}", expected="a seal"), Relation.WRONG)
    tell(None, Relation.SAME)
    tell(None, Relation.AHEAD)
    tell(PolicyError(field="liar: checkpoint", found="height 4", expected="a seal"), Relation.WRONG)
    full = ConditionError(field="disk", found="full", expected="room", code=Code.DISK_FULL)
    for _ in range(2):
        teller.tell(Round((), None, is_cut=False, trouble=full))
        teller.tell_trouble(full)
    assert said.pop() == "waiting: disk: found full; expected room [DISK_FULL]"
    assert said == [
        "wrong: liar: checkpoint: found height 0; expected a seal [POLICY]",
        "liar: followed",
        "wrong: liar: checkpoint: found height 4; expected a seal [POLICY]",
    ]


# --- the place -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        "file:///srv/../etc",
        "file:///srv/%2e%2e/etc",
        "file:///srv/a%2f..%2fb",
        "file:///srv/a%5cb",
        "file:///srv/a%00b",
        "file:///srv/a b",
        "file:///srv/a?b",
        "file:///srv/a#b",
        "https://user:secret@mirror.example/ledger",
        "https://user:secret@mirror.example/a/../b c",
        "s3://bucket/path?signature=secret",
        "https://mirror.example/a/../b#secret",
        "https://mirror.example/a/../b",
        "https://mirror.example\\@other.example/",
        "a\0b",
        "",
    ],
)
def test_a_url_that_leads_astray_is_refused(url: str) -> None:
    with pytest.raises(FormatError) as refused:
        require_plain_url(url, field="to")
    assert refused.value.field == "to"
    assert "secret" not in str(refused.value)


def test_a_plain_path_is_the_operators_own() -> None:
    assert find_folder("../mirror", field="to") == Path("../mirror")
    assert find_folder("file:///srv/mirror", field="to") == Path("/srv/mirror")


@pytest.mark.parametrize(
    "url", ["https://host/x", "ftp://host/x", "file://host/x", "file:relative", "s3:bucket", "s3:/bucket"]
)
def test_a_place_that_cannot_be_published_into_is_refused_with_what_can(url: str) -> None:
    with contextlib.ExitStack() as stack, pytest.raises(LedgerError, match=r"folder|file:///path"):
        open_target(url, stack)


def test_a_place_has_one_publisher(tmp_path: Path) -> None:
    with contextlib.ExitStack() as stack, contextlib.ExitStack() as other:
        open_target(str(tmp_path / "m"), stack)
        with pytest.raises(ConditionError) as refused:
            open_target(str(tmp_path / "m"), other)
        assert (refused.value.code, refused.value.field) == (Code.CONFIG, "to")
        stack.close()
        open_target(str(tmp_path / "m"), other)


def test_a_place_of_another_ledger_is_refused_and_left_alone(
    long_ledger: FakeLedger, published: Path, tmp_path: Path
) -> None:
    other = make_ledger(seed=1)
    there = publish(other, tmp_path / "mirror", archives=0)
    before = files_in(there)
    error = refusal(tmp_path, str(published), fingerprint=long_ledger.fingerprint)
    assert (error.code, error.field) == (Code.CONFIG, str(there))
    assert files_in(there) == before


def test_a_place_where_a_node_publishes_is_left_to_it(long_ledger: FakeLedger, published: Path, tmp_path: Path) -> None:
    there = publish(long_ledger, tmp_path / "mirror", archives=0)
    (there / "index.json").write_bytes(b'{"software": "counterseal 0.1.0"}')
    before = files_in(there)
    error = refusal(tmp_path, str(published), fingerprint=long_ledger.fingerprint)
    assert (error.code, error.found) == (Code.CONFIG, "what a node published")
    assert files_in(there) == before


def test_a_place_that_is_ahead_of_the_copy_is_left_alone(
    long_ledger: FakeLedger, published: Path, tmp_path: Path
) -> None:
    mirror(tmp_path, str(published), fingerprint=long_ledger.fingerprint)
    before = files_in(tmp_path / "mirror")
    (tmp_path / "home").rename(tmp_path / "lost")
    early = publish(long_ledger, tmp_path / "early", 290, archives=1)
    with serving(early, {"checkpoint": send(b"nothing\n")}) as liar:
        error = refusal(tmp_path, str(early), liar.url, fingerprint=long_ledger.fingerprint)
    assert (error.code, error.found) == (Code.NOT_READY, f"a checkpoint of height {HEIGHTS}")
    assert [event["standing"] for event in said_by(error)] == ["followed", "wrong"], "sources are told of all the same"
    assert files_in(tmp_path / "mirror") == before
    mirror(tmp_path, str(published), fingerprint=None)
    assert files_in(tmp_path / "mirror") == before


def test_a_place_with_another_history_of_this_ledger_is_refused(ledger: FakeLedger, tmp_path: Path) -> None:
    there = publish(fork(ledger, 6), tmp_path / "mirror", archives=0)
    source = publish(ledger, tmp_path / "node", archives=0)
    for fingerprint in (ledger.fingerprint, None):  # found out when the copy has got there; then, before anything else
        error = refusal(tmp_path, str(source), fingerprint=fingerprint)
        assert (error.code, error.field) == (Code.STORE_DAMAGED, f"{there}: checkpoint")


@pytest.mark.parametrize("target", ["home", "home/published", "."])
def test_what_is_published_lies_apart_from_the_copy(
    long_ledger: FakeLedger, published: Path, tmp_path: Path, target: str
) -> None:
    error = refusal(tmp_path, str(published), fingerprint=long_ledger.fingerprint, target=str(tmp_path / target))
    assert (error.code, error.field) == (Code.CONFIG, "to")
    assert not (tmp_path / "home" / FILE).exists()


def test_a_disk_with_little_room_is_left_alone(
    long_ledger: FakeLedger, published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    early = publish(long_ledger, tmp_path / "early", 290, archives=1)
    mirror(tmp_path, str(early), fingerprint=long_ledger.fingerprint)
    before = files_in(tmp_path / "mirror")
    monkeypatch.setattr(targets, "FREE_BYTES_MIN", 1 << 62)
    error = refusal(tmp_path, str(published), fingerprint=None)
    assert error.code is Code.DISK_FULL
    assert "MiB free" in str(error.found)
    assert files_in(tmp_path / "mirror") == before


def test_a_mirror_is_whole_or_none(long_ledger: FakeLedger, published: Path, tmp_path: Path) -> None:
    def missing(handler: Any) -> None:
        handler.send_error(404)

    with serving(published, {"transcript": missing}) as node:
        error = refusal(tmp_path, node.url, fingerprint=long_ledger.fingerprint)
    assert (error.code, error.field) == (Code.NOT_READY, "transcript")
    assert files_in(tmp_path / "mirror") == {}


# --- a disk that rots under the copy ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE entries SET entry = x'00' WHERE position = 300",
        "UPDATE tiles SET hashes = zeroblob(8192) WHERE level = 0 AND number = 1",
        "UPDATE blocks SET seal = (SELECT seal FROM blocks WHERE height = 20) WHERE height = 10",
        "UPDATE blocks SET header = (SELECT header FROM blocks WHERE height = 20) WHERE height = 15",
        "DELETE FROM tiles WHERE level = 0 AND number = 1",
    ],
)
def test_what_rotted_in_the_copy_is_not_published(
    long_ledger: FakeLedger, published: Path, tmp_path: Path, statement: str
) -> None:
    sync_home(tmp_path / "home", [str(published)], fingerprint=long_ledger.fingerprint, draw=secrets.token_bytes)
    with contextlib.closing(sqlite3.connect(tmp_path / "home" / FILE)) as connection, connection:
        connection.execute(statement)
    error = refusal(tmp_path, str(published), fingerprint=None)
    assert error.code is Code.STORE_DAMAGED
    assert re.search(r"copy\.sqlite", error.field)
    assert "checkpoint" not in files_in(tmp_path / "mirror")
