"""Receipts, certificates, the board and `verify`: made from one's own copy, checked with nothing but a fingerprint."""

import io
import json
import random
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

import counterseal
from counterseal import Exit
from ledger.errors import Code, ConditionError, FormatError, LedgerError, PolicyError, ProofError, SignatureError
from ledger.merkle import leaf_hash
from ledger.notes import parse_note
from ledger.positions import Interval, LeafIndex, Millis
from ledger.statements.verdicts import STATES_BY_SEVERITY, VerdictState, parse_verdict
from ledger.verify import CAVEAT, parse_certificate
from observer.board import encode_board, make_board, render_board
from observer.copy import FILE, Copy, require_copy
from observer.evidence import keep_evidence
from observer.offline import verify_file
from observer.proofs import certify, find_entry, find_verdict, prove_entry, write_receipt
from observer.subjects import EntrySubject, read_subject
from observer.sync import conclude, open_or_found, sync
from observer.telling import describe_finding, encode_finding, format_time
from tests.conftest import REPOSITORY
from tests.ledger.rulebook import NATIONS
from tests.observer.conftest import make_ledger
from tests.observer.fakeledger import FakeLedger, LedgerSource, copy_of

draw = random.Random(11).randbytes


def copy_with(ledger: FakeLedger, home: Path, *notes: bytes) -> Copy:
    """A copy to which these notes were served."""
    source = LedgerSource(ledger)
    source.notes = list(notes)
    copy = open_or_found(home, [source], fingerprint=ledger.fingerprint)
    conclude(sync(copy, [source], draw=draw))
    return copy


@pytest.fixture
def copy(ledger: FakeLedger, tmp_path: Path) -> Copy:
    return require_copy(copy_of(ledger, tmp_path / "copy"))


def flip_file(path: Path, at: int) -> None:
    raw = bytearray(path.read_bytes())
    raw[at] ^= 1
    path.write_bytes(raw)


# --- receipts --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("index", range(29))
def test_every_entry_has_a_receipt_that_verifies_offline(
    ledger: FakeLedger, copy: Copy, tmp_path: Path, index: int
) -> None:
    written = write_receipt(prove_entry(copy, LeafIndex(index)), copy, tmp_path / "out" / "one.tlog-proof")
    assert [path.name for path in written] == ["one.tlog-proof", "one.entry", "charter.entry"]
    finding = verify_file(written[0], fingerprint=ledger.fingerprint)
    assert finding.receipt.entry == ledger.entries[index]
    assert finding.receipt.index == index
    assert finding.is_pinned
    assert len(finding.receipt.checkpoint.cosigners) == len(NATIONS)


def test_an_entry_is_found_by_index_leaf_or_lab_and_interval(ledger: FakeLedger, copy: Copy) -> None:
    leaf = ledger.labs["lab-0"].latest[0]
    index = next(place for place, entry in enumerate(ledger.entries) if leaf_hash(entry).hex() == leaf)
    assert find_entry(copy, index=index) == index
    assert find_entry(copy, leaf=leaf) == index
    assert find_entry(copy, lab="lab-0", interval=0) == index
    for wrong in (
        {"index": 29},
        {"leaf": "00" * 32},
        {"lab": "lab-0", "interval": 2},
        {"lab": "nobody", "interval": 0},
    ):
        with pytest.raises(ConditionError) as refused:
            find_entry(copy, **wrong)
        assert refused.value.code is Code.NOT_FOUND
    for unclear in ({}, {"index": 1, "leaf": leaf}, {"lab": "lab-0"}, {"interval": 0}, {"index": 1, "lab": "lab-0"}):
        with pytest.raises(ConditionError) as refused:
            find_entry(copy, **unclear)
        assert refused.value.code is Code.CONFIG
    with pytest.raises(FormatError):
        find_entry(copy, leaf="ABC")


def test_the_newest_correction_stands_for_its_report(tmp_path: Path) -> None:
    ledger = make_ledger()
    leaf = ledger.file(460, "lab-0", 3, ["lab-0-a"])
    with require_copy(copy_of(ledger, tmp_path)) as copy:
        found = find_entry(copy, lab="lab-0", interval=3)
    assert leaf_hash(ledger.entries[found]).hex() == leaf


