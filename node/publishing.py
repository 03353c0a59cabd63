"""Publishing by hand: bring places up to date from a stopped node's database, as the node itself would.

Cosignatures that members sent since they last were kept for good live in a running node's memory alone. Here they are
taken from the notes that the node last published in its own folder, if those are of the same blocks and true.
"""

import dataclasses
import secrets
from collections.abc import Callable, Sequence
from functools import partial

from ledger.charter import Charter, ledger_keys, parse_charter
from ledger.errors import Code, ConditionError, LedgerError
from ledger.limits import NOTE_BYTES_MAX
from ledger.notes import parse_note
from ledger.policy import verify
from ledger.positions import LeafIndex, Millis, TreeSize
from node.config import Config
from node.cosigning import Notary, NoteSigners
from node.home import Home
from node.keystore import Keystore, Passphrase
from node.preflight import believed, read_transcript
from node.publication import ARCHIVES_AT_A_TIME, Snapshots, make_identity
from node.store import Store
from tlog.objects import ObjectFiles
from tlog.opening import open_files
from tlog.places import Place
from tlog.publisher import CHECKPOINT, COSIGNATURES, Files, Publisher, Snapshot
from tlog.reading import FolderFiles

Report = Callable[[Place, int], None]
"""Told of each file that was written: where, and how many there are by now."""


class _Counted:
    """Files of a place, with a word for each that is written."""

    def __init__(self, files: Files, report: Callable[[int], None]) -> None:
        self._files, self._report = files, report
        self.read, self.exists, self.sync = files.read, files.exists, files.sync
        self.partials, self.remove_folder = files.partials, files.remove_folder
        self._count = 0

    def create(self, path: str, raw: bytes) -> bool:
        """Count a file that was not there."""
        is_new = self._files.create(path, raw)
        if is_new:
            self._count_up()
        return is_new

    def replace(self, path: str, raw: bytes) -> None:
        """Count a file that is another now."""
        self._files.replace(path, raw)
        self._count_up()

    def _count_up(self) -> None:
        self._count += 1
        self._report(self._count)


def publish_by_hand(
    home: Home,
    config: Config,
    passphrase: Passphrase,
    places: Sequence[Place],
    *,
    is_from_start: bool,
    now: Millis,
    report: Report,
) -> TreeSize:
    """Publish the newest sealed checkpoint of a stopped node, and all under it, to each place in turn.

    Args:
        home: the node's.
        config: its settings.
        passphrase: of its keys: the log key signs the checkpoint.
        places: where to.
        is_from_start: whether to write again what is missing of what was published before.
        now: the time.
        report: told of each file that was written.

    Returns:
        The size of that checkpoint.

    Raises:
        ConditionError: `NOT_READY`: nothing is sealed here, or the history is still audited; what a place refuses.
    """
    keys = Keystore(home.keys, randomness=secrets.token_bytes).open(passphrase)
    store = Store(home.store)
    try:
        store.check()
        with believed(store.path):
            charter = parse_charter(b"".join(store.entries(LeafIndex(0), 1)))
            transcript = read_transcript(charter, store.meta("transcript") or b"")
        mine = [member.index for member in charter.members if member.identity == keys.identity.public_key]
        if not mine:
            raise ConditionError(
                field="keys",
                found="another member's",
                expected=f"those of a member of {charter.origin}",
                code=Code.CONFIG,
            )
        ml_dsa_keys = {member.index: transcript.cosigners_ml_dsa[member.index - 1] for member in charter.members}
        cosigner = keys.cosigner
        signers = NoteSigners(log=keys.log.sign, cosigner=cosigner.sign, cosigner_ml_dsa=cosigner.sign_ml_dsa)
        notary = Notary(charter, mine[0], ml_dsa_keys, signers, store)
        for place in places:
            files = open_files(place)
            try:
                publisher = Publisher(_Counted(files, partial(report, place)), store, make_identity(charter, store))
                publish = partial(publisher.publish, now=now, is_from_start=is_from_start)
                _publish_all(publish, Snapshots(store, notary), FolderFiles(config.publish.folder), charter)
            finally:
                if isinstance(files, ObjectFiles):
                    files.close()
        newest = store.newest_sealed()
        return TreeSize(0) if newest is None else newest.header.tree_size
    finally:
        store.close()


def _publish_all(publish: Callable[[Snapshot], None], snapshots: Snapshots, own: FolderFiles, charter: Charter) -> None:
    """Publish until no archival checkpoint is left that the place has not got."""
    while True:
        snapshot = snapshots.take()
        if snapshot is None:
            found = "no sealed block, or a history that is still audited"
            raise ConditionError(field="database", found=found, expected="a ledger that can be published")
        publish(_with_kept_lines(snapshot, own, charter))
        snapshots.settle(snapshot)
        if len(snapshot.archives) < ARCHIVES_AT_A_TIME:
            return


def _with_kept_lines(snapshot: Snapshot, own: FolderFiles, charter: Charter) -> Snapshot:
    """Put the notes that the node published in place of ours, where they are true and have more lines."""
    keys = ledger_keys(charter)
    kept: dict[str, bytes] = {}
    for path, ours in ((CHECKPOINT, snapshot.checkpoint), (COSIGNATURES, snapshot.cosignatures)):
        kept[path] = ours
        try:
            raw = own.read(path, size_max=NOTE_BYTES_MAX)
            if raw is None:
                continue
            note, plain = parse_note(raw), parse_note(ours)
            height = verify(note, keys).seal.height
        except LedgerError:  # whatever is wrong with the folder, `--verify` says it
            continue
        is_ours = note.text == plain.text if path == CHECKPOINT else height <= snapshot.height
        if is_ours and len(note.signatures) > len(plain.signatures):
            kept[path] = raw
    return dataclasses.replace(snapshot, checkpoint=kept[CHECKPOINT], cosignatures=kept[COSIGNATURES])
