"""Bytes that come as they come, from a file or a pipe, given out as whole records."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

from mailtap.capture.language import N_

if TYPE_CHECKING:
    from collections.abc import Callable

READ_SIZE = 1 << 20
GZIP_MAGIC = b"\x1f\x8b"
_GZIP_WINDOW = 31  # zlib's number for "a gzip member with a window of up to 32 KiB"


class ByteStream:
    """A window on a stream of bytes, moved forward by its reader and refilled on demand.

    Attributes:
        data: the bytes read and not yet passed, and some that were.
        at: position in `data` of the next byte.
    """

    __slots__ = ("_before", "_take", "at", "data")

    def __init__(self, take: Callable[[int], bytes]) -> None:
        """Read through `take`, which returns at most so many bytes, and none only at the end."""
        self._take = take
        self._before = 0
        self.data = b""
        self.at = 0

    @property
    def offset(self) -> int:
        """Return the position of the next byte in the whole stream."""
        return self._before + self.at

    @property
    def left(self) -> int:
        """Return how many bytes are at hand without reading more."""
        return len(self.data) - self.at

    def need(self, count: int) -> bool:
        """Return whether the next `count` bytes are at hand in `data`, having read as much as that takes."""
        if len(self.data) - self.at >= count:
            return True
        parts = [self.data[self.at :]]
        have = len(parts[0])
        while have < count and (more := self._take(READ_SIZE)):
            parts.append(more)
            have += len(more)
        self._before += self.at
        self.data = b"".join(parts)
        self.at = 0
        return have >= count

    def skip(self, count: int) -> bool:
        """Pass over `count` bytes without keeping them; return whether there were as many."""
        while count > self.left:
            count -= self.left
            self.at = len(self.data)
            if not self.need(1):
                return False
        self.at += count
        return True


class Gunzip:
    """The contents of a gzip stream (RFC 1952), member after member.

    Attributes:
        damage: what is wrong with the stream, a message with `{offset}`; empty while nothing is.
    """

    def __init__(self, take: Callable[[int], bytes], start: bytes) -> None:
        """Unpack `start` and what `take` returns after it."""
        self._take = take
        self._packed = start
        self._came = len(start)
        self._member = zlib.decompressobj(_GZIP_WINDOW)
        self.damage = ""

    @property
    def offset(self) -> int:
        """Return the position in the packed stream up to which it was unpacked."""
        return self._came - len(self._packed)

    def __call__(self, size: int) -> bytes:
        """Return up to `size` unpacked bytes, none only at the end or where the stream is damaged."""
        while not self.damage:
            if self._member.eof and not self._next_member(size):
                break
            if not self._packed and not self._more(size):
                self.damage = N_("The gzip data is cut short at byte {offset}.")
                return self._member.flush()
            try:
                unpacked = self._member.decompress(self._packed, size)
            except zlib.error:
                self.damage = N_("The gzip data is corrupt at or after byte {offset}.")
                break
            self._packed = self._member.unused_data if self._member.eof else self._member.unconsumed_tail
            if unpacked:
                return unpacked
        return b""

    def _next_member(self, size: int) -> bool:
        """Begin the next member, if there is one; zeros between members are padding."""
        while not (packed := self._packed.lstrip(b"\0")):
            if not self._more(size):
                return False
        self._packed = packed
        self._member = zlib.decompressobj(_GZIP_WINDOW)
        return True

    def _more(self, size: int) -> bool:
        """Read more packed bytes; return whether there were any."""
        self._packed = self._take(size)
        self._came += len(self._packed)
        return bool(self._packed)
