"""Who is told what a server's sessions say: what an impostor reads, who holds the key to the TLS."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from mailtap.servers.service import Service


class Confidant(Protocol):
    """Is told all that one session hears and says, in clear and inside TLS; called in the servers' thread."""

    def received(self, data: bytes) -> None:
        """Take what the client sent."""

    def sent(self, data: bytes) -> None:
        """Take what the server answered."""

    def encrypted(self) -> None:
        """Take note that STARTTLS has succeeded: from now on, all is said inside TLS."""

    def ended(self) -> None:
        """Take note that the session is over; called once or more."""


class Nobody:
    """The confidant of servers that keep what they hear to themselves."""

    def received(self, data: bytes) -> None:
        """Forget what the client sent."""

    def sent(self, data: bytes) -> None:
        """Forget what the server answered."""

    def encrypted(self) -> None:
        """Forget that TLS was started."""

    def ended(self) -> None:
        """Forget that it is over."""


def tell_nobody(_service: Service) -> Confidant:
    """Return the confidant of a session that is nobody's business."""
    return Nobody()
