"""`counterseal lab …` as people run it: from an empty folder to a receipt, against whole nodes; and what goes wrong."""

import json
import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from counterseal import Exit
from devnet.network import find_free_ports
from lab.home import Home, read_ledger, read_settings
from lab.stored import Progress
from lab.vault import open_vault
from ledger.charter import ledger_keys, parse_charter
from ledger.encoding import encode_base64
from ledger.errors import Code
from ledger.verify import verify_receipt
from tests.lab.desks import CHEAP, INTERVAL_S, Desk, Done, Network, name_lab, run_network


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    with run_network(tmp_path_factory.mktemp("nodes")) as running:
        yield running


@pytest.fixture
def desk(network: Network, tmp_path: Path, request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]) -> Desk:
    """A lab of its own for each test."""
    return Desk(network, tmp_path, name_lab(request), capsys)


# --- the whole way ---------------------------------------------------------------------------------------------------


def test_from_an_empty_folder_to_a_receipt_that_anyone_can_verify(desk: Desk, network: Network) -> None:
    made = desk.init()
    assert (made.code, made.out.strip()) == (0, str(Home(desk.home).request))

    registered = desk.countersign(desk.nation_registers())
    assert registered.code == 0
    assert "Hall 1, DE; chips: 64 h100" in registered.out
    assert "sealed at index" in registered.out

    interval = desk.wait_over()
    start = network.charter.grid.start + interval * INTERVAL_S
    export = desk.export(f"{start},{start + 1}")
    built = desk("report", "--interval", str(interval), "--from", export, "--passphrase-file", desk.secret)
    assert built.code == 0, built.err
    assert "PUBLIC" in built.out
    assert "HIDDEN" in built.out
    assert "busy_chip_seconds" in built.out
    assert "matched no rule" in built.err

    sent = desk("submit", "--interval", str(interval), "--json")
    assert sent.code == 0, sent.err
    (filed,) = sent.json
    assert (filed["state"], filed["interval"], filed["refusal"]) == ("sealed", interval, None)
    proof = Path(filed["receipt"])
    assert proof.name == f"{desk.lab}-{interval}.tlog-proof"
    charter = parse_charter(proof.with_name("charter.entry").read_bytes())
    assert charter.fingerprint == network.charter.fingerprint
    entry = proof.with_suffix(".entry").read_bytes()
    raw = proof.read_bytes()
    assert verify_receipt(raw, entry=entry, keys=ledger_keys(charter)).index == filed["index"]

    again = desk("submit", "--interval", str(interval), "--json")
    assert [(line["state"], line["index"]) for line in again.json] == [("sealed", filed["index"])]
    status = (desk("status", "--json")).json
    lines = [line for line in status["intervals"] if line["interval"] == interval]
    assert [(line["state"], line["index"], line["kind"]) for line in lines] == [("sealed", filed["index"], "report")]
    assert status["registrations"][0]["state"] == "sealed"


def test_a_report_is_shown_before_anything_is_kept_and_json_hides_what_is_hidden(desk: Desk) -> None:
    desk.register()
    interval = desk.wait_over()
    dry = desk.build(interval, "--dry-run", "--json")
    assert dry.code == 0, dry.err
    (row,) = dry.json["rows"]
    assert dry.json["state"] is None
    assert row["public"]["limits_respected"] == {"run-cap": True}
    assert set(row["hidden"]["energy_wh"]) == {"digest"}
    shown = desk.build(interval, "--dry-run", "--json", "--show-hidden")
    assert shown.json["rows"][0]["hidden"]["busy_chip_seconds"]["value"] == 0
    assert (desk("submit", "--json")).json == []
    assert list((desk.home / "vault").glob("*.json")) == []


def test_several_reports_built_one_after_another_are_sealed_in_one_go(desk: Desk) -> None:
    desk.register()
    first = desk.wait_over()
    second = desk.wait_over()
    for interval in (first, second):
        built = desk.build(interval, "--json")
        assert built.json["state"] == "built"
    sent = desk("submit", "--all", "--json")
    assert sent.code == 0, sent.err
    assert [(line["interval"], line["state"], line["sequence"]) for line in sent.json] == [
        (first, "sealed", 0),
        (second, "sealed", 1),
    ]


