"""Recognises webmail in HTTP: its login forms, its message pages, and the signs that a site is one.

A user name and a password in a form are common on the web; mail they are only where something says so:
the names of a webmail's own fields, cookies or paths, or a login page with a webmail's title. All of it
is what Roundcube, SquirrelMail and Horde IMP really send; `docs/supported.md` lists it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote_to_bytes

from mailtap.capture.events import Heard, MessageSeen
from mailtap.capture.mail.html import html_text
from mailtap.capture.model import Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_PRODUCTS = rb"webmail|roundcube(?:mail)?|squirrelmail|rainloop|snappymail|sogo|horde/imp"
_PLACE = re.compile(rb"(?:^|/)(?:" + _PRODUCTS + rb")(?=[/?]|$)", re.IGNORECASE)
_HOST = re.compile(rb"webmail\.", re.IGNORECASE)
_COOKIE = re.compile(rb"(?:^|;\s*)(?:roundcube_sess(?:id|auth)|SQMSESSID|squirrelmail_language)=")
_TITLE = re.compile(rb"<title>[^<]{0,200}?\b(?:webmail|roundcube|squirrelmail)\b", re.IGNORECASE)
_PASSWORD_INPUT = re.compile(rb"<input\b[^<>]{0,500}?\btype=[\"']?password\b", re.IGNORECASE)

# Field names that are a sign by themselves, and those that many sites have.
_OWN = ((b"_user", b"_pass"), (b"login_username", b"secretkey"), (b"horde_user", b"horde_pass"))
_USERS = (b"username", b"user", b"login", b"email")
_PASSWORDS = (b"password", b"passwd", b"pass")

_PAIR = re.compile(rb"(?:^|&)([^&=]{1,100})=([^&]*)")
_BOUNDARY = re.compile(rb'boundary=(?:"([^"]{1,70})"|([^\s;"]{1,70}))', re.IGNORECASE)
_PART_NAME = re.compile(
    rb'^content-disposition:\s*form-data;.{0,200}?\bname="([^"\r\n]{1,100})"', re.IGNORECASE | re.MULTILINE
)
_MOST_FIELDS = 200

# A header's cell on a message page, and the element that holds the body (Roundcube).
_CELL = re.compile(
    rb'<(td|span|h2)\b[^<>]{0,200}?\bclass="header (subject|from|to|cc)"[^<>]{0,200}>', re.IGNORECASE
)
_BODY = re.compile(rb'<div\b[^<>]{0,200}?\bclass="message-(?:part|htmlpart)"[^<>]{0,200}>', re.IGNORECASE)
_DIV = re.compile(rb"<(/?)div\b", re.IGNORECASE)
_CHARSET = re.compile(rb"charset=[\"']?([A-Za-z0-9._:-]{1,40})", re.IGNORECASE)
_MOST_CELLS = 100
_HEADER = re.compile(rb"(?:[!-9;-~]{1,80}:[^\r\n]*\r?\n(?:[ \t][^\r\n]*\r?\n)*){2,}\r?\n")


def signed(target: bytes, fields: Mapping[bytes, bytes]) -> bool:
    """Tell whether a request goes to a webmail, by its path, its host or its cookies."""
    path = target.partition(b"?")[0]
    return bool(
        _PLACE.search(path)
        or _HOST.match(fields.get(b"host", b""))
        or _COOKIE.search(fields.get(b"cookie", b""))
    )


def is_login_page(page: bytes) -> bool:
    """Tell whether a page asks for a password."""
    return bool(_PASSWORD_INPUT.search(page))


def is_webmail_login_page(page: bytes) -> bool:
    """Tell whether a page asks for a password, and has a webmail's title."""
    return is_login_page(page) and bool(_TITLE.search(page))


