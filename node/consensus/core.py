"""The consensus core: Simplex with a sealed finality, as a state machine without I/O, clock or randomness.

Source: Chan & Pass, Simplex Consensus (IACR ePrint 2023/463), with explicit NULLIFY votes and a FINALIZE vote that
carries a share of the group's seal. n members, at most f = ⌊(n-1)/3⌋ faulty, quorum q = n - f. Δ is how long a message
and its handling may take. Every transition of the protocol is in this file; code refers to these numbers.

A view v, which has one leader:

 1. Entering v, with a certificate of v - 1 or a finalization: say that certificate once to all. The timers of v - 1 are
    void. Wait for a proposal: 2Δ after entering, if v - 1 was nullified; else the idle interval longer, but no longer
    than 2Δ after an entry has been pending for Δ or a rules deadline has passed. A leader silent in its last two turns
    gets Δ instead of 2Δ.
 2. Leader: extend the highest notarized block such that every view between it and v is nullified. Propose at once if
    entries are pending, a deadline has passed or v - 1 was nullified; after Δ if the parent is not final; else after
    the idle interval, so that time moves on. One proposal a view.
 3. Member, on the first proposal of v's leader: check header, parent, nullifications between, time; have it executed.
    Valid: persist, then broadcast NOTARIZE. Invalid: as if the timer had fired. Something *missing* is no verdict: ask
    the leader for it, who must have had it, then others, and judge again.
 4. Timer, no proposal in time (1) or 3Δ after the proposal came: persist, then broadcast NULLIFY, unless FINALIZE was
    sent in v. Every Δ, repeat the votes of v, the certificate of entry, and FINALIZE votes that led to nothing yet.
 5. q NOTARIZE for one block: v is notarized, enter v + 1. Unless this node sent NULLIFY in v or saw v's leader
    equivocate, and once it has the block executed: persist, then broadcast FINALIZE with its seal share.
 6. q NULLIFY: v is nullified, enter v + 1. A view can be both notarized and nullified.
 7. q FINALIZE for one block of any view, however late: combine the seal, verify it once. The block and all its
    ancestors are final; say the finalization once to all, enter the view after it. A finalization received has the same
    effect once its seal is verified. If blocks on the way to it are unknown here, catch up first.
 8. A member that still votes in a view this node has left is sent the way out: the newest finalization, or the
    certificate of entry. At most once in Δ a member.
 9. Recovery: with its vote log lost a node casts no vote until min(q, n-1) others have told it their view, and then
    none in views up to the highest of these plus 2. (It had entered a view only with a certificate of the one before,
    which at least q - f - 1 honest others signed; any such answers include one of theirs.)
10. Δ doubles with each nullified view after the first in a row, up to its ceiling, and halves, down to its floor, with
    each finalization.

Safety rests on these, which hold across restarts since every vote is persisted before it is sent:
 a. never two different NOTARIZE in one view;   b. never NULLIFY and FINALIZE in one view;   c. FINALIZE only a notarized,
 executed block.   d. Votes only in the epoch of the configuration.

Not here: what a block's entries mean (`node.execute`), bytes on a wire (`node.peers`), other epochs.
"""

from collections import Counter
from collections.abc import Iterable
from typing import Final, assert_never

from ledger.blocks import NO_SEAL, Header, SealedHeader, seal_message, verify_child
from ledger.errors import Code, ProofError, Rejection, reject
from ledger.limits import CLOCK_AHEAD_MAX_MS, VIEWS_AHEAD_MAX
from ledger.positions import Height, MemberIndex, Millis, View
from node.consensus import messages as m
from node.consensus import votelog
from node.consensus.chain import Block, Chain, Dead, Execution, Missing, Node, find_block_fault
from node.consensus.messages import Certificate, CoreConfig, Fault, Finalization, Proposal, TimerName, Vote, VoteKind
from node.consensus.tally import Added, Tally

SILENT_TURNS: Final = 2  # step 1
RECOVERY_MARGIN_VIEWS: Final = 2  # step 9
REPEATED_FINALIZE_MAX: Final = 4  # step 4: how many views' FINALIZE votes are said again at a time
CERTIFICATES_ASKED_MAX: Final = 16  # how many missing certificates are asked for at a time


