"""What a mail program shows of a message: all its texts, decoded, whatever part or header they stand in."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from functools import cached_property
from html import unescape
from typing import TYPE_CHECKING

from mailtap.capture.mail import charsets, headers, parts
from mailtap.capture.mail.html import html_text
from mailtap.capture.mail.leaf import PART_LIMIT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mailtap.capture.model import Evidence


@dataclass(frozen=True)
class HeardMail:
    """A message that crossed the wire.

    Attributes:
        content: header and body, as sent.
        evidence: where it crossed.
    """

    content: bytes
    evidence: Evidence

    @cached_property
    def texts(self) -> tuple[str, ...]:
        """Its header fields, its text parts, and of HTML also the source (links), in one line each."""
        return tuple(one_line(text) for text in _texts(self.content))


def one_line(text: str) -> str:
    """Return a text with each white space, line ends too, as one space, and characters composed (NFC)."""
    return " ".join(unicodedata.normalize("NFC", text).split())


def _texts(message: bytes) -> Iterator[str]:
    found = headers.END.search(message)
    end, start_of_body = found.span() if found else (len(message), len(message))
    head = message[: min(end, headers.HEAD_LIMIT)]
    for _, start, end in headers.fields(head):
        yield headers.text(head[start:end])
    try:
        leaves = parts.leaves(message)[:PART_LIMIT]
    except parts.TooComplexError:
        yield charsets.decode(message[start_of_body:])
        return
    for leaf in leaves:
        if not leaf.is_attachment:
            text = charsets.decode(leaf.content, leaf.charset)
            yield text
            if leaf.content_type == "text/html":
                yield unescape(text)
                yield html_text(text)
