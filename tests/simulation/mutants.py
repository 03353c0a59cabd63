"""The core and its keys with one protection switched off at a time: what the level of cores must catch.

How a mutant is made and hunted: `tests.simulation.hunting`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from ledger.blocks import Header
from ledger.errors import Code, Rejection, reject
from ledger.positions import MemberIndex, Millis, View
from node.consensus import core as core_module
from node.consensus import messages as m
from node.consensus import votelog
from node.consensus.ballot import Ballot
from node.consensus.chain import Block, Execution, Node, find_block_fault
from node.consensus.core import Core
from node.consensus.credit import Credit
from node.consensus.judging import judge_place
from node.consensus.lanes import SIGNED, Lane
from node.consensus.messages import CoreConfig, VoteKind
from node.consensus.pace import Pace
from node.consensus.tally import Tally
from tests.simulation.cores import member as member_module
from tests.simulation.cores.ledger import State
from tests.simulation.cores.ledger import judge as judge_block
from tests.simulation.cores.member import CoreMember
from tests.simulation.hunting import Mutant, Patch
from tests.simulation.keys import CheapKeys

# --- votes of this node -----------------------------------------------------------------------------------------------

_handle, _replay, _may_cast, _cast = Core.handle, Ballot.replay, Ballot.may_cast, Ballot.cast


def _handle_without(is_left_out: Callable[[m.Action], bool]) -> tuple[Patch, ...]:
    """Have the core do everything but some of its actions."""

    def handle(self: Core, event: m.Event, *, now: Millis) -> list[m.Action]:
        return [action for action in _handle(self, event, now=now) if not is_left_out(action)]

    return ((Core, "handle", handle),)


def _is_certificate(action: m.Action) -> bool:
    return isinstance(action, m.Broadcast | m.Send) and isinstance(action.message, m.Certificate)


def _is_finalization(action: m.Action) -> bool:
    return isinstance(action, m.Broadcast | m.Send) and isinstance(action.message, m.Finalization)


def _replay_no_votes(self: Ballot, record: m.Vote | votelog.Lost | votelog.Barrier) -> None:
    if not isinstance(record, m.Vote):
        _replay(self, record)


def _finalize_after_nullify(self: Ballot, kind: VoteKind, view: View, *, current: View) -> bool:
    said = self._votes
    if kind is VoteKind.FINALIZE and VoteKind.NULLIFY in said.get(view, {}):
        self._votes = {**said, view: {k: vote for k, vote in said[view].items() if k is not VoteKind.NULLIFY}}
    allowed = _may_cast(self, kind, view, current=current)
    self._votes = said
    return allowed


def _nullify_after_finalize(self: Ballot, kind: VoteKind, view: View, *, current: View) -> bool:
    is_nullify = kind is VoteKind.NULLIFY and kind not in self.get(view) and not self.is_recovering
    return (is_nullify and view == current and view > self.muted_until) or _may_cast(self, kind, view, current=current)


def _notarize_twice(self: Ballot, kind: VoteKind, view: View, *, current: View) -> bool:
    is_notarize = kind is VoteKind.NOTARIZE and view == current and not self.is_recovering
    return (is_notarize and view > self.muted_until) or _may_cast(self, kind, view, current=current)


_on_proposal, _judge = Core._on_proposal, Core._judge


def _take_every_proposal(self: Core, source: MemberIndex, lane: Lane, proposal: m.Proposal) -> None:
    _on_proposal(self, source, lane, proposal)
    header = proposal.header
    if self._proposals.get(header.view) not in {None, header.digest} and header.view == self._view:
        self._keep(Block(header, proposal.entry_hashes), source)
        self._proposals[header.view] = header.digest


def _judge_once_a_block(self: Core) -> bool:
    """Without rule a, the core would not come to rest."""
    said = self._ballot.get(self._view).get(VoteKind.NOTARIZE)
    return (said is None or said.digest != self._proposals.get(self._view)) and _judge(self)


_lift_recovery = Ballot.lift_recovery


def _lift_to_nothing(self: Ballot, *, current: View) -> bytes | None:
    record = _lift_recovery(self, current=current)
    if record is None:
        return None
    self.muted_until = View(0)
    return votelog.encode_record(votelog.Barrier(self._config.epoch, View(0)))


def _replay_no_loss(self: Ballot, record: m.Vote | votelog.Lost | votelog.Barrier) -> None:
    if not isinstance(record, votelog.Lost):
        _replay(self, record)


def _nothing(*_: object, **__: object) -> None:
    """Stand for a step left out."""


# --- judging and executing --------------------------------------------------------------------------------------------


def _place_without(kind: VoteKind) -> Callable[..., Rejection | list[Any]]:
    def place(header: Header, **known: Any) -> Rejection | list[Any]:  # what `judge_place` takes
        verdict = judge_place(header, **known)
        if isinstance(verdict, Rejection):
            is_other_parent = kind is VoteKind.NOTARIZE and "notarized in view" in verdict.expected
            return [] if is_other_parent else verdict
        return [wanted for wanted in verdict if isinstance(wanted, bytes) or wanted[0] is not kind]

    return place


def _place_without_clock(header: Header, **known: Any) -> Rejection | list[Any]:
    return judge_place(header, **{**known, "now": Millis(2**50)})


def _place_missing_is_verdict(header: Header, **known: Any) -> Rejection | list[Any]:
    verdict = judge_place(header, **known)
    wrong = reject(Code.INVALID_FIELD, field="header.parent", found="unknown", expected="known")
    return verdict if isinstance(verdict, Rejection) or not verdict else wrong


_on_block_executed, _require_executed, _finalize = Core._on_block_executed, Core._require_executed, Core._finalize


def _believe_unread(self: Core, digest: bytes, rejection: Rejection | None) -> None:
    del rejection
    _on_block_executed(self, digest, None)


def _hasty(step: Callable[[Core], bool]) -> tuple[Patch, ...]:
    """Let one step believe that what it asked to have executed is executed."""
    hasty: list[bool] = []

    def run(self: Core) -> bool:
        hasty.append(True)
        try:
            return step(self)
        finally:
            hasty.pop()

    def require(self: Core, path: list[Node]) -> bool:
        return _require_executed(self, path) or bool(hasty)

    def cast(self: Ballot, kind: VoteKind, view: View, node: Node | None, *, current: View) -> tuple[m.Vote, bytes]:
        execution = Execution.VALID if node is None else node.execution
        if node is not None:
            node.execution = Execution.VALID
        try:
            return _cast(self, kind, view, node, current=current)
        finally:
            if node is not None:
                node.execution = execution

    return ((Core, step.__name__, run), (Core, "_require_executed", require), (Ballot, "cast", cast))


def _judge_forgetful(header: Header, state: State, entries: Sequence[bytes]) -> Rejection | None:
    return judge_block(header, replace(state, seen=frozenset()), entries)


def _find_other_fault(block: Block) -> str | None:
    fault = find_block_fault(block)
    return None if fault == "an entry stands twice in the block" else fault


def _extend_anything(self: Core) -> Header | None:
    for certificate in self._tally.certificates(VoteKind.NOTARIZE):
        node = self._chain.get(certificate.digest)
        if node is not None and node.execution is Execution.VALID:
            return node.block.header
    return self._chain.root.header


# --- keys and certificates --------------------------------------------------------------------------------------------

_post_init, _combine, _init_keys = CoreConfig.__post_init__, CheapKeys.combine, CheapKeys.__init__


def _one_less(self: CoreConfig) -> None:
    _post_init(self)
    object.__setattr__(self, "quorum", self.quorum - 1)


def _init_keys_one_less(self: CheapKeys, member: int, quorum: int) -> None:
    _init_keys(self, member, quorum - 1)


def _combine_unchecked(
    self: CheapKeys, shares: Mapping[MemberIndex, bytes], message: bytes
) -> tuple[bytes | None, tuple[MemberIndex, ...]]:
    seal, culprits = _combine(self, shares, message)
    return (bytes(48) if culprits else seal), ()


def _yes(*_: object, **__: object) -> bool:
    return True


_charge = Credit.charge


def _charge_all(self: Credit, member: MemberIndex, lane: Lane, fault: m.Fault, now: Millis) -> None:
    del lane
    _charge(self, member, SIGNED, fault, now)


# --- going on ---------------------------------------------------------------------------------------------------------

_end = Pace.end


def _end_without_learning(self: Pace, leader: MemberIndex, **learned: bool) -> None:
    before = self.delta_ms
    _end(self, leader, **learned)
    self.delta_ms = before


MUTANTS: Final[dict[str, Mutant]] = {
    "vote-log-not-written": Mutant(
        "durability: every vote is on disk before it is sent",
        _handle_without(lambda action: isinstance(action, m.Persist)),
        "storm",
    ),
    "vote-log-not-replayed": Mutant(
        "durability: a restarted member knows what it said", ((Ballot, "replay", _replay_no_votes),), "storm"
    ),
    "finalize-after-nullify": Mutant(
        "b: no FINALIZE after NULLIFY", ((Ballot, "may_cast", _finalize_after_nullify),), "rain"
    ),
    "nullify-after-finalize": Mutant(
        "b: no NULLIFY after FINALIZE",
        ((Ballot, "may_cast", _nullify_after_finalize),),
        "storm",
        behind="votes are cast in order of views: FINALIZE of those left, NULLIFY of the current one, also after a "
        "restart, since the certificate that let it leave is in the log before the FINALIZE",
    ),
    "every-proposal": Mutant(
        "3: only the first proposal",
        ((Core, "_on_proposal", _take_every_proposal),),
        "equivocator",
        behind="rule a: a second NOTARIZE is not cast",
    ),
    "notarize-twice": Mutant(
        "a: one NOTARIZE a view",
        ((Ballot, "may_cast", _notarize_twice), (Core, "_judge", _judge_once_a_block)),
        "equivocator",
        behind="rule 3: the first proposal stands, also after a restart, since its block is in the log",
    ),
    "every-proposal-notarized": Mutant(
        "3 and a together",
        (
            (Core, "_on_proposal", _take_every_proposal),
            (Ballot, "may_cast", _notarize_twice),
            (Core, "_judge", _judge_once_a_block),
        ),
        "equivocator",
    ),
    "parent-not-notarized": Mutant(
        "3: the parent is notarized",
        ((core_module, "judge_place", _place_without(VoteKind.NOTARIZE)),),
        "inventor-of-parents",
    ),
    "views-between-not-nullified": Mutant(
        "3: the views between are nullified",
        ((core_module, "judge_place", _place_without(VoteKind.NULLIFY)),),
        "forker",
    ),
    "time-ahead": Mutant("3: the time is not ahead", ((core_module, "judge_place", _place_without_clock),), "hurrier"),
    "missing-is-a-verdict": Mutant(
        "3: missing is no verdict", ((core_module, "judge_place", _place_missing_is_verdict),), "rain"
    ),
    "leader-extends-anything": Mutant(
        "2: the leader extends over nullified views only", ((Core, "_find_parent", _extend_anything),), "rain"
    ),
    "verdict-unread": Mutant(
        "3: invalid blocks are refused", ((Core, "_on_block_executed", _believe_unread),), "wrong-reckoner"
    ),
    "notarize-before-execution": Mutant("c: executed before NOTARIZE", _hasty(_judge), "rain"),
    "finalize-before-execution": Mutant("c: executed before FINALIZE", _hasty(_finalize), "rain"),
    "entries-not-stored": Mutant(
        "durability: entries are on disk before the vote", ((CoreMember, "_store", _nothing),), "rain"
    ),
    "entry-twice-on-a-chain": Mutant(
        "3: no entry twice on a chain", ((member_module, "judge", _judge_forgetful),), "repeater-of-entries"
    ),
    "entry-twice-in-a-block": Mutant(
        "3: no entry twice in a block", ((core_module, "find_block_fault", _find_other_fault),), "repeater-of-entries"
    ),
    "evidence-not-kept": Mutant("contradictions are evidence", ((Tally, "_record", _nothing),), "conflicter"),
    "quorum-one-less": Mutant(
        "5, 6, 7: q = n - f",
        ((CoreConfig, "__post_init__", _one_less), (CheapKeys, "__init__", _init_keys_one_less)),
        "asymmetric-partition",
    ),
    "shares-not-verified": Mutant(
        "7: the seal is verified once combined", ((CheapKeys, "combine", _combine_unchecked),), "liar-about-shares"
    ),
    "seal-not-verified": Mutant("7: a finalization's seal is verified", ((CheapKeys, "is_seal", _yes),), "forger"),
    "vote-signature-not-verified": Mutant(
        "votes are signed by their member", ((CheapKeys, "is_vote_signature", _yes),), "forger"
    ),
    "certificate-not-verified": Mutant("certificates are q votes", ((Tally, "find_fault", _nothing),), "forger"),
    "recovery-not-muted": Mutant(
        "9: mute up to the highest view told plus 2",
        ((Ballot, "lift_recovery", _lift_to_nothing),),
        "lost-vote-log",
    ),
    "recovery-not-awaited": Mutant(
        "9: no vote until others told their views", ((Ballot, "replay", _replay_no_loss),), "lost-vote-log"
    ),
    "old-log-unnoticed": Mutant(
        "9: a forgotten vote shows an old log", ((Ballot, "find_forgotten", _nothing),), "old-vote-log"
    ),
    "liars-heard": Mutant("11: who lies is heard less", ((Credit, "is_heard", _yes),), "spammer"),
    "streams-share-credit": Mutant(
        "11: what one stream brings is not held against another", ((Credit, "charge", _charge_all),), "thief"
    ),
    "nothing-repeated": Mutant("4: what may have been lost is repeated", ((Core, "_repeat", _nothing),), "storm"),
    "certificates-unsaid": Mutant(
        "1: the certificate of entry is said to all", _handle_without(_is_certificate), "storm"
    ),
    "finalizations-unsaid": Mutant(
        "7: a finalization is said to all",
        _handle_without(_is_finalization),
        "majority-restart",
        behind="rule 7: every member makes the seal itself from the votes, and who starts asks for the newest one",
    ),
    "blocks-unasked": Mutant(
        "3: a missing block is asked for",
        _handle_without(lambda action: isinstance(action, m.FetchBlock)),
        "deserter",
    ),
    "certificates-unasked": Mutant(
        "3: a missing certificate is asked for",
        _handle_without(lambda action: isinstance(action, m.FetchCertificate)),
        "conflicter",
        behind="rules 1 and 4: every certificate is said once by all, the newest one again and again",
    ),
    "final-blocks-unasked": Mutant(
        "7: final blocks that are not known are caught up with",
        _handle_without(lambda action: isinstance(action, m.FetchFinalBlocks)),
        "storm",
        is_quick=False,
    ),
    "nobody-helped": Mutant(
        "8: members behind are shown the way out",
        ((Core, "_help", _nothing),),
        "asymmetric-partition",
        behind="rule 4: who is ahead and has voted there repeats its certificate of entry; help comes sooner",
    ),
    "delta-fixed": Mutant("10: Δ adapts", ((Pace, "end", _end_without_learning),), "slow-network", is_quick=False),
    "certificates-not-kept": Mutant(
        "durability: certificates are on disk with the votes that rest on them",
        ((Ballot, "learned", _nothing),),
        "every-member-crashed-at-once",
    ),
}
