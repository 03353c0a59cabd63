"""Entries, blocks, and everything that a browser needs to check them by itself."""

from collections.abc import Iterator
from typing import Any, Final

import msgspec

from ledger import domains, ml_dsa
from ledger.blocks import NO_SEAL, SealedHeader, checkpoint_of, seal_message
from ledger.checkpoints import (
    Checkpoint,
    compute_cosignature_message_ed25519,
    compute_cosignature_message_ml_dsa,
    encode_checkpoint,
    parse_cosignature,
)
from ledger.encoding import encode_base64
from ledger.errors import FormatError, ProofError
from ledger.limits import SIGNATURE_BYTES
from ledger.notes import Note, SignatureLine, VerifierKey, encode_note
from ledger.positions import Interval, LeafIndex
from ledger.statements.computed import is_computed_entry
from ledger.statements.dsse import Envelope, compute_keyid, parse_envelope
from ledger.statements.reports import CORRECTION, REPORT
from observer.copy import Copy
from observer.proofs import certify, prove_entry
from observer.web.answers.entries import (
    Block,
    CosignatureLine,
    Entries,
    Entry,
    EntryLine,
    Proof,
    SealMessage,
    SignatureOfEntry,
)
from observer.web.pages.proven import Shown, describe_block, describe_head, read_block, read_entry
from observer.web.parameters import Asked
from observer.web.view import UNKNOWN, read_line

_DST: Final = domains.BLS_SIGNATURE_DST.decode("ascii")
_ALSO: Final = {REPORT: (REPORT, CORRECTION), CORRECTION: (REPORT, CORRECTION)}
"""Kinds that are about one subject together: a newer one of either takes the place of an older one."""


def show_entries(shown: Shown, asked: Asked) -> Entries:
    """Make a page of entries, newest first.

    Raises:
        LedgerError: the copy on disk is not what was written.
    """
    copy, view = shown.copy, shown.view
    kind = asked.word_or_none("kind")
    found, count = view.find(
        kinds=None if kind is None else (kind,),
        issuer=asked.word_or_none("issuer"),
        before=asked.number_or_none("before"),
        limit=asked.number("limit") + 1,
    )
    shown_now = found[: asked.number("limit")]
    return Entries(
        head=describe_head(copy.head.header),
        entries=[describe_line(shown, index) for index in shown_now],
        entries_count=count,
        before=shown_now[-1] if len(found) > len(shown_now) else None,
        kinds=view.kinds(),
    )


def describe_line(shown: Shown, index: LeafIndex) -> EntryLine:
    """Say in a line what an entry is.

    Raises:
        LedgerError: the copy on disk is not what was written.
    """
    entry, leaf = read_entry(shown.copy, index)
    line, height = read_line(entry), shown.view.height_of(index)
    return EntryLine(
        index=index,
        kind=line.kind,
        issuer=line.issuer,
        subject=line.subject,
        leaf=leaf.hex(),
        time_ms=shown.view.time_of(height),
        height=height,
    )


def show_entry(shown: Shown, asked: Asked) -> Entry:
    """Make the page of an entry.

    Raises:
        ConditionError: there is no such entry (`NOT_FOUND`).
        LedgerError: the copy on disk is not what was written.
    """
    copy, index = shown.copy, LeafIndex(asked.number("index"))
    entry, leaf = read_entry(copy, index)
    line = read_line(entry)
    envelope = _read_envelope(entry)
    return Entry(
        head=describe_head(copy.head.header),
        index=index,
        leaf=leaf.hex(),
        entry_base64=encode_base64(entry),
        kind=line.kind,
        issuer=line.issuer,
        subject=line.subject,
        statement=_read_statement(entry if envelope is None else envelope.payload),
        signatures=[] if envelope is None else _describe_signatures(shown, envelope, line.issuer, line.subject),
        block=describe_block(read_block(copy, shown.view.height_of(index))[0]),
        corrected_by=None if line.kind == UNKNOWN else _find_newer(copy, index, line.kind, line.subject),
    )


def _read_envelope(entry: bytes) -> Envelope | None:
    """Take a party's statement out of its envelope; None for what the rules made, and for what is no envelope."""
    if is_computed_entry(entry):
        return None
    try:
        return parse_envelope(entry)
    except FormatError:
        return None


