"""Formats of misconduct: evidence as a statement and as a file, and what stands against members in a state."""

from ledger.limits import INTEGER_MAX
from ledger.positions import LeafIndex, View
from ledger.rules.records.standings import STANDINGS, Fault, Standing
from ledger.rules.state import State
from ledger.statements.misconduct import (
    KINDS_OF_VOTES,
    Evidence,
    EvidenceFile,
    MisconductReport,
    SignedVote,
    encode_evidence_file,
    encode_misconduct,
    parse_evidence_file,
    parse_misconduct,
)
from ledger.votes import Misconduct
from tests.formats import entries, trees
from tests.formats.draws import Draw


def make_evidence(draw: Draw, misconduct: Misconduct) -> Evidence:
    """Evidence of the right form, signed by nobody."""
    block = trees.header(draw, 1 + draw.below(99))
    while block.epoch > INTEGER_MAX:  # no committee will ever be so late: JSON need not carry it
        block = trees.header(draw, 1 + draw.below(99))
    kinds = KINDS_OF_VOTES[misconduct]
    is_share = misconduct is Misconduct.WRONG_SHARE
    digests = [block.digest] if is_share else sorted(draw.digest() for _ in kinds)
    votes = [
        SignedVote(
            kind=kind,
            digest=None if kind == "NULLIFY" else digest.hex(),
            share=draw.raw(48) if kind == "FINALIZE" else None,
            signature=draw.raw(64),
        )
        for kind, digest in zip(kinds, digests, strict=True)
    ]
    return Evidence(
        accused=draw.identifier(),
        misconduct=misconduct,
        epoch=block.epoch,
        view=View(1 + draw.below(INTEGER_MAX)),
        votes=tuple(votes),
        header=block.raw if is_share else None,
    )


def misconduct(draw: Draw) -> bytes:
    """A statement of each kind of misconduct."""
    made = [
        MisconductReport(
            **entries.header(draw),  # type: ignore[arg-type]  # each of its own type
            evidence=make_evidence(draw, kind),
        )
        for kind in Misconduct
    ]
    raws = [encode_misconduct(report) for report in made]
    assert [parse_misconduct(raw).predicate for raw in raws] == made
    return b"\n".join(raws)


def evidence_file(draw: Draw) -> bytes:
    """A file of each kind of misconduct."""
    made = [EvidenceFile(charter=draw.some_raw(1, 90), evidence=make_evidence(draw, kind)) for kind in Misconduct]
    raws = [encode_evidence_file(file) for file in made]
    assert [parse_evidence_file(raw) for raw in raws] == made
    return b"\n".join(raws)


def standing_records(draw: Draw) -> bytes:
    """What is proven against a member, as it stands in a state."""
    standing = Standing(draw.some(lambda: Fault(draw.pick(tuple(Misconduct)), LeafIndex(draw.number())), 0, 4))
    state = State()
    STANDINGS.put(state, standing, draw.identifier().encode())
    [(key, value)] = state.changes()
    assert value is not None
    assert STANDINGS.decode(value) == standing
    return key + b"\n" + value
