"""How large a sample must be, and how sure it then makes: the question as people ask it, the answer in both forms.

The numbers are those of `ledger.sample_sizes`, exact, by the hypergeometric distribution.
"""

from dataclasses import asdict, dataclass

from ledger.errors import FormatError
from ledger.sample_sizes import compute_confidence_permille, compute_sample_size


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What was asked, and what follows.

    Attributes:
        population: how many units there are.
        bad: how many of them are bad.
        hits: how many bad ones the sample must have.
        confidence_permille: how sure it was to be.
        sample: how many units to look at.
        attained_permille: how sure that makes, rounded down.
    """

    population: int
    bad: int
    hits: int
    confidence_permille: int
    sample: int
    attained_permille: int

    def encode(self) -> dict[str, object]:
        """Give it as JSON has it."""
        return asdict(self)

    def describe(self) -> str:
        """Say it in a sentence.

        >>> print(answer_question(population=10_000, bad=None, bad_permille=10, confidence_permille=950).describe())
        294 of 10000: a sample has at least 1 of 100 bad ones with 95.0 % confidence
        """
        sure = f"{self.attained_permille // 10}.{self.attained_permille % 10} %"
        return (
            f"{self.sample} of {self.population}: a sample has at least {self.hits} of {self.bad} bad ones "
            f"with {sure} confidence"
        )


def answer_question(
    *, population: int, bad: int | None, bad_permille: int | None, confidence_permille: int, hits: int = 1
) -> Answer:
    """Compute the smallest sample that is enough.

    Args:
        population: how many units there are.
        bad: how many of them are bad; or else
        bad_permille: their share, of which the number is rounded up.
        confidence_permille: how sure to be, from 0 to 1000.
        hits: how many bad ones the sample must have.

    Raises:
        FormatError: not exactly one of the two given, or a number out of the bounds of `ledger.sample_sizes`.
    """
    if bad is None and bad_permille is not None:
        bad = -(-population * bad_permille // 1000)
    elif bad is None or bad_permille is not None:
        found = "neither" if bad is None else "both"
        raise FormatError(field="sample.bad", found=found, expected="a number or a share of bad units, one of the two")
    size = compute_sample_size(population=population, bad_count=bad, confidence_permille=confidence_permille, hits=hits)
    attained = compute_confidence_permille(population=population, bad_count=bad, sample_size=size, hits=hits)
    return Answer(
        population=population,
        bad=bad,
        hits=hits,
        confidence_permille=confidence_permille,
        sample=size,
        attained_permille=attained,
    )
