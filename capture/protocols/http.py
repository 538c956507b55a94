"""Listens to HTTP/1.1 for webmail (RFC 9112, framing; RFC 9110, semantics); all other HTTP yields nothing.

A hole in a head or beyond the end of a content, or anything that is not HTTP/1, ends the listening: what
follows cannot be paired. Where the capture lacks the beginning, answers are paired as `talk` says.
Compressed content is not read.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from mailtap.capture.events import Heard, LoginSeen, MessageSeen
from mailtap.capture.model import Protocol, Span
from mailtap.capture.protocols import webmail

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mailtap.capture.protocols.blocks import Block
    from mailtap.capture.protocols.lines import Line, Reading, Stream
    from mailtap.capture.protocols.talk import Talk

REQUEST = re.compile(rb"([A-Z]{3,10}) (\S{1,4000}) HTTP/1\.[01]\s*$")
STATUS = re.compile(rb"HTTP/1\.[01] (\d{3})\b")
MECHANISM = "HTML FORM"

_FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}):[ \t]*(.*?)[ \t]*$")
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,8})[ \t]*(?:;|$)")
_MOST_FIELDS = 200
_KEPT = 1 << 20  # bytes of one content that are kept
_MOST_SPANS = 5_000  # chunks of one content that are kept
_STEP = 1 << 16
_MOST_DUMB = 16  # exchanges, with nothing of webmail in them, after which no more are read
_NO_CONTENT = frozenset({204, 304})
_PAGES = (b"text/html", b"application/xhtml+xml")
_SOURCES = (b"message/rfc822", b"text/plain")
_REFUSED = frozenset({401, 403})
_REDIRECTED = frozenset({302, 303})
_SWITCHING, _OK, _FIRST_FINAL = 101, 200, 200


class _Head(NamedTuple):
    """The first line of a request or an answer, and its fields, names in lower case; the last one counts."""

    line: Line
    first: re.Match[bytes]
    fields: Mapping[bytes, bytes]


class _Content(NamedTuple):
    """A content with its framing undone, as far as it was kept.

    Attributes:
        heard: what was kept.
        whole: whether that is all of it.
        ends: whether it is known where it ended, so that what follows can be read.
    """

    heard: Heard
    whole: bool
    ends: bool


def converse(talk: Talk) -> Reading[None]:
    """Listen to one connection, until it ends or has shown for long that it is no webmail."""
    session = _Session(talk)
    if talk.started_late:
        talk.lose_count(0)
    while session.dumb < _MOST_DUMB and (request := (yield from _head(talk.client, REQUEST))) is not None:
        if not (yield from session.exchange(request)):
            return


class _Session:
    """What one connection has shown so far.

    Attributes:
        dumb: how many exchanges have passed without a sign of webmail.
    """

    def __init__(self, talk: Talk) -> None:
        self.talk = talk
        self.dumb = 0
        self._sign = False  # a page on this connection was a webmail's login page

    def exchange(self, request: _Head) -> Reading[bool]:
        """Listen to one request and its answer; return whether another may follow."""
        method, target = request.first[1], request.first[2]
        sign = self._sign or webmail.signed(target, request.fields)
        form = yield from _content(self.talk.client, request.fields, closes=False)
        if not form.ends:
            return False
        if self.talk.count_was_lost and self.talk.regains(request.line):
            yield from self.talk.server.pass_over(request.line.turn)
        server, heard = self.talk.server, self.talk.server.offset
        answer = yield from self._answer()
        told = len(self.talk.events)
        login = webmail.credentials(form.heard, request.fields.get(b"content-type", b""), sign=sign)
        if method != b"POST" or not form.whole:
            login = None
        if answer is None:
            # Where the server says something else than HTTP, the client's words mean nothing either.
            is_silent = server.offset == heard and not server.ahead(1)
            if login is not None and is_silent:
                self._login(request, login, accepted=None)
            return is_silent
        status = int(answer.first[1])
        if method == b"CONNECT" or status == _SWITCHING:
            return False
        page = yield from self._page(method, status, answer)
        doubtful = yield from self.talk.doubts(request.line, answer.line)
        if login is not None:
            verdict = None if doubtful else _verdict(status, answer.fields, page.heard.data)
            self._login(request, login, accepted=verdict)
        elif sign and status == _OK:
            self._message(answer, page)
        self._sign = self._sign or webmail.is_webmail_login_page(page.heard.data)
        self.dumb = 0 if sign or len(self.talk.events) > told else self.dumb + 1
        return page.ends

    def _answer(self) -> Reading[_Head | None]:
        """Read the final answer's head; the interim ones go by (RFC 9110, section 15.2)."""
        while (head := (yield from _head(self.talk.server, STATUS))) is not None:
            status = int(head.first[1])
            if status >= _FIRST_FINAL or status == _SWITCHING:
                return head
        return None

    def _page(self, method: bytes, status: int, answer: _Head) -> Reading[_Content]:
        """Read the answer's content (RFC 9112, section 6.3)."""
        if method == b"HEAD" or status in _NO_CONTENT:
            return _Content(Heard(b"", ()), whole=True, ends=True)
        return (yield from _content(self.talk.server, answer.fields, closes=True))

    def _login(self, request: _Head, login: tuple[Heard, Heard], *, accepted: bool | None) -> None:
        self.talk.say(
            LoginSeen(
                protocol=Protocol.HTTP,
                mechanism=MECHANISM,
                spans=(request.line.part(0),),
                username=login[0],
                password=login[1],
                accepted=accepted,
            )
        )

    def _message(self, answer: _Head, page: _Content) -> None:
        """Listen to a page that may show a message, or be one."""
        if answer.fields.get(b"content-encoding", b"identity").lower() != b"identity":
            return
        label = answer.fields.get(b"content-type", b"")
        kind = label.partition(b";")[0].strip().lower()
        heard: MessageSeen | None = None
        if kind in _PAGES:
            heard = webmail.message_page(page.heard, label, whole=page.whole)
        elif kind in _SOURCES:
            heard = webmail.source(page.heard, whole=page.whole)
        if heard is not None:
            self.talk.say(heard)


