"""A folder for a while, which no interrupt leaves behind."""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from mailtap.capture.interrupts import undisturbed

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """Give a new folder for this user only, and remove it with all that is in it at the end."""
    folder: tempfile.TemporaryDirectory[str] | None = None
    try:
        try:
            with undisturbed():
                folder = tempfile.TemporaryDirectory(prefix="mailtap-")
            yield Path(folder.name)
        finally:
            _remove(folder)
    finally:
        _remove(folder)  # an interrupt may have come when the first was about to begin


def _remove(folder: tempfile.TemporaryDirectory[str] | None) -> None:
    """Remove a folder, if it was made at all and is still there."""
    with undisturbed():
        if folder is not None:
            folder.cleanup()
