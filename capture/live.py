"""Record what crosses the loopback interface, live (the I/O is in the sockets that `engine` opens).

A datagram of its own marks the beginning and the end of each recording: when the listener has heard
it, it has heard everything before it. Nothing here sleeps or guesses.
"""

from __future__ import annotations

import secrets
import socket
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

from mailtap.capture.decode import Decoder
from mailtap.capture.engine import Engine, open_engine
from mailtap.capture.language import N_
from mailtap.capture.loopback import BUFFER, LOOPBACK, CaptureUnavailable, InterfaceRefused
from mailtap.capture.model import Note, Packet, Segment
from mailtap.capture.reel import Reel
from mailtap.capture.wire.ends import ports_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence
    from types import TracebackType

    from mailtap.capture.loopback import Frame, LoopbackSocket

__all__ = ["CaptureUnavailable", "Engine", "InterfaceRefused", "LiveCapture", "Recording"]

_PATIENCE: Final = 5.0  # seconds to wait for a mark; it takes milliseconds, and more on a machine in distress
_REPEAT: Final = 0.1  # seconds after which a mark is sent again: the kernel may have dropped it
_POLL: Final = 0.1  # seconds in which the thread notices that it should end

_START: Final = b"start"
_STOP: Final = b"stop"
_MARK: Final = 8  # bytes of a mark between the two


@dataclass(frozen=True, slots=True)
class Recording:
    """What was heard.

    Attributes:
        packets: the frames, in the order in which they crossed the wire.
        dropped: how many frames the kernel had to drop; with any, silence proves nothing.
        complete: whether the listener heard everything up to its end.
        problem: where it did not, why, in plain English.
    """

    packets: tuple[Packet, ...]
    dropped: int
    complete: bool
    problem: str = ""

    @property
    def shortfall(self) -> tuple[Note, ...]:
        """What the capture itself missed; nothing, as a rule."""
        notes = []
        if self.dropped:
            text = N_("The kernel dropped {count:,} packets: what was heard is not all there was.")
            if self.dropped == 1:
                text = N_("The kernel dropped a packet: what was heard is not all there was.")
            notes.append(Note(text=text, values=(("count", self.dropped),), damage=True))
        if self.problem:
            notes.append(Note(text="{problem}", values=(("problem", self.problem),), damage=True))
        return tuple(notes)


