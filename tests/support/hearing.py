"""Runs dialogues through the parsers, and writes what was heard as readable lines."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mailtap.capture.events import Event, MessageSeen
from mailtap.capture.leaks import read_event
from mailtap.capture.model import Chunk, Direction, Endpoint, Evidence, Flow, Gap, Leak, Note, Span
from mailtap.capture.protocols import Dialogue

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

FLOW = Flow(1, Endpoint("192.0.2.1", 40000), Endpoint("192.0.2.2", 4242))
Turn = tuple[Direction, bytes | int]
"""What one direction sent: bytes, or a number of bytes that the capture lacks."""


def items(turns: Iterable[Turn]) -> list[tuple[Direction, Chunk | Gap]]:
    """Return turns as chunks and gaps with their offsets, one packet each."""
    offsets = dict.fromkeys(Direction, 0)
    made: list[tuple[Direction, Chunk | Gap]] = []
    for number, (direction, what) in enumerate(turns, 1):
        at = offsets[direction]
        if isinstance(what, int):
            made.append((direction, Gap(at, what, number, number)))
            offsets[direction] += what
        elif what:
            made.append((direction, Chunk(at, what, number, number)))
            offsets[direction] += len(what)
    return made


def listen(turns: Iterable[Turn], port: int = 4242) -> list[Event]:
    """Return the events of a conversation that both sides end."""
    dialogue = Dialogue(port)
    events = [event for direction, item in items(turns) for event in dialogue.feed(direction, item)]
    return events + dialogue.close(Direction.CLIENT) + dialogue.close(Direction.SERVER)


def read(events: Iterable[Event]) -> list[Leak | Note]:
    """Return the leaks and notes of events."""
    found: list[Leak | Note] = []
    message = 0
    for event in events:
        message += isinstance(event, MessageSeen)
        found += read_event(event, locate, message)
    return found


def locate(spans: tuple[Span, ...]) -> Evidence:
    """Return evidence in a capture of one packet."""
    return Evidence(FLOW, spans, (1,), 1)


def lines(found: Iterable[Leak | Note]) -> tuple[list[str], list[str]]:
    """Return leaks and notes as readable lines."""
    leaks = [_leak(each) for each in found if isinstance(each, Leak)]
    return leaks, [str(each) for each in found if isinstance(each, Note)]


def cut(turns: Sequence[Turn], spans: tuple[Span, ...]) -> bytes:
    """Return the bytes of a conversation at these spans; bytes the capture lacks are zeros."""
    streams = {direction: _stream(turns, direction) for direction in Direction}
    return b"".join(streams[span.direction][span.start : span.end] for span in spans)


def _stream(turns: Sequence[Turn], direction: Direction) -> bytes:
    return b"".join(bytes(what) if isinstance(what, int) else what for who, what in turns if who is direction)


def _leak(leak: Leak) -> str:
    words = [leak.field.value, repr(leak.value.reveal())]
    for name in ("mechanism", "username", "authzid", "domain", "challenge", "source", "message"):
        value = getattr(leak, name)
        if value is not None and not (name == "username" and leak.field.value == "username"):
            words.append(f"{name}={value}")
    if leak.attachment is not None:
        words.append(f"type={leak.attachment.content_type} size={len(leak.attachment.content)}")
    if leak.accepted is not None:
        words.append("accepted" if leak.accepted else "refused")
    return " ".join(words)
