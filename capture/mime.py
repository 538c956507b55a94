"""Takes a message apart (RFC 5322; MIME: RFC 2045 to 2047, RFC 2183, RFC 2231) into the fields that leak."""

from __future__ import annotations

import email
import hashlib
import re
from dataclasses import dataclass, field
from email.message import Message
from email.policy import Compat32
from typing import TYPE_CHECKING

from mailtap.capture import charsets, headers
from mailtap.capture.html import html_text
from mailtap.capture.language import N_
from mailtap.capture.model import Attachment, Field, Source

if TYPE_CHECKING:
    from collections.abc import Iterator

PART_LIMIT = 1_000
"""Parts of one message that are read."""
NESTING_LIMIT = 100
"""Multipart and message declarations in one message beyond which its MIME structure is not read."""

TOO_NESTED = N_("a message's MIME structure is too deep or too wide; it was read as plain text")
TOO_MANY_PARTS = N_("a message has more parts than this listener reads")
CUT_ATTACHMENT = N_("the attachment {filename} is not whole")

_CONTAINER = re.compile(rb"^content-type:\s*(?:multipart|message)/", re.IGNORECASE | re.MULTILINE)
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
            for start, stop in headers.places(head, name):
                for address in headers.addresses(head[start:stop]):
                    self.parts.append(
                        Part(field=what, value=address, start=start, end=stop, source=Source.HEADER)
                    )
        for start, stop in headers.places(head, b"Subject"):
            self.parts.append(
                Part(field=Field.SUBJECT, value=headers.text(head[start:stop]), start=start, end=stop)
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

    def header_fetch_parse(self, name: str, value: str) -> str:  # noqa: ARG002  # the base class has it  # the policy's own signature
        """Return the value itself."""
        return value


def _header(part: Message, name: str) -> bytes:
    return str(part.get(name, ""))[: headers.HEADER_LIMIT].encode("utf-8", "surrogateescape")


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
    disposition = headers.parameters(_header(part, "content-disposition"))
    return disposition.get("filename") or headers.parameters(_header(part, "content-type")).get("name", "")


def _charset(part: Message) -> str:
    return headers.parameters(_header(part, "content-type")).get("charset", "")


def _content(part: Message) -> bytes:
    """Return a part's bytes with its transfer encoding undone (RFC 2045, section 6)."""
    payload = part.get_payload()
    if isinstance(payload, list):  # an attached message
        return b"".join(
            child.as_bytes(policy=_AsSent(linesep="\r\n")) for child in payload if isinstance(child, Message)
        )
    decoded = part.get_payload(decode=True)
    return decoded if isinstance(decoded, bytes) else b""
