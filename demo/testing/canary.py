"""Says something in clear that only this run can know: a tap that does not hear it is deaf."""

from __future__ import annotations

import base64
import socket
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from mailtap.capture.model import Endpoint
from mailtap.demo.testing.errors import TapDeaf
from mailtap.servers import Security, ServerProtocol, Service

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mailtap.demo.testing.hearing import Hearing

_PATIENCE: Final = 10.0  # seconds for any one answer; a bound, not a wait


@dataclass(frozen=True, slots=True)
class Canary:
    """What was said, and from where.

    Attributes:
        endpoint: the client's side of the connection.
        token: what it said.
        login: whether it said it in a login, which the listener must understand.
    """

    endpoint: Endpoint
    token: str
    login: bool


def plant(service: Service, address: tuple[str, int], token: str) -> Canary:
    """Connect to a port through the tap, log in there in vain, and say goodbye.

    On a port with TLS from the first byte the token alone is said, which ends the handshake.

    Raises:
        OSError: nobody answers.
    """
    implicit = service.security is Security.TLS
    with (
        socket.create_connection(address, _PATIENCE) as connection,
        connection.makefile("rb") as replies,
    ):
        endpoint = Endpoint(*connection.getsockname()[:2])
        if implicit:
            connection.sendall(f"{token}\r\n".encode())
        else:
            for line in _SAYS[service.protocol](token):
                while replies.readline()[3:4] == b"-":
                    pass
                connection.sendall(f"{line}\r\n".encode())
        connection.shutdown(socket.SHUT_WR)
        with suppress(ConnectionError):  # the usual end of a handshake that made no sense
            replies.read()
    return Canary(endpoint, token, not implicit)


def check(canaries: Sequence[Canary], hearing: Hearing) -> None:
    """Look for every canary in what was heard.

    Raises:
        TapDeaf: one was not heard, or a login was not understood.
    """
    said = {(stream.flow.client, stream.data) for stream in hearing.streams}
    for canary in canaries:
        # SMTP says it in base64: there, having understood it is having heard it.
        heard = any(canary.token.encode() in data for client, data in said if client == canary.endpoint)
        login = any(
            canary.token in leak.value.reveal()
            for leak in hearing.leaks
            if leak.evidence.flow.client == canary.endpoint
        )
        if not (login if canary.login else heard):
            raise TapDeaf(
                "The tap did not hear a login in clear that was planted for it, so its silence would prove "
                "nothing. Try --mail-tap=relay, and please report this."
            )


def _smtp(token: str) -> tuple[str, ...]:
    """Say EHLO, AUTH PLAIN (RFC 4954, section 4) and QUIT."""
    login = base64.b64encode(f"\0{token}\0{token}".encode()).decode()
    return ("EHLO canary.lab.example", f"AUTH PLAIN {login}", "QUIT")


def _pop3(token: str) -> tuple[str, ...]:
    """Say USER, PASS (RFC 1939, section 7) and QUIT."""
    return (f"USER {token}", f"PASS {token}", "QUIT")


def _imap(token: str) -> tuple[str, ...]:
    """Say LOGIN and LOGOUT (RFC 3501, section 6.2.3)."""
    return (f"a1 LOGIN {token} {token}", "a2 LOGOUT")


_SAYS: Final[dict[ServerProtocol, Callable[[str], tuple[str, ...]]]] = {
    ServerProtocol.SMTP: _smtp,
    ServerProtocol.POP3: _pop3,
    ServerProtocol.IMAP: _imap,
}
