"""The cryptography that core and beacon ask for, with this member's real keys and the charter's public ones."""

import secrets
from collections.abc import Mapping, Sequence

from ledger.charter import Charter
from ledger.ed25519 import is_ed25519_signature
from ledger.errors import FormatError, SignatureError
from ledger.positions import MemberIndex
from ledger.threshold import bls
from node.keys import IdentityKey, ShareKey


class VoteKeys:
    """A `node.consensus.messages.Keys`."""

    def __init__(self, charter: Charter, identity: IdentityKey, share: ShareKey) -> None:
        self._identity, self._share = identity, share
        self._group_key, self._quorum = charter.group_key, charter.quorum
        self._identities = {member.index: member.identity for member in charter.members}
        self._public_shares = {member.index: charter.public_share(member.index) for member in charter.members}

    def sign_vote(self, message: bytes) -> bytes:
        """Sign with this member's identity key."""
        return self._identity.sign(message)

    def make_share(self, message: bytes) -> bytes:
        """Make this member's seal or beacon share."""
        return self._share.share(message)

    def is_vote_signature(self, member: MemberIndex, message: bytes, signature: bytes) -> bool:
        """Tell whether this is the member's identity signature."""
        identity = self._identities.get(member)
        return identity is not None and is_ed25519_signature(identity, signature, message)

    def combine(
        self, shares: Mapping[MemberIndex, bytes], message: bytes
    ) -> tuple[bytes | None, tuple[MemberIndex, ...]]:
        """Combine a quorum's shares into the seal or beacon; names culprits only if the result does not verify."""
        return bls.combine_and_verify(
            shares,
            message,
            group_key=self._group_key,
            public_shares=self._public_shares,
            quorum=self._quorum,
        )

    def is_share(self, member: MemberIndex, message: bytes, share: bytes) -> bool:
        """Tell whether this is the member's seal share."""
        public_share = self._public_shares.get(member)
        return public_share is not None and bls.is_signature(public_share, message, share)

    def is_seal(self, message: bytes, seal: bytes) -> bool:
        """Tell whether this is the group's signature."""
        return bls.is_signature(self._group_key, message, seal)

    def are_seals(self, signed: Sequence[tuple[bytes, bytes]]) -> bool:
        """Tell whether every one of (message, seal) is the group's signature, for less than one by one."""
        randomness = secrets.token_bytes(bls.BATCH_WEIGHT_BYTES * len(signed))
        try:
            bls.verify_signatures_batch(self._group_key, signed, randomness=randomness)
        except (FormatError, SignatureError):
            return False
        return True
