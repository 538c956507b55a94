"""A toy webmail without I/O: a login form, the list of messages, a page and the source of each, and logout.

Everything that came from outside is escaped by the standard library's `html.escape`. The pages' markup is
what webmails have: a table of header cells, an element for the message's text; it is the same in every
language, as is the word "webmail" in the title, by which a listener may know it.
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
from mailtap.servers.messages import N_
from mailtap.servers.parts import cut, header_of
from mailtap.servers.service import WEBMAIL

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from email.message import Message as Header

    from mailtap.servers.accounts import Accounts
    from mailtap.servers.mailbox import Mailboxes, Message
    from mailtap.servers.messages import Say
    from mailtap.servers.parts import Part

_COOKIE: Final = "webmail_session"
_SESSIONS_KEPT: Final = 100
_AUTHORITY: Final = re.compile(r"^https?://[^/?]*", re.IGNORECASE)  # a proxy's form (RFC 9112, section 3.2.2)
_LOGIN: Final = (
    f'<form method="post" action="{WEBMAIL}login"><p><label>{{username}} <input name="username"></label></p>'
    '<p><label>{password} <input type="password" name="password"></label></p>'
    "<p><button>{log_in}</button></p></form>"
)
# Large enough for a projector, and dark where the browser is.
_STYLE: Final = (
    ":root { color-scheme: light dark; font: 125%/1.6 sans-serif }\n"
    "body { max-width: 40rem; margin: 2rem auto; padding: 0 1rem; overflow-wrap: anywhere }\n"
    "input, button { font: inherit }\n"
    "td:first-child { white-space: nowrap; padding-right: 1rem; opacity: .7 }\n"
    ".message-part { margin: 1rem 0 }\n"
)
_PAGE: Final = (
    '<!DOCTYPE html>\n<html lang="{language}"><head><meta charset="utf-8">'
    '<meta name="viewport" content="width=device-width">\n<title>{title} - webmail</title>\n'
    "<style>\n{style}</style></head>\n"
    "<body>\n<h1>{title}</h1>\n{body}\n</body></html>\n"
)
_FIELDS: Final = {"Subject": N_("Subject"), "From": N_("From"), "To": N_("To")}


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
        say: the language of its pages.
        secure: whether cookies are for TLS only (RFC 6265, section 5.2.5).
    """

    def __init__(
        self, accounts: Accounts, mailboxes: Mailboxes, nonce: Callable[[], str], say: Say, *, secure: bool
    ) -> None:
        self._accounts = accounts
        self._mailboxes = mailboxes
        self._nonce = nonce
        self._pages = _Pages(say)
        self._attributes = f"; Path={WEBMAIL}; HttpOnly; SameSite=Strict" + ("; Secure" if secure else "")
        self._sessions: OrderedDict[str, str] = OrderedDict()

    def answer(self, request: Request) -> Answer:
        """Return the answer to a request."""
        path, _, query = _AUTHORITY.sub("", request.target).partition("?")
        if (request.method, path) == ("POST", WEBMAIL + "login"):
            return self._log_in(request.content)
        if request.method not in ("GET", "HEAD"):
            return self._pages.refusal()
        username = self._sessions.get(_session_name(request.cookie))
        if path == WEBMAIL or username is None:
            return self._pages.login()
        if path == WEBMAIL + "logout":
            return self._log_out(request.cookie)
        return self._pages.inside(self._mailboxes[username].messages, path, query)

    def _log_in(self, content: bytes) -> Answer:
        fields = _fields(content)
        username = fields.get("username", "")
        account = self._accounts.check_password(username.encode(), fields.get("password", "").encode())
        if account is None:
            return self._pages.login(wrong=True)
        name = self._nonce()
        self._sessions[name] = account.username
        while len(self._sessions) > _SESSIONS_KEPT:
            self._sessions.popitem(last=False)
        cookie = f"{_COOKIE}={name}{self._attributes}"
        return _redirect("inbox", ("Set-Cookie", cookie))

    def _log_out(self, cookie: str) -> Answer:
        self._sessions.pop(_session_name(cookie), None)
        return _redirect("", ("Set-Cookie", f"{_COOKIE}={self._attributes}; Max-Age=0"))


