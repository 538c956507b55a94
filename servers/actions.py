"""What a session asks its transport to do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Send:
    """Send these bytes to the client."""

    data: bytes


@dataclass(frozen=True, slots=True)
class StartTls:
    """Begin a TLS handshake; call `tls_started()` when it succeeded. What is fed before that is dropped."""


@dataclass(frozen=True, slots=True)
class Close:
    """Close the connection once everything is sent."""


@dataclass(frozen=True, slots=True)
class Rest:
    """Nothing just now: there is more to do, but others may have their turn."""


Action: TypeAlias = Send | StartTls | Close | Rest
