"""Statements on their way from the vault to the ledger, and back as receipts; two stories cannot be told here.

1. One chain. The next statement follows the vault's last one. What nodes say of the lab's position is compared, and
   where they know of more than the vault does, nothing is signed: it would be a second story under one number.
2. Vault first. A statement is marked as submitted before the first byte of it leaves, and is sent as the same bytes
   until it is sealed or given up.
3. A refusal frees a number only when it cannot change and f + 1 nodes gave it, so that at least one of them is honest:
   else a node that lies could make the lab sign another statement under the number of one that was taken. A person who
   knows better can give the statement up.
4. Receipts are verified (`lab.client`), compared with the last one for two histories, and written to files.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lab.client import Client, Position, Sealed, Settled
from lab.enrolment import Enrolled, note_enrolled
from lab.home import Home, name_statement, write_receipt
from lab.nodes import NodesRefusedError
from lab.parts import read_said
from lab.pinned import PinnedLedger
from lab.refusals import Remedy, find_remedy
from lab.reporting import Place, find_sealed
from lab.stored import Progress, Stored
from lab.vault import Vault
from ledger.errors import Code, ConditionError, LedgerError, ProofError
from ledger.policy import VerifiedCheckpoint
from ledger.positions import Interval, Millis
from ledger.positions import Sequence as SequenceNumber
from ledger.statements.dsse import parse_envelope
from ledger.statements.intoto import ZERO_HASH, PredicateHeader, find_kind
from ledger.statements.reports import CORRECTION, REPORT, parse_correction, parse_report
from ledger.verify import find_contradiction, verify_receipt


@dataclass(frozen=True, slots=True)
class Filed:
    """What became of one statement.

    Attributes:
        stored: as the vault has it now.
        index: where it stands, if it is sealed.
        refusal: what the nodes said, if they refused it.
    """

    stored: Stored
    index: int | None
    refusal: NodesRefusedError | None = None


async def find_place(vault: Vault, client: Client, *, lab: str) -> tuple[Place, list[str]]:
    """Say where the lab's next statement stands, and what a person should know about the nodes' answers.

    Raises:
        ConditionError: the ledger has statements of this lab that the vault lacks (`STORE_DAMAGED`).
        LedgerError: the vault is empty and no node says that the lab is registered.
    """
    if vault.find_last(client.ledger.charter.fingerprint) is None:
        await client.get_position(lab)  # unknown to the ledger, or nobody to ask: said before anything is signed
    answers = await client.get_positions(lab)
    positions = {node: answer for node, answer in answers.items() if isinstance(answer, Position)}
    await _recall(vault, client, [claim.previous for claim in positions.values()])
    last = vault.find_last(client.ledger.charter.fingerprint)
    place = Place(SequenceNumber(0), ZERO_HASH) if last is None else Place(SequenceNumber(last.sequence + 1), last.leaf)
    ahead = {node: claim for node, claim in positions.items() if claim.next_sequence > place.sequence}
    needed = min(_opinions_needed(client.ledger), len(positions))
    for node, claim in ahead.items():
        if len(ahead) >= needed or await _is_proven(client, claim, lab=lab):
            raise ConditionError(
                field="vault",
                found=f"{place.sequence} statements, where {node} knows of {claim.next_sequence}",
                expected="every statement this lab ever sent: restore the newest backup",
                code=Code.STORE_DAMAGED,
            )
    notes = [
        f"{node} claims {claim.next_sequence} statements of this lab and proves none" for node, claim in ahead.items()
    ]
    notes += [
        f"{node}: {answer.found} [{answer.code}]"
        for node, answer in answers.items()
        if isinstance(answer, LedgerError) and answer.code is not Code.UNKNOWN_ISSUER  # it may be a block behind
    ]
    return place, notes


async def enrol(home: Home, client: Client, entry: bytes, *, now_ms: Millis) -> tuple[Enrolled, Sealed]:
    """Submit a countersigned registration, and keep it with its receipt.

    Raises:
        NodesRefusedError, NodesError: as `Client.submit`; the same call may be repeated.
    """
    noted = note_enrolled(home.registrations, Enrolled(entry=entry, sent_ms=now_ms))
    sealed = await client.submit(entry)
    done = note_enrolled(home.registrations, Enrolled(entry=entry, sent_ms=noted.sent_ms, receipt=sealed.receipt))
    stem = f"{done.registration.lab}-registration-{done.registration.sequence}"
    _write_files(home, stem, sealed, client.ledger)
    return done, sealed


async def submit_pending(
    home: Home,
    vault: Vault,
    client: Client,
    *,
    interval: Interval | None = None,
    is_given_up: bool = False,
    on_filed: Callable[[Filed], None] = lambda _: None,
) -> list[Filed]:
    """Send what the vault has and the ledger may not, wait for the seals, keep the receipts.

    Args:
        home: where receipts are written.
        vault: of the lab.
        client: connected.
        interval: only the statements of this interval, and those before them in the chain; None for all.
        is_given_up: believe any refusal, and free the number.
        on_filed: told of each statement as it is settled.

    Returns:
        What became of each, in order; of an interval that is sealed already, just that.

    Raises:
        NodesError: nobody could answer in time; what was settled before is kept.
        ProofError: a receipt contradicts an earlier one: a quorum told two histories.
    """
    ledger = client.ledger
    pending = _select(vault, ledger.charter.fingerprint, interval)
    if not pending:
        sealed = [] if interval is None else [find_sealed(vault, ledger, interval)]
        return [_already_sealed(home, stored, ledger) for stored in sealed]
    before = _newest_checkpoint(vault, ledger)
    pending = [vault.mark_submitted(stored) for stored in pending]
    by_entry = {stored.envelope: stored for stored in pending}
    filed: list[Filed] = []
    checkpoints: list[VerifiedCheckpoint] = []

    def keep(settled: Settled) -> None:
        stored = by_entry[settled.entry]
        if settled.sealed is not None:
            stored = vault.mark_sealed(stored, settled.sealed.receipt)
            _write_files(home, name_statement(stored), settled.sealed, ledger)
            checkpoints.append(settled.sealed.checkpoint)
            filed.append(Filed(stored, settled.sealed.index))
        elif settled.refusal is not None:
            if is_given_up or _is_final(settled.refusal, ledger):
                stored = vault.mark_refused(stored, str(settled.refusal))
            filed.append(Filed(stored, None, settled.refusal))
        on_filed(filed[-1])

    await _submit(client, [stored.envelope for stored in pending], keep)
    _void_successors(vault, filed)
    _require_one_history(before, checkpoints)
    return sorted(filed, key=lambda one: one.stored.sequence)


async def hand_in_pending(vault: Vault, client: Client, *, interval: Interval | None = None) -> list[Stored]:
    """Send what the vault has and do not wait for the seals; `submit_pending` fetches the receipts later.

    Raises:
        NodesRefusedError: the first that is refused; those after it were not sent.
        NodesError: nobody could answer in time.
    """
    handed = []
    for stored in _select(vault, client.ledger.charter.fingerprint, interval):
        handed.append(vault.mark_submitted(stored))
        await client.hand_in(stored.envelope)
    return handed


async def fetch_archival(client: Client, stored: Stored) -> Sealed:
    """Fetch the receipt to keep for decades, cosigned by a quorum with ML-DSA-44.

    Raises:
        NodesError: not there yet (`NOT_READY`): it comes after the next boundary of the grid.
    """
    quorum = client.ledger.charter.quorum
    return await client.fetch_receipt(bytes.fromhex(stored.leaf), archival=True, cosigners_ml_dsa_min=quorum)


async def _submit(client: Client, entries: Sequence[bytes], keep: Callable[[Settled], None]) -> None:
    """One by the simple call; several by a stream."""
    if len(entries) > 1:
        await client.submit_many(entries, on_settled=keep)
        return
    try:
        settled = Settled(entries[0], await client.submit(entries[0]), None)
    except NodesRefusedError as refusal:
        settled = Settled(entries[0], None, refusal)
    keep(settled)


def _select(vault: Vault, ledger: str, interval: Interval | None) -> list[Stored]:
    """Pending statements in order, up to the last one of the interval: the chain has no gaps."""
    pending = list(vault.read_pending(ledger))
    if interval is None:
        return pending
    last = max((stored.sequence for stored in pending if stored.interval == interval), default=-1)
    return [stored for stored in pending if stored.sequence <= last]


def _already_sealed(home: Home, stored: Stored, ledger: PinnedLedger) -> Filed:
    """Verify again what the vault kept, and write its files if they are not there."""
    assert stored.receipt is not None
    verified = verify_receipt(stored.receipt, entry=stored.envelope, keys=ledger.keys)
    write_receipt(
        home.receipts,
        name_statement(stored),
        entry=stored.envelope,
        receipt=stored.receipt,
        charter=ledger.charter.entry,
    )
    return Filed(stored, verified.index)


def _write_files(home: Home, stem: str, sealed: Sealed, ledger: PinnedLedger) -> None:
    write_receipt(home.receipts, stem, entry=sealed.entry, receipt=sealed.receipt, charter=ledger.charter.entry)


def _opinions_needed(ledger: PinnedLedger) -> int:
    """One more than f, of n = 3f + 1 = 3f + 1: among so many members at least one is honest."""
    return len(ledger.charter.members) - ledger.charter.quorum + 1


def _is_final(refusal: NodesRefusedError, ledger: PinnedLedger) -> bool:
    """Rule 3."""
    return find_remedy(refusal.code) is Remedy.NONE and refusal.opinions >= _opinions_needed(ledger)


def _void_successors(vault: Vault, filed: list[Filed]) -> None:
    """What names a refused statement as the one before can never be sealed: it is refused with it."""
    void = {one.stored.leaf for one in filed if one.stored.progress == Progress.REFUSED}
    if not void:
        return
    refused = min(one.stored.sequence for one in filed if one.stored.leaf in void)
    for stored in vault.read_all():
        waits = stored.progress in {Progress.BUILT, Progress.SUBMITTED}
        if waits and stored.sequence > refused and stored.ledger == filed[0].stored.ledger:
            marked = vault.mark_refused(stored, f"it follows statement {refused}, which was refused")
            for position, one in enumerate(filed):
                if one.stored.leaf == stored.leaf:
                    filed[position] = Filed(marked, None, one.refusal)


async def _recall(vault: Vault, client: Client, leaves: Sequence[str]) -> None:
    """A statement that was given up, and was sealed after all, is the lab's word: take it back with its receipt."""
    for stored in list(vault.read_all()):
        if stored.progress == Progress.REFUSED and stored.leaf in leaves:
            sealed = await client.find_sealed(bytes.fromhex(stored.leaf))
            if sealed is not None:
                vault.mark_sealed(stored, sealed.receipt)


