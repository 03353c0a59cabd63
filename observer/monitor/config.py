"""The settings of a monitor: `watch.toml`, in the form of `tlog.settings`; outlets are named tables of their sort.

    [webhook.office]
    url = "https://hooks.example/counterseal"
    secret_file = "office.secret"

Secrets stand in files of their own, which the settings name.
"""
# ruff: noqa: RUF009  # a setting is declared by a function that returns what dataclasses.field does

import dataclasses
import ipaddress
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from ledger.encoding import decode_hex
from ledger.errors import FormatError
from ledger.limits import HASH_BYTES
from observer.monitor.kinds import KINDS, SEVERITIES
from observer.source import SCHEMES
from tlog.addresses import Address
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
)

CONFIG_FILE: Final = "watch.toml"
SECOND_MS: Final = 1_000
MINUTE_MS: Final = 60 * SECOND_MS
HOUR_MS: Final = 60 * MINUTE_MS
DAY_MS: Final = 24 * HOUR_MS
SOURCES_MAX: Final = 64
OUTLETS_MAX: Final = 32
LIST_ITEMS_MAX: Final = 256
RECIPIENTS_MAX: Final = 32
TEXT_CHARACTERS_MAX: Final = 200

_NAME: Final = re.compile(r"[a-z0-9-]{1,32}\Z", re.ASCII)
_IDENTIFIER: Final = re.compile(r"[a-z0-9-]{1,64}\Z", re.ASCII)
_MAIL: Final = re.compile(
    r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63}){0,8}\Z", re.ASCII
)


# Why Any: what TOML gives is of several types; these readers are what types it.
def _read_list(check: Callable[[str], bool], what: str, *, count_max: int = LIST_ITEMS_MAX) -> Any:
    def read(found: Any, field: str, folder: Path) -> tuple[str, ...]:
        del folder
        is_fine = isinstance(found, list) and len(found) <= count_max
        if not is_fine or not all(isinstance(item, str) and check(item) for item in found):
            raise fail(field, found, f"a list of at most {count_max} {what}, each in quotes")
        return tuple(found)

    return read


def _read_line(found: Any, field: str, folder: Path) -> str:
    del folder
    text = read_text(found, field)
    if not text.isprintable() or len(text) > TEXT_CHARACTERS_MAX:
        raise fail(field, text, f"at most {TEXT_CHARACTERS_MAX} printable characters")
    return text


def _read_fingerprint(found: Any, field: str, folder: Path) -> bytes | None:
    del folder
    text = read_text(found, field)
    if not text:
        return None
    try:
        return decode_hex(text, field=field, size=HASH_BYTES)
    except FormatError as error:
        raise fail(field, text, error.expected) from None


