"""What a tap has heard at each look: all of it, and at the cost of what is new."""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING

import pytest
import wire
from hypothesis import given
from hypothesis import strategies as st

from bench.guards import calls_of
from mailtap.capture.model import Direction, Endpoint, Leak
from mailtap.capture.pipeline import listen
from mailtap.demo.testing.follower import Follower

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mailtap.capture.model import Packet
    from mailtap.demo.testing.hearing import Hearing

MAIL = b"From: a@x.test\r\nTo: b@x.test\r\nSubject: hello\r\n\r\nthe body\r\n"
SESSION = [
    ("S", b"+OK ready\r\n"),
    ("C", b"USER hanako\r\n"),
    ("S", b"+OK\r\n"),
    ("C", b"PASS sakura2024\r\n"),
    ("S", b"+OK\r\n"),
]
FETCHED = [*SESSION, ("C", b"RETR 1\r\n"), ("S", b"+OK\r\n" + MAIL + b".\r\n")]


def sessions(count: int) -> list[Packet]:
    talks = [wire.conversation(SESSION, client=Endpoint("192.0.2.9", 1 + port)) for port in range(count)]
    return wire.renumber([packet for talk in talks for packet in talk])


def content(hearing: Hearing) -> tuple[object, ...]:
    """Return all that a look shows."""
    said = [(stream.flow, stream.direction, stream.data, stream.whole) for stream in hearing.streams]
    return said, hearing.leaks, hearing.conversations, [mail.content for mail in hearing.mails]


def test_a_secret_is_found_in_each_session_once_at_the_same_cost_for_each() -> None:
    one, two = (Follower().look(sessions(count)) for count in (100, 200))
    for each in (one, two):
        assert (len(each.streams), len(each.leaks)) == (2 * len(each.flows), 2 * len(each.flows))
    one.sightings("sakura2024")  # what is made once, and kept, is made now
    spent = [calls_of(lambda each=each: each.sightings("sakura2024")) for each in (one, two)]
    assert spent[1] < 2.2 * spent[0]
    assert len(two.sightings("sakura2024")) == 200
    assert [len(leaks) for leaks in two.leaks_of.values()] == [2] * 200


def test_a_look_after_each_session_hears_only_that_session() -> None:
    def look_often(packets: Sequence[Packet]) -> None:
        follower, each = Follower(), len(sessions(1))
        for end in range(0, len(packets) + 1, each):
            follower.look(packets[:end])

    look_often(sessions(1))  # what is made once, and kept, is made now
    few, many = (calls_of(lambda heard=heard: look_often(heard)) for heard in (sessions(20), sessions(80)))
    # Heard anew each time, four times as many sessions would cost fifteen times as much.
    assert many < 8 * few


def test_what_is_open_is_heard_as_if_it_ended_and_then_goes_on() -> None:
    packets = wire.conversation(FETCHED, mss=5, acks=False)
    follower = Follower()
    for end in range(len(packets) + 1):
        look = follower.look(packets[:end])
        assert content(look) == content(Follower().look(packets[:end]))
        assert sorted(map(str, look.leaks)) == sorted(
            str(item) for item in listen(packets[:end]) if isinstance(item, Leak)
        )
    assert [str(leak.field) for leak in look.leaks if leak.message is None] == ["username", "password"]


@st.composite
def looks(draw: st.DrawFn) -> tuple[list[Packet], list[int]]:
    """Draw conversations side by side, out of order and with losses, and the times of looks at them."""
    talks = [
        wire.conversation(
            draw(st.sampled_from([SESSION, FETCHED])),
            client=Endpoint("192.0.2.9", 1000 + port),
            mss=draw(st.integers(3, 40)),
            syn=draw(st.booleans()),
            fin=draw(st.booleans()),
        )
        for port in range(draw(st.integers(1, 3)))
    ]
    packets = wire.interleave(*talks)
    keys = [number + draw(st.integers(0, 4)) for number in range(len(packets))]
    order = sorted(range(1, len(packets) + 1), key=lambda number: keys[number - 1])
    packets = wire.reorder(packets, order)
    packets = wire.lose(packets, *draw(st.sets(st.integers(1, len(packets)), max_size=2)))
    steps = draw(st.lists(st.integers(0, 30), max_size=8))
    return packets, [end for end in accumulate(steps) if end < len(packets)]


@given(drawn=looks())
def test_looks_on_the_way_change_nothing(drawn: tuple[list[Packet], list[int]]) -> None:
    packets, ends = drawn
    follower = Follower()
    for end in (*ends, len(packets)):
        look = follower.look(packets[:end])
        assert content(look) == content(Follower().look(packets[:end]))
    heard = [item for item in listen(packets) if isinstance(item, Leak)]
    assert sorted(map(fingerprint, look.leaks)) == sorted(map(fingerprint, heard))


def fingerprint(leak: Leak) -> str:
    """Return what tells leaks apart; messages are told in the order in which they became known."""
    return str((leak.evidence.flow.number, leak.field, leak.value.reveal(), leak.evidence))


def test_messages_are_counted_over_all_connections() -> None:
    talks = [wire.conversation(FETCHED, client=Endpoint("192.0.2.9", port)) for port in (1, 2)]
    leaks = Follower().look(wire.interleave(*talks)).leaks
    assert [leak.message for leak in leaks if leak.field == "subject"] == [1, 2]


@pytest.mark.parametrize("at", [0, 8, 20])
def test_packets_that_turn_up_among_the_earlier_ones_are_heard(at: int) -> None:
    """As an impostor's do: what is inside TLS is numbered among the packets that were there."""
    first, second = (wire.conversation(SESSION, client=Endpoint("192.0.2.9", port)) for port in (1, 2))
    follower = Follower()
    assert len(follower.look(first).flows) == 1
    both: Sequence[Packet] = wire.renumber([*first[:at], *second, *first[at:]])
    assert content(follower.look(both)) == content(Follower().look(both))
    assert len(follower.look(both).flows) == 2


def test_a_hole_keeps_its_room() -> None:
    packets = wire.lose(wire.conversation(SESSION, acks=False), 5)
    look = Follower().look(packets)
    [client] = [stream for stream in look.streams if stream.direction is Direction.CLIENT]
    assert (client.data, client.whole) == (bytes(13) + b"PASS sakura2024\r\n", False)
