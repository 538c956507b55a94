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
    with undisturbed():
        folder = tempfile.TemporaryDirectory(prefix="mailtap-")
    try:
        yield Path(folder.name)
    finally:
        # An interrupt just before this leaves it to the folder's own finalizer, which needs no more than
        # that nobody holds the folder any longer.
        with undisturbed():
            folder.cleanup()
