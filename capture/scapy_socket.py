"""Open scapy's listening socket on the loopback interface, and on no other.

What scapy leaves to its caller is done here: each frame is delivered once and whole, the buffer is
large, and what the kernel had to drop is counted (packet(7)).
"""

from __future__ import annotations

import contextlib
import socket
import sys
from typing import TYPE_CHECKING, Any, Final, Protocol

from mailtap.capture import sieve
from mailtap.capture.language import N_
from mailtap.capture.loopback import NOT_ALLOWED, CaptureUnavailable, Frame, require_loopback
from mailtap.capture.packet_socket import SNAPLEN, deliver_once, newly_dropped, require_alive
from mailtap.capture.ring import Ring

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

_BATCH: Final = 512  # frames handed over at a time
_LINK_TYPES: Final = {"Ether": 1, "Loopback": 0, "LoopbackOpenBSD": 108, "IPv46": 101, "CookedLinux": 113}


class _ScapySocket(Protocol):
    """What is used of scapy's listening sockets."""

    ins: Any

    def select(self, sockets: list[Any], remain: float, /) -> list[Any]: ...
    def recv_raw(self, size: int, /) -> tuple[type | None, bytes | None, float | None]: ...
    def close(self) -> None: ...


class ScapySocket:
    """An open capture socket of scapy's; frames wait in it from the moment it is made.

    Attributes:
        filtered: whether the kernel passes the frames of the ports only; else the caller must choose.
    """

    def __init__(self, interface: str, ports: Collection[int], mark: int, buffer: int) -> None:
        """Open it.

        Args:
            interface: a loopback interface.
            ports: TCP ports to listen to; empty for everything.
            mark: the UDP port to listen to as well, where `ports` are given.
            buffer: size of the kernel's buffer in bytes, as far as the kernel allows.

        Raises:
            InterfaceRefused: the interface is not loopback.
            CaptureUnavailable: the system refuses the socket, or there is no such interface.
        """
        self._dropped = 0
        try:
            require_loopback(interface)
            self._socket, self.filtered = _open(interface, _expression(ports, mark))
        except CaptureUnavailable:
            raise
        except PermissionError as error:
            raise CaptureUnavailable(NOT_ALLOWED[sys.platform == "win32"]) from error
        except Exception as error:  # scapy raises OSError, ImportError, ValueError and its own, by system
            text = N_("scapy cannot listen on {name!r} here: {reason}")
            raise CaptureUnavailable(text, name=interface, reason=error) from error
        self._ring: Ring | None = None
        if sys.platform == "linux":
            try:
                self._prepare(ports, mark, buffer)
            except OSError as error:
                self._socket.close()
                text = N_(
                    "This kernel cannot capture each frame just once ({reason}). Linux 4.20 or later can."
                )
                raise CaptureUnavailable(text, reason=error) from error

    def _prepare(self, ports: Collection[int], mark: int, buffer: int) -> None:
        """Deliver each frame once, of these ports only, and give them room: in a ring, where there are."""
        capture: socket.socket = self._socket.ins
        deliver_once(capture)
        if ports:
            self.filtered = sieve.attach(capture, ports, mark)
        capture.settimeout(0)
        # What came before may be there twice, or not be ours.
        with contextlib.suppress(BlockingIOError):
            while True:
                capture.recv(1)
        newly_dropped(capture)
        try:
            self._ring = Ring(capture, buffer)
        except OSError:
            capture.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)

    def frames(self, timeout: float) -> list[Frame]:
        """Return the frames that wait in the buffer, a batch at most.

        Args:
            timeout: how many seconds to wait for the first of them.

        Raises:
            OSError: the interface went away.
        """
        if not self._socket.select([self._socket], timeout):
            return []
        if self._ring is None:
            return self._received()
        frames = self._ring.take()
        if not frames:
            require_alive(self._socket.ins)
        return frames

    def _received(self) -> list[Frame]:
        """Return what scapy's own reading gives."""
        frames: list[Frame] = []
        while len(frames) < _BATCH:
            try:
                layer, data, time = self._socket.recv_raw(SNAPLEN)
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
            self._dropped += newly_dropped(self._socket.ins)
        elif statistics := getattr(self._socket, "get_stats", None):
            self._dropped = statistics()[1] or 0
        return self._dropped

    def close(self) -> None:
        """Close it; twice does no harm."""
        if self._ring is not None:
            self._ring.close()
        self._socket.close()


def _expression(ports: Collection[int], mark: int) -> str:
    """Return the filter in pcap-filter(7)'s words; empty for everything."""
    return " or ".join([f"udp port {mark}", *(f"tcp port {port}" for port in sorted(ports))]) if ports else ""


def _open(interface: str, expression: str) -> tuple[_ScapySocket, bool]:
    """Open scapy's listening socket, and say whether it filters; on Linux, `_prepare` sees to that."""
    from scapy.config import conf  # noqa: PLC0415
    from scapy.error import Scapy_Exception  # noqa: PLC0415
    from scapy.layers import l2  # noqa: F401, PLC0415  # scapy knows a link layer only once it is imported

    listen: Callable[..., _ScapySocket]
    if sys.platform == "linux":
        from scapy.arch.linux import L2ListenSocket as listen  # noqa: N813, PLC0415
    else:
        listen = conf.L2listen
        with contextlib.suppress(ImportError, Scapy_Exception):  # no libpcap to compile it
            return listen(iface=interface, promisc=False, filter=expression or None), bool(expression)
    return listen(iface=interface, promisc=False), False
