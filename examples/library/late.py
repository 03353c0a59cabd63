"""Count, for each lab, the intervals in which a cluster is anything but compliant, with the reasons given.

python examples/library/late.py HOME
"""

import sys
from collections import Counter, defaultdict

from observer import open_observer


def main() -> None:
    """Read the newest verdict on each cluster's interval."""
    reasons: dict[str, Counter[str]] = defaultdict(Counter)
    with open_observer(sys.argv[1]) as observer:
        for verdict in observer.board().verdicts:
            if verdict.state.value != "compliant":
                reasons[verdict.lab].update(reason.value for reason in verdict.reasons)
    for lab, counted in sorted(reasons.items()):
        print(f"{lab}: " + ", ".join(f"{reason} {count}" for reason, count in counted.most_common()))


if __name__ == "__main__":
    main()
