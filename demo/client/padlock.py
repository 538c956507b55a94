"""What a mail program could show of the TLS that it is in: the padlock, and what is behind it."""

from __future__ import annotations

import ssl
from dataclasses import dataclass

from mailtap.capture.protocols import x509


@dataclass(frozen=True, slots=True, kw_only=True)
class Padlock:
    """The TLS of one connection, from the mail program's side.

    Attributes:
        version: such as `TLSv1.3`.
        cipher: the cipher suite's name.
        names: the names in the server's certificate.
        issuer: the organization that issued it, as it calls itself.
        checked: whether the mail program checked the certificate.
    """

    version: str
    cipher: str
    names: tuple[str, ...]
    issuer: str
    checked: bool


def padlock(connection: ssl.SSLSocket) -> Padlock | None:
    """Return what there is to show of a connection; None where TLS never began."""
    certificate = connection.getpeercert(binary_form=True)
    cipher = connection.cipher()
    if certificate is None or cipher is None:
        return None
    return Padlock(
        version=connection.version() or "",
        cipher=cipher[0],
        names=x509.names(certificate),
        issuer=x509.issuer(certificate),
        checked=connection.context.verify_mode is ssl.CERT_REQUIRED,
    )
