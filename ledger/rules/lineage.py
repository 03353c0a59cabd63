"""Lineage: the base model a run begins with, and that the run's public figures hold what is in it.

1. Without a base model, what is in the model is what the run has done: `band` is `run_band`.
2. A base model that is on this ledger is named by the entry that opened its run, so that a run which was opened later
   under the same id is another. One that is not on it is named without, and is the lab's word alone.
3. When the run starts, the base model's run has done something.
4. `band` is at least the base model's, and at most what both can come to together: one decade above the higher. What
   counts is the base model as it stands when the run is declared, again when it starts, and never after that: the
   weights were taken by then.
"""

from ledger.errors import Code, Rejection, reject
from ledger.rules.records.runs import Run, find_run
from ledger.rules.state import State
from ledger.statements.runs import BaseModel, TrainingRun

_FIELD = "statement.predicate"


def check_lineage(state: State, said: TrainingRun, before: Run | None, *, has_begun: bool) -> Rejection | None:
    """Check what a statement says of the base model.

    Args:
        state: before it.
        said: the statement; its base model is the one that the run was opened with.
        before: the run before it; None if this opens it.
        has_begun: whether the run had started before.
    """
    named = said.base_model
    if named is None:
        if said.band == said.run_band:
            return None
        return _reject("band", said.band, f"{said.run_band}, the run's own, or a base model that holds the rest")
    if before is not None and has_begun:
        return None if named.leaf is None else _check_sum(said, least=before.base_band, most=before.base_band)
    base = find_run(state, named.lab, named.run)
    if base is None or named.leaf != base.leaf.hex():
        return _check_absence(said, named, base, is_opening=before is None)
    if said.state == "started" and base.band == 0:
        return _reject("base_model.run", f"{named.run}, without operations", "a run that has trained a model")
    most = max(base.band, base.estimate_band) if said.state == "declared" else base.band
    return _check_sum(said, least=base.band, most=most)


def _check_absence(said: TrainingRun, named: BaseModel, base: Run | None, *, is_opening: bool) -> Rejection | None:
    """Rule 2, for a base model that is not the run on this ledger."""
    if is_opening and (named.lab, named.run) == (said.issuer, said.run):
        return _reject("base_model.run", named.run, "another run than this")
    if named.leaf is None and (base is None or not is_opening):
        return None
    expected = "null: no such run is on this ledger" if base is None else base.leaf.hex()
    return _reject("base_model.leaf", named.leaf, expected)


def _check_sum(said: TrainingRun, *, least: int, most: int) -> Rejection | None:
    """Rule 4; the base model's band is from `least` to `most`."""
    highest = max(most, said.run_band) + 1
    if least <= said.band <= highest:
        return None
    return _reject("band", said.band, f"from {least}, the base model's, to {highest}, what both can come to")


def _reject(name: str, found: object, expected: str) -> Rejection:
    return reject(Code.LINEAGE, field=f"{_FIELD}.{name}", found=found, expected=expected)
