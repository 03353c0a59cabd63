"""Founders for tests: keys and public files from a seed, and a draft of a charter for any number of them."""

import random

import msgspec

from node.draft import Draft, PublicFile, encode_draft, parse_draft
from node.keys import CosignerKey, EncryptionKey, IdentityKey, LogKey

CERTIFICATE = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"

RULES = """
[grid]
start = 1767225600
interval_s = 86400
submit_window_s = 43200
grace_s = 86400
correction_window_s = 604800
challenge_window_s = 2592000

[consensus]
delta_ms = 500
delta_max_ms = 60000
idle_interval_ms = 5000
snapshot_interval = 0

[[limits]]
id = "flop-per-run"
quantity = "training_pflop_per_run"
maximum = 1000000000
note = "10^24 FLOP for a run"

[[accelerators]]
model = "h100-sxm"
peak_gflops = 989400
tdp_w = 700
idle_w = 70
"""


class Founder:
    """The keys of one member, the same for the same number."""

    def __init__(self, number: int) -> None:
        drawn = random.Random(number)
        self.number = number
        self.identity = IdentityKey.make(drawn.randbytes)
        self.cosigner = CosignerKey.make(drawn.randbytes)
        self.log = LogKey.make(drawn.randbytes)
        self.encryption = EncryptionKey.make(drawn.randbytes)

    @property
    def public(self) -> PublicFile:
        return PublicFile(
            id=f"n{self.number}",
            name=f"Nation {self.number}",
            node=f"n{self.number}.example/node",
            identity=self.identity.public_key,
            cosigner=self.cosigner.public_key,
            cosigner_ml_dsa=self.cosigner.ml_dsa_public_key,
            log=self.log.public_key,
            encryption=self.encryption.public_key,
            peer=f"n{self.number}.example:7301",
            public=f"n{self.number}.example:7302",
            http=f"https://n{self.number}.example",
            tls_certificate=CERTIFICATE,
        )


def make_founders(count: int) -> list[Founder]:
    return [Founder(number) for number in range(1, count + 1)]


def make_draft(founders: list[Founder], *, founded_at_ms: int = 1767225600000) -> Draft:
    count = len(founders)
    head = (
        f'origin = "counterseal.example/2026"\ntitle = "A test"\nquorum = {count - (count - 1) // 3}\n'
        f"founded_at_ms = {founded_at_ms}\n"
    )
    members = "".join(write_member(founder.public) for founder in founders)
    draft = parse_draft((head + RULES + members).encode())
    assert parse_draft(encode_draft(draft)) == draft
    return draft


def write_member(public: PublicFile) -> str:
    fields = msgspec.to_builtins(public, builtin_types=())
    lines = (f"{name} = {msgspec.json.encode(value).decode()}\n" for name, value in fields.items())
    return "\n[[members]]\n" + "".join(lines)
