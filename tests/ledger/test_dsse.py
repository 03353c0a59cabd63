"""Envelopes: known answers of the specification, one encoding, and who counts as a signer."""

import base64
import json

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from ledger.domains import PAYLOAD_TYPE
from ledger.ed25519 import is_ed25519_signature
from ledger.errors import Code, FormatError, LedgerError, SignatureError
from ledger.limits import ENTRY_BYTES_MAX, SIGNATURES_MAX
from ledger.statements.dsse import (
    Envelope,
    EnvelopeSignature,
    Signer,
    compute_keyid,
    encode_envelope,
    encode_pae,
    parse_envelope,
    sign_envelope,
    verify_envelope,
)

PAYLOAD = b'{"hello":"world","many":"words so that base64 has + and / somewhere \xc3\xbf\xc3\xbe\xc3\xbd>>>???"}'


def make_signer(seed: int) -> tuple[bytes, Signer]:
    key = Ed25519PrivateKey.from_private_bytes(seed.to_bytes(32, "big"))
    return key.public_key().public_bytes_raw(), key.sign


ALICE = make_signer(1)
BOB = make_signer(2)
MALLORY = make_signer(3)
ENTRY = sign_envelope(PAYLOAD, [ALICE, BOB])


def verify(raw: bytes, *signers: tuple[bytes, Signer]) -> tuple[bytes, ...]:
    keys = [public_key for public_key, _ in signers]
    return verify_envelope(parse_envelope(raw), public_keys=keys, is_signature=is_ed25519_signature)


def lines_of(raw: bytes) -> list[dict[str, str]]:
    lines: list[dict[str, str]] = json.loads(raw)["signatures"]
    return lines


def with_lines(lines: list[dict[str, str]]) -> bytes:
    body = json.loads(ENTRY) | {"signatures": lines}
    return json.dumps(body, separators=(",", ":")).encode()


def test_pae_is_that_of_the_specification() -> None:
    pae = encode_pae("http://example.com/HelloWorld", b"hello world")
    assert pae == b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"


def test_pae_counts_bytes_and_not_characters() -> None:
    assert encode_pae("é", "ÿ".encode()) == b"DSSEv1 2 \xc3\xa9 2 \xc3\xbf"
    assert encode_pae("", b"") == b"DSSEv1 0  0 "


def test_signature_published_with_the_specification_is_over_our_pae() -> None:
    # protocol.md, "Test Vectors": ECDSA over P-256, raw r || s.
    x = 46950820868899156662930047687818585632848591499744589407958293238635476079160
    y = 5640078356564379163099075877009565129882514886557779369047442380624545832820
    raw = base64.b64decode("A3JqsQGtVsJ2O2xqrI5IcnXip5GToJ3F+FnZ+O88SjtR6rDAajabZKciJTfUiHqJPcIAriEGAHTVeCUjW2JIZA==")
    signature = encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
    key = ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key()
    key.verify(signature, encode_pae("http://example.com/HelloWorld", b"hello world"), ec.ECDSA(hashes.SHA256()))
    with pytest.raises(InvalidSignature):
        key.verify(signature, encode_pae("http://example.com/HelloWorle", b"hello world"), ec.ECDSA(hashes.SHA256()))


def test_entry_is_spelt_as_documented() -> None:
    raw = sign_envelope(b"{}", [ALICE])
    sig = base64.b64encode(ALICE[1](b"DSSEv1 28 application/vnd.in-toto+json 2 {}")).decode()
    expected = (
        '{"payload":"e30=","payloadType":"application/vnd.in-toto+json","signatures":[{"keyid":"'
        f'{compute_keyid(ALICE[0])}","sig":"{sig}"}}]}}'
    )
    assert raw == expected.encode()


