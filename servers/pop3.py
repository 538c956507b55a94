"""One POP3 session as a server sees it, without any I/O: bytes in, actions out.

RFC 1939 (with TOP, UIDL and APOP), RFC 2449 (CAPA), RFC 2595 (STLS), RFC 3206 (AUTH code) and RFC 5034
(AUTH). UTF8 (RFC 6856) is left out: it would have the server rewrite messages for clients that do not
ask for it, and this one serves them byte for byte.

The session's caller feeds it what arrived and carries out its actions one by one:

    session.feed(data)
    while (action := session.next_action()) is not None: ...

One action at a time lets the caller stop while its peer does not read.
"""

from __future__ import annotations

from collections import deque
from enum import StrEnum
from typing import TYPE_CHECKING, ClassVar, Final, assert_never

from mailtap.servers import pop3_replies as replies
from mailtap.servers.actions import Action, Close, Send, StartTls
from mailtap.servers.lines import Line, LineBuffer
from mailtap.servers.pop3_transaction import COMMANDS as TRANSACTION
from mailtap.servers.pop3_transaction import BadCommand
from mailtap.servers.sasl import Broken, Challenge, Dialogue, Step, Verdict
from mailtap.servers.service import Security, Service

if TYPE_CHECKING:
    from collections.abc import Callable

    from mailtap.servers.accounts import Account, Accounts
    from mailtap.servers.limits import Limits
    from mailtap.servers.mailbox import Mailboxes, Maildrop


class State(StrEnum):
    """The session states (RFC 1939, section 3), and the two silent ones."""

    AUTHORIZATION = "authorization"
    TRANSACTION = "transaction"
    HANDSHAKE = "handshake"
    CLOSED = "closed"


_LOGGED_OUT: Final = frozenset({State.AUTHORIZATION})
_LOGGED_IN: Final = frozenset({State.TRANSACTION})


