"""Evidence that a node finds: kept across crashes, put on the ledger once, by one member or the next."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from ledger.limits import SEAL_BYTES
from ledger.positions import FIRST_EPOCH, LeafIndex, MemberIndex, View
from ledger.rules.misconduct import get_faults
from ledger.statements.computed import is_computed_entry
from ledger.statements.dsse import parse_envelope
from ledger.statements.intoto import find_kind
from ledger.statements.misconduct import MISCONDUCT
from ledger.verify import verify_misconduct
from ledger.votes import NO_DIGEST, NO_SHARE, Misconduct, VoteKind, compute_vote_message
from node.consensus.messages import EvidenceFound, MessageReceived, Vote
from node.daemon import Node
from node.evidence import KEPT_PER_KIND_MAX, Accuser, EvidenceFolder
from tests.node.cluster import run_cluster, set_up, until
from tests.node.test_driver import closing

LIAR = 3  # its place among the nodes
ACCUSED = MemberIndex(LIAR + 1)


def vote_of(liar: Node, kind: VoteKind, view: int, digest: bytes = NO_DIGEST, share: bytes = NO_SHARE) -> Vote:
    """A vote of a member's with its true key, whatever it said before."""
    message = compute_vote_message(
        ledger_id=liar.charter.ledger_id, kind=kind, epoch=FIRST_EPOCH, view=View(view), digest=digest, share=share
    )
    return Vote(kind, FIRST_EPOCH, View(view), digest, liar.me, liar.keys.identity.sign(message), share)


def double_vote(liar: Node, view: int) -> EvidenceFound:
    votes = tuple(vote_of(liar, VoteKind.NOTARIZE, view, bytes([number]) * 32) for number in (2, 1))
    return EvidenceFound(misconduct=Misconduct.DOUBLE_NOTARIZE, member=liar.me, votes=votes)


@pytest.fixture
async def nodes(tmp_path: Path) -> AsyncIterator[tuple[Node, Node]]:
    """Two nodes that do not run: the first finds evidence against the second, which is the last member."""
    make = set_up(tmp_path)[2]
    with closing(make(0)) as finder, closing(make(LIAR)) as liar:
        yield finder, liar


def make_accuser(node: Node, *, turn_s: float = 0) -> Accuser:
    return Accuser(
        EvidenceFolder(node.config.node.home / "evidence", node.charter),
        node.charter,
        node.me,
        node.nation,
        node.admission,
        state=lambda: node.branches.final.state,
        disk=node.disk,
        turn_s=turn_s,
    )


async def run_until_waiting(accuser: Accuser, node: Node, count: int) -> None:
    """Let it take its turns until so many statements wait for a block."""
    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        task = group.create_task(accuser.run())
        await until(lambda: len(node.mempool) == count)
        task.cancel()


async def test_evidence_is_a_file_that_explains_itself_before_anybody_is_accused(nodes: tuple[Node, Node]) -> None:
    finder, liar = nodes
    accuser = make_accuser(finder)
    await accuser.keep(double_vote(liar, 7))
    [kept] = accuser.kept()
    verified = verify_misconduct(kept.path.read_bytes(), charter_fingerprint=finder.charter.ledger_id)
    assert (verified.accused.index, verified.evidence.misconduct) == (ACCUSED, Misconduct.DOUBLE_NOTARIZE)
    assert len(finder.mempool) == 0


async def test_what_was_kept_before_a_crash_is_put_on_the_ledger_after_it(nodes: tuple[Node, Node]) -> None:
    finder, liar = nodes
    await make_accuser(finder).keep(double_vote(liar, 7))
    again = make_accuser(finder)
    assert [kept.evidence.view for kept in again.kept()] == [7]
    await run_until_waiting(again, finder, 1)


async def test_evidence_of_every_kind_is_made_of_what_the_core_found(nodes: tuple[Node, Node]) -> None:
    finder, liar = nodes
    header = finder.driver.final_header()
    share = b"\x81" + bytes(SEAL_BYTES - 1)
    finals = [vote_of(liar, VoteKind.FINALIZE, 7, bytes([number]) * 32, share) for number in (2, 1)]
    wrong = vote_of(liar, VoteKind.FINALIZE, 8, header.digest, share)
    accuser = make_accuser(finder)
    for found in (
        double_vote(liar, 7),
        EvidenceFound(Misconduct.DOUBLE_FINALIZE, liar.me, tuple(finals)),
        EvidenceFound(Misconduct.NULLIFY_AND_FINALIZE, liar.me, (finals[0], vote_of(liar, VoteKind.NULLIFY, 7))),
        EvidenceFound(Misconduct.WRONG_SHARE, liar.me, (wrong,), header),
    ):
        await accuser.keep(found)
    assert [kept.evidence.misconduct for kept in accuser.kept()] == list(Misconduct)
    assert len(make_accuser(finder).kept()) == len(Misconduct)
    await run_until_waiting(accuser, finder, len(Misconduct))


