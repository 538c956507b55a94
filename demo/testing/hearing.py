"""One look at the wire: all that has crossed it, whole streams and decoded leaks, and a search in both.

Who looks is the `Follower`.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING

from mailtap.capture.model import Span
from mailtap.capture.transcript import transcribe
from mailtap.demo.testing.mails import one_line
from mailtap.demo.testing.needles import LONGEST, SHORTEST, needles, needles_in_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from mailtap.capture.evidence import FlowIndex
    from mailtap.capture.model import Conversation, Direction, Evidence, Flow, Leak, Packet
    from mailtap.demo.testing.mails import HeardMail


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
        flows: each connection, in the order in which they began; those without a byte, too.
        streams: both directions of each connection that carried bytes, in the order in which they began.
        leaks: what leaked, in the order seen.
        mails: the messages, in the order seen.
    """

    def __init__(
        self,
        packets: Sequence[Packet],
        flows: Iterable[Flow],
        streams: Iterable[Stream],
        leaks: Iterable[Leak],
        mails: Iterable[HeardMail],
    ) -> None:
        """Take what was heard.

        Args:
            packets: all that crossed the wire, numbered in that order; the canaries too.
            flows: the client's connections in them.
            streams: what was said in those.
            leaks: what leaked in those.
            mails: the messages in those.
        """
        self.packets = tuple(packets)
        self.flows = tuple(flows)
        self.streams = tuple(streams)
        self.leaks = tuple(leaks)
        self.mails = tuple(mails)

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
        own = frozenset(self.flows)
        return tuple(talk for talk in talks if talk.flow in own)

    def has(self, secret: str | bytes) -> bool:
        """Return whether a text crossed the wire.

        Raises:
            SecretTooShort: it would be found by chance.
        """
        return any(True for _ in self._found(secret))

    def sightings(self, secret: str | bytes) -> tuple[Sighting, ...]:
        """Return where a text crossed the wire, each place once, in order.

        Raises:
            SecretTooShort: it would be found by chance.
        """
        return tuple(sorted(self._found(secret), key=lambda each: each.evidence.packets[-1:]))

    def _found(self, secret: str | bytes) -> Iterator[Sighting]:
        """Yield where a text crossed the wire: as sent, in what was decoded, in all that a mail shows."""
        shapes = needles(secret)
        places: defaultdict[Flow, _Places] = defaultdict(_Places)
        for stream in self.streams:
            for needle in shapes:
                for match in needle.pattern.finditer(stream.data):
                    span = Span(stream.direction, *match.span())
                    if places[stream.flow].add(span):
                        yield Sighting(stream.direction, stream.index.locate((span,)), needle.shape)
        text = secret if isinstance(secret, str) else secret.decode("utf-8", "backslashreplace")
        for evidence, leak in chain(
            ((leak.evidence, leak) for leak in self.leaks if _carries(leak, secret, text)),
            ((mail.evidence, None) for mail in self.mails if _shows(mail.texts, text)),
        ):
            if places[evidence.flow].add(*evidence.spans):
                yield Sighting(evidence.spans[-1].direction, evidence, "once decoded", leak)


class _Places:
    """Where something was found on one connection, none of it twice."""

    def __init__(self) -> None:
        self._found: dict[Direction, tuple[list[int], list[int]]] = {}

    def add(self, *spans: Span) -> bool:
        """Keep the first of some spans, unless one overlaps what was found; return whether it was kept."""
        if any(self._overlaps(span) for span in spans):
            return False
        direction, start, end = spans[0]
        starts, ends = self._found.setdefault(direction, ([], []))
        at = bisect_right(starts, start)
        starts.insert(at, start)
        ends.insert(at, end)
        return True

    def _overlaps(self, span: Span) -> bool:
        starts, ends = self._found.get(span.direction, ((), ()))
        at = bisect_left(starts, span.end)
        return at > 0 and ends[at - 1] > span.start


def _carries(leak: Leak, secret: str | bytes, text: str) -> bool:
    """Return whether a leak's decoded value, or the file that it is, holds the text."""
    attached = leak.attachment
    if _shows([one_line(leak.value.reveal())], text):
        return True
    if attached is None:
        return False
    return (attached.text is not None and _shows([one_line(attached.text)], text)) or any(
        each.pattern.search(attached.content) for each in needles(secret)
    )


def _shows(texts: Iterable[str], text: str) -> bool:
    """Return whether decoded texts hold the text, broken over lines or not, or encoded once more."""
    wanted = one_line(text[:LONGEST])
    if len(wanted.encode("utf-8", "surrogatepass")) < SHORTEST:
        return False  # there was little but white space
    for each in texts:
        if wanted in each:
            return True
        data = each.encode("utf-8", "surrogatepass")
        if any(needle.pattern.search(data) for needle in needles_in_text(wanted)):
            return True
    return False
