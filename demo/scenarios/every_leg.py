"""The rows in which the mail programs encrypt every leg of theirs."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from mailtap.capture.language import N_
from mailtap.demo import cast
from mailtap.demo.scenarios.offers import FETCH_OVER_TLS, RELAY_IN_CLEAR, SEND_OVER_TLS
from mailtap.demo.scenarios.row import MAIL, ONLY_THE_NAME, Group, Hop, Risk, Scenario

_FETCH_FROM_HIS_SERVER: Final = replace(
    FETCH_OVER_TLS, service=replace(FETCH_OVER_TLS.service, host=cast.EXCHANGER)
)

EVERY_LEG: Final = (
    Scenario(
        name="tls",
        group=Group.EVERY_LEG,
        title=N_("SMTP over SSL/TLS and POP over SSL/TLS"),
        risk=Risk.BOTH,
        countermeasure=N_("SMTP over SSL and POP over SSL"),
        legs=(SEND_OVER_TLS, FETCH_OVER_TLS),
        expected={Hop.SUBMIT: ONLY_THE_NAME, Hop.FETCH: ONLY_THE_NAME},
        why=N_(
            "Login and mail travel inside TLS, and the mail program checked the server's certificate:"
            " the eavesdropper is left with the server's name, sizes and times."
        ),
        protects=N_("password and mail, on the way to the server and from it"),
        exposes=N_("the server's name, sizes and times; and the mail where it lies on the server"),
        advice=N_(
            "This is what the article recommends: POP over SSL/TLS and SMTP over SSL/TLS. It protects the"
            " way to the server, not the mail on the server, and only while the mail program checks the"
            " certificate."
        ),
        standards=("RFC 8314", "RFC 8446", "RFC 6066"),
        point=N_("Same mail, same wire, same listener: not a password, not a word of the mail."),
        next=("relay-plain",),
    ),
    Scenario(
        name="relay-plain",
        group=Group.EVERY_LEG,
        title=N_("both access legs over SSL/TLS, and the servers talk in clear"),
        risk=Risk.SENT,
        countermeasure=N_("SMTP over SSL and POP over SSL"),
        legs=(SEND_OVER_TLS, RELAY_IN_CLEAR, _FETCH_FROM_HIS_SERVER),
        expected={Hop.SUBMIT: ONLY_THE_NAME, Hop.RELAY: MAIL, Hop.FETCH: ONLY_THE_NAME},
        why=N_(
            "The mail programs see their padlock, and it is true: on their own legs. From server to server"
            " the mail goes on by SMTP, and there it is as readable as a postcard."
        ),
        protects=N_("both passwords, and the mail on the access legs"),
        exposes=N_("the whole mail between the servers, where neither of the two can look"),
        advice=N_(
            "Servers should use STARTTLS among themselves and check the certificate (DANE, MTA-STS). Only"
            " encryption of the mail itself, by S/MIME or PGP, does not depend on them."
        ),
        standards=("RFC 5321", "RFC 3207", "RFC 7672", "RFC 8461"),
        point=N_("Two padlocks, and in between a postcard."),
    ),
)
