"""Tap the traffic of some servers: at the packets, or at a relay. To the caller it is the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from mailtap.demo.network.relay import Relay

if TYPE_CHECKING:
    from types import TracebackType

    from mailtap.capture.live import LiveCapture, Recording
    from mailtap.capture.model import Note


class Tap:
    """A tap, from `with` to `finish()`."""

    def __init__(self, listener: LiveCapture | Relay, endpoints: dict[str, tuple[str, int]]) -> None:
        """Prepare; nothing is opened yet.

        Args:
            listener: what hears the traffic.
            endpoints: where the servers are; a relay puts itself in their place.
        """
        self._listener = listener
        self._endpoints = endpoints

    @property
    def endpoints(self) -> dict[str, tuple[str, int]]:
        """Host and port to which a client connects for each server, by name."""
        return self._listener.endpoints if isinstance(self._listener, Relay) else self._endpoints

    def so_far(self) -> Recording:
        """Return what has been heard until now, and go on: everything sent before this call is in it."""
        return self._listener.so_far()

    @property
    def remarks(self) -> tuple[Note, ...]:
        """What is worth saying about it."""
        return self._listener.remarks if isinstance(self._listener, Relay) else ()

    def finish(self) -> Recording:
        """Stop listening; everything that was sent before this call is in the recording.

        At a relay, connections still open are given two seconds to end, and are then reset.

        Returns:
            What was heard; the same when called again, also after the `with` block.
        """
        return self._listener.stop()

    def end(self) -> Recording:
        """Stop listening now, and reset what is open at a relay; what was sent before is in the recording."""
        return self._listener.stop(0) if isinstance(self._listener, Relay) else self._listener.stop()

    def discard(self) -> None:
        """Stop listening at once, and reset what is still open: nobody will ask for the recording."""
        self._listener.__exit__(GeneratorExit, None, None)

    def __enter__(self) -> Self:
        self._listener.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.__exit__(kind, error, trace)
