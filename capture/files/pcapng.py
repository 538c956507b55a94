"""Read packets from pcapng files (draft-ietf-opsawg-pcapng), as Wireshark and dumpcap write them."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple

from mailtap.capture.files.pcapfile import LONGEST_PACKET, damaged
from mailtap.capture.language import N_
from mailtap.capture.model import Note, Packet

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mailtap.capture.files.bytestream import ByteStream
    from mailtap.capture.files.pcapfile import Handful

MAGIC = b"\x0a\x0d\x0d\x0a"

_SECTION_HEADER = 0x0A0D0D0A
_INTERFACE = 1
_OLD_PACKET = 2
_SIMPLE_PACKET = 3
_ENHANCED_PACKET = 6
_ORDERS = {b"\x1a\x2b\x3c\x4d": ">", b"\x4d\x3c\x2b\x1a": "<"}
_LEAST_BLOCK = 12  # type, length, length again
_PACKET_HEAD = 28
_LEAST_PACKET = 32
_LEAST_SECTION = 28
_LONGEST_HEADER = 1 << 16  # of a section header or an interface description; options beyond are not read
_MOST_INTERFACES = 1 << 16
_TSRESOL = 9
_TSOFFSET = 14
_MICROSECONDS = 6
_NANOSECONDS = 1_000_000_000
_FIRST_TIME, _LAST_TIME = -(1 << 63), (1 << 63) - 1  # 64 bits of nanoseconds, the years 1677 to 2262


class _Interface(NamedTuple):
    """What a packet's interface says of it; a time stamp counts `1 / ticks` seconds."""

    link_type: int
    snaplen: int
    ticks: int
    offset: int


class _Head(NamedTuple):
    """What the head of a packet block says."""

    interface: int
    high: int
    low: int
    captured: int
    original: int


class _Reader:
    """The state of one file: byte order and interfaces of the section, and the number of packets."""

    __slots__ = ("interfaces", "number", "order", "packet_block", "stream", "warned")

    def __init__(self, stream: ByteStream) -> None:
        self.stream = stream
        self.order = "<"
        self.packet_block = struct.Struct("<IIIIIII")
        self.interfaces: list[_Interface] = []
        self.number = 0
        self.warned = False


def read_pcapng(stream: ByteStream) -> Iterator[Handful]:
    """Yield the packets of a pcapng file by the handful, of all its sections, and notes where it is damaged.

    A handful is what was there at one read.

    Args:
        stream: stands at the first section header block.
    """
    reader = _Reader(stream)
    while stream.need(_LEAST_BLOCK):
        if packets := _packets_at_hand(reader):
            yield packets
            continue
        begin = stream.offset
        if stream.data.startswith(MAGIC, stream.at):
            order = _ORDERS.get(stream.data[stream.at + 8 : stream.at + 12])
            if order is None:
                text = N_("At byte {offset} a section has no byte order; the rest is not readable.")
                yield [damaged(text, begin)]
                return
            reader.order = order
            reader.packet_block = struct.Struct(order + "IIIIIII")
            reader.interfaces = []
        kind, length = struct.unpack_from(reader.order + "II", stream.data, stream.at)
        if length < (_LEAST_SECTION if kind == _SECTION_HEADER else _LEAST_BLOCK) or length % 4:
            text = N_("At byte {offset} a block claims to have {length:,} bytes; the rest is not readable.")
            if length == 1:
                text = N_("At byte {offset} a block claims to have one byte; the rest is not readable.")
            yield [damaged(text, begin, length=length)]
            return
        yield list(_PARSERS.get(kind, _nothing)(reader, length))
        # A parser stops anywhere in its block; the next one begins where the length says.
        if not stream.skip(begin + length - stream.offset):
            text = N_("The capture file ends within the block that begins at byte {offset}.")
            yield [damaged(text, begin)]
            return
    if stream.left:
        text = N_("The capture file ends at byte {offset}, within the start of a block.")
        yield [damaged(text, stream.offset + stream.left)]


def _packets_at_hand(reader: _Reader) -> list[Packet | Note]:
    """Return the packets of the Enhanced Packet Blocks (section 4.3) that are there without reading more.

    It stops at whatever is not just that: another block, an unknown interface, a length that cannot be.
    """
    new, unpack, interfaces = tuple.__new__, reader.packet_block.unpack_from, reader.interfaces
    data, at, number = reader.stream.data, reader.stream.at, reader.number
    end = len(data)
    last = end - _LEAST_PACKET
    packets: list[Packet | Note] = []
    while at <= last:
        kind, length, interface, high, low, captured, original = unpack(data, at)
        start, stop = at + _PACKET_HEAD, at + length
        if kind != _ENHANCED_PACKET or interface >= len(interfaces) or stop > end:
            break
        if length % 4 or captured > length - _LEAST_PACKET or captured > LONGEST_PACKET:
            break
        of = interfaces[interface]
        time_ns = (high << 32 | low) * _NANOSECONDS // of.ticks + of.offset * _NANOSECONDS
        if not _FIRST_TIME <= time_ns <= _LAST_TIME:
            break
        at = stop
        number += 1
        packets.append(new(Packet, (number, time_ns, of.link_type, data[start : start + captured], original)))
    reader.stream.at, reader.number = at, number
    return packets


