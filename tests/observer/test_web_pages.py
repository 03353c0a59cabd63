"""What the page answers, held against its description and against the same computed another way."""

import base64
import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ledger import domains
from ledger.ed25519 import is_ed25519_signature
from ledger.merkle import Hash, leaf_hash, verify_inclusion
from ledger.ml_dsa import is_ml_dsa_signature
from ledger.positions import Height, Interval, LeafIndex, Millis, TreeSize
from ledger.rules.records.pauses import PAUSES, Phase
from ledger.rules.runs import compute_approval_end_ms
from ledger.rules.verdicts import compute_lab_deadlines
from ledger.statements.verdicts import STATES_BY_SEVERITY
from ledger.threshold import bls
from observer.board import encode_board, make_board
from observer.evidence import keep_evidence
from observer.offline import verify_file
from observer.web import api
from observer.web.openapi import describe_api
from tests.ledger.rulebook import INTERVAL_S, NATIONS, START_S, due, millis
from tests.ledger.training import get_run
from tests.observer.fakeledger import ORIGIN, copy_of
from tests.observer.webstory import SCRIPT, Site, StoryLedger, open_there, tell_story

A, B, C = NATIONS


@pytest.fixture(scope="module")
def ledger() -> StoryLedger:
    return tell_story()


@pytest.fixture(scope="module")
def home(ledger: StoryLedger, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_of(ledger, tmp_path_factory.mktemp("page") / "copy")


@pytest.fixture(scope="module")
def site(ledger: StoryLedger, home: Path) -> Iterator[Site]:
    with Site(home, now_ms=ledger.chain[-1].header.time_ms + 1000) as site:
        yield site


def board_of(ledger: StoryLedger, home: Path) -> dict[str, Any]:
    with open_there(home) as copy:
        return encode_board(make_board(copy, now_ms=Millis(ledger.chain[-1].header.time_ms + 1000)))


def newest(ledger: StoryLedger) -> dict[tuple[str, str, int], tuple[str, str]]:
    return {name: (said[-1].state.value, said[-1].assurance) for name, said in ledger.verdicts.items()}


# --- the network -----------------------------------------------------------------------------------------------------


def as_rollup(encoded: dict[str, Any]) -> dict[str, Any]:
    """What the board says of a sum, as the API spells it."""
    states = [line | {"gflops": str(line["gflops"])} for line in encoded["states"]]
    plain = {name: value for name, value in encoded.items() if name != "faults"}
    return plain | {"registered_gflops": str(encoded["registered_gflops"]), "states": states}


def test_the_overview_says_what_the_board_says(ledger: StoryLedger, home: Path, site: Site) -> None:
    shown, board = site.get("overview"), board_of(ledger, home)
    assert shown["head"] == board["head"] | {"block": board["head"]["block"]}
    assert shown["network"]["state"] == board["network"]["state"] == "strained"
    assert shown["network"]["reasons"] == board["network"]["reasons"]
    assert shown["seals_per_minute_tenths"] == board["seals_per_minute_tenths"]
    assert shown["interval"] == board["standing"]["interval"]
    assert shown["capacity"] == as_rollup(board["standing"]["network"])
    assert shown["charter_fingerprint"] == ledger.fingerprint.hex()
    counts = shown["counts"]
    assert (counts["labs"], counts["clusters"], counts["pauses_active"], counts["misconduct"]) == (3, 4, 1, 1)
    assert counts["verdicts"] == len(ledger.verdicts)
    assert sum(counts["verdicts_by_state"].values()) == len(ledger.verdicts)


def test_capacity_beyond_what_a_number_of_javascript_holds_is_exact(ledger: StoryLedger, site: Site) -> None:
    [row] = [row for row in site.get("heatmap")["rows"] if row["cluster"] == "a2"]
    assert int(row["gflops"]) == 2**53 * 989_400 > 2**64


def test_nations_stand_as_on_the_board(ledger: StoryLedger, home: Path, site: Site) -> None:
    shown, board = site.get("nations"), board_of(ledger, home)
    assert shown["recent_blocks_count"] == board["recent_blocks_count"]
    for nation, line in zip(shown["nations"], board["nations"], strict=True):
        for name in ("id", "name", "node", "proposed_count", "proposed_height", "cosigned_height"):
            assert nation[name] == line[name], name
        standing = board["standing"]["nations"][nation["id"]]
        assert nation["rollup"] == as_rollup(standing)
        assert nation["faults"] == standing["faults"]
        assert nation["seen_ms"] == max(nation["proposed_ms"], nation["cosigned_s"] * 1000)
    assert [nation["faults"] for nation in shown["nations"]] == [[], ["DOUBLE_NOTARIZE"], []]
    assert [block["height"] for block in shown["blocks"]][:2] == [ledger.height, ledger.height - 1]


def test_every_newest_verdict_is_in_its_cell_and_nothing_else_is(ledger: StoryLedger, site: Site) -> None:
    shown = site.get("heatmap?first=0&last=5")
    cells = {
        (row["lab"], row["cluster"], interval): (cell["state"], cell["assurance"])
        for row in shown["rows"]
        for interval, cell in enumerate(row["cells"])
        if cell is not None
    }
    assert cells == newest(ledger)
    assert shown["starts_ms"] == [millis(interval * INTERVAL_S) for interval in range(6)]
    assert [row["cluster"] for row in shown["rows"]] == ["a1", "a2", "b1", "c1"]
    [only] = site.get(f"heatmap?nation={B}")["rows"]
    assert only["lab"] == "beta"
    assert [row["cluster"] for row in site.get("heatmap?lab=acme&offset=1&limit=1")["rows"]] == ["a2"]


def test_a_lab_is_shown_with_its_verdicts_in_full(ledger: StoryLedger, site: Site) -> None:
    lab = site.get("labs/acme")
    assert (lab["nation"], lab["pauses"], lab["name"]) == (A, ["p"], SCRIPT[:100])
    assert lab["keys"] == [ledger.labs["acme"].key.public.hex()]
    assert lab["statements_count"] == ledger.labs["acme"].sequence
    for line in lab["verdicts"]:
        said = ledger.verdicts["acme", line["cluster"], line["interval"]][-1]
        assert (line["state"], line["reasons"]) == (said.state.value, [reason.value for reason in said.reasons])
        assert (line["assurance"], line["report"], line["time_ms"]) == (said.assurance, said.report, said.time_ms)
        if line["report_index"] is not None:
            assert leaf_hash(ledger.entries[line["report_index"]]).hex() == said.report
    assert len(lab["verdicts"]) == sum(name[0] == "acme" for name in ledger.verdicts)
    assert site.problem("labs/nobody")[:2] == (404, "NOT_FOUND")
    assert site.problem("labs/acme?first=4&last=3")[:2] == (400, "TOO_LARGE")
    assert site.problem("heatmap?first=0&last=64")[:2] == (400, "TOO_LARGE")


def test_pauses_stand_as_the_rules_have_them(ledger: StoryLedger, site: Site) -> None:
    waits, pause = site.get("pauses")["pauses"]
    kept = PAUSES.require(ledger.state, b"p")
    assert kept.phase == Phase.ACTIVATED
    assert (pause["phase"], pause["start"], pause["end"]) == ("activated", kept.start, kept.end)
    assert pause["terms"] == kept.terms.hex()
    assert pause["nations"] == [each.nation for each in kept.joined] == [A, B]
    assert pause["start_ms"] == millis(kept.start * INTERVAL_S)
    assert [(each["nation"], each["is_bound"]) for each in pause["accessions"]] == [(A, True), (B, True)]
    assert [(each["issuer"], each["time_ms"]) for each in pause["pledges"]] == [("acme", millis(30))]
    assert [event["event"] for event in pause["events"]] == ["activated"]
    assert (waits["id"], waits["phase"], waits["start"], waits["nations"]) == ("waits", "proposed", None, [])


def test_the_calendar_has_the_dates_that_the_rules_have(ledger: StoryLedger, site: Site) -> None:
    shown = site.get(f"deadlines?from=0&until={millis(10_000)}")
    dates = {(each["kind"], each["interval"], each["id"]): each for each in shown["deadlines"]}
    for interval in range(4):
        deadlines = compute_lab_deadlines(ledger.state, 0, Interval(interval))  # of a lab without an outage
        assert dates["reports-due", interval, None]["at_ms"] == deadlines.due_ms
        assert dates["grace-ends", interval, None]["at_ms"] == deadlines.grace_ms
        assert dates["corrections-end", interval, None]["at_ms"] == deadlines.correction_ms
    assert dates["pause-begins", 3, "p"]["at_ms"] == millis(300)
    assert dates["pause-lapses", 20, "waits"]["is_past"] is False
    assert dates["response-due", None, "c-1"]["at_ms"] == millis(due(0) + 64 + 100)
    assert dates["vote-ends", None, "res"]["at_ms"] == millis(135 + 200)
    assert dates["vote-ends", None, "res"]["about"] == SCRIPT
    run = get_run(ledger, lab="acme")
    assert run is not None
    [approval] = [each for each in shown["deadlines"] if each["kind"] == "approval-ends"]
    assert approval["at_ms"] == compute_approval_end_ms(ledger.state, run)
    times = [each["at_ms"] for each in shown["deadlines"]]
    assert times == sorted(times)
    head_ms = shown["head"]["time_ms"]
    assert all(each["is_past"] == (each["at_ms"] <= head_ms) for each in shown["deadlines"])
    soon = site.get("deadlines")["deadlines"]
    assert soon == [each for each in shown["deadlines"] if head_ms <= each["at_ms"] < head_ms + 400_000]


def test_a_calendar_of_all_times_is_cut_and_says_so(site: Site) -> None:
    shown = site.get(f"deadlines?from=0&until={2**63 - 1}")
    assert len(shown["deadlines"]) == 2000
    assert not shown["is_complete"]
    assert site.get(f"deadlines?from={2**63 - 2}&until={2**63 - 1}")["deadlines"] == []


def test_notices_are_told_newest_first_and_scripts_in_them_are_text(site: Site) -> None:
    shown = site.get("notices")
    told = [(each["kind"], each["issuer"], each["about"], each["headline"]) for each in shown["notices"]]
    assert told == [
        ("misconduct", C, B, "DOUBLE_NOTARIZE"),
        ("enforcement", C, "cogs", "warning"),
        ("incident", "beta", "beta/b1", "outage"),
        ("observation", B, "ledger", "equivocation"),
    ]
    assert shown["notices"][1]["text"] == SCRIPT
    first = site.get("notices?limit=3")
    second = site.get(f"notices?limit=3&before={first['before']}")
    assert first["notices"] + second["notices"] == shown["notices"]
    assert second["before"] is None
    [incident] = site.get("notices?kind=incident")["notices"]
    assert (incident["level"], incident["interval"], incident["text"]) == ("serious", 1, None)


def test_what_this_observer_found_is_shown_beside_what_the_ledger_says(ledger: StoryLedger, tmp_path: Path) -> None:
    home = copy_of(ledger, tmp_path / "copy")
    said = f"{SCRIPT} block"
    keep_evidence(
        home,
        "contradiction",
        source="https://mirror.example",
        said=said,
        height=Height(3),
        ours=b"a",
        theirs=b"b",
        seen_ms=Millis(5),
    )
    with Site(home) as site:
        [evidence] = site.get("notices")["evidence"]
        assert (evidence["kind"], evidence["said"], evidence["is_decided"]) == ("contradiction", said, False)
        network = site.get("overview")["network"]
        assert (network["state"], network["undecided_forks"]) == ("blind", [evidence["name"]])


# --- entries ---------------------------------------------------------------------------------------------------------


def test_pages_of_entries_are_the_whole_ledger_in_order(ledger: StoryLedger, site: Site) -> None:
    found: list[dict[str, Any]] = []
    before = ""
    while True:
        page = site.get(f"entries?limit=17{before}")
        found += page["entries"]
        if page["before"] is None:
            break
        before = f"&before={page['before']}"
    assert [each["index"] for each in found] == list(reversed(range(len(ledger.entries))))
    assert [each["leaf"] for each in reversed(found)] == [leaf_hash(entry).hex() for entry in ledger.entries]
    for each in found:
        block = ledger.chain[each["height"]].header
        assert block.first_index <= each["index"] < block.tree_size
        assert each["time_ms"] == block.time_ms
    for query, wanted in (
        ("kind=report", [each for each in found if each["kind"] == "report"]),
        ("issuer=acme", [each for each in found if each["issuer"] == "acme"]),
        ("kind=report&issuer=beta", [each for each in found if (each["kind"], each["issuer"]) == ("report", "beta")]),
        ("kind=nonsense", []),
        ("issuer=nobody", []),
    ):
        page = site.get(f"entries?limit=200&{query}")
        assert (page["entries"], page["entries_count"]) == (wanted, len(wanted)), query
    assert sum(page["kinds"].values()) == len(ledger.entries)


def test_every_entry_is_given_as_it_stands_on_the_ledger(ledger: StoryLedger, site: Site) -> None:
    for index, entry in enumerate(ledger.entries):
        shown = site.get(f"entries/{index}")
        assert base64.b64decode(shown["entry_base64"]) == entry
        assert site.ask(f"/api/v1/entries/{index}/bytes").content == entry
        assert shown["statement"]["predicateType"].startswith("urn:counterseal:")
        assert shown["block"]["height"] == next(
            sealed.header.height for sealed in ledger.chain if sealed.header.tree_size > index
        )
    registered = site.get("entries/1")
    assert sorted(line["party"] for line in registered["signatures"]) == ["acme", A]
    for line in registered["signatures"]:
        assert hashlib.sha256(bytes.fromhex(line["public_key"])).hexdigest() == line["keyid"]
    assert site.problem(f"entries/{len(ledger.entries)}")[:2] == (404, "NOT_FOUND")


def test_a_verdict_that_was_superseded_names_the_one_that_stands(ledger: StoryLedger, site: Site) -> None:
    name, said = next((name, said) for name, said in ledger.verdicts.items() if len(said) > 1)
    subject = "/".join(map(str, name))
    lines = [each for each in site.get("entries?kind=verdict&limit=200")["entries"] if each["subject"] == subject]
    indices = [each["index"] for each in reversed(lines)]
    assert len(indices) == len(said)
    assert site.get(f"entries/{indices[0]}")["corrected_by"] == indices[-1]
    assert site.get(f"entries/{indices[-1]}")["corrected_by"] is None


def spell_seal_message(seal: dict[str, Any]) -> bytes:
    """The message as the description of the answer says it is made."""
    block = base64.b64encode(bytes.fromhex(seal["block"])).decode()
    position = f"epoch {seal['epoch']}\nview {seal['view']}\nheight {seal['height']}\ntime {seal['time_ms']}\n"
    return domains.SEAL + f"{position}block {block}\n{seal['checkpoint']}".encode()


@pytest.mark.parametrize("place", [0, 1, -1])
def test_a_proof_holds_everything_with_which_it_is_checked_by_hand(ledger: StoryLedger, site: Site, place: int) -> None:
    index = range(len(ledger.entries))[place]
    proof = site.get(f"entries/{index}/proof")
    trust = site.get("trust")
    charter = base64.b64decode(trust["charter_base64"])
    assert hashlib.sha256(charter).hexdigest() == trust["fingerprint"] == ledger.fingerprint.hex()
    entry, seal = base64.b64decode(proof["entry_base64"]), proof["seal"]
    assert entry == ledger.entries[index]
    leaf = hashlib.sha256(b"\0" + entry).digest()
    assert leaf.hex() == proof["leaf"]
    verify_inclusion(
        leaf=Hash(leaf),
        index=LeafIndex(index),
        size=TreeSize(proof["tree_size"]),
        proof=[Hash(bytes.fromhex(each)) for each in proof["hashes"]],
        root=bytes.fromhex(proof["root"]),
    )
    root = base64.b64encode(bytes.fromhex(proof["root"])).decode()
    assert seal["checkpoint"] == f"{ORIGIN}\n{proof['tree_size']}\n{root}\n"
    assert base64.b64decode(seal["message_base64"]) == spell_seal_message(seal)
    header = base64.b64decode(seal["header_base64"])
    assert hashlib.sha256(domains.BLOCK + header).hexdigest() == seal["block"]
    assert seal["group_key"] == trust["group_key"]
    bls.verify_signature(
        bytes.fromhex(seal["group_key"]), spell_seal_message(seal), bytes.fromhex(seal["seal"]), field="seal"
    )
    assert {line["nation"] for line in proof["cosignatures"] if line["type"] == "cosignature/v1"} == {*NATIONS}
    for line in proof["cosignatures"]:
        check = is_ml_dsa_signature if line["type"] == "subtree/v1" else is_ed25519_signature
        message = base64.b64decode(line["message_base64"])
        assert check(bytes.fromhex(line["public_key"]), bytes.fromhex(line["signature"]), message)
    assert proof["note"].startswith(seal["checkpoint"] + "\n")


def test_what_is_downloaded_verifies_offline(ledger: StoryLedger, site: Site, tmp_path: Path) -> None:
    index = site.get("entries?kind=report")["entries"][0]["index"]
    for path in (f"entries/{index}/receipt", f"entries/{index}/bytes", "charter"):
        answer = site.ask(f"/api/v1/{path}")
        name = re.fullmatch(r'attachment; filename="([a-z0-9.-]+)"', answer.headers["content-disposition"])
        assert name is not None
        (tmp_path / name[1]).write_bytes(answer.content)
    finding = verify_file(tmp_path / f"entry-{index}.tlog-proof", fingerprint=ledger.fingerprint)
    assert finding.receipt.index == index
    answer = site.ask("/api/v1/certificates/acme/a1/0")
    assert answer.headers["content-disposition"] == 'attachment; filename="certificate-acme-a1-0.json"'
    (tmp_path / "certificate.json").write_bytes(answer.content)
    verdict = verify_file(tmp_path / "certificate.json", fingerprint=ledger.fingerprint).verdict
    assert verdict is not None
    assert (verdict.state.value, verdict.assurance) == newest(ledger)["acme", "a1", 0]
    assert site.problem("certificates/acme/a1/77")[:2] == (404, "NOT_FOUND")


def test_blocks_are_given_with_the_seal_that_makes_them_final(ledger: StoryLedger, site: Site) -> None:
    for height, sealed in enumerate(ledger.chain):
        shown = site.get(f"blocks/{height}")
        assert base64.b64decode(shown["header_base64"]) == sealed.header.raw
        assert (shown["seal"] or "") == sealed.seal.hex()
        if height:
            assert ledger.chain[shown["sealed_height"]].seal != b""
            assert all(ledger.chain[each].seal == b"" for each in range(height, shown["sealed_height"]))
    assert site.get("blocks/3")["sealed_height"] == 5
    assert site.problem(f"blocks/{ledger.height + 1}")[:2] == (404, "NOT_FOUND")


def test_trust_shows_the_charters_keys(ledger: StoryLedger, site: Site) -> None:
    trust = site.get("trust")
    assert trust["group_key"] == ledger.charter.group_key.hex()
    for shown, member in zip(trust["members"], ledger.charter.members, strict=True):
        assert (shown["cosigner"], shown["identity"]) == (member.cosigner.hex(), member.identity.hex())
        assert shown["cosigner_vkey"].startswith(f"{member.node}+")
        assert hashlib.sha256(bytes.fromhex(shown["cosigner_ml_dsa"])).hexdigest() == member.cosigner_ml_dsa_sha256
    assert base64.b64decode(trust["head_seal"]["message_base64"]) == spell_seal_message(trust["head_seal"])
    assert trust["grid"]["start_ms"] == START_S * 1000
    assert trust["states"] == [state.value for state in STATES_BY_SEVERITY]


# --- finding ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("q", "wanted"),
    [
        ("acme", ("lab", "acme")),
        ("ACME", ("lab", "acme")),
        ("b1", ("cluster", "b1")),
        ("cocka", ("nation", C)),
        ("waits", ("pause", "waits")),
        ("7", ("entry", "7")),
        ("%3Cscript%3E", ("lab", "acme")),
    ],
)
def test_things_are_found_by_part_of_a_name_or_by_number(site: Site, q: str, wanted: tuple[str, str]) -> None:
    hits = [(hit["kind"], hit["id"]) for hit in site.get(f"search?q={q}")["hits"]]
    assert wanted in hits
    assert hits[0] == wanted or q == "%3Cscript%3E"


