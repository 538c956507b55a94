"""Write a TCP connection as the Ethernet frames that a listener on the cable would have recorded.

The relay hears two byte streams, not packets; this gives them the packets back: handshake, segments
with their sequence numbers, acknowledgements and endings (RFC 9293; IPv4, RFC 791), the same ones each
time for the same streams.
"""

from __future__ import annotations

import struct
from ipaddress import IPv4Address
from typing import TYPE_CHECKING, Final

from mailtap.capture.model import OTHER, Direction

if TYPE_CHECKING:
    from mailtap.capture.model import Endpoint

ETHERNET: Final = 1  # LINKTYPE_ETHERNET
MSS: Final = 1460  # payload bytes a segment: what Ethernet leaves after two headers of 20 bytes

_FIN, _SYN, _RST, _PSH, _ACK = 0x01, 0x02, 0x04, 0x08, 0x10
_WINDOW: Final = 65535
_MSS_OPTION: Final = struct.pack("!BBH", 2, 4, MSS)
_ETHERNET_HEADER: Final = bytes(12) + b"\x08\x00"  # a loopback has no hardware addresses; IPv4 follows
_DONT_FRAGMENT: Final = 0x4000
_FIRST_SEQUENCE: Final = {Direction.CLIENT: 1_000_000_000, Direction.SERVER: 2_000_000_000}


class Connection:
    """One TCP connection being written down; each method returns the frames of one happening."""

    def __init__(self, client: Endpoint, server: Endpoint) -> None:
        """Begin with nothing written.

        Args:
            client: who connects; IPv4.
            server: who accepts; IPv4.
        """
        self._sequence = dict(_FIRST_SEQUENCE)
        self._identification = dict.fromkeys(Direction, 0)
        self._route = {
            Direction.CLIENT: (_packed(client), _packed(server)),
            Direction.SERVER: (_packed(server), _packed(client)),
        }

    def opened(self) -> list[bytes]:
        """Return the three-way handshake (RFC 9293, section 3.5)."""
        syn = self._segment(Direction.CLIENT, _SYN, options=_MSS_OPTION)
        answer = self._segment(Direction.SERVER, _SYN | _ACK, options=_MSS_OPTION)
        return [syn, answer, self._segment(Direction.CLIENT, _ACK)]

    def sent(self, direction: Direction, data: bytes) -> list[bytes]:
        """Return the segments that carry the data, and the other side's acknowledgement.

        Args:
            direction: who sent it.
            data: not empty.
        """
        frames = [
            self._segment(
                direction,
                _ACK | (_PSH if start + MSS >= len(data) else 0),
                payload=data[start : start + MSS],
            )
            for start in range(0, len(data), MSS)
        ]
        return [*frames, self._segment(OTHER[direction], _ACK)]

    def ended(self, direction: Direction) -> list[bytes]:
        """Return one side's FIN and the other's acknowledgement (RFC 9293, section 3.6)."""
        return [self._segment(direction, _FIN | _ACK), self._segment(OTHER[direction], _ACK)]

    def reset(self, direction: Direction) -> list[bytes]:
        """Return one side's reset (RFC 9293, section 3.5.2)."""
        return [self._segment(direction, _RST | _ACK)]

    def _segment(
        self, direction: Direction, flags: int, *, payload: bytes = b"", options: bytes = b""
    ) -> bytes:
        """Return one frame and count what it sent."""
        (source, source_port), (destination, destination_port) = self._route[direction]
        sequence = self._sequence[direction]
        acknowledged = self._sequence[OTHER[direction]] if flags & _ACK else 0
        # Sequence numbers count payload bytes, and SYN and FIN as one byte each.
        self._sequence[direction] = sequence + len(payload) + bool(flags & (_SYN | _FIN)) & 0xFFFFFFFF
        tcp = struct.pack(
            "!HHIIBBHHH",
            source_port,
            destination_port,
            sequence,
            acknowledged,
            (5 + len(options) // 4) << 4,
            flags,
            _WINDOW,
            0,
            0,
        )
        pseudo = source + destination + struct.pack("!HH", 6, len(tcp) + len(options) + len(payload))
        checksum = _checksum(pseudo + tcp + options + payload)
        tcp = tcp[:16] + checksum + tcp[18:] + options + payload
        return _ETHERNET_HEADER + self._ip_header(direction, len(tcp)) + tcp

    def _ip_header(self, direction: Direction, length: int) -> bytes:
        (source, _), (destination, _) = self._route[direction]
        self._identification[direction] = self._identification[direction] + 1 & 0xFFFF
        header = struct.pack(
            "!BBHHHBBH", 0x45, 0, 20 + length, self._identification[direction], _DONT_FRAGMENT, 64, 6, 0
        )
        return header[:10] + _checksum(header + source + destination) + source + destination


def _packed(endpoint: Endpoint) -> tuple[bytes, int]:
    return IPv4Address(endpoint.address).packed, endpoint.port


def _checksum(data: bytes) -> bytes:
    """Return the Internet checksum (RFC 1071)."""
    # The sum of 16-bit words with end-around carry is the number itself modulo 65535 …
    total = int.from_bytes(data + b"\0" * (len(data) % 2), "big")
    # … except that a sum that is not zero is never written as zero.
    folded = total % 0xFFFF or (0xFFFF if total else 0)
    return (0xFFFF - folded).to_bytes(2, "big")
