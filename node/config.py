"""A node's settings: one TOML file, every setting typed, with its unit and its bounds, and nothing unknown.

Each section is a dataclass; each field is declared once with its default, unit, bounds and meaning, and from that one
declaration come the reader, its refusals and the commented file that `encode_default_config` writes. Relative paths are
relative to the folder of the file, so a node can be moved as one folder. Secrets never stand in here.
Source of the format: TOML 1.0.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Final

from ledger.errors import FormatError
from ledger.limits import CLOCK_SKEW_ALARM_MS, MESSAGE_BYTES_MAX, MIB
from tlog.addresses import Address
from tlog.places import Kind, Place, parse_place
from tlog.settings import (
    choice,
    encode_section,
    fail,
    number,
    parse_tables,
    read_address,
    read_config_file,
    read_optional_path,
    read_path,
    read_section,
    read_text,
    require_known,
    setting,
    switch,
)
from tlog.witness_address import WitnessAddress, parse_witness

SOCKET_PATH_BYTES_MAX: Final = 103  # the shortest sun_path of the systems we run on, less its final zero
HOUR_MS: Final = 3_600_000
PLACES_MAX: Final = 8  # each has a thread, a connection and a reader of the database
WITNESSES_MAX: Final = 32


# Why Any: what TOML gives is of several types; these readers are what types it.
def _read_socket(found: Any, field: str, folder: Path) -> Path:
    path = read_path(found, field, folder)
    if len(str(path).encode()) > SOCKET_PATH_BYTES_MAX:
        raise fail(field, str(path), f"a path of at most {SOCKET_PATH_BYTES_MAX} bytes, as Unix sockets demand")
    return path


def _read_places(found: Any, field: str, folder: Path) -> tuple[Place, ...]:
    listed = found if isinstance(found, list | tuple) else None
    if listed is None or len(listed) > PLACES_MAX or not all(isinstance(each, str) for each in listed):
        shown = type(found).__name__ if listed is None else f"{len(listed)} values"  # unprinted: a secret may be in it
        raise fail(field, shown, f'a list of at most {PLACES_MAX} places, such as ["s3://bucket/ledger"]')
    places: list[Place] = []
    for at, text in enumerate(listed):
        place = parse_place(text, field=f"{field}[{at}]", base=folder)
        if place.kind is Kind.WEB or place in places:
            expected = "each place once" if place in places else "a place that takes files; a web server does not"
            raise fail(f"{field}[{at}]", place.name, expected)
        places.append(place)
    return tuple(places)


def _read_witnesses(found: Any, field: str, folder: Path) -> tuple[WitnessAddress, ...]:
    del folder
    if not isinstance(found, dict):
        raise fail(field, found, 'a table such as { "https://witness.example" = "<its vkey>" }')
    if len(found) > WITNESSES_MAX:
        raise fail(field, f"{len(found)} witnesses", f"at most {WITNESSES_MAX}")
    try:
        read = [parse_witness(url, read_text(vkey, field)) for url, vkey in found.items()]
    except FormatError as error:
        raise fail(f"{field}: {error.field}", error.found, error.expected) from None
    if any(
        len(frozenset(each)) != len(read) for each in ([w.key.public_key for w in read], [w.key.name for w in read])
    ):
        raise fail(field, "a key or a name twice", "each witness once, with a name and a key of its own")
    return tuple(read)


def _read_addresses(found: Any, field: str, folder: Path) -> dict[str, Address]:
    if not isinstance(found, dict):
        raise fail(field, found, 'a table such as { aa = "aa.example:7301" }')
    return {member: read_address(text, f"{field}.{member}", folder) for member, text in found.items()}


@dataclass(frozen=True, slots=True)
class NodeSettings:
    """Where this node keeps what is its own."""

    home: Path = setting(".", "Folder of the keys, the charter, the database and the vote log.", read_path)


@dataclass(frozen=True, slots=True)
class PeerSettings:
    """The other members: mutual TLS, members only."""

    listen: Address = setting("0.0.0.0:7301", "Where members connect (gRPC over mutual TLS).", read_address)
    addresses: dict[str, Address] = setting(
        {}, 'Members that moved since the charter: { aa = "new.example:7301" }.', _read_addresses
    )


@dataclass(frozen=True, slots=True)
class PublicSettings:
    """Labs and observers, over gRPC."""

    listen: Address = setting("0.0.0.0:7302", "Where labs submit and observers read (gRPC).", read_address)
    tls_certificate: Path | None = setting(
        "",
        'Certificate chain in PEM; "" serves without TLS, for a proxy that ends TLS or for tests.',
        read_optional_path,
    )
    tls_key: Path | None = setting("", "Private key of that certificate in PEM.", read_optional_path)
    streams_max: int = number(
        1_000, "Calls that may stay open at a time; the next is refused.", unit="calls", minimum=1, maximum=100_000
    )
    message_bytes_max: int = number(
        MESSAGE_BYTES_MAX, "Largest message taken or sent.", unit="bytes", minimum=MIB, maximum=MESSAGE_BYTES_MAX
    )


@dataclass(frozen=True, slots=True)
class HttpSettings:
    """Everybody: published files, metrics and health, over plain HTTP."""

    listen: Address = setting(
        "0.0.0.0:7303", "Where the published folder is served (C2SP tlog-tiles); put a CDN before it.", read_address
    )
    metrics_listen: Address = setting(
        "127.0.0.1:7304", "Where Prometheus finds /metrics; not for the public.", read_address
    )


@dataclass(frozen=True, slots=True)
class OperatorSettings:
    """The nation itself, on this machine."""

    socket: Path = setting("operator.sock", "Unix socket of `counterseal node status` and drain.", _read_socket)


@dataclass(frozen=True, slots=True)
class MempoolSettings:
    """Statements that wait for a block."""

    bytes_max: int = number(64 * MIB, "All that wait.", unit="bytes", minimum=MIB, maximum=16_384 * MIB)
    entries_max: int = number(100_000, "All that wait.", unit="entries", minimum=100, maximum=10_000_000)
    entries_per_issuer_max: int = number(
        256, "What waits of one issuer, so that none crowds out the others.", unit="entries", minimum=1, maximum=100_000
    )


@dataclass(frozen=True, slots=True)
class CatchUpSettings:
    """How a node that has nothing but its founding gets the ledger."""

    from_snapshot: bool = switch(
        False,  # noqa: FBT003  # the safe one
        "Vote from a member's snapshot of the state on, and audit the whole history beside it.",
    )


@dataclass(frozen=True, slots=True)
class PublishSettings:
    """The folder that mirrors, CDNs and observers read, and copies of it elsewhere."""

    folder: Path = setting("public", "Where tiles, headers and checkpoints are written.", read_path)
    interval_min_ms: int = number(
        1_000, "Least time between two published checkpoints.", unit="ms", minimum=0, maximum=HOUR_MS
    )
    urls: tuple[Place, ...] = setting(
        (),
        'Where else all of it is kept up: ["s3://bucket/path", "gs://…", "az://…", "file:///…"]; no credentials here.',
        _read_places,
    )
    urls_interval_min_ms: int = number(
        5_000, "Least time between two checkpoints published there.", unit="ms", minimum=0, maximum=HOUR_MS
    )


@dataclass(frozen=True, slots=True)
class WitnessSettings:
    """Witnesses across ledgers (C2SP tlog-witness): external ones that are asked, and what this node is for others."""

    ask: tuple[WitnessAddress, ...] = setting(
        {}, 'External witnesses: { "https://witness.example/prefix" = "<its vkey>" }.', _read_witnesses
    )
    ask_interval_min_ms: int = number(
        10_000, "Least time between two checkpoints they are asked about.", unit="ms", minimum=100, maximum=24 * HOUR_MS
    )
    send_seal: bool = switch(
        False,  # noqa: FBT003  # what every witness takes
        "Send them the seal beside the log line: for witnesses that check it, which few do.",
    )
    logs: Path | None = setting(
        "",
        'List of foreign logs that this node witnesses, at witness/ below its published files; "" for none.',
        read_optional_path,
    )


@dataclass(frozen=True, slots=True)
class ClockSettings:
    """How far clocks may differ. Keep the machine's clock synchronized."""

    skew_alarm_ms: int = number(
        CLOCK_SKEW_ALARM_MS,
        "A member's clock that differs by more raises an alarm.",
        unit="ms",
        minimum=10,
        maximum=HOUR_MS,
    )


