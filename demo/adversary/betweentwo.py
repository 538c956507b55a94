"""Carries one session between a mail program and a server, and tells a confidant all that is said."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from mailtap.servers import Security, ServerProtocol, Service

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from mailtap.servers import Confidant

# What a mail program says to get into TLS (RFC 3207, section 4; RFC 2595, section 4).
_UPGRADE: Final = {
    ServerProtocol.SMTP: (b"EHLO pc.lab.example\r\n", b"STARTTLS\r\n"),
    ServerProtocol.POP3: (b"STLS\r\n",),
}
_AGREES: Final = (b"220", b"+OK")
_CHUNK: Final = 65_536
_ANSWER_SECONDS: Final = 2.0  # for the server's answer to one who has said his last; Dovecot takes its time
_SILENCE_SECONDS: Final = 0.2  # of the server, after which one who had his answer gets no other
_CLOSE_SECONDS: Final = 1.0  # for the server's part in the end of TLS; a bound, not a wait


class BetweenTwo(asyncio.StreamReaderProtocol):
    """One session, from the mail program's side.

    Where the server begins TLS on request, he requests it. Once inside, the server offers STARTTLS no more
    (RFC 3207, section 4.2; RFC 2595, section 4): not a byte need be changed to take it from the mail program.

    Attributes:
        ended: set when both connections are gone.
        finished: whether the server was reached, and has ended the session.
    """

    def __init__(
        self, service: Service, server: tuple[str, int], *, upstream: ssl.SSLContext, confidant: Confidant
    ) -> None:
        self.ended = asyncio.Event()
        self.finished = False
        self._service = service
        self._server = server
        self._upstream = upstream
        self._confidant = confidant
        self._unanswered = False
        self._open = 1  # connections that are not gone yet
        self._attending: asyncio.Task[None] | None = None
        super().__init__(asyncio.StreamReader(), self._attend)

    def connection_lost(self, error: Exception | None) -> None:
        """End the session."""
        super().connection_lost(error)
        self._confidant.ended()
        self._close_one()

    def _close_one(self) -> None:
        self._open -= 1
        if not self._open:
            self.ended.set()

    async def _attend(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Stand between the two until one of them has ended, and end the other."""
        self._open += 1
        # asyncio forgets it when the mail program leaves, and then it could vanish in the middle.
        self._attending = asyncio.current_task()
        server: asyncio.StreamWriter | None = None
        try:
            with suppress(OSError):  # one of the two is gone: so is he
                server_reader, server = await self._reach()
                if self._service.security is Security.STARTTLS:
                    greeting = await self._upgrade(server_reader, server)
                    self._confidant.sent(greeting)
                    writer.write(greeting)
                await _first_of(
                    asyncio.create_task(_pump(reader, server, self._received)),
                    asyncio.create_task(_pump(server_reader, writer, self._sent)),
                )
                if reader.at_eof() and not writer.is_closing():  # it has said its last, and may still listen
                    await self._rest(server_reader, writer)
                self.finished = server_reader.at_eof()
            writer.close()
            if server is not None:
                await _close(server)
        finally:
            self._close_one()

    def _received(self, data: bytes) -> None:
        self._unanswered = True
        self._confidant.received(data)

    def _sent(self, data: bytes) -> None:
        self._unanswered = False
        self._confidant.sent(data)

    async def _rest(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass on what the server still answers to a mail program that has shut down its half.

        That it has done so cannot be passed on: in TLS, as asyncio has it, whoever closes ends both halves.
        So the server's silence is the end; a short one where it has answered already, because a mail program
        that left for good looks the same.
        """
        patience = _ANSWER_SECONDS if self._unanswered else _SILENCE_SECONDS
        with suppress(TimeoutError):
            await _pump(reader, writer, self._sent, patience=patience)

    async def _reach(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect to the server, inside TLS where it has it from the first byte."""
        tls = self._service.security is Security.TLS
        return await asyncio.open_connection(
            *self._server,
            ssl=self._upstream if tls else None,
            server_hostname=self._service.host if tls else None,
        )

    async def _upgrade(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        """Start TLS with the server and return its greeting.

        Raises:
            ConnectionError: it does not want to.
        """
        greeting = await _reply(reader)
        for command in _UPGRADE[self._service.protocol]:
            writer.write(command)
            answer = await _reply(reader)
        if not answer.startswith(_AGREES):
            raise ConnectionError("the server does not start TLS")
        await writer.start_tls(self._upstream, server_hostname=self._service.host)
        return greeting


async def _close(writer: asyncio.StreamWriter) -> None:
    """Close a connection in good order, if the other side lets it."""
    writer.close()
    try:
        async with asyncio.timeout(_CLOSE_SECONDS):
            await writer.wait_closed()
    except TimeoutError:
        writer.transport.abort()
    except OSError:
        pass  # it has ended, though not in good order


async def _reply(reader: asyncio.StreamReader) -> bytes:
    """Return a reply, all its lines (RFC 5321, section 4.2.1)."""
    reply = line = await reader.readline()
    while line[:3].isdigit() and line[3:4] == b"-":
        line = await reader.readline()
        reply += line
    return reply


async def _pump(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    tell: Callable[[bytes], None],
    *,
    patience: float | None = None,
) -> None:
    """Pass on what one side says until it has ended.

    Raises:
        TimeoutError: it was silent for so many seconds.
    """
    while True:
        async with asyncio.timeout(patience):
            data = await reader.read(_CHUNK)
        if not data:
            return
        tell(data)
        writer.write(data)
        await writer.drain()


async def _first_of(*pumps: asyncio.Task[None]) -> None:
    """Wait until one of the directions has ended, and end the other."""
    try:
        await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for pump in pumps:
            pump.cancel()
        await asyncio.gather(*pumps, return_exceptions=True)
