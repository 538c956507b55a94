"""The rows in which somebody in the path takes STARTTLS from the mail program."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from mailtap.capture.language import N_
from mailtap.demo.scenarios.intruders import stripper
from mailtap.demo.scenarios.offers import FETCH_BY_STLS, SEND_BY_STARTTLS, TRIES_TO_FETCH, TRIES_TO_SEND
from mailtap.demo.scenarios.row import CLEAR_LOGIN, MAIL, Group, Hop, Risk, Scenario

_LEGS: Final = tuple(replace(leg, man=stripper) for leg in (SEND_BY_STARTTLS, FETCH_BY_STLS))

STRIPPED: Final = (
    Scenario(
        name="stripped-opportunistic",
        group=Group.PADLOCK,
        title=N_("TLS if offered: the offer is taken away"),
        risk=Risk.BOTH,
        countermeasure=N_("STARTTLS where it is offered"),
        legs=tuple(replace(leg, insist=False) for leg in _LEGS),
        expected={Hop.SUBMIT: CLEAR_LOGIN | MAIL, Hop.FETCH: CLEAR_LOGIN | MAIL},
        loot={Hop.SUBMIT: CLEAR_LOGIN | MAIL, Hop.FETCH: CLEAR_LOGIN | MAIL},
        why=N_(
            "The offer of STARTTLS crosses in clear, so whoever is in the path can take it away: he starts"
            " TLS with the server himself, and speaks in clear to the mail program, which shrugs and goes on."
            " The server, which insists on TLS, never learns of it."
        ),
        protects=N_("password and mail, from those who only listen"),
        exposes=N_("everything, to whoever puts himself in between, and to all who listen beside him"),
        advice=N_(
            "Set the mail program to require TLS, never `if available`; best, use the ports where TLS comes"
            " first (465, 995)."
        ),
        standards=("RFC 3207", "RFC 2595", "RFC 8314"),
        point=N_("It asked for a padlock, was told there is none, and handed over the key."),
        next=("stripped-insisting", "tls"),
    ),
    Scenario(
        name="stripped-insisting",
        group=Group.PADLOCK,
        title=N_("TLS required: the same man gets nothing"),
        risk=Risk.BOTH,
        countermeasure=N_("STARTTLS, required"),
        legs=tuple(
            replace(leg, refused=True, tells=tells)
            for leg, tells in zip(_LEGS, (TRIES_TO_SEND, TRIES_TO_FETCH), strict=True)
        ),
        expected={Hop.SUBMIT: frozenset(), Hop.FETCH: frozenset()},
        why=N_(
            "The same man took the offer away, and the mail programs, told to require TLS, left without"
            " having said a user name. The mail was not sent, and that is right."
        ),
        protects=N_("password and mail, from those in between as well"),
        exposes=N_("that somebody wanted to send and to fetch mail, which had to wait"),
        advice=N_("Require TLS. That mail does not go is the alarm: look for who is in the path."),
        standards=("RFC 3207", "RFC 2595", "RFC 8314"),
        point=N_("No padlock, no password."),
        next=("impostor-unverified",),
    ),
)