def test_a_receipt_stands_under_the_newest_note_that_a_quorum_cosigned(ledger: FakeLedger, tmp_path: Path) -> None:
    old, new = ledger.note(10, cosigners=3), ledger.note(cosigners=1)
    with copy_with(ledger, tmp_path, new, old) as copy:
        assert len(copy.notes()) == 2
        first, last = LeafIndex(1), LeafIndex(len(ledger.entries) - 1)
        assert prove_entry(copy, first).receipt.note == parse_note(old)
        assert prove_entry(copy, last).receipt.note == parse_note(new)


def test_a_receipt_needs_no_note_but_the_seal(ledger: FakeLedger, tmp_path: Path) -> None:
    copy_of(ledger, tmp_path)
    connection = sqlite3.connect(tmp_path / FILE)
    connection.execute("DELETE FROM notes")
    connection.commit()
    connection.close()
    with require_copy(tmp_path) as copy:
        proven = prove_entry(copy, LeafIndex(7))
    assert proven.verified.checkpoint.cosigners == ()
    assert len(proven.receipt.note.signatures) == 1


def test_nothing_is_written_beside_another_ledgers_charter(copy: Copy, tmp_path: Path) -> None:
    (tmp_path / "charter.entry").write_bytes(b"another")
    with pytest.raises(ConditionError) as refused:
        write_receipt(prove_entry(copy, LeafIndex(3)), copy, tmp_path / "x.tlog-proof")
    assert refused.value.code is Code.CONFIG
    assert not (tmp_path / "x.tlog-proof").exists()


@pytest.mark.parametrize("name", ["one.tlog-proof", "one.entry", "charter.entry"])
def test_one_changed_byte_beside_a_receipt_is_refused(
    ledger: FakeLedger, copy: Copy, tmp_path: Path, name: str
) -> None:
    chance = random.Random(name)
    for _ in range(15):
        written = write_receipt(prove_entry(copy, LeafIndex(8)), copy, tmp_path / "one.tlog-proof")
        at = chance.randrange((tmp_path / name).stat().st_size)
        flip_file(tmp_path / name, at)
        try:
            finding = verify_file(written[0], fingerprint=ledger.fingerprint)
        except LedgerError:
            pass
        else:  # a line of a key that nobody knows any more: it proves nothing, and it is not counted
            assert name == "one.tlog-proof"
            assert len(finding.receipt.checkpoint.cosigners) <= len(NATIONS)
        (tmp_path / "charter.entry").unlink()


def test_a_receipt_is_refused_under_another_charter(ledger: FakeLedger, copy: Copy, tmp_path: Path) -> None:
    other = make_ledger(seed=1)
    written = write_receipt(prove_entry(copy, LeafIndex(8)), copy, tmp_path / "one.tlog-proof")
    with pytest.raises(PolicyError, match="charter"):
        verify_file(written[0], fingerprint=other.fingerprint)
    foreign = tmp_path / "foreign.entry"
    foreign.write_bytes(other.charter_entry)
    with pytest.raises(PolicyError, match="no seal line"):
        verify_file(written[0], charter=foreign)
    assert not verify_file(written[0]).is_pinned
    with pytest.raises(ProofError):
        verify_file(written[0], entry=foreign, fingerprint=ledger.fingerprint)
    with pytest.raises(ConditionError, match="entry"):
        verify_file(written[0], entry=tmp_path / "nowhere")


def test_a_file_that_is_neither_receipt_nor_certificate_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"hello")
    with pytest.raises(FormatError, match="certificate"):
        verify_file(tmp_path / "x")
    with pytest.raises(ConditionError) as refused:
        verify_file(tmp_path / "nowhere")
    assert refused.value.code is Code.CONFIG


def test_a_file_larger_than_any_certificate_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("observer.offline.CERTIFICATE_BYTES_MAX", 100)
    (tmp_path / "x").write_bytes(bytes(101))
    with pytest.raises(FormatError, match="at most 100 bytes"):
        verify_file(tmp_path / "x")


# --- certificates ----------------------------------------------------------------------------------------------------


