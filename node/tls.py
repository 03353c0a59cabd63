r"""TLS between members without an authority: a member's identity key vouches for its certificate.

Rules of this file
1. A member's certificate is self-issued over a P-256 key that is used for nothing else, says that it is no authority,
   and carries exactly one name, `server_name(member id)`, and the *voucher*: an Ed25519 signature by the member's
   identity key. So the certificate can travel over any channel and be replaced without a ceremony.
2. `verify_certificate` believes the identity key (it is in the charter) and nothing else. Only what it returned,
   a `MemberCertificate`, can be made a trust anchor.
3. Who is at the other end is decided by the public key of the certificate it proved to hold, never by a name in it:
   a member can put any name into a certificate that it makes itself.
4. Connections demand and give a certificate. Trusted are exactly the certificates handed over; no system roots.

Voucher message: `counterseal/tls-voucher/v1\n` || u8 length || member id || SHA-256 of the SubjectPublicKeyInfo (32)
|| u64 end of validity in seconds. It names no ledger, so a node can be vouched for before its ledger exists.
Source: RFC 5280 (certificate, SubjectPublicKeyInfo), RFC 8032 (Ed25519), ITU-T X.667 (the extension's identifier).
"""

import hashlib
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import grpc
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from ledger import domains
from ledger.ed25519 import is_ed25519_signature
from ledger.encoding import encode_u64
from ledger.errors import Code, ConditionError, FormatError, SignatureError, shorten
from ledger.limits import IDENTIFIER_CHARACTERS_MAX, KIB, SIGNATURE_BYTES
from ledger.positions import MemberIndex, Seconds
from ledger.statements.dsse import Signer

CERTIFICATE_BYTES_MAX: Final = 16 * KIB
LIFETIME: Final = Seconds(10 * 365 * 86_400)  # rotation is by hand, and an expired certificate would stop the network
BACKDATED: Final = Seconds(86_400)  # clocks that are a little behind must not refuse a fresh certificate
KEY_FILE: Final = "tls.key"
CERTIFICATE_FILE: Final = "tls.pem"

# An identifier made from a UUID needs no registry (X.667): 2.25.<the UUID as a number>.
VOUCHER_OID: Final = x509.ObjectIdentifier("2.25.92210739354808722659234680661766484565")
_OCTET_STRING: Final = bytes((0x04, SIGNATURE_BYTES))  # DER: an OCTET STRING of 64 bytes


@dataclass(frozen=True, slots=True)
class TlsKey:
    """A node's own TLS key and certificate, both PEM."""

    private_key: bytes = field(repr=False)
    certificate: bytes


@dataclass(frozen=True, slots=True)
class MemberCertificate:
    """A certificate that a member's identity key vouches for; made by `verify_certificate` alone."""

    member_id: str
    spki_hash: bytes
    not_after: Seconds
    pem: bytes


def server_name(member_id: str) -> str:
    """The name in a member's certificate; it belongs to no domain (RFC 6761 §6.4)."""
    return f"{member_id}.member.counterseal.invalid"


def compute_voucher_message(*, member_id: str, spki_hash: bytes, not_after: Seconds) -> bytes:
    """The bytes that a member's identity key signs."""
    name = member_id.encode("ascii")
    assert 0 < len(name) <= IDENTIFIER_CHARACTERS_MAX
    assert len(spki_hash) == hashlib.sha256().digest_size
    return domains.TLS_VOUCHER + bytes((len(name),)) + name + spki_hash + encode_u64(not_after)


def verify_voucher(voucher: bytes, *, member_id: str, spki_hash: bytes, not_after: Seconds, identity: bytes) -> None:
    """Check that a member vouches for a TLS key.

    Args:
        voucher: the signature.
        member_id: whose key it is said to be.
        spki_hash: SHA-256 of the TLS key's SubjectPublicKeyInfo.
        not_after: until when the member vouches.
        identity: the member's Ed25519 identity key, which this function believes.

    Raises:
        SignatureError: `tls.voucher`.
    """
    message = compute_voucher_message(member_id=member_id, spki_hash=spki_hash, not_after=not_after)
    if not is_ed25519_signature(identity, voucher, message):
        raise SignatureError(field="tls.voucher", found=voucher.hex(), expected=f"a signature by member {member_id}")


