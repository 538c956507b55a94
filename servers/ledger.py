"""Counts the sessions on each port, and lets another thread wait until all have ended."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from mailtap.servers.service import Service


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionCount:
    """The sessions on one port so far.

    Attributes:
        started: connections that were given a session.
        finished: sessions that the client ended with QUIT.
        aborted: sessions that ended in any other way: vanished client, timeout, limit, failed handshake,
            or the servers' own stop.
        refused: connections turned away because there were too many at once.
    """

    started: int = 0
    finished: int = 0
    aborted: int = 0
    refused: int = 0

    @property
    def open(self) -> int:
        """How many sessions are open now."""
        return self.started - self.finished - self.aborted


class Ledger:
    """The counts of all ports. Safe to use from several threads."""

    def __init__(self, services: Iterable[Service]) -> None:
        self._changed = threading.Condition()
        self._counts = {service: SessionCount() for service in services}

    def counts(self) -> Mapping[Service, SessionCount]:
        """Return the counts as they are now."""
        with self._changed:
            return dict(self._counts)

    def start(self, service: Service) -> None:
        """Count a session that starts."""
        with self._changed:
            count = self._counts[service]
            self._counts[service] = replace(count, started=count.started + 1)

    def refuse(self, service: Service) -> None:
        """Count a connection that was turned away."""
        with self._changed:
            count = self._counts[service]
            self._counts[service] = replace(count, refused=count.refused + 1)

    def end(self, service: Service, *, finished: bool) -> None:
        """Count a session that ended."""
        with self._changed:
            count = self._counts[service]
            self._counts[service] = (
                replace(count, finished=count.finished + 1)
                if finished
                else replace(count, aborted=count.aborted + 1)
            )
            self._changed.notify_all()

    def wait_idle(self, timeout: float, sessions: int = 0) -> bool:
        """Wait until no session is open; return whether that came true within so many seconds.

        Args:
            timeout: how long to wait at most, in seconds.
            sessions: how many sessions must have been started by then. A connection that a client has
                opened and closed may not have been accepted yet; counting it makes sure of it.
        """
        with self._changed:
            return self._changed.wait_for(lambda: self._idle(sessions), timeout)

    def _idle(self, sessions: int) -> bool:
        counts = self._counts.values()
        return sum(count.started for count in counts) >= sessions and not any(count.open for count in counts)
