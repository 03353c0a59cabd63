"""Figures of real training runs, which the labs of the year have under other names.

Each is a row of Epoch AI, "Data on Notable AI Models", CC BY 4.0, as published on 24 February 2025
(https://epoch.ai/data/notable-ai-models): operations, hardware, its number, hours and date as they stand there. Where
the table has no hours, the run takes as long as its chips need at `ASSUMED_PERMILLE` of their peak, which is our
assumption and no fact. `docs/year.md` has the same table for readers; a test holds the two against each other.
"""

from dataclasses import dataclass
from typing import Final

from ledger.charter import Accelerator
from node.setup import ACCELERATORS

FORTNIGHT_S: Final = 14 * 86_400
HOUR_S: Final = 3_600
ASSUMED_PERMILLE: Final = 400
GFLOP_PER_PFLOP: Final = 1_000_000

ANNEX: Final = (
    *ACCELERATORS,
    Accelerator(model="h800", peak_gflops=989_400, tdp_w=700, idle_w=70),  # the maker's data sheet, as of h100
)


@dataclass(frozen=True, slots=True)
class Fact:
    """One real run.

    Attributes:
        model: what came of it.
        organization: who trained it.
        published: the day.
        pflop: operations, in PFLOP.
        chip: model of the charter's annex.
        chips_count: how many.
        hours: how long; None where the table has no figure.
        confidence: what its authors think of the estimate.
    """

    model: str
    organization: str
    published: str
    pflop: int
    chip: str
    chips_count: int
    hours: int | None
    confidence: str

    @property
    def fortnights(self) -> int:
        """In how many intervals of the year the run is done."""
        if self.hours is not None:
            return -(-self.hours * HOUR_S // FORTNIGHT_S)
        peak_gflops = next(each.peak_gflops for each in ANNEX if each.model == self.chip) * self.chips_count
        per_fortnight = peak_gflops * FORTNIGHT_S * ASSUMED_PERMILLE // 1000 // GFLOP_PER_PFLOP
        return -(-self.pflop // per_fortnight)

    def share_pflop(self, number: int) -> int:
        """Operations in one of its fortnights, from 0; the last one has what is left."""
        even = self.pflop // self.fortnights
        return even if number < self.fortnights - 1 else self.pflop - even * (self.fortnights - 1)


FACTS: Final = (
    Fact("Llama 3.1-405B", "Meta AI", "2024-07-23", 38_000_000_000, "h100", 16_384, 2_142, "confident"),
    Fact("BLOOM-176B", "Hugging Face, BigScience", "2022-07-11", 365_664_000, "a100", 384, 2_808, "confident"),
    Fact(
        "Falcon-180B", "Technology Innovation Institute", "2023-09-06", 3_760_000_000, "a100", 4_096, 4_320, "confident"
    ),
    Fact("Llama 2-70B", "Meta AI", "2023-07-18", 810_000_000, "a100", 1_000, 1_728, "confident"),
    Fact("Nemotron-4 340B", "NVIDIA", "2024-06-14", 18_000_000_000, "h100", 6_144, 2_200, "confident"),
    Fact("Inflection-2", "Inflection AI", "2023-11-22", 10_010_000_000, "h100", 5_000, None, "confident"),
    Fact("DeepSeek-V3", "DeepSeek", "2024-12-24", 4_560_000_000, "h800", 2_048, None, "confident"),
    Fact(
        "Megatron-Turing NLG 530B", "Microsoft, NVIDIA", "2021-10-11", 1_170_000_000, "a100", 4_480, 770, "not stated"
    ),
)
