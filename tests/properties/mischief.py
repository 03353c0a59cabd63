"""Statements of every kind that a registered party could sign, with ids that collide, at random.

Ids come from one small pool, whatever they name, so that one subject may hide behind another's; leaf hashes and digests
are the right ones more often than not, and intervals lie around now. Most of it is refused, and that is the point.
"""

import hashlib
import random
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, Final

from ledger.errors import FormatError
from ledger.positions import Interval, LeafIndex, Seconds
from ledger.rules.beacons import find_open_rounds
from ledger.rules.grid import compute_next_interval
from ledger.rules.record import Table
from ledger.rules.records.committee import MOTIONS
from ledger.rules.records.filings import FILINGS, make_filing_name
from ledger.rules.records.foundation import CLOCK, FOUNDATION
from ledger.rules.records.inspections import CHALLENGES, SAMPLES
from ledger.rules.records.inventories import TRANSFERS, make_transfer_name
from ledger.rules.records.pauses import PAUSES
from ledger.rules.records.registry import LAB_NUMBERS, LABS, make_number_name
from ledger.rules.records.runs import REVIEWS, RUNS, find_review, find_run
from ledger.rules.undertakings import compute_limits
from ledger.sampling import Purpose
from ledger.statements import beacons, committee, inspections, inventories, notices, pauses, reports, runs
from ledger.statements.dsse import sign_envelope
from ledger.statements.intoto import ZERO_HASH, Corrects
from ledger.statements.misconduct import MisconductReport, encode_misconduct
from ledger.statements.registry import Capacity, Cluster
from ledger.votes import Misconduct
from tests.ledger.dockets import find_party, make_header, make_shipment
from tests.ledger.faults import Member, make_evidence
from tests.ledger.inspecting import make_inspector, sign_round
from tests.ledger.rulebook import NATIONS, Key, World, make_row

LABS_OF: Final = {"acme": ("a1", "acme"), "p": ("b1",), "p-q": ("c1", "avalon", "freeze-1")}
"""Labs and their clusters, one lab a nation; some are named as others, or as what is not a lab."""

IDS: Final = ("p", "q", "p-q", "avalon", "acme", "a1", "freeze", "1")
INSPECTORS: Final = ("ada", "p")
BANDS: Final = (0, 15, 20, 21, 22, 23, 24, 40)
GROUNDS: Final = ("CHECK_FAILED", "PAUSE_LIMIT_EXCEEDED", "RUN_UNDECLARED")
HASHES: Final = tuple(hashlib.sha256(text).hexdigest() for text in (b"weights", b"other weights"))


@lru_cache(maxsize=4_096)
def _sign_round(number: int) -> bytes:
    return sign_round(number)


