"""One process's share of a capture file: some of its connections.

Each process goes through the whole file, and passes over the connections of the others as it passes over
what is no mail. So each connection is heard by one process with all its packets, late or not, and says what
it would say to one process alone. Numbers that count through a whole capture are given later (`shares.py`).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from zlib import crc32

from mailtap.capture.model import Field, Leak, Mail, Note
from mailtap.capture.pipeline import Listener
from mailtap.capture.report import json_line, to_json
from mailtap.capture.sources import handfuls
from mailtap.capture.wire.ends import turned

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mailtap.capture.model import Segment
    from mailtap.capture.silence import Sums

_GUESSED_WITH = frozenset((Field.PASSWORD, Field.DIGEST))


class Work(NamedTuple):
    """What one process is to do.

    Attributes:
        file: the capture file.
        number: which share is its own, counting from 0.
        shares: how many there are.
        logins: whether to pass over messages.
        lines: whether leaks are to be lines of JSON.
        mask: whether passwords, tokens and digests are stars in these.
        guess: whether passwords are guessed: what that takes is no line.
        mails: whether messages are to be kept.
    """

    file: str
    number: int
    shares: int
    logins: bool = False
    lines: bool = False
    mask: bool = False
    guess: bool = False
    mails: bool = False


class Told(NamedTuple):
    """What was told of a share; flows and messages are counted in the share.

    Attributes:
        moment: number of the packet that made it known, or a half less where only its time did.
        flow: number of the flow; 0 where it speaks of none.
        message: number of the message; 0 where it speaks of none.
        item: the leak, as itself or as a line of JSON; a note; a message, None where it is not to be kept.
    """

    moment: float
    flow: int
    message: int
    item: Leak | Note | Mail | str | None


class Part(NamedTuple):
    """What is known of a share after one more handful of packets.

    Attributes:
        begun: for each flow that began, in that order, the number of the packet that it began with.
        told: what was told.
        at: how much of the file has been read, in bytes.
        sums: what was counted, once the capture has ended; until then None.
    """

    begun: list[int]
    told: list[Told]
    at: int
    sums: Sums | None = None


class Share:
    """Some of the connections of a capture, chosen by their addresses and ports.

    Attributes:
        begun: for each connection that began since this was last emptied, the packet that it began with.
    """

    def __init__(self, number: int, shares: int) -> None:
        self._number = number
        self._shares = shares
        self.begun: list[int] = []

    def admits(self, segment: Segment) -> bool:
        """Return whether a connection belongs to this share; both directions do, or none."""
        ends = segment.ends
        # Not by ports alone: systems give out even ones, or every second.
        if crc32(min(ends, turned(ends))) % self._shares != self._number:
            return False
        self.begun.append(segment.packet)
        return True


class _Scribe:
    """Listens to a share, and keeps what is told until it is a part."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._share = Share(work.number, work.shares)
        self._told: list[Told] = []  # since the last part
        self.listener = Listener(
            None if work.logins else self._keep, logins_only=work.logins, admits=self._share.admits
        )

    def part(self, items: Iterable[Leak | Note], at: int, sums: Sums | None = None) -> Part:
        """Return what these items tell, and what was kept meanwhile."""
        for item in items:
            self._tell(item)
        told, self._told = self._told, []
        begun, self._share.begun = self._share.begun, []
        return Part(begun, told, at, sums)

    def _tell(self, item: Leak | Note) -> None:
        """Keep a leak or a note, or a line of JSON in its place."""
        if isinstance(item, Leak):
            self._add(self._line(item) or item, item.message or 0)
        elif item.flow is not None:
            message = int(dict(item.values).get("message", 0))
            self._told.append(Told(self.listener.told_at, item.flow.number, message, item))
        elif not self._work.number:  # of the file itself, all shares say the same
            self._add(item, 0)

    def _line(self, leak: Leak) -> str:
        """Return the line of JSON to print for a leak; empty where the leak itself is wanted."""
        work = self._work
        if not work.lines or (work.guess and leak.field in _GUESSED_WITH):
            return ""
        return json_line(to_json(leak, work.file, mask=work.mask))

    def _keep(self, mail: Mail) -> None:
        """Keep the place of a message, so that it is counted where it was heard."""
        self._add(mail if self._work.mails else None, mail.number)

    def _add(self, item: Leak | Note | Mail | str | None, message: int) -> None:
        self._told.append(Told(self.listener.told_at, self.listener.told_of, message, item))


def hear(work: Work) -> Iterator[Part]:
    """Yield what is heard of a share, handful by handful.

    Raises:
        OSError: the file cannot be opened or read.
    """
    scribe = _Scribe(work)
    with Path(work.file).open("rb", buffering=0) as file:
        for handful in handfuls(file):
            yield scribe.part(scribe.listener.hear_together(handful), file.tell())
        last = scribe.part(scribe.listener.end(), file.tell())
    yield last._replace(sums=scribe.listener.sums)
