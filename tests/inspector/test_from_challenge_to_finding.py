"""Against whole nodes, by the command line alone: a nation asks, a lab hands over, an inspector finds, it is sealed."""

import json
from pathlib import Path

import msgspec
import pytest

import counterseal
from counterseal import Exit
from ledger.encoding import encode_base64
from ledger.errors import Code
from ledger.positions import Interval, LeafIndex
from ledger.statements.inspections import Grounds, Inspector, Named, Request
from node.operating import OperatorClient
from observer.copy import require_copy
from tests.inspector.test_inspect_cli import CHEAP
from tests.lab.desks import ATTEMPTS_MAX, Desk, Done, Network

NATIONS = ("nation-b", "nation-c")
REQUEST = Request(
    fields=("runs", "split", "training_pflop"), records=(LeafIndex(0),), inventory=None, chips=(), recompute=None
)


class Office:
    """Whoever runs commands: lab, observer, inspectors."""

    def __init__(
        self, network: Network, folder: Path, capture: pytest.CaptureFixture[str], *, lab: str = "aurora"
    ) -> None:
        self.network, self.folder, self._capture = network, folder, capture
        self.lab = Desk(network, folder, lab, capture)

    def run(self, *words: str | Path) -> tuple[int, str, str]:
        self._capture.readouterr()
        with pytest.raises(SystemExit) as left:
            counterseal.main([str(word) for word in words])
        printed = self._capture.readouterr()
        assert isinstance(left.value.code, int)
        assert "Traceback" not in printed.err
        return left.value.code, printed.out, printed.err

    def done(self, *words: str | Path) -> str:
        code, out, err = self.run(*words)
        assert code == 0, err
        return out

    def receive(self, name: str, *words: str) -> Path:
        """Bring the copy up to date, and write the receipt of an entry."""
        copy, path = self.folder / "copy", self.folder / f"{name}.tlog-proof"
        self.sync()
        self.done("observe", "receipt", "--home", copy, *words, "-o", path)
        return path

    def sync(self) -> None:
        """Bring the copy up to date."""
        copy, fingerprint = self.folder / "copy", self.network.charter.fingerprint
        self.done(
            "observe", "sync", "--home", copy, "--from", self.network.addresses[0],
            "--charter-fingerprint", fingerprint,
        )  # fmt: skip

    def sign(self, place: int, body: Path) -> str:
        """What `counterseal nation find --file` writes."""
        signed = OperatorClient(self.network.operators[place]).sign("finding", body.read_bytes())
        parts = {"payload": signed.payload, "signature": signed.signature, "public_key": signed.public_key}
        return json.dumps({name: encode_base64(part) for name, part in parts.items()}, indent=2)

    def name_inspectors(self) -> None:
        for place, nation in enumerate(NATIONS, start=1):
            home = self.folder / nation
            words = ("--nation", nation, "--id", "ada", "--name", "Ada", "--passphrase-file", self.lab.secret, *CHEAP)
            self.done("inspect", "init", "--home", home, *words)
            line = msgspec.json.decode((home / "inspector.json").read_bytes(), type=Inspector)
            self.network.say(place, "inspectors", {"inspectors": [line]})

    def report(self) -> int:
        self.lab.register()
        interval = self.lab.wait_over()
        start = self.network.charter.grid.start + interval
        export = self.lab.export(f"{start},{start + 1}")
        secret = ("--passphrase-file", self.lab.secret)
        built = self.lab("report", "--interval", str(interval), "--from", export, *secret, "--json")
        assert built.code == 0, built.err
        assert self.lab("submit").code == 0
        return interval

    def respond(self, challenge: str, *words: str | Path) -> Done:
        """Answer a challenge, once enough nodes have heard of it: it was said to one alone."""
        manner = ("--passphrase-file", self.lab.secret, "--yes", "--json")
        answered = self.lab("respond", challenge, *words, *manner)
        for _ in range(ATTEMPTS_MAX):
            if answered.code != Exit.UNAVAILABLE:
                break
            answered = self.lab("respond", challenge, *words, *manner)
        return answered

    def challenge(self, interval: int, *, name: str = "c-1") -> None:
        self.network.say(
            1,
            "challenge",
            {
                "challenge": name,
                "lab": self.lab.lab,
                "cluster": f"{self.lab.lab}-c1",
                "interval": Interval(interval),
                "request": REQUEST,
                "grounds": Grounds(None, "a rumour"),
                "inspectors": [Named(nation, "ada") for nation in NATIONS],
            },
        )


def find_index(office: Office, kind: str, name: str) -> str:
    """Where the newest entry of a kind stands, as an observer's copy knows it."""
    with require_copy(office.folder / "copy") as copy:
        found = copy.find_newest([kind], name)
    assert found is not None, kind
    return str(found)


