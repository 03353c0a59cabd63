"""A cluster in a process of its own, for tests that run commands in theirs: `python -m tests.node.cluster_process`.

Writes one line of JSON when all nodes run; then obeys its input, a line each, and answers each with a line. Ends at its
end. `stop 2` stops a node. `say 0 pause-proposal {…}` answers with an entry in base64: a statement of this kind by the
nation of a node, as its next one. With a third argument `agreed` the charter has an agreement.
"""

import asyncio
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import msgspec
import structlog

from ledger.agreement import Agreement
from ledger.encoding import encode_base64
from ledger.positions import Seconds
from ledger.statements.dsse import sign_envelope
from ledger.statements.inspections import (
    CHALLENGE,
    INSPECTORS,
    Challenge,
    Inspectors,
    encode_challenge,
    encode_inspectors,
)
from ledger.statements.intoto import PredicateHeader
from ledger.statements.pauses import (
    PAUSE_ACCESSION,
    PAUSE_PROPOSAL,
    PauseAccession,
    PauseProposal,
    encode_pause_accession,
    encode_pause_proposal,
)
from node.daemon import Node
from tests.ledger.rulebook import AGREEMENT
from tests.node.cluster import run_cluster


def make_agreement(interval_s: int) -> Agreement:
    """That of the tests of the rules, on the grid of these nodes."""
    inspections = msgspec.structs.replace(AGREEMENT.inspections, round_s=Seconds(interval_s))
    pauses = msgspec.structs.replace(AGREEMENT.pauses, notice_s=Seconds(1))
    return msgspec.structs.replace(AGREEMENT, inspections=inspections, pauses=pauses, retention_s=Seconds(86_400))


SAYABLE: Final[dict[str, tuple[type[PredicateHeader], Callable[[Any], bytes]]]] = {
    PAUSE_PROPOSAL: (PauseProposal, encode_pause_proposal),
    PAUSE_ACCESSION: (PauseAccession, encode_pause_accession),
    INSPECTORS: (Inspectors, encode_inspectors),
    CHALLENGE: (Challenge, encode_challenge),
}


def say(node: Node, kind: str, body: bytes) -> bytes:
    """A nation's next statement."""
    predicate, encode = SAYABLE[kind]
    nation = node.nation
    said = msgspec.convert(nation._make_header() | msgspec.json.decode(body), predicate)
    return sign_envelope(encode(said), [(nation._identity.public_key, nation._identity.sign)])


async def serve(folder: Path, interval_s: int, *, agreed: bool) -> None:
    agreement = make_agreement(interval_s) if agreed else None
    # Founded now: there is no beacon of earlier rounds to be caught up with, which would take the nations' numbers.
    founded_s = int(time.time()) if agreed else None
    async with run_cluster(folder, interval_s=interval_s, agreement=agreement, founded_s=founded_s) as cluster:
        sockets = [str(node.config.operator.socket) for node in cluster.nodes]
        parts = {"addresses": cluster.addresses, "operators": sockets, "charter": cluster.charter.entry.decode()}
        print(json.dumps(parts), flush=True)  # noqa: T201
        while line := await asyncio.to_thread(sys.stdin.readline):
            order, number, *rest = line.rstrip("\n").split(" ", 3)
            if order == "stop":
                await cluster.stop(int(number))
                print(line, end="", flush=True)  # noqa: T201
            else:
                kind, body = rest
                entry = say(cluster.nodes[int(number)], kind, body.encode())
                print(encode_base64(entry), flush=True)  # noqa: T201


if __name__ == "__main__":
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())  # the nodes' log is not what tests read
    asyncio.run(serve(Path(sys.argv[1]), int(sys.argv[2]), agreed=sys.argv[3:] == ["agreed"]))
