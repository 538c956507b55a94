"""Listens to POP3 (RFC 1939; CAPA: RFC 2449; STLS: RFC 2595; AUTH: RFC 5034)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mailtap.capture.events import Heard, LoginSeen, MessageSeen
from mailtap.capture.model import Protocol
from mailtap.capture.protocols import sasl, tls

if TYPE_CHECKING:
    from mailtap.capture.protocols.lines import Line, Reading
    from mailtap.capture.protocols.talk import Talk

_COMMAND = re.compile(
    rb"(USER|PASS|APOP|AUTH|STLS|CAPA|RETR|TOP|LIST|UIDL|STAT|DELE|NOOP|RSET|QUIT|LANG|UTF8)\b", re.IGNORECASE
)
# RFC 1939 has a message id; some servers put their name into brackets, too, or leave the `@` out.
_MESSAGE_ID = re.compile(rb"<[^<>@\r\n]+@[^<>\r\n]+>")
_IN_BRACKETS = re.compile(rb"<[^<>\r\n]+>")
_REPLY = re.compile(rb"\+OK\b|-ERR\b")
_HEADER = re.compile(rb"[!-9;-~]+:")

# Commands whose +OK is followed by lines up to a lone dot, by whether they have an argument.
_LISTING = frozenset(
    {(b"CAPA", False), (b"LIST", False), (b"UIDL", False), (b"LANG", False), (b"AUTH", False)}
)

_MESSAGE = (b"RETR", b"TOP ")
_LONG = frozenset({b"RETR", b"TOP", *(verb for verb, _ in _LISTING)})


def converse(talk: Talk) -> Reading[None]:
    """Listen to one connection from its greeting to its end, or to the TLS in it."""
    session = _Session(talk)
    if talk.started_late:
        talk.lose_count(0)
    else:
        yield from session.greeting()
    while (line := talk.command_now() or (yield from talk.command(Protocol.POP3, _COMMAND))) is not None:
        verb, _, argument = line.text.partition(b" ")
        verb = verb.upper()
        if verb != b"PASS" or talk.client_holes > session.holes:  # another user may have been named there
            session.settle_user()
        session.holes = talk.client_holes
        if (yield from session.command(line, verb, argument)):
            break
    session.settle_user()
    if line is not None or (yield from tls.begins(talk)):
        yield from tls.watch(talk, Protocol.POP3)
    else:
        yield from session.server_alone()


class _Session:
    """What one connection has said that later commands depend on."""

    def __init__(self, talk: Talk) -> None:
        self.talk = talk
        self.challenge: Heard | None = None
        self.user: Heard | None = None
        self.user_accepted: bool | None = None
        self.holes = 0

    def greeting(self) -> Reading[None]:
        """Read the greeting, and the APOP challenge in it (RFC 1939, section 7)."""
        line = yield from self.talk.greeting()
        if line is None:
            return
        if found := _MESSAGE_ID.search(line.text) or _IN_BRACKETS.search(line.text):
            self.challenge = Heard(found[0], (line.part(found.start(), found.end()),))

    def command(self, line: Line, verb: bytes, argument: bytes) -> Reading[bool]:
        """Listen to one command and its reply; return whether TLS begins."""
        if verb == b"AUTH" and (begun := sasl.opening(line, 1)):
            yield from sasl.exchange(self.talk, Protocol.POP3, begun, self._sasl_answer)
            return False
        reply = self.talk.answer_now() or (yield from self.talk.answer(line))
        if reply is not None and verb in _LONG and reply.text[:3] == b"+OK":
            reply = yield from self._before_lines(line, reply)
        elif reply is not None and (yield from self.talk.doubts(line, reply)):
            reply = None
        accepted = _verdict(reply)
        if verb == b"USER":
            self.user, self.user_accepted = _argument(line, verb, argument), accepted
        elif verb == b"PASS":
            password = _argument(line, verb, argument)
            self._login("USER/PASS", line, accepted=accepted, username=self.user, password=password)
            self.user = None
        elif verb == b"APOP":
            self._apop(line, argument, accepted=accepted)
        elif verb in (b"RETR", b"TOP") and reply is not None and accepted:
            yield from self._message(reply, whole=verb == b"RETR")
        elif reply is not None and accepted and (verb, bool(argument.strip())) in _LISTING:
            self.talk.lose_count_in((yield from self.talk.server.body(strict=reply.strict)))
        return verb == b"STLS" and (yield from tls.follows(self.talk, accepted=accepted))

    def _before_lines(self, line: Line, reply: Line) -> Reading[Line | None]:
        """Return the reply behind which lines follow: behind a hole, there may be others before it.

        The client may have gone on without waiting, and another command be answered: then a message tells.
        """
        if not self.talk.count_was_lost:
            return reply
        while self.talk.is_first(line) and _verdict(reply):
            ahead = yield from self.talk.server.peek_line()
            if ahead is None or not _REPLY.match(ahead[0]):
                break
            reply = (yield from self.talk.server.line()) or reply
        until = yield from self.talk.client.next_turn()
        is_message = line.text[:4].upper() not in _MESSAGE or (yield from self._message_follows())
        if is_message or reply.turn < until:
            return reply
        self.talk.lose_count(until)
        return None

    def settle_user(self) -> None:
        """Say that a user was named whose PASS never came."""
        if self.user is not None:
            refused = False if self.user_accepted is False else None
            span = self.user.spans
            self.talk.say(
                LoginSeen(
                    protocol=Protocol.POP3,
                    mechanism="USER/PASS",
                    spans=span,
                    username=self.user,
                    accepted=refused,
                )
            )
            self.user = None

    def server_alone(self) -> Reading[None]:
        """Find messages in the rest of the server's half, when the client's has ended or is missing."""
        while (line := (yield from self.talk.reply_unasked())) is not None:
            if line.text.startswith(b"+OK") and (yield from self._message_follows()):
                yield from self._message(line, whole=True)

    def _message_follows(self) -> Reading[bool]:
        """Tell whether the server's next line is a header's."""
        ahead = yield from self.talk.server.peek_line()
        return ahead is not None and _HEADER.match(ahead[0]) is not None

    def _login(self, mechanism: str, line: Line, *, accepted: bool | None, **heard: Heard | None) -> None:
        spans = (line.part(0, 4),)
        self.talk.say(
            LoginSeen(protocol=Protocol.POP3, mechanism=mechanism, spans=spans, accepted=accepted, **heard)
        )

    def _apop(self, line: Line, argument: bytes, *, accepted: bool | None) -> None:
        name, space, digest = argument.rstrip().rpartition(b" ")
        if not space:
            return
        start = len(line.text) - len(argument)
        self._login(
            "APOP",
            line,
            accepted=accepted,
            username=Heard(name, (line.part(start, start + len(name)),)),
            digest=Heard(digest, (line.part(start + len(name) + 1, start + len(name) + 1 + len(digest)),)),
            challenge=self.challenge,
        )

    def _sasl_answer(self, line: Line) -> Reading[sasl.Answer]:
        reply = self.talk.answer_now() or (yield from self.talk.answer(line))
        if reply is None or (yield from self.talk.doubts(line, reply)):
            return sasl.UNSEEN
        if reply.text.startswith(b"+ ") or reply.text == b"+":
            return sasl.Answer(Heard(reply.text[2:], (reply.part(min(2, len(reply.text))),)), None)
        return sasl.Answer(None, _verdict(reply))

    def _message(self, reply: Line, *, whole: bool) -> Reading[None]:
        block = yield from self.talk.server.body(strict=reply.strict)
        self.talk.lose_count_in(block)
        self.talk.say(
            MessageSeen(
                protocol=Protocol.POP3,
                content=Heard(block.data, block.spans),
                whole=whole and block.whole,
                limited=block.limited,
            )
        )


def _argument(line: Line, verb: bytes, argument: bytes) -> Heard:
    return Heard(argument, (line.part(len(verb) + 1),))


def _verdict(reply: Line | None) -> bool | None:
    if reply is None:
        return None
    return True if reply.text.startswith(b"+OK") else False if reply.text.startswith(b"-ERR") else None
