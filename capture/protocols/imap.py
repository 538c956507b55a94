"""Listens to IMAP (RFC 9051, RFC 3501; SASL-IR: RFC 4959; LITERAL+: RFC 7888; COMPRESS: RFC 4978)."""

from __future__ import annotations

import re
from itertools import islice
from typing import TYPE_CHECKING

from mailtap.capture.events import CompressionStarted, Heard, LoginSeen, MessageSeen
from mailtap.capture.model import Protocol
from mailtap.capture.protocols import sasl, tls
from mailtap.capture.protocols.fetched import Fetched
from mailtap.capture.protocols.sentences import Sentence, sentence, whole_line

if TYPE_CHECKING:
    from mailtap.capture.protocols.lines import Line, Reading
    from mailtap.capture.protocols.talk import Talk

_COMMAND = re.compile(rb"[A-Za-z0-9.]{1,8}[ ]?[A-Za-z]*")
_FETCH = re.compile(rb"\* (\d{1,10}) (?:UID)?FETCH ", re.IGNORECASE)  # RFC 9586: UIDFETCH
_EXPUNGE = re.compile(rb"\* (\d{1,10} EXPUNGE|VANISHED )", re.IGNORECASE)
_VERDICTS = {b"OK": True, b"NO": False, b"BAD": False}
_LEAVES_MAILBOX = frozenset({b"SELECT", b"EXAMINE", b"CLOSE", b"UNSELECT", b"LOGOUT"})
_MOST_EARLY = 1_000


def converse(talk: Talk) -> Reading[None]:
    """Listen to one connection from its greeting to its end, or to the TLS or compression in it."""
    session = _Session(talk)
    go_on = True
    if talk.started_late:
        talk.lose_count(0)
    else:
        yield from talk.greeting()
    while (
        go_on
        and (line := talk.command_now() or (yield from talk.command(Protocol.IMAP, _COMMAND))) is not None
    ):
        go_on = yield from session.command(line)
    if session.compressed:
        return
    if not go_on or (yield from tls.begins(talk)):
        session.settle()
        yield from tls.watch(talk, Protocol.IMAP)
        return
    yield from session.verdict(b"")
    session.settle()


