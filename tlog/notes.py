"""Published notes, each line of them verified: the checkpoint, the one with every cosignature, archival ones.

What they say must agree with the checkpoint that is believed: their blocks are those of its chain of headers.

`ledger.policy` passes over lines by keys it does not know, as the specification of notes demands. Here a line that
nobody vouches for is a fault: a note whose line was damaged in its key ID would otherwise pass. Lines of witnesses from
outside the charter are known by their verifier keys.
Source: C2SP signed-note, tlog-cosignature.
"""

import hashlib
from collections.abc import Sequence

from ledger import domains
from ledger.blocks import HEADERS_PER_BUNDLE, checkpoint_of
from ledger.charter import Charter, ledger_keys
from ledger.checkpoints import compute_cosignature_message_ed25519, parse_cosignature
from ledger.ed25519 import is_ed25519_signature
from ledger.errors import LedgerError, PolicyError, ProofError, SignatureError
from ledger.limits import NOTE_BYTES_MAX, NOTE_LINES_PUBLISHED_MAX, SIGNATURE_BYTES, TRANSCRIPT_BYTES_MAX
from ledger.notes import Note, VerifierKey, parse_note
from ledger.policy import LedgerKeys, VerifiedCheckpoint, verify
from ledger.positions import Interval
from ledger.threshold.transcripts import parse_transcript
from ledger.tiles import headers_path
from tlog.faults import Faults, Problem
from tlog.headers import Link, read_headers
from tlog.publisher import COSIGNATURES, TRANSCRIPT, WITNESSED, archive_path
from tlog.resources import Reader


def verify_note(
    raw: bytes, keys: LedgerKeys, *, witnesses: Sequence[VerifierKey], is_short: bool
) -> VerifiedCheckpoint:
    """Believe a note of which every line is right.

    Args:
        raw: the file.
        keys: of the ledger; believed.
        witnesses: keys of others whose cosignatures may stand in it.
        is_short: whether it may have no more lines than every client accepts.

    Raises:
        LedgerError: as `ledger.policy.verify`; `note.signatures`: a line by nobody that is known, or too many lines.
    """
    note = parse_note(raw)
    verified = verify(note, keys)
    if is_short and len(note.signatures) > NOTE_LINES_PUBLISHED_MAX:
        found, expected = f"{len(note.signatures)} lines", f"at most {NOTE_LINES_PUBLISHED_MAX}"
        raise PolicyError(field="note.signatures", found=found, expected=expected)
    others = {(key.name, key.key_id): key for key in witnesses}
    for line in note.signatures:
        name = (line.name, line.key_id)
        if name in others:
            _verify_witness(note, line.signature, others[name])
        elif name not in keys.known:
            found = f"a line by {line.name}+{line.key_id.hex()}"
            raise PolicyError(
                field="note.signatures", found=found, expected="lines by the charter's keys, or known ones"
            )
    return verified


def _verify_witness(note: Note, raw: bytes, key: VerifierKey) -> None:
    expected = f"an Ed25519 cosignature by {key.name}"
    if key.type_bytes != domains.NOTE_COSIGNATURE_ED25519:
        raise SignatureError(field="note.signature", found=f"a key of type {key.type_bytes.hex()}", expected=expected)
    cosignature = parse_cosignature(raw, signature_bytes=SIGNATURE_BYTES)
    message = compute_cosignature_message_ed25519(note.text, cosignature.time_s)
    if not is_ed25519_signature(key.public_key, cosignature.signature, message):
        raise SignatureError(field="note.signature", found="one that does not verify", expected=expected)


class NoteKeys:
    """What notes are believed by; the ML-DSA-44 keys among it come from the transcript, if that is the charter's."""

    def __init__(self, reader: Reader, charter: Charter, faults: Faults, witnesses: Sequence[VerifierKey]) -> None:
        """Read the transcript, noting what is wrong with it."""
        self._witnesses = witnesses
        self._plain = self._archival = ledger_keys(charter)
        raw = faults.read(reader, TRANSCRIPT, size_max=TRANSCRIPT_BYTES_MAX)
        self.has_transcript = raw is not None and hashlib.sha256(raw).hexdigest() == charter.predicate.transcript
        if raw is None:
            faults.add_missing(TRANSCRIPT)
        elif not self.has_transcript:
            faults.add(TRANSCRIPT, Problem.WRONG, "not the one that the charter names")
        else:
            ml_dsa = parse_transcript(raw).cosigners_ml_dsa
            self._archival = ledger_keys(charter, {each.index: ml_dsa[each.index - 1] for each in charter.members})

    def verify(self, raw: bytes, *, is_archival: bool, is_short: bool = True) -> VerifiedCheckpoint:
        """Believe a note, or say why not.

        Raises:
            LedgerError: as `verify_note`.
        """
        keys = self._archival if is_archival else self._plain
        return verify_note(raw, keys, witnesses=self._witnesses, is_short=is_short and not is_archival)


