"""Join the stages: packets -> segments -> chunks -> protocol events -> leaks."""

from __future__ import annotations

from operator import itemgetter
from typing import TYPE_CHECKING, NamedTuple

from mailtap.capture import silence
from mailtap.capture.decode import Decoder
from mailtap.capture.ear import Ear
from mailtap.capture.events import MessageSeen, ServerNameSeen
from mailtap.capture.leaks import read_event
from mailtap.capture.model import Chunk, Direction, Leak, Mail, Note, Packet
from mailtap.capture.reassembly import Reassembler
from mailtap.capture.wire.clock import Clock
from mailtap.capture.wire.connection import Gathered

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from mailtap.capture.events import Event
    from mailtap.capture.model import Flow, Segment
    from mailtap.capture.wire.connection import Heard

_BOTH = len(Direction)
_MOST_HELD = 128 << 20  # twice the largest message
_WEIGHINGS = 128  # times that it is looked at what is held, while as much as may be held is heard
_MOST_FLOWS = 1 << 16


class _Known(NamedTuple):
    """What is known and not told yet.

    Attributes:
        moment: number of the packet that made it known, or a half less where only its time did.
        said: an event of a flow, or a note.
        ear: what heard the event.
    """

    moment: float
    said: Event | Note
    ear: Ear | None = None


