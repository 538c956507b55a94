"""Reads IMAP commands and responses with the literals in them (RFC 9051, sections 2.2 and 4)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from mailtap.capture.events import Heard
from mailtap.capture.model import Span
from mailtap.capture.protocols.blocks import MESSAGE_LIMIT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mailtap.capture.protocols.lines import Line, Reading, Stream

_LITERAL = re.compile(rb"~?\{(\d{1,10})(\+?)\}\Z")
_ARGUMENT = re.compile(rb'\s+|"((?:\\.|[^"\\\r\n])*)"|~?\{(\d{1,10})\+?\}\r?\n|([^\s]+)')
_RESPONSE = re.compile(
    rb'\s+|"((?:\\.|[^"\\\r\n])*)"|~?\{(\d{1,10})\+?\}\r?\n|((?:[^\s()"{\[]|\[[^\]\r\n]*\])+|[()]|.)',
    re.DOTALL,
)
_ESCAPE = re.compile(rb"\\(.)")


class Sentence(NamedTuple):
    """A command or a response: a line, and where it has literals, those and the lines that follow them.

    Attributes:
        data: its bytes, line ends and literals included.
        start: where they begin in the stream.
        line: its first line.
        whole: whether nothing is missing; if something is, `data` ends before it.
    """

    data: bytes
    start: int
    line: Line
    whole: bool

    def words(self, *, response: bool = False) -> Iterator[Word]:
        """Split it into words: atoms, quoted strings and literals.

        Args:
            response: whether to split as servers speak, with parentheses, or as users' passwords need it.
        """
        pattern = _RESPONSE if response else _ARGUMENT
        at = 0
        while at < len(self.data) and (found := pattern.match(self.data, at)):
            at = found.end()
            if found[2] is not None:
                size = int(found[2])
                end = min(at + size, len(self.data))
                heard = self._heard(self.data[at:end], at if at < end else found.start(), end)
                yield Word(heard, is_string=True, whole=self.whole or end < len(self.data))
                at += size
            elif found[1] is not None:
                place = found.span(1) if found[1] else found.span()  # an empty one stands in its quotes
                yield Word(self._heard(_ESCAPE.sub(rb"\1", found[1]), *place), is_string=True)
            elif found[3] is not None:
                yield Word(self._heard(found[3], *found.span(3)), is_string=False)

    def _heard(self, value: bytes, start: int, end: int) -> Heard:
        span = Span(self.line.span.direction, self.start + start, self.start + end)
        return Heard(value, (span,))


class Word(NamedTuple):
    """A word of a sentence.

    Attributes:
        heard: the word, quoting undone.
        is_string: whether it was a quoted string or a literal.
        whole: whether nothing of it is missing.
    """

    heard: Heard
    is_string: bool
    whole: bool = True


def whole_line(line: Line) -> Sentence | None:
    """Return the sentence that is just this line; None where it may be more, or less."""
    if line.overlong or line.text[-1:] == b"}":
        return None
    return Sentence(line.text + _end(line), line.span.start, line, whole=True)


def sentence(
    stream: Stream, line: Line, go_ahead: Callable[[], Reading[bool]] | None = None
) -> Reading[Sentence]:
    """Read the rest of a sentence that begins with `line`.

    Args:
        stream: where it is spoken.
        line: its first line.
        go_ahead: asked before each literal for which a client must wait, whether the server allowed it.
    """
    if line.overlong:
        return Sentence(b"", line.span.start, line, whole=False)
    data = bytearray(line.text + _end(line))
    last: Line | None = line
    try:
        while last is not None and (literal := _LITERAL.search(last.text)):
            size = int(literal[1])
            if go_ahead is not None and not literal[2] and not (yield from go_ahead()):
                return Sentence(bytes(data), line.span.start, line, whole=False)
            block = yield from stream.octets(size)
            data += block.data
            last = (yield from stream.line()) if block.whole else None
            if last is None or len(data) > MESSAGE_LIMIT:
                return Sentence(bytes(data), line.span.start, line, whole=False)
            data += last.text + _end(last)
            stream.kept = len(data)
    finally:
        stream.kept = 0
    return Sentence(bytes(data), line.span.start, line, whole=True)


def _end(line: Line) -> bytes:
    """Return the line's end as it was sent."""
    size = line.span.end - line.span.start - len(line.text)
    return b"\r\n"[-size:] if 0 < size <= 2 else b""  # noqa: PLR2004  # none at the stream's end
