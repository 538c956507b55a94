"""What a tap's question costs when very many sessions were heard."""

from __future__ import annotations

import wire

from bench.guards import calls_of
from mailtap.capture.model import Endpoint
from mailtap.demo.testing.hearing import Hearing

SESSION = [
    ("S", b"+OK ready\r\n"),
    ("C", b"USER hanako\r\n"),
    ("S", b"+OK\r\n"),
    ("C", b"PASS sakura2024\r\n"),
    ("S", b"+OK\r\n"),
]


def heard(sessions: int) -> Hearing:
    talks = [wire.conversation(SESSION, client=Endpoint("192.0.2.9", 1 + port)) for port in range(sessions)]
    return Hearing(wire.renumber([packet for talk in talks for packet in talk]))


def test_a_secret_is_found_in_each_session_once_at_the_same_cost_for_each() -> None:
    one, two = heard(100), heard(200)
    for each in (one, two):
        assert (len(each.streams), len(each.leaks)) == (2 * len(each.flows), 2 * len(each.flows))
    one.sightings("sakura2024")  # what is made once, and kept, is made now
    spent = [calls_of(lambda each=each: each.sightings("sakura2024")) for each in (one, two)]
    assert spent[1] < 2.2 * spent[0]
    assert len(two.sightings("sakura2024")) == 200
    assert [len(leaks) for leaks in two.leaks_of.values()] == [2] * 200
