"""All statements of one party, each with a receipt: what an inspector holds a lab's openings against.

The numbers of a party's statements have no gap, so whoever is given all of them sees that none was left out.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from ledger.errors import Code, ConditionError
from ledger.positions import LeafIndex
from observer.copy import Copy
from observer.proofs import RECEIPT_SUFFIX, prove_entries, write_receipt
from observer.subjects import read_issuer, read_subject

_BATCH: Final = 4_096
_KIND: Final = re.compile(r"[a-z0-9-]{1,64}\Z")
"""What may stand in a file's name: no copy of a ledger whose quorum lies makes a path of a kind."""


def find_statements(copy: Copy, issuer: str) -> list[LeafIndex]:
    """Find every statement of a party, in the order of the ledger; it reads all entries of the copy.

    Raises:
        ConditionError: there is none (`NOT_FOUND`).
    """
    found = [index for index, entry in _read_all(copy) if (read_issuer(entry) or ("", 0))[0] == issuer]
    if not found:
        expected = f"a party that has spoken among the {copy.tree.size} entries of this copy"
        raise ConditionError(field="lab", found=issuer, expected=expected, code=Code.NOT_FOUND)
    return found


def write_receipts(copy: Copy, issuer: str, folder: Path) -> list[Path]:
    """Write the receipt of every statement of a party, each with its entry, and the charter, into a folder.

    Returns:
        The receipts, by names with party, number and kind.

    Raises:
        ConditionError: there is none (`NOT_FOUND`), or the folder is that of another ledger (`CONFIG`).
        LedgerError: the copy on disk is not what was written.
    """
    indices = find_statements(copy, issuer)
    written = []
    for proven in prove_entries(copy, indices):
        entry = proven.verified.entry
        subject, number = read_subject(entry), (read_issuer(entry) or ("", 0))[1]
        kind = "entry" if subject is None or not _KIND.match(subject.kind) else subject.kind
        name = f"{issuer}-{number:06}-{kind}"
        written.append(write_receipt(proven, copy, folder / f"{name}{RECEIPT_SUFFIX}")[0])
    return written


def _read_all(copy: Copy) -> Iterator[tuple[LeafIndex, bytes]]:
    for first in range(0, copy.tree.size, _BATCH):
        entries = copy.entries(LeafIndex(first), _BATCH)
        yield from ((LeafIndex(first + offset), entry) for offset, entry in enumerate(entries))
