"""`node.keys`: objects that sign and open, and give nothing else away."""

import copy
import pickle
import random
import traceback

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey

from ledger.ed25519 import is_ed25519_signature
from ledger.errors import FormatError, LedgerError, ProofError
from ledger.ml_dsa import is_ml_dsa_signature
from ledger.positions import Epoch, MemberIndex
from ledger.threshold import bls
from ledger.threshold.polynomials import SecretScalar
from node.keys import CosignerKey, EncryptionKey, IdentityKey, LogKey, ShareKey, require_encryption_key, seal_box

SMALL_ORDER = [
    0,
    1,
    325606250916557431795983626356110631294008115727848805560023387167927233504,
    39382357235489614581723060781553021112529911719440698176882885853963445705823,
    2**255 - 20,
    2**255 - 19,
    2**255 - 18,
]


def keys() -> list[IdentityKey | CosignerKey | LogKey | EncryptionKey]:
    randomness = random.Random(1).randbytes
    return [
        IdentityKey.make(randomness),
        CosignerKey.make(randomness),
        LogKey.make(randomness),
        EncryptionKey.make(randomness),
    ]


def share_key() -> ShareKey:
    return ShareKey(SecretScalar(987654321987654321), epoch=Epoch(2), member=MemberIndex(3))


def test_identity_and_log_keys_sign_with_ed25519() -> None:
    identity, cosigner, log, _ = keys()
    for key in (identity, cosigner, log):
        assert not isinstance(key, EncryptionKey)
        assert is_ed25519_signature(key.public_key, key.sign(b"m"), b"m")
        assert not is_ed25519_signature(key.public_key, key.sign(b"m"), b"n")


def test_the_seed_of_rfc_8032_gives_its_public_key_and_signature() -> None:
    """RFC 8032 §7.1, test 1."""
    key = IdentityKey(bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"))
    assert key.public_key.hex() == "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
    assert key.sign(b"").hex() == (
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"
    )


def test_a_cosigner_signs_with_ml_dsa_too() -> None:
    cosigner = CosignerKey.make(random.Random(1).randbytes)
    assert is_ml_dsa_signature(cosigner.ml_dsa_public_key, cosigner.sign_ml_dsa(b"m"), b"m")


def test_a_share_key_makes_shares_that_verify_under_its_public_share() -> None:
    bls.verify_signature(share_key().public_share, b"m", share_key().share(b"m"))


def test_a_box_opens_for_its_key_and_context_only() -> None:
    key, other = EncryptionKey(bytes(range(32))), EncryptionKey(bytes(range(1, 33)))
    box = seal_box(b"a share of the secret", recipient=key.public_key, context=b"for member 1")
    assert key.open(box, context=b"for member 1") == b"a share of the secret"
    assert seal_box(b"a share of the secret", recipient=key.public_key, context=b"for member 1") != box
    for wrong, context in ((other, b"for member 1"), (key, b"for member 2"), (key, b"")):
        with pytest.raises(ProofError):
            wrong.open(box, context=context)


def test_a_changed_cut_or_hostile_box_does_not_open() -> None:
    key = EncryptionKey(bytes(range(32)))
    box = seal_box(b"share", recipient=key.public_key, context=b"c")
    for position in range(len(box)):
        changed = bytearray(box)
        changed[position] ^= 1
        with pytest.raises(ProofError):
            key.open(bytes(changed), context=b"c")
    for wrong in (b"", box[:-1], box[:40], box + b"\0", bytes(32) + box[32:], bytes(200)):
        with pytest.raises(ProofError):
            key.open(wrong, context=b"c")


@pytest.mark.parametrize("point", SMALL_ORDER)
def test_an_encryption_key_of_small_order_is_refused(point: int) -> None:
    raw = point.to_bytes(32, "little")
    X25519PublicKey.from_public_bytes(raw)  # the library takes it; so we must not
    with pytest.raises(FormatError, match="small order"):
        require_encryption_key(raw, field="encryption")


def test_an_encryption_key_of_another_length_is_refused_and_a_good_one_is_not() -> None:
    good = EncryptionKey(bytes(range(32))).public_key
    assert require_encryption_key(good, field="encryption") == good
    for size in (0, 31, 33):
        with pytest.raises(FormatError):
            require_encryption_key(bytes(size), field="encryption")


@pytest.mark.parametrize("size", [0, 31, 33])
def test_a_seed_of_another_length_is_refused(size: int) -> None:
    for make in (IdentityKey, LogKey, EncryptionKey):
        with pytest.raises(LedgerError):
            make(bytes(size))
    with pytest.raises(LedgerError):
        CosignerKey(bytes(32), bytes(size))


def test_no_secret_shows_in_a_repr_or_traceback() -> None:
    shown = []
    for key in keys():
        secret = key.secret_bytes()
        shown.append(f"{key} {key!r} {[key]!r}")
        if isinstance(key, EncryptionKey):
            try:
                key.open(b"", context=b"")
            except ProofError as error:
                shown += traceback.TracebackException.from_exception(error, limit=-1, capture_locals=True).format()
        text = "".join(shown)
        assert key.public_key.hex() in text
        for half in (secret[:32], secret[32:] or secret):
            assert half.hex() not in text
            assert repr(half) not in text
    share = share_key()
    assert str(share.secret_scalar().value) not in f"{share} {share!r}"
    assert f"{share.secret_scalar().value:x}" not in f"{share} {share!r}"


def test_no_key_is_pickled_or_copied() -> None:
    for key in (*keys(), share_key()):
        for take in (pickle.dumps, copy.copy, copy.deepcopy):
            with pytest.raises(TypeError, match="neither pickled nor copied"):
                take(key)
        assert not hasattr(key, "__dict__")
