"""The page in a real browser: what it verifies, what it refuses, and whether people can use it.

One Chromium and one real server, over a copy of a small ledger in which labs have markup for names. A server that lies
is the same one with an answer changed on its way, a byte at a time.
"""

import asyncio
import copy
import random
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest
from playwright.sync_api import Browser, BrowserContext, Dialog, Page, Request, Response, Route, expect, sync_playwright

from ledger import domains
from ledger.blocks import parse_header
from ledger.charter import ledger_keys
from ledger.encoding import encode_base64
from ledger.errors import FormatError
from ledger.merkle import leaf_hash, prove_inclusion
from ledger.positions import LeafIndex, Millis, TreeSize
from ledger.statements.computed import find_computed_kind, is_computed_entry
from ledger.statements.registry import Cluster
from ledger.statements.verdicts import VERDICT
from ledger.verify import verify_certificate, verify_receipt
from observer.sync import conclude, open_or_found, sync
from observer.web.serving import Settings, serve
from tests.conftest import REPOSITORY
from tests.ledger.rulebook import INTERVAL_S, NATIONS, SUBMIT_S, Key, Party
from tests.machine import while_addresses_stay
from tests.observer.fakeledger import FakeLedger, LedgerSource
from tlog.addresses import Address

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
CHECKS = Path(__file__).with_name("for_everybody.js").read_text(encoding="utf-8")
VECTORS = REPOSITORY / "tests" / "vectors"
SCRIPT = "<img src=x onerror=alert(1)><script>alert(2)</script>\"'><b>Lab"
VIEWS = ("", "labs", "nations", "pauses", "calendar", "notices", "entries", "trust", "search?q=lab", "lab/lab-0")
Json = Any  # any JSON value: what the server answers, and what is changed of it

pytestmark = pytest.mark.skipif(not CHROMIUM.exists(), reason="chromium is not installed")


@dataclass(frozen=True)
class Site:
    """A running server."""

    url: str
    ledger: FakeLedger


def make_ledger() -> FakeLedger:
    """Two labs over three intervals; one of them has markup for a name and for a place."""
    ledger = FakeLedger(without_seal=(3,))
    for number, lab in enumerate(("lab-0", "lab-1")):
        clusters: list[str | Cluster] = [Cluster(f"{lab}-a", SCRIPT, "NO", None), f"{lab}-b"]
        nation = NATIONS[number]
        ledger.accept(-50 + number, ledger.registration(lab, clusters, nation=nation, name=SCRIPT))
        ledger.labs[lab] = Party(lab, Key(lab), nation=nation, next_key=Key(f"{lab} next"))
    for interval in range(3):
        end = (interval + 1) * INTERVAL_S
        ledger.file(end + 1, "lab-0", interval, ["lab-0-a", "lab-0-b"])
        ledger.block(end + SUBMIT_S)
    return ledger


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The server, in a thread of its own."""
    ledger = make_ledger()
    home = tmp_path_factory.mktemp("page")
    source = LedgerSource(ledger)
    source.notes = [ledger.note(ledger.height, cosigners=2, has_ml_dsa=True)]
    with open_or_found(home, [source], fingerprint=ledger.fingerprint) as kept:
        conclude(sync(kept, [source], draw=random.Random(9).randbytes))
    loop, stop, ports = asyncio.new_event_loop(), asyncio.Event(), list[int]()
    is_up = threading.Event()

    def tell(port: int) -> None:
        ports.append(port)
        is_up.set()

    settings = Settings(home=home, fingerprint=None, listen=Address("127.0.0.1", 0), version="test")
    now_ms = Millis(ledger.chain[-1].header.time_ms + 5_000)

    def run() -> None:
        draw = random.Random(5).randbytes
        loop.run_until_complete(serve(settings, clock=lambda: now_ms, draw=draw, stop=stop, on_port=tell))
        is_up.set()

    thread = threading.Thread(target=run)
    thread.start()
    is_up.wait()
    yield Site(f"http://127.0.0.1:{ports[0]}", ledger)
    loop.call_soon_threadsafe(stop.set)
    thread.join()
    loop.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def context(browser: Browser, site: Site) -> Iterator[BrowserContext]:
    """One profile for the module, so that files of the page are fetched once."""
    opened = browser.new_context(viewport={"width": 1280, "height": 900}, base_url=site.url)
    yield opened
    opened.close()


@pytest.fixture(autouse=True)
def _undisturbed() -> Iterator[None]:
    with while_addresses_stay():
        yield


@pytest.fixture
def page(context: BrowserContext, _undisturbed: None) -> Iterator[Page]:
    """A page that tells of everything that should never happen, in `window.wrongs`."""
    opened = watch(context.new_page())
    opened.on("requestfailed", tell_failed)
    opened.on("response", tell_answered)
    yield opened
    opened.unroute_all(behavior="ignoreErrors")
    opened.goto("/static/icon.svg")
    opened.evaluate("localStorage.clear()")
    opened.close()


@pytest.fixture(scope="module")
def bench(context: BrowserContext) -> Iterator[Page]:
    """A page for calling the page's own modules one by one."""
    opened = context.new_page()
    opened.goto("/")
    yield opened
    opened.close()


