"""What the lab's SMTP server accepts, from whom and for whom: the hooks that aiosmtpd calls."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, Protocol

from mailtap.servers.forwarding import NotForwarded
from mailtap.servers.mailbox import MailboxFull
from mailtap.servers.service import LAB_DOMAIN

if TYPE_CHECKING:
    from aiosmtpd.smtp import SMTP, Envelope, Session

    from mailtap.servers.accounts import Accounts
    from mailtap.servers.forwarding import Forward
    from mailtap.servers.limits import Limits
    from mailtap.servers.mailbox import Mailboxes
    from mailtap.servers.service import Service
    from mailtap.servers.visitors import Visitors

MAIL_OCTETS: Final = 512 + 26 + 10  # RFC 5321, section 4.5.3.1.4; RFC 1870, section 3; RFC 6531, section 3.1
AUTH_OCTETS: Final = 500  # so many more where logins are offered (RFC 4954, section 3)
_FULL: Final = "452 4.2.2 Mailbox full"


class LeavingServer(Protocol):
    """A server's session that can be told that its client left in good order."""

    finished: bool


class SmtpPolicy:
    """What the lab accepts: aiosmtpd calls these hooks, one object for all sessions of a port.

    Attributes:
        accounts: who is known here.
    """

    def __init__(
        self,
        *,
        accounts: Accounts,
        mailboxes: Mailboxes,
        limits: Limits,
        visitors: Visitors,
        forward: Forward | None,
    ) -> None:
        """Prepare.

        Args:
            accounts: who is known here.
            mailboxes: where their messages go.
            limits: how much a client may ask.
            visitors: who has logged in by POP3.
            forward: hands a mail (sender, recipients, content) to the server that knows the recipients,
                or raises `NotForwarded`; it may block. None: this server passes nothing on.
        """
        self.accounts = accounts
        self._mailboxes = mailboxes
        self._limits = limits
        self._visitors = visitors
        self._forward = forward

    def refusal(self, service: Service, session: Session | None) -> str | None:
        """Return in which words a port refuses a client's mail because of who it is; None if it does not."""
        known = session is not None and session.authenticated
        visited = session is not None and session.peer in self._visitors
        reasons = (
            (service.clients_refused, "550 5.7.1 Port 25 takes no mail from outside clients, use port 587"),
            (service.login_required and not known, "530 5.7.0 Log in first"),
            (service.login_before and not visited, "530 5.7.0 Log in by POP3 first"),
        )
        return next((words for applies, words in reasons if applies), None)

    async def handle_EHLO(  # noqa: N802  # aiosmtpd's name for it
        self, server: SMTP, session: Session, _envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        """Accept the greeting; drop an empty list of mechanisms, which would be no list at all."""
        session.host_name = hostname
        offered = [line for line in responses if line.rstrip() != "250-AUTH"]
        logins = any(line.startswith("250-AUTH ") for line in offered)
        # aiosmtpd raises it with each EHLO
        server.command_size_limits["MAIL"] = MAIL_OCTETS + (AUTH_OCTETS if logins else 0)
        return offered

    async def handle_RCPT(  # noqa: N802
        self,
        _server: SMTP,
        session: Session,
        envelope: Envelope,
        address: str,
        options: list[str],
    ) -> str:
        """Accept the server's own addresses, and others only from somebody who has logged in, to pass it on.

        Else this were an open relay (RFC 5321, section 7.1).
        """
        if len(envelope.rcpt_tos) >= self._limits.recipients:
            return "452 4.5.3 Too many recipients"
        passes_on = self._forward is not None and session.authenticated
        if self.accounts.at_address(address) is None and not passes_on:
            at_lab = address.rpartition("@")[2].casefold() == LAB_DOMAIN
            return "550 5.1.1 No such user here" if at_lab else "550 5.7.1 This server relays no mail"
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(options)
        return "250 2.1.5 OK"

    async def handle_VRFY(  # noqa: N802
        self, _server: SMTP, _session: Session, _envelope: Envelope, _address: str
    ) -> str:
        """Tell nobody who has a mailbox here (RFC 5321, section 7.3)."""
        return "252 2.1.5 Send it and see"

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        """Store the message for each recipient, or for none; pass on what is for another server."""
        accounts = {address: self.accounts.at_address(address) for address in envelope.rcpt_tos}
        others = [address for address, account in accounts.items() if account is None]
        content = envelope.original_content or b""
        sender = envelope.mail_from or ""
        residents = [account for account in accounts.values() if account is not None]
        if not self._mailboxes.have_room(residents, len(content)):  # before another server has it
            return _FULL
        try:
            # A server in the world keeps the mail in a queue and answers at once. Here the answer waits, so
            # that whoever has it knows that the mail has arrived.
            if others and self._forward is not None:
                await asyncio.to_thread(self._forward, sender, others, content)
            self._mailboxes.deliver(residents, content, sender=sender)
        except NotForwarded:
            return "451 4.4.0 The next server did not take it"
        except MailboxFull:
            return _FULL
        return "250 2.0.0 Delivered"

    async def handle_QUIT(self, server: LeavingServer, _session: Session, _envelope: Envelope) -> str:  # noqa: N802
        """Note that the client left in good order."""
        server.finished = True
        return "221 2.0.0 Goodbye"

    async def handle_exception(self, _error: Exception) -> str:
        """Answer what aiosmtpd choked on; a hostile line must not become a traceback."""
        return "451 4.3.0 That was too much for this server"
