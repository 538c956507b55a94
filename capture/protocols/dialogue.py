"""One flow's conversation: finds out which protocol it is, then lets that parser listen."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from mailtap.capture.events import Event, HalfGivenUp, UnknownProtocol
from mailtap.capture.evidence import ByteIndex
from mailtap.capture.model import Chunk, Direction, Gap, Protocol, Span
from mailtap.capture.protocols import http, imap, pop3, proxied, smtp, tls
from mailtap.capture.protocols.detect import HINTS, SIGHT_LIMIT, Nothing, Sight, recognise
from mailtap.capture.protocols.talk import Talk

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mailtap.capture.protocols.lines import Reading, Stream

PARSERS: Mapping[Protocol, Callable[[Talk], Reading[None]]] = MappingProxyType(
    {
        Protocol.POP3: pop3.converse,
        Protocol.SMTP: smtp.converse,
        Protocol.IMAP: imap.converse,
        Protocol.HTTP: http.converse,
        Protocol.TLS: tls.converse,
    }
)
"""The registry: a new protocol is one file, one entry here and one rule in `detect`."""

PENDING_LIMIT = 4 * 1024 * 1024
"""Bytes that one direction may wait for the other, which may be missing from the capture."""


class Dialogue:
    """Listens to one flow. Feed it what either side sent, in each side's order; it returns what it heard.

    However the bytes are split, and however the two directions are interleaved, the events are the same.
    It says nothing about holes and missing halves as such: whoever feeds it knows of those.

    Attributes:
        protocol: what the flow speaks, once that is known; HTTP, once it has told of mail.
        on_the_web: whether it speaks HTTP, of mail or not.
        finished: whether nothing that may follow can tell anything more.
        client: where the client's bytes came from.
        server: where the server's bytes came from.
        reached: for each event of the last call, up to where (exclusive) the client's and the server's
            stream had to have come for it.
    """

    def __init__(self, server_port: int, *, late: bool | None = None) -> None:
        """Start listening.

        Args:
            server_port: a hint only, for flows of which one half is missing.
            late: whether the capture lacks the beginning, so that the server's first line may be any; where
                that is not known, the first lines tell.
        """
        self.protocol: Protocol | None = None
        self.client, self.server = ByteIndex(), ByteIndex()
        self._talk = Talk(server_port, self.client, self.server)
        self._parser: Reading[None] | None = None
        self._late = late
        self._waits_for: Direction | None = None
        self.on_the_web = False
        self.finished = False
        self.reached: list[tuple[int, int]] = []
        self._first: Span | None = None

    @property
    def recognised(self) -> bool:
        """Whether it is known what the flow speaks."""
        return self._parser is not None

    def feed(self, direction: Direction, item: Chunk | Gap, *more: Chunk) -> list[Event]:
        """Take the next bytes of one direction, or the news that some are missing; return what they told.

        Args:
            direction: which.
            item: a chunk or a gap.
            more: the chunks that follow it, if they are here, too.
        """
        stream = self._talk.stream(direction)
        looked_at = stream.pending if self._parser is None else 0
        if more and isinstance(item, Chunk):
            ready = stream.take_in((item, *more))
        else:
            stream.index.add(item)
            ready = stream.push(item)
            ready = (bool(more) and stream.take_in(more)) or ready
        if self.finished:
            return []
        is_gap = isinstance(item, Gap)
        if self._first is None and not is_gap:
            self._first = Span(direction, item.offset, item.offset + 1)  # however it was split
        # Most chunks are the middle of something, or stand behind what a protocol is recognised by.
        is_idle = looked_at >= SIGHT_LIMIT and not is_gap if self._parser is None else not ready
        return [] if is_idle and stream.pending <= PENDING_LIMIT else self._go_on(direction)

    def close(self, direction: Direction) -> list[Event]:
        """Say that one direction has ended; what was waiting for it is settled as best known."""
        if self.finished:
            return []
        self._talk.stream(direction).close()
        return self._go_on(direction)

    @property
    def held(self) -> int:
        """Number of bytes of memory, about, that wait for what is to follow."""
        return self._talk.client.held + self._talk.server.held + self._talk.kept

    def give_up(self) -> list[Event]:
        """Say what is known so far, and hear nothing more."""
        events = [event for direction in Direction for event in self.close(direction)]
        self._finish()
        return events

    def _go_on(self, direction: Direction) -> list[Event]:
        if self._parser is None:
            self._recognise()
        elif self._waits_for in (direction, None):
            self._step()
        if self._parser is not None:
            self._give_up_waiting()
        if not self._talk.events:
            return []
        if self.on_the_web:
            self.protocol = Protocol.HTTP
        events, self.reached = self._talk.fetch()
        return events

    def _recognise(self) -> None:
        talk = self._talk
        for waiting, other in ((talk.client, talk.server), (talk.server, talk.client)):
            if waiting.pending > PENDING_LIMIT:
                other.abandon()
        if talk.client.hole is not None and not talk.client.ahead(1):
            talk.lose_count(talk.client.hole_turn)  # the capture began late, or lost the first command
            talk.client_holes += 1
            talk.client.cross_hole()
        if talk.client.reached == 0 and not proxied.pass_over(talk.client):
            return
        client, server = _sight(talk.client), _sight(talk.server)
        verdict = recognise(client, server, talk.port)
        if verdict is None:
            return
        if isinstance(verdict, Nothing):
            lacks = self._late or client.holed or server.holed  # then that is why
            if self._talk.port in HINTS and self._first is not None and not lacks:
                self._talk.say(UnknownProtocol((self._first,)))
            self._finish()
            return
        self.protocol = verdict.protocol if verdict.protocol is not Protocol.HTTP else None
        lacks = self._late is None or client.holed or server.holed or talk.client_holes > 0
        self._talk.started_late = bool(self._late) or (verdict.late and lacks)
        self.on_the_web = verdict.protocol is Protocol.HTTP
        self._parser = PARSERS[verdict.protocol](self._talk)
        self._step()

    def _step(self) -> None:
        """Let the parser go on until it waits again."""
        if self._parser is None:
            return
        try:
            self._waits_for = next(self._parser)
        except StopIteration:
            self._finish()

    def _give_up_waiting(self) -> None:
        """Go on without a direction for which the other has waited too long."""
        while self._parser is not None and self._waits_for is not None:
            waiting = self._talk.client if self._waits_for is Direction.SERVER else self._talk.server
            if waiting.pending <= PENDING_LIMIT:
                return
            if self.protocol is None:  # other HTTP, of which nothing is said
                self._finish()
                return
            span = Span(waiting.direction, waiting.offset, waiting.offset + waiting.pending)
            waiting.reached = span.end
            self._talk.say(HalfGivenUp(self.protocol, self._waits_for, (span,)))
            self._talk.stream(self._waits_for).abandon()
            self._step()

    def _finish(self) -> None:
        """Let go of everything: the rest of the flow is of no interest."""
        self.finished = True
        self._parser = None
        said = self._talk.fetch()
        self._talk = Talk(self._talk.port, self.client, self.server)
        self._talk.client.abandon()
        self._talk.server.abandon()
        self._talk.events, self._talk.reached = said


def _sight(stream: Stream) -> Sight:
    return Sight(stream.ahead(SIGHT_LIMIT), stream.closed, stream.hole is not None)