def watch(page: Page) -> Page:
    page.add_init_script(
        "window.wrongs = [];"
        "document.addEventListener('securitypolicyviolation', e => wrongs.push('policy: ' + e.violatedDirective));"
        "window.alert = text => wrongs.push('alert: ' + text);"
    )
    return page


def tell_failed(request: Request) -> None:
    """For whoever reads why a test failed."""
    sys.stderr.write(f"{request.url}: {request.failure}\n")


def tell_answered(response: Response) -> None:
    if not response.ok:
        sys.stderr.write(f"{response.url}: {response.status}\n")


def go(page: Page, view: str) -> None:
    """Open a view and wait until it is there."""
    page.goto(f"/#/{view}")
    settle(page, f"#/{view}")


def settle(page: Page, shown: str | None = None) -> None:
    """Wait until what was asked for is shown: a view, or any."""
    at = "[data-shown]" if shown is None else f'[data-shown="{shown}"]'
    expect(page.locator(f"main{at}")).to_have_count(1)
    expect(page.locator(".waiting")).to_have_count(0)


def trust(page: Page, pasted: str) -> None:
    """Paste what is trusted, as a visitor does."""
    go(page, "trust")
    page.get_by_label("Charter fingerprint or group key").fill(pasted)
    page.get_by_role("button", name="Check against this").click()
    settle(page)


def change(page: Page, path: str, edit: Callable[[Json], None]) -> None:
    """Let the server lie in one of its answers."""

    def lie(route: Route) -> None:
        response = route.fetch()
        answer = response.json()
        edit(answer)
        route.fulfill(response=response, json=answer)

    page.route(path, lie)


def flip(answer: Json, *names: str | int) -> None:
    """Change one character of a text somewhere inside an answer, and keep its form."""
    for name in names[:-1]:
        answer = answer[name]
    text = answer[names[-1]]
    at = len(text) // 2
    while not text[at].isalnum():
        at += 1
    answer[names[-1]] = text[:at] + ("1" if text[at] == "0" else "0") + text[at + 1 :]


def flip_receipt(answer: Json, line: int) -> None:
    """Change one character of a line of the receipt, and the same in the note that stands beside it."""
    lines = answer["receipt"].split("\n")
    part = {"line": lines[line]}
    before = part["line"]
    flip(part, "line")
    lines[line] = part["line"]
    answer["receipt"] = "\n".join(lines)
    answer["note"] = answer["note"].replace(before, part["line"])


# --- what it verifies ------------------------------------------------------------------------------------------------


def test_an_entry_is_verified_up_to_the_seal_and_against_what_the_visitor_gave(page: Page, site: Site) -> None:
    trust(page, site.ledger.fingerprint.hex())
    expect(page.locator("#standing")).to_contain_text("against your fingerprint")
    for index in (0, 1, len(site.ledger.entries) - 1):
        go(page, f"entry/{index}")
        steps = page.locator("main .steps").first
        expect(steps.locator(".step-holds")).to_have_count(8)
        expect(steps).to_contain_text("it is the one of your fingerprint")
        expect(page.locator("main svg.tree")).to_be_visible()
        expect(page.locator(".refusal")).to_have_count(0)
    assert page.evaluate("wrongs") == []


def test_what_was_given_is_kept_for_this_ledger_alone_and_can_be_forgotten(page: Page, site: Site) -> None:
    trust(page, site.ledger.charter.group_key.hex())
    expect(page.locator("#standing")).to_contain_text("against your group key")
    assert list(page.evaluate("Object.keys(localStorage)")) == [f"counterseal/anchor/{site.ledger.charter.origin}"]
    page.reload()
    settle(page)
    expect(page.locator("#standing")).to_contain_text("against your group key")
    page.get_by_role("button", name="Forget it").click()
    settle(page)
    expect(page.locator("#standing")).to_contain_text("against nothing of yours")
    trust(page, encode_base64(site.ledger.charter.group_key))
    expect(page.locator("#standing")).to_contain_text("against your group key")


def test_another_ledger_at_the_same_address_is_noticed(page: Page) -> None:
    page.add_init_script(f"localStorage.setItem('counterseal/anchor/other.example/log', 'fingerprint {'ab' * 32}')")
    go(page, "")
    expect(page.locator("#standing")).to_contain_text("for another ledger: other.example/log")


