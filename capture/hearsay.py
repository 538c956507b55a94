"""Turn the fields that tshark dissected into logins: the half of the witness that needs no tshark.

tshark says which line the client and which the server said; left to us is what it does not do: to
carry a login over several lines (POP3, RFC 1939 and 5034; SMTP, RFC 4954; IMAP, RFC 9051) and to undo
base64. Nothing here is shared with our own parsers, so that one mistake cannot hide in both.
"""

from __future__ import annotations

import dataclasses
import re
from binascii import Error as Base64Error
from binascii import a2b_base64
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from mailtap.capture.model import Field, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator


class Layer(NamedTuple):
    """What tshark says of one protocol's layer in one packet: all its bytes, and its fields in order."""

    octets: bytes
    fields: tuple[tuple[str, bytes], ...]


@dataclass(frozen=True, slots=True)
class Login:
    """One login attempt in the witness's words: bytes as they crossed the wire, base64 undone.

    Where the field is the user name, nothing but the name has crossed so far.
    """

    protocol: Protocol
    mechanism: str
    username: bytes
    field: Field
    secret: bytes = dataclasses.field(repr=False)


class Line(NamedTuple):
    """What one side said.

    Attributes:
        by_client: who said it.
        text: what; of the server only a status.
        goes_on: for the server, whether an exchange goes on after it.
        unsure: for the client, whether it may be part of a message instead: an answer, but no command.
    """

    by_client: bool
    text: bytes
    goes_on: bool = False
    unsure: bool = False


def overhear(layers: Iterable[tuple[int, Protocol, Layer]]) -> Iterator[Login]:
    """Yield the logins in a capture, in the order in which they were completed.

    Args:
        layers: for each packet the number of its TCP stream, the protocol and its fields.
    """
    ears: dict[tuple[int, Protocol], Ear] = {}
    for stream, protocol, layer in layers:
        ear = ears.setdefault((stream, protocol), Ear(protocol))
        for line in _LINES[protocol](layer):
            login = ear.hear(line)
            if login is not None:
                yield login


class Ear:
    """Follows the logins of one connection."""

    def __init__(self, protocol: Protocol) -> None:
        self._protocol = protocol
        self._partial = b""  # a line whose end was not in its packet
        self._username = b""  # POP3: of the USER command
        self._mechanism: str | None = None  # of the exchange that is under way
        self._answers: list[bytes] = []

    def hear(self, line: Line) -> Login | None:
        """Take the next line, and return the login that it completes, if it does."""
        if not line.by_client:
            if not line.goes_on:
                self._mechanism = None  # accepted or refused, an exchange ends here
            return None
        if line.unsure and self._mechanism is None:
            return None
        said = self._partial + line.text
        if not said.endswith(b"\n") or (self._protocol is Protocol.IMAP and _LITERAL_FOLLOWS.search(said)):
            self._partial = said
            return None
        self._partial = b""
        said = said.rstrip(b"\r\n")
        return self._command(said) if self._mechanism is None else self._answer(said)

    def _command(self, said: bytes) -> Login | None:
        if self._protocol is Protocol.IMAP:
            said = said.partition(b" ")[2]  # the tag
        verb, _, rest = said.partition(b" ")
        match verb.upper():
            case b"USER" if self._protocol is Protocol.POP3:
                self._username = rest
                return Login(self._protocol, "USER/PASS", rest, Field.USERNAME, b"")
            case b"PASS" if self._protocol is Protocol.POP3:
                return Login(self._protocol, "USER/PASS", self._username, Field.PASSWORD, rest)
            case b"APOP" if self._protocol is Protocol.POP3:
                username, _, digest = rest.rstrip().rpartition(b" ")
                return Login(self._protocol, "APOP", username, Field.DIGEST, digest)
            case b"LOGIN" if self._protocol is Protocol.IMAP:
                strings = _strings(rest)
                if len(strings) == 2:  # noqa: PLR2004  # user name and password
                    return Login(self._protocol, "LOGIN", strings[0], Field.PASSWORD, strings[1])
            case b"AUTHENTICATE" | b"AUTH":
                mechanism, _, initial = rest.partition(b" ")
                self._mechanism, self._answers = mechanism.decode("ascii", "replace").upper(), []
                if initial:
                    return self._answer(initial)
        return None

    def _answer(self, said: bytes) -> Login | None:
        read = _SASL.get(self._mechanism or "")
        try:
            self._answers.append(a2b_base64(b"" if said == b"=" else said, strict_mode=True))
        except Base64Error:  # also the asterisk that cancels
            read = None
        heard = read(self._answers) if read else None
        if heard is None:
            return None
        login = Login(self._protocol, self._mechanism or "", *heard)
        if login.field is not Field.USERNAME:
            self._mechanism = None
        return login


