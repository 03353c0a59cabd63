"""Formats of what vouches for entries: blocks, tiles, checkpoints and their lines, receipts, certificates, states."""

from ledger import domains
from ledger.blocks import (
    Header,
    SealedHeader,
    encode_header,
    encode_header_bundle,
    genesis_header,
    parse_header,
    parse_header_bundle,
    seal_message,
)
from ledger.checkpoints import (
    Checkpoint,
    SealLine,
    compute_cosignature_message_ed25519,
    compute_cosignature_message_ml_dsa,
    compute_seal_message,
    encode_checkpoint,
    encode_cosignature,
    encode_seal_line,
    make_seal_signature,
    parse_seal_line,
    sign_cosignature_ed25519,
)
from ledger.limits import MEMBERS_MAX, SIZE_MAX
from ledger.merkle import Frontier, compute_root, leaf_hash, parse_frontier
from ledger.notes import (
    Note,
    SignatureLine,
    VerifierKey,
    compute_verifier_key,
    encode_note,
    encode_vkey,
    parse_note,
    sign_note_ed25519,
)
from ledger.policy import Cosigner, LedgerKeys, encode_policy
from ledger.positions import Epoch, Height, Interval, LeafIndex, MemberIndex, Millis, Seconds, TreeSize, View
from ledger.positions import Sequence as SequenceNumber
from ledger.receipts import Receipt, encode_receipt, parse_receipt
from ledger.rules.grid import Grid, Outage
from ledger.rules.records.filings import (
    CHANGES,
    FILINGS,
    PROGRESS,
    Change,
    Cursor,
    Filing,
    Progress,
    make_filing_name,
    make_queue_name,
)
from ledger.rules.records.foundation import CLOCK, FOUNDATION, ISSUERS, NATIONS, Clock, Foundation, Issuer, Nation
from ledger.rules.records.registry import (
    CLUSTERS,
    KEYS,
    LAB_NUMBERS,
    LABS,
    KeyHolder,
    Lab,
    LabName,
    RegisteredCluster,
    RegisteredKey,
    make_number_name,
)
from ledger.rules.state import State, compute_state_digest
from ledger.statements.verdicts import REASONS_OF_FILINGS
from ledger.threshold.polynomials import compute_public_key
from ledger.tiles import (
    TILE_INDEX_MAX,
    Tile,
    bundle_path,
    encode_bundle,
    encode_tile,
    headers_path,
    parse_bundle,
    tile_path,
)
from ledger.verify import Certificate, encode_certificate, parse_certificate
from tests.formats import entries
from tests.formats.draws import Draw


def header(draw: Draw, height: int | None = None) -> Header:
    if height == 0:
        return genesis_header(draw.some_raw(1, 60), Millis(draw.number()))
    first = 1 + draw.number(SIZE_MAX - 10_001)
    return encode_header(
        ledger_id=draw.digest(),
        epoch=Epoch(1 + draw.number(SIZE_MAX - 1)),
        view=View(1 + draw.number(SIZE_MAX - 1)),
        height=Height(1 + draw.number(SIZE_MAX - 1) if height is None else height),
        parent=b"\x01" + draw.raw(31),
        time_ms=Millis(draw.number()),
        proposer=MemberIndex(draw.between(1, MEMBERS_MAX)),
        first_index=LeafIndex(first),
        tree_size=TreeSize(first + draw.below(10_001)),
        root=draw.digest(),
        entries_digest=draw.digest(),
        state_digest=draw.digest() if draw.flag() else b"",
    )


def block_header(draw: Draw) -> bytes:
    """A header and its digest, which is the block's name."""
    made = header(draw, height=0 if draw.below(8) == 0 else None)
    assert parse_header(made.raw) == made
    return made.raw + made.digest


def header_bundle(draw: Draw) -> bytes:
    made = [
        SealedHeader(header(draw, height), draw.raw(48) if draw.flag() else b"") for height in range(draw.between(1, 4))
    ]
    raw = encode_header_bundle(made)
    assert parse_header_bundle(raw) == made
    return raw


def entry_bundle(draw: Draw) -> bytes:
    made = [draw.some_raw(0, 300) for _ in range(draw.between(1, 5))]
    raw = encode_bundle(made)
    assert parse_bundle(raw, count=len(made)) == made
    return raw


