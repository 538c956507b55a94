"""Say why something was not heard: what the capture lacks of a flow, and what is not mail."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from mailtap.capture.language import N_
from mailtap.capture.model import Direction, Note

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mailtap.capture.model import Flow, Gap, Protocol
    from mailtap.capture.wire.connection import Connection

_HOLE = {
    Direction.CLIENT: N_(
        "A hole of {bytes:,} bytes in what the client sent, in packet range {first}-{last}."
    ),
    Direction.SERVER: N_(
        "A hole of {bytes:,} bytes in what the server sent, in packet range {first}-{last}."
    ),
}
_HOLE_OF_ONE = {
    Direction.CLIENT: N_("A hole of one byte in what the client sent, in packet range {first}-{last}."),
    Direction.SERVER: N_("A hole of one byte in what the server sent, in packet range {first}-{last}."),
}
_HOLES = {
    Direction.CLIENT: N_(
        "{count:,} holes in what the client sent, {bytes:,} bytes together, in packet range {first}-{last}."
    ),
    Direction.SERVER: N_(
        "{count:,} holes in what the server sent, {bytes:,} bytes together, in packet range {first}-{last}."
    ),
}
_ONE_HALF = {
    Direction.CLIENT: N_("Client half only: the capture has nothing of what the server sent."),
    Direction.SERVER: N_("Server half only: the capture has nothing of what the client sent."),
}
_QUIET = N_("No login and no mail crossed this connection.")
_LATE = N_("The capture started in the middle of this connection; what came before was not heard.")
_NO_PACKETS = N_("The capture holds no packets.")
_NO_TCP = N_("Of {packets:,} packets, none carries TCP.")
_NO_TCP_ONCE = N_("The only packet carries no TCP.")
_NO_MAIL = N_("{count:,} TCP connections carried no mail protocol.")
_NO_MAIL_ONCE = N_("One TCP connection carried no mail protocol.")
NOTHING_THERE: Final = frozenset((_NO_PACKETS, _NO_TCP, _NO_TCP_ONCE, _NO_MAIL, _NO_MAIL_ONCE))
"""What is said of a capture without mail in it; no news to who listens to servers of their own."""


@dataclass(slots=True)
class Holes:
    """The holes of one direction: how many, their bytes, and the packets around them."""

    count: int = 0
    bytes: int = 0
    first: int = 0
    last: int = 0
    time_ns: int = 0

    def add(self, gap: Gap, before: int) -> None:
        """Count a hole; `before` is the last packet heard before it."""
        if not self.count:
            self.first = before or gap.packet
        self.first = min(self.first, gap.packet)  # the capture may have mixed up packets
        self.last = max(self.last, before, gap.packet)
        self.count += 1
        self.bytes += gap.length
        self.time_ns = gap.time_ns


def of_connection(
    connection: Connection, protocol: Protocol | None, holes: dict[Direction, Holes], *, told: bool
) -> Iterator[Note]:
    """Yield what is to be said of a mail connection when it has ended.

    Args:
        connection: which.
        protocol: what it spoke, where that is known.
        holes: what is missing of each direction.
        told: whether anything was heard on it.
    """
    notes = list(_of_wire(connection, protocol, holes))
    if not (told or notes):
        yield Note(text=_QUIET, protocol=protocol, flow=connection.flow)
    yield from notes


def _of_wire(
    connection: Connection, protocol: Protocol | None, holes: dict[Direction, Holes]
) -> Iterator[Note]:
    flow = connection.flow
    if connection.late:
        yield Note(text=_LATE, protocol=protocol, flow=flow)
    for direction, other in ((Direction.CLIENT, Direction.SERVER), (Direction.SERVER, Direction.CLIENT)):
        if not connection.half(other).seen:
            yield Note(text=_ONE_HALF[direction], protocol=protocol, flow=flow)
    for direction, hole in holes.items():
        values = (("count", hole.count), ("bytes", hole.bytes), ("first", hole.first), ("last", hole.last))
        one = _HOLE_OF_ONE if hole.bytes == 1 else _HOLE
        yield Note(
            text=(one if hole.count == 1 else _HOLES)[direction],
            values=values,
            protocol=protocol,
            flow=flow,
            packets=tuple(sorted({hole.first, hole.last})),
            time_ns=hole.time_ns,
            damage=True,
        )
    for note in connection.notes:
        yield Note(
            text=note.text,
            values=note.values,
            protocol=protocol,
            flow=flow,
            packets=note.packets,
            time_ns=note.time_ns,
        )


def of_surfeit(flow: Flow, protocol: Protocol | None, packet: int) -> Note:
    """Return what is to be said of a flow that was given up because too much waited in memory."""
    text = N_("By packet {packet} too much waited to be complete; the rest of this connection was not heard.")
    return Note(
        text=text,
        values=(("packet", packet),),
        protocol=protocol,
        flow=flow,
        packets=(packet,) if packet else (),
    )


class Sums(NamedTuple):
    """What is counted in a whole capture.

    Attributes:
        last: number of the latest packet in which more than the next bytes of a connection was heard; 0 where
            no packet carried TCP.
        strange: number of packets that were not at once seen to carry it.
        excused: whether it has been said why there are no packets.
        others: number of connections that carried no mail protocol.
        empty: number of connections to mail ports that carried no byte.
        crowded_out: number of connections that ended because too many were open.
    """

    last: float
    strange: int
    excused: bool
    others: int
    empty: int
    crowded_out: int


def together(shares: Sequence[Sums]) -> Sums:
    """Return the sums of a capture whose connections were shared out, its packets not."""
    return Sums(
        last=max(each.last for each in shares),
        strange=max(each.strange for each in shares),
        excused=any(each.excused for each in shares),
        others=sum(each.others for each in shares),
        empty=sum(each.empty for each in shares),
        crowded_out=sum(each.crowded_out for each in shares),
    )


def of_capture(sums: Sums) -> Iterator[Note]:
    """Yield what is to be said of a whole capture."""
    if sums.strange and not sums.last:
        text = _NO_TCP_ONCE if sums.strange == 1 else _NO_TCP
        yield Note(text=text, values=(("packets", sums.strange),))
    elif not (sums.last or sums.excused):
        yield Note(text=_NO_PACKETS)
    if sums.others:
        text = _NO_MAIL_ONCE if sums.others == 1 else _NO_MAIL
        yield Note(text=text, values=(("count", sums.others),))
    if sums.empty:
        text = N_("{count:,} connections to mail ports carried no data.")
        if sums.empty == 1:
            text = N_("One connection to a mail port carried no data.")
        yield Note(text=text, values=(("count", sums.empty),))
    if sums.crowded_out:
        text = N_("Too many connections were open at once; {count:,} silent ones were given up.")
        if sums.crowded_out == 1:
            text = N_("Too many connections were open at once; a silent one was given up.")
        yield Note(text=text, values=(("count", sums.crowded_out),))
