"""However TCP carries a conversation, the leaks are the same: split, mixed up, repeated, reset, its port used again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import dialogue
import pytest
import wire
from feature import heard, turns
from hypothesis import given, settings
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


@st.composite
def carried(draw: st.DrawFn, talk: list[wire.Turn], *, isn: int | None = None) -> list[Packet]:
    """Return the packets of a conversation, ended by FINs, by a reset or not at all."""
    numbers = st.one_of(st.integers(0, 2**32 - 1), st.integers(2**32 - 2_000, 2**32 - 1))
    end = draw(st.sampled_from(["fin", "reset", "nothing"]))
    segments = wire.pieces(
        talk,
        mss=draw(st.one_of(st.integers(1, 40), st.just(1460))),
        overlap=draw(st.integers(0, 9)),
        acks=draw(st.booleans()),
        client_isn=draw(numbers) if isn is None else isn,
        server_isn=draw(numbers) if isn is None else isn ^ 0x5000_0000,
        fin=end == "fin",
    )
    packets = wire.packets(segments)
    nearby = draw(st.lists(st.integers(0, 5), min_size=1, max_size=12))
    places = range(HANDSHAKE + 1, len(packets) + 1)
    order = sorted(places, key=lambda place: place + nearby[place % len(nearby)])
    packets = wire.reorder(packets, [*range(1, HANDSHAKE + 1), *order])
    twice = draw(st.sets(st.integers(HANDSHAKE + 1, len(packets)), max_size=8))
    packets = wire.duplicate(
        packets, *(each for each in twice if each <= len(packets) - 4), later=draw(st.integers(1, 4))
    )
    if end == "reset":
        last = max(
            (piece for piece in segments if piece.side == "S"),
            key=lambda piece: piece.sequence - segments[1].sequence & 0xFFFFFFFF,
        )
        reset = wire.Piece("S", last.sequence + len(last.payload), 0, wire.RST, b"")
        packets += wire.packets([reset])
    return wire.renumber(packets)


@talks
@given(data=st.data())
@settings(max_examples=40, deadline=None)
def test_the_leaks_are_the_same_however_tcp_carries_them(name: str, data: st.DataObject) -> None:
    expected, _ = heard(wire.conversation(TALKS[name]))
    assert (
        heard(data.draw(carried(TALKS[name])))[0]
        == expected
        == list(dialogue.load(FOLDER / f"{name}.txt").leaks)
    )


@given(data=st.data())
@settings(max_examples=40, deadline=None)
def test_a_port_used_again_keeps_two_conversations_apart(data: st.DataObject) -> None:
    first, second = (data.draw(st.sampled_from(NAMES)) for _ in range(2))
    packets = data.draw(carried(TALKS[first], isn=1_000)) + data.draw(carried(TALKS[second], isn=900_000_000))
    expected = heard(wire.conversation(TALKS[first]))[0] + heard(wire.conversation(TALKS[second]))[0]
    assert list(map(unnumbered, heard(wire.renumber(packets))[0])) == list(map(unnumbered, expected))


def unnumbered(leak: str) -> str:
    """Return a leak without the number of its message, which counts on through a capture."""
    return " ".join(word for word in leak.split(" ") if not word.startswith("message="))
