"""Capture files to packets: formats, byte orders, time units, pipes, damage."""

from __future__ import annotations

import gzip
import io
import os
import struct
from typing import TYPE_CHECKING

import pytest
import wire
from hypothesis import given
from hypothesis import strategies as st

from mailtap.capture.model import Note, Packet
from mailtap.capture.sources import read

if TYPE_CHECKING:
    from pathlib import Path

PACKETS = wire.conversation([("S", b"+OK hello\r\n"), ("C", b"USER mrose\r\n")])
FORMATS = [
    pytest.param(wire.pcap(PACKETS), id="pcap"),
    pytest.param(wire.pcap(PACKETS, order=">"), id="pcap, big-endian"),
    pytest.param(wire.pcap(PACKETS, nano=True), id="pcap, nanoseconds"),
    pytest.param(wire.pcap(PACKETS, order=">", nano=True), id="pcap, big-endian, nanoseconds"),
    pytest.param(wire.pcapng(PACKETS), id="pcapng"),
    pytest.param(wire.pcapng(PACKETS, order=">"), id="pcapng, big-endian"),
    pytest.param(wire.pcapng(PACKETS, resolution=None), id="pcapng, microseconds"),
    pytest.param(wire.pcapng(PACKETS, resolution=3), id="pcapng, milliseconds"),
]


def packets(data: bytes) -> list[Packet | Note]:
    return list(read(io.BytesIO(data)))


def only_note(data: bytes) -> str:
    """Return the text of the one note at the end, which must be of damage."""
    note = packets(data)[-1]
    assert isinstance(note, Note)
    assert note.damage
    return str(note)


@pytest.mark.parametrize("data", FORMATS)
@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
def test_every_format_gives_the_same_packets(data: bytes, packed: bool) -> None:
    assert packets(gzip.compress(data) if packed else data) == PACKETS


def test_a_path_is_read_by_content_whatever_its_name(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_bytes(wire.pcapng(PACKETS))
    assert list(read(path)) == PACKETS
    assert list(read(str(path))) == PACKETS


def test_times_in_powers_of_two() -> None:
    heard = packets(wire.pcapng(PACKETS, resolution=0x80 | 30))
    assert all(abs(one.time_ns - other.time_ns) < 2 for one, other in zip(heard, PACKETS, strict=True))


def test_time_offset_of_an_interface() -> None:
    section = wire.pcapng([])
    option = struct.pack("<HHqHH", 14, 8, 1_000_000, 0, 0)
    interface = wire.block(1, struct.pack("<HHI", 1, 0, 0) + option)
    body = wire.block(6, struct.pack("<IIIII", 0, 0, 5, 0, 0))
    assert packets(section + interface + body) == [Packet(1, 1_000_000_000_005_000, 1, b"", 0)]


def test_an_option_of_odd_length_is_padded() -> None:
    options = struct.pack("<HH5s3x", 1, 5, b"notes") + struct.pack("<HHB3xHH", 9, 1, 9, 0, 0)
    interface = wire.block(1, struct.pack("<HHI", 1, 0, 0) + options)
    body = wire.block(6, struct.pack("<IIIII", 0, 0, 5, 0, 0))
    assert packets(wire.pcapng([]) + interface + body) == [Packet(1, 5, 1, b"", 0)]


def test_a_packet_longer_than_any_is_damage_even_where_its_bytes_are_there() -> None:
    record = struct.pack("<IIII", 0, 0, 262_145, 262_145) + bytes(262_145)
    (note,) = read(io.BytesIO(wire.pcap([]) + record))
    assert isinstance(note, Note)
    assert "packet 1 claims 262,145 bytes" in str(note)


def test_a_snaplen_bounds_a_simple_packet_block() -> None:
    interface = wire.block(1, struct.pack("<HHI", 101, 0, 5))
    simple = wire.block(3, struct.pack("<I", 10) + b"abcde")
    assert packets(wire.pcapng([]) + interface + simple) == [Packet(1, 0, 101, b"abcde", 10)]


def test_kuznetzovs_variant_has_longer_records() -> None:
    header = struct.pack("<IHHiIII", 0xA1B2CD34, 2, 4, 0, 0, 65535, 1)
    record = struct.pack("<IIII8x", 7, 8, 3, 9) + b"abc"
    assert packets(header + record) == [Packet(1, 7_000_008_000, 1, b"abc", 9)]


def test_a_frame_check_sequence_in_the_header_does_not_hide_the_link_type() -> None:
    header = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 0x24000001)
    assert [item.link_type for item in packets(header + wire.pcap(PACKETS)[24:])] == [1] * len(PACKETS)


