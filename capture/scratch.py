"""A folder for a while, which no interrupt leaves behind."""

from __future__ import annotations

import signal
import tempfile
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_NUMBERS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """Give a new folder for this user only, and remove it with all that is in it at the end."""
    with _undisturbed():
        folder = tempfile.TemporaryDirectory(prefix="mailtap-")
    try:
        yield Path(folder.name)
    finally:
        # An interrupt just before this leaves it to the folder's own finalizer, which needs no more than
        # that nobody holds the folder any longer.
        with _undisturbed():
            folder.cleanup()


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Keep interrupts waiting until what must not be left half done is done."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread is ever interrupted
        return
    waiting: list[int] = []
    # A handler that was not set from Python could not be put back.
    handlers = {number: handler for number in _NUMBERS if (handler := signal.getsignal(number)) is not None}
    for number in handlers:
        signal.signal(number, lambda number, _frame: waiting.append(number))
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        for number in waiting:
            signal.raise_signal(number)
