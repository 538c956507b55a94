"""Frames to TCP segments: link types, IP options and extension headers, fragments, cuts."""

from __future__ import annotations

import struct

import pytest
import wire
from hypothesis import given
from hypothesis import strategies as st

from mailtap.capture.decode import Decoder
from mailtap.capture.model import Note, Packet, Segment
from mailtap.capture.wire.ends import ends_of

PIECE = wire.Piece("C", 7001, 9001, wire.ACK | wire.PSH, b"PASS tanstaaf\r\n")
LINKS = [
    pytest.param(wire.ETHERNET, (), id="ethernet"),
    pytest.param(wire.ETHERNET, (5,), id="vlan"),
    pytest.param(wire.ETHERNET, (5, 6), id="qinq"),
    pytest.param(wire.COOKED, (), id="linux cooked v1"),
    pytest.param(wire.COOKED, (5,), id="linux cooked v1, vlan"),
    pytest.param(wire.COOKED2, (), id="linux cooked v2"),
    pytest.param(wire.NULL, (), id="null"),
    pytest.param(wire.LOOP, (), id="loop"),
    pytest.param(wire.RAW, (), id="raw"),
    pytest.param(wire.RAW_BSD, (), id="raw, old bsd"),
    pytest.param(wire.RAW_OPENBSD, (), id="raw, openbsd"),
]


def packet(
    data: bytes, *, link_type: int = wire.ETHERNET, number: int = 1, length: int | None = None
) -> Packet:
    return Packet(number, 0, link_type, data, len(data) if length is None else length)


def decode(
    data: bytes, *, link_type: int = wire.ETHERNET, length: int | None = None
) -> tuple[Segment | Note, ...]:
    return Decoder().decode(packet(data, link_type=link_type, length=length))


def segment(payload: bytes = PIECE.payload, *, cut: int = 0, six: bool = False) -> Segment:
    client, server = (wire.CLIENT6, wire.SERVER6) if six else (wire.CLIENT, wire.SERVER)
    return Segment(1, 0, ends_of(client, server), 7001, 9001, wire.ACK | wire.PSH, payload, cut)


@pytest.mark.parametrize(("link_type", "vlans"), LINKS)
@pytest.mark.parametrize("six", [False, True], ids=["ipv4", "ipv6"])
def test_every_link_type_gives_the_same_segment(link_type: int, vlans: tuple[int, ...], six: bool) -> None:
    ends = (wire.CLIENT6, wire.SERVER6) if six else (wire.CLIENT, wire.SERVER)
    frame = wire.frame(*ends, PIECE, link_type=link_type, vlans=vlans)
    assert decode(frame, link_type=link_type) == (segment(six=six),)


@pytest.mark.parametrize("link_type", [wire.IPV4, wire.IPV6])
def test_link_types_of_one_ip_version(link_type: int) -> None:
    six = link_type == wire.IPV6
    ends = (wire.CLIENT6, wire.SERVER6) if six else (wire.CLIENT, wire.SERVER)
    assert decode(wire.frame(*ends, PIECE, link_type=wire.RAW), link_type=link_type) == (segment(six=six),)


@pytest.mark.parametrize(
    "family",
    [
        pytest.param(struct.pack(order + "I", number), id=f"{order}{number}")
        for order in "<>"
        for number in (10, 24, 28, 30)
    ],
)
def test_address_families_of_every_system_and_byte_order(family: bytes) -> None:
    frame = wire.frame(wire.CLIENT6, wire.SERVER6, PIECE, link_type=wire.RAW)
    assert decode(family + frame, link_type=wire.NULL) == (segment(six=True),)


def test_linux_cooked_v2_with_a_vlan_tag() -> None:
    plain = wire.frame(wire.CLIENT, wire.SERVER, PIECE, link_type=wire.COOKED2)
    tagged = b"\x81\x00" + plain[2:20] + b"\x00\x05\x08\x00" + plain[20:]
    assert decode(tagged, link_type=wire.COOKED2) == (segment(),)


BODY = wire.tcp(wire.CLIENT, wire.SERVER, PIECE)
HOP = bytes([60, 0, 1, 4, 0, 0, 0, 0])
DESTINATION = bytes([43, 1]) + bytes(14)
ROUTING = bytes([51, 0]) + bytes(6)
AUTHENTICATION = bytes([6, 4]) + bytes(22)