async def test_what_proves_nothing_to_others_is_not_kept(nodes: tuple[Node, Node]) -> None:
    finder, liar = nodes
    accuser = make_accuser(finder)
    one, other = double_vote(liar, 7).votes
    with capture_logs() as logs:
        await accuser.keep(EvidenceFound(Misconduct.DOUBLE_NOTARIZE, finder.me, (one, other)))
        await accuser.keep(EvidenceFound(Misconduct.DOUBLE_NOTARIZE, liar.me, (one, one)))
    assert [line["event"] for line in logs] == ["what was found proves nothing to others"] * 2
    assert accuser.kept() == []


async def test_of_one_member_and_kind_a_bounded_number_is_kept_and_one_is_shown(nodes: tuple[Node, Node]) -> None:
    finder, liar = nodes
    accuser = make_accuser(finder)
    for view in range(1, 2 * KEPT_PER_KIND_MAX):
        await accuser.keep(double_vote(liar, view))
    assert len(list((finder.config.node.home / "evidence").iterdir())) == KEPT_PER_KIND_MAX
    await run_until_waiting(accuser, finder, 1)
    assert [line.view for line in accuser.describe()] == [1]


async def test_a_disk_that_refuses_keeps_nobody_from_accusing(nodes: tuple[Node, Node]) -> None:
    finder, liar = nodes
    (finder.config.node.home / "evidence").write_text("a file where the folder should be")
    accuser = make_accuser(finder)
    with capture_logs() as logs:
        await accuser.keep(double_vote(liar, 7))
    assert logs[0]["event"] == "evidence was not kept"
    await run_until_waiting(accuser, finder, 1)


async def test_files_that_are_no_evidence_here_are_told_and_left_alone(nodes: tuple[Node, Node]) -> None:
    finder, liar = nodes
    await make_accuser(finder).keep(double_vote(liar, 7))
    folder = finder.config.node.home / "evidence"
    [true] = folder.iterdir()
    (folder / "a.json").write_bytes(true.read_bytes().replace(b'"view":7', b'"view":8'))
    (folder / "b.json").write_bytes(b"{}")
    with capture_logs() as logs:
        assert [kept.path for kept in make_accuser(finder).kept()] == [true]
    assert [Path(line["file"]).name for line in logs] == ["a.json", "b.json"]
    assert len(list(folder.iterdir())) == 3


async def test_a_member_keeps_evidence_against_itself_and_does_not_show_it(nodes: tuple[Node, Node]) -> None:
    _, liar = nodes
    accuser = make_accuser(liar)
    await accuser.keep(double_vote(liar, 7))
    async with asyncio.TaskGroup() as group:
        task = group.create_task(accuser.run())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        task.cancel()
    assert len(accuser.kept()) == 1
    assert len(liar.mempool) == 0


def misconduct_entries(node: Node) -> list[bytes]:
    entries = node.store.entries(LeafIndex(0), node.branches.final.header.tree_size)
    signed = [entry for entry in entries if not is_computed_entry(entry)]
    return [entry for entry in signed if find_kind(parse_envelope(entry).payload) == MISCONDUCT]


async def test_a_member_that_votes_twice_is_faulted_on_every_ledger_by_one_statement(tmp_path: Path) -> None:
    """Two members see it; the first in turn speaks; all see the fault, also one that restarts."""
    async with asyncio.timeout(60), run_cluster(tmp_path) as cluster:
        liar = cluster.nodes[LIAR]
        for finder in cluster.nodes[:2]:
            view = finder.driver.core.status().view + 20
            for vote in double_vote(liar, view).votes:
                await finder.driver.put_from_peer(ACCUSED, MessageReceived(source=ACCUSED, message=vote))
        member = cluster.charter.member(ACCUSED).id
        await until(lambda: all(get_faults(node.branches.final.state, member) for node in cluster.nodes))
        for node in cluster.nodes:
            [fault] = get_faults(node.branches.final.state, member)
            assert fault.misconduct == Misconduct.DOUBLE_NOTARIZE
            [line] = node.status().misconduct
            assert (line.member, line.on_ledger, line.index) == (member, True, fault.index)
            assert bool(line.file) == (node in cluster.nodes[:2])
        await cluster.stop(0)
        cluster.start_again(0)
        height = cluster.nodes[1].tip.height + 2
        await until(lambda: cluster.nodes[0].tip.height >= height)
        assert len(misconduct_entries(cluster.nodes[0])) == 1
        [line] = cluster.nodes[0].status().misconduct
        assert line.file == str(cluster.nodes[0].accuser.kept()[0].path)