async def _is_proven(client: Client, claim: Position, *, lab: str) -> bool:
    """Whether the statement that a node names as the lab's last is truly the lab's, and truly that far."""
    sealed = await client.find_sealed(bytes.fromhex(claim.previous))
    if sealed is None:
        return False
    try:
        payload = parse_envelope(sealed.entry).payload
        kind = find_kind(payload)
        if kind in {REPORT, CORRECTION}:
            header: PredicateHeader = (parse_report if kind == REPORT else parse_correction)(payload).predicate
        else:
            header = read_said(payload).header
    except LedgerError:
        return False
    return (header.issuer, header.sequence + 1) == (lab, claim.next_sequence)


def _newest_checkpoint(vault: Vault, ledger: PinnedLedger) -> VerifiedCheckpoint | None:
    """The checkpoint of the last receipt that this lab holds."""
    newest = None
    for stored in vault.read_all():
        if stored.ledger == ledger.charter.fingerprint and stored.receipt is not None:
            newest = stored
    if newest is None or newest.receipt is None:
        return None
    return verify_receipt(newest.receipt, entry=newest.envelope, keys=ledger.keys).checkpoint


def _require_one_history(before: VerifiedCheckpoint | None, checkpoints: Sequence[VerifiedCheckpoint]) -> None:
    """Compare every new receipt's checkpoint with the last one that was held before.

    Raises:
        ProofError: both were sealed, and both cannot be true: the receipts prove it to anybody.
    """
    for checkpoint in checkpoints if before is not None else ():
        assert before is not None
        contradiction = find_contradiction(before, checkpoint)
        if contradiction is not None:
            raise ProofError(
                field=f"receipt.{contradiction.field}",
                found=contradiction.found,
                expected=f"{contradiction.expected}; a quorum sealed two histories: keep and publish both receipts",
            )
