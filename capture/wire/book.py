"""Find the TCP segments in a packet by the book: any link type, IP options, extension headers, fragments.

RFC 791, RFC 8200, RFC 9293. What nearly all packets are, `decode` reads in one step.
"""

from __future__ import annotations

import struct

from mailtap.capture.language import N_
from mailtap.capture.model import Note, Packet, Segment
from mailtap.capture.wire.fragments import Fragment, Fragments
from mailtap.capture.wire.link import FINDERS, IPV4, IPV6

_TCP = 6
_FRAGMENT = 44
_AUTHENTICATION = 51
_EXTENSIONS = frozenset((0, 43, _AUTHENTICATION, 60, 135, 139, 140))  # RFC 8200, section 4; IANA's registry
_MOST_EXTENSIONS = 16
_FIN = 0x01
_SYN = 0x02
_IPV4_HEADER = 20
_IPV6_HEADER = 40
_TCP_HEADER = 20
_LONGEST_WIRE = 1 << 18  # no offload engine makes larger frames; a greater length is not believed

_unpack_ipv4 = struct.Struct(">BxH2sHxB2x").unpack_from
_unpack_ipv6 = struct.Struct(">B3xHB").unpack_from
_unpack_tcp = struct.Struct(">4sIIBB").unpack_from


class Book:
    """Decodes packet by packet; it remembers fragments, and what it complained of."""

    def __init__(self) -> None:
        self._fragments = Fragments()
        self._complained: set[str] = set()

    def decode(self, packet: Packet) -> tuple[Segment | Note, ...]:
        """Return what a packet brings: nothing, one segment, several from fragments, or a note."""
        find = FINDERS.get(packet.link_type)
        if find is None:
            return self._complain(
                packet, N_("Packets of link type {link_type} are not understood."), link_type=packet.link_type
            )
        kind, at = find(packet.data)
        if kind == IPV4 and len(packet.data) >= at + _IPV4_HEADER:
            return self._ipv4(packet, at)
        if kind == IPV6 and len(packet.data) >= at + _IPV6_HEADER:
            return self._ipv6(packet, at)
        return ()

    def _ipv4(self, packet: Packet, at: int) -> tuple[Segment | Note, ...]:
        """Decode an IPv4 packet (RFC 791, section 3.1)."""
        first, total, identification, fragment, protocol = _unpack_ipv4(packet.data, at)
        header = (first & 0x0F) * 4
        if first >> 4 != 4 or header < _IPV4_HEADER or protocol != _TCP or 0 < total < header:  # noqa: PLR2004
            return ()
        end = at + total if total else _wire_end(packet)
        addresses = packet.data[at + 12 : at + 20]
        if fragment & 0x3FFF:
            part = _fragment(packet, at + header, end, (fragment & 0x1FFF) * 8, more=bool(fragment & 0x2000))
            return self._fragment(packet, addresses, identification, part)
        return self._tcp(packet, at + header, end, addresses)

    def _ipv6(self, packet: Packet, at: int) -> tuple[Segment | Note, ...]:
        """Decode an IPv6 packet and its extension headers (RFC 8200, sections 3 and 4)."""
        data = packet.data
        first, length, kind = _unpack_ipv6(data, at)
        if first >> 4 != 6:  # noqa: PLR2004
            return ()
        end = at + _IPV6_HEADER + length if length else _wire_end(packet)
        addresses = data[at + 8 : at + _IPV6_HEADER]
        at += _IPV6_HEADER
        part = None
        for _ in range(_MOST_EXTENSIONS):
            if kind not in _EXTENSIONS and kind != _FRAGMENT:
                break
            if len(data) < at + 8:
                return ()
            if kind == _FRAGMENT:
                place = int.from_bytes(data[at + 2 : at + 4], "big")
                identification = data[at + 4 : at + 8]
                if place & 0xFFF9:  # else it is an atomic fragment: a whole datagram (RFC 6946)
                    part = _fragment(packet, at + 8, end, place & 0xFFF8, more=bool(place & 1))
                    return self._fragment(packet, addresses, identification + data[at : at + 1], part)
                kind, at = data[at], at + 8
            else:
                size = (data[at + 1] + 2) * 4 if kind == _AUTHENTICATION else (data[at + 1] + 1) * 8
                kind, at = data[at], at + size
        return self._tcp(packet, at, end, addresses) if kind == _TCP else ()

    def _fragment(
        self, packet: Packet, addresses: bytes, identification: bytes, part: Fragment
    ) -> tuple[Segment | Note, ...]:
        """Keep a fragment, and decode the datagram that it completes."""
        before = self._fragments.given_up
        whole = self._fragments.add(addresses + identification, part)
        if self._fragments.given_up > before:
            return self._complain(
                packet, N_("Too many IP fragments wait for others; the oldest are dropped.")
            )
        if not whole:
            return ()
        # The TCP header stands in the first fragment, or spreads into the next.
        datagram = b"".join(piece.data for piece in whole)
        joined = Packet(whole[0].packet, whole[0].time_ns, 0, datagram, len(datagram))
        decoded = self._tcp(joined, 0, len(datagram), addresses)
        if not decoded or not isinstance(decoded[0], Segment):
            return ()
        return tuple(_by_fragment(decoded[0], whole, len(datagram)))

    def _tcp(self, packet: Packet, at: int, end: int, addresses: bytes) -> tuple[Segment | Note, ...]:
        """Decode a TCP segment that ends at `end` on the wire (RFC 9293, section 3.1)."""
        data = packet.data
        if end < at + _TCP_HEADER:
            return ()
        if len(data) < at + _TCP_HEADER:
            return self._complain(
                packet,
                N_("From packet {packet} on, packets are cut within their headers (snaplen too small)."),
                damage=True,
                packet=packet.number,
            )
        ports, sequence, acknowledgment, offset, flags = _unpack_tcp(data, at)
        start = at + (offset >> 2 & 0x3C)
        if offset < 0x50 or start > end:  # noqa: PLR2004  # a TCP header of five words
            return ()
        payload = data[start:end]
        cut = end - max(start, len(data))
        return (
            Segment(
                packet.number,
                packet.time_ns,
                addresses + ports,
                sequence,
                acknowledgment,
                flags,
                payload,
                max(cut, 0),
            ),
        )

    def _complain(
        self, heard: Packet, text: str, /, *, damage: bool = False, **values: int
    ) -> tuple[Note, ...]:
        """Return a note on a packet, the first time that it is to be said."""
        if text in self._complained:
            return ()
        self._complained.add(text)
        return (
            Note(
                text=text,
                values=tuple(values.items()),
                packets=(heard.number,),
                time_ns=heard.time_ns,
                damage=damage,
            ),
        )