def test_a_certificate_holds_the_newest_verdict_and_verifies_offline(
    ledger: FakeLedger, copy: Copy, tmp_path: Path
) -> None:
    for (lab, cluster, interval), said in ledger.verdicts.items():
        raw, verified = certify(copy, lab=lab, cluster=cluster, interval=Interval(interval))
        assert verified.verdict == said[-1]
        path = tmp_path / "certificate.json"
        path.write_bytes(raw)
        finding = verify_file(path, fingerprint=ledger.fingerprint)
        assert finding.verdict == said[-1]
        assert finding.kind == "certificate"


def test_a_certificate_carries_the_keys_that_its_post_quantum_lines_need(ledger: FakeLedger, tmp_path: Path) -> None:
    note = ledger.note(cosigners=2, has_ml_dsa=True)
    with copy_with(ledger, tmp_path, note) as copy:
        raw, verified = certify(copy, lab="lab-0", cluster="lab-0-a", interval=Interval(0))
    assert len(parse_certificate(raw).ml_dsa_keys) == 2
    assert len(verified.receipt.checkpoint.cosigners_ml_dsa) == 2


def test_a_certificate_with_one_changed_byte_is_refused(ledger: FakeLedger, copy: Copy, tmp_path: Path) -> None:
    raw, _ = certify(copy, lab="lab-0", cluster="lab-0-a", interval=Interval(0))
    path = tmp_path / "certificate.json"
    chance = random.Random(1)
    for _ in range(60):
        path.write_bytes(raw)
        flip_file(path, chance.randrange(len(raw)))
        try:
            finding = verify_file(path, fingerprint=ledger.fingerprint)
        except LedgerError:
            continue
        assert finding.verdict == ledger.verdicts["lab-0", "lab-0-a", 0][-1]  # a cosignature's name became unknown
        assert len(finding.receipt.checkpoint.cosigners) <= len(NATIONS)


def test_a_certificate_is_refused_with_another_charter_beside_it(
    ledger: FakeLedger, copy: Copy, tmp_path: Path
) -> None:
    raw, _ = certify(copy, lab="lab-0", cluster="lab-0-a", interval=Interval(0))
    path, charter = tmp_path / "c.json", tmp_path / "charter"
    path.write_bytes(raw)
    charter.write_bytes(ledger.charter_entry)
    assert verify_file(path, charter=charter).charter.entry == ledger.charter_entry
    charter.write_bytes(make_ledger(seed=1).charter_entry)
    with pytest.raises(PolicyError):
        verify_file(path, charter=charter)


def test_there_is_no_certificate_without_a_verdict(copy: Copy) -> None:
    with pytest.raises(ConditionError) as refused:
        find_verdict(copy, lab="lab-0", cluster="lab-0-a", interval=Interval(99))
    assert refused.value.code is Code.NOT_FOUND


@pytest.mark.parametrize(
    "query",
    [
        "UPDATE subjects SET position = 28 WHERE kind = 'verdict' AND name = 'lab-0/lab-0-a/0'",
        "UPDATE entries SET entry = replace(entry, 'compliant', 'exceeded!')",
        "UPDATE entries SET entry = zeroblob(length(entry)) WHERE position > 0",
        "UPDATE tiles SET hashes = zeroblob(length(hashes))",
    ],
)
def test_a_copy_changed_on_disk_gives_no_certificate(copy: Copy, tmp_path: Path, query: str) -> None:
    copy.close()
    connection = sqlite3.connect(tmp_path / "copy" / FILE)
    connection.execute(query)
    connection.commit()
    connection.close()
    with pytest.raises(LedgerError), require_copy(tmp_path / "copy") as changed:
        certify(changed, lab="lab-0", cluster="lab-0-a", interval=Interval(0))


# --- the board -------------------------------------------------------------------------------------------------------


def draw_board(copy: Copy, width: int = 160) -> str:
    out = io.StringIO()
    Console(file=out, width=width).print(render_board(make_board(copy, now_ms=copy.head.header.time_ms)))
    return out.getvalue()


def test_the_board_shows_every_newest_verdict_with_its_level_and_the_caveat(ledger: FakeLedger, copy: Copy) -> None:
    board = make_board(copy, now_ms=copy.head.header.time_ms)
    assert {(v.lab, v.cluster, v.interval): v for v in board.verdicts} == {
        key: said[-1] for key, said in ledger.verdicts.items()
    }
    text = draw_board(copy)
    assert "compliant A0" in text
    assert "missing A0" in text
    assert "compliant " not in text.replace("compliant A0", "")
    assert "is not exposed by this ledger alone" in " ".join(text.replace("│", " ").split())
    assert ledger.fingerprint.hex() in text
    assert "never audited" in text
    for nation in NATIONS:
        assert nation.title() in text


