"""Votes to certificates, conflicts to evidence.

Keeps, for every view from the newest final one up, the first vote of each kind of every member, the notarization and
the nullification. Every signature is checked once: votes inside a certificate that equal a vote already held are not
checked again. Nothing here decides what this node says or does; `core.py` does.
Source: Chan & Pass, Simplex Consensus (IACR ePrint 2023/463) §2, for what makes a quorum.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum, auto

from ledger.blocks import Header
from ledger.positions import MemberIndex, View
from node.consensus.messages import (
    NO_DIGEST,
    NO_SHARE,
    Certificate,
    CoreConfig,
    EvidenceFound,
    Keys,
    Misconduct,
    Vote,
    VoteKind,
    compute_vote_message,
)

CONFLICTS = (
    (VoteKind.NOTARIZE, VoteKind.NOTARIZE, Misconduct.DOUBLE_NOTARIZE),
    (VoteKind.FINALIZE, VoteKind.FINALIZE, Misconduct.DOUBLE_FINALIZE),
    (VoteKind.NULLIFY, VoteKind.FINALIZE, Misconduct.NULLIFY_AND_FINALIZE),
    (VoteKind.FINALIZE, VoteKind.NULLIFY, Misconduct.NULLIFY_AND_FINALIZE),
)

_DOUBLES = {kind: misconduct for kind, other, misconduct in CONFLICTS if kind is other}


class Added(Enum):
    """What became of a vote."""

    NEW = auto()
    REPEATED = auto()  # the very vote that is held already
    CONFLICTING = auto()  # another of its kind by this member is held; see the evidence
    SURPLUS = auto()  # by a member that has contradicted itself so already: not even its signature was checked
    MALFORMED = auto()
    WRONG_SIGNATURE = auto()


@dataclass(slots=True)
class _Round:
    """What is known of one view."""

    votes: dict[VoteKind, dict[MemberIndex, Vote]] = field(default_factory=lambda: {kind: {} for kind in VoteKind})
    certificates: dict[VoteKind, Certificate] = field(default_factory=dict)
    misconduct: dict[tuple[MemberIndex, Misconduct], EvidenceFound] = field(default_factory=dict)
    wrong_shares: dict[MemberIndex, bytes] = field(default_factory=dict)
    checked_shares: dict[MemberIndex, bool] = field(default_factory=dict)


class Tally:
    """Votes and certificates of the views that are not below the newest final one."""

    def __init__(self, config: CoreConfig, keys: Keys) -> None:
        self._config = config
        self._keys = keys
        self._rounds: dict[View, _Round] = {}
        self._views: list[View] | None = []
        self._ripe: dict[tuple[View, VoteKind], bool] = {}
        self._evidence: list[EvidenceFound] = []

    def add_vote(self, vote: Vote, *, is_own: bool = False) -> Added:
        """Take one vote in; `is_own` believes its signature. Evidence that it makes is in `take_evidence`."""
        if not self._is_well_formed(vote):
            return Added.MALFORMED
        found = self._peek(vote.view)
        held = found.votes[vote.kind].get(vote.member)
        if held is not None and _agree(held, vote):  # whatever its bytes, this member has said it
            return Added.REPEATED
        if held is not None and (vote.member, _DOUBLES[vote.kind]) in found.misconduct:
            return Added.SURPLUS
        if not is_own and not self.is_signed(vote):
            return Added.WRONG_SIGNATURE
        return self._keep(vote)

    def _keep(self, vote: Vote) -> Added:
        """Hold a verified vote, the first of its kind, and compare it with what else the member said in this view."""
        votes = self._round(vote.view).votes
        for kind, other, misconduct in CONFLICTS:
            held = votes[other].get(vote.member)
            if kind is vote.kind and held is not None and not _agree(held, vote):
                self._record(EvidenceFound(misconduct=misconduct, member=vote.member, votes=(held, vote)))
        if vote.member in votes[vote.kind]:
            return Added.CONFLICTING
        votes[vote.kind][vote.member] = vote
        if vote.kind is not VoteKind.FINALIZE and len(votes[vote.kind]) >= self._config.quorum:
            self._ripe[vote.view, vote.kind] = True
        return Added.NEW

    def _record(self, evidence: EvidenceFound) -> None:
        known = self._round(evidence.votes[0].view).misconduct
        if (evidence.member, evidence.misconduct) not in known:
            known[evidence.member, evidence.misconduct] = evidence
            self._evidence.append(evidence)

    def holds(self, vote: Vote) -> bool:
        """Tell whether this member is known to have said this, whatever the bytes it was said in."""
        held = self._peek(vote.view).votes[vote.kind].get(vote.member)
        return held is not None and _agree(held, vote)

    def take_evidence(self) -> list[EvidenceFound]:
        """Give the evidence found since last asked, each member, view and kind once."""
        taken, self._evidence = self._evidence, []
        return taken

    def has_equivocated(self, member: MemberIndex, view: View) -> bool:
        """Tell whether the member was seen to notarize two blocks in this view."""
        return (member, Misconduct.DOUBLE_NOTARIZE) in self._peek(view).misconduct

    def make_certificates(self, *, above: View) -> list[Certificate]:
        """Give the certificates of views above this one that votes taken in since last asked have completed."""
        ripe, self._ripe = sorted(self._ripe), {}
        made = (self.make_certificate(kind, view) for view, kind in ripe if view > above)
        return [certificate for certificate in made if certificate is not None]

    def make_certificate(self, kind: VoteKind, view: View) -> Certificate | None:
        """Give the new certificate of this kind if q members' votes agree and none is held; holds it from now on."""
        found = self._peek(view)
        if kind in found.certificates or len(found.votes[kind]) < self._config.quorum:
            return None
        for votes in group_by_digest(found.votes[kind]).values():
            if len(votes) >= self._config.quorum:
                chosen = tuple(sorted(votes, key=lambda vote: vote.member)[: self._config.quorum])
                first = chosen[0]
                certificate = Certificate(
                    kind=kind, epoch=first.epoch, view=view, digest=first.digest, votes=chosen
                )  # fmt: skip
                found.certificates[kind] = certificate
                return certificate
        return None

    def find_fault(self, certificate: Certificate) -> str | None:
        """Say what is wrong with a certificate, or None: q distinct members, signed, all saying the same."""
        if certificate.kind is VoteKind.FINALIZE:
            return "a finalization is a seal, not votes"
        votes = certificate.votes
        if len(votes) != self._config.quorum or len({vote.member for vote in votes}) != len(votes):
            return f"{len(votes)} votes, not of {self._config.quorum} different members"
        held = self._peek(certificate.view).votes[certificate.kind]
        for vote in votes:
            said = (vote.kind, vote.epoch, vote.view, vote.digest)
            if said != (certificate.kind, certificate.epoch, certificate.view, certificate.digest):
                return f"a vote by member {vote.member} says something else"
            if not self._is_well_formed(vote) or (held.get(vote.member) != vote and not self.is_signed(vote)):
                return f"the vote by member {vote.member} is not signed by it"
        return None

    def add_certificate(self, certificate: Certificate) -> None:
        """Hold a certificate that is believed, the first of its kind in its view, and its votes.

        A second notarization of a view takes more than f members that contradict themselves: its votes are evidence.
        """
        self._round(certificate.view).certificates.setdefault(certificate.kind, certificate)
        for vote in certificate.votes:
            if self._round(vote.view).votes[vote.kind].get(vote.member) != vote:
                self._keep(vote)

    def get_certificate(self, kind: VoteKind, view: View) -> Certificate | None:
        """Give the notarization or nullification of a view if held."""
        return self._peek(view).certificates.get(kind)

    def get_shares(self, view: View) -> dict[bytes, dict[MemberIndex, Vote]]:
        """Give, for each digest that q members have finalized with shares not known to be wrong, those votes."""
        found = self._peek(view)
        if len(found.votes[VoteKind.FINALIZE]) < self._config.quorum:
            return {}
        groups = group_by_digest(found.votes[VoteKind.FINALIZE])
        good = {
            digest: {vote.member: vote for vote in votes if vote.member not in found.wrong_shares}
            for digest, votes in groups.items()
        }
        return {digest: votes for digest, votes in good.items() if len(votes) >= self._config.quorum}

    def is_checked(self, vote: Vote) -> bool:
        """Tell whether the share of this vote was looked at alone and found good."""
        return vote.member in self._peek(vote.view).checked_shares

    def note_checked(self, vote: Vote) -> None:
        """Remember that the share of this vote is good."""
        self._round(vote.view).checked_shares[vote.member] = True

    def drop_share(self, vote: Vote, header: Header) -> None:
        """Never combine this share again; the signed vote is evidence that its member made it for this header."""
        assert vote.digest == header.digest
        self._round(vote.view).wrong_shares[vote.member] = vote.share
        self._record(EvidenceFound(misconduct=Misconduct.WRONG_SHARE, member=vote.member, votes=(vote,), header=header))

    def views(self) -> list[View]:
        """List the views something is known of, lowest first."""
        if self._views is None:
            self._views = sorted(self._rounds)
        return self._views

    def certificates(self, kind: VoteKind) -> Iterator[Certificate]:
        """Walk the certificates of a kind, highest view first."""
        for view in reversed(self.views()):
            certificate = self._rounds[view].certificates.get(kind)
            if certificate is not None:
                yield certificate

    def count_votes(self, view: View) -> dict[VoteKind, int]:
        """Count the members whose vote of each kind is held for a view."""
        return {kind: len(votes) for kind, votes in self._peek(view).votes.items()}

    def prune(self, view: View) -> None:
        """Forget every view below this one."""
        for old in [known for known in self._rounds if known < view]:
            del self._rounds[old]
        self._views = None

    def _round(self, view: View) -> _Round:
        found = self._rounds.get(view)
        if found is None:
            found = self._rounds[view] = _Round()
            self._views = None
        return found

    def _peek(self, view: View) -> _Round:
        """Give what is known of a view without holding anything for it: strangers may name any view."""
        return self._rounds.get(view) or _Round()

    def _is_well_formed(self, vote: Vote) -> bool:
        """Tell whether the vote has exactly the fields of its kind and is by a member, in this epoch."""
        return (
            vote.epoch == self._config.epoch
            and 1 <= vote.member <= self._config.member_count
            and (vote.digest == NO_DIGEST) == (vote.kind is VoteKind.NULLIFY)
            and (vote.share == NO_SHARE) == (vote.kind is not VoteKind.FINALIZE)
        )

    def is_signed(self, vote: Vote) -> bool:
        """Tell whether the vote is signed by the member it names."""
        message = compute_vote_message(
            ledger_id=self._config.ledger_id,
            kind=vote.kind,
            epoch=vote.epoch,
            view=vote.view,
            digest=vote.digest,
            share=vote.share,
        )
        return self._keys.is_vote_signature(vote.member, message, vote.signature)


def _agree(one: Vote, other: Vote) -> bool:
    """Tell whether one member may say both: the same kind about the same block (signatures may differ in bytes)."""
    return one.kind is other.kind and one.digest == other.digest


def group_by_digest(votes: dict[MemberIndex, Vote]) -> dict[bytes, list[Vote]]:
    """Sort votes into groups that say the same, in the order they came."""
    groups: dict[bytes, list[Vote]] = {}
    for vote in votes.values():
        groups.setdefault(vote.digest, []).append(vote)
    return groups
