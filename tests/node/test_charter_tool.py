"""`counterseal charter …`: presets that make charters, drafts that read back, and what is refused."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import msgspec
import pytest
from msgspec import Meta

import counterseal
from ledger.charter import Accelerator, ConsensusParameters, Grid, KeyName, Limit, parse_charter_payload
from ledger.domains import CEREMONY_SESSION
from ledger.positions import Millis
from ledger.statements.intoto import Name, find_kind, parse_quantity
from ledger.threshold.dealing import PublicPolynomial
from ledger.threshold.group import backend
from node.draft import Draft, PublicFile, build_charter_payload, compute_session, encode_public_file, parse_draft
from node.presets import PRESETS, ROUNDS_PER_INTERVAL, make_agreement
from tests.node.founders import make_draft, make_founders

FOUNDERS = make_founders(4)
Leave = Callable[..., tuple[int, str, str]]


@pytest.fixture
def leave(capsys: pytest.CaptureFixture[str]) -> Leave:
    """Run a command to its end; gives exit code, stdout and stderr."""

    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as left:
            counterseal.main(["charter", *arguments])
        printed = capsys.readouterr()
        assert "Traceback" not in printed.err + printed.out
        assert isinstance(left.value.code, int)
        return left.value.code, printed.out, printed.err

    return run


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    for number, founder in enumerate(FOUNDERS):
        (tmp_path / f"{number}.json").write_bytes(encode_public_file(founder.public))
    return [str(tmp_path / f"{number}.json") for number in range(len(FOUNDERS))]


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_makes_a_draft_of_which_a_charter_can_be_made(
    preset: str, leave: Leave, files: list[str], tmp_path: Path
) -> None:
    output = tmp_path / "charter.toml"
    words = ("--preset", preset, "--origin", "a.example/1", "--title", "A", "-o", str(output))
    code, printed, said = leave("new", *files, *words)
    assert (code, printed.strip()) == (0, str(output))
    assert "What this cannot do" in said
    draft = parse_draft(output.read_bytes())
    point = backend().encode_g2(backend().g2_generator())
    payload = build_charter_payload(draft, PublicPolynomial((point,) * draft.quorum), transcript_digest=bytes(32))
    assert find_kind(payload) == "charter:v2"
    charter = parse_charter_payload(payload).predicate
    assert getattr(charter, "agreement", None) == draft.agreement
    assert draft.agreement is not None
    assert parse_quantity(draft.agreement.runs.declare_pflop, field="") == PRESETS[preset].declare_pflop


def test_a_draft_explains_itself_the_same_from_its_file(leave: Leave, files: list[str], tmp_path: Path) -> None:
    output = str(tmp_path / "charter.toml")
    said = leave("new", *files, "--preset", "miri", "--origin", "a.example/1", "--title", "A", "-o", output)[2]
    code, explained, _ = leave("explain", output)
    assert code == 0
    assert explained in said
    table = json.loads(leave("explain", output, "--json")[1])
    assert table["warning"] is None
    assert all(sentence in explained for sentences in table["sections"].values() for sentence in sentences)


def test_a_cluster_too_large_for_the_interval_is_told_and_nothing_is_refused(
    leave: Leave, files: list[str], tmp_path: Path
) -> None:
    words = ("--preset", "miri", "--origin", "a.example/1", "--title", "A", "-o", str(tmp_path / "charter.toml"))
    code, _, said = leave("new", *files, *words, "--largest-cluster", "h100:100000")
    assert code == 0
    assert "warning: 100000 h100 at 40 % reach 10^24 operations in 7 hours 1 minute" in said
    code, _, said = leave("explain", str(tmp_path / "charter.toml"), "--largest-cluster", "h100:10000")
    assert (code, said) == (0, "")


@pytest.mark.parametrize("cluster", ["h900:1", "h100", "h100:0", "h100:-1", "h100:1_0", "h100:" + "9" * 5000])
def test_a_cluster_that_cannot_be_is_refused(cluster: str, leave: Leave, files: list[str], tmp_path: Path) -> None:
    output = tmp_path / "charter.toml"
    words = ("--preset", "eu", "--origin", "a.example/1", "--title", "A", "-o", str(output))
    code, _, said = leave("new", *files, *words, "--largest-cluster", cluster)
    assert code == 5
    assert "--largest-cluster" in said
    assert not output.exists()


def test_an_unknown_preset_is_refused_with_those_that_exist(leave: Leave, files: list[str]) -> None:
    code, _, said = leave("new", *files, "--preset", "mars", "--origin", "a.example/1", "--title", "A")
    assert code == 5
    assert "one of eu, miri, ca, ny, eo14110" in said
    assert all(name in leave("presets")[1] for name in (*PRESETS, "none"))


@pytest.mark.parametrize("raw", [b"", b"x =", b'{"payload":', b"\xff" * 99])
def test_what_is_neither_draft_nor_charter_is_not_explained(raw: bytes, leave: Leave, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(raw)
    code, printed, said = leave("explain", str(tmp_path / "file"))
    assert (code, printed) == (3, "")
    assert "[FORMAT]" in said


@pytest.mark.parametrize("interval_s", [1, 7, 24, 3600, 86_400, 86_399])
def test_rounds_divide_whatever_interval_is_chosen(interval_s: int) -> None:
    agreement = make_agreement(PRESETS["eu"], interval_s=interval_s, challenge_window_s=0)
    count, rest = divmod(interval_s, agreement.inspections.round_s)
    assert rest == 0
    assert 1 <= count <= ROUNDS_PER_INTERVAL


class DraftOfVersion1(msgspec.Struct, frozen=True, kw_only=True):
    """As drafts were before there were agreements."""

    origin: KeyName
    title: Name
    quorum: int
    founded_at_ms: Annotated[Millis, Meta(ge=0)]
    grid: Grid
    consensus: ConsensusParameters
    limits: tuple[Limit, ...] = ()
    accelerators: tuple[Accelerator, ...] = ()
    members: tuple[PublicFile, ...]


def test_a_draft_without_agreement_has_the_session_it_always_had() -> None:
    draft: Draft = make_draft(FOUNDERS)
    before = DraftOfVersion1(**{name: getattr(draft, name) for name in DraftOfVersion1.__struct_fields__})
    expected = hashlib.sha256(CEREMONY_SESSION + msgspec.json.encode(before, order="sorted")).digest()
    assert compute_session(draft) == expected
    agreement = make_agreement(PRESETS["eu"], interval_s=draft.grid.interval_s, challenge_window_s=0)
    assert compute_session(msgspec.structs.replace(draft, agreement=agreement)) != expected
