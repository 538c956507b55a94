"""Tells by the first bytes of both directions which protocol a flow speaks, on whatever port.

The greeting alone is not enough: FTP greets with 220 like SMTP (RFC 959, section 5.4), Redis answers
+OK like POP3. So the client's first command must fit too. Each rule looks only at bytes that settle it
for good, so that the answer does not depend on which direction was captured first.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

from mailtap.capture.model import Protocol
from mailtap.capture.protocols.http import REQUEST, STATUS
from mailtap.capture.protocols.lines import TLS_RECORD

SIGHT_LIMIT = 4_096
"""Bytes of each direction within which a protocol must have shown itself."""

HINTS = MappingProxyType(
    {
        25: Protocol.SMTP,
        587: Protocol.SMTP,
        2525: Protocol.SMTP,
        110: Protocol.POP3,
        143: Protocol.IMAP,
        465: Protocol.TLS,
        993: Protocol.TLS,
        995: Protocol.TLS,
    }
)
"""What the well-known ports carry; a hint only."""

NOT_MAIL = frozenset({443, 563, 636, 853, 989, 990, 992, 994, 3389, 5061, 5223, 6697, 8443})
"""Ports whose TLS is known to hold something else (HTTPS, NNTPS, LDAPS, DNS, FTPS, …)."""

_WEB = frozenset({443, 8443})
_RECORD_HEAD = 5
# The extension server_name (RFC 6066, section 3) with a host `mail.…` or `webmail.…`.
_MAIL_HOST = re.compile(rb"\x00\x00....\x00..(?:web)?mail\.", re.DOTALL | re.IGNORECASE)

_LATER = re.compile(rb"[\x14-\x17]\x03[\x00-\x04]")  # any record of TLS (RFC 8446, section 5.1)
_TELLING = 4  # bytes by which a reply is known: a code and what follows it, a tag at its shortest


class Sight(NamedTuple):
    """The first bytes of one direction.

    Attributes:
        data: at most `SIGHT_LIMIT` bytes, up to the first hole.
        ended: whether no more will follow.
        holed: whether a hole follows, or came before.
    """

    data: bytes
    ended: bool
    holed: bool


@dataclass(frozen=True, slots=True)
class Nothing:
    """The flow speaks no protocol that we know."""


@dataclass(frozen=True, slots=True)
class Found:
    """The flow speaks this protocol.

    Attributes:
        protocol: which.
        late: whether the capture began after the greeting.
    """

    protocol: Protocol
    late: bool = False


_TAG = rb"[!#$&',\-.0-9A-Z:;<=>?@\[\]^_`a-z|}~/]{1,64} "  # RFC 9051, section 9: tag, and a little more
_SASL = rb"(PLAIN|LOGIN|CRAM|DIGEST|SCRAM|X?OAUTH|NTLM|GSS|EXTERNAL|ANONYMOUS|KERBEROS|GS2|XYMCOOKIE)"


class _Marks(NamedTuple):
    """How one protocol shows itself.

    Attributes:
        greeting: the server's first line.
        reply: a server's line later on.
        opener: a client's first command.
        later: a client's command that cannot be its first: the capture began late.
        alone: a client's command that no other protocol has, for flows without the server's half.
        named: a greeting that is enough, for flows without the client's half.
    """

    greeting: re.Pattern[bytes]
    reply: re.Pattern[bytes]
    opener: re.Pattern[bytes]
    later: re.Pattern[bytes]
    alone: re.Pattern[bytes]
    named: re.Pattern[bytes]


def _marks(*patterns: bytes) -> _Marks:
    return _Marks(*(re.compile(pattern, re.IGNORECASE) for pattern in patterns))


_MARKS = MappingProxyType(
    {
        Protocol.POP3: _marks(
            rb"\+OK|-ERR",
            rb"\+OK|-ERR|\+ ",
            rb"(USER .+|APOP \S+ .+|CAPA|STLS|AUTH( " + _SASL + rb".*)?|LANG.*|UTF8.*|XTND .*) *$",
            rb"(PASS .*|STAT|LIST( \d+)?|UIDL( \d+)?|(RETR|DELE) \d+|TOP \d+ \d+) *$",
            rb"(APOP \S+ [0-9a-f]{32}|CAPA|STLS|UIDL( \d+)?|DELE \d+|TOP \d+ \d+) *$",
            rb"\+OK.*POP",
        ),
        Protocol.SMTP: _marks(
            rb"(220|421|554)[ -]",
            rb"[2345]\d\d[ -]",
            rb"((EHLO|HELO|LHLO)( .*)?|STARTTLS|MAIL FROM:.*|XCLIENT .*|AUTH " + _SASL + rb"\S*( .*)?) *$",
            rb"(RCPT TO:.*|DATA|BDAT \d+( LAST)?) *$",
            rb"((EHLO|HELO|LHLO) .*|MAIL FROM: ?<.*|RCPT TO: ?<.*) *$",
            rb"220[ -].*(SMTP|LMTP)",
        ),
        Protocol.IMAP: _marks(
            rb"\* (OK|PREAUTH|BYE)\b",
            rb"\* |" + _TAG + rb"(OK|NO|BAD)\b|\+ ",
            _TAG
            + rb"(LOGIN .*|AUTHENTICATE .*|CAPABILITY|STARTTLS|ID .*|NOOP|LOGOUT|COMPRESS .*|ENABLE .*) *$",
            _TAG + rb"((UID )?(FETCH|SEARCH|STORE|COPY|MOVE|SORT|THREAD) .*|"
            rb"(SELECT|EXAMINE|LIST|LSUB|STATUS|APPEND) .*"
            rb"|IDLE|NAMESPACE|EXPUNGE|CLOSE) *$",
            _TAG
            + rb"(LOGIN \S+ \S+|AUTHENTICATE "
            + _SASL
            + rb".*|CAPABILITY|(SELECT|EXAMINE) .*|UID FETCH .*) *$",
            rb"\* (OK|PREAUTH).*IMAP",
        ),
    }
)
_PREAUTH = re.compile(rb"\* PREAUTH\b", re.IGNORECASE)  # behind it a client need not log in
# Commands that several protocols share, and an empty line from somebody at a keyboard: they tell nothing,
# the next one does.
_NEUTRAL = re.compile(rb"(NOOP|QUIT|RSET|HELP)( .*)?$|\s*$", re.IGNORECASE)


def recognise(client: Sight, server: Sight, port: int) -> Found | Nothing | None:
    """Return what the flow speaks, or None where more bytes are needed to tell."""
    late = HINTS.get(port) is Protocol.TLS and any(_LATER.match(each.data) for each in (client, server))
    if late or TLS_RECORD.match(client.data) or TLS_RECORD.match(server.data):
        return _by_name(client, port) if port in NOT_MAIL else Found(Protocol.TLS, late=late)
    commands, replies = _lines(client), _lines(server) or _cut_line(server)
    if commands and port not in HINTS and REQUEST.match(commands[0]):
        return Found(Protocol.HTTP)
    telling = _telling(commands, client, port)
    if _foreign(telling, replies, port):
        return Nothing()
    if not (telling is not None or _over(client)) or not (replies or _over(server)):
        return None
    if not replies:
        return _by_client(telling, commands, client, port)
    return _by_server(replies[0], port) if telling is None else _by_both(telling, replies[0], port)


def _telling(commands: list[bytes], client: Sight, port: int) -> bytes | None:
    """Return the client's line that tells what it speaks, or None where it may still come.

    On a mail port, one that fits nothing may be the rest of a line that the capture lacks the beginning of.
    """
    saying = (line for line in commands if not _NEUTRAL.match(line))
    first = next(saying, None)
    if first is None or port not in HINTS or _fits_any(first):
        return first
    later = next((line for line in saying if _fits_any(line)), None)
    return first if later is None and _over(client) else later


def _by_name(client: Sight, port: int) -> Found | Nothing | None:
    """Return whether TLS on a port of the web goes to a webmail, by the name in the ClientHello."""
    if port not in _WEB:
        return Nothing()
    size = int.from_bytes(client.data[3:_RECORD_HEAD], "big") + _RECORD_HEAD
    if len(client.data) < max(size, _RECORD_HEAD) and not _over(client):
        return None
    return Found(Protocol.TLS) if _MAIL_HOST.search(client.data) else Nothing()


def _foreign(command: bytes | None, replies: list[bytes], port: int) -> bool:
    """Tell whether either side's first line is none of any protocol's.

    On a mail port it may be the middle of a message, where the capture begins: the client's command tells.
    """
    if port in HINTS:
        return False
    if command is not None and not _fits_any(command):
        return True
    if not replies or STATUS.match(replies[0]):  # the request tells whether it is HTTP
        return False
    return not any(marks.reply.match(replies[0]) for marks in _MARKS.values())


def _fits(marks: _Marks, command: bytes) -> bool:
    return bool(marks.opener.match(command) or marks.later.match(command))


def _fits_any(command: bytes) -> bool:
    return any(_fits(marks, command) for marks in _MARKS.values())


def _lines(sight: Sight) -> list[bytes]:
    return sight.data.replace(b"\r\n", b"\n").split(b"\n")[:-1]


def _cut_line(sight: Sight) -> list[bytes]:
    """Return the first line as far as it goes before a hole, where that is enough to know a reply by."""
    return [sight.data] if sight.holed and len(sight.data) >= _TELLING else []


def _over(sight: Sight) -> bool:
    return sight.ended or sight.holed or len(sight.data) >= SIGHT_LIMIT


def _by_both(command: bytes, reply: bytes, port: int) -> Found | Nothing:
    for protocol, marks in _MARKS.items():
        if marks.opener.match(command) and marks.greeting.match(reply):
            return Found(protocol)
    # The side that is no command, or no reply, was perhaps in the middle of a message: that may be any text.
    hint = HINTS.get(port, Protocol.TLS)
    if hint in _MARKS and _MARKS[hint].reply.match(reply):
        return Found(hint, late=not _PREAUTH.match(reply))
    for protocol, marks in _MARKS.items():
        if marks.reply.match(reply) and _fits(marks, command):
            return Found(protocol, late=not _PREAUTH.match(reply))
    return Found(hint, late=True) if hint in _MARKS and _fits(_MARKS[hint], command) else Nothing()


def _by_server(reply: bytes, port: int) -> Found | Nothing:
    for protocol, marks in _MARKS.items():
        if marks.named.match(reply) or (marks.greeting.match(reply) and HINTS.get(port) is protocol):
            return Found(protocol)
    return Nothing()


def _by_client(
    first: bytes | None, commands: list[bytes], client: Sight, port: int
) -> Found | Nothing | None:
    for protocol, marks in _MARKS.items():
        hinted = HINTS.get(port) is protocol
        begins = first is not None and _fits(marks, first)
        if begins and (hinted or any(marks.alone.match(line) for line in commands)):
            return Found(protocol)
    return Nothing() if _over(client) else None
