"""What a toy server offers on one port, and the lab's own names."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

LAB_DOMAIN: Final = "lab.example"
WEBMAIL: Final = "/webmail/"  # the path of its first page
LAB_HOST: Final = "mail.lab.example"  # RFC 2606, section 3: a name that can never be anyone's
SASL_MECHANISMS: Final = ("CRAM-MD5", "LOGIN", "PLAIN")


class ServerProtocol(StrEnum):
    """The protocols there is a toy server for."""

    SMTP = "smtp"
    POP3 = "pop3"
    HTTP = "http"
    IMAP = "imap"


class Security(StrEnum):
    """How a port is protected: not at all, by STARTTLS or STLS on request, or by TLS from the first byte."""

    PLAIN = "plain"
    STARTTLS = "starttls"
    TLS = "tls"


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """One listening port and what it offers.

    Attributes:
        protocol: what is spoken there.
        security: how it is protected.
        port: TCP port; 0 takes any free one.
        mechanisms: the SASL mechanisms offered (RFC 4422), out of `SASL_MECHANISMS`.
        user_pass: whether POP3 offers USER and PASS (RFC 1939, section 7), and IMAP offers LOGIN (RFC 3501,
            section 6.2.3).
        apop: whether POP3 offers APOP (RFC 1939, section 7).
        clear_login: whether a STARTTLS port allows a login before TLS.
        starttls_refused: whether a STARTTLS port offers TLS and then refuses to start it.
        login_required: whether SMTP takes mail only after a login (RFC 6409, section 4.3).
        login_before: whether SMTP takes mail only from an address that has logged in by POP3 before.
        clients_refused: whether SMTP refuses mail from clients, as port 25 does to those outside.
        client_certificate: whether a client must show a certificate of the lab's authority to get into TLS.
        host: the name that the server gives itself.

    Raises:
        ValueError: a mechanism is not one of `SASL_MECHANISMS`, the port is not in 0 to 65535, or the
            protocol has no such security.
    """

    protocol: ServerProtocol
    security: Security
    port: int = 0
    mechanisms: tuple[str, ...] = ()
    user_pass: bool = True
    apop: bool = False
    clear_login: bool = True
    starttls_refused: bool = False
    login_required: bool = False
    login_before: bool = False
    clients_refused: bool = False
    client_certificate: bool = False
    host: str = LAB_HOST

    def __post_init__(self) -> None:
        unknown = sorted(set(self.mechanisms).difference(SASL_MECHANISMS))
        if unknown:
            raise ValueError(
                f"No such SASL mechanism here: {', '.join(unknown)}; there are {', '.join(SASL_MECHANISMS)}."
            )
        if self.protocol is ServerProtocol.HTTP and self.security is Security.STARTTLS:
            raise ValueError("HTTP has no STARTTLS: choose plain or TLS.")
        if not 0 <= self.port <= 65535:  # noqa: PLR2004  # TCP's own range
            raise ValueError(f"Port {self.port} is not in 0 to 65535.")

    def login_allowed(self, *, encrypted: bool) -> bool:
        """Tell whether a login may happen now, given whether the connection is encrypted by now."""
        return encrypted or self.security is Security.PLAIN or self.clear_login
