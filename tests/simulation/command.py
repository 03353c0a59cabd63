"""Run a ledger's members through everything that can go wrong, on virtual time, from seeds: docs/simulation.md."""

import argparse
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final

from tests.simulation.attackers.registry import ATTACKERS
from tests.simulation.campaign import MakePlan, Summary, run_campaign
from tests.simulation.growth import draw_growth, format_table, measure_growth
from tests.simulation.hunting import Mutant, hunt_all
from tests.simulation.mutants import MUTANTS
from tests.simulation.nodes.mutants import NODE_MUTANTS
from tests.simulation.plan import Plan, draw_plan
from tests.simulation.runs import LEVELS, Result, run_plan
from tests.simulation.scenarios import SCENARIOS
from tests.simulation.shrink import Shrinker

LINES_SHOWN: Final = 60
ALL_LINES: Final = 1_000_000
SVG: Final = Path("docs/images/growth.svg")
MUTANTS_AT: Final[dict[str, dict[str, Mutant]]] = {"cores": MUTANTS, "nodes": NODE_MUTANTS}


def main(arguments: list[str] | None = None) -> int:
    """Do what the command line says; 1 if anything was violated."""
    given = _parse(arguments)
    if given.mutants is not None:
        mutants = MUTANTS_AT[given.level]
        return 0 if hunt_all({name: mutants[name] for name in given.mutants or mutants}) else 1
    if given.growth:
        points = measure_growth([int(size) for size in given.growth.split(",")], seconds_each=given.seconds)
        _say(*format_table(points))
        given.svg.write_text(draw_growth(points), encoding="utf-8")
        return 0
    attackers = None if given.attackers is None else [name for name in given.attackers.split(",") if name]
    make_plan: MakePlan = partial(draw_plan, member_count=given.members, attackers=attackers)
    if given.scenario is not None:
        make_plan = SCENARIOS[given.scenario].make_plan
    if given.keys == "real":
        make_plan = partial(_with_real_keys, make_plan)
    if given.seed is not None:
        return _replay(make_plan(given.seed), given)
    return _campaign(make_plan, given)


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/simulate", description=__doc__)
    parser.add_argument("--seeds", type=int, default=100, help="how many runs")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--members", type=int, default=4, help="how many members each ledger has")
    parser.add_argument("--level", choices=LEVELS, default="cores", help="cores alone, or whole nodes")
    parser.add_argument(
        "--keys", choices=("cheap", "real"), default="cheap", help="keys that cost nothing, or those of a node"
    )
    parser.add_argument("--jobs", type=int, default=1, help="how many runs at a time")
    parser.add_argument("--attackers", help=f"draw from these alone, or from none: {','.join(ATTACKERS)}")
    parser.add_argument("--scenario", choices=SCENARIOS, help="not anything at random, but this, at its worst")
    parser.add_argument(
        "--mutants", nargs="*", metavar="NAME", help="switch off one protection of the level at a time: each is caught"
    )
    parser.add_argument("--seed", type=int, help="run this one again and print the digest of its trace")
    parser.add_argument("--trace", action="store_true", help="with --seed: print all that happened")
    parser.add_argument("--shrink-runs", type=int, default=150, help="how many smaller plans to try on a failure")
    parser.add_argument("--growth", metavar="N,N,…", help="measure committees of these sizes and draw the curve")
    parser.add_argument("--seconds", type=float, default=5.0, help="with --growth: how long each")
    parser.add_argument("--svg", type=Path, default=SVG, help="with --growth: where to draw")
    given = parser.parse_args(arguments)
    unknown = [name for name in given.mutants or () if name not in MUTANTS_AT[given.level]]
    if unknown:
        parser.error(f"--mutants: of the level {given.level} there is no {', '.join(unknown)}")
    return given


def _with_real_keys(make_plan: MakePlan, seed: int) -> Plan:
    return replace(make_plan(seed), has_real_keys=True)


def _replay(plan: Plan, given: argparse.Namespace) -> int:
    result = run_plan(plan, given.level, kept_lines=ALL_LINES if given.trace else 0)
    _say(*plan.describe(), *result.lines)
    _say(f"trace {result.trace}", f"height {result.height}, {result.steps} steps, {result.virtual_ms} virtual ms")
    if result.violation is not None:
        _say(f"VIOLATION {result.violation}")
        return 1
    return 0


def _campaign(make_plan: MakePlan, given: argparse.Namespace) -> int:
    seeds = range(given.first, given.first + given.seeds)

    def on_result(result: Result) -> None:
        if result.violation is not None:
            _say(f"seed {result.seed}: {result.violation.splitlines()[0]}")

    summary = run_campaign(make_plan, seeds, given.level, jobs=given.jobs, on_result=on_result)
    _say(f"{given.members} members, {given.level}, {given.keys} keys")
    _say_table(summary)
    for failed in summary.failed[:1]:
        _explain(make_plan(failed.seed), failed, given)
    return 1 if summary.failed else 0


def _explain(plan: Plan, failed: Result, given: argparse.Namespace) -> None:
    """Shrink the plan, and show what happened last in the run of the smaller one."""
    assert failed.violation is not None
    shrinker = Shrinker(lambda tried: run_plan(tried, given.level).violation, given.shrink_runs)
    plan = shrinker.shrink(plan, failed.violation)
    result = run_plan(plan, given.level, kept_lines=LINES_SHOWN)
    _say("", f"seed {failed.seed} breaks it; what is left of its plan:", *(f"  {line}" for line in plan.describe()))
    _say("", f"the last {len(result.lines)} lines of its trace {result.trace[:16]}:", *result.lines)
    _say("", f"VIOLATION {result.violation}")
    which = f"--members {given.members}" if given.scenario is None else f"--scenario {given.scenario}"
    if given.attackers is not None:
        which += f" --attackers {given.attackers}"
    if given.keys == "real":
        which += " --keys real"
    again = f"scripts/simulate {which} --level {given.level} --seed {failed.seed} --trace"
    _say("", f"The whole run again: {again}")


def _say_table(summary: Summary) -> None:
    rows = list(summary.rows())
    width = max(len(what) for what, _ in rows)
    _say(*(f"  {what:<{width}}  {much}" for what, much in rows))


def _say(*lines: str) -> None:
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
