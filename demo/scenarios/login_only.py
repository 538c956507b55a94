"""The rows in which the login is protected, or asked for, and the mail is not encrypted."""

from __future__ import annotations

from typing import Final

from mailtap.capture.language import N_
from mailtap.demo.scenarios.row import DIGEST_LOGIN, MAIL, Group, Hop, Leg, Risk, Scenario
from mailtap.servers import Security, ServerProtocol, Service

_SEND_BY_DIGEST: Final = Leg(
    hop=Hop.SUBMIT,
    service=Service(protocol=ServerProtocol.SMTP, security=Security.PLAIN, port=25, mechanisms=("CRAM-MD5",)),
)

LOGIN_ONLY: Final = (
    Scenario(
        name="apop",
        group=Group.LOGIN,
        title=N_("the password is not sent, only a digest of it (APOP, CRAM-MD5)"),
        risk=Risk.RECEIVED,
        countermeasure=N_("encrypt the POP password (APOP), and have a password policy"),
        legs=(
            _SEND_BY_DIGEST,
            Leg(
                hop=Hop.FETCH,
                service=Service(
                    protocol=ServerProtocol.POP3,
                    security=Security.PLAIN,
                    port=110,
                    user_pass=False,
                    apop=True,
                ),
            ),
        ),
        expected={Hop.SUBMIT: DIGEST_LOGIN | MAIL, Hop.FETCH: DIGEST_LOGIN | MAIL},
        why=N_(
            "APOP and CRAM-MD5 keep the password itself off the wire, but challenge and digest are enough"
            " to try words at leisure, MD5 is broken, and the mail is as readable as ever."
        ),
        protects=N_("a long random password"),
        exposes=N_("every password that is in a word list, and the mail, on both legs"),
        advice=N_("APOP is no protection: use POP over SSL/TLS, and SMTP over SSL/TLS."),
        standards=("RFC 1939", "RFC 2195", "CVE-2007-1558"),
        point=N_("It never crossed the wire, and was found all the same."),
        next=("tls",),
    ),
)
