"""Fuzz targets of what observers run beside checking: the monitor, the export, the page; and of the settings files."""

import base64
import json
from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl

from ledger.encoding import decode_hashes, decode_hashes_base64url
from ledger.errors import FormatError
from ledger.positions import Millis
from ledger.statements.runs import parse_run_field
from observer.export.dataset import FileLine, HeadLine, Manifest, TableLine, encode_manifest, parse_manifest
from observer.export.schema import SCHEMA_VERSION
from observer.monitor.alarms import Phase, decode_alarm, encode_alarm, make_alarm
from observer.monitor.config import encode_default_watch_config, parse_watch_config
from observer.monitor.kinds import Kind
from observer.monitor.webhook import SECRET_PREFIX, parse_secret
from observer.web.parameters import BEFORE, INDEX, LAB, parse_parameters
from tests.fuzz.target import Target, same, text_of
from tlog.settings import parse_tables

HASHES: Final = [bytes(range(number, number + 32)) for number in range(3)]
ALARM: Final = make_alarm(
    "00" * 32,
    Kind.SOURCE_WRONG,
    "a source",
    place="1",
    title="it lies",
    text="at length",
    seen_ms=Millis(1),
    phase=Phase.RAISED,
)


def _read_hashes(raw: bytes) -> None:
    texts = text_of(raw).split("\n")
    joined = decode_hashes(texts, field="fuzz")
    same("\n".join(joined[at : at + 32].hex() for at in range(0, len(joined), 32)), "\n".join(texts))


def _read_hashes_base64url(raw: bytes) -> None:
    texts = text_of(raw).split("\n")
    joined = decode_hashes_base64url(texts, field="fuzz")
    again = (base64.urlsafe_b64encode(joined[at : at + 32]).rstrip(b"=") for at in range(0, len(joined), 32))
    same(b"\n".join(again), "\n".join(texts).encode())


def _read_run_field(raw: bytes) -> None:
    """A name and a value of any type, as they come out of a disclosure."""
    name, _, value = text_of(raw).partition("\n")
    try:
        parsed = json.loads(value)
    except (ValueError, RecursionError):
        raise FormatError(field="fuzz", found="no JSON", expected="a value") from None
    same(json.dumps(parse_run_field(name, parsed)), json.dumps(parsed))


def _read_manifest(raw: bytes) -> None:
    manifest = parse_manifest(raw, path=Path("manifest.json"))
    assert parse_manifest(encode_manifest(manifest), path=Path("manifest.json")) == manifest


def _manifests() -> list[bytes]:
    file = FileLine(first=0, end=256, rows=256, size_bytes=9, sha256="11" * 32)
    table = TableLine(complete_to=256, rows=256, files=(file,))
    head = HeadLine(height=3, tree_size=256, root="22" * 32, block="33" * 32, time_ms=5, seal="")
    manifest = Manifest(
        schema_version=SCHEMA_VERSION,
        ledger="00" * 32,
        origin="fuzz.example",
        title="fuzz",
        head=head,
        has_entry_bytes=False,
        range_width=256,
        tables={"entries": table},
    )
    return [encode_manifest(manifest)]


def _read_alarm(raw: bytes) -> None:
    alarm = decode_alarm(text_of(raw), field="fuzz")
    assert decode_alarm(json.dumps(encode_alarm(alarm)), field="fuzz") == alarm


def _read_watch_config(raw: bytes) -> None:
    parse_watch_config(raw, folder=Path("/"))


def _read_tables(raw: bytes) -> None:
    parse_tables(raw, field="fuzz")


def _read_secret(raw: bytes) -> None:
    line = text_of(raw)
    same(f"{SECRET_PREFIX}{base64.b64encode(parse_secret(line, field='fuzz')).decode()}", line)


def _read_parameters(raw: bytes) -> None:
    """A query as a server splits it, and one value in a path."""
    place, _, query = text_of(raw).partition("?")
    asked = parse_parameters([INDEX], [LAB, BEFORE], {INDEX.name: place}, parse_qsl(query, keep_blank_values=True))
    assert str(asked.number(INDEX.name)) == place


TARGETS: Final = {
    "hashes in hex": Target(
        _read_hashes, lambda: ["\n".join(each.hex() for each in HASHES).encode()], ("ledger.encoding.decode_hashes",)
    ),
    "hashes in base64url": Target(
        _read_hashes_base64url,
        lambda: [b"\n".join(base64.urlsafe_b64encode(each).rstrip(b"=") for each in HASHES)],
        ("ledger.encoding.decode_hashes_base64url",),
    ),
    "field of a run": Target(
        _read_run_field, lambda: [b"cap_pflop\n17", b'code\n"ab"'], ("ledger.statements.runs.parse_run_field",), 300
    ),
    "settings": Target(_read_tables, lambda: [b"[a]\nb = 1\n"], ("tlog.settings.parse_tables",)),
    "settings of a monitor": Target(
        _read_watch_config,
        lambda: [encode_default_watch_config().encode(), b'[webhook.a]\nurl = "https://a.example/"\nsecret = "s"\n'],
        ("observer.monitor.config.parse_watch_config",),
    ),
    "manifest of an export": Target(_read_manifest, _manifests, ("observer.export.dataset.parse_manifest",)),
    "alarm": Target(
        _read_alarm, lambda: [json.dumps(encode_alarm(ALARM)).encode()], ("observer.monitor.alarms.decode_alarm",)
    ),
    "secret of a webhook": Target(
        _read_secret,
        lambda: [f"{SECRET_PREFIX}{base64.b64encode(bytes(32)).decode()}".encode()],
        ("observer.monitor.webhook.parse_secret",),
        200,
    ),
    "query of the page": Target(
        _read_parameters,
        lambda: [b"17?lab=lab-0&before=9", b"0"],
        (
            "observer.web.parameters.parse_parameters",
            "observer.web.parameters.Number.parse",
            "observer.web.parameters.Word.parse",
        ),
        300,
    ),
}
