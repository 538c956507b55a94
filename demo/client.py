"""The mail programs of the lesson: the standard library's smtplib and poplib, driven as a person would.

They connect by address but speak to the server by name, as a mail program does that was told
`mail.lab.example`: so the name is in the TLS handshake, and the certificate is checked against it.
"""

from __future__ import annotations

import poplib
import smtplib
import socket
import ssl
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mailtap.servers import Security

if TYPE_CHECKING:
    from mailtap.servers import Service

TIMEOUT = 20.0  # seconds for any one answer; a bound, not a wait
GOODBYE = 2.0  # seconds for the server to end TLS


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a person types into a mail program.

    Attributes:
        service: protocol, security and login of the server.
        address: where to connect, (host, port).
        server_name: the name the server is known by.
        machine: the name this mail program gives itself in EHLO.
        username: the login name.
        password: the password.
        trust: for TLS, the context that holds the trusted CA.
    """

    service: Service
    address: tuple[str, int]
    server_name: str
    machine: str
    username: str
    password: str
    trust: ssl.SSLContext | None


class ClientFailed(Exception):  # noqa: N818  # a condition of the run, in plain English
    """The mail program could not do its work; the message says what the server or the network said."""


class _Smtp(smtplib.SMTP):
    """SMTP to a known address."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        super().__init__(settings.server_name, settings.address[1], settings.machine, timeout=TIMEOUT)

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:  # noqa: ARG002
        return _connect(self._settings)

    def close(self) -> None:
        """Close the connection."""
        _end_tls(self.sock)
        super().close()


class _Pop3(poplib.POP3):
    """POP3 to a known address."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        super().__init__(settings.server_name, settings.address[1], TIMEOUT)

    def _create_socket(self, timeout: float) -> socket.socket:  # noqa: ARG002
        return _connect(self._settings)

    def close(self) -> None:
        """Close the connection."""
        _end_tls(self.sock)
        super().close()


def submit(settings: Settings, sender: str, recipient: str, mail: bytes) -> None:
    """Send one mail by SMTP with login (RFC 5321, RFC 4954)."""
    try:
        smtp = _Smtp(settings)
        try:
            smtp.login(settings.username, settings.password)
            smtp.sendmail(sender, [recipient], mail)
            smtp.quit()
        finally:  # smtplib's own `with` says QUIT here, and what it makes of the answer would hide a Ctrl-C
            smtp.close()
    except (OSError, smtplib.SMTPException) as error:
        raise ClientFailed(f"sending by SMTP failed: {error}") from error


def fetch(settings: Settings) -> bytes:
    """Fetch the first mail of the mailbox by POP3 (RFC 1939) and return its bytes, lines ended by CRLF."""
    try:
        pop3 = _Pop3(settings)
        try:
            if settings.service.apop:
                pop3.apop(settings.username, settings.password)
            else:
                pop3.user(settings.username)
                pop3.pass_(settings.password)
            pop3.stat()
            lines = pop3.retr(1)[1]
            pop3.quit()
        finally:
            pop3.close()
    except (OSError, poplib.error_proto) as error:
        raise ClientFailed(f"fetching by POP3 failed: {error}") from error
    return b"".join(line + b"\r\n" for line in lines)


def _connect(settings: Settings) -> socket.socket:
    """Open the connection, inside TLS where the service has it from the first byte."""
    connection = socket.create_connection(settings.address, TIMEOUT)
    if settings.service.security is not Security.TLS:
        return connection
    if settings.trust is None:
        connection.close()
        raise ClientFailed("a service over TLS needs a context that holds its CA: pass `trust`")
    try:
        return settings.trust.wrap_socket(connection, server_hostname=settings.server_name)
    except BaseException:
        connection.close()
        raise


def _end_tls(connection: socket.socket | None) -> None:
    """End TLS in good order (RFC 8446, section 6.1), where the connection has it.

    Who closes while the server still speaks resets the connection, and a capture ends in a RST.
    """
    if isinstance(connection, ssl.SSLSocket):
        with suppress(OSError, ValueError):  # the server may be gone; all that mattered has been said
            connection.settimeout(GOODBYE)
            connection.unwrap()
