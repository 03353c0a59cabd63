"""What a member is shown of this node's votes is on this node's disk: also when it asks while the disk is slow."""

import asyncio
import threading
from pathlib import Path

import pytest

from ledger.positions import Height, View
from node.consensus.core import Core
from node.consensus.messages import VoteKind
from node.v1 import peer_pb2
from tests.node.alone import run_alone


async def until_it_seals_above(core: Core, view: View) -> View:
    """Wait for the core to have made a seal of its own above a view, whether its votes are on disk or not."""
    # The core tells nobody when: that it is asked between two steps of the driver is what is tested.
    while (newest := core.newest_finalization()) is None or newest.header.view <= view:  # noqa: ASYNC110
        await asyncio.sleep(0)
    return newest.header.view


def ask(name: str, view: View) -> peer_pb2.FetchRequest:
    if name == "newest":
        return peer_pb2.FetchRequest(newest=peer_pb2.NewestFinalization())
    return peer_pb2.FetchRequest(certificate=peer_pb2.CertificateOf(kind=VoteKind.NOTARIZE, view=view))


@pytest.mark.parametrize("name", ["newest", "certificate"])
async def test_no_answer_holds_a_vote_that_is_not_on_disk(tmp_path: Path, name: str) -> None:
    async with run_alone(tmp_path) as alone:
        driver = alone.node.driver
        await alone.node.tip.wait_above(Height(2))
        disk_is_fast_again = threading.Event()
        alone.node.disk.submit(disk_is_fast_again.wait)
        try:
            view = await until_it_seals_above(driver.core, driver.final_header().view)
            assert (VoteKind.FINALIZE, view) not in [(vote.kind, vote.view) for vote in alone.said()]
            asked = asyncio.create_task(alone.fetch(ask(name, view)))
            for _ in range(100):
                await asyncio.sleep(0)
            assert not asked.done()
        finally:
            disk_is_fast_again.set()
        answer = await asked
        assert answer.HasField("finalization") or answer.HasField("certificate")
        assert view in [vote.view for vote in alone.said()]
