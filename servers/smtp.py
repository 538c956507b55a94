"""The toy SMTP server: aiosmtpd's protocol, named after the lab and kept within bounds.

aiosmtpd speaks RFC 5321 with SIZE (RFC 1870), 8BITMIME (RFC 6152), SMTPUTF8 (RFC 6531), STARTTLS
(RFC 3207) and AUTH (RFC 4954) PLAIN and LOGIN. Added here: CRAM-MD5 (RFC 2195), mail for the lab's own
addresses only, logins refused or required as the port has it, and limits.
"""

from __future__ import annotations

import asyncio
import binascii
import re
import warnings
from base64 import b64decode
from collections import defaultdict
from contextlib import suppress
from socket import SHUT_RDWR
from typing import TYPE_CHECKING, Any, AnyStr, Final

from mailtap.servers.confidant import Nobody
from mailtap.servers.service import SASL_MECHANISMS, Security, Service

# aiosmtpd imports what Python 3.15 says will go; whoever tests may make that an error.
with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    from aiosmtpd.smtp import MISSING, SMTP, AuthResult, Envelope, LoginPassword, Session, auth_mechanism

if TYPE_CHECKING:
    import ssl
    from asyncio.trsock import TransportSocket
    from collections.abc import Callable

    from mailtap.servers.accounts import Account
    from mailtap.servers.confidant import Confidant
    from mailtap.servers.limits import Limits
    from mailtap.servers.smtp_policy import SmtpPolicy

IDENT: Final = "ESMTP toy server ready"
_COMMAND_OCTETS: Final = 512  # RFC 5321, section 4.5.3.1.4
_SUBMITTER: Final = re.compile(r"(>[^\"]*?)\s+AUTH=\S+", re.IGNORECASE)  # behind the sender's address


class LabSession(Session):
    """aiosmtpd's session, without the attribute that warns of its own age whenever someone logs in."""

    login_data: object = None


class _Reader(asyncio.StreamReader):
    """Tells aiosmtpd that the client will say no more as it tells that the connection is gone.

    aiosmtpd knows no other end: it would read again and again.
    """

    async def readuntil(self, separator: Any = b"\n") -> bytes:  # noqa: ANN401  # more in later Pythons
        """Return what comes up to a separator.

        Raises:
            ConnectionResetError: it will not come.
        """
        try:
            return await super().readuntil(separator)
        except asyncio.IncompleteReadError as error:
            raise ConnectionResetError("The client will say no more") from error


