"""A foreign log whose key the tests hold: it grows, proves it, and lies if it is told to."""

import functools
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ledger import domains
from ledger.checkpoints import Checkpoint, parse_cosignature
from ledger.encoding import encode_base64
from ledger.loglists import LogEntry, encode_log_list, parse_log_list
from ledger.merkle import Hash, compute_root, prove_consistency
from ledger.notes import Note, VerifierKey, compute_verifier_key, sign_note_ed25519
from ledger.positions import Seconds, TreeSize
from ledger.sealedfile import Cost
from ledger.witnessing import AddCheckpoint, encode_add_checkpoint, parse_lines
from tlog.witness import Witness, init_witness, open_witness

CHEAP = Cost(memory_kib=8, passes=1, lanes=1)
PASSPHRASE = b"correct horse"
NAME = "witness.example/w1"
NOW = Seconds(1_760_000_000)
TRUNK = "trunk"


def seed(of: str) -> bytes:
    return hashlib.sha256(of.encode()).digest()


@functools.cache
def leaf(branch: str, number: int) -> Hash:
    return seed(f"{branch} {number}")


@functools.cache
def root_of(leaves: tuple[Hash, ...]) -> Hash:
    return compute_root(leaves)


@dataclass(frozen=True)
class Branch:
    """A history: the trunk's first leaves, and its own from there on."""

    name: str = TRUNK
    from_: int = 0

    def leaves(self, size: int) -> tuple[Hash, ...]:
        return tuple(leaf(TRUNK if number < self.from_ else self.name, number) for number in range(size))

    def root(self, size: int) -> Hash:
        return root_of(self.leaves(size))

    def prove(self, old: int, new: int) -> tuple[Hash, ...]:
        if not 0 < old < new:
            return ()

        def read(level: int, number: int) -> Hash:
            return root_of(self.leaves((number + 1) << level)[number << level :])

        return tuple(prove_consistency(old_size=TreeSize(old), new_size=TreeSize(new), read=read))


@dataclass(frozen=True)
class ForeignLog:
    """A log of the world's, with one key."""

    origin: str = "log.example/2026"
    key_name: str = ""

    @property
    def private(self) -> Ed25519PrivateKey:
        return Ed25519PrivateKey.from_private_bytes(seed(self.origin))

    @property
    def key(self) -> VerifierKey:
        public = self.private.public_key().public_bytes_raw()
        return compute_verifier_key(self.key_name or self.origin, domains.NOTE_ED25519, public)

    def text(self, size: int, branch: Branch = Branch()) -> str:
        return f"{self.origin}\n{size}\n{encode_base64(branch.root(size))}\n"

    def sign(self, text: str) -> Note:
        return Note(text, (sign_note_ed25519(text, key=self.key, sign=self.private.sign),))

    def request(
        self, old: int, size: int, branch: Branch = Branch(), *, proof: Sequence[Hash] | None = None
    ) -> AddCheckpoint:
        made = branch.prove(old, size) if proof is None else tuple(proof)
        return AddCheckpoint(old_size=TreeSize(old), proof=made, note=self.sign(self.text(size, branch)))

    def body(self, old: int, size: int, branch: Branch = Branch(), *, proof: Sequence[Hash] | None = None) -> bytes:
        return encode_add_checkpoint(self.request(old, size, branch, proof=proof))

    def listed(self, qpd: int = 86_400) -> str:
        return encode_log_list([LogEntry(self.key, self.origin, qpd)])


def make_witness(folder: Path, name: str = NAME) -> VerifierKey:
    return init_witness(folder, name, PASSPHRASE, randomness=seed_source(str(folder)), cost=CHEAP)


def seed_source(of: str) -> "Seeds":
    return Seeds(of)


class Seeds:
    """Randomness that is the same every time, and other for each draw."""

    def __init__(self, of: str) -> None:
        self.of, self.count = of, 0

    def __call__(self, size: int) -> bytes:
        self.count += 1
        return seed(f"{self.of} {self.count}")[:size]


def open_made(folder: Path, *listed: str) -> Witness:
    """Open a witness for the logs of a list."""
    text = "logs/v0\n" + "".join(each.partition("\n")[2] for each in listed)
    return open_witness(folder, PASSPHRASE, parse_log_list(text.encode()))


def time_of(body: bytes) -> int:
    """When a cosignature says it was made."""
    (line,) = parse_lines(body)
    return parse_cosignature(line.signature, signature_bytes=64).time_s


def checkpoint_of(log: ForeignLog, size: int, branch: Branch = Branch()) -> Checkpoint:
    return Checkpoint(log.origin, TreeSize(size), branch.root(size))
