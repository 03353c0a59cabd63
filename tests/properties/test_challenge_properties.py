"""Challenges against the obvious one: whatever is said in whichever order, the rules take what a slow model takes."""

from dataclasses import dataclass, field
from typing import get_args

from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.rules.challenges import get_challenge
from ledger.rules.records.inspections import OPEN_CHALLENGES
from ledger.statements.inspections import Conclusion, Outcome
from ledger.statements.verdicts import STATE_OF_REASON, STATES_BY_SEVERITY, Reason
from tests.ledger.inspecting import (
    make_challenge,
    make_finding,
    make_response,
    make_withdrawal,
    name_inspectors,
)
from tests.ledger.rulebook import AGREED_ENTRY, AGREEMENT, World, due

TERMS = AGREEMENT.challenges
CHALLENGERS = ("brittia", "cockaigne")
CLUSTERS = ("a1", "a2")
ASKED = tuple((nation, inspector) for nation in CHALLENGERS for inspector in ("ada", "bo"))
CONCLUSIONS: tuple[Conclusion, ...] = get_args(Conclusion)
START = due(1) + 1

Step = tuple[str, int, int, int]
"""What is tried, how much later, and two numbers that say of what and by whom."""


@dataclass
class Obvious:
    """One challenge, as its text says it goes."""

    nation: str
    cluster: str
    raised_at: int
    stage: str = "open"
    provided_at: int = 0
    findings: dict[tuple[str, str], str] = field(default_factory=dict)
    left: list[Reason] = field(default_factory=list)

    def pass_time(self, now: int) -> None:
        overdue_at = self.raised_at + TERMS.response_window_s
        if self.stage == "open" and now >= overdue_at:
            self.stage = "overdue"
        if self.stage == "overdue" and now >= overdue_at + TERMS.missing_after_s:
            self.close("missing", Reason.RESPONSE_MISSING)
        if self.stage == "provided" and now >= self.provided_at + TERMS.finding_window_s:
            self.close("lapsed")

    def close(self, stage: str, *left: Reason) -> None:
        self.stage, self.left = stage, list(left)

    def find(self, who: tuple[str, str], conclusion: str) -> bool:
        if self.stage != "provided" or who in self.findings:
            return False
        self.findings[who] = conclusion
        agreeing = [each for each, said in self.findings.items() if said == conclusion]
        if len(agreeing) >= TERMS.inspectors_min and len({nation for nation, _ in agreeing}) >= TERMS.nations_min:
            reasons = {"inconsistent": [Reason.FOUND_INCONSISTENT], "inconclusive": [Reason.FOUND_INCONCLUSIVE]}
            self.close(conclusion, *reasons.get(conclusion, []))
        return True

    def reasons(self) -> list[Reason]:
        said = {"open": [Reason.CHALLENGE_OPEN], "provided": [Reason.CHALLENGE_OPEN]}
        said["overdue"] = [Reason.CHALLENGE_OPEN, Reason.RESPONSE_OVERDUE]
        return said.get(self.stage, self.left)


class Both:
    """The ledger and the model, told the same."""

    def __init__(self) -> None:
        self.world = World(AGREED_ENTRY)
        self.world.register(10, "acme", CLUSTERS)
        name_inspectors(self.world, 20, "ada", "bo")
        self.world.file(210, "acme", 1, CLUSTERS)
        self.world.block(due(1))
        self.now = START
        self.raised: dict[str, Obvious] = {}

    def say(self, entry: bytes, *, is_taken: bool) -> None:
        if is_taken:
            self.world.accept(self.now, entry)
        else:
            self.world.refuse(self.now, entry)

    def take(self, step: Step) -> None:
        what, later, first, second = step
        self.now += later
        for each in self.raised.values():
            each.pass_time(self.now)
        nation = CHALLENGERS[first % 2]
        if what == "challenge":
            self.challenge(nation, CLUSTERS[second % 2])
            return
        name = f"c-{first % 4}"
        each = self.raised.get(name) or Obvious(nation, "a1", self.now, stage="never raised")
        if what == "respond":
            self.respond(name, each, ("provided", "provided", "declined", "salts-lost")[second % 4])
        elif what == "withdraw":
            is_taken = each.stage in ("open", "overdue") and each.nation == CHALLENGERS[second % 2]
            self.say(make_withdrawal(self.world, name, nation=CHALLENGERS[second % 2]), is_taken=is_taken)
            if is_taken:
                each.close("withdrawn")
        elif what == "find":
            who, conclusion = ASKED[second % 4], CONCLUSIONS[second // 4 % 3]
            entry = make_finding(self.world, who[0], conclusion, challenge=name, inspector=who[1])
            self.say(entry, is_taken=each.find(who, conclusion))

    def challenge(self, nation: str, cluster: str) -> None:
        name = f"c-{len(self.raised)}"
        own = [each for each in self.raised.values() if each.nation == nation]
        is_open = any(each.cluster == cluster and each.stage in ("open", "overdue", "provided") for each in own)
        is_taken = not is_open and len(own) < TERMS.per_year_max
        entry = make_challenge(self.world, name, nation=nation, inspectors=ASKED, cluster=cluster)
        self.say(entry, is_taken=is_taken)
        if is_taken:
            self.raised[name] = Obvious(nation, cluster, self.now)

    def respond(self, name: str, each: Obvious, outcome: Outcome) -> None:
        is_taken = each.stage in ("open", "overdue")
        self.say(make_response(self.world, name, outcome=outcome, inspectors=ASKED), is_taken=is_taken)
        if not is_taken:
            return
        if outcome == "provided":
            each.stage, each.provided_at = "provided", self.now
        else:
            each.close(outcome, Reason.DISCLOSURE_DECLINED if outcome == "declined" else Reason.SALTS_LOST)


steps = st.lists(
    st.tuples(
        st.sampled_from(["challenge", "challenge", "respond", "respond", "find", "find", "find", "withdraw", "wait"]),
        st.sampled_from([0, 0, 0, 1, 30, 69, 70, 99, 100, 150]),
        st.integers(0, 11),
        st.integers(0, 11),
    ),
    max_size=25,
)


@given(steps)
@settings(max_examples=60, deadline=None)
def test_the_rules_take_what_the_text_takes_and_say_what_it_leaves(plan: list[Step]) -> None:
    both = Both()
    for step in plan:
        if both.now > 1000:  # the challenge window of interval 1 ends soon
            break
        both.take(step)
        both.world.block(both.now)
    both.world.block(both.now)
    both.world.block(both.now)
    for each in both.raised.values():
        each.pass_time(both.now)
    stages = {name: each.stage for name, each in both.raised.items()}
    found = {name: get_challenge(both.world.state, name) for name in both.raised}
    assert {name: raised.stage for name, raised in found.items() if raised} == stages
    waiting = sum(each.stage in ("open", "overdue", "provided") for each in both.raised.values())
    assert sum(key[:1] == OPEN_CHALLENGES.letter for key, _ in both.world.state.items()) == waiting
    for cluster in CLUSTERS:
        reasons = {reason for each in both.raised.values() if each.cluster == cluster for reason in each.reasons()}
        verdict = both.world.verdicts["acme", cluster, 1][-1]
        assert list(verdict.reasons) == sorted(reasons)
        worst = max((STATE_OF_REASON[reason] for reason in reasons), key=STATES_BY_SEVERITY.index, default="compliant")
        assert verdict.state == worst
