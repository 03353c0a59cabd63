"""`counterseal nation …` as operators run it, against two real nodes whose charter has an agreement."""

import base64
import dataclasses
import hashlib
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest

import counterseal
from counterseal import Exit
from devnet.network import Network, Waiting, wait_until
from ledger.charter import ledger_keys
from ledger.domains import PAYLOAD_TYPE
from ledger.ed25519 import is_ed25519_signature
from ledger.errors import Code
from ledger.positions import Seconds
from ledger.statements.dsse import encode_pae, sign_envelope
from ledger.statements.inspections import parse_finding
from ledger.statements.intoto import PredicateHeader
from ledger.statements.registry import parse_registration
from ledger.statements.runs import ReleaseReview, TrainingRun, encode_release_review, encode_training_run
from ledger.verify import verify_receipt
from node.presets import PRESETS, make_agreement
from node.setup import Terms
from tests.ledger.rulebook import Key
from tests.network.parties import Caller, calling, charter_of, home_of, make_terms, nation_of
from tests.node.statements import Issuer

AURELIA, BOREALIS = range(2)
LAB, OTHER_LAB = "acme", "north-lab"
NOBODY = "00" * 32
DIGEST = "ab" * 32


def make_agreed_terms() -> Terms:
    """The terms of the other tests here, with an agreement."""
    terms = make_terms()
    agreement = make_agreement(
        PRESETS["miri"], interval_s=terms.grid.interval_s, challenge_window_s=terms.grid.challenge_window_s
    )
    return dataclasses.replace(terms, agreement=agreement)


@dataclass(frozen=True)
class Done:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass
class Desk:
    """An operator at the machine of one node."""

    network: Network
    capture: pytest.CaptureFixture[str]
    number: int = AURELIA

    def __call__(self, *words: str | Path) -> Done:
        self.capture.readouterr()
        with pytest.raises(SystemExit) as left:
            counterseal.main(["nation", *map(str, words), "--home", str(home_of(self.network, self.number).root)])
        printed = self.capture.readouterr()
        assert isinstance(left.value.code, int)
        assert "Traceback" not in printed.err
        return Done(left.value.code, printed.out, printed.err)

    def say(self, *words: str | Path) -> Done:
        """Say something without being asked; it must be sealed."""
        done = self(*words, "--yes")
        assert done.code == Exit.DONE, done.err
        return done

    def at(self, number: int) -> "Desk":
        """The operator of another node, once that node has seen what this one has."""
        other = Desk(self.network, self.capture, number)
        here = self.network.status(self.number)
        assert here is not None
        wait_until(lambda: other.size() >= here.tree_size, Waiting("the same ledger", 30))
        return other

    def size(self) -> int:
        status = self.network.status(self.number)
        return 0 if status is None else status.tree_size


@pytest.fixture(scope="module")
def agreed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    network = Network.create(tmp_path_factory.mktemp("agreed"), 2, make_agreed_terms)
    with network.running():
        for number in (AURELIA, BOREALIS):
            network.start(number)
        for number in (AURELIA, BOREALIS):
            network.wait_ready(number)
        yield network


@pytest.fixture
def desk(agreed: Network, capsys: pytest.CaptureFixture[str]) -> Desk:
    return Desk(agreed, capsys)


@pytest.fixture(scope="module")
def labs(agreed: Network) -> dict[str, Issuer]:
    """A lab of each nation, registered through the public port."""
    ledger = charter_of(agreed).ledger_id.hex()
    made = {}
    for number, lab in ((AURELIA, LAB), (BOREALIS, OTHER_LAB)):
        with calling(agreed.nodes[number].public) as channel:
            caller, nation = Caller(channel), nation_of(agreed, number)
            caller.submit(caller.take_place(nation).register(lab))
        made[lab] = Issuer(lab, ledger, Key(lab).signer)
    return made


def hand_in(network: Network, issuer: Issuer, predicate: PredicateHeader, encode: Any) -> None:
    with calling(network.nodes[AURELIA].public) as channel:
        caller = Caller(channel)
        caller.take_place(issuer)
        header = {"sequence": issuer.sequence, "previous": issuer.previous}
        caller.submit(sign_envelope(encode(msgspec.structs.replace(predicate, **header)), [issuer.signer]))


def make_header(issuer: Issuer) -> dict[str, Any]:
    fields = {"ledger": issuer.ledger, "issuer": issuer.id, "sequence": 0, "previous": NOBODY}
    return fields | {"issued_at": Seconds(0), "corrects": None}


