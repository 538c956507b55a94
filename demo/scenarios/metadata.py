"""The rows about what is not in the mail, and tells all the same who writes to whom."""

from __future__ import annotations

from typing import Final

from mailtap.capture.language import N_
from mailtap.demo.scenarios.offers import FETCH_IN_CLEAR, RELAY_IN_CLEAR, SUBMIT_IN_CLEAR, from_his_server
from mailtap.demo.scenarios.row import CLEAR_LOGIN, MAIL, Group, Hop, Risk, Scenario

METADATA: Final = (
    Scenario(
        name="bcc",
        group=Group.METADATA,
        title=N_("a blind copy (Bcc), all the way from PC to PC in clear"),
        risk=Risk.MISSENT,
        countermeasure=N_("send to many by Bcc"),
        legs=(SUBMIT_IN_CLEAR, RELAY_IN_CLEAR, from_his_server(FETCH_IN_CLEAR)),
        bcc=True,
        expected={Hop.SUBMIT: CLEAR_LOGIN | MAIL, Hop.RELAY: MAIL, Hop.FETCH: CLEAR_LOGIN | MAIL},
        why=N_(
            "Bcc hides an address from the other recipients: it is not in the mail that Taro fetches. It is"
            " in the envelope (RCPT TO), and the envelope is in clear, twice."
        ),
        protects=N_("the addresses, from each other"),
        exposes=N_("the addresses, to whoever listens on the way"),
        advice=N_(
            "Bcc is good manners, not secrecy. TLS on every leg hides the envelope, but never which"
            " computers talk, when, and how much."
        ),
        standards=("RFC 5321", "RFC 5322"),
        point=N_("Taro cannot see Jiro's address. The eavesdropper can."),
        next=("relay-tls",),
    ),
)