class NoteCheck:
    """Checks the notes beside a checkpoint that is believed.

    Attributes:
        ahead_count: notes of later blocks than the checkpoint's: sealed, but not under it.
    """

    def __init__(
        self,
        reader: Reader,
        charter: Charter,
        checkpoint: VerifiedCheckpoint,
        *,
        keys: NoteKeys,
        links: Sequence[Link],
        faults: Faults,
    ) -> None:
        """Take what is believed, which bundles of headers are right, and where what is wrong is noted."""
        self._reader, self._charter, self._checkpoint = reader, charter, checkpoint
        self._keys, self._faults = keys, faults
        self._are_right = [link.last is not None for link in links]
        self.ahead_count = 0

    def run(self, intervals: Sequence[Interval], *, must_exist: bool) -> None:
        """Check the notes with every cosignature, and the archival checkpoints of these intervals."""
        raw = self._faults.read(self._reader, COSIGNATURES, size_max=NOTE_BYTES_MAX)
        if raw is None:
            self._faults.add_missing(COSIGNATURES)
        else:
            self._check_note(COSIGNATURES, raw, interval=None)
        witnessed = self._faults.read(self._reader, WITNESSED, size_max=NOTE_BYTES_MAX)
        if witnessed is not None:  # only who asks external witnesses has one
            self._check_note(WITNESSED, witnessed, interval=None)
        for interval in intervals:
            path = archive_path(interval)
            raw = self._faults.read(self._reader, path, size_max=NOTE_BYTES_MAX)
            if raw is not None:
                self._check_note(path, raw, interval=interval)
            elif must_exist:
                self._faults.add_missing(path)

    def _check_note(self, path: str, raw: bytes, *, interval: Interval | None) -> None:
        if interval is not None and not self._keys.has_transcript:
            self._faults.add(path, Problem.UNCHECKED, "its keys stand in the transcript, which is wrong")
            return
        try:
            verified = self._keys.verify(raw, is_archival=interval is not None, is_short=False)
            if interval is not None:
                self._require_interval(verified, interval)
            if verified.seal.height > self._checkpoint.seal.height:
                self.ahead_count += 1
            elif self._are_right[verified.seal.height // HEADERS_PER_BUNDLE]:
                self._require_block(verified)
            else:
                self._faults.add(path, Problem.UNCHECKED, "the headers that have its block are wrong")
        except LedgerError as error:
            self._faults.add_error(path, error)

    def _require_interval(self, verified: VerifiedCheckpoint, interval: Interval) -> None:
        grid = self._charter.grid
        found = (verified.seal.time_ms // 1000 - grid.start) // grid.interval_s
        if found != interval:
            raise ProofError(field="archive.interval", found=found, expected=str(interval))

    def _require_block(self, verified: VerifiedCheckpoint) -> None:
        """See that a note's block is the one that the chain has at its height.

        Raises:
            ProofError: another block, or none can be read there any more.
        """
        index, place = divmod(verified.seal.height, HEADERS_PER_BUNDLE)
        width = min(HEADERS_PER_BUNDLE, self._checkpoint.seal.height + 1 - index * HEADERS_PER_BUNDLE)
        headers = read_headers(self._reader, index, width, Faults())
        if headers is None:
            raise ProofError(field="note.block", found="no headers any more", expected=headers_path(index, width))
        header = headers[place].header
        is_same = header.digest == verified.seal.block_digest
        if not is_same or checkpoint_of(header, self._charter.origin) != verified.checkpoint:
            raise ProofError(
                field="note.block",
                found=verified.seal.block_digest.hex(),
                expected=f"{header.digest.hex()}, as the chain",
            )
