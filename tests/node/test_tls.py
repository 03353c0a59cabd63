"""TLS between members: what a certificate must be, and, over real connections, who gets through."""

import asyncio
from base64 import b64encode
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
import grpc.aio
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from ledger.errors import Code, ConditionError, FormatError, LedgerError, SignatureError
from ledger.positions import MemberIndex, Seconds
from node.tls import (
    CERTIFICATE_BYTES_MAX,
    KEY_FILE,
    VOUCHER_OID,
    MemberCertificate,
    TlsKey,
    compute_voucher_message,
    issue_certificate,
    make_channel_credentials,
    make_identifier,
    make_server_credentials,
    read_tls_key,
    server_name,
    verify_certificate,
    verify_voucher,
    write_tls_key,
)

# TLS itself looks at the machine's clock, so the certificates of these tests are issued by it.
NOW = Seconds(int(datetime.now(UTC).timestamp()))
CALL_TIMEOUT_S = 20


class Nation:
    """A member's identity, and certificates it issues."""

    def __init__(self, member_id: str, *, called: str | None = None) -> None:
        self.id = member_id
        self.identity = ed25519.Ed25519PrivateKey.generate()
        self.public = self.identity.public_key().public_bytes_raw()
        self.own = issue_certificate(member_id=called or member_id, sign=self.identity.sign, now=NOW)

    def verified(self) -> MemberCertificate:
        return verify_certificate(self.own.certificate, member_id=self.id, identity=self.public, now=NOW)


@pytest.fixture(scope="module")
def aa() -> Nation:
    return Nation("aa")


@pytest.fixture(scope="module")
def bb() -> Nation:
    return Nation("bb")


