"""The listener: packets in, leaks out.

    from mailtap.capture import listen, read

    for item in listen(read("session.pcapng")):
        print(item)

Everything named here is loaded when it is first asked for, so that importing the package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mailtap.capture.model import (
        Attachment,
        Direction,
        Endpoint,
        Evidence,
        Field,
        Flow,
        Leak,
        Note,
        Packet,
        Protocol,
        Secret,
        Source,
        Span,
    )
    from mailtap.capture.pipeline import Listener, listen
    from mailtap.capture.sources import read

__all__ = [
    "Attachment",
    "Direction",
    "Endpoint",
    "Evidence",
    "Field",
    "Flow",
    "Leak",
    "Listener",
    "Note",
    "Packet",
    "Protocol",
    "Secret",
    "Source",
    "Span",
    "listen",
    "read",
]

_HOMES = MappingProxyType({"Listener": "pipeline", "listen": "pipeline", "read": "sources"})


def __getattr__(name: str) -> object:
    """Load a public name from the module that it lives in (PEP 562)."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES.get(name, 'model')}"), name)