def test_another_key_than_the_visitors_is_refused_and_nothing_is_shown(page: Page) -> None:
    for pasted in ("ab" * 32, "cd" * 96):
        trust(page, pasted)
        expect(page.locator("#standing")).to_contain_text("Refused")
        expect(page.locator("#standing")).to_contain_text("compare both with somebody you trust")
        go(page, "")
        expect(page.locator(".refusal")).to_be_visible()
        expect(page.locator(".panel, .mark-verified, .step-holds")).to_have_count(0)


def test_what_is_no_key_is_not_taken(page: Page) -> None:
    for pasted in ("", "ab" * 31, "AB" * 48 + "=", "zz" * 32):
        trust(page, pasted)
        expect(page.locator(".field-problem")).to_contain_text("expected a fingerprint")
        assert page.evaluate("localStorage.length") == 0


# --- what it refuses -------------------------------------------------------------------------------------------------

LIES: dict[str, Callable[[Json], Any]] = {
    "entry": lambda proof: flip(proof, "entry_base64"),
    "index": lambda proof: flip_receipt(proof, 1),
    "proof": lambda proof: flip_receipt(proof, 2),
    "proof beside the receipt": lambda proof: flip(proof, "hashes", 0),
    "leaf": lambda proof: flip(proof, "leaf"),
    "origin": lambda proof: flip_receipt(proof, find_note(proof)),
    "size": lambda proof: flip_receipt(proof, find_note(proof) + 1),
    "root": lambda proof: flip_receipt(proof, find_note(proof) + 2),
    "note beside the receipt": lambda proof: flip(proof, "note"),
    "header": lambda proof: flip(proof, "seal", "header_base64"),
    "seal": lambda proof: flip(proof, "seal", "seal"),
    "seal of the note": lambda proof: flip_receipt(proof, find_note(proof) + 5),
    "seal message": lambda proof: flip(proof, "seal", "message_base64"),
    "height": lambda proof: proof["seal"].update(height=proof["seal"]["height"] + 1),
    "group key": lambda proof: flip(proof, "seal", "group_key"),
    "cosignature of the note": lambda proof: flip_receipt(proof, find_note(proof) + 6),
    "cosignature": lambda proof: flip(proof, "cosignatures", 1, "signature"),
    "time of a cosignature": lambda proof: proof["cosignatures"][1].update(time_s=1),
    "post-quantum cosignature": lambda proof: flip(proof, "cosignatures", 2, "signature"),
    "a line left out": lambda proof: proof["cosignatures"].pop(0),
}


def find_note(proof: Json) -> int:
    """The line of a receipt in which its checkpoint begins."""
    lines: list[str] = proof["receipt"].split("\n")
    return lines.index("") + 1


@pytest.mark.parametrize("lie", ["entry", "proof", "root", "header", "seal of the note"])
def test_a_lie_about_one_byte_of_an_entrys_proof_is_refused_for_all_to_see(page: Page, lie: str) -> None:
    change(page, "**/proof", LIES[lie])
    page.emulate_media(reduced_motion="reduce")
    go(page, "entry/4")
    expect(page.locator("#standing")).to_contain_text("Refused")
    expect(page.locator("main .refusal")).to_be_visible()
    expect(page.locator(".statement, .tree, .mark-verified, .verdict")).to_have_count(0)
    assert page.locator("#standing").evaluate("e => getComputedStyle(e).backgroundColor") == "rgb(141, 26, 18)"
    assert page.evaluate(CHECKS) == []
    page.emulate_media(color_scheme="dark")
    assert page.evaluate(CHECKS) == []
    page.emulate_media(color_scheme="light")
    go(page, "pauses")  # and it stands above whatever is looked at next
    expect(page.locator("#standing")).to_contain_text("Refused")


def test_every_lie_about_a_proof_is_refused(bench: Page, site: Site) -> None:
    proof = bench.evaluate("fetch('/api/v1/entries/4/proof').then(r => r.json())")
    cases = [proof]
    for lie in LIES.values():
        cases.append(copy.deepcopy(proof))
        lie(cases[-1])
    held = verify_all(bench, site, cases)
    assert dict(zip(["the truth", *LIES], held, strict=True)) == {"the truth": True} | dict.fromkeys(LIES, False)


