"""Servers in processes of their own that say where they listen; one of them speaks the protocol of S3."""

import contextlib
import queue
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import IO

LIMIT_S = 60
S3_COMMAND = (sys.executable, "-u", "-m", "moto.server", "--host", "127.0.0.1", "--port", "0")


@contextlib.contextmanager
def running_server(*command: str) -> Iterator[str]:
    """Run a server that says where it listens; whatever else it says is read and dropped."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        said: list[str] = []
        addresses: queue.SimpleQueue[str] = queue.SimpleQueue()
        reading = threading.Thread(target=_listen_to, args=(process.stdout, said, addresses))
        reading.start()
        try:
            address = addresses.get(timeout=LIMIT_S)
            assert address, "".join(said)
            yield address
        finally:
            process.kill()
            reading.join()


def _listen_to(stdout: IO[str], said: list[str], addresses: queue.SimpleQueue[str]) -> None:
    for line in stdout:
        said.append(line)
        found = re.search(r"http://127\.0\.0\.1:\d+", line)
        if found:
            addresses.put(found[0])
    addresses.put("")
