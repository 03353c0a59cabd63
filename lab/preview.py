"""What a person is shown of a statement before it is signed: all that becomes public, and what stays hidden."""

import json
from collections.abc import Iterator, Mapping
from typing import Final

import msgspec
from rich.console import Console

from lab.display import View, make_cells, make_table
from lab.parts import read_said
from lab.preparing import Prepared
from lab.stored import Opening
from ledger.disclosure import compute_digest, parse_disclosure

_HEADER: Final = ("ledger", "issuer", "sequence", "previous", "issued_at")
"""What every statement has: shown once it has its place."""

_NAMES: Final = ("cluster", "run", "nation")
"""What tells the items of a list apart."""


def view_prepared(prepared: Prepared, *, with_hidden: bool) -> View:
    """A statement as it was prepared; hidden values only if asked for."""
    said = read_said(prepared.encode(prepared.statement))
    public = msgspec.to_builtins(prepared.statement)
    return {
        "kind": said.kind,
        "name": said.name,
        "public": {name: value for name, value in public.items() if name not in _HEADER},
        "hidden": {opening.part: _view_opening(opening, with_hidden=with_hidden) for opening in prepared.openings},
        "findings": [str(finding) for finding in prepared.findings],
        "notes": list(prepared.notes),
    }


def show_prepared(console: Console, prepared: Prepared) -> None:
    """Show what everybody will see, and what stays here."""
    said = read_said(prepared.encode(prepared.statement))
    public = make_table(f"{said.kind} {said.name}: PUBLIC", ["field", "what everybody sees"])
    builtins = msgspec.to_builtins(prepared.statement)
    for name, value in builtins.items():
        if name not in _HEADER and (name, value) != ("corrects", None):
            for path, text in _flatten(name, value):
                public.add_row(*make_cells(path, text))
    console.print(public)
    if not any(opening.disclosures or opening.chips for opening in prepared.openings):
        return
    hidden = make_table(
        f"{said.kind} {said.name}: HIDDEN, only the digest is public", ["field", "value, which stays here", "digest"]
    )
    for opening in prepared.openings:
        for name, text in opening.disclosures.items():
            value = json.dumps(parse_disclosure(text).value, separators=(", ", ": "), ensure_ascii=False)
            hidden.add_row(*make_cells(_join(opening.part, name), value, compute_digest(text)))
        if opening.chips:
            hidden.add_row(*make_cells(_join(opening.part, "chips"), _list_chips(opening), "under the root"))
    console.print(hidden)


def _view_opening(opening: Opening, *, with_hidden: bool) -> View:
    view: View = {
        name: {"digest": compute_digest(text)} | ({"value": parse_disclosure(text).value} if with_hidden else {})
        for name, text in opening.disclosures.items()
    }
    if opening.chips:
        view["chips"] = {"count": len(opening.chips)}
    return view


def _flatten(path: str, value: object) -> Iterator[tuple[str, str]]:
    """Give a line for every value, and one for many digests."""
    if path.rpartition(".")[2] == "digests" and isinstance(value, list | tuple):
        yield path, f"{len(value)}, of fields and decoys"
    elif isinstance(value, Mapping):
        for name, item in value.items():
            yield from _flatten(f"{path}.{name}", item)
    elif isinstance(value, list | tuple) and any(isinstance(item, Mapping) for item in value):
        for number, item in enumerate(value):
            name = next((str(item[key]) for key in _NAMES if isinstance(item, Mapping) and key in item), str(number))
            yield from _flatten(f"{path}.{name}", item)
    elif isinstance(value, list | tuple):
        yield path, ", ".join(str(item) for item in value) or "none"
    else:
        yield path, "none" if value is None else str(value)


def _list_chips(opening: Opening) -> str:
    first, last, count = opening.chips[0], opening.chips[-1], len(opening.chips)
    return first.serial if count == 1 else f"{count}: {first.serial} … {last.serial}"


def _join(part: str, name: str) -> str:
    return f"{part}.{name}" if part else name
