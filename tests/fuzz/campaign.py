"""Runs the fuzz targets under atheris, one process each, and prints what came of them (`scripts/fuzz`).

A target starts from its seeds and runs for a bounded time. A finding is bytes for which it raised something else than a
`LedgerError`, did not hold what it promises, or took too long. It is written to `fuzz-findings/` with how to replay it;
once it is mended it moves to `tests/fuzz/found/`, and every run of the test suite reads it again.
"""

import argparse
import hashlib
import importlib
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table

ROOT: Final = Path(__file__).resolve().parents[2]
FINDINGS: Final = ROOT / "fuzz-findings"
FOUND: Final = ROOT / "tests" / "fuzz" / "found"
ROOMS: Final = ("ledger", "tlog", "node", "lab", "observer", "inspector")
ONE_INPUT_S: Final = 20
MEMORY_MIB: Final = 2_048
STOP_AFTER_S: Final = 120
_PROGRESS: Final = re.compile(r"^#(\d+)\s+(INITED|DONE|\w+)\s+cov: (\d+) ft: (\d+)", re.MULTILINE)
_EXECUTED: Final = re.compile(r"stat::number_of_executed_units:\s*(\d+)")


@dataclass(frozen=True)
class Outcome:
    """What came of a target.

    Attributes:
        runs: how many inputs it read.
        seconds: that it ran.
        covered: edges of our code that were reached.
        features: that were seen, counts of edges included.
        features_before: of them, those that the seeds reach.
        findings: files.
        problem: why it did not run to its end, other than for a finding.
    """

    name: str
    runs: int
    seconds: float
    covered: int
    features: int
    features_before: int
    findings: tuple[Path, ...]
    problem: str = ""


def folder_of(name: str) -> str:
    """A target's name as part of a path."""
    return name.replace(" ", "-")


def found_before(name: str) -> Iterator[Path]:
    """Findings that were mended."""
    yield from sorted((FOUND / folder_of(name)).glob("*"))


def run(name: str, seconds: int, *, corpus: Path) -> Outcome:
    """Fuzz one target in a process of its own."""
    findings = FINDINGS / folder_of(name)
    findings.mkdir(parents=True, exist_ok=True)
    before = {*findings.iterdir()}
    began = time.monotonic()
    command = [sys.executable, "-m", "tests.fuzz.campaign", "--worker", name, str(seconds), str(corpus), f"{findings}/"]
    told, problem = "", ""
    try:
        ended = subprocess.run(
            command,
            cwd=ROOT,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=seconds + STOP_AFTER_S,
            check=False,
        )
        told = ended.stderr
        if ended.returncode:
            problem = next(reversed(told.strip().splitlines()), f"exit code {ended.returncode}")
    except subprocess.TimeoutExpired:
        problem = "did not end"
    new = tuple(sorted({*findings.iterdir()} - before))
    for finding in new:
        finding.with_suffix(".txt").write_text(_describe(name, finding, told), encoding="utf-8")
    if not any(findings.iterdir()):
        findings.rmdir()
    lines = _PROGRESS.findall(told)
    inited = next((line for line in lines if line[1] == "INITED"), ("0", "", "0", "0"))
    last = lines[-1] if lines else inited
    executed = _EXECUTED.search(told)
    return Outcome(
        name=name,
        runs=int(executed[1] if executed else last[0]),
        seconds=time.monotonic() - began,
        covered=int(last[2]),
        features=int(last[3]),
        features_before=int(inited[3]),
        findings=new,
        problem="" if new else problem,
    )


def _describe(name: str, finding: Path, told: str) -> str:
    replay = f"scripts/fuzz --only '{name}' --replay {finding.relative_to(ROOT)}"
    after = f"Once it is mended: move it to tests/fuzz/found/{folder_of(name)}/, where the test suite reads it."
    traceback = told[-6_000:]
    return f"target: {name}\nreplay: {replay}\n{after}\n\n{traceback}"


