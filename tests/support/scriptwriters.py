"""Random sessions of POP3, SMTP, IMAP and webmail: what real clients and servers may say, in any order."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from scripts import Letter, Login, Script, Way, dotted, go_under_tls, log_in, text

from mailtap.capture.model import Field

if TYPE_CHECKING:
    import random


def _end(
    chance: random.Random, script: Script, upgrade: tuple[str, str], farewell: tuple[str, str]
) -> Script:
    if chance.random() < 0.3:
        script.ask(*upgrade)
        go_under_tls(chance, script)
    else:
        script.ask(*farewell)
    return script


def pop3(chance: random.Random) -> Script:
    """Return a session of POP3: logins of all kinds, mails one by one or pipelined, a STLS that is refused."""
    script = Script(110)
    stamp = f"<{chance.randrange(99_999)}.1@example.org>"
    script.server(f"+OK ready {stamp}\r\n")
    for number in range(chance.randrange(3, 9)):
        name, password, way = f"user{number}", f"secret-{number}", chance.random()
        accepted = chance.random() < 0.5
        verdict = "+OK in\r\n" if accepted else "-ERR no\r\n"
        if way < 0.25:
            script.logins.append(Login("USER/PASS", name, Field.PASSWORD, password, accepted))
            if chance.random() < 0.4:
                script.ask(f"USER {name}\r\nPASS {password}\r\n", f"+OK\r\n{verdict}")
            elif chance.random() < 0.15:
                script.ask(f"USER {name}\r\n", "-ERR never heard of\r\n")
                script.logins[-1] = Login("USER/PASS", name, Field.USERNAME, None, accepted=False)
            else:
                script.ask(f"USER {name}\r\n", "+OK\r\n")
                script.ask(f"PASS {password}\r\n", verdict)
        elif way < 0.35:
            digest = hashlib.md5((stamp + password).encode(), usedforsecurity=False).hexdigest()
            script.ask(f"APOP {name} {digest}\r\n", verdict)
            script.logins.append(Login("APOP", name, Field.DIGEST, digest, accepted, stamp))
        elif way < 0.6:
            log_in(chance, script, number, Way("AUTH", "+ {}\r\n", "+OK in\r\n", "-ERR no\r\n"))
        elif way < 0.8:
            script.ask(*chance.choice((
                ("CAPA\r\n", "+OK\r\nTOP\r\nUIDL\r\nSASL PLAIN\r\n.\r\n"),
                ("STLS\r\n", "-ERR no TLS\r\n"),
                ("NOOP\r\nSTAT\r\n", "+OK\r\n+OK 4 900\r\n"),
                ("STAT\r\nLIST\r\n", "+OK 1 5\r\n+OK\r\n1 5\r\n.\r\n"),
            )))  # fmt: skip
        else:
            _fetch(chance, script, number)
    return _end(chance, script, ("STLS\r\n", "+OK begin\r\n"), ("QUIT\r\n", "+OK bye\r\n"))


def _fetch(chance: random.Random, script: Script, number: int) -> None:
    mails = [text(chance, f"{number}{each}") for each in range(chance.choice((1, 1, 2, 3)))]
    kept = [chance.random() < 0.85 for _ in mails]
    pairs = [
        (f"RETR {each + 1}\r\n", f"+OK go\r\n{dotted(mail)}" if kept[each] else "-ERR gone\r\n")
        for each, mail in enumerate(mails)
    ]
    _say(chance, script, pairs)
    script.letters += [Letter(mail.encode()) for mail, is_kept in zip(mails, kept, strict=True) if is_kept]


def _say(chance: random.Random, script: Script, pairs: list[tuple[str, str]]) -> None:
    """Let commands be said one by one, or all at once."""
    if chance.random() < 0.5:
        script.ask("".join(asked for asked, _ in pairs), "".join(answered for _, answered in pairs))
    else:
        for asked, answered in pairs:
            script.ask(asked, answered)


def smtp(chance: random.Random) -> Script:
    """Return a session of SMTP: logins, several transactions, a STARTTLS that is refused."""
    script = Script(chance.choice((25, 587)))
    script.server(chance.choice(("220 mail ESMTP\r\n", "220-mail\r\n220 ESMTP\r\n")))
    script.ask("EHLO client\r\n", "250-mail\r\n250-PIPELINING\r\n250-CHUNKING\r\n250 AUTH PLAIN LOGIN\r\n")
    for number in range(chance.randrange(3, 9)):
        way = chance.random()
        if way < 0.35:
            log_in(chance, script, number, Way("AUTH", "334 {}\r\n", "235 in\r\n", "535 no\r\n"))
        elif way < 0.47:
            script.ask(*chance.choice((("STARTTLS\r\n", "454 not now\r\n"), ("NOOP\r\n", "250 ok\r\n"))))
        else:
            _transact(chance, script, number)
    return _end(chance, script, ("STARTTLS\r\n", "220 begin\r\n"), ("QUIT\r\n", "221 bye\r\n"))


def _transact(chance: random.Random, script: Script, number: int) -> None:
    """Let a mail be sent by DATA or BDAT, or not be sent."""
    taken = chance.random() < 0.9
    addresses = [(f"s{number}@example.org", taken)]
    addresses += [
        (f"r{number}.{each}@example.org", taken and chance.random() < 0.8)
        for each in range(chance.randrange(1, 4))
    ]
    pairs = [
        (f"{'RCPT TO' if place else 'MAIL FROM'}:<{address}>\r\n", "250 ok\r\n" if is_taken else "550 no\r\n")
        for place, (address, is_taken) in enumerate(addresses)
    ]
    verdict = chance.choice(("250 taken\r\n", "250 taken\r\n", "554 spam\r\n"))
    mail = text(chance, number)
    way = chance.choice(("DATA", "DATA", "BDAT", "RSET"))
    if way == "RSET" or not any(is_taken for _, is_taken in addresses[1:]):
        _say(chance, script, [*pairs, ("RSET\r\n", "250 ok\r\n")])
        script.letters.append(Letter(None, tuple(addresses)))
        return
    if way == "DATA":
        _say(chance, script, [*pairs, ("DATA\r\n", "354 go\r\n")])
        script.ask(dotted(mail), verdict)
    else:
        cuts = sorted({chance.randrange(1, len(mail)) for _ in range(chance.randrange(4))})
        pieces = [mail[start:end] for start, end in zip([0, *cuts], [*cuts, len(mail)], strict=True)]
        pieces += [""] if chance.random() < 0.3 else []
        pairs += [(f"BDAT {len(piece)}\r\n{piece}", "250 ok\r\n") for piece in pieces[:-1]]
        _say(chance, script, [*pairs, (f"BDAT {len(pieces[-1])} LAST\r\n{pieces[-1]}", verdict)])
    script.letters.append(Letter(mail.encode(), tuple(addresses)))


def imap(chance: random.Random) -> Script:
    """Return a session of IMAP: logins with and without literals, mails both ways, a STARTTLS that is refused."""
    script = Script(143)
    script.server("* OK IMAP ready\r\n")
    for number in range(chance.randrange(3, 9)):
        way, tag = chance.random(), f"a{number}"
        if way < 0.3:
            _log_in(chance, script, number)
        elif way < 0.55:
            command = f"{tag} AUTHENTICATE"
            log_in(chance, script, number, Way(command, "+ {}\r\n", f"{tag} OK in\r\n", f"{tag} NO no\r\n"))
        elif way < 0.68:
            script.ask(*chance.choice((
                (f"{tag} STARTTLS\r\n", f"{tag} NO not now\r\n"),
                (f"{tag} NOOP\r\nn{number} NOOP\r\n", f"* 3 EXISTS\r\n{tag} OK\r\nn{number} OK\r\n"),
            )))  # fmt: skip
        elif way < 0.74:
            script.ask(f"{tag} IDLE\r\n", "+ idling\r\n")
            script.server("* 4 EXISTS\r\n")
            script.ask("DONE\r\n", f"{tag} OK\r\n")
        else:
            _move(chance, script, number)
    return _end(chance, script, ("z STARTTLS\r\n", "z OK begin\r\n"), ("z LOGOUT\r\n", "* BYE\r\nz OK\r\n"))


def _log_in(chance: random.Random, script: Script, number: int) -> None:
    name, password, accepted = f"user{number}", f"secret-{number}", chance.random() < 0.5
    how = chance.randrange(4)
    if how == 0:
        script.client(f"a{number} LOGIN {name} {password}\r\n")
    elif how == 1:
        script.client(f'a{number} LOGIN "{name}" "{password}"\r\n')
    elif how == 2:
        script.client(f"a{number} LOGIN {{{len(name)}+}}\r\n{name} {{{len(password)}+}}\r\n{password}\r\n")
    else:
        script.ask(f"a{number} LOGIN {{{len(name)}}}\r\n", "+ go on\r\n")
        script.ask(f"{name} {{{len(password)}}}\r\n", "+ go on\r\n")
        script.client(f"{password}\r\n")
    script.server(f"a{number} {'OK' if accepted else 'NO'} done\r\n")
    script.logins.append(Login("LOGIN", name, Field.PASSWORD, password, accepted))


def _move(chance: random.Random, script: Script, number: int) -> None:
    mail = text(chance, number)
    script.letters.append(Letter(mail.encode()))
    how, done = chance.randrange(4), f"a{number} {chance.choice(('OK', 'OK', 'NO'))} done\r\n"
    if how == 0:
        script.ask(f"a{number} APPEND sent {{{len(mail)}+}}\r\n{mail}\r\n", done)
    elif how == 1:
        script.ask(f"a{number} APPEND sent {{{len(mail)}}}\r\n", "+ go\r\n")
        script.ask(f"{mail}\r\n", done)
    else:
        answer = f"* {number + 1} FETCH (BODY[] {{{len(mail)}}}\r\n{mail})\r\n"
        script.ask(f"a{number} FETCH {number + 1} BODY[]\r\n", answer + done)


# --- webmail (RFC 9112) ----------------------------------------------------------------------------------

_HOST = "Host: webmail.example.org\r\n"
_LOGIN_PAGE = "<title>Our webmail</title><form><input name=_user><input name=_pass type=password></form>"
_IN = "Set-Cookie: roundcube_sessauth=1\r\nLocation: ./?_task=mail\r\n"
_ANSWERS = (
    ("302 Found", "", _IN, True),
    ("401 Unauthorized", "no", "", False),
    ("200 OK", _LOGIN_PAGE, "", False),
    ("302 Found", "", "Location: ./?_task=login&_err=1\r\n", None),
    ("200 OK", "<p>hello", "", None),
)


def web(chance: random.Random) -> Script:
    """Return a session of webmail: logins and mails, contents with a length or in chunks, some pipelined."""
    script = Script(chance.choice((80, 8080)))
    pairs: list[tuple[str, str]] = []
    for number in range(chance.randrange(2, 8)):
        way = chance.random()
        if way < 0.55:
            status, page, more, accepted = chance.choice(_ANSWERS)
            name, password = f"user{number}", f"secret-{number}"
            script.logins.append(Login("HTML FORM", name, Field.PASSWORD, password, accepted))
            interim = "HTTP/1.1 100 Continue\r\n\r\n" if chance.random() < 0.1 else ""
            answer = interim + _answer(chance, status, "text/html", page, more)
            pairs.append((_form(chance, name, password), answer))
        elif way < 0.8:
            answer = chance.choice((
                _answer(chance, "200 OK", "text/html", _LOGIN_PAGE),
                _answer(chance, "404 No", "text/plain", "not here"),
                "HTTP/1.1 304 Not Modified\r\n\r\n",
                "HTTP/1.1 204 No\r\n\r\n",
            ))  # fmt: skip
            pairs.append((f"GET /?_task=login HTTP/1.1\r\n{_HOST}\r\n", answer))
        else:
            mail = text(chance, number)
            script.letters.append(Letter(mail.encode()))
            source = f"GET /?_task=mail&_action=viewsource&_uid={number} HTTP/1.1\r\n{_HOST}\r\n"
            pairs.append((source, _answer(chance, "200 OK", "message/rfc822", mail)))
    while pairs:
        together = pairs[: chance.choice((1, 1, 2, 3))]
        del pairs[: len(together)]
        script.ask("".join(asked for asked, _ in together), "".join(answered for _, answered in together))
    return script


def _form(chance: random.Random, name: str, password: str) -> str:
    kind, form = "application/x-www-form-urlencoded", f"_task=login&_user={name}&_pass={password}"
    if chance.random() < 0.2:
        kind = "multipart/form-data; boundary=x-y"
        form = "".join(
            f'--x-y\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{value}\r\n'
            for key, value in (("_user", name), ("_pass", password))
        )
        form += "--x-y--\r\n"
    return f"POST /?_task=login HTTP/1.1\r\n{_HOST}Content-Type: {kind}\r\n{_framed(chance, form)}"


def _answer(chance: random.Random, status: str, kind: str, page: str, more: str = "") -> str:
    return f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\n{more}{_framed(chance, page)}"


def _framed(chance: random.Random, content: str) -> str:
    """Return the last field of a head and the content, with a length or in chunks."""
    if chance.random() < 0.5:
        return f"Content-Length: {len(content)}\r\n\r\n{content}"
    chunks = "Transfer-Encoding: chunked\r\n\r\n"
    while content:
        size = min(chance.randrange(1, 80), len(content))
        chunks += f"{size:x}\r\n{content[:size]}\r\n"
        content = content[size:]
    return chunks + chance.choice(("0\r\n\r\n", "0\r\nX-Trailer: 1\r\n\r\n"))
