"""`lab.settings`: what is written is read again, and a mistyped setting is named."""

import re
from pathlib import Path

import pytest

from lab.settings import (
    ClusterTable,
    LabTable,
    LedgerTable,
    ReportTable,
    Settings,
    SlurmTable,
    encode_settings,
    parse_cluster,
    parse_settings,
)
from ledger.errors import Code, ConditionError, FormatError

FULL = Settings(
    lab=LabTable(id="lab-a", name='A "lab" \\ with \u00e9'),
    ledger=LedgerTable(fingerprint="ab" * 32, nodes=("grpc://a:1", "grpcs://[::1]:2"), certificate_authority="ca.pem"),
    report=ReportTable(mapping="mapping.toml"),
    slurm=SlurmTable(models={"NVIDIA \u007f h100": "h100"}, default_model="h100"),
    clusters=(
        ClusterTable(id="c1", facility="Hall 1", country="DE", schedulers=("aurora", "old"), chips={"h100": 1024}),
        ClusterTable(id="c2", facility="Hall 2", country="FR", chips={"a100": 8, "h100": 2}, public_capacity=False),
        ClusterTable(id="c3", facility="Hall 3", country="FR"),
    ),
)


def test_settings_are_read_as_they_were_written() -> None:
    assert parse_settings(encode_settings(FULL)) == FULL


def test_the_settings_in_the_documentation_are_settings() -> None:
    document = (Path(__file__).resolve().parents[2] / "docs" / "labs.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```toml\n(.*?)```", document, re.DOTALL)
    settings = parse_settings(block.encode())
    assert settings.clusters[0].chips == {"h100": 16}


def test_a_hand_written_file_needs_little() -> None:
    raw = f'[lab]\nid = "a"\nname = "A"\n[ledger]\nfingerprint = "{"00" * 32}"\nnodes = ["grpc://a:1"]\n'
    settings = parse_settings(raw.encode())
    assert (settings.clusters, settings.report.mapping, settings.slurm.models) == ((), "", {})


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (("nodes = ", "nods = "), "nods"),
        (('id = "lab-a"', 'id = "Lab A"'), "lab.id"),
        (('"grpc://a:1"', '"http://a:1"'), "http://a:1"),
        (('id = "c2"', 'id = "c1"'), "cluster.id"),
        (('"old"', '"c3"'), "cluster.schedulers"),
        (('country = "DE"', 'country = "Germany"'), "country"),
        (("1024", "-1"), "chips"),
        (("1024", "0.5"), "chips"),
        (("[lab]", "[lab"), "lab.toml"),
        (('fingerprint = "ab', 'fingerprint = "xy'), "fingerprint"),
    ],
)
def test_a_wrong_setting_is_named(change: tuple[str, str], named: str) -> None:
    text = encode_settings(FULL).decode()
    assert change[0] in text
    with pytest.raises(ConditionError, match=named) as caught:
        parse_settings(text.replace(*change, 1).encode())
    assert caught.value.code is Code.CONFIG


@pytest.mark.parametrize("raw", [b"\xff", b"", b"a" * 300_000, b"[" * 10_000])
def test_what_is_no_settings_file_is_refused(raw: bytes) -> None:
    with pytest.raises(ConditionError):
        parse_settings(raw)


def test_a_cluster_without_other_names_is_called_by_its_id() -> None:
    assert [cluster.reported().schedulers for cluster in FULL.clusters] == [("aurora", "old"), ("c2",), ("c3",)]


def test_chips_are_registered_only_where_they_are_public() -> None:
    assert [cluster.registered().capacity for cluster in FULL.clusters[1:]] == [None, None]
    capacity = FULL.clusters[0].registered().capacity
    assert capacity is not None
    assert [(line.model, line.count) for line in capacity] == [("h100", 1024)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("c1:Hall 1:DE", ClusterTable(id="c1", facility="Hall 1", country="DE")),
        ('c1:"Hall 1":DE', ClusterTable(id="c1", facility="Hall 1", country="DE")),
        (
            "c1:Hall 1:DE:h100=1024,a100=8",
            ClusterTable(id="c1", facility="Hall 1", country="DE", chips={"h100": 1024, "a100": 8}),
        ),
    ],
)
def test_a_cluster_is_read_from_the_command_line(text: str, expected: ClusterTable) -> None:
    assert parse_cluster(text) == expected


@pytest.mark.parametrize(
    "text",
    ["", "c1", "c1:Hall", "c1:Hall:de", "C1:Hall:DE", "c1:Hall:DE:h100", "c1:Hall:DE:h100=x", "c1:Hall:DE:h100=1_0",
     "c1:Hall:DE:h100=1,h100=2", "c1:Hall:DE:h100=1:x", "c1::DE"],
)  # fmt: skip
def test_what_is_no_cluster_is_refused(text: str) -> None:
    with pytest.raises(FormatError, match="cluster"):
        parse_cluster(text)