def _read_statement(payload: bytes) -> Any:  # any JSON value
    """Read a statement as JSON again, so that what is answered is well-formed whatever a quorum put on the ledger."""
    try:
        return msgspec.Raw(msgspec.json.encode(msgspec.json.decode(payload)))
    except (msgspec.MsgspecError, UnicodeError, RecursionError, OverflowError):
        return None


def _describe_signatures(shown: Shown, envelope: Envelope, issuer: str | None, subject: str) -> list[SignatureOfEntry]:
    """Name the keys behind an envelope's lines: those of members, and the active ones of the labs it is by or about."""
    labs = shown.view.register.labs
    parties = {compute_keyid(member.identity): (member.id, member.identity) for member in shown.copy.charter.members}
    for lab in (labs.get(issuer or ""), labs.get(subject)):
        if lab is not None:
            parties |= {compute_keyid(key): (lab.id, key) for key in lab.keys}
    lines = []
    for line in envelope.signatures:
        party, key = parties.get(line.keyid, (None, None))
        lines.append(
            SignatureOfEntry(
                keyid=line.keyid,
                signature=line.signature.hex(),
                party=party,
                public_key=None if key is None else key.hex(),
            )
        )
    return lines


def _find_newer(copy: Copy, index: LeafIndex, kind: str, subject: str) -> LeafIndex | None:
    """Find the newest entry about the same subject, if it is another one; what the index names is looked at."""
    kinds = _ALSO.get(kind, (kind,))
    newest = copy.find_newest(kinds, subject)
    if newest is None or newest <= index:
        return None
    line = read_line(read_entry(copy, newest)[0])
    if line.kind not in kinds or line.subject != subject:
        found, expected = f"entry {newest}: {line.kind} {line.subject}", f"{kind} {subject}"
        raise ProofError(field=f"{copy.path}: subjects", found=found, expected=expected)
    return newest


def show_proof(shown: Shown, asked: Asked) -> Proof:
    """Make everything that proves an entry; it was verified as a stranger would.

    Raises:
        ConditionError: there is no such entry (`NOT_FOUND`).
        LedgerError: the copy on disk is not what was written.
    """
    copy, index = shown.copy, LeafIndex(asked.number("index"))
    read_entry(copy, index)
    proven = prove_entry(copy, index)
    checkpoint, seal = proven.verified.checkpoint.checkpoint, proven.verified.checkpoint.seal
    sealed = copy.block(seal.height)
    if sealed.header.digest != seal.block_digest:
        found, expected = sealed.header.digest.hex(), seal.block_digest.hex()
        raise ProofError(field=f"{copy.path}: blocks[{seal.height}]", found=found, expected=expected)
    note = proven.receipt.note
    return Proof(
        head=describe_head(copy.head.header),
        index=index,
        leaf=proven.verified.leaf.hex(),
        entry_base64=encode_base64(proven.verified.entry),
        tree_size=checkpoint.size,
        root=checkpoint.root.hex(),
        hashes=[sibling.hex() for sibling in proven.receipt.proof],
        seal=describe_seal(copy, SealedHeader(sealed.header, seal.seal)),
        cosignatures=list(_describe_lines(copy, note, checkpoint)),
        note=encode_note(note).decode("utf-8"),
        receipt=proven.raw.decode("utf-8"),
    )


def describe_seal(copy: Copy, sealed: SealedHeader) -> SealMessage:
    """Take a seal apart into what it is over; the block has one, and it was verified."""
    header, origin = sealed.header, copy.charter.origin
    return SealMessage(
        epoch=header.epoch,
        view=header.view,
        height=header.height,
        time_ms=header.time_ms,
        block=header.digest.hex(),
        checkpoint=encode_checkpoint(checkpoint_of(header, origin)),
        message_base64=encode_base64(seal_message(header, origin)),
        seal=sealed.seal.hex(),
        group_key=copy.charter.group_key.hex(),
        dst=_DST,
        header_base64=encode_base64(header.raw),
    )


