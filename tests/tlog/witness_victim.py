"""A witness that kills itself at a point of its decision: `python -m tests.tlog.witness_victim <folder> <point>`."""

import os
import signal
import sys
from pathlib import Path

from tests.tlog.foreignlog import NOW, PASSPHRASE
from tlog.witness import open_witness, read_log_list

if __name__ == "__main__":
    folder, point = Path(sys.argv[1]), sys.argv[2]

    def reach(name: str) -> None:
        if name == point:
            os.kill(os.getpid(), signal.SIGKILL)

    witness = open_witness(folder, PASSPHRASE, read_log_list(folder / "logs"), reach=reach)
    reply = witness.add_checkpoint((folder / "body").read_bytes(), now_s=NOW)
    sys.stdout.buffer.write(reply.body)