def tile(draw: Draw) -> bytes:
    """Leaf hashes as a tile, and the root over them."""
    leaves = [leaf_hash(draw.some_raw(0, 40)) for _ in range(draw.between(1, 256))]
    return encode_tile(leaves) + compute_root(leaves)


def paths(draw: Draw) -> bytes:
    index, width = draw.number(TILE_INDEX_MAX), draw.between(1, 256)
    places = (tile_path(Tile(draw.below(64), index, width)), bundle_path(index, width), headers_path(index, width))
    return "\n".join(places).encode()


def frontier(draw: Draw) -> bytes:
    size = draw.number()
    made = Frontier(TreeSize(size), tuple(draw.digest() for _ in range(size.bit_count())))
    raw = made.encode()
    assert parse_frontier(raw) == made
    return raw + made.root()


def make_checkpoint(draw: Draw) -> Checkpoint:
    return Checkpoint(origin=draw.key_name(), size=TreeSize(1 + draw.number(SIZE_MAX - 1)), root=draw.digest())


def checkpoint(draw: Draw) -> bytes:
    return encode_checkpoint(make_checkpoint(draw)).encode()


def make_seal_line(draw: Draw) -> SealLine:
    return SealLine(
        epoch=Epoch(1 + draw.number(SIZE_MAX - 1)),
        view=View(draw.number()),
        height=Height(draw.number()),
        time_ms=Millis(draw.number()),
        block_digest=draw.digest(),
        seal=draw.raw(48),
    )


def seal_line(draw: Draw) -> bytes:
    made = make_seal_line(draw)
    raw = encode_seal_line(made)
    assert parse_seal_line(raw) == made
    return raw


def seal_messages(draw: Draw) -> bytes:
    """What a quorum signs: of a header, and of the parts of a seal line."""
    line = make_seal_line(draw)
    message = compute_seal_message(
        make_checkpoint(draw),
        epoch=line.epoch,
        view=line.view,
        height=line.height,
        time_ms=line.time_ms,
        block_digest=line.block_digest,
    )
    return message + seal_message(header(draw), draw.key_name())


def cosignature_messages(draw: Draw) -> bytes:
    """What a member signs over a checkpoint with either kind of key."""
    made, time_s = make_checkpoint(draw), Seconds(draw.number())
    with_ed25519 = compute_cosignature_message_ed25519(encode_checkpoint(made), time_s)
    return with_ed25519 + compute_cosignature_message_ml_dsa(draw.key_name(), time_s, made)


def vkey(draw: Draw) -> bytes:
    kinds = {
        domains.NOTE_ED25519: draw.signer().public_key,
        domains.NOTE_COSIGNATURE_ED25519: draw.signer().public_key,
        domains.NOTE_COSIGNATURE_ML_DSA_44: draw.raw(1312),
        domains.NOTE_SEAL: draw.raw(96),
    }
    return "\n".join(encode_vkey(compute_verifier_key(draw.key_name(), *each)) for each in kinds.items()).encode()


def make_note(draw: Draw) -> Note:
    """A checkpoint with a line of each kind."""
    made, signer = make_checkpoint(draw), draw.signer()
    text = encode_checkpoint(made)

    def key(name: str, kind: bytes, public_key: bytes) -> VerifierKey:
        return compute_verifier_key(name, kind, public_key)

    ml_dsa = key(draw.key_name(), domains.NOTE_COSIGNATURE_ML_DSA_44, draw.raw(1312))
    return Note(
        text=text,
        signatures=(
            sign_note_ed25519(text, key=key(made.origin, domains.NOTE_ED25519, signer.public_key), sign=signer.sign),
            make_seal_signature(make_seal_line(draw), key=key(made.origin, domains.NOTE_SEAL, draw.raw(96))),
            sign_cosignature_ed25519(
                made,
                key=key(draw.key_name(), domains.NOTE_COSIGNATURE_ED25519, signer.public_key),
                time_s=Seconds(draw.number()),
                sign=signer.sign,
            ),
            SignatureLine(ml_dsa.name, ml_dsa.key_id, encode_cosignature(Seconds(draw.number()), draw.raw(2420))),
        ),
    )


