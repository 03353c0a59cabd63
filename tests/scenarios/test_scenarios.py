"""Run every script: a line tells the core something, the indented lines below are all it does about it, in order.

    members 4, I am 2, delta 100, idle 1000     who is on stage (first line; `lost` if the vote log is lost)
    block B view 2 on A [with 0 entries] [time 50]   names the block that the leader of view 2 makes
    at 10 start
    at 10 proposal A from 1
    at 10 NOTARIZE A from 3  |  NULLIFY 4 from 3  |  FINALIZE A from 3  |  forged NOTARIZE A from 3
    at 10 notarization A by 1 2 3 from 3  |  nullification 4 by 1 2 3 from 3  |  finalization A from 3
    at 10 timer LEADER  |  at 10 timer VIEW of view 3
    at 10 pending since 5  |  pending nothing  |  deadline 700  |  no deadline
    at 10 executed A  |  executed A invalid  |  built A  |  nothing to propose in view 3
    at 10 fetched A from 1  |  told view 9 by 3  |  caught up to A
    at 10 restart                                 the core is made anew from what was persisted, and started

Timers are in the script like everything else. `scripts/test` runs this; with COUNTERSEAL_REWRITE=1 in the environment
the expected lines are written anew, to be read before they are committed.
"""

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from ledger.positions import FIRST_EPOCH, MemberIndex, Millis, View
from node.consensus import messages as m
from node.consensus.messages import VoteKind
from tests.scenarios.stage import START_MS, Stage

SCRIPTS = sorted(Path(__file__).parent.glob("*.txt"))
INDENT = "    "

Act = Callable[[Stage, re.Match[str]], list[m.Action]]


def members(text: str) -> list[int]:
    return [int(member) for member in text.split()]


def restart(stage: Stage, _: re.Match[str]) -> list[m.Action]:
    stage.rebuild()
    return stage.give(m.Started())


def vote(stage: Stage, said: re.Match[str]) -> list[m.Action]:
    kind, source = VoteKind[said["kind"]], int(said["source"])
    if kind is VoteKind.NULLIFY:
        cast = stage.vote(kind, source, view=int(said["what"]))
    else:
        cast = stage.vote(kind, source, block=said["what"])
    if said["forged"]:
        cast = m.Vote(cast.kind, cast.epoch, cast.view, cast.digest, cast.member, bytes(64), cast.share)
    return stage.hear(cast, source=source)


def timer(stage: Stage, said: re.Match[str]) -> list[m.Action]:
    view = int(said["view"]) if said["view"] else stage.core.status().view
    return stage.give(m.TimerFired(m.TimerName[said["name"]], View(view)))


def built(stage: Stage, said: re.Match[str]) -> list[m.Action]:
    block = stage.blocks[said["name"]]
    return stage.give(m.BlockBuilt(block.header.view, block.header, block.entry_hashes))


def fetched(stage: Stage, said: re.Match[str]) -> list[m.Action]:
    block = stage.blocks[said["name"]]
    return stage.give(m.BlockFetched(MemberIndex(int(said["source"])), block.header, block.entry_hashes))


def caught_up(stage: Stage, said: re.Match[str]) -> list[m.Action]:
    final = stage.finalization(said["name"])
    return stage.give(m.CaughtUp(final.header, final.seal))


def pending(stage: Stage, said: re.Match[str]) -> list[m.Action]:
    return stage.give(m.EntriesPending(Millis(START_MS + int(said["since"])) if said["since"] else None))


def deadline(stage: Stage, said: re.Match[str]) -> list[m.Action]:
    return stage.give(m.DeadlineAt(Millis(START_MS + int(said["at"])) if said["at"] else None))


