"""How the database of a ledger begins: from its charter, and whole or not at all."""

from pathlib import Path

from ledger.blocks import genesis_header
from ledger.charter import parse_charter
from ledger.merkle import leaf_hash
from ledger.rules.apply import found
from node import failpoints
from node.home import sync_folder
from node.store import BlockCommit, Store


def found_store(path: Path, entry: bytes, transcript: bytes) -> None:
    """Begin the database of a ledger: entry 0 as block 0, and the state that follows from it; it appears whole."""
    if path.exists():
        return
    charter = parse_charter(entry)
    header = genesis_header(entry, charter.founded_at_ms)
    aside = path.with_suffix(".founding")
    for left in (aside, *(path.with_suffix(f".founding{more}") for more in ("-wal", "-shm"))):
        left.unlink(missing_ok=True)
    store = Store(aside)
    try:
        state = found(entry)
        store.put_meta("transcript", transcript)
        store.commit(
            [
                BlockCommit(
                    header=header,
                    seal=b"",
                    entries=[entry],
                    leaves=[leaf_hash(entry)],
                    state_changes=list(state.items()),
                )
            ]
        )
    finally:
        store.close()
    failpoints.reach("founding.store")
    aside.rename(path)
    sync_folder(path.parent)
    failpoints.reach("founding.done")
