"""One thing that the listener hears, with the smallest capture that shows it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import dialogue
import hearing
import wire

from mailtap.capture.model import Direction, Endpoint
from mailtap.capture.pipeline import listen

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from mailtap.capture.model import Note, Packet

HOST = wire.SERVER.address


@dataclass(frozen=True, kw_only=True)
class Feature:
    """A row of the table; `docs/supported.md` is made from these.

    Attributes:
        topic: the heading it stands under.
        name: what is heard, in a few words.
        where: the protocol or the layer.
        source: the document, with its section.
        packets: builds the capture.
        leaks: what it must leak, as `hearing.lines` writes it.
        notes: what must be said of it.
        plain: whether its frames are Ethernet and IPv4 without options, all of them there.
    """

    topic: str
    name: str
    where: str
    source: str
    packets: Callable[[], list[Packet]]
    leaks: tuple[str, ...]
    notes: tuple[str, ...] = ()
    plain: bool = True

    def __str__(self) -> str:
        return f"{self.where}: {self.name}"


def turns(text: str) -> list[wire.Turn]:
    """Return the lines of a dialogue as turns of a conversation, neighbours of one side joined."""
    out: list[wire.Turn] = []
    for who, data in dialogue.turns(text):
        side = "C" if who is Direction.CLIENT else "S"
        if out and out[-1][0] == side:
            out[-1] = (side, out[-1][1] + data)
        else:
            out.append((side, data))
    return out


def spoken(text: str, port: int) -> Callable[[], list[Packet]]:
    """Return what builds the capture of a dialogue with a server on that port."""
    return lambda: wire.conversation(turns(text), server=Endpoint(HOST, port))


def heard(packets: Iterable[Packet | Note]) -> tuple[list[str], list[str]]:
    """Return the leaks and the notes of a capture as readable lines."""
    return hearing.lines(list(listen(packets)))
