"""Asking nodes: one after another, patiently, believing none. Which question is asked is not this file's affair.

Steps of one question (`Nodes.ask`):

1. Nodes are asked in order, first the one that answered last. The first good answer is the answer.
2. A node that cannot answer now (no connection, time out, full, draining) is passed over, and asked again in the next
   round.
3. A node whose answer cannot be true (a receipt that does not verify, another ledger) is never asked again.
4. A refusal by the rules is believed only when every node that can be reached has been asked: one that lies, or is a
   block behind, does not decide. If time may change the answer, that takes another round for up to `settle_s`.
5. Between rounds there is a wait, doubled each time, with jitter; a node that asked for a longer one (RetryInfo) is
   left alone until then. After `total_s` the answer is `NodesError`: who was asked, and what each of them said.

Asking again is safe because what is asked is safe to repeat: statements are submitted as the same bytes.
"""

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from random import SystemRandom
from types import TracebackType
from typing import Final, Self, TypeVar

import grpc
import grpc.aio

from lab.addresses import NodeAddress
from lab.refusals import Refused, Remedy, find_remedy, read_status
from ledger.errors import Code, ConditionError, LedgerError, RejectedError, Rejection
from ledger.limits import MIB, TRANSCRIPT_BYTES_MAX

NODES_MAX: Final = 200
MESSAGE_BYTES_MAX: Final = TRANSCRIPT_BYTES_MAX + MIB