class _Session:
    """What one connection has said that later commands depend on."""

    def __init__(self, talk: Talk) -> None:
        self.talk = talk
        self.fetched = Fetched()
        self.compressed = False
        self._early: dict[bytes, tuple[bool, float]] = {}  # verdicts by tag, each with its turn
        self._tag = b""
        self._holes = 0
        self._since: float = 0  # the turn up to which responses answer something else, where any were lost
        self._sure = not talk.started_late  # whether what the client says is known to be commands
        self._client_holes = 0
        self._answered: float = 0  # turn of the latest verdict
        self._passed = False  # whether the server answered a later command, and not the one in hand

    def command(self, line: Line) -> Reading[bool]:
        """Listen to one command and the responses to it; return whether the protocol goes on."""
        self._tag, _, rest = line.text.partition(b" ")
        if not self._tag:
            return True  # no command, so nothing answers it with its tag
        verb, _, rest = rest.partition(b" ")
        verb = verb.upper()
        self._begin(line)
        if verb == b"AUTHENTICATE" and (begun := sasl.opening(line, 2)):
            yield from sasl.exchange(self.talk, Protocol.IMAP, begun, self._sasl_answer)
            return True
        if verb in (b"FETCH", b"UID"):
            self.fetched.ask(line.text)
        if verb in _LEAVES_MAILBOX:
            self.settle()
        spoken = whole_line(line) or (yield from sentence(self.talk.client, line, self._invited))
        if verb == b"IDLE" and (yield from self._invited()):
            yield from self.talk.client.line()
        if verb == b"LOGIN":
            yield from self._login(spoken)
            return True
        accepted = yield from self.verdict(self._tag)
        if verb == b"APPEND":
            self._append(spoken, accepted=accepted)
        elif verb == b"COMPRESS" and accepted is not False:
            self.compressed = True
            self.talk.say(CompressionStarted(Protocol.IMAP, (line.part(0),)))
        elif verb == b"STARTTLS":
            return not (yield from tls.follows(self.talk, accepted=accepted))
        return not self.compressed

    def settle(self) -> None:
        """Say what was fetched of messages that will not become complete any more."""
        self.talk.say(*self.fetched.flush())
        self.talk.kept = 0

    def _begin(self, line: Line) -> None:
        """Begin a command; where something was lost, it may be text of a message, until it is answered."""
        self._holes = self.talk.server_holes
        if not self.talk.count_was_lost:
            return
        if self.talk.client_holes > self._client_holes:
            self._client_holes, self._sure = self.talk.client_holes, False
        if self._tag in self._early and self._early[self._tag][1] < line.turn:
            del self._early[self._tag]
        self._since = line.turn
        self._passed = False

    def verdict(self, tag: bytes) -> Reading[bool | None]:
        """Read responses up to the one that completes a command; None where it was not seen."""
        while tag not in self._early:
            if self.talk.count_was_lost and (yield from self._invites_another()):
                return None
            if (yield from self._next(tag)) is None:
                return None
        self._sure = True
        verdict, self._answered = self._early.pop(tag)
        return verdict

    def _is_text(self) -> Reading[bool]:
        """Tell whether what looks like a login is a message's text: nothing answered, or nobody waited."""
        if self._passed or self._answered <= self._since:
            return self._passed
        return (yield from self.talk.client.next_turn()) < self._answered

    def _invites_another(self) -> Reading[bool]:
        """Tell whether the server asks for more of a command, which is none of this one."""
        ahead = yield from self.talk.server.peek_line()
        self._passed = ahead is not None and ahead[0][:1] == b"+" and ahead[1] >= self._since
        return self._passed

    def _next(self, tag: bytes) -> Reading[Sentence | None]:
        """Read a response while a command's is waited for; None where that was lost, or none is to come."""
        others = len(self._early)
        spoken = yield from self._response()
        if (
            len(self._early) > others
            and tag not in self._early
            and (not self._sure or self.talk.server_holes > self._holes)
        ):
            self._passed = True  # the server answers a later command already
            return None
        return spoken

    def _response(self) -> Reading[Sentence | None]:
        """Read one response, and take in what it says; None at the end."""
        line = self.talk.server.line_now() or (yield from self.talk.reply_unasked())
        if line is None:
            return None
        spoken = whole_line(line) or (yield from sentence(self.talk.server, line))
        if found := _FETCH.match(spoken.data):
            self.talk.say(*self.fetched.hear(found[1], spoken))
            self.talk.kept = self.fetched.held
        elif _EXPUNGE.match(spoken.data):
            self.settle()
        tag, _, rest = line.text.partition(b" ")
        verdict = _VERDICTS.get(rest.partition(b" ")[0].upper())
        is_late = verdict is not None and tag != b"*" and line.turn >= self._since
        if verdict is not None and is_late and len(self._early) < _MOST_EARLY:
            self._early[tag] = verdict, line.turn
        return spoken

    def _invited(self) -> Reading[bool]:
        """Tell whether the server lets the client go on with its command (RFC 9051, section 7.6)."""
        while self._tag not in self._early:
            spoken = yield from self._next(self._tag)
            if spoken is None and self._passed and not self._sure:
                return False
            if spoken is None or (spoken.line.text[:1] == b"+" and spoken.line.turn >= self._since):
                return True  # without the server's half, what the client goes on with tells
        if not self.talk.count_was_lost:
            return False
        # The invitation may be lost: a client that went on before it was answered was invited.
        return (yield from self.talk.client.next_turn()) < self._early[self._tag][1]

    def _sasl_answer(self, said: Line) -> Reading[sasl.Answer]:
        if self.talk.count_was_lost:
            self._since = said.turn
        while self._tag not in self._early:
            spoken = None if self._passed else (yield from self._next(self._tag))
            if spoken is None:
                return sasl.UNSEEN
            line = spoken.line
            if line.text[:1] == b"+" and line.turn >= self._since:
                return sasl.Answer(Heard(line.text[2:], (line.part(min(2, len(line.text))),)), None)
        self._sure = True
        return sasl.Answer(None, self._early.pop(self._tag)[0])

    def _login(self, spoken: Sentence) -> Reading[None]:
        """RFC 9051, section 6.2.3."""
        was_sure = self._sure
        accepted = yield from self.verdict(self._tag)
        if not was_sure and (yield from self._is_text()):
            return
        words = [word.heard for word in islice(spoken.words(), 1, 4)]
        if len(words) < len(("LOGIN", "user", "password")) or not spoken.whole:
            return
        verb, username, password = words
        self.talk.say(
            LoginSeen(
                protocol=Protocol.IMAP,
                mechanism="LOGIN",
                spans=verb.spans,
                username=username,
                password=password,
                accepted=accepted,
            )
        )

    def _append(self, spoken: Sentence, *, accepted: bool | None) -> None:
        """RFC 9051, section 6.3.12; RFC 6855, section 4: the strings behind mailbox and date are messages."""
        for word in islice(spoken.words(response=True), 3, None):
            if word.is_string and b"\n" in word.heard.data:
                self.talk.say(
                    MessageSeen(
                        protocol=Protocol.IMAP, content=word.heard, accepted=accepted, whole=word.whole
                    )
                )
