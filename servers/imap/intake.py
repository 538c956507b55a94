"""Gathers what a client sends into whole commands: lines, and the literals between them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from mailtap.servers.imap.words import Atom, Text
from mailtap.servers.lines import Line, LineBuffer

if TYPE_CHECKING:
    from mailtap.servers.imap.words import Piece
    from mailtap.servers.limits import Limits

_LITERAL: Final = re.compile(rb"\{(\d{1,10})(\+?)\}$")  # RFC 7888, section 3 has the plus
_APPEND: Final = re.compile(rb"[^ ]+ +APPEND ", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Go:
    """The client waits for a word before it sends its literal (RFC 3501, section 4.3)."""


@dataclass(frozen=True, slots=True)
class Whole:
    """A command is there."""

    pieces: tuple[Piece, ...]


@dataclass(frozen=True, slots=True)
class TooMuch:
    """The client sends, or wants to send, more than is kept.

    Attributes:
        tag: of its command, where there is one.
        sent: whether it comes all the same, so that nothing after it can be understood.
    """

    tag: bytes
    sent: bool


class Intake:
    """Lines and literals in, commands out."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._lines = LineBuffer()
        self._pieces: list[Piece] = []
        self._literal: int | None = None
        self._octets = 0

    def feed(self, data: bytes) -> None:
        """Take what arrived."""
        self._lines.feed(data)

    def clear(self) -> None:
        """Forget everything (RFC 3501, section 6.2.1: what came before TLS must not count after it)."""
        self._lines.clear()
        self._reset()

    def response(self) -> Line | None:
        """Return the next line of a SASL exchange, or None until there is one."""
        return self._lines.next_line(self._limits.response_octets)

    @property
    def endless(self) -> bool:
        """Whether a line is thrown away that never ends."""
        return self._lines.discarded > self._limits.junk_octets

    def next(self) -> Go | Whole | TooMuch | None:
        """Return what comes next, or None until more has arrived."""
        while True:
            if self._literal is not None:
                octets = self._lines.next_octets(self._literal)
                if octets is None:
                    return None
                self._pieces.append(Text(octets))
                self._literal = None
            line = self._lines.next_line(self._limits.imap_octets)
            if line is None:
                return None
            if step := self._line(line):
                return step

    def _line(self, line: Line) -> Go | Whole | TooMuch | None:
        """Take one line; None where a literal follows that nobody waits for."""
        if line.too_long:
            return self._refuse(sent=False)
        literal = _LITERAL.search(line.data)
        self._pieces.append(Atom(line.data[: literal.start()] if literal else line.data))
        if literal is None:
            pieces = tuple(self._pieces)
            self._reset()
            return Whole(pieces)
        size, waits = int(literal[1]), not literal[2]
        self._octets += size
        if self._octets > self._most():
            return self._refuse(sent=not waits)
        self._literal = size
        return Go() if waits else None

    def _most(self) -> int:
        """Return how many octets the literals of this command may have."""
        appends = _APPEND.match(self._pieces[0].value) is not None
        return self._limits.message_octets if appends else self._limits.imap_octets

    def _refuse(self, *, sent: bool) -> TooMuch:
        tag = self._pieces[0].value.partition(b" ")[0] if self._pieces else b""
        self._reset()
        return TooMuch(tag, sent)

    def _reset(self) -> None:
        self._pieces, self._literal, self._octets = [], None, 0
