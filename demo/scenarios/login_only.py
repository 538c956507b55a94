"""The rows in which the login is protected, or asked for, and the mail is not encrypted."""

from __future__ import annotations

from typing import Final

from mailtap.capture.language import N_
from mailtap.demo.scenarios.offers import FETCH_IN_CLEAR, SEND_BY_DIGEST, SUBMIT_IN_CLEAR
from mailtap.demo.scenarios.row import CLEAR_LOGIN, DIGEST_LOGIN, MAIL, Group, Hop, Leg, Risk, Scenario
from mailtap.servers import Security, ServerProtocol, Service

SMTP_AUTH: Final = Scenario(
    name="smtp-auth",
    group=Group.LOGIN,
    title=N_("the server takes mail only after a login (SMTP AUTH)"),
    risk=Risk.RELAY_ABUSE,
    countermeasure=N_("SMTP AUTH"),
    legs=(
        Leg(
            hop=Hop.SUBMIT,
            service=Service(
                protocol=ServerProtocol.SMTP,
                security=Security.PLAIN,
                port=25,
                mechanisms=("LOGIN",),
                login_required=True,
            ),
        ),
        FETCH_IN_CLEAR,
    ),
    expected={Hop.SUBMIT: CLEAR_LOGIN | MAIL, Hop.FETCH: CLEAR_LOGIN | MAIL},
    why=N_(
        "The server now knows who sends, and strangers cannot abuse it. But the login crosses the wire in"
        " base64, and base64 is a way of writing that anybody can read."
    ),
    protects=N_("the server, against use by strangers"),
    exposes=N_("the password that is to protect it, and the mail"),
    advice=N_("Ask for the login, and inside TLS: SMTP over SSL/TLS or STARTTLS."),
    standards=("RFC 4954", "RFC 4648"),
    point=N_("It looks like a cipher. It is an alphabet."),
    next=("cram-md5", "smtps-only"),
)

CRAM_MD5: Final = Scenario(
    name="cram-md5",
    group=Group.LOGIN,
    title=N_("login for sending by CRAM-MD5, all else in clear"),
    risk=Risk.RELAY_ABUSE,
    countermeasure=N_("SMTP AUTH"),
    legs=(SEND_BY_DIGEST, FETCH_IN_CLEAR),
    expected={Hop.SUBMIT: DIGEST_LOGIN | MAIL, Hop.FETCH: CLEAR_LOGIN | MAIL},
    why=N_(
        "Hanako's password was not sent, but challenge and digest are enough to try a word list on. Taro's"
        " mail program does without, and many people have one password for sending and fetching."
    ),
    protects=N_("a long random password, while sending"),
    exposes=N_("a password from a word list, the password for fetching, and the mail"),
    advice=N_("A digest hides no mail, and hardly a password: use SMTP over SSL/TLS and POP over SSL/TLS."),
    standards=("RFC 2195", "RFC 4954", "RFC 1939"),
    point=N_("One door had a better lock. The other stood open."),
    next=("apop", "tls"),
)

APOP: Final = Scenario(
    name="apop",
    group=Group.LOGIN,
    title=N_("the password is not sent, only a digest (APOP, CRAM-MD5)"),
    risk=Risk.RECEIVED,
    countermeasure=N_("encrypt the POP password (APOP), and have a password policy"),
    legs=(
        SEND_BY_DIGEST,
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
    unguessed=N_("No word fitted this time. Whoever recorded it can go on trying."),
    next=("tls",),
)

POP_BEFORE_SMTP: Final = Scenario(
    name="pop-before-smtp",
    group=Group.LOGIN,
    title=N_("a POP3 login lets the address send (POP before SMTP)"),
    risk=Risk.RELAY_ABUSE,
    countermeasure=N_("POP before SMTP"),
    legs=(
        Leg(
            hop=Hop.SUBMIT,
            service=FETCH_IN_CLEAR.service,
            tells=N_("Hanako logs in by POP3 first"),
            login_only=True,
        ),
        Leg(
            hop=Hop.SUBMIT,
            service=Service(
                protocol=ServerProtocol.SMTP, security=Security.PLAIN, port=25, login_before=True
            ),
        ),
        FETCH_IN_CLEAR,
    ),
    expected={Hop.SUBMIT: CLEAR_LOGIN | MAIL, Hop.FETCH: CLEAR_LOGIN | MAIL},
    why=N_(
        "SMTP asks for no password here; the server remembers from which address somebody has just logged"
        " in by POP3. That login is in clear, and so is the mail. Whoever shares the address may send, too."
    ),
    protects=N_("the server, against most strangers"),
    exposes=N_("password and mail; and the server, to all who share the address"),
    advice=N_("Use SMTP AUTH inside TLS on the submission port."),
    standards=("RFC 1939", "RFC 5321", "RFC 6409"),
    point=N_("The password took the side entrance, and was overheard there."),
    next=("smtp-auth", "tls"),
)

SUBMISSION_587: Final = Scenario(
    name="submission-587",
    group=Group.LOGIN,
    title=N_("clients must log in on port 587, not 25 (OP25B)"),
    risk=Risk.RELAY_ABUSE,
    countermeasure=N_("OP25B with submission port 587"),
    legs=(
        Leg(
            hop=Hop.SUBMIT,
            service=Service(
                protocol=ServerProtocol.SMTP, security=Security.PLAIN, port=25, clients_refused=True
            ),
            tells=N_("Hanako tries port 25"),
            refused=True,
        ),
        SUBMIT_IN_CLEAR,
        FETCH_IN_CLEAR,
    ),
    expected={Hop.SUBMIT: CLEAR_LOGIN | MAIL, Hop.FETCH: CLEAR_LOGIN | MAIL},
    why=N_(
        "Port 25 refuses clients, port 587 asks for a login: that keeps spam from going out. It is a rule"
        " about who may send, not about who may listen: password and mail cross in clear as before."
    ),
    protects=N_("everybody else, against spam from infected computers"),
    exposes=N_("password and mail, as before"),
    advice=N_("Keep the rule, and ask for STARTTLS on port 587, or offer SMTP over SSL/TLS on port 465."),
    standards=("RFC 6409", "RFC 5068", "RFC 8314"),
    point=N_("Another port, the same postcard."),
    next=("starttls", "tls"),
)

LOGIN_ONLY: Final = (SMTP_AUTH, CRAM_MD5, APOP, POP_BEFORE_SMTP, SUBMISSION_587)
