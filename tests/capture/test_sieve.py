"""The kernel's filter, run by the kernel: on a pair of datagram sockets, which needs no rights."""

from __future__ import annotations

import socket
import sys
from typing import TYPE_CHECKING

import pytest
import wire
from hypothesis import given
from hypothesis import strategies as st
from wire import Piece

from mailtap.capture import sieve
from mailtap.capture.model import Endpoint

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only for Linux")

MARK = 40_000
OURS = (25, 110, 10_110)


@pytest.fixture(scope="module")
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with near, far:
        assert sieve.attach(far, OURS, MARK)
        far.setblocking(False)
        yield near, far


def passes(pair: tuple[socket.socket, socket.socket], frame: bytes) -> bool:
    """Return whether the kernel lets a frame through; what passes must be whole."""
    near, far = pair
    near.send(frame)
    try:
        assert far.recv(1 << 17) == frame
    except BlockingIOError:
        return False
    return True


def tcp(
    source: int, destination: int, *, six: bool = False, options: bytes = b"", fragment: int = 0
) -> bytes:
    a, b = ("::1", "::1") if six else ("127.0.0.1", "127.0.0.1")
    body = wire.tcp(Endpoint(a, source), Endpoint(b, destination), Piece("C", 1, 1, 0x18, b"USER mrose\r\n"))
    if six:
        return wire.link(wire.ipv6(a, b, body))
    return wire.link(wire.ipv4(a, b, body, options=options, fragment=fragment))


def udp(source: int, destination: int, *, six: bool = False) -> bytes:
    body = source.to_bytes(2, "big") + destination.to_bytes(2, "big") + bytes(4) + b"mark"
    if six:
        return wire.link(wire.ipv6("::1", "::1", body, next_header=17))
    return wire.link(wire.ipv4("127.0.0.1", "127.0.0.1", body, protocol=17))


@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        pytest.param(tcp(50_000, 110), True, id="to a port of ours"),
        pytest.param(tcp(10_110, 50_000), True, id="from a port of ours"),
        pytest.param(tcp(50_000, 80), False, id="another port"),
        pytest.param(tcp(50_000, 110, six=True), True, id="IPv6, to a port of ours"),
        pytest.param(tcp(25, 50_000, six=True), True, id="IPv6, from a port of ours"),
        pytest.param(tcp(50_000, 143, six=True), False, id="IPv6, another port"),
        pytest.param(tcp(50_000, 110, options=b"\x01" * 40), True, id="the longest IPv4 options"),
        pytest.param(tcp(50_000, 80, options=b"\x00\x6e" * 20), False, id="a port of ours in the options"),
        pytest.param(tcp(50_000, 110, fragment=0x2000), True, id="a first fragment"),
        pytest.param(tcp(50_000, 110, fragment=0x2001), False, id="a later fragment"),
        pytest.param(udp(MARK, MARK), True, id="the mark"),
        pytest.param(udp(50_000, MARK, six=True), True, id="the mark over IPv6"),
        pytest.param(udp(50_000, 110), False, id="UDP to a port of ours"),
        pytest.param(tcp(50_000, MARK), False, id="TCP to the mark's port"),
        pytest.param(b"\x00" * 12 + b"\x08\x06" + bytes(28), False, id="ARP"),
        pytest.param(b"\x00" * 10, False, id="cut before the ethertype"),
        pytest.param(tcp(50_000, 110)[:36], False, id="cut before the destination port"),
    ],
)
def test_only_the_ports_pass(pair: tuple[socket.socket, socket.socket], frame: bytes, expected: bool) -> None:
    assert passes(pair, frame) is expected


@given(
    source=st.integers(0, 65_535),
    destination=st.sampled_from([*OURS, MARK, 80, 443]),
    six=st.booleans(),
    is_tcp=st.booleans(),
)
def test_it_chooses_as_the_ports_say(
    pair: tuple[socket.socket, socket.socket], source: int, destination: int, six: bool, is_tcp: bool
) -> None:
    wanted = set(OURS) if is_tcp else {MARK}
    frame = (tcp if is_tcp else udp)(source, destination, six=six)
    assert passes(pair, frame) is bool(wanted & {source, destination})


@pytest.mark.parametrize(("count", "fits"), [(1, True), (60, True), (61, False)])
def test_more_ports_than_a_jump_can_pass_are_left_to_the_caller(count: int, fits: bool) -> None:
    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with near, far:
        far.setblocking(False)
        ports = range(1000, 1000 + count)
        assert sieve.attach(far, ports, MARK) is fits
        for port in (ports[0], ports[-1]):
            assert passes((near, far), tcp(port, 9)) is True
        assert passes((near, far), tcp(8, 9)) is not fits
