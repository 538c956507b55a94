"""Holds the listener to what it costs, by counting: function calls, and objects kept. Part of `make check`.

A clock would tell of the machine as well; a count is the same on each run of one Python. Each row is counted
for a number of units and for twice as many: the difference is what one unit costs.
"""

from __future__ import annotations

import gc
import io
import sys
from random import Random
from typing import TYPE_CHECKING, NamedTuple

from bench import letters, wire
from bench.wire import Ends
from mailtap.capture.pipeline import Listener
from mailtap.capture.sources import handfuls

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.wire import Turn

_UNITS = 40
_TIMES = 3
_BEGIN_US = 1_795_590_000_000_000
_POP3 = Ends("192.0.2.10", 40_000, "192.0.2.1", 110)
_WEB = Ends("192.0.2.10", 40_000, "192.0.2.1", 443)
_LOGIN: list[Turn] = [
    ("S", b"+OK ready\r\n"),
    ("C", b"USER hanako\r\n"),
    ("S", b"+OK\r\n"),
    ("C", b"PASS sakura2024\r\n"),
    ("S", b"+OK\r\n"),
]
_HELLO: list[Turn] = [("C", b"\x16\x03\x01\x00\xc8" + bytes(200)), ("S", b"\x16\x03\x03\x00\x5a" + bytes(90))]


class Row(NamedTuple):
    """What something may cost.

    Attributes:
        what: the unit.
        capture: makes a capture with so many of them.
        calls: calls of Python functions and generators that one may take.
        kept: memory blocks that may still be held after one.
        logins_only: whether messages are passed over.
        live: whether packets are heard one by one, as they come, and not by the handful, as from a file.
    """

    what: str
    capture: Callable[[int], bytes]
    calls: float
    kept: float
    logins_only: bool = False
    live: bool = False


def _web(units: int) -> bytes:
    """Return a flow that is no mail, with so many packets of one full segment."""
    return _capture([([*_HELLO, *[("S", b"\x17\x03\x03\x05\xaf" + bytes(1455))] * units], _WEB)])


def _body(units: int) -> bytes:
    """Return a session in which one message takes so many packets."""
    text = b"Subject: long\r\n\r\n" + b"so it goes on and on\r\n" * (units * wire.MSS // 22)
    return _capture([([*_LOGIN, ("C", b"RETR 1\r\n"), ("S", b"+OK\r\n" + text + b".\r\n")], _POP3)])


def _sessions(units: int) -> bytes:
    """Return so many short sessions."""
    return _capture([(_LOGIN, _POP3._replace(client_port=10_000 + place)) for place in range(units)])


def _messages(units: int) -> bytes:
    """Return a session in which so many messages are fetched."""
    random = Random(1)
    turns = list(_LOGIN)
    for place in range(units):
        data = letters.write(place, random).data.replace(b"\r\n.", b"\r\n..")
        turns += [("C", b"RETR 1\r\n"), ("S", b"+OK\r\n" + data + b".\r\n")]
    return _capture([(turns, _POP3)])


ROWS = (
    Row("a packet of a flow that is no mail", _web, calls=0.5, kept=0.5),
    Row("a packet in the middle of a message", _body, calls=4, kept=0.5),
    Row("a packet in the middle of a message, live", _body, calls=16, kept=0.5, live=True),
    Row("a session of one login", _sessions, calls=430, kept=45),
    Row("a message, decoded", _messages, calls=275, kept=2),
    Row("a message, passed over", _messages, calls=60, kept=2, logins_only=True),
)
"""What is held to its cost: about a tenth above what was counted when it was written down."""


def _capture(flows: list[tuple[list[Turn], Ends]]) -> bytes:
    """Return a capture file of those flows, one after another."""
    random = Random(1)
    frames = [frame for turns, ends in flows for frame in wire.frames(wire.segments(turns, random), ends)]
    records = b"".join(wire.record(frame, _BEGIN_US + at) + frame for at, frame in enumerate(frames))
    return wire.FILE_HEADER + records


def cost(row: Row) -> tuple[float, float]:
    """Return calls and kept blocks of one unit."""
    once, twice = (_count(row, row.capture(units)) for units in (_UNITS, 2 * _UNITS))
    return (twice[0] - once[0]) / _UNITS, (twice[1] - once[1]) / _UNITS


def _count(row: Row, capture: bytes) -> tuple[int, int]:
    """Return the calls that listening takes, and the blocks that are held when everything was heard."""

    def hear() -> Listener:
        listener = Listener(logins_only=row.logins_only)
        for handful in handfuls(io.BytesIO(capture)):
            for _ in (listener.hear if row.live else listener.hear_together)(handful):
                pass
        listener.close()
        return listener

    hear()  # what is made once and kept is made now
    # Python itself may keep some blocks, for use again, or let them go.
    return calls_of(hear), min(_held(hear) for _ in range(_TIMES))


def _held(work: Callable[[], object]) -> int:
    """Return how many blocks are held more while what some work returns is there."""
    gc.collect()
    before = sys.getallocatedblocks()
    result = work()
    gc.collect()
    held = sys.getallocatedblocks() - before
    del result
    return held


def calls_of(work: Callable[[], object]) -> int:
    """Return how many calls of Python functions and generators some work takes."""
    calls = 0

    def profile(_frame: object, event: str, _argument: object) -> None:
        nonlocal calls
        calls += event == "call"

    sys.setprofile(profile)
    try:
        work()
    finally:
        sys.setprofile(None)
    return calls


def main() -> int:
    """Count, and return the exit code: 1 where something costs too much."""
    code = 0
    for row in ROWS:
        calls, kept = cost(row)
        within = calls <= row.calls and kept <= row.kept
        code = code if within else 1
        verdict = "" if within else f": at most {row.calls:g} and {row.kept:g} are allowed"
        print(f"{row.what}: {calls:.1f} calls, {kept:.1f} blocks kept{verdict}")
    return code


if __name__ == "__main__":
    sys.exit(main())
