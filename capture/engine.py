"""The engines that live packets come from: one row each, all with the same packets."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from mailtap.capture.loopback import CaptureUnavailable, InterfaceRefused

if TYPE_CHECKING:
    from collections.abc import Collection

    from mailtap.capture.loopback import LoopbackSocket


class Engine(StrEnum):
    """What listens: scapy, as in the lessons; the ring of Linux, for load; or the best that works here."""

    SCAPY = "scapy"
    RING = "ring"
    AUTO = "auto"


class Opened(NamedTuple):
    """An engine that works here.

    Attributes:
        engine: which it is.
        socket: what it listens with.
        instead: where `auto` would have liked another better, why that does not work here.
    """

    engine: Engine
    socket: LoopbackSocket
    instead: CaptureUnavailable | None = None


def open_engine(engine: Engine, interface: str, ports: Collection[int], mark: int, buffer: int) -> Opened:
    """Open the engine, and say which it is now.

    Args:
        engine: which; `auto` is the ring where it works, else scapy.
        interface: a loopback interface.
        ports: TCP ports to listen to; empty for everything.
        mark: the UDP port to listen to as well, where `ports` are given.
        buffer: size of the kernel's buffer in bytes, as far as the kernel allows.

    Raises:
        InterfaceRefused: the interface is not loopback.
        CaptureUnavailable: the engine, or with `auto` every engine, does not work here.
    """
    instead = None
    if engine is not Engine.SCAPY:
        from mailtap.capture.ring_socket import RingSocket  # noqa: PLC0415  # one engine is loaded, not all

        try:
            return Opened(Engine.RING, RingSocket(interface, ports, mark, buffer))
        except InterfaceRefused:
            raise
        except CaptureUnavailable as error:
            if engine is Engine.RING:
                raise
            instead = error
    from mailtap.capture.scapy_socket import ScapySocket  # noqa: PLC0415

    return Opened(Engine.SCAPY, ScapySocket(interface, ports, mark, buffer), instead)
