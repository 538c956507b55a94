"""Build what a tap would see: frames, TCP conversations and capture files, from literals.

A scripted conversation becomes packets:

    packets = conversation([("S", b"+OK hello\r\n"), ("C", b"USER mrose\r\n")])

and the wire's mischief is applied to that list: `lose`, `duplicate`, `reorder`, `snap`, `only`; each
gives packets numbered from 1 again. `pcap` and `pcapng` turn packets into a capture file's bytes.
Checksums are left zero, as offloading leaves them.
"""

from __future__ import annotations

import ipaddress
import struct
from typing import TYPE_CHECKING, NamedTuple

from mailtap.capture.model import Endpoint, Packet

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

CLIENT = Endpoint("192.0.2.10", 47206)
SERVER = Endpoint("192.0.2.1", 110)
CLIENT6 = Endpoint("2001:db8::10", 47206)
SERVER6 = Endpoint("2001:db8::1", 110)

FIN, SYN, RST, PSH, ACK = 0x01, 0x02, 0x04, 0x08, 0x10
START_NS = 1_795_568_000_000_000_000
STEP_NS = 1_000_000

ETHERNET, NULL, LOOP, RAW, RAW_BSD, RAW_OPENBSD = 1, 0, 108, 101, 12, 14
COOKED, COOKED2, IPV4, IPV6 = 113, 276, 228, 229

Turn = tuple[str, bytes]


class Piece(NamedTuple):
    """One TCP segment of a conversation before it is put into a frame; sequence numbers absolute."""

    side: str
    sequence: int
    acknowledgment: int
    flags: int
    payload: bytes


# --- frames ------------------------------------------------------------------------------------------


