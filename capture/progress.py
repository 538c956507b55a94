"""Shows on a terminal how far something has come that takes long (rich)."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, BinaryIO, Self, TextIO

from mailtap.capture.sources import regular_size

if TYPE_CHECKING:
    from types import TracebackType

    from rich.progress import Progress

LONG = 32 << 20
"""Bytes from which on a file is worth a bar; a shorter one is read before it could be looked at."""

_STEPS = 100
_WIDTH = 30  # columns of the bar itself: on 80 of a terminal, there is room for what Ctrl-C leaves behind it


def is_long(file: BinaryIO) -> bool:
    """Return whether a file is one whose length is known and worth a bar."""
    return regular_size(file.fileno()) >= LONG


class Beside:
    """A text stream to the same terminal: the bar makes way for what is written."""

    def __init__(self, stream: TextIO, bar: Bar) -> None:
        self._stream = stream
        self._bar = bar

    def write(self, text: str) -> int:
        """Write once the bar is away."""
        self._bar.hide()
        return self._stream.write(text)

    def flush(self) -> None:
        """Flush the stream."""
        self._stream.flush()

    def fileno(self) -> int:
        """Return the stream's descriptor."""
        return self._stream.fileno()


class Gauge:
    """A bar on standard error that shows how much is done, and is gone at the end."""

    def __init__(self, name: str, size: int) -> None:
        """Prepare for something that is called `name`, and done at `size`."""
        self._name = name
        self._size = size
        self._progress: Progress | None = None

    def __enter__(self) -> Self:
        from rich.console import Console  # noqa: PLC0415  # a tenth of a second, for what takes long only
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn  # noqa: PLC0415

        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(_WIDTH),
            TaskProgressColumn(),
            console=Console(stderr=True),
            transient=True,
            auto_refresh=False,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._progress.add_task(self._name, total=self._size)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.hide()

    def show(self, done: int) -> None:
        """Show that so much is done."""
        if self._progress is not None:
            self._progress.start()
            self._progress.update(self._progress.task_ids[0], completed=done, refresh=True)

    def hide(self) -> None:
        """Take the bar away, so that something else can be written; the next step brings it back."""
        if self._progress is not None:
            self._progress.stop()


class Bar(Gauge):
    """A bar that moves on as a file is read."""

    def __init__(self, file: BinaryIO, name: str) -> None:
        """Prepare to read `file`, which is called `name`."""
        super().__init__(name, os.fstat(file.fileno()).st_size)
        self._file = file
        self._read = self._shown = 0

    def read(self, size: int, /) -> bytes:
        """Read from the file, and show how far it is."""
        data = self._file.read(size)
        self._read += len(data)
        self.reach(self._read)
        return data

    def reach(self, at: int) -> None:
        """Show how far it is, where that is a step further than what was shown."""
        if (at - self._shown) * _STEPS >= self._size:
            self._shown = at
            self.show(at)
