"""The rows in which nothing is done about eavesdropping."""

from __future__ import annotations

from typing import Final

from mailtap.capture.language import N_
from mailtap.demo.scenarios.offers import (
    FETCH_IN_CLEAR,
    READ_IN_A_BROWSER,
    READ_IN_CLEAR,
    SEND_IN_CLEAR,
    SEND_OVER_TLS,
)
from mailtap.demo.scenarios.row import CLEAR_LOGIN, MAIL, ONLY_THE_NAME, Group, Hop, Risk, Scenario

NOTHING_DONE: Final = (
    Scenario(
        name="plain",
        group=Group.NOTHING,
        title=N_("no countermeasure"),
        risk=Risk.BOTH,
        countermeasure=N_("none"),
        legs=(SEND_IN_CLEAR, FETCH_IN_CLEAR),
        expected={Hop.SUBMIT: CLEAR_LOGIN | MAIL, Hop.FETCH: CLEAR_LOGIN | MAIL},
        why=N_(
            "SMTP and POP3 are plain text: whoever sits between the mail program and the server"
            " reads the password and the whole mail. Base64 is a way of writing, not encryption."
        ),
        protects=N_("nothing"),
        exposes=N_("password and mail, on both legs"),
        advice=N_("Send over SMTP over SSL/TLS and fetch over POP over SSL/TLS."),
        standards=("RFC 5321", "RFC 4954", "RFC 1939"),
        point=N_("Nobody had to break anything."),
        next=("apop", "tls"),
    ),
    Scenario(
        name="imap-plain",
        group=Group.NOTHING,
        title=N_("no countermeasure, read by IMAP"),
        risk=Risk.BOTH,
        countermeasure=N_("none"),
        legs=(SEND_IN_CLEAR, READ_IN_CLEAR),
        expected={Hop.SUBMIT: CLEAR_LOGIN | MAIL, Hop.FETCH: CLEAR_LOGIN | MAIL},
        why=N_(
            "IMAP leaves the mail on the server and shows it on every device, and each of them logs in again"
            " and again. It is as plain as POP3: the password stands in the LOGIN line, the mail in the"
            " answer to FETCH."
        ),
        protects=N_("nothing"),
        exposes=N_("password and mail, on both legs"),
        advice=N_("Read over IMAP over SSL/TLS and send over SMTP over SSL/TLS."),
        standards=("RFC 3501", "RFC 5321", "RFC 4954"),
        point=N_("Another protocol, the same postcard."),
        next=("imaps", "plain"),
    ),
    Scenario(
        name="webmail-http",
        group=Group.NOTHING,
        title=N_("webmail in the browser, without SSL/TLS"),
        risk=Risk.RECEIVED,
        countermeasure=N_("none"),
        legs=(SEND_OVER_TLS, READ_IN_A_BROWSER),
        expected={Hop.SUBMIT: ONLY_THE_NAME, Hop.FETCH: CLEAR_LOGIN | MAIL},
        why=N_(
            "A login form over HTTP sends the name and the password as text, and each page that shows a mail"
            " is text as well. What the browser displays, whoever sits in between can read."
        ),
        protects=N_("nothing on the way to the browser"),
        exposes=N_("password and mail, each time they are on the screen"),
        advice=N_("Use webmail over HTTPS only, and look at the address: it must begin with https."),
        standards=("RFC 9110", "RFC 9112", "RFC 6265"),
        point=N_("A password field shows dots. The wire does not."),
        next=("webmail-https",),
    ),
)
