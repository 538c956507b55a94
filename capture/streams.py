"""The standard streams, made fit for whatever is to be printed, however the program was started."""

from __future__ import annotations

import os
import sys
from typing import Final

_STREAMS: Final = (("stdin", "r"), ("stdout", "w"), ("stderr", "w"))  # in the order of their descriptors


def prepare() -> None:
    """Open the streams that are closed, to nowhere, and let the others take any text."""
    for name, mode in _STREAMS:
        if getattr(sys, name) is None:
            # Else the next file to be opened would get its number, and be taken for it.
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: PTH123, SIM115  # till the end
    # A terminal that lacks a character shows a question mark for it, which does not end the program.
    _reconfigure(errors="replace")


def speak_utf8() -> None:
    """Let output and errors be JSON, which is UTF-8 everywhere."""
    _reconfigure(encoding="utf-8", errors="backslashreplace")


def _reconfigure(**settings: str) -> None:
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(**settings)
