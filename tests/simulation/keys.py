"""Keys that cost nothing: hashes with a secret. Within the simulation nobody can forge them, since nobody tries.

A plan may ask for real keys instead (`tests.simulation.nodes.founding.make_keys`), which cost much.
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Protocol

from ledger.positions import MemberIndex
from node.consensus.messages import Keys


class MemberKeys(Keys, Protocol):
    """What a whole node asks of keys: the core's questions, and that of catching up."""

    def are_seals(self, signed: Sequence[tuple[bytes, bytes]]) -> bool:
        """Tell whether every one of (message, seal) is the group's signature."""


class CheapKeys:
    """One member's keys; verification knows every member's."""

    def __init__(self, member: int, quorum: int) -> None:
        self._member = member
        self._quorum = quorum
        self._known: dict[tuple[int, bytes], bytes] = {}
        self.verifications = 0

    def _signature(self, member: int, message: bytes) -> bytes:
        key = member, message
        if key not in self._known:
            self._known[key] = hashlib.sha512(b"signature %d " % member + message).digest()
        return self._known[key]

    @staticmethod
    def _share(member: int, message: bytes) -> bytes:
        return hashlib.sha384(b"share %d " % member + message).digest()

    def sign_vote(self, message: bytes) -> bytes:
        return self._signature(self._member, message)

    def make_share(self, message: bytes) -> bytes:
        return self._share(self._member, message)

    def is_vote_signature(self, member: MemberIndex, message: bytes, signature: bytes) -> bool:
        self.verifications += 1
        return signature == self._signature(member, message)

    def combine(
        self, shares: Mapping[MemberIndex, bytes], message: bytes
    ) -> tuple[bytes | None, tuple[MemberIndex, ...]]:
        wrong = tuple(member for member in sorted(shares) if shares[member] != self._share(member, message))
        seal = hashlib.sha384(b"seal " + message).digest()
        return (seal if len(shares) - len(wrong) >= self._quorum else None), wrong

    def is_share(self, member: MemberIndex, message: bytes, share: bytes) -> bool:
        return share == self._share(member, message)

    def is_seal(self, message: bytes, seal: bytes) -> bool:
        return seal == hashlib.sha384(b"seal " + message).digest()

    def are_seals(self, signed: Sequence[tuple[bytes, bytes]]) -> bool:
        return all(self.is_seal(message, seal) for message, seal in signed)
