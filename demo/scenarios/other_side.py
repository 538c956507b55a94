"""The rows about who is at the other side: a server that is none, and a client who is not the one he says."""

from __future__ import annotations

from dataclasses import replace
from ssl import TLSVersion
from typing import Final

from mailtap.capture.language import N_
from mailtap.demo.scenarios.intruders import impostor
from mailtap.demo.scenarios.offers import FETCH_OVER_TLS, SEND_OVER_TLS, TRIES_TO_FETCH, TRIES_TO_SEND
from mailtap.demo.scenarios.row import (
    CLEAR_LOGIN,
    MAIL,
    ONLY_THE_NAME,
    Credential,
    Group,
    Hop,
    Leg,
    Risk,
    Scenario,
)


def _certified(leg: Leg) -> Leg:
    """Return a leg whose server wants a client certificate, and whose mail program has it."""
    service = replace(leg.service, client_certificate=True)
    return replace(leg, service=service, credential=Credential.OWN)


_SEND: Final = _certified(SEND_OVER_TLS)
_FETCH: Final = _certified(FETCH_OVER_TLS)
_STEAL: Final = replace(_FETCH, thief=True, refused=True)

IMPOSTOR_UNVERIFIED: Final = Scenario(
    name="impostor-unverified",
    group=Group.OTHER_SIDE,
    title=N_("TLS on, certificate not checked, a false server"),
    risk=Risk.BOTH,
    countermeasure=N_("SMTP over SSL and POP over SSL, without a look at the certificate"),
    legs=tuple(replace(leg, man=impostor, verify=False) for leg in (SEND_OVER_TLS, FETCH_OVER_TLS)),
    expected={Hop.SUBMIT: ONLY_THE_NAME, Hop.FETCH: ONLY_THE_NAME},
    loot={Hop.SUBMIT: CLEAR_LOGIN | MAIL, Hop.FETCH: CLEAR_LOGIN | MAIL},
    why=N_(
        "TLS keeps out whoever is not at one of its ends; it does not say who is. That is what the"
        " certificate is for, and nobody looked. The impostor ended TLS himself, read everything, and passed"
        " it on to the real server: the mail arrived, and nobody noticed."
    ),
    protects=N_("password and mail, from those who only listen"),
    exposes=N_("everything, to whoever puts himself in between"),
    advice=N_(
        "Never switch off the check of the certificate, and never click its warning away. A program that"
        " does not check (Python's smtplib and poplib without a context, among others) has a painted padlock."
    ),
    standards=("RFC 8314", "RFC 9525", "RFC 8446"),
    point=N_("The line was secret. It led to the thief."),
    next=("impostor-verified", "stripped-opportunistic"),
)

IMPOSTOR_VERIFIED: Final = Scenario(
    name="impostor-verified",
    group=Group.OTHER_SIDE,
    title=N_("a false server, and the certificate is checked"),
    risk=Risk.BOTH,
    countermeasure=N_("SMTP over SSL and POP over SSL, with a checked certificate"),
    legs=(
        replace(SEND_OVER_TLS, man=impostor, refused=True, tells=TRIES_TO_SEND),
        replace(FETCH_OVER_TLS, man=impostor, refused=True, tells=TRIES_TO_FETCH),
    ),
    expected={Hop.SUBMIT: ONLY_THE_NAME, Hop.FETCH: ONLY_THE_NAME},
    why=N_(
        "Anybody can write a name into a certificate; that an authority which the mail program trusts has"
        " signed it is what the impostor could not have. The mail program broke off in the handshake, before"
        " it had said a user name. The mail was not sent, and that is right."
    ),
    protects=N_("password and mail, from those in between as well"),
    exposes=N_("the server's name; and the mail must wait"),
    advice=N_("When the warning comes, stop, and ask the administrator by another way than mail."),
    standards=("RFC 8314", "RFC 9525", "RFC 8446"),
    point=N_("No mail today, and no thief either."),
    next=("client-certificate", "stripped-insisting"),
)

CLIENT_CERTIFICATE: Final = Scenario(
    name="client-certificate",
    group=Group.OTHER_SIDE,
    title=N_("the server checks the client's certificate, too"),
    risk=Risk.RECEIVED,
    countermeasure=N_("client certificates"),
    legs=(replace(_SEND, version=TLSVersion.TLSv1_2), _FETCH),
    expected={Hop.SUBMIT: ONLY_THE_NAME, Hop.FETCH: ONLY_THE_NAME},
    why=N_(
        "Both ends now prove who they are, and login and mail are inside TLS. Hanako's program speaks TLS"
        " 1.2, in which her certificate crosses in clear, with her name on it; Taro's speaks TLS 1.3, in"
        " which his is encrypted."
    ),
    protects=N_("the mailbox, against whoever has no more than the password; password and mail on the way"),
    exposes=N_("the server's name; up to TLS 1.2, the name in the client's certificate"),
    advice=N_("Use it with TLS 1.3, and keep the private key where it cannot be copied."),
    standards=("RFC 8446", "RFC 5246", "RFC 5280"),
    point=N_("A key that cannot be overheard. But the label on it can."),
    next=("client-certificate-missing", "client-certificate-wrong"),
)

CLIENT_CERTIFICATE_MISSING: Final = Scenario(
    name="client-certificate-missing",
    group=Group.OTHER_SIDE,
    title=N_("a thief has the password, no certificate"),
    risk=Risk.RECEIVED,
    countermeasure=N_("client certificates"),
    legs=(
        _SEND,
        replace(_STEAL, credential=Credential.NONE, tells=N_("A thief with Taro's password")),
        _FETCH,
    ),
    expected={Hop.SUBMIT: ONLY_THE_NAME, Hop.FETCH: ONLY_THE_NAME},
    why=N_(
        "The thief had the right password, and was not asked for it: without a certificate, the server ended"
        " the connection in the handshake. Taro, who has one, fetched his mail afterwards."
    ),
    protects=N_("the mailbox, although the password is known"),
    exposes=N_("the server's name"),
    advice=N_("A password that may have been overheard opens nothing here; change it all the same."),
    standards=("RFC 8446", "RFC 5280"),
    point=N_("The right password, at a door without a keyhole for it."),
    next=("client-certificate-wrong",),
)

CLIENT_CERTIFICATE_WRONG: Final = Scenario(
    name="client-certificate-wrong",
    group=Group.OTHER_SIDE,
    title=N_("a thief has the password and a forgery"),
    risk=Risk.RECEIVED,
    countermeasure=N_("client certificates"),
    legs=(
        _SEND,
        replace(
            _STEAL, credential=Credential.FOREIGN, tells=N_("A thief with Taro's password and a forgery")
        ),
        _FETCH,
    ),
    expected={Hop.SUBMIT: ONLY_THE_NAME, Hop.FETCH: ONLY_THE_NAME},
    why=N_(
        "Taro's name was on the thief's certificate, but an authority of his own had signed it. The server"
        " ended the connection in the handshake, before any password. Taro fetched his mail afterwards."
    ),
    protects=N_("the mailbox, although the password is known"),
    exposes=N_("the server's name"),
    advice=N_("Guard the authority's key: who has it can be anybody."),
    standards=("RFC 8446", "RFC 5280"),
    point=N_("Anybody can write a name. Not anybody can sign it."),
    next=("impostor-unverified",),
)

OTHER_SIDE: Final = (
    IMPOSTOR_UNVERIFIED,
    IMPOSTOR_VERIFIED,
    CLIENT_CERTIFICATE,
    CLIENT_CERTIFICATE_MISSING,
    CLIENT_CERTIFICATE_WRONG,
)