def test_a_correction_names_what_it_corrects_and_has_files_of_its_own(desk: Desk) -> None:
    desk.register()
    interval = desk.wait_over()
    desk.build(interval)
    assert (desk("submit")).code == 0
    export = desk.export()
    words = ("--corrects", str(interval), "--from", export, "--passphrase-file", desk.secret)
    assert (desk("report", *words)).code == Exit.USAGE
    built = desk("report", *words, "--reason", "meter was read twice", "--json")
    assert built.json["kind"] == "correction"
    sent = desk("submit", "--json")
    assert sent.json[0]["state"] == "sealed"
    assert Path(sent.json[0]["receipt"]).name == f"{desk.lab}-{interval}-correction-1.tlog-proof"
    more = ("--from", export, "--passphrase-file", desk.secret, "--reason", "once more", "--json")
    again = desk("correct", str(interval), *more)
    assert (again.json["kind"], again.json["sequence"]) == ("correction", 2), again.err


def test_what_was_handed_in_without_waiting_gets_its_receipt_later(desk: Desk) -> None:
    desk.register()
    interval = desk.wait_over()
    desk.build(interval)
    handed = desk("submit", "--no-wait", "--json")
    assert [(line["state"], line["index"]) for line in handed.json] == [("submitted", None)]
    fetched = desk("submit", "--json")
    assert [line["state"] for line in fetched.json] == ["sealed"]


def test_an_archival_receipt_is_fetched_once_the_grid_has_gone_on(desk: Desk, network: Network) -> None:
    desk.register()
    interval = desk.wait_over()
    desk.build(interval)
    desk("submit")
    output = desk.folder / "kept" / "for-decades.tlog-proof"
    output.parent.mkdir()
    words = ("--interval", str(interval), "--archival", "-o", output, "--timeout", "20")
    done = desk("receipt", *words)
    assert done.code == 0, done.err
    home = Home(desk.home)
    ledger = read_ledger(home, read_settings(home))
    entry = output.with_suffix(".entry").read_bytes()
    verified = verify_receipt(output.read_bytes(), entry=entry, keys=ledger.keys)
    assert len(verified.checkpoint.cosigners_ml_dsa) >= network.charter.quorum
    assert output.with_name("charter.entry").exists()
    assert output.with_name("transcript.json").read_bytes() == ledger.transcript


def test_a_key_is_replaced_by_the_one_that_was_promised(desk: Desk) -> None:
    desk.register()
    early = desk("request", "--rotate-key", "--passphrase-file", desk.secret, *CHEAP, "--json")
    twice = desk("request", "--rotate-key", "--passphrase-file", desk.secret, *CHEAP)
    assert early.code == 0, early.err
    assert "one registration at a time" in twice.err
    first = desk.wait_over()
    desk.build(first)  # signed by the key that is still registered
    assert (desk("submit")).code == 0
    renewed = desk.countersign(desk.nation_registers())
    assert renewed.code == 0, renewed.err
    second = desk.wait_over()
    desk.build(second)
    sent = desk("submit", "--json")
    assert [line["state"] for line in sent.json] == ["sealed"]
    assert len((desk("status", "--json")).json["registrations"]) == 2


# --- what survives ---------------------------------------------------------------------------------------------------


def test_after_a_crash_between_vault_and_network_the_same_bytes_get_the_same_index(desk: Desk) -> None:
    desk.register()
    interval = desk.wait_over()
    desk.build(interval)
    crashed = desk.folder / "as-it-was-when-it-crashed"
    shutil.copytree(desk.home, crashed)
    before = (desk("submit", "--json")).json
    after = (desk.run("submit", "--home", crashed, "--json")).json
    assert [(line["leaf"], line["index"]) for line in after] == [(line["leaf"], line["index"]) for line in before]


def test_a_backup_restores_to_a_folder_that_works(desk: Desk) -> None:
    desk.register()
    interval = desk.wait_over()
    desk.build(interval)
    archive = desk.folder / "lab.tar.gz"
    done = desk("backup", "-o", archive, "--json")
    assert (done.code, done.json["statements"]) == (0, 1)
    assert archive.stat().st_mode & 0o777 == 0o600
    restored = desk.folder / "restored"
    with tarfile.open(archive) as tar:
        # Python before 3.11.4 knows no filter.
        if hasattr(tarfile, "data_filter"):
            tar.extractall(restored, filter="data")
        else:
            tar.extractall(restored)
    sent = desk.run("submit", "--home", restored / desk.lab, "--json")
    assert [line["state"] for line in sent.json] == ["sealed"]
    assert (desk("backup", "-o", archive)).code == Exit.CONDITION


