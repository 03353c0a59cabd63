"""A lab's desk in tests of its commands: whole nodes in another process, and the command line in this one."""

import contextlib
import hashlib
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import grpc
import msgspec
import pytest

import counterseal
from lab.home import Home
from ledger.charter import Charter, parse_charter
from ledger.encoding import decode_base64, encode_base64
from node.operating import OperatorClient
from node.v1 import submission_pb2, submission_pb2_grpc

ROOT = Path(__file__).resolve().parents[2]
INTERVAL_S = 1
ATTEMPTS_MAX = 50
OVERTAKEN = ("WRONG_SEQUENCE", "WRONG_PREVIOUS", "EQUIVOCATION")
CHEAP = ("--argon2-memory-kib", "32", "--argon2-passes", "1")


@dataclass(frozen=True)
class Done:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass(frozen=True)
class Network:
    """Four nodes in another process."""

    addresses: list[str]
    operators: list[Path]
    charter: Charter
    orders: IO[str]
    answers: IO[str]

    def stop(self, i: int) -> None:
        self.orders.write(f"stop {i}\n")
        self.orders.flush()
        assert self.answers.readline() == f"stop {i}\n"

    def say(self, i: int, kind: str, body: object) -> None:
        """Let the nation of a node say something, and wait until it is sealed.

        Its node posts beacons by itself meanwhile, and may take the number that this statement was made for.
        """
        with grpc.insecure_channel(self.addresses[i].removeprefix("grpc://")) as channel:
            stub = submission_pb2_grpc.SubmissionStub(channel)
            for _ in range(ATTEMPTS_MAX):
                self.orders.write(f"say {i} {kind} {msgspec.json.encode(body).decode()}\n")
                self.orders.flush()
                entry = decode_base64(self.answers.readline().strip(), field="entry")
                request = submission_pb2.SubmitRequest(entry=entry, wait=True)
                try:
                    stub.Submit(request, timeout=30, wait_for_ready=True)
                except grpc.RpcError as error:
                    if not any(code in str(error) for code in OVERTAKEN):
                        raise
                else:
                    return
            raise AssertionError(kind)

    def time_ms(self) -> int:
        """Ledger time, as the last node has it."""
        with grpc.insecure_channel(self.addresses[-1].removeprefix("grpc://")) as channel:
            stub = submission_pb2_grpc.SubmissionStub(channel)
            request = submission_pb2.GetPositionRequest(issuer=self.charter.members[0].id)
            return int(stub.GetPosition(request, timeout=30, wait_for_ready=True).time_ms)


@contextlib.contextmanager
def run_network(folder: Path, *, agreed: bool = False) -> Iterator[Network]:
    """Start them, with an agreement in their charter or without."""
    command = [sys.executable, "-m", "tests.node.cluster_process", str(folder), str(INTERVAL_S)]
    command += ["agreed"] if agreed else []
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        parts = json.loads(process.stdout.readline())
        charter = parse_charter(parts["charter"].encode())
        operators = [Path(name) for name in parts["operators"]]
        yield Network(parts["addresses"], operators, charter, process.stdin, process.stdout)
        process.stdin.close()
        assert process.wait(30) == 0


@dataclass
class Desk:
    """A person of the lab, with nodes to talk to."""

    network: Network
    folder: Path
    lab: str
    capture: pytest.CaptureFixture[str]

    @property
    def home(self) -> Path:
        return self.folder / self.lab

    @property
    def secret(self) -> Path:
        path = self.folder / "passphrase"
        if not path.exists():
            path.write_text("a passphrase\n")
            path.chmod(0o600)
        return path

    def run(self, *arguments: str | Path) -> Done:
        """Run the command line, as its process would."""
        self.capture.readouterr()
        with pytest.raises(SystemExit) as left:
            counterseal.main(["lab", *map(str, arguments)])
        printed = self.capture.readouterr()
        assert isinstance(left.value.code, int)
        assert "Traceback" not in printed.err
        return Done(left.value.code, printed.out, printed.err)

    def init(self, *more: str, nodes: Sequence[str] | None = None) -> Done:
        addresses = self.network.addresses if nodes is None else nodes
        return self.run(
            "init", "--home", self.home, "--id", self.lab, "--name", "Lab", *CHEAP,
            *(word for address in addresses for word in ("--node", address)),
            "--cluster", f"{self.lab}-c1:Hall 1:DE:h100=64",
            "--charter-fingerprint", self.network.charter.fingerprint, "--passphrase-file", self.secret, *more,
        )  # fmt: skip

    def nation_registers(self, request: bytes | None = None) -> Path:
        """What `counterseal nation register` does."""
        body = Home(self.home).request.read_bytes() if request is None else request
        signed = OperatorClient(self.network.operators[0]).sign("registration", body)
        path = self.folder / f"{self.lab}-registration.json"
        parts = {"payload": signed.payload, "signature": signed.signature, "public_key": signed.public_key}
        path.write_text(json.dumps({name: encode_base64(part) for name, part in parts.items()}, indent=2))
        return path

    def countersign(self, offer: Path) -> Done:
        return self("countersign", offer, "--passphrase-file", self.secret)

    def register(self) -> None:
        assert self.init().code == 0
        done = self.countersign(self.nation_registers())
        for _ in range(ATTEMPTS_MAX):
            if not any(code in done.err for code in OVERTAKEN):
                break
            done = self.countersign(self.nation_registers())
        assert done.code == 0, done.err

    def __call__(self, command: str, *arguments: str | Path) -> Done:
        return self.run(command, "--home", self.home, *arguments)

    def export(self, *jobs: str) -> Path:
        """A table of jobs on the lab's cluster: `start,end` in Unix seconds."""
        lines = [f"{self.lab}-c1,{n},COMPLETED,{job},h100:8" for n, job in enumerate(jobs, start=1)]
        path = self.folder / f"{self.lab}.csv"
        path.write_text("\n".join(["cluster,job,state,start,end,gpus", *lines, ""]))
        return path

    def wait_over(self) -> int:
        """Wait until an interval has ended in which the cluster counts, by ledger time, and name it."""
        grid = self.network.charter.grid
        interval = (self.network.time_ms() // 1000 - grid.start) // grid.interval_s + 1
        end_ms = (grid.start + (interval + 1) * grid.interval_s) * 1000
        while self.network.time_ms() < end_ms:  # each answer comes over the wire: no busy wait
            pass
        return interval

    def build(self, interval: int, *more: str | Path) -> Done:
        return self(
            "report", "--interval", str(interval), "--from", self.export(), "--passphrase-file", self.secret, *more
        )


def name_lab(request: pytest.FixtureRequest) -> str:
    """A lab of its own for each test."""
    return "lab-" + hashlib.sha256(request.node.name.encode()).hexdigest()[:8]
