"""A network of real nodes on this machine: folders, processes, signals. For demos, tests and trying things out.

Every node is what an operator runs: its own process, folder, keys and ports, started by the same command. Only the
passphrase is light (one file for all, cheap to stretch), so that a network is up in seconds; it must guard nothing.
"""

import contextlib
import itertools
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from ledger.errors import Code, ConditionError
from ledger.positions import Millis, Seconds
from ledger.sealedfile import Cost
from node.home import Home
from node.keystore import Keystore, MemberKeys, Passphrase
from node.operating import OperatorClient
from node.setup import MemberProfile, Terms, init_member, make_draft
from node.v1 import operator_pb2

PORTS_PER_NODE: Final = 4
PORTS: Final = range(10_000, 32_768)  # below those that Linux, macOS and Windows give to connections going out
LIGHT_COST: Final = Cost(memory_kib=1024, passes=1, lanes=1)
LOOK_EVERY_S: Final = 0.1
STOP_WITHIN_S: Final = 15.0
NAMES: Final = ("aurelia", "borealis", "cimbria", "dacia", "elyria", "frisia", "galatia", "hibernia")
_PASSPHRASE: Final = "for a devnet only"  # noqa: S105  # it guards nothing, as the docstring says
_FILE: Final = "network.json"
# A process goes on where it was, and begins far from where its neighbours do: between the finding of a port and its
# use, another process that looks for ports must not come to the same.
_port_numbers: Final = itertools.count(os.getpid() * 977)


class NodePlace(msgspec.Struct, frozen=True):
    """Where one node of the network is.

    Attributes:
        id: of its nation.
        home: its folder.
        peer: host and port for members.
        public: host and port for labs and observers.
        http: base URL of its published files.
        metrics: host and port of its metrics.
    """

    id: str
    home: str
    peer: str
    public: str
    http: str
    metrics: str


class _NetworkFile(msgspec.Struct, frozen=True):
    version: int
    nodes: tuple[NodePlace, ...]


@dataclass(frozen=True, slots=True)
class Waiting:
    """How long to wait for something, and what to call it when it does not come."""

    what: str
    within_s: float


