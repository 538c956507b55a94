"""What an impostor reads, as a hop of its own: the inside of TLS that a client has let him end.

A man in the middle with a certificate of his own reads everything the client says to him. What he was
told inside TLS is written down like traffic in clear, so that the very same listener hears it.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Final

from mailtap.capture.model import Direction, Endpoint, Leak, Packet
from mailtap.capture.pipeline import listen
from mailtap.demo.network.frames import ETHERNET, Connection
from mailtap.servers import Security, ServerProtocol, Service

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mailtap.servers import Confidant

HOP: Final = {
    ServerProtocol.SMTP: Endpoint("127.0.0.1", 25),
    ServerProtocol.POP3: Endpoint("127.0.0.1", 110),
    ServerProtocol.IMAP: Endpoint("127.0.0.1", 143),
}
"""Where the hop behind the impostor leads; the toy servers are never on these ports."""

_FIRST_PORT: Final = 50_000


class Notebook:
    """Writes down what his sessions say inside TLS. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._frames: list[tuple[int, bytes]] = []
        self._sessions = 0

    def confide(self, service: Service) -> Confidant:
        """Return who is told what the next session of a service says; he keeps what is inside TLS."""
        return _Session(self, self._connection(service), inside=service.security is Security.TLS)

    def overhear(self, service: Service) -> Confidant:
        """Return who is told what the next session of a service says; he keeps all of it."""
        return _Session(self, self._connection(service), inside=True)

    def read(self) -> tuple[Leak, ...]:
        """Return what the listener hears in all that was written down."""
        return tuple(item for item in listen(self.join(())) if isinstance(item, Leak))

    def _connection(self, service: Service) -> Connection:
        with self._lock:
            self._sessions += 1
            client = Endpoint("127.0.0.1", _FIRST_PORT + self._sessions % 10_000)
        return Connection(client, HOP[service.protocol])

    def write(self, frames: Iterable[bytes]) -> None:
        """Write frames down as seen now."""
        with self._lock:
            self._frames += [(time.time_ns(), frame) for frame in frames]

    def join(self, heard: Sequence[Packet], *, first: int = 0) -> tuple[Packet, ...]:
        """Return the packets of the wire and of the hop behind it, numbered in the order of their times.

        Args:
            heard: the packets of the wire.
            first: how many of them stay the first, whatever the clock said when the others were written down.
        """
        with self._lock:
            read = [Packet(0, at, ETHERNET, frame, len(frame)) for at, frame in self._frames]
        if not read:
            return tuple(heard)
        together = [
            *heard[:first],
            *sorted((*heard[first:], *read), key=lambda packet: packet.time_ns),
        ]
        return tuple(packet._replace(number=at) for at, packet in enumerate(together, 1))


class _Session:
    """One session: silent in clear, which the wire shows anyway; written down inside TLS."""

    def __init__(self, notebook: Notebook, frames: Connection, *, inside: bool) -> None:
        self._notebook = notebook
        self._frames = frames
        self._inside = inside
        self._begun = False
        self._over = False
        self._greeting = b""

    def received(self, data: bytes) -> None:
        """Take what the client sent."""
        self._write(Direction.CLIENT, data)

    def sent(self, data: bytes) -> None:
        """Take what the server answered."""
        self._greeting = self._greeting or data
        self._write(Direction.SERVER, data)

    def encrypted(self) -> None:
        """Take note that from now on all is said inside TLS."""
        self._inside = True

    def ended(self) -> None:
        """Take note that the session is over."""
        if self._begun and not self._over:
            self._over = True
            for direction in Direction:
                self._notebook.write(self._frames.ended(direction))

    def _write(self, direction: Direction, data: bytes) -> None:
        if not self._inside or self._over:
            return
        if not self._begun:
            self._begun = True
            self._notebook.write(self._frames.opened())
            # A listener expects a greeting, and APOP's challenge is in it; after STARTTLS there is no other.
            if data != self._greeting:
                self._notebook.write(self._frames.sent(Direction.SERVER, self._greeting))
        self._notebook.write(self._frames.sent(direction, data))
