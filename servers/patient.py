"""What every asyncio protocol of ours does: waits while its client does not read, and not for ever."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, cast

from mailtap.servers.confidant import Nobody

if TYPE_CHECKING:
    from mailtap.servers.confidant import Confidant
    from mailtap.servers.limits import Limits


class PatientProtocol(asyncio.Protocol, ABC):
    """The transport's side of a session, as far as it does not matter what is said.

    While the client does not read what it asked for, nothing more is read from it. A client that makes no
    progress for `idle_seconds` is dropped without a word.

    Attributes:
        ended: set when the connection is gone.
    """

    def __init__(self, *, limits: Limits, confidant: Confidant | None = None) -> None:
        self.ended = asyncio.Event()
        self._limits = limits
        self._confidant = confidant or Nobody()
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._writable = True
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast("asyncio.Transport", transport)
        self._restart_timer()
        self._go_on()

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
            self._go_on()

    def connection_lost(self, _error: Exception | None) -> None:
        """End the session."""
        self._transport = None
        if self._timer is not None:
            self._timer.cancel()
        self._confidant.ended()
        self.ended.set()

    @abstractmethod
    def _go_on(self) -> None:
        """Say what there is to say, as long as the client reads."""

    def _write(self, data: bytes) -> None:
        if self._transport is not None:
            self._confidant.sent(data)
            self._transport.write(data)

    def _restart_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._transport is not None:
            self._timer = self._loop.call_later(self._limits.idle_seconds, self._time_out)

    def _time_out(self) -> None:
        if self._transport is not None:
            self._transport.abort()