ACTS: list[tuple[str, Act]] = [
    (r"start", lambda stage, _: stage.give(m.Started())),
    (r"restart", restart),
    (
        r"proposal (?P<name>\w+) from (?P<source>\d)",
        lambda s, a: s.hear(s.proposal(a["name"]), source=int(a["source"])),
    ),
    (r"(?P<forged>forged )?(?P<kind>NOTARIZE|NULLIFY|FINALIZE) (?P<what>\w+) from (?P<source>\d)", vote),
    (
        r"notarization (?P<name>\w+) by (?P<by>[\d ]+) from (?P<source>\d)",
        lambda s, a: s.hear(s.notarization(a["name"], members(a["by"])), source=int(a["source"])),
    ),
    (
        r"nullification (?P<view>\d+) by (?P<by>[\d ]+) from (?P<source>\d)",
        lambda s, a: s.hear(s.nullification(int(a["view"]), members(a["by"])), source=int(a["source"])),
    ),
    (
        r"finalization (?P<name>\w+) from (?P<source>\d)",
        lambda s, a: s.hear(s.finalization(a["name"]), source=int(a["source"])),
    ),
    (r"timer (?P<name>[A-Z]+)(?: of view (?P<view>\d+))?", timer),
    (r"pending (?:since (?P<since>\d+)|nothing)", pending),
    (r"deadline (?P<at>\d+)|no deadline", deadline),
    (r"executed (?P<name>\w+)", lambda s, a: s.give(s.executed(a["name"]))),
    (r"executed (?P<name>\w+) invalid", lambda s, a: s.give(s.executed(a["name"], is_valid=False))),
    (r"built (?P<name>\w+)", built),
    (r"nothing to propose in view (?P<view>\d+)", lambda s, a: s.give(m.NothingToPropose(View(int(a["view"]))))),
    (r"fetched (?P<name>\w+) from (?P<source>\d)", fetched),
    (
        r"told view (?P<view>\d+) by (?P<source>\d)",
        lambda s, a: s.give(m.ViewTold(MemberIndex(int(a["source"])), FIRST_EPOCH, View(int(a["view"])))),
    ),
    (r"caught up to (?P<name>\w+)", caught_up),
]

STAGE = re.compile(r"members (?P<n>\d+), I am (?P<me>\d+), delta (?P<delta>\d+), idle (?P<idle>\d+)(?P<lost>, lost)?")
BLOCK = re.compile(
    r"block (?P<name>\w+) view (?P<view>\d+) on (?P<parent>\w+)"
    r"(?: with (?P<entries>\d+) entries)?(?: time (?P<time>\d+))?"
)
LINE = re.compile(r"at (?P<time>\d+) (?P<act>.+)")


def run(lines: list[str]) -> list[str]:
    """Play a script and give it back with what the core did."""
    stage: Stage | None = None
    played: list[str] = []
    for line in lines:
        if line.startswith(INDENT):
            continue
        played.append(line)
        if not line or line.startswith("#"):
            continue
        if said := STAGE.fullmatch(line):
            assert stage is None
            stage = Stage(
                member_count=int(said["n"]),
                me=int(said["me"]),
                delta_ms=int(said["delta"]),
                idle_interval_ms=int(said["idle"]),
                is_lost=bool(said["lost"]),
            )
            continue
        assert stage is not None, "the first line says who is on stage"
        if said := BLOCK.fullmatch(line):
            stage.block(
                said["name"],
                view=int(said["view"]),
                parent=said["parent"],
                entries=int(said["entries"] or 1),
                time_ms=int(said["time"] or 0),
            )
            continue
        played += [INDENT + stage.describe(action) for action in play(stage, line)]
    return played


def play(stage: Stage, line: str) -> list[m.Action]:
    said = LINE.fullmatch(line)
    assert said, f"not a line of a script: {line}"
    stage.now_ms = int(said["time"])
    for pattern, act in ACTS:
        if match := re.fullmatch(pattern, said["act"]):
            return act(stage, match)
    raise AssertionError(f"no such act: {line}")


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_the_core_does_what_the_script_says(script: Path) -> None:
    expected = script.read_text(encoding="utf-8").splitlines()
    played = run(expected)
    if os.environ.get("COUNTERSEAL_REWRITE"):
        script.write_text("\n".join(played) + "\n", encoding="utf-8")
    assert played == expected


def test_there_are_scripts() -> None:
    assert len(SCRIPTS) > 8