def forge(identity: ed25519.Ed25519PrivateKey, *changed: str) -> bytes:
    """A certificate with the voucher right and one thing about its form wrong."""
    key = ec.generate_private_key(ec.SECP384R1() if "curve" in changed else ec.SECP256R1())
    spki = key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    digest = hashes.Hash(hashes.SHA256())
    digest.update(spki)
    not_after = Seconds(NOW + 1000)
    voucher = identity.sign(compute_voucher_message(member_id="aa", spki_hash=digest.finalize(), not_after=not_after))
    name = x509.Name([x509.NameAttribute(x509.oid.NameOID.COMMON_NAME, "aa")])
    names = [x509.DNSName(text) for text in (server_name("aa"), *([server_name("bb")] if "names" in changed else []))]
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(5)
        .not_valid_before(datetime.fromtimestamp(NOW - 1000, UTC))
        .not_valid_after(datetime.fromtimestamp(not_after, UTC))
        .add_extension(x509.BasicConstraints(ca="ca" in changed, path_length=None), critical=True)
        .add_extension(
            x509.KeyUsage(True, False, False, False, False, "sign" in changed, False, False, False), critical=True
        )
    )
    if "no_names" not in changed:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    if "no_voucher" not in changed:
        raw = voucher if "bare" in changed else b"\x04\x40" + voucher
        builder = builder.add_extension(x509.UnrecognizedExtension(VOUCHER_OID, raw), critical=False)
    signer = ec.generate_private_key(ec.SECP256R1()) if "foreign" in changed else key
    return builder.sign(signer, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def test_the_voucher_message_is_as_specified() -> None:
    message = compute_voucher_message(member_id="aa", spki_hash=bytes(range(32)), not_after=Seconds(258))
    assert message == b"counterseal/tls-voucher/v1\n\x02aa" + bytes(range(32)) + b"\0\0\0\0\0\0\x01\x02"


def test_a_certificate_that_its_member_vouches_for_is_verified(aa: Nation) -> None:
    verified = aa.verified()
    assert verified.member_id == "aa"
    assert verified.pem == aa.own.certificate
    assert verified.not_after > NOW


def test_the_form_that_others_break_below_is_accepted_unbroken(aa: Nation) -> None:
    pem = forge(aa.identity)
    assert verify_certificate(pem, member_id="aa", identity=aa.public, now=NOW).member_id == "aa"


@pytest.mark.parametrize("wrong", ["curve", "names", "ca", "sign", "no_names", "no_voucher", "bare", "foreign"])
def test_a_certificate_of_another_form_is_refused(aa: Nation, wrong: str) -> None:
    with pytest.raises((FormatError, SignatureError)):
        verify_certificate(forge(aa.identity, wrong), member_id="aa", identity=aa.public, now=NOW)


def test_a_voucher_by_another_identity_is_refused(aa: Nation, bb: Nation) -> None:
    with pytest.raises(SignatureError, match=r"tls\.voucher"):
        verify_certificate(aa.own.certificate, member_id="aa", identity=bb.public, now=NOW)


def test_a_certificate_is_no_other_members(aa: Nation) -> None:
    with pytest.raises(FormatError, match="names"):
        verify_certificate(aa.own.certificate, member_id="bb", identity=aa.public, now=NOW)


@pytest.mark.parametrize("changed", ["member_id", "spki_hash", "not_after"])
def test_a_voucher_binds_each_of_its_parts(aa: Nation, changed: str) -> None:
    spki_hash, not_after = bytes(32), Seconds(9)
    voucher = aa.identity.sign(compute_voucher_message(member_id="aa", spki_hash=spki_hash, not_after=not_after))
    verify_voucher(voucher, member_id="aa", spki_hash=spki_hash, not_after=not_after, identity=aa.public)
    with pytest.raises(SignatureError):
        verify_voucher(
            voucher,
            member_id="ab" if changed == "member_id" else "aa",
            spki_hash=bytes([1]) + bytes(31) if changed == "spki_hash" else spki_hash,
            not_after=Seconds(10) if changed == "not_after" else not_after,
            identity=aa.public,
        )


@pytest.mark.parametrize("shift_s", [-2 * 86_400, 11 * 365 * 86_400])
def test_a_certificate_outside_its_time_is_refused(aa: Nation, shift_s: int) -> None:
    with pytest.raises(ConditionError, match="validity"):
        verify_certificate(aa.own.certificate, member_id="aa", identity=aa.public, now=Seconds(NOW + shift_s))


def test_two_certificates_in_one_file_are_refused(aa: Nation, bb: Nation) -> None:
    with pytest.raises(FormatError, match="2 certificates"):
        verify_certificate(aa.own.certificate + bb.own.certificate, member_id="aa", identity=aa.public, now=NOW)


def test_an_oversized_file_is_refused_unread(aa: Nation) -> None:
    with pytest.raises(FormatError, match="at most"):
        verify_certificate(b" " * CERTIFICATE_BYTES_MAX + b"x", member_id="aa", identity=aa.public, now=NOW)


@pytest.mark.filterwarnings(
    "ignore:Parsed a serial number"
)  # some bits make it negative, which a later release refuses
def test_every_changed_bit_is_refused(aa: Nation) -> None:
    der = x509.load_pem_x509_certificate(aa.own.certificate).public_bytes(serialization.Encoding.DER)
    for place in range(len(der)):
        for bit in range(8):
            changed = bytearray(der)
            changed[place] ^= 1 << bit
            pem = b"-----BEGIN CERTIFICATE-----\n" + b64encode(changed) + b"\n-----END CERTIFICATE-----\n"
            with pytest.raises(LedgerError):
                verify_certificate(pem, member_id="aa", identity=aa.public, now=NOW)


def test_a_key_file_reads_back_and_is_its_owners_alone(aa: Nation, tmp_path: Path) -> None:
    write_tls_key(tmp_path, aa.own)
    write_tls_key(tmp_path, aa.own)
    assert read_tls_key(tmp_path) == aa.own
    assert (tmp_path / KEY_FILE).stat().st_mode & 0o777 == 0o600


def test_a_key_file_that_others_can_read_is_refused(aa: Nation, tmp_path: Path) -> None:
    write_tls_key(tmp_path, aa.own)
    (tmp_path / KEY_FILE).chmod(0o640)
    with pytest.raises(ConditionError, match="chmod 600"):
        read_tls_key(tmp_path)


def test_a_key_that_is_not_the_certificates_is_refused(aa: Nation, bb: Nation, tmp_path: Path) -> None:
    write_tls_key(tmp_path, replace(aa.own, private_key=bb.own.private_key))
    with pytest.raises(ConditionError) as refused:
        read_tls_key(tmp_path)
    assert refused.value.code is Code.KEY_FILE_DAMAGED


def test_a_missing_key_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConditionError, match=r"tls\.key"):
        read_tls_key(tmp_path)


def test_a_key_does_not_show_in_print(aa: Nation) -> None:
    assert "PRIVATE" not in repr(aa.own)


# --- real connections ------------------------------------------------------------------------------------------------


