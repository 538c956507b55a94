"""One IMAP4rev1 session as a server sees it, without any I/O: bytes in, actions out.

RFC 3501, with SASL-IR (RFC 4959), LITERAL+ (RFC 7888) and ID (RFC 2971). There is one mailbox, INBOX, and
its messages are served byte for byte. The session's caller feeds it what arrived and carries out its
actions one by one, as with a POP3 session.
"""

from __future__ import annotations

import re
from collections import deque
from typing import TYPE_CHECKING, Final, assert_never

from mailtap.servers.actions import Action, Close, Rest, Send, StartTls
from mailtap.servers.imap import commands, replies
from mailtap.servers.imap.intake import Go, Intake, TooMuch, Whole
from mailtap.servers.imap.state import State
from mailtap.servers.imap.words import Atom, BadSyntax, keyword, read
from mailtap.servers.sasl import Broken, Challenge, Dialogue, Step, Verdict
from mailtap.servers.service import Security, Service

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mailtap.servers.accounts import Account, Accounts
    from mailtap.servers.imap.selected import Selected
    from mailtap.servers.imap.words import Piece, Word
    from mailtap.servers.limits import Limits
    from mailtap.servers.lines import Line
    from mailtap.servers.mailbox import Mailbox, Mailboxes

_TAG: Final = re.compile(rb'[^\x00-\x20(){%*"\\+\x7f-\xff]{1,80}')  # RFC 3501, section 9


