"""Open scapy's listening socket on the loopback interface, and on no other.

What scapy leaves to its caller is done here: each frame is delivered once and whole, the buffer is
large, and what the kernel had to drop is counted (packet(7)).
"""

from __future__ import annotations

import contextlib
import errno
import socket
import struct
import sys
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

from mailtap.capture.ring import SOL_PACKET, Ring

if sys.platform != "win32":
    import fcntl

from mailtap.capture.language import N_, Explained

if TYPE_CHECKING:
    from collections.abc import Callable

LOOPBACK: Final = {"linux": "lo", "win32": r"\Device\NPF_Loopback"}.get(sys.platform, "lo0")
BUFFER: Final = 16 * 1024 * 1024  # bytes

_SIOCGIFFLAGS: Final = 0x8913 if sys.platform == "linux" else 0xC0206911  # netdevice(7); sys/sockio.h
_IFF_LOOPBACK: Final = 0x8

_PACKET_STATISTICS: Final = 6  # linux/if_packet.h
_PACKET_IGNORE_OUTGOING: Final = 23  # since Linux 4.20

_SNAPLEN: Final = 0x20000  # bytes: more than any frame on a loopback interface
_RETURN: Final = 0x06  # the BPF instruction that says how much of a frame to keep (linux/filter.h)
_BATCH: Final = 512  # frames handed over at a time
_LINK_TYPES: Final = {"Ether": 1, "Loopback": 0, "LoopbackOpenBSD": 108, "IPv46": 101, "CookedLinux": 113}


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


class _ScapySocket(Protocol):
    """What is used of scapy's listening sockets."""

    ins: Any

    def select(self, sockets: list[Any], remain: float, /) -> list[Any]: ...
    def recv_raw(self, size: int, /) -> tuple[type | None, bytes | None, float | None]: ...
    def close(self) -> None: ...


def require_loopback(interface: str) -> None:
    """Refuse any interface that the system does not flag as loopback, whatever its name.

    Args:
        interface: such as `lo`.

    Raises:
        InterfaceRefused: it is another kind of interface.
        CaptureUnavailable: there is no such interface.
    """
    loopback = _is_loopback(interface)
    if loopback is None:
        text = N_("There is no interface {name!r} here. Leave the name out to listen on {loopback!r}.")
        raise CaptureUnavailable(text, name=interface, loopback=LOOPBACK)
    if not loopback:
        text = N_(
            "{name!r} is not a loopback interface, so other people's traffic could cross it."
            " Mailtap listens only to this machine talking to itself: use {loopback!r}."
        )
        raise InterfaceRefused(text, name=interface, loopback=LOOPBACK)


class LoopbackSocket:
    """An open capture socket; frames wait in it from the moment it is made."""

    def __init__(self, interface: str, expression: str, buffer: int = BUFFER) -> None:
        """Open it.

        Args:
            interface: a loopback interface.
            expression: a pcap-filter(7) expression; where it cannot be compiled, everything is
                heard, and the caller must choose. Empty for everything.
            buffer: size of the kernel's buffer in bytes, as far as the kernel allows.

        Raises:
            InterfaceRefused: the interface is not loopback.
            CaptureUnavailable: the system refuses the socket, or there is no such interface.
        """
        self._dropped = 0
        try:
            require_loopback(interface)
            self._socket = _open(interface, expression)
        except CaptureUnavailable:
            raise
        except PermissionError as error:
            raise CaptureUnavailable(_NOT_ALLOWED[sys.platform == "win32"]) from error
        except Exception as error:  # scapy raises OSError, ImportError, ValueError and its own, by system
            text = N_("scapy cannot listen on {name!r} here: {reason}")
            raise CaptureUnavailable(text, name=interface, reason=error) from error
        self._ring: Ring | None = None
        if sys.platform == "linux":
            try:
                self._ring = _prepare(self._socket.ins, expression, buffer)
            except OSError as error:
                self._socket.close()
                text = N_(
                    "This kernel cannot capture each frame just once ({reason}). Linux 4.20 or later can."
                )
                raise CaptureUnavailable(text, reason=error) from error

    def frames(self, timeout: float) -> list[Frame]:
        """Return the frames that wait in the buffer, a batch at most.

        Args:
            timeout: how many seconds to wait for the first of them.

        Raises:
            OSError: the interface went away.
        """
        if not self._socket.select([self._socket], timeout):
            return []
        if self._ring is not None:
            # The loopback interface of Linux speaks Ethernet.
            return [Frame(1, time_ns, data, length) for time_ns, data, length in self._ring.take()]
        return self._received()

    def _received(self) -> list[Frame]:
        """Return what scapy's own reading gives."""
        frames: list[Frame] = []
        while len(frames) < _BATCH:
            try:
                layer, data, time = self._socket.recv_raw(_SNAPLEN)
            except BlockingIOError:
                break
            if layer is None or data is None or time is None:
                break
            # scapy's time is a float, which holds microseconds exactly and no more.
            time_ns = round(time * 1_000_000) * 1000
            frames.append(Frame(_LINK_TYPES.get(layer.__name__, 1), time_ns, data, len(data)))
        return frames

    def dropped(self) -> int:
        """Return how many frames the kernel has had to drop since the socket was opened."""
        if sys.platform == "linux":
            # Reading the counters resets them.
            counters = self._socket.ins.getsockopt(SOL_PACKET, _PACKET_STATISTICS, 8)
            self._dropped += struct.unpack("II", counters)[1]
        elif statistics := getattr(self._socket, "get_stats", None):
            self._dropped = statistics()[1] or 0
        return self._dropped

    def close(self) -> None:
        """Close it; twice does no harm."""
        if self._ring is not None:
            self._ring.close()
        self._socket.close()


