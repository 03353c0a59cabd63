"""The life of pauses as the rules' text tells it, in the obvious way: from all that was ever said, again each time.

No state, no agenda, no fixed point by removal: for every question the whole list of statements is walked, boundary by
boundary, and who joins is the largest of all sets of nations whose every member's condition the set itself meets.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations

from ledger.rules.grid import Outage, extend_deadline

INTERVAL_MS = 100_000
MAX_OPEN = 4

Words = tuple[object, ...]


@dataclass(frozen=True)
class Terms:
    proposer: str
    first: int
    count: int
    lapses: int
    nations_min: int
    nations: tuple[str, ...]


@dataclass(frozen=True)
class Word:
    """An accession (`nations` is None where it is taken back), a pledge or a vote."""

    party: str
    at: int
    index: int
    nations: tuple[str, ...] | None = ()
    nations_min: int = 0
    lapses: int = 2**32
    yes: bool = True


@dataclass(frozen=True)
class Motion:
    proposer: str
    at: int
    index: int
    pause: str
    until: int
    needed: int


@dataclass
class Life:
    """A pause after a boundary."""

    events: list[tuple[int, str, int, int | None, tuple[str, ...], int]] = field(default_factory=list)
    phase: str = "proposed"
    start: int = 0
    end: int = 0
    joined: dict[str, int] = field(default_factory=dict)


def find_largest(words: Mapping[str, Word], always: Iterable[str]) -> tuple[str, ...]:
    """The union of all sets that hold together, each with those who are in anyway."""
    inside = frozenset(always)
    largest: frozenset[str] = inside
    for count in range(len(words) + 1):
        for chosen in combinations(sorted(words), count):
            together = inside | frozenset(chosen)
            if all(
                words[nation].nations_min <= len(together) and together.issuperset(words[nation].nations or ())
                for nation in chosen
            ):
                largest |= together
    return tuple(sorted(largest))


@dataclass
class NaivePauses:
    """All that was said, and what follows from it at any time."""

    members: Sequence[str]
    notice_ms: int
    window_ms: int
    intervals_max: int
    terms: dict[str, tuple[int, int, Terms]] = field(default_factory=dict)
    accessions: dict[str, list[Word]] = field(default_factory=dict)
    pledges: dict[str, list[Word]] = field(default_factory=dict)
    motions: dict[str, Motion] = field(default_factory=dict)
    votes: dict[str, list[Word]] = field(default_factory=dict)
    outages: list[Outage] = field(default_factory=list)

    # --- time --------------------------------------------------------------------------------------------------------

    @staticmethod
    def following(at: int) -> int:
        """The first boundary after a time."""
        return at // INTERVAL_MS + 1

    @staticmethod
    def at_or_after(at: int) -> int:
        return -(-at // INTERVAL_MS)

    # --- the committee -----------------------------------------------------------------------------------------------

    def carried(self, motion_id: str) -> int | None:
        """When a motion was carried."""
        motion, said = self.motions[motion_id], dict[str, bool]()
        for vote in self.votes.get(motion_id, []):
            said[vote.party] = vote.yes
            if sum(said.values()) >= motion.needed:
                return vote.at
        return None

    def is_open(self, motion_id: str, now: int) -> bool:
        motion = self.motions[motion_id]
        end = extend_deadline(motion.at + self.window_ms, since=motion.at, outages=self.outages)
        return self.carried(motion_id) is None and now < end

    def decisions(self, pause: str, boundary: int) -> list[tuple[int, int]]:
        """What carried in the interval before a boundary, in the order in which it did: new end, cause."""
        found = []
        for motion_id, motion in self.motions.items():
            at = self.carried(motion_id)
            if motion.pause == pause and at is not None and self.following(at) == boundary:
                last = next(vote.index for vote in self._deciding(motion_id))
                found.append((last, motion.until, motion.index))
        return [(until, cause) for _, until, cause in sorted(found)]

    def _deciding(self, motion_id: str) -> Iterable[Word]:
        said: dict[str, bool] = {}
        for vote in self.votes.get(motion_id, []):
            said[vote.party] = vote.yes
            if sum(said.values()) >= self.motions[motion_id].needed:
                yield vote

    # --- pauses ------------------------------------------------------------------------------------------------------

    def counting(self, pause: str, boundary: int) -> dict[str, Word]:
        """The newest word of each nation that counts at a boundary."""
        newest = {word.party: word for word in self.accessions.get(pause, []) if word.at < boundary * INTERVAL_MS}
        return {party: word for party, word in newest.items() if word.nations is not None and boundary <= word.lapses}

    def live(self, pause: str, now: int) -> Life:
        """A pause after the last boundary up to a time."""
        at, own, terms = self.terms[pause]
        life = Life()
        for boundary in range(self.following(at), now // INTERVAL_MS + 1):
            if life.phase == "over":
                break
            if life.phase == "proposed":
                self._propose(life, pause, terms, own, boundary)
            else:
                self._continue(life, pause, own, boundary)
        return life

    def _propose(self, life: Life, pause: str, terms: Terms, own: int, boundary: int) -> None:
        words = self.counting(pause, boundary)
        nations = find_largest(words, ())
        if len(nations) >= terms.nations_min and all(nation in nations for nation in terms.nations):
            life.start = max(terms.first, self.at_or_after(boundary * INTERVAL_MS + self.notice_ms))
            life.end = life.start + terms.count
            life.joined = dict.fromkeys(nations, life.start)
            life.phase = "activated"
            cause = max(words[nation].index for nation in nations)
            life.events.append((boundary, "activated", life.start, life.end, nations, cause))
        elif boundary >= terms.lapses:
            life.phase = "over"
            life.events.append((boundary, "lapsed", boundary, None, (), own))

    def _continue(self, life: Life, pause: str, own: int, boundary: int) -> None:
        nations = tuple(sorted(life.joined))
        for until, cause in self.decisions(pause, boundary):
            if until == 0:
                life.phase, life.end = "over", boundary
                life.events.append((boundary, "lifted", boundary, boundary, nations, cause))
                return
            if until > life.end:
                life.end = until
                life.events.append((boundary, "extended", boundary, until, nations, cause))
        if boundary >= life.end:
            life.phase = "over"
            life.events.append((boundary, "expired", boundary, life.end, nations, own))
            return
        words = {party: word for party, word in self.counting(pause, boundary).items() if party not in life.joined}
        new = [nation for nation in find_largest(words, life.joined) if nation not in life.joined]
        if new:
            since = max(life.start, boundary)
            life.joined |= dict.fromkeys(new, since)
            cause = max(words[nation].index for nation in new)
            life.events.append((boundary, "joined", since, life.end, tuple(sorted(life.joined)), cause))

    def events(self, now: int) -> list[tuple[int, str, str, int, int | None, tuple[str, ...], int]]:
        """All events up to a time: boundary, pause, what, from when, until when, who, why."""
        return sorted(
            (boundary, pause, step, interval, until, nations, cause)
            for pause in self.terms
            for boundary, step, interval, until, nations, cause in self.live(pause, now).events
        )

    def limits(self, lab: str, nation: str, interval: int, now: int) -> list[str]:
        """The pauses that bind a lab in an interval."""
        found = []
        for pause in sorted(self.terms):
            life = self.live(pause, now)
            if life.phase == "proposed" or not life.start <= interval < life.end:
                continue
            pledged = any(
                word.party == lab and self.following(word.at) <= interval for word in self.pledges.get(pause, [])
            )
            if pledged or life.joined.get(nation, interval + 1) <= interval:
                found.append(f"pause-{pause}")
        return found

    # --- what is taken -----------------------------------------------------------------------------------------------

    def is_over(self, pause: str, now: int) -> bool:
        return self.live(pause, now).phase == "over"

    def undertaken(self, party: str, now: int, *, but: str = "") -> int:
        """How many pauses that are not over a party acceded or pledged to."""
        count = 0
        for pause in self.terms:
            newest = [word for word in self.accessions.get(pause, []) if word.party == party][-1:]
            acceded = any(word.nations is not None for word in newest)
            pledged = any(word.party == party for word in self.pledges.get(pause, []))
            count += pause != but and (acceded or pledged) and not self.is_over(pause, now)
        return count

    def takes_pause(self, pause: str, terms: Terms, now: int) -> bool:
        earliest, following = self.following(now + self.notice_ms), self.following(now)
        open_count = sum(
            known.proposer == terms.proposer and not self.is_over(other, now)
            for other, (_, _, known) in self.terms.items()
        )
        return (
            pause not in self.terms
            and terms.count <= self.intervals_max
            and earliest <= terms.first <= earliest + self.intervals_max
            and following <= terms.lapses <= following + self.intervals_max
            and open_count < MAX_OPEN
        )

    def takes_accession(self, pause: str, word: Word) -> bool:
        if pause not in self.terms or self.is_over(pause, word.at) or word.party in self.live(pause, word.at).joined:
            return False
        if word.nations is None:
            newest = [known for known in self.accessions.get(pause, []) if known.party == word.party][-1:]
            return any(known.nations is not None for known in newest)
        has_room = self.undertaken(word.party, word.at, but=pause) < MAX_OPEN
        return has_room and word.lapses >= self.following(word.at)

    def takes_pledge(self, pause: str, word: Word) -> bool:
        return (
            pause in self.terms
            and not self.is_over(pause, word.at)
            and all(known.party != word.party for known in self.pledges.get(pause, []))
            and self.undertaken(word.party, word.at) < MAX_OPEN
        )

    def takes_motion(self, motion_id: str, motion: Motion) -> bool:
        if motion_id in self.motions or motion.pause not in self.terms:
            return False
        life = self.live(motion.pause, motion.at)
        open_count = sum(
            known.proposer == motion.proposer and self.is_open(other, motion.at)
            for other, known in self.motions.items()
        )
        fits = motion.until == 0 or life.end < motion.until <= life.end + self.intervals_max
        return life.phase == "activated" and fits and open_count < MAX_OPEN

    def takes_vote(self, motion_id: str, now: int) -> bool:
        return (
            motion_id in self.motions
            and self.is_open(motion_id, now)
            and not self.is_over(self.motions[motion_id].pause, now)
        )
