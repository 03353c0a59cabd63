"""Witnesses across ledgers: external ones that this node asks to cosign its checkpoints, and the one it is for others.

Asking
1. Every `ask_interval_min_ms` the newest sealed checkpoint becomes what all witnesses are asked about, so that they
   cosign the same one; where nothing has grown, again after `REFRESH_S`, since a cosignature says how fresh it is.
2. Each witness has a task of its own and is asked one question at a time. One that is slow, silent, wrong or hostile
   costs that task alone: it is left for longer and longer, up to `BACK_OFF_MAX_S`, and counted by what became of it.
3. A witness says itself which size it holds: the first question is from size 0, and its 409 tells. All members of a
   ledger ask the same witnesses, so another one's checkpoint in between is no fault.
4. It is sent the log line alone, by this node's log key, and the seal if so configured; never cosignatures.
5. Its line is kept if it verifies under the configured key. Lines are in memory, of the newest few trees asked about.

Being asked: see `tlog.witness`. The key for that is neither the member's cosigner key nor any other: a member's
cosignature says that it executed every entry, a witness's only that a log grew (docs/decisions/0013).
Source: C2SP tlog-witness.
"""

import asyncio
import secrets
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import httpx
import structlog
from starlette.applications import Starlette

from ledger.charter import Charter, ledger_keys
from ledger.errors import Code, ConditionError
from ledger.merkle import Hash, prove_consistency
from ledger.notes import Note, SignatureLine, VerifierKey, encode_vkey
from ledger.policy import KnownKeys
from ledger.positions import Millis, Seconds, TreeSize
from ledger.sealedfile import DEFAULT_COST, Cost
from ledger.witnessing import AddCheckpoint
from node.config import WitnessSettings
from node.cosigning import Notary
from node.draft import PUBLIC_FILE_BYTES_MAX, parse_public_file
from node.home import WITNESS_FOLDER, Home, read_file
from node.keystore import Passphrase
from node.metrics import Metrics
from node.store import Store, StoredBlock
from tlog.witness import Witness, init_witness, open_witness, read_log_list
from tlog.witness_address import WitnessAddress
from tlog.witness_client import Outcome, WitnessAnswer, ask, open_client
from tlog.witness_serving import make_witness_app

REFRESH_S: Final = 600
BACK_OFF_MAX_S: Final = 600.0
TREES_KEPT: Final = 3
QUESTIONS_MAX: Final = 2
NOTHING: Final = TreeSize(0)
LOG_LINE: Final = slice(0, 1)
LOG_LINE_AND_SEAL: Final = slice(0, 2)


@dataclass(slots=True)
class _Asked:
    """One witness, and how it stands.

    Attributes:
        held: size of the tree that it holds, as far as it said.
        outcomes: how often what became of a question.
        newest: what became of the newest one.
        cosigned: size of the largest tree that it cosigned since this node runs.
    """

    address: WitnessAddress
    held: TreeSize = NOTHING
    cosigned: TreeSize = NOTHING
    outcomes: dict[Outcome, int] = field(default_factory=dict)
    newest: Outcome | None = None
    woken: asyncio.Event = field(default_factory=asyncio.Event)


