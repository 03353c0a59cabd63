"""As much of IPv4 and TCP as it takes to break a connection from the middle: whose packet it is, and forging the last.

Source: RFC 791 §3.1, RFC 9293 §3.1, checksum RFC 1071. A receiver takes an RST only at the number it expects next (RFC
5961 §3.2), which a packet under way usually carries, so one that is turned into an RST usually does it.
"""

import ipaddress
import struct
from dataclasses import dataclass
from typing import Final

TCP: Final = 6
ADDRESSES_END: Final = 20
"""Where the addresses of an IPv4 header end; shorter packets are none."""

_SYN: Final = 0x02
_RST: Final = 0x04
_ACK: Final = 0x10
_WINDOW: Final = 0xFFFF
_HEADER_BYTES: Final = 20
_LAYOUT: Final = ">HHIIBBHHH"
_LENGTH_AND_NOTHING: Final = (_HEADER_BYTES // 4) << 4


@dataclass(frozen=True, slots=True)
class Segment:
    """A TCP segment in its packet.

    Attributes:
        packet: the whole.
        sender: address and port.
        receiver: address and port.
        number: of its first byte.
        expected: the number it acknowledges.
        is_opening: whether a connection begins with it, in either direction.
        payload: what it carries.
    """

    packet: bytes
    sender: tuple[bytes, int]
    receiver: tuple[bytes, int]
    number: int
    expected: int
    is_opening: bool
    payload: bytes

    @property
    def flow(self) -> frozenset[tuple[bytes, int]]:
        """Which connection it belongs to, whichever way it goes."""
        return frozenset((self.sender, self.receiver))


def is_ipv4(packet: bytes) -> bool:
    """Say whether this is a packet with addresses."""
    return len(packet) >= ADDRESSES_END and packet[0] >> 4 == 4


def receiver_of(packet: bytes) -> str:
    """Return where an IPv4 packet goes."""
    return str(ipaddress.IPv4Address(packet[16:20]))


def parse_segment(packet: bytes) -> Segment | None:
    """Read a TCP segment; None if this is something else, or a fragment."""
    start = 4 * (packet[0] & 15)
    if packet[9] != TCP or len(packet) < start + _HEADER_BYTES or packet[6] & 0x3F or packet[7]:
        return None
    source, target, number, expected, offset, flags = struct.unpack_from(">HHIIBB", packet, start)
    length = int.from_bytes(packet[2:4], "big")
    return Segment(
        packet=packet,
        sender=(packet[12:16], source),
        receiver=(packet[16:20], target),
        number=number,
        expected=expected,
        is_opening=bool(flags & _SYN),
        payload=packet[start + 4 * (offset >> 4) : length],
    )


def forge_reset_onward(segment: Segment, *, after: int = 0) -> bytes:
    """Make the RST that ends a connection at its receiver, after so many bytes of the segment's payload."""
    bare = _head(segment, (segment.number + after) % 2**32, segment.expected, _RST | _ACK)
    return _seal(segment.sender[0], segment.receiver[0], bare)


def forge_reset_back(segment: Segment) -> bytes:
    """Make the RST that ends a connection at the segment's sender."""
    ports = segment.receiver[1], segment.sender[1]
    bare = struct.pack(_LAYOUT, *ports, segment.expected, 0, _LENGTH_AND_NOTHING, _RST, 0, 0, 0)
    return _seal(segment.receiver[0], segment.sender[0], bare)


def forge_first_half(segment: Segment) -> bytes:
    """Make a segment that carries the first half of its payload."""
    half = segment.payload[: len(segment.payload) // 2]
    bare = _head(segment, segment.number, segment.expected, _ACK) + half
    return _seal(segment.sender[0], segment.receiver[0], bare)


def _head(segment: Segment, number: int, expected: int, flags: int) -> bytes:
    ports = segment.sender[1], segment.receiver[1]
    return struct.pack(_LAYOUT, *ports, number, expected, _LENGTH_AND_NOTHING, flags, _WINDOW, 0, 0)


def _seal(sender: bytes, receiver: bytes, bare: bytes) -> bytes:
    """Put the checksums in, and the IPv4 header before it."""
    pseudo = sender + receiver + struct.pack(">BBH", 0, TCP, len(bare))
    tcp = bare[:16] + struct.pack(">H", compute_checksum(pseudo + bare)) + bare[18:]
    head = struct.pack(">BBHHHBBH4s4s", 0x45, 0, _HEADER_BYTES + len(tcp), 0, 0, 64, TCP, 0, sender, receiver)
    return head[:10] + struct.pack(">H", compute_checksum(head)) + head[12:] + tcp


def compute_checksum(raw: bytes) -> int:
    """Compute the Internet checksum (RFC 1071); over something that carries its own it is 0."""
    padded = raw + bytes(len(raw) % 2)
    total: int = sum(struct.unpack(f">{len(padded) // 2}H", padded))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
