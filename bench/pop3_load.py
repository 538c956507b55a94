"""Holds short POP3 sessions over the loopback, at a rate, both ends in one process; prints what it did.

    python -m bench.pop3_load --port 2110 --rate 2000 --seconds 10

Each session has a user and a password of its own (`name(1)`, `word(1)`, …), so that none can be counted
twice. No thread and no waiting for an answer: on the loopback, what was sent is there.
"""

from __future__ import annotations

import argparse
import json
import socket
import time
from typing import NamedTuple

_ADDRESSES = 250  # of 127.0.0.0/8: each has client ports of its own, and waits for its own old ones
_LARGEST = 4096  # bytes, more than any line


class Done(NamedTuple):
    """What a run did.

    Attributes:
        sessions: how many were held, each a login and a logout.
        seconds: from the first to the last.
    """

    sessions: int
    seconds: float


def name(number: int) -> str:
    """Return the user name of a session."""
    return f"user{number}"


def word(number: int) -> str:
    """Return the password of a session."""
    return f"secret-{number:x}"


def run(port: int, sessions: int, rate: float | None = None) -> Done:
    """Hold sessions on a port of the loopback.

    Args:
        port: TCP port for the server.
        sessions: how many.
        rate: sessions a second; as fast as they come by default.
    """
    with socket.create_server(("127.0.0.1", port), backlog=16, reuse_port=False) as listening:
        begin = time.perf_counter()
        for number in range(sessions):
            if rate is not None and (early := begin + number / rate - time.perf_counter()) > 0:
                time.sleep(early)
            _hold(listening, port, number)
        return Done(sessions, time.perf_counter() - begin)


def _hold(listening: socket.socket, port: int, number: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as client:
        client.bind((f"127.0.1.{1 + number % _ADDRESSES}", 0))
        client.connect(("127.0.0.1", port))
        server, _ = listening.accept()
        with server:
            _say(server, client, b"+OK POP3 ready\r\n")
            _say(client, server, f"USER {name(number)}\r\n".encode())
            _say(server, client, b"+OK\r\n")
            _say(client, server, f"PASS {word(number)}\r\n".encode())
            _say(server, client, b"+OK logged in\r\n")
            _say(client, server, b"QUIT\r\n")
            _say(server, client, b"+OK\r\n")


def _say(speaker: socket.socket, hearer: socket.socket, line: bytes) -> None:
    speaker.sendall(line)
    if hearer.recv(_LARGEST) != line:
        raise RuntimeError("The loopback did not carry a line whole.")


def main() -> None:
    """Run as the command line says, and print what was done as JSON."""
    parser = argparse.ArgumentParser(description="Hold short POP3 sessions over the loopback.")
    parser.add_argument("--port", type=int, default=2110)
    parser.add_argument("--rate", type=float, default=2000.0, help="sessions a second")
    parser.add_argument("--seconds", type=float, default=10.0)
    options = parser.parse_args()
    done = run(options.port, round(options.rate * options.seconds), options.rate)
    print(json.dumps(done._asdict()))


if __name__ == "__main__":
    main()
