"""Packets between the thread that captures and the listener that hears them, bounded."""

from __future__ import annotations

from collections import deque
from threading import Condition
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from mailtap.capture.model import Packet

T = TypeVar("T")
_MOST: Final = 200_000  # packets
_BEAT: Final = 0.05  # seconds between looks whether it is over


class Backlog:
    """Packets that wait, as they came together; when there are too many, the kernel's buffer fills instead.

    The kernel counts what it drops.
    """

    def __init__(self, most: int = _MOST) -> None:
        """Prepare.

        Args:
            most: how many packets may wait here before those who bring more have to wait.
        """
        self._most = most
        self._handfuls: deque[Sequence[Packet]] = deque()
        self._waiting = 0
        self._changed = Condition()

    def put(self, packets: Sequence[Packet]) -> None:
        """Add packets, once there is room; those that come together are added together."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting < self._most)
            self._handfuls.append(packets)
            self._waiting += len(packets)
            self._changed.notify_all()

    def hear(
        self, hear: Callable[[Sequence[Packet]], None], ended: Callable[[], bool], end: Callable[[], T]
    ) -> T:
        """Hear packets as they come, until it is over; then end what brings them, and hear the rest.

        Args:
            hear: hears packets that came together.
            ended: says whether it is over.
            end: ends what brings packets, beside this thread: it may wait behind packets that wait here.

        Returns:
            What `end` returned.
        """
        from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415  # slow to load

        for handful in self.until(ended):
            hear(handful)
        with ThreadPoolExecutor(1) as aside:
            ending = aside.submit(end)
            for handful in self.rest(ending.done):
                hear(handful)
        return ending.result()

    def until(self, ended: Callable[[], bool]) -> Iterator[Sequence[Packet]]:
        """Yield packets by the handful as they come, until this has become true; others may wait then."""
        while not ended():
            if handful := self._next():
                yield handful

    def rest(self, ended: Callable[[], bool]) -> Iterator[Sequence[Packet]]:
        """Yield what waits and what still comes, until this has become true and nothing waits."""
        while True:
            over = ended()  # asked first: what came before the end is still there to be got
            if handful := self._next():
                yield handful
            elif over:
                return

    def _next(self) -> Sequence[Packet]:
        """Return what came together first of all that waits; nothing where nothing comes in a while."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._handfuls, _BEAT):
                return ()
            handful = self._handfuls.popleft()
            self._waiting -= len(handful)
            self._changed.notify_all()
            return handful
