"""A node's settings: one TOML file, every setting typed, with its unit and its bounds, and nothing unknown.

Each section is a dataclass; each field is declared once with its default, unit, bounds and meaning, and from that one
declaration come the reader, its refusals and the commented file that `encode_default_config` writes. Relative paths are
relative to the folder of the file, so a node can be moved as one folder. Secrets never stand in here.
Source of the format: TOML 1.0.
"""

import dataclasses
import difflib
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Final

from ledger.errors import Code, ConditionError, FormatError, shorten
from ledger.limits import CLOCK_SKEW_ALARM_MS, MESSAGE_BYTES_MAX, MIB
from tlog.addresses import Address, parse_address
from tlog.places import Kind, Place, parse_place
from tlog.witness_address import WitnessAddress, parse_witness

CONFIG_BYTES_MAX: Final = MIB
SOCKET_PATH_BYTES_MAX: Final = 103  # the shortest sun_path of the systems we run on, less its final zero
HOUR_MS: Final = 3_600_000
PLACES_MAX: Final = 8  # each has a thread, a connection and a reader of the database
WITNESSES_MAX: Final = 32


# Why Any: what tomllib gives is text, numbers, booleans, lists and tables; the readers below are what types them.
_Reader = Callable[[Any, str, Path], Any]


def _fail(field: str, found: object, expected: str) -> ConditionError:
    return ConditionError(field=field, found=found, expected=expected, code=Code.CONFIG)


def _read_text(found: Any, field: str) -> str:
    if not isinstance(found, str):
        raise _fail(field, found, "text in quotes")
    return found


def _read_address(found: Any, field: str, folder: Path) -> Address:
    del folder
    return parse_address(_read_text(found, field), field=field)


def _read_path(found: Any, field: str, folder: Path) -> Path:
    text = _read_text(found, field)
    if not text or "\0" in text:
        raise _fail(field, text, "a path")
    return folder / Path(text).expanduser()


def _read_socket(found: Any, field: str, folder: Path) -> Path:
    path = _read_path(found, field, folder)
    if len(str(path).encode()) > SOCKET_PATH_BYTES_MAX:
        raise _fail(field, str(path), f"a path of at most {SOCKET_PATH_BYTES_MAX} bytes, as Unix sockets demand")
    return path


def _read_places(found: Any, field: str, folder: Path) -> tuple[Place, ...]:
    listed = found if isinstance(found, list | tuple) else None
    if listed is None or len(listed) > PLACES_MAX or not all(isinstance(each, str) for each in listed):
        shown = type(found).__name__ if listed is None else f"{len(listed)} values"  # unprinted: a secret may be in it
        raise _fail(field, shown, f'a list of at most {PLACES_MAX} places, such as ["s3://bucket/ledger"]')
    places: list[Place] = []
    for number, text in enumerate(listed):
        place = parse_place(text, field=f"{field}[{number}]", base=folder)
        if place.kind is Kind.WEB or place in places:
            expected = "each place once" if place in places else "a place that takes files; a web server does not"
            raise _fail(f"{field}[{number}]", place.name, expected)
        places.append(place)
    return tuple(places)


def _read_optional_path(found: Any, field: str, folder: Path) -> Path | None:
    return None if found == "" else _read_path(found, field, folder)


def _read_addresses(found: Any, field: str, folder: Path) -> dict[str, Address]:
    if not isinstance(found, dict):
        raise _fail(field, found, 'a table such as { aa = "aa.example:7301" }')
    return {member: _read_address(text, f"{field}.{member}", folder) for member, text in found.items()}


def _read_witnesses(found: Any, field: str, folder: Path) -> tuple[WitnessAddress, ...]:
    del folder
    if not isinstance(found, dict):
        raise _fail(field, found, 'a table such as { "https://witness.example" = "<its vkey>" }')
    if len(found) > WITNESSES_MAX:
        raise _fail(field, f"{len(found)} witnesses", f"at most {WITNESSES_MAX}")
    try:
        read = [parse_witness(url, _read_text(vkey, field)) for url, vkey in found.items()]
    except FormatError as error:
        raise _fail(f"{field}: {error.field}", error.found, error.expected) from None
    if any(
        len(frozenset(each)) != len(read) for each in ([w.key.public_key for w in read], [w.key.name for w in read])
    ):
        raise _fail(field, "a key or a name twice", "each witness once, with a name and a key of its own")
    return tuple(read)


