"""Pauses: which bind the lab in an interval, and the lab's own word on one, ready to be signed.

What a pause asks is proven by the receipt of its proposal. Which ones bind is a node's word; a report that names others
is refused by the rules, so a node that lies can delay a report and no more.
"""

from collections.abc import Mapping

from lab.client import Client, Sealed
from lab.pinned import PinnedLedger
from lab.preparing import Prepared, begin, hide, require_agreement
from lab.promises import PauseLimit
from lab.training_runs import read_runs, require_run
from lab.vault import Vault
from ledger.errors import Code, ConditionError
from ledger.limits import FROZEN_DIGESTS_MAX
from ledger.positions import Interval
from ledger.statements.dsse import parse_envelope
from ledger.statements.intoto import encode_quantity
from ledger.statements.pauses import (
    HiddenRunState,
    InFlightRun,
    LabPledge,
    PauseFreeze,
    PauseProposal,
    compute_terms_digest,
    encode_hidden_run_state,
    encode_lab_pledge,
    encode_pause_freeze,
    make_limit_id,
    parse_pause_proposal,
)


async def find_binding(client: Client, *, lab: str, interval: Interval) -> tuple[PauseLimit, ...]:
    """Give what every row of a report for the interval promises beside the charter's limits.

    Raises:
        NodesError: nobody could answer in time.
        FormatError: a node named an entry that proposes no pause.
    """
    proposals = [read_proposal(sealed) for sealed in await client.get_proposals(lab=lab, interval=interval)]
    proposals.sort(key=lambda proposal: proposal.pause)
    return tuple(PauseLimit(make_limit_id(each.pause), each.terms.scope) for each in proposals)


async def find_proposal(client: Client, pause: str) -> PauseProposal:
    """Give a pause's proposal, proven to be on the ledger.

    Raises:
        NodesError: no node knows of it (`NOT_FOUND`), in time.
        ConditionError: a node answered with another (`NOT_FOUND`).
    """
    for sealed in await client.get_proposals(pause=pause):
        proposal = read_proposal(sealed)
        if proposal.pause == pause:
            return proposal
    raise ConditionError(field="pause", found=pause, expected="a pause that a nation proposed", code=Code.NOT_FOUND)


def read_proposal(sealed: Sealed) -> PauseProposal:
    """Read an entry that proposes a pause.

    Raises:
        FormatError: it does not.
    """
    return parse_pause_proposal(parse_envelope(sealed.entry).payload).predicate


def prepare_pledge(proposal: PauseProposal, *, ledger: PinnedLedger, lab: str) -> Prepared:
    """Promise to keep to a pause once it is activated, whatever the nation does.

    Raises:
        RejectedError: the ledger takes reports alone.
    """
    require_agreement(ledger)
    digest = compute_terms_digest(proposal.terms)
    pledge = LabPledge(**begin(ledger, lab), pause=proposal.pause, terms=digest)
    return Prepared(statement=pledge, encode=encode_lab_pledge, notes=describe(proposal))


def prepare_freeze(
    vault: Vault, proposal: PauseProposal, sizes: Mapping[str, int], *, ledger: PinnedLedger, lab: str
) -> Prepared:
    """Say which runs were in flight when a pause came, and where each of them stands.

    Args:
        vault: with what the lab said of its runs.
        proposal: of the pause.
        sizes: bytes of the newest checkpoint of each run, by run.
        ledger: pinned.
        lab: id of the lab.

    Raises:
        RejectedError: the ledger takes reports alone.
        ConditionError: a run that the lab never spoke of (`UNKNOWN_RUN`), or that has no weights yet (`CONFIG`).
        FormatError: no run, or more than one statement holds.
    """
    require_agreement(ledger)
    fingerprint = ledger.charter.fingerprint
    runs, openings = [], []
    for run in sorted(sizes):
        known = require_run(vault, fingerprint, run)
        if known.last.checkpoint is None:
            expected = "weights: tell of them first (`counterseal lab run checkpoint`)"
            raise ConditionError(field="run", found=f"{run}, without weights", expected=expected, code=Code.CONFIG)
        fields = HiddenRunState(
            run_pflop=known.fields.run_pflop,
            cumulative_pflop=known.fields.cumulative_pflop,
            checkpoint_bytes=encode_quantity(sizes[run]),
        )
        hidden = hide(encode_hidden_run_state(fields), part=run, count=FROZEN_DIGESTS_MAX)
        band, checkpoint = known.last.band, known.last.checkpoint
        runs.append(InFlightRun(run=run, checkpoint=checkpoint, band=band, digests=hidden.digests))
        openings.append(hidden.opening)
    left_out = [
        run
        for run, known in read_runs(vault, fingerprint).items()
        if run not in sizes and known.last.state in {"started", "frozen"}
    ]
    notes = (f"under way and not frozen by this: {', '.join(left_out)}",) if left_out else ()
    freeze = PauseFreeze(
        **begin(ledger, lab), pause=proposal.pause, terms=compute_terms_digest(proposal.terms), runs=tuple(runs)
    )
    return Prepared(
        statement=freeze,
        encode=encode_pause_freeze,
        openings=tuple(openings),
        notes=(*describe(proposal), *notes),
    )


def describe(proposal: PauseProposal) -> tuple[str, ...]:
    """Say what a pause asks, since a statement only has its digest."""
    terms = proposal.terms
    caps = ", ".join(f"{cap.quantity} at most {cap.maximum}" for cap in terms.scope)
    return (
        f"pause {proposal.pause}, {terms.title!r}, proposed by {proposal.issuer}: {caps}",
        f"from interval {terms.first_interval} or later, for {terms.interval_count} intervals; lifted: {terms.lift}",
    )
