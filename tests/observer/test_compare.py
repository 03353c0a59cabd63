"""From two published folders that do not agree to one file that a stranger checks: by the commands, with real files."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

import counterseal
from counterseal import Exit
from ledger.positions import Millis
from observer import cli
from observer.evidence import PROOF, list_evidence
from tests.ledger.rulebook import NATIONS
from tests.ledger.test_rollbacks import cosigned
from tests.observer.fakeledger import QUORUM, FakeLedger
from tests.observer.forking import fork

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Command:
    """Run a command through the front door; gives exit code, stdout and stderr."""

    def run(*words: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as left:
            counterseal.main([str(word) for word in words])
        printed = capsys.readouterr()
        assert isinstance(left.value.code, int)
        return left.value.code, printed.out, printed.err

    return run


@pytest.fixture
def in_time(ledger: FakeLedger, monkeypatch: pytest.MonkeyPatch) -> None:
    """The commands run at the time of the newest block."""
    monkeypatch.setattr(cli, "_read_clock", lambda: Millis(ledger.chain[-1].header.time_ms))


def flat(text: str) -> str:
    return " ".join(text.replace("│", " ").split())


@pytest.mark.usefixtures("in_time")
def test_an_observer_goes_from_two_folders_to_a_proof_that_a_stranger_checks(
    ledger: FakeLedger, tmp_path: Path, command: Command
) -> None:
    honest = ledger.publish(tmp_path / "honest")
    forked = fork(ledger, 6, later=1).publish(tmp_path / "forked")
    home, known = tmp_path / "copy", ("--charter-fingerprint", ledger.fingerprint.hex())

    code, out, _ = command("observe", "compare", honest, "--home", home, *known)
    assert (code, "1 of 1 sources show one history" in out) == (0, True)
    assert command("observe", "board", "--home", home, "--check")[0] == 0  # strained, by labs that filed nothing
    code, out, err = command("observe", "compare", honest, forked, "--home", home)
    assert (code, "CONTRADICTS" in out, err.count("\n")) == (Exit.REFUTED, True, 1)
    (folder,) = list_evidence(home, "contradiction")
    assert str(folder / PROOF) in err

    code, out, _ = command("observe", "board", "--home", home)
    assert (code, "blind" in out, folder.name in out) == (0, True, True)
    code, out, _ = command("observe", "board", "--home", home, "--json")
    network = json.loads(out)["network"]
    assert (network["state"], network["undecided_forks"]) == ("blind", [folder.name])
    code, _, err = command("observe", "board", "--home", home, "--check")
    assert (code, "blind" in err) == (Exit.REFUTED, True)

    sent = tmp_path / "stranger" / "proof.json"
    sent.parent.mkdir()
    sent.write_bytes((folder / PROOF).read_bytes())
    code, out, _ = command("verify", sent, *known)
    assert code == 0
    said = flat(out)
    assert "a quorum of this ledger sealed two histories" in said
    assert f"key shares of {QUORUM} of {len(NATIONS)} members" in said
    assert f"at least {2 * QUORUM - len(NATIONS)} members broke the rules" in said
    assert f"their own lines stand under both: {NATIONS[0]}.example/node" in said or "nobody is named" in said
    assert "not shown which of the two is the right one" in said
    code, out, _ = command("verify", sent, "--json")
    assert (code, json.loads(out)["kind"], json.loads(out)["fingerprint_compared"]) == (0, "fork", False)
    assert command("verify", sent, "--charter-fingerprint", "00" * 32)[0] == Exit.REFUTED
    raw = bytearray(sent.read_bytes())
    raw[-200] ^= 1
    sent.write_bytes(raw)
    assert command("verify", sent)[0] in {Exit.REFUTED, Exit.MALFORMED}

    code, out, _ = command("observe", "decide", folder.name, "--because", "explained in public", "--home", home)
    assert (code, "decision written" in out) == (0, True)
    code, out, _ = command("observe", "board", "--home", home, "--json")
    assert json.loads(out)["network"]["undecided_forks"] == []
    assert json.loads(out)["contradictions_count"] == 1
    assert (folder / PROOF).exists()


@pytest.mark.usefixtures("in_time")
def test_a_proof_sent_by_somebody_else_is_taken_in(ledger: FakeLedger, tmp_path: Path, command: Command) -> None:
    honest = ledger.publish(tmp_path / "honest")
    known = ("--charter-fingerprint", ledger.fingerprint.hex())
    for home in ("theirs", "ours"):
        assert command("observe", "sync", "--from", honest, "--home", tmp_path / home, *known)[0] == 0
    forked = fork(ledger, 6).publish(tmp_path / "forked")
    assert command("observe", "sync", "--from", forked, "--home", tmp_path / "theirs")[0] == Exit.REFUTED
    (folder,) = list_evidence(tmp_path / "theirs", "contradiction")
    assert command("observe", "keep", folder / PROOF, "--home", tmp_path / "ours")[0] == 0
    assert "blind" in command("observe", "board", "--home", tmp_path / "ours")[1]
    assert command("observe", "keep", folder / "about.json", "--home", tmp_path / "ours")[0] == Exit.MALFORMED


def test_a_member_that_went_back_is_explained_with_what_it_does_not_prove(
    ledger: FakeLedger, tmp_path: Path, command: Command
) -> None:
    published, home = ledger.publish(tmp_path / "published"), tmp_path / "copy"
    known = ("--charter-fingerprint", ledger.fingerprint.hex())
    (published / "checkpoint").write_bytes(cosigned(ledger, ledger.height, 1000))
    (published / "cosignatures").unlink()
    assert command("observe", "compare", published, "--home", home, *known)[0] == 0
    (published / "cosignatures").write_bytes(cosigned(ledger, 6, 2500))
    code, out, err = command("observe", "compare", published, "--home", home)
    assert (code, "cosigned a smaller tree at a later time" in out, "[PROOF]" in err) == (Exit.REFUTED, True, True)
    (folder,) = list_evidence(home, "rollback")
    code, out, _ = command("verify", folder / PROOF, *known)
    said = flat(out)
    assert code == 0
    assert f"member {NATIONS[1]}.example/node" in said
    assert "its clock was set back by at least 1500 s" in said
    assert "nothing against the ledger" in said
    code, out, _ = command("verify", folder / PROOF, "--json")
    assert (json.loads(out)["kind"], json.loads(out)["after"]["cosigned_s"]) == ("rollback", 2500)


def test_sources_that_do_not_answer_are_told_apart_from_those_that_lie(
    ledger: FakeLedger, tmp_path: Path, command: Command
) -> None:
    published, empty = ledger.publish(tmp_path / "published"), tmp_path / "empty"
    empty.mkdir()
    known = ("--charter-fingerprint", ledger.fingerprint.hex())
    words = ("observe", "compare", published, empty, "--home", tmp_path / "copy")
    code, out, _ = command(*words, *known)
    assert (code, "did not answer" in out, "1 of 2 sources" in out) == (0, True, True)
    code, out, _ = command(*words, "--json")
    assert [each["relation"] for each in json.loads(out)["sources"]] == ["same", "unreachable"]
