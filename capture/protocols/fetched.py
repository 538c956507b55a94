"""Puts messages together that an IMAP client fetches in pieces (RFC 9051, sections 6.4.5 and 7.5.2)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mailtap.capture.events import Heard, Malformed, MessageSeen
from mailtap.capture.language import N_
from mailtap.capture.model import Protocol, Span
from mailtap.capture.protocols import structure
from mailtap.capture.protocols.lines import MESSAGE_LIMIT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mailtap.capture.protocols.sentences import Sentence, Word

_ITEM = re.compile(
    rb"(?:BODY|BINARY)(?:\.PEEK)?\[([^\]]*)\](?:<(\d{1,10})>)?\Z|RFC822(\.HEADER|\.TEXT)?\Z", re.IGNORECASE
)
_ASKED = re.compile(rb"<(\d{1,10})\.(\d{1,10})>")
_CONTENT_FIELD = re.compile(
    rb"^(?:content-[a-z-]+|mime-version):[^\n]*\n(?:[ \t][^\n]*\n)*", re.IGNORECASE | re.MULTILINE
)
_PART = re.compile(rb"\d+(?:\.\d+)*\Z")
_MULTIPART = re.compile(rb"^content-type:\s*multipart/", re.IGNORECASE | re.MULTILINE)
_TOLD = frozenset((b"BODYSTRUCTURE", b"BODY", b"ENVELOPE"))
UNLABELLED = N_("A part was fetched without its MIME header; it is shown as it was sent.")
_BOUNDARY = b"=_mailtap_joins_these_parts"
_MOST_MESSAGES = 10_000


@dataclass
class _Pieces:
    """What was fetched of one message.

    Attributes:
        sections: for each section, its pieces by the offset at which they begin.
        size: the message's size, where the server told it.
        ended: whether the whole message came, or a piece that was shorter than what was asked for: the last.
        whole: whether no hole cut a piece.
        envelope: the header fields that the server told, where it did.
        parts: the MIME headers that it told, by section.
    """

    sections: dict[bytes, dict[int, Heard]] = field(default_factory=dict)
    size: int | None = None
    ended: bool = False
    whole: bool = True
    envelope: Heard | None = None
    parts: dict[bytes, Heard] = field(default_factory=dict)

    def section(self, name: bytes) -> Heard | None:
        """Return a section from its beginning, as far as it was fetched without holes."""
        data = b""
        spans: tuple[Span, ...] = ()
        for origin, heard in sorted(self.sections.get(name, {}).items(), key=lambda piece: piece[0]):
            if origin != len(data):
                break
            data += heard.data
            spans += heard.spans
        return Heard(data, spans) if spans else None


class Fetched:
    """The messages of one mailbox that are being fetched."""

    def __init__(self) -> None:
        self._messages: dict[bytes, _Pieces] = {}
        self._held = 0
        self._asked: dict[int, int] = {}

    def ask(self, command: bytes) -> None:
        """Remember which parts of a section a FETCH command asks for."""
        self._asked = {int(origin): int(size) for origin, size in _ASKED.findall(command)}

    def hear(self, number: bytes, response: Sentence) -> list[MessageSeen | Malformed]:
        """Take a FETCH response; return the messages that are complete now."""
        pieces = self._messages.setdefault(number, _Pieces())
        name: bytes | None = None
        words = iter(response.words(response=True))
        for word in words:
            heard = word.heard
            if not word.is_string:
                if name in _TOLD and heard.data == b"(":
                    self._told(pieces, name, _bracketed(words))
                    name = None
                    continue
                if name == b"RFC822.SIZE" and heard.data.isdigit():
                    pieces.size = int(heard.data[:12])
                name = heard.data.upper()
            elif name is not None:
                pieces.whole = pieces.whole and word.whole
                self._keep(pieces, name, heard)
                name = None
        done = self._complete(number, pieces)
        if self._held > MESSAGE_LIMIT or len(self._messages) > _MOST_MESSAGES:
            done += self.flush()
        return done

    def flush(self) -> list[MessageSeen | Malformed]:
        """Return what was fetched of messages that never became complete, and forget them."""
        messages, self._messages, self._held = self._messages, {}, 0
        return [event for pieces in messages.values() for event in _joined(pieces)]

    def _keep(self, pieces: _Pieces, name: bytes, heard: Heard) -> None:
        found = _ITEM.match(name)
        if found is None:
            return
        section = (found[1] or b"").strip() if found[1] is not None else (found[3] or b".")[1:]
        section = b"HEADER" if section.startswith(b"HEADER.FIELDS") else section
        origin = int(found[2] or 0)
        if found[2] is not None and len(heard.data) < self._asked.get(origin, 0):
            pieces.ended = True
        if found[2] is None and section == b"":
            pieces.ended = True
        self._held += len(heard.data)
        pieces.sections.setdefault(section, {}).setdefault(origin, heard)

    def _told(self, pieces: _Pieces, name: bytes, words: list[Word]) -> None:
        """Remember what the server tells of a message without sending it."""
        spans = tuple(span for word in words for span in word.heard.spans)
        if not spans:
            return
        told = structure.tree(words)
        span = (Span(spans[0].direction, spans[0].start, spans[-1].end),)
        if name == b"ENVELOPE":
            header = structure.envelope_header(told)
            pieces.envelope = Heard(header, span) if header else pieces.envelope
        else:
            pieces.parts = {
                each: Heard(header, span) for each, header in structure.mime_headers(told).items()
            }
        self._held += span[0].end - span[0].start

    def _complete(self, number: bytes, pieces: _Pieces) -> list[MessageSeen | Malformed]:
        """Return the message if all of it is there, and forget it."""
        whole, header, text = (pieces.section(name) for name in (b"", b"HEADER", b"TEXT"))
        if whole is not None and (pieces.ended or len(whole.data) == pieces.size):
            content = whole
        elif header is not None and text is not None:
            content = Heard(header.data + text.data, header.spans + text.spans)
        else:
            return []
        del self._messages[number]
        self._held -= len(content.data)
        return [MessageSeen(protocol=Protocol.IMAP, content=content, whole=pieces.whole)]


def _joined(pieces: _Pieces) -> list[MessageSeen | Malformed]:
    """Return what there is of a message as one; nothing where there is nothing."""
    whole = pieces.section(b"")
    if whole is not None:
        return [MessageSeen(protocol=Protocol.IMAP, content=whole, whole=False)]
    header = pieces.section(b"HEADER") or pieces.envelope
    names = sorted(
        filter(_PART.match, pieces.sections), key=lambda name: [int(each) for each in name.split(b".")]
    )
    parts = [(name, part) for name in names if (part := pieces.section(name)) is not None]
    mimes = {name: pieces.section(name + b".MIME") or pieces.parts.get(name) for name, _ in parts}
    found = [(mimes[name], part) for name, part in parts]
    if text := pieces.section(b"TEXT"):
        found.append((None, text))
    if header is None and not found:
        return []
    single = (
        header is not None and [name for name, _ in parts] == [b"1"] and not _MULTIPART.search(header.data)
    )
    if single and header is not None and mimes[b"1"] is None and b"content-" in header.data.lower():
        content = Heard(header.data + parts[0][1].data, header.spans + parts[0][1].spans)
        return [MessageSeen(protocol=Protocol.IMAP, content=content)]
    unlabelled = [part.spans for name, part in parts if mimes[name] is None]
    events: list[MessageSeen | Malformed] = [
        MessageSeen(protocol=Protocol.IMAP, content=_assembled(header, found) if found else header)
    ]
    return events + [Malformed(Protocol.IMAP, spans, UNLABELLED) for spans in unlabelled[:1]]


def _bracketed(words: Iterator[Word]) -> list[Word]:
    """Return the words up to the parenthesis that closes the list they stand in."""
    taken: list[Word] = []
    depth = 1
    for word in words:
        depth += 0 if word.is_string else (word.heard.data == b"(") - (word.heard.data == b")")
        if not depth:
            break
        taken.append(word)
    return taken


def _assembled(header: Heard | None, parts: list[tuple[Heard | None, Heard]]) -> Heard:
    """Return parts that were fetched one by one as a multipart message of our own."""
    opening = b"Content-Type: multipart/mixed; boundary=" + _BOUNDARY + b"\r\n\r\n"
    pieces: list[Heard] = []
    if header is not None:
        top = _CONTENT_FIELD.sub(b"", header.data).rstrip(b"\r\n") + b"\r\n"
        same = header.data.startswith(top)
        pieces.append(Heard(top, header.cut(0, len(top)) if same else header.spans))
    for mime, part in parts:
        pieces.append(Heard(opening + b"--" + _BOUNDARY + b"\r\n", ()))
        if mime is not None:
            pieces.append(Heard(mime.data.rstrip(b"\r\n"), mime.cut(0, len(mime.data.rstrip(b"\r\n")))))
            pieces.append(Heard(b"\r\n", ()))
        pieces += [Heard(b"\r\n", ()), part]
        opening = b"\r\n"
    pieces.append(Heard(b"\r\n--" + _BOUNDARY + b"--\r\n", ()))
    return Heard.joined(pieces)
