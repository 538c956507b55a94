"""Put fragmented IP datagrams together (RFC 791, section 3.2; RFC 8200, section 4.5).

Each fragment stays a piece of its own, so that a byte is still known by the packet that brought it.
"""

from __future__ import annotations

from typing import NamedTuple

_MOST_DATAGRAMS = 1024
_MOST_BYTES = 8 << 20
_LONGEST = 0xFFFF


class Fragment(NamedTuple):
    """A piece of a datagram's payload; `more` says whether others follow it."""

    offset: int
    data: bytes
    more: bool
    packet: int
    time_ns: int


class Fragments:
    """The datagrams that are not whole yet, and a bound on them.

    Attributes:
        given_up: number of datagrams dropped at the bound.
    """

    def __init__(self) -> None:
        self.given_up = 0
        self._waiting: dict[bytes, list[Fragment]] = {}
        self._bytes = 0

    def add(self, datagram: bytes, fragment: Fragment) -> tuple[Fragment, ...]:
        """Return the whole datagram in pieces, in order and without overlap, once it is complete.

        Args:
            datagram: what tells the datagram from others: addresses, protocol and identification.
            fragment: the piece that came; of bytes that come twice, the first copy counts.
        """
        if fragment.offset + len(fragment.data) > _LONGEST:
            return ()
        parts = self._waiting.setdefault(datagram, [])
        if any(part.offset == fragment.offset and len(part.data) >= len(fragment.data) for part in parts):
            return ()
        parts.append(fragment)
        self._bytes += len(fragment.data)
        if whole := _joined(parts):
            self._forget(datagram)
            return whole
        while len(self._waiting) > _MOST_DATAGRAMS or self._bytes > _MOST_BYTES:
            self._forget(next(iter(self._waiting)))
            self.given_up += 1
        return ()

    def _forget(self, datagram: bytes) -> None:
        """Drop the pieces of a datagram."""
        self._bytes -= sum(len(part.data) for part in self._waiting.pop(datagram))


def _joined(parts: list[Fragment]) -> tuple[Fragment, ...]:
    """Return the pieces in order and without overlap, or nothing while some are missing."""
    last = [part.offset + len(part.data) for part in parts if not part.more]
    if not last or sum(len(part.data) for part in parts) < last[0]:
        return ()
    whole: list[Fragment] = []
    end = 0
    for part in sorted(parts, key=lambda part: part.offset):
        if part.offset > end:
            return ()
        rest = part.data[end - part.offset : last[0] - part.offset]
        if rest:
            whole.append(part._replace(offset=end, data=rest))
            end += len(rest)
    return tuple(whole) if end == last[0] else ()
