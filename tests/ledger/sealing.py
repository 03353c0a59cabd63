"""A small ledger whose keys the tests hold: seals, cosigns and signs checkpoints and gives receipts for its entries."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey

from ledger import domains
from ledger.checkpoints import (
    Checkpoint,
    SealLine,
    compute_seal_message,
    encode_checkpoint,
    make_seal_signature,
    sign_cosignature_ed25519,
    sign_cosignature_ml_dsa,
)
from ledger.merkle import compute_root, leaf_hash, prove_inclusion
from ledger.notes import Note, SignatureLine, compute_verifier_key, sign_note_ed25519
from ledger.policy import Cosigner, LedgerKeys
from ledger.positions import Epoch, Height, LeafIndex, Millis, Seconds, TreeSize, View
from ledger.receipts import Receipt
from ledger.threshold import bls
from ledger.threshold.polynomials import SecretScalar, compute_public_key

TIME_S = Seconds(1_760_000_000)
EPOCH, VIEW, HEIGHT = Epoch(1), View(9), Height(7)
TIME_MS = Millis(1_759_999_999_000)
BLOCK = b"\x11" * 32


def seed(of: str) -> bytes:
    """Derive 32 bytes that look like a secret."""
    return hashlib.sha256(of.encode()).digest()


@dataclass(frozen=True)
class TestMember:
    """A member whose secret keys the tests hold."""

    __test__ = False
    name: str

    @property
    def cosigner(self) -> Ed25519PrivateKey:
        return Ed25519PrivateKey.from_private_bytes(seed(f"{self.name} cosigner"))

    @property
    def cosigner_ml_dsa(self) -> MLDSA44PrivateKey:
        return MLDSA44PrivateKey.from_seed_bytes(seed(f"{self.name} ml-dsa"))

    @property
    def log(self) -> Ed25519PrivateKey:
        return Ed25519PrivateKey.from_private_bytes(seed(f"{self.name} log"))

    def cosign(self, checkpoint: Checkpoint, time_s: Seconds = TIME_S) -> SignatureLine:
        public_key = self.cosigner.public_key().public_bytes_raw()
        key = compute_verifier_key(self.name, domains.NOTE_COSIGNATURE_ED25519, public_key)
        return sign_cosignature_ed25519(checkpoint, key=key, time_s=time_s, sign=self.cosigner.sign)

    def cosign_ml_dsa(self, checkpoint: Checkpoint, time_s: Seconds = TIME_S) -> SignatureLine:
        signer = self.cosigner_ml_dsa
        public_key = signer.public_key().public_bytes_raw()
        key = compute_verifier_key(self.name, domains.NOTE_COSIGNATURE_ML_DSA_44, public_key)
        return sign_cosignature_ml_dsa(checkpoint, key=key, time_s=time_s, sign=signer.sign)

    def sign_log(self, checkpoint: Checkpoint) -> SignatureLine:
        key = compute_verifier_key(checkpoint.origin, domains.NOTE_ED25519, self.log.public_key().public_bytes_raw())
        return sign_note_ed25519(encode_checkpoint(checkpoint), key=key, sign=self.log.sign)


@dataclass(frozen=True)
class SmallLedger:
    """Four members; the tests know the group's secret itself, so a seal is one signature."""

    entries: Sequence[bytes] = (b"one", b"two", b"three", b"four", b"five")
    origin: str = "counterseal.example/2026"
    secret: SecretScalar = field(default=SecretScalar(20_260_721))
    members: tuple[TestMember, ...] = tuple(TestMember(f"nation-{letter}.example") for letter in "abcd")

    @property
    def group_key(self) -> bytes:
        return compute_public_key(self.secret)

    @property
    def keys(self) -> LedgerKeys:
        cosigners = tuple(
            Cosigner(
                name=member.name,
                ed25519=member.cosigner.public_key().public_bytes_raw(),
                ml_dsa=member.cosigner_ml_dsa.public_key().public_bytes_raw(),
            )
            for member in self.members
        )
        log_keys = tuple(member.log.public_key().public_bytes_raw() for member in self.members)
        return LedgerKeys(
            origin=self.origin, group_key=self.group_key, quorum=3, cosigners=cosigners, log_keys=log_keys
        )

    def checkpoint(self, size: int | None = None) -> Checkpoint:
        leaves = [leaf_hash(entry) for entry in self.entries[:size]]
        return Checkpoint(self.origin, TreeSize(len(leaves)), compute_root(leaves))

    def seal(
        self,
        checkpoint: Checkpoint,
        *,
        epoch: Epoch = EPOCH,
        view: View = VIEW,
        height: Height = HEIGHT,
        time_ms: Millis = TIME_MS,
        block: bytes = BLOCK,
    ) -> SignatureLine:
        message = compute_seal_message(
            checkpoint, epoch=epoch, view=view, height=height, time_ms=time_ms, block_digest=block
        )
        seal = SealLine(epoch, view, height, time_ms, block, bls.sign_share(self.secret, message))
        return make_seal_signature(seal, key=compute_verifier_key(self.origin, domains.NOTE_SEAL, self.group_key))

    def note(self, *lines: SignatureLine, size: int | None = None) -> Note:
        """Give a sealed note with these lines besides."""
        checkpoint = self.checkpoint(size)
        return Note(encode_checkpoint(checkpoint), (self.seal(checkpoint), *lines))

    def cosigned_note(self) -> Note:
        """Give a note with every kind of line: log, seal, three cosigners of which one with both keys."""
        checkpoint = self.checkpoint()
        a, b, c, _ = self.members
        lines = (a.sign_log(checkpoint), self.seal(checkpoint), a.cosign(checkpoint), b.cosign(checkpoint))
        return Note(encode_checkpoint(checkpoint), (*lines, b.cosign_ml_dsa(checkpoint), c.cosign_ml_dsa(checkpoint)))

    def receipt(self, index: int, note: Note | None = None, extra: bytes | None = None) -> Receipt:
        leaves = [leaf_hash(entry) for entry in self.entries]

        def read(level: int, at: int) -> bytes:
            return compute_root(leaves[at << level : (at + 1) << level])

        proof = prove_inclusion(index=LeafIndex(index), size=TreeSize(len(leaves)), read=read)
        return Receipt(LeafIndex(index), tuple(proof), self.note() if note is None else note, extra)
