"""The loopback interface, the only one that is ever listened to, and what comes off it."""

from __future__ import annotations

import errno
import os
import socket
import struct
import sys
from typing import Final, NamedTuple, Protocol

if sys.platform != "win32":
    import fcntl

from mailtap.capture.language import N_, Explained

LOOPBACK: Final = {"linux": "lo", "win32": r"\Device\NPF_Loopback"}.get(sys.platform, "lo0")
BUFFER: Final = 16 * 1024 * 1024  # bytes

_SIOCGIFFLAGS: Final = 0x8913 if sys.platform == "linux" else 0xC0206911  # netdevice(7); sys/sockio.h
_IFF_LOOPBACK: Final = 0x8


class CaptureUnavailable(Explained):  # a condition of this machine
    """This machine does not let the program listen; the message says why and what to do."""


class InterfaceRefused(CaptureUnavailable):
    """The interface is not a loopback interface, and nothing else is ever listened to."""


class Frame(NamedTuple):
    """What came off the socket.

    Attributes:
        link_type: its LINKTYPE_ value.
        time_ns: capture time in nanoseconds since 1970-01-01 UTC.
        data: the frame.
        length: its length on the wire in bytes.
    """

    link_type: int
    time_ns: int
    data: bytes
    length: int


class LoopbackSocket(Protocol):
    """An open capture socket on the loopback interface; frames wait in it from the moment it is made.

    Attributes:
        filtered: whether the kernel passes the frames of the ports only; else the caller must choose.
    """

    filtered: bool

    def frames(self, timeout: float) -> list[Frame]:
        """Return the frames that wait in the buffer, a batch at most.

        Args:
            timeout: how many seconds to wait for the first of them.

        Raises:
            OSError: the interface went away.
        """
        ...

    def dropped(self) -> int:
        """Return how many frames the kernel has had to drop since the socket was opened."""
        ...

    def close(self) -> None:
        """Close it; twice does no harm."""
        ...


NOT_ALLOWED: Final = {
    False: N_(
        "The system does not let this user capture packets. Run it as root:"
        " sudo .venv/bin/mailtap capture --live. Without root, mailtap servers --tap hears your own mail"
        " program, and mailtap demo plain runs the lesson."
    ),
    True: N_(
        "Windows does not let this program capture packets. Install Npcap with loopback support. Without it,"
        " mailtap servers --tap hears your own mail program, and mailtap demo plain runs the lesson."
    ),
}


def require_loopback(interface: str) -> None:
    """Refuse any interface that the system does not flag as loopback, whatever its name.

    Args:
        interface: such as `lo`.

    Raises:
        InterfaceRefused: it is another kind of interface.
        CaptureUnavailable: there is no such interface.
    """
    loopback = _is_loopback(interface)
    if loopback is None and interface == LOOPBACK:  # on Windows, it comes with Npcap
        raise CaptureUnavailable(NOT_ALLOWED[sys.platform == "win32"])
    if loopback is None:
        text = N_("There is no interface {name!r} here. Leave the name out to listen on {loopback!r}.")
        raise CaptureUnavailable(text, name=interface, loopback=LOOPBACK)
    if not loopback:
        text = N_(
            "{name!r} is not a loopback interface, so other people's traffic could cross it."
            " Mailtap listens only to this machine talking to itself: use {loopback!r}."
        )
        raise InterfaceRefused(text, name=interface, loopback=LOOPBACK)


def _is_loopback(interface: str) -> bool | None:
    """Return what the system's own flag says; None where there is no such interface."""
    if sys.platform == "win32":
        import scapy.arch  # noqa: PLC0415, F401
        from scapy.config import conf  # noqa: PLC0415

        known = next(
            (card for card in conf.ifaces.values() if interface in {card.name, card.network_name}), None
        )
        return known and bool(known.flags & 1)  # PCAP_IF_LOOPBACK
    request = struct.pack("16sh22x", os.fsencode(interface)[:15], 0)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as query:
        try:
            (flags,) = struct.unpack_from("H", fcntl.ioctl(query, _SIOCGIFFLAGS, request), 16)
        except OSError as error:
            if error.errno in {errno.ENODEV, errno.ENXIO}:
                return None
            raise
    return bool(flags & _IFF_LOOPBACK)
