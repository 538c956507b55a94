"""One direction of a TCP connection: which bytes are next, and which came too early (RFC 9293, section 3.4).

Offsets count bytes from the first one after the SYN; sequence numbers are the wire's, and wrap.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from mailtap.capture.model import Chunk, Gap
from mailtap.capture.wire.early import HALF_CIRCLE, MASK, Pieces

if TYPE_CHECKING:
    from mailtap.capture.model import Direction
    from mailtap.capture.wire.early import Early

LARGEST_JUMP = 1 << 30  # no window is larger (RFC 7323, section 2.3)
LARGEST_LOSS = 1 << 20  # bytes only known from an acknowledgement: more are not believed to be lost
_NONE = (None, None)
_LONGEST_REMEMBERED = 2048


class Half:
    """The reassembly of one direction.

    Attributes:
        direction: who sends; known once the connection is settled.
        seen: whether any packet of this direction was seen.
        syn: the SYN's sequence number, where it was seen.
        opens: whether that SYN opened the connection, rather than answered (SYN-ACK).
        rival: sequence number of another SYN-ACK, until it is known which of the two the other side took.
        sequence: sequence number of the next byte in order.
        next: offset of that byte.
        told: before any packet of this direction was seen: where the next byte is, as the other side told it.
        first: the lowest offset seen; the SYN's where it was seen. It may be negative until `based`.
        based: whether the connection is settled, so that offsets count from the first byte. Before that
            they count from the first packet seen, nothing is passed on, and `next` is no bound.
        acked: up to which offset the other side has acknowledged.
        early: pieces beyond `next`, or held back.
        end: offset of the FIN, where it was seen.
        end_needs: like `Early.needs`, of the FIN.
        end_shown: number and time of the packet that brought the FIN.
        ended: whether all up to the FIN was passed on.
        supposed: a byte that was passed over as if it had been the FIN; a hole, if more follows.
        shown: which packets first showed that there are bytes beyond `next`, by what they acknowledged:
            for each up to which offset, its number and its time.
        recent: the last two chunks passed on, to compare repetitions with.
        gathered: chunks that were passed on and wait for more, to be heard together.
    """

    __slots__ = (
        "acked",
        "based",
        "direction",
        "early",
        "end",
        "end_needs",
        "end_shown",
        "ended",
        "first",
        "gathered",
        "next",
        "opens",
        "recent",
        "rival",
        "seen",
        "sequence",
        "shown",
        "supposed",
        "syn",
        "told",
    )

    direction: Direction

    def __init__(self) -> None:
        self.seen = False
        self.syn: int | None = None
        self.opens = False
        self.rival: int | None = None
        self.told: int | None = None
        self.sequence = 0
        self.next = 0
        self.first = 0
        self.based = False
        self.acked = -LARGEST_JUMP
        self.early = Pieces()
        self.end: int | None = None
        self.end_needs: int | None = None
        self.end_shown = (0, 0)
        self.ended = False
        self.supposed: Gap | None = None
        self.shown: list[tuple[int, int, int]] = []
        self.recent: tuple[Chunk | None, Chunk | None] = _NONE
        self.gathered: list[Chunk] = []

    def offset(self, sequence: int) -> int:
        """Return the offset that a sequence number means: the nearest one to the next byte."""
        ahead = sequence - self.sequence & MASK
        return self.next + (ahead if ahead < HALF_CIRCLE else ahead - MASK - 1)

    def begin(self, sequence: int) -> int:
        """Count offsets from the first packet seen, or from where the other side said that it would begin.

        Returns:
            The offset of that packet.
        """
        self.seen = True
        ahead = 0 if self.told is None else sequence - self.told & MASK
        if ahead > LARGEST_LOSS:  # of an earlier connection, or nonsense
            ahead = 0
        self.sequence = sequence - ahead & MASK
        return ahead

    def stale(self, offset: int) -> bool:
        """Return whether all that was seen is of an earlier connection, if a SYN stands at an offset."""
        return not 0 <= self.first - offset <= LARGEST_LOSS and not (self.based and self.next)

    def restart(self) -> None:
        """Forget what was seen, of which nothing was passed on."""
        self.forget()
        self.seen, self.told, self.first = False, None, 0
        self.acked = 0 if self.based else -LARGEST_JUMP
        self.end = self.end_needs = None
        self.shown.clear()

    def decide(self, sequence: int) -> None:
        """Know from a sequence number that was sent or acknowledged which of two SYN-ACKs counts."""
        if self.rival is not None and (sequence - self.rival - 1 & MASK) < (sequence - self.sequence & MASK):
            self.forget()
            self.syn, self.sequence = self.rival, self.rival + 1 & MASK
            self.acked = 0
            self.shown.clear()
        self.rival = None

    def acknowledge(self, sequence: int, packet: int, time_ns: int) -> bool:
        """Know from a packet that everything before a sequence number was sent, and received.

        Returns:
            Whether that may be: it is not before the SYN.
        """
        if not self.seen:
            self.told = sequence if self.told is None else self.told
        elif not self.ended:
            reached = self.offset(sequence)
            if self.acked < reached < self.next + LARGEST_JUMP:
                self.acked = reached
                if reached > self.next or not self.based:
                    self.shown.append((reached, packet, time_ns))
            return reached >= self.first or self.syn is None
        return True

    def rebase(self) -> None:
        """Count offsets from the first byte seen, now that it is known which one that is."""
        first = self.first + self._begins_with_a_probe()
        self.sequence = self.sequence + first & MASK
        self.acked = max(self.acked - first, 0)
        self.shown = [(to - first, packet, time_ns) for to, packet, time_ns in self.shown if to > first]
        self.end = None if self.end is None else self.end - first
        self.first = 0
        self.based = True
        waiting, self.early = self.early, Pieces()
        for piece in waiting:
            self.keep(piece._replace(offset=piece.offset - first))

    def keep(self, piece: Early) -> bool:
        """Keep what is new of a piece until its turn comes; of bytes that came before, the first copy counts.

        Returns:
            Whether the bytes that came before were the same.
        """
        same = self._repeats(piece)
        return self.early.keep(piece, max(piece.offset, self.next) if self.based else piece.offset) and same

    @property
    def waits(self) -> bool:
        """Return whether something waits, or is known to be missing."""
        return (
            bool(self.early)
            or self.acked > self.next
            or (self.end is not None and not self.ended)
            or self.supposed is not None
            or self.rival is not None
        )

    @property
    def edges(self) -> tuple[int, ...]:
        """Return where what was sent may end, as far as is known; a FIN counts as a byte."""
        early = self.early[-1].end if self.early else self.next
        fin = self.next if self.end is None or self.ended else self.end + 1
        return max(self.next, self.acked), early, fin

    def may_end(self, offset: int) -> bool:
        """Return whether a FIN at an offset is where the direction ends; of several, the nearest is."""
        return (offset >= self.next or not self.based) and (self.end is None or offset < self.end)

    def ready(self) -> bool:
        """Return whether the next bytes, or the end, are here."""
        if self.early:
            return self.early[0].offset == self.next
        return self.end is not None and not self.ended and self.next >= self.end

    def before(self, peer: Half) -> bool:
        """Return whether what is ready was sent after bytes of the other side that are not passed on yet."""
        needs = self.early[0].needs if self.early else self.end_needs
        return (
            needs is not None
            and peer.seen
            and not peer.ended
            and 0 < (needs - peer.sequence & MASK) < HALF_CIRCLE
        )

    def take(self) -> list[Chunk | Gap | None]:
        """Return what is ready, and count it as passed on: the first piece, or None for the end."""
        out: list[Chunk | Gap | None] = []
        if self.supposed is not None and (self.early or self.end != self.supposed.offset):
            out.append(self.supposed)
        self.supposed = None
        if not self.early:
            self.ended = True
            self.sequence = self.sequence + 1 & MASK
            self.acked = min(self.acked, self.next)
            return [*out, None]
        piece = self.early.take()
        if piece.data:
            chunk = Chunk(piece.offset, piece.data, piece.packet, piece.time_ns)
            out.append(chunk)
            self.remember(chunk)
        if piece.cut:
            out.append(Gap(piece.offset + len(piece.data), piece.cut, piece.packet, piece.time_ns))
        self.move(piece.end)
        return out

    def remember(self, chunk: Chunk) -> None:
        """Remember what was passed on, to compare repetitions with, unless it is long."""
        if len(chunk.data) <= _LONGEST_REMEMBERED:
            self.recent = (self.recent[1], chunk)

    def hand_out(self) -> list[Chunk]:
        """Return what was gathered, and gather anew."""
        gathered, self.gathered = self.gathered, []
        short = (chunk for chunk in reversed(gathered) if len(chunk.data) <= _LONGEST_REMEMBERED)
        for chunk in (*islice(short, 2),)[::-1]:
            self.remember(chunk)
        return gathered

    def move(self, offset: int) -> None:
        """Count everything before an offset as passed on."""
        self.sequence = self.sequence + offset - self.next & MASK
        self.next = offset
        while self.shown and self.shown[0][0] <= offset:
            del self.shown[0]

    def forget(self) -> None:
        """Drop everything that waits."""
        if self.early:
            self.early.clear()
        self.recent = _NONE

    def _begins_with_a_probe(self) -> bool:
        """Return whether the first packet was a keep-alive, which stands one byte back (section 3.8.4).

        Then the other side, as soon as it is heard, has the byte that stands there. Some systems send a zero.
        """
        had = self.offset(self.told) if self.told is not None else self.shown[0][0] if self.shown else None
        if self.syn is not None or had != self.first + 1:
            return False
        if self.early and self.early[0].offset == self.first:
            return self.early[0].data == b"\0"
        return not self.early or self.early[0].offset == had

    def _repeats(self, piece: Early) -> bool:
        """Return whether what was passed on before is repeated unchanged, as far as is remembered."""
        if piece.offset >= self.next or (piece.offset == self.next - 1 and len(piece.data) <= 1):
            return True  # a keep-alive may repeat one byte with any content (RFC 9293, section 3.8.4)
        return all(chunk is None or piece.agrees(chunk.offset, chunk.data) for chunk in self.recent)
