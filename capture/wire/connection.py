"""Two halves of a TCP connection, passed on in the order in which they were spoken (RFC 9293).

A packet's acknowledgement says which bytes of the other side its sender had seen, so what it carries is
passed on after those. That keeps the true order of both directions even where the capture mixed up
packets, and shows which bytes are missing from the capture: those acknowledged that never come.
"""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, NamedTuple

from mailtap.capture.language import N_
from mailtap.capture.model import Chunk, Direction, Endpoint, Flow, Gap, Note
from mailtap.capture.wire.early import MASK, Early
from mailtap.capture.wire.ends import endpoints_of
from mailtap.capture.wire.half import LARGEST_JUMP, LARGEST_LOSS, Half
from mailtap.capture.wire.holes import give_up
from mailtap.capture.wire.speakers import server_among

if TYPE_CHECKING:
    from mailtap.capture.model import Segment

FIN, SYN, RST, ACK = 0x01, 0x02, 0x04, 0x10

Item = Chunk | Gap | None
Heard = tuple["Connection", Direction, Item]
"""What is passed on: bytes, a hole, or None for the end of a direction."""


class Gathered(NamedTuple):
    """What a connection said in both directions, calmly, since it was last heard: to be heard together."""

    connection: Connection
    client: list[Chunk]
    server: list[Chunk]

    @property
    def size(self) -> int:
        """Return how many bytes that is; in each direction, no chunk leaves a hole before the next."""
        return sum(
            chunks[-1].offset + len(chunks[-1].data) - chunks[0].offset for chunks in self[1:] if chunks
        )


PATIENCE_NS = 1_000_000_000

_MAIL_PORTS = frozenset((25, 110, 143, 465, 587, 993, 995))
_MOST_BUFFERED = 1 << 20
_MOST_EARLY = 2048
_START_PATIENCE = 12  # segments to wait at least for a SYN that the capture may have mixed up
_CONFLICT = N_("Packet {packet} repeats bytes with another content; the first copy counts.")
_FULL = N_("By packet {packet} too much had come out of order to wait any longer for what was missing.")
_STEP = 2.0**-16  # between turns behind the same packet
_PATIENCE = 64  # segments to wait at least for bytes that the other side is known to have
_DISORDER_NS = 50_000_000  # for how long a tap may mix up packets, and
_DISORDER = 1 << 16  # how many bytes may wait for that, so that fast connections do not wait for long


