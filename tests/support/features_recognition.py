"""What a conversation turns out to be: on which port, not mistaken for mail, under TLS, or nothing, and why."""

from __future__ import annotations

import ssl
from functools import cache

import wire
from feature import HOST, Feature, spoken, turns
from features_mail import ENVELOPE, GO, HELLO
from features_wire import LEAKS, LOGIN, TALK, Build, row
from tlspeers import NAME, handshake

from mailtap.capture.model import Direction, Endpoint, Packet

PORTS = "Ports and protocols"
TLS = "TLS"
SILENCE = "Why something was not heard"

# --- ports and protocols -------------------------------------------------------------------------------


def _quiet(name: str, source: str, text: str, port: int) -> Feature:
    return row(
        PORTS, f"not mistaken: {name}", source, spoken(text, port), where="any port", leaks=(),
        notes=("One TCP connection carried no mail protocol.",),
    )  # fmt: skip


BODY = "C:\nC: +OK ready\nC: USER tim\nC: PASS x\nC: a LOGIN tim x\nC: .\nS: 250 ok\n"
WEBMAIL = "Webmail"
FORM = "application/x-www-form-urlencoded"


def _form(path: str, more: str, content: str) -> str:
    """Return a login by a form, accepted by a new session."""
    ask = f"C: POST {path} HTTP/1.1\nC: {more}Content-Type: {FORM}\nC: Content-Length: {len(content)}\nC:\nC: {content}\\\n"
    return ask + "S: HTTP/1.1 302 Found\nS: Set-Cookie: s=1\nS: Location: /inbox\nS: Content-Length: 0\nS:\n"


def _shown(kind: str, content: str) -> str:
    """Return a page, up to the end of the connection."""
    ask = "C: GET /webmail/ HTTP/1.1\nC: Host: x\nC:\n"
    return ask + f"S: HTTP/1.1 200 OK\nS: Content-Type: {kind}\nS:\nS: {content}\n"


RECOGNISED = (
    *(
        row(PORTS, f"{name} on an odd port", "by content", spoken(text, 31_234), where="any port", leaks=leaks)
        for name, text, leaks in (
            ("POP3", LOGIN, LEAKS),
            ("SMTP", HELLO + "C: AUTH PLAIN AHRpbQB4\nS: 235 in\n", tuple(leak.replace("USER/PASS", "PLAIN") for leak in LEAKS)),
            ("IMAP", "S: * OK ready\nC: a LOGIN tim x\nS: a OK\n", tuple(leak.replace("USER/PASS", "LOGIN") for leak in LEAKS)),
        )
    ),
    *(
        row(WEBMAIL, name, source, spoken(_form(path, cookie, content), 80), where="HTTP", leaks=tuple(leak.replace("USER/PASS", "HTML FORM") for leak in LEAKS))
        for name, source, path, cookie, content in (
            ("Roundcube's login form", "Roundcube", "/?_task=login", "", "_user=tim&_pass=x"),
            ("SquirrelMail's login form", "SquirrelMail", "/src/redirect.php", "", "login_username=tim&secretkey=x"),
            ("Horde's login form", "Horde", "/login.php", "", "horde_user=tim&horde_pass=x"),
            ("username, user, login or email with password, passwd or pass, where the path names a webmail", "RFC 9110, 4.2", "/webmail/login", "", "user=tim&pass=x"),
            ("the same, where a cookie is a webmail's", "RFC 6265, 5.4", "/", "Cookie: roundcube_sessid=1\nC: ", "email=tim&passwd=x"),
        )
    ),
    row(WEBMAIL, "a page that shows a mail: header cells, message part", "Roundcube", spoken(_shown("text/html", '<td class="header subject">s</td><div class="message-part">hi</div>'), 80), where="HTTP", leaks=("subject 's' message=1", "body 'hi' message=1")),
    row(WEBMAIL, "a mail's source", "message/rfc822", spoken(_shown("message/rfc822", "To: <b@x.test>\nS: Subject: s\nS:\nS: hi"), 80), where="HTTP", leaks=("recipient 'b@x.test' source=header message=1", "subject 's' message=1", "body 'hi\\n' message=1")),
    row(PORTS, "behind a load balancer that names the client first", "HAProxy, PROXY protocol", lambda: wire.conversation([("C", b"PROXY TCP4 192.0.2.9 192.0.2.1 4000 110\r\n"), *turns("S: +OK\nC: USER tim\nS: +OK\nC: PASS x\nS: +OK\n")]), where="any port"),
    _quiet("another site's login form", "RFC 9110", _form("/account", "Cookie: session=1\nC: ", "username=tim&password=x"), 80),
    _quiet("FTP", "RFC 959", "S: 220 FTP server ready\nC: USER tim\nS: 331 password?\nC: PASS x\nS: 230 in\n", 21),
    _quiet("Redis", "RESP", "C: PING\nS: +PONG\nC: AUTH tim x\nS: +OK\nC: PASS x\nS: -ERR unknown command\n", 6379),
    _quiet("HTTP", "RFC 9112", "C: GET / HTTP/1.1\nC: Host: x\nC:\nS: HTTP/1.1 200 OK\nS:\nS: USER tim\nS: PASS x\n", 80),
    _quiet("NNTP", "RFC 4643", "S: 200 ready\nC: AUTHINFO USER tim\nS: 381 more\nC: AUTHINFO PASS x\nS: 281 ok\n", 119),
    _quiet("IRC", "RFC 2812", "C: PASS x\nC: NICK tim\nC: USER tim 0 * :tim\nS: :irc 001 tim :hi\n", 6667),
    Feature(
        topic=PORTS, name="not mistaken: a mail body that says PASS x", where="SMTP", source="RFC 5321, 4.1.1.4", packets=spoken(HELLO + ENVELOPE + GO + BODY, 25),
        leaks=(
            "sender 'a@x.test' source=envelope message=1 accepted",
            "recipient 'b@x.test' source=envelope message=1 accepted",
            "body '+OK ready\\nUSER tim\\nPASS x\\na LOGIN tim x\\n' message=1",
        ),
    ),
)  # fmt: skip

