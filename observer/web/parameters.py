"""Parameters of the page's API: what each may be, read strictly, and described in the OpenAPI description.

A parameter that is not known, comes twice, is spelled in another way than its own or lies beyond its bounds is refused:
nothing is guessed. So every request has one spelling but for the order of its parameters.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from ledger.encoding import decode_decimal
from ledger.errors import Code, ConditionError, FormatError
from ledger.limits import IDENTIFIER_CHARACTERS_MAX, INTERVAL_MAX, PAUSE_ID_CHARACTERS_MAX, SIZE_MAX

IDENTIFIER: Final = rf"[a-z0-9-]{{1,{IDENTIFIER_CHARACTERS_MAX}}}"
QUERY_CHARACTERS_MAX: Final = 2_048

assert PAUSE_ID_CHARACTERS_MAX <= IDENTIFIER_CHARACTERS_MAX


@dataclass(frozen=True, slots=True, kw_only=True)
class Number:
    """A whole number in decimal, without sign or leading zeros.

    Attributes:
        name: of the parameter.
        summary: what it says.
        minimum: the least it may be.
        maximum: the most.
        default: what it is where it is not given; None where that makes a difference of its own.
    """

    name: str
    summary: str
    minimum: int = 0
    maximum: int = SIZE_MAX
    default: int | None = None

    def parse(self, text: str) -> int:
        """Read it.

        Raises:
            FormatError: another spelling, or out of its bounds.
        """
        number = decode_decimal(text, field=self.name, maximum=self.maximum)
        if number < self.minimum:
            raise FormatError(field=self.name, found=text, expected=f"from {self.minimum} to {self.maximum}")
        return number

    def describe(self) -> dict[str, Any]:
        """Give its JSON Schema; Any because its values are of several types."""
        schema: dict[str, Any] = {"type": "integer", "minimum": self.minimum, "maximum": self.maximum}
        return schema if self.default is None else schema | {"default": self.default}


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """A text of a narrow form.

    Attributes:
        name: of the parameter.
        summary: what it says.
        pattern: of the whole of it, as both Python and ECMA-262 read it.
        characters_max: the longest it may be.
        is_required: whether it must be given.
    """

    name: str
    summary: str
    pattern: str = IDENTIFIER
    characters_max: int = IDENTIFIER_CHARACTERS_MAX
    is_required: bool = False

    def parse(self, text: str) -> str:
        """Read it.

        Raises:
            FormatError: another form, or too long.
        """
        if len(text) > self.characters_max or not re.fullmatch(self.pattern, text, re.ASCII | re.DOTALL):
            raise FormatError(field=self.name, found=text, expected=f"{self.summary} ({self.pattern})")
        return text

    def describe(self) -> dict[str, Any]:
        """Give its JSON Schema; Any because its values are of several types."""
        return {"type": "string", "pattern": f"^{self.pattern}$", "maxLength": self.characters_max}


Parameter = Number | Word


class Asked:
    """The parameters of one request, read; what was not given has its default."""

    def __init__(self, values: Mapping[str, int | str | None]) -> None:
        self._values = values

    def number(self, name: str) -> int:
        """Give a number that is always there."""
        value = self._values[name]
        assert isinstance(value, int)
        return value

    def number_or_none(self, name: str) -> int | None:
        """Give a number that may have been left out."""
        value = self._values[name]
        assert not isinstance(value, str)
        return value

    def word(self, name: str) -> str:
        """Give a text that is always there."""
        value = self._values[name]
        assert isinstance(value, str)
        return value

    def word_or_none(self, name: str) -> str | None:
        """Give a text that may have been left out."""
        value = self._values[name]
        assert not isinstance(value, int)
        return value


def parse_parameters(
    in_path: Sequence[Parameter],
    in_query: Sequence[Parameter],
    path_values: Mapping[str, str],
    query: Sequence[tuple[str, str]],
) -> Asked:
    """Read the parameters of a request.

    Args:
        in_path: those that the route has in its path.
        in_query: those that it takes behind the question mark.
        path_values: as they came.
        query: as they came.

    Raises:
        FormatError: an unknown parameter, one given twice, or one that is not of its form.
        ConditionError: `CONFIG`: one that must be given is missing.
    """
    values: dict[str, int | str | None] = {each.name: each.parse(path_values[each.name]) for each in in_path}
    known = {each.name: each for each in in_query}
    given = [name for name, _ in query]
    for name, text in query:
        if name not in known or given.count(name) > 1:
            expected = f"each once, of: {', '.join(known) or 'none'}"
            raise FormatError(field="query", found=name, expected=expected)
        values[name] = known[name].parse(text)
    for each in in_query:
        if each.name not in values:
            if isinstance(each, Word) and each.is_required:
                raise ConditionError(field=each.name, found="nothing", expected=each.summary, code=Code.CONFIG)
            values[each.name] = each.default if isinstance(each, Number) else None
    return Asked(values)


LAB: Final = Word(name="lab", summary="id of a lab")
NATION: Final = Word(name="nation", summary="id of a nation")
CLUSTER: Final = Word(name="cluster", summary="id of a cluster")
INDEX: Final = Number(name="index", summary="an entry's index, from 0")
HEIGHT: Final = Number(name="height", summary="a block's height, from 0")
INTERVAL: Final = Number(name="interval", summary="number of an interval on the charter's grid", maximum=INTERVAL_MAX)
FIRST: Final = Number(name="first", summary="the first interval", maximum=INTERVAL_MAX)
LAST: Final = Number(name="last", summary="the last interval", maximum=INTERVAL_MAX)
BEFORE: Final = Number(name="before", summary="only what stands before this index; as a page's `before` says")
