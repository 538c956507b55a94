"""A man in the path: to the server a mail program with TLS, to the mail program what it lets him be.

He keeps TLS to himself. To the mail program he speaks in clear, or inside TLS of his own that he ends with
a certificate of his own; what the server says he passes on. He works between two ends on loopback, the one
that he opens himself and the one that he is given, and nowhere else.
"""

from __future__ import annotations

import asyncio
import ssl
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Final, Self

from mailtap.capture.language import N_
from mailtap.demo.adversary.betweentwo import BetweenTwo
from mailtap.demo.adversary.notebook import Notebook
from mailtap.servers import LabCertificates, Limits, Security, ServersError, Service
from mailtap.servers.ledger import Ledger
from mailtap.servers.listener import listen, loopback
from mailtap.servers.reception import Reception

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from mailtap.capture.model import Leak

HOST: Final = "127.0.0.1"


class ManInThePath:
    """Stands before one server from `with` to its end.

    Attributes:
        endpoint: where the mail program is led in place of the server, (host, port).
    """

    def __init__(
        self,
        service: Service,
        server: tuple[str, int],
        *,
        port: int = 0,
        certificates: LabCertificates | None = None,
    ) -> None:
        """Prepare; nothing is opened yet.

        Args:
            service: what the mail program believes that it connects to.
            server: where that is, a loopback address and a port.
            port: where to listen; 0 is any.
            certificates: his own, with which he plays the server; None: he speaks in clear.

        Raises:
            AddressRefused: the server is not on this machine's loopback.
        """
        loopback(server[0])
        self.endpoint = (HOST, port)
        self._server = server
        self._service = service
        # What the mail program meets in place of the service.
        self._shown = replace(service, security=Security.TLS if certificates else Security.PLAIN)
        self._certificates = certificates
        self._notes = Notebook()
        self._ledger = Ledger([self._shown])
        self._ready = threading.Event()
        self._stop: Callable[[], object] | None = None
        self._thread: threading.Thread | None = None

    def wait_idle(self, timeout: float) -> bool:
        """Wait until every session has ended; return whether that came true within so many seconds."""
        return self._ledger.wait_idle(timeout)

    def loot(self) -> tuple[Leak, ...]:
        """Return what he has read in what mail programs said to him, by the listener's own parsers."""
        return self._notes.read()

    def __enter__(self) -> Self:
        """Begin; when this returns, mail programs can connect.

        Raises:
            ServersError: this system does not let him listen.
        """
        sock = listen(*self.endpoint)
        self.endpoint = sock.getsockname()[:2]
        self._thread = threading.Thread(
            target=self._run, args=(sock,), name="mailtap-man-in-the-path", daemon=True
        )
        self._thread.start()
        self._ready.wait()
        if self._stop is None:
            sock.close()
            raise ServersError(
                N_("The man in the path did not start: this machine has no event loop for him.")
            )
        return self

    def __exit__(self, *_: object) -> None:
        if self._thread is not None and self._stop is not None:
            self._stop()
            self._thread.join()

    def _run(self, sock: socket.socket) -> None:
        try:
            asyncio.run(self._receive(sock))
        except OSError:  # no event loop to be had; `__enter__` says so
            pass
        finally:
            self._ready.set()

    async def _receive(self, sock: socket.socket) -> None:
        reception = Reception(
            service=self._shown,
            sock=sock,
            factory=lambda: BetweenTwo(
                self._service,
                self._server,
                upstream=_believing_all(),
                confidant=self._notes.overhear(self._shown),
            ),
            context=self._certificates.server_context() if self._certificates else None,
            ledger=self._ledger,
            limits=Limits(),
        )
        loop = asyncio.get_running_loop()
        stopping = asyncio.Event()
        self._stop = lambda: loop.call_soon_threadsafe(stopping.set)
        desk = loop.create_task(reception.receive())
        self._ready.set()
        await stopping.wait()
        desk.cancel()
        await asyncio.gather(desk, return_exceptions=True)


def _believing_all() -> ssl.SSLContext:
    """Return the context with which he speaks to the server: whose it is, he need not check."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
