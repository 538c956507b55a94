"""The mail program that is a browser: the standard library's http.client (RFC 9112)."""

from __future__ import annotations

from contextlib import closing
from html.parser import HTMLParser
from http.client import HTTPConnection, HTTPException
from http.cookies import CookieError, SimpleCookie
from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode, urljoin

from mailtap.demo.client.settings import TIMEOUT, ClientFailed, Settings, connect, end_tls
from mailtap.servers import WEBMAIL

if TYPE_CHECKING:
    from http.client import HTTPResponse

_FORM: Final = "application/x-www-form-urlencoded"
_LARGEST: Final = 64 * 1024 * 1024
_MOST_REDIRECTS: Final = 5


class _Page(HTMLParser):
    """The links and the form of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.form = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note where a link or a form leads."""
        given = dict(attrs)
        if tag == "a" and (link := given.get("href")):
            self.links.append(link)
        elif tag == "form":
            self.form = given.get("action") or ""

    def link(self, name: str) -> str:
        """Return the first link to what is called so."""
        for link in self.links:
            if f"/{name}" in link:
                return link
        raise ClientFailed(f"the webmail shows no link to {name}")


class _Browser(HTTPConnection):
    """A browser with one connection and the cookies of one site."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.default_port = settings.service.port  # so that the Host field names the host alone
        super().__init__(settings.service.host, settings.service.port, timeout=TIMEOUT)
        self._cookies: dict[str, str] = {}
        self._place = WEBMAIL

    def connect(self) -> None:
        """Open the connection."""
        self.sock = connect(self._settings)

    def close(self) -> None:
        """Close the connection."""
        end_tls(self.sock, self._settings)
        super().close()

    def open(self, link: str, fields: dict[str, str] | None = None) -> bytes:
        """Follow a link, or send a form, and return what is shown in the end."""
        for _ in range(_MOST_REDIRECTS):
            self._place = urljoin(self._place, link)
            answer = self._ask(fields)
            content = answer.read(_LARGEST)
            place = answer.getheader("Location")
            if place is None:
                if answer.status >= 400:  # noqa: PLR2004  # RFC 9110, section 15.5
                    raise ClientFailed(f"the webmail answered {answer.status} {answer.reason}")
                return content
            link, fields = place, None
        raise ClientFailed("the webmail leads in circles")

    def _ask(self, fields: dict[str, str] | None) -> HTTPResponse:
        head = {"User-Agent": "browser", "Accept": "text/html"}
        if self._cookies:
            head["Cookie"] = "; ".join(f"{name}={value}" for name, value in self._cookies.items())
        if fields is None:
            self.request("GET", self._place, headers=head)
        else:
            self.request("POST", self._place, urlencode(fields), {**head, "Content-Type": _FORM})
        answer = self.getresponse()
        for each in answer.headers.get_all("Set-Cookie", []):
            for name, morsel in SimpleCookie(each).items():
                self._cookies[name] = morsel.value
        return answer


def fetch(settings: Settings) -> bytes:
    """Read the first mail of the mailbox in the webmail, download it, and return its bytes."""
    try:
        with closing(_Browser(settings)) as browser:
            start = _Page(browser.open(WEBMAIL).decode())
            login = {"username": settings.username, "password": settings.password}
            inbox = _Page(browser.open(start.form, login).decode())
            shown = _Page(browser.open(inbox.link("message")).decode())
            mail = browser.open(shown.link("source"))
            browser.open(shown.link("logout"))
            return mail
    except (OSError, HTTPException, CookieError, UnicodeDecodeError) as error:
        raise ClientFailed(f"reading in the webmail failed: {error}") from error
