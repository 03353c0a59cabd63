"""Several sources, one history: what contradicts becomes a proof that stands alone, what is merely old never does."""

import dataclasses
import random
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ledger.blocks import NO_SEAL, SealedHeader, encode_header, seal_message
from ledger.errors import Code, ConditionError, FormatError, LedgerError, PolicyError, ProofError
from ledger.forks import Link, VerifiedFork, verify_fork
from ledger.network import NetworkReason, NetworkState
from ledger.notes import parse_note
from ledger.positions import Height, Millis, TreeSize
from ledger.rollbacks import verify_rollback
from observer import heads as keeping
from observer.agreement import Relation
from observer.comparing import take_in
from observer.copy import require_copy
from observer.evidence import PROOF, decide, list_evidence, list_undecided
from observer.heads import HEADS_FILE, open_heads
from observer.outlook import Outlook, judge, require_sight
from observer.served import ServedBlock, Source
from observer.source import open_source
from observer.sync import Outcome, conclude, open_or_found, sync
from tests.conftest import REPOSITORY
from tests.ledger.rulebook import NATIONS
from tests.ledger.test_rollbacks import cosigned
from tests.observer.fakeledger import FakeLedger, LedgerSource
from tests.observer.forking import fork

draw = random.Random(5).randbytes


def follow(home: Path, *sources: Source, fingerprint: bytes | None = None) -> list[Outcome]:
    with open_or_found(home, sources, fingerprint=fingerprint) as copy:
        return sync(copy, sources, draw=draw)


def followed(home: Path, ledger: FakeLedger, height: int | None = None) -> Path:
    """A copy of the ledger as it was at a height."""
    conclude(follow(home, LedgerSource(ledger, height=height, name="first"), fingerprint=ledger.fingerprint))
    return home


class NoBlocks(LedgerSource):
    """Serves checkpoints, and no block; tiles only where it has a folder."""

    folder: Path | None = None

    def read_blocks(self, *, first: Height, last: Height, size: TreeSize) -> Iterator[ServedBlock]:
        del last, size
        raise ConditionError(field=f"blocks[{first}]", found="none", expected="a block", code=Code.NOT_FOUND)

    def read_tile(self, path: str) -> bytes | None:
        if self.folder is None or not (self.folder / path).exists():
            return None
        return (self.folder / path).read_bytes()


def proof_of(home: Path, ledger: FakeLedger) -> VerifiedFork:
    """The one proof of a fork that was kept, checked as a stranger does."""
    (folder,) = list_evidence(home, "contradiction")
    return verify_fork((folder / PROOF).read_bytes(), charter_fingerprint=ledger.fingerprint)


def look(home: Path, *, at_ms: int | None = None) -> Outlook:
    with require_copy(home) as copy:
        return judge(copy, [], now_ms=copy.head.header.time_ms if at_ms is None else Millis(at_ms))


# --- each kind of contradiction, met by a sync -----------------------------------------------------------------------


def test_another_block_at_a_known_height_is_proven(ledger: FakeLedger, tmp_path: Path) -> None:
    followed(tmp_path, ledger)
    outcome = follow(tmp_path, LedgerSource(fork(ledger, 6)))[0]
    assert (outcome.relation, outcome.height) == (Relation.CONTRADICTS, 6)
    assert proof_of(tmp_path, ledger).link is Link.NOTES


def test_a_longer_history_is_proven_by_the_headers_that_stand_on_another_block(
    ledger: FakeLedger, tmp_path: Path
) -> None:
    followed(tmp_path, ledger, 7)
    outcome = follow(tmp_path, LedgerSource(fork(ledger, 6, later=12)))[0]
    assert outcome.relation is Relation.CONTRADICTS
    proven = proof_of(tmp_path, ledger)
    assert (proven.link, proven.field) in ((Link.HEADERS, "parent"), (Link.NOTES, "size"))


def test_a_block_of_ours_that_became_final_through_another_is_proven_by_our_own_headers(
    ledger: FakeLedger, tmp_path: Path
) -> None:
    """At height 3 the copy has no seal: its next one, at 5, binds the block all the same."""
    followed(tmp_path, ledger)
    other = fork(ledger, 2, later=1)
    assert ledger.chain[3].seal == NO_SEAL
    other.chain[3] = SealedHeader(other.chain[3].header, other.founders.seal(message_of(other, 3)))
    follow(tmp_path, LedgerSource(other))
    proven = proof_of(tmp_path, ledger)
    assert proven.older is not None
    assert (proven.link, proven.older.seal.height) == (Link.HEADERS, 3)


