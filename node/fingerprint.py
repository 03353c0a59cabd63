"""A digest as words that people compare by telephone: the 24 English words of BIP-39.

256 bits and an 8-bit checksum give 24 words of a list of 2 048 chosen to be told apart by their first four letters.
The words stand for all of the digest, so comparing them is as good as comparing the hex.
Source: BIP-39, through its reference implementation `mnemonic`. It is used as an encoding; there is no seed here.
"""

from typing import Final

from mnemonic import Mnemonic

from ledger.encoding import require_bytes
from ledger.limits import HASH_BYTES

FINGERPRINT_WORDS: Final = 24


def fingerprint_words(digest: bytes) -> tuple[str, ...]:
    """Spell a 32-byte digest in 24 words.

    Raises:
        FormatError: not 32 bytes.

    >>> fingerprint_words(bytes(32))[-2:]
    ('abandon', 'art')
    """
    require_bytes(digest, field="digest", size=HASH_BYTES)
    words = tuple(Mnemonic("english").to_mnemonic(digest).split(" "))
    assert len(words) == FINGERPRINT_WORDS
    return words
