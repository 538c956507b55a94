"""The rows in which one of the two access legs is encrypted, and the other is forgotten."""

from __future__ import annotations

from typing import Final

from mailtap.capture.language import N_
from mailtap.demo.scenarios.offers import FETCH_IN_CLEAR, FETCH_OVER_TLS, SEND_IN_CLEAR, SEND_OVER_TLS
from mailtap.demo.scenarios.row import CLEAR_LOGIN, MAIL, ONLY_THE_NAME, Group, Hop, Risk, Scenario

ONE_LEG: Final = (
    Scenario(
        name="smtps-only",
        group=Group.ONE_LEG,
        title=N_("sent over SSL/TLS, fetched in clear"),
        risk=Risk.SENT,
        countermeasure=N_("SMTP over SSL"),
        legs=(SEND_OVER_TLS, FETCH_IN_CLEAR),
        expected={Hop.SUBMIT: ONLY_THE_NAME, Hop.FETCH: CLEAR_LOGIN | MAIL},
        why=N_(
            "Hanako did all that she could: her leg is encrypted. Taro fetches by plain POP3, and the same"
            " mail crosses once more, in clear, with his password before it."
        ),
        protects=N_("the sender's password, and the mail on its first leg"),
        exposes=N_("the recipient's password, and the mail on its last leg"),
        advice=N_("Fetch over POP over SSL/TLS as well: a mail is as safe as the worst leg of its way."),
        standards=("RFC 8314", "RFC 1939"),
        point=N_("Her padlock does not travel with the mail."),
        next=("pops-only", "tls"),
    ),
    Scenario(
        name="pops-only",
        group=Group.ONE_LEG,
        title=N_("fetched over SSL/TLS, sent in clear"),
        risk=Risk.RECEIVED,
        countermeasure=N_("POP over SSL"),
        legs=(SEND_IN_CLEAR, FETCH_OVER_TLS),
        expected={Hop.SUBMIT: CLEAR_LOGIN | MAIL, Hop.FETCH: ONLY_THE_NAME},
        why=N_(
            "Taro's leg is encrypted, but the mail had crossed in clear before it reached his server, and"
            " Hanako's password with it."
        ),
        protects=N_("the recipient's password, and the mail on its last leg"),
        exposes=N_("the sender's password, and the mail on its first leg"),
        advice=N_("Send over SMTP over SSL/TLS as well: a mail is as safe as the worst leg of its way."),
        standards=("RFC 8314", "RFC 5321", "RFC 4954"),
        point=N_("He locked the door behind a mail that everybody had read."),
        next=("smtps-only", "tls"),
    ),
)