class ImapSession:
    """The conversation with one client.

    Args:
        service: what this port offers.
        accounts: who may log in.
        mailboxes: where their messages are.
        limits: how much a client may ask.
        nonce: makes something new for each challenge; text for the left side of a message id.
        validity: the UIDVALIDITY of all mailboxes (RFC 3501, section 2.3.1.1).

    Attributes:
        finished: whether the client said LOGOUT, so that nothing was cut short.
        commands: whole lines handled so far, so that a caller can tell progress from trickling.
        service: what this port offers.
        encrypted: whether TLS is on.
        mailbox: of who logged in.
        selected: the mailbox that is open.
        validity: as above.
    """

    def __init__(  # noqa: PLR0913  # as a POP3 session, and one more
        self,
        service: Service,
        *,
        accounts: Accounts,
        mailboxes: Mailboxes,
        limits: Limits,
        nonce: Callable[[], str],
        validity: int,
    ) -> None:
        self.service = service
        self.validity = validity
        self.encrypted = service.security is Security.TLS
        self.mailbox: Mailbox | None = None
        self.selected: Selected | None = None
        self.finished = False
        self.commands = 0
        self._accounts = accounts
        self._mailboxes = mailboxes
        self._limits = limits
        self._nonce = nonce
        self._intake = Intake(limits)
        self._actions: deque[Action] = deque()
        self._state = State.NOT_AUTHENTICATED
        self._dialogue: tuple[bytes, Dialogue] | None = None
        self._answers: tuple[bytes, Iterator[bytes | None]] | None = None
        self._bad_commands = 0
        self._failed_logins = 0
        self.send(b"* OK [CAPABILITY %b] %b IMAP4rev1 toy server ready" % (self.able, service.host.encode()))

    @property
    def able(self) -> bytes:
        """What the server can do now."""
        return replies.capabilities(self.service, encrypted=self.encrypted, logged_in=self.logged_in)

    @property
    def logged_in(self) -> bool:
        """Whether the client has logged in, and not left yet."""
        return self._state in {State.AUTHENTICATED, State.SELECTED}

    @property
    def state(self) -> State:
        """The session's state."""
        return self._state

    def feed(self, data: bytes) -> None:
        """Take what the client sent; what no one will read is dropped."""
        if self._state not in {State.HANDSHAKE, State.LOGOUT}:
            self._intake.feed(data)

    def next_action(self) -> Action | None:
        """Return the next thing to do, or None until the client sends more."""
        while not self._actions and self._state not in {State.HANDSHAKE, State.LOGOUT}:
            if not self._step():
                if not self._intake.endless:
                    break
                self._hang_up("That line never ends")
        return self._actions.popleft() if self._actions else None

    def tls_started(self) -> None:
        """Go on, encrypted (RFC 3501, section 6.2.1)."""
        self.encrypted = True
        self._state = State.NOT_AUTHENTICATED

    def abandon(self) -> None:
        """End the session because the connection did."""
        self._state = State.LOGOUT
        self.selected = None
        self._answers = None

    # What comes

    def _step(self) -> bool:
        """Give one more answer, or take one line or command; return whether there was one."""
        if self._answers is not None:
            self._continue(*self._answers)
            return True
        if self._dialogue is not None:
            line = self._intake.response()
            if line is not None:
                self.commands += 1
                self._respond(*self._dialogue, line)
            return line is not None
        step = self._intake.next()
        if step is None:
            return False
        self.commands += 1
        match step:
            case Go():
                self.send(b"+ Go ahead")
            case Whole(pieces):
                self._take(pieces)
            case TooMuch(tag, sent):
                self._bad(tag, "Too much")
                if sent:
                    self._hang_up("What follows cannot be understood")
            case _:
                assert_never(step)
        return True

    def _continue(self, tag: bytes, answers: Iterator[bytes | None]) -> None:
        """Give the next of a command's answers, or its end."""
        try:
            answer = next(answers)
            self._actions.append(Rest() if answer is None else Send(answer))
        except StopIteration:
            self._answers = None
            self.answer(tag, "OK", "Done")
        except BadSyntax as mistake:
            self._answers = None
            self._bad(tag, str(mistake))

    def _take(self, pieces: tuple[Piece, ...]) -> None:
        tag = pieces[0].value.partition(b" ")[0]
        try:
            match read(pieces):
                case Atom(tag), Atom() as verb, *words if _TAG.fullmatch(tag):
                    self._command(tag, keyword(verb), tuple(words))
                case _:
                    self._bad(tag, "A tag and a command are expected")
        except BadSyntax as mistake:
            self._bad(tag, str(mistake))

    def _command(self, tag: bytes, verb: str, words: tuple[Word, ...]) -> None:
        command = commands.COMMANDS.get(verb)
        if command is None:
            self._bad(tag, "No such command")
        elif self._state not in command.states:
            self._bad(tag, "Not now")
        else:
            command.run(self, tag, words)

    # Logging in: RFC 3501, section 6.2

    def log_in(self, tag: bytes, username: bytes, password: bytes) -> None:
        """LOGIN with these."""
        if self._login_possible(tag, offered=self.service.user_pass):
            self._conclude(tag, self._accounts.check_password(username, password))

    def authenticate(self, tag: bytes, mechanism: str, initial: bytes) -> None:
        """Begin AUTHENTICATE."""
        if self._login_possible(tag, offered=mechanism in self.service.mechanisms):
            challenge = f"<{self._nonce()}@{self.service.host}>".encode()
            dialogue = Dialogue(mechanism, self._accounts, challenge)
            self._advance(tag, dialogue, dialogue.begin(initial))

    def start_tls(self, tag: bytes) -> None:
        """Begin STARTTLS."""
        if self.encrypted or self.service.security is not Security.STARTTLS:
            self._bad(tag, "No TLS to start here")
        elif self.service.starttls_refused:
            self.answer(tag, "NO", "TLS is not available now")
        else:
            self.answer(tag, "OK", "Begin the handshake")
            self._actions.append(StartTls())
            self._intake.clear()
            self._state = State.HANDSHAKE

    def _respond(self, tag: bytes, dialogue: Dialogue, line: Line) -> None:
        step = Broken("Line too long") if line.too_long else dialogue.respond(line.data)
        self._advance(tag, dialogue, step)

    def _advance(self, tag: bytes, dialogue: Dialogue, step: Step) -> None:
        self._dialogue = None
        match step:
            case Challenge(encoded):
                self._dialogue = tag, dialogue
                self.send(b"+ " + encoded)
            case Verdict(account):
                self._conclude(tag, account)
            case Broken(why):
                self._bad(tag, why)
            case _:
                assert_never(step)

    def _login_possible(self, tag: bytes, *, offered: bool) -> bool:
        if not offered:
            self.answer(tag, "NO", "[CANNOT] Not offered here")
        elif not self.service.login_allowed(encrypted=self.encrypted):
            self.answer(tag, "NO", "[PRIVACYREQUIRED] Not in clear: STARTTLS first")
        else:
            return True
        return False

    def _conclude(self, tag: bytes, account: Account | None) -> None:
        if account is None:
            self._failed_logins += 1
            self.answer(tag, "NO", "[AUTHENTICATIONFAILED] Wrong name or password")
            if self._failed_logins >= self._limits.failed_logins:
                self._hang_up("Too many attempts")
            return
        self.mailbox = self._mailboxes[account.username]
        self._state = State.AUTHENTICATED
        self.answer(tag, "OK", f"[CAPABILITY {self.able.decode()}] Logged in")

    # What commands do to the session

    def open(self, selected: Selected | None) -> None:
        """Select a mailbox, or none."""
        self.selected = selected
        self._state = State.AUTHENTICATED if selected is None else State.SELECTED

    def tell_news(self) -> None:
        """Tell what has changed in the selected mailbox."""
        if self.selected is not None:
            for line in self.selected.news():
                self._actions.append(Send(line))

    def say_goodbye(self, tag: bytes) -> None:
        """LOGOUT."""
        self.finished = True
        self.send(b"* BYE Goodbye")
        self.answer(tag, "OK", "Logged out")
        self._close()

    # Answers

    def send(self, line: bytes) -> None:
        """Send a line."""
        self._actions.append(Send(line + b"\r\n"))

    def send_all(self, tag: bytes, answers: Iterator[bytes | None]) -> None:
        """Send answers, each once the one before it has been taken, and end the command.

        Args:
            tag: of the command.
            answers: with their line ends; None where there is none yet.
        """
        self._answers = tag, answers

    def answer(self, tag: bytes, status: str, text: str) -> None:
        """End a command (RFC 3501, section 7.1)."""
        self.send(tag + f" {status} {text}".encode())

    def _bad(self, tag: bytes, text: str) -> None:
        self._bad_commands += 1
        self.answer(tag if _TAG.fullmatch(tag) else b"*", "BAD", text)
        if self._bad_commands >= self._limits.bad_commands:
            self._hang_up("That was once too often")

    def _hang_up(self, text: str) -> None:
        self.send(f"* BYE {text}".encode())
        self._close()

    def _close(self) -> None:
        self._actions.append(Close())
        self.abandon()
