"""Two TCP ends that talk over a network which loses packets, and a tap between them (RFC 9293, RFC 6298).

What the ends do is simulated, so that a seed gives the same packets anywhere; they do what real ends do where
packets are lost: repeat, in other pieces than before, and acknowledge late.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, NamedTuple

import wire
from wire import ACK, FIN, PSH, SYN, Piece

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Sequence

    from mailtap.capture.model import Endpoint, Packet

_OTHER = {"C": "S", "S": "C"}
_MASK = 0xFFFFFFFF
_TIMEOUT_MS = 250.0
_MOST_REPEATS = 8
_LATENCY_MS = 5.0


class Road(NamedTuple):
    """The network.

    Attributes:
        loss: the share of packets that never arrive; half of them the tap does not hear either.
        jitter_ms: by how much the tap may hear packets late, and so in another order.
        mss: the longest segment's payload.
    """

    loss: float = 0.0
    jitter_ms: float = 0.0
    mss: int = 1460


@dataclass
class _End:
    """One end of the connection; positions count from the first byte behind the SYN.

    Attributes:
        side: "C" or "S".
        isn: its initial sequence number.
        turns: what it says: how much it must have heard before, and the bytes.
        open: whether it has seen the other's SYN.
        outgoing: all that it has said so far.
        sent: how much of that it has sent.
        acknowledged: how much of that the other has acknowledged.
        heard: how much of the other's it has, without a hole.
        early: what it has behind that, by position; None for the end.
        end: where its FIN stands, once it was sent.
        other_ended: whether it has the other's FIN.
        repeats: how often it has repeated the same.
        timer: number of the timer that runs.
    """

    side: str
    isn: int
    turns: list[tuple[int, bytes]]
    open: bool = False
    outgoing: bytes = b""
    sent: int = 0
    acknowledged: int = 0
    heard: int = 0
    early: dict[int, int | None] = field(default_factory=dict)
    end: int | None = None
    other_ended: bool = False
    repeats: int = 0
    timer: int = 0


class _Connection:
    """The events of one connection, in the order of their times."""

    def __init__(self, turns: Sequence[tuple[str, bytes]], road: Road, chance: random.Random) -> None:
        self._road = road
        self._chance = chance
        self._now = 0.0
        self._numbers = count()
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._said = {side: sum(len(text) for speaker, text in turns if speaker == side) for side in _OTHER}
        so_far = dict.fromkeys(_OTHER, 0)
        plans: dict[str, list[tuple[int, bytes]]] = {"C": [], "S": []}
        for side, text in turns:
            plans[side].append((so_far[_OTHER[side]], text))
            so_far[side] += len(text)
        self._ends = {side: _End(side, chance.getrandbits(32), plan) for side, plan in plans.items()}
        self._is_accepted = False  # whether the server has seen more than the SYN
        self.tapped: list[tuple[float, int, Piece]] = []

    def run(self) -> bool:
        """Let both say everything; return whether both have heard it."""
        self._at(0, lambda: self._connect(0))
        self._at(_TIMEOUT_MS * 1.2, lambda: self._answer_again(0))
        while self._events:
            self._now, _, happen = heapq.heappop(self._events)
            happen()
        return all(end.heard == self._said[_OTHER[side]] for side, end in self._ends.items())

    def _at(self, delay: float, happen: Callable[[], None]) -> None:
        heapq.heappush(self._events, (self._now + delay, next(self._numbers), happen))

    # --- the network -----------------------------------------------------------------------------------

    def _send(self, end: _End, flags: int, at: int, data: bytes = b"") -> None:
        """Let a segment set out; the tap is half-way."""
        other = self._ends[_OTHER[end.side]]
        begin = end.isn if flags & SYN else end.isn + 1 + at
        seen = other.isn + 1 + end.heard + end.other_ended if flags & ACK else 0
        piece = Piece(end.side, begin & _MASK, seen & _MASK, flags, data)
        fate = self._chance.random()
        if fate < self._road.loss / 2:
            return
        late = self._chance.random() * self._road.jitter_ms
        self.tapped.append((self._now + _LATENCY_MS / 2 + late, len(self.tapped), piece))
        if fate >= self._road.loss:
            detour = self._chance.random() * 3 if self._chance.random() < 0.1 else 0
            self._at(_LATENCY_MS * (1 + detour), lambda: self._arrive(other, piece, at))

    def _arrive(self, end: _End, piece: Piece, at: int) -> None:
        if piece.flags & SYN:
            self._open(end)
            return
        if not end.open:
            return
        if end.side == "S" and not self._is_accepted:
            self._is_accepted = True
            self._speak(end)
        acknowledged = piece.acknowledgment - end.isn - 1 & _MASK
        if end.acknowledged < acknowledged < 1 << 31:
            end.acknowledged, end.repeats = acknowledged, 0
            self._wind(end)
        if piece.payload or piece.flags & FIN:
            self._take(end, piece, at)
            self._plan(end)
            if end.sent >= len(end.outgoing) or self._chance.random() < 0.4:
                self._send(end, ACK, end.sent)
            late = self._chance.random() * 30 if self._chance.random() < 0.2 else 0
            self._at(late, lambda: self._speak(end))

    # --- an end ----------------------------------------------------------------------------------------

    def _connect(self, repeats: int) -> None:
        if not self._ends["C"].open and repeats <= _MOST_REPEATS:
            self._send(self._ends["C"], SYN, 0)
            self._at(_TIMEOUT_MS * 2**repeats, lambda: self._connect(repeats + 1))

    def _answer_again(self, repeats: int) -> None:
        if not self._is_accepted and repeats <= _MOST_REPEATS:
            if self._ends["S"].open:
                self._send(self._ends["S"], SYN | ACK, 0)
            self._at(_TIMEOUT_MS * 2**repeats, lambda: self._answer_again(repeats + 1))

    def _open(self, end: _End) -> None:
        was_open, end.open = end.open, True
        self._send(end, ACK | (SYN if end.side == "S" else 0), end.sent if end.side == "C" else 0)
        if end.side == "C" and not was_open:
            self._speak(end)

    def _plan(self, end: _End) -> None:
        """Let an end say what it has heard enough for."""
        while end.turns and end.heard >= end.turns[0][0]:
            end.outgoing += end.turns.pop(0)[1]

    def _speak(self, end: _End) -> None:
        """Send what is to be said, and the end where everything was said."""
        self._plan(end)
        is_over = (
            not end.turns
            and end.heard == self._said[_OTHER[end.side]]
            and (end.side == "C" or end.other_ended)
        )
        while end.sent < len(end.outgoing):
            data = end.outgoing[end.sent : end.sent + self._chance.randint(1, self._road.mss)]
            last = end.sent + len(data) == len(end.outgoing)
            flags = ACK | PSH
            if last and is_over and self._chance.random() < 0.5:
                flags |= FIN
                end.end = len(end.outgoing)
            self._send(end, flags, end.sent, data)
            end.sent += len(data)
        if is_over and end.end is None:
            end.end = len(end.outgoing)
            self._send(end, ACK | FIN, end.sent)
        self._wind(end)

    def _wind(self, end: _End) -> None:
        """Start the timer anew, where something is not acknowledged (RFC 6298, section 5)."""
        end.timer += 1
        timer = end.timer
        if end.acknowledged < len(end.outgoing) + (end.end is not None):
            self._at(_TIMEOUT_MS * 2 ** min(end.repeats, 4), lambda: self._repeat(end, timer))

    def _repeat(self, end: _End, timer: int) -> None:
        """Send again what was not acknowledged, in another piece than before."""
        if timer != end.timer or end.repeats >= _MOST_REPEATS:
            return
        end.repeats += 1
        size = self._chance.randint(1, self._road.mss) * self._chance.choice((1, 3))
        data = end.outgoing[end.acknowledged : min(end.acknowledged + size, end.sent)]
        is_last = end.end is not None and end.acknowledged + len(data) >= len(end.outgoing)
        self._send(end, ACK | PSH | (FIN if is_last else 0), end.acknowledged, data)
        self._wind(end)

    def _take(self, end: _End, piece: Piece, at: int) -> None:
        """Put a segment's bytes where they belong."""
        end.early.update({at + place: byte for place, byte in enumerate(piece.payload)})
        if piece.flags & FIN:
            end.early[at + len(piece.payload)] = None
        while end.heard in end.early:
            if end.early.pop(end.heard) is None:
                end.other_ended = True
                break
            end.heard += 1


def tapped(
    turns: Sequence[tuple[str, bytes]], road: Road, chance: random.Random, server: Endpoint
) -> list[Packet] | None:
    """Return what a tap hears of a connection in which the turns are spoken; None where it broke off.

    Args:
        turns: who ("C" or "S") says what; each speaks after having heard all that stands before.
        road: the network between them.
        chance: all that is random.
        server: the server's address and port.
    """
    connection = _Connection(turns, road, chance)
    if not connection.run():
        return None
    heard = sorted(connection.tapped)
    packets = wire.packets([piece for _, _, piece in heard], server=server)
    return [
        packet._replace(time_ns=wire.START_NS + int(time_ms * 1_000_000))
        for packet, (time_ms, _, _) in zip(packets, heard, strict=True)
    ]
