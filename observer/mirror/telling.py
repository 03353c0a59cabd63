"""What a mirror says while it runs: a source's standing once for each change, and what was published.

Each is one line for a person, or one JSON object on a line for a program; a source that goes on lying, or resting, or
being out of reach says nothing new, and is not told of again.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from ledger.errors import LedgerError
from ledger.positions import Millis
from observer.mirror.rounds import Published, Round
from observer.sync import Outcome, Progress
from observer.telling import format_time

FOLLOWED: Final = "followed"
ROLLED_BACK_TOLD_MAX: Final = 256
PROGRESS_EVERY_MS: Final = 10_000


@dataclass(slots=True)
class Teller:
    """Says what is new. Belongs to one thread.

    Attributes:
        say: takes a line without its end.
        as_json: whether lines are JSON objects.
        clock: of this machine; spaces what is said of a long copying.
    """

    say: Callable[[str], None]
    as_json: bool
    clock: Callable[[], Millis]
    _standing: dict[str, tuple[str, ...]] = field(default_factory=dict)
    _rolled_back: dict[str, None] = field(default_factory=dict)
    _trouble: str | None = None
    _told_ms: Millis | None = None

    def tell(self, done: Round) -> None:
        """Say what came of a round, as far as it is new."""
        for source, outcomes in _by_source(done.outcomes).items():
            wrong = next((outcome for outcome in outcomes if outcome.is_lie), None)
            self._tell_standing(wrong or next((each for each in outcomes if each.error is not None), outcomes[0]))
            for said in (said for outcome in outcomes for said in outcome.rolled_back):
                if said not in self._rolled_back and len(self._rolled_back) < ROLLED_BACK_TOLD_MAX:
                    self._rolled_back[said] = None
                    self._say(f"{source}: {said}", {"event": "rolled-back", "source": source, "said": said})
        if done.published is not None:
            self._tell_published(done.published)
        if done.trouble is None:
            self._trouble = None

    def tell_trouble(self, error: LedgerError) -> None:
        """Say what keeps this machine from going on, once."""
        if self._trouble != error.code:
            self._trouble = error.code
            self._say(f"waiting: {error}", {"event": "waiting", "code": error.code.value, "error": str(error)})

    def tell_progress(self, at: Progress) -> None:
        """Say how far a copying is that takes long."""
        now_ms = self.clock()
        if self._told_ms is None or at.height == at.target:
            self._told_ms = now_ms
        elif now_ms - self._told_ms >= PROGRESS_EVERY_MS:
            self._told_ms = now_ms
            self._say(
                f"copying from {at.source}: height {at.height} of {at.target}, {at.size} entries verified",
                {
                    "event": "copying",
                    "source": at.source,
                    "height": at.height,
                    "target": at.target,
                    "tree_size": at.size,
                },
            )

    def tell_listening(self, address: str) -> None:
        """Say where files are served."""
        self._say(f"serving on http://{address}/", {"event": "serving", "address": address})

    def _tell_standing(self, outcome: Outcome) -> None:
        error = outcome.error
        standing = (FOLLOWED,) if error is None else (outcome.relation.value, error.code.value)
        if self._standing.get(outcome.source) == standing:
            return
        self._standing[outcome.source] = standing
        said = FOLLOWED if error is None else f"{outcome.relation.value}: {error}"
        self._say(
            said if error is not None else f"{outcome.source}: {said}",
            {
                "event": "source",
                "source": outcome.source,
                "standing": standing[0],
                "is_lie": outcome.is_lie,
                "height": outcome.height,
                "code": None if error is None else error.code.value,
                "error": None if error is None else str(error),
            },
        )

    def _tell_published(self, published: Published) -> None:
        checkpoint = published.checkpoint
        archives = f", archives {', '.join(map(str, published.archives))}" if published.archives else ""
        self._say(
            f"published: height {published.height}, {checkpoint.size} entries,"
            f" sealed {format_time(published.time_ms)}{archives}",
            {
                "event": "published",
                "height": published.height,
                "tree_size": checkpoint.size,
                "root": checkpoint.root.hex(),
                "time_ms": published.time_ms,
                "archives": list(published.archives),
            },
        )

    def _say(self, text: str, value: dict[str, Any]) -> None:  # Any: values of a JSON object are of several types
        self.say(json.dumps(value, ensure_ascii=False) if self.as_json else text)


def _by_source(outcomes: tuple[Outcome, ...]) -> dict[str, list[Outcome]]:
    found: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        found.setdefault(outcome.source, []).append(outcome)
    return found
