"""Read packets from classic capture files (draft-ietf-opsawg-pcap), as libpcap and tcpdump write them."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple

from mailtap.capture.language import N_
from mailtap.capture.model import Note, Packet

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mailtap.capture.files.bytestream import ByteStream

# libpcap's own bound for a record (MAXIMUM_SNAPLEN); a larger length is damage, not a packet.
LONGEST_PACKET = 262_144

_FILE_HEADER_SIZE = 24
_NANOSECONDS = 1_000_000_000


class _Layout(NamedTuple):
    """How one kind of classic file writes a record: its header, and the unit of its fractions in ns."""

    record: struct.Struct
    order: str
    unit: int


def _layouts() -> dict[bytes, _Layout]:
    """Return the layouts by magic number, each in both byte orders (draft-ietf-opsawg-pcap, section 4)."""
    kinds = (
        (0xA1B2C3D4, "IIII", 1000),
        (0xA1B23C4D, "IIII", 1),
        (0xA1B2CD34, "IIII8x", 1000),  # Kuznetzov's variant: an interface index and more after the lengths
    )
    return {
        struct.pack(order + "I", magic): _Layout(struct.Struct(order + record), order, unit)
        for order in "<>"
        for magic, record, unit in kinds
    }


LAYOUTS = _layouts()
"""The layouts by the first four bytes of the file."""


def read_pcap(stream: ByteStream) -> Iterator[Packet | Note]:
    """Yield the packets of a classic capture file, and a note where it is damaged.

    Args:
        stream: stands at the magic number, which is one of `LAYOUTS`.
    """
    layout = LAYOUTS[stream.data[stream.at : stream.at + 4]]
    if not stream.need(_FILE_HEADER_SIZE):
        yield damaged(
            N_("The capture file ends at byte {offset}, within its header."), stream.offset + stream.left
        )
        return
    # The upper bits of the link type say how long a frame check sequence is.
    link_type: int = struct.unpack_from(layout.order + "I", stream.data, stream.at + 20)[0] & 0xFFFF
    stream.at += _FILE_HEADER_SIZE
    yield from _records(stream, layout, link_type)


def _records(stream: ByteStream, layout: _Layout, link_type: int) -> Iterator[Packet | Note]:
    """Yield the packets of all records (draft-ietf-opsawg-pcap, section 5)."""
    new, unpack, size, unit = tuple.__new__, layout.record.unpack_from, layout.record.size, layout.unit
    number = 0
    while True:
        data, at = stream.data, stream.at
        end = len(data)
        while at + size <= end:
            seconds, fraction, captured, length = unpack(data, at)
            stop = at + size + captured
            if stop > end or captured > LONGEST_PACKET:
                break
            number += 1
            stream.at = stop
            time_ns = seconds * _NANOSECONDS + fraction * unit
            # A NamedTuple's own constructor costs more than all the rest of this loop.
            yield new(Packet, (number, time_ns, link_type, data[at + size : stop], length))
            at = stop
        if not stream.need(size):
            if stream.left:
                yield damaged(
                    N_("The capture file ends at byte {offset}, within the header of packet {packet}."),
                    stream.offset + stream.left,
                    packet=number + 1,
                )
            return
        captured = unpack(stream.data, stream.at)[2]
        if captured > LONGEST_PACKET:
            yield damaged(
                N_("At byte {offset}, packet {packet} claims {length:,} bytes; the rest is not readable."),
                stream.offset,
                packet=number + 1,
                length=captured,
            )
            return
        if not stream.need(size + captured):
            yield damaged(
                N_("The capture file ends within packet {packet}, which begins at byte {offset}."),
                stream.offset,
                packet=number + 1,
            )
            return


def damaged(text: str, offset: int, **values: int) -> Note:
    """Return the note that the file is damaged at that byte."""
    return Note(text=text, values=(("offset", offset), *values.items()), damage=True)