class Core:
    """One member's part in the protocol, for one epoch."""

    def __init__(self, config: CoreConfig, keys: m.Keys, records: Iterable[votelog.Record] = ()) -> None:
        """Rebuild the core.

        Args:
            config: who we are, and the newest final header of the store.
            keys: believed to be this member's.
            records: `votelog.read(…).records`, believed; the log of a node that never voted is empty but for its start.
        """
        self._config = config
        self._keys = keys
        self._tally = Tally(config, keys)
        self._chain = Chain(config.final)
        self._newest_final: Finalization | None = (
            None if config.final.seal == NO_SEAL else Finalization(config.final.header, config.final.seal)
        )
        self._view = View(0)  # until Started
        self._entered_ms = Millis(0)
        self._entered_by_block = True
        self._delta_ms = config.delta_ms
        self._nullified_in_row = 0
        self._silent_turns: Counter[MemberIndex] = Counter()

        self._my_votes: dict[View, dict[VoteKind, Vote]] = {}
        self._proposals: dict[View, bytes] = {}  # digest of the first proposal of each view's leader
        self._sources: dict[bytes, MemberIndex] = {}  # who sent the block first
        self._refused: dict[View, bool] = {}  # views whose proposal is invalid
        self._disagreed: dict[bytes, bool] = {}
        self._pending_final: tuple[Finalization, MemberIndex] | None = None  # verified, not yet applied
        self._catching_up: Finalization | None = None

        self._pending_since_ms: Millis | None = None
        self._deadline_ms: Millis | None = None
        self._building_view = View(0)
        self._has_nothing = False  # told so since the last news
        self._leader_timer_ms: Millis | None = None
        self._propose_timer_ms: Millis | None = None

        self._asked: dict[tuple[int, int | bytes], tuple[int, Millis]] = {}
        self._helped_ms: dict[MemberIndex, Millis] = {}
        self._unpersisted: list[Certificate] = []
        self._told_views: dict[MemberIndex, View] = {}
        self._is_recovering = False
        self._muted_until = View(0)
        self._dropped: Counter[str] = Counter()
        self._out: list[m.Action] = []
        self._now = Millis(0)
        self._replay(records)

    def _replay(self, records: Iterable[votelog.Record]) -> None:
        """Take in what this node said and knew before it stopped (step 9 if that was lost)."""
        for record in records:
            match record:
                case votelog.Lost():
                    self._is_recovering = True
                case votelog.Barrier():
                    self._is_recovering = False
                    if record.epoch == self._config.epoch:
                        self._muted_until = max(self._muted_until, record.view)
                case votelog.Start():
                    raise AssertionError("`votelog.read` keeps the start record to itself")
                case Block(header=header):
                    if self._is_above_final(header.epoch, header.view):
                        self._chain.add(record).is_persisted = True
                        self._proposals.setdefault(header.view, header.digest)
                case Certificate():
                    if self._is_above_final(record.epoch, record.view):
                        self._tally.add_certificate(record)
                case Vote():
                    if self._is_above_final(record.epoch, record.view):
                        self._tally.add_vote(record, is_own=True)
                        self._my_votes.setdefault(record.view, {})[record.kind] = record
                case _:
                    assert_never(record)
        self._tally.take_evidence()

    def _is_above_final(self, epoch: int, view: int) -> bool:
        return epoch == self._config.epoch and view > self._chain.root.header.view

    # --- what the driver may read --------------------------------------------------------------------------------------

    def get_block(self, digest: bytes) -> Block | None:
        """Give an unfinal block, to serve a member that lacks it."""
        node = self._chain.get(digest)
        return None if node is None else node.block

    def get_certificate(self, kind: VoteKind, view: View) -> Certificate | None:
        """Give the certificate of a view, of the other kind if there is none of this."""
        other = VoteKind.NULLIFY if kind is VoteKind.NOTARIZE else VoteKind.NOTARIZE
        return self._tally.get_certificate(kind, view) or self._tally.get_certificate(other, view)

    def newest_finalization(self) -> Finalization | None:
        """Give the newest sealed header this node knows; None while only genesis is final."""
        return self._pending_final[0] if self._pending_final else self._newest_final

    def view_to_tell(self) -> View | None:
        """Give the view to tell a member that lost its vote log (`FetchViews`); None if this node lost its own."""
        return None if self._is_recovering else max(self._view, self._muted_until)

    def status(self) -> m.Status:
        """Give what an operator wants to see."""
        notarized = next(self._tally.certificates(VoteKind.NOTARIZE), None)
        root = self._chain.root.header
        return m.Status(
            epoch=self._config.epoch,
            view=self._view,
            leader=self._leader(self._view),
            delta_ms=self._delta_ms,
            final_height=root.height,
            final_view=root.view,
            notarized_view=root.view if notarized is None else notarized.view,
            notarized_digest=root.digest if notarized is None else notarized.digest,
            is_recovering=self._is_recovering,
            muted_until_view=self._muted_until,
            is_catching_up=self._catching_up is not None,
            votes=self._tally.count_votes(self._view),
            dropped=dict(self._dropped),
        )

    # --- events --------------------------------------------------------------------------------------------------------

    def handle(self, event: m.Event, *, now: Millis) -> list[m.Action]:
        """Take one event; the caller carries the actions out in order, by the contract of `messages.py`."""
        self._turn_clock(now)
        self._out = []
        match event:
            case m.Started():
                self._on_started()
            case m.MessageReceived():
                self._on_message(event.source, event.message)
            case m.TimerFired():
                self._on_timer(event.timer, event.view)
            case m.EntriesPending():
                self._pending_since_ms, self._has_nothing = event.oldest_since_ms, False
            case m.DeadlineAt():
                self._deadline_ms, self._has_nothing = event.at_ms, False
            case m.BlockBuilt():
                self._on_block_built(event)
            case m.NothingToPropose():
                self._on_nothing_to_propose(event.view)
            case m.BlockExecuted():
                self._on_block_executed(event.digest, event.rejection)
            case m.BlockFetched():
                self._on_block_fetched(event)
            case m.CertificateFetched():
                self._on_certificate(event.source, event.certificate)
            case m.ViewTold():
                self._on_view_told(event)
            case m.CaughtUp():
                self._on_caught_up(SealedHeader(event.header, event.seal))
            case _:
                assert_never(event)
        if self._view > 0:
            self._settle()
        actions, self._out = self._out, []
        return actions

    def _turn_clock(self, now: Millis) -> None:
        """Take the time; if the clock was set back, so is what was reckoned by it."""
        if now < self._now:
            self._entered_ms = Millis(self._entered_ms - (self._now - now))
            self._leader_timer_ms = self._propose_timer_ms = None
            self._asked.clear()
            self._helped_ms.clear()
        self._now = now

    def _settle(self) -> None:
        """Take every step that what is known now allows, until there is none left."""
        steps = (self._seal, self._apply_finality, self._advance, self._finalize, self._judge)
        while any(step() for step in steps):
            pass
        self._propose()
        self._set_timers()
        self._out.extend(self._tally.take_evidence())

    def _on_started(self) -> None:
        """Resume in the highest view this node is known to have been in."""
        assert self._view == 0
        certified = [view for view in self._tally.views() if self.get_certificate(VoteKind.NOTARIZE, view)]
        resumed = max(self._chain.root.header.view + 1, *self._my_votes, *(view + 1 for view in certified), 1)
        self._begin(View(resumed), is_by_block=True)
        if self._is_recovering:
            self._out.append(m.FetchViews())
            self._lift_recovery()

    def _on_message(self, source: MemberIndex, message: m.Message) -> None:
        match message:
            case Vote():
                self._on_vote(source, message)
            case Proposal():
                self._on_proposal(source, message)
            case Certificate():
                self._on_certificate(source, message)
            case Finalization():
                self._on_finalization(source, message)
            case _:
                assert_never(message)

    def _is_in_window(self, epoch: int, view: int) -> bool:
        """Tell whether a view is neither below the newest final one nor too far ahead to be held; count if so."""
        if epoch != self._config.epoch:
            self._dropped["other epoch"] += 1
        elif view > self._view + VIEWS_AHEAD_MAX:
            self._dropped["view too far ahead"] += 1
        elif view < self._chain.root.header.view:
            self._dropped["view already final"] += 1
        else:
            return True
        return False

    def _on_vote(self, source: MemberIndex, vote: Vote) -> None:
        if vote.member != source:
            self._accuse(source, Fault.WRONG_SOURCE, f"a vote of member {vote.member}")
            return
        if not self._is_in_window(vote.epoch, vote.view):
            if vote.epoch == self._config.epoch and vote.view < self._chain.root.header.view:
                self._help(source, vote)
            return
        match self._tally.add_vote(vote):
            case Added.MALFORMED | Added.WRONG_SIGNATURE as fault:
                self._accuse(source, Fault.WRONG_SIGNATURE, f"{fault.name} {vote.kind.name} in view {vote.view}")
            case Added.REPEATED:
                self._help(source, vote)
            case Added.NEW | Added.CONFLICTING:
                if vote.kind is VoteKind.NULLIFY:
                    self._help(source, vote)

    def _help(self, member: MemberIndex, vote: Vote) -> None:
        """Step 8: send a member that votes in a view behind us the way out of it."""
        final_view = self._chain.root.header.view
        is_stuck = vote.view <= final_view or (vote.view < self._view and vote.kind is not VoteKind.FINALIZE)
        if not is_stuck or self._now < self._helped_ms.get(member, 0) + self._delta_ms:
            return
        entry = self._entry_certificate()
        if vote.view <= final_view and self._newest_final is not None:
            self._helped_ms[member] = self._now
            self._out.append(m.Send(member, self._newest_final))
        if entry is not None and entry is not self._newest_final:
            self._helped_ms[member] = self._now
            self._out.append(m.Send(member, entry))

    def _on_proposal(self, source: MemberIndex, proposal: Proposal) -> None:
        header, vote = proposal.header, proposal.vote
        if not self._is_in_window(header.epoch, header.view) or header.view == self._chain.root.header.view:
            return
        block = Block(header, proposal.entry_hashes)
        said = (vote.kind, vote.epoch, vote.view, vote.digest, vote.member)
        if header.ledger_id != self._config.ledger_id:
            fault: str | None = "another ledger's header"
        elif header.proposer != self._leader(header.view):
            fault = f"member {header.proposer} does not lead view {header.view}"
        elif said != (VoteKind.NOTARIZE, header.epoch, header.view, header.digest, header.proposer):
            fault = "the vote is not the proposer's for this block"
        else:
            fault = find_block_fault(block)
        if fault is None and self._tally.add_vote(vote) in (Added.MALFORMED, Added.WRONG_SIGNATURE):
            fault = "the proposer's vote is not signed by it"
        if fault is not None:
            self._accuse(source, Fault.WRONG_PROPOSAL, fault)
        elif (0, header.digest) in self._asked:
            self._keep(block, source)
        elif header.view not in self._proposals:  # step 3: the first one
            self._proposals[header.view] = header.digest
            self._keep(block, source)
            if header.view == self._view:
                self._set_timer(TimerName.VIEW, Millis(self._now + 3 * self._delta_ms))

    def _keep(self, block: Block, source: MemberIndex) -> Node:
        self._sources.setdefault(block.header.digest, source)
        self._asked.pop((0, block.header.digest), None)
        return self._chain.add(block)

    def _on_certificate(self, source: MemberIndex, certificate: Certificate) -> None:
        if not self._is_above_final(certificate.epoch, certificate.view):
            self._dropped["certificate of a final view or other epoch"] += 1
        elif self._tally.get_certificate(certificate.kind, certificate.view) is None:
            fault = self._tally.find_fault(certificate)
            if fault is not None:
                self._accuse(source, Fault.WRONG_CERTIFICATE, fault)
                return
            self._tally.add_certificate(certificate)
            self._learned(certificate)

    def _learned(self, certificate: Certificate) -> None:
        """Remember to persist a new certificate with the next vote, and stop asking for it."""
        self._unpersisted.append(certificate)
        self._asked.pop((certificate.kind, certificate.view), None)

    def _on_finalization(self, source: MemberIndex, finalization: Finalization) -> None:
        header = finalization.header
        known = self._pending_final[0].header.view if self._pending_final else self._chain.root.header.view
        if header.epoch != self._config.epoch or header.view <= known:
            self._dropped["finalization of no news"] += 1
        elif header.ledger_id != self._config.ledger_id or not self._keys.is_seal(
            seal_message(header, self._config.origin), finalization.seal
        ):
            self._accuse(source, Fault.WRONG_SEAL, f"height {header.height} view {header.view}")
        else:
            self._accept(finalization, source)

    def _accept(self, finalization: Finalization, source: MemberIndex) -> None:
        """Step 7: hold a verified finalization until it can be applied, and say it once."""
        self._pending_final = (finalization, source)
        self._out.append(m.Broadcast(finalization))

    def _on_timer(self, timer: TimerName, view: View) -> None:
        if view != self._view:
            return  # step 1: timers of an earlier view are void
        match timer:
            case TimerName.LEADER:
                if self._now < self._leader_deadline():
                    self._leader_timer_ms = None  # too early: to be set again
                elif view not in self._proposals:
                    self._nullify()
            case TimerName.VIEW:
                self._nullify()
            case TimerName.PROPOSE:
                self._propose_timer_ms, self._has_nothing = None, False
            case TimerName.REPEAT:
                self._repeat()
                self._set_timer(TimerName.REPEAT, Millis(self._now + self._delta_ms))
            case _:
                assert_never(timer)

    def _on_block_built(self, event: m.BlockBuilt) -> None:
        """Step 2: propose what the driver built, which it has executed."""
        if event.view != self._view or self._building_view != self._view:
            return
        self._building_view = View(0)
        block = Block(event.header, event.entry_hashes)
        assert (event.header.view, event.header.proposer) == (self._view, self._config.me)
        assert find_block_fault(block) is None
        if self._may_vote(VoteKind.NOTARIZE, self._view) and VoteKind.NULLIFY not in self._mine(self._view):
            self._keep(block, self._config.me).execution = Execution.VALID
            self._proposals[self._view] = event.header.digest
            self._cast(VoteKind.NOTARIZE, self._view, event.header.digest)
            self._set_timer(TimerName.VIEW, Millis(self._now + 3 * self._delta_ms))

    def _on_nothing_to_propose(self, view: View) -> None:
        if view == self._building_view:
            self._building_view = View(0)
            self._has_nothing = True

    def _on_block_executed(self, digest: bytes, rejection: Rejection | None) -> None:
        node = self._chain.get(digest)
        if node is not None and node.execution is Execution.ASKED:
            node.execution = Execution.VALID if rejection is None else Execution.INVALID
            node.rejection = rejection

    def _on_block_fetched(self, event: m.BlockFetched) -> None:
        block = Block(event.header, event.entry_hashes)
        if (0, event.header.digest) not in self._asked:
            self._dropped["block not asked for"] += 1
        elif event.header.ledger_id != self._config.ledger_id or find_block_fault(block) is not None:
            self._accuse(event.source, Fault.WRONG_BLOCK, find_block_fault(block) or "another ledger's header")
        elif self._is_above_final(event.header.epoch, event.header.view):
            self._keep(block, event.source)

    def _on_view_told(self, event: m.ViewTold) -> None:
        if self._is_recovering and event.epoch == self._config.epoch and event.member != self._config.me:
            self._told_views[event.member] = max(event.view, self._told_views.get(event.member, View(0)))
            self._lift_recovery()

    def _lift_recovery(self) -> None:
        """Step 9: once enough others have told their view, be mute only up to the highest of them plus 2."""
        if len(self._told_views) < min(self._config.quorum, self._config.member_count - 1):
            return
        highest = max(self._view, *self._told_views.values(), self._muted_until)
        self._is_recovering, self._muted_until = False, View(highest + RECOVERY_MARGIN_VIEWS)
        barrier = votelog.Barrier(epoch=self._config.epoch, view=self._muted_until)
        self._out.append(m.Persist(votelog.encode_record(barrier)))

    def _on_caught_up(self, sealed: SealedHeader) -> None:
        self._catching_up = None
        if sealed.header.view > self._chain.root.header.view:
            self._set_root(sealed)
            self._chain.forget_executions()

    # --- steps ---------------------------------------------------------------------------------------------------------

    def _seal(self) -> bool:
        """Step 7: combine the seal of the highest view that enough members have finalized."""
        known = self._pending_final[0].header.view if self._pending_final else self._chain.root.header.view
        for view in reversed(self._tally.views()):
            if view <= known:
                return False
            for digest, votes in self._tally.get_shares(view).items():
                node = self._chain.get(digest)
                if node is None:
                    self._ask_block(digest, first=min(votes))
                    continue
                shares = {member: votes[member].share for member in sorted(votes)}
                message = seal_message(node.block.header, self._config.origin)
                seal, culprits = self._keys.combine(shares, message)
                assert seal is not None or culprits
                for culprit in culprits:
                    self._tally.drop_share(votes[culprit])
                    self._accuse(culprit, Fault.WRONG_SHARE, f"view {view}")
                if seal is not None:
                    self._accept(Finalization(node.block.header, seal), self._config.me)
                    return True
        return False

    def _apply_finality(self) -> bool:
        """Step 7: hand over the blocks that a finalization makes final, once all are known and executed."""
        if self._pending_final is None or self._catching_up is not None:
            return False
        finalization, source = self._pending_final
        header, root = finalization.header, self._chain.root.header
        if header.view <= root.view:
            self._pending_final = None
            return True
        path = self._chain.find_path(header.digest)
        if isinstance(path, Missing):
            self._catching_up = finalization
            first = Height(root.height + 1)
            self._out.append(m.FetchFinalBlocks(first, header, finalization.seal, self._other(source)))
            return False
        if isinstance(path, Dead) or not path:
            self._disagree(header, _forked(header, root))
            return False
        if not self._require_executed(path):
            return False
        seals = [NO_SEAL] * (len(path) - 1) + [finalization.seal]
        final = tuple(
            m.FinalBlock(node.block.header, node.block.entry_hashes, seal)
            for node, seal in zip(path, seals, strict=True)
        )
        self._out.append(m.Finalized(final))
        self._pending_final = None
        self._set_root(SealedHeader(header, finalization.seal))
        return True

    def _set_root(self, sealed: SealedHeader) -> None:
        """Forget what a newer final block has made moot; Δ decays (step 10)."""
        view = sealed.header.view
        self._newest_final = Finalization(sealed.header, sealed.seal)
        self._chain.advance(sealed)
        self._tally.prune(view)
        self._my_votes = {v: votes for v, votes in self._my_votes.items() if v > view}
        self._proposals = {v: digest for v, digest in self._proposals.items() if v > view}
        self._refused = {v: True for v in self._refused if v > view}
        self._sources = {d: source for d, source in self._sources.items() if self._chain.get(d)}
        self._unpersisted = [certificate for certificate in self._unpersisted if certificate.view > view]
        self._asked.clear()
        self._disagreed.clear()
        self._delta_ms = Millis(max(self._config.delta_ms, self._delta_ms // 2))
        self._nullified_in_row = 0

    def _advance(self) -> bool:
        """Steps 5, 6, 7: form certificates; enter the view after the highest that is certified or final."""
        for view in self._tally.views():
            if view > self._chain.root.header.view:
                for kind in (VoteKind.NOTARIZE, VoteKind.NULLIFY):
                    certificate = self._tally.make_certificate(kind, view)
                    if certificate is not None:
                        self._learned(certificate)
        final_view = self._pending_final[0].header.view if self._pending_final else self._chain.root.header.view
        certified = (certificate.view for certificate in self._highest_certificates())
        highest = View(max(final_view, *certified, 0))
        if highest < self._view:
            return False
        entry = self._tally.get_certificate(VoteKind.NOTARIZE, highest) or self._tally.get_certificate(
            VoteKind.NULLIFY, highest
        )
        is_by_block = highest == final_view or (entry is not None and entry.kind is VoteKind.NOTARIZE)
        self._count_turn(is_by_block=is_by_block)
        if entry is not None and highest != final_view:
            self._out.append(m.Broadcast(entry))
        self._begin(View(highest + 1), is_by_block=is_by_block)
        return True

    def _highest_certificates(self) -> list[Certificate]:
        kinds = (VoteKind.NOTARIZE, VoteKind.NULLIFY)
        return [held for kind in kinds if (held := next(self._tally.certificates(kind), None)) is not None]

    def _count_turn(self, *, is_by_block: bool) -> None:
        """Learn from the view that ends: was its leader silent (step 1), and is Δ too short (step 10)."""
        leader = self._leader(self._view)
        if is_by_block or self._view in self._proposals:
            self._silent_turns[leader] = 0
        else:
            self._silent_turns[leader] += 1
        if is_by_block:
            self._nullified_in_row = 0
        else:
            self._nullified_in_row += 1
            if self._nullified_in_row > 1:
                self._delta_ms = Millis(min(2 * self._delta_ms, self._config.delta_max_ms))

    def _begin(self, view: View, *, is_by_block: bool) -> None:
        """Step 1: be in this view from now on."""
        self._view, self._entered_ms, self._entered_by_block = view, self._now, is_by_block
        self._building_view, self._has_nothing = View(0), False
        self._leader_timer_ms = self._propose_timer_ms = None
        self._set_timer(TimerName.REPEAT, Millis(self._now + self._delta_ms))
        if view in self._proposals:
            self._set_timer(TimerName.VIEW, Millis(self._now + 3 * self._delta_ms))

    def _finalize(self) -> bool:
        """Step 5: FINALIZE every notarized view whose block is executed, if nothing speaks against it."""
        has_voted = False
        for certificate in self._tally.certificates(VoteKind.NOTARIZE):
            view, digest = certificate.view, certificate.digest
            if view <= self._chain.root.header.view or not self._may_vote(VoteKind.FINALIZE, view):
                continue
            path = self._chain.find_path(digest)
            if isinstance(path, Missing):
                self._ask_block(path.digest, first=certificate.votes[0].member)
            elif isinstance(path, Dead):
                pass
            elif self._require_executed(path):
                self._cast(VoteKind.FINALIZE, view, digest)
                has_voted = True
        return has_voted

    def _judge(self) -> bool:
        """Step 3: vote for the proposal of this view, refuse it, or ask for what is missing to judge it."""
        digest = self._proposals.get(self._view)
        if digest is None or self._view in self._refused or not self._may_vote(VoteKind.NOTARIZE, self._view):
            return False
        node = self._chain.get(digest)
        if node is None:
            return False
        verdict = self._find_rejection(node.block.header)
        if isinstance(verdict, Rejection):
            self._refuse(node.block.header, verdict)
            return True
        path = self._chain.find_path(digest)
        if isinstance(path, Missing):
            self._ask_block(path.digest, first=node.block.header.proposer)
        if not verdict or isinstance(path, Missing | Dead) or not self._require_executed(path):
            if node.execution is Execution.INVALID:
                self._refuse(node.block.header, node.rejection or _invalid_ancestor(node.block.header))
            return False
        self._cast(VoteKind.NOTARIZE, self._view, digest)
        return True

    def _find_rejection(self, header: Header) -> Rejection | bool:
        """Check a proposal's place in the chain: a rejection, True if it is good, False while something is missing."""
        parent, leader = self._chain.get_header(header.parent), header.proposer
        if header.time_ms > self._now + CLOCK_AHEAD_MAX_MS:
            expected = f"at most {self._now + CLOCK_AHEAD_MAX_MS}"
            return reject(Code.CLOCK_AHEAD, field="header.time_ms", found=header.time_ms, expected=expected)
        if self._chain.find_path(header.digest) is Dead.DEAD:
            return _forked(header, self._chain.root.header)
        if parent is None:
            return False  # `_judge` asks for it
        try:
            verify_child(header, parent=parent)
        except ProofError as error:
            return Rejection(code=error.code, field=error.field, found=error.found, expected=error.expected)
        return self._is_parent_right(parent, leader)

    def _is_parent_right(self, parent: Header, leader: MemberIndex) -> Rejection | bool:
        """Check that the parent is notarized and every view after it nullified; ask for certificates not held."""
        wanted: list[tuple[VoteKind, View]] = []
        if parent.digest != self._chain.root.header.digest:
            notarization = self._tally.get_certificate(VoteKind.NOTARIZE, parent.view)
            if notarization is None:
                wanted.append((VoteKind.NOTARIZE, parent.view))
            elif notarization.digest != parent.digest:
                field, found, expected = "header.parent", parent.digest.hex(), notarization.digest.hex()
                return reject(Code.INVALID_FIELD, field=field, found=found, expected=expected)
        wanted += [
            (VoteKind.NULLIFY, View(view))
            for view in range(parent.view + 1, self._view)
            if self._tally.get_certificate(VoteKind.NULLIFY, View(view)) is None
        ]
        for kind, view in wanted[:CERTIFICATES_ASKED_MAX]:
            self._ask_certificate(kind, view, first=leader)
        return not wanted

    def _refuse(self, header: Header, rejection: Rejection) -> None:
        """Step 3: an invalid proposal is as good as none."""
        self._refused[header.view] = True
        self._accuse(header.proposer, Fault.WRONG_PROPOSAL, str(rejection))
        self._nullify()

    def _require_executed(self, path: list[Node]) -> bool:
        """Tell whether every block of a path from the root is executed; have the first that is not executed."""
        for node in path:
            if node.execution is Execution.INVALID:
                certificate = self._tally.get_certificate(VoteKind.NOTARIZE, node.block.header.view)
                if certificate is not None and certificate.digest == node.block.header.digest:
                    self._disagree(node.block.header, node.rejection or _invalid_ancestor(node.block.header))
                return False
            if node.execution is Execution.NOT_ASKED and self._catching_up is None:
                node.execution = Execution.ASKED
                block = node.block
                source = self._sources.get(block.header.digest, block.header.proposer)
                self._out.append(m.ExecuteBlock(block.header, block.entry_hashes, self._other(source)))
            if node.execution is not Execution.VALID:
                return False
        return True

    def _disagree(self, header: Header, rejection: Rejection) -> None:
        if header.digest not in self._disagreed:
            self._disagreed[header.digest] = True
            self._out.append(m.QuorumDisagrees(header, rejection))

    # --- leading -------------------------------------------------------------------------------------------------------

    def _propose(self) -> None:
        """Step 2: ask for a block if this node leads, has not proposed, and it is time to."""
        if (
            self._leader(self._view) != self._config.me
            or self._view in self._proposals
            or self._building_view == self._view
            or self._catching_up is not None
            or not self._may_vote(VoteKind.NOTARIZE, self._view)
            or VoteKind.NULLIFY in self._mine(self._view)
        ):
            return
        parent = self._find_parent()
        if parent is None:
            return
        may_be_empty = self._now >= self._empty_block_at(parent)
        is_due = self._deadline_ms is not None and self._now >= self._deadline_ms
        has_reason = (self._pending_since_ms is not None or is_due) and not self._has_nothing
        if may_be_empty or has_reason:
            self._building_view = self._view
            time_ms = Millis(max(self._now, parent.time_ms))
            self._out.append(m.BuildBlock(self._view, parent, time_ms, may_be_empty))
        else:
            self._set_propose_timer(parent)

    def _empty_block_at(self, parent: Header) -> Millis:
        """Step 2: when to propose even if there is nothing to say."""
        if not self._entered_by_block:
            return self._entered_ms
        is_final = parent.digest == self._chain.root.header.digest
        return Millis(self._entered_ms + (self._config.idle_interval_ms if is_final else self._delta_ms))

    def _set_propose_timer(self, parent: Header) -> None:
        at_ms = self._empty_block_at(parent)
        if self._deadline_ms is not None and self._now < self._deadline_ms:
            at_ms = min(at_ms, self._deadline_ms)
        if at_ms != self._propose_timer_ms:
            self._propose_timer_ms = at_ms
            self._set_timer(TimerName.PROPOSE, at_ms)

    def _find_parent(self) -> Header | None:
        """Step 2: the highest notarized block with only nullified views above it, once this node has it executed."""
        root = self._chain.root.header
        for view in range(self._view - 1, root.view, -1):
            notarization = self._tally.get_certificate(VoteKind.NOTARIZE, View(view))
            if notarization is not None:
                path = self._chain.find_path(notarization.digest)
                if isinstance(path, Missing):
                    self._ask_block(path.digest, first=notarization.votes[0].member)
                elif not isinstance(path, Dead) and self._require_executed(path):
                    return path[-1].block.header
                return None
            if self._tally.get_certificate(VoteKind.NULLIFY, View(view)) is None:
                self._ask_certificate(VoteKind.NULLIFY, View(view), first=self._leader(self._view))
                return None
        return root if self._pending_final is None else None

    # --- voting --------------------------------------------------------------------------------------------------------

    def _mine(self, view: View) -> dict[VoteKind, Vote]:
        return self._my_votes.get(view, {})

    def _may_vote(self, kind: VoteKind, view: View) -> bool:
        """Tell whether this node may still cast this vote: rules a and b, and steps 5 and 9."""
        mine = self._mine(view)
        if kind in mine or self._is_recovering or view <= self._muted_until:
            return False
        match kind:
            case VoteKind.NOTARIZE:
                return view == self._view
            case VoteKind.NULLIFY:
                return view == self._view and VoteKind.FINALIZE not in mine
            case VoteKind.FINALIZE:
                leader = self._leader(view)
                return VoteKind.NULLIFY not in mine and not self._tally.has_equivocated(leader, view)
            case _:
                assert_never(kind)

    def _nullify(self) -> None:
        """Step 4."""
        if self._may_vote(VoteKind.NULLIFY, self._view):
            self._cast(VoteKind.NULLIFY, self._view, m.NO_DIGEST)

    def _cast(self, kind: VoteKind, view: View, digest: bytes) -> None:
        """Persist a vote with all it rests on, then say it, then count it."""
        assert self._may_vote(kind, view)
        share, records = m.NO_SHARE, list[votelog.Record](self._unpersisted)
        node = None if kind is VoteKind.NULLIFY else self._chain.get(digest)
        if node is not None:
            assert node.execution is Execution.VALID  # rule c
            if not node.is_persisted:
                node.is_persisted = True
                records.append(node.block)
            if kind is VoteKind.FINALIZE:
                share = self._keys.make_share(seal_message(node.block.header, self._config.origin))
        epoch = self._config.epoch
        message = m.compute_vote_message(
            ledger_id=self._config.ledger_id, kind=kind, epoch=epoch, view=view, digest=digest, share=share
        )
        signature = self._keys.sign_vote(message)
        vote = Vote(kind, epoch, view, digest, self._config.me, signature, share)
        self._unpersisted = []
        self._my_votes.setdefault(view, {})[kind] = vote
        self._out.append(m.Persist(b"".join(map(votelog.encode_record, [*records, vote]))))
        self._out.append(m.Broadcast(self._as_sent(vote)))
        self._tally.add_vote(vote, is_own=True)

    def _as_sent(self, vote: Vote) -> m.Message:
        """Give the message a vote of ours travels in: a leader's NOTARIZE of its own block is its proposal."""
        node = self._chain.get(vote.digest) if vote.kind is VoteKind.NOTARIZE else None
        if node is not None and node.block.header.proposer == self._config.me:
            return Proposal(node.block.header, node.block.entry_hashes, vote)
        return vote

    def _repeat(self) -> None:
        """Step 4: say again what may have been lost."""
        if self._is_recovering:
            self._out.append(m.FetchViews())
        mine = self._mine(self._view)
        entry = self._entry_certificate()
        if mine and entry is not None:
            self._out.append(m.Broadcast(entry))
        self._out.extend(m.Broadcast(self._as_sent(mine[kind])) for kind in sorted(mine))
        views = sorted((v for v, votes in self._my_votes.items() if VoteKind.FINALIZE in votes), reverse=True)
        self._out.extend(
            m.Broadcast(self._my_votes[view][VoteKind.FINALIZE])
            for view in views[:REPEATED_FINALIZE_MAX]
            if view != self._view
        )

    def _entry_certificate(self) -> Certificate | Finalization | None:
        """Give the best proof that this view may be entered; None after a restart that left none."""
        newest, before = self.newest_finalization(), View(self._view - 1)
        if newest is not None and newest.header.view >= before:
            return newest
        return self.get_certificate(VoteKind.NOTARIZE, before)

    # --- timers, questions, members --------------------------------------------------------------------------------------

    def _leader_deadline(self) -> Millis:
        """Step 1: when this view's leader has been silent for too long."""
        is_silent = self._silent_turns[self._leader(self._view)] >= SILENT_TURNS
        patience = self._delta_ms if is_silent else 2 * self._delta_ms
        due = self._entered_ms + (self._config.idle_interval_ms if self._entered_by_block else 0)
        if self._pending_since_ms is not None:
            due = min(due, max(self._entered_ms, self._pending_since_ms + self._delta_ms))
        if self._deadline_ms is not None:
            due = min(due, max(self._entered_ms, self._deadline_ms))
        return Millis(due + patience)

    def _set_timers(self) -> None:
        """Keep the leader timer where step 1 wants it while there is no proposal."""
        at_ms = self._leader_deadline()
        if self._view not in self._proposals and at_ms != self._leader_timer_ms:
            self._leader_timer_ms = at_ms
            self._set_timer(TimerName.LEADER, at_ms)

    def _set_timer(self, timer: TimerName, at_ms: Millis) -> None:
        self._out.append(m.SetTimer(timer, self._view, at_ms))

    def _next_to_ask(self, key: tuple[int, int | bytes], first: MemberIndex) -> MemberIndex | None:
        """Choose whom to ask for what is missing: `first`, and every Δ another one; None if it is too early or alone."""
        attempt, asked_ms = self._asked.get(key, (0, None))
        if self._config.member_count == 1 or (asked_ms is not None and self._now < asked_ms + self._delta_ms):
            return None
        self._asked[key] = (attempt + 1, self._now)
        return self._other(MemberIndex(1 + (first - 1 + attempt) % self._config.member_count))

    def _other(self, member: MemberIndex) -> MemberIndex:
        """Give this member, or the next one if it is ourselves."""
        return MemberIndex(1 + member % self._config.member_count) if member == self._config.me else member

    def _ask_block(self, digest: bytes, *, first: MemberIndex) -> None:
        member = self._next_to_ask((0, digest), first)
        if member is not None:
            self._out.append(m.FetchBlock(digest, member))

    def _ask_certificate(self, kind: VoteKind, view: View, *, first: MemberIndex) -> None:
        member = self._next_to_ask((kind, view), first)
        if member is not None:
            self._out.append(m.FetchCertificate(kind, view, member))

    def _accuse(self, member: MemberIndex, fault: Fault, detail: str) -> None:
        self._out.append(m.PeerMisbehaved(member, fault, detail))

    def _leader(self, view: View) -> MemberIndex:
        return m.compute_leader(view, epoch=self._config.epoch, member_count=self._config.member_count)


def _forked(header: Header, root: Header) -> Rejection:
    expected = f"a descendant of the final block {root.digest.hex()} at height {root.height}"
    return reject(Code.INVALID_FIELD, field="header.parent", found=header.parent.hex(), expected=expected)


def _invalid_ancestor(header: Header) -> Rejection:
    return reject(
        Code.INVALID_FIELD, field="header.parent", found=header.parent.hex(), expected="a block the rules accept"
    )
