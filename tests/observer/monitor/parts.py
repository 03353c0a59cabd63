"""Monitors for tests: a looker over a ledger in this process, with a clock that tests set."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from ledger.errors import Code, ConditionError
from ledger.positions import Millis
from observer.monitor import looking
from observer.monitor.alarms import Alarm
from observer.monitor.journal import JOURNAL_FILE, Journal
from observer.monitor.looking import Look, Looker, LookSettings
from observer.monitor.sightings import Patience
from tests.observer.fakeledger import FakeLedger

PATIENCE = Patience(
    unreachable_ms=10_000,
    source_behind_ms=60_000,
    head_age_ms=500_000,
    nation_behind_ms=400_000,
    network_ms=0,
)


@dataclass
class Clock:
    """A clock that stands until somebody sets it."""

    now_ms: int = 0

    def __call__(self) -> Millis:
        return Millis(self.now_ms)


@dataclass
class Watched:
    """A looker with its journal, and the sources that it opens by their names."""

    home: Path
    ledger: FakeLedger
    clock: Clock = field(default_factory=Clock)
    settings: LookSettings = field(init=False)
    sources: dict[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.home.mkdir(parents=True, exist_ok=True)
        self.settings = LookSettings(
            home=self.home,
            urls=("fake",),
            fingerprint=self.ledger.fingerprint,
            tells_history=True,
            patience=PATIENCE,
            outlet_ms=60_000,
            clear_ms=5_000,
            lead_ms=10**9,
            outlets=(),
        )
        self.journal = Journal(self.home / JOURNAL_FILE)
        self.clock.now_ms = self.ledger.chain[-1].header.time_ms
        self.start()

    def start(self) -> None:
        """Begin anew, as after a restart: only the disk is as it was."""
        self.looker = Looker(self.settings, self.journal, draw=random.Random(3).randbytes, clock=self.clock)

    def set(self, **changes: object) -> None:
        self.settings = replace(self.settings, **changes)  # type: ignore[arg-type]  # each of its own type
        self.start()

    def look(self) -> Look:
        return self.looker.look()

    def told(self) -> list[Alarm]:
        """Every alarm that the journal keeps."""
        return [each.alarm for each in self.journal.alarms(after=0, count=100_000)]


def open_from(sources: dict[str, object], monkeypatch: pytest.MonkeyPatch) -> None:
    """Have lookers open these sources by their names; those that are not there do not answer."""

    def open_source(url: str) -> object:
        if url not in sources:
            raise ConditionError(field="source", found=url, expected="a folder", code=Code.UNREACHABLE)
        return sources[url]

    monkeypatch.setattr(looking, "open_source", open_source)


def kinds(alarms: Sequence[Alarm]) -> list[str]:
    return [f"{alarm.kind}{'' if alarm.phase == 'event' else f' {alarm.phase}'}" for alarm in alarms]
