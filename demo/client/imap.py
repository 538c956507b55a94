"""The mail program that fetches by IMAP: the standard library's imaplib (RFC 3501)."""

from __future__ import annotations

import imaplib
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from mailtap.demo.client.settings import (
    GOODBYE,
    TIMEOUT,
    ClientFailed,
    Settings,
    TlsNotOffered,
    connect,
    end_tls,
    failed,
    starts_tls,
    trust,
)
from mailtap.servers import Security

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator


class _Imap(imaplib.IMAP4):
    """IMAP to a known address."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        super().__init__(settings.service.host, settings.address[1], TIMEOUT)

    def _create_socket(self, timeout: float | None) -> socket.socket:  # noqa: ARG002
        return connect(self._settings)

    def shutdown(self) -> None:
        """Close the connection; twice does no harm."""
        if self.sock.fileno() == -1:
            return
        if self.state == "LOGOUT":
            # imaplib is content with BYE and shuts both ways down; the answer to LOGOUT that still comes is
            # met by a reset then.
            with suppress(OSError, ValueError):
                self.sock.settimeout(GOODBYE)
                while self.sock.recv(4096):
                    pass
        end_tls(self.sock, self._settings)
        super().shutdown()


def fetch(settings: Settings) -> bytes:
    """Fetch the first mail of the mailbox and return its bytes, lines ended by CRLF."""
    with _logged_in(settings) as imap:
        imap.select()
        imap.search(None, "ALL")
        found = imap.fetch("1", "(BODY[])")[1]
    match found:
        case [(_, bytes(mail)), *_]:
            return mail
        case _:
            raise ClientFailed("fetching by IMAP failed: the server did not send the mail")


def look_in(settings: Settings) -> None:
    """Log in, see whether there is mail, and leave."""
    with _logged_in(settings) as imap:
        imap.select()


@contextmanager
def _logged_in(settings: Settings) -> Iterator[_Imap]:
    """Give a session of somebody who has logged in, and end it in good order."""
    try:
        imap = _Imap(settings)
        try:
            _start_tls(imap, settings)
            _log_in(imap, settings)
            yield imap
            imap.logout()
        finally:
            imap.shutdown()
    except (OSError, imaplib.IMAP4.error, TlsNotOffered) as error:
        raise failed("fetching by IMAP", error) from error


def _start_tls(imap: _Imap, settings: Settings) -> None:
    """Start TLS (RFC 3501, section 6.2.1) where the service is to have it."""
    if settings.service.security is not Security.STARTTLS:
        return
    if starts_tls(settings, offered="STARTTLS" in imap.capabilities):
        imap.starttls(trust(settings))


def _log_in(imap: _Imap, settings: Settings) -> None:
    """Log in by LOGIN where it is offered, else by a digest (RFC 3501, section 6.2.3; RFC 2195)."""
    if settings.service.user_pass:
        imap.login(settings.username, settings.password)
    else:
        imap.login_cram_md5(settings.username, settings.password)