def _nothing(_reader: _Reader, _length: int) -> Iterator[Packet | Note]:
    """Yield nothing: the block is not one that this program reads."""
    return iter(())


def _interface(reader: _Reader, length: int) -> Iterator[Packet | Note]:
    """Remember an Interface Description Block (section 4.2)."""
    body = min(length, _LONGEST_HEADER)
    stream = reader.stream
    if not stream.need(body) or length < _LEAST_BLOCK + 8 or len(reader.interfaces) == _MOST_INTERFACES:
        return
    link_type, snaplen = struct.unpack_from(reader.order + "H2xI", stream.data, stream.at + 8)
    resolution, offset = _MICROSECONDS, 0
    for code, value in _options(stream.data[stream.at + 16 : stream.at + body - 4], reader.order):
        if code == _TSRESOL and len(value) == 1:
            resolution = value[0]
        elif code == _TSOFFSET and len(value) == 8:  # noqa: PLR2004  # a 64-bit number of seconds
            offset = struct.unpack(reader.order + "q", value)[0]
    ticks = 2 ** (resolution & 0x7F) if resolution & 0x80 else 10**resolution
    reader.interfaces.append(_Interface(link_type, snaplen, ticks, offset))
    yield from ()


def _options(data: bytes, order: str) -> Iterator[tuple[int, bytes]]:
    """Yield code and value of each option (section 3.5)."""
    at = 0
    while at + 4 <= len(data):
        code, length = struct.unpack_from(order + "HH", data, at)
        if code == 0:
            return
        yield code, data[at + 4 : at + 4 + length]
        at += 4 + length + -length % 4


def _enhanced_packet(reader: _Reader, length: int) -> Iterator[Packet | Note]:
    """Yield the packet of an Enhanced Packet Block (section 4.3)."""
    head = struct.Struct(reader.order + "8xIIIII")
    if reader.stream.need(head.size):
        fields = _Head(*head.unpack_from(reader.stream.data, reader.stream.at))
        yield from _packet(reader, fields, head.size, length)


def _old_packet(reader: _Reader, length: int) -> Iterator[Packet | Note]:
    """Yield the packet of the obsolete Packet Block (appendix A)."""
    head = struct.Struct(reader.order + "8xH2xIIII")
    if reader.stream.need(head.size):
        fields = _Head(*head.unpack_from(reader.stream.data, reader.stream.at))
        yield from _packet(reader, fields, head.size, length)


def _simple_packet(reader: _Reader, length: int) -> Iterator[Packet | Note]:
    """Yield the packet of a Simple Packet Block, which has no time and the first interface (section 4.4)."""
    head = struct.Struct(reader.order + "8xI")
    if reader.stream.need(head.size):
        original: int = head.unpack_from(reader.stream.data, reader.stream.at)[0]
        snaplen = reader.interfaces[0].snaplen if reader.interfaces else 0
        captured = min(original, length - head.size - 4, snaplen or original)
        yield from _packet(reader, _Head(0, 0, 0, captured, original), head.size, length)


def _packet(reader: _Reader, head: _Head, size: int, length: int) -> Iterator[Packet | Note]:
    """Yield the packet of a block of that length, whose head has that size and those fields."""
    reader.number += 1
    begin = reader.stream.offset
    if head.captured > min(length - size - 4, LONGEST_PACKET):
        yield damaged(
            N_("At byte {offset}, packet {packet} claims to have {length:,} bytes; it is left out."),
            begin,
            packet=reader.number,
            length=head.captured,
        )
        return
    if head.interface >= len(reader.interfaces):
        if not reader.warned:
            reader.warned = True
            yield damaged(
                N_("At byte {offset}, packet {packet} names an unknown interface; it is left out."),
                begin,
                packet=reader.number,
            )
        return
    if not reader.stream.need(size + head.captured):
        return  # the caller finds the end of the file within the block
    of = reader.interfaces[head.interface]
    start = reader.stream.at + size
    time_ns = (head.high << 32 | head.low) * _NANOSECONDS // of.ticks + of.offset * _NANOSECONDS
    time_ns = min(max(time_ns, _FIRST_TIME), _LAST_TIME)
    # Padding and the second length are left unread: through a pipe they may be long in coming.
    data = reader.stream.data[start : start + head.captured]
    yield Packet(reader.number, time_ns, of.link_type, data, head.original)


_PARSERS = {
    _INTERFACE: _interface,
    _OLD_PACKET: _old_packet,
    _SIMPLE_PACKET: _simple_packet,
    _ENHANCED_PACKET: _enhanced_packet,
}