class LiveCapture:
    """Listens to the loopback interface from `start()` to `stop()`; also a context manager."""

    def __init__(  # noqa: PLR0913  # all but the first by keyword
        self,
        interface: str = LOOPBACK,
        *,
        ports: Collection[int] = (),
        on_packets: Callable[[Sequence[Packet]], None] | None = None,
        keep: bool = True,
        buffer: int = BUFFER,
        engine: Engine = Engine.SCAPY,
    ) -> None:
        """Prepare to listen; nothing is opened yet.

        Args:
            interface: a loopback interface; any other is refused.
            ports: TCP ports to listen to. Empty for everything, which only a network of the program's
                own should use: on the host's loopback, other people's traffic is not ours to keep.
            on_packets: called with the packets that came together, in the capture's own thread.
            keep: whether to keep the packets for the recording; without it, memory does not grow.
            buffer: size of the kernel's buffer in bytes.
            engine: what to listen with; once started, `self.engine` says what `auto` has become, and
                `self.instead`, where it is the second choice, why the first does not work here.
        """
        self._interface = interface
        self._ports = frozenset(ports)
        self._reel = Reel(on_packets, keep=keep)
        self._buffer = buffer
        self.engine = engine
        self.instead: CaptureUnavailable | None = None
        self._decoder = Decoder()
        self._changed = threading.Condition()
        self._heard: set[bytes] = set()
        self._failure: Exception | None = None
        self._ending = False
        self._socket: LoopbackSocket | None = None
        self._thread: threading.Thread | None = None
        self._marks: _Marks | None = None
        self._recording: Recording | None = None

    def start(self) -> None:
        """Listen; when this returns, the listener has been heard hearing.

        Raises:
            InterfaceRefused: the interface is not loopback.
            CaptureUnavailable: the system does not let this program listen.
        """
        self._marks = _Marks()
        try:
            self.engine, self._socket, self.instead = open_engine(
                self.engine, self._interface, self._ports, self._marks.port, self._buffer
            )
            self._thread = threading.Thread(target=self._listen, name="mailtap-capture", daemon=True)
            self._thread.start()
            hears = self._hears_mark(_START)
        except BaseException:
            self._close()
            raise
        if not hears:
            self._close()
            text = N_("The capture on {name!r} opened but hears nothing ({reason}). Use the relay instead.")
            raise CaptureUnavailable(text, name=self._interface, reason=self._failure or "-")

    def so_far(self) -> Recording:
        """Return what has been heard until now, and go on: everything sent before this call is in it."""
        if self._recording is not None:
            return self._recording
        if self._socket is None:
            raise RuntimeError("Call start() before so_far().")
        heard = self._hears_mark(secrets.token_bytes(_MARK))
        return Recording(self._reel.packets, self._socket.dropped(), heard, self._problem(heard=heard))

    def stop(self) -> Recording:
        """Wait until everything sent before this call has been heard, and stop listening.

        Returns:
            The recording; the same one when called again.

        Raises:
            Exception: whatever `on_packets` raised.
        """
        if self._recording is None:
            if self._socket is None:
                raise RuntimeError("Call start() before stop().")
            try:
                heard = self._hears_mark(_STOP)
                dropped = self._socket.dropped()
            finally:
                self._close()
            self._recording = Recording(self._reel.packets, dropped, heard, self._problem(heard=heard))
        if self._reel.error is not None:
            raise self._reel.error
        return self._recording

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.stop()
        else:
            self._close()

    def _problem(self, *, heard: bool) -> str:
        if heard:
            return ""
        if self._failure is not None:
            return f"The listener failed: {self._failure}"
        return "The listener did not hear the end of the recording."

    def _hears_mark(self, mark: bytes) -> bool:
        """Send a mark until it has been heard; return False where it never is."""
        if self._marks is None or self._thread is None:
            return False
        deadline = time.monotonic() + _PATIENCE
        while time.monotonic() < deadline and self._thread.is_alive():
            try:
                self._marks.send(mark)
            except OSError as error:  # nothing can be sent, as where the loopback interface is down
                self._failure = self._failure or error
                return False
            with self._changed:
                if self._changed.wait_for(lambda: mark in self._heard or self._failure is not None, _REPEAT):
                    return mark in self._heard
        return False

    def _close(self) -> None:
        """End the thread and close what is open, whatever has happened."""
        self._ending = True
        if self._thread is not None and self._thread.ident is not None:
            self._thread.join(_PATIENCE)
        if self._socket is not None:
            self._socket.close()
        if self._marks is not None:
            self._marks.close()

    def _listen(self) -> None:
        """Read until told to end: the thread's whole life."""
        assert self._socket is not None  # noqa: S101  # start() has set both
        assert self._marks is not None  # noqa: S101
        token, choose = self._marks.token, bool(self._ports) and not self._socket.filtered
        try:
            while not self._ending:
                self._take(self._socket.frames(_POLL), token, choose=choose)
        except Exception as error:  # noqa: BLE001  # kept, and told by stop()
            with self._changed:
                self._failure = error
                self._changed.notify_all()

    def _take(self, frames: Iterable[Frame], token: bytes, *, choose: bool) -> None:
        """Keep frames, of the ports only where there is a choice to make; note a mark when it is come to."""
        new, packets, number = tuple.__new__, list[Packet](), self._reel.count
        for link_type, time_ns, data, length in frames:
            if len(data) < 128 and token in data:  # noqa: PLR2004  # marks are short
                self._reel.take(packets)
                packets = []
                self._heed(data[data.index(token) + len(token) :])
                continue
            packet = new(Packet, (number + 1, time_ns, link_type, data, length))
            if not choose or self._is_ours(packet):
                number += 1
                packets.append(packet)
        self._reel.take(packets)

    def _heed(self, mark: bytes) -> None:
        """Note that a mark was heard, and so all before it."""
        with self._changed:
            self._heard.add(mark)
            self._ending = self._ending or mark == _STOP
            self._changed.notify_all()

    def _is_ours(self, packet: Packet) -> bool:
        """Return whether a packet goes to or comes from one of our ports."""
        return any(
            isinstance(segment, Segment) and not self._ports.isdisjoint(ports_of(segment.ends))
            for segment in self._decoder.decode(packet)
        )


class _Marks:
    """A socket that sends to itself what only this capture can know."""

    def __init__(self) -> None:
        self.token = secrets.token_bytes(16)
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]

    def send(self, mark: bytes) -> None:
        """Send one mark over the loopback."""
        self._socket.sendto(self.token + mark, ("127.0.0.1", self.port))

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()
