"""Random sessions of each protocol of which it is known what they leak: logins, mails, and what went under TLS."""

from __future__ import annotations

import hashlib
import hmac
import ssl
from base64 import b64encode
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from tlspeers import NAME, handshake

from mailtap.capture.model import Direction, Field

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

# What stands in a mail's text and looks like something else.
TRAPS = (
    "+OK", "-ERR no", "250 ok", "354 go", "535 no", ".", "x1 OK", "{5}", "+ go", "* 1 FETCH", "QUIT", "STARTTLS",
    "MAIL FROM:<x>", "RCPT TO:<trap@example.org>", "AUTH PLAIN AGEAYg==", "PASS trap", "x1 LOGIN trap trap",
    "HTTP/1.1 200 OK",
)  # fmt: skip


class Login(NamedTuple):
    """A login; a secret is a password, a token or a digest, by its field."""

    mechanism: str
    name: str
    field: Field
    secret: str | None
    accepted: bool | None
    challenge: str | None = None


class Letter(NamedTuple):
    """A mail; with an envelope where SMTP brought it. Without content, it never came to one."""

    content: bytes | None
    addresses: tuple[tuple[str, bool], ...] = ()


@dataclass
class Script:
    """What is said to a server at a port, and what of it is to be heard.

    Attributes:
        port: the server's.
        turns: who ("C" or "S") says what; each speaks after having heard all that stands before.
        logins: those that were brought to an end.
        cancelled: those that were not, and leak nothing where all is heard.
        letters: the mails.
        tls: the version, where it ends in TLS.
        server_name: the name that the client asks for then.
    """

    port: int
    turns: list[tuple[str, bytes]] = field(default_factory=list)
    logins: list[Login] = field(default_factory=list)
    cancelled: list[Login] = field(default_factory=list)
    letters: list[Letter] = field(default_factory=list)
    tls: str | None = None
    server_name: str | None = None

    def client(self, text: str | bytes) -> None:
        """Let the client say something."""
        self.turns.append(("C", text.encode() if isinstance(text, str) else text))

    def server(self, text: str | bytes) -> None:
        """Let the server say something."""
        self.turns.append(("S", text.encode() if isinstance(text, str) else text))

    def ask(self, question: str, answer: str | bytes) -> None:
        """Let the client ask and the server answer."""
        self.client(question)
        self.server(answer)


def text(chance: random.Random, number: int | str) -> str:
    """Return a mail that has lines in it that look like commands and replies."""
    lines = [f"From: a{number}@example.org", f"Subject: mail {number}", ""]
    for line in range(chance.randrange(1, 12)):
        trap = chance.choice(TRAPS)
        lines.append(
            f"{trap} {number}-{line} {'z' * chance.randrange(60)}" if chance.random() < 0.7 else trap
        )
    return "".join(line + "\r\n" for line in lines)


def dotted(mail: str) -> str:
    """Return a mail with its dots stuffed, and its end (RFC 5321, section 4.5.2)."""
    return mail.replace("\r\n.", "\r\n..") + ".\r\n"


def base64(data: str | bytes) -> str:
    """Return text or bytes in base64."""
    return b64encode(data.encode() if isinstance(data, str) else data).decode()


# --- TLS -----------------------------------------------------------------------------------------------

_VERSIONS = ((ssl.TLSVersion.TLSv1_2, "TLS 1.2"), (ssl.TLSVersion.TLSv1_3, "TLS 1.3"))


@cache
def _spoken(version: ssl.TLSVersion, name: str | None, client: str) -> tuple[tuple[str, bytes], ...]:
    sides = {Direction.CLIENT: "C", Direction.SERVER: "S"}
    return tuple((sides[who], data) for who, data in handshake(version, name=name, client=client))


def go_under_tls(chance: random.Random, script: Script) -> None:
    """End a script in TLS, as real peers speak it, with some more records behind it."""
    version, script.tls = chance.choice(_VERSIONS)
    script.server_name = chance.choice((NAME, NAME, None))
    script.turns += _spoken(version, script.server_name, chance.choice(("", "somebody")))
    for _ in range(chance.randrange(6)):
        data = chance.randbytes(chance.randrange(20, 900))
        script.turns.append((chance.choice("CS"), b"\x17\x03\x03" + len(data).to_bytes(2, "big") + data))


def tls(chance: random.Random) -> Script:
    """Return a session that is TLS from its first byte."""
    script = Script(chance.choice((465, 993, 995)))
    go_under_tls(chance, script)
    return script


# --- SASL (RFC 4422) -----------------------------------------------------------------------------------


