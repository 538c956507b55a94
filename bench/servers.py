"""Drives the toy servers: a crowd at once, and sessions one after the other as fast as they go."""

from __future__ import annotations

import json
import subprocess
import sys
from statistics import median
from typing import TYPE_CHECKING, Final

from bench import crowd, page
from bench.crowd import Seen
from mailtap.servers import Account, Limits, Security, ServerProtocol, Service, ToyServers

if TYPE_CHECKING:
    from bench.settings import Settings

_CROWDS: Final = ((1, 0, 0), (100, 0, 0), (1000, 0, 0), (1000, 100, 100))  # clients, slow, vanishing
_PATIENCE: Final = 30.0  # seconds for the last sessions to end; a bound, not a wait

SMTP: Final = Service(protocol=ServerProtocol.SMTP, security=Security.PLAIN, port=0, mechanisms=("PLAIN",))
POP3: Final = Service(protocol=ServerProtocol.POP3, security=Security.PLAIN, port=0)

_ABOUT: Final = """\
Each client sends itself a mail by SMTP (with login) and fetches it by POP3, all clients of a row connected
at once before the first goes on; slow ones send single bytes, vanishing ones tear their connection in the
middle of a command. Servers and clients are a process each. *Own mail* are clients that found exactly their
own mail; *unaccounted* are sessions that the servers' own count does not show as finished or torn."""


def measure(settings: Settings) -> str:
    """Return the table as Markdown."""
    heads = ("clients at once", "slow", "vanishing", "sessions/s", "own mail", "of", "unaccounted")
    rows = [_row(*row, settings.rounds) for row in _CROWDS]
    return f"{_ABOUT}\n\n{page.table(heads, rows)}"


def accounts(clients: int) -> list[Account]:
    """Return the accounts of a crowd."""
    return [
        Account(
            username=crowd.name(number),
            password=crowd.word(number),
            addresses=(f"{crowd.name(number)}@lab.example",),
        )
        for number in range(clients)
    ]


def _row(clients: int, slow: int, vanishing: int, rounds: int) -> tuple[str, ...]:
    runs = [_run(clients, slow, vanishing) for _ in range(rounds)]
    rate = median(seen.sessions / seen.seconds for seen, _ in runs)
    own = min(seen.own for seen, _ in runs)
    lost = max(lost for _, lost in runs)
    return (
        f"{clients:,}", f"{slow:,}", f"{vanishing:,}", f"{rate:,.0f}", f"{own:,}", f"{clients - vanishing:,}",
        str(lost),
    )  # fmt: skip


def _run(clients: int, slow: int, vanishing: int) -> tuple[Seen, int]:
    """Return what the crowd saw, and how many of its sessions the servers cannot account for."""
    limits = Limits(connections=clients)
    with ToyServers((SMTP, POP3), accounts=accounts(clients), limits=limits) as servers:
        ports = [str(servers.endpoints[service][1]) for service in (SMTP, POP3)]
        size = ["--clients", str(clients), "--slow", str(slow), "--vanishing", str(vanishing)]
        command = [sys.executable, "-m", "bench.crowd", "--smtp", ports[0], "--pop3", ports[1], *size]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        seen = Seen(**json.loads(done.stdout))
        servers.wait_idle(_PATIENCE, seen.sessions)
        counts = servers.sessions.values()
    finished = sum(count.finished for count in counts)
    torn = sum(count.aborted for count in counts)
    return seen, abs(seen.sessions - vanishing - finished) + abs(vanishing - torn)
