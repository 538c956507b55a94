"""Writes mail sessions, and the truth about them: what logs in, and which messages cross."""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from bench import letters

if TYPE_CHECKING:
    from random import Random

    from bench.letters import Letter
    from bench.wire import Turn

_REFUSED = 0.08  # share of logins that the server refuses
_LIST_LIMIT = 3


class Login(NamedTuple):
    """A login that crosses.

    Attributes:
        mechanism: `USER/PASS`, `LOGIN`, `APOP` or the SASL name.
        username: different in each session.
        secret: the password, or the digest where only that crosses; different in each session.
        accepted: whether the server lets the user in.
        sent: base64 texts in which the secret crosses; empty where it crosses as it is.
    """

    mechanism: str
    username: str
    secret: str
    accepted: bool
    sent: tuple[str, ...] = ()


@dataclass
class Session:
    """One connection: what is said, and what is to be heard in it."""

    port: int
    turns: list[Turn] = field(default_factory=list)
    logins: list[Login] = field(default_factory=list)
    letters: list[Letter] = field(default_factory=list)

    def say(self, client: bytes, server: bytes) -> None:
        """Let the client say something and the server answer."""
        self.turns += [("C", client + b"\r\n"), ("S", server + b"\r\n")]


class _Who(NamedTuple):
    """Who logs in: names are made from the session's number."""

    name: str
    password: str
    accepted: bool

    def login(self, mechanism: str, *sent: bytes, secret: str = "") -> Login:
        """Return the login of this user."""
        texts = tuple(text.decode() for text in sent)
        return Login(mechanism, self.name, secret or self.password, self.accepted, texts)


def write(number: int, random: Random) -> Session:
    """Return a session; `number` makes its user and its letters different from all others."""
    who = _Who(f"user{number:06}", f"pw-{random.getrandbits(40):010x}", random.random() >= _REFUSED)
    kind = random.choices(tuple(_KINDS), tuple(_KINDS.values()))[0]
    return kind(number, who, random)


def _mail(number: int, random: Random, most: int = _LIST_LIMIT) -> list[Letter]:
    return [letters.write(number * 10 + place, random) for place in range(random.randrange(most + 1))]


def _stuffed(data: bytes) -> bytes:
    """Double the dots that begin a line, and end with a lone one (RFC 1939, section 3)."""
    return data.replace(b"\r\n.", b"\r\n..") + b"."


def _plain(who: _Who) -> bytes:
    return base64.b64encode(f"\0{who.name}\0{who.password}".encode())


def _digest(who: _Who, challenge: bytes) -> tuple[str, bytes]:
    """Return a CRAM-MD5 digest and the response that carries it (RFC 2195)."""
    digest = hmac.new(who.password.encode(), challenge, hashlib.md5).hexdigest()
    return digest, base64.b64encode(f"{who.name} {digest}".encode())


# --- POP3 (RFC 1939) -----------------------------------------------------------------------------------


def _pop3(number: int, who: _Who, random: Random) -> Session:
    session = Session(random.choices((110, 2110, 10110), (90, 5, 5))[0])
    challenge = b"<%d.bench@mail.example.org>" % number
    session.turns.append(("S", b"+OK POP3 ready " + challenge + b"\r\n"))
    verdict = b"+OK logged in" if who.accepted else b"-ERR no"
    mechanism = random.choices(("USER/PASS", "APOP", "PLAIN", "CRAM-MD5"), (70, 10, 10, 10))[0]
    if mechanism == "USER/PASS":
        session.say(b"USER " + who.name.encode(), b"+OK")
        session.say(b"PASS " + who.password.encode(), verdict)
        session.logins.append(who.login(mechanism))
    elif mechanism == "APOP":
        digest = hashlib.md5(challenge + who.password.encode()).hexdigest()  # noqa: S324
        session.say(f"APOP {who.name} {digest}".encode(), verdict)
        session.logins.append(who.login(mechanism, secret=digest))
    else:
        _sasl(session, who, mechanism, prompt=b"+ ", verdict=verdict)
    if who.accepted:
        _fetch_by_pop3(session, _mail(number, random))
    session.say(b"QUIT", b"+OK bye")
    return session


def _fetch_by_pop3(session: Session, mail: list[Letter]) -> None:
    session.say(b"STAT", b"+OK %d %d" % (len(mail), sum(len(letter.data) for letter in mail)))
    listing = b"".join(b"%d %d\r\n" % (at, len(letter.data)) for at, letter in enumerate(mail, 1))
    session.say(b"LIST", b"+OK\r\n" + listing + b".")
    for at, letter in enumerate(mail, 1):
        session.say(b"RETR %d" % at, b"+OK %d octets\r\n" % len(letter.data) + _stuffed(letter.data))
        session.say(b"DELE %d" % at, b"+OK")
    session.letters += mail


