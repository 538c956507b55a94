"""Prints what a person needs who talks to the toy servers: how to reach them, and what leaks meanwhile."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from rich.text import Text

from mailtap.capture.guess import bundled_words
from mailtap.capture.language import N_
from mailtap.capture.model import Field, Leak, Note
from mailtap.capture.report import field, json_line, printable, shown, to_json
from mailtap.capture.table import table
from mailtap.demo import cast, shell
from mailtap.demo.guessing import attempt
from mailtap.demo.telling.reader import Reader
from mailtap.servers import Security, ServerProtocol

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from mailtap.capture.language import Say
    from mailtap.servers import Service

SECURITY: Final = {
    Security.PLAIN: N_("none"),
    Security.STARTTLS: "STARTTLS",
    Security.TLS: "SSL/TLS",
}


class Overheard:
    """Prints the settings for a mail program, and what leaks when it talks."""

    def __init__(self, options: Namespace, say: Say) -> None:
        self._console = shell.console()
        self._reader = Reader(say, self._console.width, options.mask)
        self._json = options.json
        self._tap = options.tap

    def settings(self, services: Sequence[tuple[Service, tuple[str, int]]], ca: Path) -> None:
        """Print what to type into a mail program; with JSON, to standard error."""
        say = self._reader.say
        out = shell.console(stderr=True) if self._json else self._console
        heads = [say("protocol"), say("host"), say("port"), say("security"), say("login")]
        rows = [
            [service.protocol.upper(), host, str(port), say(SECURITY[service.security]), _logins(service)]
            for service, (host, port) in services
        ]
        out.print(table(heads, rows), soft_wrap=True)
        for person in (cast.HANAKO, cast.TARO):
            out.print(
                say(
                    "{name}: address {address}, user name {username}, password {password}",
                    name=say(person.name),
                    address=person.address,
                    username=person.username,
                    password=person.password,
                )
            )
        out.print(say("Certificate of the authority to trust, for TLS: {file}", file=ca), soft_wrap=True)
        out.print(say("The servers run; Ctrl-C ends them."))
        if self._tap:
            out.print(say("Heard on the wire, as it happens:"))

    def heard(self, items: Iterable[Leak | Note]) -> None:
        """Print leaks and notes, one a line, at once; and the password that a digest gives away."""
        for item in items:
            self._print(item)
            if isinstance(item, Leak) and item.field is Field.DIGEST:
                found = attempt(item, bundled_words()).found
                if found:
                    self._print(found)

    def _print(self, item: Leak | Note) -> None:
        if self._json:
            self._console.file.write(json_line(to_json(item, mask=self._reader.mask)) + "\n")
            self._console.file.flush()
            return
        line = self._leak(item) if isinstance(item, Leak) else self._note(item)
        line.truncate(self._console.width, overflow="ellipsis")
        self._console.print(line, soft_wrap=True)

    def _leak(self, leak: Leak) -> Text:
        evidence = leak.evidence
        time = datetime.fromtimestamp(evidence.time_ns / 1e9, UTC).astimezone()
        who = f"{leak.protocol.upper()} {evidence.flow.client.port}"
        name = field(leak, self._reader.say)
        line = Text(f"{time:%H:%M:%S} {who:<10} ").append(name, "bold")
        return line.append(": ").append(shown(leak, mask=self._reader.mask), "bold red")

    def _note(self, note: Note) -> Text:
        return Text(" " * 9 + printable(self._reader.say(note.text, **dict(note.values))), "bright_black")


def _logins(service: Service) -> str:
    """Return the ways to log in that a service offers: POP3's own, and in a line below those of SASL."""
    pop3 = service.protocol is ServerProtocol.POP3
    own = [*(["USER/PASS"] if pop3 and service.user_pass else []), *(["APOP"] if service.apop else [])]
    return "\n".join(", ".join(ways) for ways in (own, service.mechanisms) if ways)
