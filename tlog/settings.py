"""Settings of a program that runs for long: one TOML file, every setting typed, with unit and bounds, nothing unknown.

Each section is a dataclass; each field is declared once (`number`, `switch`, `choice`, `setting`) with its default,
unit, bounds and meaning, and from that one declaration come the reader, its refusals and the commented file that people
edit. Relative paths are relative to the folder of the file. Secrets never stand in such a file.
Source of the format: TOML 1.0.
"""

import dataclasses
import difflib
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from ledger.errors import Code, ConditionError, shorten
from ledger.limits import MIB
from tlog.addresses import Address, parse_address

CONFIG_BYTES_MAX: Final = MIB

# Why Any: what tomllib gives is text, numbers, booleans, lists and tables; the readers below are what types them.
Reader = Callable[[Any, str, Path], Any]


def fail(field: str, found: object, expected: str) -> ConditionError:
    """Make the refusal of a setting."""
    return ConditionError(field=field, found=found, expected=expected, code=Code.CONFIG)


def read_text(found: Any, field: str) -> str:
    """Take text."""
    if not isinstance(found, str):
        raise fail(field, found, "text in quotes")
    return found


def read_address(found: Any, field: str, folder: Path) -> Address:
    """Take `host:port`."""
    del folder
    return parse_address(read_text(found, field), field=field)


def read_path(found: Any, field: str, folder: Path) -> Path:
    """Take a path, relative to the folder of the file."""
    text = read_text(found, field)
    if not text or "\0" in text:
        raise fail(field, text, "a path")
    return folder / Path(text).expanduser()


def read_optional_path(found: Any, field: str, folder: Path) -> Path | None:
    """Take a path, or none where the text is empty."""
    return None if found == "" else read_path(found, field, folder)


def setting(default: Any, doc: str, read: Reader, *, unit: str = "") -> Any:
    """Declare a setting; returns what `dataclasses.field` does, which is typed by the attribute's own annotation."""
    return dataclasses.field(metadata={"default": default, "doc": doc, "read": read, "unit": unit})


def number(default: int, doc: str, *, unit: str, minimum: int, maximum: int) -> Any:
    """Declare a whole number."""
    assert minimum <= default <= maximum

    def read(found: Any, field: str, folder: Path) -> int:
        del folder
        if type(found) is not int or not minimum <= found <= maximum:
            raise fail(field, found, f"a whole number of {unit} from {minimum} to {maximum}")
        return found

    return setting(default, doc, read, unit=f"{unit}, from {minimum} to {maximum}")


def switch(default: bool, doc: str) -> Any:  # noqa: FBT001  # it is what it declares
    """Declare a yes or no."""

    def read(found: Any, field: str, folder: Path) -> bool:
        del folder
        if type(found) is not bool:
            raise fail(field, found, "true or false")
        return found

    return setting(default, doc, read, unit="true or false")


def choice(default: str, doc: str, choices: tuple[str, ...]) -> Any:
    """Declare one of a few words."""
    assert default in choices

    def read(found: Any, field: str, folder: Path) -> str:
        del folder
        if found not in choices:
            raise fail(field, found, "one of " + ", ".join(choices))
        return str(found)

    return setting(default, doc, read, unit="one of " + ", ".join(choices))


def parse_tables(raw: bytes, *, field: str) -> dict[str, Any]:
    """Read TOML.

    Raises:
        ConditionError: `CONFIG`: too long, or not TOML.
    """
    if len(raw) > CONFIG_BYTES_MAX:
        raise fail(field, f"{len(raw)} bytes", f"at most {CONFIG_BYTES_MAX}")
    try:
        return tomllib.loads(raw.decode("utf-8"))
    except (ValueError, RecursionError) as error:  # TOML, UTF-8, and a number of too many digits
        raise fail(field, shorten(str(error) or type(error).__name__), "TOML") from None


def read_config_file(path: Path) -> bytes:
    """Read a configuration file, no further than it may be long.

    Raises:
        ConditionError: `CONFIG`: there is no such file, or it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return file.read(CONFIG_BYTES_MAX + 1)
    except OSError as error:
        raise fail(str(path), error.strerror or type(error).__name__, "a readable configuration file") from error


def require_known(table: Mapping[str, object], known: Mapping[str, object], *, field: str) -> None:
    """Refuse what nobody reads: a mistyped setting would otherwise stay at its default in silence."""
    for name in table:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
            expected = f"`{near[0]}`?" if near else "one of " + ", ".join(known)
            raise fail(field, f"unknown name {name!r}", expected)


def read_section(table: Any, kind: type, field: str, folder: Path) -> Any:
    """Read one section into its dataclass.

    Raises:
        ConditionError: `CONFIG`, naming the setting, what stands there and what would be right.
    """
    if not isinstance(table, dict):
        raise fail(field, table, "a section")
    settings = {each.name: each.metadata for each in dataclasses.fields(kind)}
    require_known(table, settings, field=field)
    return kind(
        **{
            name: metadata["read"](table.get(name, metadata["default"]), f"{field}.{name}", folder)
            for name, metadata in settings.items()
        }
    )


def encode_section(kind: type, values: Mapping[str, object]) -> list[str]:
    """Write the settings of a section, each below its meaning, unit and bounds; its own meaning stands first.

    Args:
        kind: the section's dataclass.
        values: settings that shall differ from the default, as TOML values.
    """
    settings = dataclasses.fields(kind)
    assert set(values) <= {each.name for each in settings}
    lines = [f"# {kind.__doc__}", ""]
    for each in settings:
        unit = f" ({each.metadata['unit']})" if each.metadata["unit"] else ""
        value = values.get(each.name, each.metadata["default"])
        lines += [f"# {each.metadata['doc']}{unit}", f"{each.name} = {encode_value(value)}"]
    return lines


def encode_value(value: object) -> str:
    """Write a TOML value.

    >>> encode_value({"a": "x", "b": [1, True]})
    '{ a = "x", b = [1, true] }'
    """
    match value:
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case dict():
            inner = ", ".join(f"{name} = {encode_value(item)}" for name, item in value.items())
            return f"{{ {inner} }}" if inner else "{}"
        case list() | tuple():
            return f"[{', '.join(encode_value(item) for item in value)}]"
        case _:
            return _encode_text(str(value))


def _encode_text(text: str) -> str:
    """A TOML basic string (TOML 1.0, "String")."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(c if c.isprintable() else f"\\U{ord(c):08X}" for c in escaped) + '"'
