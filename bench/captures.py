"""Generates capture files, reproducible to the byte, and beside each the truth about what is in it."""

from __future__ import annotations

import json
from random import Random
from typing import TYPE_CHECKING, NamedTuple

from bench import background, sessions, wire
from bench.sessions import Login
from bench.wire import Ends

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bench.letters import Letter

FORMAT = 1
"""Raised whenever what is generated changes, so that no older file is taken for it."""

_AT_ONCE = 64  # conversations that are under way at any moment
_BEGIN_US = 1_795_590_000_000_000
_MEGABYTE = 1_000_000
_SIX = 0.1  # share of conversations over IPv6
_BAD_PATH = 0.3  # share of conversations in which segments come twice or out of order
_PATHS = ((1.0, 70), (0.94, 15), (0.36, 10), (0.07, 5))  # longest segments, of what the link takes; shares


class Message(NamedTuple):
    """What is to be heard of a message.

    Attributes:
        mark: its Message-ID.
        subject: its subject.
        body: its text.
        attachments: hex SHA-256 of each attachment.
    """

    mark: str
    subject: str
    body: str
    attachments: tuple[str, ...]


class Truth(NamedTuple):
    """What is in a capture."""

    logins: list[Login]
    messages: list[Message]


class Capture(NamedTuple):
    """A generated capture file."""

    path: Path
    megabytes: int
    truth: Truth


def generate(folder: Path, megabytes: int, seed: int, *, mss: int = wire.MSS) -> Capture:
    """Return a capture of about that size, which is generated unless it is there.

    Args:
        folder: where it is kept.
        megabytes: its size.
        seed: of all that is random in it.
        mss: the longest segment's payload.
    """
    name = f"mail-{megabytes}MB-seed{seed}-mss{mss}-v{FORMAT}"
    path, beside = folder / f"{name}.pcap", folder / f"{name}.jsonl"
    if not beside.exists():
        partial = folder / f"{name}.part"
        truth = _Generator(Random(seed), mss).write(partial, megabytes * _MEGABYTE)
        partial.rename(path)
        _keep(truth, beside)
    return Capture(path, megabytes, _read(beside))


class _Generator:
    """Writes one capture."""

    def __init__(self, random: Random, mss: int) -> None:
        self._random = random
        self._mss = mss
        self._conversations = 0
        self._sessions = 0
        self._mail = self._noise = 0  # bytes of each
        self._truth = Truth([], [])

    def write(self, path: Path, size: int) -> Truth:
        """Write conversations side by side until the file has that size, and return what is in them."""
        random = self._random
        active: list[Iterator[bytes]] = []
        time_us, written = _BEGIN_US, len(wire.FILE_HEADER)
        with path.open("wb") as file:
            file.write(wire.FILE_HEADER)
            while True:
                while len(active) < _AT_ONCE and self._mail + self._noise < size:
                    active.append(self._begin())
                if not active:
                    return self._truth
                place = int(random.random() * len(active))
                frame = next(active[place], None)
                if frame is None:
                    active[place] = active[-1]
                    active.pop()
                    continue
                time_us += 40
                file.write(wire.record(frame, time_us))
                file.write(frame)
                written += len(frame)

    def _begin(self) -> Iterator[bytes]:
        """Begin a conversation: mail if there was less of it than of everything else."""
        self._conversations += 1
        if self._mail > self._noise:
            noise = background.write(self._random)
            self._noise += sum(len(text) for _, text in noise.turns) * 21 // 20
            ends = self._ends(noise.port)
            if noise.datagrams:
                return wire.datagrams(noise.turns, ends)
            return self._frames(noise.turns, ends)
        self._sessions += 1
        session = sessions.write(self._sessions, self._random)
        self._mail += sum(len(text) for _, text in session.turns) * 21 // 20
        self._truth.logins.extend(session.logins)
        self._truth.messages.extend(map(_message, session.letters))
        return self._frames(session.turns, self._ends(session.port))

    def _frames(self, turns: list[wire.Turn], ends: Ends) -> Iterator[bytes]:
        fits = self._random.choices(*zip(*_PATHS, strict=True))[0]
        heard = wire.segments(turns, self._random, int(self._mss * fits))
        if self._random.random() < _BAD_PATH:
            heard = wire.disturbed(heard, self._random)
        return wire.frames(heard, ends)

    def _ends(self, port: int) -> Ends:
        """Return ends that no other conversation has."""
        host, client_port = divmod(self._conversations, 50_000)
        number = self._random.randrange(1, 250)
        if port != 53 and self._random.random() < _SIX:  # noqa: PLR2004
            return Ends(f"2001:db8::{host:x}:{number:x}", 10_000 + client_port, "2001:db8::25", port)
        return Ends(f"10.{host}.0.{number}", 10_000 + client_port, "192.0.2.25", port)


def _message(letter: Letter) -> Message:
    return Message(letter.mark, letter.subject, letter.body, letter.attachments)


def _keep(truth: Truth, path: Path) -> None:
    """Write the truth as JSON lines."""
    with path.open("w", encoding="utf-8") as file:
        for kind, values in (("login", truth.logins), ("message", truth.messages)):
            for value in values:
                line = {"kind": kind, **value._asdict()}
                file.write(json.dumps(line, ensure_ascii=False) + "\n")


def _read(path: Path) -> Truth:
    """Return the truth that was written."""
    truth = Truth([], [])
    with path.open(encoding="utf-8") as file:
        for line in file:
            values = json.loads(line)
            if values.pop("kind") == "login":
                values["sent"] = tuple(values["sent"])
                truth.logins.append(Login(**values))
            else:
                values["attachments"] = tuple(values["attachments"])
                truth.messages.append(Message(**values))
    return truth
