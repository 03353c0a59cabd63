"""What is proven against members, read from a copy: each proof through the copy's tree, and checked by itself again.

A sealed entry that the rules should have refused is not believed because it is sealed: evidence needs nobody's word.
"""

from dataclasses import dataclass

from ledger.positions import LeafIndex, View
from ledger.rules.misconduct import verify_evidence
from ledger.statements.dsse import parse_envelope
from ledger.statements.misconduct import MISCONDUCT, parse_misconduct
from ledger.votes import Misconduct
from observer.copy import Copy


@dataclass(frozen=True, slots=True)
class FaultLine:
    """A misconduct of a member, and the entry that proves it."""

    member: str
    misconduct: Misconduct
    view: View
    index: LeafIndex


def read_faults(copy: Copy) -> tuple[FaultLine, ...]:
    """List what is proven, in the order of the ledger.

    Raises:
        LedgerError: the copy on disk is not what was written, or a quorum sealed evidence that is none.
    """
    lines = []
    indices = copy.newest_subjects(MISCONDUCT)
    for index, entry in zip(indices, copy.proven_entries(indices), strict=True):
        evidence = parse_misconduct(parse_envelope(entry).payload).predicate.evidence
        verify_evidence(evidence, charter=copy.charter)
        lines.append(FaultLine(evidence.accused, evidence.misconduct, evidence.view, index))
    return tuple(lines)