class Pop3Session:
    """The conversation with one client.

    Args:
        service: what this port offers.
        accounts: who may log in.
        mailboxes: where their messages are.
        limits: how much a client may ask.
        nonce: makes something new for each challenge; text for the left side of a message id.

    Attributes:
        finished: whether the client said QUIT, so that nothing was cut short.
        commands: whole lines handled so far, so that a caller can tell progress from trickling.
    """

    def __init__(
        self,
        service: Service,
        *,
        accounts: Accounts,
        mailboxes: Mailboxes,
        limits: Limits,
        nonce: Callable[[], str],
    ) -> None:
        self._service = service
        self._accounts = accounts
        self._mailboxes = mailboxes
        self._limits = limits
        self._nonce = nonce
        self._encrypted = service.security is Security.TLS
        self._timestamp = self._challenge() if service.apop else b""
        self._lines = LineBuffer()
        self._actions: deque[Action] = deque()
        self._state = State.AUTHORIZATION
        self._username: bytes | None = None
        self._dialogue: Dialogue | None = None
        self._maildrop: Maildrop | None = None
        self._bad_commands = 0
        self._failed_logins = 0
        self.finished = False
        self.commands = 0
        self._send(replies.greeting(service.host, self._timestamp))

    def feed(self, data: bytes) -> None:
        """Take what the client sent; what no one will read is dropped."""
        if self._state not in {State.HANDSHAKE, State.CLOSED}:
            self._lines.feed(data)

    def next_action(self) -> Action | None:
        """Return the next thing to do, or None until the client sends more."""
        while not self._actions and self._state not in {State.HANDSHAKE, State.CLOSED}:
            in_dialogue = self._dialogue is not None
            line = self._lines.next_line(
                self._limits.response_octets if in_dialogue else self._limits.command_octets
            )
            if line is not None:
                self.commands += 1
                self._take(line)
            elif self._lines.discarded > self._limits.junk_octets:
                self._hang_up("That line never ends")
            else:
                break
        return self._actions.popleft() if self._actions else None

    def tls_started(self) -> None:
        """Go on, encrypted (RFC 2595, section 4): the client has to begin anew."""
        self._encrypted = True
        self._username = None
        self._state = State.AUTHORIZATION

    @property
    def logged_in(self) -> bool:
        """Whether the client has logged in, and not left yet."""
        return self._state is State.TRANSACTION

    @property
    def encrypted(self) -> bool:
        """Whether TLS is on."""
        return self._encrypted

    def abandon(self) -> None:
        """End the session because the connection did: unlock the maildrop, delete nothing."""
        self._state = State.CLOSED
        if self._maildrop is not None:
            self._maildrop.release()

    # What a line means

    def _take(self, line: Line) -> None:
        if self._dialogue is not None:
            self._take_response(self._dialogue, line)
        elif line.too_long:
            self._bad("Line too long")
        else:
            verb, _, argument = line.data.partition(b" ")
            self._command(verb.upper(), argument)

    def _command(self, verb: bytes, argument: bytes) -> None:
        run, states = self._COMMANDS.get(verb, (None, _LOGGED_IN))
        on_maildrop = TRANSACTION.get(verb)
        if run is None and on_maildrop is None:
            self._bad("No such command")
        elif self._state not in states:
            self._bad("Not now")
        elif run is not None:
            run(self, argument)
        elif on_maildrop is not None and self._maildrop is not None:
            try:
                self._send(on_maildrop(self._maildrop, argument))
            except BadCommand as mistake:
                self._bad(str(mistake))

    def _take_response(self, dialogue: Dialogue, line: Line) -> None:
        self._advance(dialogue, Broken("Line too long") if line.too_long else dialogue.respond(line.data))

    # The AUTHORIZATION state: RFC 1939 section 4 and 7, RFC 2595, RFC 5034

    def _user(self, username: bytes) -> None:
        if self._login_possible(offered=self._service.user_pass):
            self._username = username
            self._ok("Now the password")

    def _pass(self, password: bytes) -> None:
        username, self._username = self._username, None
        if username is None:
            self._bad("USER first")
        elif self._login_possible(offered=self._service.user_pass):
            self._conclude(self._accounts.check_password(username, password))

    def _apop(self, argument: bytes) -> None:
        if self._login_possible(offered=self._service.apop):
            username, _, digest = argument.rpartition(b" ")
            self._conclude(self._accounts.check_apop(username, self._timestamp, digest))

    def _auth(self, argument: bytes) -> None:
        if not argument:  # never in an RFC, but clients ask so
            self._send(replies.listing("Mechanisms follow", self._service.mechanisms))
            return
        verb, _, initial = argument.partition(b" ")
        mechanism = verb.upper().decode("ascii", "replace")
        if self._login_possible(offered=mechanism in self._service.mechanisms):
            dialogue = Dialogue(mechanism, self._accounts, self._challenge())
            self._advance(dialogue, dialogue.begin(initial))

    def _advance(self, dialogue: Dialogue, step: Step) -> None:
        self._dialogue = None
        match step:
            case Challenge(encoded):
                self._dialogue = dialogue
                self._send(replies.challenge(encoded))
            case Verdict(account):
                self._conclude(account)
            case Broken(why):
                self._bad(why)
            case _:
                assert_never(step)

    def _stls(self, argument: bytes) -> None:
        if argument or self._encrypted or self._service.security is not Security.STARTTLS:
            self._bad("No TLS to start here")
            return
        if self._service.starttls_refused:
            self._error("[SYS/TEMP] TLS is not available now")
            return
        self._ok("Begin the handshake")
        self._actions.append(StartTls())
        self._lines.clear()  # RFC 2595, section 4: nothing sent in clear may pass for a later command
        self._state = State.HANDSHAKE

    def _login_possible(self, *, offered: bool) -> bool:
        if not offered:
            self._bad("Not offered here")
        elif not self._service.login_allowed(encrypted=self._encrypted):
            self._bad("Not in clear: STLS first")
        else:
            return True
        return False

    def _conclude(self, account: Account | None) -> None:
        if account is None:
            self._failed_logins += 1
            self._error("[AUTH] Wrong name or password")
            if self._failed_logins >= self._limits.failed_logins:
                self._close()
            return
        self._maildrop = self._mailboxes[account.username].lock()
        if self._maildrop is None:
            self._error("[IN-USE] Another session has this maildrop")
            return
        self._state = State.TRANSACTION
        self._ok("Logged in")

    # In both states

    def _capa(self, _argument: bytes) -> None:
        rows = replies.capabilities(
            self._service, encrypted=self._encrypted, logged_in=self._state is State.TRANSACTION
        )
        self._send(replies.listing("What I can do", rows))

    def _quit(self, _argument: bytes) -> None:
        if self._maildrop is not None:
            self._maildrop.commit()
        self.finished = True
        self._ok("Goodbye")
        self._close()

    # Answers

    def _challenge(self) -> bytes:
        return f"<{self._nonce()}@{self._service.host}>".encode()

    def _send(self, data: bytes) -> None:
        self._actions.append(Send(data))

    def _ok(self, text: str) -> None:
        self._send(replies.ok(text))

    def _error(self, text: str) -> None:
        self._send(replies.error(text))

    def _bad(self, text: str) -> None:
        self._bad_commands += 1
        if self._bad_commands >= self._limits.bad_commands:
            self._hang_up(f"{text}, and once too often")
        else:
            self._error(text)

    def _hang_up(self, text: str) -> None:
        self._error(text)
        self._close()

    def _close(self) -> None:
        self._actions.append(Close())
        self.abandon()

    _COMMANDS: ClassVar[dict[bytes, tuple[Callable[[Pop3Session, bytes], None], frozenset[State]]]] = {
        b"APOP": (_apop, _LOGGED_OUT),
        b"AUTH": (_auth, _LOGGED_OUT),
        b"CAPA": (_capa, _LOGGED_OUT | _LOGGED_IN),
        b"PASS": (_pass, _LOGGED_OUT),
        b"QUIT": (_quit, _LOGGED_OUT | _LOGGED_IN),
        b"STLS": (_stls, _LOGGED_OUT),
        b"USER": (_user, _LOGGED_OUT),
    }
