"""Listens to SMTP (RFC 5321; AUTH: RFC 4954; BDAT: RFC 3030; STARTTLS: RFC 3207; pipelining: RFC 2920)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from mailtap.capture.events import Address, Heard, Malformed, MessageSeen
from mailtap.capture.language import N_
from mailtap.capture.model import Protocol, Span
from mailtap.capture.protocols import sasl, tls
from mailtap.capture.protocols.blocks import MESSAGE_LIMIT, Block
from mailtap.capture.protocols.lines import NEVER, Line, Reading

if TYPE_CHECKING:
    from mailtap.capture.protocols.talk import Talk

_COMMAND = re.compile(
    rb"(EHLO|HELO|LHLO|MAIL|RCPT|DATA|BDAT|RSET|AUTH|STARTTLS|QUIT|NOOP|VRFY|EXPN|HELP|XCLIENT|XFORWARD)\b",
    re.IGNORECASE,
)
_AFTER_DATA = re.compile(rb"(MAIL FROM:|RCPT TO:|EHLO |HELO |(RSET|QUIT|NOOP|DATA)\r?\Z)", re.IGNORECASE)
# RFC 5321, section 4.1.2: a path in angle brackets, its local part may be quoted; source routes are dropped.
# A name before it is wrong, and dropped, too.
_PATH = re.compile(rb'[^:]*:(?:[^<>@]*<(?:@[^:>]*:)?((?:"(?:\\.|[^"\\])*"|[^>"])*)>|\s*([^\s<>]+))')
_CHUNK = re.compile(rb"BDAT\s+(\d{1,12})(\s+LAST)?\s*\Z", re.IGNORECASE)
_NEW_TRANSACTION = len(b"RSET\r\nMAIL FROM:<>\r\n")  # no other takes less
_SPAN, _ADDRESS = 128, 640  # bytes of memory, about, that one takes
_GO_ON = b"354"
_ACCEPTED = {b"2": True, b"4": False, b"5": False}
BAD_CHUNK = N_("A BDAT command without a size was skipped.")


class Reply(NamedTuple):
    """A server's reply: its last line."""

    line: Line

    @property
    def code(self) -> bytes:
        """Its code (RFC 5321, section 4.2)."""
        return self.line.text[:3]

    @property
    def text(self) -> Heard:
        """The text behind the code."""
        return Heard(self.line.text[4:], (self.line.part(min(4, len(self.line.text))),))

    @property
    def accepted(self) -> bool | None:
        """Whether it is positive (RFC 5321, section 4.2.1): 2yz; None where it is neither yes nor no."""
        return _ACCEPTED.get(self.line.text[:1])


@dataclass
class _Transaction:
    """A mail transaction in progress (RFC 5321, section 3.3).

    Attributes:
        holes: how many holes the client's half had when the transaction began.
        unread: how many of the client's bytes since were in holes, or beside them.
        lacks: whether it began in a hole, or before the capture: chunks may be missing before the first.
    """

    holes: int = 0
    unread: int = 0
    sender: Address | None = None
    recipients: list[Address] = field(default_factory=list)
    content: bytearray = field(default_factory=bytearray)
    spans: list[Span] = field(default_factory=list)
    whole: bool = True
    limited: bool = False
    lacks: bool = False

    @property
    def kept(self) -> int:
        """Return the number of bytes of memory, about, that it takes."""
        return len(self.content) + _SPAN * len(self.spans) + _ADDRESS * len(self.recipients)

    def add(self, block: Block) -> None:
        """Append a BDAT chunk."""
        room = max(MESSAGE_LIMIT - len(self.content) - _SPAN * len(self.spans), 0)
        self.limited = self.limited or block.limited or len(block.data) > room
        if self.whole:
            self.content += block.data[:room]
            self.spans += block.spans
        self.whole = self.whole and block.whole and not self.limited

    def event(self, content: Heard | None = None, *, accepted: bool | None = None) -> MessageSeen:
        """Return what is known of the message."""
        return MessageSeen(
            protocol=Protocol.SMTP,
            content=content,
            sender=self.sender,
            recipients=tuple(self.recipients),
            whole=self.whole and not self.lacks,
            limited=self.limited,
            accepted=accepted,
        )