def test_an_outdated_backup_does_not_tell_a_second_story(desk: Desk) -> None:
    desk.register()
    interval = desk.wait_over()
    outdated = desk.folder / "outdated"
    shutil.copytree(desk.home, outdated)
    desk.build(interval)
    assert (desk("submit")).code == 0
    words = ("--interval", str(interval), "--from", desk.export(), "--passphrase-file", desk.secret)
    refused = desk.run("report", "--home", outdated, *words)
    assert refused.code == Exit.CONDITION
    assert "restore the newest backup" in refused.err
    assert list((outdated / "vault").glob("*.json")) == []


def test_reports_go_on_while_a_node_is_down(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with run_network(tmp_path) as own:
        desk = Desk(own, tmp_path, "lab-x", capsys)
        desk.register()
        own.stop(0)
        interval = desk.wait_over()
        assert (desk.build(interval)).code == 0
        sent = desk("submit", "--json")
        assert [line["state"] for line in sent.json] == ["sealed"]


# --- what is refused -------------------------------------------------------------------------------------------------


def assert_one_sentence(done: Done, code: Code, exit_code: int) -> None:
    """One line on stderr beside notes, with the stable code, and nothing on stdout that looks like success."""
    (sentence,) = [line for line in done.err.splitlines() if line.startswith("counterseal: ")]
    assert sentence.endswith(f"[{code}]")
    assert done.code == exit_code


def test_an_interval_that_is_not_over_is_named_with_its_end(desk: Desk) -> None:
    desk.register()
    done = desk.build(10**6)
    assert_one_sentence(done, Code.INTERVAL_NOT_OVER, Exit.REJECTED)
    assert "which ends at 20" in done.err
    assert "run this again then" in done.err


def test_a_lab_that_is_not_registered_is_told_what_to_do(desk: Desk) -> None:
    desk.init()
    done = desk("report", "--last", "--from", desk.export(), "--passphrase-file", desk.secret)
    assert_one_sentence(done, Code.INTERVAL_BEFORE_REGISTRATION, Exit.REJECTED)
    assert "is not registered" in done.err


def test_a_second_report_of_an_interval_is_refused_before_anything_is_signed(desk: Desk) -> None:
    desk.register()
    interval = desk.wait_over()
    desk.build(interval)
    done = desk.build(interval)
    assert_one_sentence(done, Code.INTERVAL_ALREADY_REPORTED, Exit.REJECTED)
    assert "whose report is built" in done.err


def test_another_fingerprint_is_another_ledger(desk: Desk) -> None:
    done = desk.init("--charter-fingerprint", "ab" * 32, "--timeout", "1")
    assert_one_sentence(done, Code.WRONG_LEDGER, Exit.REJECTED)
    assert desk.network.charter.fingerprint in done.err
    assert not desk.home.exists()


def test_a_nation_that_adds_something_gets_no_countersignature(desk: Desk) -> None:
    desk.init()
    asked = json.loads(Home(desk.home).request.read_bytes())
    asked["clusters"].append({"id": "somebody-elses", "facility": "x", "country": "XX", "capacity": None})
    done = desk.countersign(desk.nation_registers(json.dumps(asked).encode()))
    assert_one_sentence(done, Code.POLICY, Exit.REFUTED)
    assert "registration.clusters" in done.err
    assert not Home(desk.home).registrations.exists()


def test_a_registration_that_the_nation_did_not_sign_gets_no_countersignature(desk: Desk) -> None:
    desk.init()
    path = desk.nation_registers()
    offer = json.loads(path.read_text())
    path.write_text(json.dumps(offer | {"signature": encode_base64(bytes(64))}))
    assert_one_sentence(desk.countersign(path), Code.SIGNATURE, Exit.REFUTED)
    path.write_text("{}")
    assert_one_sentence(desk.countersign(path), Code.FORMAT, Exit.MALFORMED)


def test_when_no_node_can_be_reached_each_is_named_with_the_reason(desk: Desk) -> None:
    desk.register()
    interval = desk.wait_over()
    dead = [f"127.0.0.1:{port}" for port in find_free_ports(2)]
    settings = desk.home / "lab.toml"
    addresses = ", ".join(f'"{address}"' for address in desk.network.addresses)
    settings.write_text(settings.read_text().replace(addresses, ", ".join(f'"grpc://{each}"' for each in dead)))
    done = desk.build(interval, "--timeout", "1")
    assert_one_sentence(done, Code.UNREACHABLE, Exit.UNAVAILABLE)
    assert all(f"grpc://{address} (" in done.err for address in dead)
    assert (desk("status")).code == 0, "what is on the disk needs no node"


def test_a_wrong_passphrase_is_no_damage(desk: Desk) -> None:
    desk.register()
    interval = desk.wait_over()
    desk.secret.write_text("another\n")
    assert_one_sentence(desk.build(interval), Code.PASSPHRASE, Exit.CONDITION)
    desk.secret.chmod(0o644)
    assert_one_sentence(desk.build(interval), Code.CONFIG, Exit.CONDITION)
    words = ("--interval", str(interval), "--from", desk.export())
    assert_one_sentence(desk("report", *words), Code.PASSPHRASE, Exit.CONDITION)


def test_a_damaged_vault_is_found_by_every_command_that_reads_it(desk: Desk) -> None:
    desk.register()
    desk.build(desk.wait_over())
    (path,) = (desk.home / "vault").glob("*.json")
    path.write_bytes(path.read_bytes().replace(b'"envelope":"ey', b'"envelope":"fy'))
    for command in (("status",), ("submit",), ("backup", "-o", desk.folder / "b.tar.gz")):
        assert_one_sentence(desk(*command), Code.STORE_DAMAGED, Exit.CONDITION)
    assert not (desk.folder / "b.tar.gz").exists()


@pytest.mark.parametrize(
    ("name", "code"),
    [("charter.entry", Code.STORE_DAMAGED), ("transcript.json", Code.STORE_DAMAGED), ("lab.toml", Code.CONFIG)],
)
def test_a_damaged_folder_is_not_used(desk: Desk, name: str, code: Code) -> None:
    desk.init()
    (desk.home / name).write_bytes(b"{}")
    assert_one_sentence(desk("status"), code, Exit.CONDITION)


def test_a_folder_that_was_never_set_up_is_said_to_be_none(desk: Desk) -> None:
    done = desk("status")
    assert_one_sentence(done, Code.CONFIG, Exit.CONDITION)
    assert "counterseal lab init" in done.err


def test_an_interrupted_init_is_completed_with_the_same_keys(desk: Desk) -> None:
    desk.init()
    keys = Home(desk.home).keys.read_bytes()
    assert_one_sentence(desk.init(), Code.CONFIG, Exit.CONDITION)
    (desk.home / "lab.toml").unlink()
    assert (desk.init()).code == 0
    assert Home(desk.home).keys.read_bytes() == keys


@pytest.mark.parametrize(
    "words",
    [
        ("report", "--from", "EXPORT"),
        ("report", "--interval", "1", "--last", "--from", "EXPORT"),
        ("report", "--interval", "1", "--reason", "x", "--from", "EXPORT"),
        ("report", "--interval", "1"),
        ("report", "--interval", "one", "--from", "EXPORT"),
        ("submit", "--interval", "1", "--all"),
    ],
)
def test_a_wrong_command_line_is_a_usage_error(desk: Desk, words: tuple[str, ...]) -> None:
    desk.init()
    done = desk(*(str(desk.export()) if word == "EXPORT" else word for word in words))
    assert done.code == Exit.USAGE
    assert done.out == ""


def test_a_refusal_by_the_rules_frees_the_number_only_when_enough_nodes_agree(desk: Desk, network: Network) -> None:
    desk.register()
    interval = desk.wait_over()
    twin = desk.folder / "twin"
    shutil.copytree(desk.home, twin)
    desk.build(interval)
    words = ("--interval", str(interval), "--from", desk.export(), "--passphrase-file", desk.secret)
    assert (desk.run("report", "--home", twin, *words)).code == 0  # the same number, in another folder: not sent yet
    assert (desk("submit")).code == 0
    settings = (twin / "lab.toml").read_text()
    alone = settings.replace(", ".join(f'"{a}"' for a in network.addresses), f'"{network.addresses[0]}"')
    (twin / "lab.toml").write_text(alone)
    one = desk.run("submit", "--home", twin, "--json")
    assert_one_sentence(one, Code.EQUIVOCATION, Exit.REJECTED)
    assert [line["state"] for line in one.json] == ["submitted"]
    (twin / "lab.toml").write_text(settings)
    four = desk.run("submit", "--home", twin, "--json")
    assert [line["state"] for line in four.json] == ["refused"]
    with open_vault(twin / "vault") as vault:
        assert [stored.progress for stored in vault.read_all()] == [Progress.REFUSED]
