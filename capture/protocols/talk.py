"""Two streams that answer each other, and what was heard so far: all that a parser works on.

The parsers are lock-step: they read a client command, then the server's reply to it. That pairs
pipelined commands with their replies exactly. A hole loses the count; then the turns of lines (as a rule,
their packets' numbers) tell which replies are too old to belong to the next command.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mailtap.capture.events import Event, Malformed
from mailtap.capture.language import N_
from mailtap.capture.model import Direction, Protocol
from mailtap.capture.protocols.lines import NEVER, TLS_RECORD, Line, Reading, Stream

if TYPE_CHECKING:
    from mailtap.capture.evidence import ByteIndex
    from mailtap.capture.protocols.blocks import Block


class Talk:
    """One flow's two streams, and the events heard on them.

    Attributes:
        port: the server's.
        client: what the client says.
        server: what the server says.
        events: what was heard, until it is fetched.
        reached: for each of these, how far both streams had to come for it.
        started_late: whether the capture began after the greeting.
        client_holes: number of holes in what the client says that were come to.
        server_holes: number of holes in what the server says that were come to.
        kept: number of bytes of memory, about, that the parser itself takes for what is not complete.
        doubted: turn of the last reply that was doubted.
        count_was_lost: whether the count of commands and replies was ever lost.
    """

    __slots__ = (
        "_lost_at",
        "_regained",
        "client",
        "client_holes",
        "count_was_lost",
        "doubted",
        "events",
        "kept",
        "port",
        "reached",
        "server",
        "server_holes",
        "started_late",
    )

    def __init__(self, port: int, client: ByteIndex, server: ByteIndex) -> None:
        self.port = port
        self.client = Stream(Direction.CLIENT, client)
        self.server = Stream(Direction.SERVER, server)
        self.events: list[Event] = []
        self.reached: list[tuple[int, int]] = []
        self.started_late = False
        self.client_holes = 0
        self.server_holes = 0
        self.kept = 0
        self.doubted: float = 0
        self._lost_at: float | None = None
        self.count_was_lost = False
        self._regained: Line | None = None

    def stream(self, direction: Direction) -> Stream:
        """Return the stream of one direction."""
        return self.client if direction is Direction.CLIENT else self.server

    def say(self, *events: Event) -> None:
        """Say what was heard, by what has been read so far."""
        self.events += events
        self.reached += [(self.client.reached, self.server.reached)] * len(events)

    def fetch(self) -> tuple[list[Event], list[tuple[int, int]]]:
        """Return what was said, and how far the streams had to come for each of it; and forget it."""
        events, reached = self.events, self.reached
        self.events, self.reached = [], []
        return events, reached

    def lose_count(self, turn: float) -> None:
        """Say that commands sent before `turn` cannot be paired with replies any more."""
        self._lost_at = max(turn, self._lost_at or 0)
        self.count_was_lost = True

    def lose_count_in(self, block: Block) -> None:
        """Say that a body was read; one with a hole may have ended there, and more have been taken for it."""
        if not (block.whole or block.limited):
            self.lose_count(0)

    def command_now(self) -> Line | None:
        """Read the client's next command line if all of it is here, and no TLS; None where it is not."""
        if self.client.ahead(1) == _HANDSHAKE:
            return None
        return self.client.line_now()

    def command(self, protocol: Protocol, start: re.Pattern[bytes]) -> Reading[Line | None]:
        """Read the client's next command line; None at the end, or where TLS begins.

        Args:
            protocol: named in the event where a line is too long.
            start: what a command begins with, to find the first one behind a hole.
        """
        while True:
            # Read a byte first: a TLS record may never have a line's end.
            if (self.client.ahead(1) or (yield from self.client.peek(1))) == _HANDSHAKE and TLS_RECORD.match(
                (yield from self.client.peek(3))
            ):
                return None
            line = yield from self.client.line()
            if line is not None:
                if line.overlong:
                    self.say(Malformed(protocol, (line.span,), OVERLONG))
                return line
            if self.client.hole is None:
                return None
            self.client_holes += 1
            self.lose_count((yield from self.client.resume(start)))

    def greeting(self) -> Reading[Line | None]:
        """Read the line with which the server opens; None where it was not seen."""
        line = yield from self.server.line()
        if line is None:
            yield from self._cross_server_hole()
        return line

    def reply_unasked(self) -> Reading[Line | None]:
        """Read the server's next line, whatever it answers; None at the end."""
        while (line := (yield from self.server.line())) is None:
            if self.server.hole is None:
                return None
            yield from self._cross_server_hole()
        return line

    def catch_up(self, command: Line) -> Reading[bytes]:
        """Where the count was ever lost, drop the replies that are too old to belong to `command`.

        Returns:
            The last line that was dropped.
        """
        if not self.count_was_lost or not self.regains(command):
            return b""
        return (yield from self._drop_replies(command.turn))

    def regains(self, command: Line) -> bool:
        """Tell whether a command may be paired with what came after it, now that the count was lost."""
        if self._lost_at is not None:
            if command.turn < self._lost_at:
                return False
            self._lost_at, self._regained = None, command
        return True

    def answer_now(self) -> Line | None:
        """Read the first line of the next reply if all of it is here, and the count was never lost."""
        return None if self.count_was_lost else self.server.line_now()

    def answer(self, command: Line) -> Reading[Line | None]:
        """Read the first line of the server's reply to `command`; None where it was not seen."""
        while True:
            yield from self.catch_up(command)
            if self._lost_at is not None:
                return None
            line = yield from self.server.line()
            if line is not None or self.server.hole is None:
                return line
            yield from self._cross_server_hole()

    def is_first(self, command: Line) -> bool:
        """Return whether a command is the first one since the count was lost."""
        return self._regained is command

    def is_unsure(self, command: Line) -> bool:
        """Return whether the count is lost still, or a command is the first one since."""
        return self.count_was_lost and (self._lost_at is not None or self._regained is command)

    def doubts(self, command: Line, reply: Line) -> Reading[bool]:
        """Tell whether a reply, read to its last line, may be that to a command that the capture lacks.

        So it may behind a hole, if the client went on without waiting for it, or the server replied once more
        before the client went on. Then the count is still lost.
        """
        if not self.is_first(command):
            return False
        self._regained = None
        until = yield from self.client.next_turn()
        another = yield from self.server.next_turn()
        if reply.turn < until and (until < another or another == NEVER):
            return False
        if until != NEVER:
            self.lose_count(until)
        self.doubted = reply.turn
        return True

    def _drop_replies(self, turn: float) -> Reading[bytes]:
        """Drop the server's lines that came before `turn`; return the last of them."""
        last = b""
        while True:
            ahead = yield from self.server.peek_line()
            if ahead is not None and ahead[1] > turn:
                return last
            line = yield from self.server.line()
            if line is not None:
                last = line.text
            elif self.server.hole_turn > turn:
                return last
            elif (later := (yield from self.server.resume(REPLY_START))) > turn:
                self.lose_count(later)
                return last

    def _cross_server_hole(self) -> Reading[None]:
        if self.server.hole is not None:
            self.server_holes += 1
            self.lose_count((yield from self.server.resume(REPLY_START)))


_HANDSHAKE = b"\x16"  # how a TLS record begins that begins TLS
REPLY_START = re.compile(rb"\+OK|-ERR|\+ |\* |[2-5]\d\d[ -]|[A-Za-z0-9.]{1,20} (?:OK|NO|BAD)\b")
OVERLONG = N_("A line longer than 65,536 bytes was skipped.")
