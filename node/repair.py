"""Makes a node's folder whole again, without ever freeing the node to vote where it may have voted.

What is damaged is moved into `aside/<time>/`, never removed; what can be made from what is left is made; the ledger
comes back from the other members when the node runs. Each combination, and why it is safe:

1. Database lost, vote log whole. The database begins anew from entry 0. The log still says what was voted in every view
   above its barrier, and the barrier that nothing may be voted up to there; the core replays it, and pulls the blocks.
2. Vote log lost, whatever else is left. It is begun anew as lost: no vote until enough others have told their views
   (core.py, step 9). Charter, ceremony and share say that there was a ledger, so it is never begun as if there had
   been no votes. An old log is never put back, not even one that was moved aside here.
3. Share lost. It is in the ceremony's transcript, sealed to this member's encryption key, and taken from there: it is
   the same share, so nothing that was sealed with it changes.
4. Keys lost. Nobody else has them. From a back-up, or the member cannot vote any more; the others go on while a quorum
   of them runs. Only people can decide what then follows.

The vote log is settled before the database appears, for a database is what lets a node run. Each step is decided from
what is on the disk, so a repair that broke off is simply begun again.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from ledger.charter import Charter
from ledger.positions import FIRST_EPOCH, Millis
from node.beginning import found_store
from node.home import Home, sync_folder, write_file
from node.inspection import ASIDE, Condition, Finding, Inspection, Part
from node.keys import ShareKey
from node.keystore import Keystore, Passphrase
from node.sealed_shares import recover_share
from node.votefile import VoteFile
from tlog.publisher import CHARTER, TRANSCRIPT

_BACK_UP: Final = "put it back from the back-up made after the ceremony"

# What cannot be mended here, and what people can do.
BY_HAND: Final = {
    Part.KEYS: f"{_BACK_UP}. Without identity.key and encryption.key there is no way back: this member cannot vote"
    " any more; the others go on while a quorum of them runs, and the nations must decide what follows",
    Part.TLS: f"{_BACK_UP}, or make a new one with `counterseal node renew-tls` and send it to every member",
    Part.DRAFT: f"{_BACK_UP}, or run with --draft and the file that any other founder has",
    Part.CERTIFICATES: "ask the member named for its tls.pem and put it at peers/<id>.pem; it is left out until then",
    Part.LEDGER: "if this node took part in a ceremony, run with --draft and its draft: the others have the rest",
}


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to do: what it is, in words, and how."""

    words: str
    act: Callable[[], None]


class Repair:
    """Plans and carries out the repair of one folder, which no node works in meanwhile."""

    def __init__(
        self,
        home: Home,
        folder: Path,
        inspection: Inspection,
        keystore: Keystore,
        passphrase: Passphrase,
        *,
        now: Millis,
    ) -> None:
        self._home, self._folder, self._found = home, folder, inspection
        self._keystore, self._passphrase = keystore, passphrase
        moment = datetime.fromtimestamp(now / 1000, UTC).strftime("%Y%m%dT%H%M%S")
        self.aside = home.root / ASIDE / f"{moment}Z"

    def by_hand(self) -> list[tuple[Finding, str]]:
        """List what is wrong and only people can mend, with what they can do."""
        return [(each, BY_HAND[each.part]) for each in self._found.wrong() if each.part in BY_HAND]

    def plan(self) -> Sequence[Step]:
        """List the steps, in the order in which they must be done; none if nothing can or need be done here."""
        charter = self._found.charter
        steps: list[Step] = []
        if self._is(Part.CEREMONY, Condition.DAMAGED):
            words = "move the messages of the ceremony aside; other members have them"
            steps.append(Step(words, lambda: self._move_aside([self._home.ceremony])))
        if charter is None or self._found.keys is None:
            return steps
        steps += self._plan_ledger(charter)
        if self._is(Part.FOLDER, Condition.DAMAGED, Condition.MISSING):
            words = "move the published folder aside; it is written again when the node runs"
            steps.append(Step(words, lambda: self._move_aside([self._folder])))
        return steps

    def _plan_ledger(self, charter: Charter) -> list[Step]:
        steps: list[Step] = []
        others = min(charter.quorum, len(charter.members) - 1)
        if self._is(Part.VOTES, Condition.DAMAGED, Condition.MISSING):
            words = (
                f"begin the vote log anew as lost: the node reads along, and votes again once {others} others,"
                " whose own vote logs are whole, have told it where they are. Never put an old one back"
            )
            steps.append(Step(words, lambda: self._lose_votes(charter)))
        if self._is(Part.SHARE, Condition.DAMAGED, Condition.MISSING):
            words = "take this member's share of the group key out of the ceremony's transcript again"
            steps.append(Step(words, lambda: self._recover_share(charter)))
        if self._is(Part.STORE, Condition.DAMAGED, Condition.MISSING):
            words = (
                "begin the database anew from the charter: when the node runs it pulls every block from the other"
                " members, and checks and executes each"
            )
            steps.append(Step(words, lambda: self._begin_store(charter)))
        return steps

    def _is(self, part: Part, *conditions: Condition) -> bool:
        return self._found.condition(part) in conditions

    def _move_aside(self, paths: Sequence[Path]) -> None:
        for path in paths:
            if path.exists():
                self.aside.mkdir(parents=True, exist_ok=True)
                path.rename(self.aside / path.name)
                sync_folder(self.aside)
                sync_folder(path.parent)

    def _lose_votes(self, charter: Charter) -> None:
        assert self._found.member is not None
        self._move_aside([self._home.votes])
        votes = VoteFile(self._home.votes, ledger_id=charter.ledger_id, member=self._found.member)
        votes.load()  # there is none: it is begun as lost
        votes.close()

    def _recover_share(self, charter: Charter) -> None:
        keys, member = self._found.keys, self._found.member
        assert keys is not None
        assert member is not None
        secret = recover_share(self._found.transcript, charter=charter, member=member, encryption=keys.encryption)
        self._move_aside([self._keystore.share_path(FIRST_EPOCH)])
        self._keystore.write_share(ShareKey(secret, epoch=FIRST_EPOCH, member=member), self._passphrase)

    def _begin_store(self, charter: Charter) -> None:
        """Keep what the new database begins from where a repair that breaks off finds it again, then begin it."""
        self.aside.mkdir(parents=True, exist_ok=True)
        write_file(self.aside / CHARTER, charter.entry)
        write_file(self.aside / TRANSCRIPT, self._found.transcript)
        for begun in (self._home.store, self._home.history):
            self._move_aside(sorted(self._home.root.glob(f"{begun.name}*")))
        found_store(self._home.store, charter.entry, self._found.transcript)
