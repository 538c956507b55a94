"""Packets between the thread that captures and the listener that hears them, bounded."""

from __future__ import annotations

import queue
from contextlib import suppress
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mailtap.capture.model import Packet

_BEAT: Final = 0.05  # seconds between looks whether it is over


class Backlog:
    """Packets that wait; when too many do, the kernel's buffer fills instead, and it counts what it drops."""

    def __init__(self, most: int) -> None:
        """Prepare.

        Args:
            most: how many packets may wait here.
        """
        self._queue: queue.Queue[Packet] = queue.Queue(most)

    def put(self, packet: Packet) -> None:
        """Add a packet, once there is room."""
        self._queue.put(packet)

    def until(self, ended: Callable[[], bool]) -> Iterator[Packet]:
        """Yield packets as they come, until this has become true; others may wait then."""
        while not ended():
            with suppress(queue.Empty):
                yield self._queue.get(timeout=_BEAT)

    def rest(self, ended: Callable[[], bool]) -> Iterator[Packet]:
        """Yield what waits and what still comes, until this has become true and nothing waits."""
        while True:
            over = ended()  # asked first: what came before the end is still there to be got
            try:
                yield self._queue.get(timeout=_BEAT)
            except queue.Empty:
                if over:
                    return
