"""The services that several rows share, and the legs that use them."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from mailtap.capture.language import N_
from mailtap.demo import cast
from mailtap.demo.scenarios.row import Hop, Leg
from mailtap.servers import Security, ServerProtocol, Service

TRIES_TO_SEND: Final = N_("Hanako tries to send the mail")
TRIES_TO_FETCH: Final = N_("Taro tries to fetch his mail")

PASSWORD: Final = ("PLAIN", "LOGIN")

SEND_IN_CLEAR: Final = Leg(
    hop=Hop.SUBMIT,
    service=Service(protocol=ServerProtocol.SMTP, security=Security.PLAIN, port=25, mechanisms=PASSWORD),
)
SEND_BY_DIGEST: Final = Leg(
    hop=Hop.SUBMIT,
    service=Service(protocol=ServerProtocol.SMTP, security=Security.PLAIN, port=25, mechanisms=("CRAM-MD5",)),
)
SUBMIT_IN_CLEAR: Final = Leg(
    hop=Hop.SUBMIT,
    service=Service(
        protocol=ServerProtocol.SMTP,
        security=Security.PLAIN,
        port=587,
        mechanisms=PASSWORD,
        login_required=True,
    ),
)
SEND_OVER_TLS: Final = Leg(
    hop=Hop.SUBMIT,
    service=Service(protocol=ServerProtocol.SMTP, security=Security.TLS, port=465, mechanisms=PASSWORD),
)
SEND_BY_STARTTLS: Final = Leg(
    hop=Hop.SUBMIT,
    service=Service(
        protocol=ServerProtocol.SMTP,
        security=Security.STARTTLS,
        port=587,
        mechanisms=PASSWORD,
        clear_login=False,
        login_required=True,
    ),
)
FETCH_BY_STLS: Final = Leg(
    hop=Hop.FETCH,
    service=Service(protocol=ServerProtocol.POP3, security=Security.STARTTLS, port=110, clear_login=False),
)
RELAY_IN_CLEAR: Final = Leg(
    hop=Hop.RELAY,
    service=Service(protocol=ServerProtocol.SMTP, security=Security.PLAIN, port=25, host=cast.EXCHANGER),
)
FETCH_IN_CLEAR: Final = Leg(
    hop=Hop.FETCH,
    service=Service(protocol=ServerProtocol.POP3, security=Security.PLAIN, port=110),
)
FETCH_OVER_TLS: Final = Leg(
    hop=Hop.FETCH,
    service=Service(protocol=ServerProtocol.POP3, security=Security.TLS, port=995),
)
READ_IN_A_BROWSER: Final = Leg(
    hop=Hop.FETCH,
    service=Service(protocol=ServerProtocol.HTTP, security=Security.PLAIN, port=80),
    tells=N_("Taro reads the mail in his browser"),
)
READ_OVER_HTTPS: Final = replace(
    READ_IN_A_BROWSER,
    service=Service(protocol=ServerProtocol.HTTP, security=Security.TLS, port=443),
)
READ_IN_CLEAR: Final = Leg(
    hop=Hop.FETCH,
    service=Service(protocol=ServerProtocol.IMAP, security=Security.PLAIN, port=143),
)
READ_OVER_TLS: Final = Leg(
    hop=Hop.FETCH,
    service=Service(protocol=ServerProtocol.IMAP, security=Security.TLS, port=993),
)


def from_his_server(leg: Leg) -> Leg:
    """Return a fetching leg that leads to the recipient's own server, where the sender has another."""
    return replace(leg, service=replace(leg.service, host=cast.EXCHANGER))
