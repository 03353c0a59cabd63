"""Thresholds of training runs: what decades of operations that everybody sees prove, and what they leave open.

A band proves its lowest value and no more: one that begins at or above a threshold has reached it, one that merely
holds it is for inspectors. Everything here is arithmetic on integers and on what is public.
"""

from ledger.agreement import Runs
from ledger.rules.records.runs import Run
from ledger.statements.intoto import parse_quantity
from ledger.statements.runs import BAND_LEAST
from ledger.statements.verdicts import Reason


def compute_least_pflop(band: int) -> int:
    """The smallest number of PFLOP with this band.

    >>> compute_least_pflop(24), compute_least_pflop(15), compute_least_pflop(0)
    (1000000000, 1, 0)
    """
    return 10 ** (band - BAND_LEAST) if band else 0


def compute_most_pflop(band: int) -> int:
    """The largest number of PFLOP with this band.

    >>> compute_most_pflop(15), compute_most_pflop(0)
    (9, 0)
    """
    return 10 ** (band - BAND_LEAST + 1) - 1 if band else 0


def is_reached(band: int, threshold: int | str) -> bool:
    """Say whether a band alone proves that a threshold of the agreement, a quantity of PFLOP, was reached."""
    return compute_least_pflop(band) >= parse_quantity(threshold, field="threshold")


def _may_reach(band: int, threshold: int | str) -> bool:
    return compute_most_pflop(band) >= parse_quantity(threshold, field="threshold")


def compute_breaches(terms: Runs, run: Run) -> list[Reason]:
    """What the public figures of a run that is under way prove against it.

    A run counts with the higher of its estimate and what it has done, base models included. Post-training counts at all
    only once its own operations reach `post_training_declare_pflop`.
    """
    own = max(run.run_band, run.estimate_run_band)
    total = max(run.band, run.estimate_band)
    is_post_training = run.kind == "post-training"
    reasons = [Reason.RUN_OVER_CAP] if run.run_band > run.cap_band else []
    if is_post_training and not is_reached(own, terms.post_training_declare_pflop):
        return reasons
    if not run.is_declared and (is_post_training or is_reached(total, terms.declare_pflop)):
        reasons.append(Reason.RUN_UNDECLARED)
    if not run.is_approved and is_reached(total, terms.approve_pflop):
        reasons.append(Reason.RUN_UNAPPROVED)
    if terms.prohibit_pflop is not None and is_reached(total, terms.prohibit_pflop):
        reasons.append(Reason.RUN_PROHIBITED)
    return reasons


def may_need_approval(terms: Runs, run: Run) -> bool:
    """Say whether a declared run, as far as its bands show, may be one that has to be approved."""
    if run.kind == "post-training" and not _may_reach(run.estimate_run_band, terms.post_training_declare_pflop):
        return False
    return _may_reach(run.estimate_band, terms.approve_pflop)
