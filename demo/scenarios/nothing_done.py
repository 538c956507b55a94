"""The rows in which nothing is done about eavesdropping."""

from __future__ import annotations

from typing import Final

from mailtap.capture.language import N_
from mailtap.demo.scenarios.offers import FETCH_IN_CLEAR, SEND_IN_CLEAR
from mailtap.demo.scenarios.row import CLEAR_LOGIN, MAIL, Group, Hop, Risk, Scenario

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
)
