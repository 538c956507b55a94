"""A toy webmail without I/O: a login form, the list of messages, a page and the source of each, and logout.

Everything that came from outside is escaped by the standard library's `html.escape`. The pages' markup is
what webmails have: a table of header cells, an element for the message's text.
"""

from __future__ import annotations

import html
import re
from collections import OrderedDict
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qs

from mailtap.servers import reading
from mailtap.servers.parts import cut, header_of
from mailtap.servers.service import WEBMAIL

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from email.message import Message as Header

    from mailtap.servers.accounts import Accounts
    from mailtap.servers.mailbox import Mailboxes, Message
    from mailtap.servers.parts import Part

_COOKIE: Final = "webmail_session"
_SESSIONS_KEPT: Final = 100
_AUTHORITY: Final = re.compile(r"^https?://[^/?]*", re.IGNORECASE)  # a proxy's form (RFC 9112, section 3.2.2)
_LOGIN: Final = (
    f'<form method="post" action="{WEBMAIL}login"><p>User name <input name="username"></p>'
    '<p>Password <input type="password" name="password"></p><p><button>Log in</button></p></form>'
)
_PAGE: Final = (
    '<!DOCTYPE html>\n<html><head><meta charset="utf-8"><title>{title} - webmail</title></head>\n'
    "<body>\n{body}\n</body></html>\n"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What a browser asks for.

    Attributes:
        method: such as GET.
        target: path and query (RFC 9112, section 3.2.1).
        cookie: the Cookie field (RFC 6265, section 5.4).
        content: a form's fields, urlencoded.
    """

    method: str
    target: str
    cookie: str = ""
    content: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the webmail answers.

    Attributes:
        status: RFC 9110, section 15.
        content: a page, or a message.
        fields: header fields besides those of framing.
    """

    status: HTTPStatus
    content: bytes = b""
    fields: tuple[tuple[str, str], ...] = ()


class Webmail:
    """The webmail of one port.

    Args:
        accounts: who may log in.
        mailboxes: their mail.
        nonce: makes session names that were never said before.
        secure: whether cookies are for TLS only (RFC 6265, section 5.2.5).
    """

    def __init__(
        self, accounts: Accounts, mailboxes: Mailboxes, nonce: Callable[[], str], *, secure: bool
    ) -> None:
        self._accounts = accounts
        self._mailboxes = mailboxes
        self._nonce = nonce
        self._attributes = f"; Path={WEBMAIL}; HttpOnly; SameSite=Strict" + ("; Secure" if secure else "")
        self._sessions: OrderedDict[str, str] = OrderedDict()

    def answer(self, request: Request) -> Answer:
        """Return the answer to a request."""
        path, _, query = _AUTHORITY.sub("", request.target).partition("?")
        if (request.method, path) == ("POST", WEBMAIL + "login"):
            return self._log_in(request.content)
        if request.method not in ("GET", "HEAD"):
            return _page(HTTPStatus.METHOD_NOT_ALLOWED, "Not here", "", ("Allow", "GET, HEAD, POST"))
        username = self._sessions.get(_session_name(request.cookie))
        if path == WEBMAIL or username is None:
            return _page(HTTPStatus.OK, "Log in", _LOGIN)
        if path == WEBMAIL + "logout":
            return self._log_out(request.cookie)
        return _inside(self._mailboxes[username].messages, path, query)

    def _log_in(self, content: bytes) -> Answer:
        fields = _fields(content)
        username = fields.get("username", "")
        account = self._accounts.check_password(username.encode(), fields.get("password", "").encode())
        if account is None:
            return _page(HTTPStatus.UNAUTHORIZED, "Log in", "<p>Wrong name or password.</p>" + _LOGIN)
        name = self._nonce()
        self._sessions[name] = account.username
        while len(self._sessions) > _SESSIONS_KEPT:
            self._sessions.popitem(last=False)
        cookie = f"{_COOKIE}={name}{self._attributes}"
        return _redirect("inbox", ("Set-Cookie", cookie))

    def _log_out(self, cookie: str) -> Answer:
        self._sessions.pop(_session_name(cookie), None)
        return _redirect("", ("Set-Cookie", f"{_COOKIE}={self._attributes}; Max-Age=0"))


def _inside(messages: tuple[Message, ...], path: str, query: str) -> Answer:
    """Answer somebody who is logged in."""
    if path == WEBMAIL + "inbox":
        return _page(HTTPStatus.OK, "Inbox", _list(messages))
    show = _SHOWING.get(path)
    message = _asked_for(messages, query)
    if show is None or message is None:
        return _page(HTTPStatus.NOT_FOUND, "Not found", "<p>There is no such page.</p>")
    return show(message)


def _redirect(place: str, *fields: tuple[str, str]) -> Answer:
    return Answer(status=HTTPStatus.SEE_OTHER, fields=(("Location", WEBMAIL + place), *fields))


def _page(status: HTTPStatus, title: str, body: str, *fields: tuple[str, str]) -> Answer:
    content = _PAGE.format(title=html.escape(title), body=body).encode("utf-8", "replace")
    return Answer(
        status=status, content=content, fields=(("Content-Type", "text/html; charset=utf-8"), *fields)
    )


def _session_name(cookie: str) -> str:
    """Return which session a browser names; empty where it names none.

    Not by the standard library: the time that it takes grows with the square of a quoted value's length.
    """
    pairs = (pair.strip().partition("=") for pair in cookie.split(";"))
    return next((value for name, _, value in pairs if name == _COOKIE), "")


def _fields(query: bytes | str) -> Mapping[str, str]:
    """Return a form's fields, the first of each name; none where there are absurdly many."""
    text = query.decode("utf-8", "replace") if isinstance(query, bytes) else query
    try:
        return {name: values[0] for name, values in parse_qs(text, max_num_fields=20).items()}
    except ValueError:
        return {}


def _asked_for(messages: tuple[Message, ...], query: str) -> Message | None:
    uid = _fields(query).get("uid", "")
    return next((message for message in messages if message.uid == uid), None)


def _list(messages: tuple[Message, ...]) -> str:
    rows = "".join(
        f'<li><a href="{WEBMAIL}message?uid={html.escape(message.uid)}">'
        f"{_escaped(header_of(message.content), 'Subject')}</a></li>\n"
        for message in messages
    )
    return f'<ul>\n{rows}</ul>\n<p><a href="{WEBMAIL}logout">Log out</a></p>'


def _escaped(header: Header, name: str) -> str:
    """Return a field as a reader wants it, as HTML; empty where it is not there."""
    return html.escape(reading.field(header.get(name, ""))[0].strip())


def _text(mail: Part) -> str:
    """Return the text to show: the first plain one, else the first in HTML, and no attachment."""
    leaves = list(_leaves(mail))
    for kind in ("text/plain", "text/html"):
        for part in leaves:
            if part.header.get_content_type() == kind:
                return reading.text(part)
    return ""


def _leaves(part: Part) -> Iterator[Part]:
    """Yield what is shown of a mail; a mail in a mail is an attachment."""
    if part.multipart:
        for child in part.children:
            yield from _leaves(child)
    elif part.header.get_content_disposition() != "attachment":
        yield part


def _show(message: Message) -> Answer:
    mail = cut(message.content)
    cells = "".join(
        f'<tr><td>{name}</td><td class="header {name.lower()}">{_escaped(mail.header, name)}</td></tr>\n'
        for name in ("Subject", "From", "To")
    )
    lines = "<br>\n".join(html.escape(line) for line in _text(mail).splitlines())
    uid = html.escape(message.uid)
    body = (
        f'<table class="headers-table">\n{cells}</table>\n<div class="message-part">{lines}</div>\n'
        f'<p><a href="{WEBMAIL}source?uid={uid}">Download</a> <a href="{WEBMAIL}logout">Log out</a></p>'
    )
    return _page(HTTPStatus.OK, "Message", body)


def _download(message: Message) -> Answer:
    fields = (("Content-Type", "message/rfc822"), ("Content-Disposition", 'attachment; filename="mail.eml"'))
    return Answer(status=HTTPStatus.OK, content=message.content, fields=fields)


_SHOWING: Final[Mapping[str, Callable[[Message], Answer]]] = {
    WEBMAIL + "message": _show,
    WEBMAIL + "source": _download,
}