def message_of(ledger: FakeLedger, height: int) -> bytes:
    return seal_message(ledger.chain[height].header, ledger.charter.origin)


def test_a_history_of_which_only_checkpoint_and_tiles_are_served_is_proven_by_its_tree(
    ledger: FakeLedger, tmp_path: Path
) -> None:
    home = followed(tmp_path / "copy", ledger, 7)
    other = fork(ledger, 6, later=40)
    source = NoBlocks(other)
    source.folder = other.publish(tmp_path / "published")
    assert follow(home, source)[0].relation is Relation.CONTRADICTS
    assert proof_of(home, ledger).link is Link.TREE


def test_a_true_history_of_which_only_tiles_are_served_is_ahead(ledger: FakeLedger, tmp_path: Path) -> None:
    home = followed(tmp_path / "copy", ledger, 5)
    source = NoBlocks(ledger)
    source.folder = ledger.publish(tmp_path / "published")
    outcome = follow(home, source)[0]
    assert (outcome.relation, outcome.is_lie) == (Relation.AHEAD, False)
    assert list_evidence(home, "contradiction") == []
    source.folder = None
    assert follow(home, source)[0].relation is Relation.AHEAD


def test_a_head_that_was_seen_ahead_is_held_against_the_chain_once_that_reaches_it(
    ledger: FakeLedger, tmp_path: Path
) -> None:
    """One source shows a head and no blocks; another one, later, the blocks of another history."""
    followed(tmp_path, ledger, 5)
    other = fork(ledger, 6)
    assert follow(tmp_path, NoBlocks(other, name="silent"))[0].relation is Relation.AHEAD
    outcomes = follow(tmp_path, LedgerSource(ledger, name="open"))
    assert [(outcome.source, outcome.relation) for outcome in outcomes] == [
        ("open", Relation.AHEAD),
        ("silent", Relation.CONTRADICTS),
    ]
    assert proof_of(tmp_path, ledger).newer.seal.height == 6
    with pytest.raises(ProofError, match=r"^silent: "):
        conclude(outcomes)
    assert [outcome.source for outcome in follow(tmp_path, LedgerSource(ledger, name="open"))] == ["open"]


def test_two_heads_ahead_of_the_copy_are_held_against_each_other(ledger: FakeLedger, tmp_path: Path) -> None:
    followed(tmp_path, ledger, 5)
    outcomes = follow(tmp_path, NoBlocks(ledger, height=6, name="one"), NoBlocks(fork(ledger, 6), name="two"))
    assert Relation.CONTRADICTS in [outcome.relation for outcome in outcomes]
    assert proof_of(tmp_path, ledger).link is Link.NOTES
    followed(tmp_path, ledger)  # nobody knows which is wrong: whoever serves blocks is followed


def test_a_chain_that_does_not_begin_with_the_charter_is_proven_from_the_charter(
    ledger: FakeLedger, tmp_path: Path
) -> None:
    other = fork(ledger, 1, later=3)
    first = other.chain[1].header
    fields = {
        name: getattr(first, name)
        for name in (field.name for field in dataclasses.fields(first))
        if name not in ("raw", "digest", "parent")
    }
    header = encode_header(**fields, parent=b"\x01" * 32)
    other.chain[1] = SealedHeader(header, other.founders.seal(seal_message(header, ledger.charter.origin)))
    source = LedgerSource(other, height=1)
    outcome = follow(tmp_path, source, fingerprint=ledger.fingerprint)[0]
    assert outcome.relation is Relation.CONTRADICTS
    proven = proof_of(tmp_path, ledger)
    assert (proven.older, proven.link) == (None, Link.HEADERS)


def test_a_seal_over_another_block_in_the_charters_place_is_proven(ledger: FakeLedger, tmp_path: Path) -> None:
    """It has no height but 0, and a copy that holds nothing else meets it."""
    other = fork(ledger, 1)
    other.chain[0] = SealedHeader(FakeLedger(seed=4).chain[0].header, NO_SEAL)
    other.chain[0] = SealedHeader(other.chain[0].header, other.founders.seal(message_of(other, 0)))
    source = LedgerSource(ledger)
    source.notes = [other.note(0)]
    outcome = follow(tmp_path, source, fingerprint=ledger.fingerprint)[0]
    assert outcome.relation is Relation.CONTRADICTS
    assert proof_of(tmp_path, ledger).link is Link.NOTES


