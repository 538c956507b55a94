"""Takes the packets of a recording as they come: keeps them, and calls back with each."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from mailtap.capture.model import Packet


class Reel:
    """A recording on its way: keeps packets.

    Attributes:
        count: how many have come; the next packet's number is one more.
        error: what the callback raised first; it is not called again then.
    """

    def __init__(self, on_packet: Callable[[Packet], None] | None, *, keep: bool) -> None:
        """Prepare.

        Args:
            on_packet: called with each packet, in the thread that takes it.
            keep: whether to keep the packets; without it, memory does not grow.
        """
        self.count = 0
        self.error: Exception | None = None
        self._on_packet = on_packet
        self._keep = keep
        self._packets: list[Packet] = []

    @property
    def packets(self) -> tuple[Packet, ...]:
        """What was kept."""
        return tuple(self._packets)

    def take(self, packet: Packet) -> None:
        """Take the next packet."""
        self.count += 1
        if self._keep:
            self._packets.append(packet)
        if self._on_packet is not None and self.error is None:
            try:
                self._on_packet(packet)
            except Exception as error:  # noqa: BLE001  # the caller's own; whoever ends the recording raises it
                self.error = error