def verify_all(bench: Page, site: Site, proofs: list[Json]) -> list[bool]:
    """Say of each proof of entry 4 whether the page's own verification lets it pass."""
    held: list[bool] = bench.evaluate(
        """async ([charter, proofs]) => {
          const { verifyEntry } = await import('/static/verify.js');
          const { decodeBase64 } = await import('/static/encoding.js');
          const charterEntry = decodeBase64(charter, 'charter');
          const held = [];
          for (const proof of proofs) {
            const { refusal } = await verifyEntry({ index: 4n, proof, charterEntry, anchor: null });
            held.push(refusal === null);
          }
          return held;
        }""",
        [encode_base64(site.ledger.charter_entry), proofs],
    )
    return held


TRUST_LIES: dict[str, Callable[[Json], Any]] = {
    "charter": lambda told: flip(told, "charter_base64"),
    "fingerprint": lambda told: flip(told, "fingerprint"),
    "title": lambda told: flip(told, "title"),
    "group key": lambda told: flip(told, "group_key"),
    "seal": lambda told: flip(told, "head_seal", "seal"),
    "header": lambda told: flip(told, "head_seal", "header_base64"),
    "checkpoint": lambda told: flip(told, "head_seal", "checkpoint"),
    "view": lambda told: told["head_seal"].update(view=told["head_seal"]["view"] + 1),
    "no seal": lambda told: told.update(head_seal=None),
    "head": lambda told: flip(told, "head", "block"),
}


def test_every_lie_about_charter_and_newest_seal_is_refused(bench: Page) -> None:
    told = bench.evaluate("fetch('/api/v1/trust').then(r => r.json())")
    cases = [told]
    for lie in TRUST_LIES.values():
        cases.append(copy.deepcopy(told))
        lie(cases[-1])
    held = bench.evaluate(
        """async (cases) => {
          const { verifySealed } = await import('/static/verify.js');
          const held = [];
          for (const trust of cases) held.push((await verifySealed({ trust, anchor: null })).refusal === null);
          return held;
        }""",
        cases,
    )
    expected = {"the truth": True} | dict.fromkeys(TRUST_LIES, False)
    assert dict(zip(["the truth", *TRUST_LIES], held, strict=True)) == expected


@pytest.mark.parametrize(
    ("path", "edit"),
    [
        ("**/trust", TRUST_LIES["charter"]),
        ("**/trust", TRUST_LIES["seal"]),
        ("**/overview", lambda told: flip(told, "head", "root")),
        ("**/overview", lambda told: flip(told, "head", "block")),
    ],
)
def test_a_page_whose_charter_or_head_is_false_shows_nothing(
    page: Page, path: str, edit: Callable[[Json], None]
) -> None:
    change(page, path, edit)
    go(page, "")
    expect(page.locator("#standing")).to_contain_text("Refused")
    expect(page.locator("main .refusal")).to_be_visible()
    expect(page.locator(".panel, .verdict")).to_have_count(0)


def test_a_table_that_says_another_verdict_than_the_entry_is_refused(page: Page) -> None:
    def whiten(told: Json) -> None:
        for row in told["rows"]:
            for cell in filter(None, row["cells"]):
                cell["state"] = "compliant"

    change(page, "**/heatmap?*", whiten)
    go(page, "labs")
    page.get_by_role("link", name="lab-1-a, interval 0").click()
    expect(page.locator("h1")).to_contain_text("Entry")
    settle(page)
    expect(page.locator("main .refusal")).to_contain_text("the server's table: state")
    page.reload()
    go(page, "labs")
    page.get_by_role("button", name="Verify every verdict shown").click()
    expect(page.locator("#standing")).to_contain_text("Refused")
    expect(page.locator(".cell-refused")).to_have_count(1)


def test_a_link_of_a_stranger_cannot_put_words_into_the_servers_mouth(page: Page, site: Site) -> None:
    index = len(site.ledger.entries) - 1
    go(page, f"entry/{index}?state=exceeded&assurance=A4")
    expect(page.locator(".refusal")).to_have_count(0)
    expect(page.locator("main .steps").first.locator(".step-holds")).to_have_count(8)
    for nowhere in ("entry/-1", "entry/x", "entry/", "block/01", "entry/99999999999999999999", "nothing"):
        go(page, nowhere)
        expect(page.locator("h1")).to_have_text("Not here")
    go(page, "entry/123456")
    expect(page.locator(".unanswered")).to_contain_text("Not found")
    expect(page.locator("#standing")).not_to_contain_text("Refused")


def test_another_key_does_not_make_a_lie_undone(page: Page, site: Site) -> None:
    change(page, "**/proof", LIES["entry"])
    go(page, "entry/4")
    expect(page.locator("#standing")).to_contain_text("Refused")
    trust(page, site.ledger.fingerprint.hex())
    expect(page.locator("#standing")).to_contain_text("Refused")