class Witnesses:
    """Asks all configured witnesses, and keeps what they cosigned; beside it the witness that this node is, if any."""

    def __init__(
        self,
        charter: Charter,
        store: Store,
        notary: Notary,
        settings: WitnessSettings,
        own: Witness | None,
        *,
        clock: Callable[[], Millis],
        on_cosigned: Callable[[], None],
    ) -> None:
        """Bind to what is final and how it is signed, and to the witness that this node is itself, if any.

        Raises:
            ConditionError: `CONFIG`: an external witness has one of them.
        """
        _require_foreign_keys(settings.ask, ledger_keys(charter).known)
        self._store, self._notary, self._clock, self._on_cosigned = store, notary, clock, on_cosigned
        self._own = own
        self._interval_s = settings.ask_interval_min_ms / 1000
        self._sent = LOG_LINE_AND_SEAL if settings.send_seal else LOG_LINE
        self._asked = [_Asked(address) for address in settings.ask]
        self._target: StoredBlock | None = None
        self._target_at_ms = Millis(0)
        self._lines: dict[TreeSize, dict[WitnessAddress, SignatureLine]] = {}
        self._log = structlog.get_logger("witnesses")
        notary.witness_lines = self.lines

    def lines(self, size: TreeSize) -> Sequence[SignatureLine]:
        """Return the verified lines over a tree, in the order of the configuration."""
        kept = self._lines.get(size, {})
        return [kept[asked.address] for asked in self._asked if asked.address in kept]

    def find_witnessed(self) -> StoredBlock | None:
        """Return the block of the newest tree that most witnesses cosigned, of the few remembered.

        A newer tree takes its place once as many have cosigned it, so that readers who count lines find enough.
        """
        if not self._lines:
            return None
        _, size = max((len(lines), size) for size, lines in self._lines.items())
        return self._store.sealed_with_size(size)

    def counters(self) -> Mapping[str, int]:
        """Return what an operator is shown: how often what became of questions, asked and answered."""
        asked = {
            f"witness {asked.address.key.name} {outcome}": count
            for asked in self._asked
            for outcome, count in asked.outcomes.items()
        }
        answered = {} if self._own is None else self._own.answered
        return asked | {f"witnessed for others {status:d}": count for status, count in answered.items()}

    def measure(self, metrics: Metrics) -> None:
        """Tell the same to who scrapes it."""
        for asked in self._asked:
            outcomes = {str(outcome): count for outcome, count in asked.outcomes.items()}
            metrics.on_witness(asked.address.key.name, size=asked.cosigned, outcomes=outcomes)
        if self._own is not None:
            metrics.on_witnessed({int(status): count for status, count in self._own.answered.items()})

    def open_app(self, stack: AsyncExitStack) -> Starlette | None:
        """Make the application of this node's own witness, if it is one; the stack gives its thread and memory back."""
        if self._own is None:
            return None
        stack.callback(self._own.close)
        thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="witness")
        stack.callback(thread.shutdown)
        return make_witness_app(self._own, thread, lambda: Seconds(self._clock() // 1000))

    async def run(self) -> None:
        """Ask until cancelled; where there is nobody to ask, wait for that.

        Raises:
            ConditionError: `STORE_DAMAGED`: the proof cannot be made from what is on disk.
        """
        async with open_client() as client, asyncio.TaskGroup() as group:
            for asked in self._asked:
                group.create_task(self._follow(client, asked), name=f"witness {asked.address.key.name}")
            while self._asked:
                self._choose()
                await asyncio.sleep(self._interval_s)
            await asyncio.Event().wait()

    def _choose(self) -> None:
        """Take up the newest sealed checkpoint, if it is new or has not been asked about for long."""
        block, now = self._store.newest_sealed(), self._clock()
        if block is None or self._store.base is not None:  # proofs need the whole history
            return
        is_new = self._target is None or block.header.tree_size > self._target.header.tree_size
        if is_new or now - self._target_at_ms >= REFRESH_S * 1000:
            self._target, self._target_at_ms = block, now
            for asked in self._asked:
                asked.woken.set()

    async def _follow(self, client: httpx.AsyncClient, asked: _Asked) -> None:
        """Ask one witness about each checkpoint that is chosen, one after another."""
        failures = 0
        while True:
            await asked.woken.wait()
            asked.woken.clear()
            assert self._target is not None
            answer = await self._ask(client, asked, self._target)
            self._note(asked, answer, self._target.header.tree_size)
            if answer.outcome is Outcome.COSIGNED:
                failures = 0
                continue
            failures += 1
            await asyncio.sleep(min(self._interval_s * 2 ** min(failures - 1, 16), BACK_OFF_MAX_S))
            asked.woken.set()

    async def _ask(self, client: httpx.AsyncClient, asked: _Asked, block: StoredBlock) -> WitnessAnswer:
        """Ask about a checkpoint, and once more from the size that the witness says it holds."""
        size = block.header.tree_size
        note = self._notary.compute_note(block)
        sent = Note(text=note.text, signatures=note.signatures[self._sent])
        answer = WitnessAnswer(Outcome.AHEAD)
        for _ in range(QUESTIONS_MAX):
            if asked.held > size:  # it heard of a larger tree, from another member or before this node lost its disk
                ahead = WitnessAnswer(Outcome.AHEAD, f"it holds size {asked.held}, this node {size}")
                asked.held = NOTHING  # or lies: next time it is asked anew
                return ahead
            proof: tuple[Hash, ...] = ()
            if 0 < asked.held < size:
                proof = tuple(prove_consistency(old_size=asked.held, new_size=size, read=self._store.read_hash))
            request = AddCheckpoint(old_size=asked.held, proof=proof, note=sent)
            answer = await ask(client, asked.address, request, now_s=Seconds(self._clock() // 1000))
            if answer.held is None or answer.held == asked.held:
                break
            asked.held = answer.held
        return answer

    def _note(self, asked: _Asked, answer: WitnessAnswer, size: TreeSize) -> None:
        """Count what became of a question, keep the line, and say what is new to the operator."""
        outcome = answer.outcome
        asked.outcomes[outcome] = asked.outcomes.get(outcome, 0) + 1
        if outcome is not asked.newest and outcome not in (Outcome.COSIGNED, Outcome.CONFLICT):
            level = self._log.error if outcome is Outcome.PROOF_REFUSED else self._log.warning
            name, url = asked.address.key.name, asked.address.url
            level("no cosignature of a witness", witness=name, url=url, outcome=outcome, found=answer.words)
        asked.newest = outcome
        if answer.line is None:
            return
        asked.held, asked.cosigned = size, max(size, asked.cosigned)
        self._lines.setdefault(size, {})[asked.address] = answer.line
        while len(self._lines) > TREES_KEPT:
            del self._lines[min(self._lines)]
        self._on_cosigned()


def _require_foreign_keys(addresses: Sequence[WitnessAddress], known: KnownKeys) -> None:
    """See that no external witness has a key of this ledger: two lines by one key would condemn the whole note.

    Raises:
        ConditionError: `CONFIG`, naming the witness.
    """
    own = [key.public_key for key in known.values()]
    for address in addresses:
        if address.key.public_key in own or (address.key.name, address.key.key_id) in known:
            found, expected = encode_vkey(address.key), "a key that is none of this ledger's"
            raise ConditionError(field=f"witness.ask {address.url}", found=found, expected=expected, code=Code.CONFIG)


def init_node_witness(home: Home, passphrase: Passphrase, *, cost: Cost = DEFAULT_COST) -> VerifierKey:
    """Make the key and the memory with which this node witnesses foreign logs; its name is `<node name>/witness`.

    Raises:
        LedgerError: there is a key already, the node is not set up, or the disk refuses.
    """
    public = parse_public_file(read_file(home.public_file, size_max=PUBLIC_FILE_BYTES_MAX))
    name = f"{public.node}/witness"
    folder = home.root / WITNESS_FOLDER
    return init_witness(folder, name, passphrase.stretched_from, randomness=secrets.token_bytes, cost=cost)


def open_node_witness(home: Home, list_file: Path | None, charter: Charter, passphrase: Passphrase) -> Witness | None:
    """Open what `init_node_witness` made, for the logs in the list; None where no list is configured.

    Raises:
        LedgerError: no key or memory, a list that is none, or this ledger itself is in it.
    """
    if list_file is None:
        return None
    logs = read_log_list(list_file)
    if charter.origin in logs:
        expected = "foreign logs: members cosign their own ledger already"
        raise ConditionError(field=str(list_file), found=charter.origin, expected=expected, code=Code.CONFIG)
    return open_witness(home.root / WITNESS_FOLDER, passphrase.stretched_from, logs)
