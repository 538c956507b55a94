"""Puts messages together that an IMAP client fetches in pieces (RFC 9051, sections 6.4.5 and 7.5.2)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING

from mailtap.capture.events import Heard, Malformed, MessageSeen, Places
from mailtap.capture.language import N_
from mailtap.capture.model import Protocol, Span
from mailtap.capture.protocols import structure
from mailtap.capture.protocols.blocks import MESSAGE_LIMIT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mailtap.capture.protocols.sentences import Sentence, Word

_ITEM = re.compile(
    rb"(BODY|BINARY)(?:\.PEEK)?\[([^\]]*)\](?:<(\d{1,10})>)?\Z|RFC822(\.HEADER|\.TEXT)?\Z", re.IGNORECASE
)
_ASKED = re.compile(rb"\[\s*([^\]]*?)\s*\]<(\d{1,10})\.(\d{1,10})>")
_FIELD = re.compile(rb"^([!-9;-~]+)[ \t]*:[^\n]*(?:\n[ \t][^\n]*)*\n?", re.MULTILINE)
_ENCODING_FIELD = re.compile(
    rb"^content-transfer-encoding:[^\n]*\n(?:[ \t][^\n]*\n)*", re.IGNORECASE | re.MULTILINE
)
_CONTENT_FIELD = re.compile(
    rb"^(?:content-[a-z-]+|mime-version):[^\n]*\n(?:[ \t][^\n]*\n)*", re.IGNORECASE | re.MULTILINE
)
_PART = re.compile(rb"\d+(?:\.\d+)*\Z")
_MULTIPART = re.compile(rb"^content-type:\s*multipart/", re.IGNORECASE | re.MULTILINE)
_TOLD = frozenset((b"BODYSTRUCTURE", b"BODY", b"ENVELOPE"))
UNLABELLED = N_("A part was fetched without its MIME header; it is shown as it was sent.")
_BOUNDARY = b"=_mailtap_joins_these_parts"
_MOST_MESSAGES = 10_000
_MOST_FIELDS = 1_000  # of one list of header fields
_PIECE = 1_024  # bytes of memory, about, that a message or a piece of one takes beside its own


@dataclass(slots=True)
class _Section:
    """One section of a message, in pieces.

    Attributes:
        pieces: by the offset at which they begin.
        reach: how many bytes there are from its beginning without a hole.
        end: its size, as the whole of it tells, or its last piece: one shorter than was asked for.
        is_decoded: whether the server has undone its transfer encoding (RFC 3516).
    """

    pieces: dict[int, Heard] = field(default_factory=dict)
    reach: int = 0
    end: int | None = None
    is_decoded: bool = False

    def add(self, origin: int, piece: Heard, *, is_all: bool) -> None:
        """Add a piece; of two with the same beginning, the first counts.

        Args:
            origin: where it begins.
            piece: its bytes.
            is_all: whether it is the section as a whole, which counts for more than a part of it.
        """
        if is_all and len(piece.data) > self.reach:
            self.pieces, self.reach = {}, 0
        self.pieces.setdefault(origin, piece)
        while (here := self.pieces.get(self.reach)) is not None and here.data:
            self.reach += len(here.data)

    def joined(self) -> Heard:
        """Return what there is from its beginning as one."""
        joined: list[Heard] = []
        at = 0
        while (piece := self.pieces.get(at)) is not None:
            joined.append(piece)
            if not piece.data:
                break
            at += len(piece.data)
        spans = tuple(span for piece in joined for span in piece.spans)
        return Heard(b"".join(piece.data for piece in joined), spans)


@dataclass(slots=True)
class _Pieces:
    """What was fetched of one message.

    Attributes:
        sections: by name.
        fields: lists of header fields, by what was asked for.
        size: the message's size, where the server told it.
        whole: whether no hole cut a piece.
        held: number of bytes of memory that all of this takes, about.
        envelope: the header fields that the server told, where it did.
        parts: the MIME headers that it told, by section.
    """

    sections: dict[bytes, _Section] = field(default_factory=dict)
    fields: dict[bytes, Heard] = field(default_factory=dict)
    size: int | None = None
    whole: bool = True
    held: int = _PIECE
    envelope: Heard | None = None
    parts: dict[bytes, Heard] = field(default_factory=dict)

    def section(self, name: bytes) -> Heard | None:
        """Return a section from its beginning, as far as it was fetched without holes."""
        section = self._begun(name)
        return section.joined() if section is not None else None

    def content(self) -> Heard | None:
        """Return the message if all of it is there."""
        whole = self._begun(b"")
        if whole is not None and whole.reach in (whole.end, self.size):
            return whole.joined()
        # With some header fields only, it is not known how the text is to be read: more may be asked for.
        is_labelled = self._begun(b"HEADER") is not None or b"" in self.parts
        return self.with_text() if is_labelled and self.has_all_of(b"TEXT") else None

    def has_all_of(self, name: bytes) -> bool:
        """Return whether a section is there from its beginning to its end."""
        section = self._begun(name)
        return section is not None and section.reach == section.end

    def with_text(self) -> Heard | None:
        """Return header and text as one, if they are there."""
        header, text = self.header(), self.section(b"TEXT")
        if header is None or text is None:
            return None
        mime = self.parts.get(b"")
        if (
            mime is not None
            and self._begun(b"HEADER") is None
            and b"content-type:" not in header.data.lower()
        ):
            # The server told how the text is to be read, and the client asked for some fields only.
            header = Heard.joined([mime, header])
        return Heard.joined([header, text])

    def header(self) -> Heard | None:
        """Return the header, or what is known of it: fields asked for by name, and what the server told."""
        if (header := self.section(b"HEADER")) is not None:
            return header
        taken: list[Heard] = []
        known: set[bytes] = set()
        told = (self.envelope,) if self.envelope is not None else ()
        for some in (*self.fields.values(), *told):
            places = Places(some)
            found = [(each[1].lower(), each) for each in islice(_FIELD.finditer(some.data), _MOST_FIELDS)]
            taken += [Heard(each[0], places.cut(*each.span())) for name, each in found if name not in known]
            known.update(name for name, _ in found)
        return Heard.joined([*taken, Heard(b"\r\n", ())]) if taken else None

    def mime(self, name: bytes) -> Heard | None:
        """Return the MIME header of a part, as it was fetched or told."""
        header = self.section(name + b".MIME") or self.parts.get(name)
        if header is None or not self.sections[name].is_decoded:
            return header
        return Heard(_ENCODING_FIELD.sub(b"", header.data), header.spans)

    def _begun(self, name: bytes) -> _Section | None:
        """Return a section if its beginning is there."""
        section = self.sections.get(name)
        return section if section is not None and 0 in section.pieces else None


class Fetched:
    """The messages of one mailbox that are being fetched.

    Attributes:
        held: number of bytes of memory, about, that they take.
    """

    def __init__(self) -> None:
        self._messages: dict[bytes, _Pieces] = {}
        self.held = 0
        self._asked: dict[tuple[bytes, int], int] = {}

    def ask(self, command: bytes) -> None:
        """Remember which pieces of what a FETCH command asks for."""
        self._asked = {
            (section.upper(), int(origin)): int(size) for section, origin, size in _ASKED.findall(command)
        }

    def hear(self, number: bytes, response: Sentence) -> list[MessageSeen | Malformed]:
        """Take a FETCH response; return the messages that are complete now."""
        pieces = self._messages.get(number)
        if pieces is None:
            pieces = self._messages[number] = _Pieces()
            self.held += pieces.held
        before = pieces.held
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
        self.held += pieces.held - before
        done = self._complete(number, pieces)
        if self.held > MESSAGE_LIMIT or len(self._messages) > _MOST_MESSAGES:
            done += self.flush()
        return done

    def flush(self) -> list[MessageSeen | Malformed]:
        """Return what was fetched of messages that never became complete, and forget them."""
        messages, self._messages, self.held = self._messages, {}, 0
        return [event for pieces in messages.values() for event in _joined(pieces)]

    def _keep(self, pieces: _Pieces, item: bytes, heard: Heard) -> None:
        found = _ITEM.match(item)
        if found is None:
            return
        name = (found[2] or b"").strip() if found[2] is not None else (found[4] or b".")[1:]
        pieces.held += len(heard.data) + _PIECE
        if name.startswith(b"HEADER.FIELDS"):
            pieces.fields[name] = heard
            return
        section = pieces.sections.setdefault(name, _Section())
        is_all, origin = found[3] is None, int(found[3] or 0)
        if is_all or len(heard.data) < self._asked.get((name, origin), 0):
            end = origin + len(heard.data)
            section.end = end if section.end is None else min(end, section.end)  # behind it, there is nothing
        section.is_decoded = section.is_decoded or found[1] == b"BINARY"
        section.add(origin, heard, is_all=is_all)

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
        pieces.held += span[0].end - span[0].start + _PIECE * len(pieces.parts)

    def _complete(self, number: bytes, pieces: _Pieces) -> list[MessageSeen | Malformed]:
        """Return the message if all of it is there, and forget it."""
        content = pieces.content()
        if content is None:
            return []
        del self._messages[number]
        self.held -= pieces.held
        return [MessageSeen(protocol=Protocol.IMAP, content=content, whole=pieces.whole)]


def _joined(pieces: _Pieces) -> list[MessageSeen | Malformed]:
    """Return what there is of a message as one; nothing where there is nothing."""
    whole = pieces.section(b"")
    if whole is not None:
        return [MessageSeen(protocol=Protocol.IMAP, content=whole, whole=False)]
    header = pieces.header()
    names = sorted(
        filter(_PART.match, pieces.sections), key=lambda name: [int(each) for each in name.split(b".")]
    )
    parts = [(name, part) for name in names if (part := pieces.section(name)) is not None]
    text = pieces.section(b"TEXT")
    is_whole = pieces.whole and all(pieces.has_all_of(name) for name, _ in parts)
    if not parts and text is not None and (content := pieces.with_text()) is not None:
        is_whole = pieces.whole and pieces.has_all_of(b"TEXT")
        return [MessageSeen(protocol=Protocol.IMAP, content=content, whole=is_whole)]
    mimes = {name: pieces.mime(name) for name, _ in parts}
    found = [(mimes[name], part) for name, part in parts]
    if text is not None:
        found.append((None, text))
    if header is None and not found:
        return []
    single = (
        header is not None and [name for name, _ in parts] == [b"1"] and not _MULTIPART.search(header.data)
    )
    if single and header is not None and mimes[b"1"] is None and b"content-" in header.data.lower():
        content = Heard.joined([header, parts[0][1]])
        return [MessageSeen(protocol=Protocol.IMAP, content=content, whole=is_whole)]
    unlabelled = [part.spans for name, part in parts if mimes[name] is None]
    content = _assembled(header, found) if found or header is None else header
    events: list[MessageSeen | Malformed] = [
        MessageSeen(protocol=Protocol.IMAP, content=content, whole=is_whole)
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