def test_every_verdict_of_the_map_can_be_verified_at_once(page: Page) -> None:
    go(page, "labs")
    page.get_by_role("button", name="Verify every verdict shown").click()
    expect(page.locator("main")).to_contain_text("shown here stand on the sealed ledger")
    assert page.locator(".cell-verified").count() == page.locator(".heatmap td.cell a").count() > 4


def test_no_byte_of_a_proof_can_change_unseen(bench: Page, site: Site) -> None:
    proof = bench.evaluate("fetch('/api/v1/entries/4/proof').then(r => r.json())")
    draw = random.Random(7)
    cases = [copy.deepcopy(proof) for _ in range(90)]
    for number, case in enumerate(cases):
        holder, name = [(case, "entry_base64"), (case, "receipt"), (case["seal"], "header_base64")][number % 3]
        text = holder[name]
        end = len(text) if name != "receipt" else text.index("— avalon.example/node")  # what follows is partly relayed
        at = draw.randrange(end - 2)  # the last characters may be padding, where the form decides
        holder[name] = text[:at] + draw.choice([c for c in "Aa0Zz9" if c != text[at]]) + text[at + 1 :]
        case["note"] = case["receipt"].partition("\n\n")[2]
    assert verify_all(bench, site, cases) == [False] * len(cases)


# --- known answers, and two implementations against each other -------------------------------------------------------


def test_tags_are_those_of_the_ledger(bench: Page) -> None:
    tags = bench.evaluate("import('/static/domains.js').then(m => m.DOMAINS)")
    for name, text in tags.items():
        expected = getattr(domains, name)
        assert text == (expected.decode("latin-1") if isinstance(expected, bytes) else expected), name


def test_trees_of_certificate_transparency_and_proofs_of_every_small_tree(bench: Page) -> None:
    known = msgspec.json.decode((VECTORS / "merkle.json").read_bytes())["certificate_transparency"]
    entries = [bytes.fromhex(text) for text in known["leaves_hex"]]
    cases = []
    for size in range(1, 9):
        leaves = [leaf_hash(entry) for entry in entries[:size]]

        def read(level: int, index: int, leaves: list[bytes] = leaves) -> bytes:
            return _perfect(leaves[index << level : (index + 1) << level])

        cases += [
            [
                entries[i].hex(),
                i,
                size,
                [h.hex() for h in prove_inclusion(index=LeafIndex(i), size=TreeSize(size), read=read)],
            ]
            for i in range(size)
        ]
    wrong = bench.evaluate(
        """async ([cases, roots]) => {
          const { hashLeaf, verifyInclusion } = await import('/static/merkle.js');
          const { decodeHex } = await import('/static/encoding.js');
          const raw = (text) => decodeHex(text, 'test', text.length / 2);
          const wrong = [];
          const holds = async (c) => { try { await verifyInclusion(c); return true; } catch { return false; } };
          for (const [entry, index, size, hashes] of cases) {
            const right = { leaf: await hashLeaf(raw(entry)), index: BigInt(index), size: BigInt(size),
                            proof: hashes.map(raw), root: raw(roots[size]) };
            if (!await holds(right)) wrong.push(['refused', index, size]);
            const { proof, leaf, root } = right;
            const forged = [
              { ...right, index: right.index + 1n }, { ...right, index: right.size }, { ...right, index: -1n },
              { ...right, size: 0n }, { ...right, proof: [...proof, leaf] }, { ...right, proof: [leaf, ...proof] },
              { ...right, leaf: leaf.map((b) => b ^ 1) }, { ...right, root: root.map((b) => b ^ 1) },
              ...proof.map((_, i) => ({ ...right, proof: proof.filter((_, j) => j !== i) })),
              ...proof.map((_, i) => ({ ...right, proof: proof.map((h, j) => (j === i ? h.map((b) => b ^ 1) : h)) })),
              ...proof.map((_, i) => ({ ...right, proof: proof.map((h, j) => (j === i ? h.slice(1) : h)) })),
            ];
            for (const [i, each] of forged.entries()) if (await holds(each)) wrong.push(['held', index, size, i]);
          }
          return wrong;
        }""",
        [cases, known["roots_hex"]],
    )
    assert wrong == []
    assert len(cases) == 36


def _perfect(leaves: list[bytes]) -> bytes:
    """The root of a perfect subtree, computed the obvious way."""
    from ledger.merkle import node_hash

    while len(leaves) > 1:
        leaves = [node_hash(left, right) for left, right in zip(leaves[::2], leaves[1::2], strict=True)]
    return leaves[0]


