"""Listens to a loopback under load with each engine, and with tcpdump beside them."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from statistics import median
from typing import TYPE_CHECKING, Final

from bench import page
from bench.arena import LISTENERS, Heard

if TYPE_CHECKING:
    from bench.settings import Settings

_SECONDS: Final = 10
_RATES: Final = (2_000, 4_000)  # sessions a second
_PACKETS: Final = 19  # of one session, acknowledgements among them

_ABOUT: Final = f"""\
POP3 sessions of about {_PACKETS} packets each over the loopback of a private network, for {_SECONDS} seconds;
the process that holds them is beside the listener on the same machine. *Found* are logins told with the
right user name and password, in the worst of the runs; processor time is the median, without reading
tcpdump's file afterwards. tcpdump, interrupted, leaves what waits in its buffer unread and uncounted."""


def measure(settings: Settings) -> str:
    """Return the tables as Markdown."""
    parts = [_ABOUT]
    for rate in _RATES:
        rows = [_row(name, rate, settings.rounds) for name in LISTENERS if _is_here(name)]
        heads = ("listener", "sessions/s", "found", "of", "dropped packets", "processor", "memory")
        parts.append(f"### {rate:,} sessions a second\n\n{page.table(heads, rows)}")
    return "\n\n".join(parts)


def _is_here(name: str) -> bool:
    return shutil.which(LISTENERS[name].command[0]) is not None


def _row(name: str, rate: int, rounds: int) -> tuple[str, ...]:
    heard = [_run(name, rate) for _ in range(rounds)]
    worst = min(heard, key=lambda each: each.found)
    return (
        f"`{LISTENERS[name].about}`",
        f"{worst.sessions / worst.seconds:,.0f}",
        f"{worst.found:,}" + _besides(worst),
        f"{worst.sessions:,}",
        f"{worst.dropped:,}",
        f"{median(each.processor for each in heard):.1f} s",
        page.megabytes(max(each.memory for each in heard)),
    )


def _besides(heard: Heard) -> str:
    counts = ((heard.nameless, "without user name"), (heard.invented, "invented"))
    return "".join(f", {count} {what}" for count, what in counts if count)


def _run(name: str, rate: int) -> Heard:
    command = [
        sys.executable,
        "-m",
        "bench.arena",
        name,
        "--sessions",
        str(rate * _SECONDS),
        "--rate",
        str(rate),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return Heard(**json.loads(done.stdout))
