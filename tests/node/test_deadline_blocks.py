"""A deadline that gives no verdict still has to pass: a block is worth making for that, though it is empty."""

from pathlib import Path

from ledger.positions import Height, Millis
from ledger.rules.apply import next_deadline_ms
from node.consensus import messages as core
from node.consensus.messages import VoteKind
from tests.node.alone import run_alone
from tests.node.ledger_on_disk import FOUNDED_MS

IDLE_MS = 3_600_000
DELTA_MS = 2_000


async def test_a_deadline_of_a_lab_without_clusters_passes_with_an_empty_block(tmp_path: Path) -> None:
    """If not, every leader would have nothing to propose, and every member would give its view up for that."""
    now = [FOUNDED_MS]
    async with run_alone(
        tmp_path, clock=lambda: Millis(now[0]), idle_interval_ms=IDLE_MS, delta_ms=DELTA_MS, interval_s=60
    ) as alone:
        node = alone.node
        node.admission.admit(alone.nation.register("empty-lab", clusters=()))
        await node.tip.wait_above(Height(0))
        deadline = next_deadline_ms(node.branches.final.state)
        assert deadline is not None
        assert deadline < FOUNDED_MS + IDLE_MS
        now[0] = deadline
        before = node.branches.final.header
        node.driver.put(core.DeadlineAt(deadline))
        await node.tip.wait_above(before.height)
        final = node.branches.final
        assert final.header.entry_count == 0
        later = next_deadline_ms(final.state)
        assert later is not None
        assert later > deadline
        assert not [vote for vote in alone.said() if vote.kind is VoteKind.NULLIFY]