def test_signatures_of_others_verify_and_no_other_spelling_of_them_does(bench: Page) -> None:
    drand = msgspec.json.decode((VECTORS / "bls.json").read_bytes())["drand_quicknet"]
    notes = msgspec.json.decode((VECTORS / "notes.json").read_bytes())["notes"]
    held = bench.evaluate(
        """async ([drand, notes]) => {
          const s = await import('/static/signatures.js');
          const { decodeHex, decodeBase64, encodeUtf8, isEqual } = await import('/static/encoding.js');
          const { computeKeyId, parseNote } = await import('/static/note.js');
          const holds = async (run) => { try { await run(); return true; } catch { return false; } };
          const key = decodeHex(drand.public_key, 'key', 96);
          const held = { bls: [], refused: [], notes: [], forged: [] };
          for (const { round, signature } of drand.rounds) {
            const number = decodeHex(round.toString(16).padStart(16, '0'), 'round', 8);
            const message = await s.sha256(number);
            const raw = decodeHex(signature, 'signature', 48);
            held.bls.push(await holds(() => s.verifyBls(key, message, raw)));
            const identity = new Uint8Array(48); identity[0] = 0xc0;
            const padded = raw.slice(); padded[0] &= 0x7f;
            const other = raw.slice(); other[47] ^= 1;
            const negated = raw.slice(); negated[0] ^= 0x20;
            for (const bad of [identity, padded, other, negated, raw.slice(1)]) {
              held.refused.push(await holds(() => s.verifyBls(key, message, bad)));
            }
            held.refused.push(await holds(() => s.verifyBls(key, number, raw)));
          }
          for (const { vkey, text, blob } of notes) {
            const [name, id, ...rest] = vkey.split('+');
            const publicKey = decodeBase64(rest.join('+'), 'vkey').slice(1);
            const note = parseNote(encodeUtf8(`${text}\\n— ${name} ${blob}\\n`));
            const line = note.lines[0];
            const keyId = await computeKeyId(name, 'NOTE_ED25519', publicKey);
            held.notes.push(note.text === text && isEqual(keyId, line.keyId) && isEqual(keyId, decodeHex(id, 'id', 4))
              && await holds(() => s.verifyEd25519(publicKey, encodeUtf8(text), line.signature, 'note')));
            const other = encodeUtf8(text + ' ');
            held.forged.push(await holds(() => s.verifyEd25519(publicKey, other, line.signature, 'note')));
          }
          return held;
        }""",
        [drand, notes],
    )
    assert held["bls"] == [True] * len(drand["rounds"])
    assert held["notes"] == [True] * len(notes)
    assert not any(held["refused"] + held["forged"])


def test_headers_are_read_as_the_ledger_reads_them(bench: Page, site: Site) -> None:
    draw = random.Random(3)
    headers = [sealed.header.raw for sealed in site.ledger.chain]
    cases = list(headers)
    for raw in headers[:6]:
        for _ in range(60):
            changed = bytearray(raw)
            changed[draw.randrange(len(raw))] = draw.choice((0, 1, 0x7F, 0x80, 0xFF, draw.randrange(256)))
            cases.append(bytes(changed))
        cases += [raw[:-1], raw + b"\x00", raw + raw, raw[34:], raw + b"\x6a\x00", b"", raw + b"\x68\x01"]

    def is_header(raw: bytes) -> bool:
        try:
            parse_header(raw)
        except FormatError:
            return False
        return True

    found = bench.evaluate(
        """async (cases) => {
          const { parseHeader } = await import('/static/header.js');
          const { decodeHex } = await import('/static/encoding.js');
          const holds = (raw) => { try { parseHeader(raw); return true; } catch { return false; } };
          return cases.map((text) => holds(decodeHex(text, 'test', text.length / 2)));
        }""",
        [raw.hex() for raw in cases],
    )
    assert found == [is_header(raw) for raw in cases]
    assert len(headers) < sum(found) < len(cases)


def test_without_webcrypto_the_bundled_library_says_the_same(browser: Browser, site: Site) -> None:
    with browser.new_context(base_url=site.url) as context:
        context.add_init_script("Object.defineProperty(globalThis.crypto, 'subtle', { value: undefined })")
        page = watch(context.new_page())
        go(page, "entry/4")
        expect(page.locator("main .steps").first.locator(".step-holds")).to_have_count(8)
        go(page, "trust")
        expect(page.locator("main")).to_contain_text("SHA-256 by the bundled noble-curves")
        expect(page.locator("main")).to_contain_text("Ed25519 by the bundled noble-curves")


# --- whatever parties write is text ----------------------------------------------------------------------------------


