"""Answers: entries, blocks, and all that a browser needs to check them by itself."""

from typing import Any, Literal

from observer.web.answers.nations import SealedBlock
from observer.web.answers.words import Answer, Base64, Count, Head, Hex


class EntryLine(Answer, frozen=True, kw_only=True):
    """One entry in a list.

    Attributes:
        index: where it stands.
        kind: such as `report`; `unknown` for what this version does not read.
        issuer: who said it; null for what the rules made.
        subject: what about.
        leaf: its leaf hash.
        time_ms: of its block.
        height: of its block.
    """

    index: Count
    kind: str
    issuer: str | None
    subject: str
    leaf: Hex
    time_ms: Count
    height: Count


class Entries(Answer, frozen=True, kw_only=True):
    """A page of entries, newest first.

    Attributes:
        head: what it was read at.
        entries: of the page.
        entries_count: how many there are in all of what was asked for.
        before: ask for the next page with this; null if there is none.
        kinds: how many entries of each kind the whole ledger has.
    """

    head: Head
    entries: list[EntryLine]
    entries_count: Count
    before: Count | None
    kinds: dict[str, Count]


class SignatureOfEntry(Answer, frozen=True, kw_only=True):
    """One line of an entry's envelope.

    Attributes:
        keyid: SHA-256 of the public key.
        signature: hex; over the DSSE pre-authentication encoding of the payload.
        party: id of the party whose key it is, as far as this copy tells; null where it does not.
        public_key: hex; SHA-256 of it is `keyid`; null where this copy does not tell.
    """

    keyid: Hex
    signature: Hex
    party: str | None
    public_key: Hex | None


class Entry(Answer, frozen=True, kw_only=True):
    """One entry, compared with the sealed root.

    Attributes:
        head: what it was read at.
        index: where it stands.
        leaf: RFC 6962 leaf hash: SHA-256 of a zero byte and the entry.
        entry_base64: its exact bytes.
        kind: such as `report`; `unknown` for what this version does not read.
        issuer: who said it; null for what the rules made.
        subject: what about.
        statement: the in-toto statement, as JSON; null for what this version does not read. A browser should decode it
            from `entry_base64` instead, once it has checked that.
        signatures: of parties; empty for what the rules made.
        block: the block that added it.
        corrected_by: index of the newest entry about the same subject and of the same kind (corrections and newer
            verdicts included), if it is another one.
    """

    head: Head
    index: Count
    leaf: Hex
    entry_base64: Base64
    kind: str
    issuer: str | None
    subject: str
    statement: Any  # any JSON object: what parties signed
    signatures: list[SignatureOfEntry]
    block: SealedBlock
    corrected_by: Count | None


class SealMessage(Answer, frozen=True, kw_only=True):
    """What a quorum's seal is over, and the block whose header says so.

    The message is the tag of seals, then `epoch E`, `view V`, `height H`, `time T` and `block B` (base64 of the
    digest), a line each, then the checkpoint's text. The block's digest is SHA-256 of the tag of blocks and the
    header's bytes; the header is protobuf (`proto/ledger/v1/block.proto`).

    Attributes:
        epoch: of the committee.
        view: the attempt in which the block was agreed on.
        height: of the block.
        time_ms: of the block.
        block: its digest.
        checkpoint: the three lines of the checkpoint: origin, size, base64 of the root.
        message_base64: the whole message.
        seal: 48 bytes, a point of G1: BLS signature under `group_key`, ciphersuite `dst`.
        group_key: 96 bytes, a point of G2, of the charter.
        dst: domain separation tag of the hash to the curve.
        header_base64: the block's header.
    """

    epoch: Count
    view: Count
    height: Count
    time_ms: Count
    block: Hex
    checkpoint: str
    message_base64: Base64
    seal: Hex
    group_key: Hex
    dst: str
    header_base64: Base64


class CosignatureLine(Answer, frozen=True, kw_only=True):
    """One known line under the checkpoint beside the seal.

    Attributes:
        name: of the key.
        key_id: hint which key, 4 bytes.
        type: `cosignature/v1` (Ed25519), `subtree/v1` (ML-DSA-44) or `ed25519` (a plain log line).
        nation: id of the member.
        time_s: when, by the member's clock, in Unix seconds; null for a log line.
        public_key: raw.
        message_base64: what is signed.
        signature: raw, without time and key id.
    """

    name: str
    key_id: Hex
    type: Literal["cosignature/v1", "subtree/v1", "ed25519"]
    nation: str | None
    time_s: Count | None
    public_key: Hex
    message_base64: Base64
    signature: Hex


class Proof(Answer, frozen=True, kw_only=True):
    """All a browser needs to check by itself that an entry stands on the sealed ledger.

    1. `leaf` is SHA-256(0x00 || entry). 2. `hashes` lead from it to `root` (RFC 9162 §2.1.3.2). 3. `seal.checkpoint`
    has the origin, `tree_size` and `root`. 4. `seal.message_base64` is made of `seal`'s parts, and the seal verifies on
    it. 5. `cosignatures` verify. 6. The group key is the charter's, whose SHA-256 is the fingerprint (`trust`).

    Attributes:
        head: what it was read at.
        index: of the entry.
        leaf: its leaf hash.
        entry_base64: its exact bytes.
        tree_size: of the checkpoint, which may be older than `head`.
        root: of that tree.
        hashes: the inclusion proof, from the leaf's sibling up.
        seal: the quorum's word.
        cosignatures: members' own words beside it.
        note: the checkpoint with all its lines, as it was signed.
        receipt: the C2SP tlog-proof of the entry: the file that `…/receipt` gives.
    """

    head: Head
    index: Count
    leaf: Hex
    entry_base64: Base64
    tree_size: Count
    root: Hex
    hashes: list[Hex]
    seal: SealMessage
    cosignatures: list[CosignatureLine]
    note: str
    receipt: str


class Block(Answer, frozen=True, kw_only=True):
    """One block.

    Attributes:
        head: what it was read at.
        block: in short.
        digest: its name.
        parent: digest of the one before.
        first_index: index of the first entry it adds, if it adds any.
        tree_size: how many entries the ledger has after it.
        root: of the tree after it.
        entries_digest: SHA-256 over the leaf hashes of its entries.
        state_digest: of the rules' state after it; null where the block carries none.
        header_base64: its header.
        seal: null where it is final through a later block.
        sealed_height: the block, this one or a later one, whose seal makes it final.
    """

    head: Head
    block: SealedBlock
    digest: Hex
    parent: Hex
    first_index: Count
    tree_size: Count
    root: Hex
    entries_digest: Hex
    state_digest: Hex | None
    header_base64: Base64
    seal: Hex | None
    sealed_height: Count