class LabSmtp(SMTP):
    """One SMTP session.

    Attributes:
        ended: set when the connection is gone.
        finished: whether the client ended the session with QUIT.
    """

    AuthLoginUsernameChallenge = "Username:"
    AuthLoginPasswordChallenge = "Password:"

    def __init__(  # noqa: PLR0913  # the last has a default
        self,
        service: Service,
        policy: SmtpPolicy,
        *,
        context: ssl.SSLContext | None,
        limits: Limits,
        nonce: Callable[[], str],
        confidant: Confidant | None = None,
    ) -> None:
        self.ended = asyncio.Event()
        self.finished = False
        self._service = service
        self._policy = policy
        self._starttls_refused = service.starttls_refused
        self._accounts = policy.accounts
        self._limits = limits
        self._nonce = nonce
        self._confidant = confidant or Nobody()
        self._failed_logins = 0
        self._unanswered = 0
        starttls = service.security is Security.STARTTLS
        super().__init__(
            policy,
            data_size_limit=limits.message_octets,
            enable_SMTPUTF8=True,
            hostname=service.host,
            ident=IDENT,
            tls_context=context if starttls else None,
            timeout=limits.idle_seconds,
            auth_require_tls=starttls and not service.clear_login,
            auth_exclude_mechanism=set(SASL_MECHANISMS).difference(service.mechanisms),
            authenticator=self.check_login,
            loop=asyncio.get_running_loop(),
        )
        # Once more what aiosmtpd has just done, with a reader of our own.
        reader = _Reader(limit=self.line_length_limit, loop=self.loop)
        asyncio.StreamReaderProtocol.__init__(self, reader, self._cb_client_connected, self.loop)
        # aiosmtpd keeps these on the class, so that one client's EHLO would change everyone's limits.
        self.command_size_limits = defaultdict(lambda: _COMMAND_OCTETS)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin; called once more when STARTTLS has succeeded."""
        super().connection_made(transport)
        self._socket: TransportSocket = transport.get_extra_info("socket")
        if self._tls_protocol is not None:
            self._confidant.encrypted()

    # What a peer may send before it gets an answer is bounded: aiosmtpd reads on to the end of any line
    # and of any message, however long.

    def data_received(self, data: bytes) -> None:
        """Take what the client sent, within bounds."""
        self._confidant.received(data)
        self._unanswered += len(data)
        if self._unanswered > self._limits.message_octets + self._limits.junk_octets:
            self._abort()
        else:
            super().data_received(data)

    def eof_received(self) -> bool:
        """Answer what has come, and then end; aiosmtpd would drop it, mails and all."""
        keeps_open = asyncio.StreamReaderProtocol.eof_received(self)
        return bool(keeps_open) and self._tls_protocol is None  # TLS, as asyncio has it, ends for both

    async def push(self, status: AnyStr) -> None:
        """Send a reply."""
        self._unanswered = 0
        self._confidant.sent((status if isinstance(status, bytes) else status.encode()) + b"\r\n")
        await super().push(status)

    def connection_lost(self, error: Exception | None) -> None:
        """End the session; called once more after a failed handshake, which does no harm."""
        if self.transport is not None:
            self.transport.close()  # a TLS layer that was cut off in its handshake is still open
        super().connection_lost(error)
        self._confidant.ended()
        self.ended.set()

    def _create_session(self) -> Session:
        return LabSession(self.loop)

    def _timeout_cb(self) -> None:
        leaving = self.transport is None or self.transport.is_closing()
        if leaving or self._writer.transport.get_write_buffer_size():
            self._abort()
            return
        self._writer.write(b"421 4.4.2 Too slow\r\n")
        self._writer.close()
        self._timeout_handle = self.loop.call_later(self._limits.close_seconds, self._abort)

    def _abort(self) -> None:
        # Not by the transport: before Python 3.12.2, a TLS layer that was closed twice can do nothing more.
        with suppress(OSError):
            self._socket.shutdown(SHUT_RDWR)

    async def _handle_client(self) -> None:
        try:
            await super()._handle_client()
        except OSError:  # the client vanished while it was being answered
            pass
        finally:
            if self.transport is not None:
                if not self.transport.is_closing():
                    self.transport.close()
                # Inside TLS, the peer has a part in the close (RFC 8446, section 6.1), and may not play it.
                self._reset_timeout(self._limits.close_seconds)

    # Logins

    async def check_auth_needed(self, caller_method: str) -> bool:
        """Tell whether to refuse a command because of who the client is; say so to the client."""
        # Not by aiosmtpd's own option: it warns, rightly, against what the lab is here to show.
        refusal = self._policy.refusal(self._service, self.session) if caller_method == "MAIL" else None
        if refusal is not None:
            await self.push(refusal)
        return refusal is not None

    async def smtp_AUTH(self, arg: str | None) -> None:  # noqa: N802
        """AUTH (RFC 4954), mechanism names in any letter case; never in the middle of a mail (section 4)."""
        if self.envelope is not None and self.envelope.mail_from:
            await self.push("503 5.5.1 Not in the middle of a mail")
            return
        mechanism, *rest = (arg or "").split(" ", 1)
        await super().smtp_AUTH(" ".join([mechanism.upper(), *rest]) or None)
        if self._failed_logins >= self._limits.failed_logins and self.transport is not None:
            self.transport.close()

    async def smtp_MAIL(self, arg: str | None) -> None:  # noqa: N802
        """MAIL; who submitted the mail first (AUTH; RFC 4954, section 5) may be said, and nobody asks."""
        if not await self._readable(arg, utf8="SMTPUTF8" in (arg or "").upper().split()):
            return
        if arg and self._service.mechanisms:
            arg = _SUBMITTER.sub(r"\1", arg, count=1)
        await super().smtp_MAIL(arg)

    async def smtp_RCPT(self, arg: str | None) -> None:  # noqa: N802
        """RCPT."""
        if await self._readable(arg, utf8=self.envelope is not None and bool(self.envelope.smtp_utf8)):
            await super().smtp_RCPT(arg)

    async def _readable(self, arg: str | None, *, utf8: bool) -> bool:
        """Tell whether an address is ASCII or, where that was announced, UTF-8 (RFC 6531, section 3.4)."""
        try:
            (arg or "").encode("utf-8" if utf8 else "ascii")
        except UnicodeEncodeError:
            await self.push("553 5.6.7 An address that is not ASCII takes SMTPUTF8, and UTF-8")
            return False
        return True

    def _getaddr(self, arg: str) -> tuple[str | None, str | None]:
        """Take an address from a command; one that aiosmtpd chokes on is malformed, now and later."""
        try:
            return super()._getaddr(arg)
        except Exception:  # noqa: BLE001  # the standard library's parser fails in many ways
            return None, None

    async def smtp_STARTTLS(self, arg: str | None) -> None:  # noqa: N802
        """STARTTLS (RFC 3207), once."""
        if self._tls_protocol is not None:
            await self.push("503 5.5.1 TLS is on already")
            return
        if self._starttls_refused:
            await self.push("454 4.7.0 TLS is not available now")  # RFC 3207, section 4
            return
        deadline = self.loop.call_later(self._limits.handshake_seconds, self._abort)
        try:
            await super().smtp_STARTTLS(arg)
        finally:
            deadline.cancel()
        if self._handshake_failed():
            self.connection_lost(None)  # asyncio does not always say so

    def _handshake_failed(self) -> bool:
        begun = self._tls_protocol is not None
        return begun and (self.session is None or self.session.ssl is None)

    async def auth_PLAIN(self, _server: LabSmtp, args: list[str]) -> AuthResult:  # noqa: N802
        """PLAIN (RFC 4616); not by aiosmtpd, which lets one user log in to act for another."""
        response = await self._plain_response(args)
        if response is None:
            return AuthResult(success=False)
        parts = response.split(b"\0")
        if len(parts) != 3:  # noqa: PLR2004  # authzid, authcid, password
            await self.push("501 5.5.2 That is not PLAIN")
            return AuthResult(success=False)
        authzid, username, password = parts
        allowed = authzid in {b"", username}
        return self.conclude(self._accounts.check_password(username, password) if allowed else None)

    async def _plain_response(self, args: list[str]) -> bytes | None:
        """Return what the client says, at once or when asked; None where it was told that it errs."""
        if len(args) == 1:
            response = await self.challenge_auth("")
            return None if response is MISSING else response
        try:
            return b64decode(args[1].encode(), validate=True)
        except (binascii.Error, UnicodeEncodeError):
            await self.push("501 5.5.2 Can't decode base64")
            return None

    @auth_mechanism("CRAM-MD5")
    async def auth_CRAM__MD5(self, _server: LabSmtp, args: list[str]) -> AuthResult:  # noqa: N802
        """CRAM-MD5 (RFC 2195, section 2)."""
        if len(args) > 1:
            await self.push("501 5.5.2 This mechanism takes no initial response")
            return AuthResult(success=False)
        challenge = f"<{self._nonce()}@{self._service.host}>".encode()
        response = await self.challenge_auth(challenge)
        if response is MISSING:
            return AuthResult(success=False)
        username, _, digest = response.rpartition(b" ")
        return self.conclude(self._accounts.check_cram_md5(username, challenge, digest))

    def check_login(
        self, _server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, data: LoginPassword
    ) -> AuthResult:
        """Check a name and a password, from LOGIN; aiosmtpd calls this."""
        return self.conclude(self._accounts.check_password(data.login, data.password))

    def conclude(self, account: Account | None) -> AuthResult:
        """Count a failed login; after too many, say goodbye (RFC 4954, section 4)."""
        if account is not None:
            return AuthResult(success=True, auth_data=account.username)
        self._failed_logins += 1
        too_many = self._failed_logins >= self._limits.failed_logins
        message = "421 4.7.0 Too many failed logins" if too_many else None
        return AuthResult(success=False, handled=False, message=message)
