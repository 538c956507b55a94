"""Who stands in the path of a leg: made only when a row with him runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mailtap.demo import cast

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from pathlib import Path

    from mailtap.demo.scenarios.row import Intruder, Leg

_AWAY: Final = 10_000  # added to the server's own port, where he can choose


def impostor(leg: Leg, server: tuple[str, int], key_log: Path) -> AbstractContextManager[Intruder]:
    """Return who plays the server, with a certificate in its name that he has issued himself."""
    from mailtap.demo.adversary.man import ManInThePath  # noqa: PLC0415  # brings asyncio
    from mailtap.servers import LabCertificates  # noqa: PLC0415

    certificates = LabCertificates((leg.service.host,), key_log, organization=cast.FORGER)
    return ManInThePath(leg.service, server, port=_port(leg, server), certificates=certificates)


def stripper(leg: Leg, server: tuple[str, int], _: Path) -> AbstractContextManager[Intruder]:
    """Return who takes STARTTLS on himself, so that the mail program is never offered it."""
    from mailtap.demo.adversary.man import ManInThePath  # noqa: PLC0415  # brings asyncio

    return ManInThePath(leg.service, server, port=_port(leg, server))


def _port(leg: Leg, server: tuple[str, int]) -> int:
    """Return a telling port in a network where the server has its real one, else any: others share it."""
    return leg.service.port + _AWAY if server[1] == leg.service.port else 0
