"""Answering a challenge: what is asked is taken from the vault, encrypted to each inspector, and said by its digests.

1. The challenge is proven by its receipt. Whose keys it is answered to is not: a node that lies could name a key of its
   own and read what is handed over. So f + 1 nodes, of which at least one is honest, must say the same, or a person who
   has the keys from the nations gives them.
2. What is opened is of the declaration that was the latest when the challenge was raised: its row's fields and records,
   and accelerators of the inventory that the challenge names. What the lab shows beside that is for it to choose
   (`lab.showing`).
3. The vault has the file, and each ciphertext as it was made, before the response that names their digests is signed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lab.addresses import NodeAddress
from lab.client import Client, SaidChallenge
from lab.handing import encrypt_to_each, name_files
from lab.parts import OPENINGS, name_recipient
from lab.pinned import PinnedLedger
from lab.preparing import Prepared, begin, require_agreement
from lab.showing import NOTHING, Shown, collect_parts, describe_parts
from lab.stored import StoredReport, StoredRow, StoredStatement, find_opening, open_chips, open_records
from lab.vault import Vault
from ledger.errors import Code, ConditionError, LedgerError, PolicyError, RejectedError, reject
from ledger.limits import HASH_BYTES
from ledger.merkle import leaf_hash
from ledger.openings import (
    OpenedChip,
    OpenedRecord,
    Openings,
    choose_format,
    compute_handed,
    encode_openings,
)
from ledger.statements.dsse import parse_envelope
from ledger.statements.inspections import (
    RESPONSE,
    Challenge,
    Handed,
    Outcome,
    Response,
    encode_response,
    parse_challenge,
    parse_response,
)


@dataclass(frozen=True, slots=True)
class Raised:
    """A challenge that is to be answered.

    Attributes:
        challenge: proven to be on the ledger.
        report: hex leaf hash of the declaration it is about.
        keys: X25519 key of each inspector, by nation and id, in the challenge's order.
    """

    challenge: Challenge
    report: str
    keys: Mapping[tuple[str, str], bytes]


async def find_raised(
    client: Client, challenge: str, *, keys: Mapping[tuple[str, str], bytes], is_opened: bool = True
) -> Raised:
    """Ask the nodes for a challenge and for whom its answer is encrypted to.

    Args:
        client: connected.
        challenge: its id.
        keys: of inspectors, as a person has them from the nations; they are believed instead of nodes.
        is_opened: whether anything is to be encrypted to them; else one node's word is enough.

    Raises:
        ConditionError: not enough nodes say the same (`UNREACHABLE`), it has been closed (`NOT_FOUND`), or an inspector
            has been revoked since and so has no key (`KEY_REVOKED`).
        NodesError: nobody could answer in time.
        PolicyError: the keys that were given are not of those whom the challenge names.
    """
    answers = await client.get_challenges(challenge)
    charter = client.ledger.charter
    needed = 1 if keys or not is_opened else len(charter.members) - charter.quorum + 1
    said = _agree(answers, needed=needed, challenge=challenge)
    sealed = await client.fetch_receipt(leaf_hash(said.entry))
    asked = parse_challenge(parse_envelope(sealed.entry).payload).predicate
    named = [(each.nation, each.inspector) for each in asked.inspectors]
    if asked.challenge != challenge:
        raise ConditionError(field="challenge", found=asked.challenge, expected=challenge, code=Code.NOT_FOUND)
    if [pair[:2] for pair in said.inspectors] != named:
        expected = "one that waits for an answer: it has been closed, or answered"
        raise ConditionError(field="challenge", found=challenge, expected=expected, code=Code.NOT_FOUND)
    if keys and sorted(keys) != named:
        expected = f"exactly those of {', '.join(map('/'.join, named))}"
        raise PolicyError(field="key", found=", ".join(map("/".join, keys)), expected=expected)
    chosen = {pair: keys[pair] for pair in named} if keys else {(n, i): key for n, i, key in said.inspectors}
    for pair, key in chosen.items():
        if is_opened and len(key) != HASH_BYTES:
            expected = "an inspector with a key: let the nation withdraw the challenge, and raise another"
            raise ConditionError(field="key", found="/".join(pair), expected=expected, code=Code.KEY_REVOKED)
    return Raised(asked, said.report.hex(), chosen)


def collect_openings(vault: Vault, raised: Raised, *, ledger: PinnedLedger, shown: Shown = NOTHING) -> Openings:
    """Take from the vault what a challenge asks to be opened, and what the lab shows beside that.

    Raises:
        ConditionError: the vault does not have the declaration or the inventory (`NOT_FOUND`), or never spoke of a run
            that is to be shown (`UNKNOWN_RUN`).
        ProofError: no record or no accelerator has a position that is asked for.
    """
    challenge, request = raised.challenge, raised.challenge.request
    disclosures: tuple[str, ...] = ()
    records: tuple[OpenedRecord, ...] = ()
    if request.fields or request.records:
        row = _find_row(vault, raised.report, challenge)
        disclosures = tuple(row.disclosures[name] for name in request.fields)
        records = tuple(
            OpenedRecord(index=opening.index, salt=opening.salt, record=record, path=opening.proof)
            for record, opening in open_records(row, request.records)
        )
    chips: tuple[OpenedChip, ...] = ()
    if request.inventory is not None:
        inventory = _read(vault, request.inventory, "inventory")
        if not isinstance(inventory, StoredStatement):
            raise _lost("inventory", request.inventory)
        chips = tuple(
            OpenedChip(index=opening.index, salt=opening.salt, model=chip.model, serial=chip.serial, path=opening.proof)
            for chip, opening in open_chips(find_opening(inventory, challenge.cluster), request.chips)
        )
    parts = collect_parts(vault, ledger.charter.fingerprint, shown)
    return Openings(
        format=choose_format(parts),
        ledger=ledger.charter.fingerprint,
        challenge=challenge.challenge,
        lab=challenge.lab,
        cluster=challenge.cluster,
        interval=challenge.interval,
        report=raised.report if disclosures or records else None,
        inventory=request.inventory if chips else None,
        disclosures=disclosures,
        records=records,
        chips=chips,
        parts=parts,
    )


def prepare_response(
    vault: Vault,
    raised: Raised,
    *,
    ledger: PinnedLedger,
    lab: str,
    outcome: Outcome,
    folder: Path | None,
    shown: Shown = NOTHING,
) -> Prepared:
    """Answer a challenge.

    Args:
        vault: with what is asked for.
        raised: the challenge.
        ledger: pinned.
        lab: id of the lab.
        outcome: whether what is asked is handed over.
        folder: where the file for each inspector is written; None exactly if nothing is handed over.
        shown: what is handed over beside that.

    Raises:
        RejectedError: the ledger takes reports alone, or another lab was asked.
        PolicyError: the lab has answered it (`NOT_AWAITED`).
        ConditionError: the vault lacks what is asked (`NOT_FOUND`), or a folder is missing or not needed (`CONFIG`).
        ProofError: a position is asked for that nothing has.
    """
    require_agreement(ledger)
    challenge = raised.challenge
    if challenge.lab != lab:
        raise RejectedError(
            reject(Code.WRONG_ISSUER, field="challenge.lab", found=challenge.lab, expected=f"this lab, {lab}")
        )
    if (outcome == "provided") != (folder is not None):
        expected = "a folder for what is handed over (--output) exactly with the outcome provided"
        raise ConditionError(field="output", found=folder, expected=expected, code=Code.CONFIG)
    _require_unanswered(vault, ledger.charter.fingerprint, challenge.challenge)
    header = begin(ledger, lab)
    if folder is None and shown != NOTHING:
        expected = "--books and --run only with the outcome provided"
        raise ConditionError(field="outcome", found=outcome, expected=expected, code=Code.CONFIG)
    if folder is None:
        response = Response(**header, challenge=challenge.challenge, outcome=outcome, handed=None, recipients=())
        return Prepared(statement=response, encode=encode_response, notes=describe(challenge))
    openings = collect_openings(vault, raised, ledger=ledger, shown=shown)
    raw = encode_openings(openings)
    sealed = encrypt_to_each(raw, raised.keys, ledger_id=ledger.charter.ledger_id, subject=challenge.challenge)
    recipients = tuple(
        Handed(nation=nation, inspector=inspector, ciphertext=compute_handed(box))
        for (nation, inspector), box in sealed.items()
    )
    response = Response(
        **header, challenge=challenge.challenge, outcome=outcome, handed=compute_handed(raw), recipients=recipients
    )
    boxes = {name_recipient(nation, inspector): box for (nation, inspector), box in sealed.items()}
    return Prepared(
        statement=response,
        encode=encode_response,
        texts={OPENINGS: raw, **boxes},
        notes=(
            *describe(challenge),
            *describe_parts(openings.parts, shown),
            "send each file that is written to the inspector whose name it has",
        ),
        files=name_files(folder, challenge.challenge, boxes),
    )


def restore_files(vault: Vault, *, ledger: PinnedLedger, challenge: str, folder: Path) -> dict[Path, bytes]:
    """Give what was handed over once more, by the files' names.

    Raises:
        ConditionError: this lab has handed over nothing for the challenge (`NOT_FOUND`).
    """
    for stored in vault.read_statements(ledger.charter.fingerprint, RESPONSE):
        response = parse_response(parse_envelope(stored.envelope).payload).predicate
        if response.challenge == challenge and response.outcome == "provided":
            boxes = {name: raw for name, raw in stored.texts.items() if name != OPENINGS}
            return name_files(folder, challenge, boxes)
    expected = "a challenge that this lab answered, in the vault"
    raise ConditionError(field="challenge", found=challenge, expected=expected, code=Code.NOT_FOUND)


def _require_unanswered(vault: Vault, ledger: str, challenge: str) -> None:
    for stored in vault.read_statements(ledger, RESPONSE):
        if stored.name == challenge:
            found = f"{challenge}, which number {stored.sequence} answers"
            expected = "one that was not answered; `counterseal lab hand-over` writes its files again"
            raise PolicyError(field="challenge", found=found, expected=expected, code=Code.NOT_AWAITED)


def describe(challenge: Challenge) -> tuple[str, ...]:
    """Say what a challenge asks."""
    request = challenge.request
    asked: list[str] = [*request.fields]
    asked += [f"{len(request.records)} records"] if request.records else []
    asked += [f"{len(request.chips)} accelerators"] if request.chips else []
    to = ", ".join(f"{each.nation}/{each.inspector}" for each in challenge.inspectors)
    where = f"of cluster {challenge.cluster}, interval {challenge.interval}"
    notes = [f"challenge {challenge.challenge} of {challenge.issuer} asks for {', '.join(asked)} {where}, to {to}"]
    if request.recompute is not None:
        notes.append(f"it asks for a part of run {request.recompute} to be computed again: arrange that with {to}")
    return tuple(notes)


def _agree(answers: Mapping[NodeAddress, SaidChallenge | LedgerError], *, needed: int, challenge: str) -> SaidChallenge:
    counts: dict[SaidChallenge, int] = {}
    for answer in answers.values():
        if isinstance(answer, SaidChallenge):
            counts[answer] = counts.get(answer, 0) + 1
    most = max(counts, key=lambda said: counts[said], default=None)
    if most is None:
        raise next(answer for answer in answers.values() if isinstance(answer, LedgerError))
    if counts[most] < needed:
        found = f"{counts[most]} nodes that say the same of {challenge} and of whose keys it is answered to"
        expected = f"{needed}: name more nodes in lab.toml, or give the keys (--key)"
        raise ConditionError(field="nodes", found=found, expected=expected, code=Code.UNREACHABLE)
    return most


def _find_row(vault: Vault, report: str, challenge: Challenge) -> StoredRow:
    """Find the row, and see that it is of the interval that is asked about, whatever nodes say of the declaration."""
    stored = _read(vault, report, "report")
    if isinstance(stored, StoredReport) and stored.interval == challenge.interval:
        for row in stored.rows:
            if row.cluster == challenge.cluster:
                return row
    raise _lost("report", report)


def _read(vault: Vault, leaf: str, what: str) -> StoredReport | StoredStatement:
    try:
        return vault.read(leaf)
    except ConditionError:
        raise _lost(what, leaf) from None


def _lost(what: str, leaf: str) -> ConditionError:
    found, expected = f"nothing that opens {leaf}", "the newest backup restored, or the answer --outcome salts-lost"
    return ConditionError(field=f"vault.{what}", found=found, expected=expected, code=Code.NOT_FOUND)