def _wire_end(packet: Packet) -> int:
    """Return where a frame ended on the wire: a length of zero was for the card to fill in."""
    return packet.length if packet.length <= _LONGEST_WIRE else len(packet.data)


def _fragment(packet: Packet, start: int, end: int, offset: int, *, more: bool) -> Fragment:
    """Return the piece of a datagram that a packet carries from `start` to `end`."""
    return Fragment(offset, packet.data[start:end], more, packet.number, packet.time_ns)


def _by_fragment(segment: Segment, whole: tuple[Fragment, ...], length: int) -> list[Segment]:
    """Return the segment in pieces, each with the packet that brought it."""
    if not segment.payload:
        return [segment]
    header = length - len(segment.payload)
    pieces: list[Segment] = []
    done = 0
    for fragment in whole:
        end = fragment.offset + len(fragment.data) - header
        if end > done:
            after_syn = bool(done and segment.flags & _SYN)
            pieces.append(
                segment._replace(
                    packet=fragment.packet,
                    time_ns=fragment.time_ns,
                    sequence=(segment.sequence + done + after_syn) & 0xFFFFFFFF,
                    flags=segment.flags & ~(_FIN | (_SYN if done else 0)),
                    payload=segment.payload[done:end],
                )
            )
            done = end
    pieces[-1] = pieces[-1]._replace(flags=pieces[-1].flags | segment.flags & _FIN)
    return pieces
