"""The protocol parsers: sans-I/O, one file each, joined by `Dialogue`."""

from __future__ import annotations

from mailtap.capture.protocols.dialogue import Dialogue

__all__ = ["Dialogue"]