@asynccontextmanager
async def serve(credentials: grpc.ServerCredentials, members: Mapping[MemberIndex, Nation]) -> AsyncIterator[int]:
    """A server on loopback that answers each call with the number of the member who made it."""
    identify = make_identifier({index: nation.verified() for index, nation in members.items()})

    async def answer(request: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
        return request + str(identify(context.auth_context())).encode()

    server = grpc.aio.server()
    handler: grpc.RpcMethodHandler[bytes, bytes] = grpc.unary_unary_rpc_method_handler(answer)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.Who", {"Am": handler}),))
    port = server.add_secure_port("127.0.0.1:0", credentials)
    await server.start()
    try:
        yield port
    finally:
        await server.stop(grace=None)


async def ask(port: int, credentials: grpc.ChannelCredentials, *, expecting: str) -> bytes:
    options = (("grpc.ssl_target_name_override", server_name(expecting)), ("grpc.enable_retries", 0))
    async with grpc.aio.secure_channel(f"127.0.0.1:{port}", credentials, options=options) as channel:
        call = channel.unary_unary("/test.Who/Am", request_serializer=bytes, response_deserializer=bytes)
        return bytes(await call(b"member ", timeout=CALL_TIMEOUT_S))


def server_of(own: Nation, trusted: Sequence[Nation]) -> grpc.ServerCredentials:
    return make_server_credentials(own.own, [nation.verified() for nation in trusted])


def client_of(own: TlsKey, trusted: Sequence[Nation]) -> grpc.ChannelCredentials:
    return make_channel_credentials(own, [nation.verified() for nation in trusted])


async def test_a_member_is_let_in_and_identified(aa: Nation, bb: Nation) -> None:
    cc = Nation("cc")
    members = {MemberIndex(2): bb, MemberIndex(3): cc}
    async with serve(server_of(aa, [bb, cc]), members) as port:
        async with asyncio.timeout(CALL_TIMEOUT_S):
            assert await ask(port, client_of(bb.own, [aa, cc]), expecting="aa") == b"member 2"
            assert await ask(port, client_of(cc.own, [aa, bb]), expecting="aa") == b"member 3"


async def test_a_stranger_with_another_certificate_is_refused(aa: Nation, bb: Nation) -> None:
    stranger = Nation("bb")  # the same name, another key
    async with serve(server_of(aa, [bb]), {MemberIndex(2): bb}) as port:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await ask(port, client_of(stranger.own, [aa]), expecting="aa")
        assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
        assert await ask(port, client_of(bb.own, [aa]), expecting="aa") == b"member 2"


async def test_a_client_without_certificate_is_refused(aa: Nation, bb: Nation) -> None:
    async with serve(server_of(aa, [bb]), {MemberIndex(2): bb}) as port:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await ask(port, grpc.ssl_channel_credentials(root_certificates=aa.own.certificate), expecting="aa")
        assert refused.value.code() is grpc.StatusCode.UNAVAILABLE


async def test_a_member_cannot_pass_for_another_as_a_server(aa: Nation, bb: Nation) -> None:
    async with serve(server_of(bb, [aa]), {MemberIndex(1): aa}) as port:
        cc = Nation("cc")
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await ask(port, client_of(aa.own, [bb, cc]), expecting="cc")
        assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
        assert await ask(port, client_of(aa.own, [bb, cc]), expecting="bb") == b"member 1"


async def test_a_certificate_issued_by_a_members_tls_key_opens_nothing(aa: Nation, bb: Nation) -> None:
    issuer_key = serialization.load_pem_private_key(bb.own.private_key, password=None)
    assert isinstance(issuer_key, ec.EllipticCurvePrivateKey)
    issuer = x509.load_pem_x509_certificate(bb.own.certificate)
    key = ec.generate_private_key(ec.SECP256R1())
    issued = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(x509.oid.NameOID.COMMON_NAME, "cc")]))
        .issuer_name(issuer.subject)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(issuer.not_valid_before_utc)
        .not_valid_after(issuer.not_valid_before_utc + timedelta(days=30))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(server_name("cc"))]), critical=False)
        .sign(issuer_key, hashes.SHA256())
    )
    child = TlsKey(
        private_key=key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ),
        certificate=issued.public_bytes(serialization.Encoding.PEM) + bb.own.certificate,
    )
    async with serve(server_of(aa, [bb]), {MemberIndex(2): bb}) as port:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await ask(port, client_of(child, [aa]), expecting="aa")
        assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
    credentials = grpc.ssl_server_credentials(
        [(child.private_key, child.certificate)], root_certificates=aa.own.certificate, require_client_auth=True
    )
    async with serve(credentials, {MemberIndex(1): aa}) as port:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await ask(port, client_of(aa.own, [bb]), expecting="cc")
        assert refused.value.code() is grpc.StatusCode.UNAVAILABLE


def test_a_connection_without_one_known_certificate_names_no_member(aa: Nation, bb: Nation) -> None:
    identify = make_identifier({MemberIndex(1): aa.verified()})
    assert identify({"x509_pem_cert": [aa.own.certificate]}) == 1
    assert identify({"x509_pem_cert": [bb.own.certificate]}) is None
    assert identify({"x509_pem_cert": [b"garbage"]}) is None
    assert identify({"x509_pem_cert": [aa.own.certificate, aa.own.certificate]}) is None
    assert identify({}) is None