@pytest.mark.parametrize(
    "ip",
    [
        pytest.param(
            wire.ipv4(wire.CLIENT.address, wire.SERVER.address, BODY, options=b"\x01" * 8), id="options"
        ),
        pytest.param(wire.ipv4(wire.CLIENT.address, wire.SERVER.address, BODY) + bytes(6), id="padding"),
        pytest.param(wire.ipv4(wire.CLIENT.address, wire.SERVER.address, BODY, total=0), id="total length 0"),
        pytest.param(
            wire.ipv4(
                wire.CLIENT.address,
                wire.SERVER.address,
                wire.tcp(wire.CLIENT, wire.SERVER, PIECE, options=b"\x01" * 12),
            ),
            id="tcp options",
        ),
        pytest.param(
            wire.ipv4(wire.CLIENT.address, wire.SERVER.address, BODY, fragment=0x4000), id="don't fragment"
        ),
    ],
)
def test_what_stands_around_an_ipv4_payload(ip: bytes) -> None:
    assert decode(wire.link(ip)) == (segment(),)


@pytest.mark.parametrize(
    ("first", "extensions", "body", "length"),
    [
        pytest.param(0, HOP + DESTINATION + ROUTING + AUTHENTICATION, BODY, None, id="extension headers"),
        pytest.param(44, bytes([6, 0, 0, 0, 0, 0, 0, 9]), BODY, None, id="atomic fragment"),
        pytest.param(44, bytes([6, 0, 0, 6, 0, 0, 0, 9]), BODY, None, id="reserved bits"),
        pytest.param(6, b"", BODY + bytes(4), len(BODY), id="padding"),
        pytest.param(6, b"", BODY, 0, id="payload length 0"),
    ],
)
def test_what_stands_around_an_ipv6_payload(
    first: int, extensions: bytes, body: bytes, length: int | None
) -> None:
    ip = wire.ipv6(
        wire.CLIENT6.address,
        wire.SERVER6.address,
        body,
        next_header=first,
        extensions=extensions,
        length=length,
    )
    assert decode(wire.link(ip)) == (segment(six=True),)


@pytest.mark.parametrize("captured", range(54, 70))
def test_a_snaplen_cut_is_counted(captured: int) -> None:
    frame = wire.frame(wire.CLIENT, wire.SERVER, PIECE)
    kept = captured - 54
    expected = segment(PIECE.payload[:kept], cut=len(PIECE.payload) - kept)
    assert decode(frame[:captured], length=len(frame)) == (expected,)
    tagged = wire.frame(wire.CLIENT, wire.SERVER, PIECE, vlans=(5,))
    assert decode(tagged[: captured + 4], length=len(tagged)) == (expected,)


def test_a_cut_within_the_headers_is_said_once() -> None:
    decoder = Decoder()
    frame = wire.frame(wire.CLIENT, wire.SERVER, PIECE)
    (note,) = decoder.decode(packet(frame[:50], length=len(frame)))
    assert isinstance(note, Note)
    assert note.damage
    assert "cut within their headers" in str(note)
    assert decoder.decode(packet(frame[:50], number=2, length=len(frame))) == ()


def test_an_unknown_link_type_is_said_once() -> None:
    decoder = Decoder()
    (note,) = decoder.decode(packet(b"\0" * 60, link_type=147))
    assert str(note) == "Packets of link type 147 are not understood."
    assert decoder.decode(packet(b"\0" * 60, link_type=147)) == ()


def fragments(*offsets: int, six: bool = False) -> list[bytes]:
    """Return BODY in fragments that begin at those offsets."""
    out = []
    for start, end in zip(offsets, [*offsets[1:], len(BODY)], strict=True):
        more = end < len(BODY)
        if six:
            header = struct.pack(">BxHI", 6, start | more, 77)
            ip = wire.ipv6(
                wire.CLIENT6.address, wire.SERVER6.address, BODY[start:end], next_header=44, extensions=header
            )
        else:
            field = start // 8 | (0x2000 if more else 0)
            ip = wire.ipv4(
                wire.CLIENT.address, wire.SERVER.address, BODY[start:end], identification=77, fragment=field
            )
        out.append(wire.link(ip))
    return out


@pytest.mark.parametrize("six", [False, True], ids=["ipv4", "ipv6"])
@pytest.mark.parametrize(
    "order",
    [pytest.param((0, 1, 2), id="in order"), pytest.param((2, 0, 1, 0), id="last first, one twice")],
)
def test_fragments_keep_the_packets_that_brought_them(six: bool, order: tuple[int, ...]) -> None:
    parts = fragments(0, 8, 24, six=six)
    decoder = Decoder()
    out = [
        item
        for number, place in enumerate(order, 1)
        for item in decoder.decode(packet(parts[place], number=number))
    ]
    assert all(isinstance(item, Segment) for item in out)
    joined = b"".join(item.payload for item in out)
    assert joined == PIECE.payload
    assert [item.sequence for item in out] == [7001, 7005]
    assert [item.packet for item in out] == [order.index(1) + 1, order.index(2) + 1]


