"""The overview and the nations: the network's one word, capacity by verdict, what members did."""

from collections import Counter
from collections.abc import Sequence
from typing import Final, get_args, overload

from ledger.blocks import SealedHeader
from ledger.notes import parse_note
from ledger.policy import verify as verify_note
from ledger.positions import Height, Interval, Millis, Seconds
from ledger.rollbacks import read_cosigned_times
from ledger.rollups import Rollup as Sums
from ledger.rollups import Tally
from ledger.rules.grid import compute_grid
from ledger.statements.intoto import ZERO_HASH
from ledger.statements.misconduct import MISCONDUCT
from ledger.statements.notices import ENFORCEMENT, INCIDENT
from ledger.statements.verdicts import Verdict, VerdictState
from ledger.verify import CAVEAT
from observer.board import RATE_BLOCKS_MAX, RATE_WINDOW_MS, compute_rate
from observer.copy import Copy
from observer.outlook import judge
from observer.web.answers.nations import Nation, Nations
from observer.web.answers.overview import Counts, Network, NetworkReason, Overview
from observer.web.answers.words import Rollup, State, Weight
from observer.web.pages.proven import Shown, describe_block, describe_head
from observer.web.parameters import Asked
from observer.web.view import View

BLOCKS_SHOWN: Final = 20
FOLDERS_SHOWN_MAX: Final = 100


class _Tallied(Sequence[VerdictState]):
    """States of verdicts, of which only the numbers are kept: for whoever counts them."""

    def __init__(self, counts: Counter[VerdictState]) -> None:
        self._counts = counts

    def __len__(self) -> int:
        return self._counts.total()

    @overload
    def __getitem__(self, place: int) -> VerdictState: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[VerdictState]: ...
    def __getitem__(self, place: int | slice) -> VerdictState | Sequence[VerdictState]:
        return list(self._counts.elements())[place]

    def __contains__(self, state: object) -> bool:
        return isinstance(state, VerdictState) and self._counts[state] > 0

    def count(self, value: object) -> int:
        """Say how many verdicts have a state."""
        return self._counts[value] if isinstance(value, VerdictState) else 0


def show_overview(shown: Shown, _asked: Asked) -> Overview:
    """Make the first thing somebody sees.

    Raises:
        LedgerError: what lies beside the copy cannot be read.
    """
    copy, view = shown.copy, shown.view
    interval = view.matrix.settled()
    kinds = view.kinds()
    register = view.register
    return Overview(
        head=describe_head(copy.head.header),
        now_ms=shown.now_ms,
        title=copy.charter.title,
        origin=copy.charter.origin,
        charter_fingerprint=copy.charter.fingerprint,
        quorum=copy.charter.quorum,
        audited_height=copy.audited_height(),
        seals_per_minute_tenths=compute_rate(read_recent(copy, view)),
        network=_describe_network(shown),
        interval=interval,
        interval_now=compute_interval_now(copy),
        capacity=describe_sums(tally_interval(view, interval).roll_up(interval=interval or Interval(0))),
        counts=Counts(
            nations=len(copy.charter.members),
            labs=len(register.labs),
            clusters=sum(len(lab.clusters) for lab in register.labs.values()),
            verdicts=view.matrix.counts.total(),
            verdicts_by_state={state: view.matrix.counts[VerdictState(state)] for state in get_args(State)},
            pauses_active=sum(pause.is_active for pause in register.pauses.values()),
            misconduct=kinds.get(MISCONDUCT, 0),
            incidents=kinds.get(INCIDENT, 0),
            enforcements=kinds.get(ENFORCEMENT, 0),
        ),
        caveat=CAVEAT,
    )


def _describe_network(shown: Shown) -> Network:
    outlook = judge(shown.copy, _Tallied(shown.view.matrix.counts), now_ms=shown.now_ms)
    return Network(
        state=outlook.report.state.value,
        reasons=[NetworkReason(code=reason.value, said=said) for reason, said in outlook.report.reasons],
        undecided_forks=list(outlook.undecided[:FOLDERS_SHOWN_MAX]),
        forks_count=outlook.forks_count,
        rollbacks=list(outlook.rollbacks[:FOLDERS_SHOWN_MAX]),
    )


def compute_interval_now(copy: Copy) -> Interval | None:
    """Give the interval that runs at the head's time; None before the grid begins."""
    grid = compute_grid(copy.charter.predicate.grid)
    interval = (copy.head.header.time_ms - grid.start_ms) // grid.interval_ms
    return Interval(interval) if interval >= 0 else None


