"""The table of attacks on STARTTLS and certificates: one row is one attack.

They act only inside the plugin's own servers, on loopback: what an attacker on the way would do to the
client's conversation, the server does itself. To the client it is the same.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from mailtap.demo.testing.errors import BadMark
from mailtap.servers import Security, Service

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True, kw_only=True)
class Attack:
    """One attack.

    Attributes:
        name: what `@pytest.mark.mail_attack` calls it.
        against: the kinds of port it works against.
        does: what it does.
        sound: what a sound client does.
        seen: where clients fell for it.
        change: what becomes of a port that is attacked.
        impostor: whether the server is an impostor, who reads what is inside its own TLS.
    """

    name: str
    against: frozenset[Security]
    does: str
    sound: str
    seen: str
    change: Callable[[Service], Service]
    impostor: bool = False


ATTACKS: Final = (
    Attack(
        name="strip-starttls",
        against=frozenset({Security.STARTTLS}),
        does="hides STARTTLS (in POP3: STLS) from what the server can do, and answers it with an error",
        sound="ends the session before it says the user's name or password (RFC 3207, section 6)",
        seen="offlineimap3 issue 222, imapflow issue 242: STARTTLS not on offer, password sent in clear",
        change=lambda service: replace(service, security=Security.PLAIN),
    ),
    Attack(
        name="refuse-starttls",
        against=frozenset({Security.STARTTLS}),
        does="offers STARTTLS and, when the client asks for it, says that TLS is not available now",
        sound="ends the session, as where STARTTLS was never offered (RFC 3207, section 4.1)",
        seen="clients with TLS `if available`, which cannot be made to insist on it",
        change=lambda service: replace(service, starttls_refused=True),
    ),
    Attack(
        name="bad-certificate",
        against=frozenset({Security.STARTTLS, Security.TLS}),
        does="plays the server with a certificate that no authority known to the client has signed",
        sound="breaks the handshake off and says nothing (RFC 8314, section 5.3)",
        seen="Python's *_SSL classes without a context (cpython issue 91826)",
        change=lambda service: service,
        impostor=True,
    ),
)
BY_NAME: Final = MappingProxyType({attack.name: attack for attack in ATTACKS})


def named(name: str) -> Attack:
    """Return an attack by its name.

    Raises:
        BadMark: there is none of this name.
    """
    if name not in BY_NAME:
        raise BadMark(f"There is no mail_attack {name!r}; there are {', '.join(BY_NAME)}.")
    return BY_NAME[name]


def attacked(service: Service, attack: Attack | None) -> Service:
    """Return what becomes of a port under attack; itself where the attack does not work against it."""
    if attack is None or service.security not in attack.against:
        return service
    return attack.change(service)
