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
    Valid: persist, then broadcast NOTARIZE, also after NULLIFY, as long as this node is in v. Invalid: as if the timer
    had fired. Something *missing* is no verdict: ask the leader for it, who must have had it, then others, judge again.
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
    which at least q - f - 1 honest others signed; any such answers include one of theirs.) No view far ahead counts.
    A vote signed by this node that it does not know it cast shows that an older log was put back: lost as well.
10. Δ doubles with each nullified view after the first in a row, and with each in which a timer fired here and that yet
    brought a block (else who is slower than its timers never finalizes); finalizations halve it. It keeps its bounds.
11. A stream of a member's on which what is sent fails a check more often than bits flip is not heard for a while,
    longer each time; its other streams and its answers to this node are. A wrong share, which its member signed,
    counts against all of them, and from then on that member's shares are checked alone before they are combined.

Safety rests on these, which hold across restarts:
 a. never two different NOTARIZE in one view;
 b. never NULLIFY and FINALIZE in one view;
 c. NOTARIZE and FINALIZE only executed blocks, FINALIZE only notarized ones;
 d. votes only in the epoch of the configuration;
 e. every vote is on disk before it is sent, with the certificates that it rests on and after the entries of its block;
 f. what a member signed that breaks a or b, or a wrong share, is evidence against it that anybody can check.