# --- TLS -----------------------------------------------------------------------------------------------

_VERSIONS = {"TLS 1.2": ssl.TLSVersion.TLSv1_2, "TLS 1.3": ssl.TLSVersion.TLSv1_3}


@cache
def _handshake(version: str) -> tuple[wire.Turn, ...]:
    """Return what two real peers say."""
    return tuple(
        ("C" if who is Direction.CLIENT else "S", data) for who, data in handshake(_VERSIONS[version])
    )


def _under_tls(version: str, opening: str, port: int) -> Build:
    return lambda: wire.conversation([*turns(opening), *_handshake(version)], server=Endpoint(HOST, port))


UPGRADES = (
    ("POP3, STLS", "RFC 2595, 4", "S: +OK ready\nC: STLS\nS: +OK go\n", 110),
    ("SMTP, STARTTLS", "RFC 3207", HELLO + "C: STARTTLS\nS: 220 go\n", 25),
    ("IMAP, STARTTLS", "RFC 9051, 6.2.1", "S: * OK ready\nC: a STARTTLS\nS: a OK go\n", 143),
    ("POP3, implicit", "RFC 8314, 3.2", "", 995),
    ("SMTP, implicit", "RFC 8314, 3.3", "", 465),
    ("IMAP, implicit", "RFC 8314, 3.2", "", 993),
    ("on an odd port", "RFC 8446, 5.1", "", 31_234),
)
NAMED = {
    "TLS 1.2": (f"The server's certificate names cn.example.org, {NAME}, alias.example.org.",),
    "TLS 1.3": (),
}
ENCRYPTED = tuple(
    row(TLS, name, source, _under_tls(version, opening, port), where=version, leaks=(f"server_name '{NAME}'",), notes=(f"TLS began at packet …, … bytes opaque ({version}).", *NAMED[version]))
    for name, source, opening, port in UPGRADES
    for version in _VERSIONS
)  # fmt: skip

# --- silence -------------------------------------------------------------------------------------------

NOTHING = "No login and no mail crossed this connection."
EXPLAINED = tuple(
    row(SILENCE, name, "-", packets, where="capture", leaks=(), notes=notes)
    for name, packets, notes in (
        ("server half only", lambda: wire.only(wire.conversation(TALK), "S"), ("Server half only: the capture has nothing of what the client sent.",)),
        ("a connection without data", lambda: wire.conversation([]), ("One connection to a mail port carried no data.",)),
        ("a connection without a login", spoken("S: +OK ready\nC: QUIT\nS: +OK\n", 110), (NOTHING,)),
        ("an unknown protocol on a mail port", spoken("C: \\x00\\x01\nS: \\x00\n", 110), ("Unknown protocol on a mail port.",)),
        ("no TCP", lambda: [Packet(1, 0, 1, b"\xff" * 12 + b"\x08\x06" + bytes(46), 60)], ("The only packet carries no TCP.",)),
        ("no packets", list, ("The capture holds no packets.",)),
        ("an unknown link type", lambda: [Packet(1, 0, 147, bytes(60), 60)], ("Packets of link type 147 are not understood.", "The only packet carries no TCP.")),
        ("packets cut within their headers", lambda: wire.snap(wire.conversation(TALK), 40)[:1], ("From packet 1 on, packets are cut within their headers (snaplen too small).", "The only packet carries no TCP.")),
        ("what is not TLS after the upgrade", spoken("S: +OK ready\nC: STLS\nS: +OK\nC: USER tim\nS: +OK\n", 110), ("After the upgrade to TLS came something that is not TLS.",)),
    )
)  # fmt: skip

RECOGNITION = (*RECOGNISED, *ENCRYPTED, *EXPLAINED)
