"""A lab's settings: one TOML file that `counterseal lab init` writes and people may edit, every name checked.

    [lab]
    id = "lab-a"                         # issuer of the statements
    name = "Lab A"

    [ledger]
    fingerprint = "…"                    # of the charter; nothing is believed that does not lead back to it
    nodes = ["grpc://127.0.0.1:7302"]    # asked in this order; grpcs:// for TLS; better several, of several nations
    certificate_authority = ""           # PEM file for grpcs nodes of a private authority

    [report]
    mapping = "mapping.toml"             # which job was what (`lab.classification`); "" for none

    [slurm]
    models = { "nvidia-h100" = "h100" }  # the charter's model by GRES type, where the names differ
    default_model = ""                   # model of GPUs that Slurm counts without a type

    [[cluster]]
    id = "c1"                            # as registered
    facility = "Hall 1"
    country = "DE"
    schedulers = ["aurora"]              # what the accounting calls it
    chips = { h100 = 1024 }              # installed
    public_capacity = true               # whether the registration names them

Relative paths are relative to the folder of this file.
"""

import tomllib
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from lab.addresses import parse_address
from lab.reports import Cluster
from ledger.errors import Code, ConditionError, FormatError, LedgerError
from ledger.limits import KIB, LIST_ITEMS_MAX, MODELS_MAX
from ledger.statements import registry
from ledger.statements.intoto import Count, Hex32, Identifier, Name, require_unique

SETTINGS_BYTES_MAX: Final = 256 * KIB
_Schedulers = Annotated[tuple[Annotated[str, Meta(min_length=1, max_length=256)], ...], Meta(max_length=64)]


class LabTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Who this is."""

    id: Identifier
    name: Name


class LedgerTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which ledger, and where its nodes are."""

    fingerprint: Hex32
    nodes: Annotated[tuple[str, ...], Meta(min_length=1, max_length=200)]
    certificate_authority: str = ""


class ReportTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How reports are made."""

    mapping: str = ""


class SlurmTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How accelerators are called in Slurm."""

    models: dict[str, Identifier] = {}
    default_model: str = ""


class ClusterTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A cluster as the lab knows it."""

    id: Identifier
    facility: Name
    country: Annotated[str, Meta(pattern=r"\A[A-Z]{2}\Z")]
    schedulers: _Schedulers = ()
    chips: Annotated[dict[Identifier, Count], Meta(max_length=MODELS_MAX)] = {}
    public_capacity: bool = True

    @property
    def capacity(self) -> dict[str, int] | None:
        """Chips as the registration names them; None if it does not."""
        return dict(self.chips) if self.chips and self.public_capacity else None

    def registered(self) -> registry.Cluster:
        """As it stands in a registration."""
        lines = None if self.capacity is None else tuple(registry.Capacity(*line) for line in self.capacity.items())
        return registry.Cluster(self.id, self.facility, self.country, lines)

    def reported(self) -> Cluster:
        """As a report needs it; the accounting calls it by its id if nothing else is said."""
        return Cluster(self.id, self.schedulers or (self.id,), dict(self.chips), self.capacity)


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The whole file."""

    lab: LabTable
    ledger: LedgerTable
    report: ReportTable = ReportTable()
    slurm: SlurmTable = SlurmTable()
    clusters: Annotated[tuple[ClusterTable, ...], Meta(max_length=LIST_ITEMS_MAX)] = msgspec.field(
        default=(), name="cluster"
    )


def parse_settings(raw: bytes) -> Settings:
    """Read the file.

    Raises:
        ConditionError: it is not of the form (`CONFIG`); the message names the setting.
    """
    if len(raw) > SETTINGS_BYTES_MAX:
        raise _wrong("lab.toml", f"{len(raw)} bytes", f"at most {SETTINGS_BYTES_MAX} bytes")
    try:
        settings = msgspec.convert(tomllib.loads(raw.decode("utf-8")), Settings)
    except (ValueError, RecursionError) as error:  # TOML, UTF-8, types, and a number of too many digits
        what, _, where = str(error).partition(" - at `$")  # where it is must not be cut off with a long message
        expected = "a setting as docs/labs.md shows it"
        raise _wrong(f"lab.toml {where.strip('.`')}".strip(), what, expected) from None
    try:
        check_settings(settings)
    except LedgerError as error:
        raise _wrong(f"lab.toml {error.field}", error.found, error.expected) from None
    return settings


def check_settings(settings: Settings) -> None:
    """Check what types cannot say.

    Raises:
        FormatError: an address that is none, or a cluster or a scheduler's name given twice.
    """
    for address in settings.ledger.nodes:
        parse_address(address)
    require_unique([cluster.id for cluster in settings.clusters], field="cluster.id")
    names = [name for cluster in settings.clusters for name in cluster.schedulers or (cluster.id,)]
    require_unique(names, field="cluster.schedulers")


def encode_settings(settings: Settings) -> bytes:
    """Write the file.

    Raises:
        FormatError: settings that `parse_settings` would refuse.
    """
    lines = [
        "# Settings of a lab; docs/labs.md explains each. Paths are relative to this folder.",
        *_table("[lab]", settings.lab),
        *_table("[ledger]", settings.ledger),
        *_table("[report]", settings.report),
        *_table("[slurm]", settings.slurm),
    ]
    for cluster in settings.clusters:
        lines += _table("[[cluster]]", cluster)
    raw = "\n".join([*lines, ""]).encode()
    if parse_settings(raw) != settings:
        raise FormatError(field="settings", found="other values", expected="settings that the file can hold")
    return raw


def parse_cluster(text: str, *, public_capacity: bool = True) -> ClusterTable:
    """Read a cluster as the command line gives it: `id:facility:country`, or with chips, `…:h100=1024,a100=8`.

    Raises:
        FormatError: another form.
    """
    expected = "id:facility:country, such as c1:Hall 1:DE, with chips c1:Hall 1:DE:h100=1024,a100=8"
    cluster_id, facility, country, chips, *more = [*(part.strip(' "') for part in text.split(":")), "", "", "", ""][:5]
    if any(more) or text.count(":") > 3:
        raise FormatError(field="cluster", found=text, expected=expected)
    pairs = [part.partition("=") for part in chips.split(",")] if chips else []
    if len({model.strip() for model, _, _ in pairs}) != len(pairs):
        raise FormatError(field="cluster", found=text, expected="each model once")
    table = {
        "id": cluster_id,
        "facility": facility,
        "country": country,
        "chips": {model.strip(): _count(count.strip()) for model, _, count in pairs},
        "public_capacity": public_capacity,
    }
    try:
        return msgspec.convert(table, ClusterTable)
    except msgspec.ValidationError as error:
        raise FormatError(field="cluster", found=f"{text} ({error})", expected=expected) from None


def _count(text: str) -> int | str:
    """Leave what is no number to the type's own message."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 16 else text


def _table(title: str, table: msgspec.Struct) -> list[str]:
    """Write one table: TOML's basic strings take what JSON writes."""
    lines = ["", title]
    for name, value in msgspec.to_builtins(table).items():
        lines.append(f"{name} = {_value(value)}")
    return lines


def _value(value: object) -> str:
    match value:
        case dict() if value:
            return "{ " + ", ".join(f"{_value(key)} = {_value(item)}" for key, item in value.items()) + " }"
        case list() | tuple():
            return "[" + ", ".join(_value(item) for item in value) + "]"
        case _:
            return msgspec.json.encode(value).decode().replace("\x7f", "\\u007f")


def _wrong(field: str, found: object, expected: str) -> ConditionError:
    return ConditionError(field=field, found=found, expected=expected, code=Code.CONFIG)
