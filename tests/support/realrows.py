"""Runs rows of the table twice: with the toy servers, and with Dovecot and Postfix in their place.

    python realrows.py ROW…

The row, the mail programs and the listener are the same both times. It needs root, whose network it
leaves for others of its own, and writes the outcomes, pickled.
"""

from __future__ import annotations

import pickle
import subprocess
import sys
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING
from unittest import mock

import lessons
import peers
from postfix import SENDERS_INTERFACE
from realoffices import open_real_offices

from mailtap.capture.guess import bundled_words
from mailtap.demo import client, stage
from mailtap.demo import lab as ladder
from mailtap.demo.crew import Crew, Fell
from mailtap.demo.scenarios import BY_NAME, SCENARIOS, Group
from mailtap.servers import ServerProtocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from realoffices import RealOffices

    from mailtap.demo.client import Settings
    from mailtap.demo.outcome import Outcome
    from mailtap.demo.scenarios import Scenario

    Twice = tuple[Outcome, Outcome]

SIDE_BY_SIDE = 4  # rows at a time: most of it is waiting
SPOKEN = {ServerProtocol.SMTP, ServerProtocol.POP3, ServerProtocol.IMAP}
# Rows about who is in the path, and not about the servers.
OTHERS = {Group.OTHER_SIDE, Group.PADLOCK}


def possible(row: Scenario) -> bool:
    """Return whether Dovecot and Postfix can be the servers of a row; neither knows POP before SMTP."""
    services = [leg.service for leg in row.legs]
    return (
        row.group not in OTHERS
        and {service.protocol for service in services} <= SPOKEN
        and not any(service.login_before for service in services)
    )


ROWS = tuple(row.name for row in SCENARIOS if possible(row))


@cache
def both() -> Mapping[str, Twice]:
    """Return the two outcomes of each of `ROWS`, with the toys and with the others, run once."""
    for program in ("dovecot", "postfix", "ip", "setpriv"):
        peers.find(program)
    done = subprocess.run(
        [sys.executable, "-W", "error", __file__, *ROWS],
        capture_output=True,
        env=lessons.environment(),
        timeout=lessons.TIMEOUT,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    found: Mapping[str, Twice] = pickle.loads(done.stdout)
    return found


@contextmanager
def real_servers() -> Iterator[None]:
    """Have the stage open real offices, and the mail programs fetch when the mail is there."""
    opened: list[RealOffices] = []

    @contextmanager
    def opening(*arguments: object) -> Iterator[RealOffices]:
        with open_real_offices(*arguments) as real:
            opened.append(real)
            yield real

    def later(fetch: Callable[[Settings], bytes]) -> Callable[[Settings], bytes]:
        def wait_and_fetch(settings: Settings) -> bytes:
            opened[-1].deliver()
            return fetch(settings)

        return wait_and_fetch

    fetching = {protocol: later(fetch) for protocol, fetch in client.FETCHING.items()}
    with mock.patch.object(stage, "open_offices", opening), mock.patch.dict(client.FETCHING, fetching):
        yield


def prepare() -> Callable[[str], Twice]:
    """Leave for a network of root's own, and return what runs a row there."""
    lab = ladder.enter(ladder.Rung.ROOT_NETWORK)
    subprocess.run(["ip", "address", "add", "dev", "lo", SENDERS_INTERFACE], check=True)

    def run(name: str) -> Twice:
        toys = stage.run(BY_NAME[name], lab, bundled_words)
        with real_servers():
            return toys, stage.run(BY_NAME[name], lab, bundled_words)

    return run


def main(names: list[str]) -> None:
    """Do it."""
    done: dict[str, Twice] = {}
    for number, twice in Crew(names, prepare, SIDE_BY_SIDE).results():
        if isinstance(twice, Fell):
            sys.exit(f"{names[number]}: {twice.reason}")
        done[names[number]] = twice
    sys.stdout.buffer.write(pickle.dumps(done))


if __name__ == "__main__":
    main(sys.argv[1:])
