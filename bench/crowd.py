"""A crowd of mail programs at the toy servers: each sends itself a mail, fetches it, and sees whose it got.

    python -m bench.crowd --smtp 2525 --pop3 2110 --clients 1000 --slow 100 --vanishing 100

All connect before the first goes on. The slow ones send single bytes, the vanishing ones tear their
connection in the middle of a command. What it saw is printed as JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import time
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

HOST = "127.0.0.1"
PATIENCE = 20.0  # seconds for a greeting; a bound, not a wait


class Manner(StrEnum):
    """How a client behaves."""

    STEADY = "steady"
    SLOW = "slow"
    VANISHING = "vanishing"


@dataclass(frozen=True, slots=True)
class Seen:
    """What the crowd saw.

    Attributes:
        sessions: how many sessions were begun, SMTP and POP3 together.
        own: how many clients found exactly their own mail.
        wrong: what the others found instead; empty in a good run.
        seconds: from the first connection to the last word.
    """

    sessions: int
    own: int
    wrong: tuple[str, ...]
    seconds: float


def name(number: int) -> str:
    """Return a client's login name."""
    return f"client{number}"


def word(number: int) -> str:
    """Return a client's password."""
    return f"word-{number:x}"


def manners(clients: int, slow: int, vanishing: int) -> list[Manner]:
    """Return how each of so many clients behaves, the kinds spread among each other."""
    kinds = [Manner.SLOW] * slow + [Manner.VANISHING] * vanishing
    kinds += [Manner.STEADY] * (clients - len(kinds))
    stride = next(step for step in (7, 11, 13, 17) if clients % step)
    return [kinds[place * stride % clients] for place in range(clients)]


async def visit(smtp: int, pop3: int, crowd: Sequence[Manner]) -> Seen:
    """Let all come at once, and return what they saw.

    Args:
        smtp: port of a plain SMTP service with login.
        pop3: port of a plain POP3 service.
        crowd: how each client behaves.
    """
    begin = time.perf_counter()
    senders, readers = (
        asyncio.Barrier(len(crowd)),
        asyncio.Barrier(len(crowd) - crowd.count(Manner.VANISHING)),
    )
    found = await asyncio.gather(
        *(_visit(number, manner, (smtp, senders), (pop3, readers)) for number, manner in enumerate(crowd))
    )
    wrong = tuple(problem for problem in found if problem)
    return Seen(
        sessions=len(crowd) + readers.parties,
        own=readers.parties - len(wrong),
        wrong=wrong,
        seconds=time.perf_counter() - begin,
    )


async def _visit(
    number: int, manner: Manner, smtp: tuple[int, asyncio.Barrier], pop3: tuple[int, asyncio.Barrier]
) -> str:
    """Send and fetch; return what was wrong with it."""
    try:
        line = await _Line.open(*smtp, slow=manner is Manner.SLOW)
        if manner is Manner.VANISHING:
            await line.vanish(number)
            return ""
        await line.send_mail(number)
        line = await _Line.open(*pop3, slow=manner is Manner.SLOW)
        return await line.fetch_mail(number)
    except (OSError, EOFError, ValueError, TimeoutError, asyncio.BrokenBarrierError) as error:
        for _, barrier in (smtp, pop3):
            await barrier.abort()  # nobody needs to wait for this one
        return f"client {number}: {error!r}"


def _token(number: int) -> str:
    return f"mail of client {number}."


class _Line:
    """One client's connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, slow: bool) -> None:
        self._reader, self._writer, self._slow = reader, writer, slow

    @classmethod
    async def open(cls, port: int, everybody: asyncio.Barrier, *, slow: bool) -> _Line:
        """Connect, and wait until everybody has."""
        async with asyncio.timeout(PATIENCE):
            line = cls(*await asyncio.open_connection(HOST, port), slow=slow)
            await line.expect("220", "+OK")
        await everybody.wait()
        return line

    async def send_mail(self, number: int) -> None:
        """Send a mail to oneself (RFC 5321, RFC 4954)."""
        address = f"{name(number)}@lab.example"
        login = base64.b64encode(f"\0{name(number)}\0{word(number)}".encode()).decode()
        await self.ask("EHLO pc.lab.example", "250")
        await self.ask(f"AUTH PLAIN {login}", "235")
        await self.ask(f"MAIL FROM:<{address}>", "250")
        await self.ask(f"RCPT TO:<{address}>", "250")
        await self.ask("DATA", "354")
        await self.ask(f"From: {address}\r\nSubject: own\r\n\r\n{_token(number)}\r\n.", "250")
        await self.leave("221")

    async def fetch_mail(self, number: int) -> str:
        """Fetch the only mail there is (RFC 1939), and return what is wrong with it."""
        await self.ask(f"USER {name(number)}", "+OK")
        await self.ask(f"PASS {word(number)}", "+OK")
        status = await self.ask("STAT", "+OK")
        await self.ask("RETR 1", "+OK")
        mail = (await self._reader.readuntil(b"\r\n.\r\n")).decode()
        await self.leave("+OK")
        if status.split()[1] != "1":
            return f"client {number} has {status.split()[1]} mails"
        return (
            ""
            if mail.count("mail of client") == 1 and _token(number) in mail
            else f"client {number}: {mail!r}"
        )

    async def vanish(self, number: int) -> None:
        """Tear the connection in the middle of a command."""
        await self.ask("EHLO pc.lab.example", "250")
        self._writer.write(f"MAIL FROM:<{name(number)}@lab".encode())
        await self._writer.drain()
        self._writer.transport.abort()

    async def ask(self, command: str, expected: str) -> str:
        """Send a command and return the last line of the reply."""
        pieces = [f"{command}\r\n".encode()]
        if self._slow:
            pieces = [bytes([octet]) for octet in pieces[0]]
        for piece in pieces:
            self._writer.write(piece)
            await self._writer.drain()
            await asyncio.sleep(0)  # lets the others go first
        return await self.expect(expected)

    async def expect(self, *expected: str) -> str:
        """Return the last line of a reply that begins as expected."""
        while True:
            reply = (await self._reader.readuntil(b"\r\n")).decode()
            if not reply.startswith(expected):
                raise ValueError(f"{expected[0]} expected, heard {reply!r}")
            if reply[3:4] != "-":
                return reply

    async def leave(self, expected: str) -> None:
        """Say goodbye."""
        await self.ask("QUIT", expected)
        self._writer.close()
        await self._writer.wait_closed()


def main() -> None:
    """Visit as the command line says, and print what was seen as JSON."""
    parser = argparse.ArgumentParser(description="Visit the toy servers with a crowd.")
    for option in ("--smtp", "--pop3", "--clients"):
        parser.add_argument(option, type=int, required=True)
    for option in ("--slow", "--vanishing"):
        parser.add_argument(option, type=int, default=0)
    options = parser.parse_args()
    crowd = manners(options.clients, options.slow, options.vanishing)
    print(json.dumps(asdict(asyncio.run(visit(options.smtp, options.pop3, crowd)))))


if __name__ == "__main__":
    main()
