"""Why a node ended: of all that went wrong at once, what an operator must mend."""

from ledger.errors import LedgerError


def first_of(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return the first error in a group that says what an operator must mend, else the first."""
    leaves: list[BaseException] = []
    waiting: list[BaseException] = [group]
    while waiting:
        error = waiting.pop(0)
        if isinstance(error, BaseExceptionGroup):
            waiting = [*error.exceptions, *waiting]
        else:
            leaves.append(error)
    return next((error for error in leaves if isinstance(error, LedgerError)), leaves[0])
