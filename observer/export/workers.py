"""Jobs in other processes, so that an export uses more than one core.

A worker opens the same copy, which verifies the seal of its newest block, and takes from the process that asked the
sealed head that rows are written under, and anchors of headers. It writes files aside; only the process that asked
puts them in place. A worker lives as long as the pipe to who asked: it ends when that process does, however it ended.
One that was killed costs nothing but time: its job is done by who asked.
"""

import multiprocessing
import secrets
import signal
from collections import deque
from collections.abc import Iterable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path

from ledger.blocks import SealedHeader
from ledger.errors import Code, LedgerError
from observer.copy import Copy, require_copy
from observer.export.jobs import Job, run_job
from observer.export.parts import Part

_Failure = tuple[type[LedgerError], str, str, str, Code]
"""A `LedgerError` in parts: an error with keyword arguments cannot be sent as it is."""

_Answer = list[Part] | _Failure


class _Worker:
    """One other process, with at most one job."""

    def __init__(self, home: Path, fingerprint: bytes, head: SealedHeader) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_work, args=(theirs, home, fingerprint, head), daemon=True)
        self._process.start()
        theirs.close()

    def send(self, job: Job) -> bool:
        """Give it a job; False if it is no more."""
        try:
            self._pipe.send(job)
        except OSError:
            return False
        return True

    def receive(self) -> list[Part] | None:
        """Wait for what came of the job; None if the worker is no more.

        Raises:
            LedgerError: what the job raised.
        """
        try:
            answer: _Answer = self._pipe.recv()
        except (EOFError, OSError):
            return None
        if isinstance(answer, list):
            return answer
        kind, field, found, expected, code = answer
        raise kind(field=field, found=found, expected=expected, code=code)

    def stop(self) -> None:
        """End it, whatever it does."""
        self._pipe.close()
        self._process.terminate()
        self._process.join()


def run_jobs(
    jobs: Iterable[Job], copy: Copy, *, head: SealedHeader, workers_count: int
) -> Iterator[tuple[Job, list[Part]]]:
    """Do jobs, and give what came of each in their order.

    Args:
        jobs: taken one by one, as workers are free.
        copy: to read.
        head: the sealed head that the rows are under; believed.
        workers_count: how many other processes; 0 to do all in this one.

    Raises:
        LedgerError: what the first job raised that failed.
    """
    workers = [_Worker(copy.path.parent, copy.charter.ledger_id, head) for _ in range(workers_count)]
    free, busy = deque(workers), deque[tuple[Job, _Worker | None]]()
    try:
        for job in jobs:
            worker = free.popleft() if free else None
            if worker is not None and not worker.send(job):
                worker = None
            busy.append((job, worker))
            if not free:
                yield _finish(*busy.popleft(), copy, head, free)
        while busy:
            yield _finish(*busy.popleft(), copy, head, free)
    finally:
        for worker in workers:
            worker.stop()


def _finish(
    job: Job, worker: _Worker | None, copy: Copy, head: SealedHeader, free: deque[_Worker]
) -> tuple[Job, list[Part]]:
    """Wait for a job, or do it here where nobody else can."""
    parts = None if worker is None else worker.receive()
    if parts is not None and worker is not None:
        free.append(worker)
        return job, parts
    for path in job.paths.values():
        path.unlink(missing_ok=True)
    return job, run_job(job, copy, head=head, draw=secrets.token_bytes)


def _work(pipe: "Connection[_Answer, Job]", home: Path, fingerprint: bytes, head: SealedHeader) -> None:
    """Do jobs until the pipe is closed; found by name in the other process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # who asked is interrupted too, and ends the pipe
    with require_copy(home, fingerprint=fingerprint) as copy:
        while True:
            try:
                job = pipe.recv()
            except (EOFError, OSError):
                return
            try:
                answer: _Answer = run_job(job, copy, head=head, draw=secrets.token_bytes)
            except LedgerError as error:
                answer = (type(error), error.field, error.found, error.expected, error.code)
            try:
                pipe.send(answer)
            except OSError:
                return
