"""Passing a mail on to the server that knows its recipients; who does it is the caller's choice."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

# Takes the envelope's sender and recipients, and the mail; it may block.
Forward: TypeAlias = Callable[[str, Sequence[str], bytes], None]


class NotForwarded(Exception):  # noqa: N818  # a condition of the network, and the name callers know it by
    """The next server did not take a mail."""
