"""Write the newest report of every lab as a file with its receipt, for somebody who has no copy; then check them all.

python examples/library/hand_on.py HOME FOLDER
"""

import sys
from pathlib import Path

from observer import Entry, ledger_keys, open_observer, verify_receipt


def main() -> None:
    """Walk over all reports once; the last one of each lab stays."""
    home, folder = sys.argv[1], Path(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
    with open_observer(home) as observer:
        newest: dict[str, Entry] = {}
        for entry in observer.entries(kinds=("report", "correction")):
            newest[entry.issuer or ""] = entry
        for lab, entry in sorted(newest.items()):
            proven = observer.receipt(entry.index)
            (folder / f"{lab}.entry").write_bytes(entry.raw)
            (folder / f"{lab}.tlog-proof").write_bytes(proven.raw)
        keys = ledger_keys(observer.charter)
    for receipt in sorted(folder.glob("*.tlog-proof")):
        verified = verify_receipt(receipt.read_bytes(), entry=receipt.with_suffix(".entry").read_bytes(), keys=keys)
        print(f"{receipt.stem}: entry {verified.index} under {verified.checkpoint.checkpoint.size} entries")


if __name__ == "__main__":
    main()