@dataclass(frozen=True, slots=True)
class _Pages:
    """What the webmail shows, in one language."""

    say: Say

    def login(self, *, wrong: bool = False) -> Answer:
        """Return the login form, for the first time or after a login that failed."""
        say = self.say
        form = _LOGIN.format(username=say("User name"), password=say("Password"), log_in=say("Log in"))
        if not wrong:
            return self._page(HTTPStatus.OK, say("Log in"), form)
        said = say("Wrong user name or password.")
        return self._page(HTTPStatus.UNAUTHORIZED, say("Log in"), f"<p>{said}</p>{form}")

    def refusal(self) -> Answer:
        """Return that nothing is done here but show pages and log in."""
        allowed = ("Allow", "GET, HEAD, POST")
        return self._page(HTTPStatus.METHOD_NOT_ALLOWED, self.say("That cannot be done here"), "", allowed)

    def inside(self, messages: tuple[Message, ...], path: str, query: str) -> Answer:
        """Answer somebody who is logged in."""
        if path == WEBMAIL + "inbox":
            return self._page(HTTPStatus.OK, self.say("Inbox"), self._list(messages))
        message = _asked_for(messages, query)
        if message is not None and path == WEBMAIL + "message":
            return self._show(message)
        if message is not None and path == WEBMAIL + "source":
            return _download(message)
        return self._page(HTTPStatus.NOT_FOUND, self.say("There is no such page"), self._exits(inbox=True))

    def _page(self, status: HTTPStatus, title: str, body: str, *fields: tuple[str, str]) -> Answer:
        page = _PAGE.format(language=self.say("en"), title=html.escape(title), style=_STYLE, body=body)
        kind = ("Content-Type", "text/html; charset=utf-8")
        return Answer(status=status, content=page.encode("utf-8", "replace"), fields=(kind, *fields))

    def _list(self, messages: tuple[Message, ...]) -> str:
        subjects = {message.uid: _header(header_of(message.content), "Subject") for message in messages}
        rows = "".join(
            f"<li>{_link(f'message?uid={uid}', subject or '-')}</li>\n" for uid, subject in subjects.items()
        )
        none = self.say("There is no mail.")
        return (f"<ul>\n{rows}</ul>\n" if messages else f"<p>{none}</p>\n") + self._exits()

    def _show(self, message: Message) -> Answer:
        mail = cut(message.content)
        cells = "".join(
            f'<tr><td>{self.say(shown)}</td><td class="header {name.lower()}">'
            f"{html.escape(_header(mail.header, name))}</td></tr>\n"
            for name, shown in _FIELDS.items()
        )
        lines = "<br>\n".join(html.escape(line) for line in _text(mail).splitlines())
        download = _link(f"source?uid={message.uid}", self.say("Download"))
        body = (
            f'<table class="headers-table">\n{cells}</table>\n<div class="message-part">{lines}</div>\n'
            f"{self._exits(download, inbox=True)}"
        )
        return self._page(HTTPStatus.OK, self.say("Mail"), body)

    def _exits(self, *links: str, inbox: bool = False) -> str:
        """Return the links that lead away from a page."""
        back = [_link("inbox", self.say("Inbox"))] if inbox else []
        out = _link("logout", self.say("Log out"))
        return f"<p>{' '.join([*links, *back, out])}</p>"


def _link(place: str, name: str) -> str:
    return f'<a href="{WEBMAIL}{html.escape(place)}">{html.escape(name)}</a>'


def _redirect(place: str, *fields: tuple[str, str]) -> Answer:
    return Answer(status=HTTPStatus.SEE_OTHER, fields=(("Location", WEBMAIL + place), *fields))


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


def _header(header: Header, name: str) -> str:
    """Return a field as a reader wants it; empty where it is not there."""
    return reading.field(header.get(name, ""))[0].strip()


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


def _download(message: Message) -> Answer:
    fields = (("Content-Type", "message/rfc822"), ("Content-Disposition", 'attachment; filename="mail.eml"'))
    return Answer(status=HTTPStatus.OK, content=message.content, fields=fields)
