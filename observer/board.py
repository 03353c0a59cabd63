"""The board: nations, how the chain grows, and what the rules said of every lab's clusters, from the copy alone.

Every verdict shown is read through the copy's own tree, so it is compared with the sealed root before it is shown. A
state never stands without its assurance level, and the board never without the sentence on what it does not show.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from ledger.blocks import NO_SEAL, SealedHeader
from ledger.notes import parse_note
from ledger.policy import verify as verify_note
from ledger.positions import Height, Interval, Millis
from ledger.statements.verdicts import VERDICT, Verdict, VerdictState, parse_verdict
from ledger.verify import CAVEAT
from observer.chronicle import Line, encode_chronicle, read_chronicle, render_chronicle
from observer.copy import Copy
from observer.outlook import Outlook, encode_outlook, judge, render_outlook
from observer.standing import Standing, encode_standing, judge_standing, render_standing
from observer.telling import encode_verdict, format_time

RATE_WINDOW_MS: Final = 600_000
RATE_BLOCKS_MAX: Final = 4_096
INTERVALS_SHOWN: Final = 8

_STYLES: Final = {
    VerdictState.COMPLIANT: "cyan",  # no green tick: it means that a claim of compliance was signed
    VerdictState.PENDING: "dim",
    VerdictState.LATE: "yellow",
    VerdictState.UNVERIFIABLE: "yellow",
    VerdictState.CONTESTED: "magenta",
    VerdictState.MISSING: "red",
    VerdictState.EXCEEDED: "bold red",
}


@dataclass(frozen=True, slots=True)
class NationLine:
    """A nation, as the newest blocks and notes show it.

    Attributes:
        proposed_count: of the newest blocks, how many it proposed.
        proposed_height: the newest of those, if any.
        cosigned_height: the newest kept checkpoint that it cosigned, if any.
    """

    id: str
    name: str
    node: str
    proposed_count: int
    proposed_height: Height | None
    cosigned_height: Height | None


@dataclass(frozen=True, slots=True)
class Board:
    """Everything that is shown.

    Attributes:
        recent_count: how many of the newest blocks the nations' lines and the rate are taken from.
        seals_per_minute_tenths: sealed blocks a minute over those, in tenths.
        audited_height: up to where an audit found everything to hold; None if there was none.
        outlook: how the network stands as a whole.
        standing: how nations stand in the newest interval that was settled.
        verdicts: the newest on each cluster's interval, by lab, cluster and interval.
        chronicle: what was said beside reports and verdicts, oldest first.
    """

    title: str
    origin: str
    fingerprint: str
    quorum: int
    head: SealedHeader
    audited_height: Height | None
    outlook: Outlook
    recent_count: int
    seals_per_minute_tenths: int
    nations: tuple[NationLine, ...]
    standing: Standing
    verdicts: tuple[Verdict, ...]
    chronicle: tuple[Line, ...]


def make_board(copy: Copy, *, now_ms: Millis) -> Board:
    """Read a board out of a copy.

    Args:
        copy: to be shown.
        now_ms: by this machine's clock: what is old is not shown as if it were news.

    Raises:
        LedgerError: the copy on disk is not what was written.
    """
    head = copy.head
    first = Height(max(0, head.header.height - RATE_BLOCKS_MAX + 1))
    recent = [
        sealed
        for sealed in copy.blocks(first, RATE_BLOCKS_MAX)
        if sealed.header.time_ms >= head.header.time_ms - RATE_WINDOW_MS
    ]
    verdicts = [parse_verdict(entry) for entry in copy.proven_entries(copy.newest_subjects(VERDICT))]
    verdicts.sort(key=lambda verdict: (verdict.nation, verdict.lab, verdict.cluster, verdict.interval))
    return Board(
        title=copy.charter.title,
        origin=copy.charter.origin,
        fingerprint=copy.charter.fingerprint,
        quorum=copy.charter.quorum,
        head=head,
        audited_height=copy.audited_height(),
        outlook=judge(copy, [verdict.state for verdict in verdicts], now_ms=now_ms),
        recent_count=len(recent),
        seals_per_minute_tenths=compute_rate(recent),
        nations=_describe_nations(copy, recent),
        standing=judge_standing(copy, verdicts),
        verdicts=tuple(verdicts),
        chronicle=read_chronicle(copy),
    )


def compute_rate(recent: Sequence[SealedHeader]) -> int:
    """Seals a minute, in tenths, over the time these blocks took."""
    elapsed_ms = recent[-1].header.time_ms - recent[0].header.time_ms
    seals_count = sum(sealed.seal != NO_SEAL for sealed in recent[1:])
    return seals_count * 600_000 // elapsed_ms if elapsed_ms else 0


def _describe_nations(copy: Copy, recent: Sequence[SealedHeader]) -> tuple[NationLine, ...]:
    proposed = Counter(sealed.header.proposer for sealed in recent)
    newest = {sealed.header.proposer: sealed.header.height for sealed in recent}
    cosigned: dict[str, Height] = {}
    for height, raw in copy.notes():
        for name in verify_note(parse_note(raw), copy.keys).cosigners:
            cosigned.setdefault(name, height)
    return tuple(
        NationLine(
            id=member.id,
            name=member.name,
            node=member.node,
            proposed_count=proposed[member.index],
            proposed_height=newest.get(member.index),
            cosigned_height=cosigned.get(member.node),
        )
        for member in copy.charter.members
    )


def encode_board(board: Board) -> dict[str, Any]:
    """Give the board as JSON has it; Any because every value of a JSON object may be of another type."""
    header = board.head.header
    return {
        "title": board.title,
        "origin": board.origin,
        "charter_fingerprint": board.fingerprint,
        "quorum": board.quorum,
        "head": {
            "height": header.height,
            "tree_size": header.tree_size,
            "root": header.root.hex(),
            "block": header.digest.hex(),
            "time_ms": header.time_ms,
        },
        "audited_height": board.audited_height,
        "network": encode_outlook(board.outlook),
        "contradictions_count": board.outlook.forks_count,
        "recent_blocks_count": board.recent_count,
        "seals_per_minute_tenths": board.seals_per_minute_tenths,
        "nations": [
            {
                "id": nation.id,
                "name": nation.name,
                "node": nation.node,
                "proposed_count": nation.proposed_count,
                "proposed_height": nation.proposed_height,
                "cosigned_height": nation.cosigned_height,
            }
            for nation in board.nations
        ],
        "standing": encode_standing(board.standing),
        "verdicts": [encode_verdict(verdict) for verdict in board.verdicts],
        "chronicle": encode_chronicle(board.chronicle),
        "caveat": CAVEAT,
    }


def render_board(board: Board, *, intervals_shown: int = INTERVALS_SHOWN) -> RenderableType:
    """Lay the board out for a terminal."""
    return Group(
        render_outlook(board.outlook),
        _render_head(board),
        _render_nations(board),
        render_standing(board.standing),
        _render_verdicts(board, intervals_shown),
        render_chronicle(board.chronicle),
        Panel(Text(CAVEAT), title="what a verdict does not show", border_style="dim"),
    )


def _render_head(board: Board) -> RenderableType:
    header = board.head.header
    audited = board.audited_height
    checked = (
        "never audited: signatures of statements and verdicts were not executed again here"
        if audited is None
        else f"audited up to height {audited}" + (" (all of it)" if audited == header.height else "")
    )
    lines = [
        f"{board.title} · {board.origin}",
        f"charter {board.fingerprint}",
        f"height {header.height} · {header.tree_size} entries · sealed {format_time(header.time_ms)}",
        f"{board.seals_per_minute_tenths // 10}.{board.seals_per_minute_tenths % 10} seals a minute · {checked}",
    ]
    text = Text("\n".join(lines))
    return Panel(text, title="ledger")


def _render_nations(board: Board) -> RenderableType:
    table = Table(title=f"{len(board.nations)} nations, quorum {board.quorum}", title_justify="left")
    for heading in ("nation", "node", f"of {board.recent_count} newest blocks", "last proposed", "last cosigned"):
        table.add_column(heading)
    for nation in board.nations:
        table.add_row(
            Text(nation.name),
            Text(nation.node),
            str(nation.proposed_count),
            "-" if nation.proposed_height is None else str(nation.proposed_height),
            "-" if nation.cosigned_height is None else str(nation.cosigned_height),
        )
    return table


def _render_verdicts(board: Board, intervals_shown: int) -> RenderableType:
    if not board.verdicts:
        return Text("no verdict yet: no interval of a registered lab has fallen due")
    intervals = sorted({verdict.interval for verdict in board.verdicts})[-intervals_shown:]
    cells: dict[tuple[str, str, str], dict[Interval, Verdict]] = {}
    for verdict in board.verdicts:
        cells.setdefault((verdict.nation, verdict.lab, verdict.cluster), {})[verdict.interval] = verdict
    table = Table(title="labs and intervals: state and assurance level", title_justify="left")
    for heading in ("nation", "lab", "cluster", *(str(interval) for interval in intervals)):
        table.add_column(heading)
    for names, by_interval in sorted(cells.items()):
        row = [_render_cell(by_interval.get(interval)) for interval in intervals]
        table.add_row(*(Text(name) for name in names), *row)
    return table


def _render_cell(verdict: Verdict | None) -> Text:
    if verdict is None:
        return Text("")
    return Text(f"{verdict.state} {verdict.assurance}", style=_STYLES[verdict.state])
