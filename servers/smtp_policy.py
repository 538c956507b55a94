"""What the lab's SMTP server accepts, from whom and for whom: the hooks that aiosmtpd calls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from mailtap.servers.mailbox import MailboxFull
from mailtap.servers.service import LAB_DOMAIN

if TYPE_CHECKING:
    from aiosmtpd.smtp import SMTP, Envelope, Session

    from mailtap.servers.accounts import Accounts
    from mailtap.servers.limits import Limits
    from mailtap.servers.mailbox import Mailboxes

MAIL_OCTETS: Final = 512 + 26 + 10  # RFC 5321, section 4.5.3.1.4; RFC 1870, section 3; RFC 6531, section 3.1


class LeavingServer(Protocol):
    """A server's session that can be told that its client left in good order."""

    finished: bool


class SmtpPolicy:
    """What the lab accepts: aiosmtpd calls these hooks, one object for all sessions of a port.

    Attributes:
        accounts: who is known here.
    """

    def __init__(self, *, accounts: Accounts, mailboxes: Mailboxes, limits: Limits) -> None:
        self.accounts = accounts
        self._mailboxes = mailboxes
        self._limits = limits

    async def handle_EHLO(  # noqa: N802  # aiosmtpd's name for it
        self, server: SMTP, session: Session, _envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        """Accept the greeting; drop an empty list of mechanisms, which would be no list at all."""
        session.host_name = hostname
        server.command_size_limits["MAIL"] = MAIL_OCTETS  # aiosmtpd raises it with each EHLO
        return [line for line in responses if line.rstrip() != "250-AUTH"]

    async def handle_RCPT(  # noqa: N802
        self,
        _server: SMTP,
        _session: Session,
        envelope: Envelope,
        address: str,
        options: list[str],
    ) -> str:
        """Accept the lab's own addresses and nobody else's: this is no relay (RFC 5321, section 7.1)."""
        if len(envelope.rcpt_tos) >= self._limits.recipients:
            return "452 4.5.3 Too many recipients"
        if self.accounts.at_address(address) is None:
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
        """Store the message for each recipient, or for none."""
        accounts = [self.accounts.at_address(address) for address in envelope.rcpt_tos]
        content = envelope.original_content or b""
        sender = envelope.mail_from or ""
        try:
            self._mailboxes.deliver(filter(None, accounts), content, sender=sender)
        except MailboxFull:
            return "452 4.2.2 Mailbox full"
        return "250 2.0.0 Delivered"

    async def handle_QUIT(self, server: LeavingServer, _session: Session, _envelope: Envelope) -> str:  # noqa: N802
        """Note that the client left in good order."""
        server.finished = True
        return "221 2.0.0 Goodbye"

    async def handle_exception(self, _error: Exception) -> str:
        """Answer what aiosmtpd choked on; a hostile line must not become a traceback."""
        return "451 4.3.0 That was too much for this server"
