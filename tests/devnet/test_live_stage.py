"""The live stage on four nodes in this process: positions follow the ledger, and who is overtaken asks again."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from devnet.year.cast import LABS, make_key
from devnet.year.live import LiveStage
from devnet.year.lookout import Lookout
from devnet.year.stage import Position, Spoken
from devnet.year.terms import make_grid
from lab.client import Client, connect
from ledger.errors import Code
from ledger.positions import Interval, Seconds
from ledger.statements.dsse import sign_envelope
from ledger.statements.registry import LabKey, Registration, encode_registration
from tests.lab.actors import QUICK, pin
from tests.node.cluster import Cluster, run_cluster

pytestmark = pytest.mark.asyncio(loop_scope="module")

LAB = LABS[0]


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def cluster(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Cluster]:
    async with run_cluster(tmp_path_factory.mktemp("cluster")) as running:
        yield running


class Nation:
    """The first member of a cluster, who registers labs on a stage."""

    def __init__(self, cluster: Cluster, client: Client, tasks: asyncio.TaskGroup) -> None:
        self.id = cluster.charter.members[0].id
        self.ledger = cluster.charter.fingerprint
        lookout = Lookout(tasks, Path("nowhere"), source=cluster.addresses[0], fingerprint=self.ledger)
        keys = {self.id: cluster.nodes[0].keys.identity}
        grid = make_grid(Seconds(0), 10)
        self.stage = LiveStage(client, keys, lookout, grid=grid, base=Interval(0))
        self.asked: list[Position] = []

    def register(self, lab: str, *, at: Position | None = None) -> Spoken:
        """Register a lab; with `at`, the first try is at that position, whatever is asked for."""

        def write(position: Position) -> bytes:
            used = at if at is not None and not self.asked else position
            self.asked.append(position)
            payload = encode_registration(
                Registration(
                    ledger=self.ledger,
                    issuer=self.id,
                    sequence=used.sequence,
                    previous=used.previous,
                    issued_at=Seconds(0),
                    corrects=None,
                    lab=lab,
                    name=lab,
                    keys=(LabKey(make_key(lab).public_key, "active"),),
                    next_key_sha256=LAB.next_key_sha256,
                    clusters=(),
                )
            )
            return sign_envelope(payload, [self.stage.find_signer(self.id), self.stage.find_signer(lab)])

        return Spoken(self.id, write, None, is_refused=False)


async def test_a_nation_that_is_overtaken_asks_where_it_stands_and_speaks_again(cluster: Cluster) -> None:
    async with connect(pin(cluster), cluster.addresses, patience=QUICK) as client, asyncio.TaskGroup() as tasks:
        nation = Nation(cluster, client, tasks)
        (first,) = await nation.stage.say([nation.register("first")])
        assert first.index is not None
        nation.asked.clear()
        (second,) = await nation.stage.say([nation.register("second", at=first.position)])
    assert second.index is not None
    assert len(nation.asked) == 2
    assert second.position.sequence == first.position.sequence + 1


async def test_a_lab_that_repeats_a_number_is_not_asked_again(cluster: Cluster) -> None:
    async with connect(pin(cluster), cluster.addresses, patience=QUICK) as client, asyncio.TaskGroup() as tasks:
        nation = Nation(cluster, client, tasks)
        (told,) = await nation.stage.say([nation.register("third")])
        nation.asked.clear()
        repeated = nation.register("fourth")
        spoken = Spoken(nation.id, repeated.write, told.position, is_refused=True)
        (refused,) = await nation.stage.say([spoken])
    assert refused.rejection is not None
    assert refused.rejection.code is Code.EQUIVOCATION
    assert nation.asked == [told.position]
