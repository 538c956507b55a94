"""Cuts one direction of a connection into utterances: text lines, TLS records, holes."""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass

from mailtap.capture.model import Chunk, Direction, Gap, LineKind, Span, Utterance
from mailtap.capture.records import HEADER, Namer, octets

_LONGEST = 65_536
_RECORD_KEPT = 4_096
_CLIENT_OR_SERVER_HELLO = re.compile(rb"\x16\x03[\x00-\x04]..[\x01\x02]\x00", re.DOTALL)
_RECORD = re.compile(rb"[\x14-\x18]\x03[\x00-\x04]")
_UNPRINTABLE = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")


@dataclass(frozen=True, slots=True, order=True)
class Moment:
    """When something crossed the wire: the number of its chunk in the connection, and its offset."""

    chunk: int
    offset: int


class Cutter:
    """One direction. `feed` it in order; `said` then holds what was said, with the moment it began."""

    def __init__(self, direction: Direction) -> None:
        self.said: list[tuple[Moment, Utterance]] = []
        self.bytes = 0
        self.holes = 0
        self._direction = direction
        self._data = bytearray()
        self._offset = 0
        self._arrivals: list[tuple[int, int, int, int]] = []  # offset, chunk, packet, time
        self._names: Namer | None = None

    def feed(self, number: int, item: Chunk | Gap) -> None:
        """Take the next bytes or hole; `number` counts both directions' items together."""
        if isinstance(item, Gap):
            self.flush()
            self.holes += 1
            self._arrivals = [(item.offset, number, item.packet, item.time_ns)]
            self._say(
                LineKind.GAP, b"", item.offset, item.offset + item.length, f"{octets(item.length)} missing"
            )
            self._arrivals = []
            return
        if not self._data:
            self._offset = item.offset
            self._arrivals = []
        self._arrivals.append((item.offset, number, item.packet, item.time_ns))
        self._data += item.data
        self.bytes += len(item.data)
        while self._cut():
            pass

    def flush(self) -> None:
        """Say all that is there, complete or not: nothing will follow, or nothing that belongs to it."""
        if self._data and self._names is not None:
            data = bytes(self._data[:_RECORD_KEPT])
            text = f"TLS, {octets(len(self._data))} of a record"
            self._say(LineKind.TLS, data, self._offset, self._offset + len(self._data), text)
            self._drop(len(self._data))
        elif self._data:
            self._take(len(self._data))

    def _cut(self) -> bool:
        """Say the next utterance if it is complete."""
        if self._names is None and _CLIENT_OR_SERVER_HELLO.match(self._data):
            self._names = Namer()
        if self._names is not None:
            return self._cut_record(self._names)
        if self._data[:1] == b"\x16" and len(self._data) < HEADER + 2:
            return False
        end = self._data.find(b"\n") + 1
        if not end and len(self._data) >= _LONGEST:
            end = _LONGEST
        if end:
            self._take(end)
        return bool(end)

    def _cut_record(self, names: Namer) -> bool:
        if len(self._data) < HEADER:
            return False
        length = int.from_bytes(self._data[3:5], "big")
        if not _RECORD.match(self._data):
            self.flush()
            return False
        if len(self._data) < HEADER + length:
            return False
        data = bytes(self._data[: min(HEADER + length, _RECORD_KEPT)])
        self._say(LineKind.TLS, data, self._offset, self._offset + HEADER + length, names.name(data, length))
        self._drop(HEADER + length)
        return True

    def _take(self, size: int) -> None:
        line = bytes(self._data[:size])
        kind = LineKind.BINARY if _UNPRINTABLE.search(line) else LineKind.TEXT
        self._say(kind, line.removesuffix(b"\n").removesuffix(b"\r"), self._offset, self._offset + size)
        self._drop(size)

    def _drop(self, size: int) -> None:
        del self._data[:size]
        self._offset += size
        passed = bisect_right(self._arrivals, self._offset, key=lambda arrival: arrival[0]) - 1
        del self._arrivals[: max(passed, 0)]

    def _say(self, kind: LineKind, data: bytes, start: int, end: int, description: str = "") -> None:
        arrivals = [arrival for arrival in self._arrivals if arrival[0] < end]
        _, chunk, _, time_ns = arrivals[0]
        utterance = Utterance(
            direction=self._direction,
            kind=kind,
            span=Span(self._direction, start, end),
            data=data,
            packets=tuple(sorted({packet for _, _, packet, _ in arrivals})),
            time_ns=time_ns,
            description=description,
        )
        self.said.append((Moment(chunk, start), utterance))