def test_a_source_that_goes_on_with_another_history_gives_one_proof_until_somebody_decides(
    ledger: FakeLedger, tmp_path: Path
) -> None:
    followed(tmp_path, ledger)
    other = fork(ledger, 5, later=3)
    for height in (5, 6, 7):
        assert follow(tmp_path, LedgerSource(other, height=height))[0].relation is Relation.CONTRADICTS
    assert len(list_evidence(tmp_path, "contradiction")) == 1


# --- what is no proof ------------------------------------------------------------------------------------------------


@settings(max_examples=3, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.lists(st.tuples(st.sampled_from("abc"), st.booleans(), st.integers(0, 9)), min_size=1, max_size=3),
        min_size=1,
        max_size=4,
    )
)
def test_honest_sources_in_any_order_and_at_any_height_give_no_proof(
    ledger: FakeLedger, tmp_path_factory: pytest.TempPathFactory, rounds: list[list[tuple[str, bool, int]]]
) -> None:
    home = tmp_path_factory.mktemp("copy")
    heights = [height for height, sealed in enumerate(ledger.chain) if sealed.seal]
    for sources in rounds:
        made = [
            (LedgerSource if has_blocks else NoBlocks)(ledger, name=name, height=heights[place % len(heights)])
            for name, has_blocks, place in sources
        ]
        for outcome in follow(home, *made, fingerprint=ledger.fingerprint):
            assert outcome.relation not in (Relation.CONTRADICTS, Relation.WRONG)
            assert outcome.rolled_back == ()
    assert list_evidence(home, "contradiction") == list_evidence(home, "rollback") == []


def test_of_several_sources_the_one_that_lies_is_named_and_gives_no_proof(ledger: FakeLedger, tmp_path: Path) -> None:
    liar = LedgerSource(ledger, name="liar")
    liar.notes = [ledger.note().replace(ledger.charter.origin.encode(), b"other.example/x")]
    tampered = LedgerSource(ledger, name="tampered")
    raw = ledger.note()
    tampered.notes = [raw[:-20] + (b"AAAA" if raw[-20:-16] != b"AAAA" else b"BBBB") + raw[-16:]]
    honest, behind = LedgerSource(ledger, name="honest"), LedgerSource(ledger, name="behind", height=5)
    outcomes = follow(tmp_path, liar, honest, tampered, behind, fingerprint=ledger.fingerprint)
    relations = {outcome.source: outcome.relation for outcome in outcomes}
    assert relations == {
        "liar": Relation.WRONG,
        "honest": Relation.AHEAD,
        "tampered": Relation.WRONG,
        "behind": Relation.BEHIND,
    }
    assert list_evidence(tmp_path, "contradiction") == []
    assert look(tmp_path).report.state is NetworkState.HOLDING


def test_a_source_that_goes_back_is_stale_and_never_said_to_be_proven(ledger: FakeLedger, tmp_path: Path) -> None:
    followed(tmp_path, ledger)
    outcome = follow(tmp_path, LedgerSource(ledger, name="first", height=6))[0]
    assert (outcome.relation, outcome.is_lie, outcome.rolled_back) == (Relation.STALE, False, ())
    assert outcome.error is not None
    assert "proves nothing" in outcome.error.expected
    assert list_evidence(tmp_path, "rollback") == list_evidence(tmp_path, "contradiction") == []


# --- a member that went back -----------------------------------------------------------------------------------------


def test_a_member_that_cosigns_an_older_tree_later_is_proven_and_the_network_goes_on(
    ledger: FakeLedger, tmp_path: Path
) -> None:
    source = LedgerSource(ledger)
    source.notes = [cosigned(ledger, 9, 1000)]
    follow(tmp_path, source, fingerprint=ledger.fingerprint)
    source.notes = [cosigned(ledger, 5, 2000)]
    outcome = follow(tmp_path, source)[0]
    assert outcome.relation is Relation.STALE
    (folder,) = list_evidence(tmp_path, "rollback")
    proven = verify_rollback((folder / PROOF).read_bytes(), charter_fingerprint=ledger.fingerprint)
    assert proven.member.node == f"{NATIONS[1]}.example/node"
    assert str(folder) in outcome.rolled_back[0]
    outlook = look(tmp_path)
    assert (outlook.report.state, outlook.rollbacks) == (NetworkState.HOLDING, (folder.name,))