@dataclass(frozen=True, slots=True)
class LogSettings:
    """What the node tells its operator, on stderr."""

    level: str = choice("info", "Least severity that is written.", ("debug", "info", "warning", "error"))
    format: str = choice("json", "JSON for machines, console for people.", ("json", "console"))


@dataclass(frozen=True, slots=True)
class LimitSettings:
    """How long things may take."""

    submit_wait_max_ms: int = number(
        60_000, "Longest a submitter may wait for its receipt in one call.", unit="ms", minimum=1_000, maximum=HOUR_MS
    )
    drain_max_ms: int = number(
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
    tables = parse_tables(raw, field=field)
    sections = {section.name: section.type for section in dataclasses.fields(Config)}
    require_known(tables, sections, field=field)
    read = {}
    for name, kind in sections.items():
        assert isinstance(kind, type)
        read[name] = read_section(tables.get(name, {}), kind, f"{field}: {name}", folder)
    config = Config(**read)
    if (config.public.tls_certificate is None) != (config.public.tls_key is None):
        given = "a certificate" if config.public.tls_key is None else "a key"
        raise fail(f"{field}: public", f"{given} alone", "tls_certificate and tls_key together, or neither")
    for place in config.publish.urls:
        if place.folder is not None and place.folder.resolve() == config.publish.folder.resolve():
            raise fail(f"{field}: publish.urls", place.name, "another place than publish.folder")
    return config


def open_config(path: Path) -> Config:
    """Read the configuration at `path`.

    Raises:
        ConditionError: `CONFIG`: there is no such file, it cannot be read, or it is wrong.
    """
    raw = read_config_file(path)
    return parse_config(raw, folder=path.resolve().parent, field=str(path))


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
        lines += [f"[{section.name}]", *encode_section(section.type, values), ""]
    return "\n".join(lines)