Beside this file: `ballot` makes this node's votes, `tally` counts everybody's, `chain` holds blocks, `judging` places
proposals, `pace` knows how long to wait, `questions` whom to ask, `credit` whom to hear. None acts; this file alone.
Not here: what a block's entries mean (`node.execute`), bytes on a wire (`node.peers`), other epochs.
"""

from collections import Counter
from collections.abc import Iterable
from typing import Final, assert_never

from ledger.blocks import NO_SEAL, Header, SealedHeader, seal_message
from ledger.errors import Rejection
from ledger.limits import VIEWS_AHEAD_MAX
from ledger.positions import Height, MemberIndex, Millis, View
from node.consensus import messages as m
from node.consensus import votelog
from node.consensus.ballot import Ballot
from node.consensus.chain import Block, Chain, Dead, Execution, Missing, Node, find_block_fault
from node.consensus.credit import Credit
from node.consensus.judging import judge_place, reject_fork
from node.consensus.lanes import ANSWERS, SIGNED, Lane
from node.consensus.messages import Certificate, CoreConfig, Fault, Finalization, Proposal, TimerName, Vote, VoteKind
from node.consensus.pace import Pace
from node.consensus.questions import Missable, Questions
from node.consensus.status import Status
from node.consensus.tally import Added, Tally

REPEATED_FINALIZE_MAX: Final = 4  # step 4: how many views' FINALIZE votes are said again at a time
QUESTIONS_MAX: Final = 16  # how many missing certificates are asked for at a time


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
        self._ballot = Ballot(config, keys)
        self._pace = Pace(config)
        self.credit = Credit()  # for the driver to read
        self._questions = Questions(me=config.me, member_count=config.member_count)
        self._newest_final: Finalization | None = (
            None if config.final.seal == NO_SEAL else Finalization(config.final.header, config.final.seal)
        )
        self._pending_final: tuple[Finalization, MemberIndex] | None = None  # verified, not yet applied; who told
        self._is_catching_up = False

        self._view = View(0)  # until Started
        self._proposals: dict[View, bytes] = {}  # digest of the first proposal of each view's leader
        self._refused: dict[View, bool] = {}  # views whose proposal is invalid
        self._disagreed: dict[bytes, bool] = {}  # blocks of a quorum that this node's rules refuse
        self._is_building = False
        self._has_nothing = False  # to propose, as far as the driver has told
        self._has_news = False  # a reason to propose that the build under way may not know
        self._timers: dict[TimerName, Millis] = {}  # as set in this view
        self._helped_ms: dict[MemberIndex, Millis] = {}
        self._dropped: Counter[str] = Counter()
        self._out: list[m.Action] = []
        self._now = Millis(0)
        for record in records:
            self._replay(record)
        self._tally.take_evidence()

    def _replay(self, record: votelog.Record) -> None:
        """Take in what this node said and knew before it stopped (step 9 if that was lost)."""
        match record:
            case votelog.Lost() | votelog.Barrier():
                self._ballot.replay(record)
            case votelog.Start():
                raise AssertionError("`votelog.read` keeps the start record to itself")
            case Block(header=header):
                if self._is_above_final(header.epoch, header.view):
                    self._chain.add(record, source=header.proposer).is_persisted = True
                    self._proposals.setdefault(header.view, header.digest)
            case Certificate():
                if self._is_above_final(record.epoch, record.view):
                    self._tally.add_certificate(record)
            case Vote():
                if self._is_above_final(record.epoch, record.view):
                    self._tally.add_vote(record, is_own=True)
                    self._ballot.replay(record)
            case _:
                assert_never(record)

    def _is_above_final(self, epoch: int, view: int) -> bool:
        return epoch == self._config.epoch and view > self._chain.root.header.view

    # --- what the driver may read -------------------------------------------------------------------------------------

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
        return None if self._ballot.is_recovering else max(self._view, self._ballot.muted_until)

    def status(self) -> Status:
        """Give what an operator wants to see."""
        notarized = next(self._tally.certificates(VoteKind.NOTARIZE), None)
        root = self._chain.root.header
        return Status(
            epoch=self._config.epoch,
            view=self._view,
            leader=self._leader(self._view),
            delta_ms=self._pace.delta_ms,
            final_height=root.height,
            final_view=root.view,
            notarized_view=root.view if notarized is None else notarized.view,
            notarized_digest=root.digest if notarized is None else notarized.digest,
            is_recovering=self._ballot.is_recovering,
            muted_until_view=self._ballot.muted_until,
            is_catching_up=self._is_catching_up,
            votes=self._tally.count_votes(self._view),
            dropped=dict(self._dropped),
        )

    # --- events -------------------------------------------------------------------------------------------------------

    def handle(self, event: m.Event, *, now: Millis) -> list[m.Action]:  # noqa: C901, PLR0912  # a case an event
        """Take one event; the caller carries the actions out in order, by the contract of `messages.py`."""
        self._turn_clock(now)
        self._out = []
        match event:
            case m.Started():
                self._on_started()
            case m.MessageReceived():
                self._on_message(event.source, event.lane, event.message)
            case m.TimerFired():
                self._on_timer(event.timer, event.view)
            case m.EntriesPending():
                self._pace.set_pending(event.oldest_since_ms)
                self._has_nothing, self._has_news = False, True
            case m.DeadlineAt():
                self._pace.set_deadline(event.at_ms)
                self._has_nothing, self._has_news = False, True
            case m.BlockBuilt():
                self._on_block_built(event)
            case m.NothingToPropose():
                self._on_nothing_to_propose(event.view)
            case m.BlockExecuted():
                self._on_block_executed(event.digest, event.rejection)
            case m.BlockFetched():
                self._on_block_fetched(event)
            case m.CertificateFetched():
                self._on_message(event.source, ANSWERS, event.certificate)
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
            self._pace.set_back(self._now - now)
            self.credit.set_back(self._now - now)
            self._timers.clear()
            self._questions.clear()
            self._helped_ms.clear()
        self._now = now

    def _settle(self) -> None:
        """Take every step that what is known now allows, until there is none left."""
        steps = (self._seal, self._apply_finality, self._advance, self._finalize, self._judge)
        while any(step() for step in steps):
            pass
        self._propose()
        if self._view not in self._proposals:
            self._set_timer(TimerName.LEADER, self._pace.leader_deadline_ms(self._leader(self._view)))
        self._out.extend(self._tally.take_evidence())

    def _on_started(self) -> None:
        """Resume in the highest view this node is known to have been in."""
        assert self._view == 0
        certified = [view for view in self._tally.views() if self.get_certificate(VoteKind.NOTARIZE, view)]
        resumed = max([self._chain.root.header.view + 1, *self._ballot.views(), *(view + 1 for view in certified)])
        self._begin(View(resumed), by_block=True)
        if self._ballot.is_recovering:
            self._out.append(m.FetchViews())
            self._lift_recovery()

    def _on_message(self, source: MemberIndex, lane: Lane, message: m.Message) -> None:
        if not self._is_heard(source, lane):
            return
        match message:
            case Vote():
                self._on_vote(source, lane, message)
            case Proposal():
                self._on_proposal(source, lane, message)
            case Certificate():
                self._on_certificate(source, lane, message)
            case Finalization():
                self._on_finalization(source, lane, message)
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

    def _on_vote(self, source: MemberIndex, lane: Lane, vote: Vote) -> None:
        if vote.member != source:
            self._accuse(source, lane, Fault.WRONG_SOURCE, f"a vote of member {vote.member}")
            if vote.member == self._config.me and self._is_in_window(vote.epoch, vote.view):
                self._recollect([vote] if self._tally.is_signed(vote) else [])
            return
        if not self._is_in_window(vote.epoch, vote.view):
            if vote.epoch == self._config.epoch and vote.view < self._chain.root.header.view:
                self._help(source, vote)
            return
        match self._tally.add_vote(vote):
            case Added.MALFORMED | Added.WRONG_SIGNATURE as fault:
                self._accuse(source, lane, Fault.WRONG_SIGNATURE, f"{fault.name} {vote.kind.name} in view {vote.view}")
            case Added.REPEATED:
                self._help(source, vote)
            case Added.NEW | Added.CONFLICTING:
                if vote.kind is VoteKind.NULLIFY:
                    self._help(source, vote)

    def _help(self, member: MemberIndex, vote: Vote) -> None:
        """Step 8: send a member that votes in a view behind us the way out of it."""
        final_view = self._chain.root.header.view
        is_stuck = vote.view <= final_view or (vote.view < self._view and vote.kind is not VoteKind.FINALIZE)
        if not is_stuck or self._now < self._helped_ms.get(member, 0) + self._pace.delta_ms:
            return
        entry = self._entry_certificate()
        if vote.view <= final_view and self._newest_final is not None:
            self._helped_ms[member] = self._now
            self._out.append(m.Send(member, self._newest_final))
        if entry is not None and entry is not self._newest_final:
            self._helped_ms[member] = self._now
            self._out.append(m.Send(member, entry))

    def _on_proposal(self, source: MemberIndex, lane: Lane, proposal: Proposal) -> None:
        header, vote = proposal.header, proposal.vote
        if not self._is_in_window(header.epoch, header.view) or header.view == self._chain.root.header.view:
            return
        if self._proposals.get(header.view) == header.digest == vote.digest and self._tally.holds(vote):
            return  # repeated (step 4): nothing in it is new, and its hash list is long
        block = Block(header, proposal.entry_hashes)
        fault = self._find_fault(block, vote)
        added = Added.MALFORMED if fault is not None else self._tally.add_vote(vote)
        if fault is None and added in (Added.MALFORMED, Added.WRONG_SIGNATURE):
            fault = "the proposer's vote is not signed by it"
        if fault is not None:
            self._accuse(source, lane, Fault.WRONG_PROPOSAL, fault)
            return
        self._recollect([vote] if added is not Added.SURPLUS else [])
        if header.view not in self._proposals and added is not Added.SURPLUS:  # step 3: the first one
            self._proposals[header.view] = header.digest
            self._keep(block, source)
            if header.view == self._view:
                self._set_timer(TimerName.VIEW, self._pace.after(self._now, 3))
        elif header.digest in self._questions:
            self._keep(block, source)

    def _find_fault(self, block: Block, vote: Vote) -> str | None:
        """Say what is wrong with a proposal, or None; the signature of its vote is yet to be checked."""
        header = block.header
        said = (vote.kind, vote.epoch, vote.view, vote.digest, vote.member)
        if header.ledger_id != self._config.ledger_id:
            return "another ledger's header"
        if header.proposer != self._leader(header.view):
            return f"member {header.proposer} does not lead view {header.view}"
        if said != (VoteKind.NOTARIZE, header.epoch, header.view, header.digest, header.proposer):
            return "the vote is not the proposer's for this block"
        return find_block_fault(block)

    def _keep(self, block: Block, source: MemberIndex) -> Node:
        self._questions.answered(block.header.digest)
        return self._chain.add(block, source=source)

    def _on_certificate(self, source: MemberIndex, lane: Lane, certificate: Certificate) -> None:
        if not self._is_above_final(certificate.epoch, certificate.view):
            self._dropped["certificate of a final view or other epoch"] += 1
            return
        held = self._tally.get_certificate(certificate.kind, certificate.view)
        if held is not None and held.digest == certificate.digest:
            return
        fault = self._tally.find_fault(certificate)
        if fault is not None:
            self._accuse(source, lane, Fault.WRONG_CERTIFICATE, fault)
            return
        self._recollect(certificate.votes)
        self._tally.add_certificate(certificate)
        if held is None:
            self._learned(certificate)

    def _recollect(self, votes: Iterable[Vote]) -> None:
        """Step 9: if a vote of ours is among these that we do not know we cast, our log is an old one: recover."""
        forgotten = self._ballot.find_forgotten(votes, above=self._chain.root.header.view)
        if forgotten is not None:
            self._out.append(m.Persist(self._ballot.lose(forgotten)))
            self._out.extend((m.VoteForgotten(forgotten), m.FetchViews()))

    def _learned(self, certificate: Certificate) -> None:
        """Remember to persist a new certificate with the next vote, and stop asking for it."""
        self._ballot.learned(certificate)
        self._questions.answered((certificate.kind, certificate.view))

    def _on_finalization(self, source: MemberIndex, lane: Lane, finalization: Finalization) -> None:
        header = finalization.header
        known = self._pending_final[0].header.view if self._pending_final else self._chain.root.header.view
        if header.epoch != self._config.epoch or header.view <= known:
            self._dropped["finalization of no news"] += 1
        elif header.ledger_id != self._config.ledger_id or not self._keys.is_seal(
            seal_message(header, self._config.origin), finalization.seal
        ):
            self._accuse(source, lane, Fault.WRONG_SEAL, f"height {header.height} view {header.view}")
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
                if self._now < self._pace.leader_deadline_ms(self._leader(view)):
                    self._timers.pop(timer, None)  # too early: to be set again
                elif view not in self._proposals:
                    self._nullify()
            case TimerName.VIEW:
                self._nullify()
            case TimerName.PROPOSE:
                self._timers.pop(timer, None)
                self._has_nothing = False
            case TimerName.REPEAT:
                self._repeat()
                self._set_timer(TimerName.REPEAT, self._pace.after(self._now, 1))
            case _:
                assert_never(timer)

    def _on_block_built(self, event: m.BlockBuilt) -> None:
        """Step 2: propose what the driver built, which it has executed."""
        if event.view != self._view or not self._is_building:
            return
        self._is_building = False
        block = Block(event.header, event.entry_hashes)
        assert (event.header.view, event.header.proposer) == (self._view, self._config.me)
        assert find_block_fault(block) is None
        if self._may_propose():
            self._keep(block, self._config.me).execution = Execution.VALID
            self._proposals[self._view] = event.header.digest
            self._cast(VoteKind.NOTARIZE, self._view, event.header.digest)
            self._set_timer(TimerName.VIEW, self._pace.after(self._now, 3))

    def _on_nothing_to_propose(self, view: View) -> None:
        if view == self._view and self._is_building:
            self._is_building, self._has_nothing = False, not self._has_news

    def _on_block_executed(self, digest: bytes, rejection: Rejection | None) -> None:
        node = self._chain.get(digest)
        if node is not None and node.execution is Execution.ASKED:
            node.execution = Execution.VALID if rejection is None else Execution.INVALID
            node.rejection = rejection

    def _on_block_fetched(self, event: m.BlockFetched) -> None:
        if not self._is_heard(event.source, ANSWERS):
            return
        block = Block(event.header, event.entry_hashes)
        if event.header.digest not in self._questions:
            self._dropped["block not asked for"] += 1
        elif event.header.ledger_id != self._config.ledger_id or find_block_fault(block) is not None:
            fault = find_block_fault(block) or "another ledger's header"
            self._accuse(event.source, ANSWERS, Fault.WRONG_BLOCK, fault)
        elif self._is_above_final(event.header.epoch, event.header.view):
            self._keep(block, event.source)

    def _on_view_told(self, event: m.ViewTold) -> None:
        if event.view > self._view + VIEWS_AHEAD_MAX:
            self._dropped["view told too far ahead"] += 1
        elif event.epoch == self._config.epoch and event.member != self._config.me:
            self._ballot.take_view(event.member, event.view)
            self._lift_recovery()

    def _lift_recovery(self) -> None:
        record = self._ballot.lift_recovery(current=self._view)  # step 9
        if record is not None:
            self._out.append(m.Persist(record))

    def _on_caught_up(self, sealed: SealedHeader) -> None:
        self._is_catching_up = False
        if sealed.header.view > self._chain.root.header.view:
            self._set_root(sealed)
            self._chain.forget_executions()

    # --- steps --------------------------------------------------------------------------------------------------------

    def _seal(self) -> bool:
        """Step 7: combine the seal of the highest view that enough members have finalized."""
        known = self._pending_final[0].header.view if self._pending_final else self._chain.root.header.view
        for view in reversed(self._tally.views()):
            if view <= known:
                return False
            for digest, votes in self._tally.get_shares(view).items():
                node = self._chain.get(digest)
                if node is None:
                    self._ask(digest, first=min(votes))
                    continue
                message = seal_message(node.block.header, self._config.origin)
                self._check_suspect_shares(node.block.header, votes, message)
                shares = {member: votes[member].share for member in sorted(votes)}
                if len(shares) < self._config.quorum:
                    continue
                seal, culprits = self._keys.combine(shares, message)
                assert seal is not None or culprits
                self._drop_shares(node.block.header, [votes[culprit] for culprit in culprits])
                if seal is not None:
                    self._accept(Finalization(node.block.header, seal), self._config.me)
                    return True
        return False

    def _check_suspect_shares(self, header: Header, votes: dict[MemberIndex, Vote], message: bytes) -> None:
        """Step 11: look at the shares of who lied before, one by one and once, and take the wrong ones out."""
        suspects = [vote for member, vote in votes.items() if self.credit.has_lied_about_share(member)]
        for vote in suspects:
            if self._tally.is_checked(vote):
                continue
            if self._keys.is_share(vote.member, message, vote.share):
                self._tally.note_checked(vote)
            else:
                del votes[vote.member]
                self._drop_shares(header, [vote])

    def _drop_shares(self, header: Header, culprits: list[Vote]) -> None:
        for vote in culprits:
            self._tally.drop_share(vote, header)
            self._accuse(vote.member, SIGNED, Fault.WRONG_SHARE, f"view {vote.view}")

    def _apply_finality(self) -> bool:
        """Step 7: hand over the blocks that a finalization makes final, once all are known and executed."""
        if self._pending_final is None or self._is_catching_up:
            return False
        finalization, source = self._pending_final
        header, root = finalization.header, self._chain.root.header
        if header.view <= root.view:
            self._pending_final = None
            return True
        path = self._chain.find_path(header.digest)
        if isinstance(path, Missing):
            self._is_catching_up = True
            first, member = Height(root.height + 1), self._questions.other_than_me(source)
            self._out.append(m.FetchFinalBlocks(first, header, finalization.seal, member))
            return False
        if isinstance(path, Dead) or not path:
            self._disagree(header, reject_fork(header, root))
            return False
        if not self._require_executed(path):
            for node in path:
                if node.rejection is not None:
                    self._disagree(node.block.header, node.rejection)
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
        self._ballot.prune(view)
        self._proposals = {known: digest for known, digest in self._proposals.items() if known > view}
        self._refused = {known: True for known in self._refused if known > view}
        self._disagreed.clear()
        self._questions.clear()
        self._pace.on_finalized()

    def _advance(self) -> bool:
        """Steps 5, 6, 7: form certificates; enter the view after the highest that is certified or final."""
        for certificate in self._tally.make_certificates(above=self._chain.root.header.view):
            self._learned(certificate)
        final_view = self._pending_final[0].header.view if self._pending_final else self._chain.root.header.view
        certified = (certificate.view for certificate in self._highest_certificates())
        highest = View(max(final_view, *certified, 0))
        if highest < self._view:
            return False
        entry = self._tally.get_certificate(VoteKind.NOTARIZE, highest) or self._tally.get_certificate(
            VoteKind.NULLIFY, highest
        )
        by_block = highest == final_view or (entry is not None and entry.kind is VoteKind.NOTARIZE)
        was_heard, left = self._view in self._proposals, self._ballot.get(self._view)
        gave_up = VoteKind.NULLIFY in left and self._view not in self._refused
        self._pace.end(self._leader(self._view), by_block=by_block, was_heard=was_heard, gave_up=gave_up)
        if entry is not None and highest != final_view:
            self._out.append(m.Broadcast(entry))  # step 1; a finalization was said when it came
        self._begin(View(highest + 1), by_block=by_block)
        return True

    def _highest_certificates(self) -> list[Certificate]:
        kinds = (VoteKind.NOTARIZE, VoteKind.NULLIFY)
        return [held for kind in kinds if (held := next(self._tally.certificates(kind), None)) is not None]

    def _begin(self, view: View, *, by_block: bool) -> None:
        """Step 1: be in this view from now on."""
        self._view = view
        self._pace.begin(self._now, by_block=by_block)
        self._is_building = self._has_nothing = False
        self._timers.clear()
        self._set_timer(TimerName.REPEAT, self._pace.after(self._now, 1))
        if view in self._proposals:
            self._set_timer(TimerName.VIEW, self._pace.after(self._now, 3))

    def _finalize(self) -> bool:
        """Step 5: FINALIZE every notarized view whose block is executed, if nothing speaks against it."""
        has_voted = False
        if self._is_catching_up:
            return False
        for certificate in self._tally.certificates(VoteKind.NOTARIZE):
            view, digest = certificate.view, certificate.digest
            is_doubtful = self._tally.has_equivocated(self._leader(view), view)
            if view <= self._chain.root.header.view or is_doubtful or not self._may_cast(VoteKind.FINALIZE, view):
                continue
            path = self._chain.find_path(digest)
            if isinstance(path, Missing):
                self._ask(path.digest, first=certificate.votes[0].member)
            elif isinstance(path, Dead):
                pass
            elif self._require_executed(path):
                self._cast(VoteKind.FINALIZE, view, digest)
                has_voted = True
        return has_voted

    def _judge(self) -> bool:
        """Step 3: vote for the proposal of this view, refuse it, or ask for what is missing to judge it."""
        digest = self._proposals.get(self._view)
        node = None if digest is None else self._chain.get(digest)
        is_closed = self._view in self._refused or not self._may_cast(VoteKind.NOTARIZE, self._view)
        if node is None or is_closed or self._is_catching_up:
            return False
        header = node.block.header
        verdict = judge_place(header, chain=self._chain, tally=self._tally, now=self._now)
        if isinstance(verdict, Rejection):
            self._refuse(header, verdict)
            return True
        for wanted in verdict[:QUESTIONS_MAX]:
            self._ask(wanted, first=header.proposer)
        path = self._chain.find_path(header.digest)
        if verdict or isinstance(path, Missing | Dead) or not self._require_executed(path):
            if node.rejection is not None:
                self._refuse(header, node.rejection)
            return False
        self._cast(VoteKind.NOTARIZE, self._view, header.digest)
        return True

    def _refuse(self, header: Header, rejection: Rejection) -> None:
        """Step 3: an invalid proposal is as good as none."""
        self._refused[header.view] = True
        # It has no price: it is one a turn, and clocks differ.
        self._out.append(m.PeerMisbehaved(header.proposer, Fault.WRONG_PROPOSAL, str(rejection)))
        self._nullify()

    def _require_executed(self, path: list[Node]) -> bool:
        """Tell whether every block of a path from the root is executed; have the first that is not executed."""
        for node in path:
            if node.execution is Execution.INVALID:
                certificate = self._tally.get_certificate(VoteKind.NOTARIZE, node.block.header.view)
                if certificate is not None and certificate.digest == node.block.header.digest and node.rejection:
                    self._disagree(node.block.header, node.rejection)
                return False
            if node.execution is Execution.NOT_ASKED and not self._is_catching_up:
                node.execution = Execution.ASKED
                source = self._questions.other_than_me(node.source)
                self._out.append(m.ExecuteBlock(node.block.header, node.block.entry_hashes, source))
            if node.execution is not Execution.VALID:
                return False
        return True

    def _disagree(self, header: Header, rejection: Rejection) -> None:
        if header.digest not in self._disagreed:
            self._disagreed[header.digest] = True
            self._out.append(m.QuorumDisagrees(header, rejection))

    # --- leading ------------------------------------------------------------------------------------------------------

    def _may_propose(self) -> bool:
        """Step 2: whether this node leads, has not proposed and has not given the view up."""
        return (
            self._leader(self._view) == self._config.me
            and self._view not in self._proposals
            and VoteKind.NULLIFY not in self._ballot.get(self._view)
            and self._may_cast(VoteKind.NOTARIZE, self._view)
        )

    def _propose(self) -> None:
        """Step 2: ask for a block if it is this node's turn and time to, else come back later."""
        if self._is_building or self._is_catching_up or not self._may_propose():
            return
        parent = self._find_parent()
        if parent is None:
            return
        is_final = parent.digest == self._chain.root.header.digest
        may_be_empty = self._now >= self._pace.empty_block_ms(is_parent_final=is_final)
        if may_be_empty or (self._pace.has_reason(self._now) and not self._has_nothing):
            self._is_building, self._has_news = True, False
            time_ms = Millis(max(self._now, parent.time_ms))
            self._out.append(m.BuildBlock(self._view, parent, time_ms, may_be_empty))
        else:
            self._set_timer(TimerName.PROPOSE, self._pace.next_proposal_ms(self._now, is_parent_final=is_final))

    def _find_parent(self) -> Header | None:
        """Step 2: the highest notarized block with only nullified views above it, once this node has it executed."""
        root = self._chain.root.header
        for view in range(self._view - 1, root.view, -1):
            notarization = self._tally.get_certificate(VoteKind.NOTARIZE, View(view))
            if notarization is not None:
                path = self._chain.find_path(notarization.digest)
                if isinstance(path, Missing):
                    self._ask(path.digest, first=notarization.votes[0].member)
                elif not isinstance(path, Dead) and self._require_executed(path):
                    return path[-1].block.header
                return None
            if self._tally.get_certificate(VoteKind.NULLIFY, View(view)) is None:
                self._ask((VoteKind.NULLIFY, View(view)), first=self._leader(View(view + 1)))
                return None
        return root if self._pending_final is None else None

    # --- voting -------------------------------------------------------------------------------------------------------

    def _may_cast(self, kind: VoteKind, view: View) -> bool:
        return self._ballot.may_cast(kind, view, current=self._view)

    def _nullify(self) -> None:
        """Step 4."""
        if self._may_cast(VoteKind.NULLIFY, self._view):
            self._cast(VoteKind.NULLIFY, self._view, m.NO_DIGEST)

    def _cast(self, kind: VoteKind, view: View, digest: bytes) -> None:
        """Persist a vote with all it rests on, then say it, then count it."""
        vote, record = self._ballot.cast(kind, view, self._chain.get(digest), current=self._view)
        self._out.append(m.Persist(record))
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
        if self._ballot.is_recovering:
            self._out.append(m.FetchViews())
        mine = self._ballot.get(self._view)
        entry = self._entry_certificate()
        if mine and entry is not None:
            self._out.append(m.Broadcast(entry))
        self._out.extend(m.Broadcast(self._as_sent(mine[kind])) for kind in sorted(mine))
        self._out.extend(m.Broadcast(vote) for vote in self._ballot.finalizes()[:REPEATED_FINALIZE_MAX])

    def _entry_certificate(self) -> Certificate | Finalization | None:
        """Give the best proof that this view may be entered; None after a restart that left none."""
        newest, before = self.newest_finalization(), View(self._view - 1)
        if newest is not None and newest.header.view >= before:
            return newest
        return self.get_certificate(VoteKind.NOTARIZE, before)

    # --- timers, questions, members -----------------------------------------------------------------------------------

    def _set_timer(self, timer: TimerName, at_ms: Millis) -> None:
        """Set a timer of this view unless it stands there already."""
        if self._timers.get(timer) != at_ms:
            self._timers[timer] = at_ms
            self._out.append(m.SetTimer(timer, self._view, at_ms))

    def _ask(self, wanted: Missable, *, first: MemberIndex) -> None:
        """Ask somebody for what is missing, if nobody is being asked just now."""
        member = self._questions.ask(wanted, first=first, now=self._now, delta_ms=self._pace.delta_ms)
        if member is None:
            return
        if isinstance(wanted, bytes):
            self._out.append(m.FetchBlock(wanted, member))
        else:
            kind, view = wanted
            self._out.append(m.FetchCertificate(kind, view, member))

    def _accuse(self, member: MemberIndex, lane: Lane, fault: Fault, detail: str) -> None:
        self._out.append(m.PeerMisbehaved(member, fault, detail))
        self.credit.charge(member, lane, fault, self._now)

    def _is_heard(self, member: MemberIndex, lane: Lane) -> bool:
        """Step 11."""
        is_heard = self.credit.is_heard(member, lane, self._now)
        if not is_heard:
            self._accuse(member, lane, Fault.HELD_BACK, "within the pause that its faults brought")
        return is_heard

    def _leader(self, view: View) -> MemberIndex:
        return m.compute_leader(view, epoch=self._config.epoch, member_count=self._config.member_count)
