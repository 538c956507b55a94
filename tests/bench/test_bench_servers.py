"""Three hundred mail programs at once, some slow, some gone: everyone gets their own mail, and all are counted."""

from __future__ import annotations

import asyncio

from bench import crowd
from bench.servers import POP3, SMTP, accounts
from mailtap.servers import Limits, ToyServers

CLIENTS, SLOW, VANISHING = 300, 30, 30


def test_no_session_is_lost_or_mixed_up() -> None:
    with ToyServers((SMTP, POP3), accounts=accounts(CLIENTS), limits=Limits(connections=CLIENTS)) as servers:
        ports = [servers.endpoints[service][1] for service in (SMTP, POP3)]
        seen = asyncio.run(crowd.visit(*ports, crowd.manners(CLIENTS, SLOW, VANISHING)))
        assert servers.wait_idle(30, seen.sessions)
        counts = servers.sessions
    stayed = CLIENTS - VANISHING
    assert (seen.wrong, seen.own, seen.sessions) == ((), stayed, CLIENTS + stayed)
    assert (counts[SMTP].finished, counts[SMTP].aborted) == (stayed, VANISHING)
    assert (counts[POP3].finished, counts[POP3].aborted) == (stayed, 0)
    assert servers.faults == ()
    boxes = [len(servers.mailboxes[crowd.name(number)].messages) for number in range(CLIENTS)]
    gone = [kind is crowd.Manner.VANISHING for kind in crowd.manners(CLIENTS, SLOW, VANISHING)]
    assert boxes == [0 if vanished else 1 for vanished in gone]
