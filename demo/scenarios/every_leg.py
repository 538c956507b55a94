"""The rows in which the mail programs encrypt every leg of theirs."""

from __future__ import annotations

from typing import Final

from mailtap.capture.language import N_
from mailtap.demo import cast
from mailtap.demo.scenarios.offers import (
    FETCH_BY_STLS,
    FETCH_OVER_TLS,
    READ_OVER_HTTPS,
    READ_OVER_TLS,
    RELAY_IN_CLEAR,
    SEND_BY_STARTTLS,
    SEND_OVER_TLS,
    from_his_server,
)
from mailtap.demo.scenarios.row import MAIL, ONLY_THE_NAME, Group, Hop, Leg, Risk, Scenario
from mailtap.servers import Security, ServerProtocol, Service

_RELAY_BY_STARTTLS: Final = Leg(
    hop=Hop.RELAY,
    service=Service(protocol=ServerProtocol.SMTP, security=Security.STARTTLS, port=25, host=cast.EXCHANGER),
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
        name="starttls",
        group=Group.EVERY_LEG,
        title=N_("begun in clear, then encrypted (STARTTLS, STLS)"),
        risk=Risk.BOTH,
        countermeasure=N_("SMTP over SSL and POP over SSL"),
        legs=(SEND_BY_STARTTLS, FETCH_BY_STLS),
        expected={Hop.SUBMIT: ONLY_THE_NAME, Hop.FETCH: ONLY_THE_NAME},
        why=N_(
            "The first lines are in clear: greetings, and what the server offers. Then both sides change to"
            " TLS, and the login and the mail are inside. The mail programs insist on it; one that does not"
            " can be talked out of it on the way."
        ),
        protects=N_("password and mail, on the way to the server and from it"),
        exposes=N_("the server's name, the first lines, sizes and times"),
        advice=N_(
            "Set the mail program to require STARTTLS, or use the ports where TLS comes first (465, 995)."
        ),
        standards=("RFC 3207", "RFC 2595", "RFC 8314"),
        point=N_("A word in clear, and then nothing more to hear."),
        next=("tls", "relay-plain"),
    ),
    Scenario(
        name="webmail-https",
        group=Group.EVERY_LEG,
        title=N_("webmail in the browser, over SSL/TLS"),
        risk=Risk.RECEIVED,
        countermeasure=N_("webmail over SSL"),
        legs=(SEND_OVER_TLS, READ_OVER_HTTPS),
        expected={Hop.SUBMIT: ONLY_THE_NAME, Hop.FETCH: ONLY_THE_NAME},
        why=N_(
            "The same pages, the same form, the same browser; but they travel inside TLS, and the browser"
            " checked the certificate before it sent a word."
        ),
        protects=N_("password and mail, on the way to the server and from it"),
        exposes=N_("the server's name, sizes and times; and the mail where it lies on the server"),
        advice=N_("Let the server offer HTTPS only (HSTS), and never click a certificate warning away."),
        standards=("RFC 9110", "RFC 8446", "RFC 6797"),
        point=N_("The browser shows the mail. The wire shows the server's name."),
    ),
    Scenario(
        name="imaps",
        group=Group.EVERY_LEG,
        title=N_("SMTP over SSL/TLS and IMAP over SSL/TLS"),
        risk=Risk.BOTH,
        countermeasure=N_("SMTP over SSL and POP over SSL"),
        legs=(SEND_OVER_TLS, READ_OVER_TLS),
        expected={Hop.SUBMIT: ONLY_THE_NAME, Hop.FETCH: ONLY_THE_NAME},
        why=N_(
            "What POP over SSL/TLS does for POP3, IMAP over SSL/TLS does for IMAP: login, folders and mail"
            " are inside TLS. How much is read, and when, still shows in sizes and times."
        ),
        protects=N_("password and mail, on the way to the server and from it"),
        exposes=N_("the server's name, sizes and times; and the mail where it lies on the server"),
        advice=N_("Use port 993, and let the mail program check the certificate."),
        standards=("RFC 8314", "RFC 3501", "RFC 8446"),
        point=N_("The postcard is in an envelope now."),
        next=("tls", "relay-plain"),
    ),
    Scenario(
        name="relay-plain",
        group=Group.EVERY_LEG,
        title=N_("TLS on both access legs, servers talk in clear"),
        risk=Risk.SENT,
        countermeasure=N_("SMTP over SSL and POP over SSL"),
        legs=(SEND_OVER_TLS, RELAY_IN_CLEAR, from_his_server(FETCH_OVER_TLS)),
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
        next=("relay-tls",),
    ),
    Scenario(
        name="relay-tls",
        group=Group.EVERY_LEG,
        title=N_("TLS all the way, between the servers as well"),
        risk=Risk.BOTH,
        countermeasure=N_("SMTP over SSL and POP over SSL"),
        legs=(SEND_OVER_TLS, _RELAY_BY_STARTTLS, from_his_server(FETCH_OVER_TLS)),
        expected=dict.fromkeys(Hop, ONLY_THE_NAME),
        why=N_(
            "Three legs, three times TLS, and three certificates checked: the sender's server used STARTTLS"
            " and would rather have kept the mail than send it on in clear."
        ),
        protects=N_("passwords and mail, on the whole way"),
        exposes=N_("the servers' names, sizes and times; and the mail where it lies on the two servers"),
        advice=N_(
            "Between servers of the world, TLS is mostly used and seldom checked: publish DANE or MTA-STS."
            " What must not be read on the servers either needs S/MIME or PGP."
        ),
        standards=("RFC 3207", "RFC 7672", "RFC 8461", "RFC 8314"),
        point=N_("The whole way in the dark. At each server, the light is on."),
    ),
)
