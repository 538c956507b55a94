"""One look at the wire: all that has crossed it, whole streams and decoded leaks, and a search in both.

Who looks is the `Follower`.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from mailtap.capture.model import Span
from mailtap.capture.transcript import transcribe
from mailtap.demo.testing.needles import needles

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from mailtap.capture.evidence import FlowIndex
    from mailtap.capture.model import Conversation, Direction, Evidence, Flow, Leak, Packet


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


class Hearing:
    """What has been heard so far. The canaries' connections are left out of everything but `packets`.

    Attributes:
        packets: what was heard, the canaries too.
        streams: both directions of each connection that carried bytes, in the order in which they began.
        leaks: what leaked, in the order seen.
    """

    def __init__(
        self,
        packets: Sequence[Packet],
        streams: Iterable[Stream],
        leaks: Iterable[Leak],
        canaries: Collection[Flow] = (),
    ) -> None:
        """Take what was heard.

        Args:
            packets: all that crossed the wire, numbered in that order.
            streams: what was said in them.
            leaks: what leaked in them.
            canaries: the connections in them that are not the client's under test.
        """
        self.packets = tuple(packets)
        self.streams = tuple(each for each in streams if each.flow not in canaries)
        self.leaks = tuple(leak for leak in leaks if leak.evidence.flow not in canaries)
        self._canaries = canaries

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
            for needle in shapes:
                for match in needle.pattern.finditer(stream.data):
                    span, here = Span(stream.direction, *match.span()), found[stream.flow]
                    if not _covered(span, here):
                        evidence = stream.index.locate((span,))
                        here[span] = Sighting(stream.direction, evidence, needle.shape)
        for leak in self.leaks:
            if _carries(leak, secret):
                spans, here = leak.evidence.spans, found[leak.evidence.flow]
                if not any(_covered(span, here) for span in spans):
                    here[spans[0]] = Sighting(spans[-1].direction, leak.evidence, "once decoded", leak)
        every = [sighting for here in found.values() for sighting in here.values()]
        return tuple(sorted(every, key=lambda each: each.evidence.packets[-1:]))


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
