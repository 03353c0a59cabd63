"""Hardware that speaks for itself: X9, X10 and X14, over ids and times that verified quotes gave.

Whether a quote is genuine is not asked here: whoever calls has verified its signature and its nonce. An id is whatever
the quote names a device by, the same in every list that is compared.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence

from ledger.crosschecks.comparisons import Comparison, Place, name_some
from ledger.positions import Seconds


def compare_attested(
    subject: str, *, attested: Sequence[str], listed: Collection[str] | None
) -> tuple[Comparison, Comparison]:
    """X9 within one inventory: attested chips are on it, and each is shown once.

    Args:
        subject: the cluster.
        attested: ids of the chips that showed a quote.
        listed: ids of its inventory; None if it was not opened.
    """
    place = Place("X9", subject)
    twice = [chip for chip, count in Counter(attested).items() if count > 1]
    found = f"{len(attested)} quotes" if not twice else f"shown twice: {name_some(twice)}"
    once = place.compare("attested", found, "each chip once", holds=not twice)
    if listed is None:
        reason = "the inventory was not opened"
        return place.skip("attested", "chips of the inventory", found=f"{len(attested)} quotes", reason=reason), once
    inventory = frozenset(listed)
    strangers = [chip for chip in dict.fromkeys(attested) if chip not in inventory]
    found = f"{len(attested)} quotes" if not strangers else f"not in it: {name_some(strangers)}"
    return place.compare("attested", found, f"the {len(inventory)} chips listed", holds=not strangers), once


def find_shared_chips(attested: Mapping[str, Sequence[str]]) -> dict[str, tuple[str, ...]]:
    """Find the chips that more than one subject shows, and who shows each.

    Args:
        attested: ids of attested chips by subject: a cluster, or lab and cluster.

    >>> find_shared_chips({"lab-a": ["1", "2"], "lab-b": ["2", "3"]})
    {'2': ('lab-a', 'lab-b')}
    """
    shown_by: dict[str, list[str]] = {}
    for subject, chips in attested.items():
        for chip in dict.fromkeys(chips):
            shown_by.setdefault(chip, []).append(subject)
    return {chip: tuple(subjects) for chip, subjects in shown_by.items() if len(subjects) > 1}


def compare_chips_across(attested: Mapping[str, Sequence[str]]) -> tuple[Comparison, ...]:
    """X9 across clusters and labs: no chip is shown by two; one comparison for each of them.

    Args:
        attested: ids of attested chips by subject: a cluster, or lab and cluster.
    """
    shared: dict[str, list[str]] = {subject: [] for subject in attested}
    for chip, subjects in find_shared_chips(attested).items():
        for subject in subjects:
            others = ", ".join(other for other in subjects if other != subject)
            shared[subject].append(f"{chip} by {others}")
    compared = []
    for subject, chips in shared.items():
        found = f"also shown: {name_some(chips)}" if chips else f"{len(attested[subject])} quotes"
        expected = "chips that nobody else shows"
        compared.append(Place("X9", subject).compare("attested", found, expected, holds=not chips))
    return tuple(compared)


def compare_topology(
    subject: str, *, gpus: Mapping[str, Sequence[str]], switches: Mapping[str, Sequence[str]]
) -> tuple[Comparison, ...]:
    """X10: each attested accelerator and each attested switch names exactly those of the other kind that name it.

    Args:
        subject: the machine.
        gpus: by id of each attested accelerator, the switches its quote names; repetitions count once.
        switches: by id of each attested switch, the accelerators its quote names.
    """
    place = Place("X10", subject)
    if not gpus or not switches:
        missing = "accelerator" if not gpus else "switch"
        return (place.skip("topology", "accelerators and switches", reason=f"no {missing} is attested"),)
    return (
        *(_compare_links(place, f"gpu.{gpu}", gpu, named, switches) for gpu, named in gpus.items()),
        *(_compare_links(place, f"switch.{switch}", switch, named, gpus) for switch, named in switches.items()),
    )


def compare_freshness(subject: str, *, not_before: Seconds | None, shown_at: Seconds, interval_s: int) -> Comparison:
    """X14: the oldest a quote can be against the interval's length.

    Args:
        subject: whose quote.
        not_before: before when it cannot have been made: ledger time of the newest thing its nonce was made of; None if
            it has no nonce of ours.
        shown_at: ledger time by when it had been made, such as that of the entry with its digest.
        interval_s: length of an interval.
    """
    place, expected = Place("X14", subject), f"from 0 to {interval_s} s"
    if not_before is None:
        return place.skip("age_s", expected, reason="nothing says before when it cannot have been made")
    age_s = shown_at - not_before
    return place.compare("age_s", age_s, expected, holds=0 <= age_s <= interval_s)


def _compare_links(
    place: Place, field: str, device: str, named: Sequence[str], others: Mapping[str, Sequence[str]]
) -> Comparison:
    """Hold those a device names against those of the other kind that name it."""
    names = list(dict.fromkeys(named))
    named_by = [other for other, theirs in others.items() if device in theirs]
    unanswered = [name for name in names if name not in named_by]
    unnamed = [other for other in named_by if other not in names]
    found = f"names {len(names)}"
    if unanswered:
        found += f"; not named by {name_some(unanswered)}"
    if unnamed:
        found += f"; does not name {name_some(unnamed)}"
    holds = bool(names) and not unanswered and not unnamed
    return place.compare(field, found, "names exactly those that name it, at least one", holds=holds)