def test_cosignatures_seen_in_another_order_are_proven_too(ledger: FakeLedger, tmp_path: Path) -> None:
    source = LedgerSource(ledger)
    for note in (cosigned(ledger, 5, 3000), cosigned(ledger, 9, 2900)):
        source.notes = [note]
        follow(tmp_path, source, fingerprint=ledger.fingerprint)
    assert len(list_evidence(tmp_path, "rollback")) == 1


def test_a_member_that_went_back_and_goes_on_from_there_gives_one_proof(ledger: FakeLedger, tmp_path: Path) -> None:
    source = LedgerSource(ledger)
    for height, time_s in ((11, 1000), (1, 2000), (2, 2001), (5, 2002), (6, 2003)):
        source.notes = [cosigned(ledger, height, time_s)]
        follow(tmp_path, source, fingerprint=ledger.fingerprint)
    assert len(list_evidence(tmp_path, "rollback")) == 1


# --- heads are kept --------------------------------------------------------------------------------------------------


def test_a_head_is_on_disk_before_it_is_used(ledger: FakeLedger, tmp_path: Path) -> None:
    """Killed after the second history was seen and before its proof was written: the next sync proves it."""
    home, published = followed(tmp_path / "copy", ledger), fork(ledger, 6).publish(tmp_path / "published")
    program = (
        "import os, secrets, sys, pathlib, observer.agreement, observer.sync\n"
        "observer.agreement.prove_fork = lambda *_, **__: os._exit(9)\n"
        "home, source = sys.argv[1:]\n"
        "observer.sync.sync_home(pathlib.Path(home), [source], fingerprint=None, draw=secrets.token_bytes)\n"
    )
    words = [sys.executable, "-c", program, str(home), str(published)]
    assert subprocess.run(words, cwd=REPOSITORY, check=False, timeout=60).returncode == 9
    assert list_evidence(home, "contradiction") == []
    outcomes = follow(home, LedgerSource(ledger, name="first"))  # the source that showed it is gone
    assert [outcome.relation for outcome in outcomes] == [Relation.SAME, Relation.CONTRADICTS]
    assert outcomes[1].source == str(published)
    assert proof_of(home, ledger).newer.seal.height == 6


def test_heads_are_kept_with_where_and_when_and_without_strangers_lines(ledger: FakeLedger, tmp_path: Path) -> None:
    source = LedgerSource(ledger, name="here")
    source.notes = [ledger.note() + "— stranger.example AAAAAAAA\n".encode()]
    with open_or_found(tmp_path, [source], fingerprint=ledger.fingerprint) as copy:
        sync(copy, [source], draw=draw, clock=lambda: Millis(77))
        with open_heads(tmp_path, copy.charter) as heads:
            (head,) = heads.heads()
            assert (head.height, head.sources, heads.asked_ms()) == (ledger.height, ("here",), 77)
            assert parse_note(head.note) == parse_note(ledger.note())
            assert heads.highest_of("here") == ledger.height
            assert heads.highest_of("there") is None


def test_settled_heads_are_thinned_and_others_never_are(
    ledger: FakeLedger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeping, "SETTLED_KEPT", 2)
    heights = [height for height, sealed in enumerate(ledger.chain) if sealed.seal]
    followed(tmp_path, ledger, heights[2])
    follow(tmp_path, NoBlocks(fork(ledger, 10), name="other"))
    follow(tmp_path, LedgerSource(ledger, name="slow", height=heights[0]))
    for height in heights[3:]:
        source = LedgerSource(ledger, name="first", height=height)
        source.notes = source.notes[:1]
        follow(tmp_path, source)
    with require_copy(tmp_path) as copy, open_heads(tmp_path, copy.charter) as heads:
        kept = [head.height for head in heads.heads()]
    assert kept.count(Height(10)) == 2  # both histories' blocks at that height
    assert heights[0] in kept  # the last word of a source
    assert len(kept) < len(heights)
    (folder,) = list_evidence(tmp_path, "contradiction")
    assert (folder / PROOF).exists()


def test_too_many_heads_ahead_of_a_copy_are_refused_with_what_to_do(
    ledger: FakeLedger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeping, "UNSETTLED_MAX", 1)
    followed(tmp_path, ledger, 2)
    follow(tmp_path, NoBlocks(ledger, height=5))
    with pytest.raises(ConditionError, match="serves blocks"):
        follow(tmp_path, NoBlocks(ledger, height=6))