def test_sections_and_interfaces_of_their_own() -> None:
    cooked = wire.conversation([("C", b"x")], link_type=wire.COOKED)
    both = wire.pcapng([*PACKETS, *cooked]) + wire.pcapng(cooked, order=">")
    heard = packets(both)
    assert [item.number for item in heard] == list(range(1, len(heard) + 1))
    assert [item.link_type for item in heard] == [1] * len(PACKETS) + [113] * 2 * len(cooked)


def test_simple_and_old_packet_blocks_and_unknown_ones() -> None:
    section = wire.pcapng([])
    interface = wire.block(1, struct.pack("<HHI", 101, 0, 4))
    simple = wire.block(3, struct.pack("<I", 10) + b"abcd")
    unknown = wire.block(0x0BAD, bytes(3_000_000))
    old = wire.block(2, struct.pack("<HHIIII", 0, 3, 0, 5, 2, 2) + b"xy")
    assert packets(section + interface + simple + unknown + old) == [
        Packet(1, 0, 101, b"abcd", 10),
        Packet(2, 5000, 101, b"xy", 2),
    ]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        pytest.param(b"", "The capture file is empty: it ends at byte 0.", id="empty"),
        pytest.param(b"\xd4\xc3", "The capture file ends at byte 2, within its header.", id="half a magic"),
        pytest.param(
            b"PK\x03\x04" + bytes(100),
            "This is no capture file: at byte 0 stands neither pcap nor pcapng.",
            id="not a capture",
        ),
        pytest.param(
            wire.pcap([])[:20], "The capture file ends at byte 20, within its header.", id="half a header"
        ),
        pytest.param(
            wire.pcap([]) + bytes(7),
            "The capture file ends at byte 31, within the header of packet 1.",
            id="half a record header",
        ),
        pytest.param(
            wire.pcap(PACKETS[:1])[:-1],
            "The capture file ends within packet 1, which begins at byte 24.",
            id="half a packet",
        ),
        pytest.param(
            wire.pcap([]) + struct.pack("<IIII", 0, 0, 0xFFFFFFF0, 60) + bytes(99),
            "At byte 24, packet 1 claims 4,294,967,280 bytes; the rest is not readable.",
            id="hostile record length",
        ),
        pytest.param(
            wire.pcapng([]) + struct.pack("<II", 6, 13) + bytes(30),
            "At byte 28 a block claims to have 13 bytes; the rest is not readable.",
            id="odd block length",
        ),
        pytest.param(
            wire.pcapng([]) + struct.pack("<II", 6, 8) + bytes(30),
            "At byte 28 a block claims to have 8 bytes; the rest is not readable.",
            id="too short a block",
        ),
        pytest.param(
            wire.pcapng([]) + struct.pack("<II", 5, 0xFFFFFFF0) + bytes(30),
            "The capture file ends within the block that begins at byte 28.",
            id="hostile block length",
        ),
        pytest.param(
            b"\x0a\x0d\x0d\x0a" + struct.pack("<II", 28, 0x01020304) + bytes(16),
            "At byte 0 a section has no byte order; the rest is not readable.",
            id="no byte order",
        ),
        pytest.param(
            wire.pcapng(PACKETS)[:-3],
            "The capture file ends within the block that begins at byte 876.",
            id="half a block",
        ),
        pytest.param(
            wire.pcapng([]) + b"\0" * 5,
            "The capture file ends at byte 33, within the start of a block.",
            id="scraps",
        ),
        pytest.param(
            wire.pcapng([]) + wire.block(6, struct.pack("<IIIII", 3, 0, 0, 0, 0)),
            "At byte 28, packet 1 names an unknown interface; it is left out.",
            id="unknown interface",
        ),
        pytest.param(
            wire.pcapng(PACKETS[:0]) + wire.block(6, struct.pack("<IIIII", 0, 0, 0, 500, 500)),
            "At byte 28, packet 1 claims to have 500 bytes; it is left out.",
            id="packet longer than its block",
        ),
    ],
)
def test_damage_is_named_with_its_place(data: bytes, said: str) -> None:
    assert only_note(data) == said


