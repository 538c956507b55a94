"""However TCP carries a conversation, the leaks are the same: split, mixed up, repeated, reset, its port used again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import dialogue
import pytest
import wire
from feature import heard, turns
from hypothesis import example, given, settings
from hypothesis import strategies as st

if TYPE_CHECKING:
    from mailtap.capture.model import Packet

FOLDER = Path(__file__).parent / "dialogues"
NAMES = ("pop3_apop", "pop3_pipelined", "smtp_auth_others", "smtp_bdat", "imap_fetch", "imap_login")
TALKS = {
    name: turns((FOLDER / f"{name}.txt").read_text(encoding="utf-8").partition("Leaks:")[0]) for name in NAMES
}
talks = pytest.mark.parametrize("name", NAMES)
HANDSHAKE = 3


class Carriage(NamedTuple):
    """How TCP carries a conversation.

    Attributes:
        mss: bytes in a segment.
        overlap: bytes of the one before that each segment repeats.
        acks: whether bare acknowledgements cross, too.
        isns: the initial sequence numbers.
        late: by how many places packets come too late, in turn.
        twice: which packets, counted from the last, come twice.
        end: "fin", "reset" or "nothing".
    """

    mss: int
    overlap: int
    acks: bool
    isns: tuple[int, int]
    late: list[int]
    twice: set[int]
    end: str

    def packets(self, talk: list[wire.Turn]) -> list[Packet]:
        """Return the packets of a conversation, carried like this."""
        client_isn, server_isn = self.isns
        segments = wire.pieces(
            talk,
            mss=self.mss,
            overlap=self.overlap,
            acks=self.acks,
            client_isn=client_isn,
            server_isn=server_isn,
            fin=self.end == "fin",
        )
        packets = wire.packets(segments)
        places = range(HANDSHAKE + 1, len(packets) + 1)
        order = sorted(places, key=lambda place: place + self.late[place % len(self.late)])
        packets = wire.reorder(packets, [*range(1, HANDSHAKE + 1), *order])
        last = len(packets) - HANDSHAKE
        packets = wire.duplicate(
            packets, *{last - each for each in self.twice if last - each > HANDSHAKE}, later=3
        )
        if self.end == "reset":
            said = {side: sum(len(text) for who, text in talk if who == side) for side in "CS"}
            packets += wire.packets([wire.Piece("S", server_isn + 1 + said["S"], 0, wire.RST, b"")])
        return wire.renumber(packets)


isn = st.one_of(st.integers(0, 2**32 - 1), st.integers(2**32 - 2_000, 2**32 - 1))
carriages = st.builds(
    Carriage,
    mss=st.one_of(st.integers(1, 40), st.just(1460)),
    overlap=st.integers(0, 9),
    acks=st.booleans(),
    isns=st.tuples(isn, isn),
    late=st.lists(st.integers(0, 5), min_size=1, max_size=12),
    twice=st.sets(st.integers(0, 200), max_size=8),
    end=st.sampled_from(["fin", "reset", "nothing"]),
)


# Each acknowledgement comes before what it acknowledges, all the way: something always waits, and always moves.
RESTLESS = Carriage(mss=1, overlap=0, acks=True, isns=(0, 0), late=[4, 0], twice=set(), end="fin")


@talks
@given(carriage=carriages)
@example(carriage=RESTLESS)
@settings(max_examples=40, deadline=None)
def test_the_leaks_are_the_same_however_tcp_carries_them(name: str, carriage: Carriage) -> None:
    expected = list(dialogue.load(FOLDER / f"{name}.txt").leaks)
    assert heard(carriage.packets(TALKS[name]))[0] == expected


@given(
    names=st.tuples(st.sampled_from(NAMES), st.sampled_from(NAMES)), carriages=st.tuples(carriages, carriages)
)
@settings(max_examples=40, deadline=None)
def test_a_port_used_again_keeps_two_conversations_apart(
    names: tuple[str, str], carriages: tuple[Carriage, Carriage]
) -> None:
    first, second = carriages
    # A host does not open a connection with numbers that the one before it still uses (RFC 9293, section 3.4.1).
    second = second._replace(isns=tuple(each + 2**30 & 0xFFFFFFFF for each in first.isns))
    packets = [
        each for name, how in zip(names, (first, second), strict=True) for each in how.packets(TALKS[name])
    ]
    expected = [leak for name in names for leak in dialogue.load(FOLDER / f"{name}.txt").leaks]
    assert list(map(unnumbered, heard(wire.renumber(packets))[0])) == list(map(unnumbered, expected))


def unnumbered(leak: str) -> str:
    """Return a leak without the number of its message, which counts on through a capture."""
    return " ".join(word for word in leak.split(" ") if not word.startswith("message="))