def issue_certificate(
    *,
    member_id: str,
    sign: Signer,
    now: Seconds,
    lifetime: Seconds = LIFETIME,
    key: ec.EllipticCurvePrivateKey | None = None,
) -> TlsKey:
    """Make a fresh TLS key (unless given one) and the certificate that the identity key vouches for.

    Args:
        member_id: as in the charter.
        sign: the member's identity key.
        now: the time it is issued at.
        lifetime: how long it is valid.
        key: the P-256 key to certify; a fresh one by default.
    """
    key = ec.generate_private_key(ec.SECP256R1()) if key is None else key
    not_after = Seconds(now + lifetime)
    spki_hash = _compute_spki_hash(key.public_key())
    voucher = sign(compute_voucher_message(member_id=member_id, spki_hash=spki_hash, not_after=not_after))
    assert len(voucher) == SIGNATURE_BYTES
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, member_id)])
    usage = x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(_moment(Seconds(now - BACKDATED)))
        .not_valid_after(_moment(not_after))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False
        )
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(server_name(member_id))]), critical=False)
        .add_extension(x509.UnrecognizedExtension(VOUCHER_OID, _OCTET_STRING + voucher), critical=False)
        .sign(key, hashes.SHA256())
    )
    return TlsKey(
        private_key=key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ),
        certificate=certificate.public_bytes(serialization.Encoding.PEM),
    )


def verify_certificate(pem: bytes, *, member_id: str, identity: bytes, now: Seconds) -> MemberCertificate:
    """Check that a certificate is the member's own, of the form of rule 1, and valid now.

    Args:
        pem: one certificate, as it came.
        member_id: whose it is said to be.
        identity: that member's identity key, which this function believes.
        now: the time at which it must be valid.

    Raises:
        FormatError: `tls.certificate…`: not one certificate, or not of the form.
        SignatureError: `tls.voucher` or `tls.certificate.signature`.
        ConditionError: `tls.certificate.validity`: expired, or not valid yet.
    """
    shown = _parse_certificate(pem)
    _require_form(shown, member_id)
    try:
        shown.certificate.verify_directly_issued_by(shown.certificate)
    except (InvalidSignature, *_MALFORMED):
        raise SignatureError(
            field="tls.certificate.signature", found="another's", expected="the certificate's own key"
        ) from None
    verify_voucher(
        shown.voucher, member_id=member_id, spki_hash=shown.spki_hash, not_after=shown.not_after, identity=identity
    )
    if not shown.not_before <= now <= shown.not_after:
        raise ConditionError(
            field="tls.certificate.validity",
            found=f"{_moment(shown.not_before):%Y-%m-%d} to {_moment(shown.not_after):%Y-%m-%d}",
            expected=f"validity at {_moment(now):%Y-%m-%d}; issue a new one and hand it to the other members",
            code=Code.CONFIG,
        )
    canonical = shown.certificate.public_bytes(serialization.Encoding.PEM)
    return MemberCertificate(member_id=member_id, spki_hash=shown.spki_hash, not_after=shown.not_after, pem=canonical)


# What cryptography raises, lazily, for certificates that are none or that it cannot read.
_MALFORMED: Final = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.InvalidVersion,
    x509.ExtensionNotFound,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)


@dataclass(frozen=True, slots=True)
class _ShownCertificate:
    """What a certificate says of itself, all of it read and none of it believed."""

    certificate: x509.Certificate
    spki_hash: bytes
    not_before: Seconds
    not_after: Seconds
    is_authority: bool
    names: list[x509.GeneralName]
    voucher: bytes


def _parse_certificate(pem: bytes) -> _ShownCertificate:
    if len(pem) > CERTIFICATE_BYTES_MAX:
        raise FormatError(
            field="tls.certificate", found=f"{len(pem)} bytes", expected=f"at most {CERTIFICATE_BYTES_MAX}"
        )
    try:
        certificates = x509.load_pem_x509_certificates(pem)
    except _MALFORMED:
        raise FormatError(field="tls.certificate", found="other bytes", expected="a certificate in PEM") from None
    if len(certificates) != 1:
        raise FormatError(field="tls.certificate", found=f"{len(certificates)} certificates", expected="one")
    certificate = certificates[0]
    try:
        key, extensions = _require_p256(certificate.public_key()), certificate.extensions
        constraints = extensions.get_extension_for_class(x509.BasicConstraints).value
        usage = extensions.get_extension_for_class(x509.KeyUsage).value
        voucher = extensions.get_extension_for_oid(VOUCHER_OID).value
        return _ShownCertificate(
            certificate=certificate,
            spki_hash=_compute_spki_hash(key),
            not_before=Seconds(int(certificate.not_valid_before_utc.timestamp())),
            not_after=Seconds(int(certificate.not_valid_after_utc.timestamp())),
            is_authority=constraints.ca or usage.key_cert_sign,
            names=list(extensions.get_extension_for_class(x509.SubjectAlternativeName).value),
            voucher=_decode_voucher(voucher),
        )
    except FormatError:
        raise
    except _MALFORMED as error:
        raise FormatError(
            field="tls.certificate", found=shorten(str(error)), expected="key and extensions of a member's certificate"
        ) from None


def _require_p256(key: object) -> ec.EllipticCurvePublicKey:
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise FormatError(field="tls.certificate.key", found=type(key).__name__, expected="a P-256 key")
    return key


