"""Give up bytes that were sent but are not in the capture."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mailtap.capture.model import Gap
from mailtap.capture.wire.half import LARGEST_LOSS

if TYPE_CHECKING:
    from mailtap.capture.wire.connection import Connection, Heard
    from mailtap.capture.wire.half import Half


def give_up(connection: Connection, out: list[Heard], *, everything: bool = False) -> None:
    """Pass on what waits for bytes that will not come, and say what is missing.

    Args:
        connection: settled.
        out: where to add what is passed on.
        everything: whether to give up also bytes that the other side may not have had either.
    """
    for half in connection.halves:
        _disown(half, everything=everything)
    connection.drain(out)
    while (
        _leave_gap(connection, out, acknowledged=True)
        or _release(connection, out)
        or (everything and _leave_gap(connection, out, acknowledged=False))
    ):
        connection.drain(out)


def _disown(half: Half, *, everything: bool) -> None:
    """Drop what waits and was not sent on this connection, but on an earlier one between the same ports.

    It stands behind a FIN that the other side has acknowledged; where everything is given up, also so far
    behind all that is known that no loss explains it. Without acknowledgements, nothing tells.
    """
    if everything and half.acked:
        reached = max(half.next, half.acked)
        for piece in half.early:
            if piece.offset > reached + LARGEST_LOSS:
                half.early.drop_from(piece.offset)
                break
            reached = max(reached, piece.end)
        if half.end is not None and half.end > reached + LARGEST_LOSS:
            half.end = None
    if half.end is not None and half.acked > half.end and half.early:
        half.early.drop_from(half.end)


def _leave_gap(connection: Connection, out: list[Heard], *, acknowledged: bool) -> bool:
    """Pass over one hole; return whether there was one.

    It reaches up to what is here, or only to what the other side acknowledged; and ends where the other side
    spoke in between, so that it is known what was lost before and what after.
    """
    for half, peer in zip(connection.halves, reversed(connection.halves), strict=True):
        if half.ended:
            continue
        reached = half.early[0].offset if half.early else half.end
        if not acknowledged:
            target = half.next if reached is None else reached
        elif reached is None:
            target = half.acked if half.acked <= half.next + LARGEST_LOSS else half.next
        else:
            target = min(half.acked, reached)
        if acknowledged and peer.early and peer.early[0].needs is not None:
            spoken = half.offset(peer.early[0].needs)
            target = spoken if half.next < spoken < target else target
        if target <= half.next:
            continue
        seen = [(number, time_ns) for _, number, time_ns in half.shown[:1]]
        seen += [half.end_shown] if half.end is not None else []
        seen += [(piece.packet, piece.time_ns) for piece in half.early[:1]]
        packet, time_ns = min(seen)
        gap = Gap(half.next, target - half.next, packet, time_ns)
        # One byte acknowledged beyond all that was seen is, as a rule, a FIN that the capture lacks.
        if gap.length == 1 and reached is None:
            half.supposed = gap
        else:
            connection.say(half, gap, out)
        half.move(target)
        return True
    return False


def _release(connection: Connection, out: list[Heard]) -> bool:
    """Pass on one piece although bytes sent before it are missing; return whether there was one."""
    ready = [half for half in connection.halves if half.ready()]
    if not ready:
        return False
    connection.pass_on(
        min(ready, key=lambda half: half.early[0].packet if half.early else half.end_shown[0]), out
    )
    return True
