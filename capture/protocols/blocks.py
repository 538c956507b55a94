"""Bodies and runs of octets, as they are collected from a stream."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from mailtap.capture.model import Span

if TYPE_CHECKING:
    from mailtap.capture.protocols.lines import Stream

MESSAGE_LIMIT = 64 * 1024 * 1024
"""Longest message kept, in bytes."""

_DOTS_LIMIT = 1_000  # stuffed dots in one message whose places are kept


class Block(NamedTuple):
    """A body or a run of octets.

    Attributes:
        data: the bytes; what came before the first hole or the limit where there was one.
        spans: the bytes of the stream that `data` was made from, stuffed dots left out where they are few.
        whole: whether nothing is missing.
        limited: whether `MESSAGE_LIMIT` cut it.
    """

    data: bytes
    spans: tuple[Span, ...]
    whole: bool
    limited: bool


class Kept:
    """What a body or a run of octets has collected: everything before its first hole, up to the limit."""

    __slots__ = ("_limited", "_others", "_pieces", "_start", "_stream", "size", "whole")

    def __init__(self, stream: Stream) -> None:
        self.whole = True
        self.size = 0
        self._stream = stream
        self._others = stream.kept
        self._start = stream.offset
        self._pieces: list[bytes] = []
        self._limited = False

    def take(self, size: int) -> None:
        """Read `size` bytes, and keep them where they still belong."""
        taken = self._stream.take(size)
        if self.whole and not self._limited:
            room = MESSAGE_LIMIT - self.size
            self._limited = size > room
            self._pieces.append(taken[:room] if self._limited else taken)
            self.size += min(size, room)
            self._stream.kept = self._others + self.size

    def block(self) -> Block:
        """Return what was kept."""
        self._stream.kept = self._others
        span = Span(self._stream.direction, self._start, self._start + self.size)
        whole = self.whole and not self._limited
        return Block(b"".join(self._pieces), (span,), whole, self._limited)


def unstuff(block: Block, *, strict: bool) -> Block:
    """Take the first of the dots that begin a line away, from the data and from its spans."""
    mark = b"\r\n." if strict else b"\n."
    dots = [0] if block.data.startswith(b".") else []
    at = block.data.find(mark)
    while at >= 0:
        dots.append(at + len(mark) - 1)
        if len(dots) > _DOTS_LIMIT:
            return block._replace(data=block.data[block.data.startswith(b".") :].replace(mark, mark[:-1]))
        at = block.data.find(mark, at + len(mark))
    if not dots:
        return block
    runs = list(zip([0, *(dot + 1 for dot in dots)], [*dots, len(block.data)], strict=True))
    data = b"".join(block.data[start:end] for start, end in runs)
    (whole,) = block.spans
    at = whole.start
    spans = tuple(Span(whole.direction, at + start, at + end) for start, end in runs if start < end)
    return block._replace(data=data, spans=spans or block.spans)
