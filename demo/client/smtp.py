"""The mail program that sends: the standard library's smtplib (RFC 5321)."""

from __future__ import annotations

import smtplib
from contextlib import suppress
from typing import TYPE_CHECKING

from mailtap.demo.client.settings import (
    TIMEOUT,
    Letter,
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


class _Smtp(smtplib.SMTP):
    """SMTP to a known address."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        super().__init__(settings.service.host, settings.address[1], settings.machine, timeout=TIMEOUT)

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:  # noqa: ARG002
        return connect(self._settings)

    def close(self) -> None:
        """Close the connection."""
        end_tls(self.sock, self._settings)
        super().close()


def send(settings: Settings, letter: Letter) -> None:
    """Send one mail, with login where the service offers one (RFC 5321, RFC 4954, RFC 3207)."""
    try:
        smtp = _Smtp(settings)
        try:
            _hand_over(smtp, settings, letter)
            smtp.quit()
        except (smtplib.SMTPException, TlsNotOffered):
            with suppress(OSError, smtplib.SMTPException):  # a refusal is no reason to leave without a word
                smtp.quit()
            raise
        finally:  # smtplib's own `with` says QUIT here, and what it makes of the answer would hide a Ctrl-C
            smtp.close()
    except (OSError, smtplib.SMTPException, TlsNotOffered) as error:
        raise failed("sending by SMTP", error) from error


def _hand_over(smtp: _Smtp, settings: Settings, letter: Letter) -> None:
    if settings.service.security is Security.STARTTLS:
        smtp.ehlo_or_helo_if_needed()
        if starts_tls(settings, offered=smtp.has_extn("starttls")):
            smtp.starttls(context=trust(settings))
    if settings.service.mechanisms:
        smtp.login(settings.username, settings.password)
    smtp.sendmail(letter.sender, letter.recipients, letter.content)