def tcp(source: Endpoint, destination: Endpoint, piece: Piece, *, options: bytes = b"") -> bytes:
    """Return a TCP segment (RFC 9293, section 3.1); `options` must be padded to four bytes."""
    offset = (5 + len(options) // 4) << 4
    return (
        struct.pack(
            ">HHIIBBHHH",
            source.port,
            destination.port,
            piece.sequence & 0xFFFFFFFF,
            piece.acknowledgment & 0xFFFFFFFF,
            offset,
            piece.flags,
            65535,
            0,
            0,
        )
        + options
        + piece.payload
    )


def ipv4(
    source: str,
    destination: str,
    body: bytes,
    *,
    protocol: int = 6,
    options: bytes = b"",
    identification: int = 0,
    fragment: int = 0,
    total: int | None = None,
) -> bytes:
    """Return an IPv4 packet (RFC 791); `fragment` is the flags-and-offset field."""
    header = 20 + len(options)
    length = header + len(body) if total is None else total
    return (
        struct.pack(">BBHHHBBH", 0x40 | header // 4, 0, length, identification, fragment, 64, protocol, 0)
        + ipaddress.IPv4Address(source).packed
        + ipaddress.IPv4Address(destination).packed
        + options
        + body
    )


def ipv6(
    source: str,
    destination: str,
    body: bytes,
    *,
    next_header: int = 6,
    extensions: bytes = b"",
    length: int | None = None,
) -> bytes:
    """Return an IPv6 packet (RFC 8200); `next_header` names the first of `extensions`, if any."""
    size = len(extensions) + len(body) if length is None else length
    return (
        struct.pack(">IHBB", 0x60000000, size, next_header, 64)
        + ipaddress.IPv6Address(source).packed
        + ipaddress.IPv6Address(destination).packed
        + extensions
        + body
    )


def link(packet: bytes, *, link_type: int = ETHERNET, vlans: Sequence[int] = ()) -> bytes:
    """Return an IP packet in a frame of that link type; `vlans` are tags, the outermost first."""
    six = packet[0] >> 4 == 6
    ethertype = b"\x86\xdd" if six else b"\x08\x00"
    tags = b"".join(
        (b"\x88\xa8" if vlans[1:] and place == 0 else b"\x81\x00") + tag.to_bytes(2, "big")
        for place, tag in enumerate(vlans)
    )
    prefixes = {
        ETHERNET: b"\x02\x00\x00\x00\x00\x01\x02\x00\x00\x00\x00\x02" + tags + ethertype,
        COOKED: b"\x00\x00\x00\x01\x00\x06\x02\x00\x00\x00\x00\x01\x00\x00" + tags + ethertype,
        COOKED2: ethertype + b"\x00\x00\x00\x00\x00\x01\x00\x01\x00\x06\x02\x00\x00\x00\x00\x01\x00\x00",
        NULL: struct.pack("<I", 30 if six else 2),
        LOOP: struct.pack(">I", 24 if six else 2),
    }
    return prefixes.get(link_type, b"") + packet


def frame(
    source: Endpoint,
    destination: Endpoint,
    piece: Piece,
    *,
    link_type: int = ETHERNET,
    vlans: Sequence[int] = (),
) -> bytes:
    """Return the frame that carries that TCP segment between those endpoints."""
    build = ipv6 if ":" in source.address else ipv4
    body = tcp(source, destination, piece)
    return link(build(source.address, destination.address, body), link_type=link_type, vlans=vlans)


# --- conversations -----------------------------------------------------------------------------------


def pieces(
    turns: Iterable[Turn],
    *,
    syn: bool = True,
    syn_ack: bool = True,
    fin: bool = True,
    acks: bool = True,
    mss: int = 1460,
    overlap: int = 0,
    client_isn: int = 1000,
    server_isn: int = 5_000_000,
    syn_data: bool = False,
) -> list[Piece]:
    """Return the segments of a connection in which the turns ("C" or "S", bytes) are spoken.

    `mss` splits each turn; `overlap` lets each segment begin that many bytes early, repeating what the
    one before it carried; `acks` sends a bare acknowledgement after each segment; `syn_data` puts the
    first turn, which must be the client's, on the SYN (RFC 7413).
    """
    rest = list(turns)
    at = {"C": client_isn + 1, "S": server_isn + 1}
    begin = dict(at)
    said = {"C": b"", "S": b""}
    other = {"C": "S", "S": "C"}
    out: list[Piece] = []
    if syn:
        data = rest.pop(0)[1] if syn_data else b""
        out.append(Piece("C", client_isn, 0, SYN, data))
        at["C"] += len(data)
        said["C"] += data
    if syn and syn_ack:
        out.append(Piece("S", server_isn, at["C"], SYN | ACK, b""))
    if syn:
        out.append(Piece("C", at["C"], at["S"], ACK, b""))
    for side, text in rest:
        peer = other[side]
        for start in range(0, len(text), mss):
            data = text[start : start + mss]
            back = min(overlap, at[side] - begin[side])
            early = said[side][len(said[side]) - back :] if back else b""
            out.append(Piece(side, at[side] - back, at[peer], PSH | ACK, early + data))
            at[side] += len(data)
            said[side] += data
            if acks:
                out.append(Piece(peer, at[peer], at[side], ACK, b""))
    if fin:
        out.append(Piece("C", at["C"], at["S"], FIN | ACK, b""))
        out.append(Piece("S", at["S"], at["C"] + 1, FIN | ACK, b""))
        out.append(Piece("C", at["C"] + 1, at["S"] + 1, ACK, b""))
    return out


def packets(
    segments: Iterable[Piece],
    *,
    client: Endpoint = CLIENT,
    server: Endpoint = SERVER,
    link_type: int = ETHERNET,
    vlans: Sequence[int] = (),
) -> list[Packet]:
    """Return those segments as captured frames, numbered from 1 and a millisecond apart."""
    ends = {"C": (client, server), "S": (server, client)}
    frames = [frame(*ends[piece.side], piece, link_type=link_type, vlans=vlans) for piece in segments]
    return renumber(Packet(0, 0, link_type, data, len(data)) for data in frames)


def conversation(  # the options of `packets`; all others are those of `pieces`
    turns: Iterable[Turn],
    *,
    client: Endpoint = CLIENT,
    server: Endpoint = SERVER,
    link_type: int = ETHERNET,
    vlans: Sequence[int] = (),
    **options: object,
) -> list[Packet]:
    """Return the packets of a whole connection in which the turns are spoken."""
    segments = pieces(turns, **options)  # type: ignore[arg-type]
    return packets(segments, client=client, server=server, link_type=link_type, vlans=vlans)


# --- mischief ----------------------------------------------------------------------------------------


def renumber(heard: Iterable[Packet], *, start_ns: int = START_NS, step_ns: int = STEP_NS) -> list[Packet]:
    """Return the packets numbered from 1 in this order, `step_ns` apart."""
    return [
        packet._replace(number=number, time_ns=start_ns + (number - 1) * step_ns)
        for number, packet in enumerate(heard, 1)
    ]


def lose(heard: Sequence[Packet], *numbers: int) -> list[Packet]:
    """Return the packets without those numbers."""
    return renumber(packet for packet in heard if packet.number not in numbers)


def duplicate(heard: Sequence[Packet], *numbers: int, later: int = 1) -> list[Packet]:
    """Return the packets with those numbers seen a second time, `later` places after."""
    out = list(heard)
    for number in sorted(numbers, reverse=True):
        out.insert(number - 1 + later, heard[number - 1])
    return renumber(out)


def reorder(heard: Sequence[Packet], order: Sequence[int]) -> list[Packet]:
    """Return the packets in that order of their numbers."""
    return renumber(heard[number - 1] for number in order)


def snap(heard: Sequence[Packet], snaplen: int) -> list[Packet]:
    """Return the packets as a capture with that snapshot length has them."""
    return renumber(packet._replace(data=packet.data[:snaplen]) for packet in heard)


def only(heard: Sequence[Packet], side: str, *, port: int = SERVER.port) -> list[Packet]:
    """Return one side's Ethernet and IPv4 packets: "C" those sent to the port, "S" those sent from it."""
    place = slice(36, 38) if side == "C" else slice(34, 36)
    return renumber(packet for packet in heard if packet.data[place] == port.to_bytes(2, "big"))


def interleave(*conversations: Sequence[Packet]) -> list[Packet]:
    """Return several conversations as one capture, one packet of each in turn."""
    longest = max(map(len, conversations))
    return renumber(talk[place] for place in range(longest) for talk in conversations if place < len(talk))


# --- capture files -----------------------------------------------------------------------------------


def pcap(heard: Sequence[Packet], *, order: str = "<", nano: bool = False, snaplen: int = 262144) -> bytes:
    """Return a classic capture file; all packets must have one link type."""
    magic, unit = (0xA1B23C4D, 1) if nano else (0xA1B2C3D4, 1000)
    link_type = heard[0].link_type if heard else ETHERNET
    out = [struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, snaplen, link_type)]
    for packet in heard:
        seconds, rest = divmod(packet.time_ns, 1_000_000_000)
        out.append(struct.pack(order + "IIII", seconds, rest // unit, len(packet.data), packet.length))
        out.append(packet.data)
    return b"".join(out)


def block(kind: int, body: bytes, *, order: str = "<") -> bytes:
    """Return one pcapng block, padded, with both its lengths."""
    body += bytes(-len(body) % 4)
    length = len(body) + 12
    return struct.pack(order + "II", kind, length) + body + struct.pack(order + "I", length)


def pcapng(heard: Sequence[Packet], *, order: str = "<", resolution: int | None = 9) -> bytes:
    """Return one pcapng section; one interface for each link type; `resolution` is if_tsresol.

    None leaves the option out (microseconds). A resolution with the high bit set counts in powers of 2.
    """
    links = sorted({packet.link_type for packet in heard})
    out = [block(0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1), order=order)]
    option = b"" if resolution is None else struct.pack(order + "HHB3xHH", 9, 1, resolution, 0, 0)
    out += [block(1, struct.pack(order + "HHI", kind, 0, 0) + option, order=order) for kind in links]
    ticks = 10**6 if resolution is None else 10**resolution if resolution < 128 else 2 ** (resolution & 127)
    for packet in heard:
        stamp = packet.time_ns * ticks // 1_000_000_000
        head = struct.pack(
            order + "IIIII",
            links.index(packet.link_type),
            stamp >> 32,
            stamp & 0xFFFFFFFF,
            len(packet.data),
            packet.length,
        )
        out.append(block(6, head + packet.data, order=order))
    return b"".join(out)
