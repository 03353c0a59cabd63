"""Measure an observer, on a ledger made for it: sync, mirror, audit, export, receipt, offline verification."""

import argparse
import hashlib
import os
import resource
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import msgspec

from ledger.charter import ledger_keys, parse_charter
from ledger.encoding import encode_base64url
from ledger.positions import Interval
from ledger.verify import verify_certificate, verify_receipt
from observer.audit import audit_home
from observer.board import make_board
from observer.copy import require_copy
from observer.mirror.running import Wanted, mirror_home
from observer.proofs import certify, find_entry, find_verdict, prove_entry
from observer.sync import conclude, sync_home
from tests.ledger.rulebook import INTERVAL_S, SUBMIT_S, make_row
from tests.observer.fakeledger import FakeLedger

FRONT_DOOR = Path(__file__).resolve().parent.parent / "counterseal.py"
DIGESTS_COUNT = 24  # of the hidden fields of a row, decoys included
REPORTS_PER_BLOCK = 50


def build(labs: int, intervals: int, reports_per_block: int = REPORTS_PER_BLOCK) -> FakeLedger:
    """Register labs with a cluster each, and file a report of every lab for every interval."""
    ledger = FakeLedger(snapshot_interval=0)
    names = [f"lab-{number}" for number in range(labs)]
    for lab in names:
        ledger.register(-50, lab, [f"{lab}-a"])
    for interval in range(intervals):
        hashes = [hashlib.sha256(b"%d %d" % (interval, number)).digest() for number in range(DIGESTS_COUNT)]
        digests = sorted(encode_base64url(each) for each in hashes)
        end = (interval + 1) * INTERVAL_S
        for start in range(0, labs, reports_per_block):
            entries = []
            for lab in names[start : start + reports_per_block]:
                row = msgspec.structs.replace(make_row(f"{lab}-a"), digests=tuple(digests))
                entry = ledger.report(lab, interval, [row])
                ledger.labs[lab].note(entry)
                entries.append(entry)
            ledger.block(end + 1 + start // reports_per_block, *entries)
        ledger.block(end + SUBMIT_S)
    return ledger


def measure(what: str, act: Callable[[], object], *, count: int = 1, unit: str = "") -> None:
    """Do it once and print how long it took, and how many a second: by the clock, and of this process's time alone."""
    begun, begun_cpu = time.perf_counter(), time.process_time()
    act()
    elapsed, elapsed_cpu = time.perf_counter() - begun, time.process_time() - begun_cpu
    rate = f"{count / elapsed:10.0f} {unit}/s, {count / elapsed_cpu:.0f} a second of this process" if unit else ""
    print(f"{what:<42}{elapsed * 1000:10.1f} ms {rate}")


def measure_export(home: Path, folder: Path, *, workers: int, count: int) -> None:
    """Export in a process of its own; print its rate, the processor time of an entry, and the largest process."""
    words = ["observe", "export", "--home", str(home), "--to", str(folder), "--workers", str(workers), "--json"]
    begun = time.perf_counter()
    process = subprocess.Popen([sys.executable, str(FRONT_DOOR), *words], stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    elapsed = time.perf_counter() - begun
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    processor_us = (used.ru_utime + used.ru_stime) / count * 1_000_000
    print(
        f"{f'export, {workers} other processes':<42}{elapsed * 1000:10.1f} ms {count / elapsed:10.0f} entries/s"
        f" ({processor_us:.1f} us of processor time each; largest process {used.ru_maxrss // 1024} MiB)"
    )


def main() -> None:
    """Build, then measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--labs", type=int, default=200)
    parser.add_argument("--intervals", type=int, default=100)
    parser.add_argument("--block", type=int, default=REPORTS_PER_BLOCK, help="reports in a block: each has a seal")
    given = parser.parse_args()
    ledger = build(given.labs, given.intervals, given.block)
    size, height = len(ledger.entries), ledger.height
    print(f"{size} entries of {sum(map(len, ledger.entries)) // size} bytes on average in {height} blocks")
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder, "copy")
        published = str(ledger.publish(Path(folder, "published")))

        def follow() -> None:
            conclude(sync_home(home, [published], fingerprint=ledger.fingerprint, draw=secrets.token_bytes).outcomes)

        measure("sync from files", follow, count=size, unit="entries")
        wanted = Wanted(home, (published,), str(Path(folder, "mirror")), fingerprint=None, poll_s=None, listen=None)
        measure(
            "publish the copy as a mirror",
            lambda: mirror_home(wanted, say=lambda _: None, as_json=False),
            count=size,
            unit="entries",
        )
        for workers in sorted({0, 1, os.cpu_count() or 1}):

            def check(workers: int = workers) -> None:
                audit_home(home, fingerprint=None, draw=secrets.token_bytes, workers_count=workers)

            measure(f"audit, {workers} other processes", check, count=size, unit="entries")
        for workers in (0, 1, 2):
            measure_export(home, Path(folder, f"tables-{workers}"), workers=workers, count=size)
        with require_copy(home) as copy:
            proven = prove_entry(copy, find_entry(copy, lab="lab-7", interval=3))
            raw, _ = certify(copy, lab="lab-7", cluster="lab-7-a", interval=Interval(3))
            index = find_verdict(copy, lab="lab-9", cluster="lab-9-a", interval=Interval(5))
            measure("prove an entry", lambda: prove_entry(copy, index))
            measure(
                "make the board",
                lambda: make_board(copy, now_ms=copy.head.header.time_ms),
                count=size // 2,
                unit="verdicts",
            )

    def check_receipt() -> None:
        verify_receipt(proven.raw, entry=proven.verified.entry, keys=ledger_keys(parse_charter(ledger.charter_entry)))

    measure("verify a receipt from the charter's bytes", check_receipt)
    measure("verify a certificate", lambda: verify_certificate(raw, charter_fingerprint=ledger.fingerprint))
    memory_kib = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    print(f"{'most memory of a process, ledger included':<42}{memory_kib / 1024:10.1f} MiB")


if __name__ == "__main__":
    main()
