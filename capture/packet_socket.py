"""What both engines ask of a Linux packet socket (packet(7)), and scapy leaves to its caller."""

from __future__ import annotations

import socket
import struct
from typing import Final

SOL_PACKET: Final = 263  # linux/socket.h
SNAPLEN: Final = 0x20000  # bytes: more than any frame on a loopback interface
ETHERNET: Final = 1  # LINKTYPE_ETHERNET: what the loopback interface of Linux speaks

_STATISTICS: Final = 6  # linux/if_packet.h
_IGNORE_OUTGOING: Final = 23  # since Linux 4.20


def deliver_once(capture: socket.socket) -> None:
    """Have each frame of the loopback delivered as it is received, and not also as it is sent.

    Raises:
        OSError: this kernel is older than Linux 4.20.
    """
    capture.setsockopt(SOL_PACKET, _IGNORE_OUTGOING, 1)


def newly_dropped(capture: socket.socket) -> int:
    """Return how many frames the kernel has had to drop since this was last asked: asking resets it."""
    return int(struct.unpack("II", capture.getsockopt(SOL_PACKET, _STATISTICS, 8))[1])


def require_alive(capture: socket.socket) -> None:
    """Do nothing while the interface is there; a socket without one is readable, and has nothing to read.

    Raises:
        OSError: the interface went away.
    """
    if error := capture.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
        raise OSError(error, "the interface went away")