class Connection:
    """One TCP connection as the capture shows it.

    Attributes:
        number: counts from 1, in the order in which the connections began.
        flow: the endpoints, client first; known once the connection is settled.
        settled: whether it is known who is the client and where the streams begin.
        calm: whether nothing waits, so that the next segment may be passed on at once.
        closed: whether both directions have ended.
        muted: whether nobody wants to hear of it.
        gathers: whether the next bytes may wait for others, to be heard together.
        halves: what the sender of the first packet seen sent, and the other side.
        ends: who sent the first packet seen to whom, as it stands there.
        notes: what is worth saying of it.
        last_packet: number of the last packet.
        turn: of the latest bytes or hole that was passed on (`Chunk.turn`), or number of a packet since.
        since_ns: since when something has been waiting.
        counted: how many waiting bytes the reassembler has counted.
    """

    __slots__ = (
        "_waited",
        "calm",
        "closed",
        "counted",
        "ends",
        "flow",
        "gathers",
        "halves",
        "last_packet",
        "muted",
        "notes",
        "number",
        "settled",
        "since_ns",
        "turn",
    )

    flow: Flow

    def __init__(self, number: int, segment: Segment) -> None:
        """Begin with the first segment seen, which is not taken in yet."""
        self.number = number
        self.ends = segment.ends
        self.halves = (Half(), Half())
        self.settled = self.calm = self.closed = self.muted = self.gathers = False
        self.notes: list[Note] = []
        self.last_packet = segment.packet
        self.turn: float = 0
        self.since_ns = segment.time_ns
        self.counted = 0
        self._waited = 0

    @property
    def late(self) -> bool:
        """Return whether the capture started in the middle of the connection."""
        return self.halves[0].syn is None and self.halves[1].syn is None

    @property
    def opened(self) -> bool:
        """Return whether the capture shows how both sides began."""
        return self.halves[0].syn is not None and self.halves[1].syn is not None

    @property
    def buffered(self) -> int:
        """Return the number of bytes that wait."""
        return self.halves[0].early.size + self.halves[1].early.size

    def half(self, direction: Direction) -> Half:
        """Return one direction of a settled connection."""
        first, second = self.halves
        return first if first.direction is direction else second

    def gathered(self) -> Gathered:
        """Return what was gathered, and begin anew."""
        client, server = self.half(Direction.CLIENT), self.half(Direction.SERVER)
        return Gathered(self, client.hand_out(), server.hand_out())

    def hear(self, half: Half, peer: Half, segment: Segment, out: list[Heard]) -> None:
        """Take a segment in, and add to `out` what can be passed on."""
        is_odd = (segment.flags & SYN and half.based and not half.next) or (
            segment.flags & RST and not half.seen
        )
        if (is_odd or half.rival is not None or peer.rival is not None) and self._strays(half, peer, segment):
            return
        if not self._place(half, peer, segment):
            return
        if not self.settled:
            self._waited += 1
            is_over = segment.flags & RST or (half.end is not None and peer.end is not None)
            if self.opened or is_over or self._waits_in_vain(segment, _START_PATIENCE):
                self.settle()
        if self.settled:
            before = len(out)
            self.drain(out)
            if len(out) > before:
                self._waited = 0  # what still waits is waiting for other bytes
                self.since_ns = segment.time_ns
            if segment.flags & RST or (half.ended and peer.ended):
                self.finish(out)
            else:
                self._wait(half, segment, out)

    def finish(self, out: list[Heard]) -> None:
        """Pass on whatever waits, holes and all, and end both directions."""
        if not self.settled:
            self.settle()
        give_up(self, out, everything=True)
        for half in (self.half(Direction.CLIENT), self.half(Direction.SERVER)):
            if not half.ended:
                half.ended = True
                out.append((self, half.direction, None))
            half.forget()
        self.closed = True

    def rest(self) -> list[Heard]:
        """Return what would be passed on if the capture ended here, by a copy of the connection."""
        copy, out = deepcopy(self), list[Heard]()
        copy.finish(out)
        return out

    def lose_patience(self, out: list[Heard]) -> None:
        """Give up waiting for what should have come long ago."""
        if not self.settled:
            self.settle()
        give_up(self, out)
        self._rest()

    def overflow(self, segment: Segment, out: list[Heard]) -> None:
        """Give up everything that waits, because it takes too much memory."""
        if not self.settled:
            self.settle()
        self._say(segment, _FULL)
        give_up(self, out, everything=True)
        self._rest()

    def settle(self) -> None:
        """Decide which side is the client, and where each direction begins."""
        self.settled = True
        self._waited = 0
        ends = endpoints_of(self.ends)
        client = _client(ends, self.halves)
        self.halves[client].direction = Direction.CLIENT
        self.halves[1 - client].direction = Direction.SERVER
        self.flow = Flow(self.number, ends[client], ends[1 - client])
        for half in self.halves:
            half.rebase()

    def drain(self, out: list[Heard]) -> None:
        """Pass on everything whose turn has come."""
        first, second = self.halves
        while True:
            for half, peer in ((first, second), (second, first)):
                if half.ready() and not half.before(peer):
                    self.pass_on(half, out)
                    break
            else:
                return

    def pass_on(self, half: Half, out: list[Heard]) -> None:
        """Pass on what one direction has ready, whatever the other side lacks."""
        for item in half.take():
            self.say(half, item, out)

    def say(self, half: Half, item: Item, out: list[Heard]) -> None:
        """Pass something on in its turn: behind all that was passed on before."""
        if item is not None:
            if item.packet > self.turn:
                self.turn = item.packet
            else:
                self.turn += _STEP
                item = item._replace(turn=self.turn)
        out.append((self, half.direction, item))

    def _place(self, half: Half, peer: Half, segment: Segment) -> bool:
        """Put a segment's payload and FIN where they belong; return whether it belongs here.

        What the ends themselves ignore does not: what stands or acknowledges before the SYN, which is of an
        earlier connection, and a reset before what was received (RFC 9293, sections 3.5.1 and 3.10.7.4).
        """
        packet, time_ns, _, sequence, acknowledgment, flags, payload, cut = segment
        sequence = sequence + bool(flags & SYN) & MASK
        offset = half.offset(sequence) if half.seen else half.begin(sequence)
        if flags & SYN and half.syn is None and half.stale(offset):
            half.restart()
            peer.acked, peer.shown = min(peer.acked, 0), []
            offset = half.begin(sequence)
        ahead, end = offset - half.next, offset + len(payload) + cut
        if flags & RST:
            foreign = _resets_another(half, peer, offset)
        else:
            foreign = abs(ahead) > LARGEST_JUMP or (
                half.syn is not None and end < half.first and not flags & SYN
            )
        # Made-up captures acknowledge nothing: what comes in order is taken even so.
        if foreign or (flags & ACK and not peer.acknowledge(acknowledgment, packet, time_ns) and ahead):
            return False
        if flags & SYN and half.syn is None:
            half.syn, half.opens, half.first = segment.sequence, not flags & ACK, offset
        elif half.syn is None and not self.settled:
            half.first = min(half.first, offset)
        if half.ended:
            return True
        needs = acknowledgment if flags & ACK else None
        if (payload or cut) and not half.keep(Early(offset, payload, cut, needs, packet, time_ns)):
            self._say(segment, _CONFLICT)
        if flags & FIN and half.may_end(end):
            half.end, half.end_needs = end, needs
            half.end_shown = (packet, time_ns)
        if flags & RST:
            half.acknowledge(sequence, packet, time_ns)  # the sender itself had sent up to there
        return True

    def _strays(self, half: Half, peer: Half, segment: Segment) -> bool:
        """Return whether a segment is a second SYN-ACK; if it is not, it may show which of two counts.

        A server that forgot its first one, or another behind the same address, sends it. A reset is a stray
        that answers a SYN and does not acknowledge it (RFC 9293, section 3.10.7.3).
        """
        if segment.flags & RST and not half.seen:
            behind = segment.acknowledgment - (peer.syn or 0) - 1 & MASK
            return peer.opens and not (segment.flags & ACK and behind <= LARGEST_LOSS)
        if peer.rival is not None and segment.flags & ACK:
            peer.decide(segment.acknowledgment)
        if not segment.flags & SYN:
            half.decide(segment.sequence)
        elif half.syn not in (None, segment.sequence):
            half.rival, self.calm = segment.sequence, False
            return True
        return False

    def _wait(self, half: Half, segment: Segment, out: list[Heard]) -> None:
        """Keep account of what waits, and give up where it has been too long or too much."""
        first, second = self.halves
        self._rest()
        if first.acked > first.next or second.acked > second.next:
            if not self._waited:
                self.since_ns = segment.time_ns
            self._waited += 1
            if self._waits_in_vain(segment, _PATIENCE + 1):
                self.lose_patience(out)
        if half.early.size > _MOST_BUFFERED or len(half.early) > _MOST_EARLY:
            self.overflow(segment, out)

    def _waits_in_vain(self, segment: Segment, least: int) -> bool:
        """Return whether what is missing was waited for long enough.

        So many small segments may be on their way at once that their number alone does not tell.
        """
        waited_ns = segment.time_ns - self.since_ns
        if self._waited < least:
            return waited_ns > PATIENCE_NS
        return waited_ns > _DISORDER_NS or self.buffered > _DISORDER

    def _rest(self) -> None:
        """Note whether anything waits, or may be ready as soon as anything comes."""
        first, second = self.halves
        self.calm = not (first.waits or second.waits)
        if self.calm:
            self._waited = 0

    def _say(self, segment: Segment, text: str) -> None:
        """Leave a note on a segment, unless it was said of this connection before."""
        if all(note.text != text for note in self.notes):
            packets = (segment.packet,)
            values = (("packet", segment.packet),)
            self.notes.append(Note(text=text, values=values, packets=packets, time_ns=segment.time_ns))


def _resets_another(half: Half, peer: Half, offset: int) -> bool:
    """Return whether a reset is of another connection than the one that a half shows.

    A client whose SYN was not answered yet resets what an old, half-open connection's other end
    acknowledges (RFC 9293, section 3.5.1). Later, the ends themselves believe only one that stands just
    behind all that was sent (RFC 5961, section 3.2).
    """
    if abs(offset - half.next) > LARGEST_LOSS or (half.based and offset not in half.edges):
        return True
    has_said = half.next > 0 or half.early or (half.acked > 0 and peer.syn is not None)
    return offset != 0 and half.opens and not has_said


def _client(ends: tuple[Endpoint, Endpoint], halves: tuple[Half, Half]) -> int:
    """Return which of two ends is the client: 0 or 1.

    The one that opened the connection is, as far as the SYNs tell; else the one without a mail port; else
    the one that does not sound like a server; else the one with the higher port.
    """
    for place, half in enumerate(halves):
        if half.syn is not None:
            return place if half.opens else 1 - place
    first, second = (end.port in _MAIL_PORTS for end in ends)
    if first != second:
        return int(first)
    server = server_among(halves)
    if server is not None:
        return 1 - server
    return int(ends[0].port < ends[1].port)
