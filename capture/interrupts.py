"""Interrupts that wait until what must not be left half done is done."""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

_NUMBERS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


@contextmanager
def undisturbed() -> Iterator[None]:
    """Keep all interrupts waiting until the end of the block."""
    waiting: list[int] = []
    with _postponed(waiting, lambda number, _: waiting.append(number)):
        yield


@contextmanager
def interruptible() -> Iterator[Callable[[], bool]]:
    """Keep the first interrupt waiting until the end of the block, and give what tells whether it has come.

    A second one is for who cannot wait: it interrupts as ever.
    """
    waiting: list[int] = []

    def handle(number: int, _: FrameType | None) -> None:
        if waiting:
            raise KeyboardInterrupt
        waiting.append(number)

    with _postponed(waiting, handle):
        yield lambda: bool(waiting)


@contextmanager
def _postponed(waiting: list[int], handle: Callable[[int, FrameType | None], object]) -> Iterator[None]:
    """Handle interrupts so in the block, and send those that wait again at its end.

    Handlers can only be exchanged one by one, and an interrupt may come between any two of them. One that is
    not put back for that reason passes on all that comes to the one that was there before.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread is ever interrupted
        return
    # A handler that was not set from Python could not be put back.
    handlers = {number: handler for number in _NUMBERS if (handler := signal.getsignal(number)) is not None}
    over = False

    def handle_or_pass_on(number: int, frame: FrameType | None) -> None:
        before = handlers[signal.Signals(number)]
        if not over:
            handle(number, frame)
        elif callable(before):
            before(number, frame)
        else:  # the system's own
            signal.signal(number, before)
            signal.raise_signal(number)

    try:
        for number in handlers:
            signal.signal(number, handle_or_pass_on)
        yield
    finally:
        over = True
        for number, handler in handlers.items():
            signal.signal(number, handler)
        for number in waiting:
            signal.raise_signal(number)