def converse(talk: Talk) -> Reading[None]:
    """Listen to one connection from its greeting to its end, or to the TLS in it."""
    session = _Session(talk)
    if talk.started_late:
        yield from session.start_late()
    else:
        yield from session.reply((yield from talk.greeting()))
    while (line := talk.command_now() or (yield from talk.command(Protocol.SMTP, _COMMAND))) is not None:
        if (yield from session.command(line)):
            break
        session.read = talk.client.offset
    session.settle()
    if line is not None or (yield from tls.begins(talk)):
        yield from tls.watch(talk, Protocol.SMTP)


class _Session:
    """What one connection has said that later commands depend on."""

    def __init__(self, talk: Talk) -> None:
        self.talk = talk
        self.mail = _Transaction(lacks=talk.started_late)
        self.lmtp = False
        self.read = 0  # how far the client's half was understood

    def start_late(self) -> Reading[None]:
        """Begin in the middle: what comes before the first reply and is no command is a message's tail."""
        self.talk.lose_count(0)
        ahead = yield from self.talk.client.peek_line()
        if ahead is None or _COMMAND.match(ahead[0]):
            return
        first = yield from self.talk.server.peek_line()
        while first is not None and ahead is not None and ahead[1] < first[1]:
            yield from self.talk.client.line()
            ahead = yield from self.talk.client.peek_line()

    def command(self, line: Line) -> Reading[bool]:
        """Listen to one command and its reply; return whether TLS begins."""
        verb = line.text[:4].upper()
        if self.talk.client_holes > self.mail.holes:
            self._cross(line)
        if verb == b"BDAT":  # behind it comes a message, and only then the server's next word
            yield from self._chunk(line)
        elif (yield from self.talk.catch_up(line))[:3] == _GO_ON:
            yield from self._lost_message(line)
        elif self.talk.is_first(line) and not _COMMAND.match(line.text):
            yield from self._text(line)
        elif verb == b"AUTH":
            yield from self._auth(line)
        elif verb == b"DATA":
            yield from self._data(line)
        else:
            reply = yield from self.answer(line)
            accepted = reply.accepted if reply else None
            if verb in (b"MAIL", b"RCPT") and (reply or not self._may_be_text()):
                self._address(verb, line, accepted=accepted)
            elif verb in (b"RSET", b"EHLO", b"HELO", b"LHLO") and accepted is not False:
                self.settle()
                self.lmtp = verb == b"LHLO" or (self.lmtp and verb == b"RSET")
            elif line.text[:8].upper() == b"STARTTLS":
                return (yield from tls.follows(self.talk, accepted=accepted))
        return False

    def _cross(self, line: Line) -> None:
        """Go on behind a hole: in it another transaction may have begun, or a chunk been sent."""
        self.mail.unread += line.span.start - self.read
        if self.mail.unread > _NEW_TRANSACTION:
            self.settle()
        self.mail.holes = self.talk.client_holes
        self.mail.lacks = True
        self.mail.whole = not self.mail.spans  # what came before the hole is kept, not what follows

    def settle(self) -> None:
        """Say what was sent of a transaction that never came to its message, and begin a new one."""
        mail, self.talk.kept = self.mail, 0
        self.mail = _Transaction(self.talk.client_holes)
        if mail.spans:
            mail.whole = False
            self.talk.say(mail.event(Heard(bytes(mail.content), tuple(mail.spans))))
        elif mail.sender or mail.recipients:
            self.talk.say(mail.event())

    def answer(self, command: Line) -> Reading[Reply | None]:
        """Read the server's reply to a command; None where it was not seen whole, or may be another's."""
        line = self.talk.answer_now() or (yield from self.talk.answer(command))
        reply = (yield from self.reply(line)) if line is None or line.text[3:4] == b"-" else Reply(line)
        if reply is None or reply.code == _GO_ON:  # only DATA is told to go on
            return reply
        return None if (yield from self.talk.doubts(command, reply.line)) else reply

    def reply(self, line: Line | None) -> Reading[Reply | None]:
        """Read the rest of a reply (RFC 5321, section 4.2): lines go on while a hyphen follows the code."""
        while line is not None and line.text[3:4] == b"-":
            line = self.talk.answer_now() or (yield from self.talk.greeting())
        return None if line is None else Reply(line)

    def _address(self, verb: bytes, line: Line, *, accepted: bool | None) -> None:
        found = _PATH.match(line.text)
        if found is None:
            return
        group = 1 if found[1] is not None else 2
        address = Address(Heard(found[group], (line.part(*found.span(group)),)), accepted)
        if verb == b"RCPT":
            self.mail.recipients.append(address)
            self.talk.kept = self.mail.kept
        elif self.mail.sender is not None and accepted is False and not self.mail.lacks:
            # A nested MAIL that was refused: the transaction in progress stands (RFC 5321, section 4.1.4).
            self.talk.say(_Transaction(sender=address).event())
        else:
            self.settle()
            self.mail.sender = address

    def _may_be_text(self) -> bool:
        """Tell whether a command that nothing answered may be a line of a message that the capture lacks."""
        talk = self.talk
        return (talk.started_late or talk.client_holes > 0) and talk.count_was_lost and talk.server.offset > 0

    def _is_text(self, line: Line) -> Reading[bool]:
        """Tell whether a command for whose reply a client must wait is a line of a message: it went on."""
        if not (self._may_be_text() and self.talk.is_unsure(line)):
            return False
        until = yield from self.talk.client.next_turn()
        another = yield from self.talk.server.next_turn()
        return until < another < NEVER

    def _text(self, line: Line) -> Reading[None]:
        """Pass over the rest of a message whose beginning the capture lacks: to its end, or to the reply."""
        until = self.talk.doubted  # a line of it that looks like a command may have got the reply
        if until <= line.turn and (until := (yield from self.talk.server.next_turn())) == NEVER:
            return
        self.talk.lose_count(until)
        last: Line | None = line
        while last is not None and last.text != b".":
            ahead = yield from self.talk.client.peek_line()
            if ahead is None or ahead[1] >= until:
                return
            last = yield from self.talk.client.line()

    def _data(self, line: Line) -> Reading[None]:
        if (yield from self._is_text(line)):
            return
        reply = yield from self.answer(line)
        if reply is not None and reply.code != _GO_ON:
            return
        if reply is None:
            ahead = yield from self.talk.client.peek_line()
            if ahead is None or _AFTER_DATA.match(ahead[0]):
                return
        block = yield from self.talk.client.body(strict=line.strict)
        self.talk.lose_count_in(block)
        self.mail.lacks = False
        self.mail.whole, self.mail.limited = block.whole, block.limited
        yield from self._finish(line, Heard(block.data, block.spans))

    def _lost_message(self, line: Line) -> Reading[None]:
        """Pass over the rest of a message whose beginning, DATA included, is not in the capture."""
        if line.text != b".":
            self.talk.lose_count_in((yield from self.talk.client.body(strict=line.strict)))
        self.mail.whole = False
        yield from self._finish(line, None)

    def _chunk(self, line: Line) -> Reading[None]:
        found = _CHUNK.match(line.text)
        if found is None:
            if not self._may_be_text():
                self.talk.say(Malformed(Protocol.SMTP, (line.part(0),), BAD_CHUNK))
            yield from self.answer(line)
            return
        self.mail.add((yield from self.talk.client.octets(int(found[1]))))
        self.talk.kept = self.mail.kept
        if found[2]:
            yield from self._finish(line, Heard(bytes(self.mail.content), tuple(self.mail.spans)))
        else:
            yield from self.answer(line)

    def _finish(self, line: Line, content: Heard | None) -> Reading[None]:
        """Read the verdict on a message (LMTP, RFC 2033, section 4.2: one for each recipient), and say it."""
        taken = sum(each.accepted is True for each in self.mail.recipients)
        accepted = None
        for _ in range(max(1, taken) if self.lmtp else 1):
            reply = yield from self.answer(line)
            accepted = accepted or (reply.accepted if reply else None)
        self.talk.say(self.mail.event(content, accepted=accepted))
        self.mail, self.talk.kept = _Transaction(self.talk.client_holes), 0

    def _auth(self, line: Line) -> Reading[None]:
        begun = sasl.opening(line, 1)
        if begun is None:
            yield from self.answer(line)
        elif not (yield from self._is_text(line)):
            yield from sasl.exchange(self.talk, Protocol.SMTP, begun, self._sasl_answer)

    def _sasl_answer(self, line: Line) -> Reading[sasl.Answer]:
        reply = yield from self.answer(line)
        if reply is None:
            return sasl.UNSEEN
        return sasl.Answer(reply.text if reply.code == b"334" else None, reply.accepted)
