"""Nations that go on registering labs while their network is harmed, and keep every receipt they get."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import grpc

from devnet.network import Network, Waiting, wait_until
from tests.network.parties import Caller, calling, nation_of


class Submitter(threading.Thread):
    """A nation that registers one lab after another at one node, and keeps every receipt it gets."""

    def __init__(self, network: Network, number: int) -> None:
        super().__init__(name=f"submitter {number}")
        self._network, self._number = network, number
        self._stopped = threading.Event()
        self.sealed: list[tuple[bytes, bytes]] = []
        self.problems: list[str] = []

    def run(self) -> None:
        with calling(self._network.nodes[self._number].public) as channel:
            caller = Caller(channel)
            nation = caller.take_place(nation_of(self._network, self._number))
            while not self._stopped.is_set():
                entry = nation.register(f"{nation.id}-lab-{nation.sequence}")
                try:
                    answer = caller.submit(entry, timeout_s=60)
                except grpc.RpcError as error:
                    self.problems.append(str(error))
                    return
                nation.note(entry)
                self.sealed.append((entry, answer.receipt.encode()))

    @contextmanager
    def at_work(self) -> Iterator["Submitter"]:
        self.start()
        try:
            yield self
        finally:
            self._stopped.set()
            self.join(60)


def wait_for_more(submitters: list[Submitter], count: int) -> None:
    """Wait until each has so many more receipts."""
    wanted = [len(submitter.sealed) + count for submitter in submitters]

    def is_so() -> bool:
        assert not any(submitter.problems for submitter in submitters), [each.problems for each in submitters]
        return all(len(each.sealed) >= least for each, least in zip(submitters, wanted, strict=True))

    wait_until(is_so, Waiting("receipts", 60))
