"""A whole ledger in this process: dealt keys, a signed charter, blocks that the rules executed and a quorum sealed."""

import hashlib
import os
import random
from collections.abc import Iterator, Sequence
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey

from ledger import charter, domains
from ledger.agreement import Agreement
from ledger.blocks import (
    NO_SEAL,
    SealedHeader,
    checkpoint_of,
    compute_entries_digest,
    encode_header,
    encode_header_bundle,
    genesis_header,
    seal_message,
)
from ledger.checkpoints import (
    SealLine,
    encode_checkpoint,
    make_seal_signature,
    sign_cosignature_ed25519,
    sign_cosignature_ml_dsa,
)
from ledger.merkle import EMPTY_FRONTIER, Hash, compute_root, leaf_hash
from ledger.notes import Note, compute_verifier_key, encode_note, sign_note_ed25519
from ledger.positions import Epoch, Height, LeafIndex, MemberIndex, Millis, Seconds, TreeSize, View
from ledger.rules.state import compute_state_digest
from ledger.statements.dsse import sign_envelope
from ledger.statements.verdicts import Verdict
from ledger.threshold import bls
from ledger.threshold.dealing import combine_deals, combine_shares, make_deal
from ledger.threshold.polynomials import SecretScalar
from ledger.threshold.transcripts import BOX_BYTES, SealedDeal, Transcript, encode_transcript
from ledger.tiles import EMPTY_EDGE, bundle_path, encode_bundle, headers_path, tile_path
from observer.copy import FILE
from observer.served import ServedBlock
from observer.sync import conclude, open_or_found, sync
from tests.ledger.rulebook import (
    CORRECTION_S,
    GRACE_S,
    INTERVAL_S,
    LIMITS,
    NATIONS,
    START_S,
    SUBMIT_S,
    Key,
    World,
    millis,
)

QUORUM = charter.compute_quorum(len(NATIONS))
ORIGIN = "observer.example/test"


def ml_dsa(nation: str) -> MLDSA44PrivateKey:
    return MLDSA44PrivateKey.from_seed_bytes(hashlib.sha256(f"{nation} ml-dsa".encode()).digest())


def die(_: object) -> None:
    """What a process does that somebody kills."""
    os._exit(9)


class Founders:
    """What the founding ceremony leaves behind."""

    def __init__(self, seed: int) -> None:
        draw = random.Random(seed).randbytes
        session = bytes(32)
        dealt = [
            make_deal(
                dealer=MemberIndex(i), quorum=QUORUM, members_count=len(NATIONS), session=session, randomness=draw
            )
            for i in range(1, len(NATIONS) + 1)
        ]
        self.shares: dict[MemberIndex, SecretScalar] = {
            MemberIndex(j): combine_shares([shares[j - 1] for _, shares in dealt]) for j in range(1, len(NATIONS) + 1)
        }
        self.polynomial = combine_deals([deal for deal, _ in dealt])
        self.transcript = encode_transcript(
            Transcript(
                session=session,
                cosigners_ml_dsa=tuple(ml_dsa(nation).public_key().public_bytes_raw() for nation in NATIONS),
                deals=tuple(SealedDeal(deal, tuple(bytes(BOX_BYTES) for _ in NATIONS)) for deal, _ in dealt),
            )
        )

    def seal(self, message: bytes) -> bytes:
        return bls.combine({j: bls.sign_share(self.shares[j], message) for j in sorted(self.shares)[:QUORUM]})


def make_charter_entry(founders: Founders, *, snapshot_interval: int, agreement: Agreement | None = None) -> bytes:
    members = [
        charter.Member(
            index=MemberIndex(index),
            id=nation,
            name=nation.title(),
            node=f"{nation}.example/node",
            identity=Key(nation).public,
            cosigner=Key(f"{nation} cosigner").public,
            cosigner_ml_dsa_sha256=hashlib.sha256(ml_dsa(nation).public_key().public_bytes_raw()).hexdigest(),
            log=Key(f"{nation} log").public,
            encryption=hashlib.sha256(f"{nation} encryption".encode()).digest(),
            peer=f"{nation}.example:7000",
            public=f"{nation}.example:7001",
            http=f"https://{nation}.example",
        )
        for index, nation in enumerate(NATIONS, start=1)
    ]
    payload = charter.encode_charter_payload(
        origin=ORIGIN,
        title="Observed",
        members=members,
        grid=charter.Grid(
            start=Seconds(START_S),
            interval_s=Seconds(INTERVAL_S),
            submit_window_s=Seconds(SUBMIT_S),
            grace_s=Seconds(GRACE_S),
            correction_window_s=Seconds(CORRECTION_S),
            challenge_window_s=Seconds(1000),
        ),
        limits=[charter.Limit(id=limit, quantity="pflop", maximum=10**9, note="") for limit in LIMITS],
        accelerators=[charter.Accelerator(model="h100", peak_gflops=989_400, tdp_w=700, idle_w=70)],
        consensus=charter.ConsensusParameters(
            delta_ms=Millis(1), delta_max_ms=Millis(2), idle_interval_ms=Millis(3), snapshot_interval=snapshot_interval
        ),
        group_key=founders.polynomial.group_key,
        commitments=founders.polynomial.commitments,
        transcript=hashlib.sha256(founders.transcript).hexdigest(),
        founded_at_ms=millis(-100),
        agreement=agreement,
    )
    return sign_envelope(payload, [Key(nation).signer for nation in NATIONS])


