"""Join the stages: packets -> segments -> chunks -> protocol events -> leaks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mailtap.capture import silence
from mailtap.capture.decode import Decoder
from mailtap.capture.events import MessageSeen, ServerNameSeen
from mailtap.capture.evidence import FlowIndex
from mailtap.capture.leaks import read_event
from mailtap.capture.model import Chunk, Direction, Gap, Leak, Mail, Note, Packet
from mailtap.capture.protocols import Dialogue
from mailtap.capture.reassembly import Reassembler

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from mailtap.capture.events import Event
    from mailtap.capture.model import Flow
    from mailtap.capture.wire.connection import Connection, Heard

_BOTH = len(Direction)
_MOST_HELD = 128 << 20  # twice the largest message
_MOST_FLOWS = 1 << 16
_MAIL_PORTS = frozenset((25, 110, 143, 465, 587, 993, 995))


class _Ear:
    """What listens to one flow, and what it will have to say of the flow at its end."""

    __slots__ = ("connection", "dialogue", "ended", "holes", "index", "said", "told")

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.dialogue = Dialogue(connection.flow.server.port)
        self.index = FlowIndex(connection.flow)
        self.holes: dict[Direction, silence.Holes] = {}
        self.ended = 0
        self.said = self.told = False  # whether a byte crossed, and whether it meant anything

    def hear(self, direction: Direction, item: Chunk | Gap) -> list[Event]:
        """Return what the next bytes of one direction tell."""
        index = self.index.of(direction)
        if isinstance(item, Gap):
            self.holes.setdefault(direction, silence.Holes()).add(item, self.index.last_packet())
        index.add(item)
        self.said = True
        return self.dialogue.feed(direction, item)

    def end(self, direction: Direction) -> list[Event]:
        """Return what the end of one direction tells."""
        self.ended += 1
        return self.dialogue.close(direction)

    @property
    def is_mail(self) -> bool:
        """Return whether the flow spoke a mail protocol, or came to a mail port."""
        return self.dialogue.protocol is not None or self.connection.flow.server.port in _MAIL_PORTS


class Listener:
    """Listens to the packets of one capture; leaks come out as soon as they are known.

    Attributes:
        flows: the flows in which mail was heard or expected and that have ended, in that order; the
            first 65,536 of them.
    """

    def __init__(
        self,
        on_mail: Callable[[Mail], None] | None = None,
        *,
        logins_only: bool = False,
        most_held: int = _MOST_HELD,
    ) -> None:
        """Start listening.

        Args:
            on_mail: called with each message, before its leaks are returned.
            logins_only: whether to pass over messages and the names of TLS servers.
            most_held: how many bytes of what is not complete may wait in all flows together.
        """
        self._on_mail = on_mail
        self._most_held = most_held
        self._unweighed = 0  # bytes heard since it was last looked at what is held
        self._logins_only = logins_only
        self.flows: list[Flow] = []
        self._messages = 0
        self._others = self._empty = 0
        self._excused = False  # whether the source itself said what is wrong
        self._decoder = Decoder()
        self._reassembler = Reassembler()
        self._ears: dict[int, _Ear] = {}

    def feed(self, packet: Packet | Note) -> list[Leak | Note]:
        """Return what is known now that this packet was heard; a note, as a source gives, is passed on."""
        return list(self.hear((packet,)))

    def hear(self, packets: Iterable[Packet | Note]) -> Iterator[Leak | Note]:
        """Yield what becomes known as these packets are heard, before more of them are asked for."""
        segments = self._decoder.segments(packets)
        for heard in self._reassembler.chunks(segments):
            if isinstance(heard, Note):
                self._excused = self._excused or heard.damage
                yield heard
            elif told := self._take(heard):
                yield from told

    def close(self) -> list[Leak | Note]:
        """Return what is known now that the capture has ended."""
        out: list[Leak | Note] = []
        for heard in self._reassembler.close():
            out += self._take(heard)
        strange = self._decoder.strange
        out += silence.of_capture(
            strange=None if self._decoder.found_tcp or (self._excused and not strange) else strange,
            others=self._others,
            empty=self._empty,
            crowded_out=self._reassembler.crowded_out,
        )
        return out

    def _take(self, heard: Heard) -> Sequence[Leak | Note]:
        """Let a flow's ear hear, and return what it understood."""
        connection, direction, item = heard
        ear = self._ears.get(connection.number)
        if ear is None:
            ear = self._ears[connection.number] = _Ear(connection)
        events = ear.end(direction) if item is None else ear.hear(direction, item)
        if isinstance(item, Chunk):
            self._unweighed += len(item.data)
        if not (events or ear.dialogue.finished or item is None or self._unweighed > self._most_held):
            return ()
        out = self._relieve() if self._unweighed > self._most_held else []
        self._read(ear, events, out)
        if ear.ended == _BOTH:
            self._farewell(ear, out)
        elif ear.dialogue.finished and ear.dialogue.protocol is None:
            self._reassembler.mute(connection)
            self._decoder.ignore(connection.ends)
            self._farewell(ear, out)
        return out

    def _read(self, ear: _Ear, events: list[Event], out: list[Leak | Note]) -> None:
        """Add to `out` what events tell."""
        for event in events:
            ear.told = True
            if isinstance(event, MessageSeen):
                self._messages += 1
                self._hand_out(event)
            if self._logins_only and isinstance(event, MessageSeen | ServerNameSeen):
                continue
            out += read_event(event, ear.index.locate, self._messages)

    def _relieve(self) -> list[Leak | Note]:
        """Keep what all flows hold within its bound: those that hold most are given up."""
        self._unweighed = 0
        out: list[Leak | Note] = []
        ears = sorted(self._ears.values(), key=lambda ear: ear.dialogue.held)
        held = sum(ear.dialogue.held for ear in ears)
        while held > self._most_held:
            ear = ears.pop()
            held -= ear.dialogue.held
            protocol = ear.dialogue.protocol
            self._read(ear, ear.dialogue.give_up(), out)
            out.append(silence.of_surfeit(ear.connection.flow, protocol, ear.index.last_packet()))
        return out

    def _hand_out(self, event: MessageSeen) -> None:
        """Give a message to who wants to keep it."""
        if self._on_mail is not None and event.content is not None:
            self._on_mail(Mail(number=self._messages, content=event.content.data, whole=event.whole))

    def _farewell(self, ear: _Ear, out: list[Leak | Note]) -> None:
        """Say what there is to say of a flow, and forget it."""
        del self._ears[ear.connection.number]
        if not ear.said:
            self._empty += ear.is_mail
            return
        if not ear.is_mail:
            self._others += 1
            return
        if len(self.flows) < _MOST_FLOWS:
            self.flows.append(ear.connection.flow)
        out += silence.of_connection(ear.connection, ear.dialogue.protocol, ear.holes, told=ear.told)


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
