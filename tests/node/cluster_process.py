"""A cluster in a process of its own, for tests that run commands in theirs: `python -m tests.node.cluster_process`.

Writes one line of JSON when all nodes run; then obeys its input, a line each: `stop 2` stops a node. Ends at its end.
With a third argument `agreed` the charter has an agreement.
"""

import asyncio
import json
import sys
from pathlib import Path

import msgspec
import structlog

from ledger.agreement import Agreement
from ledger.positions import Seconds
from tests.ledger.rulebook import AGREEMENT
from tests.node.cluster import run_cluster


def make_agreement(interval_s: int) -> Agreement:
    """That of the tests of the rules, on the grid of these nodes."""
    inspections = msgspec.structs.replace(AGREEMENT.inspections, round_s=Seconds(interval_s))
    return msgspec.structs.replace(AGREEMENT, inspections=inspections, retention_s=Seconds(86_400))


async def serve(folder: Path, interval_s: int, *, agreed: bool) -> None:
    agreement = make_agreement(interval_s) if agreed else None
    async with run_cluster(folder, interval_s=interval_s, agreement=agreement) as cluster:
        sockets = [str(node.config.operator.socket) for node in cluster.nodes]
        parts = {"addresses": cluster.addresses, "operators": sockets, "charter": cluster.charter.entry.decode()}
        print(json.dumps(parts), flush=True)  # noqa: T201
        while line := await asyncio.to_thread(sys.stdin.readline):
            await cluster.stop(int(line.removeprefix("stop ")))
            print(line, end="", flush=True)  # noqa: T201


if __name__ == "__main__":
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())  # the nodes' log is not what tests read
    asyncio.run(serve(Path(sys.argv[1]), int(sys.argv[2]), agreed=sys.argv[3:] == ["agreed"]))
