"""A ledger on which a little of everything happened, and the page over a copy of it, in this process."""

import asyncio
import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
import msgspec
from jsonschema import Draft202012Validator

from ledger.positions import Millis
from ledger.statements.committee import Resolution
from ledger.statements.registry import Capacity, Cluster
from ledger.votes import Misconduct
from observer.copy import Copy, require_copy
from observer.heads import read_clock
from observer.web.api import PREFIX
from observer.web.app import make_app
from observer.web.desk import Desk
from observer.web.guard import LOOPBACK_NAMES
from observer.web.openapi import describe_api
from observer.web.reading import Reading
from tests.ledger.dockets import make_enforcement, make_incident, make_observation
from tests.ledger.faults import Member, accuse, make_evidence
from tests.ledger.inspecting import make_challenge, name_inspectors
from tests.ledger.pausing import PauseWorld, make_terms
from tests.ledger.rulebook import AGREEMENT, NATIONS, Key, Party, due
from tests.ledger.training import training_run
from tests.observer.fakeledger import FakeLedger

SCRIPT = '<script>alert(1)</script><img src=x onerror="alert(2)">"\'&lt;'
A, B, C = NATIONS


class StoryLedger(FakeLedger, PauseWorld):
    """A fake ledger on which pauses can be spoken of."""

    def enrol(self, at: int, lab: str, clusters: Sequence[Cluster], *, nation: str, name: str) -> None:
        self.accept(at, self.registration(lab, clusters, nation=nation, name=name))
        self.labs[lab] = Party(lab, Key(lab), nation=nation, next_key=Key(f"{lab} next"))


def tell_story() -> StoryLedger:
    """Three labs over four intervals; a pause in force and one proposed; a challenge, a vote, notices, misconduct.

    Whatever parties can write freely holds a script.
    """
    ledger = StoryLedger(agreement=AGREEMENT, without_seal=(3, 4, 8))
    big = Cluster("a1", SCRIPT[:100], "NO", (Capacity("h100", 1000),))
    huge = Cluster("a2", "Hall 2", "NO", (Capacity("h100", 2**53), Capacity("unknown", 5)))
    ledger.enrol(-50, "acme", [big, huge], nation=A, name=SCRIPT[:100])
    ledger.enrol(-45, "beta", [Cluster("b1", "Hall 1", "SE", (Capacity("h100", 500),))], nation=B, name="Beta")
    ledger.enrol(-40, "cogs", [Cluster("c1", "Hall 1", "IS", None)], nation=C, name="Cogs")
    terms = msgspec.structs.replace(make_terms(first=3, count=4), title=SCRIPT[:100], lift=SCRIPT)
    ledger.accept(10, ledger.pause(A, "p", terms))
    for nation in (A, B):
        ledger.accept(20, ledger.accede(nation))
    ledger.accept(30, ledger.pledge("acme"))
    name_inspectors(ledger, 35, "ada")
    ledger.accept(40, ledger.pause(C, "waits", make_terms(first=9, lapses=20, nations_min=3)))
    ledger.file(110, "acme", 0, ["a1", "a2"])
    ledger.file(112, "beta", 0, ["b1"])
    ledger.accept(120, make_observation(ledger, B, text=SCRIPT))
    ledger.accept(125, make_incident(ledger, "beta", 1, clusters=("b1",)))
    ledger.accept(127, training_run(ledger, "declared", lab="acme", clusters=("a1",)))
    ledger.accept(130, make_enforcement(ledger, C, "cogs", text=SCRIPT))
    ledger.accept(135, ledger.motion(A, Resolution(text=SCRIPT, digest=hashlib.sha256(b"x").hexdigest()), "res"))
    ledger.block(due(0))
    ledger.file(due(0) + 60, "acme", 1, ["a1", "a2"])
    liar = Member(B, ledger_id=ledger.charter.ledger_id)
    evidence = make_evidence(Misconduct.DOUBLE_NOTARIZE, [liar.notarize("a"), liar.notarize("b")], accused=B)
    ledger.accept(due(0) + 62, accuse(evidence, ledger.nations[C], ledger=ledger.ledger))
    ledger.accept(due(0) + 64, make_challenge(ledger, interval=0))
    for at in (due(1), due(1) + 30, due(1) + 31, due(2), due(2) + 30):
        ledger.block(at)
    return ledger


class Site:
    """The page over a copy, asked in this process; everything in the copy is read before the first question."""

    def __init__(self, home: Path, *, now_ms: int | None = None, hosts: Sequence[str] | None = LOOPBACK_NAMES) -> None:
        self.reading = Reading(home)
        self.readers, self.compressors = ThreadPoolExecutor(1), ThreadPoolExecutor(2)
        clock = read_clock if now_ms is None else lambda: Millis(now_ms)
        self.desk = Desk(self.reading, self.readers, clock=clock, version="0")
        self.app = make_app(self.desk, self.reading, readers=self.readers, compressors=self.compressors, hosts=hosts)
        self.advance()

    def advance(self) -> None:
        """Read everything that is new."""
        while self.readers.submit(self.reading.advance).result():
            pass

    def close(self) -> None:
        self.readers.submit(self.reading.close).result()
        self.readers.shutdown()
        self.compressors.shutdown()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def ask(self, path: str, *, method: str = "GET", **headers: str) -> httpx.Response:
        """Ask once."""

        async def run() -> httpx.Response:
            transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
                named = {name.replace("_", "-"): value for name, value in headers.items()}
                return await client.request(method, path, headers={"Accept-Encoding": "identity"} | named)

        return asyncio.run(run())

    def get(self, path: str) -> Any:  # any JSON value
        """Ask the API for what must be there, hold it against its description, and give it."""
        answer = self.ask(PREFIX + path)
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"] == "application/json"
        value = answer.json()
        require_described(path, value)
        return value

    def problem(self, path: str) -> tuple[int, str, str]:
        """Ask the API for what must be refused; give status, code and field."""
        answer = self.ask(PREFIX + path)
        assert answer.headers["content-type"] == "application/problem+json"
        value = answer.json()
        assert value["status"] == answer.status_code
        _validator("Problem").validate(value)
        return answer.status_code, value["code"], value["field"]


DESCRIPTION = describe_api()


@cache
def _validator(name: str) -> Draft202012Validator:
    schema = {"$ref": f"#/components/schemas/{name}", "components": DESCRIPTION["components"]}
    return Draft202012Validator(schema)


def require_described(path: str, value: object) -> None:
    """Hold an answer against the schema that the description has for it."""
    parts = path.partition("?")[0].split("/")
    for known, operations in DESCRIPTION["paths"].items():
        pattern = known.removeprefix(PREFIX).split("/")
        if len(pattern) == len(parts) and all(
            ours == theirs or ours.startswith("{") for ours, theirs in zip(pattern, parts, strict=True)
        ):
            content = operations["get"]["responses"]["200"]["content"]["application/json"]
            name = content["schema"]["$ref"].rpartition("/")[2]
            _validator(name).validate(value)
            return
    raise AssertionError(path)


def open_there(home: Path) -> Copy:
    """The same copy once more, for whoever computes an answer another way."""
    return require_copy(home)