def is_loopback(host: str) -> bool:
    """Say whether a host is this machine itself, by its name or address alone."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def _read_url(found: Any, field: str, folder: Path) -> str:
    """Take where to post: over TLS, unless it is this machine; no password in it, since addresses are shown."""
    del folder
    url = read_text(found, field)
    try:
        parts = urlsplit(url)
        is_safe = parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname or ""))
        is_fine = is_safe and bool(parts.hostname) and not parts.username and parts.port != 0
    except ValueError:
        is_fine = False
    if not is_fine or not url.isascii() or not url.isprintable() or " " in url:
        raise fail(field, url, "https://host/path without a name or password in it (http:// on this machine alone)")
    return url


def _read_optional_url(found: Any, field: str, folder: Path) -> str:
    return "" if found == "" else _read_url(found, field, folder)


def _read_mail_address(found: Any, field: str, folder: Path) -> str:
    del folder
    text = read_text(found, field)
    if not _MAIL.match(text):
        raise fail(field, text, "name@domain")
    return text


def is_source(url: str) -> bool:
    """Say whether a source can be named in alarms: it has no name or password in it."""
    return url.isprintable() and bool(url) and "@" not in url.partition("://")[2].partition("/")[0]


@dataclass(frozen=True, slots=True)
class WatchSettings:
    """What is watched."""

    sources: tuple[str, ...] = setting(
        [],
        f"Sources, of several owners: {SCHEMES}; without passwords.",
        _read_list(is_source, "sources without a name or password", count_max=SOURCES_MAX),
    )
    home: Path = setting("pause", "Folder of the copy, its evidence and the monitor's journal.", read_path)
    fingerprint: bytes | None = setting(
        "", 'SHA-256 of the charter in hex; "" where there is a copy already, which is pinned.', _read_fingerprint
    )
    interval_ms: int = number(
        MINUTE_MS, "Time from the end of a look to the next.", unit="ms", minimum=100, maximum=HOUR_MS
    )
    history: str = choice(
        "new", "What the first look tells: `new` what comes after it, `all` everything on the ledger.", ("new", "all")
    )


@dataclass(frozen=True, slots=True)
class PatienceSettings:
    """How long something must last before it is told, and what counts as near."""

    unreachable_ms: int = number(
        5 * MINUTE_MS, "A source that does not answer.", unit="ms", minimum=0, maximum=30 * DAY_MS
    )
    source_behind_ms: int = number(
        10 * MINUTE_MS,
        "Time between the newest block that a source shows and the newest known.",
        unit="ms",
        minimum=0,
        maximum=30 * DAY_MS,
    )
    head_age_ms: int = number(
        10 * MINUTE_MS, "Age of the newest sealed block.", unit="ms", minimum=SECOND_MS, maximum=30 * DAY_MS
    )
    nation_behind_ms: int = number(
        HOUR_MS, "Time since the newest checkpoint that a nation cosigned.", unit="ms", minimum=0, maximum=30 * DAY_MS
    )
    network_ms: int = number(0, "A network that is not holding.", unit="ms", minimum=0, maximum=DAY_MS)
    outlet_ms: int = number(
        15 * MINUTE_MS, "An outlet that takes nothing; others are told.", unit="ms", minimum=0, maximum=30 * DAY_MS
    )
    clear_ms: int = number(
        2 * MINUTE_MS, "How long something must be fine to be over.", unit="ms", minimum=0, maximum=DAY_MS
    )
    lead_ms: int = number(
        DAY_MS,
        "How long before a deadline it is told, but not before the last quarter of its window.",
        unit="ms",
        minimum=0,
        maximum=90 * DAY_MS,
    )


@dataclass(frozen=True, slots=True)
class DeliverySettings:
    """How outlets that take nothing are tried again."""

    retry_max_ms: int = number(
        15 * MINUTE_MS,
        "Longest time between two attempts; it doubles from one second.",
        unit="ms",
        minimum=SECOND_MS,
        maximum=DAY_MS,
    )
    give_up_ms: int = number(
        3 * DAY_MS,
        "An alarm that is older and was tried in vain is left off, and counted.",
        unit="ms",
        minimum=MINUTE_MS,
        maximum=90 * DAY_MS,
    )


@dataclass(frozen=True, slots=True)
class MetricsSettings:
    """For Prometheus."""

    listen: Address | None = setting(
        "127.0.0.1:7310",
        'Where /metrics is found; "" for nowhere. Not for the public.',
        lambda found, field, folder: None if found == "" else read_address(found, field, folder),
    )


@dataclass(frozen=True, slots=True)
class _FilterSettings:
    severity_min: str = choice("info", "Least severity that is given.", tuple(SEVERITIES))
    kinds: tuple[str, ...] = setting(
        [], "Only these kinds; [] for all.", _read_list(lambda text: text in KINDS, "kinds of alarms")
    )
    labs: tuple[str, ...] = setting(
        [],
        "Of what is about a lab, only these; [] for all.",
        _read_list(lambda text: bool(_IDENTIFIER.match(text)), "ids of labs"),
    )
    nations: tuple[str, ...] = setting(
        [],
        "Of what is about a nation, only these; [] for all.",
        _read_list(lambda text: bool(_IDENTIFIER.match(text)), "ids of nations"),
    )


@dataclass(frozen=True, slots=True)
class StdoutSettings(_FilterSettings):
    """JSON lines on stdout."""


@dataclass(frozen=True, slots=True)
class WebhookSettings(_FilterSettings):
    """Signed HTTP requests (Standard Webhooks)."""

    url: str = setting("https://hooks.example/counterseal", "Where to post; redirects are refused.", _read_url)
    secret_file: Path = setting(
        "webhook.secret", "File of mode 0600 with `whsec_` and base64 of 24 to 64 random bytes on a line.", read_path
    )
    ca_file: Path | None = setting(
        "", 'Certificates in PEM to believe; "" for those of the system.', read_optional_path
    )


@dataclass(frozen=True, slots=True)
class MailSettings(_FilterSettings):
    """E-mail."""

    server: Address = setting("mail.example:587", "Where mails are handed in.", read_address)
    security: str = choice("starttls", "TLS; `none` only on this machine.", ("starttls", "tls", "none"))
    sender: str = setting("monitor@observer.example", "Address mails come from.", _read_mail_address)
    recipients: tuple[str, ...] = setting(
        ["office@observer.example"],
        "Addresses mails go to.",
        _read_list(lambda text: bool(_MAIL.match(text)), "addresses", count_max=RECIPIENTS_MAX),
    )
    credentials_file: Path | None = setting(
        "", 'File of mode 0600 with user and password on a line each; "" to give none.', read_optional_path
    )
    ca_file: Path | None = setting(
        "", 'Certificates in PEM to believe; "" for those of the system.', read_optional_path
    )


@dataclass(frozen=True, slots=True)
class FeedSettings(_FilterSettings):
    """An Atom feed in a file, for a web server to serve."""

    file: Path = setting("alarms.atom", "The file, replaced whole.", read_path)
    title: str = setting("Counterseal alarms", "What readers see above it.", _read_line)
    url: str = setting("", 'Where it will be found; "" if it is not known.', _read_optional_url)
    entries_max: int = number(100, "How many alarms it shows.", unit="alarms", minimum=1, maximum=1_000)


OutletSettings = StdoutSettings | WebhookSettings | MailSettings | FeedSettings
_SECTIONS: Final[Mapping[str, type]] = {
    "watch": WatchSettings,
    "patience": PatienceSettings,
    "delivery": DeliverySettings,
    "metrics": MetricsSettings,
}
_OUTLETS: Final[Mapping[str, type]] = {
    "stdout": StdoutSettings,
    "webhook": WebhookSettings,
    "mail": MailSettings,
    "feed": FeedSettings,
}


@dataclass(frozen=True, slots=True)
class WatchConfig:
    """All settings of a monitor, checked; outlets by their sort and name, such as `webhook.office`."""

    watch: WatchSettings
    patience: PatienceSettings
    delivery: DeliverySettings
    metrics: MetricsSettings
    outlets: Mapping[str, OutletSettings]


def parse_watch_config(raw: bytes, *, folder: Path, field: str = CONFIG_FILE) -> WatchConfig:
    """Read the settings.

    Args:
        raw: the file's bytes; without an outlet in them, alarms go to stdout.
        folder: where relative paths start: the folder of the file.
        field: what errors call the file.

    Raises:
        ConditionError: `CONFIG`, naming the setting, what stands there and what would be right.
    """
    tables = parse_tables(raw, field=field)
    require_known(tables, {**_SECTIONS, **_OUTLETS}, field=field)
    sections = {
        name: read_section(tables.get(name, {}), kind, f"{field}: {name}", folder) for name, kind in _SECTIONS.items()
    }
    outlets: dict[str, OutletSettings] = {}
    for sort, kind in _OUTLETS.items():
        named = tables.get(sort, {})
        if not isinstance(named, dict):
            raise fail(f"{field}: {sort}", named, f"tables such as [{sort}.office]")
        for name, table in named.items():
            if not _NAME.match(name) or not isinstance(table, dict):
                expected = f"[{sort}.NAME] with a name of lower-case letters, digits and hyphens"
                raise fail(f"{field}: {sort}", name, expected)
            outlets[f"{sort}.{name}"] = read_section(table, kind, f"{field}: {sort}.{name}", folder)
    if len(outlets) > OUTLETS_MAX:
        raise fail(field, f"{len(outlets)} outlets", f"at most {OUTLETS_MAX}")
    for name, settings in outlets.items():
        if isinstance(settings, MailSettings):
            _check_mail(settings, field=f"{field}: {name}")
    if not outlets:
        outlets["stdout.all"] = read_section({}, StdoutSettings, f"{field}: stdout.all", folder)
    return WatchConfig(**sections, outlets=outlets)


def _check_mail(settings: MailSettings, *, field: str) -> None:
    if not settings.recipients:
        raise fail(f"{field}.recipients", "nobody", "at least one address")
    if settings.security == "none" and not is_loopback(settings.server.host):
        raise fail(f"{field}.security", "none", "starttls or tls: only a server on this machine is reached without")
    if settings.security == "none" and settings.credentials_file is not None:
        raise fail(f"{field}.credentials_file", settings.credentials_file, '"": a password travels over TLS alone')


def open_watch_config(path: Path) -> WatchConfig:
    """Read the settings at `path`.

    Raises:
        ConditionError: `CONFIG`: there is no such file, it cannot be read, or it is wrong.
    """
    return parse_watch_config(read_config_file(path), folder=path.resolve().parent, field=str(path))


def require_sources(config: WatchConfig) -> None:
    """Refuse settings by which nobody is watched, or that show a password.

    Raises:
        ConditionError: `CONFIG`.
    """
    if not config.watch.sources or not all(is_source(url) for url in config.watch.sources):
        found = "none" if not config.watch.sources else "one that cannot be shown"
        raise fail("watch: sources", found, f"at least one, without a name or password in it: {SCHEMES}")


def write_default_config(path: Path) -> Path:
    """Write the default settings into a file that is not there yet.

    Raises:
        ConditionError: `CONFIG`: it is there, or cannot be written.
    """
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(encode_default_watch_config())
    except OSError as error:
        raise fail(str(path), error.strerror or type(error).__name__, "a new file in a writable folder") from error
    return path


def encode_default_watch_config() -> str:
    """Write a file with every setting, its meaning, unit and bounds beside it; outlets but stdout are commented out."""
    lines = ["# Settings of a Counterseal monitor. Relative paths are relative to the folder of this file.", ""]
    for name, kind in _SECTIONS.items():
        lines += [f"[{name}]", *encode_section(kind, {}), ""]
    lines += ["# Where alarms go. Each outlet has a name of your choice, and a sort may have several.", ""]
    for sort, kind in _OUTLETS.items():
        section = [f"[{sort}.{'all' if sort == 'stdout' else 'office'}]", *encode_section(kind, {})]
        lines += section if sort == "stdout" else [f"# {line}".rstrip() for line in section]
        lines.append("")
    return "\n".join(lines)


assert {field.name for field in dataclasses.fields(WatchConfig)} == {*_SECTIONS, "outlets"}
