"""The node's settings: defaults that read back, refusals that name the setting and the nearest right name."""

import contextlib
import dataclasses
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import Code, ConditionError
from node.config import (
    Config,
    encode_default_config,
    open_config,
    parse_config,
)
from tlog.addresses import Address, parse_address
from tlog.settings import CONFIG_BYTES_MAX

FOLDER = Path("/srv/node")


def refusal(text: str) -> str:
    with pytest.raises(ConditionError) as refused:
        parse_config(text.encode(), folder=FOLDER)
    assert refused.value.code is Code.CONFIG
    return str(refused.value)


def test_the_default_file_reads_as_the_defaults() -> None:
    assert parse_config(encode_default_config().encode(), folder=FOLDER) == parse_config(b"", folder=FOLDER)


def test_the_default_file_explains_every_setting() -> None:
    lines = encode_default_config().splitlines()
    for section in dataclasses.fields(Config):
        assert f"[{section.name}]" in lines
        assert isinstance(section.type, type)
        for setting in dataclasses.fields(section.type):
            places = [place for place, line in enumerate(lines) if line.startswith(f"{setting.name} = ")]
            assert places
            assert all(lines[place - 1].startswith("# ") for place in places)


def test_chosen_values_stand_in_the_written_file() -> None:
    text = encode_default_config(
        peer={"listen": "[::1]:9", "addresses": {"aa": "aa.example:1"}},
        publish={"folder": 'odd "name\\\n\x7f'},
        mempool={"entries_max": 5_000},
    )
    config = parse_config(text.encode(), folder=FOLDER)
    assert config.peer.listen == Address("::1", 9)
    assert config.peer.addresses == {"aa": Address("aa.example", 1)}
    assert config.publish.folder == FOLDER / 'odd "name\\\n\x7f'
    assert config.mempool.entries_max == 5_000


def test_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    file = tmp_path / "node.toml"
    file.write_text('[publish]\nfolder = "../public"\n[node]\nhome = "/var/lib/node"\n')
    config = open_config(file)
    assert config.publish.folder == tmp_path / "../public"
    assert config.node.home == Path("/var/lib/node")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConditionError, match=r"absent\.toml") as refused:
        open_config(tmp_path / "absent.toml")
    assert refused.value.code is Code.CONFIG


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[mempol]", "`mempool`?"),
        ("[publish]\ninterval_ms = 5", "`interval_min_ms`?"),
        ("[publish]\nzzz = 5", "one of folder, interval_min_ms"),
        ("publish = 5", "a section"),
        ("[mempool]\nentries_max = 5", "a whole number of entries from 100 to 10000000"),
        ("[mempool]\nentries_max = 1e9", "a whole number of entries"),
        ('[mempool]\nentries_max = "500"', "a whole number of entries"),
        ("[limits]\ndrain_max_ms = true", "a whole number of ms"),
        ("[clock]\nskew_alarm_ms = 9", "from 10 to 3600000"),
        ('[log]\nlevel = "loud"', "one of debug, info, warning, error"),
        ("[node]\nhome = 5", "text in quotes"),
        ('[node]\nhome = ""', "a path"),
        ('[public]\ntls_key = "key.pem"', "tls_certificate and tls_key together"),
        ('[peer]\naddresses = "aa"', "a table such as"),
        ('[peer]\naddresses = {aa = "aa"}', "host and port"),
        ("[node\nhome", "TOML"),
        ('[operator]\nsocket = "' + "s" * 120 + '"', "at most 103 bytes"),
    ],
)
def test_a_wrong_setting_is_refused_with_what_would_be_right(text: str, expected: str) -> None:
    assert expected in refusal(text)


def test_an_oversized_file_is_refused_before_it_is_read() -> None:
    assert "at most" in refusal("#" * (CONFIG_BYTES_MAX + 1))


def test_a_refusal_names_file_and_setting() -> None:
    assert refusal("[mempool]\nentries_max = 5").startswith("node.toml: mempool.entries_max: found 5;")


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":1",
        "a",
        "a:",
        "a:b",
        "a:65536",
        "a:-1",
        "a:٤",
        "::1:5",
        "[::1]",
        "a:1_0",
        "[]:1",
        "[[::1]]:1",
        "[][]:1",
        "[[][]]:1",
        "a]:1",
    ],
)
def test_an_address_without_one_host_and_port_is_refused(text: str) -> None:
    with pytest.raises(ConditionError):
        parse_address(text, field="f")


@given(
    host=st.sampled_from(["0.0.0.0", "::", "fe80::1", "localhost", "aa.example"]),
    port=st.integers(min_value=0, max_value=65_535),
)
def test_an_address_reads_back(host: str, port: int) -> None:
    assert parse_address(str(Address(host, port)), field="f") == Address(host, port)


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(raw: bytes) -> None:
    with contextlib.suppress(ConditionError):
        assert parse_config(raw, folder=FOLDER).node.home.is_absolute()


def places_of(text: str) -> list[str]:
    return [place.name for place in parse_config(text.encode(), folder=FOLDER).publish.urls]


def test_settings_of_before_publish_elsewhere_to_nowhere() -> None:
    old = '[publish]\nfolder = "public"\ninterval_min_ms = 1000\n'
    config = parse_config(old.encode(), folder=FOLDER)
    assert (config.publish.urls, config.publish.folder) == ((), FOLDER / "public")


def test_places_to_publish_to_are_read_and_written_again() -> None:
    names = ["s3://bucket/ledger", "gs://bucket", "az://container/a", "file:///mnt/disk", "copy"]
    assert places_of(f"[publish]\nurls = {names!r}\n") == [*names[:3], "/mnt/disk", str(FOLDER / "copy")]
    text = encode_default_config(publish={"urls": names[:2]})
    assert 'urls = ["s3://bucket/ledger", "gs://bucket"]' in text
    assert places_of(text) == names[:2]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ('"s3://key:hunter2@bucket"', "a list of at most 8 places"),
        ('{ a = "s3://key:hunter2@bucket" }', "a list of at most 8 places"),
        ('[["s3://key:hunter2@bucket"]]', "a list of at most 8 places"),
        ('["s3://key:hunter2@bucket"]', "a URL without"),
        ('["s3://bucket/a?secret=hunter2"]', "a URL without"),
        ('["https://host/path"]', "a web server does not"),
        ('["s3://bucket/a", "s3://bucket/a/"]', "each place once"),
        ('["public"]', "another place than publish.folder"),
        ('["file:///srv/node/other/../public"]', "another place than publish.folder"),
        ('["ftp://host/path"]', "s3://bucket/path"),
        (repr([f"s3://bucket/{number}" for number in range(9)]), "a list of at most 8 places"),
    ],
)
def test_a_place_that_cannot_be_published_to_is_refused_and_no_secret_is_printed(value: str, expected: str) -> None:
    said = refusal(f"[publish]\nurls = {value}\n")
    assert expected in said
    assert "publish.urls" in said
    assert "hunter2" not in said
