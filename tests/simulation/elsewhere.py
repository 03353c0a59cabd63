"""A run in processes of their own, one for each order of hash tables."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent


def run_under_two_hash_seeds(level: str, plan: str) -> list[str]:
    """Give the digests of the traces of one run.

    Args:
        level: module and class, such as `cores.level.Cores`.
        plan: an expression over `draw_plan`.
    """
    module, _, name = level.rpartition(".")
    program = (
        "from tests.simulation.plan import draw_plan;"
        "from tests.simulation.simulation import Simulation;"
        f"from tests.simulation.{module} import {name};"
        f"print(Simulation({plan}, {name}()).run().trace)"
    )
    return [
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(ROOT)},
            cwd=ROOT,
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for hash_seed in ("1", "2")
    ]
