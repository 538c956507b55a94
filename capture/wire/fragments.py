"""Put fragmented IP datagrams together (RFC 791, section 3.2; RFC 8200, section 4.5).

Each fragment stays a piece of its own, so that a byte is still known by the packet that brought it.
"""

from __future__ import annotations

from collections import OrderedDict
from operator import attrgetter
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

_MOST_DATAGRAMS = 1024
_MOST_BYTES = 8 << 20
_MOST_PIECES = 2_048  # of one datagram: the smallest link makes 1,366 of the largest (RFC 791, section 3.2)
_LONGEST = 0xFFFF
_PATIENCE_NS = 30_000_000_000  # RFC 791 asks for 15 seconds, RFC 8200, section 4.5 for 60
_MOST_REMEMBERED = 256  # whole datagrams, of which repetitions are known as such
_MOST_PIECES_REMEMBERED = 64


class Fragment(NamedTuple):
    """A piece of a datagram's payload; `more` says whether others follow it."""

    offset: int
    data: bytes
    more: bool
    packet: int
    time_ns: int


class _Datagram:
    """A datagram that is not whole yet.

    Attributes:
        since_ns: when its first piece came.
        parts: its pieces, in the order in which they came.
        size: number of bytes in them.
    """

    __slots__ = ("_end", "_longest", "parts", "since_ns", "size")

    def __init__(self, since_ns: int) -> None:
        self.since_ns = since_ns
        self.parts: list[Fragment] = []
        self.size = 0
        self._longest: dict[int, int] = {}  # by the offset at which pieces begin
        self._end: int | None = None

    def add(self, fragment: Fragment) -> tuple[Fragment, ...]:
        """Add a piece, unless it brings nothing new; return the pieces in order, if they are whole now."""
        size = len(fragment.data)
        if self._longest.get(fragment.offset, -1) >= size:
            return ()
        self._longest[fragment.offset] = size
        self.parts.append(fragment)
        self.size += size
        if self._end is None and not fragment.more:
            self._end = fragment.offset + size
        return () if self._end is None or self.size < self._end else self._joined(self._end)

    def _joined(self, last: int) -> tuple[Fragment, ...]:
        """Return the pieces up to `last` in order and without overlap, or nothing while some are missing."""
        whole: list[Fragment] = []
        end = 0
        for part in sorted(self.parts, key=attrgetter("offset")):
            if part.offset > end:
                return ()
            rest = part.data[end - part.offset : last - part.offset]
            if rest:
                whole.append(part._replace(offset=end, data=rest))
                end += len(rest)
        return tuple(whole) if end == last else ()


class Fragments:
    """The datagrams that are not whole yet, and a bound on them.

    Attributes:
        given_up: number of datagrams dropped at the bound.
    """

    def __init__(self) -> None:
        self.given_up = 0
        self._waiting: dict[bytes, _Datagram] = {}
        self._whole: OrderedDict[bytes, frozenset[tuple[int, int]]] = OrderedDict()
        self._bytes = 0

    def add(self, datagram: bytes, fragment: Fragment) -> tuple[Fragment, ...]:
        """Return the whole datagram in pieces, in order and without overlap, once it is complete.

        Args:
            datagram: what tells the datagram from others: addresses, protocol and identification.
            fragment: the piece that came; of bytes that come twice, the first copy counts.
        """
        if fragment.offset + len(fragment.data) > _LONGEST:
            return ()
        if _mark(fragment) in self._whole.get(datagram, ()):
            return ()
        waiting = self._waiting.get(datagram)
        if waiting is not None and abs(fragment.time_ns - waiting.since_ns) > _PATIENCE_NS:
            self._forget(datagram)  # another datagram, later, that is numbered like it
            waiting = None
        if waiting is None:
            waiting = self._waiting[datagram] = _Datagram(fragment.time_ns)
        before = waiting.size
        whole = waiting.add(fragment)
        self._bytes += waiting.size - before
        if whole:
            self._forget(datagram)
            self._remember(datagram, waiting.parts)
        elif len(waiting.parts) > _MOST_PIECES:
            self._give_up(datagram)
        while len(self._waiting) > _MOST_DATAGRAMS or self._bytes > _MOST_BYTES:
            self._give_up(next(iter(self._waiting)))
        return whole

    def _remember(self, datagram: bytes, parts: Sequence[Fragment]) -> None:
        """Remember the pieces of a whole datagram, where they are few."""
        self._whole.pop(datagram, None)
        if len(parts) <= _MOST_PIECES_REMEMBERED:
            self._whole[datagram] = frozenset(map(_mark, parts))
        if len(self._whole) > _MOST_REMEMBERED:
            self._whole.popitem(last=False)

    def _give_up(self, datagram: bytes) -> None:
        """Wait no longer for the rest of a datagram."""
        self._forget(datagram)
        self.given_up += 1

    def _forget(self, datagram: bytes) -> None:
        """Drop the pieces of a datagram."""
        self._bytes -= self._waiting.pop(datagram).size


def _mark(fragment: Fragment) -> tuple[int, int]:
    """Return what tells a piece from others of its datagram, in little memory."""
    return fragment.offset, hash(fragment.data)