def test_the_board_as_json_holds_what_the_table_does(ledger: FakeLedger, copy: Copy) -> None:
    copy.put_audited(copy.head)
    encoded = json.loads(json.dumps(encode_board(make_board(copy, now_ms=copy.head.header.time_ms))))
    assert encoded["caveat"] == CAVEAT
    assert encoded["head"]["height"] == ledger.height == encoded["audited_height"]
    assert len(encoded["verdicts"]) == len(ledger.verdicts)
    assert all(verdict["assurance"] == "A0" for verdict in encoded["verdicts"])
    assert sum(nation["proposed_count"] for nation in encoded["nations"]) == ledger.height
    assert {nation["cosigned_height"] for nation in encoded["nations"]} == {ledger.height}
    first, last = ledger.chain[0].header.time_ms, ledger.chain[-1].header.time_ms
    sealed = sum(bool(each.seal) for each in ledger.chain)
    assert encoded["seals_per_minute_tenths"] == sealed * 600_000 // (last - first)
    assert "(all of it)" in draw_board(copy)


def test_the_board_tells_of_contradictions(copy: Copy, tmp_path: Path) -> None:
    height = copy.head.header.height
    keep_evidence(
        tmp_path / "copy", "contradiction", source="x", said="y", height=height, ours=b"", theirs=b"", seen_ms=Millis(1)
    )
    assert "signed two histories" in draw_board(copy)


def test_the_board_of_a_copy_that_holds_the_charter_alone_is_empty(ledger: FakeLedger, tmp_path: Path) -> None:
    with open_or_found(tmp_path, [LedgerSource(ledger)], fingerprint=ledger.fingerprint) as copy:
        assert "no verdict yet" in draw_board(copy)


def test_a_board_over_changed_verdicts_is_refused(copy: Copy, tmp_path: Path) -> None:
    copy.close()
    connection = sqlite3.connect(tmp_path / "copy" / FILE)
    entry = next(
        (position, entry)
        for position, entry in connection.execute("SELECT position, entry FROM entries")
        if b'"missing"' in entry
    )
    better = entry[1].replace(b'"missing"', b'"pending"')
    connection.execute("UPDATE entries SET entry = ? WHERE position = ?", (better, entry[0]))
    connection.commit()
    connection.close()
    with require_copy(tmp_path / "copy") as changed, pytest.raises(ProofError):
        make_board(changed, now_ms=changed.head.header.time_ms)


# --- what is said ----------------------------------------------------------------------------------------------------


def test_a_finding_is_told_whole(ledger: FakeLedger, copy: Copy, tmp_path: Path) -> None:
    raw, _ = certify(copy, lab="lab-0", cluster="lab-0-a", interval=Interval(2))
    path = tmp_path / "c.json"
    path.write_bytes(raw)
    text = "\n".join(describe_finding(verify_file(path)))
    for part in (
        ledger.fingerprint.hex(),
        "only as good as that fingerprint",
        "lab-0/lab-0-a/2",
        format_time(ledger.chain[-1].header.time_ms),
        "by a quorum of 3 of 3 members",
        f"by {len(NATIONS)} of {len(NATIONS)} members",
        "missing because of NOT_FILED_BY",
        "assurance  A0",
        "may supersede it",
        CAVEAT,
    ):
        assert part in text
    pinned = "\n".join(describe_finding(verify_file(path, fingerprint=ledger.fingerprint)))
    assert "whose fingerprint you gave" in pinned
    encoded = encode_finding(verify_file(path))
    assert encoded["verdict"]["state"] == "missing"
    assert encoded["fingerprint_compared"] is False


def test_a_receipt_of_what_is_no_verdict_claims_no_assurance(ledger: FakeLedger, copy: Copy, tmp_path: Path) -> None:
    index = find_entry(copy, lab="lab-0", interval=0)
    path = write_receipt(prove_entry(copy, index), copy, tmp_path / "one.tlog-proof")[0]
    finding = verify_file(path, fingerprint=ledger.fingerprint)
    text = "\n".join(describe_finding(finding))
    assert "report lab-0/0" in text
    assert "assurance  none" in text
    assert encode_finding(finding)["assurance"] is None


