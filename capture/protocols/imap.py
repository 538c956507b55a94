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
    if not talk.started_late:
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
        self._early: dict[bytes, bool] = {}
        self._tag = b""
        self._holes = 0

    def command(self, line: Line) -> Reading[bool]:
        """Listen to one command and the responses to it; return whether the protocol goes on."""
        self._tag, _, rest = line.text.partition(b" ")
        if not self._tag:
            return True  # no command, so nothing answers it with its tag
        verb, _, rest = rest.partition(b" ")
        verb = verb.upper()
        self._holes = self.talk.server_holes
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
        accepted = yield from self.verdict(self._tag)
        if verb == b"LOGIN":
            self._login(spoken, accepted=accepted)
        elif verb == b"APPEND":
            self._append(spoken, accepted=accepted)
        elif verb == b"COMPRESS" and accepted is not False:
            self.compressed = True
            self.talk.say(CompressionStarted(Protocol.IMAP, (line.part(0),)))
        elif verb == b"STARTTLS" and accepted is not False:
            return not (accepted or (yield from tls.begins(self.talk)))
        return not self.compressed

    def settle(self) -> None:
        """Say what was fetched of messages that will not become complete any more."""
        self.talk.say(*self.fetched.flush())
        self.talk.kept = 0

    def verdict(self, tag: bytes) -> Reading[bool | None]:
        """Read responses up to the one that completes a command; None where it was not seen."""
        while tag not in self._early:
            others = len(self._early)
            if (yield from self._response()) is None:
                return None
            if len(self._early) > others and tag not in self._early and self.talk.server_holes > self._holes:
                return None  # it was in the hole: the server answers a later command already
        return self._early.pop(tag)

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
        if verdict is not None and tag != b"*" and len(self._early) < _MOST_EARLY:
            self._early[tag] = verdict
        return spoken

    def _invited(self) -> Reading[bool]:
        """Tell whether the server lets the client go on with its command (RFC 9051, section 7.6)."""
        while self._tag not in self._early:
            spoken = yield from self._response()
            if spoken is None or spoken.line.text[:1] == b"+":
                return True  # without the server's half, what the client goes on with tells
        return False

    def _sasl_answer(self, _line: Line) -> Reading[sasl.Answer]:
        while self._tag not in self._early:
            spoken = yield from self._response()
            if spoken is None:
                return sasl.UNSEEN
            line = spoken.line
            if line.text[:1] == b"+":
                return sasl.Answer(Heard(line.text[2:], (line.part(min(2, len(line.text))),)), None)
        return sasl.Answer(None, self._early.pop(self._tag))

    def _login(self, spoken: Sentence, *, accepted: bool | None) -> None:
        """RFC 9051, section 6.2.3."""
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
