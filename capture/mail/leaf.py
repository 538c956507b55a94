"""A part of a message that holds content, and what its header fields say of it (RFC 2045, RFC 2183)."""

from __future__ import annotations

import re
from typing import NamedTuple

from mailtap.capture.mail import headers

_FIRST_WORD = re.compile(rb"\s*([^\s;]*)")
PART_LIMIT = 1_000
"""Parts of one message that are read."""
REPORTS = frozenset({
    "message/delivery-status", "message/disposition-notification", "message/feedback-report",
    "message/global-delivery-status", "message/global-disposition-notification",
})  # fmt: skip
"""Content types of header fields that are to be read (RFC 3464, RFC 8098, RFC 5965, RFC 6533)."""
ALTERNATIVE = "multipart/alternative"
"""The content type whose parts all say the same (RFC 2046, section 5.1.4)."""


class Leaf(NamedTuple):
    """A part that holds content.

    Attributes:
        content_type: in lower case, without parameters.
        charset: as labelled; empty where there is no label.
        filename: empty where none was given.
        is_attachment: whether it is a file of its own and no text to be read.
        content: the bytes, transfer encoding undone.
        raw: the bytes as sent, where it is not known where they stand.
        place: where they stand in the message, where that is known.
        choices: each multipart/alternative around it, the outermost first: its number in the message, and the
            number of its part that this one is, or is in.
    """

    content_type: str
    charset: str
    filename: str
    is_attachment: bool
    content: bytes
    raw: bytes = b""
    place: tuple[int, int] | None = None
    choices: tuple[tuple[int, int], ...] = ()


def make_leaf(kind: bytes, disposition: bytes, content: bytes, default: str = "text/plain") -> Leaf:
    """Return the leaf that its header fields describe.

    Args:
        kind: the value of its Content-Type.
        disposition: the value of its Content-Disposition.
        content: its bytes, transfer encoding undone.
        default: the content type to assume where `kind` names none.
    """
    content_type = type_of(kind, default)
    parameters = headers.parameters(kind)
    filename = headers.parameters(disposition).get("filename") or parameters.get("name", "")
    is_text = content_type.startswith(("text/", "multipart/")) or content_type in REPORTS
    return Leaf(
        content_type=content_type,
        charset=parameters.get("charset", ""),
        filename=filename,
        is_attachment=word(disposition) == "attachment" or bool(filename) or not is_text,
        content=content,
    )


def type_of(kind: bytes, default: str) -> str:
    """Return the content type in lower case; RFC 2045, section 5.2 names the one to assume."""
    return named if (named := word(kind)).count("/") == 1 else default


def word(value: bytes) -> str:
    """Return what stands before a field's parameters, in lower case, even where no semicolon divides them."""
    found = _FIRST_WORD.match(value)
    return (found[1] if found else b"").lower().decode("ascii", "backslashreplace")
