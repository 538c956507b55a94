"""What listens to one flow: it remembers where each byte came from, and lets the dialogue hear the bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mailtap.capture import silence
from mailtap.capture.evidence import FlowIndex
from mailtap.capture.model import Chunk, Direction, Gap
from mailtap.capture.protocols import Dialogue

if TYPE_CHECKING:
    from mailtap.capture.events import Event
    from mailtap.capture.wire.connection import Connection, Gathered

_MAIL_PORTS: Final = frozenset((25, 110, 143, 465, 587, 993, 995))
_CLIENT, _SERVER = Direction.CLIENT, Direction.SERVER


class Ear:
    """What listens to one flow, and what it will have to say of the flow at its end.

    Attributes:
        connection: whose bytes it hears.
        dialogue: what understands them.
        index: where they came from.
        holes: what is missing of each direction.
        ended: how many directions have ended.
        said: whether a byte crossed.
        told: whether it meant anything.
    """

    __slots__ = ("connection", "dialogue", "ended", "holes", "index", "said", "told")

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.dialogue = Dialogue(connection.flow.server.port, late=not connection.opened)
        self.index = FlowIndex(connection.flow, self.dialogue.client, self.dialogue.server)
        self.holes: dict[Direction, silence.Holes] = {}
        self.ended = 0
        self.said = self.told = False

    def hear(self, direction: Direction, item: Chunk | Gap | None) -> list[Event]:
        """Return what the next bytes of one direction tell, or a hole in them, or None: their end."""
        if item is None:
            self.ended += 1
            return self.dialogue.close(direction)
        if isinstance(item, Gap):
            self.holes.setdefault(direction, silence.Holes()).add(item, self.index.last_packet())
        self.said = True
        return self.dialogue.feed(direction, item)

    def hear_together(self, gathered: Gathered) -> list[tuple[int, Event]]:
        """Return what the next bytes of both directions tell, each with the packet that made it known."""
        both = [(_CLIENT, gathered.client), (_SERVER, gathered.server)]
        self.said = True
        known: list[tuple[int, Event]] = []
        for direction, chunks in both:
            if chunks and (events := self.dialogue.feed(direction, *chunks)):
                known += zip(self._moments(), events, strict=True)
        return known

    def _moments(self) -> list[int]:
        """Return for each event of what was just heard the packet that brought the last byte for it."""
        return [self.index.heard_at(*ends) for ends in self.dialogue.reached]

    @property
    def is_mail(self) -> bool:
        """Return whether the flow spoke a mail protocol, or came to a mail port."""
        return self.dialogue.protocol is not None or self.connection.flow.server.port in _MAIL_PORTS
