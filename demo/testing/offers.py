"""What `@pytest.mark.mail_server` asks for, as services of the toy servers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from mailtap.demo.testing.attacks import attacked
from mailtap.demo.testing.errors import BadMark
from mailtap.servers import SASL_MECHANISMS, Security, ServerProtocol, Service

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from mailtap.demo.testing.attacks import Attack

# A mail client speaks these; webmail is for browsers.
PROTOCOLS: Final = (ServerProtocol.SMTP, ServerProtocol.POP3, ServerProtocol.IMAP)

# No digest: where one is on offer, a client may take it, and what it would do without shows no more.
USUAL_LOGINS: Final = ("USER/PASS", "PLAIN", "LOGIN")
LOGINS: Final = ("USER/PASS", "APOP", *SASL_MECHANISMS)
_WORDS: Final = {"security", "auth"}

Mark = tuple["Sequence[Any]", "Mapping[str, Any]"]
"""Positional and named arguments of a marker."""


def services(marks: Iterable[Mark], security: str, attack: Attack | None) -> dict[str, Service]:
    """Return the services to run, by the name of their protocol.

    Args:
        marks: the markers' arguments, closest to the test first. The first that names a protocol, or
            names none, decides for it.
        security: how ports are protected where no marker says so.
        attack: what is done to them.

    Raises:
        BadMark: a marker says something that means nothing, or the attack works against no port.
    """
    wanted: dict[str, Mapping[str, Any]] = {}
    for args, words in marks:
        _check(args, words)
        for name in args or PROTOCOLS:
            wanted[str(name)] = {**words, **wanted.get(str(name), {})}
    offered = {
        str(protocol): _service(protocol, {"security": security, **wanted.get(str(protocol), {})})
        for protocol in PROTOCOLS
    }
    if attack and not any(service.security in attack.against for service in offered.values()):
        needed = " or ".join(sorted(attack.against))
        raise BadMark(f"mail_attack {attack.name!r} needs @pytest.mark.mail_server(security=…) of {needed}.")
    return {name: attacked(service, attack) for name, service in offered.items()}


def _check(args: Sequence[Any], words: Mapping[str, Any]) -> None:
    if unknown := sorted(set(words) - _WORDS):
        raise BadMark(f"mail_server knows no {', '.join(unknown)}; it knows {', '.join(sorted(_WORDS))}.")
    protocols = [str(protocol) for protocol in PROTOCOLS]
    if others := [name for name in args if name not in protocols]:
        raise BadMark(f"mail_server knows no protocol {others[0]!r}; it knows {', '.join(protocols)}.")


def _service(protocol: ServerProtocol, words: Mapping[str, Any]) -> Service:
    logins = words.get("auth", USUAL_LOGINS)
    if isinstance(logins, str) or (others := [login for login in logins if login not in LOGINS]):
        wrong = logins if isinstance(logins, str) else others[0]
        raise BadMark(f"mail_server: auth is a list out of {', '.join(LOGINS)}; {wrong!r} is not.")
    kinds = [str(kind) for kind in Security]
    if words["security"] not in kinds:
        raise BadMark(f"mail_server: security is one of {', '.join(kinds)}; {words['security']!r} is not.")
    return Service(
        protocol=protocol,
        security=Security(words["security"]),
        mechanisms=tuple(login for login in logins if login in SASL_MECHANISMS),
        user_pass="USER/PASS" in logins,
        apop="APOP" in logins,
        login_required=bool(logins),
    )
