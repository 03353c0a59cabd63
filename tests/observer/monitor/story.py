"""A ledger on which everything happens that a monitor tells of, sealed by a quorum as it would be."""

from ledger.positions import Millis
from ledger.rules.apply import Applied
from ledger.statements.committee import ExtendPause, LiftPause
from ledger.statements.dsse import parse_envelope, sign_envelope
from ledger.statements.verdicts import Verdict
from ledger.votes import Misconduct
from tests.ledger.dockets import make_enforcement, make_incident, make_observation, make_shipment, make_transfer
from tests.ledger.faults import Member, accuse, make_evidence
from tests.ledger.inspecting import make_challenge, make_finding, make_response, make_withdrawal, name_inspectors
from tests.ledger.pausing import PauseWorld, make_terms
from tests.ledger.rulebook import AGREEMENT, NATIONS, START_S, due, grace, make_row, millis
from tests.ledger.training import decision, event, hand_in, notice, training_run
from tests.observer.fakeledger import FakeLedger

A, B, C = NATIONS
HOSTILE = "<script>alert(1)</script> & ]]> http://evil.example/?a=1&b=2"


class StoryLedger(FakeLedger, PauseWorld):
    """A ledger in headers and seals, with makers of what is said about pauses."""

    def __init__(self) -> None:
        super().__init__(agreement=AGREEMENT)

    def block(self, at: int, *entries: bytes) -> list[Verdict]:
        """A block at a time, or at that of the newest, whichever is later."""
        newest = self.chain[-1].header.time_ms // 1000 - START_S
        return super().block(max(at, newest), *entries)

    def accept(self, at: int, entry: bytes) -> Applied:
        return super().accept(max(at, self.chain[-1].header.time_ms // 1000 - START_S), entry)

    def seal_anything(self, at: int, *entries: bytes) -> None:
        """Seal a block that the rules refuse, as a quorum that colludes can."""
        self.extend(Millis(max(millis(at), self.chain[-1].header.time_ms)), entries)


def make_story() -> StoryLedger:
    """Four labs of two nations, three pauses, and everything else once."""
    ledger = StoryLedger()
    ledger.register(-50, "acme", ["a1", "a2"], nation=A)
    ledger.register(-45, "cogs", ["c1"], nation=B)
    ledger.register(-44, "dyne", ["d1", "d2"], nation=B)
    name_inspectors(ledger, -40, "ada")
    _tell_pauses(ledger)
    _tell_reports(ledger)
    _tell_runs(ledger)
    ledger.accept(245, ledger.accede(C))
    ledger.accept(246, ledger.pledge("acme"))
    ledger.block(300)
    ledger.accept(301, ledger.freeze("acme", "r1"))
    ledger.decide(310, ExtendPause(pause="p", until=9), "longer")  # type: ignore[arg-type]
    ledger.block(400)
    ledger.decide(410, LiftPause(pause="p"), "lift")
    ledger.block(500)
    for at in (600, 700, 800):
        ledger.block(at)
    wrong = make_finding(ledger, C, "inconsistent", challenge="c-2", grounds=["CHECK_FAILED"])
    ledger.seal_anything(810, wrong, make_withdrawal(ledger, "c-9"))
    ledger.seal_anything(820, b'{"_type":"what nobody knows"}')
    ledger.seal_anything(830, spell_otherwise(ledger))
    return ledger


def _tell_pauses(ledger: StoryLedger) -> None:
    ledger.accept(1, ledger.pause(A, "p"))
    ledger.accept(2, ledger.pause(B, "q", make_terms(lapses=2, first=2)))
    ledger.accept(3, ledger.pause(C, "s", make_terms(first=2, count=2)))
    for nation in (A, B):
        ledger.accept(4, ledger.accede(nation, "p"))
        ledger.accept(5, ledger.accede(nation, "s", nations_min=2))
    ledger.block(100)


def _tell_reports(ledger: StoryLedger) -> None:
    liar = Member(B, ledger_id=ledger.fingerprint)
    evidence = make_evidence(Misconduct.DOUBLE_NOTARIZE, [liar.notarize("a"), liar.notarize("b")])
    ledger.file(105, "acme", 0, ["a1"])
    ledger.file(106, "dyne", 0, [make_row("d1", respects=(False, True)), "d2"])
    ledger.accept(110, accuse(evidence, ledger.nations[A], ledger=ledger.charter.fingerprint))
    ledger.accept(111, make_incident(ledger, "cogs", 0, category="theft"))
    ledger.accept(112, make_observation(ledger, B, text=HOSTILE))
    ledger.accept(113, make_enforcement(ledger, A, "cogs"))
    ledger.accept(114, make_transfer(ledger, "acme", "out", "cogs", make_shipment(3), interval=0))
    for at in (due(0), grace(0), grace(0) + 1):
        ledger.block(at)
    ledger.file(185, "acme", 0, ["a1", "a2"])
    ledger.file(186, "cogs", 0, ["c1"])
    ledger.block(187)


def _tell_runs(ledger: StoryLedger) -> None:
    ledger.accept(200, training_run(ledger, "declared", band=23))
    ledger.accept(201, decision(ledger, "approved"))
    ledger.accept(202, training_run(ledger, "started", band=20))
    ledger.accept(203, training_run(ledger, "completed", band=20))
    ledger.accept(210, hand_in(ledger))
    ledger.accept(211, event(ledger, "cleared"))
    ledger.accept(212, notice(ledger))
    ledger.accept(220, make_challenge(ledger, "c-1", interval=0))
    ledger.accept(221, make_response(ledger, "c-1"))
    ledger.accept(222, make_finding(ledger, B, "consistent", challenge="c-1"))
    ledger.accept(223, make_finding(ledger, C, "consistent", challenge="c-1"))
    ledger.accept(230, make_challenge(ledger, "c-2", interval=0))
    ledger.accept(231, make_withdrawal(ledger, "c-2"))


def spell_otherwise(ledger: StoryLedger) -> bytes:
    """A statement that is signed, and of a kind, but not in the one encoding of its kind."""
    payload = parse_envelope(make_observation(ledger, A)).payload + b" "
    return sign_envelope(payload, [ledger.nations[A].key.signer])