def _decode_voucher(extension: x509.ExtensionType) -> bytes:
    raw = extension.value if isinstance(extension, x509.UnrecognizedExtension) else b""
    if len(raw) != len(_OCTET_STRING) + SIGNATURE_BYTES or not raw.startswith(_OCTET_STRING):
        raise FormatError(field="tls.voucher", found=f"{len(raw)} bytes", expected=f"{SIGNATURE_BYTES} in a string")
    return raw.removeprefix(_OCTET_STRING)


def _require_form(shown: _ShownCertificate, member_id: str) -> None:
    """Check that a certificate is no authority, has the member's name alone, and is encoded as all others are."""
    if shown.is_authority:
        raise FormatError(field="tls.certificate.authority", found="an authority", expected="an end certificate")
    if shown.names != [x509.DNSName(server_name(member_id))]:
        raise FormatError(field="tls.certificate.names", found=str(shown.names), expected=server_name(member_id))
    # A BIT STRING begins with the number of unused bits; the parser lets several numbers pass for a signature.
    if not shown.certificate.public_bytes(serialization.Encoding.DER).endswith(b"\0" + shown.certificate.signature):
        raise FormatError(field="tls.certificate.signature", found="unused bits", expected="none")


def make_server_credentials(own: TlsKey, trusted: Sequence[MemberCertificate]) -> grpc.ServerCredentials:
    """Credentials of a server that talks to the members given and to nobody else."""
    assert trusted, "without a root, gRPC would ask no one for a certificate"
    return grpc.ssl_server_credentials(
        [(own.private_key, own.certificate)], root_certificates=_join(trusted), require_client_auth=True
    )


def make_channel_credentials(own: TlsKey, trusted: Sequence[MemberCertificate]) -> grpc.ChannelCredentials:
    """Credentials of a client that talks to the members given; name the one meant by its `server_name`."""
    assert trusted, "without a root, gRPC would trust the system's"
    return grpc.ssl_channel_credentials(
        root_certificates=_join(trusted), private_key=own.private_key, certificate_chain=own.certificate
    )


def make_identifier(
    members: Mapping[MemberIndex, MemberCertificate],
) -> Callable[[Mapping[str, Iterable[bytes]]], MemberIndex | None]:
    """Return the function that names a member from the auth context of a connection, or None for a stranger."""
    by_key = {certificate.spki_hash: member for member, certificate in members.items()}
    assert len(by_key) == len(members), "two members cannot have one key"

    def identify(auth_context: Mapping[str, Iterable[bytes]]) -> MemberIndex | None:
        shown = list(auth_context.get("x509_pem_cert", ()))
        if len(shown) != 1:
            return None
        try:
            return by_key.get(_parse_certificate(shown[0]).spki_hash)
        except FormatError:
            return None

    return identify


def write_tls_key(folder: Path, key: TlsKey) -> None:
    """Keep key and certificate in `folder`; the key's file is readable by its owner alone from its first byte on."""
    for name, raw, mode in ((KEY_FILE, key.private_key, 0o600), (CERTIFICATE_FILE, key.certificate, 0o644)):
        fresh = folder / f"{name}.new"
        fresh.unlink(missing_ok=True)
        with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:  # noqa: PTH123 - mode
            file.write(raw)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(folder / name)


def read_tls_key(folder: Path) -> TlsKey:
    """Read what `write_tls_key` wrote.

    Raises:
        ConditionError: `CONFIG`: missing, or readable by others; `KEY_FILE_DAMAGED`: key and certificate do not match.
        FormatError: the certificate is not of a member's form.
    """
    key_file = folder / KEY_FILE
    try:
        if key_file.stat().st_mode & 0o077:
            raise ConditionError(
                field=str(key_file), found="readable by others", expected=f"chmod 600 {key_file}", code=Code.CONFIG
            )
        private_key, certificate = key_file.read_bytes(), (folder / CERTIFICATE_FILE).read_bytes()
    except OSError as error:
        raise ConditionError(
            field=str(error.filename), found=error.strerror or "", expected="the node's TLS key", code=Code.CONFIG
        ) from error
    try:
        loaded = serialization.load_pem_private_key(private_key, password=None)
    except (ValueError, TypeError):
        loaded = None
    shown = _parse_certificate(certificate)
    if not isinstance(loaded, ec.EllipticCurvePrivateKey) or _compute_spki_hash(loaded.public_key()) != shown.spki_hash:
        raise ConditionError(
            field=str(key_file), found="another key", expected="the key of tls.pem", code=Code.KEY_FILE_DAMAGED
        )
    return TlsKey(private_key=private_key, certificate=certificate)


def _compute_spki_hash(key: ec.EllipticCurvePublicKey) -> bytes:
    encoding, form = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    return hashlib.sha256(key.public_bytes(encoding, form)).digest()


def _join(trusted: Sequence[MemberCertificate]) -> bytes:
    return b"".join(certificate.pem for certificate in trusted)


def _moment(seconds: Seconds) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
