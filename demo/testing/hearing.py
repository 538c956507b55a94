"""One look at the wire: all that has crossed it, whole streams and decoded leaks, and a search in both."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from mailtap.capture.decode import Decoder
from mailtap.capture.evidence import ByteIndex, FlowIndex
from mailtap.capture.model import Direction, Gap, Leak, Segment, Span
from mailtap.capture.pipeline import listen
from mailtap.capture.reassembly import Reassembler
from mailtap.capture.transcript import transcribe
from mailtap.demo.testing.needles import needles

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from mailtap.capture.model import Conversation, Evidence, Flow, Packet
    from mailtap.capture.wire.connection import Connection


@dataclass(frozen=True, slots=True)
class Stream:
    """What one side of a connection said.

    Attributes:
        flow: the connection.
        direction: which side.
        data: the bytes, in order.
        index: which packet brought which.
        whole: whether no byte is missing.
    """

    flow: Flow
    direction: Direction
    data: bytes
    index: FlowIndex
    whole: bool


@dataclass(frozen=True, slots=True)
class Sighting:
    """A place where the text that was looked for crossed the wire.

    Attributes:
        direction: who said it.
        evidence: where it stands.
        shape: in which shape, for people.
        leak: the leak that carries it, where it was found in one.
    """

    direction: Direction
    evidence: Evidence
    shape: str
    leak: Leak | None = None


@dataclass(slots=True)
class _Half:
    data: bytearray = field(default_factory=bytearray)
    holes: int = 0


class Hearing:
    """What has been heard so far. The canaries' connections are left out of everything but `packets`.

    Attributes:
        packets: what was heard, the canaries too.
    """

    def __init__(self, packets: Sequence[Packet], canaries: Collection[Flow] = ()) -> None:
        """Take a recording.

        Args:
            packets: a whole capture.
            canaries: the connections in it that are not the client's under test.
        """
        self.packets = tuple(packets)
        self._canaries = frozenset(canaries)

    @cached_property
    def streams(self) -> tuple[Stream, ...]:
        """Both directions of each connection that carried bytes, in the order in which they began."""
        return tuple(each for each in streams(self.packets) if each.flow not in self._canaries)

    @cached_property
    def leaks(self) -> tuple[Leak, ...]:
        """What leaked, in the order seen."""
        heard = [item for item in listen(self.packets) if isinstance(item, Leak)]
        return tuple(leak for leak in heard if leak.evidence.flow not in self._canaries)

    @cached_property
    def leaks_of(self) -> Mapping[Flow, Sequence[Leak]]:
        """What leaked on each connection on which something did, in the order seen."""
        of: dict[Flow, list[Leak]] = {}
        for leak in self.leaks:
            of.setdefault(leak.evidence.flow, []).append(leak)
        return of

    @cached_property
    def conversations(self) -> tuple[Conversation, ...]:
        """Who said what on each connection, and where it leaked."""
        talks = transcribe(self.packets, self.leaks)
        return tuple(talk for talk in talks if talk.flow not in self._canaries)

    @cached_property
    def flows(self) -> tuple[Flow, ...]:
        """Each connection that carried bytes."""
        return tuple(dict.fromkeys(stream.flow for stream in self.streams))

    def sightings(self, secret: str | bytes) -> tuple[Sighting, ...]:
        """Return where a text crossed the wire, each place once, in order.

        Raises:
            SecretTooShort: it would be found by chance.
        """
        shapes = needles(secret)
        found: defaultdict[Flow, dict[Span, Sighting]] = defaultdict(dict)
        for stream in self.streams:
            here = found[stream.flow]
            for needle in shapes:
                for match in needle.pattern.finditer(stream.data):
                    span = Span(stream.direction, *match.span())
                    if not _covered(span, here):
                        evidence = stream.index.locate((span,))
                        here[span] = Sighting(stream.direction, evidence, needle.shape)
        for leak in self.leaks:
            spans, here = leak.evidence.spans, found[leak.evidence.flow]
            if _carries(leak, secret) and not any(_covered(span, here) for span in spans):
                here[spans[0]] = Sighting(spans[-1].direction, leak.evidence, "once decoded", leak)
        every = [sighting for here in found.values() for sighting in here.values()]
        return tuple(sorted(every, key=lambda each: each.evidence.packets[-1:]))


def streams(packets: Sequence[Packet]) -> Iterator[Stream]:
    """Yield both directions of each connection that carried bytes."""
    connections: dict[int, Connection] = {}
    halves: dict[tuple[int, Direction], _Half] = {}
    indices: dict[int, FlowIndex] = {}
    decoder, reassembler = Decoder(), Reassembler()
    heard = [
        item
        for packet in packets
        for segment in decoder.decode(packet)
        if isinstance(segment, Segment)
        for item in reassembler.feed(segment)
    ]
    for connection, direction, item in (*heard, *reassembler.close()):
        if item is None:
            continue
        connections[connection.number] = connection
        half = halves.setdefault((connection.number, direction), _Half())
        index = indices.setdefault(connection.number, FlowIndex(connection.flow, ByteIndex(), ByteIndex()))
        index.of(direction).add(item)
        # A hole keeps its room, so that offsets stay right; the tap refuses to answer over one.
        half.data += bytes(item.length) if isinstance(item, Gap) else item.data
        half.holes += isinstance(item, Gap)
    for (number, direction), half in sorted(halves.items()):
        flow = connections[number].flow
        yield Stream(flow, direction, bytes(half.data), indices[number], whole=not half.holes)


def _covered(span: Span, found: Collection[Span]) -> bool:
    """Return whether something was found already, on the same connection, that overlaps this place."""
    return any(
        place.direction is span.direction and place.start < span.end and span.start < place.end
        for place in found
    )


def _carries(leak: Leak, secret: str | bytes) -> bool:
    """Return whether a leak's decoded value, or the file that it is, holds the text."""
    text = secret if isinstance(secret, str) else secret.decode("utf-8", "backslashreplace")
    attached = leak.attachment
    if text in leak.value.reveal() or (attached and text in (attached.text or "")):
        return True
    return bool(attached and any(each.pattern.search(attached.content) for each in needles(secret)))
