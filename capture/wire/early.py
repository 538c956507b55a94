"""Pieces of a stream that came early, and wait for their turn (RFC 9293, section 3.10.7.4)."""

from __future__ import annotations

from bisect import bisect_right
from itertools import pairwise
from operator import attrgetter
from typing import NamedTuple

MASK = 0xFFFFFFFF
HALF_CIRCLE = 1 << 31


class Early(NamedTuple):
    """A piece of the stream that waits for its turn.

    Attributes:
        offset: where it begins.
        data: the bytes.
        cut: number of bytes after `data` that were on the wire but not captured.
        needs: what its sender had acknowledged: it was sent after the other side's bytes up to there.
            None where there was no ACK flag.
        packet: number of the packet that brought it.
        time_ns: that packet's time.
    """

    offset: int
    data: bytes
    cut: int
    needs: int | None
    packet: int
    time_ns: int

    @property
    def end(self) -> int:
        """Return the offset after the piece, bytes not captured included."""
        return self.offset + len(self.data) + self.cut

    def between(self, start: int, end: int) -> Early:
        """Return the part that lies between two offsets within the piece."""
        data = self.data[start - self.offset : end - self.offset]
        return self._replace(offset=start, data=data, cut=end - start - len(data))

    def agrees(self, offset: int, data: bytes) -> bool:
        """Return whether bytes that stand at an offset are the same, where they overlap with the piece."""
        start = max(self.offset, offset)
        end = min(self.offset + len(self.data), offset + len(data))
        return (
            start >= end
            or self.data[start - self.offset : end - self.offset] == data[start - offset : end - offset]
        )

    def was_sent_before(self, other: Early) -> bool:
        """Return whether its sender had seen less of the other side than with another piece."""
        return (
            self.needs is not None
            and other.needs is not None
            and 0 < (other.needs - self.needs & MASK) < HALF_CIRCLE
        )


class Pieces(list[Early]):
    """Pieces that wait: in order, without overlap. They are changed by these methods only.

    Attributes:
        size: number of bytes in them.
    """

    size: int = 0

    def keep(self, piece: Early, start: int) -> bool:
        """Keep what is new of a piece from an offset on; of bytes that came before, the first copy counts.

        Returns:
            Whether the bytes that came before were the same.
        """
        same, end = True, piece.end
        at = max(bisect_right(self, start, key=attrgetter("offset")) - 1, 0)
        while start < end and at < len(self) and self[at].offset < end:
            other = self[at]
            if start < other.offset:
                self._insert(at, piece.between(start, other.offset))
                at += 1
            same = same and piece.agrees(other.offset, other.data)
            at = self._hasten(at, piece)
            start = max(start, other.end)
        if start < end:
            self._insert(at, piece if start == piece.offset else piece.between(start, end))
        return same

    def take(self) -> Early:
        """Return the first one, and keep it no longer."""
        piece = self.pop(0)
        self.size -= len(piece.data)
        return piece

    def drop_from(self, offset: int) -> None:
        """Drop the pieces that begin at an offset or behind it."""
        while self and self[-1].offset >= offset:
            self.size -= len(self.pop().data)

    def clear(self) -> None:
        """Drop all."""
        super().clear()
        self.size = 0

    def _hasten(self, at: int, piece: Early) -> int:
        """Let what waits at a place wait no longer than a copy of it needs to; return the place after it."""
        other = self[at]
        start, end = max(piece.offset, other.offset), min(piece.end, other.end)
        if start >= end or not piece.was_sent_before(other):
            return at + 1
        cuts = (other.offset, start, end, other.end)
        parts = [other.between(one, two) for one, two in pairwise(cuts) if one < two]
        self[at : at + 1] = [
            part._replace(needs=piece.needs) if part.offset == start else part for part in parts
        ]
        return at + len(parts)

    def _insert(self, at: int, piece: Early) -> None:
        self.insert(at, piece)
        self.size += len(piece.data)
