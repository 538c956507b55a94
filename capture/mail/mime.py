"""Takes a message apart (RFC 5322; MIME: RFC 2045 to 2047, RFC 2183, RFC 2231) into the fields that leak."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from operator import itemgetter
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from mailtap.capture.language import N_
from mailtap.capture.mail import charsets, headers, parts
from mailtap.capture.mail.html import html_text
from mailtap.capture.mail.leaf import PART_LIMIT
from mailtap.capture.model import Attachment, Field, Source

if TYPE_CHECKING:
    from mailtap.capture.mail.leaf import Leaf

NAME_LIMIT = 10_000
"""Addresses and subjects in one message's header that are read."""

TOO_COMPLEX = N_("A message's MIME structure is more than this listener reads; it was read as plain text.")
TOO_MANY_PARTS = N_("A message has more parts than this listener reads.")
TOO_LONG_A_HEADER = N_("A message's header is longer than this listener reads.")
CUT_ATTACHMENT = N_("The attachment {filename} is not whole.")

# What is read, and its place among the others. Bcc crosses where a client keeps a copy of what it sent
# (APPEND), and fetches it again.
_NAMED = MappingProxyType(
    {
        b"from": (0, Field.SENDER),
        b"to": (1, Field.RECIPIENT),
        b"cc": (2, Field.RECIPIENT),
        b"bcc": (3, Field.RECIPIENT),
        b"subject": (4, Field.SUBJECT),
    }
)

_RANKS = MappingProxyType({"text/plain": 0, "text/html": 1})  # of the parts of a multipart/alternative


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
    _found: tuple[bytes, tuple[int, int]] = (b"", (0, 0))

    def read_headers(self) -> None:
        """Read the addresses and the subject out of the raw header, where their places are known."""
        end = headers.END.search(self.message)
        size = end.start() if end else len(self.message)
        head = self.message[: min(size, headers.HEAD_LIMIT)]
        self._cursor = end.end() if end else len(self.message)
        named: list[tuple[int, Part]] = []
        cut = len(head) < size
        for name, start, end_of_value in headers.fields(head):
            if name not in _NAMED or start == end_of_value:
                continue
            if len(named) >= NAME_LIMIT:
                cut = True
                break
            place, what = _NAMED[name]
            stop = min(end_of_value, start + headers.HEADER_LIMIT)
            cut = cut or stop < end_of_value
            value = head[start:stop]
            if what is Field.SUBJECT:
                named.append((place, Part(field=what, value=headers.text(value), start=start, end=stop)))
            else:
                named += [
                    (place, Part(field=what, value=each, start=start, end=stop, source=Source.HEADER))
                    for each in headers.addresses(value)
                ]
        named.sort(key=itemgetter(0))
        self.parts += [part for _, part in named]
        if cut:
            self.notes.append((TOO_LONG_A_HEADER, {}))

    def read_parts(self) -> None:
        """Read the body and the attachments."""
        try:
            leaves = parts.leaves(self.message)
        except parts.TooComplexError:
            self.notes.append((TOO_COMPLEX, {}))
            body = self.message[self._cursor :]
            if body.strip():
                self._add_text([_Text(charsets.decode(body), self._cursor, len(self.message))])
            return
        if len(leaves) > PART_LIMIT:
            self.notes.append((TOO_MANY_PARTS, {}))
        texts: list[_Placed] = []
        attachments: list[Part] = []
        for leaf in leaves[:PART_LIMIT]:
            start, end = self._find(leaf)
            if leaf.is_attachment:
                self._attach(leaf, start, end, attachments, whole=self.whole or leaf is not leaves[-1])
            else:
                texts.append(_Placed(leaf, start, end))
        self._add_text(_chosen(texts))
        self.parts += attachments

    def _add_text(self, texts: list[_Text]) -> None:
        if texts:
            value = "\n".join(each.text.replace("\r\n", "\n").replace("\r", "\n") for each in texts)
            self.parts.append(Part(field=Field.BODY, value=value, start=texts[0].start, end=texts[-1].end))

    def _attach(self, leaf: Leaf, start: int, end: int, found: list[Part], *, whole: bool) -> None:
        if not whole:
            self.notes.append((CUT_ATTACHMENT, {"filename": leaf.filename}))
            return
        attachment = Attachment(
            filename=leaf.filename,
            content_type=leaf.content_type,
            content=leaf.content,
            sha256=hashlib.sha256(leaf.content).hexdigest(),
            text=charsets.decode(leaf.content, leaf.charset)
            if leaf.content_type.startswith("text/")
            else None,
        )
        found.append(
            Part(field=Field.ATTACHMENT, value=leaf.filename, start=start, end=end, attachment=attachment)
        )

    def _find(self, leaf: Leaf) -> tuple[int, int]:
        """Return where a part's payload stands in the message; the rest of it where that cannot be told."""
        if leaf.place is not None and leaf.place[0] < leaf.place[1]:
            self._cursor = leaf.place[1]
            return leaf.place
        if leaf.raw and leaf.raw is self._found[0]:
            return self._found[1]  # parts of a message that was sent encoded, as one
        for payload in (leaf.raw, leaf.content):
            at = self.message.find(payload, self._cursor) if payload else -1
            if at >= 0:
                self._cursor = at + len(payload)
                self._found = leaf.raw, (at, self._cursor)
                return self._found[1]
        return self._cursor, len(self.message)


class _Placed(NamedTuple):
    """A part that is read as text, and where it stands in the message."""

    leaf: Leaf
    start: int
    end: int


class _Text(NamedTuple):
    """A text part, and where it stands in the message."""

    text: str
    start: int
    end: int


def _chosen(placed: list[_Placed], depth: int = 0) -> list[_Text]:
    """Return the texts to show, in their order: of each multipart/alternative those of one part.

    Args:
        placed: the parts, which are all in the same alternatives.
        depth: how many these are.
    """
    texts: list[_Text] = []
    branches: dict[int, list[_Placed]] = {}
    number = -1
    for each in placed:
        choices = each.leaf.choices
        if branches and (len(choices) <= depth or choices[depth][0] != number):
            texts += _best(branches, depth)
            branches = {}
        if len(choices) > depth:
            number, branch = choices[depth]
            branches.setdefault(branch, []).append(each)
        elif text := _shown(each):
            texts.append(text)
    return texts + _best(branches, depth)


def _best(branches: dict[int, list[_Placed]], depth: int) -> list[_Text]:
    """Return the texts of the best part of a multipart/alternative that has any."""
    for branch in sorted(branches.values(), key=_rank):
        if texts := _chosen(branch, depth + 1):
            return texts
    return []


def _rank(branch: list[_Placed]) -> int:
    return min([_RANKS.get(each.leaf.content_type, 2) for each in branch])


def _shown(placed: _Placed) -> _Text | None:
    """Return a part's text; None where it has none."""
    text = charsets.decode(placed.leaf.content, placed.leaf.charset)
    if placed.leaf.content_type == "text/html":
        text = html_text(text)
    return _Text(text, placed.start, placed.end) if text.strip() else None