_OPTIONS: Final = (
    ("grpc.max_receive_message_length", MESSAGE_BYTES_MAX),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2000),
    ("grpc.enable_retries", 0),  # this file retries, and knows when it may
    ("grpc.keepalive_time_ms", 30_000),
)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to try, in seconds.

    Attributes:
        total_s: a question altogether.
        attempt_s: one node, once.
        settle_s: for how long a refusal that time may change is asked about again.
        wait_first_s: between the first two rounds, before jitter; doubled from round to round.
        wait_max_s: between any two rounds.
    """

    total_s: float = 120.0
    attempt_s: float = 15.0
    settle_s: float = 3.0
    wait_first_s: float = 0.2
    wait_max_s: float = 5.0

    def wait_s(self, round_number: int, *, draw: float) -> float:
        """How long to wait after a round, from half of the doubled time to all of it.

        Args:
            round_number: from 0.
            draw: chance, from 0 up to 1.
        """
        doubled = min(self.wait_first_s * 2.0 ** min(round_number, 32), self.wait_max_s)
        return doubled * (0.5 + draw / 2)


DEFAULT_PATIENCE: Final = Patience()


class NodesError(ConditionError):
    """No node gave an answer that can be believed.

    Attributes:
        said: what each node said last, in the order they were asked.
    """

    def __init__(self, said: Mapping[NodeAddress, LedgerError]) -> None:
        """Say who was asked and why it was no answer; the code is theirs if it is the same for all."""
        self.said = dict(said)
        codes = {error.code for error in said.values()}
        listed = "; ".join(f"{address} ({_reason(error, with_code=len(codes) > 1)})" for address, error in said.items())
        super().__init__(
            field="nodes",
            found=f"no answer from {len(said)} asked" if said else "none that may still be asked",
            expected=f"one that answers; tried {listed}" if said else "at least one",
            code=codes.pop() if len(codes) == 1 else Code.UNREACHABLE,
        )


class NodesRefusedError(RejectedError):
    """The rules refuse, as every node says that could be asked.

    Attributes:
        opinions: how many nodes gave this very code.
        asked: of how many that answered at all.
    """

    def __init__(self, rejection: Rejection, *, opinions: int, asked: int) -> None:
        """Carry the rejection that most of them gave."""
        super().__init__(rejection)
        self.opinions, self.asked = opinions, asked


@dataclass(eq=False, slots=True)
class _Link:
    address: NodeAddress
    channel: grpc.aio.Channel
    is_trusted: bool = True
    not_before_s: float = 0.0
    last_refusal: LedgerError | None = None


Question = Callable[[grpc.aio.Channel, NodeAddress, float], Awaitable[T]]
"""Asks one node, in at most so many seconds. Raises AioRpcError or ConditionError if the node cannot answer, any other
LedgerError if its answer cannot be true."""


class Nodes:
    """The nodes a lab knows, with a channel to each; an asynchronous context manager."""

    def __init__(
        self,
        addresses: Sequence[NodeAddress],
        *,
        patience: Patience = DEFAULT_PATIENCE,
        root_certificates: bytes | None = None,
        draw: Callable[[], float] | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """Prepare; nothing is connected yet.

        Args:
            addresses: at least one, in the order they are asked first.
            patience: how long to try.
            root_certificates: PEM of the authorities that vouch for `grpcs` nodes; None for the system's.
            draw: chance for the jitter, from 0 up to 1.
            clock: seconds that only rise.
            sleep: waits.

        Raises:
            ConditionError: no address, or too many (`CONFIG`).
        """
        if not 0 < len(addresses) <= NODES_MAX:
            raise ConditionError(
                field="nodes", found=len(addresses), expected=f"from 1 to {NODES_MAX} addresses", code=Code.CONFIG
            )
        self._addresses = tuple(dict.fromkeys(addresses))
        self._patience, self._root_certificates = patience, root_certificates
        self._draw = SystemRandom().random if draw is None else draw
        self._clock, self._sleep = clock, sleep
        self._links: list[_Link] = []

    @property
    def addresses(self) -> tuple[NodeAddress, ...]:
        """Every node there is, as configured."""
        return self._addresses

    @property
    def patience(self) -> Patience:
        """How long this tries."""
        return self._patience

    async def __aenter__(self) -> Self:
        """Make the channels; they connect when they are used."""
        self._links = [_Link(address, self._open(address)) for address in self._addresses]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the channels."""
        for link in self._links:
            await link.channel.close(None)

    async def ask(self, question: Question[T]) -> T:
        """Ask until somebody answers; see the steps above.

        Raises:
            NodesRefusedError: the rules refuse.
            NodesError: nobody could answer, or be believed, in time.
        """
        deadline_s = self._clock() + self._patience.total_s
        settle_s = self._clock() + self._patience.settle_s
        said: dict[NodeAddress, LedgerError] = {}
        for round_number in itertools.count():
            asked = [link for link in self._links if link.is_trusted and link.not_before_s <= self._clock()]
            for link in asked:
                left_s = deadline_s - self._clock()
                if left_s <= 0:
                    raise NodesError(said)
                try:
                    answer = await question(link.channel, link.address, min(left_s, self._patience.attempt_s))
                except (grpc.aio.AioRpcError, LedgerError) as problem:
                    said[link.address] = self._note(link, problem)
                else:
                    self._prefer(link)
                    return answer
            refusals = [link.last_refusal for link in asked if link.last_refusal is not None]
            _settle(refusals, may_change=self._clock() < settle_s)
            again_s = min((link.not_before_s for link in self._links if link.is_trusted), default=deadline_s)
            pause_s = self._patience.wait_s(round_number, draw=self._draw())
            wait_s = max(pause_s, again_s - self._clock())
            if self._clock() + wait_s >= deadline_s:
                raise NodesError(said)
            await self._sleep(wait_s)
        raise AssertionError  # `count` does not end; this tells mypy

    async def ask_each(self, question: Question[T]) -> dict[NodeAddress, T | LedgerError]:
        """Ask every node once, all at the same time, and give what each answered or why it did not."""
        links = [link for link in self._links if link.is_trusted]
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._ask_once(link, question)) for link in links]
        return {link.address: task.result() for link, task in zip(links, tasks, strict=True)}

    async def _ask_once(self, link: _Link, question: Question[T]) -> T | LedgerError:
        try:
            return await question(link.channel, link.address, self._patience.attempt_s)
        except (grpc.aio.AioRpcError, LedgerError) as problem:
            return self._note(link, problem)

    def _note(self, link: _Link, problem: grpc.aio.AioRpcError | LedgerError) -> LedgerError:
        """Steps 2 to 4, for one node."""
        link.last_refusal = None
        match problem:
            case grpc.aio.AioRpcError():
                refused = read_status(problem)
            case ConditionError() | RejectedError():
                refused = Refused(problem)
            case _:
                link.is_trusted = False
                return problem
        link.not_before_s = self._clock() + refused.retry_after_s
        if find_remedy(refused.error.code) is not Remedy.ELSEWHERE:
            link.last_refusal = refused.error
        return refused.error

    def _prefer(self, link: _Link) -> None:
        self._links.remove(link)
        self._links.insert(0, link)

    def _open(self, address: NodeAddress) -> grpc.aio.Channel:
        if not address.is_tls:
            return grpc.aio.insecure_channel(address.target, options=_OPTIONS)
        credentials = grpc.ssl_channel_credentials(self._root_certificates)
        return grpc.aio.secure_channel(address.target, credentials, options=_OPTIONS)


def agree(refusals: Sequence[LedgerError]) -> NodesRefusedError:
    """Give the refusal that most nodes gave, of at least one; of equally many, the one that came first."""
    code, opinions = Counter(error.code for error in refusals).most_common(1)[0]
    error = next(error for error in refusals if error.code == code)
    rejection = Rejection(code=code, field=error.field, found=error.found, expected=error.expected)
    return NodesRefusedError(rejection, opinions=opinions, asked=len(refusals))


def _settle(refusals: Sequence[LedgerError], *, may_change: bool) -> None:
    """Step 4: believe what most nodes refuse for, unless time may still change it.

    Raises:
        NodesRefusedError: so it is.
    """
    if not refusals:
        return
    refusal = agree(refusals)
    if may_change and find_remedy(refusal.code) is Remedy.WAIT:
        return
    raise refusal


def _reason(error: LedgerError, *, with_code: bool) -> str:
    field = "" if error.field == "node" else f"{error.field}: "
    return f"{field}{error.found}{f' [{error.code}]' if with_code else ''}"