class Listener:
    """Listens to the packets of one capture; leaks come out as soon as they are known.

    Attributes:
        flows: the flows in which mail was heard or expected and that have ended, in that order; the
            first 65,536 of them.
        told_at: number of the packet that made known what was told last, or a half less where its time did.
        told_of: number of the flow that it was heard in; 0 for a note.
    """

    def __init__(
        self,
        on_mail: Callable[[Mail], None] | None = None,
        *,
        logins_only: bool = False,
        most_held: int = _MOST_HELD,
        admits: Callable[[Segment], bool] | None = None,
    ) -> None:
        """Start listening.

        Args:
            on_mail: called with each message, before its leaks are returned.
            logins_only: whether to pass over messages and the names of TLS servers.
            most_held: how many bytes of what is not complete may wait in all flows together.
            admits: says of the first segment of a connection whether to hear it; None for all of them.
        """
        self._on_mail = on_mail
        self._most_held = most_held
        self._most_unweighed = most_held // _WEIGHINGS
        self._unweighed = 0  # bytes heard since it was last looked at what is held
        self._logins_only = logins_only
        self.flows: list[Flow] = []
        self._messages = 0
        self._others = self._empty = 0
        self._excused = False  # whether the source itself said what is wrong
        clock = Clock()
        self._decoder = Decoder(clock)
        self._admits = admits
        self._reassembler = Reassembler(admits=self._admit, clock=clock)
        self._ears: dict[int, Ear] = {}
        self._together = False  # whether flows may be heard later than they speak
        self._moment: float = 0  # number of the latest packet that was heard
        self._known: list[_Known] = []
        self.told_at: float = 0
        self.told_of = 0

    @property
    def sums(self) -> silence.Sums:
        """What was counted so far."""
        return silence.Sums(
            last=self._reassembler.packet,
            strange=self._decoder.strange,
            excused=self._excused,
            others=self._others,
            empty=self._empty,
            crowded_out=self._reassembler.crowded_out,
        )

    def feed(self, packet: Packet | Note) -> list[Leak | Note]:
        """Return what is known now that this packet was heard; a note, as a source gives, is passed on."""
        return list(self.hear((packet,)))

    def hear(self, packets: Iterable[Packet | Note]) -> Iterator[Leak | Note]:
        """Yield what becomes known as these packets are heard, before more of them are asked for."""
        for heard in self._reassembler.chunks(self._decoder.segments(packets)):
            self._take(heard)
            if self._unweighed > self._most_unweighed:
                yield from self._relieve()
            if self._known:
                yield from self._tell()

    def hear_together(self, packets: Iterable[Packet | Note]) -> Iterator[Leak | Note]:
        """Yield the same in the same order, but only when all these packets were heard.

        That costs less: what a flow says in many packets is read at once.
        """
        self._together = True
        for heard in self._reassembler.chunks(self._decoder.segments(packets)):
            self._take(heard)
            if self._unweighed > self._most_unweighed:
                yield from self._relieve()
        self._together = False
        yield from self._tell()

    def close(self) -> list[Leak | Note]:
        """Return what is known now that the capture has ended."""
        return [*self.end(), *silence.of_capture(self.sums)]

    def end(self) -> Iterator[Leak | Note]:
        """Yield what is known of the flows now that the capture has ended."""
        for heard in self._reassembler.close():
            self._take(heard)
        yield from self._tell()

    def _admit(self, segment: Segment) -> bool:
        """Return whether to hear the connection that begins with this segment."""
        if self._admits is None or self._admits(segment):
            return True
        self._decoder.ignore(segment.ends)
        return False

    def _take(self, heard: Heard | Gathered | Note) -> None:
        """Let a flow's ear hear, and keep what it understood."""
        if isinstance(heard, Note):
            self._excused = self._excused or heard.damage
            self._know(heard, max(heard.packets, default=self._moment))
            return
        connection = heard[0]
        ear = self._ears.get(connection.number)
        if ear is None:
            if connection.muted:
                return  # nobody wanted to hear more of it while this was on its way
            ear = self._ears[connection.number] = Ear(connection)
        if isinstance(heard, Gathered):
            self._moment = connection.last_packet
            self._unweighed += heard.size
            for moment, event in ear.hear_together(heard):
                self._know(event, moment, ear)
        else:
            _, direction, item = heard
            self._moment = self._reassembler.packet
            if isinstance(item, Chunk):
                self._moment = max(self._moment, item.packet)
                self._unweighed += len(item.data)
            for event in ear.hear(direction, item):
                self._know(event, self._moment, ear)
        self._look_after(ear)

    def _look_after(self, ear: Ear) -> None:
        """Decide how a flow is to be heard further, if it is."""
        dialogue = ear.dialogue
        if ear.ended == _BOTH:
            self._farewell(ear)
        elif not dialogue.finished:
            ear.connection.gathers = self._together and dialogue.recognised
        elif dialogue.protocol is None:
            self._reassembler.mute(ear.connection)
            self._decoder.ignore(ear.connection.ends)
            self._farewell(ear)

    def _know(self, said: Event | Note, moment: float, ear: Ear | None = None) -> None:
        """Keep what is known until it is told."""
        self._known.append(_Known(moment, said, ear))
        if ear is not None:
            ear.told = True

    def _tell(self) -> Iterator[Leak | Note]:
        """Yield what is known, in the order in which it became known, and forget it."""
        known, self._known = self._known, []
        known.sort(key=itemgetter(0))
        for moment, said, ear in known:
            self.told_at, self.told_of = moment, 0
            if isinstance(said, Note):
                yield said
            elif ear is not None:
                yield from self._leaks(said, ear)

    def _leaks(self, event: Event, ear: Ear) -> Iterator[Leak | Note]:
        """Yield what an event leaks."""
        self.told_of = ear.connection.number
        if isinstance(event, MessageSeen):
            self._messages += event.is_heard
            self._hand_out(event)
        if not (self._logins_only and isinstance(event, MessageSeen | ServerNameSeen)):
            yield from read_event(event, ear.index.locate, self._messages)

    def _relieve(self) -> Iterator[Leak | Note]:
        """Keep what all flows hold within its bound: those that hold most are given up, and told one by one.

        What one of them turns out to have said may take many times what it held.
        """
        self._unweighed = 0
        held = sum(ear.dialogue.held for ear in self._ears.values())
        if held <= self._most_held:
            return
        yield from self._tell()
        ears = sorted(self._ears.values(), key=lambda ear: ear.dialogue.held)
        while held > self._most_held:
            ear = ears.pop()
            held -= ear.dialogue.held
            protocol = ear.dialogue.protocol
            for event in ear.dialogue.give_up():
                self._know(event, self._moment, ear)
            note = silence.of_surfeit(ear.connection.flow, protocol, ear.index.last_packet())
            self._know(note, self._moment)
            yield from self._tell()

    def _hand_out(self, event: MessageSeen) -> None:
        """Give a message to who wants to keep it."""
        if self._on_mail is not None and event.content is not None:
            self._on_mail(Mail(number=self._messages, content=event.content.data, whole=event.whole))

    def _farewell(self, ear: Ear) -> None:
        """Say what there is to say of a flow, and forget it."""
        del self._ears[ear.connection.number]
        if not ear.said:
            self._empty += ear.is_mail
        elif not ear.is_mail:
            self._others += 1
        else:
            if len(self.flows) < _MOST_FLOWS:
                self.flows.append(ear.connection.flow)
            protocol = ear.dialogue.protocol
            for note in silence.of_connection(ear.connection, protocol, ear.holes, told=ear.told):
                self._know(note, self._moment)


def listen(
    packets: Iterable[Packet | Note],
    on_mail: Callable[[Mail], None] | None = None,
    *,
    logins_only: bool = False,
) -> Iterator[Leak | Note]:
    """Yield the leaks and notes in a capture, as soon as they are known.

    Args:
        packets: the packets of one capture, in the order in which they were captured; notes among them
            are passed on.
        on_mail: called with each message, before its leaks are yielded.
        logins_only: whether to pass over messages and the names of TLS servers.
    """
    listener = Listener(on_mail, logins_only=logins_only)
    yield from listener.hear(packets)
    yield from listener.close()