def tally_interval(view: View, interval: Interval | None) -> Tally:
    """Add the newest verdicts of an interval up, from what the matrix keeps of them; without one, nothing."""
    tally = Tally(view.register.gflops)
    for row in view.matrix.rows() if interval is not None else ():
        assert interval is not None
        said = row.get(interval)
        if said is not None:
            tally.add(
                Verdict(
                    ledger=ZERO_HASH,
                    lab=row.lab,
                    nation=row.nation,
                    cluster=row.cluster,
                    interval=interval,
                    state=said.state,
                    reasons=(),
                    assurance=said.assurance,
                    report=ZERO_HASH,
                    time_ms=Millis(0),
                    supersedes=ZERO_HASH,
                )
            )
    return tally


def describe_sums(sums: Sums) -> Rollup:
    """Give what was added up as the API has it."""
    return Rollup(
        worst=None if sums.worst is None else sums.worst.value,
        least_assurance=sums.least_assurance,  # type: ignore[arg-type]  # a level, which the roll-up types as any text
        registered_gflops=str(sums.registered_gflops),
        unweighed_clusters_count=sums.unweighed_count,
        states=[
            Weight(
                state=word.state.value,
                assurance=word.assurance,  # type: ignore[arg-type]  # the same
                clusters_count=weight.clusters_count,
                gflops=str(weight.gflops),
                share_permille=sums.share_permille(word),
            )
            for word, weight in sums.weights.items()
        ],
    )


def read_recent(copy: Copy, view: View) -> list[SealedHeader]:
    """Read the newest blocks, those that the board counts."""
    head = copy.head.header
    first = max(view.first_since(head.time_ms - RATE_WINDOW_MS), head.height - RATE_BLOCKS_MAX + 1)
    return copy.blocks(Height(first), head.height - first + 1)


def show_nations(shown: Shown, _asked: Asked) -> Nations:
    """Make the page of the members.

    Raises:
        LedgerError: the copy on disk is not what was written.
    """
    copy, view = shown.copy, shown.view
    interval = view.matrix.settled()
    recent = read_recent(copy, view)
    counts = Counter(sealed.header.proposer for sealed in recent)
    labs = Counter(lab.nation for lab in view.register.labs.values())
    cosigned = _find_cosigned(copy)
    tally = tally_interval(view, interval)
    nations = []
    for member in copy.charter.members:
        faults = sorted({*view.register.faults.get(member.id, ())})
        duties = (VerdictState.EXCEEDED,) if faults else ()
        proposed = view.proposed.get(member.index)
        proposed_ms = None if proposed is None else view.time_of(proposed)
        height, time_s = cosigned.get(member.node, (None, None))
        seen = [each for each in (proposed_ms, None if time_s is None else time_s * 1000) if each is not None]
        nations.append(
            Nation(
                index=member.index,
                id=member.id,
                name=member.name,
                node=member.node,
                http=member.http,
                labs_count=labs[member.id],
                proposed_count=counts[member.index],
                proposed_height=proposed,
                proposed_ms=proposed_ms,
                cosigned_height=height,
                cosigned_s=time_s,
                seen_ms=max(seen, default=None),
                rollup=describe_sums(tally.roll_up(interval=interval or Interval(0), nation=member.id, duties=duties)),
                faults=faults,
            )
        )
    return Nations(
        head=describe_head(copy.head.header),
        now_ms=shown.now_ms,
        quorum=copy.charter.quorum,
        interval=interval,
        recent_blocks_count=len(recent),
        seals_per_minute_tenths=compute_rate(recent),
        nations=nations,
        blocks=[describe_block(sealed) for sealed in reversed(recent[-BLOCKS_SHOWN:])],
    )


def _find_cosigned(copy: Copy) -> dict[str, tuple[Height, Seconds | None]]:
    """Give the newest kept checkpoint that each member cosigned, and when it says it did."""
    found: dict[str, tuple[Height, Seconds | None]] = {}
    for height, raw in copy.notes():
        note = parse_note(raw)
        times = read_cosigned_times(note, copy.charter)
        wanted = [name for name in times if name not in found]
        if not wanted and len(found) == len(copy.charter.members):
            break
        if not wanted:
            continue
        for name in verify_note(note, copy.keys).cosigners:
            found.setdefault(name, (height, times.get(name)))
    return found
