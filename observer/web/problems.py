"""Problems: our errors as HTTP has them (RFC 9457), and whose fault each is."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import msgspec

from ledger.errors import Code, ConditionError, LedgerError
from observer.web.answers.words import Problem

_URN: Final = "urn:counterseal:problem:"
_STATUSES: Final[Mapping[Code, int]] = {
    Code.NOT_FOUND: 404,
    Code.NOT_READY: 503,
    Code.TOO_MANY_STREAMS: 503,
    Code.DISK_FULL: 503,
    Code.CONFIG: 503,
    Code.TOO_LARGE: 400,
}
"""Of a `ConditionError`: nothing is wrong with the copy. `CONFIG` is what a disk says that is locked."""

RETRY_S: Final = 1


@dataclass(frozen=True, slots=True)
class Refusal:
    """A problem ready to be sent."""

    status: int
    raw: bytes


def describe_asked(error: LedgerError) -> Refusal:
    """Say what is wrong with what was asked."""
    return _describe(400, error)


def describe_failed(error: LedgerError, *, place: str = "") -> Refusal:
    """Say why what was well asked cannot be answered: it is not there, not yet, or the copy is damaged.

    Args:
        error: that says so.
        place: path on this machine that is left out wherever it stands.
    """
    status = _STATUSES.get(error.code, 500) if isinstance(error, ConditionError) else 500
    return _describe(status, error, place=place)


def describe_status(status: int, *, field: str, found: str, expected: str, code: Code) -> Refusal:
    """Say what is wrong in the terms of HTTP."""
    return _describe(status, ConditionError(field=field, found=found, expected=expected, code=code))


def describe_mistake(error: Exception) -> Refusal:
    """Say that we made a mistake, which no code stands for: only its type, since its text may be anything."""
    problem = Problem(
        type="about:blank",
        title="A mistake of ours; please report it.",
        status=500,
        detail=f"page: found {type(error).__name__}; expected no mistake of ours [INTERNAL]",
        code="INTERNAL",
        field="page",
        found=type(error).__name__,
        expected="no mistake of ours",
    )
    return Refusal(500, msgspec.json.encode(problem))


def _describe(status: int, error: LedgerError, *, place: str = "") -> Refusal:
    detail, field, found, expected = (
        text.replace(place, "") if place else text for text in (str(error), error.field, error.found, error.expected)
    )
    problem = Problem(
        type=_URN + error.code.value,
        title=error.code.summary,
        status=status,
        detail=detail,
        code=error.code.value,
        field=field,
        found=found,
        expected=expected,
    )
    return Refusal(status, msgspec.json.encode(problem))