def _describe_lines(copy: Copy, note: Note, checkpoint: Checkpoint) -> Iterator[CosignatureLine]:
    """Take the known lines beside the seal apart; the note was believed, so each of them is true."""
    nations = {member.node: member.id for member in copy.charter.members}
    nations_by_log = {member.log: member.id for member in copy.charter.members}
    for line in note.signatures:
        key = copy.keys.known.get((line.name, line.key_id))
        if key is not None and key.type_bytes != domains.NOTE_SEAL:
            nation = nations_by_log.get(key.public_key) or nations.get(key.name)
            yield _describe_cosignature(line, key, note, checkpoint, nation=nation)


def _describe_cosignature(
    line: SignatureLine, key: VerifierKey, note: Note, checkpoint: Checkpoint, *, nation: str | None
) -> CosignatureLine:
    if key.type_bytes == domains.NOTE_ED25519:
        kind, time_s, signature, message = "ed25519", None, line.signature, note.text.encode("utf-8")
    elif key.type_bytes == domains.NOTE_COSIGNATURE_ED25519:
        cosignature = parse_cosignature(line.signature, signature_bytes=SIGNATURE_BYTES)
        kind, time_s, signature = "cosignature/v1", cosignature.time_s, cosignature.signature
        message = compute_cosignature_message_ed25519(note.text, cosignature.time_s)
    else:
        cosignature = parse_cosignature(line.signature, signature_bytes=ml_dsa.SIGNATURE_BYTES)
        kind, time_s, signature = "subtree/v1", cosignature.time_s, cosignature.signature
        message = compute_cosignature_message_ml_dsa(key.name, cosignature.time_s, checkpoint)
    return CosignatureLine(
        name=key.name,
        key_id=key.key_id.hex(),
        type=kind,  # type: ignore[arg-type]  # one of the three above
        nation=nation,
        time_s=time_s,
        public_key=key.public_key.hex(),
        message_base64=encode_base64(message),
        signature=signature.hex(),
    )


def show_block(shown: Shown, asked: Asked) -> Block:
    """Make the page of a block.

    Raises:
        ConditionError: there is no such block (`NOT_FOUND`).
        LedgerError: the copy on disk is not what was written.
    """
    run = read_block(shown.copy, asked.number("height"))
    sealed, header = run[0], run[0].header
    return Block(
        head=describe_head(shown.copy.head.header),
        block=describe_block(sealed),
        digest=header.digest.hex(),
        parent=header.parent.hex(),
        first_index=header.first_index,
        tree_size=header.tree_size,
        root=header.root.hex(),
        entries_digest=header.entries_digest.hex(),
        state_digest=header.state_digest.hex() or None,
        header_base64=encode_base64(header.raw),
        seal=None if sealed.seal == NO_SEAL else sealed.seal.hex(),
        sealed_height=run[-1].header.height,
    )


# Files.


def give_receipt(shown: Shown, asked: Asked) -> tuple[bytes, str]:
    """Give the receipt of an entry and the name of its file.

    Raises:
        ConditionError: there is no such entry (`NOT_FOUND`).
        LedgerError: the copy on disk is not what was written.
    """
    index = LeafIndex(asked.number("index"))
    read_entry(shown.copy, index)
    return prove_entry(shown.copy, index).raw, f"entry-{index}.tlog-proof"


def give_bytes(shown: Shown, asked: Asked) -> tuple[bytes, str]:
    """Give an entry and the name of its file.

    Raises:
        ConditionError: there is no such entry (`NOT_FOUND`).
        LedgerError: the copy on disk is not what was written.
    """
    index = asked.number("index")
    return read_entry(shown.copy, index)[0], f"entry-{index}.entry"


def give_certificate(shown: Shown, asked: Asked) -> tuple[bytes, str]:
    """Give the certificate of the newest verdict on a cluster's interval and the name of its file.

    Raises:
        ConditionError: there is no verdict yet (`NOT_FOUND`).
        LedgerError: the copy on disk is not what was written.
    """
    lab, cluster, interval = asked.word("lab"), asked.word("cluster"), Interval(asked.number("interval"))
    raw, _ = certify(shown.copy, lab=lab, cluster=cluster, interval=interval)
    return raw, f"certificate-{lab}-{cluster}-{interval}.json"


def give_charter(shown: Shown, _asked: Asked) -> tuple[bytes, str]:
    """Give the charter's entry and the name of its file, which `counterseal verify` looks for beside a receipt."""
    return shown.copy.charter.entry, "charter.entry"