def _sasl(session: Session, who: _Who, mechanism: str, *, prompt: bytes, verdict: bytes) -> None:
    """Log in by AUTH, as POP3 and SMTP both do (RFC 4954; RFC 5034)."""
    if mechanism == "PLAIN":
        text = _plain(who)
        session.say(b"AUTH PLAIN " + text, verdict)
        session.logins.append(who.login(mechanism, text))
    elif mechanism == "LOGIN":
        name, password = (base64.b64encode(each.encode()) for each in (who.name, who.password))
        session.say(b"AUTH LOGIN", prompt + base64.b64encode(b"Username:"))
        session.say(name, prompt + base64.b64encode(b"Password:"))
        session.say(password, verdict)
        session.logins.append(who.login(mechanism, password))
    else:
        challenge = f"<{who.name}.bench@mail.example.org>".encode()
        digest, text = _digest(who, challenge)
        session.say(b"AUTH CRAM-MD5", prompt + base64.b64encode(challenge))
        session.say(text, verdict)
        session.logins.append(who.login(mechanism, text, secret=digest))


# --- SMTP (RFC 5321) -----------------------------------------------------------------------------------


def _smtp(number: int, who: _Who, random: Random) -> Session:
    session = Session(random.choices((587, 25, 2525, 10025), (60, 30, 5, 5))[0])
    session.turns.append(("S", b"220 mail.example.org ESMTP ready\r\n"))
    session.say(b"EHLO desk.example.org", b"250-mail.example.org\r\n250-PIPELINING\r\n250 AUTH PLAIN LOGIN")
    mechanism = random.choices(("PLAIN", "LOGIN", "CRAM-MD5"), (60, 30, 10))[0]
    verdict = b"235 2.7.0 welcome" if who.accepted else b"535 5.7.8 no"
    _sasl(session, who, mechanism, prompt=b"334 ", verdict=verdict)
    for letter in _mail(number, random, 2) if who.accepted else ():
        path, goal = b"MAIL FROM:<hanako@example.org>", b"RCPT TO:<taro@example.net>"
        if random.random() < 0.5:  # noqa: PLR2004  # half of the clients pipeline (RFC 2920)
            session.say(path + b"\r\n" + goal + b"\r\nDATA", b"250 ok\r\n250 ok\r\n354 go on")
        else:
            session.say(path, b"250 ok")
            session.say(goal, b"250 ok")
            session.say(b"DATA", b"354 go on")
        session.say(_stuffed(letter.data), b"250 2.0.0 queued")
        session.letters.append(letter)
    session.say(b"QUIT", b"221 bye")
    return session


# --- IMAP (RFC 9051) -----------------------------------------------------------------------------------


def _imap(number: int, who: _Who, random: Random) -> Session:
    session = Session(random.choices((143, 1143, 10143), (90, 5, 5))[0])
    session.turns.append(("S", b"* OK [CAPABILITY IMAP4rev1] ready\r\n"))
    verdict = b"OK in" if who.accepted else b"NO [AUTHENTICATIONFAILED] no"
    how = random.choices(("quoted", "atom", "literal", "PLAIN"), (50, 20, 15, 15))[0]
    name, password = who.name.encode(), who.password.encode()
    if how == "PLAIN":
        text = _plain(who)
        session.say(b"a1 AUTHENTICATE PLAIN", b"+ ")
        session.say(text, b"a1 " + verdict)
        session.logins.append(who.login("PLAIN", text))
    else:
        if how == "literal":
            session.say(b"a1 LOGIN {%d}" % len(name), b"+ go on")
            session.say(name + b" {%d}" % len(password), b"+ go on")
            session.say(password, b"a1 " + verdict)
        else:
            quote = b'"' if how == "quoted" else b""
            words = quote + name + quote + b" " + quote + password + quote
            session.say(b"a1 LOGIN " + words, b"a1 " + verdict)
        session.logins.append(who.login("LOGIN"))
    if who.accepted:
        mail = _mail(number, random)
        session.say(b"a2 SELECT INBOX", b"* %d EXISTS\r\na2 OK selected" % len(mail))
        for at, letter in enumerate(mail, 1):
            answer = b"* %d FETCH (BODY[] {%d}\r\n" % (at, len(letter.data)) + letter.data
            session.say(b"b%d FETCH %d BODY.PEEK[]" % (at, at), answer + b")\r\nb%d OK done" % at)
        session.letters += mail
    session.say(b"a9 LOGOUT", b"* BYE\r\na9 OK bye")
    return session


_KINDS = {_pop3: 40, _smtp: 35, _imap: 25}
