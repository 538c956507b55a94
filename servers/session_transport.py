"""Carries one session of a protocol of ours over an asyncio connection: bytes, TLS and time."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final, Protocol, assert_never

from mailtap.servers.actions import Close, Rest, Send, StartTls
from mailtap.servers.patient import PatientProtocol
from mailtap.servers.visitors import Visitors

if TYPE_CHECKING:
    import asyncio
    import ssl

    from mailtap.servers.actions import Action
    from mailtap.servers.confidant import Confidant
    from mailtap.servers.limits import Limits


_TURN_SECONDS: Final = 0.05  # of work for one client, after which others have theirs


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


class SessionTransport(PatientProtocol):
    """The transport's side of a session: progress is a completed command (RFC 1939, section 3)."""

    def __init__(
        self,
        session: Session,
        *,
        context: ssl.SSLContext | None,
        limits: Limits,
        confidant: Confidant | None = None,
        visitors: Visitors | None = None,
    ) -> None:
        super().__init__(limits=limits, confidant=confidant)
        self._session = session
        self._context = context
        self._visitors = visitors or Visitors()
        self._commands = 0
        self._upgrading = False
        self._early = bytearray()
        self._upgrade: asyncio.Task[None] | None = None

    @property
    def finished(self) -> bool:
        """Whether the client ended the session with QUIT."""
        return self._session.finished

    def data_received(self, data: bytes) -> None:
        """Take what the client sent."""
        if self._upgrading:
            # Nothing in clear can get here: reading stopped before the handshake. This is what a quick
            # client sent right behind its end of the handshake.
            self._early += data
            return
        self._confidant.received(data)
        self._session.feed(data)
        self._go_on()

    def connection_lost(self, error: Exception | None) -> None:
        """End the session; called once more after a failed handshake, which does no harm."""
        if self._upgrade is not None:
            self._upgrade.cancel()  # a handshake over a connection that is gone would never end
        self._session.abandon()
        super().connection_lost(error)

    def _go_on(self) -> None:
        ends = self._loop.time() + _TURN_SECONDS
        while self._writable and self._transport is not None:
            if self._loop.time() > ends and not self._transport.is_closing():
                self._transport.pause_reading()  # else it could make us hold ever more
                self._loop.call_soon(self._next_turn)
                break
            action = self._session.next_action()
            if action is None:
                break
            match action:
                case Send(data):
                    if self._session.logged_in:  # before the client can know, and come by SMTP
                        self._visitors.note(self._transport.get_extra_info("peername"))
                    self._write(data)
                case StartTls():
                    # Nothing may be read between here and the handshake: it would be taken for a command.
                    self._transport.pause_reading()
                    self._upgrading = True
                    self._upgrade = self._loop.create_task(self._start_tls(self._transport))
                case Close():
                    self._transport.close()
                case Rest():
                    pass
                case _:
                    assert_never(action)
        if self._session.commands != self._commands:
            self._commands = self._session.commands
            self._restart_timer()

    def _next_turn(self) -> None:
        """Go on where the turn before ended: this client was waiting for us, not we for it."""
        if self._writable and not self._upgrading and self._transport is not None:
            self._transport.resume_reading()
            self._restart_timer()
            self._go_on()

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
        self._confidant.encrypted()
        early, self._early = bytes(self._early), bytearray()
        if early:
            self.data_received(early)
        else:
            self._go_on()