def credentials(form: Heard, content_type: bytes, *, sign: bool) -> tuple[Heard, Heard] | None:
    """Return user name and password in a webmail's login form; None where it is no such form.

    Args:
        form: the request's content.
        content_type: the request's field of that name.
        sign: whether something else says that this is webmail.
    """
    kind = content_type.partition(b";")[0].strip().lower()
    reader = _READERS.get(kind)
    if reader is None:
        return None
    fields: dict[bytes, _Value] = {}
    for name, value in reader(form.data, content_type):
        fields.setdefault(name if name.startswith(b"_") else name.lower(), value)
        if len(fields) >= _MOST_FIELDS:
            break
    pairs = list(_OWN)
    if sign:
        pairs += [(user, password) for user in _USERS for password in _PASSWORDS]
    for user, password in pairs:
        if user in fields and password in fields and fields[user].data and fields[password].data:
            first, second = fields[user], fields[password]
            return (
                Heard(first.data, form.cut(first.start, first.end)),
                Heard(second.data, form.cut(second.start, second.end)),
            )
    return None


class _Value(NamedTuple):
    """The value of a form's field, and where it stands in the form."""

    data: bytes
    start: int
    end: int


def _urlencoded(form: bytes, _content_type: bytes) -> Iterator[tuple[bytes, _Value]]:
    """Yield a form's fields (URL Standard, section 5.1)."""
    for found in _PAIR.finditer(form):
        value = unquote_to_bytes(found[2].replace(b"+", b" "))
        yield unquote_to_bytes(found[1].replace(b"+", b" ")), _Value(value, *found.span(2))


def _multipart(form: bytes, content_type: bytes) -> Iterator[tuple[bytes, _Value]]:
    """Yield a form's fields (RFC 7578)."""
    boundary = _BOUNDARY.search(content_type)
    if boundary is None:
        return
    mark = b"--" + (boundary[1] or boundary[2])
    at = form.find(mark)
    while at >= 0 and (end := form.find(b"\r\n" + mark, at)) >= 0:
        head = form.find(b"\r\n\r\n", at, end)
        if head >= 0 and (name := _PART_NAME.search(form[at:head])):
            yield name[1], _Value(form[head + 4 : end], head + 4, end)
        at = end + 2


_READERS = {b"application/x-www-form-urlencoded": _urlencoded, b"multipart/form-data": _multipart}


def source(content: Heard, *, whole: bool) -> MessageSeen | None:
    """Return the message that a webmail hands out as it is ("show source", "download")."""
    if not _HEADER.match(content.data):
        return None
    return MessageSeen(protocol=Protocol.HTTP, content=content, whole=whole)


def message_page(page: Heard, content_type: bytes, *, whole: bool) -> MessageSeen | None:
    """Return the message that a page shows; None where it shows none, or no text of one."""
    charset = _CHARSET.search(content_type) or _CHARSET.search(page.data[:1024])
    label = charset[1] if charset else b"utf-8"
    body = _BODY.search(page.data)
    if body is None:
        return None
    header = list(_cells(page, label.decode("ascii"), body.start()))
    if not header:
        return None
    end = _end_of_div(page.data, body.end())
    pieces = [*header, Heard(b"Content-Type: text/html; charset=" + label + b"\r\n\r\n", ())]
    if body.end() < end:
        pieces.append(Heard(page.data[body.end() : end], page.cut(body.end(), end)))
    return MessageSeen(protocol=Protocol.HTTP, content=Heard.joined(pieces), whole=whole)


def _cells(page: Heard, charset: str, before: int) -> Iterator[Heard]:
    """Yield the header fields that stand on a page in cells of their own."""
    for count, cell in enumerate(_CELL.finditer(page.data, 0, before)):
        end = page.data.find(b"</" + cell[1], cell.end(), before)
        if end < 0 or count >= _MOST_CELLS:
            return
        raw = page.data[cell.end() : end]
        try:
            shown = html_text(raw.decode(charset, "replace"))
        except LookupError:
            shown = html_text(raw.decode("utf-8", "replace"))
        value = " ".join(shown.split()).encode("utf-8", "replace")
        if value:
            yield Heard(cell[2].title() + b": ", ())
            yield Heard(value, page.cut(cell.end(), end))
            yield Heard(b"\r\n", ())


def _end_of_div(page: bytes, start: int) -> int:
    """Return where the element ends that was opened before `start`."""
    depth = 1
    for found in _DIV.finditer(page, start):
        depth += -1 if found[1] else 1
        if not depth:
            return found.start()
    return len(page)
