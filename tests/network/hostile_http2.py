"""Just enough HTTP/2 (RFC 9113) to misbehave with: a caller that opens streams by the thousand and never reads.

Its window is zero, so a server that sends must wait; it ignores every limit it is told of. Headers are HPACK literals
without indexing (RFC 7541 §6.2.2). What comes in is only counted.
"""

import select
import socket
import struct
from types import TracebackType
from typing import Final, Self

PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
HEADERS, DATA, RST_STREAM, SETTINGS, PING, GOAWAY = 0x1, 0x0, 0x3, 0x4, 0x6, 0x7
END_STREAM, END_HEADERS, ACK = 0x1, 0x4, 0x1
INITIAL_WINDOW_SIZE: Final = 0x4
SOURCE: Final = "127.0.0.2"


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + payload


def literal(name: bytes, value: bytes) -> bytes:
    """One header field, neither indexed nor compressed; both parts shorter than 127 bytes."""
    assert max(len(name), len(value)) < 127
    return bytes((0, len(name))) + name + bytes((len(value),)) + value


def grpc_message(raw: bytes) -> bytes:
    return b"\0" + struct.pack(">I", len(raw)) + raw


class HostileCaller:
    """One connection, from an address of this machine's that others do not use."""

    def __init__(self, address: str, *, window: int = 0) -> None:
        host, _, port = address.rpartition(":")
        self._socket = socket.create_connection((host, int(port)), timeout=20, source_address=(SOURCE, 0))
        self._next_stream = 1
        self._incoming = b""
        self.refused_streams = 0
        self.is_closed_by_server = False
        settings = struct.pack(">HI", INITIAL_WINDOW_SIZE, window)
        self._socket.sendall(PREFACE + frame(SETTINGS, 0, 0, settings))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def open(self, method: str, message: bytes | None = b"", *, is_ended: bool = True) -> int:
        """Begin a call; with `message` None only its headers are sent."""
        stream = self._next_stream
        self._next_stream += 2
        fields = {
            b":method": b"POST",
            b":scheme": b"http",
            b":path": method.encode(),
            b":authority": b"node",
            b"te": b"trailers",
            b"content-type": b"application/grpc",
        }
        block = b"".join(literal(name, value) for name, value in fields.items())
        self._send(frame(HEADERS, END_HEADERS, stream, block))
        if message is not None:
            self._send(frame(DATA, END_STREAM if is_ended else 0, stream, grpc_message(message)))
        return stream

    def send_part(self, stream: int, raw: bytes) -> None:
        """Send bytes of a call that may be no whole message."""
        self._send(frame(DATA, 0, stream, raw))

    def _send(self, raw: bytes) -> None:
        try:
            self._socket.sendall(raw)
        except OSError:
            self.is_closed_by_server = True

    def look(self) -> None:
        """Take in what is there, answer pings and settings so that the connection is kept, and count refusals."""
        while select.select([self._socket], [], [], 0)[0]:
            try:
                came = self._socket.recv(1 << 16)
            except OSError:
                came = b""
            if not came:
                self.is_closed_by_server = True
                return
            self._incoming += came
            while len(self._incoming) >= 9 and len(self._incoming) >= 9 + int.from_bytes(self._incoming[:3], "big"):
                end = 9 + int.from_bytes(self._incoming[:3], "big")
                self._on_frame(self._incoming[3], self._incoming[4], self._incoming[9:end])
                self._incoming = self._incoming[end:]

    def _on_frame(self, kind: int, flags: int, payload: bytes) -> None:
        if kind == SETTINGS and not flags & ACK:
            self._send(frame(SETTINGS, ACK, 0, b""))
        elif kind == PING and not flags & ACK:
            self._send(frame(PING, ACK, 0, payload))
        elif kind == RST_STREAM:
            self.refused_streams += 1
        elif kind == GOAWAY:
            self.is_closed_by_server = True

    def close(self) -> None:
        """Cut the connection without a word."""
        self._socket.close()
