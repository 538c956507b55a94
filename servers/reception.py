"""Accepts the connections of one port and sees each session through to its end."""

from __future__ import annotations

import asyncio
import errno
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final, Protocol, cast

from mailtap.servers.service import Security, ServerProtocol, Service

if TYPE_CHECKING:
    import socket
    import ssl
    from collections.abc import Callable

    from mailtap.servers.ledger import Ledger
    from mailtap.servers.limits import Limits

REFUSALS: Final = {
    ServerProtocol.SMTP: b"421 4.3.2 Too many connections, try again later\r\n",
    ServerProtocol.POP3: b"-ERR [SYS/TEMP] Too many connections, try again later\r\n",
    ServerProtocol.HTTP: b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\n\r\n",
    ServerProtocol.IMAP: b"* BYE Too many connections, try again later\r\n",
}
_PAUSE_SECONDS: Final = 0.1
_TOO_FEW_FILES: Final = (
    "Clients had to wait, because this program may not open more files: raise the limit (ulimit -n),"
    " or let fewer clients come at once"
)


class Conversation(Protocol):
    """What the reception needs to know of a session: an asyncio protocol that says when it is over."""

    ended: asyncio.Event

    @property
    def finished(self) -> bool:
        """Whether the client ended the session in good order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reception:
    """One port's front desk.

    Attributes:
        service: what is offered here.
        sock: the listening socket, non-blocking; closed when the reception ends.
        factory: makes the protocol object for one connection.
        context: the TLS context, where the port needs one.
        ledger: where sessions are counted.
        limits: how many and how long.
    """

    service: Service
    sock: socket.socket
    factory: Callable[[], Conversation]
    context: ssl.SSLContext | None
    ledger: Ledger
    limits: Limits

    async def receive(self) -> None:
        """Accept connections until cancelled; then end every session that is still open."""
        loop = asyncio.get_running_loop()
        sessions: set[asyncio.Task[None]] = set()
        try:
            while True:
                client = await self._accept(loop)
                if len(sessions) >= self.limits.connections:
                    self._refuse(client)
                    continue
                self.ledger.start(self.service)
                try:
                    conversation = self.factory()
                except Exception as error:  # noqa: BLE001  # a fault of ours, which must not end the desk
                    client.close()
                    self.ledger.end(self.service, finished=False)
                    loop.call_exception_handler({"message": "No session was made", "exception": error})
                    continue
                session = loop.create_task(self._see_through(client, conversation))
                sessions.add(session)
                # Not in the task: one that is cancelled before its first step would skip it.
                session.add_done_callback(sessions.discard)
                session.add_done_callback(partial(self._bid_farewell, client, conversation))
        finally:
            self.sock.close()
            remaining = tuple(sessions)
            for session in remaining:
                session.cancel()
            await asyncio.gather(*remaining, return_exceptions=True)

    async def _accept(self, loop: asyncio.AbstractEventLoop) -> socket.socket:
        while True:
            accepting = loop.create_task(loop.sock_accept(self.sock))
            try:
                client, _ = await asyncio.shield(accepting)
            except OSError as error:
                if error.errno in {errno.EMFILE, errno.ENFILE}:
                    loop.call_exception_handler({"message": _TOO_FEW_FILES, "exception": error})
                # Most likely this machine's limit, and sessions must end first. Whatever it is, it may
                # be there again at once.
                await asyncio.sleep(_PAUSE_SECONDS)
            except asyncio.CancelledError:
                await self._withdraw(loop, accepting)
                raise
            else:
                return client

    async def _withdraw(
        self, loop: asyncio.AbstractEventLoop, accepting: asyncio.Task[tuple[socket.socket, object]]
    ) -> None:
        # A client that was accepted just now must not get lost with its socket open.
        with suppress(NotImplementedError):  # Windows' event loop has no readers to remove
            loop.remove_reader(self.sock)
        await asyncio.sleep(0)  # what has been accepted becomes the task's result
        accepting.cancel()
        await asyncio.wait([accepting])
        if not accepting.cancelled() and accepting.exception() is None:
            accepting.result()[0].close()

    def _refuse(self, client: socket.socket) -> None:
        self.ledger.refuse(self.service)
        with client, suppress(OSError):
            client.setblocking(False)  # noqa: FBT003  # the standard library's signature
            if self.service.security is not Security.TLS:  # there, no word is possible before a handshake
                client.send(REFUSALS[self.service.protocol])

    async def _see_through(self, client: socket.socket, conversation: Conversation) -> None:
        with suppress(TimeoutError, OSError):  # too long, or no handshake
            async with asyncio.timeout(self.limits.session_seconds):
                await self._converse(client, conversation)

    def _bid_farewell(
        self, client: socket.socket, conversation: Conversation, _session: asyncio.Task[None]
    ) -> None:
        client.close()
        self.ledger.end(self.service, finished=conversation.finished)

    async def _converse(self, client: socket.socket, conversation: Conversation) -> None:
        transport: asyncio.Transport | None = None
        try:
            transport = await self._connect(client, conversation)
            await conversation.ended.wait()
        finally:
            if transport is not None and not conversation.ended.is_set():
                transport.abort()
                async with asyncio.timeout(self.limits.close_seconds):
                    await conversation.ended.wait()

    async def _connect(self, client: socket.socket, conversation: Conversation) -> asyncio.Transport:
        loop = asyncio.get_running_loop()
        implicit = self.service.security is Security.TLS
        transport, _ = await loop.connect_accepted_socket(
            lambda: cast("asyncio.Protocol", conversation),
            client,
            ssl=self.context if implicit else None,
            ssl_handshake_timeout=self.limits.handshake_seconds if implicit else None,
            ssl_shutdown_timeout=self.limits.close_seconds if implicit else None,
        )
        return transport