def fuzz_one(name: str, seconds: int, corpus: Path, prefix: str) -> None:
    """Be the process of one target; does not return."""
    atheris = importlib.import_module("atheris")  # only in the environment of scripts/fuzz

    with atheris.instrument_imports(include=list(ROOMS)):
        from tests.fuzz.targets import TARGETS
    target = TARGETS[name]
    corpus.mkdir(parents=True, exist_ok=True)
    for raw in (*target.seeds(), *(path.read_bytes() for path in found_before(name))):
        (corpus / hashlib.sha256(raw).hexdigest()[:16]).write_bytes(raw)
    options = (
        f"-max_total_time={seconds}",
        f"-max_len={max(target.size_max, *(path.stat().st_size for path in corpus.iterdir()))}",
        f"-timeout={ONE_INPUT_S}",
        f"-rss_limit_mb={MEMORY_MIB}",
        f"-artifact_prefix={prefix}",
        "-print_final_stats=1",
    )
    atheris.Setup([sys.argv[0], *options, str(corpus)], lambda raw: bool(target.run(raw)) and None)
    atheris.Fuzz()


def replay(name: str, paths: Sequence[Path]) -> None:
    """Read files once; what they do is not caught."""
    from tests.fuzz.targets import TARGETS

    for path in paths:
        is_form = TARGETS[name].run(path.read_bytes())
        print(f"{path}: {'of the form' if is_form else 'refused'}")


def show(outcomes: Sequence[Outcome]) -> None:
    """Print the table."""
    table = Table("target", "runs", "runs/s", "edges", "features", "new", "findings")
    for each in outcomes:
        mark = "[green]0[/]" if not each.findings else f"[red]{len(each.findings)}[/]"
        table.add_row(
            each.name,
            f"{each.runs}",
            f"{each.runs / each.seconds:.0f}",
            f"{each.covered}",
            f"{each.features}",
            f"{each.features - each.features_before}",
            f"[red]{each.problem}[/]" if each.problem else mark,
        )
    Console(width=None if sys.stdout.isatty() else 120).print(table)
    runs, seconds = sum(each.runs for each in outcomes), sum(each.seconds for each in outcomes)
    findings = [finding for each in outcomes for finding in each.findings]
    print(f"{len(outcomes)} targets, {runs} runs in {seconds / 60:.0f} minutes, {len(findings)} findings")
    for finding in findings:
        print(f"{finding.relative_to(ROOT)}: how to replay it stands in the .txt beside it")


def main(arguments: Sequence[str]) -> int:
    """Run what was asked for; 1 if anything was found."""
    if arguments[:1] == ["--worker"]:
        _, name, seconds, corpus, prefix = arguments
        fuzz_one(name, int(seconds), Path(corpus), prefix)
        return 0
    from tests.fuzz.targets import TARGETS

    parser = argparse.ArgumentParser(prog="scripts/fuzz", description="Fuzz every parser of outside bytes.")
    parser.add_argument("--seconds", type=int, default=60, help="for each target")
    parser.add_argument("--only", nargs="+", metavar="NAME", choices=sorted(TARGETS), default=list(TARGETS))
    parser.add_argument(
        "--corpus", type=Path, help="folder to keep what reached new code; the next run goes on from it"
    )
    parser.add_argument("--list", action="store_true", help="name the targets")
    parser.add_argument(
        "--replay", nargs="+", type=Path, metavar="FILE", help="read files with the one target of --only"
    )
    given = parser.parse_args(arguments)
    if given.list:
        print("\n".join(TARGETS))
        return 0
    if given.replay:
        if len(given.only) != 1:
            parser.error("--replay goes with one target: --only NAME")
        replay(given.only[0], given.replay)
        return 0
    os.nice(10)
    outcomes = []
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        for name in given.only:
            print(f"{name} …", file=sys.stderr, flush=True)
            outcomes.append(run(name, given.seconds, corpus=(given.corpus or Path(folder)) / folder_of(name)))
    show(outcomes)
    return 1 if any(each.findings or each.problem for each in outcomes) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