def note(draw: Draw) -> bytes:
    made = make_note(draw)
    raw = encode_note(made)
    assert parse_note(raw) == made
    return raw


def policy_file(draw: Draw) -> bytes:
    cosigners = tuple(
        Cosigner(name=f"{draw.key_name()}{index}", ed25519=draw.signer().public_key)
        for index in range(draw.between(1, 4))
    )
    keys = LedgerKeys(
        origin=draw.key_name(),
        group_key=compute_public_key(draw.scalar()),
        quorum=draw.between(1, len(cosigners)),
        cosigners=cosigners,
        log_keys=tuple(draw.signer().public_key for _ in cosigners),
    )
    return encode_policy(keys, url="https://tiles.example/" if draw.flag() else None).encode()


def make_receipt(draw: Draw) -> Receipt:
    return Receipt(
        index=LeafIndex(draw.number()),
        proof=draw.some(draw.digest, 0, 6),
        note=make_note(draw),
        extra=draw.some_raw(1, 40) if draw.flag() else None,
    )


def receipt(draw: Draw) -> bytes:
    made = make_receipt(draw)
    raw = encode_receipt(made)
    assert parse_receipt(raw) == made
    return raw


def certificate(draw: Draw) -> bytes:
    made = Certificate(
        charter=entries.charter(draw),
        entry=entries.verdict(draw),
        receipt=make_receipt(draw),
        ml_dsa_keys={draw.key_name(): draw.raw(1312) for _ in range(draw.below(3))},
    )
    raw = encode_certificate(made)
    assert parse_certificate(raw) == made
    return raw


def _milliseconds(draw: Draw) -> int:
    return draw.number(2**53)


def make_state(draw: Draw) -> State:
    """A state with a record in every table."""
    state, lab, interval = State(), draw.below(2**32), Interval(draw.number(2**32 - 1))
    grid = Grid(*(_milliseconds(draw) for _ in range(5)))
    outages = draw.some(lambda: Outage(_milliseconds(draw), _milliseconds(draw)), 0, 2)
    cursor = Cursor(interval, lab)
    FOUNDATION.put(state, Foundation(draw.digest(), grid, tuple(entries.distinct(draw, 0, 3))))
    CLOCK.put(state, Clock(Millis(draw.number()), outages))
    PROGRESS.put(state, Progress(lab, cursor, Cursor(Interval(draw.below(9)), 0), draw.number(), draw.number()))
    issuer = Issuer(is_nation=draw.flag(), next_sequence=SequenceNumber(draw.number(2**53)), recent=draw.raw(64))
    ISSUERS.put(state, issuer, draw.identifier().encode())
    NATIONS.put(state, Nation(draw.digest()), draw.identifier().encode())
    keys = draw.some(lambda: RegisteredKey(draw.digest(), LeafIndex(draw.number()) if draw.flag() else None), 1, 3)
    clusters = tuple(RegisteredCluster(name, Interval(draw.below(99))) for name in entries.distinct(draw, 0, 3))
    LABS.put(state, Lab(lab, draw.identifier(), keys, draw.digest(), clusters), draw.identifier().encode())
    LAB_NUMBERS.put(state, LabName(draw.identifier()), make_number_name(lab))
    KEYS.put(state, KeyHolder(draw.digest()), draw.digest())
    CLUSTERS.put(state, LabName(draw.identifier()), draw.identifier().encode())
    reasons = draw.number(2 ** len(REASONS_OF_FILINGS) - 1)
    rows = bytes((draw.below(8),)) + reasons.to_bytes(2, "big") + draw.digest()
    filing = Filing(draw.below(4), draw.flag(), draw.flag(), draw.digest() if draw.flag() else b"", rows)
    FILINGS.put(state, filing, make_filing_name(lab, interval))
    CHANGES.put(state, Change(lab, interval), make_queue_name(draw.number()))
    return state


def state_records(draw: Draw) -> bytes:
    """Each key and each value of a state, and the digest over all."""
    state = make_state(draw)
    items = list(state.items())
    assert [letter for letter, _ in items] == sorted(letter for letter, _ in items)
    assert list(State.restore(items, charter=None).items()) == items
    return b"".join(b"%b\n%b\n" % item for item in items) + compute_state_digest(state)