class Steps(NamedTuple):
    """An exchange: what the server asks and the client responds, and the login that it is."""

    steps: list[tuple[str, str]]
    login: Login


def _exchange(chance: random.Random, name: str, password: str, *, accepted: bool) -> Steps:
    nonce = str(chance.randrange(10_000))

    def login(mechanism: str, kind: Field, secret: str, challenge: str | None = None) -> Login:
        return Login(mechanism, name, kind, secret, accepted, challenge)

    def plain() -> Steps:
        return Steps([("", f"\0{name}\0{password}")], login("PLAIN", Field.PASSWORD, password))

    def two_lines() -> Steps:
        return Steps([("Username:", name), ("Password:", password)], login("LOGIN", Field.PASSWORD, password))

    def cram_md5() -> Steps:
        challenge = f"<{nonce}@example.org>"
        digest = hmac.new(password.encode(), challenge.encode(), "md5").hexdigest()
        return Steps([(challenge, f"{name} {digest}")], login("CRAM-MD5", Field.DIGEST, digest, challenge))

    def digest_md5() -> Steps:
        challenge = f'realm="x",nonce="{nonce}",qop="auth",algorithm=md5-sess,charset=utf-8'
        digest = hashlib.md5(password.encode(), usedforsecurity=False).hexdigest()
        response = f'username="{name}",realm="x",nonce="{nonce}",cnonce="c",nc=00000001,response={digest}'
        steps = [(challenge, response), *([("rspauth=ea40", "")] if accepted else [])]
        return Steps(steps, login("DIGEST-MD5", Field.DIGEST, response, challenge))

    def scram() -> Steps:
        challenge = f"r=c{nonce}s,s=c2FsdA==,i=4096"
        proof = f"c=biws,r=c{nonce}s,p={base64(hashlib.sha256(password.encode()).digest())}"
        steps = [("", f"n,,n={name},r=c{nonce}"), (challenge, proof)]
        steps += [("v=c2lnbmF0dXJl", "")] if accepted and chance.random() < 0.7 else []
        return Steps(steps, login("SCRAM-SHA-256", Field.DIGEST, proof, challenge))

    def xoauth2() -> Steps:
        steps = [("", f"user={name}\1auth=Bearer {password}\1\1")]
        steps += [] if accepted else [('{"status":"401"}', "")]
        return Steps(steps, login("XOAUTH2", Field.TOKEN, password))

    return chance.choice((plain, plain, two_lines, cram_md5, digest_md5, scram, xoauth2))()


class Way(NamedTuple):
    """How a protocol carries SASL: its command, a challenge, and both verdicts."""

    command: str
    challenge: str
    accepted: str
    refused: str


def log_in(chance: random.Random, script: Script, number: int, way: Way) -> None:
    """Let a client log in by SASL: with or without an initial response, or break off with `*`."""
    accepted = chance.random() < 0.5
    steps, login = _exchange(chance, f"user{number}", f"secret-{number}", accepted=accepted)
    breaks_off = chance.randrange(len(steps)) if chance.random() < 0.15 else None
    may_begin = steps[0][0] == "" or login.mechanism == "LOGIN"
    begins = may_begin and breaks_off != 0 and chance.random() < 0.4
    first = f" {base64(steps[0][1])}" if begins else ""
    script.client(f"{way.command} {login.mechanism}{first}\r\n")
    for place, (challenge, response) in enumerate(steps):
        if place == 0 and begins:
            continue
        script.server(way.challenge.format(base64(challenge)))
        if place == breaks_off:
            script.ask("*\r\n", way.refused)
            script.cancelled.append(login._replace(accepted=False))
            return
        script.client(base64(response) + "\r\n")
    script.server(way.accepted if accepted else way.refused)
    script.logins.append(login)


def proxied(chance: random.Random, write: Callable[[random.Random], Script]) -> Script:
    """Return a session behind a load balancer (HAProxy's PROXY protocol, versions 1 and 2)."""
    script = write(chance)
    addresses = bytes([198, 51, 100, 7, 192, 0, 2, 1, 200, 10, 0, 110])
    extensions = chance.randbytes(chance.randrange(100)) if chance.random() < 0.5 else b""
    size = len(addresses + extensions).to_bytes(2, "big")
    headers = (
        b"PROXY TCP4 198.51.100.7 192.0.2.1 51234 110\r\n",
        b"PROXY TCP6 2001:db8::7 2001:db8::1 51234 110\r\n",
        b"PROXY UNKNOWN\r\n",
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11" + size + addresses + extensions,
    )
    script.turns.insert(0, ("C", chance.choice(headers)))
    return script
