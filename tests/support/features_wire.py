"""The wire: the frames in which a login crosses, and the troubles of TCP."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, TypeAlias

import wire
from feature import HOST, Feature, turns

from mailtap.capture.model import Endpoint, Packet

if TYPE_CHECKING:
    from collections.abc import Callable

LINKS = "Frames"
TCP = "TCP"

LOGIN = "S: +OK ready\nC: USER tim\nS: +OK\nC: PASS x\nS: +OK\nC: QUIT\nS: +OK bye\n"
TALK = turns(LOGIN)
LEAKS = (
    "username 'tim' mechanism=USER/PASS accepted",
    "password 'x' mechanism=USER/PASS username=tim accepted",
)
LATE = "The capture started in the middle of this connection; what came before was not heard."
Build: TypeAlias = "Callable[[], list[Packet]]"


def row(
    topic: str,
    name: str,
    source: str,
    packets: Build,
    *,
    where: str,
    leaks: tuple[str, ...] = LEAKS,
    notes: tuple[str, ...] = (),
) -> Feature:
    """Return a feature of the wire; as a rule it leaks the login and needs no note."""
    return Feature(
        topic=topic,
        name=name,
        where=where,
        source=source,
        packets=packets,
        leaks=leaks,
        notes=notes,
        plain=False,
    )


# --- frames --------------------------------------------------------------------------------------------


def _framed(link_type: int, *, six: bool, vlans: tuple[int, ...] = ()) -> Build:
    ends = {"client": wire.CLIENT6, "server": wire.SERVER6} if six else {}
    return lambda: wire.conversation(TALK, link_type=link_type, vlans=vlans, **ends)


_LINK_TYPES = (
    ("Ethernet", wire.ETHERNET, (), "IEEE 802.3"),
    ("Ethernet with a VLAN tag", wire.ETHERNET, (5,), "IEEE 802.1Q"),
    ("Ethernet with two tags (QinQ)", wire.ETHERNET, (5, 6), "IEEE 802.1ad"),
    ("Linux cooked v1", wire.COOKED, (), "LINKTYPE 113"),
    ("Linux cooked v2", wire.COOKED2, (), "LINKTYPE 276"),
    ("NULL", wire.NULL, (), "LINKTYPE 0"),
    ("LOOP", wire.LOOP, (), "LINKTYPE 108"),
    ("raw IP", wire.RAW, (), "LINKTYPE 101, 12, 14"),
)


def _rewrapped(change: Callable[[bytes], list[bytes]]) -> Build:
    """Return what builds the login with the packet of each TCP payload wrapped otherwise."""

    def build() -> list[Packet]:
        out: list[bytes] = []
        for packet in wire.conversation(TALK):
            out += change(packet.data[14:]) if len(packet.data) > 54 else [packet.data]
        return wire.renumber(Packet(0, 0, wire.ETHERNET, data, len(data)) for data in out)

    return build


def _addresses(ip: bytes) -> tuple[str, str]:
    source, destination = (".".join(map(str, ip[at : at + 4])) for at in (12, 16))
    return source, destination


def _with_options(ip: bytes) -> list[bytes]:
    return [wire.link(wire.ipv4(*_addresses(ip), ip[20:], options=b"\x01" * 8))]


def _in_fragments(ip: bytes) -> list[bytes]:
    body, ends = ip[20:], _addresses(ip)
    mark = sum(body) & 0xFFFF
    parts = [(0x2000, body[:24]), (3, body[24:])]
    return [wire.link(wire.ipv4(*ends, part, identification=mark, fragment=place)) for place, part in parts]


def _in_ipv6(ip: bytes) -> list[bytes]:
    """Behind a hop-by-hop and a destination header (RFC 8200, sections 4.3 and 4.6)."""
    headers = bytes([60, 0, 1, 4, 0, 0, 0, 0]) + bytes([6, 0, 1, 4, 0, 0, 0, 0])
    source, destination = ("::ffff:" + end for end in _addresses(ip))
    return [wire.link(wire.ipv6(source, destination, ip[20:], next_header=0, extensions=headers))]


FRAMES = (
    *(
        row(LINKS, name, source, _framed(link_type, six=six, vlans=vlans), where="IPv6" if six else "IPv4")
        for name, link_type, vlans, source in _LINK_TYPES
        for six in (False, True)
    ),
    row(LINKS, "options", "RFC 791, 3.1", _rewrapped(_with_options), where="IPv4"),
    row(LINKS, "fragments", "RFC 791, 3.2", _rewrapped(_in_fragments), where="IPv4"),
    row(
        LINKS, "extension headers", "RFC 8200, 4",
        lambda: wire.renumber(
            Packet(0, 0, wire.ETHERNET, data, len(data))
            for packet in wire.conversation(TALK)
            for data in _in_ipv6(packet.data[14:])
        ),
        where="IPv6",
    ),
)  # fmt: skip

# --- TCP -----------------------------------------------------------------------------------------------


def _whole() -> list[Packet]:
    return wire.conversation(TALK, acks=False)


def _swapped(packets: list[Packet]) -> list[Packet]:
    """Swap neighbours: every second packet after the handshake comes one place early."""
    order = [1, 2, 3]
    places = iter(range(4, len(packets) + 1))
    while pair := list(islice(places, 2)):
        order += reversed(pair)
    return wire.reorder(packets, order)


def _conflicting() -> list[Packet]:
    packets = _whole()
    (at,) = [packet.number for packet in packets if b"PASS" in packet.data]
    again = packets[at - 1]._replace(data=packets[at - 1].data.replace(b"PASS x", b"PASS y"))
    return wire.renumber([*packets[:at], again, *packets[at:]])


def _reused() -> list[Packet]:
    first = wire.conversation(TALK, fin=False)
    return wire.renumber([*first, *wire.conversation(TALK, client_isn=77_000, server_isn=99_000)])


def _reset() -> list[Packet]:
    at = 1001 + sum(len(text) for side, text in TALK if side == "C")
    reset = wire.Piece("C", at, 0, wire.RST, b"")
    return wire.packets([*wire.pieces(TALK, fin=False), reset])


def _among(at: int, *pieces: wire.Piece) -> list[Packet]:
    """Return the conversation with these segments in it, before the one with that number."""
    whole = wire.pieces(TALK)
    return wire.packets([*whole[: at - 1], *pieces, *whole[at - 1 :]])


def _without(payload: bytes) -> list[Packet]:
    packets = wire.conversation(TALK)
    return wire.lose(packets, *(packet.number for packet in packets if payload in packet.data))


CUT = "C: USER tim\nC: PASS x\nC: UIDL\n"
ODD = {"client": Endpoint("192.0.2.10", 1024), "server": Endpoint(HOST, 40_110)}

STREAMS = (
    row(TCP, "out of order", "RFC 9293, 3.4", lambda: _swapped(_whole()), where="TCP"),
    row(TCP, "every packet seen twice", "RFC 9293, 3.4", lambda: wire.duplicate(_whole(), *range(1, len(_whole()) + 1)), where="TCP"),
    row(TCP, "overlapping segments", "RFC 9293, 3.4", lambda: wire.conversation(TALK, mss=7, overlap=5), where="TCP"),
    row(
        TCP, "overlapping segments that differ: the first copy counts, and it is said", "RFC 9293, 3.10.7.4", _conflicting, where="TCP",
        notes=("Packet 8 repeats bytes with another content; the first copy counts.",),
    ),
    row(TCP, "one byte a segment", "RFC 9293, 3.7", lambda: wire.conversation(TALK, mss=1), where="TCP"),
    row(TCP, "sequence numbers that wrap", "RFC 9293, 3.4", lambda: wire.conversation(TALK, client_isn=2**32 - 9, server_isn=2**32 - 3), where="TCP"),
    row(TCP, "a reused port", "RFC 9293, 3.6.1", _reused, where="TCP", leaks=(*LEAKS, *LEAKS)),
    row(TCP, "data on the SYN", "RFC 7413", lambda: wire.conversation(turns("C: USER tim\nC: PASS x\nS: +OK\nS: +OK\nS: +OK\n"), syn_data=True), where="TCP"),
    row(TCP, "no FIN", "RFC 9293, 3.6", lambda: wire.conversation(TALK, fin=False), where="TCP"),
    row(TCP, "a reset", "RFC 9293, 3.5.2", _reset, where="TCP"),
    row(
        TCP, "segments of an earlier connection between the same ports: passed over", "RFC 9293, 3.5.1",
        lambda: _among(2, wire.Piece("S", 0x10000000, 0x77000000, wire.ACK, b""), wire.Piece("C", 0x77000000, 0, wire.RST, b"")),
        where="TCP",
    ),
    row(
        TCP, "a reset that the ends ignore: passed over", "RFC 9293, 3.10.7.4",
        lambda: _among(8, wire.Piece("S", 5_000_003, 0, wire.RST, b"")), where="TCP",
    ),
    row(TCP, "no SYN: the capture started late", "RFC 9293, 3.5", lambda: wire.renumber(wire.conversation(TALK)[5:]), where="TCP", notes=(LATE,)),
    row(
        TCP, "no SYN, two odd ports, the server's the higher: told by what they say", "RFC 9293, 3.5",
        lambda: wire.renumber(wire.conversation(TALK, **ODD)[5:]), where="TCP", notes=(LATE,),
    ),
    row(
        TCP, "no SYN, in the middle of a message", "RFC 9293, 3.5",
        lambda: wire.conversation([("S", b"the rest\r\nof a message\r\n.\r\n"), *TALK[1:]], syn=False), where="TCP", notes=(LATE,),
    ),
    row(
        TCP, "no SYN, the client's half alone", "RFC 9293, 3.5", lambda: wire.only(wire.conversation(turns(CUT), syn=False), "C"), where="TCP",
        leaks=tuple(leak.removesuffix(" accepted") for leak in LEAKS),
        notes=(LATE, "Client half only: the capture has nothing of what the server sent."),
    ),
    row(
        TCP, "a hole", "RFC 9293, 3.4", lambda: _without(b"USER"), where="TCP", leaks=("password 'x' mechanism=USER/PASS accepted",),
        notes=("A hole of 10 bytes in what the client sent, in packet range 4-6.",),
    ),
    row(
        TCP, "snaplen cuts", "pcap", lambda: wire.snap(wire.conversation(TALK), 60), where="TCP", leaks=(),
        notes=(
            "2 holes in what the server sent, 8 bytes together, in packet range 4-16.",
            "2 holes in what the client sent, 6 bytes together, in packet range 6-10.",
        ),
    ),
    row(
        TCP, "a snaplen that cuts the greeting and leaves the login", "pcap",
        lambda: wire.snap(wire.conversation(turns(LOGIN.replace("ready", "ready to serve")), server=Endpoint(HOST, 31_234)), 64), where="TCP",
        notes=("A hole of 10 bytes in what the server sent, in packet range 4-4.",),
    ),
)  # fmt: skip

CARRIED = (*FRAMES, *STREAMS)
