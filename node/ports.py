"""The node's three gRPC servers: for members, for everybody, for the nation itself. Made and bound here, started later.

Members: mutual TLS only. Everybody: plain or with a configured certificate, with standard health and reflection, and
bounds on open calls. The nation: a Unix socket that only its own user may open.
"""

import contextlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import grpc.aio
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509 import load_pem_x509_certificates
from grpc_health.v1 import _async as health_aio
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from ledger.errors import Code, ConditionError
from ledger.limits import MESSAGE_BYTES_MAX
from node.config import PublicSettings
from node.peers import CHANNEL_OPTIONS, PeerServicer
from node.services.guard import Guard
from node.services.operator import OperatorServicer
from node.services.reading import ReadingServicer
from node.services.streams import StreamLimit
from node.services.submission import SubmissionServicer
from node.v1 import (
    operator_pb2_grpc,
    peer_pb2_grpc,
    reading_pb2,
    reading_pb2_grpc,
    submission_pb2,
    submission_pb2_grpc,
)

_SERVER_OPTIONS: Final = (
    ("grpc.so_reuseport", 0),  # a second process on the same port would silently take half of the calls
    ("grpc.http2.min_ping_interval_without_data_ms", 5_000),  # members ping every 10 s, see `node.peers`
    ("grpc.compression_enabled_algorithms_bitset", 1),  # none: a few compressed bytes could become a gigabyte
)
_PUBLIC_OPTIONS: Final = (
    *_SERVER_OPTIONS,
    ("grpc.server_handshake_timeout_ms", 10_000),
    ("grpc.max_send_message_length", MESSAGE_BYTES_MAX),
    ("grpc.keepalive_time_ms", 60_000),  # a caller that is gone holds nothing for longer than this
    ("grpc.keepalive_timeout_ms", 20_000),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.max_connection_idle_ms", 120_000),  # nor does one without a call: who comes back dials again
    ("grpc.max_connection_age_ms", 3_600_000),  # nor does one that is there but never takes its answer
    ("grpc.max_connection_age_grace_ms", 60_000),
)
_MEMBER_STREAMS_MAX: Final = 256
_MEMBER_CONNECTIONS_MAX: Final = 1_024
_PUBLIC_CONNECTIONS_MAX: Final = 4_096  # far fewer than files that may be open, so that files can always be opened
_SERVED: Final = tuple(
    file.DESCRIPTOR.services_by_name[name].full_name
    for file, name in ((submission_pb2, "Submission"), (reading_pb2, "Reading"))
)


class Port:
    """A server of ours that is bound to its address."""

    def __init__(self, server: grpc.aio.Server, guard: Guard) -> None:
        self._server, self._guard = server, guard

    async def start(self) -> None:
        """Begin to serve."""
        await self._server.start()

    async def stop(self, grace_s: float) -> None:
        """Take no more calls, end those that stream, and give the others a while."""
        await self._guard.end_streams()
        await self._server.stop(grace_s)


def make_peer_server(servicer: PeerServicer, address: str, credentials: grpc.ServerCredentials) -> Port:
    """Listen for members.

    Raises:
        ConditionError: `PORT_TAKEN`.
    """
    options = (
        *CHANNEL_OPTIONS,
        *_SERVER_OPTIONS,
        ("grpc.server_handshake_timeout_ms", 5_000),  # a stranger holds one of the places no longer than this
        ("grpc.max_concurrent_streams", _MEMBER_STREAMS_MAX),
        ("grpc.max_allowed_incoming_connections", _MEMBER_CONNECTIONS_MAX),
    )
    guard = Guard()
    server = grpc.aio.server(interceptors=[guard], options=options)
    peer_pb2_grpc.add_PeerServicer_to_server(servicer, server)
    _bind(server, address, credentials, field="peer.listen")
    return Port(server, guard)