@pytest.mark.parametrize("data", FORMATS)
def test_a_file_cut_anywhere_gives_all_whole_packets_and_one_note(data: bytes) -> None:
    for end in range(len(data)):
        heard = packets(data[:end])
        whole = [item for item in heard if isinstance(item, Packet)]
        assert whole == PACKETS[: len(whole)]
        notes = [item for item in heard if isinstance(item, Note)]
        # Between two records or blocks, nobody can tell that there were more.
        assert len(notes) <= 1
        assert all(note.damage for note in notes)


def test_gzip_members_padding_and_damage() -> None:
    data = wire.pcap(PACKETS)
    packed = gzip.compress(data[:300]) + gzip.compress(data[300:])
    assert packets(packed) == PACKETS
    assert packets(packed + bytes(1000)) == PACKETS
    assert only_note(packed[:-1]) == f"The gzip data is cut short at byte {len(packed) - 1}."
    assert only_note(packed + b"garbage").startswith("The gzip data is corrupt at or after byte")
    broken = bytearray(packed)
    broken[-5] ^= 0xFF  # in the check sum
    assert only_note(bytes(broken)).startswith("The gzip data is corrupt at or after byte")


@pytest.mark.parametrize("data", FORMATS)
def test_a_pipe_gives_each_packet_as_soon_as_it_is_there(data: bytes) -> None:
    """Without a writer to wait for, a read that wants more than there is would hang this test."""
    out, into = os.pipe()
    with os.fdopen(out, "rb") as reading, os.fdopen(into, "wb", buffering=0) as writing:
        heard = read(reading)
        # All but the last byte of the capture: of a pcap, one byte of the last packet is missing.
        writing.write(data[:-1])
        first = [next(heard) for _ in PACKETS[:-1]]
        assert first == PACKETS[:-1]
        writing.write(data[-1:])
        assert next(heard) == PACKETS[-1]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_named_pipe_is_read_as_it_comes(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    keep_open = os.open(path, os.O_RDWR)  # opening one end alone would wait for the other
    try:
        os.write(keep_open, wire.pcap(PACKETS))
        heard = read(path)
        assert [next(heard) for _ in PACKETS] == PACKETS
        del heard  # closes the file
    finally:
        os.close(keep_open)


@pytest.mark.parametrize("data", FORMATS)
def test_byte_by_byte_equals_at_once(data: bytes) -> None:
    class Drip(io.BytesIO):
        def read1(self, size: int = -1) -> bytes:
            return super().read1(min(size, 1))

    assert list(read(Drip(data))) == PACKETS
    assert list(read(Drip(gzip.compress(data)))) == PACKETS


def test_a_missing_file_is_the_callers_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        list(read(tmp_path / "absent.pcap"))


@given(
    data=st.binary(max_size=200),
    magic=st.sampled_from([wire.pcap([]), wire.pcapng([]), b"\x1f\x8b\x08", b""]),
)
def test_random_bytes_never_raise(data: bytes, magic: bytes) -> None:
    packets(magic + data)


@given(
    base=st.sampled_from([wire.pcap(PACKETS), wire.pcapng(PACKETS), gzip.compress(wire.pcap(PACKETS))]),
    changes=st.lists(st.tuples(st.integers(0, 350), st.integers(0, 255)), max_size=6),
)
def test_mutated_files_never_raise(base: bytes, changes: list[tuple[int, int]]) -> None:
    data = bytearray(base)
    for place, value in changes:
        data[place % len(data)] = value
    numbers = [item.number for item in packets(bytes(data)) if isinstance(item, Packet)]
    assert numbers == sorted(set(numbers))
