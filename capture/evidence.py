"""Know which packet brought each byte of a stream, in little memory."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from typing import TYPE_CHECKING

from mailtap.capture.model import Chunk, Direction, Evidence

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from mailtap.capture.model import Flow, Gap, Span

_MOST = 1 << 16
_NO_PACKET = 0


class ByteIndex:
    """Where the bytes of one direction came from.

    Only the latest 65,536 chunks are remembered: far more than any message needs.
    """

    __slots__ = ("_packets", "_read", "_starts", "_times", "_turns")

    def __init__(self) -> None:
        self._read = 0  # where the chunk stands that was read last
        self._starts = array("Q")
        self._packets = array("Q")
        self._times = array("q")
        self._turns: dict[int, float] = {}  # by where a chunk starts, where it is not the packet's number

    def add(self, item: Chunk | Gap) -> None:
        """Remember where a chunk came from, or that a gap came from nowhere."""
        offset, _, packet, time_ns, turn = item
        self._starts.append(offset)
        self._packets.append(packet if isinstance(item, Chunk) else _NO_PACKET)
        self._times.append(time_ns)
        if turn:
            self._turns[offset] = turn
        if len(self._starts) > _MOST:
            self._forget()

    def extend(
        self,
        offsets: Sequence[int],
        packets: Iterable[int],
        times: Iterable[int],
        turns: Iterable[float] = (),
    ) -> None:
        """Remember where several chunks came from, in the columns of which they consist."""
        self._starts.extend(offsets)
        self._packets.extend(packets)
        self._times.extend(times)
        if any(turns):
            self._turns.update((at, turn) for at, turn in zip(offsets, turns, strict=True) if turn)
        if len(self._starts) > _MOST:
            self._forget()

    def _forget(self) -> None:
        for column in (self._starts, self._packets, self._times):
            del column[: -_MOST // 2]
        self._turns = {start: turn for start, turn in self._turns.items() if start >= self._starts[0]}
        self._read = 0

    def turn_at(self, offset: int) -> float:
        """Return the turn of the byte there (`Chunk.turn`), for whoever asks for ever greater offsets."""
        at = bisect_right(self._starts, offset, self._read) - 1
        if at < 0:
            return self.packet_at(offset)
        self._read = at
        return self._packets[at] if not self._turns else self._turns.get(self._starts[at], self._packets[at])

    def end_of_chunk(self, offset: int) -> int:
        """Return where the chunk ends that brought the byte there; beyond all offsets for the last one."""
        at = bisect_right(self._starts, offset)
        return self._starts[at] if at < len(self._starts) else 1 << 63

    def packet_at(self, offset: int) -> int:
        """Return the number of the packet that brought the byte there; 0 where that is not known."""
        at = bisect_right(self._starts, offset) - 1
        return self._packets[at] if at >= 0 else _NO_PACKET

    def between(self, start: int, end: int) -> Iterator[tuple[int, int]]:
        """Yield number and time of each packet that brought a byte of [start, end)."""
        at = max(bisect_right(self._starts, start) - 1, 0)
        while at < len(self._starts) and self._starts[at] < end:
            if self._packets[at] != _NO_PACKET:
                yield self._packets[at], self._times[at]
            at += 1

    def last_packet(self) -> int:
        """Return the number of the packet that brought the latest bytes; 0 where there are none."""
        return next((packet for packet in reversed(self._packets) if packet != _NO_PACKET), _NO_PACKET)


class FlowIndex:
    """Where the bytes of both directions of a flow came from."""

    __slots__ = ("_client", "_server", "flow")

    def __init__(self, flow: Flow, client: ByteIndex, server: ByteIndex) -> None:
        self.flow = flow
        self._client = client
        self._server = server

    def of(self, direction: Direction) -> ByteIndex:
        """Return where the bytes of one direction came from."""
        return self._client if direction is Direction.CLIENT else self._server

    def heard_at(self, client: int, server: int) -> int:
        """Return the number of the packet with which both streams had come that far (ends exclusive)."""
        return max(self._client.packet_at(client - 1), self._server.packet_at(server - 1))

    def last_packet(self) -> int:
        """Return the number of the latest packet that brought bytes; 0 where there are none."""
        return max(self._client.last_packet(), self._server.last_packet())

    def locate(self, spans: tuple[Span, ...]) -> Evidence:
        """Return the evidence for what those stretches of the streams carried."""
        places = dict(
            place for span in spans for place in self.of(span.direction).between(span.start, span.end)
        )
        return Evidence(
            flow=self.flow,
            spans=spans,
            packets=tuple(sorted(places)),
            time_ns=max(places.values(), default=0),
        )
