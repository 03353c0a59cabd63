"""Who plays: nations of the devnet, and their labs. Their names are fictional, their figures are not (`facts`).

Keys follow from names, so that the same story gives the same bytes; they guard nothing. On a real network the nations'
keys are those of its nodes.
"""

import hashlib
from dataclasses import dataclass
from typing import Final

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from devnet.network import NAMES
from devnet.year.facts import FACTS, Fact
from lab.keys import SigningKey, compute_next_key_hash
from ledger.statements.registry import Capacity, Cluster

AURELIA, BOREALIS, CIMBRIA, DACIA = NATIONS = NAMES[:4]


@dataclass(frozen=True, slots=True)
class LabRole:
    """A lab with one cluster.

    Attributes:
        id: of the lab.
        nation: who registers it.
        country: where its cluster is, as ISO 3166 would have it for a country that is not there.
        run: id of its training run.
        begins: the interval of the story in which that run begins.
        fact: whose figures it has.
    """

    id: str
    nation: str
    country: str
    run: str
    begins: int
    fact: Fact

    @property
    def name(self) -> str:
        """What people call it."""
        return self.id.capitalize()

    @property
    def cluster(self) -> str:
        """Id of its cluster."""
        return f"{self.id}-hall"

    @property
    def registered_cluster(self) -> Cluster:
        """Its cluster, with its capacity in public."""
        capacity = (Capacity(self.fact.chip, self.fact.chips_count),)
        return Cluster(self.cluster, f"{self.name} Hall", self.country, capacity)

    @property
    def next_key_sha256(self) -> str:
        """Commitment to the key that would follow."""
        return compute_next_key_hash(make_key(f"{self.id} next").public_key)


def make_key(name: str) -> SigningKey:
    """The key of somebody; guards nothing."""
    return SigningKey(hashlib.sha256(f"a year: {name}".encode()).digest())


def make_encryption_key(name: str) -> bytes:
    """The public half of somebody's X25519 key; guards nothing."""
    private = X25519PrivateKey.from_private_bytes(hashlib.sha256(f"a year, encryption: {name}".encode()).digest())
    return private.public_key().public_bytes_raw()


_BY_MODEL: Final = {fact.model: fact for fact in FACTS}

HALCYON = LabRole("halcyon", AURELIA, "XA", "atlas", 4, _BY_MODEL["Llama 3.1-405B"])
TERN = LabRole("tern", AURELIA, "XA", "meadow", 2, _BY_MODEL["BLOOM-176B"])
KESTREL = LabRole("kestrel", BOREALIS, "XB", "gyre", 2, _BY_MODEL["Falcon-180B"])
SABLE = LabRole("sable", BOREALIS, "XB", "burrow", 2, _BY_MODEL["Llama 2-70B"])
OSPREY = LabRole("osprey", CIMBRIA, "XC", "tidewater", 1, _BY_MODEL["Nemotron-4 340B"])
PETREL = LabRole("petrel", CIMBRIA, "XC", "bellows", 2, _BY_MODEL["Inflection-2"])
LANTERN = LabRole("lantern", DACIA, "XD", "glasswork", 2, _BY_MODEL["DeepSeek-V3"])
MARTEN = LabRole("marten", DACIA, "XD", "timber", 2, _BY_MODEL["Megatron-Turing NLG 530B"])

LABS: Final = (HALCYON, TERN, KESTREL, SABLE, OSPREY, PETREL, LANTERN, MARTEN)
