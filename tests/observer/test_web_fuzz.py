"""The page's API fuzzed from its own description: no answer that it does not have, and no mistake of ours."""

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings

from observer.web.openapi import describe_api
from tests.observer.fakeledger import copy_of
from tests.observer.webstory import Site, tell_story

_PATHS = describe_api()["paths"]
CASES = [(path, True) for path in sorted(_PATHS)] + [
    (path, False) for path in sorted(_PATHS) if _PATHS[path]["get"]["parameters"]
]
EXAMPLES = {True: 8, False: 4}
RELATED = ("first", "from")
"""Parameters that are refused beside another value of a second one, which no description of parameters can say."""


@pytest.fixture(scope="module")
def described(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:  # a class that the package does not name
    import schemathesis  # takes seconds, which whoever collects tests need not wait for

    with Site(copy_of(tell_story(), tmp_path_factory.mktemp("page") / "copy"), hosts=None) as site:
        yield schemathesis.openapi.from_asgi("/api/v1/openapi.json", site.app)


@pytest.mark.parametrize(("path", "is_well_formed"), CASES)
def test_whatever_is_asked_is_answered_as_described(described: Any, path: str, is_well_formed: bool) -> None:
    from schemathesis import GenerationMode
    from schemathesis.specs.openapi.checks import positive_data_acceptance

    operation = described[path]["GET"]
    mode = GenerationMode.POSITIVE if is_well_formed else GenerationMode.NEGATIVE
    names = [each["name"] for each in _PATHS[path]["get"]["parameters"]]
    excluded = [positive_data_acceptance] if {*RELATED} & {*names} else []

    @given(case=operation.as_strategy(generation_mode=mode))
    @settings(max_examples=EXAMPLES[is_well_formed], derandomize=True, database=None)
    def ask(case: Any) -> None:  # a generic class whose parameter is nowhere said
        case.call_and_validate(excluded_checks=excluded)

    ask()