def test_a_fragmented_fin_stays_at_the_end() -> None:
    body = wire.tcp(wire.CLIENT, wire.SERVER, PIECE._replace(flags=wire.ACK | wire.FIN))
    decoder = Decoder()
    ends = (wire.CLIENT.address, wire.SERVER.address)
    first = wire.link(wire.ipv4(*ends, body[:24], identification=1, fragment=0x2000))
    second = wire.link(wire.ipv4(*ends, body[24:], identification=1, fragment=3))
    assert decoder.decode(packet(first)) == ()
    assert [item.flags for item in decoder.decode(packet(second))] == [wire.ACK, wire.ACK | wire.FIN]


def test_overlapping_fragments_do_not_hide_a_hole() -> None:
    decoder = Decoder()
    ends = (wire.CLIENT.address, wire.SERVER.address)
    for place, (start, end, more) in enumerate([(0, 16, True), (8, 16, True), (24, len(BODY), False)]):
        field = start // 8 | (0x2000 if more else 0)
        ip = wire.ipv4(*ends, BODY[start:end], identification=1, fragment=field)
        assert decoder.decode(packet(wire.link(ip), number=place)) == ()
    ip = wire.ipv4(*ends, BODY[16:24], identification=1, fragment=2 | 0x2000)
    whole = decoder.decode(packet(wire.link(ip), number=4))
    assert b"".join(item.payload for item in whole if isinstance(item, Segment)) == PIECE.payload


@pytest.mark.parametrize("of_one_datagram", [False, True], ids=["of many datagrams", "of one"])
def test_fragments_that_never_complete_are_bounded(of_one_datagram: bool) -> None:
    decoder = Decoder()
    notes: list[Segment | Note] = []
    for number in range(5000):
        ip = wire.ipv4(
            wire.CLIENT.address,
            wire.SERVER.address,
            bytes(8),
            identification=0 if of_one_datagram else number,
            fragment=0x2000 | (number if of_one_datagram else 0),
        )
        notes += decoder.decode(packet(wire.link(ip)))
    assert [str(note) for note in notes] == ["Too many IP fragments wait for others; the oldest are dropped."]


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"\0" * 12 + b"\x08\x06" + bytes(46), id="arp"),
        pytest.param(wire.link(wire.ipv4("192.0.2.1", "192.0.2.2", BODY, protocol=17)), id="udp"),
        pytest.param(wire.link(wire.ipv4("192.0.2.1", "192.0.2.2", BODY, total=30)), id="ends within tcp"),
        pytest.param(wire.link(wire.ipv4("192.0.2.1", "192.0.2.2", BODY, total=10)), id="ends within ip"),
        pytest.param(wire.link(wire.ipv4("192.0.2.1", "192.0.2.2", bytes(40))), id="tcp header of 0 words"),
        pytest.param(
            wire.link(wire.ipv4("192.0.2.1", "192.0.2.2", b"\0" * 12 + b"\xf0" + bytes(20))),
            id="tcp header longer than the packet",
        ),
        pytest.param(b"\0" * 12 + b"\x81\x00\x00\x05" * 20, id="tags without end"),
        pytest.param(
            wire.link(wire.ipv6("::1", "::2", b"\0" * 400, next_header=0)), id="headers without end"
        ),
    ],
)
def test_what_is_no_tcp_gives_nothing(data: bytes) -> None:
    assert decode(data) == ()


@given(
    link_type=st.sampled_from([0, 1, 12, 14, 101, 108, 113, 228, 229, 276]),
    data=st.binary(max_size=120),
    length=st.integers(0, 2**32 - 1),
)
def test_random_bytes_never_raise(link_type: int, data: bytes, length: int) -> None:
    decode(data, link_type=link_type, length=length)


@given(
    base=st.sampled_from(
        [*fragments(0, 8), *fragments(0, 8, six=True), wire.frame(wire.CLIENT, wire.SERVER, PIECE)]
    ),
    changes=st.lists(st.tuples(st.integers(0, 53), st.integers(0, 255)), max_size=6),
)
def test_mutated_frames_never_raise(base: bytes, changes: list[tuple[int, int]]) -> None:
    data = bytearray(base)
    for place, value in changes:
        data[place % len(data)] = value
    for item in decode(bytes(data)):
        assert isinstance(item, Segment)
        assert 0 <= item.cut < 1 << 18
