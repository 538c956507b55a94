"""The table of scenarios: one row is one way to send and fetch a mail, and what it is expected to leak.

A new row appears by itself in the commands, the tests and the matrix. Nothing in a row is looked at
before the capture is over, except which services to run: what leaked is what the listener heard.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from mailtap.capture.language import N_
from mailtap.capture.model import Field
from mailtap.servers import Security, ServerProtocol, Service

if TYPE_CHECKING:
    from collections.abc import Mapping


class Hop(StrEnum):
    """A stretch of the mail's way: to the sender's server, between servers, to the recipient."""

    SUBMIT = "submit"
    RELAY = "relay"
    FETCH = "fetch"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One row of the table.

    Attributes:
        name: as typed after `mailtap demo`.
        title: what is done about eavesdropping, in a few words.
        services: for each hop, the service that the mail program connects to.
        expected: for each hop, the fields that cross the wire in a form that can be read.
        why: one sentence on what was seen.
        advice: what the article on mail eavesdropping recommends about it.
        standards: the RFCs at work.
        point: the last word: what the room should remember.
        next: the scenarios to run after it.
    """

    name: str
    title: str
    services: Mapping[Hop, Service]
    expected: Mapping[Hop, frozenset[Field]]
    why: str
    advice: str
    standards: tuple[str, ...]
    point: str
    next: tuple[str, ...] = ()


MAIL = frozenset({Field.SENDER, Field.RECIPIENT, Field.SUBJECT, Field.BODY, Field.ATTACHMENT})
CLEAR_LOGIN = frozenset({Field.USERNAME, Field.PASSWORD})
DIGEST_LOGIN = frozenset({Field.USERNAME, Field.DIGEST})
ONLY_THE_NAME = frozenset({Field.SERVER_NAME})

SCENARIOS = (
    Scenario(
        name="plain",
        title=N_("no countermeasure"),
        services={
            Hop.SUBMIT: Service(
                protocol=ServerProtocol.SMTP, security=Security.PLAIN, port=25, mechanisms=("PLAIN", "LOGIN")
            ),
            Hop.FETCH: Service(protocol=ServerProtocol.POP3, security=Security.PLAIN, port=110),
        },
        expected={Hop.SUBMIT: CLEAR_LOGIN | MAIL, Hop.FETCH: CLEAR_LOGIN | MAIL},
        why=N_(
            "SMTP and POP3 are plain text: whoever sits between the mail program and the server"
            " reads the password and the whole mail. Base64 is a way of writing, not encryption."
        ),
        advice=N_("Send over SMTP over SSL/TLS and fetch over POP over SSL/TLS."),
        standards=("RFC 5321", "RFC 4954", "RFC 1939"),
        point=N_("Nobody had to break anything."),
        next=("apop", "tls"),
    ),
    Scenario(
        name="apop",
        title=N_("the password is not sent, only a digest of it (APOP, CRAM-MD5)"),
        services={
            Hop.SUBMIT: Service(
                protocol=ServerProtocol.SMTP, security=Security.PLAIN, port=25, mechanisms=("CRAM-MD5",)
            ),
            Hop.FETCH: Service(
                protocol=ServerProtocol.POP3, security=Security.PLAIN, port=110, user_pass=False, apop=True
            ),
        },
        expected={Hop.SUBMIT: DIGEST_LOGIN | MAIL, Hop.FETCH: DIGEST_LOGIN | MAIL},
        why=N_(
            "APOP and CRAM-MD5 keep the password itself off the wire, but challenge and digest are enough"
            " to try words at leisure, MD5 is broken, and the mail is as readable as ever."
        ),
        advice=N_("APOP is no protection: use POP over SSL/TLS, and SMTP over SSL/TLS."),
        standards=("RFC 1939", "RFC 2195", "CVE-2007-1558"),
        point=N_("It never crossed the wire, and was found all the same."),
        next=("tls",),
    ),
    Scenario(
        name="tls",
        title=N_("SMTP over SSL/TLS and POP over SSL/TLS"),
        services={
            Hop.SUBMIT: Service(
                protocol=ServerProtocol.SMTP, security=Security.TLS, port=465, mechanisms=("PLAIN", "LOGIN")
            ),
            Hop.FETCH: Service(protocol=ServerProtocol.POP3, security=Security.TLS, port=995),
        },
        expected={Hop.SUBMIT: ONLY_THE_NAME, Hop.FETCH: ONLY_THE_NAME},
        why=N_(
            "Login and mail travel inside TLS, and the mail program checked the server's certificate:"
            " the eavesdropper is left with the server's name, sizes and times."
        ),
        advice=N_(
            "This is what the article recommends: POP over SSL/TLS and SMTP over SSL/TLS. It protects the"
            " way to the server, not the mail on the server, and only while the mail program checks the"
            " certificate."
        ),
        standards=("RFC 8314", "RFC 8446", "RFC 6066"),
        point=N_("Same mail, same wire, same listener: not a password, not a word of the mail."),
    ),
)

BY_NAME: Mapping[str, Scenario] = {scenario.name: scenario for scenario in SCENARIOS}