def declare(network: Network, lab: Issuer, run: str) -> None:
    said = TrainingRun(
        **make_header(lab),
        run=run,
        state="declared",
        kind="pre-training",
        base_model=None,
        clusters=(f"{lab.id}-c1",),
        band=23,
        run_band=23,
        cap_band=23,
        checkpoint=None,
        digests=(),
    )
    hand_in(network, lab, said, encode_training_run)


def test_nothing_is_signed_before_it_was_shown_and_agreed_to(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    words = ("propose", "unsaid", "--resolution", "We meet.", "--document", home_of(desk.network, AURELIA).config)
    before = desk.size()
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    done = desk(*words)
    assert done.code == Exit.REFUTED
    assert 'aurelia proposes, as unsaid: put on record "We meet."' in done.err
    assert "2 of 2 members say yes" in done.err
    assert desk.size() == before
    assert desk("approve", "unsaid", "--yes").code == Exit.REJECTED


def test_a_resolution_is_proposed_voted_on_by_both_and_carried(desk: Desk, tmp_path: Path) -> None:
    minutes = tmp_path / "minutes.txt"
    minutes.write_text("We met.")
    desk.say("propose", "meet", "--resolution", "We meet again.", "--document", minutes)
    (told,) = [each for each in desk("proposals", "--json").json if each["proposal"] == "meet"]
    assert (told["proposer"], told["yes"], told["needed"]) == ("aurelia", [], 2)
    assert told["change"]["text"] == "We meet again."
    assert "meet, by aurelia" in desk("proposals").out
    first = desk.say("approve", "meet")
    assert "With this vote 1 of the 2 that it needs say yes" in first.err
    other = desk.at(BOREALIS)
    assert "proposal meet: this nation has not voted" in other("duties").out
    second = other.say("approve", "meet")
    assert "So it is carried" in second.err
    assert "proposal meet" not in other("duties").out
    late = desk.at(AURELIA)("approve", "meet", "--no", "--yes")
    assert (late.code, Code.UNKNOWN_PROPOSAL in late.err) == (Exit.REJECTED, True)


def test_what_is_sealed_comes_with_a_receipt_that_a_stranger_verifies(desk: Desk, tmp_path: Path) -> None:
    receipt = tmp_path / "said.tlog-proof"
    words = ("observe", "nation", "borealis", "--category", "site", "--confidence", "low", "--text", "A hall.")
    evidence = home_of(desk.network, AURELIA).config
    told = desk.say(*words, "--evidence", evidence, "--receipt", receipt, "--json").json
    charter = charter_of(desk.network)
    entry = receipt.with_suffix(".entry").read_bytes()
    assert (tmp_path / "charter.entry").read_bytes() == charter.entry
    verified = verify_receipt(receipt.read_bytes(), entry=entry, keys=ledger_keys(charter, {}))
    assert (verified.leaf.hex(), verified.index, told["sealed"]) == (told["leaf"], told["index"], True)
    found = desk("statement", told["leaf"], "--json")
    assert found.json == {"leaf": told["leaf"], "sealed": True, "index": told["index"], "receipt": None}
    missing = desk("statement", NOBODY)
    assert (missing.code, Code.NOT_FOUND in missing.err) == (Exit.UNAVAILABLE, True)


def test_a_pause_is_proposed_joined_on_a_condition_and_taken_back(desk: Desk) -> None:
    terms = ("--cap", "training_pflop_per_run=1000000000", "--first-interval", "40", "--intervals", "10")
    lift = ("--nations-min", "2", "--lift", "Once it is safe.")
    proposed = desk.say("pause", "propose", "halt", "--title", "A halt", *terms, *lift)
    assert "training_pflop_per_run at most 10^24 operations" in proposed.err
    assert "It begins with interval 40 (" in proposed.err
    other = desk.at(BOREALIS)
    assert "pause halt: this nation has not joined" in other("duties").out
    joined = other.say("pause", "join", "halt", "--if", "aurelia")
    assert "borealis joins the pause halt if aurelia joins too" in joined.err
    assert "must promise pause-halt in every row, from interval 40 (" in joined.err
    (told,) = other("pause", "list", "--json").json
    assert told["accessions"][0]["condition"] == {"nations": ["aurelia"], "nations_min": 0, "lapses": 40}
    shown_words = other("pause", "show", "halt").out
    assert "borealis joins if aurelia joins too" in shown_words
    assert other.say("pause", "withdraw", "halt").code == Exit.DONE
    assert other("pause", "list", "--json").json[0]["accessions"] == []
    again = other("pause", "withdraw", "halt", "--yes")
    assert (again.code, Code.INVALID_FIELD in again.err) == (Exit.REJECTED, True)


@pytest.mark.parametrize(
    ("words", "code", "exit_code"),
    [
        (("approve", "nothing"), Code.UNKNOWN_PROPOSAL, Exit.REJECTED),
        (("pause", "join", "nothing"), Code.UNKNOWN_PAUSE, Exit.REJECTED),
        (("decide", LAB, "nothing", "approved"), Code.UNKNOWN_RUN, Exit.REJECTED),
        (("review", LAB, "nothing", "cleared"), Code.UNKNOWN_REVIEW, Exit.REJECTED),
        (("enforce", "nobody", "fine", "--text", "x"), Code.UNKNOWN_SUBJECT, Exit.REJECTED),
        (("enforce", "nobody", "tickle", "--text", "x"), Code.FORMAT, Exit.MALFORMED),
        (("propose", "Not An Id", "--lift", "p"), Code.FORMAT, Exit.MALFORMED),
        (("propose", "lift-it", "--lift", "nothing"), Code.UNKNOWN_PAUSE, Exit.REJECTED),
        (("withdraw", "nothing", "--because", "x"), Code.UNKNOWN_SUBJECT, Exit.REJECTED),
    ],
)
def test_a_refusal_names_its_code_and_leaves_as_documented(
    words: tuple[str, ...], code: Code, exit_code: Exit, desk: Desk
) -> None:
    done = desk(*words, "--yes")
    assert (done.code, done.out) == (exit_code, "")
    assert f"[{code}]" in done.err


@pytest.mark.parametrize(
    "words",
    [
        ("propose", "p"),
        ("propose", "p", "--lift", "a", "--extend", "b"),
        ("propose", "p", "--extend", "b"),
        ("approve",),
        ("pause", "propose", "p"),
        ("pause", "propose", "p", "--title", "t", "--cap", "x", "--first-interval", "1", "--intervals", "1",
         "--nations-min", "1", "--lift", "x"),
        ("decide", "acme"),
        ("inspectors",),
        ("inspectors", "ada"),
        ("observe", "lab"),
    ],
)  # fmt: skip
def test_a_command_without_what_it_needs_says_what(words: tuple[str, ...], desk: Desk) -> None:
    assert desk(*words, "--yes").code == Exit.USAGE


def test_a_run_is_decided_before_silence_decides(desk: Desk, labs: dict[str, Issuer]) -> None:
    declare(desk.network, labs[LAB], "r-1")
    (told,) = desk("runs", "--json").json
    assert (told["lab"], told["run"], told["state"], told["band"]) == (LAB, "r-1", "declared", 23)
    assert "run r-1 of acme: silence refuses it" in desk("duties").out
    done = desk.say("decide", LAB, "r-1", "approved", "--note", "Seen.")
    assert "The run r-1 of acme is approved" in done.err
    assert desk("runs", "--json").json[0]["state"] == "approved"
    twice = desk("decide", LAB, "r-1", "approved", "--yes")
    assert (twice.code, Code.RUN_STATE in twice.err) == (Exit.REJECTED, True)
    assert desk.at(BOREALIS)("runs", "--json").json == []


def test_a_review_is_taken_step_by_step(desk: Desk, labs: dict[str, Issuer]) -> None:
    declare(desk.network, labs[LAB], "r-2")
    said = ReleaseReview(
        **make_header(labs[LAB]),
        model="m-1",
        runs=("r-2",),
        digest=DIGEST,
        planned_at=Seconds(1_900_000_000),
        digests=(),
    )
    hand_in(desk.network, labs[LAB], said, encode_release_review)
    assert "review of m-1 of acme: silence clears it" in desk("duties").out
    desk.say("review", LAB, "m-1", "info-requested", "--note", "The evaluation, please.")
    (told,) = desk("reviews", "--json").json
    assert (told["stage"], told["ends_ms"]) == ("waiting", None)
    blocked = desk.say("review", LAB, "m-1", "blocked")
    assert "must not release" in blocked.err
    assert "m-1: blocked; it can still be cleared" in desk("reviews").out
    desk.say("review", LAB, "m-1", "cleared")
    assert desk("reviews", "--json").json == []


def test_a_body_from_a_file_is_taken_whole_or_not_at_all(desk: Desk, labs: dict[str, Issuer], tmp_path: Path) -> None:
    body = {"lab": LAB, "measure": "warning", "interval": 2, "until": 5, "text": "Reports came late."}
    file = tmp_path / "body.json"
    file.write_text(json.dumps(body))
    done = desk.say("enforce", "--file", file)
    assert "orders against the lab acme: warning, from interval 2 (" in done.err
    assert desk("enforce", LAB, "--file", file, "--yes").code == Exit.USAGE
    file.write_text(json.dumps(body | {"issuer": "borealis"}))
    assert desk("enforce", "--file", file, "--yes").code == Exit.MALFORMED
    file.write_text("[]")
    assert desk("enforce", "--file", file, "--yes").code == Exit.MALFORMED
    assert desk("enforce", "--file", tmp_path / "none.json", "--yes").code == Exit.CONDITION


def test_who_hands_in_without_waiting_finds_it_sealed_later(desk: Desk, labs: dict[str, Issuer]) -> None:
    done = desk.say("enforce", LAB, "lifted", "--text", "Mended.", "--wait", "0", "--json")
    leaf = done.json["leaf"]
    assert done.json["index"] is None
    wait_until(lambda: bool(desk("statement", leaf, "--json").json["sealed"]), Waiting("a seal", 30))


def test_inspectors_are_named_and_a_finding_is_signed_for_one_to_complete(desk: Desk, tmp_path: Path) -> None:
    key = Key("ada")
    signing, sealing = (msgspec.json.encode(raw).decode().strip('"') for raw in (key.public, Key("box").public))
    done = desk.say("inspectors", f"ada:Ada:{signing}:{sealing}")
    assert "- ada, Ada" in done.err
    report, output = tmp_path / "report.html", tmp_path / "finding.json"
    report.write_text("<p>All well.</p>")
    asked = ("find", "c-1", "ada", "consistent", "--level", "A3", "--report", report, "-o", output)
    assert desk.say(*asked, "--field", "energy_wh=consistent").out.strip() == str(output)
    offer = {name: base64.b64decode(text) for name, text in json.loads(output.read_text()).items()}
    finding = parse_finding(offer["payload"]).predicate
    assert (finding.inspector, finding.report) == ("ada", hashlib.sha256(report.read_bytes()).hexdigest())
    assert is_ed25519_signature(offer["public_key"], offer["signature"], encode_pae(PAYLOAD_TYPE, offer["payload"]))


def test_a_registration_says_from_when_the_clusters_count_and_what_takes_its_place(desk: Desk, tmp_path: Path) -> None:
    cluster = {"id": "new-lab-c1", "facility": "Hall 2", "country": "NO", "capacity": None}
    keys = [{"key": base64.b64encode(Key("new-lab").public).decode(), "status": "active"}]
    request, output = tmp_path / "request.json", tmp_path / "registration.json"
    body = {"lab": "new-lab", "name": "New Lab", "keys": keys, "next_key_sha256": DIGEST, "clusters": [cluster]}
    request.write_text(json.dumps(body))
    done = desk.say("register", request, "-o", output)
    assert 'new-lab, "New Lab", is a lab of aurelia.' in done.err
    assert "on new ones from interval 3 (" in done.err
    assert "- new-lab-c1: Hall 2, NO" in done.err
    assert parse_registration(base64.b64decode(json.loads(output.read_text())["payload"])).predicate.lab == "new-lab"
    other = desk.say("observe", "ledger", "--category", "other", "--confidence", "low", "--text", "So far so good.",
                     "--evidence", request)  # fmt: skip
    assert "it must be signed anew" in other.err
    request.write_text("{}")
    assert desk("register", request, "-o", output, "--yes").code == Exit.MALFORMED


def test_a_node_that_does_not_run_is_told(desk: Desk, tmp_path: Path) -> None:
    (tmp_path / "node.toml").write_bytes(home_of(desk.network, AURELIA).config.read_bytes())
    with pytest.raises(SystemExit) as left:
        counterseal.main(["nation", "duties", "--home", str(tmp_path)])
    assert left.value.code == Exit.UNAVAILABLE
    assert Code.UNREACHABLE in desk.capture.readouterr().err
