"""Carries one session of a protocol of ours over an asyncio connection: bytes, TLS and time."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol, assert_never, cast

from mailtap.servers.actions import Close, Send, StartTls
from mailtap.servers.confidant import Nobody
from mailtap.servers.visitors import Visitors

if TYPE_CHECKING:
    import ssl

    from mailtap.servers.actions import Action
    from mailtap.servers.confidant import Confidant
    from mailtap.servers.limits import Limits


class Session(Protocol):
    """A session as its transport sees it: bytes in, actions out.

    Attributes:
        finished: whether the client ended the session in good order.
        commands: whole lines handled so far, so that progress can be told from trickling.
    """

    finished: bool
    commands: int

    @property
    def logged_in(self) -> bool:
        """Whether the client has logged in, and not left yet."""

    def feed(self, data: bytes) -> None:
        """Take what the client sent."""

    def next_action(self) -> Action | None:
        """Return the next thing to do, or None until the client sends more."""

    def tls_started(self) -> None:
        """Go on, encrypted."""

    def abandon(self) -> None:
        """End the session because the connection did."""


class SessionTransport(asyncio.Protocol):
    """The transport's side of a session.

    While the client does not read what it asked for, nothing more is read from it. A client that
    completes no command for `idle_seconds` is dropped without a word (RFC 1939, section 3).

    Attributes:
        ended: set when the connection is gone.
    """

    def __init__(
        self,
        session: Session,
        *,
        context: ssl.SSLContext | None,
        limits: Limits,
        confidant: Confidant | None = None,
        visitors: Visitors | None = None,
    ) -> None:
        self.ended = asyncio.Event()
        self._session = session
        self._context = context
        self._limits = limits
        self._confidant = confidant or Nobody()
        self._visitors = visitors or Visitors()
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._writable = True
        self._commands = 0
        self._timer: asyncio.TimerHandle | None = None
        self._upgrading = False
        self._early = bytearray()
        self._upgrade: asyncio.Task[None] | None = None

    @property
    def finished(self) -> bool:
        """Whether the client ended the session with QUIT."""
        return self._session.finished

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet the client."""
        self._transport = cast("asyncio.Transport", transport)
        self._restart_timer()
        self._pump()

    def data_received(self, data: bytes) -> None:
        """Take what the client sent."""
        self._confidant.received(data)
        if self._upgrading:
            # Nothing in clear can get here: reading stopped before the handshake. This is what a quick
            # client sent right behind its end of the handshake.
            self._early += data
            return
        self._session.feed(data)
        self._pump()

    def pause_writing(self) -> None:
        """Stop: the client does not read."""
        self._writable = False
        if self._transport is not None:
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        """Go on: the client reads again."""
        self._writable = True
        if self._transport is not None:
            self._transport.resume_reading()
            self._restart_timer()  # a slow reader of a long message makes progress too
            self._pump()

    def connection_lost(self, _error: Exception | None) -> None:
        """End the session; called once more after a failed handshake, which does no harm."""
        self._transport = None
        if self._timer is not None:
            self._timer.cancel()
        if self._upgrade is not None:
            self._upgrade.cancel()  # a handshake over a connection that is gone would never end
        self._session.abandon()
        self._confidant.ended()
        self.ended.set()

    def _pump(self) -> None:
        while self._writable and self._transport is not None:
            action = self._session.next_action()
            if action is None:
                break
            match action:
                case Send(data):
                    if self._session.logged_in:  # before the client can know, and come by SMTP
                        self._visitors.note(self._transport.get_extra_info("peername"))
                    self._confidant.sent(data)
                    self._transport.write(data)
                case StartTls():
                    # Nothing may be read between here and the handshake: it would be taken for a command.
                    self._transport.pause_reading()
                    self._upgrading = True
                    self._upgrade = self._loop.create_task(self._start_tls(self._transport))
                case Close():
                    self._transport.close()
                case _:
                    assert_never(action)
        if self._session.commands != self._commands:
            self._commands = self._session.commands
            self._restart_timer()

    async def _start_tls(self, transport: asyncio.Transport) -> None:
        assert self._context is not None  # noqa: S101  # the runner gives one to each STARTTLS port
        encrypted: asyncio.Transport | None = None
        with suppress(OSError):  # a failed handshake: closed below
            encrypted = await self._loop.start_tls(
                transport,
                self,
                self._context,
                server_side=True,
                ssl_handshake_timeout=self._limits.handshake_seconds,
                ssl_shutdown_timeout=self._limits.close_seconds,
            )
        self._upgrade = None
        if encrypted is None:  # asyncio does not always say so by an error, nor by connection_lost
            transport.abort()
            self.connection_lost(None)
            return
        self._transport = encrypted
        self._upgrading = False
        self._session.tls_started()
        self._session.feed(bytes(self._early))
        self._early.clear()
        self._pump()

    def _restart_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._transport is not None:
            self._timer = self._loop.call_later(self._limits.idle_seconds, self._time_out)

    def _time_out(self) -> None:
        if self._transport is not None:
            self._transport.abort()
