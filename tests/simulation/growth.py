"""What a larger committee costs: messages a block and blocks a second, by simulation, as a table and a drawing."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from devnet.drawing import Curve, draw_curves
from tests.simulation.cores.level import Cores
from tests.simulation.plan import Plan
from tests.simulation.simulation import Simulation

BLOCKS_MIN: Final = 3
CHUNK_MS: Final = 50


@dataclass(frozen=True)
class Point:
    """One size of committee."""

    members: int
    blocks: int
    seconds: float
    messages: int
    virtual_ms: int

    @property
    def blocks_a_second(self) -> float:
        """How many blocks one second of one processor simulates."""
        return self.blocks / self.seconds

    @property
    def messages_a_block(self) -> float:
        """How many messages all members together send for each block."""
        return self.messages / self.blocks

    @property
    def ms_a_block(self) -> float:
        """How long a block takes in virtual time, one after the other."""
        return self.virtual_ms / self.blocks


def measure_growth(sizes: Sequence[int], *, seconds_each: float) -> list[Point]:
    """Run a committee of each size in calm until enough processor time has passed and a few blocks are final."""
    return [_measure(size, seconds_each) for size in sizes]


def _measure(members: int, seconds_min: float) -> Point:
    simulation = Simulation(Plan(seed=1, member_count=members, faults_ms=10_000_000, submit_every_ms=40), Cores())
    world, network, agreement = simulation.world, simulation.network, simulation.checkers.agreement
    for member in simulation.members.values():
        world.at(0, member.start)

    def go_on_until(is_enough: Callable[[], bool]) -> None:
        while not is_enough():
            simulation.members[1].submit_next()
            world.run_until(world.now_ms + CHUNK_MS)

    go_on_until(lambda: agreement.tallest() > 0)  # what members ask when they start is not counted
    height, messages, virtual_ms, began_s = agreement.tallest(), network.carried, world.now_ms, time.process_time()
    go_on_until(lambda: time.process_time() - began_s > seconds_min and agreement.tallest() >= height + BLOCKS_MIN)
    return Point(
        members=members,
        blocks=agreement.tallest() - height,
        seconds=time.process_time() - began_s,
        messages=network.carried - messages,
        virtual_ms=world.now_ms - virtual_ms,
    )


def format_table(points: Sequence[Point]) -> list[str]:
    """Write the points as a table in Markdown."""
    lines = [
        "| members | messages a block | of one member | virtual ms a block | blocks a processor second |",
        "| ---: | ---: | ---: | ---: | ---: |",
    ]
    lines += [
        f"| {point.members} | {point.messages_a_block:.0f} | {point.messages_a_block / point.members:.0f} |"
        f" {point.ms_a_block:.0f} | {point.blocks_a_second:.2f} |"
        for point in points
    ]
    return lines


def draw_growth(points: Sequence[Point]) -> str:
    """Draw both curves over the number of members, on logarithmic scales, as SVG."""
    curves = (
        Curve("messages a block", [point.messages_a_block for point in points]),
        Curve("blocks a processor second", [point.blocks_a_second for point in points]),
    )
    return draw_curves([point.members for point in points], curves, label="members")