class Network:
    """A network in one folder; the processes it started end with it unless told otherwise."""

    def __init__(self, root: Path, nodes: Sequence[NodePlace]) -> None:
        self.root = root
        self.nodes = list(nodes)
        self._processes: dict[int, subprocess.Popen[bytes]] = {}

    # -- making ------------------------------------------------------------------------------------------------------

    @classmethod
    def create(
        cls,
        root: Path,
        count: int,
        make_terms: Callable[[], Terms],
        *,
        publish_interval_ms: int = 500,
        places: Sequence[NodePlace] | None = None,
        dialled: Mapping[str, Mapping[str, str]] | None = None,
    ) -> "Network":
        """Set up `count` nodes and the draft of their charter in an empty folder.

        Args:
            root: the folder.
            count: how many nations.
            make_terms: called last, so that a grid can begin now.
            publish_interval_ms: least time between two published checkpoints.
            places: where the nodes are; free ports of this machine if not given.
            dialled: by node, addresses at which it dials others, where these are not their own.

        Raises:
            LedgerError: the folder holds a network already, or the terms are wrong.
        """
        root.mkdir(parents=True, exist_ok=True)
        if (root / _FILE).exists():
            raise ConditionError(
                field=str(root), found="a network already", expected="an empty folder", code=Code.CONFIG
            )
        passphrase = root / "passphrase"
        passphrase.touch(mode=0o600)
        passphrase.write_text(_PASSPHRASE + "\n")
        nodes = find_places(root, count) if places is None else places
        for place in nodes:
            settings: dict[str, dict[str, object]] = {
                "peer": {"listen": place.peer, "addresses": (dialled or {}).get(place.id, {})},
                "public": {"listen": place.public},
                "http": {"listen": place.http.removeprefix("http://"), "metrics_listen": place.metrics},
                "publish": {"interval_min_ms": publish_interval_ms},
            }
            init_member(
                Home(Path(place.home)),
                MemberProfile(
                    id=place.id,
                    name=place.id.capitalize(),
                    node=f"{place.id}.example/node",
                    peer=place.peer,
                    public=place.public,
                    http=place.http,
                ),
                Passphrase.parse(_PASSPHRASE),
                settings=settings,
                now=Seconds(_now_ms() // 1000),
                cost=LIGHT_COST,
            )
        draft = make_draft([Home(Path(place.home)).public_file for place in nodes], make_terms(), now=_now_ms())
        (root / "charter.toml").write_bytes(draft)
        (root / _FILE).write_bytes(msgspec.json.encode(_NetworkFile(version=1, nodes=tuple(nodes))))
        return cls(root, nodes)

    @classmethod
    def open(cls, root: Path) -> "Network":
        """Take up a network that was made before.

        Raises:
            ConditionError: there is none in this folder.
        """
        try:
            file = msgspec.json.decode((root / _FILE).read_bytes(), type=_NetworkFile)
        except (OSError, msgspec.MsgspecError) as error:
            raise ConditionError(
                field=str(root), found="no network", expected="a folder made by `devnet up`", code=Code.CONFIG
            ) from error
        return cls(root, file.nodes)

    def open_keys(self, number: int) -> MemberKeys:
        """Open a node's keys, which guard nothing here, to sign what its nation says.

        Raises:
            ConditionError: they are not there, or not under the devnet's passphrase.
        """
        keystore = Keystore(Home(Path(self.nodes[number].home)).keys, randomness=secrets.token_bytes, cost=LIGHT_COST)
        return keystore.open(Passphrase.parse(_PASSPHRASE))

    # -- processes ---------------------------------------------------------------------------------------------------

    def start(self, number: int, *, launcher: Sequence[str] = (), inside: Sequence[str] = ()) -> None:
        """Start the process of a node; founding comes first if it was not founded yet.

        Args:
            number: which.
            launcher: what Python runs it under, such as a profiler.
            inside: what runs Python, such as the words that enter a network namespace; it must become the process.
        """
        place = self.nodes[number]
        home = Path(place.home)
        command = [*inside, sys.executable, *launcher, "-m", "counterseal", "node", "run", "--home", str(home)]
        command += ["--draft", str(self.root / "charter.toml"), "--passphrase-file", str(self.root / "passphrase")]
        with (home / "out.log").open("ab") as out, (home / "err.log").open("ab") as err:
            process = subprocess.Popen(  # noqa: S603  # our own command
                command, stdin=subprocess.DEVNULL, stdout=out, stderr=err, start_new_session=True
            )
        self._processes[number] = process
        (home / "pid").write_text(str(process.pid))

    def kill(self, number: int) -> None:
        """Stop a node the hard way (SIGKILL): nothing is flushed, nothing is said."""
        self._signal(number, signal.SIGKILL)
        self._wait_for_exit(number)

    def stop(self, number: int) -> None:
        """Ask a node to stop (SIGTERM), and wait until it has."""
        self._signal(number, signal.SIGTERM)
        self._wait_for_exit(number)

    def freeze(self, number: int) -> None:
        """Let a node stand still (SIGSTOP): its connections stay open, and nobody answers."""
        self._signal(number, signal.SIGSTOP)

    def thaw(self, number: int) -> None:
        """Let a frozen node go on (SIGCONT)."""
        self._signal(number, signal.SIGCONT)

    def stop_all(self) -> None:
        """Stop every node that runs, all at once."""
        for number in range(len(self.nodes)):
            self._signal(number, signal.SIGTERM)
        for number in range(len(self.nodes)):
            self._wait_for_exit(number)

    def is_running(self, number: int) -> bool:
        """Say whether the process of a node is there."""
        process = self._processes.get(number)
        if process is not None:
            return process.poll() is None
        pid = self.pid(number)
        return pid is not None and Path(f"/proc/{pid}").exists()

    def pid(self, number: int) -> int | None:
        """Return the id of a node's process; None if none was started."""
        process = self._processes.get(number)
        if process is not None:
            return process.pid
        with contextlib.suppress(OSError, ValueError):
            return int((Path(self.nodes[number].home) / "pid").read_text())
        return None

    def _signal(self, number: int, which: signal.Signals) -> None:
        pid = self.pid(number)
        if pid is not None and self.is_running(number):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, which)

    def _wait_for_exit(self, number: int) -> None:
        process = self._processes.pop(number, None)
        if process is not None:
            process.wait(STOP_WITHIN_S)
        else:
            wait_until(lambda: not self.is_running(number), Waiting("the end of a node", STOP_WITHIN_S))
        (Path(self.nodes[number].home) / "pid").unlink(missing_ok=True)

    def reap(self, number: int) -> int | None:
        """Take note of a node that ended by itself; returns its exit code, None if it was started by somebody else."""
        process = self._processes.get(number)
        self._wait_for_exit(number)
        return None if process is None else process.returncode

    # -- asking ------------------------------------------------------------------------------------------------------

    def status(self, number: int) -> operator_pb2.GetStatusResponse | None:
        """Ask a node how it stands; None if it does not answer."""
        client = OperatorClient(Path(self.nodes[number].home) / "operator.sock")
        try:
            return client.status()
        except ConditionError:
            return None

    def wait_ready(self, number: int, *, within_s: float = 60.0) -> operator_pb2.GetStatusResponse:
        """Wait until a node answers its operator.

        Raises:
            ConditionError: it ended (with the last line it wrote), or did not answer in time.
        """
        for _ in _moments(Waiting(f"node {self.nodes[number].id}", within_s)):
            answer = self.status(number)
            if answer is not None:
                return answer
            if not self.is_running(number):
                raise ConditionError(
                    field=f"node {self.nodes[number].id}",
                    found=self.last_words(number),
                    expected="a node that runs",
                )
        raise AssertionError

    def last_words(self, number: int) -> str:
        """Return the last line a node wrote to its log."""
        lines = (Path(self.nodes[number].home) / "err.log").read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else "nothing"

    @contextlib.contextmanager
    def running(self) -> Iterator["Network"]:
        """Stop what was started when the block ends, however it ends."""
        try:
            yield self
        finally:
            self.stop_all()


