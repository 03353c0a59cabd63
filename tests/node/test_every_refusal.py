"""Every code that the rules refuse with is provoked through a node's public service, and told with all its parts."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import grpc
import pytest

from ledger.errors import Code, FormatError, ProofError, SignatureError
from ledger.merkle import leaf_hash
from ledger.rules.apply import KINDS, KINDS_OF_AGREEMENT
from node.mempool import MempoolLimits
from tests.ledger.dockets import make_observation
from tests.ledger.rulebook import CHARTER_ENTRY
from tests.node.answers import read_refusal
from tests.node.counter import Counter, open_counter
from tests.node.provokers import FIRST_KINDS, ONE_OF_EACH_FIRST, Provoker
from tests.node.provokers_of_agreement import LATER_KINDS, ONE_OF_EACH

REFUSED: Final[Mapping[str, tuple[Code, Provoker]]] = {**FIRST_KINDS, **LATER_KINDS}
EACH_KIND: Final[Mapping[str, Provoker]] = {**ONE_OF_EACH_FIRST, **ONE_OF_EACH}

ROOT = Path(__file__).parents[2]
BY_DEFAULT = {error.default_code for error in (FormatError, ProofError, SignatureError)}
"""Codes that parsers and verifiers give without naming them; what they find, the rules hand on."""

NOT_OF_THE_RULES = {Code.FORMAT, Code.PROOF, Code.SIGNATURE, Code.POLICY}
"""Of the first section of the catalogue. `POLICY` is of readers who count signatures; the rules never give it."""


def find_codes_in_rules() -> set[Code]:
    """Every code that stands in the rules, and in the parsers they call."""
    sources = [path for folder in ("rules", "statements") for path in sorted((ROOT / "ledger" / folder).rglob("*.py"))]
    named = {name for path in sources for name in re.findall(r"\bCode\.([A-Z_]+)", path.read_text())}
    return {Code[name] for name in named} | BY_DEFAULT


def find_section(title: str, following: str) -> set[Code]:
    """The codes that stand in the catalogue between two of its comments."""
    text = (ROOT / "ledger" / "errors.py").read_text()
    section = text.split(f"# {title}")[1].split(f"# {following}")[0]
    return {Code[name] for name in re.findall(r"^    ([A-Z_]+) = ", section, flags=re.MULTILINE)}


@pytest.mark.parametrize(("code", "provoke"), REFUSED.values(), ids=REFUSED.keys())
def test_what_the_rules_refuse_is_refused_at_the_counter(tmp_path: Path, code: Code, provoke: Provoker) -> None:
    with open_counter(tmp_path) as counter:
        counter.settle()
        entry = provoke(counter)
        told = counter.refuse(counter.at, entry)
    assert told.code is code, told
    assert told.field
    assert told.found
    assert told.expected


def test_every_code_of_the_rules_is_provoked() -> None:
    assert {code for code, _ in REFUSED.values()} == find_codes_in_rules()


def test_no_code_of_the_catalogue_is_one_that_the_rules_never_give() -> None:
    section = find_section("Refusals by the rules.", "Service and network conditions.")
    assert section
    assert section == find_codes_in_rules() - NOT_OF_THE_RULES


def test_every_other_code_is_given_by_a_room_and_looked_for_by_a_test() -> None:
    tables = {"services/refusals.py", "lab/refusals.py", "ledger/errors.py"}
    rooms = "".join(
        path.read_text()
        for room in ("ledger", "tlog", "node", "lab", "observer", "inspector")
        for path in sorted((ROOT / room).rglob("*.py"))
        if not any(path.as_posix().endswith(table) for table in tables)
    )
    tests = "".join(path.read_text() for path in sorted((ROOT / "tests").rglob("*.py")) if path != Path(__file__))
    others = set(Code) - find_codes_in_rules() - {Code.POLICY}  # which `PolicyError` gives without naming it
    assert [code for code in sorted(others) if not re.search(rf"\bCode\.{code}\b", rooms)] == []
    assert [code for code in sorted(others) if not re.search(rf"\b{code}\b", tests)] == []


def test_no_kind_is_taken_from_another_ledger(tmp_path: Path) -> None:
    assert EACH_KIND.keys() == KINDS_OF_AGREEMENT.keys()
    with open_counter(tmp_path) as counter:
        counter.settle()
        here, counter.ledger = counter.ledger, "ab" * 32
        for kind, make in EACH_KIND.items():
            told = counter.refuse(110, make(counter))
            assert (kind, told.code, told.found, told.expected) == (kind, Code.WRONG_LEDGER, "ab" * 32, here)


def test_a_ledger_without_agreement_knows_none_of_the_later_kinds(tmp_path: Path) -> None:
    assert ONE_OF_EACH.keys() == KINDS_OF_AGREEMENT.keys() - KINDS.keys()
    with open_counter(tmp_path, CHARTER_ENTRY) as counter:
        counter.settle()
        for kind, make in ONE_OF_EACH.items():
            told = counter.refuse(110, make(counter))
            assert (told.code, told.found) == (Code.UNKNOWN_KIND, kind)


def test_no_kind_is_taken_under_the_key_of_somebody_else(tmp_path: Path) -> None:
    """Statements change nothing but by the hand of who says them."""
    with open_counter(tmp_path) as counter:
        counter.settle()
        counter.nations["avalon"].key = counter.nations["brittia"].key = counter.labs["beta"].key
        counter.labs["acme"].key = counter.labs["beta"].key
        for kind, make in EACH_KIND.items():
            assert (kind, counter.refuse(110, make(counter)).code) == (kind, Code.WRONG_KEY)


def test_the_very_same_statement_is_answered_with_its_place_and_taken_once(tmp_path: Path) -> None:
    with open_counter(tmp_path) as counter:
        counter.settle()
        entry = make_observation(counter, "acme")
        index = counter.size
        counter.accept(120, entry)
        size = counter.size
        again = counter.hand_in(entry)
        assert (again.duplicate, again.sealed, again.index, again.leaf_hash) == (True, True, index, leaf_hash(entry))
        counter.block(130)
        assert counter.size == size


def told_by(counter: Counter, entry: bytes, *, waits: bool = False) -> tuple[str, set[str]]:
    """The code of a refusal that is none of the rules, and which parts it has."""
    with pytest.raises(grpc.RpcError) as caught:
        counter.hand_in(entry, waits=waits)
    _, reason, told = read_refusal(caught.value)
    return reason, {name for name, text in told.items() if text}


PARTS = {"field", "found", "expected"}


def test_who_has_too_many_statements_waiting_is_told_so_and_nobody_else(tmp_path: Path) -> None:
    limits = MempoolLimits(bytes_max=1 << 24, entries_max=1000, entries_per_issuer_max=2)
    with open_counter(tmp_path, limits=limits) as counter:
        counter.settle()
        for number in range(2):
            entry = make_observation(counter, "acme", text=f"number {number}")
            counter.hand_in(entry)
            counter.labs["acme"].note(entry)
        assert told_by(counter, make_observation(counter, "acme")) == (Code.QUOTA_EXCEEDED, PARTS)
        assert not counter.hand_in(make_observation(counter, "beta")).duplicate


def test_a_full_node_says_so(tmp_path: Path) -> None:
    limits = MempoolLimits(bytes_max=1 << 24, entries_max=1, entries_per_issuer_max=2)
    with open_counter(tmp_path, limits=limits) as counter:
        counter.settle()
        counter.hand_in(make_observation(counter, "acme"))
        assert told_by(counter, make_observation(counter, "beta")) == (Code.MEMPOOL_FULL, PARTS)


def test_a_node_that_stops_says_so(tmp_path: Path) -> None:
    with open_counter(tmp_path) as counter:
        counter.settle()
        counter.drain()
        assert told_by(counter, make_observation(counter, "acme")) == (Code.DRAINING, PARTS)


def test_what_is_not_sealed_in_time_stays_submitted(tmp_path: Path) -> None:
    with open_counter(tmp_path, wait_max_s=0) as counter:
        counter.settle()
        entry = make_observation(counter, "acme")
        assert told_by(counter, entry, waits=True) == (Code.TIMEOUT, PARTS)
        assert counter.hand_in(entry).duplicate