def _setting(default: Any, doc: str, read: _Reader, *, unit: str = "") -> Any:
    """Declare a setting; returns what `dataclasses.field` does, which is typed by the attribute's own annotation."""
    return dataclasses.field(metadata={"default": default, "doc": doc, "read": read, "unit": unit})


def _number(default: int, doc: str, *, unit: str, minimum: int, maximum: int) -> Any:
    assert minimum <= default <= maximum

    def read(found: Any, field: str, folder: Path) -> int:
        del folder
        if type(found) is not int or not minimum <= found <= maximum:
            raise _fail(field, found, f"a whole number of {unit} from {minimum} to {maximum}")
        return found

    return _setting(default, doc, read, unit=f"{unit}, from {minimum} to {maximum}")


def _switch(default: bool, doc: str) -> Any:  # noqa: FBT001  # it is what it declares
    def read(found: Any, field: str, folder: Path) -> bool:
        del folder
        if type(found) is not bool:
            raise _fail(field, found, "true or false")
        return found

    return _setting(default, doc, read, unit="true or false")


def _choice(default: str, doc: str, choices: tuple[str, ...]) -> Any:
    assert default in choices

    def read(found: Any, field: str, folder: Path) -> str:
        del folder
        if found not in choices:
            raise _fail(field, found, "one of " + ", ".join(choices))
        return str(found)

    return _setting(default, doc, read, unit="one of " + ", ".join(choices))


@dataclass(frozen=True, slots=True)
class NodeSettings:
    """Where this node keeps what is its own."""

    home: Path = _setting(".", "Folder of the keys, the charter, the database and the vote log.", _read_path)


@dataclass(frozen=True, slots=True)
class PeerSettings:
    """The other members: mutual TLS, members only."""

    listen: Address = _setting("0.0.0.0:7301", "Where members connect (gRPC over mutual TLS).", _read_address)
    addresses: dict[str, Address] = _setting(
        {}, 'Members that moved since the charter: { aa = "new.example:7301" }.', _read_addresses
    )


@dataclass(frozen=True, slots=True)
class PublicSettings:
    """Labs and observers, over gRPC."""

    listen: Address = _setting("0.0.0.0:7302", "Where labs submit and observers read (gRPC).", _read_address)
    tls_certificate: Path | None = _setting(
        "",
        'Certificate chain in PEM; "" serves without TLS, for a proxy that ends TLS or for tests.',
        _read_optional_path,
    )
    tls_key: Path | None = _setting("", "Private key of that certificate in PEM.", _read_optional_path)
    streams_max: int = _number(
        1_000, "Calls that may stay open at a time; the next is refused.", unit="calls", minimum=1, maximum=100_000
    )
    message_bytes_max: int = _number(
        MESSAGE_BYTES_MAX, "Largest message taken or sent.", unit="bytes", minimum=MIB, maximum=MESSAGE_BYTES_MAX
    )


@dataclass(frozen=True, slots=True)
class HttpSettings:
    """Everybody: published files, metrics and health, over plain HTTP."""

    listen: Address = _setting(
        "0.0.0.0:7303", "Where the published folder is served (C2SP tlog-tiles); put a CDN before it.", _read_address
    )
    metrics_listen: Address = _setting(
        "127.0.0.1:7304", "Where Prometheus finds /metrics; not for the public.", _read_address
    )


@dataclass(frozen=True, slots=True)
class OperatorSettings:
    """The nation itself, on this machine."""

    socket: Path = _setting("operator.sock", "Unix socket of `counterseal node status` and drain.", _read_socket)


@dataclass(frozen=True, slots=True)
class MempoolSettings:
    """Statements that wait for a block."""

    bytes_max: int = _number(64 * MIB, "All that wait.", unit="bytes", minimum=MIB, maximum=16_384 * MIB)
    entries_max: int = _number(100_000, "All that wait.", unit="entries", minimum=100, maximum=10_000_000)
    entries_per_issuer_max: int = _number(
        256, "What waits of one issuer, so that none crowds out the others.", unit="entries", minimum=1, maximum=100_000
    )