def test_a_finding_goes_from_a_challenge_to_the_ledger_by_files(
    agreed_network: Network, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    office = Office(agreed_network, tmp_path, capsys)
    office.name_inspectors()
    interval = office.report()
    office.challenge(interval)
    handed = office.lab.folder / "handed"
    answered = office.respond("c-1", "-o", handed)
    assert answered.code == 0, answered.err

    report = office.receive("report", "--lab", "aurora", "--interval", str(interval))
    challenge = office.receive("challenge", "--index", find_index(office, "challenge", "c-1"))
    response = office.receive("response", "--index", find_index(office, "response", "c-1"))
    registration = office.receive("registration", "--index", find_index(office, "registration", "aurora"))
    charter = ("--charter", tmp_path / "charter.entry", "--charter-fingerprint", agreed_network.charter.fingerprint)
    for place, nation in enumerate(NATIONS, start=1):
        who = ("--home", tmp_path / nation, "--passphrase-file", office.lab.secret, *charter)
        found, body, signed, entry = (tmp_path / f"{nation}.{name}" for name in ("json", "body", "signed", "entry"))
        out = office.done(
            "inspect", "open", handed / f"c-1_{nation}_ada.openings.hpke", *who, "--challenge", challenge,
            "--response", response, "--report", report, "--registration", registration, "-o", found, "--json",
        )  # fmt: skip
        examined = json.loads(out)
        assert (examined["result"], examined["missing"], examined["is_pinned"]) == ("consistent", [], True)
        assert examined["records"] == {"opened": 1, "of": 1}
        office.done("inspect", "find", "--report", found, "--conclusion", "consistent", "--level", "A3", "-o", body)
        signed.write_text(office.sign(place, body))
        office.done("inspect", "countersign", signed, *who, "--report", found, "--yes", "-o", entry)
        receipt = office.folder / f"{nation}.tlog-proof"
        node = ("--node", agreed_network.addresses[0])
        assert "sealed" in office.done("inspect", "submit", entry, *node, *charter, "-o", receipt)
        assert "finding" in office.done("verify", receipt, "--entry", entry, *charter)
        again = office.run("inspect", "submit", entry, *node, *charter, "-o", receipt)
        assert again[0] == 0, "what is there already is answered with its receipt"

        office.done("inspect", "find", "--report", found, "--conclusion", "inconclusive", "-o", body)
        signed.write_text(office.sign(place, body))
        office.done("inspect", "countersign", signed, *who, "--report", found, "--yes", "-o", entry)
        code, _, err = office.run("inspect", "submit", entry, *node, *charter, "-o", tmp_path / "second.tlog-proof")
        assert code == Exit.REJECTED, "an inspector speaks once"
        assert Code.FINDING_KNOWN in err or Code.NOT_AWAITED in err, "or the challenge is settled"
        assert not (tmp_path / "second.tlog-proof").exists()


def test_the_books_of_a_lab_go_from_its_vault_to_an_inspectors_report_by_files(
    agreed_network: Network, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    office = Office(agreed_network, tmp_path, capsys, lab="borealis")
    office.name_inspectors()
    interval = office.report()
    manner = ("--passphrase-file", office.lab.secret, "--yes", "--json")

    def count(at: int, *serials: int) -> None:
        listed = tmp_path / f"chips-{at}.csv"
        lines = [f"borealis-c1,h100,GPU-{serial}" for serial in serials]
        listed.write_text("\n".join(["cluster,model,serial", *lines, ""]))
        done = office.lab("inventory", "--interval", str(at), "--chips", listed, *manner)
        assert done.code == 0, done.err

    count(interval, 1, 2, 3)
    scrap = tmp_path / "scrap.csv"
    scrap.write_text("model,serial\nh100,GPU-3\n")
    words = ("--id", "scrap-1", "--reason", "destroy", "--cluster", "borealis-c1", "--interval", str(interval))
    left = office.lab.run("transfer", "out", "--home", office.lab.home, *words, "--chips", scrap, *manner)
    assert left.code == 0, left.err
    count(interval + 1, 1, 2)

    office.challenge(interval, name="c-2")
    handed = office.lab.folder / "handed"
    answered = office.respond("c-2", "-o", handed, "--books", str(interval))
    assert answered.code == 0, answered.err
    assert "the numbers in inventories and transfers" in answered.err
    report = office.receive("report", "--lab", "borealis", "--interval", str(interval))
    challenge = office.receive("challenge", "--index", find_index(office, "challenge", "c-2"))
    response = office.receive("response", "--index", find_index(office, "response", "c-2"))
    office.done("observe", "receipts", "--home", tmp_path / "copy", "--lab", "borealis", "-o", tmp_path / "books")
    charter = ("--charter", tmp_path / "charter.entry", "--charter-fingerprint", agreed_network.charter.fingerprint)
    out = office.done(
        "inspect", "open", handed / "c-2_nation-b_ada.openings.hpke", "--home", tmp_path / "nation-b",
        "--passphrase-file", office.lab.secret, *charter, "--challenge", challenge, "--response", response,
        "--report", report, "--books", tmp_path / "books", "-o", tmp_path / "found.json", "--json",
    )  # fmt: skip
    examined = json.loads(out)
    assert examined["result"] == "consistent"
    balanced = [one for one in examined["comparisons"] if one["field"] == "counts.h100"]
    assert [(one["check"], one["outcome"], one["expected"]) for one in balanced] == [("X7", "holds", "2 = 3 + 0 - 1")]
    together = office.done(
        "inspect", "balance", tmp_path / "found.json", *charter, "--books", tmp_path / "books",
        "-o", tmp_path / "balance.json",
    )  # fmt: skip
    assert together.startswith("consistent: borealis")
    assert "2 = 3 + 0 - 1" in together


@pytest.mark.parametrize(
    ("node", "code"),
    [("no address", Exit.MALFORMED), ("grpc://127.0.0.1:1", Exit.UNAVAILABLE), ("grpc://" + "a" * 300, Exit.MALFORMED)],
)
def test_a_node_that_is_none_is_told_in_a_sentence(
    agreed_network: Network, tmp_path: Path, capsys: pytest.CaptureFixture[str], node: str, code: Exit
) -> None:
    office = Office(agreed_network, tmp_path, capsys)
    charter = tmp_path / "charter.entry"
    charter.write_bytes(agreed_network.charter.entry)
    words = ("inspect", "submit", charter, "--node", node, "--charter", charter, "--timeout", "2")
    assert office.run(*words)[0] == code
    assert not charter.with_suffix(".tlog-proof").exists()
