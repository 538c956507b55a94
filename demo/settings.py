"""Prints what to type into a mail program or a browser that is to talk to the toy servers."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from rich.text import Text

from mailtap.capture.language import N_
from mailtap.capture.report import STARS, json_line
from mailtap.capture.table import table
from mailtap.demo import cast, shell
from mailtap.demo.telling.reader import Reader
from mailtap.servers import WEBMAIL, Security, ServerProtocol

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Sequence
    from pathlib import Path

    from mailtap.capture.language import Say
    from mailtap.servers import Service

SECURITY: Final = {
    Security.PLAIN: N_("none"),
    Security.STARTTLS: "STARTTLS",
    Security.TLS: "SSL/TLS",
}
EITHER: Final = N_("none or STARTTLS")
PEOPLE: Final = {
    ServerProtocol.SMTP: cast.HANAKO,
    ServerProtocol.POP3: cast.TARO,
    ServerProtocol.IMAP: cast.TARO,
    ServerProtocol.HTTP: cast.TARO,
}
_OWN_LOGIN: Final = {  # not of SASL
    ServerProtocol.POP3: "USER/PASS",
    ServerProtocol.IMAP: "LOGIN",
    ServerProtocol.HTTP: "HTML FORM",
}
_SCHEMES: Final = {Security.PLAIN: "http", Security.TLS: "https"}


@dataclass(frozen=True, slots=True)
class Settings:
    """What a mail program has to know.

    Attributes:
        services: each service, with the host and port to connect to.
        ca: the file with the certificate to trust; None where no service has TLS.
    """

    services: Sequence[tuple[Service, tuple[str, int]]]
    ca: Path | None

    def tell(self, options: Namespace, say: Say, *, kept: bool) -> None:
        """Print the settings: for people, or with --json one object for each service.

        Args:
            options: the command line's.
            say: the reader's language.
            kept: whether the certificate stays when the servers end.
        """
        if options.json:
            for service, endpoint in self.services:
                sys.stdout.write(json_line(self._object(service, endpoint, mask=options.mask)) + "\n")
            sys.stdout.flush()
            return
        pages = [url for service, endpoint in self.services if (url := _url(service, endpoint))]
        console = shell.console()
        lines = _people(say, mask=options.mask)
        lines += [say("Webmail, to open in a browser: {url}", url=url) for url in pages]
        if self.ca is not None:
            lines.append(say("Certificate of the authority to trust, for TLS: {file}", file=self.ca))
            if not kept:
                lines.append(say("It is gone when the servers end; --ca FILE keeps it."))
        if any(_either(service) for service, _ in self.services):
            lines += _experiment(say, tapped=options.tap)
        lines.append(say("The servers run; Ctrl-C ends them."))
        if options.tap:
            lines.append(say("Heard on the wire, as it happens:"))
        reader = Reader(say, console.width)
        told = [Text(row) for row in self._table(say, console.width).split("\n")]
        told += [row for line in lines for row in _broken(line, reader)]
        for row in told:
            console.print(row, soft_wrap=True)

    def _table(self, say: Say, width: int) -> str:
        heads = [say("protocol"), say("host"), say("port"), say("security"), say("login")]
        rows = [
            [
                service.protocol.upper(),
                host,
                str(port),
                say(EITHER if _either(service) else SECURITY[service.security]),
                "\n".join(", ".join(ways) for ways in _logins(service) if ways),
            ]
            for service, (host, port) in self.services
        ]
        return table(heads, rows, width=width)

    def _object(self, service: Service, endpoint: tuple[str, int], *, mask: bool) -> dict[str, Any]:
        person = PEOPLE[service.protocol]
        return {
            "protocol": str(service.protocol),
            "host": endpoint[0],
            "port": endpoint[1],
            "url": _url(service, endpoint),
            "security": str(service.security),
            "clear_login": service.login_allowed(encrypted=False) and service.security is not Security.TLS,
            "logins": list(dict.fromkeys(way for ways in _logins(service) for way in ways)),
            "address": person.address,
            "username": person.username,
            "password": STARS if mask else person.password,
            "ca": None if service.security is Security.PLAIN else str(self.ca),
        }


def _broken(line: str, reader: Reader) -> list[Text]:
    """Return a line broken where it may be; where an address or a path would be cut, as it is."""
    whole = all(len(word) < reader.width - 1 for word in line.split() if word.isascii())
    return reader.wrapped(line) if whole else [Text(line)]


def _experiment(say: Say, *, tapped: bool) -> list[str]:
    """Return what to try in the mail program."""
    if not tapped:
        return [say('To see what leaks, start with --tap, and choose security "none" in the mail program.')]
    return [
        say('To be overheard, choose security "none" in the mail program.'),
        say("Then change to SSL/TLS, and watch the tap go quiet."),
    ]


def _people(say: Say, *, mask: bool) -> list[str]:
    """Return each person's account."""
    lines = [
        say(
            "{name}: address {address}, user name {username}, password {password}",
            name=say(person.name),
            address=person.address,
            username=person.username,
            password=STARS if mask else person.password,
        )
        for person in (cast.HANAKO, cast.TARO)
    ]
    return [*lines, *([say("Without --mask, the passwords are shown.")] if mask else [])]


def _url(service: Service, endpoint: tuple[str, int]) -> str | None:
    """Return the address of the page to open in a browser; None for what is no webmail."""
    if service.protocol is not ServerProtocol.HTTP:
        return None
    host, port = endpoint
    return f"{_SCHEMES[service.security]}://{host}:{port}{WEBMAIL}"


def _either(service: Service) -> bool:
    """Return whether the port takes logins in clear as well as after STARTTLS."""
    return service.security is Security.STARTTLS and service.clear_login


def _logins(service: Service) -> tuple[Sequence[str], Sequence[str]]:
    """Return the ways to log in that a service offers: the protocol's own, and those of SASL."""
    own = [_OWN_LOGIN[service.protocol]] if service.user_pass and service.protocol in _OWN_LOGIN else []
    return [*own, *(["APOP"] if service.apop else [])], service.mechanisms
