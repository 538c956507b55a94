"""What the client should have done: one row for each situation in which something was readable."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Final

from mailtap.capture.model import Field
from mailtap.demo.adversary.notebook import HOP
from mailtap.servers import Security

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mailtap.capture.model import Flow, Leak
    from mailtap.servers import Service


class Situation(StrEnum):
    """Why it was readable."""

    IMPOSTOR = "impostor"
    FALLBACK = "fallback"
    TLS_REFUSED = "tls refused"
    TLS_NOT_ASKED = "tls not asked for"
    NO_TLS = "no tls on offer"
    TLS_EXPECTED = "tls expected"


ADVICE: Final = {
    Situation.IMPOSTOR: "It was inside TLS, but the server was an impostor, whose certificate no authority "
    "has signed that the client trusts. The client should check chain and name and break the handshake off "
    "(RFC 8314, section 5.3); in Python, pass context=ssl.create_default_context().",
    Situation.FALLBACK: "The server refused a login by digest, and the client tried again with the password "
    "in clear. It should take a refusal for an answer, or fall back inside TLS only.",
    Situation.TLS_REFUSED: "The server offered STARTTLS and then refused it, as an attacker can make it "
    "do, and the client went on in clear. It should end the session: TLS is to be required, not preferred "
    "(RFC 8314, section 5.2).",
    Situation.TLS_NOT_ASKED: "The server offered STARTTLS, and the client did not use it. It should say "
    "STARTTLS (in POP3: STLS) and check the certificate before the login (RFC 8314, section 5).",
    Situation.NO_TLS: "The server did not offer TLS, as an attacker can make it seem, and the client went "
    "on in clear. It should end the session: TLS is to be required, not preferred (RFC 8314, section 5.2).",
    Situation.TLS_EXPECTED: "The port expects TLS from the first byte, and the client spoke in clear to it. "
    "It should begin with the handshake (RFC 8314, section 3).",
}
_DIGESTS: Final = {Field.DIGEST}
_CLEAR: Final = {Field.PASSWORD, Field.TOKEN}


def situation(flow: Flow, service: Service, leaks: Sequence[Leak]) -> Situation:
    """Return why something on a connection was readable.

    Args:
        flow: the connection.
        service: what it led to.
        leaks: what was heard on it, in order.
    """
    if flow.server in HOP.values():
        return Situation.IMPOSTOR
    if _fell_back(leaks):
        return Situation.FALLBACK
    if service.security is Security.TLS:
        return Situation.TLS_EXPECTED
    if service.security is Security.PLAIN:
        return Situation.NO_TLS
    return Situation.TLS_REFUSED if service.starttls_refused else Situation.TLS_NOT_ASKED


def _fell_back(leaks: Sequence[Leak]) -> bool:
    """Return whether a digest was refused and a password in clear came after it."""
    refused = [leak.evidence.time_ns for leak in leaks if leak.field in _DIGESTS and leak.accepted is False]
    return any(leak.field in _CLEAR and leak.evidence.time_ns >= min(refused) for leak in leaks if refused)
