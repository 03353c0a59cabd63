"""Measure the page's API on a ledger made for it: reading the copy, memory, and how fast every page is answered."""

import argparse
import asyncio
import secrets
import statistics
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import httpx

from ledger.positions import Millis
from observer.sync import conclude, sync_home
from observer.web.api import PREFIX
from observer.web.app import COMPRESSORS, make_app
from observer.web.desk import Desk
from observer.web.reading import Reading
from scripts.bench_observer import build, measure

ENTRIES_PER_REPORT = 2  # itself, and its verdict
PAGES = (
    "overview",
    "heatmap",
    "heatmap?limit=500&first=0&last=63",
    "labs/lab-{lab}",
    "nations",
    "pauses",
    "entries",
    "entries?kind=report&issuer=lab-{lab}",
    "entries/{index}",
    "entries/{index}/proof",
    "entries/{index}/receipt",
    "blocks/{height}",
    "certificates/lab-{lab}/lab-{lab}-a/{interval}",
    "search?q=lab-{lab}",
    "deadlines",
    "notices",
    "trust",
)


def read_resident_bytes() -> int:
    """Say how much memory this process has."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * 4096


async def ask(home: Path, *, labs: int, intervals: int, times: int) -> None:
    """Read the copy as the server does, then ask for every page, each time about something else."""
    reading = Reading(home)
    with ThreadPoolExecutor(1) as readers, ThreadPoolExecutor(COMPRESSORS) as compressors:
        desk = Desk(reading, readers, clock=lambda: Millis(time.time_ns() // 1_000_000), version="bench")
        app = make_app(desk, reading, readers=readers, compressors=compressors, hosts=None)
        before = read_resident_bytes()
        begun = time.perf_counter()
        await desk.catch_up()
        elapsed = time.perf_counter() - begun
        size = (await desk.status()).entries_count
        held = read_resident_bytes() - before
        print(f"read and check the copy                   {elapsed * 1000:10.1f} ms {size / elapsed:10.0f} entries/s")
        print(f"memory for that                           {held / 2**20:10.1f} MiB")
        print(f"{'page':<52}{'first':>9}{'median':>9}{'longest':>9}{'bytes':>10}   milliseconds, of {times}")
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client:
            for page in PAGES:
                took, length = [], 0
                for number in range(times):
                    path = page.format(
                        lab=number * 7 % labs,
                        index=number * size // times,
                        height=1 + number * intervals // times,
                        interval=number * intervals // times,
                    )
                    start = time.perf_counter()
                    answer = await client.get(PREFIX + path, headers={"Accept-Encoding": "gzip"})
                    took.append((time.perf_counter() - start) * 1000)
                    answer.raise_for_status()
                    length = int(answer.headers["content-length"])
                print(f"{page:<52}{took[0]:9.1f}{statistics.median(took):9.1f}{max(took):9.1f}{length:10}")
        await asyncio.get_running_loop().run_in_executor(readers, reading.close)


def main() -> None:
    """Build, then measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--labs", type=int, default=200)
    parser.add_argument("--entries", type=int, default=100_000, help="about so many; 1000000 takes minutes to make")
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--home", type=Path, help="measure this copy, of a ledger this made, instead of making one")
    parser.add_argument("--keep", type=Path, help="make the copy here, and leave it")
    given = parser.parse_args()
    intervals = max(64, given.entries // (ENTRIES_PER_REPORT * given.labs))
    with tempfile.TemporaryDirectory() as folder:
        home = given.home or given.keep or Path(folder, "copy")
        if given.home is None:
            ledger = build(given.labs, intervals)
            published = str(ledger.publish(Path(folder, "published")))
            fingerprint = ledger.fingerprint
            size = len(ledger.entries)
            del ledger

            def follow() -> None:
                conclude(sync_home(home, [published], fingerprint=fingerprint, draw=secrets.token_bytes).outcomes)

            measure("sync from files", follow, count=size, unit="entries")
        asyncio.run(ask(home, labs=given.labs, intervals=intervals, times=given.times))


if __name__ == "__main__":
    main()