class FakeLedger(World):
    """A `World` whose blocks have headers and seals. Blocks listed in `without_seal` become final through the next."""

    def __init__(
        self,
        *,
        seed: int = 0,
        snapshot_interval: int = 4,
        without_seal: Sequence[int] = (),
        agreement: Agreement | None = None,
    ) -> None:
        self.founders = Founders(seed)
        self.snapshot_interval = snapshot_interval
        self.without_seal = set(without_seal)
        self.charter_entry = make_charter_entry(self.founders, snapshot_interval=snapshot_interval, agreement=agreement)
        self.charter = charter.parse_charter(self.charter_entry)
        super().__init__(self.charter_entry)
        self.fingerprint = hashlib.sha256(self.charter_entry).digest()
        self.chain = [SealedHeader(genesis_header(self.charter_entry, millis(-100)), NO_SEAL)]
        self.parent = self.chain[0].header.digest
        self.entries = [self.charter_entry]
        self.frontier = EMPTY_FRONTIER.append(leaf_hash(self.charter_entry))
        self.copied: tuple[int, bytes] | None = None

    @property
    def height(self) -> int:
        return len(self.chain) - 1

    def block(self, at: int, *entries: bytes) -> list[Verdict]:
        verdicts = super().block(at, *entries)
        self.extend(*self.blocks[-1])
        return verdicts

    def extend(self, time_ms: Millis, entries: Sequence[bytes]) -> None:
        """Put a block on the chain, whatever the rules say of it."""
        parent = self.chain[-1].header
        leaves = [leaf_hash(entry) for entry in entries]
        self.frontier = self.frontier.extend(leaves)
        height = Height(parent.height + 1)
        is_snapshot = self.snapshot_interval and height % self.snapshot_interval == 0
        header = encode_header(
            ledger_id=self.fingerprint,
            epoch=Epoch(1),
            view=View(parent.view + 1),
            height=height,
            parent=parent.digest,
            time_ms=time_ms,
            proposer=MemberIndex(height % len(NATIONS) + 1),
            first_index=LeafIndex(parent.tree_size),
            tree_size=self.frontier.size,
            root=self.frontier.root(),
            entries_digest=compute_entries_digest(leaves),
            state_digest=compute_state_digest(self.state) if is_snapshot else b"",
        )
        seal = NO_SEAL if height in self.without_seal else self.founders.seal(seal_message(header, ORIGIN))
        self.chain.append(SealedHeader(header, seal))
        self.parent = header.digest
        self.entries.extend(entries)

    def entries_of(self, height: int) -> list[bytes]:
        header = self.chain[height].header
        return self.entries[header.first_index : header.tree_size]

    def grow(self, intervals: int, *, labs: int = 2) -> None:
        """Register labs with two clusters each; file for every interval but where it makes a story."""
        names = [f"lab-{number}" for number in range(labs)]
        for number, lab in enumerate(names):
            self.register(-50 + number, lab, [f"{lab}-a", f"{lab}-b"], nation=NATIONS[number % len(NATIONS)])
        for interval in range(intervals):
            end = (interval + 1) * INTERVAL_S
            for number, lab in enumerate(names):
                if (interval + number) % 3 != 2:  # else missing
                    self.file(end + number + 1, lab, interval, [f"{lab}-a", f"{lab}-b"])
            self.block(end + SUBMIT_S)

    # --- notes -------------------------------------------------------------------------------------------------------

    def note(self, height: int | None = None, *, cosigners: int = 0, has_ml_dsa: bool = False) -> bytes:
        """The checkpoint of a sealed block, with the log line of the first member."""
        sealed = self.chain[self.height if height is None else height]
        header = sealed.header
        checkpoint = checkpoint_of(header, ORIGIN)
        text = encode_checkpoint(checkpoint)
        log_key = Key(f"{NATIONS[0]} log")
        seal_key = compute_verifier_key(ORIGIN, domains.NOTE_SEAL, self.founders.polynomial.group_key)
        seal = SealLine(header.epoch, header.view, header.height, header.time_ms, header.digest, sealed.seal)
        lines = [
            sign_note_ed25519(
                text, key=compute_verifier_key(ORIGIN, domains.NOTE_ED25519, log_key.public), sign=log_key.sign
            ),
            make_seal_signature(seal, key=seal_key),
        ]
        time_s = Seconds(header.time_ms // 1000 + 1)
        for nation in NATIONS[:cosigners]:
            name, key = f"{nation}.example/node", Key(f"{nation} cosigner")
            verifier = compute_verifier_key(name, domains.NOTE_COSIGNATURE_ED25519, key.public)
            lines.append(sign_cosignature_ed25519(checkpoint, key=verifier, time_s=time_s, sign=key.sign))
            if has_ml_dsa:
                secret = ml_dsa(nation)
                public = secret.public_key().public_bytes_raw()
                verifier = compute_verifier_key(name, domains.NOTE_COSIGNATURE_ML_DSA_44, public)
                lines.append(sign_cosignature_ml_dsa(checkpoint, key=verifier, time_s=time_s, sign=secret.sign))
        return encode_note(Note(text, tuple(lines)))

    def publish(self, folder: Path, height: int | None = None) -> Path:
        """Write the static files of the ledger as it was at a height, with partial bundles as C2SP has them."""
        end = self.height if height is None else height
        size = self.chain[end].header.tree_size
        files: dict[str, bytes] = {
            "charter": self.charter_entry,
            "transcript": self.founders.transcript,
            "checkpoint": self.note(end),
            "cosignatures": self.note(end, cosigners=len(NATIONS)),
        }
        _, tiles = EMPTY_EDGE.extend(leaf_hash(entry) for entry in self.entries[:size])
        for tile, raw in tiles.items():
            files[tile_path(tile)] = raw
            if tile.level == 0:
                start = tile.index * 256
                files[bundle_path(tile.index, tile.width)] = encode_bundle(self.entries[start : start + tile.width])
        for start in range(0, end + 1, 256):
            headers = self.chain[start : min(start + 256, end + 1)]
            files[headers_path(start // 256, len(headers))] = encode_header_bundle(headers)
        for path, raw in files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(raw)
        return folder


class FinalLedger:
    """A fake ledger as a node's publisher sees one."""

    def __init__(self, ledger: FakeLedger) -> None:
        self.ledger = ledger

    def entries(self, first: LeafIndex, count: int) -> Sequence[bytes]:
        return self.ledger.entries[first : first + count]

    def read_hash(self, level: int, number: int) -> Hash:
        chosen = self.ledger.entries[number << level : (number + 1) << level]
        return compute_root([leaf_hash(entry) for entry in chosen])

    def blocks(self, first: Height, count: int) -> Sequence[SealedHeader]:
        return self.ledger.chain[first : first + count]


def copy_of(ledger: FakeLedger, home: Path) -> Path:
    """A synced copy of the whole ledger; the file is made once for each ledger."""
    if ledger.copied is None or ledger.copied[0] != ledger.height:
        source = LedgerSource(ledger)
        with open_or_found(home, [source], fingerprint=ledger.fingerprint) as copy:
            conclude(sync(copy, [source], draw=random.Random(9).randbytes))
        ledger.copied = ledger.height, (home / FILE).read_bytes()
    home.mkdir(exist_ok=True)
    (home / FILE).write_bytes(ledger.copied[1])
    return home


class LedgerSource:
    """A `Source` straight from a fake ledger; a test changes what it answers."""

    def __init__(self, ledger: FakeLedger, *, name: str = "fake", height: int | None = None) -> None:
        self.ledger, self.name = ledger, name
        self.height = ledger.height if height is None else height
        self.charter = ledger.charter_entry
        self.transcript = ledger.founders.transcript
        self.notes = [ledger.note(self.height), ledger.note(self.height, cosigners=len(NATIONS))]
        self.asked_from: list[int] = []

    def read_charter(self) -> bytes:
        return self.charter

    def read_transcript(self) -> bytes:
        return self.transcript

    def read_checkpoints(self) -> list[bytes]:
        return self.notes

    def read_blocks(self, *, first: Height, last: Height, size: TreeSize) -> Iterator[ServedBlock]:
        del size
        self.asked_from.append(first)
        for height in range(first, last + 1):
            yield self.block(height)

    def block(self, height: int) -> ServedBlock:
        sealed = self.ledger.chain[height]
        return ServedBlock(sealed.header, sealed.seal, tuple(self.ledger.entries_of(height)))

    def read_tile(self, path: str) -> bytes | None:
        del path
        return None

    def close(self) -> None:
        pass
