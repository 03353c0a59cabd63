"""`node.fingerprint`: the published answers of BIP-39."""

import pytest

from ledger.errors import FormatError
from node.fingerprint import fingerprint_words

# Test vectors of BIP-39 (trezor/python-mnemonic, vectors.json), those of 256 bits of entropy.
KNOWN = {
    "00" * 32: "abandon " * 23 + "art",
    "7f" * 32: "legal winner thank year wave sausage worth useful legal winner thank year wave sausage worth useful "
    "legal winner thank year wave sausage worth title",
    "80"
    * 32: "letter advice cage absurd amount doctor acoustic avoid letter advice cage absurd amount doctor acoustic "
    "avoid letter advice cage absurd amount doctor acoustic bless",
    "ff" * 32: "zoo " * 23 + "vote",
    "68a79eaca2324873eacc50cb9c6eca8cc68ea5d936f98787c60c7ebc74e6ce7c": "hamster diagram private dutch cause "
    "delay private meat slide toddler razor book happy fancy gospel tennis maple dilemma loan word shrug inflict delay "
    "length",
}


@pytest.mark.parametrize("digest", KNOWN)
def test_words_are_those_of_bip_39(digest: str) -> None:
    assert " ".join(fingerprint_words(bytes.fromhex(digest))) == KNOWN[digest]


def test_every_bit_of_the_digest_changes_the_words() -> None:
    words = {fingerprint_words((1 << bit).to_bytes(32, "big")) for bit in range(256)}
    assert len(words | {fingerprint_words(bytes(32))}) == 257


@pytest.mark.parametrize("size", [0, 16, 31, 33])
def test_a_digest_of_another_length_is_refused(size: int) -> None:
    with pytest.raises(FormatError):
        fingerprint_words(bytes(size))
