"""Tells a capture as conversations: who said what on each connection, and where it leaked."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import replace
from typing import TYPE_CHECKING

from mailtap.capture.decode import Decoder
from mailtap.capture.model import OTHER, Conversation, Direction, Field, Segment, Utterance
from mailtap.capture.protocols import Dialogue
from mailtap.capture.reassembly import Reassembler
from mailtap.capture.utterances import Cutter

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mailtap.capture.model import Chunk, Gap, Leak, Packet, Span
    from mailtap.capture.wire.connection import Connection

Mark = tuple[int, int, Field]


def transcribe(packets: Iterable[Packet], leaks: Iterable[Leak]) -> tuple[Conversation, ...]:
    """Return every connection that carried bytes, in the order in which they began.

    Args:
        packets: a whole capture.
        leaks: what was heard in it; the utterances that carried it are marked.
    """
    records: dict[int, _Record] = {}
    reassembler, decoder = Reassembler(), Decoder()
    for packet in packets:
        for segment in decoder.decode(packet):
            if isinstance(segment, Segment):
                _keep(records, reassembler.feed(segment))
    ended = {number for number, record in records.items() if record.ended}
    _keep(records, reassembler.close())
    spans: dict[int, list[tuple[Span, Field]]] = {}
    for leak in leaks:
        found = spans.setdefault(leak.evidence.flow.number, [])
        found += [(span, leak.field) for span in leak.evidence.spans]
    return tuple(
        records[number].conversation(spans.get(number, []), ended=number in ended)
        for number in sorted(records)
    )


def _keep(
    records: dict[int, _Record], heard: Iterable[tuple[Connection, Direction, Chunk | Gap | None]]
) -> None:
    for connection, direction, item in heard:
        if connection.number in records or item is not None:
            record = records.setdefault(connection.number, _Record(connection))
            record.hear(direction, item)


class _Record:
    """What was said on one connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._dialogue = Dialogue(connection.flow.server.port, late=not connection.opened)
        self._cutters = {direction: Cutter(direction) for direction in Direction}
        self._count = 0
        self._ends = 0

    @property
    def ended(self) -> bool:
        """Return whether both directions have ended, by FIN or by RST (RFC 9293, section 3.6)."""
        return self._ends == len(Direction)

    def hear(self, direction: Direction, item: Chunk | Gap | None) -> None:
        """Take the next thing that one direction said; None is its end."""
        if item is None:
            self._ends += 1
            self._cutters[direction].flush()
            self._dialogue.close(direction)
        else:
            if self._dialogue.on_the_web:  # a content needs no line end: what ends it is the answer
                self._cutters[OTHER[direction]].flush()
            self._count += 1
            self._cutters[direction].feed(self._count, item)
            self._dialogue.feed(direction, item)

    def conversation(self, leaks: Sequence[tuple[Span, Field]], *, ended: bool) -> Conversation:
        """Return the finished conversation.

        Args:
            leaks: the spans to mark.
            ended: whether the capture shows its end.
        """
        client, server = self._cutters[Direction.CLIENT], self._cutters[Direction.SERVER]
        marks = _marks([utterance for _, utterance in client.said + server.said], leaks)
        said = sorted(client.said + server.said, key=lambda each: each[0])
        return Conversation(
            flow=self._connection.flow,
            protocol=self._dialogue.protocol,
            utterances=tuple(
                replace(utterance, marks=tuple(sorted(marks[utterance.span]))) for _, utterance in said
            ),
            complete=self._connection.opened and ended and not client.holes + server.holes,
            client_bytes=client.bytes,
            server_bytes=server.bytes,
        )


def _marks(said: Sequence[Utterance], leaks: Sequence[tuple[Span, Field]]) -> dict[Span, set[Mark]]:
    """Return for each utterance's span which parts of its data the leaks cover."""
    marks: dict[Span, set[Mark]] = {utterance.span: set() for utterance in said}
    for direction in Direction:
        lines = sorted(
            (each for each in said if each.direction is direction), key=lambda each: each.span.start
        )
        starts = [line.span.start for line in lines]
        for span, field in leaks:
            if span.direction is not direction:
                continue
            first = max(bisect_right(starts, span.start) - 1, 0)
            for line in lines[first : bisect_right(starts, span.end - 1)]:
                low = max(span.start - line.span.start, 0)
                high = min(span.end - line.span.start, len(line.data))
                if low < high:
                    marks[line.span].add((low, high, field))
    return marks
