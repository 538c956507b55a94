"""Runs mail servers that no one here wrote, in the foreground and bounded: none outlives the test.

Dovecot and Postfix change to users of their own, so they run as root only, in a network of root's own.
"""

from __future__ import annotations

import shutil
import signal
import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

PATIENCE = 20.0  # seconds for whatever is waited for; a bound, not a wait
PAUSE = 0.01  # seconds between two looks at a condition that nobody tells of

NOBODY = 12345  # the user and group that mailboxes belong to; owns nothing else


class DaemonFailed(Exception):  # noqa: N818  # what happened, as tests expect it
    """A server did not do what was waited for; the message is what it logged."""


@dataclass(frozen=True, kw_only=True)
class Certificate:
    """What a server shows to who asks for TLS: two PEM files."""

    chain: Path
    key: Path


def until(condition: Callable[[], bool], *logs: Path) -> None:
    """Wait until a condition holds.

    Raises:
        DaemonFailed: it did not in time; with what the servers logged.
    """
    end = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > end:
            said = "".join(log.read_text(encoding="utf-8", errors="replace") for log in logs if log.exists())
            raise DaemonFailed(said or "and nothing was logged")
        time.sleep(PAUSE)


@contextmanager
def running(command: Sequence[str], log: Path) -> Iterator[None]:
    """Run a server in a process group of its own, and end it; should this process die, it ends as well."""
    setpriv = shutil.which("setpriv") or "setpriv"
    with (
        log.open("ab") as said,
        subprocess.Popen(
            [setpriv, "--pdeathsig", "TERM", "--", *command],
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            start_new_session=True,
        ) as process,
    ):
        try:
            yield
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()


def listening() -> set[int]:
    """Return the TCP ports that somebody listens on in this network."""
    return {port for port, state in _sockets() if state == "0A"}


def talking(ports: set[int]) -> bool:
    """Return whether a connection to one of these ports is still open at either end."""
    return any(port in ports and state not in {"06", "0A"} for port, state in _sockets())


def _sockets() -> list[tuple[int, str]]:
    """Return the local port and the state of each TCP socket (proc_net_tcp.txt of the kernel's documents)."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]]
    return [(int(row[1].partition(":")[2], 16), row[3]) for row in rows]