def test_times_are_told_in_utc_also_where_no_calendar_reaches() -> None:
    assert format_time(Millis(1_800_000_000_999)) == "2027-01-15 08:00:00 UTC"
    assert format_time(Millis(2**63 - 1)) == f"{2**63 - 1} ms"


@pytest.mark.parametrize(
    "entry",
    [b"", b"{}", b'{"_type":1}', b"\xff", b'{"payload":"!!"}', b'{"payload":"e30="}', b"[" * 5000,
     b'{"_type":"x","subject":[{"name":"n"}],"predicateType":"urn:other:v1"}',
     b'{"_type":"x","subject":[],"predicateType":"urn:counterseal:verdict:v1"}'],
)  # fmt: skip
def test_an_entry_that_is_about_nothing_known_is_passed_over(entry: bytes) -> None:
    assert read_subject(entry) is None


def test_an_entrys_subject_is_what_its_statement_says(ledger: FakeLedger) -> None:
    kinds = [subject.kind for subject in map(read_subject, ledger.entries) if subject is not None]
    assert kinds[0] == "charter"
    assert {"registration", "report", "verdict"} <= set(kinds)
    for entry in ledger.entries:
        subject = read_subject(entry)
        if subject is not None and subject.kind == "verdict":
            verdict = parse_verdict(entry)
            assert subject == EntrySubject("verdict", f"{verdict.lab}/{verdict.cluster}/{verdict.interval}")


