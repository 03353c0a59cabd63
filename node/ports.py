"""The node's three gRPC servers: for members, for everybody, for the nation itself. Made and bound here, started later.

Members: mutual TLS only. Everybody: plain or with a configured certificate, with standard health and reflection, and a
bound on open calls. The nation: a Unix socket that only its own user may open.
"""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import grpc.aio
from grpc_health.v1 import _async as health_aio
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from ledger.errors import Code, ConditionError
from node.config import PublicSettings
from node.peers import CHANNEL_OPTIONS, PeerServicer
from node.services.operator import OperatorServicer
from node.services.reading import ReadingServicer
from node.services.submission import SubmissionServicer
from node.v1 import (
    operator_pb2_grpc,
    peer_pb2_grpc,
    reading_pb2,
    reading_pb2_grpc,
    submission_pb2,
    submission_pb2_grpc,
)

# A second process on the same port would silently take half of the calls.
_ALONE = (("grpc.so_reuseport", 0),)


def make_peer_server(servicer: PeerServicer, address: str, credentials: grpc.ServerCredentials) -> grpc.aio.Server:
    """Listen for members.

    Raises:
        ConditionError: `PORT_TAKEN`.
    """
    server = grpc.aio.server(options=(*CHANNEL_OPTIONS, *_ALONE))
    peer_pb2_grpc.add_PeerServicer_to_server(servicer, server)
    _bind(server, address, credentials, field="peer.listen")
    return server


def make_public_server(
    submission: SubmissionServicer, reading: ReadingServicer, settings: PublicSettings
) -> grpc.aio.Server:
    """Listen for labs and observers.

    Raises:
        ConditionError: `PORT_TAKEN`.
        OSError: the configured certificate cannot be read.
    """
    options = (
        ("grpc.max_send_message_length", settings.message_bytes_max),
        ("grpc.max_receive_message_length", settings.message_bytes_max),
        *_ALONE,
    )
    server = grpc.aio.server(options=options, maximum_concurrent_rpcs=2 * settings.streams_max)
    submission_pb2_grpc.add_SubmissionServicer_to_server(submission, server)
    reading_pb2_grpc.add_ReadingServicer_to_server(reading, server)
    health_pb2_grpc.add_HealthServicer_to_server(health_aio.HealthServicer(), server)
    files = ((submission_pb2, "Submission"), (reading_pb2, "Reading"), (health_pb2, "Health"))
    names = [file.DESCRIPTOR.services_by_name[name].full_name for file, name in files]
    reflection.enable_server_reflection([*names, reflection.SERVICE_NAME], server)
    _bind(server, str(settings.listen), _public_credentials(settings), field="public.listen")
    return server


def make_operator_server(servicer: OperatorServicer, socket: Path) -> grpc.aio.Server:
    """Listen on a Unix socket that only this user may open.

    Raises:
        ConditionError: `PORT_TAKEN`.
    """
    server = grpc.aio.server()
    operator_pb2_grpc.add_OperatorServicer_to_server(servicer, server)
    socket.unlink(missing_ok=True)
    with _for_this_user_alone():
        _bind(server, f"unix:{socket}", None, field="operator.socket")
    return server


def _public_credentials(settings: PublicSettings) -> grpc.ServerCredentials | None:
    if settings.tls_certificate is None or settings.tls_key is None:
        return None
    return grpc.ssl_server_credentials([(settings.tls_key.read_bytes(), settings.tls_certificate.read_bytes())])


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
