"""A message cut into its MIME parts, byte for byte (RFC 2046; RFC 3501, section 6.4.5)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from email.parser import BytesParser
from email.policy import Compat32
from itertools import islice
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator
    from email.message import Message as Header

_BLANK: Final = b"\r\n\r\n"
_DEEPEST: Final = 20  # parts in parts; deeper ones are served as they are, uncut
_MOST: Final = 200  # parts of one multipart
_MOST_ALTOGETHER: Final = 1000  # parts of one message
_LONGEST_HEAD: Final = 256 * 1024  # octets of a header that are parsed
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


def cut(content: bytes) -> Part:
    """Return a message with its parts.

    Args:
        content: the message, lines ended by CRLF.
    """
    return _cut(content, 0, "text/plain", iter(range(_MOST_ALTOGETHER)))


def header_of(content: bytes) -> Header:
    """Return a message's header, parsed."""
    return _parsed(split(content)[0])


def split(content: bytes) -> tuple[bytes, bytes]:
    """Return header, with the blank line at its end, and body."""
    if content.startswith(b"\r\n"):
        return b"\r\n", content[2:]
    head, blank, body = content.partition(_BLANK)
    return head + blank, body


def _cut(content: bytes, depth: int, kind: str, left: Iterator[int]) -> Part:
    """Return a message or a part with its parts.

    Args:
        content: the message.
        depth: how many parts it is within.
        kind: what it is where it does not say; in a digest, a message (RFC 2046, section 5.1.5).
        left: how many more parts may be cut out.
    """
    head, body = split(content)
    header = _parsed(head)
    header.set_default_type(kind)
    children = [] if depth > _DEEPEST else list(_children(header, body, depth, left))
    return Part(head, body, header, tuple(children))


def _parsed(head: bytes) -> Header:
    return _HEADERS.parsebytes(head[:_LONGEST_HEAD], headersonly=True)


def _children(header: Header, body: bytes, depth: int, left: Iterator[int]) -> Iterator[Part]:
    if header.get_content_type() == "message/rfc822":
        yield _cut(body, depth + 1, "text/plain", left)
    boundary = _boundary(header) if header.get_content_maintype() == "multipart" else b""
    if not boundary:
        return
    kind = "message/rfc822" if header.get_content_type() == "multipart/digest" else "text/plain"
    for piece in islice(_pieces(body, boundary), _MOST):
        if next(left, None) is None:
            return
        yield _cut(piece, depth + 1, kind, left)


def _pieces(body: bytes, boundary: bytes) -> Iterator[bytes]:
    """Yield what stands between boundaries, without the line end before each (RFC 2046, section 5.1.1)."""
    begin = -1
    # Whether a line begins there is asked afterwards: a pattern that begins with fixed text is quick.
    for mark in re.finditer(rb"--" + re.escape(boundary) + rb"(--)?[ \t]*(?=\r\n|\Z)", body):
        at = mark.start()
        if at and body[max(0, at - 2) : at] != b"\r\n":
            continue
        if begin >= 0:
            yield body[begin : max(begin, at - 2)]
        if mark[1]:
            return
        begin = mark.end() + 2
    if begin >= 0:
        yield body[begin:]


def _boundary(header: Header) -> bytes:
    """Return the boundary of a multipart; nothing where it has none."""
    try:
        return (header.get_boundary() or "").encode("utf-8", "surrogateescape")
    except ValueError:  # it is not in the charset that it claims (RFC 2231, section 4)
        return b""
