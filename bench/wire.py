"""Puts conversations on the wire: TCP segments in Ethernet frames, with mischief, in a capture file.

Checksums are right, because some tools look at them.
"""

from __future__ import annotations

import ipaddress
import struct
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from random import Random

FIN, SYN, PSH, ACK = 0x01, 0x02, 0x08, 0x10
MSS = 1460
LOOPBACK_MSS = 65_483
"""What fits into one frame of Linux's loopback interface, whose MTU is 65,536."""

FILE_HEADER = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262_144, 1)
_record = struct.Struct("<IIII").pack
_tcp = struct.Struct(">HHIIBBHHH").pack
_ipv4 = struct.Struct(">BBHHHBBH").pack
_ipv6 = struct.Struct(">IHBB").pack
_udp = struct.Struct(">HHHH").pack
_MACS = b"\x02\x00\x00\x00\x00\x01\x02\x00\x00\x00\x00\x02"
_TCP, _UDP = 6, 17
_MASK = 0xFFFFFFFF
_ONES = 0xFFFF  # modulo this, adding up 16-bit words is what RFC 1071 calls their one's complement sum

Turn = tuple[str, bytes]
"""What one side says, "C" for the client or "S" for the server."""


class Ends(NamedTuple):
    """The two ends of a connection: addresses as text, and ports."""

    client: str
    client_port: int
    server: str
    server_port: int


class Segment(NamedTuple):
    """One TCP segment before it is put into a frame."""

    side: str
    sequence: int
    acknowledgment: int
    flags: int
    payload: bytes


def segments(turns: Iterable[Turn], random: Random, mss: int = MSS) -> list[Segment]:
    """Return the segments of a connection, opened and closed, in which the turns are spoken.

    Every second segment is acknowledged at once, as hosts do (RFC 9293, section 3.8.6.3).
    """
    at = {"C": random.getrandbits(32), "S": random.getrandbits(32)}
    out = [
        Segment("C", at["C"], 0, SYN, b""),
        Segment("S", at["S"], at["C"] + 1, SYN | ACK, b""),
        Segment("C", at["C"] + 1, at["S"] + 1, ACK, b""),
    ]
    at = {side: number + 1 for side, number in at.items()}
    for side, text in turns:
        peer = "S" if side == "C" else "C"
        for count, start in enumerate(range(0, len(text), mss)):
            payload = text[start : start + mss]
            out.append(Segment(side, at[side], at[peer], PSH | ACK, payload))
            at[side] += len(payload)
            if count % 2:
                out.append(Segment(peer, at[peer], at[side], ACK, b""))
    out.append(Segment("C", at["C"], at["S"], FIN | ACK, b""))
    out.append(Segment("S", at["S"], at["C"] + 1, FIN | ACK, b""))
    out.append(Segment("C", at["C"] + 1, at["S"] + 1, ACK, b""))
    return out


def disturbed(calm: Sequence[Segment], random: Random) -> list[Segment]:
    """Return the segments as a bad path delivers them: some overtake their neighbour, some come twice.

    Only what one side sent changes places, and no byte is missing.
    """
    out = list(calm)
    for _ in range(1 + len(out) // 40):
        at = random.randrange(3, len(out) - 3)
        one, two = out[at], out[at + 1]
        if one.side == two.side and one.payload and two.payload and not two.flags & FIN:
            out[at : at + 2] = [two, one]
        elif one.payload:
            out.insert(min(at + random.randrange(1, 6), len(out) - 3), one)
    return out


def frames(heard: Iterable[Segment], ends: Ends) -> Iterator[bytes]:
    """Yield the frames that carry those segments."""
    headers = {"C": _Header(ends), "S": _Header(Ends(*ends[2:], *ends[:2]))}
    for side, sequence, acknowledgment, flags, payload in heard:
        yield headers[side].frame(sequence & _MASK, acknowledgment & _MASK, flags, payload)


class _Header:
    """All that is the same in the frames of one direction."""

    def __init__(self, ends: Ends) -> None:
        source, destination = ipaddress.ip_address(ends.client), ipaddress.ip_address(ends.server)
        self._addresses = source.packed + destination.packed
        self._ports = ends.client_port, ends.server_port
        self._six = source.version == 6  # noqa: PLR2004

    def frame(self, sequence: int, acknowledgment: int, flags: int, payload: bytes) -> bytes:
        """Return the frame of one TCP segment (RFC 9293, section 3.1)."""
        size = 20 + len(payload)
        bare = _tcp(*self._ports, sequence, acknowledgment, 0x50, flags, _ONES, 0, 0)
        pseudo = self._addresses + struct.pack(">II", _TCP, size) + bare + payload
        check = checksum(pseudo + b"\0" if size % 2 else pseudo)
        return self.packet(_TCP, bare[:16] + check.to_bytes(2, "big") + b"\0\0" + payload)

    def datagram(self, payload: bytes) -> bytes:
        """Return the frame of one UDP datagram, which may do without a checksum on IPv4 (RFC 768)."""
        return self.packet(_UDP, _udp(*self._ports, 8 + len(payload), 0) + payload)

    def packet(self, protocol: int, body: bytes) -> bytes:
        """Return an IP packet in an Ethernet frame."""
        if self._six:
            return b"".join(
                (_MACS, b"\x86\xdd", _ipv6(0x60000000, len(body), protocol, 64), self._addresses, body)
            )
        head = _ipv4(0x45, 0, 20 + len(body), 0, 0x4000, 64, protocol, 0)
        check = checksum(head + self._addresses).to_bytes(2, "big")
        return b"".join((_MACS, b"\x08\x00", head[:10], check, self._addresses, body))


def checksum(data: bytes) -> int:
    """Return the checksum of an even number of bytes (RFC 1071)."""
    return -int.from_bytes(data, "big") % _ONES


def datagrams(turns: Iterable[Turn], ends: Ends) -> Iterator[bytes]:
    """Yield the frames of a conversation over UDP."""
    headers = {"C": _Header(ends), "S": _Header(Ends(*ends[2:], *ends[:2]))}
    for side, payload in turns:
        yield headers[side].datagram(payload)


def record(frame: bytes, time_us: int) -> bytes:
    """Return the header of a classic capture file's record for that frame."""
    seconds, rest = divmod(time_us, 1_000_000)
    return _record(seconds, rest, len(frame), len(frame))