def _verdict(status: int, fields: Mapping[bytes, bytes], page: bytes) -> bool | None:
    """Return whether a login was accepted, where the answer makes that clear.

    The form once more is a refusal; a new session and the way to another page than a login is acceptance.
    """
    if status in _REFUSED or (status == _OK and webmail.is_login_page(page)):
        return False
    place = fields.get(b"location", b"").lower()
    if status in _REDIRECTED and b"set-cookie" in fields and place:
        return None if any(word in place for word in (b"login", b"error", b"fail")) else True
    return None


def _head(stream: Stream, first: re.Pattern[bytes]) -> Reading[_Head | None]:
    """Read a first line and the fields behind it; None where there is no such thing."""
    line = yield from stream.line()
    if line is None or (found := first.match(line.text)) is None:
        return None
    fields: dict[bytes, bytes] = {}
    for _ in range(_MOST_FIELDS):
        each = yield from stream.line()
        if each is None or each.overlong:
            return None
        if not each.text:
            return _Head(line, found, fields)
        if field := _FIELD.match(each.text):
            fields[field[1].lower()] = field[2]
    return None


def _content(stream: Stream, fields: Mapping[bytes, bytes], *, closes: bool) -> Reading[_Content]:
    """Read a content however it is framed (RFC 9112, section 6).

    Args:
        stream: where it stands.
        fields: those of its head.
        closes: whether it ends with the connection where nothing else is said.
    """
    content = _Kept()
    if b"chunked" in fields.get(b"transfer-encoding", b"").lower():
        yield from content.chunks(stream)
    elif (length := fields.get(b"content-length", b"")).isdigit() and len(length) < len(str(1 << 64)):
        yield from content.octets(stream, int(length))
    elif closes:
        yield from content.rest(stream)
    return _Content(Heard(bytes(content.data), tuple(content.spans)), content.whole, content.ends)


class _Kept:
    """A content as it is put together."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.spans: list[Span] = []
        self.whole = self.ends = True

    def octets(self, stream: Stream, count: int) -> Reading[None]:
        """Read that many octets, and keep them while there is room and nothing is missing."""
        while count > 0:
            size, start = min(count, _STEP), stream.offset
            block = yield from stream.octets(size)
            count -= max(size, stream.offset - start)  # more, where a hole reached further
            fits = len(self.data) + len(block.data) <= _KEPT and len(self.spans) < _MOST_SPANS
            if self.whole and fits and block.data:
                self._keep(block)
            self.whole = self.whole and fits and block.whole
            if stream.closed and not stream.pending:
                break  # nothing more will come, however much was announced
        self.whole = self.whole and count <= 0
        self.ends = self.ends and count >= 0  # else a hole reaches beyond the end

    def _keep(self, block: Block) -> None:
        self.data += block.data
        (span,) = block.spans
        if self.spans and self.spans[-1].end == span.start:
            span = Span(span.direction, self.spans.pop().start, span.end)
        self.spans.append(span)

    def chunks(self, stream: Stream) -> Reading[None]:
        """Read chunks up to the last one and the trailer behind it (RFC 9112, section 7.1)."""
        while (line := (yield from stream.line())) is not None and (found := _CHUNK.match(line.text)):
            size = int(found[1], 16)
            if not size:
                break
            yield from self.octets(stream, size)
            if not self.ends:
                return
            yield from stream.line()
        if line is None or not _CHUNK.match(line.text):
            self.whole = self.ends = False
            return
        for _ in range(_MOST_FIELDS):
            trailer = yield from stream.line()
            if trailer is None or not trailer.text:
                return

    def rest(self, stream: Stream) -> Reading[None]:
        """Read up to the end of the connection."""
        while (yield from stream.peek(1)):
            yield from self.octets(stream, len((yield from stream.peek(_STEP))))
        self.whole = self.whole and stream.hole is None
