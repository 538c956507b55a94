"""Cuts what a client sends into lines, with a bound on how much is kept."""

from __future__ import annotations

from typing import NamedTuple


class Line(NamedTuple):
    """One line without its line end, or the news that one was too long and was thrown away."""

    data: bytes
    too_long: bool


class LineBuffer:
    """Bytes in, lines out. A line ends with CRLF or, as people type it, with LF alone.

    Attributes:
        discarded: octets of the unfinished line that were thrown away because it is too long.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()
        self.discarded = 0

    def feed(self, data: bytes) -> None:
        """Take what arrived."""
        self._buffer += data

    def clear(self) -> None:
        """Forget everything (RFC 2595, section 4: what came before TLS must not count after it)."""
        self._buffer.clear()
        self.discarded = 0

    def next_line(self, limit: int) -> Line | None:
        """Return the next line, or None until there is one.

        Args:
            limit: the longest line to accept, in octets with its line end.
        """
        end = self._buffer.find(b"\n")
        if end < 0:
            if self.discarded or len(self._buffer) > limit:
                self.discarded += len(self._buffer)
                self._buffer.clear()
            return None
        too_long = self.discarded > 0 or end + 1 > limit
        line = b"" if too_long else bytes(self._buffer[:end]).removesuffix(b"\r")
        del self._buffer[: end + 1]
        self.discarded = 0
        return Line(line, too_long)

    def next_octets(self, count: int) -> bytes | None:
        """Return exactly so many octets, whatever they are, or None until they are there."""
        if len(self._buffer) < count:
            return None
        octets = bytes(self._buffer[:count])
        del self._buffer[:count]
        return octets
