"""A message cut into its MIME parts, byte for byte (RFC 2046; RFC 3501, section 6.4.5)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from email.parser import BytesParser
from email.policy import Compat32
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from email.message import Message as Header

_BLANK: Final = b"\r\n\r\n"
_DEEPEST: Final = 20  # parts in parts; deeper ones are served as they are, uncut
_MOST: Final = 200  # parts of one multipart
_WITH_PARAMETERS: Final = frozenset({"content-type", "content-disposition"})
_LONGEST_READ: Final = 16 * 1024  # characters of such a field
_MOST_PARAMETERS: Final = 100
_LONG_NUMBER: Final = re.compile(r"\*(?=\d{5})")  # of a parameter's piece (RFC 2231, section 3)


class _AsSent(Compat32):
    """Gives fields as they were sent: bytes that are no ASCII as surrogate escapes, and always as a text.

    Of a field with parameters it gives the beginning: the standard library reads them in a time that grows
    with their length times their number. Nor does it read numbers of any length.
    """

    def header_fetch_parse(self, name: str, value: str) -> str:
        """Return a field's value."""
        if name.lower() not in _WITH_PARAMETERS:
            return value
        parameters = value[:_LONGEST_READ].split(";", _MOST_PARAMETERS)[:_MOST_PARAMETERS]
        pairs = [parameter.partition("=") for parameter in parameters]
        return ";".join(_LONG_NUMBER.sub("*_", name) + equals + said for name, equals, said in pairs)


_HEADERS: Final = BytesParser(policy=_AsSent())


@dataclass(frozen=True, slots=True)
class Part:
    """A message or a part of one.

    Attributes:
        head: its header, with the blank line.
        body: what follows, as it is.
        header: the header, parsed.
        children: the parts of a multipart; of a message/rfc822, the message in it.
    """

    head: bytes
    body: bytes
    header: Header
    children: tuple[Part, ...] = ()

    @property
    def multipart(self) -> bool:
        """Whether there are parts in it."""
        return bool(self.children) and not self.message

    @property
    def message(self) -> bool:
        """Whether it is a message in a message (RFC 2046, section 5.2.1)."""
        return self.header.get_content_type() == "message/rfc822"


def cut(content: bytes, depth: int = 0, kind: str = "text/plain") -> Part:
    """Return a message with its parts.

    Args:
        content: the message, lines ended by CRLF.
        depth: how many parts it is within.
        kind: what it is where it does not say; in a digest, a message (RFC 2046, section 5.1.5).
    """
    head, body = split(content)
    header = _HEADERS.parsebytes(head, headersonly=True)
    header.set_default_type(kind)
    return Part(head, body, header, () if depth > _DEEPEST else tuple(_children(header, body, depth)))


def header_of(content: bytes) -> Header:
    """Return a message's header, parsed."""
    return _HEADERS.parsebytes(split(content)[0], headersonly=True)


def split(content: bytes) -> tuple[bytes, bytes]:
    """Return header, with the blank line at its end, and body."""
    if content.startswith(b"\r\n"):
        return b"\r\n", content[2:]
    head, blank, body = content.partition(_BLANK)
    return head + blank, body


def _children(header: Header, body: bytes, depth: int) -> list[Part]:
    if header.get_content_type() == "message/rfc822":
        return [cut(body, depth + 1)]
    boundary = _boundary(header) if header.get_content_maintype() == "multipart" else b""
    if not boundary:
        return []
    # The line end before a boundary belongs to the boundary (RFC 2046, section 5.1.1).
    mark = re.escape(boundary)
    between = re.split(rb"(?:\A|\r\n)--" + mark + rb"(--)?[ \t]*(?=\r\n|\Z)", body, maxsplit=_MOST)
    kind = "message/rfc822" if header.get_content_type() == "multipart/digest" else "text/plain"
    found = []
    for end, piece in zip(between[1::2], between[2::2], strict=True):
        if end:
            break
        found.append(cut(piece.removeprefix(b"\r\n"), depth + 1, kind))
    return found


def _boundary(header: Header) -> bytes:
    """Return the boundary of a multipart; nothing where it has none."""
    try:
        return (header.get_boundary() or "").encode("utf-8", "surrogateescape")
    except ValueError:  # it is not in the charset that it claims (RFC 2231, section 4)
        return b""
