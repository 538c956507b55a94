"""Read packets from classic capture files (draft-ietf-opsawg-pcap), as libpcap and tcpdump write them."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple

from mailtap.capture.language import N_
from mailtap.capture.model import Note, Packet

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mailtap.capture.files.bytestream import ByteStream

    Handful = Iterable[Packet | Note]

# libpcap's own bound for a record (MAXIMUM_SNAPLEN); a larger length is damage, not a packet.
LONGEST_PACKET = 262_144

_FILE_HEADER_SIZE = 24
NANOSECONDS = 1_000_000_000


class Layout(NamedTuple):
    """How one kind of classic file writes a record: its header, and the unit of its fractions in ns."""

    record: struct.Struct
    order: str
    unit: int


def _layouts() -> dict[bytes, Layout]:
    """Return the layouts by magic number, each in both byte orders (draft-ietf-opsawg-pcap, section 4)."""
    kinds = (
        (0xA1B2C3D4, "IIII", 1000),
        (0xA1B23C4D, "IIII", 1),
        (0xA1B2CD34, "IIII8x", 1000),  # Kuznetzov's variant: an interface index and more after the lengths
    )
    return {
        struct.pack(order + "I", magic): Layout(struct.Struct(order + record), order, unit)
        for order in "<>"
        for magic, record, unit in kinds
    }


LAYOUTS = _layouts()
"""The layouts by the first four bytes of the file."""


class Records:
    """The records of a classic capture file that are there without reading more, to be gone through once.

    Iterating gives them as packets. Whoever goes through `stream.data` instead says how far it came.

    Attributes:
        stream: stands at the next record.
        layout: how the records are written.
        link_type: of all packets.
        number: of the packet before the next record.
    """

    __slots__ = ("layout", "link_type", "number", "stream")

    def __init__(self, stream: ByteStream, layout: Layout, link_type: int) -> None:
        self.stream = stream
        self.layout = layout
        self.link_type = link_type
        self.number = 0

    def __iter__(self) -> Iterator[Packet | Note]:
        return iter(self._packets())

    def move(self, at: int, number: int) -> None:
        """Go on at a position in `stream.data`, before which stands the record of that packet."""
        self.stream.at, self.number = at, number

    def _packets(self) -> list[Packet | Note]:
        new, unpack, size, unit = (
            tuple.__new__,
            self.layout.record.unpack_from,
            self.layout.record.size,
            self.layout.unit,
        )
        data, at, number, link_type = self.stream.data, self.stream.at, self.number, self.link_type
        end = len(data)
        last = end - size
        packets: list[Packet | Note] = []
        while at <= last:
            seconds, fraction, captured, length = unpack(data, at)
            start = at + size
            stop = start + captured
            if stop > end or captured > LONGEST_PACKET:
                break
            at = stop
            number += 1
            time_ns = seconds * NANOSECONDS + fraction * unit
            # A NamedTuple's own constructor costs more than all the rest of this loop.
            packets.append(new(Packet, (number, time_ns, link_type, data[start:stop], length)))
        self.move(at, number)
        return packets


def read_pcap(stream: ByteStream) -> Iterator[Handful]:
    """Yield the packets of a classic capture file by the handful, and a note where it is damaged.

    A handful is what was there at one read; it must be gone through before the next is asked for.

    Args:
        stream: stands at the magic number, which is one of `LAYOUTS`.
    """
    layout = LAYOUTS[stream.data[stream.at : stream.at + 4]]
    if not stream.need(_FILE_HEADER_SIZE):
        text = N_("The capture file ends at byte {offset}, within its header.")
        yield [damaged(text, stream.offset + stream.left)]
        return
    # The upper bits of the link type say how long a frame check sequence is.
    link_type: int = struct.unpack_from(layout.order + "I", stream.data, stream.at + 20)[0] & 0xFFFF
    stream.at += _FILE_HEADER_SIZE
    records = Records(stream, layout, link_type)
    while True:
        yield records
        if not stream.need(layout.record.size):
            if stream.left:
                text = N_("The capture file ends at byte {offset}, within the header of packet {packet}.")
                yield [damaged(text, stream.offset + stream.left, packet=records.number + 1)]
            return
        captured = layout.record.unpack_from(stream.data, stream.at)[2]
        if captured > LONGEST_PACKET:
            text = N_("At byte {offset}, packet {packet} claims {length:,} bytes; the rest is not readable.")
            yield [damaged(text, stream.offset, packet=records.number + 1, length=captured)]
            return
        if not stream.need(layout.record.size + captured):
            text = N_("The capture file ends within packet {packet}, which begins at byte {offset}.")
            yield [damaged(text, stream.offset, packet=records.number + 1)]
            return


def damaged(text: str, offset: int, **values: int) -> Note:
    """Return the note that the file is damaged at that byte."""
    return Note(text=text, values=(("offset", offset), *values.items()), damage=True)
