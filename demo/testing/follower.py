"""Hears a wire that goes on: each look is at all that has crossed it, and costs what came since the last."""

from __future__ import annotations

from dataclasses import replace
from operator import attrgetter
from typing import TYPE_CHECKING, NamedTuple

from mailtap.capture.decode import Decoder
from mailtap.capture.ear import Ear
from mailtap.capture.events import MessageSeen
from mailtap.capture.evidence import ByteIndex, FlowIndex
from mailtap.capture.leaks import read_event
from mailtap.capture.model import Direction, Gap, Leak, Segment
from mailtap.capture.reassembly import Reassembler
from mailtap.demo.testing.hearing import Hearing, Stream

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from mailtap.capture.model import Flow, Packet
    from mailtap.capture.wire.connection import Connection, Item


class _Said(NamedTuple):
    """What one side said, or a hole, or None for its end; and the packet at which that was known."""

    moment: int
    direction: Direction
    item: Item


class _Told(NamedTuple):
    """What one event told: the packet at which it was known, whether it was a message, what it leaked."""

    moment: int
    message: bool
    leaks: Sequence[Leak]


class Follower:
    """Hears a capture that goes on; a connection that says nothing more is not heard again."""

    def __init__(self) -> None:
        """Begin; nothing is heard yet."""
        self._begin()

    def _begin(self) -> None:
        self._packets: Sequence[Packet] = ()
        self._decoder, self._reassembler = Decoder(), Reassembler()
        self._lines: dict[int, _Line] = {}

    def look(self, packets: Sequence[Packet], canaries: Collection[Flow] = ()) -> Hearing:
        """Return what has crossed the wire.

        Args:
            packets: all of it, from the beginning, numbered in that order.
            canaries: the connections in it that are not the client's under test.
        """
        if self._packets and self._packets[-1:] != packets[len(self._packets) - 1 : len(self._packets)]:
            self._begin()  # some of what came since stands between what was there
        self._hear(packets[len(self._packets) :])
        self._packets = packets
        lines = sorted(self._lines.values(), key=attrgetter("number"))
        streams = [stream for line in lines for stream in line.streams]
        told = sorted((told for line in lines for told in line.told), key=attrgetter("moment"))
        return Hearing(packets, streams, _numbered(told), canaries)

    def _hear(self, packets: Iterable[Packet]) -> None:
        """Take packets in, and understand anew what they may have changed."""
        changed: dict[int, _Line] = {}
        for packet in packets:
            for segment in self._decoder.decode(packet):
                if isinstance(segment, Segment):
                    for connection, direction, item in self._reassembler.feed(segment):
                        line = changed[connection.number] = self._line(connection)
                        line.said.append(_Said(segment.packet, direction, item))
        changed |= {connection.number: self._line(connection) for connection in self._reassembler.open}
        for line in changed.values():
            line.understand()

    def _line(self, connection: Connection) -> _Line:
        line = self._lines.get(connection.number)
        if line is None:
            line = self._lines[connection.number] = _Line(connection)
        return line


class _Line:
    """One connection.

    Attributes:
        number: the connection's.
        said: what was said, as it became known.
        streams: the same when it was last understood, as streams.
        told: what that told, in that order.
    """

    __slots__ = ("_connection", "_heard", "number", "said", "streams", "told")

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.number = connection.number
        self.said: list[_Said] = []
        self.streams: Sequence[Stream] = ()
        self.told: Sequence[_Told] = ()
        self._heard = (0, 0)  # the last packet and what it made known, when it was last understood

    def understand(self) -> None:
        """Hear the connection as if it ended now, unless nothing has come of it since."""
        connection, said = self._connection, self.said
        heard = (connection.last_packet, len(said))
        if heard == self._heard:
            return
        self._heard = heard
        if not connection.closed:
            rest = connection.rest()
            connection = rest[-1][0]
            said = [*said, *(_Said(connection.last_packet, *each[1:]) for each in rest)]
        ear = Ear(connection)
        self.streams = tuple(_streams(connection.flow, said))
        self.told = tuple(_understood(ear, said))


def _streams(flow: Flow, said: Iterable[_Said]) -> Iterator[Stream]:
    """Yield the directions in which bytes crossed."""
    halves = {direction: bytearray() for direction in Direction}
    index = FlowIndex(flow, ByteIndex(), ByteIndex())
    holes: set[Direction] = set()
    for _, direction, item in said:
        if item is None:
            continue
        index.of(direction).add(item)
        # A hole keeps its room, so that offsets stay right; the tap refuses to answer over one.
        halves[direction] += bytes(item.length) if isinstance(item, Gap) else item.data
        if isinstance(item, Gap):
            holes.add(direction)
    for direction, data in halves.items():
        if data:
            yield Stream(flow, direction, bytes(data), index, whole=direction not in holes)


def _understood(ear: Ear, said: Iterable[_Said]) -> Iterator[_Told]:
    """Yield what a connection's events tell; messages count from 1 in each connection."""
    messages = 0
    for moment, direction, item in said:
        for event in ear.hear(direction, item):
            message = isinstance(event, MessageSeen)
            messages += message
            heard = read_event(event, ear.index.locate, messages)
            yield _Told(moment, message, [each for each in heard if isinstance(each, Leak)])


def _numbered(told: Iterable[_Told]) -> Iterator[Leak]:
    """Yield all leaks; messages count from 1 among all of them."""
    messages = 0
    for _, message, leaks in told:
        messages += message
        for leak in leaks:
            yield replace(leak, message=messages) if message and leak.message != messages else leak