def test_parsed_envelope_encodes_to_the_same_bytes_and_back() -> None:
    envelope = parse_envelope(ENTRY)
    assert envelope.payload == PAYLOAD
    assert envelope.payload_type == PAYLOAD_TYPE
    assert encode_envelope(envelope) == ENTRY
    assert parse_envelope(encode_envelope(envelope)) == envelope


def test_order_in_which_signers_sign_does_not_change_the_entry() -> None:
    assert sign_envelope(PAYLOAD, [BOB, ALICE]) == ENTRY


def test_every_signer_is_reported_once() -> None:
    assert sorted(verify(ENTRY, ALICE, BOB, MALLORY)) == sorted([ALICE[0], BOB[0]])


def test_any_changed_byte_is_refused() -> None:
    for position in range(len(ENTRY)):
        for mask in (0x01, 0x20, 0x80):
            mutated = bytearray(ENTRY)
            mutated[position] ^= mask
            with pytest.raises(LedgerError):
                verify(bytes(mutated), ALICE, BOB)


def test_any_removed_byte_is_refused() -> None:
    for position in range(len(ENTRY)):
        with pytest.raises(LedgerError):
            verify(ENTRY[:position] + ENTRY[position + 1 :], ALICE, BOB)


def test_any_cut_entry_is_refused() -> None:
    for length in range(len(ENTRY)):
        with pytest.raises(FormatError):
            parse_envelope(ENTRY[:length])


def respell_base64(raw: bytes) -> bytes:
    """Set a bit that the padding hides: other text, the same payload."""
    payload: str
    head, payload, rest = (
        raw.partition(b'"payload":"')[0],
        json.loads(raw)["payload"],
        raw.partition(b'","payloadType"')[2],
    )
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    pads = payload.count("=")
    assert pads
    last = payload[-pads - 1]
    other = alphabet[alphabet.index(last) + 1]
    text = payload[: -pads - 1] + other + "=" * pads
    assert base64.b64decode(text) == base64.b64decode(payload)
    return head + b'"payload":"' + text.encode() + b'","payloadType"' + rest


@pytest.mark.parametrize(
    ("what", "raw"),
    [
        ("other spelling of base64", respell_base64(ENTRY)),
        ("base64 without padding", ENTRY.replace(b'=","payloadType"', b'","payloadType"')),
        ("url-safe base64", ENTRY.replace(b"+", b"-").replace(b"/vnd.in-toto-", b"/vnd.in-toto+")),
        ("escaped slash", ENTRY.replace(b"application/", b"application\\/")),
        ("escaped letter", ENTRY.replace(b"application", b"\\u0061pplication")),
        ("space after a colon", ENTRY.replace(b'":"', b'": "', 1)),
        ("space at the end", ENTRY + b" "),
        ("line feed at the end", ENTRY + b"\n"),
        ("space at the beginning", b" " + ENTRY),
        ("byte order mark", b"\xef\xbb\xbf" + ENTRY),
        ("something behind", ENTRY + ENTRY),
        ("extra key", ENTRY[:-1] + b',"x":1}'),
        ("extra key in a signature", ENTRY.replace(b'"}]}', b'","x":1}]}')),
        ("a key twice", ENTRY[:-1] + b',"payloadType":"application/vnd.in-toto+json"}'),
        ("other order of keys", json.dumps(dict(reversed(json.loads(ENTRY).items())), separators=(",", ":")).encode()),
        ("key missing", ENTRY.replace(b',"payloadType":"application/vnd.in-toto+json"', b"")),
        ("other payload type", ENTRY.replace(b"in-toto+json", b"in-toto+jsom")),
        ("upper-case key id", with_lines([line | {"keyid": line["keyid"].upper()} for line in lines_of(ENTRY)])),
        ("signatures swapped", with_lines(lines_of(ENTRY)[::-1])),
        ("a signature twice", with_lines(lines_of(ENTRY)[:1] * 2)),
        ("no signature", with_lines([])),
        ("null", b"null"),
        ("nothing", b""),
        ("deep nesting", b"[" * ENTRY_BYTES_MAX),
        ("deep nesting in a field", b'{"payload":' + b"[" * 60_000),
    ],
)
def test_second_spelling_of_an_entry_is_refused(what: str, raw: bytes) -> None:
    assert raw != ENTRY, what
    with pytest.raises(FormatError):
        parse_envelope(raw)