class Mischief:
    """Makes statements for a ledger as it stands; `draw` gives one."""

    def __init__(self, world: World, seed: random.Random) -> None:
        self.world, self.random = world, seed
        self.kinds: list[Callable[[], bytes]] = [
            *(self.report, self.report, self.registration, self.inventory, self.inventory, self.transfer),
            *(self.transfer, self.incident, self.observation, self.enforcement, self.training_run, self.training_run),
            *(self.run_decision, self.release_review, self.review_event, self.release_notice, self.beacon),
            *(self.beacon, self.beacon, self.sample_answer, self.inspectors, self.challenge, self.challenge),
            *(self.withdrawal, self.response, self.response, self.finding, self.finding, self.finding),
            *(self.pause_proposal, self.accession, self.accession, self.pledge, self.freeze, self.freeze),
            *(self.proposal, self.approval, self.approval, self.run_decision, self.review_event, self.misconduct),
        ]

    def draw(self) -> bytes | None:
        """A signed statement; None if what came up has no form."""
        try:
            return self.random.choice(self.kinds)()
        except FormatError:
            return None

    # --- what statements are made of ---------------------------------------------------------------------------------

    def pick(self, options: Sequence[Any]) -> Any:  # of whichever type the options have
        return self.random.choice(options)

    def some(self, options: Sequence[Any], most: int = 2) -> tuple[Any, ...]:
        return tuple(sorted(self.random.sample(options, self.random.randint(0, min(most, len(options))))))

    def once_in(self, times: int) -> bool:
        return self.random.randrange(times) == 0

    def id(self) -> str:
        """One of the few; now and then a fresh one, since most may be had once only."""
        return f"{self.pick(IDS)}-{self.random.randrange(100)}" if self.once_in(6) else str(self.pick(IDS))

    def lab(self) -> str:
        return str(self.pick(sorted(self.world.labs)))

    def nation(self) -> str:
        return str(self.pick(NATIONS))

    def nation_of(self, lab: str) -> str:
        """The nation whose lab it is, more often than not."""
        return self.nation() if self.once_in(6) else LABS.require(self.world.state, lab.encode()).nation

    def party(self) -> str:
        return self.lab() if self.once_in(2) else self.nation()

    def clusters(self, lab: str) -> tuple[str, ...]:
        known = LABS.get(self.world.state, lab.encode())
        return () if known is None else tuple(cluster.id for cluster in known.clusters)

    def cluster(self) -> str:
        return str(self.pick(self.clusters(self.lab()) or IDS))

    def interval(self, back: int = 3, ahead: int = 1) -> Interval:
        """One around the interval that the newest block lies in."""
        state = self.world.state
        now = compute_next_interval(FOUNDATION.require(state).grid, CLOCK.require(state).time_ms) - 1
        return Interval(max(0, now + self.random.randint(-back, ahead)))

    def leaf(self, known: bytes | str | None) -> str:
        """The right hash, if there is one, three times in four."""
        if not known or self.once_in(4):
            return str(self.pick((ZERO_HASH, *HASHES)))
        return known if isinstance(known, str) else known.hex()

    def known(self, table: Table[Any]) -> dict[bytes, Any]:
        """What stands in a table after the newest block, by name."""
        letter = table.letter
        return {key[1:]: table.decode(value) for key, value in self.world.state.items() if key[:1] == letter}

    def named(self, table: Table[Any]) -> tuple[str, str]:
        """Lab and id of a run or model that is known, or any."""
        known = sorted(self.known(table))
        if not known or self.once_in(4):
            return self.lab(), self.id()
        name = self.pick(known)
        return LAB_NUMBERS.require(self.world.state, name[:4]).lab, name[4:].decode()

    def sign(self, issuer: str, encode: Callable[[Any], bytes], form: Callable[..., Any], /, **fields: object) -> bytes:
        made = form(**(make_header(self.world, issuer) | fields))
        return sign_envelope(encode(made), [find_party(self.world, issuer).key.signer])

    # --- reports and registrations -----------------------------------------------------------------------------------

    def report(self) -> bytes:
        lab, interval = self.lab(), self.interval()
        state, key = self.world.state, find_party(self.world, lab).key
        filing = FILINGS.get(state, make_filing_name(LABS.require(state, lab.encode()).number, interval))
        limits = compute_limits(state, lab, interval)
        rows = [
            make_row(cluster, limits=limits, respects=[not self.once_in(4) for _ in limits])
            for cluster in self.some(self.clusters(lab), 3)
        ]
        if filing is None or not filing.latest:
            return self.world.report(lab, interval, rows, key=key)
        corrects = Corrects(self.leaf(filing.latest), "a slip")
        made = self.world.declaration(lab, interval, rows, corrects=corrects)
        return sign_envelope(reports.encode_correction(made), [key.signer])

    def registration(self) -> bytes:
        nation, lab = self.nation(), self.lab()
        capacity = (Capacity(str(self.pick(("h100", "p"))), self.random.randrange(10)),) if self.once_in(2) else None
        named = self.some((*self.clusters(lab), *IDS), 3)
        return self.world.registration(
            lab,
            [Cluster(cluster, "Hall", "NO", capacity) for cluster in dict.fromkeys(named)],
            nation=nation,
            keys=[(find_party(self.world, lab).key, "active")],
        )

    # --- accelerators and notices ------------------------------------------------------------------------------------

    def inventory(self) -> bytes:
        lab = self.lab()
        rows = tuple(
            inventories.InventoryRow(
                cluster=cluster,
                digests=(),
                chips=inventories.Chips(self.pick(HASHES), count)
                if (count := self.pick((0, 1, 7, 1000, 2**53)))
                else inventories.Chips(inventories.EMPTY_CHIPS_ROOT, 0),
                method="book",
            )
            for cluster in self.some(self.clusters(lab), 3)
        )
        return self.sign(lab, inventories.encode_inventory, inventories.Inventory, interval=self.interval(1), rows=rows)

    def transfer(self) -> bytes:
        lab, other, name = self.lab(), self.pick((*sorted(self.world.labs), None, "q")), self.id()
        direction = self.pick(("in", "out"))
        sender, receiver = (lab, other) if direction == "out" else (other, lab)
        known = TRANSFERS.get(self.world.state, make_transfer_name(name, sender=f"{sender}", receiver=f"{receiver}"))
        side = None if known is None else known.out if direction == "out" else known.into
        corrects = None
        if self.once_in(8) or (side is not None and not self.once_in(4)):
            corrects = Corrects(self.leaf(None if side is None else side.leaf), "a slip")
        shipment = None if self.once_in(4) else make_shipment(self.random.randrange(1, 3))
        if shipment is not None and other is None:
            shipment = inventories.Shipment(digests=(), chips_root=shipment.chips_root, match=None)
        return self.sign(
            lab,
            inventories.encode_transfer,
            inventories.Transfer,
            corrects=corrects,
            transfer=name,
            direction=direction,
            counterparty=other,
            reason="sale",
            interval=self.interval(),
            clusters=self.some(self.clusters(lab)),
            shipment=shipment,
        )

    def misconduct(self) -> bytes:
        member = Member(self.nation(), ledger_id=bytes.fromhex(self.world.ledger))
        proofs = {
            Misconduct.DOUBLE_NOTARIZE: (member.notarize("a"), member.notarize("b")),
            Misconduct.DOUBLE_FINALIZE: (member.finalize("a"), member.finalize("b")),
            Misconduct.NULLIFY_AND_FINALIZE: (member.nullify(), member.finalize("a")),
        }
        misconduct = self.pick(tuple(proofs))
        accused = self.nation() if self.once_in(4) else member.id
        evidence = make_evidence(misconduct, proofs[misconduct], accused=accused)
        return self.sign(self.party(), encode_misconduct, MisconductReport, evidence=evidence)

    def incident(self) -> bytes:
        lab = self.lab()
        return self.sign(
            lab,
            notices.encode_incident,
            notices.Incident,
            category=self.pick(("outage", "outage", "leak")),
            severity="minor",
            interval=self.interval(),
            clusters=self.some(self.clusters(lab)),
            digests=(),
            text_sha256=self.pick(HASHES),
        )

    def observation(self) -> bytes:
        about = self.pick(("lab", "cluster", "nation", "ledger"))
        return self.sign(
            self.party(),
            notices.encode_observation,
            notices.Observation,
            about=about,
            name=None if about == "ledger" or self.once_in(8) else self.id(),
            category="other",
            confidence="low",
            digest=self.pick(HASHES),
            text="something",
        )

    def enforcement(self) -> bytes:
        fields = {"lab": self.id(), "measure": "fine", "interval": self.interval(), "until": None, "text": "so"}
        return self.sign(self.nation(), notices.encode_enforcement, notices.Enforcement, **fields)

    # --- runs --------------------------------------------------------------------------------------------------------

    def training_run(self) -> bytes:
        lab, run = self.named(RUNS)
        known = find_run(self.world.state, lab, run)
        own, more = self.pick(BANDS), self.pick((0, 0, 1))
        base = None
        if known is not None and not self.once_in(6):
            own = max(own, known.run_band) if not self.once_in(3) else known.run_band
            kind, cap = known.kind, known.cap_band
            if known.base is not None:
                base = runs.BaseModel(lab=known.base.lab, run=known.base.run, leaf=known.base.leaf.hex() or None)
        else:
            kind, cap = self.pick(("pre-training", "post-training")), self.pick(BANDS)
            other, name = self.lab(), self.id()
            if self.once_in(2):
                named = find_run(self.world.state, other, name)
                base = runs.BaseModel(lab=other, run=name, leaf=None if named is None else self.leaf(named.leaf))
        kept = known.clusters if known is not None else ()
        return self.sign(
            lab,
            runs.encode_training_run,
            runs.TrainingRun,
            run=run,
            state=self.pick(("declared", "started", "started", "frozen", "stopped", "completed")),
            kind=kind,
            base_model=base,
            clusters=tuple(sorted({*kept, *self.some(self.clusters(lab))})),
            band=min(40, own + more if own and base else own),
            run_band=own,
            cap_band=cap,
            checkpoint=None if self.once_in(3) else self.pick(HASHES),
            digests=(),
        )

    def run_decision(self) -> bytes:
        lab, run = self.named(RUNS)
        known = find_run(self.world.state, lab, run)
        return self.sign(
            self.nation_of(lab),
            runs.encode_run_decision,
            runs.RunDecision,
            lab=lab,
            run=run,
            declaration=self.leaf(None if known is None else known.leaf),
            decision=self.pick(("approved", "refused")),
            note="",
        )

    def release_review(self) -> bytes:
        lab, run = self.named(RUNS)
        fields = {"model": self.id(), "runs": (run,), "digest": self.pick(HASHES), "digests": ()}
        return self.sign(lab, runs.encode_release_review, runs.ReleaseReview, planned_at=Seconds(1), **fields)

    def review_event(self) -> bytes:
        lab, model = self.named(REVIEWS)
        known = find_review(self.world.state, lab, model)
        return self.sign(
            lab if self.once_in(4) else self.nation_of(lab),
            runs.encode_review_event,
            runs.ReviewEvent,
            lab=lab,
            model=model,
            review=self.leaf(None if known is None else known.leaf),
            event=self.pick(("acknowledged", "info-requested", "info-supplied", "extended", "cleared", "blocked")),
            note="",
        )

    def release_notice(self) -> bytes:
        lab, model = self.named(REVIEWS)
        known = find_review(self.world.state, lab, model)
        named = self.some(IDS) if known is None or self.once_in(4) else known.runs
        fields = {"model": model, "runs": named, "digest": self.pick(HASHES)}
        return self.sign(lab, runs.encode_release_notice, runs.ReleaseNotice, **fields)

    # --- inspections -------------------------------------------------------------------------------------------------

    def beacon(self) -> bytes:
        number = find_open_rounds(self.world.state).start + self.pick((0, 0, 0, 0, -1, 1))
        signature = bytes(48) if self.once_in(8) else _sign_round(max(0, number))
        fields = {"round": number, "signature": signature}
        return self.sign(self.nation(), beacons.encode_beacon, beacons.Beacon, **fields)

    def sample_answer(self) -> bytes:
        waiting = self.known(SAMPLES)
        name = self.pick(sorted(waiting) or [b"0/spot/a1"])
        known, (number, _, cluster) = waiting.get(name), name.decode().split("/")
        return self.sign(
            self.lab() if known is None or self.once_in(8) else known.lab,
            beacons.encode_sample_answer,
            beacons.SampleAnswer,
            round=int(number),
            purpose=self.pick((Purpose.SPOT, Purpose.SPOT, Purpose.AUDIT)),
            cluster=cluster,
            openings=self.pick(HASHES),
            opened_count=self.random.randrange(4) if known is None or self.once_in(3) else known.count,
        )

    def inspectors(self) -> bytes:
        nation = self.nation()
        lines = [
            make_inspector(
                nation,
                name,
                key=Key(str(self.pick(("acme", "stolen")))) if self.once_in(8) else None,
                status="revoked" if self.once_in(12) else "active",
            )
            for name in (INSPECTORS if not self.once_in(4) else INSPECTORS[:1])
        ]
        fields = {"inspectors": tuple(lines)}
        return self.sign(nation, inspections.encode_inspectors, inspections.Inspectors, **fields)

    def challenge(self) -> bytes:
        filed = sorted(name for name, filing in self.known(FILINGS).items() if filing.latest)
        number, interval = (0, 0) if not filed else divmod(int.from_bytes(self.pick(filed), "big"), 1 << 32)
        lab = LAB_NUMBERS.require(self.world.state, make_number_name(number)).lab
        home = LABS.require(self.world.state, lab.encode()).nation
        others = [nation for nation in NATIONS if nation != home or self.once_in(8)]
        pairs = self.some([(nation, name) for nation in others for name in INSPECTORS], 4)
        return self.sign(
            self.pick(others),
            inspections.encode_challenge,
            inspections.Challenge,
            challenge=self.id(),
            lab=lab,
            cluster=self.pick(self.clusters(lab) or IDS),
            interval=Interval(interval),
            request=inspections.Request(fields=("runs",), records=(), inventory=None, chips=(), recompute=None),
            grounds=inspections.Grounds(self.pick((None, LeafIndex(1), LeafIndex(2**53))), "a rumour"),
            inspectors=tuple(inspections.Named(*pair) for pair in pairs),
        )

    def _challenge(self, *stages: str) -> str:
        """One that stands where it can be answered, or any."""
        known = sorted(name.decode() for name, each in self.known(CHALLENGES).items() if each.stage in stages)
        return self.id() if not known or self.once_in(6) else str(self.pick(known))

    def withdrawal(self) -> bytes:
        name = self._challenge("open", "overdue")
        known = CHALLENGES.get(self.world.state, name.encode())
        issuer = self.nation() if known is None or self.once_in(4) else known.nation
        fields = {"challenge": name, "reason": "a mistake"}
        return self.sign(issuer, inspections.encode_withdrawal, inspections.Withdrawal, **fields)

    def response(self) -> bytes:
        name = self._challenge("open", "overdue")
        known = CHALLENGES.get(self.world.state, name.encode())
        outcome = self.pick(("provided", "provided", "provided", "provided", "declined", "salts-lost"))
        named = known.inspectors if known is not None and outcome == "provided" else ()
        return self.sign(
            self.lab() if known is None else known.lab,
            inspections.encode_response,
            inspections.Response,
            challenge=name,
            outcome=outcome,
            handed=HASHES[0] if outcome == "provided" else None,
            recipients=tuple(
                inspections.Handed(nation=nation, inspector=inspector, ciphertext=HASHES[0])
                for nation, inspector in named
            ),
        )

    def finding(self) -> bytes:
        name = self._challenge("provided")
        known = CHALLENGES.get(self.world.state, name.encode())
        pairs = known.inspectors if known is not None and known.inspectors else ((self.nation(), "p"),)
        nation, inspector = self.pick(pairs)
        conclusion = self.pick(("consistent", "inconsistent", "inconsistent", "inconclusive"))
        made = inspections.Finding(
            **make_header(self.world, nation),
            challenge=name,
            inspector=inspector,
            conclusion=conclusion,
            fields=(),
            grounds=self.some(GROUNDS) if conclusion == "inconsistent" else (),
            level=self.pick(("A1", "A3", "A4")) if conclusion == "consistent" else None,
            report=HASHES[0],
        )
        signers = [self.world.nations[nation].key.signer, Key(f"{nation} {inspector}").signer]
        return sign_envelope(inspections.encode_finding(made), signers)

    # --- pauses and the committee ------------------------------------------------------------------------------------

    def pause_proposal(self) -> bytes:
        terms = pauses.Terms(
            title="A pause",
            scope=(pauses.Cap(quantity="training_pflop_per_run", maximum=10**9),),
            first_interval=self.interval(-1, 4),
            interval_count=self.random.randint(1, 6),
            lapses=self.interval(-1, 6),
            activation=pauses.Activation(
                nations_min=self.random.randint(1, 3),
                nations=self.some(NATIONS),
                capacity_permille_min=self.pick((0, 0, 1, 1000)),
            ),
            lift="When it is over.",
        )
        fields = {"pause": self.id(), "terms": terms}
        return self.sign(self.nation(), pauses.encode_pause_proposal, pauses.PauseProposal, **fields)

    def _pause(self) -> dict[str, object]:
        """A pause and the digest of its terms."""
        known = {name: record for name in IDS if (record := PAUSES.get(self.world.state, name.encode())) is not None}
        name = self.pick(sorted(known) or IDS)
        return {"pause": name, "terms": self.leaf(known[name].terms if name in known else None)}

    def accession(self) -> bytes:
        joins = pauses.Condition(
            nations=self.some(NATIONS), nations_min=self.random.randint(0, 3), lapses=self.interval(-1, 4)
        )
        fields = self._pause() | {"joins": None if self.once_in(4) else joins}
        return self.sign(self.nation(), pauses.encode_pause_accession, pauses.PauseAccession, **fields)

    def pledge(self) -> bytes:
        return self.sign(self.lab(), pauses.encode_lab_pledge, pauses.LabPledge, **self._pause())

    def freeze(self) -> bytes:
        named = tuple(
            pauses.InFlightRun(run=run, checkpoint=self.pick(HASHES), band=self.pick((0, 5, *BANDS)), digests=())
            for run in self.some(IDS)
        )
        return self.sign(
            self.lab(), pauses.encode_pause_freeze, pauses.PauseFreeze, **(self._pause() | {"runs": named})
        )

    def proposal(self) -> bytes:
        pause = str(self._pause()["pause"])
        change: object = self.pick(
            (
                committee.LiftPause(pause=pause),
                committee.ExtendPause(pause=pause, until=self.interval(-2, 12)),
                committee.ExtendPause(pause=pause, until=self.interval(-2, 12)),
                committee.Resolution(text="We meet again.", digest=HASHES[0]),
            )
        )
        fields = {"proposal": self.id(), "change": change}
        return self.sign(self.nation(), committee.encode_proposal, committee.Proposal, **fields)

    def approval(self) -> bytes:
        known = {name: motion for name in IDS if (motion := MOTIONS.get(self.world.state, name.encode())) is not None}
        name = self.pick(sorted(known) or IDS)
        digest = self.leaf(known[name].digest if name in known else None)
        fields = {"proposal": name, "change": digest, "approves": not self.once_in(5)}
        return self.sign(self.nation(), committee.encode_approval, committee.Approval, **fields)
