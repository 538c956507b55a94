"""What a message says with its encodings undone, for SEARCH (RFC 3501, section 6.4.4; RFC 2045 and 2047)."""

from __future__ import annotations

import binascii
import quopri
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mailtap.servers.imap.parts import Part


def field(value: str) -> tuple[str, ...]:
    """Return the readings of a header field: its encoded words undone, and as it was sent.

    Args:
        value: the field's value; bytes that are no ASCII as surrogate escapes.
    """
    sent = value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    try:
        return str(make_header(decode_header(sent))), sent
    except (HeaderParseError, ValueError, LookupError):  # such as a charset that is none
        return (sent,)


def texts(part: Part) -> Iterator[str]:
    """Yield each text in a message, decoded; what cannot be decoded becomes replacement characters."""
    for child in part.children:
        yield from texts(child)
    if not part.children and part.header.get_content_maintype() == "text":
        octets = _transferred(part)
        try:
            yield octets.decode(str(part.header.get_param("charset", "utf-8")), "replace")
        except (ValueError, LookupError):  # a charset that is none
            yield octets.decode("utf-8", "replace")


def _transferred(part: Part) -> bytes:
    """Return a part's octets with the transfer encoding undone (RFC 2045, section 6)."""
    encoding = str(part.header.get("Content-Transfer-Encoding", "")).strip().lower()
    try:
        if encoding == "base64":
            return binascii.a2b_base64(part.body)
    except binascii.Error:
        return part.body
    return quopri.decodestring(part.body) if encoding == "quoted-printable" else part.body