_NOT_ALLOWED: Final = {
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


def _open(interface: str, expression: str) -> _ScapySocket:
    """Open scapy's listening socket; on Linux without the filter, which `_prepare` sees to."""
    from scapy.config import conf  # noqa: PLC0415
    from scapy.error import Scapy_Exception  # noqa: PLC0415
    from scapy.layers import l2  # noqa: F401, PLC0415  # scapy knows a link layer only once it is imported

    listen: Callable[..., _ScapySocket]
    if sys.platform == "linux":
        from scapy.arch.linux import L2ListenSocket as listen  # noqa: N813, PLC0415
    else:
        listen = conf.L2listen
        with contextlib.suppress(ImportError, Scapy_Exception):  # no libpcap to compile it
            return listen(iface=interface, promisc=False, filter=expression or None)
    return listen(iface=interface, promisc=False)


def _prepare(capture: socket.socket, expression: str, buffer: int) -> Ring | None:
    """Deliver each frame of the loopback once, as received, and give it room: in a ring, where there are."""
    capture.setsockopt(SOL_PACKET, _PACKET_IGNORE_OUTGOING, 1)
    if expression:
        _attach(capture, expression)
    capture.settimeout(0)
    # What came before may be there twice, or not be ours.
    with contextlib.suppress(BlockingIOError):
        while True:
            capture.recv(1)
    capture.getsockopt(SOL_PACKET, _PACKET_STATISTICS, 8)  # reading the counters resets them
    try:
        return Ring(capture, buffer)
    except OSError:
        capture.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        return None


def _attach(capture: socket.socket, expression: str) -> None:
    """Let the kernel filter, where libpcap is there to compile the expression."""
    from scapy.arch.common import compile_filter, free_filter  # noqa: PLC0415
    from scapy.data import DLT_EN10MB, SO_ATTACH_FILTER  # noqa: PLC0415
    from scapy.libs.structures import sock_fprog  # noqa: PLC0415

    try:
        program = compile_filter(expression, linktype=DLT_EN10MB)
    except ImportError:
        return
    # scapy has the filter cut each frame at 65,535 bytes; a full one on the loopback has 65,549.
    for instruction in program.bf_insns[: program.bf_len]:
        if instruction.code == _RETURN and instruction.k:
            instruction.k = _SNAPLEN
    capture.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, sock_fprog(program.bf_len, program.bf_insns))
    free_filter(program)


def _is_loopback(interface: str) -> bool | None:
    """Return what the system's own flag says; None where there is no such interface."""
    if sys.platform == "win32":
        import scapy.arch  # noqa: PLC0415, F401
        from scapy.config import conf  # noqa: PLC0415

        known = next(
            (card for card in conf.ifaces.values() if interface in {card.name, card.network_name}), None
        )
        return known and bool(known.flags & 1)  # PCAP_IF_LOOPBACK
    request = struct.pack("16sh22x", interface.encode()[:15], 0)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as query:
        try:
            (flags,) = struct.unpack_from("H", fcntl.ioctl(query, _SIOCGIFFLAGS, request), 16)
        except OSError as error:
            if error.errno in {errno.ENODEV, errno.ENXIO}:
                return None
            raise
    return bool(flags & _IFF_LOOPBACK)