def test_an_entry_is_found_by_its_leaf_hash_and_a_ledger_by_its_fingerprint(ledger: StoryLedger, site: Site) -> None:
    leaf = leaf_hash(ledger.entries[5]).hex()
    assert [hit["id"] for hit in site.get(f"search?q={leaf}")["hits"]] == ["5"]
    assert [hit["id"] for hit in site.get(f"search?q={ledger.fingerprint.hex()}")["hits"]] == ["0"]
    assert site.get("search?q=zzz")["hits"] == []
    assert [hit["kind"] for hit in site.get("search?q=3")["hits"]][:2] == ["entry", "block"]


# --- all of it -------------------------------------------------------------------------------------------------------


def test_answers_of_one_head_say_so(site: Site) -> None:
    paths = ("overview", "heatmap", "nations", "pauses", "entries", "entries/1", "trust", "deadlines", "notices")
    heads = [site.get(path)["head"] for path in paths]
    assert all(head == heads[0] for head in heads)


def test_every_route_is_described_and_every_field_that_an_answer_has_is_explained() -> None:
    description = describe_api()
    for name, schema in description["components"]["schemas"].items():
        assert schema["description"], name
        assert "Attributes:" not in schema["description"], name
        explained = [field for field, value in schema["properties"].items() if "description" in value]
        assert explained in ([], list(schema["properties"])), name  # all of them, or a sentence that says it of all
    table = re.findall(r"^\| `([^`?]+)(?:\?([^`]*))?` \|", api.__doc__ or "", re.MULTILINE)
    written = {path: [name for name in query.replace("=", "").split("&") if name] for path, query in table}
    described = {
        path.removeprefix(api.PREFIX): [
            each["name"] for each in operations["get"]["parameters"] if each["in"] == "query"
        ]
        for path, operations in description["paths"].items()
    }
    assert {path: sorted(query) for path, query in written.items()} == {
        path: sorted(query) for path, query in described.items()
    }
