"""Stand between clients and servers as a TCP relay, below TLS, and record what passes as packets.

No privileges are needed, and any system will do.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Final, Self

from mailtap.capture.live import Recording
from mailtap.capture.model import Note, Packet
from mailtap.capture.reel import Reel
from mailtap.demo.network.frames import ETHERNET
from mailtap.demo.network.mover import HOST, Mover
from mailtap.demo.network.ports import alternatives, remark
from mailtap.servers import PortTaken

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

PATIENCE: Final = 2.0  # seconds that open connections are given to end


class Relay:
    """A relay before each of several servers, from `start()` to `stop()`; also a context manager."""

    def __init__(
        self,
        targets: Mapping[str, tuple[str, int]],
        *,
        ports: Mapping[str, int] | None = None,
        host: str = HOST,
        on_packets: Callable[[Sequence[Packet]], None] | None = None,
        keep: bool = True,
    ) -> None:
        """Prepare; nothing is opened yet.

        Args:
            targets: host and port of each server, by name.
            ports: the port to listen on, by name, where it is free; any port for the others.
            host: the IPv4 loopback address to listen on.
            on_packets: called with the packets that came together, in the relay's own thread.
            keep: whether to keep the packets for the recording.
        """
        self.endpoints: dict[str, tuple[str, int]] = {}
        self.remarks: tuple[Note, ...] = ()
        self._targets = dict(targets)
        self._ports = dict(ports or {})
        self._host = host
        self._notebook = _Notebook(on_packets, keep=keep)
        self._mover: Mover | None = None
        self._thread: threading.Thread | None = None
        self._recording: Recording | None = None

    def start(self) -> None:
        """Listen for each server; `endpoints` then says where.

        Where another program holds a port, one close by is taken; `remarks` then says who holds it.

        Raises:
            OSError: the system does not let this program listen; also ServersError.
        """
        self._mover = Mover(self._notebook)
        try:
            for name, target in self._targets.items():
                self.endpoints[name] = self._listen(self._mover, self._ports.get(name, 0), target)
            self._thread = threading.Thread(target=self._mover.run, name="mailtap-relay", daemon=True)
            self._thread.start()
        except BaseException:
            self._mover.close()
            raise

    def so_far(self, patience: float = PATIENCE) -> Recording:
        """Return what has passed until now: everything that clients sent before this call is in it.

        Args:
            patience: how many seconds to wait for it to pass; what has not by then makes it incomplete.
        """
        if self._recording is not None:
            return self._recording
        if self._mover is None:
            raise RuntimeError("Call start() before so_far().")
        caught_up = self._mover.catch_up(patience)
        late = f"a side does not read what it is sent, or over {self._mover.most_links} clients are connected"
        return self._notebook.recording(self._mover.failure, "" if caught_up else late)

    def _listen(self, mover: Mover, wanted: int, target: tuple[str, int]) -> tuple[str, int]:
        for port in (wanted, *alternatives(wanted, self._ports.values())):
            try:
                return mover.listen(port, target, self._host)
            except PortTaken as taken:
                if port == wanted:
                    self.remarks += (remark(taken),)
        raise AssertionError("any port at all is never taken")

    def stop(self, patience: float = PATIENCE) -> Recording:
        """Take no more connections, wait for the open ones to end, and stop.

        Args:
            patience: how many seconds to wait; a connection still open then is reset.

        Returns:
            The recording; the same one when called again.

        Raises:
            Exception: whatever `on_packets` raised.
        """
        if self._recording is None:
            if self._mover is None or self._thread is None:
                raise RuntimeError("Call start() before stop().")
            self._mover.end(patience)
            self._thread.join()
            self._recording = self._notebook.recording(self._mover.failure)
        if self._notebook.reel.error is not None:
            raise self._notebook.reel.error
        return self._recording

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.stop(PATIENCE if kind is None else 0)


class _Notebook:
    """Numbers and times the frames, and keeps them."""

    def __init__(self, on_packets: Callable[[Sequence[Packet]], None] | None, *, keep: bool) -> None:
        self.reel = Reel(on_packets, keep=keep)
        self._time = 0

    def write(self, frames: Iterable[bytes]) -> None:
        """Write frames down as seen now."""
        # In whole microseconds, as a packet socket gives them, and never backwards.
        self._time = max(self._time, time.time_ns() // 1000 * 1000)
        numbered = enumerate(frames, self.reel.count + 1)
        time_ns = self._time
        self.reel.take([Packet(number, time_ns, ETHERNET, frame, len(frame)) for number, frame in numbered])

    def recording(self, failure: Exception | None, late: str = "") -> Recording:
        """Return what was written.

        Args:
            failure: what ended the relay, if it was not told to end.
            late: why not all may have been written that had crossed the wire.
        """
        behind = f"The relay could not keep up: {late}." if late else ""
        problem = f"The relay failed: {failure}" if failure else behind
        return Recording(self.reel.packets, 0, not problem, problem)
