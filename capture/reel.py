"""Takes the packets of a recording as they come: keeps them, and calls back with each."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mailtap.capture.model import Packet


class Reel:
    """A recording on its way: keeps packets.

    Attributes:
        count: how many have come; the next packet's number is one more.
        error: what the callback raised first; it is not called again then.
    """

    def __init__(self, on_packets: Callable[[Sequence[Packet]], None] | None, *, keep: bool) -> None:
        """Prepare.

        Args:
            on_packets: called with the packets that came together, in the thread that takes them.
            keep: whether to keep the packets; without it, memory does not grow.
        """
        self.count = 0
        self.error: Exception | None = None
        self._on_packets = on_packets
        self._keep = keep
        self._packets: list[Packet] = []

    @property
    def packets(self) -> tuple[Packet, ...]:
        """What was kept."""
        return tuple(self._packets)

    def take(self, packets: Sequence[Packet]) -> None:
        """Take the next packets, which came together."""
        self.count += len(packets)
        if self._keep:
            self._packets += packets
        if packets and self._on_packets is not None and self.error is None:
            try:
                self._on_packets(packets)
            except Exception as error:  # noqa: BLE001  # the caller's own; whoever ends the recording raises it
                self.error = error
