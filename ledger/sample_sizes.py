"""How many units an inspection must look at, exactly, and how sure a sample makes: draws without replacement.

Of `population` units `bad_count` are bad: absent, swapped, misused. A sample of n drawn without replacement has X bad
ones, and

    P(X < hits) = sum over j < hits of C(bad, j) · C(population - bad, n - j) / C(population, n)

The confidence is 1 - P(X < hits). It falls with neither n nor the number of bad units, so the size is found by doubling
and halving. The distribution is the same with n and bad exchanged, so the smaller of the two is what is chosen from:
where the answer lies, their product is about population · ln(1 / (1 - confidence)), and the numbers stay small.

Everything is compared as products of integers; there is no floating point. What the figures assume: every bad unit that
is drawn is recognised as bad, and bad units stay bad. If only a share of them is recognised, pass that share of them as
`bad_count`. A unit on no list has no chance of being drawn: nothing here speaks of it.

Source: the hypergeometric distribution.
"""

from math import comb
from typing import Final

from ledger.errors import FormatError
from ledger.limits import SAMPLE_DRAWS_MAX, SAMPLE_HITS_MAX, SAMPLE_POPULATION_MAX

_PERMILLE: Final = 1000
_CHOSEN_AT_FIRST: Final = 4096


def compute_sample_size(
    *, population: int, bad_count: int, confidence_permille: int, hits: int = 1, draws: int = 1
) -> int:
    """Compute the smallest sample that has at least `hits` bad units with at least this confidence.

    Of several `draws`, each a sample of this size from all units again, at least one has them with this confidence. In
    a small population that takes more than its part of one large sample each, since units are drawn more than once.

    Args:
        population: how many units there are, up to `SAMPLE_POPULATION_MAX`.
        bad_count: how many of them are bad, from `hits` on: fewer are not found by any sample.
        confidence_permille: from 0 to 1000, which is certainty.
        hits: how many bad units the sample must have; more than 1 against false alarms.
        draws: how many samples are drawn, up to `SAMPLE_DRAWS_MAX`.

    Raises:
        FormatError: a number out of these bounds.

    >>> compute_sample_size(population=10_000, bad_count=100, confidence_permille=950)
    294
    >>> compute_sample_size(population=10_000, bad_count=100, confidence_permille=950, draws=24)
    13
    """
    _require_question(population=population, bad_count=bad_count, hits=hits, hits_max=bad_count)
    if not 0 <= confidence_permille <= _PERMILLE:
        raise FormatError(field="sample.confidence_permille", found=confidence_permille, expected="from 0 to 1000")
    if not 1 <= draws <= SAMPLE_DRAWS_MAX:
        raise FormatError(field="sample.draws", found=draws, expected=f"from 1 to {SAMPLE_DRAWS_MAX}")
    if confidence_permille == 0:
        return 0

    def is_enough(size: int) -> bool:
        chosen, larger = sorted((bad_count, size))
        miss, ways = _count_misses(population, larger, chosen, hits=hits)
        missed: int = miss**draws
        drawn: int = ways**draws
        return missed * _PERMILLE <= miss_permille * drawn

    miss_permille = _PERMILLE - confidence_permille
    certain = population - bad_count + hits  # after all good units only bad ones are left
    too_small, size = 0, hits
    while size < certain and not is_enough(size):
        too_small, size = size, 2 * size
    size = min(size, certain)
    while too_small + 1 < size:
        middle = (too_small + size) // 2
        if is_enough(middle):
            size = middle
        else:
            too_small = middle
    return size


def compute_confidence_permille(*, population: int, bad_count: int, sample_size: int, hits: int = 1) -> int:
    """Compute how sure a sample makes of at least `hits` bad units, in permille, rounded down.

    1000 is given only for certainty.

    Args:
        population: how many units there are, up to `SAMPLE_POPULATION_MAX`.
        bad_count: how many of them are bad.
        sample_size: how many are looked at.
        hits: how many bad units the sample must have.

    Raises:
        FormatError: a number out of these bounds.

    >>> compute_confidence_permille(population=10_000, bad_count=100, sample_size=294)
    950
    """
    _require_question(population=population, bad_count=bad_count, hits=hits, hits_max=population)
    if not 0 <= sample_size <= population:
        raise FormatError(field="sample.size", found=sample_size, expected=f"from 0 to {population}")
    if bad_count + sample_size - population >= hits:
        return _PERMILLE
    smaller, larger = sorted((bad_count, sample_size))
    chosen = min(smaller, _CHOSEN_AT_FIRST)
    while True:  # fewer units make less sure: if they suffice for all but certainty, so do all of them
        miss, ways = _count_misses(population, larger, chosen, hits=hits)
        permille = (ways - miss) * _PERMILLE // ways
        if chosen == smaller or permille == _PERMILLE - 1:
            return permille
        chosen = min(2 * chosen, smaller)


def _count_misses(population: int, marked: int, chosen: int, *, hits: int) -> tuple[int, int]:
    """Count the ways to choose with fewer than `hits` marked ones among them, and all ways.

    Each term follows from the one before: one more marked unit, one fewer of the others.
    """
    others = population - marked
    fewest = max(0, chosen - others)
    assert fewest < hits, "nothing can be missed"
    miss = ways = comb(marked, fewest) * comb(others, chosen - fewest)
    for j in range(fewest, hits - 1):
        ways = ways * (marked - j) * (chosen - j) // ((j + 1) * (others - chosen + j + 1))
        miss += ways
    return miss, comb(population, chosen)


def _require_question(*, population: int, bad_count: int, hits: int, hits_max: int) -> None:
    if not 1 <= population <= SAMPLE_POPULATION_MAX:
        raise FormatError(
            field="sample.population", found=population, expected=f"from 1 to {SAMPLE_POPULATION_MAX} units"
        )
    if not 0 <= bad_count <= population:
        raise FormatError(field="sample.bad_count", found=bad_count, expected=f"from 0 to {population}")
    if not 1 <= hits <= min(hits_max, SAMPLE_HITS_MAX):
        expected = f"from 1 to {min(hits_max, SAMPLE_HITS_MAX)}: no sample has more bad units than there are"
        raise FormatError(field="sample.hits", found=hits, expected=expected)
