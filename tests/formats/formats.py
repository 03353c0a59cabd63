"""Digests over values of every format that is kept or spoken, and the command that accepts a change of them.

For each format a number of values is made from fixed seeds, encoded, and hashed in order, each with its length before
it. The digests stand in `digests.json`. When one differs, a byte on disk or on the wire has changed: old files, other
members and other people's tools may not read it. If that is meant, raise the version in the format, say so in the
change log, and run `scripts/formats --update`.
"""

import hashlib
import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.formats import (
    agreements,
    entries,
    faults,
    forks,
    inspections,
    inspectors,
    inventories,
    labs,
    members,
    pauses,
    runs,
    trees,
)
from tests.formats.draws import Draw

DIGESTS: Final = Path(__file__).with_name("digests.json")
COMMAND: Final = "scripts/formats --update"


@dataclass(frozen=True)
class Format:
    """How values of a format are made, and how many."""

    make: Callable[[Draw], bytes]
    count: int = 64


FORMATS: Final[Mapping[str, Format]] = {
    "entry envelope": Format(entries.envelope),
    "registration": Format(entries.registration),
    "report": Format(entries.report),
    "correction": Format(entries.correction),
    "verdict": Format(entries.verdict),
    "statement of misconduct": Format(faults.misconduct, 16),
    "inventory": Format(inventories.inventory),
    "transfer": Format(inventories.transfer),
    "shared terms of a transfer": Format(inventories.terms),
    "hidden fields of an inventory": Format(inventories.hidden_inventory),
    "hidden fields of a transfer": Format(inventories.hidden_transfer),
    "incident": Format(inventories.incident),
    "hidden fields of an incident": Format(inventories.hidden_incident),
    "observation": Format(inventories.observation),
    "enforcement": Format(inventories.enforcement),
    "file with evidence of misconduct": Format(faults.evidence_file, 16),
    "proposal": Format(pauses.proposal),
    "approval": Format(pauses.approval),
    "proposal of a pause": Format(pauses.pause_proposal),
    "accession to a pause": Format(pauses.pause_accession),
    "pledge of a lab": Format(pauses.lab_pledge),
    "freeze of runs": Format(pauses.pause_freeze),
    "hidden state of a frozen run": Format(pauses.hidden_run_state),
    "event of a pause": Format(pauses.pause_event),
    "training run": Format(runs.training_run),
    "decision on a run": Format(runs.run_decision),
    "release review": Format(runs.release_review),
    "event of a review": Format(runs.review_event),
    "release notice": Format(runs.release_notice),
    "hidden fields of a run": Format(runs.run_fields),
    "hidden fields of a review": Format(runs.review_fields),
    "records of runs and reviews": Format(runs.records),
    "charter": Format(entries.charter, 32),
    "charter with an agreement": Format(agreements.charter, 16),
    "verdict with remarks": Format(agreements.verdict),
    "records of agenda, remarks and rounds": Format(agreements.records),
    "hidden fields": Format(entries.hidden_fields),
    "disclosure": Format(entries.disclosure),
    "record leaf and opening": Format(entries.record),
    "evidence nonce and next key": Format(entries.commitments),
    "chip leaf and opening": Format(inspections.chip),
    "what answers a challenge": Format(inspections.openings),
    "what answers a challenge, with parts of other statements": Format(inspections.openings_with_parts),
    "what answers a sample": Format(inspections.sample_openings),
    "what binds an answer to an inspector": Format(inspections.openings_context),
    "sample seed, indices and nonce": Format(inspections.sample),
    "beacon": Format(inspections.beacon),
    "beacon message": Format(inspections.beacon_message),
    "sample entry": Format(inspections.sample_entry),
    "answer to a sample": Format(inspections.sample_answer),
    "list of inspectors": Format(inspections.inspectors, 32),
    "challenge": Format(inspections.challenge),
    "withdrawal of a challenge": Format(inspections.withdrawal),
    "response to a challenge": Format(inspections.response),
    "finding": Format(inspections.finding),
    "records of inspections": Format(inspections.records),
    "block header": Format(trees.block_header),
    "header bundle": Format(trees.header_bundle),
    "entry bundle": Format(trees.entry_bundle),
    "tile": Format(trees.tile),
    "paths of tiles and bundles": Format(trees.paths),
    "frontier": Format(trees.frontier),
    "checkpoint": Format(trees.checkpoint),
    "seal line": Format(trees.seal_line),
    "seal message": Format(trees.seal_messages),
    "cosignature messages": Format(trees.cosignature_messages),
    "verifier keys": Format(trees.vkey),
    "note with every kind of line": Format(trees.note, 32),
    "policy file": Format(trees.policy_file, 16),
    "receipt": Format(trees.receipt, 32),
    "certificate": Format(trees.certificate, 16),
    "proof of a fork": Format(forks.fork_proof, 16),
    "observer's heads": Format(forks.heads_schema, 1),
    "state records and digest": Format(trees.state_records),
    "standings of members": Format(faults.standing_records),
    "records of pauses and decisions": Format(pauses.pause_records),
    "records of inventories and notices": Format(inventories.records),
    "vote message": Format(members.vote_message),
    "vote log": Format(members.vote_log),
    "messages between members": Format(members.wire_messages),
    "beacon shares between members": Format(members.beacon_share),
    "protobuf messages and calls": Format(members.protocols, 1),
    "public file": Format(members.public_file),
    "draft and session": Format(members.draft, 16),
    "deal": Format(members.deal, 8),
    "transcript": Format(members.transcript, 8),
    "ceremony messages": Format(members.ceremony_messages),
    "key file": Format(members.key_file, 16),
    "member's key files": Format(members.keystore, 4),
    "TLS voucher message": Format(members.voucher_message),
    "snapshot": Format(members.snapshot, 8),
    "node's database": Format(members.store_schema, 1),
    "lab's record of a job": Format(labs.record),
    "vault file": Format(labs.vault_file, 32),
    "vault file of other statements": Format(labs.statement_file, 32),
    "terms of a transfer, handed over": Format(labs.terms_file, 32),
    "lab's key file": Format(labs.key_file, 4),
    "inspector's report": Format(inspectors.report),
    "report on the answer to a sample": Format(inspectors.sample_report),
    "finding that a nation signed": Format(inspectors.signed),
    "inspector's key file": Format(inspectors.key_file, 4),
}


def compute(name: str) -> dict[str, object]:
    """Digest all values of a format."""
    chosen = FORMATS[name]
    digest = hashlib.sha256()
    for number in range(chosen.count):
        raw = chosen.make(Draw(f"{name} {number}"))
        digest.update(len(raw).to_bytes(8, "big") + raw)
    return {"values": chosen.count, "sha256": digest.hexdigest()}


def read() -> dict[str, dict[str, object]]:
    """Give the digests that were accepted, by format."""
    accepted: dict[str, dict[str, object]] = json.loads(DIGESTS.read_text(encoding="utf-8")) if DIGESTS.exists() else {}
    return accepted


def main(arguments: list[str]) -> int:
    """Name every format that changed; with `--update`, accept the change."""
    found, accepted = {name: compute(name) for name in FORMATS}, read()
    changed = [name for name in sorted({*found, *accepted}) if found.get(name) != accepted.get(name)]
    for name in changed:
        what = "new" if name not in accepted else "gone" if name not in found else "changed"
        sys.stdout.write(f"{name}: {what}\n")
    if arguments == ["--update"]:
        DIGESTS.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
        return 0
    return 1 if changed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
