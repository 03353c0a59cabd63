"""Follow a ledger from several sources, say how it stands, and leave with 1 where something is wrong.

python examples/library/follow.py HOME FINGERPRINT SOURCE [SOURCE …]
"""

import sys

from observer import open_observer, sync_copy


def main() -> None:
    """Sync, then show a line for each source and one for the network."""
    home, fingerprint, *sources = sys.argv[1:]
    result = sync_copy(home, *sources, fingerprint=fingerprint)
    for outcome in result.outcomes:
        print(f"{outcome.source}: {outcome.error or 'as it should be'}")
    with open_observer(home) as observer:
        report = observer.board().outlook.report
        print(f"{len(observer)} entries up to block {observer.height}: {report.state.value}")
    sys.exit(any(outcome.error for outcome in result.outcomes))


if __name__ == "__main__":
    main()
