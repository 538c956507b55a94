"""Two addresses and two ports, source first, are neighbours in a packet: together they are a key.

That is 12 bytes over IPv4 and 36 over IPv6 (RFC 791, RFC 8200, RFC 9293, section 3.1).
"""

from __future__ import annotations

import struct
from socket import AF_INET, AF_INET6, inet_ntop, inet_pton
from typing import Final

from mailtap.capture.model import Endpoint

_PORTS: Final = 4
_IPV4: Final = 4
_ports = struct.Struct(">HH")


def ends_of(source: Endpoint, destination: Endpoint) -> bytes:
    """Return two endpoints as they stand in what the first sends to the second."""
    family = AF_INET6 if ":" in source.address else AF_INET
    addresses = inet_pton(family, source.address) + inet_pton(family, destination.address)
    return addresses + _ports.pack(source.port, destination.port)


def endpoints_of(ends: bytes) -> tuple[Endpoint, Endpoint]:
    """Return source and destination."""
    size = (len(ends) - _PORTS) // 2
    family = AF_INET if size == _IPV4 else AF_INET6
    source, destination = ports_of(ends)
    return (
        Endpoint(inet_ntop(family, ends[:size]), source),
        Endpoint(inet_ntop(family, ends[size : 2 * size]), destination),
    )


def ports_of(ends: bytes) -> tuple[int, int]:
    """Return the source's port and the destination's."""
    source, destination = _ports.unpack(ends[-_PORTS:])
    return source, destination


def turned(ends: bytes) -> bytes:
    """Return the same as it stands in what is sent the other way."""
    size = (len(ends) - _PORTS) // 2
    return ends[size : 2 * size] + ends[:size] + ends[-2:] + ends[-4:-2]
