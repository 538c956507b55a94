"""ENVELOPE, BODY and BODYSTRUCTURE of a message (RFC 3501, section 7.4.2)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias
from urllib.parse import quote

from mailtap.servers.imap.addresses import addresses
from mailtap.servers.imap.replies import NIL, listed, string

if TYPE_CHECKING:
    from collections.abc import Iterable
    from email.message import Message as Header

    from mailtap.servers.parts import Part

# A parameter's charset, language, and octets as Latin-1: how the standard library tells RFC 2231.
_Extended: TypeAlias = tuple[str | None, str | None, str]

_MOST_READ: Final = 64 * 1024  # characters of the fields of one name that are read for addresses
_COMPOSITE: Final = ("multipart/", "message/rfc822")
_ADDRESSES: Final = ("From", "Sender", "Reply-To", "To", "Cc", "Bcc")
_DEFAULT_TO_FROM: Final = frozenset({"Sender", "Reply-To"})
_US_ASCII: Final = b'("CHARSET" "US-ASCII")'  # of a text that does not say (RFC 2046, section 4.1.2)


def envelope(part: Part) -> bytes:
    """Return the ENVELOPE of a message; fields that are not there are NIL."""
    header = part.header
    fields = (
        string(_field(header, "Date")),
        string(_field(header, "Subject")),
        *_people(header),
        string(_field(header, "In-Reply-To")),
        string(_field(header, "Message-ID")),
    )
    return b"(" + b" ".join(fields) + b")"


def body(part: Part, *, extended: bool) -> bytes:
    """Return BODYSTRUCTURE, or BODY, which is the same without what extends it."""
    if part.multipart:
        inner = b"".join(body(child, extended=extended) for child in part.children)
        fields = [inner + b" " + string(part.header.get_content_subtype().upper())]
        extension = [_parameters(part.header.get_params()), *_extension(part)]
    else:
        fields = [*_single(part), *_of_type(part, extended=extended)]
        extension = [NIL, *_extension(part)]  # no MD5
    return b"(" + b" ".join((*fields, *(extension if extended else ()))) + b")"


def _single(part: Part) -> list[bytes]:
    header = part.header
    kind = header.get_content_type()
    if not part.children and kind.startswith(_COMPOSITE):  # uncut: the grammar has no such part
        kind = "application/octet-stream"
    maintype, _, subtype = kind.upper().partition("/")
    return [
        string(maintype),
        string(subtype),
        _parameters(header.get_params()) if "Content-Type" in header or part.message else _US_ASCII,
        string(_field(header, "Content-ID")),
        string(_field(header, "Content-Description")),
        string((_field(header, "Content-Transfer-Encoding") or "7BIT").upper()),
        b"%d" % len(part.body),
    ]


def _of_type(part: Part, *, extended: bool) -> list[bytes]:
    """Return what only texts and messages have."""
    lines = b"%d" % part.body.count(b"\n")
    if part.message and part.children:
        inner = part.children[0]
        return [envelope(inner), body(inner, extended=extended), lines]
    return [lines] if part.header.get_content_maintype() == "text" else []


def _extension(part: Part) -> list[bytes]:
    """Return disposition, language and location."""
    disposition = part.header.get_content_disposition()
    told = NIL
    if disposition:
        parameters = part.header.get_params(header="Content-Disposition")
        told = listed((string(disposition.upper()), _parameters(parameters)))
    return [told, NIL, NIL]


def _parameters(parameters: Iterable[tuple[str, str | _Extended]] | None) -> bytes:
    """Return the parameters of a field without its value, which comes first."""
    _, *pairs = parameters or [("", "")]
    return listed(string(text) for name, value in pairs for text in _parameter(name.upper(), value))


def _parameter(name: str, value: str | _Extended) -> tuple[str, str]:
    """Return a parameter's name and value; one with a charset as RFC 2231, section 4, writes it."""
    if isinstance(value, str):
        return name, value
    charset, language, octets = value
    return f"{name}*", f"{charset or ''}'{language or ''}'{quote(octets, '', 'latin-1', 'replace')}"


def _people(header: Header) -> list[bytes]:
    """Return the addresses of each field; Sender and Reply-To are From's where they have none."""
    sender = _addresses(header, "From")
    return [
        sender if found == NIL and name in _DEFAULT_TO_FROM else found
        for name in _ADDRESSES
        for found in (sender if name == "From" else _addresses(header, name),)
    ]


def _addresses(header: Header, name: str) -> bytes:
    found, left = b"", _MOST_READ
    for value in map(str, header.get_all(name, [])):
        whole = value if len(value) <= left else value[:left].rpartition(",")[0]
        found += b"".join(addresses(whole))
        left = max(0, left - len(value))
    return b"(" + found + b")" if found else NIL  # no spaces between addresses (RFC 3501, section 9, env-to)


def _field(header: Header, name: str) -> str | None:
    """Return a field in one line, as it was sent."""
    value = header.get(name)
    return None if value is None else " ".join(str(value).split())