def wait_until(is_so: Callable[[], bool], waiting: Waiting) -> None:
    """Look again and again until something is so.

    Raises:
        ConditionError: `TIMEOUT`.
    """
    for _ in _moments(waiting):
        if is_so():
            return


def _moments(waiting: Waiting) -> Iterator[None]:
    end = time.monotonic() + waiting.within_s
    while time.monotonic() < end:
        yield
        time.sleep(LOOK_EVERY_S)
    raise ConditionError(
        field=waiting.what,
        found=f"nothing within {waiting.within_s:.0f} s",
        expected=f"{waiting.what} sooner",
        code=Code.TIMEOUT,
    )


def find_free_ports(count: int) -> list[int]:
    """Find ports of this machine that nobody listens on now, none of which a connection going out can be given."""
    held: list[socket.socket] = []
    try:
        for number in itertools.islice(_port_numbers, len(PORTS)):
            each = socket.socket()
            held.append(each)
            try:
                each.bind(("127.0.0.1", PORTS[number % len(PORTS)]))
            except OSError:
                held.pop().close()
            if len(held) == count:
                return [each.getsockname()[1] for each in held]
    finally:
        for each in held:
            each.close()
    raise ConditionError(
        field="ports", found=f"fewer than {count} free in {PORTS[0]}-{PORTS[-1]}", expected="more", code=Code.NOT_READY
    )


def find_places(root: Path, count: int) -> list[NodePlace]:
    """Find a folder and free ports of this machine for each of so many nodes."""
    free = find_free_ports(count * PORTS_PER_NODE)
    return [make_place(root, i, "127.0.0.1", free[PORTS_PER_NODE * i :][:PORTS_PER_NODE]) for i in range(count)]


def make_place(root: Path, number: int, host: str, ports: Sequence[int]) -> NodePlace:
    """Say where a node is.

    Args:
        root: folder of the network.
        number: of the node.
        host: that it listens on.
        ports: for members, for labs, of published files, of metrics.
    """
    name = NAMES[number] if number < len(NAMES) else f"nation-{number + 1}"
    peer, public, http, metrics = ports
    return NodePlace(
        id=name,
        home=str(root / name),
        peer=f"{host}:{peer}",
        public=f"{host}:{public}",
        http=f"http://{host}:{http}",
        metrics=f"{host}:{metrics}",
    )


def _now_ms() -> Millis:
    return Millis(time.time_ns() // 1_000_000)