def test_markup_in_statements_and_in_every_text_of_the_server_is_inert(page: Page, site: Site) -> None:
    dialogs: list[str] = []

    def dismiss(dialog: Dialog) -> None:
        dialogs.append(dialog.message)
        dialog.dismiss()

    page.on("dialog", dismiss)
    go(page, "lab/lab-0")
    expect(page.locator("h1")).to_contain_text(SCRIPT)
    go(page, "entry/1")
    expect(page.locator(".statement")).to_contain_text(SCRIPT)

    def poison(value: Json) -> Json:
        if isinstance(value, dict):
            kept = (
                "head",
                "head_seal",
                "charter_base64",
                "fingerprint",
                "origin",
                "title",
                "group_key",
                "state",
                "kind",
            )
            return {name: each if name in kept else poison(each) for name, each in value.items()}
        if isinstance(value, list):
            return [poison(each) for each in value]
        return SCRIPT if isinstance(value, str) and not value.isdecimal() else value

    def answer(route: Route) -> None:
        response = route.fetch()
        route.fulfill(response=response, json=poison(response.json()))

    page.route("**/api/v1/**", answer)
    for view in VIEWS:
        go(page, view)
        assert page.locator("main img, main script, main b").count() == 0, view
    assert page.evaluate("wrongs") == []
    assert dialogs == []


def test_the_page_works_on_without_a_network_as_far_as_it_can(browser: Browser, site: Site) -> None:
    context = browser.new_context(base_url=site.url)  # of its own: what other tests load must not meet a network lost
    page = watch(context.new_page())
    go(page, "")
    context.set_offline(offline=True)
    page.get_by_role("link", name="Pauses", exact=True).click()
    expect(page.locator(".unanswered")).to_contain_text("cannot be reached")
    expect(page.locator("#standing")).to_contain_text("Newest seal verified here")
    page.get_by_role("link", name="What is verified", exact=True).click()
    settle(page, "#/trust")
    expect(page.locator("main .step-holds")).to_have_count(5)
    context.set_offline(offline=False)
    page.get_by_role("link", name="Pauses", exact=True).click()
    settle(page, "#/pauses")
    expect(page.locator("main h1")).to_have_text("Pauses")
    expect(page.locator(".unanswered")).to_have_count(0)
    context.close()


def test_a_server_that_still_reads_is_waited_for(page: Page) -> None:
    busy = {"type": "x", "title": "x", "status": 503, "detail": "0 of 9 entries read", "code": "NOT_READY"}
    left = [1]

    def answer(route: Route) -> None:
        if left and left.pop():
            route.fulfill(status=503, json=busy)
        else:
            route.continue_()

    page.route("**/trust", answer)
    page.goto("/")
    expect(page.locator("main")).to_contain_text("reading and checking its copy")
    expect(page.locator(".network")).to_be_visible()


def save(page: Page, button: str) -> bytes:
    with page.expect_download() as saved:
        page.locator(".downloads").get_by_role("button", name=button, exact=True).click()
    return saved.value.path().read_bytes()


def test_files_handed_out_are_those_that_were_verified_and_others_verify_them(page: Page, site: Site) -> None:
    index = next(i for i in range(len(site.ledger.entries) - 1, 0, -1) if is_verdict(site.ledger.entries[i]))
    go(page, f"entry/{index}")
    assert save(page, "entry") == site.ledger.entries[index]
    assert save(page, "charter") == site.ledger.charter_entry
    keys = ledger_keys(site.ledger.charter)
    receipt = verify_receipt(save(page, "receipt"), entry=site.ledger.entries[index], keys=keys)
    assert receipt.index == index
    certificate = verify_certificate(save(page, "certificate"), charter_fingerprint=site.ledger.fingerprint)
    assert certificate.receipt == receipt


def is_verdict(entry: bytes) -> bool:
    return is_computed_entry(entry) and find_computed_kind(entry) == VERDICT


def test_a_signature_is_checked_under_the_key_the_server_names(page: Page, site: Site) -> None:
    go(page, "entry/3")  # a report of lab-0
    expect(page.locator("main")).to_contain_text(
        "lab-0: the signature was verified here, that the key is theirs is relayed"
    )
    change(page, "**/entries/3", lambda told: flip(told, "signatures", 0, "public_key"))
    go(page, "")
    go(page, "entry/3")
    expect(page.locator("#standing")).to_contain_text("Refused")


def test_an_entry_stays_where_the_server_has_nothing_more_to_tell(page: Page) -> None:
    page.route("**/entries/4", lambda route: route.abort())
    go(page, "entry/4")
    expect(page.locator("main")).to_contain_text("Nothing more: This server cannot be reached")
    expect(page.locator("main .steps").first.locator(".step-holds")).to_have_count(8)


