"""Factors between the units of a report, and the one way to divide them."""

from typing import Final

GFLOP_PER_PFLOP: Final = 10**6
JOULES_PER_WH: Final = 3600


def divide_up(number: int, by: int) -> int:
    """Divide and round up; both not negative.

    >>> divide_up(6, 3), divide_up(7, 3)
    (2, 3)
    """
    return -(-number // by)
