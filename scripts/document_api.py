"""Write the description of the page's API as a document for people."""

import re
from collections.abc import Iterator
from typing import Any, Final

from observer.web.api import PREFIX
from observer.web.openapi import DESCRIPTION, describe_api

INTRODUCTION: Final = f"""# The page's API

`counterseal observe serve` answers programs too, read-only, from your own verified copy
([observers.md](observers.md#look-at-it-in-a-browser)). All paths are below `{PREFIX[1:]}` of its address. The same as
OpenAPI 3.1, for tools: `{DESCRIPTION}`. Only GET and HEAD; no key, no account, no cookie.

- Times are Unix milliseconds of ledger time (`_ms`), or seconds where a format has them (`_s`). Nothing is a float.
- Hashes, keys, seals and digests are lower-case hex. What a reader hashes or checks itself is base64 with padding
  (`_base64`), exactly as it stands on the ledger. Amounts that may exceed 2**53 are decimal strings (`_gflops`).
- Every answer but those about the server has `head`, the sealed block it was read at. Answers of one head belong
  together. `ETag` and `If-None-Match` save what you have.
- Text that parties wrote may hold anything, markup too: show it as text.
- A state is never shown without its assurance level, and verdicts never without `caveat`.
- A parameter that is not known, comes twice, or is not in its own spelling or bounds is refused. Errors are problems of
  RFC 9457 with the [code](errors.md), the field, what was found and what would be right. While the copy is being read
  the answer is 503 with `Retry-After`; if it is not what was written, it is 500 and the code says why.

Files of the ledger itself, as a node publishes them, are below `ledger/` of the address ([formats.md](formats.md)).
"""
_NAME: Final = re.compile(r"#/components/schemas/(\w+)")


def encode_document(notice: str) -> str:
    """Write the whole document."""
    description = describe_api()
    lines = [notice, INTRODUCTION, "## Requests", ""]
    for path, operations in description["paths"].items():
        lines += _describe_request(path, operations["get"])
    lines += ["", "## Answers", ""]
    for name, schema in sorted(description["components"]["schemas"].items()):
        lines += _describe_answer(name, schema)
    return "\n".join(lines).rstrip("\n") + "\n"


def _describe_request(path: str, operation: dict[str, Any]) -> Iterator[str]:  # JSON values are of several types
    content = operation["responses"]["200"]["content"]
    ((media_type, body),) = content.items()
    found = _NAME.search(str(body))
    answer = f"[{found[1]}](#{found[1].lower()})" if found else f"`{media_type}`"
    yield f"### GET {path.removeprefix(PREFIX)}"
    yield ""
    yield f"{operation['summary']}. Answer: {answer}."
    yield ""
    for parameter in operation["parameters"]:
        schema = parameter["schema"]
        bounds = f"{schema['minimum']} to {schema['maximum']}" if "minimum" in schema else f"`{schema['pattern']}`"
        default = f", default {schema['default']}" if "default" in schema else ""
        required = " (must be given)" if parameter["required"] and parameter["in"] == "query" else ""
        yield f"- `{parameter['name']}`{required}: {parameter['description']}; {bounds}{default}"
    if operation["parameters"]:
        yield ""


def _describe_answer(name: str, schema: dict[str, Any]) -> Iterator[str]:  # the same
    yield f"### {name}"
    yield ""
    yield schema["description"]
    yield ""
    for field, value in schema["properties"].items():
        said = f": {value['description']}" if "description" in value else ""
        yield f"- `{field}`, {_describe_type(value)}{said}"
    yield ""


def _describe_type(schema: dict[str, Any]) -> str:  # the same
    if "$ref" in schema:
        name = _NAME.fullmatch(schema["$ref"])
        assert name is not None
        return f"[{name[1]}](#{name[1].lower()})"
    if "anyOf" in schema:
        return " or ".join(_describe_type(each) for each in schema["anyOf"])
    if "enum" in schema:
        return " or ".join(f"`{value}`" if value is not None else "null" for value in schema["enum"])
    if schema.get("type") == "array":
        return f"list of {_describe_type(schema['items'])}" if "items" in schema else "list"
    return str(schema.get("type", "any JSON value"))
