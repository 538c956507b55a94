"""Listen to the loopback interface of Linux with nothing but the standard library (packet(7)).

Opens in a millisecond, without scapy, and loses nothing at loads at which a socket's own buffer overflows.
"""

from __future__ import annotations

import contextlib
import select
import socket
import sys
from typing import TYPE_CHECKING, Final

from mailtap.capture import sieve
from mailtap.capture.language import N_
from mailtap.capture.loopback import NOT_ALLOWED, CaptureUnavailable, require_loopback
from mailtap.capture.packet_socket import deliver_once, newly_dropped, require_alive
from mailtap.capture.ring import Ring

if TYPE_CHECKING:
    from collections.abc import Collection

    from mailtap.capture.loopback import Frame

_ALL: Final = 0x0003  # ETH_P_ALL, linux/if_ether.h


class RingSocket:
    """An open capture socket read through a ring; frames wait in it from the moment it is made."""

    def __init__(self, interface: str, ports: Collection[int], mark: int, buffer: int) -> None:
        """Open it.

        Args:
            interface: a loopback interface.
            ports: TCP ports to listen to; empty for everything.
            mark: the UDP port to listen to as well, where `ports` are given.
            buffer: size of the ring in bytes.

        Raises:
            InterfaceRefused: the interface is not loopback.
            CaptureUnavailable: the system refuses the socket or the ring, or there is no such interface.
        """
        require_loopback(interface)
        self.filtered = False
        self._dropped = 0
        if sys.platform != "linux":
            raise CaptureUnavailable(N_("Only Linux has the ring; --engine scapy does without."))
        with contextlib.ExitStack() as opened:
            try:
                # Nothing comes before the socket is bound: not twice, and not past the filter.
                self._socket = opened.enter_context(socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0))
                deliver_once(self._socket)
                if ports:
                    self.filtered = sieve.attach(self._socket, ports, mark)
                self._ring = Ring(self._socket, buffer)
                self._socket.bind((interface, _ALL))
            except PermissionError as error:
                raise CaptureUnavailable(NOT_ALLOWED[False]) from error
            except OSError as error:
                text = N_("This kernel has no ring for packets ({reason}); --engine scapy does without.")
                raise CaptureUnavailable(text, reason=error) from error
            self._ready = select.poll()
            self._ready.register(self._socket, select.POLLIN)
            opened.pop_all()

    def frames(self, timeout: float) -> list[Frame]:
        """Return the frames of the next block, after at most so many seconds."""
        frames = self._ring.take()
        if not frames and self._ready.poll(timeout * 1000):
            require_alive(self._socket)
            frames = self._ring.take()
        return frames

    def dropped(self) -> int:
        """Return how many frames the kernel has had to drop since the socket was opened."""
        self._dropped += newly_dropped(self._socket)
        return self._dropped

    def close(self) -> None:
        """Close it; twice does no harm."""
        self._ring.close()
        self._socket.close()
