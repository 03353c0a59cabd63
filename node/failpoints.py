"""The moments at which a crash could leave something half done, by name; tests stop a node at each of them.

Every write that must survive passes `reach` before it, in the midst of it and after it. In a node that people run this
is a call of a function that does nothing: no environment, setting or message can change that, for there is nothing
here that reads one. The harness (`tests/network/victim.py`) starts a node through a launcher of its own, which calls
`install` before it and has the process kill itself at the point and pass asked for. So what is tested is the code
that is run, and what is run has no switch to be found by others.

`POINTS` is complete: the harness reaches each of them, or fails.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import structlog

_TRANSACTIONS: Final = {
    "meta": "a named value, when the ledger is founded",
    "candidates": "the entries of a block that a vote is about to name",
    "block": "final blocks with entries, tree and state",
    "cosignature": "a cosignature of an archival checkpoint",
    "archive": "the name of an archival checkpoint",
    "base": "a member's snapshot, for a ledger to begin from",
}

POINTS: Final[Mapping[str, str]] = {
    "votes.before-write": "a vote decided, nothing of it on disk",
    "votes.torn": "a part of a vote's records written",
    "votes.written": "a vote's records written, not synced",
    "votes.synced": "a vote durable, not yet sent",
    "votes.compacting": "about to shorten the vote log",
    "votes.aside": "a whole vote log written aside and synced, not yet in place",
    "votes.renamed": "a whole vote log in place, its name not yet durable",
    "votes.replaced": "a whole vote log in place and durable",
    **{f"{name}.before": f"about to write {what}" for name, what in _TRANSACTIONS.items()},
    "block.rows": "header and entries of a block inserted, its tree and state not",
    **{f"{name}.inside": f"transaction open, all written of {what}" for name, what in _TRANSACTIONS.items()},
    **{f"{name}.after": f"durable: {what}" for name, what in _TRANSACTIONS.items()},
    "folder.aside": "a published file written aside and synced, not linked",
    "folder.linked": "a published file linked, its name not durable",
    "folder.renamed": "a published file put in another's place, its name not durable",
    "publish.before-checkpoint": "everything under a checkpoint published and durable, the checkpoint not",
    "publish.after-checkpoint": "a checkpoint published",
    "ceremony.torn": "a part of a ceremony's message written",
    "ceremony.written": "a ceremony's message written, not synced",
    "ceremony.kept": "a ceremony's message durable, not used",
    "key.aside": "a key file written beside its name",
    "key.linked": "a key file under its name, not durable",
    "founding.log": "the ceremony is done, the vote log begun, nothing else written",
    "founding.share": "the share written, the ledger not begun",
    "founding.store": "the database of a new ledger written aside, not in place",
    "founding.done": "the database of a new ledger in place and durable",
    "file.torn": "a part of a file written beside its name: a draft, a certificate, a snapshot",
    "file.aside": "a file written beside its name and synced, not in place",
    "file.renamed": "a file in place, its name not durable",
    "snapshot.kept": "a snapshot in place and durable, those before it not removed",
    "history.whole": "an audited database whole and closed, not in the live one's place",
    "history.renamed": "an audited database in the live one's place, its name not durable",
    "history.replaced": "an audited database in the live one's place and durable",
    "schema.before": "about to bring up a database of an older version",
    "schema.table": "some tables of an older version brought up, others not",
    "schema.inside": "transaction open, a database of an older version brought up",
    "schema.after": "durable: a database of an older version brought up",
}


@dataclass(frozen=True, slots=True)
class Torn:
    """A write that a crash may cut short: whoever stops here may write any part of it first."""

    file: int
    raw: bytes


Act = Callable[[str, Torn | None], None]


def _go_on(point: str, torn: Torn | None) -> None:
    """Do nothing: what happens at every point of a node that is not under test."""


_act: Act = _go_on


def reach(point: str, torn: Torn | None = None) -> None:
    """Pass a point."""
    _act(point, torn)


def install(act: Act) -> None:
    """Have something happen at points; for a launcher of tests, before the node starts, and said loudly."""
    global _act  # noqa: PLW0603  # one switch for one process, set before anything runs
    _act = act
    structlog.get_logger("failpoints").critical("this node is under test: it will stop itself at a point")
