"""A throwaway certificate authority for the lab, and the TLS contexts that go with it."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Final

from mailtap.servers.service import LAB_HOST

if TYPE_CHECKING:
    from pathlib import Path

LAB_NAMES: Final = (LAB_HOST, "localhost", "127.0.0.1", "::1")


class LabCertificates:
    """A certificate authority made for this run only, one server certificate signed by it, and clients'.

    The private keys live in memory and die with the object; OpenSSL takes the server's only from a file,
    which is there for as long as `server_context` runs, in the folder for temporary files, for this user.

    Args:
        names: the host names and IP addresses that the server certificate is for.
        organization: who the certificates say that they belong to.
        keylog_filename: where servers write their session keys, in the key log format that Wireshark
            reads; None writes none.
    """

    def __init__(
        self,
        names: tuple[str, ...] = LAB_NAMES,
        keylog_filename: Path | None = None,
        organization: str = "Mailtap lab",
    ) -> None:
        import trustme  # noqa: PLC0415  # it costs a tenth of a second; a run without TLS skips it

        self._authority = trustme.CA(organization_name=f"{organization}, throwaway authority")
        self._organization = organization
        # Clients go by the names above (RFC 6125, section 6.4.4), but fetchmail refuses a certificate
        # that has no common name at all.
        self._leaf = self._authority.issue_cert(*names, organization_name=organization, common_name=names[0])
        self._keylog_filename = keylog_filename

    @property
    def ca_pem(self) -> bytes:
        """The authority's certificate in PEM form: what a client has to trust."""
        return self._authority.cert_pem.bytes()

    def server_context(self, *, client_certificate: bool = False) -> ssl.SSLContext:
        """Return a context for a server: TLS 1.2 or later.

        Args:
            client_certificate: whether a client must show a certificate of this authority (RFC 8446,
                section 4.3.2); if not, none is asked for.
        """
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        self._leaf.configure_cert(context)
        if client_certificate:
            self._authority.configure_trust(context)
            context.verify_mode = ssl.CERT_REQUIRED
        if self._keylog_filename is not None:
            context.keylog_filename = str(self._keylog_filename)
        return context

    def client_context(self) -> ssl.SSLContext:
        """Return a context for a client that verifies the server's chain and name against this authority."""
        return ssl.create_default_context(cadata=self.ca_pem.decode("ascii"))

    def certify(self, context: ssl.SSLContext, name: str, machine: str) -> None:
        """Give a client's context a certificate of this authority, for a person at a computer."""
        # Without an alternative name, the strict checks of Python 3.13 and later refuse it.
        leaf = self._authority.issue_cert(machine, organization_name=self._organization, common_name=name)
        leaf.configure_cert(context)