def _pop_lines(layer: Layer) -> Iterator[Line]:
    for name, octets in layer.fields:
        if name in {"pop.request", "pop.request.data"}:  # the first line, and those pipelined behind it
            yield Line(by_client=True, text=octets)
        elif name == "pop.response.indicator":
            yield Line(by_client=False, text=octets)  # a continuation has no indicator


def _smtp_lines(layer: Layer) -> Iterator[Line]:
    if not any(name.startswith("smtp.") for name, _ in layer.fields):
        # tshark knows only some mechanisms' answers; the others it takes for a message.
        for text in layer.octets.splitlines(keepends=True):
            yield Line(by_client=True, text=text, unsure=True)
    for name, octets in layer.fields:
        if name == "smtp.command_line":
            yield Line(by_client=True, text=octets)
        elif name.startswith("smtp.auth."):
            yield Line(by_client=True, text=octets + b"\r\n")
        elif name == "smtp.response.code":
            yield Line(by_client=False, text=octets, goes_on=octets == b"334")


def _imap_lines(layer: Layer) -> Iterator[Line]:
    for name, octets in layer.fields:
        if name == "imap.request":
            yield Line(by_client=True, text=octets + b"\r\n")
        elif name == "imap.response_tag":
            yield Line(by_client=False, text=octets, goes_on=octets in {b"+", b"*"})


def _plain(answers: list[bytes]) -> tuple[bytes, Field, bytes] | None:
    """Read PLAIN (RFC 4616): authzid, user name and password, NUL between them."""
    parts = answers[-1].split(b"\0")
    return (parts[1], Field.PASSWORD, parts[2]) if len(parts) == 3 else None  # noqa: PLR2004


def _login(answers: list[bytes]) -> tuple[bytes, Field, bytes] | None:
    """Read LOGIN (draft-murchison-sasl-login): the user name, then the password."""
    username, *password = answers
    return (username, Field.PASSWORD, password[0]) if password else (username, Field.USERNAME, b"")


def _cram_md5(answers: list[bytes]) -> tuple[bytes, Field, bytes] | None:
    """Read CRAM-MD5 (RFC 2195): the user name, a space, the digest."""
    username, space, digest = answers[-1].rstrip().rpartition(b" ")
    return (username, Field.DIGEST, digest) if space else None


def _strings(text: bytes) -> list[bytes]:
    """Return IMAP's quoted strings, literals and atoms (RFC 9051, section 4)."""
    strings = []
    while text:
        quoted, literal = _QUOTED.match(text), _LITERAL.match(text)
        if quoted:
            strings.append(_ESCAPE.sub(rb"\1", quoted[1]))
            text = text[quoted.end() :]
        elif literal:
            end = literal.end() + int(literal[1])
            strings.append(text[literal.end() : end])
            text = text[end:]
        else:
            atom, _, text = text.partition(b" ")
            strings.append(atom)
            continue
        text = text.removeprefix(b" ")
    return strings


_QUOTED = re.compile(rb'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_ESCAPE = re.compile(rb"\\(.)", re.DOTALL)
_LITERAL = re.compile(rb"\{(\d{1,9})\+?\}\r\n")
_LITERAL_FOLLOWS = re.compile(rb"^[^ ]+ LOGIN .*\{\d{1,9}\+?\}\r\n$", re.DOTALL | re.IGNORECASE)

_LINES: dict[Protocol, Callable[[Layer], Iterator[Line]]] = {
    Protocol.POP3: _pop_lines,
    Protocol.SMTP: _smtp_lines,
    Protocol.IMAP: _imap_lines,
}
_SASL: dict[str, Callable[[list[bytes]], tuple[bytes, Field, bytes] | None]] = {
    "PLAIN": _plain,
    "LOGIN": _login,
    "CRAM-MD5": _cram_md5,
}
MECHANISMS = frozenset({"USER/PASS", "APOP", *_SASL})
"""The mechanisms that the witness reaches."""
