"""When those who wait must be told what time it is, by the packets' own times."""

from __future__ import annotations

from typing import Final

NEVER: Final = 1 << 63
"""A time in nanoseconds that no packet has."""


class Clock:
    """Known to who has packets, and to who waits for something.

    Attributes:
        due_ns: packets after this time are to be passed on, were it only for their time.
    """

    __slots__ = ("due_ns",)

    def __init__(self) -> None:
        self.due_ns = NEVER
