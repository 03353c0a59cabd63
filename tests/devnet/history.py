"""The golden history: the year as the rules had it when it was written, block by block, with what followed from it.

    {"charter":"…"}                                                          entry 0
    {"time_ms":…,"parent":"…","computed":["…"],"submitted":["…"]}            a block; entries are text
    {"state":"…"}                                                            digest of the state after the blocks so far
    {"interval":…,"nation":…,"worst":…,"level":…,"words":[[state, level, clusters, gflops], …]}   a roll-up

`scripts/history` says whether the code of today makes the same of it, and fails if not; `--update` writes it anew, for
when a format or a rule of ledgers that nobody has founded yet is changed on purpose.
"""

import argparse
import asyncio
import json
import lzma
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from devnet.year.cast import LABS, NATIONS
from devnet.year.facts import ANNEX
from devnet.year.script import write_script
from ledger.errors import Rejection
from ledger.positions import Interval, LeafIndex, Millis
from ledger.rollups import Rollup, Tally
from ledger.rules.apply import apply_block, found, open_block
from ledger.rules.capacity import compute_gflops
from ledger.rules.state import compute_state_digest
from ledger.statements.computed import find_computed_kind
from ledger.statements.verdicts import VERDICT, parse_verdict
from tests.devnet.rehearsal import BASE, Rehearsal, rehearse

FILE = Path(__file__).resolve().parent.parent / "vectors" / "history" / "year.jsonl.xz"

Line = dict[str, Any]  # of one of four forms


def make_history() -> list[Line]:
    """Rehearse the year and write it down."""
    stage, performance = asyncio.run(rehearse(write_script(BASE)))
    assert not performance.surprises, performance.surprises
    return list(_write(stage))


def replay(lines: list[Line]) -> list[Line]:
    """Execute a history again, believing nothing in it but charter, times, parents and what was submitted.

    Returns:
        what the rules make of it; up to the first block that they refuse, if they refuse one, with the reason.
    """
    charter_entry = lines[0]["charter"].encode()
    state = found(charter_entry)
    state.commit()
    size = LeafIndex(1)
    made: list[Line] = [lines[0]]
    verdicts: list[bytes] = []
    for line in lines[1:]:
        if "time_ms" in line:
            time_ms, parent = Millis(line["time_ms"]), bytes.fromhex(line["parent"])
            opening = open_block(state, time_ms=time_ms, parent=parent)[1]
            submitted = [text.encode() for text in line["submitted"]]
            after = apply_block(state, [*opening, *submitted], time_ms=time_ms, first_index=size, parent=parent)
            if isinstance(after, Rejection):
                return [*made, line | {"refused": str(after)}]
            after.commit()
            state, size = after, LeafIndex(size + len(opening) + len(submitted))
            verdicts += [entry for entry in opening if find_computed_kind(entry) == VERDICT]
            made.append(line | {"computed": [entry.decode() for entry in opening]})
        elif "state" in line:
            made.append({"state": compute_state_digest(state).hex()})
    return [*made, *_roll_up(verdicts)]


def read_history() -> list[Line]:
    return [json.loads(line) for line in lzma.decompress(FILE.read_bytes()).splitlines()]


def write_history(lines: list[Line]) -> None:
    text = "".join(json.dumps(line, ensure_ascii=False, separators=(",", ":")) + "\n" for line in lines)
    FILE.parent.mkdir(exist_ok=True)
    FILE.write_bytes(lzma.compress(text.encode(), preset=9 | lzma.PRESET_EXTREME))


def find_difference(lines: list[Line], others: list[Line]) -> str:
    """Name the first line that is not the same; nothing if all are."""
    for number, (line, other) in enumerate(zip(lines, others, strict=False), start=1):
        for name in line:
            if line[name] != other.get(name):
                return f"line {number}, {name}: {str(line[name])[:200]} and not {str(other.get(name))[:200]}"
    return "" if len(lines) == len(others) else f"{len(lines)} lines and not {len(others)}"


def _write(stage: Rehearsal) -> Iterator[Line]:
    yield {"charter": stage.charter_entry.decode()}
    for number, block in enumerate(stage.blocks, start=1):
        yield {
            "time_ms": block.time_ms,
            "parent": block.parent.hex(),
            "computed": [entry.decode() for entry in block.computed],
            "submitted": [entry.decode() for entry in block.submitted],
        }
        if number in stage.marks:
            yield {"state": stage.marks[number].hex()}
    computed = (entry for block in stage.blocks for entry in block.computed)
    yield from _roll_up([entry for entry in computed if find_computed_kind(entry) == VERDICT])


def _roll_up(verdicts: list[bytes]) -> Iterator[Line]:
    tally = Tally({lab.cluster: compute_gflops(lab.registered_cluster, ANNEX) for lab in LABS})
    for entry in verdicts:
        tally.add(parse_verdict(entry))
    for interval in tally.intervals():
        for nation in (None, *NATIONS):
            yield _describe(interval, nation, tally.roll_up(interval=interval, nation=nation))


def _describe(interval: Interval, nation: str | None, rollup: Rollup) -> Line:
    return {
        "interval": interval,
        "nation": nation,
        "worst": rollup.worst,
        "level": rollup.least_assurance,
        "words": [[*word, *weight] for word, weight in rollup.weights.items()],
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--update", action="store_true", help="write the history anew")
    if parser.parse_args().update:
        write_history(make_history())
        sys.stdout.write(f"wrote {FILE.name}: {FILE.stat().st_size} bytes\n")
        return 0
    kept = read_history()
    for what, lines in (("replayed", replay(kept)), ("rehearsed", make_history())):
        if difference := find_difference(lines, kept):
            sys.stderr.write(f"{what}, the year is another: {difference}\n")
            return 1
    sys.stdout.write(f"{len(kept)} lines, the same when replayed and when rehearsed\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
