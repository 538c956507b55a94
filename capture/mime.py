"""Takes a message apart (RFC 5322; MIME: RFC 2045 to 2047, RFC 2183, RFC 2231) into the fields that leak."""

from __future__ import annotations

import binascii
import email
import hashlib
import re
from dataclasses import dataclass, field
from email.message import Message
from email.policy import Compat32
from email.utils import getaddresses
from html.parser import HTMLParser
from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes

from mailtap.capture import charsets
from mailtap.capture.language import N_
from mailtap.capture.model import Attachment, Field, Source

if TYPE_CHECKING:
    from collections.abc import Iterator

PART_LIMIT = 1_000
"""Parts of one message that are read."""
NESTING_LIMIT = 100
"""Multipart and message declarations in one message beyond which its MIME structure is not read."""
HEADER_LIMIT = 65_536
"""Longest header field read, in bytes."""

TOO_NESTED = N_("a message's MIME structure is too deep or too wide; it was read as plain text")
TOO_MANY_PARTS = N_("a message has more parts than this listener reads")
CUT_ATTACHMENT = N_("the attachment {filename} is not whole")

_CONTAINER = re.compile(rb"^content-type:\s*(?:multipart|message)/", re.IGNORECASE | re.MULTILINE)
_WORD = re.compile(rb"=\?([^?\s*]{1,40})(?:\*[^?\s]{0,20})?\?([BbQq])\?([^?\r\n]*)\?=")
_FOLD = re.compile(rb"\r?\n(?=[ \t])")
_LINE_END = re.compile(r"\r\n?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One field of a message.

    Attributes:
        field: what it is.
        value: its text.
        start: where it stands in the message, with `end`.
        end: where it ends.
        source: for an address, that it was read from a header.
        attachment: for an attachment, the file.
    """

    field: Field
    value: str
    start: int
    end: int
    source: Source | None = None
    attachment: Attachment | None = None


@dataclass(frozen=True, slots=True)
class Contents:
    """What a message holds: its fields, and what could not be read, as note texts with their values."""

    parts: tuple[Part, ...]
    notes: tuple[tuple[str, dict[str, str | int]], ...]


def read(message: bytes, *, whole: bool = True) -> Contents:
    """Return the fields of a message: sender, recipients, subject, body, attachments.

    Args:
        message: header and body, as sent.
        whole: whether this is all of it; if not, its last attachment is not reported.
    """
    reader = _Reader(message, whole=whole)
    reader.read_headers()
    reader.read_parts()
    return Contents(tuple(reader.parts), tuple(reader.notes))


def header_text(raw: bytes) -> str:
    """Return a header's value with folding and encoded words undone (RFC 2047)."""
    raw = _FOLD.sub(b"", raw[:HEADER_LIMIT]).strip()
    pieces: list[tuple[bytes, str | None]] = []
    at = 0
    for word in _WORD.finditer(raw):
        between = raw[at : word.start()]
        if between.strip() or not pieces or pieces[-1][1] is None:
            pieces.append((between, None))
        data, charset = _word_bytes(word), word[1].decode("ascii", "backslashreplace")
        if pieces[-1][1] is not None and pieces[-1][1].lower() == charset.lower():
            data = pieces.pop()[0] + data  # a character may be split between two words
        pieces.append((data, charset))
        at = word.end()
    pieces.append((raw[at:], None))
    return "".join(charsets.decode(data, charset or "") for data, charset in pieces)


def _word_bytes(word: re.Match[bytes]) -> bytes:
    if word[2] in b"Qq":
        return binascii.a2b_qp(word[3], header=True)
    return _lenient_base64(word[3])


def _lenient_base64(data: bytes) -> bytes:
    data = re.sub(rb"[^A-Za-z0-9+/]", b"", data)
    return binascii.a2b_base64(data[: len(data) - (len(data) % 4 == 1)] + b"==")


@dataclass
class _Reader:
    """Reads one message."""

    message: bytes
    whole: bool
    parts: list[Part] = field(default_factory=list)
    notes: list[tuple[str, dict[str, str | int]]] = field(default_factory=list)
    _cursor: int = 0

    def read_headers(self) -> None:
        """Read the addresses and the subject out of the raw header, where their places are known."""
        end = re.search(rb"\r?\n\r?\n|\A\r?\n", self.message)
        head = self.message[: end.start() if end else len(self.message)]
        self._cursor = end.end() if end else len(self.message)
        for name, what in ((b"From", Field.SENDER), (b"To", Field.RECIPIENT), (b"Cc", Field.RECIPIENT)):
            for start, stop in _header_places(head, name):
                for address in _addresses(head[start:stop]):
                    self.parts.append(
                        Part(field=what, value=address, start=start, end=stop, source=Source.HEADER)
                    )
        for start, stop in _header_places(head, b"Subject"):
            self.parts.append(
                Part(field=Field.SUBJECT, value=header_text(head[start:stop]), start=start, end=stop)
            )

    def read_parts(self) -> None:
        """Read the body and the attachments."""
        if len(_CONTAINER.findall(self.message)) > NESTING_LIMIT:
            self.notes.append((TOO_NESTED, {}))
            body = self.message[self._cursor :]
            if body.strip():
                self._add_text([(charsets.decode(body), self._cursor, len(self.message))])
            return
        leaves = list(_leaves(email.message_from_bytes(self.message, policy=_AsSent())))
        if len(leaves) > PART_LIMIT:
            self.notes.append((TOO_MANY_PARTS, {}))
        plain: list[tuple[str, int, int]] = []
        html: list[tuple[str, int, int]] = []
        attachments: list[Part] = []
        for place, leaf in enumerate(leaves[:PART_LIMIT]):
            is_last = place == len(leaves) - 1
            start, end = self._find(leaf)
            if _is_attachment(leaf):
                self._attach(leaf, (start, end), attachments, whole=self.whole or not is_last)
                continue
            text = charsets.decode(_content(leaf), _charset(leaf))
            if _content_type(leaf) == "text/html":
                html.append((html_text(text), start, end))
            else:
                plain.append((text, start, end))
        self._add_text(
            [each for each in plain if each[0].strip()] or [each for each in html if each[0].strip()]
        )
        self.parts += attachments

    def _add_text(self, texts: list[tuple[str, int, int]]) -> None:
        if texts:
            value = "\n".join(_LINE_END.sub("\n", text) for text, _, _ in texts)
            self.parts.append(Part(field=Field.BODY, value=value, start=texts[0][1], end=texts[-1][2]))

    def _attach(self, leaf: Message, place: tuple[int, int], found: list[Part], *, whole: bool) -> None:
        filename = _filename(leaf)
        if not whole:
            self.notes.append((CUT_ATTACHMENT, {"filename": filename}))
            return
        content = _content(leaf)
        attachment = Attachment(
            filename=filename,
            content_type=_content_type(leaf),
            content=content,
            sha256=hashlib.sha256(content).hexdigest(),
        )
        found.append(
            Part(field=Field.ATTACHMENT, value=filename, start=place[0], end=place[1], attachment=attachment)
        )

    def _find(self, leaf: Message) -> tuple[int, int]:
        """Return where a part's payload stands in the message; the rest of it where that cannot be told."""
        raw = leaf.get_payload()
        payload = raw.encode("ascii", "replace") if isinstance(raw, str) else b""
        at = self.message.find(payload, self._cursor) if payload else -1
        if at < 0 and isinstance(raw, str):
            payload = _content(leaf)
            at = self.message.find(payload, self._cursor)
        if at < 0:
            return self._cursor, len(self.message)
        self._cursor = at + len(payload)
        return at, self._cursor


def _header_places(head: bytes, name: bytes) -> Iterator[tuple[int, int]]:
    """Find a field's values, folded lines included (RFC 5322, section 2.2.3)."""
    for found in re.finditer(
        rb"^" + name + rb"[ \t]*:[ \t]*([^\n]*(?:\n[ \t][^\n]*)*)", head, re.IGNORECASE | re.MULTILINE
    ):
        end = found.end() - (1 if found[1].endswith(b"\r") else 0)
        if end > found.start(1):
            yield found.start(1), end


def _addresses(raw: bytes) -> list[str]:
    """Return the addresses of a header; its whole text where none can be told."""
    text = header_text(raw)
    found = [
        address
        for _, address in getaddresses([charsets.decode(_FOLD.sub(b"", raw[:HEADER_LIMIT]))])
        if address
    ]
    return found or ([text] if text else [])


def _leaves(part: Message) -> Iterator[Message]:
    """Walk the parts that hold content."""
    payload = part.get_payload() if part.is_multipart() else None
    if isinstance(payload, list):
        if _content_type(part) == "message/rfc822" and _disposition(part) == "attachment":
            yield part
        for child in payload:
            if isinstance(child, Message):
                yield from _leaves(child)
    else:
        yield part


class _AsSent(Compat32):
    """Hands out header values as they were sent, undecodable bytes as surrogates."""

    def header_fetch_parse(self, name: str, value: str) -> str:  # the policy's own signature
        """Return the value itself."""
        return value


def _header(part: Message, name: str) -> bytes:
    return str(part.get(name, ""))[:HEADER_LIMIT].encode("utf-8", "surrogateescape")


def _disposition(part: Message) -> str:
    value = _header(part, "content-disposition")
    return value.partition(b";")[0].strip().lower().decode("ascii", "backslashreplace")


def _content_type(part: Message) -> str:
    """Return the type in lower case; RFC 2045, section 5.2 names the one to assume."""
    value = _header(part, "content-type").partition(b";")[0].strip().lower()
    return value.decode("ascii", "backslashreplace") if value.count(b"/") == 1 else part.get_default_type()


def _is_attachment(part: Message) -> bool:
    if _disposition(part) == "attachment" or _filename(part):
        return True
    return not _content_type(part).startswith(("text/", "multipart/", "message/delivery-status"))


def _filename(part: Message) -> str:
    disposition = _parameters(_header(part, "content-disposition"))
    return disposition.get("filename") or _parameters(_header(part, "content-type")).get("name", "")


def _charset(part: Message) -> str:
    return _parameters(_header(part, "content-type")).get("charset", "")


_PARAMETER = re.compile(
    rb';\s*([^\s=;*"]{1,80})(?:\*(\d{1,4}))?(\*)?\s*=\s*(?:"((?:\\.|[^"\\])*)"?|([^;]*))', re.DOTALL
)


def _parameters(raw: bytes) -> dict[str, str]:
    """Return a header's parameters by name in lower case (RFC 2045, section 5.1; RFC 2231, sections 3 and 4)."""
    pieces: dict[str, dict[int, tuple[bytes, bool]]] = {}
    for name, number, extended, quoted, bare in _PARAMETER.findall(_FOLD.sub(b"", raw)):
        value = re.sub(rb"\\(.)", rb"\1", quoted) if quoted else bare.strip()
        place = int(number) if number else -1 if extended else -2
        key = name.lower().decode("ascii", "backslashreplace")
        pieces.setdefault(key, {}).setdefault(place, (value, bool(extended)))
    return {name: _join(parts) for name, parts in pieces.items()}


def _join(parts: dict[int, tuple[bytes, bool]]) -> str:
    """Return one parameter's value: RFC 2231's form where it is there, else the plain one."""
    if 0 in parts:
        pieces = [parts[place] for place in range(len(parts)) if place in parts]
    elif -1 in parts:
        pieces = [parts[-1]]
    else:
        return header_text(next(iter(parts.values()))[0])  # encoded words here are wrong and common
    charset, data = b"", pieces[0][0]
    if pieces[0][1] and data.count(b"'") >= 2:  # charset'language'text
        charset, _, data = data.split(b"'", 2)
    rest = b"".join(unquote_to_bytes(piece) if extended else piece for piece, extended in pieces[1:])
    data = unquote_to_bytes(data) if pieces[0][1] else data
    return charsets.decode(data + rest, charset.decode("ascii", "backslashreplace"))


def _content(part: Message) -> bytes:
    """Return a part's bytes with its transfer encoding undone (RFC 2045, section 6)."""
    payload = part.get_payload()
    if isinstance(payload, list):  # an attached message
        return b"".join(
            child.as_bytes(policy=_AsSent(linesep="\r\n")) for child in payload if isinstance(child, Message)
        )
    decoded = part.get_payload(decode=True)
    return decoded if isinstance(decoded, bytes) else b""


def html_text(html: str) -> str:
    """Return the text of an HTML page, its markup dropped."""
    collector = _TextOfHtml()
    collector.feed(html)
    collector.close()
    return re.sub(r"\n{3,}", "\n\n", "".join(collector.pieces)).strip()


class _TextOfHtml(HTMLParser):
    """Collects the text between tags."""

    _SILENT = frozenset({"script", "style", "head", "title"})
    _BREAKS = frozenset({"br", "p", "div", "tr", "li", "h1", "h2", "h3", "table", "blockquote", "pre"})

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.pieces: list[str] = []
        self._silent = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Begin a line where the tag does, and fall silent where its content is not shown."""
        self._silent += tag in self._SILENT
        if tag in self._BREAKS:
            self.pieces.append("\n")

    def handle_endtag(self, tag: str) -> None:
        """Speak again."""
        self._silent -= tag in self._SILENT and self._silent > 0

    def handle_data(self, data: str) -> None:
        """Keep the text, its white space joined as a browser does."""
        if not self._silent:
            self.pieces.append(re.sub(r"\s+", " ", data))
