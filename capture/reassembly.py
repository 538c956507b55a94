"""Sort TCP segments into connections and pass their bytes on in order (RFC 9293).

What a connection does is in `connection`; here is which segment belongs to which, and a bound on all.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import TYPE_CHECKING

from mailtap.capture.language import N_
from mailtap.capture.model import Chunk, Note
from mailtap.capture.wire.clock import Clock
from mailtap.capture.wire.connection import ACK, FIN, PATIENCE_NS, RST, SYN, Connection, Gathered, Heard
from mailtap.capture.wire.early import HALF_CIRCLE, MASK
from mailtap.capture.wire.ends import turned
from mailtap.capture.wire.half import Half

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

    from mailtap.capture.model import Segment

_TURNS = SYN | FIN | RST  # a connection begins or ends
_MOST_OPEN = 8_192
_MOST_CLOSED = 4096
_MOST_BYTES = 32 << 20
_STALE = 1 << 20  # how far behind the end of a closed connection a segment may be a repetition
_IDLE_NS = 30 * 60 * 1_000_000_000  # IMAP servers wait so long (RFC 9051, section 5.4), all others less
_HALF = 0.5  # what time alone makes known stands between two packets
_LOOKED_AT = 64  # connections that may be looked at for each packet, in search of silent ones
_SILENT = N_("Nothing came for half an hour after packet {packet}: this connection was taken as ended.")

Entry = tuple[Connection, Half, Half]


class Reassembler:
    """All connections of a capture.

    Attributes:
        count: number of connections that began.
        crowded_out: number of connections ended early because too many were open.
        packet: number of the packet that is being heard, where what comes of it is not just its own bytes, or
            a half less where only its time counts; 0 before the first TCP segment.
    """

    def __init__(
        self,
        *,
        most_open: int = _MOST_OPEN,
        most_bytes: int = _MOST_BYTES,
        admits: Callable[[Segment], bool] = lambda _: True,
        clock: Clock | None = None,
    ) -> None:
        """Start with no connection.

        Args:
            most_open: how many connections may be open; the longest silent ones are ended first.
            most_bytes: how many bytes may wait in all of them; the longest waiting are given up first.
            admits: says of the first segment of a connection whether that is to be heard at all.
            clock: is told when something will have waited too long.
        """
        self._clock = clock or Clock()
        self._clock.due_ns = 0
        self._admits = admits
        self._most_bytes = most_bytes
        self.count = 0
        self.crowded_out = 0
        self.packet: float = 0
        self._most_open = most_open
        self._entries: dict[bytes, Entry] = {}
        self._open: dict[int, Connection] = {}
        self._closed: deque[Connection] = deque()
        self._waiting: OrderedDict[int, Connection] = OrderedDict()
        self._gathering: dict[int, Connection] = {}
        self._buffered = 0
        self._sweep_ns = 0
        self._swept = 0  # packet at which silent connections were last looked for

    @property
    def open(self) -> Collection[Connection]:
        """Return the connections that have not ended, in the order in which they began."""
        return self._open.values()

    def feed(self, segment: Segment) -> Sequence[Heard]:
        """Return what can be passed on now that this segment is here: chunks, gaps and ends."""
        return [heard for heard in self.chunks((segment,)) if not isinstance(heard, Note | Gathered)]

    def chunks(self, segments: Iterable[Segment | Note]) -> Iterator[Heard | Gathered | Note]:
        """Yield what can be passed on, as segments come; notes among them are passed on.

        What a connection that gathers says comes together, when it is no longer just its next bytes, or at
        the end of the segments: only the order within each connection is kept.
        """
        new, known, gathering, clock = tuple.__new__, self._entries.get, self._gathering, self._clock
        for segment in segments:
            if isinstance(segment, Note):
                yield segment
                continue
            number, time_ns, ends, sequence, acknowledgment, flags, payload, cut = segment
            entry = known(ends)
            if entry is None or flags & _TURNS or time_ns > clock.due_ns:
                yield from self._pass_on(segment, entry)
                continue
            connection, half, peer = entry
            # The common case: the next bytes in order, nothing waits, and the sender had seen no more of
            # the other side than was passed on.
            if (
                sequence != half.sequence
                or not connection.calm
                or half.ended
                or cut
                or (
                    acknowledgment != peer.sequence
                    and 0 < acknowledgment - peer.sequence & MASK < HALF_CIRCLE
                    and peer.seen
                )
            ):
                yield from self._pass_on(segment, entry)
                continue
            connection.last_packet = number
            if not payload:
                continue
            offset, size = half.next, len(payload)
            chunk = new(Chunk, (offset, payload, number, time_ns, 0))
            half.sequence, half.next = sequence + size & MASK, offset + size
            if connection.gathers:
                if not half.gathered:
                    gathering[connection.number] = connection
                half.gathered.append(chunk)
            else:
                half.remember(chunk)
                yield connection, half.direction, chunk
        while gathering:
            yield gathering.popitem()[1].gathered()

    def mute(self, connection: Connection) -> None:
        """Pass nothing more of a connection on, and keep nothing of it."""
        connection.muted, connection.calm = True, False
        self._waiting.pop(connection.number, None)
        for half in connection.halves:
            half.forget()
        self._count_bytes(connection)

    def close(self) -> Sequence[Heard]:
        """Return what was still waiting at the end of the capture, and all ends that were not seen."""
        out: list[Heard] = []
        for connection in list(self._open.values()):
            self._end(connection, out)
        return out

    def _pass_on(self, segment: Segment, entry: Entry | None) -> Iterator[Heard | Gathered]:
        """Yield what can be passed on after a segment that is not just the next one of a calm connection.

        Each comes after what its connection gathered before.
        """
        if entry is not None and entry[0].number in self._gathering:
            yield self._gathering.pop(entry[0].number).gathered()
        if segment.time_ns > self._clock.due_ns:
            self.packet = segment.packet - _HALF
            if entry is not None:
                entry[0].last_packet = segment.packet  # it is not silent, however long it was
            for heard in self._wake(segment):
                if heard[0].number in self._gathering:
                    yield self._gathering.pop(heard[0].number).gathered()
                yield heard
        if segment.ends:
            self.packet = segment.packet
            for heard in self._slowly(segment, entry):
                if heard[0].number in self._gathering:  # another, which was crowded out
                    yield self._gathering.pop(heard[0].number).gathered()
                yield heard

    def _slowly(self, segment: Segment, entry: Entry | None) -> list[Heard]:
        """Return the same, as if nothing had been gathered, and nobody waited too long."""
        out: list[Heard] = []
        if entry is None or _begins_anew(segment, *entry):
            if segment.flags & RST or not self._admits(segment):
                return out
            entry = self._begin(segment, entry, out)
        connection, half, peer = entry
        if connection.calm:  # then all that came so far was passed on
            connection.turn = connection.last_packet
        connection.last_packet = segment.packet
        if connection.muted:
            half.ended = half.ended or bool(segment.flags & FIN)
            if segment.flags & RST or (peer.ended and half.ended):
                self._bury(connection)
        elif not connection.closed:
            before = len(out)
            connection.hear(half, peer, segment, out)
            if len(out) > before:
                self._waiting.pop(connection.number, None)  # it waits anew, behind all others
            self._watch(connection)
            self._relieve(segment, out)
        return out

    def _begin(self, segment: Segment, old: Entry | None, out: list[Heard]) -> Entry:
        """Return the entry of a new connection, having ended the one that used these ports before."""
        if old is not None:
            self._end(old[0], out)
        while len(self._open) >= self._most_open:
            self._crowd_out(out)
        self.count += 1
        connection = Connection(self.count, segment)
        self._open[connection.number] = connection
        first, second = connection.halves
        self._entries[turned(connection.ends)] = (connection, second, first)
        entry = self._entries[connection.ends] = (connection, first, second)
        return entry

    def _watch(self, connection: Connection) -> None:
        """Remember to look again at a connection in which something waits."""
        self._count_bytes(connection)
        if connection.closed:
            self._bury(connection)
        elif connection.calm:
            self._waiting.pop(connection.number, None)
        elif connection.number not in self._waiting:
            self._waiting[connection.number] = connection
            self._clock.due_ns = min(self._clock.due_ns, connection.since_ns + PATIENCE_NS)

    def _wake(self, segment: Segment) -> list[Heard]:
        """Return what has been waiting too long, and the ends of silent connections, the oldest first."""
        out: list[Heard] = []
        if segment.time_ns > self._sweep_ns:
            self._sweep(segment, out)
        self._clock.due_ns = self._sweep_ns
        while self._waiting:
            connection = next(iter(self._waiting.values()))
            due = connection.since_ns + PATIENCE_NS
            if due >= segment.time_ns:
                self._clock.due_ns = min(due, self._sweep_ns)
                break
            self._waiting.popitem(last=False)
            connection.lose_patience(out)
            self._count_bytes(connection)
        return sorted(out, key=lambda heard: heard[0].number)

    def _sweep(self, segment: Segment, out: list[Heard]) -> None:
        """End what has been silent since the last sweep, which was half an hour ago at least.

        Connections remember their last packet and no time, so that a packet costs nothing more. Muted ones
        stay: they hold nothing, and their packets do not come this far.
        """
        if len(self._open) > _LOOKED_AT * (segment.packet - self._swept):
            return  # the clock of this capture runs wild
        for connection in [one for one in self._open.values() if one.last_packet < self._swept]:
            if not connection.muted:
                connection.notes.append(Note(text=_SILENT, values=(("packet", connection.last_packet),)))
                self._end(connection, out)
                self._forget(connection)  # should it speak again, that is heard as from a late start
        self._swept, self._sweep_ns = segment.packet, segment.time_ns + _IDLE_NS

    def _relieve(self, segment: Segment, out: list[Heard]) -> None:
        """Keep what waits in all connections together within its bound."""
        while self._buffered > self._most_bytes and self._waiting:
            _, connection = self._waiting.popitem(last=False)
            connection.overflow(segment, out)
            self._count_bytes(connection)

    def _count_bytes(self, connection: Connection) -> None:
        self._buffered += connection.buffered - connection.counted
        connection.counted = connection.buffered

    def _end(self, connection: Connection, out: list[Heard]) -> None:
        """End a connection where it stands."""
        if not (connection.closed or connection.muted):
            connection.finish(out)
            self._count_bytes(connection)
        self._bury(connection)

    def _bury(self, connection: Connection) -> None:
        """Keep only so much of a connection that repetitions of its last packets are known as such."""
        if self._open.pop(connection.number, None) is None:
            return
        connection.closed = True
        self._waiting.pop(connection.number, None)
        self._closed.append(connection)
        if len(self._closed) > _MOST_CLOSED:
            self._forget(self._closed.popleft())

    def _forget(self, connection: Connection) -> None:
        """Let the ports of a connection be as if it had never been."""
        for way in (connection.ends, turned(connection.ends)):
            if way in self._entries and self._entries[way][0] is connection:
                del self._entries[way]

    def _crowd_out(self, out: list[Heard]) -> None:
        """End the quarter of all open connections that have been silent longest."""
        silent = sorted(self._open.values(), key=lambda connection: connection.last_packet)
        for connection in silent[: len(silent) // 4 + 1]:
            self.crowded_out += not connection.muted  # of those nothing is lost
            self._end(connection, out)


def _begins_anew(segment: Segment, connection: Connection, half: Half, peer: Half) -> bool:
    """Return whether a segment belongs to a later connection between the same ports."""
    if segment.flags & SYN:
        return not (_repeats_syn(segment, connection, half) or _answers_syn(segment, peer))
    if not connection.closed or not segment.payload:
        return False
    behind = half.sequence - segment.sequence & MASK
    return not half.seen or _STALE < behind < MASK - _STALE


def _repeats_syn(segment: Segment, connection: Connection, half: Half) -> bool:
    """Return whether a SYN is the one that the connection began with, seen again or seen late."""
    if half.syn is not None:
        return half.syn == segment.sequence
    offset = half.offset(segment.sequence + 1 & MASK)
    return not half.seen or (offset == 0 if connection.settled else not (half.early and half.stale(offset)))


def _answers_syn(segment: Segment, peer: Half) -> bool:
    """Return whether a SYN-ACK answers the SYN that the connection began with."""
    if not segment.flags & ACK or peer.syn is None:
        return False
    return (segment.acknowledgment - peer.syn - 1 & MASK) < _STALE