@dataclass(frozen=True, slots=True)
class CatchUpSettings:
    """How a node that has nothing but its founding gets the ledger."""

    from_snapshot: bool = _switch(
        False,  # noqa: FBT003  # the safe one
        "Vote from a member's snapshot of the state on, and audit the whole history beside it.",
    )


@dataclass(frozen=True, slots=True)
class PublishSettings:
    """The folder that mirrors, CDNs and observers read, and copies of it elsewhere."""

    folder: Path = _setting("public", "Where tiles, headers and checkpoints are written.", _read_path)
    interval_min_ms: int = _number(
        1_000, "Least time between two published checkpoints.", unit="ms", minimum=0, maximum=HOUR_MS
    )
    urls: tuple[Place, ...] = _setting(
        (),
        'Where else all of it is kept up: ["s3://bucket/path", "gs://…", "az://…", "file:///…"]; no credentials here.',
        _read_places,
    )
    urls_interval_min_ms: int = _number(
        5_000, "Least time between two checkpoints published there.", unit="ms", minimum=0, maximum=HOUR_MS
    )


@dataclass(frozen=True, slots=True)
class WitnessSettings:
    """Witnesses across ledgers (C2SP tlog-witness): external ones that are asked, and what this node is for others."""

    ask: tuple[WitnessAddress, ...] = _setting(
        {}, 'External witnesses: { "https://witness.example/prefix" = "<its vkey>" }.', _read_witnesses
    )
    ask_interval_min_ms: int = _number(
        10_000, "Least time between two checkpoints they are asked about.", unit="ms", minimum=100, maximum=24 * HOUR_MS
    )
    send_seal: bool = _switch(
        False,  # noqa: FBT003  # what every witness takes
        "Send them the seal beside the log line: for witnesses that check it, which few do.",
    )
    logs: Path | None = _setting(
        "",
        'List of foreign logs that this node witnesses, at witness/ below its published files; "" for none.',
        _read_optional_path,
    )


@dataclass(frozen=True, slots=True)
class ClockSettings:
    """How far clocks may differ. Keep the machine's clock synchronized."""

    skew_alarm_ms: int = _number(
        CLOCK_SKEW_ALARM_MS,
        "A member's clock that differs by more raises an alarm.",
        unit="ms",
        minimum=10,
        maximum=HOUR_MS,
    )


@dataclass(frozen=True, slots=True)
class LogSettings:
    """What the node tells its operator, on stderr."""

    level: str = _choice("info", "Least severity that is written.", ("debug", "info", "warning", "error"))
    format: str = _choice("json", "JSON for machines, console for people.", ("json", "console"))


@dataclass(frozen=True, slots=True)
class LimitSettings:
    """How long things may take."""

    submit_wait_max_ms: int = _number(
        60_000, "Longest a submitter may wait for its receipt in one call.", unit="ms", minimum=1_000, maximum=HOUR_MS
    )
    drain_max_ms: int = _number(
        2_000, "Longest a shutdown waits for calls that are open.", unit="ms", minimum=0, maximum=HOUR_MS
    )


@dataclass(frozen=True, slots=True)
class Config:
    """All settings of a node, checked."""

    node: NodeSettings
    peer: PeerSettings
    public: PublicSettings
    http: HttpSettings
    operator: OperatorSettings
    mempool: MempoolSettings
    catchup: CatchUpSettings
    publish: PublishSettings
    witness: WitnessSettings
    clock: ClockSettings
    log: LogSettings
    limits: LimitSettings

    file_name: ClassVar[str] = "node.toml"