def test_key_under_a_second_key_id_counts_for_nothing() -> None:
    line = EnvelopeSignature(compute_keyid(ALICE[0]), ALICE[1](encode_pae(PAYLOAD_TYPE, PAYLOAD)))
    false = EnvelopeSignature("ff" * 32, line.signature)
    raw = encode_envelope(Envelope(payload=PAYLOAD, signatures=(line, false)))
    with pytest.raises(SignatureError) as caught:
        verify(raw, ALICE, BOB)
    assert caught.value.code == Code.WRONG_KEY


def test_key_listed_twice_counts_once() -> None:
    assert verify(sign_envelope(PAYLOAD, [ALICE]), ALICE, ALICE, BOB) == (ALICE[0],)


def test_signature_moved_under_another_signers_key_id_is_refused() -> None:
    first, second = lines_of(ENTRY)
    swapped = with_lines([first | {"sig": second["sig"]}, second | {"sig": first["sig"]}])
    with pytest.raises(SignatureError) as caught:
        verify(swapped, ALICE, BOB)
    assert caught.value.code == Code.SIGNATURE


def test_signature_by_a_stranger_is_refused_and_not_skipped() -> None:
    with pytest.raises(SignatureError) as caught:
        verify(sign_envelope(PAYLOAD, [ALICE, MALLORY]), ALICE, BOB)
    assert caught.value.code == Code.WRONG_KEY


def test_signature_over_the_bare_payload_is_refused() -> None:
    public_key, sign = ALICE
    with pytest.raises(SignatureError):
        verify(sign_envelope(PAYLOAD, [(public_key, lambda _: sign(PAYLOAD))]), ALICE)


def test_signature_of_an_odd_length_is_refused() -> None:
    for size in (0, 63, 65, 2419, 2421):
        line = EnvelopeSignature("00" * 32, bytes(size))
        with pytest.raises(FormatError):
            encode_envelope(Envelope(payload=PAYLOAD, signatures=(line,)))


def test_ml_dsa_signature_may_stand_beside() -> None:
    lines = (EnvelopeSignature("00" * 32, bytes(64)), EnvelopeSignature("01" * 32, bytes(2420)))
    envelope = Envelope(payload=PAYLOAD, signatures=lines)
    assert parse_envelope(encode_envelope(envelope)) == envelope


def test_more_signatures_than_the_limit_are_refused() -> None:
    def envelope(count: int) -> Envelope:
        lines = tuple(EnvelopeSignature(f"{number:064x}", bytes(64)) for number in range(count))
        return Envelope(payload=PAYLOAD, signatures=lines)

    assert len(parse_envelope(encode_envelope(envelope(SIGNATURES_MAX))).signatures) == SIGNATURES_MAX
    with pytest.raises(FormatError):
        encode_envelope(envelope(SIGNATURES_MAX + 1))


def test_entry_above_the_limit_is_refused_by_size_alone() -> None:
    with pytest.raises(FormatError) as caught:
        parse_envelope(b" " * (ENTRY_BYTES_MAX + 1))
    assert caught.value.code == Code.TOO_LARGE
    largest = (ENTRY_BYTES_MAX - len(sign_envelope(b"{}", [ALICE]))) // 4 * 3
    assert len(sign_envelope(bytes(largest), [ALICE])) <= ENTRY_BYTES_MAX
    with pytest.raises(FormatError):
        sign_envelope(bytes(largest + 4), [ALICE])


def test_empty_payload_is_refused() -> None:
    with pytest.raises(FormatError):
        sign_envelope(b"", [ALICE])
