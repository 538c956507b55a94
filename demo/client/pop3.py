"""The mail program that fetches by POP3: the standard library's poplib (RFC 1939)."""

from __future__ import annotations

import poplib
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

from mailtap.demo.client.settings import (
    TIMEOUT,
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

_ENDED: Final = "-ERR EOF"  # poplib's words for a connection that has ended


class _Pop3(poplib.POP3):
    """POP3 to a known address."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        try:
            super().__init__(settings.service.host, settings.address[1], TIMEOUT)
        except BaseException:
            if hasattr(self, "file"):  # connected, and not greeted: poplib would leave it open
                self.close()
            raise

    def _create_socket(self, timeout: float) -> socket.socket:  # noqa: ARG002
        return connect(self._settings)

    def close(self) -> None:
        """Close the connection."""
        end_tls(self.sock, self._settings)
        with suppress(OSError):  # after a failed handshake there is no socket left, and why is said already
            super().close()


def fetch(settings: Settings) -> bytes:
    """Fetch the first mail of the mailbox and return its bytes, lines ended by CRLF."""
    with _logged_in(settings) as pop3:
        lines = pop3.retr(1)[1]
    return b"".join(line + b"\r\n" for line in lines)


def look_in(settings: Settings) -> None:
    """Log in, see whether there is mail, and leave."""
    with _logged_in(settings):
        pass


@contextmanager
def _logged_in(settings: Settings) -> Iterator[_Pop3]:
    """Give a session of somebody who has logged in, and end it in good order."""
    try:
        pop3 = _Pop3(settings)
        try:
            _start_tls(pop3, settings)
            if settings.service.apop:
                pop3.apop(settings.username, settings.password)
            else:
                pop3.user(settings.username)
                pop3.pass_(settings.password)
            pop3.stat()
            yield pop3
            pop3.quit()
        finally:
            pop3.close()
    except (OSError, poplib.error_proto, TlsNotOffered) as error:
        ended = isinstance(error, poplib.error_proto) and str(error) == _ENDED
        raise failed("fetching by POP3", ConnectionError(str(error)) if ended else error) from error


def _start_tls(pop3: _Pop3, settings: Settings) -> None:
    """Start TLS by STLS (RFC 2595, section 4) where the service is to have it."""
    if settings.service.security is not Security.STARTTLS:
        return
    if starts_tls(settings, offered="STLS" in pop3.capa()):
        pop3.stls(trust(settings))