def parse_config(raw: bytes, *, folder: Path, field: str = Config.file_name) -> Config:
    """Read a configuration.

    Args:
        raw: the file's bytes.
        folder: where relative paths start: the folder of the file.
        field: what errors call the file.

    Raises:
        ConditionError: `CONFIG`, naming the setting, what stands there and what would be right.
    """
    if len(raw) > CONFIG_BYTES_MAX:
        raise _fail(field, f"{len(raw)} bytes", f"at most {CONFIG_BYTES_MAX}")
    try:
        tables = tomllib.loads(raw.decode("utf-8"))
    except (ValueError, RecursionError) as error:  # TOML, UTF-8, and a number of too many digits
        raise _fail(field, shorten(str(error) or type(error).__name__), "TOML") from None
    sections = {section.name: section.type for section in dataclasses.fields(Config)}
    _require_known(tables, sections, field=field, place="")
    read = {}
    for name, kind in sections.items():
        assert isinstance(kind, type)
        read[name] = _read_section(tables.get(name, {}), kind, f"{field}: {name}", folder)
    config = Config(**read)
    if (config.public.tls_certificate is None) != (config.public.tls_key is None):
        given = "a certificate" if config.public.tls_key is None else "a key"
        raise _fail(f"{field}: public", f"{given} alone", "tls_certificate and tls_key together, or neither")
    for place in config.publish.urls:
        if place.folder is not None and place.folder.resolve() == config.publish.folder.resolve():
            raise _fail(f"{field}: publish.urls", place.name, "another place than publish.folder")
    return config


def open_config(path: Path) -> Config:
    """Read the configuration at `path`.

    Raises:
        ConditionError: `CONFIG`: there is no such file, it cannot be read, or it is wrong.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(CONFIG_BYTES_MAX + 1)
    except OSError as error:
        raise _fail(str(path), error.strerror or type(error).__name__, "a readable configuration file") from error
    return parse_config(raw, folder=path.resolve().parent, field=str(path))


def _require_known(table: Mapping[str, object], known: Mapping[str, object], *, field: str, place: str) -> None:
    """Refuse what nobody reads: a mistyped setting would otherwise stay at its default in silence."""
    for name in table:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
            expected = f"`{near[0]}`?" if near else "one of " + ", ".join(known)
            raise _fail(f"{field}{place}", f"unknown name {name!r}", expected)


def _read_section(table: Any, kind: type, field: str, folder: Path) -> Any:
    if not isinstance(table, dict):
        raise _fail(field, table, "a section")
    settings = {setting.name: setting.metadata for setting in dataclasses.fields(kind)}
    _require_known(table, settings, field=field, place="")
    return kind(
        **{
            name: metadata["read"](table.get(name, metadata["default"]), f"{field}.{name}", folder)
            for name, metadata in settings.items()
        }
    )


def encode_default_config(**chosen: Mapping[str, object]) -> str:
    """Write a configuration file with every setting, its meaning, unit and bounds beside it.

    Args:
        chosen: by section, settings that shall differ from the default, as TOML values: `peer={"listen": "…"}`.

    >>> print(encode_default_config(log={"level": "debug"}).partition("[log]")[2].partition("[")[0].strip())
    # What the node tells its operator, on stderr.
    <BLANKLINE>
    # Least severity that is written. (one of debug, info, warning, error)
    level = "debug"
    # JSON for machines, console for people. (one of json, console)
    format = "json"
    """
    lines = ["# Settings of a Counterseal node. Relative paths are relative to the folder of this file.", ""]
    sections = dataclasses.fields(Config)
    assert set(chosen) <= {section.name for section in sections}
    for section in sections:
        assert isinstance(section.type, type)
        values = chosen.get(section.name, {})
        settings = dataclasses.fields(section.type)
        assert set(values) <= {setting.name for setting in settings}
        lines += [f"[{section.name}]", f"# {section.type.__doc__}", ""]
        for setting in settings:
            unit = f" ({setting.metadata['unit']})" if setting.metadata["unit"] else ""
            value = values.get(setting.name, setting.metadata["default"])
            lines += [f"# {setting.metadata['doc']}{unit}", f"{setting.name} = {_encode_value(value)}"]
        lines.append("")
    return "\n".join(lines)


def _encode_value(value: object) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case dict():
            inner = ", ".join(f"{name} = {_encode_value(item)}" for name, item in value.items())
            return f"{{ {inner} }}" if inner else "{}"
        case list() | tuple():
            return f"[{', '.join(_encode_value(item) for item in value)}]"
        case _:
            return _encode_text(str(value))


def _encode_text(text: str) -> str:
    """A TOML basic string (TOML 1.0, "String")."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(c if c.isprintable() else f"\\U{ord(c):08X}" for c in escaped) + '"'
