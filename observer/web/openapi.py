r"""The API's description as OpenAPI 3.1, made from the table of routes and the types of the answers.

What types and docstrings say is said here, in one place less to go wrong: descriptions of fields are those of the
docstrings' `Attributes`.
Source: OpenAPI 3.1.1; JSON Schema draft 2020-12, whose patterns are ECMA-262, which has no `\A` and `\Z`.
"""

import inspect
import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from observer.web.answers.words import Answer, Problem, Status
from observer.web.api import JSON_TYPE, PREFIX, ROUTES, STATUS, STATUS_SUMMARY, Page, Route
from observer.web.parameters import Number, Parameter

VERSION: Final = "3.1.1"
API_VERSION: Final = "1"
PROBLEM_TYPE: Final = "application/problem+json"
DESCRIPTION: Final = "openapi.json"
_REFERENCE: Final = "#/components/schemas/{name}"
_ATTRIBUTE: Final = re.compile(r"^    (\w+): (.*(?:\n        .*)*)", re.MULTILINE)
_REFUSALS: Final = {
    "400": "A parameter is not of its form, unknown, given twice, or asks for too much",
    "404": "There is no such thing",
    "500": "What is on disk is not what was written; or a mistake of ours",
    "503": "The copy is being read, or too many ask; `Retry-After` says when to ask again",
}


def encode_description() -> bytes:
    """Write the description as JSON."""
    return msgspec.json.encode(describe_api())


def describe_api() -> dict[str, Any]:
    """Give the description; Any because values of a JSON object are of several types."""
    answers: list[type[Answer]] = [route.answer for route in ROUTES if isinstance(route, Page)]
    types: list[type[Answer]] = [*answers, Status, Problem]
    _, components = msgspec.json.schema_components(types, ref_template=_REFERENCE)
    paths: dict[str, Any] = {f"{PREFIX}{route.path}": {"get": _describe_route(route)} for route in ROUTES}
    paths[f"{PREFIX}{STATUS}"] = {"get": _describe_operation(STATUS, STATUS_SUMMARY, (), _describe_json(Status))}
    paths[f"{PREFIX}{DESCRIPTION}"] = {
        "get": _describe_operation(
            "openapi", "This description", (), {JSON_TYPE: {"schema": {"type": "object", "required": ["openapi"]}}}
        )
    }
    return {
        "openapi": VERSION,
        "info": {
            "title": "Counterseal, as one observer's copy has it",
            "version": API_VERSION,
            "description": inspect.cleandoc(inspect.getdoc(inspect.getmodule(Answer)) or ""),
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "components": {"schemas": {name: _translate(schema) for name, schema in components.items()}},
    }


def _describe_route(route: Route) -> dict[str, Any]:
    if isinstance(route, Page):
        parameters = (*((each, "path") for each in route.in_path), *((each, "query") for each in route.in_query))
        return _describe_operation(route.name, route.summary, parameters, _describe_json(route.answer))
    content = {route.media_type.partition(";")[0]: {"schema": {"type": "string"}}}
    if route.media_type == JSON_TYPE:
        content = {JSON_TYPE: {"schema": {"type": "object"}}}
    return _describe_operation(route.name, route.summary, tuple((each, "path") for each in route.in_path), content)


def _describe_json(answer: type[Answer]) -> dict[str, Any]:
    return {JSON_TYPE: {"schema": {"$ref": _REFERENCE.format(name=answer.__name__)}}}


def _describe_operation(
    name: str, summary: str, parameters: tuple[tuple[Parameter, str], ...], content: Mapping[str, Any]
) -> dict[str, Any]:
    problem = {PROBLEM_TYPE: {"schema": {"$ref": _REFERENCE.format(name=Problem.__name__)}}}
    answered: dict[str, Any] = {"200": {"description": summary, "content": dict(content)}}
    answered["304"] = {"description": "Unchanged since the answer whose `ETag` was sent as `If-None-Match`"}
    answered |= {status: {"description": said, "content": problem} for status, said in _REFUSALS.items()}
    return {
        "operationId": name,
        "summary": summary,
        "parameters": [_describe_parameter(parameter, place) for parameter, place in parameters],
        "responses": answered,
    }


def _describe_parameter(parameter: Parameter, place: str) -> dict[str, Any]:
    return {
        "name": parameter.name,
        "in": place,
        "description": parameter.summary,
        "required": place == "path" or (not isinstance(parameter, Number) and parameter.is_required),
        "schema": parameter.describe(),
    }


def _translate(schema: Any) -> Any:  # Any: any JSON value
    """Say Python's patterns in those of ECMA-262, and give each field its own part of the docstring."""
    if isinstance(schema, list):
        return [_translate(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    translated = {name: _translate(value) for name, value in schema.items()}
    pattern, text = schema.get("pattern"), schema.get("description")
    if isinstance(pattern, str):
        translated["pattern"] = pattern.replace(r"\A", "^").replace(r"\Z", "$")
    if isinstance(text, str) and "properties" in schema:
        said, _, attributes = inspect.cleandoc(text).partition("\nAttributes:\n")
        translated["description"] = said.strip()
        for name, meaning in _ATTRIBUTE.findall(attributes):
            if name in translated["properties"]:
                field = dict(translated["properties"][name])
                translated["properties"][name] = field | {"description": " ".join(meaning.split())}
    return translated