def test_it_prints(page: Page) -> None:
    go(page, "entry/4")
    raw = page.pdf()
    assert raw.startswith(b"%PDF")
    assert len(raw) > 20_000
    page.emulate_media(media="print", color_scheme="dark", reduced_motion="reduce")
    expect(page.locator("nav.sections")).to_be_hidden()
    expect(page.locator("main .steps").first).to_be_visible()
    assert page.evaluate(CHECKS) == []
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"


# --- for everybody ---------------------------------------------------------------------------------------------------


def test_the_whole_page_can_be_walked_with_the_keyboard(page: Page) -> None:
    go(page, "")
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_focused()
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    page.get_by_role("link", name="Labs", exact=True).focus()
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.keyboard.press("Enter")
    settle(page, "#/labs")
    assert page.evaluate("document.activeElement.id") == "main"
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.matches('.heatmap td a')"):
            break
    name = page.evaluate("document.activeElement.getAttribute('aria-label')")
    assert "assurance A0" in name
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_contain_text("Entry")
    settle(page)
    expect(page.locator("main .step-holds")).to_have_count(8)


def test_every_view_is_for_everybody(page: Page, site: Site) -> None:
    """Names, landmarks, headings, levels, contrast in both schemes; 360 pixels; and nothing asked of anybody else."""
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    for view in (*VIEWS, "entry/4", "block/2"):
        page.emulate_media(color_scheme="light", reduced_motion="reduce")
        page.set_viewport_size({"width": 1280, "height": 900})
        go(page, view)
        assert page.evaluate(CHECKS) == [], view
        page.emulate_media(color_scheme="dark")
        assert page.evaluate(CHECKS) == [], f"{view} in the dark"
        page.set_viewport_size({"width": 360, "height": 740})
        assert page.evaluate("document.documentElement.scrollWidth") <= 360, f"{view} on a phone"
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert int(ground.split("(")[1].split(",")[0]) < 60
    assert page.evaluate("getComputedStyle(document.querySelector('a')).transitionDuration") == "0s"
    elsewhere = [url for url in asked if not url.startswith((f"{site.url}/", "data:", "blob:"))]
    assert elsewhere == []
    assert all("limit=" in url for url in asked if "/api/v1/heatmap" in url or "/api/v1/entries?" in url)
    assert page.evaluate("document.cookie") == ""
    assert page.evaluate("wrongs") == []


def test_the_page_paints_before_any_answer_arrives(page: Page) -> None:
    held: list[Route] = []
    page.route("**/api/v1/**", lambda route: held.append(route))  # noqa: PLW0108 - a built-in takes no attributes
    page.goto("/", wait_until="load")
    page.evaluate(
        "new Promise((seen) => new PerformanceObserver((list) =>"
        " list.getEntriesByName('first-contentful-paint').length && seen()).observe({ type: 'paint', buffered: true }))"
    )
    expect(page.get_by_role("link", name="Labs", exact=True)).to_be_visible()
    expect(page.locator("#standing")).to_have_text("Nothing is verified yet.")
    for route in held:
        route.abort()


def test_a_page_that_cannot_load_its_own_files_says_so(page: Page) -> None:
    page.route("**/static/merkle.js", lambda route: route.fulfill(status=404))
    page.goto("/")
    expect(page.get_by_role("alert")).to_contain_text("nothing is verified and nothing is shown")
    expect(page.locator("#standing")).to_have_text("Nothing is verified yet.")


# --- what is vendored ------------------------------------------------------------------------------------------------


def test_the_vendored_file_is_what_the_lock_gives() -> None:
    if shutil.which("npm") is None:
        pytest.skip("npm is not installed")
    checked = subprocess.run(
        [REPOSITORY / "scripts" / "bundle", "--check"], capture_output=True, text=True, check=False, timeout=120
    )
    if checked.returncode == 2:
        pytest.skip(f"the locked packages could not be had: {checked.stderr}")
    assert checked.returncode == 0, checked.stderr


def test_every_module_is_fetched_at_once() -> None:
    static = REPOSITORY / "observer" / "web" / "static"
    listed = re.findall(
        r'rel="modulepreload" href="static/([^"]+)"', (static / "index.html").read_text(encoding="utf-8")
    )
    modules = {path.relative_to(static).as_posix() for path in static.rglob("*.js")}
    assert sorted(listed) == sorted(modules - {"app.js", "boot.js"})


def test_every_file_of_the_page_parses_no_markup_and_sets_no_style_in_it() -> None:
    static = REPOSITORY / "observer" / "web" / "static"
    own = [path for path in static.rglob("*") if path.suffix in {".js", ".html"} and path.parent.name != "vendor"]
    assert len(own) > 20
    for path in own:
        text = path.read_text(encoding="utf-8")
        for word in (
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "eval(",
            "new Function",
            " style=",
        ):
            assert word not in text, f"{path.name}: {word}"
