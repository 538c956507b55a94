"""What a mail program is told, how it connects, and how it says that it failed.

The programs connect by address but speak to the server by name, as one does that was told
`mail.lab.example`: so the name is in the TLS handshake, and the certificate is checked against it.
"""

from __future__ import annotations

import smtplib
import socket
import ssl
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from mailtap.capture.language import N_
from mailtap.demo.client.padlock import Padlock, padlock
from mailtap.servers import Security

if TYPE_CHECKING:
    from collections.abc import Callable

    from mailtap.servers import Service

TIMEOUT: Final = 20.0  # seconds for any one answer; a bound, not a wait
GOODBYE: Final = 2.0  # seconds for the server to end TLS
_CHUNK: Final = 65_536


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a person types into a mail program.

    Attributes:
        service: protocol, security and login of the server, and the name it is known by.
        address: where to connect, (host, port).
        machine: the name this mail program gives itself in EHLO.
        username: the login name.
        password: the password.
        trust: for TLS, the context that holds the trusted CA.
        insist: whether to break off where STARTTLS is not offered, instead of going on in clear.
        show: called with the padlock of a connection, at its end; not where TLS never began.
    """

    service: Service
    address: tuple[str, int]
    machine: str
    username: str = ""
    password: str = ""
    trust: ssl.SSLContext | None = None
    insist: bool = True
    show: Callable[[Padlock], object] = field(default=lambda _: None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """A mail and its envelope (RFC 5321, section 2.3.1).

    Attributes:
        sender: the envelope's sender.
        recipients: the envelope's recipients, those of blind copies among them.
        content: the mail, lines ended by CRLF.
    """

    sender: str
    recipients: tuple[str, ...]
    content: bytes


class Reason(StrEnum):
    """Why a mail program gave up, as it would tell the person before it."""

    UNTRUSTED = N_("This program does not trust the server's certificate.")
    NO_TLS = N_("The server offers no TLS, and TLS is required.")
    CUT_OFF = N_("The server ended the connection.")
    OTHER = N_("It did not work.")


class TlsNotOffered(Exception):  # noqa: N818  # a condition of the run
    """The server does not offer to start TLS, and the mail program insists on it."""


class ClientFailed(Exception):  # noqa: N818  # a condition of the run, in plain English
    """The mail program could not do its work; the message says what the server or the network said.

    Attributes:
        reason: what that means.
    """

    def __init__(self, message: str, reason: Reason = Reason.OTHER) -> None:
        super().__init__(message)
        self.reason = reason


_REASONS: Final = (
    (ssl.SSLCertVerificationError, Reason.UNTRUSTED),
    (TlsNotOffered, Reason.NO_TLS),
    # TLS ends where the server breaks the handshake off; after it, the connection does.
    (
        (ssl.SSLZeroReturnError, ssl.SSLEOFError, ConnectionError, smtplib.SMTPServerDisconnected),
        Reason.CUT_OFF,
    ),
)


def failed(work: str, error: Exception) -> ClientFailed:
    """Return in a mail program's own words what an error means for its work."""
    reasons = (reason for kinds, reason in _REASONS if isinstance(error, kinds))
    return ClientFailed(f"{work} failed: {error}", next(reasons, Reason.OTHER))


def starts_tls(settings: Settings, *, offered: bool) -> bool:
    """Return whether to ask for TLS now, where it is to begin on request.

    Raises:
        TlsNotOffered: the server does not offer it, and the mail program does not shrug.
    """
    if settings.insist and not offered:
        raise TlsNotOffered("the server does not offer to start TLS")
    return offered


def connect(settings: Settings) -> socket.socket:
    """Open the connection, inside TLS where the service has it from the first byte."""
    connection = socket.create_connection(settings.address, TIMEOUT)
    if settings.service.security is not Security.TLS:
        return connection
    with connection, connection.dup() as spare:  # a handshake that fails closes what it was made on
        try:
            return trust(settings).wrap_socket(connection, server_hostname=settings.service.host)
        except OSError:
            _hear_out(spare)
            raise


def _is_gone(connection: ssl.SSLSocket) -> bool:
    """Tell whether the server has closed the connection, and nothing that it said before is left to read."""
    connection.settimeout(0)
    try:
        # Below TLS, which has no way to look without taking.
        return socket.socket.recv(connection, 1, socket.MSG_PEEK) == b""
    except (BlockingIOError, InterruptedError):
        return False


def _hear_out(connection: socket.socket) -> None:
    """Say that nothing more will be said, and wait for the server to end, too: else the end is a RST."""
    with suppress(OSError):
        connection.settimeout(GOODBYE)
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(_CHUNK):
            pass


def trust(settings: Settings) -> ssl.SSLContext:
    """Return the context with which to start TLS."""
    if settings.trust is None:
        raise ClientFailed("a service over TLS needs a context that holds its CA: pass `trust`")
    return settings.trust


def end_tls(connection: socket.socket | None, settings: Settings) -> None:
    """End TLS in good order (RFC 8446, section 6.1), where the connection has it, and show its padlock.

    Who closes while the server still speaks resets the connection, and a capture ends in a RST.
    """
    if isinstance(connection, ssl.SSLSocket):
        with suppress(OSError, ValueError):  # the server may be gone; all that mattered has been said
            if (seen := padlock(connection)) is not None:
                settings.show(seen)
            if _is_gone(connection):
                return  # to say goodbye to nobody ends in a RST, too
            connection.settimeout(GOODBYE)
            connection.unwrap()
