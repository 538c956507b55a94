"""One direction's bytes, waiting to be read as lines, bodies or counted octets.

A parser is a generator that reads from two streams and waits, by yielding a direction, for bytes that
have not come yet. It blocks on one stream at a time and never asks whether bytes are there already, so
what it says cannot depend on how the bytes were split or how the two directions were interleaved.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Generator
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias, TypeVar

from mailtap.capture.model import Chunk, Direction, Gap, Span
from mailtap.capture.protocols.blocks import MESSAGE_LIMIT, Kept, unstuff

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mailtap.capture.evidence import ByteIndex
    from mailtap.capture.protocols.blocks import Block

T = TypeVar("T")
_new = tuple.__new__  # a NamedTuple's own constructor takes three times as long
Reading: TypeAlias = Generator[Direction | None, None, T]
"""A read in progress: yields the direction it waits for (None: either), returns what it read."""

LINE_LIMIT = 65_536
"""Longest line kept, in bytes: several times what RFC 4954, section 4 asks for SASL (12,288)."""
NEVER: Final = 1 << 63
"""Beyond the turn of anything."""

TLS_RECORD = re.compile(rb"\x16\x03[\x00-\x04]")
"""How a TLS handshake begins (RFC 8446, section 5.1); no mail command does."""

# Keyed by whether line ends are strictly CR LF.
_EMPTY_BODY = {True: re.compile(rb"\.\r\n"), False: re.compile(rb"\.\r?\n")}
_STRICT_END = b"\r\n.\r\n"
_LOOSE_END = re.compile(rb"\n\.\r?\n")
_PIECE = 65_536  # bytes of a run of octets that are waited for at once
_TAIL = 4  # bytes that may belong to a body's end that has not come yet


class Line(NamedTuple):
    """One line.

    Attributes:
        text: the line without its end; empty where the line was longer than `LINE_LIMIT`.
        span: its bytes in the stream, line end included.
        turn: of its last byte: the packet's number as a rule (`Chunk.turn`).
        strict: whether it ended in CR LF and not in a bare LF.
        overlong: whether it was longer than `LINE_LIMIT`.
    """

    text: bytes
    span: Span
    turn: float
    strict: bool
    overlong: bool = False

    def part(self, start: int, end: int | None = None) -> Span:
        """Return the span of `text[start:end]`; where that is empty, of what stands there instead."""
        stop = self.span.start + (len(self.text) if end is None else end)
        at = self.span.start + min(start, len(self.text))
        return _new(Span, (self.span.direction, at, stop if at < stop else self.span.end))


class Stream:
    """One direction of a flow: bytes pushed in at one end, read from the other.

    Attributes:
        direction: which.
        index: where its bytes came from.
        hole: what is missing behind the bytes that are there to be read.
        closed: whether no more bytes will come.
        kept: number of bytes that were read of what is not complete.
        reached: up to where (exclusive) the reads so far needed the stream, whatever else was there.
    """

    __slots__ = (
        "_abandoned",
        "_data",
        "_enough",
        "_later",
        "_mark",
        "_offset",
        "_waiting",
        "closed",
        "direction",
        "hole",
        "index",
        "kept",
        "reached",
    )

    def __init__(self, direction: Direction, index: ByteIndex) -> None:
        self.direction = direction
        self.index = index
        self.hole: Gap | None = None
        self.closed = False
        self._abandoned = False
        self._data = bytearray()
        self._offset = 0
        self._later: deque[Chunk | Gap] = deque()
        self._waiting = 0
        self.kept = 0
        self.reached = 0
        self._enough = 0
        self._mark: bytes | None = None

    @property
    def offset(self) -> int:
        """Position in the stream of the next byte to be read."""
        return self._offset

    @property
    def pending(self) -> int:
        """Number of bytes pushed and not read."""
        return len(self._data) + self._waiting

    @property
    def held(self) -> int:
        """Number of bytes in memory: pushed and not read, or read of what is not complete."""
        return len(self._data) + self._waiting + self.kept

    def ahead(self, size: int) -> bytes:
        """Return the bytes that are there to be read, up to a hole, but at most `size`."""
        return bytes(self._data[:size])

    @property
    def stopped(self) -> bool:
        """Whether no byte will ever follow those that are there: the end, or a hole."""
        return self.closed or self.hole is not None

    @property
    def hole_turn(self) -> float:
        """When the hole was come to (`Chunk.turn`); beyond all turns where there is none."""
        return NEVER if self.hole is None else self.hole.turn or self.hole.packet

    def push(self, item: Chunk | Gap) -> bool:
        """Take the next bytes, or the news that some are missing; return whether a read may go on now."""
        if self.hole is not None or self._abandoned or isinstance(item, Gap):
            self._push_later(item)
            return True
        data = self._data
        before = len(data)
        if not before:
            self._offset = item.offset
        data += item.data
        return self._may_go_on(before)

    def take_in(self, chunks: Sequence[Chunk]) -> bool:
        """Take the next bytes, in several chunks; return whether a read may go on now."""
        offsets, pieces, packets, times, turns = zip(*chunks, strict=True)
        self.index.extend(offsets, packets, times, turns)
        if self.hole is not None or self._abandoned:
            for chunk in chunks:
                self.push(chunk)
            return True
        data = self._data
        before = len(data)
        if not before:
            self._offset = offsets[0]
        data += b"".join(pieces)
        return self._may_go_on(before)

    def _may_go_on(self, before: int) -> bool:
        """Return whether what a read waits for is here, now that there are more than `before` bytes."""
        data = self._data
        return len(data) >= self._enough or (
            self._mark is not None and data.find(self._mark, before - _TAIL if before > _TAIL else 0) >= 0
        )

    def _push_later(self, item: Chunk | Gap) -> None:
        """Keep a hole, or what stands behind one."""
        if self._abandoned:
            return
        if self.hole is not None:
            self._later.append(item)
            self._waiting += len(item.data) if isinstance(item, Chunk) else 0
        elif isinstance(item, Gap):
            self.hole = item

    def _until(self, enough: int, mark: bytes | None = None) -> Direction:
        """Return what to yield to wait for that many bytes, or for a mark of up to four."""
        self._enough, self._mark = enough, mark
        return self.direction

    def close(self) -> None:
        """Say that no more bytes will come."""
        self.closed = True

    def abandon(self) -> None:
        """Count the stream as ended here, and ignore what may still come of it."""
        self.closed = self._abandoned = True

    def cross_hole(self) -> None:
        """Drop what stands before the hole, and go on behind it."""
        if self.hole is None:
            return
        self._data.clear()
        self._offset = self.hole.offset + self.hole.length
        self.hole = None
        while self._later and self.hole is None:
            item = self._later.popleft()
            size = len(item.data) if isinstance(item, Chunk) else 0
            self._waiting -= size
            self.push(item)

    def line_now(self) -> Line | None:
        """Read one line if all of it is here, without waiting; None where it is not, or is too long.

        A parser that reads `stream.line_now() or (yield from stream.line())` reads the same, but sooner.
        """
        data = self._data
        end = data.find(b"\n") + 1
        if not 0 < end <= LINE_LIMIT:
            return None
        text = bytes(data[:end])
        del data[:end]
        start = self._offset
        stop = self._offset = start + end
        self.reached = max(self.reached, stop)
        turn = self.index.turn_at(stop - 1)
        strict = text[-2:] == b"\r\n"
        span = _new(Span, (self.direction, start, stop))
        return _new(Line, (text[:-2] if strict else text[:-1], span, turn, strict, False))

    def line(self) -> Reading[Line | None]:
        """Read one line; None where a hole or the end comes before its end.

        The server's last line may lack its end: a verdict is complete without. A client's command may not:
        half a password would be an invention.
        """
        if (line := self.line_now()) is not None:
            return line
        start, scanned, overlong = self._offset, 0, False
        while (found := self._data.find(b"\n", scanned)) < 0:
            if self.stopped:
                if self.hole is not None or self.direction is Direction.CLIENT or not self._data:
                    return None
                found = len(self._data) - 1
                break
            if len(self._data) > LINE_LIMIT:
                overlong = True
                self.take(len(self._data))
            scanned = len(self._data)
            yield self._until(LINE_LIMIT + 1, b"\n")
        turn = self.index.turn_at(self._offset + found)
        text = self.take(found + 1)
        strict = text.endswith(b"\r\n")
        overlong = overlong or len(text) > LINE_LIMIT
        text = b"" if overlong else text[:-2] if strict else text.removesuffix(b"\n")
        span = _new(Span, (self.direction, start, self._offset))
        return _new(Line, (text, span, turn, strict, overlong))

    def body(self, *, strict: bool) -> Reading[Block]:
        """Read lines up to a lone dot, and undo dot-stuffing (RFC 5321, section 4.5.2; RFC 1939, section 3).

        A strict body ends only at CR LF . CR LF, so that bare line feeds inside it cannot end it early.
        """
        kept, scanned, fresh = Kept(self), 0, True
        while True:
            if fresh and (empty := _EMPTY_BODY[strict].match(self._data)):
                self.take(empty.end())
                return kept.block()
            if (end := self._body_end(scanned, strict=strict)) is not None:
                kept.take(end[0])
                self.take(end[1] - end[0])
                break
            if self.stopped:
                kept.take(len(self._data))
                kept.whole = False
                if self.hole is None:
                    break
                self.cross_hole()
                scanned, fresh = 0, False
            elif len(self._data) > MESSAGE_LIMIT + _TAIL:
                kept.take(len(self._data) - _TAIL)
                scanned, fresh = 0, False
            else:
                scanned = max(0, len(self._data) - _TAIL)
                yield self._until(MESSAGE_LIMIT + _TAIL + 1 if scanned else 1, b"\n.")
        return unstuff(kept.block(), strict=strict)

    def _body_end(self, start: int, *, strict: bool) -> tuple[int, int] | None:
        """Return where the lone dot that ends a body begins and where its line ends, from `start` on."""
        if strict:
            at = self._data.find(_STRICT_END, start)
            return (at + 2, at + len(_STRICT_END)) if at >= 0 else None
        found = _LOOSE_END.search(self._data, start)
        return (found.start() + 1, found.end()) if found else None

    def octets(self, count: int) -> Reading[Block]:
        """Read exactly `count` octets; a hole inside them counts, so that what follows keeps its place."""
        kept, left = Kept(self), count
        while left > 0:
            size = min(left, len(self._data))
            if size:
                kept.take(size)
                left -= size
            elif self.hole is not None:
                kept.whole = False
                left -= self.hole.length
                self.cross_hole()
            elif self.closed:
                kept.whole = False
                break
            else:
                yield self._until(min(left, _PIECE))
        return kept.block()

    def peek(self, count: int) -> Reading[bytes]:
        """Return the next `count` bytes without reading them; fewer where a hole or the end comes first."""
        while len(self._data) < count and not self.stopped:
            yield self._until(count)
        self.reached = max(self.reached, self._offset + count)
        return bytes(self._data[:count])

    def peek_line(self) -> Reading[tuple[bytes, float] | None]:
        """Return the next line's first bytes and its turn without reading it; None as `line` does."""
        scanned = 0
        while (found := self._data.find(b"\n", scanned)) < 0:
            if self.stopped or len(self._data) > LINE_LIMIT:
                return None
            scanned = len(self._data)
            yield self._until(LINE_LIMIT + 1, b"\n")
        self.reached = max(self.reached, self._offset + found + 1)
        return bytes(self._data[: min(found, 128)]), self.index.turn_at(self._offset + found)

    def next_turn(self) -> Reading[float]:
        """Return when the next line came, or what is there of it, or the hole in its place."""
        ahead = yield from self.peek_line()
        if ahead is not None:
            return ahead[1]
        return self.index.turn_at(self._offset) if self._data else self.hole_turn

    def resume(self, start: re.Pattern[bytes]) -> Reading[float]:
        """Go on behind a hole: at the first line if it matches `start` or is TLS, else at the next line.

        Returns:
            The turn of the hole; of several in a row, the last.
        """
        turn: float = 0
        while self.hole is not None:
            turn = self.hole_turn
            self.cross_hole()
            if TLS_RECORD.match((yield from self.peek(3))):
                break
            ahead = yield from self.peek_line()
            if ahead is None or not start.match(ahead[0]):
                yield from self.line()
        return turn

    def pass_over(self, turn: float) -> Reading[None]:
        """Drop what came up to a turn, holes included; what follows is read from its first byte on."""
        while True:
            if (yield from self.peek(1)):
                if self.index.turn_at(self._offset) > turn:
                    return
                self.take(min(len(self._data), self.index.end_of_chunk(self._offset) - self._offset))
            elif self.hole_turn > turn:
                return
            else:
                self.cross_hole()

    def drain(self) -> bytes:
        """Read all that is there, for a parser that says itself how far it needed the stream."""
        self._until(0)
        reached = self.reached
        taken = self.take(len(self._data))
        self.reached = reached
        return taken

    def take(self, size: int) -> bytes:
        """Read bytes that are known to be there."""
        with memoryview(self._data) as data:
            taken = bytes(data[:size])  # one copy; a slice of the bytearray itself would be another
        del self._data[:size]
        self._offset += size
        self.reached = max(self.reached, self._offset)
        return taken
