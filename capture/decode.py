"""Find the TCP segments in captured frames (RFC 791, RFC 8200, RFC 9293, section 3.1).

Nearly all packets are TCP directly over IP, without options, whole: those are read in one step, here. All
others are read by the book (`wire/book.py`). Checksums are never looked at: on a sending host they are filled
in by the network card, after capture.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from mailtap.capture.files.pcapfile import LONGEST_PACKET, NANOSECONDS, Records
from mailtap.capture.model import Note, Packet, Segment
from mailtap.capture.wire.book import Book
from mailtap.capture.wire.clock import Clock
from mailtap.capture.wire.ends import turned
from mailtap.capture.wire.link import ETHERTYPE_AT, IPV4, IPV6
from mailtap.capture.wire.plain import (
    IPV4_HEADER,
    IPV6_HEADER,
    LEAST_OFFSET,
    TCP,
    TURNS,
    unpack4,
    unpack6,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_MOST_IGNORED = 1 << 14  # both directions of as many connections as may be open
_IPV4, _IPV6 = 2 + IPV4_HEADER, 2 + IPV6_HEADER  # from the EtherType to the TCP header
_NOWHERE = 1 << 30  # beyond the end of every frame


class Decoder:
    """Turns packets into segments; it remembers which flows to ignore.

    Attributes:
        strange: number of packets that were not at once seen to carry TCP.
    """

    def __init__(self, clock: Clock | None = None) -> None:
        """Start with nothing to ignore; the clock says when an ignored packet's time is to be told."""
        self._clock = clock or Clock()
        self.strange = 0
        self._ignored: set[bytes] = set()  # flows, as their addresses and ports stand in a packet
        self._book = Book()

    def decode(self, packet: Packet) -> tuple[Segment | Note, ...]:
        """Return what a packet brings: nothing, one TCP segment, several from fragments, or a note."""
        return tuple(self.segments((packet,)))

    def segments(self, packets: Iterable[Packet | Note]) -> Iterator[Segment | Note]:
        """Yield what packets bring, in their order; notes among them are passed on."""
        if isinstance(packets, Records) and packets.link_type in ETHERTYPE_AT:
            return self._of_records(packets, ETHERTYPE_AT[packets.link_type])
        return self._of_packets(packets)

    def _of_packets(self, packets: Iterable[Packet | Note]) -> Iterator[Segment | Note]:
        """Yield what packets bring, one by one."""
        new, ignored, clock, places = tuple.__new__, self._ignored, self._clock, ETHERTYPE_AT.get
        for packet in packets:
            if isinstance(packet, Note):
                yield packet
                continue
            number, time_ns, link_type, data, _ = packet
            at = places(link_type, _NOWHERE)
            try:
                kind, first, total, fragment, protocol, ends, sequence, acknowledgment, offset, flags = (
                    unpack4(data, at)
                )
                if kind == IPV4 and first == 0x45 and not fragment & 0x3FFF:  # noqa: PLR2004
                    start, end = at + _IPV4, at + 2 + total
                else:
                    first, total, protocol, ends, sequence, acknowledgment, offset, flags = unpack6(data, at)
                    start = at + _IPV6
                    end = start + total if kind == IPV6 and first >> 4 == 6 else 0  # noqa: PLR2004
            except struct.error:
                yield from self._by_the_book(packet)
                continue
            start += offset >> 2 & 0x3C
            # TCP with a header of at least five words, and nothing cut off by the snapshot length.
            if protocol != TCP or not start <= end <= len(data) or offset < LEAST_OFFSET:
                yield from self._by_the_book(packet)
                continue
            if ends in ignored:
                if not flags & TURNS:
                    if time_ns > clock.due_ns:
                        yield _time(number, time_ns)
                    continue
                self._heed(ends)
            # A NamedTuple's own constructor would cost as much as all of the above.
            yield new(Segment, (number, time_ns, ends, sequence, acknowledgment, flags, data[start:end], 0))

    def _of_records(self, records: Records, ethertype_at: int) -> Iterator[Segment | Note]:
        """Yield the same of the records of a capture file, without making packets of them."""
        new, ignored, clock = tuple.__new__, self._ignored, self._clock
        unpack, size, unit = (
            records.layout.record.unpack_from,
            records.layout.record.size,
            records.layout.unit,
        )
        data, at, number = records.stream.data, records.stream.at, records.number
        finish = len(data)
        while at + size <= finish:
            seconds, fraction, captured, length = unpack(data, at)
            begin = at + size
            if captured > LONGEST_PACKET or begin + captured > finish:
                break
            at = begin + captured
            number += 1
            place = begin + ethertype_at
            try:
                kind, first, total, fragment, protocol, ends, sequence, acknowledgment, offset, flags = (
                    unpack4(data, place)
                )
                if kind == IPV4 and first == 0x45 and not fragment & 0x3FFF:  # noqa: PLR2004
                    start, end = place + _IPV4, place + 2 + total
                else:
                    first, total, protocol, ends, sequence, acknowledgment, offset, flags = unpack6(
                        data, place
                    )
                    start = place + _IPV6
                    end = start + total if kind == IPV6 and first >> 4 == 6 else 0  # noqa: PLR2004
            except struct.error:
                start = end = offset = protocol = 0
            time_ns = seconds * NANOSECONDS + fraction * unit
            if 0 < end <= at and ends in ignored:
                if not flags & TURNS:
                    if time_ns > clock.due_ns:
                        yield _time(number, time_ns)
                    continue
                self._heed(ends)
            start += offset >> 2 & 0x3C
            if protocol != TCP or not start <= end <= at or offset < LEAST_OFFSET:
                packet = Packet(number, time_ns, records.link_type, data[begin:at], length)
                yield from self._by_the_book(packet)
                continue
            yield new(Segment, (number, time_ns, ends, sequence, acknowledgment, flags, data[start:end], 0))
        records.move(at, number)

    def ignore(self, ends: bytes) -> None:
        """Pass over what two endpoints send each other, until one of them begins or ends a connection."""
        if len(self._ignored) >= _MOST_IGNORED:
            self._ignored.clear()
        self._ignored |= {ends, turned(ends)}

    def _heed(self, ends: bytes) -> None:
        """Hear again what was ignored, both directions of it."""
        self._ignored -= {ends, turned(ends)}

    def _by_the_book(self, packet: Packet) -> tuple[Segment | Note, ...]:
        """Return what a packet brings that could not be read in one step."""
        self.strange += 1
        brought = self._book.decode(packet)
        for item in brought:
            if isinstance(item, Segment) and item.flags & TURNS:
                self._heed(item.ends)
        return brought


def _time(number: int, time_ns: int) -> Segment:
    """Return what only tells that a packet came at that time."""
    return Segment(number, time_ns, b"", 0, 0, 0, b"", 0)
