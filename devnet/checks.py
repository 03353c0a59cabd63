"""What a demonstration claims, shown as it is checked, and how fast it may go on this machine."""

import asyncio
import time
from dataclasses import dataclass, field
from typing import Final

from rich.console import Console

from devnet.commands import must

COMMANDS: Final = 6
COMMANDS_S: Final = 1.5  # what so many short commands at once take on two cores that have little else to do
PACE_MAX: Final = 3


@dataclass(slots=True)
class Checks:
    """What a story claims, and whether it held."""

    console: Console
    results: list[tuple[str, bool]] = field(default_factory=list)

    def check(self, claim: str, *, holds: bool, detail: str = "") -> None:
        """Note a claim and show how it came out."""
        self.results.append((claim, holds))
        mark = "[green]✓[/]" if holds else "[red]✗[/]"
        self.console.print(
            f"  {mark} {claim}" + (f" [dim]{detail}[/]" if detail else ""), highlight=False, soft_wrap=True
        )

    @property
    def all_held(self) -> bool:
        """Say whether there was a claim and every one held."""
        return bool(self.results) and all(holds for _, holds in self.results)

    def conclude(self) -> bool:
        """Show how many claims held, and say whether all did."""
        held_count = sum(holds for _, holds in self.results)
        self.console.print(f"\n[bold]{held_count} of {len(self.results)} checks held[/]")
        return self.all_held


async def measure_pace(console: Console) -> float:
    """See how busy this machine is: by how much to stretch a grid so that a slow one still files in time."""
    began = time.monotonic()
    await asyncio.gather(*(must("observe", "--help") for _ in range(COMMANDS)))
    pace = max(1.0, min(PACE_MAX, (time.monotonic() - began) / COMMANDS_S))
    if pace > 1:
        console.print(f"  this machine is busy: intervals are {pace:.1f} times as long", highlight=False)
    return pace
