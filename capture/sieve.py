"""Write the kernel's filter for the ports of a live capture (classic BPF: bpf(4), linux/filter.h).

Same choice as the pcap-filter(7) expression `udp port N or tcp port A or tcp port B …` on Ethernet, for
kernels whose libpcap is not there to compile it: first fragments only, no IPv6 extension headers.
"""

from __future__ import annotations

import ctypes
import struct
from typing import TYPE_CHECKING, Final

from mailtap.capture.packet_socket import SNAPLEN

if TYPE_CHECKING:
    import socket
    from collections.abc import Collection, Iterator

    Instruction = tuple[int, int, int, int]  # code, jump if true, jump if false, operand (struct sock_filter)

_SO_ATTACH_FILTER: Final = 26  # asm-generic/socket.h
_MOST: Final = 60  # ports: a jump reaches 255 instructions, and each port takes two, twice

_LOAD_HALF: Final = 0x28
_LOAD_BYTE: Final = 0x30
_LOAD_HALF_AFTER: Final = 0x48  # from the index register on
_LOAD_HEADER_LENGTH: Final = 0xB1  # into the index register: 4 * (byte & 15)
_JUMP: Final = 0x05
_EQUAL: Final = 0x15
_ANY_BIT: Final = 0x45
_RETURN: Final = 0x06

_ETHERTYPE, _IPV4, _IPV6 = 12, 0x0800, 0x86DD
_AFTER_ETHERNET: Final = 14
_V4_PROTOCOL, _V4_FRAGMENT, _OFFSET_BITS = 23, 20, 0x1FFF  # RFC 791, section 3.1
_V6_PROTOCOL, _V6_PAYLOAD = 20, 54  # RFC 8200, section 3
_TCP, _UDP = 6, 17


def attach(capture: socket.socket, tcp: Collection[int], udp: int) -> bool:
    """Let the kernel pass only the frames of these ports; return whether they are few enough for that.

    Args:
        capture: a packet socket.
        tcp: TCP ports.
        udp: one UDP port.
    """
    if len(tcp) > _MOST:
        return False
    code = program(tcp, udp)
    memory = ctypes.create_string_buffer(code, len(code))
    head = struct.pack("@HP", len(code) // 8, ctypes.addressof(memory))  # struct sock_fprog
    capture.setsockopt(1, _SO_ATTACH_FILTER, head)  # SOL_SOCKET; the kernel copies what it points to
    return True


def program(tcp: Collection[int], udp: int) -> bytes:
    """Return the filter's instructions (struct sock_filter, eight bytes each)."""
    v6 = list(_ports(_LOAD_HALF, _V6_PAYLOAD, _V6_PROTOCOL, tcp, udp))
    v4 = list(_ports(_LOAD_HALF_AFTER, _AFTER_ETHERNET, _V4_PROTOCOL, tcp, udp))
    fragments: list[Instruction] = [
        (_LOAD_HALF, 0, 0, _V4_FRAGMENT),
        (_ANY_BIT, 0, 1, _OFFSET_BITS),
        (_RETURN, 0, 0, 0),
        (_LOAD_HEADER_LENGTH, 0, 0, _AFTER_ETHERNET),
    ]
    start: list[Instruction] = [
        (_LOAD_HALF, 0, 0, _ETHERTYPE),
        (_EQUAL, 3, 0, _IPV4),
        (_EQUAL, 0, 1, _IPV6),
        (_JUMP, 0, 0, len(fragments) + len(v4) + 1),
        (_RETURN, 0, 0, 0),
    ]
    return b"".join(struct.pack("=HBBI", *each) for each in (*start, *fragments, *v4, *v6))


def _ports(load: int, payload: int, protocol: int, tcp: Collection[int], udp: int) -> Iterator[Instruction]:
    """Pass a packet whose source or destination is one of the ports; drop every other. Ends in a return."""
    of_tcp = [*_either(load, payload, sorted(tcp)), (_RETURN, 0, 0, 0)]
    yield _LOAD_BYTE, 0, 0, protocol
    yield _EQUAL, 2, 0, _TCP
    yield _EQUAL, len(of_tcp) + 1, 0, _UDP
    yield _RETURN, 0, 0, 0
    yield from of_tcp
    yield from _either(load, payload, [udp])
    yield _RETURN, 0, 0, 0


def _either(load: int, payload: int, ports: Collection[int]) -> Iterator[Instruction]:
    for offset in (payload, payload + 2):  # source, destination (RFC 9293, section 3.1; RFC 768)
        yield load, 0, 0, offset
        for port in ports:
            yield _EQUAL, 0, 1, port
            yield _RETURN, 0, 0, SNAPLEN
