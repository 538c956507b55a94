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
from mailtap.demo.testing.mails import HeardMail

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
    """What one event told: the packet at which that was known, what it leaked, and the message, if any."""

    moment: int
    leaks: Sequence[Leak]
    is_message: bool
    mail: HeardMail | None


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
        lines = [line for _, line in sorted(self._lines.items()) if line.flow not in canaries]
        streams = [stream for line in lines for stream in line.streams]
        told = sorted((told for line in lines for told in line.told), key=attrgetter("moment"))
        mails = [each.mail for each in told if each.mail is not None]
        return Hearing(packets, [line.flow for line in lines], streams, _numbered(told), mails)

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
        flow: the connection's; known once it is understood.
        said: what was said, as it became known.
        streams: the same when it was last understood, as streams.
        told: what that told, in that order.
    """

    flow: Flow

    __slots__ = ("_connection", "_heard", "flow", "said", "streams", "told")

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
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
        self.flow = connection.flow
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
            content = event.content if isinstance(event, MessageSeen) else None
            messages += isinstance(event, MessageSeen)
            heard = read_event(event, ear.index.locate, messages)
            yield _Told(
                moment,
                [each for each in heard if isinstance(each, Leak)],
                isinstance(event, MessageSeen),
                HeardMail(content.data, ear.index.locate(content.spans)) if content else None,
            )


def _numbered(told: Iterable[_Told]) -> Iterator[Leak]:
    """Yield all leaks; messages count from 1 among all of them."""
    messages = 0
    for each in told:
        messages += each.is_message
        for leak in each.leaks:
            numbered = not each.is_message or leak.message == messages
            yield leak if numbered else replace(leak, message=messages)
