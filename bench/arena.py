"""Puts one listener under load in a network of its own, and prints what it heard as JSON.

    python -m bench.arena ring --sessions 20000 --rate 2000

A process of its own, because whoever enters a private network stays there.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NamedTuple, cast

from bench import pop3_load
from mailtap.demo.network.namespace import enter_private_network, enter_root_network

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

PORT = 2110
_KIB = 1024
_COUNTED = re.compile(r"([\d,]+|One) (?:TCP )?connections? .*carried no ")
_CAPTURE = (sys.executable, "-m", "mailtap.capture", "--lang", "en", "--json")


class Heard(NamedTuple):
    """What a listener made of the load.

    Attributes:
        sessions: how many POP3 sessions crossed the wire.
        seconds: how long they took.
        found: how many of their logins were found, exactly as they were sent.
        nameless: how many more passwords were heard whose user name was not.
        explained: how many connections more the listener names or counts as not heard in full.
        invented: how many logins were reported that nobody sent.
        dropped: packets that the kernel had to drop, as the listener itself says.
        processor: seconds of processor time that the listener used.
        memory: the most bytes that it held, the kernel's ring among them.
    """

    sessions: int
    seconds: float
    found: int
    nameless: int
    explained: int
    invented: int
    dropped: int
    processor: float
    memory: int


class Listener(NamedTuple):
    """A program that listens until it is interrupted.

    Attributes:
        about: as the table calls it.
        command: the program; `{file}` is where tcpdump writes.
        ready: what it says on standard error once it listens.
        answer: from its output (or file) and its last words to lines of Mailtap's JSON and dropped packets.
    """

    about: str
    command: tuple[str, ...]
    ready: bytes
    answer: Callable[[Path, bytes], tuple[Iterable[bytes], int]]


def _told(out: Path, _: bytes) -> tuple[Iterable[bytes], int]:
    lines = out.read_bytes().splitlines()
    return lines, sum(map(_number, re.findall(rb"The kernel dropped ([\d,]+) packets", out.read_bytes())))


def _read_back(out: Path, last: bytes) -> tuple[Iterable[bytes], int]:
    done = subprocess.run([*_CAPTURE, str(out)], capture_output=True, check=False)
    return done.stdout.splitlines(), sum(map(_number, re.findall(rb"(\d+) packets dropped by kernel", last)))


def _number(digits: bytes) -> int:
    return int(digits.replace(b",", b""))


def _live(engine: str) -> Listener:
    command = (*_CAPTURE, "--live", "--port", str(PORT), "--engine", engine)
    return Listener(f"mailtap capture --live --engine {engine}", command, b"Ctrl-C ends it", _told)


LISTENERS = {
    "ring": _live("ring"),
    "scapy": _live("scapy"),
    "tcpdump": Listener(
        "tcpdump -w, read afterwards",
        # As much room as the ring has; and it writes where we do.
        ("tcpdump", "-i", "lo", "-Z", "root", "-B", "65536", "-w", "{file}", "tcp", "port", str(PORT)),
        b"listening on",
        _read_back,
    ),
}


def run(listener: Listener, sessions: int, rate: float | None) -> Heard:
    """Run a listener, hold the sessions, end it, and count what it found; in the network we are in."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "heard")
        command = [word.replace("{file}", str(out)) for word in listener.command]
        with (
            out.open("wb") as file,
            subprocess.Popen(command, stdout=file, stderr=subprocess.PIPE) as process,
        ):
            said = cast("IO[bytes]", process.stderr)
            _await(said, listener.ready)
            done = pop3_load.run(PORT, sessions, rate)
            process.send_signal(signal.SIGINT)
            last = said.read()
            _, status, used = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        lines, dropped = listener.answer(out, last)
        told = [json.loads(each) for each in lines]
    logins = [(each["username"], each["value"]) for each in told if each["field"] == "password"]
    sent = {(pop3_load.name(number), pop3_load.word(number)) for number in range(sessions)}
    found = sent.intersection(logins)
    nameless = {(None, word) for _, word in sent - found}.intersection(logins)
    return Heard(
        sessions=sessions,
        seconds=done.seconds,
        found=len(found),
        nameless=len(nameless),
        explained=_explained(told),
        invented=len(logins) - len(found) - len(nameless),  # one that is told twice was there once
        dropped=dropped,
        processor=used.ru_utime + used.ru_stime,
        memory=used.ru_maxrss * _KIB,
    )


def _await(said: IO[bytes], ready: bytes) -> None:
    for line in said:
        if ready in line:
            return
    raise SystemExit("The listener ended before it listened.")


def _explained(told: list[dict[str, Any]]) -> int:
    """Return how many connections without a password a note speaks of, or counts."""
    heard = {each["flow"] for each in told if each["field"] == "password"}
    notes = [each for each in told if each["field"] is None]
    named = {each["flow"] for each in notes if each["flow"] is not None} - heard
    counted = [_COUNTED.match(each["note"]) for each in notes if each["flow"] is None]
    return len(named) + sum(1 if each[1] == "One" else _number(each[1].encode()) for each in counted if each)


def main() -> None:
    """Enter a private network, and run one listener there."""
    parser = argparse.ArgumentParser(description="Put one listener under load.")
    parser.add_argument("listener", choices=LISTENERS)
    parser.add_argument("--sessions", type=int, default=20_000)
    parser.add_argument("--rate", type=float, help="sessions a second (default: as fast as they come)")
    options = parser.parse_args()
    # tcpdump wants to give root up, which nobody can in a private network of one user.
    (enter_root_network if os.geteuid() == 0 else enter_private_network)()
    print(json.dumps(run(LISTENERS[options.listener], options.sessions, options.rate)._asdict()))


if __name__ == "__main__":
    main()