def make_public_server(
    submission: SubmissionServicer,
    reading: ReadingServicer,
    health: health_aio.HealthServicer,
    streams: StreamLimit,
    settings: PublicSettings,
) -> Port:
    """Listen for labs and observers.

    Raises:
        ConditionError: `PORT_TAKEN`, or `CONFIG` if the certificate or its key is not usable.
    """
    options = (
        *_PUBLIC_OPTIONS,
        ("grpc.max_receive_message_length", settings.message_bytes_max),
        ("grpc.max_concurrent_streams", settings.streams_max),
        ("grpc.max_allowed_incoming_connections", _PUBLIC_CONNECTIONS_MAX),
    )
    guard = Guard(streams)
    server = grpc.aio.server(
        interceptors=[guard],
        options=options,
        maximum_concurrent_rpcs=4 * settings.streams_max,  # streams, waiting submitters, and as many short calls again
    )
    submission_pb2_grpc.add_SubmissionServicer_to_server(submission, server)
    reading_pb2_grpc.add_ReadingServicer_to_server(reading, server)
    health_pb2_grpc.add_HealthServicer_to_server(health, server)
    names = [*_SERVED, health_pb2.DESCRIPTOR.services_by_name["Health"].full_name, reflection.SERVICE_NAME]
    reflection.enable_server_reflection(names, server)
    _bind(server, str(settings.listen), _public_credentials(settings), field="public.listen")
    return Port(server, guard)


async def say_serving(health: health_aio.HealthServicer) -> None:
    """Say of each public service that it is there."""
    for name in _SERVED:
        await health.set(name, health_pb2.HealthCheckResponse.SERVING)


def make_operator_server(servicer: OperatorServicer, socket: Path) -> Port:
    """Listen on a Unix socket that only this user may open.

    Raises:
        ConditionError: `PORT_TAKEN`, or `CONFIG` if something else stands at its path, or its folder is missing.
    """
    guard = Guard()
    server = grpc.aio.server(interceptors=[guard])
    operator_pb2_grpc.add_OperatorServicer_to_server(servicer, server)
    if not socket.parent.is_dir():
        raise ConditionError(
            field="operator.socket", found=f"no folder {socket.parent}", expected="a folder", code=Code.CONFIG
        )
    if socket.exists():
        if not stat.S_ISSOCK(socket.lstat().st_mode):
            raise ConditionError(
                field="operator.socket", found=f"{socket} is something else", expected="a free path", code=Code.CONFIG
            )
        socket.unlink()  # of a node that was killed: the vote log's lock keeps a second one out
    with _for_this_user_alone():
        _bind(server, f"unix:{socket}", None, field="operator.socket")
    return Port(server, guard)


def _public_credentials(settings: PublicSettings) -> grpc.ServerCredentials | None:
    if settings.tls_certificate is None or settings.tls_key is None:
        return None
    problem = "cannot be read"
    try:
        chain, key = settings.tls_certificate.read_bytes(), settings.tls_key.read_bytes()
        problem = "are not a certificate chain and its key in PEM"
        if load_pem_x509_certificates(chain)[0].public_key() == load_pem_private_key(key, password=None).public_key():
            return grpc.ssl_server_credentials([(key, chain)])
    except (OSError, ValueError, TypeError, UnsupportedAlgorithm) as error:
        problem = f"{problem}: {error}"
    raise ConditionError(
        field="public.tls_certificate and tls_key",
        found=f"{settings.tls_certificate} and {settings.tls_key} {problem}",
        expected="a certificate chain and its key, in PEM, that this user may read",
        code=Code.CONFIG,
    )


def _bind(server: grpc.aio.Server, address: str, credentials: grpc.ServerCredentials | None, *, field: str) -> None:
    try:
        if credentials is None:
            server.add_insecure_port(address)
        else:
            server.add_secure_port(address, credentials)
    except RuntimeError as error:
        raise ConditionError(
            field=field,
            found=f"{address} cannot be listened on",
            expected="an address of this machine with a free port; is another node running?",
            code=Code.PORT_TAKEN,
        ) from error


@contextlib.contextmanager
def _for_this_user_alone() -> Iterator[None]:
    before = os.umask(0o177)
    try:
        yield
    finally:
        os.umask(before)