# --- the commands ----------------------------------------------------------------------------------------------------


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Run a command through the front door; gives exit code, stdout and stderr."""

    def run(*words: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as left:
            counterseal.main([str(word) for word in words])
        printed = capsys.readouterr()
        assert isinstance(left.value.code, int)
        return left.value.code, printed.out, printed.err

    return run


def test_an_observer_goes_from_a_fingerprint_to_a_certificate(
    ledger: FakeLedger, tmp_path: Path, command: Callable[..., tuple[int, str, str]]
) -> None:
    published, home = ledger.publish(tmp_path / "published"), tmp_path / "copy"
    fingerprint = ledger.fingerprint.hex()

    code, _, err = command("observe", "sync", "--from", published, "--home", home)
    assert (code, "[CONFIG]" in err) == (Exit.CONDITION, True)
    code, out, _ = command("observe", "sync", "--from", published, "--home", home, "--charter-fingerprint", fingerprint)
    assert code == 0
    assert f"height {ledger.height}" in out
    code, out, _ = command("observe", "sync", "--from", published, "--home", home, "--json")
    assert (code, json.loads(out)["height"]) == (0, ledger.height)

    code, out, _ = command("observe", "audit", "--home", home, "--workers", 0)
    assert (code, CAVEAT in out) == (0, True)
    code, out, _ = command("observe", "audit", "--home", home, "--workers", 0, "--json")
    assert (code, json.loads(out)["holds"]) == (0, True)

    code, out, _ = command("observe", "board", "--home", home)
    assert (code, "compliant A0" in " ".join(out.split()) or "A0" in out) == (0, True)
    code, out, _ = command("observe", "board", "--home", home, "--json")
    assert (code, json.loads(out)["audited_height"]) == (0, ledger.height)

    proof = tmp_path / "out" / "seven.tlog-proof"
    assert command("observe", "receipt", "--home", home, "--index", 7, "-o", proof)[0] == 0
    code, out, _ = command("verify", proof, "--charter-fingerprint", fingerprint)
    assert (code, "whose fingerprint you gave" in out) == (0, True)

    certificate = tmp_path / "out" / "certificate.json"
    choice = ("--lab", "lab-1", "--cluster", "lab-1-b", "--interval", 1)
    code, out, _ = command("observe", "certificate", "--home", home, *choice, "-o", certificate, "--json")
    assert (code, json.loads(out)["verdict"]["state"]) == (0, "missing")
    code, out, _ = command("verify", certificate, "--json")
    assert (code, json.loads(out)["fingerprint_compared"]) == (0, False)

    code, out, _ = command("observe", "policy", "--home", home)
    assert (code, out.splitlines()[-1]) == (0, "quorum nations")
    assert command("observe", "policy", "--home", home, "-o", tmp_path / "policy")[0] == 0
    assert (tmp_path / "policy").read_text() == out


def test_a_wrong_fingerprint_refuses_with_a_sentence_and_an_exit_code(
    copy: Copy, tmp_path: Path, command: Callable[..., tuple[int, str, str]]
) -> None:
    raw, _ = certify(copy, lab="lab-0", cluster="lab-0-a", interval=Interval(0))
    path = tmp_path / "c.json"
    path.write_bytes(raw)
    code, out, err = command("verify", path, "--charter-fingerprint", "00" * 32)
    assert (code, out) == (Exit.REFUTED, "")
    assert err.count("\n") == 1
    assert command("verify", path, "--charter-fingerprint", "xyz")[0] == Exit.MALFORMED
    assert (
        command("observe", "audit", "--home", copy.path.parent, "--charter-fingerprint", "00" * 32)[0] == Exit.REFUTED
    )
    flip_file(path, 2000)
    assert command("verify", path)[0] in {Exit.REFUTED, Exit.MALFORMED}
    assert command("observe", "board", "--home", tmp_path / "nowhere")[0] == Exit.UNAVAILABLE


def test_a_lying_source_is_told_and_the_exit_code_says_so(
    ledger: FakeLedger, tmp_path: Path, command: Callable[..., tuple[int, str, str]]
) -> None:
    honest = ledger.publish(tmp_path / "honest")
    lying = ledger.publish(tmp_path / "lying")
    flip_file(lying / "tile" / "entries" / "000.p" / "29", 9000)
    words = ("observe", "sync", "--from", lying, "--from", honest, "--home", tmp_path / "copy", "--charter-fingerprint")
    code, out, err = command(*words, ledger.fingerprint.hex())
    assert code == Exit.REFUTED
    assert f"{honest}: {ledger.height} blocks" in out
    assert err.startswith(f"counterseal: {lying}: ")
    with require_copy(tmp_path / "copy") as copied:
        assert copied.head == ledger.chain[-1]


def test_verify_starts_without_network_database_or_tables() -> None:
    program = (
        "import sys, counterseal\n"
        "try: counterseal.main(['verify', '/nowhere'])\n"
        "except SystemExit as left: print('LEFT', left.code)\n"
        "heavy = {'grpc', 'httpx', 'sqlite3', 'asyncio', 'multiprocessing', 'rich.table', 'node'}\n"
        "print('IMPORTED', sorted(heavy & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=REPOSITORY, capture_output=True, text=True, check=True, timeout=60
    )
    assert "LEFT 5" in done.stdout
    assert "IMPORTED []" in done.stdout


def test_a_signature_is_not_believed_because_a_copy_was(ledger: FakeLedger, tmp_path: Path) -> None:
    """A copy whose newest seal is another block's is refused when it is opened."""
    copy_of(ledger, tmp_path)
    connection = sqlite3.connect(tmp_path / FILE)
    connection.execute("UPDATE blocks SET seal = ? WHERE height = 12", (ledger.chain[11].seal,))
    connection.commit()
    connection.close()
    with pytest.raises(SignatureError):
        require_copy(tmp_path)


def test_nations_stand_as_their_labs_do_and_shares_are_of_registered_capacity(copy: Copy) -> None:
    board = make_board(copy, now_ms=copy.head.header.time_ms)
    assert board.standing.interval == max(v.interval for v in board.verdicts if v.state != VerdictState.PENDING)
    of_interval = [v for v in board.verdicts if v.interval == board.standing.interval]
    for nation in NATIONS:
        states = [v.state for v in of_interval if v.nation == nation]
        assert board.standing.nations[nation].worst == max(states, key=STATES_BY_SEVERITY.index, default=None)
    assert sum(weight.clusters_count for weight in board.standing.network.weights.values()) == len(of_interval)
    encoded = encode_board(board)["standing"]
    assert encoded["network"]["unweighed_clusters_count"] == len(of_interval)
    assert all(line["assurance"] == "A0" and line["share_permille"] == 0 for line in encoded["network"]["states"])
    assert "not registered" in draw_board(copy)