def test_a_damaged_file_of_heads_is_named_and_not_thrown_away(ledger: FakeLedger, tmp_path: Path) -> None:
    followed(tmp_path, ledger, 2)
    (tmp_path / HEADS_FILE).write_bytes(b"nonsense" * 1000)
    with pytest.raises(ConditionError) as refused:
        follow(tmp_path, LedgerSource(ledger))
    assert refused.value.code is Code.STORE_DAMAGED
    (tmp_path / HEADS_FILE).unlink()
    connection = sqlite3.connect(tmp_path / HEADS_FILE)
    connection.execute("PRAGMA user_version = 9")
    connection.close()
    with pytest.raises(ConditionError) as refused:
        follow(tmp_path, LedgerSource(ledger))
    assert refused.value.code is Code.VERSION_MISMATCH


# --- blind until somebody decides ------------------------------------------------------------------------------------


def test_after_a_proof_the_network_is_blind_until_a_person_decides_and_the_proof_stays(
    ledger: FakeLedger, tmp_path: Path
) -> None:
    followed(tmp_path, ledger)
    assert look(tmp_path).report.state is NetworkState.HOLDING
    follow(tmp_path, LedgerSource(fork(ledger, 6)))
    followed(tmp_path, ledger)
    outlook = look(tmp_path)
    assert (outlook.report.state, outlook.report.reasons[0][0]) == (NetworkState.BLIND, NetworkReason.FORK_PROVEN)
    with pytest.raises(PolicyError, match="blind"):
        require_sight(outlook)
    (name,) = outlook.undecided
    with pytest.raises(ConditionError):
        decide(tmp_path, "contradiction-0-x", because="x", now_ms=Millis(1))
    with pytest.raises(ConditionError):
        decide(tmp_path, name, because=" ", now_ms=Millis(1))
    assert len(list_undecided(tmp_path)) == 1
    decide(tmp_path, name, because="the nations agreed in public on this history", now_ms=Millis(1))
    assert look(tmp_path).report.state is NetworkState.HOLDING
    assert proof_of(tmp_path, ledger).newer.seal.height == 6
    follow(tmp_path, LedgerSource(fork(ledger, 7)))
    assert look(tmp_path).report.state is NetworkState.BLIND  # another one is another matter


def test_a_proof_from_somebody_else_makes_the_network_blind_here_too(ledger: FakeLedger, tmp_path: Path) -> None:
    theirs, ours = followed(tmp_path / "theirs", ledger), followed(tmp_path / "ours", ledger)
    follow(theirs, LedgerSource(fork(ledger, 6)))
    (folder,) = list_evidence(theirs, "contradiction")
    with require_copy(ours) as copy:
        kept = take_in(copy, folder / PROOF, now_ms=Millis(1))
        assert take_in(copy, folder / PROOF, now_ms=Millis(2)) == kept
        damaged = tmp_path / "damaged.json"
        damaged.write_bytes((folder / PROOF).read_bytes().replace(b'"newer"', b'"never"'))
        for wrong in (damaged, folder / "about.json"):
            with pytest.raises(LedgerError):
                take_in(copy, wrong, now_ms=Millis(1))
    assert look(ours).report.state is NetworkState.BLIND
    assert (kept / PROOF).read_bytes() == (folder / PROOF).read_bytes()


def test_a_proof_of_another_ledger_is_not_taken_in(ledger: FakeLedger, tmp_path: Path) -> None:
    home = followed(tmp_path / "copy", ledger, 2)
    stranger = FakeLedger(seed=2)
    stranger.grow(1)
    with require_copy(home) as copy:
        path = tmp_path / "x.json"
        path.write_bytes(b"{}")
        with pytest.raises(FormatError):
            take_in(copy, path, now_ms=Millis(1))


def test_sources_of_every_kind_can_be_asked_for_tiles(ledger: FakeLedger, tmp_path: Path) -> None:
    published = open_source(str(ledger.publish(tmp_path / "published")))
    assert published.read_tile("tile/0/000.p/29") is not None
    assert published.read_tile("tile/0/000.p/30") is None
    node = open_source("grpc://127.0.0.1:1")
    assert node.read_tile("tile/0/000") is None
    node.close()
